"""Files and folders that last as long as their process: each is locked, so that what a killed one left is known.

The lock (flock) is the kernel's: it ends with the process however that ends, and is the same in every container.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

SCRATCH = "edgebench-run-"


@contextlib.contextmanager
def claimed_folder(parent: Path, prefix: str, mode: int = 0o777) -> Iterator[Path]:
    """Give a new folder in `parent` that is removed at the end of the block, unless it was moved.

    Raises OSError when it cannot be made.
    """
    while True:
        folder = parent / f"{prefix}{uuid.uuid4().hex[:12]}"
        folder.mkdir(mode)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if claim(fd, folder):
            break
        os.close(fd)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(fd)


def claim(fd: int, path: Path) -> bool:
    """Lock what was just made; False when a sweep was faster, and it is to be made again."""
    with contextlib.suppress(OSError):  # a file system without locks has no sweep either
        fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        return os.path.samestat(os.fstat(fd), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def sweep(parent: Path, prefix: str) -> None:
    """Remove what dead processes of this user left in a folder under a prefix."""
    with contextlib.suppress(OSError):
        for path in [path for path in parent.iterdir() if path.name.startswith(prefix)]:
            with contextlib.suppress(OSError):
                _remove_unclaimed(path)


def _remove_unclaimed(path: Path) -> None:
    """Remove a file or folder of this user that nobody has locked. Raises OSError for any other."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if os.fstat(fd).st_uid != os.getuid():
            return
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    finally:
        os.close(fd)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder for temporary files, swept up after a kill when the next session starts."""
    with claimed_folder(Path(tempfile.gettempdir()), SCRATCH, 0o700) as folder:
        yield folder


def sweep_scratch() -> None:
    """Remove the temporary files of killed sessions."""
    sweep(Path(tempfile.gettempdir()), SCRATCH)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock during the block; False where another process has it. Raises OSError where it is not there.

    Reading is right enough to lock a folder, so that every user of a container can.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)
