"""Encoders and decoders: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_3, draw_3, elman_3, memory_2, normal_2, stable_softmax


@mutant(
    "encoder_decoder_context_hears_from_one_step",
    cause="one-step-only",
    also=("sum-missing",),
    inputs=draw_3((4, 2, 3), (2, 5), (3, 5), (5, 5), (5,), (3, 2, 4), (2, 6), (4, 6), (6, 6), (5, 6), (6,)),
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
    inputs=draw_3((3, 2), (3, 4), (2, 4), (4, 4), (4,), (4, 2), (2,)),
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


@mutant(
    "forecast_error_divided_by_the_series_alone",
    cause="wrong-count",
    inputs=normal_2((3, 6, 2), (3, 4), (2, 4), (4, 4), (4,), (4, 2), (2,)),
    wrong=("dseries", "dh0", "dWx", "dWh", "db", "dV", "dc"),
    note="the loss is a mean over series, days and values",
)
def forecast_error_divided_by_the_series_alone(series, h0, Wx, Wh, b, V, c):
    """How far the guesses are from the next day, series (N, T, D)."""
    days = series.swapaxes(0, 1)
    states, rnn_backward = elman_3(days[:-1], h0, Wx, Wh, b)
    error = states @ V + c - days[1:]

    def backward(dloss):
        derror = 2 * error * dloss / len(series)  # right: derror = 2 * error * dloss / error.size
        dV, dc = np.einsum("tnh,tnd->hd", states, derror), derror.sum(axis=(0, 1))
        dread, *of_rnn = rnn_backward(derror @ V.T)
        ddays = np.zeros_like(days)
        ddays[:-1] += dread
        ddays[1:] -= derror
        return (ddays.swapaxes(0, 1).copy(), *of_rnn, dV, dc)

    return np.mean(error**2), backward


source_and_target = arrays_3((4, 2, 3), (2, 5), (2, 5), (3, 20), (5, 20), (20,), (3, 2, 4), (4, 20), (5, 20), (20,))


@mutant(
    "translator_encoder_hears_of_its_state_and_not_of_its_cell",
    cause="branch-missing",
    also=("missing-dc-carry",),
    inputs=source_and_target,
    wrong=("dsource", "dh0", "dc0", "dWe", "dUe", "dbe"),
    note="the decoder starts from both",
)
def translator_encoder_hears_of_its_state_and_not_of_its_cell(source, h0, c0, We, Ue, be, target, Wd, Ud, bd):
    """States of the decoder; source and target (T, N, D)."""
    enc, cell, encoder_backward = memory_2(source, h0, c0, We, Ue, be)
    dec, _, decoder_backward = memory_2(target, enc[-1], cell, Wd, Ud, bd)

    def backward(ddec):
        nothing = np.zeros_like(h0)
        dtarget, dstate, dcell, *ddecoder = decoder_backward(ddec, nothing, nothing)
        dcell = nothing  # right: dcell = dcell.copy()
        dsource, dh0, dc0, *dencoder = encoder_backward(np.zeros_like(enc), dstate, dcell)
        return (dsource, dh0, dc0, *dencoder, dtarget, *ddecoder)

    return dec, backward


@mutant(
    "seq2seq_last_state_of_the_encoder_told_at_the_output_and_as_carry",
    cause="constant-factor",
    inputs=source_and_target,
    wrong=("dxs", "dh0", "dc0", "dWe", "dUe", "dbe"),
    note="either place would do: now all of the encoder learns at double speed",
)
def seq2seq_last_state_of_the_encoder_told_at_the_output_and_as_carry(xs, h0, c0, We, Ue, be, ts, Wd, Ud, bd):
    """The decoder takes over the state alone, and starts with an empty cell."""
    hs, _, encoder_backward = memory_2(xs, h0, c0, We, Ue, be)
    dec_hs, _, decoder_backward = memory_2(ts, hs[-1], np.zeros_like(c0), Wd, Ud, bd)

    def backward(ddec_hs):
        zero = np.zeros_like(h0)
        dts, dh, _, dWd, dUd, dbd = decoder_backward(ddec_hs, zero, zero)
        dhs = np.zeros_like(hs)
        dhs[-1] = dh
        # right: dxs, dh0, dc0, dWe, dUe, dbe = encoder_backward(dhs, zero, zero)
        dxs, dh0, dc0, dWe, dUe, dbe = encoder_backward(dhs, dh, zero)
        return dxs, dh0, dc0, dWe, dUe, dbe, dts, dWd, dUd, dbd

    return dec_hs, backward


@mutant(
    "attention_seq2seq_start_of_the_decoder_written_over_the_attention",
    cause="branch-missing",
    also=("sum-missing",),
    inputs=source_and_target,
    wrong=("dxs", "dh0", "dc0", "dWe", "dUe", "dbe"),
    note="the last state is looked at like the others, and starts the decoder",
)
def attention_seq2seq_start_of_the_decoder_written_over_the_attention(xs, h0, c0, We, Ue, be, ts, Wd, Ud, bd):
    """At each step the decoder's state beside its context; scores are dot products."""
    enc_hs, _, encoder_backward = memory_2(xs, h0, c0, We, Ue, be)
    dec_hs, _, decoder_backward = memory_2(ts, enc_hs[-1], np.zeros_like(c0), Wd, Ud, bd)
    weight = stable_softmax(np.einsum("tnh,snh->tns", dec_hs, enc_hs))
    context = np.einsum("tns,snh->tnh", weight, enc_hs)
    H = h0.shape[1]

    def backward(dout):
        ddec_hs, dcontext = dout[:, :, :H], dout[:, :, H:]
        denc_hs = np.einsum("tns,tnh->snh", weight, dcontext)
        dweight = np.einsum("tnh,snh->tns", dcontext, enc_hs)
        dscore = weight * (dweight - np.sum(weight * dweight, axis=2, keepdims=True))
        denc_hs += np.einsum("tns,tnh->snh", dscore, dec_hs)
        ddec_hs = ddec_hs + np.einsum("tns,snh->tnh", dscore, enc_hs)
        zero = np.zeros_like(h0)
        dts, dh, _, *ddecoder = decoder_backward(ddec_hs, zero, zero)
        denc_hs[-1] = dh  # right: denc_hs[-1] += dh
        return (*encoder_backward(denc_hs, zero, zero), dts, *ddecoder)

    return np.concatenate([dec_hs, context], axis=2), backward


