"""Figures of a report from what workers answered: one file a kind of benchmark."""
