"""The kinds of agents: name in scenarios, parameter class, agent class, and what the ledger opens for them.

To add one, write a file like docs/how-to/own-agent-kind.md: a `Parameters` class, a class on `EconomicAgent` (or
`Firm`) with a method `in_<phase>` for each phase of the month in which it acts, and the line `register_kind(...)`.
A scenario then has it by its tables `[<name>.<id>]`.
"""

import ast
import difflib
import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from agents.advertisers import Advertisers, AdvertisersSpec
from agents.app import App
from agents.app_spec import AppSpec
from agents.base import EconomicAgent
from agents.chipmaker import Chipmaker
from agents.chipmaker_spec import ChipmakerSpec
from agents.cloud import Cloud
from agents.cloud_spec import CloudSpec
from agents.compute_demand import ComputeDemand, ComputeDemandSpec
from agents.consumer_spec import ConsumersSpec
from agents.consumers import Consumers
from agents.enterprise import Enterprise, EnterpriseSpec
from agents.firm import Firm
from agents.investors import Investors, InvestorsSpec
from agents.lab import Lab
from agents.lab_spec import LabSpec
from agents.parameters import Parameters
from agents.world import World

PHASES = ("events", "investment", "chips", "clouds", "labs", "apps", "demand", "serving", "settlement")
"""Phases of the month in which an agent may act by a method `in_<phase>`: last in the phase, and in the settlement
after all invoices, before taxes, pay-outs and failures."""
HOOK = "in_"
Account = Literal["firm", "source", "sink"]

S = TypeVar("S", bound=Parameters)
A = TypeVar("A", bound=EconomicAgent)


@dataclass(frozen=True)
class Kind(Generic[S, A]):
    """One kind of agent.

    `prefix` stands before the id of a table in the agent's id. `account`: what the ledger opens for each agent
    (a `Firm` always has its own), None for nothing. `streams`: kinds of payment that are its sales; `transfers`:
    those that are not, such as a tax or a grant. `own`: registered beside those of the model. `file` and
    `digest`: where its class is, if in a file outside of the model, and a digest of that file's code.
    """

    name: str
    spec: type[S]
    agent: type[A]
    prefix: str = ""
    account: Account | None = None
    streams: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()
    own: bool = False
    file: Path | None = None
    digest: str = ""

    @property
    def is_firm(self) -> bool:
        """Whether its agents are firms, with books and a place in the panel."""
        return issubclass(self.agent, Firm)

    def make(self, world: World, table: Mapping[str, S]) -> dict[str, A]:
        """Create the agents of a scenario's table, by the ids of the table, in their order."""
        make = cast(Any, self.agent)
        return {key: make(world, f"{self.prefix}{key}", spec) for key, spec in sorted(table.items())}


KINDS: dict[str, Kind[Any, Any]] = {}
"""All kinds by name: those of the model in the order in which their agents are made, then those registered."""


