"""What `ab` asks the two environments and what they answer: protocol 1.

The two sides may be different versions of edgebench: they have to agree on this file and on what a run answers
(`measure/results.py`), nothing else. A job is text that the side makes and gets back as it was. A field
that a reader does not know is left alone in an answer; any other change is a new protocol.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgebench.measure.messages import Answer, Job, Message, ProbeSettings

# The protocols that this edgebench speaks, the best one first.
PROTOCOLS = (1,)


class Greeting(Message, frozen=True, kw_only=True):
    """What ``edgebench worker --protocols`` writes to stdout: one line of JSON."""

    edgebench: str
    protocols: tuple[int, ...]


class PlanQuestion(Job, frozen=True, kw_only=True, tag="plan"):
    """Plan a suite and, with `prepare`, make its artifacts; `suite` is a name or the path of a file.

    `model` is a file that is measured in place of the suite's models, `shapes` and `inputs` what `suite` is told of it;
    a side that is asked for none need not know these fields.
    """

    suite: str
    only: str | None
    threads: int | None
    data: str | None
    cpus: tuple[int, ...]
    probes: ProbeSettings
    prepare: bool
    model: str | None = None
    shapes: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


class RunQuestion(Job, frozen=True, kw_only=True, tag="run"):
    """Run a job of the side's own making; `loops` 0: as many as it needs; `first`: describe and evaluate as well."""

    job: str
    loops: int
    first: bool


class SideCell(Message, frozen=True, kw_only=True):
    """One benchmark of a side: its job, or the `reason` why it cannot be measured there."""

    name: str
    params: Mapping[str, str | int | float | bool | None]
    threads: int
    isa: str
    limit_s: float
    estimate_s: float
    size_bytes: int | None = None
    job: str | None = None
    reason: str | None = None


class SidePlan(Answer, frozen=True, kw_only=True, tag="plan"):
    """The suite as a side plans it."""

    edgebench: str
    python: str
    suite_digest: str
    seed: int
    cells: tuple[SideCell, ...]
