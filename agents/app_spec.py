"""Parameters of an app: tiers, supply, ways of earning, tokens per query."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from agents.monetisation import WAYS
from agents.parameters import Parameters, param
from agents.world import LargeOrSmall


class TierSpec(Parameters):
    """One tier of an app."""

    price: float = param(
        0.0, unit="USD/month", source="S2-17", ge=0, le=10_000, role="lever", doc="fee; 0 is the free tier"
    )
    quota: float | None = param(
        None,
        unit="queries/month",
        source="F-A3",
        gt=0,
        role="lever",
        doc="queries included; absent means no limit",
    )
    overage: Literal["blocked", "throttled", "metered"] = param(
        "blocked", unit="policy", source="F-A3", role="lever", doc="what happens beyond the quota"
    )
    overage_price: float = param(
        0.0,
        unit="USD/query",
        source="judgement",
        ge=0,
        le=100,
        role="lever",
        doc="price of a query beyond a metered quota",
    )
    model: LargeOrSmall = param(
        "small",
        unit="size",
        source="kernel.md 12",
        role="lever",
        doc="model size that serves this tier: free traffic on the small one",
    )
    tokens: float = param(
        1.0,
        unit="1",
        source="judgement",
        gt=0,
        le=100,
        span=(0.5, 5),
        doc="tokens per query relative to the app's",
    )


class SupplySpec(Parameters):
    """Where an app's tokens come from at the opening."""

    lab: str = param(unit="lab", source="judgement", role="fact", doc="lab whose model serves the app")
    mode: Literal["api", "own", "self_host"] = param(
        "api",
        unit="mode",
        source="judgement",
        role="fact",
        doc="bought by API, from the own group's lab, or self-hosted open weights",
    )


