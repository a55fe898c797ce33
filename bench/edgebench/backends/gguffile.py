"""What a GGUF file says of itself, read as bytes and within bounds: before a native parser sees a hostile one.

The layout is that of ggml's docs/gguf.md (github.com/ggml-org/ggml), versions 2 and 3, little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from edgebench.errors import BackendError

MAGIC = b"GGUF"
MAX_ENTRIES, MAX_TENSORS, MAX_NAME, MAX_RANK = 100_000, 100_000, 1 << 16, 4
# Of one array: the largest vocabularies have a sixth of it, and each string is a step here.
MAX_STRINGS = 1 << 21
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
# ggml's types: (name, weights a block, bytes a block). A file of a type that is not here is left to the runtime.
_TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 30: ("BF16", 1, 2),
}  # fmt: skip
_PRECISIONS = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}

Value = int | float | bool | str


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """`values` are the file's scalars and strings by key, `lengths` those of its arrays, `weights` counts by type."""

    values: Mapping[str, Value]
    lengths: Mapping[str, int]
    weights: Mapping[str, int]

    @property
    def architecture(self) -> str:
        """The network's name."""
        return str(self.values.get("general.architecture", ""))

    @property
    def context(self) -> int | None:
        """How many tokens the model was made for; None where the file does not tell."""
        return self._whole("context_length")

    @property
    def has_tokenizer(self) -> bool:
        """Whether the file can turn a text into tokens."""
        return str(self.values.get("tokenizer.ggml.model", "none")) not in ("none", "no_vocab")

    @property
    def vocabulary(self) -> int | None:
        """How many tokens there are."""
        return self.lengths.get("tokenizer.ggml.tokens") or self._whole("vocab_size")

    @property
    def parameters(self) -> int:
        """How many weights there are."""
        return sum(self.weights.values())

    @property
    def precision(self) -> str:
        """The precision of most weights: ``fp32``, ``fp16``, ``bf16``, or ``int`` and the bits of a weight."""
        if not self.weights:
            return "fp32"
        name = max(self.weights, key=lambda known: self.weights[known])
        if name in _PRECISIONS:
            return _PRECISIONS[name]
        bits = name[1:2]
        return f"int{bits}" if bits.isdigit() else "int4"

    def cache_bytes(self, tokens: int) -> int | None:
        """Return the bytes of a key-value cache in FP16 for so many tokens; None where the file does not tell."""
        layers, wide, heads = (
            self._whole(name) for name in ("block_count", "embedding_length", "attention.head_count")
        )
        if layers is None or wide is None or not heads:
            return None
        kept = self._whole("attention.head_count_kv") or heads
        each = self._whole("attention.key_length") or wide // heads
        return 2 * 2 * layers * kept * each * tokens

    def _whole(self, name: str) -> int | None:
        value = self.values.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) and 0 < value < 1 << 40 else None


def read_gguf(path: Path) -> GgufFacts:
    """Return what a file says of itself. Raises BackendError with one sentence where it is damaged, OSError unread."""
    with path.open("rb") as stream:
        try:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(data, path).facts()
        except (struct.error, ValueError, UnicodeDecodeError, IndexError):
            raise _damaged(path, "its header ends early") from None


def _damaged(path: Path, what: str) -> BackendError:
    return BackendError(f"{path}: is no whole GGUF file ({what}): copy or download it again")


class _Reader:
    """Goes through a file from its beginning."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data, self._path, self._at = data, path, 0

    def facts(self) -> GgufFacts:
        if self._data[:4] != MAGIC:
            raise _damaged(self._path, "it does not begin with GGUF")
        self._at = 4
        if (version := self._number("<I")) not in (2, 3):
            raise BackendError(f"{self._path}: is GGUF version {version}: convert the model again (2 and 3 are read)")
        tensors, entries = int(self._number("<Q")), int(self._number("<Q"))
        if tensors > MAX_TENSORS or entries > MAX_ENTRIES:
            raise _damaged(self._path, f"it claims {tensors} tensors and {entries} entries")
        values: dict[str, Value] = {}
        lengths: dict[str, int] = {}
        for _ in range(entries):
            key, kind = self._text(), int(self._number("<I"))
            if kind == _ARRAY:
                lengths[key] = self._array()
            else:
                values[key] = self._value(kind)
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise _damaged(self._path, "its alignment is impossible")
        if isinstance(parts := values.get("split.count", 1), int) and parts > 1:
            raise BackendError(
                f"{self._path}: holds one part of a model in {parts} files: "
                "join them (llama-gguf-split --merge FIRST-PART JOINED.gguf)"
            )
        weights, ends = self._tensors(tensors)
        if not weights:
            raise _damaged(self._path, "it holds no weights")
        begin = -(-self._at // alignment) * alignment
        if ends and begin + max(ends) > len(self._data):
            short = begin + max(ends) - len(self._data)
            raise _damaged(self._path, f"{short} bytes of its weights are missing")
        return GgufFacts(values, lengths, weights)

    def _tensors(self, count: int) -> tuple[Counter[str], list[int]]:
        weights: Counter[str] = Counter()
        ends: list[int] = []
        for _ in range(count):
            name, rank = self._text(), int(self._number("<I"))
            if not 0 < rank <= MAX_RANK:
                raise _damaged(self._path, f"tensor {name[:60]!r} has {rank} dimensions")
            sizes = [int(self._number("<Q")) for _ in range(rank)]
            kind, offset = int(self._number("<I")), int(self._number("<Q"))
            total = prod(sizes)
            if not 0 < total < 1 << 48:
                raise _damaged(self._path, f"tensor {name[:60]!r} has an impossible shape")
            known = _TYPES.get(kind)
            if known is not None:
                ends.append(offset + -(-total // known[1]) * known[2])
            weights[known[0] if known is not None else f"type {kind}"] += total
        return weights, ends

    def _number(self, form: str) -> int | float | bool:
        value: int | float | bool
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _text(self) -> str:
        length = int(self._number("<Q"))
        if length > MAX_NAME:
            raise _damaged(self._path, f"a name of {length} bytes")
        return self._bytes(length).decode("utf-8", errors="replace")

    def _bytes(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise IndexError(end)
        found = self._data[self._at : end]
        self._at = end
        return found

    def _value(self, kind: int) -> Value:
        if kind == _STRING:
            # A chat template is long; nothing here needs more of a string than its beginning.
            return self._bytes(int(self._number("<Q")))[:4096].decode("utf-8", errors="replace")
        if (form := _SCALARS.get(kind)) is None:
            raise _damaged(self._path, f"a value of type {kind}")
        return self._number(form)

    def _array(self) -> int:
        kind, count = int(self._number("<I")), int(self._number("<Q"))
        if kind == _STRING:
            if count > MAX_STRINGS:
                raise _damaged(self._path, f"a list of {count} names")
            for _ in range(count):
                self._bytes(int(self._number("<Q")))
        elif (form := _SCALARS.get(kind)) is not None:
            self._at += count * struct.calcsize(form)
            if self._at > len(self._data):
                raise IndexError(self._at)
        else:
            raise _damaged(self._path, f"an array of type {kind}")
        return count
