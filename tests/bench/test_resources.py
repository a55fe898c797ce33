"""What watching resources costs the workload: one ratio, interleaved, with every core in use."""

from __future__ import annotations

import contextlib
import math
import os
import time
from pathlib import Path
from statistics import fmean, median
from typing import Any

from msgspec.structs import replace

from edgebench.machine.facts import usable_cpus
from edgebench.machine.sampling import find_readers, samples
from edgebench.measure.messages import ProbeSettings
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.session.sampler import recorded
from tests.bench.conftest import Record
from tests.bench.test_figures import fp32_ir, measured, plain, worker_job

__all__ = ["plain"]
RATE_HZ = 2.0


def test_the_sampler_of_resources_does_not_move_latency(
    plain: dict[str, Any], cache: Path, tmp_path: Path, figure: Record
) -> None:
    threads = len(usable_cpus())
    job = replace(worker_job(fp32_ir(plain, cache)), threads=threads, cpus=tuple(usable_cpus()))
    logs = []
    for turn in range(16):
        pair = {}
        for side in ("on", "off") if turn % 2 else ("off", "on"):
            with Journal.open(tmp_path / f"{turn}-{side}", "figure") as journal, contextlib.ExitStack() as stack:
                log = Log(journal)
                if side == "on":
                    recording = stack.enter_context(recorded(log, RATE_HZ, ProbeSettings((), str(tmp_path))))
                    recording.begin()
                    time.sleep(2)  # its own start is not the question
                # The mean, as a rare interruption does not show in a median.
                pair[side] = fmean(measured(job).values)
        logs.append(math.log(pair["on"] / pair["off"]))
    centre = math.exp(median(logs)) - 1
    figure(
        f"latency with resources sampled at {RATE_HZ:g} Hz against not, all cores",
        f"{100 * centre:+.2f} % [{min(logs):+.3f}, {max(logs):+.3f}]",
        "within 0.5 %",
        abs(centre) <= 0.005,
    )


def test_a_sample_of_all_resources(figure: Record) -> None:
    """Processor time of the reads themselves, as the sampler does them."""
    found, _ = find_readers((), Path("/sys"), os.getpid())
    rows = samples(found, 500.0)
    next(rows)
    begun = time.process_time()
    for _ in range(500):
        next(rows)
    cost_s = (time.process_time() - begun) / 500
    figure(f"a sample of {len(found)} sources", f"{cost_s * 1e3:.2f} ms of a processor", "<= 1 ms", cost_s <= 1e-3)
