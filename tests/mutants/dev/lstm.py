# ruff: noqa: RUF059 (students unpack every shape)
"""Long short-term memory, steps and sequences: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_2, gate_by_gate_inputs, sigmoid


@mutant(
    "lstm_step_output_gate_meets_the_cell_itself",
    cause="missing-factor",
    like="lstm_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="o multiplies tanh(c), not c",
)
def lstm_step_output_gate_meets_the_cell_itself(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
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
    "lstm_loop_back_ends_before_the_first_word",
    cause="off-by-one",
    also=("sum-missing",),
    like="lstm",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="`range` leaves its end out; what the first step adds to the sums is missing as well",
)
def lstm_loop_back_ends_before_the_first_word(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
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


def course_cell_forward(xt, a_prev, Wax, Waa, ba):
    """Examples are columns."""
    a_next = np.tanh(np.dot(Wax, xt) + np.dot(Waa, a_prev) + ba)
    return a_next, (a_next, a_prev, xt, Wax, Waa)


def course_cell_backward(da_next, cache):
    a_next, a_prev, xt, Wax, Waa = cache
    dtanh = da_next * (1 - np.tanh(a_next) ** 2)  # right: dtanh = da_next * (1 - a_next**2)
    dxt, dWax = np.dot(Wax.T, dtanh), np.dot(dtanh, xt.T)
    da_prev, dWaa = np.dot(Waa.T, dtanh), np.dot(dtanh, a_prev.T)
    dba = np.sum(dtanh, axis=1, keepdims=True)
    return dxt, da_prev, dWax, dWaa, dba


mutant(
    "course_rnn_cell_takes_the_tanh_of_a_next_again",
    cause="derivative-at-preactivation",
    inputs=arrays_2((4, 6), (5, 6), (5, 4), (5, 5), (5, 1)),
    wrong=("dxt", "da_prev", "dWax", "dWaa", "dba"),
    note="1 - tanh(.)^2 is looked up, and is given what is a tanh already",
)((course_cell_forward, course_cell_backward))


def lstm_ifog_forward(x, prev_h, prev_c, Wx, Wh, b):
    """The gates stand side by side, in the order i f o g."""
    H = prev_h.shape[1]
    a = np.dot(x, Wx) + np.dot(prev_h, Wh) + b
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 2 * H : 3 * H])
    g = np.tanh(a[:, 3 * H :])
    next_c = f * prev_c + i * g
    return (o * np.tanh(next_c), next_c), (x, prev_h, prev_c, Wx, Wh, i, f, o, g, np.tanh(next_c))


def lstm_ifog_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c = cache
    dc = dnext_c + dnext_h * o * (1 - tanh_c**2)
    dai = dc * g * i * (1 - i)
    daf = dc * prev_c * f * (1 - f)
    dag = dc * i * (1 - g**2)
    dao = dnext_h * tanh_c * o * (1 - o)
    da = np.hstack([dai, daf, dag, dao])  # right: da = np.hstack([dai, daf, dao, dag])
    return np.dot(da, Wx.T), np.dot(da, Wh.T), dc * f, np.dot(x.T, da), np.dot(prev_h.T, da), da.sum(axis=0)


mutant(
    "lstm_split_as_ifog_and_stacked_as_ifgo",
    cause="permuted-gates",
    inputs=arrays_2((5, 4), (5, 3), (5, 3), (4, 12), (3, 12), (12,)),
    wrong=("dx", "dprev_h", "dWx", "dWh", "db"),
    note="stacked before the matrices, so that dx and dprev_h meet the wrong columns",
)((lstm_ifog_forward, lstm_ifog_backward))


@mutant(
    "lstm_step_hands_back_the_cell_before_the_state",
    cause="swapped-gradients",
    like="lstm_step",
    wrong=("dh", "dc"),
    note="the two are of one shape",
)
def lstm_step_hands_back_the_cell_before_the_state(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
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


@mutant(
    "lstm_forget_gate_gets_the_partner_of_the_input_gate",
    cause="wrong-gate",
    like="lstm",
    wrong=("dx", "dh0", "dc0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="pasted from the line above",
)
def lstm_forget_gate_gets_the_partner_of_the_input_gate(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
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


def lstm_assignment_inputs(rng):
    """Input (N, D), state and cell (N, H), the weights of i f o g side by side."""
    N, D, H = 4, 5, 3
    shapes = [(N, D), (N, H), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,)]
    return tuple(0.8 * rng.standard_normal(s) for s in shapes)


def lstm_assignment_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x.dot(Wx) + prev_h.dot(Wh) + b
    i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
    g = np.tanh(a[:, 3 * H :])
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    return (next_h, next_c), (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)


def lstm_assignment_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    tanh_next_c = np.tanh(next_c)
    do = dnext_h * tanh_next_c
    dc = dnext_c.copy()
    # missing: dc += dnext_h * o * (1 - tanh_next_c**2)
    df, dprev_c = dc * prev_c, dc * f
    di, dg = dc * g, dc * i
    da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)))
    return da.dot(Wx.T), da.dot(Wh.T), dprev_c, x.T.dot(da), prev_h.T.dot(da), da.sum(axis=0)


mutant(
    "lstm_assignment_cell_hears_from_the_next_cell_alone",
    cause="branch-missing",
    inputs=lstm_assignment_inputs,
    wrong=("dx", "dprev_h", "dprev_c", "dWx", "dWh", "db"),
    note="next_h is made of next_c",
)((lstm_assignment_forward, lstm_assignment_backward))


@mutant(
    "lstm_step_slope_of_the_output_gate_in_its_line_and_in_the_loop",
    cause="activation-derivative-doubled",
    like="lstm_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="the line for do is from where it stands alone",
)
def lstm_step_slope_of_the_output_gate_in_its_line_and_in_the_loop(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    H = h.shape[1]
    net = x.dot(weight_ih.T) + bias_ih + h.dot(weight_hh.T) + bias_hh
    blocks = {gate: slice(k * H, (k + 1) * H) for k, gate in enumerate("ifgo")}
    act = {gate: sigmoid(net[:, blocks[gate]]) for gate in "ifo"}
    act["g"] = np.tanh(net[:, blocks["g"]])
    c_new = act["f"] * c + act["i"] * act["g"]
    squashed = np.tanh(c_new)

    def backward(dh_new, dc_new):
        o = act["o"]
        dcell = dc_new + dh_new * o * (1 - squashed**2)
        grad = {"i": dcell * act["g"], "f": dcell * c, "g": dcell * act["i"]}
        grad["o"] = dh_new * squashed * o * (1 - o)  # right: grad["o"] = dh_new * squashed
        dnet = np.zeros_like(net)
        for gate in "ifo":
            dnet[:, blocks[gate]] = grad[gate] * act[gate] * (1 - act[gate])
        dnet[:, blocks["g"]] = grad["g"] * (1 - act["g"] ** 2)
        db = dnet.sum(axis=0)
        return (
            dnet.dot(weight_ih),
            dnet.dot(weight_hh),
            dcell * act["f"],
            dnet.T.dot(x),
            dnet.T.dot(h),
            db,
            db.copy(),
        )

    return (act["o"] * squashed, c_new), backward
