"""Monetisation experiments: the same app, users and chance under different ways of earning.

from experiments import monetise
result = monetise("2025")
print(result.table())
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.arm_files import Arm, choose_arms, load_arms, named_apps, prepared
from experiments.arm_measures import DECILE_FIGURES, UNITS, BreakEven, breaks_even
from experiments.errors import RunFailure, UserError
from experiments.paired import Crew, Failed, Job
from experiments.places import write_json
from experiments.statistics import Difference, Interval, holm, mean_interval, paired_difference, replicates_needed

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from ecosystem.spec import Spec
    from experiments.monetisation_questions import Answers

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

FEWEST = 8
"""Replicates below which no experiment stops for being precise enough."""
BATCH = 4
COMPARED = (
    "users",
    "revenue",
    "compute_cost",
    "operating_profit",
    "profit_per_user",
    "total_profit",
    "gross_margin",
    "paid_share",
    "churn",
    "trust",
    "survived",
    "surplus",
    "labs_revenue",
    "chips_revenue",
)
"""Outcomes whose differences to the control are tested, all arms and outcomes together."""
SPANNED = ("users", "paid_share", "gross_margin", "operating_profit", "profit_per_user")
"""Outcomes that are also saved with the interval of their mean."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm's outcome minus the control's: p value adjusted by Holm over all comparisons of the experiment.

    `needed`: replicates in all that would bring the interval's half width below the distance to zero; 0 where
    the interval excludes zero already, NaN where arms never differ.
    """

    app: str
    arm: str
    outcome: str
    difference: Difference
    adjusted: float
    needed: float


@dataclass(frozen=True)
class MonetisationResult:
    """What came out of a monetisation experiment.

    `values`: (arms, apps, replicates, outcomes), NaN where a figure has no meaning or the run failed, in the order
    of `arms`, `apps` and `UNITS`. `deciles`: (arms, apps, replicates, figures, 10) by decile of appetite.
    `failed`: reasons by arm of runs that broke off.
    """

    scenario: str
    seed: int
    months: int
    arms: tuple[Arm, ...]
    apps: tuple[str, ...]
    regions: Mapping[str, str]
    names: Mapping[str, str]
    values: Floats
    deciles: Floats
    failed: Mapping[str, Sequence[str]]
    stopped_early: bool
    answers: "Answers | None" = None
    comparisons: tuple[Comparison, ...] = field(default=())

    @property
    def control(self) -> str:
        """The arm that the others are compared with."""
        return self.arms[0].name

    @property
    def replicates(self) -> int:
        """Replicates of every arm."""
        return int(self.values.shape[2])

    def of(self, arm: str, app: str, outcome: str) -> Floats:
        """Return (replicates,) of one outcome; KeyError for an unknown name."""
        names = [each.name for each in self.arms]
        if arm not in names or app not in self.apps or outcome not in UNITS:
            raise KeyError(f"no {outcome!r} of app {app!r} in arm {arm!r}")
        found: Floats = self.values[names.index(arm), self.apps.index(app), :, list(UNITS).index(outcome)]
        return found

    def interval(self, arm: str, app: str, outcome: str, level: float = 0.95) -> Interval | None:
        """Return the mean of an outcome with its interval, None where it has no meaning."""
        values = self.of(arm, app, outcome)
        values = values[np.isfinite(values)]
        return mean_interval(values, level=level) if len(values) else None

    def breaks_even(self, arm: str, app: str) -> BreakEven:
        """Say whether an arm breaks even, by the interval of its operating profit: yes, no, or open.

        The intervals that decide are wider than those that are shown: all arms of an app together say something
        wrong in one experiment of twenty at most (Bonferroni).
        """
        profit = self.interval(arm, app, "operating_profit", 1.0 - 0.05 / len(self.arms))
        ends = (profit.low, profit.high) if profit else (math.nan, math.nan)
        return breaks_even(*ends, _mean(self.of(arm, app, "survived")))

    def table(self) -> "pd.DataFrame":
        """Return the means of all outcomes, a row an app and arm, and whether the arm breaks even."""
        import pandas as pd

        rows = [
            {"app": app, "arm": arm.name}
            | {name: _mean(self.of(arm.name, app, name)) for name in UNITS}
            | {"breaks_even": self.breaks_even(arm.name, app)}
            for app in self.apps
            for arm in self.arms
        ]
        return pd.DataFrame(rows).set_index(["app", "arm"])

    def differences(self) -> "pd.DataFrame":
        """Return every arm minus the control: estimate, interval, adjusted p value, replicates still needed."""
        import pandas as pd

        rows = [
            {
                "app": each.app,
                "arm": each.arm,
                "outcome": each.outcome,
                "difference": each.difference.interval.estimate,
                "low": each.difference.interval.low,
                "high": each.difference.interval.high,
                "p_adjusted": each.adjusted,
                "variance_ratio": each.difference.variance_ratio,
                "replicates_needed": each.needed,
            }
            for each in self.comparisons
        ]
        columns = ["app", "arm", "outcome"]
        return pd.DataFrame(rows).set_index(columns) if rows else pd.DataFrame(columns=columns)

    def intervals(self) -> "pd.DataFrame":
        """Return the means of some outcomes with their 95 % intervals, a row an app, arm and outcome."""
        import pandas as pd

        rows = []
        for app in self.apps:
            for arm in self.arms:
                for name in SPANNED:
                    found = self.interval(arm.name, app, name)
                    spans = (found.estimate, found.low, found.high) if found else (math.nan,) * 3
                    row = {"app": app, "arm": arm.name, "outcome": name}
                    rows.append(row | dict(zip(("mean", "low", "high"), spans, strict=True)))
        return pd.DataFrame(rows)

    def variance_reduction(self) -> "pd.DataFrame":
        """Return how many times the variance of each difference is larger without common chance, with intervals.

        NaN where there is nothing to measure: no chance in an outcome, or the same difference in every replicate.
        """
        import pandas as pd

        from experiments.common_chance import gain

        rows = []
        for each in self.comparisons:
            found = gain(*(self.of(arm, each.app, each.outcome) for arm in (each.arm, self.control)))
            row = {"app": each.app, "arm": each.arm, "outcome": each.outcome}
            spans = (found.estimate, found.low, found.high) if found else (math.nan,) * 3
            rows.append(row | dict(zip(("ratio", "low", "high"), spans, strict=True)))
        return pd.DataFrame(rows, columns=["app", "arm", "outcome", "ratio", "low", "high"])

    def by_decile(self) -> "pd.DataFrame":
        """Return users, payers, revenue and compute cost of the last month by decile of appetite, means."""
        import pandas as pd

        rows = []
        for a, arm in enumerate(self.arms):
            for i, app in enumerate(self.apps):
                table = np.nanmean(self.deciles[a, i], axis=0)
                for decile in range(table.shape[1]):
                    row = dict(zip(DECILE_FIGURES, table[:, decile].tolist(), strict=True))
                    margin = row["revenue"] - row["compute_cost"]
                    rows.append({"app": app, "arm": arm.name, "decile": decile + 1, **row, "margin": margin})
        return pd.DataFrame(rows).set_index(["app", "arm", "decile"])

    def by_region(self) -> "pd.DataFrame":
        """Return sums over the apps of each region: users, revenue, profit; and the paid share."""
        import pandas as pd

        sums = ("users", "revenue", "compute_cost", "operating_profit")
        rows = []
        for region in dict.fromkeys(self.regions.values()):
            apps = [app for app in self.apps if self.regions[app] == region]
            for arm in self.arms:
                row = {name: sum(_mean(self.of(arm.name, app, name)) for app in apps) for name in sums}
                payers = sum(_mean(self.of(arm.name, app, "users") * self.of(arm.name, app, "paid_share"))
                             for app in apps)  # fmt: skip
                share = payers / row["users"] if row["users"] > 0.0 else math.nan
                rows.append({"region": region, "arm": arm.name, **row, "paid_share": share})
        return pd.DataFrame(rows).set_index(["region", "arm"])

    def plot(self, outcome: str = "operating_profit") -> "alt.LayerChart":
        """Draw one outcome of all arms with its intervals; KeyError for an unknown outcome."""
        from experiments.monetisation_report import chart

        return chart(self, outcome)

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one HTML file that needs no network."""
        from experiments.monetisation_report import report

        return report(self).write(path)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        from experiments.summaries import plain

        table = self.table().reset_index().to_dict("records")
        content = {
            "scenario": self.scenario,
            "seed": self.seed,
            "months": self.months,
            "replicates": self.replicates,
            "stopped_early": self.stopped_early,
            "control": self.control,
            "arms": {arm.name: {"title": arm.title, "source": arm.source} for arm in self.arms},
            "units": UNITS,
            "names": dict(self.names),
            "outcomes": table,
            "intervals": self.intervals().to_dict("records"),
            "differences": self.differences().reset_index().to_dict("records"),
            "variance_reduction": self.variance_reduction().to_dict("records"),
            "by_region": self.by_region().reset_index().to_dict("records"),
            "by_decile": self.by_decile().reset_index().to_dict("records"),
            "failed": dict(self.failed),
            "questions": self.answers.to_dict() if self.answers is not None else None,
        }
        plained: dict[str, Any] = plain(content)
        return plained

    def save(self, path: str | Path) -> Path:
        """Write the result as JSON; RunFailure where the disk refuses."""
        return write_json(path, self.to_dict())


