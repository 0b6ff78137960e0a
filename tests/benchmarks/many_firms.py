"""A scenario with more firms: every firm and owner of a scenario copied, with the demand of all of them."""

from typing import Any

from ecosystem.spec import Spec, read_scenario, scenario_path

FIRMS = ("chipmaker", "cloud", "lab", "app", "group")
POOLS = {"consumers": ("population",), "advertisers": ("budget",), "investors": ("fund", "inflow")}
"""Numbers of a region that grow with the number of firms, so that every copy opens as its original does."""


def many_firms(copies: int, scenario: str = "2025") -> Spec:
    """Return a scenario with `copies` of every firm (ids end in x1, x2, ...), tied to firms of the same copy.

    Events are left out: they name single firms.
    """
    data = read_scenario(scenario_path(scenario))
    names = {firm for part in FIRMS for firm in data.get(part, {})}
    shared = {key: value for key, value in data.items() if key not in (*FIRMS, "events", "sources")}
    for part, numbers in POOLS.items():
        for region in shared[part].values():
            region.update({name: copies * region[name] for name in numbers})
    many: dict[str, Any] = {"sources": {"*": "judgement"}, **{part: {} for part in FIRMS}}
    for k in range(1, copies + 1):
        for part in FIRMS:
            many[part] |= _renamed(data.get(part, {}), names, k)
    for part in ("market", "compute"):
        tables = [_renamed(shared[part], names, k) for k in range(1, copies + 1)]
        shared[part] = _joined(tables)
    return Spec.from_data(shared | many | {"name": f"{scenario}-x{copies}"}, f"{scenario}-x{copies}")


def named(world: str) -> Spec:
    """Return the scenario of a name; that of `2025 x10` has ten times the firms of `2025`."""
    scenario, _, copies = world.partition(" x")
    return many_firms(int(copies), scenario) if copies else Spec.load(scenario)


def _renamed(data: Any, names: set[str], copy: int) -> Any:
    """Return plain data in which every id of a firm has the number of a copy."""
    if isinstance(data, dict):
        return {_renamed(key, names, copy): _renamed(value, names, copy) for key, value in data.items()}
    if isinstance(data, list):
        return [_renamed(value, names, copy) for value in data]
    return f"{data}_x{copy}" if isinstance(data, str) and data in names else data


def _joined(tables: list[Any]) -> Any:
    """Lay tables over each other, inner tables too."""
    joined: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            joined[key] = _joined([joined.get(key, {}), value]) if isinstance(value, dict) else value
    return joined
