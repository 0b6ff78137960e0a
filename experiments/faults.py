"""Planted faults: models broken on purpose, each in one mechanism.

A suite of claims that no broken model can upset proves nothing. Every fault must change the verdict of its own
claim, and of no claim that has nothing to do with the mechanism: those that do are named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.claim_files import load_claims
from experiments.errors import UserError
from experiments.paired import MODEL

if TYPE_CHECKING:
    from experiments.hypothesis_tests import Progress
    from experiments.statistics import Verdict

SCENARIO = "toy"


@dataclass(frozen=True, slots=True)
class Fault:
    """One planted fault: the claims that it must upset, and others that hang on the same mechanism.

    `set`: overrides of all worlds, `*` in a path for every entry. `model`: the model class, for faults that no
    parameter can express.
    """

    name: str
    claims: tuple[str, ...]
    words: str
    set: Mapping[str, Any] = field(default_factory=dict)
    related: tuple[str, ...] = ()
    model: str = MODEL
    scenario: str = SCENARIO


_WATER = ("water-sellers-value-added", "water-sellers-capital", "water-sellers-cents")
_BROKEN = "experiments.broken_models"

_ALL = (
    Fault(
        "powerless-chips",
        _WATER,
        "chipmakers and clouds face entry at their own cost",
        {"chipmaker.*.entrant_cost_ratio": 1.01, "cloud.*.entrant_cost_ratio": 1.01, "mechanisms.chip_scarcity": False,
         "mechanisms.utilisation_pricing": False},
        ("glut", "equity-order", "circular-finance", "new-interaction", "no-collapse"),
    ),
    Fault(
        "costless-tokens",
        ("scale-trap",),
        "apps pay nothing for tokens and hours",
        related=("flat-margin", "quota", "subscription-poor", *_WATER),
        model=f"{_BROKEN}:CostlessTokens",
    ),
    Fault(
        "equal-appetites",
        ("flat-rate",),
        "everybody wants the same number of answers",
        {"consumers.*.usage_sigma": 0.05, "consumers.*.monthly_variation": 0.05},
        ("flat-margin", "quota", "scale-trap", "subscription-poor", "api-hike", "new-interaction", "circular-finance"),
    ),
    Fault(
        "equal-appetites-2025",
        ("flat-margin",),
        "everybody wants the same number of answers",
        {"consumers.*.usage_sigma": 0.05, "consumers.*.monthly_variation": 0.05},
        scenario="2025",
    ),
    Fault(
        "no-quotas",
        ("quota",),
        "quotas are not enforced",
        related=("flat-margin", "flat-rate", "scale-trap", "subscription-poor", "circular-finance"),
        model=f"{_BROKEN}:NoQuotas",
    ),
    Fault("lost-saving", ("jevons",), "savings never arrive", related=("no-collapse",), model=f"{_BROKEN}:LostSaving"),
    Fault("panic", ("no-collapse",), "demand collapses on news", related=("jevons",), model=f"{_BROKEN}:PanicDemand"),
    Fault(
        "no-ad-response",
        ("ads-trust", "too-many-ads"),
        "users neither mind ads nor use less nor trust less",
        {"consumers.*.ad_dislike_median": 1e-6, "consumers.*.usage_response": 0.0, "consumers.*.trust_loss": 0.0},
    ),
    Fault(
        "rich-users",
        ("subscription-poor",),
        "everybody would pay ten times as much",
        {"consumers.*.casual_median": 22.0},
        ("flat-rate", "flat-margin", "quota", "scale-trap", "new-interaction", "circular-finance", *_WATER),
    ),
    Fault("no-make-or-buy", ("api-hike",), "buyers never build", {"mechanisms.make_or_buy": False}),
    Fault(
        "steady-orders",
        ("bullwhip",),
        "clouds are seen to order the same every month",
        model=f"{_BROKEN}:SteadyOrders",
    ),
    Fault("no-news", ("equity-order",), "investors do not believe the news", {"investors.*.credence": 0.0}),
    Fault(
        "perfect-hosts",
        ("open-host",),
        "hosts serve at half the owner's cost",
        related=("open-weights",),
        model=f"{_BROKEN}:PerfectHosts",
    ),
    Fault(
        "generous-hosts",
        ("open-weights",),
        "hosts give open models away",
        related=("open-host", "scale-trap", *_WATER),
        model=f"{_BROKEN}:GenerousHosts",
    ),
    Fault("loyal-users", ("bought-users",), "bought users never review", {"consumers.*.trial_review": 0.0}),
    Fault("no-commissions", ("new-interaction",), "merchants pay nothing", related=("subscription-poor",),
          model=f"{_BROKEN}:NoCommissions"),
    Fault("no-freeze", ("glut",), "demand never freezes", model=f"{_BROKEN}:NoFreeze"),
    Fault("funded-demand", ("funding",), "demand follows the investors' inflow", model=f"{_BROKEN}:FundedDemand"),
    Fault(
        "no-circular-finance",
        ("circular-finance",),
        "chipmakers put nothing into customers",
        {"mechanisms.circular_finance": False},
    ),
    Fault(
        "no-money-in-search",
        ("ai-search-first",),
        "there is no money in ads, and search costs a cent",
        {"advertisers.*.budget": 1.0, "app.search.tiers.pro.price": 0.01},
        ("too-many-ads", "subscription-poor", "quota", "scale-trap"),
    ),
    Fault(
        "open-borders",
        ("export-control",),
        "export rules stop nothing",
        model=f"{_BROKEN}:OpenBorders",
        scenario="2025",
    ),
)  # fmt: skip
FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ALL}
"""All planted faults by name."""


@dataclass(frozen=True, slots=True)
class FaultCheck:
    """What one fault did to one claim."""

    fault: str
    claim: str
    sound: "Verdict"
    broken: "Verdict"
    own: bool
    related: bool

    @property
    def passed(self) -> bool:
        """Whether the fault upset its own claim, or left an unrelated one as it was."""
        flipped = self.sound != self.broken
        return flipped if self.own else self.related or not flipped


def chosen(names: "list[str] | None") -> list[Fault]:
    """Return the faults of some names, all without names; UserError for an unknown one."""
    for name in names or []:
        if name not in FAULTS:
            raise UserError(f"there is no fault {name!r}; there are {', '.join(FAULTS)}")
    return [FAULTS[name] for name in names or FAULTS]


def check_faults(
    faults: "list[str] | None" = None,
    *,
    diagonal: bool = False,
    workers: int | None = None,
    progress: "Progress | None" = None,
) -> list[FaultCheck]:
    """Plant faults and test claims on the broken models: all that the fault's scenario can test, or its own only."""
    from experiments.hypothesis_tests import hypotheses

    checks: list[FaultCheck] = []
    sound: dict[str, dict[str, Verdict]] = {}
    for fault in chosen(faults):
        own = list(fault.claims) if diagonal or fault.scenario != SCENARIO else None
        known = sound.setdefault(fault.scenario, {})
        names = own or [claim.id for claim in load_claims(scenario=fault.scenario)]
        missing = [name for name in names if name not in known]
        if missing:
            known |= hypotheses(
                missing, scenario=fault.scenario, quick=True, workers=workers, progress=progress
            ).verdicts
        broken = hypotheses(
            names, scenario=fault.scenario, quick=True, workers=workers, fault=fault, progress=progress
        ).verdicts
        checks += [
            FaultCheck(fault.name, name, known[name], broken[name], name in fault.claims, name in fault.related)
            for name in names
        ]
    return checks
