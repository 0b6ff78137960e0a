"""Monetisation experiments: arms as data, paired comparisons, and what the arms do."""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from agents.earning import Earner, Receipt, Usage
from agents.monetisation import WAYS
from agents.parameters import Parameters, param
from ecosystem.spec import Spec, SpecError
from experiments.arm_files import Arm, load_arms, named_apps, prepared
from experiments.arm_measures import UNITS, breaks_even
from experiments.docs_monetise_blocks import breaks_even as docs_verdict
from experiments.errors import UserError
from experiments.experiment_tables import print_monetisation
from experiments.formats import money
from experiments.monetisation import MonetisationResult, monetise
from experiments.monetisation_questions import LOADS, PRICES, SENSITIVITIES, WILLINGNESS, _say_load, _say_willingness
from experiments.monetisation_report import columns_of, report
from experiments.paired import Crew, Job
from experiments.statistics import independent_difference, mean_interval

ARMS = ["free", "subscription", "ads-middle", "ads-heavy", "metered"]


@pytest.fixture(scope="module")
def result() -> MonetisationResult:
    return monetise("toy", arms=ARMS, months=14, replicates=3, workers=1)


def test_default_arms_cover_the_ways_that_the_facts_describe() -> None:
    arms = load_arms()
    ways = {way for arm in arms.values() for way in arm.earning}
    assert ways == {"subscription", "ads", "api", "commission"}
    assert {arm.earning["api"]["price"] for arm in arms.values() if "api" in arm.earning} >= {7.0, 28.0}
    assert all(arm.source for arm in arms.values())


@pytest.mark.parametrize("scenario", ["toy", "2025"])
def test_every_default_arm_is_accepted_for_every_app_with_a_free_tier(scenario: str) -> None:
    spec, arms = Spec.load(scenario), load_arms()
    apps = named_apps(spec, ["all"])
    base = prepared(spec, apps, arms)
    for arm in arms.values():
        changed = base.with_overrides(arm.changes(base, apps))
        assert len(changed.events) >= len(spec.events) + len(apps)


def test_arms_start_from_the_same_users_and_differ_as_they_should(result: MonetisationResult) -> None:
    table = result.table().loc["search"]
    assert table.loc["free", "revenue"] == 0.0
    assert table.loc["free", "operating_profit"] < 0.0
    assert table.loc["subscription", "advertising"] == 0.0 < table.loc["subscription", "subscriptions"]
    assert table.loc["ads-middle", "subscriptions"] == 0.0 < table.loc["ads-middle", "advertising"]
    assert table.loc["ads-heavy", "trust"] < table.loc["ads-middle", "trust"] < table.loc["free", "trust"]
    assert table.loc["free", "users"] > table.loc["ads-heavy", "users"]
    assert table.loc["metered", "paid_share"] > table.loc["subscription", "paid_share"] > 0.0


def test_break_even_paid_share_is_above_the_share_of_a_loss_and_below_that_of_a_profit(
    result: MonetisationResult,
) -> None:
    for arm in ("subscription", "metered"):
        share, needed, profit = (
            result.of(arm, "search", name) for name in ("paid_share", "break_even_paid_share", "operating_profit")
        )
        assert np.all((share > needed) == (profit > 0.0))


def test_deciles_add_up_to_the_app(result: MonetisationResult) -> None:
    table = result.by_decile().xs("subscription", level="arm").xs("search", level="app")
    assert (table["users"] >= table["payers"]).all()
    assert table["compute_cost"].iloc[-1] > table["compute_cost"].iloc[0]
    assert table["margin"].sum() == pytest.approx((table["revenue"] - table["compute_cost"]).sum())


def test_comparisons_are_paired_and_adjusted(result: MonetisationResult) -> None:
    differences = result.differences().xs("free", level="arm").xs("search", level="app")
    assert differences.loc["operating_profit", "high"] > differences.loc["operating_profit", "low"]
    assert (result.differences()["p_adjusted"] <= 1.0).all()
    assert {each.arm for each in result.comparisons} == {"free", "ads-middle", "ads-heavy", "metered"}


