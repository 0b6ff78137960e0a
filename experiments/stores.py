"""The store of a sweep: a folder of Parquet part files that survives crashes and is queried with DuckDB.

    manifest.json       code fingerprint and outcome schema that all its runs share
    parts/              finished runs: key, seconds, outcomes
    failures/           failed runs: key, error, traceback
    sweeps/<id>/        one design: sweep.json, base.json (the resolved scenario), points-*.parquet (run ids)
    damaged/            part files that could not be read and were moved out of the way

Runs are found by their key, the digest of all that decides their numbers, so sweeps in one store share them.
"""

import fcntl
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.designs import Design
from experiments.errors import RunFailure, UserError
from experiments.interrupts import load_duckdb
from experiments.parts import connect, damaged_files, part_name, pattern_in, write_table, write_text
from experiments.samples import Factor, Range, Value

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

EMPTY_VIEWS = {
    "runs": "SELECT NULL::VARCHAR AS key, NULL::DOUBLE AS seconds WHERE false",
    "failures": "SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS error, NULL::VARCHAR AS traceback,"
    " NULL::DOUBLE AS seconds, NULL::DOUBLE AS failed_at WHERE false",
    "points": "SELECT NULL::VARCHAR AS sweep, NULL::BIGINT AS point, NULL::BIGINT AS replicate,"
    " NULL::VARCHAR AS key, NULL::VARCHAR AS overrides WHERE false",
}


