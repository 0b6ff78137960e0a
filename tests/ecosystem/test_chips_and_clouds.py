"""Chips and the clouds that buy them: fleets, orders, stocks, export rules and what hours cost."""

import math
from typing import Any

import pytest

from ecosystem.model import ValueChain
from ecosystem.spec import Spec

REGION = "west"


def chain_of(months: int, scenario: str = "toy", **overrides: Any) -> ValueChain:
    """Run a scenario without events and sampling for some months."""
    calm: dict[str, Any] = {"sampling": False, "events": {}} | overrides
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


# --- stocks ---------------------------------------------------------------------------------------------------


def test_chips_that_may_no_longer_be_sold_are_written_down() -> None:
    control = {"kind": "export_control", "month": 2, "home": REGION, "region": REGION, "leakage": 0.0}
    chain = chain_of(2, **{"events.control": control})
    line = chain.chipmakers["alpha"].lines[REGION]
    at_cost = line.inventory_cost
    assert at_cost > 0.0
    for _ in range(12):
        chain.step()
    assert line.inventory > 0.0
    assert line.inventory_cost < 0.01 * at_cost
