"""The market for tokens: offers of labs and hosts, quotes to apps, prices between them."""

import math
from typing import TYPE_CHECKING

from agents.lab import SIZES, Lab
from agents.world import LargeOrSmall, SupplyQuotes, TokenOffer
from ecosystem.supply_catalogue import SupplyCatalogue
from ecosystem.token_costs import NEVER, Hours, dot
from ecosystem.view import COMPARABLE

if TYPE_CHECKING:
    from agents.app import App
    from agents.hosting import HostedModel
    from ecosystem.model import ValueChain
    from ecosystem.spec import Spec

OWN_MODEL_QUALITY = 0.85
"""Quality of an app's own small model over the best open weights (judgement)."""
OWN_MODEL_EFFICIENCY = 3.0
"""Accelerator-hours a token of a self-hoster over an owner at scale (F-P18 bounds it by 5; judgement)."""


NO_SEGMENTS = (0.45, 0.3, 0.25)
"""Mix by which prices are compared where no segment buys (judgement: the default of segments)."""


def enterprise_mix(spec: "Spec") -> tuple[float, float, float]:
    """Return the input, cached and output tokens of a token of enterprise traffic.

    It is the mean over all segments, weighted by what they spend at the opening: the one basket by which labs reckon
    their costs, and labs and hosts set and compare list prices.
    """
    spending = {
        region: math.fsum(lab.enterprise_revenue.get(region, 0.0) for lab in spec.lab.values())
        for region in spec.regions
    }
    segments = [(segment.share * spending[segment.region], segment.mix) for segment in spec.enterprise.values()]
    whole = math.fsum(weight for weight, _ in segments)
    if whole <= 0.0:
        return NO_SEGMENTS
    fresh, cached, answer = (math.fsum(weight * mix[i] for weight, mix in segments) / whole for i in range(3))
    return fresh, cached, answer