def monetise(
    spec: "Spec | str | Path" = "2025",
    *,
    apps: Sequence[str] | None = None,
    arms: Sequence[str] | None = None,
    arms_file: str | Path | None = None,
    control: str = "subscription",
    months: int = 24,
    replicates: int = 16,
    precision: float | None = None,
    seed: int | None = None,
    workers: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    questions: bool = False,
    progress: Progress | None = None,
) -> MonetisationResult:
    """Give apps different ways to earn, all else equal, and compare what comes of it.

    `apps`: app ids, ["all"] for every app with a free tier; Perplexity or the search apps by default. `arms`: names of
    arms of the default file or of `arms_file`; all by default. `replicates`: the most that are run; with
    `precision` the experiment stops once every arm's profit difference to the control is known to that share
    of the control's revenue (half the interval), never before 8 replicates. `questions`: also answer the standing
    questions (ad load against trust, quotas, willingness to pay, open weights) by further runs.
    UserError or SpecError for what cannot be run.
    """
    from experiments.monetisation_questions import answer
    from experiments.runs import resolved

    if replicates < 2:
        raise UserError(f"replicates must be at least 2, not {replicates}")
    if precision is not None and not 0.0 < precision < math.inf:
        raise UserError(f"precision is a share of the control's revenue above 0, not {precision:g}")
    loaded = resolved(spec, overrides, months)
    known = {**load_arms(), **(load_arms(arms_file) if arms_file is not None else {})}
    chosen = choose_arms(arms, known, control)
    targets = named_apps(loaded, apps)
    base = prepared(loaded, targets, chosen)
    root = base.seed if seed is None else seed
    with Crew(workers, progress) as crew:
        grid = _Grid(base, chosen, targets, root, months)
        early = grid.run(crew, replicates, precision)
        answers = answer(base, targets[0], root, months, crew) if questions else None
    result = grid.result(loaded, early, answers)
    if np.isnan(result.values[0]).all():
        raise RunFailure(f"every run of the control broke off: {next(iter(result.failed[control]), '')}")
    return result


