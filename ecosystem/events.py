"""Events on a scenario's timeline: data that says what happens, when and to whom; and what is in force now."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from agents.parameters import Parameters, param

if TYPE_CHECKING:
    from ecosystem.model import ValueChain


class _Event(Parameters):
    month: int = param(
        unit="month",
        source="scenario",
        ge=0,
        le=600,
        role="fact",
        doc="month in which it happens, 0 is the opening",
    )


class _Lasting(_Event):
    months: int = param(12, unit="months", source="scenario", ge=1, le=600, role="lever", doc="how long it lasts")

    def active(self, month: int) -> bool:
        """Return whether it is in force."""
        return self.month <= month < self.month + self.months


class EfficiencyShock(_Event):
    """A lab serves tokens with less compute; others follow as far as it is published (DeepSeek, 2025)."""

    kind: Literal["efficiency_shock"]
    lab: str = param(unit="lab", source="scenario", role="fact", doc="lab that finds the saving")
    saving: float = param(
        4.0,
        unit="1",
        source="S3-3, judgement",
        gt=1,
        le=100,
        span=(1.5, 10),
        doc="accelerator-hours per token before over after",
    )
    diffusion: float = param(
        0.08,
        unit="1/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.3),
        doc="share of the remaining gap that others close in a month",
    )


class OpenWeightsRelease(_Event):
    """A lab publishes the weights of its models, perhaps of a better one."""

    kind: Literal["open_weights"]
    lab: str = param(unit="lab", source="scenario", role="fact", doc="lab that publishes")
    quality: float | None = param(
        None,
        unit="q",
        source="scenario",
        ge=0,
        le=10,
        role="lever",
        doc="quality of the large model on that day; absent: as it is",
    )


class ExportControl(_Lasting):
    """Chips made in `home` may no longer be sold in `region`; a part of the orders leaks at a premium."""

    kind: Literal["export_control"]
    home: str = param(unit="region", source="scenario", role="fact", doc="home region of the chipmakers it binds")
    region: str = param(unit="region", source="scenario", role="fact", doc="region that may not be supplied")
    leakage: float = param(
        0.15,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.4),
        doc="share of orders that gets through: of those on hand when it starts and of those placed later",
    )
    grey_premium: float = param(
        0.3,
        unit="1",
        source="judgement",
        ge=0,
        le=3,
        span=(0.1, 1),
        doc="what intermediaries take on leaked chips, over the price",
    )
    months: int = param(600, unit="months", source="scenario", ge=1, le=600, role="lever", doc="how long it lasts")


class FundingDrought(_Lasting):
    """Investors' inflow is multiplied by `factor`."""

    kind: Literal["funding_drought"]
    factor: float = param(0.5, unit="1", source="behaviour.md", ge=0, le=1, role="lever", doc="inflow left")


class ApiPrice(_Event):
    """A seller of calls or tokens multiplies its API price (Bing 2023)."""

    kind: Literal["api_price"]
    firm: str = param(unit="app or lab", source="scenario", role="fact", doc="seller")
    factor: float = param(4.0, unit="1", source="S2-24", gt=0, le=100, role="lever", doc="new price over old")


class AdScandal(_Event):
    """Trust in an app falls at once (Wei Zexi, 2016)."""

    kind: Literal["ad_scandal"]
    app: str = param(unit="app", source="scenario", role="fact", doc="app whose ads are exposed")
    trust_lost: float = param(
        0.3, unit="1", source="S2-23, judgement", ge=0, le=1, span=(0.1, 0.6), doc="trust lost at once"
    )


class PriceWar(_Event):
    """A lab starts a price war."""

    kind: Literal["price_war"]
    lab: str = param(unit="lab", source="scenario", role="fact", doc="lab that cuts first")


class CapacityLoss(_Lasting):
    """A chipmaker or cloud loses a part of its capacity (fire, earthquake, power)."""

    kind: Literal["capacity_loss"]
    firm: str = param(unit="chipmaker or cloud", source="scenario", role="fact", doc="who is hit")
    factor: float = param(0.5, unit="1", source="judgement", ge=0, le=1, role="lever", doc="capacity left")


class AcquisitionPulse(_Lasting):
    """An app spends much on bought users for some months (Yuanbao, February 2025)."""

    kind: Literal["acquisition_pulse"]
    app: str = param(unit="app", source="scenario", role="fact", doc="app that buys users")
    spending: float = param(50e6, unit="USD/month", source="judgement", ge=0, role="lever", doc="extra spending")


class Bundling(_Lasting):
    """A parent puts an app into another product."""

    kind: Literal["bundling"]
    app: str = param(unit="app", source="scenario", role="fact", doc="app that is bundled")
    users: float = param(1e6, unit="people/month", source="judgement", ge=0, role="lever", doc="people pushed a month")


