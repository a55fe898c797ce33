"""A suite file becomes a list of frozen benchmarks: what will be measured, decided before anything runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edgebench.compress.steps import is_made, parse_variant, runs_on
from edgebench.errors import UsageError
from edgebench.plan.digest import digest_of
from edgebench.plan.own import BringYourOwn
from edgebench.plan.suitefile import (
    DataTable,
    Matrix,
    Measure,
    Recipe,
    Suite,
    SuiteFile,
    find_suite,
    open_suite,
    resolve_recipe,
)
from edgebench.plan.toml import line_of, schema_sentence
from edgebench_suites.operators import OPERATORS
from edgebench_suites.zoo import MODELS, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# Kinds that measure a model, not an operator.
MODELLED = frozenset({"inference", "sustained"})
# pyperf and the files we write name a cell once; a suite with more than this is a mistake in a matrix.
MAX_BENCHMARKS = 5000


@dataclass(frozen=True, slots=True)
class Params:
    """What makes a benchmark the one it is. `threads` and `image_size` are what the run uses, never 0."""

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
    data: DataTable = field(default_factory=DataTable)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole plan: equal plans measure the same things in the same way."""
        cells = [
            {**asdict(cell), "measure": cell.measure.model_dump(), "recipe": cell.recipe.model_dump()}
            for cell in self.benchmarks
        ]
        own = None if self.own_model is None else [self.own_model.digest, dict(self.own_model.shapes)]
        return digest_of([self.name, self.seed, self.idle_s, self.dataset, self.suite_digest, cells, own])


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


def load_plan(
    suite: str | Suite, *, dataset: str, cores: int, overrides: Overrides | None = None, own: BringYourOwn | None = None
) -> Plan:
    """Expand a suite for a data set ("digits" or "cifar10") on `cores` usable physical cores.

    A suite is named (a name or a file), or was read already: then its file is not read again.
    """
    overrides = overrides or Overrides()
    suite = open_suite(suite) if isinstance(suite, str) else suite
    head = suite.file
    dataset = head.data.choice.name_of(dataset)
    cells: list[Benchmark] = []
    digests: list[Any] = []
    for read in _with_included(suite):
        part, path, text = read.file, read.path, read.text
        # Watching resources changes nothing that is measured: reports with and without it stay comparable.
        digests.append(part.model_dump(mode="json", exclude={"resources_hz"}))
        recipe = resolve_recipe(part, dataset, path, text)
        for index, matrix in enumerate(part.benchmark):
            measure = _measure(part, matrix, index, path, text, overrides)
            _check_names(matrix, index, path, text)
            _check_head(matrix, recipe, index, path, text)
            cells += _expand(matrix, measure, recipe, cores, overrides, own)
    cells = _without_repeats(cells, suite.path)
    if overrides.only is not None:
        cells = [cell for cell in cells if fnmatchcase(cell.name, overrides.only)]
        if not cells:
            raise UsageError(
                f"--only {overrides.only!r} matches no benchmark of {head.name}: "
                f"see them with 'edgebench suite {suite.called} --dry-run'"
            )
    if not cells:
        raise UsageError(f"{suite.path}:1: the suite has no benchmark: add a [[benchmark]] table")
    rate_hz = head.resources_hz if overrides.resources_hz is None else overrides.resources_hz
    return Plan(
        head.name,
        head.title,
        head.study,
        head.seed,
        head.idle_s,
        dataset,
        digest_of(digests),
        tuple(cells),
        own,
        rate_hz,
        head.data,
    )


def _with_included(suite: Suite) -> Iterator[Suite]:
    """Yield the suites that `include` names, then the suite itself; an include includes nothing further."""
    for name in suite.file.include:
        where = f"{suite.path}:{line_of(suite.text, ['include'])}"
        try:
            find_suite(name)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None
        part = open_suite(name)
        if part.file.include:
            raise UsageError(f"{where}: '{name}' includes others itself: name those here")
        yield part
    yield suite


def _measure(suite: SuiteFile, matrix: Matrix, index: int, path: Path, text: str, overrides: Overrides) -> Measure:
    values: dict[str, Any] = {**suite.measure.model_dump(), **matrix.measure}
    for name in ("processes", "values"):
        if (given := getattr(overrides, name)) is not None:
            values[name] = given
    if overrides.passes is not None:
        # A quick look: fewer passes than values or warm-ups would leave those larger than the measurement itself.
        for name in ("values", "warmup_passes"):
            values[name] = min(values[name], overrides.passes)
        values["passes"] = overrides.passes
    try:
        measure = Measure.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        loc = ("benchmark", index, "measure", *first["loc"])
        raise UsageError(schema_sentence(path, text, loc, first["type"], first["msg"])) from None
    if measure.passes < measure.values:
        loc = ("benchmark", index, "measure")
        line = line_of(text, loc if matrix.measure else ("measure", "passes"))
        raise UsageError(f"{path}:{line}: {measure.passes} passes cannot fill {measure.values} values: raise 'passes'")
    return measure


