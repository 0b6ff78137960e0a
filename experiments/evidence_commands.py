"""`watersellers validate` and `watersellers calibrate`."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from experiments.errors import UserError
from experiments.places import check_file
from experiments.run_command import Json, can_report
from experiments.sweep_commands import print_files

if TYPE_CHECKING:
    from experiments.validation import Scoreboard

Flag = Annotated[bool, Parameter(negative="")]
Tell = Callable[[int, int], None]

validate_app = App(name="validate", help_epilogue="Example: `watersellers validate --quick --out board.html`")
calibrate_app = App(name="calibrate", help_epilogue="Example: `watersellers calibrate --quick --out calibration.html`")


@validate_app.default
def command_validate(
    scenario: str = "2025",
    /,
    *,
    seeds: int | None = None,
    quick: Flag = False,
    robustness: Flag = False,
    store: Path | None = None,
    points: int | None = None,
    estimates: Path | None = None,
    workers: int | None = None,
    out: Path | None = None,
    docs: Path | None = None,
    as_json: Json = False,
) -> None:
    """Score the model on limits, measured silicon, calibration targets and facts that it was not fitted to.

    Parameters
    ----------
    scenario
        A scenario's name or a TOML file.
    seeds
        Replicates of every world; 30 by default.
    quick
        Five replicates, without limit tests and refits of the kernel.
    robustness
        First run the points of the robustness store that are missing; a point takes the time of
        `hypotheses --quick`, and the store keeps how long each took.
    store
        Robustness store; by default the shipped one of 2025, results/robustness-SCENARIO of others.
    points
        Points of the Latin hypercube of --robustness; 100 by default.
    estimates
        A result of `watersellers calibrate` (TOML): the scoreboard at its estimates in place of the shipped values,
        which shows what they do to the facts that they were not fitted to.
    workers
        Processes; as many as processors by default.
    out
        Where to write the scoreboard: .html for a report, else JSON.
    docs
        Folder where docs/evidence.md and docs/sources.md are written anew from this scoreboard.
    """
    from experiments.robustness import run_robustness
    from experiments.validation import validate

    if points is not None and not robustness:
        raise UserError("--points is the number of points of --robustness: give both")
    if estimates is not None and (robustness or docs is not None):
        raise UserError("--estimates goes neither with --robustness nor with --docs, which are of the shipped values")
    if out is not None:
        check_file(out)
    if docs is not None:
        check_file(docs / "evidence.md")
    with counting(show=sys.stderr.isatty()) as tell:
        if robustness:
            run_robustness(scenario, store, points=100 if points is None else points, workers=workers, progress=tell)
        board = validate(
            scenario,
            seeds=seeds,
            quick=quick,
            robustness_store=store,
            estimates=estimates,
            workers=workers,
            progress=tell,
        )
    _show_board(board, as_json)
    if out is not None:
        board.to_html(out) if out.suffix == ".html" else board.save(out)
    if docs is not None:
        from experiments.evidence_docs import write_docs

        write_docs(board, docs)


def _show_board(board: "Scoreboard", as_json: bool) -> None:
    if as_json:
        print(json.dumps(board.to_dict(), indent=2, allow_nan=False))
        return
    from rich.console import Console

    from experiments.scoreboards import print_scoreboard

    print_scoreboard(Console(), board)


@calibrate_app.default
def command_calibrate(
    scenario: str = "2025",
    /,
    *,
    budget: int | None = None,
    seeds: int | None = None,
    quick: Flag = False,
    out: Path = Path("results/calibration.toml"),
    journal: Path | None = None,
    workers: int | None = None,
    as_json: Json = False,
) -> None:
    """Estimate the free parameters on the calibration targets by simulated moments; go on where it was stopped.

    Parameters
    ----------
    scenario
        A scenario's name or a TOML file.
    budget
        Evaluations in all; 5,000 by default, which take about three hours on two cores.
    seeds
        Replicates of an evaluation; 10 by default.
    quick
        A search of a few minutes.
    out
        Where the result is written: values, intervals, fit and the command as TOML; .html for a report, with the
        TOML beside it.
    journal
        File in which evaluations are kept; next to `out` by default.
    workers
        Processes; as many as processors by default.
    """
    from experiments.calibration import calibrate

    if out.suffix == ".html" and not can_report():
        out = out.with_suffix(".toml")
    kept = journal if journal is not None else out.with_suffix(".journal")
    for place in (out, kept):
        check_file(place)
    with counting(show=sys.stderr.isatty()) as tell:
        result = calibrate(
            scenario, budget=budget, seeds=seeds, quick=quick, journal=kept, workers=workers, progress=tell
        )
    files = {"result": str(result.save(out.with_suffix(".toml") if out.suffix == ".html" else out))}
    if out.suffix == ".html":
        files["report"] = str(result.to_html(out))
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, allow_nan=False))
        return
    from rich.console import Console

    from experiments.calibration_tables import print_calibration

    print_calibration(Console(), result)
    print_files(files)


@contextmanager
def counting(*, show: bool) -> Iterator[Tell]:
    """A progress bar on standard error with the time left; call what it yields with what is done and the total."""
    if not show:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("runs", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
