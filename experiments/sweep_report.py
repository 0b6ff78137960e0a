"""The report of a sweep: what comes out, what moves it, what failed, and the design."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import formats as f
from experiments.outcome_words import headlines, in_words, interval, short_path, written
from experiments.outcomes import TIER_ORDER
from experiments.reports import Report, Section
from experiments.store_summaries import profits_in_words, sweep_summary
from experiments.sweep_charts import correlations, scatter, spreads

if TYPE_CHECKING:
    import pandas as pd

    from experiments.stores import Store, SweepRecord

MOST_FACTORS = 15
MOST_FAILURES = 20


def sweep_report(store: "Store", record: "SweepRecord", content: Mapping[str, Any] | None = None) -> Report:
    """Return the report of a sweep, finished or not; `content` is its summary where it is known."""
    content = content or sweep_summary(store, record)
    facts = {
        "scenario": content["title"],
        "design": f"{content['method']}, {f.counted(len(content['factors']), 'factor')}",
        "runs": f"{content['points']} points x {f.listed([_replicates(content)])}",
        "finished": str(content["finished"]),
        "failed": str(content["failed"]),
        "months": str(content["months"]),
        "seed": str(content["seed"]),
        "sweep": content["sweep"],
        "code": content["fingerprint"][:12],
    }
    report = Report(f"Sweep of the scenario {content['scenario']}", lead(content), facts)
    if content["finished"]:
        frame = store.frame(record.id)
        _results(report.section("What comes out"), content)
        _movers(report.section("What moves it"), content, frame)
    _failures(report.section("Failed runs"), content)
    factor_tables(report.section("The design"), content)
    return report


def lead(content: Mapping[str, Any]) -> str:
    """Say how far the sweep is, who earned in how many runs, and what moves it most."""
    runs, finished, failed = content["runs"], content["finished"], content["failed"]
    if not finished:
        done = f"all {failed} that were tried failed" if failed else "none was tried yet"
        return f"This sweep has no result: of its {runs} runs {done}."
    text = f"{finished} of {runs} runs finished"
    if failed:
        text += f", {failed} failed"
    if missing := runs - finished - failed:
        text += f", {missing} are not done, or equal to others of the design"
    parts = [f"{text}.", profits_in_words(content)]
    if strongest := _strongest(content):
        parts.append(f"The steadiest links, by rank correlation: {_grouped(strongest)}.")
    return " ".join(part for part in parts if part)


def factor_tables(section: Section, content: Mapping[str, Any]) -> None:
    """Add the tables of what is varied: levers and uncertainties."""
    heads = ["parameter", "varied over", "in the scenario", "what it is"]
    for role, words in (("lever", "what somebody decides"), ("uncertainty", "what nobody knows")):
        table = [
            [f"`{each['path']}`", _levels(each), _usual(each), str(each["doc"])]
            for each in content["factors"]
            if each["role"] == role
        ]
        if table:
            kind = role if len(table) == 1 else {"lever": "levers", "uncertainty": "uncertainties"}[role]
            section.table(f"{len(table)} {kind}: {words}", heads, table, words=True)


def driver_charts(
    section: Section, content: Mapping[str, Any], frame: "pd.DataFrame", pairs: Mapping[str, str]
) -> None:
    """Add a scatter of every outcome in `pairs` against its factor, titled by how the median moves."""
    factors = {factor["path"]: factor for factor in content["factors"]}
    for outcome, path in pairs.items():
        unit = content["outcomes"][outcome]["unit"]
        values = frame[outcome].to_numpy(dtype=np.float64)
        tier = outcome.partition("_")[0]
        chart = scatter(frame[path].tolist(), values, factors[path], unit, tier=tier if tier in TIER_ORDER else "")
        section.chart(_movement(outcome, path, unit, frame), chart)


def _results(section: Section, content: Mapping[str, Any]) -> None:
    for figure, unit in (("operating_profit", "USD a year"), ("cents_per_final_dollar", "cents")):
        known = {tier: content["outcomes"].get(f"{tier}_{figure}") for tier in TIER_ORDER}
        if any(each is None or not each["runs"] for each in known.values()):
            continue
        bands = [{"name": tier, **{k: each[k] for k in _QUANTILES}} for tier, each in known.items() if each]
        section.chart(_spread_words(figure, known), spreads(bands, unit), note=_SPREAD_NOTE)
    names = headlines(list(content["outcomes"]))
    head = ["outcome", "median", "5 to 95 %", "above zero", "unit"]
    section.table(
        f"The {len(names)} outcomes that are looked at first, over {f.counted(content['finished'], 'run')}",
        head,
        [_outcome_row(name, content["outcomes"][name]) for name in names],
    )
    rest = [name for name in content["outcomes"] if name not in names]
    if rest:
        rows = [_outcome_row(name, content["outcomes"][name]) for name in rest]
        section.table(f"All other outcomes ({len(rest)})", head, rows, folded=True)


_QUANTILES = ("low", "quarter", "median", "three_quarters", "high")
_SPREAD_NOTE = (
    "Line: 5 to 95 % of the runs; bar: the middle half; tick: the median. The design's spread, not a forecast."
)


def _spread_words(figure: str, known: Mapping[str, Any]) -> str:
    if figure == "operating_profit":
        shares = [f"{tier} {100.0 * each['positive']:.0f} %" for tier, each in known.items()]
        return f"Share of runs in which a tier earns: {f.listed(shares)}"
    spans = [f"{tier} {f.cents(each['median'])}" for tier, each in known.items()]
    return f"Of a final dollar, {f.listed(spans)} stay with the tier in the median run"


def _outcome_row(name: str, each: Mapping[str, Any]) -> list[str]:
    if not each["runs"]:
        return [f"`{name}`", f.NOTHING, f.NOTHING, f.NOTHING, each["unit"]]
    unit = each["unit"]
    span = interval(each["low"], each["high"], unit)
    return [f"`{name}`", written(each["median"], unit), span, f.percent(each["positive"]), unit]


def _movers(section: Section, content: Mapping[str, Any], frame: "pd.DataFrame") -> None:
    ranks = content["rank_correlations"]
    strongest = _strongest(content)
    if not strongest:
        section.text("Too few points, or nothing that varies and can be ordered: no rank correlation is given.")
        return
    section.text(
        "Rank correlation says how steadily an outcome rises (+1) or falls (-1) with a factor, whatever the shape. "
        "It is no index of sensitivity: `watersellers sensitivity` gives those for Morris and Sobol designs."
    )
    shown = {f"{tier}_operating_profit": tier for tier in TIER_ORDER if f"{tier}_operating_profit" in ranks}
    if shown:
        _heat(section, content, shown)
    pairs = {outcome: path for outcome, (path, _) in strongest.items()}
    driver_charts(section, content, frame, pairs)


def _heat(section: Section, content: Mapping[str, Any], shown: Mapping[str, str]) -> None:
    ranks = content["rank_correlations"]
    strength = {
        factor["path"]: max(abs(ranks[o].get(factor["path"], {"estimate": 0.0})["estimate"]) for o in shown)
        for factor in content["factors"]
    }
    paths = sorted(strength, key=lambda path: -strength[path])[:MOST_FACTORS]
    rows = [
        {"factor": short_path(path), "path": path, "outcome": tier, "value": found["estimate"], "span": _span(found)}
        for outcome, tier in shown.items()
        for path in paths
        if (found := ranks[outcome].get(path)) is not None
    ]
    first = paths[0]
    outcome = max(shown, key=lambda o: abs(ranks[o].get(first, {"estimate": 0.0})["estimate"]))
    found = ranks[outcome][first]
    title = f"Strongest of all: {in_words(outcome)} with `{first}`, {found['estimate']:+.2f} ({_span(found)})"
    chart = correlations(rows, [short_path(path) for path in paths], list(shown.values()))
    section.chart(title, chart, wide=True, note=_HEAT_NOTE)
    table = [[f"`{path}`", *(_cell(ranks[o].get(path)) for o in shown)] for path in paths]
    heads = ["rank correlation of operating profit with", *shown.values()]
    section.table("The same in numbers, with 95 % intervals", heads, table, folded=True)


_HEAT_NOTE = (
    "Operating profit of the last year; replicates are averaged. Intervals are Fisher's, as if points were drawn "
    "independently (in a Morris design they are not quite)."
)


def _movement(outcome: str, path: str, unit: str, frame: "pd.DataFrame") -> str:
    """Say how the median of an outcome goes from the lowest to the highest quarter of a factor."""
    values = frame[path]
    if values.dtype.kind not in "iuf":
        medians = frame.groupby(path)[outcome].median()
        best = medians.idxmax()
        return (
            f"{in_words(outcome).capitalize()} is highest with `{path}` {best}: median {written(medians[best], unit)}"
        )
    low, high = (float(values.quantile(share)) for share in (0.25, 0.75))
    below = float(frame.loc[values <= low, outcome].median())
    above = float(frame.loc[values >= high, outcome].median())
    verb = "rises" if above > below else "falls"
    return (
        f"{in_words(outcome).capitalize()} {verb} with `{path}`: median {written(below, unit)} in its lowest "
        f"quarter, {written(above, unit)} in its highest"
    )


def _strongest(content: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, float]]]:
    """Return the strongest factor of each tier's operating profit, else of the first four outcomes."""
    ranks = content["rank_correlations"]
    tiers = [f"{tier}_operating_profit" for tier in TIER_ORDER]
    names = [name for name in tiers if name in ranks] or list(ranks)[:4]
    return {name: next(iter(ranks[name].items())) for name in names}


