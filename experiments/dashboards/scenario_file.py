"""The scenario on the screen as a TOML file that the command line runs."""

from collections.abc import Mapping
from typing import Any

from ecosystem.spec import SCENARIOS
from experiments.dashboards.session import Session

SOURCE = "set in the dashboard"
CHANGED = "; changed in the dashboard"


def file_name(session: Session) -> str:
    """Return the name of the file, without its folder."""
    return f"{_name(session)}.toml"


def scenario_toml(session: Session) -> str:
    """Return a TOML file of the scenario on the screen: what differs from the scenario it extends, and why.

    `watersellers run FILE` runs the same months to the same bits. A scenario that came from a file, which may
    not be there tomorrow, is written out whole.
    """
    import tomli_w

    data: dict[str, Any] = {"name": _name(session), "title": session.shipped.title.removesuffix(CHANGED) + CHANGED}
    if session.scenario in {path.stem for path in SCENARIOS.glob("*.toml")}:
        data = {"extends": session.scenario, **data}
    else:
        data = _without_none(session.shipped.model_dump(exclude_unset=True)) | data
    for path, value in session.changes.items():
        _put(data, path, value)
    for name, event in session.fired.items():
        _put(data, f"events.{name}", event)
    changed = [*session.changes, *(f"events.{name}.*" for name in session.fired)]
    if changed:
        data["sources"] = {**data.get("sources", {}), **dict.fromkeys(changed, SOURCE)}
    file = file_name(session)
    head = f"# Written by the dashboard in month {session.month}.\n# Run it with: watersellers run {file}\n\n"
    return head + tomli_w.dumps(data)


def _name(session: Session) -> str:
    return session.shipped.name.removesuffix("-changed") + "-changed"


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    *tables, leaf = path.split(".")
    for table in tables:
        data = data.setdefault(table, {})
    data[leaf] = value


def _without_none(node: Any) -> Any:
    """Leave out what is absent: TOML has no null."""
    if isinstance(node, Mapping):
        return {key: _without_none(value) for key, value in node.items() if value is not None}
    return [_without_none(value) for value in node] if isinstance(node, list | tuple) else node
