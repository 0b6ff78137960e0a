"""The market for tokens: rivals' prices, hosts, published weights, which model serves a tier, what apps are quoted."""

import math

import pytest

from agents.lab import Lab
from agents.world import LargeOrSmall
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from ecosystem.supply_catalogue import SupplyCatalogue
from ecosystem.token_costs import NEVER
from ecosystem.token_market import OWN_MODEL_EFFICIENCY, enterprise_mix


def opened(months: int = 2, **changes: object) -> ValueChain:
    """Return the toy after some months without events and sampling; keys have dots for double underscores."""
    given = {key.replace("__", "."): value for key, value in changes.items()}
    chain = ValueChain(Spec.load("toy").with_overrides({"sampling": False, "events": {}, **given}))
    for _ in range(months):
        chain.step()
    return chain


# --- the mix of tokens -------------------------------------------------------------------------------------------


def test_segments_weigh_in_the_mix_by_what_they_spend_and_not_by_their_names() -> None:
    firms = Spec.load("toy").model_dump()["enterprise"]["firms"]
    parts = ({"share": 0.25, "input_share": 0.2}, {"share": 0.75, "input_share": 0.4})
    mixes = [
        enterprise_mix(
            Spec.load("toy").with_overrides({"enterprise": {n: firms | p for n, p in zip(names, parts, strict=True)}})
        )
        for names in (("a", "b"), ("b", "a"))
    ]
    assert mixes[0] == pytest.approx((0.35, 0.3, 0.35))
    assert mixes[0] == pytest.approx(mixes[1])


def test_a_region_that_buys_little_hardly_counts_in_the_mix() -> None:
    spec = Spec.load("2025")
    plain, west, china = (
        enterprise_mix(spec.with_overrides({f"enterprise.{segment}.input_share": share}))[0]
        for segment, share in (("west_general", 0.45), ("west_general", 0.2), ("china_general", 0.2))
    )
    assert plain - west > 5.0 * (plain - china) > 0.0


# --- rivals' prices ----------------------------------------------------------------------------------------------


def test_a_rivals_price_is_what_it_asks_now() -> None:
    chain = opened(mechanisms__open_hosting=False)
    office, commons = chain.labs["office"], chain.labs["commons"]
    for lab in (office, commons):
        lab.models["large"].quality = chain.labs["frontier"].models["large"].quality
        lab.models["small"].quality = 0.0
    asked = {lab.agent_id: chain.blend(lab.models["large"].price) for lab in (office, commons)}
    assert asked["commons"] < asked["office"]
    assert chain.rival_price("frontier", "large") == pytest.approx(asked["commons"])
    chain.raise_api_price("commons", 1000.0)
    assert chain.rival_price("frontier", "large") == pytest.approx(asked["office"])
    chain.raise_api_price("commons", 1e-3)
    commons.alive = False
    assert chain.rival_price("frontier", "large") == pytest.approx(asked["office"])


# --- hosts of open weights ---------------------------------------------------------------------------------------


def test_a_host_that_gave_up_sells_nothing() -> None:
    chain = opened(6)
    hosts = [cloud.hosted["commons"] for cloud in chain.clouds.values() if "commons" in cloud.hosted]
    first = hosts[0]
    assert first.volume > 0.0
    first.losses = first.spec.patience
    share = first.share
    chain.step()
    assert not first.active
    assert first.losses == first.spec.patience
    assert (first.volume, first.revenue, first.hours) == (0.0, 0.0, 0.0)
    assert first.share == pytest.approx(0.7 * share)


def test_a_host_whose_sales_do_not_pay_for_a_deployment_gives_up() -> None:
    chain = opened(6)
    cloud = next(cloud for cloud in chain.clouds.values() if "commons" in cloud.hosted)
    host = cloud.hosted["commons"]
    assert host.losses == 0 and host.revenue > host.hours * cloud.rent > chain.minimum_hours * cloud.rent
    chain.minimum_hours = 10.0 * host.revenue / cloud.rent
    for month in range(1, host.spec.patience + 1):
        chain.step()
        assert (host.active, host.losses, host.hours) == (True, month, chain.minimum_hours)
    chain.step()
    assert not host.active


def test_a_host_with_part_of_its_deployment_serves_all_that_takes_less() -> None:
    chain = opened(6)
    cloud_id, cloud = next((i, c) for i, c in chain.clouds.items() if "commons" in c.hosted)
    host = cloud.hosted["commons"]
    chain.minimum_hours = 4.0 * host.hours
    chain.serving.collect_tokens()
    assert host.hours == chain.minimum_hours > 3.0 * host.needed > 0.0
    buyer = f"hosting.{cloud_id}"
    for granted, served in ((0.5, 1.0), (0.5 * host.needed / host.hours, 0.5)):
        chain.hours.granted[cloud_id][buyer] = granted * chain.hours.requests[cloud_id][buyer]
        chain.serving._serve_self_hosted()
        assert host.served == pytest.approx(served)


