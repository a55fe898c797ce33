"""The table of intervals in docs/evidence.md: how often each kind of interval holds the truth, and how wide it is.

`python -m tests.statistical.intervals` prints it; `--write` puts it into the golden file and the documentation.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgebench.compare.shrink import fit_prior, shrink
from edgebench.report.intervals import MIN_RUNS, interval, spread_of
from tests.statistical.noise import Array
from tests.statistical.tables import DOCS, ROOT, between

GOLDEN = ROOT / "tests" / "golden" / "intervals.json"
RUNS = (2, 3, 5, 10, 30)
CELLS, SESSIONS, SD = 12, 400, 0.015
SLOW = math.log(1.28)
World = Callable[[np.random.Generator, tuple[int, int]], Array]


def _outliers(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    return SD * rng.normal(size=size) + rng.uniform(0.1, 0.4, size) * (rng.random(size) < 0.05)


def _speeds(share: float) -> World:
    return lambda rng, size: SD * rng.normal(size=size) + SLOW * (rng.random(size) < share)


def _walk(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    return 0.005 * rng.normal(size=size) + np.cumsum(0.01 * rng.normal(size=size), axis=1)


# What runs do (logarithms), and the truth that an interval of the median, or of the mean, has to hold.
WORLDS: Mapping[str, World] = {
    "log-normal": lambda rng, size: SD * rng.normal(size=size),
    "5 % outlier runs": _outliers,
    "two speeds, 20/80": _speeds(0.2),
    "random walk between runs": _walk,
}


def _student(logs: Array) -> Array:
    """Return the half-width of Student's t over the logs of each row."""
    from scipy.special import stdtrit

    count = logs.shape[1]
    found: Array = stdtrit(count - 1, 0.975) * logs.std(axis=1, ddof=1) / math.sqrt(count)
    return found


def _shrunk(logs: Array) -> Array:
    """Return the half-width of a t whose variances are shrunk over the session's cells."""
    from scipy.special import stdtrit

    own, df = logs.var(axis=1, ddof=1), np.full(len(logs), float(logs.shape[1] - 1))
    prior = fit_prior(own, df)
    assert prior is not None
    variance, freedom = shrink(own, df, prior)
    found: Array = stdtrit(freedom, 0.975) * np.sqrt(variance / logs.shape[1])
    return found


def coverage(sessions: int = SESSIONS) -> dict[str, dict[str, dict[str, list[float] | None]]]:
    """Return by world, interval and number of runs: share that holds the truth, half-width, share that is given."""
    found: dict[str, dict[str, dict[str, list[float] | None]]] = {}
    for name, world in WORLDS.items():
        rng = np.random.default_rng(12)
        sample = world(np.random.default_rng(1), (200_000, 1))
        mean, median = (0.0, 0.0) if world is _walk else (float(np.mean(sample)), float(np.median(sample)))
        rows: dict[str, dict[str, list[float] | None]] = {"t": {}, "shrunk": {}, "median": {}}
        for runs in RUNS:
            drawn = [world(rng, (CELLS, runs)) for _ in range(sessions)]
            for kind, width in (("t", _student), ("shrunk", _shrunk)):
                halves = np.concatenate([width(logs) for logs in drawn])
                gaps = np.abs(np.concatenate([logs.mean(axis=1) for logs in drawn]) - mean)
                rows[kind][str(runs)] = _rounded(np.mean(gaps <= halves), np.median(halves), 1.0)
            rows["median"][str(runs)] = _ours(np.concatenate(drawn), median) if runs >= MIN_RUNS else None
        found[name] = rows
    return found


def _ours(logs: Array, truth: float) -> list[float]:
    ends = [interval(np.exp(row).tolist()) for row in logs]
    given = np.log([end for end in ends if end is not None])
    held = (given[:, 0] <= truth) & (truth <= given[:, 1])
    return _rounded(held.mean(), np.median((given[:, 1] - given[:, 0]) / 2), len(given) / len(ends))


def _rounded(held: Any, half: Any, given: float) -> list[float]:
    return [round(float(held), 3), round(float(half), 4), round(float(given), 3)]


def recognised(cells: int = 4000) -> dict[str, dict[str, dict[str, float]]]:
    """Return how often runs of each world get each remark, by number of runs."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, world in WORLDS.items():
        rng = np.random.default_rng(13)
        found[name] = {}
        for runs in RUNS[2:]:
            counts = dict.fromkeys(("outlying", "bimodal", "trending"), 0)
            for row in world(rng, (cells, runs)):
                for remark in spread_of([[value] for value in np.exp(row).tolist()]).remarks:
                    counts[remark.kind] += 1
            found[name][str(runs)] = {kind: round(count / cells, 3) for kind, count in counts.items()}
    return found


def as_markdown(
    table: dict[str, dict[str, dict[str, list[float] | None]]], remarks: dict[str, dict[str, dict[str, float]]]
) -> str:
    """Return both tables as the documentation has them."""
    titles = {"t": "Student's t", "shrunk": "t, variances shrunk over 12 cells", "median": "**ours**: order statistics"}
    lines = ["| runs are | 95 % interval | " + " | ".join(f"{runs} runs" for runs in RUNS) + " |"]
    lines.append("|---|---|" + "--:|" * len(RUNS))
    for world, rows in table.items():
        for kind, cells in rows.items():
            shown = [_cell(cells[str(runs)]) for runs in RUNS]
            lines.append(f"| {world} | {titles[kind]} | {' | '.join(shown)} |")
    lines += ["", "| recognised as | " + " | ".join(f"{runs} runs" for runs in RUNS[2:]) + " |"]
    lines.append("|---|" + "--:|" * len(RUNS[2:]))
    for world, by_runs in remarks.items():
        shown = [
            ", ".join(f"{kind} {share:.0%}".replace("%", " %") for kind, share in by_runs[str(runs)].items() if share)
            for runs in RUNS[2:]
        ]
        lines.append(f"| {world} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _cell(found: list[float] | None) -> str:
    if found is None:
        return "range"
    held, half, given = found
    more = "" if given > 0.995 else f", given in {100 * given:.0f} %"
    return f"{100 * held:.0f} % (±{100 * half:.1f} %{more})"


def main() -> None:
    """Print the tables, or write them where they belong."""
    table, remarks = coverage(), recognised()
    text = as_markdown(table, remarks)
    if "--write" in sys.argv:
        GOLDEN.write_text(json.dumps({"coverage": table, "remarks": remarks}, indent=1) + "\n", encoding="utf-8")
        DOCS.write_text(between(DOCS.read_text(encoding="utf-8"), "intervals", text), encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
