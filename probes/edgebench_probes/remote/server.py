"""The end of a remote probe that holds the meter: one client at a time gets its samples, and the time.

Listens on loopback; elsewhere only with a token. The meter is opened for a client and closed after it, so that a loss
is told to the client and the next one starts afresh.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.remote.wire import (
    NONCE,
    SHORTEST_TOKEN,
    Channel,
    WireError,
    exactly,
    link_key,
    number,
    real,
    text,
    whole,
)
from edgebench_probes.sampling.source import Sample, Source, SourceInfo

GREETING, BUSY = b"EDGEPRB1", b"EDGEBUSY"
HANDSHAKE_S = 3.0
CLIENT_S = 5.0  # a client makes a time exchange every half second
MAX_MESSAGES = 100  # a second, from a client
BATCH = 256
MAX_QUEUE = 100_000  # samples a client has not taken: it is dropped rather than served late
POLL_S = 0.2
LINGER_S = 1.0


def serve(
    source: Source,
    listen: str = "127.0.0.1:8765",
    token: str | None = None,
    *,
    ready: Callable[[str, SourceInfo], None] | None = None,
    stop: threading.Event | None = None,
    clock: Callable[[int], int] | None = None,
) -> None:
    """Serve a source until `stop` is set; raises ProbeError for what makes serving impossible.

    `listen` is HOST:PORT or PORT (0: any free one). `ready` is called once with the address in use and what the meter
    is. `clock` turns our CLOCK_MONOTONIC (ns) into the one that is told to clients: the identity, but for simulators.
    """
    stop = stop or threading.Event()
    host, port = _listen_address(listen, token)
    source.open()
    info = source.describe()
    source.close()
    with _listener(host, port) as listener:
        name = listener.getsockname()
        if ready is not None:
            ready(f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}", info)
        while not stop.is_set():
            if not select.select([listener], [], [], POLL_S)[0]:
                continue
            with contextlib.suppress(OSError, WireError), listener.accept()[0] as sock:
                _Session(sock, listener, source, token or "", clock or (lambda ns: ns), stop).run()


def _listen_address(listen: str, token: str | None) -> tuple[str, int]:
    host, _, port_text = listen.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port_text.isdecimal() or int(port_text) > 65_535:
        raise ProbeError(f"{listen!r} is no address to listen on", "write HOST:PORT, such as 127.0.0.1:8765")
    try:
        found = socket.getaddrinfo(host, int(port_text), type=socket.SOCK_STREAM)
    except OSError as error:
        raise ProbeError(f"the address {host!r} is unknown: {error.strerror or error}", "write HOST:PORT") from None
    loopback = all(ipaddress.ip_address(str(item[4][0]).split("%")[0]).is_loopback for item in found)
    if token is None and not loopback:
        raise ProbeError(
            f"{listen} can be reached from other machines, and there is no token",
            "make one with `openssl rand -hex 32`, and give it to both machines in a file",
        )
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise ProbeError(
            f"the token is shorter than {SHORTEST_TOKEN} characters", "make one with `openssl rand -hex 32`"
        )
    return str(found[0][4][0]), int(port_text)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=8)
    except OSError as error:
        raise ProbeError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}", "choose another address or port"
        ) from None


def info_to(info: SourceInfo) -> dict[str, Any]:
    """Return what a source is as a message."""
    own = info.info
    return {
        "info": {
            "name": own.name,
            "source": own.source,
            "scope": str(own.scope),
            "resolution": own.resolution,
            "refresh_s": own.refresh_s,
            "accuracy": own.accuracy,
            "smoothing_s": info.smoothing_s,
            "device_clock": info.device_clock,
            "accuracy_source": info.accuracy_source,
            "clock_s": info.clock_s,
            "notes": [list(note) for note in info.notes],
        }
    }


def info_from(message: dict[str, Any]) -> SourceInfo:
    """Return what a message says of a source; raises WireError."""
    raw = message.get("info")
    if not isinstance(raw, dict):
        raise WireError("the probe server says something unknown", "use the same version on both machines")
    try:
        scope = Scope(text(raw.get("scope")))
    except ValueError:
        raise WireError("the probe server names an unknown scope", "use the same version on both machines") from None
    notes = raw.get("notes")
    if not isinstance(notes, list) or len(notes) > 16:
        raise WireError("a message holds no sound notes")
    pairs = tuple((text(n[0]), text(n[1])) for n in notes if isinstance(n, list) and len(n) == 2)
    info = ProbeInfo(
        text(raw.get("name"), 40),
        text(raw.get("source")),
        scope,
        "power",
        number(raw, "resolution", 0.0, 1e6),
        number(raw, "refresh_s", 1e-5, 3600.0),
        number(raw, "accuracy", 0.0, 1.0),
    )
    return SourceInfo(
        info,
        number(raw, "smoothing_s", 0.0, 3600.0),
        raw.get("device_clock") is True,
        text(raw.get("accuracy_source")),
        number(raw, "clock_s", 0.0, 1.0),
        pairs,
    )


@dataclass(slots=True)
class _Session:
    """One client."""

    sock: socket.socket
    listener: socket.socket
    source: Source
    token: str
    clock: Callable[[int], int]
    stop: threading.Event
    queue: deque[Sample] = field(default_factory=deque)
    over: threading.Event = field(default_factory=threading.Event)
    failure: str = ""

    def run(self) -> None:
        """Serve until the client goes; raises WireError when it does, or says what it must not."""
        self.sock.settimeout(HANDSHAKE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        nonce = secrets.token_bytes(NONCE)
        self.sock.sendall(GREETING + nonce)
        channel = Channel(self.sock, link_key(self.token, nonce, exactly(self.sock, NONCE, HANDSHAKE_S)), b"s")
        self._admit(channel)
        try:
            self.source.open()
        except ProbeError as error:
            self.source.close()
            channel.send({"refused": error.reason[:400], "fix": error.fix and error.fix[:1000]})
            self._leave()
            return
        mine, theirs = socket.socketpair()
        reader = threading.Thread(target=self._read, args=(theirs,), name="meter", daemon=True)
        try:
            channel.send(info_to(self.source.describe()))
            reader.start()
            self._stream(channel, mine)
        finally:
            self.over.set()
            if reader.ident is not None:
                reader.join()
            self.source.close()
            mine.close()
            theirs.close()

    def _admit(self, channel: Channel) -> None:
        """Wait for the first message, which proves the token."""
        end, messages = time.monotonic() + HANDSHAKE_S, list[dict[str, Any]]()
        try:
            while not messages and time.monotonic() < end:
                messages = channel.receive(end - time.monotonic())[0]
        except WireError:
            with contextlib.suppress(WireError):  # under our key: the client sees that it differs from its own
                channel.send({"refused": "the token differs", "fix": None})
            self._leave()
            raise
        if messages != [{"hello": 1}]:
            raise WireError("the client does not greet")

    def _read(self, wake: socket.socket) -> None:
        """Take samples from the meter, in a thread of its own: reading it waits."""
        try:
            while not self.over.is_set():
                samples = self.source.read()
                if samples:
                    self.queue.extend(samples)
                    wake.send(b"\0")
        except ProbeError as error:
            self.failure = error.reason
        except Exception as error:  # noqa: BLE001 - the client is told, and the meter opened again for the next one
            self.failure = f"{type(error).__name__}: {error}"
        with contextlib.suppress(OSError):
            wake.send(b"\1")

    def _stream(self, channel: Channel, wake: socket.socket) -> None:
        heard = second = time.monotonic()
        messages = 0
        while not self.stop.is_set():
            ready, _, _ = select.select([self.sock, wake, self.listener], [], [], POLL_S)
            now = time.monotonic()
            if self.sock in ready:
                for message, at_ns in self._asked(channel):
                    heard, messages = now, messages + 1
                    channel.send({"pong": whole(message.get("ping")), "at": at_ns, "sent": self._now()})
            if self.listener in ready:  # after our own client, who may just have gone
                with contextlib.suppress(OSError), self.listener.accept()[0] as other:
                    other.send(BUSY)
            if now - second > 1.0:
                second, messages = now, 0
            if messages > MAX_MESSAGES or now - heard > CLIENT_S:
                raise WireError("the client is gone, or asks too much")
            if wake in ready:
                wake.recv(4096)
                self._flush(channel)
            if self.failure:
                channel.send({"lost": "".join(c if c.isprintable() else " " for c in self.failure)[:400]})
                self._leave()
                return

    def _leave(self) -> None:
        """Let the last message be read: closing with something unread would throw it away."""
        end = time.monotonic() + LINGER_S
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            while select.select([self.sock], [], [], max(0.0, end - time.monotonic()))[0] and self.sock.recv(4096):
                pass

    def _asked(self, channel: Channel) -> list[tuple[dict[str, Any], int]]:
        messages, read_ns = channel.receive(0)
        return [(message, self.clock(read_ns)) for message in messages]

    def _now(self) -> int:
        return self.clock(time.monotonic_ns())

    def _flush(self, channel: Channel) -> None:
        if len(self.queue) > MAX_QUEUE:
            raise WireError("the client does not keep up")
        while self.queue:
            batch = [self.queue.popleft() for _ in range(min(BATCH, len(self.queue)))]
            rows = [[self.clock(s.t_ns), real(s.power_w), s.device_s] for s in batch]
            channel.send({"samples": rows})
