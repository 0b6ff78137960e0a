"""A sweep of fake runs as a program: arguments are store, points, seconds a run takes."""

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments import dispatch
from experiments.sweeps import sweep
from tests.experiments.fake_runs import RUNNER, FakeSpec
from tests.experiments.test_sweeps import design

if __name__ == "__main__":
    store, n, pause = sys.argv[1:]
    os.environ["FAKE_PAUSE"] = pause
    dispatch.CHUNK_SECONDS = 0.1
    base: Any = FakeSpec()
    try:
        sweep(design(int(n), 2), store, base=base, runner=RUNNER, workers=2)
    except KeyboardInterrupt:
        sys.exit(130)
