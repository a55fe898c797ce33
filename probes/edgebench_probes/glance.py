"""Present power of a source at a glance: read when asked, a few times a second, with no sampler of its own.

For a second reader beside the probes of a measurement. A counter and a file of the kernel can be read by many
processes; a meter on a serial line or with one connection cannot, and is left to the measurement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from edgebench_probes.base import Mark, Probe, ProbeError, ProbeInfo
from edgebench_probes.catalogue.discover import Finding, closed_probes
from edgebench_probes.host import Host
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import PolledSource
from edgebench_probes.summed import CounterProbe

EXCLUSIVE = "only the energy windows read it: a second reader is not possible, or would disturb them"


class Glance(ABC):
    """One open source of power."""

    @property
    @abstractmethod
    def info(self) -> ProbeInfo:
        """What this source is."""

    @abstractmethod
    def power_w(self) -> float | None:
        """Power now, of a counter the mean since the last call; None before there is one. Raises ProbeError."""

    @abstractmethod
    def close(self) -> None:
        """Give the source back."""


class CounterGlance(Glance):
    """A counter: the mean power between two calls."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._last: Mark | None = None
        if isinstance(probe, CounterProbe):
            probe.watched = False  # shown, not stated: it may be wrong for half a second
        probe.open()

    @property
    def info(self) -> ProbeInfo:
        """What this source is."""
        return self._probe.info

    def power_w(self) -> float | None:
        """Mean power since the last call."""
        last, self._last = self._last, None  # after a failed read the next one starts anew
        now = self._probe.mark(sync=False)
        self._last = now
        return None if last is None else self._probe.energy(last, now).power_w

    def close(self) -> None:
        """Close the counter."""
        self._probe.close()


class PolledGlance(Glance):
    """A source that is asked: its power at this moment, smoothed as the source itself does."""

    def __init__(self, source: PolledSource) -> None:
        self._source = source
        source.open()
        self._info = source.describe().info

    @property
    def info(self) -> ProbeInfo:
        """What this source is."""
        return self._info

    def power_w(self) -> float:
        """Power at this moment."""
        return self._source.passed(self._source.poll())

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def open_glances(
    specs: Sequence[str] = (), sysfs: Path = Path("/sys"), host: Host | None = None
) -> tuple[list[Glance], list[Finding]]:
    """Open the probes asked for, or without any the native source, to be glanced at; return them and what is not.

    The caller closes them. Raises ProbeError for a specification that cannot be understood.
    """
    glances: list[Glance] = []
    missing: list[Finding] = []
    for name, probes in closed_probes(specs, sysfs, host):
        for one in probes:
            if isinstance(one, Finding):
                missing.append(one)
                continue
            try:
                glances.append(_glance(one))
            except ProbeError as error:
                scope = None if isinstance(one, SampledProbe) else one.info.scope
                missing.append(Finding(name, name, usable=False, scope=scope, reason=error.reason, fix=error.fix))
        if glances and not specs:
            # Another native source that is not usable is not missing, its zones that tell nothing are.
            return glances, [finding for finding in missing if finding.scope is not None]
    return glances, missing


def _glance(probe: Probe) -> Glance:
    if not isinstance(probe, SampledProbe):
        return CounterGlance(probe)
    source = probe.source
    if not (source.shared and isinstance(source, PolledSource)):
        raise ProbeError(EXCLUSIVE)
    return PolledGlance(source)
