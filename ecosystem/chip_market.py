"""The market for accelerators: quotes, orders, deliveries, export rules."""

import math
from typing import TYPE_CHECKING

from agents.bounds import at_most
from agents.world import ChipQuote

if TYPE_CHECKING:
    from ecosystem.model import ValueChain


OTHER_SUBSTITUTION = 4.0
"""How fast buyers other than clouds shift to the cheaper chipmaker: as clouds do (judgement)."""


class ChipMarket:
    """Links buyers of accelerators with chipmakers, region by region."""

    def __init__(self, chain: "ValueChain") -> None:
        self.chain = chain
        self.affinity: dict[str, dict[str, float]] = {}
        self.opening_price: dict[tuple[str, str], float] = {}
        self.shares: dict[tuple[str, str], float] = {}
        self.quotes: dict[str, ChipQuote] = {}
        self.sold: dict[tuple[str, str], float] = {}

    def open(self) -> None:
        """Take habits from opening purchases, shares and prices from opening sales."""
        spec = self.chain.spec
        for region in spec.regions:
            sales = {c: s.opening_sales.get(region, 0.0) for c, s in spec.chipmaker.items() if region in s.lines}
            for chipmaker, share in _shares(sales).items():
                self.shares[region, chipmaker] = share
            for chipmaker in sales:
                self.opening_price[region, chipmaker] = self.asked(chipmaker, region)
        for cloud_id, cloud in spec.cloud.items():
            self.affinity[cloud_id] = _shares(self.sizes(cloud.region, cloud.chip_purchases))
        for lab_id, lab in spec.lab.items():
            if lab.boxes > 0.0:
                sales = {c: s.opening_sales.get(lab.region, 0.0) for c, s in spec.chipmaker.items()}
                self.affinity[lab_id] = _shares(self.sizes(lab.region, sales))
        for region, compute in spec.compute.items():
            self.affinity[f"compute.{region}"] = _shares(self.sizes(region, compute.on_premise))
        self.quote()

    def sizes(self, region: str, values: dict[str, float]) -> dict[str, float]:
        """Return the H100-equivalents that USD by chipmaker bought at opening prices: orders are split by size."""
        prices = {c: p for (r, c), p in self.opening_price.items() if r == region}
        return {c: value / prices[c] for c, value in values.items() if c in prices}

    def quote(self) -> None:
        """Publish the quote of each region: what a dollar buys there, means weighted by who sells.

        The premium of intermediaries on chips that leak is in the price.
        """
        for region in self.chain.spec.regions:
            sellers = [
                (c, self.shares[region, c.agent_id])
                for c in self.chain.chipmakers.values()
                if c.alive and region in c.lines and self.shares.get((region, c.agent_id), 0.0) > 0.0
            ]
            total = math.fsum(s for _, s in sellers)
            if total <= 0.0:
                if region in self.quotes:
                    continue
                raise ValueError(f"region {region!r}: nobody sells accelerators there")
            price = total / math.fsum(s / self.asked(c.agent_id, region) for c, s in sellers)
            lead = math.fsum(s * c.lead_time for c, s in sellers) / total
            leader = max(sellers, key=lambda pair: (pair[1], pair[0].agent_id))[0]
            line = leader.lines[region]
            newest = max(line.mix(self.chain.month).items(), key=lambda pair: pair[1])[0]
            accelerator = line.products[newest].accelerator
            performance, kilowatt = self.chain.performance[accelerator], self.chain.kilowatts[accelerator]
            self.quotes[region] = ChipQuote(price, at_most(lead, 24.0), accelerator, performance, kilowatt)

    def split(self, buyer: str, region: str, size: float) -> dict[str, float]:
        """Split an order by habit and relative price.

        Of what goes to chipmakers that export rules bind, the admitted share is ordered; the rest is ordered from
        the others, or from nobody where all are bound.
        """
        weights = self._preferences(buyer, region)
        total = math.fsum(weights.values())
        if size <= 0.0 or total <= 0.0:
            return {}
        admitted = {c: self.export_share(self.chain.chipmakers[c].region, region) for c in weights}
        orders = {c: size * w / total * admitted[c] for c, w in weights.items()}
        stopped = math.fsum(size * w / total * (1.0 - admitted[c]) for c, w in weights.items())
        free = math.fsum(w for c, w in weights.items() if admitted[c] >= 1.0)
        if stopped > 0.0 and free > 0.0:
            orders |= {c: orders[c] + stopped * w / free for c, w in weights.items() if admitted[c] >= 1.0}
        return orders

    def _preferences(self, buyer: str, region: str) -> dict[str, float]:
        """Return habit x relative price^-sigma of the chipmakers that sell in a region."""
        chain = self.chain
        sigma = chain.clouds[buyer].spec.supplier_substitution if buyer in chain.clouds else OTHER_SUBSTITUTION
        weights = {}
        for chipmaker, habit in self.affinity[buyer].items():
            maker = chain.chipmakers[chipmaker]
            if habit > 0.0 and maker.alive and region in maker.lines:
                relative = self.asked(chipmaker, region) / self.opening_price[region, chipmaker]
                weights[chipmaker] = habit * relative**-sigma
        return weights

    def enforce(self) -> None:
        """Void what export rules in force from this month no longer admit of orders on hand; no fee is due."""
        clouds = self.chain.clouds
        for maker in self.chain.chipmakers.values():
            for region in maker.lines:
                lost = maker.admit(region, self.export_share(maker.region, region))
                for buyer, size in lost.items():
                    if buyer in clouds:
                        clouds[buyer].on_order = max(clouds[buyer].on_order - size, 0.0)

    def export_share(self, home: str, region: str) -> float:
        """Return the share of orders that export rules let through, leakage included."""
        control = self.chain.timeline.export.get((home, region))
        if control is None:
            return 1.0
        return control.leakage if self.chain.on("export_leakage") else 0.0

    def grey_premium(self, seller: str, region: str) -> float:
        """Return what intermediaries take on a chipmaker's chips in a region, over the price."""
        control = self.chain.timeline.export.get((self.chain.chipmakers[seller].region, region))
        return control.grey_premium if control is not None else 0.0

    def asked(self, seller: str, region: str) -> float:
        """Return what a buyer in a region pays for an H100-equivalent ordered now, intermediaries included, USD."""
        return self.chain.chipmakers[seller].lines[region].quote * (1.0 + self.grey_premium(seller, region))

    def deliver(
        self, seller: str, buyer: str, region: str, accelerators: dict[str, float], size: float, value: float
    ) -> None:
        """Hand chips over: the buyer pays the seller and, where chips leak, the premium of intermediaries."""
        chain = self.chain
        premium = self.grey_premium(seller, region) * value
        self.sold[region, seller] = self.sold.get((region, seller), 0.0) + value
        if buyer in chain.clouds:
            chain.clouds[buyer].receive(accelerators, size, value + premium)
            payer, kind, fee, expense = buyer, "accelerators", "overhead", "capex"
        elif buyer in chain.labs:
            chain.labs[buyer].sell_boxes(size, value + premium)
            payer, kind, fee, expense = buyer, "accelerators", "overhead", "cost_of_sales"
        else:
            payer, kind, fee, expense = f"enterprises.{region}", "on_premise", "on_premise", None
        chain.trade(payer, seller, kind, value, size, expense)
        chain.trade(payer, "intermediaries", fee, premium, 0.0, expense)

    def end_month(self) -> None:
        """Smooth sales shares."""
        for region in self.chain.spec.regions:
            keys = [k for k in self.shares if k[0] == region]
            total = math.fsum(self.sold.get(k, 0.0) for k in keys)
            if total > 0.0:
                for key in keys:
                    self.shares[key] += 0.15 * (self.sold.get(key, 0.0) / total - self.shares[key])
        self.sold = {}


def _shares(values: dict[str, float]) -> dict[str, float]:
    total = math.fsum(values.values())
    return {k: v / total for k, v in sorted(values.items()) if v > 0.0} if total > 0.0 else {}
