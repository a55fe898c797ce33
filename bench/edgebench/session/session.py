"""THE flow of a session: plan → check machine → idle → prepare → measure → idle → report."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from edgebench import __version__
from edgebench.errors import EdgebenchError, ReportError
from edgebench.machine import facts as machine
from edgebench.machine import interrupts
from edgebench.machine.claims import sweep_scratch
from edgebench.machine.state import read_state
from edgebench.measure.idle import measure_idle
from edgebench.measure.messages import Clock
from edgebench.measure.probes import describe, open_all, opened
from edgebench.report.assemble import assemble
from edgebench.report.io import Reservation, reserve
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.report.records import EndRecord, IdleRecord, ResumedRecord, StartRecord
from edgebench.session.ground import same_bundle, same_ground, weights_digest
from edgebench.session.options import Options, Progress
from edgebench.session.preparation import prepare_all
from edgebench.session.roofs import measure_roofs
from edgebench.session.rounds import measure_all, widths_in
from edgebench.session.sampler import recorded
from edgebench.session.schedule import ahead

if TYPE_CHECKING:
    from edgebench.plan.plan import Plan
    from edgebench.report.model import Report

# Room for the report and the journal: found missing before measuring starts, not after.
RESERVED_BYTES = 16 * 2**20


@dataclass(slots=True)
class Session:
    """A session that ended, complete or (after ctrl-C or SIGTERM) partial; close it once the report is written."""

    report: Report
    interrupted: bool
    journal: Path
    _reservation: Reservation
    _journal: Journal

    def release(self) -> None:
        """Give back the disk space that was held for the report; call it right before writing."""
        self._reservation.release()

    def close(self) -> None:
        """Drop the journal of a complete report; keep that of a partial one, for --resume."""
        self._reservation.release()
        if self.report.status == "complete":
            self._journal.remove()
        self._journal.close()


def run_session(plan: Plan, options: Options, progress: Progress) -> Session:
    """Run a plan to its report."""
    began_s = time.monotonic()
    sweep_scratch()
    with ExitStack() as stack:
        reservation = stack.enter_context(reserve(options.folder, RESERVED_BYTES))
        journal = stack.enter_context(_open_journal(plan, options, progress))
        log = Log(journal)
        # A session that could not even start (a probe that does not exist) leaves no journal behind.
        stack.callback(lambda: None if log.records else journal.remove())
        recording = stack.enter_context(recorded(log, plan.resources_hz, options.probes))
        progress.meter(recording.power)
        with interrupts.once():
            end = _run(plan, options, log, progress)
            interrupts.no_more()
            if end.stopped is not None:
                progress.note(f"{end.stopped}: a partial report follows; the same command with --resume goes on")
                # A full disk: what was held for the report is room for the end of the journal as well.
                reservation.release()
            recording.close()
            record = EndRecord(
                seconds=time.monotonic() - began_s,
                resumed=journal.resumed,
                complete=end.complete,
                temperature_c=read_state().temperature_c,
            )
            try:
                log.add(record)
            except ReportError:  # still no room: the report has it, and --resume needs none
                log.records.append(record)
            session = Session(assemble(plan, log), end.interrupted, journal.path, reservation, journal)
        stack.pop_all()
    return session


@dataclass(frozen=True, slots=True)
class _End:
    """How the steps of a session ended; `stopped` says why they did early."""

    complete: bool = False
    interrupted: bool = False
    stopped: str | None = None


_INTERRUPTED = _End(interrupted=True, stopped="interrupted")


def _run(plan: Plan, options: Options, log: Log, progress: Progress) -> _End:
    """Take the steps of a session: whatever ends it, once it has begun, leaves a report of what is there."""
    try:
        begin(plan, options, log)
    except (KeyboardInterrupt, Exception) as error:
        if log.start is None or not interrupts.did(error):
            raise
        return _INTERRUPTED
    progress.expect(ahead(plan, log, widths_in(log), prepared=options.bundle is not None))
    try:
        idle(plan, options, log, progress, "before")
        artifacts = prepare_all(plan, options, log, progress)
        measure_roofs(plan, options, log, progress)
        measure_all(plan, options, artifacts, log, progress)
        idle(plan, options, log, progress, "after")
    except (KeyboardInterrupt, Exception) as error:
        if interrupts.did(error):
            return _INTERRUPTED
        if isinstance(error, EdgebenchError | OSError):
            return _End(stopped=str(error).rstrip("."))
        raise
    return _End(complete=log.finished(plan))


def begin(plan: Plan, options: Options, log: Log) -> None:
    """Put down what is true before anything runs, or that a stopped session goes on: only on the same ground."""
    if log.start is None:
        log.add(check_machine(plan, options))
        return
    same_bundle(log.start.bundle, options)
    same_ground(log.start, check_machine(plan, options))
    log.add(ResumedRecord())


def _open_journal(plan: Plan, options: Options, progress: Progress) -> Journal:
    """Open the plan's journal: an earlier one is gone on with, or (without --resume) put aside, never lost."""
    path = journal_path(options.folder, plan)
    journal = Journal.open(path, plan.digest)
    if journal.resumed and not options.resume:
        names = (path.with_suffix(f".journal.old-{number}") for number in count(1))
        aside = next(name for name in names if not name.exists())
        path.replace(aside)
        progress.note(f"an earlier session of this plan had not ended: its journal is kept as {aside}")
        journal.close()
        journal = Journal.open(path, plan.digest)
    return journal


def journal_path(folder: Path, plan: Plan) -> Path:
    """Return where the journal of a plan lives: beside the report, so that the same command finds it again."""
    return folder / f".edgebench-{plan.name}-{plan.digest[:12]}.journal"


def check_machine(plan: Plan, options: Options) -> StartRecord:
    """Return what is true before anything runs: machine, probes, and what is missing."""
    probes, missing = open_all(options.probes)
    try:
        found = tuple(describe(probe) for probe in probes)
    finally:
        for probe in probes:
            probe.close()
    facts = machine.describe(options.cpus)
    return StartRecord(
        id=str(uuid4()),
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        suite=plan.name,
        machine=facts if options.unit is None else replace(facts, unit=options.unit or None),
        image=machine.image(),
        state=read_state(),
        probes=found,
        probes_missing=tuple(missing),
        bundle=None if options.bundle is None else options.bundle.facts(),
        edgebench=__version__,
        weights=weights_digest(options.weights),
        commit=options.commit,
    )


def idle(plan: Plan, options: Options, log: Log, progress: Progress, when: Literal["before", "after"]) -> None:
    """Measure idle power once, where a probe is; without one there is nothing to wait for."""
    if log.start is None or not log.start.probes or not plan.idle_s or log.idle(when):
        return
    progress.step("idle", f"idle power {when} the load, {plan.idle_s:g} s", f"idle {when}")
    with opened(options.probes) as found:
        begun_s = time.monotonic()
        powers, failed = measure_idle(found.probes, plan.idle_s, when)
    clock = Clock(started_s=begun_s, finished_s=time.monotonic())
    log.add(IdleRecord(when=when, powers=powers, failed={**found.refused, **failed}, clock=clock))
    progress.advance(f"idle {when}")
