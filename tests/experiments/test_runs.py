"""Runs: the same bits for the same seed, tables with their units, folders that are whole or not there."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

import experiments
from ecosystem.record import FIRM_FIELDS
from ecosystem.spec import Spec, SpecError
from experiments import run_folders
from experiments.errors import RunFailure, UserError
from experiments.runs import RunResult, replicates, run

MONTHS = 8


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run("toy", months=MONTHS)


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- running ---------------------------------------------------------------------------------------------------


def test_three_lines_to_a_chart() -> None:
    from experiments import run

    chart = run("toy", months=3).plot("operating_profit")
    content = json.dumps(chart.to_dict())
    assert all(f'"{tier}"' in content for tier in ("chips", "clouds", "labs", "apps"))


def test_same_seed_same_bits_other_replicate_other_bits(result: RunResult) -> None:
    again, other = run("toy", months=MONTHS), run("toy", months=MONTHS, replicate=1)
    assert again.panel.tobytes() == result.panel.tobytes()
    assert other.panel.tobytes() != result.panel.tobytes()


def test_a_shorter_run_is_the_beginning_of_the_longer_one(result: RunResult) -> None:
    short = run("toy", months=5)
    assert short.months == 5
    assert short.panel.tobytes() == result.panel[:5].tobytes()


def test_a_run_can_be_longer_than_its_scenario() -> None:
    assert run("toy", months=38).months == 38


def test_overrides_reach_the_scenario() -> None:
    changed = run("toy", months=2, overrides={"app.chat.tiers.plus.price": 30.0}, seed=5)
    assert changed.spec.app["chat"].tiers["plus"].price == 30.0
    assert changed.seed == 5
    with pytest.raises(SpecError, match="did you mean 'chat'"):
        run("toy", overrides={"app.chatt.staff": 1.0})


def test_progress_is_told_every_month() -> None:
    told: list[tuple[int, int]] = []
    run("toy", months=3, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("months", [0, -1, 1201])
def test_impossible_lengths_are_refused(months: int) -> None:
    with pytest.raises(UserError, match="months must be from 1 to 1200"):
        run("toy", months=months)


def test_a_run_that_breaks_off_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    from ecosystem.model import ValueChain

    monkeypatch.setattr(ValueChain, "demand", lambda self: 1 / 0)
    with pytest.raises(RunFailure, match=r"toy: .* month 0, seed 1, replicate 0: ZeroDivisionError"):
        run("toy", months=2)


def test_replicates_have_bands() -> None:
    many = replicates("toy", 3, months=4)
    table = many.table()
    assert len(many) == len(table) == 3
    median, low, high = many.bands()["final_demand"]
    assert low <= median <= high
    assert low < high
    assert median == pytest.approx(np.median(table["final_demand"]))
    assert many.profits["chips"].shape == (3, 4)
    many.plot("rent").to_dict()
    with pytest.raises(UserError, match="at least 1"):
        replicates("toy", 0)


# --- tables ------------------------------------------------------------------------------------------------------


def test_firms_is_one_row_a_month_and_firm(result: RunResult) -> None:
    firms = result.firms()
    assert len(firms) == MONTHS * len(result.firm_list)
    assert [*firms.columns[:7]] == ["month", "date", "firm", "name", "tier", "region", "group"]
    assert {*FIRM_FIELDS} <= {*firms.columns}
    row = firms[(firms.firm == "hyper") & (firms.month == 3)].iloc[0]
    assert row.revenue == result.of("hyper", "revenue")[3]
    assert (row["name"], row.tier, str(row.date)[:7]) == ("Hyper Cloud", "clouds", "2025-04")


def test_edges_add_up_to_revenue(result: RunResult) -> None:
    edges = result.edges()
    mine = edges[(edges.supplier == "alpha") & edges.good.isin(["accelerators", "on_premise", "cancellation"])]
    assert mine.value.sum() == pytest.approx(result.of("alpha", "revenue").sum())
    sold = mine[mine.good == "accelerators"]
    assert (sold.unit_price * sold.quantity).to_numpy() == pytest.approx(sold.value.to_numpy())
    assert edges[edges.good == "equity"].supplier.str.startswith(("investors", "parents")).all()


def test_unknown_names_are_answered_with_the_known(result: RunResult) -> None:
    with pytest.raises(KeyError, match="operating_profit"):
        result.field("profits")
    with pytest.raises(KeyError, match="hyper"):
        result.of("hypr", "cash")
    with pytest.raises(KeyError, match="rent"):
        result.plot("rents")


def test_tier_table_has_units(result: RunResult) -> None:
    table = result.table()
    assert [*table.columns] == ["chips", "clouds", "labs", "apps", "unit"]
    assert table.loc["gross_margin", "unit"] == "share of revenue"


# --- folders -----------------------------------------------------------------------------------------------------


def test_save_and_load_are_the_same_bits(result: RunResult, tmp_path: Path) -> None:
    back = RunResult.load(result.save(tmp_path / "out", csv=True))
    assert back.panel.tobytes() == result.panel.tobytes()
    assert back.outcomes() == pytest.approx(result.outcomes(), nan_ok=True, rel=1e-12)
    assert back.spec == result.spec
    assert back.table().equals(result.table())
    assert (back.seed, back.plugs, back.failures) == (result.seed, result.plugs, result.failures)
    assert back.edges().equals(result.edges())
    assert (tmp_path / "out" / "firms.csv").read_text().startswith("month,date,firm,name")


def test_the_folder_can_be_read_with_duckdb(result: RunResult, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "out")
    query = f"SELECT typeof(date), sum(revenue) FROM '{folder}/firms.parquet' WHERE tier = 'chips' GROUP BY 1"
    found = duckdb.sql(query)
    assert found is not None
    row = found.fetchall()[0]
    assert row == ("DATE", pytest.approx(result.field("revenue")[:, result.members("chips")].sum()))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["units"]["firms"]["cash"] == "USD"
    assert all(manifest["units"]["series"].values())
    assert manifest["seed"] == 1
    assert len(manifest["fingerprint"]) == 64
    assert Spec.model_validate_json((folder / "spec.json").read_text()) == result.spec


def test_an_earlier_folder_is_replaced_whole(result: RunResult, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "out")
    (folder / "left over").write_text("")
    result.save(folder)
    assert not (folder / "left over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_breaks_off_leaves_the_earlier_folder(
    result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    folder = result.save(tmp_path / "out")
    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(run_folders, "_write_text", fail)
    with pytest.raises((RunFailure, KeyboardInterrupt)) as raised:
        result.save(folder)
    assert isinstance(raised.value, KeyboardInterrupt) or "No space left on device" in str(raised.value)
    assert sorted((path.name, path.read_bytes()) for path in folder.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_else_than_results_is_replaced(result: RunResult, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds something else than results"):
        result.save(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        result.save(tmp_path / "thesis.txt")
    with pytest.raises(RunFailure, match="cannot write results"):
        result.save(tmp_path / "thesis.txt" / "out")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("manifest", ["{}", "[]", "no JSON", '{"format": 1, "outcome_schema": "x", "firms": []}'])
def test_a_folder_with_another_manifest_is_not_replaced(result: RunResult, tmp_path: Path, manifest: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "parts").mkdir()
    with pytest.raises(UserError, match="holds something else than results"):
        result.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "parts"}
    assert (tmp_path / "manifest.json").read_text() == manifest


@pytest.mark.parametrize("manifest", ["[]", "{}", '{"format": 1, "firms": []}', '{"format": 0}'])
def test_a_manifest_without_what_tables_need_is_refused(result: RunResult, tmp_path: Path, manifest: str) -> None:
    folder = result.save(tmp_path / "out")
    (folder / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match=r"not a results folder|another version"):
        RunResult.load(folder)


def test_what_is_no_results_folder_cannot_be_loaded(result: RunResult, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no manifest\.json"):
        RunResult.load(tmp_path)
    folder = result.save(tmp_path / "out")
    (folder / "firms.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"firms\.parquet cannot be read"):
        RunResult.load(folder)


# --- the package -------------------------------------------------------------------------------------------------


def test_importing_experiments_does_not_import_the_model() -> None:
    loaded = python("import sys, experiments; print([m for m in ('mesa', 'pandas', 'numpy') if m in sys.modules])")
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("first", ["experiments.runs", "experiments.sweeps", "experiments.outcomes", "experiments.cli"])
def test_verbs_are_callable_whatever_was_imported_before(first: str) -> None:
    code = f"import {first}, experiments; print([v for v in dir(experiments) if not callable(getattr(experiments, v))])"
    assert python(code).strip() == "[]"


def test_no_module_is_called_like_a_verb() -> None:
    modules = {path.stem for path in Path(experiments.__file__).parent.glob("*.py")}
    assert modules & {*dir(experiments)} == set()


def test_an_unknown_verb_is_refused() -> None:
    with pytest.raises(AttributeError, match="verbs: "):
        _ = experiments.nonsense