class TokenMarket:
    """Offers by region, rebuilt once a month after labs and clouds have set their prices."""

    def __init__(self, chain: "ValueChain") -> None:
        self.chain = chain
        self.offers: dict[str, list[TokenOffer]] = {}
        self._models: dict[str, list[tuple[TokenOffer, TokenOffer]]] = {}
        self._self_hosted: dict[tuple[str, str, LargeOrSmall], Hours] = {}
        self._largest_cloud: dict[str, str] = {}
        self._catalogues: dict[str, SupplyCatalogue] = {}
        self.mix = enterprise_mix(chain.spec)
        self.at_war: dict[str, list[Lab]] = {}
        """Labs at war by region, from one publication of prices to the next."""
        self._asked: tuple[int, dict[str, list[tuple[float, float, str]]]] = (-1, {})
        """What sellers ask before the month's new prices, with its month: (price, quality, lab) by region, cheapest
        first. Collected when a lab at war looks; an event that changes prices clears it (`forget_prices`)."""

    def publish(self) -> None:
        """Publish the offers of every region."""
        self._self_hosted = {}
        self._largest_cloud = {}
        self._catalogues = {}
        self.at_war = {region: [] for region in self.chain.spec.regions}
        for lab in self.chain.labs.values():
            if lab.alive and lab.in_war:
                self.at_war[lab.region].append(lab)
        self.offers = self._offers_now()
        for region, offers in self.offers.items():
            own = [offer for offer in offers if offer.seller == offer.lab]
            self._models[region] = list(zip(own[::2], own[1::2], strict=True))

    def _offers_now(self) -> dict[str, list[TokenOffer]]:
        """Return what is on sale by region: labs that sell there, large and small; clouds that host open weights."""
        chain = self.chain
        found: dict[str, list[TokenOffer]] = {region: [] for region in chain.spec.regions}
        for lab_id, lab in chain.labs.items():
            if not lab.alive:
                continue
            models = [
                TokenOffer(lab_id, lab_id, size, lab.models[size].price, lab.models[size].quality, lab.service)
                for size in SIZES
            ]
            for region in lab.spec.sells_in:
                found[region] += models
        for cloud_id, cloud in chain.clouds.items():
            for lab_id, host in cloud.hosted.items():
                if cloud.alive and host.active and chain.open_weights(lab_id):
                    found[cloud.region].append(self._hosted(cloud_id, lab_id, host))
        return found

    def _hosted(self, cloud: str, lab: str, host: "HostedModel") -> TokenOffer:
        size = host.spec.model
        owner = self.chain.labs[lab].models[size]
        return TokenOffer(cloud, lab, size, owner.opening_price.times(host.scale), owner.quality, 1.0)

    def cost(self, lab: str, size: LargeOrSmall, mix: tuple[float, float, float]) -> float:
        """Return the long-run marginal cost of a Mtok of traffic: kernel hours, reserve and peak, rent paid."""
        chain = self.chain
        agent = chain.labs[lab]
        hours = dot(mix, chain.costs.hours[lab, size])
        reserve = chain.reserve(lab)
        return hours * reserve * agent.rent_paid

    def lowest_price(self, region: str, quality: float) -> float:
        """Return the lowest price in a region of a model of some quality; infinite where there is none."""
        good = [offer.price.blend(self.mix) for offer in self.offers[region] if offer.quality >= quality]
        return min(good, default=math.inf)

    def rival_price(self, lab: str, size: LargeOrSmall) -> float:
        """Return the lowest price that a rival asks now for a comparable model, where the lab sells."""
        agent = self.chain.labs[lab]
        own = agent.models[size]
        if self._asked[0] != self.chain.month:
            self._asked = self.chain.month, self._cheapest_first()
        least = own.quality - COMPARABLE
        rivals = []
        for region in agent.spec.sells_in:
            for price, quality, rival in self._asked[1][region]:
                if rival != lab and quality >= least:
                    rivals.append(price)
                    break
        return min(rivals, default=own.opening_blend * own.scale)

    def _cheapest_first(self) -> dict[str, list[tuple[float, float, str]]]:
        """Return (price, quality, lab) of what is on sale now, by region."""
        return {
            region: sorted((offer.price.blend(self.mix), offer.quality, offer.lab) for offer in offers)
            for region, offers in self._offers_now().items()
        }

    def forget_prices(self) -> None:
        """Look anew at what rivals ask: an event has changed it."""
        self._asked = (-1, {})

    def plan_hosting(self) -> None:
        """Have hosts of open weights decide what they go on offering, and set their prices."""
        chain = self.chain
        if not chain.on("open_hosting"):
            return
        for cloud_id, cloud in chain.clouds.items():
            if not cloud.alive:
                continue
            for lab_id, host in cloud.hosted.items():
                host.reconsider()
                if host.active:
                    size = host.spec.model
                    owner = dot(self.mix, chain.costs.on_cloud(cloud_id, lab_id, size))
                    host.plan_price(chain.labs[lab_id].models[size].opening_blend, owner)

    def update_shares(self, speed: float) -> None:
        """Publish sellers' shares of their region's API sales, for pricing and price wars."""
        chain = self.chain
        sales: dict[str, float] = {}
        totals: dict[str, float] = dict.fromkeys(chain.spec.regions, 0.0)
        for (_, seller, _, _), (_, amount) in chain.serving.api_sales.items():
            sales[seller] = sales.get(seller, 0.0) + amount
        for seller, amount in sales.items():
            region = chain.labs[seller].spec.sells_in[0] if seller in chain.labs else chain.clouds[seller].region
            totals[region] += amount
        for lab_id, lab in chain.labs.items():
            whole = totals[lab.spec.sells_in[0]]
            share = sales.get(lab_id, 0.0) / whole if whole > 0.0 else 0.0
            for model in lab.models.values():
                model.share += speed * (share - model.share)
            lab.sales_share += speed * (share - lab.sales_share)
        self._share_hosts(speed)

    def _share_hosts(self, speed: float) -> None:
        """Publish hosts' shares of the tokens of the model they host."""
        chain = self.chain
        hosts = [((lab, h.spec.model), h) for cloud in chain.clouds.values() for lab, h in cloud.hosted.items()]
        totals = {(lab, size): chain.labs[lab].models[size].volume for (lab, size), _ in hosts}
        for model, host in hosts:
            totals[model] += host.volume
        for model, host in hosts:
            host.share += speed * ((host.volume / totals[model] if totals[model] > 0.0 else 0.0) - host.share)

    # --- apps ---------------------------------------------------------------------------------------------------

    def app_mix(self, app: "App") -> tuple[float, float, float]:
        """Return (input, cached, output) tokens of one query of an app."""
        spec = app.spec
        scale = app.token_scale * self.chain.token_growth
        prompt, cached = spec.input_tokens * scale, spec.cached_share
        return (prompt * (1.0 - cached), prompt * cached, spec.output_tokens * scale)

    def transfer_price(self, app: "App", lab: str, size: LargeOrSmall, mix: tuple[float, float, float]) -> float:
        """Return what an app pays its own group's lab for tokens: cost, list price, or between."""
        chain = self.chain
        weight = chain.spec.group[app.group].token_transfer if app.group is not None else 1.0
        cost = dot(mix, chain.costs.hours[lab, size]) * chain.reserve(lab) * chain.labs[lab].rent_paid
        return (1.0 - weight) * cost + weight * chain.labs[lab].models[size].price.blend(mix)

    def quality(self, app: "App", size: LargeOrSmall) -> float:
        """Return the quality of the answers that an app's present supply gives."""
        chain = self.chain
        if app.supply.mode == "own_model":
            return self.own_quality()
        return chain.labs[app.supply.supplier].models[size].quality

    def quotes(self, app_id: str, mtok: float) -> SupplyQuotes:
        """Quote every way to get `mtok` a month of the app's traffic, split over its tiers' sizes as now."""
        chain = self.chain
        app = chain.apps[app_id]
        mix = self.app_mix(app)
        catalogue = self._catalogues.get(app.region)
        if catalogue is None:
            catalogue = SupplyCatalogue(chain, app.region, self._models[app.region])
            self._catalogues[app.region] = catalogue
        return catalogue.quotes(mix, app.large_share, mtok / math.fsum(mix))

    def own_quality(self) -> float:
        """Return the quality of an app's own small model."""
        return OWN_MODEL_QUALITY * max(self.chain.open_frontier, 0.3)

    def own_model_lab(self, region: str) -> str | None:
        """Return the lab whose small model stands in for the cost of an app's own small model."""
        labs = [lab for lab in self.chain.labs.values() if lab.alive and lab.region == region]
        return (
            min(
                labs,
                key=lambda lab: (
                    dot((0.5, 0.2, 0.3), self.chain.costs.hours[lab.agent_id, "small"]),
                    lab.agent_id,
                ),
            ).agent_id
            if labs
            else None
        )

    def self_hosted(self, region: str, lab: str, size: LargeOrSmall) -> Hours:
        """Return H100-equivalent hours a Mtok for a self-hoster of a lab's model on the region's largest cloud.

        They are infinite where there is no living cloud, or none that can serve the model.
        """
        key = (region, lab, size)
        known = self._self_hosted.get(key)
        if known is None:
            known = self._self_hosted[key] = self._hours_of_self_hoster(region, lab, size)
        return known

    def _hours_of_self_hoster(self, region: str, lab: str, size: LargeOrSmall) -> Hours:
        chain = self.chain
        if region not in self._largest_cloud:
            clouds = [c for c in chain.clouds.values() if c.alive and c.region == region]
            if not clouds:
                return NEVER
            self._largest_cloud[region] = max(clouds, key=lambda c: (c.size, c.agent_id)).agent_id
        hours = chain.costs.on_cloud(self._largest_cloud[region], lab, size)
        factor = OWN_MODEL_EFFICIENCY / chain.held_load
        return hours[0] * factor, hours[1] * factor, hours[2] * factor
