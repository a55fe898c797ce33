"""Writes tiny-fp32.pte and tiny-int8.pte anew: `python -m tests.golden.make_pte`, where ExecuTorch is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (1, 3, 8, 8)


def network() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3, groups=4), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, 3),
    ).eval()  # fmt: skip


if __name__ == "__main__":
    from edgebench_executorch.convert import quantised, to_pte

    images = [np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32) for seed in range(4)]
    to_pte(network(), SHAPE, Path(__file__).with_name("tiny-fp32.pte"))
    to_pte(quantised(network(), images), SHAPE, Path(__file__).with_name("tiny-int8.pte"))