class NewInteraction(_Event):
    """A new way to interact: agents that buy and book open commission revenue, or raise willingness to pay."""

    kind: Literal["new_interaction"]
    region: str = param(unit="region", source="scenario", role="fact", doc="where it happens")
    purchases: float = param(
        1.0, unit="1", source="judgement", ge=0, le=100, role="lever", doc="factor on purchases through apps"
    )
    commission: float = param(
        0.0,
        unit="1",
        source="judgement",
        ge=0,
        le=0.5,
        role="lever",
        doc="commission that every app of the region can take from then on",
    )
    willingness: float = param(
        1.0, unit="1", source="judgement", gt=0, le=10, role="lever", doc="factor on willingness to pay"
    )


class NewTerms(_Event):
    """An app changes the terms of its tiers and its ways of earning, with the brand and the users that it has."""

    kind: Literal["new_terms"]
    app: str = param(unit="app", source="scenario", role="fact", doc="app that changes its terms")
    tiers: dict[str, dict[str, Any]] = param(
        {}, unit="terms by tier", source="scenario", role="lever", doc="what changes of each tier"
    )
    earning: dict[str, dict[str, Any]] | None = param(
        None,
        unit="ways",
        source="scenario",
        role="lever",
        doc="terms by way of earning from then on; absent: as they are",
    )
    reconsiders: bool = param(
        False, unit="switch", source="scenario", role="lever", doc="whether the app may change its ways later by itself"
    )


class DemandShift(_Lasting):
    """Demand for AI compute and tokens of enterprises is multiplied by `factor` (a freeze or a boom)."""

    kind: Literal["demand_shift"]
    region: str = param(unit="region", source="scenario", role="fact", doc="where")
    factor: float = param(0.5, unit="1", source="judgement", ge=0, le=10, role="lever", doc="demand left")


Event = Annotated[
    EfficiencyShock
    | OpenWeightsRelease
    | ExportControl
    | FundingDrought
    | ApiPrice
    | AdScandal
    | PriceWar
    | CapacityLoss
    | AcquisitionPulse
    | Bundling
    | NewInteraction
    | NewTerms
    | DemandShift,
    Field(discriminator="kind"),
]

FIRM_FIELDS: dict[str, tuple[str, ...]] = {
    "efficiency_shock": ("lab",),
    "open_weights": ("lab",),
    "api_price": ("firm",),
    "ad_scandal": ("app",),
    "price_war": ("lab",),
    "capacity_loss": ("firm",),
    "acquisition_pulse": ("app",),
    "bundling": ("app",),
    "new_terms": ("app",),
}
"""Fields of each kind of event that name a firm."""


class Timeline:
    """What the scenario's events do in the current month."""

    def __init__(self, events: dict[str, Event]) -> None:
        self.events = list(events.values())
        self.shocks: list[EfficiencyShock] = []
        self.begin(0)

    def begin(self, month: int) -> None:
        """Work out what is in force in `month`."""
        self.export: dict[tuple[str, str], ExportControl] = {}
        self.inflow = 1.0
        self.capacity: dict[str, float] = {}
        self.demand: dict[str, float] = {}
        self.acquisition: dict[str, float] = {}
        self.bundled: dict[str, float] = {}
        self.scandal: dict[str, float] = {}
        self.wars: set[str] = set()
        self.purchases: dict[str, float] = {}
        self.news: list[EfficiencyShock] = []
        for event in self.events:
            self._take(event, month)

    def _take(self, event: Event, month: int) -> None:
        """Add one event's present effect."""
        match event:
            case ExportControl() if event.active(month):
                self.export[event.home, event.region] = event
            case FundingDrought() if event.active(month):
                self.inflow *= event.factor
            case CapacityLoss() if event.active(month):
                self.capacity[event.firm] = self.capacity.get(event.firm, 1.0) * event.factor
            case DemandShift() if event.active(month):
                self.demand[event.region] = self.demand.get(event.region, 1.0) * event.factor
            case AcquisitionPulse() if event.active(month):
                self.acquisition[event.app] = self.acquisition.get(event.app, 0.0) + event.spending
            case Bundling() if event.active(month):
                self.bundled[event.app] = self.bundled.get(event.app, 0.0) + event.users
            case NewInteraction() if event.month <= month:
                self.purchases[event.region] = self.purchases.get(event.region, 1.0) * event.purchases
            case AdScandal() if event.month == month:
                self.scandal[event.app] = event.trust_lost
            case PriceWar() if event.month == month:
                self.wars.add(event.lab)
            case EfficiencyShock() if event.month == month:
                self.news.append(event)
            case _:
                pass

    def strike(self, chain: "ValueChain") -> None:
        """Let the events that change agents at once do so."""
        for event in self.events:
            if event.month != chain.month:
                continue
            match event:
                case EfficiencyShock():
                    chain.labs[event.lab].efficiency *= event.saving
                    self.shocks.append(event)
                case OpenWeightsRelease():
                    chain.labs[event.lab].publish_weights(event.quality)
                case ApiPrice():
                    chain.raise_api_price(event.firm, event.factor)
                case NewTerms():
                    chain.apps[event.app].change_terms(event.tiers, event.earning, event.reconsiders)
                    for market in chain.consumer_markets.values():
                        market.list_options()
                case NewInteraction():
                    chain.open_interaction(event.region, event.commission, event.willingness)
                case _:
                    pass
        chain.chips.enforce()
        for shock in self.shocks:
            chain.spread_efficiency(shock)
