"""Properties of a step's time that hold whatever the efficiencies are."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecosystem.inference.batching import Floats
from ecosystem.inference.cards import ModelCard, load_accelerators, load_models
from ecosystem.inference.deployment import memory_batch
from ecosystem.inference.efficiencies import shipped, textbook
from ecosystem.inference.machines import layout, machine, stack
from ecosystem.inference.records import Load, Machine
from ecosystem.inference.roofline import step_operations, step_seconds, touched_experts
from ecosystem.inference.serving import decode_seconds, mixed_tpot, prefill_seconds

EFF = shipped()
MODELS = sorted(load_models())
CHIPS = sorted(load_accelerators())
models, chips = st.sampled_from(MODELS), st.sampled_from(CHIPS)
contexts = st.floats(64.0, 100_000.0)
batches = st.floats(1.0, 2000.0)
spreads = st.sampled_from([(1, 1, 1), (4, 1, 1), (8, 1, 8), (8, 1, 1), (1, 8, 8), (1, 32, 32), (2, 4, 8)])


def built(model: str, chip: str, weights: str, spread: tuple[int, int, int], overlap: float = 0.0) -> Machine:
    tp, dp, ep = spread
    card = load_models()[model]
    return machine(
        card,
        load_accelerators()[chip],
        weights,
        layout(tp=tp, dp=dp, ep=ep if card.experts else 1, overlap=overlap),
    )


def decode(m: Machine, batch: float | Floats, context: float) -> Floats:
    return decode_seconds(m, np.asarray(batch), np.asarray(context), EFF)


@settings(max_examples=60, deadline=None)
@given(models, chips, spreads, batches, contexts)
def test_batching_never_costs_more_per_token_and_never_speeds_a_user_up(
    model: str, chip: str, spread: tuple[int, int, int], batch: float, context: float
) -> None:
    m = built(model, chip, "fp8", spread)
    small, large = float(decode(m, batch, context)), float(decode(m, batch * 1.5, context))
    assert large >= small * (1 - 1e-12)
    assert large / (1.5 * batch) <= small / batch * (1 + 1e-12)


@settings(max_examples=60, deadline=None)
@given(models, chips, spreads, batches, contexts, st.sampled_from(["bandwidth", "scale_up", "scale_out"]))
def test_faster_hardware_is_never_slower(
    model: str, chip: str, spread: tuple[int, int, int], batch: float, context: float, part: str
) -> None:
    m = built(model, chip, "fp8", spread)
    better = dataclasses.replace(m.chip, **{part: getattr(m.chip, part) * 1.7})
    assert decode(dataclasses.replace(m, chip=better), batch, context) <= decode(m, batch, context) * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(models, chips, spreads, batches, contexts)
def test_more_arithmetic_is_never_slower(
    model: str, chip: str, spread: tuple[int, int, int], batch: float, context: float
) -> None:
    m = built(model, chip, "bf16", spread)
    peaks = ("attention_peak", "gemm_peak", "expert_peak", "core_peak")
    better = dataclasses.replace(m.formats, **{peak: getattr(m.formats, peak) * 2.0 for peak in peaks})
    assert decode(dataclasses.replace(m, formats=better), batch, context) <= decode(m, batch, context) * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(models, st.sampled_from(["H100_SXM", "H20", "B200_SXM", "MI300X"]), spreads, batches, contexts)
def test_fp8_is_no_slower_than_bf16_where_matrices_dominate(
    model: str, chip: str, spread: tuple[int, int, int], batch: float, context: float
) -> None:
    narrow, wide = built(model, chip, "fp8", spread), built(model, chip, "bf16", spread)
    load = Load(np.asarray(batch), np.ones(()), np.asarray(context), np.zeros(()), np.zeros(()))
    for eight, sixteen in zip(step_operations(narrow, load, EFF), step_operations(wide, load, EFF), strict=True):
        if eight.name != "kernel launches":  # quantising activations costs launches
            assert eight.seconds <= sixteen.seconds * (1 + 1e-12), eight.name


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 512), st.floats(0.01, 1.0), st.floats(1.0, 1e5), st.floats(0.0, 2.0))
def test_touched_experts_are_bounded(experts: int, share: float, rows: float, spread: float) -> None:
    per_token = max(1.0, experts * share)
    touched = touched_experts(np.asarray(float(experts)), np.asarray(per_token), np.asarray(rows), spread)
    assert min(per_token, experts) * (1 - 1e-9) <= touched * (1 + 0.35 * spread**2) + 1e-9
    assert touched <= experts * (1 + 1e-12)


def test_touched_experts_without_spread_is_the_textbook_formula() -> None:
    touched = touched_experts(np.asarray(256.0), np.asarray(8.0), np.asarray(32.0), 0.0)
    assert touched == pytest.approx(256 * (1 - (1 - 8 / 256) ** 32))


def test_all_experts_on_every_token_equal_one_dense_network() -> None:
    """k = E: the experts together cost what one dense feed-forward of their total width costs."""
    card = load_models()["Qwen3-235B-A22B"]
    routed = dataclasses.replace(card, experts=16, experts_per_token=16, expert_ffn=768)
    dense = dataclasses.replace(card, experts=0, experts_per_token=0, expert_ffn=0, ffn=16 * 768)
    plain = dataclasses.replace(EFF, grouped_gemm=1.0, tile_ns=0.0)
    chip = load_accelerators()["H100_SXM"]
    load = Load(np.asarray(64.0), np.ones(()), np.asarray(1000.0), np.zeros(()), np.zeros(()))

    def seconds(model: ModelCard, name: str) -> float:
        m = machine(model, chip, "bf16", layout(tp=4))
        return float(next(o.seconds for o in step_operations(m, load, plain) if o.name == name))

    router = dataclasses.replace(routed, experts_per_token=16, expert_ffn=0)
    assert seconds(routed, "routed experts") == pytest.approx(seconds(dense, "feed-forward"), rel=1e-9)
    assert seconds(router, "routed experts") == pytest.approx(0.0, abs=1e-12)


def operation(m: Machine, name: str, *, batch: float = 32.0, prefill: float = 0.0) -> float:
    load = Load(np.asarray(batch), np.ones(()), np.asarray(2000.0), np.asarray(prefill), np.asarray(500.0))
    return float(next(o.seconds for o in step_operations(m, load, EFF) if o.name == name))


def test_one_expert_rank_sends_nothing() -> None:
    assert operation(built("DeepSeek-V3", "H200_SXM", "fp8", (1, 1, 1)), "all-to-all") == 0.0
    assert operation(built("DeepSeek-V3", "H200_SXM", "fp8", (8, 1, 8)), "all-to-all") == 0.0
    assert operation(built("DeepSeek-V3", "H200_SXM", "fp8", (1, 8, 8)), "all-to-all") > 0.0
    assert operation(built("DeepSeek-V3", "H200_SXM", "fp8", (1, 8, 8)), "all-reduce") == 0.0


def test_prompts_send_one_copy_a_node_where_decoding_sends_one_an_expert() -> None:
    m = built("DeepSeek-V3", "H800_SXM", "fp8", (1, 32, 32))
    assert operation(m, "all-to-all", batch=0.0, prefill=1000.0) < operation(m, "all-to-all", batch=1000.0)


def test_latent_decode_attention_is_bound_by_arithmetic_on_h800() -> None:
    m = built("DeepSeek-V3", "H800_SXM", "fp8", (1, 144, 144))
    load = Load(np.asarray(88.0), np.full((), 2.0), np.asarray(4989.0), np.zeros(()), np.zeros(()))
    attention = next(o for o in step_operations(m, load, EFF) if o.name == "attention")
    assert str(attention.binding) == "arithmetic"
    assert float(m.model.decode_attention_flops) == 278_528


def test_sparse_and_windowed_attention_stop_growing_with_context() -> None:
    for name, factor in (("DeepSeek-V3.2", 0.4), ("gpt-oss-120b", 0.6)):
        m = built(name, "H200_SXM", "fp8", (8, 1, 1))
        far, near = (decode(m, 64.0, c) - decode(m, 64.0, c / 2) for c in (64_000.0, 2000.0))
        full = dataclasses.replace(load_models()[name], index_topk=0, window=0)
        plain = machine(full, load_accelerators()["H200_SXM"], "fp8", layout(tp=8))
        growth = decode(plain, 64.0, 64_000.0) - decode(plain, 64.0, 32_000.0)
        assert far < factor * growth
        assert near > 0


def test_two_micro_batches_hide_communication_for_long_prompts() -> None:
    serial = built("DeepSeek-V3", "H800_SXM", "fp8", (1, 32, 32))
    overlapped = built("DeepSeek-V3", "H800_SXM", "fp8", (1, 32, 32), overlap=0.65)
    tokens = np.asarray(16_384.0)
    assert prefill_seconds(overlapped, tokens, EFF) < prefill_seconds(serial, tokens, EFF)
    assert decode(overlapped, 2.0, 1000.0) > decode(serial, 2.0, 1000.0)  # weights and launches twice


def test_mixed_serving_is_slower_than_decoding_alone_and_equal_for_one_user() -> None:
    m = built("Llama-3.1-70B", "H100_SXM", "fp8", (4, 1, 1))
    lengths = np.asarray(2000.0), np.asarray(500.0)
    alone = decode(m, 1.0, 2250.0)
    assert mixed_tpot(m, np.asarray(1.0), *lengths, EFF) == pytest.approx(float(alone), rel=1e-9)
    assert mixed_tpot(m, np.asarray(32.0), *lengths, EFF) > decode(m, 32.0, 2250.0)


def test_speculation_raises_throughput_where_weights_bind() -> None:
    m = built("DeepSeek-V3", "H200_SXM", "fp8", (1, 16, 16))
    one = decode_seconds(m, np.asarray(8.0), np.asarray(2000.0), EFF)
    two = decode_seconds(m, np.asarray(8.0), np.asarray(2000.0), EFF, verified=np.asarray(2.0))
    assert one < two < 1.8 * one


def test_memory_holds_fewer_sequences_with_longer_context() -> None:
    m = built("Llama-3.1-70B", "H100_SXM", "fp8", (4, 1, 1))
    held = memory_batch(m, np.array([1000.0, 4000.0, 16_000.0]))
    assert np.all(np.diff(held) < 0)
    assert memory_batch(built("Llama-3.1-405B", "H100_SXM", "bf16", (8, 1, 1)), 1000.0) == 0


def test_a_stack_gives_what_each_machine_gives() -> None:
    parts = [built(m, c, "fp8", (8, 1, 8)) for m in ("DeepSeek-V3", "GLM-5", "Llama-3.1-8B") for c in CHIPS[:4]]
    together = decode(stack(parts), np.full(len(parts), 16.0), 3000.0)
    np.testing.assert_allclose(together, [float(decode(m, 16.0, 3000.0)) for m in parts], rtol=1e-12)


def test_operations_and_hidden_time_sum_to_the_step() -> None:
    m = built("DeepSeek-V3", "H800_SXM", "fp8", (1, 32, 32), overlap=0.65)
    load = Load(np.asarray(64.0), np.ones(()), np.asarray(3000.0), np.zeros(()), np.zeros(()))
    total = float(sum(float(o.seconds) for o in step_operations(m, load, textbook())))
    assert 0.0 < float(step_seconds(m, load, textbook())) < total
