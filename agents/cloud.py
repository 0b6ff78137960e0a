"""Clouds: own accelerators, sell hours on contract and spot, order more when rent pays for them.

Two kinds: *resellers* (debt, thin margin) and *integrated owners* (other profit pools, own silicon).
All hours are H100-equivalent hours; the fleet is kept by accelerator type.
"""

import math
from functools import lru_cache

from agents.bounds import at_least, at_most, between
from agents.cloud_spec import CloudSpec
from agents.expectations import Trend
from agents.firm import Firm
from agents.hosting import HostedModel
from agents.ordering import order_quantity
from agents.pricing import own_elasticity, target_price
from agents.world import World

HOURS = 730.0
"""Hours in a month."""
H100_KILOWATT = 1.73
"""All-in kilowatts of an H100 (accelerators.toml): what the parameter of operating cost is measured on."""


@lru_cache(maxsize=64)
def fleet_ages(months: int, growth: float) -> tuple[list[float], float, float]:
    """Return the weight of each age, 1 to `months`, in a fleet that grew by `growth` a month, their sum, and the mean
    share of life that remains."""
    weights = [(1.0 + growth) ** -age for age in range(1, months + 1)]
    total = math.fsum(weights)
    return weights, total, math.fsum(w * (months - age) / months for age, w in enumerate(weights, 1)) / total


def years_of_rent(discount: float, decline: float, life: float) -> float:
    """Return the present value of a rent of one a year over `life` years that falls by the share `decline` a year."""
    rate = math.log1p(discount) - math.log1p(-decline)
    return -math.expm1(-rate * life) / rate if rate > 0.0 else life


class Contract:
    """A customer's take-or-pay commitment: hours a month at an average price."""

    __slots__ = ("hours", "price")

    def __init__(self, hours: float, price: float) -> None:
        self.hours = hours
        self.price = price

    def add(self, hours: float, price: float) -> None:
        """Sign more hours at `price`."""
        total = self.hours + hours
        if total > 0.0:
            self.price = (self.hours * self.price + hours * price) / total
        self.hours = total


