"""Limits of the whole chain: at rest nothing drifts; under perfect competition nobody earns more than capital costs."""

import math
from typing import Any

import numpy as np
import pytest

from agents.learning import ResponseEstimate
from ecosystem.ledger import IDENTITY_TOLERANCE
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from ecosystem.switches import MechanismSwitches

REGION = "west"
CHIPMAKERS = ("alpha", "beta", "gamma")
CLOUDS = ("hyper", "vista", "neo")
LABS = ("frontier", "office", "commons")
APPS = ("chat", "search", "studio")
ACCELERATORS = {"alpha": "H100_SXM", "beta": "MI300X", "gamma": "TPU_v6e"}
AT_REST = {"cache_hits", "peak_provisioning", "free_on_small", "utilisation_pricing", "chip_scarcity", "rationing"}
"""Mechanisms that pull back to rest, or only set levels: they stay on in a chain at rest."""


def still() -> dict[str, Any]:
    """Return overrides of `toy` without progress, growth, learning, shocks and finance limits; one chip a maker."""
    calm: dict[str, Any] = {f"mechanisms.{m}": False for m in MechanismSwitches.model_fields if m not in AT_REST}
    calm |= {"sampling": False, "events": {}, "market.opening_growth": 0.0, "market.expected_utilisation": 0.75}
    calm |= {"market.direct_share": {}, "compute.west.on_premise": {"alpha": 1.5e7}}
    calm |= {"consumers.west.innovation": 0.0, "consumers.west.imitation": 0.0, "advertisers.west.growth": 0.0}
    calm |= {"cloud.hyper.overflow": {}, "cloud.hyper.hosts": {}, "lab.frontier.clouds": {"hyper": 1.0}}
    calm |= {"group.big.growth": 0.0, "group.vista.growth": 0.0}
    for lab in LABS:
        calm |= {f"lab.{lab}.cash": 1e12, f"lab.{lab}.price_speed": 1e-12}
        calm |= {f"lab.{lab}.training_{of}": 0.0 for of in ("share", "cash", "growth")}
    for maker in CHIPMAKERS:
        calm |= {f"chipmaker.{maker}.capacity_growth": 0.0, f"chipmaker.{maker}.backlog_months": 3.0}
        calm |= {f"chipmaker.{maker}.substitution": 0.1, f"chipmaker.{maker}.market_elasticity": 0.0}
        line = Spec.load("toy").chipmaker[maker].lines[REGION]
        oldest = min(line.products, key=lambda key: line.products[key].available_from)
        cost = line.products[oldest].unit_cost
        chip = {"accelerator": line.products[oldest].accelerator, "unit_cost": cost, "available_from": -60}
        calm[f"chipmaker.{maker}.lines.{REGION}.products"] = {oldest: chip}
        calm[f"chipmaker.{maker}.entrant_cost_ratio"] = line.opening_price / cost
    for cloud in CLOUDS:
        calm[f"cloud.{cloud}.entrant_cost_ratio"] = 1.0 + 1e-12
    return calm


def at_rest(months: int) -> Spec:
    """Return a scenario whose chip sales are the clouds' replacement and whose rents are their user cost."""
    calm = still() | {"months": months}
    chain = ValueChain(Spec.load("toy").with_overrides(calm))
    sales = dict.fromkeys(CHIPMAKERS, 0.0) | {"alpha": 1.5e7}
    prices = {maker: chain.chipmakers[maker].lines[REGION].quote for maker in CHIPMAKERS}
    for cloud in CLOUDS:
        agent = chain.clouds[cloud]
        needed = agent.size / (12 * agent.spec.life)
        habits = chain.chips.affinity[cloud]
        bought = {maker: share * needed * prices[maker] for maker, share in habits.items()}
        calm[f"cloud.{cloud}.fleet"] = {ACCELERATORS[maker]: share * agent.size for maker, share in habits.items()}
        calm[f"cloud.{cloud}.chip_purchases"] = bought
        for maker, value in bought.items():
            sales[maker] += value
    for maker, value in sales.items():
        calm[f"chipmaker.{maker}.opening_sales"] = {REGION: value}
    chain = ValueChain(Spec.load("toy").with_overrides(calm))
    for cloud in CLOUDS:
        calm[f"cloud.{cloud}.rent"] = chain.clouds[cloud].expected_user_cost()
    return Spec.load("toy").with_overrides(calm)


@pytest.fixture(scope="module")
def rested() -> ValueChain:
    chain = ValueChain(at_rest(months=84)).run()
    chain.release()
    return chain


def test_at_rest_utilisation_is_at_its_target(rested: ValueChain) -> None:
    for cloud in CLOUDS:
        utilisation = rested.recorder.of(cloud, "service")
        assert np.abs(utilisation / rested.clouds[cloud].spec.target_utilisation - 1.0).max() < 0.01


def test_at_rest_no_stock_drifts(rested: ValueChain) -> None:
    series = rested.recorder.series
    for name in ("fleet.west", "users.west", "payers.west", "tokens", "enterprise_volume.firms", "serving_hours"):
        assert np.abs(series[name] / series[name][0] - 1.0).max() < 0.01, name
    for name in ("rent.west", "chip_price.west", "training_hours"):
        assert np.abs(series[name] / series[name][0] - 1.0).max() < 0.02, name
    for maker in CHIPMAKERS:
        lead_time = rested.recorder.of(maker, "lead_time")
        assert np.abs(lead_time - 3.0).max() < 0.6, maker
    assert not rested.failures


