"""One `[[benchmark]]` table becomes the benchmarks it means: the product of its lists, less what makes no sense."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edgebench.backends.families import SUFFIXES, family_named
from edgebench.backends.fitness import can_hold, can_serve, is_made
from edgebench.backends.registry import row_of, rows
from edgebench.compress.steps import BASELINE, STEPS, parse_variant, precision_of
from edgebench.errors import UsageError, unknown
from edgebench.plan.kinds import KINDS
from edgebench.plan.plan import Benchmark, Params
from edgebench.plan.suitefile import Matrix, Measure, Recipe
from edgebench.plan.suites import Part
from edgebench_suites.operators import OPERATORS
from edgebench_suites.zoo import MODELS, task_of

if TYPE_CHECKING:
    from edgebench.plan.own import BringYourOwn
    from edgebench.plan.plan import Overrides

# More combinations than this in a suite are a mistake, and take long to go through.
MAX_COMBINATIONS = 100_000
# What a suite says of precision, for all that it includes.
PRECISE = frozenset({"precision", "min_runs", "max_runs"})


def check_size(parts: Sequence[Part], overrides: Overrides) -> None:
    """Refuse lists that mean more combinations than anybody measures. UsageError names the suite's table."""
    total = 0
    for part in parts:
        for index, matrix in enumerate(part.file.benchmark):
            kind = KINDS[matrix.kind]
            lists = [getattr(matrix, kind.subject), matrix.width, matrix.variant, matrix.backend, matrix.precision]
            lists += [matrix.threads, matrix.isa, (kind.generates and overrides.batch) or matrix.batch]
            lists += [overrides.prompt_tokens or matrix.prompt_tokens] * kind.generates
            total += math.prod(map(len, lists))
            if total > MAX_COMBINATIONS:
                what = f"{total} combinations until here, more than {MAX_COMBINATIONS}: shorten its lists"
                raise part.wrong(("benchmark", index), what)


def benchmarks_of(
    part: Part,
    index: int,
    recipe: Recipe,
    cores: int,
    overrides: Overrides,
    own: BringYourOwn | None,
    precise: Mapping[str, Any],
) -> Iterator[Benchmark]:
    """Yield the benchmarks of a suite's table number `index`. UsageError names the line of what is wrong.

    `precise` is what the whole suite says of precision: it holds for the suites that it includes as well.
    """
    matrix = part.file.benchmark[index]
    measure = _measure(part, index, overrides, precise)
    _check_names(part, index)
    _check_head(part, index, recipe)
    kind = KINDS[matrix.kind]
    subjects, backends = getattr(matrix, kind.subject), matrix.backend
    if own is not None:
        if not kind.own_model:
            return
        if own.generates != _answers(matrix):
            return
        subjects, backends = [own.name], _of_own(backends, own)
        # Its sizes are those of its file and of --shape: a pass counts as one, whatever a suite says of its own models.
        matrix = matrix.model_copy(update={"width": [1.0], "batch": matrix.batch if own.generates else [1]})
    generates = _answers(matrix)
    isas = [overrides.isa] if overrides.isa is not None else matrix.isa
    prompts: Sequence[int | None] = (overrides.prompt_tokens or matrix.prompt_tokens) if generates else [None]
    batches = (overrides.batch or matrix.batch) if generates else matrix.batch
    answer = (overrides.generate or matrix.generate) if generates else None
    axes = (
        subjects,
        matrix.width,
        matrix.variant,
        backends,
        matrix.precision,
        batches,
        matrix.threads,
        isas,
        prompts,
    )
    for subject, width, variant, backend, asked, batch, threads, isa, prompt in product(*axes):
        network = kind.subject == "model"
        if network and (not can_hold(backend, variant) or not can_serve(backend, generates=generates)):
            continue
        # An operator is made in each precision; a model's variant has its own.
        precision = _precision(_held(variant, own), asked) if network or asked == "auto" else asked
        if precision is None:
            continue
        if kind.makes and not is_made(backend, variant):
            continue
        cell = {"model": subject, "variant": variant, "backend": backend, "precision": precision, "isa": isa}
        if any(all(str(cell.get(key)) == value for key, value in rule.items()) for rule in matrix.exclude):
            continue
        used = overrides.threads or threads or cores
        label = subject if width == 1.0 or own is not None else f"{subject}-{width:g}"
        parts = [label, variant, backend, precision] if network else [label, backend, precision]
        parts += [f"b{batch}"] if batch != 1 else []
        parts += [f"t{threads}"] if threads else []
        parts += [isa] if isa != "none" else []
        parts += [] if prompt is None else [f"p{prompt}-g{answer}"]
        parts += [kind.name] if kind.in_name else []
        params = Params(
            model=subject,
            variant=variant,
            backend=backend,
            precision=precision,
            batch=batch,
            threads=used,
            image_size=matrix.image_size,
            width=width,
            isa=isa,
            operator=None if network else subject,
            tokens=prompt or (matrix.tokens if network and own is None and _speaks(subject) else None),
            generate=answer,
        )
        group = f"{label}/b{batch}/t{used}/{isa}" if network else f"operator/t{used}/{isa}"
        group += "" if prompt is None else f"/p{prompt}"
        yield Benchmark("/".join(parts), kind.name, params, f"{kind.group}{group}", measure, recipe)


