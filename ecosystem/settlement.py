"""Invoices of the month, in an order that lets money reach those who must pay with it; failures."""

import math
from typing import TYPE_CHECKING

from agents.app import App
from agents.bounds import at_least, at_most
from agents.cloud import Cloud
from agents.firm import Firm
from agents.lab import Lab
from agents.monetisation import ApiSpec

if TYPE_CHECKING:
    from ecosystem.model import ValueChain


class Settlement:
    """The settlement phase of a month."""

    def __init__(self, chain: "ValueChain") -> None:
        self.chain = chain
        self.api_revenue = 0.0
        """What enterprises paid for tokens this month, USD."""

    def run(self) -> None:
        """Settle everything: final demand first, then tokens, hours, other costs, taxes, pay-outs."""
        chain = self.chain
        for app in chain.apps.values():
            if app.alive:
                app.collect(chain.usage(app.agent_id))
        self._enterprise_invoices()
        self._other_demand_invoices()
        for app in chain.apps.values():
            if app.alive:
                self._token_invoices(app)
                self._search_invoices(app)
        self._hours_invoices()
        for firm in chain.firms.values():
            if firm.alive:
                firm.settle()
        chain.own.act("settlement")
        self._close()

    def _enterprise_invoices(self) -> None:
        """Enterprises pay labs and hosts for tokens; off-peak discounts lower what list prices bring in."""
        chain = self.chain
        labs, clouds = chain.labs, chain.clouds
        regions = {name: segment.spec.region for name, segment in chain.enterprises.items()}
        invoices: dict[tuple[str, str], tuple[float, float]] = {}
        for (segment, seller, lab, _), (volume, value) in chain.serving.api_sales.items():
            served = labs[seller].served if seller in labs else clouds[seller].hosted[lab].served
            parties = regions[segment], seller
            amount, quantity = invoices.get(parties, (0.0, 0.0))
            invoices[parties] = amount + value * served, quantity + volume * served
        self.api_revenue = 0.0
        for (region, seller), (amount, quantity) in invoices.items():
            paid = amount * (1.0 - chain.off_peak(seller))
            self.api_revenue += paid
            chain.trade(f"enterprises.{region}", seller, "tokens", paid, quantity, None)

    def _other_demand_invoices(self) -> None:
        """Parents pay for own use, others for direct rental, at rent."""
        chain = self.chain
        for cloud_id, cloud in chain.clouds.items():
            granted = chain.hours.granted[cloud_id]
            own = granted.get(f"own_use.{cloud_id}", 0.0)
            direct = granted.get(f"direct.{cloud_id}", 0.0)
            if own > 0.0:
                chain.trade(f"parents.{cloud.group or cloud_id}", cloud_id, "own_use", own * cloud.rent, own, None)
            if direct > 0.0:
                chain.trade(f"enterprises.{cloud.region}", cloud_id, "hours", direct * cloud.rent, direct, None)

    def _token_invoices(self, app: App) -> None:
        """An app pays for its tokens: by API at list, inside its group at the transfer price, or for hours."""
        chain = self.chain
        if app.supply.mode in ("self_host", "own_model"):
            chain.hours.pay_clouds(app.agent_id)
            _, cost = chain.hours.hours_of(app.agent_id)
            chain.paid_cost[app.agent_id] = cost * self._paid_share(app)
            return
        lab = chain.labs[app.supply.supplier]
        discount = chain.off_peak(lab.agent_id) if app.supply.mode == "api" else 0.0
        paid_cost = 0.0
        for (size, paid), mtok in chain.serving.app_tokens[app.agent_id].items():
            volume = math.fsum(mtok)
            if volume <= 0.0:
                continue
            mix = (mtok[0] / volume, mtok[1] / volume, mtok[2] / volume)
            if app.supply.mode == "own":
                price = chain.tokens.transfer_price(app, lab.agent_id, size, mix)
            else:
                price = lab.models[size].price.blend(mix) * (1.0 - discount)
            served = lab.served if paid else lab.free_served
            amount = volume * price * served
            chain.trade(app.agent_id, lab.agent_id, "tokens", amount, volume * served, "cost_of_sales")
            if paid:
                paid_cost += amount
        chain.paid_cost[app.agent_id] = paid_cost

    def _paid_share(self, app: App) -> float:
        """Return the share of an app's tokens that paying users take."""
        tokens = self.chain.serving.app_tokens[app.agent_id]
        total = math.fsum(math.fsum(mtok) for mtok in tokens.values())
        paid = math.fsum(math.fsum(mtok) for (_, pays), mtok in tokens.items() if pays)
        return paid / total if total > 0.0 else 0.0

    def _search_invoices(self, app: App) -> None:
        """An app that buys search calls pays the seller's price."""
        supplier = app.search_supplier
        if supplier is None or app.spec.search_calls <= 0.0:
            return
        seller = self.chain.apps[supplier]
        terms = seller.ways.get("api")
        if not seller.alive or not isinstance(terms, ApiSpec):
            return
        calls = app.spec.search_calls * self.chain.app_queries(app.agent_id)
        self.chain.trade(app.agent_id, supplier, "api_calls", calls / 1000.0 * seller.api_price, calls, "cost_of_sales")
        seller.pay("overhead", "overhead", terms.unit_cost * calls / 1000.0, "cost_of_sales")

    def _hours_invoices(self) -> None:
        """Labs pay their hours, serving apart from training; clouds pay resellers."""
        chain = self.chain
        for lab in chain.labs.values():
            if lab.alive:
                chain.hours.pay_clouds(lab.agent_id, self._serving_share(lab))
        for cloud in chain.clouds.values():
            if cloud.alive and cloud.spec.overflow:
                chain.hours.pay_clouds(cloud.agent_id)

    def _serving_share(self, lab: Lab) -> float:
        """Return the share of a lab's hours that is cost of sales: served hours, nights lent to training apart."""
        got, _ = self.chain.hours.hours_of(lab.agent_id)
        if got <= 0.0:
            return 1.0
        lent = self.chain.serving.lent(lab.hours_used)
        return at_most(at_least(lab.hours_used - lent, 0.0) / got, 1.0)

    def _close(self) -> None:
        """Pay arrears, taxes and owners; find out who fails."""
        chain = self.chain
        tax_rate = chain.spec.market.tax_rate
        debtors = chain.ledger.debtors
        for firm in chain.firms.values():
            if not firm.alive:
                continue
            if firm.agent_id in debtors:
                chain.ledger.settle_arrears(firm.agent_id)
            firm.close_books(tax_rate)
            self._pay_out(firm)
        if chain.on("failure"):
            debtors = chain.ledger.debtors
            self._fail([f for f in chain.firms.values() if f.agent_id in debtors and f.alive and self._is_bankrupt(f)])

    def _pay_out(self, firm: Firm) -> None:
        """Give profit back: chipmakers by their payout, firms of an owner all, which he may hand on next month."""
        chain = self.chain
        if firm.agent_id in chain.chipmakers:
            firm.pay_out(1.0, chain.chipmakers[firm.agent_id].spec.payout)
        elif firm.group is not None and chain.funded_by_group(firm.agent_id):
            chain.group_received[firm.group] += firm.pay_out(3.0, 1.0)

    def _is_bankrupt(self, firm: Firm) -> bool:
        ledger = self.chain.ledger
        late = ledger.arrears_months(firm.agent_id) >= self.chain.spec.market.default_months
        return late and ledger.arrears(firm.agent_id) > 1.0

    def _fail(self, firms: list[Firm]) -> None:
        """End firms: assets are sold at a part of book value, creditors get that, the rest is written off."""
        chain = self.chain
        for firm in firms:
            firm.alive = False
            firm.failed_in = chain.month
        for firm in firms:
            if firm.agent_id in chain.clouds:
                self._sell_fleet(chain.clouds[firm.agent_id])
            self._end_contracts(firm.agent_id)
            self._pay_creditors(firm)
            firm.wind_up()
            chain.failures.append((chain.month, firm.agent_id))

    def _end_contracts(self, firm_id: str) -> None:
        """End a failed firm's contracts for hours and the orders that it placed or took."""
        chain = self.chain
        for cloud in chain.clouds.values():
            cloud.contracts.pop(firm_id, None)
        for maker in chain.chipmakers.values():
            for line in maker.lines.values():
                line.book.pop(firm_id, None)
        if firm_id in chain.chipmakers:
            for line in chain.chipmakers[firm_id].lines.values():
                for buyer, order in line.book.items():
                    if buyer in chain.clouds:
                        chain.clouds[buyer].on_order -= order.quantity

    def _pay_creditors(self, firm: Firm) -> None:
        """Pay suppliers, then lenders, as far as the money goes, and write off the rest."""
        ledger = self.chain.ledger
        ledger.settle_arrears(firm.agent_id)
        ledger.write_off(firm.agent_id)
        cloud = self.chain.clouds.get(firm.agent_id)
        debt = cloud.debt if cloud is not None else 0.0
        repaid = min(debt, firm.cash)
        if repaid > 0.0:
            ledger.pay(firm.agent_id, "principal", "principal", repaid)
        ledger.forgive(firm.agent_id, "lenders", "principal", debt - repaid)
        if firm.cash > 0.0:
            ledger.pay(firm.agent_id, "creditors", "principal", firm.cash)

    def _sell_fleet(self, seller: Cloud) -> None:
        """Sell a failed cloud's fleet to the largest living cloud of its region that can finance it."""
        chain = self.chain
        buyers = [c for c in chain.clouds.values() if c.alive and c.region == seller.region]
        price = chain.spec.market.sale_value * seller.book_value
        for buyer in sorted(buyers, key=lambda c: (-c.size, c.agent_id)):
            buyer.raise_cash(price)
            if buyer.cash >= price and seller.size > 0.0:
                chain.ledger.pay(buyer.agent_id, seller.agent_id, "asset_sale", price)
                buyer.take_over(seller, price)
                break
