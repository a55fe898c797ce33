"""`edgebench run` against a real engine: what a container gets, what comes back, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.container.conftest import IMAGE, TINY, Sshd, command, docker, ours
from tests.session.conftest import Edgebench
from tests.simulators.board import board as simulated_board
from tests.simulators.meters.bench import Wave
from tests.simulators.meters.devices import DEVICES

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.container, pytest.mark.quiet, pytest.mark.usefixtures("engine")]


def running(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The engine's view of the suite's container, once it measures."""
    for _ in range(600):
        assert process.poll() is None, process.communicate()[1]
        for name in ours():
            asked = subprocess.run(["docker", "inspect", name], capture_output=True, text=True, check=False)
            if asked.returncode:
                continue  # it comes or goes just now
            found: dict[str, Any] = json.loads(asked.stdout)[0]
            if found["Path"] == "edgebench" and "suite" in found["Args"] and "measure" in docker_logs(name):
                return found
        time.sleep(0.2)
    raise AssertionError("the container never measured")


def docker_logs(name: str) -> str:
    return subprocess.run(["docker", "logs", name], capture_output=True, text=True, check=False).stderr


@contextlib.contextmanager
def started(environment: dict[str, str], *arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(*arguments), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)


def test_joules_of_the_host_are_right_in_a_container_that_has_hardly_any_right(
    edgebench: Edgebench, tiny: Path, seven_watts: Path
) -> None:
    done = edgebench("run", "n150", tiny, "--sysfs", seven_watts)
    assert done.code == 0, done.stderr
    assert "energy: rapl" in done.stderr
    report = done.report
    assert report["status"] == "complete"
    assert report["image"]["name"] == IMAGE
    assert report["image"]["digest"] == docker("image", "inspect", "--format", "{{.Id}}", IMAGE)
    cell = report["benchmarks"][0]["metrics"]
    assert cell["power_w"]["mean"] == pytest.approx(7.0, rel=0.02)
    for joules, seconds in zip(cell["energy_gross_j"]["runs"], cell["energy_gross_j"]["pass_s"], strict=True):
        assert joules[0] == pytest.approx(7.0 * seconds[0], rel=0.03)


