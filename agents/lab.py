"""Model labs: rent hours, train, release, price tokens on the kernel's cost."""

import math

from agents.bounds import at_least, at_most, between
from agents.expectations import Trend
from agents.firm import Firm
from agents.lab_spec import LabModelSpec, LabSpec
from agents.pricing import adjusted_premium, adjusted_price, own_elasticity, target_price
from agents.world import LargeOrSmall, TokenPrice, World

SIZES: tuple[LargeOrSmall, ...] = ("large", "small")
WAR_MONTHS = 9
"""Longest price war, and the months of peace after it (judgement)."""
WAR_RUNWAY = (9.0, 12.0)
"""Runway below which a lab leaves a price war, and above which it starts one, months (judgement)."""
BOX_GROWTH = 0.03
"""Monthly growth of the on-premise boxes that enterprises want (judgement)."""
BOX_MARK_UP = 0.05
"""Least that a lab earns on a box over the chips in it, on their value (judgement)."""


class LabModel:
    """One size of a lab's model, in service."""

    __slots__ = (
        "_price",
        "_priced",
        "next_scale",
        "opening_blend",
        "opening_price",
        "premium",
        "quality",
        "scale",
        "share",
        "spec",
        "unit_cost",
        "volume",
        "volume_output",
    )

    def __init__(self, spec: LabModelSpec) -> None:
        self.spec = spec
        self.opening_price = TokenPrice(spec.price_input, spec.price_cached, spec.price_output)
        self.quality = spec.quality
        self.scale = self.next_scale = 1.0
        self._priced = 0.0
        self.premium = 0.0
        self.share = 0.0
        self.volume = 0.0
        self.volume_output = 0.0
        self.unit_cost = 0.0
        self.opening_blend = 0.0

    @property
    def price(self) -> TokenPrice:
        """List price now, USD per Mtok by class."""
        if self._priced != self.scale:
            self._price = self.opening_price.times(self.scale)
            self._priced = self.scale
        return self._price


