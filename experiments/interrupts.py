"""Ctrl-C where a library, or a process that is just starting, would make something else of it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType, ModuleType


@contextmanager
def ctrl_c_comes_through() -> Iterator[None]:
    """Ctrl-C inside is KeyboardInterrupt outside, whatever a library inside makes of it: DuckDB, errors of its own."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = False

    def press(number: int, frame: "FrameType | None") -> None:
        nonlocal pressed
        try:
            before(number, frame)
        except KeyboardInterrupt:
            pressed = True
            raise

    signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            raise KeyboardInterrupt from None


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C inside comes at the end, and processes that are started inside never see it.

    The mask is what they inherit; the handler is for signals that another thread of this process takes.
    """
    came: list[int] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    before = signal.getsignal(signal.SIGINT)
    handles = before is not None and threading.current_thread() is threading.main_thread()
    if handles:
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        if handles:
            signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if came:
            signal.raise_signal(signal.SIGINT)


@cache
def load_duckdb() -> "ModuleType":
    """Return DuckDB, which is slow to import, and takes Ctrl-C in the middle of that for an error or aborts."""
    with ctrl_c_waits():
        import duckdb

    return duckdb
