"""The value chain as a picture: firms in columns by tier, curves as wide as the money that flows back."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments import formats as f
from experiments.charts import tidy
from experiments.outcomes import TIER_ORDER, WINDOW, ratio, window

if TYPE_CHECKING:
    import altair as alt

    from experiments.runs import RunResult

COLUMNS = (*TIER_ORDER, "final demand")
MOST = 12
"""Firms shown in a column; the others are one node."""
STEPS = 12
LABELLED = 7
ROW = 38.0
SMALLEST = 2e-5
"""Flows below this share of all sales are not drawn."""
RADIUS = 17.0
LETTER = 0.0095
"""Width of a letter, where the columns are 1/4 apart."""


@dataclass(slots=True)
class Node:
    """A circle: a firm, the small firms of a tier together, or a kind of buyer."""

    name: str
    column: str
    revenue: float
    profit: float
    x: float = 0.0
    y: float = 0.0


@dataclass(slots=True)
class Edge:
    """A curve from a supplier to a buyer, USD a year."""

    supplier: str
    buyer: str
    value: float = 0.0
    goods: dict[str, float] = field(default_factory=dict)


def network_chart(run: "RunResult") -> tuple[str, "alt.LayerChart"]:
    """Return the title and the picture of the last year's trade."""
    nodes, edges = network(run)
    largest = max(edges, key=lambda edge: edge.value, default=None)
    title = "Nobody trades."
    if largest is not None:
        title = (
            f"The largest flow is of {_goods(largest)} from {nodes[largest.supplier].name} to "
            f"{nodes[largest.buyer].name}: {f.money(largest.value)} a year"
        )
    return title, _draw(nodes, edges)


def network(run: "RunResult", like: "RunResult | None" = None) -> tuple[dict[str, Node], list[Edge]]:
    """Return the nodes by key, placed in the unit square, and the edges: what was sold in the last year.

    `like`: a run of the same firms that decides which of them are shown on their own; the run itself by default.
    """
    flows = run.flows_of(window(run.months))
    nodes, home = _nodes(run, like or run)
    edges: dict[tuple[str, str], Edge] = {}
    yearly = 12.0 / min(WINDOW, run.months)
    for i in (flows.operating & (flows.amount > 0.0)).nonzero()[0].tolist():
        payer, payee = flows.accounts[flows.payer[i]], flows.accounts[flows.payee[i]]
        supplier, buyer = home.get(payee.id), home.get(payer.id) or _buyer(nodes, payer.tier or payer.id)
        if supplier is None or supplier == buyer:
            continue
        edge = edges.setdefault((supplier, buyer), Edge(supplier, buyer))
        value = yearly * float(flows.amount[i])
        edge.value += value
        good = flows.kinds[flows.kind[i]].name
        edge.goods[good] = edge.goods.get(good, 0.0) + value
        if nodes[buyer].column == COLUMNS[-1]:
            nodes[buyer].revenue += value
    _place(nodes)
    return nodes, sorted(edges.values(), key=lambda edge: edge.value)


def _nodes(run: "RunResult", like: "RunResult") -> tuple[dict[str, Node], dict[str, str]]:
    """Return a node for each larger firm and one for the others of a tier, and the node of every firm."""
    span = window(run.months)
    yearly = 12.0 / (span.stop - span.start)
    revenue = yearly * run.field("revenue")[span].sum(axis=0)
    profit = yearly * run.field("operating_profit")[span].sum(axis=0)
    rank = yearly * like.field("revenue")[span].sum(axis=0)
    nodes: dict[str, Node] = {}
    home: dict[str, str] = {}
    for tier in TIER_ORDER:
        members = sorted(run.members(tier), key=lambda i: -rank[i])
        selling = sum(rank[i] > 0.0 for i in members)
        shown = members[: selling if len(members) <= MOST else min(selling, MOST - 1)]
        if len(shown) == len(members) - 1:
            shown = members
        for i in shown:
            firm = run.firm_list[i]
            nodes[firm.id] = Node(run.short_name(firm.id), tier, float(revenue[i]), float(profit[i]))
            home[firm.id] = firm.id
        rest = members[len(shown) :]
        if rest:
            key = f"other {tier}"
            nodes[key] = Node(f"{len(rest)} other {tier}", tier, float(revenue[rest].sum()), float(profit[rest].sum()))
            home |= {run.firm_list[i].id: key for i in rest}
    return nodes, home


