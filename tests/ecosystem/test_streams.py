"""Named streams are those of numpy's own seed sequences."""

import numpy as np
import pytest

from ecosystem.streams import MONTHS_AT_ONCE, Streams, digest


@pytest.mark.parametrize("root", [0, 2025, 2**31, 2**64 + 5, 2**200 + 1])
@pytest.mark.parametrize("replicate", [0, 7, 2**33])
def test_streams_are_those_of_numpys_seed_sequence(root: int, replicate: int) -> None:
    streams = Streams(root, replicate)
    for month in (-1, 0, 1, MONTHS_AT_ONCE - 1, MONTHS_AT_ONCE, 1199):
        sequence = np.random.SeedSequence(root, spawn_key=(digest("tastes.west"), month + 1, replicate))
        mine = streams.get("tastes.west", month)
        assert mine.bit_generator.state == np.random.PCG64(sequence).state


def test_every_stream_is_fresh() -> None:
    streams = Streams(1, 0)
    assert streams.get("overrun.a", 3).random() == streams.get("overrun.a", 3).random()
    assert streams.get("overrun.a", 3).random() != streams.get("overrun.b", 3).random()
