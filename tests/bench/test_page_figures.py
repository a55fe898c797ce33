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


def test_a_page_of_a_hundred_benchmarks(tmp_path: Path, figure: Record) -> None:
    report, page = tmp_path / "many.json", tmp_path / "many.html"
    write_report(many(read_report(SAMPLE), 100), report)
    took = []
    for _ in range(TIMES):
        # Processor time, which others on the machine do not lengthen as they do the clock's.
        before = os.times()
        subprocess.run([sys.executable, "-m", "edgebench", "show", report, "--html", page], check=True)
        after = os.times()
        took.append(after.children_user + after.children_system - before.children_user - before.children_system)
    seconds, size = median(took), page.stat().st_size
    figure("page of 100 benchmarks, start to end", f"{seconds:.2f} s of processor time", "1 s", seconds < 1)
    figure("page of 100 benchmarks", f"{size / 1e6:.2f} MB", "1.5 MB", size < 1.5e6)
