"""The page: what a user sees and turns; everything it knows comes from the session."""

import time
from collections.abc import Callable
from typing import Any, Literal, get_args

from nicegui import run, ui

from experiments.dashboards import accounts, differences, pictures
from experiments.dashboards.lines import CHARTS, Options
from experiments.dashboards.look import CSS, SCRIPT, look
from experiments.dashboards.scenario_file import file_name, scenario_toml
from experiments.dashboards.session import BESIDE, Beside, Session
from experiments.dashboards.sidebar import Sidebar
from experiments.errors import RunFailure
from experiments.runs import RunResult

SPEEDS = {1: "1 month a second", 2: "2 months", 5: "5 months", 10: "10 months", 20: "20 months"}
LINES_EVERY = 0.1
"""Least seconds between two drawings of the charts over time."""
PICTURES_EVERY = 0.4
"""Least seconds between two drawings of the network, the Sankey and the firm."""
View = Literal["run", "twin", "difference"]
VIEWS: tuple[View, ...] = get_args(View)
VIEW_NAMES: dict[Beside, tuple[str, str, str]] = {
    BESIDE[0]: ("run", "", ""),
    BESIDE[1]: ("with event", "without", "difference"),
    BESIDE[2]: ("changed", "as shipped", "difference"),
}
"""What network and Sankey may show, as the switch calls it."""
OTHER: dict[Beside, str] = {
    BESIDE[0]: "",
    BESIDE[1]: "the run without the fired events",
    BESIDE[2]: "the scenario as shipped",
}
"""What the run beside is called."""
NETWORK_LEGEND = (
    "Flows of the last year, width in dollars; colour is the seller's operating margin: -60 %"
    "<span class='scale'></span>+60 %. Click a firm to see its accounts."
)
SANKEY_LEGEND = (
    "Every dollar that came into the chain in the last year: who put it in, in which tier it ended, and as what. "
    "Money mixes in every firm's account."
)
SCHEME = """
<script>
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const tell = () => window.emitEvent ? emitEvent("scheme", dark.matches) : setTimeout(tell, 50);
  dark.addEventListener("change", tell);
  window.addEventListener("load", tell);
</script>
"""


def build(scenario: str, seed: int | None) -> None:
    """Lay out the page of one visitor, with a session of its own."""
    Page(Session(scenario, seed))


def _largest(result: RunResult) -> str:
    """Return the firm with the largest revenue in the month on the screen."""
    return max(result.firm_list, key=lambda info: result.of(info.id, "revenue")[-1]).id


