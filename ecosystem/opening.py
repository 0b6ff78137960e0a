"""The opening month is solved, not typed: tokens per user and other compute demand close the balance.

The facts give dollars and users. Fixed: rents, prices, revenue, spending on hours, fleets. Solved: tokens per
query of each lab's own apps (or, without such apps, the deployment residual), and the other compute demand that
brings clouds to the opening utilisation.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.enterprise import OfferKey
from agents.lab import SIZES, Lab
from ecosystem.spec import SpecError
from ecosystem.token_costs import dot

if TYPE_CHECKING:
    from ecosystem.model import ValueChain

UTILISATION = (0.6, 0.9)
"""Utilisation of clouds that an opening may have."""
TOKEN_SCALE = (0.02, 60.0)
"""Tokens per query, over the scenario's guess, beyond which the opening is refused."""


@dataclass(frozen=True, slots=True)
class Plug:
    """One number that the opening solved for: what, for whom, value, unit."""

    what: str
    firm: str
    value: float
    unit: str


def open_chain(chain: "ValueChain") -> list[Plug]:
    """Solve the opening month; return the plugs. SpecError where the chain cannot balance."""
    growth = chain.spec.market.opening_growth
    for maker in chain.chipmakers.values():
        maker.open(growth)
    chain.chips.open()
    for lab in chain.labs.values():
        lab.rent_paid = math.fsum(s * chain.clouds[c].rent for c, s in lab.cloud_shares.items())
        for model in lab.models.values():
            model.opening_blend = chain.blend(model.price)
            model.volume_output = 1e7
    chain.costs.update(chain)
    chain.refresh_frontier()
    chain.tokens.publish()
    _open_enterprises(chain)
    for market in chain.consumer_markets.values():
        market.open()
    plugs = _solve_tokens(chain)
    plugs += _solve_hours(chain)
    _open_order_books(chain)
    _open_memories(chain)
    return plugs


def _open_enterprises(chain: "ValueChain") -> None:
    """Give every segment its opening suppliers."""
    for segment in chain.enterprises.values():
        region = segment.spec.region
        offers = chain.tokens.offers[region]
        spending: dict[OfferKey, float] = {}
        for lab_id, lab in chain.labs.items():
            revenue = lab.spec.enterprise_revenue.get(region, 0.0) * segment.spec.share
            if revenue > 0.0:
                spending[lab_id, lab_id, "large"] = revenue * lab.spec.large_revenue
                spending[lab_id, lab_id, "small"] = revenue * (1.0 - lab.spec.large_revenue)
        segment.open(offers, {k: v for k, v in spending.items() if v > 0.0})


def _solve_tokens(chain: "ValueChain") -> list[Plug]:
    """Find tokens per query (or the residual) so that serving takes the hours that the opening spending buys."""
    plugs = []
    for _ in range(4):
        chain.hours.clear()
        chain.serving.collect_tokens()
        plugs = [plug for lab in chain.labs.values() for plug in _solve_lab(chain, lab)]
        chain.serving.collect_tokens()
        for lab in chain.labs.values():
            chain.serving.note_volumes(lab)
        chain.costs.update(chain)
    return plugs


def _solve_lab(chain: "ValueChain", lab: Lab) -> list[Plug]:
    own_apps = [
        a for a in chain.apps.values() if a.alive and a.supply.mode == "own" and a.supply.supplier == lab.agent_id
    ]
    wanted = lab.spec.inference_spend / lab.rent_paid / chain.reserve(lab.agent_id)
    own = bought = 0.0
    for size in SIZES:
        hours = chain.costs.hours[lab.agent_id, size]
        load = chain.serving.loads[lab.agent_id, size]
        for app in own_apps:
            for (s, _), mtok in chain.serving.app_tokens[app.agent_id].items():
                if s == size:
                    own += dot((mtok[0], mtok[1], mtok[2]), hours)
        bought += math.fsum((load.paid[j] + load.free[j] + load.api[j]) * hours[j] for j in range(3))
    bought -= own
    if not math.isfinite(bought + own):
        raise SpecError(f"lab.{lab.agent_id}: none of its clouds has accelerators that can serve its models")
    if own > 0.0 and wanted > 1.02 * bought:
        factor = (wanted - bought) / own
        for app in own_apps:
            app.token_scale *= factor
        scale = own_apps[0].token_scale
        if not TOKEN_SCALE[0] <= scale <= TOKEN_SCALE[1]:
            raise SpecError(
                f"lab.{lab.agent_id}.inference_spend: {lab.spec.inference_spend:g} USD would mean {scale:.3g} times "
                f"the tokens per query that its apps state; allowed is {TOKEN_SCALE[0]:g} to {TOKEN_SCALE[1]:g}"
            )
        return [Plug("tokens per query over the stated", lab.agent_id, scale, "1")]
    if bought + own <= 0.0:
        return []
    factor = (bought + own) / wanted
    lab.efficiency *= factor
    return [Plug("serving efficiency over the kernel's", lab.agent_id, lab.efficiency, "1")]