def register_kind(
    name: str,
    spec: type[S],
    agent: type[A],
    *,
    account: Account | None = "firm",
    streams: tuple[str, ...] = (),
    transfers: tuple[str, ...] = (),
) -> Kind[S, A]:
    """Let scenarios have agents of a kind of one's own by tables `[<name>.<id>]`, and return the kind.

    `spec`: the class that checks a table. `agent`: called with the world, the agent's id and the checked table; the
    id is that of the table for a `Firm`, `<name>.<id>` for others. `account`: "firm" has cash (at the opening the
    table's `cash`, if its class has that) and may receive and pay, "sink" only receives, "source" pays without
    limit, None is for an agent that handles no money. Kinds of payment that the ledger lacks are opened:
    `streams` as sales, `transfers` as anything else. To register again replaces what the same file registered.
    ValueError for what cannot be a kind.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"kind {name!r}: a name has lower-case letters, digits and _, and starts with a letter")
    if not (isinstance(spec, type) and issubclass(spec, Parameters)):
        raise ValueError(f"kind {name!r}: derive the class of its parameters from agents.parameters.Parameters")
    if not (isinstance(agent, type) and issubclass(agent, EconomicAgent)):
        raise ValueError(f"kind {name!r}: derive its agent from agents.base.EconomicAgent or agents.firm.Firm")
    for what, given in (("streams", streams), ("transfers", transfers)):
        if isinstance(given, str):
            raise ValueError(f'kind {name!r}: {what} is a tuple of names, such as ("{given}",)')
    _check_hooks(name, agent)
    file = _own_file(agent)
    known = KINDS.get(name)
    if known is not None and not _may_replace(known, file, agent):
        whose = f"registered by {known.file or known.agent.__module__}" if known.own else "one of the model"
        raise ValueError(f"kind {name!r}: the name is taken by a kind that is {whose}; choose another")
    firm = issubclass(agent, Firm)
    kind = Kind(
        name,
        spec,
        agent,
        prefix="" if firm else f"{name}.",
        account="firm" if firm else account,
        streams=streams,
        transfers=transfers,
        own=True,
        file=file,
        digest=code_digest(file) if file is not None else "",
    )
    KINDS[name] = kind
    return kind


def own_kinds() -> dict[str, Kind[Any, Any]]:
    """Return the registered kinds by name, those of the model left out."""
    return {name: kind for name, kind in KINDS.items() if kind.own}


def hooks(agent: type[EconomicAgent]) -> list[str]:
    """Return the phases in which the agents of a class act."""
    return [phase for phase in PHASES if hasattr(agent, HOOK + phase)]


def code_digest(file: Path) -> str:
    """Return 16 hex digits over the syntax of a Python file: comments and layout do not count."""
    return hashlib.sha256(ast.dump(ast.parse(file.read_bytes())).encode()).hexdigest()[:16]


def _check_hooks(name: str, agent: type[EconomicAgent]) -> None:
    """Refuse a method that looks like a hook of a phase that there is not."""
    for method in dir(agent):
        if method.startswith(HOOK) and callable(getattr(agent, method)) and method.removeprefix(HOOK) not in PHASES:
            known = [HOOK + phase for phase in PHASES]
            close = difflib.get_close_matches(method, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise ValueError(f"kind {name!r}: no phase of the month calls {method!r}; {hint}")


def _may_replace(known: Kind[Any, Any], file: Path | None, agent: type[EconomicAgent]) -> bool:
    """Return whether a kind comes from where the known one of its name came from, so that it is a newer version."""
    same = known.agent.__module__ == agent.__module__ if file is None else True
    return known.own and known.file == file and same


def _own_file(agent: type[EconomicAgent]) -> Path | None:
    """Return the file of a class; None for one of the model itself, of a script that runs or of a notebook."""
    module = sys.modules.get(agent.__module__)
    file = getattr(module, "__file__", None)
    package = Path(__file__).parent
    if file is None or agent.__module__ in {"__main__", "__mp_main__"} or Path(file).resolve().parent == package:
        return None
    return Path(file).resolve()


def _of_the_model(name: str, spec: type[S], agent: type[A], prefix: str = "") -> Kind[S, A]:
    kind = KINDS[name] = Kind(name, spec, agent, prefix)
    return cast("Kind[S, A]", kind)


CHIPMAKERS = _of_the_model("chipmaker", ChipmakerSpec, Chipmaker)
CLOUDS = _of_the_model("cloud", CloudSpec, Cloud)
LABS = _of_the_model("lab", LabSpec, Lab)
APPS = _of_the_model("app", AppSpec, App)
CONSUMERS = _of_the_model("consumers", ConsumersSpec, Consumers, "consumers.")
ENTERPRISES = _of_the_model("enterprise", EnterpriseSpec, Enterprise)
COMPUTE = _of_the_model("compute", ComputeDemandSpec, ComputeDemand)
ADVERTISERS = _of_the_model("advertisers", AdvertisersSpec, Advertisers)
INVESTORS = _of_the_model("investors", InvestorsSpec, Investors)
