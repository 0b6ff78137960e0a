"""Moments of model labs and of demand: prices, shares of tokens, price wars, diffusion, hosts, consumers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.moments import Months, span
from experiments.outcomes import ratio

if TYPE_CHECKING:
    from agents.hosting import HostedModel
    from ecosystem.model import ValueChain

Floats = NDArray[np.float64]


# --- labs --------------------------------------------------------------------------------------------------------


def inference_margin(chain: "ValueChain", months: Months = None) -> float:
    """Return the gross margin of labs that no owner with other profit pools funds."""
    return _independent(chain, "gross_profit", months)


def lab_operating_margin(chain: "ValueChain", months: Months = None) -> float:
    """Return the operating margin of labs that no owner with other profit pools funds."""
    return _independent(chain, "operating_profit", months)


def _independent(chain: "ValueChain", field: str, months: Months) -> float:
    labs = [lab for lab in chain.labs if not chain.funded_by_group(lab)]
    of, months_ = chain.recorder.of, span(chain, months)
    part, sold = (sum(float(of(lab, name)[months_].sum()) for lab in labs) for name in (field, "revenue"))
    return ratio(part, sold)


def arr_per_gigawatt(chain: "ValueChain", lab: str, app: str, months: Sequence[int]) -> float:
    """Return what outside buyers pay a lab and its app per gigawatt of compute, late over early month.

    Hours are the lab's own, serving and training; watts follow from the fleets of its clouds.
    """
    paid, hours = _outside_revenue(chain, (lab, app)), _hours_bought(chain, lab)
    early, late = (paid[m] / hours[m] for m in months)
    return float(late / early) * _density(chain, lab)


def _outside_revenue(chain: "ValueChain", firms: Sequence[str]) -> Floats:
    """Return by month what others pay to some firms for what they sell, USD."""
    flows = chain.ledger.flows()
    place = [i for i, account in enumerate(flows.accounts) if account.id in firms]
    rows = flows.operating & np.isin(flows.payee, place) & ~np.isin(flows.payer, place)
    found: Floats = np.bincount(flows.month[rows], flows.amount[rows], chain.month).astype(np.float64)
    return found


def _hours_bought(chain: "ValueChain", firm: str) -> Floats:
    """Return by month the accelerator-hours that a firm pays for."""
    flows = chain.ledger.flows()
    place = {account.id: i for i, account in enumerate(flows.accounts)}[firm]
    rows = flows.of_kinds(["hours"]) & (flows.payer == place)
    found: Floats = np.bincount(flows.month[rows], flows.quantity[rows], chain.month).astype(np.float64)
    return found


def _density(chain: "ValueChain", lab: str) -> float:
    """Return H100-equivalents per kilowatt of a lab's clouds at the end over the opening."""
    clouds = [chain.clouds[c] for c in chain.spec.lab[lab].clouds]

    def density(fleets: Sequence[dict[str, float]]) -> float:
        items = [item for fleet in fleets for item in fleet.items()]
        watts = math.fsum(n / chain.performance[a] * chain.kilowatts[a] for a, n in items)
        return math.fsum(n for _, n in items) / watts

    return density([c.fleet for c in clouds]) / density([c.spec.fleet for c in clouds])


# --- prices and shares of tokens ---------------------------------------------------------------------------------


def price_path(chain: "ValueChain", labs: Sequence[str]) -> Floats:
    """Return the mean log list price of some labs' large models by month."""
    found: Floats = np.mean([np.log(chain.recorder.of(lab, "price")) for lab in labs], axis=0)
    return found


def open_share(chain: "ValueChain", region: str) -> float:
    """Return the share of enterprise tokens of a region that models with open weights serve at the end of the run."""
    served = total = 0.0
    for segment in chain.enterprises.values():
        if segment.spec.region == region:
            for (_, lab, _), share in segment.shares.items():
                total += share * segment.volume
                served += share * segment.volume * chain.labs[lab].open_weights
    return ratio(served, total)


def closed_share(chain: "ValueChain", region: str) -> float:
    """Return the share of enterprise tokens of a region that closed models serve at the end of the run."""
    return 1.0 - open_share(chain, region)


def token_spending(chain: "ValueChain", months: Months = None) -> float:
    """Return what enterprises pay for tokens, USD, over some months."""
    series = chain.recorder.series
    found = [series[f"enterprise_volume.{s}"] * series[f"enterprise_price.{s}"] for s in chain.enterprises]
    return float(sum(path[span(chain, months)].sum() for path in found))


