"""Records of payments: their kinds, the accounts, and the flows of a window of months as arrays."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

AccountRole = Literal["firm", "source", "sink"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a payment is for.

    `operating`: the payee's operating revenue. `capital`: the payer's capital spending. `financial`: money
    raised, repaid or distributed, neither a sale nor a cost of production. `funding`: financial, and it is
    the payer who supplies (equity, loans); in all other kinds the payee supplies and the payer buys.
    """

    name: str
    operating: bool = False
    capital: bool = False
    financial: bool = False
    funding: bool = False


_SALES = (
    "hours",
    "tokens",
    "subscriptions",
    "advertising",
    "api_calls",
    "commission",
    "revenue_share",
    "own_use",
)
_COSTS = (
    "wafers",
    "power",
    "staff",
    "media",
    "store_fees",
    "publishers",
    "overhead",
    "tax",
)
_FUNDING = ("equity", "debt", "parent_funding", "fund_inflow")
_PAYOUTS = ("interest", "principal", "dividends")

STANDARD_KINDS: tuple[Kind, ...] = (
    Kind("accelerators", operating=True, capital=True),
    Kind("on_premise", operating=True, capital=True),
    Kind("buildings", capital=True),
    Kind("asset_sale", capital=True),
    *(Kind(name, operating=True) for name in _SALES),
    *(Kind(name) for name in _COSTS),
    *(Kind(name, financial=True, funding=True) for name in _FUNDING),
    *(Kind(name, financial=True) for name in _PAYOUTS),
)
"""The kinds that every ledger knows; `Ledger.register_kind` adds others."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account: a firm, a source of money or a sink; `limited` says whether its cash can run out."""

    id: str
    role: AccountRole
    tier: str | None
    region: str | None
    group: str | None
    limited: bool


@dataclass(frozen=True, slots=True)
class WriteOff:
    """Arrears that were cancelled: no cash moves, the creditor loses `amount` USD."""

    month: int
    debtor: str
    creditor: str
    kind: str
    amount: float


@dataclass(frozen=True, slots=True)
class Flows:
    """The payments of a window of months, one row per month and (payer, payee, kind).

    `payer`, `payee` (int32) index `accounts`; `kind` (int16) indexes `kinds`; `amount` is in USD, `quantity`
    in the unit of the good; `month` (int32) is the month of the row and `since` (int32) the first month in
    which this payer paid this payee for this kind. `opening` and `closing` are the accounts' cash (USD) at
    both ends of the window: infinite for unlimited sources, all money received so far for sinks.
    """

    accounts: tuple[Account, ...]
    kinds: tuple[Kind, ...]
    payer: NDArray[np.int32]
    payee: NDArray[np.int32]
    kind: NDArray[np.int16]
    amount: NDArray[np.float64]
    quantity: NDArray[np.float64]
    month: NDArray[np.int32]
    since: NDArray[np.int32]
    opening: NDArray[np.float64]
    closing: NDArray[np.float64]

    @property
    def operating(self) -> NDArray[np.bool_]:
        """Rows that are operating revenue of the payee, shape (rows,)."""
        return self.of_kinds(kind.name for kind in self.kinds if kind.operating)

    @property
    def capital(self) -> NDArray[np.bool_]:
        """Rows that are capital spending of the payer, shape (rows,)."""
        return self.of_kinds(kind.name for kind in self.kinds if kind.capital)

    @property
    def financial(self) -> NDArray[np.bool_]:
        """Rows that are money raised, repaid or distributed, shape (rows,)."""
        return self.of_kinds(kind.name for kind in self.kinds if kind.financial)

    @property
    def funding(self) -> NDArray[np.bool_]:
        """Rows in which the payer funds the payee, shape (rows,)."""
        return self.of_kinds(kind.name for kind in self.kinds if kind.funding)

    def of_kinds(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Rows of the named kinds, shape (rows,)."""
        wanted = set(names)
        return np.array([kind.name in wanted for kind in self.kinds], dtype=np.bool_).take(self.kind)

    @property
    def internal(self) -> NDArray[np.bool_]:
        """Rows between two firms of one group, shape (rows,)."""
        names = sorted({account.group for account in self.accounts if account.group is not None})
        code = {name: i for i, name in enumerate(names)}
        group = np.array(
            [-1 if a.group is None or a.role != "firm" else code[a.group] for a in self.accounts],
            dtype=np.int64,
        )
        payer = group[self.payer]
        internal: NDArray[np.bool_] = (payer == group[self.payee]) & (payer >= 0)
        return internal

    def summed(self) -> "Flows":
        """Return the payments with one row for each (payer, payee, kind), dated by the first of those it sums."""
        accounts, kinds = len(self.accounts), len(self.kinds)
        code = (self.payer.astype(np.int64) * accounts + self.payee) * kinds + self.kind
        _, first, row = np.unique(code, return_index=True, return_inverse=True)
        columns = ("payer", "payee", "kind", "month", "since")
        return replace(
            self,
            amount=np.bincount(row, self.amount, len(first)).astype(np.float64),
            quantity=np.bincount(row, self.quantity, len(first)).astype(np.float64),
            **{name: getattr(self, name)[first] for name in columns},
        )

    def received(self, rows: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Money received by each account in the chosen rows (all by default), USD, shape (accounts,)."""
        return self._sum_by(self.payee, rows)

    def paid(self, rows: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Money paid by each account in the chosen rows (all by default), USD, shape (accounts,)."""
        return self._sum_by(self.payer, rows)

    def _sum_by(self, account: NDArray[np.int32], rows: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        amount = self.amount if rows is None else np.where(rows, self.amount, 0.0)
        return np.bincount(account, weights=amount, minlength=len(self.accounts)).astype(np.float64)
