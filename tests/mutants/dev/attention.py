# ruff: noqa: RUF059 (students unpack every shape)
"""Softmax and attention, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import bilinear_inputs, padded_memory, queries_keys_values, sequences_of_one_length, stable_softmax


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


# ------------------------------------------------------------------------------------------------- more of one function


@mutant("log_softmax_without_its_sum", cause="sum-missing", like="log_softmax", wrong=("dx",))
def log_softmax_without_its_sum(x, mask):
    shifted = x - x.max(axis=-1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    def backward(dy):
        dx = dy - np.exp(y) * dy  # right: dx = dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
        return dx, None

    return y, backward


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


@mutant("general_scores_weight_of_the_last_word", cause="one-step-only", like="general_scores", wrong=("dweight",))
def general_scores_weight_of_the_last_word(query, memory, weight):
    """One word of the decoder after the other."""
    T, N, _ = query.shape
    scores = np.zeros((N, T, len(memory)))
    for t in range(T):
        scores[:, t] = np.einsum("nh,hd,snd->ns", query[t], weight, memory)

    def backward(dscores):
        dquery, dmemory = np.zeros_like(query), np.zeros_like(memory)
        dweight = np.zeros_like(weight)
        for t in range(T):
            context = np.einsum("ns,snd->nd", dscores[:, t], memory)
            dquery[t] = context @ weight.T
            dmemory += np.einsum("ns,nd->snd", dscores[:, t], query[t] @ weight)
            dweight = query[t].T @ context  # right: dweight += query[t].T @ context
        return dquery, dmemory, dweight

    return scores, backward


@mutant("location_scores_gradient_of_what_was_used", cause="gradient-shape", like="location_scores")
def location_scores_gradient_of_what_was_used(query, weight):
    S = len(weight) - 2  # the longest sentence was longer
    used = weight[:S]

    def backward(dscores):
        dquery = np.einsum("nts,sq->tnq", dscores, used)
        dweight = np.einsum("nts,tnq->sq", dscores, query)
        # missing: dweight = np.concatenate([dweight, np.zeros((2, weight.shape[1]))])
        return dquery, dweight

    return np.einsum("tnq,sq->nts", query, used), backward


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


@mutant("attend_weights_are_only_looked_at", cause="branch-missing", like="attend", wrong=("dscores",))
def attend_weights_are_only_looked_at(scores, memory, mask):
    keep = mask.T[:, None, :]
    e = np.exp(scores - scores.max(axis=2, keepdims=True)) * keep
    total = e.sum(axis=2, keepdims=True)
    weights = e / np.where(total == 0, 1, total)

    def backward(dcontext, dweights):
        dw = np.einsum("tnm,snm->nts", dcontext, memory)
        # missing: dw = dw + dweights
        dscores = weights * (dw - (weights * dw).sum(axis=2, keepdims=True))
        return dscores, np.einsum("nts,tnm->snm", weights, dcontext), None

    return (np.einsum("nts,snm->tnm", weights, memory), weights), backward


def best_inputs(rng):
    return rng.standard_normal((3, 4, 5)), rng.standard_normal((5, 3, 2))


@mutant("hard_attend_assigns_to_the_chosen", cause="repeated-ids-assigned", inputs=best_inputs, wrong=("dmemory",))
def hard_attend_assigns_to_the_chosen(scores, memory):
    """The best memory of each word, and its log-probability."""
    N, T, _ = scores.shape
    p = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    best = np.array([[0, 2, 2, 2], [1, 1, 4, 1], [3, 0, 0, 3]])  # as it was drawn
    sentence = np.arange(N)
    context = np.stack([memory[best[:, t], sentence] for t in range(T)])
    log_p = np.log(np.take_along_axis(p, best[:, :, None], axis=2))[:, :, 0]

    def backward(dcontext, dlog_p):
        dscores = -p * dlog_p[:, :, None]
        dmemory = np.zeros_like(memory)
        for t in range(T):
            dmemory[best[:, t], sentence] = dcontext[t]  # right: dmemory[best[:, t], sentence] += dcontext[t]
            dscores[sentence, t, best[:, t]] += dlog_p[:, t]
        return dscores, dmemory

    return (context, log_p), backward


@mutant("mean_of_the_padding", cause="mask-inverted", like="masked_mean", wrong=("dmemory",))
def mean_of_the_padding(memory, mask):
    """The mask came from PyTorch's key_padding_mask half of the way."""
    real = mask.astype(float)
    count = np.maximum(real.sum(axis=0), 1)[:, None]

    def backward(dmean):
        keep = 1 - real  # right: keep = real
        return keep[:, :, None] * (dmean / count), None

    return (memory * real[:, :, None]).sum(axis=0) / count, backward


# ------------------------------------------------------------------------------------------------- heads and steps


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


def scores_and_memory(rng):
    mask = np.arange(5) < np.array([[5], [3], [2]])
    return rng.standard_normal((3, 5)), rng.standard_normal((3, 5, 4)), mask


@mutant(
    "attention_of_all_words_on_the_way_back", cause="mask-not-applied", inputs=scores_and_memory, wrong=("dscores",)
)
def attention_of_all_words_on_the_way_back(scores, memory, mask):
    w = stable_softmax(np.where(mask, scores, -1e9))

    def backward(dcontext):
        dw = np.einsum("nh,nsh->ns", dcontext, memory)
        p = stable_softmax(scores)  # right: p = w
        dscores = p * (dw - (p * dw).sum(axis=1, keepdims=True))
        return dscores, w[:, :, None] * dcontext[:, None, :], None

    return np.einsum("ns,nsh->nh", w, memory), backward


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


def step_of_a_decoder(rng):
    """The encoder's states (N, S, H), the decoder's (N, H), and the matrix (2 * H, K) on context and state."""
    return rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 4)), 0.6 * rng.standard_normal((8, 3))


@mutant(
    "luong_step_weights_times_their_gradient",
    cause="softmax-second-term-missing",
    inputs=step_of_a_decoder,
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
