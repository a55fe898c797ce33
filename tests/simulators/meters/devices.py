"""The simulated meters. Encoders are written from the protocols' descriptions, not with the code under test."""

from __future__ import annotations

import struct
import time

from tests.simulators.meters.bench import BUS_VOLTS, HidPair, HidPty, Meter, Pty, Wave


def amps_at(wave: Wave, t_s: float) -> float:
    """Current of a wave on the bus."""
    return wave.power(t_s) / BUS_VOLTS


class Shizuku(Meter):
    """Streams after START, at the interval asked for, until STOP; each command is acknowledged."""

    def __init__(self, wave: Wave, transport: Pty | HidPair | None = None) -> None:
        super().__init__(wave, transport or Pty())
        self._inbox = b""
        self._streams: int | None = None
        self.answers = True

    @staticmethod
    def frame(payload: bytes) -> bytes:
        total = 0
        for byte in payload:
            total ^= byte
        return b"\xa5" + len(payload).to_bytes(4, "little") + payload + bytes([total]) + b"\x5a"

    def asked(self, message: bytes) -> None:
        self._inbox += message
        while len(self._inbox) >= 5 and len(self._inbox) >= (whole := self._inbox[1] + 7):
            payload, self._inbox = self._inbox[5 : whole - 2], self._inbox[whole:]
            if not self.answers:
                continue
            if payload[1] == 0x07:
                self._streams = None
            elif payload[1] == 0x09:
                self._streams = payload[2]
                self.period_s = int.from_bytes(payload[4:8], "little") / 1000
            self.transport.write(self.frame(bytes([payload[0], payload[1], payload[2], 0x80])))

    def run(self) -> None:
        self.period_s = 0.01
        super().run()

    def tick(self, t_s: float) -> None:
        if self._streams is None:
            return
        volts, amps = BUS_VOLTS, amps_at(self.wave, t_s)
        values = struct.pack("<6f", volts, amps, volts * amps, 0.1, 0.2, 25.0)
        stamp = struct.pack("<Q", round(self.device_s(t_s) * 1e6))
        self.emit(self.frame(bytes([4, 0, self._streams, 0]) + values + stamp))


class Fnirsi(Meter):
    """Sends four samples each 40 ms for a second after 82 or 83, and garbage with a right checksum first."""

    period_s = 0.04

    def __init__(self, wave: Wave, transport: Pty | HidPair | None = None) -> None:
        super().__init__(wave, transport or HidPty())
        self._until = 0.0
        self.garbage_first = False
        self.requests: list[int] = []

    @staticmethod
    def crc(data: bytes) -> int:
        value = 0x42
        for byte in data:
            for bit in range(7, -1, -1):
                top = value >> 7 ^ byte >> bit & 1
                value = value << 1 & 0xFF ^ (0x39 if top else 0)
        return value

    def asked(self, message: bytes) -> None:
        if len(message) == 64 and message[0] == 0xAA and self.crc(message[1:63]) == message[63]:
            self.requests.append(message[1])
            if message[1] == 0x82 or (message[1] == 0x83 and time.monotonic() < self._until):
                self._until = time.monotonic() + 1.0

    def tick(self, t_s: float) -> None:
        if t_s > self._until:
            return
        report = bytearray(64)
        report[:2] = b"\xaa\x04"
        for index in range(4):
            amps = amps_at(self.wave, t_s - (3 - index) * 0.01)
            struct.pack_into(
                "<iiHHBH", report, 2 + 15 * index, round(BUS_VOLTS * 1e5), round(amps * 1e5), 600, 600, 1, 251
            )
        if self.garbage_first:  # 18.8 V and 17 A, as a FNB48 was seen to send
            self.garbage_first = False
            for index in range(4):
                struct.pack_into("<ii", report, 2 + 15 * index, 1_887_437, 1_703_940)
        report[63] = self.crc(bytes(report[1:63]))
        self.emit(bytes(report))


