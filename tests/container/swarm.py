"""A swarm of two real engines, each in a network namespace of its own that a cable joins; started and ended here."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.container.conftest import IMAGE

NAMES = ("node-a", "node-b")
# What a benchmark of memory copies never loads: the nodes hold the image without it.
HEAVY = (
    "torch",
    "torchvision",
    "torchao",
    "nncf",
    "onnx",
    "onnxscript",
    "sklearn",
    "ai_edge_litert",
    "ai_edge_quantizer",
)


def run(*words: object, check: bool = True, timeout_s: float = 120) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=timeout_s)
    assert not check or done.returncode == 0, f"{words}: {done.stderr[-1000:]}"
    return done.stdout.strip()


@dataclass
class Node:
    """An engine of its own: `cut` and `mend` pull its cable and put it back."""

    name: str
    folder: Path
    address: str
    link: str
    netns: str
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/sock"

    def docker(self, *words: object, check: bool = True) -> str:
        return run("docker", "-H", self.url, *words, check=check)

    def start(self) -> None:
        """Start the engine, and wait until it answers."""
        program = (
            f"hostname {self.name}; exec dockerd --data-root {self.folder}/data --exec-root {self.folder}/exec "
            f"--pidfile {self.folder}/pid -H {self.url}"
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.netns}", "unshare", "--uts", "sh", "-c", program],
                stdout=log,
                stderr=log,
            )
        for _ in range(300):
            if subprocess.run(["docker", "-H", self.url, "info"], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text(encoding="utf-8")[-2000:])

    def end(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def cut(self) -> None:
        run("ip", "-n", self.netns, "link", "set", self.link, "down")

    def mend(self) -> None:
        run("ip", "-n", self.netns, "link", "set", self.link, "up")

    def measuring(self) -> str | None:
        """The container that measures here."""
        for container in self.docker("ps", "--quiet").split():
            log = subprocess.run(["docker", "-H", self.url, "logs", container], capture_output=True, check=False).stdout
            if b"measure: " in log:
                return container
        return None


@dataclass
class SwarmOfTwo:
    manager: Node
    worker: Node

    @property
    def nodes(self) -> tuple[Node, Node]:
        return self.manager, self.worker

    def services(self) -> list[str]:
        return self.manager.docker("service", "ls", "--quiet").split()

    def configs(self) -> list[str]:
        return self.manager.docker("config", "ls", "--quiet").split()


@contextmanager
def swarm_of_two(folder: Path) -> Iterator[SwarmOfTwo]:
    """Two engines that hold the image, joined to a swarm."""
    mark = secrets.token_hex(3)
    nodes = [
        Node(name, folder / name, f"10.231.9.{number}", f"eb{mark}{number}", f"edgebench-{mark}-{number}")
        for number, name in enumerate(NAMES, start=1)
    ]
    with ExitStack() as stack:
        for node in nodes:
            node.folder.mkdir()
            # In memory: gone at once in the end, where removing an engine's folder can take a minute.
            run("mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", node.folder)
            stack.callback(_remove, node)
            run("ip", "netns", "add", node.netns)
            stack.callback(run, "ip", "netns", "delete", node.netns, check=False)
        first, second = nodes
        run(
            "ip",
            "link",
            "add",
            first.link,
            "netns",
            first.netns,
            "type",
            "veth",
            "peer",
            "name",
            second.link,
            "netns",
            second.netns,
        )
        for node in nodes:
            run("ip", "-n", node.netns, "address", "add", f"{node.address}/24", "dev", node.link)
            run("ip", "-n", node.netns, "link", "set", "lo", "up")
            node.mend()
        rootfs = folder / "rootfs.tar"
        _export(rootfs)
        for node in nodes:
            node.start()
            _import(node, rootfs)
        rootfs.unlink()
        first.docker("swarm", "init", "--advertise-addr", first.address)
        second.docker(
            "swarm", "join", "--token", first.docker("swarm", "join-token", "-q", "worker"), f"{first.address}:2377"
        )
        yield SwarmOfTwo(first, second)


def _export(target: Path) -> None:
    """Write the image's files but for the heavy ones."""
    excluded = [f"--exclude=opt/edgebench/lib/{name}*" for name in HEAVY]
    words = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "tar", IMAGE, "-C", "/", *excluded]
    with target.open("wb") as file:
        subprocess.run(
            [*words, "-cf", "-", "bin", "sbin", "lib", "lib64", "usr", "etc", "opt", "cache"], stdout=file, check=True
        )


def _import(node: Node, rootfs: Path) -> None:
    config = json.loads(run("docker", "image", "inspect", "--format", "{{json .Config}}", IMAGE))
    changes = [f"ENV {' '.join(config['Env'])}", 'ENTRYPOINT ["edgebench"]']
    changes += [f"LABEL {name}={json.dumps(value)}" for name, value in (config["Labels"] or {}).items()]
    node.docker("import", *(word for change in changes for word in ("--change", change)), rootfs, IMAGE)


def _remove(node: Node) -> None:
    with suppress(AssertionError, subprocess.TimeoutExpired):
        node.docker("swarm", "leave", "--force", check=False)
    node.end()
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    for path in sorted((path for path in mounted if path.startswith(str(node.folder))), reverse=True):
        run("umount", "--lazy", path, check=False)
