"""A machine with a simulated meter that serves it to others, with a clock of its own.

    python -m tests.simulators.meters.serving --listen 127.0.0.1:0 --offset 3600 --drift 200

prints the address it listens on and serves until its standard input ends. A line there is a command to the meter, or
`clock SECONDS`, which sets the machine's clock on.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time

from edgebench_probes.base import ProbeError
from edgebench_probes.meters import METERS
from edgebench_probes.remote.source import read_token, serve
from edgebench_probes.spec import parse_spec
from tests.simulators.meters.bench import Wave
from tests.simulators.meters.devices import Shizuku


class Clock:
    """CLOCK_MONOTONIC of another machine: set off, and fast by some ppm."""

    def __init__(self, offset_s: float, drift_ppm: float) -> None:
        self.offset_ns = round(offset_s * 1e9)
        self._rate = drift_ppm / 1e6
        self._since = time.monotonic_ns()

    def __call__(self, ns: int) -> int:
        """Its time at a time of ours."""
        return ns + self.offset_ns + round((ns - self._since) * self._rate)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve a square wave."""
    parser = argparse.ArgumentParser(prog="serving", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--token-file")
    parser.add_argument("--low", type=float, default=2.0)
    parser.add_argument("--high", type=float, default=9.0)
    parser.add_argument("--period", type=float, default=0.5)
    parser.add_argument("--offset", type=float, default=0.0, help="s by which its clock is ahead")
    parser.add_argument("--drift", type=float, default=0.0, help="ppm by which its clock is fast")
    parser.add_argument("--wait", action="store_true", help="wait for a line before anything else")
    arguments = parser.parse_args()
    if arguments.wait:
        sys.stdin.readline()
    clock, stop = Clock(arguments.offset, arguments.drift), threading.Event()
    with Shizuku(Wave(arguments.low, arguments.high, arguments.period)) as meter:

        def control() -> None:
            for line in sys.stdin:
                if line.startswith("clock "):
                    clock.offset_ns += round(float(line.split()[1]) * 1e9)
                else:
                    meter.command(line)
            stop.set()

        threading.Thread(target=control, daemon=True).start()
        source = METERS["shizuku"](parse_spec(f"shizuku:{meter.path}"))
        try:
            serve(
                source,
                arguments.listen,
                read_token(arguments.token_file),
                ready=lambda address, _info: _say(address),
                stop=stop,
                clock=clock,
            )
        except ProbeError as error:
            _say(f"error: {error}")


if __name__ == "__main__":
    main()
