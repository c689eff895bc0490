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
