"""Designs of a sweep: which points of the parameter space are run, read from DESIGN.toml.

Levers are what somebody in the world decides (a price, a quota); uncertainties are what nobody knows.
Replicates repeat a point under other draws of chance.
"""

import csv
import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from experiments.errors import UserError
from experiments.samples import (
    Factor,
    Method,
    Range,
    Role,
    Sample,
    Value,
    columns,
    crossed,
    crossed_with_levers,
    one_at_a_time,
    tabulated,
    unit_sample,
)

if TYPE_CHECKING:
    from ecosystem.provenance import ParameterRow

DRAWN = ("random", "latin-hypercube", "sobol", "morris")


def _kind(levels: object) -> str | None:
    """Which of the three notations a factor is written in."""
    if isinstance(levels, Mapping | Range):
        return "range"
    if isinstance(levels, list):
        return "values"
    return "span" if isinstance(levels, str) else None


Levels = Annotated[
    Annotated[list[Value], Tag("values"), Field(min_length=1)]
    | Annotated[Range, Tag("range")]
    | Annotated[Literal["span"], Tag("span")],
    Discriminator(
        _kind,
        custom_error_type="levels",
        custom_error_message="give a list of values, {low = ..., high = ...} or 'span', the declared range",
    ),
]


class Design(BaseModel):
    """A sweep: a scenario, what is varied in it and how.

    `n` is the number of draws (random, latin-hypercube), the base sample (sobol: n (factors + 2) points), the
    trajectories (morris: n (factors + 1) points) or the values taken of each range (grid, one-at-a-time).
    With random and latin-hypercube, levers given as lists are crossed in full with the draws of all else, so
    that every lever setting meets the same uncertainties; with sobol and morris every factor is drawn.
    `seed` is the root of the runs' randomness and of the draws of the design; both default to the scenario's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    scenario: str = "2025"
    months: int | None = Field(None, ge=1, le=1200)
    seed: int | None = Field(None, ge=0)
    replicates: int = Field(1, ge=1)
    method: Method
    n: int | None = Field(None, ge=1)
    levers: dict[str, Levels] = {}
    uncertainties: dict[str, Levels] = {}
    table: list[dict[str, Value]] = []

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read DESIGN.toml; a `table` that is text names a CSV file beside it, dotted paths in its header."""
        path = Path(path)
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"cannot read the design {path}: {error.strerror}") from None
        except ValueError as error:
            raise UserError(f"{path} is not valid TOML: {error}") from None
        if isinstance(content.get("table"), str):
            content["table"] = _read_table(path.parent / content["table"])
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: Mapping[str, Any], name: str = "design") -> Self:
        """The design in a mapping as TOML gives it; raises UserError with the key at fault."""
        try:
            return cls.model_validate(dict(content))
        except ValidationError as error:
            complaints = [_complaint(each) for each in error.errors()]
            raise UserError(f"{name}: {'; '.join(complaints)}") from None

    @field_validator("levers", "uncertainties", mode="before")
    @classmethod
    def _flat(cls, value: object) -> object:
        return _flatten(value) if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if both := sorted(set(self.levers) & set(self.uncertainties)):
            raise ValueError(f"{both[0]} is both a lever and an uncertainty")
        varied = bool(self.levers or self.uncertainties)
        if (self.method == "table") != bool(self.table):
            raise ValueError("method 'table' and the key 'table' go together")
        if self.method == "table" and varied:
            raise ValueError("a table names its parameters itself: leave out levers and uncertainties")
        if self.method != "table" and not varied:
            raise ValueError("nothing is varied: give levers or uncertainties")
        if self.method in DRAWN and self.n is None:
            raise ValueError(f"method {self.method!r} needs n")
        if self.method == "sobol" and self.n is not None and self.n & (self.n - 1):
            lower = 1 << (self.n.bit_length() - 1)
            raise ValueError(f"n of a sobol design is a power of two: {lower} or {2 * lower}, not {self.n}")
        return self

    def factors(self, parameters: "Mapping[str, ParameterRow]") -> tuple[Factor, ...]:
        """What is varied, levers first; `parameters` are the scenario's parameter rows by path."""
        if self.method == "table":
            return tuple(_table_factor(path, self.table, parameters) for path in self.table[0])
        decided = [_factor(path, "lever", each, parameters) for path, each in self.levers.items()]
        unknown = [_factor(path, "uncertainty", each, parameters) for path, each in self.uncertainties.items()]
        return (*decided, *unknown)

    def sample(self, parameters: "Mapping[str, ParameterRow]", seed: int) -> Sample:
        """All points; the same design, parameters and seed give the same points."""
        factors = self.factors(parameters)
        if self.method == "grid":
            return Sample(factors, crossed([factor.levels(self.n) for factor in factors]))
        if self.method == "one-at-a-time":
            return Sample(factors, one_at_a_time(factors, self.n))
        if self.method == "table":
            return Sample(factors, tabulated(factors, self.table))
        assert self.n is not None
        if self.method in {"sobol", "morris"}:
            return Sample(factors, columns(factors, unit_sample(self.method, self.n, len(factors), seed)))
        return Sample(factors, crossed_with_levers(self.method, factors, self.n, seed))