def volume_and_price(chain: "ValueChain", region: str, month: int) -> list[float]:
    """Return tokens bought by the enterprises of a region in a month, and their mean price."""
    series = chain.recorder.series
    segments = [s for s, e in chain.enterprises.items() if e.spec.region == region]
    volumes = [float(series[f"enterprise_volume.{s}"][month]) for s in segments]
    prices = [float(series[f"enterprise_price.{s}"][month]) for s in segments]
    spent = math.fsum(v * p for v, p in zip(volumes, prices, strict=True))
    return [math.fsum(volumes), spent / math.fsum(volumes)]


def api_hours(chain: "ValueChain") -> float:
    """Return the H100-hours that enterprise tokens take in the last month."""
    from ecosystem.token_costs import dot

    loads, hours = chain.serving.loads, chain.costs.hours
    return math.fsum(dot(load.api, hours[key]) for key, load in loads.items())


def suppliers(chain: "ValueChain") -> float:
    """Return the effective number of sellers of tokens to an enterprise segment at the end, mean over segments."""
    found = []
    for segment in chain.enterprises.values():
        held: dict[str, float] = {}
        for (seller, _, _), share in segment.shares.items():
            held[seller] = held.get(seller, 0.0) + share
        found.append(1.0 / math.fsum(share * share for share in held.values()))
    return float(np.mean(found))


def revenue_share_path(chain: "ValueChain", lab: str) -> Floats:
    """Return a lab's share of what labs take for tokens, by month."""
    record = chain.recorder
    found: Floats = record.of(lab, "rev_tokens") / np.maximum(record.tier(chain, "labs", "rev_tokens"), 1.0)
    return found


# --- hosts of open weights ---------------------------------------------------------------------------------------


def host_cost(chain: "ValueChain", lab: str) -> float:
    """Return the hosts' unit cost over the owner's at the end of the run, median over the hosts that ever served."""
    owner = chain.token_cost(lab, "large")
    found = [h.unit_cost / owner for h in _hosts(chain, lab) if h.unit_cost > 0.0]
    return float(np.median(found)) if found else math.nan


def hosts_gone(chain: "ValueChain", lab: str) -> float:
    """Return the share of the hosts of a lab's model that have given up by the end of the run."""
    hosts = _hosts(chain, lab)
    return ratio(float(sum(h.losses >= h.spec.patience for h in hosts)), float(len(hosts)))


def _hosts(chain: "ValueChain", lab: str) -> "list[HostedModel]":
    return [cloud.hosted[lab] for cloud in chain.clouds.values() if lab in cloud.hosted]


# --- consumers ---------------------------------------------------------------------------------------------------


def paid_share(chain: "ValueChain", region: str, months: Months = None) -> float:
    """Return payers over users of the apps of a region."""
    payers, users = (chain.recorder.series[f"{n}.{region}"][span(chain, months)].mean() for n in ("payers", "users"))
    return ratio(float(payers), float(users))


def top_share(chain: "ValueChain", region: str, part: float = 0.05) -> float:
    """Return the share of answered queries that the heaviest users of a region ask, at the end of the run."""
    users, queries = _bands(chain, region)
    held = np.cumsum(users[::-1]) / users.sum()
    used = np.cumsum(queries[::-1]) / queries.sum()
    return float(np.interp(part, held, used))


def gini(chain: "ValueChain", region: str) -> float:
    """Return the Gini coefficient of answered queries over the users of a region, at the end of the run."""
    users, queries = _bands(chain, region)
    held = np.concatenate([[0.0], np.cumsum(users) / users.sum()])
    used = np.concatenate([[0.0], np.cumsum(queries) / queries.sum()])
    return float(1.0 - np.sum(np.diff(held) * (used[1:] + used[:-1])))


def _bands(chain: "ValueChain", region: str) -> tuple[Floats, Floats]:
    """Return users and queries by fine bands of appetite, lightest first, finest among the heaviest users."""
    edges = np.concatenate([np.linspace(0.0, 0.9, 46), 1.0 - np.geomspace(0.1, 1e-6, 60)[1:], [1.0]])
    table = chain.consumer_markets[region].consumers.usage_table(edges)
    users, queries = table.users.sum(axis=1), table.queries.sum(axis=1)
    order = np.argsort(queries / np.maximum(users, 1e-300))
    return users[order], queries[order]
