"""Fitting tastes to the opening: brands to users, extras of paid tiers to payers; conversion as shipped."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.testing import assert_allclose

from agents import brands
from agents.brands import fit_opening
from agents.choice import ChoiceLaw, ConsumerOffers
from agents.consumer_spec import CHINA, ConsumersSpec
from agents.tastes import Array
from tests.agents.test_consumers import USERS, WEST, by_app, offers, one, run, still


def test_brands_put_the_given_users_in_the_apps_and_keep_them_there() -> None:
    brand = fit_opening(ChoiceLaw(WEST), offers(), USERS).brand
    assert np.all(np.diff(brand) < 0)
    results = run(12, spec=still(WEST))
    assert_allclose(by_app(results[0]), USERS, rtol=1e-8)
    assert_allclose(by_app(results[11]), USERS, rtol=1e-8)


def test_the_opening_grows_with_awareness_and_keeps_its_shares() -> None:
    growing = WEST.model_copy(update={"word_of_mouth": 0.0, "multi_home": 0.0})
    users = np.array([by_app(result) for result in run(3, spec=growing)])
    growth = np.array([users[0] / USERS, users[1] / users[0]])
    assert np.all(growth > 1.08)
    assert np.ptp(growth, axis=1).max() < 0.003, "no app gains on another by the mere arrival of newcomers"


def test_paid_extras_put_the_given_payers_in_the_apps_and_keep_them_there() -> None:
    payers = USERS * np.array([0.045, 0.02, 0.01, 0.08, 0.0, 0.0])
    spec, terms = still(WEST), offers()
    terms = replace(terms, available=terms.available - one(12, 11, 1.0))  # the last app has no paid tier
    opening = fit_opening(ChoiceLaw(spec), terms, USERS, payers)
    results = run(12, spec=spec, terms=replace(terms, paid_extras=opening.paid_extras))
    for outcome in (results[0], results[11]):
        assert_allclose(by_app(outcome), USERS, rtol=1e-8)
        assert_allclose(outcome.users[1:8:2], payers[:4], rtol=1e-8)
    assert opening.paid_extras[4] == opening.paid_extras[5] == 0.0, "no number of payers, nothing to fit"
    assert results[0].users[9] > 0.01 * USERS[4], "whose payers follow from willingness to pay"


def test_brands_of_apps_without_users_are_left_alone_and_impossible_openings_refused() -> None:
    users = USERS.copy()
    users[5] = 0.0
    terms = replace(offers(), brand=np.full(6, -0.7))
    assert fit_opening(ChoiceLaw(WEST), terms, users).brand[5] == -0.7
    with pytest.raises(ValueError, match="aware"):
        fit_opening(ChoiceLaw(WEST), terms, 10 * USERS)
    with pytest.raises(ValueError, match="no open tier"):
        fit_opening(ChoiceLaw(WEST), replace(terms, available=np.zeros(12)), users)


def test_a_fit_that_runs_out_of_steps_is_taken_where_it_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = fit_opening(ChoiceLaw(WEST), offers(), USERS).brand
    monkeypatch.setattr(brands, "_TOLERANCE", 0.0)
    monkeypatch.setattr(brands, "_STEPS", 100)
    assert_allclose(fit_opening(ChoiceLaw(WEST), offers(), USERS).brand, exact, atol=1e-5)
    monkeypatch.setattr(brands, "_STEPS", 40)
    with pytest.raises(ValueError, match="cannot be fitted: relative error"):
        fit_opening(ChoiceLaw(WEST), offers(), USERS)


def opening_conversion(spec: ConsumersSpec, terms: ConsumerOffers, users: Array) -> float:
    """Return payers per user in the opening month, brands fitted."""
    law = ChoiceLaw(spec)
    held = law.people @ fit_opening(law, terms, users).balance[:, :-1]
    return float(held[terms.fee > 0].sum() / held.sum())


@pytest.mark.parametrize(("region", "fee", "target"), [({}, 20.0, 0.05), (CHINA, 9.4, 0.015)], ids=["West", "China"])
def test_paid_conversion_with_a_free_tier(region: dict[str, float], fee: float, target: float) -> None:
    spec, terms, users = ConsumersSpec(**cast(Any, region)), offers(fee=fee), 0.3 * USERS
    assert opening_conversion(spec, terms, users) == pytest.approx(target, rel=0.05)


def test_a_better_free_tier_lowers_conversion() -> None:
    conversion = [
        opening_conversion(WEST, offers(quota=q, gap=g), USERS) for q, g in ((100, 0.4), (250, 0.4), (250, 0.2))
    ]
    assert conversion[0] > conversion[1] > conversion[2]
