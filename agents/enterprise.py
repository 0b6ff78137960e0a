"""Enterprise segments: how many tokens they buy, and from whom.

Volume rises with adoption and agent intensity and falls with a quality-adjusted price index; suppliers are
chosen by a nested logit (hosts inside models), and a part of a segment stays where it is each month.
"""

import math
from functools import lru_cache

import numpy as np
from pydantic import model_validator

from agents.base import EconomicAgent
from agents.parameters import Parameters, param
from agents.tastes import Array, bass_step
from agents.world import LargeOrSmall, TokenOffer, World

OfferKey = tuple[str, str, LargeOrSmall]


class EnterpriseSpec(Parameters):
    """Parameters of one enterprise segment."""

    region: str = param(unit="region", source="judgement", role="fact", doc="where its firms are")
    share: float = param(
        1.0,
        unit="1",
        source="judgement",
        gt=0,
        le=1,
        role="fact",
        doc="share of the region's opening API sales that is this segment's",
    )
    input_share: float = param(
        0.45, unit="1", source="judgement", ge=0, le=1, span=(0.3, 0.5), doc="uncached input tokens per token"
    )
    cached_share: float = param(
        0.30, unit="1", source="judgement", ge=0, le=1, span=(0.1, 0.45), doc="cached input tokens per token"
    )
    adoption: float = param(
        0.08,
        unit="1",
        source="judgement",
        gt=0,
        le=1,
        span=(0.03, 0.2),
        doc="share of firms that use API tokens at the opening",
    )
    innovation: float = param(0.002, unit="1/month", source="judgement", ge=0, le=1, span=(0.001, 0.01), doc="Bass p")
    imitation: float = param(0.10, unit="1/month", source="judgement", ge=0, le=2, span=(0.05, 0.2), doc="Bass q")
    intensity: float = param(
        10.0,
        unit="1",
        source="F-E3",
        ge=1,
        le=100,
        span=(5, 30),
        doc="tokens per task with agents over tokens without",
    )
    intensity_speed: float = param(
        0.06,
        unit="1/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0.02, 0.15),
        doc="growth rate of the logistic by which agent work spreads",
    )
    intensity_open: float = param(
        0.05,
        unit="1",
        source="judgement",
        gt=0,
        lt=1,
        span=(0.02, 0.15),
        doc="share of work done by agents at the opening",
    )
    elasticity_short: float = param(
        0.7, unit="1", source="F-P14", ge=0, le=3, span=(0.5, 1.1), doc="price elasticity within the month"
    )
    elasticity_long: float = param(
        1.1,
        unit="1",
        source="F-P14",
        ge=0,
        le=4,
        span=(0.8, 1.5),
        doc="price elasticity after full adjustment",
    )
    adjustment: float = param(
        0.15,
        unit="1/month",
        source="behaviour.md 8",
        gt=0,
        le=1,
        span=(0.05, 0.3),
        doc="speed of the long-run response",
    )
    substitution_models: float = param(
        2.27,
        unit="1",
        source="F-P14; calibrated inside its range",
        gt=0,
        le=20,
        span=(1.2, 4),
        doc="price exponent among models",
    )
    substitution_hosts: float = param(
        5.0, unit="1", source="F-P14", gt=0, le=50, span=(3, 8), doc="price exponent among hosts of one model"
    )
    quality_weight: float = param(
        1.74,
        unit="1/q",
        source="judgement, calibrated",
        ge=0,
        le=20,
        span=(1, 6),
        doc="log attractiveness of a unit of quality",
    )
    closed_premium: float = param(
        4.64,
        unit="1",
        source="F-P15; calibrated inside its range",
        ge=-5,
        le=20,
        span=(2, 7),
        doc="log attractiveness of closed labs' brands over open weights on a host",
    )
    quality_demand: float = param(
        0.5,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0.2, 1),
        doc="share of the quality-adjusted price fall that creates demand",
    )
    inertia: float = param(
        0.38,
        unit="1",
        source="F-P16; calibrated inside its range",
        ge=0,
        lt=1,
        span=(0.2, 0.9),
        doc="share of spending that does not reconsider its supplier in a month; 0.2 to 0.45 where 80 % moves in four "
        "to eight weeks (F-P16, of those who route by the call), more where contracts bind (judgement)",
    )
    satiation: float = param(
        300.0,
        unit="opening volume",
        source="judgement",
        gt=1,
        span=(50, 2000),
        doc="volume at which more tokens bring nothing",
    )
    budget: float = param(
        6.0,
        unit="opening spending",
        source="F-E1, F-E2",
        gt=0,
        le=1000,
        span=(3, 15),
        doc="most that firms will spend on tokens over the opening, before growth",
    )
    budget_growth: float = param(
        0.02, unit="1/month", source="F-E2", ge=-0.1, le=0.2, span=(0.005, 0.04), doc="growth of that budget"
    )
    noise: float = param(
        0.04,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0.01, 0.1),
        doc="standard deviation of monthly overrun shocks",
    )

    @model_validator(mode="after")
    def _leaves_output(self) -> "EnterpriseSpec":
        if self.input_share + self.cached_share > 1.0:
            raise ValueError(
                f"input_share {self.input_share:g} and cached_share {self.cached_share:g} are together more than 1: "
                "what they leave is output"
            )
        return self

    @property
    def mix(self) -> tuple[float, float, float]:
        """Input, cached and output tokens per token."""
        return self.input_share, self.cached_share, 1.0 - self.input_share - self.cached_share


