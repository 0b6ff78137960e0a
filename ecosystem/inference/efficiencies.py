"""The fitted numbers of the kernel: each has a physical meaning, a textbook prior and bounds."""

import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache

from ecosystem.inference.cards import DATA


@dataclass(frozen=True, slots=True)
class Efficiencies:
    """Shares of a published peak that software reaches, and the fixed costs that no peak explains."""

    bandwidth: float
    arithmetic: float
    operand_reuse: float
    grouped_gemm: float
    fp4_derate: float
    attention_bandwidth: float
    activation_traffic: float
    interference: float
    scale_up: float
    scale_out: float
    popularity_cv: float
    kernel_us: float
    compiled_launch: float
    tile_ns: float
    collective_us: float
    step_us: float
    sequence_us: float


@dataclass(frozen=True, slots=True)
class Parameter:
    """One entry of `ecosystem/data/efficiencies.toml`."""

    name: str
    value: float
    prior: float
    log_sd: float
    lower: float
    upper: float
    fitted: bool
    unit: str
    meaning: str


@lru_cache(maxsize=1)
def parameters() -> tuple[Parameter, ...]:
    """All entries of the shipped file, in the order of `Efficiencies`."""
    raw = tomllib.loads((DATA / "efficiencies.toml").read_text(encoding="utf-8"))
    return tuple(Parameter(name=f.name, **raw[f.name]) for f in fields(Efficiencies))


@lru_cache(maxsize=1)
def shipped() -> Efficiencies:
    """The shipped values."""
    return Efficiencies(**{p.name: p.value for p in parameters()})


@lru_cache(maxsize=1)
def textbook() -> Efficiencies:
    """The priors, before any fit."""
    return Efficiencies(**{p.name: p.prior for p in parameters()})
