"""The row of a backend: everything that is known of it before its runtime is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Seconds on a 2-core x86 machine of 2023 (docs/evidence.md), where nobody measured: those of a GPU, guessed.
UNMEASURED_PASS_S = 0.002
UNMEASURED_START_S = 6.0


@dataclass(frozen=True, slots=True)
class Need:
    """What a precision needs besides the runtime; nothing by default.

    `file`: the file must hold the precision, as the runtime computes what it finds. `ask` names a function
    ``module:function`` that takes precision and ISA ceiling and says what this machine lacks, or returns None. With
    both, either will do.
    """

    file: bool = False
    ask: str | None = None


ANYWHERE = Need()
IN_THE_FILE = Need(file=True)


@dataclass(frozen=True, slots=True)
class BackendRow:
    """One backend. Names of Python objects are ``module:object`` and are imported when they are asked for.

    `source` returns the `Backend`; `family` is the artifact family it measures (backends/families.py) and `formats` are
    those it opens, more where users bring their own; `operators` returns single operators as models, all but those
    `without`, and `decoder` ``(spec, context)`` a file as a `Decoder` or `Answerer` (backends/decoder.py), empty: it
    has none; `sequences` is how many texts that leads at once, at most. `passes`: it runs single passes of a model.
    `unable` takes a `fitness.Asked` and says what no precision helps with (a model, a batch), or returns None.
    `platforms` are the images that hold it. `opens` and `install` are for the docs. `uncompiled` says why a model has
    no `compile_s` where it has none. `pass_s` is the estimated time of MobileNetV2 at 224 pixels, `start_s` that of a
    worker's start, `int8_ratio` the estimated time of INT8 against FP32, `token_s` that of a token which the zoo's
    small Llama generates.
    """

    name: str
    title: str
    source: str
    family: str
    formats: tuple[str, ...]
    precisions: Mapping[str, Need] = field(default_factory=lambda: {"fp32": ANYWHERE})
    operators: str = ""
    decoder: str = ""
    sequences: int = 1
    passes: bool = True
    unable: str = ""
    without: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    opens: str = ""
    install: str = ""
    uncompiled: str = "the runtime reads a file and compiles it in one call: load_s is both"
    pass_s: float = UNMEASURED_PASS_S
    start_s: float = UNMEASURED_START_S
    int8_ratio: float = 0.5
    token_s: float = 0.002
