"""`edgebench run --swarm` on two real engines: whole reports, a node that is cut off, a manager that is restarted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.container.conftest import IMAGE, TINY, Sshd, command, sshd
from tests.container.swarm import Node, SwarmOfTwo, run, swarm_of_two
from tests.session.conftest import Outcome

pytestmark = [pytest.mark.container, pytest.mark.quiet, pytest.mark.usefixtures("engine")]

SHORT = TINY.replace("processes = 2", "processes = 1").replace("idle_s = 1.0", "idle_s = 0.2")
LONG = SHORT.replace("processes = 1", "processes = 2")


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmOfTwo]:
    with swarm_of_two(tmp_path_factory.mktemp("swarm")) as two:
        yield two


@pytest.fixture(scope="module")
def manager(swarm: SwarmOfTwo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An ssh server whose docker is the manager's, as on a board that manages others."""
    told = {name: value for name, value in os.environ.items() if name == "DOCKER_API_VERSION"}
    with sshd(tmp_path_factory.mktemp("manager"), {**told, "DOCKER_HOST": swarm.manager.url}) as found:
        yield found


@pytest.fixture
def reports(tmp_path: Path, swarm: SwarmOfTwo) -> Iterator[Path]:
    folder = tmp_path / "reports"
    folder.mkdir()
    yield folder
    left = swarm.services()
    for service in left:  # the next test is not to fail for it
        swarm.manager.docker("service", "rm", service)
    assert left == [], "a service was left behind"
    for _ in range(100):  # containers of services that were removed end in their own time
        behind = [node.docker("ps", "--all", "--quiet") for node in swarm.nodes]
        if behind == ["", ""]:
            break
        time.sleep(0.2)
    assert behind == ["", ""], "a container was left behind"
    assert swarm.configs() == [], "a file was left in the swarm"


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Each node's report."""
    found = {}
    for path in folder.glob("edgebench-*.json"):
        name = "node-a" if "node-a" in path.name else "node-b"
        assert name not in found, "a node was measured twice"
        found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


class Launcher:
    """`edgebench run n150 SUITE --swarm` in the background."""

    def __init__(self, url: str, suite: Path, folder: Path, environment: dict[str, str]) -> None:
        self._words = ("run", "n150", suite, "--swarm", url, "--image", IMAGE, "-o", folder)
        self._environment = environment
        self.process: subprocess.Popen[str] | None = None

    def start(self, *more: object) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            command(*self._words, "--node-timeout", 8, *more),
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def end(self) -> Outcome:
        assert self.process is not None
        stdout, stderr = self.process.communicate(timeout=240)
        assert "Traceback" not in stderr, stderr
        return Outcome(self.process.returncode, stdout, stderr)

    def run(self, *more: object) -> Outcome:
        self.start(*more)
        return self.end()


@pytest.fixture
def launcher(
    swarm: SwarmOfTwo, reports: Path, tmp_path: Path, environment: dict[str, str]
) -> Iterator[Callable[..., Launcher]]:
    made: list[Launcher] = []

    def make(suite: str, over: Sshd | None = None) -> Launcher:
        path = tmp_path / "tiny.toml"
        path.write_text(suite, encoding="utf-8")
        home = {} if over is None else {"HOME": str(over.home)}
        url = swarm.manager.url if over is None else over.url
        made.append(Launcher(url, path, reports, {**environment, **home}))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def until_measuring(*nodes: Node) -> list[str]:
    for _ in range(300):
        found = [node.measuring() for node in nodes]
        if all(found):
            return [str(one) for one in found]
        time.sleep(0.2)
    raise AssertionError("the nodes never measured")


