"""The page on the calibration: what `watersellers calibrate` found, and the scenarios ship."""

import math
from collections.abc import Sequence

from experiments.calibration import CalibrationResult, Estimate
from experiments.calibration_report import widened
from experiments.checks import band_text
from experiments.worlds import EVIDENCE, read_evidence

TEXT = """# Calibration

`{command}` ({evaluations} evaluations of {seeds} replicates, code `{code}`; its last call took
{minutes:.0f} minutes, with what the journal held already) searched the free parameters inside their declared ranges
for the smallest distance to the targets and to the prior. The distance to the targets is {before:.0f} at the values
before it and {after:.0f} at the estimates, with {inside} of {count} targets and {held} of {guards} guards inside their
bands. The estimates are what the scenarios ship. The whole result is `experiments/evidence/calibration.toml`; how a
calibration works stands in [evidence](../evidence.md).

The values before, the estimates and what the model gave at them are those of code `{code}`. What the model gives now
stands in [evidence](../evidence.md).

- **The prior** of a parameter lies around our judgement before the calibration, in view of its source
  (`experiments/evidence/free.toml`), with the variance of a flat one over the declared range. So a parameter that the
  targets hardly see stays near that judgement, and is drawn back from the end of its range, where it would make up for
  what the model lacks. Some of those sources are targets, too: prior and target are not independent then.
- **Misfit.** {widened}
- An estimate is **pinned** if the targets leave less than half of its prior's standard deviation. The others are mostly
  the prior: judgement inside their ranges, which the targets hardly tell apart.
- **Guards** are the readings of three years of `2025` with a band of two ends, and the leading lab's list price (F-P5).
  They count as far as they lie outside their band, so that a fit of the first year cannot wreck the third. The price:
  these readings are no longer a test of what was not fitted.
- The loss of trust is solved for its own target alone and not drawn to its prior.
- Willingness to pay is not free: the search traded it for targets on Perplexity that are out of reach at the token
  prices of 2025. Its level is fitted to paid conversion (F-A13), what single apps deviate to their payers
  (`paid_extras`), after the calibration anew.

What a calibration's estimates do to facts that they were not fitted to, `watersellers validate --estimates RESULT.toml`
shows before anything is shipped."""


def calibration_page() -> str:
    """Return the page: every free parameter with its estimate and what is shipped, and the fit before and after."""
    result = CalibrationResult.load(EVIDENCE / "calibration.toml")
    pins = {name: each["pins"] for name, each in read_evidence("free.toml").items()}
    targets, guards = ([row for row in result.fit if row.guard is kind] for kind in (False, True))
    text = TEXT.format(
        command=result.command,
        evaluations=result.evaluations,
        seeds=result.seeds,
        code=result.fingerprint[:12],
        before=result.distance_shipped,
        after=result.distance,
        minutes=result.seconds / 60.0,
        inside=sum(row.inside for row in targets),
        count=len(targets),
        held=sum(row.inside for row in guards),
        guards=len(guards),
        widened=widened(result.misfit),
    )
    estimates = [_estimate(each, pins) for each in result.estimates]
    fits = [
        [
            (row.title, band_text(row.band), _number(row.shipped), _number(row.fitted), "yes" if row.inside else "no",
             "yes" if row.searched else "no")
            for row in kind
        ]
        for kind in (targets, guards)
    ]  # fmt: skip
    heads_of_fit = ("band", "before", "estimate", "inside", "searched on")
    heads = ("parameter", "thought to pin it", "range", "prior", "before", "estimate and shipped", "95 % interval",
             "pinned")  # fmt: skip
    return "\n\n".join(
        (
            text,
            "## Parameters",
            _rows(heads, estimates),
            "## Targets, at the values before and at the estimates",
            _rows(("target", *heads_of_fit), fits[0]),
            "## Guards, at the same",
            _rows(("guard", *heads_of_fit), fits[1]),
        )
    )


def _estimate(each: Estimate, pins: dict[str, str]) -> tuple[str, ...]:
    return (
        each.name,
        pins.get(each.name, ""),
        f"{each.span[0]:g} to {each.span[1]:g}",
        _number(each.prior),
        _number(each.shipped),
        _number(each.value),
        f"{each.low:.3g} to {each.high:.3g}",
        "yes" if each.pinned else "no",
    )


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def _rows(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
