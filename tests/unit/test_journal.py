"""The journal keeps every finished record through kills, torn lines and full disks, and refuses a foreign plan."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.errors import ReportError
from edgebench.report.journal import Journal

RECORDS: list[dict[str, Any]] = [
    {"type": "run", "values": [0.1, 1e-9, -0.0], "text": 'ünï "code" \n \u2028'},
    {"type": "benchmark", "crc": "00000000", "record": {"nested": [None, True]}},
    {"type": "end"},
]


def _written(path: Path) -> bytes:
    path.unlink(missing_ok=True)
    with Journal.open(path, "plan") as journal:
        for record in RECORDS:
            journal.append(record)
    return path.read_bytes()


def test_a_journal_resumes_with_all_its_records(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    _written(path)
    with Journal.open(path, "plan") as journal:
        assert journal.resumed
        assert journal.records() == RECORDS
        journal.append({"type": "more"})
    with Journal.open(path, "plan") as journal:
        assert journal.records() == [*RECORDS, {"type": "more"}]
        journal.remove()
    assert not path.exists()


@settings(max_examples=25, deadline=None)  # every example syncs a real file several times
@given(cut=st.integers(min_value=0))
def test_cut_anywhere_it_keeps_the_whole_records_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.journal"
    whole = _written(path)
    path.write_bytes(whole[: cut % (len(whole) + 1)])
    kept = max(0, path.read_bytes().count(b"\n") - 1)
    with Journal.open(path, "plan") as journal:
        assert journal.records() == RECORDS[:kept]
        journal.append({"type": "after"})
    with Journal.open(path, "plan") as journal:
        assert journal.records() == [*RECORDS[:kept], {"type": "after"}]


@settings(max_examples=25, deadline=None)  # as above
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_never_taken_for_a_record(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.journal"
    content = bytearray(_written(path))
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    with contextlib.suppress(ReportError), Journal.open(path, "plan") as journal:
        found = journal.records()
        assert found == RECORDS[: len(found)]


def test_another_plan_is_refused_and_its_records_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    before = _written(path)
    with pytest.raises(ReportError, match="belongs to another plan"):
        Journal.open(path, "other plan")
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"notes of mine", b"one\ntwo\n", b"{}", b'{"crc":"12"}\n{"crc":"34"}\n'])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ReportError, match="journal"):
        Journal.open(path, "plan")
    assert path.read_bytes() == content


def test_two_sessions_cannot_share_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    code = (
        "import sys; from pathlib import Path; from edgebench.report.journal import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]), 'plan')\n"
        "sys.stdout.write('open\\n'); sys.stdout.flush(); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(ReportError, match="Another edgebench"):
            Journal.open(path, "plan")
        other.kill()
    Journal.open(path, "plan").close()


def test_nothing_that_append_returned_for_is_lost_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    code = (
        "import itertools, sys; from pathlib import Path; from edgebench.report.journal import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]), 'plan')\n"
        "for number in itertools.count():\n"
        "    journal.append({'type': 'run', 'number': number, 'values': [0.1] * 500})\n"
        "    sys.stdout.write(f'{number}\\n'); sys.stdout.flush()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        told = 20 + len(writer.stdout.read().split())
    with Journal.open(path, "plan") as journal:
        numbers = [record["number"] for record in journal.records()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= told


def test_a_full_disk_leaves_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    code = (
        "import resource, sys; from pathlib import Path; from edgebench.report.journal import Journal\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "journal = Journal.open(Path(sys.argv[1]), 'plan')\n"
        "journal.append({'type': 'small'}); journal.append({'type': 'large', 'text': 'x' * 10_000})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "what was measured before is kept" in done.stderr
    assert path.read_bytes().endswith(b"}\n")
    with Journal.open(path, "plan") as journal:
        assert journal.records() == [{"type": "small"}]


def test_what_is_not_json_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "a.journal", "plan") as journal:
        with pytest.raises(ValueError, match="Out of range"):
            journal.append({"type": "run", "value": float("nan")})
        assert journal.records() == []
    with pytest.raises(ReportError, match="is closed"):
        journal.append({"type": "run"})
    with pytest.raises(ReportError, match="cannot be opened"):
        Journal.open(tmp_path / "none" / "a.journal", "plan")
