"""What firms and investors remember at the opening is what the opening says, not zero; money lent is no sale."""

import pytest

from ecosystem.ledger import LedgerError
from ecosystem.model import ValueChain
from ecosystem.spec import Spec


def test_clouds_know_their_shares_before_the_first_month() -> None:
    chain = ValueChain(Spec.load("2025"))
    west = [c for c in chain.clouds.values() if c.region == "west"]
    assert sum(chain.cloud_share(c.agent_id) for c in west) == pytest.approx(1.0)


def test_the_first_books_are_the_first_memory() -> None:
    chain = ValueChain(Spec.load("2025"))
    growth = chain.spec.market.opening_growth
    assert all(firm.revenue_growth == growth for firm in chain.firms.values() if firm.alive)
    chain.step()
    for firm in chain.firms.values():
        if firm.alive:
            assert firm.smoothed_revenue == pytest.approx(firm.books.revenue)
            assert firm.smoothed_gross == pytest.approx(firm.books.gross_profit)
            assert firm.burn == pytest.approx(firm.books.cash_cost - firm.books.revenue)


def test_the_value_of_chips_does_not_climb_from_nothing() -> None:
    chain = ValueChain(Spec.load("2025"))
    for _ in range(4):
        chain.step()
    value = chain.recorder.of("nvidia", "equity_value")
    assert 0.5 < value[3] / value[0] < 2.0


def test_equity_from_a_supplier_is_no_revenue() -> None:
    chain = ValueChain(Spec.load("2025").with_overrides({"chipmaker.nvidia.circular_share": 0.05}))
    for _ in range(3):
        chain.step()
    lab = chain.labs["openai"]
    assert lab.equity_raised > 0.0
    assert "equity" not in lab.books.streams
    assert lab.books.revenue == pytest.approx(sum(lab.books.streams.values()))


def test_only_sales_are_revenue() -> None:
    ledger = ValueChain(Spec.load("toy")).ledger
    assert ledger.is_sale("tokens")
    assert not ledger.is_sale("equity")
    assert not ledger.is_sale("debt")
    with pytest.raises(LedgerError, match="no kind 'alms'"):
        ledger.is_sale("alms")


def test_every_region_has_investors_with_views_of_their_own() -> None:
    def value(rate: float) -> float:
        chain = ValueChain(Spec.load("2025").with_overrides({"investors.china.discount_rate": rate}))
        chain.step()
        return chain.firms["baidu_lab"].value

    assert value(0.08) > 1.05 * value(0.2) > 0.0
