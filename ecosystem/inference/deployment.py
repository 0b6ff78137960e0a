"""What one deployment can serve: batch limits, throughput and accelerator-seconds per token of each class."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecosystem.inference.batching import Floats
from ecosystem.inference.efficiencies import Efficiencies
from ecosystem.inference.records import Machine
from ecosystem.inference.serving import CHUNK, ONE, decode_seconds, mixed_tpot, prefill_seconds

USABLE_MEMORY = 0.90
"""Share of memory that an engine gives to weights and cache (default of vLLM and SGLang)."""
BISECTIONS = 14
LIMITS = ("memory", "latency promise", "engine")


@dataclass(frozen=True, slots=True)
class Workload:
    """Mean request: tokens of prompt and answer, share of the prompt in the cache, promise to users."""

    input_len: float
    output_len: float
    tpot_limit_ms: float
    cached_share: float = 0.0

    @property
    def context(self) -> float:
        """Mean tokens that a decoding request attends to."""
        return self.input_len + self.output_len / 2.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """A deployment at the largest batch it may run, arrays over deployments."""

    accelerators: Floats
    """Accelerators of one replica group."""
    batch: Floats
    """Sequences per attention rank; 0 where the model does not fit or the promise cannot be kept."""
    tpot: Floats
    """Seconds per output token that a user sees."""
    limit: np.ndarray
    """What limits the batch: one of `LIMITS`."""
    seconds: Floats
    """Accelerator-seconds per token, last axis (input, cached, output); infinite if none is served."""

    @property
    def feasible(self) -> np.ndarray:
        """Where the deployment serves at all."""
        return np.asarray(self.batch > 0.0)


def weight_bytes(machine: Machine) -> Floats:
    """Bytes of weights on one accelerator."""
    a, f, spread = machine.model, machine.formats, machine.layout
    softmax = a.attention_sharded / spread.tp + a.attention_copied + a.key_value / np.minimum(spread.tp, a.kv_heads)
    attention = (a.layers - a.linear_layers) * softmax + a.linear_layers * a.linear / spread.tp
    dense = (a.dense_layers * a.dense_ffn + a.moe_layers * a.shared) / spread.tp
    experts = a.moe_layers * a.experts * a.expert * spread.redundancy / spread.ranks
    layers = attention * f.attention_bytes + dense * f.gemm_bytes + experts * f.expert_bytes
    return layers / spread.pp + 2.0 * a.head * 2.0 / spread.tp


def cache_bytes(machine: Machine, context: float | Floats) -> Floats:
    """Bytes that one sequence keeps on each accelerator of its attention rank."""
    a, f, spread = machine.model, machine.formats, machine.layout
    apart = np.where(a.latent > 0, 1.0, np.minimum(spread.tp, a.kv_heads))
    span = a.full_layers * context + a.windowed_layers * np.minimum(context, a.window)
    index = np.where(a.index_topk > 0, a.full_layers * context * a.index_width, 0.0)
    state = a.linear_layers * a.linear_state * 2.0 / spread.tp
    return (span * a.cache_width * f.cache_bytes / apart + index + state) / spread.pp


def memory_batch(machine: Machine, context: float | Floats) -> Floats:
    """Sequences per attention rank that memory holds (0 where the weights alone do not fit)."""
    free = USABLE_MEMORY * machine.chip.memory - weight_bytes(machine)
    return np.asarray(np.floor(np.maximum(free, 0.0) / cache_bytes(machine, context)))


def largest_batch(tpot: Callable[[Floats], Floats], limit: float, ceiling: Floats) -> Floats:
    """Largest batch up to `ceiling` that keeps the promise, 0 where not even one sequence does."""
    low, high = np.ones_like(ceiling), np.maximum(ceiling, 1.0)
    fits_all = tpot(high) <= limit
    for _ in range(BISECTIONS):
        middle = np.sqrt(low * high)
        keeps = tpot(middle) <= limit
        low, high = np.where(keeps, middle, low), np.where(keeps, high, middle)
    batch = np.where(fits_all, np.maximum(ceiling, 1.0), low)
    return np.where((ceiling >= 1.0) & (tpot(np.ones_like(ceiling)) <= limit), batch, 0.0)


def input_seconds(machine: Machine, input_len: float, eff: Efficiencies) -> Floats:
    """Accelerator-seconds to prefill one prompt token."""
    spread = machine.layout
    chunk = np.asarray(CHUNK)
    step = prefill_seconds(machine, chunk, eff, context=np.asarray(input_len / 2.0))
    seconds: Floats = step * spread.tp / chunk
    return seconds


def cached_seconds(machine: Machine, eff: Efficiencies) -> Floats:
    """Accelerator-seconds to load the cache of one prompt token from outside the accelerator's memory."""
    a, spread = machine.model, machine.layout
    grows = a.full_layers * a.cache_width * machine.formats.cache_bytes
    index = np.where(a.index_topk > 0, a.full_layers * a.index_width, 0.0)
    apart = np.where(a.latent > 0, spread.tp, 1.0)  # a latent is loaded by each tensor-parallel rank
    seconds: Floats = (grows + index) * apart / (eff.scale_out * machine.chip.scale_out)
    return seconds


def saturate(
    machine: Machine,
    work: Workload,
    eff: Efficiencies,
    *,
    disaggregated: bool,
    batch_cap: float = 1024.0,
    verified: float = 1.0,
    accepted: float = 1.0,
) -> Capacity:
    """The deployment at the largest batch that memory, the latency promise and the engine allow.

    `disaggregated` pools decode apart from prefill, so prompts do not interrupt answers; otherwise both share
    the accelerators. With speculation a step computes `verified` tokens a sequence and yields `accepted`.
    """
    spread = machine.layout
    context, rows = np.asarray(work.context), np.asarray(verified)
    fresh_len = np.asarray(max(work.input_len * (1.0 - work.cached_share), 1.0))

    def tpot(batch: Floats) -> Floats:
        if disaggregated:
            return decode_seconds(machine, batch, context, eff, verified=rows) / accepted
        lengths = fresh_len, np.asarray(work.output_len)
        return mixed_tpot(machine, batch, *lengths, eff, context=context, verified=rows, accepted=accepted)

    held = memory_batch(machine, work.input_len + work.output_len)
    ceiling = np.minimum(np.broadcast_to(held, np.shape(tpot(ONE))), batch_cap)
    batch = largest_batch(tpot, work.tpot_limit_ms * 1e-3, ceiling)
    safe = np.maximum(batch, 1.0)
    decode = decode_seconds(machine, safe, context, eff, verified=rows) / accepted
    output = decode * spread.tp * spread.pp / safe
    prompt = np.broadcast_to(input_seconds(machine, work.input_len, eff), output.shape)
    cached = np.broadcast_to(cached_seconds(machine, eff), output.shape)
    seconds = np.stack([prompt, cached, output], axis=-1)
    limit = np.where(batch < ceiling, 1, np.where(held < batch_cap, 0, 2))
    return Capacity(
        accelerators=np.broadcast_to(spread.ranks * spread.pp, output.shape),
        batch=batch,
        tpot=np.where(batch > 0, tpot(safe), np.inf),
        limit=np.array(LIMITS)[limit],
        seconds=np.where(batch[..., np.newaxis] > 0, seconds, np.inf),
    )
