"""The report of a calibration: the fit, the parameters with their intervals, and how the search went."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.calibration import FARTHEST, HALF_BAND, CalibrationResult, Estimate, Fit, Free, in_logs
from experiments.charts import ABOVE_AXIS, Row, inline, tidy
from experiments.checks import band_text
from experiments.reports import Report, Section
from experiments.worlds import read_evidence

if TYPE_CHECKING:
    import altair as alt

STATES = ("before", "estimate, inside", "estimate, outside")
SHAPES = ("circle", "circle", "diamond")
COLOURS = ("#8A9199", "#0072B2", "#D55E00")


def calibration_report(result: CalibrationResult) -> Report:
    """Return a calibration as a report."""
    facts = {
        "scenario": result.scenario,
        "distance before": f.digits(result.distance_shipped),
        "distance at the estimates": f.digits(result.distance),
        "from there to the prior": f.digits(result.pull),
        "evaluations": f"{result.evaluations} of {result.seeds} replicates",
        "took": f"{f.digits(result.seconds / 60.0)} minutes",
        "code": result.fingerprint[:12],
        "again": result.command,
    }
    page = Report(f"Calibration of {result.scenario}", lead(result), facts)
    _targets(page.section("How near to the targets"), result)
    _parameters(page.section("What the targets say of the parameters"), result)
    _search(page.section("How the search went"), result)
    return page


def lead(result: CalibrationResult) -> str:
    """Say how far the targets are before and after, and how many parameters they pin."""
    targets, guards = _kinds(result)
    inside, before = sum(row.inside for row in targets), sum(_was_inside(row) for row in targets)
    kept = f"{sum(row.inside for row in guards)} of {len(guards)} guards hold. " if guards else ""
    pinned = sum(each.pinned for each in result.estimates)
    return (
        f"The distance to the targets goes from {f.digits(result.distance_shipped)} at the shipped parameters to "
        f"{f.digits(result.distance)} at the estimates; {inside} of {len(targets)} targets lie inside their bands, "
        f"{before} before. {kept}The targets pin {pinned} of {len(result.estimates)} parameters; the others are held "
        "mostly by their prior, our judgement before the calibration. "
        "A distance is the sum of squared deviations, each in standard deviations of its band, weighed with the "
        f"simulation's covariance. {widened(result.misfit)}"
    )


def widened(misfit: float) -> str:
    """Say by how much intervals are wider than the bands alone would have it."""
    if misfit <= 1.0:
        return "The smallest distance found is not above its degrees of freedom: intervals are as the bands say."
    return (
        f"The smallest distance found is {f.digits(misfit)} times its degrees of freedom: the model does not reach all "
        "targets together. So intervals take deviations to be "
        f"{f.digits(math.sqrt(misfit))} times as large as the bands say; the estimates take the bands at their word, "
        "for what is out of reach should not make the rest count less."
    )


def _kinds(result: CalibrationResult) -> tuple[list[Fit], list[Fit]]:
    """Return the targets, and the guards."""
    return [row for row in result.fit if not row.guard], [row for row in result.fit if row.guard]


def _was_inside(row: Fit) -> bool:
    return row.band[0] <= row.shipped <= row.band[1]


# --- targets -----------------------------------------------------------------------------------------------------


def _targets(section: Section, result: CalibrationResult) -> None:
    targets, guards = _kinds(result)
    nearer = [row for row in targets if abs(place(row, row.fitted)) < abs(place(row, row.shipped)) - 0.05]
    farther = [row for row in targets if abs(place(row, row.fitted)) > abs(place(row, row.shipped)) + 0.05]
    section.chart(
        f"{len(nearer)} of {len(targets)} targets come nearer to the middle of their bands, {len(farther)} move away",
        target_chart(targets),
        note="In half widths of a target's band from its middle: between the dashed lines, -1 and 1, a target is "
        f"inside. The search counts nothing beyond {_edge():.1f}: dots at the edge are that far or farther. Lines "
        "through the estimates are 95 % intervals of the mean over replicates, where they were kept.",
        wide=True,
    )
    heads = ["target", "band", "before", "estimate", "95 % interval", "inside before", "inside", "searched on"]
    inside = sum(row.inside for row in targets)
    section.table(
        f"{inside} of {len(targets)} targets are inside their bands at the estimates",
        heads,
        _fit_rows(targets),
        note="Shares and ratios have no unit. Targets that are not searched on take long to simulate, or have a "
        "parameter of their own.",
    )
    if guards:
        section.table(
            f"{sum(row.inside for row in guards)} of {len(guards)} guards hold",
            ["guard", *heads[1:]],
            _fit_rows(guards),
            note="Guards are readings of three years that a fit of the first must not wreck: the search counts them "
            "as far as they lie outside their bands.",
        )


def _fit_rows(fit: Sequence[Fit]) -> list[list[str]]:
    units = {name: unit for name, unit in _target_units().items() if unit != "1"}
    return [
        [
            f"`{row.target}` {row.title}",
            _with_unit(band_text(row.band), units.get(row.target, "")),
            _number(row.shipped),
            _number(row.fitted),
            "" if row.ends is None else f"{_number(row.ends[0])} to {_number(row.ends[1])}",
            "yes" if _was_inside(row) else "no",
            "yes" if row.inside else "no",
            "yes" if row.searched else "no",
        ]
        for row in fit
    ]


def place(row: Fit, value: float) -> float:
    """Return where a value is in the band of a target: -1 and 1 are its ends, as far as the search counts."""
    low, high = row.band
    if not math.isfinite(value):
        return math.nan
    if in_logs(row.band):
        low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-9))
    half = max(0.5 * (high - low), 1e-6)
    return min(max((value - 0.5 * (low + high)) / half, -_edge()), _edge())


def _edge() -> float:
    return FARTHEST / HALF_BAND


def target_chart(fit: Sequence[Fit]) -> "alt.LayerChart":
    """Draw every target's position in its band, before and at the estimates."""
    import altair as alt

    rows: list[Row] = []
    for row in fit:
        after = STATES[1] if row.inside else STATES[2]
        for state, value in ((STATES[0], row.shipped), (after, row.fitted)):
            low, high = row.ends if state == after and row.ends is not None else (value, value)
            words = {"target": row.target, "title": row.title, "state": state, "band": band_text(row.band)}
            places = {"place": place(row, value), "low": place(row, low), "high": place(row, high)}
            rows.append(words | {"shown": _number(value)} | {key: tidy(each) for key, each in places.items()})
    order = [row.target for row in fit]
    base = alt.Chart(inline([row for row in rows if row["place"] is not None])).encode(y=_names("target", order))
    scale = alt.Scale(domain=[-_edge() - 0.2, _edge() + 0.2], nice=False)
    ticks = alt.Axis(values=[-6, -4, -2, -1, 0, 1, 2, 4, 6], grid=True, labelOverlap=True)
    x = alt.X("place:Q", title="half widths of the band from its middle", scale=scale, axis=ticks)
    way = base.mark_line(style="faint", strokeWidth=1.2).encode(x=x, detail="target:N")
    span = base.mark_rule(strokeWidth=2.0, style="strong").encode(x="low:Q", x2="high:Q")
    dots = base.mark_point(filled=True, size=75, opacity=1.0).encode(
        x=x,
        color=alt.Color("state:N", sort=STATES, scale=alt.Scale(domain=STATES, range=COLOURS), legend=_legend()),
        shape=alt.Shape("state:N", sort=STATES, scale=alt.Scale(domain=STATES, range=SHAPES)),
        tooltip=[alt.Tooltip("title:N", title="target"), alt.Tooltip("state:N", title="at"),
                 alt.Tooltip("shown:N", title="value"), alt.Tooltip("band:N")],
    )  # fmt: skip
    rules = alt.Chart(inline([{}])).mark_rule(strokeDash=[4, 3], style="strong")
    return _laid(
        [*(rules.encode(x=alt.datum(end)) for end in (-1, 1)), way, span, dots], 22 * len(order), max(map(len, STATES))
    )


