"""What bounds a month and a step time: bytecodes, instructions of the processor, passes over arrays.

Instructions are counted by callgrind where valgrind is installed, from a point inside a running process, so that
imports and the opening cost little time and are not counted.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecosystem.inference.cards import load_accelerators, load_models
from ecosystem.inference.efficiencies import shipped
from ecosystem.inference.machines import layout, machine
from ecosystem.inference.serving import decode_seconds
from ecosystem.model import ValueChain
from tests.benchmarks.many_firms import named

ROOT = Path(__file__).parents[2]
WARM_MONTHS, COUNTED_MONTHS = 2, 6
PARTS = (("numpy", "numpy"), ("Python", "python"), ("C library", "libc.so"), ("C library", "libm.so"))
"""Names of the parts of a program, and what the path of their files holds, the first that fits."""
COUNTED_MONTH = f"""
from ecosystem.model import ValueChain
from tests.benchmarks.many_firms import named
chain = ValueChain(named(sys.argv[1]))
act = chain.step
for _ in range({WARM_MONTHS}):
    act()
"""
COUNTED_PLAIN = """
from functools import partial
from tests.benchmarks.limits import plain_loop
act = partial(plain_loop, int(sys.argv[1]))
act()
"""
COUNTED_KERNEL = """
from functools import partial
from ecosystem.inference.efficiencies import shipped
from ecosystem.inference.serving import decode_seconds
from tests.benchmarks.limits import kernel_inputs
act = partial(decode_seconds, *kernel_inputs(int(sys.argv[1])), shipped())
act()
"""
COUNTING = """
import os, subprocess, sys
{prepare}
def count(state):
    subprocess.run(["callgrind_control", "-i", state, str(os.getpid())], check=True, capture_output=True)
count("on")
for _ in range({times}):
    act()
count("off")
"""


def kernel_inputs(evaluations: int) -> tuple[Any, NDArray[np.float64], NDArray[np.float64]]:
    """Return a machine, batches and contexts: so many step times of DeepSeek-V3 on H800s."""
    m = machine(load_models()["DeepSeek-V3"], load_accelerators()["H800_SXM"], "fp8", layout(dp=32, ep=32))
    stacked = m[np.newaxis][np.zeros(evaluations, dtype=int)]
    return stacked, np.geomspace(1.0, 512.0, evaluations), np.full(evaluations, 3000.0)


# --- bytecodes ---------------------------------------------------------------------------------------------------


def bytecodes(act: Callable[[], object]) -> int:
    """Return the number of bytecodes that a call executes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def month_bytecodes(scenario: str) -> float:
    """Return bytecodes a month, the mean of some months after the first ones."""
    chain = ValueChain(named(scenario))
    for _ in range(WARM_MONTHS):
        chain.step()
    total = sum(bytecodes(chain.step) for _ in range(COUNTED_MONTHS))
    chain.release()
    return total / COUNTED_MONTHS


class PlainFirm:
    """The simplest code of the kind that months are made of: attributes, floats, a method."""

    __slots__ = ("cash", "price")

    def __init__(self) -> None:
        self.cash, self.price = 0.0, 2.0

    def earn(self, quantity: float) -> float:
        """Return what was earned, and keep it."""
        earned = self.price * quantity - 1.0
        self.cash = self.cash + earned
        return earned if earned > 0.0 else 0.0


def plain_loop(rounds: int) -> float:
    """Let one firm earn many times."""
    firm, total = PlainFirm(), 0.0
    for k in range(rounds):
        total += firm.earn(0.5 * k)
    return total


# --- instructions ------------------------------------------------------------------------------------------------


def can_count() -> bool:
    """Say whether valgrind is installed."""
    return all(shutil.which(name) for name in ("valgrind", "callgrind_control"))


def month_instructions(scenario: str) -> dict[str, float]:
    """Return instructions a month by part of the program (`PARTS`, other)."""
    return _instructions(COUNTED_MONTH, scenario, COUNTED_MONTHS)


