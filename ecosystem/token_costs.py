"""What a million tokens of each class costs each lab, in H100-equivalent hours: the kernel, once a month, for all."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.bounds import at_least
from agents.lab import SIZES
from agents.world import LargeOrSmall
from ecosystem.inference.cards import load_accelerators
from ecosystem.inference.curves import ServingCurves, performance_index
from ecosystem.spec import Spec

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

Hours = tuple[float, float, float]
"""H100-equivalent hours a Mtok of input, cached input and output."""
NEVER: Hours = (math.inf, math.inf, math.inf)
"""Hours of what nobody can serve."""

SERVING_WEIGHT = 0.3
"""Weight of serving speed in H100-equivalents: about the share of hours that serves tokens (opening balance)."""

REFERENCE_LOAD = 1.0e5
"""Mtok of output an hour at which no deployment is under-used: load economies switched off."""


class TokenCosts:
    """Interpolates the kernel's serving curves at each lab's own load and each cloud's own fleet."""

    def __init__(self, spec: Spec) -> None:
        self.labs = sorted(spec.lab)
        self.rows: list[tuple[str, LargeOrSmall]] = [(lab, size) for lab in self.labs for size in SIZES]
        self.row = {key: i for i, key in enumerate(self.rows)}
        self.clouds = sorted(spec.cloud)
        self.accelerators = _accelerators(spec)
        cards = load_accelerators()
        self.performance = h100_equivalents(self.accelerators)
        self.kilowatts = {a: cards[a].datacentre_kw for a in self.accelerators}
        self._performances = np.array([[self.performance[a]] for a in self.accelerators])
        self._opening_quality = np.array([spec.lab[lab].models[size].quality for lab, size in self.rows])
        self._curves = self._build(spec)
        self._mix = np.zeros((len(self.clouds), len(self.accelerators)))
        self._tokens_an_hour = np.zeros((len(self.rows), len(self.accelerators), 3))
        self._on_clouds: NDArray[np.float64] | None = None
        """(clouds, rows, 3) Mtok an hour, once somebody asks for them."""
        self._asked: dict[tuple[str, str, LargeOrSmall], Hours] = {}
        """Hours a Mtok on a cloud that somebody asked for this month."""
        self._place = {accelerator: i for i, accelerator in enumerate(self.accelerators)}
        self._column = {cloud: i for i, cloud in enumerate(self.clouds)}
        self._cells = np.empty((2, 0), dtype=np.intp)
        self.hours: dict[tuple[str, LargeOrSmall], Hours] = {}
        self.efficiency: dict[str, float] = {}

    def _build(self, spec: Spec) -> ServingCurves:
        market = spec.market
        return ServingCurves.build(
            [spec.lab[lab].models[size].card for lab, size in self.rows],
            self.accelerators,
            input_len=market.prompt_tokens,
            output_len=market.answer_tokens,
            tpot_limit_ms=market.latency_ms,
            tier=[spec.lab[lab].deployment for lab, _ in self.rows],
        )

    def update(self, chain: "ValueChain") -> None:
        """Solve this month's hours a Mtok for every lab and size, on every cloud and on the lab's own mix of clouds.

        A lab that has lost all its clouds reckons with the hours of its last month with one.
        """
        models = [chain.labs[lab].models[size] for lab, size in self.rows]
        load = np.maximum([model.volume_output for model in models], 1e-3) / 730.0
        if not chain.on("load_economies"):
            load = np.full_like(load, REFERENCE_LOAD)
        hours = self._curves.hours_per_mtok(load)
        if not chain.on("cache_hits"):
            hours[:, :, 1] = hours[:, :, 0]
        hours *= self._performances
        self._tokens_an_hour = np.divide(1.0, hours, out=hours)
        if chain.on("quality_cost"):
            gained = np.array([model.quality for model in models]) - self._opening_quality
            self._tokens_an_hour *= np.exp(-chain.spec.research.quality_cost * gained)[:, np.newaxis, np.newaxis]
        self._mix = self._mixes(chain)
        self._on_clouds = None
        self._asked = {}
        mix = np.repeat(self._shares(chain) @ self._mix, len(SIZES), axis=0)
        tokens = np.einsum("mk,mkj->mj", mix, self._tokens_an_hour).tolist()
        progress = (
            math.exp(chain.spec.research.software_progress * max(chain.month, 0) / 12.0)
            if chain.on("software_progress")
            else 1.0
        )
        self.efficiency = {lab: chain.labs[lab].efficiency * progress for lab in self.labs}
        self.hours = {
            (lab, size): self._hours(tokens[i], self.efficiency[lab], self.hours.get((lab, size), NEVER))
            for i, (lab, size) in enumerate(self.rows)
        }

    @staticmethod
    def _hours(tokens: list[float], efficiency: float, without: Hours = NEVER) -> Hours:
        prompt, cached, answer = tokens
        if prompt > 0.0 and cached > 0.0 and answer > 0.0:
            return 1.0 / (prompt * efficiency), 1.0 / (cached * efficiency), 1.0 / (answer * efficiency)
        return without

    def _mixes(self, chain: "ValueChain") -> NDArray[np.float64]:
        """Return (clouds, accelerators): the share of each accelerator in a cloud's H100-equivalents."""
        clouds = [chain.clouds[cloud] for cloud in self.clouds]
        sizes = np.array([size for cloud in clouds for size in cloud.fleet.values()])
        if len(sizes) != len(self._cells[0]):  # fleets gain kinds of accelerators and never lose one
            held = [(i, self._place[a]) for i, cloud in enumerate(clouds) for a in cloud.fleet]
            self._cells = np.array(held, dtype=np.intp).T
        mixes = np.zeros((len(self.clouds), len(self.accelerators)))
        mixes[self._cells[0], self._cells[1]] = sizes
        return np.asarray(mixes / np.array([at_least(cloud.size, 1e-9) for cloud in clouds])[:, np.newaxis])

    def _shares(self, chain: "ValueChain") -> NDArray[np.float64]:
        """Return (labs, clouds): the share of each cloud in a lab's hours."""
        rented = [chain.labs[lab].cloud_shares for lab in self.labs]
        rows = [i for i, of_clouds in enumerate(rented) for _ in of_clouds]
        columns = [self._column[cloud] for of_clouds in rented for cloud in of_clouds]
        shares = np.zeros((len(self.labs), len(self.clouds)))
        shares[rows, columns] = [share for of_clouds in rented for share in of_clouds.values()]
        return shares

    def on_cloud(self, cloud: str, lab: str, size: LargeOrSmall) -> Hours:
        """Return hours a Mtok for a lab's model on one cloud's fleet, at the owner's efficiency."""
        known = self._asked.get((cloud, lab, size))
        if known is None:
            if self._on_clouds is None:
                self._on_clouds = np.tensordot(self._mix, self._tokens_an_hour, axes=(1, 1))
            tokens = self._on_clouds[self._column[cloud], self.row[lab, size]].tolist()
            known = self._asked[cloud, lab, size] = self._hours(tokens, self.efficiency[lab])
        return known


def h100_equivalents(accelerators: list[str]) -> dict[str, float]:
    """Return H100-equivalents of one accelerator: serving speed (kernel) and bf16 peak, weighted by use.

    A fleet serves and trains: serving speed alone would let a chip that decodes well look like a training chip.
    """
    cards = load_accelerators()
    serving = performance_index(accelerators).tolist()
    base = cards["H100_SXM"].peak_bf16
    return {
        a: max(speed, 0.1) ** SERVING_WEIGHT * (cards[a].peak_bf16 / base) ** (1.0 - SERVING_WEIGHT)
        for a, speed in zip(accelerators, serving, strict=True)
    }


def _accelerators(spec: Spec) -> list[str]:
    """Return all accelerators that the scenario names, sorted."""
    names = {
        p.accelerator
        for chips in spec.chipmaker.values()
        for line in chips.lines.values()
        for p in line.products.values()
    }
    names.update(a for cloud in spec.cloud.values() for a in cloud.fleet)
    return sorted(names)


def dot(mtok: list[float] | tuple[float, float, float], hours: Hours) -> float:
    """Return the hours that (input, cached, output) Mtok take."""
    return mtok[0] * hours[0] + mtok[1] * hours[1] + mtok[2] * hours[2]
