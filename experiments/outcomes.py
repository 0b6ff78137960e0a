"""What a run comes to: figures by tier and one flat dictionary of outcomes with fixed names and units.

Figures of a window are means over its months, money a year; margins are ratios of the window's sums. The
window is the last year of the run; names that end in `_run` are over all its months.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ecosystem.spec import Spec
    from experiments.runs import RunResult

Floats = NDArray[np.float64]

TIER_ORDER = ("chips", "clouds", "labs", "apps")
WINDOW = 12

TIER_UNITS: dict[str, str] = {
    "revenue": "USD/year",
    "operating_profit": "USD/year",
    "gross_margin": "share of revenue",
    "operating_margin": "share of revenue",
    "profit_over_value_added": "share of value added",
    "return_on_capital": "1/year",
    "cents_per_final_dollar": "cents",
    "cover_services": "share of revenue",
    "cover_with_on_premise": "share of revenue",
    "cover_with_own_use": "share of revenue",
    "equity_value": "USD",
    "concentration": "Herfindahl index, 0 to 1",
    "firms": "firms",
    "failed": "firms",
}
"""Figures of a tier and their units."""

WHOLE_RUN = (
    "revenue",
    "operating_profit",
    "gross_margin",
    "operating_margin",
    "profit_over_value_added",
    "return_on_capital",
    "cents_per_final_dollar",
)
"""Figures of a tier that the outcomes also give over the whole run."""


@dataclass(frozen=True, slots=True)
class TierFigures:
    """One tier over a window; NaN where a ratio has no meaning.

    `profit_over_value_added`: operating profit over value added (profit, depreciation and wages), NaN where
    no value is added. `return_on_capital`: operating profit a year over plant, stocks and cash at book.
    `cents_per_final_dollar`: what the tier keeps of a dollar that final buyers of AI services spend, as cash,
    dividends or tax. `cover_*`: share of its revenue that final demand pays through the chain, under three
    definitions from narrow to wide. `equity_value`: what investors think it is worth in the last month.
    """

    revenue: float
    operating_profit: float
    gross_margin: float
    operating_margin: float
    profit_over_value_added: float
    return_on_capital: float
    cents_per_final_dollar: float
    cover_services: float
    cover_with_on_premise: float
    cover_with_own_use: float
    equity_value: float
    concentration: float
    firms: int
    failed: int


def outcomes(
    spec: "Spec | str" = "2025", *, seed: int | None = None, replicate: int = 0, months: int | None = None
) -> dict[str, float]:
    """Run a scenario once and return its outcomes, NaN where a figure has no meaning; see `outcome_units`."""
    from experiments.runs import run

    return outcomes_of(run(spec, seed=seed, replicate=replicate, months=months))


def outcomes_of(run: "RunResult") -> dict[str, float]:
    """Return the outcomes of a finished run by name."""
    values: dict[str, float] = {}
    for tier, figures in tier_figures(run).items():
        values |= {f"{tier}_{name}": float(value) for name, value in asdict(figures).items()}
    for tier, figures in tier_figures(run, whole=True).items():
        values |= {f"{tier}_{name}_run": float(getattr(figures, name)) for name in WHOLE_RUN}
    values |= _market_outcomes(run)
    for region in run.spec.regions:
        values |= _region_outcomes(run, region)
    for firm in run.firm_list:
        if firm.tier == "apps":
            values |= _app_outcomes(run, firm.id)
    return {name.replace("-", "_"): value for name, value in values.items()}


def outcome_units(names: Iterable[str]) -> dict[str, str]:
    """Return the unit of each named outcome, "" for a name that is none."""
    return {name: _unit(name) for name in names}


def window(months: int, *, whole: bool = False) -> slice:
    """Return the months that figures are taken over: the last year, or all."""
    return slice(0 if whole else max(months - WINDOW, 0), months)


def tier_figures(run: "RunResult", *, whole: bool = False) -> dict[str, TierFigures]:
    """Return the figures of every tier over the last year, or over the whole run."""
    from ecosystem.accounts import finality
    from ecosystem.attribution import cents_per_final_dollar, colour, final_demand_cover
    from ecosystem.network import concentration

    span = window(run.months, whole=whole)
    flows = run.flows_of(span).summed()
    final = finality()
    coloured = colour(flows)
    cents = cents_per_final_dollar(flows, final, coloured=coloured)
    cover = final_demand_cover(flows, final, of="revenue", coloured=coloured)
    shares = concentration(flows)
    failed = {firm for _, firm in run.failures}
    result = {}
    for tier in TIER_ORDER:
        index = run.members(tier)
        total = {name: float(run.field(name)[span][:, index].sum()) for name in _SUMMED}
        assets = float((run.field("capital") + run.field("cash"))[span][:, index].sum(axis=1).mean())
        yearly = 12.0 / (span.stop - span.start)
        known = cover.get(tier)
        result[tier] = TierFigures(
            revenue=yearly * total["revenue"],
            operating_profit=yearly * total["operating_profit"],
            gross_margin=ratio(total["gross_profit"], total["revenue"]),
            operating_margin=ratio(total["operating_profit"], total["revenue"]),
            profit_over_value_added=ratio(total["operating_profit"], total["value_added"]),
            return_on_capital=ratio(yearly * total["operating_profit"], assets),
            cents_per_final_dollar=cents.get(tier, 0.0),
            cover_services=known.services if known else math.nan,
            cover_with_on_premise=known.with_on_premise if known else math.nan,
            cover_with_own_use=known.with_own_use if known else math.nan,
            equity_value=float(run.field("equity_value")[span.stop - 1, index].sum()),
            concentration=shares.get(tier, math.nan),
            firms=len(index),
            failed=sum(run.firm_list[i].id in failed for i in index),
        )
    return result


_SUMMED = ("revenue", "gross_profit", "operating_profit", "value_added")


def ratio(part: float, whole: float) -> float:
    """Return part over whole, NaN unless the whole is above zero."""
    return part / whole if whole > 0.0 else math.nan


def list_price(run: "RunResult") -> Floats:
    """Return (months,): the list price of a Mtok of enterprise traffic at the best model on sale, USD."""
    labs = run.members("labs")
    alive = run.field("alive")[:, labs] > 0.0
    quality = np.where(alive, run.field("quality")[:, labs], -np.inf)
    best: Floats = np.take_along_axis(run.field("price")[:, labs], quality.argmax(axis=1)[:, None], axis=1).ravel()
    return np.where(alive.any(axis=1), best, np.nan)


def yearly_factor(series: Floats) -> float:
    """Return by what a series is multiplied in a year: the trend of its logarithm, by least squares."""
    known = np.flatnonzero(np.isfinite(series) & (series > 0.0))
    if len(known) < 2:
        return math.nan
    months = known - known.mean()
    slope = float(months @ np.log(series[known])) / float(months @ months)
    return math.exp(12.0 * slope)


def mean(values: Floats) -> float:
    """Return the mean of the finite values, NaN without one."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def _market_outcomes(run: "RunResult") -> dict[str, float]:
    span = window(run.months)
    markets, listed = run.markets, list_price(run)
    return {
        "list_price": mean(listed[span]),
        "list_price_yearly_factor": yearly_factor(listed),
        "fixed_quality_price": mean(markets["fixed_quality_price"][span]),
        "fixed_quality_price_yearly_factor": yearly_factor(markets["fixed_quality_price"]),
        "final_demand": 12.0 * mean(markets["final_demand"][span]),
        "tokens": mean(markets["tokens"][span]),
        "tokens_yearly_factor": yearly_factor(markets["tokens"]),
        "training_hours": mean(markets["training_hours"][span]),
        "training_spending": 12.0 * float(run.field("training")[span].sum(axis=1).mean()),
        "frontier": float(markets["frontier"][-1]),
        "open_frontier": float(markets["open_frontier"][-1]),
        "sentiment_lowest": float(np.nanmin(markets["sentiment"])),
        "failures": float(len(run.failures)),
    }


