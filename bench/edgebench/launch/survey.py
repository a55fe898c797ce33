"""A look at a board without measuring: is it up, idle, fit for its platform, how hot, which image."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import ContainerError
from edgebench.launch import state as program
from edgebench.launch.container import LABEL, Settings
from edgebench.launch.engine import Engine, boundary, connect
from edgebench.launch.follow import Containers
from edgebench.launch.images import fit, inspect
from edgebench.launch.profile import find_profile
from edgebench.launch.rights import Bind, Rights

if TYPE_CHECKING:
    from edgebench.launch.benchfile import BoardEntry

_THREADS = 16
_SYS = "/host/sys"
# A load that other programs make: below it a board is idle (a look itself is one process for a moment).
_IDLE_LOAD = 0.5


@dataclass(frozen=True, slots=True)
class Survey:
    """What a board told. None is what it did not tell; `down` why it told nothing."""

    name: str
    platform: str
    meters: tuple[str, ...] = ()
    down: str | None = None
    measuring: str | None = None
    load: float | None = None
    processors: int | None = None
    hottest_c: float | None = None
    image: str = ""
    version: str | None = None
    fits: str = ""

    @property
    def idle(self) -> bool | None:
        """Whether nothing else computes there."""
        if self.measuring is not None:
            return False
        return None if self.load is None else self.load < _IDLE_LOAD


def survey(boards: dict[str, BoardEntry]) -> list[Survey]:
    """Look at every board at once; one that does not answer keeps no other waiting."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="board") as threads:
        return list(threads.map(lambda item: _look(*item), boards.items()))


def _look(name: str, board: BoardEntry) -> Survey:
    profile = find_profile(board.platform)
    image = board.image or profile.image
    found = Survey(name, board.platform, tuple(board.meters), image=image)
    try:
        engine = connect(board.address)
    except ContainerError as error:
        return replace(found, down=str(error))
    try:
        with boundary(engine.where, image):
            return _looked(engine, found, profile.architecture)
    except ContainerError as error:
        return replace(found, down=str(error))
    finally:
        engine.close()


def _looked(engine: Engine, found: Survey, architecture: str) -> Survey:
    running = engine.client.containers.list(filters={"label": LABEL})
    if running:
        found = replace(found, measuring=str(running[0].labels.get(LABEL) or "a suite"))
    there = inspect(engine, found.image)
    if engine.architecture != architecture:
        return replace(found, fits=f"no: it is {engine.architecture}, {found.platform} is {architecture}")
    if there is None:
        return replace(found, fits="no: the image is missing")
    found = replace(found, version=there.version or None, fits=fit(there))
    if found.measuring is not None:
        return found  # a container more would disturb it
    settings = Settings(
        image=found.image,
        command=("-c", Path(program.__file__).read_text(encoding="utf-8"), _SYS, "/proc"),
        rights=Rights(binds=(Bind("/sys", _SYS),)),
        entrypoint="python3",
    )
    ended = Containers(engine, "look").run(settings)
    try:
        told = json.loads(ended.stdout)
        return replace(found, load=told["load"], processors=told["processors"], hottest_c=told["hottest_c"])
    except (ValueError, KeyError, TypeError):
        return replace(found, fits="no: the image is none of edgebench's")
