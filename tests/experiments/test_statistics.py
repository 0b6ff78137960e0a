"""Statistics against known cases: false alarms, coverage, Holm, replicates needed, verdicts."""

import math
from typing import Literal

import numpy as np
import pytest

from experiments.errors import UserError
from experiments.statistics import (
    Interval,
    fewest_unanimous,
    holm,
    independent_difference,
    mean_interval,
    outcomes_needed,
    paired_difference,
    replicates_needed,
    share_interval,
    variance_reduction,
    verdict,
)


@pytest.mark.parametrize("n", [8, 20, 40])
@pytest.mark.parametrize("skewed", [False, True])
def test_equal_arms_are_called_different_as_often_as_claimed(n: int, skewed: bool) -> None:
    rng = np.random.default_rng(11)
    draw = rng.exponential if skewed else rng.normal
    alarms = [independent_difference(draw(size=n), draw(size=n), seed=k).differs for k in range(200)]
    assert 0.02 <= np.mean(alarms) <= 0.09


@pytest.mark.parametrize("n", [5, 12, 30, 100])
def test_intervals_of_the_mean_hold_the_truth(n: int) -> None:
    rng = np.random.default_rng(n)
    intervals = [mean_interval(rng.normal(3.0, 2.0, n), seed=k) for k in range(400)]
    assert 0.92 <= np.mean([each.low <= 3.0 <= each.high for each in intervals]) <= 0.975


def test_intervals_of_a_skewed_mean_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    intervals = [mean_interval(rng.exponential(1.0, 40), seed=k) for k in range(400)]
    assert 0.91 <= np.mean([each.low <= 1.0 <= each.high for each in intervals]) <= 0.975


def test_bca_agrees_with_scipy() -> None:
    from scipy.stats import bootstrap

    x = np.random.default_rng(2).gamma(2.0, size=400)
    theirs = bootstrap((x,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    ours = mean_interval(x)
    assert ours.low == pytest.approx(theirs.low, rel=0.01)
    assert ours.high == pytest.approx(theirs.high, rel=0.01)


def test_pairs_are_joined_by_replicate_and_cancel_common_chance() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(0, 10, 30)
    control = {k: common[k] for k in range(30)}
    treated = {k: common[k] + 0.5 + rng.normal(0, 0.1) for k in reversed(range(25))}
    difference = paired_difference(treated, control)
    assert difference.interval.n == 25
    assert difference.interval.estimate == pytest.approx(0.5, abs=0.1)
    assert difference.differs
    assert difference.p_value < 1e-9
    assert difference.variance_ratio > 1000


def test_paired_p_value_is_that_of_the_t_test() -> None:
    from scipy.stats import ttest_ind, ttest_rel

    rng = np.random.default_rng(3)
    a, b = rng.normal(0.3, 1, 20), rng.normal(0, 1, 20)
    paired = paired_difference(dict(enumerate(a)), dict(enumerate(b)))
    assert paired.p_value == pytest.approx(ttest_rel(a, b).pvalue)
    assert independent_difference(a, b).p_value == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)


def test_effects_without_noise_are_certain() -> None:
    same = paired_difference({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0})
    more = paired_difference({0: 2.0, 1: 3.0}, {0: 1.0, 1: 2.0})
    assert (same.p_value, same.differs) == (1.0, False)
    assert (more.p_value, more.differs, more.interval.half_width) == (0.0, True, 0.0)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UserError, match="share no replicates"):
        paired_difference({0: 1.0}, {1: 1.0})
    with pytest.raises(UserError, match="not a finite number"):
        mean_interval([1.0, math.nan])
    with pytest.raises(UserError, match="at least two"):
        independent_difference([1.0], [1.0, 2.0])
    assert mean_interval([1.0]).half_width == math.inf


def test_holm_agrees_with_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = [0.04, 0.001, 0.2, 0.013, 0.04]
    assert holm(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_replicates_needed_bring_the_half_width() -> None:
    x = np.random.default_rng(4).normal(0, 1, 50)
    needed = replicates_needed(x, 0.1)
    scale = float(x.std(ddof=1))
    assert needed == pytest.approx((1.96 * scale / 0.1) ** 2, rel=0.02)
    assert replicates_needed(x, 100.0) == 2
    assert replicates_needed([1.0, 1.0], 0.1) == 2
    half_widths = [
        mean_interval(np.random.default_rng(k).normal(0, scale, needed), seed=k).half_width for k in range(20)
    ]
    assert np.mean(half_widths) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(
    ("low", "high", "direction", "expected"),
    [
        (1.1, 2.0, "above", "supported"),
        (0.2, 0.9, "above", "refuted"),
        (0.9, 1.1, "above", "inconclusive"),
        (0.2, 0.9, "below", "supported"),
        (1.1, 2.0, "below", "refuted"),
        (1.0, 2.0, "above", "inconclusive"),
    ],
)
def test_verdicts_follow_the_interval(
    low: float, high: float, direction: Literal["above", "below"], expected: str
) -> None:
    assert verdict(Interval((low + high) / 2, low, high, 30, 0.95), 1.0, direction) == expected


def test_the_gain_of_common_chance_is_measured_with_its_interval() -> None:
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(200):
        common, a, b = rng.normal(size=(3, 16))
        found = variance_reduction(3.0 * common + a, 3.0 * common + b)
        assert found is not None
        held += found.low <= 10.0 <= found.high
    assert 0.88 <= held / 200 <= 0.99
    x = np.arange(8.0)
    assert variance_reduction(x, x + 1.0) is None
    assert variance_reduction(np.ones(8), np.full(8, 2.0)) is None
    assert variance_reduction(x[:4], x[:4] ** 2) is None
    with pytest.raises(UserError, match="the same replicates"):
        variance_reduction([1.0, 2.0, 3.0], [1.0, 2.0])


def test_the_order_of_replicates_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    for values in ([1.0] * 17 + [0.0] * 7, rng.exponential(size=24).tolist()):
        other = rng.permutation(values)
        assert mean_interval(values) == mean_interval(other)
        assert independent_difference(values, [0.1, 0.2]) == independent_difference(other, [0.2, 0.1])
    a, b = rng.normal(size=12), rng.normal(size=12)
    order = rng.permutation(12)
    assert variance_reduction(a, b) == variance_reduction(a[order], b[order])


def test_shares_have_exact_intervals() -> None:
    four = share_interval([1, 1, 1, 1])
    assert (four.low, four.high) == pytest.approx((0.025**0.25, 1.0))  # 0.40: four of four decide nothing
    assert share_interval([1, 0, 1, 1]) == share_interval([1, 1, 1, 0])
    assert share_interval([0] * 6).high == pytest.approx(1.0 - 0.025 ** (1.0 / 6.0))
    with pytest.raises(UserError, match="0 or 1"):
        share_interval([0.5, 1.0])


def test_outcomes_needed_for_a_share() -> None:
    assert fewest_unanimous(0.5) == 6 and fewest_unanimous(0.5, level=1.0 - 0.05 / 3.0) == 7
    assert fewest_unanimous(0.9) == 36 and fewest_unanimous(1.0) == 1
    assert outcomes_needed(0.5, 0.5) == 0
    needed = outcomes_needed(0.75, 0.5)
    ones = [1.0] * (3 * needed // 4 + 1) + [0.0] * (needed // 4)
    assert share_interval(ones).low > 0.5 > share_interval([1, 1, 1, 0] * 3).low
