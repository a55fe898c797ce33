"""CIFAR-10 from a local folder (Krizhevsky 2009), in its binary or Python version, running nothing from it."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench_suites.errors import SuiteDataError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    U8 = npt.NDArray[np.uint8]
    I64 = npt.NDArray[np.int64]

CLASSES = 10
PIXELS = 3 * 32 * 32
BATCHES = 5
# An official batch has 10,000 images of 3,073 bytes; ten times that is no CIFAR-10 batch.
MAX_BATCH_BYTES = 300_000_000
_FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
# Of the batches in cifar-10-python.tar.gz, as torchvision checks them (its own list).
_OFFICIAL_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def read_cifar10(folder: Path) -> tuple[U8, I64, U8, I64, str]:
    """Return train images [N, 3, 32, 32] and labels, test images and labels, and a note on the source.

    `folder` is one of the two unpacked archives or holds it. Raises SuiteDataError.
    """
    if not folder.is_dir():
        raise SuiteDataError(f"{folder}: is no folder: unpack CIFAR-10 (binary or Python version) and give its folder")
    for candidate in (folder / sub for sub in _FOLDERS):
        if (candidate / "data_batch_1.bin").is_file():
            return _read_all(candidate, ".bin", _binary_batch)
        if (candidate / "data_batch_1").is_file():
            return _read_all(candidate, "", _pickled_batch)
    raise SuiteDataError(
        f"{folder}: holds neither data_batch_1.bin nor data_batch_1, nor sub-folders of JPEG or PNG images: unpack "
        "CIFAR-10 (binary or Python version) there, give a folder of images, or leave --data out to use the digits"
    )


def _read_all(folder: Path, suffix: str, read: Callable[[bytes, Path], tuple[U8, I64]]) -> tuple[U8, I64, U8, I64, str]:
    train = []
    official = True
    parts = {}
    for name in (*(f"data_batch_{index}" for index in range(1, BATCHES + 1)), "test_batch"):
        path = folder / f"{name}{suffix}"
        raw = _read_bytes(path)
        official &= hashlib.md5(raw, usedforsecurity=False).hexdigest() == _OFFICIAL_MD5[name]
        parts[name] = read(raw, path)
    test_images, test_labels = parts.pop("test_batch")
    train = list(parts.values())
    version = "binary" if suffix else "Python"
    note = f"CIFAR-10, {version} version from a local folder"
    note += ", official digests" if official else ", digests not checked" if suffix else ", not the official digests"
    return (
        np.concatenate([images for images, _ in train]),
        np.concatenate([labels for _, labels in train]),
        test_images,
        test_labels,
        note,
    )


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BATCH_BYTES:
            raise SuiteDataError(f"{path}: is too large for a CIFAR-10 batch: unpack the official archive again")
        return path.read_bytes()
    except OSError as error:
        raise SuiteDataError(f"{path}: cannot be read ({error.strerror}): unpack the official archive again") from None


def _binary_batch(raw: bytes, path: Path) -> tuple[U8, I64]:
    """One record is a label byte and 3,072 pixels (red, green, blue plane)."""
    if not raw or len(raw) % (PIXELS + 1):
        raise SuiteDataError(
            f"{path}: its {len(raw)} bytes are no whole number of CIFAR-10 records: unpack the official archive again"
        )
    records = np.frombuffer(raw, dtype=np.uint8).reshape(-1, PIXELS + 1)
    return _checked(records[:, 1:].reshape(-1, 3, 32, 32).copy(), records[:, 0].astype(np.int64), path)


def _pickled_batch(raw: bytes, path: Path) -> tuple[U8, I64]:
    try:
        batch = _ArrayUnpickler(io.BytesIO(raw), encoding="latin1").load()
        pixels = _plain(batch["data"])
        labels = np.asarray([int(label) for label in batch["labels"]], dtype=np.int64)
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), PIXELS):
            raise ValueError(pixels.shape)  # noqa: TRY301  # said in one sentence below
    except Exception:  # noqa: BLE001  # an unpickler meets damaged bytes with nearly any exception
        raise SuiteDataError(
            f"{path}: is no CIFAR-10 batch (damaged, or holds more than arrays): unpack the official archive again"
        ) from None
    return _checked(pixels.reshape(-1, 3, 32, 32).copy(), labels, path)


def _checked(images: U8, labels: I64, path: Path) -> tuple[U8, I64]:
    if labels.size == 0 or labels.min() < 0 or labels.max() >= CLASSES:
        raise SuiteDataError(f"{path}: has no label or one outside 0..9: unpack the official archive again")
    return images, labels


class _Array:
    """What a pickled array becomes: its parts, checked before NumPy sees them."""

    __slots__ = ("parts",)

    def __init__(self, *_args: Any) -> None:
        self.parts: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        self.parts = tuple(state)


class _Dtype:
    """What a pickled dtype becomes: its name."""

    __slots__ = ("name",)

    def __init__(self, name: Any = "", *_args: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Byte order and flags: a uint8 has none that matter."""


def _latin1(text: str, _codec: str = "latin1") -> bytes:
    return text.encode("latin1")


class _ArrayUnpickler(pickle.Unpickler):
    """Admits the four names with which NumPy pickles an array, and maps each to an inert class of this module."""

    _ADMITTED: dict[tuple[str, str], Any] = {  # noqa: RUF012  # never written to
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _latin1,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Refuse everything that is not needed to describe an array."""
        try:
            return self._ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not admitted") from None


def _plain(array: Any) -> U8:
    """Rebuild a C-contiguous uint8 array from (version, shape, dtype, is_fortran, bytes)."""
    if not isinstance(array, _Array):
        raise TypeError(array)
    _version, shape, dtype, fortran, raw = array.parts
    if not isinstance(dtype, _Dtype) or dtype.name not in {"u1", "uint8"} or fortran:
        raise ValueError(shape)
    buffer = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    rows, columns = (int(length) for length in shape)
    pixels: U8 = np.frombuffer(buffer, dtype=np.uint8).reshape(rows, columns)
    return pixels
