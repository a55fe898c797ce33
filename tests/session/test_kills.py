"""Sessions and their processes are killed at any point: no finished run is lost, none is measured twice."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from edgebench.commands.targets import REPORTS
from edgebench.machine.facts import in_container
from edgebench.report.io import read_report
from tests.session.conftest import Edgebench
from tests.session.kills import (
    PREPARED,
    PREPARER,
    SAMPLER,
    SUITE,
    WORKER,
    command,
    kill,
    processes,
    records,
    start,
    until,
)

pytestmark = pytest.mark.session


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "kills.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture
def marked(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment by which this test's processes are known, with a folder for temporary files of its own."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return {**environment, "MARK": str(tmp_path), "TMPDIR": str(scratch)}


def read(target: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return found


def test_a_worker_killed_in_its_third_run_leaves_the_two_before_it(
    edgebench: Edgebench, marked: dict[str, str], suite: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    process = start(suite, target, marked, "--only", "conv3x3*")
    until(lambda: len(records(tmp_path)) == 2)
    killed: set[int] = set()
    while process.poll() is None and len(killed) < 2:
        for pid in processes(f"MARK={tmp_path}", WORKER):
            if pid not in killed:
                killed.add(pid)
                kill(pid)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1, stderr
    report = read(target)
    assert report["status"] == "partial"
    (cell,) = report["benchmarks"]
    assert cell["status"] == "ok"
    assert len(cell["metrics"]["latency_s"]["runs"]) == 2
    (notice,) = [found for found in cell["warnings"] if found["code"] == "runs-missing"]
    assert notice["text"].startswith("2 of 3 runs (run 3 failed: the process was ended by SIGKILL")
    again = edgebench(*command(suite, target, "--only", "conv3x3*", "--resume")[3:])
    assert again.code == 0, again.stderr
    after = read(target)
    assert after["status"] == "complete"
    assert after["benchmarks"][0]["metrics"]["latency_s"]["runs"][:2] == cell["metrics"]["latency_s"]["runs"]
    assert len(after["benchmarks"][0]["order"]) == 3


def test_a_worker_killed_once_is_measured_again(marked: dict[str, str], suite: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    process = start(suite, target, marked, "--only", "conv3x3*")
    until(lambda: processes(f"MARK={tmp_path}", WORKER))
    kill(processes(f"MARK={tmp_path}", WORKER)[0])
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "is measured again, as it failed" in stderr
    report = read(target)
    assert report["status"] == "complete"
    assert len(report["benchmarks"][0]["order"]) == 3


@pytest.mark.parametrize("numbers", [(signal.SIGHUP,), (signal.SIGINT, signal.SIGINT, signal.SIGTERM)])
def test_every_signal_leaves_a_valid_partial_report(
    edgebench: Edgebench, marked: dict[str, str], suite: Path, tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    target = tmp_path / "report.json"
    process = start(suite, target, marked)
    until(lambda: records(tmp_path))
    for number in numbers:
        process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "fault" not in stderr
    assert edgebench("validate", target).code == 0
    assert read(target)["status"] == "partial"
    assert len(list(tmp_path.glob("*.journal"))) == 1


@pytest.mark.parametrize("redirection", [">/dev/full", "| true", "2>/dev/full >/dev/full"])
def test_a_report_that_nobody_takes_is_told_with_its_journal_and_written_by_resume(
    edgebench: Edgebench, marked: dict[str, str], suite: Path, redirection: str
) -> None:
    line = shlex.join(command(suite, "-", "--processes", "1", "--only", "copy*"))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line} {redirection}"],
        env=marked, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "fault" not in done.stderr
    if "2>" not in redirection:
        assert "could not be written to standard output" in done.stderr
        assert ".journal: the same command with --resume" in done.stderr
    again = edgebench(*command(suite, "-", "--processes", "1", "--only", "copy*", "--resume")[3:])
    assert again.code == 0
    assert again.report["status"] == "complete"
    assert "measure:" not in again.stderr, "nothing is measured twice"


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_a_session_whose_remarks_nobody_reads_ends_well(
    marked: dict[str, str], suite: Path, tmp_path: Path, closed: str
) -> None:
    target = tmp_path / "report.json"
    line = shlex.join(command(suite, target, "--processes", "1", "--only", "copy*"))
    done = subprocess.run(["bash", "-c", f"{line} {closed}"], env=marked, check=False, timeout=120)
    assert done.returncode == 0
    assert read(target)["status"] == "complete"


def test_a_closed_stdout_is_refused_before_measuring(marked: dict[str, str], suite: Path) -> None:
    line = shlex.join(command(suite, "-"))
    done = subprocess.run(
        ["bash", "-c", f"{line} >&-"], env=marked, stderr=subprocess.PIPE, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert "standard output is closed" in done.stderr
    assert "measure:" not in done.stderr


def test_a_disk_that_fills_up_in_mid_session_still_takes_the_report(
    edgebench: Edgebench, marked: dict[str, str], suite: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=18m", "tmpfs", disk], check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        process = start(suite, disk / "report.json", marked)
        until(lambda: len(records(disk)) == 2)
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 1, stderr
        assert "No space left" in stderr
        report = read(disk / "report.json")
        assert report["status"] == "partial"
        shown = [cell for cell in report["benchmarks"] if cell["status"] == "ok"]
        assert sum(len(cell["order"]) for cell in shown) >= 2
        (disk / "filler").unlink()
        done = edgebench(*command(suite, disk / "report.json", "--resume")[3:])
        assert done.code == 0, done.stderr
        assert read(disk / "report.json")["status"] == "complete"
    finally:
        subprocess.run(["umount", disk], check=True)


def test_in_a_container_a_terminal_alone_takes_no_report(marked: dict[str, str], suite: Path) -> None:
    if not in_container() or REPORTS.is_mount():
        pytest.skip("this is no container, or one with /reports")
    mine, theirs = pty.openpty()
    line = [word for word in command(suite, "-") if word not in {"-o", "-"}]
    done = subprocess.run(
        line, env=marked, cwd="/", stdout=theirs, stderr=subprocess.PIPE, text=True, check=False, timeout=120
    )
    os.close(theirs)
    os.close(mine)
    assert done.returncode == 2
    assert '-v "$PWD:/reports"' in done.stderr
    assert "measure:" not in done.stderr


def test_resume_refuses_other_ground_and_keeps_every_journal(
    edgebench: Edgebench, marked: dict[str, str], suite: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    for number in (1, 2, 3):
        process = start(suite, target, marked)
        until(lambda: len(list(tmp_path.glob(".edgebench-*.journal.old-*"))) == number - 1)  # noqa: B023
        until(lambda: records(tmp_path))
        process.kill()
        process.communicate()
    (journal,) = tmp_path.glob(".edgebench-*.journal")
    before = journal.read_bytes()
    line = command(suite, target, "--resume")[3:]
    refused = edgebench(*line, EDGEBENCH_BOARD="another board")
    assert refused.code == 2
    assert "ran with board " in refused.stderr
    assert "now it is another board" in refused.stderr
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"not the same")
    refused = edgebench(*line, "--weights", weights)
    assert refused.code == 2
    assert "ran with weights none, now it is sha256:" in refused.stderr
    assert journal.read_bytes() == before


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(0)], id="long")])
def test_kills_at_random_points_lose_nothing_and_leave_nothing(
    marked: dict[str, str], suite: Path, tmp_path: Path, kills: int
) -> None:
    suite.write_text(PREPARED, encoding="utf-8")
    mark, chance, sent, number = f"MARK={tmp_path}", random.Random(kills), 0, 0  # noqa: S311  # chance, not secrecy
    victims = {"": 0, WORKER: 0, SAMPLER: 0, PREPARER: 0}
    while sent < kills:
        number += 1
        marked = {**marked, "EDGEBENCH_CACHE": str(tmp_path / f"cache{number}")}
        folder = tmp_path / f"session{number}"
        folder.mkdir()
        target, before = folder / "report.json", list[dict[str, Any]]()
        while not (target.exists() and read(target)["status"] == "complete"):
            stamp = target.stat().st_mtime_ns if target.exists() else 0
            process = start(suite, target, marked, "--resume")
            while process.poll() is None and sent < kills:
                time.sleep(chance.uniform(0.0, 5.0))
                victim = chance.choice([*victims])
                pids = [process.pid] if not victim else processes(mark, victim)
                if pids and process.poll() is None:
                    kill(pids[0], chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]))
                    sent += 1
                    victims[victim] += 1
                # Of a session that is killed right now the journal may be read torn: only what is whole counts.
                before = whole(before, records(folder))
            _, stderr = process.communicate(timeout=300)
            assert "fault" not in stderr
            # While Python itself starts, it answers ctrl-C in its own words.
            assert "Traceback" not in stderr or " s] " not in stderr, stderr
            until(lambda: not processes(mark), 30)
            if target.exists():
                report = read_report(target)
                shown = {cell.name: cell.metrics["latency_s"].runs for cell in report.benchmarks if cell.status == "ok"}
                for record in before:
                    # A session that is stopped before it has begun again leaves the report of the part before.
                    if target.stat().st_mtime_ns != stamp:
                        runs = shown[record["cell"]]
                        assert runs is not None
                        assert list(runs[record["turn"]]) == record["result"]["times"]["values"], "a finished run stays"
            before = whole(before, records(folder))
        assert sorted(path.name for path in folder.iterdir()) == ["report.json"]
        places = [place for cell in read(target)["benchmarks"] for place in cell["order"]]
        assert sorted(places) == list(range(9)), "every run was measured exactly once"
        assert list((tmp_path / "scratch").iterdir()) == [], "no temporary file outlives the next session"
        stored = tmp_path / f"cache{number}" / "artifacts"
        assert not list(stored.glob(".*")), "no half-made artifact outlives the next session"
    assert kills < 50 or all(victims.values()), victims


def whole(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs that a journal holds, after those seen before: none is lost, and none comes twice."""
    assert now[: len(before)] == before or not now
    assert len({(record["cell"], record["turn"]) for record in now}) == len(now)
    return now or before
