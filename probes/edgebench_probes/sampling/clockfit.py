"""The clock of a meter against ours: offset and rate from pairs of device time and arrival. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

from edgebench_probes.base import WindowInvalid

BLOCKS = 32
MIN_PAIRS = 20
MAX_DRIFT = 1e-2  # a rate further off than 1 % is no crystal: the device clock is not what it is taken for


@dataclass(frozen=True, slots=True)
class ClockFit:
    """`host_s = origin_s + offset_s + rate * (device_s - device_origin_s)`.

    `residual_s` is one sigma of the quickest arrivals about the line, `rate_sigma` that of the rate.
    """

    origin_s: float
    device_origin_s: float
    offset_s: float
    rate: float
    residual_s: float
    rate_sigma: float

    def host_s(self, device_s: NDArray[Any]) -> NDArray[Any]:
        """Host times of device times."""
        return self.origin_s + self.offset_s + self.rate * (device_s - self.device_origin_s)


def fit_clock(device_s: NDArray[Any], arrival_s: NDArray[Any], jump_s: float) -> ClockFit:
    """Fit offset and rate through the lower envelope of the arrivals.

    A delay on the way is never negative, so the quickest arrival of each of up to 32 blocks is nearest to the truth;
    the line through these is Theil and Sen's (the median of all slopes), which no single late block moves. Raises
    WindowInvalid when the device clock runs backwards, or when a block lies more than `jump_s` off the line.
    """
    import numpy as np

    if len(device_s) < MIN_PAIRS:
        raise WindowInvalid(f"{len(device_s)} samples are too few to fit the meter's clock")
    if np.any(np.diff(device_s) < 0):
        raise WindowInvalid("the meter's clock went back")
    x, y = device_s - device_s[0], arrival_s - arrival_s[0]
    skew = y - x  # differences only, so that a small drift keeps its digits
    index = [
        part[np.argmin(skew[part])]
        for part in np.array_split(np.arange(len(x)), min(BLOCKS, len(x) // 4))
        if x[part[-1]] > x[part[0]]
    ]
    bx, bs = x[index], skew[index]
    first, second = np.triu_indices(len(bx), 1)
    far = bx[second] - bx[first] > (bx[-1] - bx[0]) / 4 if len(bx) > 1 else np.zeros(0, bool)
    if not far.any():
        raise WindowInvalid("the meter's clock stands still")
    first, second = first[far], second[far]
    drift = float(np.median((bs[second] - bs[first]) / (bx[second] - bx[first])))
    residuals = bs - drift * bx
    offset = float(np.median(residuals))
    off = float(np.max(np.abs(residuals - offset)))
    if abs(drift) > MAX_DRIFT or off > jump_s:
        raise WindowInvalid(f"the meter's clock jumped: it is {max(off, abs(drift) * float(x[-1])):.3f} s off its line")
    residual = float(np.sqrt(np.sum((residuals - offset) ** 2) / max(1, len(bx) - 2)))
    spread = float(np.sqrt(np.sum((bx - bx.mean()) ** 2)))
    return ClockFit(
        float(arrival_s[0]), float(device_s[0]), offset, 1 + drift, residual, residual / spread if spread else 0.0
    )
