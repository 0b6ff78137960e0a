"""Runs of the worlds that checks speak of; a world that is the beginning of another is measured on its way."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.checks import Check, Key
from experiments.paired import Crew, Failed, Job

if TYPE_CHECKING:
    from ecosystem.spec import Spec

Question = tuple[str, str]
"""A moment and its arguments as text."""


def run_specs(
    specs: "Mapping[str, Spec]", checks: Iterable[Check], replicates: Sequence[int], crew: Crew
) -> dict[Key, list[Any]]:
    """Return the moments that checks need of some worlds, by replicate.

    None where a run broke off or says nothing, or where the world is not among `specs`; `Lacking` where it is about
    what the scenario has not.
    """
    asked: dict[str, set[Question]] = {}
    for check in checks:
        for world, name, arguments in check.needs():
            asked.setdefault(world, set()).add((name, arguments))
    questions = {world: sorted(asked[world]) for world in asked}
    shared = beginnings({world: specs[world] for world in questions if world in specs})
    jobs = [_job(specs, world, early, questions, r) for world, early in shared.items() for r in replicates]
    results = iter(crew.run(jobs))
    values = {
        (world, *question): [None] * len(replicates) for world, wanted in questions.items() for question in wanted
    }
    for world, early in shared.items():
        for place in range(len(replicates)):
            said = next(results)
            for each, found in zip((*early, world), said if early else [said], strict=True):
                if not isinstance(found, Failed):
                    for question, value in zip(questions[each], found, strict=True):
                        values[each, *question][place] = value
    return values


def _job(
    specs: "Mapping[str, Spec]",
    world: str,
    early: Sequence[str],
    questions: Mapping[str, list[Question]],
    replicate: int,
) -> Job:
    spec = specs[world]
    stops = tuple((specs[each].months, (questions[each],)) for each in early)
    measure = "experiments.moments:measure"
    return Job(spec, spec.seed, replicate, spec.months, measure, (questions[world],), on_the_way=stops)


def beginnings(specs: "Mapping[str, Spec]") -> dict[str, list[str]]:
    """Return the worlds that have to be run, each with those that are its beginning, short ones first."""
    found: dict[str, list[str]] = {}
    for world in sorted(specs, key=lambda name: -specs[name].months):
        whole = next((each for each in found if is_beginning(specs[world], specs[each])), None)
        if whole is None:
            found[world] = []
        else:
            found[whole].insert(0, world)
    return found


def is_beginning(short: "Spec", long: "Spec") -> bool:
    """Return whether a scenario is another one that ends earlier: its run is the beginning of the other's."""
    if short.months > long.months or any(short.months <= app.active_from < long.months for app in long.app.values()):
        return False
    earlier, whole = ({**each.model_dump(), "months": 0} for each in (short, long))
    whole["events"] = {name: event for name, event in whole["events"].items() if event["month"] < short.months}
    return earlier == whole
