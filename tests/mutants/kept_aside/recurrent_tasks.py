"""Recurrent nets at work: texts, series, both directions, padding: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import draw_3, elman_3, memory_2, normal_2, stable_softmax


@mutant(
    "char_rnn_state_walks_back_through_whh_unturned",
    cause="transposed",
    inputs=draw_3((5, 3), (4,), (4, 3), (4, 4), (6, 4), (4,), (6,)),
    wrong=("dxs", "dhprev", "dWxh", "dWhh", "dbh"),
    note="of the three matrices it is the one where it runs without .T",
)
def char_rnn_state_walks_back_through_whh_unturned(xs, hprev, Wxh, Whh, Why, bh, by):
    """Scores of the next letter, one sentence of vectors."""
    hs, ys = {-1: hprev}, []
    for t in range(len(xs)):
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys.append(np.dot(Why, hs[t]) + by)

    def backward(dys):
        dxs, dWxh, dWhh, dWhy = np.zeros_like(xs), np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
        dbh, dby = np.zeros_like(bh), np.zeros_like(by)
        dhnext = np.zeros_like(hprev)
        for t in reversed(range(len(xs))):
            dWhy += np.outer(dys[t], hs[t])
            dby += dys[t]
            dh = np.dot(Why.T, dys[t]) + dhnext
            dhraw = (1 - hs[t] * hs[t]) * dh
            dbh += dhraw
            dWxh += np.outer(dhraw, xs[t])
            dWhh += np.outer(dhraw, hs[t - 1])
            dxs[t] = np.dot(Wxh.T, dhraw)
            dhnext = np.dot(Whh, dhraw)  # right: dhnext = np.dot(Whh.T, dhraw)
        return dxs, dhnext, dWxh, dWhh, dWhy, dbh, dby

    return np.array(ys), backward


@mutant(
    "rnn_loop_back_stops_before_the_first_word",
    cause="off-by-one",
    also=("sum-missing",),
    inputs=draw_3((4, 3, 2), (3, 5), (2, 5), (5, 5), (5,)),
    wrong=("dinputs", "dinit", "dW_in", "dW_rec", "dbias"),
    note="the end of a range is not in it",
)
def rnn_loop_back_stops_before_the_first_word(inputs, init, W_in, W_rec, bias):
    steps = len(inputs)
    hidden = np.zeros((steps + 1, *init.shape))
    hidden[0] = init
    for t in range(steps):
        hidden[t + 1] = np.tanh(inputs[t] @ W_in + hidden[t] @ W_rec + bias)

    def backward(grad_hidden):
        grad_inputs, grad = np.zeros_like(inputs), np.zeros_like(init)
        grad_in, grad_rec, grad_bias = (np.zeros_like(p) for p in (W_in, W_rec, bias))
        for t in range(steps - 1, 0, -1):  # right: for t in range(steps - 1, -1, -1):
            delta = (grad + grad_hidden[t]) * (1 - hidden[t + 1] ** 2)
            grad_in += inputs[t].T @ delta
            grad_rec += hidden[t].T @ delta
            grad_bias += delta.sum(axis=0)
            grad_inputs[t] = delta @ W_in.T
            grad = delta @ W_rec.T
        return grad_inputs, grad, grad_in, grad_rec, grad_bias

    return hidden[1:].copy(), backward


@mutant(
    "learned_first_state_with_a_gradient_for_every_sentence",
    cause="gradient-shape",
    also=("broadcast-not-summed",),
    inputs=normal_2((3, 4, 2), (5,), (2, 5), (5, 5), (5,)),
    note="all sentences start from one state, which is a weight; bias and matrices are summed by hand or by @",
)
def learned_first_state_with_a_gradient_for_every_sentence(x, h0, Wx, Wh, b):
    """Batch first."""
    N, T, _ = x.shape
    h = np.zeros((N, T + 1, len(h0)))
    h[:, 0] = h0
    for t in range(T):
        h[:, t + 1] = np.tanh(x[:, t] @ Wx + h[:, t] @ Wh + b)

    def backward(dh_all):
        dx, dWx, dWh, db = (np.zeros_like(a) for a in (x, Wx, Wh, b))
        dh_prev = np.zeros_like(h[:, 0])
        for t in reversed(range(T)):
            dpre = (dh_all[:, t] + dh_prev) * (1 - h[:, t + 1] ** 2)
            dx[:, t] = dpre @ Wx.T
            dWx += x[:, t].T @ dpre
            dWh += h[:, t].T @ dpre
            db += dpre.sum(axis=0)
            dh_prev = dpre @ Wh.T
        dh0 = dh_prev  # right: dh0 = dh_prev.sum(axis=0)
        return dx, dh0, dWx, dWh, db

    return h[:, 1:].copy(), backward


@mutant(
    "rnn_gradient_does_not_get_past_the_padding",
    cause="branch-missing",
    also=("missing-dh-carry",),
    like="rnn, mask",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="the state is copied over padding, so its gradient is copied too",
)
def rnn_gradient_does_not_get_past_the_padding(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T = len(x)
    keep = mask.astype(x.dtype)[..., None]
    h, y = [h0], np.zeros((T, *h0.shape))
    for t in range(T):
        cand = np.tanh(x[t].dot(weight_ih.T) + bias_ih + h[t].dot(weight_hh.T) + bias_hh)
        h.append(keep[t] * cand + (1 - keep[t]) * h[t])
        y[t] = keep[t] * h[t + 1]

    def backward(dy, dh_n):
        dx, dwi, dwh, db = (np.zeros_like(a) for a in (x, weight_ih, weight_hh, bias_ih))
        dh = dh_n
        for t in range(T)[::-1]:
            dh = dh + keep[t] * dy[t]
            dcand = keep[t] * dh
            dsum = dcand * (1 - h[t + 1] ** 2)
            dx[t] = dsum.dot(weight_ih)
            dwi += dsum.T.dot(x[t])
            dwh += dsum.T.dot(h[t])
            db += dsum.sum(axis=0)
            dh = dsum.dot(weight_hh)  # right: dh = dsum.dot(weight_hh) + (1 - keep[t]) * dh
        return dx, dh, dwi, dwh, db, db.copy(), None

    return (y, h[T].copy()), backward


def padded_ids(rng):
    """Ids (N, T), of which 0 is padding, vectors (V, D), a state (N, H), and the weights."""
    ids = np.array([[3, 1, 5, 1], [2, 4, 0, 0], [5, 3, 2, 0]])
    return ids, *normal_2((6, 3), (3, 4), (3, 4), (4, 4), (4,))(rng)


@mutant(
    "word_rnn_teaches_the_vector_of_the_padding",
    cause="padding-id-gradient",
    also=("mask-not-applied",),
    inputs=padded_ids,
    wrong=("dE",),
    note="its vector is set to zero in the forward pass, and is looked up as any other on the way back",
)
def word_rnn_teaches_the_vector_of_the_padding(ids, E, h0, Wx, Wh, b):
    """The states, batch first; the network runs on over zeros."""
    real = (ids != 0)[:, :, None]
    words = E[ids] * real
    states, rnn_backward = elman_3(words.swapaxes(0, 1), h0, Wx, Wh, b)

    def backward(dout):
        dwords, dh0, dWx, dWh, db = rnn_backward(dout.swapaxes(0, 1))
        dwords = dwords.swapaxes(0, 1)
        dE = np.zeros_like(E)
        np.add.at(dE, ids, dwords)  # right: np.add.at(dE, ids, dwords * real)
        return None, dE, dh0, dWx, dWh, db

    return states.swapaxes(0, 1).copy(), backward


@mutant(
    "bidirectional_rnn_right_to_left_meets_its_own_state",
    cause="off-by-one",
    inputs=normal_2((2, 5, 3), *[(2, 4), (3, 4), (4, 4), (4,)] * 2),
    wrong=("dWhb",),
    note="from the right, the state before word t stands at t + 1",
)
def bidirectional_rnn_right_to_left_meets_its_own_state(x, hf, Wxf, Whf, bf, hb, Wxb, Whb, bb):
    """The sum of the two, batch first."""
    _, T, _ = x.shape
    left, right = np.zeros((T + 1, *hf.shape)), np.zeros((T + 1, *hb.shape))
    left[0], right[T] = hf, hb
    for t in range(T):
        left[t + 1] = np.tanh(x[:, t] @ Wxf + left[t] @ Whf + bf)
    for t in range(T - 1, -1, -1):
        right[t] = np.tanh(x[:, t] @ Wxb + right[t + 1] @ Whb + bb)

    def backward(dy):
        dx, dWxf, dWhf, dbf, dWxb, dWhb, dbb = (np.zeros_like(a) for a in (x, Wxf, Whf, bf, Wxb, Whb, bb))
        dhf, dhb = np.zeros_like(hf), np.zeros_like(hb)
        for t in range(T - 1, -1, -1):
            dz = (dy[:, t] + dhf) * (1 - left[t + 1] ** 2)
            dWxf += x[:, t].T @ dz
            dWhf += left[t].T @ dz
            dbf += dz.sum(axis=0)
            dx[:, t] += dz @ Wxf.T
            dhf = dz @ Whf.T
        for t in range(T):
            dz = (dy[:, t] + dhb) * (1 - right[t] ** 2)
            dWxb += x[:, t].T @ dz
            dWhb += right[t].T @ dz  # right: dWhb += right[t + 1].T @ dz
            dbb += dz.sum(axis=0)
            dx[:, t] += dz @ Wxb.T
            dhb = dz @ Whb.T
        return dx, dhf, dWxf, dWhf, dbf, dhb, dWxb, dWhb, dbb

    return (left[1:] + right[:-1]).swapaxes(0, 1).copy(), backward


def tied_words(rng):
    """Ids (N, T), vectors (V, H) that are read and scored with, a state (N, H), and the weights."""
    ids = np.array([[3, 1, 5, 1], [2, 6, 0, 3]])
    return ids, *normal_2((7, 4), (2, 4), (4, 4), (4, 4), (4,), (7,))(rng)


@mutant(
    "tied_language_model_vectors_learn_as_output_layer_alone",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=tied_words,
    wrong=("dE",),
    note="the gradient of the words that were read is computed, and ends there",
)
def tied_language_model_vectors_learn_as_output_layer_alone(ids, E, h0, Wx, Wh, b, c):
    """Scores of the next word (T, N, V)."""
    states, rnn_backward = elman_3(E[ids.T], h0, Wx, Wh, b)

    def backward(dscores):
        dE = np.einsum("tnv,tnh->vh", dscores, states)
        dc = dscores.sum(axis=(0, 1))
        of_rnn = rnn_backward(dscores @ E)  # its first is that of the words
        # missing: np.add.at(dE, ids.T, of_rnn[0])
        return (None, dE, *of_rnn[1:], dc)

    return states @ E.T + c, backward


def translations(rng):
    """Ids of the translation (N, T), <go> first; vectors of the words, the encoder's state and cell, the weights."""
    ids = np.array([[0, 3, 1, 4, 2], [0, 1, 1, 5, 2], [0, 5, 3, 2, 4]])
    shapes = [(6, 3), (3, 4), (3, 4), (3, 16), (4, 16), (16,), (4, 6), (6,)]
    return (ids, *(0.8 * rng.standard_normal(s) for s in shapes))


