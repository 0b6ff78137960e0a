"""What common random numbers are worth: the variance of a difference with and without shared chance.

from experiments.common_chance import variance_gains
variance_gains("2025", ["apps_operating_profit"], {"market.tax_rate": 0.3})
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.errors import RunFailure, UserError
from experiments.paired import Crew, Failed, Job
from experiments.statistics import FEWEST_FOR_VARIANCES, Interval, variance_reduction

if TYPE_CHECKING:
    from ecosystem.model import ValueChain
    from ecosystem.spec import Spec
    from experiments.paired import Progress


@dataclass(frozen=True, slots=True)
class Gain:
    """How many times the variance of an outcome's difference is larger when the two worlds share no chance.

    `ratio` is None where a variance is zero: then the outcome has no chance, or the worlds always differ alike.
    """

    outcome: str
    ratio: Interval | None


def variance_gains(
    spec: "Spec | str | Path" = "2025",
    outcomes: Sequence[str] = ("apps_operating_profit", "labs_operating_profit", "final_demand"),
    changes: Mapping[str, Any] | None = None,
    *,
    months: int | None = None,
    replicates: int = 16,
    seed: int | None = None,
    workers: int | None = None,
    progress: "Progress | None" = None,
) -> list[Gain]:
    """Run a scenario with and without some changes and say what shared chance is worth for each outcome.

    `outcomes`: names as in `experiments.outcomes`. Without `changes` the events of the timeline are left out.
    UserError or SpecError for what cannot be run.
    """
    from experiments.claim_files import World
    from experiments.runs import resolved

    if replicates < FEWEST_FOR_VARIANCES:
        raise UserError(f"replicates must be at least {FEWEST_FOR_VARIANCES}, not {replicates}")
    base = resolved(spec, None, months)
    other = World(set=changes) if changes else World(without=tuple(base.events))
    specs = [other.build(base), base]
    root = base.seed if seed is None else seed
    last = base.months if months is None else months
    measure = "experiments.common_chance:measure"
    with Crew(workers, progress) as crew:
        jobs = [Job(each, root, r, last, measure, (tuple(outcomes),)) for r in range(replicates) for each in specs]
        runs = crew.run(jobs)
    pairs = [p for p in zip(runs[::2], runs[1::2], strict=True) if not any(isinstance(run, Failed) for run in p)]
    if len(pairs) < FEWEST_FOR_VARIANCES:
        raise RunFailure(f"{base.name}: only {len(pairs)} pairs of runs went through")
    values = np.array(pairs, dtype=np.float64)
    return [Gain(name, gain(values[:, 0, i], values[:, 1, i])) for i, name in enumerate(outcomes)]


def measure(chain: "ValueChain", names: Sequence[str]) -> list[float]:
    """Return the named outcomes of a finished run."""
    from experiments.outcomes import outcomes_of
    from experiments.runs import result_of

    found = outcomes_of(result_of(chain))
    for name in names:
        if name not in found:
            raise UserError(f"there is no outcome {name!r} in {chain.spec.name}")
    return [found[name] for name in names]


def gain(treated: "np.typing.NDArray[np.float64]", control: "np.typing.NDArray[np.float64]") -> Interval | None:
    """Return the gain of the replicates in which both worlds are known, None where there is none to measure."""
    known = np.isfinite(treated) & np.isfinite(control)
    return variance_reduction(treated[known], control[known]) if known.any() else None
