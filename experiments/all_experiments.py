"""All experiments of the documentation, one after the other, into one folder, and the page that is made of them.

    python -m experiments.all_experiments --size quick --results results/experiments --docs docs

`make experiments SIZE=full` does the same. Every step is a command of `watersellers`; what it prints as JSON is
kept in FOLDER/STEP.json together with the command, its time and the fingerprint of the code. A step that is there
already, of the same command and model code, is not done again unless `--again` asks for it by name.
"""

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.errors import RunFailure, UserError

EXAMPLES = Path(__file__).parent / "examples"
LIST = "steps.json"
"""File of a folder that says which steps belong to it."""
OTHER_SHOCKS = (
    "open-weights",
    "export-control",
    "funding-drought",
    "api-price",
    "ad-scandal",
    "acquisition-pulse",
    "price-war",
    "capacity-loss",
)
"""Event studies that the page gives one line each; the DeepSeek moment has a section of its own."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run: replicates of arms and pairs, options of `hypotheses`, faults and base points (none: all)."""

    name: str
    arm_replicates: int
    months: int
    pairs: int
    claims: tuple[str, ...]
    faults: tuple[str, ...]
    points: int | None
    shocks: tuple[str, ...] = OTHER_SHOCKS


@dataclass(frozen=True, slots=True)
class World:
    """What is looked at in one scenario: apps, design, outcome, condition, and the change of the second run."""

    apps: tuple[str, ...]
    design: str
    outcome: str
    where: str
    change: str


