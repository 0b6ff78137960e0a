"""Designs: what a file may say, which points come of it, and how it is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.designs import Design
from experiments.errors import UserError
from experiments.samples import Sample
from tests.experiments.fake_runs import FakeSpec

TWO_RANGES = {
    "demand.elasticity": {"low": 0.5, "high": 2.0},
    "app.price": {"low": 1.0, "high": 100.0, "log": True},
}


def rows() -> Any:
    return {row.path: row for row in FakeSpec().parameters()}


def sample(content: dict[str, Any], seed: int = 1) -> Sample:
    return Design.parse(content).sample(rows(), seed)


def test_grid_crosses_lists_and_even_steps() -> None:
    points = sample({"method": "grid", "n": 3, "levers": {"app.kind": ["a", "b"]}, "uncertainties": TWO_RANGES})
    assert len(points) == 2 * 3 * 3
    assert points.overrides(0) == {"app.kind": "a", "demand.elasticity": 0.5, "app.price": 1.0}
    assert points.overrides(4) == {
        "app.kind": "a",
        "demand.elasticity": 1.25,
        "app.price": pytest.approx(10.0),
    }
    assert points.overrides(17) == {"app.kind": "b", "demand.elasticity": 2.0, "app.price": 100.0}


@pytest.mark.parametrize("method", ["random", "latin-hypercube"])
def test_every_lever_setting_meets_the_same_draws(method: str) -> None:
    levers = {"app.kind": ["a", "b", "c"]}
    points = sample({"method": method, "n": 16, "levers": levers, "uncertainties": TWO_RANGES})
    draws = points.coordinates.reshape(16, 3, 3)
    assert (draws[:, 0, 1:] == draws[:, 1, 1:]).all()
    assert (draws[:, 0, 1:] == draws[:, 2, 1:]).all()
    assert draws[0, :, 0].tolist() == [0, 1, 2]


def test_latin_hypercube_fills_every_stratum_and_logarithmic_ranges_evenly() -> None:
    points = sample({"method": "latin-hypercube", "n": 50, "uncertainties": TWO_RANGES})
    elasticity, price = points.coordinates.T
    assert sorted(((elasticity - 0.5) / 1.5 * 50).astype(int)) == list(range(50))
    assert sorted((np.log10(price) / 2 * 50).astype(int)) == list(range(50))


def test_sobol_blocks_are_laid_out_for_indices() -> None:
    points = sample({"method": "sobol", "n": 8, "uncertainties": TWO_RANGES})
    a, b, ab_1, ab_2 = points.coordinates.reshape(4, 8, 2)
    assert (ab_1 == np.column_stack([b[:, 0], a[:, 1]])).all()
    assert (ab_2 == np.column_stack([a[:, 0], b[:, 1]])).all()


def test_morris_moves_one_factor_a_step() -> None:
    points = sample({"method": "morris", "n": 5, "uncertainties": TWO_RANGES, "levers": {"app.free": [True, False]}})
    trajectories = points.coordinates.reshape(5, 4, 3)
    assert ((np.diff(trajectories, axis=1) != 0).sum(axis=2) == 1).all()


def test_one_at_a_time_starts_from_the_scenario() -> None:
    points = sample(
        {
            "method": "one-at-a-time",
            "n": 2,
            "levers": {"app.price": [5.0]},
            "uncertainties": {"demand.elasticity": "span"},
        }
    )
    found = [points.overrides(i) for i in range(len(points))]
    assert found == [{}, {"app.price": 5.0}, {"demand.elasticity": 0.5}, {"demand.elasticity": 2.0}]


def test_whole_numbers_stay_whole_and_every_one_is_as_likely() -> None:
    points = sample({"method": "latin-hypercube", "n": 60, "uncertainties": {"demand.delay": {"low": 1, "high": 6}}})
    values = [points.overrides(i)["demand.delay"] for i in range(60)]
    assert {type(value) for value in values} == {int}
    assert sorted(values) == sorted([1, 2, 3, 4, 5, 6] * 10)


def test_a_table_is_read_from_a_file_beside_the_design(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("app.price,app.free,app.kind\n10.5,true,search\n20,false,chat bot\n")
    (tmp_path / "design.toml").write_text('method = "table"\ntable = "points.csv"\n')
    design = Design.load(tmp_path / "design.toml")
    points = design.sample(rows(), 1)
    assert points.overrides(0) == {"app.price": 10.5, "app.free": True, "app.kind": "search"}
    assert points.overrides(1) == {"app.price": 20, "app.free": False, "app.kind": "chat bot"}
    assert {factor.role for factor in points.factors} == {"lever"}


def test_a_file_may_nest_its_paths_or_quote_them(tmp_path: Path) -> None:
    text = """
    scenario = "2025"
    months = 36
    seed = 3
    replicates = 2
    method = "latin-hypercube"
    n = 4
    [levers]
    "app.price" = [10.0, 20.0]
    [uncertainties]
    demand.elasticity = {low = 0.5, high = 2.0, log = true}
    """
    (tmp_path / "design.toml").write_text(text)
    design = Design.load(tmp_path / "design.toml")
    assert [factor.path for factor in design.factors(rows())] == ["app.price", "demand.elasticity"]
    assert len(design.sample(rows(), 3)) == 8


def test_the_seed_decides_the_draws() -> None:
    content = {"method": "random", "n": 4, "uncertainties": TWO_RANGES}
    assert (sample(content, 1).coordinates == sample(content, 1).coordinates).all()
    assert (sample(content, 1).coordinates != sample(content, 2).coordinates).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metod": "grid"}, "unknown key 'metod'; did you mean 'method'?"),
        ({"method": "monte carlo"}, "method: Input should be 'grid', 'random'"),
        ({"n": None}, "method 'random' needs n"),
        ({"replicates": 0}, "replicates: Input should be greater than or equal to 1"),
        ({"months": "36"}, "months: Input should be a valid integer"),
        ({"uncertainties": {}}, "nothing is varied"),
        ({"levers": {"demand.elasticity": [1.0]}}, "demand.elasticity is both a lever and an uncertainty"),
        ({"levers": {"app.price": []}}, "app.price: List should have at least 1 item"),
        ({"levers": {"app.price": 3.0}}, "app.price: give a list of values"),
        ({"levers": {"app.price": {"low": 2.0, "high": 1.0}}}, "low must be below high, got 2.0 and 1.0"),
        ({"levers": {"app.price": {"low": 0.0, "high": 1.0, "log": True}}}, "must start above zero"),
        ({"levers": {"app.price": {"low": 0.0, "hihg": 1.0}}}, "did you mean 'high'?"),
        ({"levers": {"app.price": {"low": 0.0, "high": float("nan")}}}, "finite number"),
        ({"method": "sobol", "n": 100}, "n of a sobol design is a power of two: 64 or 128, not 100"),
        ({"table": [{"app.price": 1.0}]}, "method 'table' and the key 'table' go together"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    content = {"method": "random", "n": 4, "uncertainties": {"demand.elasticity": {"low": 0.5, "high": 2.0}}}
    with pytest.raises(UserError) as error:
        Design.parse({**content, **change}, "d.toml")
    assert message in str(error.value)


def test_ranges_that_nobody_declared_and_halves_of_whole_numbers_are_refused() -> None:
    with pytest.raises(UserError, match=r"app\.price declares no range"):
        sample({"method": "random", "n": 2, "levers": {"app.price": "span"}})
    with pytest.raises(UserError, match=r"demand\.delay is a whole number"):
        sample({"method": "random", "n": 2, "levers": {"demand.delay": {"low": 0.5, "high": 2.0}}})
    with pytest.raises(UserError, match="at least 2"):
        sample({"method": "grid", "levers": {"app.price": {"low": 0.5, "high": 2.0}}})


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the design"):
        Design.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("method = ")
    with pytest.raises(UserError, match="not valid TOML"):
        Design.load(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_text('method = "table"\ntable = "none.csv"')
    with pytest.raises(UserError, match="cannot read the table"):
        Design.load(tmp_path / "bad.toml")
