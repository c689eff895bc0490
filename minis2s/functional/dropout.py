"""Dropout: train many thinned networks at once."""

from __future__ import annotations

import numpy as np

from minis2s.backend import Array, random_uniform
from minis2s.functional.activation import Backward


def dropout(x: Array, *, rate: float, rng: np.random.Generator) -> tuple[Array, Backward]:
    """Zero each entry with probability `rate`, and scale the rest so that the mean stays (Srivastava et al. 2014).

        y = x m / (1 - rate),   m ~ Bernoulli(1 - rate),   dx = dy m / (1 - rate)

    The mask is drawn once, in the forward pass; the backward pass uses the same.

    Raises
    ------
    ValueError
        If rate is not in [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate is {rate}, expected 0 <= rate < 1")
    keep = (random_uniform(rng, x.shape, like=x) >= rate).astype(x.dtype)
    keep *= 1 / (1 - rate)

    def backward(dy: Array) -> Array:
        return dy * keep

    return x * keep, backward
