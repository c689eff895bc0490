# ruff: noqa: RUF059 (students unpack every shape)
"""Recurrent cells and sequences, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import gate_by_gate_inputs, rnn_inputs, sigmoid

# ------------------------------------------------------------------------------------------------------ Elman networks


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


# --------------------------------------------------------------------------------------------- long short-term memory


@mutant("lstm_cell_full_memory", cause="forget-gate-not-in-carry", like="lstm_step", wrong=("dc",))
def lstm_cell_full_memory(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    H = h.shape[1]
    a = np.dot(x, weight_ih.T) + np.dot(h, weight_hh.T) + bias_ih + bias_hh
    i, f = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H])
    g, o = np.tanh(a[:, 2 * H : 3 * H]), sigmoid(a[:, 3 * H :])
    cell = f * c + i * g
    hidden = o * np.tanh(cell)

    def backward(dhidden, dcell):
        t = np.tanh(cell)
        dcell = dcell + dhidden * o * (1 - t * t)
        da = np.zeros_like(a)
        da[:, :H] = dcell * g * i * (1 - i)
        da[:, H : 2 * H] = dcell * c * f * (1 - f)
        da[:, 2 * H : 3 * H] = dcell * i * (1 - g * g)
        da[:, 3 * H :] = dhidden * t * o * (1 - o)
        dc_prev = dcell  # right: dc_prev = dcell * f
        db = da.sum(axis=0)
        return da @ weight_ih, da @ weight_hh, dc_prev, da.T @ x, da.T @ h, db, db.copy()

    return (hidden, cell), backward


@mutant(
    "lstm_step_c_only",
    cause="branch-missing",
    like="lstm_step",
    wrong=("dx", "dh", "dc", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def lstm_step_c_only(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    z = np.einsum("nd,kd->nk", x, weight_ih) + np.einsum("nh,kh->nk", h, weight_hh) + (bias_ih + bias_hh)
    zi, zf, zg, zo = np.array_split(z, 4, axis=1)
    i, f, g, o = sigmoid(zi), sigmoid(zf), np.tanh(zg), sigmoid(zo)
    c2 = i * g + f * c
    h2 = o * np.tanh(c2)

    def backward(dh2, dc2):
        dtotal = dc2  # right: dtotal = dc2 + dh2 * o / np.cosh(c2) ** 2
        dzi = dtotal * g * i * (1 - i)
        dzf = dtotal * c * f * (1 - f)
        dzg = dtotal * i * (1 - g**2)
        dzo = dh2 * np.tanh(c2) * o * (1 - o)
        dz = np.concatenate((dzi, dzf, dzg, dzo), axis=1)
        dW = np.einsum("nk,nd->kd", dz, x)
        dU = np.einsum("nk,nh->kh", dz, h)
        db = np.einsum("nk->k", dz)
        return dz @ weight_ih, dz @ weight_hh, dtotal * f, dW, dU, db, db.copy()

    return (h2, c2), backward


@mutant(
    "lstm_step_other_order",
    cause="permuted-gates",
    like="lstm_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def lstm_step_other_order(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    """The gates are split as i f g o; the gradients were taken from notes with the order i f o g."""
    i, f, g, o = np.split(x @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    cn = f * c + i * g
    tc = np.tanh(cn)

    def backward(dhn, dcn):
        dcn = dcn + dhn * o * (1 - tc**2)
        dai = dcn * g * i * (1 - i)
        daf = dcn * c * f * (1 - f)
        dao = dhn * tc * o * (1 - o)
        dag = dcn * i * (1 - g**2)
        dA = np.hstack([dai, daf, dao, dag])  # right: dA = np.hstack([dai, daf, dag, dao])
        db = dA.sum(0)
        return dA @ weight_ih, dA @ weight_hh, dcn * f, dA.T @ x, dA.T @ h, db, db.copy()

    return (o * tc, cn), backward


@mutant(
    "lstm_gates_apart_mixed_up",
    cause="wrong-gate",
    inputs=gate_by_gate_inputs,
    wrong=("dx", "dh", "dWi", "dUi"),
)
def lstm_gates_apart_mixed_up(x, h, c, Wf, Wi, Wg, Wo, Uf, Ui, Ug, Uo):
    """Each gate has its own matrices."""
    f = sigmoid(x @ Wf + h @ Uf)
    i = sigmoid(x @ Wi + h @ Ui)
    g = np.tanh(x @ Wg + h @ Ug)
    o = sigmoid(x @ Wo + h @ Uo)
    c_next = f * c + i * g
    tanh_c = np.tanh(c_next)

    def backward(dh_next, dc_next):
        ds = o * dh_next * (1 - tanh_c**2) + dc_next
        df = ds * c * f * (1 - f)
        di = ds * o * i * (1 - i)  # right: di = ds * g * i * (1 - i)
        dg = ds * i * (1 - g**2)
        do = dh_next * tanh_c * o * (1 - o)
        dx = df @ Wf.T + di @ Wi.T + dg @ Wg.T + do @ Wo.T
        dh = df @ Uf.T + di @ Ui.T + dg @ Ug.T + do @ Uo.T
        dWs = [x.T @ d for d in (df, di, dg, do)]
        dUs = [h.T @ d for d in (df, di, dg, do)]
        return (dx, dh, ds * f, *dWs, *dUs)

    return (o * tanh_c, c_next), backward


# ------------------------------------------------------------------------------------------------- gated recurrent unit


@mutant("gru_step_no_shortcut", cause="branch-missing", like="gru_step", wrong=("dh",))
def gru_step_no_shortcut(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    H = h.shape[1]
    a, u = x @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
    rz = sigmoid(a[:, : 2 * H] + u[:, : 2 * H])
    r, z = rz[:, :H], rz[:, H:]
    cand = np.tanh(a[:, 2 * H :] + r * u[:, 2 * H :])
    out = cand + z * (h - cand)

    def backward(dout):
        dz = dout * (h - cand) * z * (1 - z)
        dcand = (dout - dout * z) * (1 - cand * cand)
        dr = dcand * u[:, 2 * H :] * r * (1 - r)
        da = np.hstack((dr, dz, dcand))
        du = np.hstack((dr, dz, dcand * r))
        dh = du @ weight_hh  # right: dh = du @ weight_hh + dout * z
        return da @ weight_ih, dh, da.T @ x, du.T @ h, da.sum(axis=0), du.sum(axis=0)

    return out, backward


@mutant(
    "gru_step_update_gate_upside_down",
    cause="wrong-sign",
    like="gru_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def gru_step_update_gate_upside_down(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    """Other notes write h' = z n + (1 - z) h."""
    gi, gh = x @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
    (i_r, i_z, i_n), (h_r, h_z, h_n) = np.split(gi, 3, axis=1), np.split(gh, 3, axis=1)
    r, z = sigmoid(i_r + h_r), sigmoid(i_z + h_z)
    n = np.tanh(i_n + r * h_n)

    def backward(dy):
        dn = dy * (1 - z) * (1 - n**2)
        dz = dy * (n - h) * z * (1 - z)  # right: dz = dy * (h - n) * z * (1 - z)
        dr = dn * h_n * r * (1 - r)
        dgi, dgh = np.concatenate([dr, dz, dn], 1), np.concatenate([dr, dz, dn * r], 1)
        return dgi @ weight_ih, dgh @ weight_hh + dy * z, dgi.T @ x, dgh.T @ h, dgi.sum(0), dgh.sum(0)

    return (1 - z) * n + z * h, backward


