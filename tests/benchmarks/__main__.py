"""All goals of speed and memory, measured: prints the table and writes docs/benchmarks.md.

Run with `python -m tests.benchmarks`; the machine should have nothing else to do.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ecosystem.spec import Spec
from tests.benchmarks import measures
from tests.benchmarks.many_firms import many_firms

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
ESTIMATOR_SECONDS = 1.0
"""One estimate by aiconfigurator 0.12, measured on this kind of machine."""
AS_GOOD_AS = 1.05
"""Ratio of two times below which they count as equal."""


@dataclass(frozen=True, slots=True)
class Row:
    """One goal: what, the bound in words, the result in words, whether it was met, and what else is to be said."""

    what: str
    goal: str
    result: str
    met: bool
    note: str = ""

    @property
    def verdict(self) -> str:
        """Word of the table."""
        return "met" if self.met else "missed"


def whole_runs() -> Iterator[Row]:
    """2025, toy, and ten times the firms."""
    real = measures.whole_run(Spec.load("2025").with_overrides({"months": 60}), 5)
    calls, in_c = measures.calls("2025")
    split = f"opening {1e3 * real.opening:.0f} ms, then {1e3 * real.months / 60:.1f} ms a month"
    limit = (
        f"{split}; a month makes {calls:,.0f} calls of Python functions and {in_c:,.0f} of functions in C, spread "
        "evenly over the phases, so that no single change is worth more than a few percent"
    )
    yield Row("`2025` x 60 months", "0.5 s", f"{real.whole:.2f} s", real.whole < 0.5, limit)
    yield Row(
        "`2025` x 60 months, stretch", "0.25 s", f"{real.whole:.2f} s", real.whole < 0.25,
        "4 ms a month would need half the calls: firms of a tier as arrays instead of agents with methods, which "
        "would cost the month its readability. Compiled by mypyc, 31 modules, the run takes 0.78 of its time: too "
        "little for a compiler, a minute and a half of its time and classes of specs moved out of six modules",
    )  # fmt: skip
    toy = measures.whole_run(Spec.load("toy"), 9)
    yield Row(
        "`toy` x 36 months", "0.05 s", f"{toy.whole:.3f} s", toy.whole < 0.05,
        f"opening {1e3 * toy.opening:.0f} ms, {1e3 * toy.months / 36:.1f} ms a month: demand alone is a third of "
        "it, numpy calls on arrays of 32 x 6 numbers, whose cost is the call and not the numbers",
    )  # fmt: skip
    many = measures.whole_run(many_firms(10).with_overrides({"months": 60}), 1)
    yield Row(
        "`2025` with 10x firms, 60 months", "1.5 s", f"{many.whole:.1f} s", many.whole < 1.5,
        f"opening {many.opening:.1f} s, {1e3 * many.months / 60:.0f} ms a month, "
        f"{many.months / real.months:.0f} times one copy for ten times the firms: a little more than "
        "linear, for every app that weighs its supplier "
        "has every lab quote",
    )  # fmt: skip


def consumers() -> Iterator[Row]:
    """The consumer market against plain Mesa, and at any number of people."""
    seconds = measures.consumer_market()
    ratio = seconds["plain Mesa, 10^5"] / seconds["strata, 10^5"]
    listed = ", ".join(f"{name} {1e3 * value:.2f} ms" for name, value in seconds.items())
    yield Row(
        "consumer market against plain Mesa, 100 k", "200 x", f"{ratio:.0f} x", ratio >= 200, f"a month: {listed}"
    )
    at_scale = seconds["plain Mesa, 10^5"] * 10 / seconds["strata, 10^6"]
    yield Row(
        "the same at 10^6 people", "-", f"{at_scale:.0f} x", True, "plain Mesa taken as ten times its month at 10^5"
    )
    growth = seconds["strata, 10^9"] / seconds["strata, 10^6"]
    yield Row(
        "time at 10^9 people over 10^6",
        "1",
        f"{growth:.2f}",
        growth <= AS_GOOD_AS,
        "binomial draws included, which are slower for large cells than for small ones",
    )


def kernel() -> Iterator[Row]:
    """One step-time evaluation."""
    seconds = measures.kernel_evaluation()
    times = ESTIMATOR_SECONDS / seconds
    note = f"{times / 1e6:.1f} million times as fast as an estimate by aiconfigurator (about a second)"
    yield Row("kernel, one step time", "0.5 us", f"{1e6 * seconds:.2f} us", seconds < 0.5e-6, note)


def sizes() -> Iterator[Row]:
    """Memory, and the start of the command line."""
    cases = [("toy", 1, 36, 1), ("2025", 1, 12, 1), ("2025", 1, 60, 1), ("2025", 1, 12, 20), ("2025", 10, 12, 1)]
    peaks = [measures.memory(*case) for case in cases]
    named = [f"{name}{' x10 firms' if c > 1 else ''}, {m} months, {r} runs" for name, c, m, r in cases]
    listed = "; ".join(f"{name}: {peak:.0f} MB" for name, peak in zip(named, peaks, strict=True))
    yield Row("resident memory of `2025` x 60, no report", "300 MB", f"{peaks[2]:.0f} MB", peaks[2] < 300, listed)
    seconds = measures.start_up()
    yield Row("`watersellers --help`", "0.3 s", f"{seconds:.2f} s", seconds < 0.3, "the interpreter's start included")


def sweeps(folder: Path) -> Iterator[Row]:
    """Throughput, store, Dask, the parent."""
    found = measures.sweep_throughput(folder, 24, 36)
    each = found.each
    minutes = (found.start + 10_000 * each) / 2 / 60
    yield Row(
        "10,000 runs of `2025` x 36 months, 2 cores", "20 min", f"{minutes:.0f} min", minutes < 20,
        f"extrapolated from {found.runs} runs on two workers: {each:.2f} processor seconds a run and {found.start:.1f} "
        f"s for the start of the workers; on the wall they took {found.wall[1]:.0f} s here.",
    )  # fmt: skip
    efficiency = found.wall[0] / (2 * found.wall[1])
    yield Row(
        "parallel efficiency, 2 workers", "0.9", f"{efficiency:.2f}", efficiency >= 0.9,
        f"wall time of one over twice that of two, {found.runs} runs, start of the workers included; needs two free "
        "cores",
    )  # fmt: skip
    outside = (found.wall[0] - found.inside) / found.inside
    yield Row("planning and store, share of the runs' time", "5 %", f"{outside:.1%}", outside < 0.05)
    parent = measures.parent_seconds(folder)
    modelled = min(1.0, each / (1000 * parent))
    yield Row(
        "efficiency at 1,000 workers, by model", "0.9", f"{modelled:.2f}", modelled >= 0.9,
        f"a run takes {each:.2f} s and the parent {1e6 * parent:.0f} microseconds of it: one parent keeps "
        f"{each / parent:,.0f} workers busy; beyond that, shards with a parent each",
    )  # fmt: skip
    memory = [measures.parent_memory(folder, runs) for runs in (100, 5_000)]
    yield Row(
        "memory of the parent, 5,000 runs over 100", "+25 MB", f"{memory[1] - memory[0]:+.0f} MB",
        memory[1] - memory[0] < 25, f"{memory[0]:.0f} MB and {memory[1]:.0f} MB",
    )  # fmt: skip
    pool, dask = measures.dask_seconds(folder)
    yield Row(
        "Dask against the pool, 400 runs of 20 ms",
        "-",
        f"{dask:.1f} s, {pool:.1f} s",
        True,
        "ideal 4.0 s; cluster already up",
    )


def main() -> None:
    """Measure everything, print the table, write the page."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        rows = [*whole_runs(), *consumers(), *kernel(), *sizes(), *sweeps(Path(name))]
    by_phase = {scenario: measures.phases(scenario, 24, 4) for scenario in ("2025", "toy")}
    table = Table("what", "goal", "result", "", title="Speed and memory")
    for row in rows:
        table.add_row(row.what, row.goal, row.result, row.verdict if row.goal != "-" else "")
    Console().print(table)
    PAGE.write_text(page(rows, by_phase, load), encoding="utf-8")
    Console().print(f"written to {PAGE}")


