"""What a report says of the published study that it repeats, in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgebench.render.studies.jetson import findings_of
from edgebench.render.studies.n150 import study_of
from edgebench.render.studies.pi import effects_of
from edgebench.report.model import Report


def study_sentence(report: Report) -> str | None:
    """Return how many of a study's effects are seen here, None for a report of no study."""
    verdicts = Counter(_verdicts(report))
    if not verdicts:
        return None
    if set(verdicts) == {"not measured"}:
        return f"none of its {verdicts.total()} published effects was measured"
    told = sorted(verdicts.items(), key=lambda pair: (pair[0].startswith(("cannot", "not measured")), "not" in pair[0]))
    return f"of its {verdicts.total()} published effects {', '.join(f'{count} {verdict}' for verdict, count in told)}"


def _verdicts(report: Report) -> Iterator[str]:
    if (study := study_of(report)) is not None:
        yield from (effect.verdict for effect in study.effects)
    yield from (finding.verdict for finding in findings_of(report))
    if report.suite.study == "pi":
        yield from (effect.verdict.partition(":")[0] for effect in effects_of(report))
