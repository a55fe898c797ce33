"""The measured process: what a worker does and answers."""
