"""The consumer market of one region: the table of options, filled from the apps' offers, and what came of it."""

import math
from typing import TYPE_CHECKING

import numpy as np

from agents.advertisers import Inventory
from agents.app import App
from agents.app_spec import TierSpec
from agents.bounds import at_least
from agents.brands import fit_opening
from agents.choice import BLOCKED, METERED, THROTTLED, ConsumerOffers
from agents.consumers import ConsumerOutcome, Consumers
from agents.earning import Usage
from agents.monetisation import AdvertisingSpec, ApiSpec
from agents.world import AppDemand
from ecosystem.spec import SpecError

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

OUTSIDE_SPEED = 0.3
"""Share of outside buyers of search calls who respond to a price within a month (judgement)."""
_READ = ("users", "joins", "leavers", "queries", "eligible", "fees", "overage")
"""Amounts of the month's outcome that apps read."""
OVERAGE = {"blocked": BLOCKED, "throttled": THROTTLED, "metered": METERED}


class ConsumerMarket:
    """Consumers of one region and the apps that serve them."""

    def __init__(self, chain: "ValueChain", region: str, consumers: Consumers) -> None:
        self.chain = chain
        self.region = region
        self.consumers = consumers
        self.apps = [app for _, app in sorted(chain.apps.items()) if app.region == region]
        self.first = {}
        position = 0
        for app in self.apps:
            self.first[app.agent_id] = position
            position += len(app.tiers)
        self.place = {app.agent_id: i for i, app in enumerate(self.apps)}
        self.list_options()
        self._brand_shock = np.zeros(len(self.apps))
        self.outcome: ConsumerOutcome | None = None
        self._usage: dict[str, Usage] = {}
        self._queries: list[float] = []
        self._all: dict[str, list[float]] = {}
        self._paid: dict[str, list[float]] = {}
        self._free: dict[str, list[float]] = {}
        self._trust: list[float] = []
        self._selling_ads: dict[str, int] = {}
        self.outside: dict[str, float] = {}
        self.lost_calls = (0.0, 0.0)

    def list_options(self) -> None:
        """Fill the table of options with the terms of all tiers; their number never changes."""
        self.options: list[tuple[App, str, TierSpec]] = [(a, n, t) for a in self.apps for n, t in a.spec.tiers.items()]
        self._slices = {i: slice(first, first + len(self.chain.apps[i].tiers)) for i, first in self.first.items()}
        self._quota = np.array([t.quota if t.quota is not None else math.inf for _, _, t in self.options])
        self._overage = np.array([OVERAGE[t.overage] for _, _, t in self.options], dtype=np.intp)
        self._overage_price = np.array([t.overage_price for _, _, t in self.options])
        self._app = np.array([self.place[a.agent_id] for a, _, _ in self.options], dtype=np.intp)
        paid = np.array([t.price > 0.0 for _, _, t in self.options], dtype=np.float64)[:, None]
        tiers = np.eye(len(self.apps))[self._app]
        self._summed = np.hstack([tiers, tiers * paid, tiers * (1.0 - paid)])

    def open(self) -> None:
        """Fit brands to opening users, and see how much they use."""
        users = np.array([a.spec.users if a.alive else 0.0 for a in self.apps])
        if users.sum() > 0.0:
            try:
                brands = self.consumers.open(self.offers(), users)
            except ValueError as error:
                raise SpecError(f"consumers.{self.region}: {error}") from None
            fitted = [b for b, u in zip(brands.tolist(), users.tolist(), strict=True) if u > 0.0]
            for app, brand, people in zip(self.apps, brands.tolist(), users.tolist(), strict=True):
                app.brand = brand if people > 0.0 else min(fitted)
        self._publish(self.consumers.settle_in(self.offers()))

    def fitted_extras(self) -> dict[str, float]:
        """Return the `paid_extras` with which the opening has the stated payers, by app that states some.

        To be asked of a chain that has just opened; the scenario keeps what it returns, so that a change of tastes
        or terms moves payers. Raises ValueError where nothing fits.
        """
        opened = [(a.spec.users, a.spec.payers) if a.alive else (0.0, 0.0) for a in self.apps]
        users, payers = np.array(opened).T
        fitted = fit_opening(self.consumers.law, self.offers(), users, payers).paid_extras
        free = {a.agent_id for a in self.apps if not all(tier.paid for tier in a.tiers)}
        return {
            a.agent_id: extras
            for a, extras, stated in zip(self.apps, fitted.tolist(), payers.tolist(), strict=True)
            if stated > 0.0 and a.agent_id in free
        }

    def _publish(self, outcome: ConsumerOutcome) -> None:
        """Take note of what consumers did: lists by option, and by app over all its tiers, the paid and the free."""
        self.outcome = outcome
        self._usage = {}
        self._queries = outcome.queries.tolist()
        amounts = np.array([getattr(outcome, name) for name in _READ]) @ self._summed
        parts = amounts.reshape(len(_READ), 3, len(self.apps)).swapaxes(0, 1).tolist()
        self._all, self._paid, self._free = [dict(zip(_READ, part, strict=True)) for part in parts]
        self._trust = outcome.trust.tolist()

    def offers(self) -> ConsumerOffers:
        """Return the month's offers."""
        chain = self.chain
        terms: list[float] = []
        for app in self.apps:
            self._add_terms(app, terms)
        fee, quality, load, disclosed, eligible, service, available = np.array(terms).reshape(-1, 7).T.copy()
        scandal = chain.timeline.scandal
        brand = np.array([app.brand for app in self.apps])
        return ConsumerOffers(
            app=self._app,
            fee=fee,
            quality=quality,
            quota=self._quota,
            overage=self._overage,
            overage_price=self._overage_price,
            ad_load=load,
            disclosed=disclosed,
            eligible=eligible,
            service=service,
            available=available,
            brand=brand + self._brand_shock,
            paid_extras=np.array([app.spec.paid_extras for app in self.apps]),
            acquired=np.array([app.acquired for app in self.apps]),
            scandal=np.array([scandal.get(app.agent_id, 0.0) for app in self.apps]),
            frontier=chain.frontier,
        )

    def _add_terms(self, app: App, terms: list[float]) -> None:
        """Add the terms of each tier of an app, in the order of `offers`."""
        ads = app.ways.get("ads")
        load = disclosed = 0.0
        free_only = False
        if isinstance(ads, AdvertisingSpec):
            load, disclosed, free_only = app.ad_load, float(ads.disclosed), ads.free_only
        lab = self.chain.labs[app.supply.supplier]
        hosted = app.supply.mode in ("self_host", "own_model")
        eligible = app.spec.eligible
        available = app.available if app.alive else 0.0
        available_paid = available if app.sells_subscriptions else 0.0
        for name, paid, model, _ in app.tiers:
            shows_ads = not (paid and free_only)
            service = app.service if hosted else lab.service if paid else lab.free_service
            terms += (
                app.fees[name],
                self.chain.tokens.quality(app, model),
                load if shows_ads else 0.0,
                disclosed if shows_ads else 0.0,
                eligible,
                at_least(service, 0.01),
                available_paid if paid else available,
            )

    def run(self) -> None:
        """Let consumers choose and use."""
        chain = self.chain
        if chain.on("taste_shocks") and chain.month >= 0:
            noise = chain.stream(f"tastes.{self.region}").standard_normal(len(self.apps))
            self._brand_shock = 0.9 * self._brand_shock + chain.spec.market.taste_noise * noise
        self.consumers.choose(self.offers())
        self._publish(self.consumers.use())

    def opening_fees(self) -> float:
        """Return subscription fees of the opening month, USD."""
        return float(self.outcome.fees.sum()) if self.outcome is not None else 0.0

    def slice(self, app: str) -> slice:
        """Return where an app's tiers are in arrays over options."""
        return self._slices[app]

    def usage(self, app: App) -> Usage:
        """Return what an app's ways of earning look at this month."""
        known = self._usage.get(app.agent_id)
        if known is None:
            known = self._usage[app.agent_id] = self._measure(app)
        return known

    def _measure(self, app: App) -> Usage:
        place = self.place[app.agent_id]
        ads = app.ways.get("ads")
        free_only = isinstance(ads, AdvertisingSpec) and ads.free_only
        every = self._all
        return Usage(
            users=every["users"][place],
            payers=self._paid["users"][place],
            queries=every["queries"][place],
            eligible=every["eligible"][place],
            shown=(self._free if free_only else every)["eligible"][place],
            fees=every["fees"][place],
            metered=every["overage"][place],
            quality=self.chain.tokens.quality(app, app.tiers[0].model),
            trust=self._trust[place],
        )

    def queries(self, app: str) -> list[float]:
        """Return this month's queries by tier of an app."""
        if self.outcome is None:
            raise RuntimeError(f"consumers of {self.region} have not chosen yet")
        return self._queries[self.slice(app)]

    def sell_ads(self) -> None:
        """Let advertisers buy the impressions that apps offer."""
        inventories = []
        for app in self.apps:
            ads = app.ways.get("ads")
            if app.alive and isinstance(ads, AdvertisingSpec) and app.ad_load > 0.0:
                usage = self.usage(app)
                months = self._selling_ads[app.agent_id] = self._selling_ads.get(app.agent_id, -1) + 1
                inventories.append(Inventory(app.agent_id, usage.shown, app.ad_load, usage.trust, ads.intent, months))
        self.chain.advertisers[self.region].buy(inventories)

    def plan_outside_calls(self) -> None:
        """Let outside buyers of search calls respond to the price, a part of them each month.

        Calls that a dearer seller lost may go, at his old price, to apps that sell the calls of their own index,
        each as far as its own calls show that it can serve. Who stops selling calls loses its buyers at once.
        """
        targets: dict[str, float] = {}
        lost = value = 0.0
        for app in self.apps:
            terms = app.ways.get("api")
            if isinstance(terms, ApiSpec) and app.alive and app.api_price > 0.0 and terms.price > 0.0:
                calls = terms.outside_calls * (app.api_price / terms.price) ** -terms.elasticity
                targets[app.agent_id] = calls
                self.outside.setdefault(app.agent_id, terms.outside_calls)
                lost += max(terms.outside_calls - calls, 0.0)
                value += max(terms.outside_calls - calls, 0.0) * terms.price
        sizes = {
            a.agent_id: a.spec.search_calls * math.fsum(self.queries(a.agent_id))
            for a in self.apps
            if a.resells and a.alive
        }
        able = math.fsum(sizes.values())
        served = min(1.0, lost / max(able, 1e-9))
        self.lost_calls = (lost - served * able, value / lost if lost > 0.0 else 0.0)
        targets.update({app: served * calls for app, calls in sizes.items()})
        self.outside = {
            app: self.outside[app] + OUTSIDE_SPEED * (target - self.outside[app]) for app, target in targets.items()
        }

    def remember(self) -> None:
        """Give every app its own view of the month."""
        for app in self.apps:
            if app.alive:
                app.usage = self._demand_of(app)
                app.trust = self.usage(app).trust
                app.last_streams = dict(app.books.streams)
                app.unit_margin = (app.books.revenue - app.books.cost_of_sales) / at_least(app.usage.users, 1.0)

    def _demand_of(self, app: App) -> AppDemand:
        place = self.place[app.agent_id]
        every, paid = self._all, self._paid
        payers, queries = paid["users"][place], every["queries"][place]
        other = app.books.revenue - app.books.streams.get("advertising", 0.0)
        tokens = self.chain.serving.app_tokens.get(app.agent_id, {})
        return AppDemand(
            users=every["users"][place],
            payers=payers,
            queries=queries,
            paid_queries=paid["queries"][place],
            mtok=math.fsum([math.fsum(m) for m in tokens.values()]),
            paid_joins=paid["joins"][place],
            paid_leavers=paid["leavers"][place],
            cost_per_payer=self.chain.paid_cost.get(app.agent_id, 0.0) / at_least(payers, 1.0),
            other_revenue_per_query=other / at_least(queries, 1.0),
            operating_profit=app.books.operating_profit,
        )
