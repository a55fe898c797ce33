"""What `edgebench ab` is asked, and what each side plans for it before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgebench.ab.messages import PlanQuestion, SidePlan
from edgebench.ab.pairs import Watch, minutes
from edgebench.ab.sides import Environment, ask, check_protocol
from edgebench.compare.paired import NOISY_SD, QUIET_SD, detectable
from edgebench.errors import UsageError
from edgebench.measure.messages import ProbeSettings

MIN_PAIRS = 10
_PREPARE_LIMIT_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure: the suite, and how."""

    suite: str
    cpus: tuple[int, ...]
    pairs: int = MIN_PAIRS
    only: str | None = None
    threads: int | None = None
    data: Path | None = None
    seed: int | None = None
    probes: tuple[str, ...] = ()
    sysfs: str = "/sys"
    shapes: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    resume: bool = False


def plan_text(seconds: float, pairs: int, cells: int, margin: float) -> str:
    """Say how long it takes and what it can find, before it starts."""
    quiet, noisy = (detectable(sd, pairs, margin) for sd in (QUIET_SD, NOISY_SD))
    return (
        f"{pairs} pairs of {cells} benchmark{'s' if cells != 1 else ''} take about {minutes(seconds)}, twice that at "
        f"most if every one has to be confirmed; of changes for the worse it finds {100 * quiet:+.1f} % in 4 of 5 "
        f"cases where pairs vary by {100 * QUIET_SD:.1f} %, {100 * noisy:+.1f} % where they vary by "
        f"{100 * NOISY_SD:.1f} %"
    )


def prepare(sides: Sequence[Environment], request: Request, watch: Watch, *, artifacts: bool) -> list[SidePlan]:
    """Let each side plan the suite and make its artifacts. Raises UsageError for a side that cannot."""
    if len({side.model is None for side in sides}) > 1:
        raise UsageError(f"{sides[0].label} and {sides[1].label}: a model is held against a model: name two of them")
    if sides[0].model is None and (request.shapes or request.inputs):
        raise UsageError("--shape and --input are of models: name two, as model:FILE")
    for side in sides:
        check_protocol(side)
    question = PlanQuestion(
        suite=request.suite,
        only=request.only,
        threads=request.threads,
        data=None if request.data is None else str(request.data.absolute()),
        cpus=request.cpus,
        probes=ProbeSettings(request.probes, request.sysfs),
        prepare=artifacts,
        shapes=request.shapes,
        inputs=request.inputs,
    )
    plans = []
    for side in sides:
        told = partial(_told_by, side, watch)
        outcome = ask(side, side.asked(question), SidePlan, {}, _PREPARE_LIMIT_S, on_line=told)
        if outcome.answer is None:
            raise UsageError(f"{side.label}: {str(outcome.error).rstrip('.')}: correct it and start again")
        plans.append(outcome.answer)
    return plans


def _told_by(side: Environment, watch: Watch, line: str) -> None:
    watch.note(f"{side.label}: {line}")
