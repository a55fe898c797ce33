"""A swarm's manager: nodes, services and logs, asked by many threads at once over few connections."""

from __future__ import annotations

import calendar
import contextlib
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from edgebench.errors import ContainerError
from edgebench.launch.container import LABEL
from edgebench.launch.engine import Engine, boundary, connect, connection_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

ORDER_LABEL = f"{LABEL}.order"
NODE_LABEL = f"{LABEL}.node"
TOKEN_LABEL = f"{LABEL}.token"
SUITE = "suite"  # the purpose of a service that measures
# With the restart policy "none" it runs once on a node, as a job does; but a job that is removed goes on (Docker 20.10
# neither ends nor removes its containers).
_MODE: dict[str, dict[str, str]] = {"Global": {}}
# Over ssh each connection is a process on the manager, which is a board.
_CONNECTIONS = 4
_FRESH_S = 1.0  # how old a list of nodes and tasks may be
# A log is asked of its node through the manager; where the node went away nothing comes, not even an error.
_LOG_S = 10
_HEADER = struct.Struct(">B3xI")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class View:
    """Nodes and the launcher's tasks as the manager saw them; a task by its service."""

    taken: float = -1e9
    nodes: Mapping[str, Any] = field(default_factory=dict)
    tasks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a service's log, with the node's time of it."""

    stamp: str
    text: str


class Swarm:
    """One manager. Where its connection breaks it is made anew for `patience_s`, and whoever asked waits meanwhile."""

    def __init__(self, host: str | None, context: str | None, patience_s: float) -> None:
        self.patience_s = patience_s
        self.engine: Engine = connect(host, context)
        self.where = self.engine.where
        self._connections = threading.Semaphore(_CONNECTIONS)
        self._lock, self._viewing = threading.Lock(), threading.Lock()
        self._generation = 0
        self._view = View()
        state = (self._ask(lambda api: api.info()).get("Swarm") or {}).get("LocalNodeState")
        if state != "active":
            self.close()
            raise ContainerError(f"{self.where} is in no swarm: `docker swarm init` makes one, or use --host")

    def close(self) -> None:
        """End the connection."""
        self.engine.close()

    def view(self) -> View:
        """Return the nodes and tasks, a second old at most."""
        with self._viewing:  # whoever waited here finds a fresh one
            if time.monotonic() - self._view.taken > _FRESH_S:
                nodes = {node["ID"]: node for node in self._ask(lambda api: api.nodes())}
                tasks: dict[str, Any] = {}
                for task in self._ask(lambda api: api.tasks({"label": LABEL})):
                    before = tasks.get(task["ServiceID"])
                    if before is None or before["CreatedAt"] < task["CreatedAt"]:
                        tasks[task["ServiceID"]] = task
                self._view = View(time.monotonic(), nodes, tasks)
            return self._view

    def suites(self, node: str) -> list[Any]:
        """Return the services on a node that measure a suite, or did and were not removed."""
        found = self._ask(lambda api: api.services({"label": f"{NODE_LABEL}={node}"}))
        return [service for service in found if service["Spec"]["Labels"][LABEL] == SUITE]

    def create(self, name: str, template: dict[str, Any], labels: Mapping[str, str]) -> str:
        """Start a service that runs once wherever it may; return its id. One of that name is the one asked for."""
        from docker.errors import APIError

        def make(api: Any) -> str:
            found = api.services({"name": name})
            if found:
                return str(found[0]["ID"])
            return str(api.create_service(template, name=name, labels=dict(labels), mode=_MODE)["ID"])

        try:
            return self._ask(make)
        except APIError as error:
            raise ContainerError(f"{self.where}: the swarm refuses the service ({error.explanation})") from None

    def remove(self, service: str) -> None:
        """Remove a service; its containers are asked to end, then killed. One that is gone already is no error."""
        with contextlib.suppress(ContainerError):
            self._quietly(lambda api: api.remove_service(service))

    def gone(self, token: str) -> bool:
        """Whether no task of the service with a token is left."""
        return not self._ask(lambda api: api.tasks({"label": f"{TOKEN_LABEL}={token}"}))

    def add_file(self, name: str, content: bytes) -> str:
        """Give the swarm a file for services; return its id. One of that name has that content."""

        def make(api: Any) -> str:
            found = api.configs({"name": name})
            same = [one for one in found if one["Spec"]["Name"] == name]
            return str(same[0]["ID"] if same else api.create_config(name, content, labels={LABEL: "file"})["ID"])

        return self._ask(make)

    def remove_file(self, identity: str) -> None:
        """Remove a file; one that a service still uses stays."""
        with contextlib.suppress(ContainerError):
            self._quietly(lambda api: api.remove_config(identity))

    def log(self, service: str, since: str | None = None) -> list[Entry]:
        """Return a service's log from a time of the node's on; [] where its node does not answer."""
        parameters = {"stdout": 1, "stderr": 1, "timestamps": 1, "since": since or 0}

        def read(api: Any) -> bytes:
            url = f"{api.base_url}/v{api.api_version}/services/{service}/logs"
            answer = api.get(url, params=parameters, timeout=_LOG_S)
            return bytes(answer.content) if answer.ok else b""

        try:
            with self._connections:
                content = read(self.engine.client.api)
        except connection_errors():
            return []  # the next question to the manager itself finds out whose fault it was
        return _entries(content)

    def _quietly(self, question: Callable[[Any], object]) -> None:
        from docker.errors import APIError

        with contextlib.suppress(APIError):
            self._ask(question)

    def _ask(self, question: Callable[[Any], Answer]) -> Answer:
        """Ask the manager, and ask again while its connection is away. Raises ContainerError, and docker's APIError."""
        from docker.errors import APIError

        deadline: float | None = None
        while True:
            generation = self._generation
            try:
                with self._connections:
                    return question(self.engine.client.api)
            except APIError as error:
                # A manager that starts has no leader for a moment.
                if error.status_code not in {500, 503} or not _starting(str(error.explanation)):
                    raise
                broken: Exception = error
            except connection_errors() as error:
                broken = error
            deadline = deadline or time.monotonic() + self.patience_s
            if time.monotonic() > deadline:
                with boundary(self.where):
                    raise broken
            time.sleep(1.0)
            self._reconnect(generation)

    def _reconnect(self, generation: int) -> None:
        from docker.errors import DockerException

        with self._lock:
            if generation == self._generation:
                self._generation += 1
                with contextlib.suppress(DockerException, *connection_errors()):
                    self.engine.reconnect()