@mutant(
    "teacher_forcing_vectors_of_the_words_to_be_said",
    cause="off-by-one",
    inputs=translations,
    wrong=("dE",),
    note="the decoder reads the words from <go> on, and is to say those from the next on",
)
def teacher_forcing_vectors_of_the_words_to_be_said(ids, E, h, c, W, U, b, V, d):
    """The loss of a sentence, summed over its words."""
    N = len(ids)
    ts_in, ts_out = ids.T[:-1], ids.T[1:]
    states, _, lstm_backward = memory_2(E[ts_in], h, c, W, U, b)
    probs = stable_softmax(states @ V + d)
    loss = sum(-np.log(probs[t, np.arange(N), word]).sum() for t, word in enumerate(ts_out)) / N

    def backward(dloss):
        dscores = probs.copy()
        for t, word in enumerate(ts_out):
            dscores[t, np.arange(N), word] -= 1
        dscores *= dloss / N
        dV, dd = np.einsum("tnh,tnv->hv", states, dscores), dscores.sum(axis=(0, 1))
        dread, dh, dc, dW, dU, db = lstm_backward(dscores @ V.T, np.zeros_like(h), np.zeros_like(c))
        dE = np.zeros_like(E)
        np.add.at(dE, ts_out, dread)  # right: np.add.at(dE, ts_in, dread)
        return None, dE, dh, dc, dW, dU, db, dV, dd

    return loss, backward


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
