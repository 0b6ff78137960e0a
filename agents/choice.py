"""What consumers are offered, how they choose among it and how much they use it."""

import math
from dataclasses import dataclass

import numpy as np

from agents.consumer_spec import ConsumersSpec
from agents.tastes import (
    Array,
    Index,
    Strata,
    WtpMixture,
    build_strata,
    by_column,
    leaving_propensity,
    membership,
    metered_share,
    nested_logit_shares,
    of_options,
    quota_use,
    usage_overlap,
)

BLOCKED, THROTTLED, METERED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class ConsumerOffers:
    """What every tier of every app offers in one region this month; O options (tiers), A apps.

    The table of options is the same in all months: an option that does not exist has `available` 0.
    """

    app: Index
    """(O,) index of the app that the option belongs to."""
    fee: Array
    """(O,) $ per month."""
    quality: Array
    """(O,) quality q of the answers, in the labs' unit; the opening frontier is 1."""
    quota: Array
    """(O,) queries per month, infinity for none."""
    overage: Index
    """(O,) BLOCKED, THROTTLED or METERED beyond the quota."""
    overage_price: Array
    """(O,) $ per query beyond the quota where METERED."""
    ad_load: Array
    """(O,) impressions per eligible query."""
    disclosed: Array
    """(O,) 1 where ads are marked as ads."""
    eligible: Array
    """(O,) share of queries with commercial intent."""
    service: Array
    """(O,) quality of service in [0, 1], below 1 when rationed."""
    available: Array
    """(O,) share of people to whom the option is open; 0 is closed or dormant."""
    brand: Array
    """(A,) value of the brand as a share of WTP, fitted at the opening."""
    paid_extras: Array
    """(A,) what paid tiers are worth beyond answers and quota, as a share of WTP."""
    acquired: Array
    """(A,) people pushed into the app this month by marketing or bundling."""
    scandal: Array
    """(A,) trust lost at once."""
    frontier: float
    """Best quality q on the market."""


@dataclass(frozen=True, slots=True)
class PublicState:
    """What the law of choice depends on beside offers: functions of the counts of people alone.

    trust (R, A); felt ad exposure (R, O); share of users by app (A,); share of first slots by app (A,).
    """

    trust: Array
    felt: Array
    share: Array
    first: Array


@dataclass(frozen=True, slots=True)
class Metered:
    """The options (M,) with overage to be bought: share of appetite within the quota, $/month for all of it, (R, M)."""

    options: Index
    within: Array
    cost: Array


@dataclass(frozen=True, slots=True)
class Use:
    """What a consumer of each row would do with each option at full appetite, all (R, O).

    value: share of the worth of unlimited answers; served: share of appetite answered, throttled answers
    included; hit: chance of reaching the quota in a month; payment: $/month for overage, (1, O) where nobody pays.
    metered: what overage is bought on; refused: (O,) 1 where there is none to be bought.
    """

    value: Array
    served: Array
    hit: Array
    payment: Array
    metered: Metered | None
    refused: Array


