"""What a claim file may hold, and the checks of it; every complaint is one line that names file and key."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from experiments.control_worlds import WORLDS
from experiments.errors import UserError
from experiments.metrics import METRICS, YES_OR_NO

if TYPE_CHECKING:
    from ecosystem.spec import Spec

Kind = Literal["value", "share", "difference", "ratio", "slope", "late_over_early"]
KINDS: dict[Kind, str] = {
    "value": "the metric in the treated world",
    "share": "of replicates in which the metric says yes in the treated world, and no in the control if there is one",
    "difference": "treated less control",
    "ratio": "treated over control",
    "slope": "of the metric on the levels of the cause",
    "late_over_early": "treated less control in a late month, over the same in an early one",
}
_TEST = re.compile(rf"({'|'.join(KINDS)}) ([<>]) threshold")
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
_MONTHS = ("start", "early", "late")
"""Arguments that name a month of the run."""


class _Table(BaseModel):
    model_config = _STRICT


class WorldTable(_Table):
    """How a world differs from the scenario."""

    set: dict[str, Any] = {}
    without: list[str] = []
    world: str | None = None

    @field_validator("world")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in WORLDS:
            raise ValueError(f"no world {name!r}; there are {', '.join(WORLDS)}")
        return name


class LevelTable(_Table):
    """One level of the cause."""

    at: float
    set: dict[str, Any] = {}


class ConditionTable(_Table):
    """A variation under which the claim is tested again."""

    name: str
    set: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    treated_only: bool = False


class AssumptionTable(_Table):
    """A parameter that decides the claim by itself, and the values that are tried."""

    path: str
    values: list[float] = Field(min_length=1)
    why: str = ""
    treated_only: bool = False


class ReplicatesTable(_Table):
    """The fewest and the most replicates of the main test."""

    min: int = Field(ge=2)
    max: int

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max {self.max} is below min {self.min}")
        return self


class ClaimTables(_Table):
    """A claim file as it is written, the names of scenarios not filled in."""

    id: str = Field(min_length=1)
    statement: str = Field(min_length=1)
    source: str = Field(min_length=1)
    refuted_by: str = Field(min_length=1)
    scenarios: dict[str, dict[str, Any]] = Field(min_length=1)
    months: int = Field(36, ge=1, le=600)
    metric: str
    arguments: dict[str, Any] = {}
    test: str
    threshold: float
    replicates: ReplicatesTable
    treatment: WorldTable = WorldTable()
    control: WorldTable | None = None
    levels: list[LevelTable] = []
    conditions: list[ConditionTable] = []
    assumes: list[AssumptionTable] = []
    note: str = ""
    given: bool = False
    given_because: str = ""

    @property
    def kind(self) -> Kind:
        """What the test compares."""
        kinds: dict[str, Kind] = {kind: kind for kind in KINDS}
        return kinds[self.test.split(" ")[0]]

    @property
    def above(self) -> bool:
        """Whether the claim says that the effect is above the threshold."""
        return ">" in self.test


def checked(file: str, content: Mapping[str, Any]) -> ClaimTables:
    """Return the tables of a claim file; UserError in one line."""
    try:
        tables = ClaimTables.model_validate(dict(content))
    except ValidationError as error:
        raise UserError(f"{file}: {_complaint(error.errors()[0])}") from None
    for key, words in _faults(tables):
        raise UserError(f"{file}: {key}: {words}")
    return tables


def _complaint(error: Any) -> str:
    """Return key and words of one thing that pydantic refused."""
    place = ".".join(str(part) for part in error["loc"] if not isinstance(part, int)) or "claim"
    if error["type"] == "missing":
        return f"{place}: is missing"
    if error["type"] == "extra_forbidden":
        parts = [part for part in error["loc"][:-1] if not isinstance(part, int)]
        return f"{place}: unknown key; known: {', '.join(_keys(parts[0] if parts else None))}"
    words = str(error["msg"]).removeprefix("Value error, ").replace("Input should", "should")
    return f"{place}: {words}"


def _keys(table: str | None) -> list[str]:
    """Return the keys that a table of a claim file may have, those of the file for None."""
    kinds: dict[str, type[BaseModel]] = {
        "treatment": WorldTable, "control": WorldTable, "levels": LevelTable, "conditions": ConditionTable,
        "assumes": AssumptionTable, "replicates": ReplicatesTable,
    }  # fmt: skip
    return list(kinds.get(table or "", ClaimTables).model_fields)


def _faults(tables: ClaimTables) -> list[tuple[str, str]]:
    """Return key and words of what pydantic cannot see: metric, arguments, test, and keys that the test ignores."""
    if tables.metric not in METRICS:
        return [("metric", f"no metric {tables.metric!r}; there are {', '.join(METRICS)}")]
    if not _TEST.fullmatch(tables.test):
        return [("test", f"should be like 'difference > threshold'; kinds: {', '.join(KINDS)}")]
    found = _argument_faults(tables) + _test_faults(tables)
    if tables.given != bool(tables.given_because):
        found.append(("given_because", "goes with given = true: say what puts the answer in"))
    return found


def _argument_faults(tables: ClaimTables) -> list[tuple[str, str]]:
    """Return what is wrong with the names of arguments, those of conditions included."""
    signature = inspect.signature(METRICS[tables.metric])
    known = list(signature.parameters)[1:]
    found = []
    for key, more in [("arguments", {}), *(("conditions.arguments", each.arguments) for each in tables.conditions)]:
        given = {**tables.arguments, **more}
        found += [(f"{key}.{n}", f"{tables.metric} takes {', '.join(known)}") for n in given if n not in known]
        missing = [n for n in known if signature.parameters[n].default is inspect.Parameter.empty and n not in given]
        found += [(f"{key}.{n}", f"is missing: {tables.metric} takes {', '.join(known)}") for n in missing]
    return found


def _test_faults(tables: ClaimTables) -> list[tuple[str, str]]:
    """Return what does not fit the kind of test."""
    kind, metric = tables.kind, tables.metric
    found = []
    if (metric in YES_OR_NO) != (kind == "share"):
        words = "says yes or no: ask for a share" if metric in YES_OR_NO else "is no yes or no to take a share of"
        found.append(("test", f"{metric} {words}"))
    pair = inspect.signature(METRICS[metric]).return_annotation == tuple[float, float]
    if pair != (kind == "late_over_early"):
        words = "gives two months: ask for late_over_early" if pair else "gives one number, not two months"
        found.append(("test", f"{metric} {words}"))
    if kind == "slope" and len(tables.levels) < 2:
        found.append(("levels", "a slope needs two levels or more"))
    if kind != "slope" and tables.levels:
        found.append(("levels", f"a {kind} does not use them"))
    if kind in ("difference", "ratio", "late_over_early") and tables.control is None:
        found.append(("control", f"a {kind} needs a control"))
    if kind in ("value", "slope") and tables.control is not None:
        found.append(("control", f"a {kind} does not use it"))
    if tables.control is None:
        sides: list[tuple[str, list[Any]]] = [("conditions", tables.conditions), ("assumes", tables.assumes)]
        keys = [key for key, rows in sides if any(row.treated_only for row in rows)]
        found += [(f"{key}.treated_only", "there is no control that it could spare") for key in keys]
    return found


def check_arguments(file: str, metric: str, arguments: Mapping[str, Any], months: int, spec: "Spec") -> None:
    """Check the values of a metric's arguments against their types, the months and the scenario; UserError."""
    parameters = inspect.signature(METRICS[metric]).parameters
    for name, value in arguments.items():
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(parameters[name].annotation, config=ConfigDict(strict=True))
            adapter.validate_python(value)
        except ValidationError as error:
            raise UserError(f"{file}: {_complaint({**error.errors()[0], 'loc': ('arguments', name)})}") from None
        if name in _MONTHS and isinstance(value, int) and not 0 <= value < months:
            raise UserError(f"{file}: arguments.{name}: month {value} is not one of the {months} months of the run")
        known = _CHOICES[name](spec) if name in _CHOICES else None
        for each in value if isinstance(value, list | tuple) else [value]:
            if known is not None and each not in known:
                raise UserError(f"{file}: arguments.{name}: there is no {each!r}; there are {', '.join(known)}")


def _tiers(_: "Spec") -> list[str]:
    from agents.firm import TIERS

    return list(TIERS)


def _fields(_: "Spec") -> list[str]:
    from ecosystem.record import FIRM_FIELDS

    return list(FIRM_FIELDS)


def _apps(spec: "Spec") -> list[str]:
    return list(spec.app)


def _labs(spec: "Spec") -> list[str]:
    return list(spec.lab)


def _categories(spec: "Spec") -> list[str]:
    return sorted({app.category for app in spec.app.values()})


def _measures(_: "Spec") -> list[str]:
    return ["value_added", "capital", "cents"]


_CHOICES: dict[str, Callable[["Spec"], list[str]]] = {
    "tier": _tiers, "of": _tiers, "upper": _tiers, "lower": _tiers, "app": _apps, "large": _apps, "small": _apps,
    "lab": _labs, "field": _fields, "profit": _fields, "category": _categories, "others": _categories,
    "measure": _measures,
}  # fmt: skip
"""What arguments of metrics may name, by the argument's own name."""
