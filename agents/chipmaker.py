"""Chipmakers: make accelerators with a construction lag, allocate scarce units, price by one rule."""

import math
from collections import deque

from agents.bounds import at_least, at_most
from agents.chipmaker_spec import ChipmakerSpec, LineSpec
from agents.expectations import Trend
from agents.firm import Firm
from agents.pricing import adjusted_premium, adjusted_price, own_elasticity, target_price
from agents.world import World


def rationed(needs: dict[str, float], weights: dict[str, float], capacity: float) -> dict[str, float]:
    """Share capacity out by weight, to nobody more than is needed: what is left over goes to the others."""
    shares = dict.fromkeys(needs, 0.0)
    waiting = [key for key, need in needs.items() if need > 0.0]
    while waiting:
        level = capacity / math.fsum([weights[key] for key in waiting])
        served = [key for key in waiting if needs[key] <= weights[key] * level]
        shares |= {key: at_most(needs[key], weights[key] * level) for key in served or waiting}
        capacity -= math.fsum([needs[key] for key in served])
        waiting = [key for key in waiting if served and key not in served]
    return shares


class Order:
    """What one buyer has on order: lots, oldest first, each with the price of its order date."""

    __slots__ = ("lots", "quantity")

    def __init__(self) -> None:
        self.lots: deque[list[float]] = deque()
        self.quantity = 0.0

    def add(self, quantity: float, price: float) -> None:
        """Add a lot of H100-equivalents at a price, USD each."""
        if quantity > 0.0:
            self.lots.append([quantity, price])
            self.quantity += quantity

    def keep(self, share: float) -> float:
        """Keep `share` of every lot; return the quantity that is gone."""
        gone = self.quantity * (1.0 - share)
        self.quantity *= share
        for lot in self.lots:
            lot[0] *= share
        return gone

    def take(self, quantity: float, newest: bool = False) -> float:
        """Take `quantity` out, oldest lots first (or the newest, for a cancellation); return its value, USD."""
        value = 0.0
        left = at_most(quantity, self.quantity)
        self.quantity -= left
        lots, end = self.lots, -1 if newest else 0
        while left > 0.0 and lots:
            held, price = lots[end]
            if held > left:
                lots[end][0] = held - left
                value += left * price
                break
            value += held * price
            left -= held
            del lots[end]
        if not self.lots:
            self.quantity = 0.0
        return value


class Line:
    """A chipmaker's business in one region: price, stock and the order book. Quantities in H100-equivalents."""

    __slots__ = (
        "_mixes",
        "allowed",
        "book",
        "cumulative",
        "forward",
        "inventory",
        "inventory_cost",
        "ordered",
        "perf",
        "premium",
        "price",
        "products",
        "reference",
        "shipped",
        "spec",
        "unit_cost",
    )

    def __init__(self, spec: LineSpec) -> None:
        self.spec = spec
        self.products = dict(sorted(spec.products.items(), key=lambda item: (item[1].available_from, item[0])))
        self._mixes: dict[int, dict[str, float]] = {}
        self.price = 0.0
        self.premium = 0.0
        self.inventory = 0.0
        self.inventory_cost = 0.0
        self.book: dict[str, Order] = {}
        self.ordered = 0.0
        self.shipped = 0.0
        self.allowed = 1.0
        self.cumulative = dict.fromkeys(spec.products, 0.0)
        self.reference = 1.0
        self.perf = 1.0
        self.forward = 1.0
        self.unit_cost = 0.0

    @property
    def quote(self) -> float:
        """Price of an H100-equivalent ordered now and delivered after the lead time, USD."""
        return self.price * self.forward

    @property
    def backlog(self) -> float:
        """Orders on hand, H100-equivalents."""
        return math.fsum([order.quantity for order in self.book.values()])

    def enter(self, buyer: str, quantity: float, price: float) -> None:
        """Put an order into the book."""
        order = self.book.get(buyer)
        if order is None:
            order = self.book[buyer] = Order()
        order.add(quantity, price)

    def mix(self, month: int) -> dict[str, float]:
        """Return the share of each product in units made this month: each ramps up over its predecessors."""
        if month not in self._mixes:
            shares: dict[str, float] = {}
            remaining = 1.0
            for key, product in reversed(self.products.items()):
                ramp = (month - product.available_from + 1) / product.ramp_months
                share = remaining * min(max(ramp, 0.0), 1.0)
                shares[key] = share
                remaining -= share
            oldest = next(iter(self.products))
            shares[oldest] += remaining
            self._mixes[month] = {key: shares[key] for key in self.products}
        return self._mixes[month]


