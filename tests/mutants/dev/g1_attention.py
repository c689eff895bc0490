"""Scores, masks, heads and layers of attention, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import sequences_of_one_length, stable_softmax


def g1_words_and_projections(rng):
    """Words (N, L, D), and the matrices (D, A), (D, A), (D, E) of queries, keys and values."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(2, 5, 4), (4, 3), (4, 3), (4, 6)])


@mutant(
    "self_attention_values_keep_their_share_for_themselves",
    cause="branch-missing",
    inputs=g1_words_and_projections,
    wrong=("dx",),
    note="the words are queries, keys and values, three times the same x",
)
def self_attention_values_keep_their_share_for_themselves(x, Wq, Wk, Wv):
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    scale = 1 / np.sqrt(Wq.shape[1])
    att = stable_softmax(q @ k.transpose(0, 2, 1) * scale)

    def backward(dout):
        dv = att.transpose(0, 2, 1) @ dout
        datt = dout @ v.transpose(0, 2, 1)
        dscore = att * (datt - np.sum(datt * att, axis=-1, keepdims=True)) * scale
        dq, dk = dscore @ k, dscore.transpose(0, 2, 1) @ q
        dWq, dWk, dWv = (np.einsum("nld,nla->da", x, d) for d in (dq, dk, dv))
        dx = dq @ Wq.T + dk @ Wk.T  # right: dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
        return dx, dWq, dWk, dWv

    return att @ v, backward


def g1_sentence(rng):
    """Queries and keys (T, D), values (T, E)."""
    return tuple(rng.standard_normal(s) for s in [(5, 3), (5, 3), (5, 4)])


@mutant(
    "linear_attention_looks_ahead_on_the_way_back",
    cause="mask-not-applied",
    inputs=g1_sentence,
    wrong=("dQ", "dK"),
    note="there is no softmax whose zeros would do it",
)
def linear_attention_looks_ahead_on_the_way_back(Q, K, V):
    """Attention without the softmax, of the words up to here."""
    causal = np.tril(np.ones((len(Q), len(K))))
    S = (Q @ K.T) * causal

    def backward(dO):
        dV = S.T @ dO
        dS = dO @ V.T  # right: dS = (dO @ V.T) * causal
        return dS @ K, dS.T @ Q, dV

    return S @ V, backward


@mutant(
    "self_attention_keys_asked_as_the_queries_were",
    cause="transposed",
    inputs=sequences_of_one_length,
    wrong=("dk",),
    note="the scores are a square",
)
def self_attention_keys_asked_as_the_queries_were(q, k, v):
    N, L, D = q.shape
    probs = np.zeros((N, L, L))
    out = np.zeros((N, L, D))
    for n in range(N):
        probs[n] = stable_softmax(q[n] @ k[n].T / np.sqrt(D))
        out[n] = probs[n] @ v[n]

    def backward(dout):
        dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        for n in range(N):
            p = probs[n]
            dp = dout[n] @ v[n].T
            ds = p * (dp - (p * dp).sum(axis=1)[:, None]) / np.sqrt(D)
            dq[n] = ds @ k[n]
            dk[n] = ds @ q[n]  # right: dk[n] = ds.T @ q[n]
            dv[n] = p.T @ dout[n]
        return dq, dk, dv

    return out, backward


def g1_decoder_and_encoder(rng):
    """A decoder's state (N, H), the encoder's (N, S, E), matrices (H, A) and (E, A), a bias (A,), a vector (A,)."""
    return tuple(rng.standard_normal(s) for s in [(3, 4), (3, 5, 2), (4, 6), (2, 6), (6,), (6,)])


def g1_tanh_prime(z):
    return 1 - np.tanh(z) ** 2


@mutant(
    "bahdanau_slope_of_what_is_bent_already",
    cause="derivative-at-preactivation",
    inputs=g1_decoder_and_encoder,
    wrong=("ds", "dh", "dWa", "dUa", "db"),
    note="a derivative in terms of the input, called with the output",
)
def bahdanau_slope_of_what_is_bent_already(s, h, Wa, Ua, b, va):
    z = (s @ Wa)[:, None, :] + h @ Ua + b
    hidden = np.tanh(z)

    def backward(de):
        dhidden = de[:, :, None] * va
        dz = dhidden * g1_tanh_prime(hidden)  # right: dz = dhidden * g1_tanh_prime(z)
        dva = np.sum(de[:, :, None] * hidden, axis=(0, 1))
        dquery = dz.sum(axis=1)
        dUa = np.einsum("nse,nsa->ea", h, dz)
        return dquery @ Wa.T, dz @ Ua.T, s.T @ dquery, dUa, dz.sum(axis=(0, 1)), dva

    return hidden @ va, backward


