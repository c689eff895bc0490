"""Losses: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import minus_one_hot, pick, regression, sigmoid, softmax_4


def anchors(rng):
    """A logit for each anchor box (N, A), and whether there is an object in it."""
    return 1.5 * rng.standard_normal((3, 6)), (rng.random((3, 6)) < 0.4).astype(int)


@mutant(
    "focal_loss_modulating_factor_held_fixed",
    cause="branch-missing",
    inputs=anchors,
    wrong=("dlogits",),
    note="as if it were a cross-entropy with weights",
)
def focal_loss_modulating_factor_held_fixed(logits, objects):
    gamma, alpha = 2.0, 0.25
    p = sigmoid(logits)
    pt = np.where(objects == 1, p, 1 - p)
    at = np.where(objects == 1, alpha, 1 - alpha)
    loss = np.mean(-at * (1 - pt) ** gamma * np.log(pt))

    def backward(dloss):
        dpt = -at * (1 - pt) ** gamma / pt
        # missing: dpt = dpt + at * gamma * (1 - pt) ** (gamma - 1) * np.log(pt)
        dp = np.where(objects == 1, dpt, -dpt)
        return dloss * dp * p * (1 - p) / logits.size, None

    return loss, backward


def captions_2(rng):
    """Scores (N, T, V), the right words (N, T), and which of them are words."""
    lengths = np.array([[4], [2], [3]])
    return 1.5 * rng.standard_normal((3, 4, 5)), rng.integers(0, 5, (3, 4)), np.arange(4) < lengths


@mutant(
    "captioning_loss_learns_the_null_token",
    cause="mask-not-applied",
    inputs=captions_2,
    wrong=("dx",),
    note="the mask is in the loss, and not in dx",
)
def captioning_loss_learns_the_null_token(x, y, mask):
    """Sum over time, mean over the captions."""
    N, T, V = x.shape
    x_flat, y_flat, mask_flat = x.reshape(N * T, V), y.reshape(N * T), mask.reshape(N * T)
    probs = np.exp(x_flat - np.max(x_flat, axis=1, keepdims=True))
    probs /= np.sum(probs, axis=1, keepdims=True)
    loss = -np.sum(mask_flat * np.log(probs[np.arange(N * T), y_flat])) / N

    def backward(dloss):
        dx_flat = probs.copy()
        dx_flat[np.arange(N * T), y_flat] -= 1
        dx_flat /= N
        # missing: dx_flat *= mask_flat[:, None]
        return dloss * dx_flat.reshape(N, T, V), None, None

    return loss, backward


def three_words_and_the_next(rng):
    """Ids (N, 3), the next word (N,), a table (V, D), a weight for each of the places (3, D), a bias (V,)."""
    history = np.array([[0, 2, 5], [1, 1, 3], [4, 0, 2], [2, 5, 5], [3, 4, 1]])
    tables = (rng.standard_normal(s) for s in [(6, 4), (3, 4), (6,)])
    return history, np.array([1, 0, 5, 2, 2]), *tables


@mutant(
    "log_bilinear_model_second_use_of_the_table_in_the_same_name",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=three_words_and_the_next,
    wrong=("dE",),
    note="the table is read for the words before and for the word to come",
)
def log_bilinear_model_second_use_of_the_table_in_the_same_name(history, target, E, C, b):
    N = len(history)
    words = E[history]
    h = (words * C).sum(axis=1)
    probs = softmax_4(h @ E.T + b)
    loss = -np.log(pick(probs, target)).mean()

    def backward(dloss):
        dscores = dloss * minus_one_hot(probs, target) / N
        dh = dscores @ E
        dC = (dh[:, None] * words).sum(axis=0)
        dE = np.zeros_like(E)
        np.add.at(dE, history, dh[:, None] * C)
        dE = dscores.T @ h  # right: dE += dscores.T @ h
        return None, None, dE, dC, dscores.sum(axis=0)

    return loss, backward


def sentences_2(rng):
    """Scores (N, T, V) and words (N, T)."""
    return 1.5 * rng.standard_normal((3, 4, 5)), rng.integers(0, 5, (3, 4))


@mutant(
    "perplexity_goes_back_like_the_cross_entropy",
    cause="missing-factor",
    also=("activation-derivative-missing",),
    inputs=sentences_2,
    wrong=("dlogits",),
    note="the perplexity is the exp of the mean, its slope the perplexity itself",
)
def perplexity_goes_back_like_the_cross_entropy(logits, words):
    probs = softmax_4(logits)
    nll = -np.log(pick(probs, words)).mean()
    perplexity = np.exp(nll)

    def backward(dperplexity):
        dnll = dperplexity  # right: dnll = dperplexity * perplexity
        return dnll * minus_one_hot(probs, words) / words.size, None

    return perplexity, backward


def counts_2(rng):
    """Rows (N, D), weights (D,), a bias (1,), and how often something was counted (N,)."""
    return rng.standard_normal((6, 3)), 0.5 * rng.standard_normal(3), np.array([0.4]), rng.integers(0, 6, 6)


@mutant(
    "poisson_regression_rate_on_top_of_rate_minus_count",
    cause="activation-derivative-doubled",
    inputs=counts_2,
    wrong=("dX", "dw", "db"),
    note="rate - count is the gradient below the exp already",
)
def poisson_regression_rate_on_top_of_rate_minus_count(X, w, b, counts):
    """Minus the log-likelihood without the factorials."""
    n = len(X)
    rate = np.exp(X @ w + b)
    loss = np.mean(rate - counts * np.log(rate))

    def backward(dloss):
        error = dloss * (rate - counts) / n
        dz = error * rate  # right: dz = error
        return np.outer(dz, w), X.T @ dz, np.sum(dz, keepdims=True), None

    return loss, backward


@mutant(
    "gpt_loss_gradient_lies_on_the_word_that_was_guessed",
    cause="off-by-one",
    inputs=sentences_2,
    wrong=("dlogits",),
    note="the guess at place t is for the word at t + 1, the gradient belongs to the guess",
)
def gpt_loss_gradient_lies_on_the_word_that_was_guessed(logits, ids):
    B, T, V = logits.shape
    probs = softmax_4(logits[:, :-1].reshape(-1, V))
    targets = ids[:, 1:].reshape(-1)
    loss = -np.log(probs[np.arange(len(targets)), targets]).mean()

    def backward(dloss):
        dprobs = probs.copy()
        dprobs[np.arange(len(targets)), targets] -= 1
        dprobs *= dloss / len(targets)
        dlogits = np.zeros_like(logits)
        dlogits[:, 1:] = dprobs.reshape(B, T - 1, V)  # right: dlogits[:, :-1] = dprobs.reshape(B, T - 1, V)
        return dlogits, None

    return loss, backward


def hidden_words(rng):
    """Scores (N, T, V), the words as they were (N, T), and which of them were hidden."""
    hidden = np.array([[0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [1, 0, 0, 0, 1]], dtype=bool)
    return 1.5 * rng.standard_normal((3, 5, 4)), rng.integers(0, 4, (3, 5)), hidden


@mutant(
    "masked_word_loss_learns_what_it_could_read",
    cause="mask-inverted",
    inputs=hidden_words,
    wrong=("dlogits",),
    note="only hidden words are guessed",
)
def masked_word_loss_learns_what_it_could_read(logits, words, is_masked):
    probs = softmax_4(logits)
    count = is_masked.sum()
    loss = -np.log(pick(probs, words))[is_masked].sum() / count

    def backward(dloss):
        grad = minus_one_hot(probs, words) / count
        grad[is_masked] = 0  # right: grad[~is_masked] = 0
        return dloss * grad, None, None

    return loss, backward


def rows_and_classes(rng):
    """Rows (N, D), a matrix (D, C), a bias (C,), and the right class (N,)."""
    return rng.standard_normal((6, 3)), rng.standard_normal((3, 4)), rng.standard_normal(4), rng.integers(0, 4, 6)


@mutant(
    "softmax_with_squared_error_by_p_times_one_minus_p",
    cause="softmax-second-term-missing",
    inputs=rows_and_classes,
    wrong=("dX", "dW", "db"),
    note="the slope that is right for a sigmoid",
)
def softmax_with_squared_error_by_p_times_one_minus_p(X, W, b, y):
    N = X.shape[0]
    t = np.eye(W.shape[1])[y]
    p = softmax_4(X @ W + b)
    loss = np.sum((p - t) ** 2) / N

    def backward(dloss):
        dp = 2 * dloss * (p - t) / N
        # right: dz = p * (dp - np.sum(dp * p, axis=1, keepdims=True))
        dz = dp * p * (1 - p)
        return dz @ W.T, X.T @ dz, dz.sum(axis=0), None

    return loss, backward


def facts(rng):
    """Vectors of who and of whom (N, D), one matrix (D, D) for the relation, and whether it is true."""
    heads, tails, R = (rng.standard_normal(s) for s in [(5, 3), (5, 3), (3, 3)])
    return heads, R, tails, np.array([1, 0, 0, 1, 1])


@mutant(
    "bilinear_facts_who_and_whom_in_the_outer_product",
    cause="transposed",
    inputs=facts,
    wrong=("dR",),
    note="h R t gives dR = h t^T, not t h^T",
)
def bilinear_facts_who_and_whom_in_the_outer_product(heads, R, tails, truth):
    N = len(heads)
    scores = np.array([heads[n] @ R @ tails[n] for n in range(N)])
    loss = np.mean(np.log1p(np.exp(scores)) - truth * scores)

    def backward(dloss):
        ds = dloss * (sigmoid(scores) - truth) / N
        dheads, dtails, dR = np.zeros_like(heads), np.zeros_like(tails), np.zeros_like(R)
        for n in range(N):
            dheads[n] = ds[n] * (R @ tails[n])
            dtails[n] = ds[n] * (heads[n] @ R)
            dR += ds[n] * np.outer(tails[n], heads[n])  # right: dR += ds[n] * np.outer(heads[n], tails[n])
        return dheads, dR, dtails, None

    return loss, backward


def users_and_films(rng):
    """Vectors of users and of the films they saw, both (N, D), and how often each film is seen."""
    return rng.standard_normal((5, 3)), rng.standard_normal((5, 3)), np.array([40, 3, 12, 7, 25])


@mutant(
    "two_towers_films_before_users",
    cause="swapped-gradients",
    inputs=users_and_films,
    wrong=("dusers", "dfilms"),
    note="the forward has the users first",
)
def two_towers_films_before_users(users, films, seen):
    """The others' films are the wrong answers; those that all have seen are taken down a little."""
    N = len(users)
    labels = np.arange(N)
    probs = softmax_4(users @ films.T - np.log(seen / seen.sum()))
    loss = -np.log(probs[labels, labels]).mean()

    def backward(dloss):
        dlogits = dloss * minus_one_hot(probs, labels) / N
        dfilms = dlogits.T @ users
        dusers = dlogits @ films
        return dfilms, dusers, None  # right: return dusers, dfilms, None

    return loss, backward


