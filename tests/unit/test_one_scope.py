"""Two probes of one scope, as two graphics units: never one figure of both."""

from __future__ import annotations

from pathlib import Path

from tests.simulators.sysfs import chip

from edgebench.measure.messages import ProbeSettings
from edgebench.measure.probes import describe, open_all


def test_the_first_is_measured_and_the_others_are_told(tmp_path: Path) -> None:
    chip(tmp_path, 1, "amdgpu", power1_average=3_000_000)
    chip(tmp_path, 2, "xe", power1_input=9_000_000)
    chip(tmp_path, 3, "powerz", in0_input=5000, curr1_input=4000)
    for specs, kept, told in (
        (("hwmon",), ["hwmon:amdgpu/power1", "hwmon:powerz/in0*curr1"], ["hwmon:xe/power1"]),
        (("hwmon:xe", "hwmon:amdgpu"), ["hwmon:xe/power1"], ["hwmon:amdgpu/power1"]),
        (("hwmon:xe",), ["hwmon:xe/power1"], []),
    ):
        probes, missing = open_all(ProbeSettings(specs=specs, sysfs=str(tmp_path)))
        try:
            assert [describe(probe).name for probe in probes] == kept
            assert [absent.name for absent in missing] == told
            assert all("one figure a scope" in absent.reason and absent.fix for absent in missing)
        finally:
            for probe in probes:
                probe.close()
