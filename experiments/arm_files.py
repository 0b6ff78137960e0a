"""Arms of a monetisation experiment as data: which way of earning an app is given, and with what terms."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import UserError

if TYPE_CHECKING:
    from agents.app_spec import AppSpec
    from ecosystem.spec import Spec

DEFAULT = Path(__file__).parent / "arms" / "default.toml"
ADDED_TIER = "paid"
"""Name of the paid tier that an app without one gets, in all arms alike; closed where nothing is subscribed to."""
_KEYS = ("title", "source", "earning", "free", "paid", "tiers", "events", "overrides")


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: ways of earning with their terms, terms of tiers, and what else happens.

    `earning`: terms by way. `free`, `paid`: terms of the free tier and of the cheapest paid tier. `tiers`: terms
    by tier, for apps that have it. `events`: events by name, in which "{app}" stands for the app. `overrides`:
    dotted paths of the scenario. A value that is a table by region means the one of the app's region.
    """

    name: str
    title: str
    source: str = ""
    earning: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    free: Mapping[str, Any] = field(default_factory=dict)
    paid: Mapping[str, Any] = field(default_factory=dict)
    tiers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    events: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def changes(self, spec: "Spec", apps: Iterable[str]) -> dict[str, Any]:
        """Return the arm as overrides of a scenario by dotted path."""
        changes: dict[str, Any] = {}
        for app in apps:
            changes |= self._terms(spec, app)
            for name, event in self.events.items():
                filled = {key: value.replace("{app}", app) if isinstance(value, str) else value
                          for key, value in event.items()}  # fmt: skip
                changes[f"events.arm_{app}_{name}".replace("-", "_")] = filled
        return changes | dict(self.overrides)

    def _terms(self, spec: "Spec", app: str) -> dict[str, Any]:
        """Return the arm's new terms of one app, from the first month on."""
        known, region = spec.app[app], spec.app[app].region
        tiers = {name: dict(terms) for name, terms in self.tiers.items() if name in known.tiers}
        for name, terms in ((free_tier(known), self.free), (paid_tier(known), self.paid)):
            if name is not None and terms:
                tiers[name] = {**dict(terms), **tiers.get(name, {})}
        event = {
            "kind": "new_terms",
            "month": 0,
            "app": app,
            "tiers": _of_region(tiers, region, spec.regions),
            "earning": _of_region(self.earning, region, spec.regions),
        }
        return {f"events.arm_{app}": event}


def load_arms(path: str | Path | None = None) -> dict[str, Arm]:
    """Read a TOML file of arms (the default ones without a path); UserError naming file, arm and key."""
    place = DEFAULT if path is None else Path(path)
    try:
        content = tomllib.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read arms from {place}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{place.name}: not valid TOML: {error}") from None
    if not content:
        raise UserError(f"{place.name}: holds no arm; an arm is a table such as [subscription]")
    return {name: _arm(place.name, name, table) for name, table in content.items()}


def choose_arms(arms: Sequence[str] | None, known: Mapping[str, Arm], control: str) -> dict[str, Arm]:
    """Return the arms of some names (all without names), the control first; UserError for an unknown name."""
    names = [control, *(arms or known)]
    for name in names:
        if name not in known:
            raise UserError(f"there is no arm {name!r}; there are {', '.join(known)}")
    return {name: known[name] for name in dict.fromkeys(names)}


def prepared(spec: "Spec", apps: Sequence[str], arms: Mapping[str, Arm]) -> "Spec":
    """Return the scenario in which all arms can be offered: a paid tier where an app has none and an arm needs it.

    UserError for an app without a free tier, as the arms that are free to use need one.
    """
    from experiments.paired import with_tables

    changes: dict[str, Any] = {}
    for app in apps:
        known = spec.app[app]
        if free_tier(known) is None:
            raise UserError(f"{app} has no free tier, and ways of earning without fees need one")
        if paid_tier(known) is None and any("subscription" in arm.earning for arm in arms.values()):
            changes[f"app.{app}.tiers.{ADDED_TIER}"] = {"price": 20.0, "model": "large"}
    return with_tables(spec, changes)


def free_tier(app: "AppSpec") -> str | None:
    """Return the name of an app's first tier without a fee."""
    return next((name for name, tier in app.tiers.items() if tier.price <= 0.0), None)


def paid_tier(app: "AppSpec") -> str | None:
    """Return the name of an app's cheapest tier with a fee; the added one where it has none."""
    paid = [(tier.price, name) for name, tier in app.tiers.items() if tier.price > 0.0]
    return min(paid)[1] if paid else None


def default_apps(spec: "Spec") -> list[str]:
    """Return the apps that are experimented on unless others are named: Perplexity, or those that search."""
    if "perplexity" in spec.app:
        return ["perplexity"]
    living = {name: app for name, app in spec.app.items() if app.active_from == 0 and free_tier(app) is not None}
    searching = [name for name, app in living.items() if app.category == "search"]
    return searching or list(living)[:1]


def named_apps(spec: "Spec", apps: Sequence[str] | None) -> list[str]:
    """Return the apps of some names, "all" for all that live and have a free tier; UserError for others."""
    if not apps:
        return default_apps(spec)
    if list(apps) == ["all"]:
        return [n for n, a in spec.app.items() if a.active_from == 0 and a.users > 0.0 and free_tier(a) is not None]
    unknown = [app for app in apps if app not in spec.app]
    if unknown:
        raise UserError(f"{spec.name} has no app {unknown[0]!r}; it has {', '.join(spec.app)}")
    return list(dict.fromkeys(apps))


def _arm(file: str, name: str, table: Any) -> Arm:
    if not isinstance(table, dict):
        raise UserError(f"{file}: {name}: an arm is a table, not {table!r}")
    for key, value in table.items():
        if key not in _KEYS:
            raise UserError(f"{file}: {name}.{key}: unknown key; known: {', '.join(_KEYS)}")
        if not isinstance(value, str if key in {"title", "source"} else dict):
            raise UserError(f"{file}: {name}.{key}: {value!r} should be a {'text' if key in _KEYS[:2] else 'table'}")
    nested = [(key, k, v) for key in ("earning", "tiers", "events") for k, v in table.get(key, {}).items()]
    for key, inner, value in nested:
        if not isinstance(value, dict):
            raise UserError(f"{file}: {name}.{key}.{inner}: should be a table of terms, not {value!r}")
    return Arm(name, **{"title": name, **table})


def _of_region(value: Any, region: str, regions: Sequence[str]) -> Any:
    """Return a value in which every table by region is replaced by the value of one region; UserError without one."""
    if not isinstance(value, Mapping):
        return value
    if value and set(value) <= set(regions) | {"west", "china"}:
        if region not in value:
            raise UserError(f"an arm has values for {', '.join(map(repr, value))}, but none for the region {region!r}")
        return value[region]
    return {key: _of_region(item, region, regions) for key, item in value.items()}
