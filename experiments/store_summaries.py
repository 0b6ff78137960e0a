"""What a sweep says, as plain data: the content of `sweep --json`, of the terminal and of the sweep's report."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.outcome_words import headlines
from experiments.outcomes import TIER_ORDER, Floats, outcome_units
from experiments.summaries import plain

if TYPE_CHECKING:
    import pandas as pd

    from ecosystem.provenance import ParameterRow
    from experiments.samples import Factor
    from experiments.stores import Store, SweepRecord

BAND = (0.05, 0.95)
FEWEST_POINTS = 8
"""Points below which a rank correlation says nothing."""


def sweep_summary(store: "Store", record: "SweepRecord") -> dict[str, Any]:
    """Return a sweep in plain data: counts, factors, bands of all outcomes, rank correlations, failures."""
    frame = store.frame(record.id)
    failures = store.failures(record.id)
    names = store.outcome_names()
    units = outcome_units(names)
    scenario = store.scenario(record.id)
    bands = {name: band(frame[name].to_numpy(dtype=np.float64)) | {"unit": units[name]} for name in names}
    content: dict[str, Any] = {
        "store": str(store.path),
        "sweep": record.id,
        "scenario": str(scenario.get("name", record.design.scenario)),
        "title": str(scenario.get("title", record.design.scenario)),
        "method": record.design.method,
        "months": record.design.months or scenario.get("months"),
        "seed": record.seed,
        "fingerprint": store.manifest["fingerprint"],
        "points": record.points,
        "replicates": record.design.replicates,
        "runs": record.points * record.design.replicates,
        "finished": len(frame),
        "failed": len(failures),
        "seconds_per_run": _seconds(store, record),
        "factors": factor_rows(record, scenario),
        "outcomes": bands if len(frame) else {},
        "rank_correlations": rank_correlations(frame, record, headlines(names)) if len(frame) else {},
        "failures": failures[["key", "error", "replay"]].to_dict("records"),
    }
    clean: dict[str, Any] = plain(content)
    return clean


def band(values: Floats) -> dict[str, Any]:
    """Return median, quartiles, 5 % and 95 % quantile of the finite values, and the share that is above zero."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {"runs": 0}
    names = ("low", "quarter", "median", "three_quarters", "high")
    quantiles = np.quantile(known, (BAND[0], 0.25, 0.5, 0.75, BAND[1]))
    found = dict(zip(names, quantiles.tolist(), strict=True))
    return found | {"runs": len(known), "positive": float((known > 0.0).mean())}


def rank_correlations(
    frame: "pd.DataFrame", record: "SweepRecord", outcomes: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return Spearman's rank correlation of outcomes with each factor that can be ordered, strongest first.

    Over points, of which replicates are averaged. The 95 % interval is Fisher's, as if points were drawn
    independently. Factors and outcomes that do not vary are left out.
    """
    factors = [factor.path for factor in record.factors if not _is_text(factor)]
    points = frame.groupby("point")[[*factors, *outcomes]].mean(numeric_only=True)
    result = {}
    for outcome in outcomes:
        found = {}
        for path in factors:
            if (pair := _rank_correlation(points[path].to_numpy(float), points[outcome].to_numpy(float))) is not None:
                found[path] = pair
        result[outcome] = dict(sorted(found.items(), key=lambda item: -abs(item[1]["estimate"])))
    return {outcome: found for outcome, found in result.items() if found}


def factor_rows(record: "SweepRecord", scenario: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the factors of a sweep with what the scenario's parameters say of them."""
    rows = _parameters(scenario)
    return [_factor_row(factor, rows.get(factor.path)) for factor in record.factors]


def profits_in_words(content: Mapping[str, Any]) -> str:
    """Say in how many runs each tier earned an operating profit; "" where the outcomes are others."""
    shares = []
    for tier in TIER_ORDER:
        known = content["outcomes"].get(f"{tier}_operating_profit")
        if known is None or not known["runs"]:
            return ""
        shares.append(f"{tier} in {100.0 * known['positive']:.0f} %")
    return f"An operating profit in the last year: {', '.join(shares)} of the runs."


def _factor_row(factor: "Factor", row: "ParameterRow | None") -> dict[str, Any]:
    span = factor.span
    return {
        "path": factor.path,
        "role": factor.role,
        "values": list(factor.values) or None,
        "low": None if span is None else span.low,
        "high": None if span is None else span.high,
        "log": span is not None and span.log,
        "unit": "" if row is None else row.unit,
        "doc": "" if row is None else row.doc,
        "scenario_value": None if row is None else row.value,
    }


def _rank_correlation(x: Floats, y: Floats) -> dict[str, float] | None:
    from scipy.stats import rankdata

    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < FEWEST_POINTS or x.min() == x.max() or y.min() == y.max():
        return None
    estimate = float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
    half = 1.96 / math.sqrt(len(x) - 3)
    middle = math.atanh(min(max(estimate, -0.999999), 0.999999))
    return {"estimate": estimate, "low": math.tanh(middle - half), "high": math.tanh(middle + half)}


def _is_text(factor: "Factor") -> bool:
    return any(isinstance(value, str) for value in factor.values)


def _parameters(scenario: Mapping[str, Any]) -> "dict[str, ParameterRow]":
    """Return a scenario's parameter rows by path, none if this version cannot read it."""
    from ecosystem.spec import Spec

    try:
        spec = Spec.from_json(json.dumps(scenario))
    except ValueError:
        return {}
    return {row.path: row for row in spec.parameters()}


def _seconds(store: "Store", record: "SweepRecord") -> float | None:
    """Return the mean time of a run of a sweep."""
    table = store.query("SELECT avg(seconds) AS seconds FROM runs SEMI JOIN points USING (key)", record.id)
    return float(table["seconds"][0]) if len(table) else None
