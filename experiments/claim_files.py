"""Claims as data: one TOML file a claim, read, checked, and turned into the worlds that test it."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.claim_tables import ClaimTables, Kind, check_arguments, checked
from experiments.control_worlds import WORLDS
from experiments.errors import UserError

if TYPE_CHECKING:
    from ecosystem.spec import Spec

CLAIMS = Path(__file__).parent / "claims"


@dataclass(frozen=True, slots=True)
class World:
    """How a world differs from the scenario.

    `world`: a control world by name. `without`: events to leave out, by name or kind. `set`: overrides by dotted
    path; `*` in a path stands for every entry, a value such as "x0.5" multiplies the scenario's.
    """

    set: Mapping[str, Any] = field(default_factory=dict)
    without: Sequence[str] = ()
    world: str | None = None

    def build(self, spec: "Spec", extra: Mapping[str, Any] | None = None) -> "Spec":
        """Return the scenario of this world, with more overrides on top; SpecError where it cannot be."""
        if self.without:
            data = spec.model_dump()
            data["events"] = {
                name: event
                for name, event in data["events"].items()
                if name not in self.without and event["kind"] not in self.without
            }
            spec = type(spec).from_data(data, spec.name)
        if self.world is not None:
            spec = spec.with_overrides(WORLDS[self.world](spec))
        return spec.with_overrides(spread(spec, {**self.set, **(extra or {})}))


@dataclass(frozen=True, slots=True)
class Condition:
    """A variation of all worlds, or of the treated one only, under which the claim is tested again."""

    name: str
    set: Mapping[str, Any]
    arguments: Mapping[str, Any]
    treated_only: bool


@dataclass(frozen=True, slots=True)
class Assumption:
    """A parameter that decides the claim by itself: its path and the values that are tried, in which worlds."""

    path: str
    values: tuple[float, ...]
    why: str
    treated_only: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim and its test, with the names of one scenario filled in.

    `given`: what is put in decides the claim, or no chance is in it; `given_because` says how.
    """

    id: str
    statement: str
    source: str
    refuted_by: str
    scenario: str
    months: int
    metric: str
    arguments: Mapping[str, Any]
    kind: Kind
    above: bool
    threshold: float
    fewest: int
    most: int
    treatment: World
    control: World | None
    levels: tuple[tuple[float, World], ...]
    conditions: tuple[Condition, ...]
    assumes: tuple[Assumption, ...]
    note: str
    given: bool = False
    given_because: str = ""

    @property
    def test(self) -> str:
        """The test in words."""
        return f"{self.kind} of {self.metric} {'>' if self.above else '<'} {self.threshold:g}"


def shipped() -> dict[str, Path]:
    """Return the files of the claims that come with the package, by id."""
    return {path.stem: path for path in sorted(CLAIMS.glob("*.toml"))}


def load_claims(
    chosen: Sequence[str] | None = None, files: Iterable[str | Path] = (), scenario: str | None = None
) -> list[Claim]:
    """Read claims by id (all shipped ones without ids and files), and own files, for one scenario.

    Without `scenario` each claim is tested on the first scenario that it names. Claims that do not name the
    scenario are left out, unless they were asked for: then UserError, as for unknown ids and bad files.
    """
    known = shipped()
    own = [Path(path) for path in files]
    names = list(chosen or ([] if own else known))
    for name in names:
        if name not in known:
            raise UserError(f"there is no claim {name!r}; there are {', '.join(known)}")
    claims = []
    for path in [*(known[name] for name in names), *own]:
        tables = _read(path)
        if scenario is not None and scenario not in tables.scenarios:
            if chosen or own:
                raise UserError(f"{path.name}: scenarios: says nothing of {scenario!r}")
            continue
        claims.append(_claim(path.name, tables, scenario or next(iter(tables.scenarios))))
    return claims


def read_claim(path: Path) -> dict[str, Any]:
    """Return what one claim file holds; UserError naming file and key."""
    return _read(path).model_dump()


