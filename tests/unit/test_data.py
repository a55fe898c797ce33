"""Data sets, preprocessing and training: real files in CIFAR-10's formats, and torchvision as the reference."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from edgebench_suites.data.dataset import Dataset, stratified_subset
from edgebench_suites.data.digits import read_digits, stratified_split
from edgebench_suites.data.load import IMAGENET_MEAN, IMAGENET_STD, calibration_batches, load_data, preprocess
from edgebench_suites.errors import SuiteDataError
from edgebench_suites.scoring import score
from edgebench_suites.training import Training

if TYPE_CHECKING:
    import numpy.typing as npt

NAMES = [*(f"data_batch_{index}" for index in range(1, 6)), "test_batch"]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data(None, seed=42)


def records(count: int, seed: int) -> tuple[npt.NDArray[np.uint8], list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, size=(count, 3072), dtype=np.uint8), [int(n) for n in rng.integers(0, 10, size=count)]


def write_binary(folder: Path) -> None:
    for seed, name in enumerate(NAMES):
        pixels, labels = records(6, seed)
        rows = np.concatenate([np.asarray(labels, dtype=np.uint8)[:, np.newaxis], pixels], axis=1)
        (folder / f"{name}.bin").write_bytes(rows.tobytes())


def write_pickled(folder: Path, protocol: int) -> None:
    for seed, name in enumerate(NAMES):
        pixels, labels = records(6, seed)
        # The official files were written by Python 2: byte strings as keys.
        batch = {b"batch_label": b"x", b"labels": labels, b"data": pixels, b"filenames": [b"a.png"] * 6}
        (folder / name).write_bytes(python2(batch) if protocol == 0 else pickle.dumps(decoded(batch), protocol))


def decoded(batch: dict[bytes, Any]) -> dict[str, Any]:
    return {key.decode(): value for key, value in batch.items()}


def python2(batch: dict[bytes, Any]) -> bytes:
    """Write the opcodes of cPickle protocol 2 for a batch, as the official archive has them."""

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    pixels = batch[b"data"]
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
         b"(K\x01J" + pixels.shape[0].to_bytes(4, "little") + b"M" + pixels.shape[1].to_bytes(2, "little") + b"\x86"
        + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89" + text(pixels.tobytes()) + b"tb"
    )  # fmt: skip
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in batch[b"labels"]) + b"e"
    whole: bytes = b"\x80\x02}(" + text(b"data") + array + text(b"labels") + labels + b"u."
    return whole


@pytest.mark.parametrize("form", ["binary", "python3", "python2"])
def test_cifar10_is_read_in_each_of_its_formats(tmp_path: Path, form: str) -> None:
    folder = tmp_path / ("cifar-10-batches-bin" if form == "binary" else "cifar-10-batches-py")
    folder.mkdir()
    if form == "binary":
        write_binary(folder)
    else:
        write_pickled(folder, 0 if form == "python2" else 4)
    data = load_data(tmp_path, seed=42)
    pixels, labels = records(6, 5)
    assert (data.name, data.classes) == ("cifar10", 10)
    assert data.train_images.shape == (30, 3, 32, 32)
    np.testing.assert_array_equal(data.test_images.reshape(6, -1), pixels)
    assert data.test_labels.tolist() == labels
    assert data.train_labels[6:12].tolist() == records(6, 1)[1]
    assert "official digests" not in data.note.replace("not the official digests", "")
    assert load_data(folder, seed=1).digest == data.digest


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    write_pickled(tmp_path, 4)
    mark = tmp_path / "executed"
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps({"data": _Bomb(mark), "labels": [1]}))
    with pytest.raises(SuiteDataError, match=r"data_batch_3: is no CIFAR-10 batch"):
        load_data(tmp_path, seed=42)
    assert not mark.exists()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_pickles_are_one_sentence(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cifar")
    write_pickled(folder, 0)
    path = folder / "data_batch_2"
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, 250) | st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    try:
        assert load_data(folder, seed=42).train_images.dtype == np.uint8
    except SuiteDataError as error:
        sentence = str(error)  # either outcome is right, a traceback is not
    else:
        sentence = "data_batch_2"
    assert "data_batch_2" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("data_batch_4.bin", b"\x01" * 3072, "no whole number"),
        ("data_batch_4.bin", b"", "no whole number"),
        ("data_batch_4.bin", b"\x0b" + b"\x00" * 3072, "outside 0..9"),
        ("test_batch.bin", None, "cannot be read"),
        ("data_batch_1.bin", None, "holds neither"),
    ],
)
def test_bad_folders_are_one_sentence(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    write_binary(tmp_path)
    path = tmp_path / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SuiteDataError, match=words) as caught:
        load_data(tmp_path, seed=42)
    assert "\n" not in str(caught.value)
    with pytest.raises(SuiteDataError, match="is no folder"):
        load_data(tmp_path / "absent", seed=42)


def test_the_digits_split_is_stratified_and_seeded(digits: Dataset) -> None:
    assert (len(digits.train_labels), len(digits.test_labels)) == (1437, 360)
    assert np.bincount(digits.test_labels).min() >= 34
    assert digits.train_images.shape[1:] == (1, 8, 8)
    assert digits.train_images.max() == 255
    assert load_data(None, seed=42).digest == digits.digest
    assert load_data(None, seed=43).digest != digits.digest


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    taken=st.lists(st.integers(0, 9), min_size=2, unique=True).map(sorted),
    share=st.floats(0.05, 0.5),
)
def test_digits_and_split_are_scikit_learns(seed: int, taken: list[int], share: float) -> None:
    """Reports made with them stay comparable: the same images, the same draws."""
    images, labels = read_digits()
    theirs = load_digits()
    np.testing.assert_array_equal(images[:, 0], np.rint(theirs.images * (255 / 16)))
    np.testing.assert_array_equal(labels, theirs.target)
    labels = labels[np.isin(labels, taken)]
    tested = max(len(taken), round(len(labels) * share))
    expected = train_test_split(np.arange(len(labels)), test_size=tested, stratify=labels, random_state=seed)
    for ours, other in zip(stratified_split(labels, tested, seed), expected, strict=True):
        np.testing.assert_array_equal(ours, other)


@settings(max_examples=25, deadline=None)
@given(
    images=npst.arrays(np.uint8, st.tuples(st.integers(1, 3), st.just(3), st.integers(4, 40), st.integers(4, 40))),
    size=st.integers(4, 80),
)
def test_resizing_agrees_with_torchvision(images: npt.NDArray[np.uint8], size: int) -> None:
    torch = pytest.importorskip("torch")
    from edgebench_suites.vision import import_torchvision

    import_torchvision()
    from torchvision.transforms.v2 import functional

    expected = functional.resize(torch.from_numpy(images).float() / 255, [size, size], antialias=True)
    expected = functional.normalize(expected, list(IMAGENET_MEAN), list(IMAGENET_STD)).numpy()
    np.testing.assert_allclose(preprocess(images, size), expected, atol=2e-5)


def test_the_studys_pillow_path_differs_by_rounding_only(digits: Dataset) -> None:
    pytest.importorskip("torch")
    from edgebench_suites.vision import import_torchvision

    import_torchvision()
    from PIL import Image
    from torchvision.transforms import functional

    grey = digits.test_images[3, 0]
    picture = functional.resize(Image.fromarray(np.stack([grey] * 3, axis=-1)), [224, 224])
    study = functional.normalize(functional.to_tensor(picture), list(IMAGENET_MEAN), list(IMAGENET_STD)).numpy()
    ours = preprocess(digits.test_images[3:4], 224)[0]
    # Pillow rounds after each of two directions: up to one grey level, over the smallest deviation.
    assert np.abs(ours - study).max() <= 1.0 / 255 / min(IMAGENET_STD) + 1e-4


@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=200),
    fraction=st.floats(0.01, 1.0),
    seed=st.integers(0, 2**31 - 1),
)
def test_a_subset_keeps_the_shares_of_the_classes(labels: list[int], fraction: float, seed: int) -> None:
    array = np.asarray(labels, dtype=np.int64)
    chosen = stratified_subset(array, fraction, seed)
    assert len(set(chosen.tolist())) == len(chosen)
    for label in set(labels):
        size = labels.count(label)
        assert int((array[chosen] == label).sum()) == max(1, round(fraction * size))
    np.testing.assert_array_equal(chosen, stratified_subset(array, fraction, seed))


def test_calibration_comes_from_the_training_set(digits: Dataset) -> None:
    batches = calibration_batches(digits, size=16, count=40, seed=1, batch=8)
    assert 30 <= sum(len(batch) for batch in batches) <= 50
    assert all(batch.shape[1:] == (3, 16, 16) and batch.dtype == np.float32 for batch in batches)
    every = {image.tobytes() for image in preprocess(digits.train_images, 16)}
    assert {image.tobytes() for batch in batches for image in batch} <= every


def test_scoring_counts_what_is_right_and_agrees_with_torch(digits: Dataset) -> None:
    torch = pytest.importorskip("torch")
    small = replace(digits, test_images=digits.test_images[:50], test_labels=digits.test_labels[:50])
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 10)).astype(np.float32) * 30
    rows = iter(np.split(logits, [16, 32, 48]))
    result = score(lambda _: next(rows), small, 8, batch=16)
    labels = torch.from_numpy(small.test_labels)
    assert result.accuracy_top1 == pytest.approx(float((logits.argmax(1) == small.test_labels).mean()))
    expected = float(torch.nn.functional.cross_entropy(torch.from_numpy(logits).double(), labels))
    assert result.loss == pytest.approx(expected)
    broken = score(lambda images: np.full((len(images), 10), np.nan, dtype=np.float32), small, 8)
    assert (broken.accuracy_top1, broken.loss) == (0.0, float("inf"))


def test_scoring_imports_no_torch() -> None:
    code = """
import sys
from edgebench_suites.data.digits import read_digits, stratified_split
from edgebench_suites.data.load import load_data
from edgebench_suites.scoring import score
result = score(lambda images: images[:, 0, :2, :5].reshape(len(images), 10), load_data(None, seed=1), 8)
assert 0 <= result.accuracy_top1 < 1
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})


def test_training_learns_and_repeats_itself(digits: Dataset) -> None:
    torch = pytest.importorskip("torch")
    from torch import nn

    from edgebench_suites.recipes import evaluate, train

    states, steps = [], list[int]()
    for _ in range(2):
        steps.clear()
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(16 * 64, 10),
        )
        model.register_forward_pre_hook(lambda _, inputs: steps.append(len(inputs[0])))
        train(
            model,
            digits,
            Training(16, epochs=4, lr=5e-3, seed=3, batch=64, augment=True, subset=0.5, schedule="one-cycle"),
        )
        states.append([tensor.clone() for tensor in model.state_dict().values()])
    assert len(steps) == 48
    assert evaluate(model, digits, 16).accuracy_top1 > 0.8
    assert not model.training
    assert next(model.parameters()).is_contiguous()
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
