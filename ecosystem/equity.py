"""Equity: what investors think firms are worth, sentiment, news, and money from suppliers to customers."""

import math
from typing import TYPE_CHECKING

from agents.bounds import at_least, at_most
from agents.expectations import coloured
from agents.firm import Firm
from agents.investors import annuity, efficiency_news, sentiment_step

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

OTHER_POOL_MULTIPLE = 200.0
"""Months of an owner's other cash flow in its value: about 17 years (judgement)."""
MATURE_SHARE = 0.6
"""Share of gross profit left after staff and research in a mature firm of any tier (judgement)."""


class Equity:
    """Values of all firms under the investors' own forecasts."""

    def __init__(self, chain: "ValueChain") -> None:
        self.chain = chain
        self.belief: dict[str, float] = dict.fromkeys(chain.firms, 1.0)
        self.reaction: dict[str, float] = {}
        self._views = {r: (each.growth_fade, each.discount_rate) for r, each in chain.spec.investors.items()}

    def update_sentiment(self, downstream: float, upstream: float) -> None:
        """Move sentiment, which all regions share, with the surprises of last month: the mean of their reactions."""
        chain = self.chain
        if chain.on("sentiment"):
            views = chain.spec.investors.values()
            steps = [sentiment_step(chain.sentiment, downstream, upstream, each) for each in views]
            chain.sentiment = math.fsum(steps) / len(steps)

    def invest_in_customers(self) -> None:
        """Circular finance: chipmakers put a share of profit as equity into customers without an owner behind them."""
        chain = self.chain
        customers = [
            (firm, at_least(firm.smoothed_revenue, 1.0))
            for firm in (*chain.labs.values(), *chain.clouds.values())
            if firm.alive and not chain.funded_by_group(firm.agent_id)
        ]
        total = math.fsum([size for _, size in customers])
        for maker in chain.chipmakers.values():
            budget = maker.spec.circular_share * at_least(maker.smoothed_gross, 0.0)
            budget = at_most(budget, 0.5 * maker.cash)
            if budget <= 0.0:
                continue
            for firm, size in customers:
                part = budget * size / total
                if part > 0.0:
                    maker.pay(firm.agent_id, "equity", part, "financial")
                    firm.equity_raised += part

    def value_firms(self) -> None:
        """Value every firm: discounted expected profit, growth fading, plus its owner's other business for clouds."""
        chain = self.chain
        for news in chain.timeline.news:
            self._take_news(news.saving)
        for firm_id, firm in chain.firms.items():
            belief = self.belief[firm_id]
            belief = self.belief[firm_id] = belief + 0.15 * (1.0 - belief)
            firm.value = self._fundamental(firm) * belief if firm.alive else 0.0

    def _fundamental(self, firm: Firm) -> float:
        profit = MATURE_SHARE * at_least(firm.smoothed_gross, 0.1 * firm.smoothed_revenue)
        growth = at_most(coloured(at_least(firm.revenue_growth, -0.03), self.chain.sentiment), 0.06)
        return profit * annuity(growth, *self._views[firm.region]) + self._other_pool(firm)

    def _other_pool(self, firm: Firm) -> float:
        """Return the worth of the other business of a cloud's owner."""
        if firm.tier != "clouds" or not self.chain.funded_by_group(firm.agent_id):
            return 0.0
        return OTHER_POOL_MULTIPLE * self.chain.group_cash_flow(firm.agent_id)

    def _take_news(self, saving: float) -> None:
        """Revise values on efficiency news, firm by firm: how much of its value is AI, and where it stands."""
        self.reaction = {}
        for firm_id, firm in self.chain.firms.items():
            value = self._fundamental(firm)
            if not firm.alive or value <= 0.0:
                continue
            ai_share = 1.0 - self._other_pool(firm) / value
            views = self.chain.spec.investors[firm.region]
            factor = efficiency_news(firm.tier, saving, ai_share, at_least(firm.revenue_growth, 0.0), views)
            self.belief[firm_id] *= factor
            self.reaction[firm_id] = factor - 1.0
