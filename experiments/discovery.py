"""Scenario discovery: the box of the parameter space in which a condition holds (PRIM).

Friedman and Fisher (1999), Bump hunting in high-dimensional data; coverage and density as in Bryant and
Lempert (2010), Thinking inside the box. Written here because ema-workbench brings 31 packages and prim is
GPL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import UserError
from experiments.samples import Value
from experiments.stores import Store, SweepRecord

if TYPE_CHECKING:
    import altair as alt
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

PEEL = 0.05
PASTE = 0.05
SMALLEST_BOX = 0.05

Limit = tuple[float, float] | frozenset[Value]


@dataclass(frozen=True, slots=True)
class Box:
    """Limits by factor: lowest and highest number, or the categories left. Free factors are absent.

    `coverage` is the share of all cases of interest that lie in the box, `density` the share of cases in the
    box that are of interest, `mass` the share of all cases that lie in the box: all of the cases that are held out
    from the search.
    """

    limits: Mapping[str, Limit]
    coverage: float
    density: float
    mass: float


@dataclass(frozen=True, slots=True)
class Discovery:
    """Boxes from the whole space down to the smallest, and the one that balances coverage and density.

    That `box` has the highest harmonic mean of the two in the cases that were searched, half of the points. All that is
    said of boxes comes from the other half, `held_out` cases of which `held_out_interesting` are of interest.
    `p_values` say, for each limit, how probable as many points of interest would be if the limit did not matter; a
    point is of interest where most of its `replicates` are.
    """

    condition: str
    boxes: tuple[Box, ...]
    box: Box
    p_values: Mapping[str, float]
    cases: int
    interesting: int
    held_out: int
    held_out_interesting: int
    replicates: float

    def table(self) -> "pd.DataFrame":
        """The limits of the box, a row a factor: low, high or categories, and p value."""
        import pandas as pd

        rows = []
        for factor, limit in self.box.limits.items():
            numeric = isinstance(limit, tuple)
            low, high = limit if isinstance(limit, tuple) else (None, None)
            kept = None if numeric else ", ".join(sorted(map(str, limit)))
            row = {"factor": factor, "low": low, "high": high, "categories": kept}
            rows.append({**row, "p_value": self.p_values[factor]})
        return pd.DataFrame(rows, columns=["factor", "low", "high", "categories", "p_value"])

    def plot(self) -> "alt.LayerChart":
        """Density over coverage of all boxes, the chosen one marked."""
        from experiments.sweep_charts import trade_off

        rows = [
            {"coverage": box.coverage, "density": box.density, "limits": len(box.limits), "chosen": box is self.box}
            for box in self.boxes
        ]
        return trade_off([{**row, "place": place} for place, row in enumerate(rows)])


def discover(store: Store | str | Path, condition: str, *, sweep: str | None = None) -> Discovery:
    """The box of a sweep's factors in which an SQL condition on outcomes holds, such as "profit_chip > 0".

    Every finished run is a case. Raises UserError if the condition cannot be read, or holds always or never, or too
    seldom to be searched for in one half of the points and tested in the other.
    """
    store = store if isinstance(store, Store) else Store(store)
    cases, interesting, points = cases_of(store, store.sweep(sweep), condition)
    return find_box(cases, interesting, condition, points)


def cases_of(
    store: Store, record: SweepRecord, condition: str
) -> "tuple[dict[str, NDArray[Any]], NDArray[np.bool_], NDArray[np.int64]]":
    """The factors' values of every finished run of a sweep, whether the condition holds there, and its point."""
    factors = [factor.path for factor in record.factors]
    columns = ", ".join(f'"{path}"' for path in factors)
    select = f"SELECT point, {columns}, coalesce(CAST(({condition}) AS BOOLEAN), false) AS interesting FROM results"
    frame = store.query(f"{select} ORDER BY point, replicate", record.id)
    interesting = frame.pop("interesting").to_numpy(dtype=bool)
    points = frame.pop("point").to_numpy(dtype="int64")
    return {path: frame[path].to_numpy() for path in factors}, interesting, points


