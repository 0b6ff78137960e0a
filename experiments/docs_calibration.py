"""The page on the calibration: what `watersellers calibrate` found, and what of it the shipped scenarios use."""

import math
import tomllib
from collections.abc import Sequence
from typing import Any

from experiments.calibration import free_parameters
from experiments.calibration_report import widened
from experiments.checks import band_text
from experiments.worlds import EVIDENCE, read_evidence

TEXT = """# Calibration

`{command}` ({evaluations} evaluations of {seeds} replicates, code `{code}`) searched the free parameters inside their
declared ranges for the smallest distance to the targets: {before:.0f} at the values before it,
{best:.0f} at the estimates, {after:.0f} at what is taken over, with {inside} of {count} targets and {held} of {guards}
guards inside their bands. The whole result is `experiments/evidence/calibration.toml`; how a calibration works stands
in [evidence](../evidence.md).

All values on this page are those of code `{code}`, with the parameters of then: the values before, the estimates and
what the model gave at them. What the model gives now stands in [evidence](../evidence.md).

An estimate is **pinned** if its 95 % interval covers less than half of its range. **Taken over** are the estimates
whose earlier value the targets reject: after the search the earlier values are tried one after the other, the cheapest
first, and stay where chi-square does not reject all that were put back together (95 %). {widened} What is taken over is
what the scenarios ship. What else was decided:

- **Guards** are the readings of three years of `2025` with a band of two ends, and the leading lab's list price (F-P5).
  They count as far as they lie outside their band, so that a fit of the first year cannot wreck the third. The price:
  these readings are no longer a test of what was not fitted.
- "Before" are the values shipped before this calibration. Five of them (substitution and market elasticity of the
  leading chipmaker, speed of construction starts, rent slope, padding of orders) and the loss of trust are estimates
  of an earlier calibration, made before mistakes in the model were mended; this calibration does not reject them.
- The closed premium of enterprises starts at what its source says (target 15: 3.4), which gives open weights their
  share of tokens.
- The loss of trust is solved for its own target alone.
- Willingness to pay is not free: the search traded it for targets on Perplexity that are out of reach at the token
  prices of 2025. Its level is fitted to paid conversion (F-A13), what single apps deviate to their payers
  (`paid_extras`), after the calibration anew.

- An estimate may be at the end of its range because it makes up for what the model lacks. What the estimates do to
  facts that they were not fitted to, `watersellers validate --estimates experiments/evidence/calibration.toml` shows.

The table says what the scenarios use now."""


def calibration_page() -> str:
    """Return the page: every free parameter with its estimate and what is shipped, and the fit before and after."""
    result = tomllib.loads((EVIDENCE / "calibration.toml").read_text(encoding="utf-8"))
    pins = {name: each["pins"] for name, each in read_evidence("free.toml").items()}
    shipped = {each.name: each.shipped for each in free_parameters()}
    targets, guards = ([row for row in result["fit"] if row.get("guard", False) is kind] for kind in (False, True))
    text = TEXT.format(
        command=result["command"],
        evaluations=result["evaluations"],
        seeds=result["seeds"],
        code=result["fingerprint"][:12],
        before=result["distance_shipped"],
        after=result["distance"],
        best=result.get("distance_best", result["distance"]),
        inside=sum(row["inside"] for row in targets),
        count=len(targets),
        held=sum(row["inside"] for row in guards),
        guards=len(guards),
        widened=widened(result.get("misfit", math.nan)),
    )
    estimates = [_estimate(each, shipped, pins) for each in result["estimates"]]
    fits = [
        [
            (row["title"], band_text(tuple(row["band"])), _number(row.get("shipped")), _number(row.get("fitted")),
             "yes" if row["inside"] else "no", "yes" if row["searched"] else "no")
            for row in kind
        ]
        for kind in (targets, guards)
    ]  # fmt: skip
    heads_of_fit = ("band", "before", "taken over", "inside", "searched on")
    heads = ("parameter", "thought to pin it", "range", "before", "estimate", "95 % interval", "pinned", "taken over",
             "shipped now")  # fmt: skip
    return "\n\n".join(
        (
            text,
            "## Parameters",
            _rows(heads, estimates),
            "## Targets, at the values before and at those taken over",
            _rows(("target", *heads_of_fit), fits[0]),
            "## Guards, at the same",
            _rows(("guard", *heads_of_fit), fits[1]),
        )
    )


def _estimate(each: dict[str, Any], shipped: dict[str, float], pins: dict[str, str]) -> tuple[str, ...]:
    now = shipped.get(each["name"])
    taken = now is not None and math.isclose(now, each["value"], rel_tol=0.01) and now != each["shipped"]
    words = "not free" if now is None else f"**{now:.3g}**, the estimate" if taken else f"{now:.4g}"
    return (
        each["name"],
        pins.get(each["name"], ""),
        f"{each['span'][0]:g} to {each['span'][1]:g}",
        _number(each["shipped"]),
        _number(each["value"]),
        f"{each['low']:.3g} to {each['high']:.3g}",
        "yes" if each["pinned"] else "no",
        "yes" if each.get("taken", True) else "no",
        words,
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _rows(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
