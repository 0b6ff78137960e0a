"""The 2025 scenario: sources, and an opening month that matches the opening balance tier by tier."""

import math
import re

import pytest

from ecosystem.flows import Flows
from ecosystem.model import ValueChain
from ecosystem.opening import UTILISATION
from ecosystem.spec import Spec

WEST_INTEGRATED = ("azure", "aws", "google_cloud", "meta_infra")
RESELLERS = ("coreweave", "neoclouds", "oracle")
INDEPENDENT_LABS = {"openai": "chatgpt", "anthropic": "claude_app", "other_labs": None}
INTEGRATED_LABS = ("gemini_lab", "meta_ai", "microsoft_ai")


@pytest.fixture(scope="module")
def spec() -> Spec:
    return Spec.load("2025")


@pytest.fixture(scope="module")
def chain() -> ValueChain:
    chain = ValueChain("2025")
    chain.step()
    return chain


@pytest.fixture(scope="module")
def flows(chain: ValueChain) -> Flows:
    return chain.ledger.flows(0, 0)


def paid(flows: Flows, kinds: tuple[str, ...], payers: str = "", payees: str = "") -> float:
    """USD paid for `kinds`; payers and payees are regular expressions that match ids from their start."""
    names = [account.id for account in flows.accounts]
    kind = [k.name for k in flows.kinds]
    return math.fsum(
        amount
        for payer, payee, k, amount in zip(
            flows.payer.tolist(), flows.payee.tolist(), flows.kind.tolist(), flows.amount.tolist(), strict=True
        )
        if kind[k] in kinds and re.match(payers, names[payer]) and re.match(payees, names[payee])
    )


def revenue(chain: ValueChain, firms: tuple[str, ...]) -> float:
    return math.fsum(chain.firms[firm].books.revenue for firm in firms)


# --- data -----------------------------------------------------------------------------------------------------------


def test_two_regions_from_january_2025(spec: Spec) -> None:
    assert (spec.regions, spec.start, spec.months) == (["west", "china"], "2025-01", 36)
    firms = len(spec.chipmaker) + len(spec.cloud) + len(spec.lab) + len(spec.app)
    assert firms >= 45


def test_every_parameter_has_a_source_and_no_source_is_idle(spec: Spec) -> None:
    rows = spec.parameters()
    assert [row.path for row in rows if not row.source.strip()] == []
    paths = [row.path for row in rows]
    for key in spec.sources:
        matches = [p for p in paths if (p.startswith(key[:-1]) if key.endswith("*") else p == key)]
        assert matches, f"sources: {key!r} matches no parameter"


def test_no_parameter_is_a_gross_margin_or_mark_up(spec: Spec) -> None:
    assert [row.path for row in spec.parameters() if re.search(r"margin|mark_?up", row.path.lower())] == []


def test_purchases_of_chips_are_sales_of_chips(spec: Spec) -> None:
    for maker, chips in spec.chipmaker.items():
        for region, sales in chips.opening_sales.items():
            clouds = math.fsum(c.chip_purchases.get(maker, 0.0) for c in spec.cloud.values() if c.region == region)
            assert clouds + spec.compute[region].on_premise.get(maker, 0.0) == pytest.approx(sales, rel=0.01)


# --- the opening month against the opening balance, USD bn ------------------------------------------------------------


def test_opening_utilisation_and_plugs(chain: ValueChain) -> None:
    opening = ValueChain("2025")
    for cloud in opening.clouds.values():
        assert UTILISATION[0] <= cloud.utilisation <= UTILISATION[1]
    for plug in opening.plugs:
        if plug.what.startswith("tokens"):
            assert 0.3 <= plug.value <= 4.5, plug
        elif plug.what.startswith("serving"):
            assert 0.1 <= plug.value <= 1.1, plug


def test_chips(chain: ValueChain) -> None:
    assert revenue(chain, tuple(chain.chipmakers)) == pytest.approx(14.2e9, rel=0.05)
    assert revenue(chain, ("nvidia",)) == pytest.approx(11.9e9, rel=0.03)


def test_clouds(chain: ValueChain) -> None:
    china = tuple(c for c, cloud in chain.clouds.items() if cloud.region == "china")
    assert revenue(chain, WEST_INTEGRATED) == pytest.approx(5.45e9, rel=0.10)
    assert revenue(chain, china) == pytest.approx(0.67e9, rel=0.15)
    assert revenue(chain, RESELLERS) == pytest.approx(0.65e9, rel=0.15)


