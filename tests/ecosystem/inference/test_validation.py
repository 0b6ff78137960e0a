"""Reading measurements, predicting them, and the fit protocol."""

from pathlib import Path

import numpy as np
import pytest

from ecosystem.inference import validation
from ecosystem.inference.efficiencies import parameters, shipped, textbook
from ecosystem.inference.fit import fit, fit_half, write
from ecosystem.inference.fleet import predict
from ecosystem.inference.measurements import MeasurementError, number_format, read, shipped_measurements

HEADER = "id,model,accelerator,engine,precision,gemm_quant,moe_quant,mode,input_len,output_len,batch,tp,attention_dp"
ROW = "a,deepseek-ai/DeepSeek-V3,h200_sxm,sglang,fp8,fp8,fp8_block,agg,1024,1024,16,8,1"


def written(path: Path, *lines: str) -> Path:
    file = path / "rows.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_the_shipped_rows_are_all_predicted() -> None:
    rows = shipped_measurements()
    assert len(rows) == 1703
    assert rows.skipped == ()
    assert int(rows.fit_half.sum()) == 814
    predicted = validation.predict_tpot_ms(rows, shipped())
    assert np.isfinite(predicted).all()
    assert (predicted > 0).all()


def test_accuracy_on_the_unseen_half_meets_the_goals() -> None:
    rows = shipped_measurements()
    predicted = validation.predict_tpot_ms(rows, shipped())
    result = validation.score("report half", predicted[~rows.fit_half], rows.tpot_ms[~rows.fit_half])
    assert result.count == 889
    assert result.median <= validation.MEDIAN_GOAL
    assert result.p90 <= validation.P90_GOAL
    assert abs(result.bias) < 0.03


def test_textbook_values_already_beat_a_plain_roofline() -> None:
    rows = shipped_measurements()
    predicted = validation.predict_tpot_ms(rows, textbook())
    assert validation.score("textbook", predicted, rows.tpot_ms).median < 0.18


def test_the_shipped_efficiencies_are_what_the_fit_gives(tmp_path: Path) -> None:
    found = fit(fit_half(shipped_measurements()))
    for parameter in parameters():
        assert parameter.lower <= parameter.value <= parameter.upper
        expected = parameter.value if parameter.fitted else parameter.prior
        assert getattr(found, parameter.name) == pytest.approx(expected, rel=2e-3), parameter.name
    write(found, tmp_path / "efficiencies.toml")
    assert "[bandwidth]\nvalue = " in (tmp_path / "efficiencies.toml").read_text()


def test_at_most_a_dozen_numbers_are_fitted() -> None:
    assert sum(parameter.fitted for parameter in parameters()) <= 12
    assert all(parameter.meaning and parameter.unit for parameter in parameters())


@pytest.mark.slow
def test_leave_one_accelerator_out_stays_near_the_goal() -> None:
    rows = shipped_measurements()
    scores = validation.leave_one_out(rows, rows.accelerators, fit)
    assert scores[-1].name == "all"
    assert scores[-1].median < 0.14


def test_wide_expert_parallelism_is_predicted_without_a_fit() -> None:
    points = validation.wide_points(shipped())
    scored = [abs(point.error) for point in points if point.saturated]
    assert len(points) == 13
    assert len(scored) == 11
    assert np.median(scored) < 0.15
    assert max(scored) < 0.30
    assert float(np.median(scored)) <= validation.wide_leave_one_out(shipped()) < 0.12


def test_the_physical_day_is_within_five_per_cent() -> None:
    day = predict(shipped())
    assert day.nodes == pytest.approx(226.75, rel=validation.DAY_GOAL)
    assert day.cost == pytest.approx(87_072, rel=validation.DAY_GOAL)
    assert day.cost == pytest.approx(day.nodes * 8 * 2 * 24)


def test_rows_without_a_measurement_are_predicted(tmp_path: Path) -> None:
    rows = read(written(tmp_path, HEADER + ",tpot_ms", ROW + ",", ROW.replace("a,", "b,", 1) + ",20.5"))
    assert np.isnan(rows.tpot_ms[0])
    assert rows.tpot_ms[1] == 20.5
    assert validation.predict_tpot_ms(rows, shipped())[0] > 0
    assert len(read(written(tmp_path, HEADER, ROW))) == 1


def test_rows_without_a_card_are_listed_with_the_reason(tmp_path: Path) -> None:
    rows = read(
        written(
            tmp_path,
            HEADER,
            ROW,
            ROW.replace("h200_sxm", "abacus"),
            ROW.replace("DeepSeek-V3", "DeepThought"),
            ROW.replace("fp8_block", "fp7"),
            ROW.replace("agg", "sideways"),
        )
    )
    assert len(rows) == 1
    assert [reason.split(";")[0] for _, reason in rows.skipped] == [
        "no card for accelerator 'abacus'",
        "no card for model 'deepseek-ai/DeepThought'",
        "unknown number format 'fp7'",
        "unknown mode 'sideways'",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "empty file"),
        ((HEADER,), "no rows"),
        ((HEADER.replace("model,", ""), ROW), "line 1: missing column model"),
        ((HEADER.replace(",batch", ",lot"), ROW), "missing column batch"),
        ((HEADER, ROW.replace(",16,", ",many,")), r"line 2, column batch: 'many' is not a number"),
        ((HEADER, ROW, ROW.replace("1024,1024", ",1024")), "line 3, column input_len: empty"),
        ((HEADER, ROW, "b,deepseek-ai/DeepSeek-V3,h200"), "line 3: 3 columns, the header has 13"),
        ((HEADER + ",tpot_ms", ROW + ",nan"), "column tpot_ms: 'nan' is out of range"),
        ((HEADER, ROW.replace("h200_sxm", "abacus")), "no row can be predicted"),
    ],
)
def test_malformed_files_are_refused_naming_the_place(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(MeasurementError, match=message):
        read(written(tmp_path, *lines))


def test_binary_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(MeasurementError, match="not a UTF-8 text file"):
        read(file)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("fp8_block", "fp8"),
        ("nvfp4", "fp4"),
        ("w4a16_mxfp4", "int4"),
        ("w4afp8", "fp4"),
        ("int4_wo", "int4"),
        ("int8_wo", "int8"),
        ("float16", "bf16"),
    ],
)
def test_number_format_spellings(spelling: str, name: str) -> None:
    assert number_format(spelling) == name


def test_double_counted_layouts_are_read_as_data_parallel(tmp_path: Path) -> None:
    header = HEADER + ",moe_ep,moe_tp"
    base = "x,MiniMaxAI/MiniMax-M2.5,b200_sxm,vllm,fp8,fp8,fp8,agg,1024,1024,32"
    rows = read(written(tmp_path, header, base + ",2,2,4,1", base + ",1,2,2,1", base + ",4,1,4,1"))
    np.testing.assert_array_equal(rows.machine.layout.ranks, [2.0, 2.0, 4.0])
    np.testing.assert_array_equal(rows.machine.layout.ep, [2.0, 2.0, 4.0])
    predicted = validation.predict_tpot_ms(rows, shipped())
    assert predicted[0] == predicted[1]
