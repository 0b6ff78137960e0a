"""Named random streams: one for each mechanism, month and replicate, so that arms share common random numbers."""

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

MONTHS_AT_ONCE = 64
"""Months whose seeds are worked out together."""
_POOL = 4
_MASK = 0xFFFFFFFF
_INIT_A, _MULT_A = 0x43B0D7E5, 0x931E8875
_INIT_B, _MULT_B = 0x8B51F9DD, 0x58F38DED
_MIX_LEFT, _MIX_RIGHT = 0xCA01F9DD, 0x4973F715

Word = Any
"""A 32-bit word: an integer, or an array of them by month."""


@lru_cache(maxsize=4096)
def digest(name: str) -> int:
    """Return a stable 64-bit number for a mechanism's name (never `hash`, which differs between processes)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


class Streams:
    """All random streams of one run."""

    def __init__(self, root: int, replicate: int) -> None:
        self.root = root
        self.replicate = replicate

    def get(self, name: str, month: int) -> np.random.Generator:
        """Return a fresh generator for (mechanism, month, replicate); month -1 is the opening.

        It is that of `SeedSequence(root, spawn_key=(digest, month + 1, replicate))`.
        """
        if month < 0:
            key = (digest(name), month + 1, self.replicate)
            return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.root, spawn_key=key)))
        block, place = divmod(month, MONTHS_AT_ONCE)
        seeds = _seeds(self.root, digest(name), block * MONTHS_AT_ONCE + 1, self.replicate)
        seed: Any = _Seed(seeds[place])
        return np.random.Generator(np.random.PCG64(seed))


class _Seed(ISeedSequence):
    """A seed that is worked out already."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self.words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[np.uint64]:
        """Return the four words that PCG64 asks for."""
        return self.words


@lru_cache(maxsize=512)
def _seeds(root: int, name: int, first: int, replicate: int) -> NDArray[np.uint64]:
    """Return (MONTHS_AT_ONCE, 4): the words of `SeedSequence(root, spawn_key=(name, month, replicate))` by month.

    The hash of O'Neill (2015) as numpy guarantees it, for all months at once: what they share is done in integers.
    """
    months = np.arange(first, first + MONTHS_AT_ONCE, dtype=np.uint32)
    entropy: list[Word] = [*_words(root, _POOL), *_words(name), months, *_words(replicate, 1)]
    constant = _INIT_A

    def hashed(value: Word, factor: int) -> Word:
        nonlocal constant
        value = value ^ constant
        constant = constant * factor & _MASK
        value = value * constant & _MASK
        return value ^ value >> 16

    def mixed(left: Word, right: Word) -> Word:
        value = (left * _MIX_LEFT & _MASK) - (right * _MIX_RIGHT & _MASK) & _MASK
        return value ^ value >> 16

    pool = [hashed(word, _MULT_A) for word in entropy[:_POOL]]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = mixed(pool[target], hashed(pool[source], _MULT_A))
    for word in entropy[_POOL:]:
        for target in range(_POOL):
            pool[target] = mixed(pool[target], hashed(word, _MULT_A))
    constant = _INIT_B
    halves = np.array([hashed(pool[i % _POOL], _MULT_B) for i in range(2 * _POOL)], dtype=np.uint64)
    return np.ascontiguousarray((halves[0::2] | halves[1::2] << np.uint64(32)).T)


def _words(number: int, least: int = 1) -> list[int]:
    """Return the 32-bit words of a number, the lowest first, filled up with zeros to `least` words."""
    words = [number >> shift & _MASK for shift in range(0, number.bit_length(), 32)]
    return words + [0] * (least - len(words))
