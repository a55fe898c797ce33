"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any


def add_suite_options(suite: argparse.ArgumentParser) -> None:
    """Add what `suite` and `run` have in common."""
    suite.add_argument("-o", "--output", metavar="FILE", help="where the report goes; - is standard output")
    suite.add_argument("--only", metavar="GLOB", help="only the benchmarks whose name matches")
    suite.add_argument("--dry-run", action="store_true", help="print the plan and an estimated time, run nothing")
    suite.add_argument("--resume", action="store_true", help="go on where a stopped session of this plan ended")
    suite.add_argument(
        "--commit",
        metavar="REVISION",
        help="of your project, which is measured: HEAD, a tag, a commit (EDGEBENCH_COMMIT, GITHUB_SHA, CI_COMMIT_SHA)",
    )
    suite.add_argument(
        "--unit",
        metavar="NAME",
        type=unit_name,
        help="which of several equal boards this is (EDGEBENCH_UNIT; else a digest of the machine's id; '': left out)",
    )
    model = suite.add_argument_group("model and data")
    model.add_argument(
        "--model",
        metavar="FILE",
        type=Path,
        help="measure this .onnx, .xml, .tflite, .pt2, .gguf or .litertlm, or a language model's folder",
    )
    add_input_options(model)
    model.add_argument(
        "--calibration", metavar="DIR", type=Path, help="samples for static INT8, .npy or .npz by input (of --model)"
    )
    model.add_argument(
        "--text", metavar="FILE", type=Path, help="what a language model reads, for prompt and perplexity"
    )
    model.add_argument("--bundle", metavar="DIR", help="models and data from 'edgebench prepare' (EDGEBENCH_BUNDLE)")
    add_training_options(model)
    measuring = suite.add_argument_group("measuring")
    measuring.add_argument("--processes", metavar="N", type=count, help="runs (worker processes) a benchmark")
    measuring.add_argument(
        "--precision",
        metavar="2%",
        type=half_width,
        help="as many runs as bring every 95 %% interval within so much of its figure",
    )
    measuring.add_argument(
        "--max-minutes", metavar="N", type=minutes, help="with --precision: of measuring at most (the suite's: 30)"
    )
    measuring.add_argument("--values", metavar="N", type=count, help="timed values a run")
    measuring.add_argument(
        "--time-limit", metavar="SECONDS", type=seconds, help="how long a run may take, then it is killed"
    )
    measuring.add_argument("--passes", metavar="N", type=count, help="timed passes a run (and at most as many before)")
    measuring.add_argument(
        "--prompt-tokens", metavar="N,N", type=counts, help="language models: lengths of the prompt, such as 128,512"
    )
    measuring.add_argument("--generate", metavar="N", type=answer, help="language models: tokens of an answer")
    measuring.add_argument(
        "--batch", metavar="N,N", type=counts, help="language models: requests made at once, such as 1,4"
    )
    measuring.add_argument("--threads", metavar="N", type=count, help="threads (default: usable physical cores)")
    measuring.add_argument(
        "--resources-hz", metavar="HZ", type=rate, help="samples a second of the resources in use (default 2; 0: off)"
    )
    measuring.add_argument(
        "--isa", choices=("avx2", "avx2_vnni", "avx512_core", "avx512_core_vnni"), help="ISA ceiling"
    )
    add_energy_options(suite)


def add_input_options(parser: Any) -> None:
    """Add what is said of the inputs of a model of one's own."""
    parser.add_argument(
        "--shape", metavar="[INPUT=]1x3x224x224", action="append", default=[], help="fix an input's shape (of a model)"
    )
    parser.add_argument(
        "--input",
        metavar="NAME=VALUES",
        action="append",
        default=[],
        help="what an input is fed: FILE.npy|.npz, range:LO:HI, value:V, like:image or like:tokens:N (of a model)",
    )


def add_volume_options(parser: argparse.ArgumentParser) -> None:
    """Add how much a long command tells while it works: as `volume`, `quiet`, `normal` or `verbose`."""
    told = parser.add_mutually_exclusive_group()
    told.add_argument(
        "-q", "--quiet", dest="volume", action="store_const", const="quiet", help="tell only what went wrong"
    )
    told.add_argument(
        "-v", "--verbose", dest="volume", action="store_const", const="verbose", help="a line a step, on a terminal too"
    )
    parser.set_defaults(volume="normal")


def add_training_options(group: Any) -> None:
    """Add what every command that prepares models takes."""
    data = os.environ.get("EDGEBENCH_DATA")
    group.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=Path(data) if data else None,
        help="CIFAR-10, or a folder of images (EDGEBENCH_DATA)",
    )
    group.add_argument("--weights", metavar="FILE", type=Path, help="a state dict for the suite's model")


def add_energy_options(parser: argparse.ArgumentParser) -> None:
    """Add what a command takes that measures a model's energy: which probes, and whether it may do without them."""
    add_probe_options(parser)
    parser.add_argument(
        "--probe-optional",
        action="store_true",
        help="measure without a named probe that cannot be used here, instead of refusing",
    )


def add_probe_options(parser: argparse.ArgumentParser, *, inherited: bool = False) -> None:
    """Add what every command that measures energy takes; `inherited`: the parser above has these options too."""
    group = parser.add_argument_group("energy")
    group.add_argument(
        "--probe",
        metavar="SPEC",
        action="append",
        default=argparse.SUPPRESS if inherited else None,
        help="NAME[:ADDRESS][?option=value], may be repeated (EDGEBENCH_PROBE, separated by spaces)",
    )
    group.add_argument(
        "--sysfs",
        metavar="ROOT",
        default=argparse.SUPPRESS if inherited else os.environ.get("EDGEBENCH_SYSFS", "/sys"),
        help="where sysfs is mounted (EDGEBENCH_SYSFS)",
    )


def count(text: str, least: int = 1) -> int:
    """Return a whole number of at least `least`."""
    if not text.isdigit() or not least <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to 1000000")
    return int(text)


def answer(text: str) -> int:
    """Return how many tokens an answer has: the first comes from reading, and a step makes each after it."""
    return count(text, least=2)


def unit_name(text: str) -> str:
    """Return the name of a board, or nothing."""
    if text and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: letters, digits, dots and dashes, 60 at most")
    return text


def counts(text: str) -> tuple[int, ...]:
    """Return whole numbers of at least 1, separated by commas."""
    return tuple(dict.fromkeys(count(part.strip()) for part in text.split(",")))


def number(text: str, most: float, otherwise: str, *, zero: bool = False) -> float:
    """Return a number above 0 (with `zero`: or 0) and up to `most`; `otherwise` says what another text is not."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (0 < value <= most or (zero and value == 0)):
        raise argparse.ArgumentTypeError(f"{text!r} {otherwise}")
    return value


def seconds(text: str) -> float:
    """Return a positive time of a day at most."""
    return number(text, 86_400, "is not a number of seconds up to a day")


def half_width(text: str) -> float:
    """Return ``2%`` or ``0.02`` as 0.02: at least 0.01 %, less than 100 %."""
    number, percent = (text[:-1], True) if text.endswith("%") else (text, False)
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = 0.0
    if not 0.0001 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no precision: write 2% or 0.02")
    return value


def minutes(text: str) -> float:
    """Return a positive number of minutes, a week at most."""
    return number(text, 10_000, "is not a number of minutes up to a week")


def rate(text: str) -> float:
    """Return samples a second, 0 for none."""
    return number(text, 20, "is not a number from 0 to 20", zero=True)
