"""Probes of other distributions, installed into a folder, used through the real command line and the library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.simulators.powercap import Options, powercap, unavailable

GOOD = '''
"""A counter in a file, and a supply of constant power."""
import time
from pathlib import Path

from edgebench_probes import (
    Counter, CounterProbe, Plugin, ProbeError, ProbeInfo, Sample, Scope, Source, SourceInfo,
)


class FileCounter(Counter):
    joules = 1e-6
    step = 61.035

    def __init__(self, path):
        self.name, self.path = str(path), path

    def open(self):
        if not self.path.exists():
            raise ProbeError(f"{self.path} is not there", "mount it")

    def close(self):
        pass

    def read(self):
        return int(self.path.read_text())


class Supply(Source):
    def describe(self):
        return SourceInfo(ProbeInfo("whatever", "a supply", Scope.BOARD_DC, "power", 0.01, 0.01))

    def open(self):
        pass

    def read(self):
        time.sleep(0.01)
        return [Sample(time.monotonic_ns(), 12.0)]

    def close(self):
        pass


def counters(spec, sysfs):
    if spec.address is None:
        raise ProbeError("no file was named", "write `acme_file:FILE`")
    path = Path(spec.address)
    return [CounterProbe("acme", f"counter {path}", Scope.PACKAGE, [FileCounter(path)])]


FILE = Plugin("a counter in a file", counters, address="a file")
SUPPLY = Plugin("a bench supply", lambda spec, sysfs: [Supply()], options=("channel",))
'''
BAD = """
from edgebench_probes import Plugin, Probe, Source


class Faulty(Probe):
    info = property(lambda self: 1 / 0)
    open = close = mark = energy = lambda self, *arguments: [][1]


class Bound(Source):
    describe = open = read = close = lambda self: None

    def __init__(self):
        self.handle = open(__file__)


def fails(spec, sysfs):
    raise KeyError("rail")