def _starting(explanation: str) -> bool:
    low = explanation.lower()
    return any(
        words in low for words in ("no leader", "not a swarm manager", "not yet", "raft", "context", "unavailable")
    )


def _entries(content: bytes) -> list[Entry]:
    """Return the lines of a log in the engine's framing: eight bytes say stream and length."""
    pieces, position = [], 0
    while position + _HEADER.size <= len(content):
        _, size = _HEADER.unpack_from(content, position)
        position += _HEADER.size
        pieces.append(content[position : position + size])
        position += size
    found = []
    for line in b"".join(pieces).decode(errors="replace").splitlines():
        stamp, _, text = line.partition(" ")
        found.append(Entry(stamp, text))
    return found


def labels_of(purpose: str, order: str, node: str, token: str) -> dict[str, str]:
    """Return the labels by which a service is found again."""
    return {LABEL: purpose, ORDER_LABEL: order, NODE_LABEL: node, TOKEN_LABEL: token}


def since(stamp: str) -> str:
    """Return a time of a log's as the engine takes it: seconds, a point, nanoseconds."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return f"{seconds}.{fraction or 0}"


def names_of(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the nodes' names; two that bear one are told apart by their ids."""
    names = [str(node["Description"]["Hostname"]) for node in nodes]
    return [
        name if names.count(name) == 1 else f"{name}-{node['ID'][:6]}" for name, node in zip(names, nodes, strict=True)
    ]
