"""What a session on this machine will skip, and why: known before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.backends.fitness import Asked, why_not
from edgebench.compress.steps import precision_of
from edgebench.plan.own import why_not_own
from edgebench.plan.targets import family_of

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan


def skip_reason(plan: Plan, cell: Benchmark) -> str | None:
    """Say why a benchmark of a plan cannot run here, with what to do, or None. Imports no runtime."""
    params = cell.params
    holds = precision_of(params.variant)
    if (own := plan.own_model) is not None:
        tokens = params.batch * (params.size + (params.generate or 0))
        if reason := why_not_own(own, family_of(params.backend).name, params.variant, tokens):
            return reason
        holds = holds or own.precision
    model = None if own is not None or params.operator is not None else params.model
    asked = Asked(params.precision, holds, params.operator, params.isa, model, params.batch, cell.generates)
    return why_not(params.backend, asked)


def skips(plan: Plan) -> dict[str, str]:
    """Return {benchmark: reason} of all that a session here would skip."""
    return {cell.name: reason for cell in plan.benchmarks if (reason := skip_reason(plan, cell)) is not None}