# --- parameters --------------------------------------------------------------------------------------------------


def _parameters(section: Section, result: CalibrationResult) -> None:
    pins = {name: each["pins"] for name, each in read_evidence("free.toml").items()}
    units = _parameter_units(result.estimates)
    pinned = [each for each in result.estimates if each.pinned]
    section.chart(
        f"{len(pinned)} of {len(result.estimates)} parameters are pinned: the targets leave less than half of the "
        "prior's spread",
        parameter_chart(result.estimates),
        note="Each parameter on its own declared range, as the search measures it: wide ones in logarithms. Lines are "
        "95 % intervals, grey marks the values shipped before. A parameter of one target alone that "
        "ends at an end of its range, without an interval, is not pinned: its target lies beyond.",
        wide=True,
    )
    rows = [
        [
            f"`{each.name}`",
            pins.get(each.name, ""),
            _with_unit(f"{each.span[0]:g} to {each.span[1]:g}", units.get(each.name, "")),
            _number(each.prior),
            _number(each.shipped),
            _number(each.value),
            f"{_number(each.low)} to {_number(each.high)}",
            "yes" if each.pinned else "no",
        ]
        for each in result.estimates
    ]
    section.table(
        f"{len(pinned)} of {len(result.estimates)} parameters are pinned",
        [
            "parameter",
            "thought to be pinned by",
            "range",
            "prior",
            "shipped",
            "estimate",
            "95 % interval",
            "pinned",
        ],
        rows,
        note="The prior is our judgement before the calibration, in view of the parameter's source. An estimate that "
        "is not pinned is no measurement: the targets hardly tell it from its prior.",
        words=True,
    )