class _Grid:
    """Arms by replicates, filled in batches."""

    def __init__(self, base: "Spec", arms: Mapping[str, Arm], apps: Sequence[str], seed: int, months: int) -> None:
        self.arms = tuple(arms.values())
        self.apps = tuple(apps)
        self.specs = [base.with_overrides(arm.changes(base, apps)) for arm in self.arms]
        self.seed, self.months = seed, months
        self.outcomes: list[list[Any]] = [[] for _ in self.arms]
        self.failed: dict[str, list[str]] = {arm.name: [] for arm in self.arms}

    def run(self, crew: Crew, most: int, precision: float | None) -> bool:
        """Run batches of replicates up to `most`, or until precise enough; return whether it stopped early."""
        crew.planned = most * len(self.arms)
        done = 0
        while done < most:
            size = most if precision is None else FEWEST if done == 0 else BATCH
            batch = range(done, min(done + size, most))
            jobs = [self._job(spec, r) for r in batch for spec in self.specs]
            for i, outcome in enumerate(crew.run(jobs)):
                arm = i % len(self.arms)
                if isinstance(outcome, Failed):
                    self.failed[self.arms[arm].name].append(f"replicate {batch[i // len(self.arms)]}: {outcome.reason}")
                self.outcomes[arm].append(None if isinstance(outcome, Failed) else outcome)
            done = batch.stop
            if precision is not None and done < most and self._precise(precision):
                return True
        return False

    def _job(self, spec: "Spec", replicate: int) -> Job:
        return Job(spec, self.seed, replicate, self.months, "experiments.arm_measures:measure", (self.apps,))

    def _precise(self, precision: float) -> bool:
        """Whether every arm's profit difference is known to `precision` times the control's revenue."""
        values = self.arrays()[0]
        profit, revenue = (list(UNITS).index(name) for name in ("operating_profit", "revenue"))
        for app in range(len(self.apps)):
            scale = abs(_mean(values[0, app, :, revenue]))
            for arm in range(1, len(self.arms)):
                found = _paired(values[arm, app, :, profit], values[0, app, :, profit])
                if found is None or found.interval.half_width > precision * scale:
                    return False
        return True

    def arrays(self) -> tuple[Floats, Floats]:
        """Return values (arms, apps, replicates, outcomes) and deciles (arms, apps, replicates, figures, 10)."""
        shape = (len(self.arms), len(self.apps), len(self.outcomes[0]))
        values = np.full((*shape, len(UNITS)), np.nan)
        deciles = np.full((*shape, len(DECILE_FIGURES), 10), np.nan)
        for a, runs in enumerate(self.outcomes):
            for r, run in enumerate(runs):
                for i, app in enumerate(self.apps):
                    if run is not None:
                        values[a, i, r] = [run[app][0][name] for name in UNITS]
                        deciles[a, i, r] = run[app][1]
        return values, deciles

    def result(self, spec: "Spec", early: bool, answers: "Answers | None") -> MonetisationResult:
        """Return the finished result with its comparisons."""
        values, deciles = self.arrays()
        return MonetisationResult(
            scenario=spec.name,
            seed=self.seed,
            months=self.months,
            arms=self.arms,
            apps=self.apps,
            regions={app: spec.app[app].region for app in self.apps},
            names={app: spec.app[app].name for app in self.apps},
            values=values,
            deciles=deciles,
            failed=self.failed,
            stopped_early=early,
            answers=answers,
            comparisons=_compare([arm.name for arm in self.arms], self.apps, values),
        )


