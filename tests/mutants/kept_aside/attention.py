# ruff: noqa: RUF059 (students unpack every shape)
"""Softmax and attention, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import bilinear_inputs, padded_memory, queries_keys_values, sequences_of_one_length, stable_softmax


def rows(rng):
    return (1.5 * rng.standard_normal((4, 6)),)


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


def one_memory_for_all_heads(rng):
    """Queries (N, T, 3 * 2), keys and values (N, S, 2)."""
    return rng.standard_normal((2, 4, 6)), rng.standard_normal((2, 5, 2)), rng.standard_normal((2, 5, 2))


@mutant(
    "multi_query_heads_reshaped_home",
    cause="permuted-axes",
    inputs=one_memory_for_all_heads,
    wrong=("dq",),
    note="the heads stand before the time, and are not moved behind it again",
)
def multi_query_heads_reshaped_home(q, k, v):
    """Every head has its own queries, all share the keys and values."""
    N, T, _ = q.shape
    heads, width = 3, k.shape[2]
    qh = q.reshape(N, T, heads, width).transpose(0, 2, 1, 3)
    logits = np.einsum("nhtd,nsd->nhts", qh, k) / width**0.5
    attn = stable_softmax(logits)
    out = np.einsum("nhts,nsd->nthd", attn, v).reshape(N, T, heads * width)

    def backward(dout):
        dh = dout.reshape(N, T, heads, width)
        dattn = np.einsum("nthd,nsd->nhts", dh, v)
        dlogits = attn * (dattn - np.einsum("nhts,nhts->nht", attn, dattn)[..., None]) / width**0.5
        dqh = np.einsum("nhts,nsd->nhtd", dlogits, k)
        dk = np.einsum("nhts,nhtd->nsd", dlogits, qh)
        dv = np.einsum("nhts,nthd->nsd", attn, dh)
        return dqh.reshape(q.shape), dk, dv  # right: return dqh.transpose(0, 2, 1, 3).reshape(q.shape), dk, dv

    return out, backward


@mutant(
    "additive_energy_differentiated_twice",
    cause="activation-derivative-doubled",
    like="additive_scores",
    wrong=("dq", "dk"),
    note="once where the energy is formed, and once more in front of either projection",
)
def additive_energy_differentiated_twice(q, k, v):
    T, N, A = q.shape
    S = len(k)
    energy = np.zeros((N, T, S, A))
    for n in range(N):
        for t in range(T):
            for s in range(S):
                energy[n, t, s] = np.tanh(q[t, n] + k[s, n])

    def backward(dscore):
        dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        for n in range(N):
            for t in range(T):
                for s in range(S):
                    e = energy[n, t, s]
                    dv += dscore[n, t, s] * e
                    dsum = dscore[n, t, s] * v * (1 - e * e)
                    dq[t, n] += (1 - e * e) * dsum  # right: dq[t, n] += dsum
                    dk[s, n] += (1 - e * e) * dsum  # right: dk[s, n] += dsum
        return dq, dk, dv

    return energy.dot(v), backward


def wide_queries_keys_values(rng):
    """Two lengths: queries (N, T, 3 * 2), keys and values (N, S, 3 * 2)."""
    return tuple(rng.standard_normal(s) for s in [(2, 4, 6), (2, 5, 6), (2, 5, 6)])


@mutant(
    "multi_head_scaled_by_the_width_of_the_model",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=wide_queries_keys_values,
    wrong=("dq", "dk"),
    note="on the way there the scores are divided by the root of one head's width",
)
def multi_head_scaled_by_the_width_of_the_model(q, k, v):
    d_model, n_heads = q.shape[-1], 3
    d_head = d_model // n_heads

    def split(a):
        return a.reshape(a.shape[0], a.shape[1], n_heads, d_head).swapaxes(1, 2)

    def join(a):
        return a.swapaxes(1, 2).reshape(a.shape[0], -1, d_model)

    qh, kh, vh = split(q), split(k), split(v)
    weights = stable_softmax(qh @ kh.swapaxes(2, 3) / np.sqrt(d_head))

    def backward(grad):
        gh = split(grad)
        dweights = gh @ vh.swapaxes(2, 3)
        dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
        dscores = dscores / np.sqrt(d_model)  # right: dscores = dscores / np.sqrt(d_head)
        return join(dscores @ kh), join(dscores.swapaxes(2, 3) @ qh), join(weights.swapaxes(2, 3) @ gh)

    return join(weights @ vh), backward


def points_of_a_curve(rng):
    """Places asked for (Q, D), known places (K, D), their values (K, E), and a width for each feature (D,)."""
    return tuple(rng.standard_normal(s) for s in [(4, 3), (6, 3), (6, 2), (3,)])


@mutant(
    "kernel_regression_known_places_pulled_like_those_asked_for",
    cause="wrong-sign",
    inputs=points_of_a_curve,
    wrong=("dkeys",),
    note="the difference of the two has a minus for one of them",
)
def kernel_regression_known_places_pulled_like_those_asked_for(queries, keys, values, w):
    """Nadaraya and Watson: the nearer a known place, the more its value counts."""
    diff = queries[:, None, :] - keys[None, :, :]
    attention_weights = stable_softmax(-np.sum((diff * w) ** 2, axis=2) / 2)

    def backward(dy_hat):
        dweights = dy_hat @ values.T
        dscores = attention_weights * (dweights - np.sum(attention_weights * dweights, axis=1, keepdims=True))
        ddiff = -dscores[:, :, None] * diff * w**2
        dqueries = np.sum(ddiff, axis=1)
        dkeys = np.sum(ddiff, axis=0)  # right: dkeys = -np.sum(ddiff, axis=0)
        dw = np.sum(-dscores[:, :, None] * diff**2 * w, axis=(0, 1))
        return dqueries, dkeys, attention_weights.T @ dy_hat, dw

    return attention_weights @ values, backward


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


@mutant(
    "list_of_heads_stacked_behind_the_features",
    cause="permuted-heads",
    inputs=wide_queries_keys_values,
    wrong=("dq", "dk", "dv"),
    note="the heads of the result are put side by side, those of the gradients are shuffled like cards",
)
def list_of_heads_stacked_behind_the_features(q, k, v):
    """Three heads, in a list."""
    heads = 3
    parts = list(zip(*(np.split(a, heads, axis=-1) for a in (q, k, v)), strict=True))
    root = np.sqrt(q.shape[-1] / heads)
    probs = [stable_softmax(qi @ ki.transpose(0, 2, 1) / root) for qi, ki, _ in parts]
    out = np.concatenate([p @ vi for p, (_, _, vi) in zip(probs, parts, strict=True)], axis=-1)

    def merge(pieces, like):
        # right: return np.stack(pieces, axis=2).reshape(like.shape)
        return np.stack(pieces, axis=3).reshape(like.shape)

    def backward(dout):
        dqs, dks, dvs = [], [], []
        for (qi, ki, vi), p, do in zip(parts, probs, np.split(dout, heads, axis=-1), strict=True):
            dp = do @ vi.transpose(0, 2, 1)
            ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True)) / root
            dqs.append(ds @ ki)
            dks.append(ds.transpose(0, 2, 1) @ qi)
            dvs.append(p.transpose(0, 2, 1) @ do)
        return merge(dqs, q), merge(dks, k), merge(dvs, v)

    return out, backward


def relative_inputs(rng):
    """Queries and keys (N, T, D), values (N, T, E), and a number for every distance (2 * T - 1,)."""
    N, T, D, E = 2, 4, 3, 5
    return tuple(rng.standard_normal(s) for s in [(N, T, D), (N, T, D), (N, T, E), (2 * T - 1,)])


@mutant(
    "relative_positions_of_one_distance_overwrite_each_other",
    cause="repeated-ids-assigned",
    inputs=relative_inputs,
    wrong=("dtable",),
    note="every diagonal of the scores shares a number of the table",
)
def relative_positions_of_one_distance_overwrite_each_other(q, k, v, table):
    T, D = q.shape[1:]
    distance = np.arange(T)[None, :] - np.arange(T)[:, None] + T - 1
    attn = stable_softmax(q @ k.transpose(0, 2, 1) * D**-0.5 + table[distance])

    def backward(dy):
        dattn = dy @ v.transpose(0, 2, 1)
        dlogits = attn * (dattn - (dattn * attn).sum(axis=-1, keepdims=True))
        dtable = np.zeros_like(table)
        dtable[distance] += dlogits.sum(axis=0)  # right: np.add.at(dtable, distance, dlogits.sum(axis=0))
        dq = dlogits @ k * D**-0.5
        dk = dlogits.transpose(0, 2, 1) @ q * D**-0.5
        return dq, dk, attn.transpose(0, 2, 1) @ dy, dtable

    return attn @ v, backward


def padded_memory_and_temperature(rng):
    return (*padded_memory(rng)[:3], np.array([1.7]), padded_memory(rng)[3])


@mutant(
    "learned_temperature_meets_the_infinity_at_padding",
    cause="not-finite",
    inputs=padded_memory_and_temperature,
    wrong=("dtau",),
    note="padding has the weight 0 and the score -inf, and 0 * inf is no number",
)
def learned_temperature_meets_the_infinity_at_padding(q, k, v, tau, is_word):
    raw = q @ k.transpose(0, 2, 1)
    scores = np.where(is_word[:, None, :], raw, -np.inf)
    p = stable_softmax(scores / tau)

    def backward(dout):
        dp = dout @ v.transpose(0, 2, 1)
        dscaled = p * (dp - np.sum(p * dp, axis=2, keepdims=True))
        with np.errstate(invalid="ignore"):  # "the warning can be ignored", said the forum
            # right: dtau = -np.sum(dscaled * raw, keepdims=True).reshape(1) / tau**2
            dtau = -np.sum(dscaled * scores, keepdims=True).reshape(1) / tau**2
        draw = dscaled / tau
        return draw @ k, draw.transpose(0, 2, 1) @ q, p.transpose(0, 2, 1) @ dout, dtau, None

    return p @ v, backward
