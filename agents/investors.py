"""Investors: finite funds, rounds rationed by rank, sentiment moved by surprises, equity value from expected profit."""

import math
from functools import lru_cache

import numpy as np

from agents.base import EconomicAgent
from agents.bounds import at_most, between
from agents.firm import Firm
from agents.parameters import Parameters, param
from agents.world import World


class InvestorsSpec(Parameters):
    """Parameters of a region's investors."""

    fund: float = param(unit="USD", source="F-I1", ge=0, role="fact", doc="money ready to be invested at the opening")
    inflow: float = param(unit="USD/month", source="F-I1", ge=0, role="lever", doc="new money a month at the opening")
    inflow_growth: float = param(
        0.02, unit="1/month", source="F-I1", ge=-0.1, le=0.1, span=(0, 0.04), doc="growth of the inflow"
    )
    rank_exponent: float = param(
        1.1,
        unit="1",
        source="behaviour.md 10",
        ge=0,
        le=5,
        span=(0.5, 2),
        doc="Pareto exponent on the rank by growth: rounds are top-heavy",
    )
    round_months: float = param(
        18.0,
        unit="months",
        source="behaviour.md 10",
        gt=0,
        le=60,
        span=(12, 24),
        doc="burn that a round pays for",
    )
    raise_below: float = param(
        12.0,
        unit="months",
        source="behaviour.md 10",
        ge=0,
        le=60,
        span=(6, 18),
        doc="runway below which a firm raises",
    )
    caution: float = param(
        0.5,
        unit="1/month",
        source="judgement",
        gt=0,
        le=1,
        span=(0.1, 1),
        doc="share of the fund that may go out in a month",
    )
    reaction_downstream: float = param(
        0.4,
        unit="1",
        source="judgement",
        ge=0,
        le=5,
        span=(0, 1.5),
        doc="b1: sentiment on surprises in final demand",
    )
    reaction_upstream: float = param(
        0.2,
        unit="1",
        source="judgement",
        ge=0,
        le=5,
        span=(0, 1),
        doc="b2: sentiment on surprises in chip orders",
    )
    reversion: float = param(
        0.08,
        unit="1/month",
        source="behaviour.md 10",
        ge=0,
        le=1,
        span=(0.03, 0.2),
        doc="pull of sentiment back to one",
    )
    discount_rate: float = param(
        0.12,
        unit="1/year",
        source="judgement",
        gt=0,
        le=1,
        span=(0.08, 0.2),
        doc="rate at which expected profit is discounted",
    )
    growth_fade: float = param(
        0.95,
        unit="1/month",
        source="judgement",
        gt=0,
        lt=1,
        span=(0.92, 0.98),
        doc="how expected growth fades",
    )
    believed_elasticity: float = param(
        0.85,
        unit="1",
        source="judgement",
        ge=0,
        le=2,
        span=(0.4, 1.3),
        doc="elasticity of compute demand to its cost as the market believes it on the news",
    )
    affected_share: float = param(
        0.5,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0.2, 0.9),
        doc="share of compute demand that efficiency news is thought to touch",
    )
    credence: float = param(
        0.5,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0.2, 1),
        doc="how far the market believes the size of the announced saving",
    )


