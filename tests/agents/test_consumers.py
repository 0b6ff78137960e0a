"""The consumers of a region: churn, ads, quotas, adoption and exactness."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import mesa
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from agents.brands import fit_opening
from agents.choice import ChoiceLaw, PublicState
from agents.consumers import (
    BLOCKED,
    METERED,
    THROTTLED,
    ConsumerOffers,
    ConsumerOutcome,
    Consumers,
    ConsumersSpec,
)
from agents.tastes import Array, bass_step
from agents.world import World
from tests.agents.reference_consumers import ReferenceConsumers

USERS = np.array([350e6, 90e6, 60e6, 40e6, 15e6, 5e6])
WEST = ConsumersSpec(usage_sigma=1.6, review=0.15, switching_cost=1.5)  # whatever a calibration finds


class Stage(mesa.Model):
    """The least of a world that consumers see."""

    def __init__(self, sampling: bool = False, seed: int = 1) -> None:
        super().__init__(rng=seed)
        self.month = 0
        self.sampling = sampling
        self.root = seed

    def stream(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.root, self.month, *name.encode()])


def offers(apps: int = 6, fee: float = 20.0, quota: float = 250.0, gap: float = 0.4) -> ConsumerOffers:
    """A free tier on a small model with a quota and a paid tier on the large one, in every app."""
    options = 2 * apps
    return ConsumerOffers(
        app=np.repeat(np.arange(apps), 2),
        fee=np.tile([0.0, fee], apps),
        quality=np.tile([1.0 - gap, 1.0], apps),
        quota=np.tile([quota, np.inf], apps),
        overage=np.full(options, BLOCKED),
        overage_price=np.zeros(options),
        ad_load=np.zeros(options),
        disclosed=np.zeros(options),
        eligible=np.full(options, 0.2),
        service=np.ones(options),
        available=np.ones(options),
        brand=np.zeros(apps),
        paid_extras=np.zeros(apps),
        acquired=np.zeros(apps),
        scandal=np.zeros(apps),
        frontier=1.0,
    )


def opened(
    spec: ConsumersSpec, terms: ConsumerOffers, users: Array, sampling: bool = False, seed: int = 1
) -> tuple[Consumers, ConsumerOffers]:
    stage = Stage(sampling, seed)
    consumers = Consumers(cast(World, stage), "consumers.west", spec)
    return consumers, replace(terms, brand=consumers.open(terms, users))


def month(consumers: Consumers, terms: ConsumerOffers) -> ConsumerOutcome:
    consumers.choose(terms)
    outcome = consumers.use()
    cast(Any, consumers.world).month += 1
    return outcome


def run(
    months: int,
    change: Callable[[int, ConsumerOffers], ConsumerOffers] = lambda _, terms: terms,
    spec: ConsumersSpec = WEST,
    terms: ConsumerOffers | None = None,
    users: Array = USERS,
) -> list[ConsumerOutcome]:
    consumers, terms = opened(spec, terms or offers(), users)
    return [month(consumers, change(t, terms)) for t in range(months)]


def at(start: int, **fields: Array) -> Callable[[int, ConsumerOffers], ConsumerOffers]:
    return lambda t, terms: replace(terms, **cast(Any, fields)) if t >= start else terms


def one(options: int, option: int, value: float) -> Array:
    array = np.zeros(options)
    array[option] = value
    return array


def still(spec: ConsumersSpec) -> ConsumersSpec:
    """Return the spec without adoption and without reaction to shares."""
    return spec.model_copy(update={"innovation": 0.0, "imitation": 0.0, "word_of_mouth": 0.0})


def by_app(outcome: ConsumerOutcome) -> Array:
    """Return users by app, of apps with two tiers each."""
    return np.asarray(outcome.users.reshape(-1, 2).sum(axis=1))


def paid(outcome: ConsumerOutcome, terms: ConsumerOffers) -> float:
    return float(outcome.users[terms.fee > 0].sum() / outcome.users.sum())


def test_churn_of_payers_is_lowest_at_the_leader() -> None:
    users = np.asarray(4e8 / np.arange(1.0, 13.0) ** 1.3)
    outcome = run(1, terms=offers(12), users=users)[0]
    churn = (outcome.leavers / outcome.users)[1::2]
    assert np.median(churn) == pytest.approx(0.12, abs=0.015)
    assert churn[0] == churn.min()
    assert churn[0] < 0.07


def test_payers_use_much_more_than_free_users() -> None:
    outcome = run(1, at(0, quota=np.full(12, np.inf)))[0]
    per_user = outcome.queries / outcome.users
    assert 4.0 < per_user[1] / per_user[0] < 15.0


def test_usage_table_adds_up_and_is_heavy_tailed() -> None:
    consumers, terms = opened(WEST, offers(quota=np.inf), USERS)
    outcome = month(consumers, terms)
    table = consumers.usage_table()
    assert table.users.shape == (10, 12)
    assert_allclose(table.users.sum(axis=0), outcome.users)
    assert_allclose(table.queries.sum(axis=0), outcome.queries)
    tail = consumers.usage_table(np.array([0.0, 0.95, 0.99, 1.0])).queries.sum(axis=1)
    tail /= tail.sum()
    assert tail[1:].sum() == pytest.approx(0.48, abs=0.02)
    assert tail[2] == pytest.approx(0.23, abs=0.02)


def test_a_quota_that_binds_on_five_percent_of_payers_raises_their_churn_by_one_or_two_points() -> None:
    quota = offers().quota.copy()
    quota[1] = 1500.0
    base, capped = run(12), run(12, at(6, quota=quota))
    consumers, terms = opened(WEST, offers(), USERS)
    for t in range(7):
        month(consumers, at(6, quota=quota)(t, terms))
    assert consumers.quota_hit()[1] == pytest.approx(0.05, abs=0.01)
    extra = [c.leavers[1] / c.users[1] - b.leavers[1] / b.users[1] for b, c in zip(base, capped, strict=True)]
    assert extra[5] == 0.0
    assert 0.01 < np.mean(extra[6:]) < 0.02


def test_ads_cost_three_times_as_much_use_after_a_year_as_at_once() -> None:
    base, loaded = run(20), run(20, at(6, ad_load=one(12, 0, 1.0)))
    loss = [1.0 - t.queries[0] / b.queries[0] for b, t in zip(base, loaded, strict=True)]
    assert loss[5] == 0.0
    assert 2.5 < loss[17] / loss[6] < 3.5
    assert loaded[17].users[1] > base[17].users[1]
    assert loaded[6].eligible[0] == pytest.approx(0.2 * loaded[6].queries[0])


def test_exposure_is_diluted_by_newcomers_only() -> None:
    spec = still(WEST).model_copy(update={"ad_dislike_median": 1e-12, "trust_loss": 0.0})
    consumers, terms = opened(spec, offers(), USERS)
    terms = replace(terms, ad_load=one(12, 0, 1.0))
    month(consumers, terms)
    assert_allclose(consumers.fast[:, 0], 0.2)
    shares, _ = consumers.law.shares(terms, consumers.public_state(terms))
    leaving = consumers.law.leaving(terms, shares, terms.fee)
    consumers.choose(terms)  # in balance, as many come as leave
    assert_allclose(consumers.fast[:, 0], 0.2 * (1.0 - leaving[:, 0]), rtol=1e-6)
    assert np.all(consumers.fast[:, 1:] == 0.0)


def test_disclosure_and_scandal_lower_trust() -> None:
    load = one(12, 0, 1.0)
    hidden, shown = run(12, at(0, ad_load=load)), run(12, at(0, ad_load=load, disclosed=np.ones(12)))
    assert shown[11].trust[0] < hidden[11].trust[0] < 1.0
    assert shown[11].trust[1] == 1.0
    assert by_app(shown[11])[0] < by_app(hidden[11])[0]
    shaken = run(12, lambda t, terms: replace(terms, scandal=one(6, 0, 0.3)) if t == 2 else terms)
    assert shaken[2].trust[0] == pytest.approx(0.7)
    assert 0.7 < shaken[11].trust[0] < 1.0
    assert by_app(shaken[11])[0] < by_app(run(12)[11])[0]


def test_an_app_that_stands_still_loses_while_the_frontier_moves_and_values_stay_bounded() -> None:
    def progress(stuck: bool) -> Callable[[int, ConsumerOffers], ConsumerOffers]:
        def change(t: int, terms: ConsumerOffers) -> ConsumerOffers:
            quality = terms.quality + 0.07 * t
            if stuck:
                quality[4:6] = terms.quality[4:6]
            return replace(terms, quality=quality, frontier=1.0 + 0.07 * t)

        return change

    stuck, together = run(36, progress(True)), run(36, progress(False))
    assert by_app(stuck[35])[2] < 0.1 * by_app(together[35])[2]
    assert together[0].surplus < together[35].surplus < 8.0 * together[0].surplus
    law = ChoiceLaw(WEST)
    assert law.level(1.0) == 1.0
    assert law.level(50.0) < 1.0 + WEST.frontier_gain


def test_adoption_is_the_exact_bass_curve_and_multiplies_users() -> None:
    consumers, terms = opened(WEST, offers(), USERS)
    adopted, results = consumers.adopted, []
    for _ in range(36):
        results.append(month(consumers, terms))
        adopted = bass_step(adopted, WEST.innovation, WEST.imitation)
        assert consumers.adopted == pytest.approx(adopted, rel=1e-9)
    assert 2.0 < by_app(results[9])[0] / USERS[0] < 2.6  # 350 M to 800 M in nine and a half months (F-A13)


def test_bought_users_do_not_stay() -> None:
    results = run(8, lambda t, terms: replace(terms, acquired=one(6, 5, 30e6)) if t == 2 else terms)
    base = run(8)
    bought = [by_app(r)[5] - by_app(b)[5] for r, b in zip(results, base, strict=True)]
    assert results[2].acquired[5] == pytest.approx(30e6)
    assert bought[2] == pytest.approx(30e6)
    assert bought[4] < 0.4 * bought[2]
    assert bought[4] > 0.0


def test_scale_of_wtp_moves_payers() -> None:
    consumers, terms = opened(WEST, offers(), USERS)
    before = paid(month(consumers, terms), terms)
    consumers.scale_wtp(1.5)
    for _ in range(12):
        outcome = month(consumers, terms)
    assert paid(outcome, terms) > 1.2 * before
    with pytest.raises(ValueError, match="positive"):
        consumers.scale_wtp(0.0)


@pytest.mark.parametrize("sampling", [False, True])
def test_people_are_conserved_through_entry_exit_ads_and_marketing(sampling: bool) -> None:
    terms = offers()
    terms = replace(terms, available=np.array([1.0] * 8 + [0.0] * 4), overage=np.array([BLOCKED, THROTTLED] * 6))
    users = np.array([350e6, 90e6, 60e6, 40e6, 0.0, 0.0])
    consumers, terms = opened(WEST, terms, users, sampling)
    total = consumers.people.sum() + consumers.unaware.sum()
    assert total == pytest.approx(1.2 * WEST.population)
    last = consumers.people[:, :12].sum(axis=0)
    for t in range(12):
        available = terms.available.copy()
        if t >= 3:
            available[8:10] = 0.3
        if t >= 6:
            available[0:2] = 0.0
        change = replace(terms, available=available, acquired=one(6, 1, 5e6), ad_load=one(12, 2, 1.0))
        outcome = month(consumers, change)
        assert consumers.people.sum() + consumers.unaware.sum() == pytest.approx(total, rel=1e-12)
        assert consumers.people.min() >= 0.0
        assert consumers.unaware.min() >= 0.0
        assert_allclose(outcome.users, last + outcome.joins - outcome.leavers, atol=1.0)
        last = outcome.users
        if sampling:
            assert np.all(consumers.people == np.rint(consumers.people))
        assert outcome.users[10:].sum() == 0.0
        if t < 3:
            assert outcome.users[8:].sum() == 0.0
        if t >= 6:
            assert outcome.users[0:2].sum() == 0.0
    assert outcome.users[8] > 1e6


def test_metered_tier_bills_what_is_bought() -> None:
    terms = offers()
    overage, price, quota = terms.overage.copy(), terms.overage_price.copy(), terms.quota.copy()
    overage[1], price[1], quota[1] = METERED, 0.05, 100.0
    terms = replace(terms, overage=overage, overage_price=price, quota=quota)
    consumers, terms = opened(WEST, terms, USERS)
    outcome = month(consumers, terms)
    assert outcome.overage[1] > 0.0
    dearer = replace(terms, overage_price=2 * price)
    later = month(consumers, dearer)
    assert later.queries[1] / later.users[1] < outcome.queries[1] / outcome.users[1]


@pytest.mark.parametrize("tier", [1, 3])
def test_the_best_price_hardly_moves_when_the_strata_double(tier: int) -> None:
    doubled = WEST.model_copy(
        update={"wtp_strata": 24, "usage_strata": 8, "ad_strata": 4},
    )
    prices = [_best_price(spec, tier) for spec in (WEST, doubled)]
    assert prices[0] == pytest.approx(prices[1], rel=0.02)


def _best_price(spec: ConsumersSpec, tier: int) -> float:
    """Return the fee that maximises profit of one paid tier with a cost of $5 a user, others' fees given."""
    law = ChoiceLaw(spec)
    terms = replace(offers(), brand=fit_opening(law, offers(), USERS).brand)
    share = USERS / USERS.sum()
    state = PublicState(np.ones((len(law.people), 6)), np.zeros((len(law.people), 12)), share, 0.8 * share)

    def loss(fee: float) -> float:
        fees = terms.fee.copy()
        fees[tier] = fee
        return -(fee - 5.0) * float(law.people @ law.shares(replace(terms, fee=fees), state)[0][:, tier])

    return float(minimize_scalar(loss, bounds=(6.0, 90.0), method="bounded").x)


