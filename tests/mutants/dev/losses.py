# ruff: noqa: RUF059 (students unpack every shape)
"""Losses, as students write them: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import classes, regression


def linear_classifier(rng):
    return rng.standard_normal((6, 4)), rng.standard_normal((5, 6)), rng.integers(0, 4, 5)


@mutant("sequence_loss_counts_padding", cause="wrong-count", like="cross_entropy", wrong=("dlogits",))
def sequence_loss_counts_padding(logits, target, mask):
    T, N, V = logits.shape
    shifted = logits - logits.max(axis=2, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    total = mask.sum()
    nll = 0.0
    for t in range(T):
        for n in range(N):
            if mask[t, n]:
                nll -= logp[t, n, target[t, n]]

    def backward(dloss, dcount):
        d = np.exp(logp)
        for t in range(T):
            for n in range(N):
                d[t, n, target[t, n]] -= 1
                if not mask[t, n]:
                    d[t, n] = 0
        return dloss * d / (T * N), None, None  # right: return dloss * d / total, None, None

    return (np.asarray(nll / total), np.asarray(float(total))), backward


@mutant(
    "sequence_loss_learns_padding",
    cause="mask-only-in-loss",
    also=("mask-not-applied",),
    like="cross_entropy",
    wrong=("dlogits",),
)
def sequence_loss_learns_padding(logits, target, mask):
    V = logits.shape[-1]
    x, y, m = logits.reshape(-1, V), target.ravel(), mask.ravel()
    probs = np.exp(x - np.max(x, axis=1, keepdims=True))
    probs /= np.sum(probs, axis=1, keepdims=True)
    count = m.sum().astype(float)
    loss = -np.sum(m * np.log(probs[np.arange(len(y)), y])) / count

    def backward(dloss, dcount):
        dx = probs.copy()
        dx[np.arange(len(y)), y] -= 1
        dx /= count
        # missing: dx *= m[:, None]
        return dloss * dx.reshape(logits.shape), None, None

    return (loss, count), backward


@mutant("cross_entropy_sum_not_mean", cause="wrong-count", inputs=classes, wrong=("dx",))
def cross_entropy_sum_not_mean(x, y):
    N = len(x)
    p = np.exp(x) / np.exp(x).sum(axis=1)[:, None]
    onehot = np.eye(x.shape[1])[y]
    loss = -np.mean(np.sum(onehot * np.log(p), axis=1))

    def backward(dout):
        dx = dout * (p - onehot)  # right: dx = dout * (p - onehot) / N
        assert len(dx) == N
        return dx, None

    return loss, backward


@mutant("cross_entropy_softmax_of_softmax", cause="softmax-applied-twice", inputs=classes, wrong=("dscores",))
def cross_entropy_softmax_of_softmax(scores, labels):
    def softmax(a):
        e = np.exp(a - a.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    probs = softmax(scores)
    N = scores.shape[0]
    loss = np.mean([-np.log(probs[n, labels[n]]) for n in range(N)])

    def backward(dloss):
        grad = softmax(probs)  # right: grad = probs.copy()
        for n in range(N):
            grad[n, labels[n]] -= 1
        return dloss * grad / N, None

    return np.float64(loss), backward


def token_ids(rng):
    return 1.5 * rng.standard_normal((5, 3, 6)), rng.integers(0, 6, (5, 3))


@mutant("language_model_target_not_shifted", cause="off-by-one", inputs=token_ids, wrong=("dlogits",))
def language_model_target_not_shifted(logits, ids):
    """The logits at t are to tell the token at t + 1; the last has nothing to tell."""
    T, N, V = logits.shape
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    n = np.arange(N)
    loss = 0
    for t in range(T - 1):
        loss = loss - np.log(p[t, n, ids[t + 1]]).sum()
    loss = loss / ((T - 1) * N)

    def backward(dloss):
        dlogits = np.zeros_like(logits)
        for t in range(T - 1):
            dlogits[t] = p[t]
            dlogits[t, n, ids[t]] -= 1  # right: dlogits[t, n, ids[t + 1]] -= 1
        return dloss * dlogits / ((T - 1) * N), None

    return loss, backward


@mutant("softmax_classifier_without_penalty", cause="branch-missing", inputs=linear_classifier, wrong=("dW",))
def softmax_classifier_without_penalty(W, X, y):
    """Softmax loss of a linear classifier, with a penalty on W."""
    reg, N = 0.3, len(X)
    f = X.dot(W)
    f = f - f.max(axis=1, keepdims=True)
    p = np.exp(f)
    p = p / p.sum(axis=1, keepdims=True)
    loss = -np.log(p[range(N), y]).sum() / N + reg * np.sum(W * W)

    def backward(dloss):
        df = p.copy()
        df[range(N), y] -= 1
        df *= dloss / N
        dW = X.T.dot(df)  # right: dW = X.T.dot(df) + 2 * dloss * reg * W
        return dW, df.dot(W.T), None

    return loss, backward


@mutant("mse_divided_by_the_batch", cause="wrong-count", inputs=regression, wrong=("dy_hat", "dy"))
def mse_divided_by_the_batch(y_hat, y):
    N, D = y_hat.shape
    loss = 0.0
    for n in range(N):
        for d in range(D):
            loss += (y_hat[n, d] - y[n, d]) ** 2 / (N * D)

    def backward(dout):
        g = dout * 2 * (y_hat - y) / N  # right: g = dout * 2 * (y_hat - y) / (N * D)
        return g, 0 - g

    return loss, backward


@mutant(
    "policy_gradient_upstream_ignored",
    cause="missing-factor",
    inputs=lambda rng: (rng.standard_normal((4, 3)),),
    wrong=("dlog_prob",),
)
def policy_gradient_upstream_ignored(log_prob):
    """A loss that takes its upstream gradient for 1."""
    advantage = np.linspace(-1, 2, log_prob.size).reshape(log_prob.shape)
    loss = -(advantage * log_prob).mean()

    def backward(dloss):
        d = -advantage / advantage.size  # right: d = -dloss * advantage / advantage.size
        return d

    return loss, backward


# ------------------------------------------------------------------------------------------------- more of one function


@mutant("reinforce_counts_the_padding", cause="wrong-count", like="reinforce", wrong=("dlog_prob",))
def reinforce_counts_the_padding(log_prob, mask):
    reward = np.linspace(-1, 2, log_prob.size).reshape(log_prob.shape)
    loss = -(reward * log_prob)[mask].sum() / mask.sum()

    def backward(dloss):
        dlog_prob = -dloss * reward * mask
        dlog_prob /= mask.size  # right: dlog_prob /= mask.sum()
        return dlog_prob, None

    return loss, backward


@mutant("absolute_error_same_sign_for_both", cause="wrong-sign", inputs=regression, wrong=("dtarget",))
def absolute_error_same_sign_for_both(x, target):
    side = np.where(x > target, 1.0, -1.0)
    loss = np.abs(x - target).sum() / len(x)

    def backward(dloss):
        dx = dloss * side / len(x)
        dtarget = dx.copy()  # right: dtarget = -dx
        return dx, dtarget

    return loss, backward


def pixels(rng):
    return 2 * rng.standard_normal((4, 6)), rng.integers(0, 2, (4, 6))


@mutant("bce_sigmoid_derivative_once_more", cause="activation-derivative-doubled", inputs=pixels, wrong=("dlogits",))
def bce_sigmoid_derivative_once_more(logits, black):
    """The derivative of the two together, p - t, has the sigmoid's in it already."""
    p = 1 / (1 + np.exp(-logits))
    loss = -np.mean(np.where(black, np.log(p), np.log(1 - p)))

    def backward(dloss):
        dlogits = dloss * (p - black) / p.size
        dlogits = dlogits * p * (1 - p)  # right: dlogits = dlogits * 1
        return dlogits, None

    return loss, backward
