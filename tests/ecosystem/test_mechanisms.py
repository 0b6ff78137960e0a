"""Every mechanism of the registry, with and without it: it must do something, in the expected direction."""

from functools import lru_cache

import pytest

from ecosystem.mechanisms import Mechanism, mechanisms, run_arm, table
from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from ecosystem.switches import MechanismSwitches


@lru_cache(maxsize=12)
def _remembered(canonical: str, replicate: int) -> ValueChain:
    return run_arm(Spec.model_validate_json(canonical), replicate)


def _run(spec: Spec, replicate: int) -> ValueChain:
    """Run an arm, or remember it: most rows share the plain scenario as one of their arms."""
    return _remembered(spec.canonical_json(), replicate)


@pytest.mark.parametrize("mechanism", mechanisms().values(), ids=list(mechanisms()))
def test_mechanism_matters(mechanism: Mechanism) -> None:
    with_it, without = mechanism.arm(True, _run), mechanism.arm(False, _run)
    assert mechanism.works(with_it, without), (
        f"{mechanism.title}: {mechanism.outcome.text} is {with_it:g} with and {without:g} without; "
        f"expected {'more' if mechanism.sign > 0 else 'less'} with it: {mechanism.reason}"
    )


def test_every_switch_is_in_the_registry() -> None:
    switched = [m.switch for m in mechanisms().values() if m.switch is not None]
    assert set(switched) == set(MechanismSwitches.model_fields)
    assert len(switched) == len(set(switched))


def test_a_mechanism_that_does_nothing_is_found() -> None:
    idle = mechanisms()["learning"].model_copy(update={"switch": None})
    assert not idle.works(idle.arm(True, _run), idle.arm(False, _run))


def test_table_has_a_row_for_each() -> None:
    rows = table()
    assert len(rows) == len(mechanisms())
    assert all(all(cell for cell in row) for row in rows)
