"""What a comparison of two runs or two stores says: plain data, and its report."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.outcome_words import headlines, in_words, interval, written
from experiments.outcomes import TIER_ORDER, outcome_units
from experiments.reports import Report
from experiments.summaries import plain
from experiments.tables import FIGURES

if TYPE_CHECKING:
    from experiments.comparison import Comparison, OutcomeChange

MOST_PARAMETERS = 60


@dataclass(frozen=True, slots=True)
class Sides:
    """What was compared: the two places, as the user named them, and what they are ("run" or "store")."""

    a: str
    b: str
    kind: str


def comparison_data(found: "Comparison", sides: Sides) -> dict[str, Any]:
    """Return a comparison as JSON can hold it."""
    units = outcome_units(change.outcome for change in found.outcomes)
    content = {
        "a": sides.a,
        "b": sides.b,
        "kind": sides.kind,
        "identical": found.identical,
        "shared_runs": found.shared_runs,
        "only_a": found.only_a,
        "only_b": found.only_b,
        "parameters": {path: {"a": a, "b": b} for path, (a, b) in found.parameters.items()},
        "outcomes": {
            change.outcome: {
                "a": change.a,
                "b": change.b,
                "difference": change.difference,
                "low": change.low,
                "high": change.high,
                "differing_runs": change.differing_runs,
                "unit": units[change.outcome],
            }
            for change in found.outcomes
        },
    }
    clean: dict[str, Any] = plain(content)
    return clean


def counted_parameters(found: "Comparison", of: str = "") -> str:
    """Say how many parameters differ."""
    words = f"{f.counted(len(found.parameters), 'parameter')} {of}".strip()
    return f"{words} {'differs' if len(found.parameters) == 1 else 'differ'}"


def comparison_lead(found: "Comparison", sides: Sides) -> str:
    """Say whether both are the same, and what changed most."""
    runs = "both runs" if sides.kind == "run" else f"the {found.shared_runs} runs that both have"
    if found.identical:
        but = f", though {counted_parameters(found, 'of the scenario')}" if found.parameters else ""
        return f"No difference: {runs} have the same outcomes to the last bit{but}."
    parts = [f"{counted_parameters(found, 'of the scenario')}." if found.parameters else _SAME_SCENARIO]
    changed = [change for change in found.outcomes if change.differing_runs]
    if not changed:
        parts.append(f"Of {runs}, all outcomes are the same to the last bit.")
    else:
        units = outcome_units(change.outcome for change in changed)
        names = headlines([change.outcome for change in changed])
        largest = sorted((c for c in changed if c.outcome in names), key=lambda c: -abs(_relative(c) or 0.0))[:3]
        words = [
            f"{in_words(c.outcome)} {written(c.a, units[c.outcome])} in A, {written(c.b, units[c.outcome])} in B"
            for c in largest
        ]
        parts.append(f"{len(changed)} of {len(found.outcomes)} outcomes differ; among the first ones most: ")
        parts[-1] += f"{'; '.join(words)}."
    if sides.kind == "store":
        parts.append(f"Compared are {runs}; {found.only_a} are only in A and {found.only_b} only in B.")
    elif changed:
        parts.append("One run is no test: give both the same replicates, or compare two stores.")
    return " ".join(parts)


_SAME_SCENARIO = "The scenarios are the same: what differs comes from the seed, the replicate or the code."


def tier_rows(found: "Comparison") -> list[tuple[str, list[str]]]:
    """Return the tier table: figure in words, and for each tier "a → b"."""
    changes = {change.outcome: change for change in found.outcomes}
    rows = []
    for name, (words, write) in FIGURES.items():
        cells = [changes.get(f"{tier}_{name}") for tier in TIER_ORDER]
        if any(cell is not None for cell in cells):
            rows.append((words, [f.NOTHING if c is None else _arrow(write(c.a), write(c.b)) for c in cells]))
    return rows


def parameter_rows(found: "Comparison") -> list[list[str]]:
    """Return the changed parameters: path, value in A, value in B."""
    return [[path, _value(a), _value(b)] for path, (a, b) in list(found.parameters.items())[:MOST_PARAMETERS]]


def comparison_report(found: "Comparison", sides: Sides, facts: Mapping[str, str] | None = None) -> Report:
    """Return the report of a comparison."""
    compared = "two runs" if sides.kind == "run" else f"{found.shared_runs} runs that both have"
    known = {"A": sides.a, "B": sides.b, "compared": compared}
    report = Report("What changed from A to B", comparison_lead(found, sides), {**known, **(facts or {})})
    if rows := tier_rows(found):
        what = "of the last year" if sides.kind == "run" else "of the last year, means over the runs that both have"
        table = [[words, *cells] for words, cells in rows]
        report.section("Tiers").table(f"Figures {what}: A → B", ["", *TIER_ORDER], table)
    section = report.section("Outcomes")
    largest = [change for change in found.outcomes if _relative(change)]
    if largest:
        first = max(largest, key=lambda change: abs(_relative(change) or 0.0))
        title = f"{in_words(first.outcome).capitalize()} changed most for its size: {_signed(first)}"
        section.chart(title, found.plot(), wide=True, note="B minus A over A, the twenty largest.")
    units = outcome_units(change.outcome for change in found.outcomes)
    rest = [_row(change, units[change.outcome], found.shared_runs, sides.kind) for change in found.outcomes]
    spread = ["5 to 95 % over runs", "runs that differ"] if sides.kind == "store" else []
    heads = ["outcome", "A", "B", "B minus A", *spread, "unit"]
    section.table(f"All {len(rest)} outcomes", heads, rest, folded=True)
    section = report.section("Parameters")
    if found.parameters:
        rows_of = [[f"`{path}`", a, b] for path, a, b in parameter_rows(found)]
        cut = f", the first {MOST_PARAMETERS}" if len(found.parameters) > MOST_PARAMETERS else ""
        section.table(f"{counted_parameters(found)}{cut}", ["parameter", "A", "B"], rows_of, words=True)
    else:
        section.text("Both scenarios are the same.")
    return report


def _row(change: "OutcomeChange", unit: str, runs: int, kind: str) -> list[str]:
    factors = unit == "factor a year"
    difference = f.NOTHING if factors else written(change.difference, unit)
    cells = [f"`{change.outcome}`", written(change.a, unit), written(change.b, unit), difference]
    if kind == "store":
        cells += [f.NOTHING if factors else interval(change.low, change.high, unit)]
        cells += [f"{change.differing_runs} of {runs}"]
    return [*cells, unit]


def _relative(change: "OutcomeChange") -> float | None:
    if not change.a or not math.isfinite(change.a) or not math.isfinite(change.b):
        return None
    return change.difference / abs(change.a)


def _signed(change: "OutcomeChange") -> str:
    return f"{100.0 * (_relative(change) or 0.0):+.0f} %"


def _arrow(a: str, b: str) -> str:
    return a if a == b else f"{a} → {b}"


def _value(value: Any) -> str:
    return f.NOTHING if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
