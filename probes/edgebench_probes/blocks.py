"""One measured block: probes opened, idle before, both edges marked, energies asked for, idle after, probes closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgebench_probes import idling, opening
from edgebench_probes.base import Mark, Probe, ProbeError, WindowEnergy
from edgebench_probes.catalogue.discover import TARGET, shortest_window
from edgebench_probes.chaining import Chain
from edgebench_probes.finding import Finding
from edgebench_probes.reading import Measured, Reading
from edgebench_probes.sampling.probe import SampledProbe

UNSURE = 0.1  # a figure whose random uncertainty (one sigma) is a larger share of it must not be relied on
INTERRUPTED = "the measurement was interrupted"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, as `measure` has it; `probes` are open and stay so, `missing` is what they lack."""

    specs: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    missing: tuple[Finding, ...] = ()
    idle_s: float = 0.0
    sysfs: str | Path | None = None
    workload_cpus: tuple[int, ...] = ()
    then: Callable[[Measured], object] | None = None

    @property
    def named(self) -> bool:
        """Whether probes were named: then each of them is wanted."""
        return bool(self.specs or self.probes or opening.by_environment())


@contextmanager
def block(request: Request) -> Generator[Measured, None, None]:
    """Measure what runs inside; the result is complete afterwards, also when that raised. Raises ProbeError before."""
    measured = Measured()
    with ExitStack() as stack:
        missing = list(request.missing)
        probes = _delivering(_opened(request, stack, missing), missing, named=request.named)
        before = _idle_before(probes, request.idle_s)
        after: list[idling.Rest | str] = [INTERRUPTED] * len(probes)
        windows = _begun(probes, stack, named=request.named)
        results: list[WindowEnergy | ProbeError] | None = None  # until then there is nothing to tell
        begun = time.monotonic_ns()
        try:
            try:
                yield measured
            finally:
                seconds = (time.monotonic_ns() - begun) / 1e9
                for window in sorted(windows, key=_waits):
                    window.end()
                results = [window.result() for window in windows]
            if request.idle_s:
                after = idling.rest(probes, request.idle_s)
        finally:
            readings: list[Reading] = []
            for index, result in enumerate(results or ()):
                if isinstance(result, ProbeError):
                    missing.append(_missing(probes[index], result))
                else:
                    rests = (before[index], after[index]) if before else None
                    readings.append(_reading(probes[index], result, seconds, rests))
            if results is not None:
                measured.complete(readings, missing, seconds)


def _opened(request: Request, stack: ExitStack, missing: list[Finding]) -> list[Probe]:
    probes = list(request.probes)
    if request.specs or not probes:
        cpus = request.workload_cpus
        opened = stack.enter_context(opening.open(*request.specs, sysfs=request.sysfs, workload_cpus=cpus))
        missing += opened.missing
        probes += opened
    opening.check_once(probes)
    return probes


def _delivering(probes: Sequence[Probe], missing: list[Finding], *, named: bool) -> list[Probe]:
    """Return the probes that deliver; one that does not is an error if it was named, or if there is no other."""
    good: list[Probe] = []
    failed: list[ProbeError] = []
    for probe in probes:
        try:
            probe.mark()
        except ProbeError as error:
            failed.append(error)
            missing.append(_missing(probe, error))
        else:
            good.append(probe)
    if failed and (named or not good):
        raise failed[0]
    return good


def _idle_before(probes: Sequence[Probe], seconds: float) -> list[idling.Rest | str]:
    if not seconds:
        return []
    idling.check_long_enough(probes, seconds)
    before = idling.rest(probes, seconds)
    if all(isinstance(one, str) for one in before):
        raise ProbeError(f"no probe tells its power at rest: {before[0]}", "measure without idle")
    return before


def _begun(probes: Sequence[Probe], stack: ExitStack, *, named: bool) -> list[_Window]:
    """Begin every probe's window; raises ProbeError when one that was named fails, or all."""
    windows = [_Window(probe) for probe in probes]
    for window in sorted(windows, key=_waits, reverse=True):
        stack.callback(window.close)
        window.begin()
    failed = [window.failed for window in windows if window.failed is not None]
    if failed and (named or len(failed) == len(windows)):
        raise failed[0]
    return windows


class _Window:
    """One probe's window; `failed` is why it has no energy."""

    def __init__(self, probe: Probe) -> None:
        self.failed: ProbeError | None = None
        self.probe = probe
        self._edges: list[Mark] = []
        self._chain: Chain | None = None

    def begin(self) -> None:
        """Mark the start."""
        self._mark()
        if self._edges and isinstance(self.probe, SampledProbe):
            self._chain = Chain(self.probe, self._edges[0])

    def end(self) -> None:
        """Mark the end."""
        if self.failed is None:
            self._mark()
        self.close()

    def close(self) -> None:
        """Stop what runs beside the block; harmless when nothing does."""
        if self._chain is not None:
            self._chain.close()

    def _mark(self) -> None:
        try:
            self._edges.append(self.probe.mark(sync=_waits(self)))
        except ProbeError as error:
            self.failed = error

    def result(self) -> WindowEnergy | ProbeError:
        """Return the energy, or why there is none."""
        if self.failed is not None:
            return self.failed
        start, end = self._edges
        try:
            window = self._chain.energy(end) if self._chain is not None else self.probe.energy(start, end)
        except ProbeError as error:
            return error
        if self.probe.info.kind == "counter" and window.energy_j == 0:
            return ProbeError(f"the counter did not move in {window.seconds:.3g} s", "measure a longer block")
        return window


def _waits(window: _Window) -> bool:
    """Whether a mark waits for the next refresh: sampled power, which has been seen to deliver, needs none.

    Those that wait begin first and end last, so that the others' windows hold no wait.
    """
    return not isinstance(window.probe, SampledProbe)


def _reading(
    probe: Probe, window: WindowEnergy, block_s: float, rests: tuple[idling.Rest | str, idling.Rest | str] | None
) -> Reading:
    info = probe.info
    idle, no_idle = idling.idle(*rests) if rests else (None, None)
    return Reading(info.name, info.source, info.scope, window, _doubt(probe, window, block_s), idle, no_idle)


def _doubt(probe: Probe, window: WindowEnergy, block_s: float) -> str | None:
    """Return why a figure must not be relied on: too short for the probe's steps and refresh, or too uncertain."""
    if not window.power_w > 0:
        return f"the mean power is {window.power_w:.3g} W: whether the source measures this block is not known"
    needed_s = shortest_window(probe, window.power_w)
    if window.seconds < needed_s:
        return (
            f"the window of {window.seconds:.3g} s is shorter than the {needed_s:.3g} s that this probe needs at"
            f" {window.power_w:.3g} W for {TARGET:.0%}; measure a longer block, or the same work several times"
        )
    if window.seconds - block_s > TARGET * window.seconds:
        return (
            f"the block took {block_s:.3g} s of the window, the rest of its {window.seconds:.3g} s are waits for the"
            " counters at its edges; measure a longer block, or one scope"
        )
    if window.uncertainty_j > UNSURE * window.energy_j:
        return f"its uncertainty (one sigma) is {window.uncertainty_j / window.energy_j:.0%} of it"
    return None


def _missing(probe: Probe, error: ProbeError) -> Finding:
    info = probe.info
    return Finding(info.name, info.source, usable=False, scope=info.scope, reason=error.reason, fix=error.fix)
