"""Who is on the Pareto front: nobody else costs less without answering worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgebench.render.charts.extent import Extent
from edgebench.report.catalogue import Better

# On the front by the figures themselves; behind it by them, yet not for sure, as intervals overlap; surely behind it.
Standing = Literal["front", "open", "behind"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One choice: what it costs, and how well it answers."""

    name: str
    cost: Extent
    quality: Extent


def standings(candidates: Sequence[Candidate], cost: Better, quality: Better) -> Mapping[str, Standing]:
    """Return how each candidate stands, by name; `cost` and `quality` say which direction of a figure is better.

    A candidate is behind another that is no worse in both figures and better in one. It is surely so where both
    intervals say it: they do not touch, or the figures are exact. A figure without an interval is sure of nothing.
    """
    found: dict[str, Standing] = {}
    signs = [1.0 if better == "higher" else -1.0 for better in (cost, quality)]
    # The higher, the better, in both: most pairs of hundreds of candidates need no more than this.
    places = [(signs[0] * one.cost.value, signs[1] * one.quality.value, one) for one in candidates]
    for saved, right, one in places:
        found[one.name] = "front"
        for other_saved, other_right, other in places:
            if other_saved < saved or other_right < right or (other_saved == saved and other_right == right):
                continue
            found[one.name] = "open"
            sides = ((other.cost, one.cost, cost), (other.quality, one.quality, quality))
            if _beats([_sure_order(*side) for side in sides]):
                found[one.name] = "behind"
                break
    return found


def _beats(orders: Sequence[int | None]) -> bool:
    """Tell whether no order is against it (or unknown) and one is for it."""
    return all(order is not None and order >= 0 for order in orders) and any(orders)


def _order(first: Extent, second: Extent, better: Better) -> int:
    """Return 1 where the first figure is better, 0 where they are equal, -1 where it is worse."""
    sign = 1 if better == "higher" else -1
    return sign * ((first.value > second.value) - (first.value < second.value))


def _sure_order(first: Extent, second: Extent, better: Better) -> int | None:
    """Return the same by the whole extents; None where they do not tell."""
    if first.kind == second.kind == "exact":
        return _order(first, second, better)
    if "unknown" in {first.kind, second.kind} or (first.low <= second.high and second.low <= first.high):
        return None
    return _order(first, second, better)
