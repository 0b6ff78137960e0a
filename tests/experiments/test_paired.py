"""Paired runs: measured on the way, long ones first, each world once."""

import pickle
from concurrent.futures import Future
from typing import Any

import pytest

from ecosystem.ledger import LedgerError
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from experiments import paired
from experiments.claim_files import load_claims
from experiments.hypothesis_tests import Court
from experiments.paired import Crew, Failed, Job, simulate

EVALUATE = "experiments.metrics:evaluate"


class Breaking(ValueChain):
    """A model that breaks off in its fifth month."""

    def step(self) -> None:
        super().step()
        if self.month == 5:
            raise LedgerError("broken on purpose")


def _questions(months: int) -> tuple[Any, ...]:
    """Return what all claims of a length ask on toy."""
    claims = [claim for claim in load_claims(scenario="toy") if claim.months == months]
    return tuple(Court(Crew(1), None, {}, None, vary=False)._question(_case(claim)) for claim in claims)


def _case(claim: Any) -> Any:
    from experiments.hypothesis_tests import Case

    return Case(claim, "main")


def test_measures_on_the_way_are_those_of_shorter_runs_to_the_bit() -> None:
    spec = Spec.load("toy")
    asked = {months: _questions(months) for months in (8, 18, 24, 36)}
    assert all(asked.values())
    stops = tuple((months, (questions,)) for months, questions in asked.items())
    together = simulate(Job(spec, 1, 0, 36, EVALUATE, stops[-1][1], on_the_way=stops[:-1]))
    apart = [simulate(Job(spec, 1, 0, months, EVALUATE, (questions,))) for months, questions in asked.items()]
    assert repr(together) == repr(apart)


def test_what_was_measured_before_a_run_breaks_off_is_kept() -> None:
    question = ((("hours_sold", ()),),)
    spec, model = Spec.load("toy"), "tests.experiments.test_paired:Breaking"
    early, middle, end = simulate(Job(spec, 1, 0, 8, EVALUATE, question, model, ((3, question), (6, question))))
    assert early[0] > 0.0
    assert isinstance(middle, Failed) and isinstance(end, Failed) and "month 5: broken on purpose" in end.reason
    assert isinstance(simulate(Job(spec, 1, 0, 8, EVALUATE, question, model)), Failed)


class Recording:
    """A pool that does at once what it is given, and notes it."""

    slots = 1

    def __init__(self) -> None:
        self.months: list[int] = []

    def call(self, _: Any, packed: bytes) -> "Future[Any]":
        job = pickle.loads(packed)
        self.months.append(job.months)
        done: Future[Any] = Future()
        done.set_result(job.months)
        return done


def test_a_pool_does_long_runs_first_and_answers_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    crew, pool = Crew(2), Recording()
    monkeypatch.setattr(crew, "_pool", pool)
    spec = Spec.load("toy")
    wanted = [3, 36, 8, 24, 36, 1, 2]
    assert crew.run([Job(spec, 1, 0, months, EVALUATE) for months in wanted]) == wanted
    assert pool.months == sorted(wanted, reverse=True)
    assert (crew.done, crew.planned) == (7, 7)


def test_claims_share_the_runs_of_a_world(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Job] = []

    def note(job: Job) -> Any:
        jobs.append(job)
        stops = [*(arguments for _, arguments in job.on_the_way), job.arguments]
        said = [[(1.0, 1.0) if name == "app_at" else 1.0 for name, _ in asked] for (asked,) in stops]
        return said if job.on_the_way else said[0]

    monkeypatch.setattr(paired, "simulate", note)
    claims = load_claims()
    found = Court(Crew(1), None, {}, None, vary=False).settle(claims, quick=True, most=None)
    assert set(found) == {claim.id for claim in claims}
    runs = [(job.spec.model_dump_json(), job.replicate) for job in jobs]
    assert len(set(runs)) == len(runs)
    assert any(job.on_the_way for job in jobs)
