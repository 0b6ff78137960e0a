"""DeepSeek's published day, ChatGPT's early bill, and the arithmetic of days in general."""

import numpy as np
import pytest

from ecosystem.inference import day


def test_published_cost_revenue_and_margin() -> None:
    result = day.account()
    assert result.mean_nodes == pytest.approx(226.75, abs=1e-9)
    assert result.cost == pytest.approx(87_072, abs=1e-6)
    assert result.markup == pytest.approx(5.455, abs=5e-4)
    assert result.margin == pytest.approx(0.845, abs=5e-4)
    assert result.revenue == 562_027


def test_rounded_token_totals() -> None:
    result = day.account()
    assert result.revenue_from_tokens == pytest.approx(562_100)
    prefill, decode = result.nodes_from_speeds
    assert prefill == pytest.approx(95.5, abs=0.05)
    assert decode == pytest.approx(131.4, abs=0.05)
    assert prefill + decode == pytest.approx(226.86, abs=0.005)
    assert result.usd_per_mtok_input == pytest.approx(0.0603, abs=5e-5)
    assert result.usd_per_mtok_output == pytest.approx(0.3003, abs=5e-5)


def test_load_lending_and_discount_window() -> None:
    result = day.account()
    assert result.load_factor == pytest.approx(0.754, abs=5e-4)
    assert result.saved_by_lending == pytest.approx(0.184, abs=5e-4)
    assert result.off_peak_share == pytest.approx(0.17, abs=5e-3)


@pytest.mark.parametrize(
    ("case", "share", "digits"),
    [
        ("r1", 0.155, 3),
        ("v3", 0.310, 3),
        ("r1_off_peak", 0.18, 2),
        ("v3_off_peak", 0.34, 2),
        ("half_off_peak", 0.23, 2),
    ],
)
def test_break_even_paid_share(case: str, share: float, digits: int) -> None:
    assert round(day.account().break_even[case], digits) == share


def test_chatgpt_early_2023() -> None:
    assert pytest.approx(1.00, abs=0.005) == 694_444 / (28_936 * 24)
    assert float(day.rental_cost(28_936 / 8, 8.0, 1.0)) == pytest.approx(694_444, rel=1e-3)


def test_peak_provisioning_costs_the_inverse_of_the_load_factor() -> None:
    load = day.published_day().hourly_income
    needed = day.nodes_needed(load, 100.0, utilisation=0.8)
    ratio = day.paid_nodes(needed, lent=True) / day.paid_nodes(needed, lent=False)
    assert ratio == pytest.approx(day.load_factor(load))


def test_days_are_vectorised() -> None:
    loads = np.stack([day.published_day().hourly_income, np.ones(24)])
    assert day.paid_nodes(day.nodes_needed(loads, 2.0), lent=False).shape == (2,)
    np.testing.assert_allclose(day.load_factor(loads)[1], 1.0)
    np.testing.assert_allclose(day.window_share(loads, 0.0, 6.0)[1], 0.25)


def test_realised_revenue_never_exceeds_theoretical() -> None:
    facts = day.published_day()
    full = np.stack([facts.prices["r1"], facts.prices["v3"]])
    cheap = np.stack([facts.prices["off_peak"]] * 2)
    paid = np.linspace(0.0, 1.0, 5)
    realised = day.realised_revenue(
        facts.tokens, full, cheap, model_share=np.array([0.5, 0.5]), paid_share=paid, off_peak_share=0.17
    )
    assert np.all(np.diff(realised) > 0)
    assert realised[0] == 0
    assert realised[-1] < day.theoretical_revenue(facts.tokens, facts.prices["r1"])
