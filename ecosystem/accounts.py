"""Opening the ledger: every source, sink and firm of a scenario."""

from typing import TYPE_CHECKING

from agents.kinds import KINDS, own_kinds
from agents.monetisation import WAYS
from ecosystem.attribution import Definition, Finality
from ecosystem.flows import STANDARD_KINDS, Kind
from ecosystem.ledger import Ledger
from ecosystem.own_kinds import own_firms

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

EXTRA_KINDS = (
    Kind("equipment", capital=True),
    Kind("metered", operating=True),
    Kind("cancellation", operating=True),
    Kind("group_funding", financial=True, funding=True),
)
SINKS = (
    "wafers",
    "equipment",
    "staff",
    "power",
    "buildings",
    "overhead",
    "media",
    "store_fees",
    "publishers",
    "interest",
    "principal",
    "tax",
    "dividends",
    "intermediaries",
    "creditors",
)
FINAL_SOURCES = ("households", "enterprises", "advertisers", "merchants")
SERVICES: dict[tuple[str, str], Definition] = {
    ("households", "subscriptions"): "services",
    ("households", "metered"): "services",
    ("advertisers", "advertising"): "services",
    ("merchants", "commission"): "services",
    ("enterprises", "tokens"): "services",
    ("enterprises", "api_calls"): "services",
    ("enterprises", "hours"): "services",
    ("enterprises", "on_premise"): "on_premise",
    ("parents", "own_use"): "own_use",
}
"""Which payments are final demand, by (source, kind), and from which definition on."""


def finality() -> Finality:
    """Return `SERVICES` and, as services, the kinds of payment that registered ways of earning brought with them."""
    own = _own_kinds()
    return {**{(source, kind.name): "services" for source in FINAL_SOURCES for kind in own}, **SERVICES}


def _own_kinds() -> list[Kind]:
    """Return the kinds that ways of earning and own kinds of agents name as sales, and nobody else."""
    known = {kind.name for kind in (*STANDARD_KINDS, *EXTRA_KINDS)}
    named = [way.streams for way in WAYS.values()] + [kind.streams for kind in own_kinds().values()]
    streams = dict.fromkeys(stream for each in named for stream in each if stream not in known)
    return [Kind(stream, operating=True) for stream in streams]


def _transfers() -> list[Kind]:
    """Return the kinds that own kinds of agents name as payments for nothing sold, such as a levy."""
    known = {kind.name for kind in (*STANDARD_KINDS, *EXTRA_KINDS, *_own_kinds())}
    named = dict.fromkeys(name for kind in own_kinds().values() for name in kind.transfers if name not in known)
    return [Kind(name) for name in named]


def open_accounts(chain: "ValueChain") -> Ledger:
    """Return a ledger with all accounts of the scenario."""
    spec = chain.spec
    ledger = Ledger((*STANDARD_KINDS, *EXTRA_KINDS, *_own_kinds(), *_transfers()))
    for region in sorted(spec.regions):
        for source in FINAL_SOURCES:
            ledger.open_account(f"{source}.{region}", "source", tier=source, region=region)
        ledger.open_account(
            f"investors.{region}", "source", tier="investors", region=region, cash=spec.investors[region].fund
        )
    for owner in sorted({cloud.group or cloud_id for cloud_id, cloud in spec.cloud.items()} | set(spec.group)):
        ledger.open_account(f"parents.{owner}", "source", tier="parents", group=owner)
    ledger.open_account("lenders", "source", tier="lenders")
    ledger.open_account("savers", "source", tier="savers")
    for sink in SINKS:
        ledger.open_account(sink, "sink", tier=sink)
    for firm_id, firm in chain.firms.items():
        cash = _opening_cash(chain, firm_id)
        ledger.open_account(firm_id, "firm", tier=firm.tier, region=firm.region, group=firm.group, cash=cash)
        firm.purse = ledger.purse(firm_id)
    _open_own(chain, ledger)
    return ledger


def _open_own(chain: "ValueChain", ledger: Ledger) -> None:
    """Open an account for every agent of an own kind that handles money and is no firm."""
    for name, members in chain.own.members.items():
        kind = KINDS[name]
        if kind.account is None or kind.is_firm:
            continue
        for agent in members.values():
            spec = getattr(agent, "spec", None)
            cash = float(getattr(spec, "cash", 0.0)) if kind.account == "firm" else None
            region = getattr(spec, "region", None)
            ledger.open_account(agent.agent_id, kind.account, tier=name, region=region, cash=cash)


def _opening_cash(chain: "ValueChain", firm: str) -> float:
    """Return a firm's opening cash; an app that starts later has none yet."""
    spec = chain.spec
    for part in (spec.chipmaker, spec.cloud, spec.lab):
        if firm in part:
            return float(part[firm].cash)
    if firm in spec.app:
        return spec.app[firm].cash if chain.apps[firm].alive else 0.0
    return float(getattr(own_firms(spec)[firm], "cash", 0.0))
