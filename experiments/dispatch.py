"""Handing runs to workers: chunks sized by time, dead workers survived, progress told."""

import contextlib
import itertools
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass

from experiments.errors import RunFailure
from experiments.stores import Store
from experiments.workers import Report, Run, Work, Workers, failure

CHUNK_SECONDS = 10.0
LARGEST_CHUNK = 2_000
DEATHS_BEFORE_FAILED = 3
SECONDS_A_LINE = 60.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is: runs done of all, of them shared (in the store before) and failed; seconds left."""

    done: int
    total: int
    shared: int
    failed: int
    seconds_left: float | None


class Dispatch:
    """Does an iterator of runs on some workers.

    A chunk that was in flight when its worker died is done again by itself; if the worker dies again the
    chunk is halved, and a single run that kills three workers is recorded as failed.
    """

    def __init__(self, work: Work, workers: Workers, total: int, progress: Callable[[Progress], None] | None) -> None:
        self.finished = self.failed = self.shared = self.failed_before = 0
        self._work = work
        self._workers = workers
        self._total = total
        self._progress = progress
        self._started = time.perf_counter()
        self._busy_seconds = 0.0
        self._in_flight: dict[Future[Report], Sequence[Run]] = {}
        self._suspects: deque[Sequence[Run]] = deque()
        self._deaths: Counter[str] = Counter()
        self._keys: set[str] = set()

    def run_all(self, runs: Iterator[Run], retry_failed: bool) -> set[str]:
        """Do the runs that the store lacks; the keys of all runs, which it should hold afterwards.

        Raises RunFailure if the disk or the workers fail, and keeps what is finished.
        """
        store = Store(self._work.store)
        missing = self._missing(runs, store.finished_keys(), store.failed_keys(), retry_failed)
        ready = self._chunk(missing)
        while ready or self._in_flight or self._suspects:
            if self._suspects and not self._in_flight:
                self._submit(self._suspects.popleft())
            while ready and not self._suspects and len(self._in_flight) < self._workers.backlog:
                self._submit(ready)
                ready = self._chunk(missing)
            self._collect()
            self._tell()
        self._tell()
        return self._keys

    def _missing(self, runs: Iterator[Run], finished: set[str], failed: set[str], retry_failed: bool) -> Iterator[Run]:
        """Runs to do, each key once; the others are counted."""
        for run in runs:
            if run.key in finished or run.key in self._keys:
                self.shared += 1
            elif run.key in failed and not retry_failed:
                self.failed_before += 1
            else:
                yield run
            self._keys.add(run.key)

    def _chunk(self, runs: Iterator[Run]) -> Sequence[Run]:
        """The next runs, as many as take about ten seconds, fewer towards the end for an even finish."""
        done = self.finished + self.failed
        size = 1.0
        if done:
            seconds = max(self._busy_seconds / done, 1e-6)
            share = (self._total - self._skipped - done) / (2 * self._workers.slots)
            size = min(CHUNK_SECONDS / seconds, share, LARGEST_CHUNK)
        return tuple(itertools.islice(runs, max(1, int(size))))

    def _submit(self, chunk: Sequence[Run]) -> None:
        self._in_flight[self._workers.submit(self._work, chunk)] = chunk

    def _collect(self) -> None:
        """Wait for a chunk and count it; if a worker died, sort out who may have killed it."""
        done, _ = wait(self._in_flight, return_when=FIRST_COMPLETED)
        ended = [(future, self._in_flight.pop(future)) for future in done]
        lost = [chunk for future, chunk in ended if not self._counted(future)]
        if not lost:
            return
        if self._workers.share_fate:
            wait(self._in_flight)
            lost += [chunk for future, chunk in self._in_flight.items() if not self._counted(future)]
            self._in_flight.clear()
        self._workers.restart()
        alone = len(lost) == 1 or not self._workers.share_fate
        for chunk in lost:
            if alone:
                self._blame(chunk)
            else:
                self._suspects.append(chunk)

    def _counted(self, future: Future[Report]) -> bool:
        """Add a finished chunk to the counts; False if its worker died."""
        try:
            report = future.result()
        except CancelledError:
            raise RunFailure(
                "the cluster's scheduler is gone: finished runs are kept, repeat the command when a new one is up"
            ) from None
        except self._workers.deaths:
            return False
        self.finished += report.finished
        self.failed += report.failed
        self._busy_seconds += report.seconds
        return True

    def _blame(self, chunk: Sequence[Run]) -> None:
        """A chunk that killed its worker by itself: halve it, or count the death of a single run."""
        if len(chunk) > 1:
            middle = len(chunk) // 2
            self._suspects.extend([chunk[:middle], chunk[middle:]])
            return
        (run,) = chunk
        self._deaths[run.key] += 1
        if self._deaths[run.key] < DEATHS_BEFORE_FAILED:
            self._suspects.append(chunk)
            return
        message = f"WorkerDied: {DEATHS_BEFORE_FAILED} workers died in this run (killed, or out of memory)"
        Store(self._work.store).write_failures([failure(run.key, message, message, 0.0)])
        self.failed += 1

    @property
    def _skipped(self) -> int:
        return self.shared + self.failed_before

    def _tell(self) -> None:
        if self._progress is None:
            return
        done = self.finished + self.failed
        elapsed = time.perf_counter() - self._started
        left = self._total - self._skipped - done
        failed = self.failed + self.failed_before
        seconds_left = elapsed / done * left if done else None
        self._progress(Progress(done + self._skipped, self._total, self.shared, failed, seconds_left))


def check_all_arrived(store: Store, expected: set[str]) -> None:
    """Raise RunFailure unless every run of a sweep is in the store, finished or failed."""
    missing = expected - store.finished_keys() - store.failed_keys()
    if missing:
        raise RunFailure(
            f"{len(missing)} runs were done and are not in {store.path}: if other machines did them, the "
            "store must be a folder that all of them share"
        )


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Progress on standard error with time left, shared and failed runs so far; give what it yields to `sweep`.

    A bar on a terminal, elsewhere a line a minute.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("runs", total=None, note="")

        def show(progress: Progress) -> None:
            bar.update(task, total=progress.total, completed=progress.done, note=_note(progress))

        yield show


def _lines() -> Callable[[Progress], None]:
    """Tell how far a sweep is in a line a minute."""
    told = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal told
        if time.monotonic() - told >= SECONDS_A_LINE:
            told = time.monotonic()
            print(f"{progress.done} of {progress.total} runs, {_note(progress)}", file=sys.stderr, flush=True)

    return show


def _note(progress: Progress) -> str:
    left = "" if progress.seconds_left is None else f"{duration(progress.seconds_left)} left, "
    shared = f"{progress.shared} in the store before, " if progress.shared else ""
    return f"{left}{shared}{progress.failed} failed"


def duration(seconds: float) -> str:
    """Return a time as people say it, such as 4 min 05 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
