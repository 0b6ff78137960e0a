"""Where each source's dollar ends, in words that people know."""

from typing import TYPE_CHECKING

from experiments.outcomes import TIER_ORDER, window

if TYPE_CHECKING:
    from experiments.runs import RunResult

KEPT = tuple(f"kept by {tier}" for tier in TIER_ORDER)
OUTSIDE = {
    "staff": "wages",
    "wafers": "making chips",
    "equipment": "making chips",
    "power": "power and buildings",
    "buildings": "power and buildings",
    "media": "media, stores, publishers",
    "store_fees": "media, stores, publishers",
    "publishers": "media, stores, publishers",
    "interest": "lenders",
    "principal": "lenders",
}
OTHER = "other costs"
PARTS = (*KEPT, *dict.fromkeys(OUTSIDE.values()), OTHER)
"""Ends of a dollar, in the order in which they are drawn."""


def dollar_ends(run: "RunResult") -> dict[str, tuple[float, dict[str, float]]]:
    """Return by source, largest first: USD that it put in over the last year, and cents of its dollar by end.

    Kept is what a tier's firms retain, pay out to owners or as tax. Sources that put in nearly nothing are
    left out.
    """
    from ecosystem.attribution import KEPT as KEPT_KINDS
    from ecosystem.attribution import follow_the_dollar

    table = follow_the_dollar(run.flows_of(window(run.months))).by_source()
    result: dict[str, tuple[float, dict[str, float]]] = {}
    for i in sorted(range(len(table.sources)), key=lambda i: -table.dollars[i]):
        if table.dollars[i] < 1e-4 * table.dollars.sum():
            continue
        ends = dict.fromkeys(PARTS, 0.0)
        for (tier, kind), share in zip(table.ends, table.share[i].tolist(), strict=True):
            kept = kind in KEPT_KINDS and tier in TIER_ORDER
            ends[f"kept by {tier}" if kept else OUTSIDE.get(kind, OTHER)] += 100.0 * share
        result[table.sources[i][0]] = (float(table.dollars[i]), ends)
    return result
