"""Classifiers and regressions together with their loss: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import softmax_2, softmax_3


def labelled_rows(rng):
    """Rows (N, D), a matrix (D, C), a bias (C,), and the right class (N,)."""
    X, W, b = (rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)])
    return X, W, b, np.array([2, 0, 1, 2, 2, 0])


@mutant(
    "softmax_classifier_penalty_without_its_two",
    cause="constant-factor",
    inputs=labelled_rows,
    wrong=("dW",),
    note="the half that goes with it is not in this loss",
)
def softmax_classifier_penalty_without_its_two(X, W, b, y):
    N, reg = X.shape[0], 0.4
    probs = softmax_2(X.dot(W) + b)
    data_loss = np.sum(-np.log(probs[range(N), y])) / N
    loss = data_loss + reg * np.sum(W * W)

    def backward(dloss):
        dscores = probs.copy()
        dscores[range(N), y] -= 1
        dscores *= dloss / N
        dW = X.T.dot(dscores)
        dW += dloss * reg * W  # right: dW += dloss * 2 * reg * W
        return dscores.dot(W.T), dW, np.sum(dscores, axis=0), None

    return loss, backward


@mutant(
    "classifier_loss_and_softmax_layer_both_derive",
    cause="softmax-applied-twice",
    inputs=labelled_rows,
    wrong=("dinputs", "dweights", "dbiases"),
    note="the short formula of the two together, and then the softmax layer's own backward",
)
def classifier_loss_and_softmax_layer_both_derive(inputs, weights, biases, y_true):
    samples = len(inputs)
    output = softmax_2(np.dot(inputs, weights) + biases)
    loss = np.mean(-np.log(output[range(samples), y_true]))

    def softmax_backward(dvalues):
        result = np.empty_like(dvalues)
        for i, (single_output, single_dvalues) in enumerate(zip(output, dvalues, strict=True)):
            column = single_output.reshape(-1, 1)
            jacobian = np.diagflat(column) - np.dot(column, column.T)
            result[i] = np.dot(jacobian, single_dvalues)
        return result

    def backward(dloss):
        dvalues = output.copy()
        dvalues[range(samples), y_true] -= 1
        dvalues = dloss * dvalues / samples
        dvalues = softmax_backward(dvalues)  # right: dvalues = 1 * dvalues
        return np.dot(dvalues, weights.T), np.dot(inputs.T, dvalues), np.sum(dvalues, axis=0), None

    return loss, backward


def linear_classifier(rng):
    return rng.standard_normal((6, 4)), rng.standard_normal((5, 6)), rng.integers(0, 4, 5)


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


def pictures_and_classes(rng):
    """Rows (N, D), a matrix (D, C), and the right class (N,)."""
    return rng.standard_normal((6, 4)), rng.standard_normal((4, 3)), rng.integers(0, 3, 6)


@mutant(
    "softmax_classifier_takes_one_from_the_probabilities_it_keeps",
    cause="second-call-differs",
    inputs=pictures_and_classes,
    note="a second name is no copy",
)
def softmax_classifier_takes_one_from_the_probabilities_it_keeps(X, W, y):
    num_train = X.shape[0]
    probs = softmax_3(X.dot(W))
    loss = -np.log(probs[np.arange(num_train), y]).sum() / num_train

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[np.arange(num_train), y] -= 1
        dscores /= num_train
        return dloss * dscores.dot(W.T), dloss * X.T.dot(dscores), None

    return loss, backward


def two_layers_and_classes(rng):
    """Rows (N, D), matrices and biases of two layers, and the right class (N,)."""
    weights = (rng.standard_normal(s) for s in [(6, 3), (3, 5), (5,), (5, 4), (4,)])
    return *weights, rng.integers(0, 4, 6)


@mutant(
    "two_layer_net_decay_of_last_years_course",
    cause="constant-factor",
    inputs=two_layers_and_classes,
    wrong=("dW1", "dW2"),
    note="the loss has no half in front of its squares any more, the gradient is that with the half",
)
def two_layer_net_decay_of_last_years_course(X, W1, b1, W2, b2, y):
    N, reg = len(X), 0.35
    hidden = np.maximum(0, X.dot(W1) + b1)
    probs = softmax_3(hidden.dot(W2) + b2)
    data_loss = -np.mean(np.log(probs[range(N), y]))
    loss = data_loss + reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

    def backward(dloss):
        dscores = probs.copy()
        dscores[range(N), y] -= 1
        dscores /= N
        dhidden = dscores.dot(W2.T)
        dhidden[hidden <= 0] = 0
        dW1 = X.T.dot(dhidden) + reg * W1  # right: dW1 = X.T.dot(dhidden) + 2 * reg * W1
        dW2 = hidden.T.dot(dscores) + reg * W2  # right: dW2 = hidden.T.dot(dscores) + 2 * reg * W2
        grads = dhidden.dot(W1.T), dW1, dhidden.sum(axis=0), dW2, dscores.sum(axis=0)
        return *(dloss * g for g in grads), None

    return loss, backward


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
