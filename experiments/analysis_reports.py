"""Reports of sensitivities and of discoveries: what moves an outcome, and where a condition holds."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import formats as f
from experiments.outcome_words import in_words, short_path, written
from experiments.outcomes import outcome_units
from experiments.reports import Report, Section
from experiments.samples import Value
from experiments.sweep_charts import box_scatter, limits, screening

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.discovery import Box, Discovery, Limit
    from experiments.sensitivities import Sensitivity

WEAK = 0.1
"""Share of the strongest effect below which a factor is called weak."""
Estimate = tuple[float, float, float]


def sensitivity_report(found: "Sensitivity", facts: Mapping[str, str] | None = None) -> Report:
    """Return the report of a sensitivity; `facts` say where it comes from."""
    what = "trajectories" if found.method == "morris" else "base points"
    known = {"method": METHODS[found.method], "complete": f"{found.used} of {found.planned} {what}"}
    report = Report(f"What moves {in_words(found.outcome)}", sensitivity_lead(found), {**(facts or {}), **known})
    section = report.section("Indices")
    section.chart(_first_title(found), found.plot(), wide=found.method == "sobol", note=_INDEX_NOTES[found.method])
    unit = outcome_units([found.outcome])[found.outcome]
    if found.method == "morris":
        rows = [
            {"factor": short_path(each.factor), "path": each.factor}
            | {name: each.indices[name][0] for name in ("mu_star", "sigma")}
            for each in found.effects
        ]
        section.chart(_plane_title(found), screening(rows, unit), note=_PLANE_NOTE)
    heads, rows_of = index_rows(found, unit)
    what = unit if found.method == "morris" else "shares of variance"
    section.table(f"All {len(rows_of)} factors, strongest first; {what}, 95 % intervals in brackets", heads, rows_of)
    return report


METHODS = {"morris": "Morris screening", "sobol": "Sobol indices"}
_INDEX_NOTES = {
    "morris": "Mean size of the change when a factor alone goes through its whole range (mu*); lines: 95 % intervals.",
    "sobol": "First: the variance that a factor explains alone; total: with its interactions. Lines: 95 % intervals.",
}
_PLANE_NOTE = (
    "Right: strong. Near or above the dashed diagonal: the effect depends on the other factors, or is not a straight "
    "line. At the bottom: the same everywhere."
)


def sensitivity_lead(found: "Sensitivity") -> str:
    """Say which factors matter most, with intervals, and which do not."""
    unit = outcome_units([found.outcome])[found.outcome]
    ranked = _ranked(found)
    path, indices = ranked[0]
    main = "mu_star" if found.method == "morris" else "total"
    if not indices[main][0] > 0.0:
        return f"{in_words(found.outcome).capitalize()} answers to none of the {len(ranked)} factors."
    if found.method == "morris":
        sign = "up" if indices["mu"][0] > 0.0 else "down"
        text = (
            f"`{path}` moves {in_words(found.outcome)} most: through its range by {_spanned(indices['mu_star'], unit)} "
            f"on average, mostly {sign}."
        )
        others = [
            f"`{name}` ({written(each['mu_star'][0], unit)})" for name, each in ranked[1:4] if each[main][0] > 0.0
        ]
    else:
        text = (
            f"`{path}` explains {_spanned(indices['first'], 'share')} of the variance of {in_words(found.outcome)} "
            f"alone and {_spanned(indices['total'], 'share')} with its interactions. All factors alone explain "
            f"{_alone(found)}; what is left of the variance is interaction."
        )
        others = [f"`{name}` ({f.percent(each['total'][0])})" for name, each in ranked[1:4] if each[main][0] > 0.0]
    weak = [name for name, each in ranked if each[main][2] < WEAK * indices[main][0]]
    parts = [text, f"Next come {f.listed(others)}." if others else ""]
    if weak:
        parts.append(f"{len(weak)} of {len(ranked)} stay surely below a tenth of the strongest and can be left fixed.")
    return " ".join(part for part in parts if part)


def _alone(found: "Sensitivity") -> str:
    """Write the share of variance that all factors explain alone, a share from 0 to 1 whatever the estimates."""
    value, low, high = (min(max(x, 0.0), 1.0) for x in found.alone)
    return _spanned((value, low, high), "share")


def index_rows(found: "Sensitivity", unit: str) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of the table of indices, the strongest factor first."""
    names = ("mu_star", "mu", "sigma") if found.method == "morris" else ("first", "total")
    shown = unit if found.method == "morris" else "share"
    role = {each.factor: each.role for each in found.effects}
    rows = [[f"`{p}`", role[p], *(_spanned(i[name], shown) for name in names)] for p, i in _ranked(found)]
    return ["factor", "role", *(_HEADS[name] for name in names)], rows


