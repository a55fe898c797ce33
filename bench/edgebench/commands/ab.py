"""The command `edgebench ab`: two environments, models or images measured in turns here, then the verdict."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import (
    EPILOG_VERDICT,
    leave_processors_alone,
    probe_specs,
    probes_asked,
    say,
    write_text,
)
from edgebench.commands.judging import add_verdict_options, policy_asked, rendered, write_page
from edgebench.commands.options import add_energy_options, add_input_options, count
from edgebench.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    ab = commands.add_parser(
        "ab",
        help="two environments, images or models interleaved on this machine, then the verdict",
        description="Measure a suite in two Python environments or container images, or two model files in this "
        "environment, alternating in random blocks, and judge HEAD.",
        epilog=EPILOG_VERDICT + ", 130 interrupted",
    )
    ab.add_argument(
        "base", metavar="BASE", help="venv:DIR, rev:REVISION, image:NAME, model:FILE, or a Python executable"
    )
    ab.add_argument("head", metavar="HEAD", help="the environment, image or model to judge")
    ab.add_argument("suite", metavar="SUITE", help="a suite that ships, or a file of yours")
    ab.add_argument("--pairs", metavar="N", type=count, default=10, help="pairs of runs a stage, 10 or more")
    ab.add_argument("--only", metavar="GLOB", help="only the benchmarks whose name matches")
    ab.add_argument("--threads", metavar="N", type=count, help="threads (default: usable physical cores)")
    ab.add_argument("--data", metavar="DIR", type=Path, help="CIFAR-10, or a folder of images (EDGEBENCH_DATA)")
    add_input_options(ab)
    ab.add_argument("--seed", metavar="N", type=int, default=None, help="of the order (default: the suite's)")
    ab.add_argument("--dry-run", action="store_true", help="say how long it takes and what it can find, run nothing")
    ab.add_argument("--resume", action="store_true", help="go on where a stopped comparison of these sides ended")
    add_energy_options(ab)
    add_verdict_options(ab)
    ab.set_defaults(command=_ab)


def _ab(arguments: argparse.Namespace) -> int:
    """Measure two environments interleaved and judge the head; the exit code is the verdict's."""
    leave_processors_alone()
    from edgebench.ab.ab import run_ab
    from edgebench.ab.image import images
    from edgebench.ab.request import MIN_PAIRS, Request, plan_text, prepare
    from edgebench.ab.sides import IMAGE, environment_of
    from edgebench.machine.facts import usable_cpus
    from edgebench.measure.messages import ProbeSettings

    policy, allowed = policy_asked(arguments)
    if arguments.pairs < MIN_PAIRS:
        raise UsageError(f"--pairs {arguments.pairs}: fewer than {MIN_PAIRS} pairs find too little: give more")
    specs = (arguments.base, arguments.head)
    # What a container can read is tried in it.
    inside = all(spec.startswith(IMAGE) for spec in specs)
    probes = ProbeSettings(probe_specs(arguments), arguments.sysfs) if inside else probes_asked(arguments)
    data = arguments.data or os.environ.get("EDGEBENCH_DATA")
    request = Request(
        suite=arguments.suite,
        cpus=tuple(usable_cpus()),
        pairs=arguments.pairs,
        only=arguments.only,
        threads=arguments.threads,
        data=Path(data) if data else None,
        seed=arguments.seed,
        probes=probes.specs,
        sysfs=probes.sysfs,
        shapes=tuple(arguments.shape),
        inputs=tuple(arguments.input),
        resume=arguments.resume,
    )
    watch = _Notes()
    with images(specs, request, watch.note) as found:
        sides = [found.get(place) or environment_of(spec, watch.note) for place, spec in enumerate(specs)]
        if arguments.dry_run:
            plans = prepare(sides, request, watch, artifacts=False)
            cells = [cell.estimate_s for cell in plans[0].cells]
            watch.note(plan_text(2 * request.pairs * sum(cells), request.pairs, len(cells), policy.margin))
            return EXIT_OK
        try:
            comparison = run_ab(sides[0], sides[1], request, policy, watch, allowed)
        except KeyboardInterrupt:
            watch.note("the runs that ended are kept: the same command with --resume goes on")
            raise
    write_page(comparison, arguments.html)
    write_text(rendered(comparison, arguments.format, everything=arguments.all), arguments.output)
    return comparison.exit_code


class _Notes:
    """Sentences on stderr, as progress goes there."""

    def note(self, text: str) -> None:
        """Write one sentence; what came from a child may hold anything."""
        say(text[:500])
