# ruff: noqa: RUF059 (students unpack every shape)
"""Gated recurrent units: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import draw_3, normal_2, sigmoid


@mutant(
    "gru_step_update_gate_from_the_other_convention",
    cause="wrong-sign",
    like="gru_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="in half of the papers z lets the new state in, in the others it keeps the old one",
)
def gru_step_update_gate_from_the_other_convention(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    """One sentence after the other."""
    N, H = h.shape
    out, saved = np.zeros((N, H)), []
    for k in range(N):
        a, u = weight_ih @ x[k] + bias_ih, weight_hh @ h[k] + bias_hh
        r, z = sigmoid(a[:H] + u[:H]), sigmoid(a[H : 2 * H] + u[H : 2 * H])
        cand = np.tanh(a[2 * H :] + r * u[2 * H :])
        saved.append((r, z, cand, u[2 * H :]))
        out[k] = z * h[k] + (1 - z) * cand

    def backward(dout):
        dx, dh = np.zeros_like(x), np.zeros_like(h)
        dwi, dwh = np.zeros_like(weight_ih), np.zeros_like(weight_hh)
        dbi, dbh = np.zeros_like(bias_ih), np.zeros_like(bias_hh)
        for k in range(N):
            r, z, cand, u_cand = saved[k]
            dcand = dout[k] * (1 - z) * (1 - cand**2)
            dz = dout[k] * (cand - h[k]) * z * (1 - z)  # right: dz = dout[k] * (h[k] - cand) * z * (1 - z)
            dr = dcand * u_cand * r * (1 - r)
            da, du = np.concatenate([dr, dz, dcand]), np.concatenate([dr, dz, dcand * r])
            dwi += np.outer(da, x[k])
            dwh += np.outer(du, h[k])
            dbi += da
            dbh += du
            dx[k] = weight_ih.T @ da
            dh[k] = dout[k] * z + weight_hh.T @ du
        return dx, dh, dwi, dwh, dbi, dbh

    return out, backward


@mutant(
    "cho_gru_reset_gate_without_the_state_it_scales",
    cause="missing-factor",
    inputs=draw_3((3, 4), (3, 5), *[(4, 5), (5, 5), (5,)] * 3),
    wrong=("dx", "dh_prev", "dWr", "dUr", "dbr"),
    note="the product r * h is differentiated by h, and not by r",
)
def cho_gru_reset_gate_without_the_state_it_scales(x, h_prev, Wz, Uz, bz, Wr, Ur, br, Wh, Uh, bh):
    """The reset gate comes before the matrix, as in the paper."""
    z = sigmoid(x @ Wz + h_prev @ Uz + bz)
    r = sigmoid(x @ Wr + h_prev @ Ur + br)
    rh = r * h_prev
    h_hat = np.tanh(x @ Wh + rh @ Uh + bh)
    h_next = z * h_prev + (1 - z) * h_hat

    def backward(dh_next):
        dah = dh_next * (1 - z) * (1 - h_hat**2)
        drh = dah @ Uh.T
        dr = drh  # right: dr = drh * h_prev
        dar = dr * r * (1 - r)
        daz = dh_next * (h_prev - h_hat) * z * (1 - z)
        dx = daz @ Wz.T + dar @ Wr.T + dah @ Wh.T
        dh_prev = dh_next * z + drh * r + dar @ Ur.T + daz @ Uz.T
        of_z = x.T @ daz, h_prev.T @ daz, daz.sum(axis=0)
        of_r = x.T @ dar, h_prev.T @ dar, dar.sum(axis=0)
        of_h = x.T @ dah, rh.T @ dah, dah.sum(axis=0)
        return (dx, dh_prev, *of_z, *of_r, *of_h)

    return h_next, backward


def book_gru_forward(x, h_prev, Wx, Wh, b):
    """The three matrices stand side by side, in the order z r h."""
    H = h_prev.shape[1]
    Wxz, Wxr, Wxh = Wx[:, :H], Wx[:, H : 2 * H], Wx[:, 2 * H :]
    Whz, Whr, Whh = Wh[:, :H], Wh[:, H : 2 * H], Wh[:, 2 * H :]
    bz, br, bh = b[:H], b[H : 2 * H], b[2 * H :]
    z = sigmoid(np.dot(x, Wxz) + np.dot(h_prev, Whz) + bz)
    r = sigmoid(np.dot(x, Wxr) + np.dot(h_prev, Whr) + br)
    h_hat = np.tanh(np.dot(x, Wxh) + np.dot(r * h_prev, Whh) + bh)
    return (1 - z) * h_prev + z * h_hat, (x, h_prev, Wx, Wh, z, r, h_hat)


def book_gru_backward(dh_next, cache):
    x, h_prev, Wx, Wh, z, r, h_hat = cache
    H = h_prev.shape[1]
    dt = dh_next * z * (1 - h_hat**2)
    dWhh = np.dot(h_prev.T, dt)  # right: dWhh = np.dot((r * h_prev).T, dt)
    dhr = np.dot(dt, Wh[:, 2 * H :].T)
    dtz = dh_next * (h_hat - h_prev) * z * (1 - z)
    dtr = dhr * h_prev * r * (1 - r)
    dh_prev = dh_next * (1 - z) + dhr * r + np.dot(dtz, Wh[:, :H].T) + np.dot(dtr, Wh[:, H : 2 * H].T)
    dall = np.hstack((dtz, dtr, dt))
    dWh = np.hstack((np.dot(h_prev.T, dtz), np.dot(h_prev.T, dtr), dWhh))
    return np.dot(dall, Wx.T), dh_prev, np.dot(x.T, dall), dWh, dall.sum(axis=0)


mutant(
    "book_gru_third_matrix_meets_the_state_that_was_not_reset",
    cause="missing-factor",
    inputs=normal_2((3, 4), (3, 5), (4, 15), (5, 15), (15,)),
    wrong=("dWh",),
    note="for z and r the state is h_prev, for h_hat it is r * h_prev",
)((book_gru_forward, book_gru_backward))


@mutant(
    "columns_gru_candidate_matrix_not_turned",
    cause="transposed",
    inputs=normal_2((4, 3), (5, 3), *[(5, 4), (5, 5), (5, 1)] * 3),
    wrong=("dxt", "dh_prev", "dWr", "dUr", "dbr"),
    note="the W of the inputs must be turned to fit, the square U need not",
)
def columns_gru_candidate_matrix_not_turned(xt, h_prev, Wu, Uu, bu, Wr, Ur, br, Wc, Uc, bc):
    """Examples are columns; u lets the new state in."""
    u = sigmoid(Wu @ xt + Uu @ h_prev + bu)
    r = sigmoid(Wr @ xt + Ur @ h_prev + br)
    c = np.tanh(Wc @ xt + Uc @ (r * h_prev) + bc)

    def backward(dh):
        dc = dh * u * (1 - c**2)
        drh = Uc @ dc  # right: drh = Uc.T @ dc
        du = dh * (c - h_prev) * u * (1 - u)
        dr = drh * h_prev * r * (1 - r)
        dxt = Wu.T @ du + Wr.T @ dr + Wc.T @ dc
        dh_prev = dh * (1 - u) + drh * r + Uu.T @ du + Ur.T @ dr
        of_u = du @ xt.T, du @ h_prev.T, du.sum(axis=1, keepdims=True)
        of_r = dr @ xt.T, dr @ h_prev.T, dr.sum(axis=1, keepdims=True)
        of_c = dc @ xt.T, dc @ (r * h_prev).T, dc.sum(axis=1, keepdims=True)
        return (dxt, dh_prev, *of_u, *of_r, *of_c)

    return u * c + (1 - u) * h_prev, backward


def dsigmoid(s):
    """Of the output of the sigmoid."""
    return s * (1 - s)


@mutant(
    "gru_step_reset_slope_is_handed_the_sum_before_the_sigmoid",
    cause="derivative-at-preactivation",
    like="gru_step",
    wrong=("dx", "dh", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="both were kept, under names that differ in one letter",
)
def gru_step_reset_slope_is_handed_the_sum_before_the_sigmoid(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    xr, xz, xn = np.split(x @ weight_ih.T + bias_ih, 3, axis=1)
    hr, hz, hn = np.split(h @ weight_hh.T + bias_hh, 3, axis=1)
    ar, az = xr + hr, xz + hz
    r, z = sigmoid(ar), sigmoid(az)
    n = np.tanh(xn + r * hn)

    def backward(dy):
        dan = dy * (1 - z) * (1 - n**2)
        daz = dy * (h - n) * dsigmoid(z)
        dar = dan * hn * dsigmoid(ar)  # right: dar = dan * hn * dsigmoid(r)
        dgx = np.concatenate([dar, daz, dan], axis=1)
        dgh = np.concatenate([dar, daz, dan * r], axis=1)
        dh = dy * z + dgh @ weight_hh
        return dgx @ weight_ih, dh, dgx.T @ x, dgh.T @ h, dgx.sum(axis=0), dgh.sum(axis=0)

    return (1 - z) * n + z * h, backward


@mutant(
    "gru_carry_through_the_gate_that_lets_the_new_in",
    cause="wrong-gate",
    also=("missing-factor", "forget-gate-not-in-carry"),
    inputs=normal_2((4, 2, 3), (2, 5), *[(3, 5), (5, 5), (5,)] * 3),
    wrong=("dx", "dh0", "dWz", "dUz", "dbz", "dWr", "dUr", "dbr", "dWh", "dUh", "dbh"),
    note="here z is how much is new, the line is from where z is how much is old",
)
def gru_carry_through_the_gate_that_lets_the_new_in(x, h0, Wz, Uz, bz, Wr, Ur, br, Wh, Uh, bh):
    h, z, r, c = [h0], [], [], []
    for t in range(len(x)):
        z.append(sigmoid(x[t] @ Wz + h[t] @ Uz + bz))
        r.append(sigmoid(x[t] @ Wr + h[t] @ Ur + br))
        c.append(np.tanh(x[t] @ Wh + (r[t] * h[t]) @ Uh + bh))
        h.append((1 - z[t]) * h[t] + z[t] * c[t])

    def backward(dout):
        dx, dWz, dUz, dbz, dWr, dUr, dbr, dWh, dUh, dbh = (
            np.zeros_like(a) for a in (x, Wz, Uz, bz, Wr, Ur, br, Wh, Uh, bh)
        )
        dh = np.zeros_like(h0)
        for t in reversed(range(len(x))):
            dh = dh + dout[t]
            dc = dh * z[t] * (1 - c[t] ** 2)
            dz = dh * (c[t] - h[t]) * z[t] * (1 - z[t])
            drh = dc @ Uh.T
            dr = drh * h[t] * r[t] * (1 - r[t])
            for d, state, dW, dU, db in ((dz, h[t], dWz, dUz, dbz), (dr, h[t], dWr, dUr, dbr)):
                dW += x[t].T @ d
                dU += state.T @ d
                db += d.sum(axis=0)
            dWh += x[t].T @ dc
            dUh += (r[t] * h[t]).T @ dc
            dbh += dc.sum(axis=0)
            dx[t] = dz @ Wz.T + dr @ Wr.T + dc @ Wh.T
            dh_direct = dh * z[t]  # right: dh_direct = dh * (1 - z[t])
            dh = dh_direct + dz @ Uz.T + dr @ Ur.T + drh * r[t]
        return dx, dh, dWz, dUz, dbz, dWr, dUr, dbr, dWh, dUh, dbh

    return np.array(h[1:]), backward


@mutant(
    "gru_update_gate_goes_back_as_if_linear",
    cause="activation-derivative-missing",
    like="gru",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="dz is the gradient of z, and is used as that of what stands in the sigmoid",
)
def gru_update_gate_goes_back_as_if_linear(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    h, caches, out = h0, [], np.zeros((len(x), *h0.shape))
    for t, x_t in enumerate(x):
        i_r, i_z, i_n = np.split(x_t @ weight_ih.T + bias_ih, 3, axis=1)
        h_r, h_z, h_n = np.split(h @ weight_hh.T + bias_hh, 3, axis=1)
        r, z = sigmoid(i_r + h_r), sigmoid(i_z + h_z)
        n = np.tanh(i_n + r * h_n)
        caches.append((x_t, h, h_n, r, z, n))
        out[t] = h = n + z * (h - n)

    def backward(dout, dh):
        dx = np.zeros_like(x)
        dwi, dwh, dbi, dbh = (np.zeros_like(p) for p in (weight_ih, weight_hh, bias_ih, bias_hh))
        for t in range(len(x) - 1, -1, -1):
            x_t, h_prev, h_n, r, z, n = caches[t]
            dh = dh + dout[t]
            dn = dh * (1 - z)
            dz = dh * (h_prev - n)
            dtanh = dn * (1 - n**2)
            dr = dtanh * h_n
            dsig_r = dr * r * (1 - r)
            dsig_z = dz  # right: dsig_z = dz * z * (1 - z)
            di, dhid = np.hstack([dsig_r, dsig_z, dtanh]), np.hstack([dsig_r, dsig_z, dtanh * r])
            dx[t] = di @ weight_ih
            dwi += di.T @ x_t
            dwh += dhid.T @ h_prev
            dbi += di.sum(axis=0)
            dbh += dhid.sum(axis=0)
            dh = dh * z + dhid @ weight_hh
        return dx, dh, dwi, dwh, dbi, dbh, None

    return (out, h.copy()), backward


@mutant(
    "gru_listens_to_outputs_that_it_set_to_zero",
    cause="mask-not-applied",
    like="gru, mask",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="the state has its mask on the way back, the output has not",
)
def gru_listens_to_outputs_that_it_set_to_zero(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, H = len(x), h0.shape[1]
    m = mask[:, :, None] * 1.0
    hs, rs, zs, ns, us = [h0], [], [], [], []
    for t in range(T):
        gx, gh = x[t] @ weight_ih.T + bias_ih, hs[t] @ weight_hh.T + bias_hh
        rs.append(sigmoid(gx[:, :H] + gh[:, :H]))
        zs.append(sigmoid(gx[:, H:-H] + gh[:, H:-H]))
        us.append(gh[:, -H:])
        ns.append(np.tanh(gx[:, -H:] + rs[t] * us[t]))
        h = (1 - zs[t]) * ns[t] + zs[t] * hs[t]
        hs.append(m[t] * h + (1 - m[t]) * hs[t])

    def backward(dy, dh):
        dgx, dgh = np.zeros((T, len(h0), 3 * H)), np.zeros((T, len(h0), 3 * H))
        for t in range(T - 1, -1, -1):
            dh = dh + dy[t]  # right: dh = dh + dy[t] * m[t]
            dh_real = dh * m[t]
            dn = dh_real * (1 - zs[t]) * (1 - ns[t] ** 2)
            dz = dh_real * (hs[t] - ns[t]) * zs[t] * (1 - zs[t])
            dr = dn * us[t] * rs[t] * (1 - rs[t])
            dgx[t], dgh[t] = np.hstack((dr, dz, dn)), np.hstack((dr, dz, dn * rs[t]))
            dh = dh_real * zs[t] + dgh[t] @ weight_hh + dh * (1 - m[t])
        dwi = np.tensordot(dgx, x, axes=((0, 1), (0, 1)))
        dwh = np.tensordot(dgh, np.array(hs[:-1]), axes=((0, 1), (0, 1)))
        return dgx @ weight_ih, dh, dwi, dwh, dgx.sum(axis=(0, 1)), dgh.sum(axis=(0, 1)), None

    return (np.array(hs[1:]) * m, hs[T].copy()), backward


def gated_2(x, h0, W, U, b):
    """A gated layer over x (T, N, D), gates z r n side by side, reset before the matrix; states, and the way back."""
    H = h0.shape[1]
    h, tape = h0, []
    for x_t in x:
        gates = sigmoid(x_t @ W[:, : 2 * H] + h @ U[:, : 2 * H] + b[: 2 * H])
        z, r = gates[:, :H], gates[:, H:]
        n = np.tanh(x_t @ W[:, 2 * H :] + (r * h) @ U[:, 2 * H :] + b[2 * H :])
        tape.append((h, z, r, n))
        h = z * h + (1 - z) * n
    states = np.array([before for before, *_ in tape[1:]] + [h])

    def backward(dstates):
        dx, dW, dU, db, dh = (np.zeros_like(a) for a in (x, W, U, b, h0))
        for t in reversed(range(len(x))):
            before, z, r, n = tape[t]
            dh = dh + dstates[t]
            dn = dh * (1 - z) * (1 - n**2)
            dz = dh * (before - n) * z * (1 - z)
            drh = dn @ U[:, 2 * H :].T
            gates = np.hstack([dz, drh * before * r * (1 - r)])
            da = np.hstack([gates, dn])
            dx[t] = da @ W.T
            dW += x[t].T @ da
            dU += np.hstack([before.T @ gates, (r * before).T @ dn])
            db += da.sum(axis=0)
            dh = dh * z + drh * r + gates @ U[:, : 2 * H].T
        return dx, dh, dW, dU, db

    return states, backward


@mutant(
    "stacked_gru_dropout_between_layers_is_only_zero_or_one",
    cause="dropout-scale-missing",
    also=("constant-factor",),
    inputs=normal_2((4, 2, 3), (2, 4), (3, 12), (4, 12), (12,), (2, 3), (4, 9), (3, 9), (9,)),
    wrong=("dx", "dh0", "dW0", "dU0", "db0"),
    note="the mask that was kept is that of what is on, without the scale",
)
def stacked_gru_dropout_between_layers_is_only_zero_or_one(x, h0, W0, U0, b0, h1, W1, U1, b1):
    keep_prob = 0.6
    lower, lower_backward = gated_2(x, h0, W0, U0, b0)
    on = np.random.default_rng(5).random(lower.shape) < keep_prob
    upper, upper_backward = gated_2(lower * on / keep_prob, h1, W1, U1, b1)

    def backward(dupper):
        ddropped, *of_upper = upper_backward(dupper)
        dlower = ddropped * on  # right: dlower = ddropped * on / keep_prob
        return (*lower_backward(dlower), *of_upper)

    return upper, backward


@mutant(
    "bidirectional_gru_halves_taken_by_reshape",
    cause="permuted-axes",
    inputs=normal_2((4, 3, 2), *[(3, 5), (2, 15), (5, 15), (15,)] * 2),
    wrong=("dx", "dh_f", "dW_f", "dU_f", "db_f", "dh_b", "dW_b", "dU_b", "db_b"),
    note="two halves of the last axis are not two halves of the memory",
)
def bidirectional_gru_halves_taken_by_reshape(x, h_f, W_f, U_f, b_f, h_b, W_b, U_b, b_b):
    """The states of the two, side by side."""
    T, N, _ = x.shape
    H = h_f.shape[1]
    there, there_backward = gated_2(x, h_f, W_f, U_f, b_f)
    back, back_backward = gated_2(x[::-1], h_b, W_b, U_b, b_b)

    def backward(dout):
        # right: dthere, dback = dout.reshape(T, N, 2, H).transpose(2, 0, 1, 3)
        dthere, dback = dout.reshape(2, T, N, H)
        dx_f, *of_there = there_backward(dthere)
        dx_b, *of_back = back_backward(dback[::-1])
        return (dx_f + dx_b[::-1], *of_there, *of_back)

    return np.concatenate([there, back[::-1]], axis=2), backward


@mutant(
    "gru_step_reset_gate_forgotten", cause="missing-factor", like="gru_step", wrong=("dh", "dweight_hh", "dbias_hh")
)
def gru_step_reset_gate_forgotten(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    Wr, Wz, Wn = np.split(weight_ih, 3)
    Ur, Uz, Un = np.split(weight_hh, 3)
    br, bz, bn = np.split(bias_ih, 3)
    cr, cz, cn = np.split(bias_hh, 3)
    r = sigmoid(x @ Wr.T + br + h @ Ur.T + cr)
    z = sigmoid(x @ Wz.T + bz + h @ Uz.T + cz)
    hidden = h @ Un.T + cn
    n = np.tanh(x @ Wn.T + bn + r * hidden)

    def backward(dout):
        dn = dout * (1 - z) * (1 - n**2)
        dz = dout * (h - n) * z * (1 - z)
        dr = dn * hidden * r * (1 - r)
        dhidden = dn  # right: dhidden = dn * r
        dx = dr @ Wr + dz @ Wz + dn @ Wn
        dh = dout * z + dr @ Ur + dz @ Uz + dhidden @ Un
        dW = np.vstack([dr.T @ x, dz.T @ x, dn.T @ x])
        dU = np.vstack([dr.T @ h, dz.T @ h, dhidden.T @ h])
        db = np.concatenate([dr.sum(0), dz.sum(0), dn.sum(0)])
        dc = np.concatenate([dr.sum(0), dz.sum(0), dhidden.sum(0)])
        return dx, dh, dW, dU, db, dc

    return (1 - z) * n + z * h, backward


@mutant("gru_weights_meet_the_new_state", cause="off-by-one", like="gru", wrong=("dweight_hh",))
def gru_weights_meet_the_new_state(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    T, H = len(x), h0.shape[1]
    H2 = 2 * H
    h_all, store = [h0], []
    for t in range(T):
        h = h_all[t]
        u = h @ weight_hh.T + bias_hh
        a = x[t] @ weight_ih.T + bias_ih
        r, z = sigmoid(a[:, :H] + u[:, :H]), sigmoid(a[:, H:H2] + u[:, H:H2])
        n = np.tanh(a[:, H2:] + r * u[:, H2:])
        store.append((r, z, n, u[:, H2:]))
        h_all.append((1 - z) * n + z * h)

    def backward(dy, dlast):
        das, dus, dh = [None] * T, [None] * T, dlast
        for t in range(T - 1, -1, -1):
            r, z, n, u_n = store[t]
            dh = dh + dy[t]
            dn = dh * (1 - z) * (1 - n * n)
            dz = dh * (h_all[t] - n) * z * (1 - z)
            dr = dn * u_n * r * (1 - r)
            das[t], dus[t] = np.hstack([dr, dz, dn]), np.hstack([dr, dz, dn * r])
            dh = dh * z + dus[t] @ weight_hh
        da, du = np.stack(das), np.stack(dus)
        dweight_ih = np.einsum("tnk,tnd->kd", da, x)
        # right: dweight_hh = np.einsum("tnk,tnh->kh", du, np.stack(h_all[:-1]))
        dweight_hh = np.einsum("tnk,tnh->kh", du, np.stack(h_all[1:]))
        return da @ weight_ih, dh, dweight_ih, dweight_hh, da.sum((0, 1)), du.sum((0, 1)), None

    return (np.stack(h_all[1:]), h_all[-1].copy()), backward


@mutant(
    "gru_update_gate_put_before_reset",
    cause="permuted-gates",
    like="gru",
    wrong=("dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
    note="the rows of the weights are r z n, those of their gradients z r n",
)
def gru_update_gate_put_before_reset(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    W, U, b, c = (dict(zip("rzn", np.split(w, 3), strict=True)) for w in (weight_ih, weight_hh, bias_ih, bias_hh))
    h, steps = h0, []
    for x_t in x:
        r = sigmoid(x_t @ W["r"].T + b["r"] + h @ U["r"].T + c["r"])
        z = sigmoid(x_t @ W["z"].T + b["z"] + h @ U["z"].T + c["z"])
        u = h @ U["n"].T + c["n"]
        n = np.tanh(x_t @ W["n"].T + b["n"] + r * u)
        steps.append((x_t, h, r, z, u, n))
        h = z * h + (1 - z) * n

    def backward(dy, dh):
        dW, dU = ({k: np.zeros_like(w[k]) for k in "rzn"} for w in (W, U))
        db, dc = ({k: np.zeros_like(w[k]) for k in "rzn"} for w in (b, c))
        dx = np.zeros_like(x)
        for t in range(len(x) - 1, -1, -1):
            x_t, h_old, r, z, u, n = steps[t]
            dh = dh + dy[t]
            da = {"n": dh * (1 - z) * (1 - n**2), "z": dh * (h_old - n) * z * (1 - z)}
            da["r"] = da["n"] * u * r * (1 - r)
            through = {"r": da["r"], "z": da["z"], "n": da["n"] * r}
            dh = dh * z
            for k in "rzn":
                dW[k] += da[k].T @ x_t
                db[k] += da[k].sum(axis=0)
                dU[k] += through[k].T @ h_old
                dc[k] += through[k].sum(axis=0)
                dx[t] += da[k] @ W[k]
                dh = dh + through[k] @ U[k]
        order = "zrn"  # right: order = "rzn"
        dW, dU, db, dc = (np.concatenate([d[k] for k in order]) for d in (dW, dU, db, dc))
        return dx, dh, dW, dU, db, dc, None

    return (np.stack([h_old for _, h_old, *_ in steps[1:]] + [h]), h.copy()), backward


@mutant(
    "gru_carry_without_the_update_gate",
    cause="forget-gate-not-in-carry",
    like="gru, reverse",
    wrong=("dx", "dh0", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"),
)
def gru_carry_without_the_update_gate(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    """From the last token to the first."""
    T, N, D = x.shape
    H = h0.shape[1]
    h, saved, y = h0, {}, np.zeros((T, N, H))
    for t in range(T - 1, -1, -1):
        gi, gh = x[t] @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
        reset, update = np.split(sigmoid(gi[:, : 2 * H] + gh[:, : 2 * H]), 2, axis=1)
        candidate = np.tanh(gi[:, 2 * H :] + reset * gh[:, 2 * H :])
        saved[t] = h, gh[:, 2 * H :], reset, update, candidate
        h = np.where(mask[t, :, None], candidate + update * (h - candidate), h)
        y[t] = h * mask[t, :, None]

    def backward(dy, dlast):
        dx, dwi, dwh = np.zeros(x.shape), np.zeros(weight_ih.shape), np.zeros(weight_hh.shape)
        dbi, dbh, dh = np.zeros(3 * H), np.zeros(3 * H), dlast
        for t in range(T):
            before, gh_n, reset, update, candidate = saved[t]
            m = mask[t, :, None]
            dh = dh + dy[t] * m
            dnew = dh * m
            dc = dnew * (1 - update) * (1 - candidate**2)
            du = dnew * (before - candidate) * update * (1 - update)
            dr = dc * gh_n * reset * (1 - reset)
            dgi, dgh = np.hstack((dr, du, dc)), np.hstack((dr, du, dc * reset))
            dx[t] = dgi @ weight_ih
            dwi += dgi.T @ x[t]
            dwh += dgh.T @ before
            dbi += dgi.sum(axis=0)
            dbh += dgh.sum(axis=0)
            dprev = dnew + dgh @ weight_hh  # right: dprev = dnew * update + dgh @ weight_hh
            dh = np.where(m, dprev, dh)
        return dx, dh, dwi, dwh, dbi, dbh, None

    return (y, h.copy()), backward
