"""Fitting tastes to the opening month: brands to users by app, the WTP level to paid conversion."""

from dataclasses import replace

import numpy as np

from agents.choice import ChoiceLaw, ConsumerOffers, PublicState
from agents.consumer_spec import ConsumersSpec
from agents.tastes import Array

_STEPS = 2000
_TOLERANCE = 1e-10


def calibrate_brands(law: ChoiceLaw, offers: ConsumerOffers, opening_users: Array) -> Array:
    """Return brands (A,) at which the law of leaving and redrawing keeps `opening_users` (A,) people by app.

    A contraction in the logarithm of shares (Berry, Levinsohn and Pakes 1995), on the stationary distribution
    instead of one draw, so that the opening does not drift by itself. Apps without users keep their brand.
    Raises ValueError when the users are more than the people who can be aware, or an app with users is
    closed.
    """
    rate = aware_share(law, opening_users)
    fitted = opening_users > 0
    if not np.all(law.by_app(offers.available[None, :], offers.app, len(opening_users))[0, fitted] > 0):
        raise ValueError("an app with opening users has no open tier")
    people = law.people * law.spec.population * rate
    brand = offers.brand.copy()
    first = np.zeros(len(brand))
    for _ in range(_STEPS):
        balance, first = opening_balance(law, replace(offers, brand=brand), opening_users, first)
        users = law.by_app(people @ balance[:, :-1], offers.app, len(brand))
        error = np.log(opening_users[fitted] / users[fitted])
        brand[fitted] += 0.5 * law.spec.price_scale * law.spec.lambda_app * error
        if np.abs(error).max() < _TOLERANCE:
            return brand
    raise ValueError(f"opening users cannot be fitted: relative error {np.abs(error).max():.1e}")


def aware_share(law: ChoiceLaw, opening_users: Array) -> float:
    """Return the share of people who know the apps at the opening; ValueError if it is not below 1."""
    spec = law.spec
    share = float(opening_users.sum()) / (spec.population * (1.0 + spec.multi_home) * spec.take_up)
    if not 0.0 < share < 1.0:
        raise ValueError(
            f"opening users need {share:.2f} of the population to be aware; must lie between 0 and 1"
        )
    return share


def opening_balance(
    law: ChoiceLaw, offers: ConsumerOffers, opening_users: Array, first: Array
) -> tuple[Array, Array]:
    """Return the balanced distribution (R, O + 1) of aware people, and the share of first slots by app (A,).

    `first` is the current guess of the latter; the opening has full trust and no ads.
    """
    state = PublicState(
        trust=np.ones((len(law.people), len(first))),
        felt=np.zeros((len(law.people), len(offers.app))),
        share=opening_users / opening_users.sum(),
        first=first,
    )
    shares, _ = law.shares(offers, state)
    weight = shares / law.leaving(offers, shares, offers.fee)
    balance = weight / weight.sum(axis=1, keepdims=True)
    heads = law.people[: law.firsts] @ balance[: law.firsts, :-1]
    return balance, law.by_app(heads, offers.app, len(first))


def fit_wtp_level(
    spec: ConsumersSpec, offers: ConsumerOffers, opening_users: Array, conversion: float
) -> float:
    """Return the `wtp_level` at which the share `conversion` of users pays in the opening month, by
    bisection.

    One moment a region: F-A13 (5 % in the West), an assumption in China (1.5 %). WTP and the value increment
    of the paid tier are fitted together: the increment follows from quality and quota, the level closes the
    rest.
    """
    low, high = 0.1, 30.0
    for _ in range(30):
        middle = (low * high) ** 0.5
        paid = opening_conversion(spec.model_copy(update={"wtp_level": middle}), offers, opening_users)
        low, high = (middle, high) if paid < conversion else (low, middle)
    return float((low * high) ** 0.5)


def opening_conversion(spec: ConsumersSpec, offers: ConsumerOffers, opening_users: Array) -> float:
    """Return payers per user in the opening month, brands fitted."""
    law = ChoiceLaw(spec)
    offers = replace(offers, brand=calibrate_brands(law, offers, opening_users))
    first = np.zeros(len(opening_users))
    for _ in range(60):
        balance, first = opening_balance(law, offers, opening_users, first)
    users = law.people @ balance[:, :-1]
    return float(users[offers.fee > 0].sum() / users.sum())
