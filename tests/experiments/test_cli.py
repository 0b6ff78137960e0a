"""The command line: exit codes, one clear line for a bad request, JSON that machines can trust."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ecosystem.spec import Spec
from experiments import cli, paired, run_command
from experiments.errors import UserError
from experiments.run_command import parse_overrides
from tests.experiments.command_line import Call


def test_help_names_the_commands_and_loads_none_of_them() -> None:
    code = (
        "import sys\nfrom experiments.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as left: assert left.code == 0\n"
        "print([m for m in ('mesa', 'pandas', 'numpy', 'scipy', 'altair', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in ("run", "scenarios", "kernel"))
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", [name for name, _, _ in cli.COMMANDS])
def test_every_command_has_help(call: Call, command: str) -> None:
    status, out, _ = call(command, "--help")
    assert status == 0
    assert "Usage" in out


def test_version_names_the_code(call: Call) -> None:
    status, out, _ = call("--version")
    first, second = out.splitlines()
    assert status == 0
    assert first.startswith("watersellers 0.")
    assert len(second.removeprefix("fingerprint ")) == 64


def test_run_prints_who_earns_and_where_the_files_are(call: Call, tmp_path: Path) -> None:
    status, out, _ = call("run", "toy", "--months", "6", "--no-report", "--csv")
    assert status == 0
    for words in ("profit over value added", "kept of a final dollar", "water sellers", "rent west", "paid share"):
        assert words in out
    folder = tmp_path / "results" / "toy-seed1-6months"
    assert f"results: {folder.relative_to(tmp_path)}" in out
    assert (folder / "firms.csv").is_file()
    assert not (folder / "report.html").exists()


def test_json_is_one_object_and_the_same_each_time(call: Call) -> None:
    arguments = ("run", "toy", "--months", "6", "--seed", "4", "--json", "--no-report", "--out", "here")
    status, out, err = call(*arguments)
    content: dict[str, Any] = json.loads(out)
    assert status == 0
    assert err == ""
    assert (content["scenario"], content["seed"], content["months"]) == ("toy", 4, 6)
    assert {*content["tiers"]} == {"chips", "clouds", "labs", "apps"}
    assert content["prices"]["rent"]["west"]["unit"] == "USD per H100-equivalent hour"
    assert content["files"] == {"results": "here"}
    assert call(*arguments)[1] == out


def test_replicates_give_bands(call: Call) -> None:
    status, out, _ = call("run", "toy", "--months", "4", "--replicates", "3", "--json", "--no-report")
    content = json.loads(out)["replicates"]
    band = content["bands"]["chips_revenue"]
    assert status == 0
    assert content["count"] == 3
    assert band["low"] <= band["median"] <= band["high"]
    assert content["units"]["chips_revenue"] == "USD/year"
    status, out, _ = call("run", "toy", "--months", "4", "--replicates", "2", "--no-report")
    assert status == 0
    assert "2 replicates" in out


def test_settings_reach_the_run(call: Call, tmp_path: Path) -> None:
    change = ("--set", "app.chat.tiers.plus.price=31", "--set", "sampling=false")
    status, _, _ = call("run", "toy", "--months", "2", "--no-report", "--out", "x", *change)
    spec = json.loads((tmp_path / "x" / "spec.json").read_text())
    assert status == 0
    assert spec["app"]["chat"]["tiers"]["plus"]["price"] == 31
    assert spec["sampling"] is False


def write_bad_files() -> None:
    Path("circle.toml").write_text('extends = "other.toml"')
    Path("other.toml").write_text('extends = "./other.toml"')
    Path("number.toml").write_text("extends = 3")
    Path("long.toml").write_text('scenario = "toy"\nmonths = 5000\nmethod = "grid"\nn = 2\n[levers]\nseed = [1, 2]')
    for name, content in {
        "latin": b"market.tax_rate\n\xe9\n",
        "twice": b"market.tax_rate,market.tax_rate\n1,2\n",
    }.items():
        Path(f"{name}.csv").write_bytes(content)
        Path(f"{name}.toml").write_text(f'scenario = "toy"\nmethod = "table"\ntable = "{name}.csv"')


def test_another_run_does_not_take_the_place_of_the_plain_one(call: Call, tmp_path: Path) -> None:
    months = Spec.load("toy").months
    (tmp_path / "mine.toml").write_text(f'extends = "toy"\nmonths = {months}\n[market]\ntax_rate = 0.3\n')
    arguments = (["toy"], ["mine.toml"], ["toy", "--months", "2"], ["toy", "--set", "seed=1", "--months", str(months)])
    folders = []
    for each in arguments:
        status, out, _ = call("run", *each, "--json", "--no-report")
        assert status == 0
        folders.append(json.loads(out)["files"]["results"])
    assert folders[:3] == ["results/toy-seed1", "results/mine-seed1", "results/toy-seed1-2months"]
    assert re.fullmatch("results/toy-seed1-[0-9a-f]{6}", folders[3])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "tyo"), "did you mean 'toy'"),
        (("run", "toy", "--set", "app.chatt.staff=1"), "did you mean 'chat'"),
        (("run", "toy", "--set", "app.chat.stafff=1"), "did you mean 'staff'"),
        (("run", "toy", "--set", "app.chat.staff=-1"), "greater than or equal to 0"),
        (("run", "toy", "--set", "app.chat.staff=nan"), "finite"),
        (("run", "toy", "--set", "app.chat.staff=much"), "valid number"),
        (("run", "toy", "--set", "app.chat.staff"), "KEY=VALUE"),
        (("run", "toy", "--months", "0"), "from 1 to 1200"),
        (("run", "toy", "--replicates", "0"), "at least 1"),
        (("run", "toy", "--seed", "-1"), "whole number from 0"),
        (("run", "toy", "--seed", "one"), "one"),
        (("run", "toy", "--sed", "1"), "--seed"),
        (("rnu",), "run"),
        (("run", "nothing.toml"), "no such scenario file"),
        (("run", "circle.toml"), "other.toml: extends: it starts from itself"),
        (("scenarios", "check", "circle.toml"), "it starts from itself"),
        (("run", "number.toml"), "3 is not the name or file of a scenario"),
        (("monetise", "toy", "--precision", "0"), "precision is a share"),
        (("monetise", "toy", "--precision", "-1"), "precision is a share"),
        (("sweep", "long.toml"), "months"),
        (("sweep", "latin.toml"), "no CSV file in UTF-8"),
        (("sweep", "twice.toml"), "'market.tax_rate' more than once"),
        (("kernel", "cost", "--model", "nothing"), "nothing"),
        (("kernel", "cost", "--rent", "0"), "must be above 0"),
        (("kernel", "validate", "nothing.csv"), "cannot read nothing.csv"),
        (("scenarios", "show", "toy", "lab.nobody"), "no parameter"),
    ],
)
def test_a_bad_request_is_refused_in_words(call: Call, arguments: tuple[str, ...], words: str) -> None:
    write_bad_files()
    status, out, err = call(*arguments)
    assert status == 2
    assert words in err
    assert "Traceback" not in err + out
    assert not Path("results").exists()


def test_a_place_that_cannot_be_written_is_said_before_the_run(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_command, "_run", lambda *_: pytest.fail("it ran"))
    (tmp_path / "file").write_text("mine")
    status, _, err = call("run", "toy", "--out", "file/below")
    assert (status, err.count("\n")) == (1, 1)
    assert "cannot write results to file/below" in err
    status, _, err = call("run", "toy", "--out", ".")
    assert status == 2
    assert "something else than results" in err


@pytest.mark.parametrize(
    "command", [("monetise", "toy"), ("hypotheses",), ("hypotheses", "--faults"), ("shock", "price-war", "toy"),
                ("validate", "toy"), ("calibrate", "--quick")]
)  # fmt: skip
def test_a_place_for_a_result_is_looked_at_before_the_work(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr(paired, "simulate", lambda job: pytest.fail("it ran"))
    status, out, err = call(*command, "--out", "/proc/x/y")
    assert (status, out) == (1, "")
    assert "cannot write" in err
    assert list(tmp_path.iterdir()) == []
    if command[0] not in {"validate", "calibrate"}:
        (tmp_path / "result.json").write_text('{"years": "of work"}')
        status, _, err = call(*command, "--out", ".")
        assert status == 2
        assert "not the result of an experiment" in err
        (tmp_path / "file").touch()
        assert call(*command, "--out", "file")[0] == 2


def test_a_changed_world_does_not_replace_the_result_of_the_plain_one(call: Call) -> None:
    shock = ("shock", "price-war", "toy", "--month", "0", "--months", "6", "--replicates", "2")
    assert call(*shock)[0] == 0
    assert call(*shock, "--set", "mechanisms.funding=false")[0] == 0
    plain, changed = sorted(Path("results").iterdir())
    assert plain.name == "shock-price-war-toy"
    assert changed.name.startswith("shock-price-war-toy-")


def test_what_cannot_be_written_in_the_end_was_printed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments import parts

    monkeypatch.setattr(parts, "_publish", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    arguments = ("shock", "price-war", "toy", "--month", "0", "--months", "6", "--replicates", "2", "--json")
    status, out, err = call(*arguments, "--out", "here")
    assert status == 1
    assert "No space left" in err
    assert json.loads(out)["shock"] == "price-war"
    assert list(Path("here").iterdir()) == []


def test_a_failing_run_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from ecosystem.model import ValueChain

    monkeypatch.setattr(ValueChain, "demand", lambda self: 1 / 0)
    status, _, err = call("run", "toy", "--no-report")
    assert status == 1
    assert err.startswith("error: toy: the run broke off in month 0")
    assert err.count("\n") == 1


def test_ctrl_c_stops_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.cli", "run", "toy", "--replicates", "500", "--out", "out"]
    root = Path(cli.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    run = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    time.sleep(4.0)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "stopped by Ctrl-C" in said
    assert "Traceback" not in said
    assert [*tmp_path.iterdir()] == []


def test_without_the_report_libraries_the_run_still_works(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, p=None: None if n == "vl_convert" else find(n, p))
    status, _, err = call("run", "toy", "--months", "2")
    assert status == 0
    assert "no report: vl_convert is not installed" in err
    assert (tmp_path / "results" / "toy-seed1-2months" / "manifest.json").is_file()


def test_values_of_settings_are_toml_or_text() -> None:
    pairs = ["a.b=1", "c=2.5", "d=true", 'e="x"', "f=word", "g=[1, 2]", "h={k = 1}", "i=2025-01"]
    values = parse_overrides(pairs)
    assert values == {
        "a.b": 1, "c": 2.5, "d": True, "e": "x", "f": "word", "g": [1, 2], "h": {"k": 1}, "i": "2025-01"
    }  # fmt: skip
    for pair in ("=1", "a", "a=", "a b=1"):
        with pytest.raises(UserError):
            parse_overrides([pair])


@pytest.mark.parametrize("other", [("--docs", "docs"), ("--robustness",)])
def test_estimates_go_with_nothing_that_is_of_the_shipped_values(call: Call, other: tuple[str, ...]) -> None:
    status, _, err = call("validate", "--estimates", "x.toml", *other)
    assert status == 2
    assert "--estimates goes neither with" in err


def test_estimates_that_are_no_calibration_are_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("distance = 1.0\n")
    status, _, err = call("validate", "--quick", "--estimates", str(tmp_path / "x.toml"))
    assert status == 2
    assert "is not a saved calibration" in err


def test_points_without_robustness_are_refused(call: Call) -> None:
    status, _, err = call("validate", "toy", "--quick", "--points", "5")
    assert status == 2
    assert "--robustness" in err
