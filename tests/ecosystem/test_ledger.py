"""The ledger balances to the cent, refuses money from nowhere, and says which account is off."""

from math import inf, nan
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecosystem.flows import Kind
from ecosystem.ledger import Ledger, LedgerBreach, LedgerError

BILLION = 1e9


@pytest.fixture
def ledger() -> Ledger:
    books = Ledger()
    books.open_account("households", "source")
    books.open_account("fund", "source", cash=50.0)
    books.open_account("staff", "sink")
    books.open_account("openai", "firm", tier="lab", region="west", cash=100.0)
    books.open_account("azure", "firm", tier="cloud", region="west", cash=20.0)
    books.open_account("nvidia", "firm", tier="chip", region="west", cash=43 * BILLION)
    return books


def test_payment_moves_cash_and_is_stored_by_month(ledger: Ledger) -> None:
    assert ledger.pay("households", "openai", "subscriptions", 30.0, quantity=1.5) == 30.0
    assert ledger.pay("households", "openai", "subscriptions", 10.0, quantity=0.5) == 10.0
    ledger.close_month()
    ledger.pay("openai", "azure", "hours", 60.0)
    ledger.close_month()
    assert (ledger.cash("openai"), ledger.cash("azure"), ledger.month) == (80.0, 80.0, 2)
    first = ledger.flows(0, 0)
    assert first.amount.tolist() == [40.0]
    assert first.quantity.tolist() == [2.0]
    assert (first.opening[3], first.closing[3]) == (100.0, 140.0)
    both = ledger.flows()
    assert both.month.tolist() == [0, 1]
    assert both.since.tolist() == [0, 1]
    assert both.received(both.operating)[[3, 4]].tolist() == [40.0, 60.0]
    assert both.paid()[3] == 60.0


@pytest.mark.parametrize("amount", [-1.0, nan, inf, -inf])
def test_impossible_amount_names_the_flow(ledger: Ledger, amount: float) -> None:
    with pytest.raises(LedgerError, match=r"households -> openai \(tokens\): amount"):
        ledger.pay("households", "openai", "tokens", amount)
    with pytest.raises(LedgerError, match=r"openai -> azure \(hours\): quantity"):
        ledger.pay("openai", "azure", "hours", 1.0, quantity=amount)
    ledger.close_month()
    assert ledger.cash("openai") == 100.0


def test_unknown_names_and_wrong_roles_are_refused(ledger: Ledger) -> None:
    for payer, payee, kind in [
        ("opnai", "azure", "hours"),
        ("openai", "azur", "hours"),
        ("openai", "azure", "huors"),
        ("staff", "openai", "hours"),
        ("openai", "openai", "hours"),
    ]:
        with pytest.raises(LedgerError, match=rf"{payer} -> {payee} \({kind}\)"):
            ledger.pay(payer, payee, kind, 1.0)
    with pytest.raises(LedgerError, match="already open"):
        ledger.open_account("openai", "firm")
    with pytest.raises(LedgerError, match="role 'bank'"):
        ledger.open_account("ecb", cast(Any, "bank"))
    with pytest.raises(LedgerError, match="no account 'nobody'"):
        ledger.cash("nobody")


def test_money_does_not_appear_with_an_entrant(ledger: Ledger) -> None:
    ledger.close_month()
    with pytest.raises(LedgerError, match="nowhere"):
        ledger.open_account("entrant", "firm", cash=5.0)
    with pytest.raises(LedgerError, match="nowhere"):
        ledger.open_account("fees", "sink", cash=5.0)
    ledger.open_account("entrant", "firm", tier="app")
    ledger.pay("fund", "entrant", "equity", 5.0)
    ledger.close_month()
    assert ledger.cash("entrant") == 5.0
    assert ledger.flows(0).closing[-1] == 5.0


def test_finite_fund_cannot_overdraw(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="fund holds 50 and cannot pay 51"):
        ledger.pay("fund", "openai", "equity", 51.0)
    assert ledger.pay("fund", "openai", "equity", 50.0) == 50.0
    assert ledger.cash("households") == inf
    assert ledger.cash("fund") == 0.0


def test_shortfall_becomes_arrears_and_is_settled_oldest_first(ledger: Ledger) -> None:
    assert ledger.pay("azure", "nvidia", "accelerators", 50.0) == 20.0
    assert (ledger.cash("azure"), ledger.arrears("azure"), ledger.arrears_months("azure")) == (0.0, 30.0, 0)
    ledger.close_month()
    assert ledger.pay("azure", "staff", "staff", 5.0) == 0.0
    ledger.close_month()
    assert (ledger.arrears("azure"), ledger.arrears_months("azure")) == (35.0, 2)
    ledger.pay("openai", "azure", "hours", 32.0)
    assert ledger.settle_arrears("azure") == 32.0
    assert (ledger.arrears("azure"), ledger.arrears_months("azure")) == (3.0, 1)
    assert (ledger.cash("staff"), ledger.cash("azure")) == (2.0, 0.0)
    ledger.close_month()


def test_write_off_cancels_arrears_without_cash(ledger: Ledger) -> None:
    ledger.pay("azure", "nvidia", "accelerators", 50.0)
    ledger.pay("azure", "staff", "staff", 1.0)
    before = ledger.cash("nvidia")
    assert ledger.write_off("azure") == 31.0
    assert (ledger.arrears("azure"), ledger.arrears_months("azure")) == (0.0, 0)
    assert [(w.month, w.debtor, w.creditor, w.amount) for w in ledger.write_offs] == [
        (0, "azure", "nvidia", 30.0),
        (0, "azure", "staff", 1.0),
    ]
    assert ledger.cash("nvidia") == before
    ledger.close_month()


