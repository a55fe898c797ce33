"""Arrays that a user brings for a model's inputs, in .npy and .npz files: read within bounds, never unpickled."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.backends.feeds import Calibration, Feed
from edgebench.backends.inputs import MAX_INPUT_BYTES, shape_text
from edgebench.errors import UsageError

if TYPE_CHECKING:
    from edgebench.backends.base import Array

SUFFIXES = (".npy", ".npz")
# Samples of one file, of all its arrays.
_MOST_BYTES = MAX_INPUT_BYTES


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content; raises UsageError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): check name and permissions") from None


def read_arrays(path: Path) -> dict[str, Array]:
    """Return a file's arrays by name, ``*`` of a .npy file. Raises UsageError in one sentence."""
    import numpy as np

    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
        else:
            size = path.stat().st_size
        if size > _MOST_BYTES:
            raise UsageError(f"{path}: holds more than {_MOST_BYTES >> 30} GiB: give fewer samples")
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"*": found}
        with found as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror or 'it is damaged'}): check name and permissions"
        ) from None
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, MemoryError):
        raise UsageError(f"{path}: holds no arrays of numbers: write it with numpy.save or numpy.savez") from None


def samples_in(arrays: dict[str, Array], name: str, *, only: bool, where: Path) -> Array:
    """Return what a file holds for the input `name`; one array will do where a name is not needed.

    `only`: the model has no other input. Raises UsageError.
    """
    if name in arrays:
        return arrays[name]
    if "*" in arrays or (only and len(arrays) == 1):
        return next(iter(arrays.values()))
    listed = ", ".join(map(repr, arrays)) or "nothing"
    raise UsageError(f"{where}: holds {listed}, and no array called {name!r}: save it under the input's name")


def fitted(array: Array, feed: Feed, where: Path, rows: int | None = None) -> Array:
    """Return samples [n, *shape] in the input's type; UsageError where shape, type or values do not fit.

    A sample has the input's shape. Where that is of a batch of one, the first axis may hold several samples, or be
    missing. `rows` is the size of a table that the input indexes.
    """
    import numpy as np

    what = f"{where}: input {feed.name!r}"
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{what} takes {feed.dtype}, and the file holds {array.dtype}: save numbers")
    shape, one = feed.shape, feed.shape[:1] == (1,)
    if array.shape == shape or (one and array.shape == shape[1:]):
        samples = array.reshape(1, *shape)
    elif one and array.ndim == len(shape) and array.shape[1:] == shape[1:] and len(array):
        samples = array.reshape(len(array), *shape)
    elif array.ndim == len(shape) + 1 and array.shape[1:] == shape and len(array):
        samples = array
    else:
        raise UsageError(
            f"{what} takes {shape_text(shape)}, and the file holds {shape_text(array.shape)}: "
            "save samples of the input's shape, or give that of the samples with --shape"
        )
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise UsageError(f"{what}: the file holds NaN or infinity: save finite numbers")
    wanted = np.dtype(feed.dtype)
    if wanted.kind in "iub" and samples.dtype.kind == "f":
        raise UsageError(f"{what} takes {feed.dtype}, and the file holds {samples.dtype}: convert it first")
    low, high = samples.min(), samples.max()
    if wanted.kind in "iu" and not np.iinfo(wanted).min <= int(low) <= int(high) <= np.iinfo(wanted).max:
        raise UsageError(f"{what} takes {feed.dtype}, and the file holds {low} to {high}: convert it first")
    if rows is not None and not 0 <= int(low) <= int(high) < rows:
        raise UsageError(f"{what} indexes a table of {rows} rows, and the file holds {low} to {high}")
    return samples.astype(wanted)


def read_feed(feed: Feed, *, only: bool) -> Array:
    """Return the samples of a feed's file; UsageError where it is no longer what was checked."""
    path = Path(str(feed.file))
    if digest_of_file(path) != feed.digest:
        raise UsageError(f"{path}: was changed since the session began: start again")
    return fitted(samples_in(read_arrays(path), feed.name, only=only, where=path), feed, path)


def read_sample_file(path: Path, feeds: Sequence[Feed], rows: Sequence[int | None] = ()) -> list[dict[str, Array]]:
    """Return the samples of one file of a calibration folder, each with an array an input. Raises UsageError."""
    arrays = read_arrays(path)
    if "*" in arrays and len(feeds) > 1:
        names = ", ".join(repr(feed.name) for feed in feeds)
        raise UsageError(f"{path}: holds one array, and the model has {len(feeds)} inputs: save {names} in a .npz file")
    found = {}
    for feed, limit in zip(feeds, rows or [None] * len(feeds), strict=True):
        array = samples_in(arrays, feed.name, only=len(feeds) == 1, where=path)
        found[feed.name] = fitted(array, feed, path, limit)
    counts = {name: len(samples) for name, samples in found.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} for {name!r}" for name, count in counts.items())
        raise UsageError(f"{path}: holds {listed}: give every input as many samples")
    return [{name: samples[index] for name, samples in found.items()} for index in range(min(counts.values()))]


def read_calibration(given: Calibration, feeds: Sequence[Feed]) -> list[dict[str, Array]]:
    """Return the samples of a folder that was checked; UsageError where it is no longer the same."""
    folder = Path(given.folder)
    if folder_digest(folder, given.files) != given.digest:
        raise UsageError(f"{folder}: was changed since the session began: start again")
    return [sample for name in given.files for sample in read_sample_file(folder / name, feeds)]


def folder_digest(folder: Path, files: Sequence[str]) -> str:
    """Return the SHA-256 over names and contents. Raises UsageError."""
    total = hashlib.sha256()
    for name in files:
        total.update(f"{name}\0{digest_of_file(folder / name)}\0".encode())
    return total.hexdigest()
