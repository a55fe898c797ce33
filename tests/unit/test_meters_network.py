"""Meters behind packages and networks: plugs over HTTP, an analyser over SCPI, a Joulescope through its driver."""

from __future__ import annotations

import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest
from tests.simulators.meters import network
from tests.simulators.meters.bench import Wave
from tests.simulators.meters.network import Network

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.meters import METERS, joulescope
from edgebench_probes.sampling.integrate import SMOOTHINGS
from edgebench_probes.sampling.source import Source, SourceLost
from edgebench_probes.spec import parse_spec

pytestmark = pytest.mark.quiet

pytest.importorskip("pyvisa_sim", reason="the package pyvisa-sim is not installed")
SIMULATED = f"{Path(network.__file__).parent / 'wt310.yaml'}@sim"


def source_of(text: str) -> Source:
    spec = parse_spec(text)
    return METERS[spec.name](spec)


def fails(text: str) -> str:
    with pytest.raises(ProbeError) as caught:
        source_of(text).open()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("shelly:{}?gen=1&channel=2", "/meter/2"),
        ("shelly:{}", "/rpc/Switch.GetStatus?id=0"),
        ("tasmota:{}", "/cm?cmnd=Status%208"),
    ],
)
def test_a_plug_gives_its_power_each_second_and_long_windows_only(text: str, page: str) -> None:
    device = Network(Wave(6.0, 6.0))
    with network.plug(device) as host:
        source = source_of(text.format(host))
        source.open()
        (sample,) = source.read()
        info = source.describe()
        source.close()
    assert sample.power_w == 6.0
    assert set(device.seen) == {page}
    assert info.info.scope is Scope.WALL_AC
    assert info.info.refresh_s >= 1
    assert info.smoothing_s * SMOOTHINGS >= 60
    assert [code for code, _ in info.notes] == ["plug-long-windows"]


def test_a_plug_that_fails_says_how(tmp_path: Path) -> None:
    device = Network(Wave(6.0, 6.0))
    with network.plug(device) as host:
        source = source_of(f"shelly:{host}?gen=1")
        source.open()
        faults = {"garbage": "holds no number at power", "huge": "bytes; check its kind", "absent": "answered 404"}
        for fault, says in faults.items():
            device.fault = fault
            with pytest.raises(SourceLost, match=says):
                source.read()
        source.close()
    assert "does not answer" in fails(f"tasmota:{host}")
    assert "is no host" in fails("tasmota:host:port")
    assert "cannot be read" in fails(f"tasmota:{host}?password_file={tmp_path}/none")