def test_one_stratum_is_a_plain_logit_in_price() -> None:
    plain = {"wtp_strata": 1, "usage_strata": 1, "ad_strata": 1, "professional_share": 0.0, "multi_home": 0.0}
    flat = {
        "lambda_tier": 1.0,
        "lambda_app": 1.0,
        "word_of_mouth": 0.0,
        "wtp_level": 1.0,
        "casual_sigma": 0.01,
    }
    law = ChoiceLaw(WEST.model_copy(update={**plain, **flat}))
    terms = replace(
        offers(3), fee=np.array([0.0, 1.0, 0.5, 1.5, 1.0, 2.0]), quality=np.ones(6), quota=np.full(6, np.inf)
    )
    state = PublicState(np.ones((1, 3)), np.zeros((1, 6)), np.zeros(3), np.zeros(3))
    shares, _ = law.shares(terms, state)
    weight = np.append(np.exp(1.0 / 0.15 - terms.fee / (0.15 * 2.2)), 1.0)
    assert_allclose(shares[0], weight / weight.sum(), rtol=1e-5)


def test_shares_do_not_depend_on_the_number_of_people() -> None:
    results = {}
    for scale in (1e4, 1e9):
        spec = WEST.model_copy(update={"population": scale})
        consumers, terms = opened(spec, offers(), USERS * scale / 2.5e9, sampling=True)
        for _ in range(6):
            outcome = month(consumers, terms)
        results[scale] = by_app(outcome) / by_app(outcome).sum()
        assert consumers.people.sum() + consumers.unaware.sum() == 1.2 * scale
        assert consumers.people.shape == opened(WEST, offers(), USERS)[0].people.shape
    error = np.sqrt(results[1e9] * (1 - results[1e9]) / 4000)
    assert np.all(np.abs(results[1e4] - results[1e9]) < 4 * error)
    expected = by_app(run(6)[5])
    assert_allclose(results[1e9], expected / expected.sum(), rtol=2e-3)


