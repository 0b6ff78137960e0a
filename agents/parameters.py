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