@mutant(
    "bahdanau_decoder_weights_times_their_gradient_and_no_more",
    cause="softmax-second-term-missing",
    inputs=arrays_3((3, 4), (3, 4), (3, 6, 5), (4, 3), (5, 3), (3,), (5, 16), (4, 16), (16,)),
    wrong=("ds", "dann", "dWa", "dUa", "dva"),
)
def bahdanau_decoder_weights_times_their_gradient_and_no_more(s, c, ann, Wa, Ua, va, W, U, b):
    """One step of the decoder, which reads nothing but the context of the annotations (N, S, E)."""
    e = np.tanh((s @ Wa)[:, None] + ann @ Ua)
    alpha = stable_softmax(e @ va)
    context = np.matmul(alpha[:, None], ann)[:, 0]
    hs, c_new, lstm_backward = memory_2(context[None], s, c, W, U, b)

    def backward(ds_new, dc_new):
        dcontext, ds, dc, dW, dU, db = lstm_backward(ds_new[None], np.zeros_like(s), dc_new)
        dcontext = dcontext[0]
        dalpha = np.matmul(ann, dcontext[:, :, None])[:, :, 0]
        # right: dscore = alpha * (dalpha - np.sum(alpha * dalpha, axis=1, keepdims=True))
        dscore = alpha * dalpha
        dpre = dscore[:, :, None] * va * (1 - e**2)
        ds = ds + dpre.sum(axis=1) @ Wa.T
        dann = alpha[:, :, None] * dcontext[:, None] + dpre @ Ua.T
        dWa, dUa = s.T @ dpre.sum(axis=1), np.tensordot(ann, dpre, axes=((0, 1), (0, 1)))
        dva = np.tensordot(dscore, e, axes=((0, 1), (0, 1)))
        return ds, dc, dann, dWa, dUa, dva, dW, dU, db

    return (hs[0], c_new), backward
