"""Text of others on a terminal, in JSON and in a spreadsheet: shown, never obeyed."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgebench.report.text import clean, clean_lines, json_text, spreadsheet_cell

NASTY = st.text(st.characters(codec="utf-8") | st.sampled_from("\x1b\x9b\u202e\u2066\ufeff\u2028\r\n\t=@+-"))


def obeyed(text: str) -> bool:
    return any(unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp", "Cs"} for char in text.replace("\n", ""))


@given(NASTY)
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    assert not obeyed(clean(text))
    assert not obeyed(clean_lines(text))
    assert "\n" not in clean(text)


@given(st.recursive(NASTY | st.floats(allow_nan=False, allow_infinity=False), lambda s: st.lists(s, max_size=4)))
def test_json_says_the_same_and_is_safe_to_print(value: object) -> None:
    shown = json_text(value)
    assert json.loads(shown) == value
    assert not any(char in shown for char in "\x1b\x7f\x9b\u202e\u2066\u2028\ufeff")


@given(NASTY)
def test_a_cell_is_never_a_formula(text: str) -> None:
    cell = spreadsheet_cell(text)
    assert isinstance(cell, str)
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))


def test_a_key_of_a_suite_file_cannot_drive_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "escape.toml"
    file.write_text('name="b"\n"\\u001b[31mkey\\u009b2J\\u202e"=1\n', encoding="utf-8")
    command = [sys.executable, "-m", "edgebench", "suite", str(file), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown key" in done.stderr
    assert not obeyed(done.stderr)
