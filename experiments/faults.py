"""Planted faults: models broken on purpose, each in one mechanism.

A suite of claims that no broken model can upset proves nothing. Every fault must change the verdict of its own
claim, and of no claim that has nothing to do with the mechanism: those that do are named. A broken model has to say
something else, so a fault whose runs break off, or have no meaning, has upset nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments.claim_files import load_claims
from experiments.errors import UserError
from experiments.paired import MODEL, Crew
from experiments.places import write_json
from experiments.verdicts import QUICK

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from experiments.claim_files import Claim
    from experiments.hypothesis_tests import Progress
    from experiments.statistics import Verdict
    from experiments.verdicts import Finding

SCENARIO = "toy"
MOST = 16
"""Replicates at most of a verdict that seems to change from or to inconclusive."""


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
_BUSY = ("water-sellers-capital",)
"""What hangs on how much compute is used: more use is a higher return on the capital that serves it."""
_USE = ("no-collapse",)
"""What hangs on how much of the compute apps' users use: the rest of it has an elasticity of its own."""
_BROKEN = "experiments.broken_models"

_ALL = (
    Fault(
        "powerless-chips",
        _WATER,
        "chipmakers and clouds face entry at their own cost",
        {"chipmaker.*.entrant_cost_ratio": 1.01, "cloud.*.entrant_cost_ratio": 1.01, "mechanisms.chip_scarcity": False,
         "mechanisms.utilisation_pricing": False},
        ("glut", "equity-order", "circular-finance", "new-interaction", "no-collapse", "bullwhip"),
    ),
    Fault(
        "costless-tokens",
        ("scale-trap",),
        "apps pay nothing for tokens and hours",
        related=("flat-margin", "quota", "subscription-poor", "ai-search-first", "circular-finance", *_USE, *_WATER),
        model=f"{_BROKEN}:CostlessTokens",
    ),
    Fault(
        "equal-appetites",
        ("flat-rate",),
        "everybody wants the same number of answers",
        {"consumers.*.usage_sigma": 0.05, "consumers.*.monthly_variation": 0.05},
        ("flat-margin", "quota", "scale-trap", "subscription-poor", "api-hike", "new-interaction", "circular-finance",
         *_USE),
    ),
    Fault(
        "wild-appetites",
        ("flat-margin",),
        "a few want nearly all the answers",
        {"consumers.*.usage_sigma": 2.4},
        scenario="2025",
    ),
    Fault(
        "no-quotas",
        ("quota",),
        "quotas are not enforced",
        related=("flat-margin", "flat-rate", "scale-trap", "subscription-poor", "circular-finance", *_BUSY),
        model=f"{_BROKEN}:NoQuotas",
    ),
    Fault(
        "wasteful-saving",
        ("jevons",),
        "where a fourfold saving should come, a token takes a third more compute",
        related=("no-collapse",),
        model=f"{_BROKEN}:WastefulSaving",
    ),
    Fault(
        "euphoria",
        ("no-collapse",),
        "demand doubles on news",
        related=("jevons", "glut", "circular-finance", *_BUSY),
        model=f"{_BROKEN}:EuphoricDemand",
    ),
    Fault(
        "no-ad-response",
        ("too-many-ads",),
        "users neither mind ads nor use less nor trust less",
        {"consumers.*.ad_dislike_median": 1e-6, "consumers.*.usage_response": 0.0, "consumers.*.trust_loss": 0.0},
        ("ads-trust", *_BUSY),
    ),
    Fault(
        "no-grudge",
        ("ads-trust",),
        "users use less at once where there are ads, but neither leave for them nor lose trust",
        {"consumers.*.ad_dislike_median": 1e-6, "consumers.*.trust_loss": 0.0},
        ("too-many-ads",),
    ),
    Fault(
        "rich-users",
        ("subscription-poor",),
        "everybody would pay ten times as much",
        {"consumers.*.casual_median": 22.0},
        ("flat-rate", "flat-margin", "quota", "scale-trap", "new-interaction", "circular-finance", "ai-search-first",
         "api-hike", *_WATER),
    ),
    Fault(
        "no-make-or-buy", ("api-hike",), "buyers never build", {"mechanisms.make_or_buy": False}, scenario="2025"
    ),
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
        "hosts sell open models at a tenth of the owner's price",
        related=("open-host", "scale-trap", "no-collapse", "circular-finance", *_WATER),
        model=f"{_BROKEN}:GenerousHosts",
    ),
    Fault("loyal-users", ("bought-users",), "bought users never review", {"consumers.*.trial_review": 0.0}),
    Fault("generous-merchants", ("new-interaction",), "merchants leave apps half, and groups get none of it",
          related=("subscription-poor",), model=f"{_BROKEN}:GenerousMerchants"),
    Fault("no-freeze", ("glut",), "demand never freezes", model=f"{_BROKEN}:NoFreeze"),
    Fault("funded-demand", ("funding",), "demand follows the investors' inflow", model=f"{_BROKEN}:FundedDemand"),
    Fault(
        "lavish-leader",
        ("circular-finance",),
        "what a chipmaker means to put into its customers is paid three times",
        model=f"{_BROKEN}:LavishLeader",
    ),
    Fault(
        "no-money-in-search",
        ("ai-search-first",),
        "there is no money in ads, and AI search in the West costs a cent",
        {"advertisers.*.budget": 1.0, "app.perplexity.tiers.pro.price": 0.01, "app.new_bing.tiers.pro.price": 0.01,
         "app.brave.tiers.premium.price": 0.01, "app.nami.tiers.member.price": 0.01},
        scenario="2025",
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


Cell = Literal["upset", "missed", "related", "stray", "kept"]
"""What a fault did to a claim: its own changed, or did not; another changed that may, or that may not; no change."""


@dataclass(frozen=True, slots=True)
class FaultCheck:
    """What one fault did to one claim: verdicts and effects (NaN where unknown) of the sound and the broken model."""

    fault: str
    claim: str
    sound: "Verdict"
    broken: "Verdict"
    own: bool
    related: bool
    sound_effect: float = math.nan
    broken_effect: float = math.nan
    threshold: float = math.nan
    runs_failed: int = 0

    @property
    def measured(self) -> bool:
        """Whether all runs of both models came to an end and had a meaning."""
        return self.runs_failed == 0 and math.isfinite(self.sound_effect) and math.isfinite(self.broken_effect)

    @property
    def upset(self) -> bool:
        """Whether the verdict turned round, or changed with an effect on the other side of the threshold."""
        if not self.measured or self.sound == self.broken:
            return False
        sides = (self.sound_effect - self.threshold) * (self.broken_effect - self.threshold)
        return "inconclusive" not in (self.sound, self.broken) or sides < 0.0

    @property
    def kind(self) -> Cell:
        """What the fault did to the claim. A model that only breaks off upsets no claim of its own."""
        if self.own:
            return "upset" if self.upset else "missed"
        if not self.upset and (self.measured or self.sound == self.broken):
            return "kept"
        return "related" if self.related else "stray"

    @property
    def passed(self) -> bool:
        """Whether the fault upset its own claim, or left an unrelated one as it was."""
        return self.kind not in ("missed", "stray")


@dataclass(frozen=True)
class FaultsResult:
    """What some planted faults did to the claims that their scenarios can test."""

    checks: tuple[FaultCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every fault upset its own claims and no unrelated one."""
        return all(check.passed for check in self.checks)

    def of(self, fault: str, *kinds: Cell) -> list[FaultCheck]:
        """Return the checks of one fault, of some kinds."""
        return [check for check in self.checks if check.fault == fault and check.kind in kinds]

    @property
    def faults(self) -> list[str]:
        """The faults that were planted, in order."""
        return list(dict.fromkeys(check.fault for check in self.checks))

    def table(self) -> "pd.DataFrame":
        """Return a row a fault and claim: verdicts, effects, kind and whether it is as it should be."""
        import pandas as pd

        return pd.DataFrame(self._rows()).set_index(["fault", "claim"])

    def plot(self) -> "alt.LayerChart":
        """Draw faults by claims, coloured by what became of the verdict."""
        from experiments.faults_report import chart

        return chart(self)

    def to_html(self, path: "str | Path") -> Path:
        """Write the report as one HTML file that needs no network."""
        from experiments.faults_report import report

        return report(self).write(path)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        from experiments.fingerprint import fingerprint
        from experiments.summaries import plain

        faults = {name: {"words": FAULTS[name].words, "scenario": FAULTS[name].scenario} for name in self.faults}
        content: dict[str, Any] = plain(
            {
                "fingerprint": fingerprint(),
                "replicates": QUICK,
                "most_replicates": MOST,
                "passed": self.passed,
                "faults": faults,
                "checks": self._rows(),
            }
        )
        return content

    def save(self, path: "str | Path") -> Path:
        """Write the result as JSON; RunFailure where the disk refuses."""
        return write_json(path, self.to_dict())

    def _rows(self) -> list[dict[str, Any]]:
        return [{**asdict(check), "kind": check.kind, "passed": check.passed} for check in self.checks]


def chosen(names: "Sequence[str] | None") -> list[Fault]:
    """Return the faults of some names, all without names; UserError for an unknown one."""
    for name in names or []:
        if name not in FAULTS:
            raise UserError(f"there is no fault {name!r}; there are {', '.join(FAULTS)}")
    return [FAULTS[name] for name in names or FAULTS]


def _of_claims(faults: list[Fault], claims: "Sequence[str] | None") -> list[Fault]:
    """Return the faults that must upset one of some claims, all without claims; UserError for unknown ones."""
    if not claims:
        return faults
    load_claims(claims)
    if found := [fault for fault in faults if set(fault.claims) & set(claims)]:
        return found
    names = ", ".join(fault.name for fault in faults)
    raise UserError(f"none of the planted faults {names} must upset {', '.join(claims)}")


def check_faults(
    faults: "Sequence[str] | None" = None,
    *,
    diagonal: bool = False,
    claims: "Sequence[str] | None" = None,
    workers: int | None = None,
    progress: "Progress | None" = None,
) -> FaultsResult:
    """Plant faults and test claims on the broken models: all that the fault's scenario can test, or its own only.

    `claims`: test only these, by the faults among `faults` that must upset one of them; UserError where none does.
    A verdict that seems to change from or to inconclusive is tested again in both models with more replicates, up to
    16: a claim whose effect lies at its threshold changes its verdict with the draw, whatever is broken.
    """
    from experiments.hypothesis_tests import Court

    checks: list[FaultCheck] = []
    sound: dict[str, tuple[Court, dict[str, Finding]]] = {}
    planted = _of_claims(chosen(faults), claims)
    with Crew(workers, progress) as crew:
        for fault in planted:
            own = list(fault.claims) if diagonal or fault.scenario != SCENARIO else None
            tested = [c for c in load_claims(own, scenario=fault.scenario) if not claims or c.id in claims]
            court, known = sound.setdefault(fault.scenario, (Court(crew, None, {}, None, vary=False), {}))
            if missing := [claim for claim in tested if claim.id not in known]:
                known |= court.settle(missing, quick=True, most=None)
            faulty = Court(crew, None, {}, fault, vary=False)
            broken = faulty.settle(tested, quick=True, most=None)
            if unsure := [claim for claim in tested if _unsure(known[claim.id], broken[claim.id])]:
                known |= court.settle(unsure, quick=False, most=MOST)
                broken |= faulty.settle(unsure, quick=False, most=MOST)
            checks += [_check(fault, claim, known[claim.id], broken[claim.id]) for claim in tested]
    return FaultsResult(tuple(checks))


def _unsure(sound: "Finding", broken: "Finding") -> bool:
    """Whether a verdict changed from or to inconclusive."""
    verdicts = {sound.verdict, broken.verdict}
    return len(verdicts) == 2 and "inconclusive" in verdicts


def _check(fault: Fault, claim: "Claim", sound: "Finding", broken: "Finding") -> FaultCheck:
    return FaultCheck(
        fault.name,
        claim.id,
        sound.verdict,
        broken.verdict,
        own=claim.id in fault.claims,
        related=claim.id in fault.related,
        sound_effect=_effect(sound),
        broken_effect=_effect(broken),
        threshold=claim.threshold,
        runs_failed=sound.runs_failed + broken.runs_failed,
    )


def _effect(finding: "Finding") -> float:
    return finding.interval.estimate if finding.interval else math.nan
