"""A plain Mesa model with one agent per consumer slot: the reference for the law of `agents.consumers`.

Written from the law, in scalars, with nothing of the production code but its taste cells and its offers: each
person looks at the public state and at nobody else, reviews, leaves, redraws, uses.
"""

import math
from collections import Counter, defaultdict

import mesa

from agents.choice import METERED, THROTTLED, ChoiceLaw, ConsumerOffers
from agents.consumers import Consumers

NONE, UNAWARE = -1, -2
TRIAL = 1000  # place of a bought user: TRIAL + app

Cell = tuple[int, int]


def normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


class Person(mesa.Agent):
    """One slot of one consumer: a taste row and a place."""

    model: "ReferenceConsumers"

    def __init__(self, model: "ReferenceConsumers", row: int, place: int) -> None:
        super().__init__(model)
        self.row = row
        self.place = place
        self.newcomer = False

    def choose(self) -> None:
        """Review, leave or become aware, and redraw."""
        self.newcomer = self.random.random() < self.model.leaving(self.row, self.place)
        if self.newcomer:
            self.place = self.model.draw(self.row, self.random.random())

    def meet_marketing(self) -> None:
        """Be bought, if without an app."""
        if self.place in (NONE, UNAWARE) and self.random.random() < self.model.reach:
            self.place = TRIAL + self.random.choices(self.model.apps, self.model.offers.acquired.tolist())[0]
            self.newcomer = True


