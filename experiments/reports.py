"""The report: one HTML file that needs no network, the same design for every result.

report = Report("Title", "What it says in one paragraph.")
section = report.section("Prices")
section.chart("Tokens get cheaper", chart, note="How to read it.")
section.table("Tiers", ["tier", "revenue"], [["chips", "$1bn"]])
report.write("report.html")
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import RunFailure, UserError

if TYPE_CHECKING:
    import altair as alt
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
MADE_BY = "watersellers"
"""First word of the footer of every report."""
_SAVE_BUTTON = r'data-chart="(\d+)" data-name="([^"]+)"'


@dataclass(frozen=True, slots=True)
class ChartBlock:
    """A chart: its title is a sentence that says what is seen. `wide`: over both columns; `scroll`: moved
    sideways on a phone rather than squeezed."""

    title: str
    spec: Mapping[str, Any]
    note: str = ""
    wide: bool = False
    scroll: bool = False


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table: heads with units, rows of text, the first column a name; `folded` shows only the title."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    folded: bool = False
    words: bool = False


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A paragraph."""

    text: str


Block = ChartBlock | TableBlock | TextBlock


@dataclass(slots=True)
class Section:
    """A part of a report: a heading and blocks in order."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self.blocks.append(TextBlock(text))

    def chart(
        self,
        title: str,
        chart: "alt.TopLevelMixin",
        *,
        note: str = "",
        wide: bool = False,
        scroll: bool = False,
    ) -> None:
        """Add an Altair chart; give it width="container" so that it fits any screen."""
        self.blocks.append(ChartBlock(title, chart.to_dict(validate=False), note, wide, scroll))

    def table(
        self,
        title: str,
        heads: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        note: str = "",
        folded: bool = False,
        words: bool = False,
    ) -> None:
        """Add a table; columns after the first are numbers, set to the right, unless `words`."""
        self.blocks.append(TableBlock(title, heads, [*rows], note, folded, words))


@dataclass(slots=True)
class Report:
    """A report: a title, a lead paragraph that says what comes out, facts in short, and sections."""

    title: str
    lead: str
    facts: Mapping[str, str] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)

    def section(self, title: str) -> Section:
        """Add a section and return it."""
        self.sections.append(Section(title))
        return self.sections[-1]

    def html(self) -> str:
        """Return the page; RunFailure if the libraries of the report are not installed."""
        try:
            from jinja2 import Environment, FileSystemLoader
        except ImportError as error:
            raise RunFailure(f"no report: {error.name} is not installed (watersellers[report])") from error
        environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
        environment.filters["tied"] = _tied
        charts = [block for s in self.sections for block in s.blocks if isinstance(block, ChartBlock)]
        order = {id(block): i for i, block in enumerate(charts)}
        specs = json.dumps([block.spec for block in charts], separators=(",", ":"), allow_nan=False)
        return environment.get_template("report.html.j2").render(
            report=self,
            number=lambda block: order[id(block)],
            file_name=lambda block: picture_name(order[id(block)] + 1, block.title),
            specs=specs.replace("</", "<\\/").replace("<!--", "<\\!--"),
            themes=json.dumps({"light": theme(dark=False), "dark": theme(dark=True)}),
            bundle=javascript() if charts else "",
            version=version("watersellers"),
            kind=lambda block: type(block).__name__,
        )

    def write(self, path: str | Path) -> Path:
        """Write the page and return its path; RunFailure where the disk refuses."""
        target = Path(path)
        draft = target.with_name(f".{target.name}-{os.getpid()}.tmp")
        page = self.html()
        try:
            draft.write_text(page, encoding="utf-8")
            draft.replace(target)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise RunFailure(f"cannot write {target}: {error.strerror}") from error
        return target


def _tied(text: object) -> "Markup":
    """Return text as HTML: numbers stay with their unit, `words` in backticks are code."""
    from markupsafe import Markup, escape

    html = re.sub(r"(?<=\d) (?=[%¢])", "\u00a0", str(escape(text)))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", html))


def picture_name(number: int, title: str) -> str:
    """Return the name of a chart's file, without ending: its number in the report and the words of its title."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")
    return f"{number:02}-{words}"


def charts_of_page(path: str | Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the charts of a report that was written, in its order: name for a file, and chart as Vega-Lite.

    UserError where the page cannot be read or is no report of this program; an empty list for one without charts.
    """
    try:
        page = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    if f"<footer>{MADE_BY} " not in page:
        raise UserError(f"{path} is no report of this program: name a page that one of its commands wrote")
    names = [name for _, name in sorted({(int(n), name) for n, name in re.findall(_SAVE_BUTTON, page)})]
    found = re.search(r'<script type="application/json" id="specs">(.*?)</script>', page, re.S)
    specs: list[dict[str, Any]] = json.loads(found[1]) if found is not None else []
    if len(names) != len(specs):
        raise UserError(f"{path} was written by an earlier version: make the report again")
    return list(zip(names, specs, strict=True))


def save_picture(chart: Mapping[str, Any], path: str | Path) -> Path:
    """Write one chart, given as Vega-Lite, as a picture; RunFailure where the disk refuses."""
    import vl_convert

    target = Path(path)
    if target.suffix not in {".png", ".svg", ".pdf"}:
        raise ValueError(f"{target}: a picture ends in .png, .svg or .pdf")
    spec, config = json.dumps(_printable(chart)), theme(dark=False)
    try:
        if target.suffix == ".png":
            target.write_bytes(vl_convert.vegalite_to_png(spec, config=config, ppi=200))
        elif target.suffix == ".svg":
            target.write_text(vl_convert.vegalite_to_svg(spec, config=config), encoding="utf-8")
        else:
            target.write_bytes(vl_convert.vegalite_to_pdf(spec, config=config))
    except OSError as error:
        raise RunFailure(f"cannot write {target}: {error.strerror}") from error
    return target


def theme(*, dark: bool) -> dict[str, Any]:
    """Return the Vega-Lite configuration of all charts, from the file that the page reads it from, too."""
    config: dict[str, Any] = json.loads((TEMPLATES / "theme.json").read_text("utf-8"))
    merged: dict[str, Any] = _merged(config["common"], config["dark" if dark else "light"])
    return merged


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _printable(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Give a chart that fills its container a width of its own."""
    return {**spec, "width": 560} if spec.get("width") == "container" else dict(spec)


@cache
def javascript() -> str:
    """Return Vega with all that it needs as one script, about 0.9 MB; kept in the user's cache folder.

    Making it takes a second or two, reading it none.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise RunFailure(f"no report: {error.name} is not installed (watersellers[report])") from error
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = caches / "watersellers" / f"vega-{version('vl-convert-python')}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except OSError:
        script = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")
    draft = kept.with_name(f".{kept.name}-{os.getpid()}.tmp")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(script, encoding="utf-8")
        draft.replace(kept)
    except OSError:
        pass  # the cache only saves time
    return script
