"""Capacity, explanation and deployment quality."""

import math

import numpy as np
import pytest

from ecosystem.inference.cards import load_accelerators, load_models
from ecosystem.inference.curves import ServingCurves
from ecosystem.inference.deployment import Workload, saturate
from ecosystem.inference.efficiencies import shipped
from ecosystem.inference.explain import InfeasibleDeploymentError, explain
from ecosystem.inference.machines import layout, machine
from ecosystem.inference.tiers import TierName

WORK = Workload(input_len=2000.0, output_len=500.0, tpot_limit_ms=50.0, cached_share=0.5)


def test_tiers_span_fifty_times_for_a_deepseek_class_model() -> None:
    def node_speed(tier: TierName) -> float:
        curves = ServingCurves.build(
            ["DeepSeek-V3"], ["H800_SXM"], input_len=2000, output_len=500, tpot_limit_ms=50, tier=tier
        )
        return 8e6 / 3600 / float(curves.hours[0, 0, -1, 2])

    naive, tuned, wide = node_speed("naive"), node_speed("tuned"), node_speed("wide")
    assert 200 < naive < 400
    assert 1000 < tuned < 6000
    assert 14_000 < wide < 22_000
    assert 40 < wide / naive < 80


def test_a_tighter_promise_gives_smaller_batches_at_higher_cost() -> None:
    m = machine(load_models()["DeepSeek-V3"], load_accelerators()["H200_SXM"], "fp8", layout(dp=16, ep=16))
    results = [
        saturate(m, Workload(2000.0, 500.0, limit), shipped(), disaggregated=True) for limit in (30.0, 60.0, 120.0)
    ]
    batches = [float(r.batch) for r in results]
    assert batches == sorted(batches)
    assert batches[0] < batches[-1]
    assert [float(r.seconds[2]) for r in results] == sorted((float(r.seconds[2]) for r in results), reverse=True)
    assert str(results[0].limit) == "latency promise"
    assert float(results[0].tpot) <= 0.030


def test_memory_or_the_engine_may_bind_instead() -> None:
    m = machine(load_models()["Llama-3.1-70B"], load_accelerators()["H100_SXM"], "fp8", layout(tp=2))
    loose = Workload(30_000.0, 1000.0, 1e6)
    assert str(saturate(m, loose, shipped(), disaggregated=True).limit) == "memory"
    assert str(saturate(m, WORK, shipped(), disaggregated=True, batch_cap=2.0).limit) == "engine"


@pytest.mark.parametrize("utilisation", [1.0, 0.6])
def test_dollars_add_up_exactly(utilisation: float) -> None:
    result = explain("DeepSeek-V3", "H800", WORK, tier="wide", rent=2.0, utilisation=utilisation)
    for phase, name in ((result.decode, "output"), (result.prefill, "input")):
        assert math.fsum(o.usd_per_mtok for o in phase.operations) == phase.usd_per_mtok
        assert phase.usd_per_mtok == result.usd_per_mtok[name]
        price = 2.0 / 3600 / (phase.tokens_per_second_per_accelerator * utilisation) * 1e6
        assert phase.usd_per_mtok == pytest.approx(price, rel=1e-9)
    assert result.usd_per_mtok["cached"] < result.usd_per_mtok["input"]
    blend = 0.5 * (result.usd_per_mtok["cached"] + result.usd_per_mtok["input"])
    assert result.usd_per_mtok["billed_input"] == pytest.approx(blend)


def test_explanation_agrees_with_the_curve_and_scales_with_rent() -> None:
    curves = ServingCurves.build(
        ["DeepSeek-V3"], ["H800_SXM"], input_len=2000, output_len=500, tpot_limit_ms=50, tier="wide"
    )
    result = explain("DeepSeek-V3", "H800", WORK, tier="wide", rent=3.0)
    assert result.usd_per_mtok["output"] == pytest.approx(3.0 * curves.hours[0, 0, -1, 2], rel=1e-6)
    assert result.usd_per_mtok["input"] == pytest.approx(3.0 * curves.hours[0, 0, -1, 0], rel=1e-6)


def test_demand_limits_the_batch() -> None:
    result = explain("Llama-3.1-8B", "H100", WORK, batch=4.0)
    assert result.limited_by == "demand"
    assert result.batch == 4.0


def test_pipeline_stages_share_weights_and_keep_throughput_honest() -> None:
    one = explain("Llama-3.1-70B", "H100", WORK, spread=layout(tp=4), weights="fp8", batch=16.0)
    two = explain("Llama-3.1-70B", "H100", WORK, spread=layout(tp=4, pp=2), weights="fp8", batch=16.0)
    assert two.accelerators == 2 * one.accelerators
    assert two.weight_gb_per_accelerator < 0.6 * one.weight_gb_per_accelerator
    assert two.usd_per_mtok["output"] > one.usd_per_mtok["output"]


def test_what_cannot_run_is_refused_with_the_reason() -> None:
    with pytest.raises(InfeasibleDeploymentError, match="does not fit"):
        explain("Llama-3.1-405B", "H100", WORK, spread=layout(tp=1), weights="bf16")
    with pytest.raises(InfeasibleDeploymentError, match="cannot keep 1 ms"):
        explain("Llama-3.1-405B", "H100", Workload(2000.0, 500.0, 1.0))


def test_curves_are_infinite_where_a_promise_cannot_be_kept() -> None:
    curves = ServingCurves.build(
        ["DeepSeek-V3"], ["TPU_v5e"], input_len=2000, output_len=500, tpot_limit_ms=1.0, tier="tuned"
    )
    assert np.isinf(curves.hours).all()
    assert np.isinf(curves.hours_per_mtok(np.array([1.0]))).all()


def test_speculation_lowers_cost_in_mixed_serving_and_keeps_the_promise() -> None:
    plain = explain("DeepSeek-V3", "H200", WORK, spread=layout(tp=8), weights="fp8")
    guessed = explain("DeepSeek-V3", "H200", WORK, spread=layout(tp=8), weights="fp8", verified=2.0, accepted=1.8)
    assert guessed.tpot_ms <= WORK.tpot_limit_ms * (1 + 1e-9)
    assert guessed.usd_per_mtok["output"] < plain.usd_per_mtok["output"]
