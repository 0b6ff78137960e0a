"""The charts over time: what is drawn from the recorded months, and how, as ECharts options."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.dashboards.look import Look
from experiments.outcomes import TIER_ORDER
from experiments.runs import RunResult

Floats = NDArray[np.float64]
Options = dict[str, Any]
ROOM = 320.0
"""Pixels for a legend on a phone."""
MOST_POINTS = 240
"""Months drawn at most; of a longer run only every second, third, ... is."""


@dataclass(frozen=True, slots=True)
class LineChart:
    """One chart: `content` gives the lines by name, (months,). `unit`: as the axis says it; `told`: USD, % or "1"."""

    key: str
    title: str
    unit: str
    told: str
    content: Callable[[RunResult], Mapping[str, Floats]]
    log: bool = False
    stacked: bool = False

    def options(self, run: RunResult, twin: RunResult | None, look: Look, marks: Mapping[int, str]) -> Options:
        """Return what ECharts draws: the run as full lines, the run beside it as dashed ones.

        `marks`: events by month.
        """
        step = max(-(-run.months // MOST_POINTS), 1)
        months = [day.strftime("%b %y") for day in run.dates[::step].tolist()]
        shown = self.content(run)
        series = [self._series(name, values[::step], look, i) for i, (name, values) in enumerate(shown.items())]
        if series and marks:
            series[0]["markLine"] = _mark_line(marks, step, months, look)
        if twin is not None:
            series += self._twin(self.content(twin), look, step)
        rows = _legend_rows(list(shown))
        legend = {"type": "plain" if rows <= 2 else "scroll", "top": 0, "left": 0, "icon": "roundRect"}
        legend |= {"itemWidth": 12, "itemHeight": 10}
        ink = {"textStyle": {"color": look.ink}, "pageTextStyle": {"color": look.ink}, "pageIconColor": look.ink}
        return {
            "animation": False,
            "grid": {"left": 8, "right": 26, "top": 70 if rows == 2 else 50, "bottom": 6, "containLabel": True},
            "legend": {**legend, **ink, "data": list(shown)},
            "tooltip": {"trigger": "axis", ":valueFormatter": f'told("{self.told}")', **tooltip(look)},
            "xAxis": {
                "type": "category",
                "data": months,
                "boundaryGap": False,
                "axisLine": {"lineStyle": {"color": look.soft}, "onZero": False},
                "axisTick": {"show": False},
                "axisLabel": {"color": look.soft, "hideOverlap": True, "margin": 13},
            },
            "yAxis": {
                "type": "log" if self.log else "value",
                "scale": self.log,
                "axisLabel": {"color": look.soft, ":formatter": f'told("{self.told}")', "hideOverlap": True},
                "splitLine": {"lineStyle": {"color": look.line}},
            },
            "series": series,
        }

    def _series(self, name: str, values: Floats, look: Look, place: int) -> Options:
        colour = look.colour(name, place)
        series = {
            "name": name,
            "type": "line",
            "data": _points(values, self.log),
            "showSymbol": len(values) < 2,
            "symbolSize": 6,
            "lineStyle": {"width": 2.2, "color": colour},
            "itemStyle": {"color": colour},
            "emphasis": {"disabled": True},
        }
        if self.stacked:
            series |= {"stack": "all", "areaStyle": {"color": colour, "opacity": 0.75}}
            series["lineStyle"] = {"width": 0.6, "color": colour}
        return series

    def _twin(self, content: Mapping[str, Floats], look: Look, step: int) -> list[Options]:
        """Return the dashed lines of the run beside it; of stacked parts only their sum."""
        if self.stacked:
            lines = {"all": (sum(content.values(), np.zeros(1)), look.ink)}
        else:
            lines = {name: (values, look.colour(name, i)) for i, (name, values) in enumerate(content.items())}
        return [
            {
                "name": f"{name}, beside",
                "type": "line",
                "data": _points(values[::step], self.log),
                "showSymbol": False,
                "lineStyle": {"width": 1.6, "type": "dashed", "color": colour},
                "itemStyle": {"color": colour},
                "emphasis": {"disabled": True},
            }
            for name, (values, colour) in lines.items()
        ]


def _legend_rows(names: Sequence[str]) -> int:
    """Return how many rows a legend takes on a phone, by the length of its names."""
    rows, used = 1, 0.0
    for name in names:
        wide = 6.2 * len(name) + 27.0
        if used and used + wide > ROOM:
            rows, used = rows + 1, 0.0
        used += wide
    return rows


def tooltip(look: Look) -> Options:
    """Return the colours of a tooltip."""
    return {"backgroundColor": look.paper, "borderColor": look.line, "textStyle": {"color": look.ink}, "confine": True}


def _points(values: Floats, log: bool) -> list[float | None]:
    """Return the numbers of a line, None where there is none or a logarithm has no place for it."""
    known = np.isfinite(values) & ((values > 0.0) | (not log))
    return [float(f"{v:.5g}") if k else None for v, k in zip(values.tolist(), known.tolist(), strict=True)]


def _mark_line(marks: Mapping[int, str], step: int, months: Sequence[str], look: Look) -> Options:
    """Draw events as vertical lines."""
    places = {
        min(month // step, len(months) - 1): words for month, words in marks.items() if month // step < len(months)
    }
    return {
        "symbol": "none",
        "silent": True,
        "lineStyle": {"color": look.soft, "type": "dotted", "width": 1.4},
        "label": {"color": look.soft, "position": "end", "distance": 6, "fontSize": 11},
        "data": [{"xAxis": place, "label": {"formatter": words}} for place, words in places.items()],
    }


# --- what is drawn ----------------------------------------------------------------------------------------


def _by_tier(field: str) -> Callable[[RunResult], Mapping[str, Floats]]:
    def content(run: RunResult) -> Mapping[str, Floats]:
        values = run.field(field)
        return {tier: values[:, run.members(tier)].sum(axis=1) for tier in TIER_ORDER}

    return content


def _prices(run: RunResult) -> Mapping[str, Floats]:
    """Return the prices of the first region, each 100 in the first month."""
    region = run.spec.regions[0]
    series = {
        "chip": f"chip_price.{region}",
        "accelerator-hour": f"rent.{region}",
        "Mtok, quality of early 2025": "fixed_quality_price",
        "1,000 ads": f"cpm.{region}",
    }
    shown = {name: run.markets[key] for name, key in series.items() if key in run.markets}
    return {name: 100.0 * values / values[0] for name, values in shown.items() if values[0] > 0.0}


def _users(run: RunResult) -> Mapping[str, Floats]:
    return {region: run.markets[f"users.{region}"] for region in run.spec.regions}


def _paid_share(run: RunResult) -> Mapping[str, Floats]:
    return {
        region: 100.0 * run.markets[f"payers.{region}"] / np.maximum(run.markets[f"users.{region}"], 1.0)
        for region in run.spec.regions
    }


API_CALLS = "rev_api_calls"
STREAMS = {
    "rev_subscriptions": "subscriptions",
    "rev_metered": "metered use",
    "rev_advertising": "advertising",
    API_CALLS: "search calls",
    "rev_commission": "commissions",
    "rev_other": "other ways",
}


def _streams(run: RunResult) -> Mapping[str, Floats]:
    """Return what final buyers pay, by stream: what apps earn, and tokens that enterprises buy; empty ones left out."""
    earned = {field: run.field(field).sum(axis=1) for field in STREAMS}
    final = sum((values for field, values in earned.items() if field != API_CALLS), np.zeros(run.months))
    content = {"tokens to enterprises": run.markets["final_demand"] - final}
    content |= {STREAMS[field]: values for field, values in earned.items()}
    return {name: values for name, values in content.items() if values.any()}


CHARTS: tuple[LineChart, ...] = (
    LineChart("profit", "Operating profit by tier", "USD a month", "USD", _by_tier("operating_profit")),
    LineChart("prices", "Prices", "first month = 100, logarithmic", "1", _prices, log=True),
    LineChart("users", "Users of AI apps by region", "people", "1", _users),
    LineChart("paid", "Share of users who pay", "% of users", "%", _paid_share),
    LineChart("streams", "Revenue by stream", "USD a month", "USD", _streams, stacked=True),
    LineChart("cash", "Cash by tier", "USD", "USD", _by_tier("cash")),
)
"""The charts over time, in the order of the page."""
