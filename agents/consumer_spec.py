"""Parameters of the consumers of one region, with unit, source and plausible range."""

from typing import Self

from pydantic import model_validator

from agents.parameters import Parameters, param


class ConsumersSpec(Parameters):
    """Consumers of one region; the defaults are the West's, `CHINA` holds what differs in China."""

    population: float = param(
        2.5e9, unit="people", source="judgement", role="fact", ge=1, doc="people who could ever use an app"
    )
    casual_median: float = param(
        2.2,
        unit="$/month",
        source="behaviour table, fit to F-A13",
        span=(1.5, 3.0),
        gt=0,
        doc="median WTP, casual",
    )
    casual_sigma: float = param(
        1.1,
        unit="log points",
        source="behaviour table, fit to F-A13",
        span=(0.8, 1.4),
        gt=0,
        doc="spread, casual",
    )
    professional_share: float = param(
        0.05,
        unit="share of people",
        source="judgement",
        span=(0.01, 0.1),
        ge=0,
        lt=1,
        doc="professional users",
    )
    professional_median: float = param(
        25.0, unit="$/month", source="judgement", span=(10.0, 50.0), gt=0, doc="median WTP, professional"
    )
    professional_sigma: float = param(
        1.0, unit="log points", source="judgement", span=(0.7, 1.3), gt=0, doc="spread, professional"
    )
    wtp_level: float = param(
        2.47, unit="ratio", source="fit to F-A13", span=(0.5, 6.0), gt=0,
        doc="multiplies both medians; fitted to paid conversion with the free tier present",
    )  # fmt: skip
    price_scale: float = param(
        0.15,
        unit="share of WTP",
        source="behaviour section 7",
        span=(0.05, 0.3),
        gt=0,
        doc="scale k of the logit",
    )
    usage_median: float = param(
        25.0, unit="queries/month", source="judgement", span=(10.0, 60.0), gt=0, doc="median appetite"
    )
    usage_sigma: float = param(
        1.66,
        unit="log points",
        source="F-A1, F-A3; calibrated inside its range",
        span=(1.3, 1.9),
        gt=0,
        doc="spread of appetite",
    )
    usage_wtp_correlation: float = param(
        0.5,
        unit="correlation",
        source="judgement",
        span=(0.0, 0.8),
        ge=0,
        lt=1,
        doc="of ln usage and WTP rank",
    )
    monthly_variation: float = param(
        0.7, unit="log points", source="judgement", span=(0.3, 1.0), gt=0, doc="spread of one person's months"
    )
    flat_rate_bias: float = param(
        0.3, unit="share of usage", source="Lambrecht and Skiera 2006", span=(0.1, 0.5), ge=0,
        doc="overestimation of own usage when a tier is chosen: favours flat and large tiers",
    )  # fmt: skip
    usage_curvature: float = param(
        0.4,
        unit="exponent",
        source="judgement",
        span=(0.2, 0.7),
        gt=0,
        lt=1,
        doc="value ~ (served share)^this",
    )
    throttled_worth: float = param(
        0.3,
        unit="share of value",
        source="judgement",
        span=(0.1, 0.6),
        ge=0,
        le=1,
        doc="of a throttled query",
    )
    quality_slope: float = param(
        1.0,
        unit="per unit of q",
        source="judgement",
        span=(0.5, 2.0),
        ge=0,
        doc="value lost per gap to frontier",
    )
    frontier_gain: float = param(
        0.5,
        unit="share of value",
        source="judgement",
        span=(0.0, 1.0),
        ge=0,
        doc="most that progress can add",
    )
    frontier_reach: float = param(
        2.0, unit="units of q", source="judgement", span=(1.0, 4.0), gt=0, doc="progress that adds 63 % of it"
    )
    outside_drift: float = param(
        0.5, unit="share", source="judgement", span=(0.0, 1.0), ge=0, doc="of the gain that none offers too"
    )
    lambda_tier: float = param(
        0.6,
        unit="dissimilarity",
        source="judgement",
        span=(0.4, 1.0),
        gt=0,
        le=1,
        doc="of tiers inside an app",
    )
    lambda_app: float = param(
        0.8, unit="dissimilarity", source="judgement", span=(0.5, 1.0), gt=0, le=1, doc="of apps against none"
    )
    review: float = param(
        0.159,
        unit="per month",
        source="F-A15; calibrated inside its range",
        span=(0.08, 0.25),
        gt=0,
        le=1,
        doc="base hazard of a review",
    )
    price_review: float = param(
        0.5,
        unit="per doubling",
        source="judgement",
        span=(0.1, 1.0),
        ge=0,
        le=1,
        doc="extra, when the fee rises",
    )
    quota_review: float = param(
        0.35,
        unit="probability",
        source="F-A3",
        span=(0.2, 0.8),
        ge=0,
        le=1,
        doc="extra, when the quota is hit",
    )
    trial_review: float = param(
        0.6, unit="per month", source="F-Z1", span=(0.4, 0.9), ge=0, le=1, doc="first review of a bought user"
    )
    switching_cost: float = param(
        1.86,
        unit="utils",
        source="F-A15; calibrated inside its range",
        span=(0.5, 3.0),
        ge=0,
        doc="cost c of leaving an option",
    )
    ad_dislike_median: float = param(
        0.15,
        unit="share of WTP",
        source="judgement",
        span=(0.03, 0.3),
        gt=0,
        doc="loss per ad per query",
    )
    ad_dislike_sigma: float = param(
        1.0, unit="log points", source="judgement", span=(0.5, 1.5), gt=0, doc="spread of ad dislike"
    )
    fast_weight: float = param(
        0.9,
        unit="share",
        source="F-V5",
        span=(0.6, 1.0),
        ge=0,
        le=1,
        doc="of the fast stock in felt exposure",
    )
    fast_rate: float = param(
        1.0, unit="per month", source="F-V5", span=(0.5, 1.0), gt=0, le=1, doc="speed of the fast stock"
    )
    slow_rate: float = param(
        0.2, unit="per month", source="F-V5", span=(0.1, 0.3), gt=0, le=1, doc="speed of the slow stock"
    )
    usage_response: float = param(
        0.6, unit="share of usage", source="F-V5", span=(0.2, 1.0), ge=0, le=1, doc="lost per ad per query"
    )
    trust_recovery: float = param(
        0.05, unit="per month", source="behaviour section 7", span=(0.02, 0.1), ge=0, le=1, doc="rho_T"
    )
    trust_loss: float = param(
        0.002,
        unit="per month",
        source="F-V5, by the ratio 3:1; judgement inside it, calibrated",
        span=(0.002, 0.03),
        ge=0,
        doc="beta, per ad per query",
    )
    disclosure_loss: float = param(
        2.0, unit="ratio", source="F-V7 for the sign", span=(0.0, 4.0), ge=0, doc="d, added by disclosed ads"
    )
    word_of_mouth: float = param(
        0.05, unit="share of WTP", source="judgement", span=(0.0, 0.2), ge=0, doc="psi, value of a full share"
    )
    multi_home: float = param(
        0.2, unit="share of people", source="behaviour table", span=(0.0, 0.5), ge=0, le=1, doc="use two apps"
    )
    second_wtp: float = param(
        0.5, unit="ratio", source="judgement", span=(0.2, 1.0), gt=0, doc="WTP for the second app"
    )
    second_usage: float = param(
        0.4, unit="ratio", source="judgement", span=(0.1, 1.0), gt=0, doc="appetite for the second app"
    )
    innovation: float = param(
        0.002, unit="per month", source="judgement", span=(0.0, 0.01), ge=0, doc="Bass p of awareness"
    )
    imitation: float = param(
        0.13,
        unit="per month",
        source="F-A13: ChatGPT 350 to 800 M in nine months and a half",
        span=(0.05, 0.25),
        ge=0,
        doc="Bass q of awareness",
    )
    take_up: float = param(
        0.8,
        unit="share",
        source="judgement",
        span=(0.6, 0.95),
        gt=0,
        lt=1,
        doc="aware people who use an app at first",
    )
    wtp_strata: int = param(12, unit="cells", source="doubling test", ge=1, doc="cells of WTP")
    usage_strata: int = param(4, unit="cells", source="doubling test", ge=1, doc="cells of usage")
    ad_strata: int = param(2, unit="cells", source="doubling test", ge=1, doc="cells of ad dislike")

    @model_validator(mode="after")
    def _nested(self) -> Self:
        """Refuse a nest whose inside is more varied than its outside: no utility maximiser behaves so."""
        if self.lambda_tier > self.lambda_app:
            raise ValueError(f"lambda_tier {self.lambda_tier} must not exceed lambda_app {self.lambda_app}")
        return self


CHINA: dict[str, float] = {
    "population": 1.0e9,
    "wtp_level": 2.64,
    "casual_median": 0.5,
    "casual_sigma": 1.2,
    "professional_share": 0.015,
    "professional_median": 10.0,
    "usage_wtp_correlation": 0.3,
    "flat_rate_bias": 0.2,
    "multi_home": 0.3,
}