def _solve_hours(chain: "ValueChain") -> list[Plug]:
    """Sign the opening contracts and give what is left of the utilisation to other compute demand."""
    spec = chain.spec
    plugs: list[Plug] = []
    for cloud_id, cloud in chain.clouds.items():
        for reseller, value in sorted(cloud.spec.overflow.items()):
            other = chain.clouds[reseller]
            hours = value / other.rent
            other.contract(cloud_id, hours)
            chain.hours.opening_overflow[cloud_id, reseller] = hours
            cloud.overflow.hours += hours
    for lab_id, lab in chain.labs.items():
        total = (lab.spec.inference_spend + lab.spec.training_spend) / lab.rent_paid
        for cloud_id, share in lab.cloud_shares.items():
            chain.clouds[cloud_id].contract(lab_id, share * total)
    own_use: dict[str, dict[str, float]] = {r: {} for r in spec.regions}
    direct: dict[str, dict[str, float]] = {r: {} for r in spec.regions}
    for cloud_id, cloud in chain.clouds.items():
        target = spec.market.expected_utilisation * cloud.capacity
        known = math.fsum(c.hours for c in cloud.contracts.values())
        other_hours = target - known
        if other_hours < -0.02 * cloud.capacity:
            raise SpecError(
                f"cloud.{cloud_id}: labs' contracts take {known / cloud.capacity:.0%} of its hours at the opening; "
                f"a utilisation of {UTILISATION[0]:.0%}-{UTILISATION[1]:.0%} is allowed: "
                "enlarge the fleet or lower their spending"
            )
        other_hours = max(other_hours, 0.0)
        share = spec.market.direct_share.get(cloud_id, 0.0 if cloud.group is not None else 1.0)
        own_use[cloud.region][cloud_id] = (1.0 - share) * other_hours
        direct[cloud.region][cloud_id] = share * other_hours
        utilisation = (known + other_hours) / cloud.capacity
        if not UTILISATION[0] <= utilisation <= UTILISATION[1]:
            raise SpecError(
                f"cloud.{cloud_id}: opening utilisation {utilisation:.2f} is outside {UTILISATION[0]}-{UTILISATION[1]}"
            )
        plugs.append(Plug("other compute demand", cloud_id, other_hours * cloud.rent, "USD/month"))
        cloud.open(known + other_hours, spec.market.opening_growth)
    chain.hours.publish_shares()
    for region, demand in chain.compute.items():
        chips = math.fsum(chain.chips.sizes(region, demand.spec.on_premise).values())
        demand.open(own_use[region], direct[region], chips)
    return plugs


def _open_order_books(chain: "ValueChain") -> None:
    """Put the opening backlog into the books, at opening prices."""
    for cloud_id, cloud in chain.clouds.items():
        cloud.user_cost = cloud.expected_user_cost()
        for supplier, value in sorted(cloud.spec.chip_purchases.items()):
            maker = chain.chipmakers[supplier]
            cloud.on_order += maker.book_backlog(cloud.region, cloud_id, value)
            cloud.opening_backlog = max(cloud.opening_backlog, maker.backlog_months(cloud.region))
    for region, demand in chain.compute.items():
        for supplier, value in sorted(demand.spec.on_premise.items()):
            chain.chipmakers[supplier].book_backlog(region, f"compute.{region}", value)


def _open_memories(chain: "ValueChain") -> None:
    """Start every firm's smoothed figures from the opening."""
    for lab_id, lab in chain.labs.items():
        app_revenue = math.fsum(
            chain.serving.cost_of_own(app.agent_id)
            for app in chain.apps.values()
            if app.alive and app.supply.supplier == lab_id
        )
        lab.opening_revenue = math.fsum(lab.spec.enterprise_revenue.values()) + app_revenue
        lab.smoothed_revenue = lab.opening_revenue
        lab.burn = lab.spec.inference_spend + lab.spec.training_spend + lab.spec.staff - lab.opening_revenue
        lab.hours_needed = lab.spec.inference_spend / lab.rent_paid / chain.reserve(lab_id)
        lab.serving.level, lab.serving.growth = lab.hours_needed, chain.spec.market.opening_growth
        lab.training_hours = lab.spec.training_spend / lab.rent_paid
        for size, model in lab.models.items():
            model.unit_cost = chain.tokens.cost(lab_id, size, chain.tokens.mix)
    for cloud in chain.clouds.values():
        cloud.smoothed_revenue = cloud.hours_sold * cloud.rent
    for app in chain.apps.values():
        app.burn = app.spec.staff + app.spec.marketing
    for firm in chain.firms.values():
        if firm.alive:
            firm.revenue_growth = chain.spec.market.opening_growth
    chain.tokens.update_shares(1.0)
    chain.open_trends()