class Witrn(Meter):
    """A report each 2 ms, unasked; its clock is cut to bytes in four ways."""

    period_s = 0.002

    def __init__(self, wave: Wave, transport: Pty | HidPair | None = None) -> None:
        super().__init__(wave, transport or HidPty())

    def tick(self, t_s: float) -> None:
        now = round(self.device_s(t_s) * 1000)
        meter = struct.pack(
            "<BBHffIIffffff", 0, 0, 10, 0.5, 2.5, 60, 1000, 0.6, 0.6, 25.0, -73.0, BUS_VOLTS, amps_at(self.wave, t_s)
        )
        inner = bytes([1, 52]) + meter + bytes(52 - len(meter))
        clock = (now // 1000, now % 1000, now // 30 % 128, now // 100, now % 100, now // 80)
        head = b"\xff\x55" + bytes(part % 256 for part in clock)
        low = sum(inner) % 256
        self.emit(head + inner + bytes([low, (sum(head) + low) % 256]))


class RdUm(Meter):
    """Answers F0 with 130 bytes, as a UM25C."""

    model = 0x09C9
    steps = (1e-3, 1e-4)

    def __init__(self, wave: Wave, transport: Pty | HidPair | None = None) -> None:
        super().__init__(wave, transport or Pty())

    def asked(self, message: bytes) -> None:
        for _ in range(message.count(b"\xf0")):
            amps = amps_at(self.wave, time.monotonic())
            frame = bytearray(130)
            volts, current = round(BUS_VOLTS / self.steps[0]), round(amps / self.steps[1])
            struct.pack_into(">HHHIHH", frame, 0, self.model, volts, current, round(BUS_VOLTS * amps * 1000), 25, 77)
            frame[128:] = self.ending(bytes(frame))
            self.emit(bytes(frame))

    def ending(self, _frame: bytes) -> bytes:
        return b"\xff\xf1"


class Um34c(RdUm):
    """A UM34C, which ends with a checksum."""

    model = 0x0D4C
    steps = (1e-2, 1e-3)

    def ending(self, frame: bytes) -> bytes:
        total = 0
        for index in (1, 3, 7, 9, 15, 17, 19, 23, 31, 39, 41, 45, 49, 53, 55, 57, 59, 63, 67, 69, 73, 79, 83, 89, 97):
            total ^= frame[index]
        for index in (99, 109, 111, 113, 119, 121, 127):
            total ^= frame[index]
        return bytes([0, total])


class Tc66(Meter):
    """Answers `getva` with three encrypted blocks."""

    key = bytes.fromhex("5821fa5601b2f02687ff1204622a4fb086f40260816f9a0ba7f106619ab87288")

    def __init__(self, wave: Wave, transport: Pty | HidPair | None = None) -> None:
        super().__init__(wave, transport or Pty())

    @staticmethod
    def crc(data: bytes) -> int:
        value = 0xFFFF
        for byte in data:
            value ^= byte
            for _ in range(8):
                odd = value & 1
                value >>= 1
                if odd:
                    value ^= 0xA001
        return value

    def blocks(self, volts: float, amps: float) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        values = struct.pack("<III", round(volts * 1e4), round(amps * 1e5), round(volts * amps * 1e4))
        first = b"pac1TC661.15" + struct.pack("<I", 4711) + bytes(28) + struct.pack("<I", 3) + values
        plain = b""
        for body in (first, b"pac2" + bytes(56), b"pac3" + bytes(56)):
            plain += body + struct.pack("<I", self.crc(body))
        encryptor = Cipher(algorithms.AES(self.key), modes.ECB()).encryptor()  # noqa: S305 - the meter's choice
        return encryptor.update(plain) + encryptor.finalize()

    def asked(self, message: bytes) -> None:
        for _ in range(message.count(b"getva")):
            self.emit(self.blocks(BUS_VOLTS, amps_at(self.wave, time.monotonic())))


class Yzx(Meter):
    """A frame each 250 ms, unasked."""

    period_s = 0.25

    def __init__(self, wave: Wave, transport: Pty | HidPair | None = None) -> None:
        super().__init__(wave, transport or Pty())

    def tick(self, t_s: float) -> None:
        amps = amps_at(self.wave, t_s)
        body = b"\xab\x00\x06" + struct.pack(
            "<iIIIIHH", round(BUS_VOLTS * 1e4), round(amps * 1e4), 100, 500, 25, 600, 600
        )
        self.emit(body + bytes([sum(body) % 256]))


class Ppk2(Meter):
    """Sends its calibration when asked, and 4-byte conversions from START to STOP: range 4, here 5000 a second."""

    period_s = 0.005
    gain = 1.8 / 163_840 / 0.043  # A a count, with the resistor of range 4 and no other correction

    def __init__(self, wave: Wave, transport: Pty | HidPair | None = None) -> None:
        super().__init__(wave, transport or Pty())
        self._measures = False

    def asked(self, message: bytes) -> None:
        if 0x19 in message:
            lines = ["Calibrated: 1", "HW: 9173", "IA: 56", "VDD: 5000", "R4: 0.043", "GS4: 0", "END"]
            self.transport.write("\n".join(lines).encode())
        elif message[-1:] == b"\x06":
            self._measures = True
        elif message == b"\x07":
            self._measures = False

    def tick(self, t_s: float) -> None:
        if self._measures:
            counts = round(amps_at(self.wave, t_s) / self.gain / 4)
            self.emit(struct.pack("<I", counts | 4 << 14) * 25)


DEVICES = {
    "shizuku": Shizuku,
    "fnirsi": Fnirsi,
    "witrn": Witrn,
    "rd_um": RdUm,
    "um34c": Um34c,
    "tc66": Tc66,
    "yzx": Yzx,
    "ppk2": Ppk2,
}
