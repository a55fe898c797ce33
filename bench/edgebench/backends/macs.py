"""Multiply-accumulate operations of one pass, counted from shapes: the work, whatever runtime or precision does it."""

from __future__ import annotations

from typing import Any

from edgebench.backends.boundary import refusals


def count_macs(module: Any, shape: tuple[int, ...]) -> int:
    """Return the MACs of one pass of a torch module over one float32 input of `shape`.

    Counted by torch's own flop counter: convolutions, matrix products and attention. Quantised operators are not
    counted: count the float module they come from. Raises BackendError where the module does not run.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with refusals("torch", "to count the operations of the model"):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(torch.zeros(shape))
        return int(counter.get_total_flops()) // 2
