"""A model of one's own: its file, format and shapes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.families import FOLDERS, LANGUAGE, family_named, suffixes
from edgebench.backends.feeds import Calibration, Feed
from edgebench.backends.genai import context_of
from edgebench.backends.gguffile import GgufFacts, read_gguf
from edgebench.backends.held import held_precision
from edgebench.backends.inputs import shape_text
from edgebench.backends.litertlmfile import read_container
from edgebench.backends.llamacpp import SMALLEST, too_large
from edgebench.backends.onnxfile import outside, read_facts
from edgebench.backends.ortgenaifile import named_files, read_config
from edgebench.backends.reader import reader_of
from edgebench.compress.steps import BASELINE, precision_of
from edgebench.errors import BackendError, UsageError
from edgebench.plan.feeding import calibration_of, feeds_of, split_name
from edgebench_suites.data.text import MAX_TEXT_BYTES, why_no_text

if TYPE_CHECKING:
    from edgebench.backends.inputs import ModelInput

# What is made of a file without samples, besides fp16.
QUICK = ("ptq-dynamic", "weights-int8")
_MOST_FILES = 200
# A token is read, and two are generated.
LEAST_REQUEST = 3


@dataclass(frozen=True, slots=True)
class BringYourOwn:
    """A model file of the user's, measured in place of the suite's models.

    `path` keeps the name that the user gave, also where it is a link. `feeds` has every input with its fixed shape and
    what it is fed, `calibration` the user's samples for quantisers. `digest` is over the content of all files that the
    model consists of, with the names by which it knows them; `beside` are those names, relative to the model's folder,
    without the model's own. `precision` is what the file holds: ``fp32``, ``fp16``, ``int8`` or ``int4``; `context` is
    for how many tokens a language model was made, None where its file does not tell; `gguf` is what such a file says.
    """

    path: Path
    format: str
    digest: str
    beside: tuple[str, ...] = ()
    precision: str = "fp32"
    feeds: tuple[Feed, ...] = ()
    calibration: Calibration | None = None
    context: int | None = None
    gguf: GgufFacts | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every input."""
        return {feed.name: feed.shape for feed in self.feeds}

    @property
    def chosen(self) -> list[Any]:
        """What tells two benchmarks of one file apart: what it is fed, unless standard normal, and the calibration."""
        feeds = [feed.identity for feed in self.feeds if feed.kind != "normal"]
        return ([feeds] if feeds else []) + ([] if self.calibration is None else [self.calibration.digest])

    @property
    def generates(self) -> bool:
        """Whether it is a language model's, which only requests are of use to."""
        return self.format in LANGUAGE

    @property
    def name(self) -> str:
        """What its benchmarks are called by."""
        return self.path.name if self.format in FOLDERS.values() else self.path.stem

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


@dataclass(frozen=True, slots=True)
class OwnOptions:
    """What the command line says of a model: the texts of ``--shape`` and ``--input``, the folder of samples."""

    shapes: Sequence[str] = ()
    inputs: Sequence[str] = ()
    calibration: Path | None = None


def own_model(path: Path, asked: OwnOptions, look: Callable[[Path], Sequence[ModelInput]]) -> BringYourOwn:
    """Return the user's model; `look` tells the inputs that its file declares. UsageError says what is wrong."""
    of_folder = next((form for name, form in FOLDERS.items() if (path / name).is_file()), None)
    if (form := of_folder or suffixes().get(path.suffix.lower())) is None:
        ends, has = ", ".join(suffixes()), " or ".join(FOLDERS)
        raise UsageError(f"--model {path}: give a file that ends in {ends}, or a folder with {has} in it")
    if of_folder is None and path.exists() and not path.is_file():
        raise UsageError(f"--model {path}: is no file: give the path of a model file")
    try:
        folder = of_folder is not None
        gguf = _gguf(path) if form == "gguf" else None
        beside = _in_folder(path, form) if folder else other_files(path)
        precision = held_precision(path, form)
        context = _context(path, form) if gguf is None else gguf.context
        others = [(name, (path if folder else path.parent) / name) for name in beside]
        digest = _digest(others if folder else [("", path), *others])
    except OSError as error:
        file = error.filename or path
        raise UsageError(f"--model {file}: cannot be read ({error.strerror}): check name and permissions") from None
    except BackendError as error:
        raise UsageError(str(error)) from None
    generates = form in LANGUAGE
    if generates and (asked.shapes or asked.inputs or asked.calibration):
        raise UsageError(f"--model {path}: a language model is given a text (--text), no inputs")
    declared = [] if generates else look(path)
    feeds = feeds_of(declared, fixed_shapes(declared, asked.shapes), asked.inputs)
    samples = asked.calibration
    return BringYourOwn(
        path=path.absolute(),
        format=form,
        digest=digest,
        beside=beside,
        precision=precision,
        feeds=tuple(feeds),
        calibration=None if samples is None else calibration_of(samples, feeds, declared),
        context=context,
        gguf=gguf,
    )


