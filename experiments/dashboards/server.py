"""Serving the page on localhost, on a port that is free."""

import socket
import sys

from experiments.errors import UserError

HOST = "127.0.0.1"
TRIED = 50
"""Ports tried after the one that was asked for."""


def serve(scenario: str, *, seed: int | None, port: int, show: bool) -> None:
    """Open the scenario, find a port and serve until the process is stopped."""
    check_installed()
    from nicegui import ui
    from threadpoolctl import threadpool_limits

    from experiments.dashboards.page import build
    from experiments.dashboards.session import Session

    Session(scenario, seed).close()
    found = free_port(port)
    if found != port:
        print(f"port {port} is in use; using {found}", file=sys.stderr)
    print(f"dashboard: http://{HOST}:{found} (stop it with Ctrl-C)")
    sys.stdout.flush()
    with threadpool_limits(1):
        ui.run(
            lambda: build(scenario, seed),
            host=HOST,
            port=found,
            show=show,
            title="watersellers",
            favicon="💧",
            dark=None,
            reload=False,
            show_welcome_message=False,
        )


def free_port(port: int) -> int:
    """Return the port, or the next one that is free; UserError where none is."""
    if not 1 <= port <= 65535:
        raise UserError(f"--port must be from 1 to 65535, not {port}")
    for candidate in range(port, min(port + TRIED, 65535) + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            return candidate
    raise UserError(f"no free port from {port} to {min(port + TRIED, 65535)}; choose another with --port")


def check_installed() -> None:
    """UserError where NiceGUI is not installed."""
    from importlib.util import find_spec

    if find_spec("nicegui") is None:
        raise UserError("the dashboard needs NiceGUI: pip install 'watersellers[dashboard]'")
