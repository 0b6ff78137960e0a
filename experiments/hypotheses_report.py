"""Chart and HTML report of a set of verdicts."""

import math
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.charts import inline
from experiments.claim_tables import KINDS

if TYPE_CHECKING:
    import altair as alt

    from experiments.reports import Report, Section
    from experiments.verdicts import Finding, HypothesesResult, Judgement, Sensitivity

VERDICTS = ("supported", "refuted", "inconclusive")
COLOURS = ("#0072B2", "#D55E00", "#8A9199")
FARTHEST = 20.0
"""Half widths of an interval beyond which distances are not told apart."""


def chart(result: "HypothesesResult") -> "alt.LayerChart":
    """Draw every claim's effect less its threshold, in half widths of its interval: right of one it is supported."""
    import altair as alt

    rows = []
    for each in result.judgements:
        interval = each.main.interval
        if interval is None:
            continue
        sign = 1.0 if each.claim.above else -1.0
        width = max(interval.half_width, 1e-9 * max(abs(interval.estimate), 1.0))
        if not math.isfinite(width):
            continue
        distance = sign * (interval.estimate - each.claim.threshold) / width
        rows.append({"claim": each.claim.id, "statement": each.claim.statement, "verdict": each.verdict,
                     "distance": max(min(distance, FARTHEST), -FARTHEST), "effect": interval.estimate})  # fmt: skip
    order = [str(row["claim"]) for row in sorted(rows, key=lambda row: -float(str(row["distance"])))]
    colour = alt.Color("verdict:N", sort=list(VERDICTS), scale=alt.Scale(domain=list(VERDICTS), range=COLOURS))
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y("claim:N", sort=order, title=None, axis=alt.Axis(labelLimit=220)),
        tooltip=["statement:N", "verdict:N", alt.Tooltip("effect:Q", format=".4~g")],
    )
    x = alt.X("distance:Q", title="beyond the threshold, half widths")
    bar = base.mark_bar().encode(x=x, color=colour)
    lines = alt.Chart(inline([{}])).mark_rule(strokeDash=[4, 3], style="strong")
    ends = [lines.encode(x=alt.datum(end)) for end in (-1, 1)]
    layered: Any = alt.layer(bar, *ends)
    drawn: alt.LayerChart = layered.properties(width="container", height=max(22 * len(rows), 120))
    return drawn


def report(result: "HypothesesResult") -> "Report":
    """Return the report of a set of verdicts."""
    from experiments.reports import Report

    counts = {name: sum(v == name for v in result.verdicts.values()) for name in VERDICTS}
    words = f.listed([f"{number} {name}" for name, number in counts.items() if number])
    lead = f"Of {len(result.judgements)} claims tested: {words}. A claim is supported when the whole interval of its "
    lead += "effect lies beyond the smallest effect that counts, refuted when it lies wholly short of it."
    facts = {"seed": str(result.seed), "depth": "quick: few replicates, main tests only" if result.quick else "full"}
    if result.fault:
        facts["planted fault"] = result.fault
    page = Report("Hypotheses", lead, facts)
    section = page.section("Verdicts")
    section.chart(
        f"{words[0].upper()}{words[1:]}: bars beyond a dashed line are decided",
        chart(result),
        note="Distance of the effect from its threshold in half widths of its interval, to the right where the "
        f"claim says it should be: beyond the dashed lines, -1 and 1, the whole interval is on one side. Bars end at "
        f"{FARTHEST:.0f}.",
        wide=True,
    )
    heads = ["claim", "verdict", "effect", "interval (level)", "must be", "replicates", "needed", "remark"]
    section.table("All claims", heads, [_row(each) for each in result.judgements])
    for each in result.judgements:
        _claim(page.section(each.claim.id), each)
    return page


def _row(each: "Judgement") -> list[str]:
    interval = each.main.interval
    counts = [str(interval.n) if interval else "0", str(each.main.needed) if each.main.needed else "settled"]
    threshold = f"{'>' if each.claim.above else '<'} {f.count(each.claim.threshold)}"
    return [each.claim.id, each.verdict, *_interval(each.main), threshold, *counts, each.remark]


def _claim(section: "Section", each: "Judgement") -> None:
    claim = each.claim
    section.text(f"{claim.statement}. Verdict on {claim.scenario}: {each.verdict}.")
    section.text(f"Measured: {_meaning(claim.metric)}")
    section.text(f"Test: {claim.test} ({KINDS[claim.kind]}). Source: {claim.source}. Refuted by: {claim.refuted_by}.")
    if each.remark:
        section.text(f"{each.remark[0].upper()}{each.remark[1:]}.")
    if claim.note:
        section.text(claim.note)
    if each.conditions:
        rows = [[one.label, one.verdict, *_interval(one), one.note] for one in each.conditions]
        section.table("Under other conditions", ["condition", "verdict", "effect", "interval (level)", "remark"], rows)
    for sensitivity in each.sensitivities:
        note = (
            f"{sensitivity.assumption.why}; {sensitivity.values_used}. The band is the 95 % interval, the dashed line "
        )
        note += "the smallest effect that counts."
        section.chart(_flips(sensitivity), _curve(each, sensitivity), note=note)


def _meaning(metric: str) -> str:
    """Return what a metric is, in the words of its function."""
    from experiments.metrics import METRICS

    words = (METRICS[metric].__doc__ or metric).partition("\n")[0].removeprefix("Return ")
    return words[0].lower() + words[1:]


def _flips(sensitivity: "Sensitivity") -> str:
    """Say where in an assumption's range the effect crosses the threshold."""
    path, tried = f"`{sensitivity.assumption.path}`", sensitivity.assumption.values
    if not sensitivity.flips:
        return f"The effect stays on its side of the threshold for {path} from {min(tried):g} to {max(tried):g}"
    return f"The effect crosses its threshold where {path} is {f.listed([str(flip) for flip in sensitivity.flips])}"


def _interval(finding: "Finding") -> list[str]:
    """Return effect and interval as text."""
    return [f.count(finding.interval.estimate) if finding.interval else "", finding.span]


def _curve(each: "Judgement", sensitivity: "Sensitivity") -> "alt.LayerChart":
    """Draw the effect over the values of an assumption, with the threshold."""
    import altair as alt

    rows = [
        {"value": value, "effect": one.interval.estimate, "low": one.interval.low, "high": one.interval.high,
         "verdict": one.verdict}
        for value, one in zip(sensitivity.assumption.values, sensitivity.findings, strict=True)
        if one.interval is not None and math.isfinite(one.interval.low)
    ]  # fmt: skip
    wide = max(sensitivity.assumption.values) > 50.0 * max(min(sensitivity.assumption.values), 1e-9)
    scale = alt.Scale(type="symlog" if wide else "linear")
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("value:Q", scale=scale, title=sensitivity.assumption.path),
        tooltip=["value:Q", alt.Tooltip("effect:Q", format=".4~g"), "verdict:N"],
    )
    band = base.mark_area(opacity=0.2).encode(y="low:Q", y2="high:Q")
    line = base.mark_line(point=True).encode(y=alt.Y("effect:Q", title="effect"))
    threshold = alt.Chart(inline([{}])).mark_rule(strokeDash=[4, 4]).encode(y=alt.datum(each.claim.threshold))
    layered: Any = alt.layer(band, line, threshold)
    drawn: alt.LayerChart = layered.properties(width="container", height=200)
    return drawn
