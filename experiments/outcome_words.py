"""Outcomes and factors as people read them: names in words, values with their unit, short labels."""

from collections.abc import Sequence

from experiments import formats as f
from experiments.outcomes import TIER_ORDER

HEADLINES = (
    *(f"{tier}_operating_profit" for tier in TIER_ORDER),
    *(f"{tier}_return_on_capital" for tier in TIER_ORDER),
    *(f"{tier}_cents_per_final_dollar" for tier in TIER_ORDER),
    "final_demand",
    "list_price_yearly_factor",
    "failures",
)
"""What tables of a sweep begin with."""


def headlines(known: Sequence[str]) -> list[str]:
    """Return the outcomes that are shown first: the standing ones, or the first dozen of a store without them."""
    return [name for name in HEADLINES if name in known] or list(known[:12])


def in_words(outcome: str) -> str:
    """Return an outcome's name as in a sentence: `apps_operating_profit` is operating profit of apps."""
    tier, _, figure = outcome.partition("_")
    if tier not in TIER_ORDER or not figure:
        return outcome.replace("_", " ")
    whole = figure.removesuffix("_run")
    return f"{whole.replace('_', ' ')} of {tier}" + (" over the whole run" if whole != figure else "")


def written(value: float, unit: str) -> str:
    """Return a value as people read it, by its unit."""
    if unit.startswith("USD"):
        return f.money(value)
    if unit.startswith("share"):
        return f.percent(value)
    if unit == "cents":
        return f.cents(value)
    return f.factor(value) if unit == "factor a year" else f.count(value)


def interval(low: float, high: float, unit: str) -> str:
    """Return two values as a span, or a dash where there is none."""
    words = [written(value, unit) for value in (low, high)]
    return f.NOTHING if f.NOTHING in words else f"{words[0]} to {words[1]}"


def short_path(path: str) -> str:
    """Return the last two parts of a dotted path, enough to know a factor by in a chart."""
    return ".".join(path.split(".")[-2:])
