# ruff: noqa: RUF059 (students unpack every shape)
"""Attention by hand, after a paper or a lecture: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import padded_memory, stable_softmax


def k1_sentences_and_four_matrices(rng):
    """Tokens (N, T, C), matrices of query, key and value (C, heads * width), and of the output (heads * width, C)."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(2, 5, 4), (4, 6), (4, 6), (4, 6), (6, 4)])


@mutant(
    "transformer_layer_heads_of_dout_made_by_reshape",
    cause="permuted-axes",
    inputs=k1_sentences_and_four_matrices,
    wrong=("dX", "dWq", "dWk", "dWv"),
    note="joined by transpose and reshape, taken apart by reshape alone",
)
def transformer_layer_heads_of_dout_made_by_reshape(X, Wq, Wk, Wv, Wo):
    N, T, C = X.shape
    h, d = 3, 2
    Q, K, V = ((X @ W).reshape(N, T, h, d).transpose(0, 2, 1, 3) for W in (Wq, Wk, Wv))
    A = stable_softmax(Q @ K.transpose(0, 1, 3, 2) / np.sqrt(d))
    concat = (A @ V).transpose(0, 2, 1, 3).reshape(N, T, h * d)

    def backward(dout):
        dconcat = dout @ Wo.T
        dheads = dconcat.reshape(N, h, T, d)  # right: dheads = dconcat.reshape(N, T, h, d).transpose(0, 2, 1, 3)
        dA = dheads @ V.transpose(0, 1, 3, 2)
        dS = A * (dA - np.sum(A * dA, axis=-1, keepdims=True)) / np.sqrt(d)
        dheads_of = {"Q": dS @ K, "K": dS.transpose(0, 1, 3, 2) @ Q, "V": A.transpose(0, 1, 3, 2) @ dheads}
        dQ, dK, dV = (dheads_of[name].transpose(0, 2, 1, 3).reshape(N, T, h * d) for name in "QKV")
        dX = dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T
        dWq, dWk, dWv = (np.einsum("ntc,nte->ce", X, g) for g in (dQ, dK, dV))
        return dX, dWq, dWk, dWv, np.einsum("nte,ntc->ec", concat, dout)

    return concat @ Wo, backward


