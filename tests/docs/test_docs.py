"""The documentation does what it says: marked blocks are run, generated pages are fresh, links lead somewhere."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from agents.kinds import KINDS
from agents.monetisation import WAYS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
BLOCK = re.compile(r"<!-- test(?:: (?P<file>[\w.-]+))? -->\s*```(?P<language>\w+)\n(?P<text>.*?)```", re.S)
LINK = re.compile(r"\[[^\]]*\]\((?!\w+:)([^)#]+)(?:#[^)]*)?\)")


def blocks(page: str) -> list[tuple[str | None, str, str]]:
    """Return (file to write, language, text) of every marked block."""
    found = BLOCK.finditer((DOCS / page).read_text(encoding="utf-8"))
    return [(block["file"], block["language"], block["text"]) for block in found]


def command(line: str) -> None:
    """Run a line of the command line in this process."""
    from experiments.cli import main

    with pytest.raises(SystemExit) as left:
        main(shlex.split(line, comments=True)[1:])
    assert left.value.code == 0, line


@pytest.fixture
def _tables_as_they_were() -> Iterator[None]:
    """Take out again what a how-to registers."""
    tables: tuple[dict[str, Any], ...] = (cast(dict[str, Any], WAYS), cast(dict[str, Any], KINDS))
    before = [dict(table) for table in tables]
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)


@pytest.mark.usefixtures("_tables_as_they_were")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_marked_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "docs"}
    for file, language, text in blocks(page):
        if file is not None:
            Path(file).write_text(text, encoding="utf-8")
        elif language == "python":
            exec(compile(text, page, "exec"), names)
        else:
            for line in text.splitlines():
                if line.startswith("watersellers "):
                    command(line)


@pytest.mark.parametrize(
    "page", ["tutorial.md", *(f"how-to/own-{what}.md" for what in ("scenario", "way-of-earning", "agent-kind"))]
)
def test_pages_that_teach_are_tested(page: str) -> None:
    assert blocks(page)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    place = DOCS / page
    for link in LINK.findall(place.read_text(encoding="utf-8")):
        assert (place.parent / link).exists(), link


def test_every_page_is_in_the_site() -> None:
    import tomllib

    site = tomllib.loads((DOCS.parent / "zensical.toml").read_text(encoding="utf-8"))
    listed = re.findall(r"[\w/-]+\.md", str(site["project"]["nav"]))
    assert sorted(listed) == PAGES


@pytest.mark.parametrize("name", ["parameters.md", "mechanisms.md", "api.md"])
def test_generated_pages_are_fresh(name: str) -> None:
    from experiments.docs_tables import REFERENCE, pages

    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written == pages()[name], "run `python -m experiments.docs_tables` and commit docs/reference"


def test_help_writes_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments import docs_tables

    monkeypatch.setattr(docs_tables, "pages", lambda: pytest.fail("it made the pages"))
    for arguments in (["--help"], ["--no-such-option"]):
        with pytest.raises(SystemExit):
            docs_tables.main(arguments)


def test_the_first_sweep_is_made_of_what_its_commands_print() -> None:
    from experiments.docs_first_sweep import page

    asked: list[str] = []

    def run(command: str) -> str:
        asked.append(command)
        return f"said {len(asked)}"

    text = page(run, lambda: "abc123")
    written = (DOCS / "how-to" / "first-sweep.md").read_text(encoding="utf-8")
    assert all(f"    {command}\n" in text for command in asked)
    assert "watersellers replay abc123 --store results/design-2025" in text
    assert "{" not in re.sub(r"```toml.*?```", "", text, flags=re.S)
    headings = re.findall("^#.*", text, re.M)
    assert headings == re.findall("^#.*", written, re.M), "run `python -m experiments.docs_first_sweep`"
    assert [each for each in asked if f"    {each}\n" not in written and "replay" not in each] == []


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((DOCS / "tutorial.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    names: dict[str, Any] = {"__name__": "notebook"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 6
    for number, cell in enumerate(cells):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
