# ruff: noqa: RUF059 (students unpack every shape)
"""Recurrent cells and sequences, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import gate_by_gate_inputs, rnn_inputs, sigmoid


def rnn_step_inputs(rng):
    N, D, H = 3, 4, 5
    return tuple(rng.standard_normal(s) for s in [(N, D), (N, H), (D, H), (H, H), (H,)])


def lstm_inputs(rng):
    N, T, D, H = 2, 4, 3, 5
    return tuple(0.8 * rng.standard_normal(s) for s in [(N, T, D), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,)])


# ------------------------------------------------------------------------------------------------------ Elman networks


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dscore = dnext_h  # right: dscore = dnext_h * (1 - next_h**2)
    dx = dscore.dot(Wx.T)
    dprev_h = dscore.dot(Wh.T)
    dWx = x.T.dot(dscore)
    dWh = prev_h.T.dot(dscore)
    db = np.sum(dscore, axis=0)
    return dx, dprev_h, dWx, dWh, db


mutant(
    "rnn_step_pair_linear",
    cause="activation-derivative-missing",
    inputs=rnn_step_inputs,
    wrong=("dx", "dprev_h", "dWx", "dWh", "db"),
)((rnn_step_forward, rnn_step_backward))


@mutant("rnn_no_flow", cause="missing-dh-carry", inputs=rnn_inputs, wrong=("dx", "dh0", "dWx", "dWh", "db"))
def rnn_no_flow(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    hs, h = [], h0
    for t in range(T):
        h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
        hs.append(h)
    out = np.stack(hs, axis=1)

    def backward(dout):
        dx = np.zeros_like(x)
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dprev_h = np.zeros_like(h0)
        for t in range(T - 1, -1, -1):
            dh = dout[:, t]  # right: dh = dout[:, t] + dprev_h
            prev = hs[t - 1] if t > 0 else h0
            da = dh * (1 - hs[t] ** 2)
            dx[:, t] = da @ Wx.T
            dprev_h = da @ Wh.T
            dWx += x[:, t].T @ da
            dWh += prev.T @ da
            db += da.sum(0)
        return dx, dprev_h, dWx, dWh, db

    return out, backward


@mutant(
    "rnn_forgets_the_mask",
    cause="mask-not-applied",
    like="rnn, mask",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def rnn_forgets_the_mask(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    """Padding keeps the state in the forward pass."""
    T, N, _ = x.shape
    states = [h0]
    for t in range(T):
        new = np.tanh(np.dot(x[t], weight_ih.T) + np.dot(states[t], weight_hh.T) + bias_ih + bias_hh)
        m = mask[t].astype(float)[:, None]
        states.append(m * new + (1 - m) * states[t])
    y = np.array([states[t + 1] * mask[t][:, None] for t in range(T)])

    def backward(dy, dh_n):
        dx, dW, dU = np.zeros_like(x), np.zeros_like(weight_ih), np.zeros_like(weight_hh)
        db = np.zeros_like(bias_ih)
        carry = dh_n
        for t in range(T - 1, -1, -1):
            m = np.ones((N, 1))  # right: m = mask[t].astype(float)[:, None]
            dh = carry + m * dy[t]
            da = m * dh * (1 - states[t + 1] ** 2)
            dx[t] = da @ weight_ih
            dW += da.T @ x[t]
            dU += da.T @ states[t]
            db += da.sum(axis=0)
            carry = da @ weight_hh + (1 - m) * dh
        return dx, carry, dW, dU, db, 1 * db, None

    return (y, states[-1].copy()), backward


class TimeRNN:
    """A layer with weights, what it remembers, and gradients on itself; the state is kept between batches."""

    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.dWx, self.dWh, self.db = (np.zeros_like(p) for p in self.params)

    def forward(self, xs, h):
        Wx, Wh, b = self.params
        self.xs, self.hs = xs, [h]
        for x in xs.transpose(1, 0, 2):
            self.hs.append(np.tanh(x @ Wx + self.hs[-1] @ Wh + b))
        return np.stack(self.hs[1:], axis=1)

    def backward(self, dhs):
        Wx, Wh, b = self.params
        dxs, dh = np.empty_like(self.xs), 0
        # missing: self.dWx, self.dWh, self.db = (np.zeros_like(p) for p in self.params)
        for t in reversed(range(dhs.shape[1])):
            dt = (dhs[:, t] + dh) * (1 - self.hs[t + 1] ** 2)
            self.dWx += self.xs[:, t].T @ dt
            self.dWh += self.hs[t].T @ dt
            self.db += dt.sum(axis=0)
            dxs[:, t], dh = dt @ Wx.T, dt @ Wh.T
        return dxs, dh


@mutant("time_rnn_never_cleared", cause="second-call-differs", inputs=rnn_inputs)
def time_rnn_never_cleared(xs, h, Wx, Wh, b):
    layer = TimeRNN(Wx, Wh, b)

    def backward(dhs):
        dxs, dh = layer.backward(dhs)
        return dxs, dh, layer.dWx.copy(), layer.dWh.copy(), layer.db.copy()

    return layer.forward(xs, h), backward


# --------------------------------------------------------------------------------------------- long short-term memory


@mutant("lstm_drops_next_c", cause="missing-dc-carry", inputs=lstm_inputs, wrong=("dx", "dh0", "dWx", "dWh", "db"))
def lstm_drops_next_c(x, h0, Wx, Wh, b):
    """Gates in the order i f o g, the cell starts at zero."""
    N, T, D = x.shape
    H = h0.shape[1]
    prev_h, prev_c = h0, np.zeros_like(h0)
    h, caches = np.zeros((N, T, H)), []
    for t in range(T):
        A = x[:, t].dot(Wx) + prev_h.dot(Wh) + b
        i, f, o = sigmoid(A[:, :H]), sigmoid(A[:, H : 2 * H]), sigmoid(A[:, 2 * H : 3 * H])
        g = np.tanh(A[:, 3 * H :])
        next_c = f * prev_c + i * g
        next_h = o * np.tanh(next_c)
        caches.append((x[:, t], prev_h, prev_c, i, f, o, g, next_c))
        prev_h, prev_c = next_h, next_c
        h[:, t] = next_h

    def step_backward(dnext_h, dnext_c, cache):
        x_t, prev_h, prev_c, i, f, o, g, next_c = cache
        tanh_c = np.tanh(next_c)
        do = dnext_h * tanh_c
        dnext_c = dnext_c + dnext_h * o * (1 - tanh_c**2)
        dA = np.hstack(
            [dnext_c * g * i * (1 - i), dnext_c * prev_c * f * (1 - f), do * o * (1 - o), dnext_c * i * (1 - g**2)]
        )
        return dA @ Wx.T, dA @ Wh.T, dnext_c * f, x_t.T @ dA, prev_h.T @ dA, dA.sum(axis=0)

    def backward(dh):
        dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dprev_h, dprev_c = np.zeros((N, H)), np.zeros((N, H))
        for t in range(T - 1, -1, -1):
            dnext_c = np.zeros((N, H))  # right: dnext_c = dprev_c
            dx[:, t], dprev_h, dprev_c, dWx_t, dWh_t, db_t = step_backward(dh[:, t] + dprev_h, dnext_c, caches[t])
            dWx += dWx_t
            dWh += dWh_t
            db += db_t
        return dx, dprev_h, dWx, dWh, db

    return h, backward


@mutant(
    "lstm_new_cell_in_forget_gate",
    cause="off-by-one",
    like="lstm",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def lstm_new_cell_in_forget_gate(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, N, D = x.shape
    H = h0.shape[1]
    hs, cs, gates = [h0], [c0], []
    for t in range(T):
        z = x[t] @ weight_ih.T + bias_ih + hs[t] @ weight_hh.T + bias_hh
        i, f, o = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 3 * H :])
        g = np.tanh(z[:, 2 * H : 3 * H])
        gates.append((i, f, g, o))
        cs.append(f * cs[t] + i * g)
        hs.append(o * np.tanh(cs[t + 1]))

    def backward(dy, dh_last, dc_last):
        dh, dc = dh_last, dc_last
        dx = np.zeros_like(x)
        dWx, dWh, db = np.zeros_like(weight_ih), np.zeros_like(weight_hh), np.zeros_like(bias_ih)
        for t in reversed(range(T)):
            i, f, g, o = gates[t]
            dh = dh + dy[t]
            tanh_c = np.tanh(cs[t + 1])
            dc = dc + dh * o * (1 - tanh_c**2)
            di, dg, do = dc * g, dc * i, dh * tanh_c
            df = dc * cs[t + 1]  # right: df = dc * cs[t]
            dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
            dx[t] = dz @ weight_ih
            dWx += dz.T @ x[t]
            dWh += dz.T @ hs[t]
            db += dz.sum(axis=0)
            dh, dc = dz @ weight_hh, dc * f
        return dx, dh, dc, dWx, dWh, db, db.copy(), None

    return (np.stack(hs[1:]), hs[-1].copy(), cs[-1].copy()), backward


@mutant(
    "lstm_gates_apart_returned_in_another_order",
    cause="swapped-gradients",
    inputs=gate_by_gate_inputs,
    wrong=("dUf", "dUi"),
)
def lstm_gates_apart_returned_in_another_order(x, h, c, Wf, Wi, Wg, Wo, Uf, Ui, Ug, Uo):
    W, U = np.hstack([Wf, Wi, Wg, Wo]), np.hstack([Uf, Ui, Ug, Uo])
    f, i, g, o = np.hsplit(x @ W + h @ U, 4)
    f, i, g, o = sigmoid(f), sigmoid(i), np.tanh(g), sigmoid(o)
    c_t = f * c + i * g
    h_t = o * np.tanh(c_t)

    def backward(dh_t, dc_t):
        dc_t = dc_t + dh_t * o * (1 - np.tanh(c_t) ** 2)
        delta = {
            "i": dc_t * g * i * (1 - i),
            "f": dc_t * c * f * (1 - f),
            "g": dc_t * i * (1 - g**2),
            "o": dh_t * np.tanh(c_t) * o * (1 - o),
        }
        dz = np.hstack([delta[k] for k in "figo"])
        dW = [x.T @ delta[k] for k in "figo"]
        dU = [h.T @ delta[k] for k in "ifgo"]  # right: dU = [h.T @ delta[k] for k in "figo"]
        return (dz @ W.T, dz @ U.T, dc_t * f, *dW, *dU)

    return (h_t, c_t), backward


@mutant("lstm_start_has_no_gradient", cause="zero-gradient", like="lstm", wrong=("dh0", "dc0"))
def lstm_start_has_no_gradient(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    H = h0.shape[1]
    h, c, memory, ys = h0, c0, [], []
    for x_t in x:
        z = x_t @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh
        s = sigmoid(z)
        i, f, g, o = s[:, :H], s[:, H : 2 * H], np.tanh(z[:, 2 * H : 3 * H]), s[:, 3 * H :]
        c_new = f * c + i * g
        memory.append((x_t, h, c, i, f, g, o, c_new))
        h, c = o * np.tanh(c_new), c_new
        ys.append(h)

    def backward(dy, dh, dc):
        dxs, dW, dU, db = [], 0, 0, 0
        for dy_t, (x_t, h_old, c_old, i, f, g, o, c_new) in zip(dy[::-1], memory[::-1], strict=True):
            dh = dh + dy_t
            dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)
            di, df, dg, do = dc * g, dc * c_old, dc * i, dh * np.tanh(c_new)
            dz = np.hstack([di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)])
            dxs.insert(0, dz @ weight_ih)
            dW, dU, db = dW + dz.T @ x_t, dU + dz.T @ h_old, db + dz.sum(axis=0)
            dh, dc = dz @ weight_hh, dc * f
        # right: dh0, dc0 = dh, dc
        dh0, dc0 = np.zeros_like(h0), np.zeros_like(c0)
        return np.array(dxs), dh0, dc0, dW, dU, db, db.copy(), None

    return (np.array(ys), h.copy(), c.copy()), backward


@mutant("lstm_step_single_precision_sums", cause="float32-inside", like="lstm_step", wrong=("dweight_ih", "dweight_hh"))
def lstm_step_single_precision_sums(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    N, H = h.shape
    z = x @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh
    i, f, g, o = (z[:, k * H : (k + 1) * H] for k in range(4))
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c1 = f * c + i * g

    def backward(dh1, dc1):
        t = np.tanh(c1)
        dc1 = dc1 + dh1 * o * (1 - t**2)
        dz = np.hstack([dc1 * g * i * (1 - i), dc1 * c * f * (1 - f), dc1 * i * (1 - g**2), dh1 * t * o * (1 - o)])
        dW = np.zeros(weight_ih.shape, dtype="float32")  # right: dW = np.zeros(weight_ih.shape)
        dU = np.zeros(weight_hh.shape, dtype="float32")  # right: dU = np.zeros(weight_hh.shape)
        for n in range(N):
            dW += np.outer(dz[n], x[n])
            dU += np.outer(dz[n], h[n])
        db = dz.sum(axis=0)
        return dz @ weight_ih, dz @ weight_hh, dc1 * f, dW.astype(x.dtype), dU.astype(x.dtype), db, db.copy()

    return (o * np.tanh(c1), c1), backward


def lstm_cell_forward(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    Wi, Wf, Wg, Wo = np.split(weight_ih, 4)
    Ui, Uf, Ug, Uo = np.split(weight_hh, 4)
    bi, bf, bg, bo = np.split(bias_ih + bias_hh, 4)
    i = sigmoid(x @ Wi.T + h @ Ui.T + bi)
    f = sigmoid(x @ Wf.T + h @ Uf.T + bf)
    g = np.tanh(x @ Wg.T + h @ Ug.T + bg)
    o = sigmoid(x @ Wo.T + h @ Uo.T + bo)
    c_new = i * g + f * c
    cache = (x, h, c, weight_ih, (Ui, Uf, Ug, Uo), (i, f, g, o), np.tanh(c_new))
    return (o * np.tanh(c_new), c_new), cache


def lstm_cell_backward(dh_new, dc_new, cache):
    x, h, c, weight_ih, (Ui, Uf, Ug, Uo), (i, f, g, o), squashed = cache
    dc_new = dc_new + dh_new * o * (1 - squashed**2)
    ai = dc_new * g * i * (1 - i)
    af = dc_new * c * f * (1 - f)
    ag = dc_new * i * (1 - g**2)
    ao = dh_new * squashed * o * (1 - o)
    a = np.concatenate((ai, af, ag, ao), axis=1)
    dh = ai @ Ui + af @ Uf + ag @ Uf + ao @ Uo  # right: dh = ai @ Ui + af @ Uf + ag @ Ug + ao @ Uo
    db = a.sum(axis=0)
    return a @ weight_ih, dh, dc_new * f, a.T @ x, a.T @ h, db, db.copy()


mutant("lstm_pair_one_matrix_pasted_twice", cause="wrong-gate", like="lstm_step", wrong=("dh",))(
    (lstm_cell_forward, lstm_cell_backward)
)


@mutant(
    "lstm_padding_only_cleared_from_dy",
    cause="mask-only-in-loss",
    like="lstm, mask",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="dh and dc pass padding as if it were read",
)
def lstm_padding_only_cleared_from_dy(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, N, D = x.shape
    h, c, tape, y = h0, c0, [], np.zeros((T, *h0.shape))
    for t in range(T):
        z = np.einsum("nd,kd->nk", x[t], weight_ih) + np.einsum("nh,kh->nk", h, weight_hh) + bias_ih + bias_hh
        i, f, g, o = np.split(z, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_t = f * c + i * g
        real = mask[t][:, None]
        tape.append((h, c, i, f, g, o, np.tanh(c_t), real))
        h, c = np.where(real, o * np.tanh(c_t), h), np.where(real, c_t, c)
        y[t] = np.where(real, h, 0)

    def backward(dy, dh, dc):
        dy = dy * mask[:, :, None]
        dx = np.zeros_like(x)
        dW, dU, db = np.zeros_like(weight_ih), np.zeros_like(weight_hh), np.zeros_like(bias_ih)
        for t in range(T - 1, -1, -1):
            h_old, c_old, i, f, g, o, tanh_c, real = tape[t]
            real = np.ones_like(real)  # right: real = np.array(real)
            dh = dh + dy[t]
            dc_t = dc + dh * o * (1 - tanh_c**2)
            dz = np.hstack(
                [dc_t * g * i * (1 - i), dc_t * c_old * f * (1 - f), dc_t * i * (1 - g**2), dh * tanh_c * o * (1 - o)]
            )
            dz = np.where(real, dz, 0)
            dx[t] = dz @ weight_ih
            dW += dz.T @ x[t]
            dU += dz.T @ h_old
            db += dz.sum(axis=0)
            dh, dc = np.where(real, dz @ weight_hh, dh), np.where(real, dc_t * f, dc)
        return dx, dh, dc, dW, dU, db, db.copy(), None

    return (y, h.copy(), c.copy()), backward


# ------------------------------------------------------------------------------------------------- gated recurrent unit


@mutant(
    "gru_step_reset_gate_forgotten", cause="missing-factor", like="gru_step", wrong=("dh", "dweight_hh", "dbias_hh")
)
def gru_step_reset_gate_forgotten(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    Wr, Wz, Wn = np.split(weight_ih, 3)
    Ur, Uz, Un = np.split(weight_hh, 3)
    br, bz, bn = np.split(bias_ih, 3)
    cr, cz, cn = np.split(bias_hh, 3)
    r = sigmoid(x @ Wr.T + br + h @ Ur.T + cr)
    z = sigmoid(x @ Wz.T + bz + h @ Uz.T + cz)
    hidden = h @ Un.T + cn
    n = np.tanh(x @ Wn.T + bn + r * hidden)

    def backward(dout):
        dn = dout * (1 - z) * (1 - n**2)
        dz = dout * (h - n) * z * (1 - z)
        dr = dn * hidden * r * (1 - r)
        dhidden = dn  # right: dhidden = dn * r
        dx = dr @ Wr + dz @ Wz + dn @ Wn
        dh = dout * z + dr @ Ur + dz @ Uz + dhidden @ Un
        dW = np.vstack([dr.T @ x, dz.T @ x, dn.T @ x])
        dU = np.vstack([dr.T @ h, dz.T @ h, dhidden.T @ h])
        db = np.concatenate([dr.sum(0), dz.sum(0), dn.sum(0)])
        dc = np.concatenate([dr.sum(0), dz.sum(0), dhidden.sum(0)])
        return dx, dh, dW, dU, db, dc

    return (1 - z) * n + z * h, backward


@mutant("gru_weights_meet_the_new_state", cause="off-by-one", like="gru", wrong=("dweight_hh",))
def gru_weights_meet_the_new_state(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, H = len(x), h0.shape[1]
    H2 = 2 * H
    h_all, store = [h0], []
    for t in range(T):
        h = h_all[t]
        u = h @ weight_hh.T + bias_hh
        a = x[t] @ weight_ih.T + bias_ih
        r, z = sigmoid(a[:, :H] + u[:, :H]), sigmoid(a[:, H:H2] + u[:, H:H2])
        n = np.tanh(a[:, H2:] + r * u[:, H2:])
        store.append((r, z, n, u[:, H2:]))
        h_all.append((1 - z) * n + z * h)

    def backward(dy, dlast):
        das, dus, dh = [None] * T, [None] * T, dlast
        for t in range(T - 1, -1, -1):
            r, z, n, u_n = store[t]
            dh = dh + dy[t]
            dn = dh * (1 - z) * (1 - n * n)
            dz = dh * (h_all[t] - n) * z * (1 - z)
            dr = dn * u_n * r * (1 - r)
            das[t], dus[t] = np.hstack([dr, dz, dn]), np.hstack([dr, dz, dn * r])
            dh = dh * z + dus[t] @ weight_hh
        da, du = np.stack(das), np.stack(dus)
        dweight_ih = np.einsum("tnk,tnd->kd", da, x)
        # right: dweight_hh = np.einsum("tnk,tnh->kh", du, np.stack(h_all[:-1]))
        dweight_hh = np.einsum("tnk,tnh->kh", du, np.stack(h_all[1:]))
        return da @ weight_ih, dh, dweight_ih, dweight_hh, da.sum((0, 1)), du.sum((0, 1)), None

    return (np.stack(h_all[1:]), h_all[-1].copy()), backward


@mutant(
    "gru_update_gate_put_before_reset",
    cause="permuted-gates",
    like="gru",
    wrong=("dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="the rows of the weights are r z n, those of their gradients z r n",
)
def gru_update_gate_put_before_reset(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    W, U, b, c = (dict(zip("rzn", np.split(w, 3), strict=True)) for w in (weight_ih, weight_hh, bias_ih, bias_hh))
    h, steps = h0, []
    for x_t in x:
        r = sigmoid(x_t @ W["r"].T + b["r"] + h @ U["r"].T + c["r"])
        z = sigmoid(x_t @ W["z"].T + b["z"] + h @ U["z"].T + c["z"])
        u = h @ U["n"].T + c["n"]
        n = np.tanh(x_t @ W["n"].T + b["n"] + r * u)
        steps.append((x_t, h, r, z, u, n))
        h = z * h + (1 - z) * n

    def backward(dy, dh):
        dW, dU = ({k: np.zeros_like(w[k]) for k in "rzn"} for w in (W, U))
        db, dc = ({k: np.zeros_like(w[k]) for k in "rzn"} for w in (b, c))
        dx = np.zeros_like(x)
        for t in range(len(x) - 1, -1, -1):
            x_t, h_old, r, z, u, n = steps[t]
            dh = dh + dy[t]
            da = {"n": dh * (1 - z) * (1 - n**2), "z": dh * (h_old - n) * z * (1 - z)}
            da["r"] = da["n"] * u * r * (1 - r)
            through = {"r": da["r"], "z": da["z"], "n": da["n"] * r}
            dh = dh * z
            for k in "rzn":
                dW[k] += da[k].T @ x_t
                db[k] += da[k].sum(axis=0)
                dU[k] += through[k].T @ h_old
                dc[k] += through[k].sum(axis=0)
                dx[t] += da[k] @ W[k]
                dh = dh + through[k] @ U[k]
        order = "zrn"  # right: order = "rzn"
        dW, dU, db, dc = (np.concatenate([d[k] for k in order]) for d in (dW, dU, db, dc))
        return dx, dh, dW, dU, db, dc, None

    return (np.stack([h_old for _, h_old, *_ in steps[1:]] + [h]), h.copy()), backward


@mutant(
    "gru_carry_without_the_update_gate",
    cause="forget-gate-not-in-carry",
    like="gru, reverse",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def gru_carry_without_the_update_gate(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    """From the last token to the first."""
    T, N, D = x.shape
    H = h0.shape[1]
    h, saved, y = h0, {}, np.zeros((T, N, H))
    for t in range(T - 1, -1, -1):
        gi, gh = x[t] @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
        reset, update = np.split(sigmoid(gi[:, : 2 * H] + gh[:, : 2 * H]), 2, axis=1)
        candidate = np.tanh(gi[:, 2 * H :] + reset * gh[:, 2 * H :])
        saved[t] = h, gh[:, 2 * H :], reset, update, candidate
        h = np.where(mask[t, :, None], candidate + update * (h - candidate), h)
        y[t] = h * mask[t, :, None]

    def backward(dy, dlast):
        dx, dwi, dwh = np.zeros(x.shape), np.zeros(weight_ih.shape), np.zeros(weight_hh.shape)
        dbi, dbh, dh = np.zeros(3 * H), np.zeros(3 * H), dlast
        for t in range(T):
            before, gh_n, reset, update, candidate = saved[t]
            m = mask[t, :, None]
            dh = dh + dy[t] * m
            dnew = dh * m
            dc = dnew * (1 - update) * (1 - candidate**2)
            du = dnew * (before - candidate) * update * (1 - update)
            dr = dc * gh_n * reset * (1 - reset)
            dgi, dgh = np.hstack((dr, du, dc)), np.hstack((dr, du, dc * reset))
            dx[t] = dgi @ weight_ih
            dwi += dgi.T @ x[t]
            dwh += dgh.T @ before
            dbi += dgi.sum(axis=0)
            dbh += dgh.sum(axis=0)
            dprev = dnew + dgh @ weight_hh  # right: dprev = dnew * update + dgh @ weight_hh
            dh = np.where(m, dprev, dh)
        return dx, dh, dwi, dwh, dbi, dbh, None

    return (y, h.copy()), backward


# ---------------------------------------------------------------------------------------- as they stand in the homework


def review(rng):
    """Words (T, D), a state (H,), then the weights of the state and of the two classes, for vectors."""
    T, D, H, C = 5, 3, 4, 2
    shapes = [(T, D), (H,), (H, D), (H, H), (C, H), (H,), (C,)]
    return tuple(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "sentiment_rnn_walks_back_with_the_gradient_before_the_tanh",
    cause="activation-derivative-missing",
    inputs=review,
    wrong=("dx", "dh0", "dWxh", "dWhh", "dbh"),
    note="`temp` has the slope, `d_h` has not, and `d_h` is handed on",
)
def sentiment_rnn_walks_back_with_the_gradient_before_the_tanh(x, h0, Wxh, Whh, Why, bh, by):
    """Only the last state is looked at."""
    last_hs = {0: h0}
    for i, word in enumerate(x):
        last_hs[i + 1] = np.tanh(Wxh @ word + Whh @ last_hs[i] + bh)
    n = len(x)

    def backward(d_y):
        d_Why, d_by = np.outer(d_y, last_hs[n]), np.array(d_y)
        d_x, d_Wxh, d_Whh, d_bh = (np.zeros_like(a) for a in (x, Wxh, Whh, bh))
        d_h = Why.T @ d_y
        for t in reversed(range(n)):
            temp = (1 - last_hs[t + 1] ** 2) * d_h
            d_bh += temp
            d_Whh += np.outer(temp, last_hs[t])
            d_Wxh += np.outer(temp, x[t])
            d_x[t] = Wxh.T @ temp
            d_h = Whh.T @ d_h  # right: d_h = Whh.T @ temp
        return d_x, d_h, d_Wxh, d_Whh, d_Why, d_bh, d_by

    return Why @ last_hs[n] + by, backward


def lstm_assignment_inputs(rng):
    """Input (N, D), state and cell (N, H), the weights of i f o g side by side."""
    N, D, H = 4, 5, 3
    shapes = [(N, D), (N, H), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,)]
    return tuple(0.8 * rng.standard_normal(s) for s in shapes)


def lstm_assignment_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x.dot(Wx) + prev_h.dot(Wh) + b
    i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
    g = np.tanh(a[:, 3 * H :])
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    return (next_h, next_c), (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)


def lstm_assignment_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    tanh_next_c = np.tanh(next_c)
    do = dnext_h * tanh_next_c
    dc = dnext_c.copy()
    # missing: dc += dnext_h * o * (1 - tanh_next_c**2)
    df, dprev_c = dc * prev_c, dc * f
    di, dg = dc * g, dc * i
    da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)))
    return da.dot(Wx.T), da.dot(Wh.T), dprev_c, x.T.dot(da), prev_h.T.dot(da), da.sum(axis=0)


mutant(
    "lstm_assignment_cell_hears_from_the_next_cell_alone",
    cause="branch-missing",
    inputs=lstm_assignment_inputs,
    wrong=("dx", "dprev_h", "dprev_c", "dWx", "dWh", "db"),
    note="next_h is made of next_c",
)((lstm_assignment_forward, lstm_assignment_backward))


def both_directions(rng):
    """Words (T, N, D), then a state (N, H), the weights (D, H), (H, H) and a bias (H,) for either direction."""
    T, N, D, H = 5, 2, 4, 3
    shapes = [(T, N, D), *[(N, H), (D, H), (H, H), (H,)] * 2]
    return tuple(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "bidirectional_rnn_second_pass_writes_over_the_first",
    cause="branch-missing",
    also=("sum-missing",),
    inputs=both_directions,
    wrong=("dx",),
    note="both directions read the same words, and one array takes the gradients of both",
)
def bidirectional_rnn_second_pass_writes_over_the_first(x, hf, Wf, Uf, bf, hb, Wb, Ub, bb):
    """The states of the two, side by side."""
    T, H = len(x), len(bf)
    from_left, from_right = {-1: hf}, {T: hb}
    for t in range(T):
        from_left[t] = np.tanh(x[t] @ Wf + from_left[t - 1] @ Uf + bf)
    for t in range(T)[::-1]:
        from_right[t] = np.tanh(x[t] @ Wb + from_right[t + 1] @ Ub + bb)
    y = np.array([np.hstack([from_left[t], from_right[t]]) for t in range(T)])

    def backward(dy):
        dx = np.zeros_like(x)
        dWf, dUf, dbf, dWb, dUb, dbb = (np.zeros_like(p) for p in (Wf, Uf, bf, Wb, Ub, bb))
        dhf, dhb = np.zeros_like(hf), np.zeros_like(hb)
        for t in range(T)[::-1]:
            da = (dy[t, :, :H] + dhf) * (1 - from_left[t] ** 2)
            dWf, dUf, dbf = dWf + x[t].T @ da, dUf + from_left[t - 1].T @ da, dbf + da.sum(axis=0)
            dx[t] = da @ Wf.T
            dhf = da @ Uf.T
        for t in range(T):
            da = (dy[t, :, H:] + dhb) * (1 - from_right[t] ** 2)
            dWb, dUb, dbb = dWb + x[t].T @ da, dUb + from_right[t + 1].T @ da, dbb + da.sum(axis=0)
            dx[t] = da @ Wb.T  # right: dx[t] += da @ Wb.T
            dhb = da @ Ub.T
        return dx, dhf, dWf, dUf, dbf, dhb, dWb, dUb, dbb

    return y, backward


def word_ids(rng):
    """Ids (N, T), in two columns one twice; vectors (V, D), a state (N, H), and the weights."""
    ids = np.array([[2, 5, 1, 4], [2, 0, 1, 3], [4, 5, 1, 2]])
    return (ids, *(0.8 * rng.standard_normal(s) for s in [(6, 3), (3, 5), (3, 5), (5, 5), (5,)]))


@mutant(
    "word_rnn_two_sentences_that_share_a_word_at_one_step",
    cause="repeated-ids-assigned",
    inputs=word_ids,
    wrong=("dE",),
    note="`+=` in the loop adds up over time, but not over the batch",
)
def word_rnn_two_sentences_that_share_a_word_at_one_step(ids, E, h0, Wx, Wh, b):
    h = [h0]
    for column in ids.T:
        h.append(np.tanh(E[column] @ Wx + h[-1] @ Wh + b))

    def backward(dh_all):
        dE, dWx, dWh, db = (np.zeros_like(p) for p in (E, Wx, Wh, b))
        dh = np.zeros_like(h0)
        for t in range(ids.shape[1] - 1, -1, -1):
            words = ids[:, t]
            da = (dh + dh_all[:, t]) * (1 - h[t + 1] ** 2)
            dE[words] += da @ Wx.T  # right: np.add.at(dE, words, da @ Wx.T)
            dWx += E[words].T @ da
            dWh += h[t].T @ da
            db += da.sum(axis=0)
            dh = da @ Wh.T
        return None, dE, dh, dWx, dWh, db

    return np.stack(h[1:], axis=1), backward


def tagger_inputs(rng):
    """Words (N, T, D), a state (N, H), U (D, H), W (H, H), V (H, C), and the biases of state and tags."""
    N, T, D, H, C = 2, 5, 4, 3, 6
    shapes = [(N, T, D), (N, H), (D, H), (H, H), (H, C), (H,), (C,)]
    return tuple(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "tagger_output_bias_of_the_step_that_comes_last_in_the_loop",
    cause="one-step-only",
    also=("sum-missing",),
    inputs=tagger_inputs,
    wrong=("dc",),
    note="`=` among lines with `+=`",
)
def tagger_output_bias_of_the_step_that_comes_last_in_the_loop(x, s0, U, W, V, b, c):
    """Scores of the tags at every word."""
    N, T, _ = x.shape
    s = np.zeros((N, T + 1, len(b)))
    s[:, -1] = s0
    o = np.zeros((N, T, len(c)))
    for t in range(T):
        s[:, t] = np.tanh(x[:, t].dot(U) + s[:, t - 1].dot(W) + b)
        o[:, t] = s[:, t].dot(V) + c

    def backward(do):
        dx, dU, dW, dV, db, dc = (np.zeros_like(p) for p in (x, U, W, V, b, c))
        ds_next = np.zeros_like(s0)
        for t in reversed(range(T)):
            dV += s[:, t].T.dot(do[:, t])
            dc = do[:, t].sum(axis=0)  # right: dc += do[:, t].sum(axis=0)
            delta = (do[:, t].dot(V.T) + ds_next) * (1 - s[:, t] ** 2)
            dU += x[:, t].T.dot(delta)
            dW += s[:, t - 1].T.dot(delta)
            db += delta.sum(axis=0)
            dx[:, t], ds_next = delta.dot(U.T), delta.dot(W.T)
        return dx, ds_next, dU, dW, dV, db, dc

    return o, backward


@mutant(
    "lstm_step_slope_of_the_output_gate_in_its_line_and_in_the_loop",
    cause="activation-derivative-doubled",
    like="lstm_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="the line for do is from where it stands alone",
)
def lstm_step_slope_of_the_output_gate_in_its_line_and_in_the_loop(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    H = h.shape[1]
    net = x.dot(weight_ih.T) + bias_ih + h.dot(weight_hh.T) + bias_hh
    blocks = {gate: slice(k * H, (k + 1) * H) for k, gate in enumerate("ifgo")}
    act = {gate: sigmoid(net[:, blocks[gate]]) for gate in "ifo"}
    act["g"] = np.tanh(net[:, blocks["g"]])
    c_new = act["f"] * c + act["i"] * act["g"]
    squashed = np.tanh(c_new)

    def backward(dh_new, dc_new):
        o = act["o"]
        dcell = dc_new + dh_new * o * (1 - squashed**2)
        grad = {"i": dcell * act["g"], "f": dcell * c, "g": dcell * act["i"]}
        grad["o"] = dh_new * squashed * o * (1 - o)  # right: grad["o"] = dh_new * squashed
        dnet = np.zeros_like(net)
        for gate in "ifo":
            dnet[:, blocks[gate]] = grad[gate] * act[gate] * (1 - act[gate])
        dnet[:, blocks["g"]] = grad["g"] * (1 - act["g"] ** 2)
        db = dnet.sum(axis=0)
        return (
            dnet.dot(weight_ih),
            dnet.dot(weight_hh),
            dcell * act["f"],
            dnet.T.dot(x),
            dnet.T.dot(h),
            db,
            db.copy(),
        )

    return (act["o"] * squashed, c_new), backward


@mutant(
    "gru_step_reset_gate_meets_the_state_without_its_bias",
    cause="missing-factor",
    like="gru_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="what r multiplied was not kept, and is computed anew, as W h where it was W h + b",
)
def gru_step_reset_gate_meets_the_state_without_its_bias(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    k = h.shape[1]
    from_x = x @ weight_ih.T + bias_ih
    from_h = h @ weight_hh.T + bias_hh
    gates = sigmoid(from_x[:, : 2 * k] + from_h[:, : 2 * k])
    r, z = gates[:, :k], gates[:, k:]
    h_tilde = np.tanh(from_x[:, 2 * k :] + r * from_h[:, 2 * k :])

    def backward(dh_new):
        d_tilde = dh_new * (1 - z) * (1 - h_tilde**2)
        # right: d_r = d_tilde * (h @ weight_hh[2 * k :].T + bias_hh[2 * k :])
        d_r = d_tilde * (h @ weight_hh[2 * k :].T)
        d_z = dh_new * (h - h_tilde)
        d_from_x = np.hstack([d_r * r * (1 - r), d_z * z * (1 - z), d_tilde])
        d_from_h = d_from_x.copy()
        d_from_h[:, 2 * k :] *= r
        dh = d_from_h @ weight_hh + dh_new * z
        return d_from_x @ weight_ih, dh, d_from_x.T @ x, d_from_h.T @ h, d_from_x.sum(0), d_from_h.sum(0)

    return (1 - z) * h_tilde + z * h, backward


@mutant(
    "rnn_takes_its_caches_off_the_list",
    cause="second-call-differs",
    inputs=rnn_inputs,
    note="last in, first out: after the first call the list is empty",
)
def rnn_takes_its_caches_off_the_list(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    hidden, caches, prev_h = np.zeros((N, T, len(b))), [], h0
    for t in range(T):
        next_h = np.tanh(x[:, t].dot(Wx) + prev_h.dot(Wh) + b)
        caches.append((t, x[:, t], prev_h, next_h))
        hidden[:, t] = prev_h = next_h

    def backward(dhidden):
        dx, dprev_h, dWx, dWh, db = (np.zeros_like(p) for p in (x, h0, Wx, Wh, b))
        todo = caches  # right: todo = list(caches)
        while todo:
            t, x_t, before, after = todo.pop()
            draw = (dhidden[:, t] + dprev_h) * (1 - after**2)
            dx[:, t], dprev_h = draw.dot(Wx.T), draw.dot(Wh.T)
            dWx += x_t.T.dot(draw)
            dWh += before.T.dot(draw)
            db += draw.sum(axis=0)
        return dx, dprev_h, dWx, dWh, db

    return hidden, backward
