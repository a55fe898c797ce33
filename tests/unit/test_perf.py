"""RAPL through perf events: the real system call, on a software counter of known rate.

A CPU-wide `cpu-clock` event counts nanoseconds of wall clock. A tree that names it as the power PMU, with a scale of
P * 1e-9 J a count, is a source of exactly P watts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench_probes.base import ProbeError, Scope, WindowInvalid
from edgebench_probes.catalogue.discover import discover, open_probes
from edgebench_probes.host import Host, read_host
from edgebench_probes.sources.perf import Event, EventCounter, PerfProbe, cpu_list, events, perf_event_open, scaled

pytestmark = pytest.mark.quiet

POWER = 7.0
SOFTWARE_PMU = 1
CPU_CLOCK = Event("energy-pkg", Scope.PACKAGE, SOFTWARE_PMU, 0, POWER * 1e-9, (0,))
METAL = Host(machine="x86_64", vendor="GenuineIntel", virtual=False, container=False, paranoid=2, perfmon=False)


def refusal() -> str | None:
    try:
        os.close(perf_event_open(CPU_CLOCK, 0))
    except OSError as error:
        return f"the kernel refuses a CPU-wide perf event here: {error.strerror}"
    return None


needs_perf = pytest.mark.skipif(refusal() is not None, reason=refusal() or "")


def pmu(sysfs: Path, cpus: str = "0", names: tuple[str, ...] = ("energy-pkg",), unit: str = "Joules") -> Path:
    folder = sysfs / "bus/event_source/devices/power"
    (folder / "events").mkdir(parents=True)
    (folder / "type").write_text(f"{SOFTWARE_PMU}\n")
    (folder / "cpumask").write_text(f"{cpus}\n")
    for name in names:
        (folder / "events" / name).write_text("event=0x00\n")
        (folder / "events" / f"{name}.scale").write_text(f"{POWER * 1e-9:.25e}\n")
        (folder / "events" / f"{name}.unit").write_text(f"{unit}\n")
    return sysfs


@needs_perf
def test_known_power_is_measured(tmp_path: Path) -> None:
    rng = random.Random(42)  # noqa: S311 - reproducible window lengths
    probes, missing = open_probes([], pmu(tmp_path), METAL)
    assert [probe.info.name for probe in probes] == ["perf"]
    assert not missing
    energy_j = seconds = 0.0
    with probes[0] as probe:
        for index in range(20):
            start = probe.mark(sync=index % 2 == 0)
            time.sleep(rng.uniform(0.02, 0.1))
            window = probe.energy(start, probe.mark(sync=index % 2 == 0))
            assert abs(window.energy_j - POWER * window.seconds) < 5 * window.uncertainty_j
            energy_j += window.energy_j
            seconds += window.seconds
    assert energy_j == pytest.approx(POWER * seconds, rel=0.005)


@needs_perf
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU only")
def test_one_event_a_socket_is_added_but_the_platform_is_one(tmp_path: Path) -> None:
    probes, _ = open_probes(["perf"], pmu(tmp_path, "0-1", ("energy-pkg", "energy-psys")), METAL)
    windows = {}
    for probe in probes:
        start = probe.mark()
        time.sleep(0.1)
        windows[probe.info.scope] = probe.energy(start, probe.mark())
        probe.close()
    assert set(windows) == {Scope.PACKAGE, Scope.PSYS}
    for scope, power_w in ((Scope.PACKAGE, 2 * POWER), (Scope.PSYS, POWER)):
        window = windows[scope]
        error_j = abs(window.energy_j - power_w * window.seconds)
        assert error_j < max(0.005 * window.energy_j, 5 * window.uncertainty_j)


@needs_perf
def test_a_counter_that_is_there_and_never_counts_is_not_chosen(tmp_path: Path) -> None:
    # Seen in a virtual machine with an NVIDIA GPU: the kernel offers `energy-psys`, and it is always 0.
    sysfs = pmu(tmp_path, names=("energy-pkg", "energy-psys"))
    (sysfs / "bus/event_source/devices/power/events/energy-psys").write_text("event=0x09\n")  # counts nothing
    probes, missing = open_probes([], sysfs, METAL)
    with contextlib.ExitStack() as stack:
        for probe in probes:
            stack.callback(probe.close)
        assert [probe.info.scope for probe in probes] == [Scope.PACKAGE]
    assert [(one.scope, one.fix is not None) for one in missing] == [(Scope.PSYS, True)]
    assert "energy-psys: the counter did not move" in (missing[0].reason or "")


@needs_perf
def test_a_count_that_never_moves_is_no_zero() -> None:
    dummy = Event("energy-gpu", Scope.UNCORE, SOFTWARE_PMU, 9, 1e-9, (0,))  # PERF_COUNT_SW_DUMMY counts nothing
    with PerfProbe(dummy) as probe:
        start = probe.mark(sync=False)
        time.sleep(0.06)
        with pytest.raises(WindowInvalid, match="frozen"):
            probe.energy(start, probe.mark(sync=False))


@needs_perf
def test_the_step_is_the_common_divisor_of_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = EventCounter(CPU_CLOCK, 0)
    values = iter([0, *(2**18 * odd for odd in range(1, 99, 2))])  # what the kernel makes of an LSB of 2^-14 J
    monkeypatch.setattr(counter, "read", lambda: next(values))
    counter.learn()
    assert counter.step == 2**18


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
@pytest.mark.usefixtures("others_may_enter")
def test_a_refusal_names_the_level_and_the_flag(tmp_path: Path) -> None:
    """As a user without rights, through the real system call."""
    tree = pmu(tmp_path / "sys")
    os.seteuid(65534)
    try:
        host = read_host()
        assert not host.perfmon
        found = [
            finding
            for container in (False, True)
            for finding in discover(tree, dataclasses.replace(METAL, paranoid=host.paranoid, container=container))
            if finding.name == "perf"
        ]
    finally:
        os.seteuid(0)
    if host.paranoid is not None and host.paranoid <= 0:
        pytest.skip("this kernel lets everyone open a CPU-wide event (perf_event_paranoid is 0 or less)")
    assert [finding.usable for finding in found] == [False, False]
    assert "refuses energy-pkg" in (found[0].reason or "")
    assert f"perf_event_paranoid is {host.paranoid}" in (found[0].reason or "")
    assert "sysctl kernel.perf_event_paranoid=0" in (found[0].fix or "")
    assert "--cap-add PERFMON" in (found[1].fix or "")


@given(st.integers(0, 2**40), st.integers(1, 2**40), st.integers(1, 2**40))
def test_a_multiplexed_event_is_scaled_up(value: int, running: int, waiting: int) -> None:
    start = (5, 7, 11)
    now = (start[0] + value, start[1] + running + waiting, start[2] + running)
    assert scaled(start, now, "x") == pytest.approx(value * (running + waiting) / running, abs=0.5, rel=1e-9)
    with pytest.raises(WindowInvalid, match="never ran"):
        scaled(start, (5, 7 + waiting, 11), "x")


def test_events_that_are_not_joules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="not a number of Joules"):
        events(pmu(tmp_path, unit="Volts"))
    (tmp_path / "bus/event_source/devices/power/cpumask").write_text("none\n")
    (found,) = [finding for finding in discover(tmp_path, METAL) if finding.name == "perf"]
    assert not found.usable
    assert "no list of CPUs" in (found.reason or "")


def test_cpu_lists() -> None:
    assert cpu_list("0,18-20\n") == (0, 18, 19, 20)
    for text in ("", "0,", "-1", "a", "0-"):
        with pytest.raises(ValueError, match="no list"):
            cpu_list(text)
