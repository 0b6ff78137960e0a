"""The model: a Mesa model whose step is the month, phase by phase."""

import math
from functools import partial
from typing import Any

import mesa
from mesa.datacollection import DataCollector

from agents import kinds
from agents.app import App
from agents.earning import Usage
from agents.expectations import Trend
from agents.firm import TIERS, Firm
from agents.monetisation import WAYS, CommissionSpec
from ecosystem.accounts import open_accounts
from ecosystem.chip_market import ChipMarket
from ecosystem.consumer_market import ConsumerMarket
from ecosystem.equity import Equity
from ecosystem.events import EfficiencyShock, Timeline
from ecosystem.hours_market import HoursMarket
from ecosystem.opening import Plug, open_chain
from ecosystem.own_kinds import OwnAgents
from ecosystem.record import Recorder
from ecosystem.recording import record_month
from ecosystem.serving import Serving
from ecosystem.settlement import Settlement
from ecosystem.spec import Spec
from ecosystem.streams import Streams
from ecosystem.token_costs import TokenCosts
from ecosystem.token_market import TokenMarket
from ecosystem.view import WorldView

MINIMUM_GPUS = 8.0
"""Accelerators of the smallest deployment that a self-hoster or a host runs (judgement: a node)."""


_COLLECTED = (
    "final_demand",
    "tokens",
    "sentiment",
    *(f"{what}.{tier}" for what in ("revenue", "profit") for tier in TIERS),
)
"""Market series that Mesa's own collector keeps; everything else is in the recorder."""


def _latest(name: str, chain: "ValueChain") -> float:
    return chain.recorder.latest(name)


