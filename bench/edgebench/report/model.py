"""The report `edgebench.report/1` as typed values.

Unknown fields are kept when a report is read and written again, so an older edgebench never loses what a newer one
wrote. A field that is None is absent from the JSON: what is not known is not written, and never written as zero.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from edgebench.report.base import Amount, Count, Few, Many, Name, Pair, Part, Table, Text

SCHEMA: Final = "edgebench.report/1"

Kind = Literal["inference", "compress", "operator", "idle", "sustained"]
Better = Literal["lower", "higher"]


class Notice(Part):
    """A warning as data: `code` for programs, `text` a sentence for people."""

    code: Name
    text: Text


class Missing(Part):
    """Why a figure is not there, and what would bring it."""

    reason: Text
    fix: Text | None = None


class Generator(Part):
    """The program that wrote the report."""

    name: Name = "edgebench"
    version: Name
    commit: Name | None = None


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
    """The machine and its state; a field is absent where the machine does not tell."""

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


class Probe(Part):
    """A source of energy that was used.

    `resolution` is J for a counter and W for a power sensor; `overhead` is seconds a read and
    `sampler_share` the share of one processor that its sampler used, both measured.
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


class Passes(Part):
    """Percentiles of single passes in seconds, one entry a run; `count` is the number of passes of all runs."""

    count: Count
    p50: Many[Amount]
    p90: Many[Amount]
    p95: Many[Amount]
    p99: Many[Amount]


class Metric(Part):
    """One measured quantity.

    `runs` holds the values of each worker process, in order. `value` is there for what has one value only (a size).
    `median` is that over runs of the runs' medians and `ci95` its interval (`report.intervals`): the run is the unit
    of replication, and fewer than five have none.
    `uncertainty` is 1 sigma (random) and `systematic` 1 sigma (common to all windows), both in `unit`; `parts` splits
    the uncertainty by its causes, in `unit`. `loops` is the number of passes behind each value, `warmups` the values
    before the measured ones, both one entry a run.
    `images` is the number of test images behind an accuracy.
    """

    unit: Name
    better: Better
    value: float | None = None
    runs: Few[Many[float]] | None = None
    count: Annotated[int, Field(ge=1)]
    mean: float
    median: float
    stdev: Amount | None = None
    min: float
    max: float
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    ci95: Pair | None = None
    scope: Name | None = None
    probe: Name | None = None
    uncertainty: Amount | None = None
    systematic: Amount | None = None
    parts: Table[Amount] | None = None
    passes: Passes | None = None
    loops: Few[Annotated[int, Field(ge=1)]] | None = None
    warmups: Few[Many[float]] | None = None
    images: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.unit in {"s", "B"} and self.min < 0:
            message = f"a quantity in {self.unit} cannot be negative"
            raise ValueError(message)
        if self.min > self.max:
            message = "min is larger than max"
            raise ValueError(message)
        if self.ci95 is not None and self.ci95[0] > self.ci95[1]:
            message = "ci95 must be [low, high]"
            raise ValueError(message)
        return self


class Joules(Part):
    """An energy with its random uncertainty (1 sigma), both in joules, and the probe that measured it."""

    energy_j: float
    uncertainty_j: Amount | None = None
    probe: Name | None = None


class LedgerPhase(Part):
    """One phase of making an artifact: time, memory and energy by scope. `cached`: taken from an earlier session."""

    phase: Name
    seconds: Amount | None = None
    peak_memory_bytes: Count | None = None
    energy: Table[Joules] | None = None
    missing: Table[Missing] | None = None
    cached: bool = False
    note: Text | None = None


class PreparedOn(Part):
    """The other machine that made an artifact, and the packages that decide what it made."""

    cpu: Text
    architecture: Name
    os: Text | None = None
    software: Table[Text] = Field(default_factory=dict)


class Bundle(Part):
    """The bundle that the artifacts came from: its digest, for which platform, by which edgebench, when."""

    digest: Name
    platform: Name
    edgebench: Name
    created: Name


class Artifact(Part):
    """The file a backend loads. `sparsity` is the share of weights that are exactly zero, 0 to 1.

    `prepared_on` is there when another machine made it: the ledger is then that machine's.
    """

    digest: Name
    size_bytes: Count
    sparsity: Annotated[float, Field(ge=0, le=1)] | None = None
    format: Name | None = None
    ledger: Few[LedgerPhase] = ()
    prepared_on: PreparedOn | None = None


class Layers(Part):
    """Executed layers by precision, as the runtime tells it; `fallback` names those above the precision asked for."""

    source: Text
    total: Count
    int8: Count | None = None
    fp32: Count | None = None
    bf16: Count | None = None
    fp16: Count | None = None
    other: Count | None = None
    fallback: Few[Text] = ()


