"""The plan of a sweep: its points resolved against a scenario, with the keys of their runs."""

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.designs import Design
from experiments.errors import UserError
from experiments.fingerprint import fingerprint, syntax_digest
from experiments.interrupts import load_duckdb
from experiments.parts import connect, file_pattern, write_table, write_text
from experiments.samples import Factor, Sample
from experiments.stores import Store, SweepRecord, run_key
from experiments.workers import Run

if TYPE_CHECKING:
    from ecosystem.provenance import ParameterRow
    from ecosystem.spec import Spec

FIRST_BLOCK, LARGEST_BLOCK = 16, 512
"""Points that are planned at once: few at first, so that workers soon have something to do, then twice as many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep is going to do. `schema` names the definition of the outcomes.

    Scenarios are kept and hashed with their entries in order, not sorted: the order of firms is that of sums.
    """

    design: Design
    base: "Spec"
    parameters: "Mapping[str, ParameterRow]"
    seed: int
    schema: str
    sample: Sample

    @property
    def months(self) -> int:
        """Months of one run, unless a point changes them."""
        return self.design.months or self.base.months

    @property
    def record(self) -> SweepRecord:
        """The plan as the store keeps it; its id is a digest of all that decides the keys of its runs."""
        blank = SweepRecord("", self.design, self.sample.factors, self.seed, len(self.sample))
        content = [blank.to_json(), self.base.model_dump_json(), self.schema, fingerprint()]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
        return SweepRecord(digest, self.design, self.sample.factors, self.seed, len(self.sample))

    def runs(self, store: Store, points: range, shard: tuple[int, int] | None) -> Iterator[Run]:
        """All runs of some points, in blocks whose ids are in the store before the first of them is done."""
        record = self.record
        folder = store.path / "sweeps" / record.id
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "base.json", self.base.model_dump_json())
        write_text(folder / "sweep.json", record.to_json())
        prefix = "" if shard is None else f"{shard[0]}-of-{shard[1]}-"
        for block in blocks(points):
            path = folder / f"points-{prefix}{block[0]}.parquet"
            runs = _read_runs(path)
            if runs is None or len(runs) != len(block) * self.design.replicates:
                runs = [run for point in block for run in self._runs_of(point)]
                write_table(path, self._table(record.id, block, runs))
            yield from runs

    def _runs_of(self, point: int) -> list[Run]:
        """The replicates of one point. An illegal point gets a key of its own, and fails when it is run."""
        overrides = self.sample.overrides(point)
        try:
            spec = self.base.with_overrides(overrides) if overrides else self.base
            content, months = spec.model_dump_json(), self.design.months or spec.months
        except ValueError:
            content, months = json.dumps([self.base.model_dump_json(), overrides], sort_keys=True), self.months
        keys = [
            run_key(
                content,
                seed=self.seed,
                replicate=replicate,
                months=months,
                schema=self.schema,
                fingerprint=fingerprint(),
            )
            for replicate in range(self.design.replicates)
        ]
        return [Run(key, overrides, replicate) for replicate, key in enumerate(keys)]

    def _table(self, sweep: str, block: range, runs: Sequence[Run]) -> dict[str, Any]:
        """Run ids of a block with the values of the factors, the scenario's where a point leaves them."""
        import numpy as np

        points = np.repeat(np.array(block), self.design.replicates)
        table: dict[str, Any] = {
            "sweep": [sweep] * len(runs),
            "point": points,
            "replicate": [run.replicate for run in runs],
            "key": [run.key for run in runs],
            "overrides": [json.dumps(dict(run.overrides)) for run in runs],
        }
        for factor in self.sample.factors:
            row = self.parameters.get(factor.path)
            kept = row.value if row is not None and self.design.method == "one-at-a-time" else None
            values = [run.overrides.get(factor.path, kept) for run in runs]
            table[factor.path] = _column(factor, kept, values)
        return table


def blocks(points: range) -> Iterator[range]:
    """Cut points into the blocks that are planned at once."""
    start, size = 0, FIRST_BLOCK
    while start < len(points):
        yield points[start : start + size]
        start, size = start + size, min(2 * size, LARGEST_BLOCK)


def make_plan(design: Design, base: "Spec | None", runner: str) -> Plan:
    """The plan of a design on its scenario, or on `base`; UserError where a parameter cannot vary so."""
    if base is None:
        from ecosystem.spec import Spec

        base = Spec.load(design.scenario)
    parameters = {row.path: row for row in base.parameters()}
    seed = base.seed if design.seed is None else design.seed
    sample = design.sample(parameters, seed)
    trials = [{factor.path: value} for factor in sample.factors for value in factor.ends()]
    for trial in [sample.overrides(0)] if design.method == "table" else trials:
        try:
            base.with_overrides(trial)
        except ValueError as error:
            raise UserError(f"the design cannot be run on {base.name}: {error}") from None
    return Plan(design, base, parameters, seed, outcome_schema(runner), sample)


def outcome_schema(runner: str) -> str:
    """The definition of the outcomes: the run function, its module and the modules beside it that it uses."""
    module = runner.partition(":")[0]
    path = _source(module)
    imports = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.ImportFrom)]
    neighbours = {node.module for node in imports if node.module and node.module.startswith("experiments.")}
    digests = [syntax_digest(path), *(syntax_digest(_source(name)) for name in sorted(neighbours))]
    return f"{runner} {hashlib.sha256(' '.join(digests).encode()).hexdigest()[:16]}"


def _source(module: str) -> Path:
    """The source file of a module."""
    try:
        found = importlib.util.find_spec(module)
    except ImportError:
        found = None
    if found is None or found.origin is None:
        raise UserError(f"there is no module {module} to run")
    return Path(found.origin)


def _read_runs(path: Path) -> list[Run] | None:
    """The runs of a block that an earlier call planned, or None where there is no whole file of them."""
    duckdb = load_duckdb()

    if not path.exists():
        return None
    query = "SELECT key, overrides, replicate FROM read_parquet(?) ORDER BY point, replicate"
    try:
        with connect() as connection:
            rows = connection.execute(query, [file_pattern(path)]).fetchall()
    except duckdb.Error:
        return None
    return [Run(key, json.loads(overrides), replicate) for key, overrides, replicate in rows]


def _column(factor: Factor, kept: object, values: Sequence[object]) -> Any:
    """One factor's values as an array of one type for all blocks: truth values, numbers, or text."""
    import numpy as np

    kinds = {type(value) for value in (*factor.ends(), kept) if value is not None}
    if kinds == {bool} and None not in values:
        return np.array(values, dtype=bool)
    if kinds <= {int, float}:
        return np.array(values, dtype=np.float64)
    return np.array([None if value is None else str(value) for value in values], dtype=object)
