"""How the page on experiments writes results: tables, spans, and the command that made them."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.dispatch import duration
from experiments.scoreboards import markdown_table

if TYPE_CHECKING:
    from experiments.docs_experiments import Results

Write = Callable[[float], str]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, or a sentence where there is no row."""
    return "\n".join(markdown_table(tuple(heads), [list(row) for row in rows])).rstrip() if rows else "Nothing to show."


def number(value: Any) -> float:
    """Return a number of a result, NaN where the file has none."""
    return math.nan if value is None else float(value)


def spanned(write: Write, low: Any, high: Any, estimate: Any = None) -> str:
    """Return an interval as text, after its estimate where one is given; a dash where there is none."""
    ends = [write(number(end)) for end in (low, high)]
    if estimate is None:
        return f.NOTHING if f.NOTHING in ends else f"{ends[0]} to {ends[1]}"
    said = write(number(estimate))
    return said if f.NOTHING in ends else f"{said} ({ends[0]} to {ends[1]})"


def signed_percent(value: float) -> str:
    """Return a share as a signed percentage."""
    return f"{100.0 * value:+.1f} %" if math.isfinite(value) else f.NOTHING


def signed_count(value: float) -> str:
    """Return a signed number."""
    return f"{'+' if value > 0.0 else ''}{f.count(value)}" if math.isfinite(value) else f.NOTHING


def signed_money(value: float) -> str:
    """Return signed dollars."""
    return f"{'+' if value > 0.0 else ''}{f.money(value)}" if math.isfinite(value) else f.NOTHING


def made(results: "Results", step: str, what: str = "") -> str:
    """Say which command made a result, with what, by which code, and in which time."""
    record = results.record(step)
    parts = [f"`{record['command']}`", what, f"code `{str(record['fingerprint'])[:12]}`", duration(record["seconds"])]
    return f"*Made by {'; '.join(part for part in parts if part)}.*"


def runs_of(numbers: Sequence[int]) -> str:
    """Return whole numbers with those in a row joined: 1 to 3, 7."""
    if not numbers:
        return "none"
    groups = [[numbers[0]]]
    for last, following in pairwise(numbers):
        if following == last + 1:
            groups[-1].append(following)
        else:
            groups.append([following])
    return ", ".join(f"{group[0]} to {group[-1]}" if len(group) > 1 else str(group[0]) for group in groups)


def pivot(
    rows: Sequence[Mapping[str, Any]], down: str, across: str, cell: Callable[[Mapping[str, Any]], str], head: str
) -> str:
    """Return a table with a row a value of one key and a column a value of another; `head` formats the columns."""
    columns = list(dict.fromkeys(row[across] for row in rows))
    cells = {(row[down], row[across]): cell(row) for row in rows}
    lines = [
        [f.count(value), *(cells.get((value, column), f.NOTHING) for column in columns)]
        for value in dict.fromkeys(row[down] for row in rows)
    ]
    return table([down, *(head.format(f"{column:g}") for column in columns)], lines)
