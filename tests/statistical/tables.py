"""The tables and the curve of docs/evidence.md: false alarms and power of common gates and of ours, on the same noise.

`python -m tests.statistical.tables` prints them; `--write` puts them into the golden file and the documentation.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.statistical.gates import CELLS, METRICS, NOISY_PAIRS, RUNS, ab_suite, stored_suite
from tests.statistical.noise import NOISY, QUIET, VALUES, Array, drift, values

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "verdict-power.json"
DOCS = ROOT / "docs" / "evidence.md"
CHANGES = (0.01, 0.02, 0.03, 0.05, 0.07, 0.10)
CURVE_SUITES, NULL_SUITES, SIDE_SUITES = 150, 500, 100
COUNT = CELLS * METRICS

Gate = Callable[[Array, Array], Any]


def power_curve() -> dict[str, dict[str, list[float]]]:
    """Return how often each gate finds each change, in one noisy and one quiet cell of 60 x 2."""
    gates: dict[str, Callable[[np.random.Generator, Array], Any]] = {
        "ab, 10 pairs, two stages": lambda rng, change: ab_suite(rng, change=change),
        "stored, 10 reports of history": lambda rng, change: stored_suite(rng, change=change, history=10),
        "stored, stated prior": lambda rng, change: stored_suite(rng, change=change, history=0),
    }
    found: dict[str, dict[str, list[float]]] = {}
    for name, gate in gates.items():
        curve: dict[str, list[float]] = {"noisy": [], "quiet": []}
        for change in CHANGES:
            rng = np.random.default_rng(round(1000 * change))
            changes = np.zeros(COUNT)
            changes[:2] = np.log1p(change)
            hits = np.mean([gate(rng, changes).regressed[:2] for _ in range(CURVE_SUITES)], axis=0)
            curve["noisy"].append(round(float(hits[0]), 3))
            curve["quiet"].append(round(float(hits[1]), 3))
        found[name] = curve
    return found


def pyperf_says(base: Array, head: Array) -> Any:
    """Return where pyperf's `compare_to` calls the difference significant and slower: its t-test over all values.

    The same formula as pyperf 2.10 (pooled variance, two-sided 95 %), for all cells at once; a test compares it with
    pyperf's own function.
    """
    from scipy.special import stdtrit

    first, second = (np.exp(side).reshape(len(side), -1) for side in (base, head))
    count = first.shape[1]
    pooled = (first.var(axis=1, ddof=1) + second.var(axis=1, ddof=1)) / 2
    score = (second.mean(axis=1) - first.mean(axis=1)) / np.sqrt(pooled * 2 / count)
    return score >= stdtrit(2 * count - 2, 0.975)


def fixed_threshold(base: Array, head: Array) -> Any:
    """Return where the mean is more than 5 % larger."""
    first, second = (np.exp(side).reshape(len(side), -1).mean(axis=1) for side in (base, head))
    return second / first > 1.05


def mann_whitney(base: Array, head: Array) -> Any:
    """Return where Mann-Whitney's U over all values says the head is larger (one-sided 5 %)."""
    from scipy.stats import mannwhitneyu

    first, second = (side.reshape(len(side), -1) for side in (base, head))
    return mannwhitneyu(second, first, alternative="greater", axis=1, method="asymptotic").pvalue < 0.05


PEERS: dict[str, Gate] = {
    "pyperf compare_to (t over all values)": pyperf_says,
    "fixed 5 % on means": fixed_threshold,
    "Mann-Whitney over all values": mann_whitney,
}


