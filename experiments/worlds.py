"""Named worlds of the evidence: a scenario and what is changed in it, read from evidence/worlds.toml.

[copilot-capped]
scenario = "2025"            the scenario under validation where it says 2025
months = 24                  length of the run; absent: the scenario's
drop = ["events.saving"]     entries and values that are taken out
[copilot-capped.changes]     tables laid over the scenario
[copilot-capped.every]       tables laid over every entry: every.lab = {price_point = false}
[copilot-capped.copies]      more apps like one: {app = "search", name = "buyer", field = "users", values = [...]}
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from experiments.errors import UserError

if TYPE_CHECKING:
    from ecosystem.spec import Spec

EVIDENCE = Path(__file__).parent / "evidence"
UNDER_VALIDATION = "2025"
"""Scenario name that stands for the one that is validated."""


class Copies(BaseModel):
    """More apps like one that the scenario has, each with another value of one field."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    app: str
    name: str
    field: str
    values: list[float]
    fields: dict[str, Any] = {}
    """What else is different in all of them."""


class World(BaseModel):
    """A scenario and what is changed in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    scenario: str = UNDER_VALIDATION
    months: int | None = None
    drop: list[str] = []
    changes: dict[str, Any] = {}
    every: dict[str, dict[str, Any]] = {}
    copies: Copies | None = None
    sets: str | None = None
    """Name of another world whose changes come first."""


def read_evidence(name: str) -> dict[str, Any]:
    """Return the content of a file of experiments/evidence."""
    return tomllib.loads((EVIDENCE / name).read_text(encoding="utf-8"))


@cache
def worlds() -> dict[str, World]:
    """Return all worlds by name."""
    return {name: World.model_validate(each) for name, each in read_evidence("worlds.toml").items()}


def build(name: str, base: "Spec", change: "Callable[[Spec], Spec] | None" = None) -> "Spec":
    """Return the scenario of a world; `base` is the scenario under validation.

    `change` is made to the scenario that the world starts from, so that what the world itself sets stays. SpecError
    where the base lacks what the world changes.
    """
    from ecosystem.spec import Spec

    world = worlds().get(name)
    if world is None:
        raise UserError(f"no world {name!r}; there are {', '.join(worlds())}")
    if world.sets is not None:
        start = build(world.sets, base, change)
    else:
        start = base if world.scenario == UNDER_VALIDATION else Spec.load(world.scenario)
        start = start if change is None else change(start)
    return changed(start, world)


def changed(start: "Spec", world: World) -> "Spec":
    """Return a scenario with the changes of a world laid over it."""
    data = start.model_dump()
    if world.copies is not None:
        _copy(data, world.copies)
    for path in world.drop:
        _drop(data, path)
    for kind, change in world.every.items():
        data[kind] = {key: merged(entry, change) for key, entry in data[kind].items()}
    data = merged(data, world.changes)
    if world.months is not None:
        data["months"] = world.months
        data["events"] = {k: e for k, e in data["events"].items() if e["month"] < world.months}
    return type(start).from_data(data, "world")


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `change` laid over it, table by table."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _copy(data: dict[str, Any], copies: Copies) -> None:
    original = data["app"][copies.app]
    for i, value in enumerate(copies.values):
        own = {"name": f"{copies.name} {i}", **copies.fields, copies.field: value}
        data["app"][f"{copies.name}_{i:02d}"] = {**original, **own}


def _drop(data: dict[str, Any], path: str) -> None:
    """Take out one entry, or all entries of a table where the path ends in a star; what is not there stays so."""
    *above, leaf = path.split(".")
    place: Any = data
    for part in above:
        if not isinstance(place, dict) or part not in place:
            return
        place = place[part]
    if leaf == "*":
        place.clear()
    else:
        place.pop(leaf, None)
