"""Figures of the scoreboard that need no run: properties of the inference-cost kernel."""

from functools import cache

import numpy as np

INPUT_SHARE, CACHED_SHARE, OUTPUT_SHARE = 266.0 / 776.0, 342.0 / 776.0, 168.0 / 776.0
"""Shares of tokens on DeepSeek's day: 608 bn of input of which 342 bn hit the cache, 168 bn of output."""


@cache
def cost_at(tokens_a_day: float) -> float:
    """Return accelerator-hours a Mtok of DeepSeek-V3 on H800 at a host with this load, its cheapest layout taken."""
    from ecosystem.inference.curves import ServingCurves

    costs = []
    for tier in ("naive", "tuned", "wide"):
        curves = ServingCurves.build(
            ["DeepSeek-V3"], ["H800_SXM"], input_len=2000.0, output_len=500.0, tpot_limit_ms=50.0, tier=tier
        )
        hours = curves.hours_per_mtok(np.array([tokens_a_day * OUTPUT_SHARE / 24e6]))[0, 0]
        costs.append(float(hours @ np.array([INPUT_SHARE, CACHED_SHARE, OUTPUT_SHARE])))
    return min(costs)


def load_economies_small() -> float:
    """Return the change of cost from 1 to 10 bn tokens a day."""
    return cost_at(10e9) / cost_at(1e9) - 1.0


def load_economies_large() -> float:
    """Return the change of cost from 100 to 1,000 bn tokens a day."""
    return cost_at(1000e9) / cost_at(100e9) - 1.0
