"""What a measuring process is asked, and the base of all that travels between processes: JSON, checked where read.

A field that a reader does not know is left alone in an answer, so that a newer worker may tell more; in a job it is an
error, as it would ask for something that is not done. What a worker answers stands in `results.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from edgebench.backends.feeds import Feed
from edgebench_suites.data.dataset import DataChoice

Shapes = Mapping[str, tuple[int, ...]]


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of everything that travels between processes or stands in the journal; what is None is left out."""


class Job(Message, frozen=True, forbid_unknown_fields=True):
    """Base of what a process is asked."""


class Clock(Message, frozen=True, kw_only=True):
    """When a process began its job and when it was done; all on CLOCK_MONOTONIC."""

    started_s: float
    finished_s: float
    loading_s: float | None = None

    @property
    def work_s(self) -> float:
        """Seconds of work: without starting, where the process says when its loading began."""
        return self.finished_s - (self.started_s if self.loading_s is None else self.loading_s)


class RunClock(Clock, frozen=True, kw_only=True):
    """The clock of a run: what is timed lies between `measuring_s` and `measured_s`."""

    measuring_s: float
    measured_s: float


class Answer(Message, frozen=True, kw_only=True):
    """Base of what a process answers."""

    clock: Clock


class Failure(Answer, frozen=True, kw_only=True, tag="failure"):
    """Why there is no result, in one sentence; `inapplicable`: nothing failed, the model has nothing for it."""

    error: str
    inapplicable: bool = False


class ProbeSettings(Job, frozen=True):
    """Which probes to open, as named by the user (none: the machine's own), and where sysfs is mounted."""

    specs: tuple[str, ...] = ()
    sysfs: str = "/sys"


class EnergyJob(Job, frozen=True, kw_only=True):
    """Energy windows: how many, the relative uncertainty each shall reach, and the shortest one."""

    probes: ProbeSettings
    windows: int
    target: float
    window_s: float


class EvaluateJob(Job, frozen=True, kw_only=True):
    """What tells the quality of a file.

    `size` is in pixels or tokens, `data` the folder or file of the data set (None: the embedded one), `reference` the
    file of what torch FP32 answers.
    """

    model: str
    width: float
    size: int
    format: str | None
    data: str | None
    choice: DataChoice
    reference: str | None


class AnswersJob(Job, frozen=True):
    """What a user's model answers; `reference` is the file of its FP32 form's answers, where there is one."""

    reference: str | None = None


class TimedJob(Job, frozen=True, kw_only=True, tag="timed"):
    """Values of loops of passes; `loops` 0: as many as fill `passes` and last `min_value_s`."""

    loops: int
    passes: int
    warmup_passes: int
    values: int
    min_value_s: float


class TextJob(Job, frozen=True, kw_only=True):
    """What a language model reads: a file, or (None) the text that ships; `as_bytes`: its tokens are bytes."""

    path: str | None = None
    as_bytes: bool = False


class GenerateJob(Job, frozen=True, kw_only=True, tag="generate"):
    """Requests, `batch` at once: each reads `prompt` tokens from the beginning of a text, then generates `generate`."""

    prompt: int
    generate: int
    requests: int
    text: TextJob
    batch: int = 1


class SustainedJob(Job, frozen=True, tag="sustained"):
    """Passes without a pause, of a language model such a `request` again and again."""

    seconds: float
    request: GenerateJob | None = None


class ReadJob(Job, frozen=True, kw_only=True):
    """What tells the quality of a language model: the first `tokens` tokens of a text.

    `reference` is the file of what the highest precision of the model answers to it.
    """

    text: TextJob
    tokens: int
    reference: str | None = None


class ArtifactFile(Job, frozen=True):
    """The file that a backend opens."""

    path: str
    format: str


class MeasureJob(Job, frozen=True, kw_only=True, tag="measure"):
    """One run of one benchmark: an `artifact` or an `operator`.

    `measure` names the function ``module:function`` that times it, which the row of the benchmark's kind has.
    `feeds` say what a user's model is fed. `describe` asks for settings and layers as well, `weights_only` says that
    only weights are INT8, `tokens_a_pass` is there for language.
    """

    name: str
    backend: str
    precision: str
    threads: int
    cpus: tuple[int, ...]
    seed: int
    timing: TimedJob | SustainedJob | GenerateJob
    energy: EnergyJob
    measure: str = "edgebench.measure.inference:timed"
    operator: str | None = None
    artifact: ArtifactFile | None = None
    shapes: Shapes = {}
    feeds: tuple[Feed, ...] = ()
    tokens_a_pass: int | None = None
    weights_only: bool = False
    describe: bool = False
    evaluate: EvaluateJob | None = None
    answers: AnswersJob | None = None
    read: ReadJob | None = None


def encode(message: Message) -> bytes:
    """Return a message as JSON. Raises TypeError for a value that JSON has no word for."""
    return msgspec.json.encode(message, enc_hook=_plain)


def _plain(value: Any) -> float | int | str:
    """Return a runtime's own number (NumPy's scalars) as Python's."""
    if not hasattr(value, "item"):
        raise TypeError(f"a message cannot hold {type(value).__name__}")
    plain: float | int | str = value.item()
    return plain
