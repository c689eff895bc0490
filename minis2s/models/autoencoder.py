"""Autoencoders, pictures to a small code and back: convolutional (strided or pooled), dense, sparse, stacked.

Every decoder gives logits; a sigmoid makes pixels of them. With the cross-entropy as the loss the two cancel in the
gradient, p - t. With the squared error they do not: its gradient passes through the sigmoid, which is flat where the
net is sure, and a net that says "black" everywhere, as most pixels are, may stay there for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array, get_xp, to_device
from minis2s.functional.activation import Backward
from minis2s.nn import Conv2d, ConvTranspose2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, Unflatten

NETS = ("strided", "pooled", "dense", "stacked")
LOSSES = ("bce", "mse")

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of an autoencoder.

    Parameters
    ----------
    shape : (C, H, W)
        Of a picture.
    net : one of strided, pooled, dense, stacked
        How height and width are halved: by the stride of a convolution, by max pooling; or, without convolution, one
        hidden layer; or two that are trained one after the other.
    code : int
        Channels of the code; units of it without convolution.
    width : int
        Channels of the first convolution (later ones have twice as many), or units of the hidden layer.
    halvings : int
        How often a convolutional encoder halves height and width: twice makes 7 x 7 of 28 x 28.
    loss : one of bce, mse
        Binary cross-entropy or squared error, both summed over a picture.
    sparsity : float
        Cost of the code: its absolute values, summed, times this.
    """

    shape: Shape
    net: str = "strided"
    code: int = 4
    width: int = 16
    halvings: int = 2
    loss: str = "bce"
    sparsity: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))  # JSON knows no tuples
        if self.net not in NETS:
            raise ValueError(f"Autoencoder: net is {self.net!r}, expected one of {', '.join(NETS)}")
        if self.loss not in LOSSES:
            raise ValueError(f"Autoencoder: loss is {self.loss!r}, expected one of {', '.join(LOSSES)}")
        least = 2**self.halvings
        if self.net == "pooled" and (self.shape[1] % least or self.shape[2] % least):
            raise ValueError(f"Autoencoder: pooled needs sizes that {least} divides, pictures are {self.shape[1:]}")

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(H, W) of a picture, and after each halving; odd sizes are rounded up."""
        sizes = [self.shape[1:]]
        for _ in range(self.halvings):
            H, W = sizes[-1]
            sizes.append(((H + 1) // 2, (W + 1) // 2))
        return sizes

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Of the code of one picture."""
        return (self.code,) if self.net in ("dense", "stacked") else (self.code, *self.sizes[-1])


def make_autoencoder(config: AutoencoderConfig, rng: np.random.Generator) -> Autoencoder:
    """The model of a configuration."""
    return (StackedAutoencoder if config.net == "stacked" else Autoencoder)(config, rng)


class Autoencoder(Module):
    """Pictures (N, C, H, W) with values in [0, 1] to codes and back."""

    def __init__(self, config: AutoencoderConfig, rng: np.random.Generator):
        self.config, self.rng = config, rng
        make = {"strided": _strided, "pooled": _pooled, "dense": _dense, "stacked": _dense}[config.net]
        self.encoder, self.decoder = make(config, rng)

    def encode(self, x: Array) -> tuple[Array, Backward]:
        """Pictures -> codes (N, *code_shape); backward(dcode) -> dx."""
        return self.encoder(x)

    def decode(self, code: Array) -> tuple[Array, Backward]:
        """Codes -> logits (N, C, H, W); backward(dlogits) -> dcode."""
        return self.decoder(code)

    def loss_and_backward(self, x: Array, target: Array, step: int = 0) -> tuple[Array, int]:
        """Mean loss per picture and their number; gradients are added to `grad`. A denoiser's target differs from x."""
        x, target = to_device(x, self.device), to_device(target, self.device)
        code, encoder_backward = self.encode(x)
        logits, decoder_backward = self.decode(code)
        loss, loss_backward = reconstruction_loss(logits, target, self.config.loss)
        cost, cost_backward = F.mae(code, get_xp(code).zeros_like(code))

        dlogits, _ = loss_backward()
        dcode = decoder_backward(dlogits)
        if self.config.sparsity:
            dcode = dcode + cost_backward(self.config.sparsity)[0]
        encoder_backward(dcode)
        return loss + self.config.sparsity * cost, len(x)

    def loss(self, x: Array, target: Array) -> Array:
        """Mean loss per picture, without the cost of the code."""
        logits, _ = self.decode(self.encode(to_device(x, self.device))[0])
        return reconstruction_loss(logits, to_device(target, self.device), self.config.loss)[0]

    def reconstruct(self, x: Array) -> Array:
        """Pictures -> pictures."""
        return self.pixels(self.encode(to_device(x, self.device))[0])

    def pixels(self, code: Array) -> Array:
        """Codes -> pictures with values in [0, 1]."""
        return F.sigmoid(self.decode(code)[0])[0]


