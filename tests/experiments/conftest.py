"""Fixtures of the tests of experiments."""

from pathlib import Path

import pytest

from tests.experiments.command_line import Call, caller


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return caller(capsys)
