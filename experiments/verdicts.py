"""Verdicts on claims: what a test came to, under which conditions it holds, and where an assumption flips it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.claim_files import Assumption, Claim
from experiments.places import write_json
from experiments.statistics import Interval, Verdict

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

QUICK = 4
"""Replicates of a quick test."""
WIDE = 10.0
"""Values that are this many times apart are on a log scale; between two such neighbours nothing is interpolated."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one case of a claim came to: the main one, a condition, or one value of an assumption.

    `interval` is None where fewer than two replicates have a meaning. `needed`: replicates in all that would
    settle an inconclusive case, 0 where it is settled. `note`: how many replicates have no meaning.
    """

    label: str
    interval: Interval | None
    verdict: Verdict
    needed: int
    runs_failed: int
    note: str = ""

    @property
    def span(self) -> str:
        """The interval with its level, as text; nothing where there is none."""
        if self.interval is None:
            return ""
        return with_level(f"{f.count(self.interval.low)} to {f.count(self.interval.high)}", self.interval.level)


@dataclass(frozen=True, slots=True)
class Flip:
    """Where in an assumption's range the effect crosses the threshold: between two neighbouring values.

    `at`: by interpolation, None where the two are too far apart, or where no other value says how the effect runs.
    """

    low: float
    high: float
    at: float | None

    def __str__(self) -> str:
        between = f"between {self.low:g} and {self.high:g}"
        return between if self.at is None else f"{self.at:.3g} ({between})"


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How a claim hangs on one assumption: a finding for every value, and where the effect crosses the threshold.

    `used`: the scenario's own value, `set_to`: that of the claim's treated world, NaN where there is none. `flips`:
    where the effect crosses the threshold.
    """

    assumption: Assumption
    used: float
    set_to: float
    findings: tuple[Finding, ...]
    flips: tuple[Flip, ...]

    @property
    def values_used(self) -> str:
        """Say what the claim sets and what the scenario has."""
        return values_used(self.used, self.set_to)


def with_level(span: str, level: float) -> str:
    """Return an interval as text with the level that it has."""
    return f"{span} ({100.0 * level:.3g} %)"


def values_used(scenario: float, claim: float) -> str:
    """Say what value a claim sets and what the scenario has, NaN for none."""
    has = "none" if math.isnan(scenario) else f"{scenario:g}"
    if claim == scenario or math.isnan(claim):
        return f"the scenario has {has}"
    return f"the claim sets {claim:g}; the scenario has {has}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A claim with its verdict and all that it hangs on."""

    claim: Claim
    main: Finding
    conditions: tuple[Finding, ...]
    sensitivities: tuple[Sensitivity, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict on the scenario as it is."""
        return self.main.verdict

    @property
    def remark(self) -> str:
        """Say what qualifies the verdict: that the claim is given by construction, or that replicates are missing."""
        given = f"given: {self.claim.given_because}" if self.claim.given else ""
        return "; ".join(part for part in (given, self.main.note) if part)

    @property
    def holds_when(self) -> str:
        """Say under which of the conditions the claim holds and under which not."""
        if not self.conditions:
            return ""
        by: dict[str, list[str]] = {}
        for finding in self.conditions:
            by.setdefault(finding.verdict, []).append(finding.label)
        return "; ".join(
            f"{name}: {', '.join(by[name])}" for name in ("supported", "refuted", "inconclusive") if name in by
        )


@dataclass(frozen=True)
class HypothesesResult:
    """Verdicts on a set of claims."""

    judgements: tuple[Judgement, ...]
    seed: int
    quick: bool
    fault: str | None

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Verdict by claim."""
        return {each.claim.id: each.verdict for each in self.judgements}

    def table(self) -> "pd.DataFrame":
        """Return a row a claim: verdict, effect, interval, replicates needed, when it holds, where it flips."""
        import pandas as pd

        rows = [_row(each) for each in self.judgements]
        return pd.DataFrame(rows).set_index("claim")

    def plot(self) -> "alt.LayerChart":
        """Draw every claim's effect with its interval, in distances from the threshold."""
        from experiments.hypotheses_report import chart

        return chart(self)

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one HTML file that needs no network."""
        from experiments.hypotheses_report import report

        return report(self).write(path)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        from experiments.summaries import plain

        claims = [
            {
                **_row(each),
                "source": each.claim.source,
                "refuted_by": each.claim.refuted_by,
                "conditions": [_finding(one) for one in each.conditions],
                "assumptions": [
                    {
                        "path": s.assumption.path,
                        "used": s.used,
                        "set_to": s.set_to,
                        "values": list(s.assumption.values),
                        "findings": [_finding(one) for one in s.findings],
                        "flips": [asdict(flip) for flip in s.flips],
                    }
                    for s in each.sensitivities
                ],
            }
            for each in self.judgements
        ]
        content: dict[str, Any] = plain({"seed": self.seed, "quick": self.quick, "fault": self.fault, "claims": claims})
        return content

    def save(self, path: str | Path) -> Path:
        """Write the result as JSON; RunFailure where the disk refuses."""
        return write_json(path, self.to_dict())


def flips(claim: Claim, values: Sequence[float], findings: Sequence[Finding]) -> tuple[Flip, ...]:
    """Return where over the values of an assumption the effect crosses the threshold.

    Between neighbouring values, interpolated on the scale on which they are spread; a value without a finding is
    bridged by no line.
    """
    tried = sorted(zip(values, findings, strict=True), key=lambda pair: pair[0])
    known = [(v, each.interval.estimate - claim.threshold if each.interval else None) for v, each in tried]
    log = known[0][0] > 0.0 and known[-1][0] > WIDE * known[0][0] if known else False
    crossed = []
    for (a, left), (b, right) in pairwise(known):
        if left is not None and right is not None and (left > 0.0) != (right > 0.0):
            far = len(known) < 3 or (log and b > WIDE * a)
            crossed.append(Flip(a, b, None if far else _crossing(a, b, left / (left - right), log)))
    return tuple(crossed)


def _crossing(a: float, b: float, part: float, log: bool) -> float:
    """Return the value at a part of the way from one to another, on a linear or a log scale."""
    return a * (b / a) ** part if log else a + (b - a) * part


def _row(each: Judgement) -> dict[str, Any]:
    interval = each.main.interval
    turning = [
        f"{s.assumption.path} at {f.listed([str(flip) for flip in s.flips])}" for s in each.sensitivities if s.flips
    ]
    return {
        "claim": each.claim.id,
        "statement": each.claim.statement,
        "scenario": each.claim.scenario,
        "verdict": each.verdict,
        "given": each.claim.given,
        "remark": each.remark,
        "test": each.claim.test,
        "effect": interval.estimate if interval else math.nan,
        "low": interval.low if interval else math.nan,
        "high": interval.high if interval else math.nan,
        "level": interval.level if interval else math.nan,
        "threshold": each.claim.threshold,
        "replicates": interval.n if interval else 0,
        "needed": each.main.needed,
        "runs_failed": each.main.runs_failed,
        "holds_when": each.holds_when,
        "flips": "; ".join(turning),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    interval = finding.interval
    return {
        "label": finding.label,
        "verdict": finding.verdict,
        "effect": interval.estimate if interval else math.nan,
        "low": interval.low if interval else math.nan,
        "high": interval.high if interval else math.nan,
        "level": interval.level if interval else math.nan,
        "needed": finding.needed,
        "runs_failed": finding.runs_failed,
        "note": finding.note,
    }
