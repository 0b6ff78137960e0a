"""What happened in a run, for its report: events and failures, as marks on time axes and in words."""

from typing import TYPE_CHECKING

from experiments.charts import days

if TYPE_CHECKING:
    from experiments.runs import RunResult


def happenings(run: "RunResult") -> list[tuple[str, str, str, str]]:
    """Return events and failures in order: (date for the axis, month, mark, words); events have numbers."""
    dates = days(run)
    events = sorted((e.month, i) for i, e in run.spec.events.items() if e.month < run.months)
    found = [(month, str(n), _event_words(run, i)) for n, (month, i) in enumerate(events, start=1)]
    found += [(month, "×", f"{run.name(firm)} failed") for month, firm in run.failures]
    return [(dates[m], str(run.dates[m])[:7], mark, words) for m, mark, words in sorted(found)]


def _event_words(run: "RunResult", event_id: str) -> str:
    """Say what an event is: its kind and whom it hits."""
    event = run.spec.events[event_id]
    kind = str(event.kind).replace("_", " ")
    whom = [str(getattr(event, field)) for field in ("lab", "app", "firm", "region") if getattr(event, field, None)]
    return f"{kind}: {', '.join(run.name(each) for each in whom)}" if whom else kind


def marks(run: "RunResult", *, events: bool = True) -> list[tuple[str, str, str]]:
    """Return the marks of a chart: one a month, with all that happened then."""
    by_date: dict[str, list[tuple[str, str]]] = {}
    for date, _, mark, words in happenings(run):
        if events or mark == "×":
            by_date.setdefault(date, []).append((mark, words))
    return [
        (d, ",".join(dict.fromkeys(m for m, _ in all_)), "; ".join(w for _, w in all_)) for d, all_ in by_date.items()
    ]


def legend_of_marks(run: "RunResult") -> str:
    """Say what the numbers at the dashed lines mean."""
    numbered = [f"{mark} {words}" for _, _, mark, words in happenings(run) if mark != "×"]
    text = f" Dashed lines: {'; '.join(numbered)}." if numbered else ""
    return text + (" × marks a failure." if run.failures else "")
