"""Who does the runs of a sweep: this process, a pool of processes, or a Dask cluster.

All three take chunks of runs and write their own part files, so no result passes through the parent.
"""

import contextlib
import importlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from experiments.conditions import one_thread, patient_collector
from experiments.errors import RunFailure, UserError
from experiments.fingerprint import fingerprint, stamp
from experiments.interrupts import ctrl_c_waits
from experiments.samples import Value
from experiments.stores import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

    from ecosystem.spec import Spec

Outcomes = Callable[..., dict[str, float]]
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
MOST_SECONDS_TO_START = 300.0
"""After which a process of a pool gives up waiting for the others, one of which must have died."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run to do: its key, what it changes in the scenario, and its replicate."""

    key: str
    overrides: Mapping[str, Value]
    replicate: int


@dataclass(frozen=True, slots=True)
class Work:
    """What all chunks of a sweep have in common; `stamp` spares workers that have it the check of the fingerprint."""

    store: str
    runner: str
    fingerprint: str
    base: "Spec"
    seed: int
    months: int | None
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says of a chunk: runs finished, runs failed, and the seconds that the runs took."""

    finished: int
    failed: int
    seconds: float


def outcome_function(runner: str) -> Outcomes:
    """The function behind "module:function"."""
    module, _, name = runner.partition(":")
    try:
        function: Outcomes = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"cannot find the runner {runner!r}: {error}") from None
    return function


def outcomes_of(work: Work, run: Run) -> dict[str, float]:
    """The outcomes of one run; the caller holds the numerical libraries to one thread."""
    spec = work.base.with_overrides(dict(run.overrides)) if run.overrides else work.base
    function = outcome_function(work.runner)
    values = function(spec, seed=work.seed, replicate=run.replicate, months=work.months)
    return {name: float(value) for name, value in values.items()}


def run_chunk(work: Work, runs: Sequence[Run]) -> Report:
    """Do some runs and write them to the store: one part of those that finished, one of those that failed."""
    if stamp() != work.stamp and fingerprint() != work.fingerprint:
        raise RunFailure(
            f"the worker's model code ({fingerprint()[:12]}) is not the sweep's ({work.fingerprint[:12]}): "
            "install the same version of watersellers and of its libraries everywhere"
        )
    outcome_function(work.runner)
    finished: list[tuple[str, float, dict[str, float]]] = []
    failures: list[dict[str, Any]] = []
    with one_thread(), patient_collector(freeze=True):
        for run in runs:
            started = time.perf_counter()
            try:
                row = outcomes_of(work, run)
                _check_names(row, finished[0][2] if finished else row)
                finished.append((run.key, time.perf_counter() - started, row))
            except (Exception, SystemExit) as error:
                elapsed = time.perf_counter() - started
                failures.append(failure(run.key, _headline(error), traceback.format_exc(), elapsed))
    store = Store(work.store)
    if finished:
        store.write_runs(*zip(*finished, strict=True))
    if failures:
        store.write_failures(failures)
    seconds = sum(each[1] for each in finished) + sum(row["seconds"] for row in failures)
    return Report(len(finished), len(failures), seconds)


def _check_names(row: Mapping[str, float], first: Mapping[str, float]) -> None:
    if odd := sorted(row.keys() ^ first.keys()):
        raise ValueError(f"the outcomes are not those of the other runs; they differ in {', '.join(odd)}")


def failure(key: str, error: str, trace: str, seconds: float) -> dict[str, Any]:
    """A failed run as a row of the store."""
    return {"key": key, "error": error, "traceback": trace, "seconds": seconds, "failed_at": time.time()}


def _headline(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers(Protocol):
    """A way to do chunks; `slots` is how many are done at once, and leaving the context ends them."""

    slots: int
    backlog: int
    share_fate: bool

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def submit(self, work: Work, runs: Sequence[Run]) -> "Future[Report]":
        """Hand out a chunk."""

    def restart(self) -> None:
        """Make new workers after one of them died."""

    @property
    def deaths(self) -> tuple[type[Exception], ...]:
        """Errors of a chunk that mean that its worker died, not that the chunk was at fault."""


class InProcess:
    """This very process: cheapest for little work, and what a debugger can follow."""

    slots = 1
    backlog = 1
    share_fate = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, work: Work, runs: Sequence[Run]) -> "Future[Report]":
        """Do the chunk at once, and raise at once what goes wrong."""
        done: Future[Report] = Future()
        done.set_result(run_chunk(work, runs))
        return done

    def restart(self) -> None:
        """Nothing to do: a death of this process is the end."""

    @property
    def deaths(self) -> tuple[type[Exception], ...]:
        """None: whoever asks is alive."""
        return ()


class LocalPool:
    """A pool of processes on this machine.

    Every worker watches a pipe that only the parent can write to: when the parent closes it or is killed, the
    workers end at once, in the middle of a run. A part that is half-written then is a temporary file.

    With the first work all processes are started, and none takes work before all are there. `ProcessPoolExecutor` by
    itself starts them one by one as work comes: where a worker dies while the next one starts, Python 3.11 waits for
    the new one for ever.
    """

    share_fate = True

    def __init__(self, processes: int) -> None:
        self.slots = self.backlog = processes
        self._executor: Executor | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        import multiprocessing

        self._context = multiprocessing.get_context("spawn")
        self._reader, self._writer = self._context.Pipe(duplex=False)
        self._stack.enter_context(_one_thread_environment())
        self._stack.callback(self._reader.close)
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()
        self._shut_down()
        self._stack.close()

    def submit(self, work: Work, runs: Sequence[Run]) -> "Future[Report]":
        """Hand a chunk to the pool."""
        try:
            return self.call(run_chunk, work, runs)
        except BrokenProcessPool as error:
            broken: Future[Report] = Future()
            broken.set_exception(error)
            return broken

    def call(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Hand any function of a module to the pool; BrokenProcessPool where a process died."""
        executor = self._executor or self._start()
        return executor.submit(function, *arguments)

    def restart(self) -> None:
        """Replace the pool by a new one; RunFailure if its processes cannot even start."""
        self._shut_down()
        try:
            self.call(os.getpid).result()
        except BrokenProcessPool:
            raise RunFailure(
                "worker processes die as they start; a script that sweeps must do so below `if __name__ == '__main__':`"
            ) from None

    def _start(self) -> Executor:
        from multiprocessing import resource_tracker

        terms = self._reader, self._context.Barrier(self.slots, timeout=MOST_SECONDS_TO_START)
        self._executor = ProcessPoolExecutor(
            self.slots, mp_context=self._context, initializer=_start_worker, initargs=terms
        )
        resource_tracker.ensure_running()  # now, for it lets Ctrl-C through again when it starts
        with ctrl_c_waits():
            for _ in range(self.slots):
                self._executor.submit(os.getpid)
        return self._executor

    @property
    def deaths(self) -> tuple[type[Exception], ...]:
        """A pool of which one process died fails all that is in flight."""
        return (BrokenProcessPool,)

    def _shut_down(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


class DaskCluster:
    """Workers of a Dask scheduler that runs already; the store must be on a disk that all of them see."""

    share_fate = False

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> Self:
        try:
            distributed: Any = importlib.import_module("distributed")
        except ImportError:
            raise UserError("a cluster needs Dask: pip install 'watersellers[cluster]'") from None
        try:
            self._client = distributed.Client(self.address, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UserError(f"no Dask scheduler answers at {self.address}: {error}") from None
        self.slots = sum(self._client.ncores().values())
        if not self.slots:
            self._client.close()
            raise UserError(f"the Dask scheduler at {self.address} has no workers yet: start some, then try again")
        self.backlog = 2 * self.slots
        self._executor = self._client.get_executor()
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown(wait=False)
        self._client.close()

    def submit(self, work: Work, runs: Sequence[Run]) -> "Future[Report]":
        """Hand a chunk to the cluster."""
        submitted: Future[Report] = self._executor.submit(run_chunk, work, runs)
        return submitted

    def restart(self) -> None:
        """Nothing to do: the scheduler replaces workers and repeats what they had."""

    @property
    def deaths(self) -> tuple[type[Exception], ...]:
        """The scheduler gives a chunk up after it killed several workers."""
        from distributed import KilledWorker

        return (KilledWorker,)


def _start_worker(lifeline: "Connection", all_there: "Barrier") -> None:
    """Prepare a pool process: deaf to Ctrl-C, which the parent handles, and bound to the parent's life.

    It is ready once all processes of the pool are.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_follow_parent, args=(lifeline,), daemon=True).start()
    all_there.wait()


def _follow_parent(lifeline: "Connection") -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)


@contextlib.contextmanager
def _one_thread_environment() -> Iterator[None]:
    """Environment in which new processes load their numerical libraries with one thread each."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
