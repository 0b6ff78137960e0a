"""`watersellers kernel`: DeepSeek's day, one deployment explained, the score on measurements, the fit."""

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from experiments.errors import RunFailure, UserError

app = App(name="kernel", help="The inference-cost kernel: what a model costs to serve on an accelerator.")

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object instead of tables.")]


def _print_json(content: dict[str, Any]) -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return None if isinstance(value, float) and math.isnan(value) else value

    print(json.dumps(plain(content), indent=2, allow_nan=False))


@app.default
def day(*, as_json: Json = False) -> None:
    """DeepSeek's published day: cost, revenue, margin, break-even; and the kernel's prediction of it."""
    from experiments.kernel_reports import day_report
    from experiments.kernel_tables import print_day

    report = day_report()
    if as_json:
        _print_json(report)
    else:
        print_day(report)


def _check_ranges(numbers: dict[str, float | None], *, above: float = 0.0, at_most: float = float("inf")) -> None:
    for name, value in numbers.items():
        if value is not None and not above < value <= at_most:
            limit = f" and at most {at_most:g}" if at_most < float("inf") else ""
            raise UserError(f"--{name} must be above {above:g}{limit}, got {value:g}")


@app.command
def cost(
    *,
    model: str = "DeepSeek-V3",
    accelerator: str = "H800_SXM",
    tier: Literal["naive", "tuned", "wide"] = "tuned",
    weights: Literal["bf16", "fp8", "fp4", "int8", "int4"] | None = None,
    tp: int | None = None,
    dp: int | None = None,
    ep: int | None = None,
    pp: int | None = None,
    batch: float | None = None,
    input_len: float = 2000.0,
    output_len: float = 500.0,
    cached_share: float = 0.0,
    tpot_limit_ms: float = 50.0,
    rent: float = 2.0,
    utilisation: float = 1.0,
    verified: float = 1.0,
    accepted: float = 1.0,
    as_json: Json = False,
) -> None:
    """Explain one deployment: time and binding resource per operation, batch limit, $/Mtok that adds up.

    Parameters
    ----------
    model
        A model card, in any common spelling.
    accelerator
        An accelerator card, in any common spelling.
    tier
        Deployment quality; its cheapest layout is taken unless one is given.
    weights
        Number format of the weights.
    tp
        Tensor-parallel accelerators.
    dp
        Attention data-parallel ranks.
    ep
        Ranks that experts are spread over.
    pp
        Pipeline stages.
    batch
        Sequences per attention rank that demand offers.
    input_len
        Tokens of the mean prompt.
    output_len
        Tokens of the mean answer.
    cached_share
        Share of prompt tokens found in the cache.
    tpot_limit_ms
        Promise to users, ms per output token.
    rent
        USD per accelerator-hour.
    utilisation
        Share of paid capacity in use.
    verified
        Tokens a sequence computes in a step (speculation).
    accepted
        Tokens a sequence gains in a step (speculation).
    """
    from ecosystem.inference.cards import UnknownCardError
    from ecosystem.inference.deployment import Workload
    from ecosystem.inference.explain import InfeasibleDeploymentError, explain
    from ecosystem.inference.machines import layout
    from experiments.kernel_tables import print_explanation

    _check_ranges({"tp": tp, "dp": dp, "ep": ep, "pp": pp, "batch": batch, "input-len": input_len})
    _check_ranges({"output-len": output_len, "tpot-limit-ms": tpot_limit_ms, "rent": rent})
    _check_ranges({"verified": verified, "accepted": accepted}, at_most=16.0)
    _check_ranges({"utilisation": utilisation}, at_most=1.0)
    _check_ranges({"cached-share": cached_share}, above=-1e-9, at_most=1.0)
    spread = None
    if any((tp, dp, ep, pp)):
        ranks = (tp or 1) * (dp or 1)
        if ranks % (ep or 1):
            raise UserError(f"--ep {ep} does not divide tp x dp = {ranks}")
        spread = layout(tp=tp or 1, dp=dp or 1, ep=ep or 1, pp=pp or 1)
    work = Workload(input_len, output_len, tpot_limit_ms, cached_share)
    try:
        result = explain(
            model, accelerator, work, tier=tier, weights=weights, spread=spread, batch=batch, rent=rent,
            utilisation=utilisation, verified=verified, accepted=accepted,
        )  # fmt: skip
    except (UnknownCardError, InfeasibleDeploymentError) as problem:
        raise UserError(str(problem)) from problem
    if as_json:
        _print_json(asdict(result))
        return
    print_explanation(result)


def _write_predictions(path: Path, ids: tuple[str, ...], predicted: Any) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "tpot_ms"])
            writer.writerows((name, f"{value:.4f}") for name, value in zip(ids, predicted.tolist(), strict=True))
    except OSError as problem:
        raise RunFailure(f"cannot write {path}: {problem.strerror}") from problem


@app.command
def validate(
    file: Path | None = None,
    /,
    *,
    out: Path | None = None,
    as_json: Json = False,
) -> None:
    """Score the kernel on measured rows in the format of throughput.csv.

    Parameters
    ----------
    file
        A CSV file; by default the shipped one, with the whole validation protocol.
    out
        Where to write predictions (columns id, tpot_ms).
    """
    from ecosystem.inference.measurements import MeasurementError
    from experiments.kernel_reports import protocol_report, score_report
    from experiments.kernel_tables import print_protocol, print_scores

    try:
        report, rows, predicted = score_report(file)
    except MeasurementError as problem:
        raise UserError(str(problem)) from problem
    except OSError as problem:
        raise UserError(f"cannot read {file}: {problem.strerror}") from problem
    if out:
        _write_predictions(out, rows.ids, predicted)
    if file is None:
        report["protocol"] = protocol_report(rows, predicted)
    if as_json:
        _print_json(report)
        return
    print_scores(report, len(rows))
    if file is None:
        print_protocol(report["protocol"])
    if out:
        print(f"predictions: {out}")


@app.command
def fit() -> None:
    """Fit the efficiencies again and rewrite the shipped file."""
    from ecosystem.inference.fit import main

    main()


if __name__ == "__main__":
    import sys

    from experiments.cli import main

    main(["kernel", *sys.argv[1:]])