class Cloud(Firm):
    """Owns accelerators and sells their hours."""

    __slots__ = (
        "_cancel", "_hourly_kilowatt", "_orders", "_rent", "_requests", "_size_before", "accelerators", "book_value",
        "cohorts", "contracts", "debt", "delivered", "demand", "depreciation", "fleet", "floor", "hosted",
        "hours_asked", "hours_sold", "leaving", "on_order", "opening_accelerators", "opening_backlog", "opening_size",
        "ordered", "overflow", "own_silicon_from", "rent", "running_cost", "size", "size_growth", "spent_on_chips",
        "spot_price", "user_cost", "utilisation",
    )  # fmt: skip
    """More than 30, beyond which Python 3.11 does not find methods fast (`Firm`)."""

    def __init__(self, world: World, firm_id: str, spec: CloudSpec) -> None:
        super().__init__(world, firm_id, tier="clouds", region=spec.region, group=spec.group)
        self.spec = spec
        self._hourly_kilowatt = spec.power_price + spec.operating_cost / H100_KILOWATT
        self.fleet = dict(spec.fleet)
        self.size = self.opening_size = math.fsum(spec.fleet.values())
        self.cohorts: dict[int, list[tuple[str, float, float]]] = {}
        self.leaving: dict[int, float] = {}
        self.depreciation = 0.0
        self.book_value = 0.0
        self.on_order = 0.0
        self.rent = spec.rent
        self.contracts: dict[str, Contract] = {}
        self.demand = Trend(0.0, 0.0, world.expectation)
        self.utilisation = spec.target_utilisation
        self.size_growth = 1.0
        self.accelerators = self.opening_accelerators = 0.0
        self.running_cost = 0.0
        self.floor = 0.0
        self.spot_price = spec.rent
        self.delivered = 1.0
        self.opening_backlog = 0.0
        self._size_before = self.size
        self.hours_sold = 0.0
        self.hours_asked = 0.0
        self.user_cost = spec.rent
        self.debt = spec.debt
        self.spent_on_chips: dict[int, float] = {}
        self.own_silicon_from: int | None = None
        self.ordered = 0.0
        self.hosted = {lab: HostedModel(world, self, lab, host) for lab, host in spec.hosts.items()}
        self.overflow = Contract(0.0, spec.rent)
        self._orders: dict[str, float] = {}
        self._cancel = 0.0
        self._rent = spec.rent
        self._requests: dict[str, float] = {}

    @property
    def capacity(self) -> float:
        """H100-equivalent hours that the fleet gives in a month, rented overflow included."""
        return (self.size * HOURS) * self.world.capacity_factor(self.agent_id) + self.overflow.hours

    @property
    def free_hours(self) -> float:
        """Hours not under contract."""
        return at_least(self.capacity - math.fsum(c.hours for c in self.contracts.values()), 0.0)

    def open(self, hours: float, growth: float) -> None:
        """Open with `hours` sold a month: ages of the fleet follow past growth, so that retirements are spread."""
        months = 12 * self.spec.life
        weights, total, remaining = fleet_ages(months, growth)
        paid = self.spec.book_value / remaining
        fleet = list(self.spec.fleet.items())
        for age, weight in enumerate(weights, 1):
            parts = [(accelerator, size * weight / total) for accelerator, size in fleet]
            self.cohorts[months - age] = [(accelerator, part, part * paid / months) for accelerator, part in parts]
            self.leaving[months - age] = self.size * weight / total
        self.depreciation = sum(each for cohort in self.cohorts.values() for _, _, each in cohort)
        self.book_value = self.spec.book_value * self.size
        self.meter()
        self.opening_accelerators = self.accelerators
        self.hours_sold = self.hours_asked = hours
        self.utilisation = hours / self.capacity
        self.demand = Trend(hours, growth, self.world.expectation)

    def _add_cohort(self, due: int, accelerator: str, size: float, depreciation: float) -> None:
        self.cohorts.setdefault(due, []).append((accelerator, size, depreciation))
        self.leaving[due] = self.leaving.get(due, 0.0) + size
        self.depreciation += depreciation

    # --- fleet ---------------------------------------------------------------------------------------------

    def receive(self, accelerators: dict[str, float], size: float, cost: float) -> None:
        """Install delivered chips: pay buildings, borrow or draw on the group for what cash does not cover."""
        buildings = self.spec.overhead * cost
        self.finance(cost + buildings)
        self.on_order = at_least(self.on_order - size, 0.0)
        self.spent_on_chips[self.world.month] = self.spent_on_chips.get(self.world.month, 0.0) + cost
        self.install(accelerators, size, cost + buildings)
        self.pay("buildings", "buildings", buildings, "capex")

    def install(self, accelerators: dict[str, float], size: float, value: float) -> None:
        """Add capacity worth `value` to the fleet; it retires after the useful life."""
        months = 12 * self.spec.life
        for accelerator, share in accelerators.items():
            self.fleet[accelerator] = self.fleet.get(accelerator, 0.0) + share * size
            self._add_cohort(self.world.month + months, accelerator, share * size, share * value / months)
        self.size += size
        self.book_value += value

    def take_over(self, other: "Cloud", price: float) -> None:
        """Take over another cloud's fleet, bought for `price` USD after the month's depreciation.

        Every cohort keeps its date of retirement; the price is written off over what is left of their lives, in
        proportion to what is left of their book values. The other cloud is left without a fleet.
        """
        left = {due: due - self.world.month - 1 for due in other.cohorts}
        worth = math.fsum(left[due] * each for due, cohort in other.cohorts.items() for _, _, each in cohort)
        paid = price / worth if worth > 0.0 else 0.0
        for due, cohort in other.cohorts.items():
            for accelerator, size, depreciation in cohort:
                self.fleet[accelerator] = self.fleet.get(accelerator, 0.0) + size
                self._add_cohort(due, accelerator, size, paid * depreciation)
        self.size += other.size
        self.book_value += price
        other.give_up_fleet()

    def wind_up(self) -> None:
        """Be without a fleet, customers, orders and debt."""
        super().wind_up()
        self.give_up_fleet()
        self.contracts.clear()
        self.on_order = self.debt = 0.0
        self.hours_sold = self.hours_asked = self.utilisation = 0.0

    def give_up_fleet(self) -> None:
        """Be left without accelerators: nothing to run, to depreciate or to retire."""
        self.fleet = dict.fromkeys(self.fleet, 0.0)
        self.cohorts, self.leaving = {}, {}
        self.size = self.depreciation = self.book_value = 0.0

    def retire(self) -> None:
        """Take out what has reached the end of its life; measure the fleet's growth and running cost."""
        self.leaving.pop(self.world.month, None)
        for accelerator, size, depreciation in self.cohorts.pop(self.world.month, []):
            self.fleet[accelerator] -= size
            self.size -= size
            self.depreciation -= depreciation
        self.size_growth = between(self.size / at_least(self._size_before, 1e-9), 0.5, 2.0)
        self._size_before = self.size
        self.meter()

    def finance(self, needed: float) -> None:
        """Find the cash for chips on order: own cash, then the group, then the loan that came with the order."""
        short = needed - 0.9 * self.cash
        if short <= 0.0:
            return
        if self.world.draw_on_group(self.agent_id, short, investment=True) >= short or self.spec.kind != "reseller":
            return
        self._borrow(short)

    def raise_cash(self, needed: float) -> None:
        """Find the cash for a purchase: own cash, then the group, then lenders up to their limit."""
        short = needed - 0.9 * self.cash
        if short > 0.0 and self.world.draw_on_group(self.agent_id, short, investment=True) < short:
            self.refinance(needed)

    def refinance(self, needed: float) -> None:
        """Find the cash for a repayment: own cash, then lenders up to their limit."""
        short = needed - 0.9 * self.cash
        room = self.spec.debt_limit * 12.0 * self.smoothed_revenue - self.debt
        self._borrow(at_most(short, room) if self.world.on("finance_limits") else short)

    def _borrow(self, amount: float) -> None:
        if self.spec.kind == "reseller" and amount > 0.0:
            self.world.ledger.pay("lenders", self.agent_id, "debt", amount)
            self.debt += amount

    # --- decisions ---------------------------------------------------------------------------------------------

    def expected_user_cost(self) -> float:
        """Return the user cost of the newest chips, USD per H100-equivalent hour sold (Jorgenson).

        The rent at which an accelerator bought now pays for itself over its life: the present value of its rents,
        which fall as newer generations come, is its price with buildings and the present value of running it.
        P (1 + o) = sum of (u* w (1 - decline)^t - running) / (1 + r)^t, and charges of own kinds of agents: racks
        that are on cost power and operations whether their hours are sold or not (`meter`).
        """
        spec = self.spec
        quote = self.world.chip_quote(self.region)
        discount, life = spec.discount_rate, spec.life
        worth = years_of_rent(discount, spec.rent_decline, life)
        capital = quote.price * (1.0 + spec.overhead) / 8760.0
        running = self._hourly_cost(quote.kilowatt) / quote.performance
        running *= years_of_rent(discount, 0.0, life)
        return (capital + running) / worth / spec.target_utilisation + self.world.charge(self.agent_id)

    def _hourly_cost(self, kilowatt: float) -> float:
        """Return what an accelerator of `kilowatt` costs to run for an hour, USD: power and operations.

        Space, cooling and upkeep are sold by the kilowatt, so operations go with power; the parameter is an H100's.
        """
        return kilowatt * self._hourly_kilowatt

    def meter(self) -> None:
        """Count accelerators; work out what running them costs this month, USD: power and operations, and per hour."""
        accelerators = kilowatts = 0.0
        performance, kilowatt = self.world.performance, self.world.kilowatts
        for accelerator, size in self.fleet.items():
            units = size / performance[accelerator]
            accelerators += units
            kilowatts += units * kilowatt[accelerator]
        self.accelerators = accelerators
        self.running_cost = HOURS * self._hourly_cost(kilowatts)
        self.floor = self.running_cost / at_least(self.size * HOURS, 1.0) + self.world.charge(self.agent_id)

    def plan_rent(self) -> None:
        """Decide next rent: pulled to the rule's target, pushed by utilisation, never below avoidable cost."""
        spec = self.spec
        self.user_cost = self.expected_user_cost()
        share = self.world.cloud_share(self.agent_id)
        elasticity = own_elasticity(share, spec.substitution, spec.market_elasticity)
        target = target_price(self.user_cost, elasticity, spec.entrant_cost_ratio)
        slope = spec.rent_slope if self.world.on("utilisation_pricing") else 0.0
        pressure = at_most(self.hours_asked / at_least(self.capacity, 1.0), 1.3) - spec.target_utilisation
        change = spec.rent_speed * math.log(target / self.rent) + slope * pressure
        self._rent = at_least(self.rent * math.exp(between(change, -0.2, 0.2)), self.floor)

    def plan_orders(self) -> None:
        """Decide chip orders: the fleet that demand will need after the lead time, if rent pays for it."""
        spec = self.spec
        world = self.world
        quote = world.chip_quote(self.region)
        lead = at_least(quote.lead_time, 1.0)
        months = round(lead)
        due_by = world.month + months
        retiring = math.fsum([self.leaving.get(due, 0.0) for due in range(world.month, due_by + 1)])
        per_hour = 1.0 / (spec.target_utilisation * HOURS)
        wanted = self.demand.forecast(lead, world.sentiment) * per_hour
        growth = self.demand.forecast(lead + 1.0, world.sentiment) * per_hour - wanted
        position = self.size + self.on_order + self.overflow.hours / HOURS
        gap = wanted + retiring - position
        ratio = self.rent / self.user_cost
        worth = between((ratio - 1.0) / (spec.full_hurdle - 1.0), 0.0, 1.0) if world.on("investment_hurdle") else 1.0
        pad = spec.padding * at_least(lead / 3.0 - 1.0, 0.0) if world.on("order_padding") else 0.0
        use = growth + retiring / months
        order = at_least(order_quantity(wanted + retiring, position, use, spec.order_speed), 0.0)
        order *= worth * (1.0 + at_most(pad, 1.0))
        order = at_most(order, self._order_limit() / (quote.price * (1.0 + spec.overhead)))
        self._cancel = spec.order_speed * at_least(-gap - 0.1 * self.size, 0.0)
        self._orders = world.split_order(self.agent_id, self.region, order)

    def _order_limit(self) -> float:
        """Return the value of chips and buildings that may be ordered this month, USD."""
        if not self.world.on("finance_limits"):
            return math.inf
        if self.spec.kind == "integrated":
            return self.spec.finance_share * self.world.group_cash_flow(self.agent_id)
        room = self.spec.debt_limit * 12.0 * self.smoothed_revenue - self.debt
        quote = self.world.chip_quote(self.region)
        committed = self.on_order * quote.price * (1.0 + self.spec.overhead)
        return at_least(room + 0.5 * self.cash - committed, 0.0)

    def plan_own_silicon(self) -> None:
        """Start an own accelerator once three years' spending would repay its development."""
        spec = self.spec
        if not spec.own_silicon or self.own_silicon_from is not None or not self.world.on("own_silicon"):
            return
        first = max(self.world.month - 35, 0)
        spent = math.fsum(amount for month, amount in self.spent_on_chips.items() if month >= first)
        three_years = spent * 36.0 / (self.world.month - first + 1)
        if three_years * spec.own_silicon_share > spec.own_silicon_fixed / (1.0 - spec.own_silicon_cost + 1e-9):
            self.own_silicon_from = self.world.month + spec.own_silicon_delay

    def commit(self) -> None:
        """Publish the rent, place and cancel orders."""
        self.rent = self._rent
        own = self.spec.own_silicon_share if self.own_silicon_ready else 0.0
        for supplier, quantity in self._orders.items():
            bought = (1.0 - own) * quantity
            self.on_order += bought
            self.world.place_order(self.agent_id, supplier, self.region, bought)
        self.ordered = math.fsum(self._orders.values())
        self.make_own_silicon(own * self.ordered)
        if self._cancel > 0.0 and self.on_order > 0.0:
            cancelled, fee = self.world.cancel_orders(self.agent_id, self.region, self._cancel)
            self.on_order = at_least(self.on_order - cancelled, 0.0)
            self.finance(fee)

    def make_own_silicon(self, quantity: float) -> None:
        """Have `quantity` H100-equivalents of the own accelerator made at kappa times the market price."""
        if quantity <= 0.0:
            return
        quote = self.world.chip_quote(self.region)
        cost = self.spec.own_silicon_cost * quote.price * quantity
        buildings = self.spec.overhead * cost
        self.finance(cost + buildings)
        self.pay("wafers", "wafers", cost, "capex", quantity)
        self.pay("buildings", "buildings", buildings, "capex")
        self.install({quote.accelerator: 1.0}, quantity, cost + buildings)

    @property
    def own_silicon_ready(self) -> bool:
        """Whether the own accelerator can be made."""
        return self.own_silicon_from is not None and self.world.month >= self.own_silicon_from

    # --- hours -------------------------------------------------------------------------------------------------

    def expire_contracts(self) -> None:
        """Let one month's worth of every contract run out."""
        left = 1.0 - 1.0 / self.spec.contract_months
        for contract in self.contracts.values():
            contract.hours *= left

    def contract(self, customer: str, hours: float) -> None:
        """Sign `hours` at the present rent at once, as at the opening."""
        self.contracts.setdefault(customer, Contract(0.0, self.rent)).add(hours, self.rent)

    def request_contract(self, customer: str, hours: float) -> None:
        """Receive a customer's wish for committed hours (the total it wants)."""
        self._requests[customer] = self._requests.get(customer, 0.0) + hours

    def sign_contracts(self) -> None:
        """Sign what is asked for at the present rent; pro rata where free hours run short."""
        wanted = {
            c: at_least(h - (self.contracts[c].hours if c in self.contracts else 0.0), 0.0)
            for c, h in self._requests.items()
        }
        total = math.fsum(wanted.values())
        scale = at_most(1.0, self.free_hours / total) if total > 0.0 else 0.0
        for customer, hours in wanted.items():
            self.contract(customer, hours * scale)
        self._requests.clear()

    def quote_spot(self) -> None:
        """Set the month's price of hours without a contract: it follows how full the cloud is."""
        self.spot_price = at_least(self.rent * math.exp(self.utilisation - self.spec.target_utilisation), self.floor)

    @property
    def volume(self) -> float:
        """H100-equivalent hours sold this month."""
        return self.hours_sold

    def settle(self) -> None:
        """Pay power, operations, staff, own-silicon development, interest and principal; depreciate.

        Staff grows with the accelerators in the fleet, and shrinks with them to no less than half of the opening's.
        """
        spec = self.spec
        self.meter()
        self.pay("power", "power", self.running_cost, "cost_of_sales")
        self.pay("staff", "staff", spec.staff * at_least(self.accelerators / self.opening_accelerators, 0.5), "staff")
        self.books.depreciation += self.depreciation
        self.book_value = at_least(self.book_value - self.depreciation, 0.0)
        if self.own_silicon_from is not None and not self.own_silicon_ready and spec.own_silicon_delay:
            self.pay("staff", "staff", spec.own_silicon_fixed / spec.own_silicon_delay, "research_staff")
        if self.debt > 0.0:
            self.pay("interest", "interest", self.debt * spec.debt_rate / 12.0, "interest")
            principal = at_most(self.debt / spec.amortisation, self.debt)
            self.refinance(principal)
            self.pay("principal", "principal", principal, "financial")
            self.debt -= principal
