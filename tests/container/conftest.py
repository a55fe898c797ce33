"""A real engine and real images: these tests fail, and never skip, where one of them is missing."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.session.conftest import Edgebench, Outcome
from tests.simulators import powercap as simulator

IMAGE = os.environ.get("EDGEBENCH_TEST_IMAGE", "edgebench-n150")
LABEL = "org.edgebench.launch"

# A benchmark that needs no model and no data, so that a container takes seconds.
TINY = """
name = "tiny"
idle_s = 1.0
[measure]
processes = 2
warmup_passes = 5
passes = 20
values = 5
energy_window_s = 0.4
[[benchmark]]
kind = "operator"
operator = ["copy-cache"]
backend = ["openvino"]
precision = ["fp32"]
"""


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=120).stdout.strip()


def ours() -> list[str]:
    """Containers of the launcher that still exist."""
    return docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}").split()


@pytest.fixture(scope="session")
def engine() -> None:
    assert shutil.which("docker"), "the program docker is not installed"
    assert docker("image", "inspect", "--format", "{{.Id}}", IMAGE), f"there is no image {IMAGE}"
    assert ours() == [], "a launcher runs on this engine already"


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"edgebench-test-{secrets.token_hex(4)}"
    yield name
    assert ours() == [], "a container was left behind"
    made = docker("volume", "ls", "--quiet", "--filter", f"name={name}").split()
    subprocess.run(["docker", "volume", "rm", "--force", name, *made], capture_output=True, check=True)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("EDGEBENCH_")}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edgebench", *map(str, arguments)]


@pytest.fixture
def edgebench(environment: dict[str, str], volume: str) -> Edgebench:
    """Run the command line as a user does; no traceback may ever be seen."""

    def run(*arguments: object, **extra: str) -> Outcome:
        cache = ["--cache", volume] if arguments[0] == "run" and "--cache" not in arguments else []
        image = ["--image", IMAGE] if arguments[0] == "run" and "--image" not in arguments else []
        done = subprocess.run(
            command(*arguments, *cache, *image),
            capture_output=True,
            text=True,
            env={**environment, **extra},
            check=False,
            timeout=500,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture
def seven_watts(tmp_path: Path) -> Iterator[Path]:
    """A live powercap tree at 7 W whose counter wraps every 2.9 seconds."""
    assert simulator.unavailable() is None, simulator.unavailable()
    mount = tmp_path / "sys"
    with simulator.powercap(mount, simulator.Options(power=7.0, range=20.0)) as tree:
        yield tree.root


@dataclass(frozen=True, slots=True)
class Sshd:
    """An ssh server of our own on loopback; `home` holds a key that it takes and knows its host key."""

    url: str
    home: Path


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    # What the engine's client is told here, it is told there.
    told = {name: os.environ[name] for name in ("DOCKER_API_VERSION", "DOCKER_HOST") if name in os.environ}
    with sshd(tmp_path_factory.mktemp("sshd"), told) as found:
        yield found


@contextmanager
def sshd(folder: Path, told: Mapping[str, str]) -> Iterator[Sshd]:
    """An ssh server on loopback, whose programs have the variables that are told."""
    home = folder / "home"
    ssh = home / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    for key in (folder / "host", ssh / "id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    shutil.copy(ssh / "id_ed25519.pub", folder / "authorized_keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert server, "openssh-server is not installed"
    Path("/run/sshd").mkdir(exist_ok=True)
    options = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "MaxStartups": "200",
        "MaxSessions": "50",
    }
    if told:
        options["SetEnv"] = " ".join(f"{name}={value}" for name, value in told.items())
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    process = subprocess.Popen([server, "-D", "-e", "-f", "/dev/null", *words], stderr=subprocess.DEVNULL)
    try:
        scanned = ""
        for _ in range(100):
            scanned = subprocess.run(
                ["ssh-keyscan", "-p", str(port), "127.0.0.1"], capture_output=True, text=True, check=False
            ).stdout
            if scanned:
                break
            time.sleep(0.1)
        assert scanned, "sshd does not answer"
        (ssh / "known_hosts").write_text(scanned, encoding="utf-8")
        yield Sshd(f"ssh://root@127.0.0.1:{port}", home)
    finally:
        process.terminate()
        process.wait(10)
