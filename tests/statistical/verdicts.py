"""Whole comparisons of made-up sessions: 60 cells and 2 metrics through all of `compare`, history included."""

from __future__ import annotations

import numpy as np

from edgebench.compare.cells import Cell, Session, sample_of
from edgebench.compare.policy import Policy
from edgebench.compare.stored import compare_stored
from edgebench.compare.verdict import Comparison
from tests.statistical.gates import CELLS
from tests.statistical.noise import SESSION_SD, Array
from tests.statistical.worlds import World, plain, sessions_of

_METRICS = (("latency_s", "s"), ("energy_gross_j", "J"))


def compared(
    seed: int,
    *,
    history: int,
    runs: int,
    spread: float = SESSION_SD,
    change: float = 0.0,
    world: World = plain,
) -> Comparison:
    """Return the comparison with a head all of whose cells are slower by `change` (log)."""
    rng = np.random.default_rng(seed)
    logs = [sessions_of(world, rng, history + 2, CELLS, runs, spread) for _ in _METRICS]
    for metric in logs:
        metric[1] += change
    base, head, *earlier = (_session(place, [metric[place] for metric in logs]) for place in range(history + 2))
    policy = Policy(metrics=tuple(name for name, _ in _METRICS))
    return compare_stored(base, head, earlier, policy)


def _session(number: int, logs: list[Array]) -> Session:
    cells = {}
    for place in range(CELLS):
        samples = {
            name: sample_of(name, unit, "lower", np.exp(metric[place])[:, None].tolist())
            for (name, unit), metric in zip(_METRICS, logs, strict=True)
        }
        cells[f"cell{place}"] = Cell(f"cell{place}", "ok", None, {}, samples, {})
    return Session(
        label=f"r{number}", id=str(number), created="", partial=False, cautions=(), hard={}, soft={}, cells=cells
    )
