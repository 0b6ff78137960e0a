"""Colours of the dashboard, light and dark: those of the report."""

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from experiments.outcomes import TIER_ORDER

THEME = Path(__file__).parents[1] / "templates" / "theme.json"
LOSS, EVEN, GAIN = "#E66100", "#9AA1A8", "#1F78C8"
"""Margin from a loss to a gain: orange, grey, blue, told apart by all."""
MARGIN_END = 0.6
"""Margin at which the colour is full."""


@dataclass(frozen=True, slots=True)
class Look:
    """Colours of one mode. `tiers`: by tier; `others`: a palette for everything else."""

    ink: str
    soft: str
    line: str
    paper: str
    tiers: dict[str, str]
    others: tuple[str, ...]

    def colour(self, name: str, place: int) -> str:
        """Return the colour of a line: a tier's own, or the next of the palette."""
        return self.tiers.get(name) or self.others[place % len(self.others)]


@lru_cache(maxsize=2)
def look(dark: bool) -> Look:
    """Return the colours of the light or the dark mode."""
    theme: dict[str, Any] = json.loads(THEME.read_text(encoding="utf-8"))["dark" if dark else "light"]
    style = theme["style"]
    return Look(
        ink=style["ink"]["fill"],
        soft=theme["axis"]["labelColor"],
        line=theme["axis"]["gridColor"],
        paper=style["halo"]["fill"],
        tiers=dict(zip(TIER_ORDER, theme["range"]["category"], strict=False)),
        others=tuple(theme["range"]["ordinal"]),
    )


def margin_colour(margin: float | None) -> str:
    """Return the colour of an operating margin; grey where there is none."""
    if margin is None or math.isnan(margin):
        return EVEN
    share = min(abs(margin) / MARGIN_END, 1.0)
    return mixed(EVEN, GAIN if margin > 0.0 else LOSS, share)


def mixed(start: str, end: str, share: float) -> str:
    """Return the colour that lies at a share of the way from one to another."""
    parts = [round(int(start[i : i + 2], 16) * (1.0 - share) + int(end[i : i + 2], 16) * share) for i in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


CSS = """
:root { --paper: #ffffff; --ink: #23282d; --soft: #5b636b; --line: #dfe3e6; --panel: #f5f6f7; --accent: #0072b2; }
.body--dark { --paper: #181c20; --ink: #e3e7eb; --soft: #a3acb5; --line: #333a42; --panel: #20262b; --accent: #8ccbf0; }
body, .q-layout { background: var(--paper) !important; color: var(--ink); }
body { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.q-header { background: var(--panel) !important; color: var(--ink) !important; border-bottom: 1px solid var(--line); }
.q-drawer { background: var(--panel) !important; color: var(--ink); }
.nicegui-content { padding: 16px; gap: 14px; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px;
  width: 100%; min-width: 0; }
.head { font-size: 1rem; font-weight: 600; line-height: 1.35; margin: 0; }
.soft { color: var(--soft); font-size: .82rem; line-height: 1.35; }
.lead { font-size: 1.05rem; line-height: 1.45; }
.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; width: 100%; }
.firm { display: grid; grid-template-columns: minmax(240px, 1fr) minmax(0, 2fr); gap: 18px; width: 100%; }
.scroll { overflow-x: auto; width: 100%; }
.wide { min-width: 860px; width: 100%; }
.line { height: 250px; width: 100%; }
.scale { display: inline-block; width: 160px; height: 10px; border-radius: 5px; vertical-align: middle;
  background: linear-gradient(90deg, #E66100, #9AA1A8, #1F78C8); margin: 0 6px; }
table.plain { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
table.plain th, table.plain td { padding: 3px 6px; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
table.plain th { color: var(--soft); font-weight: 600; }
table.plain td { white-space: nowrap; }
table.plain td.left { white-space: normal; }
table.plain th:first-child, table.plain td:first-child, table.plain .left { text-align: left; }
.q-drawer .q-field__label, .q-drawer .q-field__native, .q-drawer .q-field__suffix { color: var(--ink); }
.q-drawer .q-expansion-item__content { padding: 0 4px 8px; }
@media (max-width: 900px) {
  .nicegui-content { padding: 10px; }
  table.plain { font-size: .8rem; }
  .charts, .firm { grid-template-columns: minmax(0, 1fr); }
  .only-wide { display: none; }
}
"""
"""Styles of the page."""

SCRIPT = """
window.short = (value, digits = 3) => {
  const size = Math.abs(value);
  for (const [step, name] of [[1e12, "tn"], [1e9, "bn"], [1e6, "m"], [1e3, "k"]])
    if (size >= 0.9995 * step) return Number((value / step).toPrecision(digits)) + name;
  return String(Number(value.toPrecision(digits)));
};
window.dollars = (value) => (value < 0 ? "-$" : "$") + window.short(Math.abs(value));
window.told = (kind) => (value) => value === null || value === undefined || value === "-" ? "–"
  : kind === "USD" ? window.dollars(value) : kind === "%" ? Number(value.toPrecision(3)) + " %" : window.short(value);
"""
"""Numbers as people read them, in the browser."""
