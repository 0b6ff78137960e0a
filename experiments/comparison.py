"""What differs between two runs or two stores: parameters, outcomes, bits."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import UserError
from experiments.stores import Store

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

LARGEST = 20
"""Differences that the chart shows."""


@dataclass(frozen=True, slots=True)
class OutcomeChange:
    """One outcome: its means over the runs that both have, and how many of those differ in any bit.

    `a` and `b` are NaN where a side lacks the outcome. From `low` to `high` lie 90 % of the differences of
    single runs.
    """

    outcome: str
    a: float
    b: float
    differing_runs: int
    low: float = math.nan
    high: float = math.nan

    @property
    def difference(self) -> float:
        """b minus a."""
        return self.b - self.a


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A: changed parameters by path, changes of outcomes, and runs that only one of them has."""

    parameters: Mapping[str, tuple[Any, Any]]
    outcomes: tuple[OutcomeChange, ...]
    shared_runs: int
    only_a: int
    only_b: int

    @property
    def identical(self) -> bool:
        """Whether both have the same runs with the same outcomes to the last bit."""
        return not (self.only_a or self.only_b or any(change.differing_runs for change in self.outcomes))

    def table(self) -> "pd.DataFrame":
        """A row an outcome: a, b, difference, relative difference, runs that differ."""
        import pandas as pd

        rows = [
            {
                "outcome": change.outcome,
                "a": change.a,
                "b": change.b,
                "difference": change.difference,
                "relative": change.difference / abs(change.a) if change.a else float("nan"),
                "differing_runs": change.differing_runs,
            }
            for change in self.outcomes
        ]
        names = ["outcome", "a", "b", "difference", "relative", "differing_runs"]
        return pd.DataFrame(rows, columns=names)

    def plot(self) -> "alt.LayerChart":
        """The twenty largest relative differences."""
        from experiments.outcome_words import written
        from experiments.outcomes import outcome_units
        from experiments.sweep_charts import differences

        table = self.table().replace([float("inf"), -float("inf")], float("nan")).dropna(subset=["relative"])
        table = table.reindex(table["relative"].abs().sort_values(ascending=False).index).head(LARGEST)
        units = outcome_units(table["outcome"])
        rows = [
            {
                "outcome": row.outcome,
                "relative": row.relative,
                "words": " to ".join(written(value, units[row.outcome]) for value in (row.a, row.b)),
            }
            for row in table.itertuples()
        ]
        return differences(rows)


def compare(
    a: "Store | str | Path",
    b: "Store | str | Path",
    *,
    sweep_a: str | None = None,
    sweep_b: str | None = None,
) -> Comparison:
    """Two stores, their runs joined on what they change in the scenario and on the replicate.

    The code that made them may differ, and the scenario: its changes are listed. Of a store with several
    sweeps one must be named. Raises UserError if they have no run in common.
    """
    sides = [(each if isinstance(each, Store) else Store(each)) for each in (a, b)]
    (record_a, table_a), (record_b, table_b) = (
        (store.sweep(name), _runs(store, name)) for store, name in zip(sides, (sweep_a, sweep_b), strict=True)
    )
    shared = table_a.index.intersection(table_b.index)
    if shared.empty:
        raise UserError(f"{sides[0].path} and {sides[1].path} have no run in common: nothing to compare")
    scenarios = [sides[0].scenario(record_a.id), sides[1].scenario(record_b.id)]
    return Comparison(
        changed_parameters(*scenarios),
        _changes(table_a.loc[shared], table_b.loc[shared]),
        len(shared),
        len(table_a) - len(shared),
        len(table_b) - len(shared),
    )


def compare_runs(
    outcomes_a: Mapping[str, float],
    outcomes_b: Mapping[str, float],
    scenario_a: Mapping[str, Any],
    scenario_b: Mapping[str, Any],
) -> Comparison:
    """Two single runs, by their outcomes and their resolved scenarios (canonical JSON, read)."""
    import pandas as pd

    changes = _changes(pd.DataFrame([outcomes_a], dtype=float), pd.DataFrame([outcomes_b], dtype=float))
    return Comparison(changed_parameters(scenario_a, scenario_b), changes, 1, 0, 0)


def changed_parameters(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Parameters of two scenarios that differ, by dotted path, with both values (None where absent)."""
    flat_a, flat_b = dict(_leaves(a)), dict(_leaves(b))
    paths = dict.fromkeys([*flat_a, *flat_b])
    pairs = {path: (flat_a.get(path), flat_b.get(path)) for path in paths}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _runs(store: Store, sweep: str | None) -> "pd.DataFrame":
    """Outcomes of a sweep's runs, indexed by what they change and by replicate, each once."""
    names = store.outcome_names()
    columns = ", ".join(["overrides", "replicate", *(f'"{name}"' for name in names)])
    table = store.query(f"SELECT {columns} FROM results ORDER BY point, replicate", store.sweep(sweep).id)
    table["overrides"] = [json.dumps(json.loads(text), sort_keys=True) for text in table["overrides"]]
    return table.drop_duplicates(["overrides", "replicate"]).set_index(["overrides", "replicate"])


def _changes(a: "pd.DataFrame", b: "pd.DataFrame") -> tuple[OutcomeChange, ...]:
    """Changes of each outcome between the same runs in two tables, rows in the same order."""
    import numpy as np

    changes = []
    for name in dict.fromkeys([*a.columns, *b.columns]):
        missing = np.full(len(a), np.nan)
        x = a[name].to_numpy(dtype=np.float64) if name in a else missing
        y = b[name].to_numpy(dtype=np.float64) if name in b else missing
        differing = (x != y) & ~(np.isnan(x) & np.isnan(y))
        known = (y - x)[np.isfinite(y - x)]
        low, high = np.quantile(known, (0.05, 0.95)).tolist() if len(known) else (np.nan, np.nan)
        changes.append(OutcomeChange(str(name), float(x.mean()), float(y.mean()), int(differing.sum()), low, high))
    return tuple(changes)
