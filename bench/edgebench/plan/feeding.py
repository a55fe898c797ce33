"""What the inputs of a user's model are fed: as ``--input`` says, else by type and by what the graph does with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.backends.base import TensorSpec
from edgebench.backends.feeds import Calibration, Feed
from edgebench.backends.inputs import MAX_INPUT_BYTES, bytes_of, shape_text
from edgebench.backends.samples import (
    SUFFIXES,
    digest_of_file,
    fitted,
    folder_digest,
    read_arrays,
    read_sample_file,
    samples_in,
)
from edgebench.errors import UsageError

if TYPE_CHECKING:
    from edgebench.backends.inputs import ModelInput

# Types that NumPy can make and every runtime takes.
_NUMBERS = frozenset(
    ["float16", "float32", "float64", "bool"] + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
_FORMS = "FILE.npy, FILE.npz, range:LO:HI, value:V, like:image or like:tokens:VOCAB"
_RANGES = {"float16": 65504.0, "float32": 3.4e38, "float64": 1.7e308}
MOST_FILES = 100_000


def feeds_of(declared: Sequence[ModelInput], shapes: Mapping[str, tuple[int, ...]], given: Sequence[str]) -> list[Feed]:
    """Return what each input is fed. `given` are the texts of ``--input``; UsageError says what is wrong with one."""
    asked: dict[str, str] = {}
    for text in given:
        name, how = split_name(text, declared, "--input")
        if name in asked:
            raise UsageError(f"--input {text}: {name!r} is given twice: leave one out")
        asked[name] = how
    found = []
    for item in declared:
        if item.dtype not in _NUMBERS:
            kind = "text" if item.dtype == "object" else item.dtype
            raise UsageError(f"input {item.name!r} is of type {kind}: edgebench feeds numbers and truths only")
        if (size := bytes_of(TensorSpec(item.name, shapes[item.name], item.dtype))) > MAX_INPUT_BYTES:
            raise UsageError(
                f"input {item.name!r} would take {size / 2**30:.3g} GiB at {shape_text(shapes[item.name])}: "
                f"give a smaller shape (at most {MAX_INPUT_BYTES >> 30} GiB)"
            )
        feed = default_feed(item, shapes[item.name])
        if item.name in asked:
            feed = _asked(feed, item, asked[item.name], only=len(declared) == 1)
        found.append(feed)
    return found


def split_name(text: str, declared: Sequence[ModelInput], option: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``; a name may hold ``=`` itself, and a model's only input needs none. Raises UsageError."""
    names = [item.name for item in declared]
    listed = ", ".join(f"{item.name} {shape_text(item.shape)}" for item in declared)
    for name in sorted(names, key=len, reverse=True):
        if text.startswith(f"{name}="):
            return name, text[len(name) + 1 :]
    name, sign, _ = text.partition("=")
    if not sign or (len(names) == 1 and Path(text).is_file()):
        if len(names) == 1:
            return names[0], text
        raise UsageError(
            f"{option} {text}: the model has {len(names)} inputs, name the one with {option} NAME=…: {listed}"
        )
    folded = {known.lower(): known for known in names}
    near = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    near += [known for known in folded if len(name) > 1 and name.lower() in known]
    meant = f" (did you mean {folded[near[0]]!r}?)" if near else ""
    raise UsageError(f"{option} {text}: the model has no input {name!r}{meant}: its inputs are {listed}")


def default_feed(item: ModelInput, shape: tuple[int, ...]) -> Feed:
    """Return what makes sense for an input that nobody spoke of."""
    feed = Feed(item.name, shape, item.dtype, "integers", high=1.0)
    rows, equals = item.use.rows, item.use.equals
    if item.dtype.startswith("float"):
        return replace(feed, kind="normal", high=0.0)
    if "mask" in item.name.lower():
        return replace(feed, kind="value", low=1.0, why="a mask")
    if item.dtype != "bool" and rows is not None:
        return replace(feed, high=float(max(rows - 1, 0)), why=f"it indexes a table of {rows} rows")
    if item.dtype != "bool" and (equals is not None or item.use.turns):
        why = "how often a loop turns" if equals is None else "the graph tests for it"
        return replace(feed, kind="value", low=float(equals or 1), why=why)
    if item.dtype in {"uint8", "int8"}:
        low = 0.0 if item.dtype == "uint8" else -128.0
        return replace(feed, kind="image" if len(shape) > 2 else "integers", low=low, high=low + 255)
    return feed