def short_index_rows(found: "Sensitivity", unit: str) -> tuple[list[str], list[list[str]]]:
    """Return the same for a narrow terminal: the main index with its interval, of Sobol's also the first order."""
    if found.method == "morris":
        rows = [[p, *(written(x, unit) for x in i["mu_star"])] for p, i in _ranked(found)]
        return ["factor", "mu*", "2.5 %", "97.5 %"], rows
    rows = [[p, *(f.percent(x) for x in (*i["total"], i["first"][0]))] for p, i in _ranked(found)]
    return ["factor", "total", "2.5 %", "97.5 %", "first"], rows


def discovery_report(
    found: "Discovery",
    cases: "Mapping[str, NDArray[Any]]",
    interesting: "NDArray[np.bool_]",
    facts: Mapping[str, str] | None = None,
) -> Report:
    """Return the report of a discovery; `cases` and `interesting` are the runs it was found in."""
    box = found.box
    inside = round(box.mass * found.held_out)
    known = {
        "runs": str(found.cases),
        "where it holds": f"{found.interesting} ({f.percent(found.interesting / found.cases)})",
        "runs held out": str(found.held_out),
        "of these in the box": str(inside),
        "density": f.percent(box.density),
        "coverage": f.percent(box.coverage),
    }
    report = Report(f"Where {found.condition}", discovery_lead(found, cases), {**(facts or {}), **known})
    if not box.limits:
        report.section("The box").text(_NO_BOX)
        return report
    section = report.section("The box")
    _box_charts(section, found, cases, interesting)
    rows = [[f"`{p}`", limit_words(limit, cases[p]), f.digits(found.p_values[p])] for p, limit in box.limits.items()]
    section.table("Each limit, and how easily chance alone would do as well", ["factor", "limit", "p value"], rows)
    section = report.section("How it was chosen")
    section.chart(
        f"Of {len(found.boxes)} boxes, the one that balances coverage ({f.percent(box.coverage)}) and density "
        f"({f.percent(box.density)}) best",
        found.plot(),
        note="PRIM peels a twentieth of the searched runs at a time, from the whole space (left to right the boxes get "
        "larger).",
    )
    section.text(
        "Boxes were searched in half of the points; coverage, density, intervals and p values are of the other half, "
        "which the search has not seen. Intervals and p values count points, not replicates."
    )
    return report


def discovery_lead(found: "Discovery", cases: "Mapping[str, NDArray[Any]]") -> str:
    """Say in words where the condition holds, how surely, and how much of it that is."""
    share = found.interesting / found.cases
    text = f"`{found.condition}` holds in {found.interesting} of {found.cases} runs ({f.percent(share)})."
    if not found.box.limits:
        return f"{text} {_NO_BOX}"
    inside = round(found.box.mass * found.held_out)
    limits_in_words = [f"`{path}` {limit_words(limit, cases[path])}" for path, limit in found.box.limits.items()]
    box = f"Half of the points were searched for a box: {f.listed(limits_in_words)}."
    if not inside:
        return f"{text} {box} None of the {found.held_out} runs of the other half lie in it."
    hits = round(found.box.density * inside)
    return (
        f"{text} {box} Of the {found.held_out} runs of the other half {inside} lie in it, and it holds in {hits} of "
        f"them: {_share_words(hits, inside, found.replicates)}. That is "
        f"{_share_words(hits, found.held_out_interesting, found.replicates)} of the runs of that half where it holds."
    )


_NO_BOX = "No box balances coverage and density better than the whole space: ask for the opposite, NOT (...), instead."


def limit_words(limit: "Limit", values: "NDArray[Any]") -> str:
    """Say a limit: an end that is that of all values tried is none."""
    if not isinstance(limit, tuple):
        return " or ".join(sorted(str(each).lower() for each in limit))
    low, high = (float(end) for end in limit)
    lowest, highest = float(values.min()), float(values.max())
    if low <= lowest and high >= highest:
        return "anywhere"
    if low <= lowest:
        return f"at most {high:.4g}"
    return f"at least {low:.4g}" if high >= highest else f"from {low:.4g} to {high:.4g}"


def _first_title(found: "Sensitivity") -> str:
    path, indices = _ranked(found)[0]
    if found.method == "morris":
        unit = outcome_units([found.outcome])[found.outcome]
        return f"`{path}` moves {in_words(found.outcome)} by {_spanned(indices['mu_star'], unit)}"
    return f"`{path}` has a total index of {_spanned(indices['total'], 'share')}"