def tree_of_eight_words(rng):
    """Hidden vectors (N, D), vectors of the seven inner nodes (7, D), and the right words (N,)."""
    return rng.standard_normal((4, 3)), rng.standard_normal((7, 3)), np.array([6, 1, 3, 6])


def path_2(word):
    """From a leaf up to the root: the nodes, and +1 or -1 for left or right."""
    place, path = word + 7, []
    while place > 0:
        parent = (place - 1) // 2
        path.append((parent, 1 if place == 2 * parent + 1 else -1))
        place = parent
    return path


@mutant(
    "hierarchical_softmax_hidden_vector_hears_the_root_only",
    cause="sum-missing",
    inputs=tree_of_eight_words,
    wrong=("dh",),
    note="= in the loop over the path, where += is due",
)
def hierarchical_softmax_hidden_vector_hears_the_root_only(h, nodes, words):
    loss = 0.0
    for n, word in enumerate(words):
        for node, turn in path_2(word):
            loss -= np.log(sigmoid(turn * (nodes[node] @ h[n])))

    def backward(dloss):
        dh, dnodes = np.zeros_like(h), np.zeros_like(nodes)
        for n, word in enumerate(words):
            for node, turn in path_2(word):
                delta = dloss * turn * (sigmoid(turn * (nodes[node] @ h[n])) - 1)
                dnodes[node] += delta * h[n]
                dh[n] = delta * nodes[node]  # right: dh[n] += delta * nodes[node]
        return dh, dnodes, None

    return loss, backward


