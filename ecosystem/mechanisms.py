"""The registry of mechanisms: for each, how to take it out, where it matters, and the sign of what it does.

The rows are data (`data/mechanisms.toml`). One parametrised test runs every row with and without its mechanism;
documentation tables and the planted faults of the hypotheses read the same rows.
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ecosystem.model import ValueChain
from ecosystem.spec import Spec

REGISTRY = Path(__file__).parent / "data" / "mechanisms.toml"
LEAST_EFFECT = 1e-3
"""Smallest effect, relative to the larger arm, that counts as doing something."""

Series = NDArray[np.float64]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Outcome(_Row):
    """One number of a finished run: a field of a firm or tier, a market series, or a flow of the ledger.

    `per` divides by another field. `months`: first and last month + 1 (all by default). `reduce`: mean, last,
    peak or trough of the months, or movement (mean distance from the first of them). `across` replicates:
    their mean, or their spread (standard deviation).
    """

    firm: str | None = None
    tier: str | None = None
    field: str | None = None
    per: str | None = None
    series: str | None = None
    payer: str | None = None
    payee: str | None = None
    kind: str | None = None
    months: tuple[int, int | None] = (0, None)
    reduce: Literal["mean", "last", "peak", "trough", "movement"] = "mean"
    across: Literal["mean", "spread"] = "mean"

    @model_validator(mode="after")
    def _one_subject(self) -> "Outcome":
        if self.field is not None and (self.firm is None) == (self.tier is None):
            raise ValueError("a field needs a firm or a tier")
        if sum(x is not None for x in (self.field, self.series, self.kind)) != 1:
            raise ValueError("an outcome needs exactly one of field, series, kind")
        return self

    @property
    def text(self) -> str:
        """The outcome in words, for tables."""
        if self.kind is not None:
            what = f"{self.kind} from {self.payer or 'all'} to {self.payee or 'all'}"
        else:
            what = self.series or f"{self.firm or self.tier}: {self.field}"
        per = f" per {self.per}" if self.per is not None else ""
        across = ", spread over replicates" if self.across == "spread" else ""
        return f"{what}{per} ({self.reduce}{across})"

    def measure(self, chain: ValueChain) -> float:
        """Return the outcome of a finished run."""
        first, last = self.months
        values = self._values(chain)[first:last]
        reductions: dict[str, Callable[[Series], Any]] = {
            "mean": np.mean,
            "last": lambda v: v[-1],
            "peak": np.max,
            "trough": np.min,
            "movement": lambda v: np.mean(np.abs(v - v[0])),
        }
        return float(reductions[self.reduce](values))

    def _values(self, chain: ValueChain) -> Series:
        recorder = chain.recorder
        if self.kind is not None:
            return self._flow(chain)
        if self.series is not None:
            return recorder.series[self.series]
        values = self._field(chain, str(self.field))
        if self.per is not None:
            values = values / np.maximum(self._field(chain, self.per), 1e-12)
        return values

    def _field(self, chain: ValueChain, field: str) -> Series:
        if self.firm is not None:
            return chain.recorder.of(self.firm, field)
        return chain.recorder.tier(chain, str(self.tier), field)

    def _flow(self, chain: ValueChain) -> Series:
        """Return USD a month of one kind of payment between two accounts (or all)."""
        flows = chain.ledger.flows()
        ids = np.array([account.id for account in flows.accounts])
        rows = flows.of_kinds([str(self.kind)])
        if self.payer is not None:
            rows &= ids[flows.payer] == self.payer
        if self.payee is not None:
            rows &= ids[flows.payee] == self.payee
        paid = np.bincount(flows.month[rows], weights=flows.amount[rows], minlength=chain.recorder.recorded)
        return paid.astype(np.float64)


class Mechanism(_Row):
    """One mechanism: `switch` names its switch, or `present` and `absent` set the parameters that vary it.

    `event` stands on the timeline of the arm that has the mechanism; `both` arms share the rest, chosen so that
    the mechanism can matter. `sign` is that of (with - without) in `outcome`.
    """

    name: str
    title: str
    switch: str | None = None
    present: dict[str, Any] = Field(default_factory=dict)
    absent: dict[str, Any] = Field(default_factory=dict)
    event: dict[str, Any] | None = None
    both: dict[str, Any] = Field(default_factory=dict)
    scenario: str = "toy"
    months: int = 24
    replicates: int = 1
    outcome: Outcome
    sign: Literal[-1, 1]
    reason: str
    source: str

    @property
    def varied_by(self) -> str:
        """What takes it out: the switch, the parameters or the event."""
        if self.switch is not None:
            return f"mechanisms.{self.switch}"
        if self.event is not None:
            return f"event {self.event['kind']}"
        return ", ".join(self.present or self.absent)

    def overrides(self, with_it: bool) -> dict[str, Any]:
        """Return what to set in the scenario for the arm with, or without, the mechanism."""
        arm: dict[str, Any] = {"sampling": False, "months": self.months, **self.both}
        arm.update(self.present if with_it else self.absent)
        if self.switch is not None:
            arm[f"mechanisms.{self.switch}"] = with_it
        if self.event is not None and with_it:
            arm["events.probe"] = self.event
        return arm

    def spec(self, with_it: bool) -> Spec:
        """Return the scenario of one arm."""
        return Spec.load(self.scenario).with_overrides(self.overrides(with_it))

    def arm(self, with_it: bool, run: Callable[[Spec, int], ValueChain]) -> float:
        """Return the outcome of one arm; `run` runs a scenario's replicate (and may remember it)."""
        spec = self.spec(with_it)
        values = [self.outcome.measure(run(spec, replicate)) for replicate in range(self.replicates)]
        return float(np.std(values) if self.outcome.across == "spread" else np.mean(values))

    def works(self, with_it: float, without: float) -> bool:
        """Return whether the two arms differ by enough, in the right direction."""
        return self.sign * (with_it - without) > LEAST_EFFECT * max(abs(with_it), abs(without))


def run_arm(spec: Spec, replicate: int) -> ValueChain:
    """Run one replicate; the same seed in all arms, so that they share their random numbers."""
    chain = ValueChain(spec, replicate=replicate).run()
    chain.release()
    return chain


@lru_cache(maxsize=1)
def mechanisms() -> dict[str, Mechanism]:
    """Return the registry by name."""
    rows: Mapping[str, Any] = tomllib.loads(REGISTRY.read_text(encoding="utf-8"))
    return {name: Mechanism(name=name, **row) for name, row in rows.items()}


def table() -> list[tuple[str, str, str, str, str, str]]:
    """Return (title, varied by, outcome, sign, reason, source) of every mechanism, for the documentation."""
    return [
        (m.title, m.varied_by, m.outcome.text, "+" if m.sign > 0 else "-", m.reason, m.source)
        for m in mechanisms().values()
    ]
