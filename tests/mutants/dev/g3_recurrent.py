# ruff: noqa: RUF059 (students unpack every shape)
"""More of recurrent nets, as they stand in homework and on forums: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid, stable_softmax


def g3_draw(*shapes):
    """Inputs of these shapes, none of them zero."""
    return lambda rng: tuple(0.8 * rng.standard_normal(s) for s in shapes)


# ------------------------------------------------------------------------------------------------------ Elman networks


def g3_sentences(rng):
    """Words (N, T, D), a state (N, H), the weights (D, H), (H, H) and a bias (H,)."""
    N, T, D, H = 3, 5, 4, 6
    return g3_draw((N, T, D), (N, H), (D, H), (H, H), (H,))(rng)


@mutant(
    "g3_rnn_slope_of_the_tanh_of_what_is_tanh_already",
    cause="derivative-at-preactivation",
    inputs=g3_sentences,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
    note="`dtanh` wants the input of the tanh and is given its output",
)
def g3_rnn_slope_of_the_tanh_of_what_is_tanh_already(x, h0, Wx, Wh, b):
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
    "g3_rnn_square_matrix_of_the_state_turned_once_too_often",
    cause="transposed",
    like="rnn",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="(H, H) fits either way round",
)
def g3_rnn_square_matrix_of_the_state_turned_once_too_often(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
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
    "g3_rnn_hears_the_loss_at_the_last_word_only",
    cause="one-step-only",
    inputs=g3_sentences,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
    note="from a classifier of sentences, where the last state is all that is looked at",
)
def g3_rnn_hears_the_loss_at_the_last_word_only(x, h0, Wx, Wh, b):
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


def g3_text(rng):
    """Ids of the letters of a text, a state (H, 1), weights and biases for columns."""
    H, V = 6, 9
    shapes = [(H, 1), (H, V), (H, H), (V, H), (H, 1), (V, 1)]
    return (np.array([0, 1, 2, 2, 3, 8, 4, 3, 5, 7, 2, 6, 1, 8, 0, 2]), *(0.5 * rng.standard_normal(s) for s in shapes))


@mutant(
    "g3_char_rnn_clips_what_it_returns",
    cause="one-entry",
    inputs=g3_text,
    wrong=("dWhh", "dWhy", "dbh", "dby"),
    note="against exploding gradients, in the function where they are computed",
)
def g3_char_rnn_clips_what_it_returns(inputs, hprev, Wxh, Whh, Why, bh, by):
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


def g3_ragged_text(rng):
    """Words (N, T, D), the ids that follow (N, T), which are words (N, T); a state, and the weights."""
    N, T, D, H, V = 3, 5, 4, 3, 6
    mask = np.arange(T) < np.array([[5], [4], [2]])
    weights = g3_draw((N, H), (D, H), (H, H), (H,), (H, V), (V,))(rng)
    return (0.8 * rng.standard_normal((N, T, D)), rng.integers(0, V, (N, T)), mask, *weights)


@mutant(
    "g3_language_model_padding_counts_as_words",
    cause="wrong-count",
    inputs=g3_ragged_text,
    wrong=("dx", "dh0", "dWx", "dWh", "db", "dWy", "dby"),
    note="15 places, 11 of them words",
)
def g3_language_model_padding_counts_as_words(x, words, mask, h0, Wx, Wh, b, Wy, by):
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


def g3_two_ways(rng):
    """Words (T, N, D), then a state (N, H), the weights and a bias for either direction."""
    T, N, D, H = 4, 3, 5, 2
    return g3_draw((T, N, D), *[(N, H), (D, H), (H, H), (H,)] * 2)(rng)


@mutant(
    "g3_bidirectional_rnn_loop_copied_with_the_step_before",
    cause="off-by-one",
    inputs=g3_two_ways,
    wrong=("dUb",),
    note="who reads from the right comes from t + 1",
)
def g3_bidirectional_rnn_loop_copied_with_the_step_before(x, hf, Wf, Uf, bf, hb, Wb, Ub, bb):
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


# --------------------------------------------------------------------------------------------- long short-term memory


def g3_columns(rng):
    """Words (n_x, m, T), a state (n_a, m), then a matrix and a bias of each gate, for [state; word]."""
    n_x, m, T, n_a = 3, 4, 5, 2
    return g3_draw((n_x, m, T), (n_a, m), *[(n_a, n_a + n_x), (n_a, 1)] * 4)(rng)


@mutant(
    "g3_column_lstm_state_before_is_not_added",
    cause="missing-dh-carry",
    inputs=g3_columns,
    wrong=("dx", "da0", "dWf", "dbf", "dWi", "dbi", "dWc", "dbc", "dWo", "dbo"),
    note="da_prevt is computed at every step and used for da0 only",
)
def g3_column_lstm_state_before_is_not_added(x, a0, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """From a cell of zeros."""
    n_x, m, T_x = x.shape
    n_a = len(a0)
    a, caches = np.zeros((n_a, m, T_x)), []
    a_prev, c_prev = a0, np.zeros_like(a0)
    for t in range(T_x):
        concat = np.concatenate([a_prev, x[:, :, t]])
        ft, it, ot = sigmoid(Wf @ concat + bf), sigmoid(Wi @ concat + bi), sigmoid(Wo @ concat + bo)
        cct = np.tanh(Wc @ concat + bc)
        c_next = ft * c_prev + it * cct
        caches.append((concat, c_prev, c_next, ft, it, cct, ot))
        a_prev, c_prev = ot * np.tanh(c_next), c_next
        a[:, :, t] = a_prev

    def backward(da):
        dx = np.zeros_like(x)
        da_prevt, dc_prevt = np.zeros_like(a0), np.zeros_like(a0)
        dW, db = [np.zeros_like(Wf) for _ in "fico"], [np.zeros_like(bf) for _ in "fico"]
        for t in reversed(range(T_x)):
            concat, c_prev, c_next, ft, it, cct, ot = caches[t]
            da_next = da[:, :, t]  # right: da_next = da[:, :, t] + da_prevt
            dc_next = dc_prevt + da_next * ot * (1 - np.tanh(c_next) ** 2)
            dft, dit = dc_next * c_prev * ft * (1 - ft), dc_next * cct * it * (1 - it)
            dcct, dot = dc_next * it * (1 - cct**2), da_next * np.tanh(c_next) * ot * (1 - ot)
            dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
            for k, d in enumerate((dft, dit, dcct, dot)):
                dW[k] += d @ concat.T
                db[k] += d.sum(axis=1, keepdims=True)
            da_prevt, dx[:, :, t], dc_prevt = dconcat[:n_a], dconcat[n_a:], dc_next * ft
        return dx, da_prevt, dW[0], db[0], dW[1], db[1], dW[2], db[2], dW[3], db[3]

    return a, backward


def g3_column_step(rng):
    """One step: a word (n_x, m), state and cell (n_a, m), the matrices of f i c o, their biases."""
    n_x, m, n_a = 3, 5, 4
    return g3_draw((n_x, m), (n_a, m), (n_a, m), *[(n_a, n_a + n_x)] * 4, *[(n_a, 1)] * 4)(rng)


@mutant(
    "g3_column_lstm_cell_bracket_closed_too_late",
    cause="activation-derivative-missing",
    inputs=g3_column_step,
    wrong=("dxt", "da_prev", "dWc", "dbc"),
    note="the slope of the candidate's tanh reaches one of two terms",
)
def g3_column_lstm_cell_bracket_closed_too_late(xt, a_prev, c_prev, Wf, Wi, Wc, Wo, bf, bi, bc, bo):
    n_a = len(a_prev)
    concat = np.vstack((a_prev, xt))
    ft, it, ot = sigmoid(Wf @ concat + bf), sigmoid(Wi @ concat + bi), sigmoid(Wo @ concat + bo)
    cct = np.tanh(Wc @ concat + bc)
    c_next = ft * c_prev + it * cct
    a_next = ot * np.tanh(c_next)

    def backward(da_next, dc_next):
        slope = 1 - np.tanh(c_next) ** 2
        dot = da_next * np.tanh(c_next) * ot * (1 - ot)
        # right: dcct = (dc_next * it + ot * slope * it * da_next) * (1 - cct**2)
        dcct = dc_next * it + ot * slope * it * da_next * (1 - cct**2)
        dit = (dc_next * cct + ot * slope * cct * da_next) * it * (1 - it)
        dft = (dc_next * c_prev + ot * slope * c_prev * da_next) * ft * (1 - ft)
        gates = (dft, dit, dcct, dot)
        dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
        dc_prev = dc_next * ft + ot * slope * ft * da_next
        dW = [d @ concat.T for d in gates]
        db = [np.sum(d, axis=1, keepdims=True) for d in gates]
        return dconcat[n_a:], dconcat[:n_a], dc_prev, *dW, *db

    return (a_next, c_next), backward


@mutant(
    "g3_lstm_step_output_gate_meets_the_cell_itself",
    cause="missing-factor",
    like="lstm_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="o multiplies tanh(c), not c",
)
def g3_lstm_step_output_gate_meets_the_cell_itself(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    ai, af, ag, ao = np.hsplit(x @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh, 4)
    i, f, g, o = sigmoid(ai), sigmoid(af), np.tanh(ag), sigmoid(ao)
    next_c = f * c + i * g
    next_h = o * np.tanh(next_c)

    def backward(dnext_h, dnext_c):
        do = dnext_h * next_c  # right: do = dnext_h * np.tanh(next_c)
        dtanh = dnext_h * o
        dc_total = dnext_c + dtanh * (1 - np.tanh(next_c) ** 2)
        di, df, dg = dc_total * g, dc_total * c, dc_total * i
        dai, daf, dag, dao = i * (1 - i) * di, f * (1 - f) * df, (1 - g**2) * dg, o * (1 - o) * do
        da = np.hstack((dai, daf, dag, dao))
        db = np.sum(da, axis=0)
        return da @ weight_ih, da @ weight_hh, f * dc_total, da.T @ x, da.T @ h, db, np.copy(db)

    return (next_h, next_c), backward


@mutant(
    "g3_lstm_loop_back_ends_before_the_first_word",
    cause="off-by-one",
    also=("sum-missing",),
    like="lstm",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="`range` leaves its end out; what the first step adds to the sums is missing as well",
)
def g3_lstm_loop_back_ends_before_the_first_word(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, N, D = x.shape
    H = h0.shape[1]
    h, c, ifo, g = np.zeros((T + 1, N, H)), np.zeros((T + 1, N, H)), {}, {}
    h[0], c[0] = h0, c0
    for t in range(T):
        net = x[t] @ weight_ih.T + h[t] @ weight_hh.T + (bias_ih + bias_hh)
        ifo[t] = [sigmoid(net[:, k * H : (k + 1) * H]) for k in (0, 1, 3)]
        g[t] = np.tanh(net[:, 2 * H : 3 * H])
        i, f, o = ifo[t]
        c[t + 1] = f * c[t] + i * g[t]
        h[t + 1] = o * np.tanh(c[t + 1])

    def backward(dy, dh, dc):
        dx, dW, dU, db = (np.zeros_like(p) for p in (x, weight_ih, weight_hh, bias_ih))
        dh, dc = dh.copy(), dc.copy()
        for t in range(T - 1, 0, -1):  # right: for t in range(T - 1, -1, -1):
            i, f, o = ifo[t]
            dh += dy[t]
            tanh_c = np.tanh(c[t + 1])
            dc += dh * o * (1 - tanh_c**2)
            d_net = np.zeros((N, 4 * H))
            d_net[:, :H] = dc * g[t] * i * (1 - i)
            d_net[:, H : 2 * H] = dc * c[t] * f * (1 - f)
            d_net[:, 2 * H : 3 * H] = dc * i * (1 - g[t] ** 2)
            d_net[:, 3 * H :] = dh * tanh_c * o * (1 - o)
            dx[t] = d_net @ weight_ih
            dW += d_net.T @ x[t]
            dU += d_net.T @ h[t]
            db += d_net.sum(axis=0)
            dh, dc = d_net @ weight_hh, dc * f
        return dx, dh, dc, dW, dU, db, db.copy(), None

    return (h[1:].copy(), h[T].copy(), c[T].copy()), backward


# ------------------------------------------------------------------------------------------------- gated recurrent unit


def g3_gru_row_inputs(rng):
    """A word (N, D), a state (N, H), the weights of z r h side by side."""
    N, D, H = 4, 5, 3
    return g3_draw((N, D), (N, H), (D, 3 * H), (H, 3 * H), (3 * H,))(rng)


def g3_gru_row_forward(x, h_prev, Wx, Wh, b):
    """Cho's: the reset gate is applied before the matrix."""
    H = h_prev.shape[1]
    z = sigmoid(x @ Wx[:, :H] + h_prev @ Wh[:, :H] + b[:H])
    r = sigmoid(x @ Wx[:, H : 2 * H] + h_prev @ Wh[:, H : 2 * H] + b[H : 2 * H])
    h_hat = np.tanh(x @ Wx[:, 2 * H :] + (r * h_prev) @ Wh[:, 2 * H :] + b[2 * H :])
    return (1 - z) * h_prev + z * h_hat, (x, h_prev, Wx, Wh, z, r, h_hat)


