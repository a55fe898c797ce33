"""edgebench: what a compressed deep-learning model costs on an edge board."""

__version__ = "0.1.0"
