"""The page on experiments is made of result files alone: its generator, on a small run of toy."""

import contextlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from experiments import all_experiments, docs_experiments, faults
from experiments.all_experiments import SIZES, WORLDS, Size, Step, run_all, steps
from experiments.cli import main
from experiments.docs_experiments import BLOCK, TEMPLATE, Results, blocks, page, write_page
from experiments.docs_words import number, pivot, runs_of, spanned
from experiments.errors import RunFailure, UserError
from experiments.formats import money

ROOT = Path(__file__).parents[2]
TINY = Size("tiny", 5, 2, 5, ("--quick", "--claim", "equity-order", "quota"), ("no-news",), 4, ("ad-scandal",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of everything on toy, two months long."""
    place = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(all_experiments, "_result_of", in_this_process)
        patch.setattr(faults, "check_faults", partial(faults.check_faults, diagonal=True))
        run_all(TINY, "toy", place, workers=1)
    return place


def in_this_process(step: Step, _: int | None) -> Any:
    """Do a step without a process of its own, which costs more than the step."""
    printed = io.StringIO()
    more = ["--workers", "1"] if step.parallel else []
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as left:
        main([*step.arguments, *more, "--json"])
    assert left.value.code in step.codes, step.command
    return json.loads(printed.getvalue())


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "copy"
    place.mkdir()
    for path in folder.glob("*.json"):
        shutil.copy(path, place)
    yield place


def test_the_template_holds_no_number_and_every_block() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert sorted(BLOCK.findall(text)) == sorted(blocks())
    prose = re.sub(r"`[^`]*`|\([^)]*\.md\)", "", text)
    assert re.findall(r"\d+", prose.replace("95 % interval", "")) == []


def test_the_page_holds_what_the_files_hold(folder: Path, tmp_path: Path) -> None:
    text = write_page(folder, tmp_path / "docs").read_text(encoding="utf-8")
    assert not BLOCK.search(text) and "{" not in re.sub(r"`[^`]*`", "", text)
    assert "do not edit" in text and "nan" not in text.lower().replace("finan", "")
    results = Results(folder)
    said = results["monetise"]
    profit = next(r for r in said["intervals"] if r["arm"] == "free" and r["outcome"] == "operating_profit")
    assert spanned(money, profit["low"], profit["high"], profit["mean"]) in text
    for claim in results["hypotheses"]["claims"]:
        assert f"`{claim['claim']}` {claim['statement']} | **{claim['verdict']}**" in text
    assert results["shock-deepseek"]["reading"] in text and results["shock-ad-scandal"]["reading"] in text
    assert results["discover"]["text"] in text and results["sensitivity"]["text"] in text
    assert results["compare"]["text"] in text
    for question in said["questions"].values():
        assert question["answer"] in text
    for step in results.steps:
        assert f"`{results.record(step)['command']}`" in text
    assert text.count(results.fingerprint[:12]) > 10


def test_another_result_gives_another_page(copy: Path) -> None:
    before = page(Results(copy))
    path = copy / "hypotheses.json"
    record = json.loads(path.read_text())
    record["result"]["claims"][0] |= {"verdict": "inconclusive", "effect": 0.98765, "needed": 77}
    path.write_text(json.dumps(record))
    after = page(Results(copy))
    assert "| 0.988 |" in after and "| 0.988 |" not in before and "77.0" in after


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("monetise.json", lambda path: path.unlink(), "monetise.json is missing"),
        ("steps.json", lambda path: path.unlink(), "steps.json is missing"),
        ("sweep.json", lambda path: path.write_text(path.read_text()[:500]), "sweep.json is cut short or damaged"),
        ("faults.json", lambda path: path.write_text("[]"), "faults.json is no result of an experiment"),
        ("compare.json", lambda path: _change(path, fingerprint="f" * 64), "of different model code"),
        ("discover.json", lambda path: _change(path, result={}), "what the block 'discover' needs"),
        ("shock-deepseek.json", lambda path: _change(path, result=None), "what the block 'deepseek_made' needs"),
    ],
)
def test_results_that_are_not_whole_are_refused(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, spoil: Any, words: str
) -> None:
    spoil(copy / name)
    docs = tmp_path / "docs"
    assert docs_experiments.main(["--results", str(copy), "--docs", str(docs)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and words in said and "Traceback" not in said
    assert not docs.exists()


def _change(path: Path, **new: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | new))


def test_steps_that_are_there_are_not_done_again(
    copy: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(all_experiments, "_result_of", lambda step, _: pytest.fail(f"{step.name} was done again"))
    run_all(TINY, "toy", folder)
    assert capsys.readouterr().out.count("is there") == len(steps(TINY, "toy", folder))
    _change(folder / "compare.json", fingerprint="f" * 64)
    with pytest.raises(BaseException, match="compare was done again"):
        run_all(TINY, "toy", folder)
    shutil.copy(copy / "compare.json", folder)
    with pytest.raises(BaseException, match="sweep was done again"):
        run_all(TINY, "toy", folder, again=["sweep"])
    with pytest.raises(UserError, match="there is no step 'sweeps'"):
        run_all(TINY, "toy", folder, again=["sweeps"])


def test_a_step_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = all_experiments.Step("broken", ("shock", "nothing-like-this", "toy"))
    monkeypatch.setattr(all_experiments, "steps", lambda *_: [broken])
    with pytest.raises(RunFailure, match="broken failed with exit code 2"):
        run_all(TINY, "toy", tmp_path, workers=1)
    with pytest.raises(UserError, match="no experiments are set down for '2030'"):
        steps(TINY, "2030", tmp_path)


@pytest.mark.parametrize("scenario", WORLDS)
def test_every_size_has_all_steps(scenario: str, tmp_path: Path) -> None:
    for size in SIZES.values():
        names = [step.name for step in steps(size, scenario, tmp_path)]
        assert len(names) == len(set(names)) == 18
    full = steps(SIZES["full"], scenario, tmp_path)
    assert "--quick" not in " ".join(step.command for step in full)
    assert any("--faults" in step.arguments for step in full)


def test_words() -> None:
    assert runs_of([1, 2, 3, 7, 9, 10]) == "1 to 3, 7, 9 to 10" and runs_of([]) == "none"
    assert spanned(money, None, 1.0) == "–" and spanned(money, 1.0, 2.0, 1.5) == "$1.50 ($1.00 to $2.00)"
    assert str(number(None)) == "nan"
    rows = [{"a": 1, "b": 2.0, "x": "p"}, {"a": 1, "b": 3.0, "x": "q"}]
    assert pivot(rows, "a", "b", lambda row: row["x"], "at {}").splitlines()[-1] == "| 1.00 | p | q |"


def test_the_page_in_the_documentation_was_made() -> None:
    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert text.splitlines()[2].startswith("Written by `python -m experiments.docs_experiments`")
    heads = [line for line in TEMPLATE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert [line for line in text.splitlines() if line.startswith("#")] == heads
