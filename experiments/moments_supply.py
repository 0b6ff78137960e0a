"""Moments of the upstream: profit pools, chips, clouds, capacity cycles, funding."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.moments import Months, span, tier_ratio, tier_sum
from experiments.outcomes import ratio

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

Floats = NDArray[np.float64]
TIERS = ("chips", "clouds", "labs", "apps")


# --- who earns ---------------------------------------------------------------------------------------------------


def margin_step(chain: "ValueChain", months: Months = None) -> float:
    """Return the smallest fall of gross margin from one tier to the next one downstream."""
    margins = [tier_ratio(chain, tier, "gross_profit", "revenue", months) for tier in TIERS]
    return min(a - b for a, b in itertools.pairwise(margins))


def margin_gap(chain: "ValueChain", months: Months = None) -> float:
    """Return the gross margin of chips less that of apps."""
    ends = [tier_ratio(chain, tier, "gross_profit", "revenue", months) for tier in ("chips", "apps")]
    return ends[0] - ends[1]


def pool_share(chain: "ValueChain", tier: str, field: str = "gross_profit", months: Months = None) -> float:
    """Return a tier's share of a field summed over the tiers in which it is above zero."""
    sums = {each: tier_sum(chain, each, field, months) for each in TIERS}
    return ratio(sums[tier], math.fsum(max(value, 0.0) for value in sums.values()))


def sold_profit_share(chain: "ValueChain", tier: str, months: Months = None) -> float:
    """Return a tier's share of gross profit as F-X1 draws the stack: what clouds let their owners use is left out.

    Clouds earn on what they sell the margin that they earn on all of it.
    """
    sums = {each: tier_sum(chain, each, "gross_profit", months) for each in TIERS}
    sums["clouds"] *= 1.0 - _own_use(chain, months)
    return ratio(sums[tier], math.fsum(max(value, 0.0) for value in sums.values()))


def _own_use(chain: "ValueChain", months: Months) -> float:
    """Return the share of clouds' revenue that their owners pay."""
    flows = chain.ledger.flows()
    tier = np.array([account.tier or "" for account in flows.accounts])
    known = span(chain, months)
    rows = flows.operating & (tier[flows.payee] == "clouds") & (flows.month >= known.start) & (flows.month < known.stop)
    owners = rows & (tier[flows.payer] == "parents")
    return ratio(float(flows.amount[owners].sum()), float(flows.amount[rows].sum()))


def economic_margin_gap(chain: "ValueChain", upstream: str, downstream: str, months: Months = None) -> float:
    """Return the margin of price over unit cost, capital cost included, of one tier less that of another."""
    upper, lower = (_economic_margin(chain, tier, months) for tier in (upstream, downstream))
    return upper - lower


def _economic_margin(chain: "ValueChain", tier: str, months: Months) -> float:
    sold = cost = 0.0
    for firm in (f for f, each in chain.firms.items() if each.tier == tier):
        price, unit, volume = (
            chain.recorder.of(firm, name)[span(chain, months)] for name in ("price", "unit_cost", "volume")
        )
        sold += float(price @ volume)
        cost += float(unit @ volume)
    return ratio(sold - cost, sold)


def stack_share(chain: "ValueChain") -> float:
    """Return chips' share of the stack's revenue: chips, clouds without own use, labs and apps from final buyers."""
    flows = chain.ledger.flows()
    tier = np.array([account.tier or "" for account in flows.accounts])
    role = np.array([account.role for account in flows.accounts])
    own = np.isin(role[flows.payer], ["source"]) & (tier[flows.payer] == "parents")
    rows = flows.operating & ~own
    amount, seller, outside = flows.amount, tier[flows.payee], role[flows.payer] == "source"
    chips = float(amount[rows & (seller == "chips")].sum())
    clouds = float(amount[rows & (seller == "clouds") & (tier[flows.payer] != "clouds")].sum())
    final = float(amount[rows & np.isin(seller, ["labs", "apps"]) & outside].sum())
    return chips / (chips + clouds + final)


def tier_growth_extreme(chain: "ValueChain", which: str) -> float:
    """Return the largest or the smallest ratio of a tier's revenue in the third year to that in the first."""
    sold = [chain.recorder.tier(chain, tier, "revenue") for tier in TIERS]
    grown = [float(path[24:36].sum() / path[:12].sum()) for path in sold]
    return max(grown) if which == "largest" else min(grown)


def ordered_value(chain: "ValueChain", region: str, months: Months = None) -> float:
    """Return what a region's clouds order of accelerators, USD at the prices of the month."""
    record, months_ = chain.recorder, span(chain, months)
    orders = sum(record.of(cloud.agent_id, "orders") for cloud in chain.clouds.values() if cloud.region == region)
    return float((orders * record.series[f"chip_price.{region}"])[months_].sum())


