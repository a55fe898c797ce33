"""A folder of real JPEG and PNG files as a data set, and the folders and files that are none."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgebench_suites.data.dataset import DataChoice
from edgebench_suites.data.images import MAX_FILE_BYTES, SIDE, holds_images
from edgebench_suites.data.load import load_data
from edgebench_suites.errors import SuiteDataError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("EDGEBENCH_CACHE", str(folder))
    return folder


def fill(folder: Path, count: int, colour: tuple[int, int, int], suffix: str = ".png", mode: str = "RGB") -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", (20 + index, 30), colour).convert(mode).save(folder / f"{index}{suffix}")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    fill(tmp_path / "faces" / "masked", 10, (0, 0, 250), ".JPG")
    fill(tmp_path / "faces" / "open", 15, (250, 0, 0))
    (tmp_path / "faces" / "open" / "notes.txt").write_text("no image")
    (tmp_path / "faces" / ".hidden").mkdir()
    return tmp_path / "faces"


def test_two_folders_are_two_classes_split_80_to_20_by_the_seed(faces: Path) -> None:
    assert holds_images(faces)
    data = load_data(faces, seed=42)
    assert data.classes == 2
    assert data.train_images.shape == (20, 3, SIDE, SIDE)
    assert np.bincount(data.train_labels).tolist() == [8, 12]
    assert np.bincount(data.test_labels).tolist() == [2, 3]
    # Classes in the order of their names: "masked" is 0 and blue.
    blue, red = (data.test_images[data.test_labels == label] for label in (0, 1))
    assert blue[:, 2].min() > 240
    assert blue[:, 0].max() < 10
    assert red[:, 0].min() > 240
    assert red[:, 2].max() < 10
    again = load_data(faces, seed=42)
    assert (again.digest, again.name) == (data.digest, data.name)
    assert load_data(faces, seed=7).name == data.name


def test_a_split_folder_stays_split_and_test_images_can_be_fewer(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("test", 10)):
        for name in ("a", "b", "c"):
            fill(tmp_path / "split" / part / name, count, (9, 9, 9), mode="L" if name == "a" else "P")
    data = load_data(tmp_path / "split", seed=1, choice=DataChoice(test_images=12))
    assert np.bincount(data.train_labels).tolist() == [6, 6, 6]
    assert len(data.test_labels) == 12
    assert min(np.bincount(data.test_labels)) >= 3


def test_decoded_images_are_mapped_from_the_cache_until_a_file_changes(faces: Path, cache: Path) -> None:
    first = load_data(faces, seed=42)
    assert isinstance(first.train_images, np.memmap)
    assert len(list((cache / "images").iterdir())) == 1
    # A photograph turned by its camera's tag stands upright.
    turned = Image.new("RGB", (40, 20), (0, 0, 250))
    turned.paste((250, 250, 250), (0, 0, 40, 10))
    exif = Image.Exif()
    exif[0x0112] = 3
    turned.save(faces / "masked" / "0.JPG", exif=exif)
    os.utime(faces / "masked" / "0.JPG", ns=(1, 1))
    assert load_data(faces, seed=42).digest != first.digest
    torn = next((cache / "images").glob("*/facts.json"))
    torn.write_text("{")
    assert load_data(faces, seed=42).classes == 2


def test_a_cache_that_cannot_be_written_only_costs_time(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", "/proc/none")
    assert len(load_data(faces, seed=42).train_labels) == 20


def bomb(side: int) -> bytes:
    """A tiny PNG whose header claims side x side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["garbage", "truncated", "bomb", "huge bomb", "gif", "empty", "large"])
def test_a_file_that_is_no_image_is_named_in_one_sentence(faces: Path, kind: str) -> None:
    path = faces / "open" / "7.png"
    if kind == "gif":
        Image.new("RGB", (9, 9)).save(path, format="GIF")
    elif kind == "large":
        with path.open("wb") as stream:
            stream.truncate(MAX_FILE_BYTES + 1)
    else:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99, 3), dtype=np.uint8)).save(path)
        whole = path.read_bytes()
        contents = {
            "garbage": os.urandom(999),
            "truncated": whole[: len(whole) // 2],
            "bomb": bomb(8_000),
            "huge bomb": bomb(60_000),
            "empty": b"",
        }
        path.write_bytes(contents[kind])
    with pytest.raises(SuiteDataError) as refused:
        load_data(faces, seed=42)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_folders_that_cannot_be_classes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SuiteDataError, match="nor sub-folders of JPEG"):
        load_data(tmp_path / "nothing", seed=1)
    fill(tmp_path / "one" / "alone", 5, (0, 0, 0))
    with pytest.raises(SuiteDataError, match="at least 2"):
        load_data(tmp_path / "one", seed=1)
    fill(tmp_path / "few" / "a", 9, (0, 0, 0))
    fill(tmp_path / "few" / "b", 4, (0, 0, 0))
    with pytest.raises(SuiteDataError, match="has 4 images"):
        load_data(tmp_path / "few", seed=1)
    for part in ("train", "test"):
        fill(tmp_path / "odd" / part / "a", 5, (0, 0, 0))
        fill(tmp_path / "odd" / part / f"b-{part}", 5, (0, 0, 0))
    with pytest.raises(SuiteDataError, match="other classes"):
        load_data(tmp_path / "odd", seed=1)


def test_some_digits_are_classes_in_their_order() -> None:
    data = load_data(None, seed=42, choice=DataChoice((3, 8), 150))
    assert (data.name, data.classes, len(data.test_labels)) == ("digits-3-8", 2, 150)
    whole = load_data(None, seed=42)
    assert (whole.name, whole.classes, len(whole.test_labels)) == ("digits", 10, 360)
    eights = {image.tobytes() for image in whole.train_images[whole.train_labels == 8]}
    mine = {image.tobytes() for image in data.train_images[data.train_labels == 1]}
    assert len(mine & eights) > 60
    with pytest.raises(SuiteDataError, match="more than half"):
        load_data(None, seed=42, choice=DataChoice((3, 8), 300))
