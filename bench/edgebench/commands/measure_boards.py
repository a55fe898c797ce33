"""Boards of `edgebench run` measured at once, each to its report; what an earlier run finished is left out."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from edgebench.commands.console import plain
from edgebench.commands.finished import Finished
from edgebench.commands.targets import Targets
from edgebench.errors import EdgebenchError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from edgebench.launch.fleet import Runner
    from edgebench.launch.order import Order
    from edgebench.launch.outcome import Outcome
    from edgebench.render.launch import BoardLines
    from edgebench.report.io import Reservation

# What is held on the disk for a report while a board measures.
_RESERVED_BYTES = 16 * 2**20
# Of many boards together: reports are small, and a full disk is told by whoever writes.
_RESERVED_AT_MOST = 512 * 2**20


def on_swarm(arguments: argparse.Namespace, order: Order, console: Console) -> int:
    """Run a suite on every node of a swarm that fits."""
    from edgebench.launch.service import check_order
    from edgebench.launch.swarm import Swarm
    from edgebench.launch.swarmnode import Files, swarm_nodes

    if arguments.printed is not None:
        raise UsageError("--print shows one board's `docker run` line: leave --swarm out")
    check_order(order)
    swarm = Swarm(arguments.swarm or None, None, arguments.node_timeout)
    files = Files(swarm, order)
    try:
        nodes, remarks = swarm_nodes(swarm, order, arguments.node_label, files)
        for remark in remarks:
            plain(console, remark)
        return measure(nodes, order, arguments.output, console, several=True)
    finally:
        files.remove()
        swarm.close()


def measure(boards: Sequence[Runner], order: Order, output: str | None, console: Console, *, several: bool) -> int:
    """Measure every board and write its report as soon as it is there; return the worst exit code."""
    from edgebench.launch.fleet import Watcher, exit_code, run_all
    from edgebench.render.launch import BoardLines
    from edgebench.report.io import reserve

    targets = Targets(output, order.suite, several=several)
    finished = Finished(targets.folder, order) if several and targets.folder is not None and order.report else None
    if finished is not None:
        boards = _unfinished(boards, finished, console)
    with ExitStack() as stack:
        room = min(_RESERVED_BYTES * len(boards), _RESERVED_AT_MOST)
        held = stack.enter_context(reserve(targets.folder, room)) if targets.folder else None
        lines = stack.enter_context(BoardLines(console, [board.name for board in boards], several=several))
        deliveries = _Deliveries(boards, targets, finished, held, lines)
        results = run_all(boards, Watcher(lines.tell, deliveries.done))
    if deliveries.unexpected:
        raise deliveries.unexpected[0]
    return exit_code([*results, *deliveries.failures])


class _Deliveries:
    """What boards bring goes to its files and onto the screen; any thread."""

    def __init__(
        self,
        boards: Sequence[Runner],
        targets: Targets,
        finished: Finished | None,
        held: Reservation | None,
        lines: BoardLines,
    ) -> None:
        self.unexpected: list[Exception] = []
        self.failures: list[Outcome | Exception] = []
        self._releasing = threading.Lock()
        self._boards, self._targets, self._finished, self._held, self._lines = boards, targets, finished, held, lines

    def done(self, index: int, result: Outcome | Exception) -> None:
        """Deliver what a board brought, or say why it brought nothing."""
        from edgebench.launch.outcome import Outcome

        try:
            if isinstance(result, Outcome):
                self._deliver(index, result)
            elif isinstance(result, EdgebenchError):
                self._lines.tell(index, f"edgebench: {result}")
            else:
                self.unexpected.append(result)
        except EdgebenchError as error:
            self._lines.tell(index, f"edgebench: {error}")
            self.failures.append(Outcome(error.exit_code))
        except Exception as error:  # noqa: BLE001  # told once all boards have ended
            self.unexpected.append(error)
        self._lines.ended(index)

    def _deliver(self, index: int, outcome: Outcome) -> None:
        with self._releasing:
            if self._held is not None:
                self._held.release()
        board = self._boards[index]
        written, said = self._targets.write(board.name, outcome)
        if self._finished is not None and written is not None and outcome.complete:
            self._finished.add(board.key, written)
        for line in said:
            self._lines.tell(index, line)


def _unfinished(boards: Sequence[Runner], finished: Finished, console: Console) -> Sequence[Runner]:
    """Return the boards that lack a complete report, and say which have one."""
    for board in boards:
        if (report := finished.report_of(board.key)) is not None:
            plain(console, f"{board.name}: has its report already: {report}")
    return [board for board in boards if finished.report_of(board.key) is None]
