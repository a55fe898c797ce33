"""Sampled power: the process, its ring, its windows, and every fault that must void one."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray  # noqa: TC002 - hypothesis and pytest read annotations
from tests.simulators.board import Simulator, board
from tests.simulators.peers import counter_peers, sampled_errors
from tests.simulators.powercap import unavailable

from edgebench_probes.base import Mark, ProbeError, ProbeInfo, Scope, WindowEnergy, WindowInvalid
from edgebench_probes.sampling.clockfit import fit_clock
from edgebench_probes.sampling.integrate import integrate
from edgebench_probes.sampling.probe import SampledProbe, State
from edgebench_probes.sampling.ring import RingReader, RingWriter, size_of
from edgebench_probes.sampling.source import Sample, SourceInfo
from edgebench_probes.sources.hwmon import HwmonSource
from edgebench_probes.sources.replay import ReplaySource, save

pytestmark = pytest.mark.quiet

needs_fuse = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")
IDLE_W, LOAD_W = 3.0, 12.0


def info(refresh_s: float, resolution: float = 0.0, smoothing_s: float = 0.0, *, device: bool = False) -> SourceInfo:
    probe = ProbeInfo("test", "test", Scope.BOARD_DC, "power", resolution, refresh_s, 0.01)
    return SourceInfo(probe, smoothing_s, device_clock=device)


# The arithmetic


def square(t: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.searchsorted(edges, t, "right") % 2 == 1, LOAD_W, IDLE_W)


def square_energy(start: float, end: float, edges: NDArray[np.float64]) -> float:
    points = np.unique(np.concatenate(([start, end], edges[(edges > start) & (edges < end)])))
    return float(np.sum(np.diff(points) * square((points[1:] + points[:-1]) / 2, edges)))


@pytest.mark.parametrize(
    ("rate", "noise", "step"), [(100, 0.0, 0.04), (100, 0.5, 0.04), (10, 0.0, 0.0), (10, 0.3, 0.5)]
)
def test_the_stated_uncertainty_covers_random_windows(rate: int, noise: float, step: float) -> None:
    rng = np.random.default_rng(7)
    edges = np.cumsum(rng.uniform(0.5, 4.0, 4000))
    t = np.arange(0, edges[-1], 1 / rate) + rng.uniform(-0.1, 0.1, int(np.ceil(edges[-1] * rate))) / rate
    power = square(t, edges) + rng.normal(0, noise, len(t))
    power = np.round(power / step) * step if step else power
    scores, relative, withheld = [], [], 0
    for index in range(400):
        if index % 2:  # anywhere
            start = rng.uniform(10, edges[-1] - 50)
            end = start + rng.uniform(25 / rate, 20)
        else:  # the load alone, or load and idle: marks where the power changes
            first = int(rng.integers(10, 3900)) // 2 * 2
            start, end = edges[first], edges[first + (1 if rate == 100 else 3)]
        if (end - start) * rate < 22:
            continue
        near = slice(int(start * rate) - 20, int(end * rate) + 20)
        try:
            window = integrate(t[near], power[near], start, end, info(1 / rate, step))
        except WindowInvalid:
            withheld += 1
            continue
        error = window.energy_j - square_energy(start, end, edges)
        scores.append(abs(error) / window.uncertainty_j)
        relative.append(abs(error) / window.energy_j)
        assert window.uncertainty_j == pytest.approx(math.hypot(*window.parts.values()))
        assert window.coverage > 0.99
    assert len(scores) >= 200
    assert withheld <= 0.01 * len(scores), "a coarse source seldom repeats itself for so long"
    inside = [float(np.mean(np.array(scores) < k)) for k in (1, 2)]
    assert inside[0] > 0.68
    assert inside[1] > 0.95
    assert np.sqrt(np.mean(np.square(scores))) > 0.15  # stated, not padded to be safe
    assert np.sqrt(np.mean(np.square(relative))) < (0.01 if rate == 100 else 0.03)


@given(
    st.lists(st.floats(0.1, 100), min_size=40, max_size=60),
    st.floats(0.05, 0.95),
    st.floats(25.05, 38.95),
)
@settings(max_examples=60, deadline=None)
def test_a_window_is_the_sum_of_its_halves(power: list[float], start: float, end: float) -> None:
    t, p = np.arange(len(power)) * 1.0, np.array(power)
    middle = start + 20.7
    try:
        whole = integrate(t, p, start, end, info(1.0)).energy_j
        first = integrate(t, p, start, middle, info(1.0)).energy_j
    except WindowInvalid:
        reject()  # no machine draws that
    exact = np.concatenate(([middle], t[(t > middle) & (t < end)], [end]))
    rest = float(np.trapezoid(np.interp(exact, t, p), exact))
    assert whole == pytest.approx(first + rest)
    assert min(power) * (end - start) <= whole * (1 + 1e-9)
    assert whole <= max(power) * (end - start) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("seconds", "missing", "smoothing_s", "reason"),
    [
        (0.15, 0, 0.0, "samples in the window, and 20 are needed"),
        (1.0, 0, 0.2, "shorter than 10 times"),
        (1.0, 6, 0.0, "gap of 70 ms"),
        (9.0, 0, 0.0, "after the window"),
    ],
)
def test_a_window_that_proves_nothing_is_invalid(seconds: float, missing: int, smoothing_s: float, reason: str) -> None:
    t = np.arange(0, 5, 0.01)
    t = np.delete(t, slice(150, 150 + missing))
    with pytest.raises(WindowInvalid, match=reason):
        integrate(t, np.full(len(t), 5.0), 1.0, 1.0 + seconds, info(0.01, smoothing_s=smoothing_s))


def test_a_standing_value_keeps_its_quantisation_error() -> None:
    t = np.arange(0, 12, 0.01)
    window = integrate(t, np.full(len(t), 4.96), 1.0, 11.0, info(0.01, 0.04))
    assert window.parts["resolution"] == pytest.approx(10 * 0.04 / math.sqrt(12), rel=1e-3)
    assert window.systematic_j == pytest.approx(0.01 * window.energy_j)


@given(st.floats(-5e-5, 5e-5), st.floats(0, 1e6), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_device_clock_is_found_under_late_arrivals(drift: float, origin: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    host = 1000 + np.arange(0, 60, 0.01)
    device = origin + (host - 1000) * (1 + drift)
    arrival = host + 0.002 + rng.exponential(0.003, len(host))
    fit = fit_clock(device, arrival, 0.1)
    assert np.max(np.abs(fit.host_s(device) - host - 0.002)) < 0.001
    assert fit.rate - 1 == pytest.approx(-drift, abs=1e-5)


@pytest.mark.parametrize("jump", [0.5, -0.5, 3600.0])
def test_a_device_clock_that_jumps_is_seen(jump: float) -> None:
    host = np.arange(0, 20, 0.01)
    device = host + np.where(host > 12, jump, 0)
    with pytest.raises(WindowInvalid, match="clock"):
        fit_clock(device, host + 0.001, 0.1)


# The ring


def test_a_half_written_record_is_never_read() -> None:
    fd = os.memfd_create("ring")
    writer, reader = RingWriter(fd, 64), RingReader(fd, 64)
    for index in range(100):
        writer.put(Sample(index, index / 2, None))
    assert [int(r["t_ns"]) for r in reader.records(0)] == list(range(36, 100))
    at = size_of(70 % 64)  # in the middle of record 70
    os.pwrite(fd, b"torn", at + 20)
    assert [int(r["t_ns"]) for r in reader.records(0)] == list(range(71, 100))
    writer.lose("unplugged")
    assert reader.state() == (100, 1, True, "unplugged")
    reader.close()
    os.close(fd)


# The process


@contextlib.contextmanager
def amdgpu(root: Path, rate_hz: float) -> Iterator[SampledProbe]:
    with SampledProbe(HwmonSource(root, "amdgpu", "power1", Scope.GPU, rate_hz)) as probe:
        yield probe


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with board(tmp_path_factory.mktemp("board"), "amdgpu,powerz", IDLE_W) as simulator:
        yield simulator


@pytest.fixture
def faulty(tree: Simulator) -> Iterator[Simulator]:
    yield tree
    tree.control("ok")
    tree.control(f"power {IDLE_W}")


def wait(probe: SampledProbe, seconds: float) -> WindowEnergy:
    start = probe.mark()
    time.sleep(seconds)
    return probe.energy(start, probe.mark(sync=False))


@needs_fuse
def test_the_load_of_a_square_wave_at_100_and_at_10_hz(faulty: Simulator) -> None:
    powerz = HwmonSource(faulty.root, "powerz", "in0*curr1", Scope.BOARD_DC, 100)
    with amdgpu(faulty.root, 10) as slow, SampledProbe(powerz) as fast:
        bounds = {fast: 0.01, slow: 0.03}
        missing = set(bounds)
        for _ in range(3):  # a machine that loses its processors for 50 ms voids a window, as it should
            time.sleep(0.3)
            starts = {probe: probe.mark() for probe in bounds}
            before_ns, before_j = faulty.truth()
            faulty.control(f"power {LOAD_W}")
            time.sleep(4)
            ends = {probe: probe.mark(sync=False) for probe in bounds}
            after_ns, after_j = faulty.truth()
            faulty.control(f"power {IDLE_W}")
            for probe in tuple(missing):
                start, end = starts[probe], ends[probe]
                with contextlib.suppress(WindowInvalid):
                    window = probe.energy(start, end)
                    truth_j = after_j - before_j + IDLE_W * (before_ns - start.t_ns) / 1e9
                    truth_j -= LOAD_W * (after_ns - end.t_ns) / 1e9
                    error_j = abs(window.energy_j - truth_j)
                    assert error_j < bounds[probe] * truth_j
                    assert error_j < 3 * window.uncertainty_j
                    assert window.seconds == pytest.approx((end.t_ns - start.t_ns) / 1e9)
                    missing.discard(probe)
            if not missing:
                break
        assert not missing
        assert 0 < fast.sampler_share() < 0.5


@needs_fuse
@pytest.mark.parametrize(
    ("fault", "reason"), [("eio", "Input/output error"), ("vanish", "was lost"), ("garble", "no number")]
)
def test_a_source_lost_in_the_window_voids_it_and_comes_back(faulty: Simulator, fault: str, reason: str) -> None:
    with amdgpu(faulty.root, 50) as probe:
        start = probe.mark()
        time.sleep(0.3)
        faulty.control(fault)
        time.sleep(0.3)
        faulty.control("ok")
        time.sleep(0.3)
        end = probe.mark()  # waits for the source to come back
        with pytest.raises(WindowInvalid, match=f"was lost in the window.*{reason}|{reason}"):
            probe.energy(start, end)
        assert settled(probe).power_w == pytest.approx(IDLE_W, rel=0.01)


def settled(probe: SampledProbe) -> WindowEnergy:
    """The next window that is valid."""
    for _ in range(4):
        with contextlib.suppress(WindowInvalid):
            return wait(probe, 0.5)
    return wait(probe, 0.5)


@needs_fuse
def test_a_source_lost_for_good_is_said_at_the_mark(faulty: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebench_probes.sampling.probe.RETURN_S", 0.3)
    with amdgpu(faulty.root, 50) as probe:
        start = probe.mark()
        faulty.control("vanish")
        time.sleep(0.2)
        with pytest.raises(WindowInvalid, match="was lost"):
            probe.mark()
        faulty.control("ok")
        monkeypatch.undo()
        with pytest.raises(WindowInvalid, match="was lost in the window"):
            probe.energy(start, probe.mark())


@needs_fuse
def test_a_stall_is_a_gap(faulty: Simulator) -> None:
    with amdgpu(faulty.root, 50) as probe:
        start = probe.mark()
        time.sleep(0.5)
        faulty.control("stall 0.3")
        time.sleep(0.35)
        faulty.control("ok")
        time.sleep(0.6)
        with pytest.raises(WindowInvalid, match="gap of"):
            probe.energy(start, probe.mark())


@needs_fuse
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_sampler_voids_the_window_and_is_started_again(tree: Simulator, number: signal.Signals) -> None:
    with amdgpu(tree.root, 50) as probe:
        start = probe.mark()
        assert probe._process is not None
        os.kill(probe._process.pid, number)
        time.sleep(0.2)
        end = probe.mark()
        with pytest.raises(WindowInvalid, match=f"sampler process died.*{number.name}"):
            probe.energy(start, end)
        assert settled(probe).power_w == pytest.approx(IDLE_W, rel=0.01)


@needs_fuse
def test_closing_leaves_no_process_and_no_descriptor(tree: Simulator) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with amdgpu(tree.root, 50) as probe:
        assert probe._process is not None
        pid = probe._process.pid
        probe.open()  # harmless
    assert not Path(f"/proc/{pid}").exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(ProbeError, match="not open"):
        probe.mark()
    probe.close()


@needs_fuse
def test_the_sampler_keeps_off_the_workload_and_dies_with_its_parent(tree: Simulator) -> None:
    source = HwmonSource(tree.root, "amdgpu", "power1", Scope.GPU, 50)
    allowed = os.sched_getaffinity(0)
    probe = SampledProbe(source, workload_cpus={min(allowed)})
    with probe:
        assert probe._process is not None
        pid = probe._process.pid
        if len(allowed) > 1:
            assert min(allowed) not in os.sched_getaffinity(pid)
        assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0)
        assert probe._process.stdin is not None
        probe._process.stdin.close()  # as when this process is killed
        assert probe._process.wait(5) == 0


def test_a_source_that_cannot_open_says_why(tmp_path: Path) -> None:
    probe = SampledProbe(ReplaySource(tmp_path / "absent"))
    with pytest.raises(ProbeError, match="absent cannot be read") as caught:
        probe.open()
    assert caught.value.fix
    with pytest.raises(ProbeError, match="never been open"):
        _ = probe.info


# A meter with a clock of its own, through a trace played at once


def meter_trace(path: Path, jump_s: float = 0.0, missing: int = 0) -> Path:
    samples = []
    for index in range(3000):
        device_s = index * 0.01 * (1 + 4e-5) + (jump_s if index > 1500 else 0)
        late_ns = 4_000_000 if index % 4 else 0  # packets of four
        if not 1400 <= index < 1400 + missing:
            samples.append(Sample(10_000_000 * index + late_ns, 5 + (index // 100) % 2, device_s))
    save(path, info(0.01, 0.001, device=True), samples)
    return path


def played(path: Path, start_s: float, end_s: float) -> WindowEnergy:
    with SampledProbe(ReplaySource(path, 0)) as probe:
        mark = probe.mark()
        assert isinstance(mark.state, State)
        state = replace(mark.state, count=0)  # the trace is there at once, up to its end
        records = probe._ring
        assert records is not None
        begin = int(records.records(0)["t_ns"][0])
        return probe.energy(Mark(begin + round(start_s * 1e9), state), Mark(begin + round(end_s * 1e9), state))


def test_a_device_clock_through_the_process(tmp_path: Path) -> None:
    window = played(meter_trace(tmp_path / "trace"), 2.0, 28.0)
    assert window.energy_j == pytest.approx(26 * 5.5, rel=2e-3)
    assert window.samples == pytest.approx(2600, abs=2)
    assert window.parts["timing"] > 0


@pytest.mark.parametrize(
    ("jump_s", "missing", "reason"), [(-3.0, 0, "went back"), (2.0, 0, "jumped"), (0.0, 9, "gap of")]
)
def test_faults_of_a_meter_void_the_window(tmp_path: Path, jump_s: float, missing: int, reason: str) -> None:
    with pytest.raises(WindowInvalid, match=reason):
        played(meter_trace(tmp_path / "trace", jump_s, missing), 2.0, 28.0)


def test_the_peers_arithmetic_on_the_same_windows() -> None:
    for rate, bound in ((10.0, 0.03), (100.0, 0.01)):
        errors = sampled_errors(rate, 200)
        rms, worst = errors.pop("edgebench")
        assert abs(worst) < bound
        errors.pop("mean of samples (tegrastats scripts)")  # as good, for a load that fills the window
        assert all(rms < 0.85 * rms_of for rms_of, _ in errors.values())
    wrap, failed = counter_peers([950.0, 10.0, 70.0], 1000), counter_peers([100.0, None, 200.0], 1000)
    assert wrap["edgebench"] == 120
    assert wrap["difference of the ends (pyRAPL, EnergiBridge)"] == -880
    assert failed["edgebench"] == "invalid"
    assert failed["failed read is 0 (codecarbon)"] == 1100
