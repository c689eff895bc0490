# ruff: noqa: RUF059 (students unpack every shape)
"""Softmax and attention, as students write them: each with one mistake in its backward pass."""

import numpy as np
from mutants import mutant


def rows(rng):
    return (1.5 * rng.standard_normal((4, 6)),)


def sequences_of_one_length(rng):
    """Queries, keys and values (N, L, D): batch first."""
    return tuple(rng.standard_normal((2, 4, 6)) for _ in range(3))


def queries_keys_values(rng):
    """Two lengths: queries (N, T, D), keys and values (N, S, D)."""
    return rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 5, 4))


def stable_softmax(a):
    e = np.exp(a - np.max(a, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


@mutant(
    "softmax_as_if_sigmoid",
    cause="softmax-second-term-missing",
    inputs=rows,
    note="only the Jacobian's diagonal",
    wrong=("dscores",),
)
def softmax_as_if_sigmoid(scores):
    probs = np.zeros_like(scores)
    for n, row in enumerate(scores):
        e = np.exp(row - row.max())
        probs[n] = e / e.sum()

    def backward(dprobs):
        # right: return probs * (dprobs - (probs * dprobs).sum(axis=1, keepdims=True))
        return dprobs * probs * (1 - probs)

    return probs, backward


@mutant("softmax_summed_over_the_batch", cause="wrong-sum-axis", inputs=rows, wrong=("dx",))
def softmax_summed_over_the_batch(x):
    x = x - np.max(x, axis=1, keepdims=True)
    y = np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)

    def backward(dout):
        dx = y * dout
        sumdx = np.sum(dx, axis=0, keepdims=True)  # right: sumdx = np.sum(dx, axis=1, keepdims=True)
        dx = dx - y * sumdx
        return dx

    return y, backward


@mutant(
    "attention_softmax_passed_straight",
    cause="softmax-second-term-missing",
    inputs=queries_keys_values,
    wrong=("dq", "dk"),
)
def attention_softmax_passed_straight(q, k, v):
    d = q.shape[-1]
    w = stable_softmax(np.einsum("ntd,nsd->nts", q, k) / np.sqrt(d))
    out = np.einsum("nts,nsd->ntd", w, v)

    def backward(dout):
        dw = np.einsum("ntd,nsd->nts", dout, v)
        ds = w * dw  # right: ds = w * (dw - np.sum(w * dw, axis=-1, keepdims=True))
        ds = ds / np.sqrt(d)
        return np.einsum("nts,nsd->ntd", ds, k), np.einsum("nts,ntd->nsd", ds, q), np.einsum("nts,ntd->nsd", w, dout)

    return out, backward


@mutant(
    "attention_softmax_backward_called_twice",
    cause="softmax-applied-twice",
    inputs=queries_keys_values,
    wrong=("dquery", "dkey"),
)
def attention_softmax_backward_called_twice(query, key, value):
    scale = query.shape[-1] ** -0.5
    prob = stable_softmax(query @ key.swapaxes(1, 2) * scale)

    def softmax_grad(dp):
        return prob * (dp - np.sum(prob * dp, axis=-1, keepdims=True))

    def backward(grad):
        dprob = grad @ value.swapaxes(1, 2)
        dprob = softmax_grad(dprob)  # right: dprob = 1 * dprob
        dscore = scale * softmax_grad(dprob)
        return dscore @ key, dscore.swapaxes(1, 2) @ query, prob.swapaxes(1, 2) @ grad

    return prob @ value, backward


@mutant(
    "attention_key_unscaled",
    cause="constant-factor",
    also=("missing-factor",),
    inputs=queries_keys_values,
    wrong=("dkey",),
    note="1/sqrt(d) is left out, with d = 4",
)
def attention_key_unscaled(query, key, value):
    N, T, d = query.shape
    outs, weights = np.zeros((N, T, value.shape[2])), []
    for n in range(N):
        a = stable_softmax(query[n].dot(key[n].T) / np.sqrt(d))
        weights.append(a)
        outs[n] = a.dot(value[n])

    def backward(dout):
        dquery, dkey, dvalue = np.zeros_like(query), np.zeros_like(key), np.zeros_like(value)
        for n in range(N):
            a = weights[n]
            da = dout[n].dot(value[n].T)
            ds = a * (da - (a * da).sum(axis=1, keepdims=True))
            dquery[n] = ds.dot(key[n]) / np.sqrt(d)
            dkey[n] = ds.T.dot(query[n])  # right: dkey[n] = ds.T.dot(query[n]) / np.sqrt(d)
            dvalue[n] = a.T.dot(dout[n])
        return dquery, dkey, dvalue

    return outs, backward


@mutant("multi_head_merged_wrongly", cause="permuted-heads", inputs=sequences_of_one_length, wrong=("dq",))
def multi_head_merged_wrongly(q, k, v):
    """Three heads of two features."""
    N, L, D = q.shape
    heads, width = 3, 2

    def split_heads(a):
        return a.reshape(N, L, heads, width).transpose(0, 2, 1, 3)

    def merge_heads(a):
        return a.transpose(0, 2, 1, 3).reshape(N, L, D)

    def merge_wrongly(a):
        return a.transpose(0, 2, 3, 1).reshape(N, L, D)

    qs, ks, vs = split_heads(q), split_heads(k), split_heads(v)
    att = stable_softmax(qs @ ks.transpose(0, 1, 3, 2) / np.sqrt(width))

    def backward(dout):
        do = split_heads(dout)
        datt = do @ vs.transpose(0, 1, 3, 2)
        ds = att * (datt - (att * datt).sum(-1, keepdims=True)) / np.sqrt(width)
        dqs, dks, dvs = ds @ ks, ds.transpose(0, 1, 3, 2) @ qs, att.transpose(0, 1, 3, 2) @ do
        # right: return merge_heads(dqs), merge_heads(dks), merge_heads(dvs)
        return merge_wrongly(dqs), merge_heads(dks), merge_heads(dvs)

    return merge_heads(att @ vs), backward


def masked_pool_inputs(rng):
    mask = np.arange(5)[None, :] < np.array([[5], [3], [2], [4]])
    return rng.standard_normal((4, 5)), rng.standard_normal((4, 5, 3)), mask


@mutant("pooling_mask_upside_down", cause="mask-inverted", inputs=masked_pool_inputs, wrong=("dvalues",))
def pooling_mask_upside_down(gate, values, mask):
    """Every word is weighted by a sigmoid gate of its own, padding by nothing."""
    g = 1 / (1 + np.exp(-gate))
    kept = np.where(mask, g, 0.0)
    out = np.zeros((values.shape[0], values.shape[2]))
    for n in range(values.shape[0]):
        for s in range(values.shape[1]):
            out[n] += kept[n, s] * values[n, s]

    def backward(dout):
        dvalues = g[:, :, None] * dout[:, None, :]
        dvalues[mask] = 0  # right: dvalues[~mask] = 0
        dgate = mask * g * (1 - g) * np.einsum("nd,nsd->ns", dout, values)
        return dgate, dvalues, None

    return out, backward


@mutant("masked_mean_gives_to_padding", cause="mask-not-applied", like="masked_mean", wrong=("dmemory",))
def masked_mean_gives_to_padding(memory, mask):
    count = np.maximum(mask.sum(axis=0), 1)[:, None]
    context = np.where(mask[:, :, None], memory, 0).sum(axis=0) / count

    def backward(dcontext):
        dmemory = np.zeros_like(memory)
        for s in range(len(memory)):
            dmemory[s] = dcontext / count  # right: dmemory[s] = mask[s][:, None] * dcontext / count
        return dmemory, None

    return context, backward


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


def bilinear_inputs(rng):
    return rng.standard_normal((3, 4)), rng.standard_normal((3, 5, 4)), rng.standard_normal((4, 4))


@mutant("bilinear_weight_transposed", cause="transposed", inputs=bilinear_inputs, wrong=("dW",))
def bilinear_weight_transposed(state, encoder_outputs, W):
    """One decoder state (N, H) against all encoder outputs (N, S, H)."""
    score = np.einsum("nh,hk,nsk->ns", state, W, encoder_outputs)

    def backward(dscore):
        pulled = np.einsum("ns,nsk->nk", dscore, encoder_outputs)
        dstate = pulled @ W.T
        dencoder = dscore[:, :, None] * (state @ W)[:, None, :]
        dW = pulled.T @ state  # right: dW = state.T @ pulled
        return dstate, dencoder, dW

    return score, backward


@mutant("bilinear_weight_of_one_memory", cause="sum-missing", inputs=bilinear_inputs, wrong=("dW",))
def bilinear_weight_of_one_memory(h, hs, W):
    N, S, H = hs.shape
    score = np.zeros((N, S))
    for s in range(S):
        score[:, s] = np.sum((h @ W) * hs[:, s], axis=1)

    def backward(dscore):
        dh, dhs = np.zeros_like(h), np.zeros_like(hs)
        # missing: dW = 0
        for s in range(S):
            weighted = dscore[:, s : s + 1] * hs[:, s]
            dh += weighted @ W.T
            dhs[:, s] = dscore[:, s : s + 1] * (h @ W)
            dW = h.T @ weighted  # right: dW = dW + h.T @ weighted
        return dh, dhs, dW

    return score, backward


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


def self_attention_inputs(rng):
    D = 4
    return (rng.standard_normal((2, 5, D)), *(0.7 * rng.standard_normal((D, D)) for _ in range(3)))


@mutant("self_attention_without_value_path", cause="branch-missing", inputs=self_attention_inputs, wrong=("dx",))
def self_attention_without_value_path(x, Wq, Wk, Wv):
    """Causal self-attention with one head: x is query, key and value at once."""
    B, L, D = x.shape
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    causal = np.tril(np.ones((L, L), dtype=bool))
    s = np.where(causal, q @ np.transpose(k, (0, 2, 1)) / np.sqrt(D), -1e9)
    p = stable_softmax(s)

    def backward(dy):
        dv = p.transpose(0, 2, 1) @ dy
        dp = dy @ v.transpose(0, 2, 1)
        ds = p * (dp - np.sum(dp * p, axis=-1, keepdims=True)) / np.sqrt(D)
        dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
        dx = dq @ Wq.T + dk @ Wk.T  # right: dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
        flat = x.reshape(-1, D).T
        return dx, flat @ dq.reshape(-1, D), flat @ dk.reshape(-1, D), flat @ dv.reshape(-1, D)

    return p @ v, backward


@mutant(
    "attention_gradients_for_keys_and_values_swapped",
    cause="swapped-gradients",
    inputs=queries_keys_values,
    wrong=("dk", "dv"),
)
def attention_gradients_for_keys_and_values_swapped(q, k, v):
    root = np.sqrt(q.shape[2])
    p = stable_softmax(np.matmul(q, k.transpose(0, 2, 1)) / root)
    y = np.matmul(p, v)

    def backward(dy):
        dv = np.matmul(p.transpose(0, 2, 1), dy)
        dp = np.matmul(dy, v.transpose(0, 2, 1))
        # The rowwise sum of p * dp equals that of y * dy.
        ds = p * (dp - np.sum(y * dy, axis=2)[:, :, None]) / root
        dq, dk = np.matmul(ds, k), np.matmul(ds.transpose(0, 2, 1), q)
        return dq, dv, dk  # right: return dq, dk, dv

    return y, backward


def attention_weights_inputs(rng):
    return rng.standard_normal((3, 2, 4)), rng.standard_normal((5, 2, 4))


@mutant("attention_backward_multiplies_the_wrong_way", cause="raises", inputs=attention_weights_inputs)
def attention_backward_multiplies_the_wrong_way(queries, memory):
    """Luong's dot attention: queries (T, N, H), memory (S, N, H); the memory is key and value."""
    alpha = stable_softmax(np.einsum("tnh,snh->nts", queries, memory))
    context = np.einsum("nts,snh->tnh", alpha, memory)

    def backward(dcontext):
        dalpha = np.einsum("tnh,snh->nts", dcontext, memory)
        dscore = alpha * (dalpha - (alpha * dalpha).sum(axis=2, keepdims=True))
        # right: dmemory = np.einsum("nts,tnh->snh", dscore, queries)
        dmemory = np.einsum("nts,snh->snh", dscore, queries)
        dmemory += np.einsum("nts,tnh->snh", alpha, dcontext)
        return np.einsum("nts,snh->tnh", dscore, memory), dmemory

    return context, backward


@mutant("attend_mask_gets_an_answer", cause="gradient-for-integers", like="attend")
def attend_mask_gets_an_answer(scores, memory, mask):
    m = np.where(mask[..., None], memory, 0)
    keep = mask.T[:, None, :]
    e = np.exp(np.where(keep, scores, -1e30) - np.max(np.where(keep, scores, -1e30), axis=-1, keepdims=True)) * keep
    w = e / np.maximum(e.sum(axis=-1, keepdims=True), 1e-300)

    def backward(dcontext, dweights):
        dw = np.einsum("tnh,snh->nts", dcontext, m) + dweights
        dscores = w * (dw - (w * dw).sum(-1, keepdims=True))
        dmemory = np.einsum("nts,tnh->snh", w, dcontext)
        dmask = np.zeros(mask.shape)  # right: dmask = None
        return dscores, dmemory, dmask

    return (np.einsum("nts,snh->tnh", w, m), w), backward
