"""Numbers kept within bounds: what `min` and `max` do, to the bit."""

import math
from itertools import product
from struct import pack

import pytest

from agents.bounds import at_least, at_most, between

NUMBERS = (-math.inf, -2.0, -0.0, 0.0, 1e-300, 1.0, 3.0, math.inf, math.nan)


def _bits(number: float) -> bytes:
    return pack("d", number)


@pytest.mark.parametrize(("number", "bound"), list(product(NUMBERS, NUMBERS)))
def test_bounds_are_min_and_max(number: float, bound: float) -> None:
    assert _bits(at_least(number, bound)) == _bits(max(number, bound))
    assert _bits(at_most(number, bound)) == _bits(min(number, bound))
    assert _bits(between(number, bound, 1.0)) == _bits(min(max(number, bound), 1.0))
