"""All goals of speed and memory, measured: prints the table and writes docs/benchmarks.md.

Run with `python -m tests.benchmarks`; the machine should have nothing else to do. It takes about six minutes. The
soak, which takes longer, is `python -m tests.benchmarks.soak`; its section of the page is kept.
"""

import importlib.metadata
import math
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from ecosystem.spec import Spec
from tests.benchmarks import limits, measures
from tests.benchmarks.many_firms import many_firms
from tests.benchmarks.soak import PAGE, soak_section

ESTIMATOR_SECONDS = 1.0
"""One estimate by aiconfigurator 0.12, measured on this machine when the kernel was designed; 35 packages, 669 MB."""
AS_GOOD_AS = 1.05
"""Ratio of two times below which they count as equal."""
WORKERS, MILLION = 1000, 1_000_000
"""The cluster of the model, and the sweep that it does."""
CHUNK_SECONDS = 10.0
"""Runs that a worker is handed at once."""


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
        if self.goal == "-":
            return ""
        return "met" if self.met else "missed"


def whole_runs() -> Iterator[Row]:
    """2025, toy, and ten times the firms."""
    real = measures.whole_run(Spec.load("2025").with_overrides({"months": 60}), 7)
    split = (
        f"the least {real.least:.2f} s; opening {1e3 * real.opening:.0f} ms, then {1e3 * real.months / 60:.1f} ms a "
        "month; for its limit see below"
    )
    yield Row("`2025` x 60 months", "0.25 s", f"{real.whole:.2f} s", real.whole < 0.25, split)
    yield Row(
        "`2025` x 60 months, stretch", "0.2 s", f"{real.whole:.2f} s", real.whole < 0.2,
        f"{1e3 * (0.2 - real.opening) / 60:.1f} ms a month, {real.whole / 0.2:.1f} times as fast as it is: firms of a "
        "tier as arrays instead of agents with methods, which would cost the month its readability. Compiled by mypyc "
        "(tried once, 31 modules) the run took 0.78 of its time: too little for a compiler and a minute and a half of "
        "its time",
    )  # fmt: skip
    toy = measures.whole_run(Spec.load("toy"), 9)
    yield Row(
        "`toy` x 36 months", "0.05 s", f"{toy.whole:.3f} s", toy.whole < 0.05,
        f"the least {toy.least:.3f} s; opening {1e3 * toy.opening:.0f} ms, {1e3 * toy.months / 36:.1f} ms a month: "
        "numpy calls on arrays of 32 x 6 numbers cost the call and not the numbers",
    )  # fmt: skip
    many = measures.whole_run(many_firms(10).with_overrides({"months": 60}), 3)
    edges, cost = many.edges / real.edges, many.months / real.months
    yield Row(
        "`2025` with 10x firms, 60 months", "1.5 s", f"{many.whole:.1f} s", many.whole < 1.5,
        f"opening {many.opening:.2f} s, {1e3 * many.months / 60:.0f} ms a month; one copy at the goal of 0.25 s would "
        "give 2.5 s in proportion, so that 1.5 s needs work that firms share; for its limit see below",
    )  # fmt: skip
    yield Row(
        "cost of a month over its edges, 10x firms over one", "1", f"{cost / edges:.2f}", cost / edges <= AS_GOOD_AS,
        f"{edges:.1f} times the edges ({many.edges:,.0f} against {real.edges:,.0f} rows a month) take {cost:.1f} times "
        "the time: every app that weighs its supplier has every lab quote",
    )  # fmt: skip


