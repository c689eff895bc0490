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


def three_inputs_one_output(rng):
    """Rows (N, 3), matrices of two layers, a yes or no for each row (N, 1)."""
    return *(rng.standard_normal(s) for s in [(6, 3), (3, 4), (4, 1)]), rng.integers(0, 2, (6, 1))


@mutant(
    "tiny_network_slope_of_the_output_twice",
    cause="activation-derivative-doubled",
    inputs=three_inputs_one_output,
    wrong=("dX", "dsyn0", "dsyn1"),
    note="p - y is the gradient at the logit already; the line with the slope is from the code for squared error",
)
def tiny_network_slope_of_the_output_twice(X, syn0, syn1, y):
    """Two sigmoid layers, binary cross-entropy."""

    def nonlin(x, deriv=False):
        return x * (1 - x) if deriv else 1 / (1 + np.exp(-x))

    l1 = nonlin(np.dot(X, syn0))
    l2 = nonlin(np.dot(l1, syn1))
    loss = -np.mean(y * np.log(l2) + (1 - y) * np.log(1 - l2))

    def backward(dloss):
        l2_error = dloss * (l2 - y) / len(y)
        l2_delta = l2_error * nonlin(l2, deriv=True)  # right: l2_delta = l2_error
        l1_error = l2_delta.dot(syn1.T)
        l1_delta = l1_error * nonlin(l1, deriv=True)
        return l1_delta.dot(syn0.T), X.T.dot(l1_delta), l1.T.dot(l2_delta), None

    return loss, backward


def linear_classifier_inputs(rng):
    """Rows (N, D), a matrix (D, C) and a bias (C,), the right class (N,)."""
    return *(rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)]), rng.integers(0, 3, 6)


@mutant(
    "softmax_classifier_subtracts_in_its_probabilities",
    cause="second-call-differs",
    inputs=linear_classifier_inputs,
    note="dscores is another name for probs, and not a copy",
)
def softmax_classifier_subtracts_in_its_probabilities(X, W, b, y):
    num_examples = X.shape[0]
    scores = np.dot(X, W) + b
    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
    correct_logprobs = -np.log(probs[range(num_examples), y])
    loss = np.sum(correct_logprobs) / num_examples

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[range(num_examples), y] -= 1
        dscores /= num_examples
        dscores *= dloss
        return np.dot(dscores, W.T), np.dot(X.T, dscores), np.sum(dscores, axis=0), None

    return loss, backward


def skip_gram_inputs(rng):
    """The middle word's vector (D,), all words' vectors (V, D), the outside word, words drawn, some of them twice."""
    return rng.standard_normal(4), rng.standard_normal((7, 4)), np.array([3]), np.array([5, 1, 5, 0, 1, 5])


@mutant(
    "negative_samples_drawn_twice_count_once",
    cause="repeated-ids-assigned",
    inputs=skip_gram_inputs,
    wrong=("dU",),
)
def negative_samples_drawn_twice_count_once(v_c, U, outside, negatives):
    """Skip-gram with negative sampling, of one pair of words."""
    indices = np.concatenate([outside, negatives])
    sign = np.where(np.arange(len(indices)) < len(outside), 1.0, -1.0)
    prob = 1 / (1 + np.exp(-sign * (U[indices] @ v_c)))
    loss = -np.sum(np.log(prob))

    def backward(dloss):
        dscore = dloss * sign * (prob - 1)
        dv_c = dscore @ U[indices]
        dU = np.zeros_like(U)
        dU[indices] += np.outer(dscore, v_c)  # right: np.add.at(dU, indices, np.outer(dscore, v_c))
        return dv_c, dU, None, None

    return loss, backward


def columns_of_examples(rng):
    """Examples (n_x, m), a row of weights (1, n_x), a bias (1, 1), a yes or no for each example (1, m)."""
    Y = np.array([[1, 0, 0, 1, 0, 1]])
    return rng.standard_normal((4, 6)), 0.7 * rng.standard_normal((1, 4)), rng.standard_normal((1, 1)), Y


@mutant(
    "logistic_cost_minus_without_its_parentheses",
    cause="wrong-sign",
    inputs=columns_of_examples,
    wrong=("dX", "dW", "db"),
    note="-Y / AL - ... for -(Y / AL - ...): the examples of class 0 are pushed the wrong way",
)
def logistic_cost_minus_without_its_parentheses(X, W, b, Y):
    m = X.shape[1]
    Z = np.dot(W, X) + b
    AL = 1 / (1 + np.exp(-Z))
    cost = -1 / m * np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))

    def backward(dcost):
        # right: dAL = -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL))
        dAL = -np.divide(Y, AL) - np.divide(1 - Y, 1 - AL)
        dZ = dcost * dAL * AL * (1 - AL)
        dW = 1 / m * np.dot(dZ, X.T)
        db = 1 / m * np.sum(dZ, axis=1, keepdims=True)
        return 1 / m * np.dot(W.T, dZ), dW, db, None

    return cost, backward


def two_layer_inputs(rng):
    """Rows (N, D), matrix and bias of a hidden layer and of the scores, the right class (N,)."""
    shapes = [(6, 4), (4, 5), (5,), (5, 3), (3,)]
    return *(rng.standard_normal(s) for s in shapes), rng.integers(0, 3, 6)


