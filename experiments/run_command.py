"""`watersellers run`: one run or replicates, tables on the terminal, a results folder, a report."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from experiments.errors import UserError

if TYPE_CHECKING:
    from experiments.runs import Progress, Replicates, RunResult

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on standard output instead.")]
Overrides = Annotated[
    list[str] | None,
    Parameter(name="--set", negative="", help="KEY=VALUE: a dotted path of the scenario and a TOML value."),
]


app = App(name="run", help_epilogue="Example: `watersellers run toy --seed 3 --set app.chat.tiers.plus.price=15`")


@app.default
def run_command(
    scenario: str = "2025",
    /,
    *,
    seed: int | None = None,
    months: int | None = None,
    replicates: int = 1,
    out: Path | None = None,
    overrides: Overrides = None,
    as_json: Json = False,
    csv: Annotated[bool, Parameter(negative="")] = False,
    report: bool = True,
) -> None:
    """Run a scenario and say who earns.

    Parameters
    ----------
    scenario
        A scenario's name (`watersellers scenarios` lists them) or a TOML file.
    seed
        Root seed; the scenario's by default.
    months
        Length of the run; shorter than the scenario's gives the beginning of the same run.
    replicates
        Runs with other draws; with more than one the tables show the median and the 5-95 % band.
    out
        Results folder; by default results/SCENARIO-seedN, with the length and a digest of what --set changes where
        they are not the scenario's.
    csv
        Write the tables as CSV, too.
    report
        Write the HTML report.
    """
    from experiments.run_folders import check_place, default_folder, save
    from experiments.runs import resolved

    changes = parse_overrides(overrides or [])
    if seed is not None and not 0 <= seed < 2**63:
        raise UserError(f"--seed must be a whole number from 0, not {seed}")
    if replicates < 1:
        raise UserError(f"--replicates must be at least 1, not {replicates}")
    with working(show=sys.stderr.isatty()) as tell:
        spec = resolved(scenario, changes, months)
        length = months if months != resolved(scenario).months else None
        folder = out or default_folder(scenario, spec.seed if seed is None else seed, length, changes)
        check_place(folder)
        result, many = _run(spec, replicates, seed, months, tell)
        report = report and can_report()
        tell(0, 0)
        save(result, folder, csv=csv, report=report, replicates=many)
    _show(result, many, folder, as_json)


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs; a value that is no TOML is taken as text. UserError without a key or a value."""
    result = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        key, text = key.strip(), text.strip()
        if not sign or not text or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key):
            raise UserError(f"--set {pair}: write it as KEY=VALUE, for example --set app.chat.tiers.plus.price=15")
        try:
            result[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            result[key] = text
    return result


@contextmanager
def working(*, show: bool) -> "Iterator[Progress]":
    """A progress bar on standard error with the time left; call what it yields with what is done and the
    total, (0, 0) when only the writing is left."""
    if not show:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading", total=None)

        def tell(done: int, total: int) -> None:
            words = f"month {done} of {total}" if total else "writing"
            bar.update(task, description=words, completed=done, total=total or None)

        yield tell


def _run(
    spec: Any, count: int, seed: int | None, months: int | None, tell: "Progress"
) -> "tuple[RunResult, Replicates | None]":
    from experiments.runs import replicates, run

    if count == 1:
        return run(spec, seed=seed, months=months, progress=tell), None
    many = replicates(spec, count, seed=seed, months=months, progress=tell)
    return many.first, many


def can_report() -> bool:
    """Return whether the libraries of the report are there; say so if they are not."""
    from importlib.util import find_spec

    missing = [name for name in ("altair", "vl_convert", "jinja2") if find_spec(name) is None]
    if missing:
        print(
            f"no report: {', '.join(missing)} is not installed (pip install 'watersellers[report]')",
            file=sys.stderr,
        )
    return not missing


def _show(result: "RunResult", many: "Replicates | None", folder: Path, as_json: bool) -> None:
    from experiments.summaries import summary

    content = summary(result, many)
    files = {"results": str(folder)}
    if (folder / "report.html").is_file():
        files["report"] = str(folder / "report.html")
    if as_json:
        print(json.dumps(content | {"files": files}, indent=2, allow_nan=False))
        return
    from rich.console import Console

    from experiments.tables import print_run

    print_run(Console(), content, files)
