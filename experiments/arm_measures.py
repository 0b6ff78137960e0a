"""What is kept of one run of a monetisation experiment: figures of each app, and who earns among its users."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from experiments.outcomes import WINDOW, mean, ratio

if TYPE_CHECKING:
    from agents.app import App
    from ecosystem.model import ValueChain

Floats = NDArray[np.float64]

UNITS: dict[str, str] = {
    "users": "people",
    "paid_share": "share of users",
    "churn": "share of payers a month",
    "subscriptions": "USD/month",
    "advertising": "USD/month",
    "api_calls": "USD/month",
    "commission": "USD/month",
    "other": "USD/month",
    "revenue": "USD/month",
    "compute_cost": "USD/month",
    "gross_margin": "share of revenue",
    "operating_profit": "USD/month",
    "operating_margin": "share of revenue",
    "profit_per_user": "USD/user/month",
    "total_profit": "USD over the run",
    "break_even_paid_share": "share of users",
    "runway": "months at the end",
    "trust": "1 at the opening",
    "survived": "share of runs",
    "surplus": "USD/month in the region",
    "labs_revenue": "USD/month",
    "chips_revenue": "USD/month",
}
"""Outcomes of an arm and their units: means over the last year of the run unless said."""

DECILE_FIGURES = ("users", "payers", "queries", "revenue", "compute_cost")
"""Rows of the table by decile of appetite, of the last month."""


BreakEven = Literal["yes", "no", "open"]


def breaks_even(low: float, high: float, survived: float) -> BreakEven:
    """Say whether a way of earning breaks even, by the interval of its operating profit a month.

    Yes where all of it lies above zero, no where it lies below or the app fails in most replicates, else open.
    """
    if survived < 0.5 or high < 0.0:
        return "no"
    return "yes" if low > 0.0 else "open"


def measure(chain: "ValueChain", apps: Sequence[str]) -> dict[str, Any]:
    """Return of each app its outcomes, and the same by decile of appetite: (figures, 10)."""
    compute = _compute_cost(chain, apps)
    return {app: (_outcomes(chain, app, compute[app]), _deciles(chain, app, compute[app])) for app in apps}


def _outcomes(chain: "ValueChain", app: str, compute: Floats) -> dict[str, float]:
    record, last = chain.recorder, slice(max(chain.month - WINDOW, 0), chain.month)

    def of(name: str) -> float:
        return mean(record.of(app, name)[last])

    users, payers, revenue = of("users"), of("payers"), of("revenue")
    profit = of("operating_profit")
    return {
        "users": users,
        "paid_share": ratio(payers, users),
        "churn": of("churn"),
        "subscriptions": of("rev_subscriptions") + of("rev_metered"),
        "advertising": of("rev_advertising"),
        "api_calls": of("rev_api_calls"),
        "commission": of("rev_commission"),
        "other": of("rev_other"),
        "revenue": revenue,
        "compute_cost": float(compute[last].mean()),
        "gross_margin": ratio(of("gross_profit"), revenue),
        "operating_profit": profit,
        "operating_margin": ratio(profit, revenue),
        "profit_per_user": ratio(profit, users),
        "total_profit": float(record.of(app, "operating_profit").sum()),
        "break_even_paid_share": _break_even(chain, app, users, payers, profit, float(compute[-1])),
        "runway": float(record.of(app, "runway")[-1]),
        "trust": float(record.of(app, "trust")[-1]),
        "survived": float(record.of(app, "alive")[-1]),
        "surplus": mean(record.series[f"surplus.{chain.apps[app].region}"][last]),
        "labs_revenue": float(record.tier(chain, "labs", "revenue")[last].mean()),
        "chips_revenue": float(record.tier(chain, "chips", "revenue")[last].mean()),
    }


def _break_even(chain: "ValueChain", app: str, users: float, payers: float, profit: float, compute: float) -> float:
    """Return the paid share at which the app would break even, its users and all else as they are.

    Each further payer brings the fee less the store's share, and costs what a payer's answers cost more than a
    free user's. NaN without payers, or where a payer brings less than he costs.
    """
    agent = chain.apps[app]
    usage = agent.usage
    if payers <= 0.0 or usage.payers <= 0.0 or not agent.alive:
        return math.nan
    for_payers, for_free = _split(chain, agent, compute)
    extra = for_payers / usage.payers - for_free / max(usage.users - usage.payers, 1.0)
    fees = agent.books.streams.get("subscriptions", 0.0) + agent.books.streams.get("metered", 0.0)
    terms = agent.ways.get("subscription")
    gain = fees / usage.payers * (1.0 - getattr(terms, "store_fee", 0.0)) - extra
    return max(payers / users - profit / users / gain, 0.0) if gain > 0.0 else math.nan


def _compute_cost(chain: "ValueChain", apps: Sequence[str]) -> dict[str, Floats]:
    """Return what each app paid for tokens and hours, USD by month."""
    flows = chain.ledger.flows()
    bought = flows.of_kinds(["tokens", "hours"])
    place = {account.id: i for i, account in enumerate(flows.accounts)}
    costs = {}
    for app in apps:
        rows = bought & (flows.payer == place[app])
        costs[app] = np.bincount(flows.month[rows], flows.amount[rows], chain.month).astype(np.float64)
    return costs


def _weights(chain: "ValueChain", app: "App") -> list[float]:
    """Return what a query of each tier costs over one of the small model at the app's usual length."""
    mix = chain.tokens.app_mix(app)
    price = {}
    for size in ("large", "small"):
        lab = chain.labs[app.supply.supplier]
        if app.supply.mode == "own_model":
            price[size] = 1.0
        elif app.supply.mode == "api":
            price[size] = lab.models[size].price.blend(mix)
        else:
            price[size] = chain.token_cost(lab.agent_id, size)
    return [tier.tokens * price[tier.model] / price["small"] for tier in app.tiers]


