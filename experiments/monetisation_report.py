"""Chart and HTML report of a monetisation experiment."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import formats as f
from experiments.arm_measures import UNITS
from experiments.charts import inline

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
    axis = alt.Axis(format=".2~s" if "USD" in UNITS[outcome] or UNITS[outcome] == "people" else ".2~f")
    base = alt.Chart(inline(rows)).encode(
        y=y,
        color=alt.Color("app:N", legend=alt.Legend() if several else None),
        tooltip=[alt.Tooltip("title:N", title="arm"), alt.Tooltip("app:N"), alt.Tooltip("value:Q", format=".4~s"),
                 alt.Tooltip("low:Q", format=".4~s"), alt.Tooltip("high:Q", format=".4~s")],
        **split,
    )  # fmt: skip
    bar = base.mark_bar(opacity=0.75).encode(x=alt.X("value:Q", title=title, axis=axis))
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
        ("operating_profit", "Profit a month in the last year"),
        ("users", "Users in the last year"),
        ("trust", "Trust at the end"),
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
    """Say which arm earns most, which break even, and which do not survive."""
    sentences = []
    for app in result.apps:
        profit = {arm.name: _mean(result, arm.name, app, "operating_profit") for arm in result.arms}
        known = {arm: value for arm, value in profit.items() if math.isfinite(value)}
        best = max(known, key=known.__getitem__)
        earning = [arm for arm, value in known.items() if value > 0.0]
        died = [arm for arm in known if _mean(result, arm, app, "survived") < 0.5]
        text = f"{result.names[app]} earns most by {best}, {f.money(known[best])} a month"
        text += f"; {len(earning)} of {len(known)} ways break even ({f.listed(earning)})" if earning else "; none pays"
        sentences.append(text + (f"; {f.listed(died)} end in failure." if died else "."))
    return " ".join(sentences)


def _mean(result: "MonetisationResult", arm: str, app: str, outcome: str) -> float:
    interval = result.interval(arm, app, outcome)
    return interval.estimate if interval is not None else math.nan


def _arm_table(section: "Section", result: "MonetisationResult", app: str) -> None:
    names = columns_of(result)
    rows = [
        [arm.title, *(COLUMNS[name][1](_mean(result, arm.name, app, name)) for name in names)] for arm in result.arms
    ]
    heads = ["arm", *(COLUMNS[name][0] for name in names)]
    section.table(result.names[app], heads, rows, note="Dollars a month, means of the last year.")


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
                x=alt.X("decile:O", title="decile of appetite, heaviest users last"),
                y=alt.Y("value:Q", title="revenue less compute, USD/month", axis=alt.Axis(format=".2~s")),
                color=alt.Color("arm:N", sort=[arm.name for arm in result.arms]),
                tooltip=["arm:N", "decile:O", alt.Tooltip("value:Q", format=".3~s")],
            )
            .properties(width="container", height=300, usermeta={"longest": max(len(arm.name) for arm in result.arms)})
        )
        section.chart(f"{result.names[app]}: what users of each decile leave after compute", drawn)


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
