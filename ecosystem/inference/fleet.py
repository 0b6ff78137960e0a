"""What the physical kernel says of DeepSeek's day: speeds and nodes from models, chips and layouts alone.

Nothing here is fitted to the day. Taken from the publication: tokens, layouts, rent, the promise to users,
the shape
of load and of node use over the day. Predicted: throughput of both pools, so nodes and dollars.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from ecosystem.inference.batching import Floats
from ecosystem.inference.cards import find_accelerator, find_model
from ecosystem.inference.day import load_factor, mean_of_steps, published_day, rental_cost
from ecosystem.inference.deployment import cached_seconds, largest_batch, memory_batch
from ecosystem.inference.efficiencies import Efficiencies
from ecosystem.inference.machines import layout, machine
from ecosystem.inference.records import Machine
from ecosystem.inference.serving import decode_seconds, prefill_seconds
from ecosystem.inference.tiers import TIERS
from ecosystem.inference.validation import PREFILL_BATCH

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class FleetPrediction:
    """The kernel's day: tokens a second per node of 8 at the peak hour, mean nodes, dollars."""

    decode_batch: float
    decode_speed: float
    prefill_speed: float
    """Fresh and cached input tokens together, as DeepSeek counts them."""
    decode_nodes: float
    prefill_nodes: float
    cost: float

    @property
    def nodes(self) -> float:
        """Mean nodes over the day."""
        return self.decode_nodes + self.prefill_nodes


def _pool(ranks: int, *, overlap: bool) -> Machine:
    """One pool of the published layout: attention data-parallel, experts over all ranks with spare slots."""
    day, habits = published_day(), TIERS["wide"]
    model, accelerator = find_model(day.model), find_accelerator(day.accelerator)
    share = habits.overlap if overlap else 0.0
    spread = layout(dp=ranks, ep=ranks, overlap=share, redundancy=habits.redundancy)
    return machine(model, accelerator, model.weights, spread)


def _step(pool: Machine, context: Floats, eff: Efficiencies, sequences: Floats) -> Floats:
    return decode_seconds(pool, sequences, context, eff)


def _decode(eff: Efficiencies) -> tuple[float, float]:
    """Largest batch that keeps the published user speed, and tokens a second per accelerator at it."""
    day = published_day()
    context = np.asarray(day.mean_context)
    best = (0.0, 0.0)
    for overlap in (False, True):
        pool = _pool(day.decode_accelerators, overlap=overlap)
        tpot = partial(_step, pool, context, eff)
        batch = float(largest_batch(tpot, 1.0 / day.user_speed[0], memory_batch(pool, context)))
        if batch > 0:
            speed = batch / float(tpot(np.asarray(batch)))
            best = max(best, (speed, batch))
    return best[1], best[0]


def _prefill(eff: Efficiencies) -> float:
    """Input tokens a second per accelerator, hits included: fresh ones are computed, hits are loaded."""
    day = published_day()
    hit = float(day.tokens[1] / day.tokens[:2].sum())
    steps = []
    for overlap in (False, True):
        pool = _pool(day.prefill_accelerators, overlap=overlap)
        context = np.asarray(day.mean_context / 2.0)
        steps.append(float(prefill_seconds(pool, np.asarray(PREFILL_BATCH), eff, context=context)))
    load = float(cached_seconds(pool, eff))
    return 1.0 / ((1.0 - hit) * min(steps) / PREFILL_BATCH + hit * load)


def predict(eff: Efficiencies) -> FleetPrediction:
    """Mean nodes and dollars: pools sized for the peak hour, used through the day as published."""
    day = published_day()
    batch, decode = _decode(eff)
    prefill = _prefill(eff)
    per_node = day.accelerators_per_node
    peak_demand = day.tokens / DAY_SECONDS / float(load_factor(day.hourly_income))
    in_use = float(mean_of_steps(day.chart_hours, day.chart_nodes)) / day.peak_nodes
    decode_nodes = in_use * float(peak_demand[2]) / (decode * per_node)
    prefill_nodes = in_use * float(peak_demand[:2].sum()) / (prefill * per_node)
    cost = float(rental_cost(decode_nodes + prefill_nodes, per_node, day.rent))
    return FleetPrediction(batch, decode * per_node, prefill * per_node, decode_nodes, prefill_nodes, cost)
