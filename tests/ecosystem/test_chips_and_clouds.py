"""Chips and the clouds that buy them: fleets, orders, stocks, export rules and what hours cost."""

import math
from typing import Any

import numpy as np
import pytest

from agents.chipmaker import rationed
from agents.cloud import H100_KILOWATT, HOURS, years_of_rent
from ecosystem.model import ValueChain
from ecosystem.spec import Spec

REGION = "west"


def chain_of(months: int, overrides: dict[str, Any] | None = None, scenario: str = "toy") -> ValueChain:
    """Run a scenario without events and sampling, but with `overrides`, for some months."""
    calm = {"sampling": False, "events": {}} | (overrides or {})
    chain = ValueChain(Spec.load(scenario).with_overrides(calm))
    for _ in range(months):
        chain.step()
    return chain


# --- fleets ---------------------------------------------------------------------------------------------------


def test_a_fleet_that_is_sold_keeps_its_dates_of_retirement() -> None:
    chain = chain_of(3)
    chain.month -= 1  # the settlement of the last month
    seller, buyer = chain.clouds["neo"], chain.clouds["hyper"]
    leaving = {due: buyer.leaving.get(due, 0.0) + size for due, size in seller.leaving.items()}
    size, book, depreciation = buyer.size + seller.size, buyer.book_value, buyer.depreciation
    buyer.take_over(seller, 1e6)
    assert {due: buyer.leaving[due] for due in leaving} == pytest.approx(leaving)
    assert buyer.size == size == pytest.approx(math.fsum(buyer.fleet.values()))
    assert buyer.book_value == book + 1e6
    assert buyer.depreciation > depreciation
    assert seller.size == seller.book_value == seller.depreciation == 0.0
    assert not seller.leaving


def test_a_fleet_that_is_sold_is_written_off_when_the_last_of_it_retires() -> None:
    chain = chain_of(3)
    chain.month -= 1
    seller, buyer = chain.clouds["neo"], chain.clouds["hyper"]
    before = {due: math.fsum(each for _, _, each in cohort) for due, cohort in buyer.cohorts.items()}
    bought = list(seller.cohorts)
    buyer.take_over(seller, 1e6)
    added = {due: math.fsum(e for _, _, e in buyer.cohorts[due]) - before.get(due, 0.0) for due in bought}
    assert math.fsum(each * (due - chain.month - 1) for due, each in added.items()) == pytest.approx(1e6)


# --- the cost of hours ----------------------------------------------------------------------------------------


def test_staff_of_a_cloud_grows_with_its_accelerators() -> None:
    chain = chain_of(1)
    cloud = chain.clouds["hyper"]
    staff = chain.spec.cloud["hyper"].staff
    cloud.fleet = {accelerator: 3.0 * size for accelerator, size in chain.spec.cloud["hyper"].fleet.items()}
    cloud.books.clear()
    cloud.settle()
    assert staff > 0.0
    assert cloud.books.staff == pytest.approx(3.0 * staff)


def test_own_silicon_takes_power_from_its_first_month() -> None:
    chain = chain_of(1)
    cloud = chain.clouds["hyper"]
    for phase in (chain.events, chain.investment, chain.chip_phase, chain.cloud_phase):
        phase()
    before, size = cloud.running_cost, cloud.size
    cloud.make_own_silicon(size)
    cloud.books.clear()
    cloud.settle()
    quote = chain.chip_quote(REGION)
    power = cloud.spec.power_price * quote.kilowatt + cloud.spec.operating_cost
    added = HOURS * power * size / quote.performance
    assert cloud.books.cost_of_sales == pytest.approx(before + added)


@pytest.mark.parametrize("decline", [0.0, 0.08, 0.21])
def test_a_chip_that_earns_user_cost_pays_for_itself_over_its_life(decline: float) -> None:
    chain = chain_of(0, {"cloud.neo.rent_decline": decline})
    cloud, quote = chain.clouds["neo"], chain.chip_quote(REGION)
    spec = cloud.spec
    cloud.fleet = {quote.accelerator: quote.performance}
    cloud.size = quote.performance
    cloud.meter()
    steps = 20_000
    ages = (np.arange(steps) + 0.5) / steps * spec.life
    rents = 8760.0 * spec.target_utilisation * cloud.size * cloud.expected_user_cost() * (1.0 - decline) ** ages
    earned = (rents - 12.0 * cloud.running_cost) * (1.0 + spec.discount_rate) ** -ages
    paid = quote.price * cloud.size * (1.0 + spec.overhead)
    assert earned.sum() * spec.life / steps == pytest.approx(paid)


