# ruff: noqa: RUF059 (students unpack every shape)
"""Plain recurrent nets: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_2, draw_2, draw_5, elman, elman_2, rnn_inputs, stable_softmax


def sentences_2(rng):
    """Words (N, T, D), a state (N, H), the weights (D, H), (H, H) and a bias (H,)."""
    N, T, D, H = 3, 5, 4, 6
    return draw_2((N, T, D), (N, H), (D, H), (H, H), (H,))(rng)


@mutant(
    "rnn_slope_of_the_tanh_of_what_is_tanh_already",
    cause="derivative-at-preactivation",
    inputs=sentences_2,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
    note="`dtanh` wants the input of the tanh and is given its output",
)
def rnn_slope_of_the_tanh_of_what_is_tanh_already(x, h0, Wx, Wh, b):
    def dtanh(a):
        return 1 - np.tanh(a) ** 2

    T = x.shape[1]
    preactivations, states = [], [h0]
    for t in range(T):
        preactivations.append(x[:, t] @ Wx + states[-1] @ Wh + b)
        states.append(np.tanh(preactivations[-1]))

    def backward(dstates):
        dx, dWx, dWh, db = (np.zeros_like(p) for p in (x, Wx, Wh, b))
        carry = np.zeros_like(h0)
        for t in range(T - 1, -1, -1):
            # right: delta = (dstates[:, t] + carry) * dtanh(preactivations[t])
            delta = (dstates[:, t] + carry) * dtanh(states[t + 1])
            dWx += x[:, t].T @ delta
            dWh += states[t].T @ delta
            db += delta.sum(axis=0)
            dx[:, t], carry = delta @ Wx.T, delta @ Wh.T
        return dx, carry, dWx, dWh, db

    return np.stack(states[1:], axis=1), backward


@mutant(
    "rnn_square_matrix_of_the_state_turned_once_too_often",
    cause="transposed",
    like="rnn",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="(H, H) fits either way round",
)
def rnn_square_matrix_of_the_state_turned_once_too_often(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, N, D = x.shape
    h = np.empty((T + 1, *h0.shape))
    h[0] = h0
    for t in range(T):
        h[t + 1] = np.tanh(x[t].dot(weight_ih.T) + bias_ih + h[t].dot(weight_hh.T) + bias_hh)

    def backward(dy, dh_last):
        dx = np.empty_like(x)
        dw_ih, dw_hh, db = np.zeros_like(weight_ih), np.zeros_like(weight_hh), np.zeros_like(bias_ih)
        dh = dh_last
        for t in reversed(range(T)):
            dz = (dh + dy[t]) * (1 - np.square(h[t + 1]))
            dw_ih += dz.T.dot(x[t])
            dw_hh += dz.T.dot(h[t])
            db += dz.sum(axis=0)
            dx[t] = dz.dot(weight_ih)
            dh = dz.dot(weight_hh.T)  # right: dh = dz.dot(weight_hh)
        return dx, dh, dw_ih, dw_hh, db, db.copy(), None

    return (h[1:].copy(), h[T].copy()), backward


@mutant(
    "rnn_hears_the_loss_at_the_last_word_only",
    cause="one-step-only",
    inputs=sentences_2,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
    note="from a classifier of sentences, where the last state is all that is looked at",
)
def rnn_hears_the_loss_at_the_last_word_only(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    hs, h = {}, h0
    for t in range(T):
        hs[t] = h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
    hs[-1] = h0

    def backward(dhs):
        grads = {"Wx": np.zeros_like(Wx), "Wh": np.zeros_like(Wh), "b": np.zeros_like(b)}
        dxs = np.zeros_like(x)
        dh = dhs[:, T - 1]
        for t in range(T - 1, -1, -1):
            da = (1 - hs[t] ** 2) * dh
            grads["Wx"] += x[:, t].T @ da
            grads["Wh"] += hs[t - 1].T @ da
            grads["b"] += da.sum(axis=0)
            dxs[:, t] = da @ Wx.T
            dh = da @ Wh.T
            # missing: dh = dh + (dhs[:, t - 1] if t > 0 else 0)
        return dxs, dh, grads["Wx"], grads["Wh"], grads["b"]

    return np.stack([hs[t] for t in range(T)], axis=1), backward


def text_2(rng):
    """Ids of the letters of a text, a state (H, 1), weights and biases for columns."""
    H, V = 6, 9
    shapes = [(H, 1), (H, V), (H, H), (V, H), (H, 1), (V, 1)]
    return (np.array([0, 1, 2, 2, 3, 8, 4, 3, 5, 7, 2, 6, 1, 8, 0, 2]), *(0.5 * rng.standard_normal(s) for s in shapes))


@mutant(
    "char_rnn_clips_what_it_returns",
    cause="one-entry",
    inputs=text_2,
    wrong=("dWhh", "dWhy", "dbh", "dby"),
    note="against exploding gradients, in the function where they are computed",
)
def char_rnn_clips_what_it_returns(inputs, hprev, Wxh, Whh, Why, bh, by):
    """The scores of the letters that may follow, (T, V)."""
    xs, hs = {}, {-1: hprev}
    ys = np.zeros((len(inputs), len(by)))
    for t in range(len(inputs)):
        xs[t] = np.zeros((Wxh.shape[1], 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        ys[t] = (Why @ hs[t] + by).ravel()

    def backward(dys):
        dWxh, dWhh, dWhy, dbh, dby = (np.zeros_like(p) for p in (Wxh, Whh, Why, bh, by))
        dhnext = np.zeros_like(hprev)
        for t in reversed(range(len(inputs))):
            dy = dys[t].reshape(-1, 1)
            dWhy += dy @ hs[t].T
            dby += dy
            dhraw = (1 - hs[t] * hs[t]) * (Why.T @ dy + dhnext)
            dbh += dhraw
            dWxh += dhraw @ xs[t].T
            dWhh += dhraw @ hs[t - 1].T
            dhnext = Whh.T @ dhraw
        for dparam in [dWxh, dWhh, dWhy, dbh, dby]:
            np.clip(dparam, -5, 5, out=dparam)  # right: assert np.all(np.isfinite(dparam))
        return None, dhnext, dWxh, dWhh, dWhy, dbh, dby

    return ys, backward


def ragged_text(rng):
    """Words (N, T, D), the ids that follow (N, T), which are words (N, T); a state, and the weights."""
    N, T, D, H, V = 3, 5, 4, 3, 6
    mask = np.arange(T) < np.array([[5], [4], [2]])
    weights = draw_2((N, H), (D, H), (H, H), (H,), (H, V), (V,))(rng)
    return (0.8 * rng.standard_normal((N, T, D)), rng.integers(0, V, (N, T)), mask, *weights)


@mutant(
    "language_model_padding_counts_as_words",
    cause="wrong-count",
    inputs=ragged_text,
    wrong=("dx", "dh0", "dWx", "dWh", "db", "dWy", "dby"),
    note="15 places, 11 of them words",
)
def language_model_padding_counts_as_words(x, words, mask, h0, Wx, Wh, b, Wy, by):
    """The mean loss of a word; padding stands at the end."""
    N, T, D = x.shape
    hs = [h0]
    for t in range(T):
        hs.append(np.tanh(x[:, t] @ Wx + hs[t] @ Wh + b))
    h = np.stack(hs[1:], axis=1)
    probs = stable_softmax(h @ Wy + by)
    rows, columns = np.indices((N, T))
    loss = -np.sum(np.log(probs[rows, columns, words]) * mask) / np.sum(mask)

    def backward(dloss):
        dscores = probs.copy()
        dscores[rows, columns, words] -= 1
        dscores *= mask[:, :, None]
        dscores *= dloss / (N * T)  # right: dscores *= dloss / np.sum(mask)
        dWy, dby = np.einsum("nth,ntv->hv", h, dscores), dscores.sum(axis=(0, 1))
        dh_all, dh = dscores @ Wy.T, np.zeros_like(h0)
        dx, dWx, dWh, db = (np.zeros_like(p) for p in (x, Wx, Wh, b))
        for t in range(T - 1, -1, -1):
            da = (dh_all[:, t] + dh) * (1 - hs[t + 1] ** 2)
            dx[:, t] = da @ Wx.T
            dWx += x[:, t].T @ da
            dWh += hs[t].T @ da
            db += da.sum(axis=0)
            dh = da @ Wh.T
        return dx, None, None, dh, dWx, dWh, db, dWy, dby

    return loss, backward


def two_ways(rng):
    """Words (T, N, D), then a state (N, H), the weights and a bias for either direction."""
    T, N, D, H = 4, 3, 5, 2
    return draw_2((T, N, D), *[(N, H), (D, H), (H, H), (H,)] * 2)(rng)


@mutant(
    "bidirectional_rnn_loop_copied_with_the_step_before",
    cause="off-by-one",
    inputs=two_ways,
    wrong=("dUb",),
    note="who reads from the right comes from t + 1",
)
def bidirectional_rnn_loop_copied_with_the_step_before(x, hf, Wf, Uf, bf, hb, Wb, Ub, bb):
    """The sum of the states of the two directions."""
    T, N, D = x.shape
    fwd, bwd = np.zeros((T + 1, *hf.shape)), np.zeros((T + 1, *hb.shape))
    fwd[-1], bwd[T] = hf, hb
    for t in range(T):
        fwd[t] = np.tanh(x[t] @ Wf + fwd[t - 1] @ Uf + bf)
    for t in range(T - 1, -1, -1):
        bwd[t] = np.tanh(x[t] @ Wb + bwd[t + 1] @ Ub + bb)

    def backward(dy):
        dx = np.zeros_like(x)
        dWf, dUf, dbf, dWb, dUb, dbb = (np.zeros_like(p) for p in (Wf, Uf, bf, Wb, Ub, bb))
        dhf, dhb = np.zeros_like(hf), np.zeros_like(hb)
        for t in range(T - 1, -1, -1):
            da = (dy[t] + dhf) * (1 - fwd[t] ** 2)
            dWf += x[t].T @ da
            dUf += fwd[t - 1].T @ da
            dbf += da.sum(axis=0)
            dx[t] += da @ Wf.T
            dhf = da @ Uf.T
        for t in range(T):
            da = (dy[t] + dhb) * (1 - bwd[t] ** 2)
            dWb += x[t].T @ da
            dUb += bwd[t - 1].T @ da  # right: dUb += bwd[t + 1].T @ da
            dbb += da.sum(axis=0)
            dx[t] += da @ Wb.T
            dhb = da @ Ub.T
        return dx, dhf, dWf, dUf, dbf, dhb, dWb, dUb, dbb

    return fwd[:T] + bwd[:T], backward


@mutant(
    "stacked_rnn_lower_floor_hears_only_the_upper_floor",
    cause="missing-dh-carry",
    inputs=draw_5((2, 4, 3), (2, 5), (2, 4), (3, 5), (5, 5), (5,), (5, 4), (4, 4), (4,)),
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


def sentence_and_weights(rng):
    """Ids (T,), one of them twice, a state (H,), U (H, V), W (H, H) and V (C, H)."""
    shapes = [(4,), (4, 6), (4, 4), (3, 4)]
    return (np.array([2, 0, 5, 2, 3]), *(0.7 * rng.standard_normal(s) for s in shapes))


@mutant(
    "bptt_tutorial_inner_loop_slope_of_the_step_it_leaves",
    cause="off-by-one",
    also=("derivative-at-preactivation",),
    inputs=sentence_and_weights,
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


def ragged_batch(rng):
    """Words (N, T, D), how many of them are real (N,), a state (N, H), and the weights."""
    x, *others = (0.7 * rng.standard_normal(s) for s in [(3, 5, 4), (3, 3), (4, 3), (3, 3), (3,)])
    return (x, np.array([4, 2, 3]), *others)


@mutant(
    "rnn_classifier_state_after_the_last_word_put_back_at_length",
    cause="off-by-one",
    inputs=ragged_batch,
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
    inputs=draw_5((3, 2, 4), (5, 2), (5, 3), (5, 5), (5, 1)),
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


@mutant(
    "bidirectional_rnn_time_major_inside_reshaped_on_the_way_out",
    cause="permuted-axes",
    inputs=draw_5((2, 5, 4), (2, 3), (4, 3), (3, 3), (3,), (2, 3), (4, 3), (3, 3), (3,)),
    wrong=("dx",),
)
def bidirectional_rnn_time_major_inside_reshaped_on_the_way_out(x, hf, Wf, Uf, bf, hb, Wb, Ub, bb):
    """Batch first outside, time first inside; the second direction reads the list backwards."""
    N, T, D = x.shape
    steps = x.transpose(1, 0, 2)
    left, left_backward = elman(steps, hf, Wf, Uf, bf)
    right, right_backward = elman(steps[::-1], hb, Wb, Ub, bb)
    y = np.concatenate([left, right[::-1]], axis=2).transpose(1, 0, 2)

    def backward(dy):
        dleft, dright = np.split(dy.transpose(1, 0, 2), 2, axis=2)
        dxf, *left_grads = left_backward(dleft)
        dxb, *right_grads = right_backward(dright[::-1])
        dsteps = dxf + dxb[::-1]
        dx = dsteps.reshape(N, T, D)  # right: dx = dsteps.transpose(1, 0, 2)
        return (dx, *left_grads, *right_grads)

    return y, backward


def padded_reviews(rng):
    """Words (N, T, D), which of them are real (N, T), a state, the weights, and those of the classes."""
    x, *others = (0.7 * rng.standard_normal(s) for s in [(3, 5, 4), (3, 3), (4, 3), (3, 3), (3,), (3, 2), (2,)])
    return (x, np.arange(5) < np.array([[5], [2], [3]]), *others)


@mutant(
    "rnn_mean_over_real_words_hands_padding_its_share",
    cause="mask-not-applied",
    inputs=padded_reviews,
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


@mutant(
    "temperature_series_error_of_all_days_divided_by_the_batch",
    cause="wrong-count",
    inputs=draw_5((3, 7, 2), (3, 7), (3, 4), (2, 4), (4, 4), (4,), (4,), (1,)),
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


@mutant("rnn_overwrites_weights", cause="one-step-only", inputs=rnn_inputs, wrong=("dWx", "dWh", "db"))
def rnn_overwrites_weights(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    states = np.zeros((N, T + 1, h0.shape[1]))
    states[:, 0] = h0
    for t in range(T):
        states[:, t + 1] = np.tanh(x[:, t].dot(Wx) + states[:, t].dot(Wh) + b)

    def step_backward(dnext_h, t):
        dscore = dnext_h * (1 - states[:, t + 1] ** 2)
        return dscore @ Wx.T, dscore @ Wh.T, x[:, t].T @ dscore, states[:, t].T @ dscore, dscore.sum(axis=0)

    def backward(dh):
        dx = np.zeros_like(x)
        dprev = np.zeros_like(h0)
        # missing: dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        for t in reversed(range(T)):
            dx[:, t], dprev, dWx_t, dWh_t, db_t = step_backward(dh[:, t] + dprev, t)
            # right: dWx, dWh, db = dWx + dWx_t, dWh + dWh_t, db + db_t
            dWx, dWh, db = dWx_t, dWh_t, db_t
        return dx, dprev, dWx, dWh, db

    return states[:, 1:].copy(), backward


@mutant(
    "rnn_tanh_twice",
    cause="activation-derivative-doubled",
    like="rnn",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def rnn_tanh_twice(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T = len(x)
    h = [h0]
    for t in range(T):
        h.append(np.tanh(x[t] @ weight_ih.T + bias_ih + h[-1] @ weight_hh.T + bias_hh))

    def dtanh(y):
        return 1 - y**2

    def through_cell(dh, t):
        return dh * dtanh(h[t + 1])

    def backward(dy, dh_n):
        grads = [np.zeros_like(w) for w in (x, weight_ih, weight_hh, bias_ih)]
        dh = dh_n
        for t in range(T)[::-1]:
            dz = through_cell(dy[t] + dh, t)
            dz = dz * dtanh(h[t + 1])  # right: dz = dz * 1
            grads[0][t] = dz @ weight_ih
            grads[1] += dz.T @ x[t]
            grads[2] += dz.T @ h[t]
            grads[3] += dz.sum(axis=0)
            dh = dz @ weight_hh
        dx, dW, dU, db = grads
        return dx, dh, dW, dU, db, db.copy(), None

    return (np.array(h[1:]), h[-1].copy()), backward


def both_ways_inputs(rng):
    T, N, D, H = 4, 2, 3, 3
    shapes = [(T, N, D), (H, D), (H, H), (H, D), (H, H)]
    return tuple(rng.standard_normal(s) for s in shapes)


@mutant("bidirectional_forward_only", cause="branch-missing", inputs=both_ways_inputs, wrong=("dx",))
def bidirectional_forward_only(x, W_right, U_right, W_left, U_left):
    """Two Elman networks, left to right and right to left, side by side."""
    T, N, _ = x.shape
    H = len(U_right)

    def run(order, W, U):
        h, kept = np.zeros((N, H)), {}
        for t in order:
            before = h
            h = np.tanh(x[t] @ W.T + h @ U.T)
            kept[t] = (before, h)
        return kept

    def run_backward(order, kept, W, U, dh_all):
        dx, dW, dU, dh = np.zeros_like(x), 0, 0, 0
        for t in reversed(order):
            before, h = kept[t]
            da = (dh_all[t] + dh) * (1 - h * h)
            dx[t], dh = da @ W, da @ U
            dW, dU = dW + da.T @ x[t], dU + da.T @ before
        return dx, dW, dU

    there, back = list(range(T)), list(range(T))[::-1]
    kept_r, kept_l = run(there, W_right, U_right), run(back, W_left, U_left)
    out = np.stack([np.hstack([kept_r[t][1], kept_l[t][1]]) for t in range(T)])

    def backward(dout):
        dx_r, dW_r, dU_r = run_backward(there, kept_r, W_right, U_right, dout[:, :, :H])
        dx_l, dW_l, dU_l = run_backward(back, kept_l, W_left, U_left, dout[:, :, H:])
        dx = dx_r  # right: dx = dx_r + dx_l
        return dx, dW_r, dU_r, dW_l, dU_l

    return out, backward


@mutant("rnn_step_square_matrix_not_turned", cause="transposed", like="rnn_step", wrong=("dweight_hh",))
def rnn_step_square_matrix_not_turned(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    h_new = np.tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)

    def backward(dh_new):
        dz = dh_new * (1 - h_new**2)
        dweight_hh = h.T @ dz  # right: dweight_hh = dz.T @ h
        return dz @ weight_ih, dz @ weight_hh, dz.T @ x, dweight_hh, dz.sum(0), dz.sum(0)

    return h_new, backward


@mutant(
    "rnn_mask_the_other_way_round",
    cause="mask-inverted",
    like="rnn, mask",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def rnn_mask_the_other_way_round(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    """Padding keeps the state."""
    T = len(x)
    hs = [h0]
    for t in range(T):
        new = np.tanh(x[t] @ weight_ih.T + bias_ih + hs[t] @ weight_hh.T + bias_hh)
        hs.append(np.where(mask[t][:, None], new, hs[t]))
    y = np.where(mask[:, :, None], np.array(hs[1:]), 0)

    def backward(dy, dh):
        is_padding = mask  # right: is_padding = ~mask
        dx = np.zeros_like(x)
        dW, dU, db = np.zeros_like(weight_ih), np.zeros_like(weight_hh), np.zeros_like(bias_ih)
        for t in range(T - 1, -1, -1):
            skip = is_padding[t][:, None]
            dh = dh + np.where(skip, 0, dy[t])
            dz = np.where(skip, 0, dh * (1 - hs[t + 1] ** 2))
            dx[t] = dz @ weight_ih
            dW += dz.T @ x[t]
            dU += dz.T @ hs[t]
            db += dz.sum(axis=0)
            dh = np.where(skip, dh, dz @ weight_hh)
        return dx, dh, dW, dU, db, db.copy(), None

    return (y, hs[-1].copy()), backward


@mutant(
    "rnn_loop_stops_before_the_first_step",
    cause="off-by-one",
    like="rnn",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def rnn_loop_stops_before_the_first_step(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T = x.shape[0]
    hs = {-1: h0}
    for t in range(T):
        hs[t] = np.tanh(x[t] @ weight_ih.T + bias_ih + hs[t - 1] @ weight_hh.T + bias_hh)

    def backward(dy, dh):
        dx = np.zeros_like(x)
        dW, dU, db = np.zeros_like(weight_ih), np.zeros_like(weight_hh), np.zeros_like(bias_ih)
        for t in range(T - 1, 0, -1):  # right: for t in range(T - 1, -1, -1):
            dz = (dy[t] + dh) * (1 - hs[t] * hs[t])
            dx[t] = dz @ weight_ih
            dW += dz.T @ x[t]
            dU += dz.T @ hs[t - 1]
            db += dz.sum(axis=0)
            dh = dz @ weight_hh
        return dx, dh, dW, dU, db, db.copy(), None

    return (np.array([hs[t] for t in range(T)]), hs[T - 1].copy()), backward


@mutant(
    "both_ways_gradient_of_the_way_back_not_turned",
    cause="permuted-axes",
    inputs=both_ways_inputs,
    wrong=("dx",),
)
def both_ways_gradient_of_the_way_back_not_turned(x, W_right, U_right, W_left, U_left):
    def run(xs, W, U):
        hs = [np.zeros((len(xs[0]), len(U)))]
        for v in xs:
            hs.append(np.tanh(v @ W + hs[-1] @ U))
        return hs

    right, left = run(x, W_right, U_right), run(x[::-1], W_left, U_left)
    y = np.concatenate([np.array(right[1:]), np.array(left[1:])[::-1]], axis=2)

    def run_back(dys, xs, hs, W, U):
        dxs, dW, dU, dh = np.zeros_like(xs), np.zeros_like(W), np.zeros_like(U), 0
        for t in range(len(xs) - 1, -1, -1):
            dz = (dys[t] + dh) * (1 - hs[t + 1] ** 2)
            dxs[t], dh = dz @ W.T, dz @ U.T
            dW += xs[t].T @ dz
            dU += hs[t].T @ dz
        return dxs, dW, dU

    def backward(dy):
        H = len(U_right)
        to_right, dW_right, dU_right = run_back(dy[:, :, :H], x, right, W_right, U_right)
        to_left, dW_left, dU_left = run_back(dy[::-1, :, H:], x[::-1], left, W_left, U_left)
        dx = to_right + to_left  # right: dx = to_right + to_left[::-1]
        return dx, dW_right, dU_right, dW_left, dU_left

    return y, backward


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


@mutant(
    "bptt_slope_of_the_step_that_was_just_left",
    cause="off-by-one",
    also=("derivative-at-preactivation",),
    inputs=arrays_2((5, 3), (4,), (4, 3), (6, 4), (4, 4), (4,)),
    wrong=("dx", "ds0", "dU", "dW", "db"),
    note="the delta goes to step k - 1, and its tanh is that of step k",
)
def bptt_slope_of_the_step_that_was_just_left(x, s0, U, V, W, b):
    """A language model's scores; from every word all the way back to the first, one word after the other."""
    T = len(x)
    s = {-1: s0}
    for t in range(T):
        s[t] = np.tanh(U.dot(x[t]) + W.dot(s[t - 1]) + b)
    o = np.array([V.dot(s[t]) for t in range(T)])

    def backward(do):
        dx, ds0, dU, dV, dW, db = (np.zeros_like(a) for a in (x, s0, U, V, W, b))
        for t in range(T):
            dV += np.outer(do[t], s[t])
            delta = V.T.dot(do[t]) * (1 - s[t] ** 2)
            for k in range(t, -1, -1):
                dW += np.outer(delta, s[k - 1])
                dU += np.outer(delta, x[k])
                db += delta
                dx[k] += U.T.dot(delta)
                ds = W.T.dot(delta)
                delta = ds * (1 - s[k] ** 2)  # right: delta = ds * (1 - s[k - 1] ** 2)
            ds0 += ds
        return dx, ds0, dU, dV, dW, db

    return o, backward


