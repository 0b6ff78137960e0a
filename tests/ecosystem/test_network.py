"""The graph shows who supplies whom; its measures match cases worked by hand."""

from math import inf

import pytest

from ecosystem.flows import Flows
from ecosystem.ledger import Ledger
from ecosystem.network import (
    concentration,
    dependence,
    layout,
    tier_accounts,
    upstreamness,
    value_chain_graph,
)


@pytest.fixture
def ledger() -> Ledger:
    books = Ledger()
    books.open_account("households", "source", region="west")
    books.open_account("staff", "sink")
    for firm, tier, group in [
        ("nvidia", "chip", None),
        ("amd", "chip", None),
        ("azure", "cloud", "microsoft"),
        ("openai", "lab", None),
        ("copilot", "app", "microsoft"),
    ]:
        books.open_account(firm, "firm", tier=tier, region="west", group=group, cash=1000.0)
    return books


@pytest.fixture
def flows(ledger: Ledger) -> Flows:
    ledger.pay("azure", "nvidia", "accelerators", 60.0, quantity=2.0)
    ledger.close_month()
    ledger.pay("azure", "nvidia", "accelerators", 30.0, quantity=1.0)
    ledger.pay("azure", "amd", "accelerators", 10.0)
    ledger.pay("azure", "openai", "equity", 40.0)
    ledger.pay("openai", "azure", "hours", 75.0, quantity=30.0)
    ledger.pay("copilot", "azure", "hours", 25.0, quantity=10.0)
    ledger.pay("copilot", "openai", "tokens", 5.0)
    ledger.pay("households", "openai", "subscriptions", 15.0, quantity=1.0)
    ledger.pay("households", "copilot", "subscriptions", 20.0)
    ledger.pay("openai", "staff", "staff", 25.0)
    ledger.close_month()
    return ledger.flows()


def test_edges_run_from_supplier_to_buyer(flows: Flows) -> None:
    graph = value_chain_graph(flows)
    assert graph.nodes["azure"] == {
        "role": "firm",
        "tier": "cloud",
        "region": "west",
        "group": "microsoft",
        "revenue": 100.0,
    }
    assert set(graph["azure"]["openai"]) == {"hours", "equity"}
    assert graph["nvidia"]["azure"]["accelerators"] == {
        "value": 90.0,
        "quantity": 3.0,
        "unit_price": 30.0,
        "since": 0,
        "internal": False,
        "share_of_revenue": 1.0,
        "share_of_cost": 0.9,
        "returned": None,
    }
    hours = graph["azure"]["copilot"]["hours"]
    assert (hours["internal"], hours["since"], hours["share_of_revenue"]) == (True, 1, 0.25)
    assert graph["amd"]["azure"]["accelerators"]["unit_price"] is None
    assert graph.has_edge("openai", "households", key="subscriptions")
    assert "staff" not in graph


def test_circular_finance_is_flagged(flows: Flows) -> None:
    equity = value_chain_graph(flows)["azure"]["openai"]["equity"]
    assert (equity["value"], equity["returned"], equity["share_of_revenue"], equity["share_of_cost"]) == (
        40.0,
        75.0,
        None,
        None,
    )


def test_chosen_kinds(flows: Flows) -> None:
    graph = value_chain_graph(flows, ["staff"])
    assert list(graph.edges(keys=True)) == [("staff", "openai", "staff")]
    assert graph["staff"]["openai"]["staff"]["share_of_revenue"] is None


def test_layout_orders_tiers_and_firms(flows: Flows) -> None:
    place = layout(value_chain_graph(flows), ["chip", "cloud", "lab", "app"])
    assert place["nvidia"][0] == place["amd"][0] == 0.0
    assert place["nvidia"][1] > place["amd"][1]
    assert place["azure"][0] < place["openai"][0] < place["copilot"][0] < place["households"][0] == 1.0


def test_tier_accounts(flows: Flows) -> None:
    tiers = tier_accounts(flows)
    assert tiers["cloud"].revenue == 100.0
    assert tiers["cloud"].profit == 100.0
    assert tiers["cloud"].capital_spending == 100.0
    assert tiers["lab"].profit == -80.0
    assert tiers["lab"].profit_share == pytest.approx(-80.0 / 200.0)
    assert sum(tier.revenue_share for tier in tiers.values()) == pytest.approx(1.0)


def test_concentration(flows: Flows) -> None:
    assert concentration(flows) == pytest.approx({"chip": 0.9**2 + 0.1**2, "cloud": 1.0, "lab": 1.0, "app": 1.0})


def test_upstreamness_counts_sales_to_final_use(flows: Flows) -> None:
    openai = 1.0 + 0.25 * 1.0
    azure = 1.0 + 0.75 * openai + 0.25 * 1.0
    assert upstreamness(flows) == pytest.approx(
        {"copilot": 1.0, "openai": openai, "azure": azure, "nvidia": 1.0 + azure, "amd": 1.0 + azure}
    )


def test_upstreamness_of_a_loop_without_final_use_is_infinite(ledger: Ledger) -> None:
    ledger.pay("openai", "azure", "hours", 10.0)
    ledger.pay("azure", "openai", "tokens", 10.0)
    ledger.pay("azure", "nvidia", "accelerators", 5.0)
    ledger.pay("households", "nvidia", "on_premise", 5.0)
    ledger.pay("households", "copilot", "subscriptions", 5.0)
    ledger.close_month()
    assert upstreamness(ledger.flows()) == {"nvidia": inf, "azure": inf, "openai": inf, "copilot": 1.0}


def test_dependence(flows: Flows) -> None:
    firms = dependence(flows)
    assert (firms["azure"].buyer, firms["azure"].buyer_share) == ("openai", 0.75)
    assert (firms["azure"].supplier, firms["azure"].supplier_share) == ("nvidia", 0.9)
    assert (firms["openai"].supplier, firms["openai"].supplier_share) == ("azure", 0.75)
    assert (firms["copilot"].buyer, firms["copilot"].buyer_share) == ("households", 1.0)
    assert (firms["nvidia"].supplier, firms["nvidia"].supplier_share) == (None, 0.0)


def test_no_trade(ledger: Ledger) -> None:
    ledger.pay("azure", "nvidia", "accelerators", 0.0, quantity=1.0)
    ledger.close_month()
    flows = ledger.flows()
    graph = value_chain_graph(flows)
    assert len(graph) == 0
    assert layout(graph, ["chip"]) == {}
    assert upstreamness(flows) == {}
    assert concentration(flows) == {}
    assert dependence(flows)["azure"].supplier is None
    assert {tier.profit_share for tier in tier_accounts(flows).values()} == {0.0}
