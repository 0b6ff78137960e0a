"""What the benchmarks measure: process seconds of this process unless said, so that other work disturbs little."""

import gc
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ecosystem.inference.cards import load_accelerators, load_models
from ecosystem.inference.efficiencies import shipped
from ecosystem.inference.machines import layout, machine
from ecosystem.inference.serving import decode_seconds
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from experiments.stores import Store
from experiments.sweeps import sweep
from tests.agents.reference_consumers import ReferenceConsumers
from tests.benchmarks.test_consumers import Individuals, opened
from tests.benchmarks.test_sweeps import PARENT_MEMORY, elasticities, fakes, run_seconds, taxes

ROOT = Path(__file__).parents[2]
PHASES = (
    "events", "investment", "chip_phase", "cloud_phase", "lab_phase", "app_phase", "demand", "serve", "settle",
    "collect",
)  # fmt: skip
PEAK = "print(next(int(x.split()[1]) for x in open('/proc/self/status') if x.startswith('VmHWM')) / 1024)"
"""A process's own peak of resident memory, MB: `ru_maxrss` begins with that of the process that started it."""
MEMORY = f"""
import sys
from experiments.runs import outcomes
from tests.benchmarks.many_firms import many_firms
copies, months, runs = map(int, sys.argv[2:])
for replicate in range(runs):
    outcomes(sys.argv[1] if copies == 1 else many_firms(copies), months=months, replicate=replicate)
{PEAK}
"""


def least(act: Callable[[], object], rounds: int) -> float:
    """Return the least process seconds of some rounds, after one to warm up."""
    act()
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        act()
        taken.append(time.process_time() - started)
    return min(taken)


@dataclass(frozen=True, slots=True)
class WholeRun:
    """Process seconds of one run: its opening, and its months."""

    opening: float
    months: float

    @property
    def whole(self) -> float:
        """Seconds of the run."""
        return self.opening + self.months


def whole_run(spec: Spec, rounds: int) -> WholeRun:
    """Run a scenario some times, after one short run to warm up; return the least of the openings and of the months."""
    best = WholeRun(np.inf, np.inf)
    with threadpool_limits(1):
        ValueChain(spec).step()
        for _ in range(rounds):
            gc.collect()
            started = time.process_time()
            chain = ValueChain(spec)
            opened_at = time.process_time()
            while chain.running:
                chain.step()
            ended = time.process_time()
            best = WholeRun(min(best.opening, opened_at - started), min(best.months, ended - opened_at))
            chain.release()
    return best


def phases(scenario: str, months: int, rounds: int) -> dict[str, float]:
    """Return milliseconds a month by phase, the least of some rounds month by month."""
    taken = np.full((rounds, len(PHASES), months), np.inf)
    with threadpool_limits(1):
        for k in range(rounds):
            chain = ValueChain(scenario)
            for month in range(months):
                for i, name in enumerate(PHASES):
                    started = time.process_time()
                    getattr(chain, name)()
                    taken[k, i, month] = time.process_time() - started
            chain.release()
    return dict(zip(PHASES, (1e3 * taken.min(axis=0).mean(axis=1)).tolist(), strict=True))


def calls(scenario: str) -> tuple[float, float]:
    """Return calls a month of (Python functions, functions in C), the mean of six months."""
    counts = {"call": 0, "c_call": 0}

    def note(_: Any, event: str, __: Any) -> None:
        if event in counts:
            counts[event] += 1

    chain = ValueChain(scenario)
    chain.step()
    sys.setprofile(note)
    for _ in range(6):
        chain.step()
    sys.setprofile(None)
    chain.release()
    return counts["call"] / 6, counts["c_call"] / 6


