"""What a run says, as plain data: the content of `run --json`, of the terminal and of the report's lead."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.dollars import dollar_ends
from experiments.formats import cents, listed, percent
from experiments.outcomes import (
    TIER_ORDER,
    TIER_UNITS,
    WINDOW,
    Floats,
    TierFigures,
    list_price,
    mean,
    outcome_units,
    ratio,
    tier_figures,
    window,
    yearly_factor,
)

if TYPE_CHECKING:
    from experiments.runs import Replicates, RunResult

UPSTREAM, DOWNSTREAM = ("chips", "clouds"), ("labs", "apps")
MEASURES = {
    "profit_over_value_added": "operating profit over value added",
    "return_on_capital": "return on capital",
    "cents_per_final_dollar": "cents kept of a final dollar",
}
"""The measures by which the water sellers are judged; gross margin is not one: it falls downstream by
accounting alone."""

_SERIES_UNITS = {
    "revenue": "USD/month",
    "profit": "USD/month",
    "serving_hours": "H100-hours/month",
    "rent": "USD per H100-equivalent hour",
    "utilisation": "share of hours",
    "fleet": "H100-equivalents",
    "chip_price": "USD per H100-equivalent",
    "lead_time": "months",
    "cpm": "USD per 1000 impressions",
    "users": "people",
    "payers": "people",
    "invested": "USD/month",
    "fund": "USD",
    "surplus": "USD/month",
    "value": "USD",
    "enterprise_volume": "Mtok/month",
    "enterprise_price": "USD/Mtok",
    "suppliers": "suppliers per firm",
    "sentiment": "1",
    "frontier": "frontier of the opening",
    "open_frontier": "frontier of the opening",
    "tokens": "Mtok/month",
    "final_demand": "USD/month",
    "training_hours": "H100-hours/month",
    "fixed_quality_price": "USD/Mtok",
}


def series_unit(name: str) -> str:
    """Return the unit of a market series, "" for an unknown one."""
    return _SERIES_UNITS.get(name.partition(".")[0], "")


def identity(run: "RunResult") -> dict[str, Any]:
    """Return what identifies a run."""
    from experiments.fingerprint import fingerprint

    return {
        "scenario": run.spec.name,
        "title": run.spec.title,
        "seed": run.seed,
        "replicate": run.replicate,
        "months": run.months,
        "start": run.spec.start,
        "version": version("watersellers"),
        "fingerprint": fingerprint(),
    }


def summary(run: "RunResult", replicates: "Replicates | None" = None) -> dict[str, Any]:
    """Return the run's summary: JSON types only, None for what has no meaning."""
    figures = tier_figures(run)
    content: dict[str, Any] = identity(run) | {
        "window_months": min(WINDOW, run.months),
        "tiers": {tier: asdict(f) for tier, f in figures.items()},
        "tiers_whole_run": {tier: asdict(f) for tier, f in tier_figures(run, whole=True).items()},
        "dollar": {
            source: {"dollars": dollars, "cents": split} for source, (dollars, split) in dollar_ends(run).items()
        },
        "prices": prices(run),
        "consumers": consumers(run),
        "plugs": [asdict(p) | {"name": run.name(p.firm)} for p in run.plugs],
        "failures": failures(run),
        "water_sellers": {"text": water_sellers(figures), "measures": ahead(figures)},
        "units": {
            "tiers": dict(TIER_UNITS),
            "dollar": "USD put in over the window, cents of the source's dollar by end",
            "consumers": {"users": "people", "payers": "people", "paid_share": "share of users"},
        },
    }
    if replicates is not None:
        bands = replicates.bands()
        content["replicates"] = {
            "count": len(replicates),
            "bands": {n: {"median": m, "low": a, "high": b} for n, (m, a, b) in bands.items()},
            "units": outcome_units(bands),
            "upstream_ahead": upstream_ahead(replicates),
        }
    clean: dict[str, Any] = plain(content)
    return clean


def prices(run: "RunResult") -> dict[str, Any]:
    """Return the paths of prices: first, last, lowest and highest value, and the factor a year."""
    result: dict[str, Any] = {
        "list_price": _path(list_price(run), "USD/Mtok"),
        "fixed_quality_price": _path(run.markets["fixed_quality_price"], "USD/Mtok"),
    }
    for name in ("rent", "chip_price", "lead_time"):
        result[name] = {r: _path(run.markets[f"{name}.{r}"], series_unit(name)) for r in run.spec.regions}
    return result