def _factor(
    path: str, role: Role, levels: list[Value] | Range | str, parameters: "Mapping[str, ParameterRow]"
) -> Factor:
    """One factor, with the declared range filled in and whole numbers recognised."""
    if isinstance(levels, list):
        return Factor(path, role, values=tuple(levels))
    row = parameters.get(path)
    if isinstance(levels, str):
        declared = None if row is None else row.span
        if declared is None:
            raise UserError(f"{path} declares no range: give {{low = ..., high = ...}} in place of 'span'")
        levels = Range(low=declared[0], high=declared[1])
    integer = row is not None and isinstance(row.value, int) and not isinstance(row.value, bool)
    if integer and (levels.log or levels.low % 1 or levels.high % 1):
        raise UserError(f"{path} is a whole number: its range must have whole ends and no log")
    return Factor(path, role, span=levels, integer=integer)


def _table_factor(path: str, rows: list[dict[str, Value]], parameters: "Mapping[str, ParameterRow]") -> Factor:
    """The factor of one column of a table, in the role that the parameter declares."""
    if any(list(row) != list(rows[0]) for row in rows):
        raise UserError(f"every row of the table must have the same columns: {', '.join(rows[0])}")
    declared = parameters.get(path)
    role: Role = "lever" if declared is not None and declared.role == "lever" else "uncertainty"
    return Factor(path, role, values=tuple(dict.fromkeys(row[path] for row in rows)))


def _read_table(path: Path) -> list[dict[str, Value]]:
    """A CSV file as rows; cells are read as TOML values where they are one, else as text."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise UserError(f"the table {path} has the column {twice!r} more than once")
            return [{key: _cell(text) for key, text in row.items()} for row in reader]
    except OSError as error:
        raise UserError(f"cannot read the table {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read the table {path}: it is no CSV file in UTF-8 ({error})") from None


def _cell(text: object) -> Value:
    if not isinstance(text, str):
        raise UserError("the table has a row with more or fewer cells than its header")
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, bool | int | float | str) else text


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested TOML tables as dotted paths; a table with `low` or `high` is a range."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        nested = isinstance(value, Mapping) and not {"low", "high"} & value.keys()
        flat.update(_flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flat


def _complaint(error: Any) -> str:
    """One line about one thing that pydantic refused."""
    place = ".".join(str(part) for part in error["loc"] if part not in {"range", "values", "span"})
    if error["type"] == "extra_forbidden":
        known = Design.model_fields if len(error["loc"]) == 1 else Range.model_fields
        close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        return f"unknown key {place!r}" + (f"; did you mean {close[0]!r}?" if close else "")
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else str(message)
