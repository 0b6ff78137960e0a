"""Chart, words and HTML report of an event study."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import formats as f
from experiments.charts import inline
from experiments.events_study import unit_of

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
    x = alt.X("date:T", title=None, axis=alt.Axis(format="%b %y"))
    base = alt.Chart(inline(rows)).encode(x=x)
    share = result.relative(outcome)
    measured = unit_of(outcome)
    plain = f"with the event less without{f', {measured}' if measured not in ('', '1') else ''}"
    title = "with the event over without, less one" if share else plain
    unit = "+.1%" if share else ".3~s"
    axis = alt.Axis(format="+~%" if share else unit)
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


def title(result: "ShockResult", outcome: str) -> str:
    """Say how far an outcome is from the twin's, at the last time after the event that the table has."""
    from experiments.events_study import AFTER

    after = max((after for after in AFTER if result.month + after < result.months), default=0)
    found = result.difference(outcome, result.month + after)
    words = called(result, outcome)
    name, when = (
        words[0].upper() + words[1:],
        f"{after} months after the event" if after else "in the month of the event",
    )
    if found is None:
        return f"{name}: there is nothing to compare {when}"
    ends = f"{written(result, outcome, found.low)} to {written(result, outcome, found.high)}"
    if not (found.low > 0.0 or found.high < 0.0):
        return f"{name}: with and without cannot be told apart {when} ({ends})"
    size = written(result, outcome, abs(found.estimate)).removeprefix("+")
    return f"{name}: {size} {'higher' if found.estimate > 0.0 else 'lower'} than without {when} ({ends})"


def written(result: "ShockResult", outcome: str, value: float) -> str:
    """Write a difference: a signed share, or the plain difference, in dollars with their sign."""
    if not math.isfinite(value):
        return f.NOTHING
    if result.relative(outcome):
        return _signed(value)
    write = f.money if unit_of(outcome).startswith("USD") else f.count
    return f"{'+' if value > 0.0 else ''}{write(value)}"


def _signed(share: float) -> str:
    """Write a share with its sign, but none for a zero."""
    return f"{round(100.0 * share, 1) + 0.0:+.1f} %".replace("+0.0 %", "0.0 %")


def reading(result: "ShockResult") -> str:
    """Say what the study shows in a few sentences."""
    last_month = result.months - 1 - result.month
    months = [after for after in (3, 12, 24) if after <= last_month] or [last_month]
    parts = []
    for outcome in (
        list(result.treated)[:4] if "serving_hours" not in result.treated else ["serving_hours", "hours_sold"]
    ):
        said = []
        for after in months:
            found = result.difference(outcome, result.month + after)
            if found is not None:
                said.append(f"{_cell(result, outcome, found)} after {after}")
        parts.append(f"{called(result, outcome)} {f.listed(said)} months" if said else _nothing(result, outcome))
    text = f"{'; '.join(parts)}."
    text = text[0].upper() + text[1:]
    if result.reaction:
        day = f.listed([f"{tier} {_signed(value)}" for tier, value in result.reaction.items()])
        text = f"On the news of the saving alone, equity moves on the day: {day}. {text}"
    last = result.difference("serving_hours", result.month + months[-1]) if "serving_hours" in result.treated else None
    if last is not None:
        more = "more" if last.low > 0.0 else "less" if last.high < 0.0 else "neither more nor less"
        text += f" Jevons: {months[-1]} months on the saving means {more} compute for serving."
    return text


def _nothing(result: "ShockResult", outcome: str) -> str:
    return f"{called(result, outcome)}: there is nothing to compare"


_CHART_NOTE = "Mean over pairs of runs and its 95 % interval; the dashed line is the month of the event."
ON_THE_DAY = (
    "The response on the day is what investors make of the news of the saving alone, at what firms earned before it. "
    "The values by month are those of the whole event, at the end of the month: open weights and what firms have "
    "done by then are in them. A tier can rise on the news and stand lower in that very month."
)
"""How the two answers on equity differ, where an event is news of a saving."""


def report(result: "ShockResult") -> "Report":
    """Return the report of a study."""
    from experiments.events_study import AFTER
    from experiments.reports import Report

    month = np.datetime64(result.start, "M") + np.timedelta64(result.month, "M")
    facts = {
        "scenario": result.scenario,
        "event in": f"{month} (month {result.month} after the opening)",
        "pairs of runs": str(result.replicates),
        "seed": str(result.seed),
        "source": result.shock.source,
    }
    page = Report(result.shock.title, reading(result), facts)
    section = page.section("With the event against without")
    section.text("Both worlds of a pair share their chance; the twin lacks the event and nothing else.")
    if result.reaction:
        heads = ["", *result.reaction]
        cells = [_signed(value) for value in result.reaction.values()]
        section.table("Equity on the day, by tier", heads, [["response to the news", *cells]], note=ON_THE_DAY)
    for outcome in result.treated:
        section.chart(title(result, outcome), chart(result, outcome), note=_CHART_NOTE)
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
