"""What meters, plugs and other machines send: what reads it, its documented errors, and valid messages to begin."""

from __future__ import annotations

import contextlib
import json
import math
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.meters import METERS, rd_um, scpi, shizuku, tc66, yzx
from edgebench_probes.meters.digest import challenge
from edgebench_probes.meters.link import Link
from edgebench_probes.meters.plugs import decode_shelly1, decode_shelly2, decode_tasmota
from edgebench_probes.meters.protocol import ProtocolError, Reading, crc8_39, crc16_modbus
from edgebench_probes.remote import server, source, wire
from edgebench_probes.sampling.source import PolledSource, Sample, SourceInfo
from edgebench_probes.spec import parse_spec
from tests.faults.streams import SPECS, on_the_clock
from tests.faults.virtual import Clock
from tests.fuzz.reader import Reader
from tests.simulators.meters.bench import HidPair, Wave
from tests.simulators.meters.devices import DEVICES

NONCE = bytes(wire.NONCE)
KEY = wire.link_key("", NONCE, NONCE)
MENDED = b"\0mended"  # what follows is lines of JSON, to be framed
REPORTS = ("fnirsi", "witrn")  # they come whole, 64 bytes each


class _Said(HidPair):
    """A transport that keeps what a simulated meter sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)


class _Bytes(Link):
    """A link on which bytes come, in pieces, and then nothing."""

    def __init__(self, pieces: list[bytes], clock: Clock) -> None:
        self.node = Path("it")
        self.pieces, self._clock = pieces, clock

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def read(self, timeout_s: float) -> bytes:
        self._clock.sleep(timeout_s if timeout_s > 0 else 1e-4)
        return self.pieces.pop(0) if self.pieces else b""


def said(name: str) -> list[bytes]:
    """Three messages of a simulated meter."""
    transport = _Said()
    meter: Any = DEVICES[name](Wave(3.0, 12.0), transport)
    meter.asked(shizuku.command(shizuku.START, 2, (10).to_bytes(4, "little")))
    meter._until = 1e12
    del transport.sent[:]
    for index in range(3):
        meter.asked(b"getva" if name == "tc66" else rd_um.REQUEST)
        meter.tick(meter._since_s + 0.04 * (index + 1))
    transport.close()
    return [b"".join(transport.sent)]


def meter(name: str) -> Callable[[bytes], None]:
    """Return what takes the bytes of a meter as its source does, from the open line to samples."""

    def read(data: bytes) -> None:
        clock = Clock(random.Random(1))  # noqa: S311 - reproducible
        step = 64 if name in REPORTS else 50
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        if name == "shizuku":  # it answers the two commands that it is greeted with
            pieces[:0] = [shizuku.frame(bytes([1, code, number, 0x80])) for number, code in ((1, 7), (2, 9))]
        with on_the_clock(clock):
            spec = parse_spec(SPECS[name])
            opened: Any = METERS[spec.name](spec)
            opened._link = link = _Bytes(pieces, clock)
            opened.open()
            with contextlib.closing(opened):
                while link.pieces:
                    _sound(opened.read())

    return read


def _sound(samples: list[Sample]) -> None:
    assert all(math.isfinite(sample.power_w) and abs(sample.power_w) <= 25_000 for sample in samples)


def mended(name: str) -> Callable[[bytes], bytes]:
    """Return what gives each frame of a meter the checksum of what it says."""
    lengths = {"fnirsi": 64, "witrn": 64, "rd_um": rd_um.LENGTH, "um34c": rd_um.LENGTH, "tc66": tc66.LENGTH}
    length = lengths.get(name, yzx.LENGTH)

    def mend(data: bytes) -> bytes:
        if name == "shizuku":
            parts = data.split(b"\xa5")
            return b"".join(shizuku.frame(part[4:-2]) for part in parts if len(part) > 10)
        whole = [data[at : at + length] for at in range(0, len(data) - length + 1, length)]
        return b"".join(_summed(name, frame) for frame in whole)

    return mend


def _summed(name: str, frame: bytes) -> bytes:
    if name == "fnirsi":
        return b"\xaa\x04" + frame[2:63] + bytes([crc8_39(b"\x04" + frame[2:63])])
    if name == "witrn":
        inner = sum(frame[8:62]) % 256
        return b"\xff\x55" + frame[2:62] + bytes([inner, (sum(b"\xff\x55" + frame[2:8]) + inner) % 256])
    if name == "rd_um":
        return b"\x09\xc9" + frame[2:128] + rd_um.END
    if name == "um34c":
        frame = b"\x0d\x4c" + frame[2:]
        return frame[:-1] + bytes([rd_um.checksum(frame)])
    if name == "yzx":
        frame = yzx.START + frame[3:-1]
        return frame + bytes([sum(frame) % 256])
    context = tc66.cipher().decryptor()
    plain, out = context.update(frame) + context.finalize(), b""
    for at, word in zip(range(0, tc66.LENGTH, tc66.BLOCK), tc66.NAMES, strict=True):
        body = word + plain[at + 4 : at + 60]
        out += body + crc16_modbus(body).to_bytes(4, "little")
    context = tc66.cipher().encryptor()
    return bytes(context.update(out) + context.finalize())


def plug(data: bytes) -> None:
    """Read the answer of a plug as each kind of plug's."""
    refusals = 0
    readers: list[Callable[[bytes], Reading]] = [decode_shelly1, decode_shelly2, decode_tasmota]
    readers += [lambda body: decode_shelly2(body, "total_act_power"), lambda body: decode_tasmota(body, 1)]
    for decode in readers:
        try:
            _sound([Sample(0, decode(data).signed_w)])
        except ProtocolError:
            refusals += 1
    challenge(data.decode("latin-1"), "user", "password")


