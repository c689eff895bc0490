"""Autoencoders and codes: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import autoencoder_latent, sigmoid


def patches(rng):
    """Patches with numbers in (0, 1) (m, D), matrix and bias of the hidden layer (H) and of the output (D)."""
    weights = (0.7 * rng.standard_normal(s) for s in [(6, 4), (4,), (4, 6), (6,)])
    return 0.1 + 0.8 * rng.random((5, 6)), *weights


@mutant(
    "sparse_autoencoder_penalty_behind_the_bracket",
    cause="activation-derivative-missing",
    inputs=patches,
    wrong=("dX", "dW1", "db1"),
    note="the slope of the sigmoid belongs to the error and to the penalty of sparsity",
)
def sparse_autoencoder_penalty_behind_the_bracket(X, W1, b1, W2, b2):
    m, rho, beta = len(X), 0.1, 3.0
    a2 = sigmoid(X @ W1 + b1)
    a3 = sigmoid(a2 @ W2 + b2)
    rho_hat = a2.mean(axis=0)
    divergence = rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))
    cost = np.sum((a3 - X) ** 2) / (2 * m) + beta * divergence.sum()

    def backward(dcost):
        error = dcost * (a3 - X) / m
        delta3 = error * a3 * (1 - a3)
        sparsity = dcost * beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat)) / m
        # right: delta2 = (delta3 @ W2.T + sparsity) * a2 * (1 - a2)
        delta2 = delta3 @ W2.T * a2 * (1 - a2) + sparsity
        return delta2 @ W1.T - error, X.T @ delta2, delta2.sum(axis=0), a2.T @ delta3, delta3.sum(axis=0)

    return cost, backward


def encoder_2(rng):
    """Data (N, D), matrix and bias of the hidden layer (H), of the mean (Z) and of the log-variance."""
    shapes = [(5, 4), (4, 6), (6,), (6, 3), (3,), (6, 3), (3,)]
    return tuple(0.7 * rng.standard_normal(s) for s in shapes)


@mutant(
    "vae_encoder_tanh_undone_in_either_head_and_below_them",
    cause="activation-derivative-doubled",
    inputs=encoder_2,
    wrong=("dx", "dW1", "db1"),
    note="each head was derived down to the sum before the tanh, as was the layer that they stand on",
)
def vae_encoder_tanh_undone_in_either_head_and_below_them(x, W1, b1, W_mu, b_mu, W_lv, b_lv):
    h = np.tanh(x @ W1 + b1)
    mu, log_var = h @ W_mu + b_mu, h @ W_lv + b_lv

    def backward(dmu, dlog_var):
        from_mu = dmu @ W_mu.T * (1 - h**2)
        from_lv = dlog_var @ W_lv.T * (1 - h**2)
        dh = from_mu + from_lv
        dz1 = dh * (1 - h**2)  # right: dz1 = dh
        heads = h.T @ dmu, dmu.sum(axis=0), h.T @ dlog_var, dlog_var.sum(axis=0)
        return dz1 @ W1.T, x.T @ dz1, dz1.sum(axis=0), *heads

    return (mu, log_var), backward


@mutant(
    "denoising_autoencoder_encoder_learns_from_the_clean_data",
    cause="missing-factor",
    inputs=autoencoder_latent,
    wrong=("dW1",),
    note="the encoder saw x with noise on it",
)
def denoising_autoencoder_encoder_learns_from_the_clean_data(x, W1, b1, W2, b2):
    """Half the squared distance to the clean data, mean over the batch."""
    N = x.shape[0]
    noisy = x + 0.5 * np.random.default_rng(35).standard_normal(x.shape)
    h = sigmoid(np.dot(noisy, W1) + b1)
    y = np.dot(h, W2) + b2
    loss = 0.5 * np.sum((y - x) ** 2) / N

    def backward(dloss):
        dy = dloss * (y - x) / N
        dW2, db2 = np.dot(h.T, dy), np.sum(dy, axis=0)
        dz = np.dot(dy, W2.T) * h * (1 - h)
        dW1 = np.dot(x.T, dz)  # right: dW1 = np.dot(noisy.T, dz)
        db1 = np.sum(dz, axis=0)
        return np.dot(dz, W1.T) - dy, dW1, db1, dW2, db2

    return loss, backward


@mutant(
    "autoencoder_mean_over_pixels_shared_out_among_pictures",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=autoencoder_latent,
    wrong=("dX", "dW1", "db1", "dW2", "db2"),
    note="`np.mean` divides by all the numbers in the array",
)
def autoencoder_mean_over_pixels_shared_out_among_pictures(X, W1, b1, W2, b2):
    Z1 = X.dot(W1) + b1
    A1 = np.maximum(Z1, 0)
    X_hat = A1.dot(W2) + b2
    loss = np.mean((X_hat - X) ** 2)

    def backward(dloss):
        m = X.shape[0]  # right: m = X.size
        dX_hat = dloss * 2 * (X_hat - X) / m
        dW2, db2 = A1.T.dot(dX_hat), dX_hat.sum(axis=0)
        dZ1 = dX_hat.dot(W2.T)
        dZ1[Z1 <= 0] = 0
        return dZ1.dot(W1.T) - dX_hat, X.T.dot(dZ1), dZ1.sum(axis=0), dW2, db2

    return loss, backward


@mutant(
    "sparse_autoencoder_both_halves_of_the_divergence_fall",
    cause="wrong-sign",
    inputs=autoencoder_latent,
    wrong=("ddata", "dW1", "db1"),
    note="the minus before rho / rho_hat was taken for one before both",
)
def sparse_autoencoder_both_halves_of_the_divergence_fall(data, W1, b1, W2, b2):
    """Squared error and how far the mean activation of each unit is from rho."""
    m, rho, beta = data.shape[0], 0.2, 0.5
    a2 = sigmoid(data @ W1 + b1)
    a3 = sigmoid(a2 @ W2 + b2)
    rho_hat = np.sum(a2, axis=0) / m
    kl = np.sum(rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat)))
    cost = 0.5 * np.sum((a3 - data) ** 2) / m + beta * kl

    def backward(dcost):
        error = dcost * (a3 - data) / m
        delta3 = error * a3 * (1 - a3)
        # right: sparsity = -rho / rho_hat + (1 - rho) / (1 - rho_hat)
        sparsity = -rho / rho_hat - (1 - rho) / (1 - rho_hat)
        delta2 = (delta3 @ W2.T + dcost * beta * sparsity / m) * a2 * (1 - a2)
        return delta2 @ W1.T - error, data.T @ delta2, delta2.sum(axis=0), a2.T @ delta3, delta3.sum(axis=0)

    return cost, backward


@mutant(
    "sparse_code_pays_in_the_cost_but_not_in_the_gradient",
    cause="branch-missing",
    inputs=autoencoder_latent,
    wrong=("dx", "dW1", "db1"),
    note="the code is decoded, and it is counted",
)
def sparse_code_pays_in_the_cost_but_not_in_the_gradient(x, W1, b1, W2, b2):
    """Squared error plus the sum of the sizes of the code, one example after the other."""
    lam = 0.6
    code, guess, cost = [], [], 0.0
    for row in x:
        code.append(np.tanh(row @ W1 + b1))
        guess.append(code[-1] @ W2 + b2)
        cost += np.sum((guess[-1] - row) ** 2) + lam * np.sum(np.abs(code[-1]))

    def backward(dcost):
        dx, dW1, db1, dW2, db2 = (np.zeros_like(a) for a in (x, W1, b1, W2, b2))
        for n in range(len(x)):
            dguess = 2 * dcost * (guess[n] - x[n])
            dW2 += np.outer(code[n], dguess)
            db2 += dguess
            dcode = W2 @ dguess
            # missing: dcode = dcode + dcost * lam * np.sign(code[n])
            dz = dcode * (1 - code[n] ** 2)
            dW1 += np.outer(x[n], dz)
            db1 += dz
            dx[n] = W1 @ dz - dguess
        return dx, dW1, db1, dW2, db2

    return cost, backward


@mutant(
    "k_sparse_code_learns_with_the_units_that_lost",
    cause="mask-not-applied",
    also=("activation-derivative-missing",),
    inputs=autoencoder_latent,
    wrong=("dx", "dW1", "db1"),
    note="only the k largest of a code are decoded",
)
def k_sparse_code_learns_with_the_units_that_lost(x, W1, b1, W2, b2):
    k = 2
    z = x @ W1 + b1
    threshold = np.sort(z, axis=1)[:, -k][:, None]
    support = z >= threshold
    code = z * support
    x_hat = code @ W2 + b2

    def backward(dx_hat):
        dcode = dx_hat @ W2.T
        dz = dcode  # right: dz = dcode * support
        return dz @ W1.T, x.T @ dz, dz.sum(axis=0), code.T @ dx_hat, dx_hat.sum(axis=0)

    return x_hat, backward


def code_as_wide_as_the_data(rng):
    """Data (N, D), one matrix (D, D), biases of the code and of the data."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(6, 4), (4, 4), (4,), (4,)])


