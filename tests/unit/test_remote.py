"""A meter on another machine: its clock, its token, and every way the link can fail, between two processes."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.meters.bench import Wave

from edgebench_probes.base import ProbeError, WindowInvalid
from edgebench_probes.meters import METERS
from edgebench_probes.remote.clock import ClockJumped, LinkClock, exchange
from edgebench_probes.remote.server import GREETING, info_from, info_to
from edgebench_probes.remote.source import RemoteSource, serve
from edgebench_probes.remote.wire import NONCE, Channel, Decoder, WireError, encode, exactly, link_key
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import Sample, Source, SourceInfo, SourceLost
from edgebench_probes.spec import parse_spec

pytestmark = pytest.mark.quiet

ROOT = Path(__file__).parents[2]
WAVE = Wave(2.0, 9.0, 0.5)


class Server:
    """The serving process."""

    def __init__(self, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        command = [*prefix, sys.executable, "-m", "tests.simulators.meters.serving", *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.address = "" if "--wait" in arguments else self.heard()

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def start(*arguments: str, prefix: tuple[str, ...] = ()) -> Server:
        running.append(Server(*arguments, prefix=prefix))
        return running[-1]

    yield start
    for one in running:
        one.end()


def remote(address: str, options: str = "") -> RemoteSource:
    source = METERS["tcp"](parse_spec(f"tcp://{address}{options}"))
    assert isinstance(source, RemoteSource)
    return source


def take(source: Source, seconds: float) -> list[Sample]:
    samples: list[Sample] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        samples += source.read()
    return samples


def lost(source: Source, seconds: float = 6.0) -> str:
    with pytest.raises(SourceLost) as caught:
        take(source, seconds)
    return caught.value.reason


def test_another_machines_clock_is_taken_out_of_the_samples(server: Callable[..., Server]) -> None:
    source = remote(server("--offset", "-86400.25", "--drift", "200").address)
    source.open()
    samples = take(source, 3.0)
    info = source.describe()
    source.close()
    assert len(samples) > 250
    assert 0 < info.clock_s < 0.005
    assert info.device_clock
    assert "via tcp://127.0.0.1" in info.info.source
    # The wave's edges are known on our clock: a sample within an edge and its own delivery may be on either side.
    wrong = 0
    for sample in samples:
        at_s = sample.t_ns / 1e9
        near = abs((at_s / WAVE.period_s * 2 + 0.5) % 1 - 0.5) * WAVE.period_s / 2 < 0.012
        wrong += not near and sample.power_w != pytest.approx(WAVE.power(at_s), rel=1e-3)
    assert wrong <= len(samples) // 100
    assert all(a.t_ns < b.t_ns for a, b in itertools.pairwise(samples))


def test_windows_of_a_remote_meter_are_right_or_invalid(server: Callable[..., Server]) -> None:
    first = server("--offset", "1234.5", "--drift", "-80")
    port = first.address.split(":")[1]
    with SampledProbe(remote(first.address)) as probe:
        time.sleep(0.6)
        start = probe.mark()
        time.sleep(0.9)
        end = probe.mark(sync=False)
        energy = probe.energy(start, end)
        truth = WAVE.energy(start.t_ns / 1e9, end.t_ns / 1e9)
        assert energy.energy_j == pytest.approx(truth, rel=0.03)
        assert abs(energy.energy_j - truth) < 4 * energy.uncertainty_j
        assert energy.parts["clock"] > 0

        start = probe.mark()
        time.sleep(0.2)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        time.sleep(0.3)
        with pytest.raises(WindowInvalid, match="lost"):
            probe.energy(start, probe.mark(sync=False))
        server("--listen", f"127.0.0.1:{port}", "--offset", "-77")
        deadline = time.monotonic() + 10
        while True:
            try:
                start = probe.mark()
                time.sleep(0.5)
                end = probe.mark(sync=False)
                energy = probe.energy(start, end)
                break
            except WindowInvalid:
                assert time.monotonic() < deadline
        assert energy.energy_j == pytest.approx(WAVE.energy(start.t_ns / 1e9, end.t_ns / 1e9), rel=0.05)


def test_a_clock_that_is_set_a_meter_that_is_pulled_and_a_link_that_stalls(server: Callable[..., Server]) -> None:
    running = server()
    source = remote(running.address)
    source.open()
    assert take(source, 0.3)
    running.say("clock 0.5")
    assert "clock" in lost(source)
    source.close()

    source.open()
    assert take(source, 0.3)
    running.process.send_signal(signal.SIGSTOP)
    assert "nothing has come over the link" in lost(source)
    running.process.send_signal(signal.SIGCONT)
    source.close()

    time.sleep(0.5)
    source.open()
    assert take(source, 0.3)
    running.say("unplug")
    assert "the meter there is lost: the meter at" in lost(source)
    source.close()
    with pytest.raises(ProbeError, match=r"has no meter: .* does not exist"):
        source.open()


def test_one_client_at_a_time_and_the_next_one_after_it(server: Callable[..., Server]) -> None:
    address = server().address
    first, second = remote(address), remote(address)
    first.open()
    with pytest.raises(ProbeError, match="another client"):
        second.open()
    first.close()
    time.sleep(0.5)
    second.open()
    assert take(second, 0.2)
    second.close()


def test_the_token_is_proved_and_never_sent(
    server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, wrong, short = tmp_path / "right", tmp_path / "wrong", tmp_path / "short"
    right.write_text(secrets.token_hex(16) + "\n", encoding="utf-8")
    wrong.write_text(secrets.token_hex(16) + "\n", encoding="utf-8")
    short.write_text("secret", encoding="utf-8")
    address = server("--token-file", str(right)).address
    for options in ("", f"?token_file={wrong}"):
        with pytest.raises(ProbeError, match="shared token"):
            remote(address, options).open()
    monkeypatch.setenv("EDGEBENCH_PROBE_TOKEN", right.read_text(encoding="utf-8"))
    sent: list[bytes] = []
    real = socket.socket.sendall

    def sendall(sock: socket.socket, data: bytes) -> None:
        sent.append(bytes(data))
        real(sock, data)

    monkeypatch.setattr(socket.socket, "sendall", sendall)
    source = remote(address)
    source.open()
    assert take(source, 0.2)
    source.close()
    token = right.read_text(encoding="utf-8").strip().encode()
    assert sent
    assert token not in b"".join(sent)
    for options, says in (
        (f"?token_file={short}", "shorter"),
        ("?token=x", "token_file=FILE"),
        ("?token_file=/no", "read"),
    ):
        with pytest.raises(ProbeError, match=says):
            remote(address, options)


@pytest.mark.parametrize(
    ("listen", "token", "says"),
    [
        ("0.0.0.0:0", None, "there is no token"),
        ("[::]:0", None, "there is no token"),
        ("0.0.0.0:0", "short", "shorter than 16"),
        ("nowhere", None, "is no address"),
        ("127.0.0.1:99999", None, "is no address"),
    ],
)
def test_it_listens_beyond_loopback_with_a_token_only(listen: str, token: str | None, says: str) -> None:
    with pytest.raises(ProbeError, match=says):
        serve(METERS["yzx"](parse_spec("yzx:/dev/none")), listen, token)


@pytest.mark.parametrize("address", ["//host", "//:8765", "host:1", "//host:port", "//host:99999"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ProbeError, match="tcp://HOST:PORT"):
        METERS["tcp"](parse_spec(f"tcp:{address}"))


def test_garbage_does_not_stop_the_server(server: Callable[..., Server]) -> None:
    address = server().address
    host, port = address.split(":")
    for data in (
        b"",
        b"GET / HTTP/1.1\r\n\r\n" + bytes(80),
        os.urandom(5000),
        b"\xff" * 40,
        bytes(NONCE) + b"\xff" * 4,
    ):
        with socket.create_connection((host, int(port)), 2) as sock:
            assert exactly(sock, len(GREETING), 2) == GREETING
            with contextlib.suppress(OSError):
                sock.sendall(data)
    source = remote(address)
    source.open()
    assert take(source, 0.2)
    source.close()


# The frames


KEY = link_key("a token of sixteen or more", bytes(NONCE), bytes(NONCE))
values = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
messages = st.dictionaries(st.text(max_size=8), values, max_size=5)


@given(st.lists(messages, max_size=5), st.lists(st.integers(1, 60), min_size=1, max_size=9))
def test_messages_arrive_whole_and_in_order(sent: list[dict[str, Any]], cuts: list[int]) -> None:
    stream = b"".join(encode(message, KEY, b"s", number) for number, message in enumerate(sent))
    decoder, got, at = Decoder(KEY, b"s"), [], 0
    for cut in itertools.cycle(cuts):
        if at >= len(stream):
            break
        got += decoder.feed(stream[at : at + cut])
        at += cut
    assert got == json.loads(json.dumps(sent))


@given(st.binary(max_size=300))
def test_a_stream_of_anything_raises_one_error_only(data: bytes) -> None:
    decoder = Decoder(KEY, b"s")
    with contextlib.suppress(WireError):
        assert decoder.feed(data) == []


@given(st.data())
def test_a_frame_changed_repeated_left_out_or_turned_round_is_refused(data: st.DataObject) -> None:
    frames = [encode({"ping": number}, KEY, b"c", number) for number in range(3)]
    how = data.draw(st.sampled_from(["change", "repeat", "drop", "turn", "key"]))
    if how == "change":
        at = data.draw(st.integers(4, len(frames[0]) - 1))
        frames[0] = frames[0][:at] + bytes([frames[0][at] ^ data.draw(st.integers(1, 255))]) + frames[0][at + 1 :]
    elif how == "repeat":
        frames.insert(1, frames[0])
    elif how == "drop":
        del frames[1]
    decoder = Decoder(bytes(32) if how == "key" else KEY, b"s" if how == "turn" else b"c")
    with pytest.raises(WireError):
        decoder.feed(b"".join(frames))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(["samples", "pong", "at", "sent", "lost", "info", "refused", "fix", "name", "scope", "notes"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, anything, max_size=4))
def test_a_server_that_says_anything_loses_the_source_and_nothing_else(message: dict[str, Any]) -> None:
    source = remote("127.0.0.1:1")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        source._channel = Channel(ours, KEY, b"c")
        source._clock.add(exchange(0, 0, 0, 10))
        source._ping_due = 2**62
        theirs.sendall(encode(message, KEY, b"s", 0))
        with contextlib.suppress(WireError, ClockJumped):
            for sample in source._take(0.0):
                assert math.isfinite(sample.power_w)
    with contextlib.suppress(WireError):
        assert info_from(message).info.refresh_s > 0


def test_what_a_meter_is_survives_the_link() -> None:
    info = METERS["scpi"](parse_spec("scpi:TCPIP::h::INSTR")).describe()
    assert info_from(json.loads(json.dumps(info_to(info)))) == info


def test_too_many_samples_are_refused() -> None:
    source = remote("127.0.0.1:1")
    source._clock.add(exchange(0, 0, 0, 10))
    now = time.monotonic_ns()
    source._counted_from = now
    rows = [[now - 10**6 + index, 1.0, None] for index in range(20_001)]
    with pytest.raises(WireError, match="more than"):
        source._samples(rows, now)
    with pytest.raises(WireError, match="out of order"):
        source._samples([[now, 1.0, None], [now - 10**8, 1.0, None]], now + 2_000_000_000)


# The clock


@settings(max_examples=30, deadline=None)
@given(
    offset_s=st.floats(-1e5, 1e5),
    drift=st.floats(-2e-4, 2e-4),
    seed=st.lists(st.floats(1e-5, 3e-3), min_size=120, max_size=120),
)
def test_the_offset_is_known_within_its_bound_whatever_the_delays(
    offset_s: float, drift: float, seed: list[float]
) -> None:
    clock = LinkClock()

    def theirs(ours_ns: float) -> int:
        return round(ours_ns * (1 + drift) + offset_s * 1e9)

    for number in range(60):
        sent = number * 5e8
        received = sent + seed[2 * number] * 1e9
        returned = received + 2e4 + seed[2 * number + 1] * 1e9
        clock.add(exchange(round(sent), theirs(received), theirs(received + 2e4), round(returned)))
        probe = returned + 2e8
        error_s = abs(clock.ours_ns(theirs(probe)) - probe) / 1e9
        assert error_s <= 3 * clock.sigma_s
        assert clock.sigma_s < 0.01


def test_a_step_of_the_other_clock_is_seen() -> None:
    clock = LinkClock()
    for number in range(20):
        clock.add(exchange(number * 10**9, number * 10**9 + 10**5, number * 10**9 + 10**5, number * 10**9 + 2 * 10**5))
    at = 20 * 10**9
    with pytest.raises(ClockJumped, match=r"jumped by 0\.0050"):
        clock.add(exchange(at, at + 5_100_000, at + 5_100_000, at + 200_000))
    with pytest.raises(ClockJumped, match="contradicts"):
        exchange(10, 5, 4, 20)


class Endless(Source):
    """A meter that breaks in a way of its own."""

    def describe(self) -> SourceInfo:
        return METERS["yzx"](parse_spec("yzx:/dev/none")).describe()

    def open(self) -> None:
        """Nothing to take."""

    def read(self) -> list[Sample]:
        raise RuntimeError("driver\nbug")

    def close(self) -> None:
        """Nothing to give."""


def test_a_driver_that_breaks_is_a_lost_meter_and_no_lost_server() -> None:
    heard: list[str] = []
    stop, up = threading.Event(), threading.Event()

    def ready(address: str, _info: SourceInfo) -> None:
        heard.append(address)
        up.set()

    thread = threading.Thread(target=serve, args=(Endless(), "0"), kwargs={"ready": ready, "stop": stop}, daemon=True)
    thread.start()
    assert up.wait(5)
    for _ in range(2):
        source = remote(heard[0])
        with pytest.raises(ProbeError, match="the meter there is lost: RuntimeError: driver bug"):
            source.open()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


# Across a network


def _veth() -> str | None:
    """Why no two network namespaces can be joined here, or None."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "ip", "nsenter"))):
        return "needs root, unshare, ip and nsenter"
    done = subprocess.run(
        ["unshare", "-n", "ip", "link", "add", "eb0", "type", "veth"], capture_output=True, check=False
    )
    return None if done.returncode == 0 else "no veth pair can be made here"


@pytest.mark.skipif(_veth() is not None, reason=_veth() or "")
def test_across_two_network_namespaces_and_a_cable_that_is_pulled(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(16), encoding="utf-8")
    running = server(
        "--wait", "--listen", "10.213.7.2:8765", "--token-file", str(token), "--offset", "50", prefix=("unshare", "-n")
    )
    pid, name = running.process.pid, f"eb{os.getpid() % 100_000}"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True)

    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run("ip", "link", "add", name, "type", "veth", "peer", "name", "eb0", "netns", str(pid))
    try:
        run("ip", "address", "add", "10.213.7.1/30", "dev", name)
        run("ip", "link", "set", name, "up")
        for command in (("address", "add", "10.213.7.2/30", "dev", "eb0"), ("link", "set", "eb0", "up")):
            run("nsenter", "-t", str(pid), "-n", "ip", *command)
        running.say("go")
        address = running.heard()
        assert address == "10.213.7.2:8765"
        source = remote(address, f"?token_file={token}")
        source.open()
        assert take(source, 0.3)
        run("ip", "link", "set", name, "down")
        assert "nothing has come over the link" in lost(source)
        source.close()
    finally:
        run("ip", "link", "del", name)
