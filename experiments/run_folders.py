"""The results folder of a run: written beside its place, then put there whole; and read back.

firms.parquet     the firm panel            series.parquet    market series
edges.parquet     every payment             tiers.parquet     the tier table, last year and whole run
spec.json         the resolved scenario     manifest.json     version, fingerprint, seed, accounts, units
report.html       the report
"""

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import RunFailure, UserError
from experiments.places import named_after

if TYPE_CHECKING:
    import pandas as pd

    from ecosystem.flows import Flows
    from experiments.runs import Replicates, RunResult

MANIFEST = "manifest.json"
FORMAT = 1


def default_folder(
    scenario: str, seed: int, months: int | None = None, changes: Mapping[str, Any] | None = None
) -> Path:
    """Return `results/<scenario>-seed<n>`, of a scenario file its name without `.toml`.

    Another length than the scenario's, and a digest of overrides, follow: such a run does not replace the plain one.
    """
    name = f"{Path(scenario).stem}-seed{seed}"
    if months is not None:
        name += f"-{months}months"
    return named_after(name, changes or {})


def check_place(folder: Path) -> None:
    """Refuse a place for results before the run: UserError if it would overwrite something else, RunFailure if
    nothing can be written there."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder} is not a folder; name another place with --out")
    if folder.is_dir() and any(folder.iterdir()) and not _is_run(folder):
        raise UserError(
            f"{folder} holds something else than results (it has no {MANIFEST} of a run); name another place with --out"
        )
    with _beside(folder):
        pass  # only to see that it can be made


def save(
    run: "RunResult",
    folder: Path,
    *,
    csv: bool = False,
    report: bool = False,
    replicates: "Replicates | None" = None,
) -> Path:
    """Write the results folder whole, in place of an earlier one; return it. UserError and RunFailure as
    `check_place`."""
    check_place(folder)
    with _beside(folder) as draft:
        _write_tables(run, draft, csv, replicates)
        _write_text(draft / "spec.json", run.spec.canonical_json())
        if report:
            from experiments.run_report import run_report

            run_report(run, replicates).write(draft / "report.html")
        _write_text(draft / MANIFEST, json.dumps(manifest(run), indent=1))
        _put(draft, folder)
    return folder


def load(folder: Path) -> "RunResult":
    """Read a results folder back, bit for bit; UserError if it is none."""
    import numpy as np

    from ecosystem.opening import Plug
    from ecosystem.record import FIRM_FIELDS
    from ecosystem.spec import Spec
    from experiments.runs import FirmInfo, RunResult

    try:
        content = _manifest_of(folder)
        spec = Spec.from_json((folder / "spec.json").read_text("utf-8"), "spec.json")
    except FileNotFoundError as error:
        raise UserError(f"{folder} is not a results folder: it has no {Path(error.filename).name}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} cannot be read: {error}") from None
    panel = _read(folder / "firms.parquet", "month, firm_order")
    months = int(content["months"])
    firms = tuple(FirmInfo(**each) for each in content["firms"])
    shape = (months, len(firms), len(FIRM_FIELDS))
    series = _read(folder / "series.parquet", "month")
    names = [name for name in series if name not in {"month", "date"}]
    return RunResult(
        spec=spec,
        seed=content["seed"],
        replicate=content["replicate"],
        firm_list=firms,
        panel=np.stack([panel[name] for name in FIRM_FIELDS], axis=-1).reshape(shape),
        markets={name: series[name].astype(np.float64) for name in names},
        flows=_flows(_read(folder / "edges.parquet", "row"), content),
        plugs=tuple(Plug(**each) for each in content["plugs"]),
        failures=tuple((month, firm) for month, firm in content["failures"]),
    )


NEEDED = ("months", "seed", "replicate", "firms", "plugs", "failures", "accounts", "kinds")
"""What a manifest has to hold for its tables to be read."""


def _manifest_of(folder: Path) -> dict[str, Any]:
    """Return the manifest of a results folder; UserError if it is not one that this version reads."""
    content = json.loads((folder / MANIFEST).read_text("utf-8"))
    if not isinstance(content, dict) or "format" not in content:
        raise UserError(f"{folder} is not a results folder: its {MANIFEST} is not that of a run")
    if content["format"] != FORMAT:
        raise UserError(f"{folder} was written by another version ({content.get('version', 'unknown')})")
    if missing := [name for name in NEEDED if name not in content]:
        raise UserError(f"{folder} is not a results folder: its {MANIFEST} lacks {', '.join(missing)}")
    return content


def _is_run(folder: Path) -> bool:
    """Whether a folder's manifest is that of a saved run, of whatever version."""
    try:
        content = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"format", "firms"} <= content.keys() and "outcome_schema" not in content


