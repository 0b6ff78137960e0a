"""Scenarios on the command line: list, show with provenance, start an own one, find every error."""

import json
from pathlib import Path

import pytest

from ecosystem.spec import Spec
from experiments.scenarios_command import find_problems, line_of, parameters, template, unmet_payers
from tests.experiments.command_line import Call


def test_list_names_all_scenarios(call: Call) -> None:
    status, out, _ = call("scenarios", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert status == 0
    assert rows["toy"]["firms"] == 12
    assert "toy" in call("scenarios")[1]


def test_show_gives_unit_range_role_and_source(call: Call) -> None:
    status, out, _ = call("scenarios", "show", "toy", "market.tax_rate")
    assert status == 0
    for words in ("market.tax_rate", "0.16", "0.1 to 0.25", "uncertainty", "source: judgement"):
        assert words in out
    rows = json.loads(call("scenarios", "show", "toy", "*.price_output", "--json")[1])
    assert len(rows) == 6
    assert {row["unit"] for row in rows} == {"USD/Mtok"}


def test_every_parameter_can_be_shown(call: Call) -> None:
    rows = json.loads(call("scenarios", "show", "toy", "--json")[1])
    assert len(rows) == len(parameters(Spec.load("toy"))) > 300
    bare = [row["path"] for row in rows if not (row["source"] and row["unit"] and row["doc"])]
    assert [path for path in bare if not path.endswith(".kind")] == []


def test_a_new_scenario_is_in_order_as_it_is_and_with_its_examples(call: Call, tmp_path: Path) -> None:
    status, out, _ = call("scenarios", "new", "mine", "--from", "toy")
    assert status == 0
    assert "wrote mine.toml" in out
    assert Spec.load("mine.toml").lab == Spec.load("toy").lab
    text = (tmp_path / "mine.toml").read_text()
    used = "\n".join(
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in text.splitlines()
    )
    (tmp_path / "mine.toml").write_text(used)
    assert find_problems("mine.toml") == []
    spec = Spec.load("mine.toml")
    assert "my_scandal" in spec.events
    assert not spec.mechanisms.price_war
    assert call("scenarios", "check", "mine.toml")[0] == 0
    assert call("scenarios", "new", "mine", "--from", "toy")[0] == 2
    assert (tmp_path / "mine.toml").read_text() == used


def test_check_says_where_payers_are_not_those_stated_and_what_would_fit(call: Call, tmp_path: Path) -> None:
    cheaper = 'extends = "toy"\n[app.chat.tiers.plus]\nprice = 10.0\n'
    (tmp_path / "cheaper.toml").write_text(cheaper)
    assert call("scenarios", "check", "cheaper.toml")[0] == 0
    chat, search = unmet_payers("cheaper.toml")
    assert chat.startswith("note: app.chat.payers: 3,200,000 are stated")
    fitted = [float(note.split("paid_extras = ")[1].split()[0]) for note in (chat, search)]
    more = [f"[app.{app}]\npaid_extras = {extras}\n" for app, extras in zip(("chat", "search"), fitted, strict=True)]
    (tmp_path / "fitted.toml").write_text(cheaper + "".join(more))
    assert unmet_payers("fitted.toml") == []


@pytest.mark.parametrize("name", ["toy", "2023", "2025"])
def test_shipped_scenarios_open_with_the_payers_they_state(name: str) -> None:
    assert unmet_payers(name) == []


def test_the_template_suits_every_shipped_scenario(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(template("x", "2025", Spec.load("2025")))
    assert Spec.load(path).regions == ["west", "china"]


@pytest.mark.parametrize("name", ["../x", "a b", "", "x/y"])
def test_a_name_that_is_no_file_name_is_refused(call: Call, name: str) -> None:
    status, _, err = call("scenarios", "new", name, "--from", "toy")
    assert status == 2
    assert "letters, digits" in err


def test_check_names_all_errors_with_line_key_value_and_limit(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(
        'extends = "toy"\nname = "bad"\nmonths = "12"\n[lab.frontier]\ninference_spend = -3.0\nstafff = 2\n'
        '[events.x]\nkind = "ad_scandal"\nmonth = 3\napp = "chat"\ntrust_lost = 4.0\n'
        "[app.chat.tiers.plus]\nprice = nan\n"
    )
    status, _, err = call("scenarios", "check", "bad.toml")
    assert status == 2
    for line in (
        "bad.toml:3: months: '12' is refused",
        "bad.toml:5: lab.frontier.inference_spend: -3.0 is refused: input should be greater than 0",
        "bad.toml:6: lab.frontier.stafff: unknown key; did you mean 'staff'?",
        "bad.toml:11: events.x.trust_lost: 4.0 is refused: input should be less than or equal to 1",
        "bad.toml:13: app.chat.tiers.plus.price: nan is refused",
        "5 problems",
    ):
        assert line in err
    problems = json.loads(call("scenarios", "check", "bad.toml", "--json")[1])
    assert problems["valid"] is False
    assert len(problems["problems"]) == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[events.x]\nkind = "ad_scandal"\nmonth = 3\napp = "chatt"', "x.toml:6: events.x.app: unknown app 'chatt'"),
        ('[events.x]\nkind = "price_war"\nmonth = 99\nlab = "frontier"', "outside the horizon of 36 months"),
        ("[cloud.neo]\nchip_purchases = {nobody = 1e8}", "unknown chipmaker 'nobody'"),
        ("[lab.frontier]\ntraining_spend = 9e12", "cloud."),
        ("months = ", "not valid TOML"),
        ("[lab]\nfrontier = 3", "lab.frontier"),
    ],
)
def test_check_finds_errors_between_parts_and_in_the_opening(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f'extends = "toy"\nname = "x"\n{text}\n')
    problems = find_problems(str(path))
    assert len(problems) == 1
    assert words in problems[0]


def test_check_of_what_is_not_there() -> None:
    assert find_problems("nothing.toml") == ["nothing.toml: no such scenario file"]


def test_line_of_a_key() -> None:
    text = 'a = 1\n[b.c]\nd = 2\n"e f".g = 3\n# d = 4\n[b]\nh = {i = 1}\n'
    assert [line_of(text, key) for key in ("a", "b.c.d", "b.c.e f.g", "b.h.i", "b.c.missing", "z", "")] == [
        1, 3, 4, 7, 2, None, None
    ]  # fmt: skip
