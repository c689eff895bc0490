# ruff: noqa: RUF059 (students unpack everything they kept)
"""Recurrent nets from courses, blogs and forums, one step or a loop over the steps: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid, stable_softmax


def k3_arrays(*shapes):
    """A function that draws arrays of these shapes."""
    return lambda rng: tuple(0.8 * rng.standard_normal(shape) for shape in shapes)


def k3_elman(x, h0, W, U, b):
    """One direction of one layer over x (T, N, D), weights (D, H) and (H, H); the states, and the way back."""
    hs = [h0]
    for x_t in x:
        hs.append(np.tanh(x_t @ W + hs[-1] @ U + b))

    def backward(dhs):
        dx, dW, dU, db, dh = (np.zeros_like(a) for a in (x, W, U, b, h0))
        for t in reversed(range(len(x))):
            da = (dhs[t] + dh) * (1 - hs[t + 1] ** 2)
            dx[t] = da @ W.T
            dW += x[t].T @ da
            dU += hs[t].T @ da
            db += da.sum(axis=0)
            dh = da @ U.T
        return dx, dh, dW, dU, db

    return np.array(hs[1:]), backward


# ------------------------------------------------------------------------------------------------------------ one step


def k3_course_cell_forward(xt, a_prev, Wax, Waa, ba):
    """Examples are columns."""
    a_next = np.tanh(np.dot(Wax, xt) + np.dot(Waa, a_prev) + ba)
    return a_next, (a_next, a_prev, xt, Wax, Waa)


def k3_course_cell_backward(da_next, cache):
    a_next, a_prev, xt, Wax, Waa = cache
    dtanh = da_next * (1 - np.tanh(a_next) ** 2)  # right: dtanh = da_next * (1 - a_next**2)
    dxt, dWax = np.dot(Wax.T, dtanh), np.dot(dtanh, xt.T)
    da_prev, dWaa = np.dot(Waa.T, dtanh), np.dot(dtanh, a_prev.T)
    dba = np.sum(dtanh, axis=1, keepdims=True)
    return dxt, da_prev, dWax, dWaa, dba


mutant(
    "k3_course_rnn_cell_takes_the_tanh_of_a_next_again",
    cause="derivative-at-preactivation",
    inputs=k3_arrays((4, 6), (5, 6), (5, 4), (5, 5), (5, 1)),
    wrong=("dxt", "da_prev", "dWax", "dWaa", "dba"),
    note="1 - tanh(.)^2 is looked up, and is given what is a tanh already",
)((k3_course_cell_forward, k3_course_cell_backward))


@mutant(
    "k3_gru_step_state_is_heard_through_the_matrices_alone",
    cause="branch-missing",
    like="gru_step",
    wrong=("dh",),
    note="z h is in the forward pass, a path without any weight",
)
def k3_gru_step_state_is_heard_through_the_matrices_alone(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    (W_r, W_z, W_n), (U_r, U_z, U_n) = np.vsplit(weight_ih, 3), np.vsplit(weight_hh, 3)
    (b_r, b_z, b_n), (c_r, c_z, c_n) = np.split(bias_ih, 3), np.split(bias_hh, 3)
    reset = sigmoid(x @ W_r.T + b_r + h @ U_r.T + c_r)
    update = sigmoid(x @ W_z.T + b_z + h @ U_z.T + c_z)
    inner = h @ U_n.T + c_n
    new = np.tanh(x @ W_n.T + b_n + reset * inner)

    def backward(dout):
        d_update = dout * (h - new) * update * (1 - update)
        d_new = dout * (1 - update) * (1 - new**2)
        d_reset = d_new * inner * reset * (1 - reset)
        d_inner = d_new * reset
        dx = d_reset @ W_r + d_update @ W_z + d_new @ W_n
        dh = d_reset @ U_r + d_update @ U_z + d_inner @ U_n
        # missing: dh += dout * update
        dweight_ih = np.vstack([d.T @ x for d in (d_reset, d_update, d_new)])
        dweight_hh = np.vstack([d.T @ h for d in (d_reset, d_update, d_inner)])
        dbias_ih = np.hstack([d.sum(axis=0) for d in (d_reset, d_update, d_new)])
        dbias_hh = np.hstack([d.sum(axis=0) for d in (d_reset, d_update, d_inner)])
        return dx, dh, dweight_ih, dweight_hh, dbias_ih, dbias_hh

    return update * h + (1 - update) * new, backward


def k3_lstm_ifog_forward(x, prev_h, prev_c, Wx, Wh, b):
    """The gates stand side by side, in the order i f o g."""
    H = prev_h.shape[1]
    a = np.dot(x, Wx) + np.dot(prev_h, Wh) + b
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 2 * H : 3 * H])
    g = np.tanh(a[:, 3 * H :])
    next_c = f * prev_c + i * g
    return (o * np.tanh(next_c), next_c), (x, prev_h, prev_c, Wx, Wh, i, f, o, g, np.tanh(next_c))


def k3_lstm_ifog_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c = cache
    dc = dnext_c + dnext_h * o * (1 - tanh_c**2)
    dai = dc * g * i * (1 - i)
    daf = dc * prev_c * f * (1 - f)
    dag = dc * i * (1 - g**2)
    dao = dnext_h * tanh_c * o * (1 - o)
    da = np.hstack([dai, daf, dag, dao])  # right: da = np.hstack([dai, daf, dao, dag])
    return np.dot(da, Wx.T), np.dot(da, Wh.T), dc * f, np.dot(x.T, da), np.dot(prev_h.T, da), da.sum(axis=0)


mutant(
    "k3_lstm_split_as_ifog_and_stacked_as_ifgo",
    cause="permuted-gates",
    inputs=k3_arrays((5, 4), (5, 3), (5, 3), (4, 12), (3, 12), (12,)),
    wrong=("dx", "dprev_h", "dWx", "dWh", "db"),
    note="stacked before the matrices, so that dx and dprev_h meet the wrong columns",
)((k3_lstm_ifog_forward, k3_lstm_ifog_backward))


@mutant(
    "k3_lstm_step_hands_back_the_cell_before_the_state",
    cause="swapped-gradients",
    like="lstm_step",
    wrong=("dh", "dc"),
    note="the two are of one shape",
)
def k3_lstm_step_hands_back_the_cell_before_the_state(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    both, weight = np.hstack([x, h]), np.hstack([weight_ih, weight_hh])
    D = x.shape[1]
    i, f, g, o = np.hsplit(both @ weight.T + bias_ih + bias_hh, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c_t = f * c + i * g
    h_t = o * np.tanh(c_t)

    def backward(dh_t, dc_t):
        d_cell = dc_t + dh_t * o * (1 - np.tanh(c_t) ** 2)
        d_i, d_f = d_cell * g * i * (1 - i), d_cell * c * f * (1 - f)
        d_g, d_o = d_cell * i * (1 - g**2), dh_t * np.tanh(c_t) * o * (1 - o)
        d_pre = np.hstack([d_i, d_f, d_g, d_o])
        d_both, d_weight, d_bias = d_pre @ weight, d_pre.T @ both, d_pre.sum(axis=0)
        dx, dh_prev, dc_prev = d_both[:, :D].copy(), d_both[:, D:].copy(), d_cell * f
        d_weights = d_weight[:, :D].copy(), d_weight[:, D:].copy()
        # right: return (dx, dh_prev, dc_prev, *d_weights, d_bias, d_bias.copy())
        return (dx, dc_prev, dh_prev, *d_weights, d_bias, d_bias.copy())

    return (h_t, c_t), backward


# ------------------------------------------------------------------------------------------------------ over the steps


@mutant(
    "k3_bptt_slope_of_the_step_that_was_just_left",
    cause="off-by-one",
    also=("derivative-at-preactivation",),
    inputs=k3_arrays((5, 3), (4,), (4, 3), (6, 4), (4, 4), (4,)),
    wrong=("dx", "ds0", "dU", "dW", "db"),
    note="the delta goes to step k - 1, and its tanh is that of step k",
)
def k3_bptt_slope_of_the_step_that_was_just_left(x, s0, U, V, W, b):
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
    "k3_char_lstm_cell_gradient_handed_on_whole",
    cause="forget-gate-not-in-carry",
    inputs=k3_arrays((5, 3), (4,), (4,), (16, 7), (16,)),
    wrong=("dxs", "dh0", "dc0", "dW", "db"),
)
def k3_char_lstm_cell_gradient_handed_on_whole(xs, h0, c0, W, b):
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


@mutant(
    "k3_lstm_forget_gate_gets_the_partner_of_the_input_gate",
    cause="wrong-gate",
    like="lstm",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="pasted from the line above",
)
def k3_lstm_forget_gate_gets_the_partner_of_the_input_gate(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, H = len(x), h0.shape[1]
    bias = bias_ih + bias_hh
    h, s, node = h0, c0, []
    out = np.zeros((T, *h0.shape))
    for t in range(T):
        net = x[t] @ weight_ih.T + h @ weight_hh.T + bias
        i, f = sigmoid(net[:, :H]), sigmoid(net[:, H : 2 * H])
        g, o = np.tanh(net[:, 2 * H : 3 * H]), sigmoid(net[:, 3 * H :])
        s_prev, h_prev = s, h
        s = g * i + s_prev * f
        out[t] = h = o * np.tanh(s)
        node.append((h_prev, s_prev, i, f, g, o, np.tanh(s)))

    def backward(dout, diff_h, diff_s):
        dx, dW, dU, db = (np.zeros_like(a) for a in (x, weight_ih, weight_hh, bias))
        for t in range(T - 1, -1, -1):
            h_prev, s_prev, i, f, g, o, tanh_s = node[t]
            diff_h = diff_h + dout[t]
            ds = diff_s + diff_h * o * (1 - tanh_s**2)
            do = tanh_s * diff_h
            di = g * ds
            df = g * ds  # right: df = s_prev * ds
            dg = i * ds
            dnet = np.hstack([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)])
            dx[t] = dnet @ weight_ih
            dW += dnet.T @ x[t]
            dU += dnet.T @ h_prev
            db += dnet.sum(axis=0)
            diff_h, diff_s = dnet @ weight_hh, ds * f
        return dx, diff_h, diff_s, dW, dU, db, db.copy(), None

    return (out, h.copy(), s.copy()), backward


@mutant(
    "k3_gru_takes_true_for_padding_on_the_way_back",
    cause="mask-inverted",
    like="gru, mask",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="as another library has it",
)
def k3_gru_takes_true_for_padding_on_the_way_back(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, H = len(x), h0.shape[1]
    h, seen, y = h0, [], []
    for t in range(T):
        from_x, from_h = x[t] @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
        r = sigmoid(from_x[:, :H] + from_h[:, :H])
        z = sigmoid(from_x[:, H : 2 * H] + from_h[:, H : 2 * H])
        n = np.tanh(from_x[:, 2 * H :] + r * from_h[:, 2 * H :])
        seen.append((h, r, z, n, from_h[:, 2 * H :]))
        word = mask[t][:, None]
        h = np.where(word, z * h + (1 - z) * n, h)
        y.append(np.where(word, h, 0))

    def backward(dy, dh):
        dx, dwi, dwh = np.zeros_like(x), np.zeros_like(weight_ih), np.zeros_like(weight_hh)
        dbi, dbh = np.zeros_like(bias_ih), np.zeros_like(bias_hh)
        for t in reversed(range(T)):
            h_old, r, z, n, inner = seen[t]
            pad = mask[t][:, None]  # right: pad = ~mask[t][:, None]
            dh = dh + np.where(pad, 0, dy[t])
            dnew = np.where(pad, 0, dh)
            dn = dnew * (1 - z) * (1 - n**2)
            dz = dnew * (h_old - n) * z * (1 - z)
            dr = dn * inner * r * (1 - r)
            dgx, dgh = np.hstack([dr, dz, dn]), np.hstack([dr, dz, dn * r])
            dx[t] = dgx @ weight_ih
            dwi += dgx.T @ x[t]
            dwh += dgh.T @ h_old
            dbi += dgx.sum(axis=0)
            dbh += dgh.sum(axis=0)
            dh = np.where(pad, dh, dnew * z + dgh @ weight_hh)
        return dx, dh, dwi, dwh, dbi, dbh, None

    return (np.array(y), h.copy()), backward


@mutant(
    "k3_scores_of_hs_t_learn_from_the_state_before",
    cause="off-by-one",
    inputs=k3_arrays((2, 5, 3), (2, 4), (3, 4), (4, 4), (4,), (4, 6), (6,)),
    wrong=("dWhy",),
    note="hs begins with the state before the first word, so that the state of word t is hs[t + 1]",
)
def k3_scores_of_hs_t_learn_from_the_state_before(x, h0, Wxh, Whh, bh, Why, by):
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


def k3_letters(rng):
    """Letters and those that follow them, a state (H,), and the weights of 5 letters."""
    shapes = [(4,), (4, 5), (4, 4), (5, 4), (4,), (5,)]
    return np.array([1, 3, 0, 3, 2]), np.array([3, 0, 3, 2, 4]), *(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "k3_min_char_rnn_takes_the_one_off_the_probabilities_it_keeps",
    cause="second-call-differs",
    inputs=k3_letters,
    note="p - 1 at the right letter, p - 2 when asked again",
)
def k3_min_char_rnn_takes_the_one_off_the_probabilities_it_keeps(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
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


# --------------------------------------------------------------------------------- directions, layers, and what is read


@mutant(
    "k3_bidirectional_average_gives_each_direction_all",
    cause="constant-factor",
    also=("wrong-count",),
    inputs=k3_arrays((5, 3, 4), *[(3, 6), (4, 6), (6, 6), (6,)] * 2),
    wrong=("dx", "dhl", "dWl", "dUl", "dbl", "dhr", "dWr", "dUr", "dbr"),
    note="were the two added, or side by side, it would be right",
)
def k3_bidirectional_average_gives_each_direction_all(x, hl, Wl, Ul, bl, hr, Wr, Ur, br):
    """The mean of the two directions' states, at every word."""
    left, left_backward = k3_elman(x, hl, Wl, Ul, bl)
    right, right_backward = k3_elman(x[::-1], hr, Wr, Ur, br)
    merged = (left + right[::-1]) / 2

    def backward(dmerged):
        d_each = dmerged  # right: d_each = dmerged / 2
        dx_left, *of_left = left_backward(d_each)
        dx_right, *of_right = right_backward(d_each[::-1])
        return (dx_left + dx_right[::-1], *of_left, *of_right)

    return merged, backward


