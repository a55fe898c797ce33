"""What a history and its site must reach, with synthetic reports of a hundred benchmarks made of the sample's nine."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from edgebench.commands.main import main
from edgebench.compare.policy import DEFAULT_METRICS
from edgebench.history.entry import Entry, Figure, Outcome, read_entry
from edgebench.history.read import read_history
from edgebench.history.store import add_entries
from edgebench.render.site.build import build_site
from edgebench.render.site.parts import Links
from tests.bench.conftest import Record
from tests.golden.make_sample import SAMPLE

REPORTS, BENCHMARKS, PAGES = 10_000, 100, 1_000
CELL = "m3/mobilenet_v2/baseline/torch/fp32"


def template(folder: Path) -> Path:
    """Write a report of a hundred benchmarks: the sample's, again and again, of other models."""
    data: dict[str, Any] = json.loads(SAMPLE.read_text(encoding="utf-8"))
    rows = data["benchmarks"]
    data["benchmarks"] = [
        {**row, "name": f"m{number // len(rows)}/{row['name']}"}
        for number, row in ((number, rows[number % len(rows)]) for number in range(BENCHMARKS))
    ]
    data["contrasts"] = []
    path = folder / "template.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def varied(entry: Entry, number: int, rng: np.random.Generator) -> Entry:
    """Return a report of another session: every run another, what is exact as it was; three boards take turns."""
    facts = json.loads(entry.facts)
    facts["machine"]["board"] = f"board {number % 3}"
    day, hour = divmod(number, 24)
    return replace(
        entry,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        digest=str(number),
        label=f"r{number}.json",
        created=f"{2020 + day // 336}-{1 + day % 336 // 28:02}-{1 + day % 28:02}T{hour:02}:00:00Z",
        facts=json.dumps(facts),
        outcomes=_varied(entry.outcomes, rng),
    )


def _varied(outcomes: tuple[Outcome, ...], rng: np.random.Generator) -> tuple[Outcome, ...]:
    """Return figures whose runs differ by 0.4 % and whose session by 1 %; what has no runs stays."""
    figures = [one for outcome in outcomes for one in outcome.figures if one.runs]
    lengths = [len(one.runs) for one in figures]
    factors = np.repeat(rng.lognormal(0, 0.01, len(figures)), lengths) * rng.lognormal(0, 0.004, sum(lengths))
    runs = np.concatenate([one.runs for one in figures]) * factors
    bytes_ = np.repeat([one.unit == "B" for one in figures], lengths)
    runs[bytes_] = np.round(runs[bytes_] / 4096) * 4096
    numbers = iter(runs.astype("f4").tolist())

    def changed(one: Figure) -> Figure:
        if not one.runs:
            return one
        own = tuple(islice(numbers, len(one.runs)))
        return replace(one, runs=own, value=None if one.value is None else median(own))

    return tuple(replace(one, figures=tuple(map(changed, one.figures))) for one in outcomes)


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    found = read_entry(template(tmp_path_factory.mktemp("template")))
    assert isinstance(found, Entry)
    return found


def made(entry: Entry, count: int, first: int = 0) -> Iterator[Entry]:
    rng = np.random.default_rng(first)
    return (varied(entry, first + number, rng) for number in range(count))


def seconds() -> float:
    """Processor time of this process and of those it started: other programs are not in it."""
    return sum(
        part.ru_utime + part.ru_stime
        for part in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


@pytest.mark.timeout(7200)
def test_ten_thousand_reports(entry: Entry, tmp_path: Path, figure: Record) -> None:
    path = tmp_path / "h.db"
    for first in range(0, REPORTS, 500):
        add_entries(path, list(made(entry, 500, first)))
    size = path.stat().st_size / REPORTS / 1000
    figure(
        f"history, {REPORTS} reports x {BENCHMARKS} benchmarks: file a report", f"{size:.1f} kB", "<= 20 kB", size <= 20
    )
    took = []
    for number in range(20):
        report = template(tmp_path)
        data = json.loads(report.read_text(encoding="utf-8"))
        data["id"] = f"{number:08x}-1111-4000-8000-000000000000"
        report.write_text(json.dumps(data), encoding="utf-8")
        begin, used = time.perf_counter(), seconds()
        add_entries(path, [read_entry(report)])
        took.append((1000 * (time.perf_counter() - begin), 1000 * (seconds() - used)))
    lasted, used = (median(one) for one in zip(*took, strict=True))
    told = f"{lasted:.0f} ms ({used:.0f} ms of processor)"
    figure("history: add a report, from its file, alone", told, "<= 50 ms", lasted <= 50)
    for name, runs in (("trend", False), ("compare --history", True)):
        begin, used = time.perf_counter(), seconds()
        found = read_history(path, DEFAULT_METRICS, lambda name: name == CELL, runs=runs)
        lasted, used = time.perf_counter() - begin, seconds() - used
        assert len(found) == REPORTS + 20
        figure(
            f"history: what {name} reads of a benchmark",
            f"{lasted:.2f} s ({used:.2f} s of processor)",
            "<= 1 s",
            lasted <= 1,
        )
    begin = time.perf_counter()
    assert main(["trend", str(path), "--only", CELL, "--metric", "latency_s", "-o", str(tmp_path / "trend.txt")]) == 0
    lasted = time.perf_counter() - begin
    figure("history: trend of a benchmark, the whole command", f"{lasted:.2f} s", "<= 1 s", lasted <= 1)


@pytest.mark.timeout(7200)
def test_a_thousand_pages(entry: Entry, tmp_path: Path, figure: Record) -> None:
    path = tmp_path / "h.db"
    add_entries(path, made(entry, PAGES))
    for name, target in (("made", 60.0), ("made again, nothing changed", 5.0)):
        begin, used = time.perf_counter(), seconds()
        build_site(path, tmp_path / "site", Links())
        lasted, used = time.perf_counter() - begin, seconds() - used
        told = f"{lasted:.1f} s ({used:.1f} s of processor)"
        figure(f"site of {PAGES} reports x {BENCHMARKS}, {name}", told, f"<= {target:g} s", lasted <= target)
    add_entries(path, made(entry, 1, PAGES))
    begin = time.perf_counter()
    built = build_site(path, tmp_path / "site", Links())
    lasted = time.perf_counter() - begin
    figure("site, one report more", f"{lasted:.1f} s, {built.written} pages", "<= 20 s, 4 pages", built.written == 4)
