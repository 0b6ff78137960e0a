"""Whole runs and one month, after the imports and a first run.

Run with `python -m pytest tests/benchmarks/test_runs.py -m slow --benchmark-enable -n 0`; the table with goals is
`python -m tests.benchmarks`.
"""

from typing import Any

import pytest

from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from tests.benchmarks.many_firms import many_firms

pytestmark = pytest.mark.slow


def run(spec: Spec) -> ValueChain:
    chain = ValueChain(spec)
    while chain.running:
        chain.step()
    chain.release()
    return chain


@pytest.mark.parametrize(("scenario", "months"), [("toy", 36), ("2025", 60)])
def test_whole_run(benchmark: Any, scenario: str, months: int) -> None:
    """Goals: 0.05 s and 0.5 s."""
    spec = Spec.load(scenario).with_overrides({"months": months})
    chain = benchmark.pedantic(run, args=(spec,), rounds=5, warmup_rounds=1)
    assert chain.month == months


@pytest.mark.parametrize("scenario", ["toy", "2025"])
def test_opening(benchmark: Any, scenario: str) -> None:
    chain = benchmark(ValueChain, scenario)
    assert chain.plugs


def test_ten_times_the_firms(benchmark: Any) -> None:
    """Goal for 60 months: 1.5 s."""
    spec = many_firms(10).with_overrides({"months": 6})
    chain = benchmark.pedantic(run, args=(spec,), rounds=1)
    assert len(chain.firms) == 10 * len(ValueChain("2025").firms)


def test_copies_open_alike() -> None:
    """Copies of a firm open with the same numbers, and every firm of the scenario has one."""
    plugs = {plug.firm: plug.value for plug in ValueChain(many_firms(2)).plugs}
    first = {firm.removesuffix("_x1"): value for firm, value in plugs.items() if firm.endswith("_x1")}
    second = {firm.removesuffix("_x2"): value for firm, value in plugs.items() if firm.endswith("_x2")}
    assert first == pytest.approx(second, rel=1e-6)
    assert first.keys() == {plug.firm for plug in ValueChain("2025").plugs if plug.firm in first}