def consumers() -> Iterator[Row]:
    """The consumer market against plain Mesa, numpy and AgentPy, and at any number of people."""
    seconds = measures.consumer_market()
    ours = seconds["strata, 10^5"]
    ratio = seconds["plain Mesa, 10^5"] / ours
    listed = ", ".join(f"{name} {1e3 * value:.2f} ms" for name, value in seconds.items())
    yield Row(
        "consumer market against plain Mesa, 100 k", "200 x", f"{ratio:.0f} x", ratio >= 200, f"a month: {listed}"
    )
    at_scale = seconds["plain Mesa, 10^6"] / seconds["strata, 10^6"]
    yield Row("the same at 10^6 people", "-", f"{at_scale:.0f} x", True, "plain Mesa did one month")
    numpy = [seconds[f"numpy rows, 10^{power}"] / seconds[f"strata, 10^{power}"] for power in (5, 6)]
    yield Row(
        "against one numpy row per consumer, 100 k and 10^6", "-", f"{numpy[0]:.1f} x, {numpy[1]:.0f} x", True,
        "those who do not know the apps, and those bought by marketing, are left out of it, in its favour",
    )  # fmt: skip
    yield installed("AgentPy", "agentpy", seconds.get(measures.AGENTPY), ours)
    yield Row(
        "against mesa-frames", "-", "not installed", True,
        "0.1.0a0, the one on the package index, asks for numpy below 2; this project has numpy 2.4 or newer",
    )  # fmt: skip
    growth, level = (seconds["strata, 10^9"] / seconds[f"strata, 10^{power}"] for power in (6, 8))
    expected = [seconds[f"strata, 10^{power}, expectations"] for power in (6, 9)]
    few, many = (measures.cells_with_people(people) for people in (1e6, 1e9))
    yield Row(
        "time at 10^9 people over 10^6", "1", f"{growth:.2f}", growth <= AS_GOOD_AS,
        f"binomial draws included: of 10^6 people {few:,} cells of taste and option hold anybody, of 10^9 {many:,}, "
        f"{many / few:.2f} times as many draws; once all cells are filled it grows no more, 10^9 over 10^8 is "
        f"{level:.2f}",
    )  # fmt: skip
    flat = expected[1] / expected[0]
    yield Row(
        "the same in expectations, as `2025` is run", "1", f"{flat:.2f}", flat <= AS_GOOD_AS,
        f"{1e3 * expected[0]:.2f} and {1e3 * expected[1]:.2f} ms a month",
    )  # fmt: skip


def installed(name: str, module: str, seconds: float | None, ours: float) -> Row:
    """The row of another library, 100 k people."""
    what = f"against {name}, 100 k"
    if seconds is None:
        return Row(what, "-", "not installed", True, f"`uv pip install {module}`, and this command again")
    version = importlib.metadata.version(module)
    return Row(what, "-", f"{seconds / ours:.0f} x", True, f"{version}; one agent per consumer, the same draws")


def kernel() -> Iterator[Row]:
    """One step-time evaluation."""
    seconds = measures.kernel_evaluation()
    yield Row("kernel, one step time", "0.5 us", f"{1e6 * seconds:.2f} us", seconds < 0.5e-6, "limit below")
    solved = measures.deployment_solved()
    yield Row(
        "step times a second against estimates by aiconfigurator", "-", f"{ESTIMATOR_SECONDS / seconds:,.0f} x", True,
        f"{1e-6 / seconds:.1f} million a second against {1 / ESTIMATOR_SECONDS:.0f} (its second was measured once, "
        f"with 0.12; it is not run here). Like for like, the whole curve of one model on one accelerator, all loads "
        f"and layouts: {1e3 * solved:.2f} ms, {ESTIMATOR_SECONDS / solved:,.0f} times as fast",
    )  # fmt: skip


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
    found = measures.sweep_throughput(folder, 160, 36, 3)
    minutes = (found.start + (found.wall[1] - found.start) / found.runs * 10_000) / 60
    yield Row(
        "10,000 runs of `2025` x 36 months, 2 cores", "20 min", f"{minutes:.1f} min", minutes < 20,
        f"on the wall: {found.runs} runs on two workers took {found.wall[1]:.1f} s, median of "
        f"{len(found.efficiencies)} sweeps, {found.start:.1f} s of it for the start of the workers, which 10,000 runs "
        f"have once, too; the rest in proportion. A run takes {found.each:.2f} s",
    )  # fmt: skip
    efficiency = median(found.efficiencies)
    warm = found.wall[0] / (2 * (found.wall[1] - found.start))
    each = ", ".join(f"{value:.2f}" for value in found.efficiencies)
    yield Row(
        "parallel efficiency, 2 workers", "0.9", f"{efficiency:.2f}", efficiency >= 0.9,
        f"wall time of one worker over twice that of two, {found.runs} runs each, in turn: {each}; the start of the "
        f"workers is in it, without it {warm:.2f}. Needs two free cores",
    )  # fmt: skip
    outside = (found.wall[0] - found.inside) / found.inside
    yield Row("planning and store, share of the runs' time", "5 %", f"{outside:.1%}", outside < 0.05)
    yield at_scale(found, measures.parent_seconds(folder), measures.point_seconds(folder))
    memory = [measures.parent_memory(folder, runs) for runs in (100, 10_000)]
    yield Row(
        "memory of the parent, 10,000 runs over 100", "+25 MB", f"{memory[1] - memory[0]:+.0f} MB",
        memory[1] - memory[0] < 25, f"{memory[0]:.0f} MB and {memory[1]:.0f} MB",
    )  # fmt: skip
    pool, dask = measures.dask_seconds(folder)
    yield Row(
        "Dask against the pool, 400 runs of 20 ms", "-", f"{dask / pool:.2f} x", True,
        f"on the wall {dask:.1f} s and {pool:.1f} s, ideal 4.0 s; the cluster is up already, the pool starts its "
        f"workers; {1e3 * (dask - 4.0) / 400:.1f} ms a run beyond the ideal",
    )  # fmt: skip


