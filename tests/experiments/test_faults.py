"""Planted faults: each upsets its own claims; a seeded sample of the others stays as it was."""

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from ecosystem.model import ValueChain
from experiments.claim_files import Claim, load_claims, shipped
from experiments.cli import main
from experiments.errors import UserError
from experiments.experiment_tables import print_faults
from experiments.faults import FAULTS, SCENARIO, Fault, FaultCheck, FaultsResult, check_faults, chosen
from experiments.faults_report import lead, rows
from experiments.hypothesis_tests import Court, hypotheses
from experiments.statistics import Interval, Verdict
from experiments.verdicts import Finding

ON_TOY = [name for name, fault in FAULTS.items() if fault.scenario == SCENARIO]
CHEAP = ["no-news", "loyal-users", "no-freeze", "perfect-hosts", "equal-appetites", "no-grudge", "wasteful-saving"]


def test_every_claim_has_a_fault_of_its_own() -> None:
    covered = {claim for fault in FAULTS.values() for claim in fault.claims}
    assert covered == set(shipped())
    for fault in FAULTS.values():
        assert set(fault.related) <= set(shipped())
        assert not set(fault.related) & set(fault.claims)


@pytest.mark.parametrize("name", CHEAP)
def test_a_fault_upsets_its_own_claims(name: str) -> None:
    result = check_faults([name], diagonal=True, workers=1)
    assert result.checks and result.passed, result.checks


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(FAULTS) - set(CHEAP)))
def test_every_fault_upsets_its_own_claims(name: str) -> None:
    result = check_faults([name], diagonal=True)
    assert result.checks and result.passed, result.checks


def _sample(count: int) -> list[tuple[str, str]]:
    """Pairs of a fault and a claim that has nothing to do with it, the same ones every day."""
    pairs = [
        (name, claim.id)
        for name in ON_TOY
        for claim in load_claims(scenario=SCENARIO)
        if claim.id not in FAULTS[name].claims + FAULTS[name].related
    ]
    return random.Random(20250127).sample(pairs, count)


@pytest.mark.parametrize(("fault", "claim"), _sample(4))
def test_a_fault_leaves_unrelated_claims_alone(fault: str, claim: str) -> None:
    sound, broken = (
        hypotheses([claim], scenario=SCENARIO, quick=True, workers=1, fault=planted).verdicts[claim]
        for planted in (None, FAULTS[fault])
    )
    assert sound == broken


def _made_up() -> FaultsResult:
    said: list[tuple[str, str, Verdict, Verdict]] = [
        ("no-news", "equity-order", "supported", "refuted"),
        ("no-news", "jevons", "supported", "supported"),
        ("euphoria", "no-collapse", "supported", "supported"),
        ("euphoria", "jevons", "supported", "inconclusive"),
        ("euphoria", "quota", "refuted", "supported"),
    ]
    checks = [
        FaultCheck(
            fault, claim, sound, broken, claim in FAULTS[fault].claims, claim in FAULTS[fault].related, 1.0, 0.5, 0.7
        )
        for fault, claim, sound, broken in said
    ]
    return FaultsResult(tuple(checks))


def test_what_a_fault_did_is_named_and_judged() -> None:
    result = _made_up()
    assert [check.kind for check in result.checks] == ["upset", "kept", "missed", "related", "stray"]
    assert [check.passed for check in result.checks] == [True, True, False, True, False]
    assert not result.passed
    assert [row[-1] for row in rows(result)] == ["ok", "FAIL"]
    assert "1 of 2 planted faults" in lead(result)


@pytest.mark.parametrize(
    ("sound", "broken", "effects", "failed", "upset"),
    [
        ("supported", "refuted", (1.0, 0.0), 0, True),
        ("supported", "inconclusive", (1.0, 0.4), 0, True),
        ("supported", "inconclusive", (1.0, 0.6), 0, False),
        ("supported", "inconclusive", (1.0, 0.5), 0, False),
        ("inconclusive", "inconclusive", (0.6, 0.4), 0, False),
        ("supported", "inconclusive", (1.0, float("nan")), 0, False),
        ("supported", "refuted", (1.0, 0.0), 1, False),
    ],
)
def test_only_another_answer_is_an_upset(
    sound: Verdict, broken: Verdict, effects: tuple[float, float], failed: int, upset: bool
) -> None:
    own = FaultCheck("no-news", "equity-order", sound, broken, True, False, *effects, threshold=0.5, runs_failed=failed)
    assert (own.kind, own.passed) == (("upset", True) if upset else ("missed", False))