def g3_gru_row_backward(dh_next, cache):
    x, h_prev, Wx, Wh, z, r, h_hat = cache
    H = h_prev.shape[1]
    dh_prev = dh_next * (1 - z)
    dt_hat = dh_next * z * (1 - h_hat**2)
    dhr = dt_hat @ Wh[:, 2 * H :].T
    # missing: dh_prev += r * dhr
    dt_r = h_prev * dhr * r * (1 - r)
    dt_z = dh_next * (h_hat - h_prev) * z * (1 - z)
    dt_gates = np.hstack((dt_z, dt_r))
    dh_prev += dt_gates @ Wh[:, : 2 * H].T
    dt = np.hstack((dt_gates, dt_hat))
    dWh = np.hstack((h_prev.T @ dt_gates, (r * h_prev).T @ dt_hat))
    return dt @ Wx.T, dh_prev, x.T @ dt, dWh, dt.sum(axis=0)


mutant(
    "g3_gru_pair_state_under_the_reset_gate_forgotten",
    cause="branch-missing",
    inputs=g3_gru_row_inputs,
    wrong=("dh_prev",),
    note="the product r h hands a gradient to r, and none to h",
)((g3_gru_row_forward, g3_gru_row_backward))


def g3_gru_sentence(rng):
    """Words (T, D), a state (H,), then W, U and b of update gate, reset gate and candidate, for vectors."""
    T, D, H = 4, 5, 3
    return g3_draw((T, D), (H,), *[(H, D), (H, H), (H,)] * 3)(rng)


