"""The report `edgebench.report/1` as typed values.

Unknown fields are kept when a report is read and written again, so an older edgebench never loses what a newer one
wrote. A field that is None is absent from the JSON: what is not known is not written, and never written as zero.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from edgebench.plan.kinds import KINDS
from edgebench.report.base import Amount, Commit, Count, Few, Many, Name, Pair, Params, Part, Table, Text
from edgebench.report.course import Generated, Resources, ResourceSummary, Sustained
from edgebench.report.origin import Artifact, Bundle, Layers, OwnModel
from edgebench.report.precision import Precision
from edgebench.report.quantity import Metric, Missing, Notice
from edgebench.report.roofs import Roof, Roofline

SCHEMA: Final = "edgebench.report/1"

# What reports may hold: the kinds there are, and one that earlier reports have.
_KINDS = (*KINDS, "idle")


def _known_kind(name: str) -> str:
    if name not in _KINDS:
        raise PydanticCustomError("kind", "it is none of {names}", {"names": ", ".join(_KINDS)})
    return name


Kind = Annotated[str, AfterValidator(_known_kind), WithJsonSchema({"enum": list(_KINDS), "type": "string"})]


class Generator(Part):
    """The program that wrote the report."""

    name: Name = "edgebench"
    version: Name


class Suite(Part):
    """The suite that was run; `study` names the published study it reproduces, if any."""

    name: Name
    digest: Name
    seed: int
    study: Name | None = None


class Image(Part):
    """The container image, where there was one.

    `of` tells what the digest is over: the "image" as the engine knows it, or the "content" that was installed in it
    (nobody told the container its image).
    """

    name: Name
    digest: Name
    of: Literal["image", "content"] = "image"


class Fingerprint(Part):
    """What must be equal to compare (`hard`) and what is listed beside a verdict (`soft`)."""

    hard: Table[JsonValue] = Field(default_factory=dict)
    soft: Table[JsonValue] = Field(default_factory=dict)


class Temperature(Part):
    """Temperature of the processor in degrees Celsius, before and after the session."""

    before: float | None = None
    after: float | None = None


class Machine(Part):
    """The machine and its state; a field is absent where the machine does not tell.

    `board` is its model, `unit` which of several equal boards it is: a name somebody gave, or a digest.
    """

    cpu: Text
    cores: Annotated[int, Field(ge=1)]
    isa: Few[Name] = ()
    memory_bytes: Count | None = None
    governor: Name | None = None
    virtualised: bool | None = None
    emulated: Name | None = None
    temperature_c: Temperature | None = None
    throttled: bool | None = None
    os: Text | None = None
    kernel: Text | None = None
    board: Text | None = None
    unit: Name | None = None


class Probe(Part):
    """A source of energy that was used.

    `resolution` is J for a counter and W for a power sensor; `overhead` is seconds a read and
    `sampler_share` the share of one processor that its sampler (a counter: the watch) used, both measured.
    """

    name: Name
    source: Text
    scope: Name
    kind: Literal["counter", "power"]
    resolution: Amount
    refresh_s: Amount
    overhead: Amount | None = None
    sampler_share: Amount | None = None


class ProbeMissing(Part):
    """A source of energy that could not be used."""

    name: Name
    reason: Text
    fix: Text | None = None


class Idle(Part):
    """Idle power of one scope, before or after the measurements."""

    probe: Name
    scope: Name
    power_w: float
    stdev_w: Amount | None = None
    seconds: Amount
    when: Literal["before", "after"]


class BreakEven(Part):
    """How many inferences repay the energy of compressing, against which benchmark, in which scope."""

    inferences: Amount
    versus: Name
    scope: Name


class Benchmark(Part):
    """One cell of the suite: what was run and what it cost, or why not.

    `group` names the variants that were interleaved with it, `order` the place of each of its runs in the session's
    sequence of runs, `settings` what the runtime really used, `resources` what its runs took of each series
    (``power_w.package``), `roofline` the work of a pass and what bounds it, `sustained` the course of each sustained
    run, `generated` what a language model answered.
    """

    name: Name
    kind: Kind
    params: Params = Field(default_factory=dict)
    status: Literal["ok", "skipped", "failed"]
    reason: Text | None = None
    group: Name | None = None
    artifact: Artifact | None = None
    metrics: Table[Metric] = Field(default_factory=dict)
    missing: Table[Missing] = Field(default_factory=dict)
    layers: Layers | None = None
    settings: Table[JsonValue] | None = None
    break_even: BreakEven | None = None
    resources: Table[ResourceSummary] | None = None
    roofline: Roofline | None = None
    sustained: Few[Sustained] | None = None
    generated: Generated | None = None
    runs_discarded: Count | None = None
    precision: Precision | None = None
    order: Many[Count] | None = None
    warnings: Few[Notice] = ()

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.status != "ok" and not self.reason:
            message = f"a benchmark that is {self.status} needs a reason"
            raise ValueError(message)
        return self


class Contrast(Part):
    """Head against base, both benchmarks of this report: `ratio` head/base, or `difference` head - base.

    `range` is the least to the highest of the pairs of runs.
    """

    metric: Name
    base: Name
    head: Name
    ratio: Amount | None = None
    difference: float | None = None
    ci95: Pair | None = None
    range: Pair | None = None
    pairs: Count
    method: Text
    scope: Name | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.ratio is None) == (self.difference is None):
            message = "a contrast has either a ratio or a difference"
            raise ValueError(message)
        return self


class Metering(Part):
    """What metering does to the workload: the time of a pass inside energy windows against outside, over `runs`."""

    latency_ratio: Amount
    ci95: Pair | None = None
    runs: Count


class Closure(Part):
    """How two probes close: energy of `part` over that of `whole` (``probe:scope``) in the same windows.

    `systematic` is the relative error of the ratio that both data sheets allow (1 sigma).
    """

    part: Name
    whole: Name
    ratio: float
    ci95: Pair
    systematic: Amount
    windows: Count


class Session(Part):
    """Where the session's time went, in seconds, and what was repeated."""

    seconds: Amount
    worker_start_seconds: Amount | None = None
    prepare_seconds: Amount | None = None
    measure_seconds: Amount | None = None
    seed: int | None = None
    resumed: bool = False
    runs_discarded: Count = 0


