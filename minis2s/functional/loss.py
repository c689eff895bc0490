"""Losses. Each says what it divides by."""

from __future__ import annotations

import numpy as np

from minis2s.backend import Array, get_xp, in_blocks
from minis2s.functional.activation import Backward, logistic

BLOCK = 1 << 18
"""Logits in a block of rows: what stays in a core's cache from the maximum to the division."""


def cross_entropy(
    logits: Array, target: Array, mask: Array | None = None, *, label_smoothing: float = 0.0
) -> tuple[tuple[Array, Array], Backward]:
    """Mean negative log-likelihood of the target tokens, in nats per real token.

        loss = -1/M sum_n m_n sum_v q_nv log p_nv,   p_n = softmax(logits_n)                  (1)
        q_nv = (1 - eps) [v = target_n] + eps / V                                             (2)
        dlogits_n = m_n (p_n - q_n) / M,             M = sum_n m_n, the number of real tokens (3)

    A batch without a single real token has loss 0 and gradient 0.

    Parameters
    ----------
    logits : array (..., V)
    target : integer array (...)
    mask : bool array (...), True = a real token; None = all are
    label_smoothing : float
        eps of (2) (Szegedy et al. 2016, section 7).

    Returns
    -------
    loss and count M, both 0-d, so that a batch split in two adds up: (loss_1 M_1 + loss_2 M_2) / (M_1 + M_2);
    backward(dloss=1, dcount=None) -> dlogits, None, None

    Raises
    ------
    ValueError
        If target or mask has another shape than logits without its last axis.
    IndexError
        If a target is outside [0, V), at padding too. Checked on the host only: a device would have to wait.
    """
    _check_targets(logits, target, mask)
    xp = get_xp(logits)
    V = logits.shape[-1]
    rows, ids = logits.reshape(-1, V), target.reshape(-1)  # (R, V), (R,): padding included
    real = xp.ones(len(rows), dtype=logits.dtype) if mask is None else mask.reshape(-1).astype(logits.dtype)
    count = real.sum()
    divisor = xp.maximum(count, 1)
    e, total, nll = xp.empty_like(rows), xp.empty_like(real), xp.empty_like(real)  # (R, V), (R,), (R,): p = e / total
    index = xp.arange(len(rows))
    block = max(BLOCK // V, 1)

    def forward_block(r: slice) -> None:
        largest = rows[r].max(axis=1, keepdims=True)
        xp.subtract(rows[r], largest, out=e[r])
        xp.exp(e[r], out=e[r])
        total[r] = e[r].sum(axis=1)
        nll[r] = xp.log(total[r]) + largest[:, 0] - (1 - label_smoothing) * rows[index[r], ids[r]]
        if label_smoothing:
            nll[r] -= label_smoothing * rows[r].mean(axis=1)

    in_blocks(forward_block, len(rows), block, like=logits)
    loss = xp.where(real > 0, nll, 0).sum() / divisor

    def backward(dloss: Array | float = 1.0, dcount: None = None) -> tuple[Array, None, None]:
        scale = real * (dloss / divisor)  # (R,)
        dlogits, scale_e = xp.empty_like(e), scale / total

        def backward_block(r: slice) -> None:
            xp.multiply(e[r], scale_e[r, None], out=dlogits[r])
            if label_smoothing:
                dlogits[r] -= (label_smoothing / V) * scale[r, None]
            dlogits[index[r], ids[r]] -= (1 - label_smoothing) * scale[r]

        in_blocks(backward_block, len(rows), block, like=logits)
        return dlogits.reshape(logits.shape), None, None

    return (loss, count), backward


def _check_targets(logits: Array, target: Array, mask: Array | None) -> None:
    *shape, V = logits.shape
    for name, array in (("target", target), ("mask", mask)):
        if array is not None and array.shape != tuple(shape):
            raise ValueError(f"cross_entropy: {name} has shape {array.shape}, logits {logits.shape} expect {(*shape,)}")
    if isinstance(target, np.ndarray) and target.size and not (target.min() >= 0 and target.max() < V):
        raise IndexError(f"cross_entropy: targets reach from {target.min()} to {target.max()}, expected 0 to {V - 1}")


def token_losses(logits: Array, target: Array) -> Array:
    """Negative log-likelihood of each target token, in nats, without a backward.

        loss_n = log sum_v exp(logits_nv) - logits_n[target_n]

    logits (..., V), target (...) -> (...)
    """
    xp = get_xp(logits)
    largest = logits.max(axis=-1, keepdims=True)
    p = logits - largest
    log_total = xp.log(xp.exp(p, out=p).sum(axis=-1)) + largest[..., 0]
    return log_total - xp.take_along_axis(logits, target[..., None], axis=-1)[..., 0]


def reinforce(log_prob: Array, reward: Array, mask: Array | None = None) -> tuple[Array, Backward]:
    """Score-function estimate: a loss whose gradient is an unbiased estimate of that of -E[reward] (Williams 1992).

        loss = -1/M sum_n m_n reward_n log_prob_n

    `reward` is a constant here: subtract a baseline from it first, to lower the variance without a bias.

    log_prob, reward, mask (...) -> 0-d loss; backward(dloss=1) -> dlog_prob, None, None
    """
    xp = get_xp(log_prob)
    real = xp.ones_like(log_prob) if mask is None else mask.astype(log_prob.dtype)
    weight = real * reward / xp.maximum(real.sum(), 1)

    def backward(dloss: Array | float = 1.0) -> tuple[Array, None, None]:
        return -dloss * weight, None, None

    return -(weight * log_prob).sum(), backward


# ------------------------------------------------------------------------------------------------- of pictures


def mse(x: Array, target: Array) -> tuple[Array, Backward]:
    """Squared error in squared units *per image*: summed over all numbers of an image, then the mean over the N images.

        loss = 1/N sum_n |x_n - target_n|^2,   dx = 2 (x - target) / N

    Divide by the numbers of an image for the error per pixel. The target is a constant: it has no gradient.

    x, target (N, ...) -> 0-d loss; backward(dloss=1) -> dx, None
    """
    _check_images("mse", x, target)
    difference = x - target

    def backward(dloss: Array | float = 1.0) -> tuple[Array, None]:
        return difference * (2 / len(x) * dloss), None

    return (difference * difference).sum() / len(x), backward


def mae(x: Array, target: Array) -> tuple[Array, Backward]:
    """Absolute error in units *per image*: summed over all numbers of an image, then the mean over the N images.

        loss = 1/N sum_n |x_n - target_n|_1,   dx = sign(x - target) / N

    x, target (N, ...) -> 0-d loss; backward(dloss=1) -> dx, None
    """
    _check_images("mae", x, target)
    xp = get_xp(x)
    difference = x - target

    def backward(dloss: Array | float = 1.0) -> tuple[Array, None]:
        return xp.sign(difference) * (dloss / len(x)), None

    return xp.abs(difference).sum() / len(x), backward


def binary_cross_entropy_with_logits(logits: Array, target: Array) -> tuple[Array, Backward]:
    """Cross-entropy of each pixel, black or white, in nats *per image*: summed over an image, then the mean over N.

        loss = -1/N sum t log p + (1 - t) log(1 - p),   p = sigma(x)
             =  1/N sum max(x, 0) - x t - log max(p, 1 - p)                (4)
        dx = (p - t) / N

    Of a grey target, t between 0 and 1, the loss keeps the entropy: it does not reach 0. The target is a constant.

    logits x and target t (N, ...) -> 0-d loss; backward(dloss=1) -> dlogits, None
    """
    _check_images("binary_cross_entropy_with_logits", logits, target)
    xp = get_xp(logits)
    t = xp.empty_like(logits)  # to lie in memory as the logits do
    t[...] = target
    p, nats = logistic(logits), xp.empty_like(logits)
    xp.subtract(1, p, out=nats)
    xp.maximum(nats, p, out=nats)
    xp.log(nats, out=nats)
    nats += logits * t
    xp.subtract(xp.maximum(logits, 0), nats, out=nats)

    def backward(dloss: Array | float = 1.0) -> tuple[Array, None]:
        dlogits = p - t
        dlogits *= dloss / len(logits)
        return dlogits, None

    return nats.sum() / len(logits), backward


def gaussian_kl_terms(mean: Array, logvar: Array) -> tuple[Array, Backward]:
    """Divergence of N(mean, exp(logvar)) from N(0, 1) in each dimension, in nats (Kingma & Welling 2014, appendix B).

        KL = (mean^2 + exp(logvar) - logvar - 1) / 2                       (5)
        dmean = dKL mean,   dlogvar = dKL (exp(logvar) - 1) / 2

    mean, logvar (N, Z) -> KL (N, Z); backward(dKL) -> dmean, dlogvar
    """
    _check_images("gaussian_kl_terms", mean, logvar)
    variance = get_xp(mean).exp(logvar)

    def backward(dkl: Array) -> tuple[Array, Array]:
        return dkl * mean, dkl * (variance - 1) / 2

    return (mean * mean + variance - logvar - 1) / 2, backward


def gaussian_kl(mean: Array, logvar: Array, *, free_bits: float = 0.0) -> tuple[Array, Backward]:
    """Divergence of N(mean, exp(logvar)) from N(0, 1), in nats *per image*: summed over Z, the mean over the N images.

        loss = sum_z max(1/N sum_n KL_nz, free bits)                       (6)

    KL as in (5). A dimension below the free bits (in nats too, for all their name) costs the same whatever it does, and
    gets no gradient (Kingma et al. 2016, appendix C.8).

    mean, logvar (N, Z) -> 0-d loss; backward(dloss=1) -> dmean, dlogvar
    """
    xp = get_xp(mean)
    terms, terms_backward = gaussian_kl_terms(mean, logvar)
    kl = terms.mean(axis=0)  # (Z,)

    def backward(dloss: Array | float = 1.0) -> tuple[Array, Array]:
        paid = (kl >= free_bits) * (mean.dtype.type(1) / len(mean))
        return terms_backward(xp.broadcast_to(paid * dloss, terms.shape))

    return xp.maximum(kl, free_bits).sum(), backward


def _check_images(name: str, x: Array, target: Array) -> None:
    if x.shape != target.shape:
        raise ValueError(f"{name}: the arguments have shapes {x.shape} and {target.shape}, expected equal ones")
