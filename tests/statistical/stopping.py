"""The table of sequential stopping in docs/evidence.md: what is left of the 95 % where runs go on until it is narrow.

`python -m tests.statistical.stopping` prints it (some minutes of a processor); `--write` puts it into the golden file
and the documentation.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from statistics import median

import numpy as np

from edgebench.plan.suitefile import Measure
from edgebench.report.intervals import interval
from edgebench.report.precision import enough
from tests.statistical.intervals import WORLDS
from tests.statistical.noise import Array
from tests.statistical.tables import DOCS, ROOT, between

GOLDEN = ROOT / "tests" / "golden" / "stopping.json"
ASKED = (0.01, 0.02, 0.05)
BENCHMARKS = 2000
LEAST, MOST = Measure().min_runs, Measure().max_runs
# How many benchmarks wait for each other, and whether they stop at once.
RULES: dict[str, tuple[int, bool]] = {
    "at the first narrow interval": (1, True),
    "**ours**, a benchmark alone": (1, False),
    "**ours**, six in a group": (6, False),
}


def stopped(runs: Array, asked: float, *, at_once: bool = False) -> list[tuple[int, tuple[float, float] | None]]:
    """Return of each benchmark of a group how many runs it has when measuring ends, and its interval then."""
    values = np.exp(runs).tolist()

    @cache
    def ends(count: int) -> list[tuple[float, float] | None]:
        return [interval(own[:count]) for own in values]

    @cache
    def narrow(count: int) -> bool:
        return all(
            end is not None and max(end[1] / (centre := median(own[:count])), centre / end[0]) - 1 <= asked
            for end, own in zip(ends(count), values, strict=True)
        )

    over = narrow if at_once else lambda count: enough(narrow, LEAST, count)
    count = next((count for count in range(LEAST, MOST) if over(count)), MOST)
    return [(count, end) for end in ends(count)]


def coverage(benchmarks: int = BENCHMARKS) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return by world, rule and precision: share of intervals that hold the truth, mean number of runs, share early."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for name, world in WORLDS.items():
        walks = name.startswith("random walk")
        truth = 0.0 if walks else float(np.median(world(np.random.default_rng(1), (200_000, 1))))
        found[name] = {}
        for rule, (group, at_once) in RULES.items():
            found[name][rule] = {}
            for asked in ASKED:
                rng = np.random.default_rng(14)
                groups = (world(rng, (group, MOST)) for _ in range(benchmarks // group))
                ended = [one for runs in groups for one in stopped(runs, asked, at_once=at_once)]
                given = np.log([end for _, end in ended if end is not None])
                held = (given[:, 0] <= truth) & (truth <= given[:, 1])
                counts = [count for count, _ in ended]
                early = np.mean([count < MOST for count in counts])
                found[name][rule][f"{asked:.0%}"] = [
                    round(float(held.mean()), 3),
                    round(float(np.mean(counts)), 1),
                    round(float(early), 3),
                ]
        sys.stderr.write(f"{name}: {found[name]}\n")
    return found


def as_markdown(table: dict[str, dict[str, dict[str, list[float]]]]) -> str:
    """Return the table as the documentation has it."""
    titles = [f"±{100 * asked:g} % asked" for asked in ASKED]
    lines = [f"| runs are | one stops | {' | '.join(titles)} |"]
    lines.append("|---|---|" + "--:|" * len(ASKED))
    for world, rules in table.items():
        for rule, cells in rules.items():
            shown = [
                f"{100 * held:.1f} % ({runs:.0f} runs{'' if early > 0.995 else f', {100 * early:.0f} % end early'})"
                for held, runs, early in cells.values()
            ]
            lines.append(f"| {world} | {rule} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, or write it where it belongs."""
    table = coverage()
    text = as_markdown(table)
    if "--write" in sys.argv:
        GOLDEN.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        DOCS.write_text(between(DOCS.read_text(encoding="utf-8"), "stopping", text), encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
