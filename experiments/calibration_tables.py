"""What `watersellers calibrate` prints."""

from typing import TYPE_CHECKING

from experiments.checks import band_text

if TYPE_CHECKING:
    from rich.console import Console

    from experiments.calibration import CalibrationResult


def print_calibration(console: "Console", result: "CalibrationResult") -> None:
    """Print parameters with intervals, the fit, and which parameters the targets do not pin."""
    from rich import box
    from rich.table import Table

    table = Table(title="Parameters", box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for head in ("parameter", "range", "prior", "shipped", "estimate", "95 % interval", "pinned"):
        table.add_column(head)
    for each in result.estimates:
        ends = f"{each.low:.3g} to {each.high:.3g}"
        span = f"{each.span[0]:g} to {each.span[1]:g}"
        pinned = "yes" if each.pinned else "no"
        values = (f"{value:.3g}" for value in (each.prior, each.shipped, each.value))
        table.add_row(each.name, span, *values, ends, pinned)
    console.print(table)
    fit = Table(title="Fit", box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for head in ("target", "band", "shipped", "fitted", "inside", "searched on"):
        fit.add_column(head, overflow="fold")
    for row in result.fit:
        marks = ["yes" if mark else "no" for mark in (row.inside, row.searched)]
        fit.add_row(row.title, band_text(row.band), f"{row.shipped:.3g}", f"{row.fitted:.3g}", *marks)
    console.print(fit)
    fitted, guarded = ([row.inside for row in result.fit if row.guard is kind] for kind in (False, True))
    console.print(
        f"{sum(fitted)} of {len(fitted)} targets and {sum(guarded)} of {len(guarded)} guards inside their bands; "
        f"distance {result.distance_shipped:.0f} at the shipped parameters, {result.distance:.0f} at the estimates, "
        f"which are {result.pull:.0f} from the prior; "
        f"{result.evaluations} evaluations of {result.seeds} replicates in {result.seconds:.0f} s",
        highlight=False,
    )
    if result.misfit > 1.0:
        console.print(
            f"The smallest distance is {result.misfit:.1f} times its degrees of freedom: intervals are wider by it",
            highlight=False,
        )
    console.print(f"Again: {result.command}", highlight=False)
