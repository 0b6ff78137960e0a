"""Robustness: points that can be opened, a store that goes on, rows from what it holds."""

from pathlib import Path

import pytest

from ecosystem.spec import Spec, SpecError
from experiments import robustness
from experiments.claim_files import load_claims
from experiments.errors import UserError
from experiments.fingerprint import fingerprint
from experiments.judgement import NARROWING, kind_of, that_open
from experiments.robustness import (
    WIDTH,
    Attempt,
    Point,
    attempt,
    default_store,
    hypercube,
    judgements,
    moved,
    robustness_rows,
    run_robustness,
    schema,
)
from experiments.scoreboards import cells
from experiments.stores import Store


def _store(folder: Path, values: list[float], code: str | None = None) -> Path:
    """Return a store in which every claim has these estimates, the scenario's own first."""
    store = Store.create(folder, fingerprint=code or fingerprint(), schema=schema("2025"))
    claims = [claim.id for claim in load_claims(scenario="2025")]
    rows = [{"point": float(i - 1)} | dict.fromkeys(claims, value) for i, value in enumerate(values)]
    store.write_runs([f"{i:032x}" for i in range(len(rows))], [1.0] * len(rows), rows)
    return folder


def test_a_point_moves_every_judgement_and_can_be_opened() -> None:
    spec = Spec.load("toy")
    point = hypercube("toy", 3)[1]
    ranks = dict(point.ranks)
    changes = moved(spec, ranks)
    rows = {row.path: row for row in judgements(spec)}
    assert set(changes) <= set(rows)
    assert len(changes) > 100
    for path, value in changes.items():
        assert abs(value - rows[path].value) <= WIDTH * abs(rows[path].value) * abs(ranks[kind_of(path)]) + 0.5001


def test_changes_are_made_narrower_until_the_scenario_opens() -> None:
    asked: list[float] = []

    def changes(attempt: int, width: float) -> dict[str, float]:
        asked.append(width)
        return {"market.tax_rate": -1.0 if attempt < 2 else 0.2}

    assert that_open(Spec.load("toy"), changes, 1) == {"market.tax_rate": 0.2}
    assert asked == [1.0, NARROWING, NARROWING**2]
    with pytest.raises(SpecError, match="no change of the judgement parameters can be opened"):
        that_open(Spec.load("toy"), lambda attempt, width: {"market.tax_rate": -1.0}, 1)


def test_a_verdict_is_kept_where_the_estimate_stays_on_its_side(tmp_path: Path) -> None:
    claim = next(c for c in load_claims(scenario="2025") if c.above)
    near = claim.threshold
    folder = _store(tmp_path / "store", [near + 1.0, near + 2.0, near + 0.5, near + 0.1, near - 1.0])
    row = next(row for row in robustness_rows(folder) if row.id == claim.id)
    assert row.value == 0.75
    assert row.status == "miss"
    assert "holds" in row.found
    assert row.note == ""


def test_points_that_say_nothing_and_failures_count_as_not_kept(tmp_path: Path) -> None:
    claim = next(c for c in load_claims(scenario="2025") if c.above)
    folder = _store(tmp_path / "store", [claim.threshold + 1.0] * 9 + [float("nan")])
    Store(folder).write_failures([{"key": "f" * 32, "error": "e", "traceback": "t", "seconds": 1.0, "failed_at": 1.0}])
    row = next(row for row in robustness_rows(folder) if row.id == claim.id)
    assert (row.value, row.n) == (0.8, 10)
    assert 0.4 < row.low < 0.8 < row.high < 1.0
    assert "80 % of 10 points (49 to 94 %)" in row.found
    shown = cells(row)
    assert "nan" not in " ".join(shown)
    assert shown[1] == "keeps its verdict in at least 80 % of the points"


def test_rows_come_from_a_store_of_the_same_scenario_alone(tmp_path: Path) -> None:
    folder = _store(tmp_path / "store", [1e9, 1e9])
    (row,) = robustness_rows(folder, "toy")
    assert row.status == "not computed"
    assert "claims in 2025" in row.note
    (row,) = robustness_rows(folder, Spec.load("2025").with_overrides({"months": 12}))
    assert row.status == "not computed"
    assert default_store("toy") != default_store("2025")


def _quick(point: Point) -> Attempt:
    return Attempt({"point": float(point.number), "jevons": 1.0}, "", "", 2.5)


def test_a_store_of_other_code_stays_until_the_new_one_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _store(tmp_path / "shipped", [1.0, 1.0], code="0" * 64)
    monkeypatch.setattr(robustness, "SHIPPED", kept)
    monkeypatch.setattr(robustness, "attempt", _quick)

    def stop(done: int, planned: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_robustness("2025", points=2, workers=1, progress=stop)
    assert Store(kept).manifest["fingerprint"] == "0" * 64
    told: list[int] = []
    run_robustness("2025", points=2, workers=1, progress=lambda done, planned: told.append(done))
    assert told == [2, 3], "what the stopped call has done is not done again"
    assert Store(kept).manifest["fingerprint"] == fingerprint()
    assert Store(kept).query("SELECT seconds FROM runs")["seconds"].tolist() == [2.5] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["shipped"]


def test_a_renewal_with_fewer_points_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "SHIPPED", _store(tmp_path / "shipped", [1.0] * 5, code="0" * 64))
    with pytest.raises(UserError, match="holds 4 points"):
        run_robustness("2025", points=2)
    with pytest.raises(UserError, match="no claim speaks"):
        run_robustness("mine.toml")


def test_a_point_that_fails_says_where() -> None:
    found = attempt(Point(0, "nowhere", ()))
    assert found.estimates is None
    assert "nowhere" in found.error
    assert "estimates(point)" in found.trace
    assert found.seconds > 0.0


def test_a_bug_is_no_point_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(point: Point) -> dict[str, float]:
        raise KeyError(point.number)

    monkeypatch.setattr(robustness, "estimates", bug)
    with pytest.raises(KeyError):
        attempt(Point(0, "toy", ()))


def test_a_store_of_other_code_says_so(tmp_path: Path) -> None:
    rows = robustness_rows(_store(tmp_path / "store", [1e9, 1e9], code="0" * 64))
    assert all("another version" in row.note for row in rows)


def test_without_a_store_the_rows_are_not_computed(tmp_path: Path) -> None:
    (row,) = robustness_rows(tmp_path / "nothing")
    assert row.status == "not computed"
    assert "validate 2025 --robustness" in row.note


@pytest.mark.slow
def test_a_store_is_filled_and_goes_on(tmp_path: Path) -> None:
    folder = run_robustness("toy", tmp_path / "store", points=1, workers=1)
    before = Store(folder).finished_keys()
    assert len(before) == 2
    run_robustness("toy", folder, points=1, workers=1)
    assert Store(folder).finished_keys() == before
