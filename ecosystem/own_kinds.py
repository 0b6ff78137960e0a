"""Kinds of agents of one's own: their tables in a scenario, the files that register them, and their part in the month.

A scenario names the files (`modules = ["my_kind.py"]`), or Python has registered the kinds before.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import create_model

from agents.base import EconomicAgent
from agents.firm import Firm
from agents.kinds import HOOK, KINDS, Kind, code_digest, hooks, own_kinds
from agents.parameters import Parameters, param

if TYPE_CHECKING:
    from ecosystem.model import ValueChain
    from ecosystem.spec import Spec

P = TypeVar("P", bound=Parameters)
_loaded: dict[Path, tuple[str, list[str]]] = {}
"""Digest of every file that was loaded, as it was then, and the kinds that it registered."""


# --- files ------------------------------------------------------------------------------------------------------


def resolved_modules(named: Any, folder: Path) -> dict[str, str]:
    """Return the files that a scenario names, relative to its own folder, by absolute path; ValueError if one is not.

    The digests are those at present. `named`: a list of files, or a table by file as resolved scenarios have it.
    """
    if not isinstance(named, list | dict) or not all(isinstance(name, str) for name in named):
        raise ValueError('modules: must be a list of Python files, such as modules = ["my_kind.py"]')
    return {str((folder / name).resolve()): load_module((folder / name).resolve()) for name in named}


def load_module(file: Path) -> str:
    """Run a Python file, once as long as it does not change, and return the digest of its code.

    ValueError if it is not there, is no Python, or breaks off.
    """
    if not file.is_file():
        raise ValueError(f"modules: there is no file {file}")
    try:
        digest = code_digest(file)
        if _is_loaded(file, digest):
            return digest
        name = f"watersellers_module_{file.stem}_{digest}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ValueError("it is no Python file: its name must end in .py")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as error:  # a user's file may raise anything; it is named
        raise ValueError(f"modules: {file} cannot be loaded: {type(error).__name__}: {error}") from error
    _loaded[file] = digest, [name for name, kind in KINDS.items() if kind.file == file]
    return digest


def _is_loaded(file: Path, digest: str) -> bool:
    """Return whether a file was run as it is now, by `load_module` or as a module that Python imported."""
    registered = {name: kind.digest for name, kind in KINDS.items() if kind.file == file}
    if file in _loaded:
        before, names = _loaded[file]
        return before == digest and all(registered.get(name) == digest for name in names)
    return set(registered.values()) == {digest}


# --- scenarios --------------------------------------------------------------------------------------------------


def with_own_kinds(base: type[P], data: Mapping[str, Any]) -> tuple[type[P], dict[str, str]]:
    """Return the class that checks a scenario's data, own tables included, and the files that its kinds are in.

    ValueError for a file that cannot be loaded or a kind that has the name of something else in a scenario.
    """
    modules = resolved_modules(data.get("modules", {}), Path())
    kinds = tuple(kind for name, kind in sorted(own_kinds().items()) if name in data)
    modules |= {str(kind.file): kind.digest for kind in kinds if kind.file is not None}
    return extended(base, kinds), modules


@lru_cache(maxsize=64)
def extended(base: type[P], kinds: tuple[Kind[Any, Any], ...]) -> type[P]:
    """Return a class with one more table for each kind; `base` itself without any."""
    if not kinds:
        return base
    for kind in kinds:
        if is_taken(base, kind.name):
            raise ValueError(f"kind {kind.name!r}: scenarios have something else of that name; choose another")
    fields: dict[str, Any] = {
        kind.name: (
            GenericAlias(dict, (str, kind.spec)),
            param({}, unit="agents", source="scenario", role="fact", doc=f"{kind.name}: a kind of one's own"),
        )
        for kind in kinds
    }
    made: type[P] = create_model(base.__name__, __base__=base, __module__=base.__module__, **fields)
    return made


def is_taken(base: type[Parameters], name: str) -> bool:
    """Return whether a name means something else in a scenario, so that no kind can have it."""
    return hasattr(base, name) or name in base.model_fields


def own_tables(spec: "Spec") -> dict[str, dict[str, Parameters]]:
    """Return the scenario's tables of own kinds, by name of the kind."""
    names = [name for name in type(spec).model_fields if name in KINDS and KINDS[name].own]
    return {name: getattr(spec, name) for name in names}


def own_firms(spec: "Spec") -> dict[str, Parameters]:
    """Return the parameters of the scenario's firms of own kinds, by id."""
    tables = own_tables(spec)
    return {firm: row for name, table in tables.items() if KINDS[name].is_firm for firm, row in table.items()}


# --- the month --------------------------------------------------------------------------------------------------


class OwnAgents:
    """The agents of own kinds in a running chain, and the charges that they put on others."""

    def __init__(self, chain: "ValueChain") -> None:
        tables = own_tables(chain.spec)
        self.members: dict[str, dict[str, EconomicAgent]] = {
            name: KINDS[name].make(chain, table) for name, table in tables.items()
        }
        self.charges: dict[str, dict[str, float]] = {}
        self._acts: dict[str, list[Callable[[], None]]] = {}
        self._series: list[tuple[str, Callable[[], Mapping[str, float]]]] = []
        for agent in self:
            for phase in hooks(type(agent)):
                self._acts.setdefault(phase, []).append(getattr(agent, HOOK + phase))
            series = getattr(agent, "series", None)
            if series is not None:
                self._series.append((agent.agent_id, series))

    def __iter__(self) -> Iterator[EconomicAgent]:
        """Yield the agents, kind by kind."""
        return (agent for members in self.members.values() for agent in members.values())

    @property
    def firms(self) -> dict[str, Firm]:
        """Those that are firms, by id."""
        return {agent.agent_id: agent for agent in self if isinstance(agent, Firm)}

    def act(self, phase: str) -> None:
        """Have the agents act that take part in a phase."""
        for act in self._acts.get(phase, ()):
            act()

    def set_charge(self, collector: str, firm: str, amount: float) -> None:
        """Note what a collector will ask of a firm for each unit sold, USD."""
        self.charges.setdefault(firm, {})[collector] = amount

    def charge(self, firm: str) -> float:
        """Return what all collectors ask of a firm for each unit sold, USD."""
        return sum(self.charges[firm].values()) if firm in self.charges else 0.0

    def series(self) -> Iterable[tuple[str, float]]:
        """Yield the market series that agents want recorded: `<agent id>.<name>`, and this month's value."""
        for agent_id, series in self._series:
            for name, value in series().items():
                yield f"{agent_id}.{name}", float(value)
