"""The pictures of the documentation, taken anew of the program as it is.

    make pictures                                # or: python -m experiments.docs_pictures --docs docs

A scenario is run and its report opened; the dashboard is played to the end with a demand freeze fired on the way, and
photographed in its three views, in the dark, and at the size of a phone. Needs playwright and a Chromium.
"""

import argparse
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.docs_command import tell_written
from experiments.errors import RunFailure, UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
FREEZE, FIRED_AFTER = "Demand freeze", 14
PICTURES = (
    "report-network.png",
    "dashboard.png",
    "dashboard-with-event.png",
    "dashboard-without.png",
    "dashboard-charts.png",
    "dashboard-dark.png",
    "dashboard-phone.png",
)
LONGEST = 120_000
"""Milliseconds that a page may take."""


def take_pictures(folder: str | Path, scenario: str = "2025") -> list[Path]:
    """Take all pictures of a scenario and return their paths; RunFailure where the program is missing or fails."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with _browser() as browser:
        _report(browser, scenario, target)
        with _dashboard(scenario) as address:
            _photograph(browser, address, target)
    return [target / name for name in PICTURES]


@contextmanager
def _browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UserError(f"pictures need {error.name}: install the group dev of pyproject.toml") from None
    place = next(filter(None, map(shutil.which, BROWSERS)), None)
    if place is None:
        raise UserError(f"pictures need a browser: one of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=place, headless=True, args=list(FLAGS))
        yield opened
        opened.close()


@contextmanager
def _dashboard(scenario: str) -> Iterator[str]:
    """Serve the dashboard in a process of its own and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    call = "from experiments.cli import main; main()"
    command = [sys.executable, "-c", call, "dashboard", scenario, "--no-browser", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None:
                raise RunFailure(f"the dashboard ended with {server.returncode} before it answered")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def _report(browser: Any, scenario: str, target: Path) -> None:
    """Photograph the network of a run's report."""
    from experiments.run_report import run_report
    from experiments.runs import run

    with tempfile.TemporaryDirectory() as folder:
        page = run_report(run(scenario)).write(Path(folder) / "report.html")
        tab = browser.new_page(viewport={"width": 1120, "height": 900})
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-drawn]", timeout=LONGEST)
        tab.locator("section", has=tab.locator(".scroll .chart")).first.screenshot(path=target / PICTURES[0])
        tab.close()


def _photograph(browser: Any, address: str, target: Path) -> None:
    """Play the dashboard to the end with an event on the way, and photograph it."""
    tab = browser.new_page(viewport=WIDE, color_scheme="light")
    tab.goto(address)
    tab.wait_for_selector(".line svg path", state="attached", timeout=LONGEST)
    for month in range(2, FIRED_AFTER + 1):
        tab.get_by_role("button", name="Step").click()
        _wait(tab, f"month {month} of")
    tab.get_by_role("combobox", name="event", exact=True).click()
    tab.get_by_role("option", name=re.compile(FREEZE)).first.click()
    tab.get_by_role("button", name="Fire it next month").click()
    _wait(tab, "fired: ")
    tab.get_by_role("button", name="Play").click()
    _wait(tab, r"month (\d+) of \1\b")
    tab.wait_for_timeout(1500)
    views = {"difference": PICTURES[1], "with event": PICTURES[2], "without": PICTURES[3]}
    for view, name in views.items():
        tab.get_by_role("button", name=view, exact=True).first.click()
        tab.wait_for_timeout(800)
        tab.screenshot(path=target / name)
    tab.get_by_role("button", name="difference", exact=True).first.click()
    tab.locator(".charts").scroll_into_view_if_needed()
    tab.evaluate("window.scrollTo(0, document.querySelector('.charts').offsetTop - 5)")
    tab.wait_for_timeout(500)
    tab.screenshot(path=target / PICTURES[4])
    tab.evaluate("window.scrollTo(0, 0)")
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_timeout(1500)
    tab.screenshot(path=target / PICTURES[5])
    tab.set_viewport_size(PHONE)
    tab.wait_for_timeout(1500)
    tab.screenshot(path=target / PICTURES[6])
    tab.close()


def _wait(tab: Any, words: str) -> None:
    tab.get_by_text(re.compile(words)).first.wait_for(timeout=LONGEST)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", default="2025")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    asked = parser.parse_args(arguments)
    return tell_written(lambda: take_pictures(asked.docs / "images", asked.scenario))


if __name__ == "__main__":
    sys.exit(main())