class AppSpec(Parameters):
    """Parameters of one app."""

    name: str = param(unit="text", source="judgement", role="fact", doc="name shown to people")
    region: str = param(unit="region", source="judgement", role="fact", doc="region of its users")
    group: str | None = param(None, unit="group", source="judgement", role="fact", doc="integrated group it belongs to")
    category: Literal["chat", "search", "code", "image"] = param(
        "chat", unit="category", source="judgement", role="fact", doc="what it is used for"
    )
    users: float = param(
        0.0,
        unit="people",
        source="opening balance",
        ge=0,
        role="fact",
        doc="monthly users at the opening; fixes the brand",
    )
    payers: float = param(
        0.0, unit="people", source="opening balance", ge=0, role="fact", doc="paying users at the opening"
    )
    paid_extras: float = param(
        0.0,
        unit="share of WTP",
        source="fit to opening payers by `watersellers scenarios check`",
        ge=-5,
        le=5,
        role="fact",
        doc="worth of paid tiers beyond answers and quota, that of the mean app being in the WTP level",
    )
    active_from: int = param(
        0,
        unit="month",
        source="judgement",
        ge=0,
        le=600,
        role="fact",
        doc="month of entry; the opening for those already there",
    )
    supply: SupplySpec = param(unit="supplier", source="judgement", role="fact", doc="first supplier of tokens")
    tiers: dict[str, TierSpec] = param(unit="tiers", source="S2-17", role="lever", doc="tiers offered to consumers")
    earning: dict[str, Any] = param(
        {},
        unit="ways",
        source="S2-13 to S2-24",
        role="lever",
        doc="terms by way of earning: subscription, ads, api, commission",
    )
    input_tokens: float = param(
        1500.0,
        unit="tokens/query",
        source="judgement",
        ge=0,
        le=1e6,
        span=(500, 6000),
        doc="input tokens of a query, history and documents included",
    )
    cached_share: float = param(
        0.4,
        unit="1",
        source="S0 (56.3 % at DeepSeek)",
        ge=0,
        le=1,
        span=(0.2, 0.6),
        doc="share of input tokens read from cache",
    )
    output_tokens: float = param(
        400.0,
        unit="tokens/query",
        source="judgement",
        gt=0,
        le=1e6,
        span=(150, 1500),
        doc="output tokens of a query, reasoning included",
    )
    eligible: float = param(
        0.2,
        unit="1",
        source="behaviour.md 9",
        ge=0,
        le=1,
        span=(0.1, 0.4),
        doc="share of queries with commercial intent",
    )
    search_calls: float = param(
        0.0,
        unit="calls/query",
        source="judgement",
        ge=0,
        le=20,
        role="fact",
        doc="web-search calls per query",
    )
    search_supplier: str | None = param(
        None, unit="app", source="S2-25", role="fact", doc="app whose search API it buys; absent: own index"
    )
    index_cost: float = param(
        1.0e6,
        unit="USD/month",
        source="judgement",
        ge=0,
        span=(0.3e6, 5e6),
        doc="fixed cost of an own web index",
    )
    marketing: float = param(
        0.0,
        unit="USD/month",
        source="opening balance",
        ge=0,
        role="lever",
        doc="paid acquisition at the opening",
    )
    acquisition_cost: float = param(
        15.0,
        unit="USD/user",
        source="judgement",
        gt=0,
        span=(1, 100),
        doc="CAC: cost of a user bought, at the opening's spending",
    )
    bundled: float = param(
        0.0,
        unit="people/month",
        source="judgement",
        ge=0,
        role="lever",
        doc="users pushed by a parent's product",
    )
    staff: float = param(
        0.0, unit="USD/month", source="opening balance", ge=0, role="fact", doc="staff and other fixed cost"
    )
    gated: float = param(
        1.0,
        unit="1",
        source="S2-29",
        gt=0,
        le=1,
        role="lever",
        doc="share of users to whom the app is open at the start; it opens on while the unit margin is not negative",
    )
    make_or_buy: bool = param(
        True, unit="switch", source="S2-25", role="lever", doc="whether the app compares suppliers"
    )
    adaptive_price: bool = param(
        False,
        unit="switch",
        source="judgement",
        role="lever",
        doc="whether the app adjusts fees by what it learns",
    )
    reconsiders: bool = param(
        True,
        unit="switch",
        source="judgement",
        role="lever",
        doc="whether the app reconsiders its ways of earning every six months",
    )
    own_model_fixed: float = param(
        30e6,
        unit="USD",
        source="judgement",
        ge=0,
        span=(5e6, 300e6),
        doc="cost of building an own small model",
    )
    switching_cost: float = param(
        0.3e6,
        unit="USD",
        source="judgement",
        ge=0,
        span=(0.05e6, 5e6),
        doc="engineering cost of changing supplier",
    )
    switching_delay: int = param(
        6,
        unit="months",
        source="behaviour.md 6",
        ge=0,
        le=36,
        span=(3, 12),
        doc="delay of self-hosting or an own model",
    )
    quality_value: float = param(
        0.3,
        unit="share of revenue per unit of q",
        source="judgement",
        ge=0,
        le=5,
        span=(0.1, 1),
        doc="what the app thinks a unit of answer quality is worth",
    )
    horizon: int = param(
        12,
        unit="months",
        source="judgement",
        ge=1,
        le=120,
        span=(3, 36),
        doc="H: how far ahead it counts the loss of users",
    )
    cash: float = param(0.0, unit="USD", source="opening balance", ge=0, role="fact", doc="cash at the opening")

    @model_validator(mode="after")
    def _known_ways(self) -> "AppSpec":
        unknown = set(self.earning) - set(WAYS)
        if unknown:
            raise ValueError(f"earning: unknown way of earning {sorted(unknown)[0]!r}; known: {', '.join(WAYS)}")
        for name, terms in self.earning.items():
            try:
                WAYS[name].spec.model_validate(terms)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                term = ".".join(str(part) for part in ("earning", name, *first["loc"]))
                known = ", ".join(WAYS[name].spec.model_fields)
                raise ValueError(f"{term}: {first['msg']} (got {first['input']!r}); known: {known}") from None
        return self

    def with_terms(
        self, tiers: Mapping[str, Mapping[str, Any]], earning: Mapping[str, Any] | None, reconsiders: bool
    ) -> "AppSpec":
        """Return a copy with some terms of its tiers changed, and other ways of earning; ValueError if refused."""
        unknown = sorted(set(tiers) - set(self.tiers))
        if unknown:
            raise ValueError(f"no tier {unknown[0]!r}; there are {', '.join(self.tiers)}")
        data = self.model_dump()
        for name, terms in tiers.items():
            data["tiers"][name] |= dict(terms)
        if earning is not None:
            data["earning"] = {name: dict(terms) for name, terms in earning.items()}
        data["reconsiders"] = reconsiders
        return type(self).model_validate(data)
