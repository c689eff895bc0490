"""Recurrent cells and the loops of encoders and decoders, from homework: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid


def h3_draw(*shapes):
    """A function that draws arrays of these shapes."""
    return lambda rng: tuple(0.8 * rng.standard_normal(shape) for shape in shapes)


# ------------------------------------------------------------------------------------------------------------ one step


def h3_course_lstm_forward(xt, a_prev, c_prev, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """Examples are columns, the weights stand before [a_prev; xt]."""
    concat = np.concatenate((a_prev, xt), axis=0)
    ft, it, ot = (sigmoid(W @ concat + b) for W, b in ((Wf, bf), (Wi, bi), (Wo, bo)))
    cct = np.tanh(Wc @ concat + bc)
    c_next = ft * c_prev + it * cct
    a_next = ot * np.tanh(c_next)
    return (a_next, c_next), (concat, c_prev, c_next, ft, it, cct, ot, (Wf, Wi, Wc, Wo))


def h3_course_lstm_backward(da_next, dc_next, cache):
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
    inputs=h3_draw((4, 5), (3, 5), (3, 5), *[(3, 7), (3, 1)] * 4),
    wrong=("dxt", "da_prev", "dc_prev", "dWf", "dbf", "dWi", "dbi", "dWc", "dbc"),
    note="1 - y^2 is known by heart, and c_next is not the y of its tanh",
)((h3_course_lstm_forward, h3_course_lstm_backward))


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
    inputs=h3_draw((3, 4), (3, 5), *[(4, 5), (5, 5), (5,)] * 3),
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


# ------------------------------------------------------------------------------------------------------ over the steps


@mutant(
    "char_rnn_state_walks_back_through_whh_unturned",
    cause="transposed",
    inputs=h3_draw((5, 3), (4,), (4, 3), (4, 4), (6, 4), (4,), (6,)),
    wrong=("dxs", "dhprev", "dWxh", "dWhh", "dbh"),
    note="of the three matrices it is the one where it runs without .T",
)
def char_rnn_state_walks_back_through_whh_unturned(xs, hprev, Wxh, Whh, Why, bh, by):
    """Scores of the next letter, one sentence of vectors."""
    hs, ys = {-1: hprev}, []
    for t in range(len(xs)):
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys.append(np.dot(Why, hs[t]) + by)

    def backward(dys):
        dxs, dWxh, dWhh, dWhy = np.zeros_like(xs), np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
        dbh, dby = np.zeros_like(bh), np.zeros_like(by)
        dhnext = np.zeros_like(hprev)
        for t in reversed(range(len(xs))):
            dWhy += np.outer(dys[t], hs[t])
            dby += dys[t]
            dh = np.dot(Why.T, dys[t]) + dhnext
            dhraw = (1 - hs[t] * hs[t]) * dh
            dbh += dhraw
            dWxh += np.outer(dhraw, xs[t])
            dWhh += np.outer(dhraw, hs[t - 1])
            dxs[t] = np.dot(Wxh.T, dhraw)
            dhnext = np.dot(Whh, dhraw)  # right: dhnext = np.dot(Whh.T, dhraw)
        return dxs, dhnext, dWxh, dWhh, dWhy, dbh, dby

    return np.array(ys), backward


@mutant(
    "rnn_loop_back_stops_before_the_first_word",
    cause="off-by-one",
    also=("sum-missing",),
    inputs=h3_draw((4, 3, 2), (3, 5), (2, 5), (5, 5), (5,)),
    wrong=("dinputs", "dinit", "dW_in", "dW_rec", "dbias"),
    note="the end of a range is not in it",
)
def rnn_loop_back_stops_before_the_first_word(inputs, init, W_in, W_rec, bias):
    steps = len(inputs)
    hidden = np.zeros((steps + 1, *init.shape))
    hidden[0] = init
    for t in range(steps):
        hidden[t + 1] = np.tanh(inputs[t] @ W_in + hidden[t] @ W_rec + bias)

    def backward(grad_hidden):
        grad_inputs, grad = np.zeros_like(inputs), np.zeros_like(init)
        grad_in, grad_rec, grad_bias = (np.zeros_like(p) for p in (W_in, W_rec, bias))
        for t in range(steps - 1, 0, -1):  # right: for t in range(steps - 1, -1, -1):
            delta = (grad + grad_hidden[t]) * (1 - hidden[t + 1] ** 2)
            grad_in += inputs[t].T @ delta
            grad_rec += hidden[t].T @ delta
            grad_bias += delta.sum(axis=0)
            grad_inputs[t] = delta @ W_in.T
            grad = delta @ W_rec.T
        return grad_inputs, grad, grad_in, grad_rec, grad_bias

    return hidden[1:].copy(), backward


# ----------------------------------------------------------------------------------------------- encoders and decoders


@mutant(
    "encoder_decoder_context_hears_from_one_step",
    cause="one-step-only",
    also=("sum-missing",),
    inputs=h3_draw((4, 2, 3), (2, 5), (3, 5), (5, 5), (5,), (3, 2, 4), (2, 6), (4, 6), (6, 6), (5, 6), (6,)),
    wrong=("dsource", "dh0", "dWe", "dUe", "dbe"),
    note="the decoder reads the encoder's last state at each of its steps",
)
def encoder_decoder_context_hears_from_one_step(source, h0, We, Ue, be, target, s0, Wd, Ud, Cd, bd):
    """States of the decoder; source and target (T, N, D)."""
    enc = [h0]
    for word in source:
        enc.append(np.tanh(word @ We + enc[-1] @ Ue + be))
    context = enc[-1]
    dec = [s0]
    for word in target:
        dec.append(np.tanh(word @ Wd + dec[-1] @ Ud + context @ Cd + bd))

    def backward(dstates):
        dsource, dWe, dUe, dbe = (np.zeros_like(p) for p in (source, We, Ue, be))
        dtarget, dWd, dUd, dCd, dbd = (np.zeros_like(p) for p in (target, Wd, Ud, Cd, bd))
        ds, dcontext = np.zeros_like(s0), np.zeros_like(context)
        for t in reversed(range(len(target))):
            dz = (ds + dstates[t]) * (1 - dec[t + 1] ** 2)
            dWd += target[t].T @ dz
            dUd += dec[t].T @ dz
            dCd += context.T @ dz
            dbd += dz.sum(axis=0)
            dtarget[t] = dz @ Wd.T
            dcontext = dz @ Cd.T  # right: dcontext += dz @ Cd.T
            ds = dz @ Ud.T
        dh = dcontext
        for t in reversed(range(len(source))):
            dz = dh * (1 - enc[t + 1] ** 2)
            dWe += source[t].T @ dz
            dUe += enc[t].T @ dz
            dbe += dz.sum(axis=0)
            dsource[t] = dz @ We.T
            dh = dz @ Ue.T
        return dsource, dh, dWe, dUe, dbe, dtarget, ds, dWd, dUd, dCd, dbd

    return np.array(dec[1:]), backward


@mutant(
    "forecast_decoder_guess_that_is_read_again_learns_nothing_from_it",
    cause="branch-missing",
    inputs=h3_draw((3, 2), (3, 4), (2, 4), (4, 4), (4,), (4, 2), (2,)),
    wrong=("dlast", "dstate", "dW", "dU", "db", "dV", "dc"),
    note="each guess is the input of the next step, and an output too",
)
def forecast_decoder_guess_that_is_read_again_learns_nothing_from_it(last, state, W, U, b, V, c):
    """Four days ahead, from the last day that was seen (N, D) and the encoder's state (N, H)."""
    days, hs, guesses = 4, [state], [last]
    for _ in range(days):
        hs.append(np.tanh(guesses[-1] @ W + hs[-1] @ U + b))
        guesses.append(hs[-1] @ V + c)

    def backward(dout):
        dW, dU, db, dV, dc = (np.zeros_like(p) for p in (W, U, b, V, c))
        dguess, dh_next = np.zeros_like(last), np.zeros_like(state)
        for t in range(days - 1, -1, -1):
            dy = dout[:, t]  # right: dy = dout[:, t] + dguess
            dV += hs[t + 1].T @ dy
            dc += dy.sum(axis=0)
            da = (dy @ V.T + dh_next) * (1 - hs[t + 1] ** 2)
            dW += guesses[t].T @ da
            dU += hs[t].T @ da
            db += da.sum(axis=0)
            dguess, dh_next = da @ W.T, da @ U.T
        return dguess, dh_next, dW, dU, db, dV, dc

    return np.stack(guesses[1:], axis=1), backward