def plugs() -> list[bytes]:
    """Answers of plugs, and a challenge."""
    bodies: list[object] = [
        {"power": 7.1, "is_valid": True},
        {"id": 0, "apower": 7.1, "output": True, "errors": ["out_of_range:voltage"]},
        {"total_act_power": 7.1, "a_errors": [], "b_errors": ["power_meter_failure"]},
        {"StatusSNS": {"ENERGY": {"Total": 1.2, "Power": [7, 8]}}},
        {"WARNING": "Need user=<username>&password=<password>"},
    ]
    challenged = b'Digest qop="auth", realm="shelly", nonce="1a2b", algorithm=SHA-256, opaque="x"'
    return [*(json.dumps(body).encode() for body in bodies), challenged]


def analyser(data: bytes) -> None:
    """Read an analyser's value."""
    _sound([Sample(0, scpi.decode(data.decode("latin-1")).signed_w)])


def _framed(data: bytes, sender: bytes) -> list[bytes]:
    """Return the lines as frames of one side, in order, under the key of two empty nonces."""
    frames = []
    for number, line in enumerate(data.split(b"\n")):
        frames.append(wire._LENGTH.pack(len(line)) + wire._tag(KEY, sender, number, line) + line)
    return frames


class _Peer:
    """A connection on which the other side says this, a piece each time it is listened to, and is gone."""

    def __init__(self, pieces: list[bytes], clock: Clock) -> None:
        self._pieces, self._clock = pieces, clock

    def receive(self, _sock: object, timeout_s: float) -> tuple[bytes, int]:
        self._clock.sleep(timeout_s)
        if not self._pieces:
            raise wire.gone(None)
        return self._pieces.pop(0), self._clock.monotonic_ns()

    def exactly(self, sock: object, count: int, timeout_s: float) -> bytes:
        data, _ = self.receive(sock, timeout_s)
        self._pieces[:0] = [data[count:]] if data[count:] else []
        return data[:count]

    def setsockopt(self, *_: object) -> None: ...

    def settimeout(self, _seconds: float) -> None: ...

    def sendall(self, _data: bytes) -> None: ...

    def shutdown(self, _how: int) -> None: ...

    def close(self) -> None: ...


