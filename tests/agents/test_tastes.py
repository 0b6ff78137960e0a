"""The mathematics of taste against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import expit

from agents.tastes import (
    Strata,
    WtpMixture,
    bass_step,
    build_strata,
    draw_binomial,
    draw_multinomial,
    leaving_propensity,
    metered_share,
    nested_logit_shares,
    quota_use,
    usage_overlap,
    whole_people,
)

WEST = WtpMixture((0.95, 0.05), (2.2, 25.0), (1.1, 1.0))
CHINA = WtpMixture((0.985, 0.015), (0.5, 10.0), (1.2, 1.0))


def strata(wtp: WtpMixture, counts: tuple[int, int, int] = (12, 4, 2)) -> Strata:
    return build_strata(wtp, (25.0, 1.6), 0.5, (0.1, 1.0), counts)


def conversion(cells: Strata, price: float, increment: float = 1.0) -> float:
    return float(cells.people @ expit((increment - price / cells.wtp) / 0.15))


@pytest.mark.parametrize(
    ("wtp", "price", "increment", "expected"),
    [
        (WEST, 20.0, 1.0, 0.051),
        (WEST, 8.0, 1.0, 0.158),
        (WEST, 200.0, 1.0, 0.0010),
        (WEST, 20.0, 0.7, 0.033),
        (WEST, 20.0, 0.5, 0.021),
        (CHINA, 9.4, 1.0, 0.015),
        (CHINA, 2.8, 1.0, 0.088),
    ],
)
def test_paid_against_nothing(wtp: WtpMixture, price: float, increment: float, expected: float) -> None:
    assert conversion(strata(wtp), price, increment) == pytest.approx(expected, rel=0.04)
    fine = conversion(strata(wtp, (200, 1, 1)), price, increment)
    assert conversion(strata(wtp), price, increment) == pytest.approx(fine, rel=0.04)


@pytest.mark.parametrize("counts", [(12, 4, 2), (24, 8, 4)])
def test_heavy_usage_is_exact_at_any_number_of_cells(counts: tuple[int, int, int]) -> None:
    cells = strata(WEST, counts)
    mean = 25.0 * math.exp(0.5 * 1.6**2)
    assert_allclose(cells.people.sum(), 1.0, rtol=1e-12)
    assert_allclose(cells.people @ cells.usage, mean, rtol=1e-6)
    _, usage = usage_overlap(cells.usage_edges, np.array([0.0, 0.95, 0.99, 1.0]), 1.6)
    shares = (cells.people * cells.usage) @ usage[cells.usage_bin] / mean
    assert shares[1] + shares[2] == pytest.approx(0.48, abs=0.005)
    assert shares[2] == pytest.approx(0.23, abs=0.005)


def test_usage_rises_with_wtp() -> None:
    cells = strata(WEST)
    rich = cells.wtp > 20.0
    mean = [np.average(cells.usage[group], weights=cells.people[group]) for group in (rich, ~rich)]
    assert 3.0 < mean[0] / mean[1] < 15.0


def test_one_cell_has_the_median_taste() -> None:
    cells = build_strata(WtpMixture((1.0,), (7.0,), (0.01,)), (25.0, 0.01), 0.0, (0.1, 0.01), (1, 1, 1))
    assert_allclose(cells.wtp, [7.0], rtol=1e-6)
    assert_allclose(cells.people, [1.0])


@given(
    v=st.lists(st.floats(-30.0, 30.0), min_size=5, max_size=5),
    inner=st.floats(0.3, 1.0),
    outer=st.floats(0.3, 1.0),
    outside=st.floats(-5.0, 5.0),
)
def test_nested_logit_is_a_probability_and_equals_its_definition(
    v: list[float], inner: float, outer: float, outside: float
) -> None:
    lambda_tier, lambda_app = min(inner, outer), max(inner, outer)
    app = np.array([0, 0, 1, 1, 2])
    shares, utility = nested_logit_shares(np.array([v]), app, lambda_tier, lambda_app, outside)
    inside = [lambda_tier * np.logaddexp.reduce(np.array(v)[app == a] / lambda_tier) for a in range(3)]
    any_app = lambda_app * np.logaddexp.reduce(np.array(inside) / lambda_app)
    assert_allclose(shares.sum(), 1.0, rtol=1e-12)
    assert_allclose(utility, [np.logaddexp(any_app, outside)], rtol=1e-9, atol=1e-9)
    for option, a in enumerate(app):
        log_share = v[option] / lambda_tier - inside[a] / lambda_tier + inside[a] / lambda_app - any_app / lambda_app
        log_share += any_app - np.logaddexp(any_app, outside)
        assert_allclose(shares[0, option], math.exp(log_share), rtol=1e-8, atol=1e-200)


def test_nested_logit_with_unit_nests_is_the_plain_logit() -> None:
    v = np.array([[1.0, -0.5, 2.0, 0.3]])
    shares, _ = nested_logit_shares(v, np.array([0, 0, 1, 2]), 1.0, 1.0)
    weight = np.append(np.exp(v[0]), 1.0)
    assert_allclose(shares[0], weight / weight.sum(), rtol=1e-12)


def test_closed_option_is_never_chosen() -> None:
    v = np.zeros((1, 3))
    shares, _ = nested_logit_shares(v, np.array([0, 0, 1]), 0.6, 0.8, 0.0, np.array([1.0, 0.0, 0.0]))
    assert_allclose(shares[0], [0.5, 0.0, 0.0, 0.5])


@given(
    v=st.lists(st.floats(-5.0, 5.0), min_size=4, max_size=4),
    cost=st.floats(0.0, 6.0),
    outside=st.floats(-3.0, 3.0),
)
def test_inertia_of_a_plain_logit_is_the_switching_cost_logit(v: list[float], cost: float, outside: float) -> None:
    shares = nested_logit_shares(np.array([v]), np.arange(4), 1.0, 1.0, outside)[0][0]
    leave = leaving_propensity(shares, cost)
    weight = np.exp(np.array([*v, outside]))
    for held in range(5):
        move = np.where(np.arange(5) == held, 1.0, math.exp(-cost)) * weight
        law = leave[held] * shares + (np.arange(5) == held) * (1.0 - leave[held])
        assert_allclose(law, move / move.sum(), rtol=1e-9)


@pytest.mark.parametrize("months", [1, 12, 48])
def test_adoption_without_innovation_is_the_exact_logistic(months: int) -> None:
    adopted = 0.05
    for _ in range(months):
        adopted = bass_step(adopted, 0.0, 0.3)
    assert adopted == pytest.approx(1.0 / (1.0 + 19.0 * math.exp(-0.3 * months)), rel=1e-12)


@pytest.mark.parametrize("months", [1, 12, 48])
def test_adoption_from_nothing_is_the_exact_bass_curve(months: int) -> None:
    adopted, p, q = 0.0, 0.01, 0.3
    for _ in range(months):
        adopted = bass_step(adopted, p, q)
    decay = math.exp(-(p + q) * months)
    assert adopted == pytest.approx((1.0 - decay) / (1.0 + q / p * decay), rel=1e-12)
    assert bass_step(0.0, 0.0, 0.3) == 0.0


def test_quota_use_is_the_mean_of_capped_months() -> None:
    usage, quota = np.array([40.0, 400.0]), np.array([100.0, np.inf])
    served, hit = quota_use(usage, quota, 0.7)
    months = usage[:, None] * np.exp(0.7 * np.random.default_rng(1).standard_normal((2, 400_000)) - 0.5 * 0.49)
    assert_allclose(served[:, 0], np.minimum(months, 100.0).mean(axis=1) / usage, rtol=5e-3)
    assert_allclose(hit[:, 0], (months > 100.0).mean(axis=1), atol=2e-3)
    assert_allclose(served[:, 1], 1.0)
    assert_allclose(hit[:, 1], 0.0)


def test_metered_consumer_buys_to_the_margin() -> None:
    grid = np.linspace(1e-4, 1.0, 100_001)
    for worth, cost in ((10.0, 8.0), (10.0, 2.0), (3.0, 9.0)):
        best = grid[np.argmax(worth * grid**0.4 - cost * grid)]
        share = metered_share(np.array([0.0]), np.array([worth]), np.array([cost]), 0.4)
        assert_allclose(share, [best], atol=2e-5)


@pytest.mark.parametrize("scale", [10**4, 10**9])
def test_draws_have_the_mean_and_keep_the_people(scale: int) -> None:
    rng = np.random.default_rng(3)
    people, shares = np.array([scale, 2 * scale], dtype=float), np.array([[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]])
    moved = draw_multinomial(rng, people, shares)
    assert_allclose(moved.sum(axis=1), people)
    assert_allclose(moved / people[:, None], shares, atol=5.0 / math.sqrt(scale))
    left = draw_binomial(rng, np.broadcast_to(people[:, None], (2, 3)), shares)
    assert_allclose(left / people[:, None], shares, atol=5.0 / math.sqrt(scale))
    assert draw_multinomial(None, people, shares)[0, 1] == 0.5 * scale


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=20))
def test_whole_people_keep_the_total(expected: list[float]) -> None:
    whole = whole_people(np.array(expected))
    assert np.all(whole == np.floor(whole))
    assert np.all(np.abs(whole - expected) <= 1.0)
    assert abs(whole.sum() - sum(expected)) <= 0.5 + 1e-6
