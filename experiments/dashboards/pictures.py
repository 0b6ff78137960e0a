"""The value chain as a graph and the dollar as a Sankey, as ECharts options."""

import math
from typing import Any

from experiments import formats as f
from experiments.dashboards.lines import Options, tooltip
from experiments.dashboards.look import EVEN, Look, margin_colour
from experiments.network_chart import COLUMNS, Edge, Node, network
from experiments.outcomes import TIER_ORDER, ratio, window
from experiments.runs import RunResult

WIDEST = 22.0
"""Width of the largest flow, pixels."""
LARGEST = 34.0
"""Diameter of the largest firm, pixels."""
ROW = 34
"""Height of a firm in its column, pixels."""


def network_picture(
    run: RunResult, look: Look, chosen: str | None = None, beside: RunResult | None = None
) -> tuple[str, Options]:
    """Return title and drawing of the last year: firms by tier, flows as width, the seller's margin as colour.

    `beside`: another run that is drawn in turn with this one, to the same scale.
    """
    nodes, edges = network(run)
    others, trades = ({}, []) if beside is None else network(beside)
    widest = max((edge.value for edge in (*edges, *trades)), default=1.0)
    largest = max((node.revenue for node in (*nodes.values(), *others.values())), default=1.0)
    items = [node_item(key, node, largest, look, key == chosen) for key, node in nodes.items()]
    total = sum(edge.value for edge in edges)
    links = [_link(edge, nodes, widest) for edge in edges if edge.value >= 1e-5 * total]
    return _network_title(nodes, edges), network_options(nodes, items, links, look)


def network_options(nodes: dict[str, Node], items: list[Options], links: list[Options], look: Look) -> Options:
    """Return the drawing of firms and flows: nodes as they are placed, and what ECharts draws of them."""
    tallest = max(node.y for node in nodes.values())
    heads = [
        {"value": [x / (len(COLUMNS) - 1), tallest + 1.1], "name": column.capitalize()}
        for x, column in enumerate(COLUMNS)
    ]
    hidden = {"type": "value", "show": False, "splitLine": {"show": False}}
    return {
        "animation": False,
        "tooltip": {"trigger": "item", ":formatter": "p => p.data.says || ''", **tooltip(look)},
        "grid": {"left": 24, "right": 24, "top": 4, "bottom": 4},
        "xAxis": {**hidden, "min": 0.0, "max": 1.17},
        "yAxis": {**hidden, "min": 0.0, "max": tallest + 1.6},
        "series": [
            {
                "type": "graph",
                "layout": "none",
                "coordinateSystem": "cartesian2d",
                "data": items,
                "links": links,
                "cursor": "pointer",
                "emphasis": {"focus": "adjacency", "lineStyle": {"opacity": 0.85}},
                "blur": {"lineStyle": {"opacity": 0.08}, "itemStyle": {"opacity": 0.35}},
                "z": 3,
            },
            {
                "type": "scatter",
                "data": heads,
                "symbolSize": 0.1,
                "silent": True,
                "label": {
                    "show": True,
                    "formatter": "{b}",
                    "position": "right",
                    "color": look.ink,
                    "fontWeight": "bold",
                    "fontSize": 13,
                    "offset": [-14, 0],
                },
                "z": 4,
            },
        ],
    }


def network_rows(run: RunResult) -> int:
    """Return the number of firms in the longest column."""
    nodes, _ = network(run)
    return max(sum(node.column == column for node in nodes.values()) for column in COLUMNS)


def _network_title(nodes: dict[str, Node], edges: list[Edge]) -> str:
    if not edges:
        return "Nobody trades."
    edge = edges[-1]
    good = max(edge.goods, key=lambda name: edge.goods[name]).replace("_", " ")
    return (
        f"The largest flow is {good} from {nodes[edge.supplier].name} to {nodes[edge.buyer].name}: "
        f"{f.money(edge.value)} a year"
    )


def _margin(node: Node) -> float | None:
    margin = ratio(node.profit, node.revenue)
    return None if math.isnan(margin) else margin


def node_item(key: str, node: Node, largest: float, look: Look, chosen: bool) -> Options:
    """Return a firm or buyer as ECharts draws it; `largest`: the revenue of the largest circle, USD a year."""
    margin = _margin(node)
    buyer = node.column == COLUMNS[-1]
    says = f"<b>{node.name}</b><br>{'spending' if buyer else 'revenue'} {f.money(node.revenue)} a year"
    if margin is not None and not buyer:
        says += f"<br>operating margin {f.percent(margin)}"
    size = 7.0 + (LARGEST - 7.0) * (max(node.revenue, 0.0) / largest) ** 0.5 if not buyer else 12.0
    return {
        "id": key,
        "name": node.name,
        "value": [node.x, node.y],
        "tier": node.column,
        "symbol": "rect" if buyer else "circle",
        "symbolSize": round(size, 1),
        "itemStyle": {
            "color": EVEN if buyer else margin_colour(margin),
            "borderColor": look.ink if chosen else look.paper,
            "borderWidth": 2.5 if chosen else 1,
        },
        "label": {
            "show": True,
            "position": "right",
            "formatter": _short(node.name),
            "color": look.ink,
            "fontSize": 11.5,
            "textBorderColor": look.paper,
            "textBorderWidth": 3,
        },
        "says": says,
    }


def _short(name: str) -> str:
    """Cut a name to what fits into a column."""
    name = name.partition(" (")[0]
    return name if len(name) <= 21 else f"{name[:20].rstrip()}…"


