"""Whatever bytes a reader is given, it answers with what it read or with its documented error: quickly, in bounds."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import documents, meters
from tests.fuzz.reader import Reader

READERS: dict[str, Reader] = {**documents.READERS, **meters.READERS}
ROOT = Path(__file__).parents[2]


def _report(kind: str, old: str, new: str) -> bytes:
    """Return a small report with a benchmark of this kind, in which something was changed."""
    text = next(text for seed in documents.reports() if f'"kind": "{kind}"' in (text := seed.decode()))
    assert old in text
    return text.replace(old, new).encode()


# What the fuzzer found, each with what it did.
FOUND: dict[str, tuple[str, bytes]] = {
    "a plug's errors that are no list were a TypeError": ("plug", b'{"apower": 7.1, "errors": 5}'),
    "a parameter that is a list was a TypeError": (
        "report", _report("operator", '"variant": "baseline"', '"variant": [[[]]]'),
    ),
    "times near the largest number were an OverflowError": (
        "report", _report("sustained", '"t_s": [2.0', '"t_s": [-1e308'),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_valid_inputs_are_read(name: str) -> None:
    reader = READERS[name]
    for seed in reader.seeds():
        reader.take(seed)


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_stays_mended(what: str) -> None:
    name, data = FOUND[what]
    READERS[name].take(data)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.version_info >= (3, 14), reason="atheris has no wheel for this Python"
)
@pytest.mark.fuzz
@pytest.mark.parametrize("group", ["reports", "documents", "meters"])
@pytest.mark.parametrize(
    "seconds", [17, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(300)], id="long")]
)
def test_the_fuzzer_finds_nothing(group: str, seconds: int, tmp_path: Path) -> None:
    # From a small process: Linux takes the peak memory of who starts a program for that program's own, and libFuzzer
    # holds it to a limit.
    small = ["sh", "-c", '"$@"; exit $?', "sh"]
    done = subprocess.run(
        [*small, sys.executable, "-m", "tests.fuzz", group, str(seconds), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds + 90,
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith(("#", "INFO: Instrumenting"))]
    # What broke is on stdout, the input's path on stderr.
    assert done.returncode == 0, "\n".join([*done.stdout.splitlines()[-40:], *told[-60:]])
    assert "Done " in done.stderr, "it fuzzed to its end"