class ReferenceConsumers(mesa.Model):
    """Consumers of one region, one agent per slot, started from the counts of an opened `Consumers`."""

    def __init__(self, opened: Consumers, offers: ConsumerOffers, seed: int) -> None:
        super().__init__(rng=seed)
        self.law: ChoiceLaw = opened.law
        self.offers = offers
        self.apps = list(range(len(offers.brand)))
        self.trust: dict[Cell, float] = defaultdict(lambda: 1.0)
        self.fast: dict[Cell, float] = defaultdict(float)
        self.slow: dict[Cell, float] = defaultdict(float)
        self.last_fee = offers.fee.copy()
        self.people: list[Person] = []
        options = len(offers.app)
        places = [*range(options), NONE, *(TRIAL + a for a in self.apps)]
        for row, counts in enumerate(opened.people):
            for place, count in zip(places, counts, strict=True):
                self.people += [Person(self, row, place) for _ in range(int(count))]
            self.people += [Person(self, row, UNAWARE) for _ in range(int(opened.unaware[row]))]

    def option(self, place: int) -> int:
        """Return the option held at a place: a trial holds the cheapest open tier."""
        if place < TRIAL:
            return place
        open_tiers = [o for o, a in enumerate(self.offers.app) if a == place - TRIAL and self.offers.available[o] > 0]
        return min(open_tiers, key=lambda o: float(self.offers.fee[o])) if open_tiers else NONE

    def choose(self, offers: ConsumerOffers) -> None:
        """Move everyone for one month."""
        self.look(offers)
        for person in self.people:
            person.choose()
        without = sum(p.place in (NONE, UNAWARE) for p in self.people)
        self.reach = min(float(offers.acquired.sum()) / max(without, 1), 0.5)
        for person in self.people:
            person.meet_marketing()
        self._dilute()
        self.last_fee = offers.fee.copy()

    def look(self, offers: ConsumerOffers) -> None:
        """Take in the offers and the public state that everyone sees this month."""
        self.offers = offers
        firsts = [p for p in self.people if p.row < self.law.firsts]
        aware = sum(p.place != UNAWARE for p in firsts)
        held = [self.option(p.place) for p in self.people]
        by_app = Counter(int(offers.app[o]) for o in held if o >= 0)
        first = Counter(int(offers.app[self.option(p.place)]) for p in firsts if self.option(p.place) >= 0)
        self.share = {a: by_app[a] / max(sum(by_app.values()), 1) for a in self.apps}
        self.first = {a: first[a] / max(aware, 1) for a in self.apps}
        self.adoption = self._adoption(aware / len(firsts))
        self._shares: dict[int, list[float]] = {}

    def use(self) -> None:
        """Expose users to ads and let trust follow."""
        spec, offers = self.law.spec, self.offers
        held = Counter((p.row, self.option(p.place)) for p in self.people if self.option(p.place) >= 0)
        ads: Counter[Cell] = Counter()
        users: Counter[Cell] = Counter()
        for (row, option), count in held.items():
            weight = offers.ad_load[option] * offers.eligible[option]
            ads[row, int(offers.app[option])] += count * weight * (1 + spec.disclosure_loss * offers.disclosed[option])
            users[row, int(offers.app[option])] += count
        for row in range(len(self.law.people)):
            for option in range(len(offers.app)):
                load = float(offers.ad_load[option] * offers.eligible[option])
                self.fast[row, option] += spec.fast_rate * (load - self.fast[row, option])
                self.slow[row, option] += spec.slow_rate * (load - self.slow[row, option])
            for app in self.apps:
                trust = self.trust[row, app]
                load = ads[row, app] / users[row, app] if users[row, app] else 0.0
                trust += spec.trust_recovery * (1 - trust) - spec.trust_loss * load * trust
                self.trust[row, app] = min(max(trust - float(offers.scandal[app]), 0.0), 1.0)

    def users(self) -> list[int]:
        """Return people by option."""
        count = Counter(self.option(p.place) for p in self.people)
        return [count[o] for o in range(len(self.offers.app))]

    def shares(self, row: int) -> list[float]:
        """Return the choice probabilities of a row, the last one none."""
        if row not in self._shares:
            self._shares[row] = self._nested_logit(row)
        return self._shares[row]

    def draw(self, row: int, rank: float) -> int:
        """Return the option at a rank of the cumulative choice probabilities."""
        for option, share in enumerate(self.shares(row)[:-1]):
            rank -= share
            if rank < 0:
                return option
        return NONE

    def leaving(self, row: int, place: int) -> float:
        """Return the chance that someone moves off a place this month."""
        spec, offers = self.law.spec, self.offers
        if place == UNAWARE:
            return self.adoption
        if place >= TRIAL:
            return spec.trial_review if self.option(place) >= 0 else 1.0
        review = spec.review
        if place != NONE:
            if offers.available[place] <= 0:
                return 1.0
            rise = (offers.fee[place] - self.last_fee[place]) / max(self.last_fee[place], 1e-9)
            calm = (1 - review) * (1 - spec.price_review * min(max(rise, 0.0), 1.0))
            calm *= 1 - spec.quota_review * (1 - offers.service[place])
            if offers.overage[place] != METERED:
                calm *= 1 - spec.quota_review * self._quota(row, place, 1.0)[1]
            review = 1 - calm
        friction = math.exp(-spec.switching_cost)
        share = self.shares(row)[place]
        return float(review * friction / (share + (1 - share) * friction))

    def _adoption(self, aware: float) -> float:
        p, q = self.law.spec.innovation, self.law.spec.imitation
        left = (1 - aware) / (p + q * aware) * math.exp(-(p + q))
        return ((1 - p * left) / (1 + q * left) - aware) / (1 - aware) if aware < 1 else 0.0

    def _quota(self, row: int, option: int, bias: float) -> tuple[float, float]:
        """Return the served share of appetite and the chance to hit the quota."""
        usage, quota, s = (
            self.law.usage[row] * bias,
            self.offers.quota[option],
            self.law.spec.monthly_variation,
        )
        if math.isinf(quota):
            return 1.0, 0.0
        room = math.log(quota / usage)
        hit = normal_cdf((-room - s * s / 2) / s)
        return min(normal_cdf((room - s * s / 2) / s) + quota / usage * hit, 1.0), hit

    def _utility(self, row: int, option: int) -> float:
        spec, offers, app = self.law.spec, self.offers, int(self.offers.app[option])
        wtp, trust, usage = (
            self.law.wtp[row],
            self.trust[row, app],
            self.law.usage[row] * (1 + spec.flat_rate_bias),
        )
        gain = 1 + spec.frontier_gain * (1 - math.exp(-max(offers.frontier - 1, 0.0) / spec.frontier_reach))
        answer = gain * math.exp(-spec.quality_slope * max(offers.frontier - offers.quality[option], 0.0))
        answer *= offers.service[option]
        served, _ = self._quota(row, option, 1 + spec.flat_rate_bias)
        payment = 0.0
        if offers.overage[option] == THROTTLED:
            valued = served + spec.throttled_worth * (1 - served)
        elif offers.overage[option] == METERED:
            cost = usage * offers.overage_price[option]
            best = (spec.usage_curvature * wtp * answer * trust / cost) ** (1 / (1 - spec.usage_curvature))
            valued = min(max(best, served), 1.0)
            payment = (valued - served) * cost
        else:
            valued = served
        felt = spec.fast_weight * self.fast[row, option] + (1 - spec.fast_weight) * self.slow[row, option]
        money = wtp * answer * valued**spec.usage_curvature * trust - payment - offers.fee[option]
        money += wtp * (offers.brand[app] + spec.word_of_mouth * self.share[app] - self.law.ad_dislike[row] * felt)
        utility = money / (spec.price_scale * wtp)
        if row >= self.law.firsts:
            utility += spec.lambda_app * math.log(1 - self.first[app])
        return float(utility)

    def _nested_logit(self, row: int) -> list[float]:
        spec, offers = self.law.spec, self.offers
        gain = 1 - math.exp(-max(offers.frontier - 1, 0.0) / spec.frontier_reach)
        outside = math.exp(spec.outside_drift * spec.frontier_gain * gain / spec.price_scale)
        tier = [
            float(offers.available[o]) * math.exp(self._utility(row, o) / spec.lambda_tier)
            for o in range(len(offers.app))
        ]
        inside = [sum(t for t, a in zip(tier, offers.app, strict=True) if a == app) for app in self.apps]
        weight = [x ** (spec.lambda_tier / spec.lambda_app) for x in inside]
        any_app = sum(weight) ** spec.lambda_app
        reach = any_app / (any_app + outside)
        shares = [
            reach * weight[a] / sum(weight) * (t / inside[a] if inside[a] else 0.0)
            for t, a in zip(tier, offers.app, strict=True)
        ]
        return [*shares, 1.0 - reach]

    def _dilute(self) -> None:
        """Average the exposure of a cell over those who stayed and newcomers, who bring none."""
        cells = [(p.row, self.option(p.place)) for p in self.people]
        present = Counter(cells)
        stayed = Counter(cell for cell, p in zip(cells, self.people, strict=True) if not p.newcomer)
        for cell in [*self.fast]:
            keep = stayed[cell] / present[cell] if present[cell] else 0.0
            self.fast[cell] *= keep
            self.slow[cell] *= keep
