"""Meters over a real serial line and HID-shaped pairs: their talk, their energy, and every way they can fail."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.simulators.meters.bench import HidPair, Meter, Wave
from tests.simulators.meters.devices import DEVICES, Fnirsi, RdUm, Shizuku, Witrn

from edgebench_probes.base import Probe, ProbeError, WindowInvalid
from edgebench_probes.meters import METERS, find_meters, meter, usb
from edgebench_probes.meters.link import HidLink
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import Sample, Source, SourceLost
from edgebench_probes.spec import parse_spec

pytestmark = pytest.mark.quiet

ROOT = Path(__file__).parents[2]


def source_of(text: str) -> Source:
    spec = parse_spec(text)
    return METERS[spec.name](spec)


@contextlib.contextmanager
def opened(text: str) -> Iterator[Source]:
    source = source_of(text)
    source.open()
    try:
        yield source
    finally:
        source.close()


def take(source: Source, count: int, seconds: float = 3.0) -> list[Sample]:
    samples: list[Sample] = []
    end = time.monotonic() + seconds
    while len(samples) < count and time.monotonic() < end:
        samples += source.read()
    assert len(samples) >= count
    return samples


@pytest.mark.parametrize(
    ("device", "text", "period_s"),
    [
        ("shizuku", "shizuku:{}?interval_ms=5", 0.005),
        ("fnirsi", "fnirsi:{}?model=fnb58", 0.01),
        ("fnirsi", "fnirsi:{}?model=c1", 0.01),
        ("witrn", "witrn:{}", 0.01),
        ("rd_um", "rd_um:{}?interval_ms=100", 0.1),
        ("um34c", "rd_um:{}?interval_ms=100", 0.1),
        ("tc66", "tc66:{}?interval_ms=50", 0.05),
        ("yzx", "yzx:{}", 0.25),
        ("ppk2", "ppk2:{}?voltage=5", 0.011),
    ],
)
def test_each_meter_streams_its_power_in_order_of_time(device: str, text: str, period_s: float) -> None:
    with DEVICES[device](Wave(6.2, 6.2)) as sim, opened(text.format(sim.path)) as source:
        samples = take(source, 3 if period_s > 0.05 else 20)
        info = source.describe()
    assert all(sample.power_w == pytest.approx(6.2, rel=2e-3) for sample in samples)
    times = [sample.t_ns for sample in samples]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert abs(times[-1] - time.monotonic_ns()) < 2e9
    assert info.info.refresh_s == pytest.approx(period_s, rel=0.2)
    assert info.device_clock == (samples[0].device_s is not None)
    if info.device_clock:
        steps = [(b.device_s or 0) - (a.device_s or 0) for a, b in itertools.pairwise(samples)]
        assert sum(steps) / len(steps) == pytest.approx(period_s, rel=0.05)


def test_a_hid_meter_that_is_not_kept_alive_falls_silent_and_is_asked_as_the_model_needs() -> None:
    pair = HidPair()
    with Fnirsi(Wave(), pair) as sim:
        source = source_of("fnirsi:/dev/hidraw0?model=fnb58")
        source._link = HidLink(Path("/dev/hidraw0"), opener=pair.opener)  # type: ignore[attr-defined]  # what a node gives
        source.open()
        assert len(take(source, 120)) >= 120  # more than the second that one request lasts
        source.close()
        assert isinstance(sim, Fnirsi)
        assert sim.requests[:3] == [0x81, 0x82, 0x82]
        assert set(sim.requests[3:]) == {0x83}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[Path, list[Meter]]]:
    """A node as udev makes it, and the meters that were plugged in behind it."""
    plugged: list[Meter] = []
    yield tmp_path / "ttyACM0", plugged
    for sim in plugged:
        sim.unplug()


def plug_in(place: tuple[Path, list[Meter]], sim: Meter) -> Meter:
    path, plugged = place
    path.unlink(missing_ok=True)
    path.symlink_to(sim.path)
    plugged.append(sim)
    sim.start()
    return sim


def window(probe: Probe, during: Any = None, seconds: float = 0.4) -> tuple[float, float, Any]:
    start = probe.mark()
    time.sleep(seconds / 2)
    if during is not None:
        during()
    time.sleep(seconds / 2)
    end = probe.mark(sync=False)
    return start.t_ns / 1e9, end.t_ns / 1e9, probe.energy(start, end)


def test_energy_of_a_square_wave_through_a_serial_meter(node: tuple[Path, list[Meter]]) -> None:
    wave = Wave(2.0, 9.0, 0.74)
    sim = plug_in(node, Shizuku(wave))
    sim.clock_rate = 1 + 200e-6
    with SampledProbe(source_of(f"shizuku:{node[0]}")) as probe:
        time.sleep(0.5)
        for _ in range(2):
            start_s, end_s, energy = window(probe, seconds=1.0)
            truth = wave.energy(start_s, end_s)
            assert energy.energy_j == pytest.approx(truth, rel=0.02)
            assert abs(energy.energy_j - truth) < 4 * energy.uncertainty_j
            assert energy.samples >= 90


def test_faults_make_windows_invalid_and_the_next_one_is_good(node: tuple[Path, list[Meter]]) -> None:
    sim = plug_in(node, Shizuku(Wave(6.0, 6.0)))
    with SampledProbe(source_of(f"shizuku:{node[0]}")) as probe:

        def good() -> None:
            deadline = time.monotonic() + 5
            while True:
                try:
                    _, _, energy = window(probe, seconds=0.3)
                except WindowInvalid:
                    assert time.monotonic() < deadline
                    continue
                assert energy.power_w == pytest.approx(6.0, rel=0.005)
                return

        def brief(fault: str) -> None:
            sim.command(fault)
            time.sleep(0.15)
            sim.command("ok")

        good()
        for fault in ("garbage", "checksum", "stop", "reorder", "jump 3", "jump -3"):
            during = (lambda f=fault: sim.command(f)) if "jump" in fault else (lambda f=fault: brief(f))
            with pytest.raises(WindowInvalid, match=r"gap|clock|lost|samples"):
                window(probe, during)
            sim.command("ok")
            good()

        def pull() -> None:
            sim.unplug()

        with pytest.raises(WindowInvalid, match="the source was lost"):
            window(probe, pull)
        sim = plug_in(node, Shizuku(Wave(6.0, 6.0)))
        good()


@pytest.mark.parametrize("fault", ["stop", "garbage", "truncate", "checksum"])
def test_a_meter_that_stops_or_garbles_is_lost_with_its_reason(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "SILENT_S", 0.3)
    with Shizuku(Wave()) as sim, opened(f"shizuku:{sim.path}") as source:
        take(source, 5)
        sim.command(fault)
        with pytest.raises(SourceLost, match="silent" if fault == "stop" else "no valid reading among them"):
            take(source, 1000)


@pytest.mark.parametrize("device", ["witrn", "fnirsi"])
def test_a_hid_meter_that_is_unplugged_is_lost(device: str) -> None:
    pair = HidPair()
    with DEVICES[device](Wave(), pair) as sim:
        source = source_of(f"{device}:/dev/hidraw0" + ("?model=fnb58" if device == "fnirsi" else ""))
        source._link = HidLink(Path("/dev/hidraw0"), opener=pair.opener)  # type: ignore[attr-defined]  # what a node gives
        source.open()
        take(source, 5)
        sim.unplug()
        with pytest.raises(SourceLost, match="unplugged"):
            take(source, 1000)
        source.close()


def test_the_clock_of_a_witrn_wraps_without_a_trace_and_jumps_with_one() -> None:
    with Witrn(Wave()) as sim:
        sim.clock_offset_s = 255.8 - sim.device_s(time.monotonic()) % 256
        with opened(f"witrn:{sim.path}") as source:
            clock = [sample.device_s or 0 for sample in take(source, 40)]
            assert clock[0] < 256 < clock[-1]
            assert max(b - a for a, b in itertools.pairwise(clock)) < 0.05
            sim.command("jump 20")
            with pytest.raises(SourceLost, match="jumped"):
                take(source, 1000)


def test_a_question_is_not_asked_again_before_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(RdUm):
        def asked(self, message: bytes) -> None:
            threading.Timer(0.35, super().asked, [message]).start()

    with Slow(Wave()) as sim, opened(f"rd_um:{sim.path}?interval_ms=100") as source:
        samples: list[Sample] = []
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            samples += source.read()
        assert 2 <= len(samples) <= 4
        monkeypatch.setattr(meter, "REPLY_S", 0.1)
        monkeypatch.setattr(meter, "REPLY_PERIODS", 2)
        with pytest.raises(SourceLost, match="silent"):
            take(source, 100)
        assert all(sample.power_w == pytest.approx(5.0, rel=1e-3) for sample in samples)


# Opening


def fails(text: str) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        source_of(text).open()
    return caught.value


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs the tests, the advice is for a machine and not for a container."""
    monkeypatch.setattr(usb, "in_container", lambda: False)


