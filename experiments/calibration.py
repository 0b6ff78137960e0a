"""Calibration by simulated moments: free parameters inside their sourced ranges, fitted to the calibration targets.

from experiments import calibrate
result = calibrate(quick=True)

A target's deviation counts in units of its band (the half width is one standard deviation and a half) together with
the simulation's own covariance; all evaluations share their random numbers. An estimate is the mode of the posterior:
parameters that are searched have a prior around our judgement before the calibration, so that one that the targets do
not pin stays near it. The readings of three years that have a
band of two ends are guards, and so are facts marked as such, which a parameter gives: they count as far as they lie
outside their band, so that a fit of the first year cannot wreck the third. Targets whose worlds take long are not
searched on; they are in the table of the fit all the same. Every evaluation is kept in a journal, so that a search
that was stopped goes on.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from experiments.checks import Check, evaluate, load
from experiments.conditions import one_thread
from experiments.errors import UserError
from experiments.summaries import plain
from experiments.worlds import build, read_evidence

if TYPE_CHECKING:
    from ecosystem.spec import Spec

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

FAST_WORLDS = frozenset({"opening-year", "shortage", "shortage-freeze"})
"""Worlds whose targets are searched on: about half a second together."""
GUARDED_WORLD = "base"
HALF_BAND = 1.5
"""Standard deviations from the middle of a band to its ends."""
BUDGET, SEEDS = 5_000, 10
QUICK_BUDGET, QUICK_SEEDS = 60, 2
FARTHEST = 10.0
"""Deviations count at most so many standard deviations: one hopeless target must not hide all others."""


@dataclass(frozen=True, slots=True)
class Free:
    """A free parameter: where it is set, its range, the shipped value, the prior's, and what is thought to pin it."""

    name: str
    paths: tuple[str, ...]
    low: float
    high: float
    shipped: float
    prior: float
    log: bool
    pins: str
    alone: str | None = None
    """The one target that sees it, for which it is solved after the search of the others."""

    def value(self, place: float) -> float:
        """Return the value at a place in [0, 1] of the range."""
        if self.log:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + place * (self.high - self.low)

    def place(self, value: float) -> float:
        """Return where in its range a value is."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A parameter's value, its 95 % interval inside the range, and whether the targets pin it.

    `shipped` is what the scenarios had when the calibration ran, `prior` the value to which the search draws it.
    """

    name: str
    prior: float
    shipped: float
    value: float
    low: float
    high: float
    span: tuple[float, float]
    pinned: bool
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """One target: its band, the value at the shipped parameters and at the estimates; searched on or not."""

    target: str
    title: str
    band: tuple[float, float]
    shipped: float
    fitted: float
    inside: bool
    searched: bool
    guard: bool = False
    ends: tuple[float, float] | None = None
    """95 % interval of the mean at the estimates, over the replicates."""


@dataclass(frozen=True, slots=True)
class Gain:
    """An evaluation of the search whose posterior was higher than that of all before it."""

    evaluation: int
    distance: float
    """To the targets, and to the prior."""


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration found, and the command and code that found it.

    Distances are to the targets; `pull` is the distance of the estimates to the prior, in the same units. `misfit` is
    the smallest distance to the targets over its degrees of freedom, at least 1: by its root deviations are larger than
    the bands say, and intervals wider.
    """

    scenario: str
    seeds: int
    evaluations: int
    seconds: float
    fingerprint: str
    command: str
    distance_shipped: float
    distance: float
    estimates: tuple[Estimate, ...]
    fit: tuple[Fit, ...]
    pull: float
    misfit: float
    gains: tuple[Gain, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data; figures that are unknown are None."""
        content: dict[str, Any] = plain(asdict(self))
        return content

    def save(self, path: str | Path) -> Path:
        """Write the result as TOML: what is known, with the overrides that set the estimates."""
        import tomli_w

        from experiments.parts import write_text

        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, tomli_w.dumps(_without_none(self.to_dict())))
        return target

    @classmethod
    def load(cls, path: str | Path) -> "CalibrationResult":
        """Read a saved result back, figures that are unknown as NaN; UserError if it is none."""
        import tomllib

        unknown = {"shipped": math.nan, "fitted": math.nan}
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            estimates = tuple(Estimate(**_tuples(each)) for each in content.pop("estimates"))
            fit = tuple(Fit(**_tuples(unknown | each)) for each in content.pop("fit"))
            gains = tuple(Gain(**each) for each in content.pop("gains", ()))
            return cls(**content, estimates=estimates, fit=fit, gains=gains)
        except TypeError:
            raise UserError(f"{path} was saved by another version of watersellers: run its command again") from None
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path} is not a saved calibration: {error}") from None

    def to_html(self, path: str | Path) -> Path:
        """Write the result as one HTML page that needs no network."""
        from experiments.calibration_report import calibration_report

        return calibration_report(self).write(path)


