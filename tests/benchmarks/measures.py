"""What the benchmarks measure: medians, of process seconds unless said, so that other work disturbs little."""

import gc
import importlib.util
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
from statistics import median
from typing import Any, cast

import mesa
import numpy as np
from threadpoolctl import threadpool_limits

from ecosystem.inference import curves
from ecosystem.inference.cards import load_accelerators, load_models
from ecosystem.inference.efficiencies import shipped
from ecosystem.inference.serving import decode_seconds
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from experiments.conditions import one_thread, patient_collector
from experiments.fingerprint import fingerprint
from experiments.plans import make_plan
from experiments.stores import Store
from experiments.sweeps import RUNNER, sweep
from tests.agents.reference_consumers import ReferenceConsumers
from tests.benchmarks import limits
from tests.benchmarks.many_firms import named
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


def timed(act: Callable[[], object], rounds: int) -> list[float]:
    """Return the process seconds of some rounds, after one to warm up."""
    act()
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        act()
        taken.append(time.process_time() - started)
    return taken


def typical(act: Callable[[], object], rounds: int) -> float:
    """Return the median process seconds of some rounds."""
    return median(timed(act, rounds))


@dataclass(frozen=True, slots=True)
class WholeRun:
    """Process seconds of one run: medians of all of it, of its opening and of its months; the least of all of it.

    `edges`: rows of the edge list a month.
    """

    whole: float
    opening: float
    months: float
    least: float
    edges: float


def whole_run(spec: Spec, rounds: int) -> WholeRun:
    """Run a scenario some times, after one short run to warm up, as `experiments.run` does."""
    openings, months, edges = [], [], 0.0
    with one_thread(), patient_collector():
        ValueChain(spec).step()
        for _ in range(rounds):
            gc.collect()
            started = time.process_time()
            chain = ValueChain(spec)
            opened_at = time.process_time()
            while chain.running:
                chain.step()
            months.append(time.process_time() - opened_at)
            openings.append(opened_at - started)
            edges = limits.links(chain).monthly
            chain.release()
    wholes = [a + b for a, b in zip(openings, months, strict=True)]
    return WholeRun(median(wholes), median(openings), median(months), min(wholes), edges)


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


def month_seconds(scenario: str) -> float:
    """Return seconds of the months whose bytecodes and instructions `limits` counts, the median of 9 runs."""
    taken = []
    with one_thread(), patient_collector():
        for _ in range(9):
            chain = ValueChain(named(scenario))
            for _ in range(limits.WARM_MONTHS):
                chain.step()
            started = time.process_time()
            for _ in range(limits.COUNTED_MONTHS):
                chain.step()
            taken.append((time.process_time() - started) / limits.COUNTED_MONTHS)
            chain.release()
    return median(taken)


def calls(scenario: str) -> tuple[float, float]:
    """Return calls a month of (Python functions, functions in C), the mean of six months."""
    counts = {"call": 0, "c_call": 0}

    def note(_: Any, event: str, __: Any) -> None:
        if event in counts:
            counts[event] += 1

    chain = ValueChain(named(scenario))
    chain.step()
    sys.setprofile(note)
    for _ in range(6):
        chain.step()
    sys.setprofile(None)
    chain.release()
    return counts["call"] / 6, counts["c_call"] / 6


AGENTPY = "AgentPy, 10^5"


def consumer_market() -> dict[str, float]:
    """Return seconds a month of consumers by implementation, and by number of people; 10 apps with 2 tiers.

    AgentPy only where it is installed. At 10^6 plain Mesa does one month.
    """
    with threadpool_limits(1):
        consumers, offers = opened(1e5, 10, 2)
        reference = ReferenceConsumers(consumers, offers, 1)
        result = {"plain Mesa, 10^5": typical(partial(reference.choose, offers), 5)}
        _forget(reference)
        if importlib.util.find_spec("agentpy"):
            from tests.benchmarks.agentpy_consumers import AgentPyConsumers

            people = AgentPyConsumers(consumers, offers, 1)
            _forget(people.law)
            result[AGENTPY] = typical(partial(people.choose, offers), 3)
            del people
        consumers, offers = opened(1e6, 10, 2)
        reference = ReferenceConsumers(consumers, offers, 1)
        _forget(reference)
        started = time.process_time()
        reference.choose(offers)
        result["plain Mesa, 10^6"] = time.process_time() - started
        del reference
        gc.collect()
        for power in (5, 6, 8, 9):
            consumers, offers = opened(10.0**power, 10, 2)
            if power < 8:
                result[f"numpy rows, 10^{power}"] = typical(partial(Individuals(consumers).choose, offers), 9)
            result[f"strata, 10^{power}"] = typical(partial(consumers.choose, offers), 200)
            cast(Any, consumers.world).sampling = False
            result[f"strata, 10^{power}, expectations"] = typical(partial(consumers.choose, offers), 200)
    return result


