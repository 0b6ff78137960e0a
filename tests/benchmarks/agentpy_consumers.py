"""The law of `agents.consumers` with one AgentPy agent per consumer, where AgentPy is installed.

AgentPy is no dependency: `uv pip install agentpy`. The chances are those of the plain Mesa reference, in the same
scalars; people, their list and the calls on them are AgentPy's.
"""

from typing import Any

import agentpy

from agents.choice import ConsumerOffers
from agents.consumers import Consumers
from tests.agents.reference_consumers import NONE, TRIAL, UNAWARE, ReferenceConsumers


class AgentPyPerson(agentpy.Agent):
    """One slot of one consumer: a taste row and a place."""

    def setup(self) -> None:
        """Start nowhere; `take` gives the row and the place."""
        self.row, self.place, self.newcomer = 0, NONE, False

    def choose(self) -> None:
        """Review, leave or become aware, and redraw."""
        law = self.model.law
        self.newcomer = self.model.random.random() < law.leaving(self.row, self.place)
        if self.newcomer:
            self.place = law.draw(self.row, self.model.random.random())

    def meet_marketing(self) -> None:
        """Be bought, if without an app."""
        law = self.model.law
        if self.place in (NONE, UNAWARE) and self.model.random.random() < law.reach:
            self.place = TRIAL + self.model.random.choices(law.apps, law.offers.acquired.tolist())[0]
            self.newcomer = True


class AgentPyConsumers(agentpy.Model):
    """Consumers of one region, one AgentPy agent per slot, started where a plain Mesa reference starts."""

    def __init__(self, opened: Consumers, offers: ConsumerOffers, seed: int) -> None:
        super().__init__({"seed": seed})
        self.law: Any = ReferenceConsumers(opened, offers, seed)
        self.people = agentpy.AgentList(self, len(self.law.people), AgentPyPerson)
        for person, original in zip(self.people, self.law.people, strict=True):
            person.row, person.place = original.row, original.place
            original.remove()
        self.law.people = list(self.people)
        self.random.setstate(self.law.random.getstate())

    def choose(self, offers: ConsumerOffers) -> None:
        """Move everyone for one month."""
        law = self.law
        law.look(offers)
        self.people.choose()
        without = sum(p.place in (NONE, UNAWARE) for p in law.people)
        law.reach = min(float(offers.acquired.sum()) / max(without, 1), 0.5)
        self.people.meet_marketing()
        law._dilute()
        law.last_fee = offers.fee.copy()
