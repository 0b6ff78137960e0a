"""Free parameters that one target alone sees: solved for it after the search, inside their ranges."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from experiments.calibration import Estimate, Free, free_parameters, rounded, targets
from experiments.errors import UserError

if TYPE_CHECKING:
    from experiments.calibration_search import Search

TOLERANCE = 0.01
"""Of a range: how closely a parameter is solved for."""
PINNED_SHARE = 0.5
"""Of a range: a parameter whose target is inside its band on less than that is pinned."""


def solve_alone(search: "Search", best: Mapping[str, float]) -> tuple[Estimate, ...]:
    """Return the parameters that a target of their own pins, the searched ones at `best`.

    Each is solved so that its target's mean over replicates is the middle of the band; the interval is where it is
    inside the band, and the parameter is pinned if that is less than half its range. Where the whole range lies on one
    side of the band, the nearer end is the estimate; where the target has no value at a place that was tried, the prior
    is, and the parameter is not pinned.
    """
    return tuple(_solve(search, best, each) for each in free_parameters(search.scenario) if each.alone is not None)


def _solve(search: "Search", best: Mapping[str, float], free: Free) -> Estimate:
    known = {check.id: check for check in targets(searched=False)}
    if free.alone not in known:
        raise UserError(f"free.toml: {free.name}: alone: no computed target {free.alone!r}")
    low, high = known[free.alone].band

    def place_of(level: float) -> float:
        """Bisect for the place in the range at which the target is at a level; the nearer end where it never is.

        NaN where the target has no value on the way.
        """
        ends = [(place, measure(place) - level) for place in (0.0, 1.0)]
        if not all(np.isfinite(distance) for _, distance in ends):
            return math.nan
        if ends[0][1] * ends[1][1] > 0.0:
            return min(ends, key=lambda end: abs(end[1]))[0]
        (below, sign), (above, _) = ends
        while above - below > TOLERANCE:
            middle = 0.5 * (below + above)
            value = measure(middle) - level
            if not np.isfinite(value):
                return math.nan
            below, above = (middle, above) if value * sign > 0.0 else (below, middle)
        return 0.5 * (below + above)

    found: dict[float, float] = {}

    def measure(place: float) -> float:
        if place not in found:
            sample = search.sample({**best, free.name: free.value(place)}, (str(free.alone),))
            known = sample[np.isfinite(sample)]
            found[place] = float(np.mean(known)) if len(known) else math.nan
        return found[place]

    estimate = place_of(0.5 * (low + high))
    ends = sorted((place_of(low), place_of(high)))
    if not np.isfinite([estimate, *ends]).all():
        whole = (free.low, free.high)
        return Estimate(free.name, free.prior, free.shipped, free.prior, *whole, whole, False, free.paths)
    pinned = 0.0 < ends[1] - ends[0] < PINNED_SHARE
    values = (free.prior, free.shipped, rounded(free.value(estimate)), free.value(ends[0]), free.value(ends[1]))
    return Estimate(free.name, *values, (free.low, free.high), pinned, free.paths)
