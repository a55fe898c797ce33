"""RAPL through powercap, against a live tree of known power."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.simulators.powercap import LSB_NJ, Options, Simulator, powercap, unavailable

from edgebench_probes.base import Mark, Scope, WindowEnergy, WindowInvalid
from edgebench_probes.sampling.watch import WATCH
from edgebench_probes.sources.powercap import step_nj, walk
from edgebench_probes.sources.rapl import RaplProbe, zones_by_scope
from edgebench_probes.summed import State

pytestmark = [pytest.mark.quiet, pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")]

POWER = 7.0


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with powercap(tmp_path_factory.mktemp("sysfs"), Options(power=POWER, range=20.0, psys=True)) as simulator:
        yield simulator


@pytest.fixture
def faulty(tree: Simulator) -> Iterator[Simulator]:
    yield tree
    tree.control("ok")


@contextlib.contextmanager
def probe_of(simulator: Simulator, scope: Scope = Scope.PACKAGE) -> Iterator[RaplProbe]:
    with RaplProbe(scope, zones_by_scope(simulator.root)[scope]) as probe:
        yield probe


def measure(probe: RaplProbe, seconds: float, *, sync: bool = True) -> WindowEnergy:
    start = probe.mark(sync=sync)
    time.sleep(seconds)
    return probe.energy(start, probe.mark(sync=sync))


def agrees(window: WindowEnergy, power_w: float) -> bool:
    """Within 0.5 %, or, where a loaded machine kept the probe from its edges, within what the window itself states."""
    return abs(window.energy_j - power_w * window.seconds) < max(0.005 * window.energy_j, 5 * window.uncertainty_j)


def test_known_power_is_measured_and_the_stated_uncertainty_holds(tree: Simulator) -> None:
    rng = random.Random(42)  # noqa: S311 - reproducible window lengths
    windows: list[WindowEnergy] = []
    with probe_of(tree) as probe:
        for index in range(40):
            time.sleep(rng.uniform(0.0, 0.002))  # else a window would start right at the last one's edge
            windows.append(measure(probe, rng.uniform(0.03, 0.12), sync=index % 4 != 0))
    assert all(agrees(window, POWER) for window in windows)
    within = sum(abs(w.energy_j - POWER * w.seconds) <= 2 * w.uncertainty_j for w in windows)
    assert within >= 0.85 * len(windows)
    assert sum(w.energy_j for w in windows) == pytest.approx(POWER * sum(w.seconds for w in windows), rel=0.005)
    assert all(w.uncertainty_j == pytest.approx(sum(p**2 for p in w.parts.values()) ** 0.5) for w in windows)


def test_every_scope_has_its_own_probe(tree: Simulator) -> None:
    truth = {"package": POWER, "core": 0.6 * POWER, "uncore": 0.1 * POWER, "dram": 0.2 * POWER, "psys": 1.5 * POWER}
    for scope in zones_by_scope(tree.root):
        with probe_of(tree, scope) as probe:
            window = measure(probe, 0.1)
            assert probe.info.scope is scope
            assert probe.info.resolution == pytest.approx(LSB_NJ * 1e-9)
            assert abs(window.power_w - truth.pop(scope)) < 5 * window.uncertainty_j / window.seconds
    assert not truth


def test_one_wrap_and_several_are_right(tmp_path: Path) -> None:
    with powercap(tmp_path / "sysfs", Options(power=45.0, range=40.0)) as simulator, probe_of(simulator) as probe:
        window = measure(probe, 2.2)
        assert window.energy_j > 2 * 40.0
        assert agrees(window, 45.0)


def test_sockets_and_dies_are_added_and_nothing_else(tmp_path: Path) -> None:
    options = Options(power=POWER, sockets=2, dies=2, psys_first=True, mmio=True)
    with powercap(tmp_path / "sysfs", options) as simulator:
        zones = zones_by_scope(simulator.root)[Scope.PACKAGE]
        assert [zone.name for zone in zones] == [f"package-{s}-die-{d}" for s in (0, 1) for d in (0, 1)]
        assert len({(zone.control_type, zone.parent, zone.name) for zone in walk(simulator.root)}) == 4 * 4 + 1
        with probe_of(simulator) as probe:
            window = measure(probe, 0.1)
        assert agrees(window, 4 * POWER)


def test_amd_s_core_zone_is_dropped(tmp_path: Path) -> None:
    with powercap(tmp_path / "sysfs", Options(amd=True)) as simulator:
        assert set(zones_by_scope(simulator.root, "AuthenticAMD")) == {Scope.PACKAGE}
        assert set(zones_by_scope(simulator.root, "GenuineIntel")) == {Scope.PACKAGE, Scope.CORE}


def _counter_below(tree: Simulator, joules: float) -> None:
    """Wait until the counter is low: a reset just before a wrap cannot be told from the wrap."""
    while not 1.0 < int(tree.counter().read_text()) / 1e6 < joules:
        time.sleep(0.01)


FAULTS = {
    "reset": "reset",
    "freeze": "frozen",
    "eio": "could not be read",
    "vanish": "vanished",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_within_a_window_invalidates_it_and_only_it(faulty: Simulator, fault: str) -> None:
    with probe_of(faulty) as probe:
        _counter_below(faulty, 8.0)
        start = probe.mark()
        time.sleep(0.05)
        faulty.control(fault)
        time.sleep(0.05)
        with pytest.raises(WindowInvalid, match=FAULTS[fault]):
            probe.energy(start, probe.mark())
        faulty.control("ok")
        probe.mark(sync=False)  # a thaw in the simulator resumes where it stood, as after a driver's reload
        assert agrees(measure(probe, 0.1), POWER)


def test_a_counter_that_stood_still_inside_a_window_and_lost_energy_has_none(faulty: Simulator) -> None:
    with probe_of(faulty) as probe:
        start = probe.mark()
        time.sleep(0.1)
        faulty.control("freeze")
        time.sleep(0.15)
        faulty.control("ok")
        time.sleep(0.1)
        with pytest.raises(WindowInvalid, match=r"stood still|jumped"):
            probe.energy(start, probe.mark())


def test_a_load_that_steps_inside_a_window_is_no_fault(faulty: Simulator) -> None:
    with probe_of(faulty) as probe:
        start = probe.mark()
        time.sleep(0.2)
        before_ns = time.monotonic_ns()
        faulty.control("power 28")
        after_ns = time.monotonic_ns()
        time.sleep(0.2)
        end = probe.mark()
        faulty.control(f"power {POWER}")
        window = probe.energy(start, end)
    truth_j = [(POWER * (t - start.t_ns) + 28 * (end.t_ns - t)) / 1e9 for t in (after_ns, before_ns)]
    assert truth_j[0] - 2 * window.uncertainty_j < window.energy_j < truth_j[1] + 2 * window.uncertainty_j
    assert window.parts["unseen"] > window.parts["timing"]


def test_a_window_whose_watch_was_killed_has_no_energy_and_the_next_has(tree: Simulator) -> None:
    with probe_of(tree) as probe:
        start = probe.mark()
        assert WATCH._process is not None
        WATCH._process.kill()
        time.sleep(0.1)
        with pytest.raises(WindowInvalid, match="watch"):
            probe.energy(start, probe.mark())
        assert agrees(measure(probe, 0.1), POWER)
        assert 0 < probe.watch_share() < 0.5


def test_the_watch_ends_with_the_last_probe(tree: Simulator) -> None:
    with probe_of(tree) as first, probe_of(tree, Scope.CORE) as second:
        assert WATCH._process is not None
        pid = WATCH._process.pid
        assert agrees(measure(first, 0.1), POWER)
        first.close()
        assert measure(second, 0.1).power_w == pytest.approx(0.6 * POWER, rel=0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_a_counter_frozen_for_the_whole_window_has_no_energy(faulty: Simulator) -> None:
    with probe_of(faulty) as probe:
        faulty.control("freeze")
        with pytest.raises(WindowInvalid, match="frozen"):
            measure(probe, 0.06, sync=False)


def test_an_idle_part_is_not_frozen(faulty: Simulator) -> None:
    with probe_of(faulty, Scope.UNCORE) as probe:
        faulty.control("power 0.01")  # 1 mW of uncore: one step each 61 ms
        try:
            window = measure(probe, 0.5)
        finally:
            faulty.control(f"power {POWER}")
        assert abs(window.energy_j - 0.001 * window.seconds) < 3 * window.uncertainty_j


def test_a_suspend_invalidates_the_window(tree: Simulator) -> None:
    with probe_of(tree) as probe:
        start, end = probe.mark(), probe.mark()
        assert isinstance(end.state, State)
        slept = dataclasses.replace(end.state, slept_ns=end.state.slept_ns + 10**9)
        with pytest.raises(WindowInvalid, match="suspended"):
            probe.energy(start, Mark(end.t_ns, slept))


@pytest.mark.parametrize("step", [61_035, 15_258, 30_517, 122_070, 1_000_000_000 // 2**10])
@pytest.mark.parametrize("counts", [2**32, 327_679])
def test_the_step_is_found_from_the_range_or_from_values(step: int, counts: int) -> None:
    rng = random.Random(step)  # noqa: S311 - reproducible
    values = [rng.randrange(counts) * step // 1000 for _ in range(16)]
    assert step_nj((counts - 1) * step // 1000, [] if counts == 2**32 else values) == step


AGREE = """
import time, sys
from pathlib import Path
from edgebench_probes.base import Scope
from edgebench_probes.catalogue.discover import open_probes
probes, missing = open_probes(["rapl?scope=package", "pyrapl"])
assert [p.info.name for p in probes] == ["rapl", "pyrapl"], missing
starts = [p.mark() for p in probes]
time.sleep(0.8)
for probe, start in zip(probes, starts):
    print(probe.energy(start, probe.mark()).power_w)
    probe.close()
