"""Draws of the judgement parameters: what a replicate believes where the facts leave room."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecosystem.provenance import ParameterRow
    from ecosystem.spec import Spec

TRIES, NARROWING = 25, 0.85
"""Changes that cannot be opened are made again, each time nearer to the scenario's own values."""


def drawn(spec: "Spec", seed: int, replicate: int) -> "Spec":
    """Return the scenario with every uncertain parameter drawn from its plausible range.

    One draw of a rank holds for all firms of a kind: a parameter of labs is high or low for all of them. The ranks
    are uniform; the scenario's own value is the middle one. Draws whose opening cannot balance are repeated closer
    to the scenario. SpecError if none can.
    """
    import numpy as np

    rows = [row for row in spec.parameters() if _uncertain(row)]
    kinds = sorted({kind_of(row.path) for row in rows})

    def changes(attempt: int, width: float) -> dict[str, Any]:
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(replicate, attempt, 0x6A)))
        ranks = dict(zip(kinds, (width * (2.0 * rng.random(len(kinds)) - 1.0)).tolist(), strict=True))
        return {row.path: _at(row, ranks[kind_of(row.path)]) for row in rows}

    return spec.with_overrides(that_open(spec, changes, seed))


def that_open(spec: "Spec", changes: "Callable[[int, float], dict[str, Any]]", seed: int) -> dict[str, Any]:
    """Return the first changes with which the scenario can be opened; SpecError if none of them can.

    `changes` gets the number of the attempt, from 0, and how wide the changes are, 1 in the first attempt and
    narrower in each that follows.
    """
    from ecosystem.model import ValueChain
    from ecosystem.spec import SpecError

    for attempt in range(TRIES):
        tried = changes(attempt, NARROWING**attempt)
        try:
            ValueChain(spec.with_overrides(tried), rng=seed).release()
            return tried
        except SpecError as error:
            refused = error
    raise SpecError(f"{spec.name}: no change of the judgement parameters can be opened: {refused}")


def kind_of(path: str) -> str:
    """Return a parameter's name without the firm, region or event that has it."""
    parts = path.split(".")
    return ".".join([parts[0], *parts[2:]]) if len(parts) > 2 else path


def _uncertain(row: "ParameterRow") -> bool:
    number = isinstance(row.value, int | float) and not isinstance(row.value, bool)
    return row.role == "uncertainty" and row.span is not None and number and ".earning." not in row.path


def _at(row: "ParameterRow", rank: float) -> Any:
    """Return the value at a rank: -1 the low end of the range, 0 the scenario's own, 1 the high end."""
    assert row.span is not None
    low, high = min(row.span[0], row.value), max(row.span[1], row.value)
    value = row.value + rank * ((high - row.value) if rank > 0.0 else (row.value - low))
    return round(value) if isinstance(row.value, int) else float(value)
