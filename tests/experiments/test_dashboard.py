"""The dashboard without a browser: session, controls, events, pictures, port, and the page in a simulation."""

import asyncio
import json
import math
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecosystem.spec import Spec, SpecError
from experiments.dashboards import accounts, differences, pictures
from experiments.dashboards.controls import choose
from experiments.dashboards.lines import CHARTS
from experiments.dashboards.look import EVEN, GAIN, LOSS, look, margin_colour
from experiments.dashboards.scenario_file import file_name, scenario_toml
from experiments.dashboards.server import HOST, free_port
from experiments.dashboards.session import BESIDE, Session, value_at
from experiments.dashboards.shocks import offered
from experiments.errors import RunFailure, UserError
from experiments.network_chart import COLUMNS
from experiments.runs import run

NAMED = {"name", "title", "sources"}


@pytest.fixture
def session() -> Iterator[Session]:
    opened = Session("toy")
    yield opened
    opened.close()


def steps(session: Session, months: int) -> Session:
    for _ in range(months):
        session.step()
    return session


# --- the session ----------------------------------------------------------------------------------------------


def test_it_shows_what_run_computes(session: Session) -> None:
    steps(session, 7)
    assert session.month == 8
    assert np.array_equal(session.result().panel, run("toy", months=8).panel)


def test_it_stops_at_the_last_month() -> None:
    session = Session("toy", seed=3)
    session.change({"months": 8})
    steps(session, 9)
    assert session.month == 8
    assert session.finished
    session.close()


def test_a_change_runs_again_to_the_same_month(session: Session) -> None:
    steps(session, 5)
    before = session.result().panel.copy()
    session.change({"market.reasoning_growth": 0.05})
    assert session.month == 6
    assert not np.array_equal(session.result().panel, before)
    session.change({"market.reasoning_growth": session.shipped.market.reasoning_growth})
    assert session.changes == {}
    assert np.array_equal(session.result().panel, before)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("market.tax_rate", 3.0, "less than or equal to 1"),
        ("market.tax_rate", math.nan, "finite"),
        ("market.default_months", 2.5, "integer"),
        ("market.no_such_thing", 1.0, "unknown key"),
    ],
)
def test_impossible_values_are_refused_in_words(session: Session, path: str, value: Any, words: str) -> None:
    assert words in str(session.refusal(path, value))
    spec = session.spec
    with pytest.raises(SpecError):
        session.change({path: value})
    assert session.spec is spec
    assert session.refusal("market.tax_rate", 0.3) is None


def test_an_opening_that_cannot_be_leaves_all_as_it_was(session: Session) -> None:
    steps(session, 2)
    before = session.chain
    with pytest.raises((SpecError, RunFailure)):
        session.change({"market.expected_utilisation": 0.2})
    assert session.chain is before
    assert session.changes == {}


def test_an_event_has_its_twin_beside(session: Session) -> None:
    steps(session, 5)
    session.fire(offered(session.spec)["loss"].data(0.1))
    assert session.beside == "without the fired events"
    steps(session, 6)
    with_it, without = session.result(), session.twin_result()
    assert without is not None
    assert np.array_equal(with_it.panel[:6], without.panel[:6])
    assert with_it.of("alpha", "volume")[6:].sum() < 0.7 * without.of("alpha", "volume")[6:].sum()
    session.reset()
    assert session.month == 1
    assert session.fired == {}
    assert session.twin is None


def test_the_scenario_as_shipped_can_stand_beside(session: Session) -> None:
    session.change({"market.reasoning_growth": 0.05, "seed": 9})
    session.compare(BESIDE[2])
    steps(session, 3)
    twin = session.twin_result()
    assert twin is not None
    assert np.array_equal(twin.panel, run("toy", months=4, seed=9).panel)
    session.restore()
    assert session.changes == {}


@pytest.mark.parametrize("scenario", ["toy", "2025"])
def test_every_control_and_event_can_be_used(scenario: str) -> None:
    spec = Spec.load(scenario)
    controls = choose(spec)
    assert len(controls) >= 12
    for control in controls:
        assert control.unit
        assert control.source
        assert control.low < control.high or control.value == 0.0
        spec.with_overrides({control.path: control.typed(control.high)})
        assert str(control.value) != ""
    assert "outside" in controls[0].note(1e9)
    shocks = offered(spec)
    assert {"saving", "drought", "price"} <= {*shocks}
    assert ("export" in shocks) == (len(spec.regions) > 1)
    for shock in shocks.values():
        assert shock.doc
        spec.with_overrides({"events.probe": {**shock.data(shock.default), "month": 3}})
        if shock.strength is not None:
            with pytest.raises(SpecError):
                spec.with_overrides({"events.probe": {**shock.data(-1.0), "month": 3}})


