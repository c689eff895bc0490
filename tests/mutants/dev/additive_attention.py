"""Attention by a small network, after Bahdanau: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import stable_softmax


@mutant(
    "bahdanau_tanh_of_what",
    cause="derivative-at-preactivation",
    like="additive_scores",
    wrong=("dquery", "dkeys"),
)
def bahdanau_tanh_of_what(query, keys, vector):
    (T, N, A), S = query.shape, len(keys)
    scores, e = np.zeros((N, T, S)), np.zeros((N, T, S, A))
    for t in range(T):
        for s in range(S):
            e[:, t, s] = query[t] + keys[s]
            scores[:, t, s] = np.tanh(e[:, t, s]).dot(vector)

    def backward(dscores):
        dquery, dkeys, dvector = np.zeros_like(query), np.zeros_like(keys), np.zeros_like(vector)
        for t in range(T):
            for s in range(S):
                d = dscores[:, t, s][:, None]
                dvector += (d * np.tanh(e[:, t, s])).sum(axis=0)
                de = d * vector * (1 - e[:, t, s] ** 2)  # right: de = d * vector * (1 - np.tanh(e[:, t, s]) ** 2)
                dquery[t] += de
                dkeys[s] += de
        return dquery, dkeys, dvector

    return scores, backward


def decoder_step_inputs(rng):
    return tuple(rng.standard_normal(s) for s in [(3, 4), (5, 3, 6), (5, 4), (5, 6), (5,)])


@mutant("energy_vector_forgotten_in_the_loop", cause="missing-factor", inputs=decoder_step_inputs,
        wrong=("ds", "dmemory", "dW", "dU"))  # fmt: skip
def energy_vector_forgotten_in_the_loop(s, memory, W, U, v):
    """One step of a decoder: energies word by word, softmax over the words, which are the first axis."""
    q = s @ W.T
    acts = [np.tanh(q + m @ U.T) for m in memory]
    e = np.array([a @ v for a in acts])
    w = np.exp(e - e.max(axis=0))
    w = w / w.sum(axis=0)

    def backward(dcontext):
        dmemory = w[:, :, None] * dcontext
        dw = (memory * dcontext).sum(axis=2)
        de = w * (dw - (w * dw).sum(axis=0))
        dq, dU, dv = np.zeros_like(q), np.zeros_like(U), np.zeros_like(v)
        for j, a in enumerate(acts):
            dv += a.T @ de[j]
            da = de[j][:, None] * (1 - a * a)  # right: da = de[j][:, None] * v * (1 - a * a)
            dq += da
            dU += da.T @ memory[j]
            dmemory[j] += da @ U
        return dq @ W, dmemory, dq.T @ s, dU, dv

    return (w[:, :, None] * memory).sum(axis=0), backward


@mutant("energies_of_a_step_as_if_independent", cause="softmax-second-term-missing", inputs=decoder_step_inputs,
        wrong=("ds", "dmemory", "dW", "dU", "dv"))  # fmt: skip
def energies_of_a_step_as_if_independent(s, memory, W, U, v):
    """The same, all words at once."""
    t = np.tanh((s @ W.T)[None] + np.einsum("snm,am->sna", memory, U))
    e = np.einsum("sna,a->sn", t, v)
    w = np.exp(e) / np.exp(e).sum(0)

    def backward(dcontext):
        dw = np.einsum("nm,snm->sn", dcontext, memory)
        de = w * (1 - w) * dw  # right: de = w * (dw - (w * dw).sum(0))
        dt = de[:, :, None] * v * (1 - t**2)
        dmemory = w[:, :, None] * dcontext + dt @ U
        dU = np.einsum("sna,snm->am", dt, memory)
        return dt.sum(0) @ W, dmemory, dt.sum(0).T @ s, dU, np.einsum("sn,sna->a", de, t)

    return np.einsum("sn,snm->nm", w, memory), backward


def alignment_inputs(rng):
    """The decoder's state (N, H), the encoder's (N, S, E), a matrix for each, a bias (A,) and a vector (A,)."""
    shapes = [(3, 4), (3, 5, 6), (4, 2), (6, 2), (2,), (2,)]
    return tuple(rng.standard_normal(s) for s in shapes)


@mutant(
    "bahdanau_bias_keeps_its_dimensions",
    cause="gradient-shape",
    inputs=alignment_inputs,
    note="`keepdims=True` from the line for the softmax, (1, 1, A) instead of (A,)",
)
def bahdanau_bias_keeps_its_dimensions(s, annotations, W_a, U_a, b_a, v_a):
    hidden = np.tanh((s @ W_a)[:, None, :] + annotations @ U_a + b_a)
    alpha = stable_softmax(hidden @ v_a)
    context = np.sum(alpha[:, :, None] * annotations, axis=1)

    def backward(dcontext):
        dalpha = np.sum(annotations * dcontext[:, None, :], axis=2)
        denergy = alpha * (dalpha - np.sum(alpha * dalpha, axis=1, keepdims=True))
        dhidden = denergy[:, :, None] * v_a * (1 - hidden**2)
        dquery = np.sum(dhidden, axis=1)
        dannotations = alpha[:, :, None] * dcontext[:, None, :] + dhidden @ U_a.T
        dU_a = np.einsum("nse,nsa->ea", annotations, dhidden)
        # right: db_a = np.sum(dhidden, axis=(0, 1))
        db_a = np.sum(dhidden, axis=(0, 1), keepdims=True)
        dv_a = np.einsum("ns,nsa->a", denergy, hidden)
        return dquery @ W_a.T, dannotations, s.T @ dquery, dU_a, db_a, dv_a

    return context, backward


@mutant(
    "alignment_network_without_its_tanh",
    cause="activation-derivative-missing",
    inputs=alignment_inputs,
    wrong=("dstate", "dannotations", "dW", "dU", "db"),
)
def alignment_network_without_its_tanh(state, annotations, W, U, b, v):
    """One word of the source after the other."""
    N, S, _ = annotations.shape
    hid = np.zeros((N, S, len(v)))
    for j in range(S):
        hid[:, j] = np.tanh(state @ W + annotations[:, j] @ U + b)
    alpha = stable_softmax(hid @ v)
    context = np.zeros((N, annotations.shape[2]))
    for j in range(S):
        context += alpha[:, j : j + 1] * annotations[:, j]

    def backward(dctx):
        dstate, dann, dW, dU, db, dv = (np.zeros_like(a) for a in (state, annotations, W, U, b, v))
        dalpha = np.stack([(dctx * annotations[:, j]).sum(axis=1) for j in range(S)], axis=1)
        de = alpha * (dalpha - (alpha * dalpha).sum(axis=1, keepdims=True))
        for j in range(S):
            dv += hid[:, j].T @ de[:, j]
            dpre = np.outer(de[:, j], v)  # right: dpre = np.outer(de[:, j], v) * (1 - hid[:, j] ** 2)
            dstate += dpre @ W.T
            dann[:, j] = alpha[:, j : j + 1] * dctx + dpre @ U.T
            dW += state.T @ dpre
            dU += annotations[:, j].T @ dpre
            db += dpre.sum(axis=0)
        return dstate, dann, dW, dU, db, dv

    return context, backward


def decoder_and_encoder(rng):
    """A decoder's state (N, H), the encoder's (N, S, E), matrices (H, A) and (E, A), a bias (A,), a vector (A,)."""
    return tuple(rng.standard_normal(s) for s in [(3, 4), (3, 5, 2), (4, 6), (2, 6), (6,), (6,)])


def tanh_prime(z):
    return 1 - np.tanh(z) ** 2


@mutant(
    "bahdanau_slope_of_what_is_bent_already",
    cause="derivative-at-preactivation",
    inputs=decoder_and_encoder,
    wrong=("ds", "dh", "dWa", "dUa", "db"),
    note="a derivative in terms of the input, called with the output",
)
def bahdanau_slope_of_what_is_bent_already(s, h, Wa, Ua, b, va):
    z = (s @ Wa)[:, None, :] + h @ Ua + b
    hidden = np.tanh(z)

    def backward(de):
        dhidden = de[:, :, None] * va
        dz = dhidden * tanh_prime(hidden)  # right: dz = dhidden * tanh_prime(z)
        dva = np.sum(de[:, :, None] * hidden, axis=(0, 1))
        dquery = dz.sum(axis=1)
        dUa = np.einsum("nse,nsa->ea", h, dz)
        return dquery @ Wa.T, dz @ Ua.T, s.T @ dquery, dUa, dz.sum(axis=(0, 1)), dva

    return hidden @ va, backward


def document(rng):
    """States of a sentence (N, T, H), a matrix (H, A), a bias (A,), and the vector (A,) that asks what matters."""
    return tuple(rng.standard_normal(s) for s in [(3, 5, 4), (4, 6), (6,), (6,)])


@mutant(
    "word_attention_sum_of_the_gradients_without_the_weights",
    cause="missing-factor",
    inputs=document,
    wrong=("dh", "dWw", "dbw", "duw"),
    note="the softmax takes off the sum of dy where it is the sum of y dy",
)
def word_attention_sum_of_the_gradients_without_the_weights(h, Ww, bw, uw):
    """One vector for a sentence."""
    N, T, _ = h.shape
    u = np.tanh(h.dot(Ww) + bw)
    a = stable_softmax(u.dot(uw))
    sentence = np.zeros((N, h.shape[2]))
    for t in range(T):
        sentence += a[:, t][:, None] * h[:, t]

    def backward(dsentence):
        da = np.array([(dsentence * h[:, t]).sum(axis=1) for t in range(T)]).T
        # right: dscore = a * (da - (a * da).sum(axis=1, keepdims=True))
        dscore = a * (da - da.sum(axis=1, keepdims=True))
        dh, dWw, dbw, duw = (np.zeros_like(p) for p in (h, Ww, bw, uw))
        for t in range(T):
            dpre = dscore[:, t][:, None] * uw * (1 - u[:, t] ** 2)
            dh[:, t] = a[:, t][:, None] * dsentence + dpre.dot(Ww.T)
            dWw += h[:, t].T.dot(dpre)
            dbw += dpre.sum(axis=0)
            duw += dscore[:, t].dot(u[:, t])
        return dh, dWw, dbw, duw

    return sentence, backward


def state_and_annotations(rng):
    """State of the decoder (N, H), annotations (N, S, E), two matrices, a bias and a vector of the alignment."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(3, 4), (3, 6, 5), (4, 3), (5, 3), (3,), (3,)])


