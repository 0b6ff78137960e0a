"""Ctrl-C comes through whole: neither swallowed by a library nor in the middle of a start."""

import os
import signal
import subprocess
import sys

import pytest

from experiments.interrupts import ctrl_c_comes_through, ctrl_c_waits


def test_ctrl_c_waits_for_the_end_and_then_comes_once() -> None:
    done, before = [], signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), ctrl_c_waits():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("to the end")
    assert done == ["to the end"]
    with ctrl_c_waits():
        done.append("again")
    assert signal.getsignal(signal.SIGINT) is before


def test_processes_started_while_ctrl_c_waits_never_see_it() -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('alive')"
    with ctrl_c_waits():
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "alive\n"


@pytest.mark.parametrize("error", [ImportError("cannot start"), None])
def test_ctrl_c_that_a_library_turns_into_an_error_or_nothing_is_ctrl_c(error: Exception | None) -> None:
    with pytest.raises(KeyboardInterrupt), ctrl_c_comes_through():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            if error is not None:
                raise error from None


def test_ctrl_c_while_duckdb_is_imported_comes_after_it() -> None:
    """The import is interrupted where it once aborted the process: inside DuckDB's own C++ code."""
    script = (
        "import enum, os, signal, sys\n"
        "from experiments.interrupts import load_duckdb\n"
        "made, sent = enum.EnumType.__call__, []\n"
        "def press(*given, **named):\n"
        "    if not sent: os.kill(os.getpid(), signal.SIGINT); sent.append(1)\n"
        "    return made(*given, **named)\n"
        "enum.EnumType.__call__ = press\n"
        "try: load_duckdb()\n"
        "except KeyboardInterrupt: print(bool(sent), 'duckdb' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
