"""What must be equal to compare, and what is listed beside a verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SHOWN = 120
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of two fingerprints that differs; the values as text, ``absent`` where a side has none."""

    field: str
    base: str
    head: str


def differences(base: Mapping[str, Any], head: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return the fields that differ; nested tables go by ``software.torch``."""
    first, second = dict(_flat(base)), dict(_flat(head))
    keys = [*first, *(key for key in second if key not in first)]
    return tuple(
        Difference(key, _text(first, key), _text(second, key))
        for key in keys
        if _text(first, key, None) != _text(second, key, None)
    )


def _flat(table: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value and depth < 5:
            yield from _flat(value, f"{prefix}{key}.", depth + 1)
        else:
            yield f"{prefix}{key}", value


def _text(table: Mapping[str, Any], key: str, limit: int | None = _SHOWN) -> str:
    if key not in table:
        return ABSENT
    value = table[key]
    shown = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…"
