"""What a person takes with them and what becomes of the rest: the export of their data, and the end of their account.

Public: `service.Leaving`. An account's end is stored first and carried out after, step by step, each of which may be
repeated; a slug is never given again.
"""