def _compare(arms: Sequence[str], apps: Sequence[str], values: Floats) -> tuple[Comparison, ...]:
    """Compare every arm with the first one in all outcomes that are tested."""
    found: list[tuple[str, str, str, Difference, float]] = []
    for i, app in enumerate(apps):
        for a in range(1, len(arms)):
            for outcome in COMPARED:
                place = list(UNITS).index(outcome)
                treated, control = values[a, i, :, place], values[0, i, :, place]
                difference = _paired(treated, control)
                if difference is not None:
                    found.append((app, arms[a], outcome, difference, _still_needed(treated - control, difference)))
    adjusted = holm([each[3].p_value for each in found])
    return tuple(
        Comparison(app, arm, outcome, difference, p, needed)
        for (app, arm, outcome, difference, needed), p in zip(found, adjusted, strict=True)
    )


def _paired(treated: Floats, control: Floats) -> Difference | None:
    """Compare two arms over the replicates in which both are known; None without at least two."""
    known = np.flatnonzero(np.isfinite(treated) & np.isfinite(control))
    if len(known) < 2:
        return None
    return paired_difference({i: treated[i] for i in known.tolist()}, {i: control[i] for i in known.tolist()})


def _still_needed(differences: Floats, found: Difference) -> float:
    if found.differs:
        return 0.0
    known = differences[np.isfinite(differences)]
    distance = abs(found.interval.estimate)
    return float(replicates_needed(known, distance)) if distance > 0.0 else math.nan


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan
