"""By what a shown figure is sorted: its own number in its base unit, read back from its words."""

from __future__ import annotations

import re

from edgebench.render.units import MINUS

_POWERS = {"p": -12, "n": -9, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
_UNITS = r"(?:s|J|W|B|B/s|/s|OP/s|OP/B)"
_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
# A figure may be followed by its ends ([12.2, 12.4]) or nothing before the unit.
_FIGURE = re.compile(rf"({_NUMBER})(?: \[[^\]]*\])?(?: (?P<prefix>[pnµmkMGTP]?){_UNITS}(?![\w%]))?", re.ASCII)
_LASTING = re.compile(r"(\d+) (h|min) (\d+) (?:min|s)$", re.ASCII)


def sort_key(text: str) -> float | None:
    """Return the number that a cell begins with, in its base unit; None of a cell that begins with none."""
    shown = text.strip().replace(MINUS, "-")
    if (lasting := _LASTING.match(shown)) is not None:
        seconds = 3600.0 if lasting[2] == "h" else 60.0
        return seconds * float(lasting[1]) + seconds / 60 * float(lasting[3])
    figure = _FIGURE.match(shown.lstrip("<~"))
    return None if figure is None else float(figure[1]) * 10.0 ** _POWERS[figure["prefix"] or ""]