def hhi(chain: "ValueChain", tier: str) -> float:
    """Return the Herfindahl index of a tier's revenue, of firms that are apart in the scenario."""
    found = _shares(chain, tier)
    return float(np.square(found).sum())


def hhi_order(chain: "ValueChain") -> float:
    """Return the smaller of two steps of concentration: chips over labs, labs over clouds."""
    values = [hhi(chain, tier) for tier in ("chips", "labs", "clouds")]
    return min(values[0] - values[1], values[1] - values[2])


def _shares(chain: "ValueChain", tier: str) -> Floats:
    rows = [chain.recorder.of(f.agent_id, "revenue").sum() for f in chain.firms.values() if f.tier == tier]
    found: Floats = np.array(rows) / sum(rows)
    return found


def news(chain: "ValueChain", tier: str, kind: str = "", region: str = "") -> float:
    """Return the value-weighted response of a tier's equity to the last efficiency news, by kind of cloud or region."""
    total = moved = 0.0
    for firm_id, reaction in chain.equity.reaction.items():
        firm = chain.firms[firm_id]
        cloud = chain.clouds.get(firm_id)
        fits = firm.tier == tier and region in ("", firm.region)
        if fits and (not kind or (cloud is not None and cloud.spec.kind == kind)):
            worth = float(chain.recorder.of(firm_id, "equity_value")[0])
            total += worth
            moved += worth * reaction
    return ratio(moved, total)


def news_order(chain: "ValueChain") -> float:
    """Return the response of clouds to efficiency news less that of chips."""
    return news(chain, "clouds") - news(chain, "chips")


# --- chips -------------------------------------------------------------------------------------------------------


def quarterly_margin(chain: "ValueChain", firm: str) -> Floats:
    """Return a firm's gross margin by quarter."""
    quarters = chain.recorder.recorded // 3
    profit, sold = (chain.recorder.of(firm, name)[: 3 * quarters] for name in ("gross_profit", "revenue"))
    found: Floats = profit.reshape(-1, 3).sum(axis=1) / np.maximum(sold.reshape(-1, 3).sum(axis=1), 1.0)
    return found


