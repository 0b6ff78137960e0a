"""Robustness."""
from experiments.checks import Row


def robustness_rows(store: object) -> list[Row]:
    """Stub."""
    return []
