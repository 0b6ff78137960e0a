"""The scoreboard: checks as data, verdicts, worlds, rows; no row is lost because it fails."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecosystem.spec import Spec
from experiments.calibration import CalibrationResult, at_estimates
from experiments.checks import SECTIONS, Check, Row, band_text, evaluate, judge, lacking, load
from experiments.errors import UserError
from experiments.evidence_docs import claims, sources_page, verdicts
from experiments.limits import identities
from experiments.moments import measure, moment
from experiments.paired import Crew, Job, simulate
from experiments.reports import ChartBlock
from experiments.scoreboards import cells, markdown, scoreboard_report, summary_line
from experiments.statics import cost_at
from experiments.validation import Scoreboard, kernel_rows, run_worlds, validate
from experiments.world_runs import beginnings, is_beginning, run_specs
from experiments.worlds import EVIDENCE, build, worlds

ALL = [check for section in SECTIONS for check in load(section)]


def _check(**changes: object) -> Check:
    content = {"id": "x", "ref": "1", "title": "x", "worlds": ["toy"], "moment": "gini", "source": "F-A1"}
    return Check.model_validate({**content, **changes})


# --- the evidence as data ------------------------------------------------------------------------------------------


def test_every_check_names_moments_and_combinations_that_exist() -> None:
    for check in ALL:
        if check.worlds:
            assert callable(moment(check.moment)), check.id
    ids = [f"{section}/{check.id}" for section in SECTIONS for check in load(section)]
    assert len(ids) == len(set(ids))


def test_all_facts_and_targets_have_rows() -> None:
    assert {int(check.ref) for check in load("facts")} == set(range(1, 31))
    assert {int(check.ref) for check in load("targets")} == set(range(4, 21))
    assert {check.ref for check in load("sizes")} == {"9.1", "9.2", "9.3"}


@pytest.mark.parametrize("name", sorted(worlds()))
def test_every_world_can_be_built(name: str) -> None:
    spec = build(name, Spec.load("2025"))
    assert spec.months >= 2


def test_worlds_differ_in_their_treatment_alone() -> None:
    base = Spec.load("2025")
    treated, control = build("drought", base), build("base", base)
    assert set(treated.events) - set(control.events) == {"drought"}
    assert treated.model_copy(update={"events": control.events}) == control


def test_an_unknown_world_is_refused() -> None:
    with pytest.raises(UserError, match="no world"):
        build("nowhere", Spec.load("toy"))


def test_a_world_that_the_scenario_does_not_allow_is_a_row_not_a_crash() -> None:
    values, problems = run_worlds(Spec.load("toy"), [_check(worlds=["war"])], range(2), workers=1)
    assert list(values.values()) == [[None, None]]
    assert "moonshot" in problems["war"]


def test_a_scoreboard_at_the_estimates_of_a_calibration_changes_every_world(tmp_path: Path) -> None:
    result, base = CalibrationResult.load(EVIDENCE / "calibration.toml"), Spec.load("2025")
    elsewhere = tuple(replace(each, value=0.5 * (each.value + each.span[1])) for each in result.estimates)
    saved = replace(result, estimates=elsewhere).save(tmp_path / "found.toml")
    change, found = at_estimates(saved), {each.name: each.value for each in elsewhere}
    for world, cloud in {"base": "aws", "toy": "hyper", "shortage": "hyper"}.items():
        shipped = build(world, base)
        assert change(shipped).cloud[cloud].padding == found["padding"] != shipped.cloud[cloud].padding
        assert build(world, base, change).cloud[cloud].padding == found["padding"]
    assert build("ads-1-wary", base, change).consumers["west"].trust_loss == 0.006
    assert {cloud.rent_speed for cloud in build("jevons-06", base, change).cloud.values()} == {0.0}
    arguments = {"tier": "chips", "part": "gross_profit", "whole": "revenue"}
    check = _check(worlds=["opening-quarter"], moment="tier_ratio", **{"with": arguments})
    plain, _ = run_worlds(base, [check], range(2), workers=1)
    moved, _ = run_worlds(base, [check], range(2), change=change, workers=1)
    assert plain.keys() == moved.keys() and plain != moved


def test_a_world_that_begins_another_is_measured_on_its_way() -> None:
    base = Spec.load("toy").with_overrides({"months": 14})
    specs = {name: build(name, base) for name in ("base", "opening-year", "opening-quarter", "toy")}
    assert beginnings(specs) == {"toy": ["opening-quarter", "opening-year", "base"]}
    checks = [_check(worlds=[name], moment="pool_share", **{"with": {"tier": "chips"}}) for name in specs]
    with Crew(1) as crew:
        together = run_specs(specs, checks, range(2), crew)
        assert crew.done == 2
        apart = [
            run_specs({name: specs[name]}, [check], range(2), crew) for name, check in zip(specs, checks, strict=True)
        ]
    assert together == {key: values for each in apart for key, values in each.items()}


def test_a_world_whose_apps_enter_later_begins_no_other() -> None:
    long = Spec.load("toy")
    short = long.with_overrides({"months": 12})
    assert is_beginning(short, long)
    assert not is_beginning(short, long.with_overrides({"market.entry_rate": 0.3}))
    late = {"app.studio.active_from": 20}
    assert not is_beginning(short.with_overrides(late), long.with_overrides(late))


def test_a_firm_that_the_scenario_has_not_is_a_row_not_a_crash() -> None:
    spec = Spec.load("toy").with_overrides({"months": 7})
    checks = [_check(worlds=["base"], moment="app_paid_share", **{"with": {"app": app}}) for app in ("chatgpt", "chat")]
    values, problems = run_worlds(spec, checks, range(2), workers=1)
    assert problems == {}
    assert lacking(checks[0], values) == "the scenario has no 'chatgpt'"
    assert lacking(checks[1], values) == ""
    row = judge("facts", checks[0], [], lacking(checks[0], values))
    assert row.status == "not computed"
    assert np.isnan(evaluate(checks[0], values)).all()
    assert np.isfinite(evaluate(checks[1], values)).all()


@pytest.mark.parametrize(
    "changes", [{"static": "cost_at"}, {"worlds": []}, {"worlds": ["nowhere"]}, {"band": [2.0, 1.0]}, {"moment": ""}]
)
def test_incoherent_checks_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="x"):
        _check(**changes)


# --- verdicts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "changes", "status"),
    [
        ([0.5, 0.52, 0.48], {"band": [0.4, 0.6]}, "pass"),
        ([0.7, 0.72, 0.68], {"band": [0.4, 0.6]}, "miss"),
        ([0.1, -0.1, 0.2, 0.0], {"sign": 1}, "miss"),
        ([0.10, 0.12, 0.11], {"sign": 1}, "pass"),
        ([1.10, 1.12, 1.11], {"sign": -1, "null": 1.0}, "miss"),
        ([math.nan, math.nan], {}, "miss"),
        ([math.nan, 0.5, 0.5], {"band": [0.4, 0.6]}, "pass"),
        ([0.0, 0.0, 1.0, 1.0], {"band": [0.4, 0.6]}, "miss"),
    ],
)
def test_verdict(numbers: list[float], changes: dict[str, object], status: str) -> None:
    assert judge("facts", _check(**changes), numbers).status == status


def test_what_cannot_be_computed_says_why() -> None:
    row = judge("facts", _check(worlds=[], moment="", why_not="the model has no rain"), [])
    assert row.status == "not computed"
    assert "rain" in row.note


def test_replicates_that_say_nothing_are_counted_against() -> None:
    row = judge("facts", _check(band=[0.4, 0.6]), [0.5, math.nan])
    assert row.right == 0.5
    assert "1 of 2" in row.note


def test_a_band_in_words() -> None:
    assert band_text([0.4, 0.6]) == "0.4 to 0.6"
    assert band_text([-math.inf, 1.0]) == "at most 1"
    assert band_text([1.0, math.inf]) == "at least 1"


def test_values_of_worlds_are_combined_by_replicate() -> None:
    check = _check(worlds=["rivals-doubled", "toy"], combine="relative")
    first, second = check.needs()
    assert evaluate(check, {first: [2.0, 3.0, None], second: [1.0, 2.0, 1.0]})[:2] == [1.0, 0.5]


# --- figures -------------------------------------------------------------------------------------------------------


def test_identities_hold() -> None:
    assert all(limit.passed for limit in identities())


def test_cost_falls_with_load() -> None:
    assert cost_at(1e9) > cost_at(10e9) > 0.0


def test_kernel_rows_in_short() -> None:
    assert [row.status for row in kernel_rows(quick=True)] == ["not computed"]


def test_measured_moments_are_those_of_the_chain() -> None:
    spec = Spec.load("toy").with_overrides({"months": 8})
    arguments = '{"tier": "chips", "field": "revenue", "months": [0, 3]}'
    found = simulate(Job(spec, 1, 0, 8, f"{measure.__module__}:measure", ([("tier_sum", arguments)],)))
    assert found[0] > 1e9


# --- the scoreboard ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def board() -> Scoreboard:
    rows = tuple(
        Row(
            section,
            check.id,
            check.ref,
            check.title,
            "x",
            "y",
            "miss" if i % 3 else "pass",
            check.source,
            n=2,
            right=0.5,
        )
        for section in SECTIONS
        for i, check in enumerate(load(section))
    )
    return Scoreboard("2025", 2, "f" * 64, 1.0, rows)


def test_rows_that_are_given_are_told_apart() -> None:
    row = judge("facts", _check(given=True, band=[0.4, 0.6]), [0.5, 0.5])
    board = Scoreboard("2025", 2, "f" * 64, 1.0, (row,))
    assert "1 of these are given" in summary_line(board, "facts")
    assert "(given)" in markdown(board)


def test_counts_and_shows_every_row(board: Scoreboard) -> None:
    assert board.counts()["facts"][1] == len(load("facts"))
    assert len(board.table()) == len(board.rows)
    assert "of" in summary_line(board, "facts")
    text = markdown(board)
    assert all(row.title in text for row in board.rows)
    picture, *sections = scoreboard_report(board).sections
    assert len(sections) == 7
    (chart,) = picture.blocks
    assert isinstance(chart, ChartBlock)
    values = chart.spec["data"]["values"]
    assert sum(row["value"] for row in values) == len(board.rows)
    passed, computed = (sum(each[i] for each in board.counts().values()) for i in (0, 1))
    assert chart.title.startswith(f"{passed} of {computed} statements pass; most that miss are ")
    assert cells(replace(board.rows[0], expected="1 to 2", unit="USD/hour"))[1] == "1 to 2 USD/hour"


def test_a_saved_scoreboard_loads_back(board: Scoreboard, tmp_path: Path) -> None:
    again = Scoreboard.load(board.save(tmp_path / "board.json"))
    assert again.counts() == board.counts()
    assert [row.id for row in again.rows] == [row.id for row in board.rows]
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(UserError, match="not a saved scoreboard"):
        Scoreboard.load(tmp_path / "bad.json")


def test_source_by_source_follows_from_the_scoreboard(board: Scoreboard) -> None:
    static = {"limits", "kernel", "robustness"}
    known = {f"{row.section}/{row.id}" for row in board.rows} | {f"limits/{limit.id}" for limit in identities()}
    unknown = {check for claim in claims() for check in claim.checks} - known
    assert [check for check in unknown if check.split("/")[0] not in static or check.startswith("limits/")] == []
    page = sources_page(board)
    assert len(verdicts(board)) == len(claims())
    assert all(claim.says in page for claim in claims())


def test_the_shipped_page_has_all_claims() -> None:
    page = Path(__file__).parent.parent.parent / "docs" / "sources.md"
    assert all(claim.says in page.read_text("utf-8") for claim in claims())


@pytest.mark.parametrize("seeds", [0, 1])
def test_too_few_replicates_are_refused(seeds: int) -> None:
    with pytest.raises(UserError, match="at least two"):
        validate("toy", seeds=seeds)


@pytest.mark.slow
def test_a_quick_scoreboard_has_every_row() -> None:
    board = validate("2025", seeds=2, quick=True)
    assert sum(each[1] + each[2] for each in board.counts().values()) == len(board.rows)
    for section in SECTIONS:
        assert len(board.section(section)) == len(load(section))
    assert np.isfinite([row.value for row in board.section("readings")]).all()
