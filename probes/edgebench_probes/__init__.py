"""Energy and power sources of edge boards: a library of its own, which needs nothing of edgebench.

    from edgebench_probes import measure

    with measure("rapl?scope=package", idle_s=5) as measured:
        work()
    print(measured)

docs/probes-python.md has the rest. Names are loaded when they are first used: to import this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebench_probes.base import (
        Mark,
        Probe,
        ProbeError,
        ProbeInfo,
        Scope,
        WindowEnergy,
        WindowInvalid,
    )
    from edgebench_probes.counter import Counter
    from edgebench_probes.finding import Finding
    from edgebench_probes.measuring import MeasuredFunction, Measurement, measure
    from edgebench_probes.opening import OpenProbes, open, probes  # noqa: A004 - as gzip.open
    from edgebench_probes.plugins import Plugin
    from edgebench_probes.reading import Idle, Measured, Reading
    from edgebench_probes.sampling.source import PolledSource, Sample, Source, SourceInfo, SourceLost
    from edgebench_probes.spec import Spec
    from edgebench_probes.summed import CounterProbe

__all__ = [
    "Counter",
    "CounterProbe",
    "Finding",
    "Idle",
    "Mark",
    "Measured",
    "MeasuredFunction",
    "Measurement",
    "OpenProbes",
    "Plugin",
    "PolledSource",
    "Probe",
    "ProbeError",
    "ProbeInfo",
    "Reading",
    "Sample",
    "Scope",
    "Source",
    "SourceInfo",
    "SourceLost",
    "Spec",
    "WindowEnergy",
    "WindowInvalid",
    "measure",
    "open",
    "probes",
]

_HOMES = {
    "base": ("Mark", "Probe", "ProbeError", "ProbeInfo", "Scope", "WindowEnergy", "WindowInvalid"),
    "counter": ("Counter",),
    "finding": ("Finding",),
    "measuring": ("MeasuredFunction", "Measurement", "measure"),
    "opening": ("OpenProbes", "open", "probes"),
    "plugins": ("Plugin",),
    "reading": ("Idle", "Measured", "Reading"),
    "sampling.source": ("PolledSource", "Sample", "Source", "SourceInfo", "SourceLost"),
    "spec": ("Spec",),
    "summed": ("CounterProbe",),
}

if not TYPE_CHECKING:  # to a type checker every other name is an error

    def __getattr__(name: str) -> object:
        """Load a public name from the module that has it."""
        for home, names in _HOMES.items():
            if name in names:
                globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*__all__, *(name for name in globals() if name.startswith("__"))]
