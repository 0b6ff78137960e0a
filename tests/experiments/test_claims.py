"""Claims as data: files, worlds, effects, verdicts, flips, control worlds."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ecosystem.model import ValueChain
from ecosystem.spec import Spec
from experiments.claim_files import Claim, World, first_value, load_claims, read_claim, shipped, spread
from experiments.claim_tables import Kind
from experiments.control_worlds import WORLDS
from experiments.errors import UserError
from experiments.hypothesis_tests import SIDE, Case, Court, _judge, effect, hypotheses
from experiments.judgement import drawn
from experiments.metrics import METRICS
from experiments.paired import Crew, Failed, Job
from experiments.statistics import Interval, paired_difference
from experiments.verdicts import Finding, Flip, HypothesesResult, Judgement, flips, values_used

SOUND = """
id = "own"
statement = "Users of search are many"
source = "nobody"
refuted_by = "few users"
metric = "app_mean"
arguments = {app = "{app}", field = "users"}
test = "value > threshold"
threshold = 1.0
months = 3
replicates = {min = 4, max = 4}
[scenarios.toy]
app = "search"
"""
CASES = [(name, scenario) for name, path in shipped().items() for scenario in read_claim(path)["scenarios"]]
WANTED = {
    "water-sellers-value-added", "water-sellers-capital", "water-sellers-cents", "scale-trap", "flat-rate", "jevons",
    "open-weights", "ads-trust", "subscription-poor", "api-hike", "funding", "bullwhip", "equity-order", "open-host",
    "bought-users", "export-control", "circular-finance", "ai-search-first", "new-interaction",
}  # fmt: skip


def _claim(scenario: str = "toy", name: str = "jevons") -> Claim:
    return load_claims([name], scenario=scenario)[0]


def test_all_claims_of_the_design_are_there() -> None:
    assert set(shipped()) >= WANTED


@pytest.mark.parametrize(("name", "scenario"), CASES)
def test_every_world_of_every_claim_can_be_built(name: str, scenario: str) -> None:
    claim = load_claims([name], scenario=scenario)[0]
    assert claim.id == name and claim.metric in METRICS
    court = Court(Crew(1), None, {}, None, vary=False)
    cases = [Case(claim, "main")]
    cases += [Case(claim, c.name, tuple(c.set.items()), (), c.treated_only) for c in claim.conditions]
    cases += [Case(claim, a.path, ((a.path, v),), (), a.treated_only) for a in claim.assumes for v in a.values]
    treated = court.worlds_of(cases[0], 0)[0][1]
    assert all(math.isfinite(first_value(treated, each.path)) for each in claim.assumes)
    for case in cases:
        worlds = court.worlds_of(case, 0)
        assert len(worlds) == (len(claim.levels) or (1 if claim.control is None else 2))
        if len(worlds) > 1 and case.label != "ads-trust":
            assert len({digest for digest, _ in worlds}) > 1 or case.shared, f"{case.label}: the worlds are the same"


@pytest.mark.parametrize("name", ["ads-trust", "subscription-poor"])
def test_no_case_of_a_claim_changes_the_worlds_of_a_later_one(name: str) -> None:
    claim, court = _claim(name=name), Court(Crew(1), None, {}, None, vary=False)
    cases = [Case(claim, "main")]
    cases += [Case(claim, c.name, tuple(c.set.items()), (), c.treated_only) for c in claim.conditions]
    cases += [Case(claim, a.path, ((a.path, v),), (), a.treated_only) for a in claim.assumes for v in a.values]
    together = [[digest for digest, _ in court.worlds_of(case, 0)] for case in cases]
    for case, seen in zip(cases, together, strict=True):
        fresh = Case(_claim(name=name), case.label, case.shared, (), case.treated_only)
        alone = Court(Crew(1), None, {}, None, vary=False)
        assert [digest for digest, _ in alone.worlds_of(fresh, 0)] == seen, (case.label, case.shared)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('metric = "app_mean"', 'metric = "app_men"', "own.toml: metric: no metric 'app_men'"),
        ("{app = ", "{ap = ", "own.toml: arguments.ap: app_mean takes"),
        ('"value > threshold"', '"more than threshold"', "own.toml: test: should be like"),
        ('"value > threshold"', '"difference > threshold"', "own.toml: control: a difference needs a control"),
        ('"value > threshold"', '"slope > threshold"', "own.toml: levels: a slope needs"),
        ('"value > threshold"', '"share > threshold"', "own.toml: test: app_mean is no yes or no"),
        ("threshold = 1.0", 'threshold = "1"', "own.toml: threshold: should be a valid number"),
        ("{min = 4, max = 4}", "{min = 4, max = 2}", "own.toml: replicates"),
        ('source = "nobody"', "", "own.toml: source: is missing"),
        ('source = "nobody"', 'source = "nobody"\nsorce = "x"', "own.toml: sorce: unknown key"),
        ("[scenarios.toy]", "[treatment]\nwords = 3\n[scenarios.toy]", "own.toml: treatment.words: unknown key"),
        ("[scenarios.toy]", '[control]\nworld = "eden"\n[scenarios.toy]', "own.toml: control.world: no world 'eden'"),
        ("{app}", "{ap}", "own.toml: arguments.app: scenarios do not say what 'ap' is"),
        ("id =", "id", "own.toml: not valid TOML"),
        ("{min = 4, max = 4}", '{min = "4", max = 4}', "own.toml: replicates.min: should be a valid integer"),
        ("{min = 4, max = 4}", "{min = 2.5, max = 4}", "own.toml: replicates.min: should be a valid integer"),
        ("{min = 4, max = 4}", "4", "own.toml: replicates: should be"),
        ('arguments = {app = "{app}", field = "users"}', "arguments = 3", "own.toml: arguments: should be"),
        ("[scenarios.toy]", "[[levels]]\nat = 'x'\n[scenarios.toy]", "own.toml: levels.at: should be a valid number"),
        ("months = 3", "months = 3\nlevels = 3", "own.toml: levels: should be a valid list"),
        ("months = 3", 'months = "3"', "own.toml: months: should be a valid integer"),
        (', field = "users"', "", "own.toml: arguments.field: is missing: app_mean takes app, field"),
        (', field = "users"', ', field = "user"', "own.toml: arguments.field: there is no 'user'"),
        (', field = "users"', ', field = "users", start = "0"', "own.toml: arguments.start: should be a valid integer"),
        (', field = "users"', ', field = "users", start = 3', "own.toml: arguments.start: month 3 is not one of the 3"),
        ('app = "search"', 'app = "serch"', "own.toml: arguments.app: there is no 'serch'; there are chat"),
        ("{app}", "{", "own.toml: arguments.app: '{' has a brace"),
        ("[scenarios.toy]", "[treatment]\nwithout = 3\n[scenarios.toy]", "own.toml: treatment.without: should be"),
        ("[scenarios.toy]", "[treatment]\nwithout = [3]\n[scenarios.toy]", "own.toml: treatment.without: should be"),
        ("[scenarios.toy]", "[control]\n[scenarios.toy]", "own.toml: control: a value does not use it"),
        ("[scenarios.toy]", "[[levels]]\nat = 1.0\n[scenarios.toy]", "own.toml: levels: a value does not use them"),
        (
            "[scenarios.toy]",
            '[[assumes]]\npath = "seed"\nvalues = "x"\n[scenarios.toy]',
            "own.toml: assumes.values: should be a valid list",
        ),
        (
            "[scenarios.toy]",
            '[[conditions]]\nname = "x"\ntreated_only = true\n[scenarios.toy]',
            "own.toml: conditions.treated_only: there is no control",
        ),
        ("months = 3", "months = 3\ngiven = true", "own.toml: given_because: goes with given"),
    ],
)
def test_bad_claim_files_name_file_and_key(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SOUND.replace(old, new))
    with pytest.raises(UserError) as caught:
        load_claims(files=[path])
    assert words in str(caught.value)


@pytest.mark.parametrize("metric", ["tier_sum", "tier_cents"])
def test_a_misspelt_tier_is_refused_and_not_summed_to_nothing(metric: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SOUND.replace('{app = "{app}", field = "users"}', '{tier = "nope"}').replace("app_mean", metric))
    with pytest.raises(UserError, match=r"arguments\.tier: there is no 'nope'; there are chips"):
        load_claims(files=[path])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[treatment.set]\n"app.search.users" = "x1.2.3"', "app.search.users: 'x1.2.3' is no factor"),
        ('[[assumes]]\npath = "name"\nvalues = [1.0]', "name"),
    ],
)
def test_bad_values_leave_with_exit_code_two(
    more: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments.cli import main

    path = tmp_path / "own.toml"
    path.write_text(f"{SOUND}{more}\n")
    with pytest.raises(SystemExit) as left:
        main(["hypotheses", "--file", str(path), "--workers", "1", "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert left.value.code == 2 and words in said.err and "Traceback" not in said.err


def test_an_unknown_series_is_named() -> None:
    chain = ValueChain(Spec.load("toy"), rng=1, replicate=0)
    chain.step()
    with pytest.raises(UserError, match="no series 'prise'"):
        METRICS["series_mean"](chain, name="prise")


def test_a_slope_leaves_out_what_its_treatment_leaves_out() -> None:
    from dataclasses import replace

    claim = replace(_claim(name="scale-trap"), treatment=World(without=("efficiency_shock",), world="equal-tiers"))
    worlds = Court(Crew(1), None, {}, None, vary=False).worlds_of(Case(claim, "main"), 0)
    assert len(worlds) == 4 and not any(world.events for _, world in worlds)
    assert {world.chipmaker["alpha"].substitution for _, world in worlds} == {4.0}


def test_own_claim_files_are_tested(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SOUND)
    result = hypotheses(files=[path], workers=1)
    assert result.verdicts == {"own": "supported"}
    assert result.table().loc["own", "replicates"] == 4
    assert result.to_dict()["claims"][0]["verdict"] == "supported"


def test_unknown_claims_and_scenarios_are_refused() -> None:
    with pytest.raises(UserError, match="no claim 'jevon'"):
        hypotheses(["jevon"])
    with pytest.raises(UserError, match="says nothing of 'toy'"):
        hypotheses(["export-control"], scenario="toy")


def _of(kind: Kind, levels: tuple[float, ...] = ()) -> Claim:
    from dataclasses import replace

    claim = replace(_claim(), kind=kind, threshold=1.0)
    return replace(claim, levels=tuple((at, World()) for at in levels))


def test_effects() -> None:
    assert effect(_of("value"), [3.0]) == 3.0
    assert effect(_of("difference"), [3.0, 1.0]) == 2.0
    assert effect(_of("ratio"), [3.0, 2.0]) == 1.5
    assert effect(_of("slope", (1.0, 2.0, 3.0)), [1.0, 3.0, 5.0]) == pytest.approx(2.0)
    assert effect(_of("late_over_early"), [(1.0, 5.0), (0.0, 1.0)]) == 4.0
    assert [effect(_of("share"), list(said)) for said in ([1.0], [0.0], [1.0, 0.0], [1.0, 1.0])] == [1.0, 0.0, 1.0, 0.0]
    assert math.isnan(effect(_of("difference"), [Failed("why"), 1.0]))
    assert math.isnan(effect(_of("ratio"), [1.0, math.nan]))
    assert math.isnan(effect(_of("ratio"), [1.0, 0.0]))


def test_flips_are_where_the_effect_crosses_the_threshold() -> None:
    def found(value: float) -> Finding:
        return Finding("", Interval(value, value, value, 3, 0.95), "supported", 0, 0)

    claim, unknown = _of("value"), Finding("", None, "inconclusive", 0, 0)
    assert flips(claim, [0.0, 1.0, 2.0], [found(0.0), found(0.5), found(1.5)]) == (Flip(1.0, 2.0, 1.5),)
    assert flips(claim, [0.0, 1.0], [found(2.0), found(3.0)]) == ()
    wide = flips(claim, [1.0, 10.0, 100.0], [found(0.0), found(0.5), found(1.5)])
    assert wide[0].at == pytest.approx(10.0**1.5) and str(wide[0]) == "31.6 (between 10 and 100)"
    decades = flips(claim, [2.0, 60.0, 1e9], [found(0.0), found(0.5), found(1.5)])
    assert [str(flip) for flip in decades] == ["between 60 and 1e+09"]
    assert [str(flip) for flip in flips(claim, [1.0, 2.0], [found(0.0), found(2.0)])] == ["between 1 and 2"]
    assert flips(claim, [0.0, 1.0, 2.0], [found(0.0), unknown, found(2.0)]) == ()


def test_paths_may_name_all_entries_and_values_may_multiply() -> None:
    spec = Spec.load("toy")
    changes = spread(spec, {"lab.*.staff": "x0.5", "seed": 3})
    assert changes["lab.office.staff"] == 0.5 * spec.lab["office"].staff
    assert set(changes) == {f"lab.{lab}.staff" for lab in spec.lab} | {"seed"}
    with pytest.raises(UserError, match="no number"):
        spread(spec, {"name": "x2"})
    with pytest.raises(UserError, match="there is no 'lap'"):
        spread(spec, {"lap.*.staff": 1.0})


def test_events_can_be_left_out() -> None:
    spec = Spec.load("toy")
    assert World(without=("efficiency_shock",)).build(spec).events == {}


def test_an_inconclusive_claim_gets_more_replicates_up_to_its_number() -> None:
    path = shipped()["circular-finance"]
    assert read_claim(path)["replicates"]["min"] < read_claim(path)["replicates"]["max"]
    result = hypotheses(["equity-order"], scenario="toy", details=False, workers=1)
    assert result.judgements[0].main.interval is not None
    assert result.judgements[0].main.interval.n == 6  # settled at once


def test_conditions_say_when_a_claim_holds_and_assumptions_where_it_flips() -> None:
    judged = hypotheses(["equity-order"], scenario="toy", replicates=2, workers=1).judgements[0]
    assert {c.label for c in judged.conditions} == {"clouds against labs", "the market believes in Jevons"}
    by_path = {s.assumption.path: s for s in judged.sensitivities}
    elasticity = by_path["investors.*.believed_elasticity"]
    assert elasticity.flips and 0.7 <= elasticity.flips[0].low < elasticity.flips[0].high <= 1.0
    assert elasticity.used == Spec.load("toy").investors["west"].believed_elasticity
    assert "refuted: the market believes in Jevons" in judged.holds_when
    assert all(f.interval is not None and f.interval.n <= SIDE for f in elasticity.findings)


def test_the_control_world_scores_nothing_against_itself() -> None:
    spec = Spec.load("toy")
    control = spec.with_overrides(WORLDS["equal-tiers"](spec))
    asked = tuple(("upstream_lead", (("measure", m),)) for m in ("value_added", "capital", "cents"))
    jobs = [Job(control, 1, r, 36, "experiments.metrics:evaluate", (asked,)) for r in range(12)]
    with Crew(1) as crew:
        runs = crew.run(jobs)
    for i in range(3):
        first, second = ({r: runs[r + start][i] for r in range(6)} for start in (0, 6))
        # disjoint replicates, so that the difference is not zero by construction
        shifted = paired_difference({r: first[r] for r in range(6)}, {r: second[r] for r in range(6)})
        assert not shifted.differs


def test_in_the_world_of_equal_tiers_every_rule_faces_the_same_elasticity() -> None:
    from agents.pricing import own_elasticity

    spec = Spec.load("2025")
    control = spec.with_overrides(WORLDS["equal-tiers"](spec))
    firms: list[Any] = [*control.chipmaker.values(), *control.cloud.values(), *control.lab.values()]
    for share in (0.01, 0.5, 0.95):
        assert len({own_elasticity(share, f.substitution, f.market_elasticity) for f in firms}) == 1
    assert len({f.entrant_cost_ratio for f in firms}) == 1


def economic_profit(chain: ValueChain) -> list[float]:
    """Return operating profit less the cost of capital at 10 % a year, over revenue, of last year, by tier."""
    found = []
    for tier in ("chips", "clouds", "labs"):
        profit, revenue, capital = (
            float(chain.recorder.tier(chain, tier, name)[-12:].sum())
            for name in ("operating_profit", "revenue", "capital")
        )
        found.append((profit - capital * (1.1 ** (1.0 / 12.0) - 1.0)) / revenue)
    return found


def test_nobody_earns_an_economic_profit_under_perfect_competition() -> None:
    spec = Spec.load("toy")
    free = spec.with_overrides(WORLDS["perfect-competition"](spec))
    with Crew(1) as crew:
        runs = crew.run([Job(free, 1, r, 36, f"{__name__}:economic_profit") for r in range(3)])
    for run in runs:
        assert all(value < 0.05 for value in run), run


def test_draws_of_judgement_differ_by_replicate_stay_in_range_and_are_the_same_in_all_worlds() -> None:
    spec = Spec.load("toy")
    first, again, second = drawn(spec, 1, 0), drawn(spec, 1, 0), drawn(spec, 1, 1)
    assert first == again != second
    row = {r.path: r for r in spec.parameters()}["lab.office.spillover"]
    assert row.span is not None and row.span[0] <= first.lab["office"].spillover <= row.span[1]
    assert first.lab["office"].spillover == first.lab["commons"].spillover
    result = hypotheses(["equity-order"], scenario="toy", quick=True, vary_judgement=True, workers=1)
    interval = result.judgements[0].main.interval
    assert interval is not None and interval.half_width > 0.005


def test_what_the_claim_sets_is_told_from_what_the_scenario_has() -> None:
    claim = _claim("2025", "circular-finance")
    court = Court(Crew(1), None, {}, None, vary=False)
    open_case = Finding("", None, "inconclusive", 0, 0)
    judged = _judge(claim, open_case, {a.path: [open_case] * len(a.values) for a in claim.assumes}, court)
    assert (judged.sensitivities[0].used, judged.sensitivities[0].set_to) == (0.0, 0.1)
    assert judged.sensitivities[0].values_used == "the claim sets 0.1; the scenario has 0"
    assert values_used(math.nan, 0.25) == "the claim sets 0.25; the scenario has none"
    assert values_used(3.0, 3.0) == "the scenario has 3"


def test_the_price_rise_is_tested_at_the_scenarios_own_cost_of_an_index() -> None:
    claim, spec = _claim("2025", "api-hike"), Spec.load("2025")
    low, high = next(r.span or (0.0, 0.0) for r in spec.parameters() if r.path == "app.brave.index_cost")
    for _, world in Court(Crew(1), None, {}, None, vary=False).worlds_of(Case(claim, "main"), 0):
        for app in ("brave", "perplexity"):
            assert low <= world.app[app].index_cost == spec.app[app].index_cost <= high


def test_a_share_is_decided_by_outcomes_that_are_all_the_same_but_not_by_four(monkeypatch: pytest.MonkeyPatch) -> None:
    claim, court = _claim(name="api-hike"), Court(Crew(1), None, {}, None, vary=False)
    asked: list[int] = []

    def run(wanted: Sequence[tuple[Case, int]]) -> None:
        asked.extend(count for _, count in wanted)

    monkeypatch.setattr(court, "_run", run)
    monkeypatch.setattr(court, "_values", lambda *_: [1.0, 0.0])
    assert court.settle([claim], quick=True, most=None)[claim.id].verdict == "supported"
    assert court.settle([claim], quick=True, most=4)[claim.id].verdict == "inconclusive"
    assert court.settle([claim], quick=False, most=None)[claim.id].verdict == "supported"
    assert asked == [6, 4, 7]


def test_intervals_are_printed_with_the_level_that_they_have(tmp_path: Path) -> None:
    judged = Judgement(_claim(), Finding("", Interval(0.5, 0.4, 0.6, 8, 1.0 - 0.05 / 3.0), "refuted", 0, 0), (), ())
    result = HypothesesResult((judged,), 1, False, None)
    assert judged.main.span == "0.400 to 0.600 (98.3 %)"
    assert result.to_dict()["claims"][0]["level"] == pytest.approx(0.98333, abs=1e-5)
    page = (
        result.to_html(tmp_path / "report.html").read_text().replace("&nbsp;", " ").replace("\N{NO-BREAK SPACE}", " ")
    )
    assert "0.400 to 0.600 (98.3 %)" in page


def test_claims_that_are_given_say_so_beside_the_verdict(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from experiments.cli import main

    assert {name for name in shipped() if read_claim(shipped()[name]).get("given")} == {"scale-trap", "equity-order"}
    with pytest.raises(SystemExit):
        main(["hypotheses", "-c", "equity-order", "--quick", "--scenario", "toy", "--out", str(tmp_path)])
    assert "supported, given: the fall on the day" in " ".join(capsys.readouterr().out.split())
    said = json.loads((tmp_path / "result.json").read_text())["claims"][0]
    assert said["given"] is True and said["remark"].startswith("given: the fall on the day")
    assert "Given: the fall on the day" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(("unknown", "verdict"), [(0, "supported"), (1, "supported"), (2, "inconclusive")])
def test_nothing_is_said_where_more_than_a_tenth_of_the_replicates_has_no_meaning(
    monkeypatch: pytest.MonkeyPatch, unknown: int, verdict: str
) -> None:
    claim, court = _of("difference"), Court(Crew(1), None, {}, None, vary=False)
    values = [[math.nan if i < unknown else 3.0 + i, 1.0] for i in range(10)]
    monkeypatch.setattr(court, "_values", lambda _, replicate: values[replicate])
    found = court.finding(Case(claim, "main"), 10, 0.95)
    assert found.verdict == verdict and found.interval is not None
    assert found.note == (f"{unknown} of 10 replicates have no meaning" if unknown else "")


def test_an_app_that_never_earns_is_not_the_first_to_earn() -> None:
    chain = ValueChain(Spec.load("toy"), rng=1, replicate=0)
    for _ in range(3):
        chain.step()
    assert METRICS["first_to_earn"](chain, category="search", others=["chat"], users=1e12) == 0.0


@pytest.mark.parametrize("count", ["0", "1", "-1"])
def test_too_few_replicates_are_refused(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    from experiments.cli import main

    with pytest.raises(SystemExit) as left:
        main(["hypotheses", "-c", "equity-order", "--replicates", count])
    assert left.value.code == 2 and f"at least 2 replicates, not {count}" in capsys.readouterr().err


def test_whether_hosts_lose_to_the_owner_is_a_share_of_replicates() -> None:
    found = hypotheses(["open-host"], scenario="toy", quick=True, workers=1).judgements[0].main.interval
    assert found is not None and (found.n, found.estimate) == (6, 1.0) and 0.5 < found.low < 0.6
