"""Sensitivity of an outcome of a store to the factors of its design: Morris screening and Sobol indices."""

from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, Literal

from experiments.errors import UserError
from experiments.samples import MORRIS_LEVELS, unit_sample
from experiments.stores import Store, SweepRecord

if TYPE_CHECKING:
    from pathlib import Path

    import altair as alt
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

RESAMPLES = 1_000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Effect:
    """One factor: its indices by name, each as (estimate, low, high)."""

    factor: str
    role: str
    indices: dict[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How one outcome answers to each factor.

    Sobol: `first`, the share of variance that a factor explains alone, and `total`, with its interactions.
    Morris: `mu_star`, the mean size of the effect of a step through the factor's range, `mu`, its mean, and
    `sigma`, its spread over the space (interactions or curvature). `used` of `planned` base points or
    trajectories were complete. `alone`: of Sobol the sum of the first-order indices with its interval.
    """

    outcome: str
    method: Literal["sobol", "morris"]
    effects: tuple[Effect, ...]
    used: int
    planned: int
    alone: tuple[float, float, float] = (nan, nan, nan)

    def table(self) -> "pd.DataFrame":
        """A row a factor, the strongest first, with columns index, index_low, index_high."""
        import pandas as pd

        rows = []
        for effect in self.effects:
            row: dict[str, str | float] = {"factor": effect.factor, "role": effect.role}
            for name, (estimate, low, high) in effect.indices.items():
                row[name] = estimate
                if not isnan(low):
                    row.update({f"{name}_low": low, f"{name}_high": high})
            rows.append(row)
        by = "total" if self.method == "sobol" else "mu_star"
        return pd.DataFrame(rows).sort_values(by, ascending=False, ignore_index=True)

    def plot(self) -> "alt.LayerChart":
        """Bars with intervals, the strongest factor on top."""
        from experiments.outcome_words import short_path
        from experiments.outcomes import outcome_units
        from experiments.sweep_charts import indices

        kinds = ["total", "first"] if self.method == "sobol" else ["mu_star"]
        unit = "share of variance" if self.method == "sobol" else outcome_units([self.outcome])[self.outcome]
        rows = [
            {"factor": short_path(each.factor), "path": each.factor, "index": kind}
            | dict(zip(("value", "low", "high"), each.indices[kind], strict=True))
            for each in self.effects
            for kind in kinds
        ]
        return indices(rows, unit, order=[short_path(path) for path in self.table()["factor"]], kinds=kinds)

    def to_html(self, path: "str | Path") -> "Path":
        """Write the report as one HTML file that needs no network."""
        from experiments.analysis_reports import sensitivity_report

        return sensitivity_report(self).write(path)


def sensitivity(
    store: "Store | str | Path",
    outcome: str,
    method: Literal["sobol", "morris"] | None = None,
    *,
    sweep: str | None = None,
) -> Sensitivity:
    """Indices of one outcome, averaged over replicates, from a Morris or Sobol sweep of a store.

    Outcomes are joined to the design by point id. Base points (Sobol) or trajectories (Morris) of which a run
    is missing are left out whole. Raises UserError if the store has no such sweep, or too little of it.
    """
    store = store if isinstance(store, Store) else Store(store)
    record = store.sweep(sweep, (method,) if method else ("sobol", "morris"))
    values = _by_point(store, record, outcome)
    if record.design.method == "sobol":
        return _sobol(record, outcome, values)
    return _morris(record, outcome, values)


def sobol_indices(
    a: "NDArray[np.float64]", b: "NDArray[np.float64]", ab: "NDArray[np.float64]"
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """First-order and total indices, shape (d,), from outcomes at A and B, shape (n,), and AB, shape (d, n).

    The estimators of Saltelli et al. (2010), table 2 (b) and (f), as in scipy.stats.sobol_indices, which
    however takes no n but powers of two (here failed runs drop out) and cannot seed its intervals.
    """
    import numpy as np

    both = np.concatenate([a, b])
    variance = both.var()
    if variance == 0.0:
        return np.zeros(len(ab)), np.zeros(len(ab))
    first = ((b - both.mean()) * (ab - a)).mean(axis=1) / variance
    total = 0.5 * ((a - ab) ** 2).mean(axis=1) / variance
    return first, total


def _by_point(store: Store, record: SweepRecord, outcome: str) -> "NDArray[np.float64]":
    """The outcome of each point, shape (points,): the mean of its replicates, NaN unless all are there."""
    import numpy as np

    frame = store.frame(record.id, [outcome])
    groups = frame.groupby("point")[outcome]
    means = groups.mean().where(groups.count() == record.design.replicates)
    values: NDArray[np.float64] = means.reindex(range(record.points)).to_numpy(dtype=np.float64)
    return values


def _sobol(record: SweepRecord, outcome: str, values: "NDArray[np.float64]") -> Sensitivity:
    import numpy as np

    n = record.design.n or 0
    blocks = values.reshape(len(record.factors) + 2, n)
    blocks = blocks[:, np.isfinite(blocks).all(axis=0)]
    used = blocks.shape[1]
    _enough(used, n, "base points", record)
    rng = np.random.default_rng(record.seed)
    resampled = [rng.integers(0, used, used) for _ in range(RESAMPLES)]
    draws = np.array([sobol_indices(x[0], x[1], x[2:]) for x in (blocks[:, rows] for rows in resampled)])
    low, high = np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    first, total = sobol_indices(blocks[0], blocks[1], blocks[2:])
    indices = {"first": (first, low[0], high[0]), "total": (total, low[1], high[1])}
    ends = np.quantile(draws[:, 0].sum(axis=1), [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    alone = (float(first.sum()), float(ends[0]), float(ends[1]))
    return Sensitivity(outcome, "sobol", _effects(record, indices), used, n, alone)


def _morris(record: SweepRecord, outcome: str, values: "NDArray[np.float64]") -> Sensitivity:
    """Elementary effects from SALib, with the unit cube that the design was drawn from."""
    import numpy as np

    try:
        from SALib.analyze import morris
    except ImportError:
        raise UserError("Morris indices need SALib: pip install 'watersellers[experiments]'") from None
    n, d = record.design.n or 0, len(record.factors)
    unit = unit_sample("morris", n, d, record.seed)
    complete = np.isfinite(values.reshape(n, d + 1)).all(axis=1)
    used = int(complete.sum())
    _enough(used, n, "trajectories", record)
    kept = np.repeat(complete, d + 1)
    names = [factor.path for factor in record.factors]
    problem = {"num_vars": d, "names": names, "bounds": [[0.0, 1.0]] * d}
    found = morris.analyze(
        problem,
        unit[kept],
        values[kept],
        num_resamples=RESAMPLES,
        conf_level=LEVEL,
        num_levels=MORRIS_LEVELS,
        seed=record.seed,
    )
    size, wide = np.asarray(found["mu_star"]), np.asarray(found["mu_star_conf"])
    mean, spread = np.asarray(found["mu"]), np.asarray(found["sigma"])
    half = 1.96 * spread / used**0.5
    indices = {
        "mu_star": (size, np.maximum(size - wide, 0.0), size + wide),
        "mu": (mean, mean - half, mean + half),
        "sigma": (spread, np.full(d, np.nan), np.full(d, np.nan)),
    }
    return Sensitivity(outcome, "morris", _effects(record, indices), used, n)


def _effects(
    record: SweepRecord,
    indices: "dict[str, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]",
) -> tuple[Effect, ...]:
    """Arrays of estimates and limits, each of shape (d,), sorted to the factors that they belong to."""
    return tuple(
        Effect(
            factor.path,
            factor.role,
            {name: (float(x[j]), float(low[j]), float(high[j])) for name, (x, low, high) in indices.items()},
        )
        for j, factor in enumerate(record.factors)
    )


def _enough(used: int, planned: int, what: str, record: SweepRecord) -> None:
    if used < 4:
        raise UserError(f"sweep {record.id} has {used} complete {what} of {planned}: finish the sweep first")
