"""Autoencoders and latent variables from homework: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid, stable_softmax


@mutant(
    "kl_minus_in_front_of_the_bracket_lost_on_the_way_back",
    cause="wrong-sign",
    like="gaussian_kl",
    wrong=("dlog_var",),
    note="of -0.5 * sum(1 + log_var - ...) the bracket was derived",
)
def kl_minus_in_front_of_the_bracket_lost_on_the_way_back(mu, log_var):
    """Sum over the code, mean over the batch."""
    bracket = 1 + log_var - mu**2 - np.exp(log_var)
    loss = -0.5 * np.sum(bracket) / len(mu)

    def backward(dloss):
        scale = dloss / len(mu)
        dmu = scale * mu
        dlog_var = 0.5 * scale * (1 - np.exp(log_var))  # right: dlog_var = -0.5 * scale * (1 - np.exp(log_var))
        return dmu, dlog_var

    return loss, backward


def k2_grey_levels(rng):
    """Pictures with pixels in (0, 1) (m, D), matrix and bias of the code (H) and of the picture (D)."""
    weights = (rng.standard_normal(s) for s in [(6, 3), (3,), (3, 6), (6,)])
    return 0.1 + 0.8 * rng.random((5, 6)), *weights


@mutant(
    "autoencoder_squared_error_with_the_delta_of_cross_entropy",
    cause="activation-derivative-missing",
    inputs=k2_grey_levels,
    wrong=("dX", "dW1", "db1", "dW2", "db2"),
    note="only with cross-entropy does the slope of the sigmoid cancel",
)
def autoencoder_squared_error_with_the_delta_of_cross_entropy(X, W1, b1, W2, b2):
    """Half the squared error of a picture, mean over the batch."""
    m = X.shape[0]
    A1 = np.tanh(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    cost = np.sum((A2 - X) ** 2) / (2 * m)

    def backward(dcost):
        dA2 = dcost * (A2 - X) / m
        dZ2 = dA2  # right: dZ2 = dA2 * A2 * (1 - A2)
        dZ1 = (dZ2 @ W2.T) * (1 - A1**2)
        return dZ1 @ W1.T - dA2, X.T @ dZ1, dZ1.sum(axis=0), A1.T @ dZ2, dZ2.sum(axis=0)

    return cost, backward


def k2_pixels_and_one_matrix(rng):
    """Pixels in (0, 1) (N, V), matrix (V, H), biases of the hidden and of the visible units."""
    return 0.1 + 0.8 * rng.random((4, 6)), *(rng.standard_normal(s) for s in [(6, 3), (3,), (6,)])


@mutant(
    "tied_autoencoder_matrix_learns_as_encoder_only",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=k2_pixels_and_one_matrix,
    wrong=("dW",),
    note="the decoder's matrix is W.T, and was taken for something that has no gradient of its own",
)
def tied_autoencoder_matrix_learns_as_encoder_only(x, W, hbias, vbias):
    """There through W, back through its transpose, cross-entropy of the pixels."""
    N = len(x)
    y = sigmoid(x @ W + hbias)
    z = sigmoid(y @ W.T + vbias)
    cost = -np.sum(x * np.log(z) + (1 - x) * np.log(1 - z)) / N

    def backward(dcost):
        dvisible = dcost * (z - x) / N
        dhidden = (dvisible @ W) * y * (1 - y)
        dW = x.T @ dhidden
        # missing: dW = dW + dvisible.T @ y
        dx = dhidden @ W.T + dcost * (np.log(1 - z) - np.log(z)) / N
        return dx, dW, dhidden.sum(axis=0), dvisible.sum(axis=0)

    return cost, backward


def k2_code_and_decoder(rng):
    """Mean and log-variance (N, Z), matrix (Z, D) and bias (D,) of the decoder."""
    return tuple(rng.standard_normal(s) for s in [(4, 3), (4, 3), (3, 5), (5,)])


@mutant(
    "vae_decoder_weight_meets_the_mean_not_the_sample",
    cause="missing-factor",
    inputs=k2_code_and_decoder,
    wrong=("dW",),
    note="the decoder saw z, and mu has the same shape",
)
def vae_decoder_weight_meets_the_mean_not_the_sample(mu, logvar, W, b):
    """Draw the code, and decode it."""
    eps = np.random.default_rng(5).standard_normal(mu.shape)
    std = np.exp(logvar / 2)
    z = mu + eps * std
    probs = sigmoid(z @ W + b)

    def backward(dprobs):
        dlogits = dprobs * probs * (1 - probs)
        dW = mu.T @ dlogits  # right: dW = z.T @ dlogits
        dz = dlogits @ W.T
        return dz, dz * eps * std / 2, dW, dlogits.sum(axis=0)

    return probs, backward


@mutant(
    "gumbel_softmax_goes_back_at_temperature_one",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((4, 5)), rng.standard_normal((5, 3))),
    wrong=("dlogits",),
    note="the backward pass is that of softmax, and the division stands inside",
)
def gumbel_softmax_goes_back_at_temperature_one(logits, codebook):
    """Draw one of five codes, softly."""
    tau = 0.4
    u = np.random.default_rng(12).uniform(0.05, 0.95, logits.shape)
    y = stable_softmax((logits - np.log(-np.log(u))) / tau)

    def backward(dcode):
        dy = dcode @ codebook.T
        dlogits = y * (dy - np.sum(dy * y, axis=1, keepdims=True))
        # missing: dlogits = dlogits / tau
        return dlogits, y.T @ dcode

    return y @ codebook, backward


def k2_vae_inputs(rng):
    """Rows (N, D), matrices of the mean (D, Z), of the log-variance, and of the decoder (Z, D)."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(5, 4), (4, 2), (4, 2), (2, 4)])


