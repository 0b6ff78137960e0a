"""Parameters of a cloud: fleet, costs, rents, orders, finance."""

from typing import Literal

from agents.hosting import HostingSpec
from agents.parameters import Parameters, param


class CloudSpec(Parameters):
    """Parameters of one cloud."""

    name: str = param(unit="text", source="judgement", role="fact", doc="name shown to people")
    region: str = param(unit="region", source="judgement", role="fact", doc="region it serves and buys chips in")
    kind: Literal["reseller", "integrated"] = param(
        unit="kind",
        source="judgement",
        role="fact",
        doc="reseller (debt) or integrated owner (group cash flow)",
    )
    group: str | None = param(None, unit="group", source="judgement", role="fact", doc="integrated group it belongs to")
    fleet: dict[str, float] = param(
        unit="H100-equivalents by accelerator",
        source="opening balance",
        role="fact",
        doc="fleet at the opening",
    )
    book_value: float = param(
        18_000.0,
        unit="USD/H100-equivalent",
        source="judgement",
        gt=0,
        span=(12_000, 30_000),
        doc="mean depreciated value of the opening fleet, buildings included",
    )
    presold: float = param(
        0.0,
        unit="1",
        source="F-K9: one customer 72 % of revenue",
        ge=0,
        le=1,
        role="fact",
        doc="share of the capacity on order at the opening that its overflow customers have booked",
    )
    chip_purchases: dict[str, float] = param(
        unit="USD/month by chipmaker",
        source="opening balance",
        role="fact",
        doc="chip purchases in the month before the opening: the affinity to each supplier",
    )
    rent: float = param(
        unit="USD/hour",
        source="F-K12",
        gt=0,
        le=100,
        role="fact",
        doc="rent of an H100-equivalent hour at the opening",
    )
    overhead: float = param(
        0.5,
        unit="1",
        source="judgement",
        ge=0,
        le=3,
        span=(0.3, 0.7),
        doc="o: buildings and network per dollar of chips",
    )
    discount_rate: float = param(
        0.10, unit="1/year", source="judgement", ge=0, le=1, span=(0.06, 0.15), doc="r: cost of capital"
    )
    life: int = param(5, unit="years", source="F-K11", ge=2, le=10, span=(3, 6), doc="useful life of an accelerator")
    power_price: float = param(
        0.075,
        unit="USD/kWh",
        source="judgement",
        ge=0,
        le=1,
        span=(0.05, 0.14),
        doc="power all-in, idle hours alike; 0.13 USD per H100-hour at 1.73 kW",
    )
    operating_cost: float = param(
        0.40,
        unit="USD/hour of an H100",
        source="judgement",
        ge=0,
        le=5,
        span=(0.3, 0.7),
        doc="staff, repair, space, idle hours alike: 0.53 USD per hour sold at u*; others by kW",
    )
    target_utilisation: float = param(
        0.75,
        unit="1",
        source="judgement",
        gt=0,
        lt=1,
        span=(0.6, 0.9),
        doc="u*: utilisation at which rent is at rest",
    )
    rent_slope: float = param(
        1.33,
        unit="1",
        source="F-K12; judgement inside it, calibrated",
        ge=0,
        le=5,
        span=(0.2, 1.5),
        doc="eta: monthly log change of rent per unit of utilisation above target",
    )
    rent_speed: float = param(
        0.148,
        unit="1/month",
        source="judgement, calibrated",
        ge=0,
        le=1,
        span=(0.02, 0.3),
        doc="theta: pull of rent towards the target price of the pricing rule",
    )
    substitution: float = param(
        4.0,
        unit="1",
        source="judgement",
        gt=0,
        le=50,
        span=(1.5, 8),
        doc="sigma between clouds: lower where services around the hours bind customers",
    )
    market_elasticity: float = param(
        0.8,
        unit="1",
        source="judgement",
        ge=0,
        le=5,
        span=(0.4, 1.2),
        doc="eps of all demand for hours, as clouds believe it",
    )
    entrant_cost_ratio: float = param(
        3.0,
        unit="1",
        source="judgement",
        gt=1,
        le=50,
        span=(1.5, 6),
        doc="unit cost of the next best entrant over own unit cost: the limit price",
    )
    contract_months: int = param(
        12,
        unit="months",
        source="judgement",
        ge=1,
        le=60,
        span=(6, 36),
        doc="length of a take-or-pay contract",
    )
    full_hurdle: float = param(
        1.3,
        unit="1",
        source="judgement",
        gt=1,
        le=3,
        span=(1.05, 1.5),
        doc="expected rent over user cost at which the whole gap is ordered",
    )
    rent_decline: float = param(
        0.08,
        unit="1/year",
        source="judgement, below the 21 % that F-K12 saw in the year in which a shortage ended",
        ge=0,
        lt=1,
        span=(0, 0.3),
        doc="fall of rent expected over an accelerator's life; from 0.08 on neoclouds' purchases would not pay",
    )
    order_speed: float = param(
        0.1,
        unit="1/month",
        source="judgement, calibrated",
        gt=0,
        le=1,
        span=(0.1, 1),
        doc="share of the fleet gap ordered in a month",
    )
    padding: float = param(
        0.604,
        unit="1",
        source="Lee, Padmanabhan, Whang 1997; judgement inside it, calibrated",
        ge=0,
        le=2,
        span=(0, 1),
        doc="order padding when lead times are long",
    )
    supplier_substitution: float = param(
        4.0,
        unit="1",
        source="judgement",
        ge=0,
        le=20,
        span=(2, 8),
        doc="how fast purchases shift to the cheaper chipmaker",
    )
    finance_share: float = param(
        0.6,
        unit="1",
        source="F-K1",
        ge=0,
        le=2,
        span=(0.4, 1),
        doc="phi: share of group cash flow that may go into accelerators",
    )
    debt: float = param(0.0, unit="USD", source="opening balance", ge=0, role="fact", doc="debt at the opening")
    debt_rate: float = param(0.11, unit="1/year", source="F-K9", ge=0, le=1, span=(0.04, 0.15), doc="interest on debt")
    debt_limit: float = param(
        3.5,
        unit="years of revenue",
        source="judgement",
        ge=0,
        le=20,
        span=(2, 8),
        doc="lenders' limit: debt over annualised revenue",
    )
    amortisation: int = param(
        60,
        unit="months",
        source="judgement",
        ge=1,
        le=240,
        span=(36, 84),
        doc="term over which debt is repaid",
    )
    own_silicon: bool = param(
        False,
        unit="switch",
        source="judgement",
        role="lever",
        doc="whether the cloud may develop its own accelerator",
    )
    own_silicon_cost: float = param(
        0.6,
        unit="1",
        source="judgement",
        gt=0,
        le=1,
        span=(0.4, 0.8),
        doc="kappa: cost of an own accelerator over the market price",
    )
    own_silicon_fixed: float = param(
        0.5e9,
        unit="USD",
        source="judgement",
        ge=0,
        span=(0.2e9, 2e9),
        doc="F: development of an own accelerator",
    )
    own_silicon_delay: int = param(
        24, unit="months", source="judgement", ge=0, le=120, span=(18, 36), doc="development time"
    )
    own_silicon_share: float = param(
        0.5,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0.2, 0.8),
        doc="share of purchases that own silicon can replace",
    )
    hosts: dict[str, HostingSpec] = param(
        {},
        unit="models",
        source="judgement",
        role="lever",
        doc="open-weights models sold by the token, keyed by lab",
    )
    overflow: dict[str, float] = param(
        {},
        unit="USD/month by cloud",
        source="opening balance",
        role="fact",
        doc="hours rented from resellers at the opening to serve own customers",
    )
    staff: float = param(
        0.0,
        unit="USD/month",
        source="judgement",
        ge=0,
        role="fact",
        doc="sales and administration at the opening; grows with the accelerators in the fleet",
    )
    cash: float = param(0.0, unit="USD", source="opening balance", ge=0, role="fact", doc="cash at the opening")
