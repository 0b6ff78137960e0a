"""The scenario specification: one frozen, typed tree, read from TOML, with the source of every value."""

import copy
import difflib
import json
import math
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError, model_validator

from agents.advertisers import AdvertisersSpec
from agents.app_spec import AppSpec
from agents.chipmaker_spec import ChipmakerSpec
from agents.cloud_spec import CloudSpec
from agents.compute_demand import ComputeDemandSpec
from agents.consumer_spec import ConsumersSpec
from agents.enterprise import EnterpriseSpec
from agents.expectations import ExpectationSpec
from agents.investors import InvestorsSpec
from agents.kinds import own_kinds
from agents.lab_spec import LabSpec
from agents.parameters import Parameters, ResearchSpec, param
from ecosystem.events import FIRM_FIELDS, Event, NewTerms
from ecosystem.market_spec import GroupSpec, MarketSpec
from ecosystem.own_kinds import extended, is_taken, own_firms, own_tables, resolved_modules, with_own_kinds
from ecosystem.provenance import ParameterRow, parameter_rows
from ecosystem.spec_checks import check_amounts, named_cards
from ecosystem.switches import MechanismSwitches

SCENARIOS = Path(__file__).parent / "scenarios"


class SpecError(ValueError):
    """A scenario that cannot be run; the message names file, key, value and what is allowed."""


