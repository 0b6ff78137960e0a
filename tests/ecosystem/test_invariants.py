"""What holds in every month of every run: physical balances, cash, finite numbers, whatever the parameters."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from agents.lab import SIZES
from ecosystem.model import ValueChain
from ecosystem.provenance import ParameterRow
from ecosystem.spec import Spec, SpecError
from ecosystem.token_costs import dot

SLACK = 1e-9
DRAWS = 30
MONTHS = 18


class Stocks:
    """Chips in stock and capacity before a month, to be balanced with what was made and shipped."""

    def __init__(self, chain: ValueChain) -> None:
        self.before = {m: {r: line.inventory for r, line in a.lines.items()} for m, a in chain.chipmakers.items()}
        self.capacity = {m: a.capacity for m, a in chain.chipmakers.items()}


def check_month(chain: ValueChain, stocks: Stocks) -> None:
    """Check all balances of the month that has just ended."""
    _check_chips(chain, stocks)
    _check_hours(chain)
    _check_tokens(chain)
    assert np.isfinite(chain.recorder.panel[chain.month - 1]).all()
    for account in chain.ledger.accounts:
        assert chain.ledger.cash(account.id) >= 0.0, account.id


def _check_chips(chain: ValueChain, stocks: Stocks) -> None:
    """Chips made are chips shipped plus what went on stock (write-downs change values, not units)."""
    for maker_id, maker in chain.chipmakers.items():
        made = math.fsum(
            (line.inventory + line.shipped - stocks.before[maker_id][region]) / line.perf
            for region, line in maker.lines.items()
        )
        assert made == pytest.approx(maker.produced, rel=1e-9, abs=1e-6), maker_id
        assert maker.produced <= stocks.capacity[maker_id] * (1.0 + SLACK), maker_id
        assert min(line.inventory for line in maker.lines.values()) >= -1e-6


def _check_hours(chain: ValueChain) -> None:
    """Hours sold are hours owned or rented, cloud by cloud and in total."""
    for cloud_id, cloud in chain.clouds.items():
        sold = math.fsum(chain.hours.granted[cloud_id].values())
        sold += math.fsum(c.hours for c in cloud.contracts.values()) * cloud.delivered
        assert sold <= cloud.capacity * (1.0 + SLACK) + 1e-6 or not cloud.alive, cloud_id
        assert sum(cloud.fleet.values()) == pytest.approx(cloud.size, rel=1e-9, abs=1e-3)


def _check_tokens(chain: ValueChain) -> None:
    """The tokens that labs invoice take no more hours than they rented."""
    for lab_id, lab in chain.labs.items():
        needed = 0.0
        for size in SIZES:
            load, hours = chain.serving.loads[lab_id, size], chain.costs.hours[lab_id, size]
            paid = [a + b for a, b in zip(load.paid, load.api, strict=True)]
            needed += lab.served * dot(paid, hours) + lab.free_served * dot(load.free, hours)
        assert needed * chain.reserve(lab_id) <= chain.hours.hours_of(lab_id)[0] * (1.0 + SLACK) or not lab.alive, (
            lab_id
        )


def run_checked(spec: Spec) -> ValueChain:
    """Run a scenario and check every month."""
    chain = ValueChain(spec)
    while chain.month < spec.months:
        stocks = Stocks(chain)
        chain.step()
        check_month(chain, stocks)
    chain.release()
    return chain


@pytest.mark.parametrize("scenario", ["toy", "2025"])
def test_every_month_balances(scenario: str) -> None:
    run_checked(Spec.load(scenario).with_overrides({"months": 36}))


ROUGH: dict[str, dict[str, Any]] = {
    "freeze": {"kind": "demand_shift", "month": 2, "months": 12, "region": "west", "factor": 0.05},
    "boom": {"kind": "demand_shift", "month": 2, "months": 12, "region": "west", "factor": 8.0},
    "fire": {"kind": "capacity_loss", "month": 2, "months": 6, "firm": "hyper", "factor": 0.0},
    "blackout": {"kind": "capacity_loss", "month": 2, "months": 6, "firm": "alpha", "factor": 0.0},
    "embargo": {"kind": "export_control", "month": 2, "home": "west", "region": "west", "leakage": 0.0},
    "drought": {"kind": "funding_drought", "month": 0, "months": 24, "factor": 0.0},
    "shock": {"kind": "efficiency_shock", "month": 2, "lab": "commons", "saving": 100.0, "diffusion": 0.3},
    "hike": {"kind": "api_price", "month": 2, "firm": "frontier", "factor": 100.0},
    "scandal": {"kind": "ad_scandal", "month": 2, "app": "search", "trust_lost": 1.0},
    "pulse": {"kind": "acquisition_pulse", "month": 2, "app": "search", "spending": 5e9},
}


@pytest.mark.parametrize("event", ROUGH)
def test_every_month_balances_in_rough_weather(event: str) -> None:
    run_checked(Spec.load("toy").with_overrides({"months": 20, "events.rough": ROUGH[event]}))


def test_every_month_balances_when_firms_are_poor() -> None:
    poor: dict[str, Any] = {"months": 24, "investors.west.fund": 0.0, "investors.west.inflow": 0.0}
    poor |= {f"lab.{lab}.cash": 1e6 for lab in ("frontier", "office", "commons")}
    poor |= {"cloud.neo.cash": 0.0, "cloud.neo.debt": 3e10, "app.search.cash": 0.0, "app.studio.cash": 0.0}
    chain = run_checked(Spec.load("toy").with_overrides(poor))
    assert chain.failures
    assert chain.ledger.write_offs


# --- random parameters ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _uncertain() -> list[ParameterRow]:
    return [row for row in Spec.load("toy").parameters() if row.span is not None and not isinstance(row.value, bool)]


def _drawn(draw: int) -> Spec:
    """Return `toy` with every parameter that has a plausible range drawn from it (a Latin hypercube)."""
    rng = np.random.default_rng(2025)
    overrides: dict[str, Any] = {"months": MONTHS}
    for row in _uncertain():
        assert row.span is not None
        place = (rng.permutation(DRAWS)[draw] + rng.random(DRAWS)[draw]) / DRAWS
        value = row.span[0] + place * (row.span[1] - row.span[0])
        overrides[row.path] = round(value) if isinstance(row.value, int) else value
    inner, outer = "consumers.west.lambda_tier", "consumers.west.lambda_app"
    overrides[inner], overrides[outer] = sorted((overrides[inner], overrides[outer]))
    return Spec.load("toy").with_overrides(overrides)


@pytest.mark.parametrize("draw", range(DRAWS))
def test_no_draw_of_plausible_parameters_breaks_a_run(draw: int) -> None:
    spec = _drawn(draw)
    try:
        chain = run_checked(spec)
    except SpecError as refusal:
        pytest.skip(f"refused at the opening: {refusal}")
    for name, values in chain.recorder.series.items():
        assert np.isfinite(values).all() or name == "fixed_quality_price", name


def test_most_draws_are_not_refused() -> None:
    refused = 0
    for draw in range(0, DRAWS, 3):
        try:
            ValueChain(_drawn(draw)).release()
        except SpecError:
            refused += 1
    assert refused <= DRAWS // 9
