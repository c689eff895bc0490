# ruff: noqa: RUF059 (students unpack every shape)
"""Softmax and attention, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import bilinear_inputs, queries_keys_values, stable_softmax


def rows(rng):
    return (1.5 * rng.standard_normal((4, 6)),)


def sequences_of_one_length(rng):
    """Queries, keys and values (N, L, D): batch first."""
    return tuple(rng.standard_normal((2, 4, 6)) for _ in range(3))


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


@mutant(
    "attention_dropout_masks_drawn_again_in_the_other_order",
    cause="dropout-new-mask",
    inputs=queries_keys_values,
    wrong=("dq", "dk", "dv"),
    note="the same seed, so the same numbers, but the backward pass asks for the outer mask first",
)
def attention_dropout_masks_drawn_again_in_the_other_order(q, k, v):
    """Dropout of the weights, and of what comes out; the masks are not kept, to save memory."""
    d, p = q.shape[2], 0.3

    def draw_mask(stream, shape):
        return (stream.random(shape) >= p) / (1 - p)

    probs = stable_softmax(np.matmul(q, k.transpose(0, 2, 1)) / d**0.5)
    stream = np.random.default_rng(42)
    dropped = probs * draw_mask(stream, probs.shape)
    out = np.matmul(dropped, v)

    def backward(dout):
        stream = np.random.default_rng(42)
        outer = draw_mask(stream, out.shape)  # right: inner = draw_mask(stream, probs.shape)
        inner = draw_mask(stream, probs.shape)  # right: outer = draw_mask(stream, out.shape)
        dout = dout * outer
        dprobs = np.matmul(dout, v.transpose(0, 2, 1)) * inner
        ds = probs * (dprobs - (probs * dprobs).sum(axis=-1, keepdims=True)) / d**0.5
        dv = np.matmul((probs * inner).transpose(0, 2, 1), dout)
        return np.matmul(ds, k), np.matmul(ds.transpose(0, 2, 1), q), dv

    return out * draw_mask(stream, out.shape), backward


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


def encoder_and_decoder_state(rng):
    """The encoder's states (N, T, H), one of the decoder's (N, H)."""
    return rng.standard_normal((3, 5, 4)), rng.standard_normal((3, 4))


@mutant(
    "encoder_states_are_paid_as_values_alone",
    cause="branch-missing",
    inputs=encoder_and_decoder_state,
    wrong=("dhs",),
    note="the weights are a layer of their own, which has a gradient for the encoder's states too",
)
def encoder_states_are_paid_as_values_alone(hs, h):
    """Two layers, attention weight and weighted sum, both with `repeat`."""
    N, T, H = hs.shape
    hr = h.reshape(N, 1, H).repeat(T, axis=1)
    a = stable_softmax(np.sum(hs * hr, axis=2))
    ar = a.reshape(N, T, 1).repeat(H, axis=2)

    def weight_sum_backward(dc):
        dt = dc.reshape(N, 1, H).repeat(T, axis=1)
        return dt * ar, np.sum(dt * hs, axis=2)

    def attention_weight_backward(da):
        ds = a * da
        ds -= a * np.sum(ds, axis=1, keepdims=True)
        dt = ds.reshape(N, T, 1).repeat(H, axis=2)
        return dt * hr, np.sum(dt * hs, axis=1)

    def backward(dc):
        dhs0, da = weight_sum_backward(dc)
        dhs1, dh = attention_weight_backward(da)
        dhs = dhs0  # right: dhs = dhs0 + dhs1
        return dhs, dh

    return np.sum(hs * ar, axis=1), backward


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


def six_heads_on_two(rng):
    """Queries of six heads (N, T, 6, A), keys and values of two (N, S, 2, A)."""
    return rng.standard_normal((2, 4, 6, 3)), rng.standard_normal((2, 5, 2, 3)), rng.standard_normal((2, 5, 2, 3))


@mutant(
    "grouped_queries_repeat_undone_as_tile",
    cause="wrong-sum-axis",
    inputs=six_heads_on_two,
    wrong=("dkeys", "dvalues"),
    note="`repeat` gives 000111, and `tile` would give 010101",
)
def grouped_queries_repeat_undone_as_tile(queries, keys, values):
    """Three heads of queries share one head of keys and values."""
    N, S, kv_heads, width = keys.shape
    groups = queries.shape[2] // kv_heads
    k_rep, v_rep = np.repeat(keys, groups, axis=2), np.repeat(values, groups, axis=2)
    A = stable_softmax(np.einsum("nthd,nshd->nhts", queries, k_rep) / np.sqrt(width))

    def undo_repeat(d):
        # right: return d.reshape(N, S, kv_heads, groups, width).sum(axis=3)
        return d.reshape(N, S, groups, kv_heads, width).sum(axis=2)

    def backward(dO):
        dA = np.einsum("nthd,nshd->nhts", dO, v_rep)
        dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True)) / np.sqrt(width)
        dqueries = np.einsum("nhts,nshd->nthd", dS, k_rep)
        dk_rep = np.einsum("nhts,nthd->nshd", dS, queries)
        dv_rep = np.einsum("nhts,nthd->nshd", A, dO)
        return dqueries, undo_repeat(dk_rep), undo_repeat(dv_rep)

    return np.einsum("nhts,nshd->nthd", A, v_rep), backward


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


def decoder_step_inputs(rng):
    """The encoder's states (N, S, H), the decoder's (N, H), and the matrix (2 * H, K) on context and state."""
    return rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 4)), 0.6 * rng.standard_normal((8, 3))


@mutant(
    "luong_step_weights_times_their_gradient",
    cause="softmax-second-term-missing",
    inputs=decoder_step_inputs,
    wrong=("dh_enc", "dh_dec"),
)
def luong_step_weights_times_their_gradient(h_enc, h_dec, Wc):
    """The state looks at the sentence; context and state together give what the prediction is made of."""
    N, S, H = h_enc.shape
    align = np.zeros((N, S))
    context = np.zeros((N, H))
    for n in range(N):
        score = h_enc[n].dot(h_dec[n])
        align[n] = np.exp(score - score.max()) / np.exp(score - score.max()).sum()
        context[n] = align[n].dot(h_enc[n])
    joined = np.hstack([context, h_dec])
    h_tilde = np.tanh(joined.dot(Wc))

    def backward(dh_tilde):
        dpre = dh_tilde * (1 - h_tilde**2)
        dWc = joined.T.dot(dpre)
        dcontext, dh_dec = (d.copy() for d in np.hsplit(dpre.dot(Wc.T), 2))
        dh_enc = np.zeros_like(h_enc)
        for n in range(N):
            dalign = h_enc[n].dot(dcontext[n])
            dscore = align[n] * dalign  # right: dscore = align[n] * (dalign - align[n].dot(dalign))
            dh_enc[n] = np.outer(align[n], dcontext[n]) + np.outer(dscore, h_dec[n])
            dh_dec[n] += dscore.dot(h_enc[n])
        return dh_enc, dh_dec, dWc

    return h_tilde, backward


@mutant(
    "multiplicative_attention_matrix_lies_on_its_side",
    cause="transposed",
    inputs=bilinear_inputs,
    wrong=("dWa",),
    note="encoder and decoder are of one width, Wa is square",
)
def multiplicative_attention_matrix_lies_on_its_side(dec, enc, Wa):
    """Score of a word is dec Wa enc; what comes out is the context."""
    projected = dec.dot(Wa)
    a = stable_softmax(np.sum(projected[:, None, :] * enc, axis=2))
    ctx = np.sum(a[:, :, None] * enc, axis=1)

    def backward(dctx):
        da = np.sum(dctx[:, None, :] * enc, axis=2)
        dscore = a * (da - np.sum(a * da, axis=1, keepdims=True))
        pulled = np.sum(dscore[:, :, None] * enc, axis=1)
        ddec = pulled.dot(Wa.T)
        dWa = pulled.T.dot(dec)  # right: dWa = dec.T.dot(pulled)
        denc = a[:, :, None] * dctx[:, None, :] + dscore[:, :, None] * projected[:, None, :]
        return ddec, denc, dWa

    return ctx, backward


def words_and_matrices_of_heads(rng):
    """Words (L, D), for each of three heads three matrices (D, A), and one (3 * A, D) for the way out."""
    L, D, A = 5, 4, 2
    heads = (0.8 * rng.standard_normal((3, D, A)) for _ in range(3))
    return (rng.standard_normal((L, D)), *heads, 0.8 * rng.standard_normal((3 * A, D)))


@mutant(
    "multi_head_loop_the_last_head_speaks_for_all",
    cause="sum-missing",
    inputs=words_and_matrices_of_heads,
    wrong=("dX",),
    note="`=` in the loop over the heads, which all read the same words",
)
def multi_head_loop_the_last_head_speaks_for_all(X, WQ, WK, WV, WO):
    """A list of heads, put side by side, and a matrix on all of them."""
    h, _, d_k = WQ.shape
    heads, kept = [], []
    for i in range(h):
        Q, K, V = X @ WQ[i], X @ WK[i], X @ WV[i]
        S = stable_softmax(Q @ K.T / np.sqrt(d_k))
        kept.append((Q, K, V, S))
        heads.append(S @ V)
    Z = np.concatenate(heads, axis=1)

    def backward(dY):
        dZ, dWO = dY @ WO.T, Z.T @ dY
        dX, dWQ, dWK, dWV = (np.zeros_like(p) for p in (X, WQ, WK, WV))
        for i, dhead in enumerate(np.split(dZ, h, axis=1)):
            Q, K, V, S = kept[i]
            dV, dS = S.T @ dhead, dhead @ V.T
            dlogit = S * (dS - np.sum(S * dS, axis=1, keepdims=True)) / np.sqrt(d_k)
            dQ, dK = dlogit @ K, dlogit.T @ Q
            dWQ[i], dWK[i], dWV[i] = X.T @ dQ, X.T @ dK, X.T @ dV
            dX = dQ @ WQ[i].T + dK @ WK[i].T + dV @ WV[i].T  # right: dX += dQ @ WQ[i].T + dK @ WK[i].T + dV @ WV[i].T
        return dX, dWQ, dWK, dWV, dWO

    return Z @ WO, backward


def padded_memory(rng):
    """Queries (N, T, D), keys and values (N, S, D), and which keys are words, (N, S)."""
    lengths = np.array([[5], [3], [2]])
    shapes = [(3, 4, 2), (3, 5, 2), (3, 5, 2)]
    return (*(rng.standard_normal(s) for s in shapes), np.arange(5) < lengths)


@mutant(
    "attention_weights_cleared_after_the_softmax_on_the_way_there_only",
    cause="mask-not-applied",
    inputs=padded_memory,
    wrong=("dq", "dk"),
    note="padding has its share of the softmax, which is then set to zero",
)
def attention_weights_cleared_after_the_softmax_on_the_way_there_only(q, k, v, is_word):
    root = np.sqrt(q.shape[-1])
    w = stable_softmax(np.einsum("ntd,nsd->nts", q, k) / root)
    keep = is_word[:, None, :].astype(float)
    w_kept = w * keep

    def backward(dctx):
        dw_kept = np.einsum("ntd,nsd->nts", dctx, v)
        dv = np.einsum("nts,ntd->nsd", w_kept, dctx)
        dw = dw_kept  # right: dw = dw_kept * keep
        ds = w * (dw - np.einsum("nts,nts->nt", w, dw)[:, :, None]) / root
        return np.einsum("nts,nsd->ntd", ds, k), np.einsum("nts,ntd->nsd", ds, q), dv, None

    return np.einsum("nts,nsd->ntd", w_kept, v), backward


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