def test_a_plug_with_a_password(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a&b\n", encoding="utf-8")
    device = Network(Wave(6.0, 6.0))
    with network.plug(device) as host:
        for text, expected in (
            (f"shelly:{host}?gen=1&", "Basic YWRtaW46YSZi"),
            (f"tasmota:{host}?", "&user=admin&password=a%26b"),
        ):
            device.password = expected
            assert "asks for a password" in fails(text.rstrip("&?"))
            source = source_of(f"{text}password_file={secret}")
            source.open()
            assert source.read()[0].power_w == 6.0
            source.close()


def test_an_analyser_in_pyvisas_own_simulator() -> None:
    source = source_of(f"scpi:TCPIP0::wt310.example::inst0::INSTR?library={SIMULATED}")
    source.open()
    samples = source.read() + source.read()
    info = source.describe()
    source.close()
    assert [sample.power_w for sample in samples] == [6.2, 6.2]
    assert samples[1].t_ns - samples[0].t_ns > 0.5e8  # asked at its update rate, not faster
    assert info.info.accuracy == 0.002
    assert "IM WT310-02EN, 7.3.2: 0.1% of reading + 0.1% of range, 45 to 66 Hz" in info.accuracy_source
    assert "ACME" in fails(f"scpi:TCPIP0::other.example::inst0::INSTR?library={SIMULATED}")
    assert "cannot be opened" in fails("scpi:TCPIP::127.0.0.1::1::SOCKET")


@pytest.mark.parametrize(
    ("host", "options", "accuracy", "source"),
    [
        ("wt310", "scope=board_dc&", 0.003, "0.1% of reading + 0.2% of range, DC"),
        ("wt310hc", "scope=module&", 0.005, "0.3% of reading + 0.2% of range, DC"),
        ("wt310hc", "", 0.002, "45 to 66 Hz"),
        ("wt310", "scope=board_dc&accuracy=0.01&", 0.01, "stated with the probe"),
    ],
)
def test_the_accuracy_of_an_analyser_is_that_of_what_it_measures(
    host: str, options: str, accuracy: float, source: str
) -> None:
    analyser = source_of(f"scpi:TCPIP0::{host}.example::inst0::INSTR?{options}library={SIMULATED}")
    analyser.open()
    assert analyser.read()[0].power_w == 6.2
    info = analyser.describe()
    analyser.close()
    assert info.info.accuracy == pytest.approx(accuracy)
    assert source in info.accuracy_source


def test_an_analyser_over_tcp_and_its_faults() -> None:
    device = Network(Wave(7.5, 7.5))
    with network.analyser(device) as address:
        host, port = address.split(":")
        source = source_of(f"scpi:TCPIP::{host}::{port}::SOCKET?interval_ms=100&element=2")
        source.open()
        assert source.read()[0].power_w == 7.5
        assert ":NUMERIC:NORMAL:ITEM1 P,2" in device.seen
        assert ":RATE 100MS" in device.seen
        for fault, says in (("range", "over its range"), ("blank", "is no power"), ("hangup", "does not answer")):
            device.fault = fault
            with pytest.raises(SourceLost, match=says):
                source.read()
        source.close()


def test_without_a_joulescope_the_real_driver_says_so() -> None:
    pytest.importorskip("pyjoulescope_driver")
    assert "no Joulescope JS110 or JS220 is connected" in fails("joulescope")
    assert "no Joulescope u/js220/1" in fails("joulescope:u/js220/1")


class Driver:
    """The driver's interface, with one JS220 that draws 6 W; real hardware has not been at hand."""

    said: list[tuple[str, Any]] = []  # noqa: RUF012 - shared on purpose: the source makes its own driver

    def __init__(self) -> None:
        self._over = threading.Event()

    def device_paths(self) -> list[str]:
        return ["u/js220/000415"]

    def open(self, path: str) -> None:
        assert path == "u/js220/000415"

    def publish(self, topic: str, value: Any) -> None:
        self.said.append((topic, value))

    def subscribe(self, topic: str, flags: str, function: Any) -> None:
        assert (topic, flags) == ("u/js220/000415/s/stats/value", "pub")
        threading.Thread(target=self._run, args=(topic, function), daemon=True).start()

    def _run(self, topic: str, function: Any) -> None:
        for count in range(1, 400):
            if self._over.wait(0.01):
                return
            energy = {"accumulators": {"energy": {"value": 6.0 * count * 0.01}}}
            function(
                topic,
                energy | {"time": {"samples": {"value": [0, count * 10_000]}, "sample_freq": {"value": 1_000_000}}},
            )

    def finalize(self) -> None:
        self._over.set()


def test_a_joulescope_gives_its_own_integral(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("pyjoulescope_driver")
    module.Driver = Driver
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", module)
    monkeypatch.setattr(joulescope, "SILENT_S", 0.2)
    source = source_of("joulescope")
    source.open()
    samples = [sample for _ in range(6) for sample in source.read()]
    assert all(sample.power_w == pytest.approx(6.0) for sample in samples)
    assert samples[1].device_s == pytest.approx((samples[0].device_s or 0) + 0.01)
    assert ("u/js220/000415/s/stats/scnt", 10_000) in Driver.said
    source._driver._over.set()  # type: ignore[attr-defined]  # the instrument falls silent
    with pytest.raises(SourceLost, match="silent"):
        until_lost(source)
    source.close()


def until_lost(source: Source) -> None:
    """Read what has come, and on until the source gives up."""
    for _ in range(1000):
        source.read()


@pytest.mark.parametrize(
    ("text", "package", "extra"),
    [
        ("joulescope", "pyjoulescope_driver", "joulescope"),
        ("ppk2:/dev/x?voltage=5", "ppk2_api.ppk2_api", "ppk2"),
        ("scpi:TCPIP::h::INSTR", "pyvisa", "scpi"),
        ("shizuku:/dev/x", "serial", "meters"),
        ("tc66:/dev/x", "cryptography.hazmat.primitives.ciphers", "meters"),
    ],
)
def test_a_package_that_is_missing_is_named(
    text: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    if text.startswith("tc66"):
        monkeypatch.setattr("edgebench_probes.meters.link.SerialLink.open", lambda _self: None)
    assert f"`python3 install.py --extras {extra}`" in fails(text)