def reconstruction_loss(logits: Array, target: Array, kind: str) -> tuple[Array, Backward]:
    """Cross-entropy or squared error per picture; backward(dloss=1) -> dlogits, None."""
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, target)
    pixels, sigmoid_backward = F.sigmoid(logits)
    loss, mse_backward = F.mse(pixels, target)
    return loss, lambda dloss=1.0: (sigmoid_backward(mse_backward(dloss)[0]), None)


# -------------------------------------------------------------------------------------------------- encoder and decoder


def _strided(config: AutoencoderConfig, rng: np.random.Generator) -> tuple[Sequential, Sequential]:
    """Strides make pictures smaller and transposed convolutions larger: no pixel is thrown away by a fixed rule."""
    sizes, wide = config.sizes, _channels(config)
    down: list[Module] = []
    for before, after in pairwise([config.shape[0], *wide]):
        down += [Conv2d(before, after, 3, stride=2, padding=1, rng=rng, input_gradient=bool(down)), ReLU()]
    up: list[Module] = [Conv2d(config.code, wide[-1], 3, padding=1, rng=rng), ReLU()]
    for k in reversed(range(config.halvings)):
        after = wide[k - 1] if k else config.shape[0]
        up += [upwards(wide[k], after, sizes[k], rng), ReLU()]
    return Sequential(*down, Conv2d(wide[-1], config.code, 3, padding=1, rng=rng)), Sequential(*up[:-1])


def upwards(channels: int, after: int, size: tuple[int, int], rng: np.random.Generator) -> ConvTranspose2d:
    """The transposed convolution that doubles height and width, to the even or the odd `size` that was halved."""
    kernel = tuple(3 if n % 2 else 4 for n in size)
    return ConvTranspose2d(channels, after, kernel, stride=2, padding=1, rng=rng)  # type: ignore[arg-type]


def _pooled(config: AutoencoderConfig, rng: np.random.Generator) -> tuple[Sequential, Sequential]:
    """Convolution and max pooling down, transposed convolutions up: the textbooks' form."""
    channels = [config.shape[0], *_channels(config)[:-1], config.code]
    down: list[Module] = []
    for before, after in pairwise(channels):
        down += [Conv2d(before, after, 3, padding=1, rng=rng, input_gradient=bool(down)), ReLU(), MaxPool2d(2)]
    up: list[Module] = []
    for before, after in pairwise(channels[::-1]):
        up += [ConvTranspose2d(before, after, 2, stride=2, rng=rng), ReLU()]
    return Sequential(*down), Sequential(*up[:-1])


def _dense(config: AutoencoderConfig, rng: np.random.Generator) -> tuple[Sequential, Sequential]:
    """One hidden layer on each side; positive codes where they are meant to be sparse."""
    pixels = prod(config.shape)
    down = [
        Flatten(),
        Linear(pixels, config.width, rng=rng, input_gradient=False),
        ReLU(),
        Linear(config.width, config.code, rng=rng),
    ]
    up = [Linear(config.code, config.width, rng=rng), ReLU(), Linear(config.width, pixels, rng=rng)]
    if config.sparsity or config.net == "stacked":
        down.append(ReLU())
    return Sequential(*down), Sequential(*up, Unflatten(config.shape))


def _channels(config: AutoencoderConfig) -> list[int]:
    """Channels after each halving: the width, then twice as many."""
    return [config.width * (2 if k else 1) for k in range(config.halvings)]


# ----------------------------------------------------------------------------------------------- trained layer by layer


class StackedAutoencoder(Autoencoder):
    """Two dense layers, each trained to give back what it reads (Bengio et al. 2007; Vincent et al. 2010).

    The first learns from pictures; from step `switch` on, the second learns from the first one's output. A quarter of
    what a layer reads is masked.
    """

    switch: int = 0
    masked: float = 0.25

    def loss_and_backward(self, x: Array, target: Array, step: int = 0) -> tuple[Array, int]:
        """The loss of the layer whose turn it is."""
        _, inner, _, second, _ = self.encoder.layers
        second_back, _, outer, _ = self.decoder.layers
        goal, _ = F.flatten(to_device(x, self.device))
        if step >= self.switch:
            goal, inner, outer = F.relu(inner(goal)[0])[0], second, second_back
        corrupted, _ = F.dropout(goal, rate=self.masked, rng=self.rng)
        z, inner_backward = inner(corrupted)
        h, relu_backward = F.relu(z)
        y, outer_backward = outer(h)
        loss, loss_backward = F.mse(y, goal) if step >= self.switch else reconstruction_loss(y, goal, self.config.loss)
        inner_backward(relu_backward(outer_backward(loss_backward()[0])))
        return loss, len(x)