def _digest(files: Sequence[tuple[str, Path]]) -> str:
    """Return the SHA-256 over names and contents of a model's files."""
    total = hashlib.sha256()
    for name, file in files:
        total.update(f"{name}\0".encode())
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def fixed_shapes(inputs: Sequence[ModelInput], given: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return every input's shape: as given (``1x3x224x224`` or ``INPUT=1x3x224x224``), else the file's.

    A free first dimension (the batch) is 1. Raises UsageError with the list of inputs.
    """
    asked: dict[str, tuple[int, ...]] = {}
    for text in given:
        sizes = text.rpartition("=")[2]
        if not re.fullmatch(r"[1-9][0-9]{0,6}(x[1-9][0-9]{0,6}){0,7}", sizes):
            raise UsageError(f"--shape {text}: write sizes above zero joined by x, such as 1x3x224x224 or ids=1x128")
        name, _ = split_name(text, inputs, "--shape")
        asked[name] = tuple(int(size) for size in sizes.split("x"))
    listed = ", ".join(f"{item.name} {shape_text(item.shape)}" for item in inputs)
    found = {}
    for item in inputs:
        free = [axis for axis, size in enumerate(item.shape) if size is None]
        if (shape := asked.get(item.name)) is None:
            if free not in ([], [0]):
                text = "x".join("?" if size is None else str(size) for size in item.shape)
                raise UsageError(f"input {item.name!r} is {text}: give --shape {item.name}=... (inputs: {listed})")
            shape = tuple(1 if size is None else size for size in item.shape)
        if len(shape) != len(item.shape):
            sizes = "x".join(map(str, shape))
            raise UsageError(
                f"--shape {item.name}={sizes}: has {len(shape)} sizes, and the input takes {len(item.shape)}: {listed}"
            )
        if 0 in shape:
            raise UsageError(f"input {item.name!r} is {shape_text(shape)}, which is empty: export it with a free size")
        found[item.name] = shape
    return found


def own_text(path: Path) -> OwnText:
    """Return a text of the user's; UsageError where it cannot be read, is empty, too long or no text."""
    if path.exists() and not path.is_file():
        raise UsageError(f"--text {path}: is no file: give the path of a text")
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--text {path}: cannot be read ({error.strerror}): check name and permissions") from None
    if reason := why_no_text(text):
        raise UsageError(f"--text {path}: {reason}")
    return OwnText(path.absolute(), hashlib.sha256(text).hexdigest())


def other_files(path: Path) -> tuple[str, ...]:
    """Return the names of a model's other files, relative to its folder: an IR's weights, ONNX's external data.

    Raises OSError where the file cannot be read, UsageError where it names one outside its folder.
    """
    form = suffixes().get(path.suffix.lower(), "")
    if form == "openvino":
        return (path.with_suffix(".bin").name,)
    if (reader := reader_of(form)) is not None:
        names = sorted(reader.others(path))
    else:
        names = sorted(read_facts(path).external) if form == "onnx" else []
    return _inside(path, names)


def _in_folder(path: Path, form: str) -> tuple[str, ...]:
    """Return the names of the files of a language model's folder; those in folders below belong to it where named."""
    names = {file.name for file in path.iterdir() if file.is_file()}
    if form == "ort-genai":
        names |= {*named_files(path)}
    if len(names) > _MOST_FILES:
        raise UsageError(f"--model {path}: has {len(names)} files: give a folder with nothing else in it")
    return _inside(path, sorted(names))


def _inside(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    if found := next((name for name in names if outside(name)), None):
        raise UsageError(
            f"--model {path}: keeps weights in {found[:80]!r}, outside its folder: export it with its data beside it"
        )
    return tuple(names)


def _gguf(path: Path) -> GgufFacts:
    """Return what a file says of itself; BackendError where nothing that can be made of it fits into memory."""
    facts = read_gguf(path)
    reason = too_large(path, facts, LEAST_REQUEST)
    if reason and (facts.precision.startswith("int") or too_large(path, facts, LEAST_REQUEST, SMALLEST)):
        raise BackendError(reason)
    return facts


def _context(path: Path, form: str) -> int | None:
    """Return for how many tokens a language model was made; None where that is not told."""
    if form == "litert-lm":
        return read_container(path).context
    if form == "ort-genai":
        return read_config(path).context
    return context_of(path) if form == "genai" else None


def why_not_own(own: BringYourOwn, family: str, variant: str, tokens: int = LEAST_REQUEST) -> str | None:
    """Say why a user's file cannot be measured so, or None; `tokens` are of all requests made at once."""
    suffix = next((suffix for suffix, known in suffixes().items() if known == own.format), None)
    if own.format not in family_named(family).own:
        return f"{'such a folder' if suffix is None else f'a {suffix} file'} does not run in this backend"
    if own.generates:
        if (reason := _why_not_language(own, family, variant)) or own.gguf is None:
            return reason
        return too_large(own.path, own.gguf, tokens, None if variant == BASELINE else variant)
    if variant == BASELINE:
        return None
    if reader_of(own.format) is not None:
        return f"a {suffix} file is measured as it is: give the model that it was made from"
    return _why_not_made(own, family, variant)


def _why_not_made(own: BringYourOwn, family: str, variant: str) -> str | None:
    """Say why a form cannot be made of a file, or None."""
    if variant not in ("fp16", "ptq-static", *QUICK):
        return f"{variant} needs a model that edgebench can train, not a file"
    if family == "torch":
        return "an exported program cannot be quantised or halved again in torch"
    if own.precision in ("int8", "int4", precision_of(variant)):
        what = "is quantised already" if own.precision.startswith("int") else "holds FP16 weights already"
        return f"the file {what}: measure it as it is, or give the FP32 file that it was made from"
    return None


def _why_not_language(own: BringYourOwn, family: str, variant: str) -> str | None:
    """Say why a language model cannot be made into a format; only full precision is quantised, as its tools advise."""
    if variant == BASELINE:
        return None
    if variant not in family_named(family).steps:
        return f"{variant} needs a model that edgebench can train, not a file"
    if own.precision == precision_of(variant) or own.precision.startswith("int"):
        return f"it is in {own.precision} already: measure it as it is, or give the FP16 model that it was made from"
    return None