def margin_trough(chain: "ValueChain", firm: str, months: Sequence[int]) -> float:
    """Return the lowest quarterly gross margin of a firm within some months."""
    return float(quarterly_margin(chain, firm)[months[0] // 3 : months[1] // 3].min())


def quarters_to_recover(chain: "ValueChain", firm: str, months: Sequence[int], level: float) -> float:
    """Return the quarters from the lowest margin within some months until it is back above a level; 99 if never."""
    margins = quarterly_margin(chain, firm)
    first = months[0] // 3
    trough = first + int(margins[first : months[1] // 3].argmin())
    back = np.flatnonzero(margins[trough:] >= level)
    return float(back[0]) if len(back) else 99.0


def lead_time_fall(chain: "ValueChain", region: str, months: Months = None, quarters: int = 2) -> float:
    """Return the largest fall of the lead time within some quarters: late over early."""
    lead = chain.recorder.series[f"lead_time.{region}"][span(chain, months)]
    lag = 3 * quarters
    return float((lead[lag:] / np.maximum(lead[:-lag], 1e-9)).min())


def yearly_revenue_growth(chain: "ValueChain", tier: str, quarter: int = 0) -> float:
    """Return a tier's revenue of a quarter one year on, over that of the quarter."""
    sold = chain.recorder.tier(chain, tier, "revenue")
    start = 3 * quarter
    return float(sold[start + 12 : start + 15].sum() / sold[start : start + 3].sum())


# --- clouds ------------------------------------------------------------------------------------------------------


def cloud_margin(chain: "ValueChain", kind: str, months: Months = None, region: str = "") -> float:
    """Return the gross margin of the clouds of one kind together."""
    return _clouds(chain, kind, "gross_profit", months, region)


def cloud_operating_margin(chain: "ValueChain", kind: str, months: Months = None, region: str = "") -> float:
    """Return the operating margin of the clouds of one kind together."""
    return _clouds(chain, kind, "operating_profit", months, region)


def _clouds(chain: "ValueChain", kind: str, field: str, months: Months, region: str) -> float:
    clouds = [c for c, cloud in chain.clouds.items() if cloud.spec.kind == kind and region in ("", cloud.region)]
    part, sold = (
        sum(float(chain.recorder.of(c, name)[span(chain, months)].sum()) for c in clouds) for name in (field, "revenue")
    )
    return ratio(part, sold)


def ebitda_margin(chain: "ValueChain", firm: str, months: Months = None) -> float:
    """Return operating profit with depreciation added back, over revenue."""
    of, months_ = chain.recorder.of, span(chain, months)
    earned = of(firm, "operating_profit")[months_].sum() + of(firm, "depreciation")[months_].sum()
    return ratio(float(earned), float(of(firm, "revenue")[months_].sum()))


def capex_growth(chain: "ValueChain", kind: str = "integrated", region: str = "west") -> float:
    """Return the capital spending on accelerators of a kind of cloud in the second year over the first."""
    clouds = [c for c, cloud in chain.clouds.items() if cloud.spec.kind == kind and cloud.region == region]
    spent = np.sum([chain.recorder.of(c, "capex") for c in clouds], axis=0)
    return float(spent[12:24].sum() / spent[:12].sum())


# --- cycles ------------------------------------------------------------------------------------------------------


def bullwhip(chain: "ValueChain", layer: str, months: Months = None) -> float:
    """Return the variance of monthly log changes at a layer over that of final tokens.

    Layers, upstream last: hours (sold by clouds), orders (of clouds for chips).
    """
    return _spread(chain, layer, months) / _spread(chain, "tokens", months)


def bullwhip_step(chain: "ValueChain", months: Months = None) -> float:
    """Return the smallest ratio of variances from one layer to the next one upstream: tokens, hours, orders."""
    spreads = [_spread(chain, layer, months) for layer in ("tokens", "hours", "orders")]
    return min(b / a for a, b in itertools.pairwise(spreads))


def _spread(chain: "ValueChain", layer: str, months: Months) -> float:
    record = chain.recorder
    field = {"hours": "volume", "orders": "orders"}
    path = record.series["tokens"] if layer == "tokens" else record.tier(chain, "clouds", field[layer])
    path = path[span(chain, months)]
    return float(np.var(np.diff(np.log(np.maximum(path, 1e-9)))))


def cycle_years(chain: "ValueChain", name: str, skip: int = 24) -> float:
    """Return the length of the cycle of a series, years: twice the lag at which its autocorrelation is lowest.

    Of the log around its trend of five years; the lags searched are half a year to four years.
    """
    correlation = _autocorrelation(_cycle(chain.recorder.series[name][skip:]))
    lags = range(6, min(49, len(correlation)))
    return 2.0 * min(lags, key=lambda lag: correlation[lag]) / 12.0


def cycle_damping(chain: "ValueChain", name: str, skip: int = 24) -> float:
    """Return the spread of a series' cycle in the second half of a run over that in the first."""
    path = _cycle(chain.recorder.series[name][skip:])
    half = len(path) // 2
    return float(path[half:].std() / path[:half].std())


def co_movement(chain: "ValueChain", first: str, second: str, skip: int = 24) -> float:
    """Return the correlation of the cycles of two series."""
    paths = [_cycle(chain.recorder.series[name][skip:]) for name in (first, second)]
    return float(np.corrcoef(paths[0], paths[1])[0, 1])


def _cycle(path: Floats, window: int = 60) -> Floats:
    """Return the log of a series around its centred moving average."""
    values = np.log(np.maximum(path, 1e-9))
    padded = np.concatenate([np.repeat(values[:1], window // 2), values, np.repeat(values[-1:], window // 2)])
    trend = np.convolve(padded, np.full(window + 1, 1.0 / (window + 1)), "valid")
    found: Floats = values - trend[: len(values)]
    return found


def _autocorrelation(path: Floats) -> Floats:
    centred = path - path.mean()
    full = np.correlate(centred, centred, "full")[len(path) - 1 :]
    found: Floats = full / full[0]
    return found


# --- funding -----------------------------------------------------------------------------------------------------


def chips_and_demand(chain: "ValueChain", months: Sequence[int]) -> list[float]:
    """Return chip revenue and final demand over some months, USD."""
    demand = float(chain.recorder.series["final_demand"][slice(*months)].sum())
    return [tier_sum(chain, "chips", "revenue", months), demand]


def first_effect_months(chain: "ValueChain") -> list[list[float]]:
    """Return by month: training spending, hours sold, orders of clouds, chip prices of the first region."""
    record = chain.recorder
    paths = (
        record.tier(chain, "labs", "training_hours"),
        record.tier(chain, "clouds", "volume"),
        record.tier(chain, "clouds", "orders"),
        record.series[f"chip_price.{chain.spec.regions[0]}"],
    )
    return [path.tolist() for path in paths]
