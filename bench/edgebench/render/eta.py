"""How long a session still takes: the plan's estimate, corrected by how long each thing took here until now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

# The estimate counts as so many seconds of experience: the first short steps do not overthrow it.
_TRUST_S = 10.0


@dataclass(slots=True)
class Eta:
    """What is left of units of work; `units` has the estimated seconds of one of each name.

    A unit that was done here takes as long again; of the others of its stage the estimate is corrected by how much
    longer than estimated the stage has taken until now. Times are seconds since the session's start.
    """

    units: Mapping[str, float]
    _left: dict[str, int] = field(default_factory=dict)
    _took_s: dict[str, list[float]] = field(default_factory=dict)
    _current: str = ""
    _began_s: float = 0.0
    _done_s: float = 0.0

    def __post_init__(self) -> None:
        """Without being told otherwise, every unit is to be done once."""
        self._left = dict.fromkeys(self.units, 1)

    def expect(self, left: Mapping[str, int]) -> None:
        """Replace how many of each unit are to be done: nothing that a stopped session did counts as ahead."""
        self._left = dict(left)

    def begin(self, name: str, now_s: float) -> None:
        """Begin a unit, or (with no name) something that is none."""
        self._current, self._began_s = name, now_s

    def advance(self, name: str, now_s: float) -> None:
        """Count a unit as done, whatever it took; what was not begun took nothing."""
        took_s = now_s - self._began_s if name == self._current else 0.0
        if name in self.units:
            self._took_s.setdefault(name, []).append(took_s)
            self._left[name] = max(0, self._left.get(name, 0) - 1)
        self._done_s += took_s
        self._current = ""

    def left_s(self, now_s: float) -> float:
        """Return the seconds that are left."""
        pace = {stage: self._pace(stage) for stage in {_stage(name) for name in self.units}}
        left_s = sum(count * self._each_s(name, pace) for name, count in self._left.items() if name in self.units)
        if self._current in self.units:
            # However long it takes, the units after it are not shortened by it.
            left_s -= min(now_s - self._began_s, self._each_s(self._current, pace))
        return max(0.0, left_s)

    def share(self, now_s: float) -> float:
        """Return the part of all work that is done."""
        done_s = self._done_s + (now_s - self._began_s if self._current else 0.0)
        whole_s = done_s + self.left_s(now_s)
        return done_s / whole_s if whole_s else 0.0

    def _each_s(self, name: str, pace: Mapping[str, float]) -> float:
        """Return how long one unit of a name takes: as those before it, or as estimated by the pace of its stage."""
        took_s = self._took_s.get(name)
        # A first run also describes the model and measures accuracy: of several, the middle one counts.
        return median(took_s) if took_s else self.units[name] * pace[_stage(name)]

    def _pace(self, stage: str) -> float:
        """Return how much longer than estimated the units of a stage take here."""
        done = {name: every for name, every in self._took_s.items() if _stage(name) == stage}
        told_s = sum(self.units[name] * len(every) for name, every in done.items())
        return (_TRUST_S + sum(map(sum, done.values()))) / (_TRUST_S + told_s)


def _stage(name: str) -> str:
    first = name.partition(" ")[0]
    return first if first in {"prepare", "idle", "roofs"} else "measure"
