"""`edgebench trend`: steps are found where they are, noise and single outliers are not, and foreign files are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.reports import HARD, suite

from edgebench.commands.console import captured
from edgebench.commands.main import main
from edgebench.compare.cells import Session, session_of
from edgebench.compare.policy import DEFAULT_METRICS, Policy
from edgebench.compare.sessions import read_folder, read_lean, read_session
from edgebench.compare.stored import compare_stored
from edgebench.compare.trend import change_points, trend_of
from edgebench.render.verdicts.trend import sparkline, trend_table
from edgebench.report.model import Report

if TYPE_CHECKING:
    import pytest


def test_noise_has_almost_no_change_points_and_steps_have_theirs() -> None:
    rng = np.random.default_rng(1)
    false = sum(bool(change_points(rng.lognormal(0, 0.01, 40).tolist())) for _ in range(500))
    assert false <= 35
    found = 0
    for _ in range(100):
        values = rng.lognormal(0, 0.01, 40)
        values[25:] *= 1.05
        points = change_points(values.tolist())
        found += len(points) == 1 and abs(points[0] - 25) <= 1
    assert found >= 90


def test_a_change_that_was_taken_back_has_two_places() -> None:
    rng = np.random.default_rng(3)
    values = rng.lognormal(0, 0.01, 40)
    values[12:17] *= 1.1
    assert change_points(values.tolist()) == [12, 17]


def test_outliers_are_no_change_and_a_short_series_has_none() -> None:
    rng = np.random.default_rng(2)
    values = rng.lognormal(0, 0.01, 30)
    values[[7, 20]] *= 1.5
    assert change_points(values.tolist()) == []
    assert change_points([1, 1, 1, 2, 2]) == []
    assert change_points([0.0] * 10) == []
    assert change_points([1.0] * 5 + [1.2] * 5) == [5]


@given(st.lists(st.floats(1e-300, 1e300), max_size=60))
def test_change_points_stand_in_order_at_least_three_apart(values: list[float]) -> None:
    edges = [0, *change_points(values), len(values)]
    if len(edges) > 2:
        assert min(np.diff(edges)) >= 3


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=200))
def test_a_sparkline_has_at_most_its_width(values: list[float]) -> None:
    assert 1 <= len(sparkline(tuple(values))) <= 24


def write(folder: Path, count: int) -> None:
    for index in range(count):
        created, commit = f"2026-02-{index + 1:02}T00:00:00Z", f"{index:02x}c0ffee"
        data = suite(index, slower={1: 1.1} if index >= 8 else None, created=created, commit=commit)
        if index >= 10:
            data["benchmarks"][0]["metrics"]["size_bytes"]["value"] = 2_000_000
        (folder / f"r{index}.json").write_text(json.dumps(data), encoding="utf-8")


def test_a_folder_of_releases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, 14)
    other = suite(99, fingerprint={"hard": {**HARD, "cpu": "Another CPU"}, "soft": {}})
    (tmp_path / "other.json").write_text(json.dumps(other), encoding="utf-8")
    (tmp_path / "noise.json").write_text("{", encoding="utf-8")
    assert main(["trend", str(tmp_path), "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    changed = {
        (one["cell"], one["metric"], one["system"]): [(step["place"], step["label"]) for step in one["changes"]]
        for one in data["series"]
        if one["changes"]
    }
    assert changed == {
        ("cell1", "latency_s", 1): [(8, "r8.json")],
        ("cell1", "energy_gross_j", 1): [(8, "r8.json")],
        ("cell0", "size_bytes", 1): [(10, "r10.json")],
    }
    assert "noise.json" in data["notes"][0]
    steps = (step for one in data["series"] for step in one["changes"])
    assert {step["commit"] for step in steps} == {"08c0ffee", "0ac0ffee"}
    assert main(["trend", str(tmp_path), "--only", "cell1", "--metric", "latency_s"]) == 0
    shown = capsys.readouterr().out
    assert "1 of 2 series changed" in shown
    assert "2026-02-09" in shown
    assert "08c0ffee" in shown


def told(number: int, unit: str | None, speed: float) -> Session:
    machine = {"cpu": "Test CPU", "cores": 4, **({} if unit is None else {"unit": unit})}
    day = f"2026-01-{1 + number:02}T00:00:00Z"
    data = suite(number, cells=1, slower={0: speed}, machine=machine, created=day)
    return session_of(Report.model_validate(data), f"{number}.json", ("latency_s",))


def test_equal_boards_have_series_of_their_own_and_are_named() -> None:
    """Two boards in turns, one 10 % slower: mixed they would be one noisy series."""
    turns = [told(number, "ab"[number % 2], 1 + 0.1 * (number % 2)) for number in range(20)]
    found = trend_of(turns, ("latency_s",))
    assert [len(series.values) for series in found.series] == [10, 10]
    assert all(not series.changes for series in found.series)
    assert found.systems == ("unit a", "unit b")
    shown = captured(trend_table(found))
    assert "system 2: unit b" in shown
    assert shown.count("  system 2") == 1, "beneath the figure it is of"


def test_reports_that_do_not_tell_their_board_go_with_the_only_one_there_is() -> None:
    before = [told(number, None, 1.0) for number in range(3)]
    after = [told(number, "a", 1.0) for number in range(3, 6)]
    assert [len(series.values) for series in trend_of([*before, *after], ("latency_s",)).series] == [6]
    several = trend_of([*before, *after, told(6, "b", 1.0)], ("latency_s",))
    assert [len(series.values) for series in several.series] == [3, 3, 1]
    assert several.systems == ("unit not told", "unit a", "unit b")


def test_another_board_of_the_same_make_is_told_beside_a_verdict() -> None:
    first, second, *history = (told(number, unit, 1.0) for number, unit in enumerate("abaab"))
    found = compare_stored(first, second, history, Policy(metrics=("latency_s",)))
    assert any(note.startswith("two equal boards: base is of a, head of b") for note in found.notes)
    assert any(note.startswith("1 of 3 history reports are of another unit") for note in found.notes)
    assert not compare_stored(first, history[0], (), Policy(metrics=("latency_s",))).notes


def test_what_cannot_be_shown_is_said_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([str(tmp_path / "none")], [str(tmp_path)]):
        assert main(["trend", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    write(tmp_path, 1)
    assert main(["trend", str(tmp_path), "--metric", "speed"]) == 2
    assert "cannot be compared" in capsys.readouterr().err


def test_reading_in_parallel_gives_the_same_sessions(tmp_path: Path) -> None:
    for index in range(90):
        data = suite(index, cells=1, created=f"2026-01-01T00:{index // 60:02}:{index % 60:02}Z")
        (tmp_path / f"{index}.json").write_text(json.dumps(data), encoding="utf-8")
    metrics = ("latency_s", "latency_s.p95", "size_bytes")
    many, one = (read_folder(tmp_path, metrics, parallel=parallel) for parallel in (True, False))
    assert many == one
    assert [session.label for session in one.sessions] == [f"{index}.json" for index in range(90)]
    assert set(one.sessions[0].cells["cell0"].samples) == set(metrics)


def test_the_fast_reader_sees_what_the_whole_one_sees(tmp_path: Path) -> None:
    sample = Path(__file__).parents[1] / "golden" / "sample.json"
    own = tmp_path / "own.json"
    own.write_text(json.dumps(suite(1)), encoding="utf-8")
    metrics = (*DEFAULT_METRICS, "latency_s.p99", "energy_gross_j.package", "loss")
    for path in (sample, own):
        assert read_lean(path, metrics) == read_session(path, metrics)
