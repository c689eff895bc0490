"""Losses, as students write them: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import classes, regression


@mutant(
    "hinge_loss_right_class_once",
    cause="sum-missing",
    also=("branch-missing",),
    inputs=classes,
    note="the right class's score stands in every margin that is positive",
    wrong=("dx",),
)
def hinge_loss_right_class_once(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    num_pos = np.sum(margins > 0, axis=1)

    def backward(dloss):
        dx = np.zeros_like(x)
        dx[margins > 0] = 1
        # right: dx[np.arange(N), y] -= num_pos
        dx[np.arange(N), y] -= num_pos > 0
        return dloss * dx / N, None

    return loss, backward


@mutant("mse_without_the_two", cause="constant-factor", inputs=regression, wrong=("dpred", "dtarget"))
def mse_without_the_two(pred, target):
    diff = pred - target
    size = diff.size

    def backward(dloss):
        dpred = dloss * diff / size  # right: dpred = 2 * dloss * diff / size
        return dpred, -dpred  # right: return dpred, -1 * dpred

    return (diff**2).mean(), backward


@mutant(
    "bce_target_first",
    cause="wrong-sign",
    inputs=lambda rng: (2 * rng.standard_normal((4, 5)), rng.random((4, 5)) > 0.4),
    wrong=("dlogits",),
)
def bce_target_first(logits, labels):
    t = labels.astype(float)
    loss = np.mean(np.maximum(logits, 0) - logits * t + np.log1p(np.exp(-np.abs(logits))))

    def backward(dloss):
        p = 1 / (1 + np.exp(-logits))
        return dloss * (t - p) / t.size, None  # right: return dloss * (p - t) / t.size, None

    return loss, backward


@mutant(
    "bce_on_probabilities_one_branch",
    cause="branch-missing",
    inputs=lambda rng: (0.1 + 0.8 * rng.random((3, 4)), rng.integers(0, 2, (3, 4))),
    note="the zeros' term of the loss is left out",
    wrong=("dp",),
)
def bce_on_probabilities_one_branch(p, target):
    loss = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()

    def backward(dloss):
        # right: dp = (-target / p + (1 - target) / (1 - p)) / p.size
        dp = -target / p / p.size
        return dloss * dp, None

    return loss, backward


@mutant(
    "cross_entropy_divides_before_it_subtracts",
    cause="wrong-count",
    like="cross_entropy",
    wrong=("dscores",),
    note="p / M - 1 for (p - 1) / M",
)
def cross_entropy_divides_before_it_subtracts(scores, words, mask):
    """Mean over the real tokens."""
    T, N, _ = scores.shape
    p = np.exp(scores - scores.max(axis=2, keepdims=True))
    p /= p.sum(axis=2, keepdims=True)
    tokens, loss = mask.sum(), 0.0
    for t in range(T):
        for n in range(N):
            if mask[t, n]:
                loss -= np.log(p[t, n, words[t, n]]) / tokens

    def backward(dloss, dtokens):
        dscores = p / tokens
        for t in range(T):
            for n in range(N):
                dscores[t, n, words[t, n]] -= 1  # right: dscores[t, n, words[t, n]] -= 1 / tokens
        return dloss * dscores * mask[:, :, None], None, None

    return (np.array(loss), np.array(float(tokens))), backward


# -------------------------------------------------------------------------------------- sixteen more, with modules.py


def houses(rng):
    """Rows (m, n), weights (n,), a bias (1,), a price for each row (m,)."""
    return tuple(rng.standard_normal(s) for s in [(6, 4), (4,), (1,), (6,)])


@mutant(
    "ridge_regression_error_is_price_minus_guess",
    cause="wrong-sign",
    inputs=houses,
    wrong=("dX", "dw", "db"),
    note="squared, it does not matter which is taken from which",
)
def ridge_regression_error_is_price_minus_guess(X, w, b, y):
    m, lambd = len(X), 1.5
    error = y - (X @ w + b)
    cost = np.sum(error**2) / (2 * m) + lambd / (2 * m) * np.sum(w**2)

    def backward(dcost):
        dguess = dcost * error / m  # right: dguess = -dcost * error / m
        dw = X.T @ dguess + dcost * lambd / m * w
        db = np.sum(dguess, keepdims=True)
        return np.outer(dguess, w), dw, db, dcost * error / m

    return cost, backward


def two_sides(rng):
    """Rows (N, D), weights (D,), a bias (1,), +1 or -1 for each row."""
    labels = np.array([1, -1, -1, 1, 1, -1, 1, -1, 1])
    X, w, b = (rng.standard_normal(s) for s in [(9, 3), (3,), (1,)])
    return X + 0.4 * labels[:, None] * np.sign(w), 0.8 * w, 0.2 * b, labels


@mutant(
    "soft_margin_svm_learns_like_a_perceptron",
    cause="derivative-at-preactivation",
    inputs=two_sides,
    wrong=("dX", "dw", "db"),
    note="max(0, 1 - y f) is asked whether y f is below 0: rows on the right side, within the margin, are left out",
)
def soft_margin_svm_learns_like_a_perceptron(X, w, b, y):
    C = 0.8
    loss = 0.5 * np.dot(w, w)
    for i in range(len(X)):
        loss += C * max(0, 1 - y[i] * (np.dot(X[i], w) + b[0]))

    def backward(dloss):
        dX, dw, db = np.zeros_like(X), np.copy(w), np.zeros_like(b)
        for i in range(len(X)):
            condition = y[i] * (np.dot(X[i], w) + b[0])
            if condition < 0:  # right: if condition < 1:
                dw -= C * y[i] * X[i]
                db -= C * y[i]
                dX[i] = -C * y[i] * w
        return dloss * dX, dloss * dw, dloss * db, None

    return loss, backward


def organs(rng):
    """Logits (N, H, W), and which pixels belong to the organ."""
    return 1.5 * rng.standard_normal((3, 4, 5)), rng.integers(0, 2, (3, 4, 5))


@mutant(
    "dice_loss_size_of_the_guess_is_a_constant",
    cause="branch-missing",
    inputs=organs,
    wrong=("dlogits",),
    note="the guess stands in the overlap and in the sum below it",
)
def dice_loss_size_of_the_guess_is_a_constant(logits, target):
    """Mean over the pictures."""
    smooth, N = 1.0, len(logits)
    pred = 1 / (1 + np.exp(-logits))
    intersection = (pred * target).sum(axis=(1, 2), keepdims=True)
    total = pred.sum(axis=(1, 2), keepdims=True) + target.sum(axis=(1, 2), keepdims=True)
    dice = (2 * intersection + smooth) / (total + smooth)

    def backward(dloss):
        ddice = -dloss / N
        dpred = ddice * 2 * target / (total + smooth)
        # missing: dpred = dpred - ddice * (2 * intersection + smooth) / (total + smooth) ** 2
        return dpred * pred * (1 - pred), None

    return np.mean(1 - dice), backward


def softmax_rows(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@mutant(
    "clip_loss_texts_find_their_pictures_unturned",
    cause="transposed",
    inputs=lambda rng: (rng.standard_normal((5, 3)), rng.standard_normal((5, 3))),
    wrong=("dimages", "dtexts"),
    note="the second half of the loss reads the square of scores by columns",
)
def clip_loss_texts_find_their_pictures_unturned(images, texts):
    """The n-th text belongs to the n-th picture; cross-entropy from both sides."""
    n, temperature = len(images), 0.7
    labels = np.arange(n)
    logits = images @ texts.T / temperature
    p_images, p_texts = softmax_rows(logits), softmax_rows(logits.T)
    loss_i = -np.log(p_images[labels, labels]).mean()
    loss_t = -np.log(p_texts[labels, labels]).mean()

    def backward(dloss):
        dlogits_i = (p_images - np.eye(n)) / n
        dlogits_t = (p_texts - np.eye(n)) / n
        # right: dlogits = dloss * (dlogits_i + dlogits_t.T) / 2
        dlogits = dloss * (dlogits_i + dlogits_t) / 2
        return dlogits @ texts / temperature, dlogits.T @ images / temperature

    return (loss_i + loss_t) / 2, backward


@mutant(
    "log_softmax_derived_as_one_minus_p",
    cause="softmax-second-term-missing",
    like="log_softmax",
    wrong=("dx",),
    note="d log p_i / d x_i, and nothing for the other scores",
)
def log_softmax_derived_as_one_minus_p(x, mask):
    shifted = x - np.max(x, axis=-1, keepdims=True)
    logp = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))

    def backward(dlogp):
        p = np.exp(logp)
        # right: dx = dlogp - p * np.sum(dlogp, axis=-1, keepdims=True)
        dx = dlogp * (1 - p)
        return dx, None

    return logp, backward


@mutant(
    "weighted_classes_mean_over_the_batch_on_the_way_back",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (2 * rng.standard_normal((6, 3)), np.array([0, 2, 2, 1, 0, 2])),
    wrong=("dscores",),
    note="the forward divides by the weights of the rows that came, the backward by the number of rows",
)
def weighted_classes_mean_over_the_batch_on_the_way_back(scores, y):
    """Rare classes count more."""
    class_weights = np.array([1.0, 4.0, 0.5])
    N = scores.shape[0]
    w = class_weights[y]
    probs = softmax_rows(scores)
    loss = -np.sum(w * np.log(probs[np.arange(N), y])) / np.sum(w)

    def backward(dloss):
        dscores = probs.copy()
        dscores[np.arange(N), y] -= 1
        dscores *= w[:, np.newaxis]
        dscores /= N  # right: dscores /= np.sum(w)
        return dloss * dscores, None

    return loss, backward


PAINTING = np.random.default_rng(5).standard_normal((3, 7))


@mutant(
    "style_loss_gram_matrix_derived_once",
    cause="constant-factor",
    also=("branch-missing",),
    inputs=lambda rng: (rng.standard_normal((3, 4, 5)),),
    wrong=("dfeatures",),
    note="F stands twice in F F^T: 4, not 2",
)
def style_loss_gram_matrix_derived_once(features):
    """How far the correlations of the channels are from those of a painting."""
    C, H, W = features.shape
    style_weight = 0.3
    F = features.reshape(C, H * W)
    gram = F @ F.T / (C * H * W)
    difference = gram - PAINTING @ PAINTING.T / PAINTING.size
    loss = style_weight * np.sum(difference**2)

    def backward(dloss):
        dgram = 2 * style_weight * dloss * difference
        dF = dgram @ F / (C * H * W)  # right: dF = (dgram + dgram.T) @ F / (C * H * W)
        return dF.reshape(features.shape)

    return loss, backward


def sure_and_unsure(rng):
    """Logits (N, 4), of which some are far out, as they are after long training, and yes or no."""
    logits = 2 * rng.standard_normal((3, 4))
    logits[0, 1], logits[2, 3] = 45, 60
    labels = rng.integers(0, 2, (3, 4))
    labels[0, 1], labels[2, 3] = 1, 0
    return logits, labels


@mutant(
    "bce_sure_of_itself_divides_by_zero",
    cause="not-finite",
    inputs=sure_and_unsure,
    wrong=("dlogits",),
    note="the loss is written with care, its gradient goes through a p that is rounded to 1",
)
def bce_sure_of_itself_divides_by_zero(logits, labels):
    loss = np.mean(np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits))))

    def backward(dloss):
        p = 1 / (1 + np.exp(-logits))
        with np.errstate(divide="ignore", invalid="ignore"):  # the warnings were a nuisance
            # right: dlogits = p - labels
            dlogits = (-labels / p + (1 - labels) / (1 - p)) * p * (1 - p)
        return dloss * dlogits / logits.size, None

    return loss, backward
