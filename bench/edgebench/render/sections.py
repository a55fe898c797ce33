"""What a shown report says, as data: the sections that terminal and HTML both print."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edgebench.plan.kinds import KINDS
from edgebench.render import cells
from edgebench.render.columns import column, common_note, energy_column, measured, name_column
from edgebench.render.compress import break_even_section, compression_section, making_section
from edgebench.render.energy import idle_section, probes_section
from edgebench.render.generate import section as generate_section
from edgebench.render.operators import operators_section
from edgebench.render.quality import quality_columns, winning_columns
from edgebench.render.resources import section as resources_section
from edgebench.render.studies.jetson import jetson_section
from edgebench.render.studies.n150 import study_of, study_section
from edgebench.render.studies.pi import pi_section
from edgebench.render.sustained import section as sustained_section
from edgebench.render.tables import Column, Section
from edgebench.report.model import Benchmark, Contrast, Report
from edgebench.report.wrong import answers_wrongly

# Kinds that are shown in another way than by latency and energy of a pass.
_OWN_SECTION = frozenset({"generate", "sustained", "operator", "compress"})
_NO_GAIN = "† answers differently, so what it saves is no gain: see its warnings"


def sections(report: Report, *, sparks: bool = True, told: Collection[str] | None = None) -> list[Section]:
    """Return every section that has something to say, in order; `sparks` are series as lines of characters.

    `told` are the reasons and warnings that a summary before them has, with the leading figures; None without one.
    """
    study = study_of(report)
    found = [
        *(
            _inference(kind, measured(report, kind), rest=told is not None)
            for kind in KINDS
            if kind not in _OWN_SECTION
        ),
        generate_section(report),
        sustained_section(report, sparks=sparks),
        operators_section(report),
        making_section(report),
        compression_section(report),
        break_even_section(report),
        idle_section(report),
        probes_section(report),
        _contrasts(report),
        None if study is None else study_section(study),
        jetson_section(report),
        pi_section(report),
        resources_section(report, sparks=sparks),
        *remarks(report, told or ()),
    ]
    return [section for section in found if section is not None]


def remarks(report: Report, told: Collection[str] = ()) -> list[Section]:
    """Return what was not measured, the warnings, and what is missing with its fix, less what is `told`."""
    failed = tuple((text, "") for text in cells.all_unmeasured(report, told))
    warnings = tuple((text, "") for text in cells.all_warnings(report, told))
    missing = tuple(cells.all_missing(report, told))
    found = [
        Section("Not measured", bullets=failed, tone="error"),
        Section("Warnings", bullets=warnings, tone="warning"),
        Section("Missing, and what would bring it", bullets=missing, tone="warning"),
    ]
    return [section for section in found if section.bullets]


def _inference(kind: str, benchmarks: Sequence[Benchmark], *, rest: bool) -> Section | None:
    """Return every figure of a kind's benchmarks, or the `rest` of them: those that a summary does not have."""
    if not benchmarks:
        return None
    # Beside the name a column of its own would leave 80 columns no room for the last.
    labels = cells.labels(benchmarks, without=() if rest else ("precision",))
    leading = [
        column("precision", benchmarks, lambda row: str(row.params.get("precision", "")), justify="left"),
        column("latency\nmedian", benchmarks, lambda row: cells.metric_cell(row, "latency_s")),
        energy_column("energy_gross_j", benchmarks),
        column("size", benchmarks, cells.size_cell),
        *winning_columns(benchmarks),
    ]
    columns = [
        name_column(benchmarks, labels),
        *([] if rest else leading),
        column("latency\np95", benchmarks, cells.tail_cell),
        energy_column("energy_net_j", benchmarks),
        *quality_columns(benchmarks),
        column("peak\nmemory", benchmarks, lambda row: cells.metric_cell(row, "peak_memory_bytes")),
        column("INT8\nlayers", benchmarks, cells.layers_cell),
        column("share\nof roof", benchmarks, lambda row: cells.metric_cell(row, "roofline_fraction")),
    ]
    notes = [
        *common_note(labels),
        "median over runs [95 % interval], or (range, runs) of fewer than five and of a drift",
    ]
    return Section(
        f"{kind.capitalize()}: more figures" if rest else kind.capitalize(), (tuple(columns),), notes=tuple(notes)
    )


def _contrasts(report: Report) -> Section | None:
    operators = {row.name for row in report.benchmarks if row.kind == "operator"}
    told = [contrast for contrast in report.contrasts if contrast.head not in operators]  # theirs stand in their table
    pairs = list(dict.fromkeys((contrast.base, contrast.head) for contrast in told))
    if not pairs:
        return None
    found: dict[tuple[str, str, str], Contrast] = {(c.base, c.head, c.metric): c for c in told}
    metrics = list(dict.fromkeys(contrast.metric for contrast in told))
    bases = list(dict.fromkeys(base for base, _ in pairs))
    involved = {name for pair in pairs for name in pair}
    wrong = {row.name for row in report.benchmarks if answers_wrongly(row)}
    labels = cells.labels([row for row in report.benchmarks if row.name in involved])
    tables: list[tuple[Column, ...]] = []
    for base in bases:
        heads = [head for first, head in pairs if first == base]
        named = tuple(labels.names.get(head, head) + (" †" if head in wrong else "") for head in heads)
        columns = [Column(f"against\n{labels.names.get(base, base)}", named, "left")]
        columns += [
            Column(cells.title(m), tuple(cells.contrast_cell(found.get((base, head, m))) for head in heads))
            for m in metrics
        ]
        tables.append(tuple(columns))
    methods = ", ".join(dict.fromkeys(contrast.method for contrast in told))
    notes = [f"[95 % interval]; {methods}", *common_note(labels)]
    if wrong & involved:
        notes.append(_NO_GAIN)
    return Section("Differences inside this report", tuple(tables), notes=tuple(notes))
