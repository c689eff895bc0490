"""Draw from a Gaussian so that the gradient passes through the draw."""

from __future__ import annotations

from math import pi

import numpy as np

from minis2s.backend import Array, get_xp, random_uniform
from minis2s.functional.activation import Backward


def reparameterise(mean: Array, logvar: Array, *, rng: np.random.Generator) -> tuple[Array, Backward]:
    """Draw z ~ N(mean, sigma^2) (Kingma & Welling 2014, section 2.4).

        z = mean + sigma e,   sigma = exp(logvar / 2),   e ~ N(0, 1)       (1)
        dmean = dz,           dlogvar = dz sigma e / 2                     (2)

    The standard deviation is the exponential of *half* the logarithm of the variance.

    mean, logvar (N, Z) -> z (N, Z); backward(dz) -> dmean, dlogvar
    """
    noise = get_xp(mean).exp(logvar / 2)
    noise *= standard_normal(rng, mean.shape, like=mean)  # sigma e

    def backward(dz: Array) -> tuple[Array, Array]:
        return dz.copy(), dz * noise / 2

    return mean + noise, backward


def standard_normal(rng: np.random.Generator, shape: tuple[int, ...], like: Array) -> Array:
    """Draw from N(0, 1) on the device of `like`, in its dtype (Box & Muller 1958).

    e = sqrt(-2 log(1 - u)) cos(2 pi v),   u, v uniform in [0, 1)
    """
    xp = get_xp(like)
    u, v = random_uniform(rng, (2, *shape), like).astype(like.dtype)
    return xp.sqrt(-2 * xp.log(1 - u)) * xp.cos(2 * pi * v)
