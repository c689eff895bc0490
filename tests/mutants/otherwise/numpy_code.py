"""The library's functions in NumPy, otherwise: as others write them."""

import math

import numpy as np

from minis2s import functional as F
from minis2s.nn import Linear, Module, Parameter
from mutants.otherwise import Register
from mutants.otherwise.shapes import (
    SOURCE_MASK,
    D,
    H,
    N,
    S,
    T,
    V,
    arrays,
    attention,
    classes,
    convolution,
    image,
    masked_classes,
    sequence,
    step,
    table_first,
    tokens,
    transposed_convolution,
)

rewritten = Register()


def sigmoid(a):
    return np.where(a >= 0, 1 / (1 + np.exp(-np.abs(a))), np.exp(-np.abs(a)) / (1 + np.exp(-np.abs(a))))


def stable_softmax(a):
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ------------------------------------------------------------------------------------------------------------ recurrent


@rewritten(step(4, 2), F.lstm_step)
def lstm_step_by_einsum(x, h, c, Wx, Wh, bx, bh):
    W = Wx.reshape(4, H, D)
    U = Wh.reshape(4, H, H)
    z = np.einsum("nd,khd->knh", x, W) + np.einsum("nj,khj->knh", h, U) + (bx + bh).reshape(4, 1, H)
    i, f, o = sigmoid(z[0]), sigmoid(z[1]), sigmoid(z[3])
    g = np.tanh(z[2])
    c1 = i * g + f * c
    h1 = np.tanh(c1) * o

    def backward(dh1, dc1):
        through_h = dh1 * o / np.cosh(c1) ** 2
        d = dc1 + through_h
        dz = np.stack(
            [d * g * i * (1 - i), d * c * f * (1 - f), d * i / np.cosh(z[2]) ** 2, dh1 * np.tanh(c1) * o * (1 - o)]
        )
        db = dz.sum(axis=1).ravel()
        return (
            np.einsum("knh,khd->nd", dz, W),
            np.einsum("knh,khj->nj", dz, U),
            d * f,
            np.einsum("knh,nd->khd", dz, x).reshape(4 * H, D),
            np.einsum("knh,nj->khj", dz, h).reshape(4 * H, H),
            db,
            db + 0,
        )

    return (h1, c1), backward


@rewritten(arrays((N, D), (N, H), (N, H), *[(D, H)] * 4, *[(H, H)] * 4, *[(H,)] * 4))
def lstm_step_gate_by_gate(x, h, c, Wf, Wi, Wc, Wo, Uf, Ui, Uc, Uo, bf, bi, bc, bo):
    f = sigmoid(x @ Wf + h @ Uf + bf)
    i = sigmoid(x @ Wi + h @ Ui + bi)
    g = np.tanh(x @ Wc + h @ Uc + bc)
    o = sigmoid(x @ Wo + h @ Uo + bo)
    c_new = f * c + i * g
    h_new = o * np.tanh(c_new)

    def backward(dh, dc):
        dct = dc + dh * o * (1 - np.tanh(c_new) ** 2)
        daf, dai = dct * c * f * (1 - f), dct * g * i * (1 - i)
        dac, dao = dct * i * (1 - g**2), dh * np.tanh(c_new) * o * (1 - o)
        gates = [(daf, Wf, Uf), (dai, Wi, Ui), (dac, Wc, Uc), (dao, Wo, Uo)]
        dx = sum(da @ W.T for da, W, _ in gates)
        dh_prev = sum(da @ U.T for da, _, U in gates)
        dW = [x.T @ da for da, _, _ in gates]
        dU = [h.T @ da for da, _, _ in gates]
        return (dx, dh_prev, dct * f, *dW, *dU, *(da.sum(0) for da, _, _ in gates))

    return (h_new, c_new), backward


