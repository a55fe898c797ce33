"""A folder of images as a data set: one sub-folder a class, JPEG or PNG, decoded once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench_suites.data.dataset import Dataset, arrays_digest, limited_rows, stratified_subset
from edgebench_suites.data.saved import cache_folder
from edgebench_suites.errors import SuiteDataError

if TYPE_CHECKING:
    import numpy.typing as npt

    U8 = npt.NDArray[np.uint8]
    I64 = npt.NDArray[np.int64]

# Side in pixels that images are stored at, as ImageNet classifiers take them; proportions are not kept.
SIDE = 224
TEST_SHARE = 0.2
SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_CLASSES = 1000
MAX_IMAGES = 20_000  # 3 GB decoded
MIN_IMAGES = 5  # of a class: one for testing, four for training
MAX_FILE_BYTES = 50_000_000
MAX_PIXELS = 50_000_000  # a small file can claim to be a huge picture
_PARTS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True, slots=True)
class _Listing:
    """The classes' names, and each part's files with their labels; without a test part the train part is split."""

    classes: tuple[str, ...]
    train: tuple[tuple[Path, int], ...]
    test: tuple[tuple[Path, int], ...]


def holds_images(folder: Path) -> bool:
    """Tell whether a folder has sub-folders of images, at the first or second level."""
    return folder.is_dir() and any(_images(sub) for part in _folders(folder) for sub in (part, *_folders(part)))


def read_images(folder: Path, *, seed: int, tested: int = 0) -> Dataset:
    """Return the images of `folder` at 224 x 224 pixels: ``CLASS/*.jpg``, or split already in ``train/`` and ``test/``.

    Without that split, a seeded and stratified fifth is for testing. `tested` limits the test images (0: all).
    The decoded images are kept in edgebench's cache (150 kB each), so that each measuring process maps them instead of
    decoding. Raises SuiteDataError.
    """
    listing = _listed(folder)
    key = _stamp(folder, listing, seed, tested)
    root = cache_folder() / "images"
    if (found := _kept(root / key)) is not None:
        return found
    arrays = _split(listing, seed, tested)
    count = len(arrays[1]) + len(arrays[3])
    split = "split as they came" if listing.test else f"{TEST_SHARE:.0%} for testing"
    made = Dataset(
        f"images-{_names(folder, listing)[:8]}",
        len(listing.classes),
        *arrays,
        arrays_digest(*arrays),
        f"{count} images of {', '.join(listing.classes)[:200]} from a folder, {split}",
    )
    _keep(root / key, made)
    return _kept(root / key) or made


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def _listed(folder: Path) -> _Listing:
    names = {path.name for path in _folders(folder)}
    split = {"train", "test"} <= names
    classes, train = _labelled(folder / "train" if split else folder)
    test: tuple[tuple[Path, int], ...] = ()
    if split:
        others, test = _labelled(folder / "test")
        if others != classes:
            raise SuiteDataError(f"{folder}: train and test have other classes: give both the same sub-folders")
    if len(train) + len(test) > MAX_IMAGES:
        raise SuiteDataError(f"{folder}: has more than {MAX_IMAGES:,} images: give a part of them")
    return _Listing(classes, train, test)


def _labelled(folder: Path) -> tuple[tuple[str, ...], tuple[tuple[Path, int], ...]]:
    found = {path.name: _images(path) for path in _folders(folder)}
    if not 2 <= len(found) <= MAX_CLASSES:
        raise SuiteDataError(
            f"{folder}: has {len(found)} sub-folders: give one for each class, at least 2 and at most {MAX_CLASSES}"
        )
    for name, paths in found.items():
        if len(paths) < MIN_IMAGES:
            raise SuiteDataError(
                f"{folder / name}: has {len(paths)} images ({', '.join(SUFFIXES)}), fewer than {MIN_IMAGES}: add more"
            )
    return tuple(found), tuple((path, label) for label, paths in enumerate(found.values()) for path in paths)


def _stamp(folder: Path, listing: _Listing, seed: int, tested: int) -> str:
    """What the cached arrays belong to: names, sizes and times of the files, and how they are split."""
    total = hashlib.sha256(f"{folder.resolve()}\0{seed}\0{tested}\0{SIDE}".encode())
    for path, label in (*listing.train, *listing.test):
        try:
            facts = path.stat()
        except OSError as error:
            raise SuiteDataError(f"{path}: cannot be read ({error.strerror}): check its permissions") from None
        total.update(f"{path}\0{label}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def _names(folder: Path, listing: _Listing) -> str:
    """SHA-256 over the files' names and sizes: tells folders apart, however they are split."""
    files = sorted((*listing.train, *listing.test))
    lines = [f"{path.relative_to(folder)}\0{path.stat().st_size}" for path, _ in files]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _split(listing: _Listing, seed: int, tested: int) -> tuple[U8, I64, U8, I64]:
    labels = np.asarray([label for _, label in listing.train], dtype=np.int64)
    test = list(listing.test)
    train = list(listing.train)
    if not test:
        chosen = set(stratified_subset(labels, TEST_SHARE, seed).tolist())
        test = [entry for index, entry in enumerate(train) if index in chosen]
        train = [entry for index, entry in enumerate(train) if index not in chosen]
    if 0 < tested < len(test):
        found = np.asarray([label for _, label in test], dtype=np.int64)
        test = [test[index] for index in limited_rows(found, tested, seed)]
    return (*_decoded(train), *_decoded(test))


def _decoded(entries: list[tuple[Path, int]]) -> tuple[U8, I64]:
    images = np.empty((len(entries), 3, SIDE, SIDE), dtype=np.uint8)
    for index, (path, _) in enumerate(entries):
        images[index] = _decode(path)
    return images, np.asarray([label for _, label in entries], dtype=np.int64)


def _decode(path: Path) -> U8:
    """Return one picture as uint8 [3, SIDE, SIDE] in RGB, turned as its camera says."""
    import io
    import warnings

    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise SuiteDataError(
            "a folder of images needs Pillow, which is not installed: install edgebench[torch]"
        ) from None
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SuiteDataError(f"{path}: is larger than {MAX_FILE_BYTES // 1_000_000} MB: make it smaller")
        raw = path.read_bytes()
    except OSError as error:
        raise SuiteDataError(f"{path}: cannot be read ({error.strerror}): check its permissions") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit of pixels warns before ours refuses
            with Image.open(io.BytesIO(raw), formats=("JPEG", "PNG")) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise ValueError(opened.size)  # noqa: TRY301  # said in one sentence below
                opened.draft("RGB", (SIDE, SIDE))
                upright = ImageOps.exif_transpose(opened).convert("RGB")
        picture = np.asarray(upright.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.uint8)
    except Exception:  # noqa: BLE001  # a decoder meets damaged bytes with nearly any exception
        raise SuiteDataError(
            f"{path}: is no JPEG or PNG image, a damaged one or one of more than {MAX_PIXELS // 1_000_000} million "
            "pixels: replace or remove it"
        ) from None
    return picture.transpose(2, 0, 1)


def _kept(folder: Path) -> Dataset | None:
    """Return what was decoded before, mapped rather than read; None where it is not there or not whole."""
    try:
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _PARTS}
        return Dataset(**arrays, **facts)
    except (OSError, ValueError, TypeError):
        return None


def _keep(folder: Path, data: Dataset) -> None:
    """Put decoded images into the cache by one rename; a cache that cannot be written only costs time."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    except OSError:
        return
    try:
        for name in _PARTS:
            np.save(scratch / f"{name}.npy", getattr(data, name), allow_pickle=False)
        facts = {"name": data.name, "classes": data.classes, "digest": data.digest, "note": data.note}
        (scratch / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        scratch.rename(folder)
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)