"""


def _in_namespace(
    run: Callable[..., subprocess.CompletedProcess[str]], script: str
) -> subprocess.CompletedProcess[str]:
    return run(["/usr/bin/unshare", "-m", "/bin/sh", "-ec", script], capture_output=True, text=True, check=False)


def test_pyrapl_agrees_on_the_same_tree(tmp_path: Path) -> None:
    pytest.importorskip("pyRAPL")
    if _in_namespace(subprocess.run, "mount -t tmpfs none /mnt").returncode:
        pytest.skip("no mount namespace here: unshare -m is refused")
    root = tmp_path / "sysfs"
    mounts = "".join(
        f"mount -t tmpfs none /sys/{parent}; mkdir /sys/{parent}/powercap;"
        f"mount --bind {root}/{parent}/powercap /sys/{parent}/powercap;"
        for parent in ("class", "devices/virtual")
    )
    with powercap(root, Options(power=45.0, range=30.0)):  # wraps within the window
        (tmp_path / "agree.py").write_text(AGREE)
        done = _in_namespace(subprocess.run, f"{mounts} exec {sys.executable} {tmp_path}/agree.py")
    assert done.returncode == 0, done.stderr
    ours, theirs = map(float, done.stdout.split())
    assert ours == pytest.approx(45.0, rel=0.005)
    assert theirs == pytest.approx(ours, rel=0.005)