@mutant(
    "weight_sum_each_factor_meets_itself",
    cause="missing-factor",
    inputs=lambda rng: (rng.standard_normal((3, 5, 4)), rng.standard_normal((3, 5))),
    wrong=("dhs", "da"),
    note="the node of a product hands out the gradient times the other factor",
)
def weight_sum_each_factor_meets_itself(hs, a):
    """The context: states (N, T, H), weighted by (N, T)."""
    N, T, H = hs.shape
    ar = a.reshape(N, T, 1).repeat(H, axis=2)
    c = np.sum(hs * ar, axis=1)

    def backward(dc):
        dt = dc.reshape(N, 1, H).repeat(T, axis=1)
        dar = dt * ar  # right: dar = dt * hs
        dhs = dt * hs  # right: dhs = dt * ar
        da = np.sum(dar, axis=2)
        return dhs, da

    return c, backward


def g1_few_keys(rng):
    """Six heads of queries (N, T, 6 * 2), two of keys and of values (N, S, 2 * 2)."""
    return tuple(rng.standard_normal(s) for s in [(2, 3, 12), (2, 4, 4), (2, 4, 4)])


@mutant(
    "grouped_queries_share_the_keys_in_another_order",
    cause="wrong-sum-axis",
    also=("permuted-heads",),
    inputs=g1_few_keys,
    wrong=("dk", "dv"),
    note="np.repeat on the way there, undone as if it had been np.tile",
)
def grouped_queries_share_the_keys_in_another_order(q, k, v):
    """Three heads in a row look at the same keys."""
    n_kv, n_rep, d = 2, 3, 2

    def heads(a):
        return a.reshape(a.shape[0], a.shape[1], -1, d).transpose(0, 2, 1, 3)

    def join(a):
        return a.transpose(0, 2, 1, 3).reshape(a.shape[0], a.shape[2], -1)

    def collect(a):
        N, _, S, _ = a.shape
        # right: return join(a.reshape(N, n_kv, n_rep, S, d).sum(axis=2))
        return join(a.reshape(N, n_rep, n_kv, S, d).sum(axis=1))

    qh = heads(q)
    kh, vh = (np.repeat(heads(a), n_rep, axis=1) for a in (k, v))
    p = stable_softmax(qh @ kh.swapaxes(2, 3) / np.sqrt(d))

    def backward(dout):
        do = heads(dout)
        dp = do @ vh.swapaxes(2, 3)
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / np.sqrt(d)
        return join(ds @ kh), collect(ds.swapaxes(2, 3) @ qh), collect(p.swapaxes(2, 3) @ do)

    return join(p @ vh), backward


@mutant(
    "luong_context_and_state_cut_the_wrong_way_round",
    cause="swapped-gradients",
    inputs=lambda rng: tuple(0.7 * rng.standard_normal(s) for s in [(3, 4), (3, 4), (8, 5), (5,)]),
    wrong=("dcontext", "dh"),
    note="the context stands in front",
)
def luong_context_and_state_cut_the_wrong_way_round(context, h, Wc, bc):
    """The attentional state, of the context and the decoder's state."""
    H = h.shape[1]
    concat = np.concatenate([context, h], axis=1)
    h_tilde = np.tanh(np.dot(concat, Wc) + bc)

    def backward(dh_tilde):
        dpre = dh_tilde * (1 - h_tilde**2)
        dconcat = np.dot(dpre, Wc.T)
        # right: dcontext, dh = dconcat[:, :H].copy(), dconcat[:, H:].copy()
        dh, dcontext = dconcat[:, :H].copy(), dconcat[:, H:].copy()
        return dcontext, dh, np.dot(concat.T, dpre), np.sum(dpre, axis=0)

    return h_tilde, backward


def g1_long_sentence(rng):
    """Queries and keys (T, D), values (T, E)."""
    return tuple(rng.standard_normal(s) for s in [(7, 3), (7, 3), (7, 4)])


@mutant(
    "local_attention_window_ends_early_on_the_way_back",
    cause="off-by-one",
    also=("sum-missing",),
    inputs=g1_long_sentence,
    wrong=("dq", "dk", "dv"),
    note="the end of a range is not in it",
)
def local_attention_window_ends_early_on_the_way_back(q, k, v):
    """Every word sees two to its left and two to its right."""
    T, w = len(q), 2
    weights = np.zeros((T, T))
    for t in range(T):
        window = slice(max(0, t - w), t + w + 1)
        weights[t, window] = stable_softmax(k[window] @ q[t])
    out = weights @ v

    def backward(dout):
        dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        for t in range(T):
            dweight = v @ dout[t]
            dscore = weights[t] * (dweight - weights[t] @ dweight)
            # right: for s in range(max(0, t - w), min(T, t + w + 1)):
            for s in range(max(0, t - w), min(T, t + w)):
                dq[t] += dscore[s] * k[s]
                dk[s] += dscore[s] * q[t]
                dv[s] += weights[t, s] * dout[t]
        return dq, dk, dv

    return out, backward
