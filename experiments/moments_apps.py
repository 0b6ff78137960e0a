"""Moments of apps: payers and free users, margins and quotas, ads, bought users, suppliers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.moments import Months, span
from experiments.outcomes import ratio

if TYPE_CHECKING:
    from agents.app import App
    from ecosystem.model import ValueChain

Floats = NDArray[np.float64]


def app_paid_share(chain: "ValueChain", app: str, months: Months = None) -> float:
    """Return payers over users of one app."""
    of, months_ = chain.recorder.of, span(chain, months)
    return ratio(float(of(app, "payers")[months_].mean()), float(of(app, "users")[months_].mean()))


def payer_intensity(chain: "ValueChain", app: str) -> float:
    """Return answered queries of a payer over those of a free user, in the last month."""
    usage = chain.apps[app].usage
    free = usage.users - usage.payers
    return ratio(usage.paid_queries / usage.payers, (usage.queries - usage.paid_queries) / free)


def quota_hit(chain: "ValueChain", app: str, tier: str) -> float:
    """Return the share of a tier's users who reach the quota, in the last month."""
    agent = chain.apps[app]
    market = chain.consumer_markets[agent.region]
    place = [each.name for each in agent.tiers].index(tier)
    return float(market.consumers.quota_hit()[market.slice(app)][place])


def median_churn(chain: "ValueChain", region: str, months: Months = None) -> float:
    """Return the monthly churn of payers, median over the apps of a region that have payers."""
    of, months_ = chain.recorder.of, span(chain, months)
    apps = [a for a, app in chain.apps.items() if app.region == region]
    found = [of(a, "churn")[months_][of(a, "payers")[months_] > 0.0] for a in apps]
    means = [float(path.mean()) for path in found if len(path) > 6]
    return float(np.median(means)) if means else math.nan


def loss_per_payer(chain: "ValueChain", app: str, months: Months = None) -> float:
    """Return cost of sales less revenue per payer, USD a month."""
    of, months_ = chain.recorder.of, span(chain, months)
    lost = of(app, "cost_of_sales")[months_].sum() - of(app, "revenue")[months_].sum()
    return float(lost / of(app, "payers")[months_].sum())


def over_revenue(chain: "ValueChain", app: str, what: str, months: Months = None) -> float:
    """Return a cost of an app over its revenue: "cost_of_sales", or "burn" (operating loss)."""
    of, months_ = chain.recorder.of, span(chain, months)
    part = of(app, "cost_of_sales") if what == "cost_of_sales" else -of(app, "operating_profit")
    return ratio(float(part[months_].sum()), float(of(app, "revenue")[months_].sum()))


def free_app_margin(chain: "ValueChain", share: float = 0.03) -> float:
    """Return operating profit over revenue of all apps of which fewer than `share` of the users pay."""
    results = _free_apps(chain, share)
    return ratio(math.fsum(profit for profit, _ in results), math.fsum(sold for _, sold in results))


def free_apps_losing(chain: "ValueChain", share: float = 0.03) -> float:
    """Return the share of those apps that lose money over the run."""
    results = _free_apps(chain, share)
    return ratio(float(sum(profit < 0.0 for profit, _ in results)), float(len(results)))


def _free_apps(chain: "ValueChain", share: float) -> list[tuple[float, float]]:
    """Return (operating profit, revenue) of the apps that have users and fewer payers than `share` of them."""
    found = []
    for app in chain.apps:
        users, payers, profit, sold = (
            float(chain.recorder.of(app, name).sum()) for name in ("users", "payers", "operating_profit", "revenue")
        )
        if users > 0.0 and payers < share * users:
            found.append((profit, sold))
    return found


def profitable_alone(chain: "ValueChain", app: str) -> float:
    """Return 1 where an app lives, earns an operating profit over the run and never raised money, else 0."""
    record = chain.recorder
    earned = float(record.of(app, "operating_profit").sum())
    return float(chain.apps[app].alive and earned > 0.0 and record.of(app, "equity_raised")[-1] <= 0.0)


# --- more users, more or less profit -----------------------------------------------------------------------------


def unit_economics(chain: "ValueChain", app: str) -> list[float]:
    """Return of the last month: users, payers, contribution (USD), and the paid share at which a user breaks even.

    Contribution is revenue less cost of sales; the break-even share is that at which a payer's fee less fees
    of the store and his own tokens covers the tokens of the free users beside him.
    """
    agent = chain.apps[app]
    usage, books = agent.usage, agent.books
    paid, free = _token_cost(chain, agent)
    terms = agent.ways["subscription"]
    net = books.streams.get("subscriptions", 0.0) * (1.0 - getattr(terms, "store_fee", 0.0)) / max(usage.payers, 1.0)
    free_user = free / max(usage.users - usage.payers, 1.0)
    payer = net - paid / max(usage.payers, 1.0)
    contribution = books.revenue - paid - free - (1.0 - net * usage.payers / max(books.revenue, 1.0)) * books.revenue
    return [usage.users, usage.payers, contribution, free_user / (payer + free_user) if payer > 0.0 else 99.0]


