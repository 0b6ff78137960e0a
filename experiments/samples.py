"""Points of the parameter space: what a factor ranges over, and the layouts that the designs ask for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from experiments.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = bool | int | float | str
Role = Literal["lever", "uncertainty"]
Method = Literal["grid", "random", "latin-hypercube", "sobol", "morris", "one-at-a-time", "table"]
MORRIS_LEVELS = 4


class Range(BaseModel):
    """An interval to draw from, evenly or evenly in the logarithm."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0.0:
            raise ValueError(f"a logarithmic range must start above zero, got {self.low}")
        return self


@dataclass(frozen=True, slots=True)
class Factor:
    """One varied parameter: a list of values, or a range (over whole numbers where the parameter is one)."""

    path: str
    role: Role
    values: tuple[Value, ...] = ()
    span: Range | None = None
    integer: bool = False

    def at(self, unit: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """Coordinates of points of the unit interval, shape (n,): values of a range, indices of a list."""
        import numpy as np

        if self.span is None:
            return np.minimum(np.floor(unit * len(self.values)), len(self.values) - 1)
        low, high = self.span.low, self.span.high
        if self.integer:
            return np.minimum(np.floor(low + unit * (high - low + 1)), high)
        if self.span.log:
            return np.clip(low * (high / low) ** unit, low, high)
        return np.clip(low + unit * (high - low), low, high)

    def levels(self, n: int | None) -> "NDArray[np.float64]":
        """Coordinates of the whole list, or of `n` even steps of the range with both ends."""
        import numpy as np

        if self.span is None:
            return np.arange(len(self.values), dtype=np.float64)
        if n is None or n < 2:
            raise UserError(f"{self.path} is a range: say with n, at least 2, how many values of it to take")
        return np.unique(self.at(np.linspace(0.0, 1.0, n)))

    def value(self, coordinate: float) -> Value:
        """The parameter value of a coordinate."""
        if self.span is None:
            return self.values[int(coordinate)]
        return int(coordinate) if self.integer else float(coordinate)

    def ends(self) -> tuple[Value, ...]:
        """The values that show whether the factor is legal: lowest and highest number, or all of a list."""
        if self.span is None:
            numbers = [value for value in self.values if type(value) in {int, float}]
            return self.values if len(numbers) < len(self.values) else (min(numbers), max(numbers))
        return self.value(self.span.low), self.value(self.span.high)


@dataclass(frozen=True, slots=True)
class Sample:
    """The points of a design: coordinates, shape (points, factors), NaN where the scenario's value stays."""

    factors: tuple[Factor, ...]
    coordinates: "NDArray[np.float64]"

    def __len__(self) -> int:
        return len(self.coordinates)

    def overrides(self, point: int) -> dict[str, Value]:
        """What a point changes in the scenario, by dotted path."""
        from math import isnan

        pairs = zip(self.factors, self.coordinates[point].tolist(), strict=True)
        return {factor.path: factor.value(x) for factor, x in pairs if not isnan(x)}


def unit_sample(method: Method, n: int, d: int, seed: int) -> "NDArray[np.float64]":
    """The points of a sampled design in the unit cube, shape (points, d).

    Sobol rows are the blocks A, B, AB_1 ... AB_d of Saltelli et al. (2010), each of n rows, where AB_j is A
    with column j of B. Morris rows are n trajectories of d + 1 points on a grid of four levels.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    if method == "random":
        return rng.random((n, d))
    if method == "morris":
        return _morris(n, d, seed)
    from scipy.stats import qmc

    if method == "latin-hypercube":
        return np.asarray(qmc.LatinHypercube(d, rng=rng).random(n))
    both = np.asarray(qmc.Sobol(2 * d, rng=rng).random(n))
    a, b = both[:, :d], both[:, d:]
    blocks = [a, b]
    for j in range(d):
        mixed = a.copy()
        mixed[:, j] = b[:, j]
        blocks.append(mixed)
    return np.concatenate(blocks)


def columns(factors: tuple[Factor, ...], unit: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Coordinates of points of the unit cube, shape (points, factors)."""
    import numpy as np

    return np.column_stack([factor.at(unit[:, j]) for j, factor in enumerate(factors)])


def crossed(levels: "list[NDArray[np.float64]]") -> "NDArray[np.float64]":
    """The full product of the levels of some factors, the last one varying fastest."""
    import numpy as np

    grids = np.meshgrid(*levels, indexing="ij")
    return np.column_stack([grid.ravel() for grid in grids])


def crossed_with_levers(method: Method, factors: tuple[Factor, ...], n: int, seed: int) -> "NDArray[np.float64]":
    """Every draw of the other factors under every combination of the listed levers."""
    import numpy as np

    listed = np.array([factor.role == "lever" and factor.span is None for factor in factors])
    drawn = tuple(factor for factor, full in zip(factors, listed, strict=True) if not full)
    draws = columns(drawn, unit_sample(method, n, len(drawn), seed)) if drawn else np.empty((1, 0))
    if not listed.any():
        return draws
    settings = crossed([factor.levels(None) for factor, full in zip(factors, listed, strict=True) if full])
    points = np.empty((len(draws) * len(settings), len(factors)))
    points[:, listed] = np.tile(settings, (len(draws), 1))
    points[:, ~listed] = np.repeat(draws, len(settings), axis=0)
    return points


def one_at_a_time(factors: tuple[Factor, ...], n: int | None) -> "NDArray[np.float64]":
    """The scenario itself, then each factor over its levels with all others at the scenario's values."""
    import numpy as np

    rows = [np.full((1, len(factors)), np.nan)]
    for j, factor in enumerate(factors):
        levels = factor.levels(n)
        block = np.full((len(levels), len(factors)), np.nan)
        block[:, j] = levels
        rows.append(block)
    return np.concatenate(rows)


def tabulated(factors: tuple[Factor, ...], rows: list[dict[str, Value]]) -> "NDArray[np.float64]":
    """Coordinates of the rows of a table, shape (rows, factors)."""
    import numpy as np

    places = {f.path: {value: index for index, value in enumerate(f.values)} for f in factors}
    return np.array([[places[path][value] for path, value in row.items()] for row in rows], dtype=np.float64)


def _morris(n: int, d: int, seed: int) -> "NDArray[np.float64]":
    """Morris trajectories from SALib in the unit cube, shape (n (d + 1), d)."""
    import numpy as np

    try:
        from SALib.sample import morris
    except ImportError:
        raise UserError("Morris designs need SALib: pip install 'watersellers[experiments]'") from None
    problem = {"num_vars": d, "names": [str(j) for j in range(d)], "bounds": [[0.0, 1.0]] * d}
    return np.asarray(morris.sample(problem, n, num_levels=MORRIS_LEVELS, seed=seed))