def plain_instructions(rounds: int = 100_000) -> float:
    """Return the instructions of a bytecode of the plain loop."""
    each = bytecodes(lambda: plain_loop(1000)) / 1000
    return sum(_instructions(COUNTED_PLAIN, str(rounds), 1).values()) / (rounds * each)


def kernel_instructions(evaluations: int) -> dict[str, float]:
    """Return instructions of a step time by part of the program."""
    found = _instructions(COUNTED_KERNEL, str(evaluations), 3)
    return {part: value / evaluations for part, value in found.items()}


def _instructions(prepare: str, argument: str, times: int) -> dict[str, float]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        script = COUNTING.format(prepare=prepare, times=times)
        subprocess.run(
            [*valgrind, sys.executable, "-c", script, argument],
            check=True, capture_output=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        found = by_part(out.read_text(encoding="utf-8", errors="replace"))
    return {part: value / times for part, value in found.items()}


def by_part(profile: str) -> dict[str, float]:
    """Return the instructions of a callgrind profile by part of the program, callees counted where they are."""
    paths: dict[str, str] = {}
    count: Counter[str] = Counter()
    current, inclusive = "", False
    for line in profile.splitlines():
        if named := re.match(r"c?ob=(\(\d+\))(?: (.+))?$", line):
            if named[2]:
                paths[named[1]] = named[2]
            if line.startswith("ob="):
                current = named[1]
        elif line.startswith("calls="):
            inclusive = True  # the next line is what the callee cost
        elif re.match(r"[\d+*-]\S* \d+$", line):
            if not inclusive:
                count[current] += int(line.split()[1])
            inclusive = False
    parts: Counter[str] = Counter()
    for key, value in count.items():
        name = paths.get(key, "")
        parts[next((part for part, mark in PARTS if mark in _file(name)), "other")] += value
    return dict(parts)


def _file(path: str) -> str:
    """Return what tells the part: numpy's folder, or the file's name (a folder may be called python3.11 too)."""
    return "numpy" if "/numpy" in path else Path(path).name


# --- passes over arrays ------------------------------------------------------------------------------------------


class Passes(np.ndarray):
    """An array that counts the operations it takes part in, in elements of their results."""

    elements = 0

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **named: Any) -> Any:
        result = getattr(ufunc, method)(*(_plain(x) for x in inputs), **{k: _plain(v) for k, v in named.items()})
        return _tallied(result)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _tallied(func(*_plain(args), **_plain(kwargs)))


def _plain(value: Any) -> Any:
    if isinstance(value, Passes):
        return value.view(np.ndarray)
    if isinstance(value, tuple | list):
        return type(value)(_plain(x) for x in value)
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _tallied(result: Any) -> Any:
    if not isinstance(result, np.ndarray):
        return result
    Passes.elements += result.size
    return result.view(Passes)


def _counting(record: Any) -> Any:
    """Return arrays, and records of arrays, as arrays that count."""
    if isinstance(record, np.ndarray):
        return record.view(Passes)
    if is_dataclass(record) and not isinstance(record, type):
        return replace(record, **{f.name: _counting(getattr(record, f.name)) for f in fields(record)})
    return record


def kernel_passes(evaluations: int = 1000) -> float:
    """Return the elements of arrays that one step time computes."""
    inputs = [_counting(value) for value in kernel_inputs(evaluations)]
    Passes.elements = 0
    decode_seconds(inputs[0], inputs[1], inputs[2], shipped())
    return Passes.elements / evaluations


# --- where a process is the unit ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Links:
    """Payments a month that a run records: rows of the edge list."""

    months: int
    rows: int

    @property
    def monthly(self) -> float:
        """Rows a month."""
        return self.rows / self.months


def links(chain: ValueChain) -> Links:
    """Count the edges of a run."""
    return Links(chain.month, len(chain.ledger.flows().payer))
