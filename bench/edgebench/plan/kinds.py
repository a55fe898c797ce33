"""The kinds of benchmarks, a row each: what a kind measures, how a session treats it, and where its code is.

Lower rooms import no upper one, so a row names the code of upper rooms (``module:function``); `of` is where it is had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

# The two phases of a making, as its metrics are called; a file that the export gives already has no build.
MAKING_PHASES: Final = ("export", "build")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of benchmark.

    `subject` is the key of a `[[benchmark]]` table that lists what is measured. `measure` is what a worker does between
    the first inference and the energy windows, `figures` the module that turns runs into metrics.

    What a session does with it: `own_model`: a file of the user's can be measured so. `in_name`: its benchmarks' names
    end with it. `group` stands before the name of the group, which orders groups. `lasts`: a run is one load of
    `sustained_s`, not a number of passes. `passes`: its models make single passes; `generates`: its models read a
    prompt and generate tokens. `makes`: what is measured is the making of the file. `scored`: the first run measures
    quality. `repeated`: a disturbed run is measured again. `paired`: two sides of `edgebench ab` can take turns at it.
    `precise`: the metrics that `precision` is asked of, where they are measured.
    """

    name: str
    summary: str
    measure: str
    figures: str
    subject: Literal["model", "operator"] = "model"
    own_model: bool = False
    in_name: bool = True
    group: str = ""
    lasts: bool = False
    passes: bool = True
    generates: bool = False
    makes: bool = False
    scored: bool = False
    repeated: bool = True
    paired: bool = True
    precise: tuple[str, ...] = ("latency_s", "energy_gross_j")


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "inference",
            "passes of a model, one after the other",
            measure="edgebench.measure.inference:timed",
            figures="edgebench.report.figures.inference",
            own_model=True,
            in_name=False,
            scored=True,
        ),
        Kind(
            "compress",
            "making a model's file: export, then build",
            # A run is the making itself, in processes of its own (session/compress.py), not a worker's passes.
            measure="",
            figures="edgebench.report.figures.compress",
            group="compress/",
            makes=True,
            precise=("compress_s", "compress_energy_j"),
        ),
        Kind(
            "operator",
            "passes of a single layer",
            measure="edgebench.measure.inference:timed",
            figures="edgebench.report.figures.inference",
            subject="operator",
            in_name=False,
        ),
        Kind(
            "generate",
            "requests to a language model: a prompt is read, tokens are generated",
            measure="edgebench.measure.generate:generated",
            figures="edgebench.report.figures.generate",
            own_model=True,
            passes=False,
            generates=True,
            scored=True,
            precise=("time_to_first_token_s", "decode_tokens_per_s", "energy_gross_j"),
        ),
        Kind(
            "sustained",
            "full load without a pause, as long as `sustained_s` says: passes, or requests to a language model",
            measure="edgebench.measure.sustained:sustained",
            figures="edgebench.report.figures.sustained",
            own_model=True,
            # After all others: it leaves the machine hot.
            group="~sustained/",
            lasts=True,
            generates=True,
            # Throttling is what it looks for, and a repeat would begin hot.
            repeated=False,
            paired=False,
        ),
    )
}
