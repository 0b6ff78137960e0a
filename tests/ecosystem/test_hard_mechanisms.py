"""Mechanisms that are easily built as toys: they must be there with the right sign; sizes are for the scoreboard."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from agents.app import App
from agents.tastes import Array
from agents.world import AppDemand
from ecosystem.model import MINIMUM_GPUS, ValueChain
from ecosystem.spec import Spec
from ecosystem.token_costs import dot

LABS = ("frontier", "office", "commons")
CHIPMAKERS = ("alpha", "beta", "gamma")


@lru_cache(maxsize=4)
def _run(overrides: tuple[tuple[str, Any], ...]) -> ValueChain:
    calm: dict[str, Any] = {"sampling": False, "events": {}}
    chain = ValueChain(Spec.load("toy").with_overrides(calm | dict(overrides))).run()
    chain.release()
    return chain


def run(overrides: dict[str, Any] | None = None) -> ValueChain:
    """Run `toy` without events and sampling."""
    given = tuple((overrides or {}).items())
    return _run(given) if not given else _run.__wrapped__(given)


def gross_margin(chain: ValueChain, firm: str) -> Array:
    return chain.recorder.of(firm, "gross_profit") / chain.recorder.of(firm, "revenue")


# --- water-seller margins --------------------------------------------------------------------------------------


def test_twice_the_rival_chips_lower_the_leaders_margin() -> None:
    doubled = {
        "chipmaker.beta.opening_sales": {"west": 2.8e8},
        "chipmaker.gamma.opening_sales": {"west": 2.4e8},
        "cloud.hyper.chip_purchases": {"alpha": 9.0e8, "beta": 1.8e8, "gamma": 2.4e8},
        "cloud.vista.chip_purchases": {"alpha": 4.8e8, "beta": 1.0e8},
    }
    before, after = gross_margin(run(), "alpha"), gross_margin(run(doubled), "alpha")
    assert (after[12:] - before[12:]).mean() < -0.04


def test_a_demand_freeze_breaks_the_margin_and_it_comes_back() -> None:
    freeze = {"kind": "demand_shift", "month": 6, "months": 12, "region": "west", "factor": 0.3}
    margin = gross_margin(run({"events.freeze": freeze, "months": 44}), "alpha")
    low = int(margin[6:24].argmin()) + 6
    assert margin[low] < 0.5 < margin[5]
    assert margin[low : low + 24].max() > margin[5] - 0.05


def _lerner(chain: ValueChain, firm: str) -> float:
    price, cost = (chain.recorder.of(firm, field)[18:] for field in ("price", "unit_cost"))
    return float((1.0 - cost / price).mean())


def test_equal_tiers_take_most_of_the_chip_leaders_lead_away() -> None:
    """Chips with the clouds' concentration, substitution and lag earn about the clouds' mark-up."""
    cloud = Spec.load("toy").cloud["hyper"]
    equal: dict[str, Any] = {"cloud.neo.chip_purchases": {"alpha": 4.0e7, "beta": 4.0e7, "gamma": 5.0e7}}
    equal["cloud.hyper.chip_purchases"] = dict.fromkeys(CHIPMAKERS, 3.7e8)
    equal["cloud.vista.chip_purchases"] = dict.fromkeys(CHIPMAKERS, 1.8e8)
    equal["compute.west.on_premise"] = dict.fromkeys(CHIPMAKERS, 5.0e7)
    for maker in CHIPMAKERS:
        terms = {
            "substitution": cloud.substitution,
            "market_elasticity": cloud.market_elasticity,
            "entrant_cost_ratio": cloud.entrant_cost_ratio,
            "lock_in": 0.0,
            "construction_months": 1,
            "start_speed": 1.0,
            "opening_sales": {"west": 6.4e8},
        }
        equal |= {f"chipmaker.{maker}.{name}": value for name, value in terms.items()}
    gap = {
        arm: _lerner(chain, "alpha") - _lerner(chain, "hyper")
        for arm, chain in (("real", run()), ("equal", run(equal)))
    }
    assert gap["real"] > 0.15
    assert gap["equal"] < 0.5 * gap["real"]


# --- investors ---------------------------------------------------------------------------------------------------


def _funded(share: float) -> dict[str, Any]:
    """Return a chain in which investors pay for `share` of what labs train; 0: revenue and owners pay for all."""
    if share == 0.0:
        rich = {f"lab.{lab}.cash": 1e11 for lab in ("frontier", "office")}
        rich |= {"app.search.cash": 1e10, "app.studio.cash": 1e10, "cloud.neo.cash": 1e10}
        return rich | {f"lab.{lab}.training_cash": 0.0 for lab in ("frontier", "office")}
    spending = {"lab.frontier.training_spend": 1.5e8 * share, "lab.office.training_spend": 6.0e7 * share}
    return spending | {"lab.frontier.cash": 8e8, "lab.office.cash": 3e8, "investors.west.fund": 3e8}


def _drought(funded: float) -> tuple[ValueChain, ValueChain]:
    """Return runs without and with inflow cut by half from the opening on."""
    event = {"kind": "funding_drought", "month": 0, "months": 36, "factor": 0.5}
    return run(_funded(funded)), run(_funded(funded) | {"events.drought": event})


def _hours_paid_by_labs(chain: ValueChain) -> Array:
    flows = chain.ledger.flows()
    payer = np.array([account.id in LABS for account in flows.accounts])[flows.payer]
    rows = flows.of_kinds(["hours"]) & payer
    paid = np.bincount(flows.month[rows], weights=flows.amount[rows], minlength=chain.month)
    return paid.astype(np.float64)


def _chip_revenue(chain: ValueChain) -> Array:
    return np.cumsum(chain.recorder.tier(chain, "chips", "revenue"))


def test_a_drought_runs_up_the_chain() -> None:
    """Labs cut training, then buy fewer hours, then clouds order fewer chips, then chip makers sell less."""
    plain, dry = _drought(1.0)
    stages = {
        "training": [c.recorder.tier(c, "labs", "training") for c in (plain, dry)],
        "hours": [_hours_paid_by_labs(c) for c in (plain, dry)],
        "orders": [np.cumsum(c.recorder.tier(c, "clouds", "orders")) for c in (plain, dry)],
        "chips": [_chip_revenue(c) for c in (plain, dry)],
    }
    first = {name: int(np.argmax(after < 0.98 * before)) for name, (before, after) in stages.items()}
    assert all((after < 0.98 * before).any() for before, after in stages.values())
    assert first["training"] <= first["hours"] <= first["orders"] < first["chips"], first


def test_the_effect_of_a_drought_grows_with_the_funded_share_and_vanishes_without() -> None:
    """In what labs pay for hours; how much of it reaches chips depends on when clouds' orders are short of money."""
    hours, chips = [], []
    for share in (0.0, 0.4, 1.0):
        plain, dry = _drought(share)
        hours.append(1.0 - float(_hours_paid_by_labs(dry).sum() / _hours_paid_by_labs(plain).sum()))
        chips.append(1.0 - float(_chip_revenue(dry)[29] / _chip_revenue(plain)[29]))
    assert hours[0] == chips[0] == 0.0
    assert 0.1 < hours[1] < hours[2], hours
    assert 0.01 < chips[1] < chips[2], chips