@pytest.mark.parametrize("account", ["openai", "nvidia", "staff", "fund"])
@pytest.mark.parametrize("cents", [0.01, -0.01, nan])
def test_tampered_balance_is_caught(ledger: Ledger, account: str, cents: float) -> None:
    ledger.pay("households", "openai", "tokens", 10.0)
    ledger.pay("households", "nvidia", "on_premise", 14 * BILLION)
    ledger._purses[account].cash += cents
    with pytest.raises(LedgerBreach, match=f"account '{account}'"):
        ledger.close_month()


def test_lost_cent_in_an_entry_is_caught_and_names_the_flow(ledger: Ledger) -> None:
    ledger.pay("openai", "azure", "hours", 10.0)
    ledger._journal[1] -= 0.01
    with pytest.raises(LedgerBreach, match=r"openai -> azure \(hours\)"):
        ledger.close_month()


def test_negative_cash_is_caught(ledger: Ledger) -> None:
    ledger._purses["azure"].cash -= 25.0
    ledger._purses["staff"].cash += 25.0
    ledger._journal += (ledger._open_link("azure", "staff", "staff")[0], 25.0, 0.0)
    with pytest.raises(LedgerBreach, match=r"account 'azure': cash is negative \(-5\)"):
        ledger.close_month()


def test_ten_thousand_equal_payments_are_no_breach(ledger: Ledger) -> None:
    for _ in range(10_000):
        ledger.pay("households", "openai", "tokens", 0.1)
        ledger.pay("nvidia", "staff", "staff", 0.1)
    ledger.close_month()


def test_new_kinds_and_internal_transfers() -> None:
    ledger = Ledger()
    ledger.register_kind(Kind("licences", operating=True))
    with pytest.raises(LedgerError, match="licences"):
        ledger.register_kind(Kind("licences"))
    ledger.open_account("google_cloud", "firm", tier="cloud", group="google", cash=10.0)
    ledger.open_account("google_lab", "firm", tier="lab", group="google", cash=10.0)
    ledger.open_account("xai", "firm", tier="lab", cash=10.0)
    ledger.open_account("parent", "source", group="google")
    ledger.pay("google_lab", "google_cloud", "hours", 1.0)
    ledger.pay("xai", "google_lab", "licences", 2.0)
    ledger.pay("parent", "google_lab", "parent_funding", 3.0)
    ledger.pay("xai", "google_cloud", "accelerators", 4.0)
    ledger.close_month()
    flows = ledger.flows()
    assert flows.internal.tolist() == [True, False, False, False]
    assert flows.operating.tolist() == [True, True, False, True]
    assert flows.financial.tolist() == [False, False, True, False]
    assert flows.capital.tolist() == [False, False, False, True]
    assert flows.of_kinds(["hours"]).tolist() == [True, False, False, False]


def test_window_must_be_closed(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="0 months are closed"):
        ledger.flows()
    ledger.close_month()
    assert ledger.flows().amount.shape == (0,)
    with pytest.raises(LedgerError, match="no closed months 1 to 0"):
        ledger.flows(1, 0)


ACCOUNTS = ["households", "fund", "staff", "f0", "f1", "f2"]
FIRMS = ACCOUNTS[3:]
payments = st.builds(
    lambda payer, payee, kind, amount: ("pay", payer, payee, kind, amount),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(["tokens", "hours", "equity"]),
    st.one_of(st.floats(0.0, 1e11), st.floats(0.0, 10.0)),
)
other = st.builds(
    lambda what, firm: (what, firm, "", "", 0.0),
    st.sampled_from(["settle", "write off", "close"]),
    st.sampled_from(FIRMS),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(payments, other), max_size=60))
def test_any_history_balances(history: list[tuple[str, str, str, str, float]]) -> None:
    ledger = Ledger()
    ledger.open_account("households", "source")
    ledger.open_account("fund", "source", cash=1e6)
    ledger.open_account("staff", "sink")
    for firm, cash in zip(FIRMS, (0.0, 1.0, 43 * BILLION), strict=True):
        ledger.open_account(firm, "firm", cash=cash)
    owed = dict.fromkeys(FIRMS, 0.0)
    for what, payer, payee, kind, amount in history:
        if what == "settle":
            owed[payer] -= ledger.settle_arrears(payer)
        elif what == "write off":
            owed[payer] -= ledger.write_off(payer)
        elif what == "close":
            ledger.close_month()
        elif payer in {"staff", payee} or (payer == "fund" and amount > ledger.cash("fund")):
            with pytest.raises(LedgerError):
                ledger.pay(payer, payee, kind, amount)
        else:
            paid = ledger.pay(payer, payee, kind, amount)
            owed[payer] = owed.get(payer, 0.0) + amount - paid
        assert all(ledger.cash(account) >= 0.0 for account in ACCOUNTS)
    ledger.close_month()
    assert [ledger.arrears(firm) for firm in FIRMS] == pytest.approx([owed[firm] for firm in FIRMS], rel=1e-9, abs=1e-3)
    flows = ledger.flows()
    limited = np.array([account.limited for account in flows.accounts])
    change = (flows.received() - flows.paid())[limited]
    gross = flows.amount.sum() + 50 * BILLION
    np.testing.assert_allclose(change, flows.closing[limited] - flows.opening[limited], atol=1e-12 * gross)
