"""Event studies: the same world with and without an event, the same chance in both, and the difference over time.

from experiments import shock
result = shock("deepseek")
print(result.table())
"""

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.claim_files import World, fill
from experiments.errors import RunFailure, UserError
from experiments.paired import Crew, Failed, Job
from experiments.places import write_json
from experiments.statistics import Interval, mean_interval

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from ecosystem.model import ValueChain
    from ecosystem.spec import Spec

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

SHOCKS = Path(__file__).with_name("shocks.toml")
AFTER = (0, 1, 3, 12, 24)
"""Months after the event at which the table is read; 0 is its own month."""
DECISIONS = {"chips": "price", "clouds": "orders", "labs": "training", "apps": "marketing"}
"""What each tier decides that others feel: the price of chips, orders of chips, training, paid acquisition."""
CUT = 0.05
"""A firm has cut when its decision is this far below that of the twin, for two months on end."""


@dataclass(frozen=True, slots=True)
class Shock:
    """One event study: what happens in the treated world, and what both worlds have in common."""

    name: str
    title: str
    source: str
    month: int
    events: Mapping[str, Mapping[str, Any]]
    without: tuple[str, ...]
    both: Mapping[str, Any]
    watch: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Response:
    """Who changed a decision: first month in which it was cut, and how deep at most, over the twin's mean.

    `months_after`: months from the event to the cut; `deepest`: lowest share of the twin's that is left.
    """

    firm: str
    tier: str
    decision: str
    months_after: int
    deepest: float


