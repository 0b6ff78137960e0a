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
    box that are of interest, `mass` the share of all cases that lie in the box.
    """

    limits: Mapping[str, Limit]
    coverage: float
    density: float
    mass: float


@dataclass(frozen=True, slots=True)
class Discovery:
    """Boxes from the whole space down to the smallest, and the one that balances coverage and density.

    That `box` has the highest harmonic mean of the two. `p_values` say, for each of its limits, how probable
    as high a density would be if the limit did not matter.
    """

    condition: str
    boxes: tuple[Box, ...]
    box: Box
    p_values: Mapping[str, float]
    cases: int
    interesting: int

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

    Every finished run is a case. Raises UserError if the condition cannot be read, or holds always or never.
    """
    store = store if isinstance(store, Store) else Store(store)
    cases, interesting = cases_of(store, store.sweep(sweep), condition)
    return find_box(cases, interesting, condition)


def cases_of(store: Store, record: SweepRecord, condition: str) -> "tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]":
    """The factors' values of every finished run of a sweep, and whether the condition holds there."""
    factors = [factor.path for factor in record.factors]
    columns = ", ".join(f'"{path}"' for path in factors)
    select = f"SELECT {columns}, coalesce(CAST(({condition}) AS BOOLEAN), false) AS interesting FROM results"
    frame = store.query(f"{select} ORDER BY point, replicate", record.id)
    interesting = frame.pop("interesting").to_numpy(dtype=bool)
    return {path: frame[path].to_numpy() for path in factors}, interesting


def find_box(
    cases: "Mapping[str, NDArray[Any]]", interesting: "NDArray[np.bool_]", condition: str = "interesting"
) -> Discovery:
    """PRIM: peel the slice whose loss raises the density most, a twentieth at a time, then paste back.

    `cases` are the factors' values, numbers or categories, each of shape (cases,), as `interesting` is.
    """
    count, hits = len(interesting), int(interesting.sum())
    if not 0 < hits < count:
        raise UserError(f"the condition {condition!r} holds in {hits} of {count} runs: there is nothing to find")
    search = _Search(cases, interesting)
    boxes = search.peel()
    pasted = search.paste(max(boxes, key=_balance))
    box = max([*boxes, pasted], key=_balance)
    if box is pasted:
        boxes = [*boxes, pasted]
    p_values = {factor: search.p_value(box, factor) for factor in box.limits}
    return Discovery(condition, tuple(boxes), box, p_values, count, hits)


def _balance(box: Box) -> float:
    """Harmonic mean of coverage and density."""
    return 2.0 * box.coverage * box.density / (box.coverage + box.density) if box.coverage else 0.0


class _Search:
    """Boxes over one set of cases."""

    def __init__(self, cases: "Mapping[str, NDArray[Any]]", interesting: "NDArray[np.bool_]") -> None:
        self._cases = cases
        self._interesting = interesting
        self._numeric = {factor: values.dtype.kind in "if" for factor, values in cases.items()}

    def peel(self) -> list[Box]:
        """Boxes of falling mass, from the whole space on."""
        import numpy as np

        boxes = [self._box({})]
        while True:
            inside = self._inside(boxes[-1].limits)
            best = max(self._peels(boxes[-1].limits, inside), key=lambda peel: peel[0], default=None)
            density = boxes[-1].density
            if best is None or density == 1.0 or np.mean(self._inside(best[1])) < SMALLEST_BOX:
                return boxes
            boxes.append(self._box(best[1]))

    def paste(self, box: Box) -> Box:
        """Move limits outward by a twentieth, or drop them, as long as the balance rises."""
        while True:
            wider = [self._box(limits) for limits in self._pastes(box.limits)]
            best = max(wider, key=_balance, default=box)
            if _balance(best) <= _balance(box):
                return box
            box = best

    def p_value(self, box: Box, factor: str) -> float:
        """Probability of as many hits in the box, if they were as frequent as without this factor's limit."""
        from scipy.special import bdtrc

        wider = self._inside({name: limit for name, limit in box.limits.items() if name != factor})
        inside = self._inside(box.limits)
        hits, cases = int(self._interesting[inside].sum()), int(inside.sum())
        rate = float(self._interesting[wider].mean())
        return float(bdtrc(hits - 1, cases, rate)) if hits else 1.0

    def _box(self, limits: Mapping[str, Limit]) -> Box:
        inside = self._inside(limits)
        hits = int(self._interesting[inside].sum())
        cases = int(inside.sum())
        coverage = hits / int(self._interesting.sum())
        return Box(dict(limits), coverage, hits / cases if cases else 0.0, cases / len(inside))

    def _inside(self, limits: Mapping[str, Limit]) -> "NDArray[np.bool_]":
        import numpy as np

        inside = np.ones(len(self._interesting), dtype=bool)
        for factor, limit in limits.items():
            values = self._cases[factor]
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
            values = self._cases[factor][inside]
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
            near = self._cases[factor][self._inside(others)]
            if not isinstance(limit, tuple):
                wider += [{**others, factor: limit | {each}} for each in set(near.tolist()) - limit]
                continue
            step = max(1, int(PASTE * len(near)))
            lower, upper = sorted(near[near < limit[0]])[-step:], sorted(near[near > limit[1]])[:step]
            wider += [{**others, factor: (float(lower[0]), limit[1])}] if lower else []
            wider += [{**others, factor: (limit[0], float(upper[-1]))}] if upper else []
        return wider