@mutant(
    "g3_gru_sentence_update_gate_learns_the_other_way_round",
    cause="wrong-sign",
    inputs=g3_gru_sentence,
    wrong=("dx", "dh0", "dWz", "dUz", "dbz", "dWr", "dUr", "dbr", "dWn", "dUn", "dbn"),
    note="here z keeps the old state",
)
def g3_gru_sentence_update_gate_learns_the_other_way_round(x, h0, Wz, Uz, bz, Wr, Ur, br, Wn, Un, bn):
    hs, kept = [h0], []
    for word in x:
        h = hs[-1]
        z = sigmoid(Wz @ word + Uz @ h + bz)
        r = sigmoid(Wr @ word + Ur @ h + br)
        n = np.tanh(Wn @ word + Un @ (r * h) + bn)
        kept.append((z, r, n))
        hs.append(z * h + (1 - z) * n)

    def backward(dhs):
        dx = np.zeros_like(x)
        grads = [np.zeros_like(p) for p in (Wz, Uz, bz, Wr, Ur, br, Wn, Un, bn)]
        dh = np.zeros_like(h0)
        for t in range(len(x) - 1, -1, -1):
            (z, r, n), h = kept[t], hs[t]
            dh = dh + dhs[t]
            dn_raw = dh * (1 - z) * (1 - n**2)
            drh = Un.T @ dn_raw
            dr_raw = drh * h * r * (1 - r)
            dz_raw = dh * (n - h) * z * (1 - z)  # right: dz_raw = dh * (h - n) * z * (1 - z)
            dx[t] = Wz.T @ dz_raw + Wr.T @ dr_raw + Wn.T @ dn_raw
            for k, (raw, state) in enumerate(((dz_raw, h), (dr_raw, h), (dn_raw, r * h))):
                grads[3 * k] += np.outer(raw, x[t])
                grads[3 * k + 1] += np.outer(raw, state)
                grads[3 * k + 2] += raw
            dh = dh * z + drh * r + Uz.T @ dz_raw + Ur.T @ dr_raw
        return dx, dh, *grads

    return np.array(hs[1:]), backward


