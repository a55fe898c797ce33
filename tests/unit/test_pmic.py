"""The Pi's PMIC: the mailbox message byte for byte, the program, the throttling bits."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulators.vcio import ADC, REST_W, SocketDevice, firmware, vcgencmd

from edgebench_probes.base import ProbeError
from edgebench_probes.sampling.source import SourceLost
from edgebench_probes.sources.pmic import Device, Mailbox, PmicSource, Vcgencmd, parse_adc, throttled, under_voltage


def test_twelve_rails_pair_by_name_and_the_others_do_not_count() -> None:
    rails = parse_adc(ADC.format(core=6.22421))
    assert len(rails) == 12
    assert rails["VDD_CORE"] == (0.861733, 6.22421)
    assert "EXT5V" not in rails
    assert sum(v * a for v, a in rails.values()) == pytest.approx(REST_W + 0.861733 * 6.22421)


@given(st.text(max_size=300))
def test_no_answer_of_the_firmware_raises_anything_else(text: str) -> None:
    try:
        rails = parse_adc(text)
    except SourceLost:
        return
    assert rails


def test_the_mailbox(tmp_path: Path) -> None:
    with firmware(tmp_path / "vcio") as served:
        box = Mailbox(SocketDevice(tmp_path / "vcio"))
        source = PmicSource(box)
        source.open()
        try:
            info = source.describe().info
            assert (info.scope, info.refresh_s) == ("module", 0.1)
            assert 0 < info.resolution < 0.05
            began = time.monotonic()
            first, second = source.read()[0], source.read()[0]
            assert time.monotonic() - began >= 0.09
            assert first.power_w == pytest.approx(REST_W + 4)
            served.core_w = 6.0
            assert source.read()[0].power_w == pytest.approx(REST_W + 6)
            assert second.t_ns > first.t_ns
            served.throttled = 0x50001
            now, past = throttled(box)
            assert now == {"under-voltage"}
            assert past == {"under-voltage", "throttled"}
            served.fault = errno.EIO
            with pytest.raises(SourceLost, match="failed"):
                source.read()
            served.fault = errno.ENODEV
            with pytest.raises(SourceLost, match="is gone"):
                source.read()
        finally:
            source.close()
    served.pi5 = False


def test_a_pi_without_current_sensing_is_told_to_take_a_meter(tmp_path: Path) -> None:
    with firmware(tmp_path / "vcio") as served:
        served.pi5 = False
        with pytest.raises(ProbeError, match="attach a meter"):
            PmicSource(Mailbox(SocketDevice(tmp_path / "vcio"))).open()


def test_a_missing_or_closed_device_has_its_fix(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="is not there") as missing:
        Mailbox(Device(tmp_path / "vcio")).open()
    assert "--device" in (missing.value.fix or "")
    (tmp_path / "file").write_text("")
    box = Mailbox(Device(tmp_path / "file"))
    box.open()
    with pytest.raises(SourceLost, match="failed: Inappropriate ioctl"):  # a real ioctl on what is no mailbox
        box.ask("get_throttled")
    box.close()


def test_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProbeError, match="not installed"):
        PmicSource(Vcgencmd()).open()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    vcgencmd(tmp_path, core_w=5.0, throttled=0x80008)
    source = PmicSource(Vcgencmd())
    source.open()
    assert source.read()[0].power_w == pytest.approx(REST_W + 5)
    assert [set(bits) for bits in throttled(Vcgencmd())] == [{"soft temperature limit"}] * 2
    vcgencmd(tmp_path, pi5=False)
    with pytest.raises(ProbeError, match="attach a meter"):
        PmicSource(Vcgencmd()).open()


def test_under_voltage_is_read_from_the_kernel(tmp_path: Path) -> None:
    assert under_voltage(tmp_path) is None
    folder = tmp_path / "class/hwmon/hwmon1"
    folder.mkdir(parents=True)
    (folder / "name").write_text("rpi_volt\n")
    (folder / "in0_lcrit_alarm").write_text("1\n")
    assert under_voltage(tmp_path) is True
    (folder / "in0_lcrit_alarm").write_text("0\n")
    assert under_voltage(tmp_path) is False
