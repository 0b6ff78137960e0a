"""What `monetise`, `hypotheses` and `shock` print on a terminal."""

import json
from typing import TYPE_CHECKING

from experiments import formats as f

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from experiments.events_study import ShockResult
    from experiments.faults import FaultsResult
    from experiments.monetisation import MonetisationResult
    from experiments.verdicts import HypothesesResult

SHOWN = (
    "users",
    "paid_share",
    "break_even_paid_share",
    "subscriptions",
    "advertising",
    "api_calls",
    "commission",
    "other",
    "compute_cost",
    "gross_margin",
    "operating_profit",
    "runway",
    "trust",
)
"""Columns of the terminal's table of arms; the report and the JSON have all."""
COLOURS = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}


def print_monetisation(console: "Console", result: "MonetisationResult") -> None:
    """Print a table of arms for every app, the profit against the control, and the answers."""
    from experiments.monetisation_report import COLUMNS, columns_of, lead

    early = ", stopped early" if result.stopped_early else ""
    console.print(
        f"{result.scenario}, {result.months} months, {result.replicates} replicates{early}, seed {result.seed}",
        highlight=False,
    )
    for app in result.apps:
        table = _table(f"{result.names[app]}: dollars a month, means of the last year")
        table.add_column("arm", no_wrap=True)
        shown = columns_of(result, SHOWN)
        for name in shown:
            table.add_column(COLUMNS[name][0], justify="right")
        table.add_column("breaks even", justify="right")
        for arm in result.arms:
            found = [(name, result.interval(arm.name, app, name)) for name in shown]
            cells = [COLUMNS[n][1](each.estimate) if each else f.NOTHING for n, each in found]
            table.add_row(arm.name, *cells, result.breaks_even(arm.name, app))
        console.print(table)
        console.print(_against(result, app))
    console.print(lead(result), highlight=False)
    console.print("Breaks even: the 95 % interval of profit lies above zero; open where it includes zero.")
    gains = result.variance_reduction().set_index("outcome")["ratio"].dropna()
    if "operating_profit" in gains.index:
        own = gains.loc[["operating_profit"]]
        console.print(
            "Common random numbers: with other replicates in each arm the variance of a difference in profit would be "
            f"{f.digits(own.median())} times as large (median of {len(own)} comparisons; "
            f"{f.digits(own.min())} to {f.digits(own.max())}).",
            highlight=False,
        )
    for question in result.answers.questions if result.answers is not None else ():
        console.print(f"[bold]{question.question}[/bold]", highlight=False)
        console.print(question.answer, highlight=False)


def _against(result: "MonetisationResult", app: str) -> "Table":
    """Return the table of paired differences to the control."""
    from experiments.monetisation_report import COLUMNS

    outcomes = ("operating_profit", "profit_per_user", "users", "surplus")
    table = _table(f"{result.names[app]} against {result.control}: difference, 95 % interval; * p < 0.05 after Holm")
    table.add_column("arm", no_wrap=True)
    for name in outcomes:
        table.add_column(COLUMNS[name][0], justify="right")
    table.add_column("replicates needed", justify="right")
    found = {(c.arm, c.outcome): c for c in result.comparisons if c.app == app}
    for arm in result.arms[1:]:
        cells = []
        for name in outcomes:
            each = found.get((arm.name, name))
            if each is None:
                cells.append(f.NOTHING)
                continue
            span, write = each.difference.interval, COLUMNS[name][1]
            star = "*" if each.adjusted < 0.05 else " "
            cells.append(f"{write(span.estimate)} ({write(span.low)} to {write(span.high)}){star}")
        profit = found.get((arm.name, "operating_profit"))
        table.add_row(arm.name, *cells, f.count(profit.needed) if profit and profit.needed else "settled")
    return table


def print_verdicts(console: "Console", result: "HypothesesResult") -> None:
    """Print the table of verdicts, and under it when each claim holds and what flips it."""
    table = _table("Claims")
    for name in ("claim", "verdict"):
        table.add_column(name, no_wrap=True)
    for name in ("effect", "interval", "threshold", "replicates", "needed"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in result.judgements:
        interval = each.main.interval
        span = f"{f.digits(interval.low)} to {f.digits(interval.high)}" if interval else f.NOTHING
        threshold = f"{'>' if each.claim.above else '<'} {f.digits(each.claim.threshold)}"
        table.add_row(
            each.claim.id,
            f"[{COLOURS[each.verdict]}]{each.verdict}[/]",
            f.digits(interval.estimate) if interval else f.NOTHING,
            span,
            threshold,
            str(interval.n) if interval else "0",
            f.count(each.main.needed) if each.main.needed else "",
        )
    console.print(table)
    rows = result.table()
    for claim, row in rows.iterrows():
        if row["holds_when"] or row["flips"]:
            console.print(f"[bold]{claim}[/bold] {row['holds_when']}", highlight=False)
        if row["flips"]:
            console.print(f"  flips: {row['flips']}", highlight=False)


def print_claims(as_json: bool) -> None:
    """Print id and statement of every claim that is shipped."""
    from experiments.claim_files import read_claim, shipped

    listed = {name: str(read_claim(path)["statement"]) for name, path in shipped().items()}
    if as_json:
        print(json.dumps(listed, indent=2))
        return
    for name, statement in listed.items():
        print(f"{name:26} {statement}")


def print_faults(console: "Console", result: "FaultsResult") -> None:
    """Print what every fault upset: its own claims, and others that changed with it."""
    from experiments.faults_report import HEADS, lead, rows

    table = _table("Planted faults: a row a broken model")
    for name in HEADS:
        table.add_column(name, overflow="fold")
    for row in rows(result):
        table.add_row(*row[:-1], f"[{'green' if row[-1] == 'ok' else 'red'}]{row[-1]}[/]")
    console.print(table)
    console.print(lead(result), highlight=False)


def print_shock(console: "Console", result: "ShockResult") -> None:
    """Print the table of differences, the reading, and who cut what when."""
    from experiments.events_study import AFTER
    from experiments.shock_report import called, reading, written

    console.print(
        f"{result.shock.title}\n{result.scenario}, month {result.month}, {result.replicates} pairs of runs, "
        f"seed {result.seed}",
        highlight=False,
    )
    table = _table("With the event against without: mean and 95 % interval")
    table.add_column("outcome", no_wrap=True)
    shown = [after for after in AFTER if result.month + after < result.months]
    for after in shown:
        table.add_column(f"{after} months", justify="right")
    for outcome in result.treated:
        cells = []
        for after in shown:
            found = result.difference(outcome, result.month + after)
            if found is None:
                cells.append(f.NOTHING)
                continue
            low, high = (written(result, outcome, value) for value in (found.low, found.high))
            cells.append(f"{written(result, outcome, found.estimate)}\n[dim]{low} to {high}[/dim]")
        table.add_row(called(result, outcome), *cells)
    console.print(table)
    console.print(reading(result), highlight=False)
    path = result.path()
    if path:
        said = [
            f"{result.names[each.firm]} {each.decision}, month {each.months_after}, to {f.percent(each.deepest)}"
            for each in path[:12]
        ]
        console.print(f"Who cut what when: {'; '.join(said)}.", highlight=False)


def _table(title: str) -> "Table":
    from rich import box
    from rich.table import Table

    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", padding=(0, 1))
