"""Simulated plugs (HTTP on loopback) and a simulated Yokogawa WT310 (SCPI on a TCP socket)."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.simulators.meters.bench import Wave


class Network:
    """A server with a wave and a fault."""

    def __init__(self, wave: Wave) -> None:
        self.wave, self.fault = wave, "ok"
        self.password = ""
        self.seen: list[str] = []

    def power(self) -> float:
        return self.wave.power(time.monotonic())

    def answer(self, path: str) -> Any:
        """Body of a plug's answer."""
        watts = round(self.power(), 1)
        if path.startswith("/meter/"):
            return {"power": watts, "is_valid": True, "timestamp": 1, "counters": [1.0, 1.0, 1.0], "total": 7}
        if path.startswith("/rpc/Switch.GetStatus?id="):
            return {"id": 0, "output": True, "apower": watts, "voltage": 231.1, "aenergy": {"total": 12.3}}
        if path.startswith("/cm?cmnd=Status%208"):
            return {"StatusSNS": {"Time": "2024-01-01T00:00:00", "ENERGY": {"Total": 1.2, "Power": round(watts)}}}
        return None

    def scpi(self, line: str) -> str | None:
        """Answer of the analyser, None: a command without one."""
        self.seen.append(line)
        if line == "*IDN?":
            return "YOKOGAWA,WT310,C2RA01001V,F1.04"
        if line == ":NUMERIC:NORMAL:VALUE?":
            return {"ok": f"{self.power():.4E}", "range": "INF", "blank": "NAN"}[self.fault]
        return None


@contextlib.contextmanager
def plug(device: Network) -> Iterator[str]:
    """Serve a plug; gives HOST:PORT."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            device.seen.append(self.path)
            body = device.answer(self.path)
            data = {"ok": json.dumps(body), "garbage": "{]", "huge": "9" * 70_000, "absent": "no"}[
                device.fault
            ].encode()
            denied = device.password and device.password not in (self.headers["Authorization"] or "") + self.path
            self.send_response(401 if denied else 404 if device.fault == "absent" else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address


@contextlib.contextmanager
def analyser(device: Network) -> Iterator[str]:
    """Serve a WT310; gives HOST:PORT."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                answer = device.scpi(line.decode().strip())
                if device.fault == "hangup":
                    return
                if answer is not None:
                    self.wfile.write(answer.encode() + b"\n")

    with running(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as address:
        yield address


@contextlib.contextmanager
def running(server: socketserver.TCPServer) -> Iterator[str]:
    if isinstance(server, socketserver.ThreadingMixIn):
        server.daemon_threads = True
        server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        host, port = server.server_address[:2]
        yield f"{host!s}:{port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(2)