def at_estimates(path: str | Path) -> "Callable[[Spec], Spec]":
    """Return what sets a scenario to the estimates of a saved calibration; UserError if it is none."""
    result = CalibrationResult.load(path)
    free, values = free_parameters(result.scenario), {each.name: each.value for each in result.estimates}
    return lambda spec: spec.with_overrides(overrides(spec, values, free))


@cache
def free_parameters(scenario: str = "2025") -> tuple[Free, ...]:
    """Return the free parameters with the ranges that they declare; UserError where one has none."""
    from ecosystem.spec import Spec

    rows = {row.path: row for name in ("2023", scenario) for row in Spec.load(name).parameters()}
    found = []
    for name, each in read_evidence("free.toml").items():
        prior = each.get("prior")
        if not isinstance(prior, int | float):
            raise UserError(f"free.toml: {name}: it needs a prior, a number")
        matching = [row for path, row in rows.items() if any(path_fits(path, p) for p in each["paths"])]
        spans = {row.span for row in matching}
        if len(spans) != 1 or None in spans:
            raise UserError(f"free.toml: {name}: its parameters need one declared range, they have {spans}")
        (span,) = spans
        assert span is not None
        if not span[0] <= prior <= span[1]:
            raise UserError(f"free.toml: {name}: the prior {prior:g} is outside the range {span[0]:g} to {span[1]:g}")
        shipped = min(max(float(matching[-1].value), span[0]), span[1])
        log, alone = each.get("log", False), each.get("alone")
        found.append(Free(name, tuple(each["paths"]), *span, shipped, float(prior), log, each["pins"], alone))
    return tuple(found)


def path_fits(path: str, pattern: str) -> bool:
    """Return whether a dotted path is one of a pattern, in which a star stands for one part."""
    parts, wanted = path.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(w in ("*", p) for p, w in zip(parts, wanted, strict=True))


def overrides(spec: "Spec", values: Mapping[str, float], free: tuple[Free, ...]) -> dict[str, float]:
    """Return dotted paths of a scenario with the values of the free parameters that it has."""
    return {
        ".".join(place): values[each.name]
        for each in free
        if each.name in values
        for pattern in each.paths
        for place in _places(spec, pattern.split("."))
    }


