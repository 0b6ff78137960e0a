"""Frozen dataclasses whose fields are float arrays that broadcast against each other."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arrays:
    """A record of float arrays; subclasses declare the fields."""

    @classmethod
    def stack(cls, items: Sequence[Self]) -> Self:
        """One record with a new leading axis of `len(items)`."""
        columns = {f.name: np.stack([getattr(item, f.name) for item in items]) for f in fields(cls)}
        return cls(**columns)

    def __getitem__(self, index: Any) -> Self:
        """The same index applied to every field (`np.newaxis` included)."""
        return type(self)(**{f.name: np.asarray(getattr(self, f.name))[index] for f in fields(self)})
