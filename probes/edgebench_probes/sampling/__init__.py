"""Sampled power: a process of its own, its ring, and the integral over a window."""
