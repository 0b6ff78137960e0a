"""What workers have loaded when they start: DuckDB, the model, and the fingerprint of its code as it was then.

The project's own experiments are not: they may be changed while a session goes on, and have no fingerprint.
"""

import duckdb  # noqa: F401

import ecosystem.model  # noqa: F401
from experiments.fingerprint import fingerprint

fingerprint()
