"""What apps learn from their terms, and what their ways of earning count."""

import math
from typing import Any

import pytest

from agents.learning import ResponseEstimate
from agents.monetisation import CommissionSpec
from ecosystem.model import ValueChain
from ecosystem.spec import Spec


class Noted(ResponseEstimate):
    """An estimate that keeps what it is shown."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        super().__init__(-1.0, 1.0)
        self.seen: list[tuple[float, float]] = []

    def observe(self, change: float, response: float, noise: float) -> None:
        self.seen.append((change, response))
        super().observe(change, response, noise)


def test_apps_learn_from_the_terms_that_were_in_force() -> None:
    terms = {"ads": {"load": 1.5, "adaptive": False}, "subscription": {}}
    event = {"kind": "new_terms", "month": 3, "app": "search", "tiers": {"pro": {"price": 30.0}}, "earning": terms}
    chain = ValueChain(Spec.load("toy").with_overrides({"events": {"terms": event}, "mechanisms.learning_apps": False}))
    app = chain.apps["search"]
    app.load_response, app.price_response = load, price = Noted(), Noted()
    joins, intensity = [], []
    for _ in range(6):
        chain.step()
        joins.append(app.usage.paid_joins)
        intensity.append(app.usage.queries / app.usage.users)
    assert load.seen == [pytest.approx((1.2, math.log(intensity[3] / intensity[2])))]
    assert price.seen == [pytest.approx((math.log(1.5), math.log(joins[3] / joins[2])))]


def test_a_commission_shows_payers_no_ads() -> None:
    """It counts the purchases of all users; who pays still sees no ads."""
    calm: dict[str, Any] = {"sampling": False, "events": {}, "months": 4, "mechanisms.learning_apps": False}
    ways: dict[str, Any] = {"ads": {"load": 0.3}, "subscription": {}}
    plain, other = (
        ValueChain(Spec.load("toy").with_overrides(calm | {"app.search.earning": ways | more})).run()
        for more in ({}, {"commission": {"rate": 0.05}})
    )
    advertising, commission = (other.apps["search"].books.streams[kind] for kind in ("advertising", "commission"))
    assert advertising == pytest.approx(plain.apps["search"].books.streams["advertising"], rel=1e-3)
    usage, terms = other.usage("search"), other.apps["search"].ways["commission"]
    assert isinstance(terms, CommissionSpec)
    assert usage.shown < usage.eligible
    assert commission == pytest.approx(0.05 * usage.eligible * usage.trust * terms.purchases * terms.basket)
