"""Soak, by command: many runs in one process without growth, and a run of 600 months without drift.

Run with `python -m tests.benchmarks.soak [RUNS]`; 10,000 runs of `toy` take a quarter of an hour. The result is
printed and put into the section of docs/benchmarks.md that `python -m tests.benchmarks` keeps.
"""

import gc
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from ecosystem.ledger import IDENTITY_TOLERANCE
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from experiments.runs import outcomes

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
HEADING = "## Soak\n"
WARM_UP = 400
"""Runs after which caches are full and the allocator has seen the largest model."""
GROWTH = 8.0
"""MB that a process may grow in all runs after that; an allocator's noise."""
LONG = 600
"""Months of the long run."""


def resident() -> float:
    """Return resident memory now, MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def handles() -> int:
    """Return the number of open files."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def soak(runs: int) -> tuple[bool, str]:
    """Do many runs, each another replicate; say whether memory and file handles stayed."""
    spec = Spec.load("toy")
    before = (math.nan, 0)
    for replicate in range(WARM_UP + runs):
        if replicate == WARM_UP:
            before = (resident(), handles())
        outcomes(spec, replicate=replicate)
    grown, opened = resident() - before[0], handles() - before[1]
    fine = grown < GROWTH and opened <= 0
    return fine, (
        f"{runs:,} runs of toy in one process after {WARM_UP}: {grown:+.1f} MB on {before[0]:.0f} MB (at most "
        f"{GROWTH:+.0f}), {opened:+d} file handles"
    )


def long_run(scenario: str, months: int) -> tuple[bool, str]:
    """Run a scenario for long; say whether the books of all months together balance, and all numbers are finite."""
    chain = ValueChain(Spec.load(scenario).with_overrides({"months": months}))
    with threadpool_limits(1):
        while chain.running:
            chain.step()
    flows = chain.ledger.flows()
    limited = np.array([account.limited for account in flows.accounts])
    changes = math.fsum((flows.closing[limited] - flows.opening[limited]).tolist())
    sources = math.fsum(flows.amount[~limited[flows.payer]].tolist())
    sinks = math.fsum(flows.amount[~limited[flows.payee]].tolist())
    gap = abs(changes - (sources - sinks)) / math.fsum(flows.amount.tolist())
    finite = bool(np.isfinite(chain.recorder.panel).all())
    failures = len(chain.failures)
    chain.release()
    return gap < IDENTITY_TOLERANCE and finite, (
        f"{months} months of {scenario}: cash changes against sources less sinks {gap:.1e} of all payments (at most "
        f"{IDENTITY_TOLERANCE:.0e}), panel {'finite' if finite else 'not finite'}; failures of firms: {failures}"
    )


def soak_section() -> str:
    """Return the section of the page with the last soak, or that there was none."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    _, heading, section = text.partition(HEADING)
    return heading + section if heading else f"{HEADING}\nNot run yet: `python -m tests.benchmarks.soak`.\n"


def put_on_page(results: list[tuple[bool, str]]) -> None:
    """Replace the section of the page."""
    before = PAGE.read_text(encoding="utf-8").partition(HEADING)[0] if PAGE.exists() else "# Speed and memory\n"
    lines = [f"- {'Well' if fine else '**Not well**'}: {text}." for fine, text in results]
    made = f"By `python -m tests.benchmarks.soak`, {time.strftime('%Y-%m-%d')}."
    PAGE.write_text("\n".join([before.rstrip("\n"), "", HEADING, made, "", *lines, ""]), encoding="utf-8")


def main() -> None:
    """Soak; the exit code says whether all is well."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    results = [long_run("toy", LONG), long_run("2025", LONG), soak(runs)]
    for _, text in results:
        print(text)
    put_on_page(results)
    sys.exit(0 if all(fine for fine, _ in results) else 1)


if __name__ == "__main__":
    main()
