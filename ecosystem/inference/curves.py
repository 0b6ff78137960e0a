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
def _with_slopes(
    models: tuple[str, ...], accelerators: tuple[str, ...], work: Workload, tiers: tuple[TierName, ...]
) -> Floats:
    """Logarithm of hours, and its slope to the next load, shape (models x loads, 2, accelerators, 3).

    `tiers` has one for each model. The slope is 0 where hours are infinite. A load of a model is one block of memory.
    """
    logs = np.empty((len(models), GRID.size, len(accelerators), 3))
    for tier in set(tiers):
        rows = [i for i, own in enumerate(tiers) if own == tier]
        logs[rows] = np.log(_solve(tuple(models[i] for i in rows), accelerators, work, tier)).swapaxes(1, 2)
    with np.errstate(invalid="ignore"):
        slope = np.diff(logs, axis=1, append=logs[:, -1:])
    both = np.stack([logs, np.where(np.isfinite(slope), slope, 0.0)], axis=2)
    both = both.reshape(-1, *both.shape[2:])
    both.setflags(write=False)
    return both


@dataclass(frozen=True, slots=True)
class ServingCurves:
    """Accelerator-hours per Mtok of each token class, by model, accelerator and load.

    A model that does not fit on an accelerator, or cannot keep the latency promise there, has infinite hours.
    """

    models: tuple[str, ...]
    accelerators: tuple[str, ...]
    work: Workload
    tiers: tuple[TierName, ...]
    """One for each model."""
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
        tier: TierName | Sequence[TierName],
        cached_share: float = 0.5,
    ) -> "ServingCurves":
        """Solve the curves; `cached_share` of prompt tokens hit the cache in the mix that fills a group.

        `tier`: that of every model, or one for each.
        """
        work = Workload(float(input_len), float(output_len), float(tpot_limit_ms), float(cached_share))
        names = (
            tuple(find_model(m).name for m in models),
            tuple(find_accelerator(a).name for a in accelerators),
        )
        tiers: tuple[TierName, ...] = (tier,) * len(models) if isinstance(tier, str) else tuple(tier)
        return cls(tuple(models), tuple(accelerators), work, tiers, _with_slopes(*names, work, tiers))

    @property
    def hours(self) -> Floats:
        """Accelerator-hours per Mtok on the grid of loads, (models, accelerators, loads, 3).

        The classes are in the order input, cached input, output.
        """
        logs = self._logs[:, 0].reshape(len(self.models), GRID.size, len(self.accelerators), 3)
        return np.exp(logs).swapaxes(1, 2)

    def hours_per_mtok(self, output_mtok_per_hour: Floats) -> Floats:
        """Accelerator-hours per Mtok, (models, accelerators, 3), at an output load in Mtok an hour, (models,).

        Above the grid hours are constant, below they rise as 1 / load.
        """
        position = np.log(np.maximum(output_mtok_per_hour, 1e-12)) / STEP - START
        inside = np.minimum(np.maximum(position, 0.0), GRID.size - 1.0)
        left = inside.astype(np.intp)
        found = self._logs.take(np.arange(len(left)) * GRID.size + left, axis=0)
        below = np.minimum(position, 0.0) * STEP
        hours = (inside - left)[:, np.newaxis, np.newaxis] * found[:, 1]
        hours += found[:, 0]
        hours -= below[:, np.newaxis, np.newaxis]
        return np.exp(hours, out=hours)


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
