"""Parameters of a model lab: models, prices, compute, training, policy."""

from typing import Literal

from agents.parameters import Parameters, param
from agents.world import LargeOrSmall


class LabModelSpec(Parameters):
    """One of a lab's two model sizes."""

    card: str = param(
        unit="card", source="models.toml", role="fact", doc="model card; the kernel reads the cost from it"
    )
    quality: float = param(
        unit="frontier of January 2025",
        source="judgement",
        ge=0,
        le=10,
        span=(0.3, 1.1),
        doc="q: capability, 1 is the frontier at the opening",
    )
    price_input: float = param(
        unit="USD/Mtok",
        source="api_prices.csv",
        ge=0,
        le=1000,
        role="lever",
        doc="list price of input tokens",
    )
    price_cached: float = param(
        unit="USD/Mtok",
        source="api_prices.csv",
        ge=0,
        le=1000,
        role="lever",
        doc="list price of cached input tokens",
    )
    price_output: float = param(
        unit="USD/Mtok",
        source="api_prices.csv",
        ge=0,
        le=1000,
        role="lever",
        doc="list price of output tokens",
    )


class LabSpec(Parameters):
    """Parameters of one model lab."""

    name: str = param(unit="text", source="judgement", role="fact", doc="name shown to people")
    region: str = param(unit="region", source="judgement", role="fact", doc="region where it rents hours")
    sells_in: list[str] = param(unit="regions", source="judgement", role="fact", doc="regions where its API is sold")
    group: str | None = param(None, unit="group", source="judgement", role="fact", doc="integrated group it belongs to")
    models: dict[LargeOrSmall, LabModelSpec] = param(
        unit="sizes", source="models.toml", role="fact", doc="the large and the small model"
    )
    weights: Literal["open", "closed"] = param(
        "closed", unit="policy", source="models.toml", role="lever", doc="whether weights are published"
    )
    enterprise_revenue: dict[str, float] = param(
        {},
        unit="USD/month by region",
        source="opening balance",
        role="fact",
        doc="API sales to enterprises at the opening; fixes the brand in each region",
    )
    large_revenue: float = param(
        0.65,
        unit="1",
        source="judgement",
        gt=0,
        lt=1,
        span=(0.4, 0.85),
        doc="share of enterprise sales at the opening that the large model brings",
    )
    inference_spend: float = param(
        unit="USD/month",
        source="opening balance",
        gt=0,
        role="fact",
        doc="hours bought for serving at the opening; fixes tokens per user, with the efficiency",
    )
    training_spend: float = param(
        unit="USD/month",
        source="opening balance",
        ge=0,
        role="fact",
        doc="hours bought for training at the opening, research runs included",
    )
    clouds: dict[str, float] = param(
        unit="share by cloud", source="judgement", role="fact", doc="where it rents at the opening"
    )
    deployment: Literal["naive", "tuned", "wide"] = param(
        "tuned", unit="tier", source="kernel.md 13", role="lever", doc="layout tier of its serving"
    )
    residual: float = param(
        0.6,
        unit="1",
        source="kernel.md 13",
        ge=0.01,
        le=1.1,
        span=(0.25, 1.1),
        doc="serving throughput over the kernel's, software age and tuning",
    )
    provisioning: float = param(
        1.0, unit="1", source="F-P18", ge=1, le=10, span=(1, 5), doc="capacity held beyond the daily peak"
    )
    substitution: float = param(2.0, unit="1", source="F-P14", gt=0, le=50, span=(1.2, 4), doc="sigma among models")
    market_elasticity: float = param(
        1.0,
        unit="1",
        source="F-P14",
        ge=0,
        le=5,
        span=(0.5, 1.5),
        doc="eps: elasticity of all token demand as labs believe it",
    )
    entrant_cost_ratio: float = param(
        8.0,
        unit="1",
        source="F-P18",
        gt=1,
        le=100,
        span=(3, 32),
        doc="unit cost of the next best entrant (a third-party host) over own: the limit price",
    )
    price_speed: float = param(0.2, unit="1/month", source="judgement", gt=0, le=1, span=(0.05, 0.5), doc="theta")
    price_point: bool = param(
        False,
        unit="switch",
        source="F-P5",
        role="lever",
        doc="hold the nominal price of the large model and compete in quality",
    )
    training_growth: float = param(
        0.096,
        unit="1/month",
        source="F-L7: compute of the leading lab x3 a year",
        ge=-0.1,
        le=0.3,
        span=(0.02, 0.1),
        doc="growth of planned training at the opening, while the runway allows",
    )
    training_fade: float = param(
        0.95, unit="1/month", source="judgement", gt=0, le=1, span=(0.92, 0.98), doc="how that growth fades"
    )
    training_share: float = param(
        1.0,
        unit="1",
        source="F-L2",
        ge=0,
        le=10,
        span=(0.3, 2),
        doc="rho_R: training budget per dollar of revenue growth over the opening",
    )
    training_cash: float = param(
        0.3,
        unit="1",
        source="F-L2",
        ge=0,
        le=1,
        span=(0.1, 0.6),
        doc="rho_F: share of cash spent on training over the horizon",
    )
    training_horizon: int = param(
        18, unit="months", source="judgement", ge=1, le=120, span=(12, 30), doc="horizon of the cash rule"
    )
    runway_floor: float = param(
        9.0,
        unit="months",
        source="judgement",
        ge=0,
        le=60,
        span=(4, 14),
        doc="runway below which training is cut in proportion",
    )
    final_run_share: float = param(
        0.08,
        unit="1",
        source="S0-5",
        gt=0,
        le=1,
        span=(0.02, 0.3),
        doc="share of all training and research compute that final runs take",
    )
    spillover: float = param(
        0.12,
        unit="1/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.3),
        doc="share of the gap to the frontier closed by what others publish",
    )
    release_months: int = param(
        5, unit="months", source="F-P16", ge=1, le=36, span=(3, 9), doc="mean time between releases"
    )
    ecosystem_gain: float = param(
        0.0,
        unit="USD/month",
        source="judgement",
        ge=0,
        span=(0, 50e6),
        doc="what publishing weights brings in talent, ecosystem, own cloud or ads",
    )
    war_share_loss: float = param(
        0.4,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0.1, 0.5),
        doc="loss, over six months, of the share of its region's API sales, in money, that starts a price war "
        "(F-E1: a leader lost a third without one)",
    )
    war_undercut: float = param(
        0.5,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0.3, 0.8),
        doc="how far a comparable rival at war must undercut a lab of its region to be answered by a price war",
    )
    off_peak_discount: float = param(
        0.0,
        unit="1",
        source="api_prices.csv",
        ge=0,
        lt=1,
        role="lever",
        doc="discount in the low hours of the day",
    )
    off_peak_share: float = param(
        0.17,
        unit="1",
        source="kernel.md golden numbers",
        ge=0,
        le=1,
        span=(0.1, 0.35),
        doc="share of volume in the discount window",
    )
    revenue_share: float = param(
        0.0,
        unit="1",
        source="F-L4",
        ge=0,
        le=0.5,
        span=(0, 0.2),
        doc="share of revenue paid to the cloud partner",
    )
    partner: str | None = param(
        None, unit="cloud", source="F-L4", role="fact", doc="cloud partner who gets the revenue share"
    )
    staff: float = param(
        unit="USD/month",
        source="opening balance",
        ge=0,
        role="fact",
        doc="staff and other at the opening; half research, half administration",
    )
    boxes: float = param(
        0.0,
        unit="boxes/month",
        source="S2-16",
        ge=0,
        role="lever",
        doc="on-premise boxes sold a month at the opening",
    )
    box_price: float = param(
        150_000.0,
        unit="USD/box",
        source="judgement",
        gt=0,
        span=(60_000, 400_000),
        doc="price of an on-premise box of eight accelerators",
    )
    box_accelerators: int = param(
        8, unit="accelerators", source="judgement", ge=1, le=72, role="fact", doc="accelerators in a box"
    )
    cash: float = param(0.0, unit="USD", source="opening balance", ge=0, role="fact", doc="cash at the opening")
