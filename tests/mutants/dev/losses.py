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
