"""What is written down of every month."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from agents.app import App
from agents.chipmaker import Chipmaker
from agents.cloud import Cloud
from agents.firm import TIERS, Firm
from agents.lab import Lab
from ecosystem.record import FIRM_FIELDS

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

_STREAMS = {s: f"rev_{s}" for s in ("subscriptions", "metered", "advertising", "api_calls", "commission")}
"""Streams of revenue of apps that have a field of their own; all others are `rev_other`."""
_SUPPLY = {"api": 0.0, "own": 1.0, "self_host": 2.0, "own_model": 3.0}


def record_month(chain: "ValueChain") -> None:
    """Record every firm and market."""
    month = chain.month
    recorder = chain.recorder
    kinds: dict[str, tuple[Iterable[str], list[dict[str, float]]]] = {
        "chips": (chain.chipmakers, [_common(firm) | _chipmaker(firm) for firm in chain.chipmakers.values()]),
        "clouds": (chain.clouds, [_common(firm) | _cloud(firm) for firm in chain.clouds.values()]),
        "labs": (chain.labs, [_common(firm) | _lab(chain, firm) for firm in chain.labs.values()]),
        "apps": (chain.apps, [_common(firm) | _app(firm) for firm in chain.apps.values()]),
    }
    for kind, (firms, values) in kinds.items():
        recorder.firms_of_a_kind(month, kind, firms, values)
    for firm_id, own in chain.own.firms.items():
        recorder.firms_of_a_kind(
            month, firm_id, [firm_id], [dict.fromkeys(FIRM_FIELDS, 0.0) | _common(own) | _own(own)]
        )
    for name, value in _markets(chain).items():
        recorder.market(month, name, value)
    for name, value in chain.own.series():
        recorder.market(month, name, value)
    recorder.recorded = month + 1


def _common(firm: Firm) -> dict[str, float]:
    books = firm.books
    return {
        "alive": float(firm.alive),
        "revenue": books.revenue,
        "cost_of_sales": books.cost_of_sales,
        "depreciation": books.depreciation,
        "gross_profit": books.gross_profit,
        "research": books.research + books.research_staff,
        "marketing": books.marketing,
        "operating_profit": books.operating_profit,
        "net_profit": books.net_profit,
        "value_added": books.value_added,
        "capex": books.capex,
        "cash": firm.cash,
        "runway": firm.runway,
        "equity_raised": firm.equity_raised,
        "equity_value": firm.value,
        "volume": firm.volume,
    }


def _chipmaker(firm: Chipmaker) -> dict[str, float]:
    home = firm.lines.get(firm.region) or next(iter(firm.lines.values()))
    return {
        "capital": firm.inventory_value + firm.tooling,
        "price": home.price,
        "unit_cost": home.unit_cost / home.perf,
        "lead_time": firm.lead_time,
        "orders": firm.orders.level,
    }


def _cloud(firm: Cloud) -> dict[str, float]:
    return {
        "capital": firm.book_value,
        "debt": firm.debt,
        "price": firm.rent,
        "unit_cost": firm.user_cost,
        "service": firm.utilisation,
        "orders": firm.ordered,
    }


def _lab(chain: "ValueChain", firm: Lab) -> dict[str, float]:
    large = firm.models["large"]
    books = firm.books
    return {
        "price": chain.blend(large.price),
        "unit_cost": large.unit_cost,
        "service": firm.service,
        "quality": large.quality,
        "rev_tokens": books.streams.get("tokens", 0.0),
        "theoretical_revenue": firm.theoretical_revenue,
        "training": books.research,
        "all_in_cost": firm.all_in_cost,
        "final_run_cost": firm.final_run_cost,
        "training_hours": firm.training_hours,
        "in_war": float(firm.in_war),
        "open_weights": float(firm.open_weights),
    }


def _app(firm: App) -> dict[str, float]:
    usage, streams = firm.usage, firm.books.streams
    return {
        "price": max(firm.fees.values(), default=0.0),
        "unit_cost": usage.cost_per_payer,
        "service": firm.trust,
        "users": usage.users,
        "payers": usage.payers,
        "churn": usage.paid_leavers / max(usage.payers + usage.paid_leavers, 1.0),
        "queries": usage.queries,
        "ad_load": firm.ad_load,
        "trust": firm.trust,
        **{field: streams.get(stream, 0.0) for stream, field in _STREAMS.items()},
        "rev_other": math.fsum([amount for stream, amount in streams.items() if stream not in _STREAMS]),
        "supply": _SUPPLY[firm.supply.mode],
    }


def _own(firm: Firm) -> dict[str, float]:
    """Return what a firm of an own kind wants in the panel; KeyError for a field that there is not."""
    values = firm.record()
    if odd := sorted(values.keys() - FIRM_FIELDS.keys()):
        raise KeyError(f"{firm.agent_id}: the panel has no field {odd[0]!r}; there are {', '.join(FIRM_FIELDS)}")
    return values


def _markets(chain: "ValueChain") -> dict[str, float]:
    """Return the month's market series."""
    result = {
        "sentiment": chain.sentiment,
        "frontier": chain.frontier,
        "open_frontier": chain.open_frontier,
        "tokens": math.fsum(lab.tokens for lab in chain.labs.values()),
        "final_demand": chain.final_revenue(),
        "serving_hours": math.fsum(lab.hours_used for lab in chain.labs.values()),
        "training_hours": math.fsum(lab.training_hours for lab in chain.labs.values()),
        "fixed_quality_price": fixed_quality_price(chain),
    }
    for region in chain.spec.regions:
        clouds = [c for c in chain.clouds.values() if c.region == region and c.alive]
        capacity = math.fsum(c.capacity for c in clouds)
        result[f"rent.{region}"] = chain.spot_rent(region)
        result[f"utilisation.{region}"] = math.fsum(c.hours_sold for c in clouds) / capacity if capacity > 0.0 else 0.0
        result[f"fleet.{region}"] = math.fsum(c.size for c in clouds)
        result[f"chip_price.{region}"] = chain.chips.quotes[region].price
        result[f"lead_time.{region}"] = chain.chips.quotes[region].lead_time
        result[f"cpm.{region}"] = chain.advertisers[region].cpm
        apps = [a for a in chain.apps.values() if a.region == region]
        users = math.fsum(a.usage.users for a in apps)
        result[f"users.{region}"] = users
        result[f"payers.{region}"] = math.fsum(a.usage.payers for a in apps)
        result[f"invested.{region}"] = chain.investors[region].invested
        result[f"fund.{region}"] = chain.ledger.cash(f"investors.{region}")
        outcome = chain.consumer_markets[region].outcome
        result[f"surplus.{region}"] = outcome.surplus if outcome is not None else 0.0
    for tier in TIERS:
        firms = [f for f in chain.firms.values() if f.tier == tier]
        result[f"value.{tier}"] = math.fsum(f.value for f in firms)
        result[f"revenue.{tier}"] = math.fsum(f.books.revenue for f in firms)
        result[f"profit.{tier}"] = math.fsum(f.books.operating_profit for f in firms)
    for segment_id, segment in chain.enterprises.items():
        result[f"enterprise_volume.{segment_id}"] = segment.volume
        result[f"enterprise_price.{segment_id}"] = segment.mean_price(chain.tokens.offers[segment.spec.region])
        result[f"suppliers.{segment_id}"] = segment.suppliers_per_firm()
    return result


def fixed_quality_price(chain: "ValueChain", quality: float = 0.95) -> float:
    """Return the lowest price of a Mtok of enterprise traffic at the quality of early 2025, USD."""
    prices = [
        offer.price.blend(chain.tokens.mix)
        for offers in chain.tokens.offers.values()
        for offer in offers
        if offer.quality >= quality
    ]
    return min(prices, default=math.nan)
