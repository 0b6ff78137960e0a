"""Named random streams: one for each mechanism, month and replicate, so that arms share common random numbers."""

import hashlib
from functools import lru_cache

import numpy as np


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
        """Return a fresh generator for (mechanism, month, replicate); month -1 is the opening."""
        key = (digest(name), month + 1, self.replicate)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.root, spawn_key=key)))
