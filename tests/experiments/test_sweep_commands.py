"""Sweep, replay, sensitivity, discover, compare and report on the command line, and their pages."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiments import cli, sweep_commands
from experiments.analysis_reports import limit_words
from experiments.comparison import compare_runs
from experiments.comparison_report import Sides, comparison_lead
from experiments.designs import Design
from experiments.outcome_words import in_words, interval, short_path, written
from experiments.stores import Store
from tests.experiments.command_line import Call

DESIGN = """
scenario = "toy"
months = 4
method = "morris"
n = 4
replicates = 2
[levers]
app.chat.tiers.plus.price = {low = 10.0, high = 30.0}
[uncertainties]
market.tax_rate = "span"
market.opening_growth = {low = 0.01, high = 0.08, log = true}
"""
FAILING = """
scenario = "toy"
months = 2
method = "table"
table = [{"app.chat.tiers.plus.price" = %s}, {"app.chat.tiers.plus.price" = -2.0}]
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    (folder / "prices.toml").write_text(DESIGN)
    with pytest.raises(SystemExit) as left:
        cli.main(["sweep", str(folder / "prices.toml"), "--out", str(folder / "prices"), "--workers", "1"])
    assert not left.value.code
    return folder / "prices"


def text_of(page: Path) -> str:
    """The words of a page, without its scripts."""
    body = re.sub(r"<(script|style).*?</\1>", "", page.read_text("utf-8"), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"</?code>", "", body))).replace("\u00a0", " ")


def specs(page: Path) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="specs">(.*?)</script>', page.read_text("utf-8"), re.S)
    content: list[dict[str, Any]] = json.loads(found[1]) if found else []
    return content


# --- sweep ---------------------------------------------------------------------------------------------------------


