"""What the machine tells of itself, and what counts as a disturbance; boards answer through their real programs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.machine import facts as machine
from edgebench.machine.state import State, disturbance, read_state


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n", encoding="utf-8")
    path.chmod(0o755)


def test_a_pi_that_its_firmware_limits_disturbs_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_BOARD", "Raspberry Pi 4 Model B Rev 1.4")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program(tmp_path, "vcgencmd", "throttled=0x0")
    calm = read_state()
    assert calm.limits == ()
    program(tmp_path, "vcgencmd", "throttled=0x50005")
    limited = read_state()
    assert limited.limits is not None
    assert len(limited.limits) == 2
    reason = disturbance(calm, limited, own_cpu_s=1e9).reason
    assert reason is not None
    assert "under-voltage" in reason
    assert machine.platform_name(replace(machine.describe([0]), board=machine.board())) == "pi"


def test_a_jetsons_power_mode_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program(tmp_path, "nvpmodel", "NV Power Mode: 15W\n2")
    assert machine.describe([0]).power_mode == "15W"


def test_equal_machines_are_told_apart_without_telling_their_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEBENCH_UNIT", raising=False)
    file, found = tmp_path / "machine-id", []
    monkeypatch.setenv("EDGEBENCH_MACHINE_ID", str(file))
    assert machine.unit() is None
    for text in ("", "uninitialized\n", "0123456789abcdef0123456789abcdef\n", "f" * 32):
        file.write_text(text, encoding="utf-8")
        found.append(machine.unit())
    assert found[:2] == [None, None]
    assert found[2] != found[3]
    for unit in found[2:]:
        assert re.fullmatch(r"id-[0-9a-f]{12}", str(unit))
        assert str(unit)[3:] not in file.read_text(encoding="utf-8") + "0123456789abcdef0123456789abcdef"
    monkeypatch.setenv("EDGEBENCH_UNIT", "n150-a")
    assert machine.unit() == "n150-a"
    monkeypatch.setenv("EDGEBENCH_UNIT", "")
    assert machine.unit() is None, "whoever does not want it told"


def test_every_machine_tells_its_processor_and_its_memory() -> None:
    facts = machine.describe(machine.usable_cpus())
    assert facts.usable_bytes > 0
    assert facts.cpu


STATE = State(0.0, None, None, 0.0, 0.0)


@given(st.floats(0.1, 100), st.floats(0, 50), st.floats(0, 50))
def test_only_the_processor_time_of_others_counts(seconds: float, own_s: float, other_s: float) -> None:
    after = replace(STATE, time_s=seconds, busy_s=own_s + other_s)
    found = disturbance(STATE, after, own_s)
    assert 0 <= found.other_cores <= other_s / seconds + 1e-9


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (replace(STATE, time_s=1.0), None),
        (replace(STATE, time_s=10.0, busy_s=9.0), "other programs used 0.9 processors"),
        (replace(STATE, time_s=10.0, steal_s=4.0), "took 0.40 processors"),
        (replace(STATE, time_s=10.0, throttle_count=None), None),
    ],
)
def test_a_disturbance_has_its_reason(after: State, words: str | None) -> None:
    reason = disturbance(STATE, after, 0.0).reason
    assert reason is None if words is None else words in (reason or "")


def test_a_throttle_counter_that_rises_is_a_disturbance() -> None:
    before = replace(STATE, throttle_count=3)
    assert disturbance(before, replace(before, time_s=1.0, throttle_count=4), 0.0).throttled
    assert not disturbance(before, replace(before, time_s=1.0), 0.0).throttled


def test_threads_take_a_core_each_before_siblings() -> None:
    cores = machine.usable_cpus()
    assert machine.cpus_for(1, cores) == cores[:1]
    assert set(cores) <= set(machine.cpus_for(10_000, cores))


def test_the_mount_of_a_folder_is_the_deepest_and_last(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 0:20 / / rw - overlay overlay rw\n"
        "23 22 0:21 / /tmp rw shared:1 - tmpfs tmpfs rw\n"
        "24 22 8:1 /home/me /my\\040reports rw - ext4 /dev/sda1 rw\n"
        "25 22 8:1 /home/you /my\\040reports rw - ext4 /dev/sda1 rw\n",
        encoding="utf-8",
    )
    assert machine.mount_of(Path("/work"), table) == machine.Mount("/", "overlay", "/")
    assert machine.mount_of(Path("/tmp/a"), table) == machine.Mount("/tmp", "tmpfs", "/")  # noqa: S108
    assert machine.mount_of(Path("/my reports"), table) == machine.Mount("/my reports", "ext4", "/home/you")