@dataclass(frozen=True)
class ShockResult:
    """What an event did.

    `treated`, `twin`: outcome -> (replicates, months). `decisions`: firm -> mean over replicates of what it
    decides, (2, months), treated and twin. `reaction`: equity response by tier on the day, where the event is news.
    """

    shock: Shock
    scenario: str
    start: str
    seed: int
    month: int
    treated: Mapping[str, Floats]
    twin: Mapping[str, Floats]
    tiers: Mapping[str, str]
    names: Mapping[str, str]
    decisions: Mapping[str, Floats]
    reaction: Mapping[str, float]
    runs_failed: int

    @property
    def months(self) -> int:
        """Months of a run."""
        return int(next(iter(self.treated.values())).shape[1])

    @property
    def replicates(self) -> int:
        """Pairs of runs."""
        return len(next(iter(self.treated.values())))

    def difference(self, outcome: str, month: int) -> Interval | None:
        """Return treated over twin, less one, in a month; the plain difference of outcomes that are not `relative`.

        None where it has no meaning. KeyError for an unknown outcome.
        """
        treated, twin = self.treated[outcome][:, month], self.twin[outcome][:, month]
        effect = treated / twin - 1.0 if self.relative(outcome) else treated - twin
        known = effect[np.isfinite(effect)]
        return mean_interval(known) if len(known) else None

    def relative(self, outcome: str) -> bool:
        """Whether an outcome's differences are shares of the twin's: in all months, if the twin always has some."""
        twin = self.twin[outcome]
        return compared_as_ratio(outcome) and bool(np.all(twin[np.isfinite(twin)] > 0.0))

    def table(self) -> "pd.DataFrame":
        """Return the differences 0, 1, 3, 12 and 24 months after the event, with intervals."""
        import pandas as pd

        rows = []
        for outcome in self.treated:
            for after in AFTER:
                if self.month + after < self.months:
                    found = self.difference(outcome, self.month + after)
                    if found is not None:
                        rows.append({"outcome": outcome, "months_after": after, "difference": found.estimate,
                                     "low": found.low, "high": found.high})  # fmt: skip
        columns = ["outcome", "months_after", "difference", "low", "high"]
        return pd.DataFrame(rows, columns=columns).set_index(columns[:2])

    def variance_reduction(self) -> "pd.DataFrame":
        """Return by outcome and month how many times the variance of the difference is larger without common chance.

        NaN where there is nothing to measure: no chance in an outcome, or the same difference in every replicate.
        """
        import pandas as pd

        from experiments.common_chance import gain

        rows = []
        for outcome in self.treated:
            for after in (each for each in AFTER if self.month + each < self.months):
                found = gain(*(side[outcome][:, self.month + after] for side in (self.treated, self.twin)))
                spans = (found.estimate, found.low, found.high) if found else (math.nan,) * 3
                row = {"outcome": outcome, "months_after": after}
                rows.append(row | dict(zip(("ratio", "low", "high"), spans, strict=True)))
        return pd.DataFrame(rows)

    def path(self) -> list[Response]:
        """Return who cut what when, in order of time: every firm by its own decision."""
        found = []
        for firm, (treated, twin) in self.decisions.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                left = np.where(twin > 0.0, treated / twin, 1.0)[self.month :]
            low = left < 1.0 - CUT
            runs = low[:-1] & low[1:]
            if runs.any():
                tier = self.tiers[firm]
                found.append(Response(firm, tier, DECISIONS[tier], int(np.argmax(runs)), float(left.min())))
        return sorted(found, key=lambda each: (each.months_after, each.firm))

    def plot(self, outcome: str | None = None) -> "alt.LayerChart":
        """Draw the difference of one outcome over time with its 95 % band; the first outcome by default."""
        from experiments.shock_report import chart

        return chart(self, outcome or next(iter(self.treated)))

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one HTML file that needs no network."""
        from experiments.shock_report import report

        return report(self).write(path)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        from dataclasses import asdict

        from experiments.shock_report import called, reading
        from experiments.summaries import plain

        rows = [
            {
                **row,
                "words": called(self, row["outcome"]),
                "relative": self.relative(row["outcome"]),
                "unit": unit_of(row["outcome"]),
            }
            for row in self.table().reset_index().to_dict("records")
        ]
        content: dict[str, Any] = plain(
            {
                "shock": self.shock.name,
                "title": self.shock.title,
                "scenario": self.scenario,
                "seed": self.seed,
                "month": self.month,
                "replicates": self.replicates,
                "runs_failed": self.runs_failed,
                "equity_reaction": dict(self.reaction),
                "reading": reading(self),
                "table": rows,
                "variance_reduction": self.variance_reduction().to_dict("records"),
                "path": [{**asdict(each), "name": self.names[each.firm]} for each in self.path()],
            }
        )
        return content

    def save(self, path: str | Path) -> Path:
        """Write the result as JSON; RunFailure where the disk refuses."""
        return write_json(path, self.to_dict())


def shocks() -> dict[str, str]:
    """Return the event studies that there are: name -> title."""
    tables = tomllib.loads(SHOCKS.read_text(encoding="utf-8"))
    return {name: table["title"] for name, table in tables.items() if name != "names"}


def shock(
    event: str,
    spec: "Spec | str | Path" = "2025",
    *,
    month: int | None = None,
    months: int = 36,
    replicates: int = 12,
    seed: int | None = None,
    workers: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ShockResult:
    """Run a scenario with and without an event and return the difference over time.

    `event`: a name of `shocks()`. `month`: when it happens; the study's own month by default. An event that the
    scenario's timeline has already is left out of the twin. UserError or SpecError for what cannot be.
    """
    from experiments.runs import resolved

    if replicates < 2:
        raise UserError(f"replicates must be at least 2, not {replicates}")
    base = resolved(spec, overrides, months)
    study = _study(event, base)
    when = study.month if month is None else month
    if not 0 <= when < months - 1:
        raise UserError(f"month must be from 0 to {months - 2}, not {when}")
    events = {f"events.study_{name}": {**terms, "month": when} for name, terms in study.events.items()}
    specs = [World(set={**study.both, **more}, without=study.without).build(base) for more in (events, {})]
    root = base.seed if seed is None else seed
    measure = "experiments.events_study:measure"
    with Crew(workers, progress) as crew:
        jobs = [Job(each, root, r, months, measure, (study.watch, when)) for r in range(replicates) for each in specs]
        runs = crew.run(jobs)
    broken = [run for run in runs if isinstance(run, Failed)]
    pairs = [p for p in zip(runs[::2], runs[1::2], strict=True) if not any(isinstance(run, Failed) for run in p)]
    if len(pairs) < 2:
        raise RunFailure(f"{event}: fewer than two pairs of runs went through: {broken[0].reason}")
    named: dict[str, Any] = {**base.chipmaker, **base.cloud, **base.lab, **base.app}
    return ShockResult(
        shock=study,
        scenario=base.name,
        start=base.start,
        seed=root,
        month=when,
        treated=_stacked([a for a, _ in pairs]),
        twin=_stacked([b for _, b in pairs]),
        tiers=pairs[0][0]["tiers"],
        names={firm: each.name for firm, each in named.items()},
        decisions=_mean_decisions(pairs),
        reaction=_mean_reaction(study, [a for a, _ in pairs]),
        runs_failed=len(runs) // 2 - len(pairs),
    )


def measure(chain: "ValueChain", watch: Sequence[str], month: int) -> dict[str, Any]:
    """Return of one run the watched series, what every firm decides, and the equity response of the day."""
    series = {name: _series(chain, name) for name in watch}
    decided = {firm: chain.recorder.of(firm, DECISIONS[agent.tier]).copy() for firm, agent in chain.firms.items()}
    tiers = {firm: agent.tier for firm, agent in chain.firms.items()}
    return {"series": series, "decided": decided, "tiers": tiers, "reaction": _reaction(chain, month)}


def _series(chain: "ValueChain", name: str) -> Floats:
    """Return (months,) of a watched outcome: a market series, tier.field as "field.tier", or "app.id.field"."""
    record = chain.recorder
    if name == "hours_sold":
        return record.tier(chain, "clouds", "volume").copy()
    if name in record.series:
        return record.series[name].copy()
    if name.startswith("app."):
        _, app, field = name.split(".")
        return record.of(app, field).copy()
    field, _, tier = name.rpartition(".")
    return record.tier(chain, tier, field).copy()


def _reaction(chain: "ValueChain", month: int) -> dict[str, float]:
    """Return the equity response by tier to news of the month, weighted by value; empty without news."""
    if not any(news.month == month for news in chain.timeline.shocks):
        return {}
    reaction = chain.equity.reaction
    found = {}
    for tier in DECISIONS:
        worth = {i: chain.recorder.of(i, "equity_value")[month] for i, firm in chain.firms.items() if firm.tier == tier}
        total = math.fsum(worth[i] for i in worth if i in reaction)
        found[tier] = math.fsum(worth[i] * reaction[i] for i in worth if i in reaction) / total if total else math.nan
    return found


def _study(event: str, spec: "Spec") -> Shock:
    """Read one study and fill in the names of the scenario."""
    tables = tomllib.loads(SHOCKS.read_text(encoding="utf-8"))
    names = tables.pop("names")
    if event not in tables:
        raise UserError(f"there is no event {event!r}; there are {', '.join(tables)}")
    table = tables[event]
    own = names.get(spec.name, names["2025"])
    if "{bound}" in str(table) and "bound" not in own:
        raise UserError(f"{event}: nothing can be sold across a border in {spec.name}: it has one region")
    filled = fill(SHOCKS.name, event, table, own)
    return Shock(
        event, filled["title"], filled["source"], filled["month"], filled["events"], tuple(filled["without"]),
        filled.get("both", {}), tuple(filled["watch"]),
    )  # fmt: skip


def _stacked(runs: Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    return {name: np.stack([run["series"][name] for run in runs]) for name in runs[0]["series"]}


def _mean_decisions(pairs: Sequence[tuple[Any, Any]]) -> dict[str, Floats]:
    """Return of every firm the mean over replicates of what it decides, smoothed over three months, (2, months)."""
    means = {}
    for firm in pairs[0][0]["decided"]:
        both = np.array([np.mean([pair[side]["decided"][firm] for pair in pairs], axis=0) for side in (0, 1)])
        padded = np.pad(both, ((0, 0), (2, 0)), mode="edge")
        means[firm] = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3.0
    return means


def _mean_reaction(study: Shock, runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean equity response by tier where the study is one of news, and nothing otherwise."""
    if not any(event["kind"] == "efficiency_shock" for event in study.events.values()):
        return {}
    return {tier: float(np.mean([run["reaction"][tier] for run in runs])) for tier in runs[0]["reaction"]}


def compared_as_ratio(outcome: str) -> bool:
    """Whether an outcome is compared as a ratio: profits may change sign, trust and supply are no amounts."""
    return outcome.rpartition(".")[2] not in {"supply", "trust"} and "profit" not in outcome


def unit_of(outcome: str) -> str:
    """Return the unit of a watched outcome, "" where it is not known."""
    from ecosystem.record import FIRM_FIELDS
    from experiments.summaries import series_unit

    field = outcome.split(".")[2] if outcome.startswith("app.") else outcome.partition(".")[0]
    return series_unit(outcome) or FIRM_FIELDS.get(field, "")
