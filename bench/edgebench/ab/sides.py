"""The two sides of `edgebench ab`: an environment, a model file or an image each, which is asked and answers."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

import edgebench
from edgebench.ab.messages import PROTOCOLS, Greeting
from edgebench.ab.revision import environment_of_revision
from edgebench.errors import UsageError
from edgebench.machine.child import Outcome, run_child
from edgebench.measure.messages import Answer, ProbeSettings
from edgebench.session.jobs import answered, run_job

if TYPE_CHECKING:
    from edgebench.ab.messages import PlanQuestion
    from edgebench.launch.hold import Held
    from edgebench.measure.messages import Job
    from edgebench.session.jobs import JobResult

T = TypeVar("T", bound=Answer)

IMAGE = "image:"
_GREETING_LIMIT_S = 60.0
_WORKER = ("worker", "--protocol", str(PROTOCOLS[0]))


@dataclass(frozen=True, slots=True)
class Environment:
    """One side: what the user called it, its Python, and what else it is.

    `model` is the model file that is measured there, `held` the container that the Python is in.
    """

    label: str
    python: Path
    model: Path | None = None
    held: Held | None = None

    @property
    def identity(self) -> str:
        """What it is, as far as its plan does not tell: the model file, or the image with its digest."""
        return str(self.model) if self.held is None else self.held.image

    def call(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Outcome:
        """Run edgebench there with these arguments, and these variables besides those of the side."""
        argv = (str(self.python), "-m", "edgebench", *words)
        if self.held is None:
            return run_child(argv, environment={**os.environ, **environment}, limit_s=limit_s, on_line=on_line)
        ended = self.held.run(argv, environment, limit_s, on_line)
        # As a shell's: more than 128 is a signal, SIGKILL at the end of the limit that of `timeout`.
        code = 128 - ended.code if 128 < ended.code < 128 + signal.NSIG else ended.code
        timed_out = code == -signal.SIGKILL and ended.seconds >= limit_s
        return Outcome(code, timed_out, ended.seconds, ended.cpu_s, ended.tail)

    def asked(self, question: PlanQuestion) -> PlanQuestion:
        """Return the question as this side is asked it: its own model, paths and probes as its container has them."""
        model = None if self.model is None else str(self.model)
        if self.held is None:
            return msgspec.structs.replace(question, model=model)
        inputs = {given.option: given.target for given in self.held.order.inputs}
        return msgspec.structs.replace(
            question,
            suite=inputs.get("suite", question.suite),
            data=inputs.get("data", question.data),
            probes=ProbeSettings(self.held.specs, self.held.sysfs),
        )


def environment_of(spec: str, tell: Callable[[str], None]) -> Environment:
    """Return the side that ``venv:DIR``, ``rev:REVISION``, ``model:FILE`` or the path of a Python executable names.

    A model is measured in this very environment; that of a revision is made, which `tell` hears of. Raises UsageError.
    """
    kind, _, rest = spec.partition(":")
    if kind == "rev" and rest:
        return Environment(spec, environment_of_revision(rest, tell) / "bin" / "python")
    if kind == "model" and rest:
        return Environment(spec, Path(sys.executable), Path(rest).absolute())
    if kind == "venv" and rest:
        python = Path(rest, "bin", "python")
        if not python.is_file():
            raise UsageError(f"{spec}: {rest} is no virtual environment (bin/python is missing): make it with venv")
        return Environment(spec, python.absolute())
    path = Path(spec)
    if path.is_dir():
        return environment_of(f"venv:{spec}", tell)
    if path.is_file() and os.access(path, os.X_OK):
        return Environment(spec, path.absolute())
    raise UsageError(
        f"{spec}: is no environment: name venv:DIR, rev:REVISION, model:FILE, image:NAME or a Python executable"
    )


def check_protocol(side: Environment) -> None:
    """Raise UsageError, naming both versions, for a side that does not speak the protocol of this edgebench."""
    lines: list[str] = []
    outcome = side.call(("worker", "--protocols"), {}, _GREETING_LIMIT_S, lines.append)
    theirs, spoken = "", tuple[int, ...]()
    with contextlib.suppress(msgspec.DecodeError):
        greeting = msgspec.json.decode("".join(lines[-1:]), type=Greeting)
        theirs, spoken = greeting.edgebench, greeting.protocols
    if outcome.returncode == 0 and PROTOCOLS[0] in spoken:
        return
    if not theirs and (theirs := _version(side)) == "":
        reason = outcome.failure(_GREETING_LIMIT_S) or "it said nothing"
        raise UsageError(f"{side.label}: has no edgebench that answers ({reason.rstrip('.')}): install it there")
    told = f"speaks protocol {', '.join(map(str, spoken))}" if spoken else "speaks no protocol of ab"
    raise UsageError(
        f"{side.label}: its edgebench {theirs} {told}, this edgebench {edgebench.__version__} speaks protocol "
        f"{PROTOCOLS[0]}: bring both to versions that speak the same"
    )


def _version(side: Environment) -> str:
    """Return what a side's edgebench says of its version, or nothing."""
    lines: list[str] = []
    outcome = side.call(("--version",), {}, _GREETING_LIMIT_S, lines.append)
    return lines[-1].split()[-1][:40] if outcome.returncode == 0 and lines and lines[-1].strip() else ""


def ask(
    side: Environment,
    question: Job,
    kind: type[T],
    environment: Mapping[str, str],
    limit_s: float,
    on_line: Callable[[str], None] | None = None,
) -> JobResult[T]:
    """Ask a side one question in its own environment, with these variables besides."""
    if (held := side.held) is None:
        return run_job(
            "edgebench",
            question,
            (kind,),
            environment={**os.environ, **environment},
            limit_s=limit_s,
            on_line=on_line,
            python=str(side.python),
            arguments=_WORKER,
        )

    def run(job_file: Path, answer_file: Path) -> Outcome:
        job_file.chmod(0o644)
        return side.call((*_WORKER, held.inside(job_file), held.inside(answer_file)), environment, limit_s, on_line)

    return answered(held.exchange, question, (kind,), run, limit_s=limit_s)
