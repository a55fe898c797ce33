"""A meter on another machine, as MLPerf Power separates the director from the board: the board's end.

`tcp://HOST:PORT[?token_file=FILE]` is a source like any other; the token comes from that file or from the environment
variable EDGEBENCH_PROBE_TOKEN, never from the specification, which goes into reports. The other end is `serve.py`.
Samples carry the server's CLOCK_MONOTONIC, which is fitted to ours (`linkclock.py`); how well goes into `clock_s`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgebench_probes.base import ProbeError
from edgebench_probes.remote.clock import ClockJumped, LinkClock, exchange
from edgebench_probes.remote.server import BUSY, GREETING, info_from, serve
from edgebench_probes.remote.wire import NONCE, SHORTEST_TOKEN, Channel, WireError, exactly, link_key, real, text, whole
from edgebench_probes.sampling.source import Sample, Source, SourceInfo, SourceLost
from edgebench_probes.spec import Spec

__all__ = ["RemoteSource", "read_token", "serve"]

TOKEN_VARIABLE = "EDGEBENCH_PROBE_TOKEN"  # noqa: S105 - a name, no token
CONNECT_S = 5.0
FIRST_PINGS, FIRST_PING_S, PING_S = 10, 0.02, 0.5
WAIT_S = 0.1  # what comes ends the wait
LINK_S = 2.0  # an exchange without an answer for this long: the link is lost
CLOCK_FLOOR_S = 1e-4
CLOCK_WORST_S = 0.01  # a clock known no better than this is of no use to a window
MAX_RATE = 20_000  # samples a second
AGE_NS, AHEAD_NS = 10_000_000_000, 1_000_000  # a sample cannot be younger than its arrival
STEP_BACK_NS = 5_000_000


def read_token(file: str | Path | None = None) -> str | None:
    """Return the shared token of a file, else of the environment, else None; raises ProbeError."""
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE)
        where = TOKEN_VARIABLE
    else:
        where = str(file)
        try:
            with Path(file).open(encoding="utf-8") as handle:
                token = handle.read(4096)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise ProbeError(f"the token file {file} cannot be read: {reason}", "check its name and mode") from None
    if token is None:
        return None
    if len(token.strip()) < SHORTEST_TOKEN:
        raise ProbeError(
            f"the token in {where} is shorter than {SHORTEST_TOKEN} characters", "make one with `openssl rand -hex 32`"
        )
    return token.strip()


class RemoteSource(Source):
    """Samples of a meter on another machine."""

    def __init__(self, spec: Spec) -> None:
        unknown = sorted(set(spec.options) - {"token_file"})
        if unknown:
            fix = (
                f"put it into a file (`token_file=FILE`) or into {TOKEN_VARIABLE}"
                if unknown[0] == "token"
                else ("its only option is `token_file`")
            )
            raise ProbeError(f"the probe tcp has no option {unknown[0]!r}", fix)
        try:
            parts = urlsplit(f"tcp:{spec.address}")
            self._host, self._port = parts.hostname or "", parts.port or 0
        except ValueError:
            self._host, self._port = "", 0
        if not (self._host and self._port):
            raise ProbeError(f"the probe tcp has the address {spec.address!r}", "write it as `tcp://HOST:PORT`")
        self._token = read_token(spec.options.get("token_file")) or ""
        self._where = f"{self._host}:{self._port}"
        self._channel: Channel | None = None
        self._info: SourceInfo | None = None
        self._clock = LinkClock()
        self._pending: list[Sample] = []
        self._unread: list[dict[str, Any]] = []  # what came together with the greeting
        self._last_ns = self._ping_due = 0
        self._sent: dict[int, int] = {}
        self._pings = 0
        self._counted, self._counted_from = 0, 0

    def describe(self) -> SourceInfo:
        """What the meter is, with the uncertainty of its machine's clock against ours."""
        if self._info is None:
            raise ProbeError("this source has never been open", "open it first")
        return self._info

    def open(self) -> None:
        """Connect, prove the token both ways, learn what the meter is, and set the clocks; raises ProbeError."""
        try:
            sock = socket.create_connection((self._host, self._port), CONNECT_S)
        except OSError as error:
            raise ProbeError(
                f"the probe server at {self._where} cannot be reached: {error.strerror or error}",
                "start it there with `edgebench probes serve --probe SPEC --listen ADDRESS`",
            ) from None
        try:
            sock.settimeout(LINK_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._greet(sock)
            self._set_clock()
        except (WireError, ClockJumped, SourceLost) as error:
            sock.close()
            self._channel = None
            raise ProbeError(f"{self._where}: {error.reason}", error.fix) from None
        except BaseException:
            sock.close()
            self._channel = None
            raise

    def _greet(self, sock: socket.socket) -> None:
        greeting = exactly(sock, len(GREETING), CONNECT_S)
        if greeting == BUSY:
            raise WireError("the probe server has another client", "end that one, it serves one at a time")
        if greeting != GREETING:
            raise WireError("what listens there is no edgebench probe server", "check address and version")
        theirs, ours = exactly(sock, NONCE, CONNECT_S), secrets.token_bytes(NONCE)
        sock.sendall(ours)
        self._channel = Channel(sock, link_key(self._token, theirs, ours), b"c")
        self._channel.send({"hello": 1})
        end = time.monotonic() + 4 * CONNECT_S  # the server may have to open its meter first
        while time.monotonic() < end:
            messages, _ = self._channel.receive(end - time.monotonic())
            if messages:
                message, *self._unread = messages
                if "refused" in message:
                    fix = message.get("fix")
                    raise ProbeError(
                        f"the probe server at {self._where} has no meter: {text(message['refused'])}",
                        None if fix is None else f"on that machine: {text(fix, 1000)}",
                    )
                info = info_from(message)
                source = f"{info.info.source} via tcp://{self._where}"
                self._info = replace(info, info=replace(info.info, source=source))
                return
        raise WireError("the probe server does not say what its meter is", "check the other machine")

    def _set_clock(self) -> None:
        """Make the first exchanges; their best bound is the source's `clock_s`."""
        self._clock, self._pending, self._sent = LinkClock(), [], {}
        self._counted_from = self._ping_due = time.monotonic_ns()
        self._counted = self._pings = self._last_ns = 0
        end = time.monotonic() + CONNECT_S
        while self._pings - len(self._sent) < FIRST_PINGS:
            if time.monotonic() > end:
                raise WireError("the probe server does not answer time exchanges", "check the network")
            self._pending += self._take(FIRST_PING_S)
        sigma_s = self._clock.sigma_s
        if sigma_s > CLOCK_WORST_S:
            raise WireError(
                f"the other machine's clock is known to {sigma_s * 1e3:.1f} ms only, as the network is slow",
                "use a wired network",
            )
        if self._info is not None:
            self._info = replace(self._info, clock_s=max(CLOCK_FLOOR_S, sigma_s))

    def read(self) -> list[Sample]:
        """Wait up to about one refresh for samples; raises SourceLost when link, clock or meter fail."""
        if self._channel is None or self._info is None:
            raise SourceLost(f"the link to {self._where} is not open", "open it first")
        samples, self._pending = self._pending, []
        if samples:
            return samples
        try:
            samples = self._take(max(self._info.info.refresh_s, WAIT_S))
        except (WireError, ClockJumped) as error:
            raise SourceLost(f"{self._where}: {error.reason}", error.fix) from None
        if self._clock.sigma_s > max(1e-3, 3 * self._info.clock_s):
            known = self._clock.sigma_s * 1e3
            raise SourceLost(
                f"the clock of {self._where} is no longer known to better than {known:.1f} ms", "try again"
            )
        return samples

    def close(self) -> None:
        """Close the link."""
        channel, self._channel = self._channel, None
        if channel is not None:
            with contextlib.suppress(OSError):
                channel.sock.close()

    def _take(self, wait_s: float) -> list[Sample]:
        """Send a time exchange when one is due, and take what comes within a time."""
        channel = self._channel
        if channel is None:
            raise WireError("the link is not open")
        now = time.monotonic_ns()
        if self._sent and now - min(self._sent.values()) > LINK_S * 1e9:
            raise WireError(f"nothing has come over the link for {LINK_S:g} s", "check the network")
        if now >= self._ping_due:
            self._pings += 1
            self._sent[self._pings] = time.monotonic_ns()
            channel.send({"ping": self._pings})
            quick = self._pings < FIRST_PINGS
            self._ping_due = now + int((FIRST_PING_S if quick else PING_S) * 1e9)
        wait_s = min(wait_s, (self._ping_due - now) / 1e9)
        messages, self._unread, arrival_ns = self._unread, [], now
        if not messages:
            messages, arrival_ns = channel.receive(wait_s)
        samples: list[Sample] = []
        for message in messages:
            if "pong" in message:
                self._pong(message, arrival_ns)
            elif "samples" in message:
                samples += self._samples(message["samples"], arrival_ns)
            elif "lost" in message:
                raise WireError(f"the meter there is lost: {text(message['lost'])}", "see the other machine")
            else:
                raise WireError("the probe server says something unknown", "use the same version on both machines")
        return samples

    def _pong(self, message: dict[str, Any], arrival_ns: int) -> None:
        sent_ns = self._sent.pop(whole(message["pong"]), None)
        if sent_ns is None:
            raise WireError("the probe server answers an exchange that was not made")
        self._clock.add(exchange(sent_ns, whole(message.get("at")), whole(message.get("sent")), arrival_ns))

    def _samples(self, raw: object, arrival_ns: int) -> list[Sample]:
        if not isinstance(raw, list):
            raise WireError("a message holds no samples")
        if arrival_ns - self._counted_from > 1_000_000_000:
            self._counted, self._counted_from = 0, arrival_ns
        self._counted += len(raw)
        if self._counted > MAX_RATE:
            raise WireError(f"the probe server sends more than {MAX_RATE} samples a second")
        if self._clock.sigma_s == float("inf"):
            return []  # before the first exchange no sample has a time
        ahead_ns = AHEAD_NS + 3 * self._clock.sigma_s * 1e9
        samples = []
        for item in raw:
            if not (isinstance(item, list) and len(item) == 3):
                raise WireError("a message holds no sound sample")
            t_ns = self._clock.ours_ns(whole(item[0]))
            if not arrival_ns - AGE_NS < t_ns < arrival_ns + ahead_ns:
                raise WireError("a sample has a time that cannot be: the other machine's clock was set")
            if t_ns <= self._last_ns:  # a refined fit may move times a little, never more
                if t_ns < self._last_ns - STEP_BACK_NS:
                    raise WireError("the samples are out of order")
                t_ns = self._last_ns + 1
            self._last_ns = t_ns
            samples.append(Sample(t_ns, real(item[1]), None if item[2] is None else real(item[2])))
        return samples