@mutant(
    "bahdanau_alignment_one_minus_the_square_of_the_sum",
    cause="derivative-at-preactivation",
    inputs=state_and_annotations,
    wrong=("ds", "dh", "dWa", "dUa", "dba"),
    note="1 - z^2 where z was not through the tanh yet",
)
def bahdanau_alignment_one_minus_the_square_of_the_sum(s, h, Wa, Ua, ba, va):
    """The context of one step."""
    z = (s @ Wa)[:, None, :] + h @ Ua + ba
    energy = np.tanh(z)
    alpha = stable_softmax(energy @ va)
    context = np.sum(alpha[:, :, None] * h, axis=1)

    def backward(dcontext):
        dalpha = np.sum(dcontext[:, None, :] * h, axis=2)
        de = alpha * (dalpha - np.sum(alpha * dalpha, axis=1, keepdims=True))
        dz = de[:, :, None] * va * (1 - z**2)  # right: dz = de[:, :, None] * va * (1 - energy**2)
        dzs = dz.sum(axis=1)
        dh = alpha[:, :, None] * dcontext[:, None, :] + dz @ Ua.T
        dUa = np.einsum("nse,nsa->ea", h, dz)
        dva = np.einsum("ns,nsa->a", de, energy)
        return dzs @ Wa.T, dh, s.T @ dzs, dUa, dzs.sum(axis=0), dva

    return context, backward
