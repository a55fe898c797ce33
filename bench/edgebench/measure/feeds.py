"""Makes what a model is fed: the same for the same seed, in every process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgebench.backends.samples import read_feed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import TensorSpec
    from edgebench.backends.feeds import Feed

    Array = npt.NDArray[np.generic]

# A pixel of what is like an image is much like its neighbours: one value a block, and a little noise.
_BLOCK = 8


def random_feeds(inputs: Sequence[TensorSpec], seed: int) -> dict[str, Array]:
    """Standard normal inputs (as normalised images are), or zeros-and-ones for integers."""
    import numpy as np

    generator = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for spec in inputs:
        if np.issubdtype(np.dtype(spec.dtype), np.integer) or spec.dtype == "bool":
            feeds[spec.name] = generator.integers(0, 2, size=spec.shape).astype(spec.dtype)
        else:
            feeds[spec.name] = generator.standard_normal(size=spec.shape, dtype=np.float32).astype(spec.dtype)
    return feeds


class Maker:
    """Makes samples of what a user's model is fed; files are read once. Raises UsageError where one was changed."""

    def __init__(self, feeds: Sequence[Feed], seed: int) -> None:
        self._feeds, self._seed = feeds, seed
        self._files = {feed.name: read_feed(feed, only=len(feeds) == 1) for feed in feeds if feed.kind == "file"}

    def sample(self, index: int) -> dict[str, Array]:
        """Return sample number `index`; the measured passes are fed number 0."""
        import numpy as np

        generator = np.random.default_rng(self._seed + index)
        found: dict[str, Array] = {}
        for feed in self._feeds:
            if feed.kind == "file":
                samples = self._files[feed.name]
                found[feed.name] = samples[index % len(samples)]
            else:
                found[feed.name] = _drawn(feed, generator)
        return found

    def several(self, first: int, count: int) -> list[dict[str, Array]]:
        """Return samples from number `first` on: `count`, or fewer where no more differ."""
        fixed = all(feed.kind in {"file", "value"} for feed in self._feeds)
        most = max((feed.samples for feed in self._feeds), default=1) if fixed else count
        return [self.sample(first + index) for index in range(min(count, most))]


def named_as(inputs: Sequence[TensorSpec], feeds: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return feeds under the names of the runtime: it may name inputs otherwise, their order is the file's."""
    names = [spec.name for spec in inputs]
    return feeds if set(names) == set(feeds) else dict(zip(names, feeds.values(), strict=False))


def _drawn(feed: Feed, generator: np.random.Generator) -> Array:
    import numpy as np

    found: Array
    if feed.kind == "normal":
        found = generator.standard_normal(size=feed.shape, dtype=np.float32)
    elif feed.kind == "integers":
        found = generator.integers(int(feed.low), int(feed.high), size=feed.shape, endpoint=True)
    elif feed.kind == "value":
        found = np.full(feed.shape, feed.low)
    elif feed.kind == "uniform":
        found = generator.uniform(feed.low, feed.high, size=feed.shape)
    else:
        found = feed.low + (feed.high - feed.low) * _smooth(feed.shape, generator)
        found = found if feed.dtype.startswith("float") else np.round(found)
    return found.astype(feed.dtype)


def _smooth(shape: Sequence[int], generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return values from 0 to 1 in blocks over height and width, with a tenth of noise; channels first or last."""
    import numpy as np

    rank = len(shape)
    height = rank - 3 if shape[-1] in {1, 3, 4} else rank - 2
    coarse = [-(-size // _BLOCK) if axis in {height, height + 1} else size for axis, size in enumerate(shape)]
    found = generator.uniform(size=coarse)
    for axis in (height, height + 1):
        found = np.repeat(found, _BLOCK, axis).take(np.arange(shape[axis]), axis)
    return 0.9 * found + 0.1 * generator.uniform(size=shape)
