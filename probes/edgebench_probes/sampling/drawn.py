"""Whether samples of power can be what a machine drew: pure. The reasoning stands in docs/energy.md."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebench_probes.base import Scope, WindowInvalid

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHOLE = (Scope.MODULE, Scope.BOARD_DC, Scope.WALL_AC, Scope.PSYS)  # a machine that measures itself draws some power
SWING = 300.0  # a source whose values differ by more within one window has lost a digit or a unit
OUTSTANDING = 0.05  # a lone excess above this share of the window's energy is a fault; below, it is in the uncertainty
LIKE = 0.1  # powers this near are taken for the same
BEFORE = 64  # samples outside a window that are looked at on each side
STANDING = 10  # values that must be there beside a run of equal ones to tell how often the source changes
CHANCE = 1e-5  # equal values are no chance below this
SURE = 1.64  # one-sided 95 %
HIDING_CHANCE = 5e-3  # nor below this, where they could hide more than OUTSTANDING


def check(power_w: NDArray[Any], window: slice, seconds: NDArray[Any], scope: Scope) -> None:
    """Raise WindowInvalid for samples that no machine can have drawn.

    `window` are the samples of the window, each standing for some `seconds`, among those that came before and after.
    """
    import numpy as np

    inside = power_w[window]
    around = power_w[max(0, window.start - BEFORE) : window.stop + BEFORE]
    low, high = float(around.min()), float(around.max())
    if low < 0 < high:
        raise WindowInvalid(f"the source gave both {low:.3g} W and {high:.3g} W: the sign changed within the window")
    if scope in WHOLE and np.any(inside == 0):
        raise WindowInvalid("the source gave 0 W within the window, and a machine that runs draws some")
    least = float(np.min(np.abs(around)[around != 0], initial=math.inf))
    if max(abs(low), high) > SWING * least:
        raise WindowInvalid(f"the source gave both {least:.3g} W and {max(abs(low), high):.3g} W within the window")
    _check_lone(inside, seconds)
    _check_standing(power_w, window)


def lone_j(power_w: NDArray[Any], window: slice, refresh_s: float) -> float:
    """Energy by which one sample of a window may be a fault's, at the most.

    It may be unlike its neighbours, or show the power beyond a step that came a sample later or earlier.
    """
    import numpy as np

    near = power_w[max(0, window.start - 1) : window.stop + 1]
    return float(np.max(np.abs(np.diff(near)), initial=0.0)) * refresh_s


def _check_lone(power_w: NDArray[Any], seconds: NDArray[Any]) -> None:
    """Refuse a sample, or two, far off both neighbours and unlike any other: a load's bursts come again."""
    import numpy as np

    for count in (1, 2):
        if len(power_w) < count + 4:
            return
        runs = np.lib.stride_tricks.sliding_window_view(power_w[1:-1], count).mean(axis=1)
        left, right = power_w[: len(runs)], power_w[count + 1 :]
        spent = np.lib.stride_tricks.sliding_window_view(seconds[1:-1], count).sum(axis=1)
        outside = np.maximum(runs - np.maximum(left, right), np.minimum(left, right) - runs)
        worst = int(np.argmax(outside * spent))
        off_j = float(outside[worst] * spent[worst])
        if off_j <= OUTSTANDING * abs(float(np.sum(power_w * seconds))):
            continue
        others = np.concatenate((power_w[: worst + 1], power_w[worst + 1 + count :]))
        if not others.min() * (1 - LIKE) <= runs[worst] <= others.max() * (1 + LIKE):
            raise WindowInvalid(
                f"the source gave {runs[worst]:.3g} W once, between {left[worst]:.3g} W and {right[worst]:.3g} W"
            )


def run_lengths(power_w: NDArray[Any]) -> NDArray[Any]:
    """Return for each sample how many equal ones in a row it is the last of."""
    import numpy as np

    starts = np.concatenate(([True], power_w[1:] != power_w[:-1]))
    index = np.arange(len(power_w))
    return index - np.maximum.accumulate(np.where(starts, index, 0)) + 1


def change_share(power_w: NDArray[Any]) -> float:
    """Share of the samples that differ from the one before."""
    import numpy as np

    return float(np.mean(power_w[1:] != power_w[:-1])) if len(power_w) > 1 else 0.0


def white_w2(rises: NDArray[Any]) -> float:
    """Variance of the white noise (W^2) in successive differences: the product of two neighbours is minus it."""
    import numpy as np

    return max(0.0, -float(np.mean(rises[1:] * rises[:-1]))) if len(rises) > 1 else 0.0


def noise_w2(power_w: NDArray[Any], window: slice) -> float:
    """Variance of the white noise (W^2) of a source in and around a window."""
    import numpy as np

    return white_w2(np.diff(power_w[max(0, window.start - BEFORE) : window.stop + BEFORE]))


class Standing(NamedTuple):
    """The longest run of equal values that reaches into a window: the value (W), how many, and how likely by chance.

    `chance` is told by how often the source changes at such a power, `most` by the 95 % bound of that. `hidden_w` is
    the power that they may hide, added up over the samples.
    """

    power_w: float
    times: int
    chance: float
    most: float
    hidden_w: float


def standing(power_w: NDArray[Any], window: slice) -> Standing | None:
    """Return the longest run of equal values; None for one that tells nothing."""
    import numpy as np

    lengths = run_lengths(power_w)
    ends = np.concatenate((lengths[1:] == 1, [True])) & (np.arange(len(lengths)) - lengths + 1 < window.stop)
    ends[: window.start] = False
    last = int(np.argmax(np.where(ends, lengths, 0)))
    count = int(lengths[last])
    first = last - count + 1
    near = np.abs(power_w - power_w[last]) <= 2 * LIKE * abs(power_w[last])
    pairs = near[1:] & near[:-1]
    pairs[max(0, first - 1) : last + 1] = False
    known = int(pairs.sum())
    if count < 3 or known < STANDING:
        return None
    changes = int(np.sum(power_w[1:][pairs] != power_w[:-1][pairs]))
    stays = 1 - changes / (known + 2)
    most = min(1.0, stays + SURE * math.sqrt(stays * (1 - stays) / known))  # of a share that few pairs tell
    runs = len(power_w)
    hidden_w = (count - 1) * float(np.ptp(power_w[window]))
    return Standing(float(power_w[last]), count, runs * stays ** (count - 1), runs * most ** (count - 1), hidden_w)


def hidden_w(power_w: NDArray[Any], window: slice) -> float:
    """Power (W) that equal values may hide, added up over the samples: none where their number is no surprise."""
    found = standing(power_w, window)
    return 0.0 if found is None or found.most >= 1 else found.hidden_w


def _check_standing(power_w: NDArray[Any], window: slice) -> None:
    """Refuse a value that stands for longer than chance allows, by how often the source changes at such a power.

    Where the power of the window changes so much that much could have happened meanwhile, less of a chance is enough.
    """
    import numpy as np

    if (found := standing(power_w, window)) is None:
        return
    much = found.hidden_w > OUTSTANDING * abs(float(np.sum(power_w[window])))
    if found.chance < CHANCE or (much and found.most < HIDING_CHANCE):
        raise WindowInvalid(
            f"the source gave {found.power_w:.4g} W {found.times} times in a row, and a new value nearly each time else"
        )
