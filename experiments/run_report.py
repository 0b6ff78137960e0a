"""The report of one run, or of a run with its replicates."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import formats as f
from experiments.charts import bands, bars, days, lines, stacked
from experiments.dollars import PARTS, dollar_ends
from experiments.happenings import happenings, legend_of_marks, marks
from experiments.network_chart import network_chart
from experiments.outcomes import (
    TIER_ORDER,
    Floats,
    TierFigures,
    tier_figures,
)
from experiments.reports import Report, Section
from experiments.run_sections import capacity, consumers, divide, finance, prices
from experiments.summaries import CAVEAT, summary, water_sellers
from experiments.tables import FIGURES

if TYPE_CHECKING:
    from experiments.runs import Replicates, RunResult

COVERS = {
    "cover_services": "AI services",
    "cover_with_on_premise": "and on-premise boxes",
    "cover_with_own_use": "and owners' own use",
}


def run_report(run: "RunResult", many: "Replicates | None" = None) -> Report:
    """Return the report of a run; with replicates the main charts show bands."""
    figures = tier_figures(run)
    content = summary(run, many)
    facts = {
        "scenario": run.spec.name,
        "months": f"{run.months}, from {run.spec.start}",
        "seed": f"{run.seed}" + (f", replicate {run.replicate}" if run.replicate else ""),
        "firms": str(len(run.firm_list)),
        "failed": str(len(run.failures)),
        "version": f"{content['version']}, code {content['fingerprint'][:12]}",
    }
    if many is not None:
        facts["replicates"] = f"{len(many)}, band 5-95 %"
    report = Report(run.spec.title, f"{water_sellers(figures)} {CAVEAT}", facts)
    _earnings(report.section("Who earns"), run, figures, content, many)
    _dollar(report.section("Follow the dollar"), run, figures)
    network = report.section("The value chain")
    title, chart = network_chart(run)
    network.chart(
        title,
        chart,
        wide=True,
        scroll=True,
        note="Sales of the last 12 months. Width: dollars a year; colour: the supplier's operating margin; size of a "
        "circle: revenue. Money flows from right to left. Point at a curve or a circle for its numbers.",
    )
    prices(report.section("Prices"), run, many)
    capacity(report.section("Capacity"), run)
    consumers(report.section("Apps and their users"), run)
    finance(report.section("Cash, runway and value"), run)
    _timeline(report.section("Events and failures"), run)
    _provenance(report.section("Where the numbers come from"), run, content)
    return report


def _earnings(
    section: Section,
    run: "RunResult",
    figures: Mapping[str, TierFigures],
    content: Mapping[str, Any],
    many: "Replicates | None",
) -> None:
    profit = run.field("operating_profit")
    by_tier = {tier: profit[:, run.members(tier)].sum(axis=1) for tier in TIER_ORDER}
    earned = [t for t in TIER_ORDER if figures[t].operating_profit > 0.0]
    lost = [t for t in TIER_ORDER if figures[t].operating_profit <= 0.0]
    gains = f.listed([f"{t} earned {f.money(figures[t].operating_profit)}" for t in earned])
    losses = f.listed([f"{t} lost {f.money(-figures[t].operating_profit)}" for t in lost])
    words = "; ".join(each for each, of in ((gains, earned), (losses, lost)) if of)
    chart = lines(days(run), by_tier, "USD a month", zero=True, marks=marks(run))
    section.chart(
        f"In the last {content['window_months']} months {words}",
        chart,
        note="Operating profit by tier." + legend_of_marks(run),
    )
    if many is not None:
        section.chart(
            f"Operating profit over {len(many)} replicates: median and 5-95 % band",
            bands(days(run), many.profits, "USD a month"),
        )
    revenue = run.field("revenue")
    margins = {
        tier: _smooth(profit[:, run.members(tier)].sum(axis=1), revenue[:, run.members(tier)].sum(axis=1))
        for tier in TIER_ORDER
    }
    best = max(TIER_ORDER, key=lambda t: _rank(figures[t].operating_margin))
    section.chart(
        f"{best.capitalize()} have the highest operating margin of the last year, "
        f"{f.percent(figures[best].operating_margin)}",
        lines(days(run), margins, "share of revenue", number=".0%", limits=(-1.0, 1.0)),
        note="Operating margin by tier, mean of three months; lines are cut off at -100 %.",
    )
    rows = []
    bounds = content["replicates"]["bands"] if many is not None else None
    for name, (label, write) in FIGURES.items():
        cells = [write(getattr(figures[tier], name)) for tier in TIER_ORDER]
        if bounds is not None:
            cells = [_interval(bounds[f"{tier}_{name}"], write) for tier in TIER_ORDER]
        rows.append([label.strip(), *cells])
    rows.append(["failed firms", *(f"{figures[t].failed} of {figures[t].firms}" for t in TIER_ORDER)])
    section.table(f"The tiers over the last {content['window_months']} months", ["", *TIER_ORDER], rows)


def _dollar(section: Section, run: "RunResult", figures: Mapping[str, TierFigures]) -> None:
    kept = {tier: figures[tier].cents_per_final_dollar for tier in TIER_ORDER}
    most = max(kept, key=lambda tier: kept[tier])
    section.chart(
        f"Of a dollar of final demand {most} keep most, {f.cents(kept[most])}; "
        f"{f.cents(100.0 - sum(kept.values()))} leave the chain for wages, wafers, power and the like",
        bars([{"name": t, "value": v} for t, v in kept.items()], "cents of a final dollar", order=TIER_ORDER),
        note="Final demand: what households, enterprises, advertisers and merchants pay for AI services. "
        "Kept: cash that the tier's firms retain, dividends and tax.",
    )
    cover = {tier: figures[tier].cover_services for tier in TIER_ORDER}
    weakest = min(TIER_ORDER, key=lambda t: _rank(cover[t]))
    section.chart(
        f"Final buyers of AI services pay for {f.percent(cover[weakest])} of what {weakest} sell, through the chain; "
        "the rest is paid by owners, investors and lenders",
        bars(
            [
                {"name": tier, "value": getattr(figures[tier], name), "group": words}
                for tier in TIER_ORDER
                for name, words in COVERS.items()
            ],
            "share of the tier's revenue",
            order=TIER_ORDER,
            number=".0%",
            group=tuple(COVERS.values()),
        ),
        note="Final-demand cover under three definitions, each wider than the one before.",
    )
    ends = dollar_ends(run)
    if not ends:
        return
    names = {source: f"{source} ({f.money(dollars)})" for source, (dollars, _) in ends.items()}
    rows: list[dict[str, Any]]
    first, (_, split) = next(iter(ends.items()))
    end = max(split, key=lambda part: split[part])
    rows = [
        {"name": names[source], "part": part, "value": value}
        for source, (_, parts) in ends.items()
        for part, value in parts.items()
    ]
    parts = [part for part in PARTS if any(row["part"] == part and row["value"] >= 0.05 for row in rows)]
    section.chart(
        f"The largest source of money, {first}, sees {f.cents(split[end])} of its dollar end as: {end}",
        stacked(
            [row for row in rows if row["part"] in parts],
            "cents of each source's dollar",
            parts=parts,
            order=list(names.values()),
            number=".0f",
            most=100.0,
        ),
        wide=True,
        note="Money of the last 12 months is coloured by its source and mixes in every account; capital spending "
        "passes it on. In brackets: what the source put in. Each bar is one dollar.",
    )
    heads = ["source", "USD put in", *parts]
    table = [
        [source, f.money(dollars), *(f"{split[part]:.1f}" for part in parts)]
        for source, (dollars, split) in ends.items()
    ]
    section.table("The same in cents", heads, table, folded=True)


def _timeline(section: Section, run: "RunResult") -> None:
    rows = [[date, label, words] for _, date, label, words in happenings(run)]
    if rows:
        section.table("What happened", ["month", "mark", "what"], rows, words=True)
    else:
        section.text("The scenario has no events within the run, and no firm failed.")


def _provenance(section: Section, run: "RunResult", content: Mapping[str, Any]) -> None:
    plugs = [
        [p["what"], p["name"], f.money(p["value"]) if p["unit"].startswith("USD") else f.digits(p["value"]), p["unit"]]
        for p in content["plugs"]
    ]
    section.table(
        "What the opening month solved for",
        ["what", "firm", "value", "unit"],
        plugs,
        words=True,
        note="The facts give dollars and users; these numbers close the balance. Far from 1, or far from what is "
        "known of a firm, they say where the facts do not fit together.",
    )
    parameters = run.spec.parameters()
    judged = sum("judgement" in row.source for row in parameters)
    section.text(
        f"The scenario has {len(parameters)} parameters; {judged} of them rest on judgement, at least in part, the "
        "others name a source. "
        f"`watersellers scenarios show {run.spec.name}` lists them all; spec.json beside this page holds every value."
    )
    key = [
        [r.path, _shown(r.value), r.unit, f"{r.span[0]:g} to {r.span[1]:g}" if r.span else "", r.source, r.doc]
        for r in parameters
        if r.path.startswith(("market.", "research.", "expectation."))
        or (r.role == "uncertainty" and r.path.startswith(("consumers.", "enterprise.", "investors.")))
    ]
    heads = ["parameter", "value", "unit", "plausible range", "source", "meaning"]
    section.table(f"Key parameters ({len(key)})", heads, key, folded=True, words=True)


def _smooth(part: Floats, whole: Floats) -> Floats:
    """Return part over whole, both summed over three months."""
    window_of_three = np.ones(min(3, len(part)))
    sums = [np.convolve(values, window_of_three)[: len(values)] for values in (part, whole)]
    return divide(*sums)


def _rank(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def _interval(band: Mapping[str, float | None], write: Any) -> str:
    median, low, high = (write(math.nan if band[k] is None else band[k]) for k in ("median", "low", "high"))
    return str(median) if low == high else f"{median} ({low} to {high})"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