@mutant(
    "g3_gru_gradient_does_not_cross_the_padding",
    cause="branch-missing",
    also=("missing-dh-carry",),
    like="gru, mask",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="m new + (1 - m) old: padding hands on the state, and stops its gradient",
)
def g3_gru_gradient_does_not_cross_the_padding(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, N, D = x.shape
    H = h0.shape[1]
    m = mask.astype(x.dtype)[:, :, None]
    h, rzn, inner = [h0], [], []
    for t in range(T):
        gx, gh = x[t] @ weight_ih.T + bias_ih, h[t] @ weight_hh.T + bias_hh
        r, z = sigmoid(gx[:, :H] + gh[:, :H]), sigmoid(gx[:, H : 2 * H] + gh[:, H : 2 * H])
        n = np.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
        rzn.append((r, z, n))
        inner.append(gh[:, 2 * H :])
        h.append(m[t] * ((1 - z) * n + z * h[t]) + (1 - m[t]) * h[t])

    def backward(dy, dh_end):
        dx, dWi, dWh, dbi, dbh = (np.zeros_like(p) for p in (x, weight_ih, weight_hh, bias_ih, bias_hh))
        dh = dh_end
        for t in range(T)[::-1]:
            r, z, n = rzn[t]
            dh = dh + dy[t] * m[t]
            dnew = dh * m[t]
            dpre_n = dnew * (1 - z) * (1 - n**2)
            dpre_z = dnew * (h[t] - n) * z * (1 - z)
            dpre_r = dpre_n * inner[t] * r * (1 - r)
            dgx = np.concatenate([dpre_r, dpre_z, dpre_n], axis=1)
            dgh = np.concatenate([dpre_r, dpre_z, dpre_n * r], axis=1)
            dx[t] = dgx @ weight_ih
            dWi += dgx.T @ x[t]
            dWh += dgh.T @ h[t]
            dbi += dgx.sum(axis=0)
            dbh += dgh.sum(axis=0)
            dh = dnew * z + dgh @ weight_hh  # right: dh = dnew * z + dgh @ weight_hh + (1 - m[t]) * dh
        return dx, dh, dWi, dWh, dbi, dbh, None

    return (np.stack(h[1:]) * m, h[-1].copy()), backward


# ------------------------------------------------------------------------------------------------- encoder and decoder


def g3_peeky_inputs(rng):
    """Words (N, T, D), what the encoder read (N, H), the weights of the step and of the scores."""
    N, T, D, H, V = 2, 4, 5, 3, 6
    return g3_draw((N, T, D), (N, H), (H + D, H), (H, H), (H,), (2 * H, V), (V,))(rng)


@mutant(
    "g3_peeky_decoder_code_is_not_heard_by_the_output_layer",
    cause="branch-missing",
    inputs=g3_peeky_inputs,
    wrong=("dcode",),
    note="the code is first state, part of every input, and part of what every score is made of",
)
def g3_peeky_decoder_code_is_not_heard_by_the_output_layer(xs, code, Wx, Wh, b, Wy, by):
    N, T, D = xs.shape
    H = code.shape[1]
    repeated = np.repeat(code[:, None], T, axis=1)
    inputs = np.concatenate((repeated, xs), axis=2)
    hs, h = np.zeros((N, T, H)), code
    for t in range(T):
        h = np.tanh(inputs[:, t] @ Wx + h @ Wh + b)
        hs[:, t] = h
    out = np.concatenate((repeated, hs), axis=2)

    def backward(dscore):
        flat = dscore.reshape(N * T, -1)
        dWy, dby = out.reshape(N * T, -1).T @ flat, flat.sum(axis=0)
        dout = dscore @ Wy.T
        dhs = dout[:, :, H:]
        dinputs, dWx, dWh, db = (np.zeros_like(p) for p in (inputs, Wx, Wh, b))
        dh = np.zeros((N, H))
        for t in reversed(range(T)):
            dt = (dhs[:, t] + dh) * (1 - hs[:, t] ** 2)
            dWx += inputs[:, t].T @ dt
            dWh += (hs[:, t - 1] if t > 0 else code).T @ dt
            db += dt.sum(axis=0)
            dinputs[:, t], dh = dt @ Wx.T, dt @ Wh.T
        # right: dcode = dh + np.sum(dinputs[:, :, :H], axis=1) + np.sum(dout[:, :, :H], axis=1)
        dcode = dh + np.sum(dinputs[:, :, :H], axis=1)
        return dinputs[:, :, H:].copy(), dcode, dWx, dWh, db, dWy, dby

    return out @ Wy + by, backward


class G3Reader:
    """A network over word ids (N, T), which looks its words up itself."""

    def __init__(self, E, W, U, b):
        self.E, self.W, self.U, self.b = E, W, U, b

    def forward(self, ids, h):
        self.ids, self.hs = ids, [h]
        for column in ids.T:
            self.hs.append(np.tanh(self.E[column] @ self.W + self.hs[-1] @ self.U + self.b))
        return np.stack(self.hs[1:], axis=1)

    def backward(self, dhs):
        """Gradients of the table, of the first state, and of the weights."""
        dE, dW, dU, db = (np.zeros_like(p) for p in (self.E, self.W, self.U, self.b))
        dh = np.zeros_like(self.hs[0])
        for t in reversed(range(dhs.shape[1])):
            da = (dhs[:, t] + dh) * (1 - self.hs[t + 1] ** 2)
            dW += self.E[self.ids[:, t]].T @ da
            dU += self.hs[t].T @ da
            db += da.sum(axis=0)
            np.add.at(dE, self.ids[:, t], da @ self.W.T)
            dh = da @ self.U.T
        return dE, dh, dW, dU, db


def g3_two_sentences(rng):
    """Ids read (N, S), ids written (N, T), one table (V, D), a state, the weights of encoder and decoder."""
    read, written = np.array([[2, 5, 1, 4], [3, 3, 0, 2]]), np.array([[1, 2, 6], [0, 4, 4]])
    D, H = 3, 4
    return (read, written, *g3_draw((7, D), (2, H), *[(D, H), (H, H), (H,)] * 2)(rng))


@mutant(
    "g3_seq2seq_one_table_for_both_learns_from_the_encoder",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=g3_two_sentences,
    wrong=("dE",),
    note="the encoder's backward comes last, and its dE takes the place of the decoder's",
)
def g3_seq2seq_one_table_for_both_learns_from_the_encoder(read, written, E, h0, We, Ue, be, Wd, Ud, bd):
    """The states of the decoder, which begins where the encoder ends."""
    encoder, decoder = G3Reader(E, We, Ue, be), G3Reader(E, Wd, Ud, bd)
    hs = encoder.forward(read, h0)
    ys = decoder.forward(written, hs[:, -1])

    def backward(dys):
        dE, dlast, dWd, dUd, dbd = decoder.backward(dys)
        dhs = np.zeros_like(hs)
        dhs[:, -1] = dlast
        dE_encoder, dh0, dWe, dUe, dbe = encoder.backward(dhs)
        dE = dE_encoder  # right: dE = dE + dE_encoder
        return None, None, dE, dh0, dWe, dUe, dbe, dWd, dUd, dbd

    return ys, backward
