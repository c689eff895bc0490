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
