"""Sums of two numbers of up to three digits, as text: `416+27` to `443`."""

from __future__ import annotations

import numpy as np

from minis2s.data.pairs import Pair

STANDARD_COUNT = 50_000
DIGITS = 3


def generate(count: int = STANDARD_COUNT, rng: np.random.Generator | None = None) -> list[Pair]:
    """Distinct questions; of a+b and b+a only one is asked.

    The number of digits of each number is drawn first, uniformly from 1 to 3, then the digits: as in the example of
    Keras, so that short numbers are not rare.

    Parameters
    ----------
    count : at most 100,000
    rng : numpy.random.Generator, or None for the standard set (seed 0)
    """
    if count > 100_000:
        raise ValueError(f"addition.generate: count is {count}, there are too few questions; expected at most 100000")
    rng = rng or np.random.default_rng(0)
    asked: set[tuple[int, int]] = set()
    pairs: list[Pair] = []
    while len(pairs) < count:
        numbers = rng.integers(0, 10 ** rng.integers(1, DIGITS + 1, (2 * count, 2)))
        for a, b in numbers.tolist():
            question = (min(a, b), max(a, b))
            if question not in asked and len(pairs) < count:
                asked.add(question)
                pairs.append(Pair(f"{a}+{b}", str(a + b)))
    return pairs
