"""Every number has a source that exists; wrong figures carry their correction."""

import pytest

from ecosystem.spec import SCENARIOS, Spec
from experiments.checks import SECTIONS, load
from experiments.evidence_docs import claims
from experiments.judgement import kind_of
from experiments.provenance import ROW, corrections, counts, facts, kinds, problems, unknown_rows
from experiments.robustness import hypercube, judgements

SHIPPED = sorted(path.stem for path in SCENARIOS.glob("*.toml"))


@pytest.mark.parametrize("scenario", SHIPPED)
def test_every_parameter_has_a_source_that_exists(scenario: str) -> None:
    assert problems(Spec.load(scenario)) == []


def test_a_parameter_without_a_source_is_found() -> None:
    data = Spec.load("toy").model_dump()
    data["sources"] = {"*": "judgement", "market.tax_rate": "somebody said so", "market.latency_ms": "F-K99"}
    found = problems(Spec.from_data(data, "test"))
    assert len(found) == 2
    assert any("F-K99" in line for line in found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("F-K9", {"fact row"}),
        ("opening balance (M), split judgement", {"document", "general knowledge", "judgement"}),
        ("Lee, Padmanabhan, Whang 1997", {"paper"}),
        ("Sterman 1989", {"paper"}),
        ("", set()),
        ("my own idea", set()),
    ],
)
def test_kinds_of_sources(source: str, expected: set[str]) -> None:
    assert kinds(source) == expected


def test_parameters_rest_on_facts_and_say_where_they_do_not() -> None:
    found = counts(Spec.load("2025"))
    assert found["fact row"] > 100
    assert found["judgement"] > 100


def test_figures_that_the_notes_call_wrong_carry_a_correction() -> None:
    for row in ("S1-2", "S2-18", "S2-32", "S4-4", "S2-34", "S1-3"):
        assert corrections()[row].instead
    assert set(corrections()) <= set(facts())


def test_rows_that_evidence_names_exist() -> None:
    named = {row for section in SECTIONS for check in load(section) for row in ROW.findall(check.source)}
    named |= {row for claim in claims() for row in claim.rows}
    assert unknown_rows(" ".join(sorted(named))) == []


def test_the_hypercube_moves_every_judgement_alike_over_firms() -> None:
    points = hypercube("toy", 5)
    assert points[0].ranks == ()
    names = {kind_of(row.path) for row in judgements(Spec.load("toy"))}
    assert {name for name, _ in points[1].ranks} == names
    assert all(abs(rank) <= 1.0 for point in points for _, rank in point.ranks)
    assert kind_of("lab.openai.price_speed") == kind_of("lab.qwen.price_speed") == "lab.price_speed"