def _plane_title(found: "Sensitivity") -> str:
    strong = [(n, i) for n, i in _ranked(found) if i["mu_star"][0] > 0.25 * _ranked(found)[0][1]["mu_star"][0]]
    curved = [name for name, i in strong if i["sigma"][0] > 0.5 * i["mu_star"][0]]
    named = f.listed([f"`{name}`" for name in curved or [name for name, _ in strong]])
    if not curved:
        return f"About the same everywhere is the effect of {named}"
    return f"It depends on the other factors, or on where one starts, what {named} does"


_HEADS = {
    "mu_star": "mean size (mu*)",
    "mu": "mean (mu)",
    "sigma": "spread (sigma)",
    "first": "first order",
    "total": "total",
}


def _ranked(found: "Sensitivity") -> list[tuple[str, Mapping[str, Estimate]]]:
    main = "mu_star" if found.method == "morris" else "total"
    effects = sorted(found.effects, key=lambda effect: -effect.indices[main][0])
    return [(effect.factor, effect.indices) for effect in effects]


def _spanned(estimate: Estimate, unit: str) -> str:
    value, low, high = estimate
    words = written(value, unit)
    return words if math.isnan(low) else f"{words} ({written(low, unit)} to {written(high, unit)})"


def _share_words(hits: int, of: int, replicates: float) -> str:
    """Return a share with its 95 % interval (Wilson), in which the replicates of a point count as one case."""
    from scipy.stats import binomtest

    points = max(round(of / replicates), 1)
    low, high = binomtest(round(hits / of * points), points).proportion_ci(method="wilson")
    return f"{f.percent(hits / of)} (95 % interval {f.percent(low)} to {f.percent(high)})"


def _box_charts(
    section: Section, found: "Discovery", cases: "Mapping[str, NDArray[Any]]", interesting: "NDArray[np.bool_]"
) -> None:
    numeric = {path: limit for path, limit in found.box.limits.items() if isinstance(limit, tuple)}
    rows = []
    for path, (low, high) in numeric.items():
        lowest, highest = float(cases[path].min()), float(cases[path].max())
        length = highest - lowest
        words = limit_words((low, high), cases[path])
        ends = {"from": (low - lowest) / length, "to": (high - lowest) / length}
        rows.append({"factor": short_path(path), "path": path, "words": words, **ends})
    if rows:
        first = ", ".join(short_path(path) for path in numeric)
        section.chart(f"The box limits {len(found.box.limits)} of {len(cases)} factors: {first}", limits(rows))
    if len(numeric) < 2:
        return
    p_values = found.p_values
    x, y = sorted(numeric, key=lambda path: p_values[path])[:2]
    dots = [
        {"x": _number(a), "y": _number(b), "hit": "holds" if hit else "does not"}
        for a, b, hit in zip(_spread(cases[x], 0), _spread(cases[y], 1), interesting, strict=True)
    ]
    (x1, x2), (y1, y2) = (_edges(numeric[path], cases[path]) for path in (x, y))
    section.chart(
        f"Over its two surest limits: {f.percent(found.box.density)} of the held-out runs in the box are hits, "
        f"{f.percent(_outside(found.box, found))} of the others",
        box_scatter(dots, (x, y), {"x": x1, "x2": x2, "y": y1, "y2": y2}),
        note="A dot a run, moved a little where many have the same value. Runs in the frame may be outside by "
        "another limit.",
    )


def _outside(box: "Box", found: "Discovery") -> float:
    """Return the share of hits among the held-out runs that are not in the box."""
    others = found.held_out * (1.0 - box.mass)
    return found.held_out_interesting * (1.0 - box.coverage) / others if others else math.nan


def _spread(values: "NDArray[Any]", seed: int) -> "NDArray[np.float64]":
    """Return values with a little scatter, always the same, where they are few levels."""
    levels = np.unique(values)
    if len(levels) > 20 or len(levels) < 2:
        return np.asarray(values, dtype=np.float64)
    step = float(np.diff(levels).min())
    return np.asarray(values + np.random.default_rng(seed).uniform(-0.25, 0.25, len(values)) * step, dtype=np.float64)


def _edges(limit: tuple[float, float], values: "NDArray[Any]") -> tuple[float, float]:
    """Return a limit as it is drawn, half a step outside its values where they are few levels."""
    levels = np.unique(values)
    step = float(np.diff(levels).min()) if 1 < len(levels) <= 20 else 0.0
    return float(limit[0]) - 0.4 * step, float(limit[1]) + 0.4 * step


def _number(value: Value) -> float:
    return float(f"{float(value):.6g}")
