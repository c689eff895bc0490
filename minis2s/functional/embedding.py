"""A table of vectors, one a token."""

from __future__ import annotations

import numpy as np

from minis2s.backend import Array, get_xp, scatter_add
from minis2s.functional.activation import Backward


def embedding(ids: Array, weight: Array, *, padding_id: int | None = None) -> tuple[Array, Backward]:
    """Look up the rows of a table.

        y_n = W[ids_n],   dW[v] = sum of dy_n over all n with ids_n = v

    A token that occurs twice adds its gradient twice. The row `padding_id`, if given, receives none.

    Parameters
    ----------
    ids : integer array (...)
    weight : array (V, D)

    Returns
    -------
    y (..., D); backward(dy) -> None, dweight

    Raises
    ------
    IndexError
        If an id is outside [0, V). Checked on the host only: a device would have to wait, and wraps silently.
    """
    V, D = weight.shape
    if isinstance(ids, np.ndarray) and ids.size and not (ids.min() >= 0 and ids.max() < V):
        raise IndexError(f"embedding: ids reach from {ids.min()} to {ids.max()}, weight has rows 0 to {V - 1}")
    y = get_xp(weight).take(weight, ids, axis=0)  # (..., D)

    def backward(dy: Array) -> tuple[None, Array]:
        dweight = scatter_add(ids.reshape(-1), dy.reshape(-1, D), V)
        if padding_id is not None:
            dweight[padding_id] = 0
        return None, dweight

    return y, backward
