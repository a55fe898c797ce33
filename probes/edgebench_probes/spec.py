"""How a probe is named: `NAME[:ADDRESS][?option=value&...]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from edgebench_probes.base import ProbeError

MAX_LENGTH = 400
_SPEC = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_-]*)(:(?P<address>[^?\s]+))?(\?(?P<options>[^?\s]*))?")
_KEY = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed specification; option values are percent-decoded, the address is as written."""

    name: str
    address: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


def parse_spec(text: str) -> Spec:
    """Parse a specification such as `rapl?scope=package` or `tcp://meterhost:8765`; raises ProbeError."""
    shown = repr(text if len(text) <= 60 else text[:57] + "...")
    match = _SPEC.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise ProbeError(f"{shown} names no probe", "write it as NAME[:ADDRESS][?option=value&...], for example `rapl`")
    options: dict[str, str] = {}
    for term in (match["options"] or "").split("&") if match["options"] is not None else ():
        key, equals, value = term.partition("=")
        if not (_KEY.fullmatch(key) and equals and value):
            raise ProbeError(f"the option {term!r} of the probe {shown} is not `name=value`", "correct it")
        if key in options:
            raise ProbeError(f"the probe {shown} has the option `{key}` twice", "give it once")
        options[key] = unquote(value)
    return Spec(match["name"].lower(), match["address"], options)
