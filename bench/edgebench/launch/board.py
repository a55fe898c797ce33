"""A suite on one board: look, choose the least rights that give energy, run, bring the report back."""

from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench import __version__
from edgebench.errors import EXIT_INTERRUPTED, ContainerError, UsageError
from edgebench.launch import peek as peeking
from edgebench.launch.container import Settings
from edgebench.launch.engine import Engine, boundary, connect, missing_image
from edgebench.launch.follow import Containers
from edgebench.launch.images import Image, in_registry, inspect, mismatch, pull
from edgebench.launch.order import Input, Order, carrying, peek_settings, suite_settings
from edgebench.launch.outcome import Outcome, Tell, first_usable, outcome_of, why_not_started
from edgebench.launch.rights import (
    INPUT,
    Facts,
    Node,
    Rights,
    Way,
    asked_for,
    base_rights,
    facts_from,
    paths_to_look_at,
    reading,
    ways,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docker.models.containers import Container


_PEEK_ROOT = "/host"


class Board:
    """One engine and what is run on it. `run` is called once; `stop` at any time from another thread.

    `known` has the boards of this run by their engines: two that meet there are told.
    """

    def __init__(
        self,
        order: Order,
        host: str | None = None,
        context: str | None = None,
        *,
        name: str | None = None,
        known: dict[str, Board] | None = None,
    ) -> None:
        self.order = order
        self._known = {} if known is None else known
        self.name = self.key = name or host or context or "this machine"
        self._named = name is not None
        self._host, self._context = host, context
        self._containers: Containers | None = None
        self._stopped = False

    def run(self, tell: Tell) -> Outcome:
        """Run the suite to its report; `tell` gets each line of progress. Raises ContainerError and ReportError."""
        engine = connect(self._host, self._context)
        try:
            self._reached(engine)
            self._tell_twin(engine, tell)
            self._containers = Containers(engine, f"{self.order.profile.platform} {self.order.suite}")
            if self._stopped:
                self._containers.stopping = True
            image = checked_image(engine, self.order, tell)
            settings = self._settings(engine, image, tell)
            ended = self._containers.run(settings, tell, None if engine.local else self._upload)
        except ContainerError:
            if self._stopped:
                return Outcome(EXIT_INTERRUPTED)
            raise
        else:
            return outcome_of(ended, self.order, engine.where, tell, stopped=self._stopped)
        finally:
            engine.close()

    def stop(self, grace_s: int | None = None) -> None:
        """End what runs: the container writes a partial report within the grace."""
        self._stopped = True
        if self._containers is not None:
            self._containers.stop(*(() if grace_s is None else (grace_s,)))

    def line(self, tell: Tell) -> Settings:
        """Return the settings of the run without starting it; a board elsewhere is looked at through a container."""
        engine = connect(self._host, self._context)
        try:
            self._reached(engine)
            image = checked_image(engine, self.order, tell)
            return self._settings(engine, image, tell, trial=False)
        finally:
            engine.close()

    def _reached(self, engine: Engine) -> None:
        """Take the engine's name for the board, where the user gave none; this machine has its own among equal ones."""
        if not self._named:
            self.name = engine.board
        unit = self.order.unit or (os.environ.get("EDGEBENCH_UNIT") if engine.local else None)
        self.order = replace(self.order, cache=self.order.cache.replace("{board}", self.name), unit=unit)
        if not engine.local:
            self.order = carrying(self.order)

    def _tell_twin(self, engine: Engine, tell: Tell) -> None:
        """Say where another board of this run has the same engine, as the sessions there refuse each other."""
        first = self._known.setdefault(engine.identity, self)
        if first is not self:
            tell(
                f"{self.key} and {first.key} are one engine: sessions on one board refuse each other, so that one of "
                "them may bring no report; name it once"
            )

    def _settings(self, engine: Engine, image: Image, tell: Tell, *, trial: bool = True) -> Settings:
        rights, specs = self.granted(engine, image, tell, trial=trial)
        return suite_settings(self.order, rights, image.name, image.digest, specs, local=engine.local)

    def granted(self, engine: Engine, image: Image, tell: Tell, *, trial: bool = True) -> tuple[Rights, list[str]]:
        """Return what the container is given on this board, and the probes that were asked for as it sees them.

        With `trial` the ways to energy are tried in short containers, and the first that works is given.
        """
        order = self.order
        if self._containers is None:
            self._containers = Containers(engine, "look")
        facts = self._facts(engine, image)
        if named := os.environ.get("EDGEBENCH_BOARD"):
            facts = replace(facts, board=named)
        rights = base_rights(order.profile, facts, order.sysfs)
        specs = list(order.specs)
        if order.specs:
            asked, specs = asked_for(order.profile, facts, order.specs, order.sysfs)
            rights |= asked
        elif order.report:
            found = ways(order.profile, facts, order.sysfs)
            chosen = self._usable(rights, found, image, tell) if trial else next(iter(found), None)
            if chosen is not None:
                rights |= chosen.rights
                tell(f"energy: {chosen.words}")
            elif not found:
                names = " or ".join(way.probe for way in order.profile.energy) or "none"
                tell(f"energy: nothing here that the profile knows ({names}); the report says what is missing")
        if engine.local:
            rights = _readable(rights, order)
        return rights, specs

    def _facts(self, engine: Engine, image: Image) -> Facts:
        """Look at this machine directly, at another one through a short container."""
        order = self.order
        patterns = paths_to_look_at(order.profile, order.specs)
        if engine.local:
            return facts_from(peeking.peek(patterns, order.sysfs), engine.runtimes)
        assert self._containers is not None  # noqa: S101  # made by whoever calls
        program = Path(peeking.__file__).read_text(encoding="utf-8")
        others = []
        for path in patterns:
            if path.startswith(("/sys/", "/dev/", f"{INPUT}/")):
                continue
            alone = peek_settings(image.name, "", "", order.sysfs, [path], _PEEK_ROOT)
            if self._containers.accepts(alone):
                others.append(path)
        request = json.dumps({"patterns": patterns, "sysfs": order.sysfs, "root": _PEEK_ROOT})
        ended = self._containers.run(peek_settings(image.name, program, request, order.sysfs, others, _PEEK_ROOT))
        if ended.code != 0:
            raise ContainerError(why_not_started(ended, engine.where, image.name))
        try:
            return facts_from(json.loads(ended.stdout), engine.runtimes)
        except ValueError:
            raise ContainerError(f"{engine.where}: the image {image.name} is none of edgebench's") from None

    def _usable(self, rights: Rights, found: list[Way], image: Image, tell: Tell) -> Way | None:
        assert self._containers is not None  # noqa: S101  # made by whoever calls
        return first_usable(self.order, rights, found, image.name, self._containers.run, tell, lambda: self._stopped)

    def _upload(self, container: Container) -> None:
        """Copy the user's files to the board, into the container's nameless volume."""
        if files := [given for given in self.order.inputs if not given.folder]:
            container.put_archive(INPUT, packed(files, self.order.user))


def packed(files: Sequence[Input], user: str | None) -> bytes:
    """Return files as the archive that an engine takes, below INPUT; a secret is of the container's `user` alone.

    Raises UsageError for one that cannot be read.
    """
    uid, _, gid = (user or "0").partition(":")
    if any(given.secret for given in files) and not (uid + (gid or "0")).isdecimal():
        raise UsageError(f"--user {user}: a token's file is for one user alone: write it as UID[:GID]")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for given in files:
            try:
                content = Path(given.source).read_bytes()
            except OSError as error:
                raise UsageError(f"--{given.option}: {given.source} cannot be read ({error.strerror})") from None
            entry = tarfile.TarInfo(given.target.removeprefix(f"{INPUT}/"))
            entry.size, entry.mode = len(content), 0o444
            if given.secret:
                entry.mode, entry.uid, entry.gid = 0o400, int(uid), int(gid or uid)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def checked_image(engine: Engine, order: Order, tell: Tell) -> Image:
    """Return the image, with a word where it does not match this machine; ContainerError where it is not there."""
    with boundary(engine.where, order.image):
        found = inspect(engine, order.image)
    if found is None:
        if not in_registry(order.image):
            raise ContainerError(missing_image(order.image, engine.where, order.profile.platform))
        tell(f"pulling {order.image} to {engine.where}")
        found = pull(engine, order.image, order.profile.architecture)
    if (problem := mismatch(found)) is not None:
        raise ContainerError(f"{engine.where}: {problem}")
    if found.version and found.version != __version__:
        tell(f"the image {order.image} holds edgebench {found.version}, this is {__version__}: its answers may differ")
    if found.architecture != engine.architecture:
        tell(
            f"the image {order.image} is for {found.architecture} and {engine.where} is {engine.architecture}: "
            "it runs emulated, and its figures say nothing of a real board"
        )
    return found


def _readable(rights: Rights, order: Order) -> Rights:
    """Add the right to read other users' files, where one that is bound can be read by nobody else."""
    if order.user is not None:
        return rights
    cache = [order.cache] if "/" in order.cache else []
    sources = [given.source for given in order.inputs]
    sources += [bind.source for bind in rights.binds if bind.target.startswith("/probe/")]
    return reading(reading(rights, _nodes(sources)), _nodes(cache), write=True)


def _nodes(paths: list[str]) -> list[Node]:
    nodes = []
    for path in paths:
        status = Path(path).stat()
        nodes.append(Node(path, "file", status.st_uid, status.st_gid, status.st_mode & 0o7777))
    return nodes
