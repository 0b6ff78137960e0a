"""The shapes of charts that all reports share: lines over time, bands, bars, stacked bars."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.outcomes import TIER_ORDER

if TYPE_CHECKING:
    import altair as alt

    from experiments.runs import Replicates, RunResult

Floats = NDArray[np.float64]
Row = dict[str, Any]

HEIGHT = 260
MOST_POINTS = 240
"""Points of a line beyond which months are left out."""
SHORT = ".3~s"
"""Number format with k, m, bn and tn."""
ABOVE_AXIS = 28
"""Pixels between plot and legend, room for the axis title that stands above the axis."""


def words_for(expression: str, number: str) -> str:
    """Return the Vega expression that writes a number; SI's M, G and T become m, bn and tn."""
    text = f"format({expression}, '{number}')"
    if number != SHORT:
        return text
    return f"replace(replace(replace({text}, 'G', 'bn'), 'M', 'm'), 'T', 'tn')"


def axis(number: str, **look: Any) -> "alt.Axis":
    """Return an axis whose labels are written as people read them."""
    import altair as alt

    return alt.Axis(labelExpr=words_for("datum.value", number), labelOverlap=True, **look)


def colours(names: Sequence[str], *, legend: bool = True, key: str = "line", above: bool = True) -> "alt.Color":
    """Return a colour channel: tiers have their own colours, everything else those of a second palette."""
    import altair as alt

    palette: Any = {} if set(names) <= set(TIER_ORDER) else {"range": "ordinal"}
    domain = [*TIER_ORDER] if not palette else list(names)
    offset: Any = {"offset": ABOVE_AXIS} if above else {}
    shown = alt.Legend(**offset) if legend else None
    return alt.Color(f"{key}:N", sort=domain, scale=alt.Scale(domain=domain, **palette), legend=shown)


def log_scale(values: Sequence[float]) -> tuple["alt.Scale", list[float]]:
    """Return a logarithmic scale that fits some positive values, and few round numbers on it."""
    import altair as alt

    low, high = min(values, default=1.0), max(values, default=10.0)
    if high / low < 2.0:
        middle = math.sqrt(low * high)
        low, high = middle / 1.5, middle * 1.5
    decades = math.log10(high / low)
    steps = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**e for e in exponents for step in steps]
    return alt.Scale(type="log", domain=[low / 1.08, high * 1.08], nice=False), [
        tick for tick in ticks if low / 1.08 <= tick <= high * 1.08
    ]


def days(run: "RunResult") -> list[str]:
    """Return the months as JavaScript reads them in local time."""
    return [f"{day}T00:00:00" for day in run.dates]


def tidy(value: float) -> float | None:
    """Return a number with six digits, None where there is none."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def long_rows(dates: Sequence[str], lines: Mapping[str, Floats]) -> list[Row]:
    """Return a row a line and month, thinned where there are too many months to see."""
    step = max(math.ceil(len(dates) / MOST_POINTS), 1)
    return [
        {"date": dates[month], "line": name, "value": tidy(float(values[month]))}
        for name, values in lines.items()
        for month in range(0, len(dates), step)
    ]


def lines(
    dates: Sequence[str],
    content: Mapping[str, Floats],
    unit: str,
    *,
    log: bool = False,
    number: str = SHORT,
    zero: bool = False,
    limits: tuple[float, float] | None = None,
    marks: Sequence[tuple[str, str, str]] = (),
) -> "alt.LayerChart":
    """Draw lines over time with tooltips.

    `content`: name -> (months,). `marks`: (date, short label, words) of events, drawn as vertical lines.
    `limits`: range of the y axis; lines are cut off there.
    """
    import altair as alt

    rows = long_rows(dates, content)
    x = _months()
    if log:
        rows = [row for row in rows if row["value"] is not None and row["value"] > 0.0]
    y = _values("value", unit, number, rows, log=log, zero=zero, limits=limits)
    tooltip = [
        alt.Tooltip("line:N", title="of"),
        alt.Tooltip("date:T", title="month", format="%B %Y"),
        alt.Tooltip("shown:N", title=unit),
    ]
    colour = colours(list(content), legend=len(content) > 1)
    base = alt.Chart(inline(rows)).encode(x=x, y=y, color=colour)
    drawn: list[Any] = [*_rules(marks, x)]
    if (zero and limits is None) or (limits and limits[0] < 0.0 < limits[1]):
        drawn.append(alt.Chart(inline([{}])).mark_rule(style="faint").encode(y=alt.datum(0)))
    drawn.append(base.mark_line(interpolate="linear"))
    points = base.transform_calculate(shown=words_for("datum.value", number))
    drawn.append(points.mark_point(size=90, opacity=0, filled=True).encode(tooltip=tooltip))
    return _sized(drawn, content)


def _sized(layers: Sequence[Any], names: Iterable[str], height: float = HEIGHT) -> "alt.LayerChart":
    """Lay charts over one another, as wide as the page allows; the longest name decides the legend's columns."""
    import altair as alt

    layered: Any = alt.layer(*layers)
    known = {"longest": max((len(name) for name in names), default=0)}
    chart: alt.LayerChart = layered.properties(width="container", height=height, usermeta=known)
    return chart


