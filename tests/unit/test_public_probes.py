"""The public face of edgebench_probes, at known power: its names, `measure`, and `edgebench probes measure`."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulators.powercap import Options, Simulator, powercap, unavailable

import edgebench_probes
from edgebench_probes import Measured, ProbeError, Reading, measure, probes
from edgebench_probes.base import ProbeInfo, Scope, WindowEnergy
from edgebench_probes.chaining import PIECES_HELD, Chain, joined
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import Sample, SourceInfo
from edgebench_probes.sources.replay import ReplaySource, save

ROOT = Path(__file__).parents[2]
MEASURE = [sys.executable, "-m", "edgebench", "probes", "measure"]
WATTS = {"package": 7.0, "core": 4.2, "dram": 1.4}
pytestmark = [pytest.mark.quiet, pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")]


@pytest.fixture(scope="module")
def rapl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with powercap(tmp_path_factory.mktemp("powercap") / "sysfs", Options(zero="uncore")) as simulator:
        yield simulator


def assert_right(reading: Reading, watts: float) -> None:
    """Three sigma: both errors of a counter are uniform, with bounds of at most 2.5 sigma each."""
    assert abs(reading.energy_j - watts * reading.seconds) <= 3 * reading.uncertainty_j
    assert reading.unsure is None or "waits for the counters" in reading.unsure  # on a machine that is busy


def test_a_block_has_one_reading_a_scope_and_a_reason_for_what_is_missing(rapl: Simulator) -> None:
    with measure("rapl", sysfs=rapl.root) as measured:
        time.sleep(0.5)
        with pytest.raises(ProbeError, match="has not ended"):
            str(measured)
    assert {str(one.scope): one.probe for one in measured.readings} == dict.fromkeys(WATTS, "rapl")
    for scope, watts in WATTS.items():
        assert_right(measured.reading(scope), watts)
    assert 0.5 <= measured.seconds <= measured.reading("package").seconds
    (uncore,) = measured.missing
    assert (uncore.scope, "reads zero" in (uncore.reason or "")) == ("uncore", True)
    with pytest.raises(ProbeError, match="uncore has no reading: uncore reads zero"):
        measured.reading("uncore")
    with pytest.raises(ProbeError, match=r"this block has 3 readings: .* say which"):
        measured.reading()
    with pytest.raises(ProbeError, match="the scopes measured are: package, core, dram"):
        measured.reading("wall_ac")
    assert str(measured).startswith("package: ")


def test_two_probes_at_once_stay_two_figures(rapl: Simulator, tmp_path: Path) -> None:
    meter = SourceInfo(ProbeInfo("meter", "a meter", Scope.BOARD_DC, "power", 0.001, 0.01, 0.02))
    save(tmp_path / "trace", meter, (Sample(10_000_000 * n, 12.0) for n in range(6000)))
    with edgebench_probes.open("rapl?scope=package", f"replay:{tmp_path}/trace", sysfs=rapl.root) as opened:
        for probes_given in (tuple(opened), (opened,)):
            with measure(*probes_given) as measured:
                time.sleep(0.4)
            with pytest.raises(ProbeError, match="asked for twice"), measure(*opened, opened[0]):
                pass
            assert_right(measured.reading("package"), 7.0)
            board = measured.reading("board_dc", probe="replay")
            assert_right(board, 12.0)
            assert board.systematic_j == pytest.approx(0.02 * board.energy_j)
    with pytest.raises(ProbeError, match="not open"), measure(*opened):
        pass


def test_a_block_longer_than_samples_are_held_is_cut_into_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = SourceInfo(ProbeInfo("meter", "a meter", Scope.BOARD_DC, "power", 0.001, 0.01))
    save(tmp_path / "trace", meter, (Sample(10_000_000 * n, 12.0) for n in range(6000)))
    with SampledProbe(ReplaySource(tmp_path / "trace")) as probe:
        whole = Chain(probe, probe.mark())
        assert probe._ring is not None
        assert whole.interval_s == probe._ring.capacity * 0.01 / PIECES_HELD
        whole.close()
        monkeypatch.setattr("edgebench_probes.chaining.CAPACITY_MIN", 100)
        monkeypatch.setattr("edgebench_probes.chaining.HELD_S", 1.0)
        cut: list[WindowEnergy] = []

        def seen(pieces: Sequence[WindowEnergy]) -> WindowEnergy:
            cut.extend(pieces)
            return joined(pieces)

        monkeypatch.setattr("edgebench_probes.chaining.joined", seen)
        with measure(probe) as measured:
            time.sleep(1.6)
    reading = measured.reading()
    assert len(cut) > 1
    assert reading.energy_j == pytest.approx(12.0 * reading.seconds, rel=1e-6)
    assert reading.seconds == pytest.approx(math.fsum(piece.seconds for piece in cut))
    assert reading.window.parts["resolution"] == pytest.approx(0.001 / 12**0.5 * reading.seconds, rel=1e-3)


@given(st.lists(st.tuples(*[st.floats(1e-3, 1e3)] * 4), min_size=1, max_size=9))
def test_pieces_end_to_end_are_one_window(rows: list[tuple[float, float, float, float]]) -> None:
    pieces = [
        WindowEnergy(joules, seconds, math.hypot(clock, spread), {"clock": clock, "spread": spread}, 0.1, 5, 1.0, 0.9)
        for joules, seconds, clock, spread in rows
    ]
    whole = joined(pieces)
    assert whole.energy_j == pytest.approx(sum(row[0] for row in rows))
    assert whole.seconds == pytest.approx(sum(row[1] for row in rows))
    assert whole.parts["clock"] == pytest.approx(sum(row[2] for row in rows))
    assert math.hypot(*(one.uncertainty_j for one in pieces)) <= whole.uncertainty_j * (1 + 1e-9)
    assert whole.uncertainty_j <= sum(one.uncertainty_j for one in pieces) * (1 + 1e-9)
    assert (whole.samples, whole.max_gap_s) == (5 * len(rows), 1.0)
    assert whole.coverage == pytest.approx(0.9)


def test_idle_power_is_taken_away(rapl: Simulator) -> None:
    rapl.control("power 2")
    with measure("rapl?scope=package", sysfs=rapl.root, idle_s=0.6) as measured:
        begun = time.monotonic()
        rapl.control("power 9")
        first = time.monotonic()
        time.sleep(0.5)
        last = time.monotonic()
        rapl.control("power 2")
        ended = time.monotonic()
    rapl.control("power 7")
    reading = measured.reading()
    assert reading.idle is not None
    assert reading.net_j is not None
    assert reading.net_uncertainty_j is not None
    assert abs(reading.idle.power_w - 2.0) <= 3 * reading.idle.uncertainty_w
    doubt_j = 3 * reading.net_uncertainty_j
    assert 7.0 * (last - first) - doubt_j <= reading.net_j <= 7.0 * (ended - begun) + doubt_j
    assert reading.net_uncertainty_j >= reading.uncertainty_j
    with pytest.raises(ProbeError, match=r"idle time of 0\.01 s is too short for rapl"):
        measure("rapl", sysfs=rapl.root, idle_s=0.01).__enter__()


def test_a_function_s_calls_are_measured(rapl: Simulator) -> None:
    results: list[Measured] = []

    @measure("rapl?scope=package", sysfs=rapl.root, then=results.append)
    def work(value: int) -> int:
        """Work."""
        time.sleep(0.3)
        return work(value - 1) + 1 if value else 0

    class Worker:
        @measure("rapl?scope=package", sysfs=rapl.root)
        def work(self, seconds: float) -> Worker:
            time.sleep(seconds)
            return self

    assert (work(1), work.__doc__, len(results)) == (1, "Work.", 2)
    assert work.measured is results[-1]
    assert_right(results[-1].reading(), 7.0)
    assert results[-1].seconds > results[0].seconds + 0.3
    worker = Worker()
    assert worker.work(0.1) is worker
    with pytest.raises(TypeError, match=r"write `with measure\(\):` inside"):

        @measure
        def stream() -> Iterator[int]:
            yield 1


@pytest.mark.parametrize(
    ("specs", "sentence"),
    [
        (["rapl?scope=uncore"], "reads zero"),
        (["rapl?scope=psys"], "no psys counter in rapl"),
        (["rapl", "pyrapl"], "pyRAPL reads /sys"),
        (["rapl", "rapl?scope=core"], "core of rapl .* is asked for twice; name it once"),
        (["rappel"], "no probe named 'rappel'"),
    ],
)
def test_what_cannot_be_had_is_an_error_before_the_block(rapl: Simulator, specs: list[str], sentence: str) -> None:
    ran = []
    with pytest.raises(ProbeError, match=sentence), measure(*specs, sysfs=rapl.root):
        ran.append(1)
    assert not ran


def test_without_a_name_the_environment_s_probe_or_the_native_one_is_used(
    rapl: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBENCH_SYSFS", str(rapl.root))
    with measure() as measured:
        time.sleep(0.4)
    assert {one.probe for one in measured.readings} == {"rapl"}
    assert {one.scope for one in probes() if one.usable and one.name == "rapl"} == set(WATTS)
    monkeypatch.setenv("EDGEBENCH_PROBE", "rapl?scope=dram")
    with measure() as measured:
        time.sleep(0.4)
    assert_right(measured.reading(), 1.4)
    monkeypatch.delenv("EDGEBENCH_PROBE")
    with edgebench_probes.open() as opened, measure(opened) as measured:
        pass
    assert [one.scope for one in measured.missing] == ["uncore"]
    monkeypatch.undo()
    with pytest.raises(ProbeError), measure(sysfs=tmp_path):
        pass


def test_a_block_too_short_is_not_sure_and_one_that_failed_is_missing(rapl: Simulator) -> None:
    with measure("rapl?scope=package", sysfs=rapl.root) as measured:
        pass
    assert re.search(r"is shorter than the .* s that this probe needs", measured.reading().unsure or "")
    assert "not sure" in str(measured)
    with measure("rapl?scope=package", sysfs=rapl.root) as measured:
        rapl.control("freeze")
        time.sleep(0.2)
    rapl.control("ok")
    assert measured.readings == ()
    assert [(one.scope, bool(one.reason), one.fix) for one in measured.missing] == [("package", True, "measure again")]
    with pytest.raises(ZeroDivisionError), measure("rapl?scope=package", sysfs=rapl.root, idle_s=0.4) as measured:
        time.sleep(0.1 / 0)
    assert measured.reading().no_idle == "no idle power after the block (the measurement was interrupted)"
    assert measured.reading().net_j is None


# The command


def command(rapl: Simulator, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = [*MEASURE, "--probe", "rapl?scope=package", "--sysfs", str(rapl.root), *arguments]
    return subprocess.run(done, capture_output=True, text=True, check=False, timeout=60)


def test_a_command_is_measured_and_its_exit_code_passed_on(rapl: Simulator, tmp_path: Path) -> None:
    done = command(
        rapl, "--idle", "0.6", "--json", "-o", f"{tmp_path}/out", "--", "sh", "-c", "echo hi; sleep .4; exit 3"
    )
    assert (done.returncode, done.stderr) == (3, "")
    first, last = done.stdout.splitlines()
    found = json.loads(last)
    assert (first, found) == ("hi", json.loads((tmp_path / "out").read_text()))
    (reading,) = found["readings"]
    assert abs(reading["energy_j"] - 7 * reading["seconds"]) <= 3 * reading["uncertainty_j"]
    assert abs(reading["net_j"]) <= 3 * reading["net_uncertainty_j"]
    plain = command(rapl, "sh", "-c", "sleep .2; kill -9 $$")  # without `--` too
    assert (plain.returncode, plain.stdout) == (128 + 9, "")
    assert plain.stderr.startswith("package: ")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--", "/nonsuch/program"], 127, "/nonsuch/program cannot be started: there is no such program"),
        (["--", "{tmp}"], 127, "cannot be started: it is no program"),
        (["--", "{tmp}/broken"], 127, "broken cannot be started: Exec format error"),
        (["--idle", "-1", "--", "true"], 2, "is not a number of seconds"),
        ([], 2, "measure needs a command"),
        (["-o", "{tmp}/none/out", "--", "touch", "{tmp}/ran"], 2, "there is no folder"),
        (["--probe", "pyrapl", "--", "touch", "{tmp}/ran"], 2, "pyRAPL reads /sys"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    rapl: Simulator, tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    (tmp_path / "broken").write_bytes(b"\x7fELF")
    (tmp_path / "broken").chmod(0o755)
    done = command(rapl, *(argument.format(tmp=tmp_path) for argument in arguments))
    assert (done.returncode, sentence in done.stderr, done.stdout) == (code, True, "")
    assert not (tmp_path / "ran").exists()


COUNTING = """
import signal, sys, time
seen = []
signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
print("ready", flush=True)
while not seen: time.sleep(0.01)
time.sleep(0.5)
sys.exit(40 + len(seen))
"""

TAKING_THE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_reaches_the_command_once_and_what_was_measured_is_printed(
    rapl: Simulator, tmp_path: Path, *, terminal: bool
) -> None:
    options = ["--probe", "rapl?scope=package", "--sysfs", str(rapl.root), "--idle", "0.5", "-o", f"{tmp_path}/out"]
    argv = [*MEASURE, *options, "--", sys.executable, "-c", COUNTING]
    master, slave = os.openpty()
    if terminal:  # the session's own terminal, as of a shell
        grab = (
            "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
        )
        argv = [sys.executable, "-c", grab, *argv]
    process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    said = b""
    while b"ready" not in said:
        said += os.read(master, 1000)
    if terminal:
        os.write(master, b"\x03")
    else:
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 41
    os.close(master)
    (reading,) = json.loads((tmp_path / "out").read_text())["readings"]
    assert reading["energy_j"] == pytest.approx(7 * reading["seconds"], rel=0.01)
    assert "interrupted" in reading["no_idle"]


def test_the_example_s_joules_are_right(rapl: Simulator) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "joules.py"],
        env={**os.environ, "EDGEBENCH_SYSFS": str(rapl.root)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    joules, sigma, seconds, scope = done.stdout.splitlines()[-1].split()
    assert scope == "package"
    assert abs(float(joules) - 7 * float(seconds)) <= 3 * float(sigma)
