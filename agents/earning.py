"""What a way of earning is: what it sees of an app and its users, and what it brings in.

To add one, write a file like `agents/tips.py` of docs/how-to/own-way-of-earning.md: a `Parameters` class with the
terms and a class with the members of `WayOfEarning`; then register an instance in `agents.monetisation.WAYS`.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from agents.parameters import Parameters
from agents.world import World


class Usage(NamedTuple):
    """What an app's users did in a month.

    users, payers: people; queries: served queries; eligible: those with commercial intent; shown: eligible
    ones whose screen shows ads; fees: subscription fees due, USD; metered: metered overage due, USD; quality: q of the
    answers.
    """

    users: float
    payers: float
    queries: float
    eligible: float
    shown: float
    fees: float
    metered: float
    quality: float
    trust: float


class Receipt(NamedTuple):
    """Money that a way of earning brings in: who pays, for what, and what it costs at once."""

    payer: str
    kind: str
    amount: float
    quantity: float = 0.0
    fee_to: str = ""
    fee: float = 0.0


class Earner(Protocol):
    """What a way of earning may know of the app that uses it."""

    @property
    def region(self) -> str:
        """Region of the app's users."""
        ...

    @property
    def agent_id(self) -> str:
        """Id of the app."""
        ...

    @property
    def world(self) -> World:
        """The world as agents see it."""
        ...

    @property
    def ad_load(self) -> float:
        """Impressions per eligible query now."""
        ...

    @property
    def api_price(self) -> float:
        """USD per 1,000 search calls now."""
        ...


class WayOfEarning(Protocol):
    """One way of earning."""

    @property
    def name(self) -> str:
        """Key of the way in a scenario."""
        ...

    @property
    def spec(self) -> type[Parameters]:
        """Class of its terms."""
        ...

    @property
    def streams(self) -> tuple[str, ...]:
        """Kinds of payment it brings in; a kind that the ledger lacks is opened for it."""
        ...

    def receipts(self, terms: Parameters, app: Earner, usage: Usage) -> Iterator[Receipt]:
        """Yield what the month's usage brings in under the app's terms."""
        ...
