"""The value-chain network: who supplies whom with what, as a graph and as measures, read from the flows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ecosystem.flows import Flows

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TierAccount:
    """Cash accounts of one tier over the window, USD, transfers inside the tier included.

    `revenue`: operating receipts. `profit`: revenue less all payments that are neither capital spending nor
    financial (tax included); no depreciation. `revenue_share`: of all tiers' revenue. `profit_share`: profit
    over the sum of the profits of the tiers that have one, so negative for a tier that loses money.
    """

    revenue: float
    profit: float
    capital_spending: float
    revenue_share: float
    profit_share: float


@dataclass(frozen=True, slots=True)
class Dependence:
    """Largest partners of one firm.

    `buyer_share` is the largest buyer's share of the firm's operating revenue, `supplier_share` the largest
    supplying firm's share of all its payments that are not financial. The names are None and the shares 0
    without a partner.
    """

    buyer: str | None
    buyer_share: float
    supplier: str | None
    supplier_share: float


def value_chain_graph(flows: Flows, kinds: Iterable[str] | None = None) -> "nx.MultiDiGraph[str]":
    """Build the graph of a window, where an edge u -> v keyed by good says that u supplied v with it.

    `kinds` are the goods to draw; by default all that are sold and all funding (who funds supplies money).
    Nodes, firms and whoever trades with them, carry role, tier, region, group and revenue (operating, USD).
    Edges carry `value` (USD), `quantity` and `unit_price` (None where no quantity was given), `since` (month
    of the first trade), `internal` (inside a group), `share_of_revenue` (of u; None unless it is operating
    revenue), `share_of_cost` (of v's non-financial payments; None for financial kinds) and `returned`: for
    funding, what u sold to v in the window, USD (circular finance), otherwise None.
    """
    rows = flows.operating | flows.funding if kinds is None else flows.of_kinds(kinds)
    revenue, cost = flows.received(flows.operating), flows.paid(~flows.financial)
    sold = _sales(flows)
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for supplier, buyer, kind, value, quantity, since, internal in _trades(flows, rows):
        for i in (supplier, buyer):
            account = flows.accounts[i]
            graph.add_node(
                account.id,
                role=account.role,
                tier=account.tier,
                region=account.region,
                group=account.group,
                revenue=float(revenue[i]),
            )
        good = flows.kinds[kind]
        graph.add_edge(
            flows.accounts[supplier].id,
            flows.accounts[buyer].id,
            key=good.name,
            value=value,
            quantity=quantity,
            unit_price=value / quantity if quantity > 0.0 else None,
            since=since,
            internal=internal,
            share_of_revenue=value / float(revenue[supplier]) if good.operating else None,
            share_of_cost=value / float(cost[buyer]) if not good.financial else None,
            returned=sold.get((supplier, buyer), 0.0) if good.funding else None,
        )
    return graph


def layout(graph: "nx.MultiDiGraph[str]", tiers: Sequence[str | None]) -> dict[str, tuple[float, float]]:
    """Place the nodes in columns by tier, upstream first as given, and by falling revenue, for drawing.

    Return (x, y) in [0, 1]. Tiers that are not named come last, in the order in which they appear.
    """
    columns: dict[str | None, list[str]] = {tier: [] for tier in tiers}
    for node, data in graph.nodes(data=True):
        columns.setdefault(data["tier"], []).append(node)
    filled = [sorted(nodes, key=lambda n: (-graph.nodes[n]["revenue"], n)) for nodes in columns.values() if nodes]
    return {
        node: (x / max(len(filled) - 1, 1), 1.0 - (y + 0.5) / len(column))
        for x, column in enumerate(filled)
        for y, node in enumerate(column)
    }


def tier_accounts(flows: Flows) -> dict[str, TierAccount]:
    """Revenue, profit and capital spending of every tier of firms."""
    received = flows.received(flows.operating)
    running = flows.paid(~flows.capital & ~flows.financial)
    capital = flows.paid(flows.capital)
    members = _members(flows)
    revenue = {tier: float(received[index].sum()) for tier, index in members.items()}
    profit = {tier: revenue[tier] - float(running[index].sum()) for tier, index in members.items()}
    all_revenue = sum(revenue.values())
    all_profit = sum(max(value, 0.0) for value in profit.values())
    return {
        tier: TierAccount(
            revenue=revenue[tier],
            profit=profit[tier],
            capital_spending=float(capital[index].sum()),
            revenue_share=revenue[tier] / all_revenue if all_revenue > 0.0 else 0.0,
            profit_share=profit[tier] / all_profit if all_profit > 0.0 else 0.0,
        )
        for tier, index in members.items()
    }


def concentration(flows: Flows) -> dict[str, float]:
    """Herfindahl-Hirschman index of operating revenue, 1/n to 1, of every tier that has revenue."""
    received = flows.received(flows.operating)
    revenue = {tier: received[index] for tier, index in _members(flows).items()}
    return {
        tier: float(np.square(values / values.sum()).sum()) for tier, values in revenue.items() if values.sum() > 0.0
    }


def upstreamness(flows: Flows) -> dict[str, float]:
    """Mean number of sales between a firm and final use; 1 for a firm that sells to final users only.

    U = 1 + D U, where D[i, j] is the share of i's operating revenue that firm j pays (Antras, Chor, Fally
    and Hillberry 2012, without inventories); capital goods count as intermediate. Firms without sales are
    left out and count as final users; infinite for firms that sell into a loop that no final user pays.
    """
    revenue = flows.received(flows.operating)
    firm = np.array([account.role == "firm" for account in flows.accounts], dtype=np.bool_)
    seller = firm & (revenue > 0.0)
    index = np.flatnonzero(seller)
    place = np.zeros(len(flows.accounts), dtype=np.int64)
    place[index] = np.arange(len(index))
    rows = flows.operating & seller[flows.payer] & seller[flows.payee]
    share = np.zeros((len(index), len(index)))
    np.add.at(share, (place[flows.payee[rows]], place[flows.payer[rows]]), flows.amount[rows])
    share /= revenue[index][:, None]
    final = _reaching(share.sum(axis=1) < 1.0 - 1e-12, share)
    finite = ~_reaching(~final, share)
    value = np.full(len(index), inf)
    inside = np.flatnonzero(finite)
    value[inside] = np.linalg.solve(np.eye(len(inside)) - share[np.ix_(inside, inside)], np.ones(len(inside)))
    return {flows.accounts[i].id: u for i, u in zip(index.tolist(), value.tolist(), strict=True)}


def dependence(flows: Flows) -> dict[str, Dependence]:
    """Largest buyer and largest supplier of every firm, by id."""
    firm = np.array([account.role == "firm" for account in flows.accounts], dtype=np.bool_)
    buyers = _largest(flows, flows.operating, flows.payee, flows.payer)
    suppliers = _largest(flows, ~flows.financial & firm[flows.payee], flows.payer, flows.payee)
    revenue, cost = flows.received(flows.operating), flows.paid(~flows.financial)
    result: dict[str, Dependence] = {}
    for i in np.flatnonzero(firm).tolist():
        buyer, bought = buyers.get(i, (None, 0.0))
        supplier, supplied = suppliers.get(i, (None, 0.0))
        result[flows.accounts[i].id] = Dependence(
            buyer=None if buyer is None else flows.accounts[buyer].id,
            buyer_share=bought / float(revenue[i]) if bought > 0.0 else 0.0,
            supplier=None if supplier is None else flows.accounts[supplier].id,
            supplier_share=supplied / float(cost[i]) if supplied > 0.0 else 0.0,
        )
    return result


def _members(flows: Flows) -> dict[str, list[int]]:
    """Account numbers of the firms of every tier."""
    members: dict[str, list[int]] = {}
    for i, account in enumerate(flows.accounts):
        if account.role == "firm" and account.tier is not None:
            members.setdefault(account.tier, []).append(i)
    return members


def _reaching(target: Mask, share: Floats) -> Mask:
    """Firms whose sales reach a target, the targets included."""
    while True:
        wider = target | (share[:, target] > 0.0).any(axis=1)
        if (wider == target).all():
            return target
        target = wider


def _trades(flows: Flows, rows: Mask) -> list[tuple[int, int, int, float, float, int, bool]]:
    """Sum the paid rows over months: (supplier, buyer, kind, value, quantity, since, internal)."""
    rows = rows & (flows.amount > 0.0)
    supplier = np.where(flows.funding, flows.payer, flows.payee)[rows].astype(np.int64)
    buyer = np.where(flows.funding, flows.payee, flows.payer)[rows].astype(np.int64)
    accounts, kinds = len(flows.accounts), len(flows.kinds)
    code = (supplier * accounts + buyer) * kinds + flows.kind[rows]
    _, first, trade = np.unique(code, return_index=True, return_inverse=True)
    value = np.bincount(trade, flows.amount[rows])
    quantity = np.bincount(trade, flows.quantity[rows])
    columns = (supplier, buyer, flows.kind[rows], flows.since[rows], flows.internal[rows])
    sellers, buyers, kind, since, internal = (column[first].tolist() for column in columns)
    return list(zip(sellers, buyers, kind, value.tolist(), quantity.tolist(), since, internal, strict=True))


def _sales(flows: Flows) -> dict[tuple[int, int], float]:
    """Operating sales by (seller, buyer), USD."""
    sold: dict[tuple[int, int], float] = {}
    for seller, buyer, _, value, *_ in _trades(flows, flows.operating):
        sold[seller, buyer] = sold.get((seller, buyer), 0.0) + value
    return sold


def _largest(
    flows: Flows, rows: Mask, owner: NDArray[np.int32], partner: NDArray[np.int32]
) -> dict[int, tuple[int, float]]:
    """Every owner's partner with the largest sum of rows, and the sum, USD; the first account on a tie."""
    accounts = len(flows.accounts)
    code, pair = np.unique(owner[rows].astype(np.int64) * accounts + partner[rows], return_inverse=True)
    largest: dict[int, tuple[int, float]] = {}
    sums = np.bincount(pair, flows.amount[rows])
    for number, value in zip(code.tolist(), sums.tolist(), strict=True):
        own, other = divmod(number, accounts)
        if value > largest.get(own, (0, 0.0))[1]:
            largest[own] = (other, value)
    return largest