def _split(chain: "ValueChain", app: "App", cost: float) -> tuple[float, float]:
    """Split the month's compute cost over payers and free users by what their queries weigh."""
    weighed = [q * w for q, w in zip(chain.consumer_queries(app.agent_id), _weights(chain, app), strict=True)]
    paid = math.fsum(w for w, tier in zip(weighed, app.tiers, strict=True) if tier.paid)
    total = math.fsum(weighed)
    share = paid / total if total > 0.0 else 0.0
    return cost * share, cost * (1.0 - share)


def _deciles(chain: "ValueChain", app: str, compute: Floats) -> Floats:
    """Return the last month's figures by decile of the rank of appetite among all people, (figures, 10)."""
    agent = chain.apps[app]
    market = chain.consumer_markets[agent.region]
    table = market.consumers.usage_table()
    part = market.slice(app)
    users, queries = table.users[:, part], table.queries[:, part]
    paid = np.array([tier.paid for tier in agent.tiers])
    fees = np.array([agent.fees[tier.name] for tier in agent.tiers]) * paid
    streams, ads = agent.books.streams, agent.ways.get("ads")
    shown = np.where(paid & bool(getattr(ads, "free_only", True)), 0.0, 1.0)
    revenue = _spread(users * fees, streams.get("subscriptions", 0.0))
    revenue += _spread(queries * paid, streams.get("metered", 0.0))
    revenue += _spread(queries * shown, streams.get("advertising", 0.0))
    own_ways = float(chain.recorder.of(app, "rev_other")[-1])
    revenue += _spread(queries, streams.get("commission", 0.0) + own_ways)
    cost = _spread(queries * np.array(_weights(chain, agent)), float(compute[-1]))
    return np.array([users.sum(axis=1), (users * paid).sum(axis=1), queries.sum(axis=1), revenue, cost])


def _spread(key: Floats, amount: float) -> Floats:
    """Spread an amount over the rows of a key (10, tiers)."""
    total = float(key.sum())
    spread: Floats = key.sum(axis=1) * (amount / total if total > 0.0 else 0.0)
    return spread
