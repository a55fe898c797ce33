"""Traces: what is recorded comes back, and nothing else is taken for a trace."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.simulators.powercap import Options, powercap, unavailable

from edgebench_probes.base import ProbeError, ProbeInfo, Scope, WindowInvalid
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import Sample, SourceInfo, SourceLost
from edgebench_probes.sources.rapl import RaplProbe, zones_by_scope
from edgebench_probes.sources.replay import FORMAT, ReplaySource, load, record, save

needs_fuse = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")
INFO = SourceInfo(
    ProbeInfo("shizuku", "/dev/ttyACM0", Scope.BOARD_DC, "power", 0.001, 0.01, 0.005),
    0.02,
    accuracy_source="a data sheet",
)


def trace(path: Path, seconds: float = 2.0) -> Path:
    save(path, INFO, [Sample(5_000_000_000 + i * 10_000_000, 4 + i % 2) for i in range(int(seconds * 100))])
    return path


@given(
    st.lists(
        st.tuples(st.integers(0, 2**61), st.floats(-1e4, 1e4), st.none() | st.floats(0, 1e9)), min_size=2, max_size=30
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_what_is_saved_is_loaded(tmp_path: Path, values: list[tuple[int, float, float | None]]) -> None:
    samples = tuple(Sample(*value) for value in sorted(values, key=lambda value: value[0]))
    assert save(tmp_path / "trace", INFO, samples) == len(samples)
    loaded = load(tmp_path / "trace")
    assert loaded.samples == samples
    assert loaded.info == INFO


@given(
    st.text(max_size=200)
    | st.recursive(st.none() | st.integers(-(10**400), 10**400) | st.text(), st.lists).map(json.dumps)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
def test_no_file_raises_anything_but_the_probe_s_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "trace"
    lines = trace(path).read_text().splitlines()
    for content in (line, "\n".join([lines[0], line, *lines[1:]]), "\n".join([*lines, line])):
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            load(path)
        except ProbeError as error:
            assert error.fix  # noqa: PT017 - most lines are no trace, but some are


@pytest.mark.parametrize(
    "change",
    [{"format": "edgebench.trace/2"}, {"smoothing_s": -1}, {"info": {}}, {"clock_s": "x"}, {"notes": 3}],
)
def test_a_wrong_header_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = trace(tmp_path / "trace")
    head, rest = path.read_text().split("\n", 1)
    path.write_text(json.dumps(json.loads(head) | change) + "\n" + rest)
    with pytest.raises(ProbeError, match="line 1"):
        load(path)


@pytest.mark.quiet
def test_played_in_its_own_time_and_faster(tmp_path: Path) -> None:
    path = trace(tmp_path / "trace", 0.3)
    for speed in (1.0, 3.0):
        source = ReplaySource(path, speed)
        source.open()
        assert source.describe().info.refresh_s == pytest.approx(0.01 / speed)
        samples: list[Sample] = []
        with contextlib.suppress(SourceLost):  # its end
            while True:
                new = source.read()
                assert all(sample.t_ns <= time.monotonic_ns() for sample in new)
                samples += new
        assert [sample.power_w for sample in samples] == [4 + i % 2 for i in range(30)]
        assert (samples[-1].t_ns - samples[0].t_ns) / 1e9 == pytest.approx(0.29 / speed)
        with pytest.raises(ProbeError, match="has ended"):
            source.open()


def test_a_recording_of_a_replay_is_the_trace(tmp_path: Path) -> None:
    with SampledProbe(ReplaySource(trace(tmp_path / "a", 3.0))) as probe:
        start = probe.mark()
        time.sleep(0.5)
        with contextlib.suppress(WindowInvalid):  # a machine that loses its processors voids the window, as it should
            window = probe.energy(start, probe.mark())
            assert window.power_w == pytest.approx(4.5, rel=0.02)
            assert window.systematic_j == pytest.approx(0.005 * window.energy_j)
        count = record(probe, tmp_path / "b", 0.4)
    again = load(tmp_path / "b")
    assert 30 < count == len(again.samples) < 60
    assert again.info.info.scope is Scope.BOARD_DC
    assert {sample.power_w for sample in again.samples} == {4.0, 5.0}
    assert json.loads((tmp_path / "b").read_text().splitlines()[0])["format"] == FORMAT


@needs_fuse
@pytest.mark.quiet
def test_a_counter_is_recorded_as_mean_powers(tmp_path: Path) -> None:
    with (
        powercap(tmp_path / "sys", Options(power=7.0)) as simulator,
        RaplProbe(Scope.PACKAGE, zones_by_scope(simulator.root)[Scope.PACKAGE]) as probe,
    ):
        record(probe, tmp_path / "trace", 0.5)
    recorded = load(tmp_path / "trace")
    assert recorded.info.info.kind == "power"
    assert [sample.power_w for sample in recorded.samples] == pytest.approx([7.0] * len(recorded.samples), rel=0.05)


@pytest.mark.parametrize("number", ["1" + 400 * "0", "-1" + 400 * "0", "NaN", "1e999"])
def test_a_number_beyond_every_float_is_refused_with_its_line(tmp_path: Path, number: str) -> None:
    path = tmp_path / "trace"
    save(path, INFO, [Sample(1, 3.0), Sample(2, 3.0)])
    with path.open("a", encoding="utf-8") as file:
        file.write(f"[3, {number}]\n")
    with pytest.raises(ProbeError, match="line 4 of"):
        load(path)


def test_a_trace_of_millions_of_samples_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebench_probes.sources.replay.MAX_SAMPLES", 100)
    path = tmp_path / "trace"
    save(path, INFO, [Sample(index, 1.0) for index in range(101)])
    with pytest.raises(ProbeError, match="more than 100 samples"):
        load(path)
