"""What opens and then tells nothing is not usable, and says why: in the findings and in `edgebench probes --json`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.simulators.meters.web import Answer, Request, web
from tests.simulators.powercap import Options, powercap, unavailable
from tests.simulators.sysfs import chip

from edgebench_probes.base import Scope
from edgebench_probes.catalogue.discover import Finding, discover, examine
from edgebench_probes.host import Host

needs_fuse = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")
METAL = Host(machine="x86_64", vendor="GenuineIntel", virtual=False, container=False, paranoid=2, perfmon=False)


def by_scope(found: list[Finding]) -> dict[Scope | None, Finding]:
    return {finding.scope: finding for finding in found}


@needs_fuse
def test_a_frozen_counter_is_not_usable_and_a_part_at_rest_is(tmp_path: Path) -> None:
    with powercap(tmp_path / "sysfs") as simulator:
        simulator.control("freeze")
        found = by_scope(examine(["rapl"], simulator.root, METAL))
    for scope in (Scope.PACKAGE, Scope.CORE):
        assert not found[scope].usable
        assert "frozen" in (found[scope].reason or "")
        assert found[scope].fix
    for scope in (Scope.UNCORE, Scope.DRAM):
        assert found[scope].usable
        assert found[scope].reading_w is None
        assert "at rest" in (found[scope].reason or "")


@contextmanager
def soon(action: str, simulator: object, after_s: float) -> Iterator[None]:
    """Something that happens while the source is looked at."""
    timer = threading.Timer(after_s, simulator.control, [action])  # type: ignore[attr-defined]
    timer.start()
    try:
        yield
    finally:
        timer.join()


@needs_fuse
def test_a_counter_that_is_lost_after_it_was_opened_says_so(tmp_path: Path) -> None:
    with powercap(tmp_path / "sysfs", Options(subzones="uncore")) as simulator, soon("eio", simulator, 0.12):
        found = by_scope(examine(["rapl"], simulator.root, METAL))
    for finding in found.values():
        if not finding.usable:
            assert "could not be read" in (finding.reason or "")
    assert not all(finding.usable for finding in found.values())


def test_a_source_that_is_lost_after_it_was_opened_says_why(tmp_path: Path) -> None:
    """A plug that answers once, when it is opened, and then says that it has no valid reading."""
    answers = iter([{"power": 6.0, "is_valid": True}])

    def answer(_request: Request) -> Answer:
        return Answer(next(answers, {"power": 0.0, "is_valid": False}))

    with web(answer) as host:
        (found,) = examine([f"shelly:{host}?gen=1"], tmp_path, METAL)
    assert not found.usable
    assert "is_valid is false" in (found.reason or "")
    assert found.fix


def test_the_command_line_tells_each_reason(tmp_path: Path) -> None:
    zone = tmp_path / "devices/virtual/powercap/intel-rapl/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "energy_uj").write_text("123456789\n")
    (tmp_path / "class/powercap").mkdir(parents=True)
    (tmp_path / "class/powercap/intel-rapl:0").symlink_to(zone)
    chip(tmp_path, 1, "power_meter", power1_average=4_294_967_295_000)
    command = [sys.executable, "-m", "edgebench", "probes", "--json", "--sysfs", str(tmp_path)]

    def said(*specs: str) -> dict[str, str]:
        asked = [part for spec in specs for part in ("--probe", spec)]
        done = subprocess.run(
            [*command, *asked], capture_output=True, text=True, check=False, env=os.environ, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return {probe["name"]: probe["reason"] for probe in json.loads(done.stdout)["probes"]}

    reasons = said("rapl", "hwmon")
    assert "has no range" in reasons["rapl"]
    assert "stands for no value" in reasons["hwmon"]
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    assert "did not move" in said("rapl")["rapl"]


def test_every_finding_that_is_not_usable_has_reason_and_fix(tmp_path: Path) -> None:
    for finding in discover(tmp_path, METAL):
        assert finding.usable or (finding.reason and finding.fix), finding
