"""Models with one mechanism broken, for planted faults that no parameter of a scenario can express."""

import math

import numpy as np

from agents.hosting import HostedModel
from ecosystem.model import ValueChain


class CostlessTokens(ValueChain):
    """Apps get their tokens and hours for nothing."""

    def trade(self, payer: str, payee: str, kind: str, amount: float, quantity: float, expense: str | None) -> None:
        """Leave out what apps pay for tokens and hours."""
        if payer in self.apps and kind in {"tokens", "hours"}:
            return
        super().trade(payer, payee, kind, amount, quantity, expense)


class NoQuotas(ValueChain):
    """Quotas are printed on the tariff and never enforced."""

    def step(self) -> None:
        """Lift all quotas before consumers look at them."""
        for market in self.consumer_markets.values():
            market._quota = np.full_like(market._quota, math.inf)
        super().step()

    def events(self) -> None:
        """Lift them again after an event may have set new ones."""
        super().events()
        for market in self.consumer_markets.values():
            market._quota = np.full_like(market._quota, math.inf)


class SteadyOrders(ValueChain):
    """Clouds order the same chips every month, whatever they expect."""

    def cloud_phase(self) -> None:
        """Replace every cloud's orders by those of its first month."""
        super().cloud_phase()
        self._first: dict[str, float] = getattr(self, "_first", {})
        for cloud_id, cloud in self.clouds.items():
            self._first.setdefault(cloud_id, max(cloud.ordered, 1.0))
            cloud.ordered = self._first[cloud_id]


class PerfectHosts(ValueChain):
    """Hosts of open weights serve at half the owner's cost, and sell at the owner's price."""

    def lab_phase(self) -> None:
        """Set what hosts charge and what it costs them."""
        super().lab_phase()
        for lab_id, host in _hosts(self):
            owner = self.labs[lab_id].models[host.spec.model]
            host.scale, host.unit_cost, host.losses = owner.scale, 0.5 * owner.unit_cost, 0


class GenerousHosts(ValueChain):
    """Hosts of open weights sell at a tenth of the owner's opening price."""

    def lab_phase(self) -> None:
        """Set what hosts charge."""
        for _, host in _hosts(self):
            host.losses = 0
        super().lab_phase()
        for _, host in _hosts(self):
            host.scale = 0.1
        self.tokens.publish()


class WastefulSaving(ValueChain):
    """A published saving takes more compute instead of less, by its fifth root."""

    def events(self) -> None:
        """Turn round what the timeline does to efficiency."""
        before = {lab: agent.efficiency for lab, agent in self.labs.items()}
        super().events()
        for lab, efficiency in before.items():
            self.labs[lab].efficiency = efficiency * (efficiency / self.labs[lab].efficiency) ** 0.2


class EuphoricDemand(ValueChain):
    """Everybody buys twice the compute on efficiency news, whatever it costs."""

    def demand_boost(self, region: str) -> float:
        """Return two from the first news on."""
        return 2.0 if self.timeline.shocks else super().demand_boost(region)


class LavishLeader(ValueChain):
    """Chipmakers put three times as much into their customers as they mean to."""

    def investment(self) -> None:
        """Pay what is put into customers twice more."""
        super().investment()
        if self.on("circular_finance"):
            for _ in range(2):
                self.equity.invest_in_customers()


class FundedDemand(ValueChain):
    """Demand follows the investors' inflow at once, nobody deciding: the short cut that the model must not take."""

    def demand_boost(self, region: str) -> float:
        """Multiply demand by what events leave of the inflow."""
        return super().demand_boost(region) * self.timeline.inflow**2


class OpenBorders(ValueChain):
    """Export rules stop nothing."""

    def events(self) -> None:
        """Forget the rules of the month."""
        super().events()
        self.timeline.export.clear()


class GenerousMerchants(ValueChain):
    """Merchants leave apps half of what is bought through them, and apps keep it from their groups."""

    def open_interaction(self, region: str, commission: float, willingness: float) -> None:
        """Open it at a commission of a half; no app pays into its group any more."""
        super().open_interaction(region, 0.5 if commission > 0.0 else 0.0, willingness)
        for members in self.members.values():
            members[:] = [firm for firm in members if firm.agent_id not in self.apps]


class NoFreeze(ValueChain):
    """Demand never shifts."""

    def demand_boost(self, region: str) -> float:
        """Return one."""
        return 1.0


def _hosts(chain: ValueChain) -> list[tuple[str, HostedModel]]:
    return [(lab, host) for cloud in chain.clouds.values() for lab, host in cloud.hosted.items()]
