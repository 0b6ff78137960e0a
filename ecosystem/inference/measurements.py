"""Measured serving points in the format of `throughput.csv`, read into arrays that the kernel can predict."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecosystem.inference.batching import Floats
from ecosystem.inference.cards import DATA, UnknownCardError, find_accelerator, find_model
from ecosystem.inference.machines import layout, machine, stack
from ecosystem.inference.records import Machine

REQUIRED = ("id", "model", "accelerator", "mode", "input_len", "output_len")
WHOLE_NUMBERS = ("batch", "tp", "attention_dp", "moe_ep", "moe_tp", "pp", "concurrency")
HASHED = (
    "model", "accelerator", "engine", "mode", "precision", "tp", "attention_dp", "moe_ep", "moe_tp", "pp",
    "input_len", "output_len",
)  # fmt: skip
MODES = {"agg": True, "mixed": True, "": True, "disagg": False, "decode": False, "static": False}
FORMATS = (
    ("bf16", ("bf16", "fp16", "float16", "bfloat16", "half", "none")),
    ("int4", ("int4", "w4a16", "awq", "gptq")),
    ("fp4", ("fp4", "w4a")),
    ("int8", ("int8", "w8a8_int", "smoothquant")),
    ("fp8", ("fp8", "w8a8", "float8")),
)


class MeasurementError(ValueError):
    """A file of measurements that cannot be read; the message names file, line and column."""


class UnpredictableRowError(ValueError):
    """A readable row that the kernel has no basis to predict."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """Rows that the kernel can predict, as arrays over rows, and the rows that it cannot, with the reason."""

    ids: tuple[str, ...]
    machine: Machine
    mixed: NDArray[np.bool_]
    """Whether prefill and decode share the accelerators."""
    sequences: Floats
    """Concurrent sequences per attention rank."""
    input_len: Floats
    output_len: Floats
    tpot_ms: Floats
    """Measured time per output token; NaN where the file does not give it."""
    accelerators: NDArray[np.str_]
    models: NDArray[np.str_]
    fit_half: NDArray[np.bool_]
    """Whether the row belongs to the half that efficiencies are fitted on."""
    skipped: tuple[tuple[str, str], ...]
    """Id and reason of each row that cannot be predicted."""

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, chosen: NDArray[np.bool_]) -> "Measurements":
        """The chosen rows."""
        return Measurements(
            ids=tuple(name for name, keep in zip(self.ids, chosen, strict=True) if keep),
            machine=self.machine[chosen],
            mixed=self.mixed[chosen],
            sequences=self.sequences[chosen],
            input_len=self.input_len[chosen],
            output_len=self.output_len[chosen],
            tpot_ms=self.tpot_ms[chosen],
            accelerators=self.accelerators[chosen],
            models=self.models[chosen],
            fit_half=self.fit_half[chosen],
            skipped=(),
        )


@dataclass(frozen=True, slots=True)
class _Row:
    machine: Machine
    mixed: bool
    sequences: float
    input_len: float
    output_len: float
    tpot_ms: float
    accelerator: str
    model: str


def is_fit_half(row: Mapping[str, str]) -> bool:
    """The fixed split: the last hexadecimal digit of a SHA-256 over the configuration is even."""
    text = "|".join(row.get(column, "") for column in HASHED)
    return int(hashlib.sha256(text.encode()).hexdigest()[-1], 16) % 2 == 0


def number_format(text: str) -> str:
    """The kernel's name of a number format in any common spelling (`fp8_block`, `nvfp4`, `w4a16`)."""
    spelling = text.strip().lower()
    for name, spellings in FORMATS:
        if any(part in spelling for part in spellings):
            return name
    raise UnpredictableRowError(f"unknown number format {text!r}")


def _weights(row: Mapping[str, str]) -> tuple[str, str]:
    """Formats of the routed experts and of the other matrices; bf16 where the row says nothing."""
    precision = row.get("precision", "")
    gemm = row.get("gemm_quant", "") or precision
    experts = row.get("moe_quant", "") or gemm
    return number_format(experts or "bf16"), number_format(gemm or "bf16")


@lru_cache(maxsize=4096)
def _machine(
    model: str, accelerator: str, formats: tuple[str, str], spread: tuple[int, int, int, int], compiled: bool
) -> Machine:
    tp, dp, ep, pp = spread
    shape = layout(tp=tp, dp=dp, ep=ep, pp=pp, compiled=compiled)
    return machine(find_model(model), find_accelerator(accelerator), formats[0], shape, dense=formats[1])


