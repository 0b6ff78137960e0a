"""One firm's accounts and trades over the last year, as tables of text."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from experiments import formats as f
from experiments.outcomes import ratio, window
from experiments.runs import RunResult

SUMS = {
    "revenue": "revenue",
    "cost_of_sales": "cost of sales",
    "depreciation": "depreciation",
    "gross_profit": "gross profit",
    "research": "research and training",
    "marketing": "marketing",
    "operating_profit": "operating profit",
    "net_profit": "net profit",
    "capex": "capital spending",
}
"""Flows of the accounts: means of the last year, a year."""
STOCKS = {"cash": "cash", "debt": "debt", "capital": "plant and stocks at book", "equity_value": "equity value"}
"""Stocks of the accounts, in the month on the screen."""
UNITS = {
    "accelerators": "H100e",
    "on_premise": "H100e",
    "hours": "H100e hour",
    "own_use": "H100e hour",
    "tokens": "Mtok",
    "api_calls": "call",
    "advertising": "impression",
    "subscriptions": "payer",
}
"""What a good is counted in, where its unit price means something; H100e: H100-equivalent."""
MOST = 6
"""Trades shown on each side."""


@dataclass(frozen=True, slots=True)
class Trade:
    """What was traded with one partner in the last year, USD a year; `price` is None where nothing is counted."""

    partner: str
    good: str
    value: float
    price: float | None


def balance(run: RunResult, firm: str) -> list[tuple[str, str]]:
    """Return the lines of a firm's accounts: what, and how much."""
    span = window(run.months)
    yearly = 12.0 / (span.stop - span.start)
    sums = {field: yearly * float(run.of(firm, field)[span].sum()) for field in SUMS}
    rows = [(f"{words}, a year", f.money(sums[field])) for field, words in SUMS.items()]
    rows.append(("operating margin", f.percent(ratio(sums["operating_profit"], sums["revenue"]))))
    rows += [(words, f.money(float(run.of(firm, field)[-1]))) for field, words in STOCKS.items()]
    runway = float(run.of(firm, "runway")[-1])
    rows.append(("runway", "no cash is burnt" if runway >= 120.0 else f"{f.digits(runway)} months"))
    return rows


def sells_and_buys(run: RunResult, firm: str) -> tuple[list[Trade], list[Trade]]:
    """Return what a firm sold (or who funded it) and what it paid for, the largest first."""
    flows = run.flows_of(window(run.months))
    span = window(run.months)
    yearly = 12.0 / (span.stop - span.start)
    place = [account.id for account in flows.accounts].index(firm)
    sides = []
    for mine, other in ((flows.payee, flows.payer), (flows.payer, flows.payee)):
        totals: dict[tuple[str, str], list[float]] = {}
        for row in ((mine == place) & (flows.amount > 0.0)).nonzero()[0].tolist():
            account, good = flows.accounts[other[row]], flows.kinds[flows.kind[row]].name
            total = totals.setdefault((account.id, good), [0.0, 0.0])
            total[0] += float(flows.amount[row])
            total[1] += float(flows.quantity[row])
        trades = [
            Trade(
                _partner(run, partner),
                good.replace("_", " "),
                yearly * value,
                value / quantity if quantity > 0.0 and good in UNITS else None,
            )
            for (partner, good), (value, quantity) in totals.items()
        ]
        sides.append(sorted(trades, key=lambda trade: -trade.value))
    return sides[0], sides[1]


def heading(run: RunResult, firm: str) -> str:
    """Say who a firm is."""
    info = next(info for info in run.firm_list if info.id == firm)
    group = run.spec.group[info.group].name if info.group else None
    alive = "" if run.of(firm, "alive")[-1] > 0.0 else "; not in business"
    return f"{info.name}: {info.tier}, {info.region}{f', group {group}' if group else ''}{alive}"


def balance_html(run: RunResult, firm: str) -> str:
    """Return the accounts as a table."""
    return _table(("last year", "USD"), balance(run, firm))


def trades_html(run: RunResult, firm: str) -> str:
    """Return both sides of a firm's trades as tables."""
    gets, pays = sells_and_buys(run, firm)
    parts = []
    for title, trades in (("gets money from", gets), ("pays", pays)):
        rows = [(t.partner, t.good, f.money(t.value), _price(t)) for t in trades[:MOST]]
        rest = sum(t.value for t in trades[MOST:])
        if rest > 0.0:
            rows.append((f"{len(trades) - MOST} others", "", f.money(rest), ""))
        parts.append(_table((title, "for", "a year", "unit price"), rows or [("nobody", "", "", "")]))
    return "<div style='height: 14px'></div>".join(parts)


def _partner(run: RunResult, account: str) -> str:
    """Return the name of a firm, or of a source or sink with its region."""
    kind, _, region = account.partition(".")
    name = run.name(account)
    if name != account:
        return name
    return f"{kind.replace('_', ' ')} ({region})" if region else kind.replace("_", " ")


def _price(trade: Trade) -> str:
    if trade.price is None:
        return ""
    return f"{f.money(trade.price)}/{UNITS[trade.good.replace(' ', '_')]}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        left = ["left" if i < len(row) - 2 or (len(row) == 2 and i == 0) else "" for i in range(len(row))]
        return "".join(
            f'<{tag} class="{side}">{html.escape(cell)}</{tag}>' for side, cell in zip(left, row, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<table class="plain"><thead><tr>{cells("th", heads)}</tr></thead><tbody>{body}</tbody></table>'