def test_every_node_measures_with_least_rights_and_brings_joules(
    swarm: SwarmOfTwo, launcher: Callable[..., Launcher], manager: Sshd, reports: Path, seven_watts: Path
) -> None:
    launched = launcher(LONG, over=manager)
    launched.start("--sysfs", seven_watts)
    container = until_measuring(*swarm.nodes)[1]
    host = json.loads(swarm.worker.docker("inspect", container))[0]["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert host["ReadonlyRootfs"]
    assert host["Init"]
    other = launcher(LONG).run("--passes", 40)
    assert other.code == 2
    assert other.stderr.count("measures there: wait for it, or end it with `docker service rm") == 2
    done = launched.end()
    assert done.code == 0, done.stderr
    assert "node-b: energy: rapl" in done.stderr
    found = read(reports)
    assert set(found) == {"node-a", "node-b"}
    for report in found.values():
        assert report["status"] == "complete"
        assert report["benchmarks"][0]["metrics"]["power_w"]["mean"] == pytest.approx(7.0, rel=0.03)


def test_two_sessions_never_share_a_board_whoever_started_them(
    swarm: SwarmOfTwo, launcher: Callable[..., Launcher], reports: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    held = ("--volume", "edgebench-lock:/lock", "--network", "none", "--entrypoint", "flock", IMAGE, "/lock")
    holder = swarm.worker.docker("run", "--detach", "--init", *held, "sleep", 600)
    try:
        done = launcher(SHORT).run()
        assert done.code == 2
        assert "node-b: edgebench: another session measures on this board" in done.stderr
        assert set(read(reports)) == {"node-a"}
        words = ("run", "n150", tmp_path / "tiny.toml", "--host", swarm.worker.url, "--image", IMAGE)
        alone = subprocess.run(command(*words), env=environment, capture_output=True, text=True, check=False)
        assert alone.returncode == 2
        assert "another session measures on this board" in alone.stderr
    finally:
        swarm.worker.docker("rm", "--force", holder)
    again = launcher(SHORT).run("--resume")
    assert again.code == 0, again.stderr
    assert "node-a: has its report already" in again.stderr
    assert set(read(reports)) == {"node-a", "node-b"}


def test_a_node_that_is_cut_off_is_told_the_other_goes_on_and_resume_fetches_its_report(
    swarm: SwarmOfTwo, launcher: Callable[..., Launcher], reports: Path
) -> None:
    launched = launcher(LONG)
    launched.start()
    until_measuring(*swarm.nodes)
    swarm.worker.cut()
    try:
        done = launched.end()
    finally:
        swarm.worker.mend()
    assert done.code == 2, done.stderr
    assert "node-b does not answer its manager any more: --resume goes on when it is back" in done.stderr
    assert set(read(reports)) == {"node-a"}
    for _ in range(300):
        if swarm.manager.docker("node", "inspect", "--format", "{{.Status.State}}", "node-b") == "ready":
            break
        time.sleep(0.2)
    again = launched.run("--resume")
    assert again.code == 0, again.stderr
    assert "node-a: has its report already" in again.stderr
    assert "node-b: going on with what an earlier launcher started" in again.stderr
    found = read(reports)
    assert found["node-b"]["status"] == "complete"
    assert found["node-b"]["session"]["resumed"] is False, "what the node measured alone was measured again"


def test_a_restarted_manager_loses_no_report_of_another_node_and_resume_measures_its_own(
    swarm: SwarmOfTwo, launcher: Callable[..., Launcher], manager: Sshd, reports: Path
) -> None:
    launched = launcher(LONG, over=manager)  # each of its connections ends with the engine
    launched.start("--node-timeout", 60)
    until_measuring(*swarm.nodes)
    swarm.manager.end()
    time.sleep(2)
    swarm.manager.start()
    done = launched.end()
    # An engine that is stopped asks its containers to end, so that the manager's own report is partial.
    assert done.code == 130, done.stderr
    assert {name: report["status"] for name, report in read(reports).items()} == {
        "node-a": "partial",
        "node-b": "complete",
    }
    next(reports.glob("edgebench-*node-a*.json")).unlink()
    again = launched.run("--resume")
    assert again.code == 0, again.stderr
    assert {report["status"] for report in read(reports).values()} == {"complete"}


def test_ctrl_c_brings_partial_reports_and_a_killed_launcher_is_gone_on_with(
    swarm: SwarmOfTwo, launcher: Callable[..., Launcher], reports: Path
) -> None:
    launched = launcher(SHORT.replace("processes = 1", "processes = 30"))
    process = launched.start()
    until_measuring(*swarm.nodes)
    process.send_signal(signal.SIGINT)
    done = launched.end()
    assert done.code == 130, done.stderr
    assert {name: report["status"] for name, report in read(reports).items()} == {
        "node-a": "partial",
        "node-b": "partial",
    }
    for path in reports.glob("edgebench-*.json"):
        path.unlink()
    short = launcher(LONG)
    process = short.start()
    until_measuring(*swarm.nodes)
    process.kill()
    process.communicate()
    again = short.run("--resume")
    assert again.code == 0, again.stderr
    assert again.stderr.count("going on with what an earlier launcher started") == 2
    assert {report["status"] for report in read(reports).values()} == {"complete"}


def test_a_node_whose_container_dies_or_whose_disk_is_full_is_told_and_the_other_goes_on(
    swarm: SwarmOfTwo, launcher: Callable[..., Launcher], reports: Path, tmp_path: Path
) -> None:
    launched = launcher(LONG)
    launched.start()
    _, container = until_measuring(*swarm.nodes)
    swarm.worker.docker("kill", container)
    done = launched.end()
    assert done.code == 1, done.stderr
    assert "edgebench: node-b: the container was killed from outside: go on with --resume" in done.stderr
    assert set(read(reports)) == {"node-a"}
    for path in reports.glob("edgebench-*.json"):
        path.unlink()
    caches = {node.name: tmp_path / f"cache-{node.name}" for node in swarm.nodes}
    for path in caches.values():
        path.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", caches["node-b"])
    try:
        (caches["node-b"] / "full").write_bytes(bytes(64 * 1024))
        full = launcher(SHORT).run("--cache", tmp_path / "cache-{board}")
    finally:
        run("umount", caches["node-b"])
    assert full.code != 0
    assert "node-b: edgebench: " in full.stderr
    assert "space" in full.stderr or "disk" in full.stderr
    assert set(read(reports)) == {"node-a"}
