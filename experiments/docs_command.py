"""What the commands that write parts of the documentation share."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from experiments.errors import RunFailure, UserError


def tell_written(write: Callable[[], Iterable[Path]]) -> int:
    """Write files, say which, and return the exit code: 1, with the reason, where it failed."""
    try:
        for path in write():
            print(f"wrote {path}")
    except (RunFailure, UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