def _read(path: Path) -> ClaimTables:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the claim {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: not valid TOML: {error}") from None
    return checked(path.name, content)


def _claim(file: str, tables: ClaimTables, scenario: str) -> Claim:
    """Fill in the names of a scenario, and check what can be named there."""
    from ecosystem.spec import Spec

    names = tables.scenarios[scenario]
    filled: dict[str, Any] = {
        key: fill(file, key, value, names)
        for key, value in tables.model_dump(
            include={"arguments", "treatment", "control", "levels", "conditions", "assumes"}
        ).items()
    }
    spec = Spec.load(scenario)
    for more in [{}, *(each["arguments"] for each in filled["conditions"])]:
        check_arguments(file, tables.metric, {**filled["arguments"], **more}, tables.months, spec)
    return Claim(
        id=tables.id,
        statement=tables.statement,
        source=tables.source,
        refuted_by=tables.refuted_by,
        scenario=scenario,
        months=tables.months,
        metric=tables.metric,
        arguments=filled["arguments"],
        kind=tables.kind,
        above=tables.above,
        threshold=float(tables.threshold),
        fewest=tables.replicates.min,
        most=tables.replicates.max,
        treatment=World(**filled["treatment"]),
        control=World(**filled["control"]) if filled["control"] is not None else None,
        levels=tuple((float(level["at"]), World(set=level["set"])) for level in filled["levels"]),
        conditions=tuple(Condition(**each) for each in filled["conditions"]),
        assumes=tuple(Assumption(**{**each, "values": tuple(each["values"])}) for each in filled["assumes"]),
        note=tables.note,
        given=tables.given,
        given_because=tables.given_because,
    )


def fill(file: str, key: str, value: Any, names: Mapping[str, Any]) -> Any:
    """Replace {name} by what the scenario calls it, in keys and values; a value that is nothing else keeps its type."""
    if isinstance(value, str):
        whole = re.fullmatch(r"\{(\w+)\}", value)
        if whole and whole[1] in names:
            return names[whole[1]]
        try:
            return value.format_map(names) if "{" in value else value
        except KeyError as error:
            raise UserError(f"{file}: {key}: scenarios do not say what {error} is") from None
        except (ValueError, IndexError, AttributeError, TypeError):
            raise UserError(f"{file}: {key}: {value!r} has a brace that closes around no name") from None
    if isinstance(value, Mapping):
        return {fill(file, key, k, names): fill(file, f"{key}.{k}", v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(file, key, item, names) for item in value]
    return value


def spread(spec: "Spec", changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides with `*` in paths replaced by every entry, and values such as "x0.5" multiplied out."""
    result: dict[str, Any] = {}
    for path, value in changes.items():
        for full in _paths(spec, path):
            factor = _factor(path, value)
            result[full] = value if factor is None else _times(spec, full, factor)
    return result


def _factor(path: str, value: Any) -> float | None:
    """Return the number of a value such as "x0.5", None for any other value; UserError where it is none."""
    if not isinstance(value, str) or not re.fullmatch(r"x[0-9.e+-]+", value):
        return None
    try:
        return float(value[1:])
    except ValueError:
        raise UserError(f"{path}: {value!r} is no factor such as 'x0.5'") from None


def _paths(spec: "Spec", path: str) -> list[str]:
    if "*" not in path:
        return [path]
    before, _, after = path.partition(".*")
    table = _at(spec, before)
    if not isinstance(table, Mapping):
        raise UserError(f"{path}: {before} is no table whose entries * could stand for")
    return [full for entry in table for full in _paths(spec, f"{before}.{entry}{after}")]


def first_value(spec: "Spec", path: str) -> float:
    """Return the number that a path, perhaps with `*`, has in a scenario: that of the first entry; UserError."""
    value = _at(spec, (_paths(spec, path) or [path])[0])
    if not isinstance(value, int | float):
        raise UserError(f"{path}: {value!r} is no number")
    return float(value)


def _times(spec: "Spec", path: str, factor: float) -> Any:
    value = _at(spec, path)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UserError(f"{path}: {value!r} is no number that could be multiplied")
    return round(value * factor) if isinstance(value, int) else value * factor


def _at(spec: "Spec", path: str) -> Any:
    place: Any = spec
    for part in path.split("."):
        try:
            place = place[part] if isinstance(place, Mapping) else getattr(place, part)
        except (KeyError, AttributeError):
            raise UserError(f"{path}: there is no {part!r} in {spec.name}") from None
    return place
