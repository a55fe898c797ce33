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
from edgebench_suites.data.augment import KINDS, augmented
from edgebench_suites.data.dataset import DataChoice, Dataset
from edgebench_suites.data.load import calibration_batches, load_data
from edgebench_suites.recipes import evaluate
from edgebench_suites.training import Training
from edgebench_suites.transfer import EarlyStopping, joined, standardise_layers, train_head, with_head
from edgebench_suites.zoo import architecture

SIZE = 64


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data(None, seed=42, choice=DataChoice((0, 1), 60))


def network(digits: Dataset, model: str = "mobilenet_v2", width: float = 0.35) -> nn.Module:
    torch.manual_seed(42)
    made = with_head(architecture(model, num_classes=2, width_mult=width), classes=2, size=SIZE, width=16)
    (images,) = calibration_batches(digits, size=SIZE, count=16, seed=42, batch=64)
    standardise_layers(made.get_submodule("base"), images)
    return made


def shallow(digits: Dataset) -> nn.Module:
    """A base of two convolutions, whose random features tell two signs apart."""
    torch.manual_seed(42)
    base = nn.Sequential(nn.Conv2d(3, 16, 5, stride=4), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU())
    (images,) = calibration_batches(digits, size=SIZE, count=16, seed=42, batch=64)
    standardise_layers(base, images)
    return joined(base, base(torch.from_numpy(images[:1])).numel(), 16, 2)


def test_only_the_head_learns_and_the_best_epoch_is_kept(digits: Dataset) -> None:
    made = shallow(digits)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    done = train_head(made, digits, Training(SIZE, epochs=6, lr=3e-3, seed=42), EarlyStopping(patience=6))
    assert 1 <= done.best <= done.epochs == 6
    assert str(done) == f"6 epochs, kept the weights of epoch {done.best}"
    changed = {name.split(".")[0] for name, tensor in made.state_dict().items() if not tensor.equal(before[name])}
    assert changed == {"head"}
    # 0 against 1: a coin would give 0.5.
    assert evaluate(made, digits, SIZE).accuracy_top1 > 0.85


def test_training_stops_where_validation_does_not_improve(digits: Dataset) -> None:
    made = shallow(digits)
    # A learning rate that can only do harm.
    done = train_head(made, digits, Training(SIZE, epochs=20, lr=0.9, seed=42), EarlyStopping(patience=2))
    assert done.epochs == done.best + 2 < 20


@pytest.mark.parametrize("model", ["mobilenet_v2", "vgg19"])
def test_every_channel_of_a_seeded_base_is_standardised_and_is_again_when_half_of_it_is_zero(
    digits: Dataset, model: str
) -> None:
    made = network(digits, model, 0.35 if model == "mobilenet_v2" else 1.0)
    base = made.get_submodule("base")
    (images,) = calibration_batches(digits, size=SIZE, count=16, seed=42, batch=64)
    kind = nn.BatchNorm2d if model == "mobilenet_v2" else nn.Conv2d
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def mean_and_deviation(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        del layer, inputs
        seen.append((output.mean((0, 2, 3)), output.std((0, 2, 3))))

    for pruned in (False, True):
        if pruned:
            l1_unstructured(base, 0.5)
            make_permanent(base)
            standardise_layers(base, images)
            assert (sparsity(base) or 0.0) > 0.45
        outputs = [
            layer.register_forward_hook(mean_and_deviation) for layer in base.modules() if isinstance(layer, kind)
        ]
        seen.clear()
        with torch.no_grad():
            base(torch.from_numpy(images))
        for handle in outputs:
            handle.remove()
        assert len(seen) == len(outputs) > 10
        for mean, deviation in seen:
            assert mean.abs().max() < 0.02
            # Less where a batch norm's epsilon counts, or nothing of a channel is left.
            assert deviation.max() < 1.02
            assert ((deviation - 1).abs() < 0.02).float().mean() > 0.8


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
