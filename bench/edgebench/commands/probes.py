"""The command `edgebench probes`: the doctor, live power, recordings, and a meter served to another machine."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import plain, probe_specs, stderr, stdout, write_text
from edgebench.commands.options import add_probe_options, seconds
from edgebench.commands.probes_measure import add_measure_options
from edgebench.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    probes = commands.add_parser(
        "probes",
        help="every energy source: usable, or why not",
        description="List the energy sources of this machine, with a reading, or the cause and the fix.",
    )
    actions = probes.add_subparsers(dest="action", metavar="ACTION")
    add_measure_options(actions)
    serve = actions.add_parser("serve", help="give a meter to another machine")
    probes.add_argument("--watch", action="store_true", help="live power until ctrl-C")
    probes.add_argument("--json", action="store_true", help="the list as data")
    probes.add_argument(
        "--record", metavar="FILE", type=Path, help="record one probe, to be played back by replay:FILE"
    )
    probes.add_argument("--seconds", metavar="S", type=seconds, default=60.0, help="how long to record (default 60)")
    serve.add_argument("--listen", metavar="[HOST:]PORT", default="127.0.0.1:8765", help="where to serve")
    serve.add_argument(
        "--token-file", metavar="FILE", help="a shared secret (EDGEBENCH_PROBE_TOKEN), needed beyond loopback"
    )
    add_probe_options(serve, inherited=True)
    add_probe_options(probes)
    probes.set_defaults(command=_probes)


def _probes(arguments: argparse.Namespace) -> int:
    """Do what was asked: serve, record, watch, or list every source with its cause and fix."""
    specs, sysfs = probe_specs(arguments), Path(arguments.sysfs)
    if arguments.action == "serve":
        return _serve(arguments, specs, sysfs)
    if arguments.record is not None:
        return _record(arguments, specs, sysfs)
    if arguments.watch:
        return _watch(specs, sysfs)
    from edgebench.render.probes import as_json, probes_table
    from edgebench_probes.catalogue.discover import discover, examine

    findings = examine(specs, sysfs) if specs else discover(sysfs)
    if arguments.json:
        write_text(as_json(findings), None)
    else:
        stdout().print(probes_table(findings))
    return EXIT_OK


def _watch(specs: Sequence[str], sysfs: Path) -> int:
    """Show the power of every probe until ctrl-C: a live chart on a terminal, a line a value when piped."""
    from edgebench.render.probes import Watch
    from edgebench_probes.live import live

    values = live(specs, sysfs)
    with contextlib.closing(values), Watch(stdout()) as shown, contextlib.suppress(KeyboardInterrupt):
        for value in values:
            shown.add(value.name, str(value.scope), value.watts, value.reason)
    return EXIT_OK


def _record(arguments: argparse.Namespace, specs: Sequence[str], sysfs: Path) -> int:
    from edgebench_probes.live import record

    if len(specs) != 1:
        raise UsageError("--record takes one probe: name it with --probe, as in --probe 'rapl?scope=package'")
    if arguments.record.exists():
        raise UsageError(f"--record {arguments.record}: exists already: name a new file")
    count = record(specs[0], arguments.record, arguments.seconds, sysfs)
    plain(stderr(), f"{arguments.record}: {count} samples; play it back with --probe replay:{arguments.record}")
    return EXIT_OK


def _serve(arguments: argparse.Namespace, specs: Sequence[str], sysfs: Path) -> int:
    """Serve one meter until ctrl-C."""
    from edgebench_probes.catalogue.discover import source_of
    from edgebench_probes.remote.server import serve
    from edgebench_probes.remote.source import read_token

    if len(specs) != 1:
        raise UsageError("serve takes one meter: name it with --probe, as in --probe shizuku:/dev/ttyACM0")
    console = stderr()

    def ready(address: str, info: object) -> None:
        del info
        plain(console, f"serving {specs[0]} on {address}; on the board: --probe tcp://{address} (ctrl-C ends)")

    with contextlib.suppress(KeyboardInterrupt):
        serve(source_of(specs[0], sysfs), arguments.listen, read_token(arguments.token_file), ready=ready)
    return EXIT_OK
