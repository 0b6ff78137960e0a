"""The command line, called in this process."""

from collections.abc import Callable

import pytest

from experiments import cli

Call = Callable[..., tuple[int, str, str]]


def caller(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return what calls the command line and gives its exit code, standard output and standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main([*arguments])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call