def at_scale(found: measures.Sweep, parent: float, point: float) -> Row:
    """A million runs on a thousand workers, by the overheads measured: start, last chunks, parents."""
    busy = MILLION * found.each / WORKERS
    wall = busy + found.start + CHUNK_SECONDS / 2
    parents = math.ceil(MILLION * (parent + point) / busy)
    modelled = busy / wall * WORKERS / (WORKERS + parents)
    return Row(
        "efficiency at 1,000 workers, by model", "0.9", f"{modelled:.2f}", modelled >= 0.9,
        f"a million runs of {found.each:.2f} s, every one a point of its own: {busy:.0f} s a worker, {found.start:.1f} "
        f"s for its start, {CHUNK_SECONDS / 2:.0f} s of waiting for the last chunks; the parent takes "
        f"{1e3 * point:.1f} ms to resolve a point and {1e6 * parent:.0f} microseconds to hand out its run and take it "
        f"back, so {parents} parents (`--shard i/{parents}`), which count as processors too. One parent keeps "
        f"{found.each / (parent + point):,.0f} workers busy, {found.each / (parent + point / 10):,.0f} with ten "
        "replicates a point. A shared disk that is slower than this one is not in it",
    )  # fmt: skip


# --- limits ------------------------------------------------------------------------------------------------------


def limit_sentences() -> list[str]:
    """What the limit of each hot loop is and how near the code is, with the numbers just measured."""
    pace = measures.bytecode_seconds()
    plain = limits.plain_instructions() if limits.can_count() else None
    text = (
        f"**A bytecode** takes {1e9 * pace:.1f} ns in the simplest code of the kind that months are made of (a method "
        "of a slotted object on floats): the interpreter goes no faster on this machine."
    )
    if plain is not None:
        text += f" It is {plain:.0f} instructions of the processor, {plain / pace / 1e9:.1f} of them a nanosecond."
    sentences = [text, *(month_limit(scenario, pace, plain) for scenario in ("2025", "2025 x10", "toy"))]
    sentences += [consumer_limit(pace), kernel_limit()]
    if plain is None:
        sentences.append("Instructions were not counted: valgrind is not installed.")
    return sentences


def month_limit(scenario: str, pace: float, plain: float | None) -> str:
    """Bytecodes, calls and instructions of a month; `plain`: instructions of a bytecode of the simplest code."""
    seconds = measures.month_seconds(scenario)
    codes = limits.month_bytecodes(scenario)
    calls, in_c = measures.calls(scenario)
    text = (
        f"**A month of `{scenario}`** executes {codes:,.0f} bytecodes and calls {calls:,.0f} functions of Python and "
        f"{in_c:,.0f} in C. At the pace above the bytecodes take {1e3 * codes * pace:.1f} ms; the month takes "
        f"{1e3 * seconds:.1f} ms, {seconds / (codes * pace):.1f} times that, a limit that no code of as many bytecodes "
        "passes."
    )
    if plain is None:
        return text
    parts = limits.month_instructions(scenario)
    bound = sum(parts.values()) * pace / plain
    return (
        f"{text}{instructions_text(parts, seconds)} Python's are {parts['Python'] / codes:.0f} a bytecode, "
        f"look-ups, objects made and functions of C included. At the simplest code's instructions a nanosecond the "
        f"month would take {1e3 * bound:.1f} ms, {bound / seconds:.0%} of what it does: the rest waits for memory and "
        "branches, and fewer instructions are the way to more than that."
    )


