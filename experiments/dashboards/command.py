"""`watersellers dashboard`: the value chain in the browser."""

from typing import Annotated

from cyclopts import Parameter


def dashboard_command(
    scenario: str = "2025",
    /,
    *,
    seed: int | None = None,
    port: int = 8765,
    show: Annotated[bool, Parameter(name="--browser", negative="--no-browser")] = True,
) -> None:
    """Show a scenario in the browser: play it, turn its parameters, fire events, save what is on the screen.

    Example: `watersellers dashboard toy --port 9000`

    Parameters
    ----------
    scenario
        A scenario's name or a TOML file; others can be chosen on the page.
    seed
        Root seed; the scenario's by default.
    port
        Port on this machine; the next free one is used if it is taken.
    show
        Open the browser.
    """
    from experiments.dashboards import dashboard

    dashboard(scenario, seed=seed, port=port, show=show)
