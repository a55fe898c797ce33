"""Small, whole reports for the tests of comparing; made by the code that makes real ones."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np

from edgebench.report.metric import metric_from_runs, single_value
from edgebench.report.model import Report
from edgebench.report.quantity import Passes

HARD = {"cpu": "Test CPU", "suite_digest": "5a", "probes": ["rapl:package"]}


def passes_of(runs_s: list[list[float]]) -> Passes:
    """Return the percentiles of single passes, given in seconds run by run."""
    quantiles = {f"p{rank}": tuple(float(np.percentile(run, rank)) for run in runs_s) for rank in (50, 90, 95, 99)}
    return Passes(count=sum(map(len, runs_s)), **quantiles)


def benchmark(name: str, rng: np.random.Generator, *, latency_s: float = 0.01, **changed: Any) -> dict[str, Any]:
    """Return one benchmark as JSON data; `changed` replaces or removes (None) metrics."""
    runs = (latency_s * rng.lognormal(0, 0.004, (5, 1)) * rng.lognormal(0, 0.002, (5, 4))).tolist()
    energy = (2 * latency_s * rng.lognormal(0, 0.004, (5, 1))).tolist()
    metrics: dict[str, Any] = {
        "latency_s": metric_from_runs("latency_s", runs, passes=passes_of(runs)),
        "energy_gross_j": metric_from_runs("energy_gross_j", energy, scope="package", probe="rapl"),
        "size_bytes": single_value("size_bytes", 1_000_000),
        "accuracy_top1": single_value("accuracy_top1", 0.95, images=360),
        "load_s": metric_from_runs("load_s", (0.1 * rng.lognormal(0, 0.01, (5, 1))).tolist()),
    }
    metrics = {key: metric.model_dump(mode="json") for key, metric in metrics.items()} | changed
    return {
        "name": name,
        "kind": "inference",
        "params": {
            "model": name,
            "backend": "torch",
            "precision": "fp32",
            "batch": 1,
            "threads": 2,
            "model_digest": "d",
        },
        "status": "ok",
        "metrics": {key: metric for key, metric in metrics.items() if metric is not None},
    }


def report(benchmarks: list[dict[str, Any]], *, created: str = "2026-01-01T00:00:00Z", **fields: Any) -> dict[str, Any]:
    """Return a report as JSON data, checked by the model."""
    data = {
        "schema": "edgebench.report/1",
        "id": str(uuid.uuid4()),
        "created": created,
        "status": "complete",
        "generator": {"name": "edgebench", "version": "0.1.0"},
        "suite": {"name": "test", "digest": "5a", "seed": 1},
        "platform": "generic-x86_64",
        "image": None,
        "fingerprint": {"hard": HARD, "soft": {"kernel": "6.1", "software": {"torch": "2.13.0"}}},
        "machine": {"cpu": "Test CPU", "cores": 4},
        "data": {"name": "digits", "digest": "sha256:d", "classes": 10, "train_images": 1, "test_images": 360},
        "benchmarks": benchmarks,
        **fields,
    }
    Report.model_validate(data)
    return data


def suite(seed: int, cells: int = 4, *, slower: dict[int, float] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a report of `cells` benchmarks, some of them slower by a factor."""
    rng = np.random.default_rng(seed)
    factors = slower or {}
    rows = [benchmark(f"cell{index}", rng, latency_s=0.01 * factors.get(index, 1.0)) for index in range(cells)]
    return report(rows, **fields)
