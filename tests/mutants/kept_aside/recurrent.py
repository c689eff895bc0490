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


def first_gru_inputs(rng):
    """Words (T, N, D), a start (N, H), then a matrix (D, H) and one (H, H) for each of z, r and the candidate."""
    T, N, D, H = 4, 2, 3, 5
    weights = (0.8 * rng.standard_normal(s) for s in [(D, H), (H, H)] * 3)
    return (rng.standard_normal((T, N, D)), rng.standard_normal((N, H)), *weights)


@mutant(
    "gru_of_the_paper_three_ways_home_of_four",
    cause="branch-missing",
    inputs=first_gru_inputs,
    wrong=("dX", "dh0", "dWz", "dUz", "dWr", "dUr", "dW", "dU"),
    note="the state also enters the candidate, as r * h",
)
def gru_of_the_paper_three_ways_home_of_four(X, h0, Wz, Uz, Wr, Ur, W, U):
    """The reset gate acts on the state itself, before the matrix."""
    hidden, gates = [h0], []
    for x in X:
        h = hidden[-1]
        z = sigmoid(x @ Wz + h @ Uz)
        r = sigmoid(x @ Wr + h @ Ur)
        cand = np.tanh(x @ W + (r * h) @ U)
        gates.append((z, r, cand))
        hidden.append(z * h + (1 - z) * cand)

    def backward(dH):
        dX, dWz, dUz, dWr, dUr, dW, dU = (np.zeros_like(a) for a in (X, Wz, Uz, Wr, Ur, W, U))
        dh = np.zeros_like(h0)
        for t in reversed(range(len(X))):
            x, h, (z, r, cand) = X[t], hidden[t], gates[t]
            dh = dh + dH[t]
            delta_c = dh * (1 - z) * (1 - cand**2)
            delta_z = dh * (h - cand) * z * (1 - z)
            drh = delta_c @ U.T
            delta_r = drh * h * r * (1 - r)
            dW += x.T @ delta_c
            dU += (r * h).T @ delta_c
            dWz += x.T @ delta_z
            dUz += h.T @ delta_z
            dWr += x.T @ delta_r
            dUr += h.T @ delta_r
            dX[t] = delta_c @ W.T + delta_z @ Wz.T + delta_r @ Wr.T
            dh = dh * z + delta_z @ Uz.T + delta_r @ Ur.T
            # missing: dh = dh + drh * r
        return dX, dh, dWz, dUz, dWr, dUr, dW, dU

    return np.array(hidden[1:]), backward


@mutant(
    "gru_update_gate_of_the_other_convention",
    cause="wrong-sign",
    inputs=first_gru_inputs,
    wrong=("dxs", "dh_init", "dWz", "dUz", "dWr", "dUr", "dWc", "dUc"),
    note="z lets the new in here; its gradient was copied from where z keeps the old",
)
def gru_update_gate_of_the_other_convention(xs, h_init, Wz, Uz, Wr, Ur, Wc, Uc):
    """h = (1 - z) h + z c."""
    T = xs.shape[0]
    z, r, c, h = {}, {}, {}, {-1: h_init}
    for t in range(T):
        z[t] = sigmoid(np.dot(xs[t], Wz) + np.dot(h[t - 1], Uz))
        r[t] = sigmoid(np.dot(xs[t], Wr) + np.dot(h[t - 1], Ur))
        c[t] = np.tanh(np.dot(xs[t], Wc) + np.dot(r[t] * h[t - 1], Uc))
        h[t] = (1 - z[t]) * h[t - 1] + z[t] * c[t]

    def backward(dhs):
        dxs = np.zeros_like(xs)
        grads = {"Wz": 0, "Uz": 0, "Wr": 0, "Ur": 0, "Wc": 0, "Uc": 0}
        dh_next = np.zeros_like(h_init)
        for t in reversed(range(T)):
            dh = dhs[t] + dh_next
            dc_raw = dh * z[t] * (1 - c[t] ** 2)
            dz = dh * (h[t - 1] - c[t])  # right: dz = dh * (c[t] - h[t - 1])
            dz_raw = dz * z[t] * (1 - z[t])
            drh = np.dot(dc_raw, Uc.T)
            dr_raw = drh * h[t - 1] * r[t] * (1 - r[t])
            for gate, raw in (("z", dz_raw), ("r", dr_raw), ("c", dc_raw)):
                grads["W" + gate] = grads["W" + gate] + np.dot(xs[t].T, raw)
                seen = r[t] * h[t - 1] if gate == "c" else h[t - 1]
                grads["U" + gate] = grads["U" + gate] + np.dot(seen.T, raw)
            dxs[t] = np.dot(dz_raw, Wz.T) + np.dot(dr_raw, Wr.T) + np.dot(dc_raw, Wc.T)
            dh_next = dh * (1 - z[t]) + drh * r[t] + np.dot(dz_raw, Uz.T) + np.dot(dr_raw, Ur.T)
        return (dxs, dh_next, *grads.values())

    return np.array([h[t] for t in range(T)]), backward


