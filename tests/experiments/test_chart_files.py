"""Every chart of every kind of report as SVG and PNG: from the command line, and by the buttons of the page."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import cli
from experiments.calibration import CalibrationResult, Gain
from experiments.comparison import compare_runs
from experiments.comparison_report import Sides, comparison_report
from experiments.designs import Design
from experiments.errors import UserError
from experiments.events_study import shock
from experiments.hypothesis_tests import hypotheses
from experiments.monetisation import monetise
from experiments.reports import Report, charts_of_page
from experiments.run_report import run_report
from experiments.runs import run
from experiments.sensitivities import sensitivity
from experiments.stores import Store
from experiments.sweep_report import sweep_report
from experiments.sweeps import sweep
from experiments.validation import Scoreboard
from experiments.worlds import EVIDENCE

WITH_CHARTS = ("run", "sweep", "sensitivity", "compare", "monetise", "hypotheses", "shock", "calibrate")
PNG, SVG = b"\x89PNG", b"<svg"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One small report of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    store = folder / "store"
    design = Design.parse(
        {
            "scenario": "toy",
            "months": 2,
            "method": "morris",
            "n": 4,
            "levers": {"market.tax_rate": "span", "app.chat.tiers.plus.price": {"low": 10.0, "high": 30.0}},
        }
    )
    sweep(design, store, workers=1)
    opened = Store(store)
    calibrated = replace(CalibrationResult.load(EVIDENCE / "calibration.toml"), gains=(Gain(1, 9.0), Gain(4, 3.0)))
    a, b = run("toy", months=3), run("toy", months=3, seed=2)
    made: dict[str, Callable[[Path], Any]] = {
        "run": run_report(a).write,
        "sweep": sweep_report(opened, opened.sweep(None)).write,
        "sensitivity": sensitivity(store, "apps_operating_profit").to_html,
        "compare": comparison_report(
            compare_runs(a.outcomes(), b.outcomes(), {"seed": 1}, {"seed": 2}), Sides("a", "b", "run")
        ).write,
        "monetise": monetise("toy", arms=["free"], months=3, replicates=2, workers=1).to_html,
        "hypotheses": hypotheses(["equity-order"], scenario="toy", replicates=2, workers=1).to_html,
        "shock": shock("deepseek", "toy", month=1, months=5, replicates=2, workers=1).to_html,
        "calibrate": calibrated.to_html,
        "validate": Scoreboard("toy", 2, "f" * 64, 1.0, ()).to_html,
    }
    return {name: Path(write(folder / f"{name}.html") or folder / f"{name}.html") for name, write in made.items()}


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["report", *arguments])
    return int(left.value.code or 0)


@pytest.mark.parametrize("kind", WITH_CHARTS)
def test_the_command_line_saves_all_charts(kind: str, pages: Mapping[str, Path], tmp_path: Path) -> None:
    charts = charts_of_page(pages[kind])
    assert charts
    assert command(str(pages[kind]), "--svg", "--png", "--out", str(tmp_path / "charts")) == 0
    saved = sorted((tmp_path / "charts").iterdir())
    assert {path.stem for path in saved} == {name for name, _ in charts}
    assert len(saved) == 2 * len(charts) == 2 * pages[kind].read_text("utf-8").count('<div class="chart"')
    for path in saved:
        assert path.stat().st_size > 1500
        assert path.read_bytes().startswith(PNG if path.suffix == ".png" else SVG)


def test_a_scoreboard_has_no_charts_and_says_so(pages: Mapping[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(str(pages["validate"]), "--svg") == 0
    assert "has no charts" in capsys.readouterr().out


def test_a_saved_calibration_becomes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.toml"
    file.write_bytes((EVIDENCE / "calibration.toml").read_bytes())
    assert command(str(file), "--svg", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["kind"] == "calibration"
    assert said["files"] == {"report": str(tmp_path / "found.html")}
    assert len(charts_of_page(tmp_path / "found.html")) == len(said["charts"]) == 3
    assert (tmp_path / "found-charts").is_dir()
    file.write_text("a = 1", encoding="utf-8")
    assert command(str(file)) == 2


def test_the_folder_is_beside_the_page(pages: Mapping[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(str(pages["shock"]), "--svg", "--json") == 0
    charts = json.loads(capsys.readouterr().out)["charts"]
    assert {Path(chart).parent for chart in charts} == {pages["shock"].with_name("shock-charts")}


def test_what_is_no_report_is_refused(
    tmp_path: Path, pages: Mapping[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    for content, words in ((None, "cannot be read"), ("<html>", "no report of this program")):
        if content is not None:
            page.write_text(content, encoding="utf-8")
        assert command(str(page), "--svg") == 2
        assert words in capsys.readouterr().err
    assert command(str(pages["shock"])) == 2
    assert "--svg or --png" in capsys.readouterr().err
    assert command(str(pages["shock"]), "--svg", "--out", "a.svg") == 2
    assert "without an ending" in capsys.readouterr().err
    old = pages["shock"].read_text("utf-8").replace("data-name", "data-old")
    page.write_text(old, encoding="utf-8")
    with pytest.raises(UserError, match="earlier version"):
        charts_of_page(page)


def test_a_page_without_charts_has_none(tmp_path: Path) -> None:
    report = Report("t", "l")
    report.section("s").text("watersellers")
    assert charts_of_page(report.write(tmp_path / "p.html")) == []


# --- in a browser --------------------------------------------------------------------------------------------------


def _outside(url: str) -> list[str]:
    return [] if url.startswith(("file:", "data:", "blob:")) else [url]


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_every_chart_has_buttons_that_save_it(
    browser: Any, pages: Mapping[str, Path], tmp_path: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    for kind in WITH_CHARTS:
        tab = context.new_page()
        said: list[str] = []
        tab.on("console", lambda message, said=said: said.append(message.text))
        tab.on("pageerror", lambda error, said=said: said.append(str(error)))
        tab.on("request", lambda request, said=said: said.extend(_outside(request.url)))
        tab.goto(pages[kind].as_uri())
        tab.wait_for_selector("html[data-drawn]", timeout=60_000)
        names = [name for name, _ in charts_of_page(pages[kind])]
        for ending, start in (("SVG", SVG), ("PNG", PNG)):
            buttons = tab.get_by_role("button", name=re.compile(f"^Save as {ending}: "))
            assert buttons.count() == len(names)
            with tab.expect_download() as download:
                buttons.last.focus()
                tab.keyboard.press("Enter")
            assert download.value.suggested_filename == f"{names[-1]}.{ending.lower()}"
            content = Path(download.value.path()).read_bytes()
            assert content.startswith(start)
            assert len(content) > 1500
            if ending == "SVG":
                assert b'fill="white"' in content[:2000]
                assert b"#e3e7eb" not in content
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert said == []
        tab.close()
    context.close()
