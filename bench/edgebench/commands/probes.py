"""The command `edgebench probes`: the doctor, live power, recordings, and a meter served to another machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


def probes(arguments: argparse.Namespace, specs: Sequence[str], stdout: Console, stderr: Console) -> int:
    """Do what was asked: serve, record, watch, or list every source with its cause and fix."""
    sysfs = Path(arguments.sysfs)
    if arguments.action == "serve":
        return _serve(arguments, specs, sysfs, stderr)
    if arguments.record is not None:
        return _record(arguments, specs, sysfs, stderr)
    if arguments.watch:
        return _watch(specs, sysfs, stdout)
    from edgebench.render.probes import as_json, probes_table
    from edgebench_probes.catalogue.discover import discover, examine

    findings = examine(specs, sysfs) if specs else discover(sysfs)
    if arguments.json:
        sys.stdout.write(as_json(findings))
    else:
        stdout.print(probes_table(findings))
    return 0


def _watch(specs: Sequence[str], sysfs: Path, console: Console) -> int:
    """Show the power of every probe until ctrl-C: a live chart on a terminal, a line a value when piped."""
    import contextlib

    from edgebench.render.probes import Watch
    from edgebench_probes.live import live

    values = live(specs, sysfs)
    with contextlib.closing(values), Watch(console) as shown, contextlib.suppress(KeyboardInterrupt):
        for value in values:
            shown.add(value.name, str(value.scope), value.watts, value.reason)
    return 0


def _record(arguments: argparse.Namespace, specs: Sequence[str], sysfs: Path, console: Console) -> int:
    from edgebench_probes.live import record

    if len(specs) != 1:
        raise UsageError("--record takes one probe: name it with --probe, as in --probe 'rapl?scope=package'")
    if arguments.record.exists():
        raise UsageError(f"--record {arguments.record}: exists already: name a new file")
    count = record(specs[0], arguments.record, arguments.seconds, sysfs)
    console.print(
        f"{arguments.record}: {count} samples; play it back with --probe replay:{arguments.record}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _serve(arguments: argparse.Namespace, specs: Sequence[str], sysfs: Path, console: Console) -> int:
    """Serve one meter until ctrl-C."""
    import contextlib

    from edgebench_probes.catalogue.discover import source_of
    from edgebench_probes.remote.server import serve
    from edgebench_probes.remote.source import read_token

    if len(specs) != 1:
        raise UsageError("serve takes one meter: name it with --probe, as in --probe shizuku:/dev/ttyACM0")

    def ready(address: str, info: object) -> None:
        del info
        text = f"serving {specs[0]} on {address}; on the board: --probe tcp://{address} (ctrl-C ends)"
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    with contextlib.suppress(KeyboardInterrupt):
        serve(source_of(specs[0], sysfs), arguments.listen, read_token(arguments.token_file), ready=ready)
    return 0
