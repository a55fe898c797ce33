"""Kubernetes' jobs that run a suite once on a node of each class, as manifests. Pure: nothing here asks a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebench.errors import UsageError
from edgebench.launch.engine import INSTALL
from edgebench.launch.order import CACHE, Input, Order
from edgebench.launch.profile import EnergyGrant
from edgebench.launch.rights import HOST_SYS, INPUT, MACHINE_ID, parse
from edgebench.launch.service import CONFIG_BYTES

REPORTS = "/reports"
HOST_CACHE = "/var/lib/edgebench"
_UNITS = {"b": "", "k": "Ki", "m": "Mi", "g": "Gi"}


@dataclass(frozen=True, slots=True)
class Manifests:
    """The documents to apply, and what is to be said of them (what a pod cannot have, what else to do)."""

    documents: tuple[dict[str, Any], ...]
    remarks: tuple[str, ...]


def manifests(order: Order, labels: Sequence[str], claim: str | None) -> Manifests:
    """Return a job for each class of nodes (a label each; without any, all of the platform's architecture).

    The report goes to the claim, or to the pod's log. Raises UsageError for what no pod can be given.
    """
    _check(order)
    remarks: list[str] = []
    energy = None if order.specs else _energy(order, remarks)
    files = [given for given in order.inputs if not given.folder]
    name = f"edgebench-{_word(order.suite)}"
    documents: list[dict[str, Any]] = []
    if files:
        data = {_key(given.target): Path(given.source).read_text(encoding="utf-8") for given in files}
        documents.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
    for label in labels or [""]:
        key, _, value = label.partition("=")
        selector = {"kubernetes.io/arch": order.profile.architecture} | ({key: value} if label else {})
        suffix = _word(value or key or order.profile.platform)
        pod = _pod(order, selector, energy, name, claim)
        documents.append(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {
                    "name": f"{name}-{suffix}"[:63].rstrip("-"),
                    "labels": {"app.kubernetes.io/name": "edgebench", "org.edgebench.board": suffix},
                },
                # A second try would measure a node that the first one warmed; --resume is asked for by a person.
                "spec": {"backoffLimit": 0, "completions": 1, "parallelism": 1, "template": pod},
            }
        )
    return Manifests(tuple(documents), tuple(remarks))


def text(found: Manifests) -> str:
    """Return the manifests as YAML. Raises UsageError where the package that writes it is missing."""
    try:
        import yaml
    except ImportError:
        raise UsageError("the package pyyaml, which writes manifests, is not installed: " + INSTALL) from None
    head = "".join(f"# {remark}\n" for remark in found.remarks)
    return head + str(yaml.safe_dump_all(found.documents, sort_keys=False, allow_unicode=True, width=120))


def _check(order: Order) -> None:
    if order.limits.cpuset is not None:
        raise UsageError(
            "--cpuset-cpus: a pod names no processors: use --cpus (whole ones are exclusive where the "
            "kubelet's CPU manager is static)"
        )
    if order.user is not None and not re.fullmatch(r"\d+(:\d+)?", order.user):
        raise UsageError(f"--user {order.user}: a pod takes numbers: write it as UID[:GID]")
    for spec in map(parse, order.specs):
        if spec.address and spec.address.startswith("/dev/"):
            raise UsageError(
                f"--probe {spec.name}:{spec.address}: a pod without privileges is given no device: serve the meter "
                "with `edgebench probes serve` and give --probe tcp://HOST:PORT"
            )
    for given in order.inputs:
        if not given.folder:
            content = Path(given.source).read_bytes()
            if len(content) > CONFIG_BYTES or b"\0" in content:
                raise UsageError(
                    f"--{given.option} {given.source}: a manifest carries text of {CONFIG_BYTES // 1024} KiB at most: "
                    "put a bundle's folder on the nodes (--bundle)"
                )


def _energy(order: Order, remarks: list[str]) -> EnergyGrant | None:
    """Return the way to energy that a pod can have: one whose files are bound before one that needs a capability."""
    able = [way for way in order.profile.energy if not way.devices and way.runtime is None]
    remarks += [
        f"no energy by {way.probe}: a pod without privileges is given no device ({', '.join(way.devices)}); "
        "serve it with `edgebench probes serve` and give --probe tcp://HOST:PORT"
        for way in order.profile.energy
        if way not in able
    ]
    able.sort(key=lambda way: (len(way.capabilities), not way.mounts))
    return able[0] if able else None


@dataclass(slots=True)
class _Seen:
    """What the pod's container sees of the node, of the manifest and of a claim."""

    volumes: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, source: dict[str, Any], target: str, *, writable: bool = False) -> None:
        """Mount a volume."""
        self.volumes.append({"name": name, **source})
        self.mounts.append({"name": name, "mountPath": target, **({} if writable else {"readOnly": True})})

    def add_files(self, config: str, files: Sequence[Input]) -> None:
        """Mount files of a config map, each at its place."""
        if files:
            self.volumes.append({"name": "input", "configMap": {"name": config}})
        for given in files:
            key = _key(given.target)
            self.mounts.append({"name": "input", "mountPath": given.target, "subPath": key, "readOnly": True})