def inline(rows: Sequence[Row]) -> Any:
    """Return rows as data that is written into the chart, however many there are."""
    import altair as alt

    make: Any = alt.Data
    return make(values=list(rows))


def _months() -> "alt.X":
    import altair as alt

    return alt.X("date:T", axis=alt.Axis(format="%b %y", title=None, labelOverlap=True))


def _values(
    name: str,
    unit: str,
    number: str,
    rows: Sequence[Row],
    *,
    log: bool = False,
    zero: bool = False,
    limits: tuple[float, float] | None = None,
) -> "alt.Y":
    """Return the axis of values: fitted, from zero, logarithmic, or cut off at limits."""
    import altair as alt

    if log:
        scale, ticks = log_scale([row[key] for row in rows for key in ("value", "low", "high") if row.get(key)])
        return alt.Y(f"{name}:Q", title=unit, scale=scale, axis=axis(number, values=ticks))
    terms: dict[str, Any] = {"zero": zero} if limits is None else {"domain": list(limits), "clamp": True}
    return alt.Y(f"{name}:Q", title=unit, scale=alt.Scale(**terms), axis=axis(number))


def _rules(marks: Sequence[tuple[str, str, str]], x: "alt.X") -> list[Any]:
    """Draw events as dashed vertical lines with a short label at the top."""
    import altair as alt

    if not marks:
        return []
    rows = [[{"date": d, "label": n, "what": w} for d, n, w in marks[row::3]] for row in range(min(3, len(marks)))]
    tooltip = [alt.Tooltip("what:N", title="event"), alt.Tooltip("date:T", format="%B %Y", title="month")]
    drawn: list[Any] = []
    for row, values in enumerate(rows):
        base = alt.Chart(inline(values)).encode(x=x, tooltip=tooltip)
        label = base.mark_text(align="left", dx=3, baseline="top", fontSize=11)
        drawn.append(base.mark_rule(style="faint", strokeDash=[3, 3], strokeWidth=1.2))
        drawn.append(label.encode(y=alt.value(13 * row), text="label:N"))
    return drawn


def bands(
    dates: Sequence[str], content: Mapping[str, Floats], unit: str, *, log: bool = False, number: str = SHORT
) -> "alt.LayerChart":
    """Draw the median and the 5-95 % band over time; `content`: name -> (replicates, months)."""
    import altair as alt

    step = max(math.ceil(len(dates) / MOST_POINTS), 1)
    rows: list[Row] = []
    for name, values in content.items():
        known: Any = np.isfinite(values).all(axis=0) & (not log or (values > 0.0).all(axis=0))
        low, middle, high = np.quantile(np.where(known, values, 0.0), (0.05, 0.5, 0.95), axis=0)
        rows += [
            {"date": dates[m], "line": name, "low": tidy(low[m]), "value": tidy(middle[m]), "high": tidy(high[m])}
            for m in range(0, len(dates), step)
            if known[m]
        ]
    tooltip = [
        alt.Tooltip("line:N", title="of"),
        alt.Tooltip("date:T", title="month", format="%B %Y"),
        *(alt.Tooltip(f"{key}_shown:N", title=title) for key, title in _QUANTILES.items()),
    ]
    low_axis, middle_axis = (_values(key, unit, number, rows, log=log) for key in ("low", "value"))
    base = alt.Chart(inline(rows)).encode(x=_months(), color=colours(list(content), legend=len(content) > 1))
    shown = base.transform_calculate(**{f"{key}_shown": words_for(f"datum.{key}", number) for key in _QUANTILES})
    layers = [
        base.mark_area(opacity=0.22).encode(y=low_axis, y2="high:Q"),
        base.mark_line().encode(y=middle_axis),
        shown.mark_point(size=90, opacity=0, filled=True).encode(y=middle_axis, tooltip=tooltip),
    ]
    return _sized(layers, content)


_QUANTILES = {"value": "median", "low": "5 %", "high": "95 %"}


