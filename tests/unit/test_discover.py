"""Every cause for which a source is not usable, produced for real."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.simulators.board import board
from tests.simulators.powercap import DEVICES, Options, powercap, unavailable

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.catalogue.discover import Finding, discover, open_probes
from edgebench_probes.host import Host, read_host
from edgebench_probes.live import live, record
from edgebench_probes.sources.hwmon import HwmonSource
from edgebench_probes.sources.replay import load

needs_fuse = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")
METAL = Host(machine="x86_64", vendor="GenuineIntel", virtual=False, container=False, paranoid=2, perfmon=False)
CONTAINER = dataclasses.replace(METAL, container=True)


def rapl(sysfs: Path, host: Host) -> Finding:
    (finding,) = [finding for finding in discover(sysfs, host) if finding.name == "rapl"]
    assert not finding.usable
    assert finding.info is None
    return finding


def says(finding: Finding, reason: str, *fixes: str) -> None:
    assert reason in (finding.reason or "")
    for fix in fixes:
        assert fix in (finding.fix or "")


def folder_of_powercap(sysfs: Path) -> Path:
    folder = sysfs / "class/powercap"
    folder.mkdir(parents=True)
    return folder


def test_no_driver(tmp_path: Path) -> None:
    says(rapl(tmp_path, METAL), "no driver", "`sudo modprobe intel_rapl_msr`")
    folder_of_powercap(tmp_path)
    says(rapl(tmp_path, METAL), "no driver", "modprobe")
    says(rapl(tmp_path, CONTAINER), "no driver", "on the host")


def test_not_x86_and_virtual(tmp_path: Path) -> None:
    says(rapl(tmp_path, dataclasses.replace(METAL, machine="aarch64")), "aarch64", "attach a power meter")
    says(rapl(tmp_path, dataclasses.replace(METAL, virtual=True)), "virtual machine", "real machine")


def test_masked_by_the_container_engine(tmp_path: Path) -> None:
    folder = folder_of_powercap(tmp_path)
    (folder / "intel-rapl:0").symlink_to("../../devices/virtual/powercap/intel-rapl/intel-rapl:0")
    binds = ("/sys/class/powercap:/host/sys/class/powercap:ro", "/sys/devices/virtual/powercap:/host", "--sysfs")
    finding = rapl(tmp_path, CONTAINER)
    says(finding, "container engine masks", *binds)
    assert "PERFMON" not in (finding.fix or "")  # there is no power PMU in this tree
    (tmp_path / "bus/event_source/devices/power").mkdir(parents=True)
    fix = rapl(tmp_path, CONTAINER).fix or ""
    assert 0 < fix.index("--cap-add PERFMON") < fix.index("--sysfs")  # least privilege first
    says(rapl(tmp_path, METAL), "zones that are not there", "bind")


def in_namespace(mounts: str, sysfs: Path) -> list[dict[str, str]]:
    """Findings for `sysfs` in a mount namespace of its own, as in a container."""
    script = (
        "import dataclasses, json, sys; from pathlib import Path\n"
        "from edgebench_probes.catalogue.discover import discover\n"
        "from edgebench_probes.host import Host\n"
        "host = Host('x86_64', 'GenuineIntel', False, True, 2, False)\n"
        "print(json.dumps([dataclasses.asdict(f) for f in discover(Path(sys.argv[1]), host)]))\n"
    )
    shell = f'{mounts}\nexec "$0" -c "$1" "$2"'
    arguments = ["/usr/bin/unshare", "-m", "/bin/sh", "-ec", shell, sys.executable, script, str(sysfs)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    findings: list[dict[str, str]] = json.loads(done.stdout)
    return findings


@needs_fuse
@pytest.mark.parametrize(
    "mount",
    [
        "mount -t tmpfs none {root}/devices/virtual/powercap",
        "mount -t tmpfs none {root}/class/powercap",
        "mount --bind /dev/null {root}/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj",
    ],
)
def test_masks_as_engines_make_them(tmp_path: Path, mount: str) -> None:
    root = tmp_path / "sysfs"
    with powercap(root):
        findings = in_namespace(mount.format(root=root), root)
    (finding,) = [finding for finding in findings if finding["name"] == "rapl"]
    assert finding["reason"] == "the container engine masks the powercap tree"


@needs_fuse
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
@pytest.mark.usefixtures("others_may_enter")
def test_readable_by_root_only(tmp_path: Path) -> None:
    with powercap(tmp_path / "sysfs") as simulator:
        os.seteuid(65534)
        try:
            metal, container = rapl(simulator.root, METAL), rapl(simulator.root, CONTAINER)
        finally:
            os.seteuid(0)
    says(metal, "by root only", "run as root", "chmod o+r", "CAP_PERFMON")
    says(container, "by root only", "--user 0")
    assert "setfacl" not in (metal.fix or "")


@needs_fuse
def test_what_is_usable_is_said_scope_by_scope(tmp_path: Path) -> None:
    with powercap(tmp_path / "sysfs", Options(zero="uncore", subzones="core,uncore")) as simulator:
        found = {f.scope: f for f in discover(simulator.root, METAL) if f.name == "rapl"}
        assert set(found) == {Scope.PACKAGE, Scope.CORE, Scope.UNCORE}
        package = found[Scope.PACKAGE]
        assert package.usable
        assert package.info is not None
        assert package.info.source == "powercap intel-rapl:0"
        if package.reading_w is not None:  # a machine that loses its processors reads it another time
            assert package.reading_w == pytest.approx(7.0, rel=0.05)
            assert package.shortest_window_s == pytest.approx(0.18, abs=0.01)
        says(found[Scope.UNCORE], "reads zero")
        probes, missing = open_probes([], simulator.root, METAL)
        try:
            assert {probe.info.scope for probe in probes} == {Scope.PACKAGE, Scope.CORE}
            assert [finding.scope for finding in missing] == [Scope.UNCORE]
        finally:
            for probe in probes:
                probe.close()
        asked, absent = open_probes(["rapl?scope=core,dram", "perf", "pyrapl"], simulator.root, METAL)
        asked[0].close()
        assert [probe.info.scope for probe in asked] == [Scope.CORE]
        assert [(finding.name, finding.scope) for finding in absent] == [
            ("rapl", Scope.DRAM),
            ("perf", None),
            ("pyrapl", None),
        ]
        simulator.control("vanish")
        says(rapl(simulator.root, METAL), "zones that are not there")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("rapll", "no probe named 'rapll'"),
        ("rapl:/dev/x", "takes no address"),
        ("rapl?rate=1", "no option 'rate'"),
        ("rapl?scope=packages", "'packages' is not a valid Scope"),
        ("rapl?scope=a&scope=b", "twice"),
        ("ina3221:0", "takes no address"),
        ("hwmon?color=red", "no option 'color'"),
        ("nvml?rate=5", "no option 'rate'"),
        ("Rapl package", "names no probe"),
    ],
)
def test_a_wrong_specification_is_one_sentence(spec: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=sentence) as caught:
        open_probes([spec], tmp_path, METAL)
    assert caught.value.fix


def test_the_host_is_read_from_its_files(tmp_path: Path) -> None:
    for folder in ("proc/self", "proc/sys/kernel", "run"):
        (tmp_path / folder).mkdir(parents=True)
    assert read_host(tmp_path).paranoid is None
    (tmp_path / "proc/cpuinfo").write_text("vendor_id\t: AuthenticAMD\nflags\t\t: fpu vme hypervisor sse\n")
    (tmp_path / "proc/sys/kernel/perf_event_paranoid").write_text("-1\n")
    (tmp_path / "proc/self/status").write_text("CapEff:\t0000004000000000\n")
    host = read_host(tmp_path)
    assert (host.vendor, host.virtual, host.paranoid, host.perfmon, host.container) == (
        "AuthenticAMD",
        True,
        -1,
        True,
        False,
    )
    (tmp_path / "proc/self/cgroup").write_text("0::/kubepods.slice/pod1\n")
    assert read_host(tmp_path).container
    (tmp_path / "proc/self/cgroup").unlink()
    (tmp_path / "run/.containerenv").write_text("")
    assert read_host(tmp_path).container


def test_the_tree_s_paths_are_those_the_advice_names() -> None:
    assert DEVICES == "devices/virtual/powercap"


# Boards

JETSON = dataclasses.replace(METAL, machine="aarch64", vendor="", board="NVIDIA Jetson Orin NX Engineering Reference")
PI4 = dataclasses.replace(JETSON, board="Raspberry Pi 4 Model B Rev 1.4")
PI5 = dataclasses.replace(JETSON, board="Raspberry Pi 5 Model B Rev 1.0")


def of(name: str, sysfs: Path, host: Host) -> list[Finding]:
    return [finding for finding in discover(sysfs, host) if finding.name.partition(":")[0] == name]


def test_each_machine_is_shown_its_own_sources(tmp_path: Path) -> None:
    listed = {host.board: {finding.name for finding in discover(tmp_path, host)} for host in (METAL, JETSON, PI4)}
    assert {"ina3221", "jtop"} & listed[""] == set()
    assert {"ina3221", "jtop", "hwmon"} <= listed[JETSON.board]
    assert "pmic" not in listed[JETSON.board]
    assert "pmic" in listed[PI4.board]
    (finding,) = of("pmic", tmp_path, PI4)
    says(finding, "Raspberry Pi 4 Model B Rev 1.4 cannot measure its own power", "attach a power meter")
    (finding,) = of("ina3221", tmp_path, JETSON)
    says(finding, "there is no INA3221", "modprobe ina3221")
    (finding,) = of("ina3221", tmp_path, dataclasses.replace(JETSON, container=True))
    says(finding, "there is no INA3221", "-v /sys/bus/i2c:/host/sys/bus/i2c:ro", "--sysfs /host/sys")


@pytest.mark.skipif(Path("/dev/vcio").exists(), reason="this is a Pi")
def test_a_pi_5_whose_mailbox_is_not_there(tmp_path: Path) -> None:
    (finding,) = of("pmic", tmp_path, PI5)
    says(finding, "/dev/vcio is not there", "--device /dev/vcio")


@needs_fuse
def test_a_usable_board_has_a_reading_and_a_shortest_window(tmp_path: Path) -> None:
    with board(tmp_path / "sys", "orin-nx,powerz,ina219,battery", 6.0) as simulator:
        (module,) = of("ina3221", simulator.root, JETSON)
        assert module.usable
        assert module.scope is Scope.MODULE
        assert module.reading_w == pytest.approx(6.0, abs=0.03)
        assert module.shortest_window_s == pytest.approx(20 * 0.02)
        known, unknown = sorted(of("hwmon", simulator.root, JETSON), key=lambda finding: not finding.usable)
        assert known.scope is Scope.BOARD_DC
        says(unknown, "what the power of ina219/power1 covers is not known", "hwmon:ina219/power1?scope=board_dc")
        (supply,) = of("power_supply", simulator.root, JETSON)
        assert supply.reading_w == pytest.approx(6.0, rel=0.01)
        probes, missing = open_probes([], simulator.root, JETSON)
        try:
            assert [(probe.info.name, probe.info.scope) for probe in probes] == [("ina3221", Scope.MODULE)]
            assert missing == []
        finally:
            for probe in probes:
                probe.close()


@needs_fuse
def test_a_specification_opens_what_it_names(tmp_path: Path) -> None:
    with board(tmp_path / "sys", "orin-nx,powerz,ina219", 6.0) as simulator:
        root = simulator.root
        specs = ["ina3221?rate=25", "hwmon:powerz?rate=20", "hwmon:ina219/power1?scope=psys", "hwmon:absent"]
        probes, missing = open_probes(specs, root, METAL)
        try:
            assert [(p.info.scope, round(p.info.refresh_s, 3)) for p in probes] == [
                (Scope.MODULE, 0.04),
                (Scope.BOARD_DC, 0.05),
                (Scope.PSYS, 0.1),
            ]
            says(missing[0], "no chip called 'absent'", "powerz/in0*curr1")
        finally:
            for probe in probes:
                probe.close()
        for wrong, reason in (("ina3221?rate=fast", "no number above zero"), ("hwmon:powerz?scope=all", "no scope")):
            (finding,) = open_probes([wrong], root, METAL)[1]
            says(finding, reason)
        found = live(["ina3221", "hwmon:powerz"], root, METAL, interval_s=0.05)
        seen = [next(found) for _ in range(8)]
        found.close()
        assert {(row.name, row.scope) for row in seen} == {
            ("ina3221", "module"),
            ("hwmon:powerz/in0*curr1", "board_dc"),
        }
        assert [row.watts for row in seen[-2:]] == pytest.approx([6.0, 6.0], rel=0.01)
        count = record("ina3221?rate=100", tmp_path / "trace", 0.3, root, METAL)
        assert len(load(tmp_path / "trace").samples) == count > 10
        replayed = live([f"replay:{tmp_path}/trace"], interval_s=0.05)
        next(replayed)
        assert next(replayed).watts == pytest.approx(6.0, rel=0.01)
        replayed.close()
    with pytest.raises(ProbeError, match="there is no INA3221"):
        next(live(["ina3221"], tmp_path, METAL))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
@pytest.mark.usefixtures("others_may_enter")
def test_a_chip_that_root_alone_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "class/hwmon/hwmon0"
    folder.mkdir(parents=True)
    (folder / "name").write_text("amdgpu\n")
    (folder / "power1_input").write_text("1000000\n")
    (folder / "power1_input").chmod(0o400)
    os.seteuid(65534)
    try:
        with pytest.raises(ProbeError, match="power1_input may not be read by this user") as caught:
            HwmonSource(tmp_path, "amdgpu", "power1", Scope.GPU).open()
    finally:
        os.seteuid(0)
    assert "sudo chmod o+r" in (caught.value.fix or "")


def test_the_board_is_told_by_the_device_tree_or_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert read_host(tmp_path).board == "Raspberry Pi 5 Model B Rev 1.0"
    monkeypatch.setenv("EDGEBENCH_BOARD", "NVIDIA Jetson AGX Orin")
    assert read_host(tmp_path).board == "NVIDIA Jetson AGX Orin"
