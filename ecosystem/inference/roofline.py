"""Time of one engine step: every operation of a transformer layer on a roofline with imperfect overlap.

All inputs are records of float arrays that broadcast against each other (models x accelerators x layouts
x loads); times are seconds per step, sizes bytes, rates per second. Formulas: `docs/kernel.md`.
"""

import numpy as np

from ecosystem.inference.batching import Floats
from ecosystem.inference.efficiencies import Efficiencies
from ecosystem.inference.records import Load, Machine, Operation

TILE_COLUMNS = 128.0
"""Columns of a weight tile: each is a thread block that first fills its pipeline."""
BALANCED_SPREAD = 0.15
"""Coefficient of variation of rank loads that a balancer with spare expert slots leaves. SGLang on 32 H100
reached 6,288 tokens a second, 7,417 with perfect balance (LMSYS 2025-05-05)."""
ROUTED_NODES = 4.0
"""Nodes that the experts of one token may lie on (group-limited routing of DeepSeek-V3, arXiv 2412.19437)."""


ZERO = np.zeros(())
BF16 = np.full((), 2.0)


def _roofline(name: str, memory: Floats, arithmetic: Floats, rho: float, fixed: Floats = ZERO) -> Operation:
    longer, shorter = np.maximum(memory, arithmetic), np.minimum(memory, arithmetic)
    return Operation(name, memory, arithmetic, ZERO, fixed, longer + rho * shorter + fixed)


def touched_experts(experts: Floats, per_token: Floats, rows: Floats, popularity_cv: float) -> Floats:
    """Expected number of distinct experts that `rows` tokens are routed to.

    With equally popular experts this is E (1 - (1 - k/E)^rows). Popularity that varies between experts
    (gamma distributed, coefficient of variation `popularity_cv`) concentrates the tokens on fewer of them.
    """
    share = np.divide(per_token, experts, out=np.zeros(np.shape(experts)), where=experts > 0)
    with np.errstate(divide="ignore"):
        expected = -rows * np.log1p(-np.minimum(share, 1.0))
    variance = popularity_cv**2
    missed = np.power(1.0 + variance * expected, -1.0 / variance) if variance > 1e-6 else np.exp(-expected)
    return experts * (1.0 - missed)


def _compute(flops: Floats, peak: Floats, width: Floats, m: Machine, eff: Efficiencies) -> Floats:
    """Seconds of dense arithmetic: at the sustained share of the peak, plus the time to feed operands.

    Each number brought in from memory is used for `operand_reuse` flops, whatever the peak: chips with much
    bandwidth for their arithmetic (H20) come nearer to their peak than compute-rich ones.
    """
    return flops * (1.0 / (eff.arithmetic * peak) + width / (eff.operand_reuse * m.chip.bandwidth))


def expected_maximum(count: Floats) -> Floats:
    """Expected maximum of `count` standard normal draws (0 for one; within 0.05 up to 1,000)."""
    return np.maximum(np.sqrt(2.0 * np.log(count)) - 0.62, 0.0)


def _projections(m: Machine, rows: Floats, eff: Efficiencies) -> Operation:
    """Query, key, value and output projections, and the projections of linear-attention layers."""
    a, f, tp = m.model, m.formats, m.layout.tp
    softmax_layers = a.layers - a.linear_layers
    key_value = a.key_value / np.minimum(tp, a.kv_heads)
    parameters = softmax_layers * (a.attention_sharded / tp + a.attention_copied + key_value)
    parameters = parameters + a.linear_layers * a.linear / tp
    memory = parameters * f.attention_bytes / (eff.bandwidth * m.chip.bandwidth)
    flops = 2.0 * np.maximum(rows, m.chip.tile_rows) * parameters
    arithmetic = _compute(flops, f.attention_peak, f.attention_bytes, m, eff)
    return _roofline("attention projections", memory, arithmetic, eff.interference)


def _feed_forward(m: Machine, rows: Floats, eff: Efficiencies) -> Operation:
    """Dense feed-forward layers, shared experts and routers."""
    a, f, layout = m.model, m.formats, m.layout
    parameters = (a.dense_layers * a.dense_ffn + a.moe_layers * a.shared) / layout.tp
    memory = parameters * f.gemm_bytes / (eff.bandwidth * m.chip.bandwidth)
    peak = np.where(f.gemm_fp4 > 0, eff.fp4_derate, 1.0) * f.gemm_peak
    arithmetic = _compute(2.0 * np.maximum(rows, m.chip.tile_rows) * parameters, peak, f.gemm_bytes, m, eff)
    return _roofline("feed-forward", memory, arithmetic, eff.interference)


