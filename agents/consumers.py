"""The consumers of one region: counts of people by (taste stratum, option), moved once a month."""

import math
from dataclasses import dataclass

import numpy as np

from agents.base import EconomicAgent
from agents.brands import remembered_opening
from agents.choice import BLOCKED, METERED, THROTTLED, ChoiceLaw, ConsumerOffers, PublicState
from agents.consumer_spec import CHINA, ConsumersSpec
from agents.tastes import (
    Array,
    Index,
    Matrix,
    bass_step,
    by_column,
    draw_binomial,
    draw_multinomial,
    membership,
    total_of_columns,
    total_of_rows,
    whole_people,
)
from agents.world import World

__all__ = [
    "BLOCKED",
    "CHINA",
    "METERED",
    "THROTTLED",
    "ConsumerOffers",
    "ConsumerOutcome",
    "Consumers",
    "ConsumersSpec",
    "UsageTable",
]

_TINY = 1e-300
_MOST_BOUGHT = 0.5  # of the people without an app, in one month


@dataclass(frozen=True, slots=True)
class ConsumerOutcome:
    """What consumers of a region did this month: (O,) arrays over options unless marked (A,) by app."""

    users: Array
    """People, those bought by marketing included."""
    joins: Array
    """People who came to the option from elsewhere."""
    leavers: Array
    """People who left the option for another or none: churn."""
    acquired: Array
    """(A,) people bought by marketing or bundling."""
    queries: Array
    """Queries asked after ad response and quota, throttled and metered ones included."""
    eligible: Array
    """Queries with commercial intent."""
    fees: Array
    """$ of subscription fees, before discounts and store fees."""
    overage: Array
    """$ of metered queries."""
    trust: Array
    """(A,) trust weighted by users, 1 where nobody is."""
    surplus: float
    """Consumer surplus in $/month: expected maximum utility above that of having no app."""


@dataclass(frozen=True, slots=True)
class UsageTable:
    """Users and queries (B, O) by band of the rank of appetite among all people; `edges` (B + 1,)."""

    edges: Array
    users: Array
    queries: Array


@dataclass(frozen=True, slots=True)
class _Moves:
    """The part of the outcome that `choose` settles."""

    joins: Array
    leavers: Array
    acquired: Array
    surplus: float