class TipsSpec(Parameters):
    """Terms of an own way of earning."""

    share: float = param(0.1, unit="1", source="judgement", ge=0, le=1, doc="share of users who tip a dollar")


class Tips:
    """Users leave a dollar."""

    name = "tips"
    spec = TipsSpec
    streams = ("tips",)

    def receipts(self, terms: Parameters, app: Earner, usage: Usage) -> Iterator[Receipt]:
        assert isinstance(terms, TipsSpec)
        amount = terms.share * usage.users
        yield Receipt(f"households.{app.region}", "tips", amount, amount, "store_fees", 0.0)


def test_an_own_way_of_earning_is_counted_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: MonetisationResult
) -> None:
    monkeypatch.setitem(WAYS, "tips", Tips())
    path = tmp_path / "arms.toml"
    path.write_text("[tips]\nearning.tips = {share = 0.1}\n[tips-more]\nearning.tips = {share = 0.2}\n")
    found = monetise("toy", arms=["tips", "tips-more", "free"], arms_file=path, months=6, replicates=2, workers=1)
    table = found.table().loc["search"]
    for arm in ("tips", "tips-more"):
        assert table.loc[arm, "other"] == pytest.approx(table.loc[arm, "revenue"]) and table.loc[arm, "other"] > 0.0
        last = found.by_decile().xs(arm, level="arm").xs("search", level="app")["revenue"].sum()
        assert last == pytest.approx(table.loc[arm, "other"], rel=0.5)
    assert table.loc["tips-more", "other"] > 1.5 * table.loc["tips", "other"]
    assert table.loc["free", "other"] == 0.0
    assert "other" in columns_of(found) and "other" not in columns_of(result)
    console = Console(record=True, width=250, file=io.StringIO())
    print_monetisation(console, found)
    assert "own ways" in console.export_text()


def test_result_can_be_written(result: MonetisationResult, tmp_path: object) -> None:
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert content["control"] == "subscription"
    assert {row["arm"] for row in content["outcomes"]} == set(ARMS)


def test_the_best_at_the_edge_of_what_was_tried_says_so() -> None:
    def loads(best: float) -> list[dict[str, float]]:
        return [
            {"sensitivity": times, "load": load, "total_profit": -abs(load - best)}
            for times in SENSITIVITIES
            for load in LOADS
        ]

    assert _say_load(loads(0.75)).endswith(": an interior optimum.")
    assert "3 (the most that was tried" in _say_load(loads(3.0))
    assert _say_load(loads(3.0)).endswith("0 of 3 optima are interior.")
    fees: list[dict[str, float]] = [
        {"willingness": times, "price": price, "operating_profit": math.nan if price == 40.0 else price * (times - 0.6),
         "paid_share": 0.1}
        for times in WILLINGNESS
        for price in PRICES
    ]  # fmt: skip
    assert "$2.5 (the least that was tried" in _say_willingness(fees)
    assert "$20 (profit" in _say_willingness(fees)


def test_an_arm_without_a_value_for_a_region_is_refused() -> None:
    spec = Spec.load("toy")
    arm = Arm("here", "here", earning={"subscription": {"store_fee": {"china": 0.3}}})
    with pytest.raises(UserError, match="none for the region 'west'"):
        arm.changes(spec, ["search"])


def test_two_workers_give_the_same_bits() -> None:
    serial, pooled = (
        monetise("toy", arms=["free"], months=3, replicates=2, workers=workers).values for workers in (1, 2)
    )
    np.testing.assert_array_equal(serial, pooled)


def test_precision_stops_early_but_never_before_the_minimum() -> None:
    loose = monetise("toy", arms=["free"], months=2, replicates=12, precision=1e9, workers=1)
    assert loose.stopped_early and loose.replicates == 8
    strict = monetise("toy", arms=["free"], months=2, replicates=9, precision=1e-12, workers=1)
    assert not strict.stopped_early and strict.replicates == 9


