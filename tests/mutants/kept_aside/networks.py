"""Small models with several parameters: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid, stable_softmax


def rows_and_classes(rng):
    """Rows (N, D), matrix (D, C), bias (C,), and the right class (N,)."""
    X, W, b = (rng.standard_normal(s) for s in [(7, 4), (4, 3), (3,)])
    return X, W, b, rng.integers(0, 3, 7)


@mutant(
    "softmax_regression_mean_forgotten_at_the_bias",
    cause="wrong-count",
    inputs=rows_and_classes,
    wrong=("db",),
    note="the division stands in the line of the matrix, and the line of the bias was written afterwards",
)
def softmax_regression_mean_forgotten_at_the_bias(X, W, b, y):
    num_samples = X.shape[0]
    probs = stable_softmax(X.dot(W) + b)
    loss = -np.sum(np.log(probs[np.arange(num_samples), y])) / num_samples

    def backward(dloss):
        one_hot = np.zeros_like(probs)
        one_hot[np.arange(num_samples), y] = 1
        error = dloss * (probs - one_hot)
        dW = X.T.dot(error) / num_samples
        db = np.sum(error, axis=0)  # right: db = np.sum(error, axis=0) / num_samples
        return error.dot(W.T) / num_samples, dW, db, None

    return loss, backward


@mutant(
    "regularised_logistic_regression_pays_for_its_intercept",
    cause="one-entry",
    inputs=lambda rng: (
        np.hstack([np.ones((8, 1)), rng.standard_normal((8, 4))]),
        rng.standard_normal(5) + 1,
        rng.integers(0, 2, 8),
    ),
    wrong=("dtheta",),
    note="theta[0] is not in the penalty",
)
def regularised_logistic_regression_pays_for_its_intercept(X, theta, y):
    m, lambda_ = len(y), 2.0
    h = sigmoid(X @ theta)
    J = -np.mean(y * np.log(h) + (1 - y) * np.log(1 - h)) + lambda_ / (2 * m) * np.sum(theta[1:] ** 2)

    def backward(dJ):
        # right: grad = X.T @ (h - y) / m + lambda_ / m * np.r_[0, theta[1:]]
        grad = X.T @ (h - y) / m + lambda_ / m * theta
        return dJ * np.outer(h - y, theta) / m, dJ * grad, None

    return J, backward


def two_layers_and_classes(rng):
    """Rows (N, D), matrices and biases of two layers, and the right class (N,)."""
    weights = (rng.standard_normal(s) for s in [(6, 4), (4, 5), (5,), (5, 3), (3,)])
    return *weights, rng.integers(0, 3, 6)


@mutant(
    "two_layer_net_only_the_last_matrix_decays",
    cause="branch-missing",
    inputs=two_layers_and_classes,
    wrong=("dW1",),
    note="both matrices are in the penalty",
)
def two_layer_net_only_the_last_matrix_decays(X, W1, b1, W2, b2, y):
    N, reg = X.shape[0], 0.4
    z1 = X @ W1 + b1
    a1 = np.maximum(z1, 0)
    probs = stable_softmax(a1 @ W2 + b2)
    loss = -np.log(probs[range(N), y]).mean() + 0.5 * reg * (np.sum(W1**2) + np.sum(W2**2))

    def backward(dloss):
        delta = probs.copy()
        delta[range(N), y] -= 1
        delta /= N
        dW2 = a1.T @ delta + reg * W2
        db2 = delta.sum(axis=0)
        delta1 = (delta @ W2.T) * (z1 > 0)
        dW1 = X.T @ delta1  # right: dW1 = X.T @ delta1 + reg * W1
        db1 = delta1.sum(axis=0)
        return *(dloss * g for g in (delta1 @ W1.T, dW1, db1, dW2, db2)), None

    return loss, backward


def three_column_layers(rng):
    """Examples in columns (D, m), matrices and columns of biases of three layers."""
    return tuple(rng.standard_normal(s) for s in [(3, 7), (6, 3), (6, 1), (5, 6), (5, 1), (2, 5), (2, 1)])


@mutant(
    "columns_dropout_second_switch_left_on",
    cause="mask-not-applied",
    inputs=three_column_layers,
    wrong=("dX", "dW1", "db1", "dW2", "db2"),
    note="of the two steps, switching off and scaling up, only the second is done for layer 2",
)
def columns_dropout_second_switch_left_on(X, W1, b1, W2, b2, W3, b3):
    keep_prob = 0.6
    rng = np.random.default_rng(1)
    T1 = np.tanh(np.dot(W1, X) + b1)
    D1 = rng.random(T1.shape) < keep_prob
    A1 = T1 * D1 / keep_prob
    T2 = np.tanh(np.dot(W2, A1) + b2)
    D2 = rng.random(T2.shape) < keep_prob
    A2 = T2 * D2 / keep_prob
    Z3 = np.dot(W3, A2) + b3

    def backward(dZ3):
        dW3, db3 = np.dot(dZ3, A2.T), np.sum(dZ3, axis=1, keepdims=True)
        dA2 = np.dot(W3.T, dZ3)
        # missing: dA2 = dA2 * D2
        dA2 = dA2 / keep_prob
        dZ2 = dA2 * (1 - T2**2)
        dW2, db2 = np.dot(dZ2, A1.T), np.sum(dZ2, axis=1, keepdims=True)
        dA1 = np.dot(W2.T, dZ2)
        dA1 = dA1 * D1
        dA1 = dA1 / keep_prob
        dZ1 = dA1 * (1 - T1**2)
        dW1, db1 = np.dot(dZ1, X.T), np.sum(dZ1, axis=1, keepdims=True)
        return np.dot(W1.T, dZ1), dW1, db1, dW2, db2, dW3, db3

    return Z3, backward


L8_MEAN_OF_TRAINING = np.array([0.5, -1.0, 0.3, 2.0])


@mutant(
    "two_layer_net_centres_the_rows_it_was_lent",
    cause="input-changed",
    inputs=two_layers_and_classes,
    note="from the notes on data: X -= np.mean(X, axis = 0)",
)
def two_layer_net_centres_the_rows_it_was_lent(X, W1, b1, W2, b2, y):
    X -= L8_MEAN_OF_TRAINING  # right: X = X - L8_MEAN_OF_TRAINING
    N = len(y)
    hidden = np.tanh(X.dot(W1) + b1)
    probs = stable_softmax(hidden.dot(W2) + b2)
    loss = -np.log(probs[np.arange(N), y]).sum() / N

    def backward(dloss):
        dscores = (probs - np.eye(3)[y]) * dloss / N
        dhidden = dscores.dot(W2.T) * (1 - hidden**2)
        dW2, db2 = hidden.T.dot(dscores), dscores.sum(axis=0)
        dW1, db1 = X.T.dot(dhidden), dhidden.sum(axis=0)
        return dhidden.dot(W1.T), dW1, db1, dW2, db2, None

    return loss, backward


@mutant(
    "digits_net_softmax_and_squared_error",
    cause="softmax-second-term-missing",
    inputs=two_layers_and_classes,
    wrong=("dX", "dW1", "db1", "dW2", "db2"),
    note="the sigmoid of the last layer was replaced by a softmax, the delta was not",
)
def digits_net_softmax_and_squared_error(X, W1, b1, W2, b2, y):
    target = np.eye(len(b2))[y]
    a1 = sigmoid(X @ W1 + b1)
    a2 = stable_softmax(a1 @ W2 + b2)
    cost = 0.5 * np.sum((a2 - target) ** 2) / len(X)

    def backward(dcost):
        error = dcost * (a2 - target) / len(X)
        delta2 = error * a2 * (1 - a2)  # right: delta2 = a2 * (error - np.sum(error * a2, axis=1, keepdims=True))
        delta1 = delta2 @ W2.T * a1 * (1 - a1)
        return delta1 @ W1.T, X.T @ delta1, delta1.sum(axis=0), a1.T @ delta2, delta2.sum(axis=0), None

    return cost, backward


@mutant(
    "moons_net_slope_in_the_delta_and_at_the_matrix",
    cause="activation-derivative-doubled",
    inputs=two_layers_and_classes,
    wrong=("dW1",),
    note="delta2 holds the slope of the tanh; the bias gets it as it is",
)
def moons_net_slope_in_the_delta_and_at_the_matrix(X, W1, b1, W2, b2, y):
    num_examples = len(X)
    a1 = np.tanh(X.dot(W1) + b1)
    probs = stable_softmax(a1.dot(W2) + b2)
    loss = np.sum(-np.log(probs[range(num_examples), y])) / num_examples

    def backward(dloss):
        delta3 = probs.copy()
        delta3[range(num_examples), y] -= 1
        delta3 *= dloss / num_examples
        dW2, db2 = a1.T.dot(delta3), np.sum(delta3, axis=0)
        delta2 = delta3.dot(W2.T) * (1 - np.power(a1, 2))
        dW1 = np.dot(X.T, delta2 * (1 - np.power(a1, 2)))  # right: dW1 = np.dot(X.T, delta2)
        db1 = np.sum(delta2, axis=0)
        return delta2.dot(W1.T), dW1, db1, dW2, db2, None

    return loss, backward


@mutant(
    "pong_policy_gradient_climbs",
    cause="wrong-sign",
    inputs=lambda rng: (
        *(rng.standard_normal(s) for s in [(6, 4), (5, 4), (5,)]),
        rng.integers(0, 2, 6),
    ),
    wrong=("depx", "dW1", "dW2"),
    note="y - p makes what was done more likely, and is right for an update that adds; the loss is to fall",
)
def pong_policy_gradient_climbs(epx, W1, W2, actions):
    """Minus the log-probability of what was done, weighed by what came of it."""
    advantage = np.linspace(-1.5, 1, len(epx))
    eph = epx @ W1.T
    eph[eph < 0] = 0
    p = sigmoid(eph @ W2)
    loss = -np.sum(advantage * np.where(actions == 1, np.log(p), np.log(1 - p)))

    def backward(dloss):
        dlogp = actions - p  # right: dlogp = p - actions
        dlogp = dloss * dlogp * advantage
        dW2 = np.dot(eph.T, dlogp)
        dh = np.outer(dlogp, W2)
        dh[eph <= 0] = 0
        dW1 = np.dot(dh.T, epx)
        return np.dot(dh, W1), dW1, dW2, None

    return loss, backward


@mutant(
    "rbf_network_centres_run_away",
    cause="wrong-sign",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 3), (4, 3), (4, 2), (2,)]),
    wrong=("dcentres",),
    note="the row for one and the centre for the other side of a difference",
)
def rbf_network_centres_run_away(x, centres, W, b):
    """Every unit answers to what is near its centre."""
    beta = 0.4
    diff = x[:, None, :] - centres[None, :, :]
    phi = np.exp(-beta * np.sum(diff**2, axis=2))

    def backward(dout):
        dphi = dout @ W.T
        ddiff = (dphi * phi)[:, :, None] * -2 * beta * diff
        dx = ddiff.sum(axis=1)
        dcentres = ddiff.sum(axis=0)  # right: dcentres = -ddiff.sum(axis=0)
        return dx, dcentres, phi.T @ dout, dout.sum(axis=0)

    return phi @ W + b, backward


@mutant(
    "siamese_net_learns_from_the_right_twin",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 4), (6, 4), (4, 3), (3,)]),
    wrong=("dW", "db"),
    note="`=` in the lines that were pasted for the second twin",
)
def siamese_net_learns_from_the_right_twin(left, right, W, b):
    """How far apart two pictures are, each seen by the same layer."""
    h_left = np.tanh(left @ W + b)
    h_right = np.tanh(right @ W + b)
    gap = h_left - h_right
    distance = np.sum(gap**2, axis=1)

    def backward(ddistance):
        dgap = 2 * gap * ddistance[:, None]
        dz_left = dgap * (1 - h_left**2)
        dW = left.T @ dz_left
        db = dz_left.sum(axis=0)
        dz_right = -dgap * (1 - h_right**2)
        dW = right.T @ dz_right  # right: dW = dW + right.T @ dz_right
        db = dz_right.sum(axis=0)  # right: db = db + dz_right.sum(axis=0)
        return dz_left @ W.T, dz_right @ W.T, dW, db

    return distance, backward


def rated_films(rng):
    """Who (N,), which film (N,), how many stars (N,); vectors and a bias of each user and of each film."""
    users, films = np.array([0, 0, 1, 3, 3, 3, 2]), np.array([1, 4, 4, 0, 1, 5, 5])
    stars = rng.integers(1, 6, 7)
    return users, films, stars, *(rng.standard_normal(s) for s in [(4, 3), (6, 3), (4,), (6,)])


@mutant(
    "matrix_factorisation_biases_of_those_who_rate_often",
    cause="repeated-ids-assigned",
    inputs=rated_films,
    wrong=("dbu", "dbi"),
    note="the vectors are added up one by one, the biases at a stroke",
)
def matrix_factorisation_biases_of_those_who_rate_often(users, films, stars, P, Q, bu, bi):
    mu = 3.2
    pred = mu + bu[users] + bi[films] + np.sum(P[users] * Q[films], axis=1)
    e = stars - pred
    loss = np.sum(e**2)

    def backward(dloss):
        dP, dQ, dbu, dbi = (np.zeros_like(a) for a in (P, Q, bu, bi))
        for n, (u, i) in enumerate(zip(users, films, strict=True)):
            dP[u] -= 2 * dloss * e[n] * Q[i]
            dQ[i] -= 2 * dloss * e[n] * P[u]
        dbu[users] -= 2 * dloss * e  # right: np.subtract.at(dbu, users, 2 * dloss * e)
        dbi[films] -= 2 * dloss * e  # right: np.subtract.at(dbi, films, 2 * dloss * e)
        return None, None, None, dP, dQ, dbu, dbi

    return loss, backward


@mutant(
    "matrix_factorisation_stars_squashed_there_only",
    cause="activation-derivative-missing",
    inputs=lambda rng: rated_films(rng)[:5],
    wrong=("dP", "dQ"),
    note="the sigmoid was put in later, so that nothing gets six stars; its range of four is in the gradient",
)
def matrix_factorisation_stars_squashed_there_only(users, films, stars, P, Q):
    """Between one star and five."""
    score = np.einsum("nk,nk->n", P[users], Q[films])
    squashed = sigmoid(score)
    pred = 1 + 4 * squashed
    loss = 0.5 * np.mean((pred - stars) ** 2)

    def backward(dloss):
        dpred = dloss * (pred - stars) / len(stars)
        dsquashed = 4 * dpred
        dscore = dsquashed  # right: dscore = dsquashed * squashed * (1 - squashed)
        dP, dQ = np.zeros_like(P), np.zeros_like(Q)
        np.add.at(dP, users, dscore[:, None] * Q[films])
        np.add.at(dQ, films, dscore[:, None] * P[users])
        return None, None, None, dP, dQ

    return loss, backward


@mutant(
    "small_gpt_places_learn_from_the_last_sentence",
    cause="sum-missing",
    inputs=lambda rng: (
        np.array([[2, 5, 2, 1], [0, 3, 5, 5], [4, 1, 0, 2]]),
        *(rng.standard_normal(s) for s in [(6, 3), (5, 3), (3, 4), (4,)]),
    ),
    wrong=("dwpe",),
)
def small_gpt_places_learn_from_the_last_sentence(idx, wte, wpe, W, b):
    """Words and places, then a layer; one sentence after the other."""
    B, T = idx.shape
    emb, out = np.zeros((B, T, wte.shape[1])), np.zeros((B, T, len(b)))
    for n in range(B):
        emb[n] = wte[idx[n]] + wpe[:T]
        out[n] = np.tanh(emb[n] @ W + b)

    def backward(dout):
        dwte, dwpe, dW, db = (np.zeros_like(p) for p in (wte, wpe, W, b))
        for n in range(B):
            dz = dout[n] * (1 - out[n] ** 2)
            dW += emb[n].T @ dz
            db += dz.sum(axis=0)
            demb = dz @ W.T
            np.add.at(dwte, idx[n], demb)
            dwpe[:T] = demb  # right: dwpe[:T] += demb
        return None, dwte, dwpe, dW, db

    return out, backward
