"""RuiDeng TC66 and TC66C: USB serial, a reading a request, AES-256-ECB with a key that is the same in every meter.

The protocol and the key are public through open implementations (github.com/TheHWcave/TC66, and the driver rdtech-tc of
libsigrok). No data sheet was at hand. Needs the package `cryptography`.
"""

from __future__ import annotations

import importlib
import struct
from typing import Any

from edgebench_probes.advice import extra
from edgebench_probes.base import ProbeError
from edgebench_probes.meters.protocol import Framer, ProtocolError, Reading, crc16_modbus, electrical

VENDOR = 0x28E9
REQUEST = b"getva"
BLOCK = 64
LENGTH = 3 * BLOCK
NAMES = (b"pac1", b"pac2", b"pac3")
SMOOTHING_S = 0.5  # github.com/fqueze/usb-power-profiling: a change takes up to 500 ms, of a TC66C, to be shown whole
STEP_V, STEP_A, STEP_W = 1e-4, 1e-5, 1e-4
KEY = bytes.fromhex("5821fa5601b2f02687ff1204622a4fb086f40260816f9a0ba7f106619ab87288")


def cipher(key: bytes = KEY) -> Any:
    """Return the cipher of the meter; raises ProbeError without the package or with a key of another length."""
    try:
        ciphers = importlib.import_module("cryptography.hazmat.primitives.ciphers")
    except ImportError:
        raise ProbeError(
            "the TC66C encrypts what it sends, and the package cryptography is not installed",
            extra("meters"),
        ) from None
    try:
        return ciphers.Cipher(ciphers.algorithms.AES256(key), ciphers.modes.ECB())
    except ValueError:
        raise ProbeError(f"the key of the TC66C has {len(key)} bytes", "give 32 bytes in hexadecimal") from None


class Tc66Framer:
    """Finds three blocks in a stream of cipher text.

    Nothing marks a beginning there: at every offset the first cipher block is decrypted until it reads `pac1`.
    """

    def __init__(self, key: bytes = KEY) -> None:
        self._cipher = cipher(key)
        self._framer = Framer(b"", LENGTH, self._measure)

    @property
    def skipped(self) -> int:
        """Bytes that belonged to no frame."""
        return self._framer.skipped

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they come and return frames, decrypted."""
        return [self._decrypt(frame) for frame in self._framer.feed(data)]

    def clear(self) -> None:
        """Forget an unfinished frame."""
        self._framer.clear()

    def _decrypt(self, data: bytes) -> bytes:
        context = self._cipher.decryptor()
        return bytes(context.update(data) + context.finalize())

    def _measure(self, buffer: bytes) -> int:
        if len(buffer) < 16:
            return 0
        if not self._decrypt(buffer[:16]).startswith(NAMES[0]):
            return -1
        if len(buffer) < LENGTH:
            return 0
        return LENGTH if sound(self._decrypt(buffer[:LENGTH])) else -1


def sound(plain: bytes) -> bool:
    """Whether 192 decrypted bytes are pac1, pac2 and pac3, each with its CRC-16/MODBUS (u32, little endian) at 60."""
    return len(plain) == LENGTH and all(
        plain[at : at + 4] == name
        and crc16_modbus(plain[at : at + 60]) == int.from_bytes(plain[at + 60 : at + 64], "little")
        for at, name in zip(range(0, LENGTH, BLOCK), NAMES, strict=True)
    )


def decode(frame: bytes) -> list[Reading]:
    """Return the reading of a decrypted frame; raises ProtocolError."""
    if not sound(frame):
        raise ProtocolError("a frame of the TC66C has a wrong length, name or checksum")
    volts, amps, watts = struct.unpack_from("<III", frame, 48)
    return [electrical(volts * STEP_V, amps * STEP_A, power_w=watts * STEP_W)]
