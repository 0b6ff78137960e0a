"""The command line: a table of subcommands that are imported when they are called, and exit codes.

Exit codes: 0 it ran; 1 it failed; 2 it was asked for something that cannot be; 3 a claim is refuted and `--fail-on`
asked to be told; 130 stopped by Ctrl-C.
"""

import sys
from importlib.util import find_spec
from typing import Any

from cyclopts import App, CycloptsError

from experiments.errors import RunFailure, UserError

COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("run", "experiments.run_command:app", "Run a scenario and say who earns."),
    ("sweep", "experiments.sweep_commands:sweep_app", "Run a design, what is varied, into a store."),
    ("sensitivity", "experiments.analysis_commands:sensitivity_app", "Which factors of a store move an outcome."),
    ("discover", "experiments.analysis_commands:discover_app", "Where in a store a condition holds."),
    ("compare", "experiments.compare_commands:compare_app", "What differs between two runs or two stores."),
    ("report", "experiments.compare_commands:report_app", "Make the report of a saved result again."),
    ("replay", "experiments.sweep_commands:replay_app", "Repeat one run of a store, bit for bit."),
    ("scenarios", "experiments.scenarios_command:app", "List, show, start and check scenarios."),
    ("dashboard", "experiments.dashboards.command:dashboard_command", "See a scenario in the browser and turn it."),
    ("monetise", "experiments.experiment_commands:monetise_app", "Give apps other ways to earn, and compare."),
    ("hypotheses", "experiments.experiment_commands:hypotheses_app", "Test claims: verdicts with evidence."),
    ("shock", "experiments.experiment_commands:shock_app", "The same world with and without an event."),
    ("calibrate", "experiments.evidence_commands:calibrate_app", "Fit free parameters to the facts."),
    ("validate", "experiments.evidence_commands:validate_app", "The scoreboard of facts, limits and hypotheses."),
    ("kernel", "experiments.kernel:app", "What a model costs to serve on an accelerator."),
)
"""Name, place and one line of help of every subcommand; nothing of it is imported for `--help`."""

HELP = """An agent-based model of the AI value chain: who earns, chips, clouds, labs or apps?

Begin with `watersellers run`, then `watersellers scenarios show 2025`.
"""


def _version() -> str:
    from importlib.metadata import version

    from experiments.fingerprint import fingerprint

    return f"watersellers {version('watersellers')}\nfingerprint {fingerprint()}"


def make_app() -> App:
    """Return the command with all its subcommands, none of them imported."""
    app = App(
        name="watersellers", help=HELP, version=_version, version_format="plaintext", suppress_keyboard_interrupt=False
    )
    for name, place, line in COMMANDS:
        if find_spec(place.partition(":")[0]) is not None:
            app.command(place, name=name, help=line)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(_status(sys.argv[1:] if arguments is None else arguments))


def _status(arguments: list[str]) -> int:
    """Do what the arguments ask for and return the exit code."""
    try:
        result: Any = make_app()(arguments, exit_on_error=False, result_action="return_value")
        return result if isinstance(result, int) else 0
    except CycloptsError:
        return 2
    except KeyboardInterrupt:
        return _say("stopped by Ctrl-C; nothing half-written was left", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except (ValueError, RunFailure, OSError, MemoryError) as error:
        status = _status_of(error)
        if status is None:
            raise
        return _say(f"error: {error}", status)


def _status_of(error: Exception) -> int | None:
    """Return the exit code of an error that is no fault of the program, None for others."""
    if isinstance(error, UserError):
        return 2
    spec = sys.modules.get("ecosystem.spec")
    if spec is not None and isinstance(error, spec.SpecError):
        return 2
    return 1 if isinstance(error, RunFailure | OSError | MemoryError) else None


def _say(words: str, status: int) -> int:
    print(words, file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
