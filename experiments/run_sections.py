"""Sections of a run's report: prices, capacity, apps and their users, cash and value."""

import math
from typing import TYPE_CHECKING

import numpy as np

from experiments import formats as f
from experiments.charts import bands, days, lines, stacked
from experiments.happenings import legend_of_marks, marks
from experiments.outcomes import TIER_ORDER, Floats, list_price, mean, window, yearly_factor
from experiments.reports import Section

if TYPE_CHECKING:
    from experiments.runs import Replicates, RunResult

SHOWN_APPS = 7
MOST_BARS = 11
STREAMS = {
    "rev_subscriptions": "subscriptions",
    "rev_metered": "metered use",
    "rev_advertising": "advertising",
    "rev_api_calls": "API calls",
    "rev_commission": "commission",
}
RUNWAY_SHOWN = 36.0


def prices(section: Section, run: "RunResult", many: "Replicates | None") -> None:
    """Fill the section on prices."""
    listed, fixed = list_price(run), run.markets["fixed_quality_price"]
    section.chart(
        f"The price of a Mtok at the opening's quality {f.fall(yearly_factor(fixed))}; by trend the best model's "
        f"list price {f.fall(yearly_factor(listed))}",
        lines(
            days(run),
            {"best model, list price": listed, "at the opening's quality": fixed},
            "USD per Mtok (logarithmic)",
            log=True,
            number="~g",
        ),
        note="Price of a Mtok of enterprise traffic: input, cached input and output as enterprises use them. "
        "Yearly changes are trends over the run; the list price jumps when another model becomes the best.",
    )
    rents = _by_region(run, "rent")
    section.chart(
        "GPU rent " + f.listed([f"{f.fall(yearly_factor(v))} ({r})" for r, v in rents.items()]),
        lines(days(run), rents, "USD per H100-equivalent hour", number="~g"),
    )
    chips = _by_region(run, "chip_price")
    section.chart(
        "The price of computing power " + f.listed([f"{f.fall(yearly_factor(v))} ({r})" for r, v in chips.items()]),
        lines(days(run), chips, "USD per H100-equivalent"),
        note="What clouds pay chipmakers, mean of the accelerators that are sold.",
    )
    if many is not None:
        regions = {
            name.partition(".")[2].capitalize(): v for name, v in many.markets.items() if name.startswith("rent.")
        }
        section.chart(
            f"GPU rent over {len(many)} replicates: median and 5-95 % band",
            bands(days(run), regions, "USD per H100-equivalent hour", number="~g"),
        )


def capacity(section: Section, run: "RunResult") -> None:
    """Fill the section on capacity."""
    used, lead = _by_region(run, "utilisation"), _by_region(run, "lead_time")
    section.chart(
        "In the last year clouds sold "
        + f.listed([f"{f.percent(mean(v[window(run.months)]))} ({r})" for r, v in used.items()])
        + " of their hours",
        lines(days(run), used, "share of hours sold", number=".0%"),
    )
    longest = [f"{f.digits(float(np.nanmax(v)))} months in {r}" for r, v in lead.items()]
    section.chart(
        f"The backlog of chips is longest at {f.listed(longest)}",
        lines(days(run), lead, "months from order to delivery", zero=True, number="~g"),
    )
    fleets = _by_region(run, "fleet")
    section.chart(
        "Installed computing power " + f.listed([f"{f.fall(yearly_factor(v))} ({r})" for r, v in fleets.items()]),
        lines(days(run), fleets, "H100-equivalents (logarithmic)", log=True),
    )
    training = run.field("training_hours").sum(axis=1)
    section.chart(
        f"Training takes {f.count(mean(training[window(run.months)]))} H100-hours a month in the last year",
        lines(days(run), {"training": training}, "H100-hours a month", zero=True),
    )


