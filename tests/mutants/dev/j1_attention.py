# ruff: noqa: RUF059 (students unpack every shape)
"""Attention and the layers around it, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import padded_memory, stable_softmax


def j1_draw(*shapes):
    """Inputs of these shapes."""
    return lambda rng: tuple(rng.standard_normal(s) for s in shapes)


@mutant(
    "cross_attention_source_answers_for_its_keys_only",
    cause="branch-missing",
    inputs=j1_draw((2, 3, 4), (2, 5, 6), (4, 3), (6, 3), (6, 2)),
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
    "attention_dropout_seeded_anew_for_every_head",
    cause="dropout-new-mask",
    inputs=j1_draw((2, 3, 6), (2, 5, 6), (2, 5, 6)),
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
    "joined_projection_cut_as_k_q_v_glued_as_q_k_v",
    cause="permuted-gates",
    inputs=j1_draw((2, 4, 5), (5, 9), (9,)),
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
    inputs=j1_draw((3, 4), (3, 5, 4), (8, 6), (6,)),
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
    inputs=j1_draw((2, 3, 4), (4, 7), (7,), (7, 4), (4,)),
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


@mutant(
    "output_projection_square_and_turned",
    cause="transposed",
    inputs=j1_draw((2, 3, 4), (2, 5, 4), (2, 5, 4), (4, 4), (4,)),
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
