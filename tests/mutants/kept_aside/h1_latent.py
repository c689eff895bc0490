"""Autoencoders and their codes, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid


def h1_small_vae(rng):
    """Data (N, D), matrix and bias of the mean (Z) and of the log-variance, matrix and bias of the decoder (D)."""
    N, D, Z = 4, 6, 3
    shapes = [(N, D), (D, Z), (Z,), (D, Z), (Z,), (Z, D), (D,)]
    return tuple(0.6 * rng.standard_normal(s) for s in shapes)


@mutant(
    "vae_noise_left_out_of_the_log_variance",
    cause="missing-factor",
    inputs=h1_small_vae,
    wrong=("dx", "dW_lv", "db_lv"),
    note="z = mu + std * eps: eps is what std is multiplied by",
)
def vae_noise_left_out_of_the_log_variance(x, W_mu, b_mu, W_lv, b_lv, W_dec, b_dec):
    """Squared error plus divergence, sums over the features, mean over the batch."""
    m = x.shape[0]
    mu, log_var = x @ W_mu + b_mu, x @ W_lv + b_lv
    std = np.exp(0.5 * log_var)
    eps = np.random.default_rng(21).standard_normal(mu.shape)
    z = mu + std * eps
    x_hat = z @ W_dec + b_dec
    recon = 0.5 * np.sum((x_hat - x) ** 2)
    kl = -0.5 * np.sum(1 + log_var - mu**2 - np.exp(log_var))

    def backward(dloss):
        dx_hat = dloss * (x_hat - x) / m
        dz = dx_hat @ W_dec.T
        dmu = dz + dloss * mu / m
        dstd = dz  # right: dstd = dz * eps
        dlog_var = 0.5 * std * dstd + dloss * 0.5 * (np.exp(log_var) - 1) / m
        dx = dmu @ W_mu.T + dlog_var @ W_lv.T - dx_hat
        return dx, x.T @ dmu, dmu.sum(0), x.T @ dlog_var, dlog_var.sum(0), z.T @ dx_hat, dx_hat.sum(0)

    return (recon + kl) / m, backward


def h1_posterior_and_prior(rng):
    """Mean and log-variance of either, (N, Z)."""
    return tuple(rng.standard_normal((5, 3)) for _ in range(4))


@mutant(
    "kl_of_two_gaussians_derived_for_their_sigmas",
    cause="logvar-as-sigma",
    inputs=h1_posterior_and_prior,
    wrong=("dlogvar_q", "dlogvar_p"),
    note="the formula of the divergence is written in sigma, and so it was derived on paper",
)
def kl_of_two_gaussians_derived_for_their_sigmas(mu_q, logvar_q, mu_p, logvar_p):
    """A posterior and a learned prior."""
    N = len(mu_q)
    sigma_q, sigma_p = np.exp(logvar_q / 2), np.exp(logvar_p / 2)
    delta = mu_q - mu_p
    kl = np.log(sigma_p / sigma_q) + (sigma_q**2 + delta**2) / (2 * sigma_p**2) - 0.5

    def backward(dkl):
        dmu_q = delta / sigma_p**2
        # right: dlogvar_q = (sigma_q**2 / sigma_p**2 - 1) / 2
        dlogvar_q = sigma_q / sigma_p**2 - 1 / sigma_q
        # right: dlogvar_p = (1 - (sigma_q**2 + delta**2) / sigma_p**2) / 2
        dlogvar_p = 1 / sigma_p - (sigma_q**2 + delta**2) / sigma_p**3
        return dkl * dmu_q / N, dkl * dlogvar_q / N, -dkl * dmu_q / N, dkl * dlogvar_p / N

    return kl.sum() / N, backward


def h1_patches(rng):
    """Patches with numbers in (0, 1) (m, D), matrix and bias of the hidden layer (H) and of the output (D)."""
    weights = (0.7 * rng.standard_normal(s) for s in [(6, 4), (4,), (4, 6), (6,)])
    return 0.1 + 0.8 * rng.random((5, 6)), *weights


@mutant(
    "sparse_autoencoder_penalty_behind_the_bracket",
    cause="activation-derivative-missing",
    inputs=h1_patches,
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
