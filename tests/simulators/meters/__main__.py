"""Run one simulated meter, so that other programs and containers can open its node.

    python -m tests.simulators.meters shizuku --power 5

prints the node and serves it until its standard input ends. Lines there change it: `power 12`, `jump 5`, `unplug`, or a
fault (`garbage`, `truncate`, `checksum`, `reorder`, `stop`, `ok`). With `--high W --period S` the power is a square
wave.
"""

from __future__ import annotations

import argparse
import sys

from tests.simulators.meters.bench import Wave
from tests.simulators.meters.devices import DEVICES


def main() -> None:
    """Serve one meter."""
    parser = argparse.ArgumentParser(prog="meters", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("meter", choices=DEVICES)
    parser.add_argument("--power", type=float, default=5.0, help="W")
    parser.add_argument("--high", type=float, help="W in the second half of each period")
    parser.add_argument("--period", type=float, default=1.0, help="s")
    parser.add_argument("--drift", type=float, default=0.0, help="ppm by which its clock is fast")
    arguments = parser.parse_args()
    high = arguments.power if arguments.high is None else arguments.high
    with DEVICES[arguments.meter](Wave(arguments.power, high, arguments.period)) as meter:
        meter.clock_rate = 1 + arguments.drift / 1e6
        sys.stdout.write(f"{meter.path}\n")
        sys.stdout.flush()
        for line in sys.stdin:
            meter.command(line)


if __name__ == "__main__":
    main()
