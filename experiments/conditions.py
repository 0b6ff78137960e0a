"""What every run is done under: one thread for the numerical libraries, and a collector of garbage that waits."""

import contextlib
import gc
import sys
import threading
from collections.abc import Iterator


class _Hold:
    """The hold of a whole process on its numerical libraries: taken by the first who asks, given up by the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._modules = 0
        self._stack = contextlib.ExitStack()

    def take(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            if not self._holders or len(sys.modules) != self._modules:
                self._stack.enter_context(threadpool_limits(1))
            self._modules = len(sys.modules)
            self._holders += 1

    def give_up(self) -> None:
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._stack.close()


_HOLD = _Hold()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Numerical libraries use one thread: equal bits everywhere, and no workers in each other's way.

    Inside another one it costs nothing unless modules were loaded since, with libraries of their own perhaps.
    """
    _HOLD.take()
    try:
        yield
    finally:
        _HOLD.give_up()


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