def _link(edge: Edge, nodes: dict[str, Node], widest: float) -> Options:
    supplier, buyer = nodes[edge.supplier], nodes[edge.buyer]
    goods = "<br>".join(
        f"{good.replace('_', ' ')} {f.money(value)} a year"
        for good, value in sorted(edge.goods.items(), key=lambda item: -item[1])
    )
    same = supplier.x == buyer.x
    return {
        "source": edge.supplier,
        "target": edge.buyer,
        "value": edge.value,
        "lineStyle": {
            "width": round(0.6 + (WIDEST - 0.6) * edge.value / widest, 2),
            "color": margin_colour(_margin(supplier)),
            "opacity": 0.45,
            "curveness": 0.35 if same else 0.08,
        },
        "says": f"<b>{supplier.name} → {buyer.name}</b><br>{goods}",
    }


# --- the dollar -------------------------------------------------------------------------------------------

Dollars = dict[tuple[str, str, str], float]
"""USD a year by (source, tier in which it ends, what it ends as)."""
_SOURCES = {"parents": "owners of integrated firms", "opening cash": "cash from before", "lenders": "lenders' loans"}
KEPT_END = "kept, owners or tax"


def sankey_picture(run: RunResult, look: Look) -> tuple[str, Options]:
    """Return title and drawing of the last year's dollars: where from, in which tier they end, and as what."""
    flows = dollars(run)
    return _sankey_title(flows), _sankey_of(flows, look)


def layers(flows: Dollars) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Return USD a year by (source, tier), and by (tier, what it ends as)."""
    first: dict[tuple[str, str], float] = {}
    second: dict[tuple[str, str], float] = {}
    for (source, tier, end), value in flows.items():
        first[source, tier] = first.get((source, tier), 0.0) + value
        second[tier, end] = second.get((tier, end), 0.0) + value
    return first, second


def _sankey_of(flows: Dollars, look: Look) -> Options:
    first, second = layers(flows)
    least = 5e-4 * sum(flows.values())
    pairs = [(pair, value) for links in (first, second) for pair, value in links.items() if value > least]
    names = list(dict.fromkeys(name for pair, _ in pairs for name in pair))
    ends = {end for _, end in second}
    items: list[Options] = [
        {"name": name, "itemStyle": {"color": end_colour(look, name, i, ends), "borderWidth": 0}}
        for i, name in enumerate(names)
    ]
    return sankey_options(
        items, [{"source": a, "target": b, "value": float(f"{value:.5g}")} for (a, b), value in pairs], look
    )


def sankey_options(items: list[Options], links: list[Options], look: Look) -> Options:
    """Return the drawing of nodes and links; `says`, where one has it, is what is told of it."""
    return {
        "animation": False,
        "tooltip": {
            "trigger": "item",
            ":formatter": "p => p.data.says || "
            "`${p.dataType === 'edge' ? p.data.source + ' → ' + p.data.target : p.name}: ${dollars(p.value)} a year`",
            **tooltip(look),
        },
        "series": [
            {
                "type": "sankey",
                "left": 8,
                "right": 190,
                "top": 10,
                "bottom": 10,
                "nodeGap": 10,
                "nodeWidth": 14,
                "nodeAlign": "left",
                "draggable": False,
                "layoutIterations": 48,
                "label": {"color": look.ink, "fontSize": 12, "textBorderColor": look.paper, "textBorderWidth": 3},
                "lineStyle": {"color": "gradient", "opacity": 0.35, "curveness": 0.5},
                "data": items,
                "links": links,
            }
        ],
    }


def end_colour(look: Look, name: str, place: int, ends: set[str]) -> str:
    """Return the colour of a node of the Sankey: what is kept stands out among the ends."""
    if name in ends:
        return look.others[4] if name == KEPT_END else EVEN
    return look.colour(name.removeprefix("spent or kept by "), place)


def _sankey_title(flows: Dollars) -> str:
    kept: dict[str, float] = {}
    for (_, tier, end), value in flows.items():
        if end == KEPT_END:
            kept[tier] = kept.get(tier, 0.0) + value
    if not kept:
        return "Nobody keeps any of the money"
    tier = max(kept, key=lambda name: kept[name])
    share = kept[tier] / sum(kept.values())
    return (
        f"Of the money that stays in the chain, {f.percent(share)} stays with {tier.removeprefix('spent or kept by ')}"
    )


def dollars(run: RunResult) -> Dollars:
    """Return USD a year by (source, tier in which it ends, what it ends as)."""
    from ecosystem.attribution import KEPT, follow_the_dollar
    from experiments.dollars import OTHER, OUTSIDE

    span = window(run.months)
    table = follow_the_dollar(run.flows_of(span)).by_source()
    yearly = 12.0 / (span.stop - span.start)
    result: Dollars = {}
    for i, (source, _) in enumerate(table.sources):
        for (tier, kind), share in zip(table.ends, table.share[i].tolist(), strict=True):
            owner = f"spent or kept by {tier}" if tier in TIER_ORDER else "paid directly"
            end = KEPT_END if kind in KEPT and tier in TIER_ORDER else OUTSIDE.get(kind, OTHER)
            key = (_SOURCES.get(source, source), owner, end)
            result[key] = result.get(key, 0.0) + yearly * share * float(table.dollars[i])
    return result


# --- in words ---------------------------------------------------------------------------------------------


def profit_sentence(run: RunResult) -> str:
    """Say what each tier earned in the month on the screen."""
    profit = run.field("operating_profit")[-1]
    parts = [_earns(tier, float(profit[run.members(tier)].sum())) for tier in TIER_ORDER]
    return f"{f.listed(parts)} a month before interest and tax.".capitalize()


def _earns(tier: str, profit: float) -> str:
    return f"{tier} {'earn' if profit >= 0.0 else 'lose'} {f.money(abs(profit))}"


def month_name(run: RunResult) -> str:
    """Return the month on the screen."""
    last: Any = run.dates[-1].tolist()
    return str(last.strftime("%B %Y"))
