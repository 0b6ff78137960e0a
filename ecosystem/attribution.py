"""Follow the dollar: in whose hands the money of each source ends, and how much of a tier final demand pays.

Money is coloured by its source and mixes in every firm's account: each dollar that a firm pays has the
colours of all the money it had in the window. A firm's money is what it received or, if that is more, what
it paid; the difference is old cash that it drew down, a source of its own. What it did not pay out, it
retained. This is an absorbing Markov chain (Kemeny and Snell 1960, ch. 3) whose transient states are the
firms and whose absorbing states are the payments that leave the firms and the cash they retain; capital
spending passes money on like any other payment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ecosystem.flows import Account, Flows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Definition = Literal["services", "on_premise", "own_use"]
Finality = Mapping[tuple[str, str], Definition]
"""Which payments of sources are final demand: (source, kind) -> the narrowest definition that counts it.

A source is named by the tier of its account, or by its id where it has no tier. Pairs that are left out are
never final.
"""

DEFINITIONS: tuple[Definition, ...] = ("services", "on_premise", "own_use")
"""Definitions of final demand from narrow to wide: AI services; and on-premise; and the parents' own use."""

OPENING_CASH = "opening cash"
RETAINED = "retained"
DIRECT = "direct"
INTEGRATED = "integrated"

KEPT = frozenset({RETAINED, "dividends", "tax"})
"""Where money ends that a tier kept for itself, its owners, or the state's share of its profit."""

_DUST = 1e-12
"""A cash draw below this share of a firm's payments is rounding."""


def label(account: Account) -> str:
    """Name an account in the tables: its tier, or its id where it has none."""
    return account.tier or account.id


