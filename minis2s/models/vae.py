"""Variational autoencoder (Kingma & Welling 2014): a code that is a cloud, and a space one can draw pictures from."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array, get_xp, to_device
from minis2s.functional.activation import Backward
from minis2s.functional.reparameterisation import standard_normal
from minis2s.models.autoencoder import upwards
from minis2s.nn import Conv2d, Flatten, Linear, Module, ReLU, Sequential, Unflatten

NETS = ("dense", "conv")

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class VAEConfig:
    """Shape of a VAE, and what its code costs.

    Parameters
    ----------
    shape : (C, H, W)
        Of a picture.
    net : one of dense, conv
        One hidden layer on each side, or two convolutions.
    latent : int
        Dimensions of the code, Z.
    width : int
        Hidden units, or channels of the first convolution.
    beta : float
        Weight of the KL divergence (Higgins et al. 2017); 1 makes the loss a bound on the likelihood.
    warmup : int
        Steps over which the weight grows from 0 to beta (Bowman et al. 2016).
    free_bits : float
        Nats that each dimension may use at no cost (Kingma et al. 2016).
    """

    shape: Shape
    net: str = "dense"
    latent: int = 20
    width: int = 400
    beta: float = 1.0
    warmup: int = 0
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))  # JSON knows no tuples
        if self.net not in NETS:
            raise ValueError(f"VAE: net is {self.net!r}, expected one of {', '.join(NETS)}")


class VAE(Module):
    """Pictures (N, C, H, W) to the mean and log-variance of a Gaussian over codes, and codes to pictures.

        loss = E_q[-log p(x | z)] + beta KL(q(z | x) || N(0, I))           (1)

    in nats per picture: with beta = 1 an upper bound on -log p(x), whose negative is the ELBO.
    """

    def __init__(self, config: VAEConfig, rng: np.random.Generator):
        self.config, self.rng = config, rng
        make = {"dense": _dense, "conv": _conv}[config.net]
        self.encoder, features, self.decoder = make(config, rng)
        self.mean, self.logvar = (Linear(features, config.latent, rng=rng) for _ in range(2))

    def encode(self, x: Array) -> tuple[tuple[Array, Array], Backward]:
        """Pictures -> mean and log-variance, each (N, Z); backward(dmean, dlogvar) -> dx."""
        h, encoder_backward = self.encoder(x)
        mean, mean_backward = self.mean(h)
        logvar, logvar_backward = self.logvar(h)

        def backward(dmean: Array, dlogvar: Array) -> Array:
            return encoder_backward(mean_backward(dmean) + logvar_backward(dlogvar))

        return (mean, logvar), backward

    def decode(self, z: Array) -> tuple[Array, Backward]:
        """Codes (N, Z) -> logits (N, C, H, W); backward(dlogits) -> dz."""
        return self.decoder(z)

    def beta(self, step: int) -> float:
        """Weight of the divergence at a step of the training."""
        return self.config.beta * min(1.0, (step + 1) / self.config.warmup if self.config.warmup else 1.0)

    def loss_and_backward(self, x: Array, step: int = 0) -> tuple[Array, int]:
        """The loss (1) per picture, with one draw each, and their number; gradients are added to `grad`."""
        x, beta = to_device(x, self.device), self.beta(step)
        (mean, logvar), encoder_backward = self.encode(x)
        z, draw_backward = F.reparameterise(mean, logvar, rng=self.rng)
        logits, decoder_backward = self.decode(z)
        nats, nats_backward = F.binary_cross_entropy_with_logits(logits, x)
        kl, kl_backward = F.gaussian_kl(mean, logvar, free_bits=self.config.free_bits)

        dlogits, _ = nats_backward()
        dz = decoder_backward(dlogits)
        dmean, dlogvar = draw_backward(dz)
        dmean_kl, dlogvar_kl = kl_backward(beta)
        encoder_backward(dmean + dmean_kl, dlogvar + dlogvar_kl)
        return nats + beta * kl, len(x)

    # ------------------------------------------------------------------------------------------------- measuring

    def bound(self, x: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Reconstruction (0-d) and KL of each dimension (Z,), in nats per picture, one draw each.

        The two sum up to the negative ELBO.
        """
        x = to_device(x, self.device)
        (mean, logvar), _ = self.encode(x)
        z, _ = F.reparameterise(mean, logvar, rng=rng)
        nats, _ = F.binary_cross_entropy_with_logits(self.decode(z)[0], x)
        return nats, F.gaussian_kl_terms(mean, logvar)[0].mean(axis=0)

    def weighted_bound(self, x: Array, draws: int, rng: np.random.Generator) -> Array:
        """Importance-weighted bound on -log p(x), tighter with every draw (Burda et al. 2016), in nats per picture.

        -log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x),   z_k ~ q(z | x)        (2)
        """
        x = to_device(x, self.device)
        xp = get_xp(x)
        (mean, logvar), _ = self.encode(x)
        ratios = []
        for _ in range(draws):
            e = standard_normal(rng, mean.shape, like=mean)
            z = mean + xp.exp(logvar / 2) * e
            logits, _ = self.decode(z)
            nats = xp.maximum(logits, 0) - logits * x + xp.log1p(xp.exp(-xp.abs(logits)))
            log_prior_over_q = ((e * e + logvar - z * z) / 2).sum(axis=1)  # the constants log(2 pi) / 2 cancel
            ratios.append(log_prior_over_q - nats.reshape(len(x), -1).sum(axis=1))
        ratio = xp.stack(ratios)  # (K, N)
        top = ratio.max(axis=0)
        return -(top + xp.log(xp.exp(ratio - top).mean(axis=0))).mean()

    def reconstruct(self, x: Array) -> Array:
        """Pictures -> pictures, through the mean of the code."""
        return self.pixels(self.encode(to_device(x, self.device))[0][0])

    def pixels(self, z: Array) -> Array:
        """Codes -> pictures with values in [0, 1]."""
        return F.sigmoid(self.decode(z)[0])[0]

    def sample(self, count: int, rng: np.random.Generator, temperature: float = 1.0) -> Array:
        """Pictures of codes drawn from N(0, temperature^2 I)."""
        z = temperature * rng.standard_normal((count, self.config.latent)).astype(np.float32)
        return self.pixels(to_device(z, self.device))


def _dense(config: VAEConfig, rng: np.random.Generator) -> tuple[Sequential, int, Sequential]:
    pixels, width = prod(config.shape), config.width
    encoder = Sequential(Flatten(), Linear(pixels, width, rng=rng, input_gradient=False), ReLU())
    up = [Linear(config.latent, width, rng=rng), ReLU(), Linear(width, pixels, rng=rng), Unflatten(config.shape)]
    return encoder, width, Sequential(*up)


def _conv(config: VAEConfig, rng: np.random.Generator) -> tuple[Sequential, int, Sequential]:
    (C, H, W), w = config.shape, config.width
    middle = (H + 1) // 2, (W + 1) // 2
    small = (2 * w, (middle[0] + 1) // 2, (middle[1] + 1) // 2)
    down = [Conv2d(C, w, 3, stride=2, padding=1, rng=rng, input_gradient=False), ReLU()]
    down += [Conv2d(w, 2 * w, 3, stride=2, padding=1, rng=rng), ReLU(), Flatten()]
    up = [Linear(config.latent, prod(small), rng=rng), ReLU(), Unflatten(small)]
    up += [upwards(2 * w, w, middle, rng), ReLU(), upwards(w, C, (H, W), rng)]
    return Sequential(*down), prod(small), Sequential(*up)
