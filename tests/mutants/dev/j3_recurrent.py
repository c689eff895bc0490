"""Recurrent nets of homework and forums: stacks, peepholes, directions, encoders, forecasts; each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid


def j3_draw(*shapes):
    """Inputs of these shapes, small enough that no tanh is flat."""
    return lambda rng: tuple(0.7 * rng.standard_normal(shape) for shape in shapes)


# ------------------------------------------------------------------------------------------------------ Elman networks


@mutant(
    "stacked_rnn_lower_floor_hears_only_the_upper_floor",
    cause="missing-dh-carry",
    inputs=j3_draw((2, 4, 3), (2, 5), (2, 4), (3, 5), (5, 5), (5,), (5, 4), (4, 4), (4,)),
    wrong=("dx", "dp0", "dW0", "dU0", "db0"),
)
def stacked_rnn_lower_floor_hears_only_the_upper_floor(x, p0, q0, W0, U0, b0, W1, U1, b1):
    """Two layers, p below and q above, both in one loop over time."""
    T = x.shape[1]
    p, q = [p0], [q0]
    for t in range(T):
        p.append(np.tanh(x[:, t] @ W0 + p[t] @ U0 + b0))
        q.append(np.tanh(p[t + 1] @ W1 + q[t] @ U1 + b1))

    def backward(dy):
        dx = np.zeros_like(x)
        dW0, dU0, db0, dW1, dU1, db1 = (np.zeros_like(w) for w in (W0, U0, b0, W1, U1, b1))
        dp_next, dq_next = np.zeros_like(p0), np.zeros_like(q0)
        for t in reversed(range(T)):
            dq = dy[:, t] + dq_next
            dzq = dq * (1 - q[t + 1] ** 2)
            dW1 += p[t + 1].T @ dzq
            dU1 += q[t].T @ dzq
            db1 += dzq.sum(axis=0)
            dq_next = dzq @ U1.T

            dp = dzq @ W1.T  # right: dp = dzq @ W1.T + dp_next
            dzp = dp * (1 - p[t + 1] ** 2)
            dW0 += x[:, t].T @ dzp
            dU0 += p[t].T @ dzp
            db0 += dzp.sum(axis=0)
            dp_next = dzp @ U0.T
            dx[:, t] = dzp @ W0.T
        return dx, dp_next, dq_next, dW0, dU0, db0, dW1, dU1, db1

    return np.stack(q[1:], axis=1), backward


def j3_sentence_and_weights(rng):
    """Ids (T,), one of them twice, a state (H,), U (H, V), W (H, H) and V (C, H)."""
    shapes = [(4,), (4, 6), (4, 4), (3, 4)]
    return (np.array([2, 0, 5, 2, 3]), *(0.7 * rng.standard_normal(s) for s in shapes))


@mutant(
    "bptt_tutorial_inner_loop_slope_of_the_step_it_leaves",
    cause="off-by-one",
    also=("derivative-at-preactivation",),
    inputs=j3_sentence_and_weights,
    wrong=("dstart", "dU", "dW"),
    note="delta belongs to the step before, and so does its slope",
)
def bptt_tutorial_inner_loop_slope_of_the_step_it_leaves(words, start, U, W, V):
    """From every output back to the first word; row -1 of s is the state at the start."""
    T = len(words)
    s = np.zeros((T + 1, len(start)))
    s[-1] = start
    for t in range(T):
        s[t] = np.tanh(U[:, words[t]] + W.dot(s[t - 1]))
    o = s[:T].dot(V.T)

    def backward(delta_o):
        dstart, dU, dW, dV = np.zeros_like(start), np.zeros_like(U), np.zeros_like(W), np.zeros_like(V)
        for t in np.arange(T)[::-1]:
            dV += np.outer(delta_o[t], s[t])
            delta_t = V.T.dot(delta_o[t]) * (1 - s[t] ** 2)
            for step in np.arange(t + 1)[::-1]:
                dW += np.outer(delta_t, s[step - 1])
                dU[:, words[step]] += delta_t
                back = W.T.dot(delta_t)
                if step == 0:
                    dstart += back
                delta_t = back * (1 - s[step] ** 2)  # right: delta_t = back * (1 - s[step - 1] ** 2)
        return None, dstart, dU, dW, dV

    return o, backward


def j3_ragged_batch(rng):
    """Words (N, T, D), how many of them are real (N,), a state (N, H), and the weights."""
    x, *others = (0.7 * rng.standard_normal(s) for s in [(3, 5, 4), (3, 3), (4, 3), (3, 3), (3,)])
    return (x, np.array([4, 2, 3]), *others)


@mutant(
    "rnn_classifier_state_after_the_last_word_put_back_at_length",
    cause="off-by-one",
    inputs=j3_ragged_batch,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
    note="a sentence of four words ends at index 3",
)
def rnn_classifier_state_after_the_last_word_put_back_at_length(x, lengths, h0, Wx, Wh, b):
    N, T, _ = x.shape
    hidden, h = np.zeros((N, T, len(b))), h0
    for t in range(T):
        h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
        hidden[:, t] = h
    rows = np.arange(N)
    final = hidden[rows, lengths - 1]

    def backward(dfinal):
        dhidden = np.zeros_like(hidden)
        dhidden[rows, lengths] = dfinal  # right: dhidden[rows, lengths - 1] = dfinal
        dx, carry, dWx, dWh, db = (np.zeros_like(a) for a in (x, h0, Wx, Wh, b))
        for t in range(T - 1, -1, -1):
            previous = h0 if t == 0 else hidden[:, t - 1]
            dz = (dhidden[:, t] + carry) * (1 - hidden[:, t] ** 2)
            dWx += x[:, t].T @ dz
            dWh += previous.T @ dz
            db += dz.sum(axis=0)
            dx[:, t] = dz @ Wx.T
            carry = dz @ Wh.T
        return dx, None, carry, dWx, dWh, db

    return final, backward


@mutant(
    "rnn_in_columns_bias_gradient_grows_a_side_in_the_sum",
    cause="gradient-shape",
    inputs=j3_draw((3, 2, 4), (5, 2), (5, 3), (5, 5), (5, 1)),
    note="a column and a row make a square",
)
def rnn_in_columns_bias_gradient_grows_a_side_in_the_sum(x, a0, Wax, Waa, ba):
    """Input (n_x, m, T_x): one column an example."""
    T_x = x.shape[2]
    a = np.zeros((*a0.shape, T_x))
    a_next = a0
    for t in range(T_x):
        a_next = np.tanh(np.dot(Wax, x[:, :, t]) + np.dot(Waa, a_next) + ba)
        a[:, :, t] = a_next

    def backward(da):
        dx, dWax, dWaa, dba = (np.zeros(p.shape) for p in (x, Wax, Waa, ba))
        da_prevt = np.zeros(a0.shape)
        for t in reversed(range(T_x)):
            a_prev = a[:, :, t - 1] if t > 0 else a0
            dtanh = (1 - a[:, :, t] ** 2) * (da[:, :, t] + da_prevt)
            dx[:, :, t] = np.dot(Wax.T, dtanh)
            da_prevt = np.dot(Waa.T, dtanh)
            dWax = dWax + np.dot(dtanh, x[:, :, t].T)
            dWaa = dWaa + np.dot(dtanh, a_prev.T)
            dba = dba + np.sum(dtanh, axis=1)  # right: dba = dba + np.sum(dtanh, axis=1, keepdims=True)
        return dx, da_prevt, dWax, dWaa, dba

    return a, backward


def j3_elman(x, h, W, U, b):
    """The states at every step of (T, N, D), and the way back, for either direction."""
    states = [h]
    for x_t in x:
        states.append(np.tanh(x_t @ W + states[-1] @ U + b))

    def backward(dstates):
        dx, dh, dW, dU, db = (np.zeros_like(p) for p in (x, h, W, U, b))
        for t in reversed(range(len(x))):
            da = (dstates[t] + dh) * (1 - states[t + 1] ** 2)
            dx[t], dh = da @ W.T, da @ U.T
            dW += x[t].T @ da
            dU += states[t].T @ da
            db += da.sum(axis=0)
        return dx, dh, dW, dU, db

    return np.array(states[1:]), backward


@mutant(
    "bidirectional_rnn_time_major_inside_reshaped_on_the_way_out",
    cause="permuted-axes",
    inputs=j3_draw((2, 5, 4), (2, 3), (4, 3), (3, 3), (3,), (2, 3), (4, 3), (3, 3), (3,)),
    wrong=("dx",),
)
def bidirectional_rnn_time_major_inside_reshaped_on_the_way_out(x, hf, Wf, Uf, bf, hb, Wb, Ub, bb):
    """Batch first outside, time first inside; the second direction reads the list backwards."""
    N, T, D = x.shape
    steps = x.transpose(1, 0, 2)
    left, left_backward = j3_elman(steps, hf, Wf, Uf, bf)
    right, right_backward = j3_elman(steps[::-1], hb, Wb, Ub, bb)
    y = np.concatenate([left, right[::-1]], axis=2).transpose(1, 0, 2)

    def backward(dy):
        dleft, dright = np.split(dy.transpose(1, 0, 2), 2, axis=2)
        dxf, *left_grads = left_backward(dleft)
        dxb, *right_grads = right_backward(dright[::-1])
        dsteps = dxf + dxb[::-1]
        dx = dsteps.reshape(N, T, D)  # right: dx = dsteps.transpose(1, 0, 2)
        return (dx, *left_grads, *right_grads)

    return y, backward


def j3_padded_reviews(rng):
    """Words (N, T, D), which of them are real (N, T), a state, the weights, and those of the classes."""
    x, *others = (0.7 * rng.standard_normal(s) for s in [(3, 5, 4), (3, 3), (4, 3), (3, 3), (3,), (3, 2), (2,)])
    return (x, np.arange(5) < np.array([[5], [2], [3]]), *others)


@mutant(
    "rnn_mean_over_real_words_hands_padding_its_share",
    cause="mask-not-applied",
    inputs=j3_padded_reviews,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
    note="the network reads the padding, but the mean leaves it out",
)
def rnn_mean_over_real_words_hands_padding_its_share(x, mask, h0, Wx, Wh, b, Wy, by):
    T = x.shape[1]
    m = mask[:, :, None].astype(x.dtype)
    states = np.stack([h0] * (T + 1), axis=1)
    for t in range(T):
        states[:, t + 1] = np.tanh(x[:, t] @ Wx + states[:, t] @ Wh + b)
    length = m.sum(axis=1)
    mean = (states[:, 1:] * m).sum(axis=1) / length

    def backward(dscores):
        dWy, dby = mean.T @ dscores, dscores.sum(axis=0)
        dmean = dscores @ Wy.T / length
        dstates = np.repeat(dmean[:, None, :], T, axis=1)
        # missing: dstates = dstates * m
        dx, dh, dWx, dWh, db = (np.zeros_like(p) for p in (x, h0, Wx, Wh, b))
        for t in range(T)[::-1]:
            dz = (dstates[:, t] + dh) * (1 - states[:, t + 1] ** 2)
            dx[:, t] = dz @ Wx.T
            dWx += x[:, t].T @ dz
            dWh += states[:, t].T @ dz
            db += dz.sum(axis=0)
            dh = dz @ Wh.T
        return dx, None, dh, dWx, dWh, db, dWy, dby

    return mean @ Wy + by, backward


# --------------------------------------------------------------------------------------------------------- time series


@mutant(
    "forecast_its_own_guess_is_taken_for_data",
    cause="branch-missing",
    inputs=j3_draw((3, 2), (3, 4), (2, 4), (4, 4), (4, 2), (4,), (2,)),
    wrong=("dx0", "dh0", "dWx", "dWh", "dWy", "db", "dby"),
    note="every guess is an output and the next input",
)
def forecast_its_own_guess_is_taken_for_data(x0, h0, Wx, Wh, Wy, b, by):
    """The next five days from today."""
    days = 5
    xs, hs = [x0], [h0]
    for t in range(days):
        hs.append(np.tanh(xs[t] @ Wx + hs[t] @ Wh + b))
        xs.append(hs[t + 1] @ Wy + by)

    def backward(dguess):
        dWx, dWh, dWy, db, dby = (np.zeros_like(p) for p in (Wx, Wh, Wy, b, by))
        dx, dh = np.zeros_like(x0), np.zeros_like(h0)
        for t in range(days - 1, -1, -1):
            dout = dguess[:, t]  # right: dout = dguess[:, t] + dx
            dWy += hs[t + 1].T @ dout
            dby += dout.sum(axis=0)
            dz = (dout @ Wy.T + dh) * (1 - hs[t + 1] ** 2)
            dWx += xs[t].T @ dz
            dWh += hs[t].T @ dz
            db += dz.sum(axis=0)
            dx, dh = dz @ Wx.T, dz @ Wh.T
        return dx, dh, dWx, dWh, dWy, db, dby

    return np.stack(xs[1:], axis=1), backward


@mutant(
    "temperature_series_error_of_all_days_divided_by_the_batch",
    cause="wrong-count",
    inputs=j3_draw((3, 7, 2), (3, 7), (3, 4), (2, 4), (4, 4), (4,), (4,), (1,)),
    wrong=("dx", "dtarget", "dh0", "dWx", "dWh", "db", "dv", "dc"),
)
def temperature_series_error_of_all_days_divided_by_the_batch(x, target, h0, Wx, Wh, b, v, c):
    """Mean squared error of one number a day."""
    N, T, _ = x.shape
    h = [h0]
    for t in range(T):
        h.append(np.tanh(x[:, t] @ Wx + h[-1] @ Wh + b))
    pred = np.stack(h[1:], axis=1) @ v + c
    loss = np.mean((pred - target) ** 2)

    def backward(dloss):
        dpred = dloss * 2 * (pred - target) / N  # right: dpred = dloss * 2 * (pred - target) / (N * T)
        dx, dh, dWx, dWh, db, dv = (np.zeros_like(p) for p in (x, h0, Wx, Wh, b, v))
        for t in reversed(range(T)):
            dv += h[t + 1].T @ dpred[:, t]
            dz = (np.outer(dpred[:, t], v) + dh) * (1 - h[t + 1] ** 2)
            dx[:, t] = dz @ Wx.T
            dWx += x[:, t].T @ dz
            dWh += h[t].T @ dz
            db += dz.sum(axis=0)
            dh = dz @ Wh.T
        return dx, -dpred, dh, dWx, dWh, db, dv, np.array([dpred.sum()])

    return loss, backward


# --------------------------------------------------------------------------------------------------- encoder to decoder


@mutant(
    "translator_context_is_asked_at_the_first_word_only",
    cause="one-step-only",
    also=("sum-missing",),
    inputs=j3_draw((2, 4, 3), (2, 4), (3, 4), (4, 4), (4,), (2, 5, 2), (2, 4), (4, 4), (4, 4), (4,)),
    wrong=("dsource", "dh0", "dW", "dU", "db"),
    note="the last state of the encoder starts the decoder, and goes into each of its steps",
)
def translator_context_is_asked_at_the_first_word_only(source, h0, W, U, b, words, V, S, C, d):
    T = words.shape[1]
    steps, encoder_backward = j3_elman(source.swapaxes(0, 1), h0, W, U, b)
    context = steps[-1]
    s = [context]
    for t in range(T):
        s.append(np.tanh(words[:, t] @ V + s[t] @ S + context @ C + d))

    def backward(ds_all):
        ds, delta = np.zeros_like(context), np.zeros_like(ds_all)
        dS = np.zeros_like(S)
        for t in reversed(range(T)):
            delta[:, t] = (ds_all[:, t] + ds) * (1 - s[t + 1] ** 2)
            dS += s[t].T @ delta[:, t]
            ds = delta[:, t] @ S.T
        total = delta.sum(axis=1)
        dcontext = ds + delta[:, 0] @ C.T  # right: dcontext = ds + total @ C.T
        dsteps = np.zeros_like(steps)
        dsteps[-1] = dcontext
        dsource, *encoder = encoder_backward(dsteps)
        dV = np.einsum("ntd,nth->dh", words, delta)
        return (dsource.swapaxes(0, 1), *encoder, delta @ V.T, dV, dS, context.T @ total, total.sum(axis=0))

    return np.stack(s[1:], axis=1), backward


def j3_question_and_answer(rng):
    """Ids of both (T, N), one table of words, then a state and weights, and those of the second network."""
    question = np.array([[1, 4], [3, 3], [1, 5], [2, 0]])
    answer = np.array([[6, 6], [4, 1], [0, 5]])
    shapes = [(7, 3), (2, 4), (3, 4), (4, 4), (4,), (3, 4), (4, 4), (4,)]
    return (question, answer, *(0.7 * rng.standard_normal(s) for s in shapes))


@mutant(
    "chatbot_one_table_for_question_and_answer",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=j3_question_and_answer,
    wrong=("dE",),
    note="what comes back to the words of the question is thrown away",
)
def chatbot_one_table_for_question_and_answer(question, answer, E, h0, We, Ue, be, Wd, Ud, bd):
    asked, encoder_backward = j3_elman(E[question], h0, We, Ue, be)
    said, decoder_backward = j3_elman(E[answer], asked[-1], Wd, Ud, bd)

    def backward(dsaid):
        danswer, dh, dWd, dUd, dbd = decoder_backward(dsaid)
        dasked = np.zeros_like(asked)
        dasked[-1] = dh
        encoder = encoder_backward(dasked)
        dE = np.zeros_like(E)
        np.add.at(dE, answer, danswer)
        # missing: np.add.at(dE, question, encoder[0])
        return (None, None, dE, *encoder[1:], dWd, dUd, dbd)

    return said, backward


# --------------------------------------------------------------------------------------------- long short-term memories


@mutant(
    "peephole_lstm_output_gate_never_looked_at_the_cell",
    cause="branch-missing",
    inputs=j3_draw((4, 2, 3), (2, 5), (2, 5), (3, 20), (5, 20), (20,), (5,), (5,), (5,)),
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


class J3CellOfABook:
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
    inputs=j3_draw((2, 4, 3), (2, 5), (2, 5), (3, 20), (5, 20), (20,)),
    wrong=("dxs", "dh", "dc", "dWx", "dWh", "db"),
    note="the product g i, where each has the other for its derivative",
)
def time_lstm_of_a_book_each_partner_keeps_itself(xs, h, c, Wx, Wh, b):
    layers, hs = [], []
    for t in range(xs.shape[1]):
        layer = J3CellOfABook(Wx, Wh, b)
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


@mutant(
    "lstm_cell_squashed_in_the_cache_and_once_more",
    cause="derivative-at-preactivation",
    like="lstm",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="what was kept is tanh(c) already",
)
def lstm_cell_squashed_in_the_cache_and_once_more(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    h, c, caches, outputs = h0, c0, [], []
    for frame in x:
        ai, af, ag, ao = np.hsplit(frame @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh, 4)
        i, f, g, o = sigmoid(ai), sigmoid(af), np.tanh(ag), sigmoid(ao)
        new_c = f * c + i * g
        ct = np.tanh(new_c)
        caches.append((frame, h, c, i, f, g, o, ct))
        h, c = o * ct, new_c
        outputs.append(h)

    def backward(dout, dh, dc):
        dx, dWi, dWh, db = [], np.zeros_like(weight_ih), np.zeros_like(weight_hh), np.zeros_like(bias_ih)
        for t in range(len(caches) - 1, -1, -1):
            frame, old_h, old_c, i, f, g, o, ct = caches[t]
            dh = dh + dout[t]
            do = dh * ct
            dc = dc + dh * o * (1 - np.tanh(ct) ** 2)  # right: dc = dc + dh * o * (1 - ct**2)
            di, df, dg = dc * g, dc * old_c, dc * i
            da = np.hstack([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)])
            dx.append(da @ weight_ih)
            dWi += da.T @ frame
            dWh += da.T @ old_h
            db += da.sum(axis=0)
            dh, dc = da @ weight_hh, dc * f
        return np.array(dx[::-1]), dh, dc, dWi, dWh, db, db.copy(), None

    return (np.array(outputs), h.copy(), c.copy()), backward


@mutant(
    "lstm_cell_in_columns_one_of_four_matrices_not_turned",
    cause="transposed",
    inputs=j3_draw((3, 2), (4, 2), (4, 2), (4, 7), (4, 1), (4, 7), (4, 1), (4, 7), (4, 1), (4, 7), (4, 1)),
    wrong=("da_prev",),
    note="the part of the matrix that meets the state is square",
)
def lstm_cell_in_columns_one_of_four_matrices_not_turned(xt, a_prev, c_prev, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """Columns are examples, and the matrices meet state and input on top of each other."""
    n_a = len(a_prev)
    concat = np.vstack([a_prev, xt])
    ft, it, ot = sigmoid(Wf @ concat + bf), sigmoid(Wi @ concat + bi), sigmoid(Wo @ concat + bo)
    cct = np.tanh(Wc @ concat + bc)
    c_next = ft * c_prev + it * cct
    a_next = ot * np.tanh(c_next)

    def backward(da_next, dc_next):
        dot = da_next * np.tanh(c_next) * ot * (1 - ot)
        dc = dc_next + da_next * ot * (1 - np.tanh(c_next) ** 2)
        dcct = dc * it * (1 - cct**2)
        dit = dc * cct * it * (1 - it)
        dft = dc * c_prev * ft * (1 - ft)
        da_prev = Wf[:, :n_a].T @ dft + Wi[:, :n_a].T @ dit + Wo[:, :n_a].T @ dot
        da_prev += Wc[:, :n_a] @ dcct  # right: da_prev += Wc[:, :n_a].T @ dcct
        dxt = Wf[:, n_a:].T @ dft + Wi[:, n_a:].T @ dit + Wc[:, n_a:].T @ dcct + Wo[:, n_a:].T @ dot
        pairs = [(d @ concat.T, d.sum(axis=1, keepdims=True)) for d in (dft, dit, dcct, dot)]
        return (dxt, da_prev, dc * ft, *(grad for pair in pairs for grad in pair))

    return (a_next, c_next), backward


# ------------------------------------------------------------------------------------------------- gated recurrent unit


@mutant(
    "gru_of_one_paper_update_gate_of_the_other",
    cause="wrong-sign",
    inputs=j3_draw((2, 4, 3), (2, 5), *[(3, 5)] * 3, *[(5, 5)] * 3, *[(5,)] * 3),
    wrong=("dx", "dh0", "dWz", "dWr", "dWn", "dUz", "dUr", "dUn", "dbz", "dbr", "dbn"),
    note="here z lets the new one in; there it keeps the old one",
)
def gru_of_one_paper_update_gate_of_the_other(x, h0, Wz, Wr, Wn, Uz, Ur, Un, bz, br, bn):
    T = x.shape[1]
    h, kept = [h0], []
    for t in range(T):
        z = sigmoid(x[:, t] @ Wz + h[t] @ Uz + bz)
        r = sigmoid(x[:, t] @ Wr + h[t] @ Ur + br)
        n = np.tanh(x[:, t] @ Wn + (r * h[t]) @ Un + bn)
        kept.append((z, r, n))
        h.append((1 - z) * h[t] + z * n)

    def backward(dy):
        dx, dh = np.zeros_like(x), np.zeros_like(h0)
        dW = [np.zeros_like(w) for w in (Wz, Wr, Wn)]
        dU = [np.zeros_like(u) for u in (Uz, Ur, Un)]
        db = [np.zeros_like(b) for b in (bz, br, bn)]
        for t in reversed(range(T)):
            z, r, n = kept[t]
            dh = dh + dy[:, t]
            dan = dh * z * (1 - n**2)
            drh = dan @ Un.T
            dz = dh * (h[t] - n)  # right: dz = dh * (n - h[t])
            daz, dar = dz * z * (1 - z), drh * h[t] * r * (1 - r)
            for k, (da, state) in enumerate([(daz, h[t]), (dar, h[t]), (dan, r * h[t])]):
                dW[k] += x[:, t].T @ da
                dU[k] += state.T @ da
                db[k] += da.sum(axis=0)
            dx[:, t] = daz @ Wz.T + dar @ Wr.T + dan @ Wn.T
            dh = dh * (1 - z) + drh * r + daz @ Uz.T + dar @ Ur.T
        return (dx, dh, *dW, *dU, *db)

    return np.stack(h[1:], axis=1), backward
