"""Intervals of calibrated parameters, and which of them the targets pin."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.calibration import Estimate
from experiments.calibration_search import STEP

if TYPE_CHECKING:
    from experiments.calibration_search import Search

Floats = NDArray[np.float64]
PINNED = 0.5
"""A parameter is pinned if its interval covers less than this share of its range."""
PRIOR_VARIANCE = 1.0 / 12.0
NORMAL = 1.96


def estimate(search: "Search", best: Mapping[str, float]) -> tuple[Estimate, ...]:
    """Return every parameter with the interval of the method of moments around the best values.

    Gauss-Newton: covariance (J' W J / m + 12 I)^-1 with J the derivatives of the deviations by place in the range, m
    the misfit and the range itself as prior. A parameter that no target sees keeps the width of its range: it is not
    pinned.
    """
    places = np.array([each.place(best[each.name]) for each in search.free])
    jacobian = _jacobian(search, places)
    spread = _spread(jacobian, search.distance.weight / misfit(search, best))
    found = []
    for i, each in enumerate(search.free):
        low, high = (min(max(places[i] + sign * NORMAL * spread[i], 0.0), 1.0) for sign in (-1.0, 1.0))
        found.append(
            Estimate(
                each.name,
                each.shipped,
                best[each.name],
                each.value(low),
                each.value(high),
                (each.low, each.high),
                bool(high - low < PINNED),
                each.paths,
            )
        )
    return tuple(found)


def misfit(search: "Search", best: Mapping[str, float]) -> float:
    """Return the distance at the best values over its degrees of freedom, 1 where it is not above them.

    A distance far above them means that the model cannot reach the targets together, or that their bands are too
    narrow: deviations are then larger than the bands say, by the root of this ratio. Degrees of freedom: targets and
    guards less parameters, at least one.
    """
    freedom = max(len(search.distance.checks) - len(search.free), 1)
    return max(search.distance.of(search.deviations(best)) / freedom, 1.0)


def _jacobian(search: "Search", places: Floats) -> Floats:
    """Return the derivatives (targets, parameters) by central differences, one-sided at the ends of a range."""
    count = len(places)
    ends = [(np.minimum(places[i] + STEP, 1.0), np.maximum(places[i] - STEP, 0.0)) for i in range(count)]
    points = []
    for i, pair in enumerate(ends):
        for end in pair:
            moved = places.copy()
            moved[i] = end
            points.append({each.name: each.value(p) for each, p in zip(search.free, moved.tolist(), strict=True)})
    found = search.many(points)
    columns = [(found[2 * i] - found[2 * i + 1]) / (high - low) for i, (high, low) in enumerate(ends)]
    return np.array(columns).T


def _spread(jacobian: Floats, weight: Floats) -> Floats:
    """Return standard deviations of places, of which the range alone leaves 0.29: the prior is flat over it."""
    information = jacobian.T @ weight @ jacobian + np.eye(jacobian.shape[1]) / PRIOR_VARIANCE
    spread: Floats = np.sqrt(np.diag(np.linalg.inv(information)))
    return spread
