"""PRIM finds planted boxes, and says when there is nothing to find."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.analysis_reports import limit_words
from experiments.designs import Design
from experiments.discovery import discover, find_box
from experiments.errors import UserError
from experiments.sweeps import sweep
from tests.experiments.fake_runs import RUNNER, FakeSpec


def test_a_planted_box_is_found() -> None:
    rng = np.random.default_rng(0)
    cases = {f"x{j}": rng.random(2000) for j in range(5)}
    planted = (cases["x1"] > 0.6) & (cases["x3"] > 0.2) & (cases["x3"] < 0.5)
    found = find_box(cases, planted)
    assert set(found.box.limits) == {"x1", "x3"}
    assert found.box.limits["x1"] == pytest.approx((0.6, 1.0), abs=0.03)
    assert limit_words(found.box.limits["x1"], cases["x1"]).startswith("at least"), "the upper end limits nothing"
    assert found.box.limits["x3"] == pytest.approx((0.2, 0.5), abs=0.03)
    assert found.box.coverage > 0.93
    assert found.box.density > 0.95
    assert max(found.p_values.values()) < 1e-6


def test_a_planted_box_is_found_in_noise_and_among_categories() -> None:
    rng = np.random.default_rng(1)
    cases = {
        "kind": rng.choice(np.array(["ads", "fee", "free"], dtype=object), 3000),
        "open": rng.random(3000) < 0.5,
        "trust": rng.random(3000),
        "idle": rng.random(3000),
    }
    inside = (cases["kind"] == "ads") & (cases["trust"] < 0.5)
    found = find_box(cases, inside ^ (rng.random(3000) < 0.05))
    assert found.box.limits["kind"] == frozenset({"ads"})
    assert found.box.limits["trust"] == pytest.approx((0.0, 0.5), abs=0.06)
    assert found.box.density > 0.85
    assert found.table()["factor"].tolist()[:1] == [next(iter(found.box.limits))]


def test_what_is_said_of_a_box_comes_from_points_that_were_not_searched() -> None:
    rng = np.random.default_rng(3)
    points = np.repeat(np.arange(100), 4)
    cases = {f"x{j}": rng.random(100)[points] for j in range(8)}
    chance = (rng.random(100) < 0.3)[points]
    found = find_box(cases, chance, points=points)
    assert found.held_out % 4 == 0, "all replicates of a point are on one side"
    assert 180 <= found.held_out <= 220
    assert found.replicates == 4.0
    assert max(found.p_values.values()) > 0.05, "replicates of one point are no evidence"
    densities = [find_box({"x": rng.random(200)}, rng.random(200) < 0.3).box.density for _ in range(40)]
    assert np.mean(densities) == pytest.approx(0.3, abs=0.05), "the density is not flattered by the search"


def test_too_few_hits_for_two_halves_are_said() -> None:
    with pytest.raises(UserError, match="too few points differ"):
        find_box({"x": np.arange(10.0)}, np.arange(10) == 3)


def test_boxes_shrink_and_grow_denser() -> None:
    rng = np.random.default_rng(2)
    cases = {f"x{j}": rng.random(1000) for j in range(3)}
    boxes = find_box(cases, cases["x0"] + cases["x1"] > 1.4).boxes
    assert boxes[0].coverage == 1.0
    assert boxes[5].mass < boxes[0].mass
    assert boxes[5].density > boxes[0].density


def test_nothing_to_find_is_said() -> None:
    with pytest.raises(UserError, match="holds in 0 of 10 runs"):
        find_box({"x": np.arange(10.0)}, np.zeros(10, dtype=bool))


def test_a_store_is_searched_by_a_condition(tmp_path: Path) -> None:
    design = Design.parse(
        {
            "method": "latin-hypercube",
            "n": 150,
            "levers": {"app.free": [True, False]},
            "uncertainties": {"demand.elasticity": "span", "app.price": {"low": 1.0, "high": 30.0}},
        }
    )
    base: Any = FakeSpec()
    sweep(design, tmp_path / "store", base=base, runner=RUNNER, workers=1)
    found = discover(tmp_path / "store", '"app.price" < 15 AND "demand.elasticity" < 1 AND users > 0')
    assert found.cases == 300
    assert set(found.box.limits) == {"app.price", "demand.elasticity"}
    assert found.plot().to_dict()
    with pytest.raises(UserError, match="query failed"):
        discover(tmp_path / "store", "no_such_outcome > 0")
