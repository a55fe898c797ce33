"""The stable entry of `ab` into an environment: ``python -m edgebench worker``, whatever our modules are called.

``worker --protocols`` tells version and protocols; ``worker --protocol N QUESTION ANSWER`` answers one question, from
file to file. A run that is measured pays for no import that it does not need.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

import edgebench
from edgebench.ab.messages import PROTOCOLS, Greeting, PlanQuestion, RunQuestion
from edgebench.machine.child import die_with_parent
from edgebench.measure.messages import encode


def main(arguments: Sequence[str]) -> int:
    """Answer; return the exit code."""
    started_s = time.monotonic()
    parser = argparse.ArgumentParser(prog="edgebench worker")
    parser.add_argument("--protocols", action="store_true")
    parser.add_argument("--protocol", type=int, choices=PROTOCOLS)
    parser.add_argument("question", type=Path, nargs="?")
    parser.add_argument("answer", type=Path, nargs="?")
    given = parser.parse_args(arguments)
    if given.protocols:
        greeting = Greeting(edgebench=edgebench.__version__, protocols=PROTOCOLS)
        sys.stdout.write(f"{msgspec.json.encode(greeting).decode()}\n")
        return 0
    if given.protocol is None or given.answer is None:
        parser.error("name a protocol, the file of a question and the file for its answer")
    die_with_parent()
    question = msgspec.json.decode(given.question.read_bytes(), type=PlanQuestion | RunQuestion)
    if isinstance(question, RunQuestion):
        from edgebench.ab.rerun import answer_run

        answer = answer_run(question, started_s)
    else:
        from edgebench.ab.side import answer_plan

        answer = answer_plan(question, started_s)
    given.answer.write_bytes(encode(answer))
    return 0
