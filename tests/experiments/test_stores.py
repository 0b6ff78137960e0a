"""The store: whole parts or none, one writer, no mixing of codes, damage found and said."""

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from experiments import parts
from experiments.designs import Design
from experiments.errors import RunFailure, UserError
from experiments.parts import damaged_files, part_name, write_table
from experiments.stores import Store, run_key
from experiments.sweeps import sweep
from tests.experiments.fake_runs import RUNNER, FakeSpec

KEYS = [f"{k:032x}" for k in range(50)]


def new_store(path: Path, fingerprint: str = "f" * 64) -> Store:
    return Store.create(path, fingerprint=fingerprint, schema="fake 1")


def fill(store: Store, keys: list[str] = KEYS) -> Path:
    rows = [{"profit": float(int(key, 16)) / 3.0, "missing": float("nan")} for key in keys]
    store.write_runs(keys, [0.1] * len(keys), rows)
    return store.path / "parts" / part_name(keys)


def test_runs_come_back_to_the_last_bit(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    values = np.random.default_rng(0).random(50).tolist()
    store.write_runs(KEYS, [0.0] * 50, [{"profit": value} for value in values])
    assert store.finished_keys() == set(KEYS)
    assert store.query("SELECT profit FROM runs ORDER BY key")["profit"].tolist() == values
    assert store.outcome_names() == ["profit"]


def test_an_empty_store_can_be_asked(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    assert store.finished_keys() == set()
    assert store.failures().empty
    assert store.query("SELECT * FROM results").empty
    with pytest.raises(UserError, match="holds no sweep"):
        store.frame()


@pytest.mark.parametrize("manifest", ['{"format": 1, "firms": []}', "[]", "{}"])
def test_a_folder_with_another_manifest_is_left_as_it_is(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match="not a sweep store"):
        new_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_file_in_the_place_of_a_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        new_store(tmp_path / "file")
    with pytest.raises(UserError, match="not a sweep store: Not a directory"):
        Store(tmp_path / "file")
    with pytest.raises(RunFailure, match="cannot make the store"):
        new_store(tmp_path / "file" / "below")


def test_a_repeated_part_overwrites_itself_and_other_repeats_count_once(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    fill(store)
    fill(store, KEYS[::-1])
    assert len(list(store.path.glob("parts/*.parquet"))) == 1
    fill(store, KEYS[:20])
    assert len(list(store.path.glob("parts/*.parquet"))) == 2
    assert store.query("SELECT count(*) AS n FROM runs")["n"].tolist() == [50]


def test_a_success_takes_the_place_of_a_failure_and_the_latest_failure_counts(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    row: dict[str, Any] = {"key": KEYS[0], "error": "old", "traceback": "t", "seconds": 0.0, "failed_at": 1.0}
    store.write_failures([row, {**row, "key": KEYS[1]}])
    store.write_failures([{**row, "error": "new", "failed_at": 2.0}])
    failures = store.failures()
    assert failures["error"].tolist() == ["new", "old"]
    assert failures["replay"][0] == f"watersellers replay {KEYS[0]} --store {store.path}"
    fill(store, KEYS[:1])
    assert store.failed_keys() == {KEYS[1]}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_part_that_is_cut_short_is_found_and_set_aside(tmp_path: Path, share: float) -> None:
    store = new_store(tmp_path / "store")
    fill(store, KEYS[:25])
    broken = fill(store, KEYS[25:])
    os.truncate(broken, int(share * broken.stat().st_size))
    with pytest.raises(RunFailure, match=r"1 damaged part file.*repeat the sweep"):
        store.finished_keys()
    assert store.set_aside_damaged() == [broken.name]
    assert store.finished_keys() == set(KEYS[:25])
    assert (store.path / "damaged" / broken.name).exists()


def test_a_store_in_a_folder_with_signs_of_a_pattern(tmp_path: Path) -> None:
    store = new_store(tmp_path / "a [b] *?" / "[c]")
    broken = fill(store, KEYS[:25])
    fill(store, KEYS[25:])
    assert store.finished_keys() == set(KEYS)
    os.truncate(broken, 20)
    assert store.set_aside_damaged() == [broken.name]
    assert store.finished_keys() == set(KEYS[25:])


def test_a_damaged_table_of_points_is_planned_again(tmp_path: Path) -> None:
    design = Design.parse({"method": "random", "n": 5, "uncertainties": {"app.price": {"low": 1.0, "high": 30.0}}})
    base: Any = FakeSpec()

    def swept() -> Any:
        return sweep(design, tmp_path / "store", base=base, runner=RUNNER, workers=1)

    before = swept().table()
    (points,) = (tmp_path / "store").glob("sweeps/*/points-*.parquet")
    points.write_bytes(b"PAR1 damaged PAR1")
    with pytest.raises(RunFailure, match=r"1 damaged part file.*points-0.parquet: repeat the sweep"):
        Store(tmp_path / "store").frame()
    after = swept()
    assert after.finished == 0
    assert after.table().equals(before)
    (record,) = (tmp_path / "store").glob("sweeps/*/sweep.json")
    for damaged in ("[]", "{}", "no JSON"):
        record.write_text(damaged)
        with pytest.raises(RunFailure, match="is damaged"):
            Store(tmp_path / "store").sweeps()
    assert swept().table().equals(before)


def test_a_part_with_a_hole_or_under_a_wrong_name_is_found(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    hole, wrong = fill(store, KEYS[:25]), fill(store, KEYS[25:])
    content = bytearray(hole.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    hole.write_bytes(bytes(content))
    moved = wrong.with_name("0" * 32 + ".parquet")
    wrong.rename(moved)
    assert sorted(damaged_files(store.path / "parts")) == sorted([hole, moved])


def test_a_full_disk_is_said_and_leaves_the_store_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(tmp_path / "store")
    fill(store, KEYS[:25])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunFailure, match=r"No space left on device.*make room and run the same command again"):
        fill(store, KEYS[25:])
    monkeypatch.undo()
    assert store.finished_keys() == set(KEYS[:25])
    assert [path.suffix for path in store.path.rglob("*") if path.is_file()] == [".json", ".parquet"]


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_file_that_the_system_refuses_to_grow_is_said_too(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from experiments.parts import write_table; import numpy as np\n"
        f"write_table(Path({str(tmp_path / 'x.parquet')!r}), {{'x': np.random.default_rng(0).random(20000)}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        preexec_fn=limit_file_size,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RunFailure: cannot write" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_dead_writers_do_not_count_and_are_removed(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    (store.path / "parts" / ".abc-1.tmp").write_bytes(b"PAR1 half")
    assert store.finished_keys() == set()
    store.tidy()
    assert list(store.path.glob("parts/.*")) == []


def test_other_code_is_not_mixed_in(tmp_path: Path) -> None:
    new_store(tmp_path / "store")
    with pytest.raises(UserError, match=r"another model code .* never mixed: name another folder"):
        new_store(tmp_path / "store", fingerprint="e" * 64)
    with pytest.raises(UserError, match="another definition of outcomes"):
        Store.create(tmp_path / "store", fingerprint="f" * 64, schema="fake 2")


def test_folders_of_other_things_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        new_store(tmp_path)
    with pytest.raises(UserError, match="not a sweep store"):
        Store(tmp_path)


def test_one_writer_at_a_time_and_shards_side_by_side(tmp_path: Path) -> None:
    store, same = new_store(tmp_path / "store"), new_store(tmp_path / "store")
    with (
        store.locked(),
        pytest.raises(UserError, match=rf"another sweep \(process {os.getpid()} on "),
        same.locked(),
    ):
        pass
    with store.locked((1, 2)), same.locked((2, 2)):
        with pytest.raises(UserError, match="another sweep"), same.locked((1, 2)):
            pass
        with pytest.raises(UserError, match="another sweep"), same.locked():
            pass
    with same.locked():
        pass


def test_keys_change_with_everything_that_decides_a_run() -> None:
    plain: dict[str, Any] = {"seed": 1, "replicate": 0, "months": 12, "schema": "s", "fingerprint": "f"}
    keys = {run_key("{}", **plain), run_key('{"a": 1}', **plain)}
    for change in ({"seed": 2}, {"replicate": 1}, {"months": 13}, {"schema": "t"}, {"fingerprint": "g"}):
        keys.add(run_key("{}", **{**plain, **change}))
    assert len(keys) == 7
    assert all(len(key) == 32 for key in keys)


def test_columns_keep_their_types(tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet", {"key": ["a"], "flag": [True], "count": [3], "text": ["é'\""]})
    with parts.connect() as connection:
        row = connection.execute("SELECT * FROM read_parquet(?)", [str(tmp_path / "x.parquet")]).fetchone()
    assert row == ("a", True, 3, "é'\"")


def test_ctrl_c_in_a_query_is_ctrl_c() -> None:
    endless = "SELECT count(*) FROM range(1_000_000_000_000)"
    with pytest.raises(KeyboardInterrupt), parts.connect() as connection:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        connection.execute(endless).fetchall()
    with pytest.raises(RuntimeError, match="another"), parts.connect():
        raise RuntimeError("another error")


def test_connections_share_a_database_and_not_their_views(tmp_path: Path) -> None:
    first, second = new_store(tmp_path / "a"), new_store(tmp_path / "b")
    first.write_runs([KEYS[0]], [0.1], [{"profit": 1.0}])
    second.write_runs([KEYS[1]], [0.1], [{"profit": 2.0}])
    with first._views() as outer, second._views() as inner:
        assert outer.execute("SELECT profit FROM runs").fetchall() == [(1.0,)]
        assert inner.execute("SELECT profit FROM runs").fetchall() == [(2.0,)]
    with parts.connect() as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM runs")
    assert parts._database.cache_info().currsize == 1
