"""`watersellers compare`: two runs or two stores; `watersellers report`: the page of a saved result again."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from experiments.analysis_commands import page_path
from experiments.errors import RunFailure, UserError
from experiments.run_command import Json, can_report
from experiments.sweep_commands import print_files

if TYPE_CHECKING:
    from experiments.comparison import Comparison
    from experiments.comparison_report import Sides
    from experiments.reports import Report

compare_app = App(name="compare", help_epilogue="Example: `watersellers compare results/2025-seed1 results/2025-seed2`")
report_app = App(name="report", help_epilogue="Example: `watersellers report results/design-2025 --png`")


@compare_app.default
def compare_command(
    a: Path,
    b: Path,
    /,
    *,
    sweep_a: str | None = None,
    sweep_b: str | None = None,
    out: Path | None = None,
    as_json: Json = False,
    report: bool = True,
) -> None:
    """Say what differs between two results folders of `run`, or two stores of `sweep`.

    Parameters
    ----------
    a
        A results folder, or a store.
    b
        Another of the same kind.
    sweep_a
        Beginning of the id of A's sweep, where it holds several.
    sweep_b
        The same of B.
    out
        The HTML report; by default results/compare-A-B.html.
    report
        Write the HTML report.
    """
    from experiments.comparison_report import Sides, comparison_report

    kinds = [kind_of(path) for path in (a, b)]
    if kinds[0] != kinds[1]:
        raise UserError(f"{a} is a {kinds[0]} and {b} a {kinds[1]}: compare two of a kind")
    sides = Sides(str(a), str(b), kinds[0])
    found = _compared_runs(a, b) if kinds[0] == "run" else _compared_stores(a, b, sweep_a, sweep_b)
    files = {}
    if report and can_report():
        page = page_path(out, Path("results"), f"compare-{a.resolve().name}-{b.resolve().name}.html")
        files["report"] = str(comparison_report(found, sides).write(page))
    _show_comparison(found, sides, files, as_json)


@report_app.default
def report_command(
    path: Path,
    /,
    *,
    sweep: str | None = None,
    out: Path | None = None,
    png: Annotated[bool, Parameter(negative="")] = False,
    svg: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> None:
    """Make the HTML report of a saved result again, and on request its charts as pictures.

    The charts of a report of any other command (monetise, hypotheses, shock, validate, ...) are saved from its page:
    `watersellers report results/shock.html --svg`.

    Parameters
    ----------
    path
        A results folder of `run`, a store of `sweep`, the TOML file of a calibration, or the HTML report that any
        command wrote.
    sweep
        Beginning of the sweep's id, where the store holds several.
    out
        The HTML report; by default PATH/report.html, or beside the file of a calibration under its name.
    png
        Save every chart as PNG to the folder `charts` beside the report.
    svg
        Save every chart as SVG there.
    """
    endings = [ending for ending, wanted in (("png", png), ("svg", svg)) if wanted]
    if path.suffix == ".html":
        _pictures_of_page(path, out, endings, as_json)
        return
    if path.suffix == ".toml":
        kind, page = "calibration", _calibration_page(path)
        target = page_path(out, path.parent, f"{path.stem}.html")
        charts = target.with_name(f"{target.stem}-charts")
    else:
        kind = kind_of(path)
        page = _run_page(path) if kind == "run" else _sweep_page(path, sweep)
        target = page_path(out, path, "report.html")
        charts = target.parent / "charts"
    files: dict[str, Any] = {"report": str(page.write(target))}
    pictures = _save_pictures(target, charts, endings) if endings else []
    if as_json:
        print(json.dumps({"kind": kind, "title": page.title, "text": page.lead, "files": files, "charts": pictures}))
        return
    print(page.lead.replace("`", ""))
    print_files(files | ({"charts": f"{charts} ({len(pictures)} files)"} if pictures else {}))


def kind_of(path: Path) -> Literal["run", "store"]:
    """Return what a folder holds; UserError if it is neither."""
    try:
        manifest = json.loads((path / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is neither a results folder nor a store: its manifest.json cannot be read ({_reason(error)})"
        ) from None
    return "store" if isinstance(manifest, dict) and "outcome_schema" in manifest else "run"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it is not JSON"


def _compared_runs(a: Path, b: Path) -> "Comparison":
    from experiments.comparison import compare_runs
    from experiments.run_folders import load

    runs = [load(path) for path in (a, b)]
    scenarios = [json.loads(run.spec.canonical_json()) | {"seed": run.seed} for run in runs]
    return compare_runs(*(run.outcomes() for run in runs), *scenarios)


def _compared_stores(a: Path, b: Path, sweep_a: str | None, sweep_b: str | None) -> "Comparison":
    from experiments.comparison import compare

    return compare(a, b, sweep_a=sweep_a, sweep_b=sweep_b)


def _show_comparison(found: "Comparison", sides: "Sides", files: dict[str, str], as_json: bool) -> None:
    from experiments.comparison_report import (
        comparison_data,
        comparison_lead,
        counted_parameters,
        parameter_rows,
        tier_rows,
    )
    from experiments.outcomes import TIER_ORDER

    if as_json:
        content = comparison_data(found, sides) | {"text": comparison_lead(found, sides), "files": files}
        print(json.dumps(content | {"tiers": dict(tier_rows(found))}, indent=2, allow_nan=False))
        return
    from rich.console import Console

    from experiments.tables import lean_table

    console = Console()
    console.print(f"A: {sides.a}\nB: {sides.b}", highlight=False, markup=False)
    console.print(comparison_lead(found, sides), highlight=False, markup=False)
    if rows := tier_rows(found):
        tiers = lean_table("Tiers: A → B", "", *TIER_ORDER, wrap=True)
        for words, cells in rows:
            tiers.add_row(words, *cells)
        console.print(tiers)
    if found.parameters:
        table = lean_table(counted_parameters(found), "parameter", "A", "B", wrap=True, whole_names=True)
        for row in parameter_rows(found):
            table.add_row(*(cell.replace("[", r"\[") for cell in row))
        console.print(table)
    print_files(files)


def _run_page(path: Path) -> "Report":
    from experiments.run_folders import load
    from experiments.run_report import run_report

    if (path / "replicates.parquet").is_file():
        print("a folder keeps no series of its replicates: this report is of the first, without bands", file=sys.stderr)
    return run_report(load(path))


def _calibration_page(path: Path) -> "Report":
    from experiments.calibration import CalibrationResult
    from experiments.calibration_report import calibration_report

    return calibration_report(CalibrationResult.load(path))


def _sweep_page(path: Path, sweep: str | None) -> "Report":
    from experiments.stores import Store
    from experiments.sweep_report import sweep_report

    store = Store(path)
    return sweep_report(store, store.sweep(sweep))


def _pictures_of_page(page: Path, out: Path | None, endings: list[str], as_json: bool) -> None:
    """Save the charts of a page that was written, to the folder `<name>-charts` beside it or to `out`."""
    if not endings:
        raise UserError(f"{page} is a report already: say --svg or --png, or both, to save its charts")
    if out is not None and out.suffix:
        raise UserError(f"--out {out}: the charts of a page are saved to a folder; name one without an ending")
    folder = page.with_name(f"{page.stem}-charts") if out is None else out
    pictures = _save_pictures(page, folder, endings)
    if as_json:
        print(json.dumps({"kind": "page", "files": {}, "charts": pictures}))
    elif not pictures:
        print(f"{page} has no charts")
    else:
        print_files({"charts": f"{folder} ({len(pictures)} files)"})


def _save_pictures(page: Path, folder: Path, endings: list[str]) -> list[str]:
    """Write all charts of a page as files that are numbered in its order; RunFailure where the disk refuses."""
    from experiments.reports import charts_of_page, save_picture

    charts = charts_of_page(page)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFailure(f"cannot write {folder}: {error.strerror}") from error
    return [str(save_picture(spec, folder / f"{name}.{ending}")) for name, spec in charts for ending in endings]
