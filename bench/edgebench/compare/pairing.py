"""Two reports side by side: what can be compared, what cannot, and what only one of them has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgebench.compare.cells import CAUTIONS, Cell, Session
from edgebench.compare.fingerprint import Difference, differences
from edgebench.compare.judge import Pair, check, incomparable
from edgebench.compare.policy import Policy
from edgebench.compare.verdict import Finding, Verdict

# A probe that only one side has leaves everything but its joules comparable; these have scope and probe of their own.
_OF_METRICS = "probes"
_NAMED = 3


@dataclass(slots=True)
class Paired:
    """The pairs to be judged, the findings of what cannot be, and sentences about what is missing without a loss."""

    pairs: list[Pair] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def systems_apart(base: Mapping[str, Any], head: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return the fields that make two reports those of two systems."""
    return tuple(entry for entry in differences(base, head) if entry.field != _OF_METRICS)


def probes_apart(base: Session, head: Session) -> tuple[Difference, ...]:
    """Return the difference of the probes, where there is one."""
    return tuple(entry for entry in differences(base.hard, head.hard) if entry.field == _OF_METRICS)


def paired_up(base: Session, head: Session, policy: Policy) -> Paired:
    """Pair every cell and metric of the base with the head's.

    What the head lost is a finding, INCOMPARABLE, as nobody can say that it did not get worse. What neither side has,
    or the head alone, takes nothing from the rest and is told in a sentence.
    """
    found = Paired()
    without: dict[str, list[str]] = {}
    for name, first in base.cells.items():
        second = head.cells.get(name)
        if second is None:
            continue
        if first.status != "ok":
            both = "in both" if second.status != "ok" else "in base, measured in head"
            without.setdefault(f"{first.status} {both} ({first.why})", []).append(name)
        elif second.status != "ok":
            found.findings.append(incomparable(name, "*", f"{second.status} in head: {second.why}"))
        elif reason := one_answers_wrongly(first.wrong, second.wrong):
            found.findings.append(incomparable(name, "*", reason))
        elif different := differences(first.hard, second.hard):
            found.findings.append(incomparable(name, "*", "; ".join(map(_told, different[:3]))))
        else:
            for metric in policy.metrics:
                _metric(found, first, second, metric, policy)
    found.notes += [f"{_names(names)}: {reason}" for reason, names in without.items()]
    return found


def cautions_of(base: Session, head: Session) -> tuple[str, ...]:
    """Return what the reports themselves warn of, side by side with whom: other load, throttled, a virtual machine."""
    told: dict[str, list[str]] = {}
    for side, session in (("base", base), ("head", head)):
        for words in _warned(session):
            told.setdefault(words, []).append(side)
    return tuple(f"{words} in {' and '.join(sides)}" for words, sides in told.items())


def cautions_about(cell: str, base: Session, head: Session) -> tuple[str, ...]:
    """Return the codes of the warnings that concern a cell, of both sides."""
    codes = [*base.cautions, *head.cautions, *base.cells[cell].cautions, *head.cells[cell].cautions]
    return tuple(dict.fromkeys(codes))


def one_answers_wrongly(*wrong: bool) -> str | None:
    """Say that one of base and head does not answer as its model, None where both do, or neither."""
    if len(set(wrong)) == 1:
        return None
    side = "base" if wrong[0] else "head"
    return f"{side} answers otherwise than the model (its own warnings tell of it): its figures are no gain"


def unpraised(finding: Finding, *, wrong: bool) -> Finding:
    """Return the finding, PASS instead of IMPROVED where the benchmark does not answer as its model, `wrong`."""
    if finding.verdict is not Verdict.IMPROVED or not wrong:
        return finding
    return replace(finding, verdict=Verdict.PASS, reason="it answers otherwise than the model on both sides: no gain")


def _warned(session: Session) -> Iterator[str]:
    if wrong := [name for name, cell in session.cells.items() if cell.wrong]:
        yield wrong_answers(wrong)
    yield from (CAUTIONS[code] for code in session.cautions)
    cells: dict[str, int] = {}
    for cell in session.cells.values():
        for code in set(cell.cautions) - set(session.cautions):
            cells[code] = cells.get(code, 0) + 1
    yield from (f"{CAUTIONS[code]} of {count} benchmark{'s'[: count > 1]}" for code, count in sorted(cells.items()))


def wrong_answers(names: Sequence[str]) -> str:
    """Return the caution that benchmarks do not answer as their models."""
    return f"wrong answers of {_names(names)} (a gain there is none)"


def _metric(found: Paired, base: Cell, head: Cell, metric: str, policy: Policy) -> None:
    first, second = base.samples.get(metric), head.samples.get(metric)
    if first is None and second is None:
        return
    if first is None:
        found.notes.append(f"{base.name}: {metric} is in head only and was not compared")
    elif second is None:
        reason = f"head does not have it: {head.missing.get(metric, 'no reason given')}"
        found.findings.append(incomparable(base.name, metric, reason, lost=True))
    else:
        checked = check(base.name, metric, first, second, policy)
        (found.pairs if isinstance(checked, Pair) else found.findings).append(checked)  # type: ignore[arg-type]  # each to its own


def _told(difference: Difference) -> str:
    return f"{difference.field} differs: {difference.base} and {difference.head}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