def test_a_new_host_is_not_behind_the_owner_of_the_model() -> None:
    chain = ValueChain("2025")
    for _ in range(2):
        chain.step()
    segment = chain.enterprises["china_general"]
    hosts = [key for key in segment.brand if key[1] == "deepseek" and key[0] != "deepseek"]
    assert len(hosts) == 4
    for key in hosts:
        assert segment.brand[key] >= segment.brand["deepseek", "deepseek", key[2]]


# --- published weights -------------------------------------------------------------------------------------------


def _qualities(lab: Lab) -> tuple[float, float, float]:
    return lab.models["large"].quality, lab.models["small"].quality, lab.developed


def test_publishing_weights_keeps_progress_and_the_distance_of_the_small_model() -> None:
    lab = opened().labs["frontier"]
    large, _, _ = _qualities(lab)
    lab.developed = large + 0.3
    lab.publish_weights(large - 0.1)
    assert _qualities(lab)[::2] == (large, large + 0.3)
    lab.publish_weights(large + 0.1)
    assert _qualities(lab) == pytest.approx((large + 0.1, large + 0.1 - lab.gap, large + 0.3))
    lab.publish_weights(large + 0.5)
    assert _qualities(lab) == pytest.approx((large + 0.5, large + 0.5 - lab.gap, large + 0.5))


# --- which model serves a tier -----------------------------------------------------------------------------------


@pytest.mark.parametrize("small", [True, False])
def test_the_model_that_is_paid_for_is_the_one_that_answers(small: bool) -> None:
    chain = opened(mechanisms__free_on_small=small)
    app, market, models = chain.apps["search"], chain.consumer_markets["west"], chain.labs["frontier"].models
    free: LargeOrSmall = "small" if small else "large"
    assert [tier.name for tier in app.tiers] == ["free", "pro"]
    assert app.spec.tiers["free"].model == "small"
    assert {size for size, paid in chain.serving.app_tokens["search"] if not paid} == {free}
    assert market.offers().quality[market.slice("search")][0] == models[free].quality
    assert chain.usage("search").quality == models[free].quality
    assert (app.large_share == 1.0) == (not small)


# --- a region without clouds -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_a_region_that_loses_all_its_clouds_goes_on_unserved() -> None:
    chain = opened(4)
    for cloud in chain.clouds.values():
        chain.settlement._fail([cloud])
    for _ in range(8):
        chain.step()
    assert chain.tokens.self_hosted("west", "commons", "large") == NEVER
    assert all(mode in {"api", "own"} for mode, _ in chain.supply_quotes("search", 1.0).ways)
    for lab in chain.labs.values():
        assert lab.service < 0.01
        assert math.isfinite(lab.models["large"].price.output)
        assert lab.books.streams.get("tokens", 0.0) == 0.0
    assert chain.apps["studio"].service < 0.01
    assert all(math.isfinite(chain.ledger.cash(firm)) for firm in chain.firms)


# --- what apps are quoted ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("peak", [True, False])
def test_self_hosters_hold_hours_for_the_daily_peak_where_labs_do(peak: bool) -> None:
    chain = opened(1, mechanisms__peak_provisioning=peak)
    held = 1.0 / chain.load_factor if peak else 1.0
    hours = chain.costs.on_cloud("hyper", "commons", "small")
    assert max(chain.clouds.values(), key=lambda c: c.size).agent_id == "hyper"
    assert chain.tokens.self_hosted("west", "commons", "small")[2] == pytest.approx(
        OWN_MODEL_EFFICIENCY * hours[2] * held
    )
    assert chain.reserve("commons") == pytest.approx(chain.labs["commons"].spec.provisioning * held)


def test_a_quote_is_what_the_invoice_will_be() -> None:
    chain = opened(
        4, lab__frontier__off_peak_discount=0.5, lab__frontier__off_peak_share=0.4, mechanisms__make_or_buy=False
    )
    app, lab = chain.apps["search"], chain.labs["frontier"]
    assert (app.supply.mode, app.supply.supplier) == ("api", "frontier")
    assert (lab.served, lab.free_served) == pytest.approx((1.0, 1.0))
    sizes = {"large": 0.0, "small": 0.0}
    for (size, _), mtok in chain.serving.app_tokens["search"].items():
        sizes[size] += math.fsum(mtok)
    whole, mix = math.fsum(sizes.values()), chain.tokens.app_mix(app)
    catalogue = SupplyCatalogue(chain, "west", chain.tokens._models["west"])
    quotes = catalogue.quotes(mix, sizes["large"] / whole, whole / math.fsum(mix))
    before = app.books.cost_of_sales
    chain.settlement._token_invoices(app)
    invoice = app.books.cost_of_sales - before
    assert chain.off_peak("frontier") == pytest.approx(0.2)
    assert quotes.cost[quotes.ways.index(("api", "frontier"))] == pytest.approx(invoice)