@mutant(
    "k3_two_layers_recurrent_weights_by_state_times_delta",
    cause="transposed",
    inputs=k3_arrays((4, 3, 2), (3, 5), (3, 4), (5, 2), (5, 5), (5,), (4, 5), (4, 4), (4,)),
    wrong=("dU0", "dU1"),
    note="for W the sides would not fit, for U they do",
)
def k3_two_layers_recurrent_weights_by_state_times_delta(x, start0, start1, W0, U0, b0, W1, U1, b1):
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


def k3_padded_reviews(rng):
    """Words (N, T, D), which of them are real (N, T), a state, the weights of the states and of the two classes."""
    real = np.arange(5) < np.array([[4], [2], [3]])
    shapes = [(3, 4), (2, 4), (4, 4), (4,), (4, 2), (2,)]
    return rng.standard_normal((3, 5, 2)), real, *(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "k3_review_mean_of_the_real_words_shared_out_among_all",
    cause="wrong-count",
    inputs=k3_padded_reviews,
    wrong=("dx", "dh0", "dW", "dU", "db"),
    note="the mean over time divides by each review's length, the way back by the length of the array",
)
def k3_review_mean_of_the_real_words_shared_out_among_all(x, real, h0, W, U, b, V, c):
    """Padding comes last, and its states are left out of the mean."""
    states, states_backward = k3_elman(x.swapaxes(0, 1), h0, W, U, b)
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


