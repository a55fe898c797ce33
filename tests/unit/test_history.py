"""A history gives what the folder of its reports gives, holds against writers, kills and strangers."""

from __future__ import annotations

import json
import multiprocessing
import random
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.reports import HARD, benchmark, report, suite

from edgebench.commands.main import main
from edgebench.compare.cells import Session
from edgebench.compare.policy import DEFAULT_METRICS
from edgebench.compare.sessions import read_folder
from edgebench.errors import HistoryError
from edgebench.history import frame
from edgebench.history.condensed import heads, reports
from edgebench.history.entry import DERIVED, is_judged, read_entry
from edgebench.history.file import opened
from edgebench.history.packed import packed, unpacked
from edgebench.history.read import read_history
from edgebench.history.store import add_entries, prune
from edgebench.report.io import parse_report, read_report

SAMPLE = Path(__file__).parents[1] / "golden" / "sample.json"
METRICS = (*DEFAULT_METRICS, "latency_s.p50", "latency_s.p95", "energy_gross_j.package", "energy_gross_j.dram", "loss")


def write(folder: Path, data: dict[str, Any], name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def shelf(folder: Path, count: int = 14) -> Path:
    """A folder of releases of one board, one report of another, the sample, and two that are less than whole."""
    for index in range(count):
        data = suite(index, slower={1: 1.1} if index >= 8 else None, created=f"2026-02-{index + 1:02}T00:00:00Z")
        data["warnings"] = [{"code": "noisy", "text": f"Another program used {index}.5 processors"}]
        write(folder, data, f"r{index}")
    write(folder, suite(99, fingerprint={"hard": {**HARD, "cpu": "Another CPU"}, "soft": {}}), "other")
    write(folder / "deep", json.loads(SAMPLE.read_text(encoding="utf-8")), "sample")
    failed = suite(
        7, created="2026-03-01T00:00:00Z", status="partial", machine={"cpu": "c", "cores": 1, "throttled": True}
    )
    failed["benchmarks"][0] |= {"status": "failed", "reason": "it was not ready", "metrics": {}}
    failed["benchmarks"][1]["metrics"]["latency_s"]["runs"] = [[0.01], [0.01, 0.02]]
    failed["benchmarks"][2]["missing"] = {"energy_gross_j.dram": {"reason": "no zone", "fix": "another board"}}
    write(folder, failed, "failed")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shelf(tmp_path / "reports")


@pytest.fixture
def history(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "history.db"
    assert main(["history", "add", str(folder), "--to", str(path)]) == 0
    return path


def test_a_history_gives_the_sessions_of_its_folder(folder: Path, history: Path) -> None:
    wanted = read_folder(folder, METRICS).sessions
    assert read_history(history, METRICS) == wanted
    assert any(sample.fault for one in wanted for cell in one.cells.values() for sample in cell.samples.values())
    few = read_history(history, METRICS, lambda name: name == "cell1")
    assert [dict(one.cells) for one in few] == [
        {name: cell for name, cell in one.cells.items() if name == "cell1"} for one in wanted
    ]


def test_commands_say_the_same_of_a_history_and_of_its_folder(
    folder: Path, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str) -> tuple[int, str]:
        code = main([*arguments])
        return code, capsys.readouterr().out

    for options in ([], ["--only", "cell1"], ["--metric", "latency_s.p95"], ["--metric", "energy_gross_j.package"]):
        assert said("trend", str(history), "--format", "json", *options) == said(
            "trend", str(folder), "--format", "json", *options
        )
    base, head = folder / "r2.json", folder / "r12.json"
    for options in ([], ["--metric", "latency_s"], ["--metric", "latency_s.p99"]):
        verdicts = [
            said("compare", str(base), str(head), "--history", str(past), "--format", "json", *options)
            for past in (history, folder)
        ]
        assert verdicts[0] == verdicts[1]
        assert len(json.loads(verdicts[0][1])["findings"]) >= 4


def test_show_of_a_history_is_that_of_the_newest_reports(
    folder: Path, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = [str(folder / name) for name in ("r13.json", "failed.json", "deep/sample.json")]
    capsys.readouterr()
    assert main(["show", *newest, "--metric", "energy_gross_j"]) == 0
    files = capsys.readouterr().out
    assert main(["show", str(history), "--metric", "energy_gross_j"]) == 0
    tables = [text.partition("gross")[2] for text in (files, capsys.readouterr().out)]
    assert tables[0]
    assert tables[0] == tables[1]


def test_equal_boards_are_two_boards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = tmp_path / "h.db"
    machine = {"cpu": "Test CPU", "cores": 4, "board": "N150"}
    for number, unit in enumerate(("a", "b", "a")):
        told = suite(number, machine={**machine, "unit": unit}, created=f"2026-01-0{1 + number}T00:00:00Z")
        (tmp_path / f"{number}.json").write_text(json.dumps(told), encoding="utf-8")
    assert main(["history", "add", str(tmp_path), "--to", str(history)]) == 0
    assert [head.board for head in heads(history)] == ["N150 (a)", "N150 (b)", "N150 (a)"]
    assert [session.unit for session in read_history(history, ("latency_s",))] == ["a", "b", "a"]
    capsys.readouterr()
    assert main(["show", str(history)]) == 0
    shown = capsys.readouterr().out
    assert "N150 a" in shown or "a:" in shown
    (tmp_path / "1.json").unlink()
    only = tmp_path / "only.db"
    assert main(["history", "add", *map(str, tmp_path.glob("?.json")), "--to", str(only)]) == 0
    assert [head.board for head in heads(only)] == ["N150", "N150"]


def test_it_can_be_made_again_in_any_order(folder: Path, history: Path, tmp_path: Path) -> None:
    again = tmp_path / "new" / "again.db"
    files = sorted(folder.rglob("*.json"), reverse=True)
    for file in files:
        assert main(["history", "add", str(file), "--to", str(again)]) == 0
    assert main(["history", "add", str(folder), "--to", str(again)]) == 0
    assert read_history(again, METRICS) == read_history(history, METRICS)
    assert frame(again).equals(frame(history))


def test_a_report_is_there_once(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "h.db"
    data = suite(1, status="partial")
    other = write(tmp_path, {**data, "status": "complete"}, "whole")

    def told(*files: Path) -> tuple[int, str]:
        code = main(["history", "add", *map(str, files), "--to", str(path)])
        return code, capsys.readouterr().err

    partial = write(tmp_path, data, "partial")
    assert told(partial, partial)[1] == f"{path}: 1 added, 1 already there\n"
    assert told(other) == (0, f"{path}: 0 added, 1 replaced\n")
    assert told(other) == (0, f"{path}: 0 added, 1 already there\n")
    code, text = told(partial, folder / "r1.json")
    assert code == 2
    assert "1 added, 1 left out" in text
    assert "has the id of another report" in text
    (tmp_path / "no.json").write_text("{", encoding="utf-8")
    assert told(tmp_path / "no.json")[0] == 2
    assert len(heads(path)) == 2


def adding(path: Path, *files: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edgebench", "history", "add", *map(str, files), "--to", str(path)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    files = [write(tmp_path / str(index % 3), suite(index, 2), f"r{index}") for index in range(60)]
    # Every report comes from two of them.
    writers = [adding(path, tmp_path / str(part), tmp_path / str((part + 1) % 3)) for part in range(3)]
    while any(one.poll() is None for one in writers):
        if path.exists() and path.stat().st_size:
            assert len(heads(path)) <= len(files)  # whoever reads meanwhile sees whole reports
    assert [one.wait() for one in writers] == [0, 0, 0]
    assert sorted(head.label for head in heads(path)) == sorted(file.name for file in files)


def fill(path: Path, files: list[Path], together: int) -> None:
    """Add reports in transactions of so many, in a process that is there to be killed."""
    added = add_entries(path, map(read_entry, files), together=together)
    assert not added.refused


def whole(path: Path, wanted: dict[str, Session]) -> set[str]:
    """Read a history as a user would, see that nothing in it is half there, and return the ids of its reports."""
    found = {one.id: one for one in read_history(path, METRICS)}
    assert found == {name: wanted[name] for name in found}
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert plain.execute("PRAGMA foreign_key_check").fetchall() == []
    return set(found)


def killed(process: BaseProcess, after_s: float) -> bool:
    """Kill a process so many seconds after it began; tell whether it still ran."""
    process.start()
    process.join(after_s)
    running = process.is_alive()
    process.kill()
    process.join()
    return running


def test_kills_at_any_moment_lose_at_most_what_was_being_written(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    first = [write(tmp_path / "first", suite(index, 2), f"a{index}") for index in range(6)]
    mine = [write(tmp_path / "mine", suite(100 + index, 12), f"b{index}") for index in range(24)]
    others = [write(tmp_path / "others", suite(200 + index, 3), f"c{index}") for index in range(24)]
    wanted = {one.id: one for one in read_folder(tmp_path, METRICS).sessions}
    ids = {file: json.loads(file.read_text(encoding="utf-8"))["id"] for file in (*first, *mine, *others)}
    fill(path, first, 50)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    rng = random.Random(1)  # noqa: S311  # a test that can be repeated
    lasting_s, kills = 0.0, 0
    for _ in range(2):  # the first one waits until the other processes' imports are done
        begin = time.monotonic()
        assert not killed(processes.Process(target=fill, args=(tmp_path / f"{begin}.db", mine, 4)), 60)
        lasting_s = time.monotonic() - begin
    for number in range(12):
        # In turns a writer that adds, in larger and smaller transactions, and one that takes out; another one lives on.
        gone: set[str] = set()
        if number % 4 == 3:
            gone = {ids[file] for file in rng.sample(mine, 8)}
            victim = processes.Process(target=prune, args=(path, sorted(gone)))
        else:
            prune(path, [ids[file] for file in rng.sample(mine, 20)])
            victim = processes.Process(target=fill, args=(path, rng.sample(mine, 24), rng.choice((1, 4, 50))))
        before = whole(path, wanted)
        survivor = processes.Process(target=fill, args=(path, others[number : number + 1], 1))
        survivor.start()
        kills += killed(victim, rng.uniform(0, lasting_s))
        survivor.join()
        assert survivor.exitcode == 0
        after = whole(path, wanted)
        assert before - gone <= after
        assert before & gone & after in (set(), before & gone), "a part of what was to go is gone"
        assert ids[others[number]] in after
    assert kills >= 4, "most were through before they were killed"
    fill(path, [*mine, *others], 50)
    assert whole(path, wanted) == set(ids.values())


def refusal(path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says of a history that it does not take: one sentence."""
    assert main([*(arguments or ("history", "list", "--from")), str(path)]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return text


def test_what_is_no_history_is_told_in_one_sentence(
    history: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert "there is no such history" in refusal(tmp_path / "none.db", capsys)
    assert "is no history" in refusal(SAMPLE, capsys)
    assert "neither a folder of reports nor a history" in refusal(SAMPLE, capsys, "trend")
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as other:
        other.execute("CREATE TABLE mine (x)")
        other.commit()
    assert "another program" in refusal(foreign, capsys)
    assert main(["history", "add", str(SAMPLE), "--to", str(foreign)]) == 2
    assert "another program" in capsys.readouterr().err
    with closing(sqlite3.connect(history)) as newer:
        newer.execute("PRAGMA user_version = 2")
    assert "newer edgebench" in refusal(history, capsys)
    with closing(sqlite3.connect(history)) as changed:
        changed.execute("PRAGMA user_version = 1")
        changed.execute("CREATE TRIGGER t AFTER INSERT ON report BEGIN DELETE FROM report; END")
    assert "not those of a history" in refusal(history, capsys)


def test_a_damaged_history_is_told_in_one_sentence(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    whole = history.read_bytes()
    rng = np.random.default_rng(1)
    told = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(200, len(whole), 400):
            damaged[place] = int(rng.integers(0, 256))
        history.write_bytes(damaged)
        if main(["trend", str(history), "--metric", "latency_s.p95", "--format", "json"]) != 0:
            text = capsys.readouterr().err
            assert text.count("\n") == 1
            assert "fault in edgebench" not in text
            told += 1
    assert told > 30
    history.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refusal(history, capsys)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE text SET text = ? WHERE no = (SELECT facts FROM report)", "{}"),
        ("UPDATE text SET text = ? WHERE no = (SELECT facts FROM report)", "[" * 100_000),
        ("UPDATE text SET text = ? WHERE no = (SELECT layout FROM report)", '{"cells": [1e9], "runs": [[1, -5, 2]]}'),
        ("UPDATE text SET text = ? WHERE no = (SELECT layout FROM report)", '{"cells": [1], "runs": [[1, 0, 1e12]]}'),
        ("UPDATE report SET runs = ?", b"x" * 50),
        ("UPDATE report SET remarks = ?", "[]"),
        ("UPDATE report SET created = ?", 7),
        ("UPDATE report SET revision = ?", "javascript:alert(1)"),
        ("UPDATE cell SET params = ?", "no"),
        ("UPDATE figure SET value = ?", "many"),
        ("UPDATE outcome SET note = ?", 10**9),
        ("UPDATE series SET unit = ?", b"\xff"),
    ],
)
def test_a_hostile_history_is_told_in_one_sentence(
    history: Path, capsys: pytest.CaptureFixture[str], statement: str, value: object
) -> None:
    capsys.readouterr()
    with closing(sqlite3.connect(history)) as stranger:
        stranger.execute(statement, (value,))
        stranger.commit()
    for arguments in (["trend", str(history)], ["history", "list", "--from", str(history)]):
        if main(arguments) != 0:
            text = capsys.readouterr().err
            assert text.count("\n") == 1
            assert "fault in edgebench" not in text
    with pytest.raises(HistoryError):
        list(reports(history))


def test_a_question_in_sql_is_answered_and_changes_nothing(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    whole = history.read_bytes()
    question = (
        "SELECT benchmark, count(*) AS n FROM figures WHERE metric = 'latency_s' AND suite = 'test' "
        "GROUP BY 1 ORDER BY 2, 1 LIMIT 1"
    )
    assert main(["history", "query", question, "--from", str(history), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"benchmark": "cell0", "n": 15}]
    assert main(["history", "query", "SELECT '=1+1' AS x", "--from", str(history), "--format", "csv"]) == 0
    assert capsys.readouterr().out == "x\n'=1+1\n"
    for harm in ("DELETE FROM report", "DROP VIEW figures", "PRAGMA user_version = 9", "SELECT nothing", "", "VACUUM"):
        code = main(["history", "query", harm, "--from", str(history)])
        assert code == 2 or harm.startswith("PRAGMA")
        assert history.read_bytes() == whole
    assert {path.name for path in history.parent.iterdir()} == {"history.db", "reports"}


def test_prune_takes_out_what_is_named_and_nothing_else(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_history(history, METRICS)
    size = history.stat().st_size
    assert main(["history", "prune", "--from", str(history)]) == 2
    assert (
        main(["history", "prune", "--before", "2026-02-10", "--suite", "test", "--dry-run", "--from", str(history)])
        == 0
    )
    assert read_history(history, METRICS) == before
    assert main(["history", "prune", "--before", "2026-02-10", "--suite", "test", "--from", str(history)]) == 0
    left = tuple(one for one in before if one.created[:10] >= "2026-02-10" or one.hard["suite"] != "test")
    assert 3 < len(left) < len(before)
    assert read_history(history, METRICS) == left
    assert history.stat().st_size < size
    assert main(["history", "prune", "--keep", "1", "--from", str(history)]) == 0
    assert [head.label for head in heads(history)] == ["r13.json", "failed.json", "sample.json"]
    assert main(["history", "prune", "--report", left[-1].id[:7], "--from", str(history)]) == 2
    assert "give 8 characters of the id at least" in capsys.readouterr().err
    assert main(["history", "list", "--from", str(history)]) == 0
    assert left[-1].id[:8] in capsys.readouterr().out
    assert main(["history", "prune", "--report", left[-1].id[:8].upper(), "--from", str(history)]) == 0
    assert len(heads(history)) == 2


def test_other_tools_read_it(history: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    table = frame(history)
    one = table[(table["report"] == read_report(SAMPLE).id) & (table["metric"] == "latency_s")]
    wanted = {row.name: row.metrics["latency_s"].median for row in read_report(SAMPLE).benchmarks if row.metrics}
    assert dict(zip(one["benchmark"], one["value"], strict=True)) == wanted
    assert str(table["created"].dtype).endswith("UTC]")
    target = tmp_path / "h.parquet"
    assert main(["history", "export", "--from", str(history), "-o", str(target)]) == 0
    assert parquet.read_table(target).num_rows == len(table)
    with closing(sqlite3.connect(history)) as plain:  # no function of ours is needed
        assert plain.execute("SELECT count(*) FROM figures").fetchone() == (len(table),)


def test_a_condensed_report_has_the_figures_of_the_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    assert main(["history", "add", str(SAMPLE), "--to", str(path)]) == 0
    whole, (condensed,) = read_report(SAMPLE), list(reports(path))
    assert [row.name for row in condensed.benchmarks] == [row.name for row in whole.benchmarks]
    assert condensed.machine == whole.machine
    assert condensed.idle == whole.idle
    for one, other in zip(condensed.benchmarks, whole.benchmarks, strict=True):
        assert (one.status, one.reason, one.params, one.missing) == (
            other.status,
            other.reason,
            other.params,
            other.missing,
        )
        assert set(one.metrics) == set(other.metrics) - DERIVED
        for name in one.metrics:
            metric = other.metrics[name]
            assert one.metrics[name].median == metric.median
            if metric.ci95 is not None and is_judged(name):
                assert one.metrics[name].ci95 == pytest.approx(metric.ci95, rel=1e-6)
            if metric.passes is not None:
                assert one.metrics[name].p95 == pytest.approx(metric.p95, rel=1e-6)
    assert condensed.warnings[-1].code == "condensed"


def test_numbers_beyond_single_precision_are_told_not_compared(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    row = benchmark("cell", rng, latency_s=1e-40)
    path = write(tmp_path, report([row]), "tiny")
    (session,) = read_folder(tmp_path, METRICS).sessions
    assert session.cells["cell"].samples["latency_s"].fault == "a run's value is too small or too large to be one"
    assert parse_report(path.read_bytes(), "tiny").benchmarks[0].metrics["latency_s"].median > 0
    assert main(["history", "add", str(path), "--to", str(tmp_path / "h.db")]) == 0
    assert read_history(tmp_path / "h.db", METRICS) == (session,)


@given(st.lists(st.lists(st.floats(2**-90, 2**90, width=32), max_size=5), max_size=20))
def test_what_is_packed_comes_back(runs: list[list[float]]) -> None:
    layout, content = packed([(place, one, 0.5 * (place % 2)) for place, one in enumerate(runs)], range(len(runs)))
    numbers = unpacked(content, type(layout).of_text(layout.to_text()))
    for series, values in enumerate(runs):
        begin, count = layout.places.get(series, (0, 0))
        assert numbers[begin : begin + count].tolist() == values
    with pytest.raises((ValueError, zlib.error)):
        unpacked(content, replace(layout, size=len(numbers) + 5))


def test_the_file_is_read_only_for_whoever_reads(history: Path) -> None:
    with pytest.raises(HistoryError), opened(history) as found:
        found.execute("DELETE FROM report")
