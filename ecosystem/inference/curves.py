"""Cost curves for the market model: accelerator-hours per million tokens against load.

A replica group is the smallest deployment that runs. Below its capacity the whole group is still paid for, so
hours per token rise as load falls, and smaller layouts win; above it groups are added (fractions allowed), so
hours per token are those of the best saturated layout. The curve is the lower envelope over layouts and
formats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ecosystem.inference.batching import Floats
from ecosystem.inference.cards import find_accelerator, find_model, load_accelerators, load_models
from ecosystem.inference.deployment import Capacity, Workload, memory_batch, saturate
from ecosystem.inference.efficiencies import shipped
from ecosystem.inference.machines import architecture, chip, formats
from ecosystem.inference.records import Architecture, Chip, Formats, Layout, Machine
from ecosystem.inference.tiers import TIERS, Tier, TierName, layouts, weight_formats

__all__ = ["ServingCurves", "load_accelerators", "load_models", "performance_index"]

MEGA = 1e6
HOUR = 3600.0
GRID = np.logspace(-4.0, 5.0, 91)
"""Load on the curve, Mtok of output an hour: ten points a decade."""
STEP = float(np.log(GRID[1] / GRID[0]))
START = float(np.log(GRID[0])) / STEP
REFERENCE = Workload(input_len=2000.0, output_len=500.0, tpot_limit_ms=50.0)
"""The blended request that H100-equivalents are measured on."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Deployments that a tier could run: index of model and accelerator, and the machine, on one axis."""

    model: NDArray[np.intp]
    accelerator: NDArray[np.intp]
    machine: Machine


def candidates(models: Sequence[str], accelerators: Sequence[str], tier: Tier) -> Candidates:
    """Every layout and number format whose weights fit, for every pair of model and accelerator."""
    cards, chips = [find_model(m) for m in models], [find_accelerator(a) for a in accelerators]
    rows: list[tuple[int, int, int, int]] = []
    spreads: list[Layout] = []
    widths: list[Formats] = []
    for i, card in enumerate(cards):
        for j, accelerator in enumerate(chips):
            tried = layouts(tier, card)
            for weights in weight_formats(tier, card, accelerator):
                widths.append(formats(accelerator, card, weights))
                rows += [(i, j, len(widths) - 1, len(spreads) + k) for k in range(len(tried))]
            spreads += tried
    model, accelerator, width, spread = np.array(rows, dtype=np.intp).T
    machine = Machine(
        Architecture.stack([architecture(card) for card in cards])[model],
        Chip.stack([chip(card) for card in chips])[accelerator],
        Formats.stack(widths)[width],
        Layout.stack(spreads)[spread],
    )
    fits = memory_batch(machine, REFERENCE.context) >= 1.0
    return Candidates(model[fits], accelerator[fits], machine[fits])


def _envelope(capacity: Capacity, chosen: NDArray[np.bool_], work: Workload) -> Floats:
    """Accelerator-hours per Mtok at each load of the grid by the cheapest deployment: (loads, 3)."""
    hours = capacity.seconds[chosen] * MEGA / HOUR
    if hours.shape[0] == 0:
        return np.full((GRID.size, 3), np.inf)
    prompt = work.input_len / work.output_len
    mix = np.array([prompt * (1.0 - work.cached_share), prompt * work.cached_share, 1.0])
    per_output = hours @ mix
    paid = np.maximum(1.0, capacity.accelerators[chosen] / (per_output * GRID[:, np.newaxis]))
    best = np.argmin(paid * per_output, axis=1)
    return np.asarray(hours[best] * paid[np.arange(GRID.size), best][:, np.newaxis])


@lru_cache(maxsize=64)
def _solve(models: tuple[str, ...], accelerators: tuple[str, ...], work: Workload, tier: TierName) -> Floats:
    """The curves of all pairs, shape (models, accelerators, loads, 3)."""
    habits = TIERS[tier]
    tried = candidates(models, accelerators, habits)
    capacity = saturate(
        tried.machine,
        work,
        habits.engine(shipped()),
        disaggregated=habits.disaggregated,
        batch_cap=habits.batch_cap,
    )
    hours = np.empty((len(models), len(accelerators), GRID.size, 3))
    for i, j in np.ndindex(hours.shape[:2]):
        pair = (tried.model == i) & (tried.accelerator == j) & capacity.feasible
        hours[i, j] = _envelope(capacity, pair, work)
    hours.setflags(write=False)
    return hours