@mutant(
    "scores_of_hs_t_learn_from_the_state_before",
    cause="off-by-one",
    inputs=arrays_2((2, 5, 3), (2, 4), (3, 4), (4, 4), (4,), (4, 6), (6,)),
    wrong=("dWhy",),
    note="hs begins with the state before the first word, so that the state of word t is hs[t + 1]",
)
def scores_of_hs_t_learn_from_the_state_before(x, h0, Wxh, Whh, bh, Why, by):
    """Scores at every word of sentences (N, T, D)."""
    N, T, _ = x.shape
    hs = np.zeros((T + 1, *h0.shape))
    hs[0] = h0
    scores = np.zeros((N, T, len(by)))
    for t in range(T):
        hs[t + 1] = np.tanh(x[:, t] @ Wxh + hs[t] @ Whh + bh)
        scores[:, t] = hs[t + 1] @ Why + by

    def backward(dscores):
        dx, dWxh, dWhh, dbh, dWhy, dby = (np.zeros_like(a) for a in (x, Wxh, Whh, bh, Why, by))
        dh_next = np.zeros_like(h0)
        for t in range(T - 1, -1, -1):
            dWhy += hs[t].T @ dscores[:, t]  # right: dWhy += hs[t + 1].T @ dscores[:, t]
            dby += dscores[:, t].sum(axis=0)
            draw = (dscores[:, t] @ Why.T + dh_next) * (1 - hs[t + 1] ** 2)
            dWxh += x[:, t].T @ draw
            dWhh += hs[t].T @ draw
            dbh += draw.sum(axis=0)
            dx[:, t], dh_next = draw @ Wxh.T, draw @ Whh.T
        return dx, dh_next, dWxh, dWhh, dbh, dWhy, dby

    return scores, backward


