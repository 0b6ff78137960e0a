"""Robustness: in what share of a Latin hypercube over all judgement parameters does each hypothesis keep its verdict?

A point moves every judgement parameter at once, by up to 30 % up or down; a parameter of many firms moves alike in
all of them. Less than that where a bound of the parameter cuts it, and points whose opening cannot balance are drawn
towards the scenario's own values until they can be run. Results are kept in a store, by point, so that a stopped run
goes on. A point that says nothing of a hypothesis, or whose runs broke off, does not keep its verdict.
"""

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.checks import Row, Status
from experiments.errors import RunFailure, UserError
from experiments.judgement import kind_of, that_open
from experiments.worlds import EVIDENCE, UNDER_VALIDATION

if TYPE_CHECKING:
    from ecosystem.provenance import ParameterRow
    from ecosystem.spec import Spec
    from experiments.stores import Store

SHIPPED = EVIDENCE / "robustness"
WIDTH = 0.30
REPLICATES = 2
KEPT = 0.8
"""Share of points in which a hypothesis has to keep its verdict for its row to pass."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the hypercube: its number (-1 is the scenario itself) and how every parameter is moved."""

    number: int
    scenario: str
    ranks: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a point: the estimates, or what failed and where; and how long it took."""

    estimates: Mapping[str, float] | None
    error: str
    trace: str
    seconds: float


def run_robustness(
    scenario: str = "2025",
    store: str | Path | None = None,
    *,
    points: int = 100,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Run the points that the store lacks and return its folder.

    The store of a scenario that is its own by default is renewed for changed code: a new one is filled beside it, over
    several calls if they are stopped, and takes its place in the end. UserError for a scenario that no claim speaks
    of, for a named store of another scenario or version of the code, and for a renewal with fewer points.
    """
    if points < 1:
        raise UserError(f"points must be at least 1, not {points}")
    if not _claims(scenario):
        raise UserError(f"no claim speaks of the scenario {scenario!r}: a robustness store is of a shipped scenario")
    folder = default_store(scenario) if store is None else Path(store)
    if store is not None or not _outdated(folder, scenario):
        return _fill(folder, scenario, points, workers, progress)
    held = _points_of(folder)
    if points < held:
        raise UserError(f"{folder} holds {held} points: name a --store of your own for {points}")
    draft = folder.with_name(f"{folder.name}.new")
    if _outdated(draft, scenario):
        shutil.rmtree(draft)
    _fill(draft, scenario, points, workers, progress)
    _swap(draft, folder)
    return folder


def default_store(scenario: str) -> Path:
    """Return the shipped store of the scenario that has one, a folder of results for others."""
    return SHIPPED if scenario == UNDER_VALIDATION else Path("results") / f"robustness-{scenario}"


def schema(scenario: str) -> str:
    """Return what the runs of a robustness store are."""
    return f"estimates of claims in {scenario}, {REPLICATES} replicates, +-{WIDTH:g}"


def robustness_rows(store: str | Path | None = None, scenario: "Spec | str" = UNDER_VALIDATION) -> list[Row]:
    """Return a row a hypothesis from a robustness store of the scenario; one that is not computed without such one."""
    from experiments.fingerprint import fingerprint
    from experiments.stores import Store

    name = _shipped_name(scenario)
    if name is None or not _claims(name):
        return [_missing("hypotheses", "all hypotheses", "claims are kept for scenarios as they are shipped")]
    folder = default_store(name) if store is None else Path(store)
    try:
        kept = Store(folder)
        table = kept.query("SELECT * EXCLUDE (key, seconds) FROM runs ORDER BY point")
    except UserError:
        kept, table = None, None
    if kept is not None and kept.manifest["outcome_schema"] != schema(name):
        return [_missing("hypotheses", "all hypotheses", f"{folder} holds {kept.manifest['outcome_schema']}")]
    if kept is None or table is None or table.empty or float(table["point"].iloc[0]) != -1.0:
        words = f"no store at {folder}: watersellers validate {name} --robustness"
        return [_missing("hypotheses", "all hypotheses", words)]
    stale = "" if kept.manifest["fingerprint"] == fingerprint() else "computed with another version of the code"
    failed = len(kept.failed_keys())
    return [_row(claim, table[claim.id].tolist(), failed, stale) for claim in _claims(name) if claim.id in table]