# --- tokens ------------------------------------------------------------------------------------------------------


def test_a_price_war_ends() -> None:
    war = {"kind": "price_war", "month": 2, "lab": "office"}
    fought = run({"events.war": war, "lab.office.cash": 2e10, "months": 24}).recorder.of("office", "in_war")
    assert fought[2] == 1.0
    assert fought.sum() <= 10
    assert fought[-6:].sum() == 0.0


def test_twice_the_same_suppliers_do_not_double_demand() -> None:
    quiet = ("demand_shocks", "enterprise_budget", "agent_intensity", "enterprise_adoption")
    terms: dict[str, Any] = {f"mechanisms.{name}": False for name in quiet} | {"enterprise.firms.inertia": 0.0}
    volumes = []
    for clones in (1, 2):
        chain = ValueChain(Spec.load("toy").with_overrides(terms))
        segment, offers = chain.enterprises["firms"], chain.tokens.offers["west"]
        copies = [offer._replace(lab=f"{offer.lab}.{i}") for i in range(clones) for offer in offers]
        for copy in copies:
            segment.brand[copy.key] = segment.brand[copy.seller, copy.lab.split(".")[0], copy.size]
        segment.choose_suppliers(copies)
        segment.plan_volume(copies)
        volumes.append(segment.volume)
    assert volumes[1] == pytest.approx(volumes[0], rel=1e-9)


