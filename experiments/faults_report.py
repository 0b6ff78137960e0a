"""Words, chart and HTML report of planted faults."""

from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.charts import inline
from experiments.faults import FAULTS, MOST, FaultCheck, FaultsResult

if TYPE_CHECKING:
    import altair as alt

    from experiments.reports import Report

HEADS = ("fault", "what is broken", "own claims, sound to broken", "others that changed", "check")
KINDS = {
    "upset": "own claim upset, as it must be",
    "related": "related claim upset, as it may be",
    "kept": "as it was",
    "missed": "own claim not upset: FAILED",
    "stray": "unrelated claim upset: FAILED",
}
_COLOURS = ("#2a7f62", "#9ccbb5", "#e6e6e6", "#b3261e", "#f2a65a")


def rows(result: FaultsResult) -> list[list[str]]:
    """Return a row a fault: what is broken, what became of its own claims, what else changed, and the verdict."""
    found = []
    for name in result.faults:
        fault = FAULTS[name]
        own = "; ".join(f"{c.claim}: {_turn(c)}" for c in result.of(name, "upset", "missed"))
        others = [f"{c.claim} (related)" for c in result.of(name, "related")]
        others += [f"{c.claim} (UNRELATED): {_turn(c)}" for c in result.of(name, "stray")]
        words = fault.words if fault.scenario == "toy" else f"{fault.words} (on {fault.scenario})"
        failed = result.of(name, "missed", "stray")
        found.append([name, words, own, ", ".join(others) or "none", "FAIL" if failed else "ok"])
    return found


def lead(result: FaultsResult) -> str:
    """Say in two sentences how the faults came out."""
    count = {kind: sum(check.kind == kind for check in result.checks) for kind in KINDS}
    sound = sum(not result.of(name, "missed", "stray") for name in result.faults)
    return (
        f"{sound} of {len(result.faults)} planted faults do what they must: each upsets its own claims and no "
        f"unrelated one. Of {len(result.checks)} verdicts those of {count['upset']} own claims changed and those of "
        f"{count['missed']} did not; {count['related']} of related claims changed, {count['stray']} of unrelated "
        f"ones, and {count['kept']} are as they were."
    )


def chart(result: FaultsResult) -> "alt.LayerChart":
    """Draw faults by claims, coloured by what became of the verdict."""
    import altair as alt

    cells = [
        {"fault": c.fault, "claim": c.claim, "kind": KINDS[c.kind], "sound": c.sound, "broken": c.broken,
         "effects": f"{f.digits(c.sound_effect)} to {f.digits(c.broken_effect)}"}
        for c in result.checks
    ]  # fmt: skip
    claims = sorted({check.claim for check in result.checks})
    colour = alt.Color(
        "kind:N", title=None, sort=list(KINDS.values()),
        scale=alt.Scale(domain=list(KINDS.values()), range=list(_COLOURS)),
        legend=alt.Legend(orient="top", columns=1, labelLimit=400),
    )  # fmt: skip
    drawn: Any = (
        alt.Chart(inline(cells))
        .mark_rect(stroke="white")
        .encode(
            x=alt.X("claim:N", sort=claims, title=None, axis=alt.Axis(orient="top", labelAngle=-60, labelLimit=220)),
            y=alt.Y("fault:N", sort=result.faults, title=None, axis=alt.Axis(labelLimit=220)),
            color=colour,
            tooltip=["fault:N", "claim:N", "kind:N", "sound:N", "broken:N", "effects:N"],
        )
    )
    layered: Any = alt.layer(drawn)
    sized: alt.LayerChart = layered.properties(width="container", height=max(24 * len(result.faults), 120))
    return sized


def report(result: FaultsResult) -> "Report":
    """Return the report of planted faults."""
    from experiments.reports import Report
    from experiments.verdicts import QUICK

    facts = {"check": "passed" if result.passed else "FAILED", "replicates": f"{QUICK}, {MOST} where unsure"}
    page = Report("Planted faults", lead(result), facts)
    section = page.section("What each broken model upsets")
    section.text(
        "A suite of claims that no broken model can upset proves nothing. Here the model is broken on purpose, one "
        "mechanism at a time. A fault must change the verdict of its own claims: turn it round, or take the effect to "
        "the other side of the threshold; that runs break off is no such change. Of others only those may change that "
        "hang on the same mechanism, and those were named before."
    )
    section.table("Faults", list(HEADS), rows(result), words=True)
    note = "Hover a cell for verdicts and effects."
    section.chart("Faults by claims", chart(result), note=note, wide=True, scroll=True)
    return page


def _turn(check: FaultCheck) -> str:
    if check.runs_failed:
        return f"{check.sound}, but runs broke off"
    if not check.measured:
        return f"{check.sound}, but runs have no meaning"
    if check.sound == check.broken:
        return f"still {check.sound}"
    return f"{check.sound} to {check.broken}"
