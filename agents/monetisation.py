"""The ways of earning that come with the model, registered in `WAYS`.

To add one: write it in a file of its own with what `agents.earning` offers, import it here and add a line to
`_ALL`. Scenarios then switch it on for an app by `[app.<id>.earning.<name>]`.
"""

from collections.abc import Iterator

from agents.bounds import at_least
from agents.earning import Earner, Receipt, Usage, WayOfEarning
from agents.parameters import Parameters, param


class SubscriptionSpec(Parameters):
    """Terms that hold for all paid tiers of an app."""

    store_fee: float = param(
        0.2, unit="1", source="judgement", ge=0, le=1, span=(0.15, 0.3), doc="app-store fee on subscriptions"
    )
    discount: float = param(
        0.0,
        unit="1",
        source="F-A5",
        ge=0,
        le=0.9,
        span=(0, 0.6),
        role="lever",
        doc="launch discount on gross fees at the opening, fading over two years",
    )


class AdvertisingSpec(Parameters):
    """Ads beside or in answers."""

    load: float = param(
        0.0,
        unit="impressions/eligible query",
        source="S2-20",
        ge=0,
        le=10,
        role="lever",
        span=(0, 4),
        doc="ad load at the start",
    )
    slots: float = param(
        2.0,
        unit="impressions/eligible query",
        source="judgement",
        gt=0,
        le=10,
        span=(1, 4),
        doc="slots that an answer page can hold: fewer for a single answer than for a list of links",
    )
    disclosed: bool = param(True, unit="switch", source="F-V7", role="lever", doc="whether ads are labelled as such")
    intent: float = param(
        1.0,
        unit="1",
        source="judgement",
        ge=0,
        le=5,
        span=(0.3, 2),
        doc="commercial intent of the app's queries over web search",
    )
    publishers_share: float = param(
        0.25,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.5),
        doc="share of ad revenue passed to publishers",
    )
    free_only: bool = param(True, unit="switch", source="judgement", role="lever", doc="paying users see no ads")
    adaptive: bool = param(
        True,
        unit="switch",
        source="judgement",
        role="lever",
        doc="whether the app adjusts its load by what it learns",
    )


class ApiSpec(Parameters):
    """Selling search or model calls to other apps and to enterprises."""

    price: float = param(
        unit="USD/1000 calls",
        source="S2-24",
        ge=0,
        le=10_000,
        role="lever",
        span=(1, 200),
        doc="price of a thousand calls",
    )
    outside_calls: float = param(
        0.0,
        unit="calls/month",
        source="judgement",
        ge=0,
        role="fact",
        doc="calls sold at the opening price to buyers outside the model",
    )
    elasticity: float = param(
        1.1,
        unit="1",
        source="F-P14",
        ge=0,
        le=5,
        span=(0.5, 1.5),
        doc="price elasticity of the outside buyers",
    )
    unit_cost: float = param(
        1.5,
        unit="USD/1000 calls",
        source="judgement",
        ge=0,
        le=100,
        span=(0.5, 5),
        doc="crawling and index cost of a thousand calls, model tokens apart",
    )


class CommissionSpec(Parameters):
    """A commission on purchases that start in the app (agents that book and buy)."""

    rate: float = param(
        0.0,
        unit="1",
        source="judgement",
        ge=0,
        le=0.5,
        role="lever",
        span=(0, 0.15),
        doc="commission on the value of purchases",
    )
    purchases: float = param(
        0.002,
        unit="purchases/eligible query",
        source="judgement",
        ge=0,
        le=1,
        span=(0.0005, 0.01),
        doc="purchases closed per commercial query",
    )
    basket: float = param(40.0, unit="USD", source="judgement", gt=0, span=(10, 120), doc="mean value of a purchase")


class Subscription:
    """Fees of paid tiers: freemium where a free tier stands beside them, metered where the quota's overage is sold."""

    name = "subscription"
    spec = SubscriptionSpec
    streams = ("subscriptions", "metered")

    def receipts(self, terms: Parameters, app: Earner, usage: Usage) -> Iterator[Receipt]:
        """Yield fees and metered overage, less discounts and the store's fee."""
        assert isinstance(terms, SubscriptionSpec)
        gross = usage.fees * (1.0 - terms.discount * at_least(1.0 - app.world.month / 24.0, 0.0))
        households = f"households.{app.region}"
        if gross > 0.0:
            yield Receipt(households, "subscriptions", gross, usage.payers, "store_fees", terms.store_fee * gross)
        if usage.metered > 0.0:
            yield Receipt(households, "metered", usage.metered, 0.0)


class Advertising:
    """Impressions sold to advertisers at the market's CPM; budgets are finite."""

    name = "ads"
    spec = AdvertisingSpec
    streams = ("advertising",)

    def receipts(self, terms: Parameters, app: Earner, usage: Usage) -> Iterator[Receipt]:
        """Yield the ad revenue, less the publishers' share."""
        assert isinstance(terms, AdvertisingSpec)
        sale = app.world.ad_revenue(app.region, app.agent_id)
        if sale.amount > 0.0:
            share = terms.publishers_share * sale.amount
            yield Receipt(
                f"advertisers.{app.region}", "advertising", sale.amount, sale.impressions, "publishers", share
            )


class ApiResale:
    """Search calls sold to other apps (settled by the buyers) and to outside enterprises."""

    name = "api"
    spec = ApiSpec
    streams = ("api_calls",)

    def receipts(self, terms: Parameters, app: Earner, usage: Usage) -> Iterator[Receipt]:
        """Yield sales to outside buyers, who adjust slowly to the price."""
        assert isinstance(terms, ApiSpec)
        calls = app.world.outside_calls(app.agent_id)
        if calls > 0.0:
            cost = terms.unit_cost * calls / 1000.0
            yield Receipt(
                f"enterprises.{app.region}",
                "api_calls",
                calls * app.api_price / 1000.0,
                calls,
                "overhead",
                cost,
            )


class Commission:
    """A share of purchases that start in the app."""

    name = "commission"
    spec = CommissionSpec
    streams = ("commission",)

    def receipts(self, terms: Parameters, app: Earner, usage: Usage) -> Iterator[Receipt]:
        """Yield commissions on purchases from commercial queries, as far as users trust the answers."""
        assert isinstance(terms, CommissionSpec)
        purchases = usage.eligible * terms.purchases * usage.trust * app.world.interaction_boost(app.agent_id)
        amount = terms.rate * purchases * terms.basket
        if amount > 0.0:
            yield Receipt(f"merchants.{app.region}", "commission", amount, purchases)


_ALL: tuple[WayOfEarning, ...] = (
    Subscription(),
    Advertising(),
    ApiResale(),
    Commission(),
)
WAYS: dict[str, WayOfEarning] = {way.name: way for way in _ALL}
