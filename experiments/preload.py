"""What workers have loaded when they start: the model, the store, and the fingerprint of their code as it was then."""

import duckdb  # noqa: F401

import ecosystem.model  # noqa: F401
import experiments.outcomes
import experiments.stores  # noqa: F401
from experiments.fingerprint import fingerprint

fingerprint()
