"""What apps of a region can be quoted this month, worked out once for all of them; an app brings its own traffic."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.world import LargeOrSmall, SupplyMode, SupplyQuotes, TokenOffer
from ecosystem.token_costs import dot

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

Floats = NDArray[np.float64]
Mix = tuple[float, float, float]


class SupplyCatalogue:
    """List prices of the labs that sell in a region, and hours a Mtok of the models that apps may host there."""

    def __init__(self, chain: "ValueChain", region: str, offers: list[tuple[TokenOffer, TokenOffer]]) -> None:
        market = chain.tokens
        self.spot = chain.spot_rent(region)
        self.minimum_hours = chain.minimum_hours
        sizes: tuple[LargeOrSmall, LargeOrSmall] = ("large", "small")
        self._prices = [_columns([pair[i].price for pair in offers]) for i in range(2)]
        hosted = {
            lab_id: [market.self_hosted(region, lab_id, size) for size in sizes]
            for lab_id, lab in chain.labs.items()
            if lab.open_weights and lab.alive
        }
        hosted = {lab: hours for lab, hours in hosted.items() if np.isfinite(hours).all()}
        self._hours = [_columns([hours[i] for hours in hosted.values()]) for i in range(2)]
        models = [chain.labs[lab].models for lab in hosted]
        self._quality = [
            np.array([*(pair[i].quality for pair in offers), *(model[size].quality for model in models)])
            for i, size in enumerate(sizes)
        ]
        self.ways: list[tuple[SupplyMode, str]] = [("api", big.lab) for big, _ in offers]
        self.ways += [("self_host", lab) for lab in hosted]
        self._own = market.own_model_lab(region)
        if self._own is not None:
            self.ways.append(("own_model", self._own))
            self._own_hours = market.self_hosted(region, self._own, "small")
            self._own_quality = market.own_model_quality()

    def quotes(self, mix: Mix, large: float, scale: float) -> SupplyQuotes:
        """Quote every way to get `scale` times the traffic `mix`, of which the share `large` is the large model's."""
        prices = large * _blend(mix, self._prices[0]) + (1.0 - large) * _blend(mix, self._prices[1])
        hours = large * _blend(mix, self._hours[0]) + (1.0 - large) * _blend(mix, self._hours[1])
        costs = [prices * scale, np.maximum(hours * scale, self.minimum_hours) * self.spot]
        qualities = [large * self._quality[0] + (1.0 - large) * self._quality[1]]
        if self._own is not None:
            cost = max(dot(mix, self._own_hours) * scale, self.minimum_hours) * self.spot
            costs.append(np.array([cost]))
            qualities.append(np.array([self._own_quality]))
        return SupplyQuotes(self.ways, np.concatenate(costs), np.concatenate(qualities))


def _columns(rows: list[tuple[float, float, float]]) -> Floats:
    """Return (3, n): input, cached and output of n models."""
    return np.ascontiguousarray(np.array(rows, dtype=np.float64).reshape(-1, 3).T)


def _blend(mix: Mix, classes: Floats) -> Floats:
    """Return (n,): what a traffic `mix` comes to at amounts by class of token (3, n)."""
    return np.asarray(mix[0] * classes[0] + mix[1] * classes[1] + mix[2] * classes[2])
