"""The closed table of payments: every dollar has a payer, a payee and a kind, and is checked every month."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum, inf

import numpy as np
from numpy.typing import NDArray

from ecosystem.arrays import packed
from ecosystem.flows import STANDARD_KINDS, Account, AccountRole, Flows, Kind, WriteOff

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

EPSILON = float(np.finfo(np.float64).eps)
IDENTITY_TOLERANCE = 1e-9
"""Largest breach of (cash changes = sources - sinks), as a share of the month's gross payments."""


class LedgerError(ValueError):
    """A payment or account that the ledger refuses; the message names the flow or the account."""


class LedgerBreach(RuntimeError):
    """The books do not balance at the end of a month; the message names the account and its flows."""


@dataclass(slots=True)
class _Due:
    """One unpaid invoice."""

    payee: str
    kind: str
    amount: float
    month: int


@dataclass(slots=True)
class Purse:
    """Cash of one account, USD: infinite for an unlimited source, money received so far for a sink."""

    cash: float


@dataclass(frozen=True, slots=True)
class _Month:
    """The entries of one closed month: rows of the table of links, what they carried, and the cash after."""

    link: Ints
    amount: Floats
    quantity: Floats
    closing: Floats


class Ledger:
    """Double-entry accounts of firms, sources and sinks of money.

    A firm never owes the ledger: what it cannot pay becomes arrears to the payee. Payments of one month with
    the same payer, payee and kind are one entry (a *link* carries it, and remembers since when it exists).
    """

    def __init__(self, kinds: Iterable[Kind] = STANDARD_KINDS) -> None:
        self._accounts: dict[str, Account] = {}
        self._index: dict[str, int] = {}
        self._purses: dict[str, Purse] = {}
        self._endowment: list[float] = []
        self._limited: list[bool] = []
        self._kinds: dict[str, Kind] = {}
        self.sales: set[str] = set()
        """Kinds of payment that are operating revenue of the payee."""
        self._kind_index: dict[str, int] = {}
        self._links: dict[tuple[str, str, str], tuple[int, Purse, Purse]] = {}
        """Row in the table of links, and the purses of payer and payee, by (payer, payee, kind)."""
        self._new_links: list[tuple[int, int, int, int]] = []
        self._table: Ints = np.empty((0, 4), dtype=np.int32)
        self._payer = self._payee = np.empty(0, dtype=np.intp)
        self._finite = self._from_source = self._into_sink = np.empty(0, dtype=np.intp)
        self._journal: list[float] = []
        """The month's payments one after the other, three numbers each: link, amount, quantity."""
        self._arrears: defaultdict[str, list[_Due]] = defaultdict(list)
        self._write_offs: list[WriteOff] = []
        self._months: list[_Month] = []
        for kind in kinds:
            self.register_kind(kind)

    @property
    def month(self) -> int:
        """The month that is open: the number of months closed so far."""
        return len(self._months)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All accounts in the order in which they were opened."""
        return tuple(self._accounts.values())

    @property
    def write_offs(self) -> tuple[WriteOff, ...]:
        """All write-offs so far, oldest first."""
        return tuple(self._write_offs)

    def register_kind(self, kind: Kind) -> None:
        """Add a kind of payment; LedgerError if the name is taken."""
        if kind.name in self._kinds:
            raise LedgerError(f"kind {kind.name!r} is already registered")
        self._kind_index[kind.name] = len(self._kinds)
        self._kinds[kind.name] = kind
        if kind.operating:
            self.sales.add(kind.name)

    def open_account(
        self,
        account: str,
        role: AccountRole,
        tier: str | None = None,
        region: str | None = None,
        group: str | None = None,
        cash: float | None = None,
    ) -> None:
        """Open an account.

        `cash` (USD) is what a firm starts with (default 0). A source without `cash` pays without limit; with
        `cash` it is a finite fund. A sink starts at 0 and only receives. After the first month was closed no
        account may start with cash, for money does not appear: fund it by a payment. LedgerError otherwise.
        """
        if account in self._accounts:
            raise LedgerError(f"account {account!r} is already open")
        if role not in {"firm", "source", "sink"}:
            raise LedgerError(f"account {account!r}: role {role!r} is not firm, source or sink")
        if cash is not None and not 0.0 <= cash < inf:
            raise LedgerError(f"account {account!r}: cannot start with cash {cash!r}")
        if cash and (role == "sink" or self._months):
            raise LedgerError(f"account {account!r}: cash of {cash:g} would come from nowhere")
        limited = role == "firm" or (role == "source" and cash is not None)
        start = inf if role == "source" and not limited else cash or 0.0
        self._index[account] = len(self._accounts)
        self._accounts[account] = Account(account, role, tier, region, group, limited)
        self._purses[account] = Purse(start)
        self._endowment.append(start)
        self._limited.append(limited)

    def is_sale(self, kind: str) -> bool:
        """Return whether payments of a kind are operating revenue of the payee. LedgerError for an unknown kind."""
        if kind not in self._kinds:
            raise LedgerError(f"no kind {kind!r}")
        return kind in self.sales

    def cash(self, account: str) -> float:
        """Cash of a firm or fund, USD; infinite for an unlimited source, money received so far for a sink."""
        return self.purse(account).cash

    def purse(self, account: str) -> Purse:
        """Return where the cash of an account is. LedgerError for an unknown account."""
        try:
            return self._purses[account]
        except KeyError:
            raise LedgerError(f"no account {account!r}") from None

    def pay(self, payer: str, payee: str, kind: str, amount: float, quantity: float = 0.0) -> float:
        """Pay `amount` USD for `quantity` units and return what was paid, USD.

        A firm pays what it has; the rest becomes arrears to the same payee for the same kind, while the whole
        quantity counts as delivered. LedgerError: an unknown account or kind, a sink that pays, an amount or
        quantity that is negative or not finite, a finite fund that is short.
        """
        try:
            link, buyer, seller = self._links[payer, payee, kind]
        except KeyError:
            link, buyer, seller = self._open_link(payer, payee, kind)
        if not (0.0 <= amount < buyer.cash and 0.0 <= quantity < inf):
            amount = self._payable(payer, payee, kind, amount, quantity)
        buyer.cash -= amount
        seller.cash += amount
        self._journal += (link, amount, quantity)
        return amount

    def _open_link(self, payer: str, payee: str, kind: str) -> tuple[int, Purse, Purse]:
        """Check the names of a new (payer, payee, kind) and give it a row."""
        flow = f"{payer} -> {payee} ({kind})"
        for account in (payer, payee):
            if account not in self._accounts:
                raise LedgerError(f"{flow}: no account {account!r}")
        if kind not in self._kinds:
            raise LedgerError(f"{flow}: no kind {kind!r}; register it or use one of {', '.join(self._kinds)}")
        if self._accounts[payer].role == "sink":
            raise LedgerError(f"{flow}: a sink cannot pay")
        if payer == payee:
            raise LedgerError(f"{flow}: payer and payee are the same")
        link = self._links[payer, payee, kind] = len(self._links), self._purses[payer], self._purses[payee]
        self._new_links.append((self._index[payer], self._index[payee], self._kind_index[kind], self.month))
        return link

    def _payable(self, payer: str, payee: str, kind: str, amount: float, quantity: float) -> float:
        """Return what the payer can pay of `amount`, and note the rest as arrears."""
        flow = f"{payer} -> {payee} ({kind})"
        if not 0.0 <= amount < inf:
            raise LedgerError(f"{flow}: amount {amount!r} is negative or not finite")
        if not 0.0 <= quantity < inf:
            raise LedgerError(f"{flow}: quantity {quantity!r} is negative or not finite")
        cash = self._purses[payer].cash
        if amount <= cash:
            return amount
        if self._accounts[payer].role == "source":
            raise LedgerError(f"{flow}: the fund holds {cash:g} and cannot pay {amount:g}")
        self._arrears[payer].append(_Due(payee, kind, amount - cash, self.month))
        return cash

    def arrears(self, firm: str) -> float:
        """What a firm owes and could not pay, USD."""
        return fsum(due.amount for due in self._arrears[firm]) if firm in self._arrears else 0.0

    @property
    def debtors(self) -> list[str]:
        """Firms in arrears."""
        return [firm for firm, dues in self._arrears.items() if dues]

    def arrears_months(self, firm: str) -> int:
        """Months since the oldest unpaid invoice fell due; 0 without arrears or if it fell due this month."""
        dues = self._arrears.get(firm)
        return self.month - dues[0].month if dues else 0

    def settle_arrears(self, firm: str) -> float:
        """Pay arrears, oldest first, as far as the firm's cash goes; return what was paid, USD."""
        payments: list[float] = []
        dues = self._arrears.get(firm, [])
        while dues and self.cash(firm) > 0.0:
            due = dues[0]
            payments.append(self.pay(firm, due.payee, due.kind, min(due.amount, self.cash(firm))))
            due.amount -= payments[-1]
            if due.amount <= 0.0:
                dues.pop(0)
        return fsum(payments)

    def write_off(self, firm: str) -> float:
        """Cancel the arrears of a firm in default, one entry per creditor and kind; return the loss, USD."""
        dues = self._arrears.pop(firm, [])
        for due in dues:
            self.forgive(firm, due.payee, due.kind, due.amount)
        return fsum(due.amount for due in dues)

    def forgive(self, debtor: str, creditor: str, kind: str, amount: float) -> None:
        """Note `amount` USD that a debtor will never pay to a creditor."""
        if amount > 0.0:
            self._write_offs.append(WriteOff(self.month, debtor, creditor, kind, amount))

    def close_month(self) -> None:
        """Check the month's books, store its entries and open the next month.

        LedgerBreach if they do not balance; nothing is stored then.
        """
        if self._new_links:
            self._add_links()
        calls, amount, quantity = self._entries()
        opening = self._cash_at(self.month)
        closing = packed([purse.cash for purse in self._purses.values()], len(opening))
        self._check_balances(amount, calls, opening, closing)
        self._check_identity(amount, calls, opening, closing)
        active = calls.nonzero()[0].astype(np.int32)
        self._months.append(_Month(active, amount[active], quantity[active], closing))
        self._journal.clear()

    def _entries(self) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Return the month's number of payments, amount and quantity by link, each (links,)."""
        journal = packed(self._journal, len(self._journal)).reshape(-1, 3)
        link = journal[:, 0].astype(np.intp)
        links = len(self._table)
        calls: NDArray[np.int64] = np.bincount(link, minlength=links).astype(np.int64)
        amount: Floats = np.bincount(link, journal[:, 1], minlength=links).astype(np.float64)
        quantity: Floats = np.bincount(link, journal[:, 2], minlength=links).astype(np.float64)
        return calls, amount, quantity

    def _add_links(self) -> None:
        """Give new links their rows in the table; note the finite accounts, and links from sources and into sinks."""
        self._table = np.concatenate([self._table, np.array(self._new_links, dtype=np.int32)])
        self._new_links.clear()
        self._payer, self._payee = (self._table[:, end].astype(np.intp) for end in (0, 1))
        limited = np.array(self._limited)
        unlimited = ~limited
        self._finite = np.flatnonzero(limited)
        self._from_source = np.flatnonzero(unlimited[self._payer])
        self._into_sink = np.flatnonzero(unlimited[self._payee])

    def _check_balances(self, amount: Floats, calls: NDArray[np.int64], opening: Floats, closing: Floats) -> None:
        """Every balance equals the previous one plus its entries, within the rounding of its additions."""
        accounts = len(closing)
        received = np.bincount(self._payee, weights=amount, minlength=accounts)
        paid = np.bincount(self._payer, weights=amount, minlength=accounts)
        rounded = calls + (calls > 0)
        additions = 4 + np.bincount(self._payer, weights=rounded, minlength=accounts)
        additions += np.bincount(self._payee, weights=rounded, minlength=accounts)
        balanced = np.isfinite(opening)
        before = np.where(balanced, opening, 0.0)
        gap = np.where(balanced, closing, 0.0) - (before + (received - paid))
        size = before + received + paid
        wrong = ~(np.abs(gap) <= additions * EPSILON * size) & balanced
        if wrong.any():
            account = int(np.argmax(wrong))
            self._breach(account, f"cash differs from its entries by {gap[account]:.10g}", amount)
        if closing.min() < 0.0:
            account = int(np.argmin(closing))
            self._breach(account, f"cash is negative ({closing[account]:.10g})", amount)

    def _check_identity(self, amount: Floats, calls: NDArray[np.int64], opening: Floats, closing: Floats) -> None:
        """The cash changes of firms and funds sum to money from sources minus money into sinks."""
        opening = opening[self._finite]
        changes = fsum((closing[self._finite] - opening).tolist())
        from_sources = fsum(amount[self._from_source].tolist())
        into_sinks = fsum(amount[self._into_sink].tolist())
        gap = changes - (from_sources - into_sinks)
        rounding = EPSILON * float(calls.sum()) * float(opening.sum())
        if not abs(gap) <= IDENTITY_TOLERANCE * float(amount.sum()) + rounding:
            raise LedgerBreach(f"month {self.month}: cash changes differ from sources - sinks by {gap:.10g} USD")

    def _breach(self, account: int, what: str, amount: Floats) -> None:
        """Raise LedgerBreach with the largest flows of the account."""
        names, kinds = tuple(self._accounts), tuple(self._kinds)
        mine = np.flatnonzero(((self._payer == account) | (self._payee == account)) & (self._entries()[0] > 0))
        largest = sorted(zip(amount[mine].tolist(), mine.tolist(), strict=True), reverse=True)[:5]
        flows = []
        for paid, link in largest:
            payer, payee, kind, _ = self._table[link].tolist()
            flows.append(f"{names[payer]} -> {names[payee]} ({kinds[kind]}) {paid:.10g}")
        listed = "; ".join(flows) or "none"
        raise LedgerBreach(f"month {self.month}: account {names[account]!r}: {what}; largest flows: {listed}")

    def flows(self, first_month: int = 0, last_month: int | None = None) -> Flows:
        """Return the entries of the closed months `first_month` to `last_month`, inclusive.

        `last_month` is the last closed month by default. LedgerError: the window is empty or not closed yet.
        """
        last = self.month - 1 if last_month is None else last_month
        if not 0 <= first_month <= last < self.month:
            raise LedgerError(f"no closed months {first_month} to {last}: {self.month} months are closed")
        months = self._months[first_month : last + 1]
        rows = self._table[np.concatenate([month.link for month in months])]
        sizes = [len(month.link) for month in months]
        return Flows(
            accounts=self.accounts,
            kinds=tuple(self._kinds.values()),
            payer=rows[:, 0],
            payee=rows[:, 1],
            kind=rows[:, 2].astype(np.int16),
            amount=np.concatenate([month.amount for month in months]),
            quantity=np.concatenate([month.quantity for month in months]),
            month=np.repeat(np.arange(first_month, last + 1, dtype=np.int32), sizes),
            since=rows[:, 3],
            opening=self._cash_at(first_month),
            closing=self._cash_at(last + 1),
        )

    def _cash_at(self, month: int) -> Floats:
        """Cash of every account at the start of a month; accounts opened later have what they opened with."""
        cash = np.array(self._endowment)
        if month > 0:
            known = self._months[month - 1].closing
            cash[: len(known)] = known
        return cash