def parameter_chart(estimates: Sequence[Estimate]) -> "alt.LayerChart":
    """Draw every parameter's interval on its own range, with the shipped value."""
    import altair as alt

    states = ["estimate, pinned", "estimate, not pinned", "shipped"]
    rows: list[Row] = []
    for each in estimates:
        places = {key: _share(each, getattr(each, key)) for key in ("value", "low", "high", "shipped")}
        words = f"{_number(each.low)} to {_number(each.high)}"
        told = {"estimate": _number(each.value), "before": _number(each.shipped), "interval": words}
        rows.append({"name": each.name, "state": states[not each.pinned], **places, **told})
    order = [each.name for each in estimates]
    tooltip = [alt.Tooltip("name:N", title="parameter"), alt.Tooltip("estimate:N"),
               alt.Tooltip("interval:N", title="95 % interval"), alt.Tooltip("before:N", title="shipped")]  # fmt: skip
    base = alt.Chart(inline(rows)).encode(y=_names("name", order), tooltip=tooltip)
    scale = alt.Scale(domain=states, range=["#0072B2", "#D55E00", "#8A9199"])
    colour = alt.Color("state:N", sort=states, scale=scale, legend=_legend())
    shape = alt.Shape("state:N", sort=states, scale=alt.Scale(domain=states, range=["circle", "diamond", "square"]))
    ends = alt.Axis(
        values=[0, 0.5, 1],
        labelExpr="datum.value == 0 ? 'low end' : datum.value == 1 ? 'high end' : 'middle'",
        labelFlush=False,
        grid=True,
    )
    whole = alt.Scale(domain=[-0.04, 1.04], nice=False)
    x = alt.X("value:Q", title="place in the declared range", axis=ends, scale=whole)
    span = base.mark_rule(strokeWidth=3, opacity=0.85).encode(x=alt.X("low:Q"), x2="high:Q", color=colour)
    shipped = base.transform_calculate(state="'shipped'").mark_tick(thickness=3, height=16)
    dots = base.mark_point(filled=True, size=80, opacity=1.0).encode(x=x, color=colour, shape=shape)
    marks = shipped.encode(x=alt.X("shipped:Q"), color=colour)
    return _laid([span, marks, dots], 22 * len(order), max(map(len, states)))


