"""Upsampling by interpolation: along either axis a small matrix, and its transpose in the backward pass."""

from __future__ import annotations

import numpy as np

from minis2s.backend import Array, get_xp, to_device
from minis2s.functional.activation import Backward
from minis2s.functional.convolution import Pair, batch_first, batch_last


def interpolate(x: Array, *, size: Pair, mode: str = "nearest", align_corners: bool = False) -> tuple[Array, Backward]:
    """Resize pictures.

        Y = A X B^T,   dX = A^T dY B                                       (1)

    A (OH, H) and B (OW, W) hold in each row the weights of the pixels that an output pixel is made of: one for
    `nearest`, two neighbours for `bilinear`.

    Parameters
    ----------
    x : array (N, C, H, W)
    size : (OH, OW)
    mode : nearest or bilinear
    align_corners : bool
        Bilinear only: the centres of the outermost pixels stay where they are, instead of their outer edges.

    Returns
    -------
    y (N, C, OH, OW); backward(dy) -> dx
    """
    xp = get_xp(x)
    rows, columns = (
        to_device(_weights(mode, small, large, align_corners).astype(x.dtype), "cpu" if xp is np else "cuda")
        for small, large in zip(x.shape[2:], size, strict=True)
    )

    def resize(pictures: Array, a: Array, b: Array) -> Array:
        C, H, W, N = pictures.shape
        tall = xp.matmul(a, pictures.reshape(C, H, W * N))  # (C, OH, W N)
        return xp.matmul(b, tall.reshape(C * len(a), W, N)).reshape(C, len(a), len(b), N)

    def backward(dy: Array) -> Array:
        return batch_first(resize(batch_last(dy), rows.T, columns.T))

    return batch_first(resize(batch_last(x), rows, columns)), backward


def _weights(mode: str, small: int, large: int, align_corners: bool) -> np.ndarray:
    """The matrix (large, small) of (1) along one axis."""
    places = np.arange(large)
    if mode == "nearest":
        return np.eye(small)[places * small // large]
    if mode != "bilinear":
        raise ValueError(f"interpolate: mode is {mode!r}, expected nearest or bilinear")
    if align_corners:
        centres = places * ((small - 1) / (large - 1) if large > 1 else 0.0)
    else:
        centres = np.maximum((places + 0.5) * small / large - 0.5, 0)
    low = np.minimum(centres.astype(int), small - 1)
    high = np.minimum(low + 1, small - 1)
    share = (centres - low)[:, None]
    return (1 - share) * np.eye(small)[low] + share * np.eye(small)[high]
