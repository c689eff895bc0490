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


def first_gru_inputs(rng):
    """Words (T, N, D), a start (N, H), then a matrix (D, H) and one (H, H) for each of z, r and the candidate."""
    T, N, D, H = 4, 2, 3, 5
    weights = (0.8 * rng.standard_normal(s) for s in [(D, H), (H, H)] * 3)
    return (rng.standard_normal((T, N, D)), rng.standard_normal((N, H)), *weights)


@mutant(
    "gru_of_the_paper_three_ways_home_of_four",
    cause="branch-missing",
    inputs=first_gru_inputs,
    wrong=("dX", "dh0", "dWz", "dUz", "dWr", "dUr", "dW", "dU"),
    note="the state also enters the candidate, as r * h",
)
def gru_of_the_paper_three_ways_home_of_four(X, h0, Wz, Uz, Wr, Ur, W, U):
    """The reset gate acts on the state itself, before the matrix."""
    hidden, gates = [h0], []
    for x in X:
        h = hidden[-1]
        z = sigmoid(x @ Wz + h @ Uz)
        r = sigmoid(x @ Wr + h @ Ur)
        cand = np.tanh(x @ W + (r * h) @ U)
        gates.append((z, r, cand))
        hidden.append(z * h + (1 - z) * cand)

    def backward(dH):
        dX, dWz, dUz, dWr, dUr, dW, dU = (np.zeros_like(a) for a in (X, Wz, Uz, Wr, Ur, W, U))
        dh = np.zeros_like(h0)
        for t in reversed(range(len(X))):
            x, h, (z, r, cand) = X[t], hidden[t], gates[t]
            dh = dh + dH[t]
            delta_c = dh * (1 - z) * (1 - cand**2)
            delta_z = dh * (h - cand) * z * (1 - z)
            drh = delta_c @ U.T
            delta_r = drh * h * r * (1 - r)
            dW += x.T @ delta_c
            dU += (r * h).T @ delta_c
            dWz += x.T @ delta_z
            dUz += h.T @ delta_z
            dWr += x.T @ delta_r
            dUr += h.T @ delta_r
            dX[t] = delta_c @ W.T + delta_z @ Wz.T + delta_r @ Wr.T
            dh = dh * z + delta_z @ Uz.T + delta_r @ Ur.T
            # missing: dh = dh + drh * r
        return dX, dh, dWz, dUz, dWr, dUr, dW, dU

    return np.array(hidden[1:]), backward


@mutant(
    "gru_update_gate_of_the_other_convention",
    cause="wrong-sign",
    inputs=first_gru_inputs,
    wrong=("dxs", "dh_init", "dWz", "dUz", "dWr", "dUr", "dWc", "dUc"),
    note="z lets the new in here; its gradient was copied from where z keeps the old",
)
def gru_update_gate_of_the_other_convention(xs, h_init, Wz, Uz, Wr, Ur, Wc, Uc):
    """h = (1 - z) h + z c."""
    T = xs.shape[0]
    z, r, c, h = {}, {}, {}, {-1: h_init}
    for t in range(T):
        z[t] = sigmoid(np.dot(xs[t], Wz) + np.dot(h[t - 1], Uz))
        r[t] = sigmoid(np.dot(xs[t], Wr) + np.dot(h[t - 1], Ur))
        c[t] = np.tanh(np.dot(xs[t], Wc) + np.dot(r[t] * h[t - 1], Uc))
        h[t] = (1 - z[t]) * h[t - 1] + z[t] * c[t]

    def backward(dhs):
        dxs = np.zeros_like(xs)
        grads = {"Wz": 0, "Uz": 0, "Wr": 0, "Ur": 0, "Wc": 0, "Uc": 0}
        dh_next = np.zeros_like(h_init)
        for t in reversed(range(T)):
            dh = dhs[t] + dh_next
            dc_raw = dh * z[t] * (1 - c[t] ** 2)
            dz = dh * (h[t - 1] - c[t])  # right: dz = dh * (c[t] - h[t - 1])
            dz_raw = dz * z[t] * (1 - z[t])
            drh = np.dot(dc_raw, Uc.T)
            dr_raw = drh * h[t - 1] * r[t] * (1 - r[t])
            for gate, raw in (("z", dz_raw), ("r", dr_raw), ("c", dc_raw)):
                grads["W" + gate] = grads["W" + gate] + np.dot(xs[t].T, raw)
                seen = r[t] * h[t - 1] if gate == "c" else h[t - 1]
                grads["U" + gate] = grads["U" + gate] + np.dot(seen.T, raw)
            dxs[t] = np.dot(dz_raw, Wz.T) + np.dot(dr_raw, Wr.T) + np.dot(dc_raw, Wc.T)
            dh_next = dh * (1 - z[t]) + drh * r[t] + np.dot(dz_raw, Uz.T) + np.dot(dr_raw, Ur.T)
        return (dxs, dh_next, *grads.values())

    return np.array([h[t] for t in range(T)]), backward


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


