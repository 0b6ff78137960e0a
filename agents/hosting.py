"""Third-party hosting: a cloud sells the tokens of somebody else's open-weights model."""

from typing import TYPE_CHECKING

from agents.parameters import Parameters, param
from agents.pricing import adjusted_price, own_elasticity, target_price
from agents.world import LargeOrSmall, World

if TYPE_CHECKING:
    from agents.cloud import Cloud


class HostingSpec(Parameters):
    """How a cloud hosts one lab's open-weights model."""

    model: LargeOrSmall = param(
        "large", unit="size", source="judgement", role="fact", doc="which of the lab's sizes is hosted"
    )
    from_month: int = param(
        0, unit="month", source="judgement", ge=-60, le=600, role="fact", doc="month from which it is offered"
    )
    price: float = param(
        1.0,
        unit="owner's opening list price",
        source="F-P18",
        gt=0,
        le=20,
        span=(0.5, 3),
        doc="opening price relative to the owner's list",
    )
    inefficiency: float = param(
        5.0,
        unit="1",
        source="S2-11, F-P18",
        ge=1,
        le=64,
        span=(1, 32),
        doc="accelerator-hours a token over the owner's, at first",
    )
    diffusion: float = param(
        0.15,
        unit="1/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.5),
        doc="speed at which the gap to the owner's efficiency closes (log)",
    )
    provisioning: float = param(
        2.0,
        unit="1",
        source="F-P18",
        ge=1,
        le=10,
        span=(1, 5),
        doc="capacity held for a stable service over the mean load",
    )
    substitution: float = param(
        5.0, unit="1", source="F-P14", gt=0, le=50, span=(3, 8), doc="sigma among hosts of one model"
    )
    market_elasticity: float = param(
        1.0, unit="1", source="F-P14", ge=0, le=5, span=(0.5, 1.5), doc="eps of demand for the model"
    )
    entrant_cost_ratio: float = param(
        5.0,
        unit="1",
        source="judgement",
        gt=1,
        le=100,
        span=(2, 10),
        doc="unit cost of the next best host over own: the limit price",
    )
    price_speed: float = param(0.3, unit="1/month", source="judgement", gt=0, le=1, span=(0.05, 0.5), doc="theta")
    patience: int = param(
        3,
        unit="months",
        source="F-P18",
        ge=1,
        le=60,
        span=(1, 6),
        doc="months of loss after which the host gives up",
    )


class HostedModel:
    """One model at one host: price scale, efficiency, volume, result."""

    __slots__ = (
        "active",
        "cloud",
        "hours",
        "inefficiency",
        "lab",
        "losses",
        "needed",
        "next_scale",
        "revenue",
        "scale",
        "served",
        "share",
        "spec",
        "unit_cost",
        "volume",
        "world",
    )

    def __init__(self, world: World, cloud: "Cloud", lab: str, spec: HostingSpec) -> None:
        self.world = world
        self.cloud = cloud
        self.lab = lab
        self.spec = spec
        self.scale = self.next_scale = spec.price
        self.inefficiency = spec.inefficiency
        self.active = False
        self.losses = 0
        self.share = 0.0
        self.served = 1.0
        self.volume = 0.0
        self.revenue = 0.0
        self.needed = 0.0
        self.hours = 0.0
        self.unit_cost = 0.0

    def reconsider(self) -> None:
        """Offer the model from its month on while its weights are open; give up after some months of loss."""
        spec = self.spec
        was_active = self.active
        self.active = (
            self.world.open_weights(self.lab) and self.world.month >= spec.from_month and self.losses < spec.patience
        )
        if self.active and was_active and self.world.on("host_diffusion"):
            self.inefficiency = self.inefficiency ** (1.0 - spec.diffusion)

    def plan_price(self, list_price: float, owner_hours: float) -> None:
        """Set next price on own unit cost.

        `list_price`: the owner's opening list price, USD per Mtok of enterprise traffic. `owner_hours`:
        H100-equivalent hours a Mtok that the owner needs on this cloud's fleet.
        """
        spec = self.spec
        self.unit_cost = owner_hours * self.inefficiency * spec.provisioning * self.cloud.rent
        elasticity = own_elasticity(self.share, spec.substitution, spec.market_elasticity)
        target = target_price(self.unit_cost, elasticity, spec.entrant_cost_ratio)
        self.next_scale = adjusted_price(self.scale, target / list_price, 0.0, spec.price_speed, 0.0)

    def commit(self) -> None:
        """Publish the price."""
        self.scale = self.next_scale

    def record(self, volume: float, revenue: float, cost: float) -> None:
        """Take note of the month's sales and count months of loss."""
        self.volume, self.revenue = volume, revenue
        self.losses = self.losses + 1 if revenue < cost else 0
