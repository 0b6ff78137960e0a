"""Comparison: what changed between two stores, joined on runs and not on order."""

from pathlib import Path
from typing import Any

import pytest

from experiments.comparison import changed_parameters, compare, compare_runs
from experiments.designs import Design
from experiments.errors import UserError
from experiments.sweeps import sweep
from tests.experiments.fake_runs import RUNNER, FakeSpec


def make(path: Path, base: FakeSpec, prices: list[float], replicates: int = 2) -> Path:
    design = Design.parse({"method": "grid", "replicates": replicates, "levers": {"app.price": prices}})
    scenario: Any = base
    sweep(design, path, base=scenario, runner=RUNNER, workers=1)
    return path


def test_the_same_sweep_twice_is_identical(tmp_path: Path) -> None:
    a, b = (make(tmp_path / name, FakeSpec(), [10.0, 20.0]) for name in "ab")
    found = compare(a, b)
    assert found.identical
    assert (found.shared_runs, found.parameters) == (4, {})


def test_a_changed_scenario_shows_in_parameters_and_outcomes(tmp_path: Path) -> None:
    plain = FakeSpec()
    a = make(tmp_path / "a", plain, [10.0, 20.0])
    b = make(tmp_path / "b", plain.with_overrides({"demand.elasticity": 2.0}), [30.0, 20.0, 10.0])
    found = compare(a, b)
    assert found.parameters == {"values.demand.elasticity": (1.0, 2.0)}
    assert (found.shared_runs, found.only_a, found.only_b, found.identical) == (4, 0, 2, False)
    table = found.table().set_index("outcome")
    assert table.loc["users", "a"] == pytest.approx((12 / 10 + 12 / 20) / 2)
    assert table.loc["users", "b"] == pytest.approx((12 / 100 + 12 / 400) / 2)
    assert table.loc["users", "differing_runs"] == 4
    assert table.loc[["chance", "missing"], "differing_runs"].tolist() == [0, 0]
    assert found.plot().to_dict()


def test_stores_without_common_runs_are_refused(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", FakeSpec(), [10.0]), make(tmp_path / "b", FakeSpec(), [20.0])
    with pytest.raises(UserError, match="no run in common"):
        compare(a, b)


def test_two_runs_are_compared_by_their_outcomes() -> None:
    found = compare_runs({"profit": 1.0, "old": 2.0}, {"profit": 1.5, "new": 3.0}, {"a": {"b": 1}}, {"a": {"c": 1}})
    assert found.parameters == {"a.b": (1, None), "a.c": (None, 1)}
    assert [(change.outcome, change.differing_runs) for change in found.outcomes] == [
        ("profit", 1),
        ("old", 1),
        ("new", 1),
    ]
    assert found.outcomes[0].difference == 0.5
    assert changed_parameters({"a": 1}, {"a": 1}) == {}
