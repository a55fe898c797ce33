"""`edgebench ab` of two images on a real engine: least rights, joules, what a kill leaves, and the verdict."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.container.conftest import IMAGE, command, docker, ours

pytestmark = [pytest.mark.container, pytest.mark.quiet, pytest.mark.usefixtures("engine")]


@pytest.fixture
def cache() -> Iterator[None]:
    """The volume that the launcher keeps artifacts in is as it was."""
    known = docker("volume", "ls", "--quiet").split()
    yield
    for name in {"edgebench-cache", "edgebench-lock"} - set(known):
        docker("volume", "rm", "--force", name)


def ended(seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while ours() and time.monotonic() < deadline:
        time.sleep(0.2)
    return not ours()


@pytest.mark.usefixtures("cache")
def test_an_image_against_itself_goes_on_after_a_kill_and_does_not_regress(
    environment: dict[str, str], tiny: Path, seven_watts: Path, tmp_path: Path
) -> None:
    words = ("ab", f"image:{IMAGE}", f"image:{IMAGE}", tiny, "--sysfs", seven_watts, "--format", "json")
    told = {**environment, "EDGEBENCH_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(
        command(*words), env=told, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "block 1 of 5 done" in line:
                break
        else:
            raise AssertionError("it never measured a block")
        containers: list[dict[str, Any]] = json.loads(docker("inspect", *ours()))
        process.kill()
    assert len(containers) == 2
    for container in containers:
        host = container["HostConfig"]
        assert (host["CapDrop"], host["CapAdd"] or [], host["Privileged"]) == (["ALL"], [], False)
        assert (host["ReadonlyRootfs"], host["NetworkMode"], host["Init"]) == (True, "none", True)
        assert not host["Devices"]
        writable = {mount["Destination"] for mount in container["Mounts"] if mount["RW"]}
        assert writable == {"/cache", "/exchange"}
    assert ended(), "a killed comparison left a container"
    done = subprocess.run(
        command(*words, "--resume"), env=told, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode in {0, 4}, done.stderr
    assert "energy: rapl" in done.stderr
    # A first run a side and a block; one more may have ended before the kill.
    assert re.search("[67] runs are there already", done.stderr), done.stderr
    found = json.loads(done.stdout)
    judged = {finding["metric"]: finding["verdict"] for finding in found["findings"]}
    assert {"latency_s", "energy_gross_j"} <= set(judged)
    assert not {"REGRESSED", "INCOMPARABLE"} & set(judged.values())
    # Runs of a container are this command's own: they are no other load, or all 22 would be disturbed.
    disturbed = [re.match(r"(\d+) runs? (?:was|were) disturbed each time", note) for note in found["notes"]]
    assert sum(int(note[1]) for note in disturbed if note) < 11, found["notes"]
    assert ended()


def test_an_image_that_is_not_there_is_told_before_anything_starts(environment: dict[str, str], tiny: Path) -> None:
    words = ("ab", f"image:{IMAGE}", "image:edgebench-n150:no-such-tag", tiny)
    done = subprocess.run(command(*words), env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "there is no image edgebench-n150:no-such-tag on this machine: build it with" in done.stderr
    assert ours() == []
