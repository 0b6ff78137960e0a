"""The world as agents see it: the `World` protocol, answered from the markets and the timeline."""

import math
from typing import TYPE_CHECKING

import numpy as np

from agents.bounds import at_least, at_most
from agents.world import AdSale, ChipQuote, LargeOrSmall, SupplyQuotes, TokenPrice

if TYPE_CHECKING:
    from agents.advertisers import Advertisers
    from agents.app import App
    from agents.chipmaker import Chipmaker
    from agents.cloud import Cloud
    from agents.compute_demand import ComputeDemand
    from agents.enterprise import Enterprise
    from agents.expectations import ExpectationSpec
    from agents.firm import Books, Firm
    from agents.investors import Investors
    from agents.lab import Lab
    from agents.parameters import ResearchSpec
    from ecosystem.chip_market import ChipMarket
    from ecosystem.consumer_market import ConsumerMarket
    from ecosystem.events import Timeline
    from ecosystem.hours_market import HoursMarket
    from ecosystem.ledger import Ledger
    from ecosystem.own_kinds import OwnAgents
    from ecosystem.spec import Spec
    from ecosystem.streams import Streams
    from ecosystem.token_costs import TokenCosts
    from ecosystem.token_market import TokenMarket


COMPARABLE = 0.1
"""How much worse a rival's model may be to be compared on price (judgement)."""
ROUNDING = 1.0
"""USD asked for beyond what is missing, so that rounding leaves no arrears."""