def _spread(row: Mapping[str, str], counts: Mapping[str, float], *, experts: bool) -> tuple[int, int, int, int]:
    """Tensor, data, expert and pipeline parallelism (0 or empty means 1).

    Rows with tp = attention_dp > 1 and experts over tp x dp ranks count the same accelerators twice (vLLM's
    data
    parallel attention replaces tensor parallelism): measured times match attention_dp ranks, not tp x dp.
    """
    tp, dp, ep, pp = (int(max(counts[name], 1)) for name in ("tp", "attention_dp", "moe_ep", "pp"))
    if not experts:
        return tp, dp, 1, pp
    if tp > 1 and dp == tp and ep == tp * dp:
        tp, ep = 1, dp
    if counts["moe_ep"] <= 0 and counts["moe_tp"] > 1:
        ep = max(tp * dp // int(counts["moe_tp"]), 1)
    return tp, dp, min(ep, tp * dp), pp


def _row(row: Mapping[str, str], numbers: Mapping[str, float]) -> _Row:
    try:
        model, accelerator = find_model(row["model"]), find_accelerator(row["accelerator"])
    except UnknownCardError as unknown:
        raise UnpredictableRowError(str(unknown)) from unknown
    mode = row["mode"].strip().lower()
    if mode not in MODES:
        raise UnpredictableRowError(f"unknown mode {row['mode']!r}; known: agg, disagg")
    counts = {name: numbers.get(name, 0.0) for name in WHOLE_NUMBERS}
    tp, dp, ep, pp = _spread(row, counts, experts=model.experts > 0)
    sequences = counts["batch"] or counts["concurrency"] / dp
    if sequences <= 0 or numbers["output_len"] <= 0 or numbers["input_len"] < 0:
        raise UnpredictableRowError("needs a batch (or concurrency) and an output length above 0")
    compiled = row.get("engine", "").strip().lower() in ("trtllm", "tensorrt-llm", "tensorrt_llm")
    built = _machine(model.name, accelerator.name, _weights(row), (tp, dp, ep, pp), compiled)
    return _Row(
        machine=built,
        mixed=MODES[mode],
        sequences=sequences,
        input_len=numbers["input_len"],
        output_len=numbers["output_len"],
        tpot_ms=numbers.get("tpot_ms", np.nan),
        accelerator=accelerator.name,
        model=model.name,
    )


def _numbers(row: Mapping[str, str], where: str) -> dict[str, float]:
    """The numeric columns of a row that are filled in."""
    numbers = {}
    for column in ("input_len", "output_len", "tpot_ms", *WHOLE_NUMBERS):
        text = (row.get(column) or "").strip()
        if not text:
            if column in REQUIRED:
                raise MeasurementError(f"{where}, column {column}: empty, needs a number")
            continue
        try:
            numbers[column] = float(text)
        except ValueError:
            raise MeasurementError(f"{where}, column {column}: {text!r} is not a number") from None
        if not np.isfinite(numbers[column]) or (column == "tpot_ms" and numbers[column] <= 0):
            raise MeasurementError(f"{where}, column {column}: {text!r} is out of range")
    return numbers


def _records(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Rows of the file with their place, checked for shape."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as broken:
        raise MeasurementError(f"{path}: not a UTF-8 text file (byte {broken.start})") from broken
    reader = csv.reader(text.splitlines())
    header = next(reader, None)
    if not header or not any(header):
        raise MeasurementError(f"{path}: empty file")
    header = [name.strip() for name in header]
    missing = [name for name in REQUIRED if name not in header]
    missing += [] if {"batch", "concurrency"} & set(header) else ["batch"]
    if missing:
        raise MeasurementError(f"{path}, line 1: missing column {', '.join(missing)}")
    records = []
    for cells in reader:
        if not cells:
            continue
        where = f"{path}, line {reader.line_num}"
        if len(cells) != len(header):
            raise MeasurementError(f"{where}: {len(cells)} columns, the header has {len(header)}")
        records.append((where, dict(zip(header, cells, strict=True))))
    if not records:
        raise MeasurementError(f"{path}: no rows below the header")
    return records


def read(path: Path) -> Measurements:
    """Read measured points; `MeasurementError` on a malformed file, `OSError` on an unreadable one."""
    kept: list[tuple[str, _Row, bool]] = []
    skipped: list[tuple[str, str]] = []
    for where, record in _records(path):
        numbers = _numbers(record, where)
        try:
            kept.append((record["id"], _row(record, numbers), is_fit_half(record)))
        except UnpredictableRowError as reason:
            skipped.append((record["id"], str(reason)))
    return _assemble(kept, skipped, path)


def _assemble(kept: Sequence[tuple[str, _Row, bool]], skipped: list[tuple[str, str]], path: Path) -> Measurements:
    if not kept:
        raise MeasurementError(f"{path}: no row can be predicted; first reason: {skipped[0][1]}")
    rows = [row for _, row, _ in kept]
    return Measurements(
        ids=tuple(name for name, _, _ in kept),
        machine=stack([row.machine for row in rows]),
        mixed=np.array([row.mixed for row in rows]),
        sequences=np.array([row.sequences for row in rows]),
        input_len=np.array([row.input_len for row in rows]),
        output_len=np.array([row.output_len for row in rows]),
        tpot_ms=np.array([row.tpot_ms for row in rows]),
        accelerators=np.array([row.accelerator for row in rows]),
        models=np.array([row.model for row in rows]),
        fit_half=np.array([half for _, _, half in kept]),
        skipped=tuple(skipped),
    )


@lru_cache(maxsize=1)
def shipped_measurements() -> Measurements:
    """The shipped points: InferenceX and NVIDIA runs, as redistributed in aiconfigurator (Apache-2.0)."""
    return read(Path(str(DATA / "throughput.csv")))
