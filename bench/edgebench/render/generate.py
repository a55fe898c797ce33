"""Language models for people: speed and joules of reading and of generating, size, memory and perplexity."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.render import cells
from edgebench.render.columns import column, common_note, energy_column, measured, name_column
from edgebench.render.tables import Section
from edgebench.render.units import NONE, figure
from edgebench.report.model import Benchmark, Report


def section(report: Report) -> Section | None:
    """Return a row a benchmark of kind ``generate``; None without any."""
    rows = measured(report, "generate")
    if not rows:
        return None
    labels = cells.labels(rows)
    front = pareto(rows)
    columns = (
        name_column(rows, labels),
        column("size", rows, cells.size_cell),
        column("reading\nthe prompt", rows, lambda row: cells.metric_cell(row, "prefill_tokens_per_s")),
        column("first\ntoken", rows, lambda row: cells.metric_cell(row, "time_to_first_token_s")),
        column("generating", rows, lambda row: cells.metric_cell(row, "decode_tokens_per_s")),
        column("a token\np95", rows, lambda row: cells.tail_cell(row, "time_per_token_s")),
        energy_column("energy_per_prompt_token_j", rows),
        energy_column("energy_per_generated_token_j", rows),
        column("perplexity", rows, lambda row: _plain(row, "perplexity")),
        column("tokens as the\nhighest precision", rows, lambda row: cells.metric_cell(row, "agreement_top1")),
        column("peak\nmemory", rows, lambda row: cells.metric_cell(row, "peak_memory_bytes")),
        column("of it\ncache", rows, lambda row: cells.metric_cell(row, "kv_cache_bytes")),
        column("best", rows, lambda row: "*" if row.name in front else ""),
    )
    notes = [
        *common_note(labels),
        "reading and generating apart; joules are gross",
    ]
    if front:
        notes.append("*: no other row is better in perplexity, speed of generating, size and joules at once")
    if any(row.generated is not None and not row.generated.repeats for row in rows):
        names = ", ".join(labels.names[row.name] for row in rows if row.generated and not row.generated.repeats)
        notes.append(f"generated other tokens in another request, though always the likeliest: {names}")
    return Section("Language models", (columns,), notes=tuple(notes))


def pareto(rows: Sequence[Benchmark]) -> frozenset[str]:
    """Return the names of the rows that no other beats in everything known of both; none where there is one row."""
    if len(rows) < 2 or not all("perplexity" in row.metrics for row in rows):
        return frozenset()
    names = ["perplexity", "size_bytes", "energy_per_generated_token_j"]
    known = [name for name in names if all(name in row.metrics for row in rows)]
    points = {
        row.name: (
            -cells.headline(row.metrics["decode_tokens_per_s"]),
            *(cells.headline(row.metrics[name]) for name in known),
        )
        for row in rows
    }

    def beaten(name: str) -> bool:
        own = points[name]
        return any(
            other != own and all(a <= b for a, b in zip(other, own, strict=True))
            for each, other in points.items()
            if each != name
        )

    return frozenset(name for name in points if not beaten(name))


def _plain(row: Benchmark, name: str) -> str:
    metric = row.metrics.get(name)
    return NONE if metric is None else figure(cells.headline(metric), 4)