class WorldView:
    """Answers agents' questions; holds no rule of its own."""

    __slots__ = (
        "_choice", "_dither", "_incomes", "_luck", "_off_peak", "_release", "_reserves", "_switches", "advertisers",
        "apps", "chipmakers", "chips", "clouds", "compute", "consumer_markets", "costs", "enterprises", "expectation",
        "firms", "frontier", "group_left", "hours", "investors", "kilowatts", "labs", "ledger", "load_factor",
        "members", "month", "open_frontier", "own", "owned", "performance", "pooled", "research", "rich", "sampling",
        "sentiment", "spec", "streams", "timeline", "token_growth", "tokens",
    )  # fmt: skip
    """Python 3.11 finds methods fast only in objects with at most 30 attributes beside these."""

    spec: "Spec"
    expectation: "ExpectationSpec"
    """How firms forecast."""
    research: "ResearchSpec"
    """How training turns into quality."""
    load_factor: float
    """Mean over peak of the daily load."""
    performance: dict[str, float]
    """H100-equivalents of one accelerator."""
    kilowatts: dict[str, float]
    """All-in kW of one accelerator."""
    ledger: "Ledger"
    streams: "Streams"
    timeline: "Timeline"
    costs: "TokenCosts"
    chips: "ChipMarket"
    hours: "HoursMarket"
    tokens: "TokenMarket"
    firms: dict[str, "Firm"]
    chipmakers: dict[str, "Chipmaker"]
    clouds: dict[str, "Cloud"]
    labs: dict[str, "Lab"]
    apps: dict[str, "App"]
    enterprises: dict[str, "Enterprise"]
    compute: dict[str, "ComputeDemand"]
    advertisers: dict[str, "Advertisers"]
    investors: dict[str, "Investors"]
    consumer_markets: dict[str, "ConsumerMarket"]
    own: "OwnAgents"
    month: int
    sampling: bool
    sentiment: float
    frontier: float
    open_frontier: float
    token_growth: float
    members: dict[str, list["Firm"]]
    """Firms by group, its head first."""
    pooled: frozenset[str]
    """Groups whose members or owner stand in for each other."""
    owned: frozenset[str]
    """Firms with an owner who has other profit pools."""
    group_left: dict[str, float]
    """What owners can still put in this month, USD."""
    rich: frozenset[str]
    """Groups with other profit pools."""
    _incomes: dict[str, float]
    """What owners' other profit pools bring in this month, USD."""
    _switches: dict[str, bool]
    _reserves: dict[str, float]
    _off_peak: dict[str, float]
    _luck: dict[str, float]
    _release: dict[str, float]
    _dither: dict[str, tuple[float, float]] | None
    _choice: dict[tuple[str, str], float] | None

    # --- constants -------------------------------------------------------------------------------------------

    @property
    def held_load(self) -> float:
        """Mean load over the hours that are held for it: those of the daily peak, unless that is switched off."""
        return self.load_factor if self.on("peak_provisioning") else 1.0

    def on(self, mechanism: str) -> bool:
        """Return whether a mechanism is on."""
        return self._switches[mechanism]

    def stream(self, name: str) -> np.random.Generator:
        """Return this month's stream of a mechanism."""
        return self.streams.get(name, self.month)

    def is_alive(self, firm: str) -> bool:
        """Return whether a firm is in business."""
        return self.firms[firm].alive

    def growth(self, firm: str) -> float:
        """Return a firm's smoothed monthly growth."""
        return self.firms[firm].revenue_growth

    def firms_of(self, tier: str, region: str | None = None) -> list[str]:
        """Return the living firms of a tier."""
        return [i for i, f in self.firms.items() if f.alive and f.tier == tier and region in {None, f.region}]

    def volume(self, firm: str) -> float:
        """Return what a firm sold this month."""
        return self.firms[firm].volume

    def books(self, firm: str) -> "Books":
        """Return a firm's books of this month."""
        return self.firms[firm].books

    def charge(self, firm: str) -> float:
        """Return what own kinds of agents ask of a firm a unit."""
        return self.own.charge(firm)

    def set_charge(self, collector: str, firm: str, amount: float) -> None:
        """Announce what a collector will ask of a firm a unit."""
        self.own.set_charge(collector, firm, amount)

    # --- payments and groups -----------------------------------------------------------------------------------

    def trade(self, payer: str, payee: str, kind: str, amount: float, quantity: float, expense: str | None) -> None:
        """Pay and book, a sale as the payee's revenue; a firm of a group asks the group for what it lacks."""
        if amount <= 0.0:
            return
        firms, ledger = self.firms, self.ledger
        buyer, seller = firms.get(payer), firms.get(payee)
        if buyer is not None:
            if buyer.group is not None and (cash := buyer.purse.cash) < amount:
                self.draw_on_group(payer, amount - cash + ROUNDING)
            if expense is not None:
                buyer.books.spend(expense, amount)
        ledger.pay(payer, payee, kind, amount, quantity)
        if seller is not None and kind in ledger.sales:
            seller.books.earn(kind, amount)

    def draw_on_group(self, firm: str, amount: float, investment: bool = False) -> float:
        """Have the owner, or the other firms of an independent group, its head first, put in cash as far as they can.

        An owner pays for chips that it let the cloud order (the limit was there); it covers operating losses
        up to its cash flow.
        """
        group = self.firms[firm].group
        if group is None or amount <= 0.0:
            return 0.0
        if group in self.rich:
            left = self.group_left.get(group, 0.0)
            given = amount if investment else at_most(amount, left)
            self.group_left[group] = left if investment else left - given
            return self.ledger.pay(f"parents.{group}", firm, "parent_funding", given) if given > 0.0 else 0.0
        if group not in self.pooled:
            return 0.0
        lacking = amount
        for member in self.members[group]:
            given = at_most(lacking, 0.9 * member.cash) if member.alive and member.agent_id != firm else 0.0
            if given > 0.0:
                lacking -= self.ledger.pay(member.agent_id, firm, "group_funding", given)
        return amount - lacking

    def funds_behind(self, firm: "Firm") -> tuple[float, float]:
        """Return (cash, burn a month) of a firm, or of its group, whose members and owner stand in for each other."""
        group = firm.group
        return self.pooled_funds(group) if group in self.pooled else (firm.purse.cash, firm.burn)

    def pooled_funds(self, group: str) -> tuple[float, float]:
        """Return (cash, burn a month) of a group whose members and owner stand in for each other."""
        cash = 0.0
        burn = -self.owner_income(group)
        for member in self.members[group]:
            if member.alive:
                cash += member.purse.cash
                burn += member.burn
        return cash, burn

    def funded_by_group(self, firm: str) -> bool:
        """Return whether an owner with other profit pools stands behind the firm."""
        return firm in self.owned

    def group_cash_flow(self, firm: str) -> float:
        """Return the group's monthly cash flow, split over its clouds by size."""
        group = self.firms[firm].group
        if group is None:
            return 0.0
        sizes = [self.clouds[m.agent_id].size for m in self.members[group] if m.tier == "clouds" and m.alive]
        total = math.fsum(sizes)
        share = self.clouds[firm].size / total if firm in self.clouds and total > 0.0 else 1.0
        return share * self.owner_income(group)

    def owner_income(self, group: str) -> float:
        """Return what an owner's other profit pools bring in this month, USD."""
        return self._incomes[group]

    def group_growth(self, firm: str) -> float:
        """Return the group's cash flow over that of the opening."""
        group = self.firms[firm].group
        return (1.0 + self.spec.group[group].growth) ** max(self.month, 0) if group is not None else 1.0

    # --- chips ---------------------------------------------------------------------------------------------------

    def chip_quote(self, region: str) -> ChipQuote:
        """Return what accelerators cost in a region."""
        return self.chips.quotes[region]

    def chip_share(self, region: str, chipmaker: str) -> float:
        """Return a chipmaker's share of sales in a region."""
        return self.chips.shares.get((region, chipmaker), 0.0)

    def capacity_factor(self, firm: str) -> float:
        """Return the share of capacity that events leave."""
        return self.timeline.capacity.get(firm, 1.0)

    def deliver(
        self, seller: str, buyer: str, region: str, accelerators: dict[str, float], size: float, value: float
    ) -> None:
        """Hand chips to a buyer."""
        self.chips.deliver(seller, buyer, region, accelerators, size, value)

    def split_order(self, buyer: str, region: str, size: float) -> dict[str, float]:
        """Split an order over chipmakers."""
        return self.chips.split(buyer, region, size)

    def place_order(self, buyer: str, chipmaker: str, region: str, size: float) -> None:
        """Order chips."""
        if size > 0.0:
            self.chipmakers[chipmaker].take_order(region, buyer, size)

    def cancel_orders(self, buyer: str, region: str, size: float) -> tuple[float, float]:
        """Cancel orders with every supplier in proportion to what is on order; pay the fee."""
        books = {
            c: m.lines[region].book[buyer].quantity
            for c, m in self.chipmakers.items()
            if region in m.lines and buyer in m.lines[region].book
        }
        total = math.fsum(books.values())
        cancelled = fees = 0.0
        if total <= 0.0:
            return 0.0, 0.0
        for chipmaker, on_order in books.items():
            maker = self.chipmakers[chipmaker]
            taken, value = maker.cancel_order(region, buyer, min(size, total) * on_order / total)
            fee = maker.spec.cancellation_fee * value
            self.trade(buyer, chipmaker, "cancellation", fee, 0.0, "overhead")
            cancelled += taken
            fees += fee
        return cancelled, fees

    # --- hours ---------------------------------------------------------------------------------------------------

    def rent(self, cloud: str) -> float:
        """Return a cloud's rent."""
        return self.clouds[cloud].rent

    def cloud_share(self, cloud: str) -> float:
        """Return a cloud's share of hours sold in its region."""
        return self.hours.shares.get(cloud, 0.0)

    def spot_rent(self, region: str) -> float:
        """Return the mean rent of a region's clouds, weighted by size."""
        clouds = [c for c in self.clouds.values() if c.alive and c.region == region]
        total = math.fsum([c.size for c in clouds])
        return math.fsum([c.size * c.rent for c in clouds]) / total if total > 0.0 else math.inf

    def size_ratio(self, cloud: str) -> float:
        """Return a cloud's fleet over that of the opening."""
        return self.clouds[cloud].size / at_least(self.clouds[cloud].opening_size, 1e-9)

    def size_growth(self, cloud: str) -> float:
        """Return a cloud's fleet over that of last month."""
        return self.clouds[cloud].size_growth

    def clouds_in(self, region: str) -> dict[str, float]:
        """Return the living clouds of a region with their sizes."""
        return {c.agent_id: c.size for c in self.clouds.values() if c.alive and c.region == region}

    def request_hours(self, customer: str, cloud: str, hours: float) -> None:
        """Ask a cloud for committed hours."""
        if self.clouds[cloud].alive:
            self.clouds[cloud].request_contract(customer, hours)

    # --- tokens --------------------------------------------------------------------------------------------------

    def reserve(self, lab: str) -> float:
        """Return hours rented per mean hour of serving: reserve, and the daily peak over the mean."""
        return self._reserves[lab]

    def token_cost(self, lab: str, size: LargeOrSmall) -> float:
        """Return the long-run marginal cost of a Mtok."""
        return self.tokens.cost(lab, size, self.tokens.mix) + self.charge(lab)

    def blend(self, price: TokenPrice) -> float:
        """Return the price of a Mtok of enterprise traffic."""
        return price.blend(self.tokens.mix)

    def rival_price(self, lab: str, size: LargeOrSmall) -> float:
        """Return the lowest price of a comparable rival."""
        return self.tokens.rival_price(lab, size)

    def attack_price(self, lab: str) -> float:
        """Return the lowest price of a comparable rival at war in the lab's region (infinite where there is none)."""
        attacked = self.labs[lab]
        least = attacked.models["large"].quality - COMPARABLE
        return min(
            (
                self.blend(rival.models["large"].price)
                for rival in self.tokens.at_war[attacked.region]
                if rival.alive and rival is not attacked and rival.models["large"].quality >= least
            ),
            default=math.inf,
        )

    def open_weights(self, lab: str) -> bool:
        """Return whether a lab's weights are published, which they stay when the lab is gone."""
        return self.labs[lab].open_weights

    def off_peak(self, lab: str) -> float:
        """Return the share of list revenue that off-peak discounts give away."""
        return self._off_peak.get(lab, 0.0)

    def luck(self, lab: str) -> float:
        """Return training luck."""
        return self._luck[lab]

    def release_draw(self, lab: str) -> float:
        """Return the draw that decides on a release."""
        return self._release[lab]

    def war_declared(self, lab: str) -> bool:
        """Return whether an event starts a price war."""
        return lab in self.timeline.wars

    # --- demand --------------------------------------------------------------------------------------------------

    def demand_boost(self, region: str) -> float:
        """Return the factor that events put on demand."""
        return self.timeline.demand.get(region, 1.0)

    def supply_quotes(self, app: str, mtok: float) -> SupplyQuotes:
        """Quote an app every way to get tokens."""
        return self.tokens.quotes(app, mtok)

    def search_price(self, app: str) -> float:
        """Return the price of 1,000 search calls."""
        seller = self.apps[app]
        return seller.api_price if seller.alive and "api" in seller.ways else 0.0

    def lost_calls(self, region: str) -> tuple[float, float]:
        """Return the search calls that dearer sellers lost and nobody serves, and their old price."""
        return self.consumer_markets[region].lost_calls

    def outside_calls(self, app: str) -> float:
        """Return the calls of outside buyers."""
        return self.consumer_markets[self.apps[app].region].outside.get(app, 0.0)

    def cpm(self, region: str) -> float:
        """Return the price of 1,000 impressions."""
        return self.advertisers[region].cpm

    def ad_revenue(self, region: str, app: str) -> AdSale:
        """Return what an app sold to advertisers."""
        return self.advertisers[region].sales.get(app, AdSale(0.0, 0.0))

    def interaction_boost(self, app: str) -> float:
        """Return the factor on purchases through an app."""
        return self.timeline.purchases.get(self.apps[app].region, 1.0)

    def acquisition_budget(self, app: str) -> float:
        """Return extra paid acquisition."""
        return self.timeline.acquisition.get(app, 0.0)

    def bundled_users(self, app: str) -> float:
        """Return the users an event bundles into an app."""
        return self.timeline.bundled.get(app, 0.0)

    def dither(self, app: str) -> tuple[float, float]:
        """Return this month's small experiment of an app."""
        if self._dither is None:
            size = self.spec.market.experiment_size
            draws = (size * self.stream("experiments").standard_normal((len(self.apps), 2))).tolist()
            self._dither = {a: (d[0], d[1]) for a, d in zip(self.apps, draws, strict=True)}
        return self._dither[app]

    def choice_draw(self, app: str, way: str) -> float:
        """Return the draw that decides on a way of earning."""
        if self._choice is None:
            draws = self.stream("choice_of_earning").random((len(self.apps), 2)).tolist()
            ways = ("ads", "subscription")
            self._choice = {(a, w): d[i] for a, d in zip(self.apps, draws, strict=True) for i, w in enumerate(ways)}
        return self._choice[app, way]

    def peer_revenue_per_user(self, app: str, way: str) -> float | None:
        """Return what peers in the region earn per user by a way of earning."""
        kind = "advertising" if way == "ads" else "subscriptions"
        me = self.apps[app]
        peers = [
            a
            for a in self.consumer_markets[me.region].apps
            if kind in a.last_streams and a.alive and a is not me and a.usage.users > 0.0
        ]
        users = math.fsum(a.usage.users for a in peers)
        if users <= 0.0:
            return None
        return math.fsum(a.last_streams.get(kind, 0.0) for a in peers) / users

    def inflow_factor(self) -> float:
        """Return the factor that events put on investors' inflow."""
        return self.timeline.inflow
