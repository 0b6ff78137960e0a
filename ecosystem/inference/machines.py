"""From cards to the arrays of the roofline: architectures, chips, number formats, layouts."""

from functools import lru_cache

import numpy as np

from ecosystem.inference.batching import Floats
from ecosystem.inference.cards import Accelerator, ModelCard
from ecosystem.inference.roofline import Architecture, Chip, Formats, Layout, Machine

WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5625, "int4": 0.53125}
"""Bytes per weight, block scales of the 4-bit formats included (one FP8 scale per 16, one bf16 scale per
64).
"""


def _array(value: float) -> Floats:
    return np.asarray(float(value))


@lru_cache(maxsize=256)
def architecture(card: ModelCard) -> Architecture:
    """The roofline's view of a model card."""
    sharded, copied = card.attention_parameters
    if card.uses_latent:
        decode = 2.0 * card.heads * (2 * card.latent_rank + card.rope_dim)
        prefill = 2.0 * card.heads * (card.nope_dim + card.rope_dim + card.value_dim)
    else:
        decode = prefill = 4.0 * card.heads * card.head_dim
    values = {
        "layers": card.layers,
        "full_layers": card.full_layers,
        "windowed_layers": card.windowed_layers,
        "linear_layers": card.linear_layers,
        "dense_layers": card.dense_layers,
        "moe_layers": card.moe_layers,
        "hidden": card.hidden,
        "kv_heads": card.kv_heads,
        "attention_sharded": sharded,
        "attention_copied": copied,
        "key_value": card.key_value_parameters,
        "linear": card.linear_parameters,
        "linear_state": card.linear_state,
        "dense_ffn": card.dense_ffn_parameters,
        "ffn_width": card.ffn,
        "expert": card.expert_parameters,
        "expert_width": card.expert_ffn,
        "shared": card.shared_parameters,
        "experts": card.experts,
        "experts_per_token": card.experts_per_token,
        "head": card.embedding_parameters,
        "cache_width": card.cache_width,
        "latent": card.uses_latent,
        "decode_attention_flops": decode,
        "prefill_attention_flops": prefill,
        "index_topk": card.index_topk,
        "index_flops": 2.0 * card.index_heads * card.index_dim,
        "index_width": card.index_dim,
        "window": card.window,
    }
    return Architecture(**{name: _array(value) for name, value in values.items()})


@lru_cache(maxsize=256)
def chip(card: Accelerator) -> Chip:
    """The roofline's view of an accelerator card."""
    return Chip(
        bandwidth=_array(card.bandwidth),
        memory=_array(card.memory),
        scale_up=_array(card.scale_up),
        domain=_array(card.scale_up_domain),
        scale_out=_array(card.scale_out),
    )


def peak(card: Accelerator, weights: str, *, narrow_activations: bool = True) -> float:
    """Peak FLOP/s at which an accelerator multiplies weights of a format; without native support, bf16's."""
    native = {"bf16": card.peak_bf16, "fp8": card.peak_fp8, "int8": card.peak_int8, "fp4": card.peak_fp4}
    if not narrow_activations or weights == "int4":
        return card.peak_bf16
    return max(native[weights], card.peak_bf16)


def formats(card: Accelerator, model: ModelCard, weights: str) -> Formats:
    """Number formats of a deployment whose matrix weights are in `weights`.

    Published 4-bit checkpoints of mixture-of-experts models leave the attention projections in bf16.
    The cache is FP8 where weights are 8 bits or fewer on a chip with FP8 arithmetic, else bf16.
    """
    narrow = weights in ("fp4", "int4")
    attention = "bf16" if narrow and model.experts else weights
    dense = weights
    multiplies_fp4 = weights == "fp4" and card.peak_fp4 > 0
    return Formats(
        attention_bytes=_array(WEIGHT_BYTES[attention]),
        gemm_bytes=_array(WEIGHT_BYTES[dense]),
        expert_bytes=_array(WEIGHT_BYTES[weights]),
        cache_bytes=_array(1.0 if weights != "bf16" else 2.0),
        attention_peak=_array(peak(card, attention)),
        gemm_peak=_array(peak(card, dense)),
        expert_peak=_array(peak(card, weights)),
        core_peak=_array(card.peak_bf16),
        gemm_fp4=_array(multiplies_fp4),
        expert_fp4=_array(multiplies_fp4),
    )


def layout(
    *, tp: int = 1, dp: int = 1, ep: int = 1, pp: int = 1, overlap: float = 0.0, redundancy: float = 1.0
) -> Layout:
    """A layout from whole numbers; experts not shared out by `ep` are sliced over the remaining ranks."""
    return Layout(_array(tp), _array(dp), _array(ep), _array(pp), _array(overlap), _array(redundancy))


def machine(model: ModelCard, accelerator: Accelerator, weights: str, spread: Layout) -> Machine:
    """One deployment as scalars; stack the parts for more."""
    return Machine(architecture(model), chip(accelerator), formats(accelerator, model, weights), spread)


def stack(machines: list[Machine]) -> Machine:
    """Deployments side by side on one new axis."""
    return Machine(
        Architecture.stack([m.model for m in machines]),
        Chip.stack([m.chip for m in machines]),
        Formats.stack([m.formats for m in machines]),
        Layout.stack([m.layout for m in machines]),
    )
