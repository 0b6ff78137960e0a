"""Chart and HTML report of a monetisation experiment."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import formats as f
from experiments.arm_measures import UNITS
from experiments.charts import ABOVE_AXIS, SHORT, axis, inline

if TYPE_CHECKING:
    import altair as alt

    from experiments.monetisation import MonetisationResult
    from experiments.monetisation_questions import Question
    from experiments.reports import Report, Section

COLUMNS: dict[str, tuple[str, Any]] = {
    "users": ("users", f.count),
    "paid_share": ("paid share", f.percent),
    "break_even_paid_share": ("break-even paid share", f.percent),
    "churn": ("churn of payers", f.percent),
    "subscriptions": ("subscriptions", f.money),
    "advertising": ("ads", f.money),
    "api_calls": ("API", f.money),
    "commission": ("commission", f.money),
    "other": ("own ways", f.money),
    "compute_cost": ("compute", f.money),
    "gross_margin": ("gross margin", f.percent),
    "operating_profit": ("profit", f.money),
    "operating_margin": ("operating margin", f.percent),
    "profit_per_user": ("profit per user", f.money),
    "runway": ("runway", f.digits),
    "trust": ("trust", f.digits),
    "survived": ("survived", f.percent),
    "surplus": ("consumer surplus", f.money),
    "labs_revenue": ("labs' revenue", f.money),
    "chips_revenue": ("chips' revenue", f.money),
}
"""Columns of the tables of arms: what they are called and how they are written."""


COLOURS = 11
"""Colours of the theme for lines; further lines take them again, dashed."""


def columns_of(result: "MonetisationResult", names: Iterable[str] = COLUMNS) -> list[str]:
    """Return the columns that say something of a result: `other` only where an own way of earning brought money."""
    other = result.values[..., list(UNITS).index("other")]
    return [name for name in names if name != "other" or np.any(other[np.isfinite(other)] != 0.0)]


def chart(result: "MonetisationResult", outcome: str) -> "alt.LayerChart":
    """Draw one outcome of every arm with its 95 % interval; KeyError for an unknown outcome."""
    import altair as alt

    rows = []
    for app in result.apps:
        for arm in result.arms:
            interval = result.interval(arm.name, app, outcome)
            if interval is not None:
                low, high = (x if math.isfinite(x) else interval.estimate for x in (interval.low, interval.high))
                rows.append({"app": result.names[app], "arm": arm.name, "title": arm.title,
                             "value": interval.estimate, "low": low, "high": high})  # fmt: skip
    several = len(result.apps) > 1
    title = f"{outcome.replace('_', ' ')}, {UNITS[outcome]}"
    order = [arm.name for arm in result.arms]
    y = alt.Y("arm:N", sort=order, title=None, axis=alt.Axis(domain=False))
    split: dict[str, Any] = {"yOffset": alt.YOffset("app:N")} if several else {}
    number = SHORT if "USD" in UNITS[outcome] or UNITS[outcome] == "people" else ".2~f"
    scale = axis(number, grid=True, tickCount=5)
    base = alt.Chart(inline(rows)).encode(
        y=y,
        color=alt.Color("app:N", legend=alt.Legend() if several else None),
        tooltip=[alt.Tooltip("title:N", title="arm"), alt.Tooltip("app:N"), alt.Tooltip("value:Q", format=".4~s"),
                 alt.Tooltip("low:Q", format=".4~s"), alt.Tooltip("high:Q", format=".4~s")],
        **split,
    )  # fmt: skip
    bar = base.mark_bar(opacity=0.75).encode(x=alt.X("value:Q", title=title, axis=scale))
    span = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    height = max(len(order) * (14 + 12 * len(result.apps)), 120)
    layered: Any = alt.layer(bar, span)
    drawn: alt.LayerChart = layered.properties(width="container", height=height)
    return drawn


def report(result: "MonetisationResult") -> "Report":
    """Return the report of an experiment."""
    from experiments.reports import Report

    names = f.listed([result.names[app] for app in result.apps])
    facts = {
        "scenario": result.scenario,
        "months": str(result.months),
        "replicates": f"{result.replicates}{' (stopped early)' if result.stopped_early else ''}",
        "seed": str(result.seed),
        "control": result.control,
    }
    page = Report(f"Ways of earning: {names}", lead(result), facts)
    section = page.section("What each way of earning brings")
    for outcome, words in (
        ("operating_profit", _profit_words(result)),
        ("users", _ends_words(result, "users", "Users in the last year are most by")),
        ("trust", _ends_words(result, "trust", "Trust at the end is highest by")),
    ):
        section.chart(words, chart(result, outcome), note="Bars are means, lines their 95 % intervals.")
    for app in result.apps:
        _arm_table(section, result, app)
    section = page.section(f"Against {result.control}")
    section.text(
        "Differences are paired: both arms of a replicate share their chance. P values are Holm's, over all "
        "comparisons of the experiment."
    )
    for app in result.apps:
        _difference_table(section, result, app)
    _deciles(page.section("For whom it pays: by decile of appetite"), result)
    if result.answers is not None:
        section = page.section("The standing questions")
        for question in result.answers.questions:
            section.text(f"{question.question} {question.answer}")
            _question_table(section, question)
    return page


def lead(result: "MonetisationResult") -> str:
    """Say which arm earns most, which surely break even, which may, and which do not survive."""
    sentences = []
    for app in result.apps:
        profit = _means(result, app, "operating_profit")
        if not profit:
            sentences.append(f"{result.names[app]} has no profit to speak of: no run came to its end.")
            continue
        best = max(profit, key=profit.__getitem__)
        text = f"{result.names[app]} earns most by {best}, {_spanned(result, best, app, 'operating_profit')} a month"
        by = _by_verdict(result, app)
        text += f"; {len(by['yes'])} of {len(profit)} ways break even"
        text += f" ({f.listed(by['yes'])})" if by["yes"] else ""
        text += f", {len(by['open'])} may or may not ({f.listed(by['open'])})" if by["open"] else ""
        died = [arm for arm in profit if _mean(result, arm, app, "survived") < 0.5]
        sentences.append(text + (f"; {f.listed(died)} end in failure." if died else "."))
    return " ".join(sentences)


def _by_verdict(result: "MonetisationResult", app: str) -> dict[str, list[str]]:
    """Return the arms of an app by whether they break even."""
    found: dict[str, list[str]] = {"yes": [], "no": [], "open": []}
    for arm in _means(result, app, "operating_profit"):
        found[result.breaks_even(arm, app)].append(arm)
    return found


def _profit_words(result: "MonetisationResult") -> str:
    """Say of how many ways the interval of profit lies above zero, below, or includes it."""
    parts = []
    for app in result.apps:
        counts = {verdict: len(arms) for verdict, arms in _by_verdict(result, app).items()}
        text = f"{result.names[app]} breaks even by {counts['yes']} of {sum(counts.values())} ways"
        text += f", surely not by {counts['no']}" if counts["no"] else ""
        parts.append(text + (f", {counts['open']} are open" if counts["open"] else ""))
    return "; ".join(parts)


def _ends_words(result: "MonetisationResult", outcome: str, words: str) -> str:
    """Say by which ways an outcome is highest and lowest, app by app."""
    parts = []
    for app in result.apps:
        known, write = _means(result, app, outcome), COLUMNS[outcome][1]
        if not known:
            continue
        most, least = (choose(known, key=known.__getitem__) for choose in (max, min))
        of = f" for {result.names[app]}" if len(result.apps) > 1 else ""
        if write(known[most]) == write(known[least]):
            parts.append(f"all ways alike ({write(known[most])}){of}")
            continue
        parts.append(f"{most} ({write(known[most])}), least by {least} ({write(known[least])}){of}")
    return f"{words} {'; '.join(parts)}"


def _means(result: "MonetisationResult", app: str, outcome: str) -> dict[str, float]:
    """Return the mean of an outcome by arm, those without one left out."""
    found = {arm.name: _mean(result, arm.name, app, outcome) for arm in result.arms}
    return {arm: value for arm, value in found.items() if math.isfinite(value)}


def _spanned(result: "MonetisationResult", arm: str, app: str, outcome: str) -> str:
    """Write the mean of an outcome with its interval."""
    found, write = result.interval(arm, app, outcome), COLUMNS[outcome][1]
    if found is None:
        return f.NOTHING
    known = math.isfinite(found.low) and math.isfinite(found.high)
    return f"{write(found.estimate)} ({write(found.low)} to {write(found.high)})" if known else write(found.estimate)


def _mean(result: "MonetisationResult", arm: str, app: str, outcome: str) -> float:
    interval = result.interval(arm, app, outcome)
    return interval.estimate if interval is not None else math.nan


def _arm_table(section: "Section", result: "MonetisationResult", app: str) -> None:
    names = columns_of(result)
    names.remove("operating_profit")
    rows = []
    for arm in result.arms:
        cells = [COLUMNS[name][1](_mean(result, arm.name, app, name)) for name in names]
        profit = [_spanned(result, arm.name, app, "operating_profit"), result.breaks_even(arm.name, app)]
        rows.append([arm.title, *profit, *cells])
    heads = ["profit (95 % interval)", "breaks even", *(COLUMNS[name][0] for name in names)]
    section.table(result.names[app], ["arm", *heads], rows, note=_ARMS_NOTE)


_DECILES_NOTE = "Means over replicates in the last month; compute is what serving them costs."
_ARMS_NOTE = (
    "Dollars a month, means of the last year; profit a user in dollars a month, runway in months, trust against 1 at "
    "the opening. Breaks even: yes where the whole interval of profit lies above zero, no where it lies below or the "
    "app fails in most replicates, else open; the interval that decides is wider than the 95 % interval shown, so that "
    "all ways of an app together are wrong in one experiment of twenty at most."
)


def _difference_table(section: "Section", result: "MonetisationResult", app: str) -> None:
    rows = []
    for each in result.comparisons:
        if each.app == app and each.outcome in (
            "users",
            "operating_profit",
            "profit_per_user",
            "surplus",
            "labs_revenue",
        ):
            interval = each.difference.interval
            write = COLUMNS[each.outcome][1]
            rows.append([each.arm, each.outcome.replace("_", " "), write(interval.estimate),
                         f"{write(interval.low)} to {write(interval.high)}", f.digits(each.adjusted),
                         f.count(each.needed) if each.needed else "settled"])  # fmt: skip
    heads = ["arm", "outcome", "difference", "95 % interval", "p (Holm)", "replicates needed"]
    section.table(result.names[app], heads, rows, folded=True)


def _deciles(section: "Section", result: "MonetisationResult") -> None:
    from experiments.charts import tidy

    import altair as alt  # isort: skip

    table = result.by_decile().reset_index()
    arms = [arm.name for arm in result.arms]
    legend = alt.Legend(offset=ABOVE_AXIS, symbolType="stroke", symbolStrokeWidth=3)
    dashes = [[1, 0] if i < COLOURS else [5, 3] for i in range(len(arms))]
    for app in result.apps:
        own = table[table["app"] == app]
        rows = [
            {"arm": row["arm"], "decile": int(row["decile"]), "value": tidy(float(row["margin"]))}
            for row in own.to_dict("records")
            if np.isfinite(row["margin"])
        ]
        drawn = (
            alt.Chart(inline(rows))
            .mark_line(point=True)
            .encode(
                x=alt.X("decile:O", title="decile of appetite, heaviest users last", axis=alt.Axis(labelAngle=0)),
                y=alt.Y("value:Q", title="revenue less compute, USD/month", axis=axis(SHORT)),
                color=alt.Color("arm:N", sort=arms, scale=alt.Scale(domain=arms), legend=legend),
                strokeDash=alt.StrokeDash(
                    "arm:N", sort=arms, scale=alt.Scale(domain=arms, range=dashes), legend=legend
                ),
                tooltip=["arm:N", "decile:O", alt.Tooltip("value:Q", format=".3~s")],
            )
            .properties(width="container", height=300, usermeta={"longest": max(len(arm.name) for arm in result.arms)})
        )
        heaviest = own[(own["decile"] == 10) & np.isfinite(own["margin"])]
        costly = int((heaviest["margin"] < 0.0).sum())
        words = f"The heaviest tenth of {result.names[app]}'s users cost more than they bring in {costly} of "
        words += f"{len(heaviest)} ways of earning"
        section.chart(words, drawn, note=_DECILES_NOTE, wide=True)


def _question_table(section: "Section", question: "Question") -> None:
    kept = ("total_profit", "operating_profit", "gross_margin", "paid_share", "churn", "users", "trust")
    labels = [name for name in question.rows[0] if name not in kept and name not in _LAB_COLUMNS]
    columns = [*labels, *(_LAB_COLUMNS if question.name == "open-weights" else kept)]
    write = {**{name: pair[1] for name, pair in COLUMNS.items()}, "total_profit": f.money, **_LAB_COLUMNS}
    rows = [
        [write[name](row[name]) if name in write else f"{row[name]:g}" if isinstance(row[name], float) else row[name]
         for name in columns]
        for row in question.rows
    ]  # fmt: skip
    section.table(question.name, [name.replace("_", " ") for name in columns], rows, folded=True)


_LAB_COLUMNS: dict[str, Any] = {
    "token_sales": f.money,
    "api_revenue": f.money,
    "api_price": f.digits,
    "closed_margin": f.percent,
}