# ----------------------------------------------------------------------------------------------- encoders and decoders


@mutant(
    "k3_peeky_decoder_forgets_who_peeked_at_the_scores",
    cause="branch-missing",
    inputs=k3_arrays((2, 4, 3), (2, 5), (8, 5), (5, 5), (5,), (10, 6), (6,)),
    wrong=("dh",),
    note="the encoder's state is the first state, stands beside every word, and beside every state",
)
def k3_peeky_decoder_forgets_who_peeked_at_the_scores(xs, h, Wx, Wh, b, V, c):
    """Scores of every word, batch first, from the encoder's last state h (N, H)."""
    N, T, _ = xs.shape
    H = h.shape[1]
    hs = np.repeat(h, T, axis=0).reshape(N, T, H)
    lower = np.concatenate((hs, xs), axis=2)
    states, rnn_backward = k3_elman(lower.swapaxes(0, 1), h, Wx, Wh, b)
    upper = np.concatenate((hs, states.swapaxes(0, 1)), axis=2)

    def backward(dscore):
        dV = np.tensordot(upper, dscore, axes=((0, 1), (0, 1)))
        dc = dscore.sum(axis=(0, 1))
        dupper = dscore @ V.T
        dhs1, dstates = np.split(dupper, [H], axis=2)
        dlower, dh, dWx, dWh, db = rnn_backward(dstates.swapaxes(0, 1))
        dhs0, dxs = np.split(dlower.swapaxes(0, 1), [H], axis=2)
        # right: dh = dh + dhs0.sum(axis=1) + dhs1.sum(axis=1)
        dh = dh + dhs0.sum(axis=1)
        return dxs.copy(), dh, dWx, dWh, db, dV, dc

    return upper @ V + c, backward


@mutant(
    "k3_translator_bridge_goes_back_as_if_linear",
    cause="activation-derivative-missing",
    inputs=k3_arrays((3, 5), (5, 4), (4,), (4, 3, 2), (2, 4), (4, 4), (4,)),
    wrong=("dthought", "dWb", "dbb"),
    note="the decoder's first state is a tanh too",
)
def k3_translator_bridge_goes_back_as_if_linear(thought, Wb, bb, words, W, U, b):
    """States of the decoder (T, N, H); it starts from tanh of the encoder's last state, brought to its size."""
    s0 = np.tanh(thought @ Wb + bb)
    states, decoder_backward = k3_elman(words, s0, W, U, b)

    def backward(dstates):
        dwords, ds0, dW, dU, db = decoder_backward(dstates)
        dbridge = ds0  # right: dbridge = ds0 * (1 - s0**2)
        dWb = thought.T @ dbridge
        dbb = dbridge.sum(axis=0)
        return dbridge @ Wb.T, dWb, dbb, dwords, dW, dU, db

    return states, backward
