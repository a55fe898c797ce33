"""The typed memory of a session: what is written is read back equal, and anything else is refused in a sentence."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit import records

from edgebench.errors import ReportError
from edgebench.measure.ledger import CompressResult, IdlePower, LedgerPhase, MadePhase, PhaseEnergy
from edgebench.measure.messages import Clock, Failure, encode
from edgebench.measure.results import InferenceResult, Windows
from edgebench.report.figures.energy import joules_a_pass, whole_window
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.report.records import (
    AnyRecord,
    ArtifactNotes,
    ArtifactOfRecord,
    ArtifactRecord,
    EndRecord,
    FailedRecord,
    IdleRecord,
    read_record,
)
from edgebench.session.jobs import run_job

ARTIFACT = ArtifactRecord(
    key="k",
    folder="/store/k",
    file="model.onnx",
    format="onnx",
    digest="sha256:a",
    size_bytes=10,
    ledger=(
        LedgerPhase(
            phase="train",
            seconds=1.0,
            begin_s=1.0,
            end_s=2.0,
            energy={"package": PhaseEnergy(energy_j=7.0, uncertainty_j=0.1, probe="rapl")},
        ),
    ),
    notes=ArtifactNotes(weights="seeded", trained=False, shapes={"x": (1, 3)}),
)
MADE = CompressResult(
    clock=records.clock(),
    versions={"a": "1"},
    phases=(MadePhase(cost=ARTIFACT.ledger[0], cpu_s=0.9),),
    digest="sha256:b",
    size_bytes=5,
    format="onnx",
)
IDLE = IdlePower(probe="rapl", scope="package", power_w=1.5, seconds=2.0, windows=1, when="before")


def test_a_resumed_session_remembers_every_record(tmp_path: Path) -> None:
    energy = Windows(windows=(records.window("package", 7.0),), failed={"core": "stuck"})
    told: list[AnyRecord] = [
        records.start(),
        IdleRecord(when="before", powers=(IDLE,), failed={}, clock=Clock(started_s=0.0, finished_s=2.0)),
        ArtifactOfRecord(cell="a", artifact=ARTIFACT),
        records.run("a", 1, energy=energy),
        msgspec.structs.replace(records.run("b"), result=MADE),
        FailedRecord(cell="c", reason="no"),
        EndRecord(seconds=1.0, resumed=False, complete=False),
    ]
    with Journal.open(tmp_path / "journal", "key") as journal:
        log = Log(journal)
        for record in told:
            log.add(record)
    with Journal.open(tmp_path / "journal", "key") as journal:
        again = Log(journal)
    assert again.records == told
    assert again.start == told[0]
    assert again.artifact("a") == ARTIFACT
    assert [run.turn for run in again.runs("a")] == [1]
    assert again.idle_powers() == [IDLE]
    assert again.given_up("c") == told[5]
    assert again.given_up("a") is None
    assert not again.complete


@pytest.mark.parametrize(
    "change",
    [
        {"type": "walk"},
        {"turn": "1"},
        {"turn": 1.5},
        {"surprise": 1},
        {"result": {"type": "inference"}},
        {"seconds": None},
    ],
)
def test_what_is_no_record_is_refused_in_a_sentence(tmp_path: Path, change: dict[str, Any]) -> None:
    data = msgspec.to_builtins(records.run())
    with Journal.open(tmp_path / "journal", "key") as journal:
        journal.append({**data, **change})
        with pytest.raises(ReportError, match=r"holds a record that this edgebench does not read .* start again"):
            Log(journal)


def test_a_figure_that_is_not_finite_never_reaches_the_journal(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal", "key") as journal:
        log = Log(journal)
        with pytest.raises(ValueError, match="Out of range"):
            log.add(records.run(values=(float("nan"),)))
        assert log.records == []


def test_the_journal_of_an_older_edgebench_is_refused_in_a_sentence(tmp_path: Path) -> None:
    text = json.dumps({"type": "journal", "format": "edgebench.journal/1", "key": "key"}, separators=(",", ":"))
    line = f'{{"crc":"{zlib.crc32(text.encode()):08x}","record":{text}}}\n'
    (tmp_path / "journal").write_text(line, encoding="utf-8")
    with pytest.raises(ReportError, match=r"'edgebench.journal/1', it writes 'edgebench.journal/2'\); move it away"):
        Journal.open(tmp_path / "journal", "key")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("open(sys.argv[-1], 'w').write('{\"type\":\"inference\"}')", "is not one that this edgebench reads"),
        ("open(sys.argv[-1], 'w').write('[' * 100000)", "is not one that this edgebench reads"),
        ("open(sys.argv[-1], 'wb').write(b'\\xff')", "is not one that this edgebench reads"),
        ("pass", "ended without a result"),
        ("sys.exit('a bad day')", "a bad day"),
    ],
)
def test_a_worker_that_answers_anything_else_fails_its_run(tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "liar.py").write_text(f"import sys\n{code}\n", encoding="utf-8")
    environment = {"PYTHONPATH": str(tmp_path)}
    job = Failure(error="any message", clock=records.clock())
    outcome = run_job("liar", job, (InferenceResult,), environment=environment, limit_s=60)  # type: ignore[arg-type]  # any JSON
    assert outcome.answer is None
    assert words in str(outcome.error)


def test_numbers_of_numpy_travel_as_numbers_and_nothing_else_travels() -> None:
    result = records.inference(settings={"a": np.float64(1.5), "b": np.int64(2)})
    again = msgspec.json.decode(encode(result), type=InferenceResult)
    assert again.settings == {"a": 1.5, "b": 2}
    with pytest.raises(TypeError, match="cannot hold object"):
        encode(records.inference(settings={"a": object()}))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(1e-3, 1e6), st.integers(1, 10**6), st.floats(1e-3, 1e4)), min_size=1, max_size=8),
    st.floats(0, 100),
)
def test_joules_a_pass_add_up_to_the_whole(parts: list[tuple[float, int, float]], idle_w: float) -> None:
    windows = [records.window("core", joules, passes=passes, seconds=seconds) for joules, passes, seconds in parts]
    whole = whole_window(windows)
    assert sum(joules_a_pass(window) * window.passes for window in windows) == pytest.approx(whole.energy_j)
    net = sum(joules_a_pass(window, idle_w) * window.passes for window in windows)
    assert net == pytest.approx(whole.energy_j - idle_w * whole.seconds, abs=1e-6 * (whole.energy_j + whole.seconds))
    assert whole.uncertainty_j <= sum(window.uncertainty_j for window in windows) * (1 + 1e-9)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["type", "cell", "result", "clock", "start", "run", "end"]), x)))  # fmt: skip
def test_any_json_is_a_record_or_refused(data: Any) -> None:
    try:
        found = read_record(data)
    except msgspec.ValidationError:
        return
    assert read_record(msgspec.to_builtins(found)) == found
