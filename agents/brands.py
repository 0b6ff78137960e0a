"""Fitting tastes to the opening month: brands to users, paid extras to payers by app."""

import math
from collections import OrderedDict
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.choice import ChoiceLaw, ConsumerOffers, PublicState, Use
from agents.tastes import Array, bass_step

_STEPS = 20_000
"""A few dozen do, save where almost everybody who knows the apps uses one."""
_TOLERANCE = 1e-12
_ENOUGH = 1e-6
"""Error in log users with which a fit that has run out of steps is taken."""
_NEAR = 0.3
"""Error in log users below which steps are accelerated; halved when one leads astray."""
_HURRY = 300
"""Steps after which acceleration is given up: the plain contraction is slow and sure."""
_WORSE = 1.5
"""Longest plain step after an accelerated one, over the plain step before it."""
_REACH, _SURE = 20.0, 0.02
"""How many plain steps an accelerated one may span, and the length that it always may have."""
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Opening:
    """A fitted opening: brands and extras of paid tiers (A,), share of people aware, their places (R, O + 1).

    The last place is none.
    """

    brand: Array
    paid_extras: Array
    aware: float
    balance: Array


class Acceleration:
    """Anderson's acceleration of a contraction: combine the last points so that their steps cancel.

    Anderson (1965), in the form of Walker and Ni (2011); a sixth of the steps of the plain contraction. Where an
    accelerated point proves worse than the one before, the way is resumed there by plain steps.
    """

    def __init__(self, memory: int = 5) -> None:
        self.memory = memory
        self.points: list[Array] = []
        self.steps: list[Array] = []

    def forget(self) -> None:
        """Start afresh: the next step is a plain one."""
        self.points.clear()
        self.steps.clear()

    def advance(self, point: Array, step: Array) -> Array:
        """Return the next point, given the step (n,) that the contraction would make from `point` (n,)."""
        if len(self.points) > 1 and np.abs(step).max() > _WORSE * np.abs(self.steps[-1]).max():
            point, step = self.points[-1], self.steps[-1]
            self.forget()
        self.points = [*self.points[-self.memory :], point]
        self.steps = [*self.steps[-self.memory :], step]
        if len(self.points) == 1:
            return point + step
        turns = np.diff(self.steps, axis=0).T
        moves = np.diff(self.points, axis=0).T
        weights = np.linalg.lstsq(turns, step, rcond=None)[0]
        move = step - (moves + turns) @ weights
        farthest = max(_REACH * float(np.abs(step).max()), _SURE)
        return np.asarray(point + move * min(1.0, farthest / max(float(np.abs(move).max()), _SURE)))


