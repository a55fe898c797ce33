"""Listen to oneDNN: which primitives a pass of torch really ran, with which kernel, precision and ISA.

oneDNN tells it only on the C standard output (its verbose mode), so descriptor 1 points to a file for that one pass.
Never call this inside a timed region or beside threads that print.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edgebench.backends.base import Layer
from edgebench.backends.executed import precision_name

_STDOUT = 1
_introduced: list[str] = []
_SOURCE = re.compile(r"\bsrc(?:_\w+)?:(\w+)")


@dataclass(frozen=True, slots=True)
class OneDnnLog:
    """What oneDNN said: the ISA it may use at most (None: it did not say) and the primitives it executed."""

    isa: str | None
    primitives: tuple[Layer, ...]


def listen(one_pass: Callable[[], object]) -> OneDnnLog:
    """Run one pass with oneDNN's verbose mode on and return what it executed."""
    import torch

    with tempfile.TemporaryFile() as file:
        mkldnn = torch.backends.mkldnn
        verbose = mkldnn.verbose(mkldnn.VERBOSE_ON)
        with _standard_output_to(file.fileno()), verbose:
            one_pass()
        file.seek(0)
        log = parse_log(file.read().decode(errors="replace"))
    # oneDNN introduces itself once a process.
    _introduced.extend([log.isa] if log.isa else [])
    return replace(log, isa=_introduced[0] if _introduced else None)


def parse_log(text: str) -> OneDnnLog:
    """Parse verbose lines (format v1 of oneDNN 3: comma-separated, see its documentation, "Verbose Mode")."""
    isa = None
    primitives: list[Layer] = []
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) < 5 or fields[0] != "onednn_verbose":
            continue
        if fields[2:4] == ["info", "cpu"] and fields[4].startswith("isa:"):
            isa = fields[4].removeprefix("isa:")
        elif fields[2:5] == ["primitive", "exec", "cpu"] and len(fields) > 8:
            source = _SOURCE.search(fields[8])
            precision = precision_name(source[1]) if source else "unknown"
            primitives.append(Layer(f"onednn.{len(primitives)}", fields[5], precision, fields[6]))
    return OneDnnLog(isa, tuple(primitives))


@contextlib.contextmanager
def _standard_output_to(descriptor: int) -> Iterator[None]:
    libc = ctypes.CDLL(None)
    sys.stdout.flush()
    libc.fflush(None)
    kept = os.dup(_STDOUT)
    try:
        os.dup2(descriptor, _STDOUT)
        yield
    finally:
        libc.fflush(None)
        os.dup2(kept, _STDOUT)
        os.close(kept)
