"""Moments and combinations against paths whose answer is known."""

import math
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ecosystem.model import ValueChain
from experiments import combinations as c
from experiments import moments as m
from experiments import moments_apps as apps
from experiments import moments_demand as demand
from experiments import moments_supply as supply


@cache
def chain() -> ValueChain:
    return ValueChain("toy", months=24).run()


# --- over a finished chain -----------------------------------------------------------------------------------------


def test_shares_of_the_profit_pool_sum_to_one() -> None:
    assert math.fsum(supply.pool_share(chain(), t, "revenue") for t in supply.TIERS) == pytest.approx(1.0)


def test_ratios_and_sums_agree() -> None:
    whole = m.tier_ratio(chain(), "chips", "gross_profit", "revenue")
    parts = m.group_ratio(chain(), ["alpha", "beta", "gamma"], "gross_profit", "revenue")
    assert whole == pytest.approx(parts)
    assert m.firm_mean(chain(), "alpha", "revenue") * 24 == pytest.approx(
        m.firm_path(chain(), "alpha", "revenue").sum()
    )


def test_quarters_are_weighted_by_revenue() -> None:
    margins = supply.quarterly_margin(chain(), "alpha")
    assert len(margins) == 8
    assert min(margins) == supply.margin_trough(chain(), "alpha", [0, 24])


def test_users_and_answers_of_bands_are_all_users_and_answers() -> None:
    outcome = chain().consumer_markets["west"].outcome
    assert outcome is not None
    users, queries = demand._bands(chain(), "west")
    assert_allclose(users.sum(), outcome.users.sum(), rtol=1e-6)
    assert_allclose(queries.sum(), outcome.queries.sum(), rtol=1e-6)
    assert demand.top_share(chain(), "west", 1.0) == pytest.approx(1.0)
    assert demand.top_share(chain(), "west") > 0.05
    assert 0.0 < demand.gini(chain(), "west") < 1.0


def test_open_and_closed_weights_share_all_tokens() -> None:
    assert demand.open_share(chain(), "west") + demand.closed_share(chain(), "west") == pytest.approx(1.0)
    assert demand.suppliers(chain()) >= 1.0


def test_concentration_is_between_equal_shares_and_one() -> None:
    for tier in supply.TIERS:
        assert 1.0 / 3.0 - 1e-9 <= supply.hhi(chain(), tier) <= 1.0


def test_stack_share_leaves_out_own_use() -> None:
    assert supply.pool_share(chain(), "chips", "revenue") < supply.stack_share(chain()) < 1.0


def test_profit_on_own_use_is_left_out_in_proportion() -> None:
    assert math.fsum(supply.sold_profit_share(chain(), tier) for tier in supply.TIERS) == pytest.approx(1.0)
    sold, whole = (
        share(chain(), "clouds") / share(chain(), "chips") for share in (supply.sold_profit_share, supply.pool_share)
    )
    payments = chain().ledger.flows()
    paid = {"parents": 0.0, "others": 0.0}
    for payer, payee, amount, sale in zip(
        payments.payer, payments.payee, payments.amount, payments.operating, strict=True
    ):
        if sale and payments.accounts[payee].tier == "clouds":
            paid["parents" if payments.accounts[payer].tier == "parents" else "others"] += amount
    assert paid["parents"] > 0.0
    assert sold / whole == pytest.approx(paid["others"] / math.fsum(paid.values()))
    shares = [supply._own_use(chain(), months) for months in ([0, 12], [12, 24], None)]
    assert min(shares[:2]) < shares[2] < max(shares[:2])


def test_contribution_is_fees_less_tokens() -> None:
    users, payers, _, share = apps.unit_economics(chain(), "search")
    assert users > payers > 0.0
    assert share > 0.0


def test_yearly_factor_of_a_series() -> None:
    fold = m.series_fold(chain(), "fixed_quality_price")
    assert fold == pytest.approx(1.0 / m.series_yearly(chain(), "fixed_quality_price"))


