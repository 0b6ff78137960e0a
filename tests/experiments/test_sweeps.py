"""Sweeps: the same bits however they are run, every run once, and nothing lost whatever is killed."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments import dispatch, parts, plans, sweeps
from experiments import fingerprint as fingerprints
from experiments.comparison import compare
from experiments.designs import Design
from experiments.dispatch import Progress, progress_bar
from experiments.errors import RunFailure, UserError
from experiments.fingerprint import fingerprint, syntax_digest
from experiments.stores import Store
from experiments.sweeps import SweepResult, parse_shard, replay, sweep
from experiments.workers import InProcess, LocalPool
from tests.experiments.fake_runs import OTHER_RUNNER, RUNNER, FakeSpec

HERE = Path(__file__).parent


def design(n: int = 12, replicates: int = 2, levers: dict[str, Any] | None = None) -> Design:
    unknown = {"demand.elasticity": {"low": 0.5, "high": 2.0}}
    return Design.parse(
        {
            "method": "random",
            "n": n,
            "replicates": replicates,
            "levers": levers or {},
            "uncertainties": unknown,
        }
    )


def fake_sweep(what: Design, path: Path, **options: Any) -> SweepResult:
    base: Any = FakeSpec()
    return sweep(what, path, **{"base": base, "runner": RUNNER, "workers": 1, **options})


def content(path: Path) -> pd.DataFrame:
    """All rows of all parts, duplicates too, sorted by key."""
    with parts.connect() as connection:
        query = f"SELECT * EXCLUDE seconds FROM read_parquet('{path}/parts/*.parquet') ORDER BY key"
        return connection.execute(query).df()


def test_a_sweep_gives_a_table(tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = fake_sweep(design(levers={"app.price": [10.0, 20.0]}), tmp_path / "store", progress=seen.append)
    table = result.table()
    assert (result.runs, result.finished, result.shared, result.failed) == (48, 48, 0, 0)
    assert table.columns.tolist()[:5] == ["point", "replicate", "key", "app.price", "demand.elasticity"]
    assert table["point"].tolist() == [k // 2 for k in range(48)]
    assert table["app.price"].tolist()[:4] == [10.0, 10.0, 20.0, 20.0]
    assert table["users"].tolist() == pytest.approx(12 * table["app.price"] ** -table["demand.elasticity"])
    assert seen[-1] == Progress(48, 48, 0, 0, 0.0)
    assert len(result.table(["profit"]).columns) == 6
    with pytest.raises(UserError, match=r"no outcome 'profits'.*nearest: profit"):
        result.table(["profits"])
    assert result.plot("profit").to_dict()


def test_any_number_of_workers_gives_the_same_bits(tmp_path: Path) -> None:
    fake_sweep(design(), tmp_path / "one")
    fake_sweep(design(), tmp_path / "two", workers=2)
    pd.testing.assert_frame_equal(content(tmp_path / "one"), content(tmp_path / "two"), check_exact=True)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_dask_cluster_gives_the_same_bits(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    fake_sweep(design(), tmp_path / "one")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    ) as cluster:
        fake_sweep(design(), tmp_path / "dask", workers=None, cluster=cluster.scheduler_address)
    pd.testing.assert_frame_equal(content(tmp_path / "one"), content(tmp_path / "dask"), check_exact=True)


def test_points_are_shared_between_sweeps_of_a_store(tmp_path: Path) -> None:
    first = fake_sweep(design(), tmp_path / "store")
    again = fake_sweep(design(), tmp_path / "store")
    assert (again.finished, again.shared) == (0, 24)
    more = fake_sweep(design(replicates=3), tmp_path / "store")
    assert (more.finished, more.shared) == (12, 24)
    assert len(more.table()) == 36
    assert len(first.table()) == 24
    with pytest.raises(UserError, match="more than one sweep"):
        Store(tmp_path / "store").frame()


def test_sweeps_of_a_store_may_vary_a_parameter_in_different_kinds(tmp_path: Path) -> None:
    for values in ([True, False], [1.5, 2.5], ["a", "b"]):
        result = fake_sweep(Design.parse({"method": "grid", "levers": {"app.kind": values}}), tmp_path / "store")
        assert result.table()["app.kind"].tolist() == values
    everything = result.store.query('SELECT DISTINCT "app.kind" FROM results')
    assert len(everything) == 6


def test_the_first_points_are_planned_soon_and_all_once(tmp_path: Path) -> None:
    cut = list(plans.blocks(range(2_000)))
    assert [len(block) for block in cut[:7]] == [16, 32, 64, 128, 256, 512, 512]
    assert [point for block in cut for point in block] == list(range(2_000))
    assert [list(block) for block in plans.blocks(range(1, 100, 3))][-1][-1] == 97
    result = fake_sweep(design(40), tmp_path / "store")
    assert sorted(path.name for path in (tmp_path / "store").glob("sweeps/*/points-*")) == [
        "points-0.parquet",
        "points-16.parquet",
    ]
    assert result.finished == 80 and len(result.table()) == 80


def test_points_that_were_planned_in_other_blocks_are_planned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "FIRST_BLOCK", 30)
    fake_sweep(design(40), tmp_path / "store")
    monkeypatch.undo()
    again = fake_sweep(design(40), tmp_path / "store")
    assert (again.finished, again.shared) == (0, 80)
    assert len(again.table()) == 80


def test_equal_points_of_a_design_are_run_once(tmp_path: Path) -> None:
    same = Design.parse({"method": "one-at-a-time", "levers": {"app.price": [20.0, 30.0]}})
    result = fake_sweep(same, tmp_path / "store")
    assert (result.finished, result.shared) == (2, 1)
    assert result.table()["app.price"].tolist() == [20.0, 20.0, 30.0]


def test_shards_make_one_store(tmp_path: Path) -> None:
    fake_sweep(design(), tmp_path / "whole")
    for i in (1, 2, 3):
        shard = fake_sweep(design(), tmp_path / "shards", shard=(i, 3))
        assert shard.finished == 8
    pd.testing.assert_frame_equal(content(tmp_path / "whole"), content(tmp_path / "shards"), check_exact=True)
    whole = fake_sweep(design(), tmp_path / "shards")
    assert (whole.finished, len(whole.table())) == (0, 24)
    assert parse_shard("2/8") == (2, 8)
    for wrong in ("2", "2/", "a/b"):
        with pytest.raises(UserError, match="written as i/n"):
            parse_shard(wrong)
    with pytest.raises(UserError, match="shard 4/3"):
        fake_sweep(design(), tmp_path / "shards", shard=(4, 3))


def test_failed_runs_are_rows_and_stop_nobody(tmp_path: Path) -> None:
    kinds = ["none", "raise", "exit"]
    result = fake_sweep(design(3, 1, {"trouble.kind": kinds}), tmp_path / "store")
    assert (result.finished, result.failed) == (3, 6)
    failures = result.failures
    assert sorted(set(failures["error"])) == ["SystemExit: 3", "ZeroDivisionError: asked for"]
    assert all("in _make_trouble" in trace for trace in failures["traceback"])
    again = fake_sweep(design(3, 1, {"trouble.kind": kinds}), tmp_path / "store")
    assert (again.finished, again.failed, again.shared, again.failed_before) == (0, 0, 3, 6)
    retried = fake_sweep(design(3, 1, {"trouble.kind": kinds}), tmp_path / "store", retry_failed=True)
    assert (retried.failed, len(retried.failures)) == (6, 6)


def test_illegal_points_of_a_table_fail_alone(tmp_path: Path) -> None:
    table = Design.parse({"method": "table", "table": [{"app.price": 1.0}, {"app.price": -1.0}]})
    result = fake_sweep(table, tmp_path / "store")
    assert (result.finished, result.failed) == (1, 1)
    assert result.failures["error"].tolist() == ["ValueError: app.price must not be negative"]


@pytest.mark.parametrize(
    ("levers", "message"),
    [
        ({"app.prise": [1.0]}, "unknown parameter app.prise"),
        ({"app.price": {"low": -1.0, "high": 1.0}}, "negative"),
    ],
)
def test_designs_that_do_not_fit_the_scenario_are_refused(tmp_path: Path, levers: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        fake_sweep(design(levers=levers), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_no_process_starts_while_another_may_die_at_work() -> None:
    with LocalPool(3) as pool:
        assert not multiprocessing.active_children()
        pool.call(os.getpid).result()
        started = multiprocessing.active_children()
        assert len(started) == 3
        for _ in range(6):
            pool.call(os.getpid).result()
        assert set(multiprocessing.active_children()) == set(started)
    assert not multiprocessing.active_children()


def test_a_run_that_kills_its_worker_is_recorded_and_the_others_are_done(tmp_path: Path) -> None:
    rows = [{"app.price": float(k), "trouble.kind": "kill" if k == 3 else "none"} for k in range(1, 9)]
    table = Design.parse({"method": "table", "table": rows})
    result = fake_sweep(table, tmp_path / "store", workers=2)
    assert (result.finished, result.failed) == (7, 1)
    error = "WorkerDied: 3 workers died in this run (killed, or out of memory)"
    assert result.failures["error"].tolist() == [error]


def test_a_damaged_part_is_set_aside_and_its_runs_done_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake_sweep(design(), tmp_path / "store")
    before = content(tmp_path / "store")
    part = next((tmp_path / "store" / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:-100])
    again = fake_sweep(design(), tmp_path / "store")
    assert again.finished > 0
    assert f"part {part.name}" in caplog.text
    pd.testing.assert_frame_equal(content(tmp_path / "store"), before)


def test_a_full_disk_stops_the_sweep_which_then_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sweep(design(), tmp_path / "whole")
    publish, written = parts._publish, []

    def fill_up(temporary: Path, path: Path) -> None:
        written.append(path)
        if len(written) > 5:
            raise OSError(28, "No space left on device")
        publish(temporary, path)

    monkeypatch.setattr(parts, "_publish", fill_up)
    monkeypatch.setattr(dispatch, "LARGEST_CHUNK", 3)
    with pytest.raises(RunFailure, match="No space left on device"):
        fake_sweep(design(), tmp_path / "store")
    monkeypatch.undo()
    assert not list((tmp_path / "store").rglob("*.tmp"))
    assert 0 < fake_sweep(design(), tmp_path / "store").shared < 24
    pd.testing.assert_frame_equal(content(tmp_path / "whole"), content(tmp_path / "store"))


def test_stopping_by_hand_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "LARGEST_CHUNK", 1)
    stop = Design.parse(
        {
            "method": "grid",
            "levers": {"trouble.kind": ["none", "stop the sweep"], "app.price": [1.0, 2.0, 3.0]},
        }
    )
    with pytest.raises(KeyboardInterrupt):
        fake_sweep(stop, tmp_path / "store")
    assert len(content(tmp_path / "store")) == 3


def test_ctrl_c_ends_a_pool_at_once(tmp_path: Path) -> None:
    process = start_sweep(tmp_path / "store", pause=0.2)
    wait_for_parts(tmp_path / "store", 2)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    assert process.wait(20) == 130
    assert time.monotonic() - started < 5
    kept = len(content(tmp_path / "store"))
    assert kept >= 2
    with Store(tmp_path / "store").locked():
        pass


@pytest.mark.parametrize("delay", [0.0, 0.4, 0.9])
def test_ctrl_c_while_workers_start_is_no_traceback_of_theirs(tmp_path: Path, delay: float) -> None:
    process = start_sweep(tmp_path / "store", pause=0.2, start_new_session=True, stderr=subprocess.PIPE)
    while not children(process.pid):
        time.sleep(0.01)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=20)[1].decode()
    assert (process.returncode, said) == (130, "")


def test_a_sweep_that_is_writing_keeps_others_out(tmp_path: Path) -> None:
    process = start_sweep(tmp_path / "store", pause=0.2)
    wait_for_parts(tmp_path / "store", 1)
    with pytest.raises(UserError, match=rf"another sweep \(process {process.pid} on"):
        fake_sweep(design(), tmp_path / "store")
    process.kill()
    process.wait()
    assert fake_sweep(design(), tmp_path / "store").finished >= 20


@pytest.mark.parametrize(("times", "pause"), [(3, 0.04), pytest.param(20, 0.12, marks=pytest.mark.slow)])
def test_killing_workers_and_sweeps_at_random_loses_and_repeats_nothing(
    tmp_path: Path, times: int, pause: float
) -> None:
    fake_sweep(design(60, 2), tmp_path / "whole")
    chance = random.Random(times)
    unfinished = 0
    for k in range(times):
        process = start_sweep(tmp_path / "store", n=60, pause=pause)
        while process.poll() is None and not children(process.pid):
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 1.2))
        if k % 2:
            for victim in chance.sample(children(process.pid), min(1, len(children(process.pid)))):
                kill(victim)
            time.sleep(chance.uniform(0.1, 0.5))
        unfinished += process.poll() is None
        process.kill()
        process.wait()
    assert unfinished > times / 4
    process = start_sweep(tmp_path / "store", n=60, pause=pause)
    assert process.wait(60) == 0
    pd.testing.assert_frame_equal(content(tmp_path / "whole"), content(tmp_path / "store"), check_exact=True)
    assert Store(tmp_path / "store").failures().empty


def test_a_store_of_other_outcomes_or_code_is_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sweep(design(), tmp_path / "store")
    with pytest.raises(UserError, match="another definition of outcomes"):
        fake_sweep(design(), tmp_path / "store", runner=OTHER_RUNNER)
    monkeypatch.setattr(sweeps, "fingerprint", lambda: "0" * 64)
    with pytest.raises(UserError, match="another model code"):
        fake_sweep(design(), tmp_path / "store")


def test_a_worker_with_other_code_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "fingerprint", lambda: "0" * 64)
    monkeypatch.setattr(sweeps, "stamp", lambda: "0" * 64)
    with pytest.raises(RunFailure, match="is not the sweep's"):
        fake_sweep(design(), tmp_path / "store", workers=2)


def test_replay_repeats_a_run_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "_spec_class", lambda: FakeSpec)
    result = fake_sweep(design(3, 2, {"trouble.kind": ["none", "raise"]}), tmp_path / "store")
    key = result.table()["key"][3]
    repeated = replay(tmp_path / "store", key[:12], RUNNER)
    assert repeated.identical
    assert repeated.outcomes["users"] == result.table()["users"][3]
    with pytest.raises(ZeroDivisionError):
        replay(tmp_path / "store", result.failures["key"][0], RUNNER)
    with pytest.raises(UserError, match="0 runs"):
        replay(tmp_path / "store", "123456789abcdef" * 2, RUNNER)
    with pytest.raises(UserError, match="hexadecimal"):
        replay(tmp_path / "store", "xyz'", RUNNER)


def test_the_model_itself_is_swept_and_replayed(tmp_path: Path) -> None:
    what = Design.parse(
        {
            "scenario": "toy",
            "months": 3,
            "method": "latin-hypercube",
            "n": 3,
            "replicates": 2,
            "uncertainties": {"market.tax_rate": "span", "market.default_months": {"low": 1, "high": 6}},
        }
    )
    one, two = sweep(what, tmp_path / "one", workers=1), sweep(what, tmp_path / "two", workers=2)
    assert (one.finished, two.finished) == (6, 6)
    pd.testing.assert_frame_equal(content(tmp_path / "one"), content(tmp_path / "two"), check_exact=True)
    assert compare(tmp_path / "one", tmp_path / "two").identical
    assert replay(tmp_path / "two", two.table()["key"][4]).identical
    assert two.table()["market.default_months"].isin(range(1, 7)).all()


def test_little_work_is_done_in_this_process() -> None:
    assert isinstance(sweeps._workers(None, None, 100), InProcess)
    assert isinstance(sweeps._workers(1, None, 10**6), InProcess)
    assert sweeps._workers(3, None, 1).slots == 3
    for options in ((0, None, 1), (1, "tcp://here:1", 1)):
        with pytest.raises(UserError, match="workers"):
            sweeps._workers(*options)


def test_progress_is_a_bar_on_a_terminal_and_else_a_line_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Progress(3, 10, 1, 2, 3700.0)
    with progress_bar() as show:
        show(progress)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(dispatch, "SECONDS_A_LINE", 0.0)
    with progress_bar() as show:
        show(progress)
    assert capsys.readouterr().err == "3 of 10 runs, 1 h 01 min left, 1 in the store before, 2 failed\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar() as show:
        show(progress)
    said = capsys.readouterr()
    assert said.out == ""
    assert "1 h 01 min left, 1 in the store before, 2 failed" in said.err


def test_the_fingerprint_sees_code_and_not_comments(tmp_path: Path) -> None:
    assert len(fingerprint()) == 64
    one, two, three = (tmp_path / name for name in ("one.py", "two.py", "three.py"))
    one.write_text('"""Doc."""\ndef f(x):\n    """What."""\n    return x  # why\n')
    two.write_text("def f(x):\n    return (x)\n")
    three.write_text("def f(x):\n    return -x\n")
    assert syntax_digest(one) == syntax_digest(two) != syntax_digest(three)


def test_files_of_equal_stamp_need_no_fingerprint_and_an_edit_changes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "_folders", lambda: iter([("agents", tmp_path)]))
    (tmp_path / "rule.py").write_text("x = 1\n")
    stamps = [fingerprints.stamp.__wrapped__(), fingerprints.stamp.__wrapped__()]
    (tmp_path / "rule.py").write_text("x = 12\n")
    stamps.append(fingerprints.stamp.__wrapped__())
    assert stamps[0] == stamps[1] != stamps[2]
    monkeypatch.undo()

    def unneeded() -> str:
        raise AssertionError("the stamp says it already")

    monkeypatch.setattr("experiments.workers.fingerprint", unneeded)
    assert fake_sweep(design(), tmp_path / "store").finished == 24


def start_sweep(store: Path, n: int = 100, pause: float = 0.0, **options: Any) -> "subprocess.Popen[bytes]":
    """The same sweep as `design(n, 2)`, in another process, with two workers and runs that pause."""
    script = HERE / "sweep_script.py"
    return subprocess.Popen([sys.executable, str(script), str(store), str(n), str(pause)], **options)


def wait_for_parts(store: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(list(store.glob("parts/*.parquet"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