class Data(Part):
    """The data set that accuracy was measured on."""

    name: Name
    digest: Name
    classes: Count
    train_images: Count
    test_images: Count
    note: Text | None = None


class Report(Part):
    """One session's report. `created` is RFC 3339 in UTC; `id` a UUID.

    `commit` is that of the user's project, of which this is a measurement.
    """

    nullable: ClassVar[frozenset[str]] = frozenset({"image"})

    schema_: Literal["edgebench.report/1"] = Field(default=SCHEMA, alias="schema")
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    created: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)$")]
    status: Literal["complete", "partial"]
    generator: Generator
    commit: Commit | None = None
    suite: Suite
    platform: Name
    image: Image | None = None
    fingerprint: Fingerprint
    machine: Machine
    software: Table[Text] = Field(default_factory=dict)
    probes: Few[Probe] = ()
    probes_missing: Few[ProbeMissing] = ()
    idle: Few[Idle] = ()
    data: Data | None = None
    bundle: Bundle | None = None
    model: OwnModel | None = None
    session: Session | None = None
    benchmarks: Few[Benchmark] = ()
    contrasts: Few[Contrast] = ()
    metering: Metering | None = None
    closures: Few[Closure] = ()
    resources: Resources | None = None
    roofs: Few[Roof] | None = None
    warnings: Few[Notice] = ()

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        name, times = next(iter(Counter(benchmark.name for benchmark in self.benchmarks).most_common(1)), ("", 0))
        if times > 1:
            message = f"{times} benchmarks are called {name[:80]!r}"
            raise ValueError(message)
        return self

    def benchmark(self, name: str) -> Benchmark | None:
        """Return the benchmark of that name, or None."""
        return next((benchmark for benchmark in self.benchmarks if benchmark.name == name), None)
