"""What a failure leaves behind: nothing that others read, and losses that are written down."""

import pytest

from agents.app import App
from agents.cloud import Cloud
from agents.firm import Firm
from ecosystem.model import ValueChain
from ecosystem.spec import Spec


@pytest.fixture
def chain() -> ValueChain:
    chain = ValueChain(Spec.load("2025"))
    for _ in range(4):
        chain.step()
    return chain


def _fail(chain: ValueChain, *firms: Firm) -> None:
    """End firms that owe a million more than they have."""
    for firm in firms:
        chain.ledger.pay(firm.agent_id, "overhead", "overhead", firm.cash + 1e6)
    chain.settlement._fail([*firms])


def _months(chain: ValueChain, count: int) -> None:
    for _ in range(count):
        chain.step()


def test_an_app_that_failed_has_no_users(chain: ValueChain) -> None:
    app = chain.apps["chatgpt"]
    _fail(chain, app)
    _months(chain, 2)
    outcome = chain.consumer_markets["west"].outcome
    assert outcome is not None
    assert chain.recorder.series["users.west"][-1] == pytest.approx(outcome.users.sum(), rel=1e-6)
    assert chain.recorder.of("chatgpt", "users")[-1] == 0.0


def test_a_lab_that_failed_serves_nobody_and_its_apps_go_elsewhere(chain: ValueChain) -> None:
    lab = chain.labs["openai"]
    served = [a for a in chain.apps.values() if a.alive and a.supply.supplier == "openai"]
    assert served
    _fail(chain, lab)
    _months(chain, 4)
    assert lab.books.revenue == 0.0
    assert (lab.tokens, lab.hours_used, lab.training_hours) == (0.0, 0.0, 0.0)
    assert all(a.supply.supplier != "openai" or a.supply.mode == "self_host" for a in served if a.usage.users > 0.0)


def test_published_weights_outlive_their_lab(chain: ValueChain) -> None:
    before = chain.open_frontier
    _fail(chain, *(lab for lab in chain.labs.values() if lab.open_weights))
    _months(chain, 1)
    assert chain.open_frontier >= before > 0.0
    assert any(offer.lab == "deepseek" for offer in chain.tokens.offers["west"])


def test_a_chipmaker_that_failed_ships_nothing(chain: ValueChain) -> None:
    maker = chain.chipmakers["amd"]
    assert any(order.quantity > 0.0 for line in maker.lines.values() for order in line.book.values())
    _fail(chain, maker)
    _months(chain, 3)
    assert maker.books.revenue == 0.0
    assert not any(line.book for line in maker.lines.values())
    on_order = sum(
        o.quantity for m in chain.chipmakers.values() for line in m.lines.values() for o in line.book.values()
    )
    waiting = sum(cloud.on_order for cloud in chain.clouds.values())
    assert waiting <= on_order * (1.0 + 1e-9)


def test_lenders_lose_what_a_failed_fleet_does_not_bring_in(chain: ValueChain) -> None:
    cloud = chain.clouds["coreweave"]
    debt, price = cloud.debt, chain.spec.market.sale_value * cloud.book_value
    size = sum(c.size for c in chain.clouds.values() if c.region == "west")
    _fail(chain, cloud)
    lost = sum(each.amount for each in chain.ledger.write_offs if each.creditor == "lenders")
    assert debt - price <= lost * (1.0 + 1e-9) < debt
    assert (cloud.debt, cloud.book_value, cloud.size) == (0.0, 0.0, 0.0)
    assert sum(c.size for c in chain.clouds.values() if c.region == "west") == pytest.approx(size)


def test_firms_that_fail_together_do_not_buy_each_other(chain: ValueChain) -> None:
    google, coreweave = chain.clouds["google_cloud"], chain.clouds["coreweave"]
    _fail(chain, coreweave, google)
    assert (google.size, coreweave.size) == (0.0, 0.0)


def test_a_reseller_borrows_for_a_fleet_up_to_its_limit(chain: ValueChain) -> None:
    cloud: Cloud = chain.clouds["neoclouds"]
    limit = cloud.spec.debt_limit * 12.0 * cloud.smoothed_revenue
    cloud.raise_cash(1e12)
    assert cloud.debt <= limit * (1.0 + 1e-9)


def test_taxes_that_cash_does_not_cover_are_owed(chain: ValueChain) -> None:
    app: App = chain.apps["midjourney"]
    app.group = None
    chain.ledger.pay(app.agent_id, "overhead", "overhead", app.cash - 5.0)
    app.books.clear()
    app.books.earn("subscriptions", 1e6)
    app.close_books(0.2)
    assert app.books.tax == pytest.approx(2e5)
    assert chain.ledger.arrears(app.agent_id) == pytest.approx(2e5 - 5.0)