@mutant(
    "vae_log_variance_hears_from_the_divergence_alone",
    cause="branch-missing",
    inputs=k2_vae_inputs,
    wrong=("dx", "dW_sigma"),
    note="the spread is in the code that is decoded, too",
)
def vae_log_variance_hears_from_the_divergence_alone(x, W_mu, W_sigma, W_out):
    """Reconstruction and divergence, sums, mean over the batch."""
    N = x.shape[0]
    mean, log_variance = x @ W_mu, x @ W_sigma
    noise = np.random.default_rng(17).standard_normal(mean.shape)
    spread = noise * np.exp(0.5 * log_variance)
    code = mean + spread
    guess = np.tanh(code @ W_out)
    divergence = 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance)
    loss = (np.sum((guess - x) ** 2) + divergence) / N

    def backward(dloss):
        dguess = 2 * dloss * (guess - x) / N
        dout = dguess * (1 - guess**2)
        dcode = dout @ W_out.T
        dmean = dcode + dloss * mean / N
        dlog_variance = dloss * 0.5 * (np.exp(log_variance) - 1) / N
        # missing: dlog_variance = dlog_variance + 0.5 * dcode * spread
        dx = dmean @ W_mu.T + dlog_variance @ W_sigma.T - dguess
        return dx, x.T @ dmean, x.T @ dlog_variance, code.T @ dout

    return loss, backward


@mutant(
    "discrete_code_divergence_each_class_by_itself",
    cause="softmax-second-term-missing",
    inputs=lambda rng: (1.5 * rng.standard_normal((3, 2, 4)),),
    wrong=("dlogits",),
    note="q (1 - q) is the slope of a sigmoid",
)
def discrete_code_divergence_each_class_by_itself(logits):
    """Divergence of a code of several classes (N, codes, classes) from the uniform, mean over the batch."""
    N, _, K = logits.shape
    q = stable_softmax(logits)
    kl = np.sum(q * (np.log(q) + np.log(K))) / N

    def backward(dkl):
        dq = dkl * (np.log(q) + np.log(K) + 1) / N
        # right: return q * (dq - np.sum(q * dq, axis=2, keepdims=True))
        return dq * q * (1 - q)

    return kl, backward
