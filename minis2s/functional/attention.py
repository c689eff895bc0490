"""Attention: score every memory, turn scores into weights, take the weighted mean.

Time first, as everywhere: queries (T, N, Q), memories (S, N, M). Scores and weights are (N, T, S), as PyTorch's: for
each sentence a T x S picture. All T steps at once under teacher forcing, T = 1 when decoding: the same functions.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from minis2s.backend import Array, get_xp, matmul, random_uniform
from minis2s.functional.activation import Backward, softmax
from minis2s.functional.linear import linear
from minis2s.functional.masking import zero_padding


def batch_first(x: Array) -> Array:
    """View (T, N, H) as (N, T, H) and back: a batched GEMM wants one matrix a sentence. Copies nothing."""
    return x.swapaxes(0, 1)


def _product(a: Array, b: Array) -> Array:
    """(N, T, S) @ (N, S, M) -> (T, N, M), contiguous time first."""
    xp = get_xp(a)
    out = xp.empty((a.shape[1], a.shape[0], b.shape[2]), dtype=a.dtype)
    matmul(a, b, out=batch_first(out))
    return out


def dot_scores(query: Array, memory: Array) -> tuple[Array, Backward]:
    """Score by the dot product (Luong, Pham & Manning 2015, section 3.1).

        score_ts = q_t . m_s                                               (1)
        dq_t = sum_s dscore_ts m_s,   dm_s = sum_t dscore_ts q_t           (1')

    query (T, N, H), memory (S, N, H) -> scores (N, T, S); backward(dscores) -> dquery, dmemory
    """
    if query.shape[-1] != memory.shape[-1]:
        raise ValueError(f"dot_scores: query has {query.shape[-1]} features, memory has {memory.shape[-1]}")
    q, m = batch_first(query), batch_first(memory)
    scores = matmul(q, m.swapaxes(1, 2))  # (N, T, S)

    def backward(dscores: Array) -> tuple[Array, Array]:
        return _product(dscores, m), _product(dscores.swapaxes(1, 2), q)

    return scores, backward


def scaled_dot_scores(query: Array, memory: Array) -> tuple[Array, Backward]:
    """Score by the dot product over sqrt(H), so that its variance does not grow with H (Vaswani et al. 2017, eq. 1).

        score_ts = q_t . m_s / sqrt(H)                                     (2)

    query (T, N, H), memory (S, N, H) -> scores (N, T, S); backward(dscores) -> dquery, dmemory
    """
    scale = 1 / sqrt(query.shape[-1])
    scores, dot_backward = dot_scores(query * scale, memory)

    def backward(dscores: Array) -> tuple[Array, Array]:
        dquery, dmemory = dot_backward(dscores)
        dquery *= scale
        return dquery, dmemory

    return scores, backward


def general_scores(query: Array, memory: Array, weight: Array) -> tuple[Array, Backward]:
    """Score by a learned bilinear form, which also lets the sizes differ (Luong, Pham & Manning 2015, section 3.1).

        score_ts = q_t . W m_s = W^T q_t . m_s                              (3)

    query (T, N, Q), memory (S, N, M), weight (Q, M) -> scores (N, T, S); backward(dscores) -> dquery, dmemory, dweight
    """
    projected, linear_backward = linear(query, weight.T)  # (T, N, M): the query, because a decoder sees it once
    scores, dot_backward = dot_scores(projected, memory)

    def backward(dscores: Array) -> tuple[Array, Array, Array]:
        dprojected, dmemory = dot_backward(dscores)
        dquery, dweight_transposed, _ = linear_backward(dprojected)
        return dquery, dmemory, dweight_transposed.T

    return scores, backward


def additive_scores(query: Array, keys: Array, vector: Array) -> tuple[Array, Backward]:
    """Score by a small network (Bahdanau, Cho & Bengio 2015, appendix A.1.2).

        score_ts = v . a_ts,   a_ts = tanh(q_t + k_s),   q_t = W s_t + b,   k_s = U m_s      (4)
        dz_ts = dscore_ts v (1 - a_ts^2),   dq_t = sum_s dz_ts,   dk_s = sum_t dz_ts         (4')
        dv = sum_ts dscore_ts a_ts

    Both projections are plain :func:`linear` maps, made before the call: the keys once a sentence, not once a step.

    query (T, N, A), keys (S, N, A), vector (A,) -> scores (N, T, S); backward(dscores) -> dquery, dkeys, dvector
    """
    xp = get_xp(query)
    q, k = batch_first(query), batch_first(keys)
    hidden = q[:, :, None] + k[:, None]  # (N, T, S, A)
    xp.tanh(hidden, out=hidden)
    N, T, S, A = hidden.shape
    scores = (hidden.reshape(-1, A) @ vector).reshape(N, T, S)

    def backward(dscores: Array) -> tuple[Array, Array, Array]:
        dvector = dscores.reshape(-1) @ hidden.reshape(-1, A)
        dhidden = 1 - hidden * hidden
        dhidden *= dscores[..., None]
        dhidden *= vector
        dquery = dhidden.sum(axis=2).swapaxes(0, 1).copy()
        dkeys = dhidden.sum(axis=1).swapaxes(0, 1).copy()
        return dquery, dkeys, dvector

    return scores, backward


def location_scores(query: Array, weight: Array, *, length: int) -> tuple[Array, Backward]:
    """Score each place in the source from the query alone (Luong, Pham & Manning 2015, section 3.1, eq. 8).

        score_ts = (W q_t)_s,   s < length                                  (5)

    query (T, N, Q), weight (L, Q) with L >= length -> scores (N, T, length); backward(dscores) -> dquery, dweight
    """
    L = weight.shape[0]
    if length > L:
        raise ValueError(f"location_scores: the source has {length} tokens, weight has rows for {L}")
    scores, linear_backward = linear(batch_first(query), weight[:length])

    def backward(dscores: Array) -> tuple[Array, Array]:
        dquery, dweight_used, _ = linear_backward(dscores)
        dweight = get_xp(weight).zeros_like(weight)
        dweight[:length] = dweight_used
        return batch_first(dquery).copy(), dweight

    return scores, backward


def attend(scores: Array, memory: Array, mask: Array | None = None) -> tuple[tuple[Array, Array], Backward]:
    """Soft attention: the mean of the memories, weighted by the softmax of their scores.

        w_t = softmax(score_t),   c_t = sum_s w_ts m_s                      (6)
        dw_ts = dc_t . m_s,       dm_s = sum_t w_ts dc_t                    (6')

    Parameters
    ----------
    scores : array (N, T, S)
    memory : array (S, N, M)
    mask : bool array (S, N), True = a real token. A sentence without one has the context 0.

    Returns
    -------
    context (T, N, M) and weights (N, T, S); backward(dcontext, dweights=None) -> dscores, dmemory, None
    """
    m = batch_first(zero_padding(memory, mask))  # 0 * NaN would be NaN
    weights, softmax_backward = softmax(scores, None if mask is None else mask.T[:, None])  # (N, T, S)

    def backward(dcontext: Array, dweights: Array | None = None) -> tuple[Array, Array, None]:
        dc = batch_first(dcontext)  # (N, T, M)
        dw = matmul(dc, m.swapaxes(1, 2))
        if dweights is not None:
            dw += dweights
        dscores, _ = softmax_backward(dw)
        return dscores, zero_padding(_product(weights.swapaxes(1, 2), dc), mask), None

    return (_product(weights, m), weights), backward


def hard_attend(
    scores: Array, memory: Array, mask: Array | None = None, *, rng: np.random.Generator | None
) -> tuple[tuple[Array, Array, Array], Backward]:
    """Hard attention: draw one memory from the softmax of the scores (Xu et al. 2015, section 4.1).

        w_t = softmax(score_t),   s_t ~ w_t,   c_t = m_{s_t},   l_t = log w_{t, s_t}      (7)
        dscore_ts = dl_t ([s = s_t] - w_ts),       dm_s = sum of dc_t over all t with s_t = s     (7')

    No gradient passes through the draw itself. The score's comes by the log-probability l_t: REINFORCE
    (:func:`minis2s.functional.reinforce`) makes dl_t from a reward and a baseline. Without an `rng` the most probable
    memory is taken: what a trained model does.

    Returns
    -------
    context (T, N, M), log-probability (N, T) of the draw, and the draw as one-hot weights (N, T, S);
    backward(dcontext, dlog_prob, dweights=None) -> dscores, dmemory, None. The draw is a constant.
    """
    xp = get_xp(scores)
    m = batch_first(zero_padding(memory, mask))
    probability, _ = softmax(scores, None if mask is None else mask.T[:, None])  # (N, T, S)
    if rng is None:
        drawn = probability.argmax(axis=2)  # (N, T)
    else:
        cumulative = probability.cumsum(axis=2)
        place = random_uniform(rng, cumulative.shape[:2], like=scores) * cumulative[:, :, -1]  # in [0, sum)
        drawn = (cumulative > place[..., None]).argmax(axis=2)  # (N, T): the first place past the draw
    one_hot = (drawn[..., None] == xp.arange(scores.shape[2])).astype(scores.dtype) * (probability > 0)
    chosen = (one_hot * probability).sum(axis=2)  # (N, T)
    nothing = chosen == 0  # a sentence without a real token
    log_prob = xp.log(chosen + nothing)

    def backward(dcontext: Array, dlog_prob: Array, dweights: None = None) -> tuple[Array, Array, None]:
        dscores = (one_hot - probability) * dlog_prob[..., None]
        return dscores, zero_padding(_product(one_hot.swapaxes(1, 2), batch_first(dcontext)), mask), None

    return (_product(one_hot, m), log_prob, one_hot), backward


def masked_mean(memory: Array, mask: Array | None = None) -> tuple[Array, Backward]:
    """Mean over time of the real tokens: attention that has learned nothing.

        c = 1/M sum_s [real_s] m_s

    memory (S, N, M), mask (S, N) -> context (N, M); backward(dcontext) -> dmemory, None
    """
    xp = get_xp(memory)
    real = xp.ones(memory.shape[:2], dtype=memory.dtype) if mask is None else mask.astype(memory.dtype)
    share = (real / xp.maximum(real.sum(axis=0), 1))[..., None]  # (S, N, 1)
    mean = (zero_padding(memory, mask) * share).sum(axis=0)

    def backward(dcontext: Array) -> tuple[Array, None]:
        return share * dcontext, None

    return mean, backward
