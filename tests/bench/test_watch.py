"""What the watch over energy windows costs a workload that shares its processor: 16 pairs, with and without it."""

from __future__ import annotations

import contextlib
import math
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from unittest import mock

import numpy as np
from scipy.stats import t

from edgebench_probes.base import Scope, WindowInvalid
from edgebench_probes.sampling.watch import WATCH
from edgebench_probes.sources.perf import Event, perf_event_open
from edgebench_probes.sources.powercap import Zone, ZoneCounter
from edgebench_probes.summed import CounterProbe
from tests.bench.conftest import Record

PAIRS = 16
SECONDS = 1.5
INSTRUCTIONS = Event("instructions", Scope.CORE, 0, 1, 1.0, (0,))  # PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS


def meter(cpu: int) -> tuple[str, Callable[[], int]]:
    """Instructions of everything on one processor where it counts them, else the clock."""
    try:
        fd = perf_event_open(INSTRUCTIONS, cpu)
    except OSError:
        return "time", time.perf_counter_ns
    return "instructions", lambda: int.from_bytes(os.read(fd, 24)[:8], "little")


def test_the_watch_costs_a_workload_on_its_own_processor(tmp_path: Path, figure: Record) -> None:
    for name, text in (("max_energy_range_uj", "262143328850"), ("energy_uj", "123456789012")):
        (tmp_path / name).write_text(f"{text}\n")
    cpu = min(os.sched_getaffinity(0))
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    what, count = meter(cpu)
    matrix = np.random.default_rng(0).random((64, 64), dtype=np.float32)

    def passes(number: int) -> int:
        begun = count()
        for _ in range(number):
            matrix @ matrix
        return count() - begun

    def watched(number: int) -> int:
        zone = Zone("intel-rapl", "", "package-0", tmp_path, Scope.PACKAGE)
        # The file stands still, so that nothing but the watch takes a processor.
        alive = mock.patch.object(ZoneCounter, "check_alive")
        with alive, CounterProbe("bench", "bench", Scope.PACKAGE, [ZoneCounter(zone)]) as probe:
            assert WATCH._process is not None
            os.sched_setaffinity(WATCH._process.pid, {cpu})  # else it keeps off the workload's processor
            start = probe.mark()
            spent = passes(number)
            shares.append(WATCH.share())
            with contextlib.suppress(WindowInvalid):  # asking tells the length of the next window
                probe.energy(start, probe.mark())
        return spent

    shares: list[float] = []
    try:
        begun = time.perf_counter()
        passes(2000)
        number = round(2000 * SECONDS / (time.perf_counter() - begun))
        logs = []
        for _ in range(PAIRS):
            first, second = random.sample([watched, passes], 2)
            spent = {run: run(number) for run in (first, second)}
            logs.append(math.log(spent[watched] / spent[passes]))
    finally:
        os.sched_setaffinity(0, allowed)
    half = float(t.ppf(0.975, PAIRS - 1)) * stdev(logs) / math.sqrt(PAIRS)
    low, middle, high = (100 * math.expm1(fmean(logs) + side) for side in (-half, 0, half))
    figure(
        f"{what} of a workload with the watch on its processor, against without",
        f"{middle:+.2f} % [{low:+.2f}, {high:+.2f}]",
        "within 0.1 %, or not told from 0",
        middle <= 0.1 or low <= 0,
    )
    share = 100 * fmean(shares)
    figure("the watch's share of that processor", f"{share:.3f} %", "<= 0.1 %", share <= 0.1)
