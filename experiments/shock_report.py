"""Chart, words and HTML report of an event study."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import formats as f
from experiments.charts import inline

if TYPE_CHECKING:
    import altair as alt

    from experiments.events_study import ShockResult
    from experiments.reports import Report


def chart(result: "ShockResult", outcome: str) -> "alt.LayerChart":
    """Draw treated over twin, less one, over time with its 95 % band; KeyError for an unknown outcome."""
    import altair as alt

    if outcome not in result.treated:
        raise KeyError(f"nothing is called {outcome!r}; there are {', '.join(result.treated)}")
    first = np.datetime64(result.start, "M")
    rows = []
    for month in range(result.months):
        found = result.difference(outcome, month)
        if found is not None and math.isfinite(found.low):
            date = f"{(first + np.timedelta64(month, 'M')).astype('datetime64[D]')}T00:00:00"
            rows.append({"date": date, "value": found.estimate, "low": found.low, "high": found.high})
    day = f"{(first + np.timedelta64(result.month, 'M')).astype('datetime64[D]')}T00:00:00"
    unit = "%" if relative(result, outcome) else ".3~s"
    axis = alt.Axis(format=unit)
    x = alt.X("date:T", title=None, axis=alt.Axis(format="%b %y"))
    base = alt.Chart(inline(rows)).encode(x=x)
    title = "with the event against without"
    band = base.mark_area(opacity=0.22).encode(y=alt.Y("low:Q", title=title, axis=axis), y2="high:Q")
    line = base.mark_line(point=True).encode(
        y=alt.Y("value:Q", title=title, axis=axis),
        tooltip=[alt.Tooltip(name, format=unit) for name in ("value:Q", "low:Q", "high:Q")],
    )
    zero = alt.Chart(inline([{}])).mark_rule().encode(y=alt.datum(0))
    mark = alt.Chart(inline([{"date": day}])).mark_rule(strokeDash=[4, 4]).encode(x="date:T")
    layered: Any = alt.layer(zero, mark, band, line)
    drawn: alt.LayerChart = layered.properties(width="container", height=240)
    return drawn


def called(result: "ShockResult", outcome: str) -> str:
    """Say an outcome in words: the field, and the tier, region or app that it is of."""
    parts = outcome.split(".")
    if parts[0] == "app":
        return f"{result.names[parts[1]]}: {parts[2].removeprefix('rev_').replace('_', ' ')}"
    field = "equity value" if parts[0] == "value" else parts[0].replace("_", " ")
    return f"{field}, {parts[1]}" if len(parts) > 1 else field


def relative(result: "ShockResult", outcome: str) -> bool:
    """Whether an outcome's difference is a share of the twin's."""
    from experiments.events_study import compared_as_ratio

    return compared_as_ratio(outcome) and bool(np.all(result.twin[outcome] > 0.0))


def written(result: "ShockResult", outcome: str, value: float) -> str:
    """Write a difference: a signed share, or the plain difference."""
    if not math.isfinite(value):
        return f.NOTHING
    if relative(result, outcome):
        return f"{100.0 * value:+.1f} %"
    return f"{'+' if value > 0.0 else ''}{f.count(value)}"


def reading(result: "ShockResult") -> str:
    """Say what the study shows in a few sentences."""
    months = [after for after in (3, 12, 24) if result.month + after < result.months]
    parts = []
    for outcome in (
        list(result.treated)[:4] if "serving_hours" not in result.treated else ["serving_hours", "hours_sold"]
    ):
        said = []
        for after in months:
            found = result.difference(outcome, result.month + after)
            if found is not None:
                said.append(f"{written(result, outcome, found.estimate)} after {after}")
        parts.append(f"{called(result, outcome)} {f.listed(said)} months")
    text = "; ".join(parts) + "."
    if result.reaction:
        day = f.listed([f"{tier} {100.0 * value:+.1f} %" for tier, value in result.reaction.items()])
        text = f"On the day equity moves: {day}. {text}"
    last = result.difference("serving_hours", result.month + months[-1]) if "serving_hours" in result.treated else None
    if last is not None:
        more = "more" if last.low > 0.0 else "less" if last.high < 0.0 else "neither more nor less"
        text += f" Jevons: {months[-1]} months on the saving means {more} compute for serving."
    return text


def report(result: "ShockResult") -> "Report":
    """Return the report of a study."""
    from experiments.events_study import AFTER
    from experiments.reports import Report

    facts = {
        "scenario": result.scenario,
        "event in month": str(result.month),
        "pairs of runs": str(result.replicates),
        "seed": str(result.seed),
        "source": result.shock.source,
    }
    page = Report(result.shock.title, reading(result), facts)
    section = page.section("With the event against without")
    section.text("Both worlds of a pair share their chance; the twin lacks the event and nothing else.")
    for outcome in result.treated:
        section.chart(called(result, outcome), chart(result, outcome))
    rows = []
    for outcome in result.treated:
        cells = []
        for after in AFTER:
            found = result.difference(outcome, result.month + after) if result.month + after < result.months else None
            cells.append(_cell(result, outcome, found))
        rows.append([called(result, outcome), *cells])
    section.table("Differences", ["outcome", *(f"{after} months" for after in AFTER)], rows)
    path = result.path()
    if path:
        section = page.section("Who cut what, and when")
        section.text(
            "The first month in which a firm's own decision was 5 % below that of the twin, two months on end."
        )
        section.table(
            "Path through named firms",
            ["firm", "tier", "decision", "months after", "least that was left"],
            [[result.names[e.firm], e.tier, e.decision, str(e.months_after), f.percent(e.deepest)] for e in path],
        )
    return page


def _cell(result: "ShockResult", outcome: str, found: Any) -> str:
    if found is None:
        return f.NOTHING
    low, high = (written(result, outcome, value) for value in (found.low, found.high))
    return f"{written(result, outcome, found.estimate)} ({low} to {high})"
