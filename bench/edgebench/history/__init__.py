"""Many boards, many releases: one file that holds what comparing needs of every report."""

from edgebench.history.frames import frame

__all__ = ["frame"]