def test_a_model_that_only_breaks_off_upsets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAULTS, "crash", Fault("crash", ("equity-order",), "it breaks off", model=f"{__name__}:Crash"))
    result = check_faults(["crash"], diagonal=True, workers=1)
    assert [check.kind for check in result.checks] == ["missed"] and not result.passed
    assert "but runs broke off" in rows(result)[0][2]


class Crash(ValueChain):
    """A model that cannot do a month."""

    def step(self) -> None:
        """Break off."""
        raise ArithmeticError("asked for")


def test_a_verdict_that_wavers_is_tested_with_more_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bool, bool, int]] = []

    def settle(court: Court, claims: Sequence[Claim], quick: bool, most: int | None) -> dict[str, Finding]:
        broken = court._fault is not None
        asked.append((broken, quick, len(claims)))
        said: Verdict = "inconclusive" if broken and quick else "supported"
        interval = Interval(1.0, 0.9, 1.1, 4, 0.95)
        return {claim.id: Finding(claim.statement, interval, said, 0, 0) for claim in claims}

    monkeypatch.setattr(Court, "settle", settle)
    result = check_faults(["no-news"], workers=1)
    every = len(load_claims(scenario=SCENARIO))
    assert asked == [(False, True, every), (True, True, every), (False, False, every), (True, False, every)]
    assert {check.kind for check in result.checks} == {"kept", "missed"}


def test_the_result_of_faults_can_be_read_and_written(tmp_path: Path) -> None:
    result = _made_up()
    content = json.loads(result.save(tmp_path / "result.json").read_text())
    assert content["passed"] is False and content["faults"]["euphoria"]["words"] == FAULTS["euphoria"].words
    assert {row["kind"] for row in content["checks"]} == {"upset", "kept", "missed", "related", "stray"}
    page = result.to_html(tmp_path / "report.html").read_text()
    assert FAULTS["euphoria"].words in page and "quota (UNRELATED)" in page
    console = Console(record=True, width=200, file=io.StringIO())
    print_faults(console, result)
    text = console.export_text()
    assert "FAIL" in text and "equity-order: supported to refuted" in text


def test_the_command_writes_table_json_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("experiments.faults.check_faults", lambda *_, **__: _made_up())
    with pytest.raises(SystemExit) as left:
        main(["hypotheses", "--faults", "--out", str(tmp_path / "faults")])
    assert left.value.code == 1
    assert {path.name for path in (tmp_path / "faults").iterdir()} == {"result.json", "report.html"}
    assert "planted faults" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--quick"], "--quick"),
        (["--seed", "3"], "--seed"),
        (["--scenario", "toy", "--replicates", "5"], "--scenario, --replicates"),
        (["--set", "seed=3"], "--set"),
        (["--file", "own.toml"], "--file"),
        (["--vary-judgement", "--fail-on", "refuted"], "--vary-judgement, --fail-on"),
        (["--claim", "jevon"], "no claim 'jevon'"),
        (["--fault", "no-news", "--claim", "jevons"], "none of the planted faults no-news must upset jevons"),
    ],
)
def test_options_that_faults_do_not_follow_are_refused(
    more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["hypotheses", "--faults", *more])
    said = capsys.readouterr().err
    assert left.value.code == 2 and words in said and "Traceback" not in said


def test_faults_of_some_claims_only() -> None:
    result = check_faults(claims=["equity-order"], workers=1)
    assert [(check.fault, check.claim) for check in result.checks] == [("no-news", "equity-order")]


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(UserError, match="no fault 'no-new'"):
        chosen(["no-new"])