def _shipped_name(scenario: "Spec | str") -> str | None:
    """Return the name of a scenario if it is just as it is shipped."""
    from ecosystem.spec import SCENARIOS, Spec

    if isinstance(scenario, str):
        return scenario
    known = (SCENARIOS / f"{scenario.name}.toml").is_file()
    return scenario.name if known and Spec.load(scenario.name) == scenario else None


def _outdated(folder: Path, scenario: str) -> bool:
    """Whether a folder holds a store of other code."""
    from experiments.fingerprint import fingerprint
    from experiments.stores import Store

    if not (folder / "manifest.json").exists():
        return False
    manifest = Store(folder).manifest
    return (manifest["fingerprint"], manifest["outcome_schema"]) != (fingerprint(), schema(scenario))


def _points_of(folder: Path) -> int:
    """Return how many points a store holds beside the scenario itself."""
    from experiments.stores import Store

    kept = Store(folder)
    return len(kept.finished_keys() | kept.failed_keys()) - 1


def _fill(folder: Path, scenario: str, points: int, workers: int | None, progress: Progress | None) -> Path:
    """Run what a store lacks."""
    from experiments.fingerprint import fingerprint
    from experiments.stores import Store

    kept = Store.create(folder, fingerprint=fingerprint(), schema=schema(scenario))
    with kept.locked():
        kept.tidy()
        kept.set_aside_damaged()
        wanted = {_key(point): point for point in hypercube(scenario, points)}
        done = kept.finished_keys() | kept.failed_keys()
        left = {key: point for key, point in wanted.items() if key not in done}
        _run(kept, left, len(wanted), workers, progress)
    return folder


def _swap(draft: Path, folder: Path) -> None:
    """Put a finished store in the place of another."""
    before = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(before, ignore_errors=True)
    folder.rename(before)
    draft.rename(folder)
    shutil.rmtree(before)


def hypercube(scenario: str, points: int) -> list[Point]:
    """Return the scenario itself and the points of the hypercube: a rank in [-1, 1] for every parameter by kind."""
    from scipy.stats.qmc import LatinHypercube

    from ecosystem.spec import Spec

    kinds = sorted({kind_of(row.path) for row in judgements(Spec.load(scenario))})
    drawn = 2.0 * LatinHypercube(len(kinds), rng=0).random(points) - 1.0
    rows = (tuple(zip(kinds, row, strict=True)) for row in drawn.tolist())
    return [Point(-1, scenario, ()), *(Point(i, scenario, row) for i, row in enumerate(rows))]


def judgements(spec: "Spec") -> "list[ParameterRow]":
    """Return the numbers of a scenario that rest on judgement: not facts, levers or switches."""
    from experiments.provenance import kinds

    return [
        row
        for row in spec.parameters()
        if row.role == "uncertainty"
        and isinstance(row.value, int | float)
        and not isinstance(row.value, bool)
        and ".earning." not in row.path
        and "judgement" in kinds(row.source)
    ]


def moved(spec: "Spec", ranks: Mapping[str, float]) -> dict[str, Any]:
    """Return overrides for the ranks, drawn towards the scenario until it can be opened; SpecError if it never can."""
    rows = [row for row in judgements(spec) if ranks.get(kind_of(row.path), 0.0) and row.value]
    legal = {row.path: _legal(spec, row, ranks[kind_of(row.path)]) for row in rows}

    def changes(attempt: int, width: float) -> dict[str, Any]:
        return {row.path: _scaled(row.value, width * legal[row.path]) for row in rows}

    return that_open(spec, changes, spec.seed)


def _legal(spec: "Spec", row: "ParameterRow", rank: float) -> float:
    """Return the relative change at a rank, halved until the scenario accepts it for this parameter alone."""
    from ecosystem.spec import SpecError

    change = WIDTH * rank
    for _ in range(6):
        try:
            spec.with_overrides({row.path: _scaled(row.value, change)})
            return change
        except SpecError:
            change *= 0.5
    return 0.0


def _scaled(value: float, change: float) -> float:
    return round(value * (1.0 + change)) if isinstance(value, int) else value * (1.0 + change)


def _claims(scenario: str) -> Sequence[Any]:
    from experiments.claim_files import load_claims

    return load_claims(scenario=scenario)


