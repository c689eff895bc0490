"""Self-attention: queries, keys and values of the same words: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import draw_4, sequences_of_one_length, stable_softmax


def square_attention_inputs(rng):
    """As many queries as memories: (T, N, A) both."""
    return rng.standard_normal((4, 3, 5)), rng.standard_normal((4, 3, 5)), rng.standard_normal(5)


@mutant("bahdanau_sums_over_queries", cause="wrong-sum-axis", inputs=square_attention_inputs, wrong=("dquery",))
def bahdanau_sums_over_queries(query, keys, v):
    t = np.tanh(query[:, None] + keys[None])  # (T, S, N, A)
    score = t @ v

    def backward(dscore):
        dt = dscore[..., None] * v * (1 - t**2)
        dquery = dt.sum(axis=0)  # right: dquery = dt.sum(axis=1)
        dkeys = dt.sum(axis=0)
        return dquery, dkeys, np.tensordot(dscore, t, axes=3)

    return score, backward


@mutant(
    "scaled_scores_query_unscaled",
    cause="wrong-count",
    also=("constant-factor",),
    like="scaled_dot_scores",
    wrong=("dquery",),
)
def scaled_scores_query_unscaled(query, memory):
    scale = 1 / np.sqrt(query.shape[-1])
    scores = np.einsum("tnh,snh->nts", query, memory) * scale

    def backward(dscores):
        # right: dquery = scale * np.einsum("nts,snh->tnh", dscores, memory)
        dquery = np.einsum("nts,snh->tnh", dscores, memory)
        dmemory = np.einsum("nts,tnh->snh", dscores, query) * scale
        return dquery, dmemory

    return scores, backward


@mutant(
    "causal_attention_keys_paid_by_rows",
    cause="transposed",
    inputs=sequences_of_one_length,
    wrong=("dK",),
    note="every word attends to every word: the matrix is square, and fits without being turned",
)
def causal_attention_keys_paid_by_rows(Q, K, V):
    """No word sees those behind it."""
    T, d = Q.shape[1:]
    future = np.triu(np.ones((T, T)), k=1)
    A = stable_softmax(Q @ K.transpose(0, 2, 1) / np.sqrt(d) - 1e9 * future)

    def backward(dO):
        dV = A.transpose(0, 2, 1) @ dO
        dA = dO @ V.transpose(0, 2, 1)
        dS = A * (dA - np.sum(dA * A, axis=2, keepdims=True))
        dQ = dS @ K / np.sqrt(d)
        dK = dS @ Q / np.sqrt(d)  # right: dK = dS.transpose(0, 2, 1) @ Q / np.sqrt(d)
        return dQ, dK, dV

    return A @ V, backward


def words_and_projections(rng):
    """Words (N, L, D) and three matrices (D, A), the last (D, E)."""
    D, A, E = 5, 4, 3
    return (rng.standard_normal((2, 6, D)), *(0.7 * rng.standard_normal((D, width)) for width in (A, A, E)))


@mutant(
    "self_attention_words_learn_not_from_their_values",
    cause="branch-missing",
    inputs=words_and_projections,
    wrong=("dX",),
    note="every word is query, key and value",
)
def self_attention_words_learn_not_from_their_values(X, W_q, W_k, W_v):
    """One sentence after the other."""
    scale = 1 / np.sqrt(W_q.shape[1])
    saved, outputs = [], []
    for words in X:
        Q, K, V = words @ W_q, words @ W_k, words @ W_v
        weights = stable_softmax(Q @ K.T * scale)
        saved.append((words, Q, K, V, weights))
        outputs.append(weights @ V)

    def backward(dOut):
        dX, dW_q, dW_k, dW_v = (np.zeros_like(a) for a in (X, W_q, W_k, W_v))
        for i, (words, Q, K, V, weights) in enumerate(saved):
            dV = weights.T @ dOut[i]
            dweights = dOut[i] @ V.T
            dscores = weights * (dweights - (dweights * weights).sum(axis=1, keepdims=True)) * scale
            dQ = dscores @ K
            dK = dscores.T @ Q
            dW_q += words.T @ dQ
            dW_k += words.T @ dK
            dW_v += words.T @ dV
            dX[i] = dQ @ W_q.T + dK @ W_k.T
            # missing: dX[i] += dV @ W_v.T
        return dX, dW_q, dW_k, dW_v

    return np.array(outputs), backward


def words_and_one_projection(rng):
    """Words (N, T, D), one matrix (D, 3 * A) for queries, keys and values, its bias (3 * A,)."""
    return rng.standard_normal((2, 5, 4)), 0.7 * rng.standard_normal((4, 9)), rng.standard_normal(9)


@mutant(
    "fused_projection_key_query_value",
    cause="permuted-gates",
    inputs=words_and_one_projection,
    wrong=("dx", "dw_qkv", "db_qkv"),
    note="split as query, key, value; joined in the order of another implementation",
)
def fused_projection_key_query_value(x, w_qkv, b_qkv):
    """Causal self-attention with one projection for all three."""
    T, D = x.shape[1:]
    qkv = x @ w_qkv + b_qkv
    q, k, v = np.split(qkv, 3, axis=-1)
    scale = 1.0 / np.sqrt(q.shape[-1])
    visible = np.tril(np.ones((T, T), dtype=bool))
    att = stable_softmax(np.where(visible, q @ k.swapaxes(-2, -1) * scale, -1e10))

    def backward(dy):
        datt = dy @ v.swapaxes(-2, -1)
        dv = att.swapaxes(-2, -1) @ dy
        dlogits = att * (datt - np.sum(att * datt, axis=-1, keepdims=True)) * scale
        dq, dk = dlogits @ k, dlogits.swapaxes(-2, -1) @ q
        dqkv = np.concatenate([dk, dq, dv], axis=-1)  # right: dqkv = np.concatenate([dq, dk, dv], axis=-1)
        dw_qkv = x.reshape(-1, D).T @ dqkv.reshape(-1, dqkv.shape[-1])
        return dqkv @ w_qkv.T, dw_qkv, dqkv.sum(axis=(0, 1))

    return att @ v, backward


def words_and_projections_2(rng):
    """Words (N, L, D), and the matrices (D, A), (D, A), (D, E) of queries, keys and values."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(2, 5, 4), (4, 3), (4, 3), (4, 6)])