def test_labs_buy_the_hours_of_the_balance(flows: Flows) -> None:
    independent = "|".join(f"{lab}$" for lab in INDEPENDENT_LABS)
    integrated = "|".join(f"{lab}$" for lab in INTEGRATED_LABS)
    assert paid(flows, ("hours",), independent) == pytest.approx(1.30e9, rel=0.10)
    assert paid(flows, ("hours",), integrated) == pytest.approx(1.20e9, rel=0.10)
    assert paid(flows, ("hours",), "deepseek$") == pytest.approx(0.0056e9, rel=0.15)


def test_independent_labs_with_their_own_apps(chain: ValueChain, flows: Flows) -> None:
    sales = 0.0
    for lab, app in INDEPENDENT_LABS.items():
        sales += revenue(chain, (lab,))
        if app is not None:
            sales += revenue(chain, (app,)) - paid(flows, ("tokens",), f"{app}$", f"{lab}$")
    assert sales == pytest.approx(0.70e9, rel=0.15)


def test_final_demand(flows: Flows) -> None:
    households = paid(flows, ("subscriptions", "metered"), r"households\.")
    api = paid(flows, ("tokens",), r"enterprises\.")
    apps = paid(flows, ("api_calls",), r"enterprises\.")
    direct = paid(flows, ("hours",), r"enterprises\.")
    premises = paid(flows, ("on_premise",), r"enterprises\.", "|".join(("nvidia", "amd", "huawei", "custom")))
    own_use = paid(flows, ("own_use",), r"parents\.")
    assert households == pytest.approx(0.58e9, rel=0.20)
    assert api == pytest.approx(0.45e9, rel=0.15)  # 0.27 + 0.15 + 0.03; the balance's own line says 0.41
    assert apps == pytest.approx(0.16e9, rel=0.15)
    assert direct == pytest.approx(1.42e9, rel=0.15)
    assert premises == pytest.approx(2.1e9, rel=0.05)
    assert own_use == pytest.approx(2.25e9, rel=0.20)
    assert paid(flows, ("advertising",)) < 0.02e9


def test_paid_conversion(chain: ValueChain) -> None:
    share = {}
    for region, market in chain.consumer_markets.items():
        usage = [market.usage(app) for app in market.apps]
        share[region] = math.fsum(u.payers for u in usage) / math.fsum(u.users for u in usage)
    assert 0.02 <= share["west"] <= 0.06
    assert share["china"] <= 0.02


def test_opening_users_and_payers_of_named_apps(chain: ValueChain) -> None:
    west = chain.consumer_markets["west"]
    chatgpt = west.usage(chain.apps["chatgpt"])
    assert chatgpt.users == pytest.approx(chain.spec.app["chatgpt"].users, rel=0.30)
    assert chatgpt.payers == pytest.approx(15.5e6, rel=0.20)
    assert chain.apps["perplexity"].books.revenue < 0.015e9
    assert chain.apps["perplexity"].books.operating_profit < 0.0


def test_shares_of_the_leading_chipmaker_and_its_emergent_result(chain: ValueChain) -> None:
    books = chain.chipmakers["nvidia"].books
    assert books.revenue / revenue(chain, tuple(chain.chipmakers)) == pytest.approx(0.84, abs=0.03)
    assert 0.65 <= books.gross_profit / books.revenue <= 0.80


# --- what the first quarter brings ----------------------------------------------------------------------------------


def test_chinas_clouds_order_h20_before_the_licence_and_those_orders_go_home_after_it() -> None:
    chain = ValueChain("2025")
    ordered = {"nvidia": [0.0, 0.0], "huawei": [0.0, 0.0]}
    for quarter in (0, 1):
        for _ in range(3):
            chain.step()
            for seller, values in ordered.items():
                price = chain.chipmakers[seller].lines["china"].quote
                bought = math.fsum(c._orders.get(seller, 0.0) for c in chain.clouds.values() if c.region == "china")
                values[quarter] += price * bought
    assert ordered["nvidia"][0] > 16e9 / 5.0  # F-C5: 16 bn and more
    assert ordered["nvidia"][1] < 0.4 * ordered["nvidia"][0]
    assert ordered["huawei"][1] > ordered["huawei"][0]


def test_huawei_cannot_make_all_that_is_ordered_under_export_rules() -> None:
    ban = {"kind": "export_control", "month": 3, "home": "west", "region": "china", "leakage": 0.15}
    chain = ValueChain(Spec.load("2025").with_overrides({"events": {"ban": ban}}))
    for _ in range(24):
        chain.step()
    huawei = chain.chipmakers["huawei"]
    assert huawei.capacity <= huawei.opening_capacity * 1.5**2
    assert huawei.lead_time > 12.0
