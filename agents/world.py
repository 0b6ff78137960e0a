"""What an agent may see of the world and do to it, and the records that cross the border.

Everything an agent reads here is published: committed by an earlier phase of this month, or by last month.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from agents.expectations import ExpectationSpec
    from agents.firm import Books, Firm
    from agents.parameters import ResearchSpec

LargeOrSmall = Literal["large", "small"]
SupplyMode = Literal["api", "own", "self_host", "own_model"]
SUPPLY_MODES: tuple[SupplyMode, ...] = ("api", "own", "self_host", "own_model")


class TokenPrice(NamedTuple):
    """USD per Mtok by class of token."""

    input: float
    cached: float
    output: float

    def blend(self, mix: tuple[float, float, float]) -> float:
        """Return the price of a Mtok of traffic with these shares of input, cached and output tokens."""
        return mix[0] * self.input + mix[1] * self.cached + mix[2] * self.output

    def times(self, factor: float) -> "TokenPrice":
        """Return the price of every class times a factor."""
        fresh, cached, output = self
        return TokenPrice(fresh * factor, cached * factor, output * factor)


class TokenOffer(NamedTuple):
    """Tokens of one model size for sale: by its lab, or by a host of its open weights."""

    seller: str
    lab: str
    size: LargeOrSmall
    price: TokenPrice
    quality: float
    service: float

    @property
    def key(self) -> tuple[str, str, LargeOrSmall]:
        """Identify the offer: seller, lab, size."""
        return (self.seller, self.lab, self.size)


class ChipQuote(NamedTuple):
    """The best offer of accelerators in a region: per H100-equivalent, USD; lead time, months; kW an accelerator."""

    price: float
    lead_time: float
    accelerator: str
    performance: float
    kilowatt: float


class SupplyQuotes(NamedTuple):
    """Every way for an app to get its tokens, (mode, supplier) in order, and what a month at its own volume would be.

    `place`: where each way is. `mode` (an index of `SUPPLY_MODES`), `cost` in USD and `quality` have an entry for each
    way, (n,).
    """

    ways: list[tuple[SupplyMode, str]]
    place: dict[tuple[SupplyMode, str], int]
    mode: NDArray[np.intp]
    cost: NDArray[np.float64]
    quality: NDArray[np.float64]


class AdSale(NamedTuple):
    """Impressions an app sold in a month, and the revenue, USD."""

    impressions: float
    amount: float


class AppDemand(NamedTuple):
    """What an app sees of its own last month: people, queries, tokens, own results."""

    users: float
    payers: float
    queries: float
    paid_queries: float
    mtok: float
    paid_joins: float
    paid_leavers: float
    cost_per_payer: float
    other_revenue_per_query: float
    operating_profit: float

    @classmethod
    def none(cls) -> "AppDemand":
        """Return the record of a month without users."""
        return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Payments(Protocol):
    """The ledger as an agent sees it: it may pay, and read its own cash."""

    def pay(self, payer: str, payee: str, kind: str, amount: float, quantity: float = 0.0) -> float:
        """Pay `amount` USD; what the payer cannot pay becomes arrears. Return what was paid, USD."""
        ...

    def cash(self, account: str) -> float:
        """Return the cash of an account, USD."""
        ...


class World(Protocol):
    """The side of the model that agents see."""

    @property
    def month(self) -> int:
        """Months since the opening; 0 in the first month."""
        ...

    @property
    def ledger(self) -> Payments:
        """The closed table of payments."""
        ...

    @property
    def sampling(self) -> bool:
        """Whether demand is drawn (True) or set to its expectation (False)."""
        ...

    @property
    def expectation(self) -> "ExpectationSpec":
        """How firms forecast."""
        ...

    @property
    def research(self) -> "ResearchSpec":
        """How training turns into quality."""
        ...

    @property
    def sentiment(self) -> float:
        """Investor sentiment, 1 at rest."""
        ...

    @property
    def load_factor(self) -> float:
        """Mean over peak of the daily load on served models."""
        ...

    @property
    def performance(self) -> dict[str, float]:
        """H100-equivalents of one accelerator, by name."""
        ...

    @property
    def kilowatts(self) -> dict[str, float]:
        """All-in kW of one accelerator, by name."""
        ...

    @property
    def frontier(self) -> float:
        """Best quality on the market."""
        ...

    @property
    def open_frontier(self) -> float:
        """Best quality among open weights."""
        ...

    def on(self, mechanism: str) -> bool:
        """Return whether a mechanism of the registry is switched on."""
        ...

    def stream(self, name: str) -> np.random.Generator:
        """Return the random stream of one mechanism in this month and replicate."""
        ...

    def is_alive(self, firm: str) -> bool:
        """Return whether a firm is in business."""
        ...

    def growth(self, firm: str) -> float:
        """Return a firm's smoothed monthly growth of revenue."""
        ...

    def firms_of(self, tier: str, region: str | None = None) -> list[str]:
        """Return the living firms of a tier, in a region or everywhere."""
        ...

    def volume(self, firm: str) -> float:
        """Return what a firm sold this month: H100-equivalents, hours, Mtok or users; known from the serving on."""
        ...

    def books(self, firm: str) -> "Books":
        """Return a firm's books of this month, to be read."""
        ...

    def charge(self, firm: str) -> float:
        """Return what others ask of a cloud for each hour, or of a lab for each Mtok, that it sells, USD."""
        ...

    def set_charge(self, collector: str, firm: str, amount: float) -> None:
        """Announce what `collector` will ask of a cloud an hour, or of a lab a Mtok; prices then hold it."""
        ...

    # payments
    def trade(self, payer: str, payee: str, kind: str, amount: float, quantity: float, expense: str | None) -> None:
        """Pay and book: revenue of a selling firm, `expense` of a buying firm."""
        ...

    def draw_on_group(self, firm: str, amount: float, investment: bool = False) -> float:
        """Ask the firm's group for cash, for an investment or a shortfall; return what it gives, USD."""
        ...

    def funds_behind(self, firm: "Firm") -> tuple[float, float]:
        """Return cash and monthly burn of the firm, or of the group that stands behind it, USD."""
        ...

    def funded_by_group(self, firm: str) -> bool:
        """Return whether the firm's group has a parent with other profit pools."""
        ...

    def group_cash_flow(self, firm: str) -> float:
        """Return the part of the group's monthly cash flow that this firm may count on, USD."""
        ...

    def group_growth(self, firm: str) -> float:
        """Return the group's cash flow over that of the opening."""
        ...

    # chips
    def chip_quote(self, region: str) -> ChipQuote:
        """Return what accelerators cost in a region now, weighted by what is bought."""
        ...

    def chip_share(self, region: str, chipmaker: str) -> float:
        """Return a chipmaker's smoothed share of accelerator sales in a region."""
        ...

    def capacity_factor(self, firm: str) -> float:
        """Return the share of a firm's capacity that events leave it."""
        ...

    def deliver(
        self, seller: str, buyer: str, region: str, accelerators: dict[str, float], size: float, value: float
    ) -> None:
        """Hand chips to a buyer, who pays `value`."""
        ...

    def split_order(self, buyer: str, region: str, size: float) -> dict[str, float]:
        """Split an order of H100-equivalents over chipmakers by habit and price."""
        ...

    def place_order(self, buyer: str, chipmaker: str, region: str, size: float) -> None:
        """Order chips."""
        ...

    def cancel_orders(self, buyer: str, region: str, size: float) -> tuple[float, float]:
        """Cancel orders; return (H100-equivalents cancelled, fee paid in USD)."""
        ...

    # hours
    def rent(self, cloud: str) -> float:
        """Return a cloud's rent, USD per H100-equivalent hour."""
        ...

    def cloud_share(self, cloud: str) -> float:
        """Return a cloud's share of hours sold in its region."""
        ...

    def size_ratio(self, cloud: str) -> float:
        """Return a cloud's fleet over that of the opening."""
        ...

    def size_growth(self, cloud: str) -> float:
        """Return a cloud's fleet over that of last month."""
        ...

    def clouds_in(self, region: str) -> dict[str, float]:
        """Return the living clouds of a region with their sizes."""
        ...

    def request_hours(self, customer: str, cloud: str, hours: float) -> None:
        """Ask a cloud for committed hours a month, in total."""
        ...

    # tokens
    def token_cost(self, lab: str, size: LargeOrSmall) -> float:
        """Return the long-run marginal cost of a Mtok of enterprise traffic from the kernel, USD."""
        ...

    def blend(self, price: TokenPrice) -> float:
        """Return the price of a Mtok of enterprise traffic, USD."""
        ...

    def rival_price(self, lab: str, size: LargeOrSmall) -> float:
        """Return the lowest published price of a rival's model of similar or better quality, USD per Mtok."""
        ...

    def attack_price(self, lab: str) -> float:
        """Return the lowest price that a rival at war in the lab's region asks for a comparable large model."""
        ...

    def open_weights(self, lab: str) -> bool:
        """Return whether a lab's weights are published."""
        ...

    def luck(self, lab: str) -> float:
        """Return this month's training luck of a lab, mean one."""
        ...

    def release_draw(self, lab: str) -> float:
        """Return this month's uniform draw that decides on a release."""
        ...

    def war_declared(self, lab: str) -> bool:
        """Return whether an event has the lab start a price war."""
        ...

    # demand
    def demand_boost(self, region: str) -> float:
        """Return the factor that events put on demand for AI in a region."""
        ...

    def supply_quotes(self, app: str, mtok: float) -> SupplyQuotes:
        """Quote an app every way to get `mtok` a month."""
        ...

    def search_price(self, app: str) -> float:
        """Return the price of 1,000 search calls of an app that sells them, 0 when it no longer does."""
        ...

    def lost_calls(self, region: str) -> tuple[float, float]:
        """Return search calls that dearer sellers lost and nobody serves, and their old price, USD a 1,000."""
        ...

    def outside_calls(self, app: str) -> float:
        """Return the search calls that buyers outside the model make this month."""
        ...

    def cpm(self, region: str) -> float:
        """Return the price of 1,000 impressions, USD."""
        ...

    def ad_revenue(self, region: str, app: str) -> AdSale:
        """Return what an app sold to advertisers this month."""
        ...

    def interaction_boost(self, app: str) -> float:
        """Return the factor that a new interaction puts on purchases through an app."""
        ...

    def acquisition_budget(self, app: str) -> float:
        """Return extra paid acquisition that an event brings, USD."""
        ...

    def bundled_users(self, app: str) -> float:
        """Return the users an event bundles into an app this month."""
        ...

    def dither(self, app: str) -> tuple[float, float]:
        """Return this month's small experiment: relative change of fees, change of ad load in slots."""
        ...

    def peer_revenue_per_user(self, app: str, way: str) -> float | None:
        """Return what peers in the region earn per user by a way of earning, None if nobody does."""
        ...

    def choice_draw(self, app: str, way: str) -> float:
        """Return the uniform draw that decides whether an app takes up a way of earning."""
        ...

    def inflow_factor(self) -> float:
        """Return the factor that events put on investors' inflow."""
        ...
