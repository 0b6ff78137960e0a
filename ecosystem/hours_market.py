"""The market for accelerator-hours: contracts first, then spot; whoever comes short waits."""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agents.bounds import at_least, at_most
from agents.cloud import HOURS

if TYPE_CHECKING:
    from agents.cloud import Cloud
    from agents.lab import Lab
    from ecosystem.model import ValueChain


class HoursMarket:
    """Spot requests of a month, and what was granted."""

    def __init__(self, chain: "ValueChain") -> None:
        self.chain = chain
        self.requests: dict[str, dict[str, float]] = {}
        self.granted: dict[str, dict[str, float]] = {}
        self.bills: defaultdict[str, list[tuple[str, float, float]]] = defaultdict(list)
        """What every buyer owes: (cloud, hours, USD)."""
        self._totals: dict[str, tuple[float, float]] = {}
        self.shares: dict[str, float] = {}
        self.opening_overflow: dict[tuple[str, str], float] = {}

    def clear(self) -> None:
        """Start a month without requests."""
        self.requests = {cloud: {} for cloud in self.chain.clouds}
        self.granted = {cloud: {} for cloud in self.chain.clouds}

    def ask(self, cloud: str, buyer: str, hours: float) -> None:
        """Ask a cloud for spot hours this month."""
        if hours > 0.0 and self.chain.clouds[cloud].alive:
            asked = self.requests[cloud]
            asked[buyer] = asked.get(buyer, 0.0) + hours

    def ask_region(self, region: str, wanted: Mapping[str, float]) -> None:
        """Ask the clouds of a region in proportion to their size and cheapness; `wanted`: hours by buyer."""
        clouds = [c for c in self.chain.clouds.values() if c.alive and c.region == region and c.size > 0.0]
        weights = {c.agent_id: c.size * c.rent**-3.0 for c in clouds}
        total = math.fsum(weights.values())
        for cloud, weight in weights.items():
            asked = self.requests[cloud]
            for buyer, hours in wanted.items():
                asked[buyer] = asked.get(buyer, 0.0) + hours * weight / total

    def contracted(self) -> dict[str, list[float]]:
        """Return the hours of every customer's contracts with living clouds."""
        hours: dict[str, list[float]] = {}
        for cloud in self.chain.clouds.values():
            if cloud.alive:
                for customer, contract in cloud.contracts.items():
                    hours.setdefault(customer, []).append(contract.hours)
        return hours

    def allocate(self) -> None:
        """Serve contracts, then spot requests pro rata; publish utilisation, what was asked for, and the bills."""
        for cloud_id, cloud in self.chain.clouds.items():
            asked = self.requests[cloud_id]
            spot = math.fsum(asked.values())
            committed = math.fsum(c.hours for c in cloud.contracts.values())
            capacity = cloud.capacity if cloud.alive else 0.0
            room = at_least(capacity - committed, 0.0)
            ratio = at_most(1.0, room / spot) if spot > 0.0 else 1.0
            self.granted[cloud_id] = {buyer: hours * ratio for buyer, hours in asked.items()}
            cloud.hours_asked = committed + spot
            cloud.hours_sold = at_most(committed, capacity) + spot * ratio
            cloud.utilisation = cloud.hours_sold / capacity if capacity > 0.0 else 0.0
            cloud.delivered = at_most(1.0, capacity / committed) if committed > 0.0 else 1.0
            cloud.quote_spot()
        self._bill()

    def _bill(self) -> None:
        """Work out what every buyer gets and owes: delivered contract hours, and spot hours at the spot price."""
        bills = self.bills
        bills.clear()
        self._totals = {}
        for cloud_id, cloud in self.chain.clouds.items():
            if not cloud.alive:
                continue
            granted, contracts, spot_price = self.granted[cloud_id], cloud.contracts, cloud.spot_price
            for buyer, contract in contracts.items():
                hours = contract.hours * cloud.delivered
                spot = granted.get(buyer, 0.0)
                amount = hours * contract.price + spot * spot_price
                if amount > 0.0:
                    bills[buyer].append((cloud_id, hours + spot, amount))
            for buyer, spot in granted.items():
                if buyer not in contracts:
                    bills[buyer].append((cloud_id, spot, spot * spot_price))

    def hours_of(self, buyer: str) -> tuple[float, float]:
        """Return (hours a buyer has this month, what they cost in USD), contracts and spot together."""
        if buyer not in self._totals:
            bills = self.bills.get(buyer, ())
            self._totals[buyer] = math.fsum([hours for _, hours, _ in bills]), math.fsum([cost for _, _, cost in bills])
        return self._totals[buyer]

    def pay_clouds(self, buyer: str, serving_share: float = 1.0) -> None:
        """Have a buyer pay its contracts (take or pay) and spot hours; what did not serve was training."""
        trade = self.chain.trade
        bills = self.bills.get(buyer, ())
        for cloud_id, hours, amount in bills:
            trade(buyer, cloud_id, "hours", amount, hours, "cost_of_sales")
        if serving_share < 1.0:
            training = (1.0 - serving_share) * self.hours_of(buyer)[1]
            books = self.chain.books(buyer)
            books.spend("cost_of_sales", -training)
            books.spend("research", training)

    def plan_overflow(self) -> None:
        """Let clouds that are short rent from the resellers they know; let them shed what they no longer need."""
        chain = self.chain
        for cloud_id, cloud in chain.clouds.items():
            if not cloud.spec.overflow or not cloud.alive:
                continue
            own = cloud.capacity - cloud.overflow.hours
            short = at_least(cloud.demand.forecast(1.0) - own, 0.0)
            total = math.fsum(cloud.spec.overflow.values())
            for reseller, value in sorted(cloud.spec.overflow.items()):
                seller = chain.clouds[reseller]
                if seller.alive:
                    booked = self._booked(seller, cloud_id)
                    seller.request_contract(cloud_id, at_least(short * value / total, booked))

    def _booked(self, seller: "Cloud", customer: str) -> float:
        """Return the hours that a customer takes of what a reseller had on order for it at the opening."""
        if self.chain.month > seller.opening_backlog:
            return 0.0
        booked = math.fsum(
            v for c in self.chain.spec.cloud.values() for s, v in c.overflow.items() if s == seller.agent_id
        )
        mine = self.chain.spec.cloud[customer].overflow[seller.agent_id] / booked
        grown = at_least(seller.size - seller.opening_size, 0.0) * HOURS
        return self.opening_overflow[customer, seller.agent_id] + seller.spec.presold * mine * grown

    def commit_overflow(self) -> None:
        """Add the hours signed with resellers to what a cloud can sell."""
        for cloud_id, cloud in self.chain.clouds.items():
            hours = math.fsum(
                self.chain.clouds[r].contracts[cloud_id].hours
                for r in sorted(cloud.spec.overflow)
                if cloud_id in self.chain.clouds[r].contracts and self.chain.clouds[r].alive
            )
            cloud.overflow.hours = hours

    def end_month(self) -> None:
        """Publish shares of hours sold; have clouds note what was asked for."""
        self.publish_shares()
        for cloud in self.chain.clouds.values():
            cloud.demand.observe(cloud.hours_asked)

    def publish_shares(self) -> None:
        """Publish shares of hours sold, by region."""
        totals: dict[str, float] = {}
        for cloud in self.chain.clouds.values():
            totals[cloud.region] = totals.get(cloud.region, 0.0) + cloud.hours_sold
        for cloud_id, cloud in self.chain.clouds.items():
            total = totals[cloud.region]
            self.shares[cloud_id] = cloud.hours_sold / total if total > 0.0 else 0.0

    def update_rent_paid(self, lab: "Lab") -> None:
        """Note the mean price of a lab's hours this month."""
        hours, cost = self.hours_of(lab.agent_id)
        if hours > 0.0:
            lab.rent_paid = cost / hours
