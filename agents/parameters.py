"""How every parameter of the model is declared: value, unit, source, plausible range and role in one place."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["lever", "uncertainty", "fact", "switch"]


class Parameters(BaseModel):
    """Base of all parameter classes: frozen, strict, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def param(
    default: Any = ...,
    *,
    unit: str,
    source: str,
    doc: str,
    role: Role = "uncertainty",
    span: tuple[float, float] | None = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """Declare one parameter.

    `span` is the plausible range that sweeps draw from (it comes from `source`); `ge`, `gt`, `le` and `lt`
    are the limits beyond which the value makes no sense and is refused. `source` names a row of the fact
    table, a paper, or is the word "judgement".
    """
    extra: dict[str, Any] = {"unit": unit, "source": source, "role": role}
    if span is not None:
        extra["span"] = list(span)
    return Field(default, description=doc, ge=ge, gt=gt, le=le, lt=lt, json_schema_extra=extra)


class ResearchSpec(Parameters):
    """How training turns into quality, the same for all labs."""

    productivity: float = param(
        0.04,
        unit="q/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0.02, 0.08),
        doc="a: quality from training at the reference effort, times ln 2",
    )
    reference_hours: float = param(
        2.0e8,
        unit="H100-hours/month",
        source="opening balance",
        gt=0,
        span=(1e8, 4e8),
        doc="C_ref: training effort of the frontier lab at the opening",
    )
    difficulty_growth: float = param(
        0.04,
        unit="1/month",
        source="judgement",
        ge=0,
        le=0.3,
        span=(0.02, 0.08),
        doc="growth of the effort that the same progress takes",
    )
    luck: float = param(
        0.3,
        unit="1",
        source="judgement",
        ge=0,
        le=2,
        span=(0.1, 0.6),
        doc="standard deviation of log training luck",
    )
    open_spillover: float = param(
        0.12,
        unit="1/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0.04, 0.3),
        doc="share of the gap to the best open weights closed in a month",
    )
    quality_cost: float = param(
        1.0,
        unit="1/q",
        source="judgement",
        ge=0,
        le=10,
        span=(0.5, 2),
        doc="log accelerator-hours per token that a unit of quality adds: better models are larger and think longer",
    )
    software_progress: float = param(
        1.58,
        unit="1/year",
        source="F-P1 to F-P3 bound it; calibrated inside",
        ge=0,
        le=3,
        span=(0.69, 2.3),
        doc="log fall of accelerator-hours per token by software",
    )
    load_factor: float = param(
        0.754,
        unit="1",
        source="kernel.md golden numbers",
        gt=0,
        le=1,
        span=(0.6, 0.9),
        role="fact",
        doc="mean over peak of the daily load",
    )
