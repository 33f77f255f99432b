"""Flows: compositions of tasks, and the command line that triggers them."""