# ------------------------------------------------------------------------------------- as in the well-known notebooks


def characters(rng):
    """Letters (T,) and the ones that follow, then a state (H, 1) and the weights, for columns."""
    V, H, T = 6, 5, 7
    weights = (0.6 * rng.standard_normal(s) for s in [(H, 1), (H, V), (H, H), (V, H), (H, 1), (V, 1)])
    return (rng.integers(0, V, T), rng.integers(0, V, T), *weights)


@mutant(
    "char_rnn_sends_the_error_on_through_whh_unturned",
    cause="transposed",
    inputs=characters,
    wrong=("dhprev", "dWxh", "dWhh", "dbh"),
    note="Whh is square, and fits either way",
)
def char_rnn_sends_the_error_on_through_whh_unturned(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
    xs, hs, ps = {}, {-1: hprev}, {}
    loss = 0.0
    for t in range(len(inputs)):
        xs[t] = np.zeros((Wxh.shape[1], 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(ys - ys.max()) / np.sum(np.exp(ys - ys.max()))
        loss -= np.log(ps[t][targets[t], 0])

    def backward(dloss):
        dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
        dbh, dby = np.zeros_like(bh), np.zeros_like(by)
        dhnext = np.zeros_like(hprev)
        for t in reversed(range(len(inputs))):
            dy = np.copy(ps[t])
            dy[targets[t]] -= 1
            dy *= dloss
            dWhy += np.dot(dy, hs[t].T)
            dby += dy
            dh = np.dot(Why.T, dy) + dhnext
            dhraw = (1 - hs[t] * hs[t]) * dh
            dbh += dhraw
            dWxh += np.dot(dhraw, xs[t].T)
            dWhh += np.dot(dhraw, hs[t - 1].T)
            dhnext = np.dot(Whh, dhraw)  # right: dhnext = np.dot(Whh.T, dhraw)
        return None, None, dhnext, dWxh, dWhh, dWhy, dbh, dby

    return loss, backward


@mutant(
    "rnn_adds_the_carry_into_the_gradient_it_was_given",
    cause="dy-changed",
    inputs=rnn_inputs,
    note="`dh[:, t]` is a view of the caller's array",
)
def rnn_adds_the_carry_into_the_gradient_it_was_given(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h = np.zeros((N, T, h0.shape[1]))
    for t in range(T):
        h[:, t] = np.tanh(x[:, t].dot(Wx) + (h0 if t == 0 else h[:, t - 1]).dot(Wh) + b)

    def step_backward(dnext_h, t):
        draw = dnext_h * (1 - h[:, t] ** 2)
        before = h0 if t == 0 else h[:, t - 1]
        return draw.dot(Wx.T), draw.dot(Wh.T), x[:, t].T.dot(draw), before.T.dot(draw), draw.sum(axis=0)

    def backward(dh):
        dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dprev_h = np.zeros_like(h0)
        # missing: dh = dh.copy()
        for t in range(T - 1, -1, -1):
            dh[:, t] += dprev_h
            dx[:, t], dprev_h, dWx_t, dWh_t, db_t = step_backward(dh[:, t], t)
            dWx += dWx_t
            dWh += dWh_t
            db += db_t
        return dx, dprev_h, dWx, dWh, db

    return h, backward


def columns(rng):
    """Input (n_x, m), state and cell (n_a, m), then for each gate a matrix on both and a column of biases."""
    n_x, n_a, m = 3, 5, 4
    weights = (0.7 * rng.standard_normal(s) for s in [(n_a, n_a + n_x), (n_a, 1)] * 4)
    return (rng.standard_normal((n_x, m)), *(rng.standard_normal((n_a, m)) for _ in "ac"), *weights)


def lstm_columns_forward(xt, a_prev, c_prev, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    concat = np.concatenate([a_prev, xt], axis=0)
    ft = sigmoid(Wf @ concat + bf)
    it = sigmoid(Wi @ concat + bi)
    cct = np.tanh(Wc @ concat + bc)
    ot = sigmoid(Wo @ concat + bo)
    c_next = ft * c_prev + it * cct
    a_next = ot * np.tanh(c_next)
    return (a_next, c_next), (a_next, c_next, c_prev, concat, ft, it, cct, ot, Wf, Wi, Wc, Wo)


def lstm_columns_backward(da_next, dc_next, cache):
    a_next, c_next, c_prev, concat, ft, it, cct, ot, Wf, Wi, Wc, Wo = cache
    n_a = a_next.shape[0]
    dot = da_next * np.tanh(c_next) * ot * (1 - ot)
    # right: dcell = dc_next + da_next * ot * (1 - np.square(np.tanh(c_next)))
    dcell = dc_next + da_next * ot * (1 - np.square(c_next))
    dcct = dcell * it * (1 - np.square(cct))
    dit = dcell * cct * it * (1 - it)
    dft = dcell * c_prev * ft * (1 - ft)
    dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
    weights = []
    for dgate in (dft, dit, dcct, dot):
        weights += [dgate @ concat.T, np.sum(dgate, axis=1, keepdims=True)]
    return (dconcat[n_a:], dconcat[:n_a], dcell * ft, *weights)


mutant(
    "lstm_columns_tanh_of_the_cell_forgotten_in_its_derivative",
    cause="derivative-at-preactivation",
    inputs=columns,
    wrong=("dxt", "da_prev", "dc_prev", "dWf", "dbf", "dWi", "dbi", "dWc", "dbc"),
)((lstm_columns_forward, lstm_columns_backward))


# ----------------------------------------------------------------------------------------------- as they are handed in


def movie_of_columns(rng):
    """Input (n_x, m, T) and state (n_a, m), then for each gate a matrix on both and a column of biases."""
    n_x, n_a, m, T = 3, 4, 5, 4
    weights = (0.7 * rng.standard_normal(s) for s in [(n_a, n_a + n_x), (n_a, 1)] * 4)
    return (rng.standard_normal((n_x, m, T)), rng.standard_normal((n_a, m)), *weights)


@mutant(
    "lstm_formulas_typed_without_their_brackets",
    cause="activation-derivative-missing",
    inputs=movie_of_columns,
    wrong=("dx", "da0", "dWf", "dbf", "dWi", "dbi", "dWc", "dbc", "dWo", "dbo"),
    note="it * (1 - it) multiplies the second summand alone",
)
def lstm_formulas_typed_without_their_brackets(x, a0, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """The examples are columns, the last axis is time, the cell starts at zero."""
    n_a, T = a0.shape[0], x.shape[2]
    a_prev, c_prev, caches, a = a0, np.zeros_like(a0), [], []
    for t in range(T):
        concat = np.vstack([a_prev, x[:, :, t]])
        ft, it, ot = (sigmoid(W @ concat + b) for W, b in ((Wf, bf), (Wi, bi), (Wo, bo)))
        cct = np.tanh(Wc @ concat + bc)
        c_next = ft * c_prev + it * cct
        caches.append((concat, c_prev, ft, it, cct, ot, np.tanh(c_next)))
        a_prev, c_prev = ot * np.tanh(c_next), c_next
        a.append(a_prev)

    def backward(da):
        dx = np.zeros_like(x)
        grads = [np.zeros_like(p) for p in (Wf, bf, Wi, bi, Wc, bc, Wo, bo)]
        da_next, dc_next = np.zeros_like(a0), np.zeros_like(a0)
        for t in reversed(range(T)):
            concat, c_prev, ft, it, cct, ot, tc = caches[t]
            da_next = da_next + da[:, :, t]
            dot = da_next * tc * ot * (1 - ot)
            # right: dcct = (dc_next * it + ot * (1 - tc**2) * it * da_next) * (1 - cct**2)
            dcct = dc_next * it + ot * (1 - tc**2) * it * da_next * (1 - cct**2)
            # right: dit = (dc_next * cct + ot * (1 - tc**2) * cct * da_next) * it * (1 - it)
            dit = dc_next * cct + ot * (1 - tc**2) * cct * da_next * it * (1 - it)
            # right: dft = (dc_next * c_prev + ot * (1 - tc**2) * c_prev * da_next) * ft * (1 - ft)
            dft = dc_next * c_prev + ot * (1 - tc**2) * c_prev * da_next * ft * (1 - ft)
            for k, dgate in enumerate((dft, dit, dcct, dot)):
                grads[2 * k] += dgate @ concat.T
                grads[2 * k + 1] += dgate.sum(axis=1, keepdims=True)
            dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
            dc_next = dc_next * ft + ot * (1 - tc**2) * ft * da_next
            da_next, dx[:, :, t] = dconcat[:n_a], dconcat[n_a:]
        return (dx, da_next, *grads)

    return np.stack(a, axis=2), backward


def sentence(rng):
    """Words (T,), the ones that follow, and the weights (H, V), (V, H), (H, H)."""
    V, H, T = 7, 5, 8
    words = rng.integers(0, V, T + 1)
    return (words[:-1], words[1:], *(0.8 * rng.standard_normal(s) for s in [(H, V), (V, H), (H, H)]))


@mutant(
    "language_model_gradient_check_with_truncated_bptt",
    cause="missing-dh-carry",
    also=("sum-missing",),
    inputs=sentence,
    wrong=("dU", "dW"),
    note="every error goes back three steps, and no further",
)
def language_model_gradient_check_with_truncated_bptt(x, y, U, V, W):
    """From each error its own walk back through time."""
    T, bptt_truncate = len(x), 3
    s = np.zeros((T + 1, len(W)))  # s[-1] is the state at the start
    o = np.zeros((T, len(V)))
    for t in range(T):
        s[t] = np.tanh(U[:, x[t]] + W.dot(s[t - 1]))
        scores = V.dot(s[t])
        o[t] = np.exp(scores - scores.max()) / np.sum(np.exp(scores - scores.max()))
    loss = -np.sum(np.log(o[np.arange(T), y]))

    def backward(dloss):
        dLdU, dLdV, dLdW = np.zeros(U.shape), np.zeros(V.shape), np.zeros(W.shape)
        delta_o = o.copy()
        delta_o[np.arange(T), y] -= 1.0
        delta_o *= dloss
        for t in range(T)[::-1]:
            dLdV += np.outer(delta_o[t], s[t])
            delta_t = V.T.dot(delta_o[t]) * (1 - s[t] ** 2)
            earliest = max(0, t - bptt_truncate)  # right: earliest = 0
            for step in range(earliest, t + 1)[::-1]:
                dLdW += np.outer(delta_t, s[step - 1])
                dLdU[:, x[step]] += delta_t
                delta_t = W.T.dot(delta_t) * (1 - s[step - 1] ** 2)
        return None, None, dLdU, dLdV, dLdW

    return loss, backward


@mutant(
    "lstm_one_slope_for_the_four_gates",
    cause="missing-factor",
    like="lstm",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="the block g passed a tanh, its derivative is that of a sigmoid",
)
def lstm_one_slope_for_the_four_gates(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    """All gates side by side in one array, on the way there and back."""
    T, (N, H) = len(x), h0.shape
    G, hs, cs = np.zeros((T, N, 4 * H)), [h0], [c0]
    for t in range(T):
        pre = x[t] @ weight_ih.T + hs[-1] @ weight_hh.T + (bias_ih + bias_hh)
        G[t] = sigmoid(pre)
        G[t, :, 2 * H : 3 * H] = np.tanh(pre[:, 2 * H : 3 * H])
        i, f, g, o = np.split(G[t], 4, axis=1)
        cs.append(f * cs[-1] + i * g)
        hs.append(o * np.tanh(cs[-1]))

    def backward(dhs, dh, dc):
        dpre = np.zeros_like(G)
        for t in range(T - 1, -1, -1):
            i, f, g, o = np.split(G[t], 4, axis=1)
            dh = dh + dhs[t]
            dc = dc + dh * o * (1 - np.tanh(cs[t + 1]) ** 2)
            dG = np.concatenate([dc * g, dc * cs[t], dc * i, dh * np.tanh(cs[t + 1])], axis=1)
            slope = G[t] * (1 - G[t])
            # missing: slope[:, 2 * H : 3 * H] = 1 - g**2
            dpre[t] = dG * slope
            dh, dc = dpre[t] @ weight_hh, dc * f
        dWx = np.tensordot(dpre, x, axes=([0, 1], [0, 1]))
        dWh = np.tensordot(dpre, np.array(hs[:-1]), axes=([0, 1], [0, 1]))
        db = dpre.sum(axis=(0, 1))
        return dpre @ weight_ih, dh, dc, dWx, dWh, db, np.copy(db), None

    return (np.array(hs[1:]), hs[-1].copy(), cs[-1].copy()), backward


@mutant(
    "rnn_step_before_the_first_is_index_minus_one",
    cause="off-by-one",
    like="rnn",
    wrong=("dweight_hh",),
    note="in Python the last state, not the start",
)
def rnn_step_before_the_first_is_index_minus_one(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, h = len(x), h0
    states = np.zeros((T, *h0.shape))
    for t in range(T):
        h = np.tanh(x[t].dot(weight_ih.T) + bias_ih + h.dot(weight_hh.T) + bias_hh)
        states[t] = h

    def backward(dstates, dh_n):
        dWx, dWh, db = 0.0, 0.0, 0.0
        dx, dh_next = np.zeros_like(x), dh_n
        for t in range(T - 1, -1, -1):
            dtanh = (dstates[t] + dh_next) * (1 - states[t] * states[t])
            dWx += dtanh.T.dot(x[t])
            dWh += dtanh.T.dot(states[t - 1])  # right: dWh += dtanh.T.dot(states[t - 1] if t > 0 else h0)
            db += dtanh.sum(axis=0)
            dx[t] = dtanh.dot(weight_ih)
            dh_next = dtanh.dot(weight_hh)
        return dx, dh_next, dWx, dWh, db, db.copy(), None

    return (states, h.copy()), backward


def weather(rng):
    """Days (T, D), the first feature an air pressure nobody scaled, a curve (T, 1), a state (H,), and the weights."""
    T, D, H = 8, 5, 6
    days = rng.standard_normal((T, D))
    days[:, 0] *= 60
    Wx = 0.5 * rng.standard_normal((D, H))
    Wx[0] /= 60
    others = (0.5 * rng.standard_normal(s) for s in [(H, H), (H, 1), (H,), (1,)])
    return (days, 2 * np.sin(0.6 * np.arange(T))[:, None], rng.standard_normal(H), Wx, *others)


@mutant(
    "weather_rnn_clips_before_the_check",
    cause="one-entry",
    inputs=weather,
    wrong=("dWx",),
    note="against gradients that explode; the entries within the bounds are right",
)
def weather_rnn_clips_before_the_check(xs, ys, h0, Wx, Wh, Wy, bh, by):
    """Foretells tomorrow's temperature."""
    hs, errors = [h0], []
    for x, y in zip(xs, ys, strict=True):
        hs.append(np.tanh(x @ Wx + hs[-1] @ Wh + bh))
        errors.append(hs[-1] @ Wy + by - y)
    loss = 0.5 * np.sum(np.square(errors))

    def backward(dloss):
        dxs, dys = np.zeros_like(xs), np.zeros_like(ys)
        dWx, dWh, dWy, dbh, dby = (np.zeros_like(p) for p in (Wx, Wh, Wy, bh, by))
        dh_next = np.zeros_like(h0)
        for t in reversed(range(len(xs))):
            derror = dloss * errors[t]
            dys[t] = -derror
            dWy += np.outer(hs[t + 1], derror)
            dby += derror
            dh = Wy @ derror + dh_next
            draw = dh * (1 - hs[t + 1] ** 2)
            dWx += np.outer(xs[t], draw)
            dWh += np.outer(hs[t], draw)
            dbh += draw
            dxs[t], dh_next = Wx @ draw, Wh @ draw
        for dparam in (dWx, dWh, dWy, dbh, dby):
            np.clip(dparam, -5, 5, out=dparam)  # right: assert np.isfinite(dparam).all()
        return dxs, dys, dh_next, dWx, dWh, dWy, dbh, dby

    return loss, backward


# -------------------------------------------------------------------------------------------- as they ask on the forums


@mutant(
    "rnn_slope_asks_for_the_tanh_of_the_state",
    cause="derivative-at-preactivation",
    inputs=rnn_inputs,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
    note="the state is a tanh already, and the formula from the table says 1 - tanh(.)^2",
)
def rnn_slope_asks_for_the_tanh_of_the_state(x, h0, Wx, Wh, b):
    """One sentence after the other."""
    N, T, D = x.shape
    H = len(b)
    state = np.zeros((N, T + 1, H))
    state[:, 0] = h0
    for n in range(N):
        for t in range(T):
            state[n, t + 1] = np.tanh(x[n, t] @ Wx + state[n, t] @ Wh + b)

    def tanh_prime(v):
        # right: return 1 - v**2
        return 1 - np.tanh(v) ** 2

    def backward(dstate):
        dx, dh0, dWx, dWh, db = (np.zeros_like(a) for a in (x, h0, Wx, Wh, b))
        for n in range(N):
            from_the_right = np.zeros(H)
            for t in range(T, 0, -1):
                delta = tanh_prime(state[n, t]) * (dstate[n, t - 1] + from_the_right)
                dWx += np.outer(x[n, t - 1], delta)
                dWh += np.outer(state[n, t - 1], delta)
                db += delta
                dx[n, t - 1] = Wx @ delta
                from_the_right = Wh @ delta
            dh0[n] = from_the_right
        return dx, dh0, dWx, dWh, db

    return state[:, 1:].copy(), backward


def lstm_unit_forward(x_t, h_prev, c_prev, weight_ih, weight_hh, bias_ih, bias_hh):
    n_h = h_prev.shape[1]
    act = x_t.dot(weight_ih.T) + h_prev.dot(weight_hh.T) + (bias_ih + bias_hh)
    gate_i = sigmoid(act[:, 0:n_h])
    gate_f = sigmoid(act[:, n_h : 2 * n_h])
    cand = np.tanh(act[:, 2 * n_h : 3 * n_h])
    gate_o = sigmoid(act[:, 3 * n_h : 4 * n_h])
    c_t = gate_f * c_prev + gate_i * cand
    h_t = gate_o * np.tanh(c_t)
    return (h_t, c_t), (x_t, h_prev, c_prev, c_t, gate_i, gate_f, cand, gate_o, weight_ih, weight_hh)


def lstm_unit_backward(dh_t, dc_t, cache):
    x_t, h_prev, c_prev, c_t, gate_i, gate_f, cand, gate_o, weight_ih, weight_hh = cache
    n_h = h_prev.shape[1]
    dact = np.zeros((len(x_t), 4 * n_h))
    dcell = dc_t + dh_t * gate_o * (1 - np.tanh(c_t) ** 2)
    dgate_o = dh_t * c_t  # right: dgate_o = dh_t * np.tanh(c_t)
    dact[:, 0:n_h] = dcell * cand * gate_i * (1 - gate_i)
    dact[:, n_h : 2 * n_h] = dcell * c_prev * gate_f * (1 - gate_f)
    dact[:, 2 * n_h : 3 * n_h] = dcell * gate_i * (1 - cand**2)
    dact[:, 3 * n_h : 4 * n_h] = dgate_o * gate_o * (1 - gate_o)
    dbias = np.sum(dact, axis=0)
    return (
        dact.dot(weight_ih),
        dact.dot(weight_hh),
        dcell * gate_f,
        dact.T.dot(x_t),
        dact.T.dot(h_prev),
        dbias,
        dbias.copy(),
    )


mutant(
    "lstm_output_gate_opens_for_the_cell_without_tanh",
    cause="missing-factor",
    like="lstm_step",
    wrong=("dx_t", "dh_prev", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)((lstm_unit_forward, lstm_unit_backward))


@mutant(
    "gru_candidate_is_paid_the_share_of_the_old_state",
    cause="wrong-gate",
    like="gru",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="two conventions: here z keeps the old, in the blog where the line is from it lets the new in",
)
def gru_candidate_is_paid_the_share_of_the_old_state(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, N, _ = x.shape
    H = h0.shape[1]
    h = np.zeros((T + 1, N, H))
    h[0] = h0
    r, z, n, hn = (np.zeros((T, N, H)) for _ in range(4))
    for t in range(T):
        xr, xz, xn = np.split(x[t] @ weight_ih.T + bias_ih, 3, axis=1)
        hr, hz, hn[t] = np.split(h[t] @ weight_hh.T + bias_hh, 3, axis=1)
        r[t], z[t] = sigmoid(xr + hr), sigmoid(xz + hz)
        n[t] = np.tanh(xn + r[t] * hn[t])
        h[t + 1] = (1 - z[t]) * n[t] + z[t] * h[t]

    def backward(dy, dh_end):
        dx = np.zeros_like(x)
        dWi, dWh, dbi, dbh = (np.zeros_like(p) for p in (weight_ih, weight_hh, bias_ih, bias_hh))
        dh = dh_end.copy()
        for t in range(T)[::-1]:
            dh += dy[t]
            dn = dh * z[t]  # right: dn = dh * (1 - z[t])
            dz = dh * (h[t] - n[t])
            dxn = dn * (1 - n[t] ** 2)
            dxz = dz * z[t] * (1 - z[t])
            dxr = dxn * hn[t] * r[t] * (1 - r[t])
            from_x = np.concatenate([dxr, dxz, dxn], axis=1)
            from_h = np.concatenate([dxr, dxz, dxn * r[t]], axis=1)
            dWi += from_x.T @ x[t]
            dWh += from_h.T @ h[t]
            dbi += from_x.sum(axis=0)
            dbh += from_h.sum(axis=0)
            dx[t] = from_x @ weight_ih
            dh = dh * z[t] + from_h @ weight_hh
        return dx, dh, dWi, dWh, dbi, dbh, None

    return (h[1:].copy(), h[T].copy()), backward


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


def step_of_columns(rng):
    """Input (n_x, m), state and cell (n_a, m), then a matrix and a bias for forget, update, candidate, output."""
    n_x, n_a, m = 4, 3, 5
    weights = (0.7 * rng.standard_normal(s) for s in [(n_a, n_a + n_x), (n_a, 1)] * 4)
    return (rng.standard_normal((n_x, m)), *(rng.standard_normal((n_a, m)) for _ in "ac"), *weights)


@mutant(
    "lstm_cell_forget_gate_on_the_first_summand_alone",
    cause="forget-gate-not-in-carry",
    also=("missing-factor",),
    inputs=step_of_columns,
    wrong=("dc_prev",),
    note="dc_next * ft is on the sheet; what comes through a_next passes the same gate",
)
def lstm_cell_forget_gate_on_the_first_summand_alone(xt, a_prev, c_prev, Wf, bf, Wu, bu, Wc, bc, Wo, bo):
    n_a = a_prev.shape[0]
    stacked = np.concatenate((a_prev, xt))
    ft, ut, ot = (sigmoid(np.dot(W, stacked) + bias) for W, bias in ((Wf, bf), (Wu, bu), (Wo, bo)))
    cct = np.tanh(np.dot(Wc, stacked) + bc)
    c_next = ft * c_prev + ut * cct
    tanh_c = np.tanh(c_next)

    def backward(da_next, dc_next):
        through_a = da_next * ot * (1 - tanh_c**2)
        dgamma_o = da_next * tanh_c * ot * (1 - ot)
        dp_c = (dc_next + through_a) * ut * (1 - cct**2)
        dgamma_u = (dc_next + through_a) * cct * ut * (1 - ut)
        dgamma_f = (dc_next + through_a) * c_prev * ft * (1 - ft)
        dstacked = np.dot(Wf.T, dgamma_f) + np.dot(Wu.T, dgamma_u) + np.dot(Wc.T, dp_c) + np.dot(Wo.T, dgamma_o)
        # right: dc_prev = dc_next * ft + through_a * ft
        dc_prev = dc_next * ft + through_a
        grads = []
        for d in (dgamma_f, dgamma_u, dp_c, dgamma_o):
            grads.extend([np.dot(d, stacked.T), d.sum(axis=1, keepdims=True)])
        return (dstacked[n_a:].copy(), dstacked[:n_a].copy(), dc_prev, *grads)

    return (ot * tanh_c, c_next), backward


@mutant(
    "elman_step_hands_one_array_out_for_two_biases",
    cause="view-returned",
    like="rnn_step",
    note="the two biases have the same gradient, which is not to say the same array",
)
def elman_step_hands_one_array_out_for_two_biases(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    new = np.tanh(np.matmul(x, weight_ih.T) + bias_ih + np.matmul(h, weight_hh.T) + bias_hh)

    def backward(dnew):
        dpre = (1 - new * new) * dnew
        db = np.ones(len(dpre)) @ dpre
        dW, dU = np.matmul(dpre.T, x), np.matmul(dpre.T, h)
        # right: return dpre @ weight_ih, dpre @ weight_hh, dW, dU, db, db.copy()
        return dpre @ weight_ih, dpre @ weight_hh, dW, dU, db, db

    return new, backward


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
