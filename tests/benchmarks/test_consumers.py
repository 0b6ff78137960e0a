"""A month of consumers: strata against one agent per consumer, in plain Mesa and in numpy arrays.

Run with `python -m pytest tests/benchmarks/test_consumers.py -m slow --benchmark-enable -n 0 -s`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import mesa
import numpy as np
import pytest

from agents.choice import BLOCKED, ConsumerOffers
from agents.consumers import Consumers, ConsumersSpec
from agents.world import World
from tests.agents.reference_consumers import ReferenceConsumers

pytestmark = pytest.mark.slow
MEDIANS: dict[str, float] = {}


class Stage(mesa.Model):
    """The least of a world that consumers see."""

    sampling = True

    def stream(self, name: str) -> np.random.Generator:
        return np.random.default_rng([1, *name.encode()])


class Individuals:
    """One row of arrays per consumer: the public state from the counts, one uniform for each decision."""

    def __init__(self, consumers: Consumers) -> None:
        self.consumers = consumers
        self.rng = np.random.default_rng(1)
        rows, places = np.nonzero(consumers.people)
        counts = consumers.people[rows, places].astype(int)
        self.row, self.place = np.repeat(rows, counts), np.repeat(places, counts)

    def choose(self, offers: ConsumerOffers) -> None:
        """Review, leave and redraw, person by person."""
        consumers, law = self.consumers, self.consumers.law
        options = len(offers.app)
        shares, _ = law.shares(offers, consumers.public_state(offers))
        leaving = law.leaving(offers, shares, offers.fee)
        left = np.flatnonzero(self.rng.random(len(self.row)) < leaving[self.row, self.place])
        ladder = np.cumsum(shares, axis=1)[self.row[left]]
        self.place[left] = np.minimum((self.rng.random(len(left))[:, None] > ladder).sum(axis=1), options)
        counts = np.bincount(self.row * (options + 1) + self.place, minlength=len(law.people) * (options + 1))
        consumers.people[:, : options + 1] = counts.reshape(len(law.people), options + 1)


def market(apps: int, tiers: int) -> ConsumerOffers:
    """Return apps with a free tier that shows ads, a paid one and, with three tiers, one at $200."""
    options = apps * tiers
    tier = np.tile(np.arange(tiers), apps)
    return ConsumerOffers(
        app=np.repeat(np.arange(apps), tiers),
        fee=np.array([0.0, 20.0, 200.0])[tier],
        quality=np.array([0.6, 1.0, 1.05])[tier],
        quota=np.array([250.0, 2000.0, np.inf])[tier],
        overage=np.full(options, BLOCKED),
        overage_price=np.zeros(options),
        ad_load=0.5 * (tier == 0),
        disclosed=np.zeros(options),
        eligible=np.full(options, 0.2),
        service=np.ones(options),
        available=np.ones(options),
        brand=np.zeros(apps),
        paid_extras=np.zeros(apps),
        acquired=np.zeros(apps),
        scandal=np.zeros(apps),
        frontier=1.0,
    )


def opened(people: float, apps: int, tiers: int, **changes: Any) -> tuple[Consumers, ConsumerOffers]:
    spec = ConsumersSpec(population=people, **changes)
    consumers = Consumers(cast(World, Stage(rng=1)), "consumers.west", spec)
    offers = market(apps, tiers)
    users = np.asarray(np.arange(1.0, apps + 1.0) ** -1.3)
    return consumers, replace(offers, brand=consumers.open(offers, 0.5 * people * users / users.sum()))


@pytest.fixture(scope="module", autouse=True)
def ratios() -> Iterator[None]:
    yield
    base = MEDIANS.get("strata, 100 thousand people")
    for name, seconds in MEDIANS.items():
        print(f"\n{name}: {1e3 * seconds:.2f} ms" + (f", {seconds / base:.1f} x strata" if base else ""), end="")


def measure(benchmark: Any, name: str, act: Callable[[], None], rounds: int) -> None:
    benchmark.pedantic(act, rounds=rounds, iterations=1, warmup_rounds=1)
    if benchmark.stats:
        MEDIANS[name] = benchmark.stats.stats.median


def test_strata(benchmark: Any) -> None:
    consumers, offers = opened(1e5, 10, 2)
    measure(benchmark, "strata, 100 thousand people", lambda: consumers.choose(offers), 100)


def test_numpy_individuals(benchmark: Any) -> None:
    consumers, offers = opened(1e5, 10, 2)
    individuals = Individuals(consumers)
    measure(benchmark, "numpy, 100 thousand people", lambda: individuals.choose(offers), 30)


def test_plain_mesa(benchmark: Any) -> None:
    consumers, offers = opened(1e5, 10, 2)
    reference = ReferenceConsumers(consumers, offers, 1)
    measure(benchmark, "plain Mesa, 100 thousand people", lambda: reference.choose(offers), 3)


@pytest.mark.parametrize("people", [1e6, 1e9])
def test_strata_at_scale(benchmark: Any, people: float) -> None:
    consumers, offers = opened(people, 17, 3)
    name = f"strata of default size x 51 options, {people:.0e} people"
    measure(benchmark, name, lambda: consumers.choose(offers), 100)


def test_two_hundred_strata(benchmark: Any) -> None:
    consumers, offers = opened(1e9, 17, 3, wtp_strata=16, usage_strata=5)
    measure(benchmark, f"{len(consumers.law.people)} rows x 51 options", lambda: consumers.choose(offers), 100)
