"""Stored reports: base, head and the history of the same fingerprint become a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgebench.compare.cells import Cell, Session
from edgebench.compare.fingerprint import Difference, differences
from edgebench.compare.inference import Estimates, RunStats, predicted, run_stats, stored
from edgebench.compare.judge import Pair, check, exact, incomparable, judge
from edgebench.compare.policy import Policy, gauge_of
from edgebench.compare.verdict import Comparison, Finding, Side

_COMMON = ("model", "backend", "precision", "batch", "threads", "isa", "image_size", "width")


@dataclass(frozen=True, slots=True)
class _Measured:
    pairs: list[Pair]
    estimates: Estimates


def compare_stored(
    base: Session, head: Session, history: Sequence[Session], policy: Policy, allowed: Sequence[str] = ()
) -> Comparison:
    """Judge `head` against `base`; `history` are earlier sessions of the same system, other ones are left out."""
    hard = differences(base.hard, head.hard)
    result = Comparison(
        mode="stored",
        base=Side(base.label, base.id, base.created),
        head=Side(head.label, head.id, head.created),
        findings=(),
        hard=hard,
        soft=differences(base.soft, head.soft),
        added=tuple(name for name in head.cells if name not in base.cells),
        removed=tuple(name for name in base.cells if name not in head.cells),
        notes=tuple(_notes(base, head)),
        allowed=tuple(allowed),
    )
    if hard:
        return result
    fitting, notes = _fitting(base, head, history)
    findings, pairs = _paired_up(base, head, policy)
    findings += [_exact(pair, base, head) for pair in pairs if gauge_of(pair.metric).exact]
    measured = [pair for pair in pairs if not gauge_of(pair.metric).exact]
    zeros = [pair for pair in measured if pair.base.value == 0 or pair.head.value == 0]
    findings += [_of_zero(pair) for pair in zeros]
    measured = [pair for pair in measured if pair not in zeros]
    assumptions: list[str] = []
    parts = []
    for metric in dict.fromkeys(pair.metric for pair in measured):
        chosen = [pair for pair in measured if pair.metric == metric]
        estimates, sentences = _estimate(metric, chosen, base, fitting, policy)
        parts.append(_Measured(chosen, estimates))
        assumptions += sentences
    if parts:
        findings += judge([pair for part in parts for pair in part.pairs], _joined(parts), policy.alpha)
        assumptions.append(
            f"all {len(measured)} measured comparisons are one family: with nothing changed, any REGRESSED "
            f"among them has a chance of at most {policy.alpha:.0%} (Holm)"
        )
    order = {name: place for place, name in enumerate(base.cells)}
    place_of = {name: place for place, name in enumerate(policy.metrics)}
    findings.sort(key=lambda finding: (order[finding.cell], place_of.get(finding.metric, -1)))
    return replace(
        result,
        findings=tuple(findings),
        common=common_of([cell for name, cell in base.cells.items() if name in head.cells]),
        assumptions=tuple(assumptions),
        notes=(*result.notes, *notes),
    )


def common_of(cells: Sequence[Cell]) -> tuple[tuple[str, str], ...]:
    """Return the parameters that all cells share, as text."""
    found = []
    for key in _COMMON:
        values = {str(cell.hard.get(key)) for cell in cells}
        if len(values) == 1 and (value := values.pop()) not in {"None", ""}:
            found.append((key, value))
    return tuple(found)


def _notes(base: Session, head: Session) -> Iterator[str]:
    for session in (base, head):
        if session.partial:
            yield f"{session.label} is a partial report: its session ended early"
        if session.throttled:
            yield f"{session.label}: the processor throttled during the session"
    if base.id == head.id:
        yield f"{base.label} and {head.label} are the same session"


def _fitting(base: Session, head: Session, history: Sequence[Session]) -> tuple[list[Session], list[str]]:
    """Return the sessions of the history that count, each once, and what is to be said of the others."""
    seen = {base.id, head.id}
    fitting: list[Session] = []
    others = 0
    for session in history:
        if session.id in seen:
            continue
        seen.add(session.id)
        if differences(base.hard, session.hard):
            others += 1
        else:
            fitting.append(session)
    notes = []
    if others:
        notes.append(f"{others} of {others + len(fitting)} history reports have another fingerprint and were left out")
    return fitting, notes


def _paired_up(base: Session, head: Session, policy: Policy) -> tuple[list[Finding], list[Pair]]:
    findings: list[Finding] = []
    pairs: list[Pair] = []
    for name, first in base.cells.items():
        second = head.cells.get(name)
        if second is None:
            continue
        if (reason := _whole_cell(first, second)) is not None:
            findings.append(incomparable(name, "*", reason))
            continue
        for metric in policy.metrics:
            found = _metric(first, second, metric, policy)
            if isinstance(found, Pair):
                pairs.append(found)
            elif found is not None:
                findings.append(found)
    return findings, pairs


def _whole_cell(base: Cell, head: Cell) -> str | None:
    """Why a cell cannot be compared at all, or None."""
    for side, cell in (("head", head), ("base", base)):
        if cell.status != "ok":
            return f"{cell.status} in {side}: {cell.why}"
    if different := differences(base.hard, head.hard):
        return "; ".join(_told(difference) for difference in different[:3])
    return None


def _told(difference: Difference) -> str:
    return f"{difference.field} differs: {difference.base} and {difference.head}"


def _metric(base: Cell, head: Cell, metric: str, policy: Policy) -> Pair | Finding | None:
    first, second = base.samples.get(metric), head.samples.get(metric)
    if first is None and second is None:
        return None
    if first is None or second is None:
        side, cell = ("base", base) if first is None else ("head", head)
        return incomparable(
            base.name, metric, f"{side} does not have it: {cell.missing.get(metric, 'no reason given')}"
        )
    return check(base.name, metric, first, second, policy)


def _exact(pair: Pair, base: Session, head: Session) -> Finding:
    if pair.metric in {"accuracy_top1", "loss", "map50", "miou", "agreement_top1"}:
        first, second = base.cells[pair.cell].evaluated_on, head.cells[pair.cell].evaluated_on
        if first != second:
            return incomparable(pair.cell, pair.metric, f"measured on other data: {first} and {second}")
    return exact(pair)


def _of_zero(pair: Pair) -> Finding:
    """A step that a runtime does not have takes no time on both sides; zero against something has no ratio."""
    if pair.base.value == pair.head.value == 0:
        return exact(pair)
    return incomparable(pair.cell, pair.metric, "it is zero on one side only: a ratio means nothing", pair)


def _estimate(
    metric: str, pairs: Sequence[Pair], base: Session, history: Sequence[Session], policy: Policy
) -> tuple[Estimates, list[str]]:
    first = run_stats([pair.base.runs for pair in pairs])
    second = run_stats([pair.head.runs for pair in pairs])
    prior = policy.prior_sd(metric)
    earlier = [(session, _history_stats(session, base, pairs)) for session in history]
    earlier = [(session, stats) for session, stats in earlier if np.isfinite(stats.mean).any()]
    assumed = f"{metric}: sessions of an unchanged system are taken to differ by {prior:.1%} (1 sigma), a stated prior"
    if not earlier:
        return stored(first, second, prior), [f"{assumed}; give --history to measure it"]
    groups = _groups(base, [session for session, _ in earlier])
    estimates = predicted(first, second, [stats for _, stats in earlier], groups, prior)
    level = 1 + sum(group == 0 for group in groups)
    sentence = (
        f"{metric}: how sessions differ is measured over {1 + len(earlier)} sessions and shrunk across cells; "
        f"the base's level is that of {level} session{'s' if level > 1 else ''} of its software"
    )
    if len(earlier) < 6:
        sentence += f"; with so few, the stated prior of {prior:.1%} (1 sigma) counts as well"
    sentences = [sentence]
    if departed := [pair.cell for pair, away in zip(pairs, estimates.departed, strict=True) if away]:
        sentences.append(
            f"{metric}: in {len(departed)} cell{'s' if len(departed) > 1 else ''} ({departed[0]}) the base is away "
            "from its history, so that the base alone counts there"
        )
    return estimates, sentences


def _history_stats(session: Session, base: Session, pairs: Sequence[Pair]) -> RunStats:
    runs = []
    for pair in pairs:
        cell = session.cells.get(pair.cell)
        sample = None if cell is None or cell.status != "ok" else cell.samples.get(pair.metric)
        usable = (
            sample is not None
            and sample.fault is None
            and sample.value > 0
            and cell is not None
            and cell.hard == base.cells[pair.cell].hard
            and (sample.unit, sample.scope, sample.probe) == (pair.base.unit, pair.base.scope, pair.base.probe)
        )
        runs.append(sample.runs if sample is not None and usable else ())
    return run_stats(runs)


def _groups(base: Session, history: Sequence[Session]) -> list[int]:
    """Number the software of each session; 0 is the base's."""
    known: list[object] = [base.soft]
    numbers = []
    for session in history:
        if session.soft not in known:
            known.append(session.soft)
        numbers.append(known.index(session.soft))
    return numbers


def _joined(parts: Sequence[_Measured]) -> Estimates:
    def join(name: str) -> np.ndarray:
        return np.concatenate([getattr(part.estimates, name) for part in parts])

    return Estimates(*(join(name) for name in ("log_ratio", "se", "df", "sessions", "departed")))
