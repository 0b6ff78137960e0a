"""What is measured of a finished chain: named functions that return a number, or a list of numbers.

The functions here read any field or series; `moments_supply` and `moments_demand` hold those with an economic
meaning of their own. `measure` takes many at once and is what a worker process calls. Months are [first, end),
counted from the opening; without them a figure is over the whole run.
"""

import importlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.outcomes import ratio

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

Floats = NDArray[np.float64]
Months = Sequence[int] | None
MODULES = ("moments", "moments_supply", "moments_demand", "moments_apps")


@dataclass(frozen=True, slots=True)
class Lacking:
    """In place of a moment: what it is about, a firm or a region, is not in the scenario."""

    reason: str


def measure(chain: "ValueChain", wanted: Sequence[tuple[str, str]]) -> list[Any]:
    """Return the wanted moments, (name, arguments as JSON) each.

    None where the chain has nothing to say, `Lacking` where the scenario has not what the moment is about.
    """
    return [_measured(chain, name, arguments) for name, arguments in wanted]


@lru_cache(maxsize=256)
def moment(name: str) -> Callable[..., Any]:
    """Return a moment by its name; KeyError for an unknown one."""
    for module in MODULES:
        found: Callable[..., Any] | None = getattr(importlib.import_module(f"experiments.{module}"), name, None)
        if found is not None and not name.startswith("_"):
            return found
    raise KeyError(f"no moment {name!r} in {', '.join(MODULES)}")


def _measured(chain: "ValueChain", name: str, arguments: str) -> Any:
    compute = moment(name)
    try:
        found = compute(chain, **json.loads(arguments))
    except (ZeroDivisionError, FloatingPointError):
        return None
    except KeyError as error:
        return Lacking(f"the scenario has no {error.args[0]!r}")
    return found.tolist() if isinstance(found, np.ndarray) else found


def span(chain: "ValueChain", months: Months) -> slice:
    """Return the months as a slice of the record."""
    return slice(0, chain.recorder.recorded) if months is None else slice(months[0], months[1])


# --- any field, any series -------------------------------------------------------------------------------------


def firm_mean(chain: "ValueChain", firm: str, field: str, months: Months = None) -> float:
    """Return the mean of a field of one firm."""
    return float(chain.recorder.of(firm, field)[span(chain, months)].mean())


def firm_path(chain: "ValueChain", firm: str, field: str) -> Floats:
    """Return a field of one firm by month."""
    return chain.recorder.of(firm, field).copy()


def firm_growth(chain: "ValueChain", firm: str, field: str, first: int = 0, last: int = -1) -> float:
    """Return a field of one firm at one month over that at another."""
    values = chain.recorder.of(firm, field)
    return float(values[last] / values[first])


def firm_ratio(chain: "ValueChain", firm: str, part: str, whole: str, months: Months = None) -> float:
    """Return the sum of one field over the sum of another."""
    of, months_ = chain.recorder.of, span(chain, months)
    return ratio(float(of(firm, part)[months_].sum()), float(of(firm, whole)[months_].sum()))


def tier_sum(chain: "ValueChain", tier: str, field: str, months: Months = None) -> float:
    """Return a field summed over a tier, failed firms included, and over months."""
    return float(chain.recorder.tier(chain, tier, field)[span(chain, months)].sum())


def tier_ratio(chain: "ValueChain", tier: str, part: str, whole: str, months: Months = None) -> float:
    """Return the sum of one field over the sum of another, of a tier."""
    return ratio(tier_sum(chain, tier, part, months), tier_sum(chain, tier, whole, months))


def tier_growth(chain: "ValueChain", tier: str, field: str, early: Sequence[int], late: Sequence[int]) -> float:
    """Return the mean of a tier's field over late months relative to early ones."""
    values = chain.recorder.tier(chain, tier, field)
    return ratio(float(values[slice(*late)].mean()), float(values[slice(*early)].mean()))


def group_ratio(chain: "ValueChain", firms: Sequence[str], part: str, whole: str, months: Months = None) -> float:
    """Return the sum of one field over the sum of another, of some firms together."""
    of, months_ = chain.recorder.of, span(chain, months)
    parts, wholes = (sum(float(of(firm, name)[months_].sum()) for firm in firms) for name in (part, whole))
    return ratio(parts, wholes)


def series_mean(chain: "ValueChain", name: str, months: Months = None) -> float:
    """Return the mean of a market series where it is known."""
    values = chain.recorder.series[name][span(chain, months)]
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def series_yearly(chain: "ValueChain", name: str, months: Months = None) -> float:
    """Return by what a market series is multiplied in a year, between the ends of the months."""
    values = chain.recorder.series[name][span(chain, months)]
    known = np.flatnonzero(np.isfinite(values) & (values > 0.0))
    if len(known) < 2:
        return math.nan
    first, last = int(known[0]), int(known[-1])
    return float((values[last] / values[first]) ** (12.0 / (last - first)))


def series_fold(chain: "ValueChain", name: str, months: Months = None) -> float:
    """Return how many times smaller a market series is after a year."""
    return 1.0 / series_yearly(chain, name, months)


def largest_monthly_rise(chain: "ValueChain", name: str) -> float:
    """Return the largest monthly log rise of a market series."""
    return float(np.diff(np.log(chain.recorder.series[name])).max())


def largest_monthly_fall(chain: "ValueChain", name: str) -> float:
    """Return the largest monthly log fall of a market series, as a number above zero if it ever falls."""
    return float(-np.diff(np.log(chain.recorder.series[name])).min())
