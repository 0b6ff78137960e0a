"""Predictions against measurements: errors by accelerator and model, leave-one-out tables, wide expert
parallelism.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecosystem.inference.batching import Floats
from ecosystem.inference.cards import DATA, find_accelerator, find_model
from ecosystem.inference.deployment import memory_batch
from ecosystem.inference.efficiencies import Efficiencies
from ecosystem.inference.machines import layout, machine
from ecosystem.inference.measurements import Measurements
from ecosystem.inference.records import Load
from ecosystem.inference.roofline import step_seconds
from ecosystem.inference.serving import decode_seconds, mixed_tpot
from ecosystem.inference.tiers import TIERS

MEDIAN_GOAL, P90_GOAL, WIDE_GOAL, DAY_GOAL = 0.12, 0.40, 0.07, 0.05
OVERLAPS = tuple(0.05 * step for step in range(6, 19))
"""Shares of hidden communication that the leave-one-out choice may take: 0.30 to 0.90."""
PREFILL_BATCH = 16_384.0
"""Prompt tokens per rank and step in the published prefill runs (LMSYS 2025-05-05)."""


@dataclass(frozen=True, slots=True)
class Score:
    """Relative errors of predictions (predicted / measured - 1)."""

    name: str
    count: int
    median: float
    """Median absolute error."""
    p90: float
    """90th percentile of the absolute error."""
    bias: float
    """Median signed error."""


def predict_tpot_ms(rows: Measurements, eff: Efficiencies) -> Floats:
    """Time per output token of each row, ms.

    Sequences beyond what memory holds wait in the queue. Where not even the weights fit, the stated layout must
    be wrong, and all sequences are taken to run.
    """
    context = rows.input_len + rows.output_len / 2.0
    held = memory_batch(rows.machine, context)
    sequences = np.where(held >= 1.0, np.minimum(rows.sequences, held), rows.sequences)
    mixed = mixed_tpot(rows.machine, sequences, rows.input_len, rows.output_len, eff)
    return np.asarray(1e3 * np.where(rows.mixed, mixed, decode_seconds(rows.machine, sequences, context, eff)))


def score(name: str, predicted: Floats, measured: Floats) -> Score:
    """Summary of the rows that have a measurement."""
    error = (predicted / measured - 1.0)[np.isfinite(measured)]
    if error.size == 0:
        return Score(name, 0, np.nan, np.nan, np.nan)
    size = np.abs(error)
    return Score(name, error.size, float(np.median(size)), float(np.quantile(size, 0.9)), float(np.median(error)))


def scores_by(labels: NDArray[np.str_], predicted: Floats, measured: Floats) -> list[Score]:
    """One score per label, sorted by name."""
    return [score(str(label), predicted[labels == label], measured[labels == label]) for label in np.unique(labels)]


def leave_one_out(
    rows: Measurements, labels: NDArray[np.str_], fit: Callable[[Measurements], Efficiencies]
) -> list[Score]:
    """Each label's rows predicted with efficiencies fitted on the fit half of all the others, and all
    together.
    """
    predicted = np.empty(len(rows))
    for label in np.unique(labels):
        left_out = labels == label
        eff = fit(rows.subset(rows.fit_half & ~left_out))
        predicted[left_out] = predict_tpot_ms(rows.subset(left_out), eff)
    return [*scores_by(labels, predicted, rows.tpot_ms), score("all", predicted, rows.tpot_ms)]


@dataclass(frozen=True, slots=True)
class WidePoint:
    """A published point of wide expert parallelism and the kernel's prediction, tokens a second per
    accelerator.
    """

    name: str
    accelerator: str
    model: str
    phase: str
    kind: str
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Relative error."""
        return self.predicted / self.measured - 1.0

    @property
    def saturated(self) -> bool:
        """Whether the point is a saturated or latency-bound deployment rather than the average of a fleet."""
        return self.kind != "fleet average"


def _wide_speed(row: dict[str, str], eff: Efficiencies, hidden: float) -> float:
    """Tokens a second per accelerator; two micro-batches where they are faster than one."""
    habits, ranks = TIERS["wide"], int(row["ep"])
    model, accelerator = find_model(row["model"]), find_accelerator(row["accelerator"])
    copies = habits.redundancy if ranks > 8 else 1.0
    speeds = []
    for overlap in (0.0, hidden):
        spread = layout(tp=int(row["tp"]), dp=int(row["attention_dp"]), ep=ranks, overlap=overlap, redundancy=copies)
        deployed = machine(model, accelerator, row["weights"], spread)
        context = np.asarray(float(row["context_len"] or 0.0))
        none, one = np.zeros(()), np.ones(())
        if row["phase"] == "prefill":
            load = Load(none, one, none, np.asarray(PREFILL_BATCH), context / 2.0)
            tokens = PREFILL_BATCH
        else:
            batch = float(row["batch_per_accelerator"])
            verified = np.asarray(float(row["verified_tokens"] or 1.0))
            load = Load(np.asarray(batch), verified, context, none, none)
            tokens = batch * float(row["accepted_tokens"] or 1.0)
        speeds.append(tokens / float(step_seconds(deployed, load, eff)))
    return max(speeds)


def wide_points(eff: Efficiencies, overlap: float | None = None) -> list[WidePoint]:
    """All published points of `wide_ep.csv`; none is used in the fit. `overlap` replaces the shipped judgement."""
    hidden = TIERS["wide"].overlap if overlap is None else overlap
    with (DATA / "wide_ep.csv").open("r", encoding="utf-8") as file:
        return [
            WidePoint(
                name=row["id"],
                accelerator=row["accelerator"],
                model=row["model"],
                phase=row["phase"],
                kind=row["kind"],
                measured=float(row["tok_s_per_accelerator"]),
                predicted=_wide_speed(row, eff, hidden),
            )
            for row in csv.DictReader(file)
        ]


def wide_leave_one_out(eff: Efficiencies) -> float:
    """Median error of scored wide points, each predicted with the overlap that suits the other points best.

    The shipped overlap was set with these errors in view, so this is the fairer figure of the two.
    """
    errors = np.array([[abs(p.error) for p in wide_points(eff, overlap) if p.saturated] for overlap in OVERLAPS])
    points = range(errors.shape[1])
    chosen = [int(np.argmin(np.median(np.delete(errors, point, axis=1), axis=1))) for point in points]
    return float(np.median(errors[chosen, points]))