def _check_names(matrix: Matrix, index: int, path: Path, text: str) -> None:

    def fail(key: str, what: str) -> UsageError:
        return UsageError(f"{path}:{line_of(text, ('benchmark', index, key))}: {what}")

    needed = "operator" if matrix.kind == "operator" else "model"
    if not getattr(matrix, needed):
        raise fail(needed, f"a benchmark of kind '{matrix.kind}' needs '{needed}': add a list of names")
    for model in matrix.model:
        if model not in MODELS:
            raise fail("model", f"unknown model {model!r}: choose from {', '.join(MODELS)}")
    for operator in matrix.operator:
        if operator not in OPERATORS:
            raise fail("operator", f"unknown operator {operator!r}: choose from {', '.join(OPERATORS)}")
    try:
        steps = {step.kind.kind for variant in matrix.variant for step in parse_variant(variant)}
    except UsageError as error:
        raise fail("variant", str(error)) from None
    if (reason := _refused(matrix, steps)) is not None:
        raise fail("variant", reason)


def _refused(matrix: Matrix, steps: set[str]) -> str | None:
    """Say which model of a table has no recipe for one of its steps, or None."""
    for model in matrix.model:
        if without := steps & task_of(model).refuses:
            return f"{model} has no recipe for {min(without)}: give it a table of its own without it"
    return None


def _check_head(matrix: Matrix, recipe: Recipe, index: int, path: Path, text: str) -> None:
    """Refuse what a transfer head cannot be: measured at another size than trained, or trained through its base."""
    if recipe.head != "transfer" or matrix.kind == "operator":
        return
    if matrix.image_size != recipe.train_size:
        raise UsageError(
            f"{path}:{line_of(text, ('benchmark', index, 'image_size'))}: a transfer head takes images of the size it "
            f"is trained at: make image_size and train_size equal, not {matrix.image_size} and {recipe.train_size}"
        )
    for step in {step.kind.kind for variant in matrix.variant for step in parse_variant(variant)}:
        if step in {"distil", "channels", "qat"}:
            raise UsageError(
                f"{path}:{line_of(text, ('benchmark', index, 'variant'))}: {step} trains the whole network, where a "
                "transfer head leaves its base frozen: use prune and post-training quantisation"
            )


def _expand(
    matrix: Matrix,
    measure: Measure,
    recipe: Recipe,
    cores: int,
    overrides: Overrides,
    own: BringYourOwn | None,
) -> Iterator[Benchmark]:

    models = matrix.operator if matrix.kind == "operator" else matrix.model
    if own is not None:
        if matrix.kind not in MODELLED:
            return
        models = [own.path.stem]
        matrix = matrix.model_copy(update={"width": [1.0]})
    isas = [overrides.isa] if overrides.isa is not None else matrix.isa
    axes = product(
        models, matrix.width, matrix.variant, matrix.backend, matrix.precision, matrix.batch, matrix.threads, isas
    )
    for model, width, variant, backend, asked, batch, threads, isa in axes:
        network = matrix.kind != "operator"
        precision = _precision(variant, asked) if network else asked
        if precision is None or (network and not runs_on(variant, backend)):
            continue
        if matrix.kind == "compress" and not is_made(variant, backend):
            continue
        used = overrides.threads or threads or cores
        cell = {"model": model, "variant": variant, "backend": backend, "precision": precision, "isa": isa}
        if any(all(str(cell.get(key)) == value for key, value in rule.items()) for rule in matrix.exclude):
            continue
        label = model if width == 1.0 or own is not None else f"{model}-{width:g}"
        parts = [label, variant, backend, precision] if network else [label, backend, precision]
        parts += [f"b{batch}"] if batch != 1 else []
        parts += [f"t{threads}"] if threads else []
        parts += [isa] if isa != "none" else []
        parts += [matrix.kind] if matrix.kind in ("sustained", "compress") else []
        operator = model if matrix.kind == "operator" else None
        tokens = matrix.tokens if operator is None and own is None and _speaks(model) else None
        params = Params(
            model, variant, backend, precision, batch, used, matrix.image_size, width, isa, operator, tokens
        )
        group = f"{label}/b{batch}/t{used}/{isa}" if network else f"operator/t{used}/{isa}"
        # A sustained load comes after all others: it leaves the machine hot.
        group = {"compress": f"compress/{group}", "sustained": f"~sustained/{group}"}.get(matrix.kind, group)
        yield Benchmark("/".join(parts), matrix.kind, params, group, measure, recipe)


def _speaks(model: str) -> bool:

    return task_of(model).name.startswith("language")


def _precision(variant: str, asked: str) -> str | None:
    """The precision a variant runs in; None for a pair that does not exist, as bf16 of a quantised model."""
    quantised = variant.endswith(("ptq-dynamic", "ptq-static", "weights-int8", "qat"))
    halved = variant.endswith("fp16")
    if asked == "auto":
        return "int8" if quantised else "fp16" if halved else "fp32"
    if halved:
        return asked if asked == "fp16" else None
    return asked if quantised == (asked == "int8") else None


def _without_repeats(cells: list[Benchmark], path: Path) -> list[Benchmark]:
    """Drop a cell that an included suite already has in the same form; refuse two different ones of one name."""
    seen: dict[str, Benchmark] = {}
    for cell in cells:
        first = seen.setdefault(cell.name, cell)
        if replace(first, measure=cell.measure, recipe=cell.recipe) != cell:
            raise UsageError(f"{path}: two different benchmarks are called {cell.name!r}: give one another image_size")
    if len(seen) > MAX_BENCHMARKS:
        raise UsageError(f"{path}: {len(seen)} benchmarks, more than {MAX_BENCHMARKS}: shorten the lists of a table")
    return list(seen.values())
