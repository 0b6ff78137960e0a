"""What `watersellers kernel` prints on a terminal."""

import sys
from typing import Any

from ecosystem.inference.explain import Explanation
from ecosystem.inference.validation import Score

SCORE_COLUMNS = ["rows", "n", "median |error|", "p90", "bias"]


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print one table."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        grid.add_column(column, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in rows:
        grid.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(grid)


def print_day(report: dict[str, Any]) -> None:
    """The published day, and the kernel's prediction beside it."""
    even, physical = report["break_even_paid_share"], report["physical"]
    discount, nodes = even["with_off_peak_discount"], report["nodes_from_speeds"]
    table(
        "DeepSeek's day, 27-28 February 2025: its own published figures, recomputed",
        ["", "value", "how"],
        [
            ["nodes of 8 H800, mean", f"{report['nodes']:.2f}", "integral of the published node chart"],
            ["cost of the day", f"${report['cost_usd']:,.0f}", "nodes x 8 x $2 x 24 h"],
            [
                "theoretical revenue",
                f"${report['revenue_usd']:,.0f}",
                "every token at R1's list price (published)",
            ],
            [
                "  from rounded tokens",
                f"${report['revenue_from_token_totals_usd']:,.0f}",
                "608 bn in, 168 bn out",
            ],
            ["mark-up on cost", f"{report['markup']:.1%}", "revenue / cost - 1"],
            ["margin on revenue", f"{report['margin']:.1%}", "1 - cost / revenue"],
            [
                "nodes from speeds",
                f"{nodes['total']:.2f}",
                f"{nodes['prefill']:.1f} prefill at 73.7 k + {nodes['decode']:.1f} decode at 14.8 k tok/s",
            ],
            [
                "cost per Mtok",
                f"${report['usd_per_mtok']['input']:.4f} / ${report['usd_per_mtok']['output']:.4f}",
                "input / output, $16 an hour a node",
            ],
            ["load factor", f"{report['load_factor']:.3f}", "mean over peak of hourly income"],
            [
                "saved by lending nodes",
                f"{report['saved_by_lending']:.1%}",
                "against 278 nodes around the clock",
            ],
            ["volume in discount window", f"{report['off_peak_share']:.0%}", "00:30 to 08:30"],
            [
                "break-even paid share",
                f"{even['r1']:.1%} / {even['v3']:.1%}",
                "all R1 / all V3, at list price",
            ],
            [
                "  with off-peak discount",
                f"{discount['r1']:.0%} / {discount['v3']:.0%} / {discount['half']:.0%}",
                "all R1 / all V3 / half and half",
            ],
        ],
    )
    error = physical["error"]
    table(
        "The same day from physics: models, chips and layouts, never fitted to it",
        ["", "kernel", "published", "error"],
        [
            ["nodes, mean", f"{physical['nodes']:.1f}", f"{report['nodes']:.2f}", f"{error['nodes']:+.1%}"],
            [
                "cost",
                f"${physical['cost_usd']:,.0f}",
                f"${report['cost_usd']:,.0f}",
                f"{error['cost_usd']:+.1%}",
            ],
            [
                "decode tok/s a node",
                f"{physical['decode']['tokens_per_second_per_node']:,.0f} (at the promise of 20 tok/s)",
                "14,800 (mean of the day)",
                "",
            ],
            [
                "prefill tok/s a node",
                f"{physical['prefill']['tokens_per_second_per_node']:,.0f} (saturated, hits included)",
                "73,700 (mean of the day)",
                "",
            ],
        ],
    )
    print(f"Goal: nodes and dollars within {physical['goal']:.0%}: {'met' if physical['met'] else 'missed'}.")
    decode = physical["decode"]["nodes"] / nodes["decode"] - 1.0
    prefill = physical["prefill"]["nodes"] / nodes["prefill"] - 1.0
    print(f"Nodes by pool against the published speeds: decode {decode:+.0%}, prefill {prefill:+.0%}.")


