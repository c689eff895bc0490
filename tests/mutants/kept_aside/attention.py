# ruff: noqa: RUF059 (students unpack every shape)
"""Attention: scores, masks, heads, and what is mixed by the weights: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import (
    bilinear_inputs,
    build,
    padded_memory,
    parameter,
    queries_keys_values,
    shapes_2,
    sigmoid,
    softmax_back,
    stable_softmax,
)


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


def encoder_and_decoder(rng):
    """States of the encoder (N, S, H) and of the decoder (N, T, H)."""
    return rng.standard_normal((3, 5, 4)), rng.standard_normal((3, 4, 4))


@mutant(
    "time_attention_states_heard_in_the_weighted_sum_alone",
    cause="branch-missing",
    inputs=encoder_and_decoder,
    wrong=("dhs_enc",),
    note="the encoder's states are what is summed, and what the weights are made of",
)
def time_attention_states_heard_in_the_weighted_sum_alone(hs_enc, hs_dec):
    """A context for every step of the decoder."""
    T = hs_dec.shape[1]
    out, weights = np.empty_like(hs_dec), []
    for t in range(T):
        s = np.sum(hs_enc * hs_dec[:, t, :][:, None, :], axis=2)
        a = stable_softmax(s)
        out[:, t, :] = np.sum(hs_enc * a[:, :, None], axis=1)
        weights.append(a)

    def backward(dout):
        dhs_enc, dhs_dec = np.zeros_like(hs_enc), np.empty_like(hs_dec)
        for t in range(T):
            a, dc = weights[t], dout[:, t, :][:, None, :]
            dhs_enc += a[:, :, None] * dc
            da = np.sum(dc * hs_enc, axis=2)
            ds = a * da
            ds -= a * np.sum(ds, axis=1, keepdims=True)
            # missing: dhs_enc += ds[:, :, None] * hs_dec[:, t, :][:, None, :]
            dhs_dec[:, t, :] = np.sum(ds[:, :, None] * hs_enc, axis=1)
        return dhs_enc, dhs_dec

    return out, backward


def question_and_text(rng):
    """Queries (N, T, D), keys (N, S, D) and values (N, S, E)."""
    return tuple(rng.standard_normal(s) for s in [(2, 4, 3), (2, 6, 3), (2, 6, 5)])


@mutant(
    "attention_weights_dropped_out_and_not_scaled_back",
    cause="dropout-scale-missing",
    also=("constant-factor",),
    inputs=question_and_text,
    wrong=("dquery", "dkey"),
    note="the value sees the scaled weights, the scores see the bare mask",
)
def attention_weights_dropped_out_and_not_scaled_back(query, key, value):
    p_drop, d_k = 0.3, query.shape[-1]
    p_attn = stable_softmax(np.einsum("btd,bsd->bts", query, key) / np.sqrt(d_k))
    keep = np.random.default_rng(4).random(p_attn.shape) >= p_drop
    dropped = p_attn * keep / (1 - p_drop)

    def backward(dout):
        dvalue = np.einsum("bts,bte->bse", dropped, dout)
        ddropped = np.einsum("bte,bse->bts", dout, value)
        dp_attn = ddropped * keep  # right: dp_attn = ddropped * keep / (1 - p_drop)
        inner = np.sum(dp_attn * p_attn, axis=-1, keepdims=True)
        dscores = p_attn * (dp_attn - inner) / np.sqrt(d_k)
        dquery = np.einsum("bts,bsd->btd", dscores, key)
        dkey = np.einsum("bts,btd->bsd", dscores, query)
        return dquery, dkey, dvalue

    return dropped @ value, backward


class ResidualBlock(Module):
    """What the words found is added to the words."""

    def __init__(self, rng):
        self.Wq, self.Wk = parameter(rng, 4, 3), parameter(rng, 4, 3)
        self.Wv, self.bo = parameter(rng, 4, 4), parameter(rng, 4)

    def forward(self, x):
        q, k, v = x @ self.Wq.data, x @ self.Wk.data, x @ self.Wv.data
        a = stable_softmax(q @ k.transpose(0, 2, 1) / np.sqrt(3))
        y = x + a @ v + self.bo.data

        def backward(dy):
            self.bo.grad += dy.sum(axis=(0, 1))
            dv = a.transpose(0, 2, 1) @ dy
            ds = softmax_back(a, dy @ v.transpose(0, 2, 1)) / np.sqrt(3)
            dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
            for weight, d in [(self.Wq, dq), (self.Wk, dk), (self.Wv, dv)]:
                weight.grad += np.einsum("ntd,nta->da", x, d)
            dx = dq @ self.Wq.data.T + dk @ self.Wk.data.T + dv @ self.Wv.data.T
            # missing: dx += dy
            return dx

        return y, backward


mutant(
    "block_goes_back_through_the_attention_and_not_past_it",
    cause="branch-missing",
    inputs=shapes_2((2, 5, 4)),
    wrong=("dx",),
)(build(ResidualBlock))


@mutant(
    "decoder_state_not_heard_as_the_question",
    cause="branch-missing",
    inputs=shapes_2((2, 5, 4), (2, 3, 6), (2, 4), (6, 4), (4, 4), (4, 4), (4,)),
    wrong=("dhs", "dys", "ds0", "dW", "dU", "dC", "db"),
    note="the last state asks for the context, and goes into the next state; only the second was remembered",
)
def decoder_state_not_heard_as_the_question(hs, ys, s0, W, U, C, b):
    N, T, _ = ys.shape
    states, alphas, contexts = [s0], [], []
    for t in range(T):
        alphas.append(stable_softmax(np.einsum("nh,nsh->ns", states[-1], hs)))
        contexts.append(np.einsum("ns,nsh->nh", alphas[t], hs))
        states.append(np.tanh(ys[:, t] @ W + states[-1] @ U + contexts[t] @ C + b))

    def backward(dout):
        dhs, dys, dW, dU, dC, db = (np.zeros_like(p) for p in (hs, ys, W, U, C, b))
        ds = np.zeros_like(s0)
        for t in reversed(range(T)):
            dz = (dout[:, t] + ds) * (1 - states[t + 1] ** 2)
            dW += ys[:, t].T @ dz
            dU += states[t].T @ dz
            dC += contexts[t].T @ dz
            db += dz.sum(axis=0)
            dys[:, t] = dz @ W.T
            ds = dz @ U.T
            dc = dz @ C.T
            de = softmax_back(alphas[t], np.einsum("nh,nsh->ns", dc, hs))
            dhs += alphas[t][:, :, None] * dc[:, None, :]
            dhs += de[:, :, None] * states[t][:, None, :]
            # missing: ds = ds + np.einsum("ns,nsh->nh", de, hs)
        return dhs, dys, ds, dW, dU, dC, db

    return np.stack(states[1:], axis=1), backward


@mutant(
    "packed_projection_put_together_as_it_was_computed",
    cause="permuted-gates",
    inputs=shapes_2((2, 5, 4), (4, 9), (9,)),
    wrong=("dx", "dW_qkv", "db_qkv"),
    note="split as q k v; the gradient of v is there first, and was put first",
)
def packed_projection_put_together_as_it_was_computed(x, W_qkv, b_qkv):
    B, T, C = x.shape
    q, k, v = np.split(x @ W_qkv + b_qkv, 3, axis=2)
    att = q @ k.transpose(0, 2, 1) * (1.0 / np.sqrt(k.shape[-1]))
    att = np.where(np.tril(np.ones((T, T))) == 0, -np.inf, att)
    att = stable_softmax(att)

    def backward(dout):
        dv = att.transpose(0, 2, 1) @ dout
        datt = softmax_back(att, dout @ v.transpose(0, 2, 1)) / np.sqrt(k.shape[-1])
        dq = datt @ k
        dk = datt.transpose(0, 2, 1) @ q
        dqkv = np.concatenate([dv, dq, dk], axis=2)  # right: dqkv = np.concatenate([dq, dk, dv], axis=2)
        dW = x.reshape(B * T, C).T @ dqkv.reshape(B * T, -1)
        return dqkv @ W_qkv.T, dW, dqkv.sum(axis=(0, 1))

    return att @ v, backward


@mutant(
    "softmax_of_one_sentence_used_for_a_batch",
    cause="wrong-sum-axis",
    inputs=queries_keys_values,
    wrong=("dquery", "dkey"),
    note="axis 1 were the keys as long as there was no batch",
)
def softmax_of_one_sentence_used_for_a_batch(query, key, value):
    scale = 1 / np.sqrt(query.shape[-1])
    weights = stable_softmax(np.matmul(query, np.swapaxes(key, 1, 2)) * scale)
    context = np.matmul(weights, value)

    def backward(dcontext):
        dweights = np.matmul(dcontext, np.swapaxes(value, 1, 2))
        dvalue = np.matmul(np.swapaxes(weights, 1, 2), dcontext)
        weighted = weights * dweights
        total = np.sum(weighted, axis=1, keepdims=True)  # right: total = np.sum(weighted, axis=2, keepdims=True)
        dscores = (weighted - weights * total) * scale
        return np.matmul(dscores, key), np.matmul(np.swapaxes(dscores, 1, 2), query), dvalue

    return context, backward


def pointer_inputs(rng):
    """States of the decoder (N, H) and of the encoder (N, S, E), two matrices, a vector, and the right places (N,)."""
    shapes = [(4, 3), (4, 6, 5), (3, 4), (5, 4), (4,)]
    return (*(rng.standard_normal(s) for s in shapes), np.array([2, 0, 5, 2]))


@mutant(
    "pointer_error_sent_through_the_softmax_again",
    cause="softmax-applied-twice",
    inputs=pointer_inputs,
    wrong=("dd", "de", "dW1", "dW2", "dv"),
    note="p - y is already the gradient of the scores",
)
def pointer_error_sent_through_the_softmax_again(d, e, W1, W2, v, target):
    """The loss of a network that points at a word of the source."""
    N = d.shape[0]
    hidden = np.tanh((d @ W1)[:, None, :] + e @ W2)
    p = stable_softmax(hidden @ v)
    loss = -np.mean(np.log(p[np.arange(N), target]))

    def backward(dloss):
        grad = p.copy()
        grad[np.arange(N), target] -= 1
        grad *= dloss / N
        du = softmax_back(p, grad)  # right: du = grad
        dpre = du[:, :, None] * v * (1 - hidden**2)
        dquery = dpre.sum(axis=1)
        dW2 = np.einsum("nse,nsa->ea", e, dpre)
        return dquery @ W1.T, dpre @ W2.T, d.T @ dquery, dW2, np.einsum("ns,nsa->a", du, hidden), None

    return loss, backward


def graph(rng):
    """Nodes (M, D), a matrix (D, A), and three neighbours of every node (M, 3)."""
    neighbours = np.array([[1, 2, 4], [0, 2, 3], [1, 4, 5], [1, 0, 5], [2, 1, 0], [3, 2, 1]])
    return rng.standard_normal((6, 4)), rng.standard_normal((4, 3)), neighbours


@mutant(
    "graph_attention_popular_neighbours_overwritten",
    cause="repeated-ids-assigned",
    inputs=graph,
    wrong=("dx", "dW"),
    note="a node is the neighbour of many",
)
def graph_attention_popular_neighbours_overwritten(x, W, neighbours):
    z = x @ W
    around = z[neighbours]
    alpha = stable_softmax(np.einsum("ma,mka->mk", z, around))
    out = np.einsum("mk,mka->ma", alpha, around)

    def backward(dout):
        dalpha = np.einsum("ma,mka->mk", dout, around)
        dlogit = softmax_back(alpha, dalpha)
        dz = np.einsum("mk,mka->ma", dlogit, around)
        daround = alpha[:, :, None] * dout[:, None, :] + dlogit[:, :, None] * z[:, None, :]
        dz[neighbours] += daround  # right: np.add.at(dz, neighbours, daround)
        return dz @ W.T, x.T @ dz, None

    return out, backward


@mutant(
    "attention_weights_dropped_anew_on_the_way_back",
    cause="dropout-new-mask",
    also=("second-call-differs",),
    inputs=queries_keys_values,
    wrong=("dq", "dk"),
    note="the layer of the weights is called for its gradient, and draws",
)
def attention_weights_dropped_anew_on_the_way_back(q, k, v):
    rng, rate = np.random.default_rng(11), 0.4
    p = stable_softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2]))

    def draw():
        return (rng.random(p.shape) > rate) / (1 - rate)

    drop = draw()
    kept = p * drop

    def backward(dout):
        dv = kept.transpose(0, 2, 1) @ dout
        dp = dout @ v.transpose(0, 2, 1) * draw()  # right: dp = dout @ v.transpose(0, 2, 1) * drop
        ds = softmax_back(p, dp) / np.sqrt(q.shape[2])
        return ds @ k, ds.transpose(0, 2, 1) @ q, dv

    return kept @ v, backward


@mutant(
    "attentional_vector_passed_as_if_it_were_linear",
    cause="activation-derivative-missing",
    inputs=shapes_2((3, 5, 4), (3, 4), (8, 6), (6,)),
    wrong=("dhs", "dht", "dWc", "dbc"),
)
def attentional_vector_passed_as_if_it_were_linear(hs, ht, Wc, bc):
    """Luong: the context and the state together, through a layer."""
    H = ht.shape[1]
    a = stable_softmax((hs * ht[:, None, :]).sum(axis=2))
    c = (a[:, :, None] * hs).sum(axis=1)
    joined = np.concatenate([c, ht], axis=1)
    h_tilde = np.tanh(np.dot(joined, Wc) + bc)

    def backward(dh_tilde):
        dz = dh_tilde  # right: dz = dh_tilde * (1 - h_tilde**2)
        djoined = np.dot(dz, Wc.T)
        dc, dht = djoined[:, :H], djoined[:, H:].copy()
        dhs = a[:, :, None] * dc[:, None, :]
        ds = softmax_back(a, (hs * dc[:, None, :]).sum(axis=2))
        dhs += ds[:, :, None] * ht[:, None, :]
        dht += (ds[:, :, None] * hs).sum(axis=1)
        return dhs, dht, np.dot(joined.T, dz), dz.sum(axis=0)

    return h_tilde, backward


@mutant(
    "gated_bag_tanh_does_not_see_its_gate",
    cause="missing-factor",
    inputs=shapes_2((3, 5, 4), (4, 3), (4, 3), (3,)),
    wrong=("dbag", "dV"),
    note="of the two factors one gets the other, one does not",
)
def gated_bag_tanh_does_not_see_its_gate(bag, V, U, w):
    """Which picture of the bag matters: tanh times sigmoid, then a softmax over the bag."""
    t, g = np.tanh(bag @ V), sigmoid(bag @ U)
    a = stable_softmax((t * g) @ w)
    z = np.einsum("nk,nkd->nd", a, bag)

    def backward(dz):
        da = np.einsum("nd,nkd->nk", dz, bag)
        ds = softmax_back(a, da)
        dw = np.einsum("nk,nka->a", ds, t * g)
        dprod = ds[:, :, None] * w
        dt_pre = dprod * (1 - t**2)  # right: dt_pre = dprod * g * (1 - t**2)
        dg_pre = dprod * t * g * (1 - g)
        dbag = a[:, :, None] * dz[:, None, :] + dt_pre @ V.T + dg_pre @ U.T
        return dbag, np.einsum("nkd,nka->da", bag, dt_pre), np.einsum("nkd,nka->da", bag, dg_pre), dw

    return z, backward


def masked_weights_forward(q, k, v, is_word):
    """The weights of padding are set to zero after the softmax; the rest is left as it is."""
    p = np.zeros((q.shape[0], q.shape[1], k.shape[1]))
    for n in range(len(q)):
        p[n] = stable_softmax(q[n].dot(k[n].T))
    kept = p * is_word[:, None, :]
    return np.matmul(kept, v), (q, k, v, is_word, p, kept)


def masked_weights_backward(dout, cache):
    q, k, v, is_word, p, kept = cache
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for n in range(len(q)):
        dv[n] = kept[n].T.dot(dout[n])
        dp = dout[n].dot(v[n].T)  # right: dp = dout[n].dot(v[n].T) * is_word[n]
        ds = softmax_back(p[n], dp)
        dq[n] = ds.dot(k[n])
        dk[n] = ds.T.dot(q[n])
    return dq, dk, dv, None


mutant(
    "weights_masked_after_the_softmax_and_never_again",
    cause="mask-not-applied",
    inputs=padded_memory,
    wrong=("dq", "dk"),
)((masked_weights_forward, masked_weights_backward))


@mutant(
    "memory_looked_up_by_cosine_of_a_fixed_length",
    cause="norm-variance-term-missing",
    also=("branch-missing",),
    inputs=shapes_2((3, 4), (3, 6, 4), (3, 1), scale=1.3),
    wrong=("dkey", "dmemory"),
    note="the length that a vector is divided by is its own",
)
def memory_looked_up_by_cosine_of_a_fixed_length(key, memory, strength):
    """Content addressing of the neural Turing machine."""
    key_len = np.sqrt(np.sum(key**2, axis=-1, keepdims=True))
    mem_len = np.sqrt(np.sum(memory**2, axis=-1, keepdims=True))
    key_unit, mem_unit = key / key_len, memory / mem_len
    cosine = np.einsum("nd,nsd->ns", key_unit, mem_unit)
    w = stable_softmax(strength * cosine)

    def through_unit(dunit, unit, length):
        # right: return (dunit - unit * np.sum(dunit * unit, axis=-1, keepdims=True)) / length
        return dunit / length

    def backward(dread):
        dw = np.einsum("nd,nsd->ns", dread, memory)
        dlogit = softmax_back(w, dw)
        dstrength = np.sum(dlogit * cosine, axis=1, keepdims=True)
        dcos = dlogit * strength
        dkey = through_unit(np.einsum("ns,nsd->nd", dcos, mem_unit), key_unit, key_len)
        dmemory = through_unit(dcos[:, :, None] * key_unit[:, None, :], mem_unit, mem_len)
        dmemory = dmemory + w[:, :, None] * dread[:, None, :]
        return dkey, dmemory, dstrength

    return np.einsum("ns,nsd->nd", w, memory), backward


@mutant(
    "attentive_decoder_every_step_for_itself",
    cause="missing-dh-carry",
    inputs=shapes_2((4, 2, 3), (2, 5), (6, 2, 5), (3, 5), (5, 5), (5,)),
    wrong=("dxs", "dh0", "dWx", "dWh", "db"),
    note="the gradient of the last state is computed, and not used in the step before",
)
def attentive_decoder_every_step_for_itself(xs, h0, enc, Wx, Wh, b):
    """Time first; every state looks at the source, and what it finds is added to it."""
    h, hidden, weights, ys = h0, [h0], [], []
    for x in xs:
        h = np.tanh(x @ Wx + h @ Wh + b)
        a = stable_softmax(np.einsum("nh,snh->ns", h, enc))
        hidden.append(h)
        weights.append(a)
        ys.append(h + np.einsum("ns,snh->nh", a, enc))

    def backward(dys):
        dxs, denc, dWx, dWh, db = (np.zeros_like(p) for p in (xs, enc, Wx, Wh, b))
        dh_next = np.zeros_like(h0)
        for t in range(len(xs) - 1, -1, -1):
            a, h = weights[t], hidden[t + 1]
            ds = softmax_back(a, np.einsum("nh,snh->ns", dys[t], enc))
            denc += np.einsum("ns,nh->snh", a, dys[t]) + np.einsum("ns,nh->snh", ds, h)
            dh = dys[t] + np.einsum("ns,snh->nh", ds, enc)
            # missing: dh = dh + dh_next
            dz = dh * (1 - h * h)
            dxs[t] = dz @ Wx.T
            dWx += xs[t].T @ dz
            dWh += hidden[t].T @ dz
            db += dz.sum(axis=0)
            dh_next = dz @ Wh.T
        return dxs, dh_next, denc, dWx, dWh, db

    return np.array(ys), backward


@mutant(
    "gradient_of_the_scores_written_over_the_weights",
    cause="second-call-differs",
    inputs=shapes_2((5, 3), (7, 3), (7, 4), scale=1.0),
    note="a new name is not a new array",
)
def gradient_of_the_scores_written_over_the_weights(Q, K, V):
    P = stable_softmax(Q @ K.T / np.sqrt(K.shape[1]))

    def backward(dO):
        dV = P.T @ dO
        dP = dO @ V.T
        row = np.sum(P * dP, axis=1, keepdims=True)
        dS = P  # right: dS = P.copy()
        dS *= dP - row
        dS /= np.sqrt(K.shape[1])
        return dS @ K, dS.T @ Q, dV

    return P @ V, backward
