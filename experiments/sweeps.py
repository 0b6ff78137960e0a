"""Sweeps: a design times replicates, run in parallel into a store, never the same run twice."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.conditions import one_thread
from experiments.designs import Design
from experiments.dispatch import Dispatch, Progress, check_all_arrived
from experiments.errors import UserError
from experiments.fingerprint import fingerprint, stamp
from experiments.plans import make_plan
from experiments.samples import Value
from experiments.stores import Store
from experiments.workers import DaskCluster, InProcess, LocalPool, Run, Work, Workers, cores, outcomes_of

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from ecosystem.spec import Spec

RUNNER = "experiments.outcomes:outcomes"
MONTHS_WORTH_A_POOL = 500
logger = logging.getLogger("watersellers")


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A sweep that has ended.

    Of its `runs`, `finished` and `failed` were done now, `shared` were in the store before (or come twice in
    the design), and `failed_before` were left as they were.
    """

    store: Store
    sweep: str
    runs: int
    finished: int
    failed: int
    shared: int
    failed_before: int
    seconds: float

    @property
    def failures(self) -> "pd.DataFrame":
        """Its failed runs with traceback and the command that repeats them."""
        return self.store.failures(self.sweep)

    def table(self, outcomes: Sequence[str] | None = None) -> "pd.DataFrame":
        """A row a finished run: point, replicate, key, factors, outcomes."""
        return self.store.frame(self.sweep, outcomes)

    def plot(self, outcome: str) -> "alt.FacetChart":
        """One outcome against each factor."""
        import altair as alt

        factors = [factor.path for factor in self.store.sweep(self.sweep).factors]
        table = self.table([outcome]).rename(columns={outcome: "outcome"})
        long = table.melt(id_vars=["key", "outcome"], value_vars=factors, var_name="factor")
        points = alt.Chart(long).mark_point(opacity=0.4, size=12).properties(width=220, height=180)
        x, y = alt.X("value").scale(zero=False).title(None), alt.Y("outcome:Q").title(outcome)
        facets = points.encode(x=x, y=y).facet("factor:N", columns=3)
        chart: alt.FacetChart = facets.resolve_scale(x="independent")
        return chart


@dataclass(frozen=True, slots=True)
class Replay:
    """One run repeated: its outcomes now, and those of the store (none where it failed there)."""

    key: str
    overrides: Mapping[str, Value]
    replicate: int
    outcomes: Mapping[str, float]
    stored: Mapping[str, float] | None

    @property
    def identical(self) -> bool:
        """Whether both are the same to the last bit."""
        bits = {name: value.hex() for name, value in self.outcomes.items()}
        return self.stored is not None and bits == {name: value.hex() for name, value in self.stored.items()}


def sweep(
    design: Design | str | Path,
    store: str | Path,
    *,
    base: "Spec | None" = None,
    workers: int | None = None,
    cluster: str | None = None,
    shard: tuple[int, int] | None = None,
    retry_failed: bool = False,
    runner: str = RUNNER,
    progress: Callable[[Progress], None] | None = None,
) -> SweepResult:
    """Do every run of a design that its store does not hold yet.

    `base` replaces the design's scenario. `workers` is the number of processes, 1 for none but this one; left
    out it is every processor, or none but this one for little work. `cluster` is the address of a Dask
    scheduler. `shard` (i, n), counted from 1, takes every n-th point. A sweep that was stopped goes on when
    it is called again. Raises UserError for a design or store that cannot be used, RunFailure where the disk
    or the workers fail, and KeyboardInterrupt; what is finished is kept in all cases.
    """
    started = time.perf_counter()
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise UserError(f"shard {shard[0]}/{shard[1]}: the first number goes from 1 to the second")
    plan = make_plan(design if isinstance(design, Design) else Design.load(design), base, runner)
    folder = Store.create(store, fingerprint=fingerprint(), schema=plan.schema)
    points = range(len(plan.sample)) if shard is None else range(shard[0] - 1, len(plan.sample), shard[1])
    runs = len(points) * plan.design.replicates
    crew = _workers(workers, cluster, runs * plan.months)
    with folder.locked(shard):
        if shard is None:
            folder.tidy()
        for name in folder.set_aside_damaged():
            logger.warning("part %s of %s is damaged: set aside, its runs are done again", name, folder.path)
        path = str(folder.path.resolve())
        work = Work(path, runner, fingerprint(), plan.base, plan.seed, plan.design.months, stamp())
        with crew:
            dispatch = Dispatch(work, crew, runs, progress)
            arrived = dispatch.run_all(plan.runs(folder, points, shard), retry_failed)
        check_all_arrived(folder, arrived)
    seconds = time.perf_counter() - started
    counts = (dispatch.finished, dispatch.failed, dispatch.shared, dispatch.failed_before)
    return SweepResult(folder, plan.record.id, runs, *counts, seconds)


def replay(store: Store | str | Path, key: str, runner: str = RUNNER) -> Replay:
    """Repeat one run of a store, by its key or the beginning of it, in this process.

    An error that the run raises comes through as it was. Raises UserError if not exactly one run has the key,
    or if the model code is not that of the store.
    """
    store = store if isinstance(store, Store) else Store(store)
    if store.manifest["fingerprint"] != fingerprint():
        raise UserError(f"the model code has changed since {store.path} was made: name runs of a newer store")
    stored = store.find_run(key)
    record = store.sweep(stored.sweep)
    base = _spec_class().from_json(stored.base_json, "scenario of the store")
    work = Work(str(store.path), runner, fingerprint(), base, record.seed, record.design.months)
    with one_thread():
        outcomes = outcomes_of(work, Run(stored.key, stored.overrides, stored.replicate))
    return Replay(stored.key, stored.overrides, stored.replicate, outcomes, stored.outcomes)


def parse_shard(text: str) -> tuple[int, int]:
    """The pair in "i/n"."""
    first, _, last = text.partition("/")
    if not (first.isdecimal() and last.isdecimal()):
        raise UserError(f"a shard is written as i/n, for example 2/8, not {text!r}")
    return int(first), int(last)


def _workers(workers: int | None, cluster: str | None, months: int) -> Workers:
    if cluster is not None:
        if workers is not None:
            raise UserError("give either workers or cluster: a cluster has its own workers")
        return DaskCluster(cluster)
    if workers is None:
        workers = cores() if months >= MONTHS_WORTH_A_POOL else 1
    if workers < 1:
        raise UserError(f"workers must be at least 1, not {workers}")
    return InProcess() if workers == 1 else LocalPool(workers)


def _spec_class() -> "type[Spec]":
    from ecosystem.spec import Spec

    return Spec
