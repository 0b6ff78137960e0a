"""Parameters of a chipmaker: product lines, capacity, prices."""

from agents.parameters import Parameters, param


class ProductSpec(Parameters):
    """One accelerator generation in a chipmaker's line for a region."""

    accelerator: str = param(
        unit="card",
        source="accelerators.toml",
        role="fact",
        doc="name of the accelerator card; the kernel reads its performance from it",
    )
    unit_cost: float = param(
        unit="USD/accelerator",
        source="judgement",
        gt=0,
        doc="wafers, memory, packaging and board of one accelerator before learning",
    )
    packaging: float = param(
        1.0,
        unit="H100-sized packages/accelerator",
        source="judgement",
        gt=0,
        le=16,
        span=(0.5, 4),
        doc="advanced-packaging area of one accelerator: two dies take twice the capacity",
    )
    available_from: int = param(
        0,
        unit="month",
        source="judgement",
        ge=-60,
        le=600,
        role="fact",
        doc="month of first volume shipments, counted from the opening",
    )
    ramp_months: int = param(
        12,
        unit="months",
        source="judgement",
        ge=1,
        le=48,
        span=(6, 18),
        doc="months in which this product replaces its predecessors in the mix",
    )


class LineSpec(Parameters):
    """What a chipmaker sells in one region."""

    products: dict[str, ProductSpec] = param(
        unit="products", source="accelerators.toml", role="fact", doc="generations; they follow each other by date"
    )
    opening_price: float = param(
        unit="USD/accelerator",
        source="accelerators.toml",
        gt=0,
        role="fact",
        doc="price of the generation that leads the mix at the opening",
    )
    backlog_months: float | None = param(
        None,
        unit="months",
        source="opening balance",
        ge=0,
        le=36,
        doc="orders on hand at the opening in months of sales; none: as the chipmaker's",
    )


class ChipmakerSpec(Parameters):
    """Parameters of one chipmaker."""

    name: str = param(unit="text", source="judgement", role="fact", doc="name shown to people")
    region: str = param(unit="region", source="judgement", role="fact", doc="home region: export rules look at it")
    group: str | None = param(None, unit="group", source="judgement", role="fact", doc="integrated group it belongs to")
    lines: dict[str, LineSpec] = param(
        unit="regions", source="accelerators.toml", role="fact", doc="product line by region of sale"
    )
    opening_sales: dict[str, float] = param(
        unit="USD/month",
        source="opening balance",
        role="fact",
        doc="sales by region in the month before the opening",
    )
    backlog_months: float = param(
        9.0,
        unit="months",
        source="opening balance",
        ge=0,
        le=36,
        span=(8, 12),
        doc="orders on hand at the opening in months of capacity",
    )
    inventory_months: float = param(
        0.5,
        unit="months",
        source="judgement",
        ge=0,
        le=24,
        span=(0.2, 2),
        doc="finished units at the opening and the stock aimed at, in months of expected sales",
    )
    substitution: float = param(
        5.0,
        unit="1",
        source="judgement",
        gt=0,
        le=50,
        span=(2, 8),
        doc="sigma: elasticity of substitution between chipmakers once nobody is locked in",
    )
    market_elasticity: float = param(
        0.9,
        unit="1",
        source="judgement",
        ge=0,
        le=5,
        span=(0.5, 1.5),
        doc="eps: price elasticity of all accelerator demand as chipmakers believe it",
    )
    lock_in: float = param(
        0.2,
        unit="1",
        source="judgement",
        ge=0,
        lt=1,
        span=(0, 0.5),
        doc="share of substitution that the software ecosystem takes away at the opening",
    )
    lock_in_decay: float = param(
        0.01,
        unit="1/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.05),
        doc="speed at which lock-in fades as rivals' software matures",
    )
    entrant_cost_ratio: float = param(
        5.0,
        unit="1",
        source="judgement",
        gt=1,
        le=50,
        span=(3, 10),
        doc="unit cost of the next best entrant over own unit cost: the limit price",
    )
    price_speed: float = param(
        0.159,
        unit="1/month",
        source="judgement, calibrated",
        gt=0,
        le=1,
        span=(0.05, 0.5),
        doc="theta: share of the gap to the target price closed in a month",
    )
    scarcity_slope: float = param(
        0.229,
        unit="1",
        source="judgement, calibrated",
        ge=0,
        le=2,
        span=(0, 0.4),
        doc="clearing premium per log of lead time over its rest level",
    )
    scarcity_speed: float = param(
        0.1,
        unit="1/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0.05, 0.3),
        doc="speed at which the scarcity premium moves",
    )
    capacity_growth: float = param(
        0.04,
        unit="1/month",
        source="F-C4: packaging demand 370 to 670 thousand wafers in a year",
        ge=0,
        le=0.3,
        span=(0.02, 0.08),
        doc="growth of capacity that is under construction at the opening",
    )
    rest_lead_time: float = param(
        3.0,
        unit="months",
        source="F-C2",
        gt=0,
        le=24,
        span=(2, 4),
        doc="lead time without scarcity, and mean delay of a delivery: 8-12 weeks",
    )
    construction_months: int = param(
        12, unit="months", source="F-C2", ge=1, le=60, span=(6, 24), doc="tau: from capacity start to output"
    )
    start_speed: float = param(
        0.294,
        unit="1/month",
        source="F-C2 and section 2.2: x5 in a year; judgement inside it, calibrated",
        ge=0,
        le=1,
        span=(0.03, 0.3),
        doc="lambda: share of the capacity gap started in a month",
    )
    supply_line: float = param(
        0.36,
        unit="1",
        source="Sterman 1989; calibrated inside its range",
        ge=0,
        le=1,
        span=(0, 1),
        doc="beta: how far capacity under construction is taken into account",
    )
    supply_growth: float | None = param(
        None,
        unit="1/year",
        source="judgement: none where no supplier is known to bind",
        ge=0,
        le=20,
        span=(0.1, 1.5),
        doc="growth of the wafers, memory and packaging that suppliers allot; capacity does not grow faster",
    )
    capacity_cost: float = param(
        12_000.0,
        unit="USD per accelerator/month",
        source="judgement",
        ge=0,
        span=(4_000, 40_000),
        doc="prepayment and tooling for capacity of one accelerator a month",
    )
    learning: float = param(
        0.20,
        unit="per doubling",
        source="Nagy et al. 2013",
        ge=0,
        lt=0.9,
        span=(0.1, 0.3),
        doc="Wright: unit cost falls by this share as a generation's cumulative output doubles",
    )
    research: float = param(
        0.0, unit="USD/month", source="opening balance", ge=0, role="fact", doc="R&D and staff at the opening"
    )
    research_share: float = param(
        0.05,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0.02, 0.15),
        doc="share of extra revenue that goes to R&D and staff",
    )
    provision_months: float = param(
        4.4,
        unit="months",
        source="judgement, calibrated",
        gt=0,
        le=36,
        span=(2, 9),
        doc="stock beyond this many months of expected sales is written down",
    )
    payout: float = param(
        0.4,
        unit="1",
        source="opening balance (M)",
        ge=0,
        le=1,
        span=(0.2, 0.8),
        doc="share of net profit bought back or paid out",
    )
    cancellation_fee: float = param(
        0.1,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.3),
        doc="share of the order value due on cancellation",
    )
    cash: float = param(0.0, unit="USD", source="opening balance", ge=0, role="fact", doc="cash at the opening")
    circular_share: float = param(
        0.0,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 0.2),
        role="lever",
        doc="share of gross profit put as equity into customers' rounds",
    )
