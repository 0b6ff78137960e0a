"""What is written down of every month."""

import math
from typing import TYPE_CHECKING

from agents.app import App
from agents.bounds import at_least
from agents.chipmaker import Chipmaker
from agents.cloud import Cloud
from agents.firm import TIERS, Firm, months_left
from agents.lab import Lab
from ecosystem.record import FIRM_FIELDS

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

_STREAMS = {s: f"rev_{s}" for s in ("subscriptions", "metered", "advertising", "api_calls", "commission")}
"""Streams of revenue of apps that have a field of their own; all others are `rev_other`."""
_SUPPLY = {"api": 0.0, "own": 1.0, "self_host": 2.0, "own_model": 3.0}


_COMMON = (
    "alive", "revenue", "cost_of_sales", "depreciation", "gross_profit", "research", "marketing", "operating_profit",
    "net_profit", "value_added", "capex", "cash", "runway", "equity_raised", "equity_value", "volume",
)  # fmt: skip
_CHIPMAKERS = ("capital", "price", "unit_cost", "lead_time", "orders")
_CLOUDS = ("capital", "debt", "price", "unit_cost", "service", "orders")
_LABS = (
    "price", "unit_cost", "service", "quality", "rev_tokens", "theoretical_revenue", "training", "all_in_cost",
    "final_run_cost", "training_hours", "in_war", "open_weights",
)  # fmt: skip
_APPS = (
    "price", "unit_cost", "service", "users", "payers", "churn", "queries", "ad_load", "trust", *_STREAMS.values(),
    "rev_other", "supply",
)  # fmt: skip


def record_month(chain: "ValueChain") -> None:
    """Record every firm and market."""
    month, record = chain.month, chain.recorder.firms_of_a_kind
    makers, clouds, labs, apps = chain.chipmakers, chain.clouds, chain.labs, chain.apps
    pooled = {group: months_left(*chain.pooled_funds(group)) for group in chain.pooled}
    record(month, "chips", makers, _COMMON + _CHIPMAKERS, [_common(f, pooled) + _chipmaker(f) for f in makers.values()])
    record(month, "clouds", clouds, _COMMON + _CLOUDS, [_common(f, pooled) + _cloud(f) for f in clouds.values()])
    record(month, "labs", labs, _COMMON + _LABS, [_common(f, pooled) + _lab(chain, f) for f in labs.values()])
    record(month, "apps", apps, _COMMON + _APPS, [_common(f, pooled) + _app(f) for f in apps.values()])
    for firm_id, own in chain.own.firms.items():
        values = dict.fromkeys(FIRM_FIELDS, 0.0) | dict(zip(_COMMON, _common(own, pooled), strict=True)) | _own(own)
        record(month, firm_id, [firm_id], tuple(values), [tuple(values.values())])
    for name, value in _markets(chain).items():
        chain.recorder.market(month, name, value)
    for name, value in chain.own.series():
        chain.recorder.market(month, name, value)
    chain.recorder.recorded = month + 1


def _common(firm: Firm, pooled: dict[str, float]) -> tuple[float, ...]:
    """Return the values of `_COMMON`; `pooled`: the runway of groups whose members stand in for each other."""
    books, cash = firm.books, firm.purse.cash
    runway = pooled[firm.group] if firm.group in pooled else months_left(cash, firm.burn)
    operating_profit = books.operating_profit
    return (
        firm.alive,
        books.revenue,
        books.cost_of_sales,
        books.depreciation,
        books.gross_profit,
        books.research + books.research_staff,
        books.marketing,
        operating_profit,
        operating_profit - books.interest - books.tax,
        operating_profit + books.depreciation + books.staff + books.research_staff,
        books.capex,
        cash,
        runway,
        firm.equity_raised,
        firm.value,
        firm.volume,
    )


def _chipmaker(firm: Chipmaker) -> tuple[float, ...]:
    """Return the values of `_CHIPMAKERS`."""
    home = firm.lines.get(firm.region) or next(iter(firm.lines.values()))
    return (
        firm.inventory_value + firm.tooling,
        home.price,
        home.unit_cost / home.perf,
        firm.lead_time,
        firm.orders.level,
    )


def _cloud(firm: Cloud) -> tuple[float, ...]:
    """Return the values of `_CLOUDS`."""
    return (firm.book_value, firm.debt, firm.rent, firm.user_cost, firm.utilisation, firm.ordered)