def test_own_arms_may_use_the_tiers_of_an_app(tmp_path: Path) -> None:
    path = tmp_path / "arms.toml"
    path.write_text("[cheap]\nearning.subscription = {}\ntiers.pro = {price = 5.0}\n[cheap.overrides]\nseed = 7\n")
    found = monetise("toy", arms=["cheap"], arms_file=path, months=6, replicates=2, workers=1)
    assert (
        found.table().loc[("search", "cheap"), "paid_share"]
        > found.table().loc[("search", "subscription"), "paid_share"]
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a]\nearnings = {}\n", "arms.toml: a.earnings: unknown key"),
        ("a = 3\n", "arms.toml: a: an arm is a table"),
        ("[a]\nearning = {ads = 3}\n", "arms.toml: a.earning.ads"),
        ("[a\n", "arms.toml: not valid TOML"),
        ("", "holds no arm"),
    ],
)
def test_bad_arm_files_name_file_arm_and_key(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "arms.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=words.replace("[", r"\[")):
        load_arms(path)


def test_refusals_name_what_there_is() -> None:
    with pytest.raises(UserError, match="no arm 'fre'"):
        monetise("toy", arms=["fre"])
    with pytest.raises(UserError, match="no app 'serch'"):
        monetise("toy", apps=["serch"])
    with pytest.raises(UserError, match="studio has no free tier"):
        monetise("toy", apps=["studio"])
    with pytest.raises(SpecError, match="unknown way of earning"):
        spec = Spec.load("toy")
        spec.with_overrides({"events.x": {"kind": "new_terms", "month": 0, "app": "search", "earning": {"add": {}}}})


def test_all_outcomes_have_units(result: MonetisationResult) -> None:
    assert set(result.table().columns) == {*UNITS, "breaks_even"}


def test_breaking_even_is_decided_for_all_arms_at_once(result: MonetisationResult) -> None:
    assert [breaks_even(*ends, 1.0) for ends in ((0.1, 2.0), (-2.0, -0.1), (-0.1, 2.0), (0.0, 0.0))] == [
        "yes",
        "no",
        "open",
        "open",
    ]
    assert breaks_even(0.1, 2.0, survived=0.4) == "no"
    assert breaks_even(np.nan, np.nan, survived=1.0) == "open"
    said = result.to_dict()
    page = report(result).html().replace("\u00a0", " ")
    for row in said["outcomes"]:
        profit = next(
            r
            for r in said["intervals"]
            if (r["app"], r["arm"], r["outcome"]) == (row["app"], row["arm"], "operating_profit")
        )
        profits = result.of(row["arm"], row["app"], "operating_profit")
        wide = mean_interval(profits[np.isfinite(profits)], level=1.0 - 0.05 / len(result.arms))
        assert wide.low < profit["low"] < profit["high"] < wide.high
        assert row["breaks_even"] == breaks_even(wide.low, wide.high, row["survived"])
        assert row["breaks_even"] == docs_verdict(said, row["app"], row["arm"]).partition(",")[0]
        cell = f"{money(profit['mean'])} ({money(profit['low'])} to {money(profit['high'])})"
        assert f"<td>{cell}</td><td>{row['breaks_even']}</td>" in page


@pytest.mark.slow
def test_the_same_arm_is_called_different_as_rarely_as_claimed() -> None:
    spec = Spec.load("toy")
    jobs = [Job(spec, 5, r, 4, "experiments.arm_measures:measure", (("search",),)) for r in range(400)]
    with Crew() as crew:
        profit = np.array([run["search"][0]["operating_profit"] for run in crew.run(jobs)])
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(200):
        chosen = rng.permutation(len(profit))[:40]
        called += independent_difference(profit[chosen[:20]], profit[chosen[20:]]).differs
    assert 0.02 <= called / 200 <= 0.09
