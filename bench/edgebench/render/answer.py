"""The answer of a report in sentences: which variant wins, by how much, how sure, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgebench.backends.registry import title_of
from edgebench.render.cells import headline, labels, title
from edgebench.render.units import TIMES, TO, percent, points, share, signed, with_interval
from edgebench.report.answer import Answer, Group, Winner
from edgebench.report.change import Change
from edgebench.report.gaps import Gap
from edgebench.report.model import Benchmark, Report

# Of gains from here on a factor is easier to read than a percentage.
_FACTOR = 1.5
_NAMED = 2


@dataclass(frozen=True, slots=True)
class Told:
    """A group's answer: what its benchmarks are variants of, and the sentences, the fastest first."""

    about: str
    sentences: tuple[str, ...]


def told(report: Report, answer: Answer) -> tuple[Told, ...]:
    """Return the sentences of each group of models, or of operators where a report has nothing else."""
    groups = [group for group in answer.groups if group.kind != "operator"] or list(answer.groups)
    named = {row.name: row for row in report.benchmarks}
    first = labels([named[group.rows[0]] for group in groups], without=("variant", "backend", "precision"))
    return tuple(
        Told(
            first.names[group.rows[0]] + (f" · {first.common}" if first.common and len(groups) == 1 else ""),
            tuple(_sentences(group, variant_names([named[name] for name in group.rows]), _kept(group, named))),
        )
        for group in groups
    )


def _kept(group: Group, named: Mapping[str, Benchmark]) -> Mapping[str, str]:
    """Return what is left of a language model's quality, by the name of each benchmark that is held to another."""
    found = {}
    for name in group.rows:
        if group.kind == "generate" and (metric := named[name].metrics.get("agreement_top1")) is not None:
            found[name] = f"{share(headline(metric), 1)} of tokens as the highest precision"
    return found


def variant_names(rows: Sequence[Benchmark]) -> Mapping[str, str]:
    """Return what each benchmark of a group is called in a sentence: ``ptq-static on OpenVINO``."""
    found = {}
    for row in rows:
        params = row.params
        form = str(params.get("precision", "")).upper()
        what = form if row.kind == "operator" else str(params.get("variant", ""))
        found[row.name] = f"{what} on {title_of(str(params.get('backend', '')))}".strip()
    for row in rows:
        if list(found.values()).count(found[row.name]) > 1 or not row.params.get("backend"):
            return {**found, **labels(rows).names}
    return found


def gap_sentence(report: Report, gap: Gap) -> str:
    """Return what is missing and why: ``no energy: this is a virtual machine …``, or which benchmarks failed."""
    if gap.what == "metric" and gap.metric is not None:
        where = "" if gap.everywhere else f" of {_where(report, gap.names)}"
        lacks = f"no {'energy' if gap.metric.startswith('energy') else title(gap.metric)}{where}"
        return f"{lacks}: {gap.reason.removeprefix('no energy source: ')}"
    if gap.what == "runs":
        return f"{_where(report, gap.names)}: {gap.reason}"
    verb = "failed" if gap.what == "failed" else "not run"
    return f"{_where(report, gap.names)} {verb}: {gap.reason}"


def gain(change: Change) -> str:
    """Return how many times better, with its 95 % interval, or with its range and how many runs it is of."""
    value = _better(change.ratio or 0.0, change)
    ends = change.ci95 or change.range
    within = None if ends is None else tuple(sorted(_better(end, change) for end in ends))
    shown, low, high = with_interval(value, None if within is None else (within[0], within[1]), "1")
    if change.exact or (change.ci95 is not None and not low):
        return f"{shown}{TIMES}"
    if change.ci95 is not None:
        return f"{shown}{TIMES} [{low}, {high}]"
    return f"{shown}{TIMES} ({f'{low}{TO}{high}, ' if low else ''}{_runs(change.pairs)})"


def _better(ratio: float, change: Change) -> float:
    """Return how many times better a ratio is; infinitely, where nothing is left."""
    return ratio if change.higher else 1 / ratio if ratio else math.inf


def difference(change: Change) -> str:
    """Return a change of a share in points with its interval: ``+0.56 points [+0.38, +1.12]``."""
    shown = f"{points(change.difference)} points"
    if change.ci95 is None:
        return shown
    return f"{shown} [{points(change.ci95[0])}, {points(change.ci95[1])}]"


def _sentences(group: Group, names: Mapping[str, str], kept: Mapping[str, str]) -> Iterator[str]:
    if not group.winners:
        yield "Nothing to compare: one benchmark has figures." if len(group.rows) == 1 else "Nothing to compare."
        return
    first, *others = group.winners
    also = [one for one in others if one.name == first.name and one.change is not None and _stands_out(one, group)]
    yield _leading(group, first, also, names, kept)
    for winner in others:
        if winner not in also:
            yield _of_winner(group, winner, names, kept)