def letters_2(rng):
    """Letters and those that follow them, a state (H,), and the weights of 5 letters."""
    shapes = [(4,), (4, 5), (4, 4), (5, 4), (4,), (5,)]
    return np.array([1, 3, 0, 3, 2]), np.array([3, 0, 3, 2, 4]), *(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "min_char_rnn_takes_the_one_off_the_probabilities_it_keeps",
    cause="second-call-differs",
    inputs=letters_2,
    note="p - 1 at the right letter, p - 2 when asked again",
)
def min_char_rnn_takes_the_one_off_the_probabilities_it_keeps(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
    """The loss, summed over the letters."""
    hs, ps, loss = {-1: np.copy(hprev)}, {}, 0.0
    for t, letter in enumerate(inputs):
        hs[t] = np.tanh(Wxh[:, letter] + np.dot(Whh, hs[t - 1]) + bh)
        ps[t] = stable_softmax(np.dot(Why, hs[t]) + by)
        loss -= np.log(ps[t][targets[t]])

    def backward(dloss):
        dWxh, dWhh, dWhy, dbh, dby = (np.zeros_like(a) for a in (Wxh, Whh, Why, bh, by))
        dhnext = np.zeros_like(hprev)
        for t in reversed(range(len(inputs))):
            dy = ps[t]  # right: dy = np.copy(ps[t])
            dy[targets[t]] -= 1
            dWhy += dloss * np.outer(dy, hs[t])
            dby += dloss * dy
            dhraw = (1 - hs[t] * hs[t]) * (dloss * np.dot(Why.T, dy) + dhnext)
            dbh += dhraw
            dWxh[:, inputs[t]] += dhraw
            dWhh += np.outer(dhraw, hs[t - 1])
            dhnext = np.dot(Whh.T, dhraw)
        return None, None, dhnext, dWxh, dWhh, dWhy, dbh, dby

    return loss, backward


@mutant(
    "bidirectional_average_gives_each_direction_all",
    cause="constant-factor",
    also=("wrong-count",),
    inputs=arrays_2((5, 3, 4), *[(3, 6), (4, 6), (6, 6), (6,)] * 2),
    wrong=("dx", "dhl", "dWl", "dUl", "dbl", "dhr", "dWr", "dUr", "dbr"),
    note="were the two added, or side by side, it would be right",
)
def bidirectional_average_gives_each_direction_all(x, hl, Wl, Ul, bl, hr, Wr, Ur, br):
    """The mean of the two directions' states, at every word."""
    left, left_backward = elman_2(x, hl, Wl, Ul, bl)
    right, right_backward = elman_2(x[::-1], hr, Wr, Ur, br)
    merged = (left + right[::-1]) / 2

    def backward(dmerged):
        d_each = dmerged  # right: d_each = dmerged / 2
        dx_left, *of_left = left_backward(d_each)
        dx_right, *of_right = right_backward(d_each[::-1])
        return (dx_left + dx_right[::-1], *of_left, *of_right)

    return merged, backward


@mutant(
    "two_layers_recurrent_weights_by_state_times_delta",
    cause="transposed",
    inputs=arrays_2((4, 3, 2), (3, 5), (3, 4), (5, 2), (5, 5), (5,), (4, 5), (4, 4), (4,)),
    wrong=("dU0", "dU1"),
    note="for W the sides would not fit, for U they do",
)
def two_layers_recurrent_weights_by_state_times_delta(x, start0, start1, W0, U0, b0, W1, U1, b1):
    """Weights stand as (H, D) and (H, H), the upper layer reads the states of the lower one."""
    layers = [(W0, U0, b0), (W1, U1, b1)]
    h = {(-1, 0): start0, (-1, 1): start1}
    for t in range(len(x)):
        below = x[t]
        for k, (W, U, b) in enumerate(layers):
            below = h[t, k] = np.tanh(below @ W.T + h[t - 1, k] @ U.T + b)
    top = np.array([h[t, 1] for t in range(len(x))])

    def backward(dtop):
        dx = np.zeros_like(x)
        grads = [[np.zeros_like(p) for p in layer] for layer in layers]
        dnext = [np.zeros_like(start0), np.zeros_like(start1)]
        for t in reversed(range(len(x))):
            dabove = dtop[t]
            for k in (1, 0):
                W, U, _ = layers[k]
                dW, dU, db = grads[k]
                delta = (dabove + dnext[k]) * (1 - h[t, k] ** 2)
                dW += delta.T @ (h[t, 0] if k else x[t])
                dU += h[t - 1, k].T @ delta  # right: dU += delta.T @ h[t - 1, k]
                db += delta.sum(axis=0)
                dnext[k], dabove = delta @ U, delta @ W
            dx[t] = dabove
        return (dx, *dnext, *grads[0], *grads[1])

    return top, backward


def padded_reviews_2(rng):
    """Words (N, T, D), which of them are real (N, T), a state, the weights of the states and of the two classes."""
    real = np.arange(5) < np.array([[4], [2], [3]])
    shapes = [(3, 4), (2, 4), (4, 4), (4,), (4, 2), (2,)]
    return rng.standard_normal((3, 5, 2)), real, *(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "review_mean_of_the_real_words_shared_out_among_all",
    cause="wrong-count",
    inputs=padded_reviews_2,
    wrong=("dx", "dh0", "dW", "dU", "db"),
    note="the mean over time divides by each review's length, the way back by the length of the array",
)
def review_mean_of_the_real_words_shared_out_among_all(x, real, h0, W, U, b, V, c):
    """Padding comes last, and its states are left out of the mean."""
    states, states_backward = elman_2(x.swapaxes(0, 1), h0, W, U, b)
    weight = real.T[:, :, None].astype(float)
    lengths = real.sum(axis=1)[:, None]
    pooled = (states * weight).sum(axis=0) / lengths

    def backward(dscores):
        dV, dc = pooled.T @ dscores, dscores.sum(axis=0)
        dpooled = dscores @ V.T
        dstates = weight * dpooled / len(states)  # right: dstates = weight * dpooled / lengths
        dx, *others = states_backward(dstates)
        return (dx.swapaxes(0, 1).copy(), None, *others, dV, dc)

    return pooled @ V + c, backward


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