def _experts(m: Machine, rows: Floats, eff: Efficiencies) -> Operation:
    """Routed experts on the busiest rank: distinct experts read, tokens computed in padded tiles."""
    a, f, layout = m.model, m.formats, m.layout
    everyone = rows * layout.dp
    slices = layout.ranks / layout.ep
    touched = touched_experts(a.experts, a.experts_per_token, everyone, eff.popularity_cv)
    mean_touched = touched / layout.ep
    resident = a.experts / layout.ep
    spread = expected_maximum(layout.ep)
    chance = np.divide(touched, a.experts, out=np.ones(np.shape(touched)), where=a.experts > 0)
    busiest = mean_touched + spread * np.sqrt(np.maximum(mean_touched * (1.0 - chance), 0.0))
    busiest = np.minimum(busiest, resident)
    assigned = everyone * a.experts_per_token / layout.ep
    placed_blindly = eff.popularity_cv**2 * layout.ep / np.maximum(a.experts, 1.0)
    skew = np.where(layout.redundancy > 1.0, BALANCED_SPREAD**2, placed_blindly)
    imbalance = 1.0 + spread * np.sqrt(skew + 1.0 / np.maximum(assigned, 1.0))
    tokens = np.maximum(assigned * imbalance, busiest * m.chip.tile_rows)
    per_slice = a.moe_layers * a.expert / slices
    memory = busiest * per_slice * f.expert_bytes / (eff.bandwidth * m.chip.bandwidth)
    peak = np.where(f.expert_fp4 > 0, eff.fp4_derate, 1.0) * f.expert_peak
    arithmetic = _compute(2.0 * tokens * per_slice, peak, f.expert_bytes, m, eff) / eff.grouped_gemm
    tiles = (2.0 * a.expert_width / slices + a.hidden) / TILE_COLUMNS
    filling = 1e-9 * eff.tile_ns * a.moe_layers * busiest * tiles
    return _roofline("routed experts", memory, arithmetic, eff.interference, filling)


def _attention(m: Machine, load: Load, eff: Efficiencies) -> Operation:
    """Core attention: reading the cache in decode, quadratic arithmetic in prefill; sparse, windowed or
    full.
    """
    a, f, tp = m.model, m.formats, m.layout.tp
    sparse = a.index_topk > 0
    seen = np.where(sparse, np.minimum(load.context, a.index_topk), load.context)
    windowed = np.minimum(load.context, a.window)
    heads_apart = np.where(a.latent > 0, 1.0, np.minimum(tp, a.kv_heads))
    span = a.full_layers * seen + a.windowed_layers * windowed
    cache = load.sequences * span * a.cache_width * f.cache_bytes / heads_apart
    index = load.sequences * a.full_layers * load.context * a.index_width
    state = 2.0 * load.sequences * a.linear_layers * a.linear_state * 2.0 / tp
    flops = load.sequences * load.verified * span * a.decode_attention_flops / tp
    index_flops = (load.sequences * load.verified * load.context + load.prefill * load.prefill_context) * (
        a.full_layers * a.index_flops
    )
    prompt_seen = np.where(sparse, np.minimum(load.prefill_context, a.index_topk), load.prefill_context)
    prompt_span = a.full_layers * prompt_seen + a.windowed_layers * np.minimum(load.prefill_context, a.window)
    flops = flops + load.prefill * prompt_span * a.prefill_attention_flops / tp + index_flops
    flops = flops + 6.0 * (load.sequences * load.verified + load.prefill) * a.linear_layers * a.linear_state / tp
    reading = np.where(a.latent > 0, eff.bandwidth, eff.attention_bandwidth)
    memory = (cache + index + state) / (reading * m.chip.bandwidth)
    arithmetic = _compute(flops, f.core_peak, BF16, m, eff)
    return _roofline("attention", memory, arithmetic, eff.interference)


def _elementwise(m: Machine, rows: Floats, eff: Efficiencies) -> Operation:
    """Activations that cross memory between kernels: norms, rotations, quantisation, gating, expert
    permutation.
    """
    a, layout = m.model, m.layout
    residual = 24.0 * a.layers * a.hidden
    gated = 10.0 * (a.dense_layers * a.ffn_width) / layout.tp
    copies = a.experts_per_token * layout.dp / layout.ranks
    routed = a.moe_layers * copies * (5.0 * a.hidden + 10.0 * a.expert_width)
    memory = rows * (residual + gated + routed) / (eff.bandwidth * m.chip.bandwidth)
    return _roofline("activations", eff.activation_traffic * memory, ZERO, eff.interference)


def _head(m: Machine, load: Load, eff: Efficiencies) -> Operation:
    """Output head over the vocabulary, in bf16, for decoding tokens."""
    a, layout = m.model, m.layout
    rows = np.maximum(load.sequences * load.verified, 1.0)
    memory = a.head * 2.0 / layout.tp / (eff.bandwidth * m.chip.bandwidth)
    arithmetic = _compute(2.0 * rows * a.head / layout.tp, m.formats.core_peak, BF16, m, eff)
    return _roofline("output head", memory, arithmetic, eff.interference)


