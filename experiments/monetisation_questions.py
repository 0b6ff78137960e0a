"""The standing questions of monetisation, each answered by a small sweep around the arms.

Which way breaks even and for whom is read from the arms themselves. Here: the best ad load and how it moves with
what an ad costs in trust and use; what a quota does to margin and churn; what low willingness to pay does to a
subscription, and at which price it earns most; what API resale is worth once weights are open.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.arm_files import Arm
from experiments.outcomes import ratio
from experiments.paired import Crew, Failed, Job

if TYPE_CHECKING:
    import pandas as pd

    from ecosystem.model import ValueChain
    from ecosystem.spec import Spec

REPLICATES = 4
LOADS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
SENSITIVITIES = (0.3, 1.0, 3.0)
QUOTAS = (15.0, 30.0, 60.0, 150.0, 1e9)
PRICES = (2.5, 5.0, 10.0, 20.0, 40.0)
WILLINGNESS = (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Question:
    """One question: the rows of its sweep (condition, level, outcome means) and the answer in words."""

    name: str
    question: str
    answer: str
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """All questions with their answers, for one app."""

    app: str
    questions: tuple[Question, ...]

    def table(self) -> "pd.DataFrame":
        """Return all sweeps, a row a question, condition and level."""
        import pandas as pd

        return pd.DataFrame([{"question": each.name, **row} for each in self.questions for row in each.rows])

    def to_dict(self) -> dict[str, Any]:
        """Return the answers as JSON can hold them."""
        return {
            each.name: {"question": each.question, "answer": each.answer, "rows": list(each.rows)}
            for each in self.questions
        }


def answer(base: "Spec", app: str, seed: int, months: int, crew: Crew) -> Answers:
    """Run the sweeps of all questions for one app and say what comes out."""
    sweeps = (_ad_load(base, app), _quota(base, app), _willingness(base, app), _open_weights(base))
    jobs = [
        Job(spec, seed, replicate, months, "experiments.monetisation_questions:measure", (app,))
        for points in sweeps
        for _, spec in points
        for replicate in range(REPLICATES)
    ]
    results = iter(_means(crew.run(jobs)))
    tables = [tuple({**labels, **next(results)} for labels, _ in points) for points in sweeps]
    say = (_say_load, _say_quota, _say_willingness, _say_open)
    return Answers(
        app,
        tuple(
            Question(name, words, tell(rows), rows)
            for (name, words), tell, rows in zip(_QUESTIONS, say, tables, strict=True)
        ),
    )


_QUESTIONS = (
    ("ad-load", "Which ad load earns most over the run, and how does it move with what an ad costs in trust and use?"),
    ("quota", "What does the quota of the free tier do to margin and to the churn of payers?"),
    ("willingness", "What does low willingness to pay do to a subscription?"),
    ("open-weights", "What is selling answers by API worth once weights are open?"),
)


def measure(chain: "ValueChain", app: str) -> dict[str, float]:
    """Return what the questions look at of one run."""
    from experiments.arm_measures import measure as measure_app

    values = measure_app(chain, [app])[app][0]
    record = chain.recorder
    sales = sum(float(record.of(lab, "rev_tokens").sum()) for lab in chain.labs)
    enterprise = sum(value for _, value in chain.serving.api_sales.values())
    closed = [lab for lab in chain.labs.values() if not lab.open_weights]
    margin = [
        (lab.books.revenue - lab.books.cost_of_sales, lab.books.revenue) for lab in closed if lab.books.revenue > 0.0
    ]
    kept = ("operating_profit", "total_profit", "gross_margin", "churn", "paid_share", "users", "trust")
    return {name: values[name] for name in kept} | {
        "token_sales": sales,
        "api_revenue": float(enterprise),
        "api_price": float(record.series["fixed_quality_price"][-1]),
        "closed_margin": ratio(sum(m for m, _ in margin), sum(r for _, r in margin)),
    }


def _means(results: Sequence[Any]) -> list[dict[str, float]]:
    """Return means over the replicates of each point, runs that broke off left out."""
    found = []
    for start in range(0, len(results), REPLICATES):
        runs = [r for r in results[start : start + REPLICATES] if not isinstance(r, Failed)]
        names = runs[0] if runs else {}
        found.append({name: _mean([run[name] for run in runs]) for name in names})
    return found


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _arm(app: str, base: "Spec", **parts: Any) -> dict[str, Any]:
    return Arm("sweep", "sweep", **parts).changes(base, [app])


def _ad_load(base: "Spec", app: str) -> list[tuple[dict[str, Any], "Spec"]]:
    """Ads only, loads by what an ad costs: trust and use fall by a multiple of the scenario's response."""
    region = base.app[app].region
    consumers = base.consumers[region]
    points = []
    for times in SENSITIVITIES:
        response = {
            f"consumers.{region}.trust_loss": consumers.trust_loss * times,
            f"consumers.{region}.usage_response": min(consumers.usage_response * times, 1.0),
            f"consumers.{region}.ad_dislike_median": consumers.ad_dislike_median * times,
        }
        for load in LOADS:
            ads = {"ads": {"load": load, "slots": 3.0, "adaptive": False}}
            changes = response | _arm(app, base, earning=ads, free={"quota": 1e9})
            points.append(({"sensitivity": times, "load": load}, base.with_overrides(changes)))
    return points


