"""What every run is done under: one thread for the numerical libraries, and a collector of garbage that waits."""

import contextlib
import gc
from collections.abc import Iterator
from contextvars import ContextVar

_one_thread = ContextVar("one_thread", default=False)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Numerical libraries use one thread: equal bits everywhere, and no workers in each other's way.

    Finding these libraries takes as long as a tenth of a month of `2025`: within this context nobody looks again.
    """
    if _one_thread.get():
        yield
        return
    from threadpoolctl import threadpool_limits

    token = _one_thread.set(True)
    try:
        with threadpool_limits(1):
            yield
    finally:
        _one_thread.reset(token)


@contextlib.contextmanager
def patient_collector(*, freeze: bool = False) -> Iterator[None]:
    """Look for garbage about once a run: what a run makes it keeps to its end.

    `freeze`: never look at what is there already, such as imports, for work of many runs.
    """
    before = gc.get_threshold()
    if freeze:
        gc.freeze()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if freeze:
            gc.unfreeze()
