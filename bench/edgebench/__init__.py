"""edgebench: what a compressed deep-learning model costs on an edge board."""

try:
    from edgebench._version import __version__  # the build writes it, from git's tags
except ModuleNotFoundError:  # a source tree that was never installed
    __version__ = "0.1.0.dev0"

__all__ = ["__version__"]