def test_a_sweep_says_what_came_out_and_goes_on(call: Call, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(DESIGN)
    status, out, _ = call("sweep", "prices.toml", "--shard", "1/2", "--no-report", "--workers", "1")
    assert status == 0
    assert "16 of 32 runs finished, 16 are not done" in re.sub(r"\s+", " ", out)
    assert not Path("results/prices/report.html").exists()
    status, out, err = call("sweep", "prices.toml", "--json", "--workers", "1")
    content = json.loads(out)
    assert (status, err) == (0, "")
    assert (content["runs"], content["finished"], content["failed"]) == (32, 32, 0)
    assert (content["now"]["finished_now"], content["now"]["shared"]) == (16, 16)
    assert content["files"] == {"store": "results/prices", "report": "results/prices/report.html"}
    table = Store("results/prices").frame()
    assert content["outcomes"]["apps_operating_profit"]["median"] == table["apps_operating_profit"].median()
    strongest = next(iter(content["rank_correlations"]["apps_operating_profit"]))
    assert strongest == "app.chat.tiers.plus.price"
    assert [factor["unit"] for factor in content["factors"]] == ["USD/month", "1", "1/month"]


def test_the_report_of_a_sweep_has_its_numbers(store: Path) -> None:
    page = store / "report.html"
    words = text_of(page)
    table = Store(store).frame()
    assert "32 of 32 runs finished." in words
    assert written(float(table["chips_operating_profit"].median()), "USD/year") in words
    assert "market.opening_growth 0.01 to 0.08 1/month, by its logarithm" in words
    assert "No run failed." in words
    assert len(specs(page)) >= 7
    assert page.stat().st_size < 5e6


def test_settings_change_the_scenario_of_a_sweep(call: Call, tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text(DESIGN)
    change = ("--set", "market.sale_value=0.3")
    status, _, _ = call("sweep", "d.toml", "--no-report", "--shard", "1/16", *change)
    opened = Store("results/d")
    assert status == 0
    assert opened.scenario(opened.sweep().id)["market"]["sale_value"] == 0.3


def test_failed_runs_are_named_with_the_command_that_repeats_them(call: Call, tmp_path: Path) -> None:
    (tmp_path / "half.toml").write_text(FAILING % "5.0")
    status, out, _ = call("sweep", "half.toml")
    words = re.sub(r"\s+", " ", out)
    assert status == 0
    assert "1 of 2 runs finished, 1 failed." in words
    key = Store("results/half").failures()["key"][0]
    assert f"watersellers replay {key} --store results/half" in words
    page = text_of(tmp_path / "results" / "half" / "report.html")
    assert "Failed runs: 1; different errors: 1." in page
    assert f"watersellers replay {key} --store results/half" in page
    status, _, err = call("replay", key, "--store", "results/half")
    assert status == 1
    assert "Traceback" in err
    assert f"error: run {key[:12]} failed: SpecError" in err


def test_a_sweep_without_any_result_fails_and_its_report_says_so(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments import outcomes

    monkeypatch.setattr(outcomes, "outcomes", lambda *_, **__: 1 / 0)
    (tmp_path / "none.toml").write_text(FAILING % "5.0")
    status, _, err = call("sweep", "none.toml", "--workers", "1")
    assert status == 1
    assert "error: no run finished; 2 failed" in err
    page = tmp_path / "results" / "none" / "report.html"
    assert "This sweep has no result: of its 2 runs all 2 that were tried failed." in text_of(page)
    assert specs(page) == []
    status, _, err = call("sensitivity", "results/none", "--outcome", "apps_operating_profit")
    assert (status, err.count("\n")) == (2, 1)
    status, _, err = call("discover", "results/none", "--where", "apps_operating_profit > 0")
    assert status == 2
    assert "Traceback" not in err


def test_the_report_of_a_sweep_that_has_not_begun_says_so(call: Call, store: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(store, tmp_path / "begun")
    for part in (tmp_path / "begun" / "parts").glob("*.parquet"):
        part.unlink()
    status, out, _ = call("report", "begun")
    assert status == 0
    assert "This sweep has no result: of its 32 runs none was tried yet." in out


def test_shipped_designs_fit_their_scenarios() -> None:
    from ecosystem.spec import Spec

    designs = {path.stem: Design.load(path) for path in sweep_commands.EXAMPLES.glob("*.toml")}
    assert {*designs} >= {"design-2025", "design-2025-sobol"}
    for design in designs.values():
        base = Spec.load(design.scenario)
        sample = design.sample({row.path: row for row in base.parameters()}, base.seed)
        for factor in sample.factors:
            for value in factor.ends():
                base.with_overrides({factor.path: value})
    assert len(designs["design-2025"].factors({r.path: r for r in Spec.load("2025").parameters()})) == 11


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(DESIGN.replace("n = 4", "n = 400"))
    command = [sys.executable, "-m", "experiments.cli", "sweep", "long.toml", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    run = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    parts = tmp_path / "results" / "long" / "parts"
    for _ in range(600):
        if [*parts.glob("*.parquet")]:
            break
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "finished runs are kept in results/long; the same command goes on" in said
    assert "Traceback" not in said
    assert len(Store(tmp_path / "results" / "long").finished_keys()) > 0


# --- replay --------------------------------------------------------------------------------------------------------


def test_a_run_is_replayed_to_the_bit(call: Call, store: Path, tmp_path: Path) -> None:
    key = Store(store).frame()["key"][3]
    status, out, _ = call("replay", key[:10], "--store", str(store), "--out", "again")
    assert status == 0
    assert "Identical: all" in out
    assert (tmp_path / "again" / "firms.parquet").is_file()
    assert (tmp_path / "again" / "report.html").is_file()
    status, out, _ = call("replay", key, "--store", str(store), "--json")
    content = json.loads(out)
    assert (status, content["identical"], content["differing"]) == (0, True, [])
    from experiments.run_folders import load

    assert load(tmp_path / "again").outcomes()["apps_revenue"] == content["outcomes"]["apps_revenue"]


def test_a_run_that_differs_is_a_failure(call: Call, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments import outcomes

    key = Store(store).frame()["key"][0]
    honest = outcomes.outcomes
    monkeypatch.setattr(outcomes, "outcomes", lambda *a, **k: honest(*a, **k) | {"failures": 7.0})
    status, out, _ = call("replay", key, "--store", str(store))
    assert status == 1
    assert "DIFFERENT in 1 of" in out


# --- sensitivity and discovery -------------------------------------------------------------------------------------


def test_sensitivity_names_the_strongest_factor(call: Call, store: Path, tmp_path: Path) -> None:
    ask = ("sensitivity", str(store), "--outcome", "apps_operating_profit")
    status, out, _ = call(*ask, "--out", "pages")
    assert status == 0
    assert "app.chat.tiers.plus.price moves operating profit of apps most" in re.sub(r"\s+", " ", out)
    page = tmp_path / "pages" / "sensitivity-apps_operating_profit.html"
    assert "4 of 4 trajectories" in text_of(page)
    assert len(specs(page)) == 2
    status, out, _ = call(*ask, "--json", "--no-report")
    content = json.loads(out)
    effects = {each["factor"]: each["mu_star"]["estimate"] for each in content["factors"]}
    assert (content["unit"], content["files"]) == ("USD/year", {})
    assert max(effects, key=effects.__getitem__) == "app.chat.tiers.plus.price"
    low, high = (content["factors"][0]["mu_star"][end] for end in ("low", "high"))
    assert interval(low, high, "USD/year") in text_of(page)


def test_sobol_indices_have_their_page(call: Call, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(DESIGN.replace("morris", "sobol").replace("replicates = 2", ""))
    assert call("sweep", "s.toml", "--no-report", "--workers", "1")[0] == 0
    status, out, _ = call("sensitivity", "results/s", "--outcome", "apps_operating_profit")
    assert status == 0
    assert "of the variance of operating profit of apps alone" in re.sub(r"\s+", " ", out)
    assert len(specs(tmp_path / "results" / "s" / "sensitivity-apps_operating_profit.html")) == 1


def test_discovery_finds_the_price_that_pays(call: Call, store: Path, tmp_path: Path) -> None:
    median = Store(store).frame()["apps_operating_profit"].median()
    where = f"apps_operating_profit > {median}"
    status, out, _ = call("discover", str(store), "--where", where, "--out", "box.html")
    assert status == 0
    assert "app.chat.tiers.plus.price" in out
    words = text_of(tmp_path / "box.html")
    assert "holds in 16 of 32 runs (50 %)" in words
    assert "95 % interval" in words
    assert all(title in words for title in ("The box limits", "the one that balances coverage"))
    content = json.loads(call("discover", str(store), "--where", where, "--json", "--no-report")[1])
    assert (content["runs"], content["interesting"]) == (32, 16)
    assert 0.0 < content["coverage"] <= 1.0


# --- compare and report --------------------------------------------------------------------------------------------


def test_two_runs_are_compared(call: Call, tmp_path: Path) -> None:
    for name, price in (("a", "20"), ("b", "30")):
        change = f"app.chat.tiers.plus.price={price}"
        assert call("run", "toy", "--months", "4", "--no-report", "--set", change, "--out", name)[0] == 0
    status, out, _ = call("compare", "a", "b")
    assert status == 0
    assert re.search(r"app\.chat\.tiers\.plus\.price\s+20\s+30", out)
    words = text_of(tmp_path / "results" / "compare-a-b.html")
    assert "1 parameter differs" in words
    assert "What changed from A to B" in words
    content = json.loads(call("compare", "a", "b", "--json", "--no-report")[1])
    change = content["outcomes"]["apps_revenue"]
    assert change["difference"] == change["b"] - change["a"] != 0.0
    assert content["parameters"] == {"app.chat.tiers.plus.price": {"a": 20, "b": 30}}
    assert "No difference: both runs" in call("compare", "a", "a", "--no-report")[1]


def test_two_stores_are_compared(call: Call, store: Path, tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text(DESIGN)
    assert call("sweep", "d.toml", "--no-report", "--set", "market.answer_tokens=900.0", "--workers", "1")[0] == 0
    status, out, _ = call("compare", str(store), "results/d", "--out", "c.html")
    assert status == 0
    assert "the 32 runs that both have" in re.sub(r"\s+", " ", out)
    assert "market.answer_tokens" in text_of(tmp_path / "c.html")


def test_the_same_outcomes_under_other_parameters_are_said_to_be_so() -> None:
    found = compare_runs({"x": 1.0}, {"x": 1.0}, {"a": 1}, {"a": 2})
    assert comparison_lead(found, Sides("p", "q", "run")).endswith("though 1 parameter of the scenario differs.")


def test_a_report_is_made_again_with_pictures(call: Call, store: Path, tmp_path: Path) -> None:
    status, out, _ = call("report", str(store), "--out", "page.html", "--png", "--svg")
    assert status == 0
    assert "32 of 32 runs finished" in out
    pictures = sorted((tmp_path / "charts").iterdir())
    assert {path.suffix for path in pictures} == {".png", ".svg"}
    assert len(pictures) == 2 * len(specs(tmp_path / "page.html"))
    assert pictures[0].name.startswith("01-share-of-runs-in-which-a-tier-earns")
    assert all(path.stat().st_size > 2000 for path in pictures)
    assert call("run", "toy", "--months", "3", "--replicates", "2", "--no-report", "--out", "r")[0] == 0
    status, out, err = call("report", "r", "--json")
    assert status == 0
    assert "without bands" in err
    assert json.loads(out)["kind"] == "run"
    assert (tmp_path / "r" / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sweep", "nothing"), "there is no design 'nothing': name a TOML file, or one of design-2025"),
        (("sweep", "nothing.toml"), "cannot read the design nothing.toml"),
        (("sweep", "d.toml", "--shard", "3"), "a shard is written as i/n"),
        (("sweep", "d.toml", "--workers", "0"), "workers must be at least 1"),
        (("sweep", "d.toml", "--workers", "1", "--cluster", "tcp://x:1"), "either workers or cluster"),
        (("sweep", "d.toml", "--set", "app.chatt.staff=1"), "did you mean 'chat'"),
        (("sensitivity", "{store}"), "name an outcome with --outcome, for example one of chips_operating_profit"),
        (("sensitivity", "{store}", "--outcome", "aps_operating_profit"), "nearest: apps_operating_profit"),
        (("sensitivity", "{store}", "--outcome", "failures", "--method", "sobol"), "no sweep by sobol"),
        (("sensitivity", "nowhere", "--outcome", "failures"), "is not a sweep store"),
        (("discover", "{store}", "--where", "profits > 0"), "profits"),
        (("discover", "{store}", "--where", "chips_operating_profit > 0"), "nothing to find"),
        (("compare", "{store}", "."), "neither a results folder nor a store"),
        (("report", "."), "neither a results folder nor a store"),
        (("replay", "xyz", "--store", "{store}"), "keys are hexadecimal"),
        (("replay", "ffffffffffff", "--store", "{store}"), "0 runs of"),
    ],
)
def test_a_bad_request_is_refused_in_words(
    call: Call, store: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "d.toml").write_text(DESIGN)
    status, out, err = call(*(each.format(store=store) for each in arguments))
    assert status == 2
    assert words in re.sub(r"\s+", " ", err)
    assert "Traceback" not in err + out


def test_outcomes_in_words() -> None:
    assert in_words("apps_operating_profit") == "operating profit of apps"
    assert in_words("labs_gross_margin_run") == "gross margin of labs over the whole run"
    assert in_words("users_chatgpt") == "users chatgpt"
    assert [written(0.25, unit) for unit in ("USD/Mtok", "share of hours", "cents")] == ["$0.250", "25 %", "0.2 ¢"]
    assert interval(1.0, float("nan"), "people") == "–"
    assert short_path("app.chat.tiers.plus.price") == "plus.price"


def test_limits_in_words() -> None:
    import numpy as np

    tried = np.array([0.0, 0.5, 1.0])
    ends = {
        (0.0, 0.5): "at most 0.5",
        (0.5, 1.0): "at least 0.5",
        (0.2, 0.6): "from 0.2 to 0.6",
        (0.0, 1.0): "anywhere",
    }
    assert {limit: limit_words(limit, tried) for limit in ends} == ends
    assert limit_words(frozenset({True, False}), np.array([True, False])) == "false or true"


# --- in a browser --------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_the_pages_draw_in_a_browser(
    browser: Any, call: Call, store: Path, tmp_path: Path, scheme: str, width: int
) -> None:
    median = Store(store).frame()["apps_operating_profit"].median()
    call("sensitivity", str(store), "--outcome", "apps_operating_profit", "--out", "s.html")
    call("discover", str(store), "--where", f"apps_operating_profit > {median}", "--out", "d.html")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for page in (store / "report.html", tmp_path / "s.html", tmp_path / "d.html"):
        tab = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        tab.on("console", lambda message, said=said: said.append(message.text))
        tab.on("pageerror", lambda error, said=said: said.append(str(error)))
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-drawn]", timeout=60_000)
        assert said == []
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert tab.locator(".chart svg.marks").count() == len(specs(page))
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.close()
    context.close()