def test_years_of_rent_without_discount_or_decline_are_the_years_of_life() -> None:
    assert years_of_rent(0.0, 0.0, 5) == 5
    assert years_of_rent(1e-9, 0.0, 5) == pytest.approx(5)
    assert years_of_rent(0.1, 0.2, 5) < years_of_rent(0.1, 0.0, 5) < 5


def test_operations_go_with_power() -> None:
    chain = chain_of(0)
    cloud = chain.clouds["hyper"]
    cost = {}
    for accelerator in ("H100_SXM", "TPU_v6e"):
        cloud.fleet = {accelerator: 1000.0 * chain.performance[accelerator]}
        cloud.meter()
        cost[accelerator] = cloud.running_cost
    power = chain.kilowatts["TPU_v6e"] / chain.kilowatts["H100_SXM"]
    assert chain.kilowatts["H100_SXM"] == H100_KILOWATT
    assert cost["TPU_v6e"] == pytest.approx(power * cost["H100_SXM"])
    spec = cloud.spec
    assert cost["H100_SXM"] == pytest.approx(730_000.0 * (spec.power_price * H100_KILOWATT + spec.operating_cost))


# --- capacity -------------------------------------------------------------------------------------------------


def test_capacity_stays_within_what_suppliers_allot() -> None:
    limited = {"chipmaker.alpha.supply_growth": 0.1, "chipmaker.alpha.backlog_months": 24.0}
    chain, free = chain_of(0, limited), chain_of(0, limited | {"mechanisms.supply_limits": False})
    maker, other = chain.chipmakers["alpha"], free.chipmakers["alpha"]
    opening = maker.capacity
    for month in range(30):
        chain.step()
        free.step()
        assert maker.capacity <= opening * 1.1 ** (month / 12.0) * (1.0 + 1e-9)
    assert maker.capacity > 0.95 * opening * 1.1 ** (29.0 / 12.0)
    assert other.capacity > 1.5 * maker.capacity
    assert free.chipmakers["beta"].supply_limit(12) == math.inf


def test_a_line_may_open_with_a_backlog_of_its_own() -> None:
    chain = chain_of(0)
    short = chain_of(0, {"chipmaker.alpha.lines.west.backlog_months": 3.0})
    assert chain.spec.chipmaker["alpha"].backlog_months == 9.0
    backlogs = [each.chipmakers["alpha"].lines[REGION].backlog for each in (short, chain)]
    assert 0.25 * backlogs[1] < backlogs[0] < 0.4 * backlogs[1]
    assert short.clouds["hyper"].on_order < chain.clouds["hyper"].on_order


def test_scarce_capacity_is_shared_by_weight_and_what_one_does_not_need_goes_to_the_others() -> None:
    assert rationed({"a": 4.0, "b": 2.0}, {"a": 1.0, "b": 1.0}, 10.0) == {"a": 4.0, "b": 2.0}
    assert rationed({"a": 9.0, "b": 9.0}, {"a": 1.0, "b": 3.0}, 8.0) == {"a": 2.0, "b": 6.0}
    assert rationed({"a": 9.0, "b": 1.0, "c": 0.0}, {"a": 1.0, "b": 3.0, "c": 0.0}, 8.0) == {
        "a": 7.0,
        "b": 1.0,
        "c": 0.0,
    }
    assert rationed({"a": 9.0}, {"a": 1.0}, 0.0) == {"a": 0.0}


def test_a_region_that_is_used_to_short_delivery_keeps_its_deliveries() -> None:
    chain = chain_of(0, scenario="2025")
    maker = chain.chipmakers["nvidia"]
    assert maker.backlog_months("china") == 3.0 < maker.backlog_months("west") == 9.0
    sold = {region: line.shipped for region, line in maker.lines.items()}
    chain.step()
    chain.step()
    for region, line in maker.lines.items():
        assert line.shipped == pytest.approx(sold[region], rel=0.3), region


def test_idle_capacity_does_not_deliver_orders_before_they_are_due() -> None:
    chain = chain_of(3)
    maker = chain.chipmakers["alpha"]
    line, rest = maker.lines[REGION], maker.spec.rest_lead_time
    assert line.backlog > 5.0 * line.shipped
    maker.capacity *= 20.0
    before = line.backlog
    for _ in range(8):
        backlog = line.backlog
        chain.step()
        assert line.shipped <= backlog / rest * (1.0 + 1e-12)
        assert maker.lead_time == rest
    assert line.backlog < 0.7 * before


