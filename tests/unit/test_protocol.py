"""`ab` across versions: a frozen older worker is understood, and a side that speaks otherwise is refused at once."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from tests.unit.test_ab import SUITE, Quiet, _Calm

from edgebench import __version__
from edgebench.ab import runs as ab_runs
from edgebench.ab.ab import run_ab
from edgebench.ab.kept import Kept
from edgebench.ab.pairs import first_runs
from edgebench.ab.request import Request, prepare
from edgebench.ab.runs import Runner
from edgebench.ab.sides import Environment, check_protocol
from edgebench.compare.policy import Policy
from edgebench.compare.verdict import Verdict
from edgebench.errors import UsageError
from edgebench.report.journal import Journal

FROZEN = Path(__file__).parents[1] / "frozen" / "protocol1"
NEWER = 'import sys; sys.stdout.write(\'{"edgebench":"9.1.0","protocols":[8,7],"more":1}\\n\')'
OLDER = "import sys; sys.stdout.write('edgebench 0.0.9\\n') if '--version' in sys.argv else sys.exit('no such command')"


def python_with(folder: Path, packages: Path) -> Environment:
    """A Python whose `edgebench` is the one in `packages`."""
    folder.mkdir()
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{sys.executable}" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return Environment(folder.name, path)


def speaking(folder: Path, code: str) -> Environment:
    package = folder / "packages" / "edgebench"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(code, encoding="utf-8")
    return python_with(folder / "head", package.parent)


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else runs here: a run is never repeated."""
    monkeypatch.setattr(ab_runs, "disturbance", lambda *_: _Calm())


@pytest.fixture
def request_for(tmp_path: Path) -> Request:
    (tmp_path / "one.toml").write_text(SUITE, encoding="utf-8")
    return Request(str(tmp_path / "one.toml"), (0,), seed=1)


def test_two_frozen_workers_are_compared_to_a_verdict(tmp_path: Path, request_for: Request) -> None:
    sides = [python_with(tmp_path / name, FROZEN) for name in ("base", "head")]
    watch = Quiet()
    found = run_ab(sides[0], sides[1], request_for, Policy(), watch)
    verdicts = {finding.metric: finding.verdict for finding in found.findings if "sustained" not in finding.cell}
    assert verdicts["latency_s"] is Verdict.PASS
    assert verdicts["energy_gross_j"] is Verdict.PASS
    (unable,) = [finding for finding in found.findings if "sustained" in finding.cell]
    assert unable.reason == "base: sustained load heats up"


def test_this_edgebench_and_a_frozen_one_run_the_same_benchmark_with_the_same_loops(
    tmp_path: Path, request_for: Request
) -> None:
    ours = Environment("ours", Path(sys.executable))
    sides = [ours, python_with(tmp_path / "frozen", FROZEN)]
    watch = Quiet()
    runner = Runner(Kept(Journal.open(tmp_path / "runs.journal", "these")))
    cells, reasons = first_runs(sides, prepare(sides, request_for, watch, artifacts=True), runner, watch)
    assert not reasons
    (cell,) = cells
    assert cell.first[0].times.loops == cell.first[1].times.loops == cell.questions[0].loops
    assert cell.first[0].layers is not None
    again = runner.run(ours, cell.questions[0], cell.sides[0], cell.seed)
    assert again.result is not None
    assert again.result.layers is None, "only a first run describes"
    assert again.result.times.loops == cell.first[0].times.loops


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (NEWER, f"head: its edgebench 9.1.0 speaks protocol 8, 7, this edgebench {__version__} speaks protocol 1: "),
        (OLDER, f"head: its edgebench 0.0.9 speaks no protocol of ab, this edgebench {__version__} speaks protocol 1"),
        ("raise SystemExit('broken')", "head: has no edgebench that answers"),
    ],
)
def test_a_side_that_speaks_otherwise_is_refused_in_a_sentence(tmp_path: Path, code: str, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        check_protocol(speaking(tmp_path, code))
