"""The runs of a report in one piece, and where each series stands in it.

Single precision, byte plane by byte plane: first the two low planes, which are noise, as they are; then the two high
ones deflated, where neighbouring runs are alike. To deflate noise as well makes it larger, and ten times as slow to
read (docs/history.md).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Layout:
    """The benchmarks of a report in its order; of each series with runs (begin, count) in the `size` packed numbers.

    Right behind the runs of those in `systematic` stands the error that all of them share.
    """

    cells: tuple[int, ...]
    places: Mapping[int, tuple[int, int]]
    systematic: frozenset[int]
    size: int

    def to_text(self) -> str:
        """Return it as JSON; reports of one suite and machine share it."""
        runs = [[series, begin, count] for series, (begin, count) in self.places.items()]
        found = {"cells": self.cells, "runs": runs, "systematic": sorted(self.systematic), "size": self.size}
        return json.dumps(found, separators=(",", ":"))

    @classmethod
    def of_text(cls, text: str) -> Layout:
        """Return the layout of its JSON. Raises ValueError where a place is outside of the numbers."""
        data = json.loads(text)
        places = {series: (begin, count) for series, begin, count in data["runs"]}
        systematic, size = frozenset(data["systematic"]), int(data["size"])
        for series, (begin, count) in places.items():
            if min(begin, count) < 0 or begin + count + (series in systematic) > size:
                raise ValueError("a layout has a place outside of its numbers")
        return cls(tuple(data["cells"]), places, systematic, size)


def packed(runs: Iterable[tuple[int, Sequence[float], float]], cells: Sequence[int]) -> tuple[Layout, bytes]:
    """Return the runs of (series, runs, systematic error or 0) in one piece.

    Equal ones, those of one figure under two names, stand once.
    """
    places: dict[int, tuple[int, int]] = {}
    known: dict[tuple[tuple[float, ...], float], int] = {}
    systematic: set[int] = set()
    numbers: list[float] = []
    for series, values, error in runs:
        if not values:
            continue
        begin = known.setdefault((tuple(values), error), len(numbers))
        if begin == len(numbers):
            numbers += [*values, error] if error else values
        if error:
            systematic.add(series)
        places[series] = (begin, len(values))
    planes = np.asarray(numbers, dtype="<f4").view(np.uint8).reshape(-1, 4).T
    layout = Layout(tuple(cells), places, frozenset(systematic), len(numbers))
    return layout, planes[:2].tobytes() + zlib.compress(planes[2:].tobytes())


def unpacked(content: bytes, layout: Layout, wanted: range | None = None) -> NDArray[np.float32]:
    """Return the numbers again, or those of a range. Raises ValueError where the piece is not what the layout says."""
    size, places = layout.size, wanted or range(layout.size)
    # Of a part no more is inflated than it reaches to; of all there must be nothing behind it either.
    needed = size + places.stop
    high = zlib.decompressobj().decompress(content[2 * size :], needed + (wanted is None))
    if len(content) < 2 * size or len(high) != needed or not 0 <= places.start <= places.stop <= size:
        raise ValueError("the runs of a report are not whole")
    numbers = bytearray(4 * len(places))
    for plane, source in enumerate((content, content, high, high)):
        begin = plane % 2 * size
        numbers[plane::4] = source[begin + places.start : begin + places.stop]
    found: NDArray[np.float32] = np.frombuffer(numbers, "<f4")
    if not np.isfinite(found).all():
        raise ValueError("a run of a report is no number")
    return found
