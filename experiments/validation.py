"""The scoreboard: how well the model does on limits, on measured silicon, and on facts it was not fitted to.

from experiments import validate
board = validate("2025")
print(board.table())

Every replicate of every world is one run; worlds with the same replicate share their random numbers.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.checks import SECTIONS, Check, Key, Row, Status, evaluate, judge, lacking, load
from experiments.errors import UserError
from experiments.summaries import plain
from experiments.worlds import build

if TYPE_CHECKING:
    import pandas as pd

    from ecosystem.spec import Spec

__all__ = ["TITLES", "Scoreboard", "validate"]

Progress = Callable[[int, int], None]
Change = Callable[["Spec"], "Spec"]
QUICK_SEEDS = 5
FEWEST_SEEDS = 30
"""Replicates of a scoreboard that is to be quoted."""
TITLES = {
    "limits": "Exact limits",
    "kernel": "Kernel on measured silicon",
    "targets": "Calibration targets",
    "facts": "Stylised facts",
    "sizes": "Sizes of mechanisms that are easily toys",
    "readings": "It must make sense: readings of the scenario",
    "robustness": "Robustness: hypotheses over up to +-30 % of all judgement parameters at once",
}
"""Classes of rows in the order of the scoreboard."""


@dataclass(frozen=True)
class Scoreboard:
    """All rows, with what they were made from. No row is left out because it fails."""

    scenario: str
    seeds: int
    fingerprint: str
    seconds: float
    rows: tuple[Row, ...]

    def section(self, name: str) -> list[Row]:
        """Return the rows of one class."""
        return [row for row in self.rows if row.section == name]

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return (passed, computed, not computed) by class."""
        found = {}
        for name in TITLES:
            rows = self.section(name)
            computed = [row for row in rows if row.status != "not computed"]
            passed = sum(row.status == "pass" for row in computed)
            found[name] = (passed, len(computed), len(rows) - len(computed))
        return found

    def table(self) -> "pd.DataFrame":
        """Return the rows as a table."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """Return the scoreboard as plain data; figures that are unknown are None."""
        counts = {
            name: {"passed": passed, "of": of, "not_computed": missing}
            for name, (passed, of, missing) in self.counts().items()
        }
        rows = [plain(asdict(row)) for row in self.rows]
        head = {"scenario": self.scenario, "seeds": self.seeds, "fingerprint": self.fingerprint}
        return {**head, "seconds": round(self.seconds, 1), "passed": counts, "rows": rows}

    def to_html(self, path: str | Path) -> Path:
        """Write the scoreboard as one HTML page that needs no network."""
        from experiments.scoreboards import scoreboard_report

        return scoreboard_report(self).write(path)

    def save(self, path: str | Path) -> Path:
        """Write the scoreboard as JSON."""
        from experiments.parts import write_text

        target = Path(path)
        write_text(target, json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")
        return target

    @classmethod
    def load(cls, path: str | Path) -> "Scoreboard":
        """Read a saved scoreboard back; UserError if it is none."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            head = {name: content[name] for name in ("scenario", "seeds", "fingerprint", "seconds")}
            rows = tuple(_row(each) for each in content["rows"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is not a saved scoreboard: {error}") from None
        return cls(**head, rows=rows)


def validate(
    spec: "Spec | str | Path" = "2025",
    *,
    seeds: int | None = None,
    quick: bool = False,
    robustness_store: str | Path | None = None,
    estimates: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Scoreboard:
    """Make the scoreboard of a scenario.

    `seeds`: replicates of every world, 30 by default. `quick`: five of them, and neither the limit tests nor the
    refits of the kernel. `robustness_store`: what `watersellers validate --robustness` wrote for the scenario; the
    scenario's own by default. `estimates`: a saved calibration, at whose estimates all worlds are run in place of the
    shipped values. `workers`: processes; as many as processors where it pays. SpecError for a scenario that cannot be
    run.
    """
    from experiments.calibration import at_estimates
    from experiments.fingerprint import fingerprint
    from experiments.robustness import robustness_rows
    from experiments.runs import resolved

    started = time.perf_counter()
    count = seeds if seeds is not None else QUICK_SEEDS if quick else FEWEST_SEEDS
    if count < 2:
        raise UserError(f"a scoreboard needs at least two replicates, not {count}")
    change = None if estimates is None else at_estimates(estimates)
    base = resolved(spec)
    name = base.name if estimates is None else f"{base.name} at the estimates of {Path(estimates).name}"
    rows = [*limit_rows(quick=quick), *kernel_rows(quick=quick)]
    rows += check_rows(base, range(count), change=change, workers=workers, progress=progress)
    rows += robustness_rows(robustness_store, base if change is None else change(base))
    seconds = time.perf_counter() - started
    return Scoreboard(name, count, fingerprint(), seconds, tuple(rows))


# --- rows that need no runs --------------------------------------------------------------------------------------


def limit_rows(*, quick: bool = False) -> list[Row]:
    """Return the exact limits."""
    from experiments.limits import TEST_FILES, Limit, identities, tested_limits

    skipped = [Limit(name, name, "passes", "left out by --quick", None, "model.md 7") for name in TEST_FILES]
    found = []
    for limit in [*identities(), *(skipped if quick else tested_limits())]:
        status: Status = "not computed" if limit.passed is None else "pass" if limit.passed else "miss"
        found.append(Row("limits", limit.id, "", limit.title, limit.expected, limit.found, status, limit.source))
    return found


def kernel_rows(*, quick: bool = False) -> list[Row]:
    """Return the kernel's accuracy on measured rows: halves, leave-one-out, wide points, the day."""
    from experiments.kernel_reports import protocol_report, score_report

    report, measured, predicted = score_report(None)
    if quick:
        overall = report["overall"]
        found = f"median {100.0 * overall['median']:.1f} %, p90 {100.0 * overall['p90']:.1f} % of {overall['count']}"
        return [Row("kernel", "all", "", "all measured rows", "report", found, "not computed", "throughput.csv")]
    protocol = protocol_report(measured, predicted)
    rows = [
        _goal_row(f"goal-{i}", each["what"], each["value"], each["goal"]) for i, each in enumerate(protocol["goals"])
    ]
    for name, what in (("leave_one_accelerator_out", "accelerator"), ("leave_one_model_out", "model")):
        score = protocol[name][-1]
        rows.append(_goal_row(f"{name}-median", f"median error, {what}s left out of the fit", score["median"], 0.12))
        rows.append(_goal_row(f"{name}-p90", f"90th percentile, {what}s left out of the fit", score["p90"], 0.40))
    half = protocol["fit_half"]
    rows.append(_goal_row("fit-half", "median error, rows that were fitted", half["median"], 0.12))
    return rows


def _goal_row(name: str, title: str, value: float, goal: float) -> Row:
    status: Status = "pass" if value <= goal else "miss"
    expected, found = f"at most {100.0 * goal:.3g} %", f"{100.0 * value:.2g} %"
    source = "throughput.csv, wide_ep.csv; kernel.md"
    return Row("kernel", name, "", title, expected, found, status, source, unit="1", value=value, n=1)


# --- rows from runs ----------------------------------------------------------------------------------------------


def check_rows(
    base: "Spec",
    replicates: Sequence[int],
    *,
    change: Change | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    sections: Sequence[str] = SECTIONS,
) -> list[Row]:
    """Run every world that the checks of some sections need and return their rows; `change` as in `build`."""
    checks = [(section, check) for section in SECTIONS if section in sections for check in load(section)]
    asked = [check for _, check in checks]
    values, problems = run_worlds(base, asked, replicates, change=change, workers=workers, progress=progress)
    return [_row_of(section, check, values, problems) for section, check in checks]


def _row_of(section: str, check: Check, values: Mapping[Key, list[Any]], problems: Mapping[str, str]) -> Row:
    if check.static:
        from experiments import statics

        return judge(section, check, [float(getattr(statics, check.static)())])
    broken = next((problems[world] for world in check.worlds if world in problems), "")
    broken = broken or lacking(check, values)
    return judge(section, check, [] if check.why_not or broken else evaluate(check, values), broken)


def run_worlds(
    base: "Spec",
    checks: Sequence[Check],
    replicates: Sequence[int],
    *,
    change: Change | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[dict[Key, list[Any]], dict[str, str]]:
    """Return the moments that checks need, by replicate, and the worlds that cannot be built, with the reason.

    A moment is None where a run broke off or says nothing, `Lacking` where it is about what the scenario has not.
    """
    from experiments.paired import Crew
    from experiments.world_runs import run_specs

    specs, problems = _built(base, sorted({world for check in checks for world in check.worlds}), change)
    with Crew(workers, progress) as crew:
        return run_specs(specs, checks, replicates, crew), problems


def _built(base: "Spec", names: Sequence[str], change: Change | None) -> "tuple[dict[str, Spec], dict[str, str]]":
    """Build worlds; one that the scenario does not allow is a problem of its checks, not of the scoreboard."""
    from ecosystem.spec import SpecError

    specs, problems = {}, {}
    for name in names:
        try:
            specs[name] = build(name, base, change)
        except (SpecError, KeyError) as error:
            problems[name] = f"the scenario does not allow the world {name!r}: {error}"
    return specs, problems


def _row(content: Mapping[str, Any]) -> Row:
    numbers = ("value", "low", "high", "right")
    known: dict[str, Any] = {k: math.nan if v is None and k in numbers else v for k, v in content.items()}
    return Row(**known)