def test_the_cycle_of_a_sine_has_its_period() -> None:
    months = np.arange(240.0)
    run = chain()
    run.recorder._series["wave"] = np.exp(0.2 * np.sin(2.0 * np.pi * months / 48.0))
    recorded, run.recorder.recorded = run.recorder.recorded, 240
    try:
        assert supply.cycle_years(run, "wave") == pytest.approx(4.0, abs=0.4)
        assert supply.co_movement(run, "wave", "wave") == pytest.approx(1.0)
    finally:
        run.recorder.recorded = recorded
        del run.recorder._series["wave"]


# --- between worlds ------------------------------------------------------------------------------------------------

FLAT = [1.0] * 24


def _bump(peak: int, decay: float, size: float = 1.0) -> list[float]:
    return [1.0 + (size * decay ** (t - peak) if t >= peak else 0.0) for t in range(24)]


def test_half_life_of_a_release() -> None:
    assert c.months_to_eighty(_bump(c.EVENT, 0.9), FLAT) == 1.0
    assert c.half_life(_bump(c.EVENT, 0.5 ** (1.0 / 6.0)), FLAT) == pytest.approx(6.0, abs=1.0)
    assert c.half_life(_bump(c.EVENT, 1.0), FLAT) == 99.0
    with pytest.raises(ValueError, match="nothing"):
        c.half_life(FLAT, FLAT)


def test_what_is_kept_of_a_pulse() -> None:
    assert c.kept_after_pulse(_bump(c.EVENT + 1, 0.5), FLAT) == pytest.approx(0.75)
    assert c.pulse_spike(_bump(c.EVENT + 1, 0.5, 4.0), FLAT) == pytest.approx(5.0)


def test_followers_of_a_price_cut() -> None:
    cut = [0.0 if t < c.EVENT + 2 else -2.0 for t in range(24)]
    assert c.months_to_follow(cut, [0.0] * 24) == 2.0
    assert c.months_to_follow([0.0] * 24, [0.0] * 36) == 99.0


def test_long_run_over_first_month() -> None:
    treated = [math.exp(-0.1 if t == c.EVENT else -0.3 if t > c.EVENT else 0.0) for t in range(24)]
    assert c.ad_response_ratio(treated, FLAT) == pytest.approx(3.0)


def test_elasticity_and_crossing() -> None:
    assert c.elasticity([0.5, 2.0], [1.0, 1.0]) == pytest.approx(-1.0)
    gains = [10.0 ** (e - 1.0) for e in c.ELASTICITIES]
    assert c.crossing(*[x for gain in gains for x in (gain, 1.0)]) == pytest.approx(1.0)


def test_optimum_of_an_inverted_u() -> None:
    profits = [-((math.log2(load) + 1.0) ** 2) for load in c.LOADS]
    assert c.optimum(*profits) == pytest.approx(0.5, rel=0.05)
    assert c.interior(*profits) == 1.0
    assert c.interior(*sorted(profits)) == 0.0


def test_break_even_where_users_begin_to_pay() -> None:
    points = [([2.0, 0.1, -1.0], [1.0, 0.0, 0.0, 0.2]), ([2.0, 0.3, 1.0], [1.0, 0.0, 0.0, 0.2])]
    worlds = [x for pair in points for x in pair]
    assert c.break_even_ratio(*worlds) == pytest.approx(1.0)
    assert c.slope_low(*worlds) == -1.0
    assert c.slope_high(*worlds) == 1.0


def test_threshold_between_those_who_buy_and_those_who_make() -> None:
    few = [[v, v, float(v >= 4.0), 1.0] for v in (1.0, 2.0, 4.0, 8.0)]
    more = [[v, v, float(v >= 2.0), 1.0] for v in (1.0, 2.0, 4.0, 8.0)]
    assert c.threshold_shift(more, few) == pytest.approx(0.5)


def test_paths_in_order() -> None:
    early, late = [1.0, 0.9, 0.9], [1.0, 1.0, 0.9]
    assert c.path_order([early, late], [[1.0] * 3] * 2) == 1.0
    assert c.path_order([late, early], [[1.0] * 3] * 2) == 0.0


def test_months_to_recover() -> None:
    assert c.months_to_recover([0.7, 0.4, 0.5, 0.68], [0.7] * 4) == 6.0
    assert c.months_to_recover([0.7, 0.4, 0.4], [0.7] * 3) == 99.0
    assert c.months_to_recover([0.7] * 3, [0.7] * 3) == 0.0