def find_box(
    cases: "Mapping[str, NDArray[Any]]",
    interesting: "NDArray[np.bool_]",
    condition: str = "interesting",
    points: "NDArray[np.int64] | None" = None,
) -> Discovery:
    """PRIM: peel the slice whose loss raises the density most, a twentieth at a time, then paste back.

    `cases` are the factors' values, numbers or categories, each of shape (cases,), as `interesting` is, and `points`,
    the point that a case is a replicate of (each of its own, if not given). Half of the points are searched, the other
    half says how good the boxes are.
    """
    import numpy as np

    count, hits = len(interesting), int(interesting.sum())
    if not 0 < hits < count:
        raise UserError(f"the condition {condition!r} holds in {hits} of {count} runs: there is nothing to find")
    points = np.arange(count) if points is None else points
    searched = _half(points, interesting)
    halves = []
    for part in (searched, ~searched):
        if not 0 < int(interesting[part].sum()) < int(part.sum()):
            raise UserError(
                f"the condition {condition!r} holds in {hits} of {count} runs: too few points differ to search one "
                "half of them and test what is found in the other"
            )
        halves.append(_Search({name: each[part] for name, each in cases.items()}, interesting[part], points[part]))
    search, test = halves
    boxes = search.peel()
    pasted = search.paste(max(boxes, key=_balance))
    chosen = max([*boxes, pasted], key=_balance)
    if chosen is pasted:
        boxes = [*boxes, pasted]
    tested = [test.box(_opened(each.limits, search.cases, cases)) for each in boxes]
    box = tested[next(i for i, each in enumerate(boxes) if each is chosen)]
    p_values = {factor: test.p_value(box, factor) for factor in box.limits}
    out, found = int((~searched).sum()), int(interesting[~searched].sum())
    return Discovery(condition, tuple(tested), box, p_values, count, hits, out, found, count / len(np.unique(points)))


def _opened(
    limits: Mapping[str, Limit], searched: "Mapping[str, NDArray[Any]]", cases: "Mapping[str, NDArray[Any]]"
) -> dict[str, Limit]:
    """Limits whose ends that are those of all searched cases go on to the ends of all cases: they limit nothing."""
    opened: dict[str, Limit] = {}
    for factor, limit in limits.items():
        if not isinstance(limit, tuple):
            opened[factor] = limit
            continue
        few, every = searched[factor], cases[factor]
        low = float(every.min()) if limit[0] <= few.min() else limit[0]
        opened[factor] = (low, float(every.max()) if limit[1] >= few.max() else limit[1])
    return opened