def side_by_side() -> dict[str, dict[str, float]]:
    """Return false alarms (a cell, a suite) and how often +5 % and +7 % are found, for the peers and for ours."""
    found = dict(_peers())
    ours: dict[str, Callable[[np.random.Generator, Array], Any]] = {
        "edgebench compare, stated prior": lambda rng, change: stored_suite(rng, change=change, history=0),
        "edgebench compare, 10 reports of history": lambda rng, change: stored_suite(rng, change=change, history=10),
        "edgebench ab, 10 pairs": lambda rng, change: ab_suite(rng, change=change),
    }
    for name, gate in ours.items():
        rng = np.random.default_rng(5)
        null = [gate(rng, np.zeros(COUNT)) for _ in range(NULL_SUITES)]
        row = {
            "cell": float(np.mean([outcome.regressed for outcome in null])),
            "suite": float(np.mean([outcome.alarm for outcome in null])),
        }
        for change in (0.05, 0.07):
            changes = np.zeros(COUNT)
            changes[:2] = np.log1p(change)
            hits = np.array([gate(rng, changes).regressed[:2] for _ in range(CURVE_SUITES)])
            row[f"+{change:.0%}"] = float(hits.mean())
        found[name] = {key: round(value, 5) for key, value in row.items()}
    return found


def _peers() -> Iterator[tuple[str, dict[str, float]]]:
    rng = np.random.default_rng(5)
    nulls: dict[str, list[Any]] = {name: [] for name in PEERS}
    powers: dict[str, dict[float, list[Any]]] = {name: {0.05: [], 0.07: []} for name in PEERS}
    for _ in range(SIDE_SUITES):
        base, head = raw_session(rng), raw_session(rng)
        for name, gate in PEERS.items():
            nulls[name].append(gate(base, head))
            for change, hits in powers[name].items():
                hits.append(gate(base[:2], head[:2] + np.log1p(change)))
    for name in PEERS:
        row = {"cell": float(np.mean(nulls[name])), "suite": float(np.mean(np.any(nulls[name], axis=1)))}
        row |= {f"+{change:.0%}": float(np.mean(hits)) for change, hits in powers[name].items()}
        yield name, {key: round(value, 5) for key, value in row.items()}


def raw_session(rng: np.random.Generator) -> Array:
    """Return the logs of all values of a session, (cell, metric) x runs x values."""
    found = np.empty((COUNT, RUNS, VALUES))
    for kind, chosen in ((NOISY, NOISY_PAIRS), (QUIET, ~NOISY_PAIRS)):
        number = int(chosen.sum())
        found[chosen] = values(kind, number * RUNS, rng).reshape(number, RUNS, VALUES)
    drifts = np.concatenate([drift(CELLS, 0.5, rng) for _ in range(METRICS)])
    found += drifts[:, None, None]
    return found


def as_markdown(curve: dict[str, dict[str, list[float]]], table: dict[str, dict[str, float]]) -> str:
    """Return both tables as the documentation has them."""
    lines = ["| gate | false alarms a cell | suites with one | finds +5 % | finds +7 % |", "|---|--:|--:|--:|--:|"]
    for name, row in table.items():
        cells = [f"{100 * row['cell']:.2f} %", f"{100 * row['suite']:.1f} %"]
        cells += [f"{100 * row[key]:.0f} %" for key in ("+5%", "+7%")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "| found in | " + " | ".join(f"+{change:.0%}" for change in CHANGES) + " |"]
    lines.append("|---|" + "--:|" * len(CHANGES))
    for name, kinds in curve.items():
        for kind, rates in kinds.items():
            lines.append(f"| {name}, {kind} cell | " + " | ".join(f"{100 * rate:.0f} %" for rate in rates) + " |")
    return "\n".join(lines) + "\n"


def between(text: str, name: str, tables: str) -> str:
    """Return the documentation with these tables between its markers of that name."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(pattern, lambda found: found[1] + tables + found[2], text, flags=re.DOTALL)


def main() -> None:
    """Print the tables, or write them where they belong."""
    curve, table = power_curve(), side_by_side()
    if "--write" in sys.argv:
        GOLDEN.write_text(json.dumps({"curve": curve, "side_by_side": table}, indent=1) + "\n", encoding="utf-8")
        DOCS.write_text(
            between(DOCS.read_text(encoding="utf-8"), "tables", as_markdown(curve, table)), encoding="utf-8"
        )
    sys.stdout.write(as_markdown(curve, table))


if __name__ == "__main__":
    main()