def test_a_new_fee_is_charged_from_the_month_on(session: Session) -> None:
    shock = offered(session.spec)["fee"]
    assert shock.default == 40.0
    steps(session, 2)
    session.fire({**shock.data(30.0)})
    steps(session, 1)
    assert session.chain.apps["chat"].fees["plus"] == pytest.approx(30.0, rel=0.2)


def test_the_saved_file_runs_to_the_same_bits(session: Session, tmp_path: Path) -> None:
    steps(session, 3)
    session.change({"market.reasoning_growth": 0.05, "seed": 4, "mechanisms.price_war": False})
    session.fire(offered(session.spec)["drought"].data(0.2))
    session.fire(offered(session.spec)["drought"].data(0.5))
    path = tmp_path / file_name(session)
    path.write_text(scenario_toml(session), encoding="utf-8")
    spec = Spec.load(path)
    assert spec.model_dump(exclude=NAMED) == session.spec.model_dump(exclude=NAMED)
    assert "set in the dashboard" in spec.sources.values()
    steps(session, 4)
    assert np.array_equal(run(path, months=8).panel, session.result().panel)


def test_a_scenario_from_a_file_is_saved_whole(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "toy"\nname = "mine"\n[market]\ntax_rate = 0.2\n', encoding="utf-8")
    session = Session(str(mine))
    session.change({"market.reasoning_growth": 0.05})
    text = scenario_toml(session)
    session.close()
    assert "extends" not in text
    assert str(tmp_path) not in text
    mine.write_text(text, encoding="utf-8")
    again = Session(str(mine))
    assert again.spec.model_dump(exclude=NAMED) == session.spec.model_dump(exclude=NAMED)
    assert "changed in the dashboard; changed" not in scenario_toml(again)
    again.close()


# --- what is drawn --------------------------------------------------------------------------------------------


def test_the_pictures_show_all_tiers(session: Session) -> None:
    steps(session, 11)
    result = session.result()
    title, network = pictures.network_picture(result, look(False), "alpha")
    assert "a year" in title
    nodes = network["series"][0]["data"]
    assert {node["tier"] for node in nodes} == {*COLUMNS}
    links = network["series"][0]["links"]
    assert {link["source"] for link in links} | {link["target"] for link in links} <= {node["id"] for node in nodes}
    assert max(link["lineStyle"]["width"] for link in links) == pytest.approx(pictures.WIDEST)
    title, drawn = pictures.sankey_picture(result, look(True))
    assert "stays with" in title
    sankey = drawn["series"][0]
    names = [node["name"] for node in sankey["data"]]
    assert len(names) == len({*names})
    assert {"households", "spent or kept by chips", "wages", pictures.KEPT_END} <= {*names}
    json.dumps([network, sankey], allow_nan=False)
    assert pictures.profit_sentence(result).startswith("Chips earn $")
    assert pictures.month_name(result) == "December 2025"


def test_the_sankey_loses_no_dollar(session: Session) -> None:
    steps(session, 11)
    result = session.result()
    links = pictures.sankey_picture(result, look(False))[1]["series"][0]["links"]
    tiers = {link["target"] for link in links if link["source"] == "households"}
    whole = sum(link["value"] for link in links if link["target"] in tiers)
    for tier in tiers:
        into = sum(link["value"] for link in links if link["target"] == tier)
        out = sum(link["value"] for link in links if link["source"] == tier)
        assert into == pytest.approx(out, abs=0.002 * whole), "links too thin to see are left out"


def test_margins_have_colours_of_their_own() -> None:
    assert margin_colour(2.0) == GAIN.lower()
    assert margin_colour(-2.0) == LOSS.lower()
    assert margin_colour(None) == margin_colour(math.nan) == EVEN


def test_the_charts_draw_run_and_twin(session: Session) -> None:
    steps(session, 3)
    session.fire(offered(session.spec)["drought"].data(0.0))
    steps(session, 2)
    result, twin = session.result(), session.twin_result()
    for chart in CHARTS:
        options = chart.options(result, twin, look(False), {4: "drought"})
        json.dumps(options, allow_nan=False)
        full = [s for s in options["series"] if "dashed" not in str(s["lineStyle"])]
        dashed = [s for s in options["series"] if "dashed" in str(s["lineStyle"])]
        assert len(full) == len(options["legend"]["data"])
        assert len(dashed) == (1 if chart.stacked else len(full))
        assert all(len(s["data"]) == 6 for s in options["series"])
        assert options["series"][0]["markLine"]["data"][0]["xAxis"] == 4


def test_legends_wrap_where_two_rows_are_enough(session: Session) -> None:
    for chart in CHARTS:
        options = chart.options(session.result(), None, look(False), {})
        names = options["legend"]["data"]
        assert options["legend"]["type"] == ("scroll" if chart.key == "streams" and len(names) > 4 else "plain")
        assert options["grid"]["top"] in (50, 70)


def test_a_long_run_is_thinned() -> None:
    result = run("toy", months=300)
    options = CHARTS[0].options(result, None, look(False), {299: "late"})
    assert len(options["xAxis"]["data"]) == 150
    assert options["series"][0]["markLine"]["data"][0]["xAxis"] == 149


def test_accounts_add_up(session: Session) -> None:
    steps(session, 2)
    result = session.result()
    rows = dict(accounts.balance(result, "alpha"))
    assert rows["revenue, a year"].startswith("$")
    assert rows["runway"] == "no cash is burnt"
    gets, pays = accounts.sells_and_buys(result, "alpha")
    sold = 12.0 / 3.0 * result.of("alpha", "revenue").sum()
    assert sum(trade.value for trade in gets if trade.good in {"accelerators", "on premise", "cancellation"}) == (
        pytest.approx(sold, rel=1e-9)
    )
    assert {"wafers"} <= {trade.good for trade in pays}
    assert accounts.heading(result, "chat") == "Chat: apps, west, group Frontier Group"
    assert "households (west)" in accounts.trades_html(result, "chat")


# --- the server -------------------------------------------------------------------------------------------------


def test_a_port_in_use_gives_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port(port) <= port + 50
    with pytest.raises(UserError, match="from 1 to 65535"):
        free_port(0)


def test_a_scenario_that_is_not_there_is_refused_before_serving() -> None:
    from experiments import dashboard

    with pytest.raises(SpecError, match="no scenario 'toi'"):
        dashboard("toi", show=False)


# --- the page -----------------------------------------------------------------------------------------------------


def test_the_page_plays_changes_fires_and_saves() -> None:
    asyncio.run(_use_the_page())


async def _use_the_page() -> None:
    from nicegui import ui
    from nicegui.testing.user_simulation import user_simulation

    from experiments.dashboards.page import Page

    pages: list[Page] = []
    async with user_simulation(lambda: pages.append(Page(Session("toy")))) as user:
        await user.open("/")
        page = pages[0]
        await user.should_see("January 2025, month 1 of 36")
        user.find("Step").click()
        await user.should_see("month 2 of 36")
        number = next(iter(user.find(marker="market.reasoning_growth").elements))
        assert isinstance(number, ui.number)
        number.set_value(9.0)
        await asyncio.sleep(0.2)
        assert "less than or equal" in str(number.error)
        assert page.session.changes == {}
        number.set_value(0.05)
        await _until(lambda: page.session.changes == {"market.reasoning_growth": 0.05} and not page.busy)
        assert number.error is None
        user.find("Fire it next month").click()
        await _until(lambda: bool(page.session.fired) and not page.busy)
        await user.should_see("fired: Efficiency shock at Commons Lab (month 3)")
        await user.should_see("Dashed lines: without the fired events")
        page.speed = 20
        user.find("Play").click()
        await _until(lambda: page.session.month > 5)
        user.find("Pause").click()
        assert not page.playing
        user.find("Fire it next month").click()
        await _until(lambda: len(page.session.fired) == 2 and not page.busy)
        await user.should_see("Dotted lines: 1 Efficiency shock at Commons Lab; 2 Efficiency shock at Commons Lab.")
        marks = page.charts["profit"].options["series"][0]["markLine"]["data"]
        assert [mark["label"]["formatter"] for mark in marks] == ["1", "2"][: len(marks)]
        page.firm_select.set_value("chat")
        await user.should_see("Chat: apps, west")
        user.find("Reset").click()
        await _until(lambda: page.session.month == 1 and not page.busy)
        await user.should_see("month 1 of 36")
        page.sidebar.off.set_value(["price_war"])
        await _until(lambda: page.session.changes.get("mechanisms.price_war") is False and not page.busy)
        page.sidebar.scenario.set_value("2025")
        await _until(lambda: page.session.scenario == "2025" and not page.busy)
        await user.should_see("NVIDIA: chips")
        user.find("Save as TOML").click()
        page.recolour(True)
        assert page.charts["profit"].options["legend"]["textStyle"]["color"] == look(True).ink


async def _until(condition: Any, seconds: float = 20.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen")


def test_paths_of_values(session: Session) -> None:
    assert value_at(session.spec, "app.chat.tiers.plus.price") == 20.0


# --- the twin in the pictures -----------------------------------------------------------------------------------


def links(options: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(link["source"], link["target"]): link for link in options["series"][0]["links"]}


def test_the_network_shows_what_an_event_changed(session: Session) -> None:
    steps(session, 3)
    session.fire(offered(session.spec)["loss"].data(0.1))
    run_, twin = session.result(), session.twin_result()
    assert twin is not None
    title, options = differences.network_difference(run_, twin, look(False), None)
    assert title == differences.NOTHING
    assert {link["lineStyle"]["color"] for link in links(options).values()} == {EVEN}
    steps(session, 8)
    run_, twin = session.result(), session.twin_result()
    assert twin is not None
    title, options = differences.network_difference(run_, twin, look(False), "alpha")
    here, there = (links(pictures.network_picture(each, look(False))[1]) for each in (run_, twin))
    drawn = links(options)
    for pair in here.keys() & there.keys():
        gap = here[pair]["value"] - there[pair]["value"]
        assert drawn[pair]["value"] == pytest.approx(gap, abs=1e-6 * here[pair]["value"])
    largest = max(drawn.values(), key=lambda link: abs(link["value"]))
    assert largest["lineStyle"]["width"] == pictures.WIDEST
    assert title.startswith("The largest change is ")
    assert ("-$" in title) == (largest["value"] < 0.0)
    coloured = [(link["lineStyle"]["color"], link["value"]) for link in drawn.values()]
    assert all((colour == GAIN) == (value > 0.0) for colour, value in coloured if colour != EVEN)
    assert {LOSS, EVEN} <= {colour for colour, _ in coloured}
    alpha = next(item for item in options["series"][0]["data"] if item["id"] == "alpha")
    assert "revenue -$" in alpha["says"]
    json.dumps(options, allow_nan=False)


def test_the_sankey_shows_what_an_event_changed(session: Session) -> None:
    steps(session, 3)
    session.fire(offered(session.spec)["loss"].data(0.1))
    run_, twin = session.result(), session.twin_result()
    assert twin is not None
    assert differences.sankey_difference(run_, twin, look(False), "x")[0] == differences.NOTHING
    steps(session, 8)
    run_, twin = session.result(), session.twin_result()
    assert twin is not None
    title, options = differences.sankey_difference(run_, twin, look(False), "the other")
    assert title.endswith(" than in the other")
    here, there = pictures.layers(pictures.dollars(run_))[0], pictures.layers(pictures.dollars(twin))[0]
    ways = {pair: link for pair, link in links(options).items() if pair in here}
    assert ways
    for pair, link in ways.items():
        gap = here[pair] - there.get(pair, 0.0)
        assert link["value"] == pytest.approx(abs(gap), rel=1e-3)
        assert link["lineStyle"]["color"] == (GAIN if gap > 0.0 else LOSS)
    json.dumps(options, allow_nan=False)


def test_run_and_twin_are_drawn_to_one_scale(session: Session) -> None:
    steps(session, 3)
    session.fire(offered(session.spec)["loss"].data(0.05))
    steps(session, 8)
    run_, twin = session.result(), session.twin_result()
    assert twin is not None
    pairs = [(run_, twin), (twin, run_)]
    drawn = [links(pictures.network_picture(a, look(False), None, b)[1]) for a, b in pairs]
    styles = [(link["lineStyle"]["width"], link["value"]) for each in drawn for link in each.values()]
    per_dollar = [(width - 0.6) / value for width, value in styles if width > 2.0]
    assert max(per_dollar) == pytest.approx(min(per_dollar), rel=0.01)
    widest = [max(link["lineStyle"]["width"] for link in each.values()) for each in drawn]
    assert max(widest) == pictures.WIDEST
