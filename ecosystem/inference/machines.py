"""From cards to the arrays of the roofline: architectures, chips, number formats, layouts."""

from functools import lru_cache

import numpy as np

from ecosystem.inference.batching import Floats
from ecosystem.inference.cards import Accelerator, ModelCard
from ecosystem.inference.records import Architecture, Chip, Formats, Layout, Machine

WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5625, "int4": 0.53125}
"""Bytes per weight, with the block scales of FP4 (FP8 per 16) and INT4 (bf16 per 64)."""

LEGACY_PEAK = 2.0 * 312e12
"""bf16 FLOP/s of matrix instructions as of 2020 on newer chips."""


def _array(value: float) -> Floats:
    return np.asarray(float(value))


def _kernels(card: ModelCard) -> int:
    """Kernels of one step, counted from the layer's data flow (fused as current engines fuse them).

    Softmax attention, grouped-query or latent: norm, input product, rotation, cache write, attention, its
    reduction, output product (the latent's extra products replace rotation and norm kernels that fuse with
    them).
    A sparse index: three products, norm, two rotations, two Hadamard transforms, two quantisations, cache
    write,
    weights, scores, top-k, two index translations. Linear attention: two input products, reordering,
    convolution,
    two gates, two norms, recurrence, gated norm, output product and its norm. Dense feed-forward: gate-up,
    activation, down. Experts: norm, router, top-k, alignment, permutation, product, activation, product,
    reduction;
    a shared expert: gate-up, activation, down.
    """
    softmax = 7 + (16 if card.index_topk else 0)
    attention = (card.layers - card.linear_layers) * softmax + card.linear_layers * 12
    experts = 9 + (3 if card.shared_expert_ffn else 0)
    return attention + card.dense_layers * 3 + card.moe_layers * experts


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
        "kernels": _kernels(card),
        "attention_products": card.layers * (8 if card.uses_latent else 4),
        "ffn_products": card.layers * 2,
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
        tile_rows=_array(card.tile_rows),
    )


def peak(card: Accelerator, weights: str) -> float:
    """Peak FLOP/s at which an accelerator multiplies weights of a format; without native support, bf16's.

    Weight-only INT4 kernels (Marlin) use the matrix instructions of 2020, which later
    chips run no faster than about twice an A100.
    """
    if weights == "int4":
        return min(card.peak_bf16, LEGACY_PEAK)
    native = {"bf16": card.peak_bf16, "fp8": card.peak_fp8, "int8": card.peak_int8, "fp4": card.peak_fp4}
    return max(native[weights], card.peak_bf16)


def formats(card: Accelerator, model: ModelCard, weights: str, dense: str | None = None) -> Formats:
    """Number formats: experts in `weights`, other matrices in `dense` (the same if None).

    Published 4-bit checkpoints of mixture-of-experts models leave the attention projections in bf16. MXFP4
    checkpoints multiply 8-bit activations, so at the FP8 peak. Block-scaled formats (FP8 of expert models, NVFP4)
    quantise activations in kernels of their own; per-tensor FP8 folds that into the kernel before. The cache is 8
    bits wide where weights are narrower than bf16, save for block-scaled FP8 checkpoints with grouped-query
    attention, which come without scales for it.
    """
    dense = dense or weights
    weights = weights if model.experts else dense
    attention = "bf16" if dense in ("fp4", "int4") and model.experts else dense
    narrow = model.weights == "mxfp4"
    blocks = bool(model.experts)
    eight_bit_cache = weights != "bf16" and (model.uses_latent or weights != "fp8" or not blocks)

    def compute(weight: str) -> str:
        return "fp8" if weight == "fp4" and narrow else weight

    def derated(weight: str) -> bool:
        """FP4 arithmetic, or the unpacking of 4-bit weights where FP4 arithmetic is missing."""
        return weight == "fp4" and not (narrow and card.peak_fp4 > 0)

    def quantised(weight: str) -> bool:
        return weight in (("fp8", "int8") if blocks else ("fp4",))

    return Formats(
        attention_bytes=_array(WEIGHT_BYTES[attention]),
        gemm_bytes=_array(WEIGHT_BYTES[dense]),
        expert_bytes=_array(WEIGHT_BYTES[weights]),
        cache_bytes=_array(1.0 if eight_bit_cache else 2.0),
        attention_peak=_array(peak(card, attention)),
        gemm_peak=_array(peak(card, compute(dense))),
        expert_peak=_array(peak(card, compute(weights))),
        core_peak=_array(card.peak_bf16),
        gemm_fp4=_array(derated(dense)),
        expert_fp4=_array(derated(weights)),
        attention_quantised=_array(quantised(attention)),
        ffn_quantised=_array(quantised(weights)),
    )


def layout(
    *,
    tp: int = 1,
    dp: int = 1,
    ep: int = 1,
    pp: int = 1,
    overlap: float = 0.0,
    redundancy: float = 1.0,
    compiled: bool = False,
) -> Layout:
    """A layout from whole numbers; experts not shared out by `ep` are sliced over the remaining ranks."""
    return Layout(*(_array(value) for value in (tp, dp, ep, pp, overlap, redundancy, compiled)))


def machine(
    model: ModelCard, accelerator: Accelerator, weights: str, spread: Layout, *, dense: str | None = None
) -> Machine:
    """One deployment as scalars; stack the parts for more."""
    widths = formats(accelerator, model, weights, dense)
    return Machine(architecture(model), chip(accelerator), widths, spread)


def stack(machines: list[Machine]) -> Machine:
    """Deployments side by side on one new axis."""
    return Machine(
        Architecture.stack([m.model for m in machines]),
        Chip.stack([m.chip for m in machines]),
        Formats.stack([m.formats for m in machines]),
        Layout.stack([m.layout for m in machines]),
    )
