"""What apps of a region can be quoted this month, worked out once for all of them; an app brings its own traffic."""

import math
from typing import TYPE_CHECKING

import numpy as np

from agents.world import SUPPLY_MODES, SupplyMode, SupplyQuotes, TokenOffer
from ecosystem.token_costs import NEVER

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
        spot = chain.spot_rent(region)
        self.ways: list[tuple[SupplyMode, str]] = [("api", big.lab) for big, _ in offers]
        modes = [SUPPLY_MODES.index("api")] * len(offers)
        per_mtok: list[tuple[float, ...]] = [
            (*_less(big.price, chain.off_peak(big.lab)), *_less(small.price, chain.off_peak(small.lab)))
            for big, small in offers
        ]
        qualities = [(big.quality, small.quality) for big, small in offers]
        own = market.own_model_lab(region)
        hours = market.self_hosted(region, own, "small") if own is not None else NEVER
        if own is not None and max(hours) < math.inf:
            self.ways.append(("own_model", own))
            modes.append(SUPPLY_MODES.index("own_model"))
            per_mtok.append((*hours, *hours))
            qualities.append((market.own_quality(), market.own_quality()))
        for lab_id, lab in chain.labs.items():
            if lab.open_weights and lab.alive:
                both = (*market.self_hosted(region, lab_id, "large"), *market.self_hosted(region, lab_id, "small"))
                if max(both) < math.inf:
                    self.ways.append(("self_host", lab_id))
                    modes.append(SUPPLY_MODES.index("self_host"))
                    per_mtok.append(both)
                    qualities.append((lab.models["large"].quality, lab.models["small"].quality))
        hosted = len(self.ways) - len(offers)
        self._place = {way: i for i, way in enumerate(self.ways)}
        self._mode = np.array(modes, dtype=np.intp)
        self._per_mtok = np.array(per_mtok).reshape(-1, 6).T.copy()
        self._qualities = np.array(qualities).reshape(-1, 2).T.copy()
        self._qualities[1] -= self._qualities[0]
        self._least = np.array([0.0] * len(offers) + [chain.minimum_hours] * hosted)
        self._rate = np.array([1.0] * len(offers) + [spot] * hosted)

    def quotes(self, mix: Classes, large: float, scale: float) -> SupplyQuotes:
        """Quote every way to get `scale` times the traffic `mix`, of which the share `large` is the large model's.

        A price is paid as it is, hours at the spot rent and at least those of the smallest deployment.
        """
        small = (1.0 - large) * scale
        amount = np.array([large * scale * part for part in mix] + [small * part for part in mix]) @ self._per_mtok
        cost = np.maximum(amount, self._least, out=amount)
        cost *= self._rate
        quality = self._qualities[0] + (1.0 - large) * self._qualities[1]
        return SupplyQuotes(self.ways, self._place, self._mode, cost, quality)


def _less(price: Classes, discount: float) -> Classes:
    """Return a price less what discounts give away of it."""
    return price[0] * (1.0 - discount), price[1] * (1.0 - discount), price[2] * (1.0 - discount)
