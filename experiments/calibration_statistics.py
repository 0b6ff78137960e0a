"""Intervals of calibrated parameters, and which of them the targets pin."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.calibration import Estimate
from experiments.calibration_search import PRIOR_VARIANCE, STEP

if TYPE_CHECKING:
    from experiments.calibration_search import Search

Floats = NDArray[np.float64]
PINNED = 0.5
"""A parameter is pinned if the targets leave less than this share of its prior's standard deviation."""
NORMAL = 1.96


def estimate(search: "Search", best: Mapping[str, float]) -> tuple[Estimate, ...]:
    """Return every parameter with its interval around the best values.

    Gauss-Newton: covariance (J' W J / m + 12 I)^-1 with J the derivatives of the deviations by place in the range, m
    the misfit and 1/12 the variance of the prior. A parameter that no target sees keeps the spread of its prior: it
    is not pinned.
    """
    places = np.array([each.place(best[each.name]) for each in search.free])
    jacobian = _jacobian(search, places)
    spread = _spread(jacobian, search.distance.weight / search.misfit)
    found = []
    for i, each in enumerate(search.free):
        low, high = (min(max(places[i] + sign * NORMAL * spread[i], 0.0), 1.0) for sign in (-1.0, 1.0))
        found.append(
            Estimate(
                each.name,
                each.prior,
                each.shipped,
                best[each.name],
                each.value(low),
                each.value(high),
                (each.low, each.high),
                bool(spread[i] < PINNED * PRIOR_VARIANCE**0.5),
                each.paths,
            )
        )
    return tuple(found)


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
    """Return standard deviations of places, of which the prior alone leaves 0.29."""
    information = jacobian.T @ weight @ jacobian + np.eye(jacobian.shape[1]) / PRIOR_VARIANCE
    spread: Floats = np.sqrt(np.diag(np.linalg.inv(information)))
    return spread