def _quota(base: "Spec", app: str) -> list[tuple[dict[str, Any], "Spec"]]:
    """Subscription with quotas of the free tier from tight to none."""
    subscription = {"subscription": {"store_fee": 0.15}}
    return [
        ({"quota": quota}, base.with_overrides(_arm(app, base, earning=subscription, free={"quota": quota})))
        for quota in QUOTAS
    ]


def _willingness(base: "Spec", app: str) -> list[tuple[dict[str, Any], "Spec"]]:
    """Subscription at several fees where people would pay a fraction or a multiple."""
    region = base.app[app].region
    subscription = {"subscription": {"store_fee": 0.15}}
    points = []
    for times in WILLINGNESS:
        for price in PRICES:
            terms = _arm(app, base, earning=subscription, free={"quota": 150.0}, paid={"price": price})
            event = {"kind": "new_interaction", "month": 0, "region": region, "willingness": times}
            changes = terms if times == 1.0 else {**terms, "events.arm_willingness": event}
            points.append(({"willingness": times, "price": price}, base.with_overrides(changes)))
    return points


def _open_weights(base: "Spec") -> list[tuple[dict[str, Any], "Spec"]]:
    """The scenario with its open weights, and with all weights closed and nobody hosting."""
    closed: dict[str, Any] = {f"lab.{lab}.weights": "closed" for lab in base.lab}
    closed |= {"mechanisms.open_decision": False, "mechanisms.open_hosting": False}
    data = base.model_dump()
    data["events"] = {n: e for n, e in data["events"].items() if e["kind"] != "open_weights"}
    without = type(base).from_data(data, base.name).with_overrides(closed)
    return [({"weights": "open"}, base), ({"weights": "closed"}, without)]


def _say_load(rows: Sequence[dict[str, Any]]) -> str:
    best = [_best([row for row in rows if row["sensitivity"] == times], "total_profit") for times in SENSITIVITIES]
    loads = [row["load"] for row in best]
    words = [
        f"{load:g}{_edge(load, LOADS)} where an ad costs {times:g} times as much"
        for load, times in zip(loads, SENSITIVITIES, strict=True)
    ]
    inside = sum(not _edge(load, LOADS) for load in loads)
    shape = "an interior optimum" if inside == len(loads) else f"{inside} of {len(loads)} optima are interior"
    return f"Of {LOADS[0]:g} to {LOADS[-1]:g} ads a commercial query, most is earned at {', '.join(words)}: {shape}."


def _best(rows: Sequence[dict[str, Any]], outcome: str) -> dict[str, Any]:
    """Return the row with the most of an outcome; one without a value is never it unless all are."""
    known = [row for row in rows if math.isfinite(row.get(outcome, math.nan))]
    return max(known, key=lambda row: row[outcome]) if known else rows[0]


def _edge(level: float, levels: Sequence[float]) -> str:
    """Say that a level is at an end of those that were tried, so that the best may lie beyond."""
    if level in (levels[0], levels[-1]):
        return f" (the {'least' if level == levels[0] else 'most'} that was tried: the best may lie beyond)"
    return ""


def _say_quota(rows: Sequence[dict[str, Any]]) -> str:
    tight, none = rows[0], rows[-1]
    return (
        f"From no quota to {tight['quota']:g} free queries the gross margin goes from {none['gross_margin']:.0%} to "
        f"{tight['gross_margin']:.0%}, the paid share from {none['paid_share']:.1%} to {tight['paid_share']:.1%}, "
        f"payers' churn from {none['churn']:.1%} to {tight['churn']:.1%} a month, and users from "
        f"{none['users'] / 1e6:.1f} to {tight['users'] / 1e6:.1f} million."
    )


def _say_willingness(rows: Sequence[dict[str, Any]]) -> str:
    words = []
    for times in WILLINGNESS:
        own = [row for row in rows if row["willingness"] == times]
        best = _best(own, "operating_profit")
        words.append(
            f"at {times:g} times the willingness the best of the fees is ${best['price']:g}"
            f"{_edge(best['price'], PRICES)} "
            f"(profit {f.money(best['operating_profit'])} a month, {best['paid_share']:.1%} pay)"
        )
    return f"{'; '.join(words).capitalize()}."


def _say_open(rows: Sequence[dict[str, Any]]) -> str:
    opened, closed = rows
    return (
        f"In the last month labs and hosts sell {f.money(opened['api_revenue'])} of tokens to enterprises with open "
        f"weights and {f.money(closed['api_revenue'])} without; a million tokens of the quality of early 2025 cost "
        f"${opened['api_price']:.3g} against ${closed['api_price']:.3g}, and closed labs keep a gross margin of "
        f"{opened['closed_margin']:.0%} against {closed['closed_margin']:.0%}."
    )
