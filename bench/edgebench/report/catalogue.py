"""The metrics, a row each: unit, direction, and how strictly a change of it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher"]
Wins = Literal["fastest", "most frugal", "smallest", "most accurate"]


@dataclass(frozen=True, slots=True)
class Gauge:
    """How one metric is judged.

    `session_sd` is the stated prior of the relative standard deviation between sessions of one unchanged system, used
    until a history tells better (docs/compare.md says where each comes from). `exact` metrics do not vary from session
    to session and are compared as they are. `budget` is relative, or `absolute` in the metric's own unit.
    """

    budget: float
    session_sd: float = 0.0
    exact: bool = False
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """Unit and direction of a metric; a `gauge` makes it one that `compare`, `trend` and `ab` can judge.

    `wins` is what the variant with the best figure is called in a report's answer; of several metrics with one name,
    the first that a group of benchmarks has decides.
    Units: s, J, W, B, 1/s, B/s, 1/B, % and 1 (a share or a count).
    """

    unit: str
    better: Better
    gauge: Gauge | None = None
    wins: Wins | None = None


METRICS: Mapping[str, MetricInfo] = {
    "latency_s": MetricInfo("s", "lower", Gauge(budget=0.05, session_sd=0.01), "fastest"),
    "throughput_per_s": MetricInfo("1/s", "higher", Gauge(budget=0.05, session_sd=0.01)),
    "energy_gross_j": MetricInfo("J", "lower", Gauge(budget=0.05, session_sd=0.015), "most frugal"),
    "energy_net_j": MetricInfo("J", "lower", Gauge(budget=0.05, session_sd=0.03)),
    "power_w": MetricInfo("W", "lower", Gauge(budget=0.05, session_sd=0.015)),
    "peak_memory_bytes": MetricInfo("B", "lower", Gauge(budget=0.05, session_sd=0.005)),
    "load_s": MetricInfo("s", "lower", Gauge(budget=0.25, session_sd=0.05)),
    "compile_s": MetricInfo("s", "lower", Gauge(budget=0.25, session_sd=0.05)),
    "first_inference_s": MetricInfo("s", "lower", Gauge(budget=0.25, session_sd=0.05)),
    "size_bytes": MetricInfo("B", "lower", Gauge(budget=0.01, exact=True), "smallest"),
    "accuracy_top1": MetricInfo("1", "higher", Gauge(budget=0.01, exact=True, absolute=True), "most accurate"),
    "loss": MetricInfo("1", "lower", Gauge(budget=0.05, exact=True)),
    "agreement_cosine": MetricInfo("1", "higher"),
    "agreement_top1": MetricInfo("1", "higher", Gauge(budget=0.02, exact=True, absolute=True)),
    "agreement_map50": MetricInfo("1", "higher"),
    "map50": MetricInfo("1", "higher", Gauge(budget=0.01, exact=True, absolute=True), "most accurate"),
    "miou": MetricInfo("1", "higher", Gauge(budget=0.01, exact=True, absolute=True), "most accurate"),
    "pixel_accuracy": MetricInfo("1", "higher"),
    "postprocess_s": MetricInfo("s", "lower"),
    "tokens_per_s": MetricInfo("1/s", "higher"),
    # A benchmark of kind generate: a pass is a request; its two phases, and tokens of each.
    "time_to_first_token_s": MetricInfo("s", "lower", Gauge(budget=0.05, session_sd=0.01)),
    "prefill_tokens_per_s": MetricInfo("1/s", "higher", Gauge(budget=0.05, session_sd=0.01)),
    "decode_tokens_per_s": MetricInfo("1/s", "higher", Gauge(budget=0.05, session_sd=0.01)),
    "time_per_token_s": MetricInfo("s", "lower", Gauge(budget=0.05, session_sd=0.01)),
    "context_slowdown": MetricInfo("1", "lower"),
    "energy_per_prompt_token_j": MetricInfo("J", "lower", Gauge(budget=0.05, session_sd=0.015)),
    "energy_per_prompt_token_net_j": MetricInfo("J", "lower", Gauge(budget=0.05, session_sd=0.03)),
    "energy_per_generated_token_j": MetricInfo("J", "lower", Gauge(budget=0.05, session_sd=0.015)),
    "energy_per_generated_token_net_j": MetricInfo("J", "lower", Gauge(budget=0.05, session_sd=0.03)),
    "prefill_power_w": MetricInfo("W", "lower"),
    "decode_power_w": MetricInfo("W", "lower"),
    "kv_cache_bytes": MetricInfo("B", "lower"),
    "peak_memory_without_cache_bytes": MetricInfo("B", "lower"),
    "perplexity": MetricInfo("1", "lower", Gauge(budget=0.01, exact=True)),
    "compress_s": MetricInfo("s", "lower"),
    "compress_energy_j": MetricInfo("J", "lower"),
    # A benchmark of kind compress: each of its two phases alone.
    "export_s": MetricInfo("s", "lower"),
    "build_s": MetricInfo("s", "lower"),
    "export_energy_j": MetricInfo("J", "lower"),
    "build_energy_j": MetricInfo("J", "lower"),
    "export_peak_memory_bytes": MetricInfo("B", "lower"),
    "build_peak_memory_bytes": MetricInfo("B", "lower"),
    "cpu_percent": MetricInfo("%", "lower"),
    "gpu_percent": MetricInfo("%", "lower"),
    "memory_percent": MetricInfo("%", "lower"),
    "macs": MetricInfo("1", "lower", Gauge(budget=0.01, exact=True)),
    "roofline_fraction": MetricInfo("1", "higher"),
    "operations_per_s": MetricInfo("1/s", "higher"),
    "operational_intensity": MetricInfo("1/B", "higher"),
    "bytes_per_s": MetricInfo("B/s", "higher"),
    "onset_s": MetricInfo("s", "higher"),
}


def info_of(name: str) -> MetricInfo:
    """Return unit and direction of a metric; a scope suffix (``energy_gross_j.package``) is allowed.

    Raises KeyError for a name that is not registered.
    """
    return METRICS[name.partition(".")[0]]
