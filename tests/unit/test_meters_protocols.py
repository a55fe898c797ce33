"""Decoders and framers of the meters: known frames, every kind of damage, and no error but the protocol's own."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.meters.bench import HidPair, Meter, Wave
from tests.simulators.meters.devices import Fnirsi, RdUm, Shizuku, Tc66, Um34c, Witrn, Yzx

from edgebench_probes.base import ProbeError
from edgebench_probes.meters import fnirsi, rd_um, scpi, shizuku, tc66, witrn, yzx
from edgebench_probes.meters.joulescope import Integral
from edgebench_probes.meters.meter import ReportFramer
from edgebench_probes.meters.plugs import decode_shelly1, decode_shelly2, decode_tasmota
from edgebench_probes.meters.protocol import ProtocolError, Reading

POWER_W = 6.2


class Recorder(HidPair):
    """A transport that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)


def frames_of(kind: Callable[..., Meter], ask: bytes = b"", count: int = 1) -> list[bytes]:
    """What a simulated meter sends, at known times."""
    transport = Recorder()
    meter = kind(Wave(POWER_W, POWER_W), transport)
    if isinstance(meter, Shizuku):
        meter.asked(shizuku.command(shizuku.START, 1, (10).to_bytes(4, "little")))
        transport.sent.clear()
    if isinstance(meter, Fnirsi):
        meter._until = 1e12
    for index in range(count):
        if ask:
            meter.asked(ask)
        else:
            meter.tick(meter._since_s + 0.04 * (index + 1))
    transport.close()
    return transport.sent


CASES: dict[str, tuple[Callable[..., Meter], bytes, Callable[[], Any], Callable[[bytes], list[Reading]]]] = {
    "fnirsi": (Fnirsi, b"", lambda: ReportFramer(fnirsi.valid), fnirsi.decode),
    "witrn": (Witrn, b"", lambda: ReportFramer(witrn.valid), witrn.decode),
    "shizuku": (Shizuku, b"", shizuku.framer, shizuku.decode),
    "um25c": (RdUm, b"\xf0", rd_um.framer, rd_um.decode),
    "um34c": (Um34c, b"\xf0", rd_um.framer, rd_um.decode),
    "tc66": (Tc66, b"getva", tc66.Tc66Framer, tc66.decode),
    "yzx": (Yzx, b"", yzx.framer, yzx.decode),
}
STREAMS = [name for name, case in CASES.items() if not isinstance(case[2](), ReportFramer)]
everything = pytest.mark.parametrize("name", CASES)


def test_requests_of_the_fnirsi_are_those_seen_on_the_wire() -> None:
    for command, crc in ((0x81, 0x8E), (0x82, 0x96), (0x83, 0x9E)):
        assert fnirsi.request(command) == bytes([0xAA, command]) + bytes(61) + bytes([crc])


def test_commands_of_the_shizuku_are_those_seen_on_the_wire() -> None:
    assert shizuku.command(shizuku.STOP, 0) == bytes.fromhex("A5 04 00 00 00 01 07 00 00 06 5A")
    assert shizuku.command(shizuku.START, 0x0B, (100).to_bytes(4, "little"))[:13].hex() == "a50800000001090b0064000000"


@everything
def test_a_frame_gives_the_power_it_was_made_of(name: str) -> None:
    kind, ask, framer, decode = CASES[name]
    (sent,) = frames_of(kind, ask)
    (frame,) = framer().feed(sent)
    readings = decode(frame)
    assert len(readings) == (4 if name == "fnirsi" else 1)
    for reading in readings:
        assert reading.power_w == pytest.approx(POWER_W, rel=1e-3)
        assert reading.volts == pytest.approx(5.0)


def decrypted(frame: bytes) -> bytes:
    context = tc66.cipher(tc66.KEY).decryptor()
    return bytes(context.update(frame) + context.finalize())


@everything
@settings(max_examples=60)
@given(data=st.data())
def test_one_wrong_bit_is_never_a_reading(name: str, data: st.DataObject) -> None:
    kind, ask, framer, decode = CASES[name]
    (sent,) = frames_of(kind, ask)
    if name == "tc66":  # under the cipher a bit spoils a block of 16 bytes; here the sums are looked at
        sent = decrypted(sent)
    checked = {"um25c": [0, 1, 2, 6, 7, 128, 129], "um34c": [1, 3, 7, 9, 127, 129]}.get(name, range(len(sent)))
    at, bit = data.draw(st.sampled_from(list(checked))), data.draw(st.integers(0, 7))
    broken = sent[:at] + bytes([sent[at] ^ 1 << bit]) + sent[at + 1 :]
    with pytest.raises(ProtocolError):
        decode(broken)
    if name not in {"tc66", "um25c"}:  # the UM25C frame is whole: only its power contradicts itself
        assert framer().feed(broken) == []


