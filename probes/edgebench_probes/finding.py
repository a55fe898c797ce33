"""What the search for sources says of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebench_probes.base import ProbeInfo, Scope


@dataclass(frozen=True, slots=True)
class Finding:
    """One source: usable, with its `info`, or not, with the `reason` and the `fix`; `scope` None: all of its scopes.

    A usable one may have a `reason` for want of a reading, and `notes`, as the report has them.

    A usable one that was looked at has its present `reading_w`, and `shortest_window_s`, the shortest window whose
    random uncertainty (one sigma) at that power is 1 % or less.
    """

    name: str
    source: str
    usable: bool
    scope: Scope | None = None
    reason: str | None = None
    fix: str | None = None
    info: ProbeInfo | None = None
    reading_w: float | None = None
    shortest_window_s: float | None = None
    notes: Mapping[str, str] | None = None
