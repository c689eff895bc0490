# ruff: noqa: RUF059 (students unpack every shape)
"""Softmax and attention, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import bilinear_inputs, queries_keys_values, stable_softmax


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