def bars(
    rows: Sequence[Row], unit: str, *, order: Sequence[str], number: str = ".1f", group: Sequence[str] = ()
) -> "alt.LayerChart":
    """Draw bars with their values at the end: rows of `name`, `value`, and `group` where there are several.

    Without `group` the bars have the colours of the tiers they are named after.
    """
    import altair as alt

    data = inline([{**row, "value": tidy(row["value"])} for row in rows])
    shown = words_for("datum.value", number)
    y = alt.Y("name:N", sort=list(order), title=None, axis=alt.Axis(domain=False))
    x = alt.X("value:Q", title=unit, axis=axis(number, grid=True))
    tooltip = [alt.Tooltip("name:N", title="of"), alt.Tooltip("shown:N", title=unit)]
    split: dict[str, Any] = {}
    colour = colours(order, legend=False, key="name", above=False)
    if group:
        split = {"yOffset": alt.YOffset("group:N", sort=list(group))}
        tooltip.insert(1, alt.Tooltip("group:N", title="definition"))
        scale = alt.Scale(domain=list(group), range=SHADES[: len(group)])
        colour = alt.Color("group:N", sort=list(group), scale=scale, legend=alt.Legend())
    base = alt.Chart(data).transform_calculate(shown=shown).encode(y=y, x=x, tooltip=tooltip, **split)
    bar = base.mark_bar().encode(color=colour)
    text = base.mark_text(align="left", dx=5).encode(text="shown:N")
    height = len(order) * (18 * max(len(group), 1) + 16)
    return _sized([bar, text], group, max(height, 120))


SHADES = ["#0B5A8F", "#4C9BD0", "#A5CFEA"]
"""Steps of one colour, for parts that have an order."""


_IN_BRACKETS = "split(replace(datum.label, ' (', '|('), '|')"


def stacked(
    rows: Sequence[Row],
    unit: str,
    *,
    parts: Sequence[str],
    order: Sequence[str],
    number: str = SHORT,
    most: float | None = None,
) -> "alt.Chart":
    """Draw stacked bars: rows of `name`, `part` and `value`; `most` ends the axis.

    What a name has in brackets stands on a second line.
    """
    import altair as alt

    place = {part: i for i, part in enumerate(parts)}
    data = [{**row, "value": tidy(row["value"]), "place": place[row["part"]]} for row in rows]
    scale = alt.Scale() if most is None else alt.Scale(domain=[0.0, most])
    tiers_first: Any = (
        {"range": "category"} if any(part.endswith(TIER_ORDER) for part in parts) else {"range": "ordinal"}
    )
    chart: alt.Chart = (
        alt.Chart(inline(data))
        .transform_calculate(shown=words_for("datum.value", number))
        .mark_bar(strokeWidth=0)
        .encode(
            y=alt.Y("name:N", sort=list(order), title=None, axis=alt.Axis(domain=False, labelExpr=_IN_BRACKETS)),
            x=alt.X("value:Q", title=unit, stack="zero", scale=scale, axis=axis(number, grid=True)),
            color=alt.Color("part:N", sort=list(parts), scale=alt.Scale(domain=list(parts), **tiers_first)),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("name:N", title="of"),
                alt.Tooltip("part:N", title="part"),
                alt.Tooltip("shown:N", title=unit),
            ],
        )
        .properties(width="container", height=max(len(order) * 30, 120), usermeta={"longest": max(map(len, parts))})
    )
    return chart


# --- the charts of a result, by name --------------------------------------------------------------------------


def plot(run: "RunResult", what: str) -> "alt.LayerChart":
    """Draw a field of the panel summed by tier, or a market series by region, over time."""
    from ecosystem.record import FIRM_FIELDS
    from experiments.summaries import series_unit

    if what in FIRM_FIELDS:
        values = run.field(what)
        content = {tier: values[:, run.members(tier)].sum(axis=1) for tier in TIER_ORDER}
        return lines(days(run), content, f"{what}, {FIRM_FIELDS[what]}")
    content = _series(run.markets, what)
    return lines(days(run), dict(content), f"{what}, {series_unit(what)}")


def plot_bands(many: "Replicates", what: str) -> "alt.LayerChart":
    """Draw the band of operating profit by tier, or of a market series by region, over time."""
    from experiments.summaries import series_unit

    dates = days(many.first)
    if what == "operating_profit":
        return bands(dates, many.profits, "operating profit, USD/month")
    return bands(dates, _series(many.markets, what), f"{what}, {series_unit(what)}")


def _series(markets: Mapping[str, Floats], what: str) -> dict[str, Floats]:
    """Return the series of a name, or one of each of its regions; KeyError with the known names."""
    if what in markets:
        return {what: markets[what]}
    found = {name.partition(".")[2]: values for name, values in markets.items() if name.partition(".")[0] == what}
    if not found:
        known = sorted({name.partition(".")[0] for name in markets})
        raise KeyError(f"nothing is called {what!r}; series: {', '.join(known)}; or a field of the panel")
    return found
