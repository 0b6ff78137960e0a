"""The recorder: preallocated arrays of what every firm and market did each month."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain as joined
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.firm import TIERS
from ecosystem.arrays import packed

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

FIRM_FIELDS: dict[str, str] = {
    "alive": "1",
    "revenue": "USD/month",
    "cost_of_sales": "USD/month",
    "depreciation": "USD/month",
    "gross_profit": "USD/month",
    "research": "USD/month",
    "marketing": "USD/month",
    "operating_profit": "USD/month",
    "net_profit": "USD/month",
    "value_added": "USD/month",
    "capex": "USD/month",
    "capital": "USD",
    "cash": "USD",
    "debt": "USD",
    "runway": "months",
    "equity_raised": "USD",
    "equity_value": "USD",
    "price": "USD per H100-equivalent, per hour, per Mtok, or a month",
    "volume": "H100-equivalents, hours, Mtok, or users",
    "unit_cost": "USD per unit of volume",
    "service": "1: utilisation of clouds, service of labs, trust in apps",
    "lead_time": "months (chips)",
    "orders": "H100-equivalents ordered a month",
    "quality": "frontier of January 2025",
    "users": "people",
    "payers": "people",
    "churn": "1/month, of payers",
    "queries": "queries/month",
    "ad_load": "impressions/eligible query",
    "trust": "1",
    "rev_subscriptions": "USD/month",
    "rev_metered": "USD/month",
    "rev_advertising": "USD/month",
    "rev_api_calls": "USD/month",
    "rev_commission": "USD/month",
    "rev_other": "USD/month: ways of earning of one's own",
    "rev_tokens": "USD/month",
    "theoretical_revenue": "USD/month: all tokens at the large model's list price",
    "training": "USD/month",
    "all_in_cost": "USD: training and research since the release before",
    "final_run_cost": "USD: final runs in it",
    "training_hours": "H100-hours/month",
    "in_war": "1",
    "open_weights": "1",
    "supply": "0 API, 1 own, 2 self-hosted, 3 own model",
}
"""Columns of the firm panel and their units."""

_COLUMN = {name: i for i, name in enumerate(FIRM_FIELDS)}


class Recorder:
    """Firm panel (months, firms, fields) and market series by name, NaN before they are known."""

    def __init__(self, tiers: Mapping[str, str], months: int) -> None:
        """Make room for `months` of the firms that are the keys of `tiers`."""
        firms = self.firms = list(tiers)
        self._member = {tier: np.array([tiers[f] == tier for f in firms], dtype=np.float64) for tier in TIERS}
        self.months = months
        self.recorded = 0
        self.panel: NDArray[np.float64] = np.zeros((months, len(firms), len(FIRM_FIELDS)))
        self._row = {firm: i for i, firm in enumerate(firms)}
        self._cells: dict[str, tuple[NDArray[np.intp], ...]] = {}
        self._series: dict[str, NDArray[np.float64]] = {}

    def firms_of_a_kind(
        self, month: int, kind: str, firms: Iterable[str], fields: Sequence[str], rows: Sequence[tuple[float, ...]]
    ) -> None:
        """Record the month of firms of a kind: a row of values of `fields` for each; other fields stay zero."""
        if not rows:
            return
        if kind not in self._cells:
            self._cells[kind] = np.ix_([self._row[firm] for firm in firms], [_COLUMN[name] for name in fields])
        values = packed(joined.from_iterable(rows), len(rows) * len(fields))
        self.panel[month][self._cells[kind]] = values.reshape(len(rows), len(fields))

    def market(self, month: int, name: str, value: float) -> None:
        """Record one month of a market series."""
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = np.full(self.months, np.nan)
        series[month] = value

    def totals(self, month: int, fields: Sequence[str]) -> dict[str, list[float]]:
        """Return fields summed over the firms of every tier in a month, failed ones included."""
        values = self.panel[month][:, [_COLUMN[name] for name in fields]]
        return {tier: (member @ values).tolist() for tier, member in self._member.items()}

    def field(self, name: str) -> NDArray[np.float64]:
        """Return (months recorded, firms) of one field."""
        found: NDArray[np.float64] = self.panel[: self.recorded, :, _COLUMN[name]]
        return found

    def of(self, firm: str, name: str) -> NDArray[np.float64]:
        """Return (months recorded,) of one field of one firm."""
        found: NDArray[np.float64] = self.panel[: self.recorded, self._row[firm], _COLUMN[name]]
        return found

    def tier(self, chain: "ValueChain", tier: str, name: str) -> NDArray[np.float64]:
        """Return (months recorded,): a field summed over the firms of a tier, failed ones included."""
        rows = [self._row[f] for f in self.firms if chain.firms[f].tier == tier]
        found: NDArray[np.float64] = self.panel[: self.recorded, rows, _COLUMN[name]].sum(axis=1)
        return found

    def latest(self, name: str) -> float:
        """Return a market series in the last recorded month."""
        return float(self._series[name][self.recorded - 1])

    @property
    def series(self) -> dict[str, NDArray[np.float64]]:
        """Market series by name, (months recorded,)."""
        return {name: values[: self.recorded] for name, values in self._series.items()}
