# ruff: noqa: RUF059 (students unpack every shape)
"""Attention with several heads, and whole layers of it: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import draw_4, stable_softmax


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


def two_heads(rng):
    return rng.standard_normal((3, 6)), rng.standard_normal((3, 6)), rng.standard_normal((6, 6))


@mutant("two_heads_joined_the_wrong_way_round", cause="permuted-heads", inputs=two_heads, wrong=("dx",))
def two_heads_joined_the_wrong_way_round(x, memory, weight):
    """Two heads of three features, each with its own softmax."""
    keys = memory @ weight
    left, right = slice(0, 3), slice(3, 6)

    def softmax(a):
        e = np.exp(a - a.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    p = [softmax(x[:, h] @ keys[:, h].T) for h in (left, right)]
    out = np.hstack([p[0] @ memory[:, left], p[1] @ memory[:, right]])

    def backward(dout):
        dmemory, dkeys, dxs = np.zeros_like(memory), np.zeros_like(keys), []
        for p_h, h in zip(p, (left, right), strict=True):
            dp = dout[:, h] @ memory[:, h].T
            ds = p_h * (dp - (dp * p_h).sum(1, keepdims=True))
            dmemory[:, h] += p_h.T @ dout[:, h]
            dkeys[:, h] = ds.T @ x[:, h]
            dxs.append(ds @ keys[:, h])
        dx = np.hstack([dxs[1], dxs[0]])  # right: dx = np.hstack([dxs[0], dxs[1]])
        return dx, dmemory + dkeys @ weight.T, memory.T @ dkeys

    return out, backward


def heads_inputs(rng):
    return (rng.standard_normal((2, 3, 6)), *(0.6 * rng.standard_normal((6, 6)) for _ in range(4)))


@mutant("heads_reshaped_on_the_way_back", cause="permuted-heads", also=("permuted-axes",), inputs=heads_inputs,
        wrong=("dx", "dWq", "dWk", "dWv"))  # fmt: skip
def heads_reshaped_on_the_way_back(x, Wq, Wk, Wv, Wo):
    """Two heads of three features."""
    N, T, D = x.shape

    def split(a):
        return a.reshape(N, T, 2, D // 2).transpose(0, 2, 1, 3)

    def join(a):
        return a.transpose(0, 2, 1, 3).reshape(N, T, D)

    q, k, v = split(x @ Wq), split(x @ Wk), split(x @ Wv)
    p = stable_softmax(q @ k.swapaxes(2, 3) / np.sqrt(D // 2))
    joined = join(p @ v)

    def backward(dy):
        dheads = (dy @ Wo.T).reshape(N, 2, T, D // 2)  # right: dheads = split(dy @ Wo.T)
        dv = p.swapaxes(2, 3) @ dheads
        dp = dheads @ v.swapaxes(2, 3)
        ds = p * (dp - (p * dp).sum(axis=3, keepdims=True)) / np.sqrt(D // 2)
        dq, dk, dv = join(ds @ k), join(ds.swapaxes(2, 3) @ q), join(dv)
        flat = x.reshape(-1, D).T
        dWs = [flat @ d.reshape(-1, D) for d in (dq, dk, dv)]
        return dq @ Wq.T + dk @ Wk.T + dv @ Wv.T, *dWs, joined.reshape(-1, D).T @ dy.reshape(-1, D)

    return joined @ Wo, backward


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


def sentence(rng):
    """Queries and keys (T, D), values (T, E)."""
    return tuple(rng.standard_normal(s) for s in [(5, 3), (5, 3), (5, 4)])


@mutant(
    "linear_attention_looks_ahead_on_the_way_back",
    cause="mask-not-applied",
    inputs=sentence,
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


def few_keys(rng):
    """Six heads of queries (N, T, 6 * 2), two of keys and of values (N, S, 2 * 2)."""
    return tuple(rng.standard_normal(s) for s in [(2, 3, 12), (2, 4, 4), (2, 4, 4)])


@mutant(
    "grouped_queries_share_the_keys_in_another_order",
    cause="wrong-sum-axis",
    also=("permuted-heads",),
    inputs=few_keys,
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
    "attention_dropout_seeded_anew_for_every_head",
    cause="dropout-new-mask",
    inputs=draw_4((2, 3, 6), (2, 5, 6), (2, 5, 6)),
    wrong=("dq", "dk", "dv"),
    note="not to keep the masks, the same numbers are drawn again, but the seed is set within the loop",
)
def attention_dropout_seeded_anew_for_every_head(q, k, v):
    """Three heads; some of the weights are dropped."""
    seed, p_drop, n_heads = 11, 0.4, 3
    size = q.shape[2] // n_heads
    columns = [slice(h * size, (h + 1) * size) for h in range(n_heads)]
    out, attentions = np.zeros_like(q), []
    rng = np.random.default_rng(seed)
    for cols in columns:
        attn = stable_softmax(q[:, :, cols] @ k[:, :, cols].swapaxes(1, 2) / np.sqrt(size))
        kept = rng.random(attn.shape) >= p_drop
        out[:, :, cols] = (attn * kept / (1 - p_drop)) @ v[:, :, cols]
        attentions.append(attn)

    def backward(dout):
        dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        # missing: rng = np.random.default_rng(seed)
        for cols, attn in zip(columns, attentions, strict=True):
            rng = np.random.default_rng(seed)  # right: pass
            scale = (rng.random(attn.shape) >= p_drop) / (1 - p_drop)
            dv[:, :, cols] = (attn * scale).swapaxes(1, 2) @ dout[:, :, cols]
            dattn = dout[:, :, cols] @ v[:, :, cols].swapaxes(1, 2) * scale
            ds = attn * (dattn - (attn * dattn).sum(axis=-1, keepdims=True)) / np.sqrt(size)
            dq[:, :, cols] = ds @ k[:, :, cols]
            dk[:, :, cols] = ds.swapaxes(1, 2) @ q[:, :, cols]
        return dq, dk, dv

    return out, backward


@mutant(
    "output_projection_square_and_turned",
    cause="transposed",
    inputs=draw_4((2, 3, 4), (2, 5, 4), (2, 5, 4), (4, 4), (4,)),
    wrong=("dWo",),
    note="the model is as wide behind the heads as within them",
)
def output_projection_square_and_turned(q, k, v, Wo, bo):
    """Two heads, and the matrix that mixes them."""
    h, d_model = 2, q.shape[-1]

    def split(a):
        return np.moveaxis(a.reshape(a.shape[0], a.shape[1], h, d_model // h), 2, 1)

    def join(a):
        return np.moveaxis(a, 1, 2).reshape(a.shape[0], a.shape[2], d_model)

    qh, kh, vh = split(q), split(k), split(v)
    root = np.sqrt(d_model // h)
    p = stable_softmax(np.einsum("nhtd,nhsd->nhts", qh, kh) / root)
    z = join(p @ vh)

    def backward(dout):
        dWo = np.einsum("ntj,nti->ji", dout, z)  # right: dWo = np.einsum("nti,ntj->ij", z, dout)
        dz = split(dout @ Wo.T)
        dp = np.einsum("nhtd,nhsd->nhts", dz, vh)
        ds = p * (dp - np.sum(dp * p, axis=-1, keepdims=True)) / root
        dq, dk = np.einsum("nhts,nhsd->nhtd", ds, kh), np.einsum("nhts,nhtd->nhsd", ds, qh)
        dv = np.einsum("nhts,nhtd->nhsd", p, dz)
        return join(dq), join(dk), join(dv), dWo, dout.sum(axis=(0, 1))

    return z @ Wo + bo, backward


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


def sentences_and_four_matrices(rng):
    """Tokens (N, T, C), matrices of query, key and value (C, heads * width), and of the output (heads * width, C)."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(2, 5, 4), (4, 6), (4, 6), (4, 6), (6, 4)])


@mutant(
    "transformer_layer_heads_of_dout_made_by_reshape",
    cause="permuted-axes",
    inputs=sentences_and_four_matrices,
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


def queries_and_fewer_memories(rng):
    """Queries (N, T, 6 * 2), keys and values (N, S, 2 * 2): three heads of queries share one of keys and values."""
    return tuple(rng.standard_normal(s) for s in [(2, 3, 12), (2, 5, 4), (2, 5, 4)])


@mutant(
    "grouped_query_attention_repeat_undone_as_if_it_were_tile",
    cause="permuted-heads",
    also=("wrong-sum-axis",),
    inputs=queries_and_fewer_memories,
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
