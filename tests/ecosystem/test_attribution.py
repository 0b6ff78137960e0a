"""A dollar ends somewhere, exactly once; the opening balance of January 2025 gives the stated covers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecosystem.attribution import (
    Finality,
    cents_per_final_dollar,
    final_demand_cover,
    follow_the_dollar,
)
from ecosystem.flows import Flows
from ecosystem.ledger import Ledger

SINKS = ("wafers", "power", "staff", "overhead", "tax", "dividends", "interest", "store_fees", "media")

FINAL: Finality = {
    ("households", "subscriptions"): "services",
    ("enterprises", "subscriptions"): "services",
    ("enterprises", "tokens"): "services",
    ("enterprises", "hours"): "services",
    ("advertisers", "advertising"): "services",
    ("enterprises", "on_premise"): "on_premise",
    ("parents", "own_use"): "own_use",
}

OPENING_BALANCE = """
enterprises   chips        on_premise     2.10
cloud_west    chips        accelerators   8.60
cloud_china   chips        accelerators   2.10
neocloud      chips        accelerators   1.40
chips         wafers       wafers         4.25
chips         staff        staff          1.85
chips         tax          tax            1.15
chips         dividends    dividends      2.60
enterprises   cloud_west   hours          1.00
parents       cloud_west   own_use        2.00
parents       cloud_west   parent_funding 9.02
cloud_west    overhead     overhead       4.30
cloud_west    power        power          0.47
cloud_west    staff        staff          0.90
cloud_west    neocloud     hours          0.20
enterprises   cloud_china  hours          0.12
parents       cloud_china  own_use        0.25
parents       cloud_china  parent_funding 2.68
cloud_china   overhead     overhead       1.05
cloud_china   power        power          0.07
cloud_china   staff        staff          0.13
enterprises   neocloud     hours          0.30
lenders       neocloud     debt           1.78
neocloud      overhead     overhead       0.70
neocloud      power        power          0.05
neocloud      staff        staff          0.16
neocloud      interest     interest       0.12
households    lab_west     subscriptions  0.37
enterprises   lab_west     tokens         0.27
investors     lab_west     equity         1.17
lab_west      cloud_west   hours          1.15
lab_west      neocloud     hours          0.15
lab_west      cloud_west   revenue_share  0.07
lab_west      staff        staff          0.50
enterprises   lab_china    tokens         0.015
investors     lab_china    equity         0.105
lab_china     cloud_china  hours          0.05
lab_china     staff        staff          0.07
households    own_lab_west subscriptions  0.04
enterprises   own_lab_west tokens         0.11
parents       own_lab_west parent_funding 1.40
own_lab_west  cloud_west   hours          1.20
own_lab_west  staff        staff          0.35
households    own_lab_china subscriptions 0.01
enterprises   own_lab_china tokens        0.02
parents       own_lab_china parent_funding 0.34
own_lab_china cloud_china  hours          0.25
own_lab_china staff        staff          0.12
households    apps         subscriptions  0.16
enterprises   apps         subscriptions  0.16
advertisers   apps         advertising    0.003
investors     apps         equity         0.037
apps          lab_west     tokens         0.06
apps          cloud_west   hours          0.03
apps          store_fees   store_fees     0.02
apps          media        media          0.10
apps          staff        staff          0.15
"""
TIERS = {
    "chips": "chip",
    "cloud_west": "integrated cloud",
    "cloud_china": "integrated cloud",
    "neocloud": "neocloud",
    "lab_west": "lab",
    "lab_china": "lab",
    "own_lab_west": "integrated lab",
    "own_lab_china": "integrated lab",
    "apps": "app",
}
GROUPS = {
    "cloud_west": "big west",
    "own_lab_west": "big west",
    "cloud_china": "big china",
    "own_lab_china": "big china",
}


def opening_flows() -> Flows:
    """The table of January 2025, USD bn per month; firms start with enough cash to pay in any order."""
    ledger = Ledger()
    for source in ("households", "enterprises", "advertisers", "parents", "investors", "lenders"):
        ledger.open_account(source, "source")
    for sink in SINKS:
        ledger.open_account(sink, "sink")
    for firm, tier in TIERS.items():
        ledger.open_account(firm, "firm", tier=tier, group=GROUPS.get(firm), cash=20.0)
    for line in OPENING_BALANCE.split("\n")[1:-1]:
        payer, payee, kind, amount = line.split()
        ledger.pay(payer, payee, kind, float(amount))
    ledger.close_month()
    return ledger.flows()


def books(*firms: str, cash: float = 0.0) -> Ledger:
    """A ledger with two sources, three sinks and firms whose tier is the first part of their name."""
    ledger = Ledger()
    ledger.open_account("households", "source")
    ledger.open_account("investors", "source")
    for sink in ("staff", "tax", "dividends"):
        ledger.open_account(sink, "sink")
    for firm in firms:
        ledger.open_account(firm, "firm", tier=firm.split("_")[0], cash=cash)
    return ledger


def assert_rows_sum_to_one_dollar(flows: Flows) -> None:
    for consolidate in (False, True):
        for by_firm in (False, True):
            table = follow_the_dollar(flows, consolidate=consolidate, by_firm=by_firm)
            assert (table.share >= -1e-12).all()
            np.testing.assert_allclose(table.share.sum(axis=1), 1.0, atol=1e-9)
            np.testing.assert_allclose(table.by_source().share.sum(axis=1), 1.0, atol=1e-9)
            assert table.by_source().dollars.sum() == pytest.approx(table.dollars.sum())


def test_opening_balance_gives_the_stated_cover() -> None:
    flows = opening_flows()
    cover = final_demand_cover(flows, FINAL)
    by_firm = follow_the_dollar(flows, by_firm=True)
    assert_rows_sum_to_one_dollar(flows)
    assert cover["lab"].services == pytest.approx(0.37, abs=0.02)
    assert cover["integrated cloud"].services == pytest.approx(0.11, abs=0.02)
    assert cover["chip"].services == pytest.approx(0.09, abs=0.01)
    assert cover["chip"].with_on_premise == pytest.approx(0.24, abs=0.01)
    assert cover["chip"].with_own_use == pytest.approx(0.33, abs=0.01)
    assert cover["chip"].total == pytest.approx(14.2)
    assert by_firm.dollars.sum() == pytest.approx(23.46, abs=0.01)
    for tier in cover.values():
        assert tier.with_own_use + sum(tier.others.values()) == pytest.approx(1.0)
    revenue = final_demand_cover(flows, FINAL, of="revenue")
    assert revenue["chip"].services == pytest.approx(cover["chip"].services)
    assert revenue["lab"].services == pytest.approx(0.99, abs=0.01)
    assert revenue["lab"].total == pytest.approx(0.715)


def test_consolidated_groups_trade_only_with_others() -> None:
    cover = final_demand_cover(opening_flows(), FINAL, of="revenue", consolidate=True)
    assert "integrated lab" not in cover
    assert cover["integrated"].total == pytest.approx(6.12 + 0.18 - 1.2 - 0.25)


def test_chain_by_hand() -> None:
    ledger = books("app", "lab")
    ledger.pay("households", "app", "subscriptions", 80.0)
    ledger.pay("investors", "app", "equity", 20.0)
    ledger.pay("app", "lab", "tokens", 50.0)
    ledger.pay("app", "staff", "staff", 30.0)
    ledger.pay("lab", "tax", "tax", 10.0)
    ledger.pay("lab", "dividends", "dividends", 5.0)
    ledger.pay("lab", "staff", "staff", 25.0)
    ledger.close_month()
    flows = ledger.flows()
    table = follow_the_dollar(flows)
    cents = table.of_final_dollar(FINAL)
    assert cents == pytest.approx(
        {
            ("app", "staff"): 30.0,
            ("app", "retained"): 20.0,
            ("lab", "tax"): 10.0,
            ("lab", "dividends"): 5.0,
            ("lab", "staff"): 25.0,
            ("lab", "retained"): 10.0,
        }
    )
    assert cents_per_final_dollar(flows, FINAL) == pytest.approx({"app": 20.0, "lab": 25.0})
    assert final_demand_cover(flows, FINAL)["lab"].others == pytest.approx({"investors": 0.2})


def test_old_cash_is_a_source() -> None:
    ledger = books("app", "lab", cash=60.0)
    ledger.pay("app", "lab", "tokens", 30.0)
    ledger.pay("households", "app", "subscriptions", 10.0)
    ledger.close_month()
    table = follow_the_dollar(ledger.flows())
    assert dict(zip(table.sources, table.dollars.tolist(), strict=True)) == {
        ("households", "subscriptions"): 10.0,
        ("opening cash", "app"): 20.0,
    }
    assert_rows_sum_to_one_dollar(ledger.flows())
    cover = final_demand_cover(ledger.flows(), FINAL)
    assert cover["lab"].services == pytest.approx(1 / 3)
    assert cover["lab"].others == pytest.approx({"opening cash": 2 / 3})


def test_circular_finance_ends_outside_the_loop() -> None:
    ledger = books("chip", "lab", cash=100.0)
    for _ in range(12):
        ledger.pay("chip", "lab", "equity", 99.0)
        ledger.pay("lab", "chip", "accelerators", 99.0)
        ledger.pay("households", "lab", "subscriptions", 1.0)
        ledger.pay("lab", "chip", "accelerators", 1.0)
        ledger.pay("chip", "staff", "staff", 1.0)
        ledger.close_month()
    assert_rows_sum_to_one_dollar(ledger.flows())
    assert follow_the_dollar(ledger.flows()).of_final_dollar(FINAL)["chip", "staff"] == pytest.approx(100.0)
    assert final_demand_cover(ledger.flows(), FINAL)["chip"].services == pytest.approx(1.0)


def test_closed_loop_without_a_source_is_no_error() -> None:
    ledger = books("chip", "lab", "app", cash=100.0)
    ledger.pay("chip", "lab", "equity", 50.1)
    ledger.pay("lab", "chip", "accelerators", 50.1)
    ledger.pay("households", "app", "subscriptions", 1.0)
    ledger.close_month()
    assert_rows_sum_to_one_dollar(ledger.flows())
    assert set(final_demand_cover(ledger.flows(), FINAL)) == {"app"}


def test_firm_that_only_receives_no_flow_and_default() -> None:
    ledger = books("chip", "lab", "app")
    ledger.close_month()
    assert follow_the_dollar(ledger.flows()).share.shape[0] == 0
    assert follow_the_dollar(ledger.flows()).by_source().share.shape[0] == 0
    assert final_demand_cover(ledger.flows(), FINAL) == {}
    assert set(cents_per_final_dollar(ledger.flows(), FINAL).values()) == {0.0}
    ledger.pay("households", "app", "subscriptions", 3.0)
    ledger.pay("app", "lab", "tokens", 9.0)
    ledger.write_off("app")
    ledger.close_month()
    assert_rows_sum_to_one_dollar(ledger.flows())
    assert cents_per_final_dollar(ledger.flows(), FINAL) == pytest.approx({"app": 0.0, "lab": 100.0, "chip": 0.0})


def test_money_between_sources_and_past_the_firms() -> None:
    ledger = books("lab")
    ledger.open_account("fund", "source", cash=0.0)
    ledger.pay("investors", "fund", "fund_inflow", 10.0)
    ledger.pay("fund", "lab", "equity", 4.0)
    ledger.pay("lab", "fund", "dividends", 1.0)
    ledger.pay("households", "tax", "tax", 2.0)
    ledger.close_month()
    table = follow_the_dollar(ledger.flows(), by_firm=True)
    assert table.sources == (("households", "tax"), ("fund", "equity"))
    assert dict(zip(table.ends, table.share[1].tolist(), strict=True)) == {
        ("direct", "tax"): 0.0,
        ("lab", "dividends"): 0.25,
        ("lab", "retained"): 0.75,
    }


def test_group_named_like_an_account_stays_apart() -> None:
    ledger = books("lab")
    ledger.open_account("cloud_x", "firm", tier="cloud", group="lab")
    ledger.pay("households", "lab", "tokens", 1.0)
    ledger.close_month()
    assert set(final_demand_cover(ledger.flows(), FINAL, consolidate=True)) == {"lab"}


NAMES = ["households", "investors", "staff", "chip_a", "cloud_a", "cloud_b", "lab_a", "app_a"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(NAMES[2:]),
            st.sampled_from(["tokens", "subscriptions", "accelerators", "equity"]),
            st.one_of(st.floats(0.01, 1e3), st.floats(1e3, 1e11)),
        ),
        max_size=40,
    )
)
def test_rows_sum_to_one_dollar(history: list[tuple[str, str, str, float]]) -> None:
    ledger = books(*NAMES[3:], cash=1e9)
    for payer, payee, kind, amount in history:
        if payer not in {"staff", payee}:
            ledger.pay(payer, payee, kind, amount)
    ledger.close_month()
    assert_rows_sum_to_one_dollar(ledger.flows())