def run_key(spec_json: str, *, seed: int, replicate: int, months: int, schema: str, fingerprint: str) -> str:
    """The name of a run, 32 hex digits: a digest of everything that decides its outcomes."""
    spec = hashlib.sha256(spec_json.encode()).hexdigest()
    content = json.dumps([spec, seed, replicate, months, schema, fingerprint])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """What the store knows of one sweep: its design, resolved factors and the number of points."""

    id: str
    design: Design
    factors: tuple[Factor, ...]
    seed: int
    points: int

    def to_json(self) -> str:
        """The content of sweep.json."""
        factors = [
            {
                "path": factor.path,
                "role": factor.role,
                "values": list(factor.values),
                "span": factor.span and factor.span.model_dump(),
                "integer": factor.integer,
            }
            for factor in self.factors
        ]
        design = self.design.model_dump(mode="json")
        content = {"design": design, "factors": factors, "seed": self.seed, "points": self.points}
        return json.dumps(content, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, id: str, text: str) -> "SweepRecord":
        """Read sweep.json back."""
        content = json.loads(text)
        factors = tuple(
            Factor(
                each["path"],
                each["role"],
                tuple(each["values"]),
                each["span"] and Range(**each["span"]),
                each["integer"],
            )
            for each in content["factors"]
        )
        return cls(id, Design.parse(content["design"]), factors, content["seed"], content["points"])


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run of a store: what it takes to repeat it, and its outcomes if it did not fail."""

    key: str
    sweep: str
    replicate: int
    overrides: Mapping[str, Value]
    base_json: str
    outcomes: Mapping[str, float] | None


class Store:
    """A folder store; opening one that does not exist raises UserError, `Store.create` makes it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            content = json.loads((self.path / "manifest.json").read_text("utf-8"))
        except FileNotFoundError:
            raise UserError(f"{self.path} is not a sweep store: it has no manifest.json") from None
        except OSError as error:
            raise UserError(f"{self.path} is not a sweep store: {error.strerror}") from None
        except ValueError:
            raise UserError(f"{self.path}/manifest.json is damaged: it is not JSON") from None
        if not isinstance(content, dict) or not {"fingerprint", "outcome_schema"} <= content.keys():
            raise UserError(f"{self.path} is not a sweep store: its manifest.json is that of something else")
        self.manifest: dict[str, Any] = content

    @classmethod
    def create(cls, path: str | Path, *, fingerprint: str, schema: str) -> "Store":
        """The store at a path, made if there is none.

        UserError, and nothing touched, if the folder holds anything else or runs of other code; RunFailure where
        the disk refuses.
        """
        path = Path(path)
        manifest = {"format": 1, "fingerprint": fingerprint, "outcome_schema": schema}
        if (path / "manifest.json").exists():
            _check_same_code(cls(path), manifest)
        elif path.exists() and (not path.is_dir() or _foreign(path)):
            what = "holds other files" if path.is_dir() else "is a file"
            raise UserError(f"{path} {what}: name a new or empty folder for the store")
        try:
            for name in ("parts", "failures", "sweeps"):
                (path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFailure(f"cannot make the store {path}: {error.filename}: {error.strerror}") from error
        if not (path / "manifest.json").exists():
            write_text(path / "manifest.json", json.dumps(manifest, indent=1))
        store = cls(path)
        _check_same_code(store, manifest)
        return store

    @contextmanager
    def locked(self, shard: tuple[int, int] | None = None) -> Iterator[None]:
        """Hold the store for writing. Shards of sweeps may write side by side, each of them once.

        Raises UserError at once if another sweep holds it.
        """
        with (self.path / ".lock").open("a+") as lock:
            _flock(lock, fcntl.LOCK_EX if shard is None else fcntl.LOCK_SH, self.path)
            if shard is None:
                lock.truncate(0)
                lock.write(f"process {os.getpid()} on {socket.gethostname()}")
                lock.flush()
                yield
                return
            with (self.path / f".lock-{shard[0]}-of-{shard[1]}").open("a+") as own:
                _flock(own, fcntl.LOCK_EX, self.path)
                yield

    def tidy(self) -> None:
        """Remove what writers left half-written when they died; only while no other writer can live."""
        for temporary in self.path.rglob(".*.tmp"):
            temporary.unlink()

    def set_aside_damaged(self) -> list[str]:
        """Move part files and tables of points that cannot be read to `damaged/`; their names.

        The next call of their sweep does the runs, and plans the points, again.
        """
        moved = self._damaged()
        for path in moved:
            (self.path / "damaged").mkdir(exist_ok=True)
            path.replace(self.path / "damaged" / path.name)
        return [path.name for path in moved]

    def write_runs(self, keys: Sequence[str], seconds: Sequence[float], rows: Sequence[Mapping[str, float]]) -> None:
        """Add finished runs as one part; `rows` are their outcomes, all with the same names."""
        outcomes = {name: [row[name] for row in rows] for name in rows[0]}
        write_table(self.path / "parts" / part_name(keys), {"key": keys, "seconds": seconds, **outcomes})

    def write_failures(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add failed runs: rows of key, error, traceback, seconds and failed_at (seconds since 1970)."""
        table = {name: [row[name] for row in rows] for name in rows[0]}
        write_table(self.path / "failures" / part_name(table["key"]), table)

    def finished_keys(self) -> set[str]:
        """Keys of all finished runs."""
        return {key for (key,) in self._fetch("SELECT key FROM runs")}

    def failed_keys(self) -> set[str]:
        """Keys of the runs that failed and have not succeeded since."""
        return {key for (key,) in self._fetch("SELECT key FROM failures")}

    def sweeps(self) -> list[SweepRecord]:
        """All designs of the store, by id."""
        return [_record(file) for file in sorted(self.path.glob("sweeps/*/sweep.json"))]

    def sweep(self, id: str | None = None, methods: Sequence[str] = ()) -> SweepRecord:
        """One design: by the beginning of its id, or the only one there is (of the given methods)."""
        known = self.sweeps()
        found = [each for each in known if each.id.startswith(id or "")]
        found = [each for each in found if not methods or each.design.method in methods]
        if len(found) == 1:
            return found[0]
        kind = f" by {' or '.join(methods)}" if methods else ""
        listed = ", ".join(f"{each.id} ({each.design.method}, {each.points} points)" for each in known)
        problem = "holds no sweep" if not found else "holds more than one sweep"
        raise UserError(f"{self.path} {problem}{kind}: name one of {listed or 'none'}")

    def scenario(self, sweep: str) -> dict[str, Any]:
        """The resolved scenario that a sweep started from, by its whole id."""
        content: dict[str, Any] = json.loads((self.path / "sweeps" / sweep / "base.json").read_text("utf-8"))
        return content

    def frame(self, sweep: str | None = None, outcomes: Sequence[str] | None = None) -> "pd.DataFrame":
        """Finished runs of one sweep, a row a run, ordered by point and replicate.

        Columns: point, replicate, key, the factors by their dotted paths, the outcomes (all if not named).
        """
        record = self.sweep(sweep)
        known = self.outcome_names()
        for name in outcomes or ():
            if name not in known:
                raise UserError(f"no outcome {name!r} in {self.path}; {_nearest(name, known)}")
        wanted = known if outcomes is None else outcomes
        factors = [f'p."{factor.path}"' for factor in record.factors]
        columns = ["p.point", "p.replicate", "p.key", *factors, *(f'r."{name}"' for name in wanted)]
        select = f"SELECT {', '.join(columns)} FROM points p JOIN runs r USING (key)"
        return self.query(f"{select} ORDER BY p.point, p.replicate", record.id)

    def outcome_names(self) -> list[str]:
        """Names of the outcomes that the finished runs have."""
        columns = [row[0] for row in self._fetch("DESCRIBE runs")]
        return [name for name in columns if name not in {"key", "seconds"}]

    def failures(self, sweep: str | None = None) -> "pd.DataFrame":
        """Failed runs, of one sweep or all, with error, traceback and the command that repeats them."""
        if sweep is None:
            table = self.query("SELECT * FROM failures ORDER BY key")
        else:
            select = "SELECT * FROM failures SEMI JOIN points USING (key) ORDER BY key"
            table = self.query(select, self.sweep(sweep).id)
        table["replay"] = [f"watersellers replay {key} --store {self.path}" for key in table["key"]]
        return table

    def find_run(self, key: str) -> StoredRun:
        """One run by its key or the beginning of it; UserError unless exactly one fits."""
        if not re.fullmatch("[0-9a-f]+", key):
            raise UserError(f"{key!r} is not the key of a run: keys are hexadecimal")
        found = f"FROM points WHERE starts_with(key, '{key}') ORDER BY key"
        rows = self._fetch(f"SELECT DISTINCT ON (key) sweep, replicate, key, overrides {found}")
        if len(rows) != 1:
            raise UserError(f"{len(rows)} runs of {self.path} have a key that begins with {key}")
        sweep, replicate, full, overrides = rows[0]
        table = self.query(f"SELECT * EXCLUDE (key, seconds) FROM runs WHERE key = '{full}'")
        outcomes = None if table.empty else {str(name): float(table[name][0]) for name in table}
        base = (self.path / "sweeps" / sweep / "base.json").read_text("utf-8")
        return StoredRun(full, sweep, replicate, json.loads(overrides), base, outcomes)

    def query(self, sql: str, sweep: str | None = None) -> "pd.DataFrame":
        """The answer to an SQL query over runs, failures, points and results (points joined with runs).

        `sweep`, a whole id, leaves only its points.
        """
        duckdb = load_duckdb()

        with self._views(sweep or "*") as connection:
            try:
                return connection.execute(sql).df()
            except duckdb.Error as error:
                raise self._unreadable(error) from None

    def _fetch(self, sql: str) -> list[tuple[Any, ...]]:
        duckdb = load_duckdb()

        with self._views() as connection:
            try:
                return connection.execute(sql).fetchall()
            except duckdb.Error as error:
                raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> Exception:
        """Damaged files and wrong queries told apart."""
        damaged = self._damaged()
        if not damaged:
            return UserError(f"the query failed: {error}")
        return RunFailure(
            f"{len(damaged)} damaged part file(s) in {self.path}, the first is {damaged[0].name}: repeat the "
            "sweep, which sets them aside and runs again only what they held"
        )

    def _damaged(self) -> list[Path]:
        """Files that are cut short or cannot be decoded; one query a folder where all is well."""
        folders = [self.path / "parts", self.path / "failures"]
        damaged = [path for folder in folders for path in damaged_files(folder)]
        for folder in self.path.glob("sweeps/*/"):
            damaged += damaged_files(folder, named_by_keys=False)
        return sorted(damaged)

    @contextmanager
    def _views(self, sweep: str = "*") -> Iterator["duckdb.DuckDBPyConnection"]:
        """A connection with the views `runs`, `failures`, `points` (of one sweep or all) and `results`."""
        duckdb = load_duckdb()

        sources = {
            "runs": ("parts/*.parquet", "SELECT * FROM {files}"),
            "failures": (
                "failures/*.parquet",
                "SELECT * FROM {files} WHERE key NOT IN (SELECT key FROM runs)",
            ),
            "points": (f"sweeps/{sweep}/points-*.parquet", "SELECT DISTINCT * FROM {files}"),
        }
        with connect() as connection:
            try:
                for name, (pattern, select) in sources.items():
                    self._view(connection, name, pattern, select)
            except duckdb.Error as error:
                raise self._unreadable(error) from None
            connection.execute("CREATE TEMP VIEW results AS SELECT * FROM points JOIN runs USING (key)")
            yield connection

    def _view(self, connection: "duckdb.DuckDBPyConnection", name: str, pattern: str, select: str) -> None:
        """One view over files; of rows with the same key it shows one, the latest of failures."""
        if not any(self.path.glob(pattern)):
            connection.execute(f"CREATE TEMP VIEW {name} AS {EMPTY_VIEWS[name]}")
            return
        glob = pattern_in(self.path, pattern).replace("'", "''")
        rows = select.format(files=f"read_parquet('{glob}', union_by_name = true)")
        if name != "points":
            counted = connection.execute(f"SELECT count(*), count(DISTINCT key) FROM ({rows})")
            count, distinct = counted.fetchall()[0]
            if count != distinct:
                order = "key, failed_at DESC" if name == "failures" else "key"
                rows = f"SELECT DISTINCT ON (key) * FROM ({rows}) ORDER BY {order}"
        connection.execute(f"CREATE TEMP VIEW {name} AS {rows}")


def _record(file: Path) -> SweepRecord:
    """Read one sweep.json; RunFailure if it is damaged."""
    try:
        return SweepRecord.from_json(file.parent.name, file.read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFailure(f"{file} is damaged ({type(error).__name__}: {error}): repeat the sweep") from None


def _check_same_code(store: Store, manifest: Mapping[str, Any]) -> None:
    """Refuse a store of other code: runs of the two are never mixed."""
    for key, what in (("fingerprint", "model code"), ("outcome_schema", "definition of outcomes")):
        there, here = str(store.manifest[key]), str(manifest[key])
        if there != here:
            raise UserError(
                f"the store {store.path} was made with another {what} ({there} there, {here} here), and "
                "runs of the two are never mixed: name another folder, or go back to the version that made it"
            )


def _foreign(path: Path) -> bool:
    """Whether a folder holds anything that a store does not."""
    return any(each.name not in {"parts", "failures", "sweeps"} and each.name[0] != "." for each in path.iterdir())


def _flock(file: Any, kind: int, path: Path) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read() or "a shard"
        raise UserError(
            f"another sweep ({holder}) is writing to {path}: wait till it ends, or use another folder"
        ) from None


def _nearest(name: str, known: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=3)
    return f"nearest: {', '.join(close)}" if close else f"there are {', '.join(known[:5])} ..."
