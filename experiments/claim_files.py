"""Claims as data: one TOML file a claim, read, checked, and turned into the worlds that test it."""

import inspect
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments.control_worlds import WORLDS
from experiments.errors import UserError
from experiments.metrics import METRICS, YES_OR_NO

if TYPE_CHECKING:
    from ecosystem.spec import Spec

CLAIMS = Path(__file__).parent / "claims"
Kind = Literal["value", "share", "difference", "ratio", "slope", "late_over_early"]
KINDS: dict[Kind, str] = {
    "value": "the metric in the treated world",
    "share": "of replicates in which the metric says yes in the treated world, and no in the control if there is one",
    "difference": "treated less control",
    "ratio": "treated over control",
    "slope": "of the metric on the levels of the cause",
    "late_over_early": "treated less control in a late month, over the same in an early one",
}
_KIND_OF: dict[str, Kind] = {kind: kind for kind in KINDS}
_TEST = re.compile(rf"({'|'.join(KINDS)}) ([<>]) threshold")
_REQUIRED = ("id", "statement", "source", "refuted_by", "scenarios", "metric", "test", "threshold", "replicates")
_OPTIONAL = (
    "arguments",
    "months",
    "treatment",
    "control",
    "levels",
    "conditions",
    "assumes",
    "note",
    "given",
    "given_because",
)
_WORLD_KEYS = ("set", "without", "world")
_SIDES = {
    "levels": ("at", "set"),
    "conditions": ("name", "set", "arguments", "treated_only"),
    "assumes": ("path", "values", "why", "treated_only"),
}


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
        tables = read_claim(path)
        if scenario is not None and scenario not in tables["scenarios"]:
            if chosen or own:
                raise UserError(f"{path.name}: scenarios: says nothing of {scenario!r}")
            continue
        claims.append(_claim(path.name, tables, scenario or next(iter(tables["scenarios"]))))
    return claims


def read_claim(path: Path) -> dict[str, Any]:
    """Read one claim file and check its keys; UserError naming file and key."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the claim {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: not valid TOML: {error}") from None
    for key in tables:
        _check(
            key in (*_REQUIRED, *_OPTIONAL), path.name, key, f"unknown key; known: {', '.join(_REQUIRED + _OPTIONAL)}"
        )
    for key in _REQUIRED:
        _check(key in tables, path.name, key, "is missing")
    for key in ("id", "statement", "source", "refuted_by", "metric", "test"):
        _check(isinstance(tables[key], str) and tables[key] != "", path.name, key, "should be a text")
    _check_test(path.name, tables)
    for key, allowed in _SIDES.items():
        for each in tables.get(key, []):
            for name in each:
                _check(name in allowed, path.name, f"{key}.{name}", f"unknown key; known: {', '.join(allowed)}")
            _check(allowed[0] in each, path.name, f"{key}.{allowed[0]}", "is missing")
    for key in ("treatment", "control"):
        _check_world(path.name, key, tables.get(key, {}))
    _check(isinstance(tables["scenarios"], dict) and bool(tables["scenarios"]), path.name, "scenarios", "names none")
    return tables


def _check_test(file: str, tables: Mapping[str, Any]) -> None:
    """Check metric, arguments, test, threshold and replicates."""
    _check(
        tables["metric"] in METRICS, file, "metric", f"no metric {tables['metric']!r}; there are {', '.join(METRICS)}"
    )
    known = list(inspect.signature(METRICS[tables["metric"]]).parameters)[1:]
    for name in tables.get("arguments", {}):
        _check(name in known, file, f"arguments.{name}", f"{tables['metric']} takes {', '.join(known)}")
    match = _TEST.fullmatch(tables["test"])
    if match is not None and (tables["metric"] in YES_OR_NO) != (match[1] == "share"):
        words = (
            "says yes or no: ask for a share" if tables["metric"] in YES_OR_NO else "is no yes or no to take a share of"
        )
        _check(False, file, "test", f"{tables['metric']} {words}")
    _check(match is not None, file, "test", f"should be like 'difference > threshold'; kinds: {', '.join(KINDS)}")
    assert match is not None
    _check(isinstance(tables["threshold"], int | float), file, "threshold", "should be a number")
    if match[1] == "slope":
        _check(len(tables.get("levels", [])) > 1, file, "levels", "a slope needs two levels or more")
    elif match[1] not in ("value", "share"):
        _check("control" in tables, file, "control", f"a {match[1]} needs a control")
    counts = tables["replicates"]
    _check(
        isinstance(counts, dict) and set(counts) == {"min", "max"} and 2 <= counts["min"] <= counts["max"],
        file, "replicates", "should be {min = 2 or more, max = min or more}",
    )  # fmt: skip


def _check_world(file: str, key: str, table: Any) -> None:
    _check(isinstance(table, dict), file, key, "should be a table")
    for name in table:
        _check(name in _WORLD_KEYS, file, f"{key}.{name}", f"unknown key; known: {', '.join(_WORLD_KEYS)}")
    world = table.get("world")
    _check(world is None or world in WORLDS, file, f"{key}.world", f"no world {world!r}; there are {', '.join(WORLDS)}")


def _check(sound: bool, file: str, key: str, words: str) -> None:
    if not sound:
        raise UserError(f"{file}: {key}: {words}")


def _claim(file: str, tables: Mapping[str, Any], scenario: str) -> Claim:
    """Fill in the names of a scenario."""
    names = tables["scenarios"][scenario]
    match = _TEST.fullmatch(tables["test"])
    assert match is not None
    filled: dict[str, Any] = {}
    for key in ("arguments", "treatment", "control", "levels", "conditions", "assumes"):
        filled[key] = fill(file, key, tables.get(key, [] if key in {"levels", "conditions", "assumes"} else {}), names)
    return Claim(
        id=tables["id"],
        statement=tables["statement"],
        source=tables["source"],
        refuted_by=tables["refuted_by"],
        scenario=scenario,
        months=int(tables.get("months", 36)),
        metric=tables["metric"],
        arguments=filled["arguments"],
        kind=_KIND_OF[match[1]],
        above=match[2] == ">",
        threshold=float(tables["threshold"]),
        fewest=tables["replicates"]["min"],
        most=tables["replicates"]["max"],
        treatment=World(**filled["treatment"]),
        control=World(**filled["control"]) if "control" in tables else None,
        levels=tuple((float(level["at"]), World(set=level.get("set", {}))) for level in filled["levels"]),
        conditions=tuple(
            Condition(
                each["name"], each.get("set", {}), each.get("arguments", {}), bool(each.get("treated_only", False))
            )
            for each in filled["conditions"]
        ),
        assumes=tuple(
            Assumption(
                each["path"],
                tuple(float(v) for v in each["values"]),
                each.get("why", ""),
                bool(each.get("treated_only", False)),
            )
            for each in filled["assumes"]
        ),
        note=tables.get("note", ""),
        given=bool(tables.get("given", False)),
        given_because=tables.get("given_because", ""),
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
            scaled = isinstance(value, str) and re.fullmatch(r"x[0-9.e+-]+", value)
            result[full] = _times(spec, full, float(value[1:])) if scaled else value
    return result


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
