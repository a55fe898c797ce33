"""Stored reports: base, head and the history of the same fingerprint become a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgebench.compare.cells import Cell, Sample, Session
from edgebench.compare.evidence import CELLS_NEEDED, DOUBT, Evidence, from_history, joined, without_history
from edgebench.compare.fingerprint import differences
from edgebench.compare.inference import Estimates, joined_estimates, predicted, run_stats, stored
from edgebench.compare.judge import Pair, exact, incomparable, judge, margins
from edgebench.compare.jumps import jumps_of
from edgebench.compare.pairing import cautions_about, cautions_of, paired_up, probes_apart, systems_apart, unpraised
from edgebench.compare.policy import Policy, gauge_of
from edgebench.compare.verdict import Comparison, Finding, Side
from edgebench.compare.whole import NAME, Whole, apart_from, whole_of

_COMMON = ("model", "backend", "precision", "batch", "threads", "isa", "image_size", "width")


@dataclass(frozen=True, slots=True)
class _Measured:
    """One metric of all cells, and of them as one."""

    pairs: list[Pair]
    estimates: Estimates
    evidence: Evidence
    whole: Whole | None
    sentences: list[str]


def compare_stored(
    base: Session, head: Session, history: Sequence[Session], policy: Policy, allowed: Sequence[str] = ()
) -> Comparison:
    """Judge `head` against `base`; `history` are earlier sessions of the same system, other ones are left out."""
    hard = systems_apart(base.hard, head.hard)
    result = Comparison(
        mode="stored",
        base=Side(base.label, base.id, base.created),
        head=Side(head.label, head.id, head.created),
        findings=(),
        hard=hard,
        soft=(*probes_apart(base, head), *differences(base.soft, head.soft)),
        added=tuple(name for name in head.cells if name not in base.cells),
        removed=tuple(name for name in base.cells if name not in head.cells),
        cautions=cautions_of(base, head),
        notes=tuple(_notes(base, head)),
        allowed=tuple(allowed),
    )
    if hard:
        return result
    fitting, notes = _fitting(base, head, history)
    found = paired_up(base, head, policy)
    findings = found.findings + [_exact(pair, base, head) for pair in found.pairs if gauge_of(pair.metric).exact]
    measured = [pair for pair in found.pairs if not gauge_of(pair.metric).exact]
    zeros = [pair for pair in measured if pair.base.value == 0 or pair.head.value == 0]
    findings += [_of_zero(pair) for pair in zeros]
    measured = [pair for pair in measured if pair not in zeros]
    parts = [
        _measured(metric, [pair for pair in measured if pair.metric == metric], base, head, fitting, policy)
        for metric in dict.fromkeys(pair.metric for pair in measured)
    ]
    assumptions = [sentence for part in parts for sentence in part.sentences]
    whole: list[Finding] = []
    if parts:
        estimates = joined_estimates([part.estimates for part in parts])
        evidence = joined([part.evidence for part in parts])
        told = judge([pair for part in parts for pair in part.pairs], estimates, policy.stored_alpha, evidence)
        findings += [replace(one, cautions=cautions_about(one.cell, base, head)) for one in told]
        whole = _whole_findings(parts, policy)
        assumptions.append(
            f"all {len(measured)} measured comparisons are one family, the lines of all benchmarks another: with "
            f"nothing changed, any REGRESSED has a chance of at most {100 * policy.stored_alpha:.1f} % in the one and "
            f"{100 * policy.whole_alpha:.1f} % in the other (Holm)"
        )
    order = {name: place for place, name in enumerate(base.cells)}
    place_of = {name: place for place, name in enumerate(policy.metrics)}
    findings.sort(key=lambda finding: (order[finding.cell], place_of.get(finding.metric, -1)))
    return replace(
        result,
        findings=tuple(unpraised(finding, wrong=head.cells[finding.cell].wrong) for finding in findings),
        whole=tuple(whole),
        common=common_of([cell for name, cell in base.cells.items() if name in head.cells]),
        assumptions=tuple(assumptions),
        notes=(*result.notes, *found.notes, *notes),
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
    if base.id == head.id:
        yield f"{base.label} and {head.label} are the same session"
    if base.unit and head.unit and base.unit != head.unit:
        yield f"two equal boards: base is of {base.unit}, head of {head.unit}, and boards of one make differ as well"


def _fitting(base: Session, head: Session, history: Sequence[Session]) -> tuple[list[Session], list[str]]:
    """Return the sessions of the history that count, each once, and what is to be said of the others."""
    seen = {base.id, head.id}
    fitting: list[Session] = []
    others = 0
    for session in history:
        if session.id in seen:
            continue
        seen.add(session.id)
        if systems_apart(base.hard, session.hard):
            others += 1
        else:
            fitting.append(session)
    notes = []
    if others:
        notes.append(f"{others} of {others + len(fitting)} history reports have another fingerprint and were left out")
    if elsewhere := sum(session.unit != base.unit for session in fitting):
        notes.append(
            f"{elsewhere} of {len(fitting)} history reports are of another unit than base, or do not tell theirs: they "
            "tell how sessions differ, not the base's level"
        )
    return fitting, notes


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


def _measured(
    metric: str, pairs: list[Pair], base: Session, head: Session, history: Sequence[Session], policy: Policy
) -> _Measured:
    """Estimate one metric of all cells, say how sure it is, and what that rests on."""
    sides = [[pair.base.runs for pair in pairs], [pair.head.runs for pair in pairs]]
    first, second = (run_stats(side) for side in sides)
    prior = policy.prior_sd(metric)
    past = [(session, _history_runs(session, base, pairs)) for session in history]
    past = [(session, runs) for session, runs in past if any(runs)]
    earlier = [run_stats(runs) for _, runs in past]
    groups = _groups(base, [session for session, _ in past])
    sign, margin = np.array([pair.sign for pair in pairs]), margins(pairs)
    jumps = jumps_of([*sides, *(runs for _, runs in past)])
    warned = [bool(cautions_about(pair.cell, base, head)) for pair in pairs]
    doubt = np.where(warned, DOUBT, 1.0)
    if earlier:
        estimates = predicted(first, second, earlier, groups, prior)
        apart = apart_from(first, second, earlier, groups, prior)
        evidence = from_history(sign, margin, second, first, estimates, jumps, apart)
        sentences = _of_history(metric, pairs, estimates, groups, prior)
    else:
        estimates = stored(first, second, prior)
        sd = policy.proof_sd(metric)
        evidence = without_history(sign, margin, second, first, estimates, jumps, sd=sd, assumed_sd=prior, doubt=doubt)
        sentences = [_of_prior(metric, len(pairs), prior, sd, warned=any(warned))]
    whole = whole_of(
        first,
        second,
        earlier,
        groups,
        sign=pairs[0].sign,
        margin=math.log1p(policy.limits(NAME, metric).margin),
        prior_sd=prior,
        sd=policy.proof_sd(metric),
        doubt=float(doubt.max()),
        of_runs=np.maximum(estimates.spread**2 - 2 * prior**2, 0.0),
    )
    return _Measured(pairs, estimates, evidence, whole, sentences)


def _of_prior(metric: str, cells: int, prior: float, sd: float, *, warned: bool) -> str:
    apart = ", or stand out from the other benchmarks" if cells >= CELLS_NEEDED else ""
    more = f"; REGRESSED must hold for {100 * sd:.1f} %{apart}" if sd > prior else ""
    doubted = f"; as the reports warn of their own figures, for {DOUBT:g} times as much" if warned else ""
    return (
        f"{metric}: sessions of an unchanged system are taken to differ by {100 * prior:.1f} % (1 sigma), a stated "
        f"prior{more}{doubted}; give --history to measure it"
    )


def _of_history(metric: str, pairs: Sequence[Pair], found: Estimates, groups: Sequence[int], prior: float) -> list[str]:
    level = 1 + sum(group == 0 for group in groups)
    sentence = (
        f"{metric}: how sessions differ is measured over {1 + len(groups)} sessions and shrunk across cells; "
        f"the base's level is that of {level} session{'s' if level > 1 else ''} of its software"
    )
    if len(groups) < 6:
        sentence += f"; with so few, the stated prior of {100 * prior:.1f} % (1 sigma) counts as well"
    sentences = [sentence]
    if departed := [pair.cell for pair, away in zip(pairs, found.departed, strict=True) if away]:
        sentences.append(
            f"{metric}: in {len(departed)} cell{'s' if len(departed) > 1 else ''} ({departed[0]}) the base is away "
            "from its history, so that the base alone counts there"
        )
    return sentences


def _whole_findings(parts: Sequence[_Measured], policy: Policy) -> list[Finding]:
    """Judge all cells of each metric as one; the lines are a family of their own."""
    lines: list[Pair] = []
    found: list[Whole] = []
    for part in parts:
        if part.whole is None:
            continue
        about = part.pairs[0]
        base, head = (_geometric([getattr(pair, side).value for pair in part.pairs]) for side in ("base", "head"))
        samples = [Sample(about.base.unit, about.base.better, (), value, about.base.scope) for value in (base, head)]
        lines.append(Pair(NAME, about.metric, samples[0], samples[1], policy.limits(NAME, about.metric)))
        found.append(part.whole)
    if not lines:
        return []
    estimates = joined_estimates([whole.estimates for whole in found])
    return judge(lines, estimates, policy.whole_alpha, joined([whole.evidence for whole in found]))


def _geometric(values: Sequence[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def _history_runs(session: Session, base: Session, pairs: Sequence[Pair]) -> list[tuple[float, ...]]:
    """Return the runs of an earlier session, none where a cell of it is not the base's."""
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
    return runs


def _groups(base: Session, history: Sequence[Session]) -> list[int]:
    """Number the software of each session, on another unit another one; 0 is the base's."""
    known: list[object] = [(base.unit, base.soft)]
    numbers = []
    for session in history:
        of = (session.unit, session.soft)
        if of not in known:
            known.append(of)
        numbers.append(known.index(of))
    return numbers
