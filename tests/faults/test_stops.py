"""A process that is stopped inside a window: by a signal, by its control group, or with its whole group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import sys, time
from pathlib import Path
from edgebench_probes.base import Scope, WindowInvalid
from edgebench_probes.summed import CounterProbe
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sources.hwmon import HwmonSource
from edgebench_probes.sources.powercap import Zone, ZoneCounter

root = Path(sys.argv[1])
probe = (
    SampledProbe(HwmonSource(root, "amdgpu", "power1", Scope.GPU, 50))
    if sys.argv[2] == "sampled"
    else CounterProbe("c", "c", Scope.PACKAGE, [ZoneCounter(Zone("t", "t", "package-0", root / "zone", Scope.PACKAGE))])
)
with probe:
    for _ in range(3):
        start = probe.mark(sync=sys.argv[2] == "sampled")
        print("open", flush=True)
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            time.sleep(0.01)
        try:
            probe.energy(start, probe.mark(sync=False))
            print("valid", flush=True)
        except WindowInvalid as error:
            print(error, flush=True)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A meter that shows 7 W, and a counter of 7 W that a process of its own moves."""
    chip, zone = tmp_path / "class/hwmon/hwmon0", tmp_path / "zone"
    chip.mkdir(parents=True)
    zone.mkdir()
    for file, text in (("name", "amdgpu"), ("power1_input", "7000000"), ("power1_average", "7000000")):
        (chip / file).write_text(f"{text}\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    (zone / "energy_uj").write_text("1000000000000\n"[:9])
    code = (
        "import os, sys, time\nfile = os.open(sys.argv[1], os.O_RDWR)\n"
        "while os.getppid() != 1:\n    os.pwrite(file, b'%12d' % (10**9 + time.monotonic_ns() * 7 // 1000), 0)\n"
        "    time.sleep(0.0005)\n"
    )
    meter = subprocess.Popen([sys.executable, "-c", code, zone / "energy_uj"])
    time.sleep(0.1)
    yield tmp_path
    meter.kill()
    meter.wait()


Stop = Callable[[int], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def by_signal(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def with_its_group(pid: int) -> Iterator[None]:
    """As Ctrl-Z and fg do: the watch is stopped too."""
    os.killpg(pid, signal.SIGSTOP)
    yield
    os.killpg(pid, signal.SIGCONT)


def _freezer(version: str, files: tuple[str, str, str], *, children: bool) -> Stop:
    @contextlib.contextmanager
    def frozen(pid: int) -> Iterator[None]:
        group = Path("/sys/fs/cgroup") / version / f"edgebench-test-{pid}"
        try:
            group.mkdir()
        except OSError as error:
            pytest.skip(f"no control group can be made here: {error}")
        file, freeze, thaw = files
        family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        for member in family if children else [pid]:
            (group / "cgroup.procs").write_text(str(member))
        (group / file).write_text(freeze)
        yield
        (group / file).write_text(thaw)  # it stays in the group, as in a container

    return frozen


def remove_groups(pid: int) -> None:
    for version in ("freezer", V2_ROOT):
        group = Path("/sys/fs/cgroup") / version / f"edgebench-test-{pid}"
        for _ in range(50):
            if not group.exists():
                break
            with contextlib.suppress(OSError):
                group.rmdir()
            time.sleep(0.02)


V1 = ("freezer.state", "FROZEN", "THAWED")
V2 = ("cgroup.freeze", "1", "0")
V2_ROOT = "" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "unified"
STOPS: dict[str, tuple[Stop, float]] = {
    "signal": (by_signal, 0.45),
    "short signal": (by_signal, 0.005),
    "process group": (with_its_group, 0.45),
    "freezer v1, as docker pause does": (_freezer("freezer", V1, children=True), 0.45),
    "freezer v1, the process alone": (_freezer("freezer", V1, children=False), 0.45),
    "freezer v2, as docker pause does": (_freezer(V2_ROOT, V2, children=True), 0.45),
    "freezer v2, for a moment": (_freezer(V2_ROOT, V2, children=True), 0.02),
    "freezer v2, the process alone": (_freezer(V2_ROOT, V2, children=False), 0.45),
}


REASONS = ("was stopped by", "was frozen within", "machine stood still, within")
FEW = ("signal", "short signal", "process group", "freezer v2, as docker pause does")


# Nothing beside it: a window that another program took the processor from is rightly none.
@pytest.mark.quiet
@pytest.mark.parametrize("kind", ["counter", "sampled"])
@pytest.mark.parametrize("stop", [pytest.param(stop, marks=() if stop in FEW else pytest.mark.long) for stop in STOPS])
def test_a_stop_voids_its_window_and_no_other(tree: Path, kind: str, stop: str) -> None:
    stopped, seconds = STOPS[stop]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tree, kind],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = []
    try:
        for index in range(3):
            assert process.stdout.readline() == "open\n"
            time.sleep(0.15)
            if index == 1:
                with stopped(process.pid):
                    time.sleep(seconds)
            said.append(process.stdout.readline().strip())
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        remove_groups(process.pid)
    if seconds < 0.05 and "freezer" in stop and said[1] == "valid":
        pytest.skip("this kernel does not count how long a control group was frozen")
    assert any(reason in said[1] for reason in REASONS)
    assert not any(reason in said[0] + said[2] for reason in REASONS)
