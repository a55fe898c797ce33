"""Images in a registry: pushed there, pulled back by digest, held to their release; and their full names here."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.engine import N150, PI, docker
from tests.session.conftest import Edgebench

pytestmark = pytest.mark.container

VERIFY = Path(__file__).parents[2] / ".ci" / "release" / "verify-image"
CONFIGURATION = """version: 0.1
storage: {{ filesystem: {{ rootdirectory: {folder} }} }}
http: {{ addr: "127.0.0.1:{port}" }}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on loopback; its address."""
    program = shutil.which("docker-registry")
    assert program, "docker-registry is not installed"
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config.yml").write_text(CONFIGURATION.format(folder=folder / "data", port=port), encoding="utf-8")
    server = subprocess.Popen([program, "serve", folder / "config.yml"])
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None, "the registry ended"
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="module")
def pushed(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The Pi's image with a layer that only the registry has: its name there, and its digest."""
    mark = tmp_path_factory.mktemp("pushed") / "mark"
    mark.write_text(secrets.token_hex(8), encoding="utf-8")
    name = f"{registry}/edgebench/edgebench-pi"
    container = docker("create", PI).stdout.strip()
    try:
        docker("cp", mark, f"{container}:/opt/edgebench/mark")
        docker("commit", container, f"{name}:1")
    finally:
        docker("rm", "--volumes", container)
    said = docker("push", f"{name}:1").stdout
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", said)
    assert digest, said
    docker("image", "rm", f"{name}:1")
    try:
        yield name, digest[1]
    finally:
        docker("image", "rm", f"{name}@{digest[1]}", check=False)


def verify(*words: str) -> tuple[int, str]:
    done = subprocess.run([VERIFY, *words], capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_an_image_comes_back_by_its_digest_and_is_held_to_its_release(pushed: tuple[str, str]) -> None:
    name, digest = pushed
    (found,) = json.loads(docker("image", "inspect", PI).stdout)
    version = found["Config"]["Labels"]["org.opencontainers.image.version"]
    assert verify(name, digest, version) == (0, f"{name}@{digest} is edgebench {version}, and it runs")
    assert f"{name}@{digest}" in docker("image", "inspect", f"{name}@{digest}").stdout
    assert verify(name, digest, "9.8.7") == (1, f"{name}@{digest} is not edgebench 9.8.7: its label says {version}")


def test_run_pulls_what_is_in_a_registry_and_says_what_is_not(edgebench: Edgebench, pushed: tuple[str, str]) -> None:
    name = f"{pushed[0]}:1"
    try:
        done = edgebench("run", "pi", "smoke", "--image", name, "--dry-run")
        assert done.code == 0, done.stderr
        assert f"pulling {name} to this machine" in done.stderr
    finally:
        docker("image", "rm", name, check=False)
    refused = edgebench("run", "pi", "smoke", "--image", f"{pushed[0]}:9", "--dry-run")
    assert refused.code == 2
    assert f"{pushed[0]}:9 cannot be pulled to this machine" in refused.stderr


def test_an_image_of_a_registry_is_listed_and_run_under_its_full_name(edgebench: Edgebench, tiny: Path) -> None:
    full = "ghcr.io/edgebench/edgebench-n150:0.0.0-test"
    docker("tag", N150, full)
    try:
        row = next(line for line in edgebench("image", "list").stdout.splitlines() if full in line)
        assert row.split()[0] == "n150"
        done = edgebench("run", "n150", tiny, "--image", full, "--dry-run")
        assert done.code == 0, done.stderr
    finally:
        docker("image", "rm", full)
