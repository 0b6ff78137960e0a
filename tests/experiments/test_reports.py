"""The report: one page without a network, right numbers in its titles, readable in a browser."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import reports
from experiments.charts import SHORT, lines, log_scale, long_rows, words_for
from experiments.dollars import PARTS, dollar_ends
from experiments.errors import RunFailure
from experiments.network_chart import COLUMNS, network
from experiments.outcomes import tier_figures
from experiments.reports import ChartBlock, Report, save_picture, theme
from experiments.run_report import run_report
from experiments.runs import RunResult, replicates, run

DATES = [f"2025-{month:02}-01T00:00:00" for month in range(1, 13)]


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run("toy", months=14)


@pytest.fixture(scope="module")
def page(result: RunResult) -> str:
    return run_report(result).html()


def specs(page: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="specs">(.*?)</script>', page, re.S)
    assert found is not None
    content: list[dict[str, Any]] = json.loads(found[1])
    return content


def test_the_page_is_small_and_asks_for_nothing(page: str) -> None:
    assert len(page.encode()) < 5e6
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", outside) == []
    assert "@import" not in outside
    assert "url(" not in outside


def test_every_chart_has_data_and_a_sentence(result: RunResult) -> None:
    charts = [b for s in run_report(result).sections for b in s.blocks if isinstance(b, ChartBlock)]
    assert len(charts) >= 18
    for chart in charts:
        assert len(chart.title.split()) >= 4
        assert "nan" not in chart.title.lower()
        assert "–" not in chart.title
        assert '"values": [{' in json.dumps(chart.spec)


def test_titles_say_what_the_numbers_say(result: RunResult, page: str) -> None:
    from experiments.formats import money

    figures = tier_figures(result)
    assert f"chips earned {money(figures['chips'].operating_profit)}" in page
    assert f"labs lost {money(-figures['labs'].operating_profit)}" in page


def test_the_theme_has_light_and_dark(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    light, dark = theme(dark=False), theme(dark=True)
    assert light["axis"]["labelColor"] != dark["axis"]["labelColor"]
    assert light["axis"]["labelFontSize"] == dark["axis"]["labelFontSize"]
    assert light["range"]["category"][:4] == ["#D55E00", "#0072B2", "#009E73", "#CC79A7"]


def test_text_is_escaped(result: RunResult) -> None:
    report = Report("<script>alert(1)</script>", "a </p> & `code` 5 %", {"<b>": "<i>"})
    section = report.section("<u>")
    section.table("t", ["<th>"], [["<td>"]])
    section.chart("</script><script>", lines(DATES, {"</script><b>": np.arange(12.0)}, "x"))
    text = report.html()
    assert "<script>alert" not in text
    assert "&lt;td&gt;" in text
    assert "<code>code</code> 5\u00a0%" in text
    assert specs(text)[0]["layer"][0]["encoding"]["color"]["scale"]["domain"] == ["</script><b>"]


def test_a_report_without_charts_carries_no_script() -> None:
    report = Report("t", "l")
    report.section("s").text("nothing to see")
    assert len(report.html()) < 20_000


def test_replicates_add_bands(tmp_path: Path) -> None:
    many = replicates("toy", 3, months=4)
    text = run_report(many.first, many).html()
    assert "3 replicates: median and 5-95 % band" in text.replace("\u00a0", " ")


def test_a_run_of_one_month_has_a_report() -> None:
    assert len(specs(run_report(run("toy", months=1)).html())) >= 15


def test_a_long_run_is_thinned(result: RunResult) -> None:
    rows = long_rows([DATES[0]] * 1200, {"a": np.arange(1200.0)})
    assert len(rows) == 240


def test_numbers_that_are_none_stay_out() -> None:
    chart = lines(DATES, {"a": np.array([np.nan, 0.0, *range(10)])}, "x", log=True)
    assert [row["value"] for row in chart.to_dict()["data"]["values"]] == [float(i) for i in range(1, 10)]


def test_log_scales_have_few_round_ticks() -> None:
    scale, ticks = log_scale([0.003, 400.0])
    assert ticks == pytest.approx([0.01, 0.1, 1.0, 10.0, 100.0])
    assert scale.to_dict()["domain"][0] < 0.003
    assert log_scale([3.0, 3.0])[1]


def test_large_numbers_are_written_in_words() -> None:
    assert words_for("datum.value", ".1%") == "format(datum.value, '.1%')"
    assert "'G', 'bn'" in words_for("datum.value", SHORT)


def test_the_dollar_sums_to_a_hundred_cents(result: RunResult) -> None:
    ends = dollar_ends(result)
    assert "households" in ends
    for dollars, split in ends.values():
        assert dollars > 0.0
        assert [*split] == [*PARTS]
        assert sum(split.values()) == pytest.approx(100.0)


def test_the_network_has_all_tiers_and_all_sales(result: RunResult) -> None:
    nodes, edges = network(result)
    assert {node.column for node in nodes.values()} == {*COLUMNS}
    flows = result.flows_of(slice(2, 14))
    names = [account.id for account in flows.accounts]
    internal = flows.operating & (flows.payer != flows.payee)
    assert sum(edge.value for edge in edges) == pytest.approx(flows.amount[internal].sum())
    assert nodes["hyper"].x == pytest.approx(0.25)
    assert {"hyper", "chat"} <= {*names}


def test_a_large_tier_is_drawn_as_its_largest_firms_and_the_others() -> None:
    nodes, _ = network(run("2025", months=2))
    apps = [node for node in nodes.values() if node.column == "apps"]
    assert len(apps) <= 12
    assert any(node.name.endswith("other apps") for node in apps)
    assert not any(node.name.startswith("1 other") for node in nodes.values())


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_chart_can_be_saved_for_a_paper(result: RunResult, tmp_path: Path, ending: str) -> None:
    path = save_picture(result.plot("rent").to_dict(), tmp_path / f"rent.{ending}")
    assert path.stat().st_size > 3000
    with pytest.raises(ValueError, match=r"ends in \.png, \.svg or \.pdf"):
        save_picture(result.plot("rent").to_dict(), tmp_path / "rent.gif")


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunFailure, match="cannot write"):
        Report("t", "l").write(tmp_path / "missing" / "report.html")
    assert [*tmp_path.iterdir()] == []


def test_the_script_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda code: f"made {code}")
    reports.javascript.cache_clear()
    assert reports.javascript().startswith("made")
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda code: pytest.fail("made again"))
    reports.javascript.cache_clear()
    assert reports.javascript().startswith("made")
    reports.javascript.cache_clear()


# --- in a browser --------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 390)])
def test_the_page_draws_in_a_browser(browser: Any, page: str, tmp_path: Path, scheme: str, width: int) -> None:
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-drawn]", timeout=60_000)
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    charts = len(specs(page))
    assert tab.locator(".chart svg.marks").count() == charts
    count = "svg => svg.querySelectorAll('.mark-line path, .mark-rect path').length"
    assert min(tab.evaluate(f"[...document.querySelectorAll('.chart svg.marks')].map({count})")) > 0
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(24, 28, 32)" if scheme == "dark" else "rgb(255, 255, 255)")
    names = tab.evaluate("[...document.querySelectorAll('.scroll .chart svg.marks text')].map(t => t.textContent)")
    assert {"chips", "clouds", "labs", "apps", "final demand", "Alpha Chips", "Chat"} <= {*names}
    context.close()
