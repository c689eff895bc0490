# ruff: noqa: RUF059 (students unpack every shape)
"""Recurrent nets at work: texts, series, both directions, padding: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_2, draw_2, draw_5, elman, elman_2, sentences_2_recurrent, stable_softmax


@mutant(
    "rnn_hears_the_loss_at_the_last_word_only",
    cause="one-step-only",
    inputs=sentences_2_recurrent,
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