class Investors(EconomicAgent):
    """The equity investors of one region: one finite fund."""

    def __init__(self, world: World, region: str, spec: InvestorsSpec) -> None:
        super().__init__(world, f"investors.{region}")
        self.region = region
        self.spec = spec
        self.invested = 0.0

    def take_in(self) -> None:
        """Receive new money from savers."""
        inflow = self.spec.inflow * (1.0 + self.spec.inflow_growth) ** self.world.month
        amount = inflow * self.world.inflow_factor() * self.world.sentiment
        self.world.ledger.pay("savers", self.agent_id, "fund_inflow", amount)

    def fund_rounds(self, candidates: list[Firm]) -> None:
        """Fund firms whose runway is short, best growth first, as far as the fund goes."""
        spec = self.spec
        asking = []
        for firm in candidates:
            cash, burn = self.world.funds_behind(firm)
            if burn > 0.0 and cash < at_most(spec.raise_below, spec.round_months) * burn:
                asking.append((firm, spec.round_months * burn - cash))
        self.invested = 0.0
        if not asking or not self.world.on("funding"):
            return
        ranked = sorted(asking, key=lambda pair: (-self.world.growth(pair[0].agent_id), pair[0].agent_id))
        weights = [(rank + 1) ** -spec.rank_exponent * amount for rank, (_, amount) in enumerate(ranked)]
        available = spec.caution * self.world.ledger.cash(self.agent_id)
        scale = available / math.fsum(weights)
        for (firm, amount), weight in zip(ranked, weights, strict=True):
            paid = min(amount, weight * scale, self.world.ledger.cash(self.agent_id))
            if paid > 0.0:
                self.world.ledger.pay(self.agent_id, firm.agent_id, "equity", paid)
                firm.equity_raised += paid
                self.invested += paid


def sentiment_step(sentiment: float, downstream: float, upstream: float, spec: InvestorsSpec) -> float:
    """Return next month's sentiment: surprises move it, levels do not; kept in [0.3, 2]."""
    bounded = [between(surprise, -0.3, 0.3) for surprise in (downstream, upstream)]
    moved = sentiment + spec.reaction_downstream * bounded[0] + spec.reaction_upstream * bounded[1]
    return between(moved - spec.reversion * (sentiment - 1.0), 0.3, 2.0)


def annuity(growth: float, growth_fade: float, discount_rate: float) -> float:
    """Return the present value of one dollar a month that grows at a fading monthly rate, months.

    Exact at full tenths of a per cent of growth, linear in between (within 0.05 %).
    """
    place = 1000.0 * growth
    below = math.floor(place)
    worth, step = _annuity(below, growth_fade, discount_rate)
    return worth + (place - below) * step


@lru_cache(maxsize=4096)
def _annuity(below: int, growth_fade: float, discount_rate: float) -> tuple[float, float]:
    """Return the annuity at `below` tenths of a per cent of growth, and by how much more it is at the next one."""
    worth, above = (_exact_annuity(tenths / 1000.0, growth_fade, discount_rate) for tenths in (below, below + 1))
    return worth, above - worth


@lru_cache(maxsize=4096)
def _exact_annuity(growth: float, growth_fade: float, discount_rate: float, months: int = 240) -> float:
    discount = math.exp(-math.log1p(discount_rate) / 12.0)
    ahead = np.arange(1.0, months + 1.0)
    worth = np.cumprod((1.0 + growth * growth_fade**ahead) * discount)
    return float(worth.sum() + worth[-1] / max(1.0 / discount - 1.0, 1e-6))


def efficiency_news(tier: str, saving: float, ai_share: float, growth: float, spec: InvestorsSpec) -> float:
    """Return the factor on equity value when news says that compute per token falls `saving`-fold.

    The market expects compute demand to change by saving^(eps - 1) on the part it thinks affected. Clouds
    earn on the stock of hours; chipmakers on its growth and replacement, so the same fall of the wanted
    stock takes many months of orders (the accelerator). Labs and apps buy compute: their costs fall. Only
    the part of a firm's value that AI makes up (`ai_share`) is touched.
    """
    believed = 1.0 + (saving - 1.0) * spec.credence
    response = math.exp((spec.believed_elasticity - 1.0) * math.log(believed))
    stock = 1.0 - spec.affected_share * (1.0 - response)
    if tier == "chips":
        flow = max(growth, 0.0) + 1.0 / 60.0
        months = 24.0
        during = max(1.0 - (1.0 - stock) / (months * flow), 0.0)
        weight = -math.expm1(-math.log1p(spec.discount_rate) * months / 12.0)
        factor = weight * during + (1.0 - weight) * stock
    elif tier == "clouds":
        factor = stock
    else:
        factor = 2.0 - stock
    return 1.0 + ai_share * (factor - 1.0)
