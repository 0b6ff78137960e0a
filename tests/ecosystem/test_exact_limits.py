"""Limits with a known answer, through the demand, pricing, ordering and adoption code that the model runs."""

import math
from collections.abc import Callable
from typing import cast

import mesa
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar
from scipy.special import lambertw

from agents.choice import BLOCKED, ChoiceLaw, PublicState
from agents.consumers import ConsumerOffers, Consumers, ConsumersSpec
from agents.expectations import ExpectationSpec, Trend
from agents.ordering import order_quantity
from agents.pricing import own_elasticity, target_price
from agents.tastes import Array, bass_step
from agents.world import World
from ecosystem.model import ValueChain
from ecosystem.spec import Spec

WTP = 20.0
LOGIT = ConsumersSpec(
    population=1e6,
    casual_median=WTP,
    casual_sigma=0.01,
    professional_share=0.0,
    wtp_level=1.0,
    price_scale=0.25,
    lambda_tier=1.0,
    lambda_app=1.0,
    flat_rate_bias=0.0,
    word_of_mouth=0.0,
    multi_home=0.0,
    wtp_strata=1,
    usage_strata=1,
    ad_strata=1,
)
"""Everybody alike: the law of choice is the plain logit, linear in price with alpha = 1 / (k WTP)."""


class Demand:
    """The production law of choice as demand functions of prices; `owner` of each option names its firm."""

    def __init__(self, owner: list[int], spec: ConsumersSpec = LOGIT, brand: float = 0.0) -> None:
        self.law = ChoiceLaw(spec)
        self.owner = np.array(owner, dtype=np.intp)
        self.brand = np.full(max(owner) + 1, brand)
        self.alpha = 1.0 / (spec.price_scale * float(self.law.wtp[0]))

    def offers(self, fee: Array) -> ConsumerOffers:
        options, apps = len(self.owner), len(self.brand)
        nothing = np.zeros(options)
        return ConsumerOffers(
            app=self.owner,
            fee=fee,
            quality=np.ones(options),
            quota=np.full(options, np.inf),
            overage=np.full(options, BLOCKED),
            overage_price=nothing,
            ad_load=nothing,
            disclosed=nothing,
            eligible=nothing,
            service=np.ones(options),
            available=np.ones(options),
            brand=self.brand,
            paid_extras=np.zeros(apps),
            acquired=np.zeros(apps),
            scandal=np.zeros(apps),
            frontier=1.0,
        )

    def shares(self, fee: Array) -> Array:
        """Return the share of people at each option."""
        rows, options, apps = len(self.law.people), len(self.owner), len(self.brand)
        state = PublicState(np.ones((rows, apps)), np.zeros((rows, options)), np.zeros(apps), np.zeros(apps))
        shares, _ = self.law.shares(self.offers(fee), state)
        return np.asarray(self.law.people @ shares[:, :-1])

    def best_response(self, firm: int, fee: Array, cost: float) -> Array:
        """Return prices with those of one firm moved to its most profitable common margin."""
        mine = self.owner == firm

        def loss(price: float) -> float:
            trial = np.where(mine, price, fee)
            return -(price - cost) * float(self.shares(trial)[mine].sum())

        found = minimize_scalar(loss, bounds=(cost, cost + 10.0 * WTP), method="bounded", options={"xatol": 1e-10})
        return np.where(mine, found.x, fee)

    def equilibrium(self, cost: float) -> Array:
        """Return Nash prices by best responses in turn."""
        fee = np.full(len(self.owner), cost + WTP)
        for _ in range(60):
            before = fee
            for firm in range(len(self.brand)):
                fee = self.best_response(firm, fee, cost)
            if np.abs(fee - before).max() < 1e-7:
                break
        return fee


# --- oligopoly -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("firms", [2, 3, 6])
def test_symmetric_bertrand(firms: int) -> None:
    demand = Demand(list(range(firms)))
    fee = demand.equilibrium(cost=4.0)
    assert_allclose(fee - 4.0, 1.0 / (demand.alpha * (1.0 - demand.shares(fee))), rtol=1e-5)


def test_multi_product_firm_uses_its_total_share() -> None:
    demand = Demand([0, 0, 1, 2])
    fee = demand.equilibrium(cost=4.0)
    shares = demand.shares(fee)
    total = np.array([shares[demand.owner == firm].sum() for firm in demand.owner])
    assert_allclose(fee - 4.0, 1.0 / (demand.alpha * (1.0 - total)), rtol=1e-5)
    assert fee[0] > fee[2]


def test_monopoly_is_lambert_w() -> None:
    cost, brand = 4.0, 0.3
    demand = Demand([0], brand=brand)
    fee = demand.best_response(0, np.array([10.0]), cost)[0]
    attraction = demand.alpha * float(demand.law.wtp[0]) * (1.0 + brand)
    expected = cost + (1.0 + lambertw(math.exp(attraction - demand.alpha * cost - 1.0)).real) / demand.alpha
    assert_allclose(fee, expected, rtol=1e-6)