def k1_one_sentence_and_three_matrices(rng):
    """Words (T, D), matrices of query and key (D, A), and of the value (D, E)."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(6, 4), (4, 3), (4, 3), (4, 5)])


@mutant(
    "self_attention_words_not_heard_as_values",
    cause="branch-missing",
    inputs=k1_one_sentence_and_three_matrices,
    wrong=("dx",),
    note="x stands in query, key and value, and is given back the first two",
)
def self_attention_words_not_heard_as_values(x, w_query, w_key, w_value):
    queries, keys, values = x @ w_query, x @ w_key, x @ w_value
    d_k = keys.shape[1]
    weights = stable_softmax(queries @ keys.T / d_k**0.5)

    def backward(dz):
        dvalues = weights.T @ dz
        dweights = dz @ values.T
        dscores = np.zeros_like(dweights)
        for i, w in enumerate(weights):
            dscores[i] = (np.diag(w) - np.outer(w, w)) @ dweights[i]
        dqueries = dscores @ keys / d_k**0.5
        dkeys = dscores.T @ queries / d_k**0.5
        dx = dqueries @ w_query.T
        dx += dkeys @ w_key.T
        # missing: dx += dvalues @ w_value.T
        return dx, x.T @ dqueries, x.T @ dkeys, x.T @ dvalues

    return weights @ values, backward


def k1_decoder_and_encoder_states(rng):
    """States of the decoder (N, T, H) and of the encoder (N, S, H), and a square matrix between them."""
    return rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 6, 3)), rng.standard_normal((3, 3))


@mutant(
    "luong_general_matrix_learns_source_by_target",
    cause="transposed",
    inputs=k1_decoder_and_encoder_states,
    wrong=("dWa",),
    note="both states have the same width, so that either outer product fits",
)
def luong_general_matrix_learns_source_by_target(ht, hs, Wa):
    batch, steps, hidden = ht.shape
    align, context = [], np.zeros_like(ht)
    for b in range(batch):
        align.append(stable_softmax(ht[b] @ Wa @ hs[b].T))
        context[b] = align[b] @ hs[b]

    def backward(dcontext):
        dht, dhs, dWa = np.zeros_like(ht), np.zeros_like(hs), np.zeros_like(Wa)
        for b in range(batch):
            dalign = dcontext[b] @ hs[b].T
            dscore = align[b] * (dalign - np.sum(dalign * align[b], axis=1, keepdims=True))
            dht[b] = dscore @ hs[b] @ Wa.T
            dhs[b] = align[b].T @ dcontext[b] + dscore.T @ ht[b] @ Wa
            dWa += hs[b].T @ dscore.T @ ht[b]  # right: dWa += ht[b].T @ dscore @ hs[b]
        return dht, dhs, dWa

    return context, backward


def k1_queries_and_fewer_memories(rng):
    """Queries (N, T, 6 * 2), keys and values (N, S, 2 * 2): three heads of queries share one of keys and values."""
    return tuple(rng.standard_normal(s) for s in [(2, 3, 12), (2, 5, 4), (2, 5, 4)])


@mutant(
    "grouped_query_attention_repeat_undone_as_if_it_were_tile",
    cause="permuted-heads",
    also=("wrong-sum-axis",),
    inputs=k1_queries_and_fewer_memories,
    wrong=("dk", "dv"),
    note="a a a b b b is added up as a b a b a b",
)
def grouped_query_attention_repeat_undone_as_if_it_were_tile(q, k, v):
    n_kv, n_rep, width = 2, 3, 2

    def to_heads(a, n):
        return a.reshape(a.shape[0], a.shape[1], n, width).transpose(0, 2, 1, 3)

    def from_heads(a):
        return a.transpose(0, 2, 1, 3).reshape(a.shape[0], a.shape[2], -1)

    qh = to_heads(q, n_kv * n_rep)
    kh, vh = (np.repeat(to_heads(a, n_kv), n_rep, axis=1) for a in (k, v))
    attn = stable_softmax(qh @ kh.swapaxes(2, 3) / np.sqrt(width))

    def undo_repeat(d):
        bsz, _, length, _ = d.shape
        # right: return d.reshape(bsz, n_kv, n_rep, length, width).sum(axis=2)
        return d.reshape(bsz, n_rep, n_kv, length, width).sum(axis=1)

    def backward(dout):
        doh = to_heads(dout, n_kv * n_rep)
        dattn = doh @ vh.swapaxes(2, 3)
        dscores = attn * (dattn - (attn * dattn).sum(axis=-1, keepdims=True)) / np.sqrt(width)
        dkh = dscores.swapaxes(2, 3) @ qh
        dvh = attn.swapaxes(2, 3) @ doh
        return from_heads(dscores @ kh), from_heads(undo_repeat(dkh)), from_heads(undo_repeat(dvh))

    return from_heads(attn @ vh), backward


def k1_words_to_be_turned(rng):
    """Queries and keys (N, T, D) with an even D, values (N, T, E)."""
    return tuple(rng.standard_normal(s) for s in [(2, 5, 4), (2, 5, 4), (2, 5, 3)])


def k1_rotate_halves(x, cos, sin):
    """Turn the pairs that the first and the second half of the features make."""
    x1, x2 = np.split(x, 2, axis=-1)
    return np.concatenate([x1 * cos - x2 * sin, x2 * cos + x1 * sin], axis=-1)


@mutant(
    "rotary_embedding_turned_further_instead_of_back",
    cause="wrong-sign",
    also=("transposed",),
    inputs=k1_words_to_be_turned,
    wrong=("dq", "dk"),
    note="the gradient of a rotation turns the other way",
)
def rotary_embedding_turned_further_instead_of_back(q, k, v):
    N, T, D = q.shape
    theta = np.outer(np.arange(T), 1.0 / 100 ** (np.arange(D // 2) / (D // 2)))
    cos, sin = np.cos(theta), np.sin(theta)
    q_rot, k_rot = k1_rotate_halves(q, cos, sin), k1_rotate_halves(k, cos, sin)
    probs = stable_softmax(np.einsum("nid,njd->nij", q_rot, k_rot) / np.sqrt(D))

    def backward(dout):
        dprobs = np.einsum("nie,nje->nij", dout, v)
        dlogits = probs * (dprobs - np.einsum("nij,nij->ni", dprobs, probs)[:, :, None]) / np.sqrt(D)
        dq_rot = np.einsum("nij,njd->nid", dlogits, k_rot)
        dk_rot = np.einsum("nij,nid->njd", dlogits, q_rot)
        dq = k1_rotate_halves(dq_rot, cos, sin)  # right: dq = k1_rotate_halves(dq_rot, cos, -sin)
        dk = k1_rotate_halves(dk_rot, cos, sin)  # right: dk = k1_rotate_halves(dk_rot, cos, -sin)
        return dq, dk, np.einsum("nij,nie->nje", probs, dout)

    return np.einsum("nij,nje->nie", probs, v), backward


@mutant(
    "cross_attention_gradient_cleared_where_there_are_words",
    cause="mask-inverted",
    also=("zero-gradient",),
    inputs=padded_memory,
    wrong=("dquery", "dkey"),
    note="two tutorials, two meanings of True; what is left of the scores' gradient is at padding, and is zero there",
)
def cross_attention_gradient_cleared_where_there_are_words(query, key, value, is_word):
    d = query.shape[-1]
    visible = np.repeat(is_word[:, None, :], query.shape[1], axis=1)
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(d)
    scores[~visible] = -1e9
    alpha = stable_softmax(scores)

    def backward(dout):
        dvalue = alpha.transpose(0, 2, 1) @ dout
        dalpha = dout @ value.transpose(0, 2, 1)
        dscores = alpha * (dalpha - np.sum(dalpha * alpha, axis=-1, keepdims=True))
        dscores[visible] = 0  # right: dscores[~visible] = 0
        dscores /= np.sqrt(d)
        return dscores @ key, dscores.transpose(0, 2, 1) @ query, dvalue, None

    return alpha @ value, backward


def k1_state_and_annotations(rng):
    """State of the decoder (N, H), annotations (N, S, E), two matrices, a bias and a vector of the alignment."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(3, 4), (3, 6, 5), (4, 3), (5, 3), (3,), (3,)])


@mutant(
    "bahdanau_alignment_one_minus_the_square_of_the_sum",
    cause="derivative-at-preactivation",
    inputs=k1_state_and_annotations,
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