def lstm_forward(x, h0, Wx, Wh, b):
    """Batch first, gates in the order i f o g, the cell starts at zero, only the states come out."""
    batch, length, _ = x.shape
    size = h0.shape[1]
    h, c = h0, np.zeros_like(h0)
    out, cache = np.empty((batch, length, size)), []
    for t in range(length):
        a = x[:, t].dot(Wx) + h.dot(Wh) + b
        i, f, o = (sigmoid(a[:, k * size : (k + 1) * size]) for k in range(3))
        g = np.tanh(a[:, 3 * size :])
        c_next = f * c + i * g
        cache.append((x[:, t], h, c, i, f, o, g, c_next))
        h, c = o * np.tanh(c_next), c_next
        out[:, t] = h
    return out, (cache, Wx, Wh, x.shape)


def lstm_backward(dout, cache):
    steps, Wx, Wh, shape = cache
    dx, dWx, dWh, db = np.zeros(shape), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wx.shape[1])
    dh = dc = 0
    for t, (x, h, c, i, f, o, g, c_next) in reversed(list(enumerate(steps))):
        dh = dh + dout[:, t]
        dc = dc + dh * o * (1 - np.tanh(c_next) ** 2)
        da = np.hstack(
            [dc * g * i * (1 - i), dc * c * f * (1 - f), dh * np.tanh(c_next) * o * (1 - o), dc * i * (1 - g * g)]
        )
        dx[:, t], dWx, dWh, db = da.dot(Wx.T), dWx + x.T.dot(da), dWh + h.T.dot(da), db + da.sum(axis=0)
        dh, dc = da.dot(Wh.T), dc * f
    return dx, dh, dWx, dWh, db


rewritten(arrays((N, T, D), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,)))((lstm_forward, lstm_backward))


