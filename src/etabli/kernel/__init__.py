"""What every room stands on: ids, clock, errors, settings, files, database, events. Imports nothing of ours."""