class ChoiceLaw:
    """The law of choice and use of one region: no state beside a cache of quota tables and of one month's answers.

    Rows are taste strata for the first app slot, then coarser strata for the second slot of multi-homers.
    """

    def __init__(self, spec: ConsumersSpec) -> None:
        self.spec = spec
        first = self._strata(spec.usage_strata, spec.ad_strata)
        rows = [(first, 1.0, 1.0, 1.0)]
        if spec.multi_home > 0:
            second = self._strata(max(spec.usage_strata // 2, 1), 1)
            rows.append((second, spec.multi_home, spec.second_wtp, spec.second_usage))
        self.people = np.concatenate([s.people * share for s, share, _, _ in rows])
        self.wtp = np.concatenate([s.wtp * ratio for s, _, ratio, _ in rows])
        self.usage = np.concatenate([s.usage * ratio for s, _, _, ratio in rows])
        self.ad_dislike = np.concatenate([s.ad_dislike for s, _, _, _ in rows])
        self._slots = [s for s, _, _, _ in rows]
        self.firsts = len(first.people)
        self._uses: dict[tuple[bytes, bytes, bytes, bool], Use] = {}
        self._answers: tuple[ConsumerOffers, Array] | None = None

    def _strata(self, usage_cells: int, ad_cells: int) -> Strata:
        spec = self.spec
        shares = (1.0 - spec.professional_share, spec.professional_share)
        medians = (spec.casual_median * spec.wtp_level, spec.professional_median * spec.wtp_level)
        return build_strata(
            WtpMixture(shares, medians, (spec.casual_sigma, spec.professional_sigma)),
            (spec.usage_median, spec.usage_sigma),
            spec.usage_wtp_correlation,
            (spec.ad_dislike_median, spec.ad_dislike_sigma),
            (spec.wtp_strata, usage_cells, ad_cells),
        )

    def use(self, offers: ConsumerOffers, trust: Array, perceived: bool = False) -> Use:
        """Return value and use of every option, before the response to ads.

        `perceived` is the view of a consumer who chooses: usage overestimated by the flat-rate bias. A
        metered consumer buys answers beyond the quota while their marginal value exceeds the price.
        """
        spec = self.spec
        use = self._within_quota(offers, perceived)
        metered = use.metered
        if metered is None:
            return use
        options = metered.options
        worth = of_options(trust, offers.app[options])
        worth *= self.answers(offers)[options]
        worth *= self.wtp[:, None]
        bought = metered_share(metered.within, worth, metered.cost, spec.usage_curvature)
        value, served, payment = use.value.copy("F"), use.served.copy("F"), np.zeros(use.value.shape, order="F")
        value.T[options] = bought.T**spec.usage_curvature
        served.T[options] = bought.T
        payment.T[options] = ((bought - metered.within) * metered.cost).T
        return Use(value, served, use.hit, payment, metered, use.refused)

    def answers(self, offers: ConsumerOffers) -> Array:
        """Return the worth (O,) of unlimited answers over WTP: level(frontier) exp(-slope gap) service.

        Relative to the frontier, so that an app which stands still loses; its level is bounded.
        """
        if self._answers is None or self._answers[0] is not offers:
            gap = np.maximum(offers.frontier - offers.quality, 0.0)
            worth = self.level(offers.frontier) * np.exp(-self.spec.quality_slope * gap) * offers.service
            self._answers = offers, worth
        return self._answers[1]

    def shares(self, offers: ConsumerOffers, state: PublicState, use: Use | None = None) -> tuple[Array, Array]:
        """Return choice probabilities (R, O + 1), the last column none, and consumer surplus (R,) in $/month.

        In money: v = (WTP f T - fee - overage + WTP (brand + extras + psi share - gamma exposure)) / (k WTP). A second
        slot never holds the first app: its weight is the share of first slots that are elsewhere. `use`: perceived
        use where it is known already.
        """
        spec = self.spec
        app = offers.app
        use = use or self.use(offers, state.trust, perceived=True)
        value = of_options(state.trust, app)
        value *= use.value
        value *= self.answers(offers)
        value -= self.ad_dislike[:, None] * state.felt
        value += (offers.brand + spec.word_of_mouth * state.share)[app] + np.where(
            offers.fee > 0.0, offers.paid_extras[app], 0.0
        )
        value -= np.multiply(use.payment + offers.fee, (1.0 / self.wtp)[:, None], order="F")
        value *= 1.0 / spec.price_scale
        if self.firsts < len(value):
            elsewhere = np.log(np.maximum(1.0 - state.first, 1e-12))
            value[self.firsts :] += spec.lambda_app * elsewhere[app]
        outside = spec.outside_drift * (self.level(offers.frontier) - 1.0) / spec.price_scale
        shares, utility = nested_logit_shares(value, app, spec.lambda_tier, spec.lambda_app, outside, offers.available)
        return shares, spec.price_scale * self.wtp * (utility - outside)

    def leaving(self, offers: ConsumerOffers, shares: Array, last_fee: Array, out: Array | None = None) -> Array:
        """Return the monthly chance h theta of giving up each option and none, (R, O + 1).

        The review hazard h rises with a fee rise, with the chance of hitting the quota and with poor service;
        who is at a closed option leaves for certain. The result is written to `out` where there is one.
        """
        spec = self.spec
        rise = np.minimum(np.maximum((offers.fee - last_fee) / np.maximum(last_fee, 1e-9), 0.0), 1.0)
        calm = (1.0 - spec.review) * (1.0 - spec.price_review * rise)
        calm = calm * (1.0 - spec.quota_review * (1.0 - offers.service))
        use = self._within_quota(offers, perceived=False)
        leave = leaving_propensity(shares, spec.switching_cost, out)
        reviewed = use.hit * (calm * (spec.quota_review * use.refused))
        reviewed += 1.0 - calm
        leave[:, :-1] *= reviewed
        leave[:, -1] *= spec.review
        leave.T[(offers.available <= 0.0).nonzero()[0]] = 1.0
        return leave

    def level(self, frontier: float) -> float:
        """Return the value of a frontier answer: 1 at the opening, bounded by 1 + frontier_gain."""
        progress = max(frontier - 1.0, 0.0) / self.spec.frontier_reach
        return 1.0 + self.spec.frontier_gain * -math.expm1(-progress)

    def _within_quota(self, offers: ConsumerOffers, perceived: bool) -> Use:
        """Return use without metered answers, computed once for each set of quotas and prices of overage."""
        key = (offers.quota.tobytes(), offers.overage.tobytes(), offers.overage_price.tobytes(), perceived)
        if key not in self._uses:
            if len(self._uses) >= 4:
                self._uses.clear()
            spec = self.spec
            usage = self.usage * (1.0 + spec.flat_rate_bias) if perceived else self.usage
            served, hit = (np.asfortranarray(a) for a in quota_use(usage, offers.quota, spec.monthly_variation))
            throttled = (1.0 - served) * (offers.overage == THROTTLED)
            value = (served + spec.throttled_worth * throttled) ** spec.usage_curvature
            served += throttled
            sold = offers.overage == METERED
            options = sold.nonzero()[0]
            cost = np.multiply(usage[:, None], offers.overage_price[options], order="F")
            metered = Metered(options, of_options(served, options), cost) if len(options) else None
            self._uses[key] = Use(value, served, hit, np.zeros((1, len(sold))), metered, 1.0 - sold)
        return self._uses[key]

    def usage_bands(self, edges: Array) -> tuple[Array, Array]:
        """Return the shares of each row's people and of its usage by band of usage rank, both (R, B)."""
        parts = [usage_overlap(s.usage_edges, edges, self.spec.usage_sigma) for s in self._slots]
        bins = [s.usage_bin for s in self._slots]
        people = [part[0][cells] for part, cells in zip(parts, bins, strict=True)]
        usage = [part[1][cells] for part, cells in zip(parts, bins, strict=True)]
        return np.concatenate(people), np.concatenate(usage)

    def by_app(self, amounts: Array, app: Index, apps: int) -> Array:
        """Return amounts (..., O) summed over the tiers of each app (..., A)."""
        return by_column(amounts, membership(app, apps))
