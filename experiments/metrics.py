"""Metrics that claims are tested on: named functions over a finished model, never code in a claim file.

A metric takes the finished model and arguments from the claim, and returns one number per run (NaN where it has
no meaning), or a pair (early, late). To add one, write it here and decorate it with `metric`, or with `yes_or_no`.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.errors import UserError
from experiments.outcomes import TIER_ORDER, WINDOW, mean, ratio

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

Floats = NDArray[np.float64]
Value = float | tuple[float, float]

METRICS: dict[str, Callable[..., Value]] = {}
"""All metrics by name."""
YES_OR_NO: set[str] = set()
"""Metrics whose value is 1 or 0: claims ask for the share of replicates in which they say yes."""
UPSTREAM, DOWNSTREAM = ("chips", "clouds"), ("labs", "apps")


def metric(function: Callable[..., Value]) -> Callable[..., Value]:
    """Register a metric under its own name."""
    METRICS[function.__name__] = function
    return function


def yes_or_no(function: Callable[..., Value]) -> Callable[..., Value]:
    """Register a metric that says 1 for yes and 0 for no."""
    YES_OR_NO.add(function.__name__)
    return metric(function)


def evaluate(chain: "ValueChain", asked: Sequence[tuple[str, tuple[tuple[str, Any], ...]]]) -> list[Value]:
    """Return what each (metric, arguments) says of a finished run."""
    return [METRICS[name](chain, **dict(arguments)) for name, arguments in asked]


def span(chain: "ValueChain", start: int | None, months: int) -> slice:
    """Return `months` months from `start`, or the last ones."""
    first = max(chain.month - months, 0) if start is None else start
    return slice(first, min(first + months, chain.month))


# --- who earns ---------------------------------------------------------------------------------------------------


@metric
def upstream_lead(chain: "ValueChain", measure: str, start: int | None = None, months: int = WINDOW) -> float:
    """Return chips and clouds together less labs and apps together, by one of three measures.

    "value_added": operating profit over value added, kept in [-1, 1] (a tier that spends more on inputs than it
    sells scores -1). "capital": operating profit a year over plant, stocks and cash, kept in [-1, 1]. "cents":
    cents of a final dollar of AI services that stay.
    """
    window = span(chain, start, months)
    if measure == "cents":
        return _sum(_cents(chain, window), UPSTREAM) - _sum(_cents(chain, window), DOWNSTREAM)
    return _return(chain, UPSTREAM, measure, window) - _return(chain, DOWNSTREAM, measure, window)


@metric
def tier_cents(chain: "ValueChain", tier: str) -> float:
    """Return the cents of a final dollar of AI services that stay with a tier, last year."""
    return _cents(chain, span(chain, None, WINDOW)).get(tier, 0.0)


@metric
def lowest_margin(chain: "ValueChain", tier: str, start: int, months: int, quarter: int = 3) -> float:
    """Return the lowest gross margin of a tier in any `quarter` months on end of a window."""
    window = span(chain, start, months)
    profit, revenue = (
        np.convolve(_tiers(chain, (tier,), name)[window], np.ones(quarter), mode="valid")
        for name in ("gross_profit", "revenue")
    )
    return float(np.min(profit[revenue > 0.0] / revenue[revenue > 0.0])) if np.any(revenue > 0.0) else math.nan


@metric
def tier_sum(
    chain: "ValueChain", tier: str, field: str = "revenue", start: int | None = None, months: int = WINDOW
) -> float:
    """Return a field of the panel summed over a tier, mean of the months."""
    return float(_tiers(chain, (tier,), field)[span(chain, start, months)].mean())


# --- apps and their users -------------------------------------------------------------------------------------------


@metric
def app_mean(chain: "ValueChain", app: str, field: str, start: int | None = None, months: int = WINDOW) -> float:
    """Return a field of the panel of one app, mean of the months."""
    return mean(chain.recorder.of(app, field)[span(chain, start, months)])


@metric
def app_margin(
    chain: "ValueChain", app: str, profit: str = "gross_profit", start: int | None = None, months: int = WINDOW
) -> float:
    """Return a kind of profit of one app over its revenue."""
    window = span(chain, start, months)
    return ratio(*(float(chain.recorder.of(app, name)[window].sum()) for name in (profit, "revenue")))


@metric
def app_at(chain: "ValueChain", app: str, field: str, early: int, late: int, log: bool = False) -> tuple[float, float]:
    """Return a field of one app in two months, or its logarithm."""
    values = chain.recorder.of(app, field)[[early, late]].tolist()
    if log:
        values = [math.log(value) if value > 0.0 else math.nan for value in values]
    return (values[0], values[1])


@metric
def payers_use(chain: "ValueChain", app: str) -> float:
    """Return queries per payer over queries per free user, last month."""
    usage = chain.apps[app].usage
    free = usage.users - usage.payers
    if usage.payers <= 0.0 or free <= 0.0 or usage.queries <= usage.paid_queries:
        return math.nan
    return (usage.paid_queries / usage.payers) / ((usage.queries - usage.paid_queries) / free)


@yes_or_no
def only_the_large_builds(chain: "ValueChain", large: str, small: str) -> float:
    """Return 1 where a large app makes what it bought before (index, hosting, model) and a small one does not."""
    return float(chain.apps[large].integrated_in is not None and chain.apps[small].integrated_in is None)


@yes_or_no
def first_to_earn(chain: "ValueChain", category: str, others: Sequence[str], users: float = 1e6) -> float:
    """Return 1 where an app of `category` is the first to earn: operating profit over three months on end.

    Apps that begin with fewer `users`, or without a free tier, are no super-apps and do not count. 0 where none of
    any category ever earns.
    """
    return float(_first_profit(chain, (category,), users) < _first_profit(chain, tuple(others), users))


# --- markets -----------------------------------------------------------------------------------------------------


@metric
def series_mean(chain: "ValueChain", name: str, start: int | None = None, months: int = WINDOW) -> float:
    """Return a market series, mean of the months."""
    if name not in chain.recorder.series:
        raise UserError(f"arguments.name: there is no series {name!r}; there are {', '.join(chain.recorder.series)}")
    return mean(chain.recorder.series[name][span(chain, start, months)])


@metric
def hours_sold(chain: "ValueChain", start: int | None = None, months: int = WINDOW) -> float:
    """Return H100-equivalent hours that clouds sold a month: all compute, whoever uses it."""
    return float(_tiers(chain, ("clouds",), "volume")[span(chain, start, months)].mean())


@metric
def order_variance(chain: "ValueChain", of: str = "chips", start: int = 3) -> float:
    """Return var(d log orders) of a tier over var(d log final demand)."""
    orders = _tiers(chain, (of,), "orders" if of != "apps" else "revenue")[start:]
    demand = chain.recorder.series["final_demand"][start : chain.month]
    if np.any(orders <= 0.0) or np.any(demand <= 0.0):
        return math.nan
    moved = float(np.var(np.diff(np.log(demand))))
    return float(np.var(np.diff(np.log(orders)))) / moved if moved > 0.0 else math.nan


@metric
def reaction_gap(chain: "ValueChain", upper: str, lower: str) -> float:
    """Return the response of equity to the last efficiency news in one tier less another, weighted by value."""
    if not chain.equity.reaction:
        return math.nan
    return _reaction(chain, upper) - _reaction(chain, lower)


@yes_or_no
def hosts_below_owner(chain: "ValueChain", lab: str) -> float:
    """Return 1 where half or more of the hosts of a lab's open model earn a unit margin below the owner's, or gave up.

    NaN where nobody hosts it.
    """
    owner = chain.labs[lab]
    found = []
    for cloud in chain.clouds.values():
        host = cloud.hosted.get(lab)
        if host is None or host.unit_cost <= 0.0:
            continue
        model = owner.models[host.spec.model]
        price = model.opening_blend * host.scale
        own = 1.0 - model.unit_cost / chain.blend(model.price)
        found.append(float(host.losses >= host.spec.patience or 1.0 - host.unit_cost / price < own))
    return float(np.mean(found) >= 0.5) if found else math.nan


# --- helpers -----------------------------------------------------------------------------------------------------


def _tiers(chain: "ValueChain", tiers: Sequence[str], field: str) -> Floats:
    total: Floats = np.sum([chain.recorder.tier(chain, tier, field) for tier in tiers], axis=0)
    return total


def _return(chain: "ValueChain", tiers: Sequence[str], measure: str, window: slice) -> float:
    profit = float(_tiers(chain, tiers, "operating_profit")[window].sum())
    if measure == "value_added":
        base = float(_tiers(chain, tiers, "value_added")[window].sum())
    elif measure == "capital":
        held = _tiers(chain, tiers, "capital") + _tiers(chain, tiers, "cash")
        base = float(held[window].mean()) * (window.stop - window.start) / 12.0
    else:
        raise ValueError(f"unknown measure {measure!r}; known: value_added, capital, cents")
    if base <= 0.0:
        return -1.0 if profit < 0.0 else 1.0
    return min(max(profit / base, -1.0), 1.0)


def _cents(chain: "ValueChain", window: slice) -> dict[str, float]:
    from ecosystem.accounts import finality
    from ecosystem.attribution import cents_per_final_dollar

    flows = chain.ledger.flows(window.start, window.stop - 1)
    return cents_per_final_dollar(flows, finality())


def _sum(values: dict[str, float], tiers: Sequence[str]) -> float:
    return math.fsum(values.get(tier, 0.0) for tier in tiers)


def _first_profit(chain: "ValueChain", categories: Sequence[str], users: float) -> float:
    """Return the month from which an app of some categories first earned three months on end, infinity for none."""
    first = math.inf
    for app_id, app in chain.apps.items():
        free = not all(tier.paid for tier in app.tiers)
        if app.spec.category not in categories or not free or app.spec.users < users:
            continue
        profit = chain.recorder.of(app_id, "operating_profit") > 0.0
        streak = profit[:-2] & profit[1:-1] & profit[2:]
        if streak.any():
            first = min(first, float(np.argmax(streak)))
    return first


def _reaction(chain: "ValueChain", tier: str) -> float:
    reaction = chain.equity.reaction
    held = [(firm.value, reaction[i]) for i, firm in chain.firms.items() if firm.tier == tier and i in reaction]
    total = math.fsum(value for value, _ in held)
    return math.fsum(value * change for value, change in held) / total if total > 0.0 else math.nan


assert set(UPSTREAM + DOWNSTREAM) == set(TIER_ORDER)
