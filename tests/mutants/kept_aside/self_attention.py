# ruff: noqa: RUF059 (students unpack every shape)
"""Self-attention: queries, keys and values of the same words: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import shapes_2, softmax_back, stable_softmax


@mutant(
    "dot_scores_last_query_wins",
    cause="one-step-only",
    also=("sum-missing",),
    like="dot_scores",
    wrong=("dmemory",),
)
def dot_scores_last_query_wins(query, memory):
    T, N, H = query.shape
    table = np.stack([np.sum(query[t] * memory, axis=2).T for t in range(T)], axis=1)

    def backward(dscores):
        dq, dm = np.zeros_like(query), np.zeros_like(memory)
        for t in range(T):
            for n in range(N):
                dq[t, n] = dscores[n, t] @ memory[:, n]
                # right: dm[:, n] += np.outer(dscores[n, t], query[t, n])
                dm[:, n] = np.outer(dscores[n, t], query[t, n])
        return dq, dm

    return table, backward


def cross_forward(x, memory, Wq, Wk, Wv):
    Q, K, V = x @ Wq, memory @ Wk, memory @ Wv
    A = stable_softmax(Q @ K.transpose(0, 2, 1) / np.sqrt(Q.shape[-1]))
    return A @ V, (x, memory, Wq, Wk, Wv, Q, K, V, A)


def cross_backward(dout, cache):
    x, memory, Wq, Wk, Wv, Q, K, V, A = cache
    dA = dout @ V.transpose(0, 2, 1)
    dV = A.transpose(0, 2, 1) @ dout
    dS = A * dA  # right: dS = A * (dA - np.sum(A * dA, axis=-1, keepdims=True))
    dS = dS / np.sqrt(Q.shape[-1])
    dQ, dK = dS @ K, dS.transpose(0, 2, 1) @ Q
    dmemory = dK @ Wk.T + dV @ Wv.T
    dWq = np.einsum("ntd,nta->da", x, dQ)
    dWk = np.einsum("nsd,nsa->da", memory, dK)
    dWv = np.einsum("nsd,nsa->da", memory, dV)
    return dQ @ Wq.T, dmemory, dWq, dWk, dWv


mutant(
    "cross_attention_layer_softmax_by_the_chain_rule_of_exp",
    cause="softmax-second-term-missing",
    inputs=shapes_2((2, 3, 4), (2, 6, 5), (4, 3), (5, 3), (5, 2)),
    wrong=("dx", "dmemory", "dWq", "dWk"),
)((cross_forward, cross_backward))


def padded_sentences(rng):
    """Words (N, T, D), matrices of query and key (D, A), and which words are real (N, T)."""
    shapes = [(3, 5, 4), (4, 3), (4, 3)]
    return (*(rng.standard_normal(s) for s in shapes), np.arange(5) < np.array([[4], [3], [2]]))


@mutant(
    "sentence_mean_shared_out_over_the_padding_too",
    cause="wrong-count",
    inputs=padded_sentences,
    wrong=("dx", "dWq", "dWk"),
    note="there by the number of words, back by the length of the array",
)
def sentence_mean_shared_out_over_the_padding_too(x, Wq, Wk, mask):
    """One vector for a sentence: the mean of what its words found."""
    N, T, D = x.shape
    count = mask.sum(axis=1)
    q, k = x @ Wq, x @ Wk
    scores = np.where(mask[:, None, :], q @ k.swapaxes(1, 2), -1e9)
    attn = stable_softmax(scores)
    found = attn @ x
    pooled = np.sum(found * mask[:, :, None], axis=1) / count[:, None]

    def backward(dpooled):
        dmean = dpooled / T  # right: dmean = dpooled / count[:, None]
        dfound = dmean[:, None, :] * mask[:, :, None]
        ds = softmax_back(attn, dfound @ x.swapaxes(1, 2))
        dq, dk = ds @ k, ds.swapaxes(1, 2) @ q
        dx = attn.swapaxes(1, 2) @ dfound + dq @ Wq.T + dk @ Wk.T
        return dx, np.einsum("ntd,nta->da", x, dq), np.einsum("ntd,nta->da", x, dk), None

    return pooled, backward


@mutant(
    "questions_and_keys_of_one_matrix_the_keys_win",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=shapes_2((2, 5, 4), (4, 3), (4, 6)),
    wrong=("dWqk",),
)
def questions_and_keys_of_one_matrix_the_keys_win(x, Wqk, Wv):
    """Query and key are the same projection; of the key, only the direction counts in the paper, here all of it."""
    h, v = x @ Wqk, x @ Wv
    T = x.shape[1]
    scores = h @ h.transpose(0, 2, 1) / np.sqrt(h.shape[-1])
    scores = scores - 5.0 * np.eye(T)  # a word shall rather look at others than at itself
    attn = stable_softmax(scores)

    def backward(dout):
        dv = attn.transpose(0, 2, 1) @ dout
        ds = softmax_back(attn, dout @ v.transpose(0, 2, 1)) / np.sqrt(h.shape[-1])
        dq = ds @ h
        dk = ds.transpose(0, 2, 1) @ h
        dx = (dq + dk) @ Wqk.T + dv @ Wv.T
        dWqk = np.tensordot(x, dq, axes=((0, 1), (0, 1)))
        # right: dWqk = dWqk + np.tensordot(x, dk, axes=((0, 1), (0, 1)))
        dWqk = np.tensordot(x, dk, axes=((0, 1), (0, 1)))
        dWv = np.tensordot(x, dv, axes=((0, 1), (0, 1)))
        return dx, dWqk, dWv

    return attn @ v, backward


@mutant(
    "square_projections_learn_input_by_output",
    cause="transposed",
    inputs=shapes_2((2, 5, 4), (4, 4), (4, 4), (4, 4)),
    wrong=("dWq", "dWk", "dWv"),
    note="the weights are (out, in), as in PyTorch, their gradients (in, out), as in the lecture",
)
def square_projections_learn_input_by_output(x, Wq, Wk, Wv):
    q, k, v = x @ Wq.T, x @ Wk.T, x @ Wv.T
    D = x.shape[-1]
    probs = stable_softmax(q @ np.swapaxes(k, -2, -1) / np.sqrt(D))

    def weight_grad(g):
        x2, g2 = x.reshape(-1, D), g.reshape(-1, D)
        return x2.T @ g2  # right: return g2.T @ x2

    def backward(dout):
        dv = np.swapaxes(probs, -2, -1) @ dout
        ds = softmax_back(probs, dout @ np.swapaxes(v, -2, -1)) / np.sqrt(D)
        dq, dk = ds @ k, np.swapaxes(ds, -2, -1) @ q
        return dq @ Wq + dk @ Wk + dv @ Wv, weight_grad(dq), weight_grad(dk), weight_grad(dv)

    return probs @ v, backward


@mutant(
    "query_scaled_first_and_not_scaled_back",
    cause="constant-factor",
    also=("wrong-count",),
    inputs=shapes_2((2, 4, 3), (2, 6, 3), (2, 6, 5), scale=1.0),
    wrong=("dq",),
    note="the key gets the root with the scaled query, the query has to be given it",
)
def query_scaled_first_and_not_scaled_back(q, k, v):
    N, T, d = q.shape
    qs = q * d**-0.5
    out, probs = np.zeros((N, T, v.shape[2])), []
    for n in range(N):
        probs.append(stable_softmax(qs[n] @ k[n].T))
        out[n] = probs[n] @ v[n]

    def backward(dout):
        dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        for n, p in enumerate(probs):
            dv[n] = p.T @ dout[n]
            ds = softmax_back(p, dout[n] @ v[n].T)
            dq[n] = ds @ k[n]  # right: dq[n] = ds @ k[n] * d**-0.5
            dk[n] = ds.T @ qs[n]
        return dq, dk, dv

    return out, backward
