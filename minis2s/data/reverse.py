"""Sequences of numbers from 0 to 49, and the same backwards: `7 31 4` to `4 31 7`."""

from __future__ import annotations

import numpy as np

from minis2s.data.pairs import Pair

STANDARD_COUNT = 60_000
NUMBERS = 50
LONGEST = 30


def generate(count: int = STANDARD_COUNT, rng: np.random.Generator | None = None) -> list[Pair]:
    """Distinct sequences; their lengths are uniform from 1 to 30, but for the few that exist of lengths 1 and 2.

    Parameters
    ----------
    count : int
    rng : numpy.random.Generator, or None for the standard set (seed 0)
    """
    rng = rng or np.random.default_rng(0)
    pairs: dict[str, Pair] = {}
    while len(pairs) < count:
        words = list(map(str, rng.integers(0, NUMBERS, rng.integers(1, LONGEST + 1)).tolist()))
        source = " ".join(words)
        pairs.setdefault(source, Pair(source, " ".join(reversed(words))))
    return list(pairs.values())
