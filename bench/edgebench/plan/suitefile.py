"""The suite file: its schema, and errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from edgebench.backends import registry
from edgebench.errors import unknown
from edgebench.machine.facts import ISA_ENVIRONMENT
from edgebench.plan.kinds import KINDS
from edgebench_suites.data.dataset import DataChoice

Precision = Literal["auto", "fp32", "fp16", "bf16", "int8", "int6", "int5", "int4", "int3", "int2"]


def _known(name: str, names: Iterable[str], what: str, reasons: Mapping[str, str] | None = None) -> str:
    """Return a name that is one of `names`; else say so, or what is known of it."""
    if name in (known := tuple(names)):
        return name
    text = (reasons or {}).get(name) or unknown(what, name, known)
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
    warmup_passes: int = Field(default=200, ge=0, le=1_000_000, description="passes before the first timed one")
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
    pretrain_lr: float = Field(default=3e-3, gt=0, lt=1, description="learning rate of that")
    pretrain_size: int = Field(default=64, ge=16, le=1024, description="pixels a transfer network's base learns at")
    reestimate_batch_norm: bool = Field(default=False, description="after training: for statistics that follow slowly")
    epochs: int = Field(default=1, ge=0, le=1000, description="training after pretraining")
    lr: float = Field(default=1e-4, gt=0, lt=1)
    batch: int = Field(default=32, ge=1, le=4096, description="images a training step")
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

    kind: KindName = Field(default="inference", description="what is measured: docs/method.md lists the kinds")
    model: list[str] = Field(default=[], max_length=100, description="docs/tasks.md lists them")
    operator: list[str] = Field(default=[], max_length=100, description="kind operator: instead of models")
    width: list[Annotated[float, Field(gt=0, le=4)]] = [1.0]
    variant: list[str] = Field(default=["baseline"], description="how it was compressed: docs/compression.md")
    backend: list[BackendName] = Field(default=["torch"], description="the runtime: docs/backends.md")
    precision: list[Precision] = Field(default=["auto"], description="auto: what the variant is made for")
    batch: list[Annotated[int, Field(ge=1, le=4096)]] = Field(default=[1], description="inputs, or requests, at once")
    threads: list[Annotated[int, Field(ge=0, le=1024)]] = [0]
    image_size: int = Field(default=224, ge=16, le=4096, description="input pixels for latency and energy")
    tokens: int = Field(default=128, ge=1, le=65_536, description="of a language model's prompt, or in its cache")
    prompt_tokens: list[Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default=[128], description="of a request to a language model"
    )
    generate: int = Field(default=64, ge=2, le=1_000_000, description="tokens of the answer to a request")
    isa: list[Isa] = ["none"]
    exclude: list[dict[str, str]] = Field(default=[], description="combinations to leave out: key and glob")
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

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="small letters, digits, `.`, `_` and `-`")
    title: str = Field(default="", max_length=300, description="what it answers, in a sentence")
    study: Literal["n150", "jetson", "pi"] | None = Field(
        default=None, description="whose published findings the report is held against"
    )
    seed: int = Field(default=42, ge=0, le=2**31 - 1, description="of training, data and the order of runs")
    include: list[str] = Field(default=[], max_length=20, description="suites that are measured with it")
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


def suite_schema() -> dict[str, Any]:
    """Return the JSON Schema (Draft 2020-12) of a suite file: TOML of the same shape."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SuiteFile.model_json_schema()}