@pytest.mark.usefixtures("outside")
def test_a_node_that_is_missing_busy_or_no_serial_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "plug the meter in" in str(fails(f"yzx:{tmp_path}/ttyUSB0"))
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert "is no serial line" in str(fails(f"yzx:{file}"))
    with Shizuku(Wave()) as sim:
        with opened(f"shizuku:{sim.path}"):
            assert "in use by another program; end the one that `sudo fuser -v" in str(fails(f"shizuku:{sim.path}"))
        fd = os.open(sim.path, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert "in use" in str(fails(f"witrn:{sim.path}"))
        os.close(fd)
        assert isinstance(sim, Shizuku)
        sim.answers = False
        monkeypatch.setattr("edgebench_probes.meters.usbmeters.HANDSHAKE_S", 0.2)
        assert "does not answer as a Shizuku" in str(fails(f"shizuku:{sim.path}"))
    monkeypatch.setattr("edgebench_probes.meters.usb.in_container", lambda: True)
    assert "docker run --device" in str(fails(f"yzx:{tmp_path}/ttyUSB0"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.usefixtures("outside")
def test_a_node_without_permission_gets_the_udev_rule_of_its_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "identity_of", lambda _node: (0x2E3C, 0x5558))
    with Fnirsi(Wave()) as sim:
        os.chmod(sim.path, stat.S_IRUSR | stat.S_IWUSR)  # noqa: PTH101 - a device node
        os.seteuid(65_534)
        try:
            error = fails(f"fnirsi:{sim.path}?model=fnb58")
        finally:
            os.seteuid(0)
    assert "may not be opened" in error.reason
    assert 'ATTRS{idVendor}=="2e3c", ATTRS{idProduct}=="5558", MODE="0666"' in (error.fix or "")
    assert "sudo udevadm trigger" in (error.fix or "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("shizuku:/dev/x?interval_ms=0", "give 1 to 1000"),
        ("shizuku:/dev/x?interval_ms=nan", "give 1 to 1000"),
        ("shizuku:/dev/x?speed=1", "has no option 'speed'"),
        ("tc66:/dev/x?key=xyz", "not hexadecimal"),
        ("ppk2:/dev/x", "needs the option `voltage`"),
        ("rd_um", "needs an address"),
        ("fnirsi:/dev/x", "name it, as in `fnirsi:/dev/x?model=fnb58`"),
        ("yzx:/dev/x?baud=300", "choose from 9600, 115200"),
        ("yzx:/dev/x?scope=moon", "choose from core"),
        ("joulescope?accuracy=2", "give 0 to 0.5"),
    ],
)
def test_a_specification_that_cannot_be_meant(text: str, says: str) -> None:
    with pytest.raises(ProbeError, match="; ") as caught:
        source_of(text)
    assert says in str(caught.value)


def test_a_device_that_is_no_ppk2() -> None:
    with DEVICES["yzx"](Wave()) as sim:
        assert "does not answer as a PPK2" in str(fails(f"ppk2:{sim.path}?voltage=5"))


# What is plugged in


def usb_device(sysfs: Path, name: str, vendor: int, product: int, below: str) -> None:
    device = sysfs / "devices/pci0000:00/usb1" / name
    (device / below).mkdir(parents=True)
    (device / "idVendor").write_text(f"{vendor:04x}\n", encoding="ascii")
    (device / "idProduct").write_text(f"{product:04x}\n", encoding="ascii")
    bus = sysfs / "bus/usb/devices"
    bus.mkdir(parents=True, exist_ok=True)
    (bus / name).symlink_to(device)
    group, node = Path(below).parts[-2:]
    link_to = sysfs / "class" / group / node
    link_to.mkdir(parents=True)
    (link_to / "device").symlink_to(device / Path(below).parent.parent)


@pytest.mark.usefixtures("outside")
def test_what_is_plugged_in_is_found_with_its_node_its_power_or_its_fix(tmp_path: Path) -> None:
    sysfs, dev = tmp_path / "sys", tmp_path / "dev"
    dev.mkdir()
    (nothing,) = find_meters(sysfs, dev)
    assert not nothing.usable
    assert "no USB meter" in (nothing.reason or "")
    usb_device(sysfs, "1-1", 0x0483, 0x374B, "1-1:1.0/tty/ttyACM0")
    usb_device(sysfs, "1-2", 0x2E3C, 0x5558, "1-2:1.0/0003:2E3C:5558.0001/hidraw/hidraw3")
    usb_device(sysfs, "1-3", 0x1915, 0xC00A, "1-3:1.1/tty/ttyACM1")
    usb_device(sysfs, "1-4", 0x1234, 0x5678, "1-4:1.0/tty/ttyACM7")
    usb_device(sysfs, "1-5", 0x5FC9, 0x0063, "1-5:1.0/nothing/here")
    (dev / "ttyACM1").touch()
    with Shizuku(Wave(6.0, 6.0)) as serial_sim, Fnirsi(Wave(3.0, 3.0)) as hid_sim:
        (dev / "ttyACM0").symlink_to(serial_sim.path)
        (dev / "hidraw3").symlink_to(hid_sim.path)
        found = {finding.name: finding for finding in find_meters(sysfs, dev)}
        assert usb.identity_of(dev / "hidraw3", sysfs) == (0x2E3C, 0x5558)
        assert usb.address_of("shizuku", sysfs, dev) == dev / "ttyACM0"
    assert set(found) == {"shizuku", "fnirsi", "ppk2", "hwmon"}
    assert found["shizuku"].reading_w == pytest.approx(6.0, rel=1e-3)
    assert found["fnirsi"].reading_w == pytest.approx(3.0, rel=1e-3)
    assert found["fnirsi"].shortest_window_s == pytest.approx(0.2)
    assert f"`ppk2:{dev}/ttyACM1?voltage=5`" in (found["ppk2"].fix or "")
    assert "modprobe powerz" in (found["hwmon"].fix or "")


@pytest.mark.usefixtures("outside")
def test_a_meter_that_is_found_and_does_not_work_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "SILENT_S", 0.3)
    sysfs, dev = tmp_path / "sys", tmp_path / "dev"
    dev.mkdir()
    usb_device(sysfs, "1-1", 0x0716, 0x5060, "1-1:1.0/0003:0716:5060.0001/hidraw/hidraw0")
    assert "does not exist" in (find_meters(sysfs, dev)[0].reason or "")
    with Witrn(Wave()) as sim:
        sim.command("garbage")
        (dev / "hidraw0").symlink_to(sim.path)
        assert "no valid reading" in (find_meters(sysfs, dev)[0].reason or "")


def test_the_simulator_is_a_program_whose_node_others_open() -> None:
    command = [sys.executable, "-m", "tests.simulators.meters", "shizuku", "--power", "4.5"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        path = process.stdout.readline().strip()
        with opened(f"shizuku:{path}") as source:
            assert take(source, 3)[0].power_w == pytest.approx(4.5)
            process.stdin.write("unplug\n")
            process.stdin.flush()
            with pytest.raises(SourceLost):
                take(source, 1000)
        process.stdin.close()
        assert process.wait(5) == 0
