"""Zones that show one hardware counter twice: counted once. Others are added, however alike they are."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulators.sysfs import plant

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.catalogue.discover import examine
from edgebench_probes.counter import Counter
from edgebench_probes.host import Host
from edgebench_probes.sources.rapl import RaplProbe, mirrored, zones_by_scope

AMD = Host(machine="x86_64", vendor="AuthenticAMD", virtual=False, container=False, paranoid=2, perfmon=False)
ZONES = "devices/virtual/powercap/intel-rapl"

pytestmark = pytest.mark.quiet


@contextmanager
def package(root: Path, offsets_uj: list[int], watts: float = 68.0) -> Iterator[Path]:
    """One package as so many dies, each with an offset to the counter, written one after the other each millisecond."""
    (root / "class/powercap").mkdir(parents=True)
    files = []
    for die in range(len(offsets_uj)):
        zone = f"intel-rapl:{die}"
        folder = plant(root, f"{ZONES}/{zone}", {"name": f"package-0-die-{die}", "max_energy_range_uj": 65_532_610_987})
        (root / "class/powercap" / zone).symlink_to(folder)
        files.append((folder / "energy_uj").open("w+b", buffering=0))
    over = threading.Event()
    begun = time.monotonic()

    def write() -> None:
        while not over.is_set():
            counted = int((5e9 + watts * 1e6 * (time.monotonic() - begun)) // 15.259 * 15.259)
            for file, offset_uj in zip(files, offsets_uj, strict=True):
                file.seek(0)
                file.write(b"%-20d\n" % (counted + offset_uj))
            time.sleep(0.001)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    while not all(file.tell() for file in files):
        time.sleep(0.001)
    try:
        yield root
    finally:
        over.set()
        writer.join()
        for file in files:
            file.close()


@pytest.mark.parametrize(
    ("offsets_uj", "counted", "told"),
    [
        ([0, 0], 1, "package-0-die-1 repeats package-0-die-0"),
        ([0, 0, 0, 0], 1, "package-0-die-3 repeats package-0-die-0"),
        ([0, 700_000_000, 0, 700_000_000], 2, "package-0-die-3 repeats package-0-die-1"),
        ([0, 2_000_000_000], 2, ""),
        ([0, 15_259], 2, ""),
    ],
)
def test_a_counter_is_counted_once(tmp_path: Path, offsets_uj: list[int], counted: int, told: str) -> None:
    with package(tmp_path, offsets_uj) as root:
        (found,) = examine(["rapl"], root, AMD)
    assert found.usable, found.reason
    assert found.info is not None
    assert found.reading_w == pytest.approx(68.0 * counted, rel=0.1)
    assert found.info.source.endswith(told or f"intel-rapl:{len(offsets_uj) - 1}")
    assert ("repeats" in found.info.source) == bool(told)


def test_a_probe_that_is_opened_again_looks_again(tmp_path: Path) -> None:
    with package(tmp_path, [0, 0]) as root:
        probe = RaplProbe(Scope.PACKAGE, zones_by_scope(root)[Scope.PACKAGE])
        for _ in range(2):
            with probe:
                assert "repeats" in probe.info.source
                assert len(probe._counters) == 1


class Listed(Counter):
    """A counter that gives what it is told, and its last value for ever."""

    joules = 1e-6
    name = "listed"

    def __init__(self, values: list[int]) -> None:
        self._values = itertools.chain(values, itertools.repeat(values[-1]))

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def read(self) -> int:
        return next(self._values)


@given(st.lists(st.integers(1, 10**6), min_size=8, max_size=40), st.integers(1, 10**6))
def test_counters_that_differ_once_while_they_stand_are_two(steps: list[int], offset_uj: int) -> None:
    values = list(itertools.accumulate(steps))
    standing = [value for value in values for _ in range(2)]  # each is read twice by the first, once by the second
    assert not mirrored(Listed(standing), Listed([value + offset_uj for value in values]), 0.002)
    assert mirrored(Listed(standing), Listed(values), 0.002)


def test_perf_does_not_add_dies_of_one_amd_package(tmp_path: Path) -> None:
    pmu = plant(tmp_path, "bus/event_source/devices/power", {"type": 9, "cpumask": "0,8"})
    plant(pmu, "events", {"energy-pkg": "event=0x02", "energy-pkg.scale": 2**-32, "energy-pkg.unit": "Joules"})
    for cpu in (0, 8):
        plant(tmp_path, f"devices/system/cpu/cpu{cpu}/topology", {"physical_package_id": 0})
    (found,) = examine(["perf"], tmp_path, AMD)
    assert "repeat one counter" in (found.reason or "")
    assert "`rapl`" in (found.fix or "")


def test_a_zone_without_a_range_is_refused_with_its_own_sentence(tmp_path: Path) -> None:
    with package(tmp_path, [0]) as root:
        file = root / ZONES / "intel-rapl:0/max_energy_range_uj"
        for value, says in (
            (None, "has no range"),
            ("0", "states a range of 0 uJ"),
            ("9" * 400, "states a range of 999"),
            ("x", "it holds no number"),
        ):
            file.unlink() if value is None else file.write_text(value)
            (found,) = examine(["rapl"], root, AMD)
            assert not found.usable
            assert says in (found.reason or "")
            assert "perf" in (found.fix or "")
        with pytest.raises(ProbeError, match="it holds no number"):
            RaplProbe(Scope.PACKAGE, zones_by_scope(root)[Scope.PACKAGE]).open()