def _lab(chain: "ValueChain", firm: Lab) -> tuple[float, ...]:
    """Return the values of `_LABS`."""
    large = firm.models["large"]
    books = firm.books
    return (
        chain.blend(large.price),
        large.unit_cost,
        firm.service,
        large.quality,
        books.streams.get("tokens", 0.0),
        firm.theoretical_revenue,
        books.research,
        firm.all_in_cost,
        firm.final_run_cost,
        firm.training_hours,
        firm.in_war,
        firm.open_weights,
    )


def _app(firm: App) -> tuple[float, ...]:
    """Return the values of `_APPS`."""
    usage, streams = firm.usage, firm.books.streams
    return (
        max(firm.fees.values(), default=0.0),
        usage.cost_per_payer,
        firm.trust,
        usage.users,
        usage.payers,
        usage.paid_leavers / at_least(usage.payers + usage.paid_leavers, 1.0),
        usage.queries,
        firm.ad_load,
        firm.trust,
        *[streams.get(stream, 0.0) for stream in _STREAMS],
        math.fsum([amount for stream, amount in streams.items() if stream not in _STREAMS]),
        _SUPPLY[firm.supply.mode],
    )


def _own(firm: Firm) -> dict[str, float]:
    """Return what a firm of an own kind wants in the panel; KeyError for a field that there is not."""
    values = firm.record()
    if odd := sorted(values.keys() - FIRM_FIELDS.keys()):
        raise KeyError(f"{firm.agent_id}: the panel has no field {odd[0]!r}; there are {', '.join(FIRM_FIELDS)}")
    return values


def _markets(chain: "ValueChain") -> dict[str, float]:
    """Return the month's market series."""
    labs = chain.labs.values()
    result = {
        "sentiment": chain.sentiment,
        "frontier": chain.frontier,
        "open_frontier": chain.open_frontier,
        "tokens": math.fsum([lab.tokens for lab in labs]),
        "final_demand": chain.final_demand,
        "serving_hours": math.fsum([lab.hours_used for lab in labs]),
        "training_hours": math.fsum([lab.training_hours for lab in labs]),
        "fixed_quality_price": fixed_quality_price(chain),
    }
    for region in chain.spec.regions:
        clouds = [c for c in chain.clouds.values() if c.region == region and c.alive]
        capacity = math.fsum([c.capacity for c in clouds])
        sold = math.fsum([c.hours_sold for c in clouds])
        usages = [a.usage for a in chain.apps.values() if a.region == region]
        quote, outcome = chain.chips.quotes[region], chain.consumer_markets[region].outcome
        result[f"rent.{region}"] = chain.spot_rent(region)
        result[f"utilisation.{region}"] = sold / capacity if capacity > 0.0 else 0.0
        result[f"fleet.{region}"] = math.fsum([c.size for c in clouds])
        result[f"chip_price.{region}"] = quote.price
        result[f"lead_time.{region}"] = quote.lead_time
        result[f"cpm.{region}"] = chain.advertisers[region].cpm
        result[f"users.{region}"] = math.fsum([usage.users for usage in usages])
        result[f"payers.{region}"] = math.fsum([usage.payers for usage in usages])
        result[f"invested.{region}"] = chain.investors[region].invested
        result[f"fund.{region}"] = chain.ledger.cash(f"investors.{region}")
        result[f"surplus.{region}"] = outcome.surplus if outcome is not None else 0.0
    totals = chain.recorder.totals(chain.month, ("equity_value", "revenue", "operating_profit"))
    for tier in TIERS:
        result[f"value.{tier}"], result[f"revenue.{tier}"], result[f"profit.{tier}"] = totals[tier]
    for segment_id, segment in chain.enterprises.items():
        result[f"enterprise_volume.{segment_id}"] = segment.volume
        result[f"enterprise_price.{segment_id}"] = segment.mean_price()
        result[f"suppliers.{segment_id}"] = segment.suppliers_per_firm()
    return result


def fixed_quality_price(chain: "ValueChain", quality: float = 0.95) -> float:
    """Return the lowest price of a Mtok of enterprise traffic at the quality of early 2025, USD."""
    price = min(chain.tokens.lowest_price(region, quality) for region in chain.spec.regions)
    return price if price < math.inf else math.nan