_BUYERS = {"parents": "owners' own use", "merchants": "merchants' commissions"}


def _buyer(nodes: dict[str, Node], kind: str) -> str:
    """Return the node of a kind of final buyer, made when it is first met."""
    if kind not in nodes:
        nodes[kind] = Node(_BUYERS.get(kind, kind), COLUMNS[-1], 0.0, math.nan)
    return kind


def _place(nodes: dict[str, Node]) -> None:
    """Put the nodes of each column one below the other, the largest on top, centred."""
    columns = [
        sorted((n for n in nodes.values() if n.column == column), key=lambda n: -n.revenue) for column in COLUMNS
    ]
    tallest = max(len(column) for column in columns)
    for x, column in enumerate(columns):
        gap = tallest / max(len(column), 1)
        for y, node in enumerate(column):
            node.x, node.y = x / (len(COLUMNS) - 1), tallest - (y + 0.5) * gap


def _curve(start: Node, end: Node) -> list[tuple[float, float]]:
    """Return points of a smooth curve between two nodes; in one column it bends to the right."""
    bend = 0.09 if start.x == end.x else 0.0
    points = []
    for step in range(STEPS + 1):
        t = step / STEPS
        ease = t * t * (3.0 - 2.0 * t)
        x = start.x + (end.x - start.x) * t + bend * 4.0 * t * (1.0 - t)
        points.append((x, start.y + (end.y - start.y) * ease))
    return points


def _goods(edge: Edge) -> str:
    return good_name(max(edge.goods, key=lambda good: edge.goods[good]))


_GOODS = {"hours": "GPU hours", "own_use": "own GPU use", "on_premise": "on-premise boxes", "accelerators": "chips"}


def good_name(good: str) -> str:
    """Return what people call a good."""
    return _GOODS.get(good, good.replace("_", " "))


def _draw(nodes: dict[str, Node], edges: list[Edge]) -> "alt.LayerChart":
    import altair as alt

    data: Any = alt.Data
    tallest = max(sum(node.column == column for node in nodes.values()) for column in COLUMNS)
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.02, 1.16], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, tallest + 0.8], nice=False))
    circles = alt.Chart(data(values=_node_rows(nodes))).encode(x=x, y=y, tooltip=_NODE_TIPS)
    labels = alt.Chart(data(values=_labels(nodes, edges))).encode(x=x, y=y)
    heads = [{"x": i / (len(COLUMNS) - 1), "y": tallest + 0.5, "head": c} for i, c in enumerate(COLUMNS)]
    head = alt.Chart(data(values=heads)).mark_text(style="ink", align="left", dx=-6, fontWeight="bold", fontSize=13)
    largest = max((node.revenue for node in nodes.values()), default=1.0)
    size = alt.Size("revenue:Q", legend=None, scale=alt.Scale(domain=[0, largest], range=[60, 1100]))
    firms = circles.transform_filter("isValid(datum.margin)").mark_circle(opacity=1)
    layered: Any = alt.layer(
        _curves(nodes, edges, x, y),
        firms.encode(size=size, color=_margin(legend=True)),
        circles.transform_filter("!isValid(datum.margin)").mark_square(opacity=1, style="faint", size=110),
        *_text(circles, "name:N", align="left", dx=RADIUS, fontSize=12),
        *_text(labels, "label:N", fontSize=10.5),
        head.encode(x=x, y=y, text="head:N"),
    )
    layered = layered.resolve_scale(size="independent").resolve_legend(color="independent")
    chart: alt.LayerChart = layered.properties(width="container", height=ROW * (tallest + 1))
    return chart


def _margin(*, legend: bool) -> "alt.Color":
    """Return the colour of an operating margin: orange for losses, grey for none, blue for profits."""
    import altair as alt

    scale = alt.Scale(domain=[-0.6, 0.0, 0.6], range=["#E66100", "#9AA1A8", "#1F78C8"], clamp=True, interpolate="rgb")
    title = "operating margin of the supplier"
    shown = alt.Legend(title=title, titleLimit=300, format=".0%", gradientLength=220, orient="bottom", offset=0)
    return alt.Color("margin:Q", scale=scale, legend=shown if legend else None)


