"""Price wars have a start, followers and an end; firms of a group stand in for each other."""

from collections.abc import Mapping

import pytest

from ecosystem.model import ValueChain
from ecosystem.spec import Spec

WAR = {"events.war": {"kind": "price_war", "month": 3, "lab": "office"}}
LABS = ("frontier", "office", "commons")
RICH = {f"lab.{lab}.cash": 1e11 for lab in LABS} | {f"lab.{lab}.war_share_loss": 1.0 for lab in LABS}
"""Money for a war, and no war on lost share: only the declared one and its followers."""


def _wars(changes: Mapping[str, object], months: int = 24) -> tuple[ValueChain, dict[str, list[int]]]:
    """Run the toy and return it with the months in which each lab was at war."""
    chain = ValueChain(Spec.load("toy").with_overrides({"months": months, **changes}))
    found: dict[str, list[int]] = {lab: [] for lab in chain.labs}
    while chain.running:
        chain.step()
        for lab_id, lab in chain.labs.items():
            if lab.in_war:
                found[lab_id].append(chain.month - 1)
    return chain, found


def test_a_declared_war_lasts_and_ends() -> None:
    _, wars = _wars({**WAR, **RICH})
    assert 2 <= len(wars["office"]) <= 9
    assert wars["office"] == list(range(3, 3 + len(wars["office"])))


def test_a_war_cuts_the_price_to_cost() -> None:
    with_war, _ = _wars({**WAR, **RICH}, months=8)
    without, _ = _wars(RICH, months=8)
    war, peace = (c.labs["office"].models["large"] for c in (with_war, without))
    assert war.opening_blend * war.scale < 0.7 * peace.opening_blend * peace.scale
    assert war.opening_blend * war.scale >= 0.79 * war.unit_cost


def test_a_rival_who_is_undercut_follows() -> None:
    touchy = {"lab.frontier.war_undercut": 0.0, "lab.frontier.models.large.quality": 0.5}
    _, followed = _wars({**WAR, **RICH, **touchy}, months=8)
    _, aloof = _wars({**WAR, **RICH, **touchy, "lab.frontier.war_undercut": 1.0}, months=8)
    assert followed["frontier"]
    assert followed["frontier"][0] > 3
    assert not aloof["frontier"]


def test_no_war_without_money() -> None:
    poor = {"lab.office.cash": 1e6, "mechanisms.funding": False, "lab.office.group": None}
    _, wars = _wars({**WAR, **poor}, months=8)
    assert wars["office"] == []


def test_runway_counts_the_group() -> None:
    chain = ValueChain("toy")
    for _ in range(3):
        chain.step()
    lab, app = chain.labs["frontier"], chain.apps["chat"]
    assert lab.group == app.group is not None
    cash = lab.cash + app.cash
    burn = lab.burn + app.burn
    expected = min(cash / burn, 120.0) if burn > 0.0 else 120.0
    assert lab.runway == app.runway == pytest.approx(expected)


def test_members_of_an_independent_group_help_its_head() -> None:
    chain = ValueChain(Spec.load("toy").with_overrides({"app.chat.cash": 5e9}))
    head = chain.spec.group["frontier"].head
    assert head == "frontier"
    before = chain.ledger.cash("chat")
    given = chain.draw_on_group("frontier", 1e9)
    assert given == pytest.approx(1e9)
    assert chain.ledger.cash("chat") == pytest.approx(before - 1e9)


def test_an_owner_hands_on_what_its_firms_pay_out() -> None:
    chain = ValueChain("toy")
    while chain.month < 24 and chain.group_received["big"] == 0.0:
        chain.step()
    received = chain.group_received["big"]
    assert received > 0.0
    chain.events()
    flow = chain.spec.group["big"]
    assert chain.group_left["big"] == pytest.approx(flow.cash_flow * (1.0 + flow.growth) ** chain.month + received)
    assert chain.group_received["big"] == 0.0


def test_resold_search_calls_are_those_that_were_lost() -> None:
    hike = {
        "months": 12,
        "events.hike": {"kind": "api_price", "month": 2, "firm": "chat", "factor": 4.0},
        "app.chat.earning": {"subscription": {}, "api": {"price": 25.0, "outside_calls": 4.0e8}},
    }
    chain = ValueChain(Spec.load("toy").with_overrides(hike)).run()
    market = chain.consumer_markets["west"]
    assert chain.apps["search"].resells
    lost = 4.0e8 - market.outside["chat"]
    assert lost > 0.5 * 4.0e8
    assert 0.0 < market.outside["search"] <= lost
    assert chain.apps["search"].api_price == pytest.approx(25.0)
    calm = {key: value for key, value in hike.items() if key != "events.hike"}
    quiet = ValueChain(Spec.load("toy").with_overrides(calm)).run()
    assert not quiet.apps["search"].resells


def test_an_app_whose_new_terms_sell_no_calls_serves_no_lost_ones() -> None:
    hike: dict[str, object] = {
        "months": 16,
        "events.hike": {"kind": "api_price", "month": 2, "firm": "chat", "factor": 4.0},
        "app.chat.earning": {"subscription": {}, "api": {"price": 25.0, "outside_calls": 4.0e8}},
        "events.terms": {"kind": "new_terms", "month": 15, "app": "search", "earning": {"subscription": {}}},
    }
    chain = ValueChain(Spec.load("toy").with_overrides(hike))
    market, app = chain.consumer_markets["west"], chain.apps["search"]
    while chain.month < 15:
        chain.step()
    assert app.resells
    served = market.outside["search"]
    app.spec = app.spec.model_copy(update={"switching_cost": 1e15})
    chain.step()
    assert not app.resells
    assert served > 0.0
    assert "search" not in market.outside
    assert market.lost_calls[0] > 0.9 * (4.0e8 - market.outside["chat"])