@rewritten(sequence(4, 2, SOURCE_MASK), F.lstm)
def lstm_sentence_by_sentence(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    """Every sentence alone, to its own length: no mask is needed."""
    lengths = mask.sum(axis=0)
    y, h_n, c_n = np.zeros((len(x), *h0.shape)), np.zeros_like(h0), np.zeros_like(c0)
    backwards = []
    for n, length in enumerate(lengths):
        h, c, chain = h0[n : n + 1], c0[n : n + 1], []
        for t in range(length):
            (h, c), back = F.lstm_step(x[t, n : n + 1], h, c, weight_ih, weight_hh, bias_ih, bias_hh)
            y[t, n] = h[0]
            chain.append(back)
        h_n[n], c_n[n] = h[0], c[0]
        backwards.append(chain)

    def backward(dy, dh_n, dc_n):
        dx, dh0, dc0 = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
        totals = [np.zeros_like(w) for w in (weight_ih, weight_hh, bias_ih, bias_hh)]
        for n, chain in enumerate(backwards):
            dh, dc = dh_n[n : n + 1], dc_n[n : n + 1]
            for t in reversed(range(len(chain))):
                dx_t, dh, dc, *dweights = chain[t](dh + dy[t, n], dc)
                dx[t, n] = dx_t[0]
                for total, dw in zip(totals, dweights, strict=True):
                    total += dw
            dh0[n], dc0[n] = dh[0], dc[0]
        return (dx, dh0, dc0, *totals, None)

    return (y, h_n, c_n), backward


@rewritten(step(3, 1), F.gru_step)
def gru_step_in_three_parts(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    W, U = [weight_ih[k * H : (k + 1) * H] for k in range(3)], [weight_hh[k * H : (k + 1) * H] for k in range(3)]
    b, c = bias_ih.reshape(3, H), bias_hh.reshape(3, H)
    r = sigmoid(x @ W[0].T + h @ U[0].T + (b[0] + c[0]))
    z = sigmoid(x @ W[1].T + h @ U[1].T + (b[1] + c[1]))
    s = h @ U[2].T + c[2]
    n = np.tanh(x @ W[2].T + b[2] + r * s)

    def backward(dout):
        dn = (dout - dout * z) * (1 + n) * (1 - n)
        dz = dout * (h - n) * (z - z * z)
        dr = dn * s * (r - r**2)
        ds = r * dn
        parts_x, parts_h = (dr, dz, dn), (dr, dz, ds)
        dx = sum(p @ w for p, w in zip(parts_x, W, strict=True))
        dh = z * dout + sum(p @ u for p, u in zip(parts_h, U, strict=True))
        return (
            dx,
            dh,
            np.concatenate([p.T @ x for p in parts_x]),
            np.concatenate([p.T @ h for p in parts_h]),
            np.concatenate([p.sum(0) for p in parts_x]),
            np.concatenate([p.sum(0) for p in parts_h]),
        )

    return n + z * (h - n), backward


@rewritten(sequence(3, 1, SOURCE_MASK), F.gru)
def gru_of_steps_with_a_blend(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    real = mask.astype(float)[..., None]
    h, chain, out = h0, [], []
    for x_t, m in zip(x, real, strict=True):
        new, back = F.gru_step(x_t, h, weight_ih, weight_hh, bias_ih, bias_hh)
        h = m * new + (1 - m) * h
        chain.append((back, m))
        out.append(m * h)

    def backward(dy, dh):
        dxs, totals = [], [np.zeros_like(w) for w in (weight_ih, weight_hh, bias_ih, bias_hh)]
        for dy_t, (back, m) in zip(dy[::-1], reversed(chain), strict=True):
            dh = dh + m * dy_t
            dx_t, dh_t, *dw = back(m * dh)
            dh = dh_t + (1 - m) * dh
            dxs.append(dx_t)
            totals = [a + b for a, b in zip(totals, dw, strict=True)]
        return (np.array(dxs[::-1]), dh, *totals, None)

    return (np.array(out), h.copy()), backward


@rewritten(arrays((T, N, D), (N, H), (H, D), (H, H), (H,)))
def rnn_by_recursion(x, h0, W, U, b):
    def run(t, h):
        if t == len(x):
            return [], lambda dhs: (0, [], 0, 0, 0)
        new = np.tanh(x[t] @ W.T + h @ U.T + b)
        rest, rest_backward = run(t + 1, new)

        def backward(dhs):
            dh, dxs, dW, dU, db = rest_backward(dhs[1:])
            da = (dhs[0] + dh) * (1 - new**2)
            return da @ U, [da @ W, *dxs], dW + da.T @ x[t], dU + da.T @ h, db + da.sum(0)

        return [new, *rest], backward

    states, run_backward = run(0, h0)

    def backward(dy):
        dh0, dxs, dW, dU, db = run_backward(dy)
        return np.stack(dxs), dh0, dW, dU, db

    return np.stack(states), backward


@rewritten(arrays((T, N, D), (H, D), (H, H), (H, D), (H, H)))
def rnn_both_ways_added(x, W, U, W2, U2):
    """By the library's network, once on the sequence and once on the sequence turned round."""
    zero, none = np.zeros((x.shape[1], H)), np.zeros(H)
    (there, _), there_backward = F.rnn(x, zero, W, U, none, none)
    (back, _), back_backward = F.rnn(x[::-1], zero, W2, U2, none, none)

    def backward(dy):
        dx1, _, dW, dU, *_ = there_backward(dy, zero)
        dx2, _, dW2, dU2, *_ = back_backward(dy[::-1], zero)
        return dx1 + dx2[::-1], dW, dU, dW2, dU2

    return there + back[::-1], backward


# ------------------------------------------------------------------------------------------------ softmax and attention


@rewritten(arrays((N, 4, 5), scale=2), F.softmax)
def softmax_by_jacobian(x):
    y = stable_softmax(x)

    def backward(dy):
        dx = np.empty_like(x)
        for place in np.ndindex(x.shape[:-1]):
            s = y[place]
            jacobian = np.diag(s) - np.outer(s, s)
            dx[place] = jacobian @ dy[place]
        return dx

    return y, backward


@rewritten(arrays((4, 6), scale=2), F.softmax)
def softmax_by_log_sum_exp(x):
    log_p = x - np.logaddexp.reduce(x, axis=1, keepdims=True)

    def backward(dy):
        dlog = dy * np.exp(log_p)
        return dlog - np.exp(log_p) * dlog.sum(axis=1, keepdims=True)

    return np.exp(log_p), backward


@rewritten(attention, F.attend)
def attend_in_loops(scores, memory, mask):
    batch, queries, _ = scores.shape
    weights, context = np.zeros_like(scores), np.zeros((queries, batch, memory.shape[2]))
    for n in range(batch):
        real = np.flatnonzero(mask[:, n])
        for t in range(queries):
            weights[n, t, real] = stable_softmax(scores[n, t, real])
            for s in real:
                context[t, n] += weights[n, t, s] * memory[s, n]

    def backward(dcontext, dweights):
        dscores, dmemory = np.zeros_like(scores), np.zeros_like(memory)
        for n in range(batch):
            real = np.flatnonzero(mask[:, n])
            for t in range(queries):
                dw = np.array([dcontext[t, n] @ memory[s, n] + dweights[n, t, s] for s in real])
                w = weights[n, t, real]
                dscores[n, t, real] = w * (dw - w @ dw)
                for s in real:
                    dmemory[s, n] += weights[n, t, s] * dcontext[t, n]
        return dscores, dmemory, None

    return (context, weights), backward


@rewritten(attention, F.attend)
def attend_with_a_large_negative_number(scores, memory, mask):
    penalty = np.where(mask, 0.0, -1e9).T[:, None]
    w = stable_softmax(scores + penalty)

    def backward(dcontext, dweights):
        dw = np.einsum("tnh,snh->nts", dcontext, memory) + dweights
        dscores = np.einsum("nts,nts->nts", w, dw) - w * np.einsum("nts,nts->nt", w, dw)[..., None]
        return dscores, np.einsum("nts,tnh->snh", w, dcontext), None

    return (np.einsum("nts,snh->tnh", w, memory), w), backward


@rewritten(arrays((T, N, H), (S, N, H), (H,)), F.additive_scores)
def additive_scores_one_by_one(query, keys, vector):
    scores = np.array([[[vector @ np.tanh(q + k) for k in keys[:, n]] for q in query[:, n]] for n in range(N)])

    def backward(dscores):
        dq, dk, dv = np.zeros_like(query), np.zeros_like(keys), np.zeros_like(vector)
        for n, t, s in np.ndindex(scores.shape):
            hidden = np.tanh(query[t, n] + keys[s, n])
            dv += dscores[n, t, s] * hidden
            da = dscores[n, t, s] * vector * (1 - hidden**2)
            dq[t, n] += da
            dk[s, n] += da
        return dq, dk, dv

    return scores, backward


@rewritten(arrays((2, T, 6), (18, 6), (18,), (6, 6), (6,), scale=0.7))
def multi_head_self_attention(x, in_weight, in_bias, out_weight, out_bias):
    """Two heads, causal, with packed projections."""
    B, L, E = x.shape
    heads, width = 2, E // 2
    packed = x @ in_weight.T + in_bias
    q, k, v = (a.reshape(B, L, heads, width).transpose(0, 2, 1, 3) for a in np.split(packed, 3, axis=-1))
    future = np.triu(np.ones((L, L), dtype=bool), 1)
    w = stable_softmax(np.where(future, -np.inf, q @ k.swapaxes(-1, -2) / math.sqrt(width)))
    merged = (w @ v).transpose(0, 2, 1, 3).reshape(B, L, E)

    def backward(dy):
        dmerged = (dy @ out_weight).reshape(B, L, heads, width).transpose(0, 2, 1, 3)
        dw = dmerged @ v.swapaxes(-1, -2)
        ds = w * (dw - np.sum(w * dw, axis=-1, keepdims=True)) / math.sqrt(width)
        parts = ds @ k, ds.swapaxes(-1, -2) @ q, w.swapaxes(-1, -2) @ dmerged
        dpacked = np.concatenate([p.transpose(0, 2, 1, 3).reshape(B, L, E) for p in parts], axis=-1)
        return (
            dpacked @ in_weight,
            np.einsum("ble,blf->ef", dpacked, x),
            dpacked.sum((0, 1)),
            np.einsum("ble,blf->ef", dy, merged),
            dy.sum((0, 1)),
        )

    return merged @ out_weight.T + out_bias, backward


@rewritten(arrays((T, N, H), (S, N, D), (H, D)), F.general_scores)
def general_scores_in_one_einsum(query, memory, weight):
    def backward(d):
        return (
            np.einsum("nts,hd,snd->tnh", d, weight, memory),
            np.einsum("nts,tnh,hd->snd", d, query, weight),
            np.einsum("nts,tnh,snd->hd", d, query, memory),
        )

    return np.einsum("tnh,hd,snd->nts", query, weight, memory), backward


# --------------------------------------------------------------------------------------------------------------- losses


@rewritten(masked_classes, F.cross_entropy)
def cross_entropy_by_log_sum_exp(logits, target, mask):
    onehot = np.eye(logits.shape[-1])[target]
    nll = np.logaddexp.reduce(logits, axis=-1) - (onehot * logits).sum(axis=-1)
    count = float(mask.sum())

    def backward(dloss, dcount):
        p = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
        return dloss * mask[..., None] * (p - onehot) / count, None, None

    return ((nll * mask).sum() / count, np.asarray(count)), backward


@rewritten(masked_classes)
def cross_entropy_token_by_token(logits, target, mask):
    """A sum over the real tokens, as a Python number."""
    loss = 0.0
    for place in zip(*np.nonzero(mask), strict=True):
        row = logits[place] - logits[place].max()
        loss += math.log(np.exp(row).sum()) - row[target[place]]

    def backward(dloss):
        d = np.zeros_like(logits)
        for place in zip(*np.nonzero(mask), strict=True):
            d[place] = dloss * stable_softmax(logits[place])
            d[place][target[place]] -= dloss
        return d, None, None

    return loss, backward


@rewritten(classes)
def cross_entropy_smoothed_by_two_losses(logits, target):
    eps, size = 0.1, target.size
    log_p = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    picked = np.take_along_axis(log_p, target[..., None], axis=-1)
    loss = -((1 - eps) * picked.sum() + eps * log_p.mean(axis=-1).sum()) / size

    def backward(dloss):
        dlog_p = np.full(log_p.shape, -eps / log_p.shape[-1])
        np.put_along_axis(dlog_p, target[..., None], np.take_along_axis(dlog_p, target[..., None], -1) - (1 - eps), -1)
        dlog_p *= dloss / size
        return dlog_p - np.exp(log_p) * dlog_p.sum(axis=-1, keepdims=True), None

    return loss, backward


@rewritten(lambda rng: (2 * rng.standard_normal((5, V)), rng.integers(0, V, 5)))
def hinge_loss_in_loops(scores, labels):
    loss = sum(
        max(0.0, scores[n, k] - scores[n, y] + 1) for n, y in enumerate(labels) for k in range(V) if k != y
    ) / len(labels)

    def backward(dloss):
        d = np.zeros_like(scores)
        for n, y in enumerate(labels):
            for k in range(V):
                if k != y and scores[n, k] - scores[n, y] + 1 > 0:
                    d[n, k] += dloss / len(labels)
                    d[n, y] -= dloss / len(labels)
        return d, None

    return loss, backward


@rewritten(lambda rng: (2 * rng.standard_normal((3, 4)), rng.random((3, 4))))
def binary_cross_entropy_by_softplus(logits, target):
    loss = np.sum(np.logaddexp(0, logits) - target * logits) / logits.size

    def backward(dloss):
        return dloss * (sigmoid(logits) - target) / logits.size, -dloss * logits / logits.size

    return loss, backward


@rewritten(arrays((3, 4), (3, 4)))
def mse_by_inner_product(x, y):
    gap = (x - y).ravel()

    def backward(dloss):
        g = (2 * dloss / gap.size) * gap.reshape(x.shape)
        return g, np.negative(g)

    return gap @ gap / gap.size, backward


@rewritten(arrays((3, 4), (3, 4)))
def kl_and_sample_together(mu, logvar):
    """The draw and its price: two outputs of the same inputs."""
    e = np.random.default_rng(2).standard_normal(mu.shape)
    sigma = np.sqrt(np.exp(logvar))
    kl = 0.5 * (sigma**2 + mu**2 - 1 - 2 * np.log(sigma)).sum(axis=1)

    def backward(dz, dkl):
        dsigma = dz * e + dkl[:, None] * (sigma - 1 / sigma)
        return dz + dkl[:, None] * mu, dsigma * sigma / 2

    return (mu + sigma * e, kl), backward


# --------------------------------------------------------------------------------------------------------------- layers


@rewritten(arrays((T, N, D), (H, D), (H,)), F.linear)
def linear_number_by_number(x, weight, bias):
    y = np.zeros((*x.shape[:-1], len(weight)))
    for place in np.ndindex(y.shape):
        y[place] = bias[place[-1]] + sum(x[*place[:-1], d] * weight[place[-1], d] for d in range(x.shape[-1]))

    def backward(dy):
        dx, dw, db = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(bias)
        for *row, e in np.ndindex(dy.shape):
            g = dy[*row, e]
            dx[*row] += g * weight[e]
            dw[e] += g * x[*row]
            db[e] += g
        return dx, dw, db

    return y, backward


@rewritten(arrays((N, D), (H, D + 1)))
def linear_with_the_bias_in_the_matrix(x, weight):
    extended = np.hstack([x, np.ones((len(x), 1))])

    def backward(dy):
        return (dy @ weight)[:, :-1], (extended.T @ dy).T

    return extended @ weight.T, backward


@rewritten(tokens, F.embedding)
def embedding_by_one_hot(ids, weight):
    onehot = np.eye(len(weight))[ids]

    def backward(dy):
        return None, np.tensordot(onehot, dy, axes=(tuple(range(ids.ndim)), tuple(range(ids.ndim))))

    return onehot @ weight, backward


@rewritten(table_first)
def embedding_table_first(table, ids):
    def backward(dout):
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids, dout)
        return dtable, None

    return table[ids], backward


@rewritten(arrays((4, 5)))
def dropout_with_a_mask_of_its_own(x):
    kept = np.random.default_rng(9).random(x.shape) > 0.3
    return np.where(kept, x / 0.7, 0), lambda dy: np.where(kept, dy / 0.7, 0)


@rewritten(arrays((T, N, D), (D,), (D,)), F.layer_norm)
def layer_norm_by_a_matrix(x, weight, bias):
    """Centring is a product with I - 1/D; each vector's Jacobian is written out."""
    size = x.shape[-1]
    centre = np.eye(size) - 1 / size
    c = x @ centre
    s = np.sqrt((c * c).sum(axis=-1) / size + 1e-5)

    def backward(dy):
        dx = np.empty_like(x)
        for place in np.ndindex(s.shape):
            jacobian = centre / s[place] - np.outer(c[place], c[place]) / (size * s[place] ** 3)
            dx[place] = jacobian @ (dy[place] * weight)
        n = c / s[..., None]
        return dx, np.einsum("tnd,tnd->d", dy, n), np.einsum("tnd->d", dy)

    return c / s[..., None] * weight + bias, backward


def batchnorm_forward(x, gamma, beta):
    mean, var = x.mean(axis=0), x.var(axis=0)
    xhat = (x - mean) / np.sqrt(var + 1e-5)
    return gamma * xhat + beta, (xhat, gamma, var)


def batchnorm_backward(dout, cache):
    xhat, gamma, var = cache
    rows = len(xhat)
    dgamma, dbeta = (dout * xhat).sum(axis=0), dout.sum(axis=0)
    dx = gamma / np.sqrt(var + 1e-5) / rows * (rows * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


rewritten(arrays((6, D), (D,), (D,)))((batchnorm_forward, batchnorm_backward))


@rewritten(arrays((2, 4, 3, 3), (4,), (4,)))
def group_norm_in_loops(x, weight, bias):
    out, parts = np.empty_like(x), {}
    for n in range(len(x)):
        for g in range(2):
            block = x[n, 2 * g : 2 * g + 2]
            s = np.sqrt(block.var() + 1e-5)
            parts[n, g] = (block - block.mean()) / s, s
            out[n, 2 * g : 2 * g + 2] = parts[n, g][0]

    def backward(dy):
        dx = np.empty_like(x)
        for (n, g), (hat, s) in parts.items():
            rows = slice(2 * g, 2 * g + 2)
            d = dy[n, rows] * weight[rows, None, None]
            dx[n, rows] = (d - d.mean() - hat * (d * hat).mean()) / s
        return dx, np.einsum("nchw,nchw->c", dy, out), np.einsum("nchw->c", dy)

    return out * weight[:, None, None] + bias[:, None, None], backward


@rewritten(arrays((4, 5), scale=2))
def gelu_by_the_error_function(x):
    cdf = np.vectorize(lambda a: 0.5 * math.erfc(-a / math.sqrt(2)))(x)

    def backward(dy):
        return dy * (cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))

    return x * cdf, backward


@rewritten(lambda rng: (np.concatenate([rng.standard_normal((3, 5)), [[1e-9, -1e-9, 1e-5, -1e-5, 1e-3]]]),), None)
def relu_close_to_its_kink(x):
    return x * (x > 0), lambda dy: (x > 0) * dy


@rewritten(arrays((3, 6)))
def maxout_of_pairs(x):
    a, b = x[:, ::2], x[:, 1::2]

    def backward(dy):
        dx = np.zeros_like(x)
        dx[:, ::2] = np.where(a >= b, dy, 0)
        dx[:, 1::2] = np.where(a >= b, 0, dy)
        return dx

    return np.maximum(a, b), backward


@rewritten(arrays((4, 3)))
def unit_length(x):
    r = np.linalg.norm(x, axis=1, keepdims=True)
    y = x / r
    return y, lambda dy: (dy - y * np.sum(y * dy, axis=1, keepdims=True)) / r


# --------------------------------------------------------------------------------------------------------------- images


@rewritten(convolution)
def conv_by_columns(x, w, b):
    """3 x 3, padding 1, stride 2, by one matrix product."""
    batch, channels, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, cols = (height - 1) // 2 + 1, (width - 1) // 2 + 1
    i = 2 * np.repeat(np.arange(rows), cols)[:, None] + np.repeat(np.arange(3), 3)
    j = 2 * np.tile(np.arange(cols), rows)[:, None] + np.tile(np.arange(3), 3)
    columns = padded[:, :, i, j].transpose(0, 2, 1, 3).reshape(batch, rows * cols, -1)  # (N, places, C * 9)
    flat = w.reshape(len(w), -1)
    out = (columns @ flat.T + b).transpose(0, 2, 1).reshape(batch, len(w), rows, cols)

    def backward(dout):
        d = dout.reshape(batch, len(w), -1)
        dcolumns = np.einsum("nfp,fk->npk", d, flat).reshape(batch, rows * cols, channels, 9).transpose(0, 2, 1, 3)
        dpadded = np.zeros_like(padded)
        np.add.at(dpadded, (slice(None), slice(None), i, j), dcolumns)
        dw = np.einsum("nfp,npk->fk", d, columns).reshape(w.shape)
        return dpadded[:, :, 1:-1, 1:-1].copy(), dw, d.sum(axis=(0, 2))

    return out, backward


@rewritten(arrays((2, 5, 6), (3, 3)))
def convolution_by_fourier(x, kernel):
    """True convolution over a circle: a product of spectra."""
    shape = x.shape[1:]
    spectrum, taps = np.fft.fft2(x), np.fft.fft2(kernel, shape)
    y = np.fft.ifft2(spectrum * taps).real

    def backward(dy):
        d = np.fft.fft2(dy)
        dkernel = np.fft.ifft2((d * spectrum.conj()).sum(axis=0)).real[:3, :3]
        return np.fft.ifft2(d * taps.conj()).real, dkernel

    return y, backward


@rewritten(transposed_convolution)
def transposed_conv_pixel_by_pixel(x, w, b):
    """Stride 2, no padding: every pixel paints a patch, and the patches overlap."""
    batch, _, height, width = x.shape
    out = np.zeros((batch, w.shape[1], 2 * height + 1, 2 * width + 1)) + b[:, None, None]
    for r, c in np.ndindex(height, width):
        out[:, :, 2 * r : 2 * r + 3, 2 * c : 2 * c + 3] += np.tensordot(x[:, :, r, c], w, axes=1)

    def backward(dout):
        dx, dw = np.empty_like(x), np.zeros_like(w)
        for r, c in np.ndindex(height, width):
            patch = dout[:, :, 2 * r : 2 * r + 3, 2 * c : 2 * c + 3]
            dx[:, :, r, c] = np.tensordot(patch, w, axes=([1, 2, 3], [1, 2, 3]))
            dw += np.einsum("nc,nfij->cfij", x[:, :, r, c], patch)
        return dx, dw, dout.sum(axis=(0, 2, 3))

    return out, backward


@rewritten(image)
def max_pool_by_argmax(x):
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, channels, height // 2, 2, width // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    flat = blocks.reshape(*blocks.shape[:4], 4)
    winner = flat.argmax(axis=-1)[..., None]

    def backward(dout):
        d = np.zeros_like(flat)
        np.put_along_axis(d, winner, dout[..., None], axis=-1)
        return d.reshape(blocks.shape).transpose(0, 1, 2, 4, 3, 5).reshape(x.shape)

    return np.take_along_axis(flat, winner, axis=-1)[..., 0], backward


@rewritten(image)
def average_pool_by_kron(x):
    half = np.kron(np.eye(3), [[0.5, 0.5]])  # (3, 6)
    return half @ x @ half.T, lambda dout: half.T @ dout @ half


# ------------------------------------------------------------------------------------------------------ weights at home


@rewritten(arrays((4, 5), (3, 5), (3,), (5,)))
def tied_autoencoder(x, W, b, c):
    h = np.tanh(np.einsum("nd,hd->nh", x, W) + b)

    def backward(dout):
        da = np.einsum("nd,hd->nh", dout, W) * (1 - h**2)
        return da @ W, np.einsum("nh,nd->hd", h, dout) + np.einsum("nh,nd->hd", da, x), da.sum(0), dout.sum(0)

    return h @ W + c, backward


class TiedLanguageModel(Module):
    """Adds to the gradient of the table from both ends, by a helper of its own."""

    def __init__(self, rng):
        self.table = Parameter(rng.standard_normal((V, D)))
        self.mix = Linear(D, D, rng=rng)

    def forward(self, ids):
        e = self.table.data[ids]
        mixed, mix_backward = self.mix(e)
        h = np.tanh(mixed)

        def backward(dlogits):
            de = mix_backward((dlogits @ self.table.data) * (1 - h**2))
            for v in range(V):
                self.table.grad[v] += de[ids == v].sum(axis=0) + np.tensordot(dlogits[..., v], h, axes=h.ndim - 1)

        return h @ self.table.data.T, backward


rewritten(lambda rng: (tokens(rng)[0],))(TiedLanguageModel(np.random.default_rng(4)))


# ----------------------------------------------------------------------------------------------- numbers of other sizes


@rewritten(lambda rng: (1e4 * rng.standard_normal((3, 4)), 1e-4 * rng.standard_normal((5, 4)), rng.standard_normal(5)))
def linear_of_large_and_small_numbers(x, weight, bias):
    a = np.tanh(x @ weight.T + bias)

    def backward(dy):
        dz = dy * (1 - a * a)
        return dz @ weight, dz.T @ x, dz.sum(axis=0)

    return a, backward


@rewritten(arrays((3, 4)))
def a_loss_of_many_millions(x):
    return 3e8 * np.sum(np.sin(x)), lambda dloss: dloss * 3e8 * np.cos(x)


@rewritten(arrays((3, 4)))
def a_loss_of_very_little(x):
    return 1e-3 * np.sum(np.exp(x)), lambda dloss: dloss * 1e-3 * np.exp(x)


@rewritten(lambda rng: (0.1 + rng.random((3, 4)), 0.5 + rng.random((3, 4))))
def powers(base, exponent):
    y = base**exponent
    return y, lambda dy: (dy * exponent * base ** (exponent - 1), dy * y * np.log(base))


@rewritten(lambda rng: (rng.standard_normal((3, 4)).astype(np.float32), rng.standard_normal((2, 4)).astype(np.float32)))
def cosine_similarities(a, b):
    """Of float32 inputs: the check is made in float64 all the same."""
    u, v = a / np.sqrt((a * a).sum(1, keepdims=True)), b / np.sqrt((b * b).sum(1, keepdims=True))

    def project(d, x, unit):
        return (d - unit * (d * unit).sum(1, keepdims=True)) / np.sqrt((x * x).sum(1, keepdims=True))

    return u @ v.T, lambda dy: (project(dy @ v, a, u), project(dy.T @ u, b, v))
