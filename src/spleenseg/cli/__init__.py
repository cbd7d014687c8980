"""The command line: one short file for each group of commands, no logic."""
