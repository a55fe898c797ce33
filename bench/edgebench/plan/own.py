"""A model of one's own: its file, format and shapes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.backends.families import FAMILIES, SUFFIXES
from edgebench.backends.held import held_precision
from edgebench.backends.onnxfile import outside, read_facts
from edgebench.compress.steps import GGUF_FORMATS, precision_of
from edgebench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class BringYourOwn:
    """A model file of the user's, measured in place of the suite's models.

    `path` keeps the name that the user gave, also where it is a link. `shapes` are those the user fixed, by input name
    (``*``: the only input); `digest` is over the content of all files that the model consists of, with the names by
    which it knows them; `beside` are those names, relative to the model's folder, without the model's
    own. `precision` is what the file holds: ``fp32``, ``fp16`` or ``int8``.
    """

    path: Path
    format: str
    shapes: dict[str, tuple[int, ...]]
    digest: str
    beside: tuple[str, ...] = ()
    precision: str = "fp32"

    @property
    def generates(self) -> bool:
        """Whether it is a language model's file, which only requests are of use to."""
        return self.format == "gguf"

    def suited(self) -> str:
        """Return how such a file is measured."""
        if self.generates:
            return f"'edgebench suite llm-own --model {self.path.name}' does"
        return "choose a suite with benchmarks of kind inference, as 'edgebench suite smoke'"


@dataclass(frozen=True, slots=True)
class OwnText:
    """A text of the user's that a language model reads in place of the one that ships."""

    path: Path
    digest: str


def own_model(path: Path, shapes: Sequence[str]) -> BringYourOwn:
    """Return the user's model; `shapes` are ``1x3x224x224`` or ``INPUT=1x3x224x224``. UsageError says what is wrong."""
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"--model {path}: give a file that ends in {', '.join(SUFFIXES)}")
    try:
        beside = _beside(path, form)
        precision = held_precision(path, form)
        total = hashlib.sha256()
        for name in ("", *beside):
            file = path.parent / name if name else path
            total.update(f"{name}\0".encode())
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        file = error.filename or path
        raise UsageError(f"--model {file}: cannot be read ({error.strerror}): check name and permissions") from None
    fixed: dict[str, tuple[int, ...]] = {}
    for text in shapes:
        name, _, sizes = text.rpartition("=")
        if not re.fullmatch(r"[1-9][0-9]{0,6}(x[1-9][0-9]{0,6}){0,7}", sizes):
            raise UsageError(f"--shape {text}: write sizes above zero joined by x, such as 1x3x224x224 or ids=1x128")
        fixed[name or "*"] = tuple(int(size) for size in sizes.split("x"))
    return BringYourOwn(path.absolute(), form, fixed, total.hexdigest(), beside, precision)


def own_text(path: Path) -> OwnText:
    """Return a text of the user's; UsageError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"--text {path}: cannot be read ({error.strerror}): check name and permissions") from None
    return OwnText(path.absolute(), digest)


def _beside(path: Path, form: str) -> tuple[str, ...]:
    """Return the names of a model's other files: an IR's weights, an ONNX file's external data."""
    if form == "openvino":
        return (path.with_suffix(".bin").name,)
    if form != "onnx":
        return ()
    names = sorted(read_facts(path).external)
    if found := next((name for name in names if outside(name)), None):
        raise UsageError(
            f"--model {path}: keeps weights in {found[:80]!r}, outside its folder: export it with its data beside it"
        )
    return tuple(names)


def why_not_own(own: BringYourOwn, family: str, variant: str) -> str | None:
    """Say why a user's file cannot be measured so, or None."""
    if own.format not in FAMILIES[family].own:
        suffix = next(suffix for suffix, known in SUFFIXES.items() if known == own.format)
        return f"a {suffix} file does not run in this backend"
    if own.generates:
        return _why_not_gguf(own, variant)
    if variant not in ("baseline", "fp16", "ptq-static"):
        return f"{variant} needs a model that edgebench can train, not a file"
    if variant != "baseline" and family == "torch":
        return "an exported program cannot be quantised or halved again in torch"
    if variant != "baseline" and own.precision in ("int8", precision_of(variant)):
        what = "is quantised already" if own.precision == "int8" else "holds FP16 weights already"
        return f"the file {what}: measure it as it is, or give the FP32 file that it was made from"
    return None


def _why_not_gguf(own: BringYourOwn, variant: str) -> str | None:
    """Say why a GGUF file cannot be made into a format; only full precision is quantised, as the library advises."""
    if variant == "baseline":
        return None
    if variant not in ("fp16", *GGUF_FORMATS):
        return f"{variant} needs a model that edgebench can train, not a file"
    if own.precision == precision_of(variant) or own.precision.startswith("int"):
        return (
            f"the file is in {own.precision} already: measure it as it is, or give the F16 file that it was made from"
        )
    return None
