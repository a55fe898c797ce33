"""The suite file: its schema, and errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from edgebench.backends import plugins, registry
from edgebench.errors import UsageError
from edgebench.machine.facts import ISA_ENVIRONMENT
from edgebench.plan.kinds import KINDS
from edgebench.plan.toml import first_sentence, line_of, read_toml
from edgebench_suites.data.dataset import DataChoice

Precision = Literal["auto", "fp32", "fp16", "bf16", "int8", "int6", "int5", "int4", "int3", "int2"]


def _known(name: str, names: Iterable[str], what: str, reasons: Mapping[str, str] | None = None) -> str:
    """Return a name that is one of `names`; else say so, or what is known of it."""
    if name in (known := tuple(names)):
        return name
    text = (reasons or {}).get(name) or f"unknown {what} {name!r}: choose from {', '.join(known)}"
    raise PydanticCustomError("name", "{text}", {"text": text})


KindName = Annotated[str, AfterValidator(lambda name: _known(name, KINDS, "kind"))]
BackendName = Annotated[str, AfterValidator(lambda name: _known(name, registry.rows(), "backend", registry.broken()))]
Isa = Annotated[str, AfterValidator(lambda name: _known(name, ISA_ENVIRONMENT, "ISA ceiling"))]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Measure(_Strict):
    """How one benchmark is measured; a pass is one inference, a run one worker process."""

    processes: int = Field(default=3, ge=1, le=1000, description="runs (worker processes) a benchmark")
    precision: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="instead of `processes`: relative half-width of 95 % intervals to be reached; 0: off",
    )
    min_runs: int = Field(default=6, ge=5, le=1000, description="with `precision`: never fewer")
    max_runs: int = Field(default=40, ge=5, le=1000, description="with `precision`: never more")
    warmup_passes: int = Field(default=200, ge=0, le=1_000_000)
    passes: int = Field(default=500, ge=1, le=10_000_000, description="timed passes a run")
    values: int = Field(default=20, ge=1, le=10_000, description="pyperf values a run; passes / values loops each")
    min_value_s: float = Field(default=0.0, ge=0, le=60, description="lengthen a value to at least this (0: exact)")
    energy_target: float = Field(default=0.01, gt=0, lt=1, description="relative 1 sigma a window must reach")
    energy_limit: float = Field(default=0.10, gt=0, lt=10, description="above it a figure is withheld")
    energy_window_s: float = Field(default=1.0, gt=0, le=3600, description="shortest window")
    energy_windows: int = Field(default=1, ge=0, le=1000, description="windows a run")
    sustained_s: float = Field(default=600.0, ge=8, le=1500, description="kind sustained: how long the load lasts")
    requests: int = Field(default=5, ge=1, le=1000, description="kind generate: timed requests a run")
    quality_tokens: int = Field(default=4096, ge=256, le=1_000_000, description="kind generate: for perplexity")
    rest_s: float = Field(default=0.0, ge=0, le=3600, description="kind sustained: rest before a run, to cool down")
    time_limit_s: float = Field(default=900.0, gt=0, le=86_400, description="a run, then it is killed")

    @property
    def least_runs(self) -> int:
        """So many runs a benchmark has at least."""
        return self.min_runs if self.precision else self.processes

    @property
    def most_runs(self) -> int:
        """So many runs a benchmark has at most."""
        return self.max_runs if self.precision else self.processes


class Recipe(_Strict):
    """How a model is trained and compressed before it is measured."""

    train_size: int = Field(default=64, ge=16, le=1024, description="pixels (bytes of text) of training and quality")
    pretrain_epochs: int = Field(default=0, ge=0, le=1000, description="in place of ImageNet weights")
    pretrain_lr: float = Field(default=3e-3, gt=0, lt=1)
    pretrain_size: int = Field(default=64, ge=16, le=1024, description="pixels a transfer network's base learns at")
    reestimate_batch_norm: bool = Field(default=False, description="after training: for statistics that follow slowly")
    epochs: int = Field(default=1, ge=0, le=1000)
    lr: float = Field(default=1e-4, gt=0, lt=1)
    batch: int = Field(default=32, ge=1, le=4096)
    subset: float = Field(default=1.0, gt=0, le=1, description="stratified share of the training images")
    augment: bool = False
    finetune_epochs: int = Field(default=5, ge=0, le=1000, description="after structured pruning")
    finetune_lr: float = Field(default=3e-3, gt=0, lt=1)
    distil_epochs: int = Field(default=10, ge=0, le=1000)
    distil_lr: float = Field(default=3e-3, gt=0, lt=1)
    distil_width: float = Field(default=0.5, gt=0, le=2)
    qat_epochs: int = Field(default=1, ge=0, le=1000)
    calibration_images: int = Field(default=128, ge=1, le=10_000)
    head: Literal["linear", "transfer"] = Field(
        default="linear", description="transfer: base frozen; Flatten, Dense, Dropout, Dense trained at train_size"
    )
    head_width: int = Field(default=128, ge=1, le=4096, description="of a transfer head's first Dense")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="of a transfer head")
    validation: float = Field(default=0.2, gt=0, lt=1, description="share of training images for early stopping")
    patience: int = Field(default=2, ge=1, le=1000, description="epochs without a lower validation loss")
    augment_with: Annotated[tuple[Literal["rotate", "shift", "zoom", "flip"], ...], Field(strict=False)] = ()
    engine_int8: Literal["auto", "entropy", "qdq"] = Field(
        default="auto", description="TensorRT: its own entropy calibrator where it has one, or a quantised graph"
    )


class Matrix(_Strict):
    """One `[[benchmark]]` table: the product of its lists, less `exclude`."""

    kind: KindName = "inference"
    model: list[str] = Field(default=[], max_length=100)
    operator: list[str] = Field(default=[], max_length=100)
    width: list[Annotated[float, Field(gt=0, le=4)]] = [1.0]
    variant: list[str] = ["baseline"]
    backend: list[BackendName] = ["torch"]
    precision: list[Precision] = ["auto"]
    batch: list[Annotated[int, Field(ge=1, le=4096)]] = [1]
    threads: list[Annotated[int, Field(ge=0, le=1024)]] = [0]
    image_size: int = Field(default=224, ge=16, le=4096, description="input pixels for latency and energy")
    tokens: int = Field(default=128, ge=1, le=65_536, description="of a language model's prompt, or in its cache")
    prompt_tokens: list[Annotated[int, Field(ge=1, le=1_000_000)]] = Field(default=[128], description="kind generate")
    generate: int = Field(default=64, ge=2, le=1_000_000, description="kind generate: tokens of an answer")
    isa: list[Isa] = ["none"]
    exclude: list[dict[str, str]] = []
    measure: dict[str, int | float] = Field(default={}, description="overrides of [measure] for this table")


class DataTable(_Strict):
    """What a suite takes of the data set."""

    digits: list[Annotated[int, Field(ge=0, le=9)]] = Field(default=[], description="classes of the embedded digits")
    test_images: int = Field(default=0, ge=0, le=1_000_000, description="0: all")

    @field_validator("digits")
    @classmethod
    def _two_or_more(cls, digits: list[int]) -> list[int]:
        if digits and (len(digits) < 2 or sorted(set(digits)) != digits):
            raise PydanticCustomError("digits", "name at least two digits, each once, in rising order")
        return digits

    @property
    def choice(self) -> DataChoice:
        """As what reads the data takes it."""
        return DataChoice(tuple(self.digits), self.test_images)


class SuiteFile(_Strict):
    """A whole suite file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    title: str = Field(default="", max_length=300)
    study: Literal["n150", "jetson", "pi"] | None = None
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
    include: list[str] = Field(default=[], max_length=20)
    idle_s: float = Field(default=5.0, ge=0, le=3600, description="idle power before and after, with a probe")
    resources_hz: float = Field(
        default=2.0, ge=0, le=20, description="samples a second of the resources in use; 0: off"
    )
    max_minutes: float = Field(
        default=30.0, gt=0, le=10_000, description="with `precision`: of measuring, beyond which only `min_runs` goes"
    )
    measure: Measure = Measure()
    data: DataTable = DataTable()
    recipe: dict[Literal["default", "digits", "cifar10", "images"], dict[str, Any]] = {}
    benchmark: list[Matrix] = Field(default=[], max_length=1000)