class Lab(Firm):
    """A model lab with a large and a small model."""

    __slots__ = (
        "_next_quality", "_spent_on_next", "_war", "all_in_cost", "cloud_shares", "developed", "efficiency",
        "final_run_cost", "free_served", "free_service", "gap", "hours_needed", "hours_used", "in_war", "models",
        "months_since_release", "open_weights", "opening_revenue", "rent_paid", "sales_share", "served", "service",
        "serving", "share_history", "theoretical_revenue", "tokens", "training_budget", "training_hours",
        "training_plan", "training_planned", "war_aim", "war_months",
    )  # fmt: skip
    """More than 30, beyond which Python 3.11 does not find methods fast (`Firm`)."""

    def __init__(self, world: World, firm_id: str, spec: LabSpec) -> None:
        super().__init__(world, firm_id, tier="labs", region=spec.region, group=spec.group)
        self.spec = spec
        self.models: dict[LargeOrSmall, LabModel] = {size: LabModel(spec.models[size]) for size in SIZES}
        self.gap = spec.models["large"].quality - spec.models["small"].quality
        self.developed = spec.models["large"].quality
        self.open_weights = spec.weights == "open"
        self.efficiency = spec.residual
        self.serving = Trend(0.0, 0.0, world.expectation)
        self.training_budget = self.training_plan = spec.training_spend
        self.training_hours = 0.0
        self.training_planned = 0.0
        self.final_run_cost = 0.0
        self.all_in_cost = 0.0
        self.cloud_shares = dict(spec.clouds)
        self.war_months = 0
        self.in_war = self._war = False
        self.sales_share = 0.0
        self.war_aim = 0.0
        self.share_history: list[float] = []
        self.service = 1.0
        self.free_service = 1.0
        self.served = 1.0
        self.free_served = 1.0
        self.hours_needed = 0.0
        self.hours_used = 0.0
        self.rent_paid = 0.0
        self.tokens = 0.0
        self.theoretical_revenue = 0.0
        self.months_since_release = int(world.stream(f"release_phase.{firm_id}").integers(0, spec.release_months))
        self.opening_revenue = 0.0
        self._next_quality: float | None = None
        self._spent_on_next = 0.0

    # --- phase 5: rent, train, release, price ---------------------------------------------------------------

    def plan_hours(self) -> None:
        """Ask clouds for hours: expected serving, peak and reserve included, plus training."""
        spec = self.spec
        world = self.world
        self._plan_cloud_shares()
        peaks = world.on("peak_provisioning")
        reserve = spec.provisioning / world.load_factor if peaks else spec.provisioning
        serving = self.serving.forecast(1.0, world.sentiment) * reserve
        self.training_planned = self.training_budget / at_least(self.rent_paid, 1e-9)
        idle = serving * (1.0 - world.load_factor) if peaks and world.on("night_lending") else 0.0
        total = serving + at_least(self.training_planned - idle, 0.0)
        for cloud, share in self.cloud_shares.items():
            if share > 0.005:
                world.request_hours(self.agent_id, cloud, share * total)

    def _plan_cloud_shares(self) -> None:
        """Let new contracts follow new capacity and lower rents; partners keep an edge by habit (logit on log rent)."""
        alive = {c: s for c, s in self.cloud_shares.items() if self.world.is_alive(c)}
        if not alive:
            alive = self.world.clouds_in(self.region)
        whole = math.fsum(alive.values())
        clouds = [(c, share / whole, self.world.rent(c)) for c, share in alive.items()]
        mean = math.exp(math.fsum([share * math.log(rent) for _, share, rent in clouds]))
        power = -0.1 * self.spec.substitution
        weights = [share * (rent / mean) ** power * self.world.size_growth(c) for c, share, rent in clouds]
        total = math.fsum(weights)
        self.cloud_shares = {c: weight / total for (c, _, _), weight in zip(clouds, weights, strict=True)}

    def plan_training(self) -> None:
        """Set the training budget from revenue and cash, cut when the runway is short; develop the next model."""
        spec = self.spec
        world = self.world
        self.training_plan *= 1.0 + spec.training_growth * spec.training_fade**world.month * world.sentiment
        budget = self.training_plan + spec.training_share * at_least(self.smoothed_revenue - self.opening_revenue, 0.0)
        if world.funded_by_group(self.agent_id):
            budget *= world.group_growth(self.agent_id)
        else:
            budget = at_least(budget, spec.training_cash * self.cash / spec.training_horizon)
        budget *= between(self.runway / spec.runway_floor, 0.1, 1.0)
        self.training_budget += 0.25 * (budget - self.training_budget)

    def develop(self) -> None:
        """Turn training hours, luck and what others publish into the quality of the next release.

        a ln(1 + C / C_ref) with C_ref growing (diminishing returns), plus spillover, faster from open weights.
        """
        world = self.world
        research = world.research
        difficulty = (1.0 + research.difficulty_growth) ** world.month
        effort = math.log1p(self.training_hours / (research.reference_hours * difficulty))
        luck = world.luck(self.agent_id) if world.on("training_luck") else 1.0
        gain = research.productivity * effort * luck if world.on("quality_race") else 0.0
        spill = self.spec.spillover * at_least(world.frontier - self.developed, 0.0)
        if world.on("open_spillover"):
            spill += research.open_spillover * at_least(world.open_frontier - self.developed, 0.0)
        self.developed += gain + (spill if world.on("spillover") else 0.0)
        self._next_quality = None
        self.months_since_release += 1
        waited = self.months_since_release / (1.5 * self.spec.release_months)
        if world.on("release_dates"):
            due = world.release_draw(self.agent_id) < waited * waited
        else:
            due = self.months_since_release >= self.spec.release_months
        if due and self.months_since_release >= 2:
            self._next_quality = self.developed

    def decide_weights(self) -> None:
        """At a release, publish the weights if what that brings is more than the API margin it costs."""
        if self._next_quality is None or self.open_weights or not self.world.on("open_decision"):
            return
        behind = max(self.world.frontier - self._next_quality, 0.0) / 0.3
        margin = math.fsum(max(self.world.blend(m.price) - m.unit_cost, 0.0) * m.volume for m in self.models.values())
        if self.spec.ecosystem_gain * min(behind, 1.0) > 0.5 * margin and self.spec.ecosystem_gain > 0.0:
            self.open_weights = True

    def plan_prices(self) -> None:
        """Decide next prices on long-run marginal cost: the rule, or the war; a price point is not cut in peace."""
        spec = self.spec
        substitution, market_elasticity, entrant = spec.substitution, spec.market_elasticity, spec.entrant_cost_ratio
        self._update_war()
        speed = 0.7 if self._war else spec.price_speed
        clearing = 1.0 - self.service if self.world.on("service_scarcity") else 0.0
        keeps_price_point = spec.price_point and not self._war and self.world.on("price_point")
        for size, model in self.models.items():
            model.unit_cost = self.world.token_cost(self.agent_id, size)
            elasticity = own_elasticity(model.share, substitution, market_elasticity)
            target = target_price(model.unit_cost, elasticity, entrant)
            floor = 0.8 * model.unit_cost
            if self._war:
                rival = self.world.rival_price(self.agent_id, size)
                target = max(floor, min(rival, model.unit_cost))
            model.premium = adjusted_premium(model.premium, clearing, 0.3)
            now = model.opening_blend * model.scale
            price = adjusted_price(now, target, model.premium, speed, floor)
            if size == "large" and keeps_price_point:
                price = max(now, price)
            model.next_scale = price / model.opening_blend if model.opening_blend > 0.0 else 1.0

    def _update_war(self) -> None:
        """Cut to cost when share is lost or a rival at war undercuts; end when share is back or money runs out."""
        spec = self.spec
        price = self.models["large"].opening_blend * self.models["large"].scale
        self.share_history.append(self.sales_share)
        past = self.share_history[-7] if len(self.share_history) > 6 else self.share_history[0]
        if not self.world.on("price_war"):
            self._war = False
        elif self.in_war:
            self.war_months += 1
            won = self.sales_share >= self.war_aim and price <= self.world.attack_price(self.agent_id)
            self._war = not (won or self.war_months >= WAR_MONTHS or self.runway < WAR_RUNWAY[0])
        elif self.war_months > 0:
            self.war_months -= 1
        else:
            declared = self.world.war_declared(self.agent_id)
            lost = past > 0.01 and self.sales_share < (1.0 - spec.war_share_loss) * past
            undercut = self.world.attack_price(self.agent_id) < (1.0 - spec.war_undercut) * price
            self._war = (lost or undercut or declared) and self.runway > WAR_RUNWAY[1]
            self.war_months = int(self._war)
            self.war_aim = past * (1.0 + spec.war_share_loss) if declared else past

    def commit(self) -> None:
        """Publish prices, whether it is at war and, at a release, the new models."""
        self.in_war = self._war
        for model in self.models.values():
            model.scale = model.next_scale
        if self._next_quality is not None:
            self._put_in_service(self._next_quality)
            self.months_since_release = 0
            self.all_in_cost, self._spent_on_next = self._spent_on_next, 0.0
            self.final_run_cost = self.spec.final_run_share * self.all_in_cost

    def wind_up(self) -> None:
        """Serve and train nothing, and leave the price war."""
        super().wind_up()
        self.in_war = self._war = False
        self.served = self.free_served = self.service = self.free_service = 0.0
        self.hours_needed = self.hours_used = self.training_hours = self.tokens = self.theoretical_revenue = 0.0
        for model in self.models.values():
            model.volume = model.volume_output = model.share = 0.0

    def _put_in_service(self, quality: float) -> None:
        """Serve a large model of at least this quality; the small one keeps its distance."""
        large, small = self.models["large"], self.models["small"]
        large.quality = max(quality, large.quality)
        small.quality = max(large.quality - self.gap, small.quality)

    def publish_weights(self, quality: float | None) -> None:
        """Publish the weights, of a model of `quality` if that is better than the present one; research goes on."""
        self.open_weights = True
        if quality is not None:
            self._put_in_service(quality)
            self.developed = max(quality, self.developed)

    def order_boxes(self) -> None:
        """Order the accelerators of the on-premise boxes that enterprises will want."""
        if self.spec.boxes <= 0.0 or not self.alive:
            return
        quote = self.world.chip_quote(self.region)
        wanted = self.spec.boxes * (1.0 + BOX_GROWTH) ** self.world.month * self.world.demand_boost(self.region)
        size = wanted * self.spec.box_accelerators * quote.performance
        for chipmaker, part in self.world.split_order(self.agent_id, self.region, size).items():
            self.world.place_order(self.agent_id, chipmaker, self.region, part)

    def sell_boxes(self, size: float, value: float) -> None:
        """Build delivered chips into boxes and sell them to enterprises."""
        performance = self.world.chip_quote(self.region).performance
        boxes = size / (self.spec.box_accelerators * performance)
        price = max(self.spec.box_price, (1.0 + BOX_MARK_UP) * value / boxes) if boxes > 0.0 else 0.0
        self.world.trade(f"enterprises.{self.region}", self.agent_id, "on_premise", boxes * price, boxes, None)

    # --- settlement ------------------------------------------------------------------------------------------------

    @property
    def volume(self) -> float:
        """Mtok served this month."""
        return self.tokens

    def settle(self) -> None:
        """Pay staff, half of it research, growing slower than revenue; add up what the next model costs."""
        opening = self.opening_revenue
        growth = at_least(self.smoothed_revenue / at_least(opening, 1.0), 0.3) if opening > 0.0 else 1.0
        grown = at_most(growth**0.3, 4.0) if self.world.funded_by_group(self.agent_id) else at_most(growth**0.5, 8.0)
        staff = self.spec.staff * grown * between(self.runway / 6.0, 0.4, 1.0)
        self.pay("staff", "staff", 0.5 * staff, "research_staff", 0.0)
        self.pay("staff", "staff", 0.5 * staff, "staff", 0.0)
        self._spent_on_next += self.books.research + self.books.research_staff
        if self.spec.partner is not None and self.books.revenue > 0.0 and self.world.on("revenue_share"):
            self.pay(
                self.spec.partner,
                "revenue_share",
                self.spec.revenue_share * self.books.revenue,
                "cost_of_sales",
            )
