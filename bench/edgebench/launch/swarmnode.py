"""A suite on one node of a swarm: look, choose the least rights that give energy, run, bring the report back."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import EXIT_INTERRUPTED, ContainerDiedError, ContainerError, UsageError
from edgebench.launch import peek as peeking
from edgebench.launch.order import Order, peek_settings, suite_settings
from edgebench.launch.outcome import Outcome, Tell, first_usable, outcome_of, why_not_started
from edgebench.launch.rights import (
    MACHINE_ID,
    Facts,
    Rights,
    Way,
    asked_for,
    base_rights,
    facts_from,
    paths_to_look_at,
    ways,
)
from edgebench.launch.service import Given, fits, possible, without_devices
from edgebench.launch.services import Services, StoppedError
from edgebench.launch.swarm import ORDER_LABEL, SUITE, TOKEN_LABEL, Swarm, names_of

if TYPE_CHECKING:
    from edgebench.launch.container import Settings

_ROOT = "/host"
# All nodes together ask for this many logs a second at most.
_LOGS_A_SECOND = 8


class Files:
    """The user's files in the swarm's store: put there once for all nodes, removed when the last has ended."""

    def __init__(self, swarm: Swarm, order: Order) -> None:
        self._swarm, self._order = swarm, order
        self._lock = threading.Lock()
        self._given: list[Given] | None = None

    def given(self) -> Sequence[Given]:
        """Return the files, which are put there when the first node needs them."""
        with self._lock:
            if self._given is None:
                self._given = []
                for one in self._order.inputs:
                    if not one.folder:
                        content = Path(one.source).read_bytes()
                        name = f"edgebench-{hashlib.sha256(content).hexdigest()[:24]}"
                        self._given.append(Given(name, self._swarm.add_file(name, content), one.target))
            return self._given

    def remove(self) -> None:
        """Remove them; what a service on a node that is away still uses stays."""
        for one in self._given or []:
            self._swarm.remove_file(one.identity)


class SwarmNode:
    """One node and what is run on it, as `Board` is for an engine. `run` is called once, `stop` at any time."""

    def __init__(self, swarm: Swarm, node: str, name: str, order: Order, files: Files, interval_s: float) -> None:
        self.name = name
        self.key = node
        self.order = replace(order, cache=order.cache.replace("{board}", name), unit=f"node-{node[:12]}")
        self._swarm, self._files = swarm, files
        self._services = Services(swarm, node, name, order, interval_s)

    def run(self, tell: Tell) -> Outcome:
        """Run the suite to its report; `tell` gets each line of progress. Raises ContainerError and ReportError."""
        try:
            state = self._swarm.view().nodes[self.key]["Status"]
            if state["State"] != "ready":
                said = f" ({state['Message']})" if state.get("Message") else ""
                raise ContainerError(f"{self.name} is {state['State']}{said}: start it, then use --resume")
            token = self._earlier(tell)
            if token is not None and (outcome := self._adopted(token, tell)) is not None:
                return outcome
            return self._measured(secrets.token_hex(6), self._settings(tell), tell)
        except StoppedError:
            return Outcome(EXIT_INTERRUPTED)

    def stop(self, grace_s: int | None = None) -> None:
        """End what runs: the container writes a partial report, which is fetched from the node."""
        self._services.stopping = True
        if grace_s is not None:
            self._services.hurry = True

    def _measured(self, token: str, settings: Settings, tell: Tell) -> Outcome:
        ended = self._services.kept(settings, token, SUITE, tell, self._files.given())
        return outcome_of(ended, self.order, self.name, tell, stopped=self._services.stopping)

    def _earlier(self, tell: Tell) -> str | None:
        """Return the token of this order's service that a launcher left on the node, where that is to be gone on with.

        Raises ContainerError where the node measures already.
        """
        tasks = self._swarm.view().tasks
        for service in self._swarm.suites(self.key):
            name, labels = service["Spec"]["Name"], service["Spec"]["Labels"]
            same = labels[ORDER_LABEL] == self.order.digest
            if same and self.order.resume:
                return str(labels[TOKEN_LABEL])
            task = tasks.get(service["ID"])
            if task is None or task["Status"]["State"] not in {"complete", "failed", "rejected", "shutdown"}:
                goes_on = "the same command with --resume goes on with it" if same else "wait for it"
                raise ContainerError(
                    f"{self.name}: the service {name} measures there: {goes_on}, or end it with `docker service rm "
                    f"{name}`"
                )
            if same:
                tell(f"{self.name}: an earlier report that nobody fetched is left out: --resume would bring it")
                self._swarm.remove(service["ID"])
        return None

    def _adopted(self, token: str, tell: Tell) -> Outcome | None:
        """Go on with a service that is there; None where it ended without a report."""
        settings = suite_settings(self.order, Rights(), self.order.image, "", [], local=True)
        tell("going on with what an earlier launcher started")
        try:
            outcome = self._measured(token, settings, tell)
        except ContainerDiedError as error:
            tell(f"{error}; measuring what is missing")
            return None
        return outcome if outcome.complete else None

    def _settings(self, tell: Tell) -> Settings:
        order = self.order
        facts = self._facts()
        rights, lost = without_devices(base_rights(order.profile, facts, order.sysfs))
        if lost:
            tell(f"not given: {lost}")
        specs = list(order.specs)
        if order.specs:
            asked, specs = asked_for(order.profile, facts, order.specs, order.sysfs)
            asked, lost = without_devices(asked)
            if lost:
                raise UsageError(f"{self.name}: --probe {' '.join(order.specs)}: {lost}")
            rights |= asked
        elif order.report and (chosen := self._way(rights, ways(order.profile, facts, order.sysfs), tell)) is not None:
            rights |= chosen.rights
            tell(f"energy: {chosen.words}")
        settings = suite_settings(order, rights, order.image, "", specs, local=True)
        folders = tuple(bind for bind in settings.binds if bind.target not in {one.target for one in _files_of(order)})
        return replace(settings, binds=folders)

    def _facts(self) -> Facts:
        """Look at the node through a short container."""
        order = self.order
        # A swarm knows its nodes by itself; a whole /etc is no right to give for that.
        patterns = [path for path in paths_to_look_at(order.profile, order.specs) if path != MACHINE_ID]
        # A service that binds what a node lacks never starts; the top folders are everywhere.
        tops = {f"/{path.split('/')[1]}" for path in patterns if not path.startswith(("/sys/", "/dev/"))}
        program = Path(peeking.__file__).read_text(encoding="utf-8")
        request = json.dumps({"patterns": patterns, "sysfs": order.sysfs, "root": _ROOT})
        ended = self._services.run(peek_settings(order.image, program, request, order.sysfs, sorted(tops), _ROOT))
        if ended.code != 0:
            raise ContainerError(why_not_started(ended, self.name, order.image))
        try:
            return facts_from(json.loads(ended.stdout), frozenset())
        except ValueError:
            raise ContainerError(f"{self.name}: the image {order.image} is none of edgebench's") from None

    def _way(self, rights: Rights, found: list[Way], tell: Tell) -> Way | None:
        for way in found:
            if not possible(way):
                tell(f"energy: not {way.words}: {without_devices(way.rights)[1]}")
        if not found:
            names = " or ".join(way.probe for way in self.order.profile.energy) or "none"
            tell(f"energy: nothing here that the profile knows ({names}); the report says what is missing")
        able = [way for way in found if possible(way)]
        order, services = self.order, self._services
        return first_usable(order, rights, able, order.image, services.run, tell, lambda: services.stopping)


def _files_of(order: Order) -> list[Any]:
    return [given for given in order.inputs if not given.folder]


def swarm_nodes(swarm: Swarm, order: Order, labels: Sequence[str], files: Files) -> tuple[list[SwarmNode], list[str]]:
    """Return the nodes that fit and may be used, and a line for each that fits and may not.

    Raises UsageError where none fits.
    """
    fitting = [node for node in swarm.view().nodes.values() if fits(node, order.profile.architecture, labels)]
    active = [node for node in fitting if node["Spec"]["Availability"] == "active"]
    remarks = [
        f"{node['Description']['Hostname']} is left out: its availability is {node['Spec']['Availability']}"
        for node in fitting
        if node not in active
    ]
    if not active:
        wanted = " ".join([order.profile.architecture, *labels])
        there = ", ".join(
            f"{node['Description']['Hostname']} ({node['Description']['Platform']['Architecture']})"
            for node in swarm.view().nodes.values()
        )
        raise UsageError(f"no node of the swarm fits ({wanted}) and is active: there are {there}")
    active.sort(key=lambda node: str(node["Description"]["Hostname"]))
    interval_s = max(1.0, len(active) / _LOGS_A_SECOND)
    nodes = [
        SwarmNode(swarm, node["ID"], name, order, files, interval_s)
        for node, name in zip(active, names_of(active), strict=True)
    ]
    return nodes, remarks
