"""Outcomes: fixed names and units, and figures that agree with the panel they come from."""

import gc
import math
from dataclasses import fields

import numpy as np
import pytest

from experiments.outcomes import (
    TIER_UNITS,
    TierFigures,
    outcome_units,
    outcomes,
    outcomes_of,
    tier_figures,
    window,
    yearly_factor,
)
from experiments.runs import RunResult, run
from experiments.workers import outcome_function

MONTHS = 14


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run("toy", months=MONTHS)


def test_every_figure_of_a_tier_has_a_unit() -> None:
    assert [field.name for field in fields(TierFigures)] == [*TIER_UNITS]


def test_names_do_not_depend_on_seed_months_or_whether_firms_fail(result: RunResult) -> None:
    names = [*outcomes_of(result)]
    assert len(names) > 100
    assert names == [*outcomes("toy", seed=9, replicate=3, months=3)]
    assert all(name.isidentifier() for name in names)


def test_every_outcome_has_a_unit(result: RunResult) -> None:
    units = outcome_units(outcomes_of(result))
    assert [name for name, unit in units.items() if not unit] == []
    assert units["chips_revenue"] == "USD/year"
    assert units["chip_price_west"] == "USD per H100-equivalent"
    assert units["lead_time_longest_west"] == "months"
    assert units["rent_yearly_factor_west"] == "factor a year"


def test_tier_figures_are_those_of_the_panel(result: RunResult) -> None:
    figures = tier_figures(result)["clouds"]
    rows = [i for i, firm in enumerate(result.firm_list) if firm.tier == "clouds"]
    last = slice(MONTHS - 12, MONTHS)
    revenue = result.field("revenue")[last][:, rows].sum()
    profit = result.field("operating_profit")[last][:, rows].sum()
    added = result.field("value_added")[last][:, rows].sum()
    assert figures.revenue == pytest.approx(revenue)
    assert figures.operating_margin == pytest.approx(profit / revenue)
    assert figures.profit_over_value_added == pytest.approx(profit / added)
    assert figures.firms == 3


def test_whole_run_covers_all_months(result: RunResult) -> None:
    whole = tier_figures(result, whole=True)["apps"]
    rows = [i for i, firm in enumerate(result.firm_list) if firm.tier == "apps"]
    assert whole.revenue == pytest.approx(12.0 / MONTHS * result.field("revenue")[:, rows].sum())


def test_final_demand_definitions_widen(result: RunResult) -> None:
    for figures in tier_figures(result).values():
        assert figures.cover_services <= figures.cover_with_on_premise + 1e-12
        assert figures.cover_with_on_premise <= figures.cover_with_own_use + 1e-12
        assert 0.0 <= figures.cents_per_final_dollar <= 100.0


def test_a_ratio_without_meaning_is_not_a_number(result: RunResult) -> None:
    labs = tier_figures(result)["labs"]
    rows = [i for i, firm in enumerate(result.firm_list) if firm.tier == "labs"]
    assert result.field("value_added")[-12:][:, rows].sum() < 0.0
    assert math.isnan(labs.profit_over_value_added)


def test_yearly_factor_is_the_trend() -> None:
    months = np.arange(30.0)
    assert yearly_factor(3.0 * 0.5 ** (months / 12.0)) == pytest.approx(0.5)
    assert math.isnan(yearly_factor(np.array([1.0])))
    gap = np.where(months < 5, np.nan, 2.0 ** (months / 12.0))
    assert yearly_factor(gap) == pytest.approx(2.0)


def test_window_of_a_short_run_is_all_of_it() -> None:
    assert window(5) == slice(0, 5)
    assert window(30) == slice(18, 30)
    assert window(30, whole=True) == slice(0, 30)


def test_a_run_leaves_no_model_behind() -> None:
    from ecosystem.model import ValueChain

    outcomes("toy", months=2)
    gc.collect()
    before = sum(isinstance(each, ValueChain) for each in gc.get_objects())
    for replicate in range(3):
        outcomes("toy", months=2, replicate=replicate)
    gc.collect()
    assert sum(isinstance(each, ValueChain) for each in gc.get_objects()) == before


def test_sweeps_find_the_function() -> None:
    assert outcome_function("experiments.outcomes:outcomes") is outcomes
    assert outcome_function("experiments.runs:outcomes") is outcomes
