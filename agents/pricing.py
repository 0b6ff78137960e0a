"""The one pricing rule that every tier uses: own elasticity, scarcity, cost floor.

Nothing here holds a margin: what a firm earns follows from its share, two substitution
parameters, the speed at which prices move, and whether capacity binds.
"""

from agents.bounds import at_least, at_most

ELASTICITY_SAFETY = 0.1
"""Below 1 + this own elasticity the mark-up formula has no finite answer and the limit price rules."""


def own_elasticity(share: float, substitution: float, market_elasticity: float) -> float:
    """Return the price elasticity that a firm with `share` of its market faces: sigma (1 - s) + eps s."""
    return substitution * (1.0 - share) + market_elasticity * share


def target_price(unit_cost: float, elasticity: float, entrant_cost_ratio: float) -> float:
    """Return the price at which marginal revenue meets `unit_cost`, capped by the entry price.

    The cap is the unit cost of the next best entrant, `entrant_cost_ratio` times the firm's own:
    above it somebody else would serve the market (limit pricing).
    """
    entry_price = unit_cost * entrant_cost_ratio
    if elasticity <= 1.0 + ELASTICITY_SAFETY:
        return entry_price
    return at_most(unit_cost * elasticity / (elasticity - 1.0), entry_price)


def adjusted_price(price: float, target: float, premium: float, speed: float, floor: float) -> float:
    """Move last month's `price` a fraction `speed` towards max(target (1 + premium), floor)."""
    return (1.0 - speed) * price + speed * at_least(target * (1.0 + premium), floor)


def adjusted_premium(premium: float, clearing_premium: float, speed: float) -> float:
    """Let the scarcity premium approach the one that would clear the market (zero when capacity is free)."""
    return premium + speed * (at_least(clearing_premium, 0.0) - premium)
