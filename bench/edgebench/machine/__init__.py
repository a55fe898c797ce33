"""The machine: its facts, how its resources are read, and child processes."""