class Spec(Parameters):
    """A whole scenario."""

    name: str = param(unit="text", source="scenario", role="fact", doc="short name")
    title: str = param(unit="text", source="scenario", role="fact", doc="one line on what it is")
    start: str = param("2025-01", unit="year-month", source="scenario", role="fact", doc="first month")
    months: int = param(36, unit="months", source="scenario", ge=1, le=1200, role="lever", doc="length of a run")
    seed: int = param(1, unit="seed", source="scenario", ge=0, role="lever", doc="root seed")
    sampling: bool = param(
        True,
        unit="switch",
        source="scenario",
        role="switch",
        doc="draw consumers' choices (true) or take expectations",
    )
    regions: list[str] = param(unit="regions", source="scenario", role="fact", doc="regions of the world")
    chipmaker: dict[str, ChipmakerSpec] = param(unit="firms", source="scenario", role="fact", doc="chipmakers")
    cloud: dict[str, CloudSpec] = param(unit="firms", source="scenario", role="fact", doc="clouds")
    lab: dict[str, LabSpec] = param(unit="firms", source="scenario", role="fact", doc="model labs")
    app: dict[str, AppSpec] = param(unit="firms", source="scenario", role="fact", doc="apps")
    consumers: dict[str, ConsumersSpec] = param(
        unit="regions", source="scenario", role="fact", doc="consumers by region"
    )
    enterprise: dict[str, EnterpriseSpec] = param(
        unit="segments", source="scenario", role="fact", doc="enterprise segments"
    )
    compute: dict[str, ComputeDemandSpec] = param(
        unit="regions", source="scenario", role="fact", doc="other compute demand by region"
    )
    advertisers: dict[str, AdvertisersSpec] = param(
        unit="regions", source="scenario", role="fact", doc="advertisers by region"
    )
    investors: dict[str, InvestorsSpec] = param(
        unit="regions", source="scenario", role="fact", doc="investors by region"
    )
    group: dict[str, GroupSpec] = param({}, unit="groups", source="scenario", role="fact", doc="groups of firms")
    expectation: ExpectationSpec = param(
        ExpectationSpec(), unit="rule", source="behaviour.md 1", doc="how firms forecast"
    )
    research: ResearchSpec = param(
        ResearchSpec(), unit="rule", source="behaviour.md 5", doc="how training turns into quality"
    )
    market: MarketSpec = param(MarketSpec(), unit="rule", source="behaviour.md", doc="numbers that hold for everybody")
    mechanisms: MechanismSwitches = param(
        MechanismSwitches(), unit="switches", source="model.md 6", role="switch", doc="mechanisms on or off"
    )
    events: dict[str, Event] = param({}, unit="events", source="scenario", role="lever", doc="the timeline")
    modules: dict[str, str] = param(
        {},
        unit="files",
        source="scenario",
        role="fact",
        doc="Python files with kinds of agents or ways of earning of one's own, and a digest of each",
    )
    sources: dict[str, str] = param(
        {},
        unit="text",
        source="scenario",
        role="fact",
        doc="source of values that are the scenario's own, by path or by prefix ending in *",
    )

    # --- reading ------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, name: str | Path) -> "Spec":
        """Read a scenario by its name (`toy`, `2025`) or from a TOML file; SpecError if it cannot be run."""
        loaded = _load(str(name), _stamp(name))
        return loaded if not loaded.modules and type(loaded) is Spec else _read(scenario_path(name))

    @classmethod
    def from_data(cls, data: Mapping[str, Any], origin: str) -> "Spec":
        """Build and check a scenario from plain data; `origin` is named in errors.

        Tables are put in the order of their keys, so that a run does not depend on how a file is arranged and
        the saved scenario (sorted JSON) replays to the same bits.
        """
        model, content = spec_class(data, origin)
        try:
            return model.model_validate(_in_order(content))
        except ValidationError as error:
            raise SpecError(f"{origin}: {_first_error(error)}") from None

    @classmethod
    def from_json(cls, text: str, origin: str = "scenario") -> "Spec":
        """Read a saved scenario back, its tables in the order in which they were saved; SpecError if it cannot be."""
        try:
            model, content = spec_class(json.loads(text), origin)
            return model.model_validate_json(json.dumps(content))
        except ValidationError as error:
            raise SpecError(f"{origin}: {_first_error(error)}") from None
        except json.JSONDecodeError as error:
            raise SpecError(f"{origin}: not valid JSON: {error}") from None

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Travel to other processes as data where own kinds are used: their files are loaded there first."""
        if type(self) is Spec and not self.modules:
            return super().__reduce_ex__(protocol)
        return _arrived, (self.model_dump_json(), dict(self.modules))

    def with_overrides(self, overrides: Mapping[str, Any]) -> "Spec":
        """Return a copy with values set by dotted path; SpecError for an unknown path or a value that is refused.

        Parts that no path leads through are this scenario's own: they are frozen, and were checked by themselves
        when they were made. What holds across parts is checked anew, and all that is of own kinds of agents, whose
        files may have changed since.
        """
        if not overrides:
            return self
        data = dict(vars(self))
        for name in type(self).model_fields.keys() - Spec.model_fields.keys():
            data[name] = {key: row.model_dump() for key, row in data[name].items()}
        data |= {
            name: {} for name in own_kinds() if name not in data and any(p.startswith(f"{name}.") for p in overrides)
        }
        for path, value in overrides.items():
            _set_path(data, path, value, self)
        return type(self).from_data(data, "override")

    def canonical_json(self) -> str:
        """Return the resolved scenario as JSON with sorted keys."""
        return json.dumps(self.model_dump(), sort_keys=True, allow_nan=False)

    # --- checks across parts ------------------------------------------------------------------------------

    @model_validator(mode="after")
    def _consistent(self) -> "Spec":
        for tier in ("chipmaker", "cloud", "lab", "app"):
            if not getattr(self, tier):
                raise ValueError(f"{tier}: a scenario needs at least one firm in every tier")
        check_amounts(self)
        self._check_names()
        self._check_links()
        self._check_events()
        return self

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        for tier in ("chipmaker", "cloud", "lab", "app"):
            for firm in getattr(self, tier):
                if firm in seen:
                    raise ValueError(f"{tier}.{firm}: {seen[firm]}.{firm} has the same id")
                seen[firm] = tier
        for firm in own_firms(self):
            if firm in seen or firm in self.enterprise:
                raise ValueError(f"{firm}: the firms of two tables have this id")
        for part in ("consumers", "compute", "advertisers", "investors"):
            for region in self.regions:
                if region not in getattr(self, part):
                    raise ValueError(f"{part}: no entry for region {region!r}")
            for region in getattr(self, part):
                _known(f"{part}.{region}", region, self.regions, "region")

    def _check_links(self) -> None:
        for firm, chips in self.chipmaker.items():
            _known(f"chipmaker.{firm}.group", chips.group, self.group, "group")
            for region in (*chips.lines, *chips.opening_sales):
                _known(f"chipmaker.{firm}.lines", region, self.regions, "region")
        for firm, cloud in self.cloud.items():
            self._check_cloud(firm, cloud)
        for firm, lab in self.lab.items():
            self._check_lab(firm, lab)
        for firm, app in self.app.items():
            self._check_app(firm, app)
        firms = {**self.lab, **self.app, **self.cloud}
        for group_id, group in self.group.items():
            _known(f"group.{group_id}.head", group.head, firms, "firm")
        for path, card, cards in named_cards(self):
            _known(path, card, cards, "card")
        for segment, enterprise in self.enterprise.items():
            _known(f"enterprise.{segment}.region", enterprise.region, self.regions, "region")
        for kind, table in own_tables(self).items():
            for key, own in table.items():
                _known(f"{kind}.{key}.region", getattr(own, "region", None), self.regions, "region")

    def _check_cloud(self, firm: str, cloud: CloudSpec) -> None:
        _known(f"cloud.{firm}.region", cloud.region, self.regions, "region")
        _known(f"cloud.{firm}.group", cloud.group, self.group, "group")
        for supplier in cloud.chip_purchases:
            _known(f"cloud.{firm}.chip_purchases", supplier, self.chipmaker, "chipmaker")
            if cloud.region not in self.chipmaker[supplier].lines:
                raise ValueError(f"cloud.{firm}.chip_purchases: {supplier} has no line in region {cloud.region!r}")
        for host in cloud.hosts:
            _known(f"cloud.{firm}.hosts", host, self.lab, "lab")
        for other in cloud.overflow:
            _known(f"cloud.{firm}.overflow", other, self.cloud, "cloud")

    def _check_lab(self, firm: str, lab: LabSpec) -> None:
        _known(f"lab.{firm}.region", lab.region, self.regions, "region")
        _known(f"lab.{firm}.group", lab.group, self.group, "group")
        _known(f"lab.{firm}.partner", lab.partner, self.cloud, "cloud")
        if set(lab.models) != {"large", "small"}:
            raise ValueError(f"lab.{firm}.models: needs exactly 'large' and 'small'")
        for cloud in lab.clouds:
            _known(f"lab.{firm}.clouds", cloud, self.cloud, "cloud")
        total = math.fsum(lab.clouds.values())
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"lab.{firm}.clouds: shares sum to {total:g}, not to 1")
        for region in (*lab.sells_in, *lab.enterprise_revenue):
            _known(f"lab.{firm}.sells_in", region, self.regions, "region")

    def _check_app(self, firm: str, app: AppSpec) -> None:
        _known(f"app.{firm}.region", app.region, self.regions, "region")
        _known(f"app.{firm}.group", app.group, self.group, "group")
        _known(f"app.{firm}.supply.lab", app.supply.lab, self.lab, "lab")
        _known(f"app.{firm}.search_supplier", app.search_supplier, self.app, "app")
        if not app.tiers:
            raise ValueError(f"app.{firm}.tiers: an app needs at least one tier")
        if app.payers > app.users:
            raise ValueError(f"app.{firm}.payers: {app.payers:g} payers are more than its {app.users:g} users")

    def _check_events(self) -> None:
        firms = {**self.chipmaker, **self.cloud, **self.lab, **self.app}
        kinds: dict[str, Mapping[str, Any]] = {"lab": self.lab, "app": self.app, "firm": firms}
        for event_id, event in self.events.items():
            for field in FIRM_FIELDS.get(event.kind, ()):
                _known(f"events.{event_id}.{field}", getattr(event, field), kinds[field], field)
            for field in ("region", "home"):
                if hasattr(event, field):
                    _known(f"events.{event_id}.{field}", getattr(event, field), self.regions, "region")
            if isinstance(event, NewTerms):
                self._check_terms(event_id, event)
            if event.month >= self.months:
                raise ValueError(
                    f"events.{event_id}.month: {event.month} is outside the horizon of {self.months} months"
                )

    def _check_terms(self, event_id: str, event: NewTerms) -> None:
        """Refuse new terms that the app could not have."""
        try:
            self.app[event.app].with_terms(event.tiers, event.earning, event.reconsiders)
        except ValidationError as error:
            raise ValueError(f"events.{event_id}: {_first_error(error, ('app', event.app))}") from None
        except ValueError as error:
            raise ValueError(f"events.{event_id}: {error}") from None

    # --- provenance -------------------------------------------------------------------------------------------

    def parameters(self) -> list[ParameterRow]:
        """Return every leaf parameter with value, unit, span, role, source and meaning, in order."""
        return list(parameter_rows(self, "", self.sources))


def _known(path: str, name: str | None, known: Mapping[str, Any] | list[str], what: str) -> None:
    if name is not None and name not in known:
        raise ValueError(f"{path}: unknown {what} {name!r}{nearest(name, list(known))}")


def nearest(word: str, known: list[str]) -> str:
    """Say which known word was probably meant, as the end of a sentence."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known)[:12])}"


