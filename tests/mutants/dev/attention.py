# ruff: noqa: RUF059 (students unpack every shape)
"""Attention: scores, masks, heads, and what is mixed by the weights: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import bilinear_inputs, draw_4, padded_memory, queries_keys_values, stable_softmax


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


@mutant("log_softmax_without_its_sum", cause="sum-missing", like="log_softmax", wrong=("dx",))
def log_softmax_without_its_sum(x, mask):
    shifted = x - x.max(axis=-1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    def backward(dy):
        dx = dy - np.exp(y) * dy  # right: dx = dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
        return dx, None

    return y, backward


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


def long_sentence(rng):
    """Queries and keys (T, D), values (T, E)."""
    return tuple(rng.standard_normal(s) for s in [(7, 3), (7, 3), (7, 4)])


@mutant(
    "local_attention_window_ends_early_on_the_way_back",
    cause="off-by-one",
    also=("sum-missing",),
    inputs=long_sentence,
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


@mutant(
    "late_mask_lets_hidden_words_pull_at_the_scores",
    cause="mask-not-applied",
    inputs=padded_memory,
    wrong=("dq", "dk"),
    note="the weights are masked after the softmax, so the zeros do not come of themselves on the way back",
)
def late_mask_lets_hidden_words_pull_at_the_scores(q, k, v, is_word):
    N, T, D = q.shape
    keep = is_word[:, None, :].astype(float)
    probs = stable_softmax(np.einsum("ntd,nsd->nts", q, k) / D**0.5)
    weights = probs * keep

    def backward(dcontext):
        dweights = np.einsum("nte,nse->nts", dcontext, v)
        dv = np.einsum("nts,nte->nse", weights, dcontext)
        dprobs = dweights  # right: dprobs = dweights * keep
        dlogits = probs * (dprobs - np.sum(dprobs * probs, axis=2, keepdims=True)) / D**0.5
        return np.einsum("nts,nsd->ntd", dlogits, k), np.einsum("nts,ntd->nsd", dlogits, q), dv, None

    return np.einsum("nts,nse->nte", weights, v), backward


@mutant(
    "joined_projection_cut_as_k_q_v_glued_as_q_k_v",
    cause="permuted-gates",
    inputs=draw_4((2, 4, 5), (5, 9), (9,)),
    wrong=("dx", "dW_attn", "db_attn"),
    note="one matrix for the three",
)
def joined_projection_cut_as_k_q_v_glued_as_q_k_v(x, W_attn, b_attn):
    B, T, C = x.shape
    k, q, v = np.split(x @ W_attn + b_attn, 3, axis=-1)
    hidden = np.tril(np.ones((T, T))) == 0
    att = q @ k.transpose(0, 2, 1) / np.sqrt(k.shape[-1])
    att[:, hidden] = -np.inf
    att = stable_softmax(att)

    def backward(dy):
        datt = dy @ v.transpose(0, 2, 1)
        dv = att.transpose(0, 2, 1) @ dy
        dpre = att * (datt - np.sum(att * datt, axis=-1, keepdims=True)) / np.sqrt(k.shape[-1])
        dq, dk = dpre @ k, dpre.transpose(0, 2, 1) @ q
        dqkv = np.concatenate([dq, dk, dv], axis=-1)  # right: dqkv = np.concatenate([dk, dq, dv], axis=-1)
        dW = x.reshape(B * T, C).T @ dqkv.reshape(B * T, -1)
        return dqkv @ W_attn.T, dW, dqkv.sum(axis=(0, 1))

    return att @ v, backward


@mutant(
    "luong_vector_takes_its_slope_through_another_tanh",
    cause="derivative-at-preactivation",
    inputs=draw_4((3, 4), (3, 5, 4), (8, 6), (6,)),
    wrong=("dh", "dhs", "dWc", "dbc"),
    note="1 - tanh(x)^2, with the output for x",
)
def luong_vector_takes_its_slope_through_another_tanh(h, hs, Wc, bc):
    """A state of the decoder (N, H) looks at those of the encoder (N, S, H): tanh of both, side by side."""
    N, S, H = hs.shape
    align = stable_softmax(np.array([[np.dot(h[n], hs[n, s]) for s in range(S)] for n in range(N)]))
    context = np.array([align[n] @ hs[n] for n in range(N)])
    both = np.concatenate([context, h], axis=1)
    h_tilde = np.tanh(both @ Wc + bc)

    def backward(dh_tilde):
        dz = dh_tilde * (1 - np.tanh(h_tilde) ** 2)  # right: dz = dh_tilde * (1 - h_tilde**2)
        dboth = dz @ Wc.T
        dcontext, dh = dboth[:, :H], dboth[:, H:].copy()
        dhs = np.zeros_like(hs)
        for n in range(N):
            dalign = hs[n] @ dcontext[n]
            dscore = align[n] * (dalign - align[n] @ dalign)
            dhs[n] = np.outer(align[n], dcontext[n]) + np.outer(dscore, h[n])
            dh[n] += dscore @ hs[n]
        return dh, dhs, both.T @ dz, dz.sum(axis=0)

    return h_tilde, backward


@mutant(
    "feed_forward_block_relu_asks_the_gradient",
    cause="derivative-at-preactivation",
    inputs=draw_4((2, 3, 4), (4, 7), (7,), (7, 4), (4,)),
    wrong=("dx", "dW1", "db1"),
    note="the ReLU is taken of the gradient: what is below zero there is cut, not what was on the way up",
)
def feed_forward_block_relu_asks_the_gradient(x, W1, b1, W2, b2):
    """The second half of a Transformer's layer, the input is added."""
    z1 = x @ W1 + b1
    a1 = np.maximum(0, z1)
    out = x + a1 @ W2 + b2

    def backward(dout):
        d_ff = W1.shape[1]
        dW2 = a1.reshape(-1, d_ff).T @ dout.reshape(-1, dout.shape[-1])
        db2 = dout.sum(axis=(0, 1))
        dz1 = dout @ W2.T
        dz1[dz1 <= 0] = 0  # right: dz1[z1 <= 0] = 0
        dW1 = x.reshape(-1, x.shape[-1]).T @ dz1.reshape(-1, d_ff)
        return dout + dz1 @ W1.T, dW1, dz1.sum(axis=(0, 1)), dW2, db2

    return out, backward


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