def print_explanation(result: Explanation) -> None:
    """One deployment: layout, limits, operations of both phases, dollars."""
    spread_text = ", ".join(f"{name} {value:g}" for name, value in result.layout.items())
    hardware = f"{result.accelerators} x {result.accelerator}"
    print(f"{result.model} in {result.weights} on {hardware} ({result.tier}: {spread_text})")
    print(
        f"{result.weight_gb_per_accelerator:.1f} GB of weights per accelerator; batch {result.batch:.0f} "
        f"a rank (memory holds {result.batch_by_memory:.0f}), limited by {result.limited_by}; "
        f"{result.tpot_ms:.1f} ms per token for a user"
    )
    for title, phase in (("Decode step", result.decode), ("Prefill step of 8,192 tokens", result.prefill)):
        rows = [
            [o.name, f"{o.ms:.3f}", o.binding, f"{o.bandwidth_ms:.3f}", f"{o.arithmetic_ms:.3f}",
             f"{o.network_ms:.3f}", f"{o.fixed_ms:.3f}", f"{o.usd_per_mtok:.4f}"]
            for o in phase.operations
        ]  # fmt: skip
        rows.append(["sum", f"{phase.step_ms:.3f}", "", "", "", "", "", f"{phase.usd_per_mtok:.4f}"])
        speed = phase.tokens_per_second_per_accelerator
        table(
            f"{title}: {speed:,.0f} tok/s per accelerator",
            ["operation", "ms", "binds", "bandwidth", "arithmetic", "network", "fixed", "$/Mtok"],
            rows,
        )
    prices = ", ".join(f"{token} {usd:.4f}" for token, usd in result.usd_per_mtok.items())
    print(f"$/Mtok at ${result.rent:g} an hour and {result.utilisation:.0%} utilisation: {prices}")


def _score_rows(scores: list[Any]) -> list[list[str]]:
    return [
        [s.name, str(s.count), f"{s.median:.1%}", f"{s.p90:.1%}", f"{s.bias:+.1%}"]
        if s.count
        else [s.name, "0", *"---"]
        for s in scores
    ]


def print_protocol(report: dict[str, Any]) -> None:
    """Halves, leave-one-out tables, wide expert parallelism, goals."""

    def scores(key: str) -> list[Score]:
        return [Score(**entry) for entry in report[key]]

    table(
        "Halves of the split",
        SCORE_COLUMNS,
        _score_rows([Score(**report["fit_half"]), Score(**report["report_half"])]),
    )
    table("Leave one accelerator out", SCORE_COLUMNS, _score_rows(scores("leave_one_accelerator_out")))
    table("Leave one model out", SCORE_COLUMNS, _score_rows(scores("leave_one_model_out")))
    rows = [
        [p["name"], p["accelerator"], p["model"], p["phase"], p["kind"], f"{p['measured']:,.0f}",
         f"{p['predicted']:,.0f}", f"{p['error']:+.1%}"]
        for p in report["wide_expert_parallelism"]
    ]  # fmt: skip
    table(
        "Published wide expert parallelism, tok/s per accelerator (none fitted; fleet averages not scored)",
        ["", "accelerator", "model", "phase", "kind", "published", "kernel", "error"],
        rows,
    )
    rows = [
        [g["what"], f"{g['value']:.1%}", f"{g['goal']:.0%}", "met" if g["met"] else "missed"] for g in report["goals"]
    ]
    table("Goals", ["goal", "value", "at most", ""], rows)


def print_scores(report: dict[str, Any], predicted: int) -> None:
    """Errors overall, by accelerator and by model; rows that were not predicted and why."""
    overall = Score(**report["overall"])
    if overall.count:
        parts = [Score(**entry) for key in ("by_accelerator", "by_model") for entry in report[key]]
        table(f"Time per output token, {report['file']}", SCORE_COLUMNS, _score_rows([overall, *parts]))
    else:
        print(f"{report['file']}: {predicted} rows predicted, none has a measured tpot_ms")
    if report["skipped"]:
        table("Not predicted", ["id", "reason"], [[row["id"], row["reason"]] for row in report["skipped"]])
