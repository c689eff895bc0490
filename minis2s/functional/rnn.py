"""The simple recurrent network of Elman (1990): one step as the textbook writes it, and the fast form for sequences."""

from __future__ import annotations

from minis2s.backend import Array, get_xp, rows_without_padding
from minis2s.functional.activation import Backward
from minis2s.functional.masking import time_steps, zero_padding


def rnn_step(
    x: Array, h: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array
) -> tuple[Array, Backward]:
    """One step of an Elman network.

        h' = tanh(z),   z = W_ih x + b_ih + W_hh h + b_hh                  (1)
        dz = dh' (1 - h'^2),   dh = dz W_hh                                (1')

    x (N, D), h (N, H), weight_ih (H, D), weight_hh (H, H), biases (H,)  ->  h' (N, H)
    """
    h_next = get_xp(x).tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)  # (N, H)

    def backward(dh_next: Array) -> tuple[Array, ...]:
        dz = dh_next * (1 - h_next**2)  # (N, H)
        return dz @ weight_ih, dz @ weight_hh, dz.T @ x, dz.T @ h, dz.sum(axis=0), dz.sum(axis=0)

    return h_next, backward


def rnn(
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array,
    bias_hh: Array,
    mask: Array | None = None,
    *,
    reverse: bool = False,
) -> tuple[tuple[Array, Array], Backward]:
    """Run an Elman network over a sequence: :func:`rnn_step` at every real token, h' = h at padding.

    Parameters
    ----------
    x : array (T, N, D)
    h0 : array (N, H)
    weight_ih, weight_hh, bias_ih, bias_hh : arrays (H, D), (H, H), (H,), (H,)
    mask : bool array (T, N), True = a real token
    reverse : bool
        Read from the last token to the first. Padding at the end is passed over before anything is read.

    Returns
    -------
    y (T, N, H), zero at padding, and the final state h_n (N, H);
    backward(dy, dh_n) -> dx, dh0, dweight_ih, dweight_hh, dbias_ih, dbias_hh, None
    """
    xp = get_xp(x)
    T, N, D = x.shape
    H = weight_hh.shape[0]
    steps, before, after = time_steps(T, reverse)
    full = rows_without_padding(mask, T)
    x = zero_padding(x, mask)

    z = (x.reshape(-1, D) @ weight_ih.T).reshape(T, N, H)  # all steps' input products at once
    z += bias_ih + bias_hh
    states = xp.empty((T + 1, N, H), dtype=x.dtype)
    h_prev, h = states[before], states[after]  # (T, N, H) each, views one step apart
    h_prev[steps[0]] = h0
    for t in steps:
        z[t] += h_prev[t] @ weight_hh.T
        xp.tanh(z[t], out=h[t])
        if not full[t]:
            h[t] = xp.where(mask[t, :, None], h[t], h_prev[t])

    def backward(dy: Array, dh_n: Array) -> tuple[Array | None, ...]:
        dy = zero_padding(dy, mask)
        slope = zero_padding(1 - h * h, mask)  # (T, N, H): dh'/dz of (1)
        dz = xp.empty_like(h)
        dh = dh_n
        for t in reversed(steps):
            dh = dh + dy[t]
            xp.multiply(dh, slope[t], out=dz[t])
            passed_on = dz[t] @ weight_hh
            dh = passed_on if full[t] else passed_on + xp.where(mask[t, :, None], 0, dh)
        dz_rows = dz.reshape(-1, H)  # all steps' weight gradients at once
        dbias = dz_rows.sum(axis=0)
        dx = (dz_rows @ weight_ih).reshape(T, N, D)
        return dx, dh, dz_rows.T @ x.reshape(-1, D), dz_rows.T @ h_prev.reshape(-1, H), dbias, dbias.copy(), None

    return (zero_padding(h, mask), h[steps[-1]].copy()), backward
