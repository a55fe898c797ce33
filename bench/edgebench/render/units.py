"""Numbers for people: three significant digits, decimal prefixes (MB is 10^6 bytes), and what cannot be shown."""

from __future__ import annotations

import math

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
_NAMES = {"1/s": "/s", "s": "s", "J": "J", "W": "W", "B": "B", "B/s": "B/s", "OP/s": "OP/s", "OP/B": "OP/B"}
NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
TO = "\N{EN DASH}"  # between the ends of a range


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number with `digits` significant digits and no needless exponent."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if not -5 <= exponent < 15:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    rounded = round(value, digits - 1 - exponent)
    exponent = math.floor(math.log10(abs(rounded))) if rounded else exponent
    return f"{rounded:.{max(0, digits - 1 - exponent)}f}".replace("-", MINUS)


def quantity(value: float | None, unit: str, digits: int = 3) -> str:
    """Return a value with its unit and the prefix that suits it: ``12.3 ms``, ``8.76 MB``, ``462 mJ``."""
    if value is None:
        return NONE
    scaled, prefix = _scaled(value, value, unit)
    return " ".join(part for part in (figure(scaled, digits), prefix) if part)


def with_interval(value: float, ends: tuple[float, float] | None, unit: str) -> tuple[str, str, str]:
    """Return a value with its unit, then the ends of its interval in that unit, with the decimals that tell them apart.

    ``("6.18 ms", "6.12", "6.24")``; without ends, or where they are the value, both are empty.
    """
    known = ends is not None and all(map(math.isfinite, ends)) and ends[0] < ends[1]
    if ends is None or not known or not math.isfinite(value):
        return quantity(value, unit), "", ""
    scaled, prefixed = _scaled(value, value, unit)
    low, high = (_scaled(end, value, unit)[0] for end in ends)
    if max(abs(scaled), abs(low), abs(high)) >= 1e7 or scaled == 0:
        return quantity(value, unit), figure(low), figure(high)
    leading = math.floor(math.log10(abs(scaled)))
    # Three digits, more where the interval is narrower than that, five at most.
    decimals = min(9, max(0, 2 - leading, min(4 - leading, -math.floor(math.log10((high - low) / 2)))))
    shown = [f"{one:.{decimals}f}".replace("-", MINUS) for one in (scaled, low, high)]
    return " ".join(part for part in (shown[0], prefixed) if part), shown[1], shown[2]


def percent(ratio: float | None, digits: int = 1) -> str:
    """Return a ratio as a change with its sign: 0.821 is a change of minus 17.9 %."""
    return NONE if ratio is None or not math.isfinite(ratio) else f"{signed(100 * (ratio - 1), digits)} %"


def points(difference: float | None) -> str:
    """Return a difference of shares in percentage points with its sign: 0.0104 is ``+1.04``."""
    return NONE if difference is None or not math.isfinite(difference) else signed(100 * difference, 2)


def share(value: float | None, digits: int = 2) -> str:
    """Return a share, 0 to 1, in per cent."""
    return NONE if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, a real minus, and no sign on what rounds to zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def short(commit: str | None) -> str:
    """Return a commit as people write it, its first twelve digits; what git said of changed files stays."""
    if not commit:
        return NONE
    digits, dash, rest = commit.partition("-")
    return f"{digits[:12]}{dash}{rest}"


def duration(seconds: float) -> str:
    """Return a stretch of time as people say it: ``42 s``, ``3 min 20 s``, ``1 h 05 min``."""
    if seconds < 9.95:
        return f"{figure(seconds, 2)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _scaled(value: float, leading: float, unit: str) -> tuple[float, str]:
    """Return the value in the prefixed unit that suits `leading`."""
    if unit not in _NAMES:
        return value, "" if unit == "1" else unit
    size = abs(leading)
    known = size > 0 and math.isfinite(size)
    exponent = max(-12, min(15, 3 * math.floor(math.log10(size) / 3 + 1e-9))) if known else 0
    # 999.96 ms is 1.00 s: the rounding must not push a figure over the prefix.
    if size / 10.0**exponent >= 999.5:
        exponent += 3
    lowest = 0 if unit in {"B", "B/s", "1/s", "OP/s"} else -12
    exponent = max(lowest, min(0 if unit == "s" else 15, exponent))
    name = _NAMES[unit]
    if unit == "1/s":
        return value / 10.0**exponent, _PREFIXES[exponent] + name if exponent else name
    return value / 10.0**exponent, _PREFIXES[exponent] + name
