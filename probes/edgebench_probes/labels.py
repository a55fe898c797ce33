"""What a figure of energy is called where several probes measure: by its scope, or by scope and probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def labels_of(probes: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return a label for each (probe, scope), in the order given: its scope, ``package``.

    Where several probes have one scope, each has a label of its own, ``gpu:hwmon:xe/power1``: a figure belongs to one
    probe, and two of equal scope stand side by side.
    """
    known = list(dict.fromkeys(probes))
    times = Counter(scope for _, scope in known)
    return {(name, scope): scope if times[scope] == 1 else f"{scope}:{name}" for name, scope in known}