def consumers(section: Section, run: "RunResult") -> None:
    """Fill the section on apps and their users."""
    apps = run.members("apps")
    users = run.field("users")
    largest = sorted(apps, key=lambda i: -users[-1, i])[:SHOWN_APPS]
    rest = [i for i in apps if i not in largest]
    content = {run.short_name(run.firm_list[i].id): users[:, i] for i in largest}
    if rest:
        content[f"{len(rest)} others"] = users[:, rest].sum(axis=1)
    top = run.firm_list[largest[0]].name
    section.chart(
        f"{top} has most users at the end, {f.count(users[-1, largest[0]])} of {f.count(users[-1, apps].sum())}",
        lines(days(run), content, "people (logarithmic)", log=True),
        note="Users of apps by month; people with two apps count twice.",
    )
    paid = {
        region.capitalize(): divide(run.markets[f"payers.{region}"], run.markets[f"users.{region}"])
        for region in run.spec.regions
    }
    section.chart(
        "At the end " + f.listed([f"{f.percent(float(v[-1]))} of users pay in {r}" for r, v in paid.items()]),
        lines(days(run), paid, "payers over users", zero=True, number=".1%"),
    )
    span = window(run.months)
    yearly = 12.0 / (span.stop - span.start)
    sums = {name: yearly * run.field(name)[span].sum(axis=0) for name in STREAMS}
    earning = sorted(apps, key=lambda i: -float(sum(v[i] for v in sums.values())))
    earning = [i for i in earning if sum(v[i] for v in sums.values()) > 0.0]
    if not earning:
        return
    parts = [words for name, words in STREAMS.items() if sums[name][earning].sum() > 0.0]
    bars_of = {run.short_name(run.firm_list[i].id): [i] for i in earning[:MOST_BARS]}
    if len(earning) > MOST_BARS:
        bars_of[f"{len(earning) - MOST_BARS} others"] = earning[MOST_BARS:]
    names = list(bars_of)
    rows = [
        {"name": name, "part": words, "value": float(sums[stream][members].sum())}
        for name, members in bars_of.items()
        for stream, words in STREAMS.items()
        if words in parts
    ]
    total = {words: float(sums[name][earning].sum()) for name, words in STREAMS.items()}
    main = max(total, key=lambda words: total[words])
    share = total[main] / sum(total.values())
    section.chart(
        f"{main.capitalize()} bring {f.percent(share)} of what apps earn; {names[0]} earns most",
        stacked(rows, "USD a year", parts=parts, order=names),
        note="Revenue of the last 12 months by stream.",
    )
    monthly = {words: run.field(name)[:, apps].sum(axis=1) for name, words in STREAMS.items() if words in parts}
    section.chart(
        f"Revenue of all apps was {f.money(float(sum(v[-1] for v in monthly.values())))} in the last month",
        lines(days(run), monthly, "USD a month", zero=True),
        note="Revenue of all apps by stream.",
    )


def finance(section: Section, run: "RunResult") -> None:
    """Fill the section on cash, runway and value."""
    cash = run.field("cash")
    by_tier = {tier: cash[:, run.members(tier)].sum(axis=1) for tier in TIER_ORDER}
    richest = max(by_tier, key=lambda t: by_tier[t][-1])
    section.chart(
        f"{richest.capitalize()} hold most cash at the end, {f.money(float(by_tier[richest][-1]))}",
        lines(days(run), by_tier, "USD", zero=True, marks=marks(run, events=False)),
    )
    runway = np.where(run.field("alive") > 0.0, run.field("runway"), np.nan)
    shortest = np.array([np.nanmin(c) if np.isfinite(c).any() else math.inf for c in runway.T])
    heads = {owner.head for owner in run.spec.group.values() if owner.cash_flow <= 0.0}
    owned = [i for i, firm in enumerate(run.firm_list) if firm.group is not None and firm.id not in heads]
    shortest[owned] = math.inf
    short = [i for i in np.argsort(shortest).tolist() if shortest[i] < RUNWAY_SHOWN][:SHOWN_APPS]
    if short:
        content = {run.short_name(run.firm_list[i].id): np.minimum(runway[:, i], RUNWAY_SHOWN) for i in short}
        first = run.firm_list[short[0]].name
        section.chart(
            f"{first} comes closest to running out of money: {f.digits(float(shortest[short[0]]))} months of cash left",
            lines(days(run), content, "months of cash at the present burn", limits=(0.0, RUNWAY_SHOWN), number="~g"),
            note=f"Of the firms that raise money for themselves, those with the shortest runway; cut off at "
            f"{RUNWAY_SHOWN:g} months.",
        )
    else:
        section.text(f"No firm that raises money for itself ever has less than {RUNWAY_SHOWN:g} months of cash.")
    value = {tier: run.markets[f"value.{tier}"] for tier in TIER_ORDER}
    index = {t: 100.0 * v / v[0] for t, v in value.items() if v[0] > 0.0}
    gained = max(index, key=lambda t: index[t][-1], default=None)
    if gained is not None:
        section.chart(
            f"Investors value {gained} at {f.digits(float(index[gained][-1]))} at the end, with the first month at 100",
            lines(days(run), index, "first month = 100 (logarithmic)", log=True, number="~g", marks=marks(run)),
            note="Equity value by tier; that of clouds holds their owners' other business." + legend_of_marks(run),
        )
    raised = run.field("equity_raised")
    content = {tier: raised[:, run.members(tier)].sum(axis=1) for tier in TIER_ORDER}
    section.chart(
        f"Firms raised {f.money(float(raised[-1].sum()))} of equity over the run",
        lines(days(run), content, "USD, added up", zero=True),
    )


def _by_region(run: "RunResult", name: str) -> dict[str, Floats]:
    return {region.capitalize(): run.markets[f"{name}.{region}"] for region in run.spec.regions}


def divide(part: Floats, whole: Floats) -> Floats:
    """Return part over whole, NaN where there is no whole."""
    result = np.full(len(part), np.nan)
    np.divide(part, whole, out=result, where=whole > 0.0)
    return result