# --- make or buy -------------------------------------------------------------------------------------------------


def _chain_of_search(rent_factor: float = 1.0) -> ValueChain:
    """Return an opened toy in which the search app buys from the frontier lab and values no quality."""
    terms: dict[str, Any] = {"sampling": False, "events": {}, "app.search.quality_value": 0.0, "app.search.cash": 1e10}
    for size in ("large", "small"):
        terms |= {f"lab.{lab}.models.{size}.price_output": 40.0 for lab in LABS}
    chain = ValueChain(Spec.load("toy").with_overrides(terms))
    for cloud in chain.clouds.values():
        cloud.rent *= rent_factor
    return chain


def _decides_to_make(chain: ValueChain, app: App, mtok: float) -> bool:
    """Return whether the app starts to make its own tokens at this volume."""
    app.usage = AppDemand.none()._replace(mtok=mtok, users=1.0, queries=1.0)
    app.pending = None
    app.plan_supply()
    return app.pending is not None and app.pending[1].mode in {"self_host", "own_model"}


def _threshold(chain: ValueChain) -> float:
    """Return the volume, Mtok a month, at which the search app's decision turns, by bisection in the log."""
    app = chain.apps["search"]
    low, high = 1.0, 1e9
    for _ in range(50):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _decides_to_make(chain, app, middle) else (middle, high)
    return high


def _computed_threshold(chain: ValueChain) -> float:
    """Return the same from list prices, kernel hours, rent and one-off costs alone."""
    app, spot = chain.apps["search"], chain.spot_rent("west")
    mix = chain.tokens.app_mix(app)
    per_mtok = [lab.models["small"].price.blend(mix) / math.fsum(mix) for lab in chain.labs.values()]
    hours = {
        mode: dot(mix, chain.tokens.self_hosted("west", lab, "small")) / math.fsum(mix)
        for mode, lab in (("self_host", "commons"), ("own_model", chain.tokens.own_model_lab("west") or ""))
    }
    one_off = {"self_host": app.spec.switching_cost, "own_model": app.spec.switching_cost + app.spec.own_model_fixed}
    bought = chain.labs["frontier"].models["small"].price.blend(mix) / math.fsum(mix)
    assert bought == min(per_mtok)
    volumes = []
    for mode, needed in hours.items():
        if needed * spot >= bought:
            continue
        free = one_off[mode] / 12.0 / (bought - needed * spot)
        least = (one_off[mode] / 12.0 + MINIMUM_GPUS * 730.0 * spot) / bought
        volumes.append(least if needed * least < MINIMUM_GPUS * 730.0 else free)
    return min(volumes)


def test_make_or_buy_threshold_is_that_of_kernel_and_rent() -> None:
    chain = _chain_of_search()
    assert _threshold(chain) == pytest.approx(_computed_threshold(chain), rel=0.1)


def test_half_the_rent_moves_the_threshold_down() -> None:
    dear, cheap = _chain_of_search(), _chain_of_search(rent_factor=0.5)
    assert _threshold(cheap) == pytest.approx(_computed_threshold(cheap), rel=0.1)
    assert _threshold(cheap) < 0.9 * _threshold(dear)


@pytest.mark.parametrize(("users", "integrates"), [(8.0e6, True), (5.0e4, False)])
def test_under_a_rise_of_search_prices_large_apps_integrate(users: float, integrates: bool) -> None:
    terms: dict[str, Any] = {
        "months": 16,
        "app.chat.earning": {"subscription": {}, "api": {"price": 1.0, "outside_calls": 1e8}},
        "app.search.search_supplier": "chat",
        "app.search.users": users,
        "app.search.payers": 0.02 * users,
        "events.rise": {"kind": "api_price", "month": 3, "firm": "chat", "factor": 10.0},
    }
    chain = run(terms)
    app = chain.apps["search"]
    assert (app.search_supplier is None) == integrates
    if integrates:
        assert app.integrated_in is not None
        assert app.integrated_in >= 3 + app.spec.switching_delay
