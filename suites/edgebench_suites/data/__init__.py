"""Data sets: the embedded one and those of one's own."""