@everything
@given(data=st.binary(max_size=400))
def test_a_decoder_raises_its_own_error_only(name: str, data: bytes) -> None:
    decode = CASES[name][3]
    with pytest.raises(ProtocolError):
        decode(data)


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=60)
@given(
    garbage=st.binary(max_size=300),
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=30),
    drop=st.integers(0, 20),
)
def test_a_framer_finds_its_way_back(name: str, garbage: bytes, cuts: list[int], drop: int) -> None:
    kind, ask, make, _ = CASES[name]
    frames = frames_of(kind, ask, 12)
    stream = garbage + frames[0][: -1 - drop] + b"".join(frames[1:])  # a truncated frame between garbage and good ones
    framer, found, at = make(), [], 0
    for cut in itertools.cycle(cuts):
        if at >= len(stream):
            break
        found += framer.feed(stream[at : at + cut])
        at += cut
    good = [decrypted(frame) for frame in frames] if name == "tc66" else frames
    assert found[-6:] == good[-6:]
    assert framer.skipped <= len(stream)


@given(
    st.floats(allow_nan=True, allow_infinity=True, width=32), st.floats(allow_nan=True, allow_infinity=True, width=32)
)
def test_impossible_values_with_right_checksums_are_refused(volts: float, amps: float) -> None:
    payload = bytes([4, 0, 1, 0]) + struct.pack("<ff", volts, amps) + bytes(16) + struct.pack("<Q", 5_000_000)
    try:
        (reading,) = shizuku.decode(shizuku.frame(payload))
    except ProtocolError:
        assert not (0 <= volts <= 1000 and abs(amps) <= 100) or volts * amps > 25_000
    else:
        assert reading.power_w == pytest.approx(abs(volts * amps))
        assert reading.device_s == 5.0


def test_samples_of_another_request_and_replies_are_no_readings() -> None:
    payload = struct.pack("<BBBBff8xQ", 4, 0, 9, 0, 5.0, 1.0, 1)
    assert shizuku.decode(shizuku.frame(payload), request_id=1) == []
    assert shizuku.decode(shizuku.frame(b"\x01\x07\x01\x80")) == []
    with pytest.raises(ProtocolError, match="unknown kind"):
        shizuku.decode(shizuku.frame(bytes([5, 0, 1, 0]) + bytes(16)))


@given(st.integers(0, 2**32 - 1))
def test_the_clock_of_the_witrn_comes_back_from_its_four_cuts(now_ms: int) -> None:
    report = bytes([0xFF, 0x55, now_ms // 1000 % 256, now_ms % 1000 % 256, 0, 0, now_ms % 100, 0]) + bytes(56)
    assert witrn.clock_s(report) == pytest.approx(now_ms / 1000 % 256, abs=1e-9)


def test_a_time_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ProtocolError):
        witrn.clock_s(bytes([0xFF, 0x55, 3, 7, 0, 0, 8, 0]))


@given(st.integers(0, 255), st.lists(st.floats(0.001, 200.0), max_size=40))
def test_a_clock_that_wraps_is_extended(start: int, steps: list[float]) -> None:
    unwrap = witrn.Unwrap()
    true = float(start)
    assert unwrap(true % 256) == true
    for step in steps:
        true += step
        assert unwrap(true % 256) == pytest.approx(true, abs=1e-6)
    assert unwrap((true - 1.0) % 256) == pytest.approx(true - 1.0, abs=1e-6)  # out of order stays out of order


def test_the_um_meter_must_agree_with_itself() -> None:
    (frame,) = frames_of(RdUm, b"\xf0")
    wrong = bytearray(frame)
    struct.pack_into(">I", wrong, 6, 9000)
    with pytest.raises(ProtocolError, match="V times A"):
        rd_um.decode(bytes(wrong))


def test_the_tc66_needs_its_key() -> None:
    (sent,) = frames_of(Tc66, b"getva")
    other = tc66.Tc66Framer(bytes(32))
    assert other.feed(sent) == []
    with pytest.raises(ProbeError, match="has 5 bytes"):
        tc66.cipher(b"short")


@given(st.text(max_size=80) | st.floats().map(repr))
def test_the_analyser_says_a_power_or_nothing(text: str) -> None:
    try:
        reading = scpi.decode(text)
    except ProtocolError:
        return
    assert reading.power_w == float(text)
    assert abs(reading.power_w) <= 25_000


bodies = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["power", "apower", "StatusSNS", "ENERGY", "Power"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(bodies.map(repr).map(str.encode) | st.binary(max_size=60) | st.just(b"[" * 100_000))
def test_the_plugs_say_a_power_or_nothing(body: bytes) -> None:
    for decode in (decode_shelly1, decode_shelly2, decode_tasmota):
        try:
            reading = decode(body.replace(b"'", b'"'))
        except ProtocolError:
            continue
        assert abs(reading.power_w) <= 25_000


def statistics(energy_j: object, sample: object, rate: object = 1e6) -> dict[str, Any]:
    return {
        "time": {"samples": {"value": [0, sample]}, "sample_freq": {"value": rate}},
        "accumulators": {"energy": {"value": energy_j}},
    }


def test_the_joulescope_gives_energy_over_its_own_time() -> None:
    integral = Integral()
    assert integral.decode(statistics(10.0, 1_000_000)) == []
    (reading,) = integral.decode(statistics(10.06, 1_010_000))
    assert reading.power_w == pytest.approx(6.0)
    assert reading.device_s == pytest.approx(1.005)
    for wrong in (statistics("x", 2), statistics(10.1, None), statistics(10.1, 9, 0), {}, statistics(float("nan"), 9)):
        with pytest.raises(ProtocolError):
            integral.decode(wrong)
    with pytest.raises(ProtocolError, match="out of order"):
        integral.decode(statistics(10.2, 1_000_000))