def _pod(
    order: Order, selector: Mapping[str, str], energy: EnergyGrant | None, config: str, claim: str | None
) -> dict[str, Any]:
    seen = _Seen()
    seen.add("cache", {"hostPath": {"path": HOST_CACHE, "type": "DirectoryOrCreate"}}, CACHE, writable=True)
    seen.add("tmp", {"emptyDir": {"medium": "Memory"}}, "/tmp", writable=True)  # noqa: S108  # in a container
    # The folder is the node's, so that its lock is: two pods on one node would measure each other.
    environment = {**order.profile.environment, "EDGEBENCH_CACHE": CACHE, "EDGEBENCH_LOCK": CACHE}
    if order.commit:
        environment["EDGEBENCH_COMMIT"] = order.commit
    environment["EDGEBENCH_MACHINE_ID"] = f"/host{MACHINE_ID}"
    seen.add("machine-id", {"hostPath": {"path": MACHINE_ID, "type": "File"}}, f"/host{MACHINE_ID}")
    for index, path in enumerate(energy.mounts if energy is not None else ()):
        counter = path.startswith("/sys/")
        target = HOST_SYS + path.removeprefix("/sys") if counter else path
        seen.add(f"counter-{index}", {"hostPath": {"path": path, "type": "Directory" if counter else ""}}, target)
        environment |= {"EDGEBENCH_SYSFS": HOST_SYS} if counter else {}
    environment |= energy.environment if energy is not None else {}
    seen.add_files(config, [given for given in order.inputs if not given.folder])
    for index, given in enumerate(one for one in order.inputs if one.folder):
        seen.add(f"folder-{index}", {"hostPath": {"path": given.source, "type": "Directory"}}, given.target)
    words = list(order.arguments)
    if claim is None:
        environment["EDGEBENCH_SUMMARY"] = "no"  # the log ends with the report
    else:
        seen.add("reports", {"persistentVolumeClaim": {"claimName": claim}}, REPORTS, writable=True)
        words[-1] = f"{REPORTS}/edgebench-{_word(order.suite)}-$(NODE).json"
    words += [word for spec in order.specs for word in ("--probe", spec)]
    added = {"add": list(energy.capabilities)} if energy is not None and energy.capabilities else {}
    container: dict[str, Any] = {
        "name": "edgebench",
        "image": order.image,
        "args": ["suite", *words],
        "env": [
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            *({"name": key, "value": value} for key, value in environment.items()),
        ],
        "resources": _resources(order),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], **added},
            **_user(order.user),
        },
        "volumeMounts": seen.mounts,
    }
    ours = {"app.kubernetes.io/name": "edgebench"}
    apart = {"labelSelector": {"matchLabels": ours}, "topologyKey": "kubernetes.io/hostname"}
    return {
        "metadata": {"labels": ours},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "nodeSelector": dict(selector),
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
            "containers": [container],
            "volumes": seen.volumes,
        },
    }


def _resources(order: Order) -> dict[str, Any]:
    """Return requests equal to limits: a pod of the class that is throttled and evicted last."""
    limits = order.limits
    amounts = {}
    if limits.cpus is not None:
        amounts["cpu"] = f"{limits.cpus:g}"
    if limits.memory is not None:
        number, unit = (limits.memory[:-1], limits.memory[-1]) if limits.memory[-1] in _UNITS else (limits.memory, "b")
        amounts["memory"] = f"{number}{_UNITS[unit]}"
    return {"requests": amounts, "limits": amounts} if amounts else {"requests": {"cpu": "1", "memory": "1Gi"}}


def _user(user: str | None) -> dict[str, int]:
    if user is None:
        return {"runAsUser": 0}
    uid, _, gid = user.partition(":")
    return {"runAsUser": int(uid), **({"runAsGroup": int(gid)} if gid else {})}


def _key(target: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", target.removeprefix(f"{INPUT}/"))


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "any"
