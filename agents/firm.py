"""What all firms share: monthly books, cash, funding, arrears and failure."""

from collections import defaultdict
from typing import Literal, Protocol

from agents.base import EconomicAgent
from agents.bounds import at_least, at_most, between
from agents.world import World

Tier = Literal["chips", "clouds", "labs", "apps"]
TIERS: tuple[Tier, ...] = ("chips", "clouds", "labs", "apps")

Expense = Literal[
    "cost_of_sales",
    "research",
    "research_staff",
    "marketing",
    "staff",
    "overhead",
    "interest",
    "tax",
    "capex",
    "financial",
]


class Purse(Protocol):
    """Where the ledger keeps the money of an account."""

    @property
    def cash(self) -> float:
        """Cash, USD."""


class Books:
    """One firm's accounts of one month, accrual basis, USD."""

    __slots__ = (
        "capex", "cost_of_sales", "depreciation", "financial", "interest", "marketing", "overhead", "research",
        "research_staff", "revenue", "staff", "streams", "tax",
    )  # fmt: skip

    def __init__(self) -> None:
        self.streams: defaultdict[str, float] = defaultdict(float)
        self.clear()

    def clear(self) -> None:
        """Start a new month."""
        self.revenue = 0.0
        self.cost_of_sales = 0.0
        self.depreciation = 0.0
        self.research = 0.0
        self.research_staff = 0.0
        self.marketing = 0.0
        self.staff = 0.0
        self.overhead = 0.0
        self.interest = 0.0
        self.tax = 0.0
        self.capex = 0.0
        self.financial = 0.0
        self.streams.clear()

    def spend(self, expense: str, amount: float) -> None:
        """Add an invoice to the month's books."""
        setattr(self, expense, getattr(self, expense) + amount)

    def earn(self, kind: str, amount: float) -> None:
        """Add a sale to the month's books."""
        self.revenue += amount
        self.streams[kind] += amount

    @property
    def gross_profit(self) -> float:
        """Revenue less cost of sales and the depreciation of what produced it."""
        return self.revenue - self.cost_of_sales - self.depreciation

    @property
    def operating_profit(self) -> float:
        """Gross profit less research, marketing, staff and overhead."""
        gross = self.revenue - self.cost_of_sales - self.depreciation
        return gross - self.research - self.research_staff - self.marketing - self.staff - self.overhead

    @property
    def net_profit(self) -> float:
        """Operating profit less interest and tax."""
        return self.operating_profit - self.interest - self.tax

    @property
    def value_added(self) -> float:
        """Revenue less what was bought from others: operating profit + depreciation + wages."""
        return self.operating_profit + self.depreciation + self.staff + self.research_staff

    @property
    def cash_cost(self) -> float:
        """What the month's operations cost in cash."""
        return (
            self.cost_of_sales
            + self.research
            + self.research_staff
            + self.marketing
            + self.staff
            + self.overhead
            + self.interest
            + self.tax
        )


def months_left(cash: float, burn: float) -> float:
    """Return the months until cash is gone at a monthly burn (120: never)."""
    return at_most(cash / burn, 120.0) if burn > 0.0 else 120.0


class Firm(EconomicAgent):
    """A firm: an account in the ledger, a tier, a region, perhaps a group.

    The firms of the model are in one of `TIERS`; one of an own kind may name another, which tables by tier leave out.
    """

    __slots__ = (
        "_remembers", "agent_id", "alive", "books", "burn", "equity_raised", "failed_in", "group", "last_streams",
        "model", "pos", "purse", "region", "revenue_growth", "smoothed_gross", "smoothed_revenue", "spec", "tier",
        "unique_id", "value", "world",
    )  # fmt: skip
    """What every firm has. Python 3.11 finds methods fast only in objects with at most 30 attributes beside these."""

    purse: Purse
    """Given to it when the ledger opens its account."""

    def __init__(
        self, world: World, firm_id: str, *, tier: str, region: str, group: str | None, alive: bool = True
    ) -> None:
        super().__init__(world, firm_id)
        self.tier = tier
        self.region = region
        self.group = group
        self.alive = alive
        self.books = Books()
        self.burn = 0.0
        self.smoothed_revenue = 0.0
        self.smoothed_gross = 0.0
        self.revenue_growth = 0.0
        self.value = 0.0
        self.last_streams: dict[str, float] = {}
        self.failed_in: int | None = None
        self.equity_raised = 0.0
        self._remembers = False

    @property
    def cash(self) -> float:
        """Cash in the ledger, USD."""
        return self.purse.cash

    @property
    def runway(self) -> float:
        """Months until the cash is gone at the present burn, the group's where one stands behind (120: never)."""
        return months_left(*self.world.funds_behind(self))

    def pay(self, payee: str, kind: str, amount: float, expense: Expense, quantity: float = 0.0) -> None:
        """Pay for something and book it as `expense`."""
        if amount > 0.0:
            self.world.trade(self.agent_id, payee, kind, amount, quantity, expense)

    @property
    def volume(self) -> float:
        """What it sold this month, in the unit of its tier; 0 before it is known."""
        return 0.0

    def record(self) -> dict[str, float]:
        """Return fields of the panel beyond the books; firms of own kinds may have some of those that there are."""
        return {}

    def settle(self) -> None:
        """Pay the month's own costs; each kind of firm has its own."""

    def close_books(self, tax_rate: float) -> None:
        """Pay tax on a profitable month; update the smoothed figures that funding and investors look at.

        The first month's books are the first memory.
        """
        books = self.books
        taxable = books.operating_profit - books.interest
        if taxable > 0.0:
            self.pay("tax", "tax", tax_rate * taxable, "tax")
        speed = 0.34 if self._remembers else 1.0
        self.burn += speed * (books.cash_cost - books.revenue - self.burn)
        before = self.smoothed_revenue
        self.smoothed_revenue += speed * (books.revenue - before)
        if self._remembers:
            grown = self.smoothed_revenue / before - 1.0 if before > 0.0 else 0.0
            self.revenue_growth += 0.2 * (between(grown, -0.5, 0.5) - self.revenue_growth)
        self._remembers = True
        self.smoothed_gross += speed * (books.gross_profit - self.smoothed_gross)

    def wind_up(self) -> None:
        """Leave nothing of a firm that failed in what others read; each kind of firm has more of it."""
        self.burn = self.smoothed_revenue = self.smoothed_gross = self.revenue_growth = 0.0

    def pay_out(self, months_of_cost_kept: float, share: float) -> float:
        """Give `share` of net profit back to the owners, as far as cash stays above some months of cost; return it."""
        profit = self.books.net_profit
        if profit <= 0.0:
            return 0.0
        spare = self.cash - months_of_cost_kept * self.books.cash_cost
        amount = at_least(at_most(share * profit, spare), 0.0)
        self.pay("dividends", "dividends", amount, "financial")
        return amount