class Page:
    """One visitor's page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.playing = False
        self.busy = False
        self.speed = 5
        self.dark = False
        self.firm = _largest(session.result())
        self.view: View = "run"
        self._had_twin = False
        self._owed = 0.0
        self._ticked = self._drew_lines = self._drew_pictures = time.monotonic()
        ui.add_css(CSS)
        ui.add_head_html(f"<script>{SCRIPT}</script>{SCHEME}")
        ui.on("scheme", lambda event: self.recolour(bool(event.args)))
        self._header()
        with (
            ui.left_drawer(value=False)
            .props("show-if-above width=330 breakpoint=1000 bordered")
            .classes("p-3") as drawer
        ):
            self.sidebar = Sidebar(self)
        self.drawer = drawer
        self._main()
        ui.timer(0.05, self.tick)
        ui.context.client.on_delete(session.close)
        self.draw()

    # --- layout --------------------------------------------------------------------------------------------

    def _header(self) -> None:
        with ui.header().classes("items-center q-py-xs q-px-sm gap-2"):
            ui.button(icon="menu", on_click=self._toggle_drawer).props(
                "flat dense color=primary aria-label=menu"
            ).tooltip("parameters, events, save")
            ui.label("watersellers").classes("text-lg font-bold only-wide")
            self.play_button = ui.button("Play", icon="play_arrow", on_click=self.toggle).props(
                "dense unelevated no-caps"
            )
            self.play_button.classes("q-px-sm")
            self.step_button = ui.button("Step", icon="skip_next", on_click=self.step).props("dense outline no-caps")
            ui.button("Reset", icon="replay", on_click=self.reset).props("dense outline no-caps")
            self.month = ui.label().classes("text-base font-bold")
            ui.space().classes("only-wide")
            ui.select(SPEEDS, value=self.speed, on_change=self._set_speed, label="speed").props(
                "dense borderless options-dense"
            ).classes("only-wide w-40")

    def _main(self) -> None:
        self.lead = ui.label().classes("lead")
        self.beside_words = ui.label().classes("soft")
        with ui.element("div").classes("card"):
            self.network_title = ui.label().classes("head")
            self.network_switch = self._switch("network")
            self.network_legend = ui.html("", sanitize=False)
            rows = pictures.network_rows(self.session.result())
            with ui.element("div").classes("scroll"):
                self.network = ui.echart({}, on_point_click=self._pick, renderer="svg").classes("wide").mark("network")
                self.network.props('role=img aria-label="The value chain: firms by tier and the flows between them"')
            self.network.style(f"height: {(rows + 2) * pictures.ROW}px")
        with ui.element("div").classes("card"):
            names = {info.id: info.name for info in self.session.result().firm_list}
            self.firm_select = ui.select(names, value=self.firm, with_input=True, on_change=self._select, label="firm")
            self.firm_select.props("dense options-dense").classes("w-64")
            self.firm_title = ui.label().classes("head q-mt-sm q-mb-sm")
            with ui.element("div").classes("firm"):
                self.balance = ui.html("", sanitize=False)
                with ui.element("div").classes("scroll"):
                    self.trades = ui.html("", sanitize=False)
        self.charts: dict[str, ui.echart] = {}
        with ui.element("div").classes("charts"):
            for chart in CHARTS:
                with ui.element("div").classes("card"):
                    ui.label(chart.title).classes("head")
                    ui.label(chart.unit).classes("soft")
                    self.charts[chart.key] = ui.echart({}, renderer="svg").classes("line").mark(f"chart-{chart.key}")
                    self.charts[chart.key].props(f'role=img aria-label="{chart.title}, {chart.unit}"')
        with ui.element("div").classes("card"):
            self.sankey_title = ui.label().classes("head")
            self.sankey_switch = self._switch("sankey")
            self.sankey_legend = ui.html("", sanitize=False)
            with ui.element("div").classes("scroll"):
                self.sankey = ui.echart({}, renderer="svg").classes("wide").style("height: 460px").mark("sankey")
                self.sankey.props('role=img aria-label="Where the dollars of the last year come from and end"')

    def _switch(self, name: str) -> ui.toggle:
        """Offer what a picture may show while there is a run beside."""
        switch = ui.toggle(dict.fromkeys(VIEWS, ""), value=self.view, on_change=self._look_at)
        return (
            switch.props('dense no-caps size=sm unelevated padding="2px 10px" toggle-color=primary')
            .classes("q-my-xs")
            .mark(f"{name}-view")
        )

    # --- what the user does --------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Play or pause."""
        self.playing = not self.playing and not self.session.finished
        self._ticked, self._owed = time.monotonic(), 0.0
        self.draw_buttons()

    def step(self) -> None:
        """Run one month."""
        if not self.busy:
            self.playing = False
            self._advance(1)
            self.draw()

    async def reset(self) -> None:
        """Go back to the first month."""
        self.playing = False
        await self.attempt(self.session.reset)

    async def attempt(self, action: Callable[[], Any], then: Callable[[], None] | None = None) -> str | None:
        """Do something that runs the scenario anew, beside the page; return why it was refused, or None.

        `then` is done with what came of it, before all is drawn again.
        """
        if self.busy:
            return "another change is being worked out"
        self.busy, refusal = True, None
        self.draw_buttons()
        try:
            await run.io_bound(action)
            if then is not None:
                then()
        except (ValueError, RunFailure) as error:
            refusal = str(error)
            ui.notify(refusal, type="negative", multi_line=True, timeout=8000)
        finally:
            self.busy = False
            self._ticked = time.monotonic()
        self.draw()
        return refusal

    async def load(self, scenario: str) -> None:
        """Open another scenario."""
        await self.attempt(lambda: self.session.load(scenario), self._opened)

    def _opened(self) -> None:
        """Lay out what depends on the scenario: its firms and its controls."""
        result = self.session.result()
        self.firm = _largest(result)
        self.firm_select.set_options({info.id: info.name for info in result.firm_list}, value=self.firm)
        self.network.style(f"height: {(pictures.network_rows(result) + 2) * pictures.ROW}px")
        self.sidebar.refresh()

    def recolour(self, dark: bool) -> None:
        """Take over the light or dark mode of the browser."""
        if dark != self.dark:
            self.dark = dark
            self.draw()

    def save(self) -> None:
        """Hand the scenario on the screen to the browser as a file."""
        ui.download.content(scenario_toml(self.session), file_name(self.session), media_type="application/toml")

    def _toggle_drawer(self) -> None:
        self.drawer.toggle()

    def _look_at(self, event: Any) -> None:
        if event.value and event.value != self.view:
            self.view = event.value
            self.draw_pictures()

    def _set_speed(self, event: Any) -> None:
        self.speed = event.value

    def _pick(self, event: Any) -> None:
        data = getattr(event, "data", None) or {}
        key = data.get("id") if isinstance(data, dict) else None
        if key in {info.id for info in self.session.result().firm_list}:
            self.firm_select.set_value(key)
        elif key is not None and str(key).startswith("other "):
            ui.notify(f"{data['name']}: choose one of them by its name below")

    def _select(self, event: Any) -> None:
        if event.value:
            self.firm = event.value
            self.draw_pictures()

    # --- time ----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Run the months that are due and draw what has changed, as often as the eye can use."""
        now = time.monotonic()
        passed, self._ticked = min(now - self._ticked, 0.5), now
        if not self.playing or self.busy:
            return
        self._owed = min(self._owed + passed * self.speed, 4.0)
        months = int(self._owed)
        if months:
            self._owed -= months
            self._advance(months)
        if not self.playing or self.session.finished:
            self.playing = False
            self.draw()
            return
        if now - self._drew_lines >= LINES_EVERY:
            self.draw_lines()
        if now - self._drew_pictures >= PICTURES_EVERY:
            self.draw_pictures()

    def _advance(self, months: int) -> None:
        try:
            for _ in range(months):
                self.session.step()
        except RunFailure as error:
            self.playing = False
            ui.notify(str(error), type="negative", multi_line=True, timeout=0, close_button=True)

    # --- drawing -------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw everything."""
        self.draw_buttons()
        self.draw_lines()
        self.draw_pictures()
        self.sidebar.draw()

    def draw_buttons(self) -> None:
        """Show what can be done now."""
        session = self.session
        self.play_button.set_text("Pause" if self.playing else "Play")
        self.play_button.set_icon("pause" if self.playing else "play_arrow")
        for button in (self.play_button, self.step_button):
            button.set_enabled(not session.finished and not self.busy)

    def draw_lines(self) -> None:
        """Draw the charts over time."""
        self._drew_lines = time.monotonic()
        session = self.session
        result, twin = session.result(), session.twin_result()
        fired = self.sidebar.fired_labels()
        marks: dict[int, str] = {}
        for mark, _, month in fired:
            marks[month] = f"{marks[month]}, {mark}" if month in marks else mark
        self.month.set_text(f"{pictures.month_name(result)}, month {session.month} of {session.spec.months}")
        self.lead.set_text(pictures.profit_sentence(result))
        words = ""
        if twin is not None:
            words = f"Dashed lines: {session.beside}. There: {pictures.profit_sentence(twin)}"
        if len(fired) > 1:
            words = f"{words} Dotted lines: {'; '.join(each for _, each, _ in fired)}.".lstrip()
        self.beside_words.set_text(words)
        self.beside_words.set_visibility(bool(words))
        for chart in CHARTS:
            element = self.charts[chart.key]
            element.options.clear()
            element.options.update(chart.options(result, twin, look(self.dark), marks))
            element.update()

    def draw_pictures(self) -> None:
        """Draw the network, the firm and the Sankey."""
        self._drew_pictures = time.monotonic()
        result, twin = self.session.result(), self.session.twin_result()
        self._draw_switches(twin is not None)
        for label, element, (title, options) in zip(
            (self.network_title, self.sankey_title),
            (self.network, self.sankey),
            self._pictures(result, twin),
            strict=True,
        ):
            label.set_text(title)
            element.options.clear()
            element.options.update(options)
            element.update()
        self.firm_title.set_text(accounts.heading(result, self.firm))
        self.balance.set_content(accounts.balance_html(result, self.firm))
        self.trades.set_content(accounts.trades_html(result, self.firm))

    def _pictures(self, result: RunResult, twin: RunResult | None) -> tuple[tuple[str, Options], tuple[str, Options]]:
        """Return title and drawing of the network and of the Sankey: of the run, the twin, or what differs."""
        colours = look(self.dark)
        if twin is None or self.view == "run":
            network = pictures.network_picture(result, colours, self.firm, twin)
            return network, pictures.sankey_picture(result, colours)
        if self.view == "twin":
            network = pictures.network_picture(twin, colours, self.firm, result)
            return network, pictures.sankey_picture(twin, colours)
        network = differences.network_difference(result, twin, colours, self.firm)
        return network, differences.sankey_difference(result, twin, colours, OTHER[self.session.beside])

    def _draw_switches(self, twin: bool) -> None:
        """Offer the views that there are, the difference first when a twin appears, and say what is drawn."""
        if twin != self._had_twin:
            self.view = "difference" if twin else "run"
        self._had_twin = twin
        other = OTHER[self.session.beside]
        names = dict(zip(VIEWS, VIEW_NAMES[self.session.beside] if twin else VIEWS, strict=True))
        for switch in (self.network_switch, self.sankey_switch):
            switch.set_options(names, value=self.view)
            switch.set_visibility(twin)
        whose = f"<b>This is {other}.</b> " if self.view == "twin" else ""
        if self.view == "difference":
            firms = "; colour of a firm: its operating profit. Click a firm to see its accounts."
            self.network_legend.set_content(differences.legend(other, firms))
            self.sankey_legend.set_content(differences.legend(other, "."))
        else:
            self.network_legend.set_content(f"<span class='soft'>{whose}{NETWORK_LEGEND}</span>")
            self.sankey_legend.set_content(f"<span class='soft'>{whose}{SANKEY_LEGEND}</span>")