SIZES = {
    "quick": Size("quick", 5, 24, 5, ("--quick",), ("no-news", "no-make-or-buy", "loyal-users", "euphoria"), 16),
    "middle": Size("middle", 10, 24, 8, ("--quick",), ("no-news", "no-make-or-buy", "loyal-users", "euphoria"), None),
    "full": Size("full", 16, 24, 12, (), (), None),
}
WORLDS = {
    "2025": World(
        ("perplexity", "nami"), "design-2025-sobol", "apps_operating_profit",
        "apps_cents_per_final_dollar > chips_cents_per_final_dollar", "mechanisms.chip_scarcity=false",
    ),
    "toy": World(
        ("search",), "design-toy-sobol", "apps_operating_profit",
        "apps_operating_profit > 0", "mechanisms.chip_scarcity=false",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One command: what follows `watersellers`, whether it takes `--workers`, and the exit codes of a result."""

    name: str
    arguments: tuple[str, ...]
    parallel: bool = True
    codes: tuple[int, ...] = (0,)

    @property
    def command(self) -> str:
        """The command as a reader types it."""
        return shlex.join(("watersellers", *self.arguments))


def steps(size: Size, scenario: str, folder: Path) -> list[Step]:
    """Return all commands, in the order in which they must be done; UserError for a scenario that has none."""
    if scenario not in WORLDS:
        raise UserError(f"no experiments are set down for {scenario!r}; there are {', '.join(WORLDS)}")
    world, pairs = WORLDS[scenario], str(size.pairs)

    def out(name: str) -> tuple[str, str]:
        return ("--out", str(folder / name))

    arms = ("--replicates", str(size.arm_replicates), "--months", str(size.months))
    planted = ("--fault", *size.faults) if size.faults else ("--faults",)
    store = str(folder / "sweep")
    return [
        Step("monetise", ("monetise", scenario, "--apps", *world.apps, *arms, *out("monetise"))),
        Step("hypotheses", ("hypotheses", "--scenario", scenario, *size.claims, *out("hypotheses"))),
        Step("faults", ("hypotheses", *planted, *out("faults")), codes=(0, 1)),
        *(
            Step(f"shock-{event}", ("shock", event, scenario, "--replicates", pairs, *out(f"shock-{event}")))
            for event in ("deepseek", *size.shocks)
        ),
        Step("sweep", ("sweep", design(size, world, folder), "--out", store)),
        Step("sensitivity", ("sensitivity", store, "--outcome", world.outcome), parallel=False),
        Step("discover", ("discover", store, "--where", world.where), parallel=False),
        Step("run-as-it-is", ("run", scenario, *out("run-as-it-is")), parallel=False),
        Step("run-changed", ("run", scenario, "--set", world.change, *out("run-changed")), parallel=False),
        Step("compare", ("compare", *(str(folder / f"run-{which}") for which in ("as-it-is", "changed")),
                         "--out", str(folder / "compare.html")), parallel=False),
    ]  # fmt: skip


def design(size: Size, world: World, folder: Path) -> str:
    """Return the shipped design by name, or a copy of it with fewer base points in the folder."""
    if size.points is None:
        return world.design
    text = (EXAMPLES / f"{world.design}.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    path = folder / f"{world.design}-{size.name}.toml"
    path.write_text(re.sub(r"^n = \d+", f"n = {size.points}", "\n".join(lines).lstrip(), flags=re.M) + "\n", "utf-8")
    return str(path)


def run_all(size: Size, scenario: str, folder: Path, workers: int | None = None, again: Sequence[str] = ()) -> None:
    """Do every step that the folder does not hold yet, and those of `again`, of which "all" means all.

    UserError for a step that there is not, RunFailure where one fails: those before it are kept.
    """
    from experiments.fingerprint import fingerprint

    try:
        folder.mkdir(parents=True, exist_ok=True)
        todo = steps(size, scenario, folder)
    except OSError as error:
        raise RunFailure(f"cannot write to {folder}: {error.strerror}") from error
    names = [step.name for step in todo]
    if unknown := sorted({*again} - {"all", *names}):
        raise UserError(f"there is no step {unknown[0]!r}; there are {', '.join(names)}")
    _drop_other_code(folder / "sweep", fingerprint())
    listed = {"size": size.name, "scenario": scenario, "steps": names}
    _write(folder / LIST, json.dumps(listed, indent=1))
    for step in todo:
        known = {"command": step.command, "size": size.name, "scenario": scenario, "fingerprint": fingerprint()}
        path = folder / f"{step.name}.json"
        if not {"all", step.name} & {*again} and _is_done(path, known):
            print(f"{step.name}: is there", flush=True)
            continue
        print(f"{step.name}: {step.command}", flush=True)
        started = time.perf_counter()
        result = _result_of(step, workers)
        record = {**known, "seconds": time.perf_counter() - started, "result": result}
        _write(path, json.dumps(record, indent=1))
        print(f"{step.name}: {record['seconds']:.0f} s", flush=True)


def _result_of(step: Step, workers: int | None) -> Any:
    """Run a command in a process of its own and return the JSON that it prints."""
    more = ("--workers", str(workers)) if workers is not None and step.parallel else ()
    command = [sys.executable, "-m", "experiments.cli", *step.arguments, *more, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in step.codes:
        raise RunFailure(f"{step.name} failed with exit code {done.returncode}: {step.command}")
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise RunFailure(f"{step.name} printed no JSON ({error}): {step.command}") from error


def _is_done(path: Path, known: dict[str, str]) -> bool:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and known.items() <= {k: v for k, v in record.items() if k in known}.items()


def _drop_other_code(store: Path, fingerprint: str) -> None:
    """Remove the sweep's store where other code made it, which a sweep would refuse."""
    from experiments.stores import Store

    if (store / "manifest.json").exists() and Store(store).manifest["fingerprint"] != fingerprint:
        shutil.rmtree(store)


def _write(path: Path, text: str) -> None:
    from experiments.parts import write_text

    write_text(path, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the experiments and write the page; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=[*SIZES], default="quick")
    parser.add_argument("--scenario", choices=[*WORLDS], default="2025")
    parser.add_argument("--results", type=Path, default=Path("results/experiments"))
    parser.add_argument("--docs", type=Path, help="folder in which experiments.md is written anew")
    parser.add_argument("--workers", type=int, help="processes; as many as the machine has by default")
    parser.add_argument(
        "--again", nargs="+", default=[], metavar="STEP", help="steps that are done anew; `all` for all"
    )
    asked = parser.parse_args(arguments)
    try:
        run_all(SIZES[asked.size], asked.scenario, asked.results, asked.workers, asked.again)
        if asked.docs is not None:
            from experiments.docs_experiments import write_page

            print(f"wrote {write_page(asked.results, asked.docs)}")
    except (UserError, RunFailure) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped by Ctrl-C: finished steps are kept, the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
