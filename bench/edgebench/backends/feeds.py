"""What the inputs of a user's model are fed: decided before anything runs, made anew from the seed in every process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# ``normal``: standard normal; ``uniform`` and ``integers`` from `low` to `high`; ``image``: smooth, from `low` to
# `high`; ``value``: `low` everywhere; ``file``: the samples of a file.
Kind = Literal["normal", "uniform", "integers", "image", "value", "file"]


@dataclass(frozen=True, slots=True)
class Feed:
    """What one input is fed; `shape` is that of one pass, `dtype` a NumPy dtype name, `high` belongs to the range.

    `given`: the user said so; else `why` tells what it follows from. A `file` is known by the `digest` of its content
    and holds `samples` of the shape.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    given: bool = False
    why: str = ""
    file: str | None = None
    digest: str | None = None
    samples: int = 1

    @property
    def text(self) -> str:
        """Say in a few words what it is fed."""
        if self.kind == "normal":
            found = "standard normal"
        elif self.kind == "value":
            found = f"{self.low:.12g}"
        elif self.kind == "file":
            name = str(self.file).rpartition("/")[2]
            found = name if self.samples == 1 else f"{name}, {self.samples} samples"
        else:
            words = {"uniform": "uniform", "integers": "integers", "image": "like an image"}
            found = f"{words[self.kind]} {self.low:.12g} to {self.high:.12g}"
        return f"{found} ({self.why})" if self.why else found

    @property
    def identity(self) -> tuple[str | float, ...]:
        """What decides the numbers, wherever a file lies."""
        if self.kind == "file":
            return self.name, self.kind, self.digest or ""
        return self.name, self.kind, self.low, self.high


@dataclass(frozen=True, slots=True)
class Calibration:
    """A user's folder of samples: `files` by name, `samples` of them in all, `digest` over names and contents."""

    folder: str
    files: tuple[str, ...]
    samples: int
    digest: str
