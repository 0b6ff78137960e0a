"""Makes `fake_runs` importable, in this process and in the worker processes that inherit its path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