@pytest.mark.parametrize("firms", [1, 2, 5])
def test_own_elasticity_of_the_pricing_rule(firms: int) -> None:
    sigma, eps = 4.0, 1.4
    elasticity = own_elasticity(1.0 / firms, sigma, eps)
    assert elasticity == pytest.approx(sigma * (1.0 - 1.0 / firms) + eps / firms, rel=1e-14)
    assert target_price(3.0, elasticity, 1e9) == pytest.approx(3.0 * elasticity / (elasticity - 1.0), rel=1e-14)


# --- two tiers -------------------------------------------------------------------------------------------------


def _maximum(profit: Callable[[float], float], low: float, high: float) -> float:
    found = minimize_scalar(lambda x: -profit(x), bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    return float(found.x)


class Chain:
    """An upstream monopolist sells to a downstream one, who sells by the production demand."""

    def __init__(self, demand: Demand, cost: float, top: float) -> None:
        self.demand = demand
        self.cost = cost
        self.top = top

    def sold(self, price: float) -> float:
        return float(self.demand.shares(np.array([price]))[0])

    def retail(self, wholesale: float) -> float:
        return _maximum(lambda p: (p - wholesale) * self.sold(p), wholesale, self.top)

    def wholesale(self) -> float:
        return _maximum(lambda w: (w - self.cost) * self.sold(self.retail(w)), self.cost, self.top)


def test_successive_logit_monopolies() -> None:
    chain = Chain(Demand([0]), cost=4.0, top=8.0 * WTP)
    wholesale = chain.wholesale()
    retail = chain.retail(wholesale)
    share, alpha = chain.sold(retail), chain.demand.alpha
    assert_allclose(wholesale - chain.cost, 1.0 / (alpha * (1.0 - share) ** 2), rtol=2e-4)
    assert_allclose((wholesale - chain.cost) / (retail - wholesale), 1.0 / (1.0 - share), rtol=2e-4)
    integrated = chain.retail(chain.cost)
    assert retail > integrated
    assert (retail - chain.cost) * share < (integrated - chain.cost) * chain.sold(integrated)


def test_linear_demand_divides_profit_two_to_one() -> None:
    demand = Demand([0], LOGIT.model_copy(update={"price_scale": 0.004, "wtp_strata": 4000}))
    rows = len(demand.law.people)
    demand.law.wtp = WTP * (np.arange(rows) + 0.5) / rows
    demand.law.people = np.full(rows, 1.0 / rows)
    chain = Chain(demand, cost=4.0, top=WTP)
    wholesale = chain.wholesale()
    retail = chain.retail(wholesale)
    assert_allclose((wholesale - chain.cost) / (retail - wholesale), 2.0, rtol=0.02)
    assert_allclose([wholesale, retail], [0.5 * (WTP + 4.0), 0.25 * (3.0 * WTP + 4.0)], rtol=0.01)


# --- adoption and orders -----------------------------------------------------------------------------------------


def test_adoption_is_the_exact_bass_curve() -> None:
    p, q, adopted = 0.01, 0.3, 0.0
    for month in range(1, 60):
        adopted = bass_step(adopted, p, q)
        decay = math.exp(-(p + q) * month)
        assert adopted == pytest.approx((1.0 - decay) / (1.0 + q / p * decay), rel=1e-12)


@pytest.mark.parametrize(("lead", "window"), [(1, 4), (3, 6), (4, 12)])
def test_order_variance_of_the_bullwhip(lead: int, window: int) -> None:
    months = 120_000
    demand = np.random.default_rng(5).normal(100.0, 10.0, months).tolist()
    expectation = Trend(100.0, 0.0, ExpectationSpec(window=window))
    position, orders = 100.0 * lead, []
    for wanted in demand:
        position -= wanted
        expectation.observe(wanted)
        order = order_quantity(lead * expectation.forecast(float(lead)), position, 0.0, speed=1.0)
        position += order
        orders.append(order)
    ratio = np.var(orders[window:]) / np.var(demand)
    assert ratio == pytest.approx(1.0 + 2.0 * lead / window + 2.0 * (lead / window) ** 2, rel=0.02)


@pytest.mark.parametrize("growth", [0.03, -0.03])
def test_optimists_expect_more_in_growth_and_in_decline(growth: float) -> None:
    trend = Trend(100.0, growth, ExpectationSpec())
    assert trend.forecast(12.0, 0.5) < trend.forecast(12.0) < trend.forecast(12.0, 1.5)


# --- the Jevons limit ----------------------------------------------------------------------------------------------

FROZEN = (
    "software_progress", "quality_race", "spillover", "reasoning_length", "enterprise_adoption", "agent_intensity",
    "enterprise_budget", "demand_shocks", "taste_shocks", "load_economies", "open_hosting", "price_point", "price_war",
    "service_scarcity", "utilisation_pricing", "training_luck",
)  # fmt: skip


def _isoelastic(elasticity: float, saving: float) -> Spec:
    """Prices proportional to cost, rents constant, demand isoelastic; all labs save compute in month 3."""
    overrides: dict[str, object] = {f"mechanisms.{name}": False for name in FROZEN}
    overrides |= {"sampling": False, "months": 4, "events": {}}
    overrides |= {"enterprise.firms.satiation": 1e15}
    overrides |= {f"enterprise.firms.elasticity_{horizon}": elasticity for horizon in ("short", "long")}
    for lab in ("frontier", "office", "commons"):
        overrides |= {f"lab.{lab}.price_speed": 1.0, f"lab.{lab}.entrant_cost_ratio": 1.2}
        shock = {"kind": "efficiency_shock", "month": 3, "lab": lab, "saving": saving, "diffusion": 0.0}
        overrides[f"events.{lab}"] = shock
    for cloud in ("hyper", "vista", "neo"):
        overrides[f"cloud.{cloud}.rent_speed"] = 0.0
    return Spec.load("toy").with_overrides(overrides)


def _hours_for_enterprises(spec: Spec) -> float:
    """Return H100-hours that enterprises' tokens take in the last month."""
    chain = ValueChain(spec).run()
    used = (
        load * hours
        for key, row in chain.serving.loads.items()
        for load, hours in zip(row.api, chain.costs.hours[key], strict=True)
    )
    return math.fsum(used)


@pytest.mark.parametrize("elasticity", [0.6, 1.0, 1.4])
def test_cheaper_compute_multiplies_its_use(elasticity: float) -> None:
    saving = 3.0
    shocked = _isoelastic(elasticity, saving)
    ratio = _hours_for_enterprises(shocked) / _hours_for_enterprises(shocked.with_overrides({"events": {}}))
    assert ratio == pytest.approx(saving ** (elasticity - 1.0), rel=1e-9)


# --- scale, order and replay ---------------------------------------------------------------------------------------


class Stage(mesa.Model):
    """The least of a world that consumers see."""

    month = 0
    sampling = True

    def stream(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.month, *name.encode()])


