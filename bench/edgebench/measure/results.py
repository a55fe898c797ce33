"""What a measuring process answers: one type a kind of run, in totals.

Joules are of a whole window: nobody divides by passes before the report does. Instants are on CLOCK_MONOTONIC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebench.backends.base import TensorSpec
from edgebench.measure.messages import Answer, Message, RunClock


class Window(Message, frozen=True, kw_only=True):
    """Energy of `passes` passes that took `seconds` in all, of one scope; windows of one `index` cover the same passes.

    `uncertainty_j` is random (1 sigma) with `parts_j` by cause, `systematic_j` from the data sheet (1 sigma).
    """

    probe: str
    scope: str
    index: int
    passes: int
    seconds: float
    energy_j: float
    uncertainty_j: float
    systematic_j: float
    parts_j: Mapping[str, float]
    samples: int
    max_gap_s: float
    coverage: float
    begin_s: float
    end_s: float

    @property
    def power_w(self) -> float:
        """Mean power of the window."""
        return self.energy_j / self.seconds

    @property
    def pass_s(self) -> float:
        """Mean seconds of a pass."""
        return self.seconds / self.passes


def place(probe: str, scope: str) -> str:
    """Return what a figure of energy is of, ``probe:scope``: joules belong to one probe, never to a scope alone."""
    return f"{probe}:{scope}"


class Windows(Message, frozen=True, kw_only=True):
    """The energy windows of one stretch of a run; `failed` gives, by ``probe:scope``, why there is no figure.

    `discarded` counts those that were measured again; `sampler_share` is, by ``probe:scope``, the share of a processor
    that reading took.
    """

    windows: tuple[Window, ...] = ()
    discarded: int = 0
    failed: Mapping[str, str] = {}
    sampler_share: Mapping[str, float] = {}


class Process(Message, frozen=True, kw_only=True):
    """What the worker's process took; None is what system or runtime do not tell, `untold` why, by the field's name."""

    load_s: float | None
    compile_s: float | None
    first_inference_s: float
    cpu_percent: float
    peak_memory_bytes: int | None
    untold: Mapping[str, str] = {}


class Layers(Message, frozen=True, kw_only=True):
    """Executed layers: how many in all, those that multiply by precision, and those above the precision asked for."""

    executed: int
    counts: Mapping[str, int]
    fallback: tuple[str, ...] = ()
    source: str | None = None


class OperatorWork(Message, frozen=True, kw_only=True):
    """What one pass of an operator does; `operations` is None for one that only moves bytes."""

    operations: int | None
    bytes_moved: int


class DataFacts(Message, frozen=True, kw_only=True):
    """The data set that quality was measured on."""

    name: str
    digest: str
    classes: int
    train_images: int
    test_images: int
    note: str


class Evaluation(Message, frozen=True, kw_only=True):
    """Answers on labelled images; `correct_bits` is one bit an image, hexadecimal; `loss` None: outputs not finite."""

    images: int
    correct: int
    loss: float | None
    correct_bits: str
    size: int
    data: DataFacts


class TaskQuality(Message, frozen=True, kw_only=True):
    """What a task other than classification is judged by; `missing` gives the reason of each metric without a value."""

    task: str
    metrics: Mapping[str, float]
    missing: Mapping[str, str]
    samples: int
    data: DataFacts | None


class Agreement(Message, frozen=True):
    """Mean cosine of the outputs (None where one is not finite) and share of equal arg-max, over `answers` of them."""

    cosine: float | None
    top1: float
    answers: int


class Answers(Message, frozen=True, kw_only=True):
    """What a user's model answers: all numbers `finite`, and `constant` whatever it is fed; or why that is unknown."""

    finite: bool | None = None
    constant: bool | None = None
    why_not: str | None = None


class Reading(Message, frozen=True, kw_only=True):
    """How well a language model foresees a text: the mean negative log-likelihood of `scored` tokens, in nats.

    `same` is the share of them at which its most likely token is that of the highest precision; None, and why, without.
    """

    nll: float
    scored: int
    data: DataFacts
    same: float | None = None
    why_not: str | None = None


class Quality(Message, frozen=True, kw_only=True):
    """What is known of a file's answers: on labelled images, by its task, and against FP32.

    FP32 is torch's, or a user's file (whose `answers` are looked at) as it was; a language model has a `reading`.
    """

    evaluation: Evaluation | None = None
    task: TaskQuality | None = None
    agreement: Agreement | None = None
    answers: Answers | None = None
    reading: Reading | None = None
    unread: str | None = None


class RunAnswer(Answer, frozen=True, kw_only=True):
    """Base of the result of one run; `settings` are what the runtime really used, asked of the first run only."""

    clock: RunClock
    versions: Mapping[str, str]
    settings: Mapping[str, Any] | None = None
    quality: Quality | None = None


class ModelAnswer(RunAnswer, frozen=True, kw_only=True):
    """Base of the result of a run that executed a model or an operator."""

    process: Process
    inputs: tuple[TensorSpec, ...] = ()
    layers: Layers | None = None


class PassTimes(Message, frozen=True, kw_only=True):
    """Values (seconds a pass, mean over `loops`) in order, and single passes: how many, quantiles and extremes."""

    values: tuple[float, ...]
    warmups: tuple[float, ...]
    loops: int
    passes: int
    p50_s: float
    p90_s: float
    p95_s: float
    p99_s: float
    min_s: float
    max_s: float


class Batch(Message, frozen=True, kw_only=True):
    """Requests to a language model that are made at once, again and again: one, and as many as there are `others`.

    Each reads `prompt` tokens and generates `generated`. `tokens` are what the first of the first batch generated,
    `others` what those made with it did; `same`: every batch did.
    """

    prompt: int
    generated: int
    tokens: tuple[int, ...]
    others: tuple[tuple[int, ...], ...] = ()
    same: bool

    @property
    def batch(self) -> int:
        """Requests made at once."""
        return 1 + len(self.others)

    @property
    def read(self) -> int:
        """Tokens that are read in a pass, of all its requests."""
        return self.batch * self.prompt

    @property
    def stepped(self) -> int:
        """Tokens that come from steps in a pass, of all its requests: the first of each comes from reading."""
        return self.batch * (self.generated - 1)


class Requests(Batch, frozen=True, kw_only=True):
    """Batches that are timed one by one, each a pass of the run.

    `alone` says of each request how many tokens are those of the same request made alone, up to the first that is not;
    None: not asked. `prefill_s` and `decode_s` have an entry a batch; `steps` are quantiles of single steps, a token of
    each request, `course` their medians between `edges`, places in the context; `prefill` and `decode` are windows.
    """

    prefill_s: tuple[float, ...]
    decode_s: tuple[float, ...]
    steps: PassTimes
    edges: tuple[int, ...]
    course: tuple[float, ...]
    cache_bytes: int | None
    prefill: Windows = Windows()
    decode: Windows = Windows()
    alone: tuple[int, ...] | None = None


class InferenceResult(ModelAnswer, frozen=True, kw_only=True, tag="inference"):
    """A run of timed passes, of a model or an operator; `tokens_a_pass` is there for language."""

    times: PassTimes
    energy: Windows = Windows()
    tokens_a_pass: int | None = None
    operator: OperatorWork | None = None
    requests: Requests | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """Seconds a pass of each timed value."""
        return self.times.values