@mutant(
    "tied_decoder_gradient_added_without_turning_it_back",
    cause="transposed",
    inputs=code_as_wide_as_the_data,
    wrong=("dW",),
    note="that of W.T, and the code is as wide as the data",
)
def tied_decoder_gradient_added_without_turning_it_back(x, W, b_hid, b_vis):
    hidden = sigmoid(np.dot(x, W) + b_hid)
    visible = sigmoid(np.dot(hidden, W.T) + b_vis)

    def backward(dvisible):
        delta_vis = dvisible * visible * (1 - visible)
        delta_hid = np.dot(delta_vis, W) * hidden * (1 - hidden)
        dW = np.dot(x.T, delta_hid)
        dW += np.dot(hidden.T, delta_vis)  # right: dW += np.dot(hidden.T, delta_vis).T
        return np.dot(delta_hid, W.T), dW, delta_hid.sum(axis=0), delta_vis.sum(axis=0)

    return visible, backward


@mutant(
    "deep_net_delta_goes_down_through_the_matrix_below",
    cause="off-by-one",
    also=("missing-factor",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 4), (4, 4), (4,), (4, 4), (4,), (4, 4), (4,)]),
    wrong=("dX", "dW1", "db1", "dW2", "db2"),
    note="all layers are equally wide; at the lowest, the index -1 is the last matrix",
)
def deep_net_delta_goes_down_through_the_matrix_below(X, W1, b1, W2, b2, W3, b3):
    W, b = [W1, W2, W3], [b1, b2, b3]
    A = [X]
    for l in range(3):
        A.append(sigmoid(A[l] @ W[l] + b[l]))

    def backward(dA):
        grads = []
        for l in reversed(range(3)):
            dZ = dA * A[l + 1] * (1 - A[l + 1])
            grads = [A[l].T @ dZ, dZ.sum(axis=0), *grads]
            dA = dZ @ W[l - 1].T  # right: dA = dZ @ W[l].T
        return dA, *grads

    return A[-1], backward
