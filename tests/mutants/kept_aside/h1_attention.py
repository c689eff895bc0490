"""Attention, as students write it after a book or a video: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import stable_softmax


def h1_encoder_and_decoder(rng):
    """States of the encoder (N, S, H) and of the decoder (N, T, H)."""
    return rng.standard_normal((3, 5, 4)), rng.standard_normal((3, 4, 4))


@mutant(
    "time_attention_states_heard_in_the_weighted_sum_alone",
    cause="branch-missing",
    inputs=h1_encoder_and_decoder,
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


def h1_tokens_of_one_head(rng):
    """Embedded tokens (B, T, C), and matrices of the query and the key (C, A) and of the value (C, H)."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(2, 5, 4), (4, 3), (4, 3), (4, 6)])


@mutant(
    "causal_head_keys_meet_the_table_unturned",
    cause="transposed",
    also=("wrong-sum-axis",),
    inputs=h1_tokens_of_one_head,
    wrong=("dx", "dWk"),
    note="the table of a self-attention is square: with and without the turn the shapes fit",
)
def causal_head_keys_meet_the_table_unturned(x, Wq, Wk, Wv):
    T, head_size = x.shape[1], Wk.shape[1]
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    wei = q @ k.transpose(0, 2, 1) * head_size**-0.5
    wei = np.where(np.tril(np.ones((T, T))) == 0, -np.inf, wei)
    wei = stable_softmax(wei)

    def backward(dout):
        dv = wei.transpose(0, 2, 1) @ dout
        dwei = dout @ v.transpose(0, 2, 1)
        dwei = wei * (dwei - (dwei * wei).sum(axis=-1, keepdims=True)) * head_size**-0.5
        dq = dwei @ k
        dk = dwei @ q  # right: dk = dwei.transpose(0, 2, 1) @ q
        dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
        dWq, dWk, dWv = (np.tensordot(x, d, axes=([0, 1], [0, 1])) for d in (dq, dk, dv))
        return dx, dWq, dWk, dWv

    return wei @ v, backward


def h1_question_and_text(rng):
    """Queries (N, T, D), keys (N, S, D) and values (N, S, E)."""
    return tuple(rng.standard_normal(s) for s in [(2, 4, 3), (2, 6, 3), (2, 6, 5)])


@mutant(
    "attention_weights_dropped_out_and_not_scaled_back",
    cause="dropout-scale-missing",
    also=("constant-factor",),
    inputs=h1_question_and_text,
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
