"""Cards of accelerators and models: what is published about them, read from data files, with sources."""

import re
import tomllib
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any

DATA = resources.files("ecosystem") / "data"
GIGA = 1e9
TERA = 1e12


class UnknownCardError(LookupError):
    """A model or accelerator that no card describes."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One accelerator type: dense peaks in FLOP/s (0: not supported), byte/s one way, bytes."""

    name: str
    vendor: str
    year: int
    peak_bf16: float
    peak_fp8: float
    peak_fp4: float
    peak_int8: float
    memory: float
    bandwidth: float
    scale_up: float
    scale_up_domain: int
    scale_out: float
    tile_rows: int
    """Rows that one matrix instruction takes: fewer cost as much arithmetic."""
    watts: float
    datacentre_kw: float
    price_usd: float | None
    cost_per_hour: float | None
    rent_3y: float | None
    rents: dict[str, float] = field(hash=False)
    sources: dict[str, str] = field(hash=False)
    """Where a figure comes from, by key of the data file; keys without an entry are the vendor's data sheet.
    """

    @property
    def supports(self) -> tuple[str, ...]:
        """Number formats with native arithmetic, cheapest last."""
        peaks = {"bf16": self.peak_bf16, "int8": self.peak_int8, "fp8": self.peak_fp8, "fp4": self.peak_fp4}
        native = {name: peak for name, peak in peaks.items() if peak > 0}
        return tuple(name for name, peak in native.items() if name == "bf16" or peak > self.peak_bf16)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One language model: the fields of its configuration that inference cost depends on."""

    name: str
    lab: str
    released: date
    weights: str
    open_weights: bool
    source: str
    note: str
    published_total_b: float
    published_active_b: float
    aliases: tuple[str, ...]
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    tied_embeddings: bool
    expert_ffn: int
    experts: int
    experts_per_token: int
    shared_expert_ffn: int
    first_dense_layers: int
    latent_rank: int
    query_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int
    index_topk: int
    index_heads: int
    index_dim: int
    window: int
    full_attention_interval: int
    linear_value_heads: int
    linear_key_heads: int
    linear_key_dim: int
    linear_value_dim: int

    @property
    def moe_layers(self) -> int:
        """Layers with routed experts."""
        return self.layers - self.first_dense_layers if self.experts else 0

    @property
    def dense_layers(self) -> int:
        """Layers with one dense feed-forward network."""
        return self.layers - self.moe_layers

    @property
    def linear_layers(self) -> int:
        """Layers with linear attention (a fixed state instead of a growing cache)."""
        return self.layers - self.layers // self.full_attention_interval if self.full_attention_interval else 0

    @property
    def windowed_layers(self) -> int:
        """Layers with a sliding window: every other one where the card names a window."""
        return self.layers // 2 if self.window else 0

    @property
    def full_layers(self) -> int:
        """Layers whose attention spans the whole context (or its top-k)."""
        return self.layers - self.linear_layers - self.windowed_layers

    @property
    def uses_latent(self) -> bool:
        """Whether attention is multi-head latent attention (MLA)."""
        return self.latent_rank > 0

    @property
    def attention_parameters(self) -> tuple[float, float]:
        """Parameters of one softmax-attention layer: (split by tensor parallelism, copied to each rank)."""
        if self.uses_latent:
            query = self.query_rank * self.heads * (self.nope_dim + self.rope_dim)
            up = self.latent_rank * self.heads * (self.nope_dim + self.value_dim)
            out = self.heads * self.value_dim * self.hidden
            index = self.query_rank * self.index_heads * self.index_dim + self.hidden * (
                self.index_dim + self.index_heads
            )
            down = self.hidden * (self.query_rank + self.latent_rank + self.rope_dim)
            return float(query + up + out), float(down + (index if self.index_topk else 0))
        gate = 2 if self.full_attention_interval else 1  # hybrid models gate the attention output
        query_out = self.hidden * self.heads * self.head_dim * (1 + gate)
        return float(query_out), 0.0

    @property
    def key_value_parameters(self) -> float:
        """Key and value projections of one grouped-query layer (copied once ranks outnumber heads)."""
        return 0.0 if self.uses_latent else float(2 * self.hidden * self.kv_heads * self.head_dim)

    @property
    def linear_parameters(self) -> float:
        """Parameters of one linear-attention layer (gated delta net)."""
        key = self.linear_key_heads * self.linear_key_dim
        value = self.linear_value_heads * self.linear_value_dim
        return float(self.hidden * (2 * key + 3 * value + 2 * self.linear_value_heads))

    @property
    def linear_state(self) -> float:
        """Numbers in the state of one linear-attention layer, for one sequence."""
        return float(self.linear_value_heads * self.linear_key_dim * self.linear_value_dim)

    @property
    def expert_parameters(self) -> float:
        """Parameters of one routed expert."""
        return float(3 * self.hidden * self.expert_ffn)

    @property
    def shared_parameters(self) -> float:
        """Parameters of the shared expert and the router, of one expert layer."""
        return float(3 * self.hidden * self.shared_expert_ffn + self.hidden * self.experts)

    @property
    def dense_ffn_parameters(self) -> float:
        """Parameters of one dense feed-forward network."""
        return float(3 * self.hidden * self.ffn)

    @property
    def embedding_parameters(self) -> float:
        """Parameters of one table of embeddings (the output head has as many)."""
        return float(self.vocabulary * self.hidden)

    def _all_attention(self) -> float:
        softmax = sum(self.attention_parameters) + self.key_value_parameters
        return (self.layers - self.linear_layers) * softmax + self.linear_layers * self.linear_parameters

    @property
    def total_parameters(self) -> float:
        """All parameters, computed from the architecture."""
        experts = self.moe_layers * (self.experts * self.expert_parameters + self.shared_parameters)
        tables = self.embedding_parameters * (1 if self.tied_embeddings else 2)
        return self._all_attention() + self.dense_layers * self.dense_ffn_parameters + experts + tables

    @property
    def active_parameters(self) -> float:
        """Parameters that one token uses; with experts, one table of embeddings counts, as in reports."""
        if not self.experts:
            return self.total_parameters
        experts = self.moe_layers * (self.experts_per_token * self.expert_parameters + self.shared_parameters)
        return (
            self._all_attention() + self.dense_layers * self.dense_ffn_parameters + experts + self.embedding_parameters
        )

    @property
    def cache_width(self) -> float:
        """Numbers that one token leaves in the cache of one layer (without the sparse index)."""
        if self.uses_latent:
            return float(self.latent_rank + self.rope_dim)
        return float(2 * self.kv_heads * self.head_dim)

    def cache_bytes_per_token(self, bytes_per_number: float = 2.0) -> float:
        """Bytes that one more token of context adds to the cache, over all layers that grow with it."""
        return self.full_layers * self.cache_width * bytes_per_number


def _value(entry: object) -> Any:
    """The figure of a data entry, which is either the figure or a list of figure and source."""
    return entry[0] if isinstance(entry, list) else entry


def _accelerator(name: str, raw: dict[str, Any]) -> Accelerator:
    def number(key: str, default: float = 0.0) -> float:
        return float(_value(raw.get(key, default)))

    def optional(key: str) -> float | None:
        return float(_value(raw[key])) if key in raw else None

    sources = {key: str(entry[1]) for key, entry in raw.items() if isinstance(entry, list)}
    rents = raw.get("rent", {})
    sources |= {f"rent {when}": str(entry[1]) for when, entry in rents.items()}
    return Accelerator(
        name=name,
        vendor=raw["vendor"],
        year=raw["year"],
        peak_bf16=number("bf16") * TERA,
        peak_fp8=number("fp8") * TERA,
        peak_fp4=number("fp4") * TERA,
        peak_int8=number("int8") * TERA,
        memory=number("hbm_gb") * GIGA,
        bandwidth=number("hbm_tbs") * TERA,
        scale_up=number("up_gbs") * GIGA,
        scale_up_domain=int(number("up_dom")),
        scale_out=number("out_gbs", 25.0) * GIGA,
        tile_rows=int(raw["tile_rows"]),
        watts=number("tdp"),
        datacentre_kw=number("kw", 1.6e-3 * number("tdp", 500.0)),
        price_usd=optional("price_usd"),
        cost_per_hour=optional("tco_n"),
        rent_3y=optional("rent_3y"),
        rents={when: float(entry[0]) for when, entry in rents.items()},
        sources=sources,
    )


def _released(text: str) -> date:
    """The release date; a bare year or month stands for its first day."""
    year, month, day = (text + "-01-01")[:10].split("-")
    return date(int(year), int(month), int(day))


def _model(name: str, raw: dict[str, Any]) -> ModelCard:
    def count(key: str, default: int = 0) -> int:
        return int(raw.get(key, default))

    expert_ffn = count("moe_intermediate_size")
    return ModelCard(
        name=name,
        lab=raw["lab"],
        released=_released(raw["released"]),
        weights=raw["weights"],
        open_weights=raw["open_weights"],
        source=raw.get("source", "published config.json"),
        note=raw.get("note", ""),
        published_total_b=float(raw["published_total_b"]),
        published_active_b=float(raw["published_active_b"]),
        aliases=tuple(raw["names_in_throughput"]) + tuple(raw.get("also_called", ())),
        layers=count("num_hidden_layers"),
        hidden=count("hidden_size"),
        heads=count("num_attention_heads"),
        kv_heads=count("num_key_value_heads"),
        head_dim=count("head_dim", count("hidden_size") // count("num_attention_heads")),
        ffn=count("intermediate_size"),
        vocabulary=count("vocab_size"),
        tied_embeddings=raw.get("tie_word_embeddings", False),
        expert_ffn=expert_ffn,
        experts=count("n_routed_experts"),
        experts_per_token=count("num_experts_per_tok"),
        shared_expert_ffn=count("shared_expert_intermediate_size", count("n_shared_experts") * expert_ffn),
        first_dense_layers=count("first_k_dense_replace"),
        latent_rank=count("kv_lora_rank"),
        query_rank=count("q_lora_rank"),
        nope_dim=count("qk_nope_head_dim"),
        rope_dim=count("qk_rope_head_dim"),
        value_dim=count("v_head_dim"),
        index_topk=count("index_topk"),
        index_heads=count("index_n_heads"),
        index_dim=count("index_head_dim"),
        window=count("sliding_window"),
        full_attention_interval=count("full_attention_interval"),
        linear_value_heads=count("linear_num_value_heads"),
        linear_key_heads=count("linear_num_key_heads"),
        linear_key_dim=count("linear_key_head_dim"),
        linear_value_dim=count("linear_value_head_dim"),
    )


def _read_toml(file: str) -> dict[str, Any]:
    return tomllib.loads((DATA / file).read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def load_accelerators() -> dict[str, Accelerator]:
    """All accelerator cards by name (`ecosystem/data/accelerators.toml`)."""
    return {name: _accelerator(name, raw) for name, raw in _read_toml("accelerators.toml")["hw"].items()}


@lru_cache(maxsize=1)
def load_models() -> dict[str, ModelCard]:
    """All model cards by name (`ecosystem/data/models.toml`), stand-ins for closed models included."""
    return {name: _model(name, raw) for name, raw in _read_toml("models.toml")["model"].items()}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_SUFFIX = re.compile(
    r"[-_.](fp8|fp4|nvfp4|mxfp4|bf16|int4|int8|awq|w4a16|w8a8|instruct|thinking|chat|base|it|hf|dynamic|block"
    r"|exp|terminus|v\d+|\d{4})$",
    re.IGNORECASE,
)


@lru_cache(maxsize=1)
def _accelerator_names() -> dict[str, str]:
    names: dict[str, str] = {}
    for name in load_accelerators():
        for spelling in (name, re.sub(r"_(SXM|NVL72|Ironwood)$", "", name)):
            names[_key(spelling)] = name
        names[_key(name.split("_", 1)[-1])] = name if name.startswith("Ascend") else names[_key(name)]
    return names


@lru_cache(maxsize=1)
def _model_names() -> dict[str, str]:
    names: dict[str, str] = {}
    for name, card in load_models().items():
        for spelling in (name, *card.aliases):
            names[_key(spelling.rsplit("/", 1)[-1])] = name
    return names


def find_accelerator(name: str) -> Accelerator:
    """The card of an accelerator in any common spelling (`h100_sxm`, `GB200`, `mi300x`).

    Raises `UnknownCardError` for a name that no card fits.
    """
    key = _key(name)
    for candidate in (key, re.sub(r"(sxm\d?|nvl\d*|pcie|oam|80gb|141gb)$", "", key)):
        if candidate in _accelerator_names():
            return load_accelerators()[_accelerator_names()[candidate]]
    raise UnknownCardError(f"no card for accelerator {name!r}; known: {', '.join(sorted(load_accelerators()))}")


def find_model(name: str) -> ModelCard:
    """The card of a model in any common spelling, with or without organisation and number-format suffix.

    Raises `UnknownCardError` for a name that no card fits.
    """
    base = name.strip().rstrip("/").rsplit("/", 1)[-1]
    while True:
        if _key(base) in _model_names():
            return load_models()[_model_names()[_key(base)]]
        shorter = _SUFFIX.sub("", base)
        if shorter == base:
            raise UnknownCardError(f"no card for model {name!r}; known: {', '.join(sorted(load_models()))}")
        base = shorter