def _shares_after_a_year(population: float) -> Array:
    spec = ConsumersSpec(population=population, wtp_strata=6, usage_strata=3, ad_strata=2)
    demand = Demand([0, 0, 1, 1], spec)
    stage = Stage(rng=1)
    consumers = Consumers(cast(World, stage), "consumers.west", spec)
    fee = np.array([0.0, 20.0, 0.0, 15.0])
    terms = demand.offers(fee)
    demand.brand = consumers.open(terms, np.array([0.12, 0.06]) * population)
    terms = demand.offers(fee)
    for month in range(12):
        stage.month = month
        consumers.choose(terms)
        outcome = consumers.use()
    return outcome.users / population


def test_shares_do_not_depend_on_the_number_of_people() -> None:
    few, many = _shares_after_a_year(1e4), _shares_after_a_year(1e9)
    assert_allclose(few, many, atol=5.0 * np.sqrt(many / 1e4).max())
    assert_allclose(_shares_after_a_year(1e8), many, atol=5.0 * np.sqrt(many / 1e8).max())


def _panel(chain: ValueChain, shuffle: bool = False) -> Array:
    while chain.month < chain.spec.months:
        if shuffle:
            chain.agents.shuffle(inplace=True)
        chain.step()
    return chain.recorder.panel


def _reversed(data: object) -> object:
    """Return plain data with every table in reverse order."""
    if isinstance(data, dict):
        return {key: _reversed(data[key]) for key in reversed(data)}
    return data


def test_order_of_agents_and_files_changes_no_bit() -> None:
    spec = Spec.load("toy").with_overrides({"months": 12})
    plain = _panel(ValueChain(spec))
    assert np.array_equal(plain, _panel(ValueChain(spec)), equal_nan=True)
    assert np.array_equal(plain, _panel(ValueChain(spec), shuffle=True), equal_nan=True)
    backwards = Spec.from_data(cast(dict[str, object], _reversed(spec.model_dump())), "backwards")
    assert np.array_equal(plain, _panel(ValueChain(backwards)), equal_nan=True)


def test_replicates_and_seeds_differ() -> None:
    spec = Spec.load("toy").with_overrides({"months": 8})
    plain = _panel(ValueChain(spec))
    assert not np.array_equal(plain, _panel(ValueChain(spec, replicate=1)), equal_nan=True)
    assert not np.array_equal(plain, _panel(ValueChain(spec, rng=2)), equal_nan=True)