def decoder_and_encoder_states(rng):
    """States of the decoder (N, T, H) and of the encoder (N, S, H), and a square matrix between them."""
    return rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 6, 3)), rng.standard_normal((3, 3))


@mutant(
    "luong_general_matrix_learns_source_by_target",
    cause="transposed",
    inputs=decoder_and_encoder_states,
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


def words_to_be_turned(rng):
    """Queries and keys (N, T, D) with an even D, values (N, T, E)."""
    return tuple(rng.standard_normal(s) for s in [(2, 5, 4), (2, 5, 4), (2, 5, 3)])


def rotate_halves(x, cos, sin):
    """Turn the pairs that the first and the second half of the features make."""
    x1, x2 = np.split(x, 2, axis=-1)
    return np.concatenate([x1 * cos - x2 * sin, x2 * cos + x1 * sin], axis=-1)


@mutant(
    "rotary_embedding_turned_further_instead_of_back",
    cause="wrong-sign",
    also=("transposed",),
    inputs=words_to_be_turned,
    wrong=("dq", "dk"),
    note="the gradient of a rotation turns the other way",
)
def rotary_embedding_turned_further_instead_of_back(q, k, v):
    N, T, D = q.shape
    theta = np.outer(np.arange(T), 1.0 / 100 ** (np.arange(D // 2) / (D // 2)))
    cos, sin = np.cos(theta), np.sin(theta)
    q_rot, k_rot = rotate_halves(q, cos, sin), rotate_halves(k, cos, sin)
    probs = stable_softmax(np.einsum("nid,njd->nij", q_rot, k_rot) / np.sqrt(D))

    def backward(dout):
        dprobs = np.einsum("nie,nje->nij", dout, v)
        dlogits = probs * (dprobs - np.einsum("nij,nij->ni", dprobs, probs)[:, :, None]) / np.sqrt(D)
        dq_rot = np.einsum("nij,njd->nid", dlogits, k_rot)
        dk_rot = np.einsum("nij,nid->njd", dlogits, q_rot)
        dq = rotate_halves(dq_rot, cos, sin)  # right: dq = rotate_halves(dq_rot, cos, -sin)
        dk = rotate_halves(dk_rot, cos, sin)  # right: dk = rotate_halves(dk_rot, cos, -sin)
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
