"""Write sample.json and the golden outputs beside this file.

The sample is a complete report whose figures are made up; no machine ever showed them. Run it after a change of the
model or of what is shown, and read the difference: `python -m tests.golden.make_sample`.
"""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from tests.golden.over_time import resources, sustained
from tests.unit.reports import passes_of

from edgebench.render.csv import rows
from edgebench.render.html import page
from edgebench.render.terminal import closing, show, show_several
from edgebench.render.view import View
from edgebench.report.intervals import Estimate, exact_ratio, paired_difference, paired_ratio
from edgebench.report.io import write_report
from edgebench.report.metric import metric_from_runs, single_value
from edgebench.report.model import Contrast, Report
from edgebench.report.quantity import Metric

SAMPLE = Path(__file__).with_name("sample.json")
RUNS, VALUES, LOOPS = 5, 4, 25
MACS, MEMORY = 313_000_000, 24e9
ROOFS = {"fp32": 210e9, "int8": 690e9}
SCREEN = 24  # lines of a terminal
NO_SCOPE = {"reason": "No RAPL zone covers the DRAM of this processor", "fix": "Measure at the socket: --probe shizuku"}
# variant, backend, precision, latency, energy, size, right answers, disagreements (lost, won), sparsity, INT8 layers
CELLS: tuple[tuple[Any, ...], ...] = (
    ("baseline", "torch", "fp32", 0.0471, 0.402, 9_137_113, 352, (0, 0), 0.0, 0),
    ("prune40", "torch", "fp32", 0.0470, 0.401, 9_137_113, 353, (2, 3), 0.388, 0),
    ("ptq-dynamic", "torch", "int8", 0.0469, 0.403, 9_105_880, 352, (1, 1), 0.0, 1),
    ("prune40+ptq-dynamic", "torch", "int8", 0.0470, 0.402, 9_105_880, 351, (3, 2), 0.388, 1),
    ("ptq-static", "openvino", "int8", 0.00612, 0.0523, 2_511_004, 350, (4, 2), 0.001, 58),
)


def sample() -> Report:
    """Return the sample report."""
    rng = random.Random(42)  # noqa: S311  # figures for a picture, no secret
    drift = [1 + 0.01 * rng.gauss(0, 1) for _ in range(RUNS)]
    benchmarks = [_inference(rng, drift, *cell) for cell in CELLS]
    benchmarks += [_operator(rng, drift, "fp32", 0.00121), _operator(rng, drift, "int8", 0.00039)]
    benchmarks.append(
        {
            "name": "mobilenet_v2/qat/openvino/int8",
            "kind": "inference",
            "params": _params("qat", "openvino", "int8"),
            "status": "failed",
            "reason": "The artifact was not ready within the time limit of 600 s; raise time_limit_s in the suite",
        }
    )
    benchmarks.append(sustained(rng, _params("baseline", "torch", "fp32")))
    return Report.model_validate(
        {
            "schema": "edgebench.report/1",
            "id": "5f0c6b1e-3d6a-4a58-9d0e-6f2b7f4f3a11",
            "created": "2026-05-04T09:30:00Z",
            "status": "complete",
            "generator": {"name": "edgebench", "version": "0.1.0"},
            "suite": {"name": "n150-compression", "digest": "sha256:5a", "seed": 42, "study": "n150"},
            "platform": "generic-x86_64",
            "image": None,
            "fingerprint": {"hard": {"cpu": "Sample CPU N999"}, "soft": {"kernel": "6.12.0"}},
            "machine": {
                "cpu": "Sample CPU N999",
                "cores": 4,
                "isa": ["avx2", "avx_vnni"],
                "memory_bytes": 16_000_000_000,
                "governor": "powersave",
                "virtualised": False,
                "temperature_c": {"before": 41.0, "after": 63.5},
                "throttled": False,
                "os": "Debian GNU/Linux 13",
                "kernel": "6.12.0",
            },
            "software": {"torch": "2.13.0+cpu", "openvino": "2026.4.1"},
            "probes": [
                {
                    "name": "rapl",
                    "source": "/sys/class/powercap/intel-rapl:0",
                    "scope": "package",
                    "kind": "counter",
                    "resolution": 6.1035e-05,
                    "refresh_s": 0.001,
                    "overhead": 1.1e-05,
                }
            ],
            "probes_missing": [{"name": "rapl (dram)", **NO_SCOPE}],
            "idle": [
                {
                    "probe": "rapl",
                    "scope": "package",
                    "power_w": 1.84,
                    "stdev_w": 0.03,
                    "seconds": 10.0,
                    "when": "before",
                },
                {
                    "probe": "rapl",
                    "scope": "package",
                    "power_w": 1.93,
                    "stdev_w": 0.04,
                    "seconds": 10.0,
                    "when": "after",
                },
            ],
            "data": {
                "name": "digits",
                "digest": "sha256:d1",
                "classes": 10,
                "train_images": 1437,
                "test_images": 360,
                "note": "handwritten digits that ship",
            },
            "session": {
                "seconds": 912.0,
                "worker_start_seconds": 71.0,
                "prepare_seconds": 240.0,
                "measure_seconds": 560.0,
                "seed": 42,
                "resumed": False,
                "runs_discarded": 1,
            },
            "benchmarks": benchmarks,
            "contrasts": _contrasts([b for b in benchmarks if b["kind"] == "inference" and b["status"] == "ok"]),
            "resources": resources(rng),
            "roofs": [
                {
                    "threads": 4,
                    "precision": precision,
                    "backend": "openvino",
                    "created": "2026-05-04T09:30:30Z",
                    "operations_per_s": rate,
                    "operations_range": [0.97 * rate, 1.02 * rate],
                    "bytes_per_s": MEMORY,
                    "bytes_range": [0.96 * MEMORY, 1.01 * MEMORY],
                }
                for precision, rate in ROOFS.items()
            ],
            "warnings": [
                {
                    "code": "powersave-governor",
                    "text": "The governor is powersave: clocks may be low at the start of a run",
                }
            ],
        }
    )


