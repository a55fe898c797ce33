"""Changes of JSON as JSON: bytes that a fuzzer flips in it seldom leave anything to be parsed."""

from __future__ import annotations

import json
import random
from typing import Any

WEIRD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**19,
    10**400,
    1e308,
    -1e308,
    5e-324,
    -0.0,
    0.1,
    "",
    "a" * 500,
    "\u202e\x1b[31m\u009b",
    "=1+1",
    "../..",
    "nan",
    [],
    {},
    [[[]]],
    {"a": 1},
)

# Nodes of one document.
_MOST = 100_000


def changed(data: bytes, rng: random.Random) -> bytes | None:
    """Return JSON, or one of its lines, with a few nodes changed; None for what is none."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines)) if len(lines) < 50 else 0
    for part, put in (
        (data, lambda new: new),
        (lines[at], lambda new: b"\n".join([*lines[:at], new, *lines[at + 1 :]])),
    ):
        try:
            found = json.loads(part)
            for _ in range(rng.randrange(1, 4)):
                found = _change(found, rng)
            return bytes(put(json.dumps(found).encode()))
        except (ValueError, RecursionError, OverflowError):
            continue
    return None


def _change(root: Any, rng: random.Random) -> Any:
    """Change one node: to something weird, to another node, twice, away, or wrapped."""
    holder, key = _place(root, rng)
    if holder is None:
        return rng.choice(WEIRD)
    if rng.random() < 0.6:  # of its own kind: it may then still be valid
        like = [value for value in WEIRD if type(value) is type(holder[key])]
        other, name = _place(root, rng)
        like += [other[name]] if type(other[name]) is type(holder[key]) else []
        holder[key] = json.loads(json.dumps(rng.choice(like or [holder[key]])))
        return root
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        other, name = _place(root, rng)
        holder[key] = json.loads(json.dumps(other[name]))
    elif kind == 2 and isinstance(holder, list):
        holder[key:key] = [holder[key]] * rng.choice([1, 2, 50])
    elif kind == 3:
        for _ in range(rng.choice([1, 80])):
            holder[key] = [holder[key]]
    elif kind == 4 and isinstance(holder[key], int | float):
        holder[key] = holder[key] * rng.choice([-1, 0, 1e3, 1e-9, 1e300]) + rng.choice([0, 1, -1])
    elif kind == 5 and isinstance(holder, dict):
        holder[rng.choice(["", "__class__", "constructor", "x" * 300, f"{key}2"])] = holder[key]
    else:
        holder[key] = rng.choice(WEIRD)
    return root


def _place(root: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a container and a key in it, any one of all; (None, None) where there is none.

    Raises OverflowError for what repetitions of repetitions have made too large.
    """
    places: list[tuple[Any, Any]] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, dict | list):
            keys = list(node) if isinstance(node, dict) else range(len(node))
            places += [(node, key) for key in keys]
            if len(places) > _MOST:
                raise OverflowError
            stack += [node[key] for key in keys]
    return rng.choice(places) if places else (None, None)
