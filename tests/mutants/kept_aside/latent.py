"""What a variational autoencoder is made of, as students write it: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import NOISE, gaussian


@mutant("sample_forgets_half", cause="constant-factor", inputs=gaussian, wrong=("dlogvar",))
def sample_forgets_half(mu, logvar):
    std = np.sqrt(np.exp(logvar))

    def backward(dz):
        return 1.0 * dz, dz * NOISE * std  # right: return 1.0 * dz, 0.5 * dz * NOISE * std

    return mu + std * NOISE, backward


@mutant("kl_of_the_logarithm_of_sigma", cause="logvar-as-sigma", like="gaussian_kl", wrong=("dlogvar",))
def kl_of_the_logarithm_of_sigma(mean, logvar):
    """The formula of the gradient is from a text where the network puts out log sigma."""
    batch, latents = mean.shape
    kl = 0.0
    for n in range(batch):
        for z in range(latents):
            kl += 0.5 * (mean[n, z] ** 2 + np.exp(logvar[n, z]) - logvar[n, z] - 1)

    def backward(d):
        # right: dlogvar = d * 0.5 * (np.exp(logvar) - 1) / batch
        dlogvar = d * (np.exp(2 * logvar) - 1) / batch
        return d * mean / batch, dlogvar

    return kl / batch, backward


def posterior_and_prior(rng):
    """Mean and log-variance (N, Z) of either."""
    return tuple(scale * rng.standard_normal((4, 3)) for scale in (1, 0.7, 1, 0.7))


@mutant(
    "kl_learned_prior_flees_the_posterior",
    cause="wrong-sign",
    inputs=posterior_and_prior,
    wrong=("dmu_p",),
    note="the line of the posterior's mean, copied for the prior's",
)
def kl_learned_prior_flees_the_posterior(mu_q, lv_q, mu_p, lv_p):
    """Divergence of a posterior from a prior that a network puts out too, mean over the batch."""
    B = mu_q.shape[0]
    var_q, var_p = np.exp(lv_q), np.exp(lv_p)
    delta = mu_q - mu_p
    kl = 0.5 * np.sum(lv_p - lv_q + (var_q + delta**2) / var_p - 1) / B

    def backward(dkl):
        dmu_q = dkl * delta / var_p / B
        dmu_p = dkl * delta / var_p / B  # right: dmu_p = -dkl * delta / var_p / B
        dlv_q = dkl * 0.5 * (var_q / var_p - 1) / B
        dlv_p = dkl * 0.5 * (1 - (var_q + delta**2) / var_p) / B
        return dmu_q, dlv_q, dmu_p, dlv_p

    return kl, backward


def encoder_heads_inputs(rng):
    """Hidden features (N, D), and for the mean and the log-variance a matrix (D, Z) and a bias (Z,)."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(4, 5), (5, 3), (3,), (5, 3), (3,)])


@mutant(
    "encoder_sigma_left_out_of_the_chain",
    cause="missing-factor",
    inputs=encoder_heads_inputs,
    wrong=("dh", "dW_var", "db_var"),
    note="exp(v / 2) was derived as if the exponential went away: the half stays, sigma does not",
)
def encoder_sigma_left_out_of_the_chain(h, W_mu, b_mu, W_var, b_var):
    mu = h @ W_mu + b_mu
    log_var = h @ W_var + b_var
    sigma = np.exp(0.5 * log_var)
    z = mu + sigma * NOISE

    def backward(dz):
        dmu = dz
        dsigma = dz * NOISE
        dlog_var = dsigma * 0.5  # right: dlog_var = dsigma * 0.5 * sigma
        dh = dmu @ W_mu.T + dlog_var @ W_var.T
        return dh, h.T @ dmu, dmu.sum(axis=0), h.T @ dlog_var, dlog_var.sum(axis=0)

    return z, backward


def decoder_inputs(rng):
    """Data (N, D), mean and log-variance (N, Z), the decoder's matrix (Z, D)."""
    return tuple(rng.standard_normal(s) for s in [(4, 5), (4, 3), (4, 3), (3, 5)])


@mutant(
    "elbo_backpropagates_the_reconstruction_only",
    cause="branch-missing",
    inputs=decoder_inputs,
    wrong=("dmu", "dlogvar"),
    note="the divergence is in the loss, and is forgotten in its gradient",
)
def elbo_backpropagates_the_reconstruction_only(x, mu, logvar, W):
    """Squared error of a linear decoder plus the divergence from N(0, 1), mean over the batch."""
    N = len(x)
    std = np.exp(logvar / 2)
    z = mu + std * NOISE
    x_hat = np.dot(z, W)
    reconstruction = 0.5 * np.sum((x_hat - x) ** 2) / N
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N

    def backward(dloss):
        dx_hat = dloss * (x_hat - x) / N
        dW = np.dot(z.T, dx_hat)
        dz = np.dot(dx_hat, W.T)
        dmu, dlogvar = dz, dz * NOISE * std / 2
        # missing: dmu = dmu + dloss * mu / N
        # missing: dlogvar = dlogvar + dloss * 0.5 * (np.exp(logvar) - 1) / N
        return -dx_hat, dmu, dlogvar, dW

    return reconstruction + kl, backward
