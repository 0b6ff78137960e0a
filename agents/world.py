"""What an agent may see of the world and do to it."""

from typing import Protocol

import numpy as np


class Payments(Protocol):
    """The ledger as an agent sees it: it may pay, and read its own cash."""

    def pay(self, payer: str, payee: str, kind: str, amount: float, quantity: float = 0.0) -> float:
        """Pay `amount` USD; what the payer cannot pay becomes arrears. Return what was paid, USD."""
        ...

    def cash(self, account: str) -> float:
        """Return the cash of an account, USD."""
        ...


class World(Protocol):
    """The read-only side of the model that agents decide on."""

    @property
    def month(self) -> int:
        """Months since the opening; 0 in the first month."""
        ...

    @property
    def ledger(self) -> Payments:
        """The closed table of payments."""
        ...

    @property
    def sampling(self) -> bool:
        """Whether demand is drawn (True) or set to its expectation (False)."""
        ...

    def stream(self, name: str) -> np.random.Generator:
        """Return the random stream of one mechanism in this month and replicate."""
        ...
