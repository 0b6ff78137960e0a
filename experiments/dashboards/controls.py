"""The parameters that the dashboard offers as controls: the dozen that matter, whatever the scenario."""

import math
from dataclasses import dataclass
from typing import Any

from ecosystem.provenance import ParameterRow
from ecosystem.spec import Spec
from experiments.dashboards.session import value_at

WITHOUT_SPAN = (0.25, 4.0)
"""Slider of a parameter without a plausible range: multiples of its value."""


@dataclass(frozen=True, slots=True)
class Control:
    """One parameter with what a user must know to turn it.

    `low` and `high` are the ends of the slider: the plausible range where the model gives one (`plausible`),
    else multiples of the value. Values beyond them are allowed as far as the model allows them.
    """

    path: str
    label: str
    value: float
    unit: str
    low: float
    high: float
    step: float
    plausible: bool
    source: str
    doc: str

    def typed(self, value: float) -> float | int:
        """Return a number of the parameter's own type."""
        return round(value) if isinstance(self.value, int) else float(value)

    def note(self, value: float) -> str:
        """Say where a value lies."""
        if not self.plausible:
            return f"source: {self.source}"
        inside = self.low <= value <= self.high
        words = "plausible" if inside else "outside the plausible range"
        return f"{words} {self.low:g} to {self.high:g}; source: {self.source}"


def choose(spec: Spec) -> list[Control]:
    """Return the controls of a scenario: of its largest firms and its first region."""
    rows = {row.path: row for row in spec.parameters()}
    return [_control(rows[path], label, value_at(spec, path)) for path, label in _offered(spec) if path in rows]


def _offered(spec: Spec) -> list[tuple[str, str]]:
    """Return path and label of the parameters, downstream first."""
    region = spec.regions[0]
    chips = max(spec.chipmaker, key=lambda i: sum(spec.chipmaker[i].opening_sales.values()))
    segments = [i for i, s in spec.enterprise.items() if s.region == region] or list(spec.enterprise)
    segment = [(f"enterprise.{segments[0]}.elasticity_long", "Enterprises: long-run price elasticity")]
    return [
        (f"consumers.{region}.casual_median", "Willingness to pay of casual users"),
        (f"consumers.{region}.switching_cost", "Cost of switching apps"),
        (f"consumers.{region}.ad_dislike_median", "Dislike of ads"),
        (f"advertisers.{region}.cpm", "Price of a thousand impressions at the opening"),
        *(segment if segments else []),
        (f"compute.{region}.growth", "Growth of other compute demand"),
        ("market.reasoning_growth", "Growth of tokens per query"),
        ("research.software_progress", "Software progress of serving"),
        ("research.open_spillover", "Learning from open weights"),
        (f"investors.{region}.fund", "Money of AI investors at the opening"),
        (f"investors.{region}.inflow", "Money flowing to AI investors"),
        (f"chipmaker.{chips}.substitution", f"Substitution away from {spec.chipmaker[chips].name}"),
        (f"chipmaker.{chips}.construction_months", "Months to build chip capacity"),
        (f"chipmaker.{chips}.circular_share", "Chip profit put into customers' equity"),
    ]


def _control(row: ParameterRow, label: str, value: Any) -> Control:
    low, high = row.span or (WITHOUT_SPAN[0] * value, WITHOUT_SPAN[1] * value)
    step = 1.0 if isinstance(value, int) else _nice((high - low) / 60.0)
    return Control(
        row.path,
        label,
        value,
        row.unit,
        float(low),
        float(high),
        step,
        row.span is not None,
        row.source,
        row.doc,
    )


def _nice(size: float) -> float:
    """Return 1, 2 or 5 times a power of ten near a size."""
    if size <= 0.0:
        return 0.01
    power = 10.0 ** math.floor(math.log10(size))
    return float(f"{max((1.0, 2.0, 5.0), key=lambda m: -abs(m * power - size)) * power:.1g}")
