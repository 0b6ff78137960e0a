"""Robustness: points that can be opened, a store that goes on, rows from what it holds."""

from pathlib import Path

import pytest

from ecosystem.spec import Spec
from experiments.claim_files import load_claims
from experiments.fingerprint import fingerprint
from experiments.robustness import SCHEMA, WIDTH, hypercube, judgements, kind_of, moved, robustness_rows, run_robustness
from experiments.stores import Store


def _store(folder: Path, values: list[float], code: str | None = None) -> Path:
    """Return a store in which every claim has these estimates, the scenario's own first."""
    store = Store.create(folder, fingerprint=code or fingerprint(), schema=SCHEMA)
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


def test_a_verdict_is_kept_where_the_estimate_stays_on_its_side(tmp_path: Path) -> None:
    claim = next(c for c in load_claims(scenario="2025") if c.above)
    near = claim.threshold
    folder = _store(tmp_path / "store", [near + 1.0, near + 2.0, near + 0.5, near + 0.1, near - 1.0])
    row = next(row for row in robustness_rows(folder) if row.id == claim.id)
    assert row.value == 0.75
    assert row.status == "miss"
    assert "holds" in row.found
    assert row.note == ""


def test_a_store_of_other_code_says_so(tmp_path: Path) -> None:
    rows = robustness_rows(_store(tmp_path / "store", [1e9, 1e9], code="0" * 64))
    assert all("another version" in row.note for row in rows)


def test_without_a_store_the_rows_are_not_computed(tmp_path: Path) -> None:
    (row,) = robustness_rows(tmp_path / "nothing")
    assert row.status == "not computed"
    assert "validate --robustness" in row.note


@pytest.mark.slow
def test_a_store_is_filled_and_goes_on(tmp_path: Path) -> None:
    folder = run_robustness("toy", tmp_path / "store", points=1, workers=1)
    before = Store(folder).finished_keys()
    assert len(before) == 2
    run_robustness("toy", folder, points=1, workers=1)
    assert Store(folder).finished_keys() == before