def columns(rng):
    """Input (n_x, m), state and cell (n_a, m), then for each gate a matrix on both and a column of biases."""
    n_x, n_a, m = 3, 5, 4
    weights = (0.7 * rng.standard_normal(s) for s in [(n_a, n_a + n_x), (n_a, 1)] * 4)
    return (rng.standard_normal((n_x, m)), *(rng.standard_normal((n_a, m)) for _ in "ac"), *weights)


def lstm_columns_forward(xt, a_prev, c_prev, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    concat = np.concatenate([a_prev, xt], axis=0)
    ft = sigmoid(Wf @ concat + bf)
    it = sigmoid(Wi @ concat + bi)
    cct = np.tanh(Wc @ concat + bc)
    ot = sigmoid(Wo @ concat + bo)
    c_next = ft * c_prev + it * cct
    a_next = ot * np.tanh(c_next)
    return (a_next, c_next), (a_next, c_next, c_prev, concat, ft, it, cct, ot, Wf, Wi, Wc, Wo)


def lstm_columns_backward(da_next, dc_next, cache):
    a_next, c_next, c_prev, concat, ft, it, cct, ot, Wf, Wi, Wc, Wo = cache
    n_a = a_next.shape[0]
    dot = da_next * np.tanh(c_next) * ot * (1 - ot)
    # right: dcell = dc_next + da_next * ot * (1 - np.square(np.tanh(c_next)))
    dcell = dc_next + da_next * ot * (1 - np.square(c_next))
    dcct = dcell * it * (1 - np.square(cct))
    dit = dcell * cct * it * (1 - it)
    dft = dcell * c_prev * ft * (1 - ft)
    dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
    weights = []
    for dgate in (dft, dit, dcct, dot):
        weights += [dgate @ concat.T, np.sum(dgate, axis=1, keepdims=True)]
    return (dconcat[n_a:], dconcat[:n_a], dcell * ft, *weights)


mutant(
    "lstm_columns_tanh_of_the_cell_forgotten_in_its_derivative",
    cause="derivative-at-preactivation",
    inputs=columns,
    wrong=("dxt", "da_prev", "dc_prev", "dWf", "dbf", "dWi", "dbi", "dWc", "dbc"),
)((lstm_columns_forward, lstm_columns_backward))


def movie_of_columns(rng):
    """Input (n_x, m, T) and state (n_a, m), then for each gate a matrix on both and a column of biases."""
    n_x, n_a, m, T = 3, 4, 5, 4
    weights = (0.7 * rng.standard_normal(s) for s in [(n_a, n_a + n_x), (n_a, 1)] * 4)
    return (rng.standard_normal((n_x, m, T)), rng.standard_normal((n_a, m)), *weights)


@mutant(
    "lstm_formulas_typed_without_their_brackets",
    cause="activation-derivative-missing",
    inputs=movie_of_columns,
    wrong=("dx", "da0", "dWf", "dbf", "dWi", "dbi", "dWc", "dbc", "dWo", "dbo"),
    note="it * (1 - it) multiplies the second summand alone",
)
def lstm_formulas_typed_without_their_brackets(x, a0, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """The examples are columns, the last axis is time, the cell starts at zero."""
    n_a, T = a0.shape[0], x.shape[2]
    a_prev, c_prev, caches, a = a0, np.zeros_like(a0), [], []
    for t in range(T):
        concat = np.vstack([a_prev, x[:, :, t]])
        ft, it, ot = (sigmoid(W @ concat + b) for W, b in ((Wf, bf), (Wi, bi), (Wo, bo)))
        cct = np.tanh(Wc @ concat + bc)
        c_next = ft * c_prev + it * cct
        caches.append((concat, c_prev, ft, it, cct, ot, np.tanh(c_next)))
        a_prev, c_prev = ot * np.tanh(c_next), c_next
        a.append(a_prev)

    def backward(da):
        dx = np.zeros_like(x)
        grads = [np.zeros_like(p) for p in (Wf, bf, Wi, bi, Wc, bc, Wo, bo)]
        da_next, dc_next = np.zeros_like(a0), np.zeros_like(a0)
        for t in reversed(range(T)):
            concat, c_prev, ft, it, cct, ot, tc = caches[t]
            da_next = da_next + da[:, :, t]
            dot = da_next * tc * ot * (1 - ot)
            # right: dcct = (dc_next * it + ot * (1 - tc**2) * it * da_next) * (1 - cct**2)
            dcct = dc_next * it + ot * (1 - tc**2) * it * da_next * (1 - cct**2)
            # right: dit = (dc_next * cct + ot * (1 - tc**2) * cct * da_next) * it * (1 - it)
            dit = dc_next * cct + ot * (1 - tc**2) * cct * da_next * it * (1 - it)
            # right: dft = (dc_next * c_prev + ot * (1 - tc**2) * c_prev * da_next) * ft * (1 - ft)
            dft = dc_next * c_prev + ot * (1 - tc**2) * c_prev * da_next * ft * (1 - ft)
            for k, dgate in enumerate((dft, dit, dcct, dot)):
                grads[2 * k] += dgate @ concat.T
                grads[2 * k + 1] += dgate.sum(axis=1, keepdims=True)
            dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
            dc_next = dc_next * ft + ot * (1 - tc**2) * ft * da_next
            da_next, dx[:, :, t] = dconcat[:n_a], dconcat[n_a:]
        return (dx, da_next, *grads)

    return np.stack(a, axis=2), backward


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
    "lstm_one_slope_for_the_four_gates",
    cause="missing-factor",
    like="lstm",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="the block g passed a tanh, its derivative is that of a sigmoid",
)
def lstm_one_slope_for_the_four_gates(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    """All gates side by side in one array, on the way there and back."""
    T, (N, H) = len(x), h0.shape
    G, hs, cs = np.zeros((T, N, 4 * H)), [h0], [c0]
    for t in range(T):
        pre = x[t] @ weight_ih.T + hs[-1] @ weight_hh.T + (bias_ih + bias_hh)
        G[t] = sigmoid(pre)
        G[t, :, 2 * H : 3 * H] = np.tanh(pre[:, 2 * H : 3 * H])
        i, f, g, o = np.split(G[t], 4, axis=1)
        cs.append(f * cs[-1] + i * g)
        hs.append(o * np.tanh(cs[-1]))

    def backward(dhs, dh, dc):
        dpre = np.zeros_like(G)
        for t in range(T - 1, -1, -1):
            i, f, g, o = np.split(G[t], 4, axis=1)
            dh = dh + dhs[t]
            dc = dc + dh * o * (1 - np.tanh(cs[t + 1]) ** 2)
            dG = np.concatenate([dc * g, dc * cs[t], dc * i, dh * np.tanh(cs[t + 1])], axis=1)
            slope = G[t] * (1 - G[t])
            # missing: slope[:, 2 * H : 3 * H] = 1 - g**2
            dpre[t] = dG * slope
            dh, dc = dpre[t] @ weight_hh, dc * f
        dWx = np.tensordot(dpre, x, axes=([0, 1], [0, 1]))
        dWh = np.tensordot(dpre, np.array(hs[:-1]), axes=([0, 1], [0, 1]))
        db = dpre.sum(axis=(0, 1))
        return dpre @ weight_ih, dh, dc, dWx, dWh, db, np.copy(db), None

    return (np.array(hs[1:]), hs[-1].copy(), cs[-1].copy()), backward


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


def lstm_unit_forward(x_t, h_prev, c_prev, weight_ih, weight_hh, bias_ih, bias_hh):
    n_h = h_prev.shape[1]
    act = x_t.dot(weight_ih.T) + h_prev.dot(weight_hh.T) + (bias_ih + bias_hh)
    gate_i = sigmoid(act[:, 0:n_h])
    gate_f = sigmoid(act[:, n_h : 2 * n_h])
    cand = np.tanh(act[:, 2 * n_h : 3 * n_h])
    gate_o = sigmoid(act[:, 3 * n_h : 4 * n_h])
    c_t = gate_f * c_prev + gate_i * cand
    h_t = gate_o * np.tanh(c_t)
    return (h_t, c_t), (x_t, h_prev, c_prev, c_t, gate_i, gate_f, cand, gate_o, weight_ih, weight_hh)


def lstm_unit_backward(dh_t, dc_t, cache):
    x_t, h_prev, c_prev, c_t, gate_i, gate_f, cand, gate_o, weight_ih, weight_hh = cache
    n_h = h_prev.shape[1]
    dact = np.zeros((len(x_t), 4 * n_h))
    dcell = dc_t + dh_t * gate_o * (1 - np.tanh(c_t) ** 2)
    dgate_o = dh_t * c_t  # right: dgate_o = dh_t * np.tanh(c_t)
    dact[:, 0:n_h] = dcell * cand * gate_i * (1 - gate_i)
    dact[:, n_h : 2 * n_h] = dcell * c_prev * gate_f * (1 - gate_f)
    dact[:, 2 * n_h : 3 * n_h] = dcell * gate_i * (1 - cand**2)
    dact[:, 3 * n_h : 4 * n_h] = dgate_o * gate_o * (1 - gate_o)
    dbias = np.sum(dact, axis=0)
    return (
        dact.dot(weight_ih),
        dact.dot(weight_hh),
        dcell * gate_f,
        dact.T.dot(x_t),
        dact.T.dot(h_prev),
        dbias,
        dbias.copy(),
    )


mutant(
    "lstm_output_gate_opens_for_the_cell_without_tanh",
    cause="missing-factor",
    like="lstm_step",
    wrong=("dx_t", "dh_prev", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)((lstm_unit_forward, lstm_unit_backward))


@mutant(
    "gru_candidate_is_paid_the_share_of_the_old_state",
    cause="wrong-gate",
    like="gru",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="two conventions: here z keeps the old, in the blog where the line is from it lets the new in",
)
def gru_candidate_is_paid_the_share_of_the_old_state(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, N, _ = x.shape
    H = h0.shape[1]
    h = np.zeros((T + 1, N, H))
    h[0] = h0
    r, z, n, hn = (np.zeros((T, N, H)) for _ in range(4))
    for t in range(T):
        xr, xz, xn = np.split(x[t] @ weight_ih.T + bias_ih, 3, axis=1)
        hr, hz, hn[t] = np.split(h[t] @ weight_hh.T + bias_hh, 3, axis=1)
        r[t], z[t] = sigmoid(xr + hr), sigmoid(xz + hz)
        n[t] = np.tanh(xn + r[t] * hn[t])
        h[t + 1] = (1 - z[t]) * n[t] + z[t] * h[t]

    def backward(dy, dh_end):
        dx = np.zeros_like(x)
        dWi, dWh, dbi, dbh = (np.zeros_like(p) for p in (weight_ih, weight_hh, bias_ih, bias_hh))
        dh = dh_end.copy()
        for t in range(T)[::-1]:
            dh += dy[t]
            dn = dh * z[t]  # right: dn = dh * (1 - z[t])
            dz = dh * (h[t] - n[t])
            dxn = dn * (1 - n[t] ** 2)
            dxz = dz * z[t] * (1 - z[t])
            dxr = dxn * hn[t] * r[t] * (1 - r[t])
            from_x = np.concatenate([dxr, dxz, dxn], axis=1)
            from_h = np.concatenate([dxr, dxz, dxn * r[t]], axis=1)
            dWi += from_x.T @ x[t]
            dWh += from_h.T @ h[t]
            dbi += from_x.sum(axis=0)
            dbh += from_h.sum(axis=0)
            dx[t] = from_x @ weight_ih
            dh = dh * z[t] + from_h @ weight_hh
        return dx, dh, dWi, dWh, dbi, dbh, None

    return (h[1:].copy(), h[T].copy()), backward


def peephole_inputs(rng):
    """Words (T, N, D), state and cell (N, H), the weights of i f o g side by side, and one peephole (H,) for i f o."""
    T, N, D, H = 4, 2, 3, 5
    shapes = [(T, N, D), (N, H), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,), (H,), (H,), (H,)]
    return tuple(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "peephole_lstm_old_cell_hears_nothing_from_the_gates",
    cause="branch-missing",
    inputs=peephole_inputs,
    wrong=("dX", "dh0", "dc0", "dW", "dU", "db", "dp_i", "dp_f", "dp_o"),
    note="input and forget gate look at the old cell, and it is carried back by the forget gate alone",
)
def peephole_lstm_old_cell_hears_nothing_from_the_gates(X, h0, c0, W, U, b, p_i, p_f, p_o):
    H = h0.shape[1]
    hs, cs, acts = [h0], [c0], []
    for X_t in X:
        a = X_t @ W + hs[-1] @ U + b
        i = sigmoid(a[:, :H] + p_i * cs[-1])
        f = sigmoid(a[:, H : 2 * H] + p_f * cs[-1])
        g = np.tanh(a[:, 3 * H :])
        cs.append(f * cs[-1] + i * g)
        o = sigmoid(a[:, 2 * H : 3 * H] + p_o * cs[-1])
        hs.append(o * np.tanh(cs[-1]))
        acts.append((i, f, o, g))

    def backward(dhs):
        dX = np.zeros_like(X)
        dW, dU, db, dp_i, dp_f, dp_o = (np.zeros_like(p) for p in (W, U, b, p_i, p_f, p_o))
        dh, dc = np.zeros_like(h0), np.zeros_like(c0)
        for t in reversed(range(len(X))):
            i, f, o, g = acts[t]
            dh = dh + dhs[t]
            th = np.tanh(cs[t + 1])
            da_o = dh * th * o * (1 - o)
            dc = dc + dh * o * (1 - th**2) + da_o * p_o
            da_i = dc * g * i * (1 - i)
            da_f = dc * cs[t] * f * (1 - f)
            da_g = dc * i * (1 - g**2)
            dp_i += np.sum(da_i * cs[t], axis=0)
            dp_f += np.sum(da_f * cs[t], axis=0)
            dp_o += np.sum(da_o * cs[t + 1], axis=0)
            da = np.concatenate([da_i, da_f, da_o, da_g], axis=1)
            dW += X[t].T @ da
            dU += hs[t].T @ da
            db += da.sum(axis=0)
            dX[t], dh = da @ W.T, da @ U.T
            dc = dc * f  # right: dc = dc * f + da_i * p_i + da_f * p_f
        return dX, dh, dc, dW, dU, db, dp_i, dp_f, dp_o

    return np.array(hs[1:]), backward


def step_of_columns(rng):
    """Input (n_x, m), state and cell (n_a, m), then a matrix and a bias for forget, update, candidate, output."""
    n_x, n_a, m = 4, 3, 5
    weights = (0.7 * rng.standard_normal(s) for s in [(n_a, n_a + n_x), (n_a, 1)] * 4)
    return (rng.standard_normal((n_x, m)), *(rng.standard_normal((n_a, m)) for _ in "ac"), *weights)


@mutant(
    "lstm_cell_forget_gate_on_the_first_summand_alone",
    cause="forget-gate-not-in-carry",
    also=("missing-factor",),
    inputs=step_of_columns,
    wrong=("dc_prev",),
    note="dc_next * ft is on the sheet; what comes through a_next passes the same gate",
)
def lstm_cell_forget_gate_on_the_first_summand_alone(xt, a_prev, c_prev, Wf, bf, Wu, bu, Wc, bc, Wo, bo):
    n_a = a_prev.shape[0]
    stacked = np.concatenate((a_prev, xt))
    ft, ut, ot = (sigmoid(np.dot(W, stacked) + bias) for W, bias in ((Wf, bf), (Wu, bu), (Wo, bo)))
    cct = np.tanh(np.dot(Wc, stacked) + bc)
    c_next = ft * c_prev + ut * cct
    tanh_c = np.tanh(c_next)

    def backward(da_next, dc_next):
        through_a = da_next * ot * (1 - tanh_c**2)
        dgamma_o = da_next * tanh_c * ot * (1 - ot)
        dp_c = (dc_next + through_a) * ut * (1 - cct**2)
        dgamma_u = (dc_next + through_a) * cct * ut * (1 - ut)
        dgamma_f = (dc_next + through_a) * c_prev * ft * (1 - ft)
        dstacked = np.dot(Wf.T, dgamma_f) + np.dot(Wu.T, dgamma_u) + np.dot(Wc.T, dp_c) + np.dot(Wo.T, dgamma_o)
        # right: dc_prev = dc_next * ft + through_a * ft
        dc_prev = dc_next * ft + through_a
        grads = []
        for d in (dgamma_f, dgamma_u, dp_c, dgamma_o):
            grads.extend([np.dot(d, stacked.T), d.sum(axis=1, keepdims=True)])
        return (dstacked[n_a:].copy(), dstacked[:n_a].copy(), dc_prev, *grads)

    return (ot * tanh_c, c_next), backward


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