@mutant(
    "nt_xent_vectors_learn_as_the_ones_that_ask",
    cause="branch-missing",
    inputs=lambda rng: (rng.standard_normal((6, 4)),),
    wrong=("dz",),
    note="each vector asks once, and is among the answers of all the others",
)
def nt_xent_vectors_learn_as_the_ones_that_ask(z):
    """Rows 0 and 1 are two views of one picture, so are 2 and 3, 4 and 5."""
    n, temperature = len(z), 0.8
    partner = np.arange(n) ^ 1
    sim = z @ z.T / temperature
    np.fill_diagonal(sim, -np.inf)
    probs = softmax_4(sim)
    loss = -np.log(probs[np.arange(n), partner]).mean()

    def backward(dloss):
        dsim = dloss * minus_one_hot(probs, partner) / (n * temperature)
        dz = dsim @ z
        # missing: dz += dsim.T @ z
        return dz

    return loss, backward


def clicks_on_ads(rng):
    """Features (N, n), a bias (1,), weights (n,), factors (n, k), and whether it was clicked on."""
    X, w0, w, V = (rng.standard_normal(s) for s in [(6, 4), (1,), (4,), (4, 2)])
    return X, w0, w, 0.6 * V, np.array([1, 0, 0, 1, 0, 1])


@mutant(
    "factorisation_machine_keeps_the_half_of_its_squares",
    cause="constant-factor",
    inputs=clicks_on_ads,
    wrong=("dV",),
    note="half of a square has the slope x, not x / 2",
)
def factorisation_machine_keeps_the_half_of_its_squares(X, w0, w, V, clicked):
    N = len(X)
    XV = X @ V
    pairwise = 0.5 * np.sum(XV**2 - X**2 @ V**2, axis=1)
    logit = w0 + X @ w + pairwise
    loss = np.mean(np.log1p(np.exp(logit)) - clicked * logit)

    def backward(dloss):
        d = dloss * (sigmoid(logit) - clicked)[:, None] / N
        dX = d * (w + XV @ V.T - X * np.sum(V**2, axis=1))
        # right: dV = X.T @ (d * XV) - V * np.sum(d * X**2, axis=0)[:, None]
        dV = 0.5 * (X.T @ (d * XV) - V * np.sum(d * X**2, axis=0)[:, None])
        return dX, d.sum(axis=0), X.T @ d[:, 0], dV, None

    return loss, backward


def digits_in_columns(rng):
    """Columns (D, N), a matrix (C, D), a bias (C, 1), and the right class (N,)."""
    return *(rng.standard_normal(s) for s in [(4, 6), (3, 4), (3, 1)]), rng.integers(0, 3, 6)


def sigmoid_prime_2(z):
    return sigmoid(z) * (1 - sigmoid(z))


@mutant(
    "quadratic_cost_sigmoid_prime_of_the_activation",
    cause="derivative-at-preactivation",
    inputs=digits_in_columns,
    wrong=("dx", "dw", "db"),
    note="sigmoid_prime takes its sigmoid itself, and is given one",
)
def quadratic_cost_sigmoid_prime_of_the_activation(x, w, b, digit):
    n = x.shape[1]
    y = np.eye(len(w))[:, digit]
    z = w @ x + b
    a = sigmoid(z)
    cost = 0.5 * np.sum((a - y) ** 2) / n

    def backward(dcost):
        delta = (a - y) * sigmoid_prime_2(a)  # right: delta = (a - y) * sigmoid_prime_2(z)
        delta = dcost * delta / n
        return w.T @ delta, delta @ x.T, delta.sum(axis=1, keepdims=True), None

    return cost, backward


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
