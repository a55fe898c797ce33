"""One container's settings, as the engine's API takes them and as a `docker run` line: both from the same values."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgebench.launch.rights import Bind, Rights

if TYPE_CHECKING:
    from docker.types import Mount

# Compilers run what they build from here, so it may hold programs.
TMPFS = "rw,exec,nosuid,nodev,mode=1777"
LABEL = "org.edgebench.launch"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the container may use at most, as the user gave it: processors, which ones, memory."""

    cpus: float | None = None
    cpuset: str | None = None
    memory: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """A container to start. `command` are the arguments of the image's entry point, or of `entrypoint`."""

    image: str
    command: tuple[str, ...]
    rights: Rights = field(default_factory=Rights)
    limits: Limits = field(default_factory=Limits)
    user: str | None = None
    entrypoint: str | None = None
    binds: tuple[Bind, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    def all_binds(self) -> tuple[Bind, ...]:
        """Return every bind and volume, in a stable order: a folder before what is bound below it."""
        return tuple(sorted({*self.rights.binds, *self.binds}, key=lambda bind: bind.target))


def run_line(settings: Settings) -> list[str]:
    """Return the words of the `docker run` line that starts the same container."""
    rights, limits = settings.rights, settings.limits
    words = ["docker", "run", "--rm", "--init", "--no-healthcheck", "--read-only"]
    words += ["--tmpfs", f"/tmp:{TMPFS}"]  # noqa: S108  # in a container
    words += ["--network", rights.network, "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    words += _each("--cap-add", rights.capabilities)
    words += _each("--device", rights.devices)
    words += _each("--group-add", map(str, rights.groups))
    words += _each("--mount", map(_mount_words, settings.all_binds()))
    given = (*rights.environment.items(), *settings.environment)
    words += _each("--env", (name if value is None else f"{name}={value}" for name, value in given))
    single = {
        "--runtime": rights.runtime,
        "--user": settings.user,
        "--cpus": None if limits.cpus is None else f"{limits.cpus:g}",
        "--cpuset-cpus": limits.cpuset,
        "--memory": limits.memory,
        "--memory-swap": limits.memory,
        "--entrypoint": settings.entrypoint,
    }
    words += [word for option, value in single.items() if value is not None for word in (option, value)]
    return [*words, settings.image, *settings.command]


def _each(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _mount_words(bind: Bind) -> str:
    kind = "volume" if bind.volume else "bind"
    source = f",source={bind.source}" if bind.source else ""
    return f"type={kind}{source},target={bind.target}{'' if bind.writable else ',readonly'}"


def shell_line(words: Sequence[str]) -> str:
    """Return the words as one line for a shell."""
    return shlex.join(words)


def create_arguments(settings: Settings, labels: dict[str, str]) -> dict[str, Any]:
    """Return what docker's SDK creates the same container from."""
    from docker.types import LogConfig

    rights, limits = settings.rights, settings.limits
    given = {name: os.environ.get(name) if value is None else value for name, value in rights.environment.items()}
    arguments: dict[str, Any] = {
        "image": settings.image,
        "command": list(settings.command),
        "init": True,
        "read_only": True,
        "tmpfs": {"/tmp": TMPFS},  # noqa: S108  # in a container
        "network_mode": rights.network,
        "cap_drop": ["ALL"],
        "cap_add": list(rights.capabilities),
        "security_opt": ["no-new-privileges"],
        "devices": list(rights.devices),
        "group_add": list(map(str, rights.groups)),
        "mounts": [_mount(bind) for bind in settings.all_binds()],
        "environment": {
            **{name: value for name, value in given.items() if value is not None},
            **dict(settings.environment),
        },
        "runtime": rights.runtime,
        "user": settings.user,
        "nano_cpus": None if limits.cpus is None else round(limits.cpus * 1e9),
        "cpuset_cpus": limits.cpuset,
        # Half of a limit in swap would measure the disk.
        "mem_limit": limits.memory,
        "memswap_limit": limits.memory,
        "labels": labels,
        # One of an image of one's own would run beside the measurement.
        "healthcheck": {"test": ["NONE"]},
        # The report is read from the engine's log, whatever its default keeps of one.
        "log_config": LogConfig(type="json-file"),
        "use_config_proxy": False,
    }
    if settings.entrypoint is not None:
        arguments["entrypoint"] = [settings.entrypoint]
    return {name: value for name, value in arguments.items() if value is not None}


def _mount(bind: Bind) -> Mount:
    from docker.types import Mount

    kind = "volume" if bind.volume else "bind"
    return Mount(bind.target, bind.source or None, type=kind, read_only=not bind.writable)
