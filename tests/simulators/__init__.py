"""Energy sources of known truth, over the real transport."""
