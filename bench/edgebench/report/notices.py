"""Warnings as data: what a person should know before trusting a figure, each with a code and a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from edgebench.measure.agreement import shortfall
from edgebench.measure.results import InferenceResult, ModelAnswer
from edgebench.plan.kinds import KINDS
from edgebench.report.intervals import run_medians, spread_of
from edgebench.report.model import Report
from edgebench.report.precision import Precision, summary, told
from edgebench.report.quantity import Notice
from edgebench.report.records import FailedRecord, SkippedRecord

if TYPE_CHECKING:
    from edgebench.machine.facts import MachineFacts
    from edgebench.measure.results import Layers, Quality
    from edgebench.plan.plan import Benchmark
    from edgebench.report.log import Log
    from edgebench.report.records import ArtifactRecord, RunRecord, RunResult

# The study reports at most 1.8 % between replications; three times that is a noisy machine.
NOISY_SPREAD = 0.054


def cell_notices(cell: Benchmark, runs: Sequence[RunRecord], artifact: ArtifactRecord | None) -> Iterator[Notice]:
    """Yield the warnings of one benchmark."""
    yield from _of_spread([run.result.values for run in runs])
    # Throttling is a sustained run's finding, told by its verdict.
    if KINDS[cell.kind].repeated and (disturbed := [run.disturbed for run in runs if run.disturbed]):
        verb = "was" if len(disturbed) == 1 else "were"
        text = f"{len(disturbed)} of {len(runs)} runs {verb} disturbed, as {disturbed[0]}"
        yield Notice(code="disturbed", text=text)
    discarded = sum(run.result.energy.discarded for run in runs if isinstance(run.result, InferenceResult))
    if discarded:
        windows = "energy window was" if discarded == 1 else "energy windows were"
        yield Notice(code="windows-discarded", text=f"{discarded} {windows} invalid and measured again")
    first = runs[0].result
    layers = first.layers if isinstance(first, ModelAnswer) else None
    if cell.params.precision == "int8" and cell.params.operator is None:
        yield from _quantisation(cell, first, layers)
    if cell.params.precision == "fp16" and layers and not layers.counts.get("fp16"):
        text = "half-precision weights only: no layer was executed in FP16 here, as the runtime tells it"
        yield Notice(code="fp16-not-executed", text=text)
    yield from answer_notices(first.quality, cell.params.precision, cell.params.variant)
    if artifact is not None and "seeded" in (artifact.notes.weights or "") and not artifact.notes.trained:
        yield Notice(code="untrained", text="the weights are a seeded initialisation: its accuracy means nothing")
    if cell.params.isa != "none":
        ignored = "isa_note" in (first.settings or {})
        text = f"an ISA ceiling ({cell.params.isa}) made this processor stand in for a smaller one"
        if ignored:
            text = (
                f"{cell.params.backend} ignores the ISA ceiling ({cell.params.isa}): it used this processor's own ISA"
            )
        yield Notice(code="isa-ceiling", text=text)


def _of_spread(runs: Sequence[Sequence[float]]) -> Iterator[Notice]:
    """Yield how the runs of a benchmark differ; that they are few is told once, of the whole session."""
    medians = run_medians(runs)
    if (max(medians) - min(medians)) / median(medians) > NOISY_SPREAD:
        text = f"its runs differ by more than {NOISY_SPREAD:.1%}: give it more runs, or a quieter machine"
        yield Notice(code="noisy", text=text)
    for remark in spread_of(runs).remarks:
        if remark.kind != "few":
            yield Notice(code=f"runs-{remark.kind}", text=remark.text)


def unfinished(cell: Benchmark, runs: int, ended: FailedRecord | SkippedRecord | None) -> Iterator[Notice]:
    """Yield the warning of a benchmark with fewer runs than its plan has."""
    if runs < (wanted := cell.measure.least_runs):
        why = "the session ended"
        if ended is not None:
            what = f"run {runs + 1} failed" if isinstance(ended, FailedRecord) else "it is skipped now"
            why = f"{what}: {ended.reason}"
        yield Notice(code="runs-missing", text=f"{runs} of {wanted} runs ({why}): --resume measures the others")


def imprecise(precision: Precision | None, runs: int) -> Iterator[Notice]:
    """Yield the warning of a benchmark whose intervals are wider than was asked for."""
    if precision is not None and precision.stopped != "reached":
        yield Notice(code="imprecise", text=told(precision, runs))


def answer_notices(quality: Quality | None, precision: str, variant: str) -> Iterator[Notice]:
    """Yield what is wrong with the answers of a benchmark of this precision and variant."""
    if quality is None:
        return
    answers = quality.answers
    reference = "torch FP32" if answers is None else "the FP32 form of the same file"
    found = quality.agreement
    if found and (short := shortfall(found, precision, variant, reference)):
        yield Notice(code="disagrees", text=short)
    if answers is None:
        return
    if answers.finite is False:
        text = "its outputs are not finite (NaN or infinite): its speed and energy are those of a model without answers"
        yield Notice(code="not-finite", text=text)
    if answers.constant:
        text = "its outputs are the same whatever it is fed: its speed and energy may be those of no computation"
        yield Notice(code="constant", text=text)


def emulation(machine: MachineFacts) -> Iterator[Notice]:
    """Yield the warning that every figure of an emulated processor carries."""
    if program := machine.emulated:
        text = f"the processor is emulated ({program}): times and joules say nothing of a real one"
        yield Notice(code="emulated", text=text)


def _quantisation(cell: Benchmark, result: RunResult, layers: Layers | None) -> Iterator[Notice]:
    if cell.params.variant.endswith("weights-int8"):
        text = "only the weights are stored in INT8: what the layers multiply in is the runtime's choice"
        yield Notice(code="int8-weights", text=text)
        return
    if layers and not layers.counts.get("int8"):
        yield Notice(code="int8-not-executed", text="no layer was executed in INT8, as the runtime tells it")
    operators = (result.settings or {}).get("operators", {})
    if outside := operators.get("built-in kernel"):
        text = f"{outside} of {sum(operators.values())} operators ran in LiteRT's built-in kernels, not in XNNPACK's"
        yield Notice(code="delegate-partial", text=text)
    if cell.params.variant.endswith("ptq-dynamic") and cell.params.backend == "torch":
        text = "dynamic quantisation covers linear layers only; everything else stays in FP32"
        yield Notice(code="int8-partial", text=text)


def session_notices(report: Report, log: Log) -> Iterator[Notice]:
    """Yield the warnings of the whole session."""
    machine = report.machine
    if machine.virtualised:
        yield Notice(code="virtualised", text="this is a virtual machine: other guests can disturb every figure")
    if machine.governor not in (None, "performance"):
        text = f"the CPU governor is '{machine.governor}': frequency follows load, which adds spread"
        yield Notice(code="governor", text=text)
    if machine.throttled:
        yield Notice(
            code="throttled", text="the processor throttled during the session: it was too hot or power-limited"
        )
    replicated = [cell for cell in report.benchmarks if cell.kind != "sustained"]
    timed = [cell.metrics.get("latency_s") or cell.metrics.get("compress_s") for cell in replicated]
    counts = [len(metric.runs) for metric in timed if metric is not None and metric.runs]
    if counts and (fewest := min(counts)) < 5:
        text = (
            f"{fewest} run{'s'[: fewest > 1]} a benchmark: fewer than five give no interval; --processes 10 gives one"
        )
        yield Notice(code="few-runs", text=text)
    asked = [cell.precision for cell in report.benchmarks if cell.precision is not None]
    if any(one.stopped != "reached" for one in asked) and (text_of_all := summary(asked)):
        yield Notice(code="imprecise", text=text_of_all)
    busiest = [run.disturbed for run in log.runs() if run.disturbed]
    if busiest:
        what = "run was" if len(busiest) == 1 else "runs were"
        yield Notice(code="other-load", text=f"{len(busiest)} {what} disturbed even when repeated: {busiest[-1]}")
    elsewhere = {
        f"{made.cpu} ({made.architecture})"
        for cell in report.benchmarks
        if cell.artifact is not None and (made := cell.artifact.prepared_on) is not None
    }
    if elsewhere:
        text = f"prepared elsewhere, on {', '.join(sorted(elsewhere))}: compressing cost its seconds and joules there"
        yield Notice(code="prepared-elsewhere", text=text)
    if not report.probes:
        yield Notice(code="no-energy", text="no energy was measured; see probes_missing for the reason and the fix")
