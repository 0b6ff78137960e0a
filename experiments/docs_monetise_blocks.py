"""Blocks of the page on experiments that tell of ways of earning."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.docs_words import made, number, pivot, runs_of, spanned, table

if TYPE_CHECKING:
    from experiments.docs_experiments import Results

Rows = list[Mapping[str, Any]]
PROFIT = "operating_profit"
"""The outcome that is shown with its interval, compared with the control, and decides on breaking even."""


def made_line(results: "Results") -> str:
    """Say what made the experiment."""
    said = results["monetise"]
    what = f"{said['replicates']} replicates, {said['months']} months, seed {said['seed']}, control {said['control']}"
    return made(results, "monetise", what)


def arm_tables(results: "Results") -> str:
    """Return a table of arms for every app, with what they come to against the control."""
    said = results["monetise"]
    heads = ("way of earning", "users", "paid share", "break-even paid share", "gross margin", "profit a month",
             "against", "p", "needed", "breaks even", "deciles that pay")  # fmt: skip
    parts = []
    for app, name in said["names"].items():
        rows = [_arm_row(said, app, arm, about["title"]) for arm, about in said["arms"].items()]
        parts += [f"**{name}**", table(heads, rows)]
    return "\n\n".join(parts)


def _arm_row(said: Mapping[str, Any], app: str, arm: str, title: str) -> list[str]:
    def one(rows: Rows, outcome: str | None = None) -> Mapping[str, Any]:
        return next(
            (r for r in rows if r["app"] == app and r["arm"] == arm and outcome in (None, r.get("outcome"))), {}
        )

    mean, profit = one(said["outcomes"]), one(said["intervals"], PROFIT)
    against = one(said["differences"], PROFIT)
    difference = spanned(f.money, against.get("low"), against.get("high"), against.get("difference", math.nan))
    return [
        f"`{arm}` {title}",
        f.count(number(mean["users"])),
        f.percent(number(mean["paid_share"])),
        f.percent(number(mean["break_even_paid_share"])),
        f.percent(number(mean["gross_margin"])),
        spanned(f.money, profit["low"], profit["high"], profit["mean"]),
        "control" if arm == said["control"] else difference,
        f.digits(number(against.get("p_adjusted"))),
        _needed(against.get("replicates_needed")),
        breaks_even(said, app, arm),
        paying_deciles(said, app, arm),
    ]


def _needed(replicates: float | None) -> str:
    return f.NOTHING if replicates is None else f.count(replicates) if replicates else "settled"


def breaks_even(said: Mapping[str, Any], app: str, arm: str) -> str:
    """Say whether an arm breaks even, as the report does; or that the app failed in it."""
    mean = next(r for r in said["outcomes"] if r["app"] == app and r["arm"] == arm)
    words: str = mean["breaks_even"]
    return f"{words}, fails" if number(mean["survived"]) < 0.5 else words


def paying_deciles(said: Mapping[str, Any], app: str, arm: str) -> str:
    """Return the deciles of appetite whose users bring more than their compute costs."""
    rows = [r for r in said["by_decile"] if r["app"] == app and r["arm"] == arm]
    if not any(number(row["users"]) > 0.0 for row in rows):
        return f.NOTHING
    return runs_of([int(row["decile"]) for row in rows if number(row["margin"]) > 0.0])


def break_even(results: "Results") -> str:
    """Say of every app which ways break even and for which users."""
    said = results["monetise"]
    sentences = []
    for app, name in said["names"].items():
        by: dict[str, list[str]] = {}
        for arm in said["arms"]:
            by.setdefault(breaks_even(said, app, arm), []).append(f"`{arm}`")
        parts = [
            f"{words} {f.listed(by[key])}"
            for key, words in (
                ("yes", "breaks even by"), ("open", "may or may not by"), ("no", "loses by"),
                ("no, fails", "does not live to the end by"),
            )
            if key in by
        ]  # fmt: skip
        heaviest = [
            f"`{arm}`"
            for arm in said["arms"]
            if (paid := paying_deciles(said, app, arm)) not in (f.NOTHING, "none") and not paid.endswith("10")
        ]
        text = f"**{name}** {'; '.join(parts)}."
        profit = {r["arm"]: number(r["operating_profit"]) for r in said["outcomes"] if r["app"] == app}
        best = max((arm for arm in profit if math.isfinite(profit[arm])), key=lambda arm: profit[arm])
        text += f" It earns most by `{best}`, {f.money(profit[best])} a month."
        if heaviest:
            text += f" Its heaviest users cost more than they bring in {f.listed(heaviest)}, though others pay."
        sentences.append(text)
    return "\n\n".join(sentences)


def _question(results: "Results", name: str) -> tuple[str, Rows]:
    found = results["monetise"]["questions"][name]
    return str(found["answer"]), found["rows"]


def ad_load(results: "Results") -> str:
    """Answer the question on ad load: profit over the run and trust at the end."""
    answer, rows = _question(results, "ad-load")
    cells = pivot(
        rows, "load", "sensitivity",
        lambda row: f"{f.money(number(row['total_profit']))} (trust {f.digits(number(row['trust']))})",
        "an ad costs {} x",
    )  # fmt: skip
    note = (
        "Profit over the run, and trust at the end, by ads a commercial query and by what an ad costs in trust and use."
    )
    return f"{answer}\n\n{note}\n\n{cells}"


def quota(results: "Results") -> str:
    """Answer the question on quotas."""
    answer, rows = _question(results, "quota")
    lines = [
        [
            "none" if number(row["quota"]) >= 1e9 else f.count(number(row["quota"])),
            f.percent(number(row["gross_margin"])),
            f.percent(number(row["paid_share"])),
            f.percent(number(row["churn"])),
            f.count(number(row["users"])),
            f.money(number(row["operating_profit"])),
        ]
        for row in rows
    ]
    heads = ("free queries a month", "gross margin", "paid share", "churn of payers a month", "users", "profit a month")
    return f"{answer}\n\n{table(heads, lines)}"


def willingness(results: "Results") -> str:
    """Answer the question on low willingness to pay."""
    answer, rows = _question(results, "willingness")
    cells = pivot(
        rows, "price", "willingness",
        lambda row: f"{f.money(number(row['operating_profit']))} ({f.percent(number(row['paid_share']))} pay)",
        "willingness {} x",
    )  # fmt: skip
    return f"{answer}\n\nProfit a month and paid share, by the fee and by what people would pay.\n\n{cells}"


def open_weights(results: "Results") -> str:
    """Answer the question on answers by API with open weights."""
    answer, rows = _question(results, "open-weights")
    lines = [
        [
            str(row["weights"]),
            f.money(number(row["api_revenue"])),
            f.money(number(row["api_price"])),
            f.percent(number(row["closed_margin"])),
            f.money(number(row["token_sales"])),
        ]
        for row in rows
    ]
    heads = (
        "weights",
        "sold to enterprises, last month",
        "a Mtok of early 2025 quality",
        "gross margin of closed labs",
        "tokens sold by labs over the run",
    )
    own = _resale(results)
    return f"{answer}\n\n{table(heads, lines)}" + (f"\n\n{own}" if own else "")


def _resale(results: "Results") -> str:
    """Return what reselling brings the apps themselves: the arms that resell by API, before and after a rise."""
    said = results["monetise"]
    rows = [
        [said["names"][row["app"]], f"`{row['arm']}` {said['arms'][row['arm']]['title']}",
         f.money(number(row["api_calls"])), f.money(number(row["operating_profit"]))]
        for row in said["outcomes"]
        if number(row["api_calls"]) > 0.0
    ]  # fmt: skip
    heads = ("app", "way of earning", "resold a month", "profit a month")
    return (
        f"What reselling brings the apps, with weights open as in the scenario:\n\n{table(heads, rows)}" if rows else ""
    )


BLOCKS: dict[str, Callable[["Results"], str]] = {
    "monetise_made": made_line,
    "monetise_tables": arm_tables,
    "break_even": break_even,
    "ad_load": ad_load,
    "quota": quota,
    "willingness": willingness,
    "open_weights": open_weights,
}