def _places(part: Any, pattern: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield where in a part of a scenario a pattern fits, in which a star stands for any name."""
    if not pattern:
        yield ()
        return
    if not isinstance(part, Mapping | BaseModel):
        return
    named = part if isinstance(part, Mapping) else dict(part)
    for name in named if pattern[0] == "*" else [pattern[0]] if pattern[0] in named else []:
        for rest in _places(named[name], pattern[1:]):
            yield name, *rest


def targets(*, searched: bool) -> tuple[Check, ...]:
    """Return the calibration targets that can be computed: those that are searched on, or all."""
    computed = [check for check in load("targets") if check.worlds]
    return tuple(check for check in computed if not searched or set(check.worlds) <= FAST_WORLDS)


@cache
def guards() -> tuple[Check, ...]:
    """Return what keeps the calibration from wrecking what no target speaks of: readings, and facts that are given."""
    readings = [c for c in load("readings") if c.worlds == [GUARDED_WORLD] and all(map(math.isfinite, c.band))]
    return (*readings, *(c for c in load("facts") if c.guard))


def moments(
    scenario: str, values: Mapping[str, float], replicates: Sequence[int], names: tuple[str, ...]
) -> list[list[float]]:
    """Return the named checks' values by replicate at some parameters, (checks, replicates). A worker calls this."""
    from ecosystem.spec import Spec, SpecError
    from experiments.paired import Crew
    from experiments.world_runs import run_specs

    checks = [check for check in (*load("targets"), *guards()) if check.id in names]
    base, free = Spec.load(scenario), free_parameters(scenario)
    specs = {}
    for world in sorted({world for check in checks for world in check.worlds}):
        with contextlib.suppress(SpecError):
            specs[world] = build(world, base, lambda spec: spec.with_overrides(overrides(spec, values, free)))
    with one_thread(), Crew(1) as crew:
        try:
            found = run_specs(specs, checks, replicates, crew)
        except SpecError:  # a world that cannot open says nothing, the others do
            found = run_specs({w: s for w, s in specs.items() if _opens(s)}, checks, replicates, crew)
    return [evaluate(check, found) for check in checks]


def _opens(spec: "Spec") -> bool:
    from ecosystem.model import ValueChain
    from ecosystem.spec import SpecError

    try:
        ValueChain(spec).release()
    except SpecError:
        return False
    return True


def in_logs(band: Sequence[float]) -> bool:
    """Return whether deviations from a band are measured in logarithms: where it spans more than a factor of five."""
    return band[0] > 0.0 and band[1] > 5.0 * band[0]


class Distance:
    """How far moments are from the targets: deviations by band, weighed together with the simulation's covariance."""

    def __init__(self, checks: tuple[Check, ...], sample: Floats) -> None:
        """`sample`: (targets, replicates) at the shipped parameters."""
        self.checks = checks
        self.log = np.array([in_logs(c.band) for c in checks])
        bands = np.array([self._scaled(np.array(c.band), i) for i, c in enumerate(checks)])
        self.centre = bands.mean(axis=1)
        self.spread = np.maximum((bands[:, 1] - bands[:, 0]) / (2.0 * HALF_BAND), 1e-6)
        self.guards = np.array([check in guards() for check in checks])
        scaled = np.array([self._scaled(row, i) for i, row in enumerate(sample)])
        noise = np.nan_to_num(np.cov(np.nan_to_num(scaled))) if sample.shape[1] > 1 else np.zeros((len(checks),) * 2)
        self.noise = noise / self.spread[:, None] / self.spread[None, :] / max(sample.shape[1], 1)
        self.weight = np.linalg.inv(np.eye(len(checks)) + self.noise)

    def _scaled(self, values: Floats, i: int) -> Floats:
        scaled: Floats = np.log(np.maximum(values, 1e-9)) if self.log[i] else values
        return scaled

    def deviations(self, sample: Floats) -> Floats:
        """Return mean deviations in standard deviations of the band; the farthest where nothing is known.

        Those of guards are counted from the end of the band.
        """
        known = np.where(np.isfinite(sample), sample, np.nan)
        with np.errstate(invalid="ignore"):
            means = np.array([np.nanmean(row) if np.isfinite(row).any() else np.nan for row in known])
        scaled = np.array([self._scaled(mean, i) for i, mean in enumerate(means)])
        found = np.nan_to_num((scaled - self.centre) / self.spread, nan=FARTHEST)
        outside = np.sign(found) * np.maximum(np.abs(found) - HALF_BAND, 0.0)
        limited: Floats = np.clip(np.where(self.guards, outside, found), -FARTHEST, FARTHEST)
        return limited

    def of(self, deviations: Floats) -> float:
        """Return the weighted square of deviations."""
        return float(deviations @ self.weight @ deviations)


def calibrate(
    scenario: str = "2025",
    *,
    budget: int | None = None,
    seeds: int | None = None,
    quick: bool = False,
    journal: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CalibrationResult:
    """Search the free parameters for the smallest distance to the targets and to the prior.

    `budget`: evaluations in all, those of an earlier call with the same `journal` included (5,000, or 60 where
    `quick`). `seeds`: replicates of an evaluation (10, or 2). `workers`: processes. UserError where the libraries
    of the search are missing.
    """
    from experiments.calibration_alone import solve_alone
    from experiments.calibration_search import Search
    from experiments.calibration_statistics import estimate
    from experiments.fingerprint import fingerprint

    started = time.perf_counter()
    count = budget if budget is not None else QUICK_BUDGET if quick else BUDGET
    replicates = seeds if seeds is not None else QUICK_SEEDS if quick else SEEDS
    if count < 1 or replicates < 2:
        raise UserError("a calibration needs at least one evaluation and two replicates")
    free = tuple(each for each in free_parameters(scenario) if each.alone is None)
    with Search(scenario, free, replicates, journal, workers) as search:
        best = {name: rounded(value) for name, value in search.run(count, progress).items()}
        alone = solve_alone(search, best)
        estimates = (*estimate(search, best), *alone)
        fit = _fit_table(search, {each.name: each.value for each in estimates})
        before, after = search.distances([search.shipped, best])
        command = f"watersellers calibrate {scenario} --budget {count} --seeds {replicates}"
        evaluations, gains, pull, scale = search.evaluations, search.gains, search.pull(best), search.misfit
    seconds = time.perf_counter() - started
    return CalibrationResult(
        scenario, replicates, evaluations, seconds, fingerprint(), command, before, after, estimates, fit, pull, scale,
        gains,
    )  # fmt: skip


def rounded(value: float) -> float:
    """Return a value with three digits, as scenarios write it."""
    return float(f"{value:.3g}")


def _fit_table(search: Any, best: Mapping[str, float]) -> tuple[Fit, ...]:
    """Return every computed target at the shipped parameters and at the estimates."""
    from experiments.statistics import mean_interval

    checks = (*targets(searched=False), *guards())
    searched = {check.id for check in (*targets(searched=True), *guards())}
    names = tuple(check.id for check in checks)
    shipped = {each.name: each.shipped for each in free_parameters(search.scenario)}
    samples = search.sample(shipped, names), search.sample(best, names)
    rows = []
    for check, old, new in zip(checks, *samples, strict=True):
        low, high = check.band
        before, after = (float(np.nanmean(each)) if np.isfinite(each).any() else math.nan for each in (old, new))
        inside, guard = low <= after <= high, check in guards()
        known = new[np.isfinite(new)]
        span = mean_interval(known) if len(known) > 1 else None
        ends = (span.low, span.high) if span is not None else None
        fit = Fit(check.id, check.title, (low, high), before, after, inside, check.id in searched, guard, ends)
        rows.append(fit)
    return tuple(rows)


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(each) if isinstance(each, list) else each for key, each in content.items()}


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_none(each) for each in value if each is not None]
    return value
