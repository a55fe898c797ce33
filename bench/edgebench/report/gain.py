"""Why a quantised model is not faster here, from what the runtime executed and what the processor has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgebench.report.change import change_of

if TYPE_CHECKING:
    from edgebench.report.model import Benchmark, Report

# Instructions that multiply 8-bit numbers and add up in one step; without any, a product takes three (x86) or more.
_PRODUCTS = frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"})
# ISA ceilings under which a processor has none of them.
_CEILINGS = frozenset({"avx2", "avx512_core"})
# A gain of less than this (a ratio of times) is none: INT8 is chosen to be faster by more.
_GAIN = 0.95


def no_gain(report: Report, row: Benchmark, base: Benchmark | None) -> str | None:
    """Return why an INT8 benchmark is not faster than `base`, FP32 in its runtime; None where it is, by 5 % or more.

    None too where neither the executed layers nor the processor tell why.
    """
    if row.params.get("precision") != "int8" or base is None or base is row:
        return None
    change = change_of(report, "latency_s", base, row)
    if change is None or change.ratio is None or (change.ratio <= _GAIN and change.sure in ("better", "unsure")):
        return None
    return "; ".join(_reasons(report, row)) or None


def _reasons(report: Report, row: Benchmark) -> Iterable[str]:
    if str(row.params.get("variant", "")).endswith("weights-int8"):
        yield "only its weights are INT8, not the products"
        return
    layers = row.layers
    if layers is not None and not layers.int8:
        yield "no layer ran in INT8"
        return
    if layers is not None and layers.int8 is not None and 2 * layers.int8 < layers.total:
        yield f"only {layers.int8} of {layers.total} layers ran in INT8"
    isa, ceiling = report.machine.isa, str(row.params.get("isa", "none"))
    if ceiling in _CEILINGS and "isa_note" not in (row.settings or {}):
        yield f"under the ISA ceiling {ceiling} there is no VNNI: 8-bit products are emulated"
    elif isa and not _PRODUCTS & set(isa):
        arm = any(flag.startswith(("asimd", "sve")) for flag in isa)
        which = "dot-product instructions" if arm else "VNNI"
        yield f"this processor has no {which}: 8-bit products are emulated"
