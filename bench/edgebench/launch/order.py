"""What is to be run, and the container that runs it on a board with given rights. Pure."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.launch.container import Limits, Settings
from edgebench.launch.rights import INPUT, Bind, Rights, own_files, parse

if TYPE_CHECKING:
    from edgebench.launch.profile import Profile

CACHE = "/cache"
EXCHANGE = "/exchange"  # where programs that are run in a waiting container find questions and leave answers
DEFAULT_CACHE = "edgebench-cache"
# A folder of the engine's that all sessions on a board lock: one at a time measures.
LOCK, LOCK_VOLUME = "/lock", "edgebench-lock"
RESUME = "--resume"


@dataclass(frozen=True, slots=True)
class Input:
    """A file or folder that the suite reads: `source` (absolute) is `target` in the container.

    A file is of this machine, and copied to a board elsewhere; a folder is of the machine where the engine runs. A
    `secret` is readable by the container's user alone, and what it says decides nothing that is measured.
    """

    option: str
    source: str
    target: str
    folder: bool
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What the user wants run: `arguments` are those of `edgebench suite`, with the container's paths.

    `commit` is that of the user's project, which no container sees; `unit` is the board's name, where it has one.
    """

    profile: Profile
    image: str
    suite: str
    arguments: tuple[str, ...]
    inputs: tuple[Input, ...] = ()
    specs: tuple[str, ...] = ()
    sysfs: str = "/sys"
    limits: Limits = field(default_factory=Limits)
    user: str | None = None
    cache: str = DEFAULT_CACHE
    report: bool = True
    commit: str | None = None
    unit: str | None = None
    brief: bool = False  # no summary after the suite: one of many boards

    @property
    def resume(self) -> bool:
        """Whether it goes on where an earlier run of it ended."""
        return RESUME in self.arguments

    @property
    def digest(self) -> str:
        """Return what tells it from other orders: all that decides what is measured, the files' contents too."""
        files = [
            (given.target, given.source if given.folder else hashlib.sha256(Path(given.source).read_bytes()).digest())
            for given in self.inputs
            if not given.secret
        ]
        arguments = [word for word in self.arguments if word != RESUME]
        parts = (self.profile.platform, self.image, arguments, files, self.specs, self.sysfs, self.limits, self.user)
        return hashlib.sha256(repr((*parts, self.cache, self.commit)).encode()).hexdigest()[:24]


def from_root(spec: str) -> str:
    """Return a probe's specification with its files named from the root."""
    for file in own_files(parse(spec)):
        spec = spec.replace(file, str(Path(file).absolute()))
    return spec


def carrying(order: Order) -> Order:
    """Return the order for a board elsewhere: files of probes that are here, such as a token, travel as inputs.

    What is not here is taken to be on the board. The command line has their names, never what they say.
    """
    inputs, specs = list(order.inputs), []
    for number, spec in enumerate(order.specs):
        told = spec
        parsed = parse(spec)
        for file in filter(os.path.isfile, own_files(parsed)):
            target = f"{INPUT}/probe-{number}/{Path(file).name}"
            inputs.append(Input("probe", file, target, folder=False, secret=file != parsed.address))
            told = told.replace(file, target)
        specs.append(told)
    return replace(order, inputs=tuple(inputs), specs=tuple(specs))


def suite_settings(
    order: Order, rights: Rights, image: str, digest: str, specs: Sequence[str], *, local: bool
) -> Settings:
    """Return the container that runs the suite; `specs` name the probes as the container sees them."""
    cache = order.cache
    binds = [Bind(cache, CACHE, writable=True, volume="/" not in cache), Bind(LOCK_VOLUME, LOCK, volume=True)]
    copied = False
    for given in order.inputs:
        if given.folder or local:
            binds.append(Bind(given.source, given.target))
        else:
            copied = True
    if copied:
        binds.append(Bind("", INPUT, writable=True, volume=True))
    arguments = [*order.arguments, *(word for spec in specs for word in ("--probe", spec))]
    return Settings(
        image=image,
        command=("suite", *arguments),
        rights=rights,
        limits=order.limits,
        user=order.user,
        binds=tuple(binds),
        environment=(
            ("EDGEBENCH_CACHE", CACHE),
            ("EDGEBENCH_LOCK", LOCK),
            *([("EDGEBENCH_IMAGE", f"{image}@{digest}")] if digest else []),
            *([("EDGEBENCH_COMMIT", order.commit)] if order.commit else []),
            *([("EDGEBENCH_UNIT", order.unit)] if order.unit else []),
            *([("EDGEBENCH_SUMMARY", "no")] if order.brief else []),
        ),
    )


def waiting_settings(order: Order, rights: Rights, image: str, digest: str, exchange: Path) -> Settings:
    """Return the container of an `order` of this machine that waits for programs to be run in it.

    It waits for the end of its input, which comes when whoever is attached to it ends.
    """
    settings = suite_settings(order, rights, image, digest, (), local=True)
    binds = (*settings.binds, Bind(str(exchange), EXCHANGE, writable=True))
    return replace(settings, command=(), entrypoint="cat", binds=binds)


def doctor_settings(order: Order, rights: Rights, image: str, probe: str) -> Settings:
    """Return a short container that asks the doctor whether a probe works with these rights."""
    return Settings(image=image, command=("probes", "--json", "--probe", probe), rights=rights, user=order.user)


def peek_settings(image: str, program: str, request: str, sysfs: str, others: Sequence[str], root: str) -> Settings:
    """Return a short container that sees a board's /sys and /dev, and `others`, read-only below `root`."""
    binds = [Bind(path, root + path) for path in (sysfs, "/dev", *others)]
    return Settings(image=image, command=("-c", program, request), entrypoint="python3", binds=tuple(binds))