def manifest(run: "RunResult") -> dict[str, Any]:
    """Return what identifies a run and what its tables need to be understood."""
    from ecosystem.record import FIRM_FIELDS
    from experiments.outcomes import TIER_UNITS
    from experiments.summaries import identity, series_unit

    return {
        "format": FORMAT,
        **identity(run),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: version(name) for name in ("numpy", "scipy", "mesa", "networkx")},
        "units": {
            "firms": FIRM_FIELDS,
            "edges": {"value": "USD", "quantity": "unit of the good", "unit_price": "USD per unit"},
            "series": {name: series_unit(name) for name in run.markets},
            "tiers": TIER_UNITS,
        },
        "failures": [list(each) for each in run.failures],
        "plugs": [asdict(plug) for plug in run.plugs],
        "firms": [asdict(firm) for firm in run.firm_list],
        "accounts": [asdict(account) for account in run.flows.accounts],
        "kinds": [asdict(kind) for kind in run.flows.kinds],
    }


# --- writing ------------------------------------------------------------------------------------------------


def _write_tables(run: "RunResult", folder: Path, csv: bool, replicates: "Replicates | None") -> None:
    import numpy as np
    import pandas as pd

    firms = run.firms()
    firms["firm_order"] = np.tile(np.arange(len(run.firm_list)), run.months)
    edges = run.edges()
    edges["row"] = np.arange(len(edges))
    tiers = [run.table(whole=whole).assign(window=name).reset_index() for whole, name in _WINDOWS]
    tables = {"firms": firms, "edges": edges, "series": run.series(), "tiers": pd.concat(tiers)}
    if replicates is not None:
        tables["replicates"] = replicates.table().reset_index()
    for name, table in tables.items():
        _write_table(folder, name, table, csv)


_WINDOWS = ((False, "last year"), (True, "whole run"))


def _write_table(folder: Path, name: str, table: "pd.DataFrame", csv: bool) -> None:
    """Write one table with DuckDB, as Parquet and on request as CSV; dates as dates."""
    from experiments.parts import connect

    dates = "* REPLACE (date::DATE AS date)" if "date" in table.columns else "*"
    with connect() as connection:
        connection.register("content", table)
        for ending, terms in (("parquet", "parquet, COMPRESSION zstd"), ("csv", "csv, HEADER"))[: 1 + csv]:
            path = str(folder / f"{name}.{ending}").replace("'", "''")
            connection.execute(f"COPY (SELECT {dates} FROM content) TO '{path}' (FORMAT {terms})")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the results, gone in the end; RunFailure where the disk refuses."""
    from experiments.interrupts import load_duckdb

    duckdb = load_duckdb()
    place = folder.absolute()
    draft = place.with_name(f".{place.name}-{os.getpid()}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        yield draft
    except (OSError, duckdb.Error) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = f"{error.filename} is a file, not a folder"
        raise RunFailure(f"cannot write results to {folder}: {reason}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, folder: Path) -> None:
    """Rename a finished draft to its place; an earlier folder makes room and is removed afterwards."""
    for path in draft.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    folder = folder.absolute()
    before = folder.with_name(f".{folder.name}-{os.getpid()}.old")
    shutil.rmtree(before, ignore_errors=True)
    if folder.exists():
        folder.rename(before)
    try:
        draft.rename(folder)
    except BaseException:
        if before.exists() and not folder.exists():
            before.rename(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)


# --- reading ------------------------------------------------------------------------------------------------


def _read(path: Path, order: str) -> "dict[str, Any]":
    """Read a Parquet file as numpy columns; UserError if it is missing or damaged."""
    import numpy as np

    from experiments.interrupts import load_duckdb
    from experiments.parts import connect, file_pattern

    duckdb = load_duckdb()
    try:
        with connect() as connection:
            columns = connection.execute(
                f"SELECT * FROM read_parquet(?) ORDER BY {order}", [file_pattern(path)]
            ).fetchnumpy()
    except (OSError, duckdb.Error) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    return {
        name: column.filled(np.nan) if np.ma.isMaskedArray(column) and column.dtype.kind == "f" else column
        for name, column in columns.items()
    }


def _flows(edges: Mapping[str, Any], content: Mapping[str, Any]) -> "Flows":
    """Turn the edge list back into payments."""
    import numpy as np

    from ecosystem.flows import Account, Flows, Kind

    accounts = tuple(Account(**each) for each in content["accounts"])
    kinds = tuple(Kind(**each) for each in content["kinds"])
    place = {account.id: i for i, account in enumerate(accounts)}
    number = {kind.name: i for i, kind in enumerate(kinds)}
    supplier = np.array([place[name] for name in edges["supplier"]], dtype=np.int32)
    buyer = np.array([place[name] for name in edges["buyer"]], dtype=np.int32)
    kind = np.array([number[name] for name in edges["good"]], dtype=np.int16)
    funding = np.array([each.funding for each in kinds], dtype=np.bool_)[kind]
    unknown = np.full(len(accounts), np.nan)
    return Flows(
        accounts=accounts,
        kinds=kinds,
        payer=np.where(funding, supplier, buyer).astype(np.int32),
        payee=np.where(funding, buyer, supplier).astype(np.int32),
        kind=kind,
        amount=np.asarray(edges["value"], dtype=np.float64),
        quantity=np.asarray(edges["quantity"], dtype=np.float64),
        month=np.asarray(edges["month"], dtype=np.int32),
        since=np.asarray(edges["since"], dtype=np.int32),
        opening=unknown,
        closing=unknown,
    )