def _curves(nodes: dict[str, Node], edges: list[Edge], x: "alt.X", y: "alt.Y") -> "alt.Chart":
    """Draw the flows; what the tooltips say is looked up, so that it is in the page once a flow."""
    import altair as alt

    data: Any = alt.Data
    total = math.fsum(edge.value for edge in edges)
    shown = [edge for edge in edges if edge.value >= SMALLEST * total]
    points = [
        {"edge": number, "step": i, "x": tidy(px), "y": tidy(py)}
        for number, edge in enumerate(shown)
        for i, (px, py) in enumerate(_curve(nodes[edge.supplier], nodes[edge.buyer]))
    ]
    says = ["from", "to", "what", "value", "margin"]
    about = alt.LookupData(data=data(values=_edge_rows(nodes, shown)), key="edge", fields=says)
    widest = max((edge.value for edge in edges), default=1.0)
    width = alt.Size("value:Q", legend=None, scale=alt.Scale(domain=[0, widest], range=[0.6, 24]))
    base = alt.Chart(data(values=points)).transform_lookup(lookup="edge", from_=about)
    chart: alt.Chart = base.mark_line(opacity=0.5, strokeCap="butt", interpolate="monotone").encode(
        x=x, y=y, detail="edge:N", order="step:Q", color=_margin(legend=False), size=width, tooltip=_EDGE_TIPS
    )
    return chart


def _text(base: "alt.Chart", what: str, **look: Any) -> "list[alt.Chart]":
    """Draw text on a halo of the page's colour, so that it can be read over the curves."""
    import altair as alt

    return [
        base.mark_text(style=style, **look).encode(text=what, x=alt.X("x:Q", axis=None), y=alt.Y("y:Q", axis=None))
        for style in ("halo", "ink")
    ]


def _node_rows(nodes: dict[str, Node]) -> list[dict[str, Any]]:
    return [
        {
            "x": node.x,
            "y": node.y,
            "name": node.name,
            "tier": node.column,
            "revenue": tidy(node.revenue),
            "money": f"{f.money(node.revenue)} a year",
            "margin": tidy(ratio(node.profit, node.revenue)),
        }
        for node in nodes.values()
    ]


def _edge_rows(nodes: dict[str, Node], edges: list[Edge]) -> list[dict[str, Any]]:
    return [
        {
            "edge": number,
            "from": nodes[edge.supplier].name,
            "to": nodes[edge.buyer].name,
            "what": ", ".join(f"{good_name(good)} {f.money(v)}" for good, v in edge.goods.items()),
            "value": tidy(edge.value),
            "margin": tidy(ratio(nodes[edge.supplier].profit, nodes[edge.supplier].revenue)),
        }
        for number, edge in enumerate(edges)
    ]


def _labels(nodes: dict[str, Node], edges: list[Edge]) -> list[dict[str, Any]]:
    """Label the largest flows on their curves, where the label covers neither a name nor another label."""
    taken = [(node.x, node.x + 0.02 + LETTER * len(node.name), node.y) for node in nodes.values()]
    rows: list[dict[str, Any]] = []
    for edge in reversed(edges):
        label = f"{f.money(edge.value)} {_goods(edge)}"
        half = 0.45 * LETTER * len(label)
        points = _curve(nodes[edge.supplier], nodes[edge.buyer])
        for x, y in (points[place] for place in sorted(range(2, STEPS - 1), key=lambda i: abs(i - 0.55 * STEPS))):
            if all(x + half < left or right < x - half or abs(y - at) > 0.42 for left, right, at in taken):
                rows.append({"x": x, "y": y, "label": label})
                taken.append((x - half, x + half, y))
                break
        if len(rows) == LABELLED:
            break
    return rows


_EDGE_TIPS = [
    {"field": "from", "type": "nominal", "title": "from"},
    {"field": "to", "type": "nominal", "title": "to"},
    {"field": "what", "type": "nominal", "title": "a year"},
    {"field": "margin", "type": "quantitative", "title": "supplier's margin", "format": ".0%"},
]
_NODE_TIPS = [
    {"field": "name", "type": "nominal", "title": "who"},
    {"field": "tier", "type": "nominal", "title": "tier"},
    {"field": "money", "type": "nominal", "title": "revenue (of buyers: spending)"},
    {"field": "margin", "type": "quantitative", "title": "operating margin", "format": ".0%"},
]
