"""`watersellers monetise`, `hypotheses` and `shock`: the experiments on the command line."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from experiments.errors import RunFailure
from experiments.places import PAGE, RESULT, check_folder, named_after, write_json
from experiments.run_command import Json, Overrides, can_report, parse_overrides

if TYPE_CHECKING:
    from rich.console import Console

    from experiments.paired import Progress
    from experiments.verdicts import HypothesesResult

Many = Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")]
Flag = Annotated[bool, Parameter(negative="")]

monetise_app = App(
    name="monetise", help_epilogue="Example: `watersellers monetise 2025 --apps perplexity nami --replicates 16`"
)
hypotheses_app = App(name="hypotheses", help_epilogue="Example: `watersellers hypotheses --claim jevons scale-trap`")
shock_app = App(name="shock", help_epilogue="Example: `watersellers shock deepseek`; without an event all are listed")


@monetise_app.default
def command_monetise(
    scenario: str = "2025",
    /,
    *,
    apps: Many = None,
    arms: Many = None,
    arms_file: Path | None = None,
    control: str = "subscription",
    months: int = 24,
    replicates: int = 16,
    precision: float | None = None,
    questions: bool = True,
    seed: int | None = None,
    workers: int | None = None,
    out: Path | None = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> int:
    """Give apps different ways to earn, all else equal, and compare what comes of it.

    Parameters
    ----------
    scenario
        A scenario's name or a TOML file.
    apps
        Apps by id, or `all`; Perplexity or the search apps by default.
    arms
        Arms by name; all by default.
    arms_file
        TOML file with own arms, beside the shipped ones.
    control
        The arm that others are compared with.
    months
        Length of a run; figures are means of its last year.
    replicates
        The most replicates of every arm.
    precision
        Stop once every profit difference is known to this share of the control's revenue; never before 8 replicates.
    questions
        Answer the standing questions too: ad load, quotas, willingness to pay, open weights.
    seed
        Root seed; the scenario's by default.
    workers
        Processes; by default as many as there are cores where the work is worth it.
    out
        Folder for result.json and report.html; by default results/monetise-SCENARIO, with a digest of
        what --set changes.
    """
    from experiments.experiment_tables import print_monetisation
    from experiments.monetisation import monetise

    changes = parse_overrides(overrides or [])
    folder = out or named_after(f"monetise-{Path(scenario).stem}", changes)
    check_folder(folder)
    with _bar() as tell:
        result = monetise(
            scenario, apps=apps, arms=arms, arms_file=arms_file, control=control, months=months, replicates=replicates,
            precision=precision, questions=questions, seed=seed, workers=workers,
            overrides=changes, progress=tell,
        )  # fmt: skip
    _deliver(result, folder, as_json, print_monetisation)
    return 0


@hypotheses_app.default
def command_hypotheses(
    claims: Annotated[list[str] | None, Parameter(name=["--claim", "-c"], consume_multiple=True, negative="")] = None,
    *,
    file: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    scenario: str | None = None,
    quick: Flag = False,
    replicates: int | None = None,
    vary_judgement: Flag = False,
    faults: Flag = False,
    fault: Many = None,
    fail_on: Literal["refuted", "inconclusive"] | None = None,
    list_claims: Annotated[bool, Parameter(name="--list", negative="")] = False,
    seed: int | None = None,
    workers: int | None = None,
    out: Path | None = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> int:
    """Test claims: statement, evidence, verdict, when it holds, and where an assumption flips it.

    Parameters
    ----------
    claims
        Claims by id; all by default.
    file
        Own claim files.
    scenario
        Scenario to test on; the first one that a claim names by default.
    quick
        Few replicates of the main tests only: under two minutes for all.
    replicates
        The most replicates of a main test, in place of the claim's own; two or more.
    vary_judgement
        Every replicate draws the judgement parameters anew.
    faults
        Break the model on purpose, one mechanism at a time, and show which verdicts that upsets: every fault must
        upset its own claims and no unrelated one. Exit code 1 where that fails. With --claim only those claims are
        tested, by the faults that must upset them; faults have their own scenarios, replicates and seeds.
    fault
        Only these faults.
    fail_on
        Leave with exit code 3 when a claim is refuted (or even inconclusive).
    list_claims
        List the claims and leave.
    seed
        Root seed; the scenario's by default.
    workers
        Processes; by default as many as there are cores where the work is worth it.
    out
        Folder for result.json and report.html; by default results/hypotheses, with a digest of what --set
        changes, of planted faults results/faults.
    """
    from experiments.experiment_tables import print_claims, print_faults, print_verdicts
    from experiments.faults import check_faults
    from experiments.hypothesis_tests import hypotheses

    if list_claims:
        print_claims(as_json)
        return 0
    changes = parse_overrides(overrides or [])
    folder = out or named_after("faults" if faults or fault else "hypotheses", changes)
    check_folder(folder)
    if faults or fault:
        contrary = {
            "--file": file, "--quick": quick, "--scenario": scenario, "--set": overrides, "--seed": seed,
            "--replicates": replicates, "--vary-judgement": vary_judgement, "--fail-on": fail_on,
        }  # fmt: skip
        _refuse_with_faults([name for name, value in contrary.items() if value not in (None, False)])
        with _bar() as tell:
            checks = check_faults(fault, claims=claims, workers=workers, progress=tell)
        _deliver(checks, folder, as_json, print_faults)
        return 0 if checks.passed else 1
    with _bar() as tell:
        result = hypotheses(
            claims, files=file or (), scenario=scenario, quick=quick, replicates=replicates, seed=seed, workers=workers,
            overrides=changes, vary_judgement=vary_judgement, progress=tell,
        )  # fmt: skip

    def show(console: "Console", result: "HypothesesResult") -> None:
        print_verdicts(console, result)
        for each in result.judgements:
            if each.remark:
                console.print(f"[bold]{each.claim.id}[/bold] {each.verdict}, {each.remark}", highlight=False)

    _deliver(result, folder, as_json, show)
    bad = {None: (), "refuted": ("refuted",), "inconclusive": ("refuted", "inconclusive")}[fail_on]
    return 3 if any(verdict in bad for verdict in result.verdicts.values()) else 0


@shock_app.default
def command_shock(
    event: str | None = None,
    scenario: str = "2025",
    /,
    *,
    month: int | None = None,
    months: int = 36,
    replicates: int = 12,
    seed: int | None = None,
    workers: int | None = None,
    out: Path | None = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> int:
    """Study an event: the same world with and without it, and the difference over time.

    Parameters
    ----------
    event
        The event; without it they are listed.
    scenario
        A scenario's name or a TOML file.
    month
        When it happens, 0 is the opening; the study's own month by default.
    months
        Length of a run.
    replicates
        Pairs of runs.
    seed
        Root seed; the scenario's by default.
    workers
        Processes; by default as many as there are cores where the work is worth it.
    out
        Folder for result.json and report.html; by default results/shock-EVENT-SCENARIO, with a digest of
        what --set changes.
    """
    from experiments.events_study import shock, shocks
    from experiments.experiment_tables import print_shock

    if event is None:
        for name, title in shocks().items():
            print(f"{name:18} {title}")
        return 0
    changes = parse_overrides(overrides or [])
    folder = out or named_after(f"shock-{event}-{Path(scenario).stem}", changes)
    check_folder(folder)
    with _bar() as tell:
        result = shock(
            event, scenario, month=month, months=months, replicates=replicates, seed=seed, workers=workers,
            overrides=changes, progress=tell,
        )  # fmt: skip
    _deliver(result, folder, as_json, print_shock)
    return 0


def _refuse_with_faults(options: list[str]) -> None:
    """Refuse options that planted faults do not follow; UserError."""
    from experiments.errors import UserError

    if options:
        raise UserError(f"{', '.join(options)}: planted faults have their own; leave it out, or leave out --faults")


def _deliver(result: Any, folder: Path, as_json: bool, show: Any) -> None:
    """Show the result, then write result.json and report.html into a folder."""
    from rich.console import Console

    files = {"results": str(folder / RESULT)}
    if can_report():
        files["report"] = str(folder / PAGE)
    content = result.to_dict()
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "140")))
    if as_json:
        print(json.dumps(content | {"files": files}, indent=2, allow_nan=False))
    else:
        show(console, result)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFailure(f"cannot write to {folder}: {error.strerror}") from error
    write_json(folder / RESULT, content)
    if "report" in files:
        result.to_html(folder / PAGE)
    if not as_json:
        for what, path in files.items():
            console.print(f"{what}: {path}", highlight=False, soft_wrap=True)


@contextmanager
def _bar() -> "Iterator[Progress | None]":
    """A progress bar on standard error with the time left, where somebody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("runs", total=None)

        def tell(done: int, planned: int) -> None:
            bar.update(task, description=f"run {done} of {planned}", completed=done, total=planned)

        yield tell