@contextlib.contextmanager
def _talking(pieces: list[bytes], module: Any) -> Iterator[_Peer]:
    clock = Clock(random.Random(1))  # noqa: S311 - reproducible
    peer = _Peer(pieces, clock)
    with (
        mock.patch("secrets.token_bytes", return_value=NONCE),
        mock.patch.object(module, "time", clock),
        mock.patch.object(module, "exactly", peer.exactly),
        mock.patch.object(wire, "receive", peer.receive),
        mock.patch("socket.create_connection", return_value=peer),
    ):
        yield peer


def _cut(data: bytes, start: bytes, sender: bytes) -> list[bytes]:
    """Return an input in pieces: as frames where it was mended, else as it is after the greeting."""
    if data.startswith(MENDED):
        return [start, *_framed(data[len(MENDED) :], sender)]
    return [data]


def client(data: bytes) -> None:
    """Take what a probe server says: its greeting, and samples until it is gone."""
    with _talking(_cut(data, server.GREETING + NONCE, b"s"), source):
        remote = source.RemoteSource(parse_spec("tcp://127.0.0.1:1"))
        with contextlib.closing(remote):
            remote.open()
            while True:
                _sound(remote.read())


def answers() -> list[bytes]:
    """What a server says, before it is framed."""
    info = ProbeInfo("m", "a meter", Scope.BOARD_DC, "power", 0.01, 0.01)
    lines: list[dict[str, Any]] = [server.info_to(SourceInfo(info, notes=(("a", "b"),)))]
    at = [10**15 + number * 20_000_000 for number in range(14)]
    lines += [{"pong": number, "at": at[number], "sent": at[number] + 1000} for number in range(1, 11)]
    lines += [{"samples": [[at[11], 7.0, None], [at[11] + 10**7, 7.5, 1.0]]}, {"lost": "unplugged"}]
    refused = {"refused": "busy", "fix": None}
    return [b"\n".join(json.dumps(line).encode() for line in part) for part in (lines, lines[:1], [refused])]


class _Steady(PolledSource):
    """A meter of 7 W."""

    period_s = 0.001

    def describe(self) -> SourceInfo:
        return SourceInfo(ProbeInfo("m", "m", Scope.BOARD_DC, "power", 0.01, 0.001))

    def open(self) -> None: ...

    def poll(self) -> float:
        return 7.0

    def close(self) -> None: ...


class _Session(server._Session):
    def _leave(self) -> None: ...


def serving(data: bytes) -> None:
    """Take what a client says to a probe server before it is served: the rest is time exchanges."""
    with _talking(_cut(data, NONCE, b"c"), server) as peer:
        plain: Any = peer
        session = _Session(plain, plain, _Steady(), "", lambda ns: ns, threading.Event())
        channel = wire.Channel(plain, wire.link_key("", NONCE, peer.exactly(plain, wire.NONCE, 1.0)), b"s")
        session._admit(channel)
        while True:
            for message, at_ns in session._asked(channel):
                channel.send({"pong": wire.whole(message.get("ping")), "at": at_ns})


def questions() -> list[bytes]:
    """What a client says, before it is framed."""
    return [b"\n".join(json.dumps(line).encode() for line in ({"hello": 1}, {"ping": 1}, {"ping": 2}))]


READERS = {
    **{
        f"meter {name}": Reader(meter(name), ProbeError, lambda name=name: said(name), mended(name))  # type: ignore[misc]
        for name in SPECS
    },
    "plug": Reader(plug, ProbeError, plugs),
    "analyser": Reader(analyser, ProbeError, lambda: [b"12.345E+00", b"NAN", b"9.9E+37"]),
    "probe server": Reader(client, ProbeError, answers, lambda data: MENDED + data),
    "probe client": Reader(serving, ProbeError, questions, lambda data: MENDED + data),
}
