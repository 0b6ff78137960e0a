"""The records that the roofline works on: float arrays that broadcast against each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecosystem.inference.batching import Arrays, Floats


@dataclass(frozen=True, slots=True)
class Architecture(Arrays):
    """What a model asks of the hardware; parameters are counts per layer."""

    layers: Floats
    full_layers: Floats
    windowed_layers: Floats
    linear_layers: Floats
    dense_layers: Floats
    moe_layers: Floats
    hidden: Floats
    kv_heads: Floats
    attention_sharded: Floats
    attention_copied: Floats
    key_value: Floats
    linear: Floats
    linear_state: Floats
    dense_ffn: Floats
    ffn_width: Floats
    expert: Floats
    expert_width: Floats
    shared: Floats
    experts: Floats
    experts_per_token: Floats
    head: Floats
    cache_width: Floats
    latent: Floats
    decode_attention_flops: Floats
    prefill_attention_flops: Floats
    index_topk: Floats
    index_flops: Floats
    index_width: Floats
    window: Floats
    kernels: Floats
    """Kernels launched in a step, all layers, collectives and quantisation apart."""
    attention_products: Floats
    """Matrix products of attention in a step whose input is quantised first where weights are narrow."""
    ffn_products: Floats


@dataclass(frozen=True, slots=True)
class Chip(Arrays):
    """What an accelerator offers, byte/s and byte."""

    bandwidth: Floats
    memory: Floats
    scale_up: Floats
    domain: Floats
    scale_out: Floats
    tile_rows: Floats


@dataclass(frozen=True, slots=True)
class Formats(Arrays):
    """Number formats in use: bytes per number, peak FLOP/s at which each part computes, 1 where that peak is
    FP4.
    """

    attention_bytes: Floats
    gemm_bytes: Floats
    expert_bytes: Floats
    cache_bytes: Floats
    attention_peak: Floats
    gemm_peak: Floats
    expert_peak: Floats
    core_peak: Floats
    gemm_fp4: Floats
    expert_fp4: Floats
    attention_quantised: Floats
    """1 where the inputs of attention's matrix products are quantised on the fly."""
    ffn_quantised: Floats


@dataclass(frozen=True, slots=True)
class Layout(Arrays):
    """How a model is spread: tensor parallel x attention data parallel accelerators, experts over `ep`
    ranks.
    """

    tp: Floats
    dp: Floats
    ep: Floats
    pp: Floats
    overlap: Floats
    """Share of communication hidden behind computation (two micro-batches), 0 for serial engines."""
    redundancy: Floats
    """Expert slots per expert: copies of hot experts spread their load (1: none)."""
    compiled: Floats
    """1 where the engine compiles the model ahead of time (TensorRT-LLM) and so fuses and overlaps launches.
    """

    @property
    def ranks(self) -> Floats:
        """Accelerators of one pipeline stage."""
        return self.tp * self.dp


@dataclass(frozen=True, slots=True)
class Load(Arrays):
    """What one attention rank works on in one step."""

    sequences: Floats
    """Sequences that decode."""
    verified: Floats
    """Tokens of each that the step computes (above 1 under speculative decoding)."""
    context: Floats
    """Mean tokens that a decoding sequence attends to."""
    prefill: Floats
    """Tokens of prompts that ride in the step."""
    prefill_context: Floats
    """Mean tokens that a prompt token attends to."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of work in a step, seconds by resource."""

    name: str
    memory: Floats
    arithmetic: Floats
    network: Floats
    fixed: Floats
    seconds: Floats

    def times(self, parts: Floats) -> "Operation":
        """The same work `parts` times in a row."""
        resources = (self.memory, self.arithmetic, self.network, self.fixed, self.seconds)
        return Operation(self.name, *(parts * seconds for seconds in resources))

    @property
    def binding(self) -> np.ndarray:
        """The resource that takes longest: 'bandwidth', 'arithmetic', 'network' or 'fixed'."""
        names = np.array(["bandwidth", "arithmetic", "network", "fixed"])
        times = np.broadcast_arrays(self.memory, self.arithmetic, self.network, self.fixed)
        return np.asarray(names[np.argmax(np.stack(times), axis=0)])


@dataclass(frozen=True, slots=True)
class Machine:
    """A model on an accelerator in a layout with number formats: all that a step needs but the load."""

    model: Architecture
    chip: Chip
    formats: Formats
    layout: Layout

    def __getitem__(self, index: Any) -> "Machine":
        return Machine(self.model[index], self.chip[index], self.formats[index], self.layout[index])
