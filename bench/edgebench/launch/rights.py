"""From what a board has and what was asked for to what a container is given. Pure: nothing here looks or starts.

A container starts with nothing: no capability, no device, no network, a read-only root. Each right below is added for a
reason and by the smallest thing that gives it; "privileged" does not occur.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgebench.errors import ContainerError, UsageError
from edgebench_probes.base import ProbeError
from edgebench_probes.catalogue.names import resolved
from edgebench_probes.spec import Spec, parse_spec

if TYPE_CHECKING:
    from edgebench.launch.profile import Grant, Profile

INPUT = "/input"  # where a container finds the user's files
HOST_SYS = "/host/sys"  # where a container finds what is bound of the board's /sys
MACHINE_ID = "/etc/machine-id"  # tells equal boards apart (machine-id(5)); a container has another or none
PTY = "/dev/ttyMETER"  # what a pty is called in a container, which has a /dev/pts of its own
PTY_MAJORS = range(136, 144)  # a pty is bound: as a device it gives EIO in another mount namespace
NETWORK_PROBES = ("tcp", "shelly", "tasmota")
LOOPBACK = ("localhost", "127.", "[::1]", "::1")
# Probes that read sysfs: they share one `--sysfs`.
SYSFS_PROBES = ("perf", "rapl", "ina3221", "hwmon", "power_supply")
TOKEN = "EDGEBENCH_PROBE_TOKEN"  # noqa: S105  # the name of the variable


@dataclass(frozen=True, slots=True)
class Node:
    """A path of the board: `kind` as stat tells it, `major` of a device."""

    path: str
    kind: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o644
    major: int = 0

    def open_to_root(self, groups: Iterable[int], wanted: int) -> bool:
        """Whether uid 0 without any capability may do `wanted` (bits 4 read, 2 write), as member of the groups."""
        shift = 6 if self.uid == 0 else 3 if self.gid in {0, *groups} else 0
        return (self.mode >> shift) & wanted == wanted


@dataclass(frozen=True, slots=True)
class Facts:
    """What the board told: the nodes that match each path asked for, its model, the engine's runtimes."""

    nodes: Mapping[str, tuple[Node, ...]] = field(default_factory=dict)
    board: str = ""
    runtimes: frozenset[str] = frozenset()

    def has(self, path: str) -> bool:
        """Whether something is there (a pattern: whether anything matches)."""
        return bool(self.nodes.get(path))


@dataclass(frozen=True, slots=True)
class Bind:
    """A path of the board in the container, read-only unless said; `volume`: `source` is a named volume."""

    source: str
    target: str
    writable: bool = False
    volume: bool = False


@dataclass(frozen=True, slots=True)
class Rights:
    """What a container is given. An environment value of None is taken from whoever starts it."""

    capabilities: tuple[str, ...] = ()
    binds: tuple[Bind, ...] = ()
    devices: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    network: str = "none"
    runtime: str | None = None

    def __or__(self, other: Rights) -> Rights:
        """Return both together, each right once; of two views of sysfs the wider."""
        binds = tuple(dict.fromkeys((*self.binds, *other.binds)))
        if any(bind.target == HOST_SYS for bind in binds):
            binds = tuple(bind for bind in binds if not bind.target.startswith(f"{HOST_SYS}/"))
        networks = {self.network, other.network}
        return Rights(
            capabilities=_once(self.capabilities, other.capabilities),
            binds=binds,
            devices=_once(self.devices, other.devices),
            groups=tuple(dict.fromkeys((*self.groups, *other.groups))),
            environment={**self.environment, **other.environment},
            network=next(name for name in ("host", "bridge", "none") if name in networks),
            runtime=self.runtime or other.runtime,
        )


@dataclass(frozen=True, slots=True)
class Way:
    """One way to energy: the probe, and what it needs in all."""

    probe: str
    rights: Rights

    @property
    def words(self) -> str:
        """Say in a few words what is given."""
        rights = self.rights
        parts = [f"the capability {name}" for name in rights.capabilities]
        parts += [f"{bind.source} read-only" for bind in rights.binds if not bind.volume]
        parts += [f"the device {device}" for device in rights.devices]
        return f"{self.probe} ({', '.join(parts) or 'nothing beyond what every container sees'})"


def _once(left: Sequence[str], right: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*left, *right)))


