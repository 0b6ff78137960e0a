"""Cost curves behave as a market model needs them to."""

import numpy as np
import pytest

from ecosystem.inference.curves import GRID, ServingCurves, load_accelerators, load_models, performance_index
from ecosystem.inference.tiers import TierName

MODELS = ("DeepSeek-V3", "Llama-3.1-8B", "closed-large-2025", "gpt-oss-120b")
CHIPS = ("H800_SXM", "H20", "B200_SXM", "TPU_v5e", "Ascend_910C")


@pytest.fixture(scope="module")
def curves() -> ServingCurves:
    return ServingCurves.build(MODELS, CHIPS, input_len=2000, output_len=500, tpot_limit_ms=60, tier="tuned")


def test_shape_and_no_nan(curves: ServingCurves) -> None:
    assert curves.hours.shape == (4, 5, GRID.size, 3)
    assert not np.isnan(curves.hours).any()
    assert np.all(curves.hours > 0)
    assert not np.isnan(curves.hours_per_mtok(np.full(4, 3.0))).any()


def test_all_pairs_of_cards_are_nan_free() -> None:
    every = ServingCurves.build(
        tuple(load_models()),
        tuple(load_accelerators()),
        input_len=3000,
        output_len=1000,
        tpot_limit_ms=50,
        tier="wide",
    )
    assert not np.isnan(every.hours).any()
    h200 = tuple(load_accelerators()).index("H200_SXM")
    assert np.isfinite(every.hours[:, h200]).all()


def _paid(curves: ServingCurves) -> np.ndarray:
    prompt = curves.work.input_len / curves.work.output_len
    share = curves.work.cached_share
    return np.asarray(curves.hours @ np.array([prompt * (1 - share), prompt * share, 1.0]))


def test_blended_cost_falls_with_load_to_saturation(curves: ServingCurves) -> None:
    blended = _paid(curves)
    finite = np.isfinite(blended).all(axis=-1)
    assert finite.sum() >= 15
    assert np.all(np.diff(blended[finite], axis=-1) <= 1e-12)
    np.testing.assert_allclose(blended[finite][:, -1], blended[finite][:, -2])


def test_one_group_is_paid_for_however_small_the_load(curves: ServingCurves) -> None:
    blended = _paid(curves)
    groups = blended[..., 0] * GRID[0]
    small = groups[np.isfinite(groups)]
    np.testing.assert_allclose(small, np.round(small), rtol=1e-9)  # a whole number of accelerators
    far = curves.hours_per_mtok(np.full(4, GRID[0] / 1000))
    near = curves.hours[:, :, 0] * 1000
    np.testing.assert_allclose(far, near, rtol=1e-9)


def test_interpolation_hits_the_grid_and_is_constant_above_it(curves: ServingCurves) -> None:
    np.testing.assert_allclose(curves.hours_per_mtok(np.full(4, GRID[40])), curves.hours[:, :, 40], rtol=1e-9)
    loads = np.full(4, GRID[-1] * 50)
    np.testing.assert_allclose(curves.hours_per_mtok(loads), curves.hours[:, :, -1], rtol=1e-9)


def test_each_model_may_have_a_tier_of_its_own(curves: ServingCurves) -> None:
    tiers: list[TierName] = ["tuned", "wide", "naive", "tuned"]
    mixed = ServingCurves.build(MODELS, CHIPS, input_len=2000, output_len=500, tpot_limit_ms=60, tier=tiers)
    alone = ServingCurves.build(MODELS[1:2], CHIPS, input_len=2000, output_len=500, tpot_limit_ms=60, tier="wide")
    load = np.array([0.1, 1.0, 10.0, 100.0])
    np.testing.assert_array_equal(mixed.hours_per_mtok(load)[[0, 3]], curves.hours_per_mtok(load)[[0, 3]])
    np.testing.assert_array_equal(mixed.hours_per_mtok(load)[1], alone.hours_per_mtok(load[1:2])[0])


def test_cached_input_is_cheaper_than_input(curves: ServingCurves) -> None:
    finite = np.isfinite(curves.hours[..., 0])
    assert np.all(curves.hours[..., 1][finite] <= curves.hours[..., 0][finite])


def test_performance_index() -> None:
    chips = ("H100_SXM", "H200_SXM", "B200_SXM", "H20", "A100_SXM")
    index = dict(zip(chips, performance_index(chips), strict=True))
    assert index["H100_SXM"] == pytest.approx(1.0)
    assert index["B200_SXM"] > index["H200_SXM"] > 1.0 > index["A100_SXM"]
