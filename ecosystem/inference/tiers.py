"""Deployment quality: what a team with little, common or leading serving skill runs, as layouts and engine
habits.
"""

from dataclasses import dataclass, replace
from typing import Literal

from ecosystem.inference.cards import Accelerator, ModelCard
from ecosystem.inference.efficiencies import Efficiencies
from ecosystem.inference.machines import layout
from ecosystem.inference.roofline import Layout

TierName = Literal["naive", "tuned", "wide"]


@dataclass(frozen=True, slots=True)
class Tier:
    """Engine habits of one quality of deployment. All values are judgement, from how such engines ran in
    2024-25.
    """

    name: TierName
    disaggregated: bool
    batch_cap: float
    """Sequences per attention rank that the engine is set up for."""
    launch_factor: float
    """Launch overhead relative to captured graphs: eager execution pays 5-10 us a kernel instead of 1-2."""
    overlap: float
    redundancy: float
    verified: float
    accepted: float
    attention_parallel: bool
    """Whether attention may be data-parallel, so that the latent cache is not copied to each rank."""
    widest: int
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
    "naive": Tier("naive", False, 16.0, 5.0, 0.0, 1.0, 1.0, 1.0, False, 16, False),
    "tuned": Tier("tuned", False, 256.0, 1.0, 0.0, 1.0, 1.0, 1.0, True, 16, True),
    "wide": Tier("wide", True, 1024.0, 1.0, 0.65, 1.125, 1.0, 1.0, True, 144, True),
}


def weight_formats(tier: Tier, model: ModelCard, accelerator: Accelerator) -> tuple[str, ...]:
    """Number formats that the tier would serve a model in, on an accelerator."""
    native = list(accelerator.supports)
    if not tier.quantised:
        return (model.weights,) if model.weights in native else ("bf16",)
    if model.weights in ("int4", "mxfp4") and "fp4" not in native:
        native.append("int4")
    return tuple(native)


def layouts(tier: Tier, model: ModelCard, accelerator: Accelerator) -> list[Layout]:
    """Candidate layouts: tensor parallelism inside the scale-up domain, and wide expert parallelism."""
    widest = max(accelerator.scale_up_domain, 8)
    spreads = [layout(tp=tp) for tp in (1, 2, 4, 8) if tp <= widest]
    spreads += [layout(tp=8, pp=2), layout(tp=8, pp=4)]
    if not (model.experts and tier.attention_parallel):
        return spreads
    for ranks in (2, 4, 8, 16, 32, 72, 144):
        if ranks <= min(tier.widest, model.experts):
            overlap = tier.overlap if ranks >= 8 else 0.0
            copies = tier.redundancy if ranks > 8 else 1.0
            spreads.append(layout(dp=ranks, ep=ranks, overlap=overlap, redundancy=copies))
    return spreads
