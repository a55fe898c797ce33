"""A small network, its input and its output, for what every runtime's tests need alike."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

SHAPE = (1, 3, 32, 32)


def make_net() -> nn.Sequential:
    torch.manual_seed(42)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    ).eval()


def picture(shape: tuple[int, ...] = SHAPE, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def expected(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = make_net()(torch.from_numpy(picture(shape))).numpy()
    return result
