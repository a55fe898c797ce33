"""The first screen of a report: what it is of, the answer, what is missing, and one table a group sorted by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgebench.compare.cells import CAUTIONS
from edgebench.render.answer import Told, difference, gain, gap_sentence, told, variant_names
from edgebench.render.studies.short import study_sentence
from edgebench.render.sustained import sentence as sustained_sentence
from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE, TIMES
from edgebench.render.view import GAIN, View, cell_of, column_named, header_of, metric_named
from edgebench.report.answer import Answer, Group, answer_of, by_metric
from edgebench.report.catalogue import METRICS, info_of
from edgebench.report.change import Change, change_of
from edgebench.report.model import Benchmark, Report

# Warnings that the gaps or a line of their own say in full.
_SAID = frozenset({"few-runs", "no-energy", "runs-missing"})
_BESIDE_ROWS = frozenset({"disturbed", "disagrees", "not-finite", "constant", "fp16-not-executed", "int8-weights"})
# The header of how many times better than the baseline.
_BETTER = {"latency_s": "times\nfaster", "energy_gross_j": "times\nless energy", "size_bytes": "times\nsmaller"}
# What a request to a language model is made of, and how it foresees a text, told beside the whole.
_PHASES = ("prefill_tokens_per_s", "decode_tokens_per_s", "energy_per_generated_token_j", "perplexity")
_GROUPS = 12
_ROWS = 40


@dataclass(frozen=True, slots=True)
class Summary:
    """The first screen as data: two lines of what and where, a group's sentences each, (word, sentence) notes, tables.

    `notes` are what is missing and what to beware of, each once, `reasons` those that they name.
    """

    head: tuple[str, ...]
    groups: tuple[Told, ...]
    notes: tuple[tuple[str, str], ...]
    tables: tuple[Section, ...]
    reasons: frozenset[str]


def summary(report: Report, view: View | None = None) -> Summary:
    """Return the first screen of a report; UsageError where `view` names what it has not."""
    view = view or View()
    answer = answer_of(report)
    groups = _shown(answer)
    named = {row.name: row for row in report.benchmarks}
    most = len(groups) if view.everything else _GROUPS
    sentences = told(report, answer)[:most]
    tables = []
    for group, one in zip(groups[:most], sentences, strict=True):
        title = one.about if len(groups) > 1 else ""
        tables.append(_table(report, group, [named[name] for name in group.rows], view, title))
    if more := groups[most:]:
        tables.append(Section("", notes=(f"and {len(more)} more groups: --all, or --only GLOB",)))
    return Summary(
        head=tuple(_head(report, answer, sentences)),
        groups=tuple(one for one, group in zip(sentences, groups, strict=False) if group.winners),
        notes=tuple(_notes(report, answer)),
        tables=tuple(tables),
        reasons=frozenset(_told(report, answer)),
    )


def _told(report: Report, answer: Answer) -> Iterator[str]:
    """Yield the reasons and warnings that the first screen says: without any joules, those of every kind of joules."""
    yield from (gap.reason for gap in answer.gaps)
    notices = [*report.warnings, *(notice for row in report.benchmarks for notice in row.warnings)]
    yield from (notice.text for notice in notices if notice.code in _SAID)
    if any(gap.everywhere and gap.metric == "energy_gross_j" for gap in answer.gaps):
        for row in report.benchmarks:
            yield from (missing.reason for name, missing in row.missing.items() if "energy" in name)
            phases = () if row.artifact is None else row.artifact.ledger
            yield from (missing.reason for phase in phases for missing in (phase.missing or {}).values())


def _shown(answer: Answer) -> list[Group]:
    """Return the groups of models; of operators where there is nothing else."""
    return [group for group in answer.groups if group.kind != "operator"] or list(answer.groups)


def _head(report: Report, answer: Answer, sentences: Sequence[Told]) -> Iterator[str]:
    machine = report.machine
    partial = ", partial" if report.status == "partial" else ""
    where = f"{machine.board or machine.cpu}, {machine.cores} core{'s' if machine.cores > 1 else ''}"
    yield f"{report.suite.name}{partial} · {where} · {report.created[:10]}"
    runs = ""
    if answer.runs is not None:
        low, high = answer.runs
        runs = f"{low} run{'s' if high > 1 else ''} each" if low == high else f"{low} to {high} runs each"
    about = sentences[0].about if len(sentences) == 1 else ""
    if len(sentences) > 1:
        models = {row.params.get("model") for row in report.benchmarks if row.status == "ok"}
        one = next(iter(models)) if len(models) == 1 else None
        about = f"{one} in {len(sentences)} settings" if one else f"{len(sentences)} models or settings"
    if text := " · ".join(part for part in (about, runs) if part):
        yield text


def _notes(report: Report, answer: Answer) -> Iterator[tuple[str, str]]:
    for gap in answer.gaps:
        fix = f": {gap.fix}" if gap.fix else ""
        yield "Missing", gap_sentence(report, gap) + fix
    for row in report.benchmarks:
        for run in row.sustained or ():
            yield "Sustained", f"{row.name}: {sustained_sentence(row, run)}"
    if (study := study_sentence(report)) is not None:
        yield "Study", study
    few = answer.runs is not None and answer.runs[0] < 5
    words = [_short(notice.code, notice.text) for notice in report.warnings if notice.code not in _SAID]
    counts = Counter(notice.code for row in report.benchmarks for notice in row.warnings)
    total = sum(row.status == "ok" for row in report.benchmarks)
    for code, count in counts.items():
        if code in CAUTIONS and CAUTIONS[code] not in words and not _beside(report, code):
            words.append(f"{CAUTIONS[code]} ({count} of {total} benchmark{'s' if total > 1 else ''})")
    if few:
        words.append("fewer than 5 runs give ranges, no intervals (--processes 10)")
    if words:
        yield "Beware", "; ".join(dict.fromkeys(words))


def _short(code: str, text: str) -> str:
    """Return a warning in a few words: its first clause."""
    return CAUTIONS.get(code) or text.partition(": ")[0]


def _beside(report: Report, code: str) -> bool:
    """Tell whether a warning stands beside the rows it concerns: not where most rows have it."""
    rows = [row for row in report.benchmarks if row.status == "ok"]
    count = sum(any(notice.code == code for notice in row.warnings) for row in rows)
    return code in _BESIDE_ROWS and (count <= len(rows) / 2 or code != "disturbed")


def _table(report: Report, group: Group, rows: Sequence[Benchmark], view: View, title: str) -> Section:
    reference = next((row for row in rows if row.name == group.reference), None)
    lead = metric_named([report], view.metric, "--metric") if view.metric else _lead(group)
    order = metric_named([report], view.sort, "--sort") if view.sort else lead
    ordered = by_metric(rows, reference, order)[: None if view.everything else _ROWS]
    names = variant_names(rows)
    asked = [column_named([report], name) for name in view.columns] or _default(group, lead, rows)
    columns = [
        Column("operator" if group.kind == "operator" else "variant", tuple(names[row.name] for row in ordered), "left")
    ]
    for name in asked:
        if name == GAIN:
            columns.append(_gains(report, reference, ordered, lead))
        else:
            columns.append(Column(header_of(name, ordered), tuple(cell_of(name, row) for row in ordered)))
    columns.append(
        Column("remarks", tuple("; ".join(_remarks(report, group, row)) for row in ordered), "left", below=True)
    )
    notes = [_of_batch(batch, group.kind) for batch in _batches(rows)]
    if left := len(rows) - len(ordered):
        notes.append(f"and {left} more: --all, or --only GLOB")
    return Section(title, (tuple(columns),), notes=tuple(notes))


def _batches(rows: Sequence[Benchmark]) -> list[object]:
    """Return how many inputs, or requests, the passes of a group have at once, where that is not one."""
    return [batch for batch in dict.fromkeys(row.params.get("batch", 1) for row in rows) if batch != 1]


def _of_batch(batch: object, kind: str) -> str:
    if kind != "generate":
        return f"latency and energy are of {batch} at once"
    return f"latency and gross energy are of {batch} requests at once; tokens a second and joules a token are of all"


def _lead(group: Group) -> str:
    return group.winners[0].metric if group.winners else "latency_s"


def _default(group: Group, lead: str, rows: Sequence[Benchmark]) -> list[str]:
    """Return the metrics that decide an answer, the leading one with its gain first."""
    wins = [name for name, info in METRICS.items() if info.wins and any(name in row.metrics for row in rows)]
    first = [lead, GAIN] if group.reference is not None and len(rows) > 1 else [lead]
    phases = [name for name in _PHASES if any(name in row.metrics for row in rows)]
    found = [*first, *phases, *(name for name in wins if name != lead)]
    if not any(info_of(name).wins == "most accurate" for name in wins):
        found += [name for name in ("agreement_top1",) if any(name in row.metrics for row in rows)]
    return found


def _gains(report: Report, reference: Benchmark | None, rows: Sequence[Benchmark], lead: str) -> Column:
    def cell(row: Benchmark) -> str:
        if reference is None or row is reference:
            return NONE if reference is None else f"1{TIMES}"
        change = change_of(report, lead, reference, row)
        return NONE if change is None else _gain(change)

    return Column(_BETTER.get(lead.partition(".")[0], "times\nbetter"), tuple(map(cell, rows)))


def _gain(change: Change) -> str:
    return (difference(change) if change.ratio is None else gain(change)).replace(" [", "\n[").replace(" (", "\n(")


def _remarks(report: Report, group: Group, row: Benchmark) -> Iterator[str]:
    if why := group.no_gain.get(row.name):
        yield why
    if row.name in group.wrong:
        yield "answers differently, so what it saves is no gain"
    for notice in row.warnings:
        if notice.code in _BESIDE_ROWS and _beside(report, notice.code):
            yield notice.text.partition(", as ")[0] if notice.code == "disturbed" else notice.text
