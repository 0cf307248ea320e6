"""Pages, one file for each thing that people see. Each parses, calls one use case, and shows."""