def _measure(part: Part, index: int, overrides: Overrides, precise: Mapping[str, Any]) -> Measure:
    own = part.file.benchmark[index].measure
    values: dict[str, Any] = {**part.file.measure.model_dump(), **precise, **own}
    for name in ("processes", "values", "time_limit_s", "precision"):
        if (given := getattr(overrides, name)) is not None:
            values[name] = given
    # A number of runs on the command line is a number of runs; a load of minutes is no run among many.
    if overrides.processes is not None or KINDS[part.file.benchmark[index].kind].lasts:
        values["precision"] = 0.0
    if overrides.passes is not None:
        # A quick look: fewer passes than values or warm-ups would leave those larger than the measurement itself.
        for name in ("values", "warmup_passes"):
            values[name] = min(values[name], overrides.passes)
        values["passes"] = overrides.passes
    try:
        measure = Measure.model_validate(values)
    except ValidationError as error:
        raise part.invalid(error, "benchmark", index, "measure") from None
    if measure.precision and measure.max_runs < measure.min_runs:
        loc = ("benchmark", index, "measure") if PRECISE & own.keys() else ("measure", "max_runs")
        raise part.wrong(loc, f"max_runs = {measure.max_runs} is less than min_runs = {measure.min_runs}: raise it")
    if measure.passes < measure.values:
        loc = ("benchmark", index, "measure") if own else ("measure", "passes")
        raise part.wrong(loc, f"{measure.passes} passes cannot fill {measure.values} values: raise 'passes'")
    return measure


def _check_names(part: Part, index: int) -> None:
    matrix = part.file.benchmark[index]

    def fail(key: str, what: str) -> UsageError:
        return part.wrong(("benchmark", index, key), what)

    needed = KINDS[matrix.kind].subject
    if not getattr(matrix, needed):
        raise fail(needed, f"a benchmark of kind '{matrix.kind}' needs '{needed}': add a list of names")
    for key, known in (("model", MODELS), ("operator", OPERATORS)):
        if strangers := [name for name in getattr(matrix, key) if name not in known]:
            raise fail(key, unknown(key, strangers[0], known))
    if needed == "operator" and matrix.variant != [BASELINE]:
        raise fail("variant", "an operator is not compressed: leave 'variant' out")
    if needed == "model" and (wrong := _other_kind(matrix)):
        raise fail(*wrong)
    try:
        steps = _steps(matrix)
    except UsageError as error:
        raise fail("variant", str(error)) from None
    for model in matrix.model:
        if without := steps & task_of(model).refuses:
            reason = f"{model} has no recipe for {min(without)}: give it a table of its own without it"
            raise fail("variant", reason)


def _other_kind(matrix: Matrix) -> tuple[str, str] | None:
    """Return the key that is wrong and why, where a table's models are measured by another kind."""
    kind, answers = KINDS[matrix.kind], _answers(matrix)
    for model in matrix.model:
        if not (kind.generates if _generates(model) else kind.passes):
            able = "generate" if _generates(model) else "inference"
            return "model", f"{model} is measured by kind '{able}': give it a table of its own"
        if _generates(model) != answers:
            return "model", f"of {matrix.model[0]} and {model} only one generates text: give it a table of its own"
    return None


def _check_head(part: Part, index: int, recipe: Recipe) -> None:
    """Refuse what a transfer head cannot be: measured at another size than trained, or trained through its base."""
    matrix = part.file.benchmark[index]
    if recipe.head != "transfer" or KINDS[matrix.kind].subject != "model":
        return
    if matrix.image_size != recipe.train_size:
        raise part.wrong(
            ("benchmark", index, "image_size"),
            "a transfer head takes images of the size it is trained at: "
            f"make image_size and train_size equal, not {matrix.image_size} and {recipe.train_size}",
        )
    if found := sorted(name for name in _steps(matrix) if STEPS[name].whole):
        raise part.wrong(
            ("benchmark", index, "variant"),
            f"{found[0]} trains the whole network, where a transfer head leaves its base frozen: "
            "use prune and post-training quantisation",
        )


def _steps(matrix: Matrix) -> set[str]:
    return {step.kind.kind for variant in matrix.variant for step in parse_variant(variant)}


def _answers(matrix: Matrix) -> bool:
    """Tell whether a table's benchmarks are requests to language models."""
    return KINDS[matrix.kind].generates and bool(matrix.model) and _generates(matrix.model[0])


def _generates(model: str) -> bool:
    return task_of(model).name == "generation"


def _speaks(model: str) -> bool:
    return task_of(model).name.startswith("language")


def _of_own(backends: list[str], own: BringYourOwn) -> list[str]:
    """Return the backends that a user's model is tried in: the suite's, but where its form says who opens it.

    A language model goes to those that open it, a file of a plug-in's format to the plug-in's. LiteRT stands beside
    OpenVINO for its own files: suites for x86 have no use for it with models of the zoo.
    """
    if own.generates:
        return [name for name in backends if own.format in family_named(row_of(name).family).own]
    if own.format not in SUFFIXES.values():
        return [row.name for row in rows().values() if own.format in row.formats]
    wanted = own.format == "tflite" and "openvino" in backends and "litert" not in backends
    return [*backends, "litert"] if wanted else backends


def _held(variant: str, own: BringYourOwn | None) -> str | None:
    """The precision that a variant's file holds, None: FP32; that of a user's file is in the file."""
    return precision_of(variant) or (own.precision if own is not None and own.precision != "fp32" else None)


def _precision(held: str | None, asked: str) -> str | None:
    """The precision that is run in; None for a pair that does not exist, as bf16 of a quantised model."""
    if asked == "auto":
        return held or "fp32"
    if held is not None:
        return held if asked == held else None
    return None if asked == "int8" else asked