def paths_to_look_at(profile: Profile, specs: Sequence[str]) -> list[str]:
    """Return every path (or pattern) whose presence decides what a container is given."""
    grants: list[Grant] = [*profile.grant, *profile.energy]
    paths = [path for grant in grants for path in (*grant.needs, *grant.devices, *grant.mounts, *grant.groups)]
    paths.append(MACHINE_ID)
    for spec in map(parse, specs):
        paths += [path for path in (_node_path(spec), *own_files(spec)) if path]
        if spec.name in {"joulescope", "scpi"}:
            paths.append("/dev/bus/usb")
    return list(dict.fromkeys(paths))


def parse(text: str) -> Spec:
    """Parse a probe's specification; raises UsageError."""
    try:
        return parse_spec(text)
    except ProbeError as error:
        raise UsageError(f"--probe {text}: {error}") from None


def base_rights(profile: Profile, facts: Facts, sysfs: str = "/sys") -> Rights:
    """Return what a container of the platform is given on this board besides energy.

    Its model, what tells it from equal boards, its graphics unit.
    """
    rights = Rights(environment=dict(profile.environment))
    if facts.board:
        rights |= Rights(environment={"EDGEBENCH_BOARD": facts.board})
    if any(node.kind == "file" for node in facts.nodes.get(MACHINE_ID, ())):
        inside = f"/host{MACHINE_ID}"
        rights |= Rights(binds=(Bind(MACHINE_ID, inside),), environment={"EDGEBENCH_MACHINE_ID": inside})
    for grant in profile.grant:
        granted = granted_by(grant, facts, sysfs)
        rights |= granted or Rights()
    return rights


def ways(profile: Profile, facts: Facts, sysfs: str = "/sys") -> list[Way]:
    """Return the ways to energy that this board may have, in the profile's order: the least rights first."""
    found = []
    for entry in profile.energy:
        granted = granted_by(entry, facts, sysfs)
        if granted is not None:
            found.append(Way(entry.probe, granted))
    return found


def granted_by(grant: Grant, facts: Facts, sysfs: str = "/sys") -> Rights | None:
    """Return a grant's rights on this board, or None where the board lacks what it needs."""
    if grant.boards and facts.board and not any(word in facts.board for word in grant.boards):
        return None
    if grant.runtime is not None and grant.runtime not in facts.runtimes:
        return None
    if not all(facts.has(path) for path in (*grant.needs, *grant.mounts, *grant.devices)):
        return None
    if any(facts.nodes[path][0].kind != "char" for path in grant.devices):
        return None
    if any(facts.nodes[path][0].kind == "dir" for path in grant.mounts if path.endswith(".sock")):
        return None  # an engine makes a folder where a socket should be bound and its service is down
    binds = [_bound(path, sysfs) for path in grant.mounts]
    environment: dict[str, str | None] = dict(grant.environment)
    if sysfs != "/sys" and not grant.mounts and any(path.startswith("/sys/") for path in grant.needs):
        binds.append(Bind(sysfs, HOST_SYS))
    if any(bind.target.startswith(HOST_SYS) for bind in binds):
        environment["EDGEBENCH_SYSFS"] = HOST_SYS
    groups = tuple(dict.fromkeys(facts.nodes[path][0].gid for path in grant.groups if facts.has(path)))
    return Rights(
        capabilities=tuple(grant.capabilities),
        binds=tuple(binds),
        devices=tuple(grant.devices),
        groups=tuple(gid for gid in groups if gid != 0),
        environment=environment,
        runtime=grant.runtime,
    )


def _bound(path: str, sysfs: str) -> Bind:
    if path.startswith("/sys/"):
        tail = path[len("/sys") :]
        return Bind(sysfs + tail, HOST_SYS + tail)
    return Bind(path, path)


