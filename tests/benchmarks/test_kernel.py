"""Speed of the kernel: one step time vectorised, one month's lookup, one build of curves."""

from typing import Any

import numpy as np

from ecosystem.inference import curves
from ecosystem.inference.cards import load_accelerators, load_models
from ecosystem.inference.efficiencies import shipped
from ecosystem.inference.machines import layout, machine
from ecosystem.inference.serving import decode_seconds

EVALUATIONS = 20_000


def test_step_time(benchmark: Any) -> None:
    """Goal: at most 1 microsecond an evaluation; one evaluation is one step time at a given batch."""
    m = machine(load_models()["DeepSeek-V3"], load_accelerators()["H800_SXM"], "fp8", layout(dp=32, ep=32))
    batches = np.geomspace(1.0, 512.0, EVALUATIONS)
    stacked = m[np.newaxis][np.zeros(EVALUATIONS, dtype=int)]
    result = benchmark(decode_seconds, stacked, batches, np.full(EVALUATIONS, 3000.0), shipped())
    assert result.shape == (EVALUATIONS,)


def test_lookup_of_a_month(benchmark: Any) -> None:
    """Goal: under 100 microseconds for 40 models on 12 accelerators."""
    models = (tuple(load_models()) * 3)[:40]
    chips = tuple(load_accelerators())[:12]
    built = curves.ServingCurves.build(models, chips, input_len=2000, output_len=500, tpot_limit_ms=60, tier="tuned")
    hours = benchmark(built.hours_per_mtok, np.geomspace(0.01, 1e4, 40))
    assert hours.shape == (40, 12, 3)


def test_build_of_curves(benchmark: Any) -> None:
    """Curves of all cards on all accelerators, solved from nothing."""

    def build() -> curves.ServingCurves:
        curves._solve.cache_clear()
        models, chips = tuple(load_models()), tuple(load_accelerators())
        return curves.ServingCurves.build(models, chips, input_len=2000, output_len=500, tpot_limit_ms=60, tier="wide")

    assert benchmark(build).hours.shape[0] == len(load_models())