def test_same_seed_same_counts_and_a_new_arm_leaves_the_opening_alone() -> None:
    first, terms = opened(WEST, offers(), USERS, sampling=True)
    second, _ = opened(WEST, offers(), USERS, sampling=True)
    assert np.array_equal(first.people, second.people)
    month(first, terms)
    month(second, terms)
    assert np.array_equal(first.people, second.people)
    other, _ = opened(WEST, offers(), USERS, sampling=True, seed=2)
    assert not np.array_equal(first.people, other.people)


REPLICATES = 40
SMALL = WEST.model_copy(
    update={"population": 400.0, "wtp_strata": 3, "usage_strata": 2, "ad_strata": 1, "imitation": 0.3}
)


def _small_terms(t: int, brand: Array) -> ConsumerOffers:
    """Return three apps with every kind of tier, ads, a price rise, an exit, marketing and a scandal."""
    return replace(
        offers(3),
        fee=np.array([0.0, 8.0 if t < 1 else 10.0, 0.0, 5.0, 0.0, 3.0]),
        quota=np.array([40.0, 400.0, 60.0, 100.0, np.inf, 20.0]),
        overage=np.array([BLOCKED, BLOCKED, THROTTLED, METERED, BLOCKED, BLOCKED]),
        overage_price=np.full(6, 0.02),
        ad_load=np.array([2.0, 0.0, 1.0, 0.0, 3.0, 0.0]),
        disclosed=np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
        service=np.array([1.0, 1.0, 0.8, 1.0, 1.0, 1.0]),
        available=np.array([1.0, 1.0, 1.0, 0.6, 1.0, float(t < 2)]),
        acquired=np.array([0.0, 0.0, 40.0]),
        scandal=np.array([0.1 * (t == 1), 0.0, 0.0]),
        frontier=1.0 + 0.1 * t,
        brand=brand,
    )