def asked_for(profile: Profile, facts: Facts, specs: Sequence[str], sysfs: str = "/sys") -> tuple[Rights, list[str]]:
    """Return the rights that the probes named by the user need, and the specifications as the container is given them.

    Raises ContainerError for a meter's node that the board does not have.
    """
    rights = Rights()
    inside: list[str] = []
    parsed = [resolved(parse(text)) for text in specs]
    for text, spec in zip(specs, parsed, strict=True):
        way = profile.way_to(spec.name)
        granted = granted_by(way, facts, sysfs) if way else None
        if granted is not None:
            rights |= granted
        if spec.name == "nvml" and "nvidia" in facts.runtimes:
            rights |= Rights(runtime="nvidia", environment={"NVIDIA_VISIBLE_DEVICES": "all"})
        rights |= _meter(spec, facts, len(inside)) | _network(spec)
        for file in own_files(spec):
            if file.startswith(f"{INPUT}/"):
                continue  # it travels with the user's files
            rights |= Rights(binds=(Bind(file, f"/probe/{len(inside)}-{file.rpartition('/')[2]}"),))
        inside.append(text)
        for bind in rights.binds:
            if bind.target.startswith((f"/probe/{len(inside) - 1}-", f"{PTY}{len(inside) - 1}")):
                inside[-1] = inside[-1].replace(bind.source, bind.target)
    readers = {spec.name for spec in parsed if spec.name in SYSFS_PROBES}
    if len(readers) > 1 and "EDGEBENCH_SYSFS" in rights.environment:
        rights |= Rights(binds=(Bind(sysfs, HOST_SYS),))  # one root for all of them
    elif sysfs != "/sys" and readers and "EDGEBENCH_SYSFS" not in rights.environment:
        rights |= Rights(binds=(Bind(sysfs, HOST_SYS),), environment={"EDGEBENCH_SYSFS": HOST_SYS})
    return rights, inside


def _node_path(spec: Spec) -> str | None:
    """Return the node of a meter on a serial line or hidraw, as its specification names it."""
    return spec.address if spec.address and spec.address.startswith("/dev/") else None


def own_files(spec: Spec) -> list[str]:
    """Return the files that a specification names: a recorded trace, a token, a plug's password."""
    files = [spec.address] if spec.name == "replay" and spec.address else []
    return [*files, *(spec.options[name] for name in ("token_file", "password_file") if name in spec.options)]


def _meter(spec: Spec, facts: Facts, number: int) -> Rights:
    """Return what opening a meter's node needs."""
    node_path = _node_path(spec)
    if node_path is None:
        # Meters that are driven through libusb have no node of their own.
        usb = spec.name == "joulescope" or (spec.name == "scpi" and (spec.address or "").upper().startswith("USB"))
        return Rights(devices=("/dev/bus/usb",)) if usb and facts.has("/dev/bus/usb") else Rights()
    if not facts.has(node_path):
        raise ContainerError(f"--probe {spec.name}:{node_path}: the board has no {node_path}: plug the meter in")
    node = facts.nodes[node_path][0]
    groups = (node.gid,) if node.gid and node.mode & 0o060 == 0o060 else ()
    capabilities = () if node.open_to_root(groups, 6) else ("DAC_OVERRIDE",)
    if node.major in PTY_MAJORS:
        return Rights(
            capabilities=capabilities, binds=(Bind(node_path, f"{PTY}{number}", writable=True),), groups=groups
        )
    return Rights(capabilities=capabilities, devices=(node_path,), groups=groups)


def _network(spec: Spec) -> Rights:
    """Return the network that a meter needs: this machine's own when it is served here, else an ordinary one."""
    address = (spec.address or "").lower()
    if spec.name == "scpi":
        found = re.match(r"tcpip\d*::(\[[^\]]*\]|[^:]*)", address)
        host = found[1] if found else None
    else:
        host = address.removeprefix("//") if spec.name in NETWORK_PROBES else None
    if host is None:
        return Rights()
    environment: dict[str, str | None] = {TOKEN: None} if spec.name == "tcp" else {}
    return Rights(network="host" if host.startswith(LOOPBACK) else "bridge", environment=environment)


def reading(rights: Rights, nodes: Sequence[Node], *, write: bool = False) -> Rights:
    """Return the rights that let uid 0 without capabilities read files of other users that are bound for it."""
    wanted = 6 if write else 4
    if all(node.open_to_root(rights.groups, wanted) for node in nodes):
        return rights
    return replace(rights, capabilities=_once(rights.capabilities, ("DAC_OVERRIDE",)))


def facts_from(data: Mapping[str, Any], runtimes: Iterable[str]) -> Facts:
    """Return the facts in `peek`'s answer; raises ContainerError for what is none."""
    try:
        nodes = {path: tuple(Node(**node) for node in found) for path, found in data["nodes"].items()}
        return Facts(nodes, str(data["board"])[:200], frozenset(runtimes))
    except (KeyError, TypeError, AttributeError):
        raise ContainerError("the board's answer about what it has is not one: is its image edgebench's?") from None
