"""Containers of this machine that wait for programs to be run in them, in turns with others."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import ContainerError
from edgebench.launch.board import Board, checked_image
from edgebench.launch.engine import Engine, boundary, connect
from edgebench.launch.follow import Containers, Lines
from edgebench.launch.order import EXCHANGE, waiting_settings

if TYPE_CHECKING:
    from edgebench.launch.order import Order
    from edgebench.launch.outcome import Tell

_TAIL_LINES = 200


@dataclass(frozen=True, slots=True)
class Executed:
    """How a program in a container ended: as `code` says, after `seconds` on the clock and `cpu_s` of the processors.

    `tail` are the last lines of its stderr.
    """

    code: int
    seconds: float
    cpu_s: float
    tail: tuple[str, ...]


class Held:
    """A waiting container of an order, of an `image` with its digest.

    `specs` are the probes as programs in it name them, `exchange` is the folder that they see as EXCHANGE.
    """

    def __init__(
        self,
        engine: Engine,
        container_id: str,
        order: Order,
        *,
        image: str,
        specs: Sequence[str],
        sysfs: str,
        exchange: Path,
    ) -> None:
        self.order = order
        self.image = image
        self.specs = tuple(specs)
        self.sysfs = sysfs
        self.exchange = exchange
        self._engine = engine
        self._id = container_id

    def inside(self, file: Path) -> str:
        """Return what a file of the exchange is called in the container."""
        return f"{EXCHANGE}/{file.relative_to(self.exchange)}"

    def run(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Executed:
        """Run a program to its end, with these variables besides the container's; `on_line` gets each stdout line.

        It is killed after `limit_s`. Raises ContainerError where the engine or the container is gone.
        """
        api = self._engine.client.api
        lines, said = Lines(), Lines()
        tail: list[str] = []
        with boundary(self._engine.where, self.image):
            before_s, begun_s = self._cpu_s(), time.monotonic()
            # The engine has no way to end one program of a container; coreutils and busybox have this.
            limited = ["timeout", "-s", "KILL", str(math.ceil(limit_s)), *words]
            asked = api.exec_create(self._id, limited, environment=dict(environment))["Id"]
            for out, err in api.exec_start(asked, stream=True, demux=True):
                for line in lines.take(out or b""):
                    (on_line or _unheard)(line)
                tail = [*tail, *said.take(err or b"")][-_TAIL_LINES:]
            seconds = time.monotonic() - begun_s
            code = api.exec_inspect(asked)["ExitCode"]
            if code is None:
                raise ContainerError(f"{self._engine.where}: the container of {self.image} was ended from outside")
            for line in lines.rest():
                (on_line or _unheard)(line)
            return Executed(int(code), seconds, self._cpu_s() - before_s, (*tail, *said.rest()))

    def _cpu_s(self) -> float:
        """Return the processor seconds of all that ever ran in the container."""
        told = self._engine.client.api.stats(self._id, stream=False, one_shot=True)
        return float(told["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9


@contextlib.contextmanager
def held(orders: Sequence[Order], exchange: Path, tell: Tell) -> Iterator[list[Held]]:
    """Give a waiting container an order, each with the least rights that give energy here; they end with the block.

    They also end when this process does, however that happens. `exchange` is a folder for files that go to and fro; it
    is open to every user in the containers. Raises ContainerError before any starts where the engine or an image is
    missing, or where the engine is another machine's.
    """
    engine = connect()
    try:
        if not engine.local:
            raise ContainerError(f"{engine.where} is another machine's engine: two images are compared on this one")
        images = [checked_image(engine, order, tell) for order in orders]
        with contextlib.ExitStack() as stack:
            found = []
            for number, (order, image) in enumerate(zip(orders, images, strict=True)):
                rights, specs = Board(order).granted(engine, image, tell)
                folder = exchange / str(number)
                folder.mkdir()
                # Root in a container without any right is a stranger to a folder of ours.
                folder.chmod(0o777)
                settings = waiting_settings(order, rights, image.name, image.digest, folder)
                with boundary(engine.where, image.name):
                    made = stack.enter_context(
                        Containers(engine, "ab").made(settings, stdin_open=True, auto_remove=True)
                    )
                    stack.callback(made.attach_socket(params={"stdin": 1, "stream": 1}).close)
                    made.start()
                found.append(
                    Held(
                        engine,
                        str(made.id),
                        order,
                        image=f"{image.name}@{image.digest}",
                        specs=specs,
                        sysfs=rights.environment.get("EDGEBENCH_SYSFS") or "/sys",
                        exchange=folder,
                    )
                )
            yield found
    finally:
        engine.close()


def _unheard(_: str) -> None:
    """Nobody listens."""