def _inference(
    rng: random.Random, drift: list[float], variant: str, backend: str, precision: str, latency_s: float, *rest: Any
) -> dict[str, Any]:
    energy_j, size_bytes, right, _, sparsity, int8 = rest
    passes = [[latency_s * d * (1 + 0.02 * rng.random()) for _ in range(VALUES * LOOPS)] for d in drift]
    runs = [[sum(run[i : i + LOOPS]) / LOOPS for i in range(0, len(run), LOOPS)] for run in passes]
    joules = [[energy_j * d * (1 + 0.003 * rng.gauss(0, 1))] for d in drift]
    idle_j = 1.885 * latency_s
    energy = {"scope": "package", "probe": "rapl", "systematic": energy_j * 0.002}
    return {
        "name": f"mobilenet_v2/{variant}/{backend}/{precision}",
        "kind": "inference",
        "params": _params(variant, backend, precision),
        "status": "ok",
        "group": "mobilenet_v2/b1/t4/none",
        "artifact": {
            "digest": f"sha256:{variant}-{backend}",
            "size_bytes": size_bytes,
            "sparsity": sparsity,
            "ledger": [
                {
                    "phase": "train",
                    "seconds": 52.1,
                    "peak_memory_bytes": 1_410_000_000,
                    "energy": {"package": {"energy_j": 498.0, "uncertainty_j": 0.4}},
                    "cached": variant != "baseline",
                },
                *(
                    []
                    if variant == "baseline"
                    else [{"phase": variant, "seconds": 6.4, "missing": {"energy": NO_SCOPE}}]
                ),
            ],
        },
        "metrics": {
            "latency_s": metric_from_runs(
                "latency_s",
                runs,
                passes=passes_of(passes),
                loops=[LOOPS] * RUNS,
                warmups=[[run[0] * 1.1] for run in runs],
            ),
            "energy_gross_j": metric_from_runs(
                "energy_gross_j", joules, uncertainty=energy_j * 0.004, parts={"resolution": energy_j * 0.003}, **energy
            ),
            "energy_net_j": metric_from_runs(
                "energy_net_j", [[run[0] - idle_j] for run in joules], uncertainty=energy_j * 0.006, **energy
            ),
            "size_bytes": single_value("size_bytes", size_bytes),
            "accuracy_top1": single_value("accuracy_top1", right / 360, images=360),
            "peak_memory_bytes": metric_from_runs("peak_memory_bytes", [[412e6 + rng.randrange(10**6)] for _ in drift]),
            **_of_roof(2 * MACS, size_bytes, "fp32" if int8 < 33 else "int8", runs),
        },
        "missing": {"energy_gross_j.dram": NO_SCOPE},
        "roofline": _roofline(2 * MACS, size_bytes, "fp32" if int8 < 33 else "int8"),
        "layers": {"total": 66, "int8": int8, "fp32": 66 - int8, "fallback": [], "source": "sample"},
        "settings": {"threads": 4},
        "runs_discarded": int(variant == "prune40"),
        "order": [int(rng.random() * 100) for _ in drift],
        **({"break_even": _repaid(energy_j)} if variant == "ptq-static" else {}),
        "warnings": [{"code": "noisy", "text": "Another program used 0.7 processors"}] if variant == "prune40" else [],
    }