@mutant(
    "self_attention_values_keep_their_share_for_themselves",
    cause="branch-missing",
    inputs=words_and_projections_2,
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


@mutant(
    "cross_attention_source_answers_for_its_keys_only",
    cause="branch-missing",
    inputs=draw_4((2, 3, 4), (2, 5, 6), (4, 3), (6, 3), (6, 2)),
    wrong=("dmemory",),
    note="keys and values are made of the same memory",
)
def cross_attention_source_answers_for_its_keys_only(x, memory, Wq, Wk, Wv):
    """Words of the target (N, T, D) look at the source (N, S, E)."""
    d_k = Wq.shape[1]
    Q, K, V = x @ Wq, memory @ Wk, memory @ Wv
    A = stable_softmax(Q @ K.transpose(0, 2, 1) / np.sqrt(d_k))

    def backward(dout):
        dA = dout @ V.transpose(0, 2, 1)
        dV = A.transpose(0, 2, 1) @ dout
        dscores = A * (dA - np.sum(dA * A, axis=-1, keepdims=True)) / np.sqrt(d_k)
        dQ, dK = dscores @ K, dscores.transpose(0, 2, 1) @ Q
        dWq = np.einsum("ntd,nta->da", x, dQ)
        dWk = np.einsum("nse,nsa->ea", memory, dK)
        dWv = np.einsum("nse,nsa->ea", memory, dV)
        dmemory = dK @ Wk.T  # right: dmemory = dK @ Wk.T + dV @ Wv.T
        return dQ @ Wq.T, dmemory, dWq, dWk, dWv

    return A @ V, backward


def words_that_look_at_each_other(rng):
    """Words (N, L, D), two matrices (D, A), a bias (A,) and a vector (A,)."""
    N, L, D, A = 2, 5, 4, 3
    return tuple(rng.standard_normal(s) for s in [(N, L, D), (D, A), (D, A), (A,), (A,)])


@mutant(
    "additive_self_attention_queries_summed_over_the_queries",
    cause="wrong-sum-axis",
    inputs=words_that_look_at_each_other,
    wrong=("dx", "dWq"),
    note="there are as many queries as keys, both sums fit",
)
def additive_self_attention_queries_summed_over_the_queries(x, Wq, Wk, b, v):
    q, k = x @ Wq, x @ Wk
    features = np.tanh(q[:, :, None, :] + k[:, None, :, :] + b)
    alpha = stable_softmax(features @ v)

    def backward(dout):
        dalpha = dout @ x.swapaxes(1, 2)
        dscore = alpha * (dalpha - np.sum(alpha * dalpha, axis=2, keepdims=True))
        dpre = dscore[..., None] * v * (1 - features**2)
        dq = dpre.sum(axis=1)  # right: dq = dpre.sum(axis=2)
        dk = dpre.sum(axis=1)
        dx = dq @ Wq.T + dk @ Wk.T + alpha.swapaxes(1, 2) @ dout
        dWq, dWk = np.einsum("nld,nla->da", x, dq), np.einsum("nld,nla->da", x, dk)
        return dx, dWq, dWk, dpre.sum(axis=(0, 1, 2)), np.einsum("nts,ntsa->a", dscore, features)

    return alpha @ x, backward


def one_sentence(rng):
    """Queries and keys (T, D), values (T, E)."""
    return tuple(rng.standard_normal(s) for s in [(6, 3), (6, 3), (6, 4)])


@mutant(
    "causal_attention_takes_the_diagonal_for_the_future",
    cause="off-by-one",
    inputs=one_sentence,
    wrong=("dQ", "dK"),
    note="`triu` with k=1 on the way there, without it on the way back",
)
def causal_attention_takes_the_diagonal_for_the_future(Q, K, V):
    T, d_k = Q.shape
    scores = Q @ K.T / np.sqrt(d_k)
    scores[np.triu(np.ones((T, T)), k=1) == 1] = -1e9
    P = stable_softmax(scores)

    def backward(dO):
        dV, dP = P.T @ dO, dO @ V.T
        dS = P * (dP - np.sum(dP * P, axis=-1, keepdims=True))
        dS[np.triu(np.ones((T, T))) == 1] = 0  # right: dS[np.triu(np.ones((T, T)), k=1) == 1] = 0
        return dS @ K / np.sqrt(d_k), dS.T @ Q / np.sqrt(d_k), dV

    return P @ V, backward


def one_sentence_and_three_matrices(rng):
    """Words (T, D), matrices of query and key (D, A), and of the value (D, E)."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(6, 4), (4, 3), (4, 3), (4, 5)])


@mutant(
    "self_attention_words_not_heard_as_values",
    cause="branch-missing",
    inputs=one_sentence_and_three_matrices,
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
