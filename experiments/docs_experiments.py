"""The page of the documentation on experiments, made of the result files of `experiments.all_experiments`.

    python -m experiments.docs_experiments --results results/experiments --docs docs

No number of the page is typed: the template holds prose and names of blocks, the blocks are tables of results.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.all_experiments import LIST
from experiments.docs_command import tell_written
from experiments.errors import RunFailure

TEMPLATE = Path(__file__).parent / "templates" / "experiments.md"
PAGE = "experiments.md"
BLOCK = re.compile(r"^\{(\w+)\}$", re.M)
_KEYS = ("command", "size", "scenario", "fingerprint", "seconds", "result")


class Results:
    """A folder of result files, all of them whole and of the same code; RunFailure that names the file otherwise."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        listed = self._read(self.folder / LIST, ("steps", "size", "scenario"))
        self.steps: tuple[str, ...] = tuple(listed["steps"])
        self.scenario, self.size = str(listed["scenario"]), str(listed["size"])
        self._records = {name: self._read(self.folder / f"{name}.json", _KEYS) for name in self.steps}
        codes = {str(record["fingerprint"]): name for name, record in self._records.items()}
        if len(codes) > 1:
            named = ", ".join(f"{name} of {code[:12]}" for code, name in codes.items())
            raise RunFailure(f"results in {self.folder} are of different model code ({named}): {self._again}")
        self.fingerprint = next(iter(codes), "")

    def __getitem__(self, step: str) -> Any:
        """The result of a step."""
        return self.record(step)["result"]

    def record(self, step: str) -> Mapping[str, Any]:
        """Return the result of a step with its command and time."""
        if step not in self._records:
            raise RunFailure(f"results in {self.folder} have no step {step!r}: {self._again}")
        return self._records[step]

    def like(self, start: str) -> list[str]:
        """Return the steps whose names begin so."""
        return [name for name in self.steps if name.startswith(start)]

    @property
    def _again(self) -> str:
        return f"run `python -m experiments.all_experiments --results {self.folder}` again"

    def _read(self, path: Path, keys: Sequence[str]) -> Mapping[str, Any]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunFailure(f"{path} is missing: {self._again}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise RunFailure(f"{path} cannot be read ({error}): {self._again}") from None
        except ValueError as error:
            raise RunFailure(f"{path} is cut short or damaged ({error}): {self._again}") from None
        missing = [key for key in keys if not isinstance(content, dict) or key not in content]
        if missing:
            raise RunFailure(f"{path} is no result of an experiment, it lacks {missing[0]!r}: {self._again}")
        found: Mapping[str, Any] = content
        return found


def blocks() -> dict[str, Callable[[Results], str]]:
    """Return what fills the template, by the name of its place."""
    from experiments import docs_experiment_blocks as other
    from experiments import docs_monetise_blocks as arms

    return {**arms.BLOCKS, **other.BLOCKS}


def page(results: Results) -> str:
    """Return the text of the page; RunFailure where the results lack something."""
    made = blocks()

    def fill(found: "re.Match[str]") -> str:
        try:
            return made[found[1]](results)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise RunFailure(
                f"the results in {results.folder} lack what the block {found[1]!r} needs ({error!r}): "
                "they were made by another version; do that step anew with `--again STEP`"
            ) from error

    return BLOCK.sub(fill, TEMPLATE.read_text(encoding="utf-8"))


def write_page(results: str | Path, docs: str | Path) -> Path:
    """Write the page into the documentation and return its path; RunFailure for results that are not whole."""
    from experiments.parts import write_text

    text = page(Results(results))
    target = Path(docs) / PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, text)
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results/experiments"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    asked = parser.parse_args(arguments)
    return tell_written(lambda: [write_page(asked.results, asked.docs)])


if __name__ == "__main__":
    sys.exit(main())
