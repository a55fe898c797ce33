"""Runs a command on a swarm's node and writes to standard output what the launcher reads. Standard library only.

Like `peek`, its text is run by a service's container (`python3 -c TEXT REQUEST`), so that the image need not be of the
launcher's version. A service's log reaches the launcher through other machines that may drop or repeat lines. So each
line is one JSON object with a number or a checksum of its own, and what the command wrote is kept in the node's cache
until it is asked for again:

    {"say": 7, "text": "…"}                        the eighth line of the command's standard error
    {"part": 2, "crc": …, "data": "…"}             the third piece of its standard output (base64 of zlib of all)
    {"code": 0, "parts": 9, "size": …, "sha256": "…", "memory": false}      the end: exit code, what it all must be
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

PART_BYTES = 6144  # 8192 in base64: engines cut lines of their logs at 16 KiB
LINE = 2000  # of a line of progress; in JSON up to six times as long
KEPT_S = 14 * 86_400


def main(request: dict[str, object]) -> int:
    """Run the command, or send again what an earlier one wrote."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _Told.handle)
    kept = str(request.get("keep") or "")
    parts = request.get("parts")
    if request.get("command") is None:
        return _again(Path(kept), parts if isinstance(parts, list) else None)
    target = Path(kept) if kept else Path(tempfile.gettempdir()) / "stdout"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if kept:
            _forget_old(target.parent)
        output = target.open("w+b")
    except OSError as error:
        _line(say=0, text=f"edgebench: {target}: cannot be made ({error.strerror}): the node's disk may be full")
        _end(b"", 2, [], memory=False)
        return 2
    with output:
        code = _run(request["command"], output)
        with contextlib.suppress(OSError):  # of a full disk the command has told itself
            os.fsync(output.fileno())
            if kept:
                Path(f"{kept}.code").write_text(str(code), encoding="ascii")
    _send(target.read_bytes(), code, None)
    return code


class _Told:
    """The signal that came, if one did; the command gets it too.

    Only the first: an engine that ends asks twice, for the service's task and for the container, and the second one
    would interrupt the command in writing its partial report.
    """

    number = 0
    child: subprocess.Popen[bytes] | None = None

    @classmethod
    def handle(cls, number: int, _frame: object) -> None:
        if cls.number:
            return
        cls.number = number
        if cls.child is not None:
            cls.child.send_signal(number)


def _run(command: object, output: object) -> int:
    """Return the exit code of the command as a shell has it; its standard error goes on, line by line."""
    assert isinstance(command, list)  # noqa: S101  # for the type checker
    child = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)  # type: ignore[call-overload]
    _Told.child = child
    if _Told.number:
        child.terminate()

    def told() -> None:
        for index, line in enumerate(child.stderr):
            _line(say=index, text=line.decode(errors="replace").rstrip("\n")[:LINE])

    reader = threading.Thread(target=told)
    reader.start()
    code: int = child.wait()
    reader.join(10)
    return 128 - code if code < 0 else code


def _again(target: Path, parts: list[int] | None) -> int:
    try:
        code = int(Path(f"{target}.code").read_text(encoding="ascii"))
        content = target.read_bytes()
    except (OSError, ValueError):
        return 3  # the command never ended, or was no command of this node
    _send(content, code, parts)
    return 0


def _send(content: bytes, code: int, parts: list[int] | None) -> None:
    packed = zlib.compress(content, 6)
    pieces = [packed[start : start + PART_BYTES] for start in range(0, len(packed), PART_BYTES)]
    for index, piece in enumerate(pieces):
        if parts is None or index in parts:
            _line(part=index, crc=zlib.crc32(piece), data=base64.b64encode(piece).decode())
    _end(content, code, pieces, memory=_out_of_memory())


def _end(content: bytes, code: int, pieces: list[bytes], *, memory: bool) -> None:
    digest = hashlib.sha256(content).hexdigest()
    _line(code=code, parts=len(pieces), size=len(content), sha256=digest, memory=memory)


def _line(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def _out_of_memory() -> bool:
    """Whether the kernel killed something in this container for lack of memory."""
    for name in ("memory.events", "memory/memory.oom_control"):
        try:
            words = Path("/sys/fs/cgroup", name).read_text(encoding="ascii").split()
        except OSError:
            continue
        return "oom_kill" in words and words[words.index("oom_kill") + 1] != "0"
    return False


def _forget_old(folder: Path) -> None:
    """Remove what nobody asked for in two weeks."""
    for path in folder.iterdir():
        try:
            if time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()
        except OSError:
            continue


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
