"""Other compute demand: parents' own use, direct rental, and buyers of chips for their own premises.

About three quarters of the installed base; without it the compute market would collapse in a few months.
"""

import math

from agents.base import EconomicAgent
from agents.parameters import Parameters, param
from agents.world import World


class ComputeDemandSpec(Parameters):
    """Parameters of a region's other compute demand."""

    growth: float = param(
        0.09,
        unit="1/month",
        source="judgement",
        ge=-0.2,
        le=0.3,
        span=(0.05, 0.1),
        doc="growth at the opening",
    )
    fade: float = param(
        0.97,
        unit="1/month",
        source="judgement",
        gt=0,
        le=1,
        span=(0.95, 0.99),
        doc="how growth fades from month to month",
    )
    elasticity: float = param(
        0.5, unit="1", source="judgement", ge=0, le=3, span=(0.2, 0.9), doc="price elasticity of hours"
    )
    substitution: float = param(
        3.0,
        unit="1",
        source="judgement",
        ge=0,
        le=20,
        span=(1, 6),
        doc="how fast direct rental moves to the cheaper cloud",
    )
    noise: float = param(
        0.02,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.05),
        doc="standard deviation of monthly shocks, persistence 0.8",
    )
    on_premise: dict[str, float] = param(
        {},
        unit="USD/month by chipmaker",
        source="opening balance",
        role="fact",
        doc="chips bought for own premises, sovereigns included",
    )
    on_premise_growth: float = param(
        0.04,
        unit="1/month",
        source="judgement",
        ge=-0.2,
        le=0.3,
        span=(0.01, 0.07),
        doc="growth of on-premise purchases at the opening, fading alike",
    )
    on_premise_elasticity: float = param(
        0.8,
        unit="1",
        source="judgement",
        ge=0,
        le=3,
        span=(0.4, 1.2),
        doc="price elasticity of on-premise purchases",
    )


class ComputeDemand(EconomicAgent):
    """Hours and chips bought in one region for purposes other than the model's labs and apps."""

    def __init__(self, world: World, region: str, spec: ComputeDemandSpec) -> None:
        super().__init__(world, f"compute.{region}")
        self.region = region
        self.spec = spec
        self.own_use: dict[str, float] = {}
        self.direct: dict[str, float] = {}
        self.opening_rent: dict[str, float] = {}
        self.opening_quote = 1.0
        self.opening_chips = 0.0
        self.trend = 1.0
        self.on_premise_trend = 1.0
        self.shock = 0.0
        self.hours: dict[str, tuple[float, float]] = {}
        self.chips_wanted = 0.0

    def open(self, own_use: dict[str, float], direct: dict[str, float], on_premise: float) -> None:
        """Set the opening hours a month by cloud (parents' own use, direct rental) and H100-equivalents on premise."""
        self.own_use, self.direct = own_use, direct
        self.opening_rent = {c: self.world.rent(c) for c in {**own_use, **direct}}
        self.opening_quote = self.world.chip_quote(self.region).price
        self.opening_chips = on_premise
        self.hours = {c: (own_use.get(c, 0.0), direct.get(c, 0.0)) for c in self.opening_rent}

    def plan(self) -> None:
        """Decide hours by cloud and chips for own premises: a fading trend, a price elasticity, a persistent shock."""
        spec = self.spec
        world = self.world
        fade = spec.fade**world.month
        self.trend *= 1.0 + (spec.growth * fade if world.on("other_demand_growth") else 0.0)
        self.on_premise_trend *= 1.0 + (spec.on_premise_growth * fade if world.on("other_demand_growth") else 0.0)
        if world.on("demand_shocks"):
            self.shock = 0.8 * self.shock + spec.noise * float(world.stream(f"{self.agent_id}.shock").standard_normal())
        level = self.trend * math.exp(self.shock) * world.demand_boost(self.region)
        relative = {c: world.rent(c) / rent for c, rent in self.opening_rent.items() if world.is_alive(c)}
        if not relative:
            self.hours = {}
            return
        weights = {
            c: self.direct.get(c, 0.0) * world.size_ratio(c) * relative[c] ** -spec.substitution for c in relative
        }
        base = math.fsum(self.direct.get(c, 0.0) for c in self.direct)
        total = math.fsum(weights.values())
        index = math.fsum(weights[c] * relative[c] for c in relative) / total if total > 0.0 else 1.0
        direct = base * level * index**-spec.elasticity
        self.hours = {
            c: (
                self.own_use.get(c, 0.0) * level * relative[c] ** -spec.elasticity,
                direct * weights[c] / total if total > 0.0 else 0.0,
            )
            for c in relative
        }

    def plan_chips(self) -> None:
        """Decide the H100-equivalents ordered for own premises this month."""
        spec = self.spec
        quote = self.world.chip_quote(self.region)
        price_effect = (quote.price / self.opening_quote) ** -spec.on_premise_elasticity
        boost = self.world.demand_boost(self.region)
        self.chips_wanted = self.opening_chips * self.on_premise_trend * price_effect * boost
