"""From step times to what a user sees: time per output token of a decode pool and of mixed serving."""

import numpy as np

from ecosystem.inference.batching import Floats
from ecosystem.inference.efficiencies import Efficiencies
from ecosystem.inference.records import Load, Machine
from ecosystem.inference.roofline import step_seconds

CHUNK = 8192.0
"""Tokens of prompts that an engine takes into one step at most."""
ZERO = np.zeros(())
ONE = np.ones(())


def decode_seconds(
    machine: Machine, sequences: Floats, context: Floats, eff: Efficiencies, *, verified: Floats = ONE
) -> Floats:
    """One decode step: `sequences` per attention rank, each attending to `context` tokens.

    A pipeline of `pp` stages works on as many groups of sequences in turn, so a token takes the time of all
    layers at a batch divided by `pp`.
    """
    load = Load(sequences / machine.layout.pp, verified, context, ZERO, ZERO)
    return step_seconds(machine, load, eff)


def prefill_seconds(machine: Machine, tokens: Floats, eff: Efficiencies, *, context: Floats | None = None) -> Floats:
    """One step on `tokens` prompt tokens per attention rank; by default one causal prompt."""
    load = Load(ZERO, ONE, ZERO, tokens, tokens / 2.0 if context is None else context)
    return step_seconds(machine, load, eff)


def mixed_tpot(
    machine: Machine,
    sequences: Floats,
    input_len: Floats,
    output_len: Floats,
    eff: Efficiencies,
    *,
    context: Floats | None = None,
    verified: Floats = ONE,
    accepted: float = 1.0,
) -> Floats:
    """Time per output token when prompts are prefilled on the accelerators that decode.

    In steady state each of `sequences` requests (per attention rank) brings one prompt per lifetime. During a
    request's decoding the prompts of the others interrupt it: TPOT = t_decode + (others / lifetime) x TPOT x
    t_prompt, where lifetime = t_prompt + output_len x TPOT; solved for TPOT. A pipeline takes in a prompt every
    1 / pp of the time that the prompt is in it. With speculation a step yields `accepted` tokens a sequence.
    """
    context = input_len + output_len / 2.0 if context is None else context
    decode = decode_seconds(machine, sequences, context, eff, verified=verified)
    chunk = np.clip(input_len, 1.0, CHUNK)
    load = Load(sequences / machine.layout.pp, verified, context, chunk, input_len / 2.0)
    prompt = (step_seconds(machine, load, eff) - decode) * input_len / chunk / machine.layout.pp
    others = np.maximum(sequences * machine.layout.dp - 1.0, 0.0) / machine.layout.dp
    # x = output_len TPOT solves x (x + p) = D (x + p) + others p x; D = output_len t_decode, p = t_prompt
    total = output_len * decode / accepted
    half = (total + (others - 1.0) * prompt) / 2.0
    return (half + np.sqrt(half * half + total * prompt)) / output_len
