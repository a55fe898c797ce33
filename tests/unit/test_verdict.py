"""Verdicts are what the numbers allow: the arithmetic against other formulas, and the rules of the gate."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgebench.compare.cells import Sample, sample_of
from edgebench.compare.evidence import from_history
from edgebench.compare.fingerprint import Difference, differences
from edgebench.compare.inference import holm, paired, predicted, run_stats, stored
from edgebench.compare.judge import Pair, exact, judge, margins
from edgebench.compare.jumps import explained, jumps_of
from edgebench.compare.paired import Stage, decided, estimates_of, flagged, judge_stages
from edgebench.compare.policy import Limits, Policy, Rule
from edgebench.compare.shrink import MOST_DF, fit_prior, shrink
from edgebench.compare.verdict import Comparison, Finding, Side, Verdict

LIMITS = Limits(budget=0.05, margin=0.01)


def pair(name: str = "cell", *, better: str = "lower", metric: str = "latency_s") -> Pair:
    sample = sample_of(metric, "s", better, [[1.0], [1.01]])
    return Pair(name, metric, sample, sample, LIMITS)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_at_least_the_p_value_and_at_most_bonferroni(p_values: list[float]) -> None:
    found = holm(np.array(p_values))
    for p_value, adjusted in zip(p_values, found, strict=True):
        assert p_value - 1e-12 <= adjusted <= min(1.0, len(p_values) * p_value) + 1e-12
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


def test_holm_is_the_published_example_and_leaves_out_what_has_no_p() -> None:
    found = holm(np.array([0.01, 0.04, math.nan, 0.03, 0.005]))
    assert found[[0, 1, 3, 4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert math.isnan(found[2])


def test_shrinking_finds_the_prior_that_made_the_variances() -> None:
    rng = np.random.default_rng(1)
    df, prior_df, size = 5, 8.0, 4.0
    true = size * prior_df / rng.chisquare(prior_df, 20_000)
    found = true * rng.chisquare(df, true.size) / df
    prior = fit_prior(found, np.full(true.size, float(df)))
    assert prior is not None
    assert (prior.variance, prior.df) == pytest.approx((size, prior_df), rel=0.1)
    better, _ = shrink(found, np.full(true.size, float(df)), prior)
    assert np.mean((np.log(better) - np.log(true)) ** 2) < 0.6 * np.mean((np.log(found) - np.log(true)) ** 2)


def test_equal_variances_share_all_their_degrees_of_freedom() -> None:
    rng = np.random.default_rng(2)
    found = rng.chisquare(4, 50) / 4
    prior = fit_prior(found, np.full(50, 4.0))
    assert prior is not None
    if prior.df == MOST_DF:
        assert shrink(found, np.full(50, 4.0), prior)[1] == pytest.approx(np.full(50, 200.0))
    assert fit_prior(found[:3], np.full(3, 4.0)) is None


def test_pairs_agree_with_scipy() -> None:
    ratios = np.random.default_rng(3).normal(0.02, 0.03, (12, 5))
    ratios[3, 2] = math.nan
    found = paired(ratios)
    for cell in range(5):
        test = stats.ttest_1samp(ratios[:, cell], 0, nan_policy="omit")
        assert found.log_ratio[cell] / found.se[cell] == pytest.approx(test.statistic)
        assert found.df[cell] == test.df


def test_jumps_explain_what_few_runs_can_show() -> None:
    rng = np.random.default_rng(7)
    sessions = [[rng.lognormal(0, 0.005, 5).tolist() for _ in range(20)] for _ in range(2)]
    quiet = jumps_of(sessions)
    five, up = np.full(20, 5.0), np.ones(20)
    assert (explained(quiet, np.full(20, 0.1), five, up, quiet.head) < 1e-5).all()
    assert (explained(quiet, np.full(20, 0.1), np.ones(20), up, quiet.head) == 1).all(), "one run proves nothing"
    for cells in sessions:
        for cell in cells[::4]:
            cell[0] *= 1.3
    jumping = jumps_of(sessions)
    shares = jumping.share(np.full(20, 0.2), up, jumping.head)
    assert shares == pytest.approx(np.full(20, 0.05), abs=0.02)
    assert (explained(jumping, np.full(20, 0.3), five, up, jumping.head) > 2e-4).all()
    backwards = explained(jumping, np.full(20, 0.3), five, -up, jumping.head)
    assert (backwards < 1e-5).all(), "runs that jump up make nothing faster"
    two = jumps_of([[[1.0, 1.3], [1.0, 1.0]]] * 2)
    for way in (np.ones(2), -np.ones(2)):  # of two runs, either may be the one that jumped
        assert two.share(np.full(2, 0.2), way, two.head) == pytest.approx([1.5 / 5, 1.5 / 5 * 20 / 22], rel=0.2)


def judged(past: list[list[list[float]]], head: list[list[float]]) -> list[Verdict]:
    """Judge a session against earlier ones, the first of which is the base."""
    pairs, ones = [pair(f"cell{index}") for index in range(len(head))], np.ones(len(head))
    stats_of = [run_stats(one) for one in past]
    estimates = predicted(stats_of[0], run_stats(head), stats_of[1:], [0] * (len(past) - 1), 0.01)
    jumps = jumps_of([past[0], head, *past[1:]])
    evidence = from_history(ones, margins(pairs), run_stats(head), stats_of[0], estimates, jumps)
    return [finding.verdict for finding in judge(pairs, estimates, 0.01, evidence)]


def test_a_session_that_others_disturbed_proves_less() -> None:
    rng = np.random.default_rng(9)
    jumping = rng.lognormal(math.log(100), 0.03, (11, 6, 5)) * np.where(rng.random((11, 6, 5)) < 0.03, 1.5, 1)
    past = [[[float(value) for value in cell] for cell in session] for session in jumping]
    # A session of unchanged code on a shared server, in per cent of what is usual there: three of five runs of one
    # benchmark jumped, and five of the 25 runs of the others.
    disturbed = [
        [100.0, 217.0, 99.0, 96.0, 102.0],
        [203.0, 175.0, 99.0, 97.0, 98.0],
        [97.0, 139.0, 101.0, 95.0, 101.0],
        [97.0, 168.0, 140.0, 95.0, 145.0],
        [100.0, 100.0, 101.0, 98.0, 100.0],
        [99.0, 104.0, 97.0, 144.0, 93.0],
    ]
    assert judged(past, disturbed)[3] is Verdict.INCONCLUSIVE
    calm = [[100.0, 101.0, 99.0, 100.0, 102.0] for _ in range(6)]
    calm[3] = disturbed[3]
    assert judged(past, calm)[3] is Verdict.REGRESSED, "here nothing but the benchmark itself explains it"


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_outlying_runs_of_a_head_are_no_regression(runs: int) -> None:
    rng = np.random.default_rng(8)

    def session() -> list[list[float]]:
        return [rng.lognormal(0, 0.005, runs).tolist() for _ in range(6)]

    past, head = [session() for _ in range(8)], session()
    head[0][0] *= 1.4
    assert Verdict.REGRESSED not in judged(past, head)


def test_without_run_to_run_noise_only_the_stated_prior_is_left() -> None:
    exactly = run_stats([[1.0, 1.0], [2.0, 2.0]])
    found = stored(exactly, exactly, 0.01)
    assert found.se == pytest.approx([0.01 * math.sqrt(2)] * 2)
    assert found.df == pytest.approx([MOST_DF] * 2)


def test_a_history_of_other_software_tells_the_spread_but_not_the_level() -> None:
    rng = np.random.default_rng(4)

    def session(level: float) -> list[list[float]]:
        return [(level * rng.lognormal(0, 0.002, 5)).tolist() for _ in range(6)]

    base, head = run_stats(session(1.0)), run_stats(session(1.06))
    elsewhere = [run_stats(session(1.2)) for _ in range(4)]
    same = predicted(base, head, elsewhere, [1] * 4, 0.01)
    assert same.log_ratio == pytest.approx(np.full(6, math.log(1.06)), abs=0.01)
    assert set(same.sessions) == {1.0}
    mixed = predicted(base, head, elsewhere, [0] * 4, 0.01)
    assert mixed.departed.all(), "a base far from its own history is judged against itself alone"
    assert mixed.log_ratio == pytest.approx(np.full(6, math.log(1.06)), abs=0.01)


def test_a_history_that_lacks_cells_judges_them_by_the_prior() -> None:
    rng = np.random.default_rng(9)

    def session(*, gaps: bool) -> list[list[float]]:
        return [[] if gaps and cell == 0 else rng.lognormal(0, 0.002, 5).tolist() for cell in range(5)]

    base, head = run_stats(session(gaps=False)), run_stats(session(gaps=False))
    found = predicted(base, head, [run_stats(session(gaps=True)) for _ in range(5)], [0] * 5, 0.01)
    assert found.sessions.tolist() == [1, 6, 6, 6, 6]
    assert np.isfinite(found.se).all()
    assert found.se[0] > found.se[1:].max()
    alone = [run_stats([[1.0, 1.01]]) for _ in range(3)]
    single = predicted(alone[0], alone[1], alone[2:], [0], 0.01)
    assert 0.008 < single.se[0] < 0.03


def test_one_run_a_side_and_nothing_else_is_incomparable() -> None:
    one = run_stats([[1.0]])
    (finding,) = judge([pair()], stored(one, one, 0.01), 0.05)
    assert finding.verdict is Verdict.INCOMPARABLE
    assert finding.reason is not None
    assert "--processes" in finding.reason


@given(st.floats(-0.5, 0.5), st.floats(1e-5, 0.5), st.sampled_from(["lower", "higher"]))
def test_a_verdict_never_contradicts_its_interval(log_ratio: float, sd: float, better: str) -> None:
    ratios = log_ratio + sd * np.array([[-1.0, 1.0] * 5]).T
    worse = log_ratio if better == "lower" else -log_ratio
    (finding,) = judge([pair(better=better)], paired(ratios), 0.05)
    assert finding.interval is not None
    low, high = (math.log1p(end) for end in finding.interval)
    assert low <= log_ratio <= high
    upper = high if better == "lower" else -low
    if finding.verdict is Verdict.REGRESSED:
        assert worse > math.log1p(LIMITS.margin)
    if finding.verdict is Verdict.IMPROVED:
        assert worse < -math.log1p(LIMITS.margin)
    if finding.verdict is Verdict.PASS:
        assert upper < math.log1p(LIMITS.budget) + 1e-12
    if finding.verdict is Verdict.INCONCLUSIVE:
        assert upper >= math.log1p(LIMITS.budget) - 1e-12


@pytest.mark.parametrize(
    ("metric", "base", "head", "verdict"),
    [
        ("size_bytes", 1000, 1010, Verdict.PASS),
        ("size_bytes", 1000, 1011, Verdict.REGRESSED),
        ("size_bytes", 1000, 900, Verdict.IMPROVED),
        ("size_bytes", 0, 10, Verdict.INCOMPARABLE),
        ("size_bytes", 0, 0, Verdict.PASS),
        ("accuracy_top1", 0.95, 0.94, Verdict.PASS),
        ("accuracy_top1", 0.95, 0.93, Verdict.REGRESSED),
        ("accuracy_top1", 0.93, 0.95, Verdict.IMPROVED),
    ],
)
def test_what_does_not_vary_is_compared_exactly(metric: str, base: float, head: float, verdict: Verdict) -> None:
    better = "higher" if metric == "accuracy_top1" else "lower"
    first, second = (Sample("1", better, (), value) for value in (base, head))
    assert exact(Pair("c", metric, first, second, Policy().limits("c", metric))).verdict is verdict


@pytest.mark.parametrize(
    ("size", "verdict", "contrary"),
    [(0.08, Verdict.REGRESSED, Verdict.IMPROVED), (-0.08, Verdict.IMPROVED, Verdict.REGRESSED)],
)
def test_stage_one_alone_calls_nothing_changed_and_stage_two_uses_fresh_data_only(
    size: float, verdict: Verdict, contrary: Verdict
) -> None:
    rng = np.random.default_rng(5)
    pairs = [pair(f"cell{index}") for index in range(6)]
    key = (pairs[0].cell, "latency_s")
    first = Stage({(one.cell, one.metric): rng.normal(0, 0.005, 10).tolist() for one in pairs})
    first = Stage({**first.ratios, key: rng.normal(size, 0.005, 10).tolist()})
    ways = flagged(pairs, estimates_of(pairs, first), 0.05)
    assert ways.tolist() == [math.copysign(1, size), *[0] * 5]
    alone = judge_stages(pairs, first, None, 0.05, early=False)
    assert alone[0].verdict is Verdict.INCONCLUSIVE
    assert [finding.verdict for finding in alone[1:]] == [Verdict.PASS] * 5
    fresh = rng.normal(size, 0.005, 10)
    confirmed = judge_stages(pairs, first, Stage({key: fresh.tolist()}), 0.05, early=False)
    assert (confirmed[0].verdict, confirmed[0].disturbed_runs) == (verdict, None)
    against = judge_stages(pairs, first, Stage({key: (-fresh).tolist()}), 0.05, early=False)
    assert against[0].verdict is Verdict.INCONCLUSIVE, f"two stages that contradict each other: never {contrary}"
    luck = judge_stages(pairs, first, Stage({key: rng.normal(0, 0.005, 10).tolist()}), 0.05, early=False)
    assert luck[0].verdict is Verdict.PASS
    assert luck[0].change == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("way", [1, -1])
def test_disturbed_runs_are_told_where_they_decide_and_make_a_proof_harder(way: int) -> None:
    pairs, key = [pair()], ("cell", "latency_s")
    first = Stage({key: [way * 0.1, way * 0.12] * 5})
    plain = [way * (0.039 + 0.038), way * (0.039 - 0.038)] * 5
    verdict = Verdict.REGRESSED if way > 0 else Verdict.IMPROVED
    (quiet,) = judge_stages(pairs, first, Stage({key: plain}), 0.05, early=False)
    assert quiet.verdict is verdict
    (loud,) = judge_stages(pairs, first, Stage({key: plain}, {key: 3}), 0.05, early=False)
    assert loud.verdict is not verdict
    assert (loud.change, loud.interval, loud.disturbed_runs) == (quiet.change, quiet.interval, 3)


def test_the_look_at_half_time_stops_for_what_is_plain_only() -> None:
    rng = np.random.default_rng(6)
    pairs = [pair()]

    def half(change: float, sd: float) -> bool:
        stage = Stage({("cell", "latency_s"): rng.normal(change, sd, 6).tolist()})
        return decided(pairs, np.array([way]), stage)

    for way in (1.0, -1.0):
        assert half(way * 0.2, 0.005)
        assert half(0.0, 0.001)
        assert not half(way * 0.03, 0.02)


def test_the_whole_verdict_is_the_worst_and_a_gap_is_no_pass() -> None:
    def whole(*verdicts: Verdict, allowed: tuple[str, ...] = (), removed: tuple[str, ...] = ()) -> tuple[Verdict, int]:
        findings = tuple(Finding(f"c{index}", "latency_s", verdict) for index, verdict in enumerate(verdicts))
        comparison = Comparison("stored", Side("a"), Side("b"), findings, removed=removed, allowed=allowed)
        return comparison.verdict, comparison.exit_code

    passed, unsure = Verdict.PASS, Verdict.INCONCLUSIVE
    assert whole(passed, Verdict.IMPROVED) == (Verdict.IMPROVED, 0)
    assert whole(passed, unsure) == (unsure, 4)
    assert whole(passed, unsure, allowed=("inconclusive",)) == (unsure, 0)
    assert whole(unsure, Verdict.INCOMPARABLE) == (Verdict.INCOMPARABLE, 3)
    assert whole(Verdict.INCOMPARABLE, Verdict.REGRESSED) == (Verdict.REGRESSED, 1)
    assert whole(passed, removed=("gone",)) == (Verdict.INCOMPARABLE, 3)
    assert whole(passed, removed=("gone",), allowed=("removed",)) == (passed, 0)
    assert whole() == (Verdict.INCOMPARABLE, 3)


def test_a_few_cells_that_cannot_be_told_do_not_take_a_pass_from_all() -> None:
    passed = Finding("a", "latency_s", Verdict.PASS)
    unsure = Finding("b", "latency_s", Verdict.INCONCLUSIVE, covered=True)
    line = Finding("all benchmarks", "latency_s", Verdict.PASS)

    def whole(*lines: Finding, findings: tuple[Finding, ...] = (passed, unsure)) -> Verdict:
        return Comparison("stored", Side("a"), Side("b"), findings, whole=lines).verdict

    assert whole(line) is Verdict.PASS
    assert whole() is Verdict.INCONCLUSIVE
    assert whole(replace(line, verdict=Verdict.REGRESSED)) is Verdict.REGRESSED
    assert whole(replace(line, metric="load_s")) is Verdict.INCONCLUSIVE
    assert whole(line, findings=(passed, replace(unsure, covered=False))) is Verdict.INCONCLUSIVE


def test_later_rules_win_and_globs_reach_scopes() -> None:
    rules = (Rule(budget=0.1), Rule(metric="energy_*", cells="big*", budget=0.2, margin=0.03))
    policy = Policy(rules=rules)
    assert policy.limits("small", "latency_s") == Limits(0.1, 0.01)
    assert policy.limits("big/1", "energy_gross_j.package") == Limits(0.2, 0.03)
    assert policy.limits("small", "size_bytes") == Limits(0.1, 0.0)


def test_fingerprints_differ_by_nested_field_and_absence() -> None:
    found = differences({"a": {"b": 1, "c": [1]}, "gone": 1}, {"a": {"b": 2, "c": [1]}, "new": None})
    assert found == (
        Difference("a.b", "1", "2"),
        Difference("gone", "1", "absent"),
        Difference("new", "absent", "null"),
    )
