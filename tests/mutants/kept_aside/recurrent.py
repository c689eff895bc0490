# ruff: noqa: RUF059 (students unpack every shape)
"""Plain recurrent nets: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_3, elman_3, normal_2, rnn_inputs, sigmoid, stable_softmax


@mutant(
    "bptt_truncated_as_in_the_tutorial",
    cause="sum-missing",
    also=("missing-dh-carry",),
    inputs=normal_2((6, 3), (4,), (4, 3), (5, 4), (4, 4)),
    wrong=("dx", "ds0", "dU", "dW"),
    note="the tutorial goes a few words back, and checks its gradients with this switched off",
)
def bptt_truncated_as_in_the_tutorial(x, s0, U, V, W):
    """Scores at every word of one sentence of vectors."""
    T = len(x)
    s = np.zeros((T + 1, len(s0)))
    s[-1] = s0
    for t in range(T):
        s[t] = np.tanh(U.dot(x[t]) + W.dot(s[t - 1]))

    def backward(delta_o):
        dx, ds0, dU, dV, dW = (np.zeros_like(a) for a in (x, s0, U, V, W))
        for t in range(T)[::-1]:
            dV += np.outer(delta_o[t], s[t])
            ds = V.T.dot(delta_o[t])
            first = max(0, t - 2)  # right: first = 0
            for step in range(first, t + 1)[::-1]:
                delta_t = ds * (1 - s[step] ** 2)
                dW += np.outer(delta_t, s[step - 1])
                dU += np.outer(delta_t, x[step])
                dx[step] += U.T.dot(delta_t)
                ds = W.T.dot(delta_t)
            if first == 0:
                ds0 += ds
        return dx, ds0, dU, dV, dW

    return s[:T] @ V.T, backward


@mutant(
    "rnn_every_state_is_read_and_only_the_last_is_heard",
    cause="one-step-only",
    also=("branch-missing",),
    inputs=normal_2((2, 5, 3), (2, 4), (3, 4), (4, 4), (4,)),
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
    note="the loop is from a classifier of whole sentences",
)
def rnn_every_state_is_read_and_only_the_last_is_heard(x, h0, Wx, Wh, b):
    """Batch first."""
    _, T, _ = x.shape
    h = {-1: h0}
    for t in range(T):
        h[t] = np.tanh(x[:, t].dot(Wx) + h[t - 1].dot(Wh) + b)

    def backward(dhs):
        dx, dWx, dWh, db = (np.zeros_like(a) for a in (x, Wx, Wh, b))
        dh = dhs[:, T - 1]
        for t in range(T - 1, -1, -1):
            dz = dh * (1 - h[t] ** 2)
            dx[:, t] = dz.dot(Wx.T)
            dWx += x[:, t].T.dot(dz)
            dWh += h[t - 1].T.dot(dz)
            db += dz.sum(axis=0)
            dh = dz.dot(Wh.T)
            # missing: dh = dh + (dhs[:, t - 1] if t > 0 else 0)
        return dx, dh, dWx, dWh, db

    return np.stack([h[t] for t in range(T)], axis=1), backward


@mutant(
    "leaky_units_hand_back_more_than_they_kept",
    cause="forget-gate-not-in-carry",
    also=("missing-factor",),
    inputs=lambda rng: (*normal_2((5, 2, 3), (2, 4), (3, 4), (4, 4), (4,))(rng), rng.uniform(0.2, 0.9, 4)),
    wrong=("du", "dx0", "dW_in", "dW_res", "dbias", "dleak"),
    note="that there is a way around the tanh is remembered, what it is weighted by is not",
)
def leaky_units_hand_back_more_than_they_kept(u, x0, W_in, W_res, bias, leak):
    """States of a reservoir whose weights are trained, a rate for every unit."""
    states, news = [x0], []
    for u_t in u:
        news.append(np.tanh(u_t @ W_in + states[-1] @ W_res + bias))
        states.append((1 - leak) * states[-1] + leak * news[-1])

    def backward(dstates):
        du, dW_in, dW_res, dbias, dleak = (np.zeros_like(a) for a in (u, W_in, W_res, bias, leak))
        dstate = np.zeros_like(x0)
        for t in reversed(range(len(u))):
            dstate = dstate + dstates[t]
            dleak += (dstate * (news[t] - states[t])).sum(axis=0)
            dpre = dstate * leak * (1 - news[t] ** 2)
            du[t] = dpre @ W_in.T
            dW_in += u[t].T @ dpre
            dW_res += states[t].T @ dpre
            dbias += dpre.sum(axis=0)
            dstate = dstate + dpre @ W_res.T  # right: dstate = dstate * (1 - leak) + dpre @ W_res.T
        return du, dstate, dW_in, dW_res, dbias, dleak

    return np.array(states[1:]), backward


@mutant(
    "two_layers_lower_one_hears_from_above_alone",
    cause="missing-dh-carry",
    inputs=normal_2((3, 4, 2), (3, 5), (2, 5), (5, 5), (5,), (3, 3), (5, 3), (3, 3), (3,)),
    wrong=("dx", "dh1", "dW1", "dU1", "db1"),
    note="both carries are computed, one is used",
)
def two_layers_lower_one_hears_from_above_alone(x, h1, W1, U1, b1, h2, W2, U2, b2):
    """States of the upper layer, batch first."""
    _, T, _ = x.shape
    low, top = [h1], [h2]
    for t in range(T):
        low.append(np.tanh(x[:, t] @ W1 + low[t] @ U1 + b1))
        top.append(np.tanh(low[t + 1] @ W2 + top[t] @ U2 + b2))

    def backward(dout):
        dx, dW1, dU1, db1, dW2, dU2, db2 = (np.zeros_like(a) for a in (x, W1, U1, b1, W2, U2, b2))
        next1, next2 = np.zeros_like(h1), np.zeros_like(h2)
        for t in reversed(range(T)):
            d2 = (dout[:, t] + next2) * (1 - top[t + 1] ** 2)
            dW2 += low[t + 1].T @ d2
            dU2 += top[t].T @ d2
            db2 += d2.sum(axis=0)
            next2 = d2 @ U2.T
            dlow = d2 @ W2.T  # right: dlow = d2 @ W2.T + next1
            d1 = dlow * (1 - low[t + 1] ** 2)
            dW1 += x[:, t].T @ d1
            dU1 += low[t].T @ d1
            db1 += d1.sum(axis=0)
            next1 = d1 @ U1.T
            dx[:, t] = d1 @ W1.T
        return dx, next1, dW1, dU1, db1, next2, dW2, dU2, db2

    return np.stack(top[1:], axis=1), backward


@mutant(
    "stacked_rnn_first_states_come_back_from_top_to_bottom",
    cause="swapped-gradients",
    inputs=normal_2((4, 3, 2), (3, 5), (3, 5), (2, 5), (5, 5), (5,), (5, 5), (5, 5), (5,)),
    wrong=("dstart0", "dstart1"),
    note="the loop goes down through the layers, and so does the list that it fills",
)
def stacked_rnn_first_states_come_back_from_top_to_bottom(x, start0, start1, W0, U0, b0, W1, U1, b1):
    starts, weights = (start0, start1), ((W0, U0, b0), (W1, U1, b1))
    out, backs = x, []
    for start, layer in zip(starts, weights, strict=True):
        out, back = elman_3(out, start, *layer)
        backs.append(back)

    def backward(dout):
        dstarts, dweights = [], []
        for back in reversed(backs):
            dout, dstart, *of_layer = back(dout)
            dstarts.append(dstart)
            dweights = of_layer + dweights
        return (dout, *dstarts, *dweights)  # right: return (dout, *dstarts[::-1], *dweights)

    return out, backward


def sums_of_bits(rng):
    """Bits of two numbers, lowest first (T, N, 2), those of their sum (T, N), a state, and the weights."""
    numbers = np.array([[5, 9], [6, 3], [11, 2]])
    bits = (numbers[None] >> np.arange(5)[:, None, None]) & 1
    sums = (numbers.sum(axis=1) >> np.arange(5)[:, None]) & 1
    return bits.astype(float), sums, *normal_2((3, 4), (2, 4), (4, 4), (4, 1))(rng)


@mutant(
    "binary_adder_slope_of_the_last_sigmoid_after_p_minus_y",
    cause="activation-derivative-doubled",
    inputs=sums_of_bits,
    wrong=("dX", "dh0", "dsynapse_0", "dsynapse_h", "dsynapse_1"),
    note="p - y is the gradient of the sum before the sigmoid already",
)
def binary_adder_slope_of_the_last_sigmoid_after_p_minus_y(X, Y, h0, synapse_0, synapse_h, synapse_1):
    """The cross-entropy of all bits of the sums, sigmoids everywhere."""
    layer_1, layer_2 = [h0], []
    for X_t in X:
        layer_1.append(sigmoid(X_t @ synapse_0 + layer_1[-1] @ synapse_h))
        layer_2.append(sigmoid(layer_1[-1] @ synapse_1)[:, 0])
    p = np.array(layer_2)
    loss = -np.sum(Y * np.log(p) + (1 - Y) * np.log(1 - p))

    def backward(dloss):
        dX, update_0, update_h, update_1 = (np.zeros_like(a) for a in (X, synapse_0, synapse_h, synapse_1))
        future = np.zeros_like(h0)
        for t in reversed(range(len(X))):
            error = dloss * (p[t] - Y[t])
            layer_2_delta = (error * p[t] * (1 - p[t]))[:, None]  # right: layer_2_delta = error[:, None]
            update_1 += layer_1[t + 1].T @ layer_2_delta
            layer_1_delta = (future + layer_2_delta @ synapse_1.T) * layer_1[t + 1] * (1 - layer_1[t + 1])
            update_h += layer_1[t].T @ layer_1_delta
            update_0 += X[t].T @ layer_1_delta
            dX[t] = layer_1_delta @ synapse_0.T
            future = layer_1_delta @ synapse_h.T
        return dX, None, future, update_0, update_h, update_1

    return loss, backward


@mutant(
    "coupled_gates_what_is_forgotten_and_what_is_let_in_with_one_sign",
    cause="wrong-sign",
    inputs=arrays_3((4, 3), (4, 5), (4, 5), *[(3, 5), (5, 5), (5,)] * 3),
    wrong=("dx", "dh", "dWf", "dUf", "dbf"),
    note="i is 1 - f, so that what comes to i goes to f with a minus",
)
def coupled_gates_what_is_forgotten_and_what_is_let_in_with_one_sign(x, h, c, Wf, Uf, bf, Wg, Ug, bg, Wo, Uo, bo):
    """Greff and others: the input gate is one minus the forget gate."""
    f = sigmoid(x @ Wf + h @ Uf + bf)
    g = np.tanh(x @ Wg + h @ Ug + bg)
    o = sigmoid(x @ Wo + h @ Uo + bo)
    i = 1 - f
    c2 = f * c + i * g
    h2 = o * np.tanh(c2)

    def backward(dh2, dc2):
        dc2 = dc2 + dh2 * o * (1 - np.tanh(c2) ** 2)
        di = dc2 * g
        df = dc2 * c + di  # right: df = dc2 * c - di
        zf, zg, zo = df * f * (1 - f), dc2 * i * (1 - g**2), dh2 * np.tanh(c2) * o * (1 - o)
        dx = zf @ Wf.T + zg @ Wg.T + zo @ Wo.T
        dh = zf @ Uf.T + zg @ Ug.T + zo @ Uo.T
        weights = [d for z in (zf, zg, zo) for d in (x.T @ z, h.T @ z, z.sum(axis=0))]
        return (dx, dh, dc2 * f, *weights)

    return (h2, c2), backward


@mutant(
    "luong_memory_pulled_towards_the_state_without_the_matrix",
    cause="missing-factor",
    inputs=arrays_3((3, 4), (3, 5, 4), (4, 4), (8, 6)),
    wrong=("dhs",),
    note="the line from the dot product's score",
)
def luong_memory_pulled_towards_the_state_without_the_matrix(ht, hs, Wa, Wc):
    """The attentional state tanh([context; state] Wc) of one step, one sentence after the other."""
    N, S, H = hs.shape
    a, both = np.zeros((N, S)), np.zeros((N, 2 * H))
    for n in range(N):
        a[n] = stable_softmax(hs[n] @ (ht[n] @ Wa))
        both[n] = np.concatenate([a[n] @ hs[n], ht[n]])
    out = np.tanh(both @ Wc)

    def backward(dout):
        dpre = dout * (1 - out**2)
        dboth = dpre @ Wc.T
        dht, dhs, dWa = np.zeros_like(ht), np.zeros_like(hs), np.zeros_like(Wa)
        for n in range(N):
            dcontext, dht[n] = dboth[n, :H], dboth[n, H:]
            da = hs[n] @ dcontext
            dscore = a[n] * (da - a[n] @ da)
            dhs[n] = np.outer(a[n], dcontext)
            dhs[n] += np.outer(dscore, ht[n])  # right: dhs[n] += np.outer(dscore, ht[n] @ Wa)
            dht[n] += Wa @ (dscore @ hs[n])
            dWa += np.outer(ht[n], dscore @ hs[n])
        return dht, dhs, dWa, both.T @ dpre

    return out, backward


def rnn_step_inputs(rng):
    N, D, H = 3, 4, 5
    return tuple(rng.standard_normal(s) for s in [(N, D), (N, H), (D, H), (H, H), (H,)])


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
