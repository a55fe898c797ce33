"""Real sessions of unchanged code on this machine, each compared with the ones before: what CI would have said.

    python -m tests.statistical.sessions FOLDER --sessions 20

measures until FOLDER has so many reports (a stopped series goes on, `--wait N` pauses between two), then prints the
table of docs/evidence.md. What a folder has is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SUITE = Path(__file__).with_suffix(".toml")
PROGRAM = (sys.executable, "-c", "import sys; from edgebench.commands.main import main; sys.exit(main())")


@dataclass(frozen=True, slots=True)
class Judged:
    """What one comparison said, and the change of each latency it saw."""

    verdict: str
    changes: tuple[float, ...]


def measure(folder: Path, number: int) -> None:
    """Measure one more session into ``folder/NN.json``, with the load before and after it beside it."""
    report = folder / f"{number:02}.json"
    if report.exists():
        return
    before, began = os.getloadavg()[0], time.monotonic()
    command = [*PROGRAM, "suite", str(SUITE), "--resume", "-o", str(report)]
    environment = {**os.environ, "EDGEBENCH_CACHE": str(folder / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if not report.exists():
        raise SystemExit(f"session {number} gave no report:\n{done.stderr}")
    load = {"before": before, "after": os.getloadavg()[0], "seconds": time.monotonic() - began}
    report.with_suffix(".load").write_text(json.dumps(load) + "\n", encoding="utf-8")


def judge(folder: Path, number: int) -> Judged:
    """Compare session `number` with the one before it; all earlier ones are its history."""
    with TemporaryDirectory() as history:
        for earlier in range(number - 1):
            Path(history, f"{earlier:02}.json").symlink_to((folder / f"{earlier:02}.json").resolve())
        sides = [str(folder / f"{place:02}.json") for place in (number - 1, number)]
        more = ["--history", history] if number > 1 else []
        command = [*PROGRAM, "compare", *sides, *more, "--format", "json"]
        said = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return Judged(said["verdict"], tuple(changes(said)))


def changes(said: dict[str, Any]) -> list[float]:
    """Return the change of every latency of a verdict."""
    found = [row for row in said.get("findings", []) if row["metric"] == "latency_s"]
    return [row["change"] for row in found if row.get("change") is not None]


def as_markdown(folder: Path, judged: list[Judged]) -> str:
    """Return the table: verdicts by how much history there was, and the noise that they had to judge."""
    lines = ["| history | sessions | PASS | IMPROVED | INCONCLUSIVE | REGRESSED |", "|---|--:|--:|--:|--:|--:|"]
    parts = (("none", judged[:1]), ("1 to 8", judged[1:9]), ("9 and more", judged[9:]), ("all", judged))
    for name, part in parts:
        counts = Counter(one.verdict for one in part)
        shown = [str(counts[verdict]) for verdict in ("PASS", "IMPROVED", "INCONCLUSIVE", "REGRESSED")]
        lines.append(f"| {name} | {len(part)} | {' | '.join(shown)} |")
    jumps = [abs(change) for one in judged for change in one.changes]
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("??.json"))]
    loads = [json.loads(path.read_text(encoding="utf-8"))["before"] for path in sorted(folder.glob("??.load"))]
    disturbed = sum(any(notice["code"] == "other-load" for notice in one.get("warnings", [])) for one in reports)
    lines += [
        "",
        (
            f"Latencies of two neighbouring sessions differ by {statistics.median(jumps):.1%} (median) and "
            f"{max(jumps):.0%} at most; {disturbed} of {len(reports)} sessions warn of other load; the load average "
            f"before them was {statistics.median(loads):.1f} (median) of {os.cpu_count()} processors."
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is missing, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--wait", type=float, default=0.0, help="seconds between two sessions")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for number in range(asked.sessions):
        measure(asked.folder, number)
        time.sleep(asked.wait if number + 1 < asked.sessions else 0)
    judged = [judge(asked.folder, number) for number in range(1, asked.sessions)]
    sys.stdout.write(as_markdown(asked.folder, judged))


if __name__ == "__main__":
    main()
