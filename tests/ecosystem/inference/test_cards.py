"""Cards reproduce what is published."""

import pytest

from ecosystem.inference.cards import (
    UnknownCardError,
    find_accelerator,
    find_model,
    load_accelerators,
    load_models,
)


@pytest.mark.parametrize("name", sorted(load_models()))
def test_totals_match_the_published_figures(name: str) -> None:
    card = load_models()[name]
    rounding = 0.5 if card.published_total_b >= 10 else 0.05
    total = card.total_parameters / 1e9
    if name.startswith("Kimi"):  # published as "1 trillion"
        assert total == pytest.approx(1026, abs=1)
    else:
        assert total == pytest.approx(card.published_total_b, abs=max(rounding, 0.01 * card.published_total_b))
    assert card.active_parameters / 1e9 == pytest.approx(card.published_active_b, abs=1.0, rel=0.01)


def test_cache_width_matches_the_published_figures() -> None:
    models = load_models()
    assert models["DeepSeek-V3"].cache_bytes_per_token() == 70_272
    assert models["Llama-3.1-405B"].cache_bytes_per_token() == 516_096


def test_closed_models_are_marked_judgement() -> None:
    stand_ins = [card for card in load_models().values() if not card.open_weights]
    assert len(stand_ins) >= 5
    assert all(card.source == "judgement" and card.note for card in stand_ins)


@pytest.mark.parametrize(
    ("spelling", "card"),
    [
        ("h100_sxm", "H100_SXM"),
        ("gb200", "GB200_NVL72"),
        ("MI300X", "MI300X"),
        ("mi355x", "MI355X"),
        ("h20", "H20"),
        ("910c", "Ascend_910C"),
        ("B300 SXM", "B300_SXM"),
    ],
)
def test_accelerator_spellings(spelling: str, card: str) -> None:
    assert find_accelerator(spelling).name == card


@pytest.mark.parametrize(
    ("spelling", "card"),
    [
        ("deepseek-ai/DeepSeek-R1-0528", "DeepSeek-V3"),
        ("nvidia/DeepSeek-R1-0528-FP4-v2", "DeepSeek-V3"),
        ("zai-org/GLM-5-FP8", "GLM-5"),
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "Llama-3.1-8B"),
        ("meta-llama/Llama-3.3-70B-Instruct", "Llama-3.1-70B"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "Qwen3-235B-A22B"),
        ("qwen3-32b", "Qwen3-32B"),
    ],
)
def test_model_spellings(spelling: str, card: str) -> None:
    assert find_model(spelling).name == card


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownCardError, match="H100_SXM"):
        find_accelerator("h1000")
    with pytest.raises(UnknownCardError, match="DeepSeek-V3"):
        find_model("acme/DeepThought-42B")


def test_accelerators_say_what_they_multiply_natively() -> None:
    cards = load_accelerators()
    assert cards["A100_SXM"].supports == ("bf16", "int8")
    assert cards["H100_SXM"].supports == ("bf16", "fp8")
    assert cards["B200_SXM"].supports == ("bf16", "fp8", "fp4")
    assert cards["H20"].rents["2025"] == 1.10
    assert "E" in cards["H20"].sources["rent 2025"]
