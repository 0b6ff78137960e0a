"""Enterprise segments: what they buy when the market empties and fills again."""

import pytest

from agents.enterprise import Enterprise
from ecosystem.model import ValueChain
from ecosystem.spec import Spec


@pytest.fixture
def segment() -> Enterprise:
    chain = ValueChain(Spec.load("toy"))
    chain.step()
    return next(iter(chain.enterprises.values()))


def test_an_empty_market_sells_nothing_and_remembers_its_price(segment: Enterprise) -> None:
    before = segment.log_price
    segment.choose_suppliers([])
    segment.plan_volume([])
    assert len(segment.target_shares()) == 0
    assert (segment.shares, segment.volume, segment.purchases([])) == ({}, 0.0, [])
    assert segment.log_price == before
    assert (segment.mean_price(), segment.suppliers_per_firm()) == (0.0, 0.0)


def test_a_market_that_fills_again_is_bought_from(segment: Enterprise) -> None:
    chain = segment.world
    assert isinstance(chain, ValueChain)
    offers = chain.tokens.offers[segment.spec.region]
    segment.choose_suppliers([])
    segment.plan_volume([])
    segment.choose_suppliers(offers)
    segment.plan_volume(offers)
    assert sum(segment.shares.values()) == pytest.approx(1.0)
    assert sum(mtok for _, mtok, _ in segment.purchases(offers)) == pytest.approx(segment.volume)


def test_a_segment_that_opened_in_an_empty_market_takes_newcomers(segment: Enterprise) -> None:
    chain = segment.world
    assert isinstance(chain, ValueChain)
    late = Enterprise(chain, "late", segment.spec)
    late.open([], {})
    late.choose_suppliers(chain.tokens.offers[segment.spec.region])
    assert sum(late.shares.values()) == pytest.approx(1.0)


def test_a_run_without_labs_on_sale_goes_on() -> None:
    chain = ValueChain(Spec.load("toy"))
    chain.step()
    for lab in chain.labs.values():
        lab.alive = False
    chain.tokens.offers = {region: [] for region in chain.tokens.offers}
    chain.demand()
    assert all(segment.volume == 0.0 for segment in chain.enterprises.values())