def _roofline(operations: int, moved: int, precision: str) -> dict[str, Any]:
    above = min(ROOFS[precision], MEMORY * operations / moved)
    return {
        "operations": operations,
        "bytes": moved,
        "precision": precision,
        "threads": 4,
        "bound": "operations" if above == ROOFS[precision] else "memory",
        "roof_operations_per_s": above,
        "roof_range": [0.97 * above, 1.02 * above],
    }


def _of_roof(operations: int, moved: int, precision: str, runs: list[list[float]]) -> dict[str, Metric]:
    above = _roofline(operations, moved, precision)["roof_operations_per_s"]
    shares = [[operations / value / above for value in run] for run in runs]
    return {
        "operations_per_s": metric_from_runs(
            "operations_per_s", [[operations / value for value in run] for run in runs]
        ),
        "operational_intensity": single_value("operational_intensity", operations / moved),
        "roofline_fraction": metric_from_runs("roofline_fraction", shares, systematic=0.02 * shares[0][0]),
    }


def _repaid(energy_j: float) -> dict[str, Any]:
    return {
        "inferences": round(61.0 / (0.402 - energy_j)),
        "versus": "mobilenet_v2/baseline/torch/fp32",
        "scope": "package",
    }


def _operator(rng: random.Random, drift: list[float], precision: str, latency_s: float) -> dict[str, Any]:
    runs = [[latency_s * d * (1 + 0.002 * rng.gauss(0, 1)) for _ in range(VALUES)] for d in drift]
    return {
        "name": f"conv3x3/openvino/{precision}",
        "kind": "operator",
        "params": {**_params("baseline", "openvino", precision), "model": "conv3x3", "operator": "conv3x3"},
        "status": "ok",
        "metrics": {
            "latency_s": metric_from_runs(
                "latency_s", runs, loops=[LOOPS] * RUNS, warmups=[[run[0] * 1.1] for run in runs]
            ),
            "operations_per_s": single_value("operations_per_s", 2.31e8 / latency_s),
            "bytes_per_s": single_value("bytes_per_s", 1.6e6 / latency_s),
        },
        "missing": {"energy_gross_j": {"reason": "Operators are measured without energy windows in this suite"}},
    }


def _params(variant: str, backend: str, precision: str) -> dict[str, Any]:
    return {
        "model": "mobilenet_v2",
        "variant": variant,
        "backend": backend,
        "precision": precision,
        "batch": 1,
        "threads": 4,
        "image_size": 224,
    }


def _contrasts(rows: list[dict[str, Any]]) -> list[Contrast]:
    base, *heads = rows
    found: list[Contrast] = []
    for head, cell in zip(heads, CELLS[1:], strict=True):
        for metric in ("latency_s", "energy_gross_j"):
            first, second = base["metrics"][metric], head["metrics"][metric]
            assert isinstance(first, Metric)
            estimate = paired_ratio(first.runs or (), second.runs or ())
            found.append(_contrast(metric, base, head, estimate, "ratio", first.scope))
        sizes = (base["artifact"]["size_bytes"], head["artifact"]["size_bytes"])
        found.append(_contrast("size_bytes", base, head, exact_ratio(*sizes), "ratio", None))
        right, (lost, won) = cell[6], cell[7]
        counts = (right - won, lost, won, 360 - right - lost)
        found.append(_contrast("accuracy_top1", base, head, paired_difference(*counts), "difference", None))
    return found


def _contrast(
    metric: str, base: dict[str, Any], head: dict[str, Any], estimate: Estimate | None, kind: str, scope: str | None
) -> Contrast:
    assert estimate is not None
    return Contrast(
        metric=metric,
        base=base["name"],
        head=head["name"],
        ratio=estimate.value if kind == "ratio" else None,
        difference=estimate.value if kind == "difference" else None,
        range=estimate.range,
        ci95=estimate.ci95,
        pairs=estimate.pairs,
        method=estimate.method,
        scope=scope,
    )


