"""What is compared and how strictly: metrics, budgets, margins, and the stated priors of session-to-session spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from edgebench.report.catalogue import METRICS, Gauge

ALPHA = 0.05
# The chances that stored reports of an unchanged system give any REGRESSED: of single benchmarks, of all as a whole.
STORED_ALPHA, WHOLE_ALPHA = 0.01, 0.005
# Where nothing measures how sessions differ, a proof has to hold where they differ by this much (1 sigma, relative).
UNMEASURED_SD = 0.03


# Those that can be judged; each stands in its metric's row.
GAUGES: Mapping[str, Gauge] = {name: info.gauge for name, info in METRICS.items() if info.gauge is not None}
# The tails of single passes vary more between sessions than their middle does.
_TAIL = Gauge(budget=0.10, session_sd=0.03)
PERCENTILES = ("p50", "p90", "p95", "p99")

DEFAULT_METRICS = (
    *("latency_s", "energy_gross_j", "size_bytes", "accuracy_top1", "map50", "miou", "peak_memory_bytes", "load_s"),
    *("prefill_tokens_per_s", "decode_tokens_per_s", "energy_per_prompt_token_j", "energy_per_generated_token_j"),
    "perplexity",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a budget file: limits for the metrics and cells whose names match; None leaves a limit as it is."""

    metric: str = "*"
    cells: str = "*"
    budget: float | None = None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one cell's metric: a change up to `margin` is no regression, PASS means surely below `budget`."""

    budget: float
    margin: float


@dataclass(frozen=True, slots=True)
class Policy:
    """What to compare and how. Later rules win over earlier ones."""

    metrics: tuple[str, ...] = DEFAULT_METRICS
    margin: float = 0.01
    rules: tuple[Rule, ...] = ()
    session_sd: Mapping[str, float] = field(default_factory=dict)
    alpha: float = ALPHA
    stored_alpha: float = STORED_ALPHA
    whole_alpha: float = WHOLE_ALPHA

    def limits(self, cell: str, metric: str) -> Limits:
        """Return budget and margin of a cell's metric; an exact metric has no margin but its budget."""
        gauge = gauge_of(metric)
        budget, margin = gauge.budget, 0.0 if gauge.exact else self.margin
        for rule in self.rules:
            if _matches(metric, rule.metric) and fnmatchcase(cell, rule.cells):
                budget = budget if rule.budget is None else rule.budget
                margin = margin if rule.margin is None or gauge.exact else rule.margin
        return Limits(budget, min(margin, budget))

    def prior_sd(self, metric: str) -> float:
        """Return the session-to-session standard deviation to assume for a metric, as a share."""
        given = self.session_sd.get(metric, self.session_sd.get(metric.partition(".")[0]))
        return gauge_of(metric).session_sd if given is None else given

    def proof_sd(self, metric: str) -> float:
        """Return the deviation between sessions that a proof has to stand without a history: 3 %, unless stated."""
        stated = metric in self.session_sd or metric.partition(".")[0] in self.session_sd
        return self.prior_sd(metric) if stated else max(self.prior_sd(metric), UNMEASURED_SD)


def gauge_of(metric: str) -> Gauge:
    """Return how a metric is judged; ``latency_s.p95`` is a percentile of passes, ``energy_gross_j.package`` a scope.

    Raises KeyError for a metric that is not compared.
    """
    name, _, suffix = metric.partition(".")
    gauge = GAUGES[name]
    if suffix in PERCENTILES:
        if name != "latency_s":
            raise KeyError(metric)
        return gauge if suffix == "p50" else _TAIL
    return gauge


def _matches(metric: str, pattern: str) -> bool:
    return fnmatchcase(metric, pattern) or fnmatchcase(metric.partition(".")[0], pattern)
