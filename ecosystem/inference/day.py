"""A day of serving: load, nodes provisioned and lent, theoretical against realised revenue."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ecosystem.inference.batching import Floats
from ecosystem.inference.cards import DATA

HOURS = 24.0
MEGA = 1e6


@dataclass(frozen=True, slots=True)
class PublishedDay:
    """What DeepSeek published about its day (`ecosystem/data/deepseek_day.toml`)."""

    rent: float
    accelerators_per_node: float
    mean_nodes: float
    peak_nodes: float
    cost: float
    revenue: float
    tokens: Floats
    """Tokens by class: fresh input, cached input, output."""
    mean_context: float
    input_speed: float
    """Input tokens (cache hits included) per second and prefill node."""
    output_speed: float
    user_speed: tuple[float, float]
    prefill_accelerators: int
    decode_accelerators: int
    accelerator: str
    model: str
    chart_hours: Floats
    chart_nodes: Floats
    hourly_income: Floats
    prices: Mapping[str, Floats]
    off_peak_window: tuple[float, float]


@lru_cache(maxsize=1)
def published_day() -> PublishedDay:
    """The published day."""
    raw = tomllib.loads((DATA / "deepseek_day.toml").read_text(encoding="utf-8"))
    facts, steps, prices = raw["published"], np.array(raw["nodes"]["steps"], dtype=float), raw["prices"]
    cached = facts["cached_input_tokens"]
    return PublishedDay(
        rent=facts["rent_usd_per_accelerator_hour"],
        accelerators_per_node=float(facts["accelerators_per_node"]),
        mean_nodes=facts["mean_nodes"],
        peak_nodes=float(facts["peak_nodes"]),
        cost=float(facts["cost_usd"]),
        revenue=float(facts["revenue_usd"]),
        tokens=np.array([facts["input_tokens"] - cached, cached, facts["output_tokens"]]),
        mean_context=float(facts["mean_context"]),
        input_speed=float(facts["input_tokens_per_second_per_node"]),
        output_speed=float(facts["output_tokens_per_second_per_node"]),
        user_speed=(facts["user_tokens_per_second"][0], facts["user_tokens_per_second"][1]),
        prefill_accelerators=facts["prefill_accelerators"],
        decode_accelerators=facts["decode_accelerators"],
        accelerator=facts["accelerator"],
        model=facts["model"],
        chart_hours=steps[:, 0],
        chart_nodes=steps[:, 1],
        hourly_income=np.array(raw["income"]["usd"], dtype=float),
        prices={name: np.array(prices[name]) for name in ("r1", "v3", "off_peak")},
        off_peak_window=(prices["off_peak_window"][0], prices["off_peak_window"][1]),
    )


def mean_of_steps(starts: Floats, levels: Floats) -> Floats:
    """Mean over a day of a step function: `levels` (..., n) hold from `starts` (n,) hours on."""
    lengths = np.diff(starts, append=HOURS)
    return np.asarray((levels * lengths).sum(axis=-1) / HOURS)


def nodes_needed(demand: Floats, capacity: float | Floats, *, utilisation: float | Floats = 1.0) -> Floats:
    """Nodes that serve `demand` tokens a second, each with `capacity` and run at `utilisation`."""
    return np.asarray(demand / (capacity * utilisation))


def paid_nodes(needed: Floats, *, lent: bool) -> Floats:
    """Mean nodes paid for over a day of hourly needs (..., hours).

    Capacity is provisioned for the peak. If idle nodes are lent (to training, say) only those in use are
    charged.
    """
    return np.asarray(needed.mean(axis=-1) if lent else needed.max(axis=-1))


def load_factor(load: Floats) -> Floats:
    """Mean load over peak load, along the last axis."""
    return np.asarray(load.mean(axis=-1) / load.max(axis=-1))


def window_share(hourly: Floats, start: float, end: float) -> Floats:
    """Share of a day's volume (..., 24 hours) that falls between two hours of the day."""
    edges = np.arange(hourly.shape[-1])
    covered = np.clip(np.minimum(edges + 1.0, end) - np.maximum(edges, start), 0.0, 1.0)
    return np.asarray((hourly * covered).sum(axis=-1) / hourly.sum(axis=-1))


def rental_cost(nodes: float | Floats, accelerators_per_node: float, rent: float | Floats) -> Floats:
    """Cost of a day of `nodes` at `rent` per accelerator-hour, USD."""
    return np.asarray(nodes * accelerators_per_node * rent * HOURS)


