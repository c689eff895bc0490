"""Transposed convolutions, and those of signals and texts: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import draw_7


@mutant(
    "signal_windows_are_laid_over_one_another",
    cause="sum-missing",
    also=("repeated-ids-assigned",),
    inputs=draw_7((2, 3, 10), (5, 3, 4), (5,)),
    wrong=("dx",),
    note="the windows of four overlap by two, and the later one stays",
)
def signal_windows_are_laid_over_one_another(x, kernel, bias):
    """Signals (N, C, L) in columns, two steps at a time."""
    N, C, L = x.shape
    F, _, K = kernel.shape
    step = 2
    out_len = (L - K) // step + 1
    cols = np.zeros((N, out_len, C * K))
    for t in range(out_len):
        cols[:, t] = x[:, :, t * step : t * step + K].reshape(N, -1)
    flat = kernel.reshape(F, -1)
    out = (cols @ flat.T + bias).transpose(0, 2, 1)

    def backward(dout):
        d = dout.transpose(0, 2, 1)
        dkernel = np.tensordot(d, cols, axes=((0, 1), (0, 1))).reshape(kernel.shape)
        dcols = d @ flat
        dx = np.zeros_like(x)
        for t in range(out_len):
            # right: dx[:, :, t * step : t * step + K] += dcols[:, t].reshape(N, C, K)
            dx[:, :, t * step : t * step + K] = dcols[:, t].reshape(N, C, K)
        return dx, dkernel, d.sum(axis=(0, 1))

    return out, backward
