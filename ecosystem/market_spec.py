"""Groups of firms, and the numbers that hold for everybody."""

from agents.parameters import Parameters, param


class GroupSpec(Parameters):
    """Firms under one owner. With `cash_flow` the owner has other profit pools and funds them."""

    name: str = param(unit="text", source="judgement", role="fact", doc="name shown to people")
    cash_flow: float = param(
        0.0,
        unit="USD/month",
        source="F-K1",
        ge=0,
        role="fact",
        doc="operating cash flow of the owner's other business that could go into AI",
    )
    growth: float = param(
        0.01,
        unit="1/month",
        source="judgement",
        ge=-0.1,
        le=0.1,
        span=(0, 0.02),
        doc="growth of that cash flow",
    )
    head: str | None = param(
        None,
        unit="firm",
        source="judgement",
        role="fact",
        doc="firm that raises money for an independent group",
    )
    token_transfer: float = param(
        0.0,
        unit="1",
        source="judgement",
        ge=0,
        le=1,
        span=(0, 1),
        doc="transfer price of tokens inside the group: 0 is cost, 1 is the list price",
    )


class MarketSpec(Parameters):
    """Numbers that hold for everybody."""

    tax_rate: float = param(
        0.16,
        unit="1",
        source="opening balance (M)",
        ge=0,
        le=1,
        span=(0.1, 0.25),
        doc="tax on operating profit after interest",
    )
    opening_growth: float = param(
        0.08,
        unit="1/month",
        source="judgement",
        ge=-0.1,
        le=0.3,
        span=(0.05, 0.1),
        doc="growth that firms expect at the opening",
    )
    expected_utilisation: float = param(
        0.78,
        unit="1",
        source="opening balance",
        gt=0,
        lt=1,
        span=(0.6, 0.9),
        doc="utilisation of clouds at the opening; other compute demand is solved from it",
    )
    direct_share: dict[str, float] = param(
        {},
        unit="1 by cloud",
        source="opening balance",
        role="fact",
        doc="share of other compute demand at a cloud that others than its own group rent",
    )
    latency_ms: float = param(
        50.0,
        unit="ms/token",
        source="kernel.md",
        gt=0,
        le=1000,
        span=(20, 100),
        doc="time per output token promised to users",
    )
    prompt_tokens: float = param(
        2000.0,
        unit="tokens",
        source="judgement",
        gt=0,
        le=1e6,
        span=(500, 8000),
        doc="prompt length that serving layouts are solved for",
    )
    answer_tokens: float = param(
        500.0,
        unit="tokens",
        source="judgement",
        gt=0,
        le=1e5,
        span=(200, 2000),
        doc="answer length that serving layouts are solved for",
    )
    reasoning_growth: float = param(
        0.12,
        unit="1/month",
        source="F-P10, F-P12 bound it; judgement",
        ge=0,
        le=0.5,
        span=(0.04, 0.15),
        doc="growth of tokens per query at the opening: reasoning, longer context, agents",
    )
    reasoning_fade: float = param(
        0.975, unit="1/month", source="judgement", gt=0, le=1, span=(0.93, 0.985), doc="how that growth fades"
    )
    taste_noise: float = param(
        0.03,
        unit="share of WTP",
        source="judgement",
        ge=0,
        le=0.5,
        span=(0.01, 0.08),
        doc="standard deviation of monthly brand shocks, persistence 0.9",
    )
    entry_rate: float = param(
        0.05,
        unit="apps/month",
        source="judgement",
        ge=0,
        le=5,
        span=(0, 0.3),
        doc="Poisson rate at which one of the scenario's entrants starts, times sentiment",
    )
    entry_capital: float = param(
        2e6, unit="USD", source="judgement", ge=0, span=(0.5e6, 10e6), doc="money an entering app starts with"
    )
    sale_value: float = param(
        0.4,
        unit="book value",
        source="behaviour.md 10",
        ge=0,
        le=1,
        span=(0.2, 0.7),
        doc="what a failed firm's assets bring",
    )
    default_months: int = param(
        2,
        unit="months",
        source="behaviour.md 10",
        ge=1,
        le=24,
        span=(1, 6),
        doc="months of arrears without a round after which a firm fails",
    )
    experiment_size: float = param(
        0.03,
        unit="1",
        source="judgement",
        ge=0,
        le=0.5,
        span=(0.01, 0.1),
        doc="size of apps' small experiments",
    )
