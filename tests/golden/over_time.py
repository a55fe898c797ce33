"""The sample report's figures over time: made up, as all of the sample; a board that gets hot and slows down."""

from __future__ import annotations

import math
import random
from typing import Any

from edgebench.report.metric import metric_from_runs, single_value

ONSET_S = 312


def resources(rng: random.Random) -> dict[str, Any]:
    """Return a session's resources: idle, two artifacts, runs, idle."""
    spans: list[dict[str, Any]] = [{"name": "idle before", "kind": "idle", "begin_s": 0.0, "end_s": 10.0}]
    at = 11.0
    for variant, phase in (("prune40", "prune40"), ("ptq-static", "ptq-static")):
        name = f"mobilenet_v2/{variant}/{'torch/fp32' if phase == 'prune40' else 'openvino/int8'}"
        spans.append({"name": name, "kind": "prepare", "begin_s": at, "end_s": at + 52})
        spans.append({"name": name, "kind": "prepare", "phase": phase, "begin_s": at + 9, "end_s": at + 50})
        at += 54
    for turn in range(6):
        name = "mobilenet_v2/prune40/torch/fp32" if turn % 2 else "mobilenet_v2/ptq-static/openvino/int8"
        spans.append({"name": name, "kind": "run", "begin_s": at, "end_s": at + 24})
        at += 25.5
    spans.append({"name": "idle after", "kind": "idle", "begin_s": at, "end_s": at + 10})
    times = [0.5 * index for index in range(int(2 * (at + 10)))]
    loads = [next((s["kind"] for s in spans if s["begin_s"] <= t <= s["end_s"]), "idle") for t in times]
    level = {"idle": 3.0, "prepare": 390.0, "run": 400.0}
    watts = {"idle": 1.9, "prepare": 7.8, "run": 8.6}
    lines = {
        ("cpu_percent", "%", None): [level[kind] + 8 * rng.random() for kind in loads],
        ("workload_cpu_percent", "%", None): [0.97 * level[kind] + 4 * rng.random() for kind in loads],
        ("memory_bytes", "B", None): [
            2.1e9 + (1.4e9 if kind == "prepare" else 4e8) * (kind != "idle") for kind in loads
        ],
        ("power_w", "W", "package"): [watts[kind] + 0.2 * rng.random() for kind in loads],
        ("temperature_c", "degC", None): [64 - 23 * math.exp(-t / 80) + 0.4 * rng.random() for t in times],
    }
    # What lasts longer than 500 samples is binned; here every fourth sample stands for its bin.
    series = []
    for (name, unit, scope), values in lines.items():
        groups = [values[i : i + 4] for i in range(0, len(values), 4)]
        series.append(
            {
                "name": name,
                "unit": unit,
                "source": "sample",
                **({"scope": scope} if scope else {}),
                "samples": len(values),
                "bin_s": 2.0,
                "t_s": [times[i] + 0.75 for i in range(0, len(values), 4)],
                "value": [float(f"{sum(group) / len(group):.5g}") for group in groups],
                "min": [float(f"{min(group):.5g}") for group in groups],
                "max": [float(f"{max(group):.5g}") for group in groups],
            }
        )
    why = {"reason": "NVIDIA's driver library libnvidia-ml.so.1 is not here"}
    return {"rate_hz": 2.0, "series": series, "spans": spans, "missing": {"gpu_percent": why}}


def sustained(rng: random.Random, params: dict[str, Any]) -> dict[str, Any]:
    """Return a sustained benchmark that throttles after five minutes."""
    times = [4.0 * index + 2 for index in range(150)]
    rates = [(21.3 if t < ONSET_S else 17.6) * (1 + 0.01 * rng.gauss(0, 1)) for t in times]
    clocks = [3.4e9 if t < ONSET_S else 2.8e9 for t in times]
    watts = [(8.9 if t < ONSET_S else 6.7) * (1 + 0.005 * rng.gauss(0, 1)) for t in times]
    heat = [97 - 52 * math.exp(-t / 110) if t < ONSET_S else 95 + rng.random() for t in times]

    def series(name: str, unit: str, values: list[float], **more: Any) -> dict[str, Any]:
        rounded = [float(f"{value:.5g}") for value in values]
        return {"name": name, "unit": unit, "source": "sample", "samples": 600, "t_s": times, "value": rounded, **more}

    def joules(value: float) -> Any:
        return metric_from_runs(
            "energy_gross_j", [[value]], scope="package", probe="rapl", uncertainty=0.002 * value, systematic=0.0
        )

    cold_j, hot_j = 8.9 / 21.3, 6.7 / 17.6
    return {
        "name": "mobilenet_v2/baseline/torch/fp32/sustained",
        "kind": "sustained",
        "params": params,
        "status": "ok",
        "metrics": {
            "throughput_per_s": metric_from_runs("throughput_per_s", [[19.5]]),
            "throughput_per_s.cold": metric_from_runs("throughput_per_s", [[21.3]]),
            "throughput_per_s.hot": metric_from_runs("throughput_per_s", [[17.6]]),
            "latency_s": metric_from_runs("latency_s", [[1 / rate for rate in rates[:8]]]),
            "energy_gross_j.cold": joules(cold_j),
            "energy_gross_j.hot": joules(hot_j),
            "onset_s": single_value("onset_s", float(ONSET_S)),
        },
        "sustained": [
            {
                "seconds": 600.0,
                "passes": 11_700,
                "bin_s": 1.0,
                "longest_pass_s": 0.21,
                "cold": [0.0, 60.0],
                "hot": [540.0, 600.0],
                "series": [
                    series("throughput_per_s", "1/s", rates),
                    series("power_w", "W", watts, scope="package"),
                    series("temperature_c", "degC", heat),
                    series("cpu_frequency_hz", "Hz", clocks),
                ],
                "hot_over_cold": {
                    "throughput_per_s": {"ratio": 0.826, "ci95": [0.819, 0.834]},
                    "energy_gross_j.package": {"ratio": hot_j / cold_j, "ci95": [0.902, 0.92], "uncertainty": 0.003},
                },
                "verdict": "throttled",
                "verdict_text": "throughput fell by 17% at 312 s, and the frequency by 18%",
                "onset_s": float(ONSET_S),
                "fall": 0.174,
            }
        ],
    }
