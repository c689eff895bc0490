"""What padding must never do: reach a result."""

from __future__ import annotations

import numpy as np

from minis2s.backend import Array, get_xp


def zero_padding(x: Array, mask: Array | None) -> Array:
    """Replace what stands at padding by 0, even NaN, which a product with 0 would let through.

    x (T, N, ...), mask (T, N) with True = a real token -> array of x's shape (x itself where nothing is to be replaced)
    """
    if mask is None:
        return x
    xp = get_xp(x)
    if xp is np:  # faster than `where`, which asks again for every feature; a device would launch thrice, and wait
        padding = ~mask
        if not x[padding].any():  # embeddings and states are 0 there as they come; NaN counts as True
            return x
        kept = x.copy()
        kept[padding] = 0
        return kept
    return xp.where(mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim)), x, 0)


def time_steps(count: int, reverse: bool) -> tuple[range, slice, slice]:
    """The order of the time steps, and where a buffer of `count` + 1 states keeps the states before and after each.

    Forwards, state t + 1 follows state t, and the first is at the front; in reverse the first is at the back.
    """
    early, late = slice(0, count), slice(1, count + 1)
    return (range(count)[::-1], late, early) if reverse else (range(count), early, late)
