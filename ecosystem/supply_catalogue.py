"""What apps of a region can be quoted this month, worked out once for all of them; an app brings its own traffic."""

import math
from typing import TYPE_CHECKING

import numpy as np

from agents.world import SUPPLY_MODES, SupplyMode, SupplyQuotes, TokenOffer
from ecosystem.token_costs import NEVER, dot

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

Classes = tuple[float, float, float]
"""Input, cached input and output."""


class SupplyCatalogue:
    """Prices of the labs that sell in a region, and hours a Mtok of the models that apps may host there.

    In the order of (mode, supplier): labs' APIs (off-peak discounts taken off), an own small model, open weights.
    """

    def __init__(self, chain: "ValueChain", region: str, offers: list[tuple[TokenOffer, TokenOffer]]) -> None:
        market = chain.tokens
        self.spot = chain.spot_rent(region)
        self.minimum_hours = chain.minimum_hours
        self.sellers = len(offers)
        self.ways: list[tuple[SupplyMode, str]] = [("api", big.lab) for big, _ in offers]
        columns: list[tuple[Classes, Classes]] = [
            (_less(big.price, chain.off_peak(big.lab)), _less(small.price, chain.off_peak(big.lab)))
            for big, small in offers
        ]
        qualities = [(big.quality, small.quality) for big, small in offers]
        own = market.own_model_lab(region)
        self._own_hours = market.self_hosted(region, own, "small") if own is not None else NEVER
        self._own_quality = market.own_quality()
        if own is not None and max(self._own_hours) < math.inf:
            self.ways.append(("own_model", own))
            columns.append((self._own_hours, self._own_hours))
            qualities.append((self._own_quality, self._own_quality))
        for lab_id, lab in chain.labs.items():
            if lab.open_weights and lab.alive:
                hours = market.self_hosted(region, lab_id, "large"), market.self_hosted(region, lab_id, "small")
                if max(*hours[0], *hours[1]) < math.inf:
                    self.ways.append(("self_host", lab_id))
                    columns.append(hours)
                    qualities.append((lab.models["large"].quality, lab.models["small"].quality))
        self._place = {way: i for i, way in enumerate(self.ways)}
        self._mode = np.array([SUPPLY_MODES.index(mode) for mode, _ in self.ways], dtype=np.intp)
        self._classes = np.ascontiguousarray(np.array(columns, dtype=np.float64).reshape(-1, 2, 3).T)
        self._qualities = np.array(qualities, dtype=np.float64).reshape(-1, 2).T

    def quotes(self, mix: Classes, large: float, scale: float) -> SupplyQuotes:
        """Quote every way to get `scale` times the traffic `mix`, of which the share `large` is the large model's."""
        by_size = mix[0] * self._classes[0] + mix[1] * self._classes[1] + mix[2] * self._classes[2]
        amount = large * by_size[0] + (1.0 - large) * by_size[1]
        quality = large * self._qualities[0] + (1.0 - large) * self._qualities[1]
        if max(self._own_hours) < math.inf:
            amount[self.sellers], quality[self.sellers] = dot(mix, self._own_hours), self._own_quality
        cost = amount * scale
        cost[self.sellers :] = np.maximum(cost[self.sellers :], self.minimum_hours) * self.spot
        return SupplyQuotes(self.ways, self._place, self._mode, cost, quality)


def _less(price: Classes, discount: float) -> Classes:
    """Return a price less what discounts give away of it."""
    return price[0] * (1.0 - discount), price[1] * (1.0 - discount), price[2] * (1.0 - discount)
