"""The meters whose protocol is spoken here, each made from its specification: serial lines and HID.

Accuracy is 0, which means not known, unless the option `accuracy` states that of the user's data sheet: none was at
hand for any of them. Resolution is the protocol's step of current at 20 V, the highest voltage of USB PD's standard
range, or its step of power.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgebench_probes.base import ProbeError, ProbeInfo
from edgebench_probes.meters import fnirsi, rd_um, shizuku, tc66, usb, witrn, yzx
from edgebench_probes.meters.link import HidLink, Link, SerialLink
from edgebench_probes.meters.meter import MeterSource, ReportFramer, Talk
from edgebench_probes.meters.options import Options
from edgebench_probes.meters.protocol import Reading
from edgebench_probes.sampling.source import STATED, UNKNOWN, SourceInfo
from edgebench_probes.spec import Spec

NOMINAL_V = 20.0
DISPLAY_A = 1e-4  # last digit on the display of meters that send floats, whose step is not known
HANDSHAKE_S = 1.0
BATCH_S, BATCH_FRAMES = 0.1, 40  # a line's buffer holds 4 KiB, some 100 frames
HID_BATCH_S = 0.03  # hidraw holds 64 reports, and they may come each millisecond
CLOCK_STEP_S = 1e-3  # of a WITRN meter
COMMON = ("accuracy", "scope")
SIGNED = ("fnirsi", "shizuku", "witrn")
DIRECTION = "the sign of the current is the way round that the meter is plugged in: the magnitude is counted"


def node_of(spec: Spec) -> Path:
    """Node of a specification, or that of the only meter of this kind on the bus; raises ProbeError."""
    return Path(spec.address) if spec.address else usb.address_of(spec.name)


def describe(spec: Spec, options: Options, title: str, resolution_w: float, refresh_s: float) -> SourceInfo:
    """Return what a meter is."""
    accuracy = options.number("accuracy", 0.0, 0.0, 0.5)
    info = ProbeInfo(spec.name, title, options.scope(), "power", resolution_w, refresh_s, accuracy)
    said = STATED if accuracy else UNKNOWN
    return SourceInfo(info, accuracy_source=said, notes=(("direction", DIRECTION),) if spec.name in SIGNED else ())


class FnirsiSource(MeterSource):
    """A meter whose first packet of data holds garbage, and is left out."""

    def _greet(self) -> None:
        self._begun = False
        super()._greet()

    def _decode(self, frame: bytes) -> list[Reading]:
        readings = super()._decode(frame)
        begun, self._begun = self._begun, self._begun or bool(readings)
        return readings if begun else []


def fnirsi_source(spec: Spec) -> MeterSource:
    """FNIRSI by HID; the model is that of the USB identity, or of the option `model`."""
    options = Options(spec, *COMMON, "model", "keep_alive_ms")
    name = options.word("model", list(fnirsi.MODELS))
    node = node_of(spec)
    if name is None:
        identity = usb.identity_of(node)
        name = next((key for key, model in fnirsi.MODELS.items() if model.usb == identity), None)
    if name is None:
        raise ProbeError(
            f"the model of the FNIRSI meter at {node} cannot be told",
            f"name it, as in `{spec.name}:{node}?model=fnb58` ({', '.join(fnirsi.MODELS)})",
        )
    model = fnirsi.MODELS[name]
    talk = Talk(
        framer=partial(ReportFramer, fnirsi.valid),
        decode=fnirsi.decode,
        hello=tuple(fnirsi.request(command) for command in (0x81, 0x82, model.third)),
        beat=fnirsi.request(0x83),
        beat_s=options.number("keep_alive_ms", model.keep_alive_s * 1e3, 1, 1000) / 1e3,
        spacing_s=fnirsi.SPACING_S,
        packet_s=fnirsi.SAMPLES * fnirsi.SPACING_S,
    )
    info = describe(spec, options, model.title, NOMINAL_V * fnirsi.STEP_A, fnirsi.SPACING_S)
    return FnirsiSource(HidLink(node, fnirsi.REPORT), talk, replace(info, smoothing_s=model.smoothing_s))


class ShizukuSource(MeterSource):
    """A meter that acknowledges commands: streaming is stopped, then started under an id of its own."""

    def __init__(self, link: Link, talk: Talk, info: SourceInfo, interval_ms: int) -> None:
        super().__init__(link, talk, info)
        self._interval_ms = interval_ms
        self._request_id = 0

    def _greet(self) -> None:
        stop_id = self._request_id = self._request_id % 250 + 1
        self._command(shizuku.STOP, stop_id)
        self._request_id += 1
        self._command(shizuku.START, self._request_id, self._interval_ms.to_bytes(4, "little"))

    def _command(self, code: int, request_id: int, arguments: bytes = b"") -> None:
        """Send a command and wait for its reply; samples that come first belong to what was started before."""
        framer = shizuku.framer()
        self._link.write(shizuku.command(code, request_id, arguments))
        end = time.monotonic() + HANDSHAKE_S
        while (left := end - time.monotonic()) > 0:
            for frame in framer.feed(self._link.read(left)):
                if shizuku.is_reply(frame[5:-2], request_id):
                    return
        raise ProbeError(
            f"the meter at {self._link.node} does not answer as a Shizuku, AVHzY CT-3 or KT002 does",
            "check that this is its node and that no other program reads it",
        )

    def _decode(self, frame: bytes) -> list[Reading]:
        return shizuku.decode(frame, self._request_id)


def shizuku_source(spec: Spec) -> MeterSource:
    """Shizuku, AVHzY CT-3, KT002 by serial; `interval_ms` 1 to 1000 between samples (10)."""
    options = Options(spec, *COMMON, "interval_ms")
    interval_ms = round(options.number("interval_ms", 10, 1, 1000))
    batch_s = min(BATCH_S, BATCH_FRAMES * interval_ms / 1e3)
    talk = Talk(shizuku.framer, shizuku.decode, bye=shizuku.command(shizuku.STOP, 255), batch_s=batch_s)
    info = describe(spec, options, "Shizuku YK001, AVHzY CT-3 or KT002", NOMINAL_V * DISPLAY_A, interval_ms / 1e3)
    return ShizukuSource(SerialLink(node_of(spec)), talk, replace(info, device_clock=True), interval_ms)


def rd_um_source(spec: Spec) -> MeterSource:
    """UM24C, UM25C, UM34C by a serial line bound to Bluetooth; `interval_ms` between requests (500)."""
    options = Options(spec, *COMMON, "interval_ms")
    interval_s = options.number("interval_ms", 500, 100, 10_000) / 1e3
    node = Path(options.address("rd_um:/dev/rfcomm0"))
    talk = Talk(rd_um.framer, rd_um.decode, beat=rd_um.REQUEST, beat_s=interval_s, polled=True)
    info = describe(spec, options, "RuiDeng UM24C, UM25C or UM34C", rd_um.STEP_W, interval_s)
    return MeterSource(SerialLink(node, 9600), talk, info)


def tc66_source(spec: Spec) -> MeterSource:
    """TC66, TC66C by serial; `interval_ms` between requests (100), `key` for another key than the known one, in hex."""
    options = Options(spec, *COMMON, "interval_ms", "key")
    interval_s = options.number("interval_ms", 100, 50, 10_000) / 1e3
    text = options.text("key")
    try:
        key = tc66.KEY if text is None else bytes.fromhex(text)
    except ValueError:
        raise ProbeError("the option `key` of the probe tc66 is not hexadecimal", "give 64 digits") from None
    talk = Talk(partial(tc66.Tc66Framer, key), tc66.decode, beat=tc66.REQUEST, beat_s=interval_s, polled=True)
    info = describe(spec, options, "RuiDeng TC66 or TC66C", tc66.STEP_W, interval_s)
    return MeterSource(SerialLink(node_of(spec)), talk, replace(info, smoothing_s=tc66.SMOOTHING_S))


def yzx_source(spec: Spec) -> MeterSource:
    """YZXStudio by serial; `baud` 9600 where it comes over Bluetooth."""
    options = Options(spec, *COMMON, "baud")
    baud = int(options.word("baud", ("9600", "115200"), "115200") or 0)
    info = describe(spec, options, "YZXStudio ZY12xx", NOMINAL_V * yzx.STEP_A, yzx.REFRESH_S)
    return MeterSource(SerialLink(node_of(spec), baud), Talk(yzx.framer, yzx.decode), info)


class WitrnSource(MeterSource):
    """A meter whose clock wraps each 256 s; `interval_ms` thins out its stream."""

    def __init__(self, link: Link, talk: Talk, info: SourceInfo, interval_s: float) -> None:
        super().__init__(link, talk, info)
        self._interval_s = interval_s

    def _greet(self) -> None:
        self._unwrap = witrn.Unwrap()
        self._block: list[Reading] = []

    def _decode(self, frame: bytes) -> list[Reading]:
        """Average readings over one interval: no power is left out, and each mean has the mean of their times."""
        block = self._block
        for reading in witrn.decode(frame):
            extended_s = self._unwrap(reading.device_s or 0.0)
            if block and not 0 <= extended_s - (block[0].device_s or 0.0) <= 2 * self._interval_s:
                block.clear()  # the clock jumped, or reports were lost: no mean across that
            block.append(replace(reading, device_s=extended_s))
        first_s, last_s = block[0].device_s or 0.0, block[-1].device_s or 0.0
        if last_s - first_s < self._interval_s - CLOCK_STEP_S / 2:
            return []
        self._block = [block.pop()]  # it begins the next interval
        count = len(block)
        mean_w, mean_s = sum(r.signed_w for r in block) / count, sum(r.device_s or 0.0 for r in block) / count
        return [Reading(abs(mean_w), device_s=mean_s, backwards=mean_w < 0)]


def witrn_source(spec: Spec) -> MeterSource:
    """WITRN by HID; `interval_ms` over which reports are averaged (10)."""
    options = Options(spec, *COMMON, "interval_ms")
    interval_s = options.number("interval_ms", 10, 5, 1000) / 1e3
    talk = Talk(partial(ReportFramer, witrn.valid), witrn.decode, batch_s=HID_BATCH_S)
    info = describe(spec, options, "WITRN C4, C5 or U3", NOMINAL_V * DISPLAY_A, interval_s)
    return WitrnSource(HidLink(node_of(spec), witrn.REPORT), talk, replace(info, device_clock=True), interval_s)