class Enterprise(EconomicAgent):
    """One segment of firms that buy tokens by API."""

    def __init__(self, world: World, segment_id: str, spec: EnterpriseSpec) -> None:
        super().__init__(world, segment_id)
        self.spec = spec
        self.mix = spec.mix
        self._mix = np.array(self.mix)
        self.adoption = spec.adoption
        self.volume = 0.0
        self.opening_volume = 0.0
        self.opening_spending = 0.0
        self.log_price_long = 0.0
        self.overrun = 0.0
        self.brand: dict[OfferKey, float] = {}
        self.closed_brand: dict[str, float] = {}
        self.log_price = 0.0
        self._opening_log_price = 0.0
        self._keys: list[OfferKey] = []
        self._share = np.empty(0)
        self._brands = np.empty(0)
        self._nest = np.empty(0, dtype=np.intp)
        self.see_offers([])

    @property
    def shares(self) -> dict[OfferKey, float]:
        """Share of each offer in the segment's tokens."""
        return dict(zip(self._keys, self._share.tolist(), strict=True))

    def open(self, offers: list[TokenOffer], spending: dict[OfferKey, float]) -> None:
        """Fix brands so that the opening shares of tokens are those that `spending` (USD/month by offer) implies."""
        self.see_offers(offers)
        volumes = np.array([spending.get(key, 0.0) for key in self._keys]) / self._prices
        self.opening_volume = self.volume = math.fsum(volumes.tolist())
        self.opening_spending = math.fsum(spending.values())
        self._share = volumes / self.volume if self.volume > 0.0 else np.zeros(len(offers))
        least = min(self._share[self._share > 0.0].tolist(), default=1.0)
        share = np.where(self._share > 0.0, self._share, 0.02 * least)
        self.brand = dict(zip(self._keys, (np.log(share) - self._attraction()).tolist(), strict=True))
        self.closed_brand = self._closed_brands()
        self._brands = self._brands_of(offers)
        self._opening_log_price = self._index()

    def see_offers(self, offers: list[TokenOffer]) -> None:
        """Note who offers tokens this month: quality, service and what a Mtok of the segment's traffic costs, USD.

        Arrays have an entry for each offer, (n,); shares of those who are gone are lost.
        """
        keys, prices, self._quality, self._service = _terms(tuple(offers))
        self._prices = np.maximum(prices @ self._mix, 1e-4)
        self._log_prices = np.log(self._prices)
        if keys != self._keys:
            before = self.shares
            self._keys = keys
            self._share = np.array([before.get(key, 0.0) for key in keys])
            nests: dict[tuple[str, str], int] = {}
            self._nest = np.array([nests.setdefault((o.lab, o.size), len(nests)) for o in offers], dtype=np.intp)
            self._brands = self._brands_of(offers)

    def _closed_brands(self) -> dict[str, float]:
        """Return the mean brand of the closed labs that sell, by size of model, weighed with their opening tokens."""
        found: dict[str, list[tuple[float, float]]] = {}
        for key, share in self.shares.items():
            if share > 0.0 and not self.world.open_weights(key[1]):
                found.setdefault(key[2], []).append((share, self.brand[key]))
        return {
            size: math.fsum(share * brand for share, brand in each) / math.fsum(share for share, _ in each)
            for size, each in found.items()
        }

    def _brands_of(self, offers: list[TokenOffer]) -> Array:
        """Return the brand of each offer (n,); none has one before the opening.

        A new host of open weights is behind the closed labs by the closed premium, whoever trained the model, but not
        behind the model's owner: it sells the same. A new lab has the least brand there is.
        """
        if not self.brand:
            return np.zeros(len(offers))
        for o in offers:
            if o.key not in self.brand:
                self.brand[o.key] = self._new_brand(o)
        return np.array([self.brand[key] for key in self._keys])

    def _new_brand(self, offer: TokenOffer) -> float:
        owner = self.brand.get((offer.lab, offer.lab, offer.size), min(self.brand.values()))
        if offer.seller != offer.lab and offer.size in self.closed_brand:
            return max(self.closed_brand[offer.size] - self.spec.closed_premium, owner)
        return owner

    def _attraction(self) -> Array:
        """Utility without brand (n,): quality and service against log price."""
        spec = self.spec
        return np.asarray(
            spec.quality_weight * self._quality
            - spec.substitution_models * self._log_prices
            + 2.0 * np.log(np.maximum(self._service, 0.05))
        )

    def choose_suppliers(self, offers: list[TokenOffer]) -> None:
        """Move the part of spending that reconsiders to the nested-logit shares of the offers that exist now."""
        self.see_offers(offers)
        keep = self.spec.inertia
        kept = keep * self._share
        self._share = kept + (1.0 - float(np.add.reduce(kept))) * self.target_shares()

    def target_shares(self) -> Array:
        """Return the shares without inertia (n,): nested logit, hosts of a model inside the model's nest."""
        if not self._keys:
            return np.empty(0)
        spec = self.spec
        scale = min(spec.substitution_models / spec.substitution_hosts, 1.0)
        utility = self._brands + self._attraction()
        inside = np.exp((utility - np.maximum.reduce(utility)) / scale)
        sums = np.bincount(self._nest, inside)
        weights = sums**scale
        return np.asarray((weights / np.add.reduce(weights) / sums)[self._nest] * inside)

    def _index(self) -> float:
        """Return the log quality-adjusted price, share-weighted: doubling identical suppliers does not change it."""
        worth = self.spec.quality_demand * self.spec.quality_weight / self.spec.substitution_models
        return float(self._share @ (self._log_prices - worth * self._quality))

    def plan_volume(self, offers: list[TokenOffer]) -> None:
        """Set the month's volume: adoption, agent intensity, price (short and long run), satiation, budget.

        In an empty market it is zero, and the last price is remembered.
        """
        spec = self.spec
        world = self.world
        if self.opening_volume <= 0.0:
            return
        if world.on("enterprise_adoption"):
            self.adoption = bass_step(self.adoption, spec.innovation, spec.imitation)
        if offers:
            self.log_price = self._index() - self._opening_log_price
        long_run = spec.elasticity_long - spec.elasticity_short if world.on("long_run_demand") else 0.0
        self.log_price_long += spec.adjustment * (self.log_price - self.log_price_long)
        shock = (
            spec.noise * float(world.stream(f"overrun.{self.agent_id}").standard_normal())
            if world.on("demand_shocks")
            else 0.0
        )
        self.overrun = 0.7 * self.overrun + shock
        log_volume = -spec.elasticity_short * self.log_price - long_run * self.log_price_long
        wanted = self.adoption / spec.adoption * self._intensity() * math.exp(log_volume + self.overrun)
        wanted = wanted / (1.0 + wanted / spec.satiation) * (1.0 + 1.0 / spec.satiation)
        volume = wanted * self.opening_volume * world.demand_boost(spec.region) if offers else 0.0
        budget = (
            spec.budget
            * self.opening_spending
            * (1.0 + spec.budget_growth) ** world.month
            * world.demand_boost(spec.region)
        )
        spending = volume * self.mean_price()
        binds = spending > budget and world.on("enterprise_budget")
        self.volume = volume * (budget / spending) if binds else volume

    def _intensity(self) -> float:
        """Return tokens per task over the opening: agents spread along an exact logistic."""
        spec = self.spec
        if not self.world.on("agent_intensity"):
            return 1.0
        odds = spec.intensity_open / (1.0 - spec.intensity_open) * math.exp(spec.intensity_speed * self.world.month)
        now = odds / (1.0 + odds)
        return (1.0 + (spec.intensity - 1.0) * now) / (1.0 + (spec.intensity - 1.0) * spec.intensity_open)

    def mean_price(self) -> float:
        """Return the share-weighted price, USD per Mtok."""
        return float(self._share @ self._prices)

    def purchases(self) -> list[tuple[OfferKey, float, float]]:
        """Return (key of the offer, Mtok, USD) bought this month, of the offers last seen."""
        volumes = self.volume * self._share
        bought = zip(self._keys, volumes.tolist(), (volumes * self._prices).tolist(), strict=True)
        return [purchase for purchase in bought if purchase[1] > 1e-9]

    def suppliers_per_firm(self) -> float:
        """Return the effective number of suppliers, the inverse Herfindahl index of token shares."""
        squares = float(self._share @ self._share)
        return 1.0 / squares if squares > 0.0 else 0.0


@lru_cache(maxsize=8)
def _terms(offers: tuple[TokenOffer, ...]) -> tuple[list[OfferKey], Array, Array, Array]:
    """Return keys, prices by class (n, 3), quality and service (n,) of offers; remembered for a region's segments."""
    terms = np.array([number for o in offers for number in (*o.price, o.quality, o.service)]).reshape(-1, 5)
    return [o.key for o in offers], terms[:, :3], terms[:, 3].copy(), terms[:, 4]
