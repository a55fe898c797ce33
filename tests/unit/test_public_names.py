"""The public face of edgebench_probes, name by name; no probe is opened, so that it runs everywhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

import edgebench_probes

PUBLIC = (
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
)


def test_these_names_are_public_and_no_others() -> None:
    assert tuple(sorted(edgebench_probes.__all__)) == PUBLIC
    for name in edgebench_probes.__all__:
        assert getattr(edgebench_probes, name).__doc__
    assert set(edgebench_probes.__all__) <= set(dir(edgebench_probes))
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        getattr(edgebench_probes, "mesure")  # noqa: B009 - a type checker would refuse the attribute
    code = "import sys, edgebench_probes as p; a = len(sys.modules); p.measure; print(a, *sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    modules = loaded[1 : 1 + int(loaded[0])]
    assert [name for name in modules if name.startswith("edgebench_probes.")] == []
    assert not {"numpy", "scipy", "rich", "serial"} & set(loaded)  # nor does `measure` need them