@dataclass(frozen=True, slots=True)
class DollarTable:
    """Where one dollar of each source ends.

    `sources`: (source, kind of its payment), or ("opening cash", tier that drew it down). `ends`: (tier,
    kind) of the payment that left the firms, or (tier, "retained"); ("direct", kind) for what a source
    paid into a sink. `share`: shape (sources, ends), rows sum to 1. `dollars`: shape (sources,), what
    each source put in, USD.
    """

    sources: tuple[tuple[str, str], ...]
    ends: tuple[tuple[str, str], ...]
    share: Floats
    dollars: Floats

    def by_source(self) -> "DollarTable":
        """Merge the rows of one source; the kinds of its payments become ''."""
        names = list(dict.fromkeys(name for name, _ in self.sources))
        merge = np.array([[float(name == source) for source, _ in self.sources] for name in names])
        merge = merge.reshape(len(names), len(self.sources))
        dollars = merge @ self.dollars
        share = (merge * self.dollars) @ self.share / np.maximum(dollars, np.finfo(float).tiny)[:, None]
        return DollarTable(tuple((name, "") for name in names), self.ends, share, dollars)

    def of_final_dollar(self, final: Finality, definition: Definition = "services") -> dict[tuple[str, str], float]:
        """Split one dollar of final demand over the ends, in cents; all zero without final demand."""
        weight = self.dollars * _is_final(self.sources, final, definition)
        total = weight.sum()
        cents = 100.0 * (weight @ self.share) / total if total > 0.0 else np.zeros(len(self.ends))
        return dict(zip(self.ends, cents.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Cover:
    """Who pays a tier, through the chain.

    `total`: the tier's money or revenue, USD. `services`, `with_on_premise`, `with_own_use`: shares that
    final demand covers under the three definitions. `others`: shares by source of all that is not
    final.
    """

    total: float
    services: float
    with_on_premise: float
    with_own_use: float
    others: dict[str, float]


@dataclass(frozen=True, slots=True)
class Coloured:
    """The coloured accounts of a window: F nodes (firms or groups) and S sources.

    `pool` (F,): a node's money, USD; `retained` (F,): what it did not pay out; `colour` (F, S): share of
    each source in it. `dollars` (S,): what each source put in, USD. `node` (accounts,): the node of
    each account, -1 outside the firms. `source` (rows,): the source of a row that a source paid, -1
    otherwise. `rows` (rows,): the rows that count, which leaves out payments between sources and inside
    a node.
    """

    names: tuple[str, ...]
    tiers: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]
    pool: Floats
    retained: Floats
    colour: Floats
    dollars: Floats
    node: Ints
    source: Ints
    rows: NDArray[np.bool_]


def follow_the_dollar(
    flows: Flows, *, consolidate: bool = False, by_firm: bool = False, coloured: Coloured | None = None
) -> DollarTable:
    """Attribute every dollar that sources put in to where it ends.

    `consolidate` merges the firms of a group into one and drops their internal transfers; a group that spans
    tiers is of tier "integrated". `by_firm` puts firms (or groups) in the place of tiers. `coloured`: what `colour`
    returned for the same, where it was asked before.
    """
    chain = coloured or colour(flows, consolidate=consolidate)
    owner = chain.names if by_firm else chain.tiers
    payer = chain.node[flows.payer]
    leaves = chain.rows & (chain.node[flows.payee] < 0)
    end, keys = _ends(flows, payer, leaves, owner)
    held = np.array([keys.setdefault((name, RETAINED), len(keys)) for name in owner], dtype=np.int64)

    outflow = _matrix(payer, end, flows.amount, leaves & (payer >= 0), (len(owner), len(keys)))
    outflow[np.arange(len(owner)), held] += chain.retained
    shape = (len(chain.sources), len(keys))
    dollars = chain.colour.T @ outflow
    dollars += _matrix(chain.source, end, flows.amount, leaves & (payer < 0), shape)
    return DollarTable(chain.sources, tuple(keys), dollars / chain.dollars[:, None], chain.dollars)


def cents_per_final_dollar(
    flows: Flows,
    final: Finality,
    definition: Definition = "services",
    *,
    consolidate: bool = False,
    coloured: Coloured | None = None,
) -> dict[str, float]:
    """Cents of a dollar of final demand that each tier keeps.

    Kept is the cash that the tier's firms retain, and what they pay out to their owners (dividends,
    buy-backs) or as tax on their profit. The rest of the dollar passes through: to staff, wafers,
    power, lenders and so on.
    """
    table = follow_the_dollar(flows, consolidate=consolidate, coloured=coloured)
    cents: dict[str, float] = {}
    for (tier, end), value in table.of_final_dollar(final, definition).items():
        cents[tier] = cents.get(tier, 0.0) + (value if end in KEPT else 0.0)
    return cents


def final_demand_cover(
    flows: Flows,
    final: Finality,
    *,
    of: Literal["money", "revenue"] = "money",
    consolidate: bool = False,
    coloured: Coloured | None = None,
) -> dict[str, Cover]:
    """Share of each tier that final demand pays through the chain, against all other sources.

    `of="money"`: of all the tier's money, funding and drawn-down cash included, which says how far the tier's
    spending stands on final demand. `of="revenue"`: of its operating revenue, whose colours are those of the
    buyers' money. Tiers with nothing in the window are left out.
    """
    chain = coloured or colour(flows, consolidate=consolidate)
    tiers = tuple(dict.fromkeys(chain.tiers))
    member = np.array([[float(tier == own) for own in chain.tiers] for tier in tiers])
    member = member.reshape(len(tiers), len(chain.tiers))
    if of == "money":
        dollars = member @ (chain.pool[:, None] * chain.colour)
    else:
        dollars = member @ _coloured_revenue(flows, chain)
    return {
        tier: _cover(chain.sources, by_source, final)
        for tier, by_source in zip(tiers, dollars, strict=True)
        if by_source.sum() > 0.0
    }


def _cover(sources: tuple[tuple[str, str], ...], dollars: Floats, final: Finality) -> Cover:
    """Sum up what the sources pay of a tier, USD by source."""
    total = float(dollars.sum())
    share = dollars / total
    services, with_on_premise, with_own_use = (
        float(share[_is_final(sources, final, definition)].sum()) for definition in DEFINITIONS
    )
    others: dict[str, float] = {}
    for source, value in zip(sources, share.tolist(), strict=True):
        if source not in final and value > 0.0:
            others[source[0]] = others.get(source[0], 0.0) + value
    return Cover(total, services, with_on_premise, with_own_use, others)


def _is_final(sources: Iterable[tuple[str, str]], final: Finality, definition: Definition) -> NDArray[np.bool_]:
    """Which sources are final under a definition."""
    wide = DEFINITIONS[: DEFINITIONS.index(definition) + 1]
    return np.array([final.get(source) in wide for source in sources], dtype=np.bool_)


def _coloured_revenue(flows: Flows, chain: Coloured) -> Floats:
    """Operating revenue of each node by source, USD, shape (F, S)."""
    payer, payee = chain.node[flows.payer], chain.node[flows.payee]
    sales = chain.rows & flows.operating & (payee >= 0)
    shape = (len(chain.pool), len(chain.sources))
    direct = _matrix(payee, chain.source, flows.amount, sales & (payer < 0), shape)
    between = _matrix(payee, payer, flows.amount, sales & (payer >= 0), (shape[0], shape[0]))
    return direct + between @ chain.colour


def colour(flows: Flows, *, consolidate: bool = False) -> Coloured:
    """Mix the money of the window: solve pool x colour = injected + (payments between nodes)' x colour."""
    node, names, tiers = _nodes(flows, consolidate)
    count = len(names)
    payer, payee = node[flows.payer], node[flows.payee]
    firm_pays, firm_gets = payer >= 0, payee >= 0
    sink = np.array([account.role == "sink" for account in flows.accounts], dtype=np.bool_)[flows.payee]
    rows = (flows.amount > 0.0) & np.where(firm_pays, payer != payee, firm_gets | sink)
    source, pairs = _sources(flows, rows & ~firm_pays)

    between = _matrix(payer, payee, flows.amount, rows & firm_pays & firm_gets, (count, count))
    paid = np.bincount(payer[rows & firm_pays], flows.amount[rows & firm_pays], count)
    received = np.bincount(payee[rows & firm_gets], flows.amount[rows & firm_gets], count)
    drawn = np.where(paid - received > _DUST * paid, paid - received, 0.0)
    pool = np.maximum(received, paid)

    old = tuple(dict.fromkeys((OPENING_CASH, tiers[i]) for i in np.flatnonzero(drawn).tolist()))
    sources = (*pairs, *old)
    injected = _matrix(payee, source, flows.amount, rows & ~firm_pays & firm_gets, (count, len(sources)))
    dollars = np.bincount(source[source >= 0], flows.amount[source >= 0], len(sources)).astype(np.float64)
    for i in np.flatnonzero(drawn).tolist():
        injected[i, sources.index((OPENING_CASH, tiers[i]))] += drawn[i]
        dollars[sources.index((OPENING_CASH, tiers[i]))] += drawn[i]

    mixed = np.zeros_like(injected)
    reached = _reached(injected.sum(axis=1) > 0.0, between)
    system = np.diag(pool[reached]) - between[np.ix_(reached, reached)].T
    mixed[reached] = np.linalg.solve(system, injected[reached])
    retained = np.maximum(received - paid, 0.0)
    return Coloured(names, tiers, sources, pool, retained, mixed, dollars, node, source, rows)


def _nodes(flows: Flows, consolidate: bool) -> tuple[Ints, tuple[str, ...], tuple[str, ...]]:
    """Return the node of every account (-1 for sources and sinks), and the nodes' names and tiers."""
    order: dict[tuple[bool, str], int] = {}
    tiers: list[str] = []
    node = np.full(len(flows.accounts), -1, dtype=np.int64)
    for i, account in enumerate(flows.accounts):
        if account.role != "firm":
            continue
        merged = consolidate and account.group is not None
        name = account.group if merged and account.group else account.id
        node[i] = order.setdefault((merged, name), len(order))
        if node[i] == len(tiers):
            tiers.append(label(account))
        elif tiers[node[i]] != label(account):
            tiers[node[i]] = INTEGRATED
    return node, tuple(name for _, name in order), tuple(tiers)


def _sources(flows: Flows, rows: NDArray[np.bool_]) -> tuple[Ints, tuple[tuple[str, str], ...]]:
    """Return the source of every row (-1 where no source pays) and the sources as (source, kind)."""
    source = np.full(len(flows.amount), -1, dtype=np.int64)
    kinds = len(flows.kinds)
    codes, inverse = np.unique(flows.payer[rows].astype(np.int64) * kinds + flows.kind[rows], return_inverse=True)
    order: dict[tuple[str, str], int] = {}
    number = [
        order.setdefault((label(flows.accounts[code // kinds]), flows.kinds[code % kinds].name), len(order))
        for code in codes.tolist()
    ]
    source[rows] = np.array(number, dtype=np.int64)[inverse]
    return source, tuple(order)


def _ends(
    flows: Flows, payer: Ints, leaves: NDArray[np.bool_], owner: tuple[str, ...]
) -> tuple[Ints, dict[tuple[str, str], int]]:
    """Number the (payer's tier or firm, kind) of the rows that leave the firms."""
    kinds = len(flows.kinds)
    codes, inverse = np.unique((payer[leaves] + 1) * kinds + flows.kind[leaves], return_inverse=True)
    keys: dict[tuple[str, str], int] = {}
    names = (DIRECT, *owner)
    number = [
        keys.setdefault((names[code // kinds], flows.kinds[code % kinds].name), len(keys)) for code in codes.tolist()
    ]
    end = np.zeros(len(payer), dtype=np.int64)
    end[leaves] = np.array(number, dtype=np.int64)[inverse]
    return end, keys


def _reached(start: NDArray[np.bool_], between: Floats) -> Ints:
    """Nodes that money of a source reaches; a loop that nothing enters would make the system singular."""
    reached, links = start.copy(), between > 0.0
    while True:
        wider = reached | links[reached].any(axis=0)
        if (wider == reached).all():
            return np.flatnonzero(reached)
        reached = wider


def _matrix(row: Ints, column: Ints, amount: Floats, chosen: NDArray[np.bool_], shape: tuple[int, int]) -> Floats:
    """Sum the chosen amounts into a matrix."""
    flat = row[chosen] * shape[1] + column[chosen]
    return np.bincount(flat, amount[chosen], shape[0] * shape[1]).reshape(shape).astype(np.float64)
