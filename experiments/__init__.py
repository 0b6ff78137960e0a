"""What a user runs. Every verb is imported when it is first asked for, so that importing this is free."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.calibration import calibrate as calibrate
    from experiments.comparison import compare as compare
    from experiments.dashboards import dashboard as dashboard
    from experiments.discovery import discover as discover
    from experiments.events_study import shock as shock
    from experiments.hypothesis_tests import hypotheses as hypotheses
    from experiments.monetisation import monetise as monetise
    from experiments.runs import replicates as replicates
    from experiments.runs import run as run
    from experiments.sensitivities import sensitivity as sensitivity
    from experiments.sweeps import replay as replay
    from experiments.sweeps import sweep as sweep
    from experiments.validation import validate as validate

_VERBS = {
    "calibrate": "calibration",
    "compare": "comparison",
    "dashboard": "dashboards",
    "discover": "discovery",
    "hypotheses": "hypothesis_tests",
    "monetise": "monetisation",
    "replay": "sweeps",
    "replicates": "runs",
    "run": "runs",
    "sensitivity": "sensitivities",
    "shock": "events_study",
    "sweep": "sweeps",
    "validate": "validation",
}
"""Public verb -> the module that holds it. Modules are nouns: one called like its verb would hide it."""

__all__ = [*_VERBS]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import a verb."""
    if name not in _VERBS:
        raise AttributeError(f"module 'experiments' has no attribute {name!r}; verbs: {', '.join(_VERBS)}")
    return getattr(import_module(f"experiments.{_VERBS[name]}"), name)


def __dir__() -> list[str]:
    """List the verbs."""
    return sorted(_VERBS)
