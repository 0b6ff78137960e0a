"""Tests of claims: every claim's worlds are run with the same chance, scored, and given a verdict.

from experiments import hypotheses
result = hypotheses(quick=True)
print(result.table())
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.claim_files import Claim, first_value, load_claims
from experiments.errors import UserError
from experiments.judgement import drawn
from experiments.metrics import Value
from experiments.paired import Crew, Failed, Job
from experiments.statistics import (
    Interval,
    fewest_unanimous,
    mean_interval,
    outcomes_needed,
    replicates_needed,
    share_interval,
    verdict,
)
from experiments.verdicts import QUICK, Finding, HypothesesResult, Judgement, Sensitivity, flips

if TYPE_CHECKING:
    from ecosystem.spec import Spec
    from experiments.faults import Fault

Progress = Callable[[int, int], None]
Key = tuple[str, int, int]
"""Digest of a scenario, replicate, months."""
Question = tuple[str, tuple[tuple[str, Any], ...]]
"""A metric and its arguments."""

LEVEL = 0.95
UNKNOWN = 0.1
"""Share of replicates without a meaning beyond which nothing is said: they are seldom missing by chance."""
SIDE = 6
"""Replicates of a condition or of one value of an assumption."""


def hypotheses(
    claims: Sequence[str] | None = None,
    *,
    files: Iterable[str | Path] = (),
    scenario: str | None = None,
    quick: bool = False,
    details: bool = True,
    replicates: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    vary_judgement: bool = False,
    fault: "Fault | None" = None,
    progress: Progress | None = None,
) -> HypothesesResult:
    """Test claims: all that are shipped, some by id, or own files.

    `quick`: few replicates of the main test only. `details`: also under the claim's conditions and over what it
    assumes. `replicates`: the most that are run of a main test, in place of the claim's. `vary_judgement`: every
    replicate draws the judgement parameters anew, the same in all worlds. `fault`: a planted fault that all
    worlds share. UserError or SpecError for claims that cannot be tested.
    """
    if replicates is not None and replicates < 2:
        raise UserError(f"a claim needs at least 2 replicates, not {replicates}")
    loaded = load_claims(claims, files, scenario)
    if not loaded:
        raise UserError(f"no claim says how it is tested on {scenario!r}")
    with Crew(workers, progress) as crew:
        court = Court(crew, seed, dict(overrides or {}), fault, vary_judgement)
        mains = court.settle(loaded, quick, replicates)
        details = details and not quick
        sides = court.sides(loaded) if details else {}
    judgements = tuple(_judge(claim, mains[claim.id], sides.get(claim.id, {}), court) for claim in loaded)
    return HypothesesResult(judgements, court.seed(loaded[0]), quick, fault.name if fault else None)


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a claim: the changes that all its worlds share, and the arguments of its metric."""

    claim: Claim
    label: str
    shared: tuple[tuple[str, Any], ...] = ()
    arguments: tuple[tuple[str, Any], ...] = ()
    treated_only: bool = False


