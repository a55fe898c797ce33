"""The table of `trend` in docs/evidence.md: false changes, hits and delay, ours beside Apache Otava's and asv's.

`python -m tests.statistical.trends` prints it; `--write` puts it into the golden file and the documentation.
`--peers PYTHON` runs the peers in another environment, which has apache-otava, asv and numpy; without it their rows are
those of the golden file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from edgebench.compare.trend import change_points
from tests.statistical.noise import Array
from tests.statistical.tables import DOCS, ROOT, between

GOLDEN = ROOT / "tests" / "golden" / "trend.json"
SERIES, LENGTH, PLACE, NOISE, STEP = 200, 40, 20, 0.03, 0.05
BEFORE, LONGEST = 20, 40
# A change counts as found this near to its report: at 5 % in 3 % noise nothing places it better.
NEAR = 3
Finder = Callable[[Sequence[float]], Sequence[int]]
# What the peers' interpreter runs: lists of series in, lists of places out.
_PEERS = """
import json, sys
from asv.step_detect import detect_steps
from otava.analysis import compute_change_points
def otava(values):
    return [int(point.index) for point in compute_change_points(values, window_len=50, max_pvalue=0.001)[0]]
def asv(values):
    return [int(step[0]) for step in detect_steps(values)[1:]]
series = json.load(sys.stdin)
found = {name: [find(one) for one in series] for name, find in (("otava", otava), ("asv", asv))}
json.dump(found, sys.stdout)
"""


def correlated(rng: np.random.Generator, series: int, length: int, rho: float, sd: float) -> Array:
    """Return series of an autoregression of first order with this standard deviation, series x length."""
    noise = rng.normal(size=(series, length))
    found = np.empty_like(noise)
    found[:, 0] = noise[:, 0]
    for place in range(1, length):
        found[:, place] = rho * found[:, place - 1] + np.sqrt(1 - rho**2) * noise[:, place]
    return sd * found


def still(rho: float, series: int = SERIES, sd: float = NOISE) -> list[list[float]]:
    """Return series in which nothing changes."""
    found: list[list[float]] = np.exp(correlated(np.random.default_rng(21), series, LENGTH, rho, sd)).tolist()
    return found


def stepped(series: int = SERIES) -> list[list[float]]:
    """Return series of independent noise that step up by 5 % in the middle."""
    logs = correlated(np.random.default_rng(22), series, LENGTH, 0.0, NOISE)
    logs[:, PLACE:] += np.log1p(STEP)
    found: list[list[float]] = np.exp(logs).tolist()
    return found


def growing(series: int = SERIES) -> list[list[list[float]]]:
    """Return for each series what is known after every report that follows the step."""
    logs = correlated(np.random.default_rng(23), series, BEFORE + LONGEST, 0.0, NOISE)
    logs[:, BEFORE:] += np.log1p(STEP)
    return [[row[: BEFORE + count].tolist() for count in range(1, LONGEST + 1)] for row in np.exp(logs)]


def scores(find: Callable[[list[list[float]]], list[Sequence[int]]], series: int = SERIES) -> dict[str, float]:
    """Return shares of false changes, of hits (within three of the step), and the median delay in reports."""
    found = {f"false, AR {rho:g}": _share(find(still(rho, series))) for rho in (0.0, 0.4, 0.7)}
    hits = [any(abs(point - PLACE) <= NEAR for point in points) for points in find(stepped(series))]
    found["hits"] = round(float(np.mean(hits)), 3)
    cases = growing(series)
    answers = iter(find([one for case in cases for one in case]))
    delays = [_delay([next(answers) for _ in case]) for case in cases]
    found["delay"] = float(np.median(delays))
    return found


def _share(found: Sequence[Sequence[int]]) -> float:
    return round(float(np.mean([bool(len(points)) for points in found])), 3)


def _delay(found: Sequence[Sequence[int]]) -> int:
    """Return after how many reports the step was first found near its place; one more than all if it never was."""
    near = (count for count, points in enumerate(found, 1) if any(abs(point - BEFORE) <= NEAR for point in points))
    return next(near, LONGEST + 1)


def ours(series: list[list[float]]) -> list[Sequence[int]]:
    """Return the change points that `trend` finds."""
    return [change_points(one) for one in series]


def still_share(rho: float, series: int) -> float:
    """Return the share of series without a change in which `trend` sees one."""
    return _share(ours(still(rho, series)))


def hits(series: int) -> float:
    """Return the share of steps that `trend` finds near their place."""
    return float(np.mean([any(abs(point - PLACE) <= NEAR for point in points) for points in ours(stepped(series))]))


def table(peers: str | None) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the rows, the peers' where their interpreter is given."""
    yield "edgebench trend", scores(ours)
    if peers is not None:
        for name, title in (("otava", "Apache Otava 0.8.0 (p < 0.001)"), ("asv", "asv 0.6.6 detect_steps")):

            def find(series: list[list[float]], name: str = name) -> list[Sequence[int]]:
                done = subprocess.run(
                    [str(peers), "-c", _PEERS], input=json.dumps(series), capture_output=True, text=True, check=True
                )
                found: Mapping[str, list[Sequence[int]]] = json.loads(done.stdout)
                return found[name]

            yield title, scores(find)


def as_markdown(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table as the documentation has it."""
    names = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    for name, row in rows.items():
        cells = [f"{value:.0f} reports" if key == "delay" else f"{100 * value:.0f} %" for key, value in row.items()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, or write it where it belongs."""
    peers = sys.argv[sys.argv.index("--peers") + 1] if "--peers" in sys.argv else None
    rows = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.is_file() else {}
    rows |= dict(table(peers))
    text = as_markdown(rows)
    if "--write" in sys.argv:
        GOLDEN.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        DOCS.write_text(between(DOCS.read_text(encoding="utf-8"), "trend", text), encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
