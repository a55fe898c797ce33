"""How long a session still takes: its estimate, corrected by how long its steps took here until now."""

from __future__ import annotations

from dataclasses import dataclass

# Before so much of the estimate is done, the start of the session itself would be taken for the machine's speed.
_TELLING_SHARE = 0.02


@dataclass(slots=True)
class Eta:
    """What is left of `total_s` estimated seconds; times are seconds since the session's start."""

    total_s: float
    done_s: float = 0.0
    at_s: float = 0.0

    def advance(self, estimated_s: float, now_s: float) -> None:
        """Count a step as done, whatever it took."""
        self.done_s += estimated_s
        self.at_s = now_s

    def spare(self, estimated_s: float) -> None:
        """Leave out a step that needs no doing: it tells nothing of the speed."""
        self.total_s = max(self.done_s, self.total_s - estimated_s)

    def left_s(self, now_s: float) -> float | None:
        """Return the seconds that are left by the measured speed; None before any step has told of it."""
        if self.done_s < _TELLING_SHARE * self.total_s or not self.done_s:
            return None
        speed = self.at_s / self.done_s
        return max(0.0, (self.total_s - self.done_s) * speed - (now_s - self.at_s))
