"""Charts as values: scales, the Pareto front, what a drawing says, and by what a shown figure is sorted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.golden.make_sample import SAMPLE

from edgebench.render import units
from edgebench.render.charts.extent import Extent, extent
from edgebench.render.charts.lines import Course, over_time
from edgebench.render.charts.pareto import Candidate, standings
from edgebench.render.charts.scale import scale
from edgebench.render.charts.svg import drawn
from edgebench.render.charts.tradeoff import trade_off, trade_offs
from edgebench.render.charts.words import on_axis
from edgebench.render.page.sortkey import sort_key
from edgebench.report.catalogue import Better
from edgebench.report.io import read_report
from edgebench.report.metric import metric_from_runs, single_value

FIGURES = st.floats(allow_nan=False, allow_infinity=False)
DIRECTIONS = st.sampled_from(("lower", "higher"))


def _plain(values: Sequence[float]) -> list[str]:
    return list(map(repr, values))


@given(values=st.lists(FIGURES, min_size=1, max_size=8), zero=st.booleans())
@example(values=[5e-324, 1e308], zero=False)
@example(values=[-1e308, 1e308], zero=True)
@example(values=[0.0], zero=True)
def test_a_scale_keeps_order_and_stays_on_the_paper(values: list[float], *, zero: bool) -> None:
    axis = scale(values, _plain, zero=zero)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in [*places, *(tick.at for tick in axis.ticks)])
    assert len(axis.ticks) <= 6
    if zero and min(values) >= 0 and not axis.log:
        assert axis.at(0) == 0


@given(st.floats(1e-12, 1e12), st.floats(1.001, 1e9))
def test_every_axis_has_round_values_to_read_it_by(least: float, ratio: float) -> None:
    axis = scale([least, least * ratio], _plain)
    assert len(axis.ticks) >= (1 if axis.log else 2)
    assert axis.log == (least * ratio / least >= 20)
    for tick in axis.ticks:
        assert tick.at == pytest.approx(axis.at(float(tick.text)), abs=0.01)
        digits = f"{float(tick.text):.6e}".partition("e")[0].rstrip("0").lstrip("-")
        assert len(digits) <= 7


def _exact(value: float) -> Extent:
    return Extent(value, value, value, "exact")


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8),
    DIRECTIONS,
    DIRECTIONS,
)
def test_the_front_is_what_nobody_beats(
    points: list[tuple[int, int]], cost_better: Better, quality_better: Better
) -> None:
    candidates = [Candidate(str(n), _exact(cost), _exact(quality)) for n, (cost, quality) in enumerate(points)]
    found = standings(candidates, cost_better, quality_better)
    signs = (1 if cost_better == "lower" else -1), (-1 if quality_better == "higher" else 1)
    mapped = [(signs[0] * cost, signs[1] * quality) for cost, quality in points]
    for number, one in enumerate(mapped):
        beaten = any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in mapped)
        # Exact figures leave nothing open.
        assert found[str(number)] == ("behind" if beaten else "front")


def test_behind_the_front_is_only_what_is_surely_there() -> None:
    def candidate(name: str, low: float, high: float, kind: str = "interval") -> Candidate:
        middle = (low + high) / 2
        reach = Extent(middle, low, high, "interval" if kind == "interval" else "unknown")
        return Candidate(name, reach, Extent(0.9, 0.9, 0.9, "exact"))

    rows = [candidate("fast", 9, 11), candidate("alike", 10, 14), candidate("slow", 20, 22)]
    assert standings(rows, "lower", "higher") == {"fast": "front", "alike": "open", "slow": "behind"}
    # One run tells no interval, so nobody is surely behind it, and it is surely behind nobody.
    assert standings([candidate("fast", 9, 11), candidate("once", 30, 30, "unknown")], "lower", "higher") == {
        "fast": "front",
        "once": "open",
    }


def test_a_figure_reaches_as_far_as_it_is_known() -> None:
    few = metric_from_runs("latency_s", [[0.25, 0.75], [1.0, 2.0]])
    assert extent("latency_s", few) == Extent(1.0, 0.5, 1.5, "range")
    assert extent("latency_s", metric_from_runs("latency_s", [[0.01]])).kind == "unknown"
    assert extent("size_bytes", single_value("size_bytes", 7)) == Extent(7, 7, 7, "exact")
    joules = metric_from_runs("energy_gross_j", [[value] for value in (0.40, 0.41, 0.39, 0.42, 0.40)], systematic=0.04)
    energy = extent("energy_gross_j", joules)
    assert energy.kind == "interval"
    assert energy.low < 0.35
    assert energy.high > 0.45
    accuracy = extent("accuracy_top1", single_value("accuracy_top1", 1.0, images=100))
    assert accuracy.low == pytest.approx(0.963, abs=1e-3)
    assert accuracy.high == 1.0


def test_quality_against_cost_says_who_is_on_the_front() -> None:
    report = read_report(SAMPLE)
    rows = [row for row in report.benchmarks if row.kind == "inference" and row.status == "ok"]
    latency, energy, size = trade_offs(rows)
    assert latency.title == "Accuracy against latency"
    assert "(package)" in energy.x.label
    assert size.listed[0] == ("1", "ptq-static openvino int8: 2.51 MB, 97.22 %")
    fast = next(dot for dot in latency.dots if dot.text == "1")
    assert fast.kind == "front"
    assert fast.y_ends is not None
    assert fast.y_ends[0] < fast.y < fast.y_ends[1]
    # The front runs from the foot of the cheapest to the edge of what costs most.
    (front,) = latency.paths
    assert front.points[0] == (fast.x, latency.height)
    assert front.points[-1][0] == 100
    html = drawn(latency)
    assert html.count("<circle") == len(rows)
    assert "On the front: ptq-static openvino int8: 6.18 ms, 97.22 %" in html


def test_a_metric_of_which_more_is_better_turns_the_front_round() -> None:
    report = read_report(SAMPLE)
    rows = [
        row.model_copy(
            update={
                "metrics": {
                    "tokens_per_s": metric_from_runs("tokens_per_s", [[speed]] * 5),
                    "loss": single_value("loss", loss),
                }
            }
        )
        for row, speed, loss in zip(report.benchmarks, (10.0, 90.0, 50.0), (1.0, 3.0, 4.0), strict=False)
    ]
    plot = trade_off(rows, "tokens_per_s", "loss")
    found = {dot.text: dot for dot in plot.dots}
    assert [found[number].kind for number in ("1", "2")] == ["front baseline", "front"]
    assert plot.paths[0].points[0] == (found["2"].x, 0.0)
    assert plot.paths[0].points[-1][0] == 0.0


def test_a_course_over_time_marks_its_changes() -> None:
    values = tuple(Extent(value, value - 0.1, value + 0.1, "interval") for value in (1.0, 1.0, 2.0))
    plot = over_time("Latency", "latency_s", ["May", "June", "July"], [Course("a", (0, 1, 2), values, (2,))])
    assert [tick.text for tick in plot.x.scale.ticks] == ["May", "June", "July"]
    assert [dot.kind for dot in plot.dots] == ["l0", "l0", "l0 changed"]
    assert plot.dots[2].y < plot.dots[1].y == plot.dots[0].y
    assert plot.summary == "Latency. a: 1.00 s at first, 2.00 s at last, 1 change."
    with pytest.raises(ValueError, match="needs a figure"):
        over_time("Latency", "latency_s", ["May"], [])


@given(st.floats(1e-6, 1e6), st.floats(0.001, 0.5))
def test_no_two_values_of_an_axis_read_the_same(least: float, more: float) -> None:
    for metric in ("latency_s", "operations_per_s", "loss"):
        texts = [tick.text for tick in scale([least, least * (1 + more)], on_axis(metric)).ticks]
        assert len(set(texts)) == len(texts) > 1, texts


def test_an_axis_is_written_as_it_is_divided() -> None:
    texts = [tick.text for tick in scale([0.0099, 0.0109], on_axis("latency_s")).ticks]
    assert texts == ["10 ms", "10.25 ms", "10.5 ms", "10.75 ms"]
    texts = [tick.text for tick in scale([0.01, 0.01001], on_axis("latency_s")).ticks]
    assert len(set(texts)) == len(texts) > 3, texts


@given(st.floats(1e-4, 1e14), st.sampled_from(["s", "J", "W", "B", "1/s", "B/s", "OP/s", "1"]))
def test_a_shown_figure_sorts_by_its_value(value: float, unit: str) -> None:
    for text in (units.quantity(value, unit), " ".join(units.with_interval(value, (0.9 * value, 1.1 * value), unit))):
        key = sort_key(text)
        assert key is not None
        assert math.isclose(key, value, rel_tol=6e-3), text


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (units.NONE, None),
        ("", None),
        ("prune40", None),
        (units.duration(3725), 3720),
        (units.duration(200), 200),
        (f"{units.MINUS}17.9 % [{units.MINUS}18.6, {units.MINUS}17.1]", -17.9),
        ("12.3 [12.1, 12.5] ms", 0.0123),
        ("+0.28 points", 0.28),
        ("58 of 66", 58),
        (f"2.10 {units.TIMES}", 2.1),
        ("17.6 mJ package", 0.0176),
        ("41 °C before", 41),
        ("3 more", 3),
    ],
)
def test_cells_sort_by_the_number_they_begin_with(text: str, key: float | None) -> None:
    assert sort_key(text) == (None if key is None else pytest.approx(key))
