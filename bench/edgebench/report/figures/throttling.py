"""Did the load slow down, when, and why? Pure: no clock, no file. The definitions stand in docs/sustained.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING, Literal

from edgebench.report.student import quantile, upper_tail

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

# A fall counts from here on (share of the level before), and when it lasts this long (a fifth of a short run).
LEAST_FALL = 0.05
HOLD_S = 10.0
# Two levels are told apart at this chance of an error, as hundreds of stretches are looked at; and a fall that is
# smaller than this many standard deviations of one sample is weather, not a level.
_P_VALUE = 1e-6
_LEAST_RHO = 0.5
_LEAST_SD = 1.5
# A frequency that is lower by this share while throughput is lower is the cause of it.
_FREQUENCY_FALL = 0.03
# Others are the cause when they took this share of the processor time that the load lost.
_TAKEN = 0.25
# A load that got less processor time, by this share of its fall, was not throttled: a throttled one gets as much.
_GIVEN = 0.5


@dataclass(frozen=True, slots=True)
class Fall:
    """A lasting fall: it begins at `begin_s` from the first sample; `share` of the level before is lost.

    The lower level holds for the bins from `place` up to `until`. At `back_s` a later level is no longer lower by what
    counts as a fall; None if none is.
    """

    begin_s: float
    share: float
    place: int
    until: int
    back_s: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the load.

    ``none``: no lasting fall; ``throttled``: a counter, a firmware flag or the frequency says so; ``slowed``: a lasting
    fall of what a second of processor time does, whose cause this machine does not show; ``disturbed``: a lasting fall
    because the load got less of the processor, or others beside it took more.
    """

    verdict: Literal["none", "throttled", "slowed", "disturbed"]
    text: str
    onset_s: float | None = None
    fall: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What else was seen in a run; each series is of (seconds from its first bin, value), empty where unknown.

    `given` is the processor time a second that the load itself got, one value a bin. `events` is a counter or flag
    that rises when the processor is held back; `others` are processors that other programs and the hypervisor used;
    `counted` says that a counter rose from before the run to after it; `disturbed` is the session's own word for a run
    that others disturbed.
    """

    given: Sequence[float] = ()
    frequency_hz: Sequence[tuple[float, float]] = ()
    events: Sequence[tuple[float, float]] = ()
    others: Sequence[tuple[float, float]] = ()
    counted: bool | None = None
    disturbed: str | None = None


def lasting_fall(rates: Sequence[float], seconds: Sequence[float]) -> Fall | None:
    """Return the first lasting fall of a positive series of bins, `seconds` long each, or None.

    Levels of the logarithms by least squares, narrowest over threshold (Baranowski, Chen and Fryzlewicz 2019, JRSS B
    81:649), each at least ten seconds long (a fifth of a run shorter than fifty). There is a boundary where a t-test of
    its two sides has p < 0.000001, with the number of samples reduced by their lag-one correlation (Bayley and
    Hammersley 1946; taken as 0.5 or more). The first one after which the level is lower by 5 % or more than the highest
    level before it, and by 1.5 standard deviations of a bin, is the onset.
    """
    import numpy as np

    least = _least(rates, seconds)
    if len(rates) < 2 * least or min(rates) <= 0:
        return None
    logs = _without_spikes(np.log(np.asarray(rates, dtype=np.float64)), least)
    cuts = [0, *_segments(logs, least), len(logs)]
    levels = [float(np.median(logs[a:b])) for a, b in pairwise(cuts)]  # a short dip is no level
    spread = _residual_sd(logs, cuts)
    highest, least_drop = levels[0], max(-math.log(1 - LEAST_FALL), _LEAST_SD * spread)
    for index in range(1, len(levels)):
        drop = highest - levels[index]
        if drop >= least_drop:
            begin_s = float(sum(seconds[: cuts[index]]))
            later = range(index + 1, len(levels))
            back = next((cuts[place] for place in later if highest - levels[place] < least_drop), None)
            back_s = None if back is None else float(sum(seconds[:back]))
            return Fall(begin_s, 1 - math.exp(-drop), cuts[index], cuts[index + 1], back_s)
        highest = max(highest, levels[index])
    return None


def judge(rates: Sequence[float], seconds: Sequence[float], threads: int, seen: Evidence) -> Verdict:
    """Return what became of a load of `threads` threads, from its throughput and what else was seen."""
    total_s = sum(seconds)
    fall = lasting_fall(rates, seconds)
    rise_s = _first_rise(seen.events)
    lost = "" if fall is None else f"throughput fell by {fall.share:.0%} at {fall.begin_s:.0f} s"
    back = "" if fall is None or fall.back_s is None else f"; it was back at {fall.back_s:.0f} s"
    share = None if fall is None else fall.share
    if rise_s is not None or seen.counted:
        onset_s = rise_s if rise_s is not None else None if fall is None else fall.begin_s
        told = "the processor's throttle counter or firmware says it was held back"
        return Verdict("throttled", "; ".join(filter(None, (told, lost))) + back, onset_s, share)
    if fall is None:
        few = f"; its {len(rates)} bins are too few to tell a fall" if len(rates) < 2 * _least(rates, seconds) else ""
        return Verdict("none", f"no throttling seen in {total_s:.0f} s{_unseen(seen)}{_unsure(rates)}{few}")
    disturbed = _disturbance(fall, threads, seen)
    if disturbed is not None:
        return Verdict("disturbed", f"{lost}, but {disturbed}{back}", None, share)
    clocked = _levels(seen.frequency_hz, fall.begin_s)
    if clocked is not None and clocked[1] <= clocked[0] * (1 - _FREQUENCY_FALL):
        text = f"{lost}, and the frequency by {1 - clocked[1] / clocked[0]:.0%}{back}"
        return Verdict("throttled", text, fall.begin_s, share)
    why = "the frequency did not fall with it" if clocked is not None else "this machine does not show its frequency"
    return Verdict("slowed", f"{lost}: {why}, and no throttle counter rose{back}", fall.begin_s, share)


def _least(rates: Sequence[float], seconds: Sequence[float]) -> int:
    """Return how many bins a level has at least."""
    total_s = sum(seconds)
    return max(3, math.ceil(min(HOLD_S, total_s / 5) / max(total_s / max(len(rates), 1), 1e-9)))


def _disturbance(fall: Fall, threads: int, seen: Evidence) -> str | None:
    """Return what others did that explains a fall, or None."""
    if seen.given:
        before, after = median(seen.given[: fall.place]), median(seen.given[fall.place : fall.until])
        if before > 0 and (less := 1 - after / before) >= _GIVEN * fall.share:
            return f"the load then got {less:.0%} less processor time: others took it, or a limit did"
    taken = _levels(seen.others, fall.begin_s)
    if taken is None:
        return seen.disturbed
    if (more := taken[1] - taken[0]) >= _TAKEN * fall.share * threads:
        return f"other programs or the hypervisor then took {more:.1f} processors more"
    return None


def ratio(cold: Sequence[float], hot: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    """Return the mean of hot over cold, with Welch's 95 % interval on logarithms of the values; None where too few."""
    centre = fmean(hot) / fmean(cold)
    if min(len(cold), len(hot)) < 2 or min(*cold, *hot) <= 0:
        return centre, None
    parts = []
    for side in (cold, hot):
        logs = [math.log(value) for value in side]
        mean = fmean(logs)
        parts.append((sum((value - mean) ** 2 for value in logs) / (len(logs) - 1) / len(logs), len(logs) - 1))
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return centre, None
    df = variance**2 / sum(part**2 / count for part, count in parts if part)
    half = quantile(df, 0.975) * math.sqrt(variance)
    return centre, (centre * math.exp(-half), centre * math.exp(half))


