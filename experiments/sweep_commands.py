"""`watersellers sweep`: a design into a store; `watersellers replay`: one run of a store again."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from experiments.errors import RunFailure, UserError
from experiments.run_command import Json, Overrides, can_report, parse_overrides

if TYPE_CHECKING:
    from experiments.sweeps import Replay, SweepResult

EXAMPLES = Path(__file__).parent / "examples"
MOST_NAMED = 5
"""Failures and differences that the terminal names."""

sweep_app = App(name="sweep", help_epilogue="Example: `watersellers sweep design-2025 --out results/screening`")
replay_app = App(name="replay", help_epilogue="Example: `watersellers replay 1b82849c9396 --store results/screening`")


@sweep_app.default
def sweep_command(
    design: str,
    /,
    *,
    out: Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    shard: str | None = None,
    retry_failed: Annotated[bool, Parameter(negative="")] = False,
    overrides: Overrides = None,
    as_json: Json = False,
    report: bool = True,
) -> int:
    """Run a design (what is varied) into a store (a folder); a sweep that was stopped goes on.

    Parameters
    ----------
    design
        A TOML file, or the name of a shipped design (design-2025, design-2025-sobol).
    out
        The store; by default results/DESIGN. A run that it holds is never done again.
    workers
        Processes; every processor by default.
    cluster
        Address of a Dask scheduler whose workers do the runs.
    shard
        i/n: only every n-th point, from the i-th on.
    retry_failed
        Try failed runs again.
    report
        Write the HTML report into the store.
    """
    from experiments.designs import Design
    from experiments.dispatch import progress_bar
    from experiments.runs import resolved
    from experiments.sweeps import parse_shard, sweep

    path = _design_path(design)
    plan = Design.load(path)
    base = resolved(plan.scenario, parse_overrides(overrides or []))
    part = None if shard is None else parse_shard(shard)
    store = out or Path("results") / path.stem
    try:
        with progress_bar() as show:
            result = sweep(
                plan,
                store,
                base=base,
                workers=workers,
                cluster=cluster,
                shard=part,
                retry_failed=retry_failed,
                progress=show,
            )
    except KeyboardInterrupt:
        print(f"stopped by Ctrl-C: finished runs are kept in {store}; the same command goes on", file=sys.stderr)
        return 130
    return _end(result, as_json, report and can_report())


@replay_app.default
def replay_command(key: str, /, *, store: Path, out: Path | None = None, as_json: Json = False) -> int:
    """Repeat one run of a store and compare it with what the store holds, to the last bit.

    A run that fails again prints its traceback. The exit code is 0 if the run is the same as in the store, or if
    it failed there and does not any more.

    Parameters
    ----------
    key
        The run's key, or the beginning of it.
    store
        The store that holds it.
    out
        Also save the whole run with its report to this results folder.
    """
    from experiments.stores import Store
    from experiments.sweeps import replay

    opened = Store(store)
    found_key = opened.find_run(key).key
    try:
        found = replay(opened, found_key)
    except UserError:
        raise
    except Exception as error:  # replaying a failed run: its error is the answer
        import traceback

        traceback.print_exception(error)
        raise RunFailure(f"run {found_key[:12]} failed: {type(error).__name__}: {error}") from None
    files = {} if out is None else {"results": str(_save_whole(opened, found, out))}
    _show_replay(found, files, as_json)
    return 0 if found.identical or found.stored is None else 1


def _design_path(name: str) -> Path:
    """Return the file of a design: a path, or the name of a shipped one."""
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        return path
    shipped = EXAMPLES / f"{name}.toml"
    if not shipped.is_file():
        known = ", ".join(sorted(each.stem for each in EXAMPLES.glob("*.toml")))
        raise UserError(f"there is no design {name!r}: name a TOML file, or one of {known}")
    return shipped


def _end(result: "SweepResult", as_json: bool, report: bool) -> int:
    """Write the report, say what came out, and return the exit code: 1 where no run finished."""
    from experiments.store_summaries import sweep_summary
    from experiments.sweep_report import sweep_report

    record = result.store.sweep(result.sweep)
    content = sweep_summary(result.store, record)
    files = {"store": str(result.store.path)}
    if report:
        page = result.store.path / "report.html"
        files["report"] = str(sweep_report(result.store, record, content).write(page))
    done = {
        "requested": result.runs,
        "finished_now": result.finished,
        "failed_now": result.failed,
        "shared": result.shared,
        "failed_before": result.failed_before,
        "seconds": result.seconds,
    }
    if as_json:
        print(json.dumps({**content, "now": done, "files": files}, indent=2, allow_nan=False))
    else:
        _print_sweep(content, done, files)
    if content["finished"]:
        return 0
    print(f"error: no run finished; {content['failed']} failed", file=sys.stderr)
    return 1


def _print_sweep(content: dict[str, Any], done: dict[str, Any], files: dict[str, str]) -> None:
    from rich.console import Console

    from experiments.dispatch import duration
    from experiments.outcome_words import headlines, written
    from experiments.sweep_report import lead
    from experiments.tables import lean_table

    console = Console()
    counts = f"{done['finished_now']} runs finished now, {done['failed_now']} failed"
    if done["shared"]:
        counts += f", {done['shared']} were in the store before or come twice"
    console.print(f"{counts}; it took {duration(done['seconds'])}.", highlight=False)
    console.print(lead(content).replace("`", ""), highlight=False, markup=False)
    heads = ("outcome", "median", "5 %", "95 %", "unit")
    table = lean_table("Over the runs of the design", *heads, wrap=True, whole_names=True)
    for name in headlines(list(content["outcomes"])):
        each = content["outcomes"][name]
        if each["runs"]:
            values = (written(each[key], each["unit"]) for key in ("median", "low", "high"))
            table.add_row(name, *(value.replace(" ", "\u00a0") for value in values), each["unit"])
    if content["finished"]:
        console.print(table)
    for each in content["failures"][:MOST_NAMED]:
        console.print(f"failed: {each['error']}\n  {each['replay']}", highlight=False, markup=False, soft_wrap=True)
    if len(content["failures"]) > MOST_NAMED:
        console.print(f"... and {len(content['failures']) - MOST_NAMED} more failures", highlight=False)
    print_files(files)


def print_files(files: dict[str, str]) -> None:
    """Say where the files of a command are."""
    for what, path in files.items():
        print(f"{what}: {path}")


def _save_whole(store: Any, found: "Replay", out: Path) -> Path:
    """Run once more with all tables and save them."""
    from experiments.run_folders import check_place, save
    from experiments.runs import run

    check_place(out)
    stored = store.find_run(found.key)
    record = store.sweep(stored.sweep)
    from ecosystem.spec import Spec

    base = Spec.from_json(stored.base_json, "scenario of the store")
    whole = run(
        base,
        seed=record.seed,
        replicate=found.replicate,
        months=record.design.months,
        overrides=found.overrides,
    )
    return save(whole, out, report=can_report())


def _show_replay(found: "Replay", files: dict[str, str], as_json: bool) -> None:
    from experiments.summaries import plain

    stored = found.stored or {}
    differing = [name for name, value in found.outcomes.items() if _bits(value) != _bits(stored.get(name))]
    if as_json:
        content = {
            "key": found.key,
            "overrides": dict(found.overrides),
            "replicate": found.replicate,
            "identical": found.identical,
            "failed_before": found.stored is None,
            "differing": [] if found.stored is None else differing,
            "outcomes": dict(found.outcomes),
            "files": files,
        }
        print(json.dumps(plain(content), indent=2, allow_nan=False))
        return
    print(f"run {found.key}, replicate {found.replicate}")
    for path, value in found.overrides.items():
        print(f"  {path} = {value}")
    if found.stored is None:
        print("It failed when the sweep was run, and does not now.")
    elif found.identical:
        print(f"Identical: all {len(found.outcomes)} outcomes are those of the store, to the last bit.")
    else:
        print(f"DIFFERENT in {len(differing)} of {len(found.outcomes)} outcomes, first {differing[:MOST_NAMED]}.")
    print_files(files)


def _bits(value: float | None) -> str:
    return "" if value is None else value.hex()
