"""Planted faults: each upsets its own claims; a seeded sample of the others stays as it was."""

import random

import pytest

from experiments.claim_files import load_claims, shipped
from experiments.errors import UserError
from experiments.faults import FAULTS, SCENARIO, check_faults, chosen
from experiments.hypothesis_tests import hypotheses

ON_TOY = [name for name, fault in FAULTS.items() if fault.scenario == SCENARIO]
CHEAP = ["no-news", "loyal-users", "no-freeze", "perfect-hosts", "equal-appetites"]


def test_every_claim_has_a_fault_of_its_own() -> None:
    covered = {claim for fault in FAULTS.values() for claim in fault.claims}
    assert covered == set(shipped())
    for fault in FAULTS.values():
        assert set(fault.related) <= set(shipped())
        assert not set(fault.related) & set(fault.claims)


@pytest.mark.parametrize("name", CHEAP)
def test_a_fault_upsets_its_own_claims(name: str) -> None:
    checks = check_faults([name], diagonal=True, workers=1)
    assert checks and all(check.passed for check in checks), checks


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(FAULTS) - set(CHEAP)))
def test_every_fault_upsets_its_own_claims(name: str) -> None:
    checks = check_faults([name], diagonal=True)
    assert checks and all(check.passed for check in checks), checks


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


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(UserError, match="no fault 'no-new'"):
        chosen(["no-new"])
