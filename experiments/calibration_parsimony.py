"""Which estimates are taken over: those whose earlier value the targets reject."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scipy.stats import chi2

from experiments.calibration_statistics import misfit

if TYPE_CHECKING:
    from experiments.calibration_search import Search

LEVEL = 0.95
"""The earlier values of k parameters are rejected where the distance rises by more than this point of chi-square (k),
times the misfit at the best values."""


def put_back(search: "Search", best: Mapping[str, float]) -> dict[str, float]:
    """Return the best values with those parameters put back that the targets can do without.

    A parameter that the facts do not pin wanders in a search, and takes along what no target speaks of. So the
    earlier values are tried one after the other, the cheapest first, and stay where the targets do not reject
    all that were put back together.
    """
    shipped = search.shipped
    moved = [name for name in shipped if best[name] != shipped[name]]
    alone = search.distances([{**best, name: shipped[name]} for name in moved])
    (least,) = search.distances([best])
    values, back, scale = dict(best), 0, misfit(search, best)
    for _, name in sorted(zip(alone, moved, strict=True)):
        tried = {**values, name: shipped[name]}
        (distance,) = search.distances([tried])
        if distance - least < scale * chi2.ppf(LEVEL, back + 1):
            values, back = tried, back + 1
    return values
