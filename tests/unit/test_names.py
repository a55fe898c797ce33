"""Meters by the names they are sold under, and near misses."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulators.sysfs import chip

from edgebench_probes.base import ProbeError
from edgebench_probes.catalogue.discover import examine, source_of
from edgebench_probes.catalogue.lookup import CATALOGUE
from edgebench_probes.catalogue.names import ALIASES, no_such, resolved
from edgebench_probes.host import Host
from edgebench_probes.meters import METERS
from edgebench_probes.meters.known import ROWS, MeterRow
from edgebench_probes.spec import Spec, parse_spec

METAL = Host(machine="x86_64", vendor="GenuineIntel", virtual=False, container=False, paranoid=2, perfmon=False)


@pytest.mark.parametrize(
    ("text", "name", "address", "options"),
    [
        ("um25c:/dev/rfcomm0", "rd_um", "/dev/rfcomm0", {}),
        ("UM25C:/dev/rfcomm0", "rd_um", "/dev/rfcomm0", {}),
        ("um24c:/dev/rfcomm0?interval_ms=500", "rd_um", "/dev/rfcomm0", {"interval_ms": "500"}),
        ("fnb58:/dev/hidraw0", "fnirsi", "/dev/hidraw0", {"model": "fnb58"}),
        ("fnb58:/dev/hidraw0?model=fnb58-0.68", "fnirsi", "/dev/hidraw0", {"model": "fnb58-0.68"}),
        ("fnb48:/dev/hidraw0", "fnirsi", "/dev/hidraw0", {"model": "fnb48"}),
        ("ct-3:/dev/ttyACM0", "shizuku", "/dev/ttyACM0", {}),
        ("avhzy:/dev/ttyACM0", "shizuku", "/dev/ttyACM0", {}),
        ("km003c", "hwmon", "powerz", {}),
        ("km002c?rate=20", "hwmon", "powerz", {"rate": "20"}),
        ("tc66c:/dev/ttyACM0", "tc66", "/dev/ttyACM0", {}),
        ("rapl?scope=package", "rapl", None, {"scope": "package"}),
    ],
)
def test_a_meter_is_known_by_its_own_name(text: str, name: str, address: str | None, options: dict[str, str]) -> None:
    assert resolved(parse_spec(text)) == Spec(name, address, options)


def test_every_name_leads_to_a_probe_and_hides_none() -> None:
    known = {*CATALOGUE, *METERS}
    assert {spec.name for spec in ALIASES.values()} <= known
    assert not known & set(ALIASES)


def test_a_meter_s_name_opens_the_meter(tmp_path: Path) -> None:
    chip(tmp_path, 1, "powerz", in0_input=5000, curr1_input=1200)
    (found,) = examine(["km003c"], tmp_path, METAL)
    assert (found.name, found.reading_w) == ("hwmon:powerz/in0*curr1", 6.0)
    assert source_of("fnb58:/dev/hidraw7", tmp_path, METAL).describe().info.source == "FNIRSI FNB58"
    (absent,) = examine(["km002c"], tmp_path / "none", METAL)
    assert "modprobe powerz" in (absent.fix or "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("rpal", "rapl"),
        ("rapll", "rapl"),
        ("hwmom", "hwmon"),
        ("um25", "um25c"),
        ("shizuko", "shizuku"),
        ("nvlm", "nvml"),
    ],
)
def test_a_near_miss_is_answered_with_what_was_meant(written: str, meant: str, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=f"there is no probe named '{written}'") as caught:
        examine([written], tmp_path, METAL)
    assert f"did you mean {meant}?" in (caught.value.fix or "")


@given(st.from_regex(r"[a-z][a-z0-9_-]{0,30}", fullmatch=True))
def test_any_other_name_is_one_sentence(name: str) -> None:
    error = no_such(name, CATALOGUE)
    assert error.reason == f"there is no probe named {name!r}"
    assert "choose one of" in (error.fix or "")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_meter_s_row_names_its_code_and_has_its_line_in_the_docs(row: MeterRow) -> None:
    if row.source is not None:
        module, _, name = row.source.partition(":")
        assert callable(getattr(import_module(module), name))
    page = Path(__file__).parents[2] / "docs" / "meters.md"
    assert f"\n| `{row.name}` |" in page.read_text(encoding="utf-8")
