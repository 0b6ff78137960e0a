"""How a scoreboard is shown: on a terminal, as an HTML report, as text for the documentation."""

import math
from typing import TYPE_CHECKING, Any

from experiments.validation import TITLES, Scoreboard

if TYPE_CHECKING:
    from rich.console import Console

    from experiments.checks import Row
    from experiments.reports import Report

HEADS = ("", "expected", "found", "verdict", "replicates right", "source", "note")
_COLOURS = {"pass": "green", "miss": "red", "not computed": "dim"}


def summary_line(board: Scoreboard, name: str) -> str:
    """Return how many rows of a class passed."""
    passed, computed, missing = board.counts()[name]
    given = sum(row.given and row.status == "pass" for row in board.section(name))
    more = f" ({given} of these are given by a parameter or the opening)" if given else ""
    more += f", {missing} not computed" if missing else ""
    return f"{TITLES[name]}: {passed} of {computed} pass{more}"


def print_scoreboard(console: "Console", board: Scoreboard) -> None:
    """Print all rows by class, and the counts at the end."""
    from rich import box
    from rich.table import Table

    for name, title in TITLES.items():
        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", padding=(0, 1))
        for head in ("", "expected", "found", "verdict", "source"):
            table.add_column(head, overflow="fold")
        for row in board.section(name):
            words = f"{_title(row)}\n[dim]{row.note}[/dim]" if row.note else _title(row)
            verdict = f"[{_COLOURS[row.status]}]{row.status}[/]"
            table.add_row(words, row.expected, row.found, verdict, row.source)
        console.print(table)
    console.print(f"[bold]Scoreboard of {board.scenario}[/bold], {board.seeds} replicates, {board.seconds:.0f} s")
    for name in TITLES:
        console.print(summary_line(board, name), highlight=False)


def scoreboard_report(board: Scoreboard) -> "Report":
    """Return the scoreboard as a report."""
    from experiments.charts import stacked
    from experiments.reports import Report

    counts = board.counts()
    passed, computed = (sum(each[i] for each in counts.values()) for i in (0, 1))
    lead = (
        f"{passed} of {computed} statements about the model hold, over {board.seeds} replicates of every run. "
        "Rows that fail stay in. Bands are the sources' where they give one, else this project's judgement."
    )
    facts = {TITLES[name].split(":")[0]: f"{each[0]} of {each[1]}" for name, each in counts.items()}
    report = Report(f"Scoreboard of {board.scenario}", lead, facts)
    if computed:
        order = [SHORT_TITLES[name] for name in TITLES if board.section(name)]
        titled = f"{passed} of {computed} statements pass; {_weakest(counts)}"
        section = report.section("In one picture")
        section.chart(titled, stacked(_parts(board), "statements", parts=PARTS, order=order, number=".0f"), wide=True)
    for name, title in TITLES.items():
        section = report.section(title)
        rows = [cells(row) for row in board.section(name)]
        section.table(summary_line(board, name), HEADS, rows, words=True)
    return report


SHORT_TITLES = {
    "limits": "exact limits",
    "kernel": "kernel rows",
    "targets": "targets",
    "facts": "stylised facts",
    "sizes": "sizes",
    "readings": "readings",
    "robustness": "robustness",
}
PARTS = ("pass", "pass, but given", "miss", "not computed")


def _parts(board: Scoreboard) -> list[dict[str, Any]]:
    """Return how many rows of each class came to what."""
    rows = []
    for name in TITLES:
        said = ["pass, but given" if row.given and row.status == "pass" else row.status for row in board.section(name)]
        rows += [{"name": SHORT_TITLES[name], "part": part, "value": float(said.count(part))} for part in set(said)]
    return rows


def _weakest(counts: dict[str, tuple[int, int, int]]) -> str:
    """Say in which class most statements miss."""
    name = max(counts, key=lambda name: counts[name][1] - counts[name][0])
    passed, computed, _ = counts[name]
    return f"most that miss are {SHORT_TITLES[name]}, {computed - passed} of {computed}"


def cells(row: "Row") -> list[str]:
    """Return a row as text by column of `HEADS`."""
    right = f"{100.0 * row.right:.0f} %" if math.isfinite(row.right) and row.n > 1 else ""
    expected = f"{row.expected} {row.unit}" if row.unit not in ("", "1") and row.expected else row.expected
    return [_title(row), expected, row.found, row.status, right, row.source, row.note]


def markdown(board: Scoreboard) -> str:
    """Return the scoreboard as Markdown."""
    parts = []
    for name, title in TITLES.items():
        parts += [f"## {title}", "", summary_line(board, name) + ".", ""]
        parts += markdown_table(HEADS, [cells(row) for row in board.section(name)])
    return "\n".join(parts)


def markdown_table(heads: "tuple[str, ...]", rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table, an empty one at the end."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in row) + " |" for row in rows]
    return [*lines, ""]


def _title(row: "Row") -> str:
    title = f"{row.ref} {row.title}" if row.ref else row.title
    return f"{title} (given)" if row.given else title