class Court:
    """Runs what cases need, each run once for all cases that share it, and turns runs into findings."""

    def __init__(
        self, crew: Crew, seed: int | None, overrides: Mapping[str, Any], fault: "Fault | None", vary: bool
    ) -> None:
        self._crew = crew
        self._seed = seed
        self._overrides = overrides
        self._fault = fault
        self._vary = vary
        self._bases: dict[str, Spec] = {}
        self._worlds: dict[str, list[tuple[str, Spec]]] = {}
        self._specs: dict[str, Spec] = {}
        self._known: dict[tuple[Key, str], Value | Failed] = {}

    def seed(self, claim: Claim) -> int:
        """Return the root seed of a claim's runs."""
        return self.base(claim).seed if self._seed is None else self._seed

    def base(self, claim: Claim) -> "Spec":
        """Return the scenario of a claim, long enough for it."""
        from experiments.runs import resolved

        name = f"{claim.scenario} {max(claim.months, 0)}"
        if name not in self._bases:
            self._bases[name] = resolved(claim.scenario, self._overrides, claim.months)
        return self._bases[name]

    def settle(self, claims: Sequence[Claim], quick: bool, most: int | None) -> dict[str, Finding]:
        """Test every claim, doubling the replicates of those that are open until their number is used up."""
        found: dict[str, Finding] = {}
        counts = {c.id: min(QUICK if quick else c.fewest, most or c.most) for c in claims}
        limits = {c.id: counts[c.id] if quick else most or c.most for c in claims}
        levels = {c.id: _level_of_looks(counts[c.id], limits[c.id]) for c in claims}
        for claim in claims:
            limit = most or claim.most
            counts[claim.id] = min(_enough(claim, counts[claim.id], levels[claim.id]), limit)
            limits[claim.id] = max(limits[claim.id], counts[claim.id])
        open_claims = list(claims)
        while open_claims:
            cases = {claim.id: Case(claim, claim.statement) for claim in open_claims}
            self._run([(case, counts[case.claim.id]) for case in cases.values()])
            for claim in open_claims:
                found[claim.id] = self.finding(cases[claim.id], counts[claim.id], levels[claim.id])
            open_claims = [
                c for c in open_claims if found[c.id].verdict == "inconclusive" and counts[c.id] < limits[c.id]
            ]
            counts |= {c.id: min(2 * counts[c.id], limits[c.id]) for c in open_claims}
        return found

    def sides(self, claims: Sequence[Claim]) -> dict[str, dict[str, list[Finding]]]:
        """Test every claim under its conditions and for all values of what it assumes."""
        cases: dict[str, dict[str, list[Case]]] = {}
        for claim in claims:
            own = cases.setdefault(claim.id, {})
            own["conditions"] = [
                Case(claim, c.name, tuple(c.set.items()), tuple(c.arguments.items()), c.treated_only)
                for c in claim.conditions
            ]
            for assumption in claim.assumes:
                own[assumption.path] = [
                    Case(claim, f"{v:g}", ((assumption.path, v),), (), assumption.treated_only)
                    for v in assumption.values
                ]
        every = [case for own in cases.values() for group in own.values() for case in group]
        counts = {claim.id: _enough(claim, SIDE, LEVEL) for claim in claims}
        self._run([(case, counts[case.claim.id]) for case in every])
        return {
            claim: {name: [self.finding(case, counts[claim], LEVEL) for case in group] for name, group in own.items()}
            for claim, own in cases.items()
        }

    def finding(self, case: Case, replicates: int, level: float) -> Finding:
        """Return what the runs of a case say."""
        claim = case.claim
        runs = [self._values(case, replicate) for replicate in range(replicates)]
        failed = sum(any(isinstance(value, Failed) for value in run) for run in runs)
        effects = [effect(claim, run) for run in runs]
        known = [value for value in effects if math.isfinite(value)]
        note = _without_meaning(replicates - len(known), replicates, failed)
        if len(known) < max(2, replicates / 2):
            return Finding(case.label, None, "inconclusive", 0, failed, note)
        interval = (share_interval if claim.kind == "share" else mean_interval)(known, level=level)
        said = verdict(interval, claim.threshold, "above" if claim.above else "below")
        needed = _needed(claim, known, interval) if said == "inconclusive" else 0
        if replicates - len(known) > UNKNOWN * replicates:
            said, needed = "inconclusive", 0
        return Finding(case.label, interval, said, needed, failed, note)

    def _run(self, wanted: Sequence[tuple[Case, int]]) -> None:
        """Do the runs that some cases need and that are not known yet.

        A world's replicate is run once, to the last month that anybody asks for, and measured on the way.
        """
        asked: dict[tuple[str, int], dict[int, dict[str, Question]]] = {}
        for case, replicates in wanted:
            question, months = self._question(case), case.claim.months
            name = _digest(question)
            for replicate in range(replicates):
                for digest, _ in self.worlds_of(case, replicate):
                    if ((digest, replicate, months), name) not in self._known:
                        asked.setdefault((digest, replicate), {}).setdefault(months, {})[name] = question
        jobs = [self._job(digest, replicate, stops) for (digest, replicate), stops in asked.items()]
        self._crew.planned = self._crew.done + len(jobs)
        for ((digest, replicate), stops), said in zip(asked.items(), self._crew.run(jobs), strict=True):
            for months, answers in zip(sorted(stops), said if len(stops) > 1 else [said], strict=True):
                for i, name in enumerate(stops[months]):
                    answer = answers if isinstance(answers, Failed) else answers[i]
                    self._known[(digest, replicate, months), name] = answer

    def _job(self, digest: str, replicate: int, stops: Mapping[int, Mapping[str, Question]]) -> Job:
        """Return the run that answers what is asked of a world's replicate in some months."""
        *earlier, last = [(months, (tuple(stops[months].values()),)) for months in sorted(stops)]
        model = {} if self._fault is None else {"model": self._fault.model}
        return Job(
            self._specs[digest], self._seed_of(digest), replicate, last[0], "experiments.metrics:evaluate",
            last[1], on_the_way=tuple(earlier), **model,
        )  # fmt: skip

    def _seed_of(self, digest: str) -> int:
        return self._specs[digest].seed if self._seed is None else self._seed

    def _values(self, case: Case, replicate: int) -> list[Value | Failed]:
        """Return the metric in each world of a case."""
        name = _digest(self._question(case))
        keys = [(digest, replicate, case.claim.months) for digest, _ in self.worlds_of(case, replicate)]
        return [self._known[key, name] for key in keys]

    def _question(self, case: Case) -> Question:
        arguments = {**case.claim.arguments, **dict(case.arguments)}
        return case.claim.metric, tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in arguments.items())

    def worlds_of(self, case: Case, replicate: int) -> list[tuple[str, "Spec"]]:
        """Return the scenarios of a case's worlds with their digests; they differ by replicate only where judged."""
        key = repr((case.claim.id, case.label, case.shared, case.treated_only, replicate if self._vary else 0))
        if key not in self._worlds:
            claim, base = case.claim, self.base(case.claim)
            if self._vary:
                base = drawn(base, self.seed(claim), replicate)
            fault = self._fault.set if self._fault else {}
            shared = {**dict(case.shared), **fault}
            if claim.kind == "slope":
                worlds = [claim.treatment.build(base, {**world.set, **shared}) for _, world in claim.levels]
            else:
                parts = (claim.treatment,) if claim.control is None else (claim.treatment, claim.control)
                worlds = [
                    world.build(base, shared if i == 0 or not case.treated_only else fault)
                    for i, world in enumerate(parts)
                ]
            named = [(_digest(world.model_dump_json()), world) for world in worlds]
            self._specs |= dict(named)
            self._worlds[key] = named
        return self._worlds[key]


