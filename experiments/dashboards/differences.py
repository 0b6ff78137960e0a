"""What differs between the run and the one beside it, drawn as network and Sankey: blue is more, orange is less."""

from dataclasses import replace
from typing import Any

from experiments import formats as f
from experiments.dashboards.lines import Options
from experiments.dashboards.look import EVEN, GAIN, LOSS, Look, mixed
from experiments.dashboards.pictures import (
    KEPT_END,
    WIDEST,
    Dollars,
    dollars,
    end_colour,
    layers,
    network_options,
    node_item,
    sankey_options,
)
from experiments.network_chart import COLUMNS, Edge, Node, network
from experiments.runs import RunResult

NOTHING = "Nothing differs yet: step or play."
DUST = 1e-9
"""Differences below this share of what there is are rounding."""
FULL = 0.08
"""Change of profit over revenue at which the colour is full."""
FAINT = 0.03
"""Flows that change less than this share of the largest change are drawn as thin grey lines."""
LEGEND = (
    "Difference to {other}, USD of the last year: <b style='color: {gain}'>blue</b> is more, "
    "<b style='color: {loss}'>orange</b> is less, width says by how much"
)


def legend(other: str, what: str) -> str:
    """Say what the colours mean, as HTML; `other`: what the other run is called; `what`: what else is to be said."""
    return f"<span class='soft'>{LEGEND.format(other=other, gain=GAIN, loss=LOSS)}{what}</span>"


def signed(amount: float) -> str:
    """Return an amount with its sign, USD."""
    return f"{'+' if amount > 0.0 else '-'}{f.money(abs(amount))}"


# --- the network ------------------------------------------------------------------------------------------


def network_difference(run: RunResult, twin: RunResult, look: Look, chosen: str | None) -> tuple[str, Options]:
    """Return title and drawing of how the last year's trade differs: run less twin, USD a year."""
    nodes, edges = network(run)
    others, trades = network(twin, like=run)
    changes = _changes(edges, trades)
    total = sum(edge.value for edge in (*edges, *trades))
    largest = max((abs(edge.value) for edge in changes), default=0.0)
    if largest <= DUST * total:
        changes, largest = [replace(edge, value=0.0, goods={}) for edge in edges], 0.0
    for key in {end for edge in changes for end in (edge.supplier, edge.buyer)} - nodes.keys():
        nodes[key] = replace(others[key], y=0.0)
    greatest = max((node.revenue for node in nodes.values()), default=1.0)
    items = [_node(key, node, others.get(key), greatest, look, key == chosen) for key, node in nodes.items()]
    links = [_link(edge, nodes, largest) for edge in changes]
    return _network_title(nodes, changes, largest), network_options(nodes, items, links, look)


def _changes(edges: list[Edge], trades: list[Edge]) -> list[Edge]:
    """Return run less twin, flow by flow and good by good, the smallest change first."""
    result = {(edge.supplier, edge.buyer): replace(edge, goods=dict(edge.goods)) for edge in edges}
    for trade in trades:
        change = result.setdefault((trade.supplier, trade.buyer), Edge(trade.supplier, trade.buyer))
        change.value -= trade.value
        for good, value in trade.goods.items():
            change.goods[good] = change.goods.get(good, 0.0) - value
    return sorted(result.values(), key=lambda edge: abs(edge.value))


def _network_title(nodes: dict[str, Node], changes: list[Edge], largest: float) -> str:
    if largest == 0.0:
        return NOTHING
    edge = changes[-1]
    good = max(edge.goods, key=lambda name: abs(edge.goods[name])).replace("_", " ")
    return (
        f"The largest change is {good} from {nodes[edge.supplier].name} to {nodes[edge.buyer].name}: "
        f"{signed(edge.value)} a year"
    )


def _node(key: str, node: Node, other: Node | None, greatest: float, look: Look, chosen: bool) -> Options:
    item = node_item(key, node, greatest, look, chosen)
    before = other or Node(node.name, node.column, 0.0, 0.0)
    sold, earned = node.revenue - before.revenue, node.profit - before.profit
    size = max(abs(node.revenue), abs(before.revenue))
    buyer = node.column == COLUMNS[-1]
    says = f"<b>{node.name}</b><br>{'spending' if buyer else 'revenue'} {_told(sold, size)}"
    if not buyer:
        says += f"<br>operating profit {_told(earned, size)}"
        item["itemStyle"]["color"] = _colour(earned / size / FULL if size > 0.0 else 0.0)
    return {**item, "says": says}


