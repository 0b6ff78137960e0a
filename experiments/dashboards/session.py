"""What the dashboard shows, without the page: a live run, the run beside it, changed parameters, fired events."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from ecosystem.ledger import LedgerBreach, LedgerError
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from experiments.errors import RunFailure
from experiments.runs import RunResult, result_of

Beside = Literal["nothing", "without the fired events", "scenario as shipped"]
BESIDE: tuple[Beside, ...] = get_args(Beside)
"""What can be drawn beside the run, month by month and with the same draws."""


class Session:
    """One live run. At least its first month has been run, so that there is something to see.

    A changed parameter or a fired event runs the scenario again to the month on the screen, so that what is seen
    is always what the saved scenario does. SpecError for a scenario, value or event that cannot be run; the
    session then stays as it was. RunFailure for a run that breaks off.
    """

    def __init__(self, scenario: str = "2025", seed: int | None = None) -> None:
        self._open(scenario, seed)

    def load(self, scenario: str) -> None:
        """Open another scenario, by name or file, in its first month."""
        old = (self.chain, self.twin)
        self._open(scenario, None)
        for chain in old:
            if chain is not None:
                chain.release()

    def _open(self, scenario: str, seed: int | None) -> None:
        shipped = Spec.load(scenario)
        spec = shipped if seed is None else shipped.with_overrides({"seed": seed})
        chain = _run(spec, 1)
        self.scenario = scenario
        self.shipped = shipped
        self.spec = spec
        self.changes: dict[str, Any] = {} if seed is None else {"seed": seed}
        self.fired: dict[str, dict[str, Any]] = {}
        self.beside: Beside = "nothing"
        self.chain = chain
        self.twin: ValueChain | None = None

    # --- the run -------------------------------------------------------------------------------------------

    @property
    def month(self) -> int:
        """Months run so far."""
        return self.chain.month

    @property
    def finished(self) -> bool:
        """Whether the scenario's last month has been run."""
        return self.chain.month >= self.spec.months

    def step(self) -> None:
        """Run one month of the run and of the one beside it; nothing after the last month."""
        if not self.finished:
            _advance(self.chain, self.chain.month + 1)
            if self.twin is not None:
                _advance(self.twin, self.chain.month)

    def reset(self) -> None:
        """Go back to the first month, without the fired events; changed parameters stay."""
        spec = _changed(self.shipped, self.changes)
        self._replace(spec, self.changes, {}, 1, "nothing" if self.beside == BESIDE[1] else self.beside)

    def close(self) -> None:
        """Let go of the models."""
        self.chain.release()
        if self.twin is not None:
            self.twin.release()

    # --- what can be changed -------------------------------------------------------------------------------

    def change(self, values: Mapping[str, Any]) -> None:
        """Set parameters by path, and run again to the present month."""
        wanted = self.changes | dict(values)
        spec = _changed(self.shipped, wanted, self.fired)
        wanted = {path: value for path, value in wanted.items() if value != value_at(self.shipped, path)}
        self._replace(spec, wanted, self.fired, min(self.month, spec.months), self.beside)

    def refusal(self, path: str, value: Any) -> str | None:
        """Say why a value cannot be, None if the scenario's types allow it."""
        try:
            _changed(self.shipped, self.changes | {path: value}, self.fired)
        except ValueError as error:
            return str(error).removeprefix("override: ").removeprefix(f"{path}: ")
        return None

    def restore(self) -> None:
        """Take back all changed parameters; fired events stay."""
        self._replace(_changed(self.shipped, {}, self.fired), {}, self.fired, self.month, self.beside)

    def fire(self, event: Mapping[str, Any]) -> str:
        """Let an event happen in the next month, and show the run without it beside; return its name."""
        name = _free_name(f"fired_{event['kind']}", {*self.spec.events})
        fired = self.fired | {name: {**event, "month": self.month}}
        spec = _changed(self.shipped, self.changes, fired)
        self._replace(spec, self.changes, fired, self.month, BESIDE[1])
        return name

    def compare(self, beside: Beside) -> None:
        """Choose what is drawn beside the run."""
        self._replace(self.spec, self.changes, self.fired, self.month, beside)

    def _replace(
        self, spec: Spec, changes: dict[str, Any], fired: dict[str, dict[str, Any]], month: int, beside: Beside
    ) -> None:
        """Run the new scenario, and what is beside it, to a month, then put them in the place of the old ones."""
        month = max(month, 1)
        same = spec == self.spec and month == self.month
        chain = self.chain if same else _run(spec, month)
        twin = None
        if beside != "nothing":
            lasting: dict[str, Any] = {path: changes[path] for path in ("seed", "months") if path in changes}
            twin = _run(_changed(self.shipped, changes if beside == BESIDE[1] else lasting), month)
        if not same:
            self.chain.release()
        if self.twin is not None:
            self.twin.release()
        self.spec, self.changes, self.fired, self.beside = spec, dict(changes), dict(fired), beside
        self.chain, self.twin = chain, twin

    # --- what is seen --------------------------------------------------------------------------------------

    def result(self) -> RunResult:
        """Return the run so far, as other parts of the program see a finished one."""
        return result_of(self.chain, copied=False)

    def twin_result(self) -> RunResult | None:
        """Return the run beside it so far."""
        return None if self.twin is None else result_of(self.twin, copied=False)


def value_at(spec: Spec, path: str) -> Any:
    """Return the value of a dotted path."""
    node: Any = spec
    for part in path.split("."):
        node = node[part] if isinstance(node, Mapping) else getattr(node, part)
    return node


def _changed(spec: Spec, changes: Mapping[str, Any], fired: Mapping[str, Any] | None = None) -> Spec:
    return spec.with_overrides({**changes, **{f"events.{name}": event for name, event in (fired or {}).items()}})


def _run(spec: Spec, months: int) -> ValueChain:
    """Open a scenario and run its first months."""
    try:
        chain = ValueChain(spec)
    except (LedgerError, ArithmeticError) as error:
        raise RunFailure(f"{spec.name}: the opening month does not work out: {error}") from error
    _advance(chain, months)
    return chain


def _advance(chain: ValueChain, months: int) -> None:
    """Run a model up to a month."""
    try:
        while chain.month < months:
            chain.step()
    except (LedgerBreach, LedgerError, ArithmeticError) as error:
        raise RunFailure(f"{chain.spec.name}: the run broke off in month {chain.month}: {error}") from error


def _free_name(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
