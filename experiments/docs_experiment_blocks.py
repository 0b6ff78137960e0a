"""Blocks of the page on experiments that tell of claims, shocks, sweeps, comparisons and common chance."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.dispatch import duration
from experiments.docs_words import made, number, signed_count, signed_money, signed_percent, spanned, table
from experiments.shock_report import ON_THE_DAY

if TYPE_CHECKING:
    from experiments.docs_experiments import Results

AFTER = (0, 3, 12, 24)
"""Months after the event that the page shows."""
FIRST_CUTS = 8
"""Firms that the path of a shock names."""


def head(results: "Results") -> str:
    """Say what the page was made of."""
    depth = " Size quick has few replicates: it shows the form, not results." if results.size == "quick" else ""
    return (
        "Written by `python -m experiments.docs_experiments` from the results of "
        f"`make experiments SIZE={results.size}`, scenario {results.scenario}, model code "
        f"`{results.fingerprint[:12]}`; do not edit.{depth}"
    )


# --- claims ------------------------------------------------------------------------------------------------------


def hypotheses_made(results: "Results") -> str:
    """Say what made the verdicts, and how many there are of each."""
    said = results["hypotheses"]
    verdicts = [claim["verdict"] for claim in said["claims"]]
    counts = [f"{verdicts.count(name)} {name}" for name in ("supported", "refuted", "inconclusive") if name in verdicts]
    depth = "few replicates, main tests only" if said["quick"] else "main tests, conditions and assumptions"
    line = made(results, "hypotheses", f"seed {said['seed']}, {depth}")
    return f"{line}\n\nOf {len(verdicts)} claims: {f.listed(counts)}."


def verdict_table(results: "Results") -> str:
    """Return a row a claim: verdict, effect, interval, threshold, replicates."""
    rows = [
        [
            f"`{claim['claim']}` {claim['statement']}",
            f"**{claim['verdict']}**{_remark(claim)}",
            f.count(number(claim["effect"])),
            _interval(claim),
            claim["test"].replace("_", " "),
            str(claim["replicates"]),
            f.count(number(claim["needed"])) if claim["needed"] else "settled",
        ]
        for claim in results["hypotheses"]["claims"]
    ]
    return table(("claim", "verdict", "effect", "interval (level)", "test", "replicates", "needed"), rows)


def _remark(claim: Mapping[str, Any]) -> str:
    return f"; {claim['remark']}" if claim.get("remark") else ""


def _interval(claim: Mapping[str, Any]) -> str:
    """Return the interval of a verdict with its level."""
    from experiments.verdicts import with_level

    span = spanned(f.count, claim["low"], claim["high"])
    return span if span == f.NOTHING or "level" not in claim else with_level(span, number(claim["level"]))


def conditions(results: "Results") -> str:
    """Return when each claim holds and what flips it."""
    said = results["hypotheses"]
    if said["quick"]:
        return "Not tested here: the quick size tests the main worlds only."
    rows = [
        [f"`{claim['claim']}`", claim["verdict"], claim["holds_when"] or f.NOTHING, _flips(claim)]
        for claim in said["claims"]
    ]
    return table(("claim", "as it is", "under other conditions", "flips at"), rows)


def _flips(claim: Mapping[str, Any]) -> str:
    from experiments.verdicts import Flip, values_used

    said = []
    for each in claim["assumptions"]:
        values = f.listed([str(Flip(**flip)) for flip in each["flips"]]) if each["flips"] else "nowhere"
        low, high = min(each["values"]), max(each["values"])
        used = values_used(number(each["used"]), number(each.get("set_to", each["used"])))
        said.append(f"`{each['path']}`: {values} from {low:g} to {high:g} ({used})")
    return "; ".join(said) or f.NOTHING


def faults_made(results: "Results") -> str:
    """Say what made the check of planted faults."""
    said = results["faults"]
    return made(results, "faults", f"{said['replicates']} replicates, up to {said['most_replicates']} where unsure")


def faults_table(results: "Results") -> str:
    """Return a row a fault: what it breaks, what it upsets, and whether that is as it must be."""
    from dataclasses import fields

    from experiments.faults import FaultCheck, FaultsResult
    from experiments.faults_report import HEADS, lead, rows

    names = {each.name for each in fields(FaultCheck)}
    checks = []
    for check in results["faults"]["checks"]:
        known: dict[str, Any] = {name: value for name, value in check.items() if name in names}
        known |= {name: number(known.get(name)) for name in ("sound_effect", "broken_effect", "threshold")}
        checks.append(FaultCheck(**known))
    result = FaultsResult(tuple(checks))
    return f"{lead(result)}\n\n{table(HEADS, rows(result))}"


# --- shocks ------------------------------------------------------------------------------------------------------


def deepseek_made(results: "Results") -> str:
    """Say what made the study."""
    said = results["shock-deepseek"]
    return made(
        results, "shock-deepseek", f"{said['replicates']} pairs of runs, month {said['month']}, seed {said['seed']}"
    )


def deepseek(results: "Results") -> str:
    """Return the reading, the response on the day, the differences over time, and who cut what when."""
    said = results["shock-deepseek"]
    parts = [said["reading"]]
    if said["equity_reaction"]:
        rows = [[signed_percent(number(value)) for value in said["equity_reaction"].values()]]
        parts += ["Equity on the day, by tier:", table(list(said["equity_reaction"]), rows), ON_THE_DAY]
    months = [after for after in AFTER if any(row["months_after"] == after for row in said["table"])]
    cells = {(row["outcome"], row["months_after"]): row for row in said["table"]}
    rows = []
    for outcome in dict.fromkeys(row["outcome"] for row in said["table"]):
        known = [cells.get((outcome, after)) for after in months]
        words = next(row["words"] for row in known if row is not None)
        rows.append([words, *(_difference(row) for row in known)])
    parts.append(table(["outcome", *(f"{after} months" for after in months)], rows))
    if said["path"]:
        cuts = [
            f"{each['name']} {each['decision']} (month {each['months_after']}, to {f.percent(each['deepest'])})"
            for each in said["path"][:FIRST_CUTS]
        ]
        more = len(said["path"]) - len(cuts)
        parts.append(f"Who cut what first: {'; '.join(cuts)}{f'; and {more} more' if more > 0 else ''}.")
    return "\n\n".join(parts)


def _difference(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return f.NOTHING
    plain = signed_money if row.get("unit", "").startswith("USD") else signed_count
    write = signed_percent if row["relative"] else plain
    return spanned(write, row["low"], row["high"], row["difference"])


def other_shocks(results: "Results") -> str:
    """Return a row an event study: what it is and what it shows."""
    rows = []
    for step in results.like("shock-"):
        if step != "shock-deepseek":
            said, record = results[step], results.record(step)
            rows.append([said["title"], said["reading"], str(said["replicates"]), f"`{record['command']}`"])
    code = f"*Code `{results.fingerprint[:12]}`.*"
    return f"{code}\n\n{table(('event', 'with it against without', 'pairs', 'command'), rows)}"


# --- sweeps ------------------------------------------------------------------------------------------------------


def sweep_made(results: "Results") -> str:
    """Say what made the sweep."""
    said = results["sweep"]
    what = f"{said['points']} points x {said['replicates']} replicate{'s' if said['replicates'] != 1 else ''}"
    return made(results, "sweep", f"{what}, {said['method']}, {said['months']} months, seed {said['seed']}")


def sweep(results: "Results") -> str:
    """Return what is varied and what comes out."""
    from experiments.outcome_words import headlines, written
    from experiments.sweep_report import lead

    said = results["sweep"]
    varied = [
        [f"`{each['path']}`", each["role"], spanned(f.digits, each["low"], each["high"]), each["unit"]]
        for each in said["factors"]
    ]
    known = said["outcomes"]
    rows = [
        [name, *(written(number(known[name][key]), known[name]["unit"]) for key in ("median", "low", "high")),
         known[name]["unit"]]
        for name in headlines(list(known))
        if known[name]["runs"]
    ]  # fmt: skip
    outcomes = table(("outcome", "median", "5 %", "95 %", "unit"), rows)
    return "\n\n".join([lead(said), table(("parameter", "role", "varied over", "unit"), varied), outcomes])


def sensitivity(results: "Results") -> str:
    """Return the indices of every factor."""
    from experiments.outcome_words import written

    said = results["sensitivity"]
    names = [name for name, value in said["factors"][0].items() if isinstance(value, dict)]

    by = "total" if "total" in names else "mu_star"

    def write(name: str) -> Callable[[float], str]:
        return f.percent if name in ("first", "total") else lambda value: written(value, said["unit"])

    rows = [
        [
            f"`{each['factor']}`",
            *(spanned(write(n), each[n]["low"], each[n]["high"], each[n]["estimate"]) for n in names),
        ]
        for each in sorted(said["factors"], key=lambda each: -number(each[by]["estimate"]))
    ]
    line = made(results, "sensitivity", f"{said['method']}, {said['used']} of {said['planned']} base points complete")
    return f"{line}\n\n{said['text']}\n\n{table(['factor', *names], rows)}"


def discover(results: "Results") -> str:
    """Return the box in which the condition holds."""
    said = results["discover"]
    rows = [
        [f"`{path}`", words, f.digits(number(said["p_values"][path]))] for path, words in said["limit_words"].items()
    ]
    line = made(results, "discover", f"{said['runs']} runs, it holds in {said['interesting']}")
    return f"{line}\n\n{said['text']}\n\n{table(('parameter', 'limit', 'p value'), rows)}"


def compare(results: "Results") -> str:
    """Return what differs between the two runs."""
    from experiments.outcomes import TIER_ORDER

    said = results["compare"]
    changed = [[f"`{path}`", str(each["a"]), str(each["b"])] for path, each in said["parameters"].items()]
    tiers = [[words, *cells] for words, cells in said["tiers"].items()]
    made_by = [made(results, step) for step in ("run-as-it-is", "run-changed", "compare")]
    parts = [*made_by, said["text"], table(("parameter", "A", "B"), changed), table(("A → B", *TIER_ORDER), tiers)]
    return "\n\n".join(parts)


# --- common chance -----------------------------------------------------------------------------------------------


def chance_arms(results: "Results") -> str:
    """Return by outcome how much larger the variance would be, over all arms."""
    rows = []
    measured = [row for row in results["monetise"]["variance_reduction"] if row["ratio"] is not None]
    for outcome in dict.fromkeys(row["outcome"] for row in measured):
        ratios = [row["ratio"] for row in measured if row["outcome"] == outcome]
        words = [f.count(value) for value in (median(ratios), min(ratios), max(ratios))]
        rows.append([outcome.replace("_", " "), str(len(ratios)), *words])
    line = made(results, "monetise", f"{results['monetise']['replicates']} replicates")
    return f"{line}\n\n{table(('outcome', 'comparisons', 'median', 'lowest', 'highest'), rows)}"


def chance_profit(results: "Results") -> str:
    """Return the same for the profit of every arm, with its interval."""
    said = results["monetise"]
    rows = [
        [said["names"][row["app"]], f"`{row['arm']}`", spanned(f.count, row["low"], row["high"], row["ratio"])]
        for row in said["variance_reduction"]
        if row["outcome"] == "operating_profit" and row["ratio"] is not None
    ]
    return f"Profit, with 95 % intervals:\n\n{table(('app', 'way of earning', 'variance without over with'), rows)}"


def chance_shock(results: "Results") -> str:
    """Return the same for the outcomes of the DeepSeek moment, over time."""
    said = results["shock-deepseek"]
    words = {row["outcome"]: row["words"] for row in said["table"]}
    cells = {(r["outcome"], r["months_after"]): r for r in said["variance_reduction"] if r["ratio"] is not None}
    months = [after for after in AFTER if any(after == each for _, each in cells)]
    rows = [
        [words.get(name, name), *(_ratio(cells.get((name, after))) for after in months)]
        for name in dict.fromkeys(name for name, _ in cells)
    ]
    line = made(results, "shock-deepseek", f"{said['replicates']} pairs of runs")
    return f"{line}\n\n{table(['outcome', *(f'after {after} months' for after in months)], rows)}"


def _ratio(row: Mapping[str, Any] | None) -> str:
    return f.NOTHING if row is None else spanned(f.count, row["low"], row["high"], row["ratio"])


def commands(results: "Results") -> str:
    """Return every command with its time."""
    records = [(step, results.record(step)) for step in results.steps]
    rows = [[step, f"`{record['command']}`", duration(record["seconds"])] for step, record in records]
    whole = sum(float(record["seconds"]) for _, record in records)
    return f"In all {duration(whole)}.\n\n{table(('step', 'command', 'time'), rows)}"


BLOCKS: dict[str, Callable[["Results"], str]] = {
    "made": head,
    "hypotheses_made": hypotheses_made,
    "hypotheses_table": verdict_table,
    "conditions_table": conditions,
    "faults_made": faults_made,
    "faults_table": faults_table,
    "deepseek_made": deepseek_made,
    "deepseek": deepseek,
    "other_shocks": other_shocks,
    "sweep_made": sweep_made,
    "sweep": sweep,
    "sensitivity": sensitivity,
    "discover": discover,
    "compare": compare,
    "chance_arms": chance_arms,
    "chance_profit": chance_profit,
    "chance_shock": chance_shock,
    "commands": commands,
}
