"""The how-to on a first sweep: a template whose commands are run, with what they print below them.

    python -m experiments.docs_first_sweep --docs docs

takes some minutes. No number of the page is typed. In the template `{run: COMMAND}` stands for a command of
`watersellers` and its output, `{only: COMMAND}` for one that is run without showing the output, `{worst}` for the key
of the run in which apps earn least, `{design}` for the shipped design and `{code}` for the fingerprint of the code.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.docs_command import tell_written
from experiments.errors import RunFailure

TEMPLATE = Path(__file__).parent / "templates" / "first-sweep.md"
DESIGN = Path(__file__).parent / "examples" / "design-2025.toml"
PAGE = "how-to/first-sweep.md"
STORE = "results/design-2025"
WIDTH = 80
COMMAND = re.compile(r"^\{(run|only): (.+)\}$", re.M)


def page(run: Callable[[str], str], worst: Callable[[], str]) -> str:
    """Return the page; `run` does a command and returns what it prints, `worst` tells the key of a run to replay.

    Commands are run from top to bottom.
    """
    from experiments.fingerprint import fingerprint

    def show(found: "re.Match[str]") -> str:
        command = found[2].replace("{worst}", worst()) if "{worst}" in found[2] else found[2]
        said = run(command)
        return f"    {command}" + (f"\n\n```\n{said}\n```" if found[1] == "run" else "")

    text = TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("{design}", DESIGN.read_text(encoding="utf-8").strip())
    return COMMAND.sub(show, text.replace("{code}", fingerprint()[:12]))


def write_page(docs: str | Path) -> Path:
    """Run the commands in a folder of their own, write the page and return its path; RunFailure where one fails."""
    from experiments.parts import write_text
    from experiments.stores import Store

    with tempfile.TemporaryDirectory() as folder:

        def worst() -> str:
            query = "SELECT key FROM results ORDER BY apps_operating_profit, key LIMIT 1"
            return str(Store(Path(folder) / STORE).query(query)["key"].iloc[0])[:12]

        text = page(lambda command: _output(command, Path(folder)), worst)
    target = Path(docs) / PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, text)
    return target


def _output(command: str, folder: Path) -> str:
    """Return what a command prints, without where its files are."""
    name, *arguments = shlex.split(command)
    if name != "watersellers":
        raise RunFailure(f"the template has a command that is not watersellers: {command}")
    root = Path(__file__).parents[1]
    environment = {**os.environ, "COLUMNS": str(WIDTH), "PYTHONPATH": str(root)}
    print(f"watersellers {' '.join(arguments)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "experiments.cli", *arguments],
        cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RunFailure(f"exit code {done.returncode}: {command}")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "\n".join(line for line in lines if not re.match(r"(store|report|results): ", line)).strip("\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    asked = parser.parse_args(arguments)
    return tell_written(lambda: [write_page(asked.docs)])


if __name__ == "__main__":
    sys.exit(main())
