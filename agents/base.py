"""The one file that touches `mesa.Agent`: an agent that sees the world through the `World` protocol."""

from typing import Any, cast

import mesa

from agents.world import World


class EconomicAgent(mesa.Agent):
    """A Mesa agent that keeps its model as `self.world` and never uses `self.model`."""

    def __init__(self, world: World, agent_id: str) -> None:
        super().__init__(cast(Any, world))
        self.world = world
        self.agent_id = agent_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.agent_id!r})"