def _asked(feed: Feed, item: ModelInput, how: str, *, only: bool) -> Feed:
    """Return the feed that ``--input`` asks for."""
    where = f"--input {feed.name}={how}"
    feed = replace(feed, given=True, why="", low=0.0, high=0.0)
    word, *parts = how.split(":")
    if word == "range" and len(parts) == 2:
        low, high = (_number(part, feed, where) for part in parts)
        if not low < high:
            raise UsageError(f"{where}: {low:g} is not below {high:g}: give the lower end first")
        made = replace(feed, kind="uniform" if feed.dtype.startswith("float") else "integers", low=low, high=high)
    elif word == "value" and len(parts) == 1:
        value = _number(parts[0], feed, where)
        made = replace(feed, kind="value", low=value, high=value)
    elif how == "like:image":
        if len(feed.shape) < 3:
            raise UsageError(f"{where}: an image has three dimensions or more, the input {shape_text(feed.shape)}")
        made = replace(feed, kind="image", high=1.0 if feed.dtype.startswith("float") else 255.0)
        _number(f"{made.high:g}", feed, where)
    elif how.startswith("like:tokens:") and len(parts) == 2:
        if not parts[1].isdigit() or not 1 <= int(parts[1]) <= 2**31 - 1 or feed.dtype.startswith("float"):
            raise UsageError(f"{where}: tokens are whole numbers of a vocabulary of 1 or more: write like:tokens:30522")
        made = replace(feed, kind="integers", high=_number(str(int(parts[1]) - 1), feed, where))
    elif how.endswith(SUFFIXES):
        return _from_file(feed, item, Path(how), only=only)
    else:
        raise UsageError(f"{where}: give one of {_FORMS}")
    rows = item.use.rows
    if rows is not None and not 0 <= made.low <= max(made.low, made.high) < rows:
        raise UsageError(
            f"{where}: the input indexes a table of {rows} rows: values go from 0 to {rows - 1}, "
            f"not from {made.low:g} to {max(made.low, made.high):g}"
        )
    return made


def _from_file(feed: Feed, item: ModelInput, path: Path, *, only: bool) -> Feed:
    digest = digest_of_file(path)
    samples = fitted(samples_in(read_arrays(path), feed.name, only=only, where=path), feed, path, item.use.rows)
    return replace(feed, kind="file", file=str(path.absolute()), digest=digest, samples=len(samples))


def _number(text: str, feed: Feed, where: str) -> float:
    """Return a number that the input's type holds. Raises UsageError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: {text[:40]!r} is no finite number")
    low, high = _ends(feed.dtype)
    # Whole numbers beyond 2^53 are not all there in a double.
    fits = feed.dtype.startswith("float") or (value == int(value) and abs(value) <= 2**53)
    if not fits or not low <= value <= high:
        raise UsageError(f"{where}: the input takes {feed.dtype}, which cannot be {text[:40]}")
    return value


def _ends(dtype: str) -> tuple[float, float]:
    """Return the smallest and the largest number of a type."""
    if dtype.startswith("float"):
        return -_RANGES[dtype], _RANGES[dtype]
    if dtype == "bool":
        return 0.0, 1.0
    bits = int(dtype.lstrip("uint"))
    return (0.0, 2.0**bits - 1) if dtype.startswith("u") else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)


def calibration_of(folder: Path, feeds: Sequence[Feed], declared: Sequence[ModelInput]) -> Calibration:
    """Return a folder of samples, each read and checked. Raises UsageError."""
    try:
        files = sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    except OSError as error:
        raise UsageError(f"--calibration {folder}: cannot be read ({error.strerror}): name a folder") from None
    if not files or len(files) > MOST_FILES:
        raise UsageError(
            f"--calibration {folder}: holds {len(files) or 'no'} .npy or .npz files: give 1 to {MOST_FILES} of samples"
        )
    rows = [item.use.rows for item in declared]
    count = sum(len(read_sample_file(folder / name, feeds, rows)) for name in files)
    return Calibration(str(folder.absolute()), tuple(files), count, folder_digest(folder, files))
