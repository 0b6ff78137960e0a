"""One deployment explained: time and binding resource per operation, dollars that add up."""

import math
from dataclasses import dataclass

import numpy as np

from ecosystem.inference.cards import Accelerator, ModelCard, find_accelerator, find_model
from ecosystem.inference.deployment import Workload, cached_seconds, memory_batch, saturate, weight_bytes
from ecosystem.inference.efficiencies import Efficiencies, shipped
from ecosystem.inference.machines import machine, stack
from ecosystem.inference.records import Layout, Load, Machine, Operation
from ecosystem.inference.roofline import hidden_communication, step_operations
from ecosystem.inference.serving import CHUNK
from ecosystem.inference.tiers import TIERS, Tier, TierName, layouts, weight_formats

SECONDS_PER_HOUR = 3600.0
MEGA = 1e6
NEVER = 1e300
"""Seconds that stand for infinity in a weighted sum."""


class InfeasibleDeploymentError(ValueError):
    """A deployment that does not fit in memory or cannot keep the latency promise."""


@dataclass(frozen=True, slots=True)
class OperationCost:
    """One operation of a step: milliseconds by resource, what binds it, dollars per Mtok."""

    name: str
    ms: float
    binding: str
    bandwidth_ms: float
    arithmetic_ms: float
    network_ms: float
    fixed_ms: float
    usd_per_mtok: float


