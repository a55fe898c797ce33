"""The frames between a machine that holds a meter and one under test: bounded, authenticated, in order.

A frame is its length (u32, big endian), 16 bytes of HMAC-SHA256 over direction, number and body, and the body: one JSON
object. The number counts the frames of a direction, so that a frame lost, repeated, reordered or forged ends the link.
The key is made of the shared token and a nonce of each side: the token itself is never sent. Nothing is encrypted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import select
import socket
import struct
import time
from typing import Any

from edgebench_probes.base import ProbeError

LONGEST = 65_536
NONCE = 32
TAG = 16
SHORTEST_TOKEN = 16
_LENGTH = struct.Struct(">I")
_NUMBER = struct.Struct(">Q")


class WireError(ProbeError):
    """What came over the link is not what the protocol says, or the link is gone."""


def link_key(token: str, server_nonce: bytes, client_nonce: bytes) -> bytes:
    """Key of one connection; both sides prove that they have it by their first frame."""
    return hmac.new(token.encode(), b"edgebench-probe\0" + server_nonce + client_nonce, hashlib.sha256).digest()


def encode(message: dict[str, Any], key: bytes, sender: bytes, number: int) -> bytes:
    """Return one frame; `sender` is b"c" or b"s"."""
    body = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    if len(body) > LONGEST:
        raise WireError(f"a message of {len(body)} bytes is too long to send")
    return _LENGTH.pack(len(body)) + _tag(key, sender, number, body) + body


def _tag(key: bytes, sender: bytes, number: int, body: bytes) -> bytes:
    return hmac.new(key, sender + _NUMBER.pack(number) + body, hashlib.sha256).digest()[:TAG]


class Decoder:
    """Cuts a stream into messages; any doubt about one is the end: raises WireError, and nothing else."""

    def __init__(self, key: bytes, sender: bytes) -> None:
        self._key, self._sender = key, sender
        self._buffer = b""
        self._number = 0

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes as they come and return whole messages."""
        self._buffer += data
        messages: list[dict[str, Any]] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > LONGEST:
                raise WireError(
                    f"the other side announces {length} bytes", "check that it is an edgebench probe server"
                )
            end = _LENGTH.size + TAG + length
            if len(self._buffer) < end:
                break
            tag, body = self._buffer[_LENGTH.size : _LENGTH.size + TAG], self._buffer[_LENGTH.size + TAG : end]
            if not hmac.compare_digest(tag, _tag(self._key, self._sender, self._number, body)):
                raise WireError(
                    "a message does not prove the shared token, or is not the next one",
                    "give both machines the same token",
                )
            self._number += 1
            self._buffer = self._buffer[end:]
            messages.append(_parse(body))
        return messages


def _parse(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise WireError("a message is no JSON object")
    return message


def _refuse(_text: str) -> None:
    raise ValueError


def number(message: dict[str, Any], name: str, low: float, high: float) -> float:
    """Return a number of a message within bounds; raises WireError."""
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise WireError(f"a message holds no sound {name!r}")
    return value


def whole(value: object) -> int:
    """Return an integer of 64 bits; raises WireError."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise WireError("a message holds no sound integer")
    return value


def real(value: object) -> float:
    """Return a finite number; raises WireError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or not math.isfinite(value):
        raise WireError("a message holds no sound number")
    return float(value)


def text(value: object, longest: int = 400) -> str:
    """Return a printable text of bounded length; raises WireError."""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise WireError("a message holds no sound text")
    return value


class Channel:
    """One authenticated connection; `role` is b"c" or b"s"."""

    def __init__(self, sock: socket.socket, key: bytes, role: bytes) -> None:
        self.sock = sock
        self._key, self._role = key, role
        self._sent = 0
        self._decoder = Decoder(key, b"s" if role == b"c" else b"c")

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; a peer that does not take it within the socket's timeout is gone. Raises WireError."""
        frame = encode(message, self._key, self._role, self._sent)
        self._sent += 1
        try:
            self.sock.sendall(frame)
        except OSError as error:
            raise gone(error) from None

    def receive(self, timeout_s: float) -> tuple[list[dict[str, Any]], int]:
        """Return the messages that are complete, and when their last byte was read (ns); raises WireError."""
        data, at = receive(self.sock, timeout_s)
        return (self._decoder.feed(data) if data else []), at


def receive(sock: socket.socket, timeout_s: float) -> tuple[bytes, int]:
    """Return what has come within a time, b"" for nothing, and when it was read; raises WireError at the end."""
    try:
        if not select.select([sock], [], [], max(0.0, timeout_s))[0]:
            return b"", time.monotonic_ns()
        data = sock.recv(LONGEST)
    except (OSError, ValueError) as error:
        raise gone(error) from None
    if not data:
        raise gone(None)
    return data, time.monotonic_ns()


def exactly(sock: socket.socket, count: int, timeout_s: float) -> bytes:
    """Return so many bytes within a time; raises WireError."""
    end, data = time.monotonic() + timeout_s, b""
    while len(data) < count:
        left = end - time.monotonic()
        try:
            ready = left > 0 and select.select([sock], [], [], left)[0]
            part = sock.recv(count - len(data)) if ready else None
        except (OSError, ValueError) as error:
            raise gone(error) from None
        if part is None:
            raise WireError("the other side says nothing", "check that it is an edgebench probe server, and free")
        if not part:
            raise gone(None)
        data += part
    return data


def gone(error: Exception | None) -> WireError:
    """Say that the link is down."""
    detail = f" ({error})" if error is not None else ""
    return WireError(f"the link was closed{detail}", "check the other machine and the network")
