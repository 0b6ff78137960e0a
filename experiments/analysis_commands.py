"""`watersellers sensitivity` and `watersellers discover`: what a store says of its factors."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App

from experiments.errors import UserError
from experiments.run_command import Json, can_report
from experiments.sweep_commands import print_files

if TYPE_CHECKING:
    from experiments.discovery import Discovery
    from experiments.sensitivities import Sensitivity
    from experiments.stores import Store, SweepRecord

sensitivity_app = App(
    name="sensitivity",
    help_epilogue="Example: `watersellers sensitivity results/design-2025 --outcome apps_operating_profit`",
)
discover_app = App(
    name="discover",
    help_epilogue='Example: `watersellers discover results/design-2025 --where "apps_operating_profit > 0"`',
)


@sensitivity_app.default
def sensitivity_command(
    store: Path,
    /,
    *,
    outcome: str | None = None,
    method: Literal["sobol", "morris"] | None = None,
    sweep: str | None = None,
    out: Path | None = None,
    as_json: Json = False,
    report: bool = True,
) -> None:
    """Say which factors of a Morris or Sobol sweep move an outcome, with intervals.

    Parameters
    ----------
    store
        Folder of the sweep.
    outcome
        Name of the outcome, for example apps_operating_profit.
    method
        Needed only where the store holds sweeps of both kinds.
    sweep
        Beginning of the sweep's id, where the store holds several.
    out
        The HTML report; by default STORE/sensitivity-OUTCOME.html.
    report
        Write the HTML report.
    """
    from experiments.sensitivities import sensitivity
    from experiments.stores import Store

    opened = Store(store)
    record = opened.sweep(sweep, (method,) if method else ("sobol", "morris"))
    if outcome is None:
        from experiments.outcome_words import headlines

        known = opened.outcome_names()
        shown = ", ".join(headlines(known)) or "none yet: the store has no finished run"
        raise UserError(f"name an outcome with --outcome, for example one of {shown}")
    found = sensitivity(opened, outcome, method, sweep=record.id)
    files = {}
    if report and can_report():
        from experiments.analysis_reports import sensitivity_report

        page = page_path(out, store, f"sensitivity-{outcome}.html")
        files["report"] = str(sensitivity_report(found, source_facts(opened, record)).write(page))
    _show_sensitivity(found, files, as_json)


@discover_app.default
def discover_command(
    store: Path,
    /,
    *,
    where: str,
    sweep: str | None = None,
    out: Path | None = None,
    as_json: Json = False,
    report: bool = True,
) -> None:
    """Find the box of the parameter space in which a condition holds (PRIM), with coverage and density.

    Parameters
    ----------
    store
        Folder of the sweep.
    where
        SQL over the outcomes (`watersellers report STORE` lists them), for example "labs_operating_profit > 0".
    sweep
        Beginning of the sweep's id, where the store holds several.
    out
        The HTML report; by default STORE/discovery.html.
    report
        Write the HTML report.
    """
    from experiments.discovery import cases_of, find_box
    from experiments.stores import Store

    opened = Store(store)
    record = opened.sweep(sweep)
    cases, interesting, points = cases_of(opened, record, where)
    found = find_box(cases, interesting, where, points)
    files = {}
    if report and can_report():
        from experiments.analysis_reports import discovery_report

        page = page_path(out, store, "discovery.html")
        facts = source_facts(opened, record)
        files["report"] = str(discovery_report(found, cases, interesting, facts).write(page))
    _show_discovery(found, cases, files, as_json)


def page_path(out: Path | None, folder: Path, name: str) -> Path:
    """Return where an HTML report goes: `out`, `name` in it where it is a folder, or `name` in `folder`."""
    path = folder / name if out is None else out if out.suffix == ".html" else out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def source_facts(store: "Store", record: "SweepRecord") -> dict[str, str]:
    """Return what a report says of the sweep that its numbers come from."""
    design = record.design
    return {
        "store": str(store.path),
        "sweep": f"{record.id}, {design.method}",
        "scenario": str(store.scenario(record.id).get("name", design.scenario)),
        "points": f"{record.points} x {design.replicates} replicate{'s' if design.replicates != 1 else ''}",
        "code": str(store.manifest["fingerprint"])[:12],
    }


def _show_sensitivity(found: "Sensitivity", files: dict[str, str], as_json: bool) -> None:
    from experiments.analysis_reports import sensitivity_lead
    from experiments.outcomes import outcome_units
    from experiments.summaries import plain

    unit = outcome_units([found.outcome])[found.outcome]
    if as_json:
        content: dict[str, Any] = {
            "outcome": found.outcome,
            "unit": unit,
            "method": found.method,
            "used": found.used,
            "planned": found.planned,
            "text": sensitivity_lead(found).replace("`", ""),
            "factors": [
                {"factor": each.factor, "role": each.role}
                | {n: dict(zip(("estimate", "low", "high"), x, strict=True)) for n, x in each.indices.items()}
                for each in found.effects
            ],
            "files": files,
        }
        print(json.dumps(plain(content), indent=2, allow_nan=False))
        return
    from rich.console import Console

    from experiments.analysis_reports import short_index_rows
    from experiments.tables import lean_table

    console = Console()
    heads, rows = short_index_rows(found, unit)
    table = lean_table(
        f"What moves {found.outcome} ({found.used} of {found.planned} complete)", *heads, wrap=True, whole_names=True
    )
    for row in rows:
        table.add_row(*(cell.replace(" ", "\u00a0") for cell in row))
    console.print(table)
    console.print(sensitivity_lead(found).replace("`", ""), highlight=False, markup=False)
    print_files(files)


def _show_discovery(found: "Discovery", cases: Any, files: dict[str, str], as_json: bool) -> None:
    from experiments.analysis_reports import discovery_lead, limit_words
    from experiments.summaries import plain

    box = found.box
    if as_json:
        content = {
            "condition": found.condition,
            "runs": found.cases,
            "interesting": found.interesting,
            "held_out": found.held_out,
            "held_out_interesting": found.held_out_interesting,
            "coverage": box.coverage,
            "density": box.density,
            "mass": box.mass,
            "limits": {
                path: (list(limit) if isinstance(limit, tuple) else sorted(map(str, limit)))
                for path, limit in box.limits.items()
            },
            "limit_words": {path: limit_words(limit, cases[path]) for path, limit in box.limits.items()},
            "p_values": dict(found.p_values),
            "text": discovery_lead(found, cases).replace("`", ""),
            "files": files,
        }
        print(json.dumps(plain(content), indent=2, allow_nan=False))
        return
    from rich.console import Console

    from experiments import formats as f
    from experiments.tables import lean_table

    console = Console()
    console.print(discovery_lead(found, cases).replace("`", ""), highlight=False, markup=False)
    table = lean_table(f"Where {found.condition}", "parameter", "limit", "p value", wrap=True, whole_names=True)
    for path, limit in box.limits.items():
        table.add_row(path, limit_words(limit, cases[path]), f.digits(found.p_values[path]))
    if box.limits:
        console.print(table)
    print_files(files)
