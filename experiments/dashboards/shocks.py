"""Events that can be fired from the dashboard, each at those firms of the scenario that it concerns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from agents.app_spec import TierSpec
from ecosystem.events import Event
from ecosystem.spec import Spec

EventData = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shock:
    """An event that can be fired.

    `strength` is the field that can be changed, if there is one; with `tier`, of the new terms of that tier.
    """

    key: str
    label: str
    event: EventData
    strength: str | None
    tier: str = ""

    @property
    def doc(self) -> str:
        """What the event is."""
        return " ".join((_model(self.event["kind"]).__doc__ or "").replace("`", "").split())

    @property
    def default(self) -> float | None:
        """The strength that it starts from."""
        if self.strength is None:
            return None
        if self.tier:
            return float(self.event["tiers"][self.tier][self.strength])
        return float(self.event.get(self.strength, self._field.default))

    @property
    def unit(self) -> str:
        """What the strength means."""
        if self.tier:
            return f"{self._extra['unit']}; {self._field.description}"
        return "" if self.strength is None else str(self._field.description)

    @property
    def source(self) -> str:
        """Where the usual strength comes from."""
        return "" if self.strength is None else str(self._extra["source"])

    def data(self, strength: float | None) -> EventData:
        """Return the event with a strength; the scenario's types check it."""
        if self.strength is None or strength is None:
            return dict(self.event)
        if self.tier:
            return {**self.event, "tiers": {self.tier: {self.strength: float(strength)}}}
        return {**self.event, self.strength: float(strength)}

    @property
    def _field(self) -> Any:
        model = TierSpec if self.tier else _model(self.event["kind"])
        return model.model_fields[self.strength or ""]

    @property
    def _extra(self) -> dict[str, Any]:
        return dict(self._field.json_schema_extra)


def offered(spec: Spec) -> dict[str, Shock]:
    """Return the events that a scenario knows firms and regions for, by key."""
    shocks = (make(spec) for make in _MAKERS)
    return {shock.key: shock for shock in shocks if shock is not None}


def _saving(spec: Spec) -> Shock:
    lab = next((i for i, s in spec.lab.items() if s.weights == "open" and s.deployment == "wide"), next(iter(spec.lab)))
    name = spec.lab[lab].name
    label = "DeepSeek shock" if lab == "deepseek" else f"Efficiency shock at {name}"
    return Shock("saving", label, {"kind": "efficiency_shock", "lab": lab}, "saving")


def _drought(spec: Spec) -> Shock:
    return Shock("drought", "Funding drought for a year", {"kind": "funding_drought", "months": 12}, "factor")


def _price(spec: Spec) -> Shock:
    bought = {s.search_supplier for s in spec.app.values()} - {None}
    seller = next((i for i in spec.app if i in bought), max(spec.lab, key=lambda i: _sales(spec, i)))
    name = (spec.app.get(seller) or spec.lab[seller]).name
    return Shock("price", f"API price hike by {name}", {"kind": "api_price", "firm": seller}, "factor")


def _fee(spec: Spec) -> Shock | None:
    """Double the cheapest fee of the largest app."""
    app = max(spec.app, key=lambda i: spec.app[i].users)
    paid = {name: tier.price for name, tier in spec.app[app].tiers.items() if tier.price > 0.0}
    if not paid:
        return None
    tier = min(paid, key=lambda name: paid[name])
    event = {"kind": "new_terms", "app": app, "tiers": {tier: {"price": 2.0 * paid[tier]}}}
    return Shock("fee", f"New fee of {spec.app[app].name} {tier}", event, "price", tier)


def _export(spec: Spec) -> Shock | None:
    if len(spec.regions) < 2:
        return None
    home, region = spec.regions[:2]
    event = {"kind": "export_control", "home": home, "region": region}
    return Shock("export", f"Export control, {home} to {region}", event, "leakage")


def _war(spec: Spec) -> Shock:
    lab = max(spec.lab, key=lambda i: _sales(spec, i))
    return Shock("war", f"Price war started by {spec.lab[lab].name}", {"kind": "price_war", "lab": lab}, None)


def _loss(spec: Spec) -> Shock:
    maker = max(spec.chipmaker, key=lambda i: sum(spec.chipmaker[i].opening_sales.values()))
    event = {"kind": "capacity_loss", "firm": maker, "months": 6}
    return Shock("loss", f"{spec.chipmaker[maker].name} loses capacity for half a year", event, "factor")


def _freeze(spec: Spec) -> Shock:
    region = spec.regions[0]
    event = {"kind": "demand_shift", "region": region, "months": 12}
    return Shock("freeze", f"Demand freeze for a year, {region}", event, "factor")


def _scandal(spec: Spec) -> Shock | None:
    with_ads = [i for i, s in spec.app.items() if "ads" in s.earning and s.active_from == 0]
    if not with_ads:
        return None
    app = max(with_ads, key=lambda i: spec.app[i].users)
    return Shock("scandal", f"Ad scandal at {spec.app[app].name}", {"kind": "ad_scandal", "app": app}, "trust_lost")


_MAKERS: tuple[Callable[[Spec], Shock | None], ...] = (
    _saving,
    _drought,
    _price,
    _export,
    _fee,
    _freeze,
    _loss,
    _war,
    _scandal,
)


def _sales(spec: Spec, lab: str) -> float:
    return sum(spec.lab[lab].enterprise_revenue.values())


def _model(kind: str) -> Any:
    """Return the class of a kind of event."""
    union = get_args(Event)[0]
    return next(cls for cls in get_args(union) if kind in get_args(cls.model_fields["kind"].annotation))
