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
    batched = {row.generated.batch for row in rows if row.generated is not None}
    if batched - {1}:
        notes.append(
            "of a batch, requests are made at once: tokens a second and joules a token are of all of them, "
            "the first token, a token and the whole request's time and joules of the batch"
        )
    if front:
        notes.append("*: no other row of its requests is better in perplexity, speed of generating, size and joules")
    if any(row.generated is not None and not row.generated.repeats for row in rows):
        names = ", ".join(labels.names[row.name] for row in rows if row.generated and not row.generated.repeats)
        notes.append(f"generated other tokens in another request, though always the likeliest: {names}")
    notes += [f"{labels.names[row.name]}: {text}" for row in rows if (text := _apart(row)) is not None]
    return Section("Language models", (columns,), notes=tuple(notes))


def _apart(row: Benchmark) -> str | None:
    """Say where requests of a batch are answered otherwise than alone, or None."""
    made = row.generated
    if made is None or made.alone is None or all(same == made.generated_tokens for same in made.alone):
        return None
    count = sum(same < made.generated_tokens for same in made.alone)
    return (
        f"{count} of {made.batch} requests get other tokens in a batch than alone, the earliest from token "
        f"{min(made.alone) + 1} on: sums are taken in another order there, and two tokens are about as likely"
    )


def pareto(rows: Sequence[Benchmark]) -> frozenset[str]:
    """Return the names of the rows that no other of equal requests beats in everything known of both.

    None of a row that is alone: other prompts, and more of them at once, have speeds of their own.
    """
    if not all("perplexity" in row.metrics for row in rows):
        return frozenset()
    names = ["perplexity", "size_bytes", "energy_per_generated_token_j"]
    known = [name for name in names if all(name in row.metrics for row in rows)]
    requests = {row.name: [row.params.get(name) for name in ("batch", "prompt_tokens", "generate")] for row in rows}
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
            if each != name and requests[each] == requests[name]
        )

    several = [name for name in points if list(requests.values()).count(requests[name]) > 1]
    return frozenset(name for name in several if not beaten(name))


def _plain(row: Benchmark, name: str) -> str:
    metric = row.metrics.get(name)
    return NONE if metric is None else figure(cells.headline(metric), 4)