OURS = Plugin("a second rapl", fails)
FAILS = Plugin("finds by failing", fails)
EMPTY = Plugin("finds nothing", lambda spec, sysfs: [])
STRANGE = Plugin("finds strings", lambda spec, sysfs: ["rail"])
FAULTY = Plugin("a probe of faults", lambda spec, sysfs: [Faulty()])
BOUND = Plugin("a source with a handle", lambda spec, sysfs: [Bound()])
NONE = {"name": "no plug-in"}
"""
POINTS = """[edgebench.probes]
rapl = acme_bad:OURS
acme_fails = acme_bad:FAILS
acme_empty = acme_bad:EMPTY
acme_strange = acme_bad:STRANGE
acme_faulty = acme_bad:FAULTY
acme_none = acme_bad:NONE
acme_bound = acme_bad:BOUND
acme_gone = acme_bad:GONE
acme_absent = acme_absent_module:PLUGIN
Acme Rail = acme_bad:FAILS
"""


def install(folder: Path, package: str, points: str) -> None:
    """Lay down what pip leaves of a distribution."""
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    install(folder, "acme-meters", "[edgebench.probes]\nacme_file = acme_good:FILE\nacme_supply = acme_good:SUPPLY\n")
    (folder / "acme_good.py").write_text(GOOD)
    return folder


def edgebench(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(site), os.environ.get("PYTHONPATH", "")))
    return subprocess.run(
        [sys.executable, "-m", "edgebench", "probes", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def listed(site: Path, tmp_path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    done = edgebench(site, "--json", "--sysfs", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    return {(found["name"], found["source"]): found for found in json.loads(done.stdout)["probes"]}


@pytest.mark.quiet
def test_a_plug_in_is_listed_and_measures(site: Path, tmp_path: Path) -> None:
    found = listed(site, tmp_path)
    supply = found["acme_supply", "a bench supply (plug-in acme-meters)"]
    assert (supply["usable"], supply["reading_w"], supply["info"]["name"]) == (True, 12.0, "acme_supply")
    file = found["acme_file", "a counter in a file (plug-in acme-meters)"]
    assert (file["usable"], file["reason"], file["fix"]) == (False, "no file was named", "write `acme_file:FILE`")
    done = edgebench(site, "measure", "--probe", "acme_supply?channel=2", "--json", "--", "sleep", "0.4")
    (reading,) = json.loads(done.stdout)["readings"]
    assert (reading["probe"], reading["scope"], done.returncode) == ("acme_supply", "board_dc", 0)
    assert abs(reading["energy_j"] - 12 * reading["seconds"]) <= 3 * reading["uncertainty_j"]


@pytest.mark.quiet
@pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")
def test_a_plug_in_s_counter_beside_a_built_in_one(site: Path, tmp_path: Path) -> None:
    with powercap(tmp_path / "sysfs", Options(range=262_143)) as rapl:  # the plug-in knows nothing of wraps
        specs = ("--probe", f"acme_file:{rapl.counter()}", "--probe", "rapl?scope=package", "--sysfs", str(rapl.root))
        done = edgebench(site, "measure", *specs, "--json", "--", "sleep", "0.4")
    readings = json.loads(done.stdout)["readings"]
    assert [(one["probe"], one["scope"]) for one in readings] == [("acme_file", "package"), ("rapl", "package")]
    for one in readings:
        assert abs(one["energy_j"] - 7 * one["seconds"]) <= 3 * one["uncertainty_j"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("acme_supply:COM1", "takes no address"),
        ("acme_supply?volts=5", "no option 'volts'"),
        ("acme_supply?scope=gpu", "no gpu"),
        ("acme_file:/nonsuch", "/nonsuch is not there; mount it"),
        ("acme_suply", ", tcp, acme_file, acme_supply"),
    ],
)
def test_a_wrong_specification_of_a_plug_in_is_one_sentence(site: Path, arguments: str, sentence: str) -> None:
    done = edgebench(site, "measure", "--probe", arguments, "--", "true")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert sentence in line


def test_broken_plug_ins_are_named_with_their_reason_and_disturb_nobody(site: Path, tmp_path: Path) -> None:
    before = listed(site, tmp_path)
    install(site, "acme-bad", POINTS)
    install(site, "acme-twin", "[edgebench.probes]\nacme_supply = acme_good:SUPPLY\n")
    install(site, "acme-torn", "[edgebench.probes]\nno equals sign\n")
    (site / "acme_bad.py").write_text(BAD)
    found = listed(site, tmp_path)
    mine = {name for name, _ in found if name.lower().startswith("acme")}
    assert {key: one for key, one in found.items() if key in before and key[0] not in mine} == {
        key: one for key, one in before.items() if key[0] not in mine
    }
    reasons = {name: one["reason"] for (name, source), one in found.items() if "plug-in" in source}
    assert "acme_file" in reasons
    for name, reason in {
        "rapl": "the plug-in of acme-bad: the name rapl belongs to a probe of edgebench itself",
        "acme_fails": "the plug-in of acme-bad failed (KeyError: 'rail')",
        "acme_empty": "the plug-in of acme-bad finds nothing here",
        "acme_strange": "the plug-in of acme-bad: it found a str, which is neither a Probe nor a Source",
        "acme_faulty": "the plug-in of acme-bad failed (IndexError: list index out of range)",
        "acme_bound": "the plug-in of acme-bad failed (TypeError: cannot pickle '_io.TextIOWrapper' object)",
        "acme_none": "the plug-in of acme-bad: acme_bad:NONE is no edgebench_probes.Plugin but of dict",
        "acme_gone": "it cannot be loaded (AttributeError: module 'acme_bad' has no attribute 'GONE')",
        "acme_absent": "it cannot be loaded (ModuleNotFoundError: No module named 'acme_absent_module')",
        "acme_supply": "the plug-in of acme-meters and acme-twin: each of them offers a probe named acme_supply",
        "Acme Rail": "the plug-in of acme-bad: 'Acme Rail' can be no probe's name",
        "acme-torn": "the plug-in of acme-torn: its entry_points.txt is broken",
    }.items():
        assert reason in reasons[name]
    done = edgebench(site, "measure", "--probe", "acme_gone", "--", "true")
    assert (done.returncode, "acme-bad" in done.stderr, len(done.stderr.splitlines())) == (2, True, 1)
