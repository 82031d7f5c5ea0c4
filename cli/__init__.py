"""The command line: each command's work, behind `run.py`, which parses and dispatches."""