def _grouped(strongest: Mapping[str, tuple[str, Mapping[str, float]]]) -> str:
    """Say which factor is the strongest for which outcomes."""
    groups: dict[str, list[str]] = {}
    for outcome, (path, found) in strongest.items():
        groups.setdefault(path, []).append(f"{in_words(outcome)} ({found['estimate']:+.2f})")
    return "; ".join(f"`{path}` with {f.listed(outcomes)}" for path, outcomes in groups.items())


def _failures(section: Section, content: Mapping[str, Any]) -> None:
    failures = content["failures"]
    if not failures:
        section.text("No run failed.")
        return
    kinds = Counter(each["error"] for each in failures)
    section.text(
        f"Failed runs: {len(failures)}; different errors: {len(kinds)}. They are no part of the numbers above. The "
        "command beside each repeats it with its traceback; `sweep --retry-failed` tries all again."
    )
    rows = [[each["key"][:12], each["error"], f"`{each['replay']}`"] for each in failures[:MOST_FAILURES]]
    first = f"The first {len(rows)} of {len(failures)}" if len(failures) > len(rows) else "All of them"
    section.table(first, ["run", "error", "repeat it"], rows, words=True)


def _cell(found: Mapping[str, float] | None) -> str:
    return f.NOTHING if found is None else f"{found['estimate']:+.2f} ({_span(found)})"


def _span(found: Mapping[str, float]) -> str:
    return f"{found['low']:+.2f} to {found['high']:+.2f}"


def _levels(factor: Mapping[str, Any]) -> str:
    if factor["values"] is not None:
        shown = [_value(value) for value in factor["values"][:8]]
        levels = ", ".join(shown) + (f" and {len(factor['values']) - 8} more" if len(factor["values"]) > 8 else "")
    else:
        levels = f"{_value(factor['low'])} to {_value(factor['high'])}"
    unit = "" if factor["unit"] in {"", "1"} else f" {factor['unit']}"
    return levels + unit + (", by its logarithm" if factor["log"] else "")


def _usual(factor: Mapping[str, Any]) -> str:
    return f.NOTHING if factor["scenario_value"] is None else _value(factor["scenario_value"])


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _replicates(content: Mapping[str, Any]) -> str:
    return f"{content['replicates']} replicate{'s' if content['replicates'] != 1 else ''}"
