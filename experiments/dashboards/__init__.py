"""The dashboard: the value chain in the browser, month by month, on this machine and without a network.

from experiments import dashboard
dashboard("2025")
"""

__all__ = ["dashboard"]


def dashboard(scenario: str = "2025", *, seed: int | None = None, port: int = 8765, show: bool = True) -> None:
    """Serve the dashboard on localhost until it is stopped (Ctrl-C).

    `scenario`: name or TOML file of what it opens with. `port`: tried first; the next free one is used if it is
    taken. `show`: open the browser. SpecError for a scenario that cannot be run; UserError for a port that
    cannot be and where NiceGUI is not installed.
    """
    from experiments.dashboards.server import serve

    serve(scenario, seed=seed, port=port, show=show)
