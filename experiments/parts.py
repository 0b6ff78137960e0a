"""Part files: Parquet tables that appear whole or not at all, named by the keys of the runs they hold."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import RunFailure
from experiments.interrupts import ctrl_c_comes_through, load_duckdb

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

MAGIC = b"PAR1"


def part_name(keys: Iterable[str]) -> str:
    """The file name of a part: a digest of its keys, so that the same runs overwrite themselves."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:32] + ".parquet"


@contextmanager
def connect() -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection of its own to the DuckDB of this process, whose start costs more than most queries.

    It has one thread and holds nothing: all tables are files, none is cached, and views are temporary, which no
    other connection sees.
    """
    with ctrl_c_comes_through(), _database(os.getpid()).cursor() as connection:
        yield connection


@lru_cache(maxsize=1)
def _database(process: int) -> "duckdb.DuckDBPyConnection":
    """The DuckDB of a process; one that was forked off makes its own."""
    settings = {"threads": 1, "enable_external_file_cache": "false"}
    database: duckdb.DuckDBPyConnection = load_duckdb().connect(":memory:", config=settings)
    return database


def write_table(path: Path, table: "Mapping[str, Sequence[Any] | NDArray[Any]]") -> None:
    """Write columns as one Parquet file: hidden temporary name, synced, then renamed over the final name.

    Raises RunFailure where the disk refuses; the folder then holds what it held before.
    """
    import numpy as np

    duckdb = load_duckdb()
    arrays: dict[str, NDArray[Any]] = {name: np.asarray(column) for name, column in table.items()}
    arrays = {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in arrays.items()}
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.tmp")
    try:
        with connect() as connection:
            connection.register("part", arrays)
            connection.execute(
                f"COPY (SELECT * FROM part) TO '{_quoted(temporary)}' (FORMAT parquet, COMPRESSION zstd)"
            )
        _publish(temporary, path)
    except (OSError, duckdb.Error) as error:
        raise _refused(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file as atomically as a part."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        _publish(temporary, path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def damaged_files(folder: Path, *, named_by_keys: bool = True) -> list[Path]:
    """Parquet files of a folder that are cut short, cannot be decoded, or hold other keys than their name."""
    duckdb = load_duckdb()

    files = sorted(folder.glob("*.parquet"))
    cut = {path for path in files if not _is_framed(path)}
    if not cut and files:
        try:
            with connect() as connection:
                if _are_whole(connection, pattern_in(folder, "*.parquet"), len(files), named_by_keys):
                    return []
        except duckdb.Error:
            pass
    return [path for path in files if path in cut or not _is_whole(path, named_by_keys)]


def pattern_in(folder: Path, pattern: str) -> str:
    """A pattern of files in a folder as DuckDB reads one: in the folder's own name `[`, `*` and `?` mean themselves."""
    return str(Path(re.sub(r"([\[*?])", r"[\1]", str(folder))) / pattern)


def file_pattern(path: Path) -> str:
    """A pattern that is one file, whatever its name."""
    return pattern_in(path, "")


def _is_framed(path: Path) -> bool:
    """Whether a file begins and ends as Parquet does."""
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
        file.seek(max(0, path.stat().st_size - len(MAGIC)))
        return head == MAGIC == file.read()


def _is_whole(path: Path, named_by_keys: bool) -> bool:
    duckdb = load_duckdb()

    try:
        with connect() as connection:
            return _are_whole(connection, file_pattern(path), 1, named_by_keys)
    except duckdb.Error:
        return False


def _are_whole(connection: "duckdb.DuckDBPyConnection", pattern: str, count: int, named_by_keys: bool) -> bool:
    """Decode every column of some files and hold their keys against their names."""
    source = f"read_parquet('{_quoted(pattern)}', union_by_name = true, filename = true)"
    connection.execute(f"SELECT max(COLUMNS(*)) FROM {source}")
    named = connection.execute(f"SELECT parse_filename(filename), list(key) FROM {source} GROUP BY 1").fetchall()
    return len(named) == count and all(not named_by_keys or name == part_name(keys) for name, keys in named)


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")


def _publish(temporary: Path, path: Path) -> None:
    """Bring a finished file to the disk and to its name."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _refused(path: Path, error: Exception) -> RunFailure:
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return RunFailure(
        f"cannot write {path}: {reason}. Finished runs are kept: make room and run the same command again"
    )