def _token_cost(chain: "ValueChain", app: "App") -> tuple[float, float]:
    """Return what tokens of paid and of free tiers cost an app that buys by API, USD, in the last month."""
    lab = chain.labs[app.supply.supplier]
    cost = {True: 0.0, False: 0.0}
    for (size, paid), mtok in chain.serving.app_tokens[app.agent_id].items():
        price = lab.models[size].price
        list_price = mtok[0] * price.input + mtok[1] * price.cached + mtok[2] * price.output
        cost[paid] += list_price * (lab.service if paid else lab.free_service)
    return cost[True], cost[False]


# --- ads ---------------------------------------------------------------------------------------------------------


def revenue_per_thousand(chain: "ValueChain", app: str) -> float:
    """Return advertising revenue per 1,000 queries of the free tier in the last month, USD."""
    usage = chain.apps[app].usage
    earned = float(chain.recorder.of(app, "rev_advertising")[-1])
    return 1000.0 * ratio(earned, usage.queries - usage.paid_queries)


def gross_profit_of(chain: "ValueChain", firms: Sequence[str], months: Months = None) -> float:
    """Return the gross profit of some firms together, USD."""
    return float(sum(chain.recorder.of(firm, "gross_profit")[span(chain, months)].sum() for firm in firms))


# --- make or buy -------------------------------------------------------------------------------------------------


def made_or_bought(chain: "ValueChain", prefix: str) -> list[list[float]]:
    """Return of the apps whose id begins so: Mtok and queries a month before any change, whether they integrated,
    whether they are alive; (apps, 4).
    """
    found = []
    for app_id, app in sorted(chain.apps.items()):
        if app_id.startswith(prefix):
            queries = float(chain.recorder.of(app_id, "queries")[0])
            mix = math.fsum(chain.tokens.app_mix(app)) / max(chain.token_growth, 1e-9) / 1e6
            pending = app.pending is not None and app.pending[1].mode in ("self_host", "own_model")
            integrated = app.integrated_in is not None or app.index_due is not None or pending
            found.append([queries * mix, queries, float(integrated), float(app.alive)])
    return found


def integrators_that_sell(chain: "ValueChain", prefix: str) -> float:
    """Return the share of the integrated apps whose id begins so that sell calls of their index (NaN: none)."""
    sells = [app.resells for name, app in chain.apps.items() if name.startswith(prefix) and app.integrated_in]
    return float(np.mean(sells)) if sells else math.nan


def quoted_threshold(chain: "ValueChain", app: str) -> float:
    """Return the Mtok a month from which making pays, by kernel, rent and list prices of the last month.

    Bisected on the costs that follow from kernel hours, rent and prices at each volume, not on the app's choice.
    """
    agent = chain.apps[app]
    spec = agent.spec
    once = {"api": 0.0, "self_host": 0.0, "own_model": spec.own_model_fixed}

    def pays(mtok: float) -> bool:
        worth = spec.quality_value * max(agent.smoothed_revenue, 0.0) * mtok / agent.usage.mtok
        costs = []
        quotes = chain.tokens.quotes(app, mtok)
        for (mode, supplier), cost, quality in zip(quotes.ways, quotes.cost, quotes.quality, strict=True):
            stays = mode == "api" and supplier == agent.supply.supplier
            one_off = 0.0 if stays else spec.switching_cost + once[mode]
            costs.append((float(cost) - worth * float(quality) + one_off / 12.0, mode))
        return min(costs)[1] != "api"

    low, high = 1.0, 1e12
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if pays(middle) else (middle, high)
    return high


def threshold_over_quoted(chain: "ValueChain", prefix: str) -> float:
    """Return the volume from which the apps whose id begins so self-host, over the one that quotes imply."""
    apps = made_or_bought(chain, prefix)
    making = [app[0] for app in apps if app[2] > 0.5]
    if not making:
        return math.nan
    buying = [app[0] for app in apps if app[2] < 0.5 and app[0] < min(making)]
    found = math.sqrt(max(buying) * min(making)) if buying else min(making)
    example = next(a for a in sorted(chain.apps) if a.startswith(prefix) and chain.apps[a].pending is None)
    return found / quoted_threshold(chain, example)
