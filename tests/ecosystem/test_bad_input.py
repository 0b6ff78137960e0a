"""A scenario that cannot be run is refused before the run: file or override, key, value and what is allowed."""

from pathlib import Path
from typing import Any

import pytest

from ecosystem.model import ValueChain
from ecosystem.spec import SCENARIOS, Spec, SpecError

REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "misspelt key": ({"cloud.hyper.rentt": 2.0}, ["cloud.hyper.rentt", "did you mean 'rent'"]),
    "misspelt firm": ({"cloud.hypr.rent": 2.0}, ["cloud.hypr", "did you mean 'hyper'"]),
    "misspelt part": ({"clod.hyper.rent": 2.0}, ["clod", "did you mean 'cloud'"]),
    "misspelt switch": ({"mechanisms.lerning": False}, ["mechanisms.lerning", "did you mean 'learning'"]),
    "negative": ({"cloud.hyper.rent": -2.0}, ["cloud.hyper.rent", "greater than", "-2.0"]),
    "too large": ({"market.tax_rate": 1.5}, ["market.tax_rate", "less than or equal to 1", "1.5"]),
    "not a number": ({"cloud.hyper.rent": float("nan")}, ["cloud.hyper.rent", "nan"]),
    "infinite": ({"cloud.hyper.rent": float("inf")}, ["cloud.hyper.rent", "inf"]),
    "text": ({"cloud.hyper.rent": "2.0"}, ["cloud.hyper.rent", "'2.0'", "number"]),
    "truth value": ({"cloud.hyper.rent": True}, ["cloud.hyper.rent", "True", "number"]),
    "fraction of a month": ({"months": 3.5}, ["months", "3.5", "integer"]),
    "negative table value": ({"cloud.hyper.chip_purchases": {"alpha": -1.0}}, ["cloud.hyper.chip_purchases", "-1"]),
    "unknown choice": ({"lab.office.weights": "ajar"}, ["lab.office.weights", "'open'", "'closed'", "'ajar'"]),
    "unknown supplier": ({"cloud.hyper.chip_purchases": {"alfa": 1e8}}, ["chip_purchases", "'alfa'", "'alpha'"]),
    "unknown cloud": ({"lab.office.clouds": {"vistaa": 1.0}}, ["lab.office.clouds", "'vistaa'", "'vista'"]),
    "unknown lab": ({"app.search.supply.lab": "fronteer"}, ["app.search.supply.lab", "'frontier'"]),
    "unknown region": ({"lab.office.region": "wets"}, ["lab.office.region", "'wets'", "'west'"]),
    "unknown model card": ({"lab.office.models.large.card": "gpt"}, ["lab.office.models.large.card", "'gpt'"]),
    "unknown accelerator": ({"cloud.vista.fleet": {"H100": 1e5}}, ["cloud.vista.fleet", "'H100'", "H100_SXM"]),
    "shares that do not sum": ({"lab.frontier.clouds": {"hyper": 0.8}}, ["lab.frontier.clouds", "0.8"]),
    "more payers than users": ({"app.search.payers": 9e9}, ["app.search.payers", "9e+09", "users"]),
    "unknown way of earning": ({"app.search.earning.adverts": {}}, ["app.search: earning", "'adverts'", "ads"]),
    "unknown term of a way": ({"app.search.earning.ads": {"lode": 1.0}}, ["app.search: earning.ads.lode", "load"]),
    "a mix without output": (
        {"enterprise.firms.input_share": 0.8, "enterprise.firms.cached_share": 0.5},
        ["enterprise.firms", "input_share 0.8", "cached_share 0.5", "more than 1"],
    ),
    "nested logit upside down": ({"consumers.west.lambda_tier": 0.9}, ["consumers.west", "lambda_tier 0.9"]),
    "empty tier": ({"lab": {}}, ["lab", "at least one firm"]),
    "unknown kind of event": ({"events.x": {"kind": "miracle", "month": 1}}, ["events.x", "miracle", "price_war"]),
    "unknown firm in an event": (
        {"events.x": {"kind": "price_war", "month": 1, "lab": "offices"}},
        ["events.x.lab", "'offices'", "'office'"],
    ),
    "unknown region in an event": (
        {"events.x": {"kind": "demand_shift", "month": 1, "region": "mars"}},
        ["events.x.region", "'mars'", "west"],
    ),
    "event after the end": (
        {"events.x": {"kind": "price_war", "month": 99, "lab": "office"}},
        ["events.x.month", "99", "36"],
    ),
    "misspelt term of an event": (
        {"events.x": {"kind": "price_war", "mont": 1, "lab": "office"}},
        ["events.x", "mont", "month"],
    ),
}
UNBALANCED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "labs ask for more than there is": ({"cloud.vista.fleet": {"H100_SXM": 1000.0}}, ["cloud.vista", "%", "fleet"]),
    "utilisation too high": ({"market.expected_utilisation": 0.97}, ["cloud.", "0.97", "0.6", "0.9"]),
    "utilisation too low": ({"market.expected_utilisation": 0.3}, ["cloud.", "0.6", "0.9"]),
    "tokens that nobody writes": ({"lab.frontier.inference_spend": 1e12}, ["lab.frontier.inference_spend", "tokens"]),
    "more users than people": ({"app.chat.users": 3e9, "app.chat.payers": 0.0}, ["consumers.west", "users"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_key_value_and_what_is_allowed(case: str) -> None:
    overrides, words = REFUSED[case]
    with pytest.raises(SpecError) as refusal:
        Spec.load("toy").with_overrides(overrides)
    for word in words:
        assert word.lower() in str(refusal.value).lower(), f"{word!r} is not in: {refusal.value}"


@pytest.mark.parametrize("case", UNBALANCED)
def test_an_opening_that_cannot_balance_is_refused(case: str) -> None:
    overrides, words = UNBALANCED[case]
    spec = Spec.load("toy").with_overrides(overrides)
    with pytest.raises(SpecError) as refusal:
        ValueChain(spec)
    for word in words:
        assert word.lower() in str(refusal.value).lower(), f"{word!r} is not in: {refusal.value}"


def test_a_file_is_named(tmp_path: Path) -> None:
    text = (SCENARIOS / "toy.toml").read_text(encoding="utf-8")
    bad = tmp_path / "mine.toml"
    bad.write_text(text.replace("rent = 2.4", "rennt = 2.4"), encoding="utf-8")
    with pytest.raises(SpecError, match=r"mine\.toml: cloud\.hyper\.rennt: unknown key; did you mean 'rent'"):
        Spec.load(bad)
    bad.write_text("months = [", encoding="utf-8")
    with pytest.raises(SpecError, match=r"mine\.toml: not valid TOML"):
        Spec.load(bad)


def test_an_unknown_scenario_is_named() -> None:
    with pytest.raises(SpecError, match="no scenario 'toi'; did you mean 'toy'"):
        Spec.load("toi")
    with pytest.raises(SpecError, match=r"nowhere\.toml: no such scenario file"):
        Spec.load("nowhere.toml")


def test_overrides_leave_the_tables_of_the_caller_as_they_were() -> None:
    terms: dict[str, Any] = {"kind": "new_terms", "month": 0, "app": "search", "earning": {"ads": {"load": 1.0}}}
    overrides = {"events.terms": terms, "events.terms.earning.ads.load": 3.0}
    changed = Spec.load("toy").with_overrides(overrides)
    assert changed.model_dump()["events"]["terms"]["earning"]["ads"]["load"] == 3.0
    assert terms["earning"] == {"ads": {"load": 1.0}}
