"""Event studies: the twin lacks the event and nothing else, and the difference has the sign that it should."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from experiments.errors import UserError
from experiments.events_study import AFTER, ShockResult, shock, shocks
from experiments.shock_report import ON_THE_DAY, reading, report, title, written

ON_TOY = sorted(set(shocks()) - {"export-control"})


@pytest.fixture(scope="module")
def deepseek() -> ShockResult:
    return shock("deepseek", "toy", month=3, months=18, replicates=3, workers=1)


def test_all_studies_of_the_design_are_there() -> None:
    assert set(shocks()) >= {
        "deepseek", "open-weights", "export-control", "funding-drought", "api-price", "ad-scandal",
        "acquisition-pulse", "price-war", "capacity-loss",
    }  # fmt: skip


@pytest.mark.parametrize("event", ON_TOY)
def test_before_the_event_both_worlds_are_the_same_to_the_bit(event: str) -> None:
    result = shock(event, "toy", month=2, months=5, replicates=2, workers=1)
    for outcome in result.treated:
        np.testing.assert_array_equal(result.treated[outcome][:, :2], result.twin[outcome][:, :2])
    assert any(np.any(result.treated[o][:, 2:] != result.twin[o][:, 2:]) for o in result.treated)


def test_the_saving_moves_equity_from_upstream_down_and_lowers_prices(deepseek: ShockResult) -> None:
    assert deepseek.reaction["chips"] < deepseek.reaction["clouds"] <= 0.0 < deepseek.reaction["labs"]
    price = deepseek.difference("fixed_quality_price", 4)
    assert price is not None and price.high < 0.0
    serving = deepseek.difference("serving_hours", 4)
    assert serving is not None and serving.high < 0.0


def test_the_table_is_read_after_the_event(deepseek: ShockResult) -> None:
    table = deepseek.table()
    assert set(table.index.get_level_values("months_after")) == {a for a in AFTER if 3 + a < 18}
    assert (table["low"] <= table["difference"]).all() and (table["difference"] <= table["high"]).all()
    content = json.loads(json.dumps(deepseek.to_dict(), allow_nan=False))
    assert content["month"] == 3
    assert "Jevons" in reading(deepseek)


def test_a_scenario_that_has_the_event_already_has_a_twin_without(deepseek: ShockResult) -> None:
    again = shock("deepseek", "toy", month=6, months=12, replicates=2, workers=1)
    np.testing.assert_array_equal(again.twin["tokens"], deepseek.twin["tokens"][:2, :12])
    assert np.any(again.treated["tokens"][:, 7:] != again.twin["tokens"][:, 7:])


def test_a_drought_goes_through_named_firms_in_order() -> None:
    result = shock("funding-drought", "toy", months=24, replicates=3, workers=1)
    path = result.path()
    assert path, "nobody cut anything"
    first = {tier: min((e.months_after for e in path if e.tier == tier), default=99) for tier in ("labs", "clouds")}
    assert first["labs"] <= first["clouds"] < 99


def test_a_scandal_costs_trust_and_users_and_trust_comes_back() -> None:
    result = shock("ad-scandal", "toy", months=20, replicates=2, workers=1)
    trust = [result.difference("app.search.trust", 6 + after) for after in (0, 12)]
    users = result.difference("app.search.users", 9)
    assert trust[0] is not None and trust[1] is not None and users is not None
    assert trust[0].estimate < -0.2 and trust[0].estimate < trust[1].estimate < 0.0
    assert users.estimate < 0.0


def test_refusals_name_what_there_is() -> None:
    with pytest.raises(UserError, match="no event 'deepsek'; there are deepseek"):
        shock("deepsek", "toy")
    with pytest.raises(UserError, match="toy: it has one region"):
        shock("export-control", "toy")
    with pytest.raises(UserError, match="month must be from 0 to 10"):
        shock("deepseek", "toy", month=40, months=12)
    with pytest.raises(UserError, match="at least 2"):
        shock("deepseek", "toy", replicates=1)


@pytest.mark.parametrize("months", [2, 3])
def test_a_short_study_says_what_it_has(months: int) -> None:
    result = shock("deepseek", "toy", months=months, replicates=2, workers=1)
    assert f"after {months - 1} months" in reading(result)
    result = shock("price-war", "toy", month=0, months=months, replicates=2, workers=1)
    assert f"after {months - 1} months" in reading(result)
    assert result.to_dict()["table"]


def test_an_outcome_is_compared_in_one_way_in_all_months() -> None:
    result = shock("price-war", "toy", month=1, months=6, replicates=2, workers=1)
    twin = {**result.twin, "revenue.labs": np.where(np.arange(6) == 2, 0.0, result.twin["revenue.labs"])}
    hollow = replace(result, twin=twin)
    (name,) = (each for each in result.treated if each == "revenue.labs")
    assert result.relative(name) and not hollow.relative(name)
    found = hollow.difference(name, 4)
    assert found is not None
    assert found.estimate == pytest.approx(float((result.treated[name] - twin[name])[:, 4].mean()))
    assert written(hollow, name, -2e6) == "-$2.00m"
    assert written(result, name, -0.02) == "-2.0 %"


def test_titles_say_where_the_difference_stands(deepseek: ShockResult) -> None:
    assert re.fullmatch(
        r"Serving hours: [\d.]+ % lower than without 12 months after the event \(-[\d.]+ % to -[\d.]+ %\)",
        title(deepseek, "serving_hours"),
    )
    same = replace(deepseek, treated=deepseek.twin)
    assert "cannot be told apart" in title(same, "serving_hours")


def test_the_response_on_the_day_is_told_apart_from_the_months(deepseek: ShockResult) -> None:
    assert "On the news of the saving alone" in reading(deepseek)
    assert ON_THE_DAY in report(deepseek).html()
