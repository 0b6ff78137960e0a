"""The pictures of the documentation can be taken, and are those that the documentation shows."""

import os
import re
import shutil
from pathlib import Path

import pytest

from experiments import docs_pictures
from experiments.docs_pictures import PICTURES, main, take_pictures
from experiments.errors import UserError

ROOT = Path(__file__).parents[2]


def test_the_documentation_shows_pictures_that_are_taken() -> None:
    shown = {
        name
        for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
        for name in re.findall(r"images/([\w-]+\.png)", page.read_text(encoding="utf-8"))
    }
    assert shown and shown <= {*PICTURES}
    assert {path.name for path in (ROOT / "docs" / "images").iterdir()} == {*PICTURES}


def test_without_a_browser_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docs_pictures, "BROWSERS", ("no-such-browser",))
    with pytest.raises(UserError, match="no-such-browser"):
        take_pictures(tmp_path, "toy")
    assert main(["--docs", str(tmp_path), "--scenario", "toy"]) == 1
    assert "error: pictures need a browser" in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.skipif(not any(map(shutil.which, docs_pictures.BROWSERS)), reason="no chromium here")
def test_all_pictures_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PYTEST")]:
        monkeypatch.delenv(name)  # NiceGUI would take the served page for one of its own tests
    for path in take_pictures(tmp_path, "toy"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 10_000
