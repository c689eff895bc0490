# ruff: noqa: RUF059 (students unpack every shape)
"""Encoders and decoders: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_2, draw_2, draw_5, elman, elman_2


def peeky_inputs(rng):
    """Words (N, T, D), what the encoder read (N, H), the weights of the step and of the scores."""
    N, T, D, H, V = 2, 4, 5, 3, 6
    return draw_2((N, T, D), (N, H), (H + D, H), (H, H), (H,), (2 * H, V), (V,))(rng)


@mutant(
    "peeky_decoder_code_is_not_heard_by_the_output_layer",
    cause="branch-missing",
    inputs=peeky_inputs,
    wrong=("dcode",),
    note="the code is first state, part of every input, and part of what every score is made of",
)
def peeky_decoder_code_is_not_heard_by_the_output_layer(xs, code, Wx, Wh, b, Wy, by):
    N, T, D = xs.shape
    H = code.shape[1]
    repeated = np.repeat(code[:, None], T, axis=1)
    inputs = np.concatenate((repeated, xs), axis=2)
    hs, h = np.zeros((N, T, H)), code
    for t in range(T):
        h = np.tanh(inputs[:, t] @ Wx + h @ Wh + b)
        hs[:, t] = h
    out = np.concatenate((repeated, hs), axis=2)

    def backward(dscore):
        flat = dscore.reshape(N * T, -1)
        dWy, dby = out.reshape(N * T, -1).T @ flat, flat.sum(axis=0)
        dout = dscore @ Wy.T
        dhs = dout[:, :, H:]
        dinputs, dWx, dWh, db = (np.zeros_like(p) for p in (inputs, Wx, Wh, b))
        dh = np.zeros((N, H))
        for t in reversed(range(T)):
            dt = (dhs[:, t] + dh) * (1 - hs[:, t] ** 2)
            dWx += inputs[:, t].T @ dt
            dWh += (hs[:, t - 1] if t > 0 else code).T @ dt
            db += dt.sum(axis=0)
            dinputs[:, t], dh = dt @ Wx.T, dt @ Wh.T
        # right: dcode = dh + np.sum(dinputs[:, :, :H], axis=1) + np.sum(dout[:, :, :H], axis=1)
        dcode = dh + np.sum(dinputs[:, :, :H], axis=1)
        return dinputs[:, :, H:].copy(), dcode, dWx, dWh, db, dWy, dby

    return out @ Wy + by, backward


class Reader:
    """A network over word ids (N, T), which looks its words up itself."""

    def __init__(self, E, W, U, b):
        self.E, self.W, self.U, self.b = E, W, U, b

    def forward(self, ids, h):
        self.ids, self.hs = ids, [h]
        for column in ids.T:
            self.hs.append(np.tanh(self.E[column] @ self.W + self.hs[-1] @ self.U + self.b))
        return np.stack(self.hs[1:], axis=1)

    def backward(self, dhs):
        """Gradients of the table, of the first state, and of the weights."""
        dE, dW, dU, db = (np.zeros_like(p) for p in (self.E, self.W, self.U, self.b))
        dh = np.zeros_like(self.hs[0])
        for t in reversed(range(dhs.shape[1])):
            da = (dhs[:, t] + dh) * (1 - self.hs[t + 1] ** 2)
            dW += self.E[self.ids[:, t]].T @ da
            dU += self.hs[t].T @ da
            db += da.sum(axis=0)
            np.add.at(dE, self.ids[:, t], da @ self.W.T)
            dh = da @ self.U.T
        return dE, dh, dW, dU, db


def two_sentences(rng):
    """Ids read (N, S), ids written (N, T), one table (V, D), a state, the weights of encoder and decoder."""
    read, written = np.array([[2, 5, 1, 4], [3, 3, 0, 2]]), np.array([[1, 2, 6], [0, 4, 4]])
    D, H = 3, 4
    return (read, written, *draw_2((7, D), (2, H), *[(D, H), (H, H), (H,)] * 2)(rng))


@mutant(
    "seq2seq_one_table_for_both_learns_from_the_encoder",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=two_sentences,
    wrong=("dE",),
    note="the encoder's backward comes last, and its dE takes the place of the decoder's",
)
def seq2seq_one_table_for_both_learns_from_the_encoder(read, written, E, h0, We, Ue, be, Wd, Ud, bd):
    """The states of the decoder, which begins where the encoder ends."""
    encoder, decoder = Reader(E, We, Ue, be), Reader(E, Wd, Ud, bd)
    hs = encoder.forward(read, h0)
    ys = decoder.forward(written, hs[:, -1])

    def backward(dys):
        dE, dlast, dWd, dUd, dbd = decoder.backward(dys)
        dhs = np.zeros_like(hs)
        dhs[:, -1] = dlast
        dE_encoder, dh0, dWe, dUe, dbe = encoder.backward(dhs)
        dE = dE_encoder  # right: dE = dE + dE_encoder
        return None, None, dE, dh0, dWe, dUe, dbe, dWd, dUd, dbd

    return ys, backward


@mutant(
    "forecast_its_own_guess_is_taken_for_data",
    cause="branch-missing",
    inputs=draw_5((3, 2), (3, 4), (2, 4), (4, 4), (4, 2), (4,), (2,)),
    wrong=("dx0", "dh0", "dWx", "dWh", "dWy", "db", "dby"),
    note="every guess is an output and the next input",
)
def forecast_its_own_guess_is_taken_for_data(x0, h0, Wx, Wh, Wy, b, by):
    """The next five days from today."""
    days = 5
    xs, hs = [x0], [h0]
    for t in range(days):
        hs.append(np.tanh(xs[t] @ Wx + hs[t] @ Wh + b))
        xs.append(hs[t + 1] @ Wy + by)

    def backward(dguess):
        dWx, dWh, dWy, db, dby = (np.zeros_like(p) for p in (Wx, Wh, Wy, b, by))
        dx, dh = np.zeros_like(x0), np.zeros_like(h0)
        for t in range(days - 1, -1, -1):
            dout = dguess[:, t]  # right: dout = dguess[:, t] + dx
            dWy += hs[t + 1].T @ dout
            dby += dout.sum(axis=0)
            dz = (dout @ Wy.T + dh) * (1 - hs[t + 1] ** 2)
            dWx += xs[t].T @ dz
            dWh += hs[t].T @ dz
            db += dz.sum(axis=0)
            dx, dh = dz @ Wx.T, dz @ Wh.T
        return dx, dh, dWx, dWh, dWy, db, dby

    return np.stack(xs[1:], axis=1), backward


@mutant(
    "translator_context_is_asked_at_the_first_word_only",
    cause="one-step-only",
    also=("sum-missing",),
    inputs=draw_5((2, 4, 3), (2, 4), (3, 4), (4, 4), (4,), (2, 5, 2), (2, 4), (4, 4), (4, 4), (4,)),
    wrong=("dsource", "dh0", "dW", "dU", "db"),
    note="the last state of the encoder starts the decoder, and goes into each of its steps",
)
def translator_context_is_asked_at_the_first_word_only(source, h0, W, U, b, words, V, S, C, d):
    T = words.shape[1]
    steps, encoder_backward = elman(source.swapaxes(0, 1), h0, W, U, b)
    context = steps[-1]
    s = [context]
    for t in range(T):
        s.append(np.tanh(words[:, t] @ V + s[t] @ S + context @ C + d))

    def backward(ds_all):
        ds, delta = np.zeros_like(context), np.zeros_like(ds_all)
        dS = np.zeros_like(S)
        for t in reversed(range(T)):
            delta[:, t] = (ds_all[:, t] + ds) * (1 - s[t + 1] ** 2)
            dS += s[t].T @ delta[:, t]
            ds = delta[:, t] @ S.T
        total = delta.sum(axis=1)
        dcontext = ds + delta[:, 0] @ C.T  # right: dcontext = ds + total @ C.T
        dsteps = np.zeros_like(steps)
        dsteps[-1] = dcontext
        dsource, *encoder = encoder_backward(dsteps)
        dV = np.einsum("ntd,nth->dh", words, delta)
        return (dsource.swapaxes(0, 1), *encoder, delta @ V.T, dV, dS, context.T @ total, total.sum(axis=0))

    return np.stack(s[1:], axis=1), backward


def question_and_answer(rng):
    """Ids of both (T, N), one table of words, then a state and weights, and those of the second network."""
    question = np.array([[1, 4], [3, 3], [1, 5], [2, 0]])
    answer = np.array([[6, 6], [4, 1], [0, 5]])
    shapes = [(7, 3), (2, 4), (3, 4), (4, 4), (4,), (3, 4), (4, 4), (4,)]
    return (question, answer, *(0.7 * rng.standard_normal(s) for s in shapes))


@mutant(
    "chatbot_one_table_for_question_and_answer",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=question_and_answer,
    wrong=("dE",),
    note="what comes back to the words of the question is thrown away",
)
def chatbot_one_table_for_question_and_answer(question, answer, E, h0, We, Ue, be, Wd, Ud, bd):
    asked, encoder_backward = elman(E[question], h0, We, Ue, be)
    said, decoder_backward = elman(E[answer], asked[-1], Wd, Ud, bd)

    def backward(dsaid):
        danswer, dh, dWd, dUd, dbd = decoder_backward(dsaid)
        dasked = np.zeros_like(asked)
        dasked[-1] = dh
        encoder = encoder_backward(dasked)
        dE = np.zeros_like(E)
        np.add.at(dE, answer, danswer)
        # missing: np.add.at(dE, question, encoder[0])
        return (None, None, dE, *encoder[1:], dWd, dUd, dbd)

    return said, backward


@mutant(
    "peeky_decoder_forgets_who_peeked_at_the_scores",
    cause="branch-missing",
    inputs=arrays_2((2, 4, 3), (2, 5), (8, 5), (5, 5), (5,), (10, 6), (6,)),
    wrong=("dh",),
    note="the encoder's state is the first state, stands beside every word, and beside every state",
)
def peeky_decoder_forgets_who_peeked_at_the_scores(xs, h, Wx, Wh, b, V, c):
    """Scores of every word, batch first, from the encoder's last state h (N, H)."""
    N, T, _ = xs.shape
    H = h.shape[1]
    hs = np.repeat(h, T, axis=0).reshape(N, T, H)
    lower = np.concatenate((hs, xs), axis=2)
    states, rnn_backward = elman_2(lower.swapaxes(0, 1), h, Wx, Wh, b)
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
    "translator_bridge_goes_back_as_if_linear",
    cause="activation-derivative-missing",
    inputs=arrays_2((3, 5), (5, 4), (4,), (4, 3, 2), (2, 4), (4, 4), (4,)),
    wrong=("dthought", "dWb", "dbb"),
    note="the decoder's first state is a tanh too",
)
def translator_bridge_goes_back_as_if_linear(thought, Wb, bb, words, W, U, b):
    """States of the decoder (T, N, H); it starts from tanh of the encoder's last state, brought to its size."""
    s0 = np.tanh(thought @ Wb + bb)
    states, decoder_backward = elman_2(words, s0, W, U, b)

    def backward(dstates):
        dwords, ds0, dW, dU, db = decoder_backward(dstates)
        dbridge = ds0  # right: dbridge = ds0 * (1 - s0**2)
        dWb = thought.T @ dbridge
        dbb = dbridge.sum(axis=0)
        return dbridge @ Wb.T, dWb, dbb, dwords, dW, dU, db

    return states, backward


