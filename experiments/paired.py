"""Paired runs: worlds that differ in one thing, run with the same chance, on one or several processes.

A job is one run of one world and one replicate; what is kept of it is what its measure says. Jobs of
different worlds with the same replicate share their random numbers (`ecosystem.streams`), so that most of
the chance cancels in their difference.
"""

import contextlib
import importlib
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from experiments.conditions import one_thread, patient_collector
from experiments.errors import RunFailure, UserError
from experiments.workers import LocalPool, cores

if TYPE_CHECKING:
    from ecosystem.model import ValueChain
    from ecosystem.spec import Spec

MODEL = "ecosystem.model:ValueChain"
SERIAL_SECONDS = 10.0
"""Work that takes less than this on one core is not worth starting processes for."""
IN_HAND = 3
"""Jobs that are handed out for each process: none waits for the parent, and few scenarios lie in memory at once."""

Progress = Callable[[int, int], None]
"""Called with the runs done and the runs planned."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run: a scenario, its chance, its length, and what to keep of it.

    `measure` and `model` are "module:name"; the measure is called with the finished model and `arguments`.
    `on_the_way`: (month, arguments) of measures of the same run before its end, in order of time.
    """

    spec: "Spec"
    seed: int
    replicate: int
    months: int
    measure: str
    arguments: tuple[Any, ...] = ()
    model: str = MODEL
    on_the_way: tuple[tuple[int, tuple[Any, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that broke off, and why."""

    reason: str


def simulate(job: Job) -> Any:
    """Run one job and return what its measure says, or `Failed` where the run broke off.

    A list, one of each stop and of the end, for a job that is measured on the way.
    """
    from ecosystem.ledger import LedgerBreach, LedgerError

    stops = (*job.on_the_way, (job.months, job.arguments))
    found: list[Any] = []
    with one_thread(), patient_collector():
        chain: ValueChain = _named(job.model)(job.spec, rng=job.seed, replicate=job.replicate)
        try:
            for month, arguments in stops:
                while chain.month < month:
                    chain.step()
                found.append(_named(job.measure)(chain, *arguments))
        except (LedgerBreach, LedgerError, ArithmeticError) as error:
            found += [Failed(f"month {chain.month}: {error}")] * (len(stops) - len(found))
        finally:
            chain.release()
    return found if job.on_the_way else found[0]


class Crew:
    """Who does the jobs: this process, or several once the work is worth it. A context manager.

    `workers`: how many processes; None lets the first run of this process tell how long all will take.
    """

    def __init__(self, workers: int | None = None, progress: Progress | None = None) -> None:
        if workers is not None and workers < 1:
            raise UserError(f"workers must be at least 1, not {workers}")
        self._wanted = workers
        self._progress = progress
        self._pool: LocalPool | None = None
        self._stack = contextlib.ExitStack()
        self._seconds = 0.0
        self.done = 0
        self.planned = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self, jobs: Sequence[Job]) -> list[Any]:
        """Do the jobs, in a pool long ones first, and return what their measures said in the order of the jobs."""
        self.planned = max(self.planned, self.done + len(jobs))
        results: list[Any] = []
        while len(results) < len(jobs) and not self._worth_a_pool(len(jobs) - len(results)):
            started = time.perf_counter()
            results.append(simulate(jobs[len(results)]))
            self._seconds = time.perf_counter() - started
            self._tell(1)
        return results + self._in_pool(jobs[len(results) :])

    def _worth_a_pool(self, left: int) -> bool:
        if self._wanted == 1:
            return False
        if self._pool is not None or self._wanted is not None:
            return True
        return cores() > 1 and self._seconds * left > SERIAL_SECONDS

    def _in_pool(self, jobs: Sequence[Job]) -> list[Any]:
        if not jobs:
            return []
        if self._pool is None:
            self._pool = self._stack.enter_context(LocalPool(self._wanted or cores()))
        results: list[Any] = [None] * len(jobs)
        longest_first = iter(sorted(range(len(jobs)), key=lambda i: -jobs[i].months))
        in_hand: dict[Future[Any], int] = {}
        try:
            while True:
                for i in islice(longest_first, IN_HAND * self._pool.slots - len(in_hand)):
                    in_hand[self._pool.call(_simulate_packed, pickle.dumps(jobs[i]))] = i
                if not in_hand:
                    return results
                finished, _ = wait(in_hand, return_when=FIRST_COMPLETED)
                for future in finished:
                    results[in_hand.pop(future)] = future.result()
                self._tell(len(finished))
        except BrokenProcessPool:
            raise RunFailure(
                "a worker process died: try --workers 1; a script must do this below `if __name__ == '__main__':`"
            ) from None

    def _tell(self, count: int) -> None:
        self.done += count
        if self._progress is not None:
            self._progress(self.done, self.planned)


def _simulate_packed(packed: bytes) -> Any:
    return simulate(pickle.loads(packed))


@lru_cache(maxsize=64)
def _named(place: str) -> Callable[..., Any]:
    """Return the function or class behind "module:name"."""
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def with_tables(spec: "Spec", changes: Mapping[str, Any]) -> "Spec":
    """Return the scenario with changes by dotted path, where a path may also add an entry to a table of tables.

    `app.metaso.tiers.paid = {price = 20}` adds a tier, which an ordinary override refuses. SpecError as ever.
    """
    new = {path: value for path, value in changes.items() if isinstance(value, Mapping) and _is_new(spec, path)}
    if not new:
        return spec.with_overrides(changes)
    data = spec.model_dump()
    for path, value in new.items():
        *above, leaf = path.split(".")
        place: Any = data
        for part in above:
            place = place[part]
        place[leaf] = dict(value)
    changed = type(spec).from_data(data, "override")
    return changed.with_overrides({path: value for path, value in changes.items() if path not in new})


def _is_new(spec: "Spec", path: str) -> bool:
    """Whether a path names an entry of one of the tables that a scenario may extend, and is not there."""
    parts = path.split(".")
    if len(parts) != 4 or parts[0] != "app" or parts[2] != "tiers" or parts[1] not in spec.app:
        return False
    return parts[3] not in spec.app[parts[1]].tiers
