"""The `kernel` commands: numbers, files, refusals."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        main(["kernel", *arguments])
        raise AssertionError("it did not leave")
    except SystemExit as stop:
        status = int(stop.code or 0)
    out, err = capsys.readouterr()
    return status, out, err


def test_day_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--json")
    day = json.loads(out)
    assert status == 0
    assert (day["cost_usd"], day["revenue_usd"], day["nodes"]) == (87_072, 562_027, 226.75)
    assert round(day["markup"], 3) == 5.455
    assert round(day["margin"], 3) == 0.845
    even = day["break_even_paid_share"]
    assert (round(even["r1"], 3), round(even["v3"], 3)) == (0.155, 0.310)
    assert {k: round(v, 2) for k, v in even["with_off_peak_discount"].items()} == {
        "r1": 0.18,
        "v3": 0.34,
        "half": 0.23,
    }
    assert day["physical"]["fitted_to_the_day"] is False
    assert abs(day["physical"]["error"]["nodes"]) < 0.05


def test_day_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys)
    assert status == 0
    for figure in ("226.75", "$87,072", "$562,027", "545.5%", "84.5%", "15.5% / 31.0%", "18% / 34% / 23%"):
        assert figure in out
    assert "never fitted" in out


def test_cost_explains_one_deployment(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("cost", "--model", "deepseek-r1", "--accelerator", "h800", "--tier", "wide")
    status, out, _ = run(capsys, *arguments, "--json")
    result = json.loads(out)
    assert status == 0
    assert sum(o["usd_per_mtok"] for o in result["decode"]["operations"]) == pytest.approx(
        result["usd_per_mtok"]["output"], rel=1e-12
    )
    assert {o["binding"] for o in result["decode"]["operations"]} >= {"bandwidth", "network", "fixed"}
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    assert "limited by memory" in out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("cost", "--model", "deepthought"), 2, "no card for model 'deepthought'"),
        (("cost", "--model", "llama-3.1-405b", "--accelerator", "h100", "--tp", "1"), 2, "does not fit"),
        (("cost", "--tp", "3", "--ep", "2"), 2, "does not divide"),
        (("cost", "--utilisation", "1.5"), 2, "--utilisation must be above 0 and at most 1"),
        (("cost", "--rent", "-1"), 2, "--rent must be above 0"),
        (("cost", "--output-len", "nan"), 2, "--output-len must be"),
        (("validate", "no-such-file.csv"), 2, "cannot read no-such-file.csv"),
    ],
)
def test_refusals(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, message: str) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == status
    assert message in err
    assert "Traceback" not in err


ROWS = """id,model,accelerator,mode,precision,input_len,output_len,batch,tp,tpot_ms
a,deepseek-ai/DeepSeek-R1,H200,agg,fp8,1024,1024,16,8,15.9
b,openai/gpt-oss-120b,mi300x,agg,fp4,1024,1024,16,1,
c,openai/gpt-oss-120b,abacus,agg,fp4,1024,1024,16,1,7
"""


def test_validate_scores_a_file_and_writes_predictions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, out_file = tmp_path / "rows.csv", tmp_path / "predictions.csv"
    file.write_text(ROWS)
    status, out, _ = run(capsys, "validate", str(file), "--out", str(out_file))
    assert status == 0
    assert "H200_SXM" in out
    assert "no card for accelerator 'abacus'" in " ".join(out.split())
    lines = out_file.read_text().splitlines()
    assert lines[0] == "id,tpot_ms"
    assert [line.split(",")[0] for line in lines[1:]] == ["a", "b"]
    assert all(float(line.split(",")[1]) > 0 for line in lines[1:])
    status, out, _ = run(capsys, "validate", str(file), "--json")
    report = json.loads(out)
    assert report["overall"]["count"] == 1
    assert report["skipped"] == [{"id": "c", "reason": report["skipped"][0]["reason"]}]


def test_validate_refuses_a_broken_file_and_an_unwritable_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(ROWS.replace("1024,16,8", "1024,sixteen,8"))
    status, _, err = run(capsys, "validate", str(file))
    assert (status, "line 2, column batch" in err) == (2, True)
    file.write_text(ROWS)
    status, _, err = run(capsys, "validate", str(file), "--out", str(tmp_path / "missing" / "x.csv"))
    assert (status, "cannot write" in err) == (1, True)


def test_usage_errors_leave_with_status_2() -> None:
    command = [sys.executable, "-m", "experiments.kernel", "cost", "--no-such-option"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2


@pytest.mark.slow
def test_the_whole_protocol_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "validate", "--json")
    report = json.loads(out)
    assert status == 0
    protocol = report["protocol"]
    assert protocol["report_half"]["count"] == 889
    assert {goal["what"]: goal["met"] for goal in protocol["goals"]}["median error, unseen rows"]
    assert len(protocol["wide_expert_parallelism"]) == 13