def _share(each: Estimate, value: float) -> float | None:
    """Return where a value is in its range, 0 to 1, as the search measures it: some ranges in logarithms."""
    log = bool(read_evidence("free.toml").get(each.name, {}).get("log", False))
    found = Free(each.name, each.paths, *each.span, each.shipped, each.prior, log, "").place(value)
    return tidy(min(max(found, 0.0), 1.0))


# --- the search --------------------------------------------------------------------------------------------------


def _search(section: Section, result: CalibrationResult) -> None:
    if not result.gains:
        section.text("This result keeps no record of the search: it was written before results did.")
        return
    first, last = result.gains[0].distance, result.gains[-1]
    half = next(gain for gain in result.gains if gain.distance <= 0.5 * (first + last.distance))
    words = (
        f"The best of {result.evaluations} evaluations is number {last.evaluation}; half of the way was done "
        f"by number {half.evaluation}"
        if last.evaluation > 1
        else f"None of {result.evaluations} evaluations came nearer than the shipped parameters, the first"
    )
    section.chart(
        words,
        progress_chart(result),
        note="The smallest distance to the targets that are searched on and to the prior, so far.",
        wide=True,
    )


def progress_chart(result: CalibrationResult) -> "alt.LayerChart":
    """Draw the best distance so far by evaluation."""
    import altair as alt

    rows = [{"evaluation": gain.evaluation, "distance": tidy(gain.distance)} for gain in result.gains]
    end = {"evaluation": result.evaluations, "distance": rows[-1]["distance"]}
    x = alt.X("evaluation:Q", title="evaluation", axis=alt.Axis(tickMinStep=1))
    y = alt.Y("distance:Q", title="smallest distance so far", scale=alt.Scale(zero=True))
    tooltip = [alt.Tooltip("evaluation:Q"), alt.Tooltip("distance:Q", format=".4~g")]
    line = alt.Chart(inline([*rows, end])).mark_line(interpolate="step-after").encode(x=x, y=y)
    dots = alt.Chart(inline(rows)).mark_point(filled=True, size=36).encode(x=x, y=y, tooltip=tooltip)
    return _laid([line, dots], 240, 12)


# --- words and shapes --------------------------------------------------------------------------------------------


def _target_units() -> dict[str, str]:
    from experiments.checks import load

    return {check.id: check.unit for check in load("targets")}


def _parameter_units(estimates: Sequence[Estimate]) -> dict[str, str]:
    """Return the unit of every parameter that a shipped scenario has, where it has one."""
    from ecosystem.spec import Spec
    from experiments.calibration import path_fits

    rows = [row for name in ("2023", "2025") for row in Spec.load(name).parameters()]
    found = {}
    for each in estimates:
        units = {row.unit for row in rows if any(path_fits(row.path, pattern) for pattern in each.paths)}
        if len(units) == 1 and units != {"1"}:
            found[each.name] = units.pop()
    return found


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".strip()


def _number(value: float) -> str:
    """Write a value of a target or a parameter; they may be below zero."""
    return f"{value:.4g}" if math.isfinite(value) else f.NOTHING


def _names(key: str, order: Sequence[str]) -> "alt.Y":
    import altair as alt

    return alt.Y(f"{key}:N", sort=list(order), title=None, axis=alt.Axis(domain=False, labelLimit=200))


def _legend() -> Any:
    import altair as alt

    return alt.Legend(offset=ABOVE_AXIS)


def _laid(layers: Sequence[Any], height: float, longest: int) -> "alt.LayerChart":
    import altair as alt

    layered: Any = alt.layer(*layers)
    known = {"longest": longest, "indent": 20}
    chart: alt.LayerChart = layered.properties(width="container", height=height, usermeta=known)
    return chart