def tagger_inputs(rng):
    """Words (N, T, D), a state (N, H), U (D, H), W (H, H), V (H, C), and the biases of state and tags."""
    N, T, D, H, C = 2, 5, 4, 3, 6
    shapes = [(N, T, D), (N, H), (D, H), (H, H), (H, C), (H,), (C,)]
    return tuple(0.8 * rng.standard_normal(s) for s in shapes)


@mutant(
    "tagger_output_bias_of_the_step_that_comes_last_in_the_loop",
    cause="one-step-only",
    also=("sum-missing",),
    inputs=tagger_inputs,
    wrong=("dc",),
    note="`=` among lines with `+=`",
)
def tagger_output_bias_of_the_step_that_comes_last_in_the_loop(x, s0, U, W, V, b, c):
    """Scores of the tags at every word."""
    N, T, _ = x.shape
    s = np.zeros((N, T + 1, len(b)))
    s[:, -1] = s0
    o = np.zeros((N, T, len(c)))
    for t in range(T):
        s[:, t] = np.tanh(x[:, t].dot(U) + s[:, t - 1].dot(W) + b)
        o[:, t] = s[:, t].dot(V) + c

    def backward(do):
        dx, dU, dW, dV, db, dc = (np.zeros_like(p) for p in (x, U, W, V, b, c))
        ds_next = np.zeros_like(s0)
        for t in reversed(range(T)):
            dV += s[:, t].T.dot(do[:, t])
            dc = do[:, t].sum(axis=0)  # right: dc += do[:, t].sum(axis=0)
            delta = (do[:, t].dot(V.T) + ds_next) * (1 - s[:, t] ** 2)
            dU += x[:, t].T.dot(delta)
            dW += s[:, t - 1].T.dot(delta)
            db += delta.sum(axis=0)
            dx[:, t], ds_next = delta.dot(U.T), delta.dot(W.T)
        return dx, ds_next, dU, dW, dV, db, dc

    return o, backward
