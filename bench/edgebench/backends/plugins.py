"""What other distributions add: entry points of the groups `edgebench.backends`, `.families` and `.suites`.

Nothing of theirs is imported before it is loaded by name; one that is broken is a reason, never an exception.
Probes have their own group, `edgebench.probes`, in edgebench_probes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

BACKENDS = "edgebench.backends"
FAMILIES = "edgebench.families"
SUITES = "edgebench.suites"
_MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Offer:
    """One entry point: its name, the distribution it came with, and why it cannot be used (None: it may be loaded)."""

    name: str
    package: str
    point: EntryPoint | None
    broken: str | None = None

    def refusal(self, reason: str) -> str:
        """Return a reason as a sentence with what to do."""
        sentence = f"the plug-in {self.name!r} of {self.package} is skipped ({reason}): mend or remove that package"
        # Names and reasons are those of others: none may hold a sequence that a terminal obeys.
        return "".join(letter if letter.isprintable() else "\ufffd" for letter in sentence)


@cache
def offers(group: str, taken: Collection[str] = ()) -> tuple[Offer, ...]:
    """Return the offers of a group by name, those that clash with each other or with `taken` names as broken."""
    found: dict[str, list[Offer]] = {}
    seen: set[str] = set()
    for distribution in distributions():
        text = distribution.read_text("entry_points.txt") or ""
        # Of a distribution that is there twice, Python imports the first.
        if group not in text or (package := _name(distribution)) in seen:
            continue
        seen.add(package)
        try:
            points = list(distribution.entry_points.select(group=group))
        except Exception as error:  # noqa: BLE001  # a file that someone else wrote
            reason = f"its entry_points.txt cannot be read, {said(error)}"
            found.setdefault(package, []).append(Offer(package, package, None, reason))
            continue
        for point in points:
            found.setdefault(point.name, []).append(Offer(point.name, package, point))
    return tuple(_settled(name, same, taken) for name, same in sorted(found.items()))


def load(offer: Offer) -> tuple[Any, str | None]:
    """Return what an offer names, or None and the reason why it cannot be loaded."""
    if offer.point is None or offer.broken is not None:
        return None, offer.broken
    try:
        return offer.point.load(), None
    except (Exception, SystemExit) as error:  # noqa: BLE001  # code of others, of which nothing is known
        return None, f"it cannot be loaded, {said(error)}"


def _settled(name: str, same: list[Offer], taken: Collection[str]) -> Offer:
    first = same[0]
    if name in taken:
        return Offer(name, first.package, None, "edgebench itself has one of that name")
    if len(same) > 1:
        return Offer(name, " and ".join(sorted(offer.package for offer in same)), None, "several offer that name")
    return first


def _name(distribution: Distribution) -> str:
    try:
        return distribution.metadata["Name"] or "a package without a name"
    except Exception:  # noqa: BLE001  # a distribution without metadata
        return "a package without metadata"


def said(error: BaseException) -> str:
    """Return an exception of foreign code as a few words."""
    text = " ".join(str(error).split())[:_MAX_REASON]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