def attempt(point: Point) -> Attempt:
    """Return what comes of a point; a failure with a known reason is a row, any other is a bug and raised.

    A worker process calls this.
    """
    import traceback

    from ecosystem.spec import SpecError

    started = time.perf_counter()
    try:
        found = estimates(point)
    except (RunFailure, SpecError, UserError) as error:
        words = f"{type(error).__name__}: {error}"
        return Attempt(None, words, traceback.format_exc(), time.perf_counter() - started)
    return Attempt(found, "", "", time.perf_counter() - started)


def estimates(point: Point) -> dict[str, float]:
    """Return what every claim's test says at a point; NaN where its runs say nothing."""
    from ecosystem.spec import Spec
    from experiments.hypothesis_tests import hypotheses

    changes = moved(Spec.load(point.scenario), dict(point.ranks)) if point.ranks else {}
    result = hypotheses(
        scenario=point.scenario, overrides=changes, quick=True, details=False, replicates=REPLICATES, workers=1
    )
    found = {each.claim.id: each.main.interval for each in result.judgements}
    return {"point": float(point.number)} | {
        name: interval.estimate if interval is not None else math.nan for name, interval in found.items()
    }


def _key(point: Point) -> str:
    import json

    from experiments.fingerprint import fingerprint
    from experiments.stores import run_key

    content = json.dumps([point.scenario, point.number, point.ranks])
    return run_key(content, seed=0, replicate=0, months=36, schema=schema(point.scenario), fingerprint=fingerprint())


def _run(
    store: "Store", left: Mapping[str, Point], planned: int, workers: int | None, progress: Progress | None
) -> None:
    """Do the points that are left, each kept as soon as it is done."""
    from concurrent.futures import as_completed
    from concurrent.futures.process import BrokenProcessPool

    from experiments.workers import LocalPool, cores, failure

    done = planned - len(left)
    with LocalPool(workers or cores()) as pool:
        futures = {pool.call(attempt, point): key for key, point in left.items()}
        for future in as_completed(futures):
            try:
                found: Attempt = future.result()
            except BrokenProcessPool:
                raise RunFailure(f"a worker process died: the same command goes on from {store.path}") from None
            if found.estimates is not None:
                store.write_runs([futures[future]], [found.seconds], [found.estimates])
            else:
                store.write_failures([failure(futures[future], found.error, found.trace, found.seconds)])
            done += 1
            if progress is not None:
                progress(done, planned)


def _row(claim: Any, values: Sequence[float], failed: int, stale: str) -> Row:
    """Return the row of one hypothesis: the share of points on the same side of its threshold as the scenario.

    Points that say nothing and points that failed count as not kept. The interval is Wilson's.
    """
    from scipy.stats import binomtest

    shipped, others = values[0], values[1:]
    if not math.isfinite(shipped):
        return _missing(claim.id, claim.statement, "the scenario itself says nothing of it")
    count = len(others) + failed
    if not count:
        return _missing(claim.id, claim.statement, "the store holds no point beside the scenario itself")
    holds = claim.above == (shipped > claim.threshold)
    known = [x for x in others if math.isfinite(x)]
    same = sum((claim.above == (x > claim.threshold)) == holds for x in known)
    share = same / count
    low, high = map(float, binomtest(same, count).proportion_ci(method="wilson"))
    silent = len(others) - len(known)
    words = [f"{silent} points say nothing" if silent else "", f"{failed} points failed" if failed else "", stale]
    status: Status = "pass" if share >= KEPT else "miss"
    percents = f"{100.0 * share:.0f} % of {count} points ({100.0 * low:.0f} to {100.0 * high:.0f} %)"
    return Row(
        section="robustness",
        id=claim.id,
        ref="",
        title=claim.statement,
        expected=f"keeps its verdict in at least {100.0 * KEPT:.0f} % of the points",
        found=f"{'holds' if holds else 'fails'}; kept in {percents}",
        status=status,
        source=claim.source,
        note="; ".join(filter(None, words)),
        unit="1",
        value=share,
        low=low,
        high=high,
        n=count,
    )


def _missing(name: str, title: str, words: str) -> Row:
    return Row("robustness", name, "", title, "a store", "", "not computed", "judgement parameters", words)
