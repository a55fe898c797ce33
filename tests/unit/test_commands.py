"""The command line itself: errors that help, completion, silence, and the reference that is written from it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import jsonschema
import pytest
from tests import manual

from edgebench.plan.suites import builtin_suites


def edgebench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((sys.executable, "-m", "edgebench", *arguments), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("suit", "unknown command 'suit' (did you mean suite?)"),
        ("", "COMMAND is missing ('edgebench --help' tells more)"),
        ("suite smoke --oly x", "suite: there is no option --oly (did you mean --only?) ('edgebench suite --help'"),
        ("suite smok", "no suite or file is called 'smok' (did you mean smoke?)"),
        ("suite smoke twice", "suite: 'twice' is one argument too many"),
        ("show", "show: REPORT is missing"),
        ("show --html", "show: argument --html: expected one argument"),
        ("export x --format pyperv", "export: unknown --format 'pyperv' (did you mean pyperf?)"),
        ("image buidl", "image: unknown command 'buidl' (did you mean build?)"),
        ("probes measur", "probes: unknown action 'measur' (did you mean measure?)"),
    ],
)
def test_a_slip_is_told_in_one_sentence_with_what_was_meant(line: str, told: str) -> None:
    done = edgebench(*line.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"edgebench: {told}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_options_and_suites(shell: str) -> None:
    done = edgebench("completion", shell)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("compare", "--probe-optional".lstrip("-"), "n150-compression"))


def test_bash_completes_a_suite() -> None:
    script = edgebench("completion", "bash").stdout
    ask = "COMP_WORDS=(edgebench suite n15); COMP_CWORD=2; _shtab_edgebench; printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(("bash", "-c", f"{script}\n{ask}"), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["n150-compression"]


def test_a_suite_is_printed_as_it_ships_and_fits_the_schema_that_is_printed() -> None:
    schema = json.loads(edgebench("suite", "--schema").stdout)
    for name, path in builtin_suites().items():
        text = edgebench("suite", name, "--print").stdout if name == "smoke" else path.read_text(encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")
        jsonschema.validate(tomllib.loads(text), schema)
    with pytest.raises(jsonschema.ValidationError, match="prozesses"):
        jsonschema.validate({"name": "x", "measure": {"prozesses": 3}}, schema)


def test_the_reference_is_that_of_this_command_line() -> None:
    for path, text in manual.pages().items():
        if path.suffix == ".1" and sys.version_info[:2] != (3, 11):
            continue  # argparse words its own options otherwise
        assert path.read_text(encoding="utf-8") == text, "run: python -m tests.manual"
