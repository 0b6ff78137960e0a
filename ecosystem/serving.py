"""From usage to tokens to hours: what is asked of each lab, what the rented hours can serve, who waits."""

import math
from typing import TYPE_CHECKING

from agents.bounds import at_least, at_most
from agents.lab import SIZES, Lab
from agents.world import LargeOrSmall
from ecosystem.token_costs import dot

if TYPE_CHECKING:
    from agents.app import App
    from ecosystem.model import ValueChain

Mtok = list[float]
Mix = tuple[float, float, float]
"""Input, cached input and output tokens of a token."""


class LabLoad:
    """Tokens asked of one lab's model size in a month, Mtok by class: paid traffic, free traffic, enterprise API."""

    __slots__ = ("api", "free", "paid")

    def __init__(self) -> None:
        self.paid: Mtok = [0.0, 0.0, 0.0]
        self.free: Mtok = [0.0, 0.0, 0.0]
        self.api: Mtok = [0.0, 0.0, 0.0]


class Serving:
    """The serving phase of a month."""

    def __init__(self, chain: "ValueChain") -> None:
        self.chain = chain
        lends = chain.on("peak_provisioning") and chain.on("night_lending")
        self._lent = 1.0 - chain.load_factor if lends else 0.0
        self.loads: dict[tuple[str, LargeOrSmall], LabLoad] = {}
        self.api_sales: dict[tuple[str, str, str, LargeOrSmall], tuple[float, float]] = {}
        """Key of the offer, Mtok and USD, by segment, seller, lab and size."""
        self.needed: dict[str, tuple[float, float]] = {}
        self.self_hosted: dict[str, float] = {}
        self.app_tokens: dict[str, dict[tuple[LargeOrSmall, bool], Mtok]] = {}

    def collect_tokens(self) -> None:
        """Turn the month's queries and enterprise volumes into tokens by lab, size and kind of traffic."""
        chain = self.chain
        self.loads = {key: LabLoad() for key in chain.costs.rows}
        self.self_hosted = {}
        self.app_tokens = {}
        for app_id, app in chain.apps.items():
            if not app.alive:
                continue
            tokens = self._tokens_of(app)
            self.app_tokens[app_id] = tokens
            if app.supply.mode in ("api", "own"):
                for (size, paid), mtok in tokens.items():
                    load = self.loads[app.supply.supplier, size]
                    target = load.paid if paid else load.free
                    target[0] += mtok[0]
                    target[1] += mtok[1]
                    target[2] += mtok[2]
            else:
                self.self_hosted[app_id] = at_least(self._hours_to_host(app, tokens), chain.minimum_hours)
        for region in chain.spec.regions:
            there = {app: hours for app, hours in self.self_hosted.items() if chain.apps[app].region == region}
            chain.hours.ask_region(region, {app: hours for app, hours in there.items() if hours < math.inf})
        self._enterprise_tokens()

    def _tokens_of(self, app: "App") -> dict[tuple[LargeOrSmall, bool], Mtok]:
        """Return Mtok by (size, paid) that an app's queries ask for."""
        chain = self.chain
        fresh, cached, answer = chain.tokens.app_mix(app)
        tokens: dict[tuple[LargeOrSmall, bool], Mtok] = {}
        queries = chain.consumer_queries(app.agent_id)
        for (_, paid, model, each), number in zip(app.tiers, queries, strict=True):
            mtok = tokens.setdefault((model, paid), [0.0, 0.0, 0.0])
            factor = number * each / 1e6
            mtok[0] += factor * fresh
            mtok[1] += factor * cached
            mtok[2] += factor * answer
        return tokens

    def _hours_to_host(self, app: "App", tokens: dict[tuple[LargeOrSmall, bool], Mtok]) -> float:
        """Return the hours that the tokens of a self-hosting app take, infinite where none can serve it."""
        chain = self.chain
        size: LargeOrSmall
        hours = 0.0
        for (size, _), amount in tokens.items():
            used: LargeOrSmall = "small" if app.supply.mode == "own_model" else size
            each = chain.tokens.self_hosted(app.region, app.supply.supplier, used)
            hours += dot(amount, each) if max(each) < math.inf else math.inf
        return hours

    def _enterprise_tokens(self) -> None:
        """Add what enterprises buy from labs and from hosts of open weights."""
        chain, loads = self.chain, self.loads
        self.api_sales = {}
        hosted: dict[tuple[str, str], list[tuple[Mix, float, float]]] = {}
        for segment_id, segment in chain.enterprises.items():
            mix = segment.mix
            fresh, cached, answer = mix
            for (seller, lab, size), volume, value in segment.purchases():
                self.api_sales[segment_id, seller, lab, size] = volume, value
                if seller == lab:
                    api = loads[lab, size].api
                    api[0] += volume * fresh
                    api[1] += volume * cached
                    api[2] += volume * answer
                else:
                    hosted.setdefault((seller, lab), []).append((mix, volume, value))
        self._host_hours(hosted)

    def _host_hours(self, sales: dict[tuple[str, str], list[tuple[Mix, float, float]]]) -> None:
        """Have hosts of open weights take the hours for their sales (mix, Mtok, USD), and a deployment at the least."""
        chain = self.chain
        for cloud_id, cloud in chain.clouds.items():
            for lab_id, host in cloud.hosted.items():
                host.needed = host.hours = host.volume = host.revenue = 0.0
                if not host.active:
                    continue
                hours_of = chain.costs.on_cloud(cloud_id, lab_id, host.spec.model)
                hours = volume = revenue = 0.0
                for mix, mtok, value in sales.get((cloud_id, lab_id), ()):
                    hours += dot(mix, hours_of) * mtok
                    volume += mtok
                    revenue += value
                host.needed = hours * (host.inefficiency * host.spec.provisioning)
                host.hours = at_least(host.needed, chain.minimum_hours)
                host.record(volume, revenue, host.hours * cloud.rent)
                chain.hours.ask(cloud_id, f"hosting.{cloud_id}", host.hours)

    # --- hours ---------------------------------------------------------------------------------------------------

    def ask_hours(self) -> None:
        """Have labs ask for spot hours beyond their contracts, and other demand for its hours."""
        chain = self.chain
        for compute in chain.compute.values():
            for cloud_id, (own, direct) in compute.hours.items():
                chain.hours.ask(cloud_id, f"own_use.{cloud_id}", own)
                chain.hours.ask(cloud_id, f"direct.{cloud_id}", direct)
        contracted = chain.hours.contracted()
        for lab_id, lab in chain.labs.items():
            if not lab.alive:
                continue
            paid, free = self.needed[lab_id] = self._needed(lab)
            self.note_volumes(lab)
            lab.hours_needed = paid + free
            reserve = chain.reserve(lab_id)
            lab.training_planned = self._training_wanted(lab, (paid + free) * reserve)
            short = (paid + free) * reserve + lab.training_planned - math.fsum(contracted.get(lab_id, ()))
            if short > 0.0:
                for cloud_id, share in lab.cloud_shares.items():
                    chain.hours.ask(cloud_id, lab_id, share * short)

    def _training_wanted(self, lab: Lab, serving: float) -> float:
        """Return training hours to be rented: the budget's worth less the hours that nights lend."""
        wanted = lab.training_budget / at_least(lab.rent_paid, 1e-9)
        return at_least(wanted - self.lent(serving), 0.0)

    def lent(self, serving: float) -> float:
        """Return the hours rented for the daily peak that stand idle at night and can train."""
        return serving * self._lent

    def _needed(self, lab: Lab) -> tuple[float, float]:
        """Return mean hours that (paid and API, free) traffic needs."""
        chain = self.chain
        needed = waiting = 0.0
        for size in SIZES:
            load = self.loads[lab.agent_id, size]
            prompt, cached, answer = chain.costs.hours[lab.agent_id, size]
            paid, api, free = load.paid, load.api, load.free
            needed += (paid[0] + api[0]) * prompt + (paid[1] + api[1]) * cached + (paid[2] + api[2]) * answer
            waiting += free[0] * prompt + free[1] * cached + free[2] * answer
        return needed, waiting

    def note_volumes(self, lab: Lab) -> None:
        """Note the month's tokens by size, which the kernel's load and market shares read."""
        tokens = theoretical = 0.0
        price = lab.models["large"].price
        for size in SIZES:
            load = self.loads[lab.agent_id, size]
            model = lab.models[size]
            paid, free, api = load.paid, load.free, load.api
            prompt, cached, answer = paid[0] + free[0] + api[0], paid[1] + free[1] + api[1], paid[2] + free[2] + api[2]
            theoretical += price.input * prompt + price.cached * cached + price.output * answer
            model.volume = api[0] + api[1] + api[2]
            model.volume_output = answer
            tokens += prompt + cached + answer
        lab.tokens = tokens
        lab.theoretical_revenue = theoretical

    def cost_of_own(self, app_id: str) -> float:
        """Return what the tokens of an app of the lab's own group cost this month at the transfer price, USD."""
        chain = self.chain
        app = chain.apps[app_id]
        if app.supply.mode != "own":
            return 0.0
        cost = 0.0
        for (size, _), mtok in self.app_tokens.get(app_id, {}).items():
            volume = math.fsum(mtok)
            if volume > 0.0:
                mix = (mtok[0] / volume, mtok[1] / volume, mtok[2] / volume)
                cost += volume * chain.tokens.transfer_price(app, app.supply.supplier, size, mix)
        return cost

    def serve(self) -> None:
        """Match the hours that labs got with what they need: paid traffic, then training, then free traffic.

        `served` is the share of this month's tokens that got its hours, and is what is invoiced; `service` is what
        users have come to expect.
        """
        chain = self.chain
        rationing = chain.on("rationing")
        for lab_id, lab in chain.labs.items():
            if not lab.alive:
                continue
            got, _ = chain.hours.hours_of(lab_id)
            reserve = chain.reserve(lab_id)
            paid, free = self.needed[lab_id]
            first = at_most(paid * reserve, got)
            rest = got - first
            training = at_most(lab.training_planned, rest)
            left = rest - training
            service = first / (paid * reserve) if paid > 0.0 else 1.0
            free_service = at_most(left / (free * reserve), 1.0) if free > 0.0 else 1.0
            if not rationing:
                service = free_service = 1.0
            lab.served, lab.free_served = service, free_service
            lab.service += 0.5 * (service - lab.service)
            lab.free_service += 0.5 * (free_service - lab.free_service)
            served = paid * service + free * free_service
            lab.hours_used = at_most(served * reserve, got)
            lab.training_hours = training + self.lent(lab.hours_used) + at_least(got - lab.hours_used - training, 0.0)
            lab.serving.observe(lab.hours_needed)
            chain.hours.update_rent_paid(lab)
        self._serve_self_hosted()

    def _serve_self_hosted(self) -> None:
        """Hosts of open weights and apps that host their own tokens serve as far as their spot hours go."""
        chain = self.chain
        rationing = chain.on("rationing")
        for app_id, hours in self.self_hosted.items():
            app = chain.apps[app_id]
            served = at_most(chain.hours.hours_of(app_id)[0] / hours, 1.0) if rationing else 1.0
            app.service += 0.5 * (served - app.service)
        for cloud_id, cloud in chain.clouds.items():
            buyer = f"hosting.{cloud_id}"
            asked = chain.hours.requests[cloud_id].get(buyer, 0.0)
            share = chain.hours.granted[cloud_id][buyer] / asked if asked > 0.0 and rationing else 1.0
            for host in cloud.hosted.values():
                host.served = at_most(share * host.hours / host.needed, 1.0) if host.needed > 0.0 else share