def fit_opening(
    law: ChoiceLaw, offers: ConsumerOffers, opening_users: Array, opening_payers: Array | None = None
) -> Opening:
    """Fit brands so that `opening_users` (A,) people by app grow with awareness and keep their shares.

    A contraction in the logarithm of shares (Berry, Levinsohn and Pakes 1995) on the distribution that leaving,
    redrawing and newcomers keep, instead of one draw, so that the opening does not drift by itself; trust is full
    and nobody has seen ads. Apps without users keep their brand: close those that do not exist yet (`available` 0).
    With `opening_payers` (A,), what paid tiers are worth beyond answers and quota is fitted too, where an app has
    users on open free and paid tiers and a number of payers above zero; elsewhere it stays as offered.
    Raises ValueError when users are more than the people who can be aware, or an app with users is closed.
    """
    aware = _aware_share(law, opening_users)
    newcomers = bass_step(aware, law.spec.innovation, law.spec.imitation) / aware - 1.0
    apps = len(opening_users)
    fitted = opening_users > 0
    if not np.all(law.by_app(offers.available, offers.app, apps)[fitted] > 0):
        raise ValueError("an app with opening users has no open tier")
    people = law.people * law.spec.population * aware
    brand, extras = offers.brand.copy(), offers.paid_extras.copy()
    fees = (offers.fee > 0.0) * 1.0
    target, mixed = _payers_to_fit(law, offers, opening_users, opening_payers)
    state = PublicState(
        trust=np.ones((len(people), apps)),
        felt=np.zeros((len(people), len(offers.app))),
        share=opening_users / opening_users.sum(),
        first=np.zeros(apps),
    )
    use = law.use(offers, state.trust, perceived=True)
    contraction, largest, near = Acceleration(), math.inf, _NEAR
    for steps in range(_STEPS):
        balance = _balance(law, replace(offers, brand=brand, paid_extras=extras), state, use, newcomers)
        held = people @ balance[:, :-1]
        users = law.by_app(held, offers.app, apps)
        if not np.all(users[fitted] > 0.0):
            raise ValueError("opening users cannot be fitted: by these tastes nobody would use some of the apps")
        error = np.log(opening_users[fitted] / users[fitted])
        payers = law.by_app(held * fees, offers.app, apps)[mixed]
        odds = np.log(target / (opening_users[mixed] - target)) - np.log(payers / (users[mixed] - payers))
        before, largest = largest, float(np.abs(np.append(error, odds)).max())
        if largest < _TOLERANCE:
            return Opening(brand, extras, aware, balance)
        if largest > 1.5 * before or before < near < largest:
            near *= 0.5
        if largest > near or steps > _HURRY:
            contraction.forget()
        heads = law.people[: law.firsts] @ balance[: law.firsts, :-1]
        first = law.by_app(heads, offers.app, apps)
        point = np.concatenate([brand[fitted], extras[mixed], state.first])
        half = 0.5 * law.spec.price_scale
        step = [half * law.spec.lambda_app * error, half * law.spec.lambda_tier * odds, first - state.first]
        point = contraction.advance(point, np.concatenate(step))
        brand[fitted], extras[mixed] = np.split(point[:-apps], [len(error)])
        state = replace(state, first=np.clip(point[-apps:], 0.0, 1.0))
    if largest < _ENOUGH:
        return Opening(brand, extras, aware, balance)
    raise ValueError(f"opening users cannot be fitted: relative error {largest:.1e}")


def _payers_to_fit(
    law: ChoiceLaw, offers: ConsumerOffers, opening_users: Array, opening_payers: Array | None
) -> tuple[Array, NDArray[np.bool_]]:
    """Return payers (M,) to fit and the mask (A,) of the M apps with users, open free tiers and open paid ones."""
    apps = len(opening_users)
    wanted = np.zeros(apps) if opening_payers is None else opening_payers
    with_paid, with_free = (
        np.isin(np.arange(apps), offers.app[(offers.available > 0.0) & sort])
        for sort in (offers.fee > 0.0, offers.fee <= 0.0)
    )
    mixed = (wanted > 0.0) & (wanted < opening_users) & with_paid & with_free
    return wanted[mixed], mixed


_openings: "OrderedDict[tuple[Any, ...], Opening]" = OrderedDict()


def remembered_opening(law: ChoiceLaw, offers: ConsumerOffers, opening_users: Array) -> Opening:
    """Return `fit_opening`, worked out once for all runs of a sweep that share tastes, offers and opening users."""
    given = [opening_users, law.wtp, *(getattr(offers, field.name) for field in fields(offers))]
    key = (law.spec, *(item.tobytes() if isinstance(item, np.ndarray) else item for item in given))
    if key not in _openings:
        _openings[key] = fit_opening(law, offers, opening_users)
        for fitted in (_openings[key].brand, _openings[key].paid_extras, _openings[key].balance):
            fitted.flags.writeable = False
        if len(_openings) > _REMEMBERED:
            _openings.popitem(last=False)
    return _openings[key]


def _aware_share(law: ChoiceLaw, opening_users: Array) -> float:
    """Return the share of people who know the apps at the opening; ValueError if it is not below 1."""
    spec = law.spec
    share = float(opening_users.sum()) / (spec.population * (1.0 + spec.multi_home) * spec.take_up)
    if not 0.0 < share < 1.0:
        raise ValueError(f"opening users need {share:.2f} of the population to be aware, not between 0 and 1")
    return share


def _balance(law: ChoiceLaw, offers: ConsumerOffers, state: PublicState, use: Use, newcomers: float) -> Array:
    """Return the distribution (R, O + 1) that leaving, redrawing and newcomers keep: proportional to q / (h theta + g).

    `newcomers` is g, people who become aware in a month over those who are.
    """
    shares, _ = law.shares(offers, state, use)
    weight = shares / (law.leaving(offers, shares, offers.fee) + newcomers)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