def page(rows: list[Row], by_phase: dict[str, dict[str, float]], load: float) -> str:
    """Return the page of the documentation."""
    lines = [
        "# Speed and memory",
        "",
        "Made by `python -m tests.benchmarks`. Times are process seconds on one core, the least of several rounds in a "
        "warm process, unless it says wall. Other work on the machine raises them, for caches and cores are shared: "
        "at a load of 10 on two cores by half, and wall times and the parallel efficiency then say nothing.",
        "",
        f"{measures.machine_name()}; {time.strftime('%Y-%m-%d')}; load of the machine at the start {load:.1f}.",
        "",
        "| what | goal | result | |",
        "|---|---|---|---|",
        *(f"| {r.what} | {r.goal} | {r.result} | {r.verdict if r.goal != '-' else ''} |" for r in rows),
        "",
        "## What is behind the numbers",
        "",
        *(f"- **{r.what}** ({r.verdict if r.goal != '-' else 'no goal'}): {r.note}." for r in rows if r.note),
        "",
        "## The month by phase",
        "",
        "Milliseconds a month, months 0 to 23.",
        "",
        f"| phase | {' | '.join(by_phase)} |",
        f"|---|{'---|' * len(by_phase)}",
        *(f"| {p} | {' | '.join(f'{times[p]:.2f}' for times in by_phase.values())} |" for p in measures.PHASES),
        f"| all | {' | '.join(f'{sum(times.values()):.2f}' for times in by_phase.values())} |",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
