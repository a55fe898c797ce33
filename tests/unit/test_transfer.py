"""Transfer learning on a narrow base: what is frozen, what is trained, and how a network comes back from its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgebench.compress.checkpoint import CheckpointSpec, load_checkpoint, save_checkpoint
from edgebench.compress.prune import l1_unstructured, make_permanent, sparsity
from edgebench.compress.quantise import dynamic
from edgebench_suites.augment import KINDS, augmented
from edgebench_suites.data import DataChoice, Dataset, calibration_batches, load_data
from edgebench_suites.recipes import evaluate
from edgebench_suites.transfer import scale_layers, train_head, with_head
from edgebench_suites.zoo import architecture

SIZE = 64


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data(None, seed=42, choice=DataChoice((0, 1), 60))


def network(digits: Dataset, model: str = "mobilenet_v2", width: float = 0.35) -> nn.Module:
    torch.manual_seed(42)
    made = with_head(architecture(model, num_classes=2, width_mult=width), classes=2, size=SIZE, width=16)
    (images,) = calibration_batches(digits, size=SIZE, count=16, seed=42, batch=64)
    scale_layers(made.get_submodule("base"), images)
    return made


def test_only_the_head_learns_and_the_best_epoch_is_kept(digits: Dataset) -> None:
    made = network(digits)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    done = train_head(made, digits, size=SIZE, epochs=6, lr=3e-3, batch=32, seed=42, patience=6)
    assert 1 <= done.best <= done.epochs == 6
    assert str(done) == f"6 epochs, kept the weights of epoch {done.best}"
    changed = {name.split(".")[0] for name, tensor in made.state_dict().items() if not tensor.equal(before[name])}
    assert changed == {"head"}
    # 0 against 1: two signs that random features of a scaled base tell apart; a coin would give 0.5.
    assert evaluate(made, digits, SIZE).accuracy_top1 > 0.85


def test_training_stops_where_validation_does_not_improve(digits: Dataset) -> None:
    made = network(digits)
    # A learning rate that can only do harm.
    done = train_head(made, digits, size=SIZE, epochs=20, lr=0.9, batch=32, seed=42, patience=2)
    assert done.epochs == done.best + 2 < 20


@pytest.mark.parametrize("model", ["mobilenet_v2", "vgg19"])
def test_scaled_layers_neither_die_out_nor_explode(digits: Dataset, model: str) -> None:
    made = network(digits, model, 0.35 if model == "mobilenet_v2" else 1.0)
    (images,) = calibration_batches(digits, size=SIZE, count=16, seed=42, batch=64)
    with torch.no_grad():
        root = float(made.get_submodule("base")(torch.from_numpy(images)).square().mean().sqrt())
    assert 0.3 < root < 3


def test_a_network_comes_back_from_its_checkpoint(digits: Dataset, tmp_path: Path) -> None:
    made = network(digits).eval()
    l1_unstructured(made, 0.5, linear=True)
    make_permanent(made)
    assert sparsity(made) == pytest.approx(0.5, abs=0.01)
    spec = CheckpointSpec("mobilenet_v2", 2, 0.35).then("transfer")
    x = torch.randn(2, 3, SIZE, SIZE)
    for index, (module, its) in enumerate([(made, spec), (dynamic(made), spec.then("ptq-dynamic"))]):
        save_checkpoint(tmp_path / str(index), module, its)
        back, found = load_checkpoint(tmp_path / str(index))
        assert found == its
        with torch.no_grad():
            assert torch.equal(back(x), module(x))


def test_a_resnets_base_ends_before_its_pooling() -> None:
    made = with_head(architecture("resnet50", num_classes=2), classes=2, size=SIZE, width=8)
    assert made.get_submodule("head.1").in_features == 2048 * 2 * 2


@given(st.sets(st.sampled_from(KINDS)), st.integers(0, 2**32 - 1))
def test_augmentation_keeps_shape_and_range_and_is_the_seeds(kinds: set[str], seed: int) -> None:
    images = torch.from_numpy(np.random.default_rng(1).uniform(-2, 2, (3, 3, 12, 12)).astype(np.float32))
    made = [augmented(images, kinds, np.random.default_rng(seed)) for _ in range(2)]
    assert made[0].shape == images.shape
    assert torch.equal(made[0], made[1])
    assert made[0].min() >= images.min() - 1e-4
    assert made[0].max() <= images.max() + 1e-4
    if not kinds:
        assert torch.equal(made[0], images)


def test_a_flip_alone_mirrors_or_leaves() -> None:
    images = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).reshape(2, 3, 8, 8)
    seen = set()
    for seed in range(8):
        for image, made in zip(images, augmented(images, {"flip"}, np.random.default_rng(seed)), strict=True):
            same, mirrored = (torch.allclose(made, other, atol=1e-2) for other in (image, image.flip(-1)))
            assert same != mirrored
            seen.add(mirrored)
    assert seen == {True, False}
