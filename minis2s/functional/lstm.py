"""Long short-term memory: one step as the textbook writes it, and the fast form for sequences."""

from __future__ import annotations

import numpy as np

from minis2s.backend import Array, get_xp, rows_without_padding
from minis2s.functional.activation import Backward, logistic
from minis2s.functional.masking import time_steps, zero_padding


def lstm_step(
    x: Array, h: Array, c: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array
) -> tuple[tuple[Array, Array], Backward]:
    """One step of a long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000), gates in order i f g o.

        z = W_ih x + b_ih + W_hh h + b_hh,   i, f, o = sigma(z_i, z_f, z_o),   g = tanh(z_g)    (1)
        c' = f * c + i * g                                                                     (2)
        h' = o * tanh(c')                                                                      (3)
        do = dh' * tanh(c'),   dc' += dh' * o * (1 - tanh(c')^2)                               (3')
        di, df, dg = dc' * (g, c, i),   dc = dc' * f                                           (2')
        dh = dz W_hh,   dz = (di i (1 - i), df f (1 - f), dg (1 - g^2), do o (1 - o))          (1')

    x (N, D), h and c (N, H), weight_ih (4H, D), weight_hh (4H, H), biases (4H,)  ->  (h', c'), each (N, H)
    """
    xp = get_xp(x)
    z = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh  # (N, 4H)
    i, f, g, o = xp.split(z, 4, axis=1)  # (N, H) each
    i, f, g, o = logistic(i), logistic(f), xp.tanh(g), logistic(o)
    c_next = f * c + i * g
    tanh_c = xp.tanh(c_next)
    h_next = o * tanh_c

    def backward(dh_next: Array, dc_next: Array) -> tuple[Array, ...]:
        dc_next = dc_next + dh_next * o * (1 - tanh_c**2)  # c' reaches the loss twice: by h', and by the next step
        di, df, dg, do = dc_next * g, dc_next * c, dc_next * i, dh_next * tanh_c
        dz = xp.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)  # (N, 4H)
        dbias = dz.sum(axis=0)
        return dz @ weight_ih, dz @ weight_hh, dc_next * f, dz.T @ x, dz.T @ h, dbias, dbias.copy()

    return (h_next, c_next), backward


def lstm(
    x: Array,
    h0: Array,
    c0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array,
    bias_hh: Array,
    mask: Array | None = None,
    *,
    reverse: bool = False,
) -> tuple[tuple[Array, Array, Array], Backward]:
    """Run a long short-term memory over a sequence: :func:`lstm_step` at real tokens, h' = h and c' = c at padding.

    Parameters
    ----------
    x : array (T, N, D)
    h0, c0 : arrays (N, H)
    weight_ih, weight_hh, bias_ih, bias_hh : arrays (4H, D), (4H, H), (4H,), (4H,)
    mask : bool array (T, N), True = a real token
    reverse : bool
        Read from the last token to the first. Padding at the end is passed over before anything is read.

    Returns
    -------
    y (T, N, H), zero at padding, and the final states h_n and c_n (N, H);
    backward(dy, dh_n, dc_n) -> dx, dh0, dc0, dweight_ih, dweight_hh, dbias_ih, dbias_hh, None
    """
    xp = get_xp(x)
    T, N, D = x.shape
    H = weight_hh.shape[1]
    steps, before, after = time_steps(T, reverse)
    full = rows_without_padding(mask, T)
    x = zero_padding(x, mask)

    scale = xp.full(4 * H, -1, dtype=x.dtype)  # sigma(a) = 1 / (1 + exp(-a)), tanh(a) = 2 sigma(2 a) - 1:
    scale[2 * H : 3 * H] = -2  # one exp, twice as fast as a tanh, makes all four gates
    scaled_hh = weight_hh.T * scale  # (H, 4H)
    z = x.reshape(-1, D) @ (weight_ih.T * scale)  # all steps' input products at once
    z += (bias_ih + bias_hh) * scale
    z = z.reshape(T, N, 4 * H)
    i, f, g, o = (z[:, :, k * H : (k + 1) * H] for k in range(4))  # views: z turns into the gates, in place
    tanh_c = xp.empty((T, N, H), dtype=x.dtype)
    h_states, c_states = (xp.empty((T + 1, N, H), dtype=x.dtype) for _ in range(2))
    h_prev, h = h_states[before], h_states[after]  # (T, N, H) each, views one step apart
    c_prev, c = c_states[before], c_states[after]
    h_prev[steps[0]], c_prev[steps[0]] = h0, c0
    for t in steps:
        z_t = h_prev[t] @ scaled_hh
        z_t += z[t]
        with np.errstate(over="ignore"):  # an infinite exp is a gate of 0
            xp.exp(z_t, out=z_t)
        z_t += 1
        xp.divide(1, z_t, out=z[t])
        g[t] *= 2
        g[t] -= 1
        xp.multiply(i[t], g[t], out=c[t])
        c[t] += f[t] * c_prev[t]
        xp.tanh(c[t], out=tanh_c[t])
        xp.multiply(o[t], tanh_c[t], out=h[t])
        if not full[t]:
            real = mask[t, :, None]
            c[t], h[t] = xp.where(real, c[t], c_prev[t]), xp.where(real, h[t], h_prev[t])

    def backward(dy: Array, dh_n: Array, dc_n: Array) -> tuple[Array | None, ...]:
        dy = zero_padding(dy, mask)
        dz = xp.empty_like(z)  # first the slopes of (1)-(3), all steps at once; then, step by step, times dc and dh
        dz_i, dz_f, dz_g, dz_o = (dz[:, :, k * H : (k + 1) * H] for k in range(4))
        xp.subtract(1, z, out=dz)
        dz *= z  # sigma' = sigma (1 - sigma)
        xp.multiply(g, g, out=dz_g)
        xp.subtract(1, dz_g, out=dz_g)  # tanh' = 1 - tanh^2
        dz_i *= g
        dz_f *= c_prev
        dz_g *= i
        dz_o *= tanh_c
        dz_ifg = dz[:, :, : 3 * H].reshape(T, N, 3, H)
        slope_c = tanh_c * tanh_c
        xp.subtract(1, slope_c, out=slope_c)
        slope_c *= o  # dh'/dc' of (3)
        dh, dc = dh_n, dc_n
        for t in reversed(steps):
            dh = dh + dy[t]
            dc_next = dh * slope_c[t]
            dc_next += dc
            dz_ifg[t] *= dc_next[:, None]
            dz_o[t] *= dh
            dc_next *= f[t]
            if full[t]:
                dh, dc = dz[t] @ weight_hh, dc_next
            else:  # padding passes both on untouched
                real = mask[t, :, None]
                dz[t] *= real
                dh, dc = xp.where(real, dz[t] @ weight_hh, dh), xp.where(real, dc_next, dc)
        dz_rows = dz.reshape(-1, 4 * H)  # all steps' weight gradients at once
        dbias = dz_rows.sum(axis=0)
        dx = (dz_rows @ weight_ih).reshape(T, N, D)
        dweight_ih, dweight_hh = dz_rows.T @ x.reshape(-1, D), dz_rows.T @ h_prev.reshape(-1, H)
        return dx, dh, dc, dweight_ih, dweight_hh, dbias, dbias.copy(), None

    return (zero_padding(h, mask), h[steps[-1]].copy(), c[steps[-1]].copy()), backward