def test_a_disturbed_chain_returns_to_its_target() -> None:
    """After a year without a quarter of demand, utilisation settles at its target again."""
    freeze = {"kind": "demand_shift", "month": 6, "months": 12, "region": REGION, "factor": 0.75}
    chain = ValueChain(at_rest(months=120).with_overrides({"events.freeze": freeze})).run()
    utilisation = chain.recorder.series["utilisation.west"]
    assert utilisation[6:18].min() < 0.65
    assert utilisation[-24:].mean() == pytest.approx(0.75, rel=0.05)


def test_idle_capacity_does_not_disturb_a_chain_at_rest() -> None:
    """With twice the capacity orders are delivered when they are due: the order books stay as long as they were."""
    chain = ValueChain(at_rest(months=24))
    books = {maker: agent.lines[REGION].backlog for maker, agent in chain.chipmakers.items()}
    for agent in chain.chipmakers.values():
        agent.capacity *= 2.0
    chain.run()
    fleet = chain.recorder.series["fleet.west"]
    assert np.abs(fleet / fleet[0] - 1.0).max() < 0.01
    for maker, agent in chain.chipmakers.items():
        assert agent.lead_time == pytest.approx(3.0), maker
        assert agent.lines[REGION].backlog == pytest.approx(books[maker], rel=0.1), maker


# --- perfect competition -------------------------------------------------------------------------------------------


OPENING_FEES = {"chat": 0.8, "search": 0.06, "studio": 0.07}
"""Above cost, but within the factor of three that an app's fee may move."""


def competitive(months: int) -> Spec:
    """Return a chain at rest in which an entrant with the same cost stands behind every price.

    Apps sell one paid tier and have no other cost than tokens; they know that users leave at the least overcharge.
    """
    terms: dict[str, Any] = {}
    for maker in CHIPMAKERS:
        terms |= {f"chipmaker.{maker}.entrant_cost_ratio": 1.0 + 1e-9, f"chipmaker.{maker}.substitution": 50.0}
        terms |= {f"chipmaker.{maker}.{cost}": 0.0 for cost in ("research", "research_share", "capacity_cost")}
    for cloud in CLOUDS:
        terms |= {f"cloud.{cloud}.staff": 0.0, f"cloud.{cloud}.rent_speed": 0.3}
    for lab in LABS:
        terms |= {f"lab.{lab}.entrant_cost_ratio": 1.0 + 1e-9, f"lab.{lab}.price_speed": 0.5}
        terms |= {f"lab.{lab}.substitution": 50.0}
    for app in APPS:
        tiers = {"only": {"price": OPENING_FEES[app], "model": "large"}}
        terms |= {f"app.{app}.tiers": tiers, f"app.{app}.earning": {"subscription": {"store_fee": 0.0}}}
        terms |= {f"app.{app}.{cost}": 0.0 for cost in ("staff", "marketing", "payers", "search_calls")}
        terms[f"app.{app}.adaptive_price"] = True
    terms |= {"consumers.west.usage_sigma": 1.6, "consumers.west.switching_cost": 1.5, "consumers.west.review": 0.15}
    terms |= {"mechanisms.learning_apps": True, "mechanisms.chip_scarcity": False}
    terms["mechanisms.utilisation_pricing"] = False
    return at_rest(months).with_overrides(terms)


@pytest.fixture(scope="module")
def contested() -> ValueChain:
    chain = ValueChain(competitive(months=120))
    for app in APPS:
        chain.apps[app].price_response = ResponseEstimate(prior=-1e9, uncertainty=0.0)
    chain.run()
    chain.release()
    return chain


@pytest.mark.parametrize("firm", [*CHIPMAKERS, *CLOUDS, *LABS, *APPS])
def test_under_perfect_competition_price_is_unit_cost(contested: ValueChain, firm: str) -> None:
    price, cost = (contested.recorder.of(firm, field)[-12:] for field in ("price", "unit_cost"))
    assert np.abs(price / cost - 1.0).max() < 0.02


def test_under_perfect_competition_no_tier_earns_economic_profit(contested: ValueChain) -> None:
    recorder = contested.recorder
    for tier, firms in (("chips", CHIPMAKERS), ("clouds", CLOUDS), ("labs", LABS), ("apps", APPS)):
        rows = {f: [recorder.of(firm, f)[-12:] for firm in firms] for f in ("price", "unit_cost", "volume", "revenue")}
        profit = sum((p - c) * v for p, c, v in zip(rows["price"], rows["unit_cost"], rows["volume"], strict=True))
        assert np.abs(profit / sum(rows["revenue"])).max() < 0.02, tier


# --- the ledger ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["toy", "2025"])
def test_cash_changes_are_sources_minus_sinks_in_every_month(scenario: str) -> None:
    chain = ValueChain(Spec.load(scenario).with_overrides({"months": 24}))
    while chain.month < 24:
        chain.step()
        flows = chain.ledger.flows(chain.month - 1)
        limited = np.array([account.limited for account in flows.accounts])
        change = math.fsum((flows.closing[limited] - flows.opening[limited]).tolist())
        sources = math.fsum(flows.amount[~limited[flows.payer]].tolist())
        sinks = math.fsum(flows.amount[~limited[flows.payee]].tolist())
        assert abs(change - (sources - sinks)) <= IDENTITY_TOLERANCE * flows.amount.sum()
        assert (flows.closing[limited] >= 0.0).all()