@dataclass(frozen=True, slots=True)
class Part:
    """One suite file, read and checked; errors found later name lines of its `text`."""

    file: SuiteFile
    path: Path
    text: str

    def wrong(self, loc: tuple[int | str, ...], what: str) -> UsageError:
        """Return the error that something at `loc` is wrong."""
        return UsageError(f"{self.path}:{line_of(self.text, loc)}: {what}")

    def invalid(self, error: ValidationError, *below: int | str) -> UsageError:
        """Return the error of what was validated on its own and lies `below` this in the file."""
        return UsageError(first_sentence(self.path, self.text, error, below=below))


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite as it was asked for, with what it includes: read once, however many need it."""

    asked: str
    whole: Part
    included: tuple[Part, ...]

    @property
    def head(self) -> SuiteFile:
        """The suite's own file."""
        return self.whole.file

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is included, then the suite itself."""
        return (*self.included, self.whole)


def builtin_suites() -> dict[str, Path]:
    """Return {name: file} of the suites that ship with edgebench, by name."""
    folder = Path(str(resources.files("edgebench_suites")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


@cache
def plugin_suites() -> tuple[dict[str, Path], dict[str, str]]:
    """Return {name: file} of the suites that other distributions bring, and {name: sentence} of those skipped.

    An entry point of the group `edgebench.suites` names a path: a string, a `Path` or what returns one.
    """
    found: dict[str, Path] = {}
    refused: dict[str, str] = {}
    for offer in plugins.offers(plugins.SUITES, tuple(builtin_suites())):
        named, reason = plugins.load(offer)
        try:
            path = Path(named() if callable(named) else named) if reason is None else Path()
        except Exception as error:  # noqa: BLE001  # code of others, of which nothing is known
            path, reason = Path(), f"it names no path, {plugins.said(error)}"
        if reason is None:
            try:
                read_suite(path)
            except UsageError as error:
                reason = str(error)
        if reason is None:
            found[offer.name] = path
        else:
            refused[offer.name] = offer.refusal(reason)
    return found, refused


def known_suites() -> dict[str, Path]:
    """Return {name: file} of the suites that ship and of those that plug-ins bring."""
    return builtin_suites() | plugin_suites()[0]


def find_suite(name_or_file: str) -> Path:
    """Return the suite file that a name or a path stands for; UsageError when there is none."""
    suites = builtin_suites()
    if name_or_file in suites:
        return suites[name_or_file]
    path = Path(name_or_file)
    if path.is_file():
        return path
    brought, refused = plugin_suites()
    if name_or_file in brought:
        return brought[name_or_file]
    if name_or_file in refused:
        raise UsageError(refused[name_or_file])
    names = ", ".join([*suites, *brought])
    raise UsageError(f"no suite or file is called {name_or_file!r}: choose one of {names}, or a .toml file")


def read_suite(path: Path) -> tuple[SuiteFile, str]:
    """Read and check one suite file; return it with its text. UsageError names file and line."""
    return read_toml(path, SuiteFile, "suite")


def open_suite(name_or_file: str) -> Suite:
    """Read and check a suite with all that it includes; what is included includes nothing further."""
    path = find_suite(name_or_file)
    whole = Part(*_read(path))
    included = []
    for name in whole.file.include:
        try:
            part_path = find_suite(name)
        except UsageError as error:
            raise whole.wrong(("include",), str(error)) from None
        part = Part(*_read(part_path))
        if part.file.include:
            raise whole.wrong(("include",), f"'{name}' includes others itself: name those here")
        included.append(part)
    return Suite(name_or_file, whole, tuple(included))


def _read(path: Path) -> tuple[SuiteFile, Path, str]:
    file, text = read_suite(path)
    return file, path, text


def resolve_recipe(part: Part, dataset: str) -> Recipe:
    """Return the recipe for a data set: `[recipe.default]` overlaid with `[recipe.<dataset>]`."""
    # "images-1a2b3c4d" and "digits-3-8" are read like "images" and "digits".
    tables: Mapping[str, dict[str, Any]] = {str(name): table for name, table in part.file.recipe.items()}
    own = dataset.partition("-")[0]
    merged = tables.get("default", {}) | tables.get(own, {})
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        key = error.errors(include_url=False, include_context=False)[0]["loc"][0]
        raise part.invalid(error, "recipe", own if key in tables.get(own, {}) else "default") from None
