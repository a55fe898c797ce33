"""Commands on one node of a swarm, each as a service that runs once; what they write comes back whole."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgebench.errors import EXIT_KILLED, ContainerDiedError, ContainerError
from edgebench.launch.container import Settings
from edgebench.launch.follow import Ended
from edgebench.launch.frames import Frames
from edgebench.launch.order import CACHE, Order
from edgebench.launch.service import OUTBOX, Given, request, task_template, why_rejected
from edgebench.launch.swarm import SUITE, Swarm, labels_of, since

_ENDED = frozenset({"complete", "failed", "rejected", "shutdown", "orphaned", "remove"})
_WAITING = frozenset({"new", "pending", "assigned", "accepted"})
_PULLING_S = 1800  # a node may fetch a gigabyte over a slow line
_STOPPED_S = 40  # a container has 20 to end
_REPAIRS = 4


class AwayError(ContainerError):
    """A node does not answer its manager; what runs there goes on."""


class StoppedError(ContainerError):
    """The user stopped it."""


class Services:
    """What one launcher runs on one node. `stop` may be called from another thread at any time."""

    def __init__(self, swarm: Swarm, node: str, name: str, order: Order, interval_s: float) -> None:
        self.where = name
        self.stopping = False
        self.hurry = False  # do not wait for the partial report
        self._swarm, self._node, self._interval_s = swarm, node, interval_s
        self._order, self._title = order.digest, f"{order.profile.platform} {order.suite}"

    def run(self, settings: Settings) -> Ended:
        """Run a short command."""
        return self.kept(settings, secrets.token_hex(6), "look", lambda _: None, keep=False)

    def kept(
        self,
        settings: Settings,
        token: str,
        purpose: str,
        on_line: Callable[[str], None],
        given: Sequence[Given] = (),
        *,
        keep: bool = True,
    ) -> Ended:
        """Run a command, or go on with the one of that token; with `keep` what it writes stays in the node's cache.

        Raises AwayError, whose service goes on; any other error ends it.
        """
        command = [settings.entrypoint or "edgebench", *settings.command]
        place = f"{CACHE}/{OUTBOX}/{token}" if keep else ""
        title = self._title if purpose == SUITE else purpose
        template = task_template(settings, request(command, place), self._node, title, given)
        name = f"edgebench-{token}"
        service = self._swarm.create(name, template, labels_of(purpose, self._order, self._node, token))
        away = False
        try:
            try:
                frames = self._follow(service, settings.image, on_line)
            except StoppedError:
                frames = self._partial(service, token) if keep else Frames()
            return self._ended(frames, settings, token, keep=keep)
        except AwayError as error:
            away = keep
            raise AwayError(f"{error}: --resume goes on when it is back, `docker service rm {name}` ends it") from None
        finally:
            if not away:
                self._swarm.remove(service)

    def _follow(self, service: str, image: str, on_line: Callable[[str], None]) -> Frames:
        """Hand on the lines of progress until the service ended; return all frames that arrived."""
        frames, last, begun = Frames(), None, time.monotonic()
        presence = _Presence(self.where, self._swarm.patience_s, on_line)
        while True:
            if self.stopping:
                raise StoppedError(f"{self.where}: stopped")
            view = self._swarm.view()
            task = view.tasks.get(service)
            status = {"State": "new"} if task is None else task["Status"]
            state = status["State"]
            if not presence.check(view.nodes.get(self._node)):
                time.sleep(1.0)
            elif state == "rejected":
                raise why_rejected(_said(status), image, self.where)
            elif state == "running" or state in _ENDED:
                entries = self._swarm.log(service, last)
                frames.take([entry.text for entry in entries])
                last = since(max(entry.stamp for entry in entries)) if entries else last
                for line in frames.said():
                    on_line(line)
                if frames.end is not None or state in _ENDED:
                    return self._rest(service, frames, status)
                time.sleep(self._interval_s)
            else:
                limit = self._swarm.patience_s if state in _WAITING else _PULLING_S
                if time.monotonic() - begun > limit:
                    raise ContainerError(f"{self.where} never started the container ({_said(status)}): see that engine")
                time.sleep(0.3)

    def _rest(self, service: str, frames: Frames, status: Mapping[str, Any]) -> Frames:
        """Read a log that is at its end until it is whole; what never comes is asked for elsewhere."""
        for attempt in range(3):
            if frames.end is not None and not frames.missing():
                break
            time.sleep(0.3 * attempt)
            frames.take([entry.text for entry in self._swarm.log(service)])
        code = (status.get("ContainerStatus") or {}).get("ExitCode", -1)
        if frames.end is None and not frames.other and code not in {0, EXIT_KILLED, -1}:
            frames.other.append(_said(status) or f"exit code {code}")
        return frames

    def _partial(self, service: str, token: str) -> Frames:
        """End a service and return what it wrote; its own log is gone with it."""
        self._swarm.remove(service)
        deadline = time.monotonic() + _STOPPED_S
        while time.monotonic() < deadline and not self.hurry and not self._swarm.gone(token):
            time.sleep(0.5)
        return Frames()

    def _ended(self, frames: Frames, settings: Settings, token: str, *, keep: bool) -> Ended:
        """Return the end with all that was written; missing pieces are fetched from the node's cache."""
        content = frames.output()
        for _ in range(_REPAIRS if keep else 0):
            if content is not None or not self._again(frames, settings, token):
                break
            content = frames.output()
        if content is None:
            if frames.end is None and frames.other:
                return Ended(1, out_of_memory=False, stdout=b"", tail=tuple(frames.other))
            if frames.end is None:
                return Ended(EXIT_KILLED, out_of_memory=False, stdout=b"", tail=())
            raise ContainerDiedError(
                f"{self.where}: {len(frames.missing()) or 'some'} of the report's {frames.end.parts} pieces did not "
                "arrive: the same command with --resume fetches them"
            )
        assert frames.end is not None  # noqa: S101  # there is no output before
        assert frames.end.code is not None  # noqa: S101
        return Ended(frames.end.code, frames.end.memory, content, tuple(frames.tail))

    def _again(self, frames: Frames, settings: Settings, token: str) -> bool:
        """Have the node send what is missing; False where it has nothing."""
        cache = tuple(bind for bind in settings.binds if bind.target == CACHE)
        asked = request(None, f"{CACHE}/{OUTBOX}/{token}", frames.missing() or None)
        plain = Settings(image=settings.image, command=(), binds=cache, user=settings.user)
        other = secrets.token_hex(6)
        labels = labels_of("send", self._order, self._node, other)
        service = self._swarm.create(f"edgebench-{other}", task_template(plain, asked, self._node, "send"), labels)
        stopping, self.stopping = self.stopping, False
        try:
            with contextlib.suppress(ContainerError):
                sent = self._follow(service, settings.image, lambda _: None)
                frames.absorb(sent)
                return sent.end is not None
        finally:
            self.stopping = self.stopping or stopping
            self._swarm.remove(service)
        return False


def _said(status: Mapping[str, Any]) -> str:
    return str(status.get("Err") or status.get("Message") or "")


class _Presence:
    """Whether a node answers its manager; it is waited for, for some time."""

    def __init__(self, where: str, patience_s: float, tell: Callable[[str], None]) -> None:
        self._where, self._patience_s, self._tell = where, patience_s, tell
        self._away: float | None = None

    def check(self, node: Mapping[str, Any] | None) -> bool:
        """Return whether it answers; raises AwayError when it stayed away for too long."""
        if node is not None and node["Status"]["State"] == "ready":
            if self._away is not None:
                self._tell(f"{self._where} answers again")
            self._away = None
            return True
        if self._away is None:
            self._away = time.monotonic()
            self._tell(f"{self._where} does not answer its manager: waiting for it")
        if time.monotonic() - self._away > self._patience_s:
            raise AwayError(f"{self._where} does not answer its manager any more")
        return False
