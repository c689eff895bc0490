"""Gated recurrent unit: one step as the textbook writes it, and the fast form for sequences."""

from __future__ import annotations

from minis2s.backend import Array, get_xp, rows_without_padding
from minis2s.functional.activation import Backward, logistic
from minis2s.functional.masking import time_steps, zero_padding


def gru_step(
    x: Array, h: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array
) -> tuple[Array, Backward]:
    """One step of a gated recurrent unit (Cho et al. 2014; PyTorch's form), gates in the order r z n.

        a = W_ih x + b_ih,   u = W_hh h + b_hh                                    (1)
        r, z = sigma(a_r + u_r, a_z + u_z),   n = tanh(a_n + r * u_n)             (2)
        h' = (1 - z) * n + z * h                                                 (3)
        dn = dh' * (1 - z),   dz = dh' * (h - n),   dh = dh' * z + what comes through (2) and (1)    (3')

    The reset gate acts on u_n, after the matrix product, so that W_hh h is one product for all three.

    x (N, D), h (N, H), weight_ih (3H, D), weight_hh (3H, H), biases (3H,)  ->  h' (N, H)
    """
    xp = get_xp(x)
    a_r, a_z, a_n = xp.split(x @ weight_ih.T + bias_ih, 3, axis=1)  # (N, H) each
    u_r, u_z, u_n = xp.split(h @ weight_hh.T + bias_hh, 3, axis=1)
    r, z = logistic(a_r + u_r), logistic(a_z + u_z)
    n = xp.tanh(a_n + r * u_n)
    h_next = (1 - z) * n + z * h

    def backward(dh_next: Array) -> tuple[Array, ...]:
        da_n = dh_next * (1 - z) * (1 - n**2)
        da_r = da_n * u_n * r * (1 - r)
        da_z = dh_next * (h - n) * z * (1 - z)
        da = xp.concatenate([da_r, da_z, da_n], axis=1)  # (N, 3H)
        du = xp.concatenate([da_r, da_z, da_n * r], axis=1)  # u_n passed the reset gate first
        dh = du @ weight_hh + dh_next * z
        return da @ weight_ih, dh, da.T @ x, du.T @ h, da.sum(axis=0), du.sum(axis=0)

    return h_next, backward


def gru(
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
    """Run a gated recurrent unit over a sequence: :func:`gru_step` at every real token, h' = h at padding.

    Parameters
    ----------
    x : array (T, N, D)
    h0 : array (N, H)
    weight_ih, weight_hh, bias_ih, bias_hh : arrays (3H, D), (3H, H), (3H,), (3H,)
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
    H = weight_hh.shape[1]
    steps, before, after = time_steps(T, reverse)
    full = rows_without_padding(mask, T)
    x = zero_padding(x, mask)

    gates = x.reshape(-1, D) @ weight_ih.T  # all steps' input products at once
    bias = bias_ih.copy()
    bias[: 2 * H] += bias_hh[: 2 * H]  # the rest belongs to u_n, which passes the reset gate first
    gates += bias
    gates = gates.reshape(T, N, 3 * H)  # a of (1); turns into r, z, n in place
    r, z, n = (gates[:, :, k * H : (k + 1) * H] for k in range(3))
    u_n = xp.empty((T, N, H), dtype=x.dtype)
    states = xp.empty((T + 1, N, H), dtype=x.dtype)
    h_prev, h = states[before], states[after]  # (T, N, H) each, views one step apart
    h_prev[steps[0]] = h0
    for t in steps:
        u = h_prev[t] @ weight_hh.T
        r_and_z = gates[t, :, : 2 * H] + u[:, : 2 * H]
        gates[t, :, : 2 * H] = logistic(r_and_z, out=r_and_z)
        if not full[t]:
            z[t] = xp.where(mask[t, :, None], z[t], 1)  # an update gate of 1 keeps the state: (3)
        xp.add(u[:, 2 * H :], bias_hh[2 * H :], out=u_n[t])
        n_t = r[t] * u_n[t]
        n_t += n[t]
        n[t] = xp.tanh(n_t, out=n_t)
        xp.subtract(1, z[t], out=h[t])
        h[t] *= n_t
        h[t] += z[t] * h_prev[t]

    def backward(dy: Array, dh_n: Array) -> tuple[Array | None, ...]:
        dy = zero_padding(dy, mask)
        da = xp.empty_like(gates)  # first the slopes dh'/da of (2) and (3), all steps at once; then times dh
        da_r, da_z, da_n = (da[:, :, k * H : (k + 1) * H] for k in range(3))
        keep = 1 - z
        xp.multiply(n, n, out=da_n)
        xp.subtract(1, da_n, out=da_n)
        da_n *= keep  # at padding z = 1: all slopes are 0
        xp.subtract(h_prev, n, out=da_z)
        da_z *= z
        da_z *= keep
        xp.subtract(1, r, out=da_r)
        da_r *= r
        da_r *= u_n
        da_r *= da_n
        slopes = da.reshape(T, N, 3, H)
        du = xp.empty_like(gates)  # u_n passed the reset gate first, the rest is da
        dh = dh_n
        for t in reversed(steps):
            dh = dh + dy[t]
            slopes[t] *= dh[:, None]
            du[t] = da[t]
            du[t, :, 2 * H :] *= r[t]
            dh = dh * z[t]
            dh += du[t] @ weight_hh
        da_rows, du_rows = da.reshape(-1, 3 * H), du.reshape(-1, 3 * H)  # all steps' weight gradients at once
        dx = (da_rows @ weight_ih).reshape(T, N, D)
        dweight_ih, dweight_hh = da_rows.T @ x.reshape(-1, D), du_rows.T @ h_prev.reshape(-1, H)
        return dx, dh, dweight_ih, dweight_hh, da_rows.sum(axis=0), du_rows.sum(axis=0), None

    return (zero_padding(h, mask), h[steps[-1]].copy()), backward