def instructions_text(parts: dict[str, float], seconds: float) -> str:
    """Where the processor's instructions are spent."""
    total = sum(parts.values())
    shares = ", ".join(f"{name} {value / total:.0%}" for name, value in sorted(parts.items(), key=lambda x: -x[1]))
    return (
        f" It is {total:,.0f} instructions of the processor (callgrind): {shares}; "
        f"{total / seconds / 1e9:.1f} of them a nanosecond."
    )


def consumer_limit(pace: float) -> str:
    """Bytecodes of a month of the strata."""
    codes, seconds = measures.consumer_bytecodes(), measures.strata_seconds()
    return (
        f"**A month of the consumer market**, 10^6 people in strata, executes {codes:,} bytecodes, "
        f"{1e6 * codes * pace:.0f} of its {1e6 * seconds[0]:.0f} microseconds; its draws take "
        f"{1e6 * (seconds[0] - seconds[1]):.0f} microseconds (it takes {1e6 * seconds[1]:.0f} in expectations); the "
        "rest is numpy on arrays of strata x options. None of it grows with the number of people."
    )


def kernel_limit() -> str:
    """A roofline of the step time: its passes over arrays at the pace of the simplest one."""
    passes, one, seconds = limits.kernel_passes(), measures.pass_seconds(), measures.kernel_evaluation()
    text = (
        f"**A step time** is {passes:.0f} passes over arrays. The simplest pass, a product of two arrays into a third "
        f"in the cache, takes {1e9 * one:.2f} ns an element, so the roofline of numpy is {1e9 * passes * one:.0f} ns "
        f"and the kernel, at {1e9 * seconds:.0f} ns, takes {seconds / (passes * one):.1f} times that: divisions, "
        "powers and a new array for every result cost more than a product."
    )
    if not limits.can_count():
        return text
    return text + instructions_text(limits.kernel_instructions(20_000), seconds)


def main() -> None:
    """Measure everything, print the table, write the page."""
    load, started = os.getloadavg()[0], time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        rows = [*whole_runs(), *consumers(), *kernel(), *sizes(), *sweeps(Path(name))]
    sentences = limit_sentences()
    by_phase = {scenario: measures.phases(scenario, 24, 4) for scenario in ("2025", "toy")}
    table = Table("what", "goal", "result", "", title="Speed and memory")
    for row in rows:
        table.add_row(row.what, row.goal, row.result, row.verdict)
    Console().print(table)
    minutes = (time.perf_counter() - started) / 60
    PAGE.write_text(page(rows, sentences, by_phase, load, minutes), encoding="utf-8")
    Console().print(f"written to {PAGE} after {minutes:.1f} minutes")


def page(
    rows: list[Row], sentences: list[str], by_phase: dict[str, dict[str, float]], load: float, minutes: float
) -> str:
    """Return the page of the documentation; the section of the soak stays as it is."""
    lines = [
        "# Speed and memory",
        "",
        "Made by `make bench` (`python -m tests.benchmarks`). Times are medians of process seconds on one core in a "
        "warm process, unless it says wall. Goals are those of issues 2, 3 and 6. Other work on the machine raises "
        "them, for caches and cores are shared: at a load of 10 on two cores by half, and wall times and the parallel "
        "efficiency then say nothing.",
        "",
        f"{measures.machine_name()}; {time.strftime('%Y-%m-%d')}; load of the machine at the start {load:.1f}; "
        f"{minutes:.1f} minutes in all.",
        "",
        "| what | goal | result | |",
        "|---|---|---|---|",
        *(f"| {r.what} | {r.goal} | {r.result} | {r.verdict} |" for r in rows),
        "",
        "## What is behind the numbers",
        "",
        *(f"- **{r.what}** ({r.verdict or 'no goal'}): {r.note}." for r in rows if r.note),
        "",
        "## Limits, and how near the code is",
        "",
        *(f"- {sentence}" for sentence in sentences),
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
    return "\n".join(lines) + soak_section()


if __name__ == "__main__":
    main()