def consumers(run: "RunResult") -> dict[str, dict[str, float]]:
    """Return users, payers and the paid share by region: means of the last year."""
    span = window(run.months)
    result = {}
    for region in run.spec.regions:
        users, payers = (mean(run.markets[f"{name}.{region}"][span]) for name in ("users", "payers"))
        result[region] = {"users": users, "payers": payers, "paid_share": ratio(payers, users)}
    return result


def failures(run: "RunResult") -> list[dict[str, Any]]:
    """Return the firms that failed, in order."""
    return [
        {"month": month, "date": str(run.dates[month])[:7], "firm": firm, "name": run.name(firm)}
        for month, firm in run.failures
    ]


def ahead(figures: Mapping[str, TierFigures]) -> dict[str, dict[str, Any]]:
    """Return, by measure, the tiers' values and whether both upstream tiers are above both downstream ones."""
    result: dict[str, dict[str, Any]] = {}
    for name in MEASURES:
        values = {tier: float(getattr(figures[tier], name)) for tier in TIER_ORDER}
        result[name] = values | {"upstream_ahead": _both_above(values)}
    return result


def upstream_ahead(replicates: "Replicates") -> dict[str, float]:
    """Return, by measure, the share of replicates in which both upstream tiers are above both downstream ones."""
    column = {name: i for i, name in enumerate(replicates.names)}
    result = {}
    for name in MEASURES:
        rows = [{tier: float(row[column[f"{tier}_{name}"]]) for tier in TIER_ORDER} for row in replicates.values]
        result[name] = sum(_both_above(values) for values in rows) / len(rows)
    return result


def water_sellers(figures: Mapping[str, TierFigures]) -> str:
    """Say in words what the figures say of those who sell water to the gold diggers: chips and clouds."""
    kept = [f"{tier} {cents(figures[tier].cents_per_final_dollar)}" for tier in TIER_ORDER]
    returns = [f"{tier} {percent(figures[tier].return_on_capital)}" for tier in TIER_ORDER]
    won = [MEASURES[name] for name, values in ahead(figures).items() if values["upstream_ahead"]]
    lost = [words for words in MEASURES.values() if words not in won]
    parts = [
        f"Of a dollar that final buyers of AI services spend, {listed(kept)} stay with the tier.",
        _value_added(figures),
        f"A year's operating profit on capital: {listed(returns)}.",
    ]
    if not lost:
        parts.append("Both water sellers, chips and clouds, are ahead of labs and apps by all three measures.")
    elif won:
        parts.append(
            f"Both water sellers, chips and clouds, are ahead of labs and apps by {listed(won)}, "
            f"but not by {listed(lost)}."
        )
    else:
        parts.append("By none of the three measures are both water sellers, chips and clouds, ahead.")
    return " ".join(parts)


CAVEAT = "One run is no test: it compares with no world in which the tiers have equal power."


def _value_added(figures: Mapping[str, TierFigures]) -> str:
    known = {t: figures[t].profit_over_value_added for t in TIER_ORDER}
    shares = [f"{tier} {percent(value)}" for tier, value in known.items() if math.isfinite(value)]
    without = [tier for tier, value in known.items() if not math.isfinite(value)]
    text = f"Of the value that they add, {listed(shares)} is operating profit" if shares else ""
    if without:
        text += ("; " if text else "") + f"{listed(without)} spent more on bought inputs than they earned"
    return f"{text}."


def _both_above(values: Mapping[str, float]) -> bool:
    """Whether both upstream tiers are above both downstream ones; a figure without meaning counts as lowest."""
    known = {tier: value if math.isfinite(value) else -math.inf for tier, value in values.items()}
    return min(known[t] for t in UPSTREAM) > max(known[t] for t in DOWNSTREAM)


def _path(series: Floats, unit: str) -> dict[str, Any]:
    known = series[np.isfinite(series)]
    if not len(known):
        return {"first": math.nan, "last": math.nan, "lowest": math.nan, "highest": math.nan, "unit": unit}
    return {
        "first": float(known[0]),
        "last": float(known[-1]),
        "lowest": float(known.min()),
        "highest": float(known.max()),
        "yearly_factor": yearly_factor(series),
        "unit": unit,
    }


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: no NaN, no infinity, no numpy number."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
