"""The dashboard in a real browser: no console error, no outside request, controls change the charts."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.dashboards.look import LOSS
from experiments.network_chart import COLUMNS

pytestmark = pytest.mark.browser

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
POINTS = """(name) => {
  const paths = document.querySelectorAll(`.line`)[name].querySelectorAll('path');
  return [...paths].map(path => path.getAttribute('d')).join(' ');
}"""


def started(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Start the command and return it with the first line that names its address."""
    command = [sys.executable, "-c", "from experiments.cli import main; main()", "dashboard", "toy", "--no-browser"]
    server = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
    )
    assert server.stdout is not None
    said = ""
    for line in server.stdout:
        said += line
        if found := ADDRESS.search(line):
            answers(int(found[1]))
            break
    return server, said


def answers(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens on {port}")


def stopped(server: subprocess.Popen[str]) -> int:
    server.send_signal(signal.SIGINT)
    try:
        return server.wait(timeout=20)
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server, said = started("--port", str(port))
    found = ADDRESS.search(said)
    assert found is not None, said
    yield found[0]
    stopped(server)


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Open]:
    """Open the page; at the end nothing may have been said on the console or asked of another host."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def go(scheme: str = "light", width: int = 1280) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(address)
        tab.wait_for_selector(".line svg path", state="attached", timeout=30_000)
        return tab

    yield go
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def wait(tab: Any, words: str) -> None:
    tab.get_by_text(re.compile(words)).first.wait_for(timeout=20_000)


def test_the_network_has_all_tiers(opened: Open) -> None:
    tab = opened()
    tab.get_by_role("button", name="Step").click()
    wait(tab, "month 2 of 36")
    texts = tab.evaluate("[...document.querySelectorAll('.wide svg text')].map(t => t.textContent)")
    assert {column.capitalize() for column in COLUMNS} <= {*texts}
    assert {"Alpha Chips", "Hyper Cloud", "Frontier Lab", "Chat", "households"} <= {*texts}
    assert {"spent or kept by chips", "wages"} <= {*texts}


def test_play_moves_and_pause_stops(opened: Open) -> None:
    tab = opened()
    before = tab.evaluate(POINTS, 0)
    tab.get_by_role("button", name="Play").click()
    tab.wait_for_timeout(1500)
    tab.get_by_role("button", name="Pause").click()
    tab.wait_for_timeout(700)
    after = tab.evaluate(POINTS, 0)
    assert after != before
    tab.wait_for_timeout(500)
    assert tab.evaluate(POINTS, 0) == after
    tab.get_by_role("button", name="Reset").click()
    wait(tab, "month 1 of 36")


def test_a_control_changes_the_charts_and_refuses_nonsense(opened: Open) -> None:
    tab = opened()
    for month in range(2, 7):
        tab.get_by_role("button", name="Step").click()
        wait(tab, f"month {month} of 36")
    before = [tab.evaluate(POINTS, chart) for chart in range(6)]
    field = tab.get_by_label("seed")
    field.fill("-1")
    wait(tab, "greater than or equal to 0")
    assert [tab.evaluate(POINTS, chart) for chart in range(6)] == before
    field.fill("5")
    tab.wait_for_function("([script, before]) => eval(script)(0) !== before", arg=[POINTS, before[0]])
    wait(tab, "month 6 of 36")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save as TOML").click()
    saved = tomllib.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert download.value.suggested_filename == "toy-changed.toml"
    assert (saved["extends"], saved["seed"]) == ("toy", 5)


def test_a_fired_event_is_drawn_with_its_twin(opened: Open) -> None:
    tab = opened()
    tab.get_by_role("button", name="Step").click()
    wait(tab, "month 2 of 36")
    tab.get_by_role("combobox", name="event", exact=True).click()
    tab.get_by_role("option", name=re.compile("loses capacity")).click()
    tab.get_by_label("strength").fill("7")
    wait(tab, "less than or equal to 1")
    tab.get_by_label("strength").fill("0.1")
    tab.get_by_role("button", name="Fire it next month").click()
    wait(tab, "Dashed lines: without the fired events")
    wait(tab, r"fired: Alpha Chips loses capacity for half a year \(month 3\)")
    dashed = "[...document.querySelectorAll('.line svg path')].filter(p => p.getAttribute('stroke-dasharray')).length"
    assert tab.evaluate(dashed) > 6


STROKES = (
    "[...document.querySelectorAll('.wide svg path')].map(p => p.getAttribute('stroke') || p.getAttribute('fill'))"
)


def test_network_and_sankey_show_the_twin(opened: Open) -> None:
    tab = opened()
    assert not tab.get_by_role("button", name="difference").first.is_visible()
    tab.get_by_role("combobox", name="event", exact=True).click()
    tab.get_by_role("option", name=re.compile("loses capacity")).click()
    tab.get_by_role("button", name="Fire it next month").click()
    wait(tab, "Nothing differs yet")
    for month in range(2, 9):
        tab.get_by_role("button", name="Step").click()
        wait(tab, f"month {month} of 36")
    wait(tab, "The largest change is .* a year")
    wait(tab, "Difference to the run without the fired events")
    wait(tab, "keep .* (more|less) than in the run without the fired events")
    assert LOSS in {str(stroke).upper() for stroke in tab.evaluate(STROKES)}
    for name, words in (("without", "This is the run without the fired events"), ("with event", "The largest flow is")):
        tab.get_by_role("button", name=name, exact=True).last.click()
        wait(tab, words)
    assert not tab.get_by_text("Difference to").first.is_visible()
    tab.get_by_role("button", name="Reset").click()
    wait(tab, "month 1 of 36")
    tab.get_by_role("button", name="difference").first.wait_for(state="hidden")


def test_a_click_on_a_firm_shows_its_accounts(opened: Open) -> None:
    tab = opened()
    wait(tab, "Alpha Chips: chips, west|Hyper Cloud: clouds, west")
    tab.locator(".wide svg text", has_text="Frontier Lab").first.click(force=True)
    wait(tab, "Frontier Lab: labs, west, group Frontier Group")
    wait(tab, "gets money from")


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1280), ("light", 390), ("dark", 390)])
def test_it_fits_phones_and_the_dark(opened: Open, scheme: str, width: int) -> None:
    tab = opened(scheme, width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    paper = "rgb(24, 28, 32)" if scheme == "dark" else "rgb(255, 255, 255)"
    tab.wait_for_function(f"getComputedStyle(document.body).backgroundColor === '{paper}'")
    ink = "#e3e7eb" if scheme == "dark" else "#23282d"
    tab.wait_for_function(
        f"[...document.querySelectorAll('.line svg text')].some(t => t.getAttribute('fill') === '{ink}')"
    )
    if width < 1000:
        assert not tab.get_by_label("seed").is_visible()
        tab.get_by_role("button", name="menu").click()
        tab.get_by_label("seed").wait_for(state="visible")


def test_a_second_dashboard_takes_the_next_port(address: str) -> None:
    server, said = started("--port", address.rpartition(":")[2])
    assert "is in use; using" in said
    assert stopped(server) in {0, 130}