@dataclass(frozen=True, slots=True)
class PhaseCost:
    """A step of one phase; `usd_per_mtok` is the exact sum of operations, hidden time and idling."""

    step_ms: float
    tokens_per_second_per_accelerator: float
    operations: tuple[OperationCost, ...]
    usd_per_mtok: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where the time and the money of one deployment go."""

    model: str
    accelerator: str
    tier: TierName
    weights: str
    layout: dict[str, float]
    accelerators: int
    weight_gb_per_accelerator: float
    batch: float
    batch_by_memory: float
    limited_by: str
    tpot_ms: float
    rent: float
    utilisation: float
    decode: PhaseCost
    prefill: PhaseCost
    usd_per_mtok: dict[str, float]
    """By token class: input, cached, output, and billed_input (the mix of fresh and cached input)."""


def _layout_names(spread: Layout) -> dict[str, float]:
    names = ("tp", "dp", "ep", "pp", "overlap", "redundancy")
    return {name: float(getattr(spread, name)) for name in names}


def _phase(
    deployed: Machine, load: Load, eff: Efficiencies, tokens: float, usd_per_second: float, utilisation: float
) -> PhaseCost:
    """Take one step apart; `tokens` is what the step yields per attention rank, `usd_per_second` its rent."""
    operations = step_operations(deployed, load, eff)
    per_mtok = usd_per_second / tokens * MEGA
    hidden = -float(hidden_communication(deployed, operations))
    costs = [_operation(operation, per_mtok) for operation in operations if float(operation.seconds) > 0]
    if hidden:
        costs.append(OperationCost("hidden communication", 1e3 * hidden, "-", 0.0, 0.0, 0.0, 0.0, hidden * per_mtok))
    step = math.fsum(cost.ms for cost in costs) / 1e3
    if utilisation < 1.0:
        idle = step * (1.0 / utilisation - 1.0)
        costs.append(OperationCost("idle capacity", 0.0, "demand", 0.0, 0.0, 0.0, 0.0, idle * per_mtok))
    ranks = float(deployed.layout.tp)
    total = math.fsum(cost.usd_per_mtok for cost in costs)
    return PhaseCost(1e3 * step, tokens / (step * ranks), tuple(costs), total)


def _operation(operation: Operation, per_mtok: float) -> OperationCost:
    return OperationCost(
        operation.name,
        1e3 * float(operation.seconds),
        str(operation.binding),
        1e3 * float(operation.memory),
        1e3 * float(operation.arithmetic),
        1e3 * float(operation.network),
        1e3 * float(operation.fixed),
        float(operation.seconds) * per_mtok,
    )


def _choices(
    card: ModelCard, chip: Accelerator, tier: Tier, weights: str | None, spread: Layout | None
) -> list[tuple[str, Layout]]:
    widths = (weights,) if weights else weight_formats(tier, card, chip)
    spreads = [spread] if spread else layouts(tier, card)
    return [(width, shape) for width in widths for shape in spreads]


def explain(
    model: str,
    accelerator: str,
    work: Workload,
    *,
    tier: TierName = "tuned",
    weights: str | None = None,
    spread: Layout | None = None,
    batch: float | None = None,
    rent: float = 2.0,
    utilisation: float = 1.0,
    verified: float = 1.0,
    accepted: float = 1.0,
) -> Explanation:
    """Explain one deployment; the cheapest of the tier's layouts and formats where they are not given.

    Raises `InfeasibleDeploymentError` where nothing fits or keeps the promise, `UnknownCardError` for a bad
    name.
    """
    card, chip, habits = find_model(model), find_accelerator(accelerator), TIERS[tier]
    eff = habits.engine(shipped())
    choices = _choices(card, chip, habits, weights, spread)
    machines = stack([machine(card, chip, width, shape) for width, shape in choices])
    capacity = saturate(
        machines, work, eff, disaggregated=habits.disaggregated, batch_cap=batch or habits.batch_cap,
        verified=verified, accepted=accepted,
    )  # fmt: skip
    prompt = work.input_len / work.output_len
    mix = np.array([prompt * (1.0 - work.cached_share), prompt * work.cached_share, 1.0])
    if not capacity.feasible.any():
        _refuse(card, chip, machines, work)
    seconds = np.where(capacity.feasible[:, np.newaxis], capacity.seconds, NEVER)
    best = int(np.argmin(seconds @ mix))
    width, shape = choices[best]
    deployed = machine(card, chip, width, shape)
    held = float(capacity.batch[best])
    per_second = rent / SECONDS_PER_HOUR * float(shape.tp)
    nothing, one = np.zeros(()), np.ones(())
    decoding = Load(
        np.asarray(held / float(shape.pp)), np.asarray(verified), np.asarray(work.context), nothing, nothing
    )
    filling = Load(nothing, one, nothing, np.asarray(CHUNK), np.asarray(work.input_len / 2.0))
    decode = _phase(deployed, decoding, eff, held * accepted / float(shape.pp), per_second, utilisation)
    prefill = _phase(deployed, filling, eff, CHUNK, per_second, utilisation)
    cached = float(cached_seconds(deployed, eff)) * rent / SECONDS_PER_HOUR * MEGA / utilisation
    return Explanation(
        model=card.name,
        accelerator=chip.name,
        tier=tier,
        weights=width,
        layout=_layout_names(shape),
        accelerators=int(capacity.accelerators[best]),
        weight_gb_per_accelerator=float(weight_bytes(deployed)) / 1e9,
        batch=held,
        batch_by_memory=float(memory_batch(deployed, work.input_len + work.output_len)),
        limited_by="demand" if batch and held >= batch else str(capacity.limit[best]),
        tpot_ms=1e3 * float(capacity.tpot[best]),
        rent=rent,
        utilisation=utilisation,
        decode=decode,
        prefill=prefill,
        usd_per_mtok={
            "input": prefill.usd_per_mtok,
            "cached": cached,
            "output": decode.usd_per_mtok,
            "billed_input": (1.0 - work.cached_share) * prefill.usd_per_mtok + work.cached_share * cached,
        },
    )


def _refuse(card: ModelCard, chip: Accelerator, machines: Machine, work: Workload) -> None:
    most = float(np.max(memory_batch(machines, work.input_len + work.output_len)))
    if most < 1.0:
        least = float(np.min(weight_bytes(machines))) / 1e9
        raise InfeasibleDeploymentError(
            f"{card.name} does not fit on {chip.name}: at least {least:.0f} GB of weights per accelerator, "
            f"{chip.memory / 1e9:.0f} GB of memory; spread it wider"
        )
    raise InfeasibleDeploymentError(
        f"{card.name} on {chip.name} cannot keep {work.tpot_limit_ms:g} ms per token even with one sequence"
    )