def _told(change: float, size: float) -> str:
    return "as in the other run" if abs(change) <= DUST * size else f"{signed(change)} a year"


def _colour(share: float) -> str:
    """Return blue for more, orange for less, the fuller the larger the share; grey for nothing."""
    return mixed(EVEN, GAIN if share > 0.0 else LOSS, min(abs(share), 1.0))


def _link(edge: Edge, nodes: dict[str, Node], largest: float) -> Options:
    supplier, buyer = nodes[edge.supplier], nodes[edge.buyer]
    part = abs(edge.value) / largest if largest > 0.0 else 0.0
    told = sorted(((g, v) for g, v in edge.goods.items() if abs(v) > DUST * largest), key=lambda item: -abs(item[1]))
    goods = "<br>".join(f"{good.replace('_', ' ')} {signed(value)} a year" for good, value in told)
    seen = part >= FAINT
    return {
        "source": edge.supplier,
        "target": edge.buyer,
        "value": edge.value,
        "lineStyle": {
            "width": round(0.6 + (WIDEST - 0.6) * part, 2) if seen else 0.6,
            "color": (GAIN if edge.value > 0.0 else LOSS) if seen else EVEN,
            "opacity": 0.55 if seen else 0.3,
            "curveness": 0.35 if supplier.x == buyer.x else 0.08,
        },
        "says": f"<b>{supplier.name} → {buyer.name}</b><br>{goods or 'as in the other run'}",
    }


# --- the dollar -------------------------------------------------------------------------------------------


def sankey_difference(run: RunResult, twin: RunResult, look: Look, other: str) -> tuple[str, Options]:
    """Return title and drawing of how the ways of the last year's dollars differ: run less twin, USD a year.

    `other`: what the twin is called.
    """
    here, there = dollars(run), dollars(twin)
    change: Dollars = {key: here.get(key, 0.0) - there.get(key, 0.0) for key in {**here, **there}}
    total = sum(here.values()) + sum(there.values())
    first, second = layers(change)
    largest = max(map(abs, (*first.values(), *second.values())), default=0.0)
    if largest <= DUST * total:
        return NOTHING, sankey_options([], [], look)
    ways = [(pair, value) for layer in (first, second) for pair, value in layer.items() if abs(value) > FAINT * largest]
    sums: dict[str, float] = {}
    for (source, tier, end), value in change.items():
        for name in (source, tier, end):
            sums[name] = sums.get(name, 0.0) + value
    ends = {end for _, end in second}
    names = list(dict.fromkeys(name for pair, _ in ways for name in pair))
    items = [_point(name, sums[name], end_colour(look, name, i, ends)) for i, name in enumerate(names)]
    links = [_way(source, target, value) for (source, target), value in ways]
    return f"{_sankey_title(change)} than in {other}", sankey_options(items, links, look)


def _point(name: str, value: float, colour: str) -> Options:
    return {
        "name": name,
        "itemStyle": {"color": colour, "borderWidth": 0},
        "label": {"formatter": f"{name} {signed(value)}"},
        "says": f"{name}: {signed(value)} a year",
    }


def _way(source: str, target: str, value: float) -> Options:
    return {
        "source": source,
        "target": target,
        "value": float(f"{abs(value):.5g}"),
        "lineStyle": {"color": GAIN if value > 0.0 else LOSS, "opacity": 0.5},
        "says": f"{source} → {target}: {signed(value)} a year",
    }


def _sankey_title(change: Dollars) -> str:
    """Say whose part of the money changes most."""
    kept: dict[str, float] = {}
    for (_, tier, end), value in change.items():
        if end == KEPT_END:
            kept[tier] = kept.get(tier, 0.0) + value
    tier = max(kept, key=lambda name: abs(kept[name]), default="")
    amount: Any = kept.get(tier, 0.0)
    name = tier.removeprefix("spent or kept by ").capitalize()
    return f"{name} keep {f.money(abs(amount))} a year {'more' if amount > 0.0 else 'less'}"