def consumer_market() -> dict[str, float]:
    """Return seconds a month of consumers by implementation, and by number of people; 10 apps with 2 tiers."""
    with threadpool_limits(1):
        consumers, offers = opened(1e5, 10, 2)
        reference = ReferenceConsumers(consumers, offers, 1)
        result = {"plain Mesa, 10^5": least(lambda: reference.choose(offers), 3)}
        for power in (5, 6, 9):
            consumers, offers = opened(10.0**power, 10, 2)
            if power < 9:
                result[f"numpy rows, 10^{power}"] = least(partial(Individuals(consumers).choose, offers), 3)
            result[f"strata, 10^{power}"] = least(partial(consumers.choose, offers), 200)
    return result


def kernel_evaluation(evaluations: int = 20_000) -> float:
    """Return seconds of one step time at a given batch."""
    m = machine(load_models()["DeepSeek-V3"], load_accelerators()["H800_SXM"], "fp8", layout(dp=32, ep=32))
    stacked = m[np.newaxis][np.zeros(evaluations, dtype=int)]
    batches, context = np.geomspace(1.0, 512.0, evaluations), np.full(evaluations, 3000.0)
    return least(lambda: decode_seconds(stacked, batches, context, shipped()), 20) / evaluations


def memory(scenario: str, copies: int, months: int, runs: int) -> float:
    """Return the peak resident memory of a process that does some runs, MB."""
    return float(_python("-c", MEMORY, scenario, str(copies), str(months), str(runs)))


def start_up(rounds: int = 7) -> float:
    """Return the least process seconds of `watersellers --help`."""
    taken = []
    for _ in range(rounds):
        before = _children()
        _python("-c", "from experiments.cli import main; main()", "--help")
        taken.append(_children() - before)
    return min(taken)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep of `runs` runs: seconds on the wall with one and two workers, in the runs, and of the processors.

    `start` and `each`: processor seconds of two workers before their first run, and of a further run.
    """

    runs: int
    wall: tuple[float, float]
    inside: float
    start: float
    each: float


def sweep_throughput(folder: Path, runs: int, months: int) -> Sweep:
    """Sweep `2025` with one and with two workers."""
    few = 2
    sweep(taxes("2025", few, months), folder / "warm", workers=1)
    wall, cpu = [], []
    for number, workers in ((few, 2), (runs, 2), (runs, 1)):
        before = time.process_time() + _children()
        wall.append(sweep(taxes("2025", number, months), folder / f"{number}-{workers}", workers=workers).seconds)
        cpu.append(time.process_time() + _children() - before)
    each = (cpu[1] - cpu[0]) / (runs - few)
    return Sweep(runs, (wall[2], wall[1]), run_seconds(Store(folder / f"{runs}-1")), cpu[0] - few * each, each)


def parent_seconds(folder: Path, runs: int = 5_000) -> float:
    """Return the parent's process seconds a run, in a sweep of runs that take no time."""
    started = time.process_time()
    sweep(elasticities(runs), folder / "parent", workers=2, **fakes())
    return (time.process_time() - started) / runs


def parent_memory(folder: Path, runs: int) -> float:
    """Return the parent's peak memory in a sweep of runs that take no time, MB."""
    script = folder / "script.py"
    script.write_text(PARENT_MEMORY, encoding="utf-8")
    return float(_python(str(script), str(folder / f"memory-{runs}"), str(runs)))


def dask_seconds(folder: Path) -> tuple[float, float]:
    """Return seconds on the wall of 400 runs of 20 ms on two workers: of the pool, and of Dask once it is up."""
    import distributed

    os.environ["FAKE_PAUSE"] = "0.02"
    try:
        pool = sweep(elasticities(400), folder / "pool", workers=2, **fakes()).seconds
        with distributed.LocalCluster(  # type: ignore[no-untyped-call, unused-ignore]
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(folder)
        ) as cluster:
            address = cluster.scheduler_address
            return pool, sweep(elasticities(400), folder / "dask", cluster=address, **fakes()).seconds
    finally:
        del os.environ["FAKE_PAUSE"]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _python(*arguments: str) -> str:
    """Return what a fresh interpreter prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    return done.stdout


def machine_name() -> str:
    """Return the processor, Python and numpy."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = named[0] if named else platform.processor()
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}"
