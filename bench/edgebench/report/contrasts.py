"""Contrasts of a report: every variant against its own runtime's baseline, and against the reference of its group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgebench.report.intervals import Estimate, exact_ratio, paired_difference, paired_ratio
from edgebench.report.model import Benchmark, BreakEven, Contrast
from edgebench.report.quantity import Metric, Missing
from edgebench.report.wrong import answers_wrongly

if TYPE_CHECKING:
    from edgebench.measure.results import Evaluation
    from edgebench.report.log import Log
    from edgebench.report.model import Report

_PAIRED = ("latency_s", "energy_gross_j", "energy_net_j")


def contrasts(report: Report, log: Log) -> Iterator[Contrast]:
    """Yield head against base for each variant: its own backend's baseline, then the reference of its group."""
    correct = {
        run.cell: run.result.quality.evaluation
        for run in log.runs()
        if run.result.quality is not None and run.result.quality.evaluation is not None
    }
    for head in report.benchmarks:
        if head.status != "ok":
            continue
        for base in _bases(report, head):
            yield from _between(base, head)
            if base.name in correct and head.name in correct:
                counts = _agreement(correct[base.name], correct[head.name])
                yield _contrast("accuracy_top1", base, head, paired_difference(*counts), ratio=False)


def _bases(report: Report, head: Benchmark) -> Iterator[Benchmark]:
    own = full_precision_of(report, head)
    if own is not None:
        yield own
    if head.kind == "operator":
        return
    reference = reference_of([row for row in report.benchmarks if (row.kind, row.group) == (head.kind, head.group)])
    if reference is not None and reference not in (own, head):
        yield reference


def reference_of(rows: Sequence[Benchmark]) -> Benchmark | None:
    """Return what a group of benchmarks is compared with, None where nothing of it is a baseline in FP32 with figures.

    It is torch's own baseline where that was measured (what the studies compress), else the first there is; of an
    operator, FP32 in the same runtime.
    """
    able = [row for row in rows if row.status == "ok" and row.params.get("precision") == "fp32"]
    able = [row for row in able if row.kind == "operator" or row.params.get("variant") == "baseline"]
    return min(able, key=lambda row: row.params.get("backend") != "torch", default=None)


def full_precision_of(report: Report, head: Benchmark) -> Benchmark | None:
    """Return the FP32 form of the same model or operator in the same runtime; None of what is itself that."""
    if head.kind != "operator":
        return baseline_of(report, head)
    if head.params.get("precision") == "fp32":
        return None
    for other in report.benchmarks:
        same = all(other.params.get(key) == head.params.get(key) for key in ("operator", "backend", "threads", "isa"))
        if same and other.status == "ok" and other.params.get("precision") == "fp32":
            return other
    return None


def _between(base: Benchmark, head: Benchmark) -> Iterator[Contrast]:
    for name in _PAIRED:
        first, second = base.metrics.get(name), head.metrics.get(name)
        if (
            first is None
            or second is None
            or first.runs is None
            or second.runs is None
            or (first.probe, first.scope) != (second.probe, second.scope)
        ):
            continue
        estimate = paired_ratio(first.runs, second.runs)
        if estimate is not None:
            yield _contrast(name, base, head, estimate, scope=first.scope)
    sizes = base.metrics.get("size_bytes"), head.metrics.get("size_bytes")
    if sizes[0] is not None and sizes[1] is not None:
        estimate = exact_ratio(sizes[0].mean, sizes[1].mean)
        if estimate is not None:
            yield _contrast("size_bytes", base, head, estimate)


def _contrast(
    metric: str, base: Benchmark, head: Benchmark, estimate: Estimate, *, ratio: bool = True, scope: str | None = None
) -> Contrast:
    return Contrast(
        metric=metric,
        base=base.name,
        head=head.name,
        ratio=estimate.value if ratio else None,
        difference=None if ratio else estimate.value,
        ci95=estimate.ci95,
        range=estimate.range,
        pairs=estimate.pairs,
        method=estimate.method,
        scope=scope,
    )


def _agreement(base: Evaluation, head: Evaluation) -> tuple[int, int, int, int]:
    """Count the test images by who was right: both, base only, head only, neither."""
    first, second = (int.from_bytes(bytes.fromhex(side.correct_bits), "big") for side in (base, head))
    both = (first & second).bit_count()
    base_only, head_only = first.bit_count() - both, second.bit_count() - both
    return both, base_only, head_only, base.images - both - base_only - head_only


def with_break_even(report: Report) -> Iterator[Benchmark]:
    """Yield the benchmarks with how many inferences repay the energy of compressing, against the baseline beside it."""
    for cell in report.benchmarks:
        baseline = baseline_of(report, cell)
        spent = cell.metrics.get("compress_energy_j")
        if baseline is None or cell.status != "ok" or "compress_s" not in cell.metrics:
            yield cell
            continue
        own, base = cell.metrics.get("energy_gross_j"), baseline.metrics.get("energy_gross_j")
        if answers_wrongly(cell):
            why = Missing(reason="its outputs are not those of the baseline, so nothing repays it: see its warnings")
        elif (
            spent is None
            or own is None
            or base is None
            or len({(each.probe, each.scope) for each in (own, base, spent)}) > 1
        ):
            why = Missing(reason="needs joules of compressing and of inference, of the same probe")
        elif (saving := _saving(base, own)) is None:
            why = Missing(reason=f"cannot tell: its energy is not surely below that of {baseline.name}")
        elif not saving:
            why = Missing(reason=f"never: it uses more energy than {baseline.name}")
        else:
            count = spent.mean / (base.mean - own.mean)
            repaid = BreakEven(inferences=count, versus=baseline.name, scope=str(own.scope))
            yield cell.model_copy(update={"break_even": repaid})
            continue
        yield cell.model_copy(update={"missing": {**cell.missing, "break_even": why}})


def _saving(base: Metric, head: Metric) -> bool | None:
    """Tell whether head surely uses less energy than base (the paired 95 % interval), surely more, or neither: None."""
    estimate = paired_ratio(base.runs or (), head.runs or ())
    if estimate is None or estimate.ci95 is None:
        return None
    low, high = estimate.ci95
    return None if low < 1 < high else high <= 1


def baseline_of(report: Report, cell: Benchmark) -> Benchmark | None:
    """Return the baseline that was interleaved with a cell: same group and backend, FP32; None for a baseline.

    That of a language model is its file as it is, which seldom holds FP32.
    """
    if cell.params.get("variant") == "baseline" or cell.kind not in ("inference", "generate"):
        return None
    for other in report.benchmarks:
        same = other.group == cell.group and other.params.get("backend") == cell.params.get("backend")
        plain = cell.kind == "generate" or other.params.get("precision") == "fp32"
        if same and plain and other.params.get("variant") == "baseline":
            return other if other.status == "ok" else None
    return None