def cost_per_mtok(rent: float | Floats, accelerators: float | Floats, speed: float | Floats) -> Floats:
    """USD per million tokens at `speed` tokens a second on `accelerators` rented by the hour."""
    return np.asarray(rent * accelerators / (3600.0 * speed) * MEGA)


def theoretical_revenue(tokens: Floats, prices: Floats) -> Floats:
    """Revenue if every token paid list price, USD: classes on the last axis, prices per million."""
    return np.asarray((tokens * prices).sum(axis=-1) / MEGA)


def realised_revenue(
    tokens: Floats,
    prices: Floats,
    off_peak_prices: Floats,
    *,
    model_share: Floats,
    paid_share: float | Floats,
    off_peak_share: float | Floats,
) -> Floats:
    """Revenue of a day from paying traffic, USD.

    `prices` and `off_peak_prices` are (models, classes), `model_share` the share of each model in volume
    (..., models);
    `off_peak_share` of the volume falls in the discount window; `paid_share` of all tokens is billed.
    """
    full = theoretical_revenue(tokens, prices)
    discounted = theoretical_revenue(tokens, off_peak_prices)
    by_model = (1.0 - off_peak_share) * full + off_peak_share * discounted
    return np.asarray(paid_share * (model_share * by_model).sum(axis=-1))


def break_even_paid_share(cost: float | Floats, revenue_if_all_paid: float | Floats) -> Floats:
    """Share of traffic that must pay for revenue to cover serving cost (above 1: it never does)."""
    return np.asarray(cost / revenue_if_all_paid)


@dataclass(frozen=True, slots=True)
class DayAccount:
    """The published day as arithmetic: each figure from the ones before it."""

    mean_nodes: float
    cost: float
    revenue: float
    revenue_from_tokens: float
    markup: float
    margin: float
    nodes_from_speeds: tuple[float, float]
    """Prefill and decode nodes that the token totals take at the published speeds."""
    usd_per_mtok_input: float
    usd_per_mtok_output: float
    load_factor: float
    saved_by_lending: float
    off_peak_share: float
    break_even: Mapping[str, float]
    """Break-even paid share: `r1`, `v3` at list price; `*_off_peak` with the discount."""


def account() -> DayAccount:
    """DeepSeek's own calculation, redone from its published figures, and the break-even shares."""
    day = published_day()
    nodes = float(mean_of_steps(day.chart_hours, day.chart_nodes))
    cost = float(rental_cost(nodes, day.accelerators_per_node, day.rent))
    per_node = day.accelerators_per_node
    off_peak = float(window_share(day.hourly_income, *day.off_peak_window))
    full = np.stack([day.prices["r1"], day.prices["v3"]])
    discounted = np.stack([day.prices["off_peak"], day.prices["off_peak"]])

    def needed(share_r1: float, share_off_peak: float) -> float:
        mix = np.array([share_r1, 1.0 - share_r1])
        revenue = realised_revenue(
            day.tokens, full, discounted, model_share=mix, paid_share=1.0, off_peak_share=share_off_peak
        )
        return float(break_even_paid_share(cost, revenue))

    speeds = (day.tokens[:2].sum() / day.input_speed, day.tokens[2] / day.output_speed)
    return DayAccount(
        mean_nodes=nodes,
        cost=cost,
        revenue=day.revenue,
        revenue_from_tokens=float(theoretical_revenue(day.tokens, day.prices["r1"])),
        markup=day.revenue / cost - 1.0,
        margin=1.0 - cost / day.revenue,
        nodes_from_speeds=(float(speeds[0]) / 86400.0, float(speeds[1]) / 86400.0),
        usd_per_mtok_input=float(cost_per_mtok(day.rent, per_node, day.input_speed)),
        usd_per_mtok_output=float(cost_per_mtok(day.rent, per_node, day.output_speed)),
        load_factor=float(load_factor(day.hourly_income)),
        saved_by_lending=1.0 - nodes / day.peak_nodes,
        off_peak_share=off_peak,
        break_even={
            "r1": needed(1.0, 0.0),
            "v3": needed(0.0, 0.0),
            "r1_off_peak": needed(1.0, off_peak),
            "v3_off_peak": needed(0.0, off_peak),
            "half_off_peak": needed(0.5, off_peak),
        },
    )
