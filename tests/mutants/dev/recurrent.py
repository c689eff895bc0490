# ruff: noqa: RUF059 (students unpack every shape)
"""Plain recurrent nets: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_2, draw_5, rnn_inputs, sentences_2_recurrent


@mutant(
    "rnn_slope_of_the_tanh_of_what_is_tanh_already",
    cause="derivative-at-preactivation",
    inputs=sentences_2_recurrent,
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


@mutant("rnn_step_square_matrix_not_turned", cause="transposed", like="rnn_step", wrong=("dweight_hh",))
def rnn_step_square_matrix_not_turned(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    h_new = np.tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)

    def backward(dh_new):
        dz = dh_new * (1 - h_new**2)
        dweight_hh = h.T @ dz  # right: dweight_hh = dz.T @ h
        return dz @ weight_ih, dz @ weight_hh, dz.T @ x, dweight_hh, dz.sum(0), dz.sum(0)

    return h_new, backward


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
