"""What a variational autoencoder is made of, as students write it: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import NOISE, gaussian


@mutant("kl_sigma_for_logvar", cause="logvar-as-sigma", inputs=gaussian, wrong=("dlogvar",))
def kl_sigma_for_logvar(mu, logvar):
    """KL of N(mu, exp(logvar)) from N(0, 1), the sum over the latents and the mean over the batch."""
    N = mu.shape[0]
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N

    def backward(dkl):
        dmu = dkl * mu / N
        sigma = logvar
        # right: dlogvar = dkl * 0.5 * (np.exp(sigma) - 1) / N
        dlogvar = dkl * (sigma - 1 / sigma) / N
        return dmu, dlogvar

    return kl, backward


@mutant("kl_only_the_exponential", cause="branch-missing", inputs=gaussian, wrong=("dlog_var",))
def kl_only_the_exponential(mean, log_var):
    terms = 0.5 * (np.exp(log_var) + np.square(mean) - 1.0 - log_var)

    def backward(grad):
        # right: return grad[:, None] * mean, grad[:, None] * 0.5 * (np.exp(log_var) - 1)
        return grad[:, None] * mean, grad[:, None] * 0.5 * np.exp(log_var)

    return terms.sum(axis=1), backward


@mutant("sample_takes_logvar_for_sigma", cause="logvar-as-sigma", inputs=gaussian, wrong=("dlogvar",))
def sample_takes_logvar_for_sigma(mu, logvar):
    z = mu + np.exp(logvar / 2) * NOISE

    def backward(dz):
        dmu = dz.copy()
        dlogvar = dz * NOISE  # right: dlogvar = dz * NOISE * np.exp(logvar / 2) / 2
        return dmu, dlogvar

    return z, backward


def vae_pieces(rng):
    D, Z = 5, 2
    x = rng.random((4, D))
    return x, *(0.6 * rng.standard_normal(s) for s in [(D, Z), (D, Z), (Z, D), (D,)])


@mutant(
    "vae_kl_does_not_reach_the_encoder", cause="branch-missing", inputs=vae_pieces, wrong=("dx", "dW_mu", "dW_logvar")
)
def vae_kl_does_not_reach_the_encoder(x, W_mu, W_logvar, W_dec, b_dec):
    """Linear encoder and decoder; mu and logvar reach the loss by the sample and by the KL term."""
    eps = NOISE[: len(x), : W_mu.shape[1]]
    mu, logvar = x @ W_mu, x @ W_logvar
    std = np.exp(0.5 * logvar)
    z = mu + std * eps
    out = z @ W_dec + b_dec
    err = out - x
    loss = 0.5 * (err**2).sum() + 0.5 * (np.exp(logvar) + mu**2 - 1 - logvar).sum()

    def backward(dloss):
        dout = dloss * err
        dz = dout @ W_dec.T
        dmu = dz  # right: dmu = dz + dloss * mu
        dlogvar = dz * eps * 0.5 * std  # right: dlogvar = dz * eps * 0.5 * std + dloss * 0.5 * (np.exp(logvar) - 1)
        dx = dmu @ W_mu.T + dlogvar @ W_logvar.T - dout
        return dx, x.T @ dmu, x.T @ dlogvar, z.T @ dout, dout.sum(axis=0)

    return loss, backward


@mutant("kl_terms_half_forgotten", cause="constant-factor", like="gaussian_kl_terms", wrong=("dlogvar",))
def kl_terms_half_forgotten(mean, logvar):
    kl = -0.5 * (1 + logvar - mean**2 - np.exp(logvar))

    def backward(dkl):
        dlogvar = dkl * (np.exp(logvar) - 1)  # right: dlogvar = dkl * (np.exp(logvar) - 1) / 2
        return dkl * mean, dlogvar

    return kl, backward


@mutant("kl_not_averaged_over_the_batch", cause="wrong-count", like="gaussian_kl", wrong=("dmean", "dlogvar"))
def kl_not_averaged_over_the_batch(mean, logvar):
    loss = 0.5 * (mean**2 + np.exp(logvar) - logvar - 1).sum(axis=1).mean()

    def backward(dloss):
        N = 1  # right: N = len(mean)
        return dloss * mean / N, dloss * 0.5 * (np.exp(logvar) - 1) / N

    return loss, backward


@mutant("vae_noise_alone_leads_to_the_logvar", cause="logvar-as-sigma", inputs=vae_pieces, wrong=("dx", "dW_logvar"))
def vae_noise_alone_leads_to_the_logvar(x, W_mu, W_logvar, W_dec, b_dec):
    mu, logvar = x @ W_mu, x @ W_logvar
    half = logvar / 2
    z = mu + np.exp(half) * NOISE[: len(mu), : mu.shape[1]]
    out = z @ W_dec + b_dec
    loss = ((out - x) ** 2).sum() / 2 + (mu**2 + np.exp(logvar) - logvar - 1).sum() / 2

    def backward(dloss):
        dout = dloss * (out - x)
        dz = dout @ W_dec.T
        dmu = dz + dloss * mu
        noise = NOISE[: len(mu), : mu.shape[1]]
        # right: dlogvar = dz * noise * np.exp(half) / 2 + dloss * (np.exp(logvar) - 1) / 2
        dlogvar = dz * noise + dloss * (np.exp(logvar) - 1) / 2
        dx = dmu @ W_mu.T + dlogvar @ W_logvar.T - dout
        return dx, x.T @ dmu, x.T @ dlogvar, z.T @ dout, dout.sum(axis=0)

    return loss, backward
