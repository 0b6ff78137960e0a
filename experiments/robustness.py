"""Robustness: in what share of a Latin hypercube over all judgement parameters does each hypothesis keep its verdict?

A point moves every judgement parameter at once, by up to 30 % up or down; a parameter of many firms moves alike in
all of them. Points whose parameters the scenario refuses, or whose opening cannot balance, are drawn towards the
scenario's own values until they can be run. Results are kept in a store, by point, so that a stopped run goes on.
"""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.checks import Row, Status
from experiments.errors import UserError
from experiments.worlds import EVIDENCE

if TYPE_CHECKING:
    from ecosystem.provenance import ParameterRow
    from ecosystem.spec import Spec
    from experiments.stores import Store

SHIPPED = EVIDENCE / "robustness"
WIDTH = 0.30
REPLICATES = 2
KEPT = 0.8
"""Share of points in which a hypothesis has to keep its verdict for its row to pass."""
SCHEMA = f"estimates of claims, {REPLICATES} replicates, +-{WIDTH:g}"
TRIES, NARROWING = 25, 0.85
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the hypercube: its number (-1 is the scenario itself) and how every parameter is moved."""

    number: int
    scenario: str
    ranks: tuple[tuple[str, float], ...]


def run_robustness(
    scenario: str = "2025",
    store: str | Path | None = None,
    *,
    points: int = 100,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Run the points that the store lacks and return its folder; the shipped store is renewed for changed code.

    UserError for a store of another version of the code that is not the shipped one.
    """
    from experiments.fingerprint import fingerprint
    from experiments.stores import Store

    folder = SHIPPED if store is None else Path(store)
    if store is None and folder.exists() and Store(folder).manifest["fingerprint"] != fingerprint():
        shutil.rmtree(folder)
    kept = Store.create(folder, fingerprint=fingerprint(), schema=SCHEMA)
    with kept.locked():
        kept.tidy()
        kept.set_aside_damaged()
        wanted = {_key(point): point for point in hypercube(scenario, points)}
        done = kept.finished_keys() | kept.failed_keys()
        left = {key: point for key, point in wanted.items() if key not in done}
        _run(kept, left, len(wanted), workers, progress)
    return folder


def robustness_rows(store: str | Path | None = None) -> list[Row]:
    """Return a row a hypothesis from a robustness store; one that is not computed where there is none."""
    from experiments.fingerprint import fingerprint
    from experiments.stores import Store

    folder = SHIPPED if store is None else Path(store)
    try:
        kept = Store(folder)
        table = kept.query("SELECT * EXCLUDE (key, seconds) FROM runs ORDER BY point")
    except UserError:
        table = None
    if table is None or table.empty or float(table["point"].iloc[0]) != -1.0:
        words = f"no store at {folder}: watersellers validate --robustness"
        return [_missing("hypotheses", "all hypotheses", words)]
    stale = "" if kept.manifest["fingerprint"] == fingerprint() else "computed with another version of the code"
    failed = len(kept.failed_keys())
    return [_row(claim, table[claim.id].tolist(), failed, stale) for claim in _claims() if claim.id in table]


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


def kind_of(path: str) -> str:
    """Return a parameter's name without the firm, region or event that has it."""
    parts = path.split(".")
    return ".".join([parts[0], *parts[2:]]) if len(parts) > 2 else path


def moved(spec: "Spec", ranks: Mapping[str, float]) -> dict[str, Any]:
    """Return overrides for the ranks, drawn towards the scenario until it can be opened; SpecError if it never can."""
    from ecosystem.model import ValueChain
    from ecosystem.spec import SpecError

    rows = [row for row in judgements(spec) if ranks.get(kind_of(row.path), 0.0) and row.value]
    legal = {row.path: _legal(spec, row, ranks[kind_of(row.path)]) for row in rows}
    width = 1.0
    for _ in range(TRIES):
        changes = {row.path: _scaled(row.value, width * legal[row.path]) for row in rows}
        try:
            ValueChain(spec.with_overrides(changes), rng=spec.seed).release()
            return changes
        except (SpecError, ValueError):
            width *= NARROWING
    raise SpecError(f"{spec.name}: a point of the hypercube cannot be opened")


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


def _claims() -> Sequence[Any]:
    from experiments.claim_files import load_claims

    return load_claims(scenario="2025")


def estimates(point: Point) -> dict[str, float]:
    """Return what every claim's test says at a point; NaN where its runs say nothing. A worker process calls this."""
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
    return run_key(content, seed=0, replicate=0, months=36, schema=SCHEMA, fingerprint=fingerprint())


def _run(
    store: "Store", left: Mapping[str, Point], planned: int, workers: int | None, progress: Progress | None
) -> None:
    """Do the points that are left, each kept as soon as it is done."""
    import time
    from concurrent.futures import as_completed

    from experiments.paired import cores
    from experiments.workers import LocalPool, failure

    done = planned - len(left)
    with LocalPool(workers or cores()) as pool:
        started = time.perf_counter()
        futures = {pool.call(estimates, point): key for key, point in left.items()}
        for future in as_completed(futures):
            key, seconds = futures[future], time.perf_counter() - started
            problem = future.exception()
            if problem is None:
                store.write_runs([key], [seconds], [future.result()])
            else:
                store.write_failures([failure(key, f"{type(problem).__name__}: {problem}", "", seconds)])
            done += 1
            if progress is not None:
                progress(done, planned)


def _row(claim: Any, values: Sequence[float], failed: int, stale: str) -> Row:
    """Return the row of one hypothesis: the share of points on the same side of its threshold as the scenario."""
    shipped, others = values[0], values[1:]
    if not math.isfinite(shipped):
        return _missing(claim.id, claim.statement, "the scenario itself says nothing of it")
    holds = claim.above == (shipped > claim.threshold)
    known = [x for x in others if math.isfinite(x)]
    same = sum((claim.above == (x > claim.threshold)) == holds for x in known)
    share = same / len(known) if known else math.nan
    silent = len(others) - len(known)
    words = [f"{silent} points say nothing" if silent else "", f"{failed} points failed" if failed else "", stale]
    status: Status = "pass" if share >= KEPT else "miss"
    return Row(
        section="robustness",
        id=claim.id,
        ref="",
        title=claim.statement,
        expected=f"keeps its verdict in {100.0 * KEPT:.0f} % or more",
        found=f"{'holds' if holds else 'fails'}; kept in {100.0 * share:.0f} % of {len(known)}",
        status=status,
        source=claim.source,
        note="; ".join(filter(None, words)),
        unit="share of points",
        value=share,
        n=len(known),
    )


def _missing(name: str, title: str, words: str) -> Row:
    return Row("robustness", name, "", title, "a store", "", "not computed", "judgement parameters", words)
