"""The plan of a session: a list of frozen benchmarks, decided before anything runs (plan/load.py makes it)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from edgebench.plan.digest import digest_of
from edgebench.plan.own import BringYourOwn, OwnText
from edgebench.plan.suitefile import DataTable, Measure, Recipe


@dataclass(frozen=True, slots=True)
class Params:
    """What makes a benchmark the one it is. `threads` and `image_size` are what the run uses, never 0.

    `tokens` is the length of a language model's prompt, `generate` how many tokens it answers, `batch` how many such
    requests are made at once.
    """

    model: str
    variant: str
    backend: str
    precision: str
    batch: int
    threads: int
    image_size: int
    width: float = 1.0
    isa: str = "none"
    operator: str | None = None
    tokens: int | None = None
    generate: int | None = None

    @property
    def size(self) -> int:
        """The size of an input: pixels, or tokens of a language model."""
        return self.tokens or self.image_size


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One cell of a suite. Benchmarks of one `group` are interleaved run by run."""

    name: str
    kind: str
    params: Params
    group: str
    measure: Measure
    recipe: Recipe

    @property
    def generates(self) -> bool:
        """Whether its passes are requests to a language model."""
        return self.params.generate is not None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a session will do; `digest` names it, so that a journal belongs to one plan."""

    name: str
    title: str
    study: str | None
    seed: int
    idle_s: float
    dataset: str
    suite_digest: str
    benchmarks: tuple[Benchmark, ...]
    own_model: BringYourOwn | None = None
    resources_hz: float = 0.0
    max_minutes: float = 30.0
    data: DataTable = field(default_factory=DataTable)
    text: OwnText | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the whole plan: equal plans measure the same things in the same way.

        How long a run or all of them may take changes nothing of it: with more time a session that ran out of it is
        resumed.
        """
        cells = [
            {
                **asdict(cell),
                "measure": cell.measure.model_dump(exclude={"time_limit_s"}),
                "recipe": cell.recipe.model_dump(),
            }
            for cell in self.benchmarks
        ]
        own = None if self.own_model is None else [self.own_model.digest, self.own_model.shapes, *self.own_model.chosen]
        text = [] if self.text is None else [self.text.digest]
        return digest_of([self.name, self.seed, self.idle_s, self.dataset, self.suite_digest, cells, own, *text])


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line changes in a suite; None leaves it as the file says."""

    only: str | None = None
    processes: int | None = None
    values: int | None = None
    threads: int | None = None
    isa: str | None = None
    passes: int | None = None
    resources_hz: float | None = None
    time_limit_s: float | None = None
    precision: float | None = None
    max_minutes: float | None = None
    prompt_tokens: tuple[int, ...] | None = None
    generate: int | None = None
    batch: tuple[int, ...] | None = None
    text: OwnText | None = None
