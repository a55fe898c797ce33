"""A container as a service of a swarm that runs once on one node, and what a service cannot have. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgebench.errors import ContainerError, UsageError
from edgebench.launch import node as program
from edgebench.launch.container import LABEL, Settings
from edgebench.launch.order import Order
from edgebench.launch.rights import Bind, Rights, Way, parse

OUTBOX = "outbox"  # in the cache: what commands wrote, until it has arrived
STOP_NS = 20 * 10**9  # as a container's that is asked to end
# The engine keeps files for services in its own store, which every manager copies.
CONFIG_BYTES = 500 * 1024
INSTEAD = "serve it there with `edgebench probes serve` and give --probe tcp://HOST:PORT, or use --host ssh://"


@dataclass(frozen=True, slots=True)
class Given:
    """A file of this machine that a service sees at `target`; `name` is its content's in the swarm."""

    name: str
    identity: str
    target: str


def check_order(order: Order) -> None:
    """Raise UsageError for what no service can be given, before anything starts."""
    if order.limits.cpuset is not None:
        raise UsageError("--cpuset-cpus: a service cannot be pinned to processors: use --cpus, or --host ssh://")
    for spec in map(parse, order.specs):
        if spec.address and spec.address.startswith("/dev/"):
            raise UsageError(f"--probe {spec.name}:{spec.address}: a service is given no device: {INSTEAD}")
    for given in order.inputs:
        if not given.folder and (size := Path(given.source).stat().st_size) > CONFIG_BYTES:
            raise UsageError(
                f"--{given.option} {given.source}: {size // 1024} KiB are more than the {CONFIG_BYTES // 1024} that a "
                "service takes: put a bundle's folder on the nodes (--bundle), or use --host ssh://"
            )


def without_devices(rights: Rights) -> tuple[Rights, str | None]:
    """Return the rights that a service can have, and what is said of those it cannot."""
    lost = [f"the device {device}" for device in rights.devices]
    lost += [f"the runtime {rights.runtime}"] if rights.runtime else []
    kept = replace(rights, devices=(), runtime=None)
    return kept, f"a service is given no device ({', '.join(lost)}): {INSTEAD}" if lost else None


def possible(way: Way) -> bool:
    """Whether a service can have what a way to energy needs."""
    return not way.rights.devices and way.rights.runtime is None


def request(command: Sequence[str] | None, keep: str, parts: Sequence[int] | None = None) -> str:
    """Return what `node` is asked: to run a command, or to send again what an earlier one wrote."""
    return json.dumps({"command": command, "keep": keep, "parts": parts})


def task_template(settings: Settings, asked: str, node: str, title: str, given: Sequence[Given] = ()) -> dict[str, Any]:
    """Return what a service that runs once on one node is made from, in the words of the engine's API."""
    rights, limits = settings.rights, settings.limits
    variables = {name: os.environ.get(name) if value is None else value for name, value in rights.environment.items()}
    variables |= dict(settings.environment)
    scratch = {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"Mode": 0o1777}}  # noqa: S108  # in a container
    container = {
        "Image": settings.image,
        "Command": ["python3", "-c", Path(program.__file__).read_text(encoding="utf-8"), asked],
        "Env": [f"{name}={value}" for name, value in variables.items() if value is not None],
        "Labels": {LABEL: title},
        "User": settings.user,
        "Groups": list(map(str, rights.groups)),
        "ReadOnly": True,
        "Init": True,
        "CapabilityDrop": ["ALL"],
        "CapabilityAdd": [f"CAP_{name}" for name in rights.capabilities],
        "Privileges": {"NoNewPrivileges": True},  # engines before 25 leave it alone
        "Mounts": [scratch, *map(_mount, settings.all_binds())],
        "Configs": [_config(one) for one in given],
        "StopGracePeriod": STOP_NS,
        "Healthcheck": {"Test": ["NONE"]},
    }
    limited = {
        "NanoCPUs": None if limits.cpus is None else round(limits.cpus * 1e9),
        "MemoryBytes": None if limits.memory is None else _bytes(limits.memory),
    }
    network = {"host": "host"}.get(rights.network, "bridge")  # a swarm knows no network "none"
    return {
        "ContainerSpec": {name: value for name, value in container.items() if value is not None},
        "Resources": {"Limits": {name: value for name, value in limited.items() if value is not None}},
        "RestartPolicy": {"Condition": "none"},
        "Placement": {"Constraints": [f"node.id=={node}"]},
        "LogDriver": {"Name": "json-file"},
        "Networks": [{"Target": network}],
    }


def fits(node: Mapping[str, Any], architecture: str, labels: Sequence[str]) -> bool:
    """Whether a node is of an architecture and has every label (``KEY`` or ``KEY=VALUE``)."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    found = str(node["Description"]["Platform"]["Architecture"])
    have = {**(node["Description"].get("Engine", {}).get("Labels") or {}), **(node["Spec"].get("Labels") or {})}
    wanted = [label.partition("=") for label in labels]
    return machine.get(found, found) == architecture and all(
        key in have and (not sign or have[key] == value) for key, sign, value in wanted
    )


def _mount(bind: Bind) -> dict[str, Any]:
    kind = "volume" if bind.volume else "bind"
    return {"Type": kind, "Source": bind.source, "Target": bind.target, "ReadOnly": not bind.writable}


def _config(given: Given) -> dict[str, Any]:
    file = {"Name": given.target, "UID": "0", "GID": "0", "Mode": 0o444}
    return {"ConfigID": given.identity, "ConfigName": given.name, "File": file}


def _bytes(size: str) -> int:
    unit = {"k": 2**10, "m": 2**20, "g": 2**30}.get(size[-1])
    return int(size[:-1]) * unit if unit else int(size.rstrip("b"))


def why_rejected(message: str, image: str, where: str) -> ContainerError:
    """Return what a node says that could not start a container, as a sentence."""
    low = message.lower()
    if "no such image" in low or "pull access denied" in low or "manifest unknown" in low:
        return ContainerError(
            f"there is no image {image} on {where}: push it to a registry that the nodes reach, or send it there with "
            f"`docker save {image} | ssh NODE docker load`"
        )
    if "bind source path does not exist" in low:
        path = message.rpartition(":")[2].strip()
        return ContainerError(f"{where} has no {path}: folders that are named here must be on the node")
    if "no space left" in low:
        return ContainerError(f"the disk of {where} is full: free space there (`docker system df`), then use --resume")
    return ContainerError(f"{where} did not start the container ({message[:200]})")
