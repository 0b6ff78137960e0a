"""The benchmarks measure the same law everywhere, count what they say they count, and keep the page's soak."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.agents.reference_consumers import ReferenceConsumers
from tests.benchmarks import limits, soak
from tests.benchmarks.test_consumers import Individuals, opened

PROFILE = """
ob=(1) /usr/lib/libpython3.11.so.1.0
fn=(1) eval
10 5
+2 7
cob=(2) /lib/python3.11/site-packages/numpy/core.so
cfn=(2) add
calls=3 0
10 100
* 1
ob=(2)
fn=(2)
0 40
ob=(3) /usr/lib/python3.11/lib-dynload/math.so
0 2
"""


def test_agentpy_has_the_law_of_the_reference() -> None:
    """With the same draws, everyone is in the same place as in plain Mesa, month after month."""
    pytest.importorskip("agentpy")
    from tests.benchmarks.agentpy_consumers import AgentPyConsumers

    consumers, offers = opened(2000, 4, 2)
    offers = replace(offers, acquired=np.array([10.0, 0.0, 5.0, 0.0]))
    reference, people = ReferenceConsumers(consumers, offers, 3), AgentPyConsumers(consumers, offers, 3)
    start = [person.place for person in reference.people]
    for month in range(4):
        terms = replace(offers, fee=offers.fee * (1.0 + 0.1 * month))
        reference.choose(terms)
        people.choose(terms)
        assert [p.place for p in people.people] == [p.place for p in reference.people]
    assert [person.place for person in reference.people] != start


def test_numpy_rows_have_the_law_of_the_strata() -> None:
    """A month of rows ends, in the mean of many, where the chances of the law put people."""
    consumers, offers = opened(2000, 4, 2)
    options = len(offers.app)
    start = consumers.people.copy()
    shares, _ = consumers.law.shares(offers, consumers.public_state(offers))
    leaving = consumers.law.leaving(offers, shares, offers.fee)[:, : options + 1] * start[:, : options + 1]
    expected = (start[:, : options + 1] - leaving + leaving.sum(axis=1)[:, None] * shares).sum(axis=0)
    ends = []
    individuals = Individuals(consumers)
    row, place = individuals.row.copy(), individuals.place.copy()
    for _ in range(200):
        consumers.people, individuals.row, individuals.place = start.copy(), row.copy(), place.copy()
        individuals.choose(offers)
        ends.append(consumers.people[:, : options + 1].sum(axis=0))
    error = np.std(ends, axis=0, ddof=1) / np.sqrt(len(ends))
    assert np.all(np.abs(np.mean(ends, axis=0) - expected) < 4.0 * error)


def test_bytecodes_are_counted_alike_every_time_and_in_proportion() -> None:
    limits.bytecodes(partial(limits.plain_loop, 1000))  # warm: newer interpreters count the first round otherwise
    one, two, three = (limits.bytecodes(partial(limits.plain_loop, k)) for k in (1000, 2000, 3000))
    assert three - two == pytest.approx(two - one, rel=0.5)
    assert two - one > 10_000


def test_a_profile_is_split_by_file_without_what_callees_cost() -> None:
    assert limits.by_part(PROFILE) == {"Python": 13, "numpy": 40, "other": 2}


def test_passes_count_results_and_change_none() -> None:
    array = np.arange(4.0).view(limits.Passes)
    limits.Passes.elements = 0
    result = np.where(array > 1.0, array * 2.0, 0.0)
    assert result.tolist() == [0.0, 0.0, 4.0, 6.0]
    assert limits.Passes.elements == 12


@pytest.mark.slow
@pytest.mark.skipif(not limits.can_count(), reason="needs valgrind")
def test_callgrind_counts_mostly_the_interpreter_in_a_month() -> None:
    assert shutil.which("valgrind")
    parts = limits.month_instructions("toy")
    assert sum(parts.values()) > 1e6
    assert parts["Python"] > 0.5 * sum(parts.values())


def test_the_soak_has_a_section_that_the_page_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "benchmarks.md"
    monkeypatch.setattr(soak, "PAGE", page)
    assert "Not run yet" in soak.soak_section()
    page.write_text("# Speed and memory\n\ntable\n")
    soak.put_on_page([(True, "3 runs"), (False, "growth")])
    soak.put_on_page([(True, "4 runs"), (False, "growth")])
    assert page.read_text().count("## Soak") == 1
    assert page.read_text().startswith("# Speed and memory\n\ntable\n\n## Soak\n")
    assert soak.soak_section().endswith("- Well: 4 runs.\n- **Not well**: growth.\n")


def test_a_short_soak_grows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "WARM_UP", 2)
    monkeypatch.setattr(soak, "GROWTH", 50.0)
    fine, text = soak.soak(2)
    assert fine, text
    balanced, text = soak.long_run("toy", 48)
    assert balanced, text