def _first_error(error: ValidationError, above: tuple[str, ...] = ()) -> str:
    """Say the first error in words: key, value, what is allowed; `above` is where in the tree it was found."""
    first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = siblings((*above, *first["loc"][:-1]))
        word = str(first["loc"][-1])
        table = not above and len(first["loc"]) == 1 and isinstance(first["input"], dict)
        hint = '; for a kind of agent of your own name its file: modules = ["FILE.py"]' if table else ""
        return f"{path}: unknown key{nearest(word, known)}{hint}"
    if first["type"] == "value_error":
        text = str(first["ctx"]["error"]) if "ctx" in first else first["msg"]
        return f"{path}: {text}" if path else text
    shown = "" if first["type"] == "missing" else f" (got {first['input']!r})"
    return f"{path}: {first['msg']}{shown}"


def siblings(loc: tuple[int | str, ...]) -> list[str]:
    """Return the valid keys at a place in the tree."""
    model: Any = extended(Spec, tuple(kind for kind in own_kinds().values() if not is_taken(Spec, kind.name)))
    for part in loc:
        fields = getattr(model, "model_fields", None)
        annotation = fields[part].annotation if fields is not None and part in fields else model
        model = _inner_model(annotation, str(part))
    return list(getattr(model, "model_fields", {}))


