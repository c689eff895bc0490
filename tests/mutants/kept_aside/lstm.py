# ruff: noqa: RUF059 (students unpack every shape)
"""Long short-term memory, and other cells: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_3, draw_3, gate_by_gate_inputs, sigmoid


def course_lstm_forward(xt, a_prev, c_prev, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """Examples are columns, the weights stand before [a_prev; xt]."""
    concat = np.concatenate((a_prev, xt), axis=0)
    ft, it, ot = (sigmoid(W @ concat + b) for W, b in ((Wf, bf), (Wi, bi), (Wo, bo)))
    cct = np.tanh(Wc @ concat + bc)
    c_next = ft * c_prev + it * cct
    a_next = ot * np.tanh(c_next)
    return (a_next, c_next), (concat, c_prev, c_next, ft, it, cct, ot, (Wf, Wi, Wc, Wo))


def course_lstm_backward(da_next, dc_next, cache):
    concat, c_prev, c_next, ft, it, cct, ot, weights = cache
    n_a = len(c_prev)
    dot = da_next * np.tanh(c_next) * ot * (1 - ot)
    # right: dc = dc_next + da_next * ot * (1 - np.tanh(c_next) ** 2)
    dc = dc_next + da_next * ot * (1 - c_next**2)
    dcct = dc * it * (1 - cct**2)
    dit = dc * cct * it * (1 - it)
    dft = dc * c_prev * ft * (1 - ft)
    gates = (dft, dit, dcct, dot)
    dconcat = sum(W.T @ d for W, d in zip(weights, gates, strict=True))
    dweights = [part for d in gates for part in (d @ concat.T, d.sum(axis=1, keepdims=True))]
    return (dconcat[n_a:], dconcat[:n_a], dc * ft, *dweights)


mutant(
    "course_lstm_slope_of_tanh_from_the_bare_cell",
    cause="derivative-at-preactivation",
    inputs=draw_3((4, 5), (3, 5), (3, 5), *[(3, 7), (3, 1)] * 4),
    wrong=("dxt", "da_prev", "dc_prev", "dWf", "dbf", "dWi", "dbi", "dWc", "dbc"),
    note="1 - y^2 is known by heart, and c_next is not the y of its tanh",
)((course_lstm_forward, course_lstm_backward))


@mutant(
    "lstm_step_output_gate_meets_the_cell_before_its_tanh",
    cause="missing-factor",
    like="lstm_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="in h = o tanh(c) the partner of o is tanh(c), not c",
)
def lstm_step_output_gate_meets_the_cell_before_its_tanh(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    gates = np.matmul(x, weight_ih.T) + np.matmul(h, weight_hh.T) + bias_ih + bias_hh
    gi, gf, gg, go = np.array_split(gates, 4, axis=1)
    it, ft, gt, ot = sigmoid(gi), sigmoid(gf), np.tanh(gg), sigmoid(go)
    ct = ft * c + it * gt
    ht = ot * np.tanh(ct)

    def backward(dht, dct):
        dot = dht * ct  # right: dot = dht * np.tanh(ct)
        dct = dct + dht * ot * (1 - np.tanh(ct) ** 2)
        dft, dit, dgt = dct * c, dct * gt, dct * it
        dgates = np.empty_like(gates)
        H = h.shape[1]
        dgates[:, :H] = dit * it * (1 - it)
        dgates[:, H : 2 * H] = dft * ft * (1 - ft)
        dgates[:, 2 * H : 3 * H] = dgt * (1 - gt**2)
        dgates[:, 3 * H :] = dot * ot * (1 - ot)
        dW, dU = np.matmul(dgates.T, x), np.matmul(dgates.T, h)
        db = np.sum(dgates, axis=0)
        return np.matmul(dgates, weight_ih), np.matmul(dgates, weight_hh), dct * ft, dW, dU, db, np.array(db)

    return (ht, ct), backward


@mutant(
    "lstm_step_forget_gate_with_the_slope_of_the_line_above",
    cause="wrong-gate",
    also=("derivative-at-preactivation",),
    inputs=arrays_3((4, 3), (4, 5), (4, 5), (8, 5), (8, 5), (8, 5), (8, 5), (5,), (5,), (5,), (5,)),
    wrong=("dx_t", "dh_prev", "dWf", "dbf"),
    note="pasted, and i left where f belongs",
)
def lstm_step_forget_gate_with_the_slope_of_the_line_above(x_t, h_prev, c_prev, Wi, Wf, Wo, Wc, bi, bf, bo, bc):
    """State and input are put side by side."""
    X = np.column_stack((h_prev, x_t))
    H = h_prev.shape[1]
    i, f, o = sigmoid(X @ Wi + bi), sigmoid(X @ Wf + bf), sigmoid(X @ Wo + bo)
    c_hat = np.tanh(X @ Wc + bc)
    c = f * c_prev + i * c_hat
    h = o * np.tanh(c)

    def backward(dh, dc):
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        do = dh * np.tanh(c) * o * (1 - o)
        di = dc * c_hat * i * (1 - i)
        df = dc * c_prev * i * (1 - i)  # right: df = dc * c_prev * f * (1 - f)
        dc_hat = dc * i * (1 - c_hat**2)
        dX = di @ Wi.T + df @ Wf.T + do @ Wo.T + dc_hat @ Wc.T
        dWs = [X.T @ d for d in (di, df, do, dc_hat)]
        dbs = [d.sum(axis=0) for d in (di, df, do, dc_hat)]
        return (dX[:, H:].copy(), dX[:, :H].copy(), f * dc, *dWs, *dbs)

    return (h, c), backward


@mutant(
    "lstm_step_all_four_gates_through_the_slope_of_the_sigmoid",
    cause="missing-factor",
    like="lstm_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="one line for the whole array, and one of the four is a tanh",
)
def lstm_step_all_four_gates_through_the_slope_of_the_sigmoid(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    H = h.shape[1]
    Z = x @ weight_ih.T + h @ weight_hh.T + (bias_ih + bias_hh)
    is_tanh = np.arange(4 * H) // H == 2
    A = np.where(is_tanh, np.tanh(Z), sigmoid(Z))
    i, f, g, o = A[:, :H], A[:, H : 2 * H], A[:, 2 * H : 3 * H], A[:, 3 * H :]
    c_out = i * g + f * c
    tanh_c = np.tanh(c_out)

    def backward(dh_out, dc_out):
        dcell = dc_out + dh_out * o * (1 - tanh_c * tanh_c)
        dA = np.concatenate((dcell * g, dcell * c, dcell * i, dh_out * tanh_c), axis=1)
        dZ = dA * A * (1 - A)  # right: dZ = dA * np.where(is_tanh, 1 - A**2, A * (1 - A))
        db = dZ.sum(axis=0)
        return dZ @ weight_ih, dZ @ weight_hh, dcell * f, dZ.T @ x, dZ.T @ h, db, db.copy()

    return (o * tanh_c, c_out), backward


@mutant(
    "lstm_step_sigmoid_prime_is_asked_for_the_sum",
    cause="derivative-at-preactivation",
    like="lstm_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="s (1 - s) is written for what comes out of the sigmoid",
)
def lstm_step_sigmoid_prime_is_asked_for_the_sum(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    pre = dict(zip("ifgo", np.split(x @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh, 4, axis=1), strict=True))
    act = {k: np.tanh(a) if k == "g" else sigmoid(a) for k, a in pre.items()}
    cell = act["f"] * c + act["i"] * act["g"]

    def sigmoid_prime(s):
        return s * (1 - s)

    def tanh_prime(s):
        return 1 - s**2

    def backward(dh_next, dc_next):
        dcell = dc_next + dh_next * act["o"] * tanh_prime(np.tanh(cell))
        delta = {"i": dcell * act["g"], "f": dcell * c, "g": dcell * act["i"], "o": dh_next * np.tanh(cell)}
        delta["g"] = delta["g"] * tanh_prime(act["g"])
        for k in "ifo":
            delta[k] = delta[k] * sigmoid_prime(pre[k])  # right: delta[k] = delta[k] * sigmoid_prime(act[k])
        d = np.hstack([delta[k] for k in "ifgo"])
        db = d.sum(axis=0)
        return d @ weight_ih, d @ weight_hh, dcell * act["f"], d.T @ x, d.T @ h, db, db.copy()

    return (act["o"] * np.tanh(cell), cell), backward


def assignment_forward(x, prev_h, prev_c, Wx, Wh, b):
    N, H = prev_h.shape
    a = x.dot(Wx) + prev_h.dot(Wh) + b
    a = a.reshape(N, 4, H)
    i, f, o, g = sigmoid(a[:, 0]), sigmoid(a[:, 1]), sigmoid(a[:, 2]), np.tanh(a[:, 3])
    next_c = f * prev_c + i * g
    return (o * np.tanh(next_c), next_c), (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)


def assignment_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    t = np.tanh(next_c)
    # right: dnext_c = dnext_c + dnext_h * o * (1 - t**2)
    dnext_c += dnext_h * o * (1 - t**2)
    di, df, do, dg = dnext_c * g, dnext_c * prev_c, dnext_h * t, dnext_c * i
    da = np.stack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)], axis=1)
    da = da.reshape(len(x), -1)
    return da.dot(Wx.T), da.dot(Wh.T), dnext_c * f, x.T.dot(da), prev_h.T.dot(da), da.sum(axis=0)


mutant(
    "lstm_assignment_adds_to_the_cell_gradient_it_was_given",
    cause="dy-changed",
    inputs=arrays_3((3, 4), (3, 5), (3, 5), (4, 20), (5, 20), (20,)),
    note="`+=` on an argument",
)((assignment_forward, assignment_backward))


@mutant(
    "peephole_step_old_cell_is_heard_through_the_forget_gate_alone",
    cause="branch-missing",
    inputs=arrays_3((3, 4), (3, 5), (3, 5), (4, 20), (5, 20), (20,), (5,), (5,), (5,)),
    wrong=("dc",),
    note="the line from the LSTM without peepholes: two gates look at the old cell too",
)
def peephole_step_old_cell_is_heard_through_the_forget_gate_alone(x, h, c, W, U, b, p_i, p_f, p_o):
    z_i, z_f, z_g, z_o = np.hsplit(x @ W + h @ U + b, 4)
    i, f, g = sigmoid(z_i + p_i * c), sigmoid(z_f + p_f * c), np.tanh(z_g)
    c_new = f * c + i * g
    o = sigmoid(z_o + p_o * c_new)
    t = np.tanh(c_new)

    def backward(dh_new, dc_new):
        dz_o = dh_new * t * o * (1 - o)
        dcell = dc_new + dh_new * o * (1 - t**2) + dz_o * p_o
        dz_i, dz_f, dz_g = dcell * g * i * (1 - i), dcell * c * f * (1 - f), dcell * i * (1 - g**2)
        dc = dcell * f  # right: dc = dcell * f + dz_i * p_i + dz_f * p_f
        dz = np.hstack([dz_i, dz_f, dz_g, dz_o])
        dp = (dz_i * c).sum(axis=0), (dz_f * c).sum(axis=0), (dz_o * c_new).sum(axis=0)
        return (dz @ W.T, dz @ U.T, dc, x.T @ dz, h.T @ dz, dz.sum(axis=0), *dp)

    return (o * t, c_new), backward


@mutant(
    "peephole_of_the_output_gate_learns_from_the_cell_before",
    cause="off-by-one",
    inputs=arrays_3((5, 3, 4), (3, 3), (3, 3), (4, 12), (3, 12), (12,), (3, 3)),
    wrong=("dpeep",),
    note="i and f look at the old cell, o looks at the new one",
)
def peephole_of_the_output_gate_learns_from_the_cell_before(x, h0, c0, W, U, b, peep):
    """Gates i f o g, a row of `peep` for each of i f o."""
    T = len(x)
    hs, cs, gates = [h0], [c0], []
    for t in range(T):
        zi, zf, zo, zg = np.split(x[t] @ W + hs[t] @ U + b, 4, axis=1)
        i, f, g = sigmoid(zi + peep[0] * cs[t]), sigmoid(zf + peep[1] * cs[t]), np.tanh(zg)
        cs.append(f * cs[t] + i * g)
        o = sigmoid(zo + peep[2] * cs[t + 1])
        hs.append(o * np.tanh(cs[t + 1]))
        gates.append((i, f, o, g))

    def backward(dhs):
        dx, dW, dU, db, dpeep = (np.zeros_like(a) for a in (x, W, U, b, peep))
        dh, dc = np.zeros_like(h0), np.zeros_like(c0)
        for t in reversed(range(T)):
            i, f, o, g = gates[t]
            squashed = np.tanh(cs[t + 1])
            dh = dh + dhs[t]
            do = dh * squashed * o * (1 - o)
            dc = dc + dh * o * (1 - squashed**2) + do * peep[2]
            di, df, dg = dc * g * i * (1 - i), dc * cs[t] * f * (1 - f), dc * i * (1 - g**2)
            dpeep[0] += np.sum(di * cs[t], axis=0)
            dpeep[1] += np.sum(df * cs[t], axis=0)
            dpeep[2] += np.sum(do * cs[t], axis=0)  # right: dpeep[2] += np.sum(do * cs[t + 1], axis=0)
            dz = np.hstack([di, df, do, dg])
            dW += x[t].T @ dz
            dU += hs[t].T @ dz
            db += dz.sum(axis=0)
            dx[t], dh = dz @ W.T, dz @ U.T
            dc = dc * f + di * peep[0] + df * peep[1]
        return dx, dh, dc, dW, dU, db, dpeep

    return np.array(hs[1:]), backward


@mutant(
    "lstm_layer_unpacks_each_step_into_the_gradients_of_all",
    cause="one-step-only",
    also=("sum-missing",),
    inputs=arrays_3((3, 4, 2), (3, 5), (2, 20), (5, 20), (20,)),
    wrong=("dWx", "dWh", "db"),
    note="the call of the step's backward writes the weights' gradients anew each time",
)
def lstm_layer_unpacks_each_step_into_the_gradients_of_all(x, h0, Wx, Wh, b):
    """Sentences (N, T, D); the cell starts at zero."""
    N, T, D = x.shape
    H = h0.shape[1]
    h, cache = np.zeros((N, T, H)), {}
    prev_h, prev_c = h0, np.zeros((N, H))
    for t in range(T):
        (next_h, next_c), cache[t] = assignment_forward(x[:, t], prev_h, prev_c, Wx, Wh, b)
        h[:, t], prev_h, prev_c = next_h, next_h, next_c

    def step_backward(dh, dc, kept):
        x_t, h_t, c_t, _, _, i, f, o, g, next_c = kept
        tc = np.tanh(next_c)
        dc = dc + dh * o * (1 - tc**2)
        da = np.hstack([dc * g * i * (1 - i), dc * c_t * f * (1 - f), dh * tc * o * (1 - o), dc * i * (1 - g**2)])
        return da @ Wx.T, da @ Wh.T, dc * f, x_t.T @ da, h_t.T @ da, da.sum(axis=0)

    def backward(dh):
        dx, dprev_h, dprev_c = np.zeros_like(x), np.zeros((N, H)), np.zeros((N, H))
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        for t in reversed(range(T)):
            dx[:, t], dprev_h, dprev_c, *dw = step_backward(dh[:, t] + dprev_h, dprev_c, cache[t])
            dWx, dWh, db = dw  # right: dWx, dWh, db = dWx + dw[0], dWh + dw[1], db + dw[2]
        return dx, dprev_h, dWx, dWh, db

    return h, backward


@mutant(
    "char_lstm_state_hears_from_its_scores_alone",
    cause="missing-dh-carry",
    inputs=arrays_3((5, 3), (4,), (4,), *[(4, 7)] * 4, (4, 4), (6, 4), (6,)),
    wrong=("dxs", "dh0", "dc0", "dWf", "dWi", "dWg", "dWo", "dbias"),
    note="`+ dh_next` was forgotten, `+ dc_next` was not",
)
def char_lstm_state_hears_from_its_scores_alone(xs, h0, c0, Wf, Wi, Wg, Wo, bias, Wy, by):
    """Scores of the next letter, one sentence of vectors; a row of `bias` for each of f i g o."""
    h, c, steps, ys = h0, c0, [], []
    for x in xs:
        z = np.hstack((h, x))
        f, i, o = sigmoid(Wf @ z + bias[0]), sigmoid(Wi @ z + bias[1]), sigmoid(Wo @ z + bias[3])
        g = np.tanh(Wg @ z + bias[2])
        c_prev, c = c, f * c + i * g
        h = o * np.tanh(c)
        steps.append((z, c_prev, f, i, g, o, c, h))
        ys.append(Wy @ h + by)

    def backward(dys):
        dxs, dWf, dWi, dWg, dWo, dbias, dWy, dby = (np.zeros_like(a) for a in (xs, Wf, Wi, Wg, Wo, bias, Wy, by))
        dh_next, dc_next = np.zeros_like(h0), np.zeros_like(c0)
        for t in range(len(xs) - 1, -1, -1):
            z, c_prev, f, i, g, o, c_t, h_t = steps[t]
            dWy += np.outer(dys[t], h_t)
            dby += dys[t]
            dh = Wy.T @ dys[t]  # right: dh = Wy.T @ dys[t] + dh_next
            dc = dh * o * (1 - np.tanh(c_t) ** 2) + dc_next
            df, di = dc * c_prev * f * (1 - f), dc * g * i * (1 - i)
            dg, do = dc * i * (1 - g**2), dh * np.tanh(c_t) * o * (1 - o)
            for dW, d in ((dWf, df), (dWi, di), (dWg, dg), (dWo, do)):
                dW += np.outer(d, z)
            dbias += np.array([df, di, dg, do])
            dz = Wf.T @ df + Wi.T @ di + Wg.T @ dg + Wo.T @ do
            dh_next, dxs[t] = dz[: len(h0)].copy(), dz[len(h0) :]
            dc_next = dc * f
        return dxs, dh_next, dc_next, dWf, dWi, dWg, dWo, dbias, dWy, dby

    return np.array(ys), backward


@mutant(
    "lstm_gates_apart_carry_meets_the_square_matrices_unturned",
    cause="transposed",
    inputs=arrays_3((4, 2, 3), (2, 5), (2, 5), (4, 3, 5), (4, 5, 5), (4, 5)),
    wrong=("dx", "dh0", "dc0", "dW", "dU", "db"),
    note="dx would not fit without the turn, the state's gradient does",
)
def lstm_gates_apart_carry_meets_the_square_matrices_unturned(x, h0, c0, W, U, b):
    """Weights (gates, D, H), (gates, H, H) and (gates, H), in the order f i o g."""
    h, c, past, outs = h0, c0, [], []
    for word in x:
        f, i, o = (sigmoid(word @ W[k] + h @ U[k] + b[k]) for k in range(3))
        g = np.tanh(word @ W[3] + h @ U[3] + b[3])
        past.append((h, c, f, i, o, g))
        c = f * c + i * g
        h = o * np.tanh(c)
        outs.append((h, c))

    def backward(douts):
        dx, dW, dU, db = (np.zeros_like(a) for a in (x, W, U, b))
        dh, dc = np.zeros_like(h0), np.zeros_like(c0)
        for t in reversed(range(len(x))):
            h_prev, c_prev, f, i, o, g = past[t]
            tanh_c = np.tanh(outs[t][1])
            dh = dh + douts[t]
            dc = dc + dh * o * (1 - tanh_c**2)
            dz = [dc * c_prev * f * (1 - f), dc * g * i * (1 - i), dh * tanh_c * o * (1 - o), dc * i * (1 - g**2)]
            for k in range(4):
                dW[k] += x[t].T @ dz[k]
                dU[k] += h_prev.T @ dz[k]
                db[k] += dz[k].sum(axis=0)
                dx[t] += dz[k] @ W[k].T
            dh = sum(dz[k] @ U[k] for k in range(4))  # right: dh = sum(dz[k] @ U[k].T for k in range(4))
            dc = dc * f
        return dx, dh, dc, dW, dU, db

    return np.array([h for h, _ in outs]), backward


@mutant(
    "lstm_cell_gradient_through_the_forget_gate_of_the_same_step",
    cause="off-by-one",
    inputs=arrays_3((5, 2, 3), (2, 4), (2, 4), (3, 16), (4, 16), (16,)),
    wrong=("dx", "dh0", "dc0", "dW", "dU", "db"),
    note="from c_(t+1) to c_t it goes through f_(t+1)",
)
def lstm_cell_gradient_through_the_forget_gate_of_the_same_step(x, h0, c0, W, U, b):
    """Everything is kept in arrays over time; gates a i f o, as in a blog."""
    T, (N, H) = len(x), h0.shape
    a, i, f, o = np.zeros((4, T + 1, N, H))
    state, out = np.zeros((T + 1, N, H)), np.zeros((T + 1, N, H))
    state[-1], out[-1] = c0, h0
    for t in range(T):
        z = x[t] @ W + out[t - 1] @ U + b
        a[t] = np.tanh(z[:, :H])
        i[t], f[t], o[t] = (sigmoid(z[:, k * H : (k + 1) * H]) for k in (1, 2, 3))
        state[t] = a[t] * i[t] + f[t] * state[t - 1]
        out[t] = np.tanh(state[t]) * o[t]

    def backward(delta):
        dx, dW, dU, db = (np.zeros_like(p) for p in (x, W, U, b))
        dout, dstate = np.zeros((N, H)), np.zeros((T + 1, N, H))
        for t in range(T - 1, -1, -1):
            dout = dout + delta[t]
            slope = dout * o[t] * (1 - np.tanh(state[t]) ** 2)
            dstate[t] = slope + dstate[t + 1] * f[t]  # right: dstate[t] = slope + dstate[t + 1] * f[t + 1]
            da, di = dstate[t] * i[t] * (1 - a[t] ** 2), dstate[t] * a[t] * i[t] * (1 - i[t])
            df, do = dstate[t] * state[t - 1] * f[t] * (1 - f[t]), dout * np.tanh(state[t]) * o[t] * (1 - o[t])
            dgates = np.concatenate((da, di, df, do), axis=1)
            dx[t] = dgates @ W.T
            dW += x[t].T @ dgates
            dU += out[t - 1].T @ dgates
            db += dgates.sum(axis=0)
            dout = dgates @ U.T
        return dx, dout, dstate[0] * f[0], dW, dU, db

    return out[:T].copy(), backward


@mutant(
    "sentiment_lstm_cell_as_if_it_left_without_a_tanh",
    cause="activation-derivative-missing",
    inputs=arrays_3((4, 3, 2), (3, 5), (3, 5), (20, 2), (20, 5), (20,), (3, 5), (3,)),
    wrong=("dwords", "dh0", "dc0", "dW", "dU", "db"),
    note="dc = dh o, and its (1 - tanh^2) is forgotten",
)
def sentiment_lstm_cell_as_if_it_left_without_a_tanh(words, h0, c0, W, U, b, V, d):
    """Three classes, from the last state."""
    H = h0.shape[1]
    h, c, stack = h0, c0, []
    for w in words:
        z = w @ W.T + h @ U.T + b
        i, f, g, o = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), np.tanh(z[:, 2 * H : 3 * H]), sigmoid(z[:, 3 * H :])
        h_before, c_before = h, c
        c = c_before * f + g * i
        h = np.tanh(c) * o
        stack.append((w, h_before, c_before, i, f, g, o, np.tanh(c)))

    def backward(dscores):
        dV, dd = dscores.T @ h, dscores.sum(axis=0)
        dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
        dh, dc, dwords = dscores @ V, np.zeros_like(c0), []
        for w, h_before, c_before, i, f, g, o, tanh_c in stack[::-1]:
            dc = dc + dh * o  # right: dc = dc + dh * o * (1 - tanh_c**2)
            dz = np.concatenate(
                [dc * g * i * (1 - i), dc * c_before * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)], 1
            )
            dW += dz.T @ w
            dU += dz.T @ h_before
            db += dz.sum(axis=0)
            dwords.append(dz @ W)
            dh, dc = dz @ U, dc * f
        return np.array(dwords[::-1]), dh, dc, dW, dU, db, dV, dd

    return h @ V.T + d, backward


@mutant(
    "lstm_padding_keeps_the_state_and_the_cell_but_not_its_gradient",
    cause="mask-not-applied",
    also=("mask-only-in-loss",),
    like="lstm, mask",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="dh stays as it is at padding, dc goes through the forget gate",
)
def lstm_padding_keeps_the_state_and_the_cell_but_not_its_gradient(
    x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask
):
    h, c, rows, ys = h0, c0, [], []
    for t in range(len(x)):
        is_word = mask[t].reshape(-1, 1)
        s = x[t] @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh
        i, f, g, o = np.hsplit(s, 4)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_new = f * c + i * g
        rows.append((h, c, i, f, g, o, np.tanh(c_new), is_word))
        h, c = np.where(is_word, o * np.tanh(c_new), h), np.where(is_word, c_new, c)
        ys.append(h * is_word)

    def backward(dy, dh, dc):
        dx, dWi, dWh, db = (np.zeros_like(p) for p in (x, weight_ih, weight_hh, bias_ih))
        for t in range(len(x) - 1, -1, -1):
            h_old, c_old, i, f, g, o, tanh_c, is_word = rows[t]
            dh = dh + dy[t] * is_word
            dh_word = dh * is_word
            dc = dc + dh_word * o * (1 - tanh_c**2)
            dc_word = dc * is_word
            ds = np.hstack(
                [
                    dc_word * g * i * (1 - i),
                    dc_word * c_old * f * (1 - f),
                    dc_word * i * (1 - g**2),
                    dh_word * tanh_c * o * (1 - o),
                ]
            )
            dx[t] = ds @ weight_ih
            dWi += ds.T @ x[t]
            dWh += ds.T @ h_old
            db += ds.sum(axis=0)
            dh = np.where(is_word, ds @ weight_hh, dh)
            dc = dc * f  # right: dc = np.where(is_word, dc * f, dc)
        return dx, dh, dc, dWi, dWh, db, db.copy(), None

    return (np.array(ys), np.array(h), np.array(c)), backward


def lstm_inputs(rng):
    N, T, D, H = 2, 4, 3, 5
    return tuple(0.8 * rng.standard_normal(s) for s in [(N, T, D), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,)])


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
