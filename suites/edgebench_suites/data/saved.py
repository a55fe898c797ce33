"""A data set as one `.npz` file: what a board measures accuracy on needs no reader of its own there, only NumPy.

Arrays by the names of `Dataset`'s fields, the other fields as JSON text in the array `facts`; nothing is pickled.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from edgebench_suites.data.dataset import Dataset, arrays_digest
from edgebench_suites.errors import SuiteDataError

# CIFAR-10 has 184 MB unpacked; a file that claims far more is no data set of ours.
MAX_UNPACKED_BYTES = 4 * 2**30

# What zipfile and NumPy raise on a file that is not what it should be.
_FOREIGN = (
    ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, zlib.error, zipfile.BadZipFile,
    RuntimeError, SyntaxError,
)  # fmt: skip


def cache_folder() -> Path:
    """Return edgebench's cache folder: ``EDGEBENCH_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("EDGEBENCH_CACHE") or platformdirs.user_cache_dir("edgebench"))


def save_data(data: Dataset, path: Path) -> None:
    """Write a data set to `path`."""
    values = {part.name: getattr(data, part.name) for part in fields(data)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    facts = json.dumps({name: value for name, value in values.items() if name not in arrays})
    with path.open("wb") as stream:
        np.savez_compressed(stream, facts=np.array(facts), **arrays)  # type: ignore[arg-type]  # arrays, no options


def read_data(path: Path) -> Dataset:
    """Read what `save_data` wrote, with an equal digest. Raises SuiteDataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise SuiteDataError(f"{path}: would unpack to {unpacked >> 20} MiB, too much for a data set: is this one?")
        with np.load(path, allow_pickle=False) as stored:
            values: dict[str, Any] = {name: stored[name] for name in stored.files}
        values |= json.loads(str(values.pop("facts")))
        data = Dataset(**values)
        whole = _plausible(data) and data.digest == arrays_digest(
            data.train_images, data.train_labels, data.test_images, data.test_labels
        )
    except FileNotFoundError:
        raise SuiteDataError(f"{path}: there is no such file: name a data set that edgebench saved") from None
    except OSError as error:
        raise SuiteDataError(f"{path}: cannot be read ({error.strerror or error}): check the file") from None
    except _FOREIGN:
        whole = False
    if not whole:
        raise SuiteDataError(f"{path}: is no data set that edgebench saved, or was changed since: save it again")
    return data


def _plausible(data: Dataset) -> bool:
    """Tell whether types and shapes are those of a data set: a digest alone says only that nothing changed."""
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            return False
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            return False
        if labels.size and not (labels.min() >= 0 and labels.max() < data.classes):
            return False
    return isinstance(data.name, str) and isinstance(data.note, str)