@mutant(
    "gru_update_gate_before_sigmoid",
    cause="derivative-at-preactivation",
    like="gru",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def gru_update_gate_before_sigmoid(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, N, D = x.shape
    H = h0.shape[1]
    kept, hs = [], [h0]
    for t in range(T):
        gi, gh = x[t] @ weight_ih.T + bias_ih, hs[-1] @ weight_hh.T + bias_hh
        ar, az = gi[:, :H] + gh[:, :H], gi[:, H : 2 * H] + gh[:, H : 2 * H]
        r = sigmoid(ar)
        n = np.tanh(gi[:, 2 * H :] + r * gh[:, 2 * H :])
        kept.append((r, az, n, gh[:, 2 * H :]))
        hs.append((1 - sigmoid(az)) * n + sigmoid(az) * hs[-1])

    def backward(dy, dh):
        dx, dW, dU = np.zeros_like(x), np.zeros_like(weight_ih), np.zeros_like(weight_hh)
        db, dc = np.zeros_like(bias_ih), np.zeros_like(bias_hh)
        for t in reversed(range(T)):
            r, az, n, un = kept[t]
            z = sigmoid(az)
            dh = dh + dy[t]
            dn = dh * (1 - z) * (1 - n**2)
            daz = dh * (hs[t] - n) * az * (1 - az)  # right: daz = dh * (hs[t] - n) * z * (1 - z)
            dar = dn * un * r * (1 - r)
            dgi, dgh = np.hstack([dar, daz, dn]), np.hstack([dar, daz, dn * r])
            dx[t] = dgi @ weight_ih
            dW += dgi.T @ x[t]
            dU += dgh.T @ hs[t]
            db += dgi.sum(axis=0)
            dc += dgh.sum(axis=0)
            dh = dh * z + dgh @ weight_hh
        return dx, dh, dW, dU, db, dc, None

    return (np.stack(hs[1:]), hs[-1].copy()), backward


# ------------------------------------------------------------------------------------------------- more of one function


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
    "gru_steps_know_nothing_of_each_other",
    cause="missing-dh-carry",
    like="gru",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def gru_steps_know_nothing_of_each_other(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, H = len(x), h0.shape[1]
    hs, cache = [h0], []
    for t in range(T):
        a, u = x[t] @ weight_ih.T + bias_ih, hs[t] @ weight_hh.T + bias_hh
        r, z = np.split(sigmoid(a[:, : 2 * H] + u[:, : 2 * H]), 2, axis=1)
        n = np.tanh(a[:, 2 * H :] + r * u[:, 2 * H :])
        cache.append((r, z, n, u[:, 2 * H :]))
        hs.append(n + z * (hs[t] - n))

    def step_backward(dh, t):
        r, z, n, un = cache[t]
        dn = dh * (1 - z) * (1 - n**2)
        dz = dh * (hs[t] - n) * z * (1 - z)
        dr = dn * un * r * (1 - r)
        da, du = np.hstack([dr, dz, dn]), np.hstack([dr, dz, dn * r])
        return da, du, dh * z + du @ weight_hh

    def backward(dy, dh_last):
        dx, dW, dU, db, dc = (np.zeros_like(v) for v in (x, weight_ih, weight_hh, bias_ih, bias_hh))
        dh = dh_last
        for t in reversed(range(T)):
            da, du, dh_prev = step_backward(dh + dy[t], t)
            dx[t] = da @ weight_ih
            dW += da.T @ x[t]
            dU += du.T @ hs[t]
            db += da.sum(axis=0)
            dc += du.sum(axis=0)
            dh = np.zeros_like(dh)  # right: dh = dh_prev
        return dx, dh_prev, dW, dU, db, dc, None

    return (np.stack(hs[1:]), hs[-1].copy()), backward


LSTM_ALL = ("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh")


@mutant("lstm_cell_state_begins_anew", cause="missing-dc-carry", like="lstm", wrong=LSTM_ALL)
def lstm_cell_state_begins_anew(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T = len(x)
    h, c, kept, ys = h0, c0, [], []
    for t in range(T):
        ai, af, ag, ao = np.split(x[t] @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh, 4, axis=1)
        i, f, g, o = sigmoid(ai), sigmoid(af), np.tanh(ag), sigmoid(ao)
        new = f * c + i * g
        kept.append((h, c, i, f, g, o, np.tanh(new)))
        h, c = o * np.tanh(new), new
        ys.append(h)

    def backward(dy, dh, dc):
        dx, dW, dU, db = (np.zeros_like(v) for v in (x, weight_ih, weight_hh, bias_ih))
        for t in reversed(range(T)):
            h_prev, c_prev, i, f, g, o, tc = kept[t]
            dh = dh + dy[t]
            dc = dh * o * (1 - tc**2)  # right: dc = dc + dh * o * (1 - tc**2)
            da = np.hstack(
                [dc * g * i * (1 - i), dc * c_prev * f * (1 - f), dc * i * (1 - g**2), dh * tc * o * (1 - o)]
            )
            dx[t] = da @ weight_ih
            dW += da.T @ x[t]
            dU += da.T @ h_prev
            db += da.sum(0)
            dh, dc = da @ weight_hh, dc * f
        return dx, dh, dc, dW, dU, db, db.copy(), None

    return (np.array(ys), h.copy(), c.copy()), backward


@mutant("lstm_carries_through_the_input_gate", cause="wrong-gate", like="lstm", wrong=LSTM_ALL)
def lstm_carries_through_the_input_gate(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, H = len(x), h0.shape[1]
    hs, cs, gates = [h0], [c0], []
    for x_t in x:
        z = weight_ih @ x_t.T + weight_hh @ hs[-1].T + (bias_ih + bias_hh)[:, None]  # (4 H, N)
        i, f, g, o = (z[k * H : (k + 1) * H].T for k in range(4))
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        gates.append((i, f, g, o))
        cs.append(i * g + f * cs[-1])
        hs.append(o * np.tanh(cs[-1]))

    def backward(dy, dh, dc):
        dzs = np.zeros((T, len(h0), 4 * H))
        for t in range(T)[::-1]:
            i, f, g, o = gates[t]
            dh, tc = dh + dy[t], np.tanh(cs[t + 1])
            dc = dc + dh * o * (1 - tc * tc)
            dzs[t, :, :H] = dc * g * i * (1 - i)
            dzs[t, :, H : 2 * H] = dc * cs[t] * f * (1 - f)
            dzs[t, :, 2 * H : 3 * H] = dc * i * (1 - g * g)
            dzs[t, :, 3 * H :] = dh * tc * o * (1 - o)
            dh = dzs[t] @ weight_hh
            dc = dc * i  # right: dc = dc * f
        dW = np.einsum("tnk,tnd->kd", dzs, x)
        dU = np.einsum("tnk,tnh->kh", dzs, np.array(hs[:-1]))
        return dzs @ weight_ih, dh, dc, dW, dU, dzs.sum((0, 1)), dzs.sum((0, 1)), None

    return (np.array(hs[1:]), hs[-1].copy(), cs[-1].copy()), backward


@mutant(
    "lstm_step_candidate_without_its_tanh",
    cause="activation-derivative-missing",
    like="lstm_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def lstm_step_candidate_without_its_tanh(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    z = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
    N, H = h.shape
    z = z.reshape(N, 4, H)
    i, f, g, o = sigmoid(z[:, 0]), sigmoid(z[:, 1]), np.tanh(z[:, 2]), sigmoid(z[:, 3])
    c_next = f * c + i * g
    h_next = o * np.tanh(c_next)

    def backward(dh_next, dc_next):
        dc_next = dc_next + dh_next * o * (1 - np.tanh(c_next) ** 2)
        dz = np.zeros((N, 4, H))
        dz[:, 0] = dc_next * g * i * (1 - i)
        dz[:, 1] = dc_next * c * f * (1 - f)
        dz[:, 2] = dc_next * i  # right: dz[:, 2] = dc_next * i * (1 - g**2)
        dz[:, 3] = dh_next * np.tanh(c_next) * o * (1 - o)
        dz = dz.reshape(N, 4 * H)
        db = dz.sum(axis=0)
        return dz @ weight_ih, dz @ weight_hh, f * dc_next, dz.T @ x, dz.T @ h, db, db.copy()

    return (h_next, c_next), backward


# ------------------------------------------------------------------------------------------------- time and order


def batch_first_inputs(rng):
    N, T, D, H = 2, 4, 3, 5
    return tuple(rng.standard_normal(s) for s in [(N, T, D), (N, H), (D, 3 * H), (H, 3 * H), (3 * H,)])


@mutant(
    "gated_cell_reads_the_gradient_of_the_step_before",
    cause="off-by-one",
    inputs=batch_first_inputs,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
)
def gated_cell_reads_the_gradient_of_the_step_before(x, h0, Wx, Wh, b):
    """A cell with two gates; the batch comes first."""
    N, T, D = x.shape
    H = h0.shape[1]
    hs, c, cache = np.zeros((N, T, H)), np.zeros_like(h0), []
    prev = h0
    for t in range(T):
        a = x[:, t] @ Wx + prev @ Wh + b
        f, o, g = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), np.tanh(a[:, 2 * H :])
        cn = f * c + (1 - f) * g
        cache.append((prev, c, f, o, g, cn))
        prev, c = o * np.tanh(cn), cn
        hs[:, t] = prev

    def backward(dhs):
        dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dh, dc = np.zeros_like(h0), np.zeros_like(h0)
        for t in range(T - 1, -1, -1):
            prev, c, f, o, g, cn = cache[t]
            dh = dh + dhs[:, max(t - 1, 0)]  # right: dh = dh + dhs[:, t]
            dc = dc + dh * o * (1 - np.tanh(cn) ** 2)
            df, do, dg = dc * (c - g) * f * (1 - f), dh * np.tanh(cn) * o * (1 - o), dc * (1 - f) * (1 - g**2)
            da = np.concatenate((df, do, dg), axis=1)
            dx[:, t] = da @ Wx.T
            dWx += x[:, t].T @ da
            dWh += prev.T @ da
            db += da.sum(axis=0)
            dh, dc = da @ Wh.T, dc * f
        return dx, dh, dWx, dWh, db

    return hs, backward


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


def candidate_inputs(rng):
    N, D, H = 3, 4, 5
    return tuple(rng.standard_normal(s) for s in [(N, D), (N, H), (3 * H, D), (3 * H, H), (3 * H,)])


@mutant(
    "minimal_gru_candidate_sees_the_whole_state",
    cause="missing-factor",
    also=("wrong-gate",),
    inputs=candidate_inputs,
    wrong=("dU",),
)
def minimal_gru_candidate_sees_the_whole_state(x, h, W, U, b):
    """The reset gate comes before the product, as in the first paper."""
    H = h.shape[1]
    (Wz, Wr, Wn), (Uz, Ur, Un), (bz, br, bn) = W.reshape(3, H, -1), U.reshape(3, H, H), b.reshape(3, H)
    z, r = sigmoid(x @ Wz.T + h @ Uz.T + bz), sigmoid(x @ Wr.T + h @ Ur.T + br)
    kept = r * h
    n = np.tanh(x @ Wn.T + kept @ Un.T + bn)

    def backward(dy):
        dn = dy * z * (1 - n * n)
        dz = dy * (n - h) * z * (1 - z)
        dkept = dn @ Un
        dr = dkept * h * r * (1 - r)
        dx = dz @ Wz + dr @ Wr + dn @ Wn
        dh = dy * (1 - z) + dz @ Uz + dr @ Ur + dkept * r
        dW = np.vstack([dz.T @ x, dr.T @ x, dn.T @ x])
        # right: dU = np.vstack([dz.T @ h, dr.T @ h, dn.T @ kept])
        dU = np.vstack([dz.T @ h, dr.T @ h, dn.T @ h])
        return dx, dh, dW, dU, np.hstack([dz, dr, dn]).sum(axis=0)

    return (1 - z) * h + z * n, backward


@mutant(
    "gated_cell_joins_candidate_before_gate", cause="permuted-gates", inputs=batch_first_inputs,
    wrong=("dx", "dh0", "dWx", "dWh", "db"),
)  # fmt: skip
def gated_cell_joins_candidate_before_gate(x, h0, Wx, Wh, b):
    N, T, _ = x.shape
    H = h0.shape[1]
    hs, cache, prev = np.zeros((N, T, H)), [], h0
    for t in range(T):
        a = x[:, t] @ Wx + prev @ Wh + b
        f, o, g = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), np.tanh(a[:, 2 * H :])
        cache.append((prev, f, o, g))
        prev = f * prev + o * g
        hs[:, t] = prev

    def backward(dhs):
        dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dh = np.zeros_like(h0)
        for t in reversed(range(T)):
            prev, f, o, g = cache[t]
            dh = dh + dhs[:, t]
            df, do, dg = dh * prev * f * (1 - f), dh * g * o * (1 - o), dh * o * (1 - g**2)
            da = np.hstack([df, dg, do])  # right: da = np.hstack([df, do, dg])
            dx[:, t] = da @ Wx.T
            dWx += x[:, t].T @ da
            dWh += prev.T @ da
            db += da.sum(axis=0)
            dh = da @ Wh.T + dh * f
        return dx, dh, dWx, dWh, db

    return hs, backward


def simple_unit_inputs(rng):
    T, N, D, H = 5, 2, 3, 4
    return tuple(rng.standard_normal(s) for s in [(T, N, D), (D, H), (D, H), (D, H)])


@mutant("simple_unit_forgets_the_next_cell", cause="missing-dc-carry", inputs=simple_unit_inputs,
        wrong=("dx", "dW", "dWf"))  # fmt: skip
def simple_unit_forgets_the_next_cell(x, W, Wf, Wo):
    """A simple recurrent unit (SRU): the gates see the input alone, the steps only share the cell."""
    z, f, o = x @ W, sigmoid(x @ Wf), sigmoid(x @ Wo)
    c = [np.zeros_like(z[0])]
    for t in range(len(x)):
        c.append(f[t] * c[-1] + (1 - f[t]) * z[t])
    tc = np.tanh(np.stack(c[1:]))

    def backward(dh):
        dz, df, do = np.zeros_like(z), np.zeros_like(f), dh * tc * o * (1 - o)
        dc = np.zeros_like(c[0])
        for t in reversed(range(len(x))):
            dc = dh[t] * o[t] * (1 - tc[t] ** 2)  # right: dc = dc + dh[t] * o[t] * (1 - tc[t] ** 2)
            dz[t] = dc * (1 - f[t])
            df[t] = dc * (c[t] - z[t]) * f[t] * (1 - f[t])
            dc = dc * f[t]
        dx = dz @ W.T + df @ Wf.T + do @ Wo.T
        return (dx, *(np.einsum("tni,tnj->ij", x, d) for d in (dz, df, do)))

    return o * tc, backward