def _region_outcomes(run: "RunResult", region: str) -> dict[str, float]:
    span = window(run.months)
    rent, lead, used, users, payers = (
        run.markets[f"{name}.{region}"] for name in ("rent", "lead_time", "utilisation", "users", "payers")
    )
    return {
        f"rent_{region}": mean(rent[span]),
        f"rent_yearly_factor_{region}": yearly_factor(rent),
        f"chip_price_{region}": mean(run.markets[f"chip_price.{region}"][span]),
        f"lead_time_{region}": mean(lead[span]),
        f"lead_time_longest_{region}": float(np.nanmax(lead)),
        f"utilisation_{region}": mean(used[span]),
        f"utilisation_lowest_{region}": float(np.nanmin(used)),
        f"fleet_{region}": float(run.markets[f"fleet.{region}"][-1]),
        f"cpm_{region}": mean(run.markets[f"cpm.{region}"][span]),
        f"users_{region}": mean(users[span]),
        f"payers_{region}": mean(payers[span]),
        f"conversion_{region}": ratio(mean(payers[span]), mean(users[span])),
        f"invested_{region}": 12.0 * mean(run.markets[f"invested.{region}"][span]),
        f"surplus_{region}": 12.0 * mean(run.markets[f"surplus.{region}"][span]),
    }


def _app_outcomes(run: "RunResult", app: str) -> dict[str, float]:
    span = window(run.months)
    total = {name: float(run.of(app, name)[span].sum()) for name in _SUMMED}
    return {
        f"users_{app}": mean(run.of(app, "users")[span]),
        f"gross_margin_{app}": ratio(total["gross_profit"], total["revenue"]),
        f"operating_margin_{app}": ratio(total["operating_profit"], total["revenue"]),
    }


_UNITS = {
    "list_price": "USD/Mtok",
    "fixed_quality_price": "USD/Mtok",
    "final_demand": "USD/year",
    "tokens": "Mtok/month",
    "training_hours": "H100-hours/month",
    "training_spending": "USD/year",
    "frontier": "frontier of the opening",
    "open_frontier": "frontier of the opening",
    "sentiment_lowest": "1",
    "failures": "firms",
    "rent": "USD per H100-equivalent hour",
    "chip_price": "USD per H100-equivalent",
    "lead_time": "months",
    "lead_time_longest": "months",
    "utilisation": "share of hours",
    "utilisation_lowest": "share of hours",
    "fleet": "H100-equivalents",
    "cpm": "USD per 1000 impressions",
    "users": "people",
    "payers": "people",
    "conversion": "share of users",
    "invested": "USD/year",
    "surplus": "USD/year",
    "gross_margin": "share of revenue",
    "operating_margin": "share of revenue",
}


def _unit(name: str) -> str:
    """Return the unit of one outcome: by its tier, or by the longest figure that its name begins with."""
    tier, _, figure = name.partition("_")
    if tier in TIER_ORDER:
        return TIER_UNITS.get(figure.removesuffix("_run"), "")
    if "yearly_factor" in name:
        return "factor a year"
    found = [known for known in _UNITS if name == known or name.startswith(f"{known}_")]
    return _UNITS[max(found, key=len)] if found else ""