class Chipmaker(Firm):
    """Makes and sells accelerators."""

    def __init__(self, world: World, firm_id: str, spec: ChipmakerSpec) -> None:
        super().__init__(world, firm_id, tier="chips", region=spec.region, group=spec.group)
        self.spec = spec
        self.lines = {region: Line(line) for region, line in spec.lines.items()}
        self.capacity = self.opening_capacity = 0.0
        self.pipeline: list[tuple[int, float]] = []
        self.orders = Trend(0.0, 0.0, world.expectation)
        self.produced = 0.0
        self.lead_time = spec.backlog_months
        self.tooling = 0.0
        self.opening_revenue = math.fsum(spec.opening_sales.values())
        self._prices: dict[str, tuple[float, float]] = {}
        self._backlog_prices: dict[str, list[float]] = {}

    def open(self, growth: float) -> None:
        """Set price, capacity, stock and backlog so that the opening sales are the opening capacity."""
        for region, line in self.lines.items():
            self._update_mix(line)
            lead = line.mix(0)
            oldest = next(iter(lead))
            per_h100 = line.spec.opening_price / self.world.performance[line.products[oldest].accelerator]
            line.price = per_h100
            sold = self.spec.opening_sales.get(region, 0.0) / per_h100
            line.reference = max(12.0 * sold / line.perf, 1.0)
            self.capacity += sold / line.perf
            line.inventory = sold
            line.inventory_cost = line.unit_cost / line.perf * line.inventory
            line.shipped = sold
        self.opening_capacity = self.capacity
        self.orders = Trend(self.capacity, growth, self.world.expectation)
        planned = self.capacity
        for due in range(1, self.spec.construction_months + 1):
            units = min(planned * self.spec.capacity_growth, self.supply_limit(due) - planned)
            self.pipeline.append((due, units))
            planned += units
        self.tooling = self.spec.capacity_cost * self.capacity
        self.smoothed_revenue = self.opening_revenue

    def supply_limit(self, month: int) -> float:
        """Return the capacity for which suppliers allot wafers, memory and packaging in `month`."""
        growth = self.spec.supply_growth
        if growth is None or not self.world.on("supply_limits"):
            return math.inf
        return self.opening_capacity * math.exp(month / 12.0 * math.log1p(growth))

    def _cost_at(self, line: Line, month: int) -> tuple[float, float]:
        """Return (H100-equivalents, cost) of a package of the mix made in `month`, with the learning so far."""
        exponent = -math.log2(1.0 - self.spec.learning) if self.world.on("learning") else 0.0
        perf = cost = area = 0.0
        for key, share in line.mix(month).items():
            if share > 0.0:
                product = line.products[key]
                area += share * product.packaging
                learned = (1.0 + line.cumulative[key] / line.reference) ** -exponent
                perf += share * self.world.performance[product.accelerator]
                cost += share * product.unit_cost * learned
        return perf / area, cost / area

    def _update_mix(self, line: Line) -> None:
        """Set this month's performance and unit cost, and what a delivery after the lead time costs relative to now.

        Orders are for the generation that will be delivered: its better price-performance is in the order book.
        """
        month = self.world.month
        line.perf, line.unit_cost = self._cost_at(line, month)
        perf, cost = self._cost_at(line, month + round(at_most(self.lead_time, 24.0)))
        line.forward = cost / perf * line.perf / line.unit_cost

    # --- orders -------------------------------------------------------------------------------------------

    def take_order(self, region: str, buyer: str, quantity: float) -> float:
        """Book `quantity` H100-equivalents at today's quote, fixed at the order date; return the value, USD."""
        line = self.lines[region]
        line.enter(buyer, quantity, line.quote)
        line.ordered += quantity
        return quantity * line.quote

    def backlog_months(self, region: str) -> float:
        """Return the months of sales to a region that are on order at the opening."""
        own = self.spec.lines[region].backlog_months
        return self.spec.backlog_months if own is None else own

    def book_backlog(self, region: str, buyer: str, monthly: float) -> float:
        """Book the opening backlog of a buyer who buys for `monthly` USD: a lot for each month of the backlog.

        Each lot is at the price of the mix of its month. Return the H100-equivalents booked.
        """
        line = self.lines[region]
        if region not in self._backlog_prices:
            mixes = [self._cost_at(line, month) for month in range(round(self.backlog_months(region)))]
            self._backlog_prices[region] = [
                line.price * (cost / perf) / (line.unit_cost / line.perf) for perf, cost in mixes
            ]
        for price in self._backlog_prices[region]:
            line.enter(buyer, monthly / price, price)
        return sum(monthly / price for price in self._backlog_prices[region])

    def wind_up(self) -> None:
        """Be without orders and stock."""
        super().wind_up()
        for line in self.lines.values():
            line.book.clear()
            line.inventory = line.inventory_cost = 0.0

    def cancel_order(self, region: str, buyer: str, quantity: float) -> tuple[float, float]:
        """Take `quantity` out of the buyer's order; return (quantity cancelled, value cancelled)."""
        order = self.lines[region].book.get(buyer)
        if order is None or order.quantity <= 0.0:
            return 0.0, 0.0
        taken = min(quantity, order.quantity)
        value = order.take(taken, newest=True)
        self.lines[region].ordered -= taken
        return taken, value

    def admit(self, region: str, share: float) -> dict[str, float]:
        """Let export rules admit `share` of orders to a region; return what each buyer loses of orders on hand.

        Rules bind once: later orders are placed as far as they are admitted, so only stricter rules cost orders.
        """
        line = self.lines[region]
        kept = share / line.allowed if line.allowed > share else 1.0
        line.allowed = share
        return {buyer: order.keep(kept) for buyer, order in line.book.items()} if kept < 1.0 else {}

    # --- decisions, in the order of the month ----------------------------------------------------------------

    def deliver(self) -> None:
        """Ship min(stock, due), pro rata to what each buyer has on order; buyers pay the order-date price."""
        for region, line in self.lines.items():
            self._update_mix(line)
            backlog = line.backlog
            shipped = at_most(line.inventory, self._due(backlog))
            line.shipped = shipped
            if shipped <= 0.0:
                continue
            cost = line.inventory_cost * shipped / line.inventory
            line.inventory -= shipped
            line.inventory_cost -= cost
            self.books.cost_of_sales += cost
            accelerators = self._accelerators(line)
            for buyer, order in line.book.items():
                if order.quantity > 0.0:
                    part = shipped * order.quantity / backlog
                    self.world.deliver(self.agent_id, buyer, region, accelerators, part, order.take(part))

    def _due(self, backlog: float) -> float:
        """Return what of the orders on hand is due this month: with the lead time at rest, or a month where that is
        less, as their mean delay, however much capacity is idle."""
        return backlog / at_least(self.spec.rest_lead_time, 1.0)

    def _accelerators(self, line: Line) -> dict[str, float]:
        """Return each accelerator's share of the H100-equivalents shipped."""
        sizes: dict[str, float] = {}
        for key, share in line.mix(self.world.month).items():
            if share > 0.0:
                accelerator = line.products[key].accelerator
                sizes[accelerator] = sizes.get(accelerator, 0.0) + share * self.world.performance[accelerator]
        total = math.fsum(sizes.values())
        return {accelerator: size / total for accelerator, size in sizes.items()}

    def plan_prices(self) -> None:
        """Decide next prices: own elasticity from share and substitution, scarcity from the lead time."""
        spec = self.spec
        month = self.world.month
        lock_in = spec.lock_in * math.exp(-spec.lock_in_decay * month) if self.world.on("lock_in") else 0.0
        substitution = spec.substitution * (1.0 - lock_in)
        for region, line in self.lines.items():
            share = self.world.chip_share(region, self.agent_id)
            elasticity = own_elasticity(share, substitution, spec.market_elasticity)
            unit_cost = line.unit_cost / line.perf
            target = target_price(unit_cost, elasticity, spec.entrant_cost_ratio)
            clearing = 0.0
            if self.world.on("chip_scarcity") and self.lead_time > spec.rest_lead_time:
                clearing = spec.scarcity_slope * math.log(self.lead_time / spec.rest_lead_time)
            premium = adjusted_premium(line.premium, clearing, spec.scarcity_speed)
            price = adjusted_price(line.price, target, premium, spec.price_speed, unit_cost)
            self._prices[region] = (price, premium)

    def commit_prices(self) -> None:
        """Publish the new prices."""
        for region, (price, premium) in self._prices.items():
            self.lines[region].price, self.lines[region].premium = price, premium

    def produce(self) -> None:
        """Make what backlog and the stock target ask for, as far as capacity goes; pay wafers and packaging.

        Scarce capacity goes to the regions in proportion to what is due a month: need over the months of delivery
        that the region is used to.
        """
        needs = {}
        for region, line in self.lines.items():
            target = self.spec.inventory_months * line.shipped
            needs[region] = at_least(line.backlog + target - line.inventory, 0.0) / line.perf
        due = {region: need / at_least(self.backlog_months(region), 1.0) for region, need in needs.items()}
        made = rationed(needs, due, self.capacity * self.world.capacity_factor(self.agent_id))
        self.produced = math.fsum(made.values())
        for region, line in self.lines.items():
            units = made[region]
            cost = units * line.unit_cost
            line.inventory += units * line.perf
            line.inventory_cost += cost
            for key, share in line.mix(self.world.month).items():
                line.cumulative[key] += units * share
            self.pay("wafers", "wafers", cost, "financial", units)
            self._provide_for_excess_stock(line)

    def _provide_for_excess_stock(self, line: Line) -> None:
        """Write down stock beyond some months of sales and orders, as accounts require: how margins break in a glut.

        Stock that nobody may buy any more goes to nothing alike.
        """
        expected = self.spec.provision_months * line.shipped + line.backlog
        if self.world.on("stock_provisions") and line.inventory > expected:
            excess = line.inventory_cost * (1.0 - expected / line.inventory) / 3.0
            line.inventory_cost -= excess
            self.books.cost_of_sales += excess

    def start_capacity(self) -> None:
        """Start capacity for the orders expected when it will be ready, less a part of what is already coming.

        Suppliers set a limit: no more is started than they will have wafers, memory and packaging for. Orders are
        net of cancellations, which tell that some of them were padding.
        """
        spec = self.spec
        ordered = math.fsum(line.ordered / line.perf for line in self.lines.values())
        self.orders.observe(at_least(ordered, 0.0))
        self.capacity += math.fsum(units for due, units in self.pipeline if due <= self.world.month)
        self.pipeline = [(due, units) for due, units in self.pipeline if due > self.world.month]
        backlog = math.fsum(line.backlog / line.perf for line in self.lines.values())
        self.lead_time = at_least(backlog / self.capacity, spec.rest_lead_time) if self.capacity > 0.0 else 0.0
        coming = math.fsum(units for _, units in self.pipeline)
        rest = spec.rest_lead_time * self.capacity
        expected = self.orders.forecast(spec.construction_months, self.world.sentiment) + (backlog - rest) / 24.0
        due = self.world.month + spec.construction_months
        starts = spec.start_speed * (expected - self.capacity - spec.supply_line * coming)
        starts = at_least(at_most(starts, self.supply_limit(due) - self.capacity - coming), 0.0)
        cost = spec.capacity_cost * starts
        if starts > 0.0 and cost < 0.5 * self.cash:
            self.pipeline.append((due, starts))
            self.tooling += cost
            self.pay("equipment", "equipment", cost, "capex")
        for line in self.lines.values():
            line.ordered = 0.0

    @property
    def volume(self) -> float:
        """H100-equivalents shipped this month."""
        return math.fsum(line.shipped for line in self.lines.values())

    def settle(self) -> None:
        """Pay R&D and staff, depreciate tooling, give part of the profit back."""
        spec = self.spec
        growth = at_least(self.smoothed_revenue - self.opening_revenue, -0.5 * self.opening_revenue)
        research = at_least(spec.research + spec.research_share * growth, 0.3 * spec.research)
        self.pay("staff", "staff", research, "research_staff")
        depreciation = self.tooling / 60.0
        self.tooling -= depreciation
        self.books.depreciation += depreciation

    @property
    def inventory_value(self) -> float:
        """Finished accelerators at cost, USD."""
        return math.fsum(line.inventory_cost for line in self.lines.values())
