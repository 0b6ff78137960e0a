"""Soak, by command: many runs in one process without growth, and a run of 600 months without drift.

Run with `python -m tests.benchmarks.soak [RUNS]`; 10,000 runs of `toy` take most of an hour.
"""

import gc
import math
import os
import sys
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from ecosystem.ledger import IDENTITY_TOLERANCE
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from experiments.runs import outcomes

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


def soak(runs: int) -> bool:
    """Do many runs, each another replicate; say whether memory and file handles stayed."""
    spec = Spec.load("toy")
    before = (math.nan, 0)
    for replicate in range(WARM_UP + runs):
        if replicate == WARM_UP:
            before = (resident(), handles())
        outcomes(spec, replicate=replicate)
    grown, opened = resident() - before[0], handles() - before[1]
    fine = grown < GROWTH and opened <= 0
    print(f"{runs} runs of toy after {WARM_UP}: {grown:+.1f} MB on {before[0]:.0f} MB, {opened:+d} file handles")
    return fine


def long_run(months: int) -> bool:
    """Run toy for many months; say whether the books of all of them together balance, and all numbers are finite."""
    chain = ValueChain(Spec.load("toy").with_overrides({"months": months}))
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
    failed = ", ".join(f"{firm} in month {month}" for month, firm in chain.failures) or "none"
    print(
        f"{months} months of toy: cash changes against sources less sinks {gap:.1e} of all payments, "
        f"panel {'finite' if finite else 'not finite'}; failures: {failed}"
    )
    return gap < IDENTITY_TOLERANCE and finite


def main() -> None:
    """Soak; the exit code says whether all is well."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    well = long_run(LONG)
    sys.exit(0 if soak(runs) and well else 1)


if __name__ == "__main__":
    main()
