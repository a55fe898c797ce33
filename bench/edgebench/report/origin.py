"""The parts of a report that say where a file came from and what ran of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgebench.report.base import Amount, Count, Few, Name, Part, Table, Text
from edgebench.report.quantity import Joules, Missing


class LedgerPhase(Part):
    """One phase of making an artifact: time, memory and energy by scope. `cached`: taken from an earlier session."""

    phase: Name
    seconds: Amount | None = None
    peak_memory_bytes: Count | None = None
    energy: Table[Joules] | None = None
    missing: Table[Missing] | None = None
    cached: bool = False
    note: Text | None = None


class PreparedOn(Part):
    """The other machine that made an artifact, and the packages that decide what it made."""

    cpu: Text
    architecture: Name
    os: Text | None = None
    software: Table[Text] = Field(default_factory=dict)


class Bundle(Part):
    """The bundle that the artifacts came from: its digest, for which platform, by which edgebench, when."""

    digest: Name
    platform: Name
    edgebench: Name
    created: Name


class Artifact(Part):
    """The file a backend loads. `sparsity` is the share of weights that are exactly zero, 0 to 1.

    `prepared_on` is there when another machine made it: the ledger is then that machine's.
    """

    digest: Name
    size_bytes: Count
    sparsity: Annotated[float, Field(ge=0, le=1)] | None = None
    format: Name | None = None
    ledger: Few[LedgerPhase] = ()
    prepared_on: PreparedOn | None = None


class Layers(Part):
    """Executed layers by precision, as the runtime tells it; `fallback` names those above the precision asked for."""

    source: Text
    total: Count
    int8: Count | None = None
    fp32: Count | None = None
    bf16: Count | None = None
    fp16: Count | None = None
    other: Count | None = None
    fallback: Few[Text] = ()


class Fed(Part):
    """What one input of a user's model was fed: `values` in words, `given` where the user said so, `digest` of a file.

    `shape` is that of one pass, `dtype` a NumPy dtype name.
    """

    name: Name
    shape: Few[Count]
    dtype: Name
    values: Text
    given: bool = False
    digest: Name | None = None


class CalibrationData(Part):
    """The user's folder of samples that static INT8 was calibrated on; `digest` is over its files."""

    folder: Text
    samples: Count
    digest: Name


class OwnModel(Part):
    """The model file of the user's that was measured; `digest` is over all of its files."""

    file: Text
    format: Name
    precision: Name
    digest: Name
    inputs: Few[Fed] = ()
    calibration: CalibrationData | None = None
