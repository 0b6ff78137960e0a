"""Charts of sweeps and of what is found in them: spreads, rank correlations, scatters, indices, boxes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.charts import ABOVE_AXIS, SHADES, SHORT, Row, axis, colours, inline, tidy, words_for
from experiments.outcome_words import short_path
from experiments.outcomes import Floats

if TYPE_CHECKING:
    import altair as alt

MOST_DOTS = 1_500
"""Dots of a scatter beyond which some are left out."""
LINES_OF_LABEL = "split(replace(datum.label, '.', '.|'), '|')"
"""Vega expression that breaks the label of a factor after its first part."""
DIVERGING = ["#B35806", "#F1A340", "#F5F5F5", "#998EC3", "#542788"]


def spreads(rows: Sequence[Row], unit: str, *, number: str = SHORT) -> "alt.LayerChart":
    """Draw what runs come to: a line from 5 to 95 %, a bar between the quartiles, a tick at the median.

    Rows of `name`, `low`, `quarter`, `median`, `three_quarters`, `high`.
    """
    import altair as alt

    order = [str(row["name"]) for row in rows]
    data = inline([{k: v if isinstance(v, str) else tidy(v) for k, v in row.items()} for row in rows])
    told = {"low": "5 %", "median": "median", "high": "95 %"}
    tooltip = [alt.Tooltip("name:N", title="of"), *(alt.Tooltip(f"{k}_shown:N", title=v) for k, v in told.items())]
    base = (
        alt.Chart(data)
        .transform_calculate(**{f"{key}_shown": words_for(f"datum.{key}", number) for key in told})
        .encode(
            y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(domain=False)),
            color=colours(order, legend=False, key="name", above=False),
            tooltip=tooltip,
        )
    )
    x = alt.X("low:Q", title=unit, axis=axis(number, grid=True), scale=alt.Scale(zero=True))
    line = base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q")
    bar = base.mark_bar(opacity=0.55, height=16).encode(x="quarter:Q", x2="three_quarters:Q")
    tick = base.mark_tick(thickness=3, height=20, style="strong").encode(x="median:Q", color=alt.Undefined)
    zero = alt.Chart(inline([{}])).mark_rule(style="faint").encode(x=alt.datum(0))
    return _laid([zero, line, bar, tick], max(34 * len(order), 120))


def correlations(rows: Sequence[Row], factors: Sequence[str], outcomes: Sequence[str]) -> "alt.LayerChart":
    """Draw rank correlations as a table of colours: rows of `factor`, `path`, `outcome`, `value`, `span`."""
    import altair as alt

    data = inline([{**row, "value": tidy(row["value"])} for row in rows])
    scale = alt.Scale(domain=[-1.0, 1.0], range=DIVERGING)
    base = (
        alt.Chart(data)
        .transform_calculate(shown="format(datum.value, '+.2f')")
        .encode(
            x=alt.X("outcome:N", sort=list(outcomes), title=None, axis=alt.Axis(orient="top", labelAngle=0)),
            y=alt.Y(
                "factor:N",
                sort=list(factors),
                title=None,
                axis=alt.Axis(labelExpr=LINES_OF_LABEL, labelOffset=-6, domain=False),
            ),
            tooltip=[
                alt.Tooltip("path:N", title="factor"),
                alt.Tooltip("outcome:N", title="operating profit of"),
                alt.Tooltip("shown:N", title="rank correlation"),
                alt.Tooltip("span:N", title="95 % interval"),
            ],
        )
    )
    cells = base.mark_rect().encode(color=alt.Color("value:Q", scale=scale, legend=None))
    dark = "abs(datum.value) >= 0.6"
    words = base.mark_text(fontSize=11).encode(
        text="shown:N", color=alt.condition(dark, alt.value("#ffffff"), alt.value("#23282d"))
    )
    return _laid([cells, words], 34 * len(factors) + 24)


def scatter(
    x: Sequence[Any], y: Floats, factor: Mapping[str, Any], unit: str, *, number: str = SHORT, tier: str = ""
) -> "alt.Chart":
    """Draw one outcome against one factor, a dot a run; `factor` is a row of the summary."""
    import altair as alt

    step = max(len(y) // MOST_DOTS, 1)
    rows = [{"x": _cell(a), "y": tidy(float(b))} for a, b in list(zip(x, y, strict=True))[::step]]
    rows = [row for row in rows if row["y"] is not None]
    numeric = all(isinstance(row["x"], float) for row in rows)
    title = f"{factor['path']}" + (f", {factor['unit']}" if factor["unit"] not in {"", "1"} else "")
    scale = alt.Scale(type="log", nice=False, padding=8) if factor["log"] else alt.Scale(zero=False, padding=8)
    across = alt.X("x:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5, labelOverlap=True))
    shown_y, shown_x = words_for("datum.y", number), "isNumber(datum.x) ? format(datum.x, '.4~g') : datum.x"
    colour = colours([tier], legend=False, key="tier", above=False) if tier else alt.Undefined
    chart: alt.Chart = (
        alt.Chart(inline([{**row, "tier": tier} for row in rows]))
        .transform_calculate(shown_y=shown_y, shown_x=shown_x)
        .mark_point(filled=True, size=26, opacity=0.45)
        .encode(
            x=across if numeric else alt.X("x:N", title=title, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("y:Q", title=unit, axis=axis(number), scale=alt.Scale(zero=False)),
            color=colour,
            tooltip=[
                alt.Tooltip("shown_x:N", title=short_path(factor["path"])),
                alt.Tooltip("shown_y:N", title=unit),
            ],
        )
        .properties(width="container", height=230)
    )
    return chart


def indices(rows: Sequence[Row], unit: str, *, order: Sequence[str], kinds: Sequence[str]) -> "alt.LayerChart":
    """Draw indices of sensitivity as bars with their intervals: rows of `factor`, `path`, `index`, `value`, `low`,
    `high`; `order` of the factors, `kinds` of the indices."""
    import altair as alt

    number = ".2f" if unit == "share of variance" else SHORT
    data = inline([{**row, **{key: tidy(row[key]) for key in ("value", "low", "high")}} for row in rows])
    told = {"value": "estimate", "low": "2.5 %", "high": "97.5 %"}
    several = len(kinds) > 1
    split: dict[str, Any] = {"yOffset": alt.YOffset("index:N", sort=list(kinds))} if several else {}
    base = (
        alt.Chart(data)
        .transform_calculate(**{f"{key}_shown": words_for(f"datum.{key}", number) for key in told})
        .encode(
            y=alt.Y(
                "factor:N",
                sort=list(order),
                title=None,
                axis=alt.Axis(labelExpr=LINES_OF_LABEL, labelOffset=-6, domain=False),
            ),
            tooltip=[
                alt.Tooltip("path:N", title="factor"),
                alt.Tooltip("index:N", title="index"),
                *(alt.Tooltip(f"{key}_shown:N", title=title) for key, title in told.items()),
            ],
            **split,
        )
    )
    scale = alt.Scale(domain=list(kinds), range=SHADES[: len(kinds)])
    colour = alt.Color("index:N", sort=list(kinds), scale=scale, legend=alt.Legend() if several else None)
    bars = base.mark_bar().encode(
        x=alt.X("value:Q", title=unit, axis=axis(number, grid=True, labelFlush=True)), color=colour
    )
    rules = base.mark_rule(style="strong", strokeWidth=1.6).encode(x="low:Q", x2="high:Q")
    return _laid([bars, rules], 36 * len(order) + 20)


def screening(rows: Sequence[Row], unit: str) -> "alt.LayerChart":
    """Draw Morris's plane: the spread of a factor's effect over its mean size; rows of `factor`, `path`, `mu_star`,
    `sigma`."""
    import altair as alt

    data = inline([{**row, "mu_star": tidy(row["mu_star"]), "sigma": tidy(row["sigma"])} for row in rows])
    base = (
        alt.Chart(data)
        .transform_calculate(x=words_for("datum.mu_star", SHORT), y=words_for("datum.sigma", SHORT))
        .encode(
            x=alt.X("mu_star:Q", title=f"mean size of the effect (mu*), {unit}", axis=axis(SHORT, labelFlush=True)),
            y=alt.Y("sigma:Q", title=f"its spread (sigma), {unit}", axis=axis(SHORT)),
            tooltip=[
                alt.Tooltip("path:N", title="factor"),
                alt.Tooltip("x:N", title="mu*"),
                alt.Tooltip("y:N", title="sigma"),
            ],
        )
    )
    most = max((float(row["mu_star"]) for row in rows), default=0.0)
    named = base.transform_filter(f"datum.mu_star > {0.25 * most!r}")
    even = alt.Chart(inline([{"x": 0.0, "y": 0.0}, {"x": most, "y": most}])).mark_line(style="faint", strokeDash=[3, 3])
    drawn = [
        even.encode(x=alt.X("x:Q"), y=alt.Y("y:Q")),
        base.mark_point(filled=True, size=70),
        named.mark_text(align="right", dx=-8, dy=-6).encode(text="factor:N"),
    ]
    return _laid(drawn, 300)


def trade_off(rows: Sequence[Row]) -> "alt.LayerChart":
    """Draw density over coverage of boxes: rows of `coverage`, `density`, `limits`, `chosen`."""
    import altair as alt

    share = alt.Axis(format="%", tickCount=5, grid=True)
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("coverage:Q", title="coverage: share of all hits in the box", axis=share, scale=_UNIT),
        y=alt.Y("density:Q", title="density: share of hits in the box", axis=share, scale=_UNIT),
        tooltip=[
            alt.Tooltip("coverage:Q", format=".0%"),
            alt.Tooltip("density:Q", format=".0%"),
            alt.Tooltip("limits:Q", title="limits"),
        ],
    )
    line = base.mark_line(style="faint").encode(order="place:Q")
    dots = base.mark_point(filled=True, size=50)
    chosen = base.transform_filter("datum.chosen").mark_point(size=260, strokeWidth=2.5, style="strong", filled=False)
    return _laid([line, dots, chosen], 300)


_UNIT: Any = {"domain": [0, 1]}


def limits(rows: Sequence[Row]) -> "alt.LayerChart":
    """Draw the limits of a box as parts of what was tried: rows of `factor`, `path`, `from`, `to` (0 to 1), `words`."""
    import altair as alt

    order = [row["factor"] for row in rows]
    y = alt.Y("factor:N", sort=order, title=None, axis=alt.Axis(labelExpr=LINES_OF_LABEL, labelOffset=-6, domain=False))
    ends = alt.Axis(values=[0, 1], labelExpr="datum.value ? 'highest tried' : 'lowest tried'", labelFlush=True)
    tooltip = [alt.Tooltip("path:N", title="factor"), alt.Tooltip("words:N", title="limits")]
    base = alt.Chart(inline(rows)).encode(y=y, tooltip=tooltip)
    whole = base.mark_bar(height=10, opacity=0.25, style="faint").encode(x=alt.datum(0), x2=alt.datum(1))
    part = base.mark_bar(height=16).encode(x=alt.X("from:Q", title=None, axis=ends, scale=_UNIT), x2="to:Q")
    words = base.mark_text(dy=-15, align="left").encode(x=alt.datum(0), text="words:N")
    return _laid([whole, part, words], 56 * len(rows) + 20)


def box_scatter(rows: Sequence[Row], titles: tuple[str, str], box: Row) -> "alt.LayerChart":
    """Draw runs over two factors, those of interest in colour, and the box: rows of `x`, `y`, `hit`; `box` of `x`,
    `x2`, `y`, `y2`."""
    import altair as alt

    names = ["holds", "does not"]
    points = (
        alt.Chart(inline(rows))
        .mark_point(filled=True, size=34, opacity=0.6)
        .encode(
            x=alt.X("x:Q", title=titles[0], scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(tickCount=5)),
            y=alt.Y("y:Q", title=titles[1], scale=alt.Scale(zero=False, padding=12)),
            color=alt.Color(
                "hit:N",
                sort=names,
                scale=alt.Scale(domain=names, range=["#E69F00", "#8A9199"]),
                legend=alt.Legend(offset=ABOVE_AXIS),
            ),
        )
    )
    frame = alt.Chart(inline([box])).mark_rect(fillOpacity=0.0, strokeWidth=2.0, style="strong")
    drawn = frame.encode(x="x:Q", x2="x2:Q", y="y:Q", y2="y2:Q")
    return _laid([points, drawn], 300)


def differences(rows: Sequence[Row]) -> "alt.LayerChart":
    """Draw relative differences as bars from zero: rows of `outcome`, `relative`, `words`."""
    import altair as alt

    order = [row["outcome"] for row in rows]
    base = alt.Chart(inline([{**row, "relative": tidy(row["relative"])} for row in rows])).encode(
        y=alt.Y("outcome:N", sort=order, title=None, axis=alt.Axis(domain=False, labelLimit=240)),
        tooltip=[alt.Tooltip("outcome:N"), alt.Tooltip("words:N", title="A to B")],
    )
    x = alt.X("relative:Q", title="B against A", axis=alt.Axis(format="+.0%", grid=True, labelOverlap=True))
    bar = base.mark_bar().encode(
        x=x, color=alt.condition("datum.relative > 0", alt.value("#0072B2"), alt.value("#D55E00"))
    )
    zero = alt.Chart(inline([{}])).mark_rule(style="faint").encode(x=alt.datum(0))
    return _laid([bar, zero], max(22 * len(rows), 100))


def _laid(layers: Sequence[Any], height: float) -> "alt.LayerChart":
    """Lay charts over one another, as wide as the page allows."""
    import altair as alt

    layered: Any = alt.layer(*layers)
    chart: alt.LayerChart = layered.properties(width="container", height=height)
    return chart


def _cell(value: Any) -> float | str:
    if isinstance(value, bool | np.bool_ | str):
        return str(value).lower()
    return float(value)