def _level_of_looks(count: int, limit: int) -> float:
    """Return the level of each look at a claim whose replicates are doubled up to a limit: all together have LEVEL."""
    looks = 1 + max(math.ceil(math.log2(limit / count)), 0)
    return 1.0 - (1.0 - LEVEL) / looks


def _without_meaning(unknown: int, replicates: int, failed: int) -> str:
    """Say how many replicates have no meaning, nothing where all have one."""
    broke = f", as {failed} broke off" if failed else ""
    return f"{unknown} of {replicates} replicates have no meaning{broke}" if unknown else ""


def _enough(claim: Claim, count: int, level: float) -> int:
    """Return the count, or how many outcomes decide on a share that is all or none."""
    return max(count, fewest_unanimous(claim.threshold, level=level)) if claim.kind == "share" else count


def _needed(claim: Claim, known: Sequence[float], interval: Interval) -> int:
    """Return how many replicates in all would settle what is inconclusive, 0 where none would."""
    if claim.kind == "share":
        return outcomes_needed(interval.estimate, claim.threshold, level=interval.level)
    distance = abs(interval.estimate - claim.threshold)
    return replicates_needed(known, distance, level=interval.level) if distance > 0.0 else 0


def effect(claim: Claim, values: Sequence[Value | Failed]) -> float:
    """Return the effect that one replicate shows, NaN where a run failed or a figure has no meaning."""
    found = np.array([math.nan if isinstance(value, Failed) else value for value in values], dtype=np.float64)
    if not np.isfinite(found).all():
        return math.nan
    if claim.kind == "slope":
        return float(np.polyfit([level for level, _ in claim.levels], found, 1)[0])
    if claim.kind == "late_over_early":
        early, late = (found[0] - found[1]).tolist()
        return _over(late, early)
    if claim.kind == "ratio":
        return _over(*found.tolist())
    if claim.kind == "share":
        return float(found[0] == 1.0 and not found[1:].any())
    return float(found[0] - found[1] if claim.kind == "difference" else found[0])


def _over(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _judge(claim: Claim, main: Finding, sides: Mapping[str, Sequence[Finding]], court: Court) -> Judgement:
    base, treated = court.base(claim), court.worlds_of(Case(claim, claim.statement), 0)[0][1]
    sensitivities = tuple(
        Sensitivity(
            each,
            _value_or_nan(base, each.path),
            _value_or_nan(treated, each.path),
            tuple(sides[each.path]),
            flips(claim, each.values, sides[each.path]),
        )
        for each in claim.assumes
        if each.path in sides
    )
    return Judgement(claim, main, tuple(sides.get("conditions", ())), sensitivities)


def _value_or_nan(spec: "Spec", path: str) -> float:
    """Return the number at a path, NaN where a scenario has none there."""
    try:
        return first_value(spec, path)
    except UserError:
        return math.nan


def _digest(value: Any) -> str:
    import hashlib

    return hashlib.sha256((value if isinstance(value, str) else repr(value)).encode()).hexdigest()[:24]
