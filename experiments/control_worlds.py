"""Worlds to compare with: the same scenario in which no tier has more power than another, or none has any.

Gross margin falls downstream by accounting alone, and who leads in price earns more even at equal power. So a
claim that water sellers earn more is scored as the real world minus a world in which they have no more power.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecosystem.spec import Spec

EQUAL_ELASTICITY = 4.0
"""Own price elasticity that every firm faces in the world of equal tiers: a mark-up of a third on cost."""
EQUAL_ENTRY = 3.0
"""Unit cost of the next best entrant over own in every tier of that world."""
OPEN_ENTRY = 1.01
"""The same under perfect competition: anybody can make it at the same cost."""

_SCARCITY_OFF = {
    "mechanisms.chip_scarcity": False,
    "mechanisms.service_scarcity": False,
    "mechanisms.order_padding": False,
    "mechanisms.lock_in": False,
    "mechanisms.price_point": False,
    "mechanisms.price_war": False,
}


def equal_tiers(spec: "Spec") -> dict[str, Any]:
    """Return the overrides that give chips, clouds and labs the same concentration, substitution and lags.

    Own elasticity is sigma (1 - s) + eps s. With sigma = eps = 4 every firm faces the same elasticity whatever
    its share s, so that the concentration of its tier, from a near monopoly of chips to a dozen labs, gives it
    no power that others lack. Lock-in and the scarcity premium are off, the entry price and the speed of prices
    are the same, and capacity comes as fast in chips as in clouds (a month, with a month of orders on hand).
    Apps post the fees of the facts in both worlds.
    """
    return _power(spec, EQUAL_ELASTICITY, EQUAL_ENTRY)


def perfect_competition(spec: "Spec") -> dict[str, Any]:
    """Return the overrides under which nobody has power: entry at the same cost, no scarcity, no sunk cost.

    Research, training and staff that are paid before anything is sold are taken out: with prices at marginal
    cost nobody could bear them. Prices follow cost within the month, and costs do not fall by themselves: a price
    that lags a falling cost is a profit, and a fleet bought before chips got cheaper is a loss. So nobody expects
    rents to fall either: a charge for a loss that does not come would be a profit.
    """
    changes = _power(spec, EQUAL_ELASTICITY, OPEN_ENTRY)
    changes |= {f"mechanisms.{name}": False for name in ("software_progress", "learning", "quality_cost")}
    changes |= {f"chipmaker.{i}.price_speed": 1.0 for i in spec.chipmaker}
    changes |= {f"cloud.{i}.rent_speed": 1.0 for i in spec.cloud}
    changes |= {f"cloud.{i}.rent_decline": 0.0 for i in spec.cloud}
    changes |= {f"lab.{i}.price_speed": 1.0 for i in spec.lab}
    changes |= {f"chipmaker.{i}.{name}": 0.0 for i in spec.chipmaker for name in ("research", "research_share")}
    changes |= {f"cloud.{i}.staff": 0.0 for i in spec.cloud}
    for lab in spec.lab:
        names = ("training_spend", "training_share", "training_cash", "staff", "revenue_share", "off_peak_discount")
        changes |= {f"lab.{lab}.{name}": 0.0 for name in names}
    return changes | {"mechanisms.open_hosting": False}


def _power(spec: "Spec", elasticity: float, entry: float) -> dict[str, Any]:
    """Return the overrides that give every firm the same elasticity, entry price, price speed and lags."""
    changes: dict[str, Any] = dict(_SCARCITY_OFF)
    rule = {"substitution": elasticity, "market_elasticity": elasticity, "entrant_cost_ratio": entry}
    for chipmaker in spec.chipmaker:
        lags = {"lock_in": 0.0, "construction_months": 1, "start_speed": 0.5}
        lags |= {"backlog_months": 1.0, "rest_lead_time": 1.0}
        terms = {**rule, **lags, "price_speed": 0.2}
        changes |= {f"chipmaker.{chipmaker}.{name}": value for name, value in terms.items()}
    for cloud in spec.cloud:
        terms = {**rule, "rent_speed": 0.2, "rent_slope": 0.0, "own_silicon": False}
        changes |= {f"cloud.{cloud}.{name}": value for name, value in terms.items()}
    for lab in spec.lab:
        terms = {**rule, "price_speed": 0.2, "price_point": False}
        changes |= {f"lab.{lab}.{name}": value for name, value in terms.items()}
    return changes


WORLDS = {"equal-tiers": equal_tiers, "perfect-competition": perfect_competition}
"""Control worlds by the name that claim files use."""
