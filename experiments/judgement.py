"""Draws of the judgement parameters: what a replicate believes where the facts leave room."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecosystem.provenance import ParameterRow
    from ecosystem.spec import Spec

TRIES = 20
NARROWING = 0.8
"""A draw that cannot be opened is drawn again, each time nearer to the scenario's own values."""


def drawn(spec: "Spec", seed: int, replicate: int) -> "Spec":
    """Return the scenario with every uncertain parameter drawn from its plausible range.

    One draw of a rank holds for all firms of a kind: a parameter of labs is high or low for all of them. The ranks
    are uniform; the scenario's own value is the middle one. Draws whose opening cannot balance are repeated closer
    to the scenario. SpecError if none can.
    """
    import numpy as np

    from ecosystem.spec import SpecError

    rows = [row for row in spec.parameters() if _uncertain(row)]
    kinds = sorted({_kind(row.path) for row in rows})
    width = 1.0
    for attempt in range(TRIES):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(replicate, attempt, 0x6A)))
        ranks = dict(zip(kinds, (width * (2.0 * rng.random(len(kinds)) - 1.0)).tolist(), strict=True))
        changes = {row.path: _at(row, ranks[_kind(row.path)]) for row in rows}
        try:
            changed = spec.with_overrides(changes)
            _open(changed, seed)
            return changed
        except SpecError:
            width *= NARROWING
    raise SpecError(f"{spec.name}: no draw of the judgement parameters can be opened")


def _uncertain(row: "ParameterRow") -> bool:
    number = isinstance(row.value, int | float) and not isinstance(row.value, bool)
    return row.role == "uncertainty" and row.span is not None and number and ".earning." not in row.path


def _kind(path: str) -> str:
    """Return the parameter's name without the firm or region that has it."""
    parts = path.split(".")
    return ".".join([parts[0], *parts[2:]]) if len(parts) > 2 else path


def _at(row: "ParameterRow", rank: float) -> Any:
    """Return the value at a rank: -1 the low end of the range, 0 the scenario's own, 1 the high end."""
    assert row.span is not None
    low, high = min(row.span[0], row.value), max(row.span[1], row.value)
    value = row.value + rank * ((high - row.value) if rank > 0.0 else (row.value - low))
    return round(value) if isinstance(row.value, int) else float(value)


def _open(spec: "Spec", seed: int) -> None:
    """Open the scenario, to see whether it can be."""
    from ecosystem.model import ValueChain

    ValueChain(spec, rng=seed).release()
