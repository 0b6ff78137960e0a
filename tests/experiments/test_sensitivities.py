"""Sensitivity: indices of known functions, joined on ids, and whole groups dropped where runs are missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.analysis_reports import sensitivity_lead
from experiments.designs import Design
from experiments.errors import UserError
from experiments.sensitivities import Effect, Sensitivity, sensitivity, sobol_indices
from experiments.stores import Store
from experiments.sweeps import sweep
from tests.experiments.fake_runs import RUNNER, FakeSpec

PI = float(np.pi)
CUBE = {path: {"low": -PI, "high": PI} for path in ("app.price", "demand.elasticity", "trouble.pause")}
FIRST, TOTAL = (0.3139, 0.4424, 0.0), (0.5576, 0.4424, 0.2437)


class AnyPrice(FakeSpec):
    """A scenario whose price may be negative, as Ishigami's argument is."""

    def with_overrides(self, overrides: dict[str, object]) -> "AnyPrice":
        return self.model_copy(update={"values": {**self.values, **overrides}})


def ishigami_store(path: Path, method: str, n: int, replicates: int = 1) -> Store:
    design = Design.parse({"method": method, "n": n, "replicates": replicates, "uncertainties": CUBE})
    base: Any = AnyPrice()
    return sweep(design, path, base=base, runner="tests.experiments.fake_runs:ishigami", workers=1).store


def test_sobol_indices_of_ishigami(tmp_path: Path) -> None:
    found = sensitivity(ishigami_store(tmp_path, "sobol", 2048), "f")
    for effect, first, total in zip(found.effects, FIRST, TOTAL, strict=True):
        assert effect.indices["first"][0] == pytest.approx(first, abs=0.03)
        assert effect.indices["total"][0] == pytest.approx(total, abs=0.03)
        for estimate, low, high in effect.indices.values():
            assert low <= estimate <= high
    alone, low, high = found.alone
    assert low < alone < high
    assert alone == pytest.approx(sum(FIRST), abs=0.03)
    assert (found.used, found.planned) == (2048, 2048)
    assert found.table()["factor"].tolist() == ["app.price", "demand.elasticity", "trouble.pause"]
    assert found.plot().to_dict()


def test_what_factors_explain_alone_is_a_share_with_an_interval() -> None:
    effect = Effect("app.price", "lever", {"first": (-0.2, -0.4, 0.1), "total": (0.5, 0.2, 0.8)})
    found = Sensitivity("apps_operating_profit", "sobol", (effect,), 8, 8, (-0.2, -0.4, 0.1))
    assert "All factors alone explain 0.0 % (0.0 % to 10 %)" in sensitivity_lead(found)


def test_our_estimators_are_scipys() -> None:
    from scipy.stats import sobol_indices as theirs

    rng = np.random.default_rng(0)
    a, b, ab = rng.random(64), rng.random(64), rng.random((3, 64))
    expected = theirs(func={"f_A": a[None], "f_B": b[None], "f_AB": ab[:, None]}, n=64)
    first, total = sobol_indices(a, b, ab)
    assert first == pytest.approx(expected.first_order)
    assert total == pytest.approx(expected.total_order)


def test_an_outcome_that_never_changes_has_no_indices() -> None:
    first, total = sobol_indices(np.ones(8), np.ones(8), np.ones((2, 8)))
    assert first.tolist() == total.tolist() == [0.0, 0.0]


def test_morris_ranks_the_factors_and_knows_the_idle_one(tmp_path: Path) -> None:
    design = Design.parse(
        {
            "method": "morris",
            "n": 20,
            "replicates": 2,
            "levers": {"app.price": {"low": 10.0, "high": 20.0}, "app.kind": ["a", "b"]},
            "uncertainties": {"demand.elasticity": "span"},
        }
    )
    base: Any = FakeSpec()
    store = sweep(design, tmp_path, base=base, runner=RUNNER, workers=1).store
    found = sensitivity(store, "users")
    effects = {effect.factor: effect.indices for effect in found.effects}
    assert effects["app.kind"]["mu_star"] == (0.0, 0.0, 0.0)
    assert effects["demand.elasticity"]["mu"][2] < 0.0
    assert found.table()["factor"].tolist() == ["demand.elasticity", "app.price", "app.kind"]
    assert {"mu_star_low", "mu_star_high", "sigma"} <= set(found.table().columns)
    assert found.plot().to_dict()


@pytest.mark.parametrize(("method", "n"), [("sobol", 64), ("morris", 40)])
def test_order_does_not_matter_and_missing_runs_drop_their_group(tmp_path: Path, method: str, n: int) -> None:
    store = ishigami_store(tmp_path, method, n, replicates=2)
    frame = store.frame()
    whole = sensitivity(store, "f").table()
    rewrite(store, frame.sample(frac=1.0, random_state=1))
    pd.testing.assert_frame_equal(sensitivity(store, "f").table(), whole, check_exact=True)
    missing = frame["key"].isin(frame.query("point in (3, 50)")["key"])
    groups = frame["point"] % n if method == "sobol" else frame["point"] // 4
    rewrite(store, frame[~missing])
    assert sensitivity(store, "f").used == n - groups[missing].nunique() < n


def rewrite(store: Store, rows: pd.DataFrame) -> None:
    """Make these all the runs of the store, each once, in parts of 37."""
    for path in store.path.glob("parts/*.parquet"):
        path.unlink()
    rows = rows.drop_duplicates("key")
    for start in range(0, len(rows), 37):
        part = rows.iloc[start : start + 37]
        store.write_runs(part["key"].tolist(), [0.0] * len(part), [{"f": value} for value in part["f"]])


def test_other_designs_and_unfinished_ones_are_refused(tmp_path: Path) -> None:
    base: Any = FakeSpec()
    design = Design.parse({"method": "random", "n": 4, "levers": {"app.price": {"low": 1.0, "high": 2.0}}})
    store = sweep(design, tmp_path / "a", base=base, runner=RUNNER, workers=1).store
    with pytest.raises(UserError, match="holds no sweep by sobol or morris"):
        sensitivity(store, "users")
    store = ishigami_store(tmp_path / "b", "sobol", 4)
    for path in store.path.glob("parts/*.parquet"):
        path.unlink()
    with pytest.raises(UserError, match="no outcome 'f'"):
        sensitivity(store, "f")
    few = store.query("SELECT key FROM points WHERE point < 3")["key"].tolist()
    store.write_runs(few, [0.0] * 3, [{"f": 1.0}] * 3)
    with pytest.raises(UserError, match="finish the sweep first"):
        sensitivity(store, "f")
