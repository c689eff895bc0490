# ruff: noqa: RUF059 (students unpack every shape)
"""Gated recurrent units: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import draw_2, draw_5, sigmoid


def gru_row_inputs(rng):
    """A word (N, D), a state (N, H), the weights of z r h side by side."""
    N, D, H = 4, 5, 3
    return draw_2((N, D), (N, H), (D, 3 * H), (H, 3 * H), (3 * H,))(rng)


def gru_row_forward(x, h_prev, Wx, Wh, b):
    """Cho's: the reset gate is applied before the matrix."""
    H = h_prev.shape[1]
    z = sigmoid(x @ Wx[:, :H] + h_prev @ Wh[:, :H] + b[:H])
    r = sigmoid(x @ Wx[:, H : 2 * H] + h_prev @ Wh[:, H : 2 * H] + b[H : 2 * H])
    h_hat = np.tanh(x @ Wx[:, 2 * H :] + (r * h_prev) @ Wh[:, 2 * H :] + b[2 * H :])
    return (1 - z) * h_prev + z * h_hat, (x, h_prev, Wx, Wh, z, r, h_hat)


def gru_row_backward(dh_next, cache):
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
    "gru_pair_state_under_the_reset_gate_forgotten",
    cause="branch-missing",
    inputs=gru_row_inputs,
    wrong=("dh_prev",),
    note="the product r h hands a gradient to r, and none to h",
)((gru_row_forward, gru_row_backward))


def gru_sentence(rng):
    """Words (T, D), a state (H,), then W, U and b of update gate, reset gate and candidate, for vectors."""
    T, D, H = 4, 5, 3
    return draw_2((T, D), (H,), *[(H, D), (H, H), (H,)] * 3)(rng)


@mutant(
    "gru_sentence_update_gate_learns_the_other_way_round",
    cause="wrong-sign",
    inputs=gru_sentence,
    wrong=("dx", "dh0", "dWz", "dUz", "dbz", "dWr", "dUr", "dbr", "dWn", "dUn", "dbn"),
    note="here z keeps the old state",
)
def gru_sentence_update_gate_learns_the_other_way_round(x, h0, Wz, Uz, bz, Wr, Ur, br, Wn, Un, bn):
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
    "gru_gradient_does_not_cross_the_padding",
    cause="branch-missing",
    also=("missing-dh-carry",),
    like="gru, mask",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="m new + (1 - m) old: padding hands on the state, and stops its gradient",
)
def gru_gradient_does_not_cross_the_padding(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
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


@mutant(
    "gru_of_one_paper_update_gate_of_the_other",
    cause="wrong-sign",
    inputs=draw_5((2, 4, 3), (2, 5), *[(3, 5)] * 3, *[(5, 5)] * 3, *[(5,)] * 3),
    wrong=("dx", "dh0", "dWz", "dWr", "dWn", "dUz", "dUr", "dUn", "dbz", "dbr", "dbn"),
    note="here z lets the new one in; there it keeps the old one",
)
def gru_of_one_paper_update_gate_of_the_other(x, h0, Wz, Wr, Wn, Uz, Ur, Un, bz, br, bn):
    T = x.shape[1]
    h, kept = [h0], []
    for t in range(T):
        z = sigmoid(x[:, t] @ Wz + h[t] @ Uz + bz)
        r = sigmoid(x[:, t] @ Wr + h[t] @ Ur + br)
        n = np.tanh(x[:, t] @ Wn + (r * h[t]) @ Un + bn)
        kept.append((z, r, n))
        h.append((1 - z) * h[t] + z * n)

    def backward(dy):
        dx, dh = np.zeros_like(x), np.zeros_like(h0)
        dW = [np.zeros_like(w) for w in (Wz, Wr, Wn)]
        dU = [np.zeros_like(u) for u in (Uz, Ur, Un)]
        db = [np.zeros_like(b) for b in (bz, br, bn)]
        for t in reversed(range(T)):
            z, r, n = kept[t]
            dh = dh + dy[:, t]
            dan = dh * z * (1 - n**2)
            drh = dan @ Un.T
            dz = dh * (h[t] - n)  # right: dz = dh * (n - h[t])
            daz, dar = dz * z * (1 - z), drh * h[t] * r * (1 - r)
            for k, (da, state) in enumerate([(daz, h[t]), (dar, h[t]), (dan, r * h[t])]):
                dW[k] += x[:, t].T @ da
                dU[k] += state.T @ da
                db[k] += da.sum(axis=0)
            dx[:, t] = daz @ Wz.T + dar @ Wr.T + dan @ Wn.T
            dh = dh * (1 - z) + drh * r + daz @ Uz.T + dar @ Ur.T
        return (dx, dh, *dW, *dU, *db)

    return np.stack(h[1:], axis=1), backward


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


@mutant(
    "gru_step_state_is_heard_through_the_matrices_alone",
    cause="branch-missing",
    like="gru_step",
    wrong=("dh",),
    note="z h is in the forward pass, a path without any weight",
)
def gru_step_state_is_heard_through_the_matrices_alone(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
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


@mutant(
    "gru_takes_true_for_padding_on_the_way_back",
    cause="mask-inverted",
    like="gru, mask",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="as another library has it",
)
def gru_takes_true_for_padding_on_the_way_back(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
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
    "gru_step_reset_gate_meets_the_state_without_its_bias",
    cause="missing-factor",
    like="gru_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="what r multiplied was not kept, and is computed anew, as W h where it was W h + b",
)
def gru_step_reset_gate_meets_the_state_without_its_bias(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    k = h.shape[1]
    from_x = x @ weight_ih.T + bias_ih
    from_h = h @ weight_hh.T + bias_hh
    gates = sigmoid(from_x[:, : 2 * k] + from_h[:, : 2 * k])
    r, z = gates[:, :k], gates[:, k:]
    h_tilde = np.tanh(from_x[:, 2 * k :] + r * from_h[:, 2 * k :])

    def backward(dh_new):
        d_tilde = dh_new * (1 - z) * (1 - h_tilde**2)
        # right: d_r = d_tilde * (h @ weight_hh[2 * k :].T + bias_hh[2 * k :])
        d_r = d_tilde * (h @ weight_hh[2 * k :].T)
        d_z = dh_new * (h - h_tilde)
        d_from_x = np.hstack([d_r * r * (1 - r), d_z * z * (1 - z), d_tilde])
        d_from_h = d_from_x.copy()
        d_from_h[:, 2 * k :] *= r
        dh = d_from_h @ weight_hh + dh_new * z
        return d_from_x @ weight_ih, dh, d_from_x.T @ x, d_from_h.T @ h, d_from_x.sum(0), d_from_h.sum(0)

    return (1 - z) * h_tilde + z * h, backward