def test_ctrl_c_brings_the_partial_report_and_the_container_had_least_rights(
    environment: dict[str, str], tiny: Path, volume: str, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    words = ("run", "n150", tiny, "--processes", "50", "--image", IMAGE, "--cache", volume, "-o", target, "--cpus", "1")
    with started(environment, *words, "--memory", "2g") as process:
        found = running(process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert json.loads(target.read_text(encoding="utf-8"))["status"] == "partial"
    assert ours() == []
    host = found["HostConfig"]
    assert not host["Privileged"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["ReadonlyRootfs"]
    assert host["NetworkMode"] == "none"
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Init"]
    assert not host["Devices"]
    assert found["Config"]["Healthcheck"]["Test"] == ["NONE"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (10**9, 2 * 2**30, 2 * 2**30)
    # The same command goes on where it was stopped.
    with started(environment, *words, "--memory", "2g", "--resume") as again:
        running(again)
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=60)
    report = json.loads(target.read_text(encoding="utf-8"))
    assert again.returncode == 130
    assert len(report["benchmarks"]) == 1


def test_a_container_killed_half_way_is_told_in_a_sentence_and_resumed_from_its_volume(
    environment: dict[str, str], edgebench: Edgebench, tiny: Path, volume: str
) -> None:
    words = ("run", "n150", tiny, "--processes", "4", "--image", IMAGE, "--cache", volume)
    with started(environment, *words) as process:
        docker("kill", running(process)["Id"])
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.splitlines()[-1] == (
        "edgebench: this machine: the container was killed from outside: go on with --resume"
    )
    done = edgebench(*words, "--resume")
    assert done.code == 0, done.stderr
    assert done.report["status"] == "complete"
    assert done.report["session"]["resumed"] is True


def test_a_container_out_of_memory_is_told_in_a_sentence(edgebench: Edgebench, tiny: Path) -> None:
    done = edgebench("run", "n150", tiny, "--memory", "24m")
    assert done.code == 1
    assert "killed for lack of memory: give it more than --memory 24m" in done.stderr.splitlines()[-1]


def test_the_printed_line_works_when_pasted(edgebench: Edgebench, tiny: Path, seven_watts: Path) -> None:
    shown = edgebench("run", "n150", tiny, "--sysfs", seven_watts, "--print")
    assert shown.code == 0, shown.stderr
    assert shown.stdout.startswith("docker run --rm --init --no-healthcheck --read-only ")
    assert "--privileged" not in shown.stdout
    pasted = subprocess.run(["sh", "-c", shown.stdout], capture_output=True, text=True, check=False, timeout=200)
    assert pasted.returncode == 0, pasted.stderr
    report = json.loads(pasted.stdout)
    assert report["benchmarks"][0]["metrics"]["power_w"]["mean"] == pytest.approx(7.0, rel=0.02)


def test_a_meter_on_a_pty_is_read_in_the_container(edgebench: Edgebench, tiny: Path) -> None:
    with DEVICES["shizuku"](Wave(5.0, 5.0, 1.0)) as meter:
        done = edgebench("run", "n150", tiny, "--probe", f"shizuku:{meter.path}")
    assert done.code == 0, done.stderr
    metrics = done.report["benchmarks"][0]["metrics"]
    assert metrics["power_w"]["mean"] == pytest.approx(5.0, rel=0.02)
    assert metrics["power_w"]["probe"] == "shizuku"


def test_the_monitor_of_a_jetson_is_read_in_the_container(edgebench: Edgebench, tiny: Path, tmp_path: Path) -> None:
    with simulated_board(tmp_path / "sys", "orin-nx", 5.0):
        words = ("run", "jetson", tiny, "--sysfs", tmp_path / "sys", "--image", IMAGE)
        done = edgebench(*words, EDGEBENCH_BOARD="NVIDIA Jetson Orin NX")
    assert done.code == 0, done.stderr
    assert "energy: ina3221" in done.stderr
    assert done.report["platform"] == "jetson"
    power = done.report["benchmarks"][0]["metrics"]["power_w"]
    assert (power["probe"], power["scope"]) == ("ina3221", "module")
    assert power["mean"] == pytest.approx(5.0, rel=0.02)


def test_two_names_of_one_board_never_measure_each_other_and_one_that_is_not_there_stops_none(
    edgebench: Edgebench, tiny: Path, board: Sshd, volume: str, tmp_path: Path
) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    hosts = (board.url, "unix:///var/run/docker.sock", "ssh://root@127.0.0.1:1")
    words = [word for host in hosts for word in ("--host", host)]
    cache = f"{volume}-{{board}}"
    done = edgebench("run", "n150", tiny, *words, "-o", reports, "--cache", cache, HOME=str(board.home))
    assert done.code == 2, done.stderr
    assert "ssh://root@127.0.0.1:1: nothing answers ssh there" in done.stderr
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(reports.glob("edgebench-tiny-*.json"))]
    # The second finds the board taken, or measures after the first has ended.
    assert {report["status"] for report in found} == {"complete"}, done.stderr
    assert len(found) + done.stderr.count("another session measures on this board") == 2, done.stderr
    assert "are one engine: sessions on one board refuse each other" in done.stderr


def test_a_board_over_ssh_gives_energy_and_takes_files_of_this_machine(
    edgebench: Edgebench, tiny: Path, board: Sshd, seven_watts: Path
) -> None:
    tiny.write_text(TINY.replace('"tiny"', '"mine"'), encoding="utf-8")
    done = edgebench("run", "n150", tiny, "--host", board.url, "--sysfs", seven_watts, HOME=str(board.home))
    assert done.code == 0, done.stderr
    assert done.report["suite"]["name"] == "mine"
    assert done.report["benchmarks"][0]["metrics"]["power_w"]["mean"] == pytest.approx(7.0, rel=0.02)


@contextlib.contextmanager
def served(token: Path, watts: float) -> Iterator[str]:
    """Serve a meter of constant power to who has the token; give its address."""
    words = ("--token-file", str(token), "--low", str(watts), "--high", str(watts))
    command = [sys.executable, "-m", "tests.simulators.meters.serving", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_a_meters_token_reaches_a_board_over_ssh_and_is_seen_nowhere(
    environment: dict[str, str], tiny: Path, board: Sshd, volume: str, tmp_path: Path
) -> None:
    """The bench file names a token that only this machine has."""
    secret, reports = secrets.token_urlsafe(24), tmp_path / "reports"
    reports.mkdir()
    token, bench = tmp_path / "token", tmp_path / "boards.toml"
    token.touch(0o600)
    token.write_text(f"{secret}\n", encoding="utf-8")
    with served(token, 5.0) as address:
        meter = f"tcp://{address}?token_file={token}"
        bench.write_text(
            f'[board.n150-a]\naddress = "{board.url}"\nplatform = "n150"\nmeters = ["{meter}"]\n', encoding="utf-8"
        )
        words = ("run", "n150", tiny, "--board", "n150-a", "--boards", bench, "--image", IMAGE, "--cache", volume)
        with started({**environment, "HOME": str(board.home)}, *words, "-o", reports) as process:
            seen = running(process)
            owned = docker("exec", seen["Id"], "stat", "--format=%a %U", "/input/probe-0/token")
            stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    assert owned == "400 root"
    (name,) = (mount["Name"] for mount in seen["Mounts"] if mount["Destination"] == "/input")
    assert name not in docker("volume", "ls", "--quiet").split(), "it is gone with the container"
    (report,) = (json.loads(path.read_text(encoding="utf-8")) for path in reports.glob("edgebench-*.json"))
    assert report["benchmarks"][0]["metrics"]["power_w"]["mean"] == pytest.approx(5.0, rel=0.02)
    assert secret not in json.dumps([seen, report]) + stdout + stderr


def test_a_host_key_that_nobody_accepted_is_told_with_the_command(
    edgebench: Edgebench, tiny: Path, board: Sshd, tmp_path: Path
) -> None:
    done = edgebench("run", "n150", tiny, "--host", board.url, HOME=str(tmp_path))
    assert done.code == 2
    assert "host key is not known here: run `ssh -p" in done.stderr
    (tmp_path / ".ssh").mkdir()
    known = (board.home / ".ssh" / "known_hosts").read_text(encoding="utf-8")
    (tmp_path / ".ssh" / "known_hosts").write_text(known, encoding="utf-8")
    done = edgebench("run", "n150", tiny, "--host", board.url, HOME=str(tmp_path))
    assert done.code == 2
    assert "the board refuses this user: give it your key with `ssh-copy-id" in done.stderr


def test_an_image_is_built_with_secrets_that_end_in_no_layer_and_is_listed(
    edgebench: Edgebench, tmp_path: Path
) -> None:
    containers = tmp_path / "containers" / "n150"
    containers.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    (containers / "Dockerfile").write_text(
        'ARG BASE_IMAGE=none\nFROM ${BASE_IMAGE}\nARG VERSION="" WORD=""\n'
        'LABEL org.opencontainers.image.version="${VERSION}"\n'
        "RUN --mount=type=secret,id=pip_conf grep -q secret-place /run/secrets/pip_conf && echo ${WORD} > /tmp/word\n",
        encoding="utf-8",
    )
    tag = "edgebench-test-built"
    words = ("image", "build", "n150", "--base", IMAGE, "--tag", tag, "--source", tmp_path, "--build-arg", "WORD=x")
    # pip, which would tell it, has no index here.
    version = ("--build-arg", "VERSION=9.8.7")
    try:
        done = edgebench(*words, *version, PIP_INDEX_URL="https://user:word@secret-place.invalid/simple")
        assert done.code == 0, done.stderr
        assert "user:word" not in docker("history", "--no-trunc", tag)
        listed = edgebench("image", "list")
        row = next(line for line in listed.stdout.splitlines() if f"{tag}:latest" in line)
        assert "9.8.7" in row
        assert "differs: this is" in row
    finally:
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, check=False)


def test_an_image_of_another_version_is_a_warning_and_one_of_newer_reports_is_refused(
    edgebench: Edgebench, tiny: Path, tmp_path: Path
) -> None:
    tag = "edgebench-test-newer"
    labels = {"org.opencontainers.image.version": "9.0.0"}
    images = DockerClient.from_env().images  # whichever docker is the first on the path may want a plug-in to build
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\n", encoding="utf-8")
    try:
        images.build(path=str(tmp_path), tag=tag, labels=labels)
        done = edgebench("run", "n150", tiny, "--image", tag)
        assert done.code == 0, done.stderr
        assert f"the image {tag} holds edgebench 9.0.0, this is" in done.stderr
        images.build(path=str(tmp_path), tag=tag, labels={**labels, "org.edgebench.report": "2"})
        refused = edgebench("run", "n150", tiny, "--image", tag)
        assert refused.code == 2
        assert "writes reports of the schema edgebench.report/2" in refused.stderr
    finally:
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, check=False)


def test_a_missing_image_is_built_when_a_person_says_so(
    environment: dict[str, str], volume: str, tiny: Path, tmp_path: Path
) -> None:
    """On a terminal, from the source tree of the working folder; whoever says no is told what is missing."""
    containers = tmp_path / "containers" / "n150"
    containers.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "9.8.7"\n', encoding="utf-8")
    text = f'FROM {IMAGE}\nARG VERSION="" REVISION=""\nRUN echo built > /tmp/built\n'
    (containers / "Dockerfile").write_text(text, encoding="utf-8")
    tag = f"edgebench-test-offered:{volume[-8:]}"
    words = command("run", "n150", tiny, "--image", tag, "--cache", volume, "--dry-run")
    for answer, code, said in (("n", 2, f"there is no image {tag} on this machine: build it"), ("y", 0, "")):
        main, side = pty.openpty()
        try:
            os.write(main, f"{answer}\n".encode())
            done = subprocess.run(
                words, stdin=side, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
            )
        finally:
            os.close(main)
            os.close(side)
        assert f"build it from {tmp_path} now" in done.stderr + done.stdout
        assert done.returncode == code, done.stderr
        assert said in done.stderr
    docker("image", "rm", tag)
