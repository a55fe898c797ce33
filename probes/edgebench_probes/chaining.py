"""Windows of sampled power longer than its samples are held: energies of the pieces are asked for on the way."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

from edgebench_probes.base import Mark, ProbeError, WindowEnergy
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.process import CAPACITY_MAX, CAPACITY_MIN, HELD_S

PIECES_HELD = 4  # a piece ends when the next one is over, so that two are open, and a late thread has as much again
INDEPENDENT = ("timing", "spread")  # parts of the uncertainty that another piece does not repeat


class Chain:
    """One window of sampled power, cut into pieces of `interval_s` by a thread that sleeps in between."""

    def __init__(self, probe: SampledProbe, start: Mark) -> None:
        self._probe = probe
        self._marks = [start]
        self._done: list[WindowEnergy] = []
        self._failed: ProbeError | None = None
        self._stop = threading.Event()
        refresh_s = probe.info.refresh_s
        self.interval_s = max(CAPACITY_MIN * refresh_s, min(HELD_S, CAPACITY_MAX * refresh_s)) / PIECES_HELD
        self._thread = threading.Thread(target=self._cut, name="edgebench-window", daemon=True)
        self._thread.start()

    def _cut(self) -> None:
        while self._failed is None and not self._stop.wait(self.interval_s):
            try:
                self._marks.append(self._probe.mark(sync=False))
                if len(self._marks) == 3:  # the last piece must not be too short: it is left open
                    self._done.append(self._probe.energy(*self._marks[:2]))
                    del self._marks[0]
            except ProbeError as error:
                self._failed = error

    def close(self) -> None:
        """Stop cutting; harmless when it has stopped."""
        self._stop.set()
        self._thread.join()

    def energy(self, end: Mark) -> WindowEnergy:
        """Return the energy from the start to this mark; raises WindowInvalid when a piece has none."""
        self.close()
        if self._failed is not None:
            raise self._failed
        last = self._probe.energy(self._marks[0], end)
        return joined([*self._done, last])


def joined(pieces: Sequence[WindowEnergy]) -> WindowEnergy:
    """Return the window that these pieces make up, end to end.

    What each piece draws anew is added in quadrature (both pieces at a cut draw its time, in opposite directions, which
    makes that too much). All else is added up, as the same clock and, where the power stands, the same step are in all.
    """
    if len(pieces) == 1:
        return pieces[0]
    parts = {
        name: (math.hypot if name in INDEPENDENT else _sum)(*(piece.parts.get(name, 0.0) for piece in pieces))
        for name in dict.fromkeys(name for piece in pieces for name in piece.parts)
    }
    seconds = math.fsum(piece.seconds for piece in pieces)
    return WindowEnergy(
        energy_j=math.fsum(piece.energy_j for piece in pieces),
        seconds=seconds,
        uncertainty_j=math.hypot(*parts.values()),
        parts=parts,
        systematic_j=math.fsum(piece.systematic_j for piece in pieces),
        samples=sum(piece.samples for piece in pieces),
        max_gap_s=max(piece.max_gap_s for piece in pieces),
        coverage=math.fsum(piece.coverage * piece.seconds for piece in pieces) / seconds,
    )


def _sum(*values: float) -> float:
    return math.fsum(values)
