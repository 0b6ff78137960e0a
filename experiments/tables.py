"""What `watersellers run` and `scenarios` print on a terminal."""

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.outcomes import TIER_ORDER
from experiments.summaries import CAVEAT, MEASURES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FIGURES: dict[str, tuple[str, Callable[[float], str]]] = {
    "revenue": ("revenue a year", f.money),
    "operating_profit": ("operating profit a year", f.money),
    "gross_margin": ("gross margin", f.percent),
    "operating_margin": ("operating margin", f.percent),
    "profit_over_value_added": ("profit over value added", f.percent),
    "return_on_capital": ("return on capital a year", f.percent),
    "cents_per_final_dollar": ("kept of a final dollar", f.cents),
    "cover_services": ("covered by final demand", f.percent),
    "cover_with_on_premise": ("  and on-premise boxes", f.percent),
    "cover_with_own_use": ("  and owners' own use", f.percent),
    "equity_value": ("equity value", f.money),
    "concentration": ("concentration (HHI)", f.digits),
}
"""Rows of the tier table: what they are called and how they are written."""


def print_run(console: "Console", content: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Print the summary of a run, with bands where it holds replicates."""
    months, window = content["months"], content["window_months"]
    head = f"{content['title']}\n{months} months from {content['start']}, seed {content['seed']}"
    many = content.get("replicates")
    head += f", {many['count']} replicates: median (5-95 %)" if many else ""
    console.print(head, highlight=False)
    console.print(_tier_table(content, f"Who earns: the last {window} months"))
    console.print(_price_table(content))
    console.print(_consumer_table(content))
    _print_plugs(console, content)
    failed = [f"{each['name']} ({each['date']})" for each in content["failures"]]
    first = "Failed in the first replicate" if many else "Failed"
    console.print(f"{first}: {f.listed(failed)}.", highlight=False)
    console.print()
    console.print("[bold]What it says of the water sellers[/bold]")
    console.print(content["water_sellers"]["text"], highlight=False)
    console.print(_support(many) if many else CAVEAT, highlight=False)
    if files:
        console.print()
        for what, path in files.items():
            console.print(f"{what}: {path}", highlight=False, soft_wrap=True)


def print_scenarios(console: "Console", scenarios: list[dict[str, Any]]) -> None:
    """Print the scenarios that there are."""
    table = lean_table(None, "scenario", "months", "firms", "what it is", wrap=True, text=True)
    for each in scenarios:
        table.add_row(each["name"], str(each["months"]), str(each["firms"]), each["title"])
    console.print(table)


def print_parameters(console: "Console", rows: list[dict[str, Any]]) -> None:
    """Print parameters, one a paragraph: path and value, then unit, range, role, source and meaning."""
    for row in rows:
        unit = f" {row['unit']}" if row["unit"] not in {"1", ""} else ""
        console.print(f"[bold]{row['path']}[/bold] = {_value(row['value'])}{unit}", highlight=False)
        span = f"plausible {row['range'][0]:g} to {row['range'][1]:g}; " if row["range"] else ""
        note = f"  {row['doc']}\n  {span}{row['role']}; source: {row['source']}"
        console.print(note, style="dim", highlight=False, markup=False)


def _tier_table(content: Mapping[str, Any], title: str) -> "Table":
    table = lean_table(title, "", *TIER_ORDER, wrap=True)
    bands = content["replicates"]["bands"] if "replicates" in content else None
    for name, (words, write) in FIGURES.items():
        cells = [content["tiers"][tier][name] for tier in TIER_ORDER]
        if bands is None:
            table.add_row(words, *(write(_number(cell)) for cell in cells))
        else:
            table.add_row(words, *(_band(bands[f"{tier}_{name}"], write) for tier in TIER_ORDER))
    counts = [content["tiers"][tier] for tier in TIER_ORDER]
    failed = [str(each["failed"]) for each in counts]
    if bands is not None:
        failed = [_band(bands[f"{tier}_failed"], lambda value: f"{value:g}") for tier in TIER_ORDER]
    firms = [str(each["firms"]) for each in counts]
    table.add_row("failed firms", *(f"{a} of {b}" for a, b in zip(failed, firms, strict=True)))
    return table


def _price_table(content: Mapping[str, Any]) -> "Table":
    table = lean_table(
        "Prices, first replicate" if "replicates" in content else "Prices",
        "",
        "first",
        "last",
        "lowest",
        "highest",
        "a year",
    )
    prices = content["prices"]
    paths: list[tuple[str, Mapping[str, Any]]] = [
        ("best model, list, $/Mtok", prices["list_price"]),
        ("at opening quality, $/Mtok", prices["fixed_quality_price"]),
    ]
    for name, words in (("rent", "rent {}, $/H100-h"), ("chip_price", "chips {}, $/H100-eq")):
        paths += [(words.format(region), path) for region, path in prices[name].items()]
    paths += [(f"lead time {region}, months", path) for region, path in prices["lead_time"].items()]
    for words, path in paths:
        write = f.count if words.startswith("chips") else f.digits
        cells = [write(_number(path[key])) for key in ("first", "last", "lowest", "highest")]
        yearly = "" if words.startswith("lead") else f.factor(_number(path.get("yearly_factor")))
        table.add_row(words, *cells, yearly)
    return table


def _consumer_table(content: Mapping[str, Any]) -> "Table":
    table = lean_table("Consumers", "region", "users of apps", "payers", "paid share", wrap=True)
    bands = content["replicates"]["bands"] if "replicates" in content else None
    for region, each in content["consumers"].items():
        cells = [f.count(_number(each["users"])), f.count(_number(each["payers"]))]
        share = f.percent(_number(each["paid_share"]))
        if bands is not None:
            names = (f"{name}_{region}".replace("-", "_") for name in ("users", "payers", "conversion"))
            *cells, share = (
                _band(bands[name], write) for name, write in zip(names, (f.count, f.count, f.percent), strict=True)
            )
        table.add_row(region, *cells, share)
    return table


def _print_plugs(console: "Console", content: Mapping[str, Any]) -> None:
    """Print what the opening solved for, one line a kind of plug."""
    kinds: dict[str, list[str]] = {}
    for plug in content["plugs"]:
        value = _number(plug["value"])
        shown = f"{f.money(value)} a month" if plug["unit"] == "USD/month" else f.digits(value)
        kinds.setdefault(plug["what"], []).append(f"{plug['name']} {shown}")
    if kinds:
        console.print("[bold]What the opening month solved for[/bold]")
    for what, firms in kinds.items():
        console.print(f"{what}: {', '.join(firms)}.", highlight=False)


def _support(many: Mapping[str, Any]) -> str:
    shares = [f"{MEASURES[name]} {f.percent(share)}" for name, share in many["upstream_ahead"].items()]
    return (
        f"Replicates in which both are ahead of labs and apps, by {f.listed(shares)}. The text above is of "
        "the first replicate."
    )


def _band(band: Mapping[str, float | None], write: Callable[[float], str]) -> str:
    median, low, high = (write(_number(band[key])) for key in ("median", "low", "high"))
    return median if median == low == high else f"{median}\n[dim]{_span(low, high)}[/dim]"


def _span(low: str, high: str) -> str:
    """Write an interval short: without the unit that the median has, and the step of thousands once."""
    low, high = (re.sub(r"[$¢% ]", "", text) for text in (low, high))
    ending = re.search(r"[a-z]*$", high)
    if ending and ending[0] and low.endswith(ending[0]):
        low = low.removesuffix(ending[0])
    return f"{low}..{high}"


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _value(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("[", r"\[")


def lean_table(
    title: str | None, *columns: str, wrap: bool = False, text: bool = False, whole_names: bool = False
) -> "Table":
    """Return a table with a line under its head only; columns after the first to the right, unless `text`.

    With `whole_names` the first column is never cut, whatever `wrap` says.
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", padding=(0, 1))
    for i, column in enumerate(columns):
        whole = not wrap or (i == 0 and whole_names)
        table.add_column(column, justify="left" if i == 0 or text else "right", no_wrap=whole, overflow="fold")
    return table
