"""Small records and results for tests; figures are made up."""

from __future__ import annotations

from typing import Any

from edgebench.machine.facts import MachineFacts
from edgebench.machine.state import State
from edgebench.measure.messages import RunClock
from edgebench.measure.results import InferenceResult, PassTimes, Process, Window
from edgebench.report.records import RunRecord, StartRecord

STATE = State(0.0, None, None, 0.0, 0.0)
MACHINE = MachineFacts(
    cpu="Sample CPU",
    cores=1,
    cpus_used=(0,),
    isa=(),
    architecture="x86_64",
    memory_bytes=1 << 30,
    virtualised=False,
    container=False,
    os="Linux",
    kernel="6",
)


def start(**more: Any) -> StartRecord:
    facts = {"id": "i", "created": "c", "suite": "s", "machine": MACHINE, "state": STATE}
    return StartRecord(**{**facts, **more})


def clock(begin_s: float = 0.0) -> RunClock:
    return RunClock(
        started_s=begin_s,
        loading_s=begin_s,
        measuring_s=begin_s + 1,
        measured_s=begin_s + 3,
        finished_s=begin_s + 4,
    )


def inference(values: tuple[float, ...] = (1.0, 3.0, 2.0), **more: Any) -> InferenceResult:
    times = PassTimes(
        values=values,
        warmups=(),
        loops=7,
        passes=len(values),
        p50_s=0.2,
        p90_s=0.4,
        p95_s=0.5,
        p99_s=0.6,
        min_s=0.1,
        max_s=0.7,
    )
    process = Process(load_s=0.0, compile_s=0.0, first_inference_s=1.0, cpu_percent=100.0, peak_memory_bytes=None)
    return InferenceResult(**{"clock": clock(), "versions": {}, "times": times, "process": process, **more})


def run(cell: str = "a", turn: int = 0, **result: Any) -> RunRecord:
    return RunRecord(
        cell=cell,
        turn=turn,
        place=turn,
        seconds=5.0,
        start_s=1.0,
        before=STATE,
        after=STATE,
        result=inference(**result),
    )


def window(scope: str, energy_j: float, *, passes: int = 1, seconds: float = 1.0, **more: Any) -> Window:
    facts: dict[str, Any] = {
        "probe": "rapl",
        "index": 0,
        "uncertainty_j": 0.01 * energy_j,
        "systematic_j": 0.0,
        "parts_j": {"resolution": 0.01 * energy_j},
        "samples": 2,
        "max_gap_s": seconds,
        "coverage": 1.0,
        "begin_s": 0.0,
        "end_s": seconds,
    }
    return Window(scope=scope, energy_j=energy_j, passes=passes, seconds=seconds, **{**facts, **more})
