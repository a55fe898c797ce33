"""A plug's web server on loopback that answers as a test says, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.simulators.meters.network import running


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: the path with its query, and the header Authorization."""

    path: str
    authorization: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer: JSON, or text as it is."""

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def web(answer: Callable[[Request], Answer]) -> Iterator[str]:
    """Serve; gives HOST:PORT."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            said = answer(Request(self.path, self.headers["Authorization"] or ""))
            data = (said.body if isinstance(said.body, str) else json.dumps(said.body)).encode()
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address


class Locked:
    """A digest's other side (RFC 7616), written apart from the code under test; a nonce is good for some requests."""

    def __init__(self, password: str, body: Any, algorithm: str = "SHA-256", good_for: int = 3) -> None:
        self.password, self.body, self.algorithm, self.good_for = password, body, algorithm, good_for
        self.nonces: dict[str, set[str]] = {}
        self.challenges = 0

    def __call__(self, request: Request) -> Answer:
        """Answer a request with the body, or with a challenge."""
        said = dict(re.findall(r'(\w+)="?([^",]*)"?', request.authorization))
        if self._good(request.path, said):
            return Answer(self.body)
        self.challenges += 1
        nonce = secrets.token_hex(4)
        self.nonces[nonce] = set()
        offered = f'Digest qop="auth", realm="shellyplugsg3-aa", nonce="{nonce}", algorithm={self.algorithm}'
        return Answer("", 401, {"WWW-Authenticate": offered})

    def _good(self, path: str, said: dict[str, str]) -> bool:
        used = self.nonces.get(said.get("nonce", ""))
        if used is None or said["nc"] in used or len(used) >= self.good_for or said["uri"] != path:
            return False
        used.add(said["nc"])

        def hashed(text: str) -> str:
            return hashlib.new({"SHA-256": "sha256", "MD5": "md5"}[self.algorithm], text.encode()).hexdigest()

        first, second = hashed(f"admin:shellyplugsg3-aa:{self.password}"), hashed(f"GET:{path}")
        expected = hashed(f"{first}:{said['nonce']}:{said['nc']}:{said['cnonce']}:auth:{second}")
        return said["username"] == "admin" and said["response"] == expected
