"""What a page of a hundred benchmarks takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from edgebench.report.io import read_report, write_report
from tests.bench.conftest import Record
from tests.golden.make_sample import SAMPLE
from tests.golden.many import many

TIMES = 7


def used_s(*words: object) -> float:
    """Return the median processor time of a command, which others on the machine do not lengthen as the clock's."""
    took = []
    for _ in range(TIMES):
        before = os.times()
        subprocess.run([sys.executable, "-m", "edgebench", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        took.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return median(took)


def test_a_page_of_a_hundred_benchmarks(tmp_path: Path, figure: Record) -> None:
    report, page = tmp_path / "many.json", tmp_path / "many.html"
    write_report(many(read_report(SAMPLE), 100), report)
    for name, most_s, words in (("show", 0.5, ()), ("page", 1.0, ("--html", page))):
        seconds = used_s("show", report, *words)
        figure(f"{name} of 100 benchmarks, start to end", f"{seconds:.2f} s", f"{most_s:g} s", seconds < most_s)
    size = page.stat().st_size
    figure("page of 100 benchmarks", f"{size / 1e6:.2f} MB", "1.5 MB", size < 1.5e6)
