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
    """The benchmarks of a report in its order; of each series with runs (begin, count) in the `size` packed numbers."""

    cells: tuple[int, ...]
    places: Mapping[int, tuple[int, int]]
    size: int

    def to_text(self) -> str:
        """Return it as JSON; reports of one suite and machine share it."""
        runs = [[series, begin, count] for series, (begin, count) in self.places.items()]
        return json.dumps({"cells": self.cells, "runs": runs}, separators=(",", ":"))

    @classmethod
    def of_text(cls, text: str) -> Layout:
        """Return the layout of its JSON."""
        data = json.loads(text)
        places = {series: (begin, count) for series, begin, count in data["runs"]}
        if min((min(place) for place in places.values()), default=0) < 0:
            raise ValueError("a layout has a place below zero")
        return cls(tuple(data["cells"]), places, max((sum(place) for place in places.values()), default=0))


def packed(runs: Iterable[tuple[int, Sequence[float]]], cells: Sequence[int]) -> tuple[Layout, bytes]:
    """Return the runs of (series, runs) in one piece; equal runs, of one figure under two names, stand once."""
    places: dict[int, tuple[int, int]] = {}
    known: dict[tuple[float, ...], int] = {}
    numbers: list[float] = []
    for series, values in runs:
        if not values:
            continue
        begin = known.setdefault(tuple(values), len(numbers))
        if begin == len(numbers):
            numbers += values
        places[series] = (begin, len(values))
    planes = np.asarray(numbers, dtype="<f4").view(np.uint8).reshape(-1, 4).T
    return Layout(tuple(cells), places, len(numbers)), planes[:2].tobytes() + zlib.compress(planes[2:].tobytes())


def unpacked(content: bytes, layout: Layout, wanted: range | None = None) -> NDArray[np.float32]:
    """Return the numbers again, or those of a range. Raises ValueError where the piece is not what the layout says."""
    size, places = layout.size, wanted or range(layout.size)
    high = zlib.decompressobj().decompress(content[2 * size :], 2 * size + 1)
    if len(high) != 2 * size or not 0 <= places.start <= places.stop <= size:
        raise ValueError("the runs of a report are not whole")
    numbers = np.empty((len(places), 4), dtype=np.uint8)
    for plane, source in enumerate((content, content, high, high)):
        begin = (plane % 2) * size + places.start
        numbers[:, plane] = np.frombuffer(source, dtype=np.uint8, count=len(places), offset=begin) if places else 0
    found: NDArray[np.float32] = numbers.view("<f4").ravel()
    if not np.isfinite(found).all():
        raise ValueError("a run of a report is no number")
    return found