def _all_reduce(m: Machine, rows: Floats, eff: Efficiencies) -> Operation:
    """Sum of partial results under tensor parallelism: after attention, and after a feed-forward that is
    shared out.
    """
    a, layout, chip = m.model, m.layout, m.chip
    after_ffn = a.dense_layers + a.moe_layers * (layout.dp == 1.0)
    count = np.where(layout.tp > 1.0, a.layers + after_ffn, 0.0)
    message = rows * a.hidden * 2.0
    others = layout.tp - 1.0
    latency = 1e-6 * eff.collective_us
    sending = message / (eff.scale_up * chip.scale_up)
    one_shot = latency + others * sending
    ring = others * latency + 2.0 * others / layout.tp * sending
    inside = np.minimum(one_shot, ring)
    nodes = np.maximum(layout.tp / chip.domain, 1.0)
    outside = (
        2.0 * (nodes - 1.0) / nodes * message / (eff.scale_out * chip.scale_out * np.minimum(layout.tp, chip.domain))
    )
    network = count * (np.maximum(inside, outside + latency) - latency)
    fixed = count * latency
    return Operation("all-reduce", ZERO, ZERO, network, fixed, network + fixed)


def _all_to_all(m: Machine, load: Load, rows: Floats, eff: Efficiencies) -> Operation:
    """Tokens sent to their experts and back, once attention is data-parallel."""
    a, layout, chip = m.model, m.layout, m.chip
    active = (layout.dp > 1.0) & (a.moe_layers > 0)
    slices = layout.ranks / layout.ep
    hit = layout.ep * (1.0 - np.power(1.0 - 1.0 / layout.ep, a.experts_per_token))
    copies = hit * slices * (1.0 - 1.0 / layout.ranks)
    nodes = np.maximum(layout.ranks / chip.domain, 1.0)
    away = 1.0 - 1.0 / nodes
    node_copies = np.minimum(nodes * (1.0 - np.power(1.0 - 1.0 / nodes, a.experts_per_token)), ROUTED_NODES) * away
    rank_copies = copies * away
    decode_share = np.divide(load.sequences * load.verified, rows, out=np.ones(np.shape(rows)), where=rows > 0)
    remote = decode_share * rank_copies + (1.0 - decode_share) * np.minimum(node_copies, rank_copies)
    token = rows / layout.tp * a.hidden * (m.formats.expert_bytes.clip(1.0, 2.0) + 2.0)
    inside = token * (copies - decode_share * rank_copies) / (eff.scale_up * chip.scale_up)
    outside = token * remote / (eff.scale_out * chip.scale_out)
    network = np.where(active, a.moe_layers * np.maximum(inside, outside), 0.0)
    fixed = np.where(active, 2.0 * a.moe_layers * eff.collective_us * 1e-6, 0.0)
    return Operation("all-to-all", ZERO, ZERO, network, fixed, network + fixed)


def _launches(m: Machine, eff: Efficiencies) -> Operation:
    """Launch and drain of each kernel of the step."""
    a, f = m.model, m.formats
    kernels = a.kernels + f.attention_quantised * a.attention_products + f.ffn_quantised * a.ffn_products
    launch = eff.kernel_us * np.where(m.layout.compiled > 0, eff.compiled_launch, 1.0)
    fixed = 1e-6 * kernels * launch
    return Operation("kernel launches", ZERO, ZERO, ZERO, fixed, fixed)


def _host(load: Load, eff: Efficiencies) -> Operation:
    """The host's work between steps: scheduling, sampling and output of each sequence of the rank."""
    fixed = 1e-6 * (eff.step_us + eff.sequence_us * load.sequences)
    return Operation("host", ZERO, ZERO, ZERO, fixed, fixed)


def step_operations(machine: Machine, load: Load, eff: Efficiencies) -> tuple[Operation, ...]:
    """Every operation of one step, in order; what communication hides is in `hidden_communication`.

    A layout that overlaps communication splits the step into two micro-batches that take turns, and pays
    weights
    and launches twice for it.
    """
    parts = np.where(machine.layout.overlap > 0.0, 2.0, 1.0)
    sequences, prefill = load.sequences / parts, load.prefill / parts
    part = Load(sequences, load.verified, load.context, prefill, load.prefill_context)
    rows = sequences * load.verified + prefill
    return (
        _projections(machine, rows, eff).times(parts),
        _attention(machine, part, eff).times(parts),
        _feed_forward(machine, rows, eff).times(parts),
        _experts(machine, rows, eff).times(parts),
        _elementwise(machine, rows, eff).times(parts),
        _head(machine, load, eff),
        _all_reduce(machine, rows, eff).times(parts),
        _all_to_all(machine, part, rows, eff).times(parts),
        _launches(machine, eff).times(parts),
        _host(load, eff),
    )


def hidden_communication(machine: Machine, operations: tuple[Operation, ...]) -> Floats:
    """Seconds of communication that run behind computation."""
    communication = sum((o.network for o in operations), ZERO)
    computation = sum((o.seconds - o.network for o in operations), ZERO)
    return machine.layout.overlap * np.minimum(communication, computation)


def step_seconds(machine: Machine, load: Load, eff: Efficiencies) -> Floats:
    """Time of one step, shape of the broadcast inputs."""
    operations = step_operations(machine, load, eff)
    return sum((o.seconds for o in operations), ZERO) - hidden_communication(machine, operations)
