"""Deployment quality: what a team with little, common or leading serving skill runs, as layouts and engine
habits.
"""

from dataclasses import dataclass, replace
from typing import Literal

from ecosystem.inference.cards import Accelerator, ModelCard
from ecosystem.inference.efficiencies import Efficiencies
from ecosystem.inference.machines import layout
from ecosystem.inference.records import Layout

TierName = Literal["naive", "tuned", "wide"]


@dataclass(frozen=True, slots=True)
class Tier:
    """Engine habits of one quality of deployment; judgement, from how engines ran in 2024-25."""

    name: TierName
    disaggregated: bool
    batch_cap: float
    """Sequences per attention rank that the engine is set up for."""
    launch_factor: float
    """Launch overhead relative to captured graphs: eager execution pays about 10 us a kernel, not 3 to 4."""
    overlap: float
    redundancy: float
    expert_ranks: int
    """Widest expert parallelism with data-parallel attention, not copying a latent cache (1: none)."""
    quantised: bool
    """Whether weights may be narrower than bf16 where the checkpoint is not."""

    def engine(self, eff: Efficiencies) -> Efficiencies:
        """The efficiencies with this tier's launch overheads."""
        return replace(
            eff,
            kernel_us=eff.kernel_us * self.launch_factor,
            step_us=eff.step_us * self.launch_factor,
        )


TIERS: dict[TierName, Tier] = {
    "naive": Tier(
        name="naive", disaggregated=False, batch_cap=16.0, launch_factor=3.0, overlap=0.0, redundancy=1.0,
        expert_ranks=1, quantised=False,
    ),
    "tuned": Tier(
        name="tuned", disaggregated=False, batch_cap=256.0, launch_factor=1.0, overlap=0.0, redundancy=1.0,
        expert_ranks=1, quantised=True,
    ),
    "wide": Tier(
        name="wide", disaggregated=True, batch_cap=1024.0, launch_factor=1.0, overlap=0.5, redundancy=1.125,
        expert_ranks=144, quantised=True,
    ),
}  # fmt: skip


def weight_formats(tier: Tier, model: ModelCard, accelerator: Accelerator) -> tuple[str, ...]:
    """Number formats that the tier would serve a model in, on an accelerator."""
    native = list(accelerator.supports)
    if not tier.quantised:
        return (model.weights,) if model.weights in native else ("bf16",)
    if model.weights in ("int4", "mxfp4") and "fp4" not in native:
        native.append("int4")
    return tuple(native)


def layouts(tier: Tier, model: ModelCard) -> list[Layout]:
    """Candidate layouts: tensor parallelism inside a machine of eight, and wide expert parallelism."""
    spreads = [layout(tp=tp) for tp in (1, 2, 4, 8)]
    spreads += [layout(tp=8, pp=2), layout(tp=8, pp=4)]
    for ranks in (2, 4, 8, 16, 32, 72, 144):
        if ranks <= min(tier.expert_ranks, model.experts):
            overlaps = (0.0, tier.overlap) if ranks > 8 else (0.0,)
            copies = tier.redundancy if ranks > 8 else 1.0
            spreads += [layout(dp=ranks, ep=ranks, overlap=share, redundancy=copies) for share in overlaps]
    return spreads
