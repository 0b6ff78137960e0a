"""Opening the ledger: every source, sink and firm of a scenario."""

from typing import TYPE_CHECKING

from agents.monetisation import WAYS
from ecosystem.attribution import Definition, Finality
from ecosystem.flows import STANDARD_KINDS, Kind
from ecosystem.ledger import Ledger

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
    return {**{(source, kind.name): "services" for source in FINAL_SOURCES for kind in _own_kinds()}, **SERVICES}


def _own_kinds() -> list[Kind]:
    """Return the kinds that ways of earning name and nobody else."""
    known = {kind.name for kind in (*STANDARD_KINDS, *EXTRA_KINDS)}
    streams = dict.fromkeys(stream for way in WAYS.values() for stream in way.streams if stream not in known)
    return [Kind(stream, operating=True) for stream in streams]


def open_accounts(chain: "ValueChain") -> Ledger:
    """Return a ledger with all accounts of the scenario."""
    spec = chain.spec
    ledger = Ledger((*STANDARD_KINDS, *EXTRA_KINDS, *_own_kinds()))
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
    return ledger


def _opening_cash(chain: "ValueChain", firm: str) -> float:
    """Return a firm's opening cash; an app that starts later has none yet."""
    spec = chain.spec
    for part in (spec.chipmaker, spec.cloud, spec.lab):
        if firm in part:
            return float(part[firm].cash)
    return spec.app[firm].cash if chain.apps[firm].alive else 0.0
