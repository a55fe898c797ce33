"""`edgebench.toml`: budgets and margins per metric and cell, and the shares a command line takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from edgebench.compare.policy import DEFAULT_METRICS, GAUGES, PERCENTILES, Policy, Rule, gauge_of
from edgebench.errors import UsageError
from edgebench.plan.toml import read_toml

_SHARE = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)\s*(%?)")


def share(text: str) -> float:
    """Return ``5%`` or ``0.05`` as 0.05. Raises ValueError."""
    found = _SHARE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no share: write 5% or 0.05")
    value = float(found[1]) / (100 if found[2] else 1)
    if value > 10:
        raise ValueError(f"{text!r} is more than 1000 %: write 5% or 0.05")
    return value


def _as_share(value: object) -> object:
    return share(value) if isinstance(value, str) else value


Share = Annotated[float, BeforeValidator(_as_share), Field(ge=0, le=10)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Budget(_Part):
    metric: str = "*"
    cells: str = "*"
    budget: Share | None = None
    margin: Share | None = None


class _Compare(_Part):
    metrics: list[str] = Field(default_factory=lambda: list(DEFAULT_METRICS))
    margin: Share = 0.01
    allow: list[str] = Field(default_factory=list)


class BudgetFile(_Part):
    """A budget file: what to compare, and the limits of each metric and glob of cells; later tables win."""

    compare: _Compare = Field(default_factory=_Compare)
    budget: list[_Budget] = Field(default_factory=list)
    session_sd: dict[str, Share] = Field(default_factory=dict)


def read_budgets(path: Path) -> BudgetFile:
    """Read a budget file. UsageError names the file, the line and what to do."""
    return read_toml(path, BudgetFile, "budget")[0]


def policy_of(
    file: BudgetFile, *, metrics: Sequence[str] = (), budgets: Sequence[str] = (), margin: str | None = None
) -> Policy:
    """Return the policy of a budget file with what the command line changes. Raises UsageError.

    `budgets` are ``5%`` (of everything that is measured) or ``METRIC=5%``.
    """
    chosen = tuple(dict.fromkeys(metrics or file.compare.metrics))
    for name in (*chosen, *file.session_sd):
        _known(name)
    rules = [Rule(entry.metric, entry.cells, entry.budget, entry.margin) for entry in file.budget]
    given = file.compare.margin if margin is None else _given("--margin", margin)
    for text in budgets:
        name, _, amount = text.rpartition("=")
        if name:
            _known(name)
            rules.append(Rule(metric=name, budget=_given("--budget", amount)))
        else:
            measured = [metric for metric, gauge in GAUGES.items() if not gauge.exact]
            rules += [Rule(metric=metric, budget=_given("--budget", amount)) for metric in measured]
    return Policy(metrics=chosen, margin=given, rules=tuple(rules), session_sd=dict(file.session_sd))


def _given(option: str, text: str) -> float:
    try:
        return share(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}") from None


def _known(name: str) -> None:
    try:
        gauge_of(name)
    except KeyError:
        raise UsageError(
            f"metric {name!r} cannot be compared: choose from {', '.join(GAUGES)}, "
            f"latency_s.{{{','.join(PERCENTILES)}}} or an energy with its scope, such as energy_gross_j.package"
        ) from None


def find_budgets(given: Path | None) -> BudgetFile:
    """Return the budget file that was named, else ``edgebench.toml`` here, else the defaults."""
    if given is not None:
        return read_budgets(given)
    here = Path("edgebench.toml")
    return read_budgets(here) if here.is_file() else BudgetFile()


def allowed_of(file: BudgetFile, given: Sequence[str]) -> tuple[str, ...]:
    """Return what does not fail a comparison. Raises UsageError for an unknown word."""
    words: list[Any] = list(dict.fromkeys([*file.compare.allow, *given]))
    for word in words:
        if word not in {"inconclusive", "removed"}:
            raise UsageError(f"allow {word!r}: choose inconclusive or removed")
    return tuple(words)