class ValueChain(WorldView, mesa.Model):
    """The AI value chain of one scenario.

    `spec`: a scenario, its name, or a TOML file. `rng`: root seed (the scenario's by default). `replicate`:
    which replicate of the seed. Further keywords are dotted paths of the scenario with their values, so that
    `mesa.batch_run` can vary them. SpecError for a scenario that cannot be run.
    """

    __slots__ = ("consumers", "equity", "group_received", "paid_cost", "plugs", "recorder", "serving", "settlement")

    def __init__(self, spec: Spec | str = "2025", *, rng: int | None = None, replicate: int = 0, **paths: Any) -> None:
        loaded = spec if isinstance(spec, Spec) else Spec.load(spec)
        loaded = loaded.with_overrides(paths)
        seed = loaded.seed if rng is None else int(rng)
        super().__init__(rng=seed)
        self.spec = loaded
        self.root_seed = seed
        self.replicate = int(replicate)
        self.expectation, self.research = loaded.expectation, loaded.research
        self.load_factor = loaded.research.load_factor
        self.streams = Streams(seed, self.replicate)
        self.month = 0
        self.sampling = loaded.sampling
        self.sentiment = 1.0
        self.frontier = self.open_frontier = 1.0
        self.failures: list[tuple[int, str]] = []
        self.paid_cost: dict[str, float] = {}
        self.group_left: dict[str, float] = {}
        self.group_received = dict.fromkeys(loaded.group, 0.0)
        self.minimum_hours = MINIMUM_GPUS * 730.0
        self._switches: dict[str, bool] = loaded.mechanisms.model_dump()
        self._opening = True
        self._incomes = self._owner_incomes()
        self._gaps: dict[int, dict[str, float]] = {}
        self._final_demand = Trend(0.0, 0.0, loaded.expectation)
        self._chip_sales = Trend(0.0, 0.0, loaded.expectation)
        self._surprise = (0.0, 0.0)
        self.final_demand = 0.0
        self.token_growth = 1.0
        self.timeline = Timeline(loaded.events)
        self.costs = TokenCosts(loaded)
        self.performance, self.kilowatts = self.costs.performance, self.costs.kilowatts
        self._make_agents()
        self.ledger = open_accounts(self)
        self.chips = ChipMarket(self)
        self.hours = HoursMarket(self)
        self.tokens = TokenMarket(self)
        self.serving = Serving(self)
        self.settlement = Settlement(self)
        self.consumer_markets = {r: ConsumerMarket(self, r, self.consumers[r]) for r in sorted(loaded.regions)}
        self.plugs: list[Plug] = open_chain(self)
        self.equity = Equity(self)
        self._opening = False
        self.recorder = Recorder({firm_id: firm.tier for firm_id, firm in self.firms.items()}, loaded.months)
        self.datacollector = DataCollector(model_reporters={name: partial(_latest, name) for name in _COLLECTED})

    def _make_agents(self) -> None:
        """Create all agents, in the order of their ids."""
        spec = self.spec
        self.chipmakers = kinds.CHIPMAKERS.make(self, spec.chipmaker)
        self.clouds = kinds.CLOUDS.make(self, spec.cloud)
        self.labs = kinds.LABS.make(self, spec.lab)
        self.apps = kinds.APPS.make(self, spec.app)
        self.consumers = kinds.CONSUMERS.make(self, spec.consumers)
        self.enterprises = kinds.ENTERPRISES.make(self, spec.enterprise)
        self.compute = kinds.COMPUTE.make(self, spec.compute)
        self.advertisers = kinds.ADVERTISERS.make(self, spec.advertisers)
        self.investors = kinds.INVESTORS.make(self, spec.investors)
        self.own = OwnAgents(self)
        self.firms: dict[str, Firm] = {**self.chipmakers, **self.clouds, **self.labs, **self.apps, **self.own.firms}
        self.members = {
            group: sorted((f for f in self.firms.values() if f.group == group), key=lambda f: f.agent_id != owner.head)
            for group, owner in spec.group.items()
        }
        self.rich = frozenset(g for g, owner in spec.group.items() if owner.cash_flow > 0.0)
        self.pooled = self.rich | {g for g, owner in spec.group.items() if owner.head is not None}
        self._reserves = {lab: terms.provisioning / self.held_load for lab, terms in spec.lab.items()}
        off_peak = self.on("off_peak")
        self._off_peak = {lab: off_peak * s.off_peak_discount * s.off_peak_share for lab, s in spec.lab.items()}
        self.owned = frozenset(
            firm.agent_id for group, members in self.members.items() for firm in members if group in self.rich
        )
        raising = [firm for firm in self.firms.values() if self._raises(firm)]
        self._raising = {region: [firm for firm in raising if firm.region == region] for region in self.investors}

    # --- the month ---------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Run one month; agents of own kinds act at the end of the phases that they name (`agents/kinds.py`)."""
        self.events()
        self.investment()
        self.chip_phase()
        self.cloud_phase()
        self.lab_phase()
        self.app_phase()
        self.demand()
        self.serve()
        self.settle()
        self.collect()

    def events(self) -> None:
        """1. The scenario's timeline; this month's shared draws; fresh books."""
        self.timeline.begin(self.month)
        self.timeline.strike(self)
        self.hours.clear()
        self._draw()
        if self.on("reasoning_length"):
            market = self.spec.market
            self.token_growth *= 1.0 + market.reasoning_growth * market.reasoning_fade**self.month
        for firm in self.firms.values():
            firm.books.clear()
        for group, received in self.group_received.items():
            self.group_left[group] = self.owner_income(group) + received
            self.group_received[group] = 0.0
        self._enter()
        self.own.act("events")

    def investment(self) -> None:
        """2. Investors: sentiment, funds, rounds."""
        self.equity.update_sentiment(*self._surprise)
        for region, investors in self.investors.items():
            investors.take_in()
            investors.fund_rounds([firm for firm in self._raising[region] if firm.alive])
        if self.on("circular_finance"):
            self.equity.invest_in_customers()
        self.own.act("investment")

    def chip_phase(self) -> None:
        """3. Chips: deliver, price, produce, start capacity."""
        alive = [maker for maker in self.chipmakers.values() if maker.alive]
        for maker in alive:
            maker.deliver()
        for maker in alive:
            maker.plan_prices()
        for maker in alive:
            maker.commit_prices()
            maker.produce()
        self.chips.quote()
        self.own.act("chips")

    def cloud_phase(self) -> None:
        """4. Clouds: retire, set rents, forecast, order; hosts price open weights."""
        alive = [c for c in self.clouds.values() if c.alive]
        for cloud in alive:
            cloud.retire()
            cloud.expire_contracts()
            cloud.plan_rent()
            cloud.plan_orders()
            cloud.plan_own_silicon()
        for cloud in alive:
            cloud.commit()
        self.hours.plan_overflow()
        self.own.act("clouds")

    def lab_phase(self) -> None:
        """5. Labs: costs from the kernel, rent, train, release, price."""
        self.costs.update(self)
        alive = [lab for lab in self.labs.values() if lab.alive]
        for lab in alive:
            lab.plan_training()
            lab.plan_hours()
            lab.develop()
            lab.decide_weights()
            lab.plan_prices()
        self.tokens.plan_hosting()
        for lab in alive:
            lab.commit()
            lab.order_boxes()
        for cloud in self.clouds.values():
            cloud.sign_contracts()
            for host in cloud.hosted.values():
                host.commit()
        self.hours.commit_overflow()
        self.refresh_frontier()
        self.tokens.publish()
        self.own.act("labs")

    def app_phase(self) -> None:
        """6. Apps: suppliers, ways of earning, offer, marketing."""
        alive = [app for app in self.apps.values() if app.alive]
        for app in alive:
            app.plan_supply()
            app.reconsider()
            app.plan_offer()
            app.plan_marketing()
        for app in alive:
            app.commit()
        self.own.act("apps")

    def demand(self) -> None:
        """7. Consumers, advertisers, enterprises, other compute demand."""
        for market in self.consumer_markets.values():
            market.run()
        for market in self.consumer_markets.values():
            market.sell_ads()
            market.plan_outside_calls()
        for segment in self.enterprises.values():
            offers = self.tokens.offers[segment.spec.region]
            segment.choose_suppliers(offers)
            segment.plan_volume(offers)
        for region, demand in self.compute.items():
            demand.plan()
            demand.plan_chips()
            for maker, size in self.chips.split(demand.agent_id, region, demand.chips_wanted).items():
                self.place_order(demand.agent_id, maker, region, size)
        self.own.act("demand")

    def serve(self) -> None:
        """8. Usage to tokens to hours; who waits where hours are short."""
        self.serving.collect_tokens()
        self.serving.ask_hours()
        self.hours.allocate()
        self.serving.serve()
        self.own.act("serving")

    def settle(self) -> None:
        """9. Invoices, interest, tax; arrears, failure; the ledger's check."""
        self.settlement.run()
        for maker in self.chipmakers.values():
            if maker.alive:
                maker.start_capacity()
        self.ledger.close_month()

    def collect(self) -> None:
        """10. Panel and market series; memories for next month."""
        self.hours.end_month()
        self.chips.end_month()
        self.tokens.update_shares(0.3)
        for market in self.consumer_markets.values():
            market.remember()
        self.final_demand = self.final_revenue()
        self._surprise = (
            self._final_demand.observe(self.final_demand),
            self._chip_sales.observe(self._chip_revenue()),
        )
        self.equity.value_firms()
        record_month(self)
        self.datacollector.collect(self)
        self.month += 1
        self._incomes = self._owner_incomes()
        self.running = self.month < self.spec.months

    # --- helpers of the phases -------------------------------------------------------------------------------------

    def stream(self, name: str) -> Any:
        """Return this month's stream of a mechanism; the opening has streams of its own."""
        return self.streams.get(name, -1 if self._opening else self.month)

    def _owner_incomes(self) -> dict[str, float]:
        """Return what owners' other profit pools bring in this month, USD, by group."""
        return {g: owner.cash_flow * (1.0 + owner.growth) ** self.month for g, owner in self.spec.group.items()}

    def _draw(self) -> None:
        """Draw what many firms share, one fixed-size vector each, dead or alive."""
        labs = list(self.labs)
        luck = self.stream("training_luck").standard_normal(len(labs)).tolist()
        sd = self.spec.research.luck
        self._luck = {lab: math.exp(sd * z - 0.5 * sd * sd) for lab, z in zip(labs, luck, strict=True)}
        self._release = dict(zip(labs, self.stream("release").random(len(labs)).tolist(), strict=True))
        self._dither = None
        self._choice = None

    def _enter(self) -> None:
        """Start apps whose month has come, and now and then one of the scenario's entrants."""
        entrants = [
            a
            for a in self.apps.values()
            if not a.alive and a.failed_in is None and a.spec.active_from >= self.spec.months
        ]
        for app in self.apps.values():
            if not app.alive and app.failed_in is None and app.spec.active_from == self.month:
                self._start(app)
        if not entrants:
            return
        draw = self.stream("entry").random(2).tolist()
        rate = self.spec.market.entry_rate * self.sentiment * (1.0 + self.open_frontier / self.frontier)
        if self.on("entry") and draw[0] < 1.0 - math.exp(-rate):
            self._start(entrants[int(draw[1] * len(entrants))])

    def _start(self, app: App) -> None:
        """Put an app into business with money from its owner or the region's investors."""
        capital = max(app.spec.cash, self.spec.market.entry_capital)
        if self.funded_by_group(app.agent_id):
            self.draw_on_group(app.agent_id, capital)
        else:
            fund = f"investors.{app.region}"
            self.ledger.pay(fund, app.agent_id, "equity", min(capital, 0.5 * self.ledger.cash(fund)))
        app.alive = True

    def _raises(self, firm: Firm) -> bool:
        """Return whether a firm raises money from its region's investors when it is short."""
        if firm.tier == "chips" or self.funded_by_group(firm.agent_id):
            return False
        return firm.group is None or self.spec.group[firm.group].head == firm.agent_id

    # --- read by other parts of the ecosystem ------------------------------------------------------------------

    def usage(self, app: str) -> Usage:
        """Return what an app's ways of earning look at this month."""
        return self.consumer_markets[self.apps[app].region].usage(self.apps[app])

    def consumer_queries(self, app: str) -> list[float]:
        """Return this month's queries by tier of an app."""
        return self.consumer_markets[self.apps[app].region].queries(app)

    def app_queries(self, app: str) -> float:
        """Return this month's queries of an app."""
        return math.fsum(self.consumer_queries(app))

    def refresh_frontier(self) -> None:
        """Publish the best quality on the market, and among open weights."""
        published = [lab.models["large"].quality for lab in self.labs.values() if lab.open_weights]
        self.open_frontier = max(published, default=0.0)
        sold = [lab.models["large"].quality for lab in self.labs.values() if lab.alive]
        self.frontier = max((*sold, *published), default=self.frontier)

    def raise_api_price(self, firm: str, factor: float) -> None:
        """Multiply the API price of an app or a lab."""
        if firm in self.apps:
            self.apps[firm].api_price *= factor
        else:
            for model in self.labs[firm].models.values():
                model.scale = model.next_scale = model.scale * factor
            self.tokens.forget_prices()

    def open_interaction(self, region: str, commission: float, willingness: float) -> None:
        """Open commission revenue to the apps of a region, or raise willingness to pay there."""
        for app in self.apps.values():
            if app.region == region and commission > 0.0 and "commission" not in app.ways:
                app.ways["commission"] = CommissionSpec(rate=commission)
        if willingness != 1.0:
            self.consumers[region].scale_wtp(willingness)

    def spread_efficiency(self, shock: EfficiencyShock) -> None:
        """Let other labs close a part of the gap to a published saving."""
        gaps = self._gaps.get(id(shock))
        if gaps is None:
            published = math.log(shock.saving)
            gaps = self._gaps[id(shock)] = {lab: published for lab in self.labs if lab != shock.lab}
        diffusion = shock.diffusion
        for lab, gap in gaps.items():
            self.labs[lab].efficiency *= math.exp(diffusion * gap)
            gaps[lab] = gap * (1.0 - diffusion)

    def open_trends(self) -> None:
        """Start investors' expectations of final demand and chip sales from the opening."""
        growth = self.spec.market.opening_growth
        fees = math.fsum(market.opening_fees() for market in self.consumer_markets.values())
        api = math.fsum(value for _, value in self.serving.api_sales.values())
        self._final_demand = Trend(fees + api, growth, self.spec.expectation)
        chips = math.fsum(maker.opening_revenue for maker in self.chipmakers.values())
        self._chip_sales = Trend(chips, growth, self.spec.expectation)

    def final_revenue(self) -> float:
        """Return what final buyers of apps and tokens paid this month, USD; search calls and rented hours apart."""
        kinds = {stream for way in WAYS.values() for stream in way.streams} - {"api_calls"}
        sales = [app.books.streams.items() for app in self.apps.values() if app.books.streams]
        apps = math.fsum([amount for streams in sales for kind, amount in streams if kind in kinds])
        return apps + self.settlement.api_revenue

    def _chip_revenue(self) -> float:
        """Return what chipmakers sold this month, USD."""
        return math.fsum(maker.books.revenue for maker in self.chipmakers.values())

    def run(self) -> "ValueChain":
        """Run to the scenario's last month and return the model."""
        while self.month < self.spec.months:
            self.step()
        return self

    def release(self) -> None:
        """Let go of a finished model: Mesa 3.3 keeps every model in a class-level table."""
        table: Any = getattr(mesa.Agent, "_ids", None)
        if table is not None:
            table.pop(self, None)