def test_the_law_is_that_of_one_agent_per_consumer() -> None:
    users = np.array([45.0, 30.0, 15.0])
    brand = np.zeros(3)
    runs: dict[str, list[Array]] = {"strata": [], "agents": []}
    for seed in range(REPLICATES):
        consumers, terms = opened(SMALL, _small_terms(0, brand), users, sampling=True, seed=seed)
        reference = ReferenceConsumers(consumers, terms, seed)
        path = []
        for t in range(4):
            terms = _small_terms(t, terms.brand)
            if t == 3:
                _agree_on_probabilities(consumers, terms, seed)
            path.append(month(consumers, terms).users)
            reference.choose(terms)
            reference.use()
        runs["strata"].append(np.array(path))
        runs["agents"].append(np.array([reference.users()]))
    strata, agents = np.array(runs["strata"])[:, -1], np.array(runs["agents"])[:, -1]
    spread = strata.var(axis=0, ddof=1) + agents.var(axis=0, ddof=1)
    live = spread > 0
    z = (strata.mean(axis=0) - agents.mean(axis=0))[live] / np.sqrt(spread[live] / REPLICATES)
    assert np.all(np.abs(z) < 3.5)
    assert float(np.sum(z * z)) < 20.5  # chi-square, 5 degrees of freedom, 0.1 %
    ratio = strata.var(axis=0, ddof=1)[live] / agents.var(axis=0, ddof=1)[live]
    assert np.all((ratio > 0.4) & (ratio < 2.5))
    assert strata[:, 5].sum() == agents[:, 5].sum() == 0.0


def _agree_on_probabilities(consumers: Consumers, terms: ConsumerOffers, seed: int) -> None:
    """Check the reference's scalars against the law's arrays, from the same public state."""
    reference = ReferenceConsumers(consumers, terms, seed)
    state = consumers.public_state(terms)
    rows, apps = consumers.trust.shape
    for row in range(rows):
        for app in range(apps):
            reference.trust[row, app] = float(consumers.trust[row, app])
        for option in range(len(terms.app)):
            reference.fast[row, option] = float(consumers.fast[row, option])
            reference.slow[row, option] = float(consumers.slow[row, option])
    reference.look(terms)
    shares, _ = consumers.law.shares(terms, state)
    leaving = consumers.law.leaving(terms, shares, terms.fee)
    for row in range(rows):
        assert_allclose(reference.shares(row), shares[row], rtol=1e-8, atol=1e-250)
        assert_allclose([reference.leaving(row, o) for o in range(-1, 6)], np.roll(leaving[row], 1), rtol=1e-8)
