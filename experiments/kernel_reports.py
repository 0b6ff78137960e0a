"""What `watersellers kernel` reports, as plain dictionaries."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ecosystem.inference.batching import Floats
from ecosystem.inference.measurements import Measurements


def day_report() -> dict[str, Any]:
    """DeepSeek's published day as arithmetic, and what the physical kernel predicts for it."""
    from ecosystem.inference.day import account, published_day
    from ecosystem.inference.efficiencies import shipped
    from ecosystem.inference.fleet import predict
    from ecosystem.inference.validation import DAY_GOAL

    result, physical, facts = account(), predict(shipped()), published_day()
    errors = {"nodes": physical.nodes / facts.mean_nodes - 1.0, "cost_usd": physical.cost / facts.cost - 1.0}
    return {
        "cost_usd": round(result.cost, 2),
        "revenue_usd": result.revenue,
        "revenue_from_token_totals_usd": round(result.revenue_from_tokens, 2),
        "markup": result.markup,
        "margin": result.margin,
        "nodes": result.mean_nodes,
        "nodes_from_speeds": {
            "prefill": result.nodes_from_speeds[0],
            "decode": result.nodes_from_speeds[1],
            "total": sum(result.nodes_from_speeds),
        },
        "usd_per_mtok": {"input": result.usd_per_mtok_input, "output": result.usd_per_mtok_output},
        "load_factor": result.load_factor,
        "saved_by_lending": result.saved_by_lending,
        "off_peak_share": result.off_peak_share,
        "break_even_paid_share": {
            "r1": result.break_even["r1"],
            "v3": result.break_even["v3"],
            "with_off_peak_discount": {
                "r1": result.break_even["r1_off_peak"],
                "v3": result.break_even["v3_off_peak"],
                "half": result.break_even["half_off_peak"],
            },
        },
        "physical": {
            "fitted_to_the_day": False,
            "nodes": physical.nodes,
            "cost_usd": physical.cost,
            "decode": {
                "nodes": physical.decode_nodes,
                "batch_per_accelerator": physical.decode_batch,
                "tokens_per_second_per_node": physical.decode_speed,
            },
            "prefill": {
                "nodes": physical.prefill_nodes,
                "tokens_per_second_per_node": physical.prefill_speed,
            },
            "error": errors,
            "goal": DAY_GOAL,
            "met": all(abs(error) <= DAY_GOAL for error in errors.values()),
        },
    }


def score_report(file: Path | None) -> tuple[dict[str, Any], Measurements, Floats]:
    """Score the rows of a file: the report, the measurements and the predictions in ms."""
    from ecosystem.inference.efficiencies import shipped
    from ecosystem.inference.measurements import read, shipped_measurements
    from ecosystem.inference.validation import predict_tpot_ms, score, scores_by

    rows = read(file) if file else shipped_measurements()
    predicted = predict_tpot_ms(rows, shipped())
    report = {
        "file": str(file) if file else "shipped throughput.csv",
        "overall": asdict(score("all", predicted, rows.tpot_ms)),
        "by_accelerator": [asdict(s) for s in scores_by(rows.accelerators, predicted, rows.tpot_ms)],
        "by_model": [asdict(s) for s in scores_by(rows.models, predicted, rows.tpot_ms)],
        "skipped": [{"id": name, "reason": reason} for name, reason in rows.skipped],
    }
    return report, rows, predicted


def protocol_report(rows: Measurements, predicted: Floats) -> dict[str, Any]:
    """The protocol on the shipped rows: halves, leave-one-out, wide expert parallelism, goals."""
    import numpy as np

    from ecosystem.inference.efficiencies import shipped
    from ecosystem.inference.fit import fit
    from ecosystem.inference.validation import (
        MEDIAN_GOAL,
        P90_GOAL,
        WIDE_GOAL,
        leave_one_out,
        score,
        wide_leave_one_out,
        wide_points,
    )

    unseen = ~rows.fit_half
    report_half = score("report half", predicted[unseen], rows.tpot_ms[unseen])
    wide = wide_points(shipped())
    wide_median = float(np.median([abs(point.error) for point in wide if point.saturated]))
    physical = day_report()["physical"]
    goals = [
        ("median error, unseen rows", report_half.median, MEDIAN_GOAL),
        ("90th percentile, unseen rows", report_half.p90, P90_GOAL),
        ("median error, wide expert parallelism", wide_median, WIDE_GOAL),
        ("the same, overlap chosen leave-one-out", wide_leave_one_out(shipped()), WIDE_GOAL),
        ("DeepSeek day, nodes", abs(physical["error"]["nodes"]), physical["goal"]),
        ("DeepSeek day, dollars", abs(physical["error"]["cost_usd"]), physical["goal"]),
    ]
    return {
        "fit_half": asdict(score("fit half", predicted[rows.fit_half], rows.tpot_ms[rows.fit_half])),
        "report_half": asdict(report_half),
        "leave_one_accelerator_out": [asdict(s) for s in leave_one_out(rows, rows.accelerators, fit)],
        "leave_one_model_out": [asdict(s) for s in leave_one_out(rows, rows.models, fit)],
        "wide_expert_parallelism": [asdict(point) | {"error": point.error} for point in wide],
        "goals": [{"what": w, "value": v, "goal": g, "met": v <= g} for w, v, g in goals],
    }