def _segments(logs: Array, least: int) -> list[int]:
    """Return the boundaries between levels, in order.

    Each of a fixed set of overlapping stretches, from the shortest to the whole, gives its best split; the shortest
    stretch that surely has two levels wins, and all others that hold its boundary are done with.
    """
    count = len(logs)
    found: list[int] = []
    length = float(2 * least)
    while True:
        width = min(count, math.ceil(length))
        step = max(1, width // 4)
        for begin in sorted({*range(0, count - width, step), count - width}):
            end = begin + width
            if any(begin < cut < end for cut in found):
                continue
            place = _best_split(logs, begin, end, least)
            if _apart(logs[begin:place], logs[place:end]):
                found.append(place)
        if width == count:
            break
        length *= 1.3
    # A stretch sees a part of both levels only: with its neighbours known, each boundary is placed by all of them.
    cuts = [0, *sorted(found), count]
    for index in range(1, len(cuts) - 1):
        if cuts[index + 1] - cuts[index - 1] >= 2 * least:
            cuts[index] = _best_split(logs, cuts[index - 1], cuts[index + 1], least)
    return cuts[1:-1]


def _best_split(logs: Array, begin: int, end: int, least: int) -> int:
    """Return the split of a stretch into two levels that leaves the least squares."""
    import numpy as np

    count = end - begin
    sums = np.cumsum(logs[begin:end])
    left = np.arange(least, count - least + 1)
    before = sums[left - 1] / left
    after = (sums[-1] - sums[left - 1]) / (count - left)
    return begin + int(left[int(np.argmax(left * (count - left) * (after - before) ** 2))])


def _apart(first: Array, second: Array) -> bool:
    """Tell whether two stretches surely have different levels."""
    import numpy as np

    residuals = np.concatenate([first - first.mean(), second - second.mean()])
    variance = float((residuals**2).sum()) / max(len(residuals) - 2, 1)
    if variance <= 1e-18:
        return abs(float(first.mean() - second.mean())) > 1e-9
    lagged = float((residuals[1:] * residuals[:-1]).sum()) / float((residuals**2).sum())
    # A short stretch tells its correlation badly: never less than what a machine's seconds usually have.
    rho = min(0.98, max(_LEAST_RHO, lagged))
    inflation = (1 + rho) / (1 - rho)
    error = math.sqrt(variance * inflation * (1 / len(first) + 1 / len(second)))
    t = abs(float(first.mean() - second.mean())) / error
    return 2 * upper_tail(t, len(residuals) - 2) < _P_VALUE


def _without_spikes(logs: Array, least: int) -> Array:
    """Draw in what is shorter than half a level, to four sigma about the median of its neighbours; steps stay."""
    import numpy as np

    half = least // 2
    padded = np.pad(logs, half, mode="reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    sigma = max(float(np.median(np.abs(logs - middle))) * 1.4826, 1e-4)
    drawn: Array = np.clip(logs, middle - 4 * sigma, middle + 4 * sigma)
    return drawn


def _residual_sd(logs: Array, cuts: Sequence[int]) -> float:
    """Return the standard deviation of a bin about its level, by the median: a short dip is not noise."""
    import numpy as np

    parts = [np.abs(logs[a:b] - np.median(logs[a:b])) for a, b in pairwise(cuts)]
    return 1.4826 * float(np.median(np.concatenate(parts)))


def _first_rise(series: Sequence[tuple[float, float]]) -> float | None:
    return next((at for (_, low), (at, high) in pairwise(series) if high > low), None)


def _levels(series: Sequence[tuple[float, float]], at_s: float) -> tuple[float, float] | None:
    """Return the medians before and after a moment, or None where one side was not seen."""
    before = [value for at, value in series if at < at_s]
    after = [value for at, value in series if at >= at_s]
    return (median(before), median(after)) if before and after else None


def _unsure(rates: Sequence[float]) -> str:
    """Return what to say of a load that ended lower although no fall could be told."""
    quarter = max(1, len(rates) // 4)
    lower = 1 - median(rates[-quarter:]) / median(rates[:quarter])
    return f"; it ended {lower:.0%} lower, which its spread does not tell from chance" if lower >= LEAST_FALL else ""


def _unseen(seen: Evidence) -> str:
    unknown = [
        what for what, series in (("frequency", seen.frequency_hz), ("throttle counter", seen.events)) if not series
    ]
    return f", by its throughput: this machine shows no {' and no '.join(unknown)}" if unknown else ""