def _half(points: "NDArray[np.int64]", interesting: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """Which cases are searched: those of every other point, in random order, of points with hits and of those without.

    The order is always the same.
    """
    import numpy as np

    known = np.unique(points)
    with_hits = np.isin(known, points[interesting])
    order = np.random.default_rng(0).permutation(len(known))
    order = order[np.argsort(with_hits[order], kind="stable")]
    return np.isin(points, known[order[::2]])


def _balance(box: Box) -> float:
    """Harmonic mean of coverage and density."""
    return 2.0 * box.coverage * box.density / (box.coverage + box.density) if box.coverage else 0.0


class _Search:
    """Boxes over one set of cases."""

    def __init__(
        self, cases: "Mapping[str, NDArray[Any]]", interesting: "NDArray[np.bool_]", points: "NDArray[np.int64]"
    ) -> None:
        self.cases = cases
        self._interesting = interesting
        self._points = points
        self._numeric = {factor: values.dtype.kind in "if" for factor, values in cases.items()}

    def peel(self) -> list[Box]:
        """Boxes of falling mass, from the whole space on."""
        import numpy as np

        boxes = [self.box({})]
        while True:
            inside = self._inside(boxes[-1].limits)
            best = max(self._peels(boxes[-1].limits, inside), key=lambda peel: peel[0], default=None)
            density = boxes[-1].density
            if best is None or density == 1.0 or np.mean(self._inside(best[1])) < SMALLEST_BOX:
                return boxes
            boxes.append(self.box(best[1]))

    def paste(self, box: Box) -> Box:
        """Move limits outward by a twentieth, or drop them, as long as the balance rises."""
        while True:
            wider = [self.box(limits) for limits in self._pastes(box.limits)]
            best = max(wider, key=_balance, default=box)
            if _balance(best) <= _balance(box):
                return box
            box = best

    def p_value(self, box: Box, factor: str) -> float:
        """Probability of as many points of interest, if they were as frequent as without this factor's limit."""
        from scipy.special import bdtrc

        (hits, points), (hits_wider, points_wider) = (
            self._hit_points(limits)
            for limits in (box.limits, {name: limit for name, limit in box.limits.items() if name != factor})
        )
        return float(bdtrc(hits - 1, points, hits_wider / points_wider)) if hits else 1.0

    def _hit_points(self, limits: Mapping[str, Limit]) -> tuple[int, int]:
        """How many points of a box are of interest in most of their replicates, and how many there are."""
        import numpy as np

        inside = self._inside(limits)
        _, place = np.unique(self._points[inside], return_inverse=True)
        shares = np.bincount(place, self._interesting[inside]) / np.bincount(place) if len(place) else np.zeros(0)
        return int((shares > 0.5).sum()), len(shares)

    def box(self, limits: Mapping[str, Limit]) -> Box:
        """A box as these cases see it."""
        inside = self._inside(limits)
        hits = int(self._interesting[inside].sum())
        cases = int(inside.sum())
        coverage = hits / int(self._interesting.sum())
        return Box(dict(limits), coverage, hits / cases if cases else 0.0, cases / len(inside))

    def _inside(self, limits: Mapping[str, Limit]) -> "NDArray[np.bool_]":
        import numpy as np

        inside = np.ones(len(self._interesting), dtype=bool)
        for factor, limit in limits.items():
            values = self.cases[factor]
            if isinstance(limit, tuple):
                inside &= (values >= limit[0]) & (values <= limit[1])
            else:
                inside &= np.isin(values, list(limit))
        return inside

    def _peels(
        self, limits: Mapping[str, Limit], inside: "NDArray[np.bool_]"
    ) -> "list[tuple[float, dict[str, Limit]]]":
        """All ways to take a slice off: the gain in density per case lost, and the limits after it."""
        peels = []
        before = float(self._interesting[inside].mean())
        for factor, numeric in self._numeric.items():
            values = self.cases[factor][inside]
            tried = self._slices(values) if numeric else self._categories(values)
            for limit in tried:
                after = {**limits, factor: limit}
                left = inside & self._inside({factor: limit})
                lost = int(inside.sum() - left.sum())
                if left.any() and lost:
                    peels.append(((float(self._interesting[left].mean()) - before) / lost, after))
        return peels

    def _slices(self, values: "NDArray[Any]") -> "list[Limit]":
        """The values without their lowest, and without their highest, twentieth or step of a grid."""
        import numpy as np

        low, high = float(values.min()), float(values.max())
        cut_low, cut_high = np.quantile(values, [PEEL, 1.0 - PEEL])
        above, below = values[values > max(cut_low, low)], values[values < min(cut_high, high)]
        if not len(above) or not len(below):
            return []
        return [(float(above.min()), high), (low, float(below.max()))]

    def _categories(self, values: "NDArray[Any]") -> "list[Limit]":
        """The categories without one of them."""
        kept = frozenset(values.tolist())
        return [kept - {category} for category in kept] if len(kept) > 1 else []

    def _pastes(self, limits: Mapping[str, Limit]) -> "list[dict[str, Limit]]":
        """All ways to widen a box by one step."""
        wider: list[dict[str, Limit]] = []
        for factor, limit in limits.items():
            others = {name: each for name, each in limits.items() if name != factor}
            wider.append(others)
            near = self.cases[factor][self._inside(others)]
            if not isinstance(limit, tuple):
                wider += [{**others, factor: limit | {each}} for each in set(near.tolist()) - limit]
                continue
            step = max(1, int(PASTE * len(near)))
            lower, upper = sorted(near[near < limit[0]])[-step:], sorted(near[near > limit[1]])[:step]
            wider += [{**others, factor: (float(lower[0]), limit[1])}] if lower else []
            wider += [{**others, factor: (limit[0], float(upper[-1]))}] if upper else []
        return wider
