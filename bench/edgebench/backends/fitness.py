"""Whether a benchmark can run here, known before anything runs: the runtime, the precision, the operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebench.backends.families import family_named
from edgebench.backends.registry import get_backend, resolve, row_of, rows
from edgebench.compress.steps import parse_variant
from edgebench_suites.operators import OPERATORS, PRECISIONS

if TYPE_CHECKING:
    from edgebench.backends.row import Need


@dataclass(frozen=True, slots=True)
class Asked:
    """What a benchmark asks of a backend.

    `holds` is the precision of its file's weights, None: FP32; `isa` is the ISA ceiling it is measured under; `model`
    is one of the zoo's, None: a user's file, or an operator. `generates`: text, `batch` requests at once.
    """

    precision: str
    holds: str | None = None
    operator: str | None = None
    isa: str = "none"
    model: str | None = None
    batch: int = 1
    generates: bool = False


def can_hold(name: str, variant: str) -> bool:
    """Tell whether a variant exists for a backend: its family makes it, and the backend runs the precision.

    Raises UsageError for a variant that does not exist at all.
    """
    row = row_of(name)
    return all(
        step.kind.precision is None
        or (step.kind.kind in family_named(row.family).steps and step.kind.precision in row.precisions)
        for step in parse_variant(variant)
    )


def can_serve(name: str, *, generates: bool) -> bool:
    """Tell whether a backend does what a kind of benchmark asks: generate text, or run single passes of a model."""
    row = row_of(name)
    return bool(row.decoder) if generates else row.passes


def is_made(name: str, variant: str) -> bool:
    """Tell whether a backend's file of a variant is made by export and build alone, which kind ``compress`` measures.

    What torch runs is the model itself, LiteRT's converter is not split in two, and a variant that trains on the way to
    the file (qat) is no such making.
    """
    last = (parse_variant(variant) or (None,))[-1]
    return family_named(row_of(name).family).export is not None and (
        last is None or last.kind.precision is None or last.kind.lowered
    )


def why_not(name: str, asked: Asked) -> str | None:
    """Say why a backend cannot run a benchmark on this machine, with what to do, or None; imports no runtime."""
    if asked.operator is not None:
        return _no_operator(name, asked.operator, asked.precision) or get_backend(name).unavailable()
    row = row_of(name)
    if (need := row.precisions.get(asked.precision)) is None:
        return f"{name} runs {', '.join(row.precisions)}, not {asked.precision}: choose one of these"
    if asked.generates and asked.batch > row.sequences:
        most = "one request at a time" if row.sequences == 1 else f"{row.sequences} requests at a time at most"
        return f"{name} answers {most}, not {asked.batch}: choose a smaller batch"
    if row.unable and (reason := resolve(row.unable)(asked)) is not None:
        return str(reason)
    if (reason := get_backend(name).unavailable()) is not None:
        return reason
    return _unmet(name, need, asked)


def _unmet(name: str, need: Need, asked: Asked) -> str | None:
    if need.file and asked.holds == asked.precision:
        return None
    if need.ask is not None:
        lacking: str | None = resolve(need.ask)(asked.precision, asked.isa)
        return lacking
    if need.file:
        return f"{name} computes what the file holds, which is not {asked.precision}: choose a variant that is"
    return None


def _no_operator(name: str, operator: str, precision: str) -> str | None:
    row = row_of(name)
    if not row.operators:
        able = ", ".join(other.name for other in rows().values() if other.operators)
        return f"operators run through {able}, not {name}: choose one of these"
    if operator in row.without:
        able = ", ".join(other.name for other in rows().values() if other.operators and operator not in other.without)
        return f"{operator} runs through {able}, not {name}: choose one of these"
    able_in = OPERATORS[operator].precisions if operator in OPERATORS else PRECISIONS
    if precision not in able_in:
        return f"{operator} runs in {' and '.join(able_in)}, not {precision}: choose one of these"
    return None
