"""Enterprise segments: what they buy when the market empties and fills again."""

import pytest

from agents.enterprise import Enterprise
from agents.world import TokenOffer, TokenPrice
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from experiments.moments_demand import open_share


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
    assert (segment.shares, segment.volume, segment.purchases()) == ({}, 0.0, [])
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
    assert sum(mtok for _, mtok, _ in segment.purchases()) == pytest.approx(segment.volume)


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


def _open_share(premium: float) -> float:
    paths = {f"enterprise.{name}.closed_premium": premium for name in Spec.load("2025").enterprise}
    chain = ValueChain(Spec.load("2025").with_overrides(paths))
    for _ in range(8):
        chain.step()
    return open_share(chain, "west")


def test_hosts_of_open_weights_gain_what_the_closed_premium_leaves_them() -> None:
    low, high = _open_share(2.5), _open_share(6.0)
    assert low > 3.0 * high
    assert high > 0.0


def test_a_new_host_is_behind_closed_labs_whoever_trained_the_model(segment: Enterprise) -> None:
    known = {key: share for key, share in segment.shares.items() if share > 0.0}
    closed = {key: share for key, share in known.items() if not segment.world.open_weights(key[1])}
    large = {key: share for key, share in closed.items() if key[2] == "large"}
    mean = sum(segment.brand[key] * share for key, share in large.items()) / sum(large.values())
    offer = TokenOffer("somebody", "commons", "large", TokenPrice(1.0, 1.0, 1.0), 1.0, 1.0)
    segment.see_offers([offer])
    assert segment.brand[offer.key] == pytest.approx(mean - segment.spec.closed_premium, abs=0.05)


def test_a_new_host_where_no_lab_is_closed_has_the_brand_of_the_model(segment: Enterprise) -> None:
    segment.closed_brand = {}
    owner = segment.brand["commons", "commons", "large"]
    offer = TokenOffer("somebody", "commons", "large", TokenPrice(1.0, 1.0, 1.0), 1.0, 1.0)
    segment.see_offers([offer])
    assert segment.brand[offer.key] == owner