def cells_with_people(people: float) -> int:
    """Return how many cells of taste and option hold anybody, in the market above after a month."""
    consumers, offers = opened(people, 10, 2)
    consumers.choose(offers)
    return int(np.count_nonzero(consumers.people))


def _forget(model: mesa.Model) -> None:
    """Take a model out of the table of Mesa 3.3, which would keep it alive: a million agents slow every collection."""
    getattr(mesa.Agent, "_ids", {}).pop(model, None)


def consumer_bytecodes() -> int:
    """Return the bytecodes of a month of the strata."""
    consumers, offers = opened(1e6, 10, 2)
    consumers.choose(offers)
    return limits.bytecodes(partial(consumers.choose, offers))


def strata_seconds() -> tuple[float, float]:
    """Return seconds of a month of 10^6 people in strata, with draws and in expectations."""
    consumers, offers = opened(1e6, 10, 2)
    with threadpool_limits(1):
        drawn = typical(partial(consumers.choose, offers), 200)
        cast(Any, consumers.world).sampling = False
        return drawn, typical(partial(consumers.choose, offers), 200)


def bytecode_seconds(rounds: int = 200_000) -> float:
    """Return seconds of a bytecode in the simplest code of the kind that months are made of."""
    each = limits.bytecodes(partial(limits.plain_loop, 1000)) / 1000
    return typical(partial(limits.plain_loop, rounds), 7) / (rounds * each)


def kernel_evaluation(evaluations: int = 20_000) -> float:
    """Return seconds of one step time at a given batch."""
    machines, batches, context = limits.kernel_inputs(evaluations)
    return typical(lambda: decode_seconds(machines, batches, context, shipped()), 21) / evaluations


def pass_seconds(elements: int = 20_000) -> float:
    """Return seconds of an element of the simplest pass: a product of two arrays into a third, all in the cache."""
    one, other, out = (np.full(elements, 1.5) for _ in range(3))

    def act() -> None:
        for _ in range(200):
            np.multiply(one, other, out=out)

    return typical(act, 21) / (200 * elements)


def deployment_solved() -> float:
    """Return seconds to solve the curve of one model on one accelerator: what an estimator's call amounts to."""
    models, chips = tuple(load_models()), tuple(load_accelerators())

    def solve() -> None:
        curves._solve.cache_clear()
        curves.ServingCurves.build(models, chips, input_len=2000, output_len=500, tpot_limit_ms=60, tier="wide")

    return typical(solve, 5) / (len(models) * len(chips))


def memory(scenario: str, copies: int, months: int, runs: int) -> float:
    """Return the peak resident memory of a process that does some runs, MB."""
    return float(_python("-c", MEMORY, scenario, str(copies), str(months), str(runs)))


def start_up(rounds: int = 7) -> float:
    """Return the process seconds of `watersellers --help`."""
    taken = []
    for _ in range(rounds):
        before = _children()
        _python("-c", "from experiments.cli import main; main()", "--help")
        taken.append(_children() - before)
    return median(taken)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sweeps of `runs` runs, medians: seconds on the wall with one and with two workers, and inside the runs of one.

    `efficiencies` has one number for each pair of sweeps, one worker and two in turn; `start` is the seconds on
    the wall of two workers for two runs, less half of what the runs take.
    """

    runs: int
    wall: tuple[float, float]
    inside: float
    start: float
    efficiencies: tuple[float, ...]

    @property
    def each(self) -> float:
        """Seconds inside one run."""
        return self.inside / self.runs


def sweep_throughput(folder: Path, runs: int, months: int, rounds: int) -> Sweep:
    """Sweep `2025` with one and with two workers in turn, some times."""
    few, store = 2, folder / "throughput"

    def wall(name: str, number: int, workers: int) -> float:
        return sweep(taxes("2025", number, months), store / name, workers=workers).seconds

    wall("warm", few, 1)
    starts, one, two, inside = [], [], [], []
    for k in range(rounds):
        starts.append(wall(f"start-{k}", few, 2))
        one.append(wall(f"one-{k}", runs, 1))
        two.append(wall(f"two-{k}", runs, 2))
        inside.append(run_seconds(Store(store / f"one-{k}")))
    efficiencies = tuple(a / (2 * b) for a, b in zip(one, two, strict=True))
    start = median(starts) - median(inside) / runs
    return Sweep(runs, (median(one), median(two)), median(inside), start, efficiencies)


def point_seconds(folder: Path, points: int = 200) -> float:
    """Return the parent's process seconds to resolve a point of `2025` and to give its runs their keys."""
    plan = make_plan(taxes("2025", 2 * points, 36), None, RUNNER)
    store = Store.create(folder / "points", fingerprint=fingerprint(), schema=plan.schema)
    started = time.process_time()
    for _ in plan.runs(store, range(points), None):
        pass
    return (time.process_time() - started) / points


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
        local_cluster: Any = distributed.LocalCluster
        with local_cluster(
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
