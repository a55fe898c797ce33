"""A load of requests to a language model: like is compared with like, and each phase has its own rates and joules."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.records import MACHINE, STATE, clock, start, window

from edgebench.backends.decoder import Generation
from edgebench.errors import BackendError
from edgebench.measure.courses import BinPower, Course, CourseRequests, SustainedResult
from edgebench.measure.ledger import ProbeFacts
from edgebench.measure.probes import Opened
from edgebench.measure.request_load import RequestLoad, summed
from edgebench.measure.results import Process, Windows
from edgebench.measure.sustained import sustain
from edgebench.plan.load import load_plan
from edgebench.report.figures.given import Given, figures_of
from edgebench.report.records import RunRecord

BINS, FALLS_AT = 120, 70


class Counting:
    """A decoder that counts upwards and takes longer the more it holds, as all do."""

    load_s = compile_s = 0.0
    vocabulary, begin, cache_bytes = 1000, None, None

    def __init__(self, step_s: float = 0.0005) -> None:
        self.step_s, self.length, self.read = step_s, 0, 0

    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        self.read, self.length = self.read + 1, len(prompts[0])
        time.sleep(self.step_s)
        return [len(prompt) for prompt in prompts]

    def step(self, tokens: Sequence[int]) -> list[int]:
        self.length += 1
        time.sleep(self.length * self.step_s / 8)
        return [token + 1 for token in tokens]


def test_a_bin_holds_whole_requests_whatever_their_length() -> None:
    decoder: Any = Counting()
    requests = RequestLoad(Generation(decoder, ((1, 2, 3, 4), (5, 6, 7, 8)), 9), Opened([], {}), 2.5)
    course, _ = sustain(requests, [], 2.5, requests.next_bin)
    told = requests.told(course)
    assert told.tokens == tuple(range(4, 13))
    assert told.same
    assert (told.batch, told.read, told.stepped) == (2, 8, 16)
    assert len(told.prefill_s) == len(told.decode_s) == len(course.passes)
    assert 0 <= decoder.read - sum(course.passes) <= 1 + max(course.passes), "what ends no bin is left out"
    for length, reading, generating in zip(course.seconds, told.prefill_s, told.decode_s, strict=True):
        assert 0 < reading < generating < length
        assert reading + generating <= length


def test_an_answer_that_changes_is_told_and_one_too_long_is_refused() -> None:
    decoder: Any = Counting()
    requests = RequestLoad(Generation(decoder, ((1,),), 3), Opened([], {}), 60.0)
    told = []
    for prompt in ((1,), (1,), (1, 2)):
        requests.request = Generation(decoder, (prompt,), 3)
        requests()
        told.append(requests.same)
    assert told == [True, True, False]
    slow: Any = Counting(0.05)
    with pytest.raises(BackendError, match=r"a load of 0\.2 s holds fewer than 4 of them: ask for less"):
        RequestLoad(Generation(slow, ((1,),), 3), Opened([], {}), 0.2)()


def test_windows_apart_add_up_with_their_errors_in_squares() -> None:
    whole = summed([window("package", 3.0, passes=1, seconds=0.5), window("package", 4.0, passes=1, seconds=0.5)], 2)
    assert (whole.energy_j, whole.seconds, whole.passes, whole.index) == (7.0, 1.0, 2, 2)
    assert whole.uncertainty_j == pytest.approx(0.05)
    assert whole.parts_j["resolution"] == pytest.approx(0.05)


def result() -> SustainedResult:
    """Two requests a second of 100 + 41 tokens at 5 W, then generating takes 1.5 times as long at 8 W."""
    decode_s = [0.8 if at < FALLS_AT else 1.2 for at in range(BINS)]
    seconds = [0.2 + own for own in decode_s]
    edges = [sum(seconds[:at]) for at in range(BINS + 1)]
    course = Course(
        edges_s=tuple(edges),
        passes=(2,) * BINS,
        cpu_s=tuple(seconds),
        longest_s=tuple(own / 2 for own in seconds),
        phase_s=edges[-1] / 4,
        power=(BinPower(probe="sample", scope="package", power_w=(None,) * BINS),),
    )

    def joules(watts: Sequence[float], request_s: Sequence[float]) -> dict[Any, Windows]:
        cold, hot = (
            tuple(window("package", power * own, seconds=own, index=index, probe="sample") for index in range(4))
            for power, own in zip(watts, request_s, strict=True)
        )
        return {"all": Windows(windows=cold + hot), "cold": Windows(windows=cold), "hot": Windows(windows=hot)}

    requests = CourseRequests(
        prompt=100,
        generated=41,
        prefill_s=(0.2,) * BINS,
        decode_s=tuple(decode_s),
        tokens=tuple(range(41)),
        same=True,
        prefill=joules((5, 5), (0.1, 0.1)),
        decode=joules((5, 8), (0.4, 0.6)),
    )
    process = Process(load_s=0.0, compile_s=0.0, first_inference_s=0.5, cpu_percent=100.0, peak_memory_bytes=None)
    course = replace(course, energy=joules((5, 7.6), (0.5, 0.7)))
    return SustainedResult(clock=clock(), versions={}, process=process, course=course, requests=requests)


def test_reading_keeps_its_speed_while_generating_slows_down() -> None:
    cell = next(
        cell for cell in load_plan("llm-sustained", dataset="digits", cores=1).benchmarks if "llama" in cell.name
    )
    run = RunRecord(
        cell=cell.name, turn=0, place=0, seconds=1.0, start_s=0.1, before=STATE, after=STATE, result=result()
    )
    facts = ProbeFacts(
        name="sample", source="", scope="package", kind="counter", resolution=0.0, refresh_s=0.001, overhead_s=0.0
    )
    found = figures_of(cell, [run], Given(None, (), start(machine=MACHINE, probes=(facts,)), None))
    metrics = found.metrics
    assert metrics["prefill_tokens_per_s.cold"].mean == pytest.approx(1000)
    assert metrics["prefill_tokens_per_s.hot"].mean == pytest.approx(1000)
    assert metrics["decode_tokens_per_s.cold"].mean == pytest.approx(100)
    assert metrics["decode_tokens_per_s.hot"].mean == pytest.approx(100 / 1.5)
    assert metrics["energy_per_prompt_token_j.package.hot"].mean == pytest.approx(5 * 0.1 / 100)
    assert metrics["energy_per_generated_token_j.cold"].mean == pytest.approx(5 * 0.4 / 40)
    assert metrics["energy_per_generated_token_j.package.hot"].mean == pytest.approx(8 * 0.6 / 40)
    assert metrics["decode_power_w.hot"].mean == pytest.approx(8)
    (told,) = found.fields["sustained"]
    changes = told.hot_over_cold
    assert changes["prefill_tokens_per_s"].ratio == pytest.approx(1)
    assert changes["decode_tokens_per_s"].ratio == pytest.approx(1 / 1.5)
    assert changes["energy_per_generated_token_j.package"].ratio == pytest.approx(2.4)
    assert told.verdict == "slowed"
    assert told.onset_s == pytest.approx(FALLS_AT, abs=1)
    assert found.fields["generated"].repeats
    assert {line.name for line in told.series} == {"throughput_per_s", "prefill_tokens_per_s", "decode_tokens_per_s"}