def _inner_model(annotation: Any, part: str) -> Any:
    """Find the model class inside `dict[str, Model]`, `Model | None` or a tagged union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _inner_model(argument, part)
        if found is not None:
            kind = found.model_fields.get("kind")
            if kind is None or part in get_args(kind.annotation) or not isinstance(annotation, type):
                return found
    return None


def _stamp(name: str | Path) -> tuple[str, float]:
    path = scenario_path(name)
    return str(path), path.stat().st_mtime


def scenario_path(name: str | Path) -> Path:
    """Return the file of a scenario, by its name or path; SpecError if there is none."""
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise SpecError(f"{path}: no such scenario file")
        return path
    shipped = SCENARIOS / f"{name}.toml"
    if not shipped.is_file():
        known = sorted(p.stem for p in SCENARIOS.glob("*.toml"))
        raise SpecError(f"no scenario {str(name)!r}{nearest(str(name), known)}")
    return shipped


@lru_cache(maxsize=16)
def _load(name: str, stamp: tuple[str, float]) -> Spec:
    return _read(Path(stamp[0]))


def _read(path: Path) -> Spec:
    return Spec.from_data(read_scenario(path), path.name)


def _arrived(text: str, modules: Mapping[str, str]) -> Spec:
    """Make a scenario that another process sent; SpecError where its files have other code here."""
    spec = Spec.from_json(text)
    if spec.modules != modules:
        changed = sorted(file for file in modules if spec.modules.get(file) != modules[file])
        raise SpecError(f"{', '.join(changed)}: not the code with which this scenario was made; start again")
    return spec


def spec_class(data: Mapping[str, Any], origin: str) -> tuple[type[Spec], dict[str, Any]]:
    """Return the class that checks a scenario, and the scenario with the digests of its modules; SpecError."""
    try:
        model, modules = with_own_kinds(Spec, data)
    except ValueError as error:
        raise SpecError(f"{origin}: {error}") from None
    return model, {**data, "modules": modules} if modules else dict(data)


def read_scenario(path: Path, extended_by: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a TOML file; `extends` names a scenario whose values it starts from.

    SpecError for files that cannot be read, or that extend each other in a circle.
    """
    if path.resolve() in extended_by:
        raise SpecError(f"{path.name}: extends: it starts from itself")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name}: not valid TOML: {error}") from None
    base = data.pop("extends", None)
    if "modules" in data:
        try:
            data["modules"] = resolved_modules(data["modules"], path.parent)
        except ValueError as error:
            raise SpecError(f"{path.name}: {error}") from None
    if base is None:
        return data
    if not isinstance(base, str):
        raise SpecError(f"{path.name}: extends: {base!r} is not the name or file of a scenario")
    return _merged(read_scenario(scenario_path(base), (*extended_by, path.resolve())), data)


def _in_order(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data with every table in the order of its keys."""
    ordered = {}
    for key in sorted(table, key=str):
        value = table[key]
        ordered[key] = _in_order(value) if isinstance(value, dict) else value
    return ordered


def _merged(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `change` laid over it, table by table."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


def _opened(part: Any) -> Any:
    """Return a table or a part of a scenario as a new table, whose values are as they were; a value as it is."""
    if isinstance(part, BaseModel):
        return dict(vars(part))
    return dict(part) if isinstance(part, dict) else part


def _set_path(data: dict[str, Any], path: str, value: Any, spec: Spec) -> None:
    """Set one dotted path in plain data; it must exist, or be an optional key of an open table."""
    parts = path.split(".")
    place: Any = data
    for i, part in enumerate(parts[:-1]):
        if not isinstance(place, dict) or part not in place:
            known = list(place) if isinstance(place, dict) else []
            raise SpecError(f"{path}: unknown key {'.'.join(parts[: i + 1])!r}{nearest(part, known)}")
        place[part] = _opened(place[part])
        place = place[part]
    if not isinstance(place, dict):
        raise SpecError(f"{path}: {'.'.join(parts[:-1])!r} is a value, not a table")
    leaf = parts[-1]
    open_table = parts[0] == "events" or (len(parts) >= 3 and parts[2] in {"earning", "hosts"})
    open_table = open_table or (len(parts) == 2 and parts[0] in own_kinds())
    if leaf not in place and not open_table:
        raise SpecError(f"{path}: unknown key{nearest(leaf, list(place))}")
    place[leaf] = copy.deepcopy(dict(value) if isinstance(value, Mapping) else value)
