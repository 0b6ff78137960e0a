"""Advertisers: finite budgets against impressions, incumbent search included, set the price of attention."""

import math
from typing import NamedTuple

from agents.base import EconomicAgent
from agents.parameters import Parameters, param
from agents.world import AdSale, World


class AdvertisersSpec(Parameters):
    """Parameters of a region's advertisers."""

    budget: float = param(
        unit="USD/month",
        source="F-V1",
        gt=0,
        role="fact",
        doc="spending on search-like advertising at the opening",
    )
    growth: float = param(
        0.007, unit="1/month", source="judgement", ge=-0.1, le=0.1, span=(0, 0.015), doc="growth of budgets"
    )
    cpm: float = param(
        50.0,
        unit="USD/1000 impressions",
        source="F-V1: $200 per 1,000 eligible queries at four impressions",
        gt=0,
        le=1000,
        span=(30, 80),
        doc="CPM0 of web search at the opening; fixes incumbent impressions with the budget",
    )
    inventory_elasticity: float = param(
        0.6, unit="1", source="F-V4", ge=0, le=2, span=(0.4, 0.9), doc="kappa: how CPM falls with impressions"
    )
    launch_premium: float = param(
        0.5,
        unit="1",
        source="F-V4",
        ge=0,
        le=3,
        span=(0, 1),
        doc="extra price of a new format, fading over a year",
    )
    fill_start: float = param(
        0.3,
        unit="1",
        source="behaviour.md 9",
        gt=0,
        le=1,
        span=(0.1, 0.6),
        doc="share of slots sold at first",
    )
    fill_rest: float = param(
        0.9,
        unit="1",
        source="behaviour.md 9",
        gt=0,
        le=1,
        span=(0.7, 1),
        doc="share of slots sold in the long run",
    )
    relevance_loss: float = param(
        0.1,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.3),
        doc="relevance lost per slot as the highest bidder takes it",
    )


class Inventory(NamedTuple):
    """Ad space an app offers in a month."""

    app: str
    eligible: float
    load: float
    trust: float
    intent: float
    months_selling: int


class Advertisers(EconomicAgent):
    """All advertisers of one region."""

    def __init__(self, world: World, region: str, spec: AdvertisersSpec) -> None:
        super().__init__(world, f"advertisers.{region}")
        self.region = region
        self.spec = spec
        self.incumbent = spec.budget / spec.cpm * 1000.0
        self.cpm = spec.cpm
        self.sales: dict[str, AdSale] = {}

    def buy(self, inventories: list[Inventory]) -> None:
        """Price the month's impressions and buy them, never above the budget.

        CPM = CPM0 (B/B0) / (I/I0)^kappa x trust x intent x relevance, with fill and launch premium.
        """
        spec = self.spec
        budget = spec.budget * (1.0 + spec.growth) ** self.world.month
        impressions = {i.app: i.eligible * i.load * self._fill(i.months_selling) for i in inventories}
        total = self.incumbent + math.fsum(impressions.values())
        kappa = spec.inventory_elasticity if self.world.on("finite_ad_budgets") else 0.0
        base = spec.cpm * budget / spec.budget * (self.incumbent / total) ** kappa
        self.cpm = base
        amounts = {}
        for i in inventories:
            relevance = 1.0 / (1.0 + spec.relevance_loss * i.load)
            launch = 1.0 + spec.launch_premium * math.exp(-i.months_selling / 6.0)
            amounts[i.app] = impressions[i.app] / 1000.0 * base * i.trust * i.intent * relevance * launch
        wanted = math.fsum(amounts.values())
        scale = min(1.0, budget / wanted) if wanted > 0.0 and self.world.on("finite_ad_budgets") else 1.0
        self.sales = {app: AdSale(impressions[app], amount * scale) for app, amount in amounts.items()}

    def _fill(self, months: int) -> float:
        spec = self.spec
        return spec.fill_rest - (spec.fill_rest - spec.fill_start) * math.exp(-months / 6.0)