# --- stocks ---------------------------------------------------------------------------------------------------


def test_chips_that_may_no_longer_be_sold_are_written_down() -> None:
    chain = chain_of(2, {"events.control": control(2, 0.0)})
    line = chain.chipmakers["alpha"].lines[REGION]
    at_cost = line.inventory_cost
    assert at_cost > 0.0
    for _ in range(12):
        chain.step()
    assert line.inventory > 0.0
    assert line.inventory_cost < 0.01 * at_cost


# --- orders -----------------------------------------------------------------------------------------------


def test_cancelled_orders_leave_the_order_trend() -> None:
    chain, padded = chain_of(3), chain_of(3)
    maker = padded.chipmakers["alpha"]
    maker.take_order(REGION, "hyper", 5000.0)
    maker.cancel_order(REGION, "hyper", 5000.0)
    for each in (chain, padded):
        each.chipmakers["alpha"].start_capacity()
    assert maker.orders.level == pytest.approx(chain.chipmakers["alpha"].orders.level)
    maker.cancel_order(REGION, "hyper", 1e12)
    maker.start_capacity()
    assert maker.orders.level >= 0.0


# --- export rules ---------------------------------------------------------------------------------------------


def control(month: int, leakage: float, **more: Any) -> dict[str, Any]:
    """Return an export control that binds every chipmaker of `toy`."""
    return {"kind": "export_control", "month": month, "home": REGION, "region": REGION, "leakage": leakage} | more


def test_an_export_control_applies_its_leakage_to_the_order_book_once() -> None:
    chain = chain_of(2, {"events.control": control(2, 0.25)})
    free = chain_of(2)
    for each in (chain, free):
        each.events()
    for maker, agent in chain.chipmakers.items():
        assert agent.lines[REGION].backlog == pytest.approx(0.25 * free.chipmakers[maker].lines[REGION].backlog)
    for cloud in chain.clouds:
        assert chain.clouds[cloud].on_order == pytest.approx(0.25 * free.clouds[cloud].on_order)


def test_an_export_control_applies_its_leakage_to_new_orders_once() -> None:
    chain = chain_of(3, {"events.control": control(2, 0.25)})
    assert math.fsum(chain.chips.split("hyper", REGION, 100.0).values()) == pytest.approx(25.0)
    backlogs = {maker: agent.lines[REGION].backlog for maker, agent in chain.chipmakers.items()}
    chain.events()
    for maker, agent in chain.chipmakers.items():
        line = agent.lines[REGION]
        assert line.backlog == backlogs[maker]
        agent.deliver()
        due = backlogs[maker] / agent.spec.rest_lead_time
        assert line.shipped == pytest.approx(min(line.shipped + line.inventory, due))


def test_orders_that_export_rules_stop_go_to_chipmakers_that_they_do_not_bind() -> None:
    overrides = {"events.h20_licence": control(1, 0.25) | {"region": "china"}}
    chain = chain_of(2, overrides, "2025")
    before = chain_of(0, scenario="2025").chips.split("alibaba_cloud", "china", 100.0)
    after = chain.chips.split("alibaba_cloud", "china", 100.0)
    assert math.fsum(after.values()) == pytest.approx(100.0)
    assert after["nvidia"] < 0.4 * before["nvidia"]
    assert after["huawei"] > before["huawei"]


@pytest.mark.parametrize("buyer", ["hyper", "office", "compute.west"])
def test_every_buyer_of_leaked_chips_pays_the_premium_to_intermediaries(buyer: str) -> None:
    chain = chain_of(0, {"events.control": control(0, 0.5, grey_premium=0.3), "lab.office.boxes": 10.0})
    chain.events()
    chain.chips.deliver("alpha", buyer, REGION, {"H100_SXM": 1.0}, 100.0, 1e6)
    chain.ledger.close_month()
    flows = chain.ledger.flows(0, 0)
    paid: dict[str, float] = {}
    for payee, amount in zip(flows.payee, flows.amount, strict=True):
        account = flows.accounts[payee].id
        paid[account] = paid.get(account, 0.0) + amount
    assert paid["alpha"] == pytest.approx(1e6)
    assert paid["intermediaries"] == pytest.approx(3e5)


def test_the_quote_of_a_bound_region_includes_the_premium() -> None:
    chain = chain_of(1, {"events.control": control(1, 0.5, grey_premium=0.3)})
    before = chain.chip_quote(REGION).price
    chain.events()
    chain.chips.quote()
    assert chain.chip_quote(REGION).price == pytest.approx(1.3 * before)