@lru_cache(maxsize=64)
def _with_slopes(models: tuple[str, ...], accelerators: tuple[str, ...], work: Workload, tier: TierName) -> Floats:
    """Logarithm of hours and its slope to the next load, shape (pairs x loads, 6); slope 0 where infinite."""
    logs = np.log(_solve(models, accelerators, work, tier))
    with np.errstate(invalid="ignore"):
        slope = np.diff(logs, axis=2, append=logs[:, :, -1:])
    both = np.concatenate([logs, np.where(np.isfinite(slope), slope, 0.0)], axis=-1).reshape(-1, 6)
    both.setflags(write=False)
    return both


@dataclass(frozen=True, slots=True)
class ServingCurves:
    """Accelerator-hours per Mtok of each token class, by model, accelerator and load.

    `hours` has shape (models, accelerators, loads, 3), classes in the order input, cached input, output. A
    model
    that does not fit on an accelerator, or cannot keep the latency promise there, has infinite hours.
    """

    models: tuple[str, ...]
    accelerators: tuple[str, ...]
    work: Workload
    tier: TierName
    hours: Floats
    _logs: Floats
    """Of `_with_slopes`."""

    @classmethod
    def build(
        cls,
        models: Sequence[str],
        accelerators: Sequence[str],
        *,
        input_len: float,
        output_len: float,
        tpot_limit_ms: float,
        tier: TierName,
        cached_share: float = 0.5,
    ) -> "ServingCurves":
        """Solve the curves; `cached_share` of prompt tokens hit the cache in the mix that fills a group."""
        work = Workload(float(input_len), float(output_len), float(tpot_limit_ms), float(cached_share))
        names = (
            tuple(find_model(m).name for m in models),
            tuple(find_accelerator(a).name for a in accelerators),
        )
        hours = _solve(*names, work, tier)
        return cls(tuple(models), tuple(accelerators), work, tier, hours, _with_slopes(*names, work, tier))

    def hours_per_mtok(self, output_mtok_per_hour: NDArray[np.float64]) -> Floats:
        """Accelerator-hours per Mtok at an output load in Mtok an hour, (models,) or (models, accelerators).

        Returns shape (models, accelerators, 3). Above the grid hours are constant, below they rise as 1 / load.
        """
        load = np.asarray(output_mtok_per_hour, dtype=np.float64)
        load = load if load.ndim > 1 else load[:, np.newaxis]
        position = np.log(np.maximum(load, 1e-12)) / STEP - START
        inside = np.minimum(np.maximum(position, 0.0), GRID.size - 1.0)
        left = inside.astype(np.intp)
        models, accelerators = self.hours.shape[:2]
        pair = np.arange(models * accelerators).reshape(models, accelerators) * GRID.size
        found = self._logs.take(pair + left, axis=0)
        below = np.minimum(position, 0.0) * STEP
        return np.exp(found[..., :3] + (inside - left)[..., np.newaxis] * found[..., 3:] - below[..., np.newaxis])


def performance_index(
    accelerators: Sequence[str],
    reference_model: str = "Llama-3.1-70B",
    base: str = "H100_SXM",
    work: Workload = REFERENCE,
) -> Floats:
    """Tokens per accelerator-hour of a blended workload at saturation, relative to `base`.

    This defines H100-equivalents. 0 where the reference model cannot be served.
    """

    names = tuple(find_accelerator(name).name for name in (*accelerators, base))
    saturated = _solve((find_model(reference_model).name,), names, work, "tuned")[0, :, -1]
    speed = 1.0 / (saturated[:, 0] * work.input_len + saturated[:, 2] * work.output_len)
    return np.asarray(speed[:-1] / speed[-1])