def _leading(
    group: Group, first: Winner, also: Sequence[Winner], names: Mapping[str, str], kept: Mapping[str, str]
) -> str:
    """Say which variant is fastest and all that it changes against the reference."""
    which = f"{_called(first.name, group, names)} is {_list([first.wins, *(one.wins for one in also)])}"
    doubt = f", though it cannot be told from {_some(first.rivals, group, names)}" if first.rivals else ""
    if first.change is None:
        return f"{_capital(which)}{doubt}{_next(group, first, names)}."
    fastest = first.wins == "fastest"
    changes = [f"{gain(first.change)} {_speed(first, group, names)}" if fastest else in_words(first.change)]
    for wins in ("most frugal", "smallest", "most accurate"):
        winner = group.winner(wins)
        change = None if winner in (None, first) else group.changes.get((first.name, winner.metric))
        if change is not None:
            changes.append(in_words(change))
    if first.name in kept:
        changes.append(kept[first.name])
    if first.own is not None:
        runtime = names.get(first.own.base, "").partition(" on ")[2] or "the same runtime"
        changes.insert(1, f"{gain(first.own)} {'that of ' * fastest}FP32 in {runtime}")
    return f"{_capital(which)}{doubt}: {', '.join(changes)}."


def _speed(first: Winner, group: Group, names: Mapping[str, str]) -> str:
    """Name the reference's speed; by its runtime as well where the fastest is the baseline too, in another one."""
    told, reference = names.get(first.name, ""), names.get(group.reference or "", "")
    same_variant = told.partition(" on ")[0] == reference.partition(" on ")[0]
    return f"the speed of {reference}" if same_variant and reference else "the baseline's speed"


def _next(group: Group, first: Winner, names: Mapping[str, str]) -> str:
    """Say how far behind the second is, where the reference is first and surely so."""
    behind = [name for name in group.rows if (name, first.metric) in group.changes and name not in group.wrong]
    if first.rivals or first.name != group.reference or first.wins != "fastest" or not behind:
        return ""
    return f": the next, {names[behind[0]]}, has {gain(group.changes[behind[0], first.metric])} its speed"


def _of_winner(group: Group, winner: Winner, names: Mapping[str, str], kept: Mapping[str, str]) -> str:
    wins = winner.wins.capitalize()
    if not _stands_out(winner, group):
        everyone = len(winner.rivals) == len(group.rows) - 1
        if everyone and all(change.sure == "equal" for key, change in group.changes.items() if key[1] == winner.metric):
            return f"{wins}: all are alike."
        if everyone:
            return f"{wins}: no variant can be told from another."
        return f"{wins}: no variant is surely better than the baseline."
    told_of = _called(winner.name, group, names)
    doubt = f"; cannot be told from {_some(winner.rivals, group, names)}" if winner.rivals else ""
    change = "" if winner.change is None else f", {in_words(winner.change, alone=True)}"
    change += f", {kept[winner.name]}" if winner.name in kept else ""
    return f"{wins}: {told_of}{change}{doubt}."


def _stands_out(winner: Winner, group: Group) -> bool:
    """Tell whether the winner is told from the reference, or there is none."""
    return group.reference is None or (winner.name != group.reference and group.reference not in winner.rivals)


def in_words(change: Change, *, alone: bool = False) -> str:
    """Return a change for a sentence: ``71 % smaller``; `alone` where the sentence has said of what."""
    if change.ratio is None:
        sure = " (cannot be told from 0)" if change.sure == "untold" else ""
        name = "" if alone else f"{title(change.metric)} "
        return f"{name}{difference(change)}{sure}"
    better = _better(change.ratio, change)
    name, _, _ = change.metric.partition(".")
    words = {
        "latency_s": ("faster", "slower"),
        "energy_gross_j": ("less energy", "more energy"),
        "size_bytes": ("smaller", "larger"),
    }.get(name, (f"better {title(name)}", f"worse {title(name)}"))
    if change.ratio == 1:
        return f"same {title(name)}"
    if name != "size_bytes" and better >= _FACTOR:
        return f"{gain(change)} {words[0] if name == 'energy_gross_j' else 'the baseline'}"
    sure = " (cannot be told from 0)" if change.sure == "untold" else ""
    ends = change.ci95 or change.range
    whole = change.exact and abs(change.ratio - 1) >= 0.01
    shown = percent(change.ratio, 0 if whole else 1).lstrip("+\N{MINUS SIGN}")
    if ends is None:
        return f"{shown} {words[change.ratio > 1] if not change.higher else words[change.ratio < 1]}"
    low, high = (signed(100 * (end - 1), 1) for end in ends)
    named = {"latency_s": "time", "energy_gross_j": "energy"}.get(name, title(name))
    between = f"[{low}, {high}]" if change.ci95 else f"({low} to {high}, {_runs(change.pairs)})"
    return f"{named} {percent(change.ratio, 1)} {between}{sure}"


def _called(name: str, group: Group, names: Mapping[str, str]) -> str:
    return f"the baseline ({names[name].removeprefix('baseline on ')})" if name == group.reference else names[name]


def _some(rivals: Sequence[str], group: Group, names: Mapping[str, str]) -> str:
    shown = [_called(name, group, names) for name in rivals[:_NAMED]]
    more = f" and {len(rivals) - _NAMED} more" if len(rivals) > _NAMED else ""
    return (", ".join(shown) if more else " or ".join(shown)) + more


def _where(report: Report, names: Sequence[str]) -> str:
    total = len(report.benchmarks)
    if len(names) > _NAMED:
        return f"all {total} benchmarks" if len(names) == total else f"{len(names)} of {total} benchmarks"
    return " and ".join(names)


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return f"The {text[4:]}" if text.startswith("the ") else text


def _runs(count: int) -> str:
    return f"{count} run{'s' if count != 1 else ''}"
