"""How a suite ended on a board, and which way to energy works there: the same for containers and for services."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench.errors import EXIT_INTERRUPTED, EXIT_KILLED, ContainerDiedError, ContainerError
from edgebench.launch.container import Settings
from edgebench.launch.follow import Ended
from edgebench.launch.order import Order, doctor_settings
from edgebench.launch.rights import Rights, Way
from edgebench.report.io import parse_report

if TYPE_CHECKING:
    from edgebench.report.model import Report

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a suite ended on a board: exit code, its report where one was written, else what else was on stdout."""

    code: int
    report: Report | None = None
    text: str = ""

    @property
    def complete(self) -> bool:
        """Whether it brought a report with nothing missing."""
        return self.report is not None and self.report.status == "complete"


def first_usable(
    order: Order,
    rights: Rights,
    found: Sequence[Way],
    image: str,
    run: Callable[[Settings], Ended],
    tell: Tell,
    stopped: Callable[[], bool],
) -> Way | None:
    """Return the first way whose probe works in a container that has just what it needs."""
    for way in found:
        settings = doctor_settings(order, rights | way.rights, image, way.probe)
        try:
            ended = run(settings)
            reason = refusal(ended)
        except ContainerError as error:
            if stopped():
                raise
            reason = str(error)
        if reason is None:
            return way
        tell(f"energy: not {way.words}: {reason}")
    return None


def outcome_of(ended: Ended, order: Order, where: str, tell: Tell, *, stopped: bool) -> Outcome:
    """Return how a suite's container ended. Raises ContainerDiedError where a report is due and none came."""
    code = EXIT_INTERRUPTED if stopped else ended.code
    text = ended.stdout.strip()
    if text and order.report:
        return Outcome(code, parse_report(ended.stdout, f"the report from {where}"))
    if stopped and ended.code == EXIT_KILLED:
        tell("the container did not end in time and was killed without a report: --resume goes on")
    if not order.report or stopped or ended.code in {0, 2, EXIT_INTERRUPTED}:
        return Outcome(code, text=ended.stdout.decode(errors="replace"))
    if ended.out_of_memory:
        limit = order.limits.memory
        fix = f"give it more than --memory {limit}" if limit else "run a smaller suite (--only), or add swap"
        raise ContainerDiedError(
            f"{where}: the container was killed for lack of memory: {fix}, then go on with --resume"
        )
    if ended.code == EXIT_KILLED:
        raise ContainerDiedError(f"{where}: the container was killed from outside: go on with --resume")
    raise ContainerDiedError(why_not_started(ended, where, order.image))


def refusal(ended: Ended) -> str | None:
    """Return why the doctor finds a probe unusable, or None where one of its scopes can be read."""
    try:
        found: list[dict[str, Any]] = json.loads(ended.stdout)["probes"]
        if any(one["usable"] for one in found):
            return None
        return str(next((one["reason"] for one in found if one.get("reason")), "it reads nothing"))
    except (ValueError, KeyError, TypeError):
        return ended.tail[-1] if ended.tail else f"the doctor ended with {ended.code}"


def why_not_started(ended: Ended, where: str, image: str) -> str:
    """Say why a container ended without what it was started for."""
    said = ended.tail[-1] if ended.tail else "it said nothing"
    if "exec format error" in said.lower():
        return (
            f"{where} cannot run the processor of {image}: install the emulation with `sudo apt install "
            "qemu-user-static binfmt-support`, or use a board of that kind"
        )
    return f"{where}: the container of {image} ended with {ended.code} and no report ({said[:200]})"
