"""The side of the page where a user turns things: the run, events, parameters, mechanisms, the file."""

from typing import TYPE_CHECKING, Any

from nicegui import ui

from ecosystem.spec import SCENARIOS
from ecosystem.switches import MechanismSwitches
from experiments.dashboards import shocks
from experiments.dashboards.controls import Control, choose
from experiments.dashboards.scenario_file import file_name, scenario_toml
from experiments.dashboards.session import BESIDE, value_at

if TYPE_CHECKING:
    from experiments.dashboards.page import Page

FIELD = "dense outlined options-dense"


class Sidebar:
    """All controls of a page; `refresh` lays them out again for another scenario."""

    def __init__(self, page: "Page") -> None:
        self.page = page
        self.root = ui.column().classes("w-full gap-2")
        self.refresh()

    @property
    def session(self) -> Any:
        """The session that is controlled."""
        return self.page.session

    def refresh(self) -> None:
        """Lay out the controls of the scenario on the screen."""
        self.controls = choose(self.session.shipped)
        self.shocks = shocks.offered(self.session.shipped)
        self.labels: dict[str, str] = {}
        self.root.clear()
        with self.root:
            self._run()
            self._events()
            self._parameters()
            self._mechanisms()
            self._file()

    # --- sections ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        session = self.session
        names = sorted({path.stem for path in SCENARIOS.glob("*.toml")} | {session.scenario})
        self.scenario = ui.select(names, value=session.scenario, label="scenario", on_change=self._load)
        self.scenario.props(FIELD).classes("w-full")
        ui.label(session.shipped.title).classes("soft")
        with ui.row().classes("w-full no-wrap gap-2"):
            self.seed = self._whole("seed", "seed")
            self.months = self._whole("months", "months in all")

    def _whole(self, path: str, label: str) -> ui.number:
        """Return a field for a whole number of the scenario."""
        field = ui.number(
            label,
            value=value_at(self.session.spec, path),
            precision=0,
            validation=lambda value: self._refusal(path, value),
            on_change=lambda event: self._commit(path, event.value),
        )
        return field.props("dense outlined hide-bottom-space debounce=600").classes("w-1/2").mark(path)

    def _events(self) -> None:
        with (
            ui.expansion("Fire an event", icon="bolt", value=True)
            .classes("w-full")
            .props("dense header-class=text-bold")
        ):
            options = {key: shock.label for key, shock in self.shocks.items()}
            first = next(iter(options))
            self.shock = ui.select(options, value=first, label="event", on_change=self._chosen).props(FIELD)
            self.shock.classes("w-full")
            self.shock_doc = ui.label().classes("soft")
            self.strength = ui.number("strength", validation=self._strength_refused)
            self.strength.props("dense outlined hide-bottom-space").classes("w-full").mark("strength")
            self.strength_unit = ui.label().classes("soft")
            self.fire_button = ui.button("Fire it next month", icon="bolt", on_click=self._fire).props(
                "dense unelevated no-caps"
            )
            self.fire_button.classes("w-full q-mt-xs")
            self.fired = ui.label().classes("soft")
            beside = {key: key for key in BESIDE}
            self.beside = ui.select(beside, value=self.session.beside, label="draw beside it", on_change=self._compare)
            self.beside.props(FIELD).classes("w-full q-mt-sm")
        self._chosen()

    def _parameters(self) -> None:
        self.numbers: dict[str, ui.number] = {}
        self.sliders: dict[str, ui.slider] = {}
        self.notes: dict[str, ui.label] = {}
        with (
            ui.expansion("Parameters", icon="tune", value=True).classes("w-full").props("dense header-class=text-bold")
        ):
            ui.label("A change runs the scenario again to the month on the screen.").classes("soft")
            for control in self.controls:
                self._parameter(control)

    def _parameter(self, control: Control) -> None:
        path = control.path
        with ui.column().classes("w-full gap-0 q-mt-sm"):
            ui.label(control.label).classes("text-sm").tooltip(f"{control.doc} ({path})")
            number = ui.number(
                value=control.value,
                step=control.step,
                suffix=control.unit if control.unit != "1" else "",
                validation=lambda value: self._refusal(path, value),
                on_change=lambda event: self._commit(path, event.value),
            )
            number.props("dense outlined hide-bottom-space debounce=600").classes("w-full").mark(path)
            slider = ui.slider(min=control.low, max=control.high, step=control.step, value=control.value)
            slider.props("dense").classes("w-full")
            slider.on("change", lambda event: number.set_value(event.args))
            self.notes[path] = ui.label(control.note(control.value)).classes("soft")
            self.numbers[path], self.sliders[path] = number, slider

    def _mechanisms(self) -> None:
        with ui.expansion("Mechanisms", icon="toggle_on").classes("w-full").props("dense header-class=text-bold"):
            fields = MechanismSwitches.model_fields
            options = {name: field.description or name for name, field in fields.items()}
            off = [name for name in fields if not value_at(self.session.spec, f"mechanisms.{name}")]
            self.off = ui.select(options, value=off, multiple=True, label="switched off", on_change=self._switch)
            self.off.props(f"{FIELD} use-chips").classes("w-full").mark("mechanisms")

    def _file(self) -> None:
        with ui.expansion("Save", icon="save", value=True).classes("w-full").props("dense header-class=text-bold"):
            with ui.row().classes("w-full no-wrap gap-2"):
                ui.button("Save as TOML", icon="download", on_click=self.page.save).props("dense unelevated no-caps")
                ui.button("As shipped", on_click=self._restore).props("dense outline no-caps")
            self.command = ui.label().classes("soft")
            with ui.expansion("what is saved").classes("w-full").props("dense"):
                self.toml = ui.code("", language="toml").classes("w-full text-xs").mark("toml")

    # --- what the user does --------------------------------------------------------------------------------

    def _typed(self, path: str, value: float) -> float | int:
        control = next((c for c in self.controls if c.path == path), None)
        return round(value) if control is None else control.typed(value)

    def _refusal(self, path: str, value: float | None) -> str | None:
        """Say why a value is refused at the control."""
        if value is None:
            return "a number is needed"
        refusal: str | None = self.session.refusal(path, self._typed(path, value))
        return refusal

    async def _commit(self, path: str, value: float | None) -> None:
        """Take over a value that the scenario's types allow."""
        if value is None or self._refusal(path, value) is not None:
            return
        typed = self._typed(path, value)
        if typed != value_at(self.session.spec, path):
            await self.page.attempt(lambda: self.session.change({path: typed}))
            self.draw()

    async def _switch(self, event: Any) -> None:
        wanted = {f"mechanisms.{name}": name not in event.value for name in MechanismSwitches.model_fields}
        changed = {path: on for path, on in wanted.items() if value_at(self.session.spec, path) is not on}
        if changed:
            await self.page.attempt(lambda: self.session.change(changed))
            self.draw()

    async def _load(self, event: Any) -> None:
        if event.value != self.session.scenario:
            await self.page.load(event.value)

    async def _compare(self, event: Any) -> None:
        if event.value != self.session.beside:
            await self.page.attempt(lambda: self.session.compare(event.value))

    async def _restore(self) -> None:
        await self.page.attempt(self.session.restore)
        self.draw()

    def _chosen(self) -> None:
        """Show the event that is chosen."""
        shock = self.shocks[self.shock.value]
        source = f" Source of the usual strength: {shock.source}." if shock.source else ""
        self.shock_doc.set_text(f"{shock.doc}{source}")
        self.strength.set_visibility(shock.strength is not None)
        self.strength_unit.set_text(shock.unit)
        self.strength.set_value(shock.default)

    def _strength_refused(self, value: float | None) -> str | None:
        shock = self.shocks[self.shock.value]
        if shock.strength is None:
            return None
        if value is None:
            return "a number is needed"
        refusal: str | None = self.session.refusal("events.fired_probe", {**shock.data(value), "month": 0})
        return None if refusal is None else refusal.rpartition(": ")[2]

    async def _fire(self) -> None:
        shock = self.shocks[self.shock.value]
        if not self.strength.validate() or self.page.busy:
            return
        if self.session.finished:
            ui.notify("the last month has been run: reset, or lengthen the run, then fire", type="warning")
            return
        data, names = shock.data(self.strength.value), set(self.session.fired)
        if await self.page.attempt(lambda: self.session.fire(data)) is None:
            (name,) = set(self.session.fired) - names
            self.labels[name] = shock.label
            self.page.draw()

    # --- drawing -------------------------------------------------------------------------------------------

    def fired_labels(self) -> list[tuple[str, str, int]]:
        """Return mark, words and month of every fired event; several are marked by their numbers."""
        fired = [(self.labels.get(name, name), int(event["month"])) for name, event in self.session.fired.items()]
        if len(fired) == 1:
            return [(label, label, month) for label, month in fired]
        return [(str(i), f"{i} {label}", month) for i, (label, month) in enumerate(fired, start=1)]

    def draw(self) -> None:
        """Show the values that the session has."""
        session = self.session
        self.seed.set_value(value_at(session.spec, "seed"))
        self.months.set_value(session.spec.months)
        for control in self.controls:
            value = value_at(session.spec, control.path)
            self.numbers[control.path].set_value(value)
            self.sliders[control.path].set_value(min(max(value, control.low), control.high))
            self.notes[control.path].set_text(control.note(value))
        self.beside.set_value(session.beside)
        self.off.set_value([n for n in MechanismSwitches.model_fields if not value_at(session.spec, f"mechanisms.{n}")])
        fired = [f"{words} (month {month + 1})" for _, words, month in self.fired_labels()]
        self.fired.set_text(f"fired: {'; '.join(fired)}" if fired else "")
        self.fire_button.set_enabled(not self.page.busy)
        self.command.set_text(f"then: watersellers run {file_name(session)}")
        self.toml.set_content(scenario_toml(session))