def outputs(report: Report) -> dict[str, str]:
    """Return what the golden files hold, by file name."""
    return {
        "all-80.txt": _terminal(show(report, View(everything=True)), 80),
        "first-160.txt": _terminal(show(report), 160),
        **{f"first-{name}.txt": _terminal(show(one), 80, SCREEN) for name, one in first_screens(report).items()},
        "several-80.txt": _terminal(show_several(*_boards(report), View(columns=("latency", "energy"))), 80),
        "closing-100.txt": _terminal(closing(report), 100),
        "sample.csv": rows(report),
        "html-outline.txt": outline(page(report)),
    }


def first_screens(report: Report) -> dict[str, Report]:
    """Return reports whose first screen has to answer: with energy, without, with failures, partial."""
    whole = report.model_dump(mode="json")
    failures = report
    whole["benchmarks"] = [row for row in whole["benchmarks"] if row["status"] == "ok" and row["kind"] == "inference"]
    without: dict[str, Any] = json.loads(json.dumps(whole))
    reason = {"reason": "no energy source: /sys/class/powercap is absent", "fix": "run as root, or use a meter"}
    for row in without["benchmarks"]:
        row["metrics"] = {name: metric for name, metric in row["metrics"].items() if not name.startswith("energy")}
        row["missing"] = {"energy_gross_j": reason, "energy_net_j": reason}
    without["probes"] = without["idle"] = []
    without["contrasts"] = [one for one in without["contrasts"] if one["metric"] != "energy_gross_j"]
    without["machine"]["isa"] = ["avx2"]
    partial: dict[str, Any] = json.loads(json.dumps(whole))
    partial["status"] = "partial"
    text = "3 of 5 runs (the session ended): --resume measures the others"
    for row in partial["benchmarks"][:-1]:
        row["warnings"] = [{"code": "runs-missing", "text": text}]
        for metric in row["metrics"].values():
            if metric.get("runs"):
                metric["runs"] = metric["runs"][:3]
    left: dict[str, Any] = partial["benchmarks"][-1]
    left |= {"status": "skipped", "reason": "the session ended before its first run", "metrics": {}, "missing": {}}
    partial["contrasts"] = []
    changed = {"energy": whole, "no-energy": without, "partial": partial}
    return {"failures": failures} | {name: Report.model_validate(data) for name, data in changed.items()}


def _boards(report: Report) -> tuple[list[Report], list[str]]:
    """Return the sample as if it were of two boards, the second twice as slow, with a benchmark that it lacks."""
    data: dict[str, Any] = report.model_dump(mode="json")
    data["machine"]["board"] = "Sample Board 5"
    data["benchmarks"] = [row for row in data["benchmarks"] if row["params"]["variant"] != "prune40"]
    for row in data["benchmarks"]:
        if (latency := row.get("metrics", {}).get("latency_s")) is not None:
            latency |= {key: 2 * latency[key] for key in ("median", "mean", "min", "max")}
            latency["runs"] = [[2 * value for value in run] for run in latency["runs"]]
    return [report, Report.model_validate(data)], ["one.json", "two.json"]


def _terminal(renderable: RenderableType, width: int, lines: int | None = None) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(renderable)
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines()[:lines])


def outline(html: str) -> str:
    """Return an HTML page as one line a text, after the elements that hold it; no style, no script, shapes counted."""
    parser = _Outline()
    # Where a line may break is no part of a text.
    parser.feed(html.replace("<wbr>", ""))
    parser.close()
    shapes = [f"{count} {tag}" for tag, count in sorted(parser.shapes.items())]
    return "\n".join([*parser.lines, *shapes]) + "\n"


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.open: list[str] = []
        self.shapes: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"rect", "line", "circle", "polyline", "polygon"}:
            self.shapes[tag] += 1
        if tag != "meta":
            self.open.append(tag)
        if label := dict(attrs).get("aria-label"):
            self.lines.append(f"{tag} {label}")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1] not in {"style", "script"}:
            self.lines.append(f"  {self.open[-1]}: {' '.join(data.split())}")


if __name__ == "__main__":
    write_report(sample(), SAMPLE)
    for name, text in outputs(sample()).items():
        SAMPLE.with_name(name).write_text(text, encoding="utf-8")
