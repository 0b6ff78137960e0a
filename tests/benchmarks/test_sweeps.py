"""Sweeps: two workers against one, the cost of the store and of Dask, memory of the parent.

Run with `python -m pytest tests/benchmarks/test_sweeps.py -m slow -n 0 -s` on a quiet machine.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.designs import Design
from experiments.stores import Store
from experiments.sweeps import sweep
from tests.experiments.fake_runs import RUNNER, FakeSpec

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PARENT_MEMORY = """
import sys
from tests.benchmarks.test_sweeps import elasticities, fakes
from experiments.sweeps import sweep
if __name__ == "__main__":
    sweep(elasticities(int(sys.argv[2])), sys.argv[1], workers=2, **fakes())
    print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024)
"""


def elasticities(n: int) -> Design:
    unknown = {"demand.elasticity": {"low": 0.5, "high": 2.0}}
    return Design.parse({"method": "random", "n": n, "uncertainties": unknown})


def taxes(scenario: str, runs: int, months: int) -> Design:
    unknown = {"market.tax_rate": "span"}
    content = {"scenario": scenario, "months": months, "replicates": 2}
    return Design.parse({**content, "method": "random", "n": runs // 2, "uncertainties": unknown})


def fakes() -> dict[str, Any]:
    return {"base": FakeSpec(), "runner": RUNNER}


def run_seconds(store: Store) -> float:
    return float(store.query("SELECT sum(seconds) AS s FROM runs")["s"][0])


@pytest.mark.parametrize(("scenario", "runs", "months"), [("toy", 200, 12), ("2025", 200, 36)])
def test_two_workers_and_the_store(tmp_path: Path, scenario: str, runs: int, months: int) -> None:
    """Goals: 1.8 times one worker; the store under 5 % of the time of the runs."""
    sweep(taxes(scenario, 2, months), tmp_path / "warm", workers=1)
    seconds = {}
    for workers in (1, 2):
        result = sweep(taxes(scenario, runs, months), tmp_path / str(workers), workers=workers)
        assert result.finished == runs
        seconds[workers] = result.seconds
    inside = run_seconds(Store(tmp_path / "1"))
    print(
        f"\n{scenario} x {months} months, {runs} runs: 1 worker {seconds[1]:.1f} s, "
        f"2 workers {seconds[2]:.1f} s, {seconds[1] / seconds[2]:.2f} times as fast (goal 1.8); "
        f"{inside / runs * 1000:.0f} ms a run, outside the runs {(seconds[1] - inside) / inside:.1%} (goal below 5 %)"
    )


def test_what_the_parent_spends_on_a_run(tmp_path: Path) -> None:
    """Planning and handing out bound how many workers one parent can keep busy."""
    started = time.process_time()
    sweep(elasticities(20_000), tmp_path / "store", workers=2, **fakes())
    spent = (time.process_time() - started) / 20_000
    again = time.perf_counter()
    assert sweep(elasticities(20_000), tmp_path / "store", workers=2, **fakes()).shared == 20_000
    print(
        f"\nparent: {spent * 1e6:.0f} microseconds a run besides resolving the scenario; a finished sweep "
        f"of 20,000 runs is found finished in {time.perf_counter() - again:.2f} s"
    )


def test_the_memory_of_the_parent_is_flat(tmp_path: Path) -> None:
    """Goal: no more for 10,000 runs than for 100."""
    memory = {}
    for runs in (100, 10_000):
        script = tmp_path / "script.py"
        script.write_text(PARENT_MEMORY)
        command = [sys.executable, str(script), str(tmp_path / str(runs)), str(runs)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
        )
        memory[runs] = float(done.stdout)
    print(f"\nparent's peak memory: {memory[100]:.0f} MB for 100 runs, {memory[10_000]:.0f} MB for 10,000")
    assert memory[10_000] < memory[100] + 25


@pytest.mark.filterwarnings("ignore")
def test_dask_against_the_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same 400 runs of 20 ms on two workers each."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("FAKE_PAUSE", "0.02")
    pool = sweep(elasticities(400), tmp_path / "pool", workers=2, **fakes()).seconds
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    ) as cluster:
        address = cluster.scheduler_address
        dask = sweep(elasticities(400), tmp_path / "dask", cluster=address, **fakes()).seconds
    print(f"\n400 runs of 20 ms, ideal 4.0 s: pool {pool:.2f} s, Dask {dask:.2f} s (its cluster already up)")