class ResourceSeries(Part):
    """One resource over time, at most some 500 points whatever the session's length.

    `t_s` are seconds on the axis of `resources`, `value` the samples. Of a longer series, a point is a bin of `bin_s`
    seconds: its mean, with the least and the highest sample in `min` and `max`. Where nothing was sampled, there is no
    point. `samples` counts what was read. Of processor time, 100 % is one processor.
    """

    name: Name
    unit: Name
    source: Text | None = None
    scope: Name | None = None
    samples: Count
    bin_s: Amount | None = None
    t_s: Many[float]
    value: Many[float]
    min: Many[float] | None = None
    max: Many[float] | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if any(len(values) != len(self.t_s) for values in (self.value, self.min, self.max) if values is not None):
            message = f"the lists of the series {self.name[:80]!r} differ in length"
            raise ValueError(message)
        return self


class ResourceSpan(Part):
    """A stretch of the axis: a run or the making of an artifact (`name`: its benchmark), a phase of it, or idling."""

    name: Name
    kind: Literal["prepare", "run", "idle"]
    phase: Name | None = None
    begin_s: Amount
    end_s: Amount


class ResourceSummary(Part):
    """A resource inside the timed part of a benchmark's runs: mean and highest of so many samples."""

    unit: Name
    mean: float
    peak: float
    samples: Count


class Resources(Part):
    """Use of resources over the whole session, sampled `rate_hz` times a second; the axis begins with the first sample.

    `missing` says by series (``power_w.package``) why it is not there.
    """

    rate_hz: Amount
    series: Few[ResourceSeries] = ()
    spans: Few[ResourceSpan] = ()
    missing: Table[Missing] = Field(default_factory=dict)


class Change(Part):
    """A ratio hot over cold: `ci95` from the windows of both, `uncertainty` (1 sigma) what measuring adds itself."""

    ratio: Amount
    ci95: Pair | None = None
    uncertainty: Amount | None = None


class Sustained(Part):
    """The course of one sustained run; seconds count from its first pass, at `begin_s` on the axis of `resources`.

    `cold` and `hot` are [begin, end] of the first and the last minute (a quarter of a run shorter than four), `bin_s`
    the mean length of a bin. `verdict`: ``none`` (no lasting fall of throughput), ``throttled`` (a counter, a firmware
    flag or the frequency says so), ``slowed`` (a lasting fall whose cause this machine does not show) or ``disturbed``
    (one while others took the processor); `fall` is the share of throughput lost, from `onset_s` on.
    """

    seconds: Amount
    passes: Count
    bin_s: Amount
    longest_pass_s: Amount
    begin_s: Amount | None = None
    cold: Pair
    hot: Pair
    series: Few[ResourceSeries] = ()
    hot_over_cold: Table[Change] = Field(default_factory=dict)
    verdict: Literal["none", "throttled", "slowed", "disturbed"]
    verdict_text: Text
    onset_s: Amount | None = None
    fall: Amount | None = None


class BreakEven(Part):
    """How many inferences repay the energy of compressing, against which benchmark, in which scope."""

    inferences: Amount
    versus: Name
    scope: Name


class Benchmark(Part):
    """One cell of the suite: what was run and what it cost, or why not.

    `group` names the variants that were interleaved with it, `order` the place of each of its runs in the session's
    sequence of runs, `settings` what the runtime really used, `resources` what its runs took of each series
    (``power_w.package``), `sustained` the course of each sustained run.
    """

    name: Name
    kind: Kind
    params: Table[JsonValue] = Field(default_factory=dict)
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
    sustained: Few[Sustained] | None = None
    runs_discarded: Count | None = None
    order: Many[Count] | None = None
    warnings: Few[Notice] = ()

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.status != "ok" and not self.reason:
            message = f"a benchmark that is {self.status} needs a reason"
            raise ValueError(message)
        return self


class Contrast(Part):
    """Head against base, both benchmarks of this report: `ratio` head/base, or `difference` head - base."""

    metric: Name
    base: Name
    head: Name
    ratio: Amount | None = None
    difference: float | None = None
    ci95: Pair | None = None
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
    """One session's report. `created` is RFC 3339 in UTC; `id` a UUID."""

    nullable: ClassVar[frozenset[str]] = frozenset({"image"})

    schema_: Literal["edgebench.report/1"] = Field(default=SCHEMA, alias="schema")
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    created: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)$")]
    status: Literal["complete", "partial"]
    generator: Generator
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
    session: Session | None = None
    benchmarks: Few[Benchmark] = ()
    contrasts: Few[Contrast] = ()
    metering: Metering | None = None
    closures: Few[Closure] = ()
    resources: Resources | None = None
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