@mutant(
    "two_layer_net_forgets_the_weight_decay",
    cause="branch-missing",
    inputs=two_layer_inputs,
    wrong=("dW1", "dW2"),
    note="the penalty is in the loss, and not in the gradient",
)
def two_layer_net_forgets_the_weight_decay(X, W1, b1, W2, b2, y):
    N, reg = X.shape[0], 0.05
    hidden = np.maximum(0, X.dot(W1) + b1)
    scores = hidden.dot(W2) + b2
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    data_loss = -log_probs[np.arange(N), y].mean()
    reg_loss = reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

    def backward(dloss):
        dscores = np.exp(log_probs)
        dscores[np.arange(N), y] -= 1
        dscores *= dloss / N
        dW2 = hidden.T.dot(dscores)
        dhidden = dscores.dot(W2.T)
        dhidden[hidden <= 0] = 0
        dW1 = X.T.dot(dhidden)
        # missing: dW2 += dloss * 2 * reg * W2
        # missing: dW1 += dloss * 2 * reg * W1
        return dhidden.dot(W1.T), dW1, dhidden.sum(axis=0), dW2, dscores.sum(axis=0), None

    return data_loss + reg_loss, backward


def triplets(rng):
    """Anchors, rows of the same kind and rows of another kind, all (N, D); about half of them are far enough apart."""
    anchor = rng.standard_normal((7, 4))
    return anchor, anchor + 0.8 * rng.standard_normal((7, 4)), anchor + 1.2 * rng.standard_normal((7, 4))


@mutant(
    "triplet_loss_easy_triplets_pull_too",
    cause="activation-derivative-missing",
    inputs=triplets,
    wrong=("da", "dp", "dn"),
    note="max(0, .) of the loss is passed as if it were the identity",
)
def triplet_loss_easy_triplets_pull_too(a, p, n):
    """Squared distances, mean over the batch."""
    batch, alpha = len(a), 0.5
    pos_dist = np.sum(np.square(a - p), axis=1)
    neg_dist = np.sum(np.square(a - n), axis=1)
    basic_loss = pos_dist - neg_dist + alpha
    loss = np.sum(np.maximum(basic_loss, 0.0)) / batch

    def backward(dloss):
        # right: dbasic = dloss * (basic_loss > 0)[:, None] / batch
        dbasic = dloss * np.ones((batch, 1)) / batch
        da = dbasic * 2 * (n - p)
        dp = dbasic * -2 * (a - p)
        dn = dbasic * 2 * (a - n)
        return da, dp, dn

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


def time_major_scores(rng):
    """The decoder's scores (T, N, V), and the words (N, T) as they come from the data, 0 for padding."""
    words = np.array([[3, 1, 5, 2], [4, 4, 0, 0], [2, 6, 1, 0]])
    return 2 * rng.standard_normal((4, 3, 7)), words


@mutant(
    "sequence_loss_of_turned_scores_not_turned_back",
    cause="permuted-axes",
    inputs=time_major_scores,
    wrong=("dscores",),
    note="the rows lie in the order of the batch, and are reshaped as if they lay in the order of time",
)
def sequence_loss_of_turned_scores_not_turned_back(scores, words):
    """Cross-entropy, mean over the words that are no padding."""
    T, N, V = scores.shape
    flat = scores.transpose(1, 0, 2).reshape(N * T, V)
    labels = words.reshape(-1)
    keep = labels != 0
    flat = flat - flat.max(axis=1, keepdims=True)
    probs = np.exp(flat) / np.exp(flat).sum(axis=1, keepdims=True)
    picked = -np.log(probs[np.arange(N * T), labels])
    loss = np.sum(picked * keep) / keep.sum()

    def backward(dloss):
        dflat = probs.copy()
        dflat[np.arange(N * T), labels] -= 1
        dflat *= dloss * keep[:, None] / keep.sum()
        return dflat.reshape(T, N, V), None  # right: return dflat.reshape(N, T, V).transpose(1, 0, 2), None

    return loss, backward


@mutant(
    "softmax_loss_naive_divides_its_penalty_too",
    cause="wrong-count",
    inputs=lambda rng: (rng.standard_normal((4, 3)), rng.standard_normal((6, 4)), rng.integers(0, 3, 6)),
    wrong=("dW",),
    note="the penalty joins the gradient one line too early",
)
def softmax_loss_naive_divides_its_penalty_too(W, X, y):
    """With loops; the penalty is no mean."""
    reg = 0.3
    num_train, num_classes = X.shape[0], W.shape[1]
    loss, probs = 0.0, np.zeros((num_train, num_classes))
    for i in range(num_train):
        f = X[i].dot(W)
        f -= np.max(f)
        probs[i] = np.exp(f) / np.sum(np.exp(f))
        loss -= np.log(probs[i, y[i]])
    loss = loss / num_train + reg * np.sum(W * W)

    def backward(dloss):
        dW, dX = np.zeros_like(W), np.zeros_like(X)
        for i in range(num_train):
            for j in range(num_classes):
                dscore = probs[i, j] - (j == y[i])
                dW[:, j] += dscore * X[i]
                dX[i] += dscore * W[:, j] / num_train
        dW += 2 * reg * W  # right: dW /= num_train
        dW /= num_train  # right: dW += 2 * reg * W
        return dloss * dW, dloss * dX, None

    return loss, backward


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
