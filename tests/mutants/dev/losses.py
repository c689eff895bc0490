# ruff: noqa: RUF059 (students unpack every shape)
"""Losses: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import classes, regression, softmax_2, softmax_3, softmax_rows, stable_softmax, tokens_and_tables


@mutant(
    "softmax_loss_subtracts_from_the_probabilities_it_kept",
    cause="second-call-differs",
    inputs=classes,
    note="a second name is not a copy",
)
def softmax_loss_subtracts_from_the_probabilities_it_kept(scores, y):
    num_examples = len(scores)
    probs = softmax_2(scores)
    loss = -np.log(probs[np.arange(num_examples), y]).mean()

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[np.arange(num_examples), y] -= 1
        return dloss * dscores / num_examples, None

    return loss, backward


TEACHER = 3 * np.random.default_rng(4).standard_normal((5, 4))


@mutant(
    "distillation_temperature_on_the_way_there_only",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=lambda rng: (2 * rng.standard_normal((5, 4)),),
    wrong=("dstudent",),
    note="the scores are divided by it before the softmax",
)
def distillation_temperature_on_the_way_there_only(student):
    """Cross-entropy to what a larger network says, both softened."""
    temperature, N = 2.5, len(student)
    soft_targets = softmax_2(TEACHER / temperature)
    soft_probs = softmax_2(student / temperature)
    loss = -np.sum(soft_targets * np.log(soft_probs)) / N

    def backward(dloss):
        dlogits = dloss * (soft_probs - soft_targets) / N
        return dlogits  # right: return dlogits / temperature

    return loss, backward


def head_inputs(rng):
    """States (N, T, H), a matrix (H, V), a bias (V,), and the ids of the words (N, T)."""
    h, W, b = (rng.standard_normal(s) for s in [(2, 4, 3), (3, 6), (6,)])
    return h, W, b, np.array([[2, 0, 5, 2], [1, 4, 4, 3]])


@mutant(
    "next_word_loss_lands_on_the_next_word",
    cause="off-by-one",
    inputs=head_inputs,
    wrong=("dh", "dW"),
    note="the state at t foretells word t + 1; the gradient is put where the word stands",
)
def next_word_loss_lands_on_the_next_word(h, W, b, ids):
    N, T, H = h.shape
    logits = h @ W + b
    shift_probs, shift_labels = stable_softmax(logits[:, :-1]), ids[:, 1:]
    rows, cols = np.arange(N)[:, None], np.arange(T - 1)[None, :]
    loss = -np.log(shift_probs[rows, cols, shift_labels]).mean()

    def backward(dloss):
        dshift = shift_probs.copy()
        dshift[rows, cols, shift_labels] -= 1
        dlogits = np.zeros_like(logits)
        dlogits[:, 1:] = dloss * dshift / (N * (T - 1))  # right: dlogits[:, :-1] = dloss * dshift / (N * (T - 1))
        dW = h.reshape(N * T, H).T @ dlogits.reshape(N * T, -1)
        return dlogits @ W.T, dW, dlogits.sum(axis=(0, 1)), None

    return loss, backward


@mutant(
    "char_model_head_gradient_is_written_into_the_probabilities",
    cause="second-call-differs",
    inputs=head_inputs,
    note="an array was given a second name, and not copied",
)
def char_model_head_gradient_is_written_into_the_probabilities(h, W, b, ids):
    """Of the state at every place the letter that comes there."""
    H, V = W.shape
    states, targets = h.reshape(-1, H), ids.reshape(-1)
    num = len(targets)
    scores = states.dot(W) + b
    probs = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    probs /= np.sum(probs, axis=1, keepdims=True)
    loss = np.sum(-np.log(probs[range(num), targets])) / num

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[range(num), targets] -= 1
        dscores = dloss * dscores / num
        return dscores.dot(W.T).reshape(h.shape), states.T.dot(dscores), dscores.sum(axis=0), None

    return loss, backward


@mutant(
    "focal_loss_focus_is_a_constant",
    cause="branch-missing",
    inputs=lambda rng: (1.5 * rng.standard_normal((5, 4)), np.array([3, 0, 0, 2, 1])),
    wrong=("dlogits",),
    note="the probability stands in the logarithm and in the factor before it",
)
def focal_loss_focus_is_a_constant(logits, y):
    """What is right already counts less."""
    gamma, N = 2.0, len(y)
    p = stable_softmax(logits)
    p_t = p[np.arange(N), y]
    loss = np.mean(-((1 - p_t) ** gamma) * np.log(p_t))

    def backward(dloss):
        dp_t = -((1 - p_t) ** gamma) / p_t
        # missing: dp_t = dp_t + gamma * (1 - p_t) ** (gamma - 1) * np.log(p_t)
        one_hot = np.eye(logits.shape[1])[y]
        dlogits = (dp_t * p_t)[:, None] * (one_hot - p)
        return dloss * dlogits / N, None

    return loss, backward


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


def ratings(rng):
    """What four people (U, K) and six films (I, K) are like, and stars from 1 to 5, 0 where no one has voted."""
    stars = rng.integers(1, 6, (4, 6)) * (rng.random((4, 6)) < 0.6)
    return rng.standard_normal((4, 3)), rng.standard_normal((6, 3)), stars


@mutant(
    "ratings_never_given_count_as_zero_stars",
    cause="mask-not-applied",
    inputs=ratings,
    wrong=("dpeople", "dfilms"),
)
def ratings_never_given_count_as_zero_stars(people, films, stars):
    """Squared error of a factorisation, mean over the votes."""
    voted = stars > 0
    error = people @ films.T - stars
    votes = voted.sum()
    loss = np.sum(error[voted] ** 2) / votes

    def backward(dloss):
        dguess = 2 * dloss * error / votes  # right: dguess = 2 * dloss * error * voted / votes
        return dguess @ films, dguess.T @ people, None

    return loss, backward


@mutant(
    "huber_loss_tails_without_delta",
    cause="missing-factor",
    inputs=lambda rng: (2 * rng.standard_normal((5, 3)), rng.standard_normal((5, 3))),
    wrong=("dy_pred", "dy_true"),
    note="the formula of the tails is for delta = 1, where delta is not seen",
)
def huber_loss_tails_without_delta(y_pred, y_true):
    delta = 1.6
    n = y_pred.size
    err = y_pred - y_true
    is_small = np.abs(err) <= delta
    loss = np.sum(np.where(is_small, 0.5 * err**2, delta * (np.abs(err) - 0.5 * delta))) / n

    def backward(dloss):
        # right: grad = np.where(is_small, err, delta * np.sign(err))
        grad = np.where(is_small, err, np.sign(err))
        grad = dloss * grad / n
        return grad, -grad

    return loss, backward


@mutant(
    "focal_loss_weight_taken_for_a_constant",
    cause="branch-missing",
    inputs=lambda rng: (1.5 * rng.standard_normal((4, 5)), rng.integers(0, 2, (4, 5))),
    wrong=("dlogits",),
    note="p_t stands in the logarithm and in the weight before it",
)
def focal_loss_weight_taken_for_a_constant(logits, targets):
    """Of a sigmoid, gamma 2."""
    gamma = 2
    p = 1 / (1 + np.exp(-logits))
    pt = np.where(targets == 1, p, 1 - p)
    weight = (1 - pt) ** gamma
    loss = np.mean(-weight * np.log(pt))

    def backward(dloss):
        dpt = -weight / pt
        # missing: dpt = dpt + gamma * (1 - pt) ** (gamma - 1) * np.log(pt)
        dp = np.where(targets == 1, dpt, -dpt)
        return dloss * dp * p * (1 - p) / p.size, None

    return loss, backward


class SoftmaxActivation:
    """A layer of its own, with the whole Jacobian of each row."""

    def forward(self, inputs):
        self.output = softmax_3(inputs)
        return self.output

    def backward(self, dvalues):
        dinputs = np.empty_like(dvalues)
        for index, (single_output, single_dvalues) in enumerate(zip(self.output, dvalues, strict=True)):
            column = single_output.reshape(-1, 1)
            jacobian_matrix = np.diagflat(column) - np.dot(column, column.T)
            dinputs[index] = np.dot(jacobian_matrix, single_dvalues)
        return dinputs


@mutant(
    "categorical_loss_short_cut_and_the_long_way_round",
    cause="softmax-applied-twice",
    inputs=classes,
    wrong=("dlogits",),
    note="p - y is the gradient of the logits, and is given to the softmax layer as that of the probabilities",
)
def categorical_loss_short_cut_and_the_long_way_round(logits, y_true):
    activation = SoftmaxActivation()
    y_pred = activation.forward(logits)
    samples = len(y_pred)
    loss = np.mean(-np.log(y_pred[range(samples), y_true]))

    def backward(dloss):
        dvalues = y_pred.copy()
        dvalues[range(samples), y_true] -= 1
        dvalues = dloss * dvalues / samples
        return activation.backward(dvalues), None  # right: return dvalues, None

    return loss, backward


def forecasts(rng):
    """Guesses and truths (N, D), many of them far apart, to either side."""
    return 2 * rng.standard_normal((6, 4)), 2 * rng.standard_normal((6, 4))


@mutant(
    "huber_loss_outliers_below_pushed_like_those_above",
    cause="wrong-sign",
    inputs=forecasts,
    wrong=("dpred", "dtarget"),
    note="|e| has the slope -1 on its left",
)
def huber_loss_outliers_below_pushed_like_those_above(pred, target):
    delta = 1.2
    error = pred - target
    small = np.abs(error) <= delta
    loss = np.where(small, 0.5 * error**2, delta * (np.abs(error) - 0.5 * delta)).mean()

    def backward(dloss):
        derror = error.copy()
        derror[error > delta] = delta
        derror[error < -delta] = delta  # right: derror[error < -delta] = -delta
        derror = dloss * derror / error.size
        return derror, -derror

    return loss, backward


def padded_reviews(rng):
    """Ids (N, T) with 0 at padding, and a table (V, D)."""
    return np.array([[3, 1, 4, 1, 2], [5, 2, 0, 0, 0], [2, 5, 3, 0, 0]]), tokens_and_tables(rng)[1]


@mutant(
    "review_mean_of_vectors_teaches_the_padding",
    cause="padding-id-gradient",
    also=("mask-not-applied",),
    inputs=padded_reviews,
    wrong=("dE",),
    note="left out of the mean, not of the gradient",
)
def review_mean_of_vectors_teaches_the_padding(ids, E):
    """Mean over the words that are there."""
    mask = (ids != 0).astype(float)[:, :, None]
    lengths = mask.sum(axis=1)
    mean = (E[ids] * mask).sum(axis=1) / lengths

    def backward(dmean):
        demb = np.repeat((dmean / lengths)[:, None, :], ids.shape[1], axis=1)
        # missing: demb = demb * mask
        dE = np.zeros_like(E)
        np.add.at(dE, ids, demb)
        return None, dE

    return mean, backward


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
