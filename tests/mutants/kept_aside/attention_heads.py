"""Attention with several heads, and whole layers of it: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, parameter, sequences_of_one_length, shapes_2, softmax_back, stable_softmax


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


def tokens_of_one_head(rng):
    """Embedded tokens (B, T, C), and matrices of the query and the key (C, A) and of the value (C, H)."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(2, 5, 4), (4, 3), (4, 3), (4, 6)])


@mutant(
    "causal_head_keys_meet_the_table_unturned",
    cause="transposed",
    also=("wrong-sum-axis",),
    inputs=tokens_of_one_head,
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


@mutant(
    "vision_heads_stacked_in_front_of_the_three",
    cause="permuted-axes",
    also=("permuted-heads",),
    inputs=shapes_2((2, 4, 5), (5, 12)),
    wrong=("dx", "dW"),
    note="there (3, heads, width), back (heads, 3, width): the reshape that follows does not mind",
)
def vision_heads_stacked_in_front_of_the_three(x, W):
    """Two heads of two features."""
    B, N, _ = x.shape
    heads, dim = 2, 2
    qkv = (x @ W).reshape(B, N, 3, heads, dim).transpose(2, 0, 3, 1, 4)
    q, k, v = qkv
    attn = stable_softmax(np.einsum("bhid,bhjd->bhij", q, k) * dim**-0.5)
    out = np.einsum("bhij,bhjd->bihd", attn, v).reshape(B, N, heads * dim)

    def backward(dout):
        do = dout.reshape(B, N, heads, dim)
        dv = np.einsum("bhij,bihd->bjhd", attn, do)
        ds = softmax_back(attn, np.einsum("bihd,bhjd->bhij", do, v)) * dim**-0.5
        dq = np.einsum("bhij,bhjd->bihd", ds, k)
        dk = np.einsum("bhij,bhid->bjhd", ds, q)
        dqkv = np.stack([dq, dk, dv], axis=3)  # right: dqkv = np.stack([dq, dk, dv], axis=2)
        dqkv = dqkv.reshape(B, N, 3 * heads * dim)
        return dqkv @ W.T, np.tensordot(x, dqkv, axes=([0, 1], [0, 1]))

    return out, backward


class ListOfHeads(Module):
    """Three heads, one after the other; their results stand side by side."""

    def __init__(self, rng):
        self.Wq, self.Wk, self.Wv = parameter(rng, 3, 4, 2), parameter(rng, 3, 4, 2), parameter(rng, 3, 4, 2)

    def forward(self, x):
        heads = []
        for Wq, Wk, Wv in zip(self.Wq.data, self.Wk.data, self.Wv.data, strict=True):
            q, k, v = x @ Wq, x @ Wk, x @ Wv
            heads.append((q, k, v, stable_softmax(q @ k.transpose(0, 2, 1) / np.sqrt(2))))
        y = np.concatenate([p @ v for _, _, v, p in heads], axis=2)

        def backward(dy):
            dx = np.zeros_like(x)
            for i, (q, k, v, p) in enumerate(heads):
                do = dy[:, :, 2 * i : 2 * i + 2]
                dv = p.transpose(0, 2, 1) @ do
                ds = softmax_back(p, do @ v.transpose(0, 2, 1)) / np.sqrt(2)
                dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
                self.Wq.grad[i] += np.einsum("ntd,nta->da", x, dq)
                self.Wk.grad[i] += np.einsum("ntd,nta->da", x, dk)
                self.Wv.grad[i] += np.einsum("ntd,nta->da", x, dv)
                # right: dx += dq @ self.Wq.data[i].T + dk @ self.Wk.data[i].T + dv @ self.Wv.data[i].T
                dx = dq @ self.Wq.data[i].T + dk @ self.Wk.data[i].T + dv @ self.Wv.data[i].T
            return dx

        return y, backward


mutant(
    "list_of_heads_the_last_one_speaks_for_all",
    cause="sum-missing",
    inputs=shapes_2((2, 5, 4)),
    wrong=("dx",),
)(build(ListOfHeads))
