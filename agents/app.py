"""Apps: choose suppliers, set tiers, quotas, prices and ad load, buy users, and try to earn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from agents.app_spec import AppSpec
from agents.bounds import at_least, at_most, between
from agents.earning import Usage
from agents.firm import Firm
from agents.learning import ResponseEstimate
from agents.monetisation import WAYS, AdvertisingSpec, ApiSpec, SubscriptionSpec
from agents.parameters import Parameters
from agents.world import SUPPLY_MODES, AppDemand, LargeOrSmall, SupplyMode, SupplyQuotes, World


@dataclass(frozen=True, slots=True)
class Supply:
    """The supply an app uses now."""

    mode: SupplyMode
    supplier: str


class Tier(NamedTuple):
    """How a tier is served: the model, and what a query of it takes over one of the app's usual queries."""

    name: str
    paid: bool
    model: LargeOrSmall
    tokens: float


class App(Firm):
    """A B2C app: sells access to its users' attention or to its answers."""

    def __init__(self, world: World, firm_id: str, spec: AppSpec) -> None:
        super().__init__(world, firm_id, tier="apps", region=spec.region, group=spec.group, alive=spec.active_from == 0)
        self.spec = spec
        self._take_tiers()
        self.ways: dict[str, Parameters] = {n: WAYS[n].spec.model_validate(t) for n, t in spec.earning.items()}
        self.supply = Supply(spec.supply.mode, spec.supply.lab)
        self.pending: tuple[int, Supply] | None = None
        self.fees = {name: tier.price for name, tier in spec.tiers.items()}
        self._open_ways()
        self.search_supplier = spec.search_supplier
        self.index_due: int | None = None
        self.resells = False
        self.available = spec.gated
        self.brand = 0.0
        self.usage = AppDemand.none()
        self.token_scale = 1.0
        self.price_response = ResponseEstimate(-1.5, 0.7)
        self.load_response = ResponseEstimate(-0.15, 0.1)
        self.marketing = spec.marketing
        self.acquired = 0.0
        self.trust = 1.0
        self.service = 1.0
        self.unit_margin = 0.0
        self.integrated_in: int | None = None
        self._offer: dict[str, float] = {}
        self._in_force = (0.0, 0.0)
        """Highest fee, USD, and ad load that users had during the month that `usage` tells of."""
        self._last: tuple[float, float, float, float] | None = None
        self._next_review = 6 + int(world.stream(f"review.{firm_id}").integers(0, 6))

    # --- supply: make or buy ---------------------------------------------------------------------------------

    def _take_tiers(self) -> None:
        """Take the terms' tiers: where free traffic is not on the small model, the large one serves it."""
        all_large = not self.world.on("free_on_small")
        self.tiers = [
            Tier(name, t.price > 0.0, "large" if all_large and t.price <= 0.0 else t.model, t.tokens)
            for name, t in self.spec.tiers.items()
        ]

    @property
    def large_share(self) -> float:
        """Share of last month's queries that tiers with the large model served."""
        usage = self.usage
        if usage.queries <= 0.0:
            return 0.0
        paid_large = any(model == "large" for _, paid, model, _ in self.tiers if paid)
        free_large = any(model == "large" for _, paid, model, _ in self.tiers if not paid)
        share = usage.paid_queries / usage.queries
        return share * paid_large + (1.0 - share) * free_large

    def plan_supply(self) -> None:
        """Compare the quoted ways to get tokens at own volume; change when it pays back, after a delay.

        An app whose lab is gone takes the API that is cheapest.
        """
        spec = self.spec
        if self.pending is not None and self.pending[0] <= self.world.month:
            self.supply = self.pending[1]
            if self.supply.mode in ("self_host", "own_model") and self.integrated_in is None:
                self.integrated_in = self.world.month
            self.pending = None
        self._plan_search()
        if self.pending is not None or not (self._is_stranded or self._may_change_supply):
            return
        volume = self.usage.mtok
        if volume <= 0.0:
            return
        modes = ("api",) if self._is_stranded else SUPPLY_MODES
        mode, supplier = self._best_supply(self.world.supply_quotes(self.agent_id, volume), modes)
        if (mode, supplier) != (self.supply.mode, self.supply.supplier):
            self.pay("staff", "staff", self._switching_cost(mode), "research")
            delay = 1 if mode == "api" else spec.switching_delay
            self.pending = (self.world.month + delay, Supply(mode, supplier))

    @property
    def _is_stranded(self) -> bool:
        """Whether the lab that serves it is gone; who hosts its weights is not."""
        return self.supply.mode in ("api", "own") and not self.world.is_alive(self.supply.supplier)

    @property
    def _may_change_supply(self) -> bool:
        return self.spec.make_or_buy and self.supply.mode != "own" and self.world.on("make_or_buy")

    def _best_supply(self, quotes: SupplyQuotes, modes: Sequence[SupplyMode]) -> tuple[SupplyMode, str]:
        """Return the cheapest (mode, supplier) that the app has the means to change to, quality lost included.

        What a change costs once has to pay back within a year.
        """
        now = (self.supply.mode, self.supply.supplier)
        here = quotes.place.get(now)
        cash = self.cash
        costs = [self._switching_cost(mode) if mode in modes else math.inf for mode in SUPPLY_MODES]
        one_off = np.array([cost if cost < cash else math.inf for cost in costs])[quotes.mode]
        if here is not None:
            one_off[here] = 0.0
        worth = self.spec.quality_value * at_least(self.smoothed_revenue, 0.0)
        cost = quotes.cost - worth * quotes.quality + one_off / 12.0
        best = int(cost.argmin()) if len(cost) else None
        return quotes.ways[best] if best is not None and cost[best] < math.inf else now

    def _switching_cost(self, mode: SupplyMode) -> float:
        """Return what it costs once to change to another supply, USD."""
        return self.spec.switching_cost + (self.spec.own_model_fixed if mode == "own_model" else 0.0)

    def _plan_search(self) -> None:
        """Build an own index where quoted search calls cost more; stop buying when it is ready."""
        if self.search_supplier is None:
            self._plan_resale()
            return
        if not self.world.on("make_or_buy"):
            return
        price = self.world.search_price(self.search_supplier)
        bill = price / 1000.0 * self.spec.search_calls * self.usage.queries
        if self.index_due is not None:
            if self.index_due <= self.world.month:
                self.search_supplier, self.index_due = None, None
                self.integrated_in = self.world.month
            return
        if price <= 0.0 or bill > 1.1 * self.spec.index_cost:
            self.index_due = self.world.month + self.spec.switching_delay

    def _plan_resale(self) -> None:
        """Sell calls of the own index to buyers that dearer sellers lost, once a year of it pays for the set-up."""
        own_calls = self.spec.search_calls * self.usage.queries
        if "api" in self.ways or own_calls <= 0.0 or not self.world.on("integrator_sells"):
            return
        lost, price = self.world.lost_calls(self.region)
        if lost <= 0.0:
            return
        terms = ApiSpec(price=price)
        profit = min(own_calls, lost) * (price - terms.unit_cost) / 1000.0
        if self.spec.switching_cost < min(12.0 * profit, self.cash):
            self.pay("staff", "staff", self.spec.switching_cost, "research")
            self.ways["api"] = terms
            self.api_price = price
            self.resells = True

    # --- offer -------------------------------------------------------------------------------------------------

    def plan_offer(self) -> None:
        """Decide fees, ad load and roll-out for the month from what the app has learnt."""
        self._learn()
        dither = self.world.dither(self.agent_id) if self.world.on("experiments") else (0.0, 0.0)
        self._offer = dict(self.fees)
        if self.spec.adaptive_price and self.world.on("learning_apps"):
            self._adjust_fees(dither[0])
        ads = self.ways.get("ads")
        self._load = 0.0
        if isinstance(ads, AdvertisingSpec) and self.world.on("ads"):
            self._load = self.ad_load
            if ads.adaptive and self.world.on("learning_apps"):
                self._load = self._adjusted_load(ads, dither[1])
        if not self.world.on("gated_rollout"):
            self.available = 1.0
        elif self.available < 1.0 and self.unit_margin >= 0.0:
            self.available = at_most(self.available + 0.08, 1.0)

    def change_terms(
        self, tiers: Mapping[str, Mapping[str, Any]], earning: Mapping[str, Any] | None, reconsiders: bool
    ) -> None:
        """Offer other terms from this month on, with the brand, the users and the supply that there are."""
        self.spec = self.spec.with_terms(tiers, earning, reconsiders)
        self._take_tiers()
        self.fees |= {name: float(terms["price"]) for name, terms in tiers.items() if "price" in terms}
        if earning is not None:
            self.ways = {n: WAYS[n].spec.model_validate(t) for n, t in self.spec.earning.items()}
            self.resells = self.resells and "api" in self.ways
            self._open_ways()

    def _open_ways(self) -> None:
        """Start with the ad load and the API price that the terms name."""
        ads, api = self.ways.get("ads"), self.ways.get("api")
        self.ad_load = self._load = ads.load if isinstance(ads, AdvertisingSpec) else 0.0
        self.api_price = api.price if isinstance(api, ApiSpec) else 0.0

    def _learn(self) -> None:
        """Update the estimated responses from last month's own experiment, by the terms that were in force then."""
        usage = self.usage
        fee, load = self._in_force
        now = (fee, load, usage.paid_joins, usage.queries / at_least(usage.users, 1.0))
        if self._last is not None:
            fee0, load0, joins0, intensity0 = self._last
            if fee0 > 0.0 and fee > 0.0 and joins0 > 0.0 and usage.paid_joins > 0.0 and fee != fee0:
                self.price_response.observe(math.log(fee / fee0), math.log(usage.paid_joins / joins0), 0.1)
            if intensity0 > 0.0 and now[3] > 0.0 and load != load0:
                self.load_response.observe(load - load0, math.log(now[3] / intensity0), 0.02)
        self._last = now

    def _adjust_fees(self, dither: float) -> None:
        """Move paid fees towards c e / (e - 1) with the estimated elasticity and the cost of serving a payer."""
        elasticity = at_least(-self.price_response.slope, 1.15)
        for name, tier in self.spec.tiers.items():
            if tier.price > 0.0:
                cost = at_least(self.usage.cost_per_payer, 0.1 * tier.price)
                target = between(cost * elasticity / (elasticity - 1.0), 0.3 * tier.price, 3.0 * tier.price)
                self._offer[name] = (self.fees[name] + 0.05 * (target - self.fees[name])) * (1.0 + dither)

    def _adjusted_load(self, ads: AdvertisingSpec, dither: float) -> float:
        """Move the ad load towards its estimated optimum.

        Revenue per user L CPM exp(-b H' L) is highest at L = 1 / (b H'), less what other revenue a query
        brings; b is the app's own estimate of the first month's response, H' the lagged loss it expects.
        """
        loss = at_least(-self.load_response.slope, 0.02) * (1.0 + self.spec.horizon / 12.0)
        cpm = self.world.cpm(self.region) * ads.intent
        other = self.usage.other_revenue_per_query
        target = 1.0 / loss - (other * 1000.0 / cpm if cpm > 0.0 else 0.0)
        target = between(target, 0.0, ads.slots)
        return between(self.ad_load + 0.1 * (target - self.ad_load) + dither * 0.1 * ads.slots, 0.0, ads.slots)

    def plan_marketing(self) -> None:
        """Buy users while funded: spending follows runway and sentiment; the cost of a user rises with spending."""
        spec = self.spec
        self.acquired = 0.0
        budget = spec.marketing + self.world.acquisition_budget(self.agent_id)
        if not self.world.on("paid_acquisition"):
            budget = 0.0
        if budget > 0.0:
            budget *= between((self.runway - 3.0) / 9.0, 0.0, 1.0)
        self.marketing = budget * self.world.sentiment
        if self.marketing > 0.0:
            base = at_least(spec.marketing, 0.1 * self.marketing)
            self.acquired = base / spec.acquisition_cost * (self.marketing / base) ** 0.8
        if self.world.on("bundling"):
            self.acquired += spec.bundled + self.world.bundled_users(self.agent_id)

    def reconsider(self) -> None:
        """Every six months, weigh ways of earning it lacks: quoted profit of peers who use them (imitation, logit)."""
        if not self.spec.reconsiders or self.world.month < self._next_review or not self.world.on("choice_of_earning"):
            return
        self._next_review += 6
        per_user = self.books_per_user()
        for way in ("ads", "subscription"):
            if way in self.ways:
                continue
            peers = self.world.peer_revenue_per_user(self.agent_id, way)
            if peers is None:
                continue
            gain = peers / max(abs(per_user), 0.02)
            chance = 1.0 / (1.0 + math.exp(-4.0 * (gain - 1.0)))
            if self.world.choice_draw(self.agent_id, way) < chance and per_user < 0.0:
                self._start(way)

    def _start(self, way: str) -> None:
        """Begin to earn in a new way, with the terms that peers start from."""
        if way == "ads":
            self.ways["ads"] = AdvertisingSpec(load=0.25)
            self.ad_load = self._load = 0.25
        elif any(tier.price > 0.0 for tier in self.spec.tiers.values()):
            self.ways["subscription"] = SubscriptionSpec()

    def books_per_user(self) -> float:
        """Operating profit per user of the last closed month, USD."""
        return self.usage.operating_profit / at_least(self.usage.users, 1.0)

    def commit(self) -> None:
        """Publish the offer."""
        self.fees = self._offer or self.fees
        self.ad_load = self._load
        self._in_force = (max(self.fees.values(), default=0.0), self.ad_load)

    @property
    def sells_subscriptions(self) -> bool:
        """Whether paid tiers are on offer."""
        return "subscription" in self.ways

    # --- settlement ------------------------------------------------------------------------------------------------

    def collect(self, usage: Usage) -> None:
        """Bring in the money of every way of earning and pay what it costs at once."""
        for name, terms in self.ways.items():
            for receipt in WAYS[name].receipts(terms, self, usage):
                self.world.trade(receipt.payer, self.agent_id, receipt.kind, receipt.amount, receipt.quantity, None)
                if receipt.fee > 0.0:
                    self.pay(receipt.fee_to, receipt.fee_to, receipt.fee, "cost_of_sales")

    def wind_up(self) -> None:
        """Be without users."""
        super().wind_up()
        self.usage = AppDemand.none()

    @property
    def volume(self) -> float:
        """People who use it this month."""
        return self.usage.users

    def settle(self) -> None:
        """Pay marketing, staff and the own index."""
        self.pay("media", "media", self.marketing, "marketing", self.acquired)
        scale = between(self.runway / 6.0, 0.3, 1.0)
        self.pay("staff", "staff", self.spec.staff * scale, "staff")
        if self.spec.search_calls > 0.0 and (self.search_supplier is None or self.index_due is not None):
            self.pay("overhead", "overhead", self.spec.index_cost, "cost_of_sales")
