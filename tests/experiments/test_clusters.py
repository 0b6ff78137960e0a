"""A sweep on a Dask cluster whose workers and scheduler are killed: nothing lost, nothing twice."""

import contextlib
import importlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments import dispatch
from experiments.errors import RunFailure, UserError
from experiments.sweeps import SweepResult, sweep
from tests.experiments.fake_runs import RUNNER, FakeSpec
from tests.experiments.test_sweeps import children, content, design, fake_sweep, kill, wait_for_parts

pytest.importorskip("distributed")


@contextlib.contextmanager
def cluster(port: int, folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", "subprocess.Popen[bytes]"]]:
    """A scheduler and the nanny of two workers, as processes."""
    command = [str(Path(sys.executable).with_name("dask"))]
    options: dict[str, Any] = {"env": {**os.environ, "FAKE_PAUSE": "0.05"}, "stderr": subprocess.DEVNULL}
    where = ["--host", "127.0.0.1", "--no-dashboard"]
    scheduler = subprocess.Popen([*command, "scheduler", "--port", str(port), *where], **options)
    size = ["--nthreads", "1", "--nworkers", "2", "--local-directory", str(folder)]
    worker = subprocess.Popen([*command, "worker", f"tcp://127.0.0.1:{port}", *size, *where], **options)
    try:
        wait_for_workers(port)
        yield scheduler, worker
    finally:
        for process in (worker, scheduler):
            process.terminate()
            process.wait()


def wait_for_workers(port: int) -> None:
    distributed: Any = importlib.import_module("distributed")
    with distributed.Client(f"tcp://127.0.0.1:{port}", timeout=30, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=30)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def cluster_sweep(path: Path, port: int) -> SweepResult:
    base: Any = FakeSpec()
    return sweep(design(100, 2), path, base=base, runner=RUNNER, cluster=f"tcp://127.0.0.1:{port}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_workers_and_schedulers_may_die(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "CHUNK_SECONDS", 0.3)
    fake_sweep(design(100, 2), tmp_path / "whole")
    store, port = tmp_path / "store", free_port()

    def murder(victim: int, after: int) -> None:
        wait_for_parts(store, after)
        time.sleep(0.5)
        kill(victim)

    with cluster(port, tmp_path / "dask") as (scheduler, _):
        threading.Thread(target=murder, args=(scheduler.pid, 4)).start()
        with pytest.raises(RunFailure, match="scheduler is gone"):
            cluster_sweep(store, port)
    kept = len(content(store))
    with cluster(port, tmp_path / "dask") as (_, nanny):
        workers = [pid for pid in children(nanny.pid) if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
        assert len(workers) == 2
        threading.Thread(target=murder, args=(workers[0], len(list(store.glob("parts/*"))) + 4)).start()
        result = cluster_sweep(store, port)
    assert 0 < kept == result.shared < 200
    pd.testing.assert_frame_equal(content(tmp_path / "whole"), content(store), check_exact=True)


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask

    address = f"tcp://127.0.0.1:{free_port()}"
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(UserError, match=f"no Dask scheduler answers at {address}"),
    ):
        fake_sweep(design(), tmp_path / "store", workers=None, cluster=address)
