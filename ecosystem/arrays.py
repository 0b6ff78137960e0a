"""Arrays of numbers that the model holds one by one."""

from collections.abc import Iterable
from struct import pack

import numpy as np
from numpy.typing import NDArray


def packed(values: Iterable[float], count: int) -> NDArray[np.float64]:
    """Return (count,): `values` as an array that is only read; numpy itself takes several times as long."""
    return np.frombuffer(pack(f"{count}d", *values))
