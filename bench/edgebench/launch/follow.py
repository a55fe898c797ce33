"""One container on one engine: made, followed, stopped when asked, and removed whatever happens."""

from __future__ import annotations

import codecs
import contextlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench.errors import ContainerError
from edgebench.launch.container import LABEL, Settings, create_arguments
from edgebench.launch.engine import Engine, boundary, connection_errors
from edgebench.report.io import MAX_BYTES

if TYPE_CHECKING:
    from docker.models.containers import Container

# A container asked to end writes its partial report within this; then the engine kills it.
STOP_S = 20
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_TRIES = 3
_RECONNECTS = 8  # about a minute and a half in all


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended: its exit code, whether the kernel killed it for memory, its stdout, its last lines."""

    code: int
    out_of_memory: bool
    stdout: bytes
    tail: tuple[str, ...]


class Containers:
    """The containers of one board, one after the other. `stop` may be called from another thread at any time."""

    def __init__(self, engine: Engine, purpose: str) -> None:
        self.engine = engine
        self.stopping = False
        self._purpose = purpose
        self._lock = threading.Lock()
        self._current: Container | None = None

    def run(
        self,
        settings: Settings,
        on_line: Callable[[str], None] | None = None,
        prepare: Callable[[Container], None] | None = None,
    ) -> Ended:
        """Run a container to its end; `on_line` gets each line of its stderr, `prepare` the container before it starts.

        Raises ContainerError, also when `stop` was called before the container could start.
        """
        with boundary(self.engine.where, settings.image), self.made(settings) as made:
            if prepare is not None:
                prepare(made)
            with self._lock:
                if self.stopping:
                    raise ContainerError("stopped before the container was started")
                made.start()
                self._current = made
            try:
                container, tail = self._follow(made, on_line or (lambda _: None))
                code = container.wait(timeout=60)["StatusCode"]
            finally:
                with self._lock:
                    self._current = None
            container.reload()
            stdout = _bounded(container.logs(stdout=True, stderr=False, stream=True, follow=False))
            return Ended(code, bool(container.attrs["State"].get("OOMKilled")), stdout, tuple(tail))

    def accepts(self, settings: Settings) -> bool:
        """Whether the engine would make such a container: it refuses to bind a path that its machine lacks."""
        try:
            with boundary(self.engine.where, settings.image), self.made(settings):
                return True
        except ContainerError:
            return False

    def stop(self, grace_s: int = STOP_S) -> None:
        """Ask the running container to end, and have it killed after a grace; no other starts any more."""
        with self._lock:
            self.stopping = True
            current = self._current
        if current is not None:
            with contextlib.suppress(ContainerError), boundary(self.engine.where):
                current.stop(timeout=grace_s)

    @contextlib.contextmanager
    def made(self, settings: Settings, **more: Any) -> Iterator[Container]:
        """Give a container that is made and not started, removed at the end; `more` goes to docker's SDK as it is."""
        labels = {LABEL: self._purpose}
        name = f"edgebench-{secrets.token_hex(6)}"
        container = self.engine.client.containers.create(name=name, **create_arguments(settings, labels), **more)
        try:
            yield container
        finally:
            self._remove(str(container.id))

    def _remove(self, container_id: str) -> None:
        """Remove a container and its nameless volumes; one that is gone already is no error."""
        from docker.errors import NotFound

        for attempt in range(_TRIES):
            try:
                if attempt:
                    time.sleep(0.5 * attempt)
                    self.engine.reconnect()
                self.engine.client.api.remove_container(container_id, force=True, v=True)
            except NotFound:
                return
            except Exception:  # noqa: BLE001, S112  # what raised first is the cause to tell; try again, then leave it
                continue
            else:
                return

    def _follow(self, container: Container, on_line: Callable[[str], None]) -> tuple[Container, list[str]]:
        """Hand on the lines of stderr until the container ends; return it, and the last lines.

        Where the connection breaks it is made anew, for some time; the container goes on meanwhile.
        """
        tail: list[str] = []
        seen = failures = 0
        while True:
            lines, skipped = Lines(), seen
            try:
                for chunk in container.logs(stdout=False, stderr=True, stream=True, follow=True):
                    failures = 0
                    for line in lines.take(chunk):
                        if skipped:
                            skipped -= 1
                            continue
                        seen += 1
                        on_line(line)
                        tail = [*tail[-9:], line]
                container.reload()
            except connection_errors() as error:
                failures += 1
                container = self._again(container, error, failures)
            if container.status not in {"running", "created", "restarting"}:
                break
            time.sleep(0.2)
        for line in lines.rest():
            on_line(line)
            tail.append(line)
        return container, tail

    def _again(self, container: Container, error: BaseException, failures: int) -> Container:
        """Return the same container over a new connection; raises ContainerError when the board stays away."""
        for attempt in range(failures, _RECONNECTS):
            time.sleep(min(2.0**attempt, 15.0))
            with contextlib.suppress(*connection_errors()):
                self.engine.reconnect()
                found = self.engine.client.containers.get(str(container.id))
                with self._lock:
                    self._current = found
                return found
        raise ContainerError(
            f"the connection to {self.engine.where} broke and does not come back: the container goes on there; on the "
            f"board `docker logs {container.name}` has its report and `docker rm --force {container.name}` ends it"
        ) from error


class Lines:
    """Lines out of pieces of UTF-8, without what would move a terminal's cursor or colour it."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._text = ""

    def take(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that are complete with this piece."""
        *whole, self._text = (self._text + self._decoder.decode(chunk)).split("\n")
        for line in whole:
            yield _CONTROL.sub("", line)

    def rest(self) -> Iterator[str]:
        """Yield what came after the last line's end."""
        if text := _CONTROL.sub("", self._text + self._decoder.decode(b"", final=True)):
            yield text


def _bounded(chunks: Any) -> bytes:
    """Return a stream's bytes; raises ContainerError for more than a report may have."""
    found, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_BYTES:
            raise ContainerError(f"the container wrote more than the {MAX_BYTES // 2**20} MiB a report may have")
        found.append(chunk)
    return b"".join(found)
