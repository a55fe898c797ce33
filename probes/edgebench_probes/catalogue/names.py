"""What probes are called: the names that people use for a meter, and what a near miss may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from edgebench_probes.base import ProbeError
from edgebench_probes.spec import Spec

_POWERZ, _SHIZUKU = Spec("hwmon", "powerz"), Spec("shizuku")
# A meter's own name to the probe that reads it, with what the name tells of it.
ALIASES: dict[str, Spec] = {
    **dict.fromkeys(("um24c", "um25c", "um34c"), Spec("rd_um")),
    **{name: Spec("fnirsi", options={"model": name}) for name in ("fnb48", "fnb48s", "fnb58", "c1")},
    **dict.fromkeys(("ct-3", "ct3", "avhzy", "yk001", "kt002", "ut18"), _SHIZUKU),
    **dict.fromkeys(("km002c", "km003c", "powerz", "power-z"), _POWERZ),
    "tc66c": Spec("tc66"),
    **dict.fromkeys(("c4", "c5", "u3"), Spec("witrn")),
    **dict.fromkeys(("yzxstudio", "zy1276"), Spec("yzx")),
    **dict.fromkeys(("js110", "js220"), Spec("joulescope")),
    **dict.fromkeys(("wt310", "wt310e", "wt332", "wt333", "yokogawa"), Spec("scpi")),
    "jetson-stats": Spec("jtop"),
}


def resolved(spec: Spec) -> Spec:
    """The probe behind a meter's name; what the specification says itself goes first."""
    known = ALIASES.get(spec.name)
    if known is None:
        return spec
    return replace(known, address=spec.address or known.address, options={**known.options, **spec.options})


def no_such(name: str, names: Iterable[str]) -> ProbeError:
    """Say that a name is none, and which one it may have been."""
    known = list(names)
    near = get_close_matches(name, [*known, *ALIASES], n=1, cutoff=0.6)
    choice = f"choose one of {', '.join(known)}, or a meter's own name such as um25c, fnb58 or km003c"
    return ProbeError(f"there is no probe named {name!r}", f"did you mean {near[0]}? Else {choice}" if near else choice)