class Consumers(EconomicAgent):
    """Consumers of one region: counts of people by row and column, moved by review, inertia and redraw.

    Given the public state (offers, trust, exposure, shares) people move independently, with chances that
    depend on their row and column only, and the public state depends on people only through the counts: so
    the counts have exactly the law of the model with one agent per consumer, at any number of people.

    Rows are taste strata, those of second slots last. Columns are the O options, none, and a trial class per
    app for people bought by marketing: they hold the app's entry tier without having chosen it, review it
    soon and have no switching cost yet.
    """

    def __init__(self, world: World, agent_id: str, spec: ConsumersSpec) -> None:
        """Create the agent; `agent_id`, such as "consumers.west", also names its random stream."""
        super().__init__(world, agent_id)
        self.spec = spec
        self.law = ChoiceLaw(spec)
        self._known: tuple[Array, Matrix, Array] | None = None
        """People, entry tiers, and who holds what with them, as they are until the next month of moves."""

    def open(self, offers: ConsumerOffers, opening_users: Array) -> Array:
        """Set the opening so that `opening_users` (A,) people by app are in balance; return brands (A,).

        Raises ValueError when there are more users than people, or users at a closed app.
        """
        opening = remembered_opening(self.law, offers, opening_users)
        brand = opening.brand
        rng = self.world.stream(f"{self.agent_id}.opening") if self.world.sampling else None
        people = self.law.people * self.spec.population
        if rng is not None:
            halves = np.split(people, [self.law.firsts])
            people = np.concatenate([whole_people(half) for half in halves])
        informed = draw_binomial(rng, people, np.full_like(people, opening.aware))
        self.unaware = people - informed
        self.people = np.zeros((len(people), len(offers.app) + 1 + len(brand)), order="F")
        self.people[:, : len(offers.app) + 1] = draw_multinomial(rng, informed, opening.balance)
        self.trust = np.ones((len(people), len(brand)), order="F")
        self.fast = np.zeros((len(people), len(offers.app)), order="F")
        self.slow = np.zeros_like(self.fast)
        self._last_fee = offers.fee.copy()
        return brand

    @property
    def adopted(self) -> float:
        """Share of people who know the apps."""
        unaware = float(self.unaware[: self.law.firsts].sum())
        return 1.0 - unaware / (unaware + float(total_of_rows(self.people[: self.law.firsts]).sum()))

    def scale_wtp(self, factor: float) -> None:
        """Multiply everyone's WTP by `factor`, as an event or income growth does; ValueError unless > 0."""
        if not factor > 0:
            raise ValueError(f"factor {factor} must be positive")
        self.law.wtp = self.law.wtp * factor

    def public_state(self, offers: ConsumerOffers, entry: Index | None = None) -> PublicState:
        """Return what choice depends on beside offers; `entry`: the entry tiers where they are known already."""
        apps, firsts = self.trust.shape[1], self.law.firsts
        trial = _trial_tiers(_entry_tiers(offers, apps) if entry is None else entry, len(offers.app))
        held = self._holders(trial)
        everyone = self.law.by_app(total_of_rows(held), offers.app, apps)
        first = self.law.by_app(total_of_rows(held[:firsts]), offers.app, apps)
        informed = float(total_of_rows(self.people[:firsts]).sum())
        return PublicState(
            trust=self.trust,
            felt=self._felt(),
            share=everyone / max(float(everyone.sum()), 1.0),
            first=first / max(informed, 1.0),
        )

    def choose(self, offers: ConsumerOffers) -> None:
        """Review, leave, become aware, redraw, and be bought by marketing: one month of moves."""
        rng = self.world.stream(self.agent_id) if self.world.sampling else None
        entry = _entry_tiers(offers, self.trust.shape[1])
        options = len(offers.app)
        trial = _trial_tiers(entry, options)
        shares, surplus = self.law.shares(offers, self.public_state(offers, entry))
        self._known = None
        chance = np.empty_like(self.people)
        self.law.leaving(offers, shares, self._last_fee, out=chance[:, : options + 1])
        chance[:, options + 1 :] = np.where(entry >= 0, self.spec.trial_review, 1.0)

        left = draw_binomial(rng, self.people, chance)
        informed = draw_binomial(rng, self.unaware, self._adoption())
        arrived = draw_multinomial(rng, total_of_columns(left) + informed, shares)
        self.people -= left
        self.unaware = self.unaware - informed
        stayed = self._held(self.people, trial)
        self.people[:, : options + 1] += arrived
        bought = self._buy(rng, offers, entry)
        self._holding = self._holders(trial)
        stayed /= np.maximum(self._holding, _TINY)
        self.fast *= stayed
        self.slow *= stayed

        left_option = self._held(left, trial)
        leavers = total_of_rows(left_option)
        left_option *= shares[:, :-1]
        redrawn = total_of_rows(left_option)
        self._moves = _Moves(
            joins=total_of_rows(arrived)[:-1] - redrawn + trial @ bought,
            leavers=leavers - redrawn,
            acquired=bought,
            surplus=float(total_of_columns(self.people) @ surplus),
        )
        self._offers = offers
        self._last_fee = offers.fee.copy()

    def settle_in(self, offers: ConsumerOffers) -> ConsumerOutcome:
        """Use what the opening gave, without a month of moves: what the opening month looks like."""
        options, apps = len(offers.app), self.trust.shape[1]
        self._offers = offers
        self._holding = self._holders(_trial_tiers(_entry_tiers(offers, apps), options))
        self._moves = _Moves(np.zeros(options), np.zeros(options), np.zeros(apps), 0.0)
        return self.use()

    def use(self) -> ConsumerOutcome:
        """Use what was chosen: exposure rises, queries respond to it, trust follows ads and scandals."""
        offers, spec, apps = self._offers, self.spec, self.trust.shape[1]
        exposure = offers.ad_load * offers.eligible
        self.fast *= 1.0 - spec.fast_rate
        self.fast += spec.fast_rate * exposure
        self.slow *= 1.0 - spec.slow_rate
        self.slow += spec.slow_rate * exposure
        held, active = self._holding, self._response()
        use = self.law.use(offers, self.trust)
        active *= held
        appetite = active * self.law.usage[:, None]
        app_users = self.law.by_app(held, offers.app, apps)
        self._learn_trust(held, app_users)
        users = total_of_rows(held)
        appetite *= use.served
        queries = total_of_rows(appetite)
        trusted, by_app = total_of_rows(app_users * self.trust), total_of_rows(app_users)
        return ConsumerOutcome(
            users=users,
            joins=self._moves.joins,
            leavers=self._moves.leavers,
            acquired=self._moves.acquired,
            queries=queries,
            eligible=queries * offers.eligible,
            fees=users * offers.fee,
            overage=total_of_rows(active * use.payment),
            trust=np.where(by_app > 0, trusted / np.maximum(by_app, _TINY), 1.0),
            surplus=self._moves.surplus,
        )

    def quota_hit(self) -> Array:
        """Return the share of each option's users (O,) who reached the quota this month."""
        hit = self.law.use(self._offers, self.trust).hit
        return np.asarray(total_of_rows(self._holding * hit) / np.maximum(total_of_rows(self._holding), _TINY))

    def usage_table(self, edges: Array | None = None) -> UsageTable:
        """Return users and queries by band of usage rank (deciles by default) and option, for this month."""
        bands = np.linspace(0.0, 1.0, 11) if edges is None else edges
        people, usage = self.law.usage_bands(bands)
        appetite = self._holding * self.law.usage[:, None] * self._response()
        return UsageTable(
            edges=bands,
            users=people.T @ self._holding,
            queries=usage.T @ (appetite * self.law.use(self._offers, self.trust).served),
        )

    def _holders(self, trial: Matrix) -> Array:
        """Return all people (R, O) by the option they hold: last month's table where entry tiers are the same."""
        known = self._known
        if known is None or known[0] is not self.people or known[1] is not trial:
            known = self._known = self.people, trial, self._held(self.people, trial)
        return known[2]

    def _held(self, people: Array, trial: Matrix) -> Array:
        """Return people (R, O) by the option they hold, those in a trial class by `trial`, of `_trial_tiers`."""
        options = trial.shape[0]
        held = by_column(people[:, options + 1 :], trial)
        held += people[:, :options]
        return held

    def _felt(self) -> Array:
        """Return felt ad exposure (R, O)."""
        felt = self.spec.fast_weight * self.fast
        felt += (1.0 - self.spec.fast_weight) * self.slow
        return felt

    def _response(self) -> Array:
        """Return the share of appetite (R, O) that is left under the felt exposure."""
        response = self._felt()
        response *= -self.spec.usage_response
        response += 1.0
        return np.maximum(response, 0.0, out=response)

    def _adoption(self) -> float:
        """Return the chance that an unaware person becomes aware this month."""
        adopted = self.adopted
        if adopted >= 1.0:
            return 0.0
        return (bass_step(adopted, self.spec.innovation, self.spec.imitation) - adopted) / (1.0 - adopted)

    def _buy(self, rng: np.random.Generator | None, offers: ConsumerOffers, entry: Index) -> Array:
        """Push people without an app into the trial class; return the people (A,) that came.

        Everyone without an app is reached with the same chance: the planned number over their number, at most
        half of them in a month.
        """
        none = len(offers.app)
        wanted = np.where(entry >= 0, offers.acquired, 0.0)
        total = float(wanted.sum())
        reachable = float(self.unaware.sum() + self.people[:, none].sum())
        if total <= 0.0 or reachable <= 0.0:
            return np.zeros_like(wanted)
        chance = min(total / reachable, _MOST_BOUGHT)
        from_unaware = draw_binomial(rng, self.unaware, chance)
        from_none = draw_binomial(rng, self.people[:, none], chance)
        pushed = draw_multinomial(rng, from_unaware + from_none, wanted / total)
        self.unaware = self.unaware - from_unaware
        self.people[:, none] -= from_none
        self.people[:, none + 1 :] += pushed
        return total_of_rows(pushed)

    def _learn_trust(self, held: Array, app_users: Array) -> None:
        """T <- T + rho (1 - T) - beta load (1 + d disclosed) T - scandal, per (row, app), kept in [0, 1].

        The load is in ads per query, the mean over the app's users of the row, `app_users` (R, A).
        """
        offers, spec, apps = self._offers, self.spec, self.trust.shape[1]
        weight = offers.ad_load * offers.eligible * (1.0 + spec.disclosure_loss * offers.disclosed)
        lost = self.law.by_app(held * weight, offers.app, apps)
        lost /= np.maximum(app_users, _TINY)
        lost *= spec.trust_loss
        lost *= self.trust
        trust = 1.0 - self.trust
        trust *= spec.trust_recovery
        trust -= lost
        trust -= offers.scandal
        trust += self.trust
        np.maximum(trust, 0.0, out=trust)
        self.trust = np.minimum(trust, 1.0, out=trust)


def _entry_tiers(offers: ConsumerOffers, apps: int) -> Index:
    """Return the cheapest open option of each app (A,), the first of those; -1 where the app is closed."""
    entry, least = [-1] * apps, [math.inf] * apps
    terms = zip(offers.app.tolist(), offers.fee.tolist(), offers.available.tolist(), strict=True)
    for option, (app, fee, available) in enumerate(terms):
        if fee < least[app] and available > 0.0:
            entry[app], least[app] = option, fee
    return np.array(entry, dtype=np.intp)


def _trial_tiers(entry: Index, options: int) -> Matrix:
    """Return the (O, A) matrix that is 1 at the entry tier of each app; closed apps have a column of zeros."""
    return membership(entry, options)
