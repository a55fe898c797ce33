"""The journal of a session: what is finished stays finished, even through `kill -9` or a full disk.

A text file of JSON lines, one record a line, each with the CRC-32 of its text::

    {"crc":"1c291ca3","record":{"type":"journal","format":"edgebench.journal/2","key":"<plan digest>"}}

A record is on the disk (fsync) when `append` returns. A last line that was torn by a kill is cut off; a damaged line
before it means the file was changed by something else, and is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgebench.errors import ReportError

FORMAT = "edgebench.journal/2"
MAX_BYTES = 512 * 2**20
_START = b'{"crc":"'
_LINE = re.compile(_START + rb'([0-9a-f]{8})","record":(.*)\}')


class Journal:
    """An open, locked journal. Use `Journal.open`; `path` is its file, `resumed` tells whether it held records."""

    def __init__(self, path: Path, fd: int, records: list[dict[str, Any]], end: int) -> None:
        self.path = path
        self.resumed = bool(records)
        self._fd: int | None = fd
        self._records = records
        self._end = end

    @classmethod
    def open(cls, path: Path, key: str) -> Self:
        """Open or create the journal at `path` for the plan whose digest is `key`, and lock it.

        Raises ReportError when another process has it open, when it belongs to another plan, when it is damaged
        and when the file cannot be opened or written.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ReportError(
                f"The journal {path} cannot be opened ({error.strerror}); name a writable folder with -o."
            ) from None
        try:
            return cls._opened(path, fd, key)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def _opened(cls, path: Path, fd: int, key: str) -> Self:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReportError(
                f"Another edgebench is writing the journal {path}; wait for it to end or name another report with -o."
            ) from None
        except OSError as error:
            raise ReportError(
                f"The journal {path} cannot be locked ({error.strerror}); name a report on a local disk with -o."
            ) from None
        status = os.fstat(fd)
        size = status.st_size
        if status.st_nlink == 0:  # its session ended, and removed it, between our opening and our locking
            raise ReportError(f"Another edgebench has just finished with the journal {path}; start again.")
        if size > MAX_BYTES:
            raise ReportError(f"{path} is too large for a journal ({size} bytes); remove it and start again.")
        records, end = _parse(_read(fd, size), path)
        head = records.pop(0) if records else None
        if head is not None and (head.get("type") != "journal" or head.get("format") != FORMAT):
            raise ReportError(
                f"{path} is no journal of this edgebench ({str(head.get('format'))[:40]!r}, it writes {FORMAT!r}); "
                "move it away and start again, or name another report with -o."
            )
        if head is not None and head.get("key") != key:
            raise ReportError(
                f"The journal {path} belongs to another plan (other suite, options or data); "
                "remove it to start again, or resume with what it was started with."
            )
        journal = cls(path, fd, records, end)
        if end != size:
            journal._cut()
        if head is None:
            journal._write({"type": "journal", "format": FORMAT, "key": key})
        return journal

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record, a JSON object; it is on the disk when this returns.

        Raises ReportError when it cannot be written (the journal then still holds all earlier records), and
        ValueError or TypeError for a record that is not JSON.
        """
        self._write(record)
        self._records.append(dict(record))

    def records(self) -> list[dict[str, Any]]:
        """Return all records in order, those of earlier sessions first."""
        return list(self._records)

    def close(self) -> None:
        """Close the file and give up the lock. Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def remove(self) -> None:
        """Delete the journal, once its report is written; the lock is held until the file is gone."""
        self.path.unlink(missing_ok=True)
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, record: Mapping[str, Any]) -> None:
        line = _line(record)
        if self._fd is None:
            raise ReportError(f"The journal {self.path} is closed; open it again to add a record.")
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(self._fd, line[written:], self._end + written)
            os.fsync(self._fd)
        except OSError as error:
            self._cut()
            raise ReportError(
                f"The journal {self.path} cannot be written ({error.strerror}); what was measured before is kept: "
                "free space and go on with --resume."
            ) from None
        self._end += len(line)

    def _cut(self) -> None:
        """Take off a half-written line, so that the file is whole records again."""
        if self._fd is not None:
            with contextlib.suppress(OSError):  # the next opening cuts it again
                os.ftruncate(self._fd, self._end)


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(dict(record), ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    return b'{"crc":"%08x","record":%s}\n' % (zlib.crc32(text), text)


def _parse(content: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the whole records and where they end; only the last line may be torn."""
    records: list[dict[str, Any]] = []
    end = 0
    if not _START.startswith(content[: len(_START)]):  # a torn first line still starts as ours do
        raise ReportError(f"{path} is no journal of edgebench; move it away or name another report with -o.")
    lines = content.split(b"\n")
    for number, line in enumerate(lines, 1):
        record = _record(line) if number < len(lines) else None
        if record is None:
            if any(lines[number:]):
                raise ReportError(f"The journal {path} is damaged at line {number}; remove it and start again.")
            break
        records.append(record)
        end += len(line) + 1
    return records, end


def _record(line: bytes) -> dict[str, Any] | None:
    found = _LINE.fullmatch(line)
    if found is None or int(found[1], 16) != zlib.crc32(found[2]):
        return None
    try:
        record = json.loads(found[2])
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _read(fd: int, size: int) -> bytes:
    content = bytearray()
    while chunk := os.pread(fd, size, len(content)):
        content += chunk
    return bytes(content)
