# ruff: noqa: RUF059 (students unpack every shape)
"""Peepholes, cells with fewer gates, and nets of one course or book: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_2, draw_5, sigmoid


@mutant(
    "peephole_lstm_output_gate_never_looked_at_the_cell",
    cause="branch-missing",
    inputs=draw_5((4, 2, 3), (2, 5), (2, 5), (3, 20), (5, 20), (20,), (5,), (5,), (5,)),
    wrong=("dx", "dh0", "dc0", "dW", "dU", "db", "dpi", "dpf", "dpo"),
    note="i and f look at the old cell, o at the new one",
)
def peephole_lstm_output_gate_never_looked_at_the_cell(x, h0, c0, W, U, b, pi, pf, po):
    T = len(x)
    hs, cs, acts = [h0], [c0], []
    for t in range(T):
        zi, zf, zg, zo = np.split(x[t] @ W + hs[t] @ U + b, 4, axis=1)
        i, f, g = sigmoid(zi + pi * cs[t]), sigmoid(zf + pf * cs[t]), np.tanh(zg)
        cs.append(f * cs[t] + i * g)
        o = sigmoid(zo + po * cs[t + 1])
        hs.append(o * np.tanh(cs[t + 1]))
        acts.append((i, f, g, o))

    def backward(dy):
        dx, dh, dc, dW, dU, db, dpi, dpf, dpo = (np.zeros_like(p) for p in (x, h0, c0, W, U, b, pi, pf, po))
        for t in reversed(range(T)):
            i, f, g, o = acts[t]
            tanh_c = np.tanh(cs[t + 1])
            dh = dh + dy[t]
            dzo = dh * tanh_c * o * (1 - o)
            dc = dc + dh * o * (1 - tanh_c**2)
            # missing: dc = dc + dzo * po
            dzi, dzf, dzg = dc * g * i * (1 - i), dc * cs[t] * f * (1 - f), dc * i * (1 - g**2)
            dpi += (dzi * cs[t]).sum(axis=0)
            dpf += (dzf * cs[t]).sum(axis=0)
            dpo += (dzo * cs[t + 1]).sum(axis=0)
            dz = np.hstack([dzi, dzf, dzg, dzo])
            dx[t], dh = dz @ W.T, dz @ U.T
            dW += x[t].T @ dz
            dU += hs[t].T @ dz
            db += dz.sum(axis=0)
            dc = dc * f + dzi * pi + dzf * pf
        return dx, dh, dc, dW, dU, db, dpi, dpf, dpo

    return np.stack(hs[1:]), backward


class CellOfABook:
    """One step, with gates in the order f g i o; keeps what it needs and leaves its gradients on itself."""

    def __init__(self, Wx, Wh, b):
        self.params = Wx, Wh, b

    def forward(self, x, h_prev, c_prev):
        Wx, Wh, b = self.params
        H = h_prev.shape[1]
        A = np.dot(x, Wx) + np.dot(h_prev, Wh) + b
        f, i, o = sigmoid(A[:, :H]), sigmoid(A[:, 2 * H : 3 * H]), sigmoid(A[:, 3 * H :])
        g = np.tanh(A[:, H : 2 * H])
        c_next = f * c_prev + g * i
        self.cache = x, h_prev, c_prev, i, f, g, o, c_next
        return o * np.tanh(c_next), c_next

    def backward(self, dh_next, dc_next):
        Wx, Wh, _ = self.params
        x, h_prev, c_prev, i, f, g, o, c_next = self.cache
        tanh_c_next = np.tanh(c_next)
        ds = dc_next + dh_next * o * (1 - tanh_c_next**2)
        df, do = ds * c_prev, dh_next * tanh_c_next
        di, dg = ds * i, ds * g  # right: di, dg = ds * g, ds * i
        dA = np.hstack((df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i), do * o * (1 - o)))
        self.grads = np.dot(x.T, dA), np.dot(h_prev.T, dA), dA.sum(axis=0)
        return np.dot(dA, Wx.T), np.dot(dA, Wh.T), ds * f


@mutant(
    "time_lstm_of_a_book_each_partner_keeps_itself",
    cause="wrong-gate",
    also=("missing-factor",),
    inputs=draw_5((2, 4, 3), (2, 5), (2, 5), (3, 20), (5, 20), (20,)),
    wrong=("dxs", "dh", "dc", "dWx", "dWh", "db"),
    note="the product g i, where each has the other for its derivative",
)
def time_lstm_of_a_book_each_partner_keeps_itself(xs, h, c, Wx, Wh, b):
    layers, hs = [], []
    for t in range(xs.shape[1]):
        layer = CellOfABook(Wx, Wh, b)
        h, c = layer.forward(xs[:, t], h, c)
        layers.append(layer)
        hs.append(h)

    def backward(dhs):
        dxs, grads = np.empty_like(xs), [np.zeros_like(p) for p in (Wx, Wh, b)]
        dh, dc = np.zeros_like(h), np.zeros_like(c)
        for t in reversed(range(len(layers))):
            dxs[:, t], dh, dc = layers[t].backward(dhs[:, t] + dh, dc)
            for total, grad in zip(grads, layers[t].grads, strict=True):
                total += grad
        return (dxs, dh, dc, *grads)

    return np.stack(hs, axis=1), backward


def batch_first_inputs(rng):
    N, T, D, H = 2, 4, 3, 5
    return tuple(rng.standard_normal(s) for s in [(N, T, D), (N, H), (D, 3 * H), (H, 3 * H), (3 * H,)])


@mutant(
    "gated_cell_reads_the_gradient_of_the_step_before",
    cause="off-by-one",
    inputs=batch_first_inputs,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
)
def gated_cell_reads_the_gradient_of_the_step_before(x, h0, Wx, Wh, b):
    """A cell with two gates; the batch comes first."""
    N, T, D = x.shape
    H = h0.shape[1]
    hs, c, cache = np.zeros((N, T, H)), np.zeros_like(h0), []
    prev = h0
    for t in range(T):
        a = x[:, t] @ Wx + prev @ Wh + b
        f, o, g = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), np.tanh(a[:, 2 * H :])
        cn = f * c + (1 - f) * g
        cache.append((prev, c, f, o, g, cn))
        prev, c = o * np.tanh(cn), cn
        hs[:, t] = prev

    def backward(dhs):
        dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dh, dc = np.zeros_like(h0), np.zeros_like(h0)
        for t in range(T - 1, -1, -1):
            prev, c, f, o, g, cn = cache[t]
            dh = dh + dhs[:, max(t - 1, 0)]  # right: dh = dh + dhs[:, t]
            dc = dc + dh * o * (1 - np.tanh(cn) ** 2)
            df, do, dg = dc * (c - g) * f * (1 - f), dh * np.tanh(cn) * o * (1 - o), dc * (1 - f) * (1 - g**2)
            da = np.concatenate((df, do, dg), axis=1)
            dx[:, t] = da @ Wx.T
            dWx += x[:, t].T @ da
            dWh += prev.T @ da
            db += da.sum(axis=0)
            dh, dc = da @ Wh.T, dc * f
        return dx, dh, dWx, dWh, db

    return hs, backward


@mutant(
    "gated_cell_joins_candidate_before_gate", cause="permuted-gates", inputs=batch_first_inputs,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
)  # fmt: skip
def gated_cell_joins_candidate_before_gate(x, h0, Wx, Wh, b):
    N, T, _ = x.shape
    H = h0.shape[1]
    hs, cache, prev = np.zeros((N, T, H)), [], h0
    for t in range(T):
        a = x[:, t] @ Wx + prev @ Wh + b
        f, o, g = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), np.tanh(a[:, 2 * H :])
        cache.append((prev, f, o, g))
        prev = f * prev + o * g
        hs[:, t] = prev

    def backward(dhs):
        dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dh = np.zeros_like(h0)
        for t in reversed(range(T)):
            prev, f, o, g = cache[t]
            dh = dh + dhs[:, t]
            df, do, dg = dh * prev * f * (1 - f), dh * g * o * (1 - o), dh * o * (1 - g**2)
            da = np.hstack([df, dg, do])  # right: da = np.hstack([df, do, dg])
            dx[:, t] = da @ Wx.T
            dWx += x[:, t].T @ da
            dWh += prev.T @ da
            db += da.sum(axis=0)
            dh = da @ Wh.T + dh * f
        return dx, dh, dWx, dWh, db

    return hs, backward


def simple_unit_inputs(rng):
    T, N, D, H = 5, 2, 3, 4
    return tuple(rng.standard_normal(s) for s in [(T, N, D), (D, H), (D, H), (D, H)])


@mutant("simple_unit_forgets_the_next_cell", cause="missing-dc-carry", inputs=simple_unit_inputs,
        wrong=("dx", "dW", "dWf"))  # fmt: skip
def simple_unit_forgets_the_next_cell(x, W, Wf, Wo):
    """A simple recurrent unit (SRU): the gates see the input alone, the steps only share the cell."""
    z, f, o = x @ W, sigmoid(x @ Wf), sigmoid(x @ Wo)
    c = [np.zeros_like(z[0])]
    for t in range(len(x)):
        c.append(f[t] * c[-1] + (1 - f[t]) * z[t])
    tc = np.tanh(np.stack(c[1:]))

    def backward(dh):
        dz, df, do = np.zeros_like(z), np.zeros_like(f), dh * tc * o * (1 - o)
        dc = np.zeros_like(c[0])
        for t in reversed(range(len(x))):
            dc = dh[t] * o[t] * (1 - tc[t] ** 2)  # right: dc = dc + dh[t] * o[t] * (1 - tc[t] ** 2)
            dz[t] = dc * (1 - f[t])
            df[t] = dc * (c[t] - z[t]) * f[t] * (1 - f[t])
            dc = dc * f[t]
        dx = dz @ W.T + df @ Wf.T + do @ Wo.T
        return (dx, *(np.einsum("tni,tnj->ij", x, d) for d in (dz, df, do)))

    return o * tc, backward


def peephole_inputs(rng):
    """Words (T, N, D), state and cell (N, H), the weights of i f o g side by side, and one peephole (H,) for i f o."""
    T, N, D, H = 4, 2, 3, 5
    shapes = [(T, N, D), (N, H), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,), (H,), (H,), (H,)]
    return tuple(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "peephole_lstm_old_cell_hears_nothing_from_the_gates",
    cause="branch-missing",
    inputs=peephole_inputs,
    wrong=("dX", "dh0", "dc0", "dW", "dU", "db", "dp_i", "dp_f", "dp_o"),
    note="input and forget gate look at the old cell, and it is carried back by the forget gate alone",
)
def peephole_lstm_old_cell_hears_nothing_from_the_gates(X, h0, c0, W, U, b, p_i, p_f, p_o):
    H = h0.shape[1]
    hs, cs, acts = [h0], [c0], []
    for X_t in X:
        a = X_t @ W + hs[-1] @ U + b
        i = sigmoid(a[:, :H] + p_i * cs[-1])
        f = sigmoid(a[:, H : 2 * H] + p_f * cs[-1])
        g = np.tanh(a[:, 3 * H :])
        cs.append(f * cs[-1] + i * g)
        o = sigmoid(a[:, 2 * H : 3 * H] + p_o * cs[-1])
        hs.append(o * np.tanh(cs[-1]))
        acts.append((i, f, o, g))

    def backward(dhs):
        dX = np.zeros_like(X)
        dW, dU, db, dp_i, dp_f, dp_o = (np.zeros_like(p) for p in (W, U, b, p_i, p_f, p_o))
        dh, dc = np.zeros_like(h0), np.zeros_like(c0)
        for t in reversed(range(len(X))):
            i, f, o, g = acts[t]
            dh = dh + dhs[t]
            th = np.tanh(cs[t + 1])
            da_o = dh * th * o * (1 - o)
            dc = dc + dh * o * (1 - th**2) + da_o * p_o
            da_i = dc * g * i * (1 - i)
            da_f = dc * cs[t] * f * (1 - f)
            da_g = dc * i * (1 - g**2)
            dp_i += np.sum(da_i * cs[t], axis=0)
            dp_f += np.sum(da_f * cs[t], axis=0)
            dp_o += np.sum(da_o * cs[t + 1], axis=0)
            da = np.concatenate([da_i, da_f, da_o, da_g], axis=1)
            dW += X[t].T @ da
            dU += hs[t].T @ da
            db += da.sum(axis=0)
            dX[t], dh = da @ W.T, da @ U.T
            dc = dc * f  # right: dc = dc * f + da_i * p_i + da_f * p_f
        return dX, dh, dc, dW, dU, db, dp_i, dp_f, dp_o

    return np.array(hs[1:]), backward


@mutant(
    "char_lstm_cell_gradient_handed_on_whole",
    cause="forget-gate-not-in-carry",
    inputs=arrays_2((5, 3), (4,), (4,), (16, 7), (16,)),
    wrong=("dxs", "dh0", "dc0", "dW", "db"),
)
def char_lstm_cell_gradient_handed_on_whole(xs, h0, c0, W, b):
    """One sentence of vectors; one matrix for state and letter together, gates f i o c."""
    H = len(h0)
    hs, cs, tape = [h0], [c0], []
    for x in xs:
        X = np.concatenate([hs[-1], x])
        z = W @ X + b
        hf, hi, ho, hc = sigmoid(z[:H]), sigmoid(z[H : 2 * H]), sigmoid(z[2 * H : 3 * H]), np.tanh(z[3 * H :])
        cs.append(hf * cs[-1] + hi * hc)
        hs.append(ho * np.tanh(cs[-1]))
        tape.append((X, hf, hi, ho, hc))

    def backward(dhs):
        dxs, dW, db = np.zeros_like(xs), np.zeros_like(W), np.zeros_like(b)
        dh_next, dc_next = np.zeros_like(h0), np.zeros_like(c0)
        for t in reversed(range(len(xs))):
            X, hf, hi, ho, hc = tape[t]
            squashed = np.tanh(cs[t + 1])
            dh = dhs[t] + dh_next
            dc = dc_next + dh * ho * (1 - squashed**2)
            dhf, dhi = dc * cs[t] * hf * (1 - hf), dc * hc * hi * (1 - hi)
            dho, dhc = dh * squashed * ho * (1 - ho), dc * hi * (1 - hc**2)
            dz = np.concatenate([dhf, dhi, dho, dhc])
            dW += np.outer(dz, X)
            db += dz
            dX = W.T @ dz
            dh_next, dxs[t] = dX[:H], dX[H:]
            dc_next = dc  # right: dc_next = dc * hf
        return dxs, dh_next.copy(), dc_next.copy(), dW, db

    return np.array(hs[1:]), backward
